/*
 * tests/unit/formats/onnx_make.h - small models written by hand with the protobuf writer, so that
 * each part can be made wrong. Not with onnx_write.c: that is tested elsewhere.
 */
#ifndef MAAS_TEST_ONNX_MAKE_H
#define MAAS_TEST_ONNX_MAKE_H

#include "base/mem.h"
#include "formats/onnx_int.h"

/* y = op(x, w): what a field leaves 0 or NULL is as in a good model. */
typedef struct onnx_make {
    const char *op, *domain;
    int opset, ml;
    const char *x, *y, *in2;           /* names of the node's values */
    void (*tensor)(maas_pb_writer *w); /* fields of initializer "w" */
    void (*node)(maas_pb_writer *w);   /* more fields of the node   */
    void (*graph)(maas_pb_writer *w);  /* more fields of the graph  */
    void (*model)(maas_pb_writer *w);  /* more fields of the model  */
    void (*input)(maas_pb_writer *w);  /* the type of input x       */
    bool no_ir, no_opset;
} onnx_make;

static inline void onnx_put_opset(maas_pb_writer *w, const char *domain, int version)
{
    maas_pb_begin(w, MODEL_OPSET);
    maas_pb_text(w, OPSET_DOMAIN, domain);
    maas_pb_int(w, OPSET_VERSION, version);
    maas_pb_end(w);
}

static inline void onnx_put_type(maas_pb_writer *w, int dtype, const int64_t *dims, int rank)
{
    maas_pb_begin(w, INFO_TYPE);
    maas_pb_begin(w, TYPE_TENSOR);
    maas_pb_int(w, TENSOR_TYPE_ELEM, dtype);
    maas_pb_begin(w, TENSOR_TYPE_SHAPE);
    for (int i = 0; i < rank; i++) {
        maas_pb_begin(w, SHAPE_DIM);
        if (dims[i] >= 0)
            maas_pb_int(w, DIM_VALUE, dims[i]);
        else
            maas_pb_text(w, DIM_PARAM, "batch");
        maas_pb_end(w);
    }
    maas_pb_end(w);
    maas_pb_end(w);
    maas_pb_end(w);
}

static inline void onnx_put_info(maas_pb_writer *w, uint32_t field, const char *name, int dtype)
{
    const int64_t dims[] = {-1, 2};
    maas_pb_begin(w, field);
    maas_pb_text(w, INFO_NAME, name);
    onnx_put_type(w, dtype, dims, 2);
    maas_pb_end(w);
}

static inline void onnx_put_good_tensor(maas_pb_writer *w)
{
    const float v[] = {1, 2};
    const int64_t dims[] = {2};
    maas_pb_ints(w, TENSOR_DIMS, dims, 1);
    maas_pb_int(w, TENSOR_DTYPE, MAAS_F32);
    maas_pb_bytes(w, TENSOR_RAW, v, sizeof v);
}

static inline void onnx_put_node(maas_pb_writer *w, const onnx_make *m)
{
    maas_pb_begin(w, GRAPH_NODE);
    maas_pb_text(w, NODE_INPUT, m->x ? m->x : "x");
    maas_pb_text(w, NODE_INPUT, m->in2 ? m->in2 : "w");
    maas_pb_text(w, NODE_OUTPUT, m->y ? m->y : "y");
    maas_pb_text(w, NODE_NAME, "the node");
    maas_pb_text(w, NODE_OP, m->op ? m->op : "Add");
    if (m->domain)
        maas_pb_text(w, NODE_DOMAIN, m->domain);
    if (m->node)
        m->node(w);
    maas_pb_end(w);
}

static inline void onnx_put_model(maas_pb_writer *w, void *user)
{
    const onnx_make *m = user;
    if (!m->no_ir)
        maas_pb_int(w, MODEL_IR, 8);
    maas_pb_begin(w, MODEL_GRAPH);
    onnx_put_node(w, m);
    maas_pb_text(w, GRAPH_NAME, "g");
    maas_pb_begin(w, GRAPH_INITIALIZER);
    maas_pb_text(w, TENSOR_NAME, "w");
    (m->tensor ? m->tensor : onnx_put_good_tensor)(w);
    maas_pb_end(w);
    if (m->input) {
        maas_pb_begin(w, GRAPH_INPUT);
        maas_pb_text(w, INFO_NAME, "x");
        m->input(w);
        maas_pb_end(w);
    } else {
        onnx_put_info(w, GRAPH_INPUT, "x", MAAS_F32);
    }
    onnx_put_info(w, GRAPH_OUTPUT, "y", MAAS_F32);
    if (m->graph)
        m->graph(w);
    maas_pb_end(w);
    if (!m->no_opset)
        onnx_put_opset(w, "", m->opset ? m->opset : 13);
    if (m->ml)
        onnx_put_opset(w, MAAS_DOMAIN_ML, m->ml);
    if (m->model)
        m->model(w);
}

