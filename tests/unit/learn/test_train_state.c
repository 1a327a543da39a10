/* tests/unit/learn/test_train_state.c - repeatable, resumable, updatable, stoppable. */
#include "../../maas_test.h"

#include "toy.h"

#include "learn/checkpoint.h"
#include "learn/trainer.h"

enum { N = 150, MAX_STATES = 64 };

typedef struct watch {
    maas_buf states[MAX_STATES];
    int n_states, n_progress, n_metrics, cancel_after, n_asked;
    double last;
} watch;

static void on_progress(void *user, double fraction, const json_t *metrics, const char *note)
{
    watch *w = user;
    EXPECT(fraction >= w->last && fraction <= 1);
    EXPECT(note && *note);
    w->last = fraction;
    w->n_progress++;
    w->n_metrics += metrics != NULL;
}

static bool on_cancelled(void *user)
{
    watch *w = user;
    return w->cancel_after && ++w->n_asked >= w->cancel_after;
}

static maas_status on_checkpoint(void *user, maas_span state, maas_err *err)
{
    watch *w = user;
    if (w->n_states == MAX_STATES)
        return MAAS_OK;
    w->states[w->n_states] = (maas_buf)MAAS_BUF_INIT(1u << 20);
    maas_buf_add(&w->states[w->n_states++], state.p, state.n);
    return MAAS_OK;
}

static void forget(watch *w)
{
    for (int i = 0; i < w->n_states; i++)
        maas_buf_reset(&w->states[i]);
    *w = (watch){0};
}

static float x[2][N];
static int64_t k[N];

static void make(toy *t, uint64_t seed)
{
    maas_rng rng;
    maas_rng_seed(&rng, seed);
    for (int i = 0; i < N; i++) {
        k[i] = (int64_t)maas_rng_below(&rng, 3);
        for (int d = 0; d < 2; d++)
            x[d][i] = maas_rng_normal(&rng) + (float)(k[i] == d);
    }
    toy_init(t, N);
    toy_add(t, "a", MAAS_F32, x[0]);
    toy_add(t, "b", MAAS_F32, x[1]);
    toy_add(t, "k", MAAS_I64, k);
}

/* Everything that has state: dropout, batch norm, adam, validation, early stopping. */
#define RICH                                                                                       \
    "{'layers':[{'type':'dense','units':8,'activation':'relu'},{'type':'batch_norm'},"             \
    "{'type':'dropout','rate':0.3},{'type':'dense'}],'epochs':7,'batch_size':16,'seed':%d,"        \
    "'validation':0.2,'early_stopping':{'patience':%d},'schedule':'cosine'}"

static maas_status train(const toy *t, const char *params, const maas_train_hooks *hooks,
                         maas_span resume, maas_train_result *out, maas_err *err)
{
    json_t *p = toy_params(params);
    maas_train_job job = {.learner = "network",
                          .params = p,
                          .data = &t->d,
                          .target = "k",
                          .n_threads = 1,
                          .hooks = hooks,
                          .resume = resume};
    *err = (maas_err){0};
    maas_status st = maas_train(&job, out, err);
    json_decref(p);
    return st;
}

static bool same_bytes(const maas_buf *a, const maas_buf *b)
{
    return a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
}

static void seeds_repeat_bit_for_bit(void)
{
    static toy t;
    make(&t, 41);
    char params[2][500];
    snprintf(params[0], sizeof params[0], RICH, 7, 100);
    snprintf(params[1], sizeof params[1], RICH, 8, 100);
    maas_train_result r[3] = {0};
    maas_err err;
    for (int i = 0; i < 3; i++)
        REQUIRE_OK(train(&t, params[i == 2], NULL, (maas_span){0}, &r[i], &err), err);
    EXPECT(same_bytes(&r[0].onnx, &r[1].onnx));
    EXPECT(same_bytes(&r[0].state, &r[1].state) && r[0].state.n > 0);
    EXPECT(!same_bytes(&r[0].onnx, &r[2].onnx));
    for (int i = 0; i < 3; i++)
        maas_train_result_reset(&r[i]);
}

