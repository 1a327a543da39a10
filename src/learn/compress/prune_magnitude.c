/*
 * learn/compress/prune_magnitude.c - step prune_magnitude: the smallest weights become zero, at
 * once or little by little while the model is trained on, and stay zero in all that follows.
 *
 * Gradual: after a share t of the training, sparsity * (1 - (1 - t / 0.8)^3) of the weights are
 * zero (Zhu and Gupta 2017), so that the last fifth trains with all zeros in place. The file keeps
 * its size: zeros are stored like other numbers.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "learn/compress/select.h"
#include "learn/compress/step.h"
#include "learn/compress/weights.h"
#include "runtime/plan.h"
#include "base/ban.h"

enum { PER_LAYER, WHOLE_MODEL };
static const char *const scopes[] = {"layer", "model", NULL};

const maas_param maas_step_prune_rows[5] = {
    {"sparsity", MAAS_PARAM_NUM, MAAS_STEP_AT(sparsity), 0.01, 0.999, 0.5,
     .help = "share of the weights that become zero"},
    {"scope", MAAS_PARAM_CHOICE, MAAS_STEP_AT(scope), .preset = PER_LAYER, .choices = scopes,
     .help = "the share of each layer, or the smallest of the whole model"},
    {"fine_tune", MAAS_PARAM_INT, MAAS_STEP_AT(fine_tune), 0, 1e6, 0,
     .help = "epochs of training with the zeros kept; for models that were trained here"},
    {"gradual", MAAS_PARAM_BOOL, MAAS_STEP_AT(gradual), .preset = 1,
     .help = "with fine_tune: zeros come little by little"},
    {"lr", MAAS_PARAM_NUM, MAAS_STEP_AT(lr), 1e-12, 1e3, NAN,
     .help = "learning rate of fine_tune; else that of the training"},
};

#define ALL_ZEROS_AT 0.8  /* of the training; then it only trains */
#define EVERY        0.01 /* of the training, new zeros are chosen */

typedef struct pruned {
    const char *name;
    float *w; /* where they are now */
    uint8_t *zero;
    int64_t n;
} pruned;

typedef struct pruning {
    const maas_step_spec *spec;
    pruned *at;
    size_t n;
    float *scratch; /* [all weights] */
    double chosen;  /* share of the training at which zeros were chosen last */
} pruning;

/* ---- choosing ---- */

/* The smallest share of the weights of at[from..to). */
static void choose(pruning *p, size_t from, size_t to, double share)
{
    int64_t n = 0;
    for (size_t i = from; i < to; i++)
        for (int64_t k = 0; k < p->at[i].n; k++)
            p->scratch[n++] = fabsf(p->at[i].w[k]);
    const int64_t wanted = (int64_t)floor(share * (double)n);
    const float limit = wanted ? maas_select(p->scratch, n, wanted - 1) : -1;
    for (size_t i = from; i < to; i++)
        for (int64_t k = 0; k < p->at[i].n; k++)
            p->at[i].zero[k] = fabsf(p->at[i].w[k]) <= limit;
}

static void choose_all(pruning *p, double share)
{
    if (p->spec->scope == WHOLE_MODEL) {
        choose(p, 0, p->n, share);
        return;
    }
    for (size_t i = 0; i < p->n; i++)
        choose(p, i, i + 1, share);
}

static void put_zeros(pruning *p)
{
    for (size_t i = 0; i < p->n; i++)
        for (int64_t k = 0; k < p->at[i].n; k++)
            if (p->at[i].zero[k])
                p->at[i].w[k] = 0;
}

/* ---- while it trains ---- */

static double share_at(double done, double sparsity)
{
    const double left = done < ALL_ZEROS_AT ? 1 - done / ALL_ZEROS_AT : 0;
    return sparsity * (1 - left * left * left);
}

static void after_step(void *user, maas_vars *vars, double done)
{
    pruning *p = user;
    for (size_t i = 0; i < p->n; i++) {
        maas_tensor *t = maas_vars_find(vars, p->at[i].name);
        p->at[i].w = t && maas_n_elems(t) == p->at[i].n ? t->data : NULL;
        if (!p->at[i].w)
            return; /* not a weight of the learner: it was pruned before and stays as it is */
    }
    if (p->spec->gradual && p->chosen < ALL_ZEROS_AT &&
        (done - p->chosen >= EVERY || done >= ALL_ZEROS_AT)) {
        choose_all(p, share_at(done, p->spec->sparsity));
        p->chosen = done;
    }
    put_zeros(p);
}

/* ---- the step ---- */

static maas_status collect(maas_step_call *c, pruning *p, maas_arena *a, maas_err *err)
{
    maas_weight_list list;
    MAAS_TRY(maas_weights_find(c->g, 1, a, &list, err));
    p->at = maas_arena_array(a, list.n, sizeof *p->at);
    p->scratch = maas_arena_array(a, (size_t)list.n_elems, sizeof *p->scratch);
    if (!p->at || !p->scratch)
        return maas_fail(err, MAAS_E_NOMEM, "memory for %lld weights", (long long)list.n_elems);
    for (p->n = 0; p->n < list.n; p->n++) {
        const maas_vid v = list.at[p->n].v;
        maas_tensor t = maas_graph_at(c->g, v)->init;
        pruned *to = &p->at[p->n];
        *to = (pruned){.name = maas_arena_strdup(a, maas_graph_at(c->g, v)->name),
                       .n = maas_n_elems(&t),
                       .zero = maas_arena_array(a, (size_t)maas_n_elems(&t), 1)};
        const float *from = t.data;
        MAAS_TRY(maas_weight_room(c->g, &t, err));
        if (!to->name || !to->zero)
            return maas_fail(err, MAAS_E_NOMEM, "memory for %lld weights", (long long)to->n);
        to->w = memcpy(t.data, from, maas_tensor_bytes(&t));
        maas_weight_set(c->g, v, &t);
    }
    return MAAS_OK;
}

static maas_status say(maas_step_call *c, maas_arena *a, maas_err *err)
{
    maas_weight_list list;
    int64_t zeros = 0;
    MAAS_TRY(maas_weights_find(c->g, 1, a, &list, err));
    for (size_t i = 0; i < list.n; i++) {
        const maas_tensor *t = &maas_graph_at(c->g, list.at[i].v)->init;
        for (int64_t k = 0, n = maas_n_elems(t); k < n; k++)
            zeros += ((const float *)t->data)[k] == 0;
    }
    json_object_set_new(c->said, "zeros", json_integer(zeros));
    json_object_set_new(c->said, "sparsity", json_real((double)zeros / (double)list.n_elems));
    return MAAS_OK;
}

static maas_status prune(maas_step_call *c, maas_arena *a, maas_err *err)
{
    pruning p = {.spec = c->spec};
    MAAS_TRY(collect(c, &p, a, err));
    if (!c->spec->fine_tune || !c->spec->gradual) {
        choose_all(&p, c->spec->sparsity);
        put_zeros(&p);
        p.chosen = 1;
    }
    const maas_tuning each = {after_step, &p};
    MAAS_TRY(maas_fine_tune(c, NULL, &each, err));
    return say(c, a, err);
}

maas_status maas_step_prune_magnitude(maas_step_call *c, maas_err *err)
{
    maas_arena a;
    maas_arena_init(&a, c->job->budget);
    const maas_status st = prune(c, &a, err);
    maas_arena_reset(&a);
    return st;
}
