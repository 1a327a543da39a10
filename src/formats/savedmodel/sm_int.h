/*
 * formats/savedmodel/sm_int.h - what is shared in this directory; nobody outside includes it.
 *
 *   saved_model.pb ──► func.c (nodes, functions) ──► run.c (what outputs need, calls inlined)
 *   variables/ ──► bundle.c, restore.c (variables)      └──► rows of operators ──► graph
 *
 * An operator is a row and one function that asks for its inputs and gives its outputs. Errors are
 * sticky, as in the builder: after the first, everything gives MAAS_NO_VALUE or zero, so that
 * operators have no error paths.
 *
 * Nothing is recursive: run.c keeps a stack of nodes that wait for others. A call of a function is
 * a frame of its own; bodies of If and While are frames that build another graph (sm_ctx).
 *
 * Layouts: pictures have their channels last, our convolutions want them first. A tensor of four
 * dimensions is kept in whichever form it was made, and the other is made when somebody asks.
 */
#ifndef MAAS_FORMATS_SAVEDMODEL_INT_H
#define MAAS_FORMATS_SAVEDMODEL_INT_H

#include "base/arena.h"
#include "formats/pieces.h"
#include "formats/protobuf.h"
#include "formats/savedmodel/savedmodel.h"
#include "ops/build.h"

enum { SM_LAST, SM_FIRST }; /* channels */
enum { SM_MAX_IO = 4096, SM_MAX_STEP = 1 << 16, SM_MAX_DEPTH = 64, SM_MAX_FUNCS = 1 << 16 };

/* ---- the checkpoint (bundle.c) ---- */

typedef struct sm_entry {
    maas_span key, message; /* BundleEntryProto */
} sm_entry;

typedef struct sm_bundle {
    sm_entry *entries; /* in the order of their keys */
    size_t n, cap;
    int64_t n_shards;
} sm_bundle;

/* ---- the graph of the file ---- */

typedef struct sm sm;
typedef struct sm_op sm_op;

/* sm_row.flags */
enum {
    SM_CALLS = 1, /* asks for frames (sm_call) and is asked again when they are done */
};

typedef struct sm_row {
    const char *name;
    void (*build)(sm *s, sm_op *op);
    uint8_t n_min, n_max; /* inputs; 255: any number */
    uint8_t flags;
    const void *arg;  /* of build */
    const char *outs; /* names of outputs, blanks between; NULL: one name stands for all of them */
} sm_row;

typedef struct sm_ref {
    int32_t from; /* a node; below 0: argument -1 - from */
    uint32_t out;
} sm_ref;

typedef struct sm_node {
    const char *name;
    maas_span op, message; /* NodeDef */
    const sm_row *row;     /* NULL: not supported */
    sm_ref *in;            /* without control edges */
    uint32_t n_in;
} sm_node;

typedef struct sm_func {
    const char *name; /* "" for the main graph */
    maas_span message;
    sm_node *nodes;
    const char **args;
    sm_ref *ret;
    uint32_t n_nodes, n_args, n_ret;
    void *names; /* private to func.c */
    bool parsed;
} sm_func;

/* ---- values ---- */

typedef enum sm_kind {
    SM_NOTHING,
    SM_TENSOR,
    SM_VARIABLE, /* a resource: at = node of the main graph                        */
    SM_LIST,     /* a list of tensors of one shape: v[SM_LAST] is [n, ...]         */
    SM_RESERVED, /* a list of v[SM_LAST] (a scalar, or no value) items, none given */
    SM_SLOT,     /* of a loop's body: a list that it fills; at = which one         */
    SM_FILLED    /* the same, an item was set                                      */
} sm_kind;

typedef struct sm_value {
    uint8_t kind, dtype; /* dtype: of the items of a list */
    int32_t at;
    maas_vid v[2]; /* [last or first] */
} sm_value;

/* A graph that is built: the model's, or the body of a loop or branch. */
typedef struct sm_slot {
    maas_vid index, item;
    bool once; /* a list of one item: the last one that was set */
    uint8_t dtype;
} sm_slot;

typedef struct sm_ctx {
    maas_builder b;
    struct sm_ctx *outer; /* NULL: the model */
    maas_vid *captured;   /* by value of outer */
    size_t n_captured;
    maas_vid *variables; /* by node of the main graph, of what was read already */
    sm_slot *slots;
    uint32_t n_slots;
} sm_ctx;

