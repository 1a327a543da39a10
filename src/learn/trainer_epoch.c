/*
 * learn/trainer_epoch.c - the loop. Small networks are bound by what happens around the plan, so
 * between two runs there is only: one gather, two or three scalars, the score of the rows, and a
 * look at the clock.
 */
#include "learn/trainer.h"

#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "learn/hints.h"

#include "base/ban.h"

#define PROGRESS_NS 100000000ull /* ten words a second are enough */

void maas_fit_progress(maas_fit *r, double fraction, const json_t *metrics, bool always)
{
    const maas_train_hooks *h = r->job->hooks;
    if (!h || !h->progress)
        return;
    const uint64_t now = maas_now_ns();
    if (!always && now - r->last_progress_ns < PROGRESS_NS)
        return;
    r->last_progress_ns = now;
    char note[96];
    const double seconds = (double)(now - r->epoch_start_ns) * 1e-9;
    snprintf(note, sizeof note, "epoch %lld of %lld, %.0f samples/s",
             (long long)r->epoch + !metrics, (long long)r->recipe.epochs,
             seconds > 0 ? (double)r->score.rows / seconds : 0);
    h->progress(h->user, fraction < 1 ? fraction : 1, metrics, note);
}

static bool is_cancelled(const maas_fit *r)
{
    const maas_train_hooks *h = r->job->hooks;
    return h && h->cancelled && h->cancelled(h->user);
}

/* Sixteen bits decide for a value: four values a draw. */
static void draw_mask(maas_rng *rng, double rate, float *out, int64_t n)
{
    const uint32_t limit = (uint32_t)(rate * 65536 + 0.5);
    const float keep = (float)(65536.0 / (65536.0 - limit));
    uint64_t bits = 0;
    for (int64_t i = 0; i < n; i++, bits >>= 16) {
        if (i % 4 == 0)
            bits = maas_rng_u64(rng);
        out[i] = (bits & 0xffff) >= limit ? keep : 0;
    }
}

static void put_scalar(maas_exec *e, uint32_t input, float v)
{
    if (input != MAAS_NO_INPUT)
        *(float *)maas_exec_input(e, input)->data = v;
}

/* What moves weights; they count steps, not batches. */
static void put_step_scalars(maas_fit *r, maas_exec *e)
{
    const maas_optimizer_spec *s = &r->recipe.optimizer;
    const maas_optimizer *opt = &maas_optimizers[s->type];
    const double rate = s->lr * maas_schedule_factor(&r->recipe.schedule, r->step,
                                                     r->recipe.epochs * r->steps_per_epoch,
                                                     r->steps_per_epoch);
    float lr = (float)rate, epsilon = 0;
    if (opt->scalars)
        opt->scalars(s, r->base_step + r->step + 1, rate, &lr, &epsilon);
    put_scalar(e, r->train_graph.lr, lr);
    put_scalar(e, r->train_graph.epsilon, epsilon);
    put_scalar(e, r->train_graph.rate, (float)rate);
}

static void score_batch(maas_score *score, const maas_runner *x)
{
    const float *z = maas_exec_output(x->exec, MAAS_OUT_Z)->data;
    maas_score_add_samples(score, z, &x->now,
                           *(const float *)maas_exec_output(x->exec, MAAS_OUT_LOSS)->data);
}

static maas_samples from(const maas_samples *s, int64_t at, int64_t n)
{
    return (maas_samples){
        .rows = s->rows + at, .candidates = s->candidates ? s->candidates + at : NULL, .n = n};
}

