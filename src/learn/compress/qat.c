/*
 * learn/compress/qat.c - step qat: training that goes on with every product rounded as static_int8
 * will round it (learn/fake_bytes.h), and then the same graph of bytes.
 *
 * Ranges of what goes into products are measured before the training, and kept; or they are learned
 * with the weights, each end by what lies beyond it.
 */
#include <math.h>

#include "base/mem.h"
#include "learn/compress/static_int8.h"
#include "learn/fake_bytes.h"
#include "runtime/plan.h"
#include "base/ban.h"

enum { KEPT, LEARNED };
static const char *const ways[] = {"kept", "learned", NULL};

const maas_param maas_step_qat_rows[10] = {
    {"fine_tune", MAAS_PARAM_INT, MAAS_STEP_AT(fine_tune), 1, 1e6, 2,
     .help = "epochs of training with the roundings"},
    {"lr", MAAS_PARAM_NUM, MAAS_STEP_AT(lr), 1e-12, 1e3, NAN,
     .help = "learning rate; else that of the training"},
    {"ranges", MAAS_PARAM_CHOICE, MAAS_STEP_AT(ranges), .preset = KEPT, .choices = ways,
     .help = "of inputs: as measured before the training, or learned from there on"},
    {"method", MAAS_PARAM_CHOICE, MAAS_STEP_AT(method), .preset = MAAS_RANGE_MINMAX,
     .choices = maas_range_methods, .help = "what the range of an input is"},
    {"percentile", MAAS_PARAM_NUM, MAAS_STEP_AT(percentile), 50, 100, 99.99,
     .help = "with method percentile: so many of a hundred values are within the range"},
    {"rows", MAAS_PARAM_INT, MAAS_STEP_AT(rows), 1, 1 << 24, 512,
     .help = "of the data set, not held out, to measure ranges on"},
    {"format", MAAS_PARAM_CHOICE, MAAS_STEP_AT(format), .choices = maas_static_formats,
     .help = "integer: operators on bytes; qdq: quantized values around the operators of floats"},
    {"per_channel", MAAS_PARAM_BOOL, MAAS_STEP_AT(per_channel), .preset = 1,
     .help = "a scale for each output; else one for the tensor"},
    {"reduce_range", MAAS_PARAM_BOOL, MAAS_STEP_AT(reduce_range), .preset = 0,
     .help = "weights of 7 bits, for processors and runtimes that add pairs of products in 16"},
    {"min_elements", MAAS_PARAM_INT, MAAS_STEP_AT(min_elements), 1, 1e9, 64,
     .help = "smaller weights stay as they are"},
};

typedef struct awareness {
    maas_fake_product *at;
    maas_fake_range *ranges; /* where they are now */
    uint32_t n_ranges;
    maas_fake_bytes bytes;
} awareness;

/* ---- products by the names of their weights, before training ---- */

static const maas_fake_product *known(const awareness *w, const char *weight)
{
    for (size_t i = 0; i < w->bytes.n; i++)
        if (strcmp(w->at[i].weight, weight) == 0)
            return &w->at[i];
    return NULL;
}

/* A weight of several products has one range of what they read. */
static maas_status add(awareness *w, const maas_static_quant *s, maas_vid weight, maas_vid x,
                       maas_arena *a, maas_err *err)
{
    const char *name = maas_graph_at(s->c->g, weight)->name;
    const maas_range *r = &s->range[maas_static_number(s, x)];
    const maas_fake_product *have = known(w, name);
    maas_fake_product *to = &w->at[w->bytes.n];
    if (have) {
        maas_fake_range *both = &w->ranges[have->input];
        *both = (maas_fake_range){fminf(both->low, r->lo), fmaxf(both->high, r->hi)};
        return MAAS_OK;
    }
    *to = (maas_fake_product){maas_arena_strdup(a, name), maas_static_number(s, x)};
    if (!to->weight)
        return maas_fail(err, MAAS_E_NOMEM, "memory for names of weights");
    w->bytes.n++;
    return MAAS_OK;
}

