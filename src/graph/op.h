/*
 * graph/op.h - what an operator is. Everything the engine knows about one is in its descriptor;
 * nothing else switches on the kind of an operator: a property somebody needs becomes a field.
 *
 * An operator lives in one file of src/ops (or a close family in one file) and is listed in
 * ops/ops.def. Its reference code is the truth: plain loops, accumulating in double where sums are
 * taken; every kernel must agree with it within `tolerance` on what `example` makes.
 */
#ifndef MAAS_GRAPH_OP_H
#define MAAS_GRAPH_OP_H

#include "base/sys.h"
#include "graph/graph.h"

/* maas_op.flags */
enum {
    MAAS_OP_ELEMENTWISE = 1, /* out[i] depends on element i of each (broadcast) input: fusable */
    MAAS_OP_VIEW = 2,        /* output 0 has the bytes of input 0: the planner aliases them    */
    MAAS_OP_INPLACE = 4,     /* output k may overwrite input k when that dies here, same bytes */
    MAAS_OP_RANDOM = 8,      /* never folded, never merged                                     */
    MAAS_OP_INFERENCE_IDENTITY = 16, /* does nothing when not training (Dropout)               */
    MAAS_OP_STRINGS = 32,            /* reference code handles STRING tensors                  */
    MAAS_OP_SHAPE_ONLY = 64,         /* outputs depend on shapes, not on data (Shape, Size)    */
    /* Makes what it returns in call.arena: its shape (NonZero), or bytes of strings, are known only
     * when it has run. Its outputs come without data; reference code fills them. */
    MAAS_OP_DYNAMIC = 128,
    /* Runs the graphs in its attributes: call.bodies. What it returns, it makes like DYNAMIC. */
    MAAS_OP_CONTROL = 256,
    /* A pass writes other nodes in its place before anything runs: its reference code only refuses,
     * and there are no examples. */
    MAAS_OP_WRITTEN_OUT = 512
};

#define MAAS_TAG(tag) (1u << (tag)) /* of a maas_type_tag */

typedef struct maas_io_schema {
    const char *name; /* as ONNX names it: "X", "axes"                                */
    const char *type; /* type variable: inputs and outputs with the same one agree ("T"); */
                      /* NULL: free within `dtypes`                                    */
    maas_dtypes dtypes;
    bool optional, variadic; /* variadic: the last one, one or more */
    uint8_t tags;            /* MAAS_TAG() of every kind it may be; 0: tensors alone */
} maas_io_schema;

static inline uint32_t maas_tags_of(const maas_io_schema *row)
{
    return row->tags ? row->tags : MAAS_TAG(MAAS_TYPE_TENSOR);
}

typedef struct maas_attr_schema {
    const char *name;
    maas_attr_type type;
    bool required;
} maas_attr_schema;

/* Content of a small integer tensor (a shape, axes), as far as it is known before data is. */
typedef struct maas_known {
    int n;                        /* elements; -1: not known                     */
    int rank;                     /* 0 or 1                                      */
    int64_t v[2 * MAAS_MAX_RANK]; /* >= 0 or a symbol, as dims; see `exact`      */
    bool exact;                   /* true: all are plain numbers, negatives too  */
} maas_known;

/* One question to an operator: what comes out, given what goes in? */
typedef struct maas_infer {
    maas_graph *graph; /* for fresh symbols and names in messages */
    const maas_node *node;
    const maas_type *in;        /* [node->n_in]; tag NONE when omitted          */
    const maas_tensor *in_data; /* [node->n_in]; data NULL unless constant      */
    const maas_known *in_known; /* [node->n_in]; n = -1 unless partly known     */
    maas_type *out;             /* [node->n_out]; the operator writes these     */
    maas_known *out_known;      /* [node->n_out]; starts as n = -1              */
} maas_infer;

/* How reference code of CONTROL operators runs a graph: as a plan in the runtime, node by node in
 * tests. */
typedef struct maas_bodies maas_bodies;
struct maas_bodies {
    /* in: for each input of the body, then for each captured input of the node. out: [n_outputs],
     * valid until the same body runs again; items of lists live as long as call.arena. Refuses when
     * a run has had more steps than it may have. */
    maas_status (*run)(maas_bodies *b, const maas_graph *body, const maas_tensor *in,
                       maas_tensor *out, maas_err *err);
};

/* One execution: resolved tensors, and what a kernel prepared. in[i].dtype NONE: omitted. */
typedef struct maas_call {
    const maas_node *node;
    const maas_tensor *in;
    maas_tensor
        *out; /* shapes are set, data is allocated; of DYNAMIC operators only the dtype is */
    int n_in, n_out;
    void *state;   /* of the kernel, made by its prepare; NULL for reference code */
    void *scratch; /* [scratch_bytes], shared with other steps; 64-byte aligned   */
    size_t scratch_bytes;
    int n_threads; /* that the plan was made for */
    /* Memory that lasts until the executor's next run, under the plan's budget. NULL, except for
     * DYNAMIC and CONTROL operators. */
    maas_arena *arena;
    maas_bodies *bodies; /* of CONTROL operators */
} maas_call;

typedef struct maas_builder maas_builder; /* ops/build.h */

/* One question to the chain rule: gradients of the inputs, given those of the outputs. */
typedef struct maas_grad {
    maas_builder *b; /* appends the backward nodes; errors are sticky in it       */
    const maas_node *node;
    const maas_vid *dout; /* [n_out] d loss / d output; MAAS_NO_VALUE: no contribution */
    const bool *want;     /* [n_in] */
    maas_vid *din;        /* [n_in] written where wanted; MAAS_NO_VALUE: zero          */
} maas_grad;

/* One random legal node for tests and benches: the generator fills the inputs of a call. */
typedef struct maas_example {
    maas_builder *b; /* build inputs, constants and the one node here            */
    maas_rng *rng;
    int variant; /* 0.. n_examples-1: ranks, dtypes, broadcasts, axes, ...   */
    /* Data for graph input i comes from uniform [lo, hi); integers are floored. */
    double lo[8], hi[8];
} maas_example;

struct maas_op {
    const char *domain;          /* "" is the default domain */
    const char *name;            /* ONNX name; written into saved graphs */
    uint16_t since;              /* since_version in our internal opset  */
    uint8_t n_in, n_out, n_attr; /* rows of the schemas */
    uint32_t flags;
    const maas_io_schema *in, *out;
    const maas_attr_schema *attr;
    int n_examples;
    double tolerance; /* |kernel - reference| <= tolerance * (1 + |reference|); 0: exact */
    maas_status (*infer)(maas_infer *q, maas_err *err);
    maas_status (*reference)(const maas_call *c, maas_err *err);
    int64_t (*flops)(const maas_call *c); /* floating or integer operations    */
    void (*example)(maas_example *e);
    void (*gradient)(maas_grad *g); /* NULL: not differentiable          */
    const char *no_gradient;        /* why, when gradient is NULL        */
    float (*scalar)(const maas_node *n, const float *in,
                    int n_in); /* ELEMENTWISE f32: one element */
};

#endif
