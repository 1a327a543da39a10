/* lib/model.c - maas_model_* of the public header. */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "formats/onnx.h"
#include "lib/lib_int.h"
#include "graph/op.h"
#include "ops/image.h"
#include "base/ban.h"

void maas_string_free(char *s)
{
    maas_free(s);
}

void maas_model_ref(maas_model *m)
{
    atomic_fetch_add(&m->refs, 1);
}

/* Pictures are decoded in this process: they are the program's own, as its models are. */
static void open_decoders(const maas_graph *g)
{
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (strcmp(g->nodes[i].op->name, "ImageDecoder") == 0) {
            maas_image_open();
            return;
        }
}

static void free_ios(maas_io *ios, uint32_t n)
{
    for (uint32_t i = 0; ios && i < n; i++)
        maas_free((void *)ios[i].dims);
    maas_free(ios);
}

void maas_model_free(maas_model *m)
{
    if (!m || atomic_fetch_sub(&m->refs, 1) != 1)
        return;
    if (m->graph) {
        free_ios(m->inputs, m->graph->n_inputs);
        free_ios(m->outputs, m->graph->n_outputs);
    }
    maas_graph_destroy(m->graph);
    maas_lib_files_free(m);
    maas_sys_unmap(&m->file);
    maas_free(m);
}

/* Names stay those of the graph; dimensions are copied because symbols show as -1. */
static maas_status make_ios(const maas_graph *g, const maas_vid *ids, uint32_t n, maas_io **out,
                            maas_err *err)
{
    maas_io *ios = *out = maas_calloc(n + 1, sizeof *ios);
    for (uint32_t i = 0; ios && i < n; i++) {
        const maas_value *v = maas_graph_at(g, ids[i]);
        int rank = v->type.rank;
        if (v->type.tag != MAAS_TYPE_TENSOR)
            return maas_fail(err, MAAS_E_UNSUPPORTED, "'%s' is a %s; sessions take tensors",
                             v->name, maas_type_words[v->type.tag]);
        int64_t *dims = maas_calloc((size_t)(rank > 0 ? rank : 0) + 1, sizeof *dims);
        if (!dims)
            return maas_fail(err, MAAS_E_NOMEM, "memory for a model");
        for (int d = 0; d < rank; d++)
            dims[d] = v->type.dims[d] < 0 ? -1 : v->type.dims[d];
        ios[i] = (maas_io){v->name, (maas_dtype)v->type.dtype, rank, dims};
    }
    return ios ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "memory for a model");
}

static maas_status read_options(maas_model *m, const maas_load_opts *opts, maas_err *err)
{
    /* An older program has a shorter struct: what it lacks is zero, the default. */
    maas_load_opts o = MAAS_LOAD_OPTS_INIT;
    if (opts && opts->size > sizeof o)
        return maas_fail(err, MAAS_E_INVALID,
                         "maas_load_opts.size is that of a newer library: rebuild or upgrade");
    if (opts)
        memcpy(&o, opts, opts->size);
    if (o.n_threads > 4096)
        return maas_fail(err, MAAS_E_INVALID, "n_threads is %u; at most 4096", o.n_threads);
    m->n_threads = (int)o.n_threads;
    m->budget.limit = o.memory_limit > SIZE_MAX ? SIZE_MAX : (size_t)o.memory_limit;
    return MAAS_OK;
}

/* Of the file, or of one beside it: all are mapped. */
static void rest(void *user, maas_span copied)
{
    (void)user;
    maas_sys_map_rest_part(copied);
}

static maas_status load(maas_model *m, const char *path, const maas_load_opts *opts, maas_err *err)
{
    AUTO_FD fd = -1;
    if (!path)
        return maas_fail(err, MAAS_E_INVALID, "no path was given");
    MAAS_TRY(read_options(m, opts, err));
    MAAS_TRY(maas_sys_open(path, O_RDONLY, &fd, err));
    MAAS_TRY(maas_sys_map(fd, &m->file, err));
    const maas_span file = maas_span_of(m->file.p, m->file.n);
    if (maas_onnx_probe(file) == 0)
        return maas_fail(err, MAAS_E_FORMAT,
                         "this is no model file of a known format (known: onnx; others are "
                         "imported by a server, which gives back ONNX)");
    maas_lib_beside beside = {m, path};
    const maas_onnx_opts o = {
        .budget = &m->budget, .external = maas_lib_external, .copied = rest, .user = &beside};
    MAAS_TRY(maas_onnx_read(file, &o, &m->graph, err));
    open_decoders(m->graph);
    MAAS_TRY(make_ios(m->graph, m->graph->inputs, m->graph->n_inputs, &m->inputs, err));
    return make_ios(m->graph, m->graph->outputs, m->graph->n_outputs, &m->outputs, err);
}

maas_status maas_model_load(const char *path, const maas_load_opts *opts, maas_model **out_model,
                            char **out_error)
{
    maas_err err = {0};
    maas_model *m = maas_calloc(1, sizeof *m);
    maas_status st = MAAS_E_NOMEM;
    if (m) {
        atomic_init(&m->refs, 1);
        st = load(m, path, opts, &err);
    }
    if (st == MAAS_OK) {
        *out_model = m;
        return MAAS_OK;
    }
    maas_model_free(m);
    if (out_error) {
        const char *words = err.msg[0] ? err.msg : maas_status_text(st);
        *out_error = maas_strdup(words);
    }
    return st;
}

uint32_t maas_model_n_inputs(const maas_model *m)
{
    return m->graph->n_inputs;
}

uint32_t maas_model_n_outputs(const maas_model *m)
{
    return m->graph->n_outputs;
}

maas_status maas_model_input(const maas_model *m, uint32_t i, maas_io *out)
{
    if (i >= m->graph->n_inputs)
        return MAAS_E_NOT_FOUND;
    *out = m->inputs[i];
    return MAAS_OK;
}

maas_status maas_model_output(const maas_model *m, uint32_t i, maas_io *out)
{
    if (i >= m->graph->n_outputs)
        return MAAS_E_NOT_FOUND;
    *out = m->outputs[i];
    return MAAS_OK;
}
