/*
 * graph/graph.h - the one model representation: an ONNX-shaped graph.
 *
 *   values:  v0 "x" input     v1 "W" constant    v2 "y" ...        numbered, named, typed
 *   nodes:   n0 MatMul(v0, v1) -> v2     n1 Add(v2, v3) -> v4      in topological order
 *
 * Static single assignment: a value has one producer (a node, an input, a constant or a
 * variable). Constants carry their tensor. A VARIABLE is named, mutable and outlives a run
 * (weights in training, optimizer state, RNN state); its tensor here is only the initial value. A
 * binding says which value a variable takes when a run ends.
 *
 * Dimensions: >= 0 known; MAAS_DIM_UNKNOWN; <= -2 a symbol of the graph (equal symbols are equal
 * sizes: "batch"). Types are tagged: dtype and shape of a SEQUENCE or OPTIONAL are those of the
 * tensors in it. Tensors of one sequence may differ in shape, so its rank is never known.
 *
 * Owns: everything, in one arena, except constant data added as borrowed (file mappings: zero
 * copy), which must outlive the graph. Threads: building one at a time; a finished graph is
 * read-only and may be shared. Fails: E_NOMEM past the budget, E_INVALID for illegal building.
 */
#ifndef MAAS_GRAPH_GRAPH_H
#define MAAS_GRAPH_GRAPH_H

#include "base/arena.h"
#include "base/buf.h"
#include "tensor/tensor.h"

typedef int32_t maas_vid;            /* a value of a graph */
typedef int32_t maas_nid;            /* a node of a graph  */
#define MAAS_NO_VALUE ((maas_vid)-1) /* an omitted optional input or output */
#define MAAS_NO_NODE  ((maas_nid)-1)

#define MAAS_DIM_UNKNOWN   ((int64_t)-1)
#define MAAS_DIM_SYMBOL(k) (-2 - (int64_t)(k)) /* k: index into graph->symbols */
#define MAAS_RANK_UNKNOWN  ((int8_t)-1)

/* The opset of the default domain that graphs in memory speak; importers convert to it. */
#define MAAS_OPSET           28
#define MAAS_OPSET_ML        5
#define MAAS_DOMAIN_ML       "ai.onnx.ml"
#define MAAS_DOMAIN_OWN      "ai.maas"
#define MAAS_DOMAIN_TRAINING "ai.onnx.preview.training"
#define MAAS_DOMAIN_PREVIEW  "ai.onnx.preview"
#define MAAS_DOMAIN_MS       "com.microsoft" /* version 1: what ONNX Runtime's tools emit */

typedef enum maas_type_tag {
    MAAS_TYPE_NONE,
    MAAS_TYPE_TENSOR,
    MAAS_TYPE_SEQUENCE,
    MAAS_TYPE_OPTIONAL,
    MAAS_TYPE_MAP,
    MAAS_TYPE_ROW_SPARSE
} maas_type_tag;
extern const char *const maas_type_words[]; /* "tensor", "sequence", ... by tag */

typedef struct maas_type {
    uint8_t tag;   /* maas_type_tag                                  */
    uint8_t dtype; /* maas_dtype of the elements                     */
    int8_t rank;   /* MAAS_RANK_UNKNOWN, or 0..MAAS_MAX_RANK         */
    uint8_t of;    /* OPTIONAL: the tag of what it holds             */
    int64_t dims[MAAS_MAX_RANK];
} maas_type;

/* maas_value.flags */
enum {
    MAAS_VALUE_INPUT = 1,
    MAAS_VALUE_OUTPUT = 2,
    MAAS_VALUE_CONST = 4,
    MAAS_VALUE_VARIABLE = 8,
    MAAS_VALUE_CAPTURED = 16 /* in a subgraph: an input of its node, see maas_graph_capture */
};

typedef struct maas_value {
    const char *name; /* unique in the graph, never NULL                         */
    maas_type type;
    maas_tensor init;  /* CONST: the data. VARIABLE: first value. Else data NULL */
    maas_nid producer; /* MAAS_NO_NODE for inputs, constants, variables          */
    uint32_t flags;
} maas_value;