static void resume_goes_on_bit_for_bit(void)
{
    static toy t;
    make(&t, 42);
    for (int patience = 1; patience < 4; patience += 2) {
        char params[500];
        snprintf(params, sizeof params, RICH, 3, patience);
        watch w = {0};
        maas_train_hooks hooks = {.user = &w,
                                  .progress = on_progress,
                                  .cancelled = on_cancelled,
                                  .checkpoint = on_checkpoint};
        maas_train_result whole = {0};
        maas_err err;
        REQUIRE_OK(train(&t, params, &hooks, (maas_span){0}, &whole, &err), err);
        EXPECT(w.n_states >= 2);               /* the first and the last at least */
        for (int i = 0; i < w.n_states; i++) { /* the last one included */
            maas_train_result part = {0};
            REQUIRE_OK(train(&t, params, NULL, maas_buf_span(&w.states[i]), &part, &err), err);
            EXPECT_MSG(same_bytes(&whole.onnx, &part.onnx), "resumed from state %d", i);
            EXPECT(same_bytes(&whole.state, &part.state));
            EXPECT(json_equal(whole.metrics, part.metrics));
            maas_train_result_reset(&part);
        }
        maas_train_result_reset(&whole);
        forget(&w);
    }
}

static void a_checkpoint_of_another_run_is_refused(void)
{
    static toy t;
    make(&t, 43);
    char params[2][500];
    snprintf(params[0], sizeof params[0], RICH, 3, 9);
    snprintf(params[1], sizeof params[1], RICH, 4, 9);
    watch w = {0};
    maas_train_hooks hooks = {.user = &w, .checkpoint = on_checkpoint};
    maas_train_result r = {0}, other = {0};
    maas_err err;
    REQUIRE_OK(train(&t, params[0], &hooks, (maas_span){0}, &r, &err), err);
    EXPECT_EQ(train(&t, params[1], NULL, maas_buf_span(&w.states[0]), &other, &err),
              MAAS_E_CONFLICT);
    k[0] = (k[0] + 1) % 3; /* the same recipe on other rows */
    EXPECT_EQ(train(&t, params[0], NULL, maas_buf_span(&w.states[0]), &other, &err),
              MAAS_E_CONFLICT);
    EXPECT(other.onnx.p == NULL && other.metrics == NULL);
    maas_train_result_reset(&r);
    forget(&w);
}

static void put_digest(maas_buf *b)
{
    maas_sha256 h;
    uint8_t sum[MAAS_SHA256_BYTES];
    EXPECT(maas_sha256_init(&h));
    maas_sha256_add(&h, b->p, b->n - sizeof sum);
    maas_sha256_done(&h, sum);
    memcpy(b->p + b->n - sizeof sum, sum, sizeof sum);
}

/* Cut anywhere, or with bytes changed and the checksum made right again: never a crash, never a
 * model from a broken state unless the change was harmless (a weight's bits). */
static void hostile_checkpoints_are_refused(void)
{
    static toy t;
    make(&t, 44);
    char params[500];
    snprintf(params, sizeof params, RICH, 3, 9);
    watch w = {0};
    maas_train_hooks hooks = {.user = &w, .checkpoint = on_checkpoint};
    maas_train_result r = {0};
    maas_err err;
    REQUIRE_OK(train(&t, params, &hooks, (maas_span){0}, &r, &err), err);
    maas_train_result_reset(&r);
    const maas_buf *good = &w.states[w.n_states - 1]; /* the run is over: resuming trains nothing */
    for (size_t n = 1; n < good->n; n += n < 200 ? 1 : 97) {
        maas_buf cut = MAAS_BUF_INIT(1u << 20);
        maas_buf_add(&cut, good->p, n);
        EXPECT_EQ(train(&t, params, NULL, maas_buf_span(&cut), &r, &err), MAAS_E_FORMAT);
        if (n > MAAS_SHA256_BYTES) {
            put_digest(&cut);
            EXPECT(train(&t, params, NULL, maas_buf_span(&cut), &r, &err) != MAAS_OK);
            EXPECT(err.msg[0] != 0);
        }
        maas_buf_reset(&cut);
    }
    maas_buf zeros = MAAS_BUF_INIT(1u << 20);
    maas_buf_add(&zeros, good->p, good->n);
    memset(zeros.p + 64, 0, 32); /* a generator that would never end */
    put_digest(&zeros);
    EXPECT_EQ(train(&t, params, NULL, maas_buf_span(&zeros), &r, &err), MAAS_E_FORMAT);
    EXPECT(strstr(err.msg, "rng") != NULL);
    maas_buf_reset(&zeros);
    maas_rng rng;
    maas_rng_seed(&rng, 44);
    int n_refused = 0;
    for (int round = 0; round < 300; round++) {
        maas_buf bad = MAAS_BUF_INIT(1u << 20);
        maas_buf_add(&bad, good->p, good->n);
        size_t at = maas_rng_below(&rng, round % 2 ? 140 : good->n - MAAS_SHA256_BYTES);
        bad.p[at] = (char)(bad.p[at] ^ (1 << maas_rng_below(&rng, 8)));
        EXPECT_EQ(train(&t, params, NULL, maas_buf_span(&bad), &r, &err),
                  MAAS_E_FORMAT); /* checksum */
        put_digest(&bad);
        maas_status st = train(&t, params, NULL, maas_buf_span(&bad), &r, &err);
        n_refused += st != MAAS_OK;
        maas_train_result_reset(&r);
        maas_buf_reset(&bad);
    }
    EXPECT(n_refused > 30);
    forget(&w);
}

