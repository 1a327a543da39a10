/* formats/model_info.c - what can be said about a model without running it. */
#include "formats/model.h"
#include "graph/op.h"
#include "base/ban.h"

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