/* Numbers of ONNX AttributeProto.AttributeType. */
typedef enum maas_attr_type {
    MAAS_ATTR_FLOAT = 1,
    MAAS_ATTR_INT = 2,
    MAAS_ATTR_STRING = 3,
    MAAS_ATTR_TENSOR = 4,
    MAAS_ATTR_GRAPH = 5,
    MAAS_ATTR_FLOATS = 6,
    MAAS_ATTR_INTS = 7,
    MAAS_ATTR_STRINGS = 8,
    MAAS_ATTR_TYPE = 13
} maas_attr_type;

typedef struct maas_graph maas_graph;
typedef struct maas_op maas_op; /* graph/op.h */

typedef struct maas_attr {
    const char *name;
    maas_attr_type type;
    uint32_t n; /* FLOATS, INTS, STRINGS: how many */
    union {
        float f;
        int64_t i;
        maas_str s;
        const float *floats;
        const int64_t *ints;
        const maas_str *strings;
        const maas_tensor *tensor;
        maas_graph *graph;
        const maas_type *type; /* what Optional may hold */
    } u;
} maas_attr;

typedef struct maas_node {
    const maas_op *op;
    const char *name; /* for messages; may be "" */
    maas_vid *in, *out;
    uint16_t n_in, n_out;
    uint16_t n_attr;
    uint16_t n_captured; /* the last of in[]: what its subgraphs read from this graph */
    bool dead;           /* removed; maas_graph_compact drops it */
    /* Of the operator's infer, for attributes that take long to check: what it found out about
     * them, 0 for nothing. Copies of the node keep it, maas_node_set forgets it. */
    uint32_t checked;
    maas_attr *attr;
} maas_node;

typedef struct maas_binding {
    maas_vid variable, value; /* after a run the variable holds the value */
} maas_binding;

typedef struct maas_meta {
    const char *key, *value; /* ONNX metadata_props: column names, labels, ... */
} maas_meta;

struct maas_graph {
    const char *name;
    maas_arena arena;
    maas_value *values;
    maas_node *nodes; /* topological order */
    maas_vid *inputs, *outputs;
    maas_binding *bindings;
    maas_meta *meta;
    maas_vid *captured;   /* of a subgraph, for each captured input of its node; or MAAS_NO_VALUE */
    const char **symbols; /* names of symbolic dimensions; "" for made-up ones */
    uint32_t n_values, n_nodes, n_inputs, n_outputs, n_bindings, n_meta, n_symbols, n_captured;
    const maas_graph *parent; /* subgraph of a control-flow node; else NULL */
    void *names;              /* private: name -> value */
    uint32_t caps[7];         /* private: capacities of the arrays above */
    uint32_t n_made_up;       /* private: for fresh names */
};

maas_status maas_graph_create(const char *name, maas_budget *budget, maas_graph **out,
                              maas_err *err);
void maas_graph_destroy(maas_graph *g); /* NULL is fine */
/* A deep copy of structure; constant data stays borrowed from `g`, which must outlive the copy. */
maas_status maas_graph_clone(const maas_graph *g, maas_budget *budget, maas_graph **out,
                             maas_err *err);

/* ---- values ---- (name NULL or "": a fresh one is made; a taken name is E_INVALID) */
maas_type maas_type_tensor(maas_dtype t, int rank, const int64_t *dims);
maas_type maas_type_of(const maas_tensor *t);
maas_type maas_type_sequence(maas_dtype t);
maas_type maas_type_optional(const maas_type *of); /* of a tensor or a sequence */
maas_type maas_type_held(const maas_type *optional);
maas_status maas_graph_input(maas_graph *g, const char *name, const maas_type *t, maas_vid *out,
                             maas_err *err);
maas_status maas_graph_value(maas_graph *g, const char *name, const maas_type *t, maas_vid *out,
                             maas_err *err);
/* `copy`: into the arena (strings with their bytes); else borrowed. */
maas_status maas_graph_const(maas_graph *g, const char *name, const maas_tensor *t, bool copy,
                             maas_vid *out, maas_err *err);
/* first->data NULL: zeros, which take no memory of the graph's. */
maas_status maas_graph_variable(maas_graph *g, const char *name, const maas_tensor *first,
                                bool copy, maas_vid *out, maas_err *err);
