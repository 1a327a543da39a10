/*
 * formats/onnx_saying.h - what says an operator of com.microsoft in the standard's words is made
 * of. A row makes the nodes before the last one; the last one takes the place of the node that is
 * read. Types are not known yet.
 */
#ifndef MAAS_FORMATS_ONNX_SAYING_H
#define MAAS_FORMATS_ONNX_SAYING_H

#include "formats/onnx_int.h"

#include "ops/build.h"

/* One operator being said otherwise. The status is sticky, so rows have no error paths. */
typedef struct saying {
    maas_onnx_reader *r;
    maas_graph *g;
    maas_onnx_node *n;
    maas_status st;
} saying;

static inline maas_vid input(const saying *s, uint32_t i)
{
    return i < s->n->n_in ? s->n->in[i] : MAAS_NO_VALUE;
}

static inline maas_vid required(saying *s, uint32_t i)
{
    if (s->st == MAAS_OK && input(s, i) == MAAS_NO_VALUE)
        s->st = maas_fail(s->r->err, MAAS_E_FORMAT, "input %u is missing", i);
    return input(s, i);
}

static inline const maas_attr *attr_of(const saying *s, const char *name, maas_attr_type type)
{
    for (uint32_t i = 0; i < s->n->n_attr; i++)
        if (strcmp(s->n->attr[i].name, name) == 0 && s->n->attr[i].type == type)
            return &s->n->attr[i];
    return NULL;
}

static inline int64_t int_of(const saying *s, const char *name, int64_t otherwise)
{
    const maas_attr *a = attr_of(s, name, MAAS_ATTR_INT);
    return a ? a->u.i : otherwise;
}

/* A node with up to 4 inputs, trailing ones may be left out; attributes as given. */
static inline void nodes_outputs(saying *s, const char *op, const maas_attr *attr, uint32_t n_attr,
                                 const maas_vid *in, uint32_t n_in, maas_vid *out, uint32_t n_out)
{
    maas_nid nid;
    for (uint32_t i = 0; i < n_out; i++)
        out[i] = MAAS_NO_VALUE;
    while (n_in && in[n_in - 1] == MAAS_NO_VALUE)
        n_in--;
    if (s->st == MAAS_OK)
        s->st = maas_graph_node(s->g, maas_op_find("", op, MAAS_OPSET), s->n->name, in, n_in, out,
                                n_out, &nid, s->r->err);
    for (uint32_t i = 0; i < n_attr && s->st == MAAS_OK; i++)
        s->st = maas_node_set(s->g, nid, &attr[i], s->r->err);
}

#define IN(...) ((const maas_vid[]){__VA_ARGS__}), MAAS_COUNT(((maas_vid[]){__VA_ARGS__}))

static inline maas_vid made(saying *s, const char *op, const maas_attr *attr, const maas_vid *in,
                            uint32_t n_in)
{
    maas_vid out = MAAS_NO_VALUE;
    nodes_outputs(s, op, attr, attr != NULL, in, n_in, &out, 1);
    return out;
}

static inline maas_vid constant(saying *s, const maas_tensor *t)
{
    maas_vid v = MAAS_NO_VALUE;
    if (s->st == MAAS_OK)
        s->st = maas_graph_const(s->g, NULL, t, true, &v, s->r->err);
    return v;
}

static inline maas_vid number(saying *s, float v)
{
    const maas_tensor t = maas_tensor_of(MAAS_F32, 0, NULL, &v);
    return constant(s, &t);
}

/* What must be one number, with rank 0: inference refuses anything else. */
static inline maas_vid scalar(saying *s, maas_vid v)
{
    int64_t none = 0;
    const maas_tensor t = maas_tensor_of(MAAS_I64, 1, (const int64_t[]){0}, &none);
    return made(s, "Reshape", NULL, IN(v, constant(s, &t)));
}

static inline maas_vid as(saying *s, maas_vid v, maas_dtype t)
{
    const maas_attr to = MAAS_A_INT("to", t);
    return made(s, "Cast", &to, IN(v));
}

/* The node that is read becomes this one. */
static inline void becomes_with(saying *s, const char *op, const maas_attr *attr, uint32_t n_attr,
                                const maas_vid *in, uint32_t n_in)
{
    maas_onnx_node *n = s->n;
    maas_arena *a = &s->r->scratch;
    while (n_in && in[n_in - 1] == MAAS_NO_VALUE)
        n_in--;
    n->op = op;
    n->domain = "";
    n->attr = maas_arena_array(a, n_attr, sizeof *n->attr);
    n->body = maas_arena_array(a, n_attr, sizeof *n->body);
    n->in = maas_arena_array(a, n_in, sizeof *n->in);
    n->n_attr = n->n_in = n->in_cap = 0;
    if (!n->attr || !n->body || !n->in) {
        s->st = s->st == MAAS_OK ? maas_onnx_no_memory(s->r->err) : s->st;
        return;
    }
    n->n_attr = n_attr;
    n->n_in = n->in_cap = n_in;
    for (uint32_t i = 0; i < n_attr; i++) {
        n->attr[i] = attr[i];
        n->body[i] = (maas_span){0};
    }
    for (uint32_t i = 0; i < n_in; i++)
        n->in[i] = in[i];
}

static inline void becomes(saying *s, const char *op, const maas_attr *attr, const maas_vid *in,
                           uint32_t n_in)
{
    becomes_with(s, op, attr, attr != NULL, in, n_in);
}

/* Of the networks' operators (onnx_microsoft_nn.c); what is not one of them stays as it is. */
void maas_onnx_say_network(saying *s);
void maas_onnx_say_conv(saying *s); /* onnx_microsoft_conv.c */

#endif
