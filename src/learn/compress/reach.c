/*
 * learn/compress/reach.c - a target instead of steps: a ladder of chains, gentle ones first. The
 * first that reaches the target within the drop is it; all that were tried are in the table.
 *
 * Rungs for size keep the work as it is and store less; rungs for time do less work. A model that a
 * rung says nothing to (no dense layers, no training to go on from) skips it, and the table says
 * so.
 */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "learn/compress/run.h"
#include "base/ban.h"

enum { SIZE = 1, TIME = 2 };

typedef struct rung {
    int helps; /* SIZE, TIME */
    const char *steps;
} rung;

/* %FT: epochs of "fine_tune". */
static const rung ladder[] = {
    {SIZE, "['f16']"},
    {TIME, "['static_int8']"},
    {SIZE, "['int8']"},
    {SIZE, "[{'type':'prune_neurons','ratio':0.1,'fine_tune':%FT},'int8']"},
    {SIZE | TIME, "[{'type':'prune_neurons','ratio':0.25,'fine_tune':%FT},'static_int8']"},
    {SIZE, "[{'type':'prune_neurons','ratio':0.25,'fine_tune':%FT},'int8']"},
    {SIZE, "['cluster']"},
    {TIME, "[{'type':'prune_neurons','ratio':0.25,'fine_tune':%FT}]"},
    {SIZE | TIME, "[{'type':'low_rank','energy':0.9}]"},
    {SIZE | TIME, "[{'type':'prune_blocks','fine_tune':%FT},'static_int8']"},
    {TIME, "[{'type':'prune_neurons','ratio':0.5,'fine_tune':%FT}]"},
    {SIZE | TIME, "[{'type':'prune_neurons','ratio':0.5,'fine_tune':%FT},'static_int8']"},
    {SIZE, "[{'type':'prune_neurons','ratio':0.5,'fine_tune':%FT},'cluster']"},
    {SIZE | TIME, "[{'type':'prune_neurons','ratio':0.75,'fine_tune':%FT},'static_int8']"},
    {SIZE, "[{'type':'prune_neurons','ratio':0.75,'fine_tune':%FT},'cluster']"},
};
const size_t maas_n_compress_rungs = MAAS_COUNT(ladder);

json_t *maas_compress_rung(size_t i, int64_t fine_tune)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(4096);
    json_t *steps = NULL;
    for (const char *p = ladder[i].steps; *p; p++)
        if (strncmp(p, "%FT", 3) == 0) {
            maas_buf_printf(&text, "%lld", (long long)fine_tune);
            p += 2;
        } else {
            maas_buf_char(&text, *p == '\'' ? '"' : *p);
        }
    return !text.failed && maas_json_parse(maas_buf_span(&text), &steps, NULL) == MAAS_OK ? steps
                                                                                          : NULL;
}

static bool wanted(const maas_compress_target *t, const rung *r)
{
    return (!isnan(t->size_ratio) && (r->helps & SIZE)) ||
           (!isnan(t->latency_ratio) && (r->helps & TIME));
}

static bool reached(const maas_compress_target *t, const maas_measured *m)
{
    return (isnan(t->size_ratio) || m->size_ratio <= t->size_ratio) &&
           (isnan(t->latency_ratio) || m->latency_ratio <= t->latency_ratio);
}

/* A rung that the model has nothing for. */
static maas_status note_skipped(maas_compressing *x, json_t *steps, const maas_err *why,
                                maas_err *err)
{
    json_t *row = json_pack("{s:O, s:s}", "steps", steps, "error", why->msg);
    return row && json_array_append_new(x->trials, row) == 0
               ? MAAS_OK
               : maas_fail(err, MAAS_E_NOMEM, "memory for the table of trials");
}

static maas_status try_rung(maas_compressing *x, size_t i, maas_chain *out, maas_err *err)
{
    AUTO(maas_json_unref) json_t *steps = maas_compress_rung(i, x->spec->fine_tune), *spec = NULL;
    maas_arena a;
    maas_compress_spec s;
    maas_err why = {0};
    spec = steps ? json_pack("{s:O}", "steps", steps) : NULL;
    if (!spec)
        return maas_fail(err, MAAS_E_NOMEM, "memory for steps");
    maas_arena_init(&a, x->job->budget);
    maas_status st = maas_compress_spec_read(spec, &a, &s, err);
    const double n = (double)MAAS_COUNT(ladder);
    if (st == MAAS_OK) {
        st = maas_compress_chain(x, s.steps.items, s.steps.n, 0.05 + 0.9 * (double)i / n,
                                 0.05 + 0.9 * (double)(i + 1) / n, out, &why);
        if (st == MAAS_E_UNSUPPORTED) {
            out->measured.size_ratio = out->measured.latency_ratio = INFINITY;
            st = note_skipped(x, steps, &why, err);
        } else if (st != MAAS_OK) {
            *err = why;
        }
    }
    maas_arena_reset(&a);
    return st;
}

static maas_status out_of_reach(const maas_compressing *x, maas_err *err)
{
    const maas_compress_target *t = &x->spec->target;
    char size[40] = "", latency[40] = "";
    if (!isnan(t->size_ratio))
        snprintf(size, sizeof size, "size_ratio %g", t->size_ratio);
    if (!isnan(t->latency_ratio))
        snprintf(latency, sizeof latency, "%slatency_ratio %g", *size ? " and " : "",
                 t->latency_ratio);
    return maas_fail(
        err, MAAS_E_CONFLICT,
        "no steps reached %s%s while %s fell by at most %g ('max_metric_drop'): nothing "
        "was published; the result has the table of what was tried",
        size, latency, x->measure.scorer->name, x->spec->max_metric_drop);
}

maas_status maas_compress_reach(maas_compressing *x, maas_chain *best, maas_err *err)
{
    const maas_compress_target *t = &x->spec->target;
    for (size_t i = 0; i < MAAS_COUNT(ladder); i++) {
        if (!wanted(t, &ladder[i]))
            continue;
        maas_chain_reset(best);
        MAAS_TRY(maas_chain_init(best, err));
        MAAS_TRY(try_rung(x, i, best, err));
        if (reached(t, &best->measured) && best->measured.drop <= x->spec->max_metric_drop)
            return MAAS_OK;
    }
    return out_of_reach(x, err);
}