maas_status maas_graph_output(maas_graph *g, maas_vid v, maas_err *err); /* appends to outputs */
maas_status maas_graph_bind(maas_graph *g, maas_vid variable, maas_vid value, maas_err *err);
maas_vid maas_graph_find(const maas_graph *g, const char *name); /* MAAS_NO_VALUE */
maas_status maas_graph_rename(maas_graph *g, maas_vid v, const char *name, maas_err *err);
static inline maas_value *maas_graph_at(const maas_graph *g, maas_vid v)
{
    MAAS_ASSERT(v >= 0 && (uint32_t)v < g->n_values);
    return &g->values[v];
}
/* A symbol by name (the same name gives the same one); NULL or "": a fresh one. Returns the dim. */
maas_status maas_graph_symbol(maas_graph *g, const char *name, int64_t *out_dim, maas_err *err);
maas_status maas_graph_set_meta(maas_graph *g, const char *key, const char *value, maas_err *err);
const char *maas_graph_meta(const maas_graph *g, const char *key); /* NULL when absent */

/* ---- nodes ---- */
/* Appends a node. in[] may hold MAAS_NO_VALUE. Outputs are fresh values unless out[i] names one
 * made by maas_graph_value (out[i] >= 0 on entry); out may be NULL when nobody wants them. */
maas_status maas_graph_node(maas_graph *g, const maas_op *op, const char *name, const maas_vid *in,
                            uint32_t n_in, maas_vid *out, uint32_t n_out, maas_nid *out_node,
                            maas_err *err);
/* Attributes are copied into the arena, but for long lists of numbers that lie there already;
 * setting a name again replaces it. A GRAPH is taken over: it
 * dies with g. In it, a value that nothing produces is the one of that name further out, which
 * maas_graph_capture makes an input of the node. */
maas_status maas_node_set(maas_graph *g, maas_nid n, const maas_attr *attr, maas_err *err);
const maas_attr *maas_node_attr(const maas_node *n, const char *name); /* NULL when absent */
/* The attribute, else its default: for schemas that were verified. */
int64_t maas_attr_i(const maas_node *n, const char *name, int64_t otherwise);
float maas_attr_f(const maas_node *n, const char *name, float otherwise);
maas_str maas_attr_s(const maas_node *n, const char *name, const char *otherwise);
const int64_t *maas_attr_ints(const maas_node *n, const char *name, uint32_t *out_n); /* NULL, 0 */

/* ---- subgraphs ---- (capture.c) */
/* Names to values: in the subgraphs of all levels, what nothing produces becomes a constant, where
 * the one further out is one, or is CAPTURED. E_INVALID: there is none of that name. */
maas_status maas_graph_capture(maas_graph *g, maas_err *err);
maas_status maas_node_capture(maas_graph *g, maas_nid n, maas_err *err); /* one node of g */
/* A body alone: captured values become its last inputs, or constants where outer[k] is one, whose
 * data is borrowed. */
maas_status maas_graph_close(maas_graph *g, const maas_value *const *outer, maas_err *err);
/* The node is dead, the body's nodes are copied behind the others and make its outputs; for bodies
 * without inputs. `identity`: makes outputs that no node of the body makes. */
maas_status maas_graph_inline(maas_graph *g, maas_nid n, const maas_graph *body,
                              const maas_op *identity, maas_err *err);
void maas_graph_forget_types(maas_graph *g); /* of all that nodes compute: to infer them anew */

/* ---- editing, for passes ---- */
/* Every use of `from` (inputs, outputs, bindings) becomes `to`. An output keeps its name: `to` gets
 * it; E_INVALID (nothing changed) when `to` is an input, output or variable, whose names are fixed.
 */
maas_status maas_graph_replace(maas_graph *g, maas_vid from, maas_vid to, maas_err *err);
uint32_t maas_graph_n_uses(const maas_graph *g, maas_vid v); /* nodes, outputs, bindings */
/* The same for all values in one walk: counts[n_values]. For passes that ask about many. */
void maas_graph_count_uses(const maas_graph *g, uint32_t *counts);
/* Drops dead nodes and sorts what is left topologically; E_INVALID on a cycle. Values keep their
 * ids, nodes do not. A graph that is in order stays in that order. */
maas_status maas_graph_compact(maas_graph *g, maas_err *err);

/* ---- checking and looking ---- */
/* Structure: names unique, ids in range, one producer each, order, arity, attribute types and
 * dtype sets against the schemas of the ops. Types are inferred by ops/infer.h. */
maas_status maas_graph_verify(const maas_graph *g, maas_err *err);
void maas_graph_dump(const maas_graph *g, maas_buf *out); /* text, one line a node */
void maas_type_text(const maas_graph *g, const maas_type *t, maas_buf *out); /* float[batch,784] */

#endif