/* ---- update ---- */

static maas_status update(const toy *t, const maas_train_result *parent, const char *params,
                          bool with_state, maas_train_result *out, maas_err *err)
{
    maas_graph *g = NULL;
    maas_onnx_opts o = {0};
    *err = (maas_err){0};
    MAAS_TRY(maas_onnx_read(maas_buf_span(&parent->onnx), &o, &g, err));
    json_t *p = params ? toy_params(params) : NULL;
    maas_train_job job = {.params = p, .data = &t->d, .target = "k", .n_threads = 1, .parent = g};
    if (with_state)
        job.parent_state = maas_buf_span(&parent->state);
    maas_status st = maas_train(&job, out, err);
    json_decref(p);
    maas_graph_destroy(g);
    return st;
}

static void updates_go_on_where_the_parent_stopped(void)
{
    static toy t;
    make(&t, 45);
    maas_train_result parent = {0}, child = {0}, fresh = {0};
    maas_err err;
    REQUIRE_OK(train(&t,
                     "{'layers':[{'type':'dense','units':16,'activation':'relu'},{'type':'dense'}],"
                     "'epochs':20,'batch_size':16,'optimizer':{'type':'adam','lr':0.01}}",
                     NULL, (maas_span){0}, &parent, &err),
               err);
    make(&t, 46); /* new rows */
    for (int with_state = 0; with_state < 2; with_state++) {
        REQUIRE_OK(
            update(&t, &parent, "{'epochs':2,'optimizer':{'lr':0.002}}", with_state, &child, &err),
            err);
        double first = toy_epoch_metric(&child, 0, "loss");
        REQUIRE_OK(
            train(&t,
                  "{'layers':[{'type':'dense','units':16,'activation':'relu'},{'type':'dense'}],"
                  "'epochs':2,'batch_size':16,'optimizer':{'type':'adam','lr':0.002}}",
                  NULL, (maas_span){0}, &fresh, &err),
            err);
        EXPECT(first < toy_epoch_metric(&fresh, 0, "loss"));
        maas_train_result_reset(&child);
        maas_train_result_reset(&fresh);
    }
    /* with nothing learned, the child is its parent: same weights, same constants */
    REQUIRE_OK(update(&t, &parent, "{'epochs':1,'optimizer':{'lr':0}}", true, &child, &err), err);
    maas_graph *a = NULL, *b = NULL;
    maas_onnx_opts o = {0};
    REQUIRE_OK(maas_onnx_read(maas_buf_span(&parent.onnx), &o, &a, &err), err);
    REQUIRE_OK(maas_onnx_read(maas_buf_span(&child.onnx), &o, &b, &err), err);
    static const char *const names[] = {"layers.0.weight", "layers.0.bias", "layers.1.weight",
                                        "layers.1.bias",   "input.fill",    "input.shift",
                                        "input.scale"};
    for (size_t i = 0; i < MAAS_COUNT(names); i++) {
        maas_vid va = maas_graph_find(a, names[i]), vb = maas_graph_find(b, names[i]);
        EXPECT_MSG(va >= 0 && vb >= 0, "%s", names[i]);
        if (va >= 0 && vb >= 0)
            EXPECT_MSG(memcmp(maas_graph_at(a, va)->init.data, maas_graph_at(b, vb)->init.data,
                              maas_tensor_bytes(&maas_graph_at(a, va)->init)) == 0,
                       "%s", names[i]);
    }
    maas_graph_destroy(a);
    maas_graph_destroy(b);
    maas_train_result_reset(&child);
    maas_train_result_reset(&parent);
}