typedef struct sm_frame sm_frame;
typedef struct sm_state {
    sm_value *out;
    uint32_t n_out, stage;
    bool done, waits; /* waits: on the stack, its inputs were asked for */
    sm_frame *calls;  /* the frame that must be done first */
    void *memory;     /* of its function, between stages */
} sm_state;

struct sm_frame {
    sm_func *f;
    sm_ctx *ctx;
    const sm_value *args;
    sm_state *states;
    sm_value *results; /* [f->n_ret], when it is done */
    uint32_t depth, asked;
    bool done;
};

struct sm_op {
    sm_frame *frame;
    const sm_node *node;
    sm_state *state;
    const void *arg; /* of the row */
};

struct sm {
    maas_arena *arena; /* until the graph is there */
    maas_err *err;
    maas_status status;
    const maas_onnx_opts *o;
    sm_ctx *ctx;     /* of the node that is built */
    maas_builder *b; /* ctx->b */
    sm_ctx *all[64]; /* contexts with graphs that nobody owns yet */
    uint32_t n_all;
    sm_func main, *funcs;
    uint32_t n_funcs;
    sm_frame *root;
    sm_bundle bundle;
    maas_span *keys; /* of variables, by node of the main graph; p NULL: as it is named */
    uint32_t n_runs, n_names;
    sm_value none;   /* of an input that is not there */
    uint64_t looked; /* bytes that were gone through, again and again */
};

/* Tables end with {.name = NULL}. */
extern const sm_row sm_elementwise[], sm_images[], sm_products[], sm_reductions[], sm_shapes[],
    sm_moves[], sm_state_rows[], sm_flow[], sm_branches[], sm_lists[];
const sm_row *sm_row_find(maas_span op);

__attribute__((format(printf, 3, 4))) maas_vid sm_fail(sm *s, maas_status st, const char *fmt, ...);
bool sm_ok(sm *s);
/* Counts what of the file is gone through another time: E_TOO_LARGE when it is far more than there
 * is. */
maas_status sm_look(sm *s, size_t n);
void *sm_array(sm *s, size_t n, size_t size); /* zeroed; NULL after an error */
const char *sm_text(sm *s, maas_span text);   /* checked UTF-8, "" after an error */

/* ---- proto.c ---- */

maas_dtype sm_dtype(int64_t type); /* of TensorFlow; MAAS_DT_NONE: none of ours */
/* A TensorShapeProto: rank, dims with -1 for open ones; -1: unknown. */
int sm_shape(sm *s, const maas_pb *m, int64_t dims[MAAS_MAX_RANK]);
/* A TensorProto, whose data is borrowed or in the arena of g. */
maas_status sm_check_cells(sm *s, maas_dtype t, maas_span bytes); /* E_FORMAT: no booleans */
maas_status sm_tensor(sm *s, maas_graph *g, maas_span message, maas_tensor *out);
/* Of a TensorProto of strings: the i-th; p NULL: there is none. */
maas_span sm_string_at(sm *s, maas_span message, uint32_t i);
/* The AttrValue of a node; n 0: it has none of that name. */
bool sm_attr(sm *s, const sm_node *n, const char *name, maas_span *out);
int64_t sm_attr_i(sm *s, const sm_op *op, const char *name, int64_t otherwise); /* i, b and type */
float sm_attr_f(sm *s, const sm_op *op, const char *name, float otherwise);
maas_span sm_attr_s(sm *s, const sm_node *n, const char *name);
int sm_attr_ints(sm *s, const sm_op *op, const char *name, int64_t *out, int max); /* how many */
const float *sm_attr_floats(sm *s, const sm_op *op, const char *name, int64_t *n);
maas_dtype sm_attr_type(sm *s, const sm_op *op, const char *name);
int sm_attr_shape(sm *s, const sm_op *op, const char *name, int64_t dims[MAAS_MAX_RANK]);
/* The i-th shape of a list. -2: there is none */
int sm_attr_shape_at(sm *s, const sm_op *op, const char *name, uint32_t i,
                     int64_t dims[MAAS_MAX_RANK]);
maas_span sm_attr_func(sm *s, const sm_node *n, const char *name);
/* Value of a map<string, message> by key; false: not there. */
bool sm_map_get(const maas_pb *m, uint32_t field, const char *key, maas_span *out);
bool sm_map_each(maas_pb *m, uint32_t field, maas_span *key, maas_span *value);

/* ---- bundle.c, restore.c ---- */