static maas_status describe(awareness *w, const maas_static_quant *s, maas_arena *a, maas_err *err)
{
    w->at = maas_arena_array(a, s->dense.n + s->n_conv, sizeof *w->at);
    w->ranges = maas_arena_array(a, s->n, sizeof *w->ranges);
    w->n_ranges = s->n;
    if (!w->at || !w->ranges)
        return maas_fail(err, MAAS_E_NOMEM, "memory for ranges");
    for (uint32_t i = 0; i < s->n; i++)
        w->ranges[i] = (maas_fake_range){s->range[i].lo, s->range[i].hi};
    w->bytes = (maas_fake_bytes){.learned = s->c->spec->ranges == LEARNED,
                                 .per_channel = s->bytes.per_channel,
                                 .limit = s->bytes.limit};
    for (size_t i = 0; i < s->dense.n; i++)
        MAAS_TRY(add(w, s, s->dense.at[i].w, s->dense.at[i].x, a, err));
    for (size_t i = 0; i < s->n_conv; i++)
        MAAS_TRY(add(w, s, s->conv[i].w, s->conv[i].x, a, err));
    w->bytes.at = w->at;
    w->bytes.ranges = w->ranges;
    return MAAS_OK;
}

/* ---- while it trains ---- */

/* What the last step leaves is what the file has. */
static void follow(void *user, maas_vars *vars, double done)
{
    awareness *w = user;
    char name[40];
    for (uint32_t i = 0; w->bytes.learned && i < w->n_ranges; i++)
        for (int high = 0; high < 2; high++) {
            maas_fake_range_name(i, high, name);
            const maas_tensor *t = maas_vars_find(vars, name);
            if (t)
                *(high ? &w->ranges[i].high : &w->ranges[i].low) = *(const float *)t->data;
        }
}

/* ---- afterwards ---- */

static maas_status take(maas_static_quant *s, const awareness *w, maas_vid weight, maas_vid x,
                        maas_err *err)
{
    const char *name = maas_graph_at(s->c->g, weight)->name;
    const maas_fake_product *p = known(w, name);
    if (!p)
        return maas_fail(err, MAAS_E_INTERNAL, "weight '%.80s' came up in training", name);
    const maas_fake_range r = w->ranges[p->input];
    s->range[maas_static_number(s, x)] = (maas_range){fminf(r.low, 0), fmaxf(r.high, 0)};
    return MAAS_OK;
}

static maas_status take_ranges(maas_static_quant *s, const awareness *w, maas_err *err)
{
    for (size_t i = 0; i < s->dense.n; i++)
        MAAS_TRY(take(s, w, s->dense.at[i].w, s->dense.at[i].x, err));
    for (size_t i = 0; i < s->n_conv; i++)
        MAAS_TRY(take(s, w, s->conv[i].w, s->conv[i].x, err));
    return MAAS_OK;
}

static maas_status aware(maas_step_call *c, maas_arena *a, maas_err *err)
{
    maas_static_quant s;
    awareness w = {0};
    MAAS_TRY(maas_static_collect(c, a, &s, err));
    MAAS_TRY(maas_static_measure(&s, err));
    MAAS_TRY(describe(&w, &s, a, err));
    const maas_tuning each = {follow, &w};
    c->bytes = &w.bytes;
    const maas_status st = maas_fine_tune(c, NULL, &each, err);
    c->bytes = NULL;
    MAAS_TRY(st);
    MAAS_TRY(maas_static_collect(c, a, &s, err));
    MAAS_TRY(take_ranges(&s, &w, err));
    return maas_static_write(&s, err);
}

maas_status maas_step_qat(maas_step_call *c, maas_err *err)
{
    maas_arena a;
    maas_arena_init(&a, c->job->budget);
    const maas_status st = aware(c, &a, err);
    maas_arena_reset(&a);
    return st;
}