static void updates_refuse_what_does_not_fit(void)
{
    static toy t;
    make(&t, 47);
    maas_train_result parent = {0}, child = {0};
    maas_err err;
    REQUIRE_OK(
        train(&t, "{'layers':[{'type':'dense'}],'epochs':2}", NULL, (maas_span){0}, &parent, &err),
        err);
    EXPECT_EQ(update(&t, &parent, "{'layers':[{'type':'dense','units':5}]}", false, &child, &err),
              MAAS_E_INVALID);
    EXPECT(strstr(err.msg, "params.layers") != NULL);
    EXPECT_EQ(update(&t, &parent, "{'loss':'cross_entropy','epochs':1}", false, &child, &err),
              MAAS_OK);
    maas_train_result_reset(&child);
    EXPECT_EQ(update(&t, &parent, "{'epoch':1}", false, &child, &err), MAAS_E_INVALID);
    maas_train_result broken = {.onnx = parent.onnx, .state = parent.onnx};
    EXPECT_EQ(update(&t, &broken, "{'epochs':1}", true, &child, &err), MAAS_E_FORMAT);
    k[9] = 12; /* a class the parent does not know */
    EXPECT_EQ(update(&t, &parent, "{'epochs':1}", false, &child, &err), MAAS_E_CONFLICT);
    EXPECT(strstr(err.msg, "12") && strstr(err.msg, "row 10"));
    k[9] = 0;
    t.cols[0].desc.name = "c";
    EXPECT_EQ(update(&t, &parent, "{'epochs':1}", false, &child, &err), MAAS_E_CONFLICT);
    EXPECT(strstr(err.msg, "'c'") && strstr(err.msg, "'a'"));
    maas_train_result_reset(&parent);
}

/* ---- stopping ---- */

static void early_stopping_brings_the_best_back(void)
{
    static toy t;
    make(&t, 48);
    maas_train_result r = {0};
    maas_err err;
    REQUIRE_OK(train(&t,
                     "{'layers':[{'type':'dense','units':32,'activation':'relu'},{'type':'dense'}],"
                     "'epochs':200,"
                     "'batch_size':8,'validation':0.3,'early_stopping':{'patience':4},"
                     "'optimizer':{'type':'adam','lr':0.05}}",
                     NULL, (maas_span){0}, &r, &err),
               err);
    const json_t *epochs = json_object_get(r.metrics, "epochs");
    size_t n = json_array_size(epochs), best = 0;
    EXPECT(n < 200);
    for (size_t i = 0; i < n; i++)
        if (toy_epoch_metric(&r, i, "val_loss") < toy_epoch_metric(&r, best, "val_loss"))
            best = i;
    EXPECT_EQ(n, best + 1 + 4);
    EXPECT_NEAR(toy_metric(&r, "val_loss"), toy_epoch_metric(&r, best, "val_loss"), 0);
    maas_train_result_reset(&r);
}

static void cancel_stops_between_batches(void)
{
    static toy t;
    make(&t, 49);
    char params[500];
    snprintf(params, sizeof params, RICH, 3, 9);
    for (int after = 1; after < 40; after += 7) {
        watch w = {.cancel_after = after};
        maas_train_hooks hooks = {.user = &w, .progress = on_progress, .cancelled = on_cancelled};
        maas_train_result r = {0};
        maas_err err;
        EXPECT_EQ(train(&t, params, &hooks, (maas_span){0}, &r, &err), MAAS_E_CANCELLED);
        EXPECT_EQ(w.n_asked, after);
        EXPECT(r.onnx.p == NULL && r.metrics == NULL);
    }
}