/* Masked CRC-32C, as LevelDB and TensorFlow store it. */
uint32_t sm_crc(maas_span bytes);
maas_status sm_bundle_read(sm *s, maas_span index);
const sm_entry *sm_bundle_find(const sm_bundle *b, maas_span key);
maas_status sm_bundle_tensor(sm *s, maas_graph *g, const sm_entry *e, maas_tensor *out);
/* The one string of an entry, checked. */
maas_status sm_bundle_string(sm *s, const sm_entry *e, maas_span *out);
maas_status sm_restore(sm *s, const maas_pb *meta);
maas_vid sm_variable(sm *s, int32_t at); /* its value in the graph that is built */
maas_dtype sm_dtype_of_variable(sm *s, int32_t at);

/* ---- func.c ---- */

maas_status sm_library(sm *s, maas_span graph);
sm_func *sm_func_find(sm *s, maas_span name); /* parsed; NULL and an error */
int32_t sm_node_find(const sm_func *f, maas_span name);
/* "node", "node:0" of the main graph. */
bool sm_ref_find(sm *s, const sm_func *f, maas_span text, sm_ref *out);

/* ---- run.c ---- */

sm_frame *sm_frame_new(sm *s, sm_func *f, sm_ctx *ctx, const sm_value *args, uint32_t n_args,
                       uint32_t depth);
/* The op is built again, one stage on, when the frame is done. */
sm_frame *sm_call(sm *s, sm_op *op, maas_span name, sm_ctx *ctx, const sm_value *args, uint32_t n);
sm_ctx *sm_ctx_new(sm *s, const char *name, sm_ctx *outer);
maas_graph *sm_ctx_graph(sm *s, sm_ctx *c); /* its graph changes hands */
maas_status sm_run(sm *s, const sm_ref *wanted, uint32_t n, sm_value *out);
void sm_fold(sm *s, sm_ctx *ctx, uint32_t from); /* nodes of small constants become constants */

/* ---- flow.c, for branch.c ---- */

sm_value *sm_inputs(sm *s, const sm_op *op, uint32_t from, uint32_t n); /* copies */
void sm_enter(sm *s, sm_ctx *c); /* what follows is built in that graph */
/* An output of a body that is nothing else there. */
void sm_body_output(sm *s, sm_ctx *body, maas_vid v);
/* A node with graphs: they belong to it once it has them as attributes. */
void sm_flow_node(sm *s, const char *name, const maas_attr *a, sm_ctx **bodies, uint32_t n,
                  const maas_vid *in, uint32_t n_in, maas_vid *out, uint32_t n_out);

/* ---- values.c: inputs and outputs of an operator ---- */

const sm_value *sm_of(sm *s, const sm_op *op, uint32_t i);
maas_vid sm_in(sm *s, const sm_op *op, uint32_t i);
maas_vid sm_in_first(sm *s, const sm_op *op, uint32_t i); /* of rank 4 */
maas_vid sm_in_layout(sm *s, const sm_op *op, uint32_t i, int layout);
bool sm_is_first(sm *s, const sm_op *op, uint32_t i); /* it has no value with channels last */
/* Beside values of rank 4 with channels first, for broadcasting; MAAS_NO_VALUE without an error:
 * not without moving it. */
maas_vid sm_beside(sm *s, const sm_op *op, uint32_t i);
maas_vid sm_in_i64(sm *s, const sm_op *op, uint32_t i);
sm_value *sm_give_value(sm *s, const sm_op *op, uint32_t i, sm_value v);
void sm_give(sm *s, const sm_op *op, uint32_t i, maas_vid v);
void sm_give_in(sm *s, const sm_op *op, uint32_t i, maas_vid v, int layout);
sm_value sm_tensor_value(maas_vid v);
maas_vid sm_last(sm *s, sm_value *v); /* with channels last */
/* All of a constant integer input, at most `max` of them; -1 and an error: it is none. */
int sm_ints(sm *s, const sm_op *op, uint32_t i, int64_t *out, int max);
int64_t sm_int(sm *s, const sm_op *op, uint32_t i);
const maas_tensor *sm_const_of(const maas_graph *g, maas_vid v); /* NULL: it is none */
/* A value of the graph around, in the graph that is built. */
maas_vid sm_capture(sm *s, sm_ctx *ctx, maas_vid outer);
sm_value sm_capture_value(sm *s, sm_ctx *ctx, sm_value *outer);
const maas_type *sm_type(sm *s, maas_vid v);  /* an empty one after an error */
int sm_rank(sm *s, maas_vid v);               /* must be known; 0 after an error */
int sm_axis(sm *s, int64_t axis, int rank);   /* 0 <= axis < rank; 0 and an error otherwise */
int64_t sm_size(sm *s, maas_vid x, int axis); /* must be known; 1 after an error */

#endif