/* `of`: rows of the step that the batch belongs to. */
static maas_status train_batch(maas_fit *r, maas_runner *x, int64_t at, int64_t of, maas_err *err)
{
    const bool adds = x == &r->sum;
    const maas_train_graph *g = adds ? &r->sum_graph : &r->train_graph;
    x->now = from(&r->order, at, x->rows);
    maas_target_gather(&r->target, &x->now, x->rows, maas_exec_input(x->exec, g->y)->data);
    if (g->answers != MAAS_NO_INPUT)
        maas_soft_gather(&r->soft, x->now.rows, x->rows,
                         maas_exec_input(x->exec, g->answers)->data);
    for (size_t i = 0; r->job->teaching && i < r->job->teaching->n_hints; i++)
        maas_hint_gather(&r->job->teaching->hints[i], x->now.rows, x->rows,
                         maas_exec_input(x->exec, g->hints + (uint32_t)i)->data);
    for (size_t i = 0; i < g->n_masks; i++) {
        maas_tensor *mask = maas_exec_input(x->exec, g->masks[i].input);
        draw_mask(&r->rng, g->masks[i].rate, mask->data, maas_n_elems(mask));
    }
    if (x->augment)
        x->seed = maas_rng_u64(&r->rng);
    put_scalar(x->exec, g->share, (float)((double)x->rows / (double)of));
    if (!adds)
        put_step_scalars(r, x->exec);
    MAAS_TRY(maas_exec_run(x->exec, err));
    score_batch(&r->score, x);
    if (adds)
        return MAAS_OK;
    r->step++;
    const maas_train_hooks *h = r->job->hooks;
    if (h && h->stepped)
        h->stepped(h->stepped_user, r->vars,
                   (double)r->step / (double)(r->recipe.epochs * r->steps_per_epoch));
    return MAAS_OK;
}

static void swap(uint32_t *at, int64_t i, int64_t k)
{
    const uint32_t tmp = at[i];
    at[i] = at[k];
    at[k] = tmp;
}

void maas_fit_order(maas_fit *r)
{
    maas_samples *o = &r->order;
    if (r->negatives.per_row)
        maas_negatives_draw(&r->negatives, &r->rng, &r->train, MAAS_KNOWN_TRAINING, o);
    else
        memcpy(o->rows, r->train.at, (size_t)o->n * sizeof *o->rows);
    for (int64_t i = r->recipe.shuffle ? o->n - 1 : 0; i > 0; i--) {
        const int64_t k = (int64_t)maas_rng_below(&r->rng, (uint64_t)i + 1);
        swap(o->rows, i, k);
        if (o->candidates)
            swap(o->candidates, i, k);
    }
}

static maas_status train_rows(maas_fit *r, maas_err *err)
{
    maas_fit_order(r);
    maas_score_clear(&r->score);
    r->epoch_start_ns = maas_now_ns();
    const double share = 1.0 / (double)r->recipe.epochs;
    for (int64_t at = 0; at < r->order.n;) {
        if (is_cancelled(r))
            return maas_fail(err, MAAS_E_CANCELLED, "cancelled in epoch %lld",
                             (long long)r->epoch + 1);
        const int64_t rows = maas_fit_batch(r) * r->recipe.accumulate;
        const int64_t begin = at - at % rows, left = r->order.n - begin;
        const int64_t of = left < rows ? left : rows, batch = maas_fit_batch(r);
        maas_runner *x = begin + of - at > batch    ? &r->sum
                         : begin + of - at == batch ? &r->full
                                                    : &r->tail;
        MAAS_TRY(train_batch(r, x, at, of, err));
        at += x->rows;
        maas_fit_progress(r, ((double)r->epoch + (double)at / (double)r->order.n) * share, NULL,
                          false);
    }
    if (!isfinite(r->score.loss))
        return maas_fail(
            err, MAAS_E_INVALID,
            "the loss is not finite after epoch %lld: a lower optimizer.lr or a clip_norm may help",
            (long long)r->epoch + 1);
    return MAAS_OK;
}

static maas_runner *runner_of(const maas_samples *s, int64_t at, maas_runner *full,
                              maas_runner *tail)
{
    return full->rows && s->n - at >= full->rows ? full : tail;
}

static maas_status evaluate_at(maas_fit *r, maas_runner *x, const maas_samples *s, int64_t at,
                               maas_err *err)
{
    if (is_cancelled(r))
        return maas_fail(err, MAAS_E_CANCELLED, "cancelled after epoch %lld", (long long)r->epoch);
    x->now = from(s, at, x->rows);
    maas_target_gather(&r->target, &x->now, x->rows,
                       maas_exec_input(x->exec, maas_fit_n_raw(r))->data);
    return maas_exec_run(x->exec, err);
}

maas_status maas_fit_evaluate(maas_fit *r, const maas_samples *s, maas_score *score, maas_err *err)
{
    maas_score_clear(score);
    for (int64_t at = 0; at < s->n;) {
        maas_runner *x = runner_of(s, at, &r->eval_full, &r->eval_tail);
        MAAS_TRY(evaluate_at(r, x, s, at, err));
        score_batch(score, x);
        at += x->rows;
    }
    return MAAS_OK;
}