static maas_status refuse_state(void *user, maas_span state, maas_err *err)
{
    return maas_fail(err, MAAS_E_NO_SPACE, "disk full");
}

static void progress_is_told_and_hooks_may_fail(void)
{
    static toy t;
    make(&t, 50);
    char params[500];
    snprintf(params, sizeof params, RICH, 3, 9);
    watch w = {0};
    maas_train_hooks hooks = {.user = &w, .progress = on_progress, .cancelled = on_cancelled};
    maas_train_result r = {0};
    maas_err err;
    REQUIRE_OK(train(&t, params, &hooks, (maas_span){0}, &r, &err), err);
    EXPECT(w.n_progress >= 1 && w.n_metrics >= 1 && w.n_progress < 30);
    EXPECT_NEAR(w.last, 1, 0);
    maas_train_result_reset(&r);
    hooks.checkpoint = refuse_state;
    w = (watch){0};
    EXPECT_EQ(train(&t, params, &hooks, (maas_span){0}, &r, &err), MAAS_E_NO_SPACE);
    EXPECT(r.onnx.p == NULL);
}

/* The first allocations one by one, then every 37th: the whole run has thousands. */
static void training_survives_failed_allocations(void)
{
    static toy t;
    make(&t, 51);
    maas_train_result r = {0};
    maas_err err;
    static const char params[] =
        "{'layers':[{'type':'dense','units':4,'activation':'relu'},{'type':'dense'}],"
        "'epochs':1,'batch_size':64,'validation':0.2}";
    REQUIRE_OK(train(&t, params, NULL, (maas_span){0}, &r, &err), err);
    maas_train_result_reset(&r);
    const long live = maas_mem_live();
    bool done = false;
    for (long n = 1; !done; n += n < 60 ? 1 : 37) {
        json_t *p = toy_params(params);
        maas_train_job job = {
            .learner = "network", .params = p, .data = &t.d, .target = "k", .n_threads = 1};
        err = (maas_err){0};
        maas_mem_fail_at(n);
        maas_status st = maas_train(&job, &r, &err);
        maas_mem_fail_at(0);
        json_decref(p);
        done = st == MAAS_OK;
        EXPECT_MSG(done || st == MAAS_E_NOMEM || st == MAAS_E_INVALID,
                   "allocation %ld: status %d, %s", n, st, err.msg);
        EXPECT_MSG(done || r.onnx.p == NULL, "allocation %ld", n);
        maas_train_result_reset(&r);
        EXPECT_MSG(maas_mem_live() == live, "allocation %ld: %ld alive", n, maas_mem_live() - live);
    }
}

static void budgets_are_kept_and_given_back(void)
{
    static toy t;
    make(&t, 52);
    json_t *p = toy_params(
        "{'layers':[{'type':'dense','units':64,'activation':'relu'},{'type':'dense'}],'epochs':1}");
    maas_train_result r = {0};
    for (size_t limit = 1 << 10; limit <= 1 << 26; limit *= 4) {
        maas_budget budget = {.limit = limit};
        maas_train_job job = {.learner = "network",
                              .params = p,
                              .data = &t.d,
                              .target = "k",
                              .n_threads = 1,
                              .budget = &budget};
        maas_err err = {0};
        maas_status st = maas_train(&job, &r, &err);
        EXPECT_MSG(st == MAAS_E_NOMEM || (st == MAAS_OK && limit > 1 << 15), "limit %zu: %s", limit,
                   err.msg);
        EXPECT_EQ(budget.used, 0);
        maas_train_result_reset(&r);
    }
    json_decref(p);
}

static const mt_case cases[] = {
    MT_CASE(seeds_repeat_bit_for_bit),
    MT_CASE(resume_goes_on_bit_for_bit),
    MT_CASE(a_checkpoint_of_another_run_is_refused),
    MT_CASE(hostile_checkpoints_are_refused),
    MT_CASE(updates_go_on_where_the_parent_stopped),
    MT_CASE(updates_refuse_what_does_not_fit),
    MT_CASE(early_stopping_brings_the_best_back),
    MT_CASE(cancel_stops_between_batches),
    MT_CASE(progress_is_told_and_hooks_may_fail),
    MT_CASE(training_survives_failed_allocations),
    MT_CASE(budgets_are_kept_and_given_back),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