static inline maas_status onnx_make_file(const onnx_make *m, maas_buf *out)
{
    return maas_pb_write(onnx_put_model, (void *)(uintptr_t)m, out, NULL);
}

/* Made and read; the bytes stay in *file, which the graph borrows from. */
static inline maas_status onnx_make_read(const onnx_make *m, const maas_onnx_opts *opts,
                                         maas_buf *file, maas_graph **out, maas_err *err)
{
    *file = (maas_buf)MAAS_BUF_INIT(1 << 20);
    MAAS_CHECK(onnx_make_file(m, file) == MAAS_OK);
    return maas_onnx_read(maas_buf_span(file), opts, out, err);
}

/* ---- parts that several tests write ---- */

static const int64_t d2[] = {2};
static const float f2[] = {1, 2};

static inline void tensor_head(maas_pb_writer *w, int dtype, const int64_t *dims, int rank)
{
    maas_pb_ints(w, TENSOR_DIMS, dims, (size_t)rank);
    maas_pb_int(w, TENSOR_DTYPE, dtype);
}

/* y = If(c) then `then` else `otherwise`, each an Identity of a value further out */
static inline void put_branch(maas_pb_writer *w, const char *attr, const char *of)
{
    maas_pb_begin(w, NODE_ATTR);
    maas_pb_text(w, ATTR_NAME, attr);
    maas_pb_int(w, ATTR_TYPE, MAAS_ATTR_GRAPH);
    maas_pb_begin(w, ATTR_G);
    maas_pb_begin(w, GRAPH_NODE);
    maas_pb_text(w, NODE_INPUT, of);
    maas_pb_text(w, NODE_OUTPUT, attr);
    maas_pb_text(w, NODE_OP, "Identity");
    maas_pb_end(w);
    maas_pb_begin(w, GRAPH_OUTPUT);
    maas_pb_text(w, INFO_NAME, attr);
    maas_pb_end(w);
    maas_pb_end(w);
    maas_pb_end(w);
}

static inline void n_branches(maas_pb_writer *w)
{
    put_branch(w, "then_branch", "x");
    put_branch(w, "else_branch", "w");
}

static inline void put_if(maas_pb_writer *w, const char *then, const char *otherwise)
{
    const uint8_t yes = 1;
    maas_pb_begin(w, GRAPH_INITIALIZER);
    maas_pb_int(w, TENSOR_DTYPE, MAAS_BOOL);
    maas_pb_bytes(w, TENSOR_RAW, &yes, 1);
    maas_pb_text(w, TENSOR_NAME, "c");
    maas_pb_end(w);
    maas_pb_begin(w, GRAPH_NODE);
    maas_pb_text(w, NODE_INPUT, "c");
    maas_pb_text(w, NODE_OUTPUT, "same");
    maas_pb_text(w, NODE_OP, "Not");
    maas_pb_end(w);
    maas_pb_begin(w, GRAPH_NODE);
    maas_pb_text(w, NODE_INPUT, "same");
    maas_pb_text(w, NODE_OUTPUT, "chosen");
    maas_pb_text(w, NODE_OP, "If");
    put_branch(w, "then_branch", then);
    put_branch(w, "else_branch", otherwise);
    maas_pb_end(w);
}

static inline void t_external(maas_pb_writer *w)
{
    tensor_head(w, MAAS_F32, d2, 1);
    maas_pb_int(w, TENSOR_LOCATION, 1);
    maas_pb_begin(w, TENSOR_EXTERNAL);
    maas_pb_text(w, ENTRY_KEY, "location");
    maas_pb_text(w, ENTRY_VALUE, "weights.bin");
    maas_pb_end(w);
    maas_pb_begin(w, TENSOR_EXTERNAL);
    maas_pb_text(w, ENTRY_KEY, "offset");
    maas_pb_text(w, ENTRY_VALUE, "4");
    maas_pb_end(w);
}

#endif
