#include "formats/model.h"

#include <stdio.h>
#include <string.h>

#include "formats/boosted.h"
#include "formats/onnx.h"
#include "formats/pmml/pmml.h"
#include "formats/sklearn/sklearn.h"
#include "formats/svm/svm.h"
#include "graph/op.h"
#include "base/ban.h"

static maas_status read_onnx(maas_span file, maas_budget *budget, maas_graph **out, maas_err *err)
{
    const maas_onnx_opts o = {.budget = budget};
    return maas_onnx_read(file, &o, out, err);
}

const maas_model_format maas_model_formats[] = {
    {"catboost", ".json", maas_catboost_probe, maas_catboost_read},
    {"liblinear", ".model", maas_liblinear_probe, maas_liblinear_read},
    {"libsvm", ".model", maas_libsvm_model_probe, maas_libsvm_model_read},
    {"lightgbm", ".txt .bst .lgb", maas_lightgbm_probe, maas_lightgbm_read},
    {"onnx", ".onnx", maas_onnx_probe, read_onnx},
#ifndef MAAS_EDGE
    {"pmml", ".pmml .xml", maas_pmml_probe, maas_pmml_read},
    {"sklearn", ".pkl .pickle .joblib", maas_sk_probe, maas_sk_read},
#endif
    {"xgboost", ".json .ubj .bst .model", maas_xgboost_probe, maas_xgboost_read},
};
const size_t maas_n_model_formats = MAAS_COUNT(maas_model_formats);

/* "catboost, liblinear, ..." */
static const char *known_names(char *to, size_t size)
{
    size_t n = 0;
    to[0] = '\0';
    for (size_t i = 0; i < maas_n_model_formats && n < size; i++)
        n += (size_t)snprintf(to + n, size - n, i ? ", %s" : "%s", maas_model_formats[i].name);
    return to;
}

maas_status maas_model_format_find(maas_span file, const char *name, const maas_model_format **out,
                                   maas_err *err)
{
    const maas_model_format *best = NULL;
    int best_score = 0;
    for (size_t i = 0; i < maas_n_model_formats; i++) {
        const maas_model_format *f = &maas_model_formats[i];
        int score = name ? (strcmp(name, f->name) == 0 ? 100 : 0) : f->probe(file);
        if (score > best_score) {
            best = f;
            best_score = score;
        }
    }
    if (best) {
        *out = best;
        return MAAS_OK;
    }
    char known[256];
    known_names(known, sizeof known);
    if (name)
        return maas_fail(err, MAAS_E_INVALID, "there is no model format '%.32s'; known: %s", name,
                         known);
    return maas_fail(err, MAAS_E_FORMAT, "this is no model file of a known format (known: %s)",
                     known);
}

static json_t *shape_json(const maas_type *t)
{
    json_t *shape = json_array();
    for (int d = 0; d < t->rank; d++)
        json_array_append_new(shape, json_integer(t->dims[d] < 0 ? -1 : t->dims[d]));
    return shape;
}

json_t *maas_model_ports(const maas_graph *g, const maas_vid *ids, uint32_t n)
{
    json_t *ports = json_array();
    for (uint32_t i = 0; i < n; i++) {
        const maas_value *v = maas_graph_at(g, ids[i]);
        json_array_append_new(ports, json_pack("{s:s, s:s, s:o}", "name", v->name, "datatype",
                                               maas_dtype_describe(v->type.dtype)->oip, "shape",
                                               shape_json(&v->type)));
    }
    return ports;
}

/* A tensor of the shape of a value, symbolic sizes as 1, for counting operations. */
static maas_tensor shape_only(const maas_graph *g, maas_vid id)
{
    maas_tensor t = {0};
    if (id < 0)
        return t;
    const maas_value *v = maas_graph_at(g, id);
    t = maas_tensor_of(v->type.dtype, v->type.rank > 0 ? v->type.rank : 0, v->type.dims,
                       v->init.data);
    for (int d = 0; d < t.rank; d++)
        if (t.dims[d] < 0)
            t.dims[d] = 1;
    return t;
}

static int64_t node_flops(const maas_graph *g, const maas_node *n)
{
    maas_arena a;
    maas_arena_init(&a, NULL);
    maas_tensor *in = maas_arena_array(&a, (size_t)n->n_in + 1, sizeof *in);
    maas_tensor *out = maas_arena_array(&a, (size_t)n->n_out + 1, sizeof *out);
    int64_t flops = 0;
    if (in && out && n->op->flops) {
        for (int i = 0; i < n->n_in; i++)
            in[i] = shape_only(g, n->in[i]);
        for (int i = 0; i < n->n_out; i++)
            out[i] = shape_only(g, n->out[i]);
        const maas_call c = {
            .node = n, .in = in, .out = out, .n_in = n->n_in, .n_out = n->n_out, .n_threads = 1};
        flops = n->op->flops(&c);
    }
    maas_arena_reset(&a);
    return flops;
}

/* Elements of the floating-point constants a node reads: its trained parameters. */
static int64_t node_parameters(const maas_graph *g, const maas_node *n, int64_t *out_bytes)
{
    int64_t count = 0;
    *out_bytes = 0;
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] < 0)
            continue;
        const maas_value *v = maas_graph_at(g, n->in[i]);
        if (!v->init.data || maas_dtype_describe(v->init.dtype)->kind != MAAS_KIND_FLOAT)
            continue;
        count += maas_n_elems(&v->init);
        *out_bytes += (int64_t)maas_tensor_bytes(&v->init);
    }
    return count;
}

json_t *maas_model_info(const maas_graph *g)
{
    json_t *layers = json_array(), *meta = json_object();
    int64_t parameters = 0, flops = 0, bytes = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const maas_node *n = &g->nodes[i];
        int64_t own_bytes, own_flops = node_flops(g, n);
        int64_t p = node_parameters(g, n, &own_bytes);
        flops += own_flops;
        parameters += p;
        const maas_value *out = n->n_out && n->out[0] >= 0 ? maas_graph_at(g, n->out[0]) : NULL;
        json_array_append_new(layers,
                              json_pack("{s:s, s:s, s:s, s:o, s:I, s:I, s:I}", "op", n->op->name,
                                        "name", n->name, "output", out ? out->name : "", "shape",
                                        out ? shape_json(&out->type) : json_array(), "parameters",
                                        (json_int_t)p, "bytes", (json_int_t)own_bytes,
                                        "flops_per_row", (json_int_t)own_flops));
    }
    for (uint32_t i = 0; i < g->n_values; i++)
        if (g->values[i].init.data)
            bytes += (int64_t)maas_tensor_bytes(&g->values[i].init);
    for (uint32_t i = 0; i < g->n_meta; i++)
        json_object_set_new(meta, g->meta[i].key, json_string(g->meta[i].value));
    return json_pack("{s:o, s:I, s:I, s:I, s:o}", "layers", layers, "parameters",
                     (json_int_t)parameters, "bytes", (json_int_t)bytes, "flops_per_row",
                     (json_int_t)flops, "meta", meta);
}