maas_status maas_fit_rank(maas_fit *r, double *out, maas_err *err)
{
    maas_ranking *k = &r->ranking;
    for (int64_t at = 0; at < k->samples.n;) {
        maas_runner *x = runner_of(&k->samples, at, &r->rank_full, &r->rank_tail);
        MAAS_TRY(evaluate_at(r, x, &k->samples, at, err));
        const maas_tensor *z = maas_exec_output(x->exec, MAAS_OUT_Z);
        const bool both = maas_n_elems(z) == 2 * x->rows; /* a logit a class */
        const float *v = z->data;
        for (int64_t i = 0; i < x->rows; i++)
            k->z[at + i] = both ? v[2 * i + 1] - v[2 * i] : v[i];
        at += x->rows;
    }
    *out = maas_ranking_ndcg(k, r->recipe.ndcg_at);
    return MAAS_OK;
}

/* ---- after an epoch ---- */

static maas_status note_epoch(maas_fit *r, json_t **out, maas_err *err)
{
    double ndcg = NAN;
    if (r->val.n)
        MAAS_TRY(maas_fit_rank(r, &ndcg, err));
    AUTO(maas_json_unref) json_t *m = json_pack("{s:I}", "epoch", (json_int_t)r->epoch);
    if (!m || !maas_score_json(&r->score, "", m) ||
        (r->val.n && !maas_score_json(&r->val_score, "val_", m)) ||
        (isfinite(ndcg) && json_object_set_new(m, "val_ndcg", json_real(ndcg))) ||
        json_array_append(r->history, m))
        return maas_fail(err, MAAS_E_NOMEM, "metrics of epoch %lld", (long long)r->epoch);
    *out = STEAL(m);
    return MAAS_OK;
}

static const char *watched(const maas_fit *r)
{
    if (r->recipe.early.metric == MAAS_STOP_AUTO)
        return r->val.n ? "val_loss" : "loss";
    return maas_stop_metrics[r->recipe.early.metric].name;
}

static maas_status watch(maas_fit *r, const json_t *metrics, maas_err *err)
{
    const maas_early_spec *s = &r->recipe.early;
    if (!s->on)
        return MAAS_OK;
    const json_t *v = json_object_get(metrics, watched(r));
    if (!v)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.early_stopping.metric: there is no %s for this target",
                         watched(r));
    const double sign = maas_stop_metrics[s->metric].higher_is_better ? -1 : 1;
    const double now = sign * json_number_value(v);
    if (r->best_epoch == 0 || now < r->best - s->min_delta) {
        r->best = now;
        r->best_epoch = r->epoch;
        r->bad_epochs = 0;
        maas_fit_copy_best(r, false);
    } else {
        r->bad_epochs++;
    }
    return MAAS_OK;
}

bool maas_fit_should_stop(const maas_fit *r)
{
    return r->epoch >= r->recipe.epochs ||
           (r->recipe.early.on && r->bad_epochs >= r->recipe.early.patience);
}

/* A state is as long as the weights and the history: where epochs are short, writing one each time
 * would be most of the work. It may take a twentieth of the time; the last one is always written.
 */
static maas_status keep_state(maas_fit *r, bool last, maas_err *err)
{
    const maas_train_hooks *h = r->job->hooks;
    const uint64_t start = maas_now_ns();
    if (!h || !h->checkpoint || (!last && start - r->checkpoint_ns < 20 * r->checkpoint_cost_ns))
        return MAAS_OK;
    MAAS_TRY(maas_fit_checkpoint(r, err));
    r->checkpoint_ns = maas_now_ns();
    r->checkpoint_cost_ns = r->checkpoint_ns - start;
    return MAAS_OK;
}

maas_status maas_fit_epoch(maas_fit *r, bool *out_stop, maas_err *err)
{
    AUTO(maas_json_unref) json_t *metrics = NULL;
    MAAS_TRY(train_rows(r, err));
    r->epoch++;
    if (r->val.n)
        MAAS_TRY(maas_fit_evaluate(r, &r->val_samples, &r->val_score, err));
    MAAS_TRY(note_epoch(r, &metrics, err));
    MAAS_TRY(watch(r, metrics, err));
    *out_stop = maas_fit_should_stop(r);
    MAAS_TRY(keep_state(r, *out_stop, err));
    maas_fit_progress(r, (double)r->epoch / (double)r->recipe.epochs, metrics, *out_stop);
    return MAAS_OK;
}
