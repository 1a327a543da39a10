/* Changes of a node between file and graph: what the rows of the upgrade tables are made of. */
#include "formats/onnx_int.h"

#include "ops/build.h"
#include "base/ban.h"

maas_attr *maas_onnx_attr_find(const maas_onnx_node *n, const char *name)
{
    for (uint32_t i = 0; i < n->n_attr; i++)
        if (strcmp(n->attr[i].name, name) == 0)
            return &n->attr[i];
    return NULL;
}

void maas_onnx_attr_drop(maas_onnx_node *n, const maas_attr *a)
{
    uint32_t at = (uint32_t)(a - n->attr);
    n->n_attr--;
    memmove(&n->attr[at], &n->attr[at + 1], (n->n_attr - at) * sizeof *n->attr);
    memmove(&n->body[at], &n->body[at + 1], (n->n_attr - at) * sizeof *n->body);
}

maas_status maas_onnx_attr_add(maas_onnx_reader *r, maas_onnx_node *n, const maas_attr *a)
{
    maas_attr *attr = maas_arena_array(&r->scratch, n->n_attr + 1u, sizeof *attr);
    maas_span *body = maas_arena_array(&r->scratch, n->n_attr + 1u, sizeof *body);
    if (!attr || !body)
        return maas_onnx_no_memory(r->err);
    if (n->n_attr) {
        memcpy(attr, n->attr, n->n_attr * sizeof *attr);
        memcpy(body, n->body, n->n_attr * sizeof *body);
    }
    attr[n->n_attr] = *a;
    n->attr = attr;
    n->body = body;
    n->n_attr++;
    return MAAS_OK;
}

maas_status maas_onnx_ints_to_input(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n,
                                    const char *name, uint32_t at)
{
    const maas_attr *a = maas_onnx_attr_find(n, name);
    if (!a)
        return MAAS_OK;
    const bool single = a->type == MAAS_ATTR_INT;
    if ((!single && a->type != MAAS_ATTR_INTS) || n->n_in > at || at >= n->in_cap)
        return maas_fail(r->err, MAAS_E_FORMAT, "attribute '%s' must be integers", name);
    const int64_t dims[] = {single ? 1 : a->n};
    const void *data = single ? &a->u.i : a->u.ints;
    const maas_tensor t = maas_tensor_of(MAAS_I64, 1, dims, (void *)(uintptr_t)data);
    while (n->n_in < at)
        n->in[n->n_in++] = MAAS_NO_VALUE;
    MAAS_TRY(maas_graph_const(g, NULL, &t, true, &n->in[at], r->err));
    n->n_in = at + 1;
    maas_onnx_attr_drop(n, a);
    return MAAS_OK;
}

/* A node of the default domain beside the one that is read. */
maas_status maas_onnx_extra_node(maas_onnx_reader *r, maas_graph *g, const char *op,
                                 const maas_attr *attr, const maas_vid *in, uint32_t n_in,
                                 maas_vid *out)
{
    maas_nid nid;
    MAAS_TRY(
        maas_graph_node(g, maas_op_find("", op, MAAS_OPSET), "", in, n_in, out, 1, &nid, r->err));
    return attr ? maas_node_set(g, nid, attr, r->err) : MAAS_OK;
}

/* A number as a scalar input of the dtype of input 0, which may not be known yet. */
maas_status maas_onnx_float_to_input(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n,
                                     const char *name, uint32_t at)
{
    const maas_attr *a = maas_onnx_attr_find(n, name);
    if (!a)
        return MAAS_OK;
    if (a->type != MAAS_ATTR_FLOAT || n->n_in < 1 || n->n_in > at || at >= n->in_cap)
        return maas_fail(r->err, MAAS_E_FORMAT, "attribute '%s' must be a number", name);
    float v = a->u.f;
    const maas_tensor t = maas_tensor_of(MAAS_F32, 0, NULL, &v);
    maas_vid in[2], out = MAAS_NO_VALUE;
    MAAS_TRY(maas_graph_const(g, NULL, &t, true, &in[0], r->err));
    in[1] = n->in[0];
    while (n->n_in < at)
        n->in[n->n_in++] = MAAS_NO_VALUE;
    MAAS_TRY(maas_onnx_extra_node(r, g, "CastLike", NULL, in, 2, &out));
    n->in[at] = out;
    n->n_in = at + 1;
    maas_onnx_attr_drop(n, a);
    return MAAS_OK;
}
