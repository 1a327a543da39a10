/*
 * What a model file costs to run, and what of it: the time of one run on one core, and of each step
 * with the name of its kernel ("reference" where there is none).
 *
 *   bench_model FILE [ROWS...]
 *
 * Inputs are random numbers, or one of a few words.
 */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/sys.h"
#include "formats/model.h"
#include "graph/op.h"
#include "runtime/plan.h"

static void stop(const char *what, const maas_err *err)
{
    fprintf(stderr, "%s: %s\n", what, err->msg);
    exit(1);
}

static void fill(maas_rng *rng, maas_tensor *t)
{
    static const maas_str words[] = {{"red", 3}, {"green", 5}, {"blue", 4}, {"none", 4}};
    for (int64_t i = 0; i < maas_n_elems(t); i++)
        if (t->dtype == MAAS_STRING)
            ((maas_str *)t->data)[i] = words[(int)(4 * maas_rng_unit(rng))];
        else
            maas_tensor_set(t, i, 4 * maas_rng_unit(rng) - 2);
}

static double best_us(maas_exec *e)
{
    double best = 1e18;
    maas_err err = {0};
    const uint64_t end = maas_now_ns() + 200000000;
    for (int i = 0; i < 5 || (maas_now_ns() < end && i < 20000); i++) {
        const uint64_t t = maas_now_ns();
        if (maas_exec_run(e, &err) != MAAS_OK)
            stop("run", &err);
        const double us = (double)(maas_now_ns() - t) / 1e3;
        best = us < best ? us : best;
    }
    return best;
}

static void print_steps(maas_exec *e)
{
    maas_err err = {0};
    maas_buf text = MAAS_BUF_INIT(1 << 20);
    maas_exec_profile(e, true);
    maas_exec_run(e, &err);
    maas_exec_run(e, &err);
    maas_exec_profile_json(e, &text);
    json_t *steps = json_loadb(text.p, text.n, 0, NULL), *step;
    size_t i;
    json_array_foreach(steps, i, step)
    {
        char *line = json_dumps(step, JSON_COMPACT);
        printf("    %s\n", line);
        free(line);
    }
    json_decref(steps);
    maas_buf_reset(&text);
}

static void measure(const maas_graph *g, int64_t rows)
{
    maas_err err = {0};
    maas_rng rng;
    maas_plan *p = NULL;
    maas_exec *e = NULL;
    maas_type types[256];
    maas_plan_opts opts = MAAS_PLAN_OPTS_INIT;
    opts.n_threads = 1;
    if (g->n_inputs > MAAS_COUNT(types))
        exit(1);
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        types[i] = maas_graph_at(g, g->inputs[i])->type;
        for (int d = 0; d < types[i].rank; d++)
            types[i].dims[d] = types[i].dims[d] < 0 ? rows : types[i].dims[d];
    }
    if (maas_plan_create(g, types, &opts, &p, &err) != MAAS_OK ||
        maas_exec_create(p, NULL, &e, &err) != MAAS_OK)
        stop("plan", &err);
    maas_rng_seed(&rng, 1);
    for (uint32_t i = 0; i < g->n_inputs; i++)
        fill(&rng, maas_exec_input(e, i));
    const double estimate = maas_plan_cost_us(p);
    printf("  %lld rows: %.2f us, estimated %.2f us\n", (long long)rows, best_us(e), estimate);
    print_steps(e);
    maas_exec_destroy(e);
    maas_plan_destroy(p);
}

int main(int argc, char **argv)
{
    maas_err err = {0};
    maas_map file;
    maas_graph *g = NULL;
    const maas_model_format *format;
    const int fd = argc < 2 ? -1 : open(argv[1], O_RDONLY | O_CLOEXEC);
    if (fd < 0 || maas_sys_map(fd, &file, &err) != MAAS_OK)
        stop("open", &err);
    const maas_span bytes = maas_span_of(file.p, file.n);
    if (maas_model_format_find(bytes, NULL, &format, &err) != MAAS_OK ||
        format->read(bytes, NULL, &g, &err) != MAAS_OK)
        stop("read", &err);
    printf("%s\n", argv[1]);
    for (int i = 2; i < argc; i++)
        measure(g, strtol(argv[i], NULL, 10));
    maas_graph_destroy(g);
    return 0;
}
