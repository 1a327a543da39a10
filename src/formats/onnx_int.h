/* formats/onnx_int.h - shared by the files of the ONNX reader and writer only. */
#ifndef MAAS_FORMATS_ONNX_INT_H
#define MAAS_FORMATS_ONNX_INT_H

#include "formats/onnx.h"
#include "formats/protobuf.h"
#include "graph/op.h"

/* Field numbers of onnx.proto, as far as they are read or written here. */
enum {
    MODEL_IR = 1,
    MODEL_PRODUCER = 2,
    MODEL_GRAPH = 7,
    MODEL_OPSET = 8,
    MODEL_META = 14,
    MODEL_FUNCTION = 25
};
enum { OPSET_DOMAIN = 1, OPSET_VERSION = 2 };
enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum {
    GRAPH_NODE = 1,
    GRAPH_NAME = 2,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_SPARSE = 15
};
enum {
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_OP = 4,
    NODE_ATTR = 5,
    NODE_DOMAIN = 7,
    NODE_OVERLOAD = 8
};
enum {
    ATTR_NAME = 1,
    ATTR_F = 2,
    ATTR_I = 3,
    ATTR_S = 4,
    ATTR_T = 5,
    ATTR_G = 6,
    ATTR_FLOATS = 7,
    ATTR_INTS = 8,
    ATTR_STRINGS = 9,
    ATTR_TP = 14,
    ATTR_SPARSE = 22,
    ATTR_TYPE = 20,
    ATTR_REF = 21
};
enum {
    TENSOR_DIMS = 1,
    TENSOR_DTYPE = 2,
    TENSOR_SEGMENT = 3,
    TENSOR_FLOATS = 4,
    TENSOR_INT32S = 5,
    TENSOR_STRINGS = 6,
    TENSOR_INT64S = 7,
    TENSOR_NAME = 8,
    TENSOR_RAW = 9,
    TENSOR_DOUBLES = 10,
    TENSOR_UINT64S = 11,
    TENSOR_EXTERNAL = 13,
    TENSOR_LOCATION = 14
};
enum { INFO_NAME = 1, INFO_TYPE = 2 };
enum { TYPE_TENSOR = 1, TYPE_SEQUENCE = 4, TYPE_MAP = 5, TYPE_OPTIONAL = 9 };
enum { HELD_TYPE = 1 };
enum { TENSOR_TYPE_ELEM = 1, TENSOR_TYPE_SHAPE = 2 };
enum { SHAPE_DIM = 1 };
enum { DIM_VALUE = 1, DIM_PARAM = 2 };

#define MAAS_ONNX_OLDEST     1  /* default domain: what is read */
#define MAAS_ONNX_OLDEST_OUT 13 /* default domain: what is written */
#define MAAS_ONNX_NEWEST     28
#define MAAS_ONNX_NEWEST_ML  5

/* A domain that models may use: its newest known opset, and the one operators are looked up at. */
typedef struct maas_onnx_domain {
    const char *name; /* "" is the default one */
    int oldest, newest, internal;
} maas_onnx_domain;
extern const maas_onnx_domain maas_onnx_domains[];
enum { MAAS_ONNX_N_DOMAINS = 6 };
int maas_onnx_domain_find(const char *name); /* index, -1 when unknown */

typedef struct maas_onnx_function maas_onnx_function; /* onnx_function.c */
typedef struct maas_onnx_scope maas_onnx_scope;

typedef struct maas_onnx_reader {
    const maas_onnx_opts *opts;
    maas_err *err;
    maas_span file;
    int model_opset[MAAS_ONNX_N_DOMAINS]; /* that the model imports; 0: none */
    int *opset;                           /* that hold here: the model's or a function's */
    maas_arena scratch;                   /* of one node or initializer; rewound after it */
    maas_arena jobs;                      /* of subgraphs that wait */
    struct maas_onnx_job *next_job;
    uint64_t looked_at; /* nodes, by onnx_first.c */
    maas_onnx_function *functions;
    const maas_onnx_scope *scope; /* of the function whose body is read; NULL: of none */
    uint32_t n_calls;
    uint64_t call_bytes;
} maas_onnx_reader;

/* A node between file and graph: what upgrade rows may change. Arrays are in the scratch arena. */
typedef struct maas_onnx_node {
    const char *op, *domain, *name;
    int opset; /* of its domain, in the file */
    maas_vid *in, *out;
    uint32_t n_in, n_out, in_cap;
    maas_attr *attr;
    maas_span *body; /* [n_attr]: the GraphProto of a GRAPH attribute */
    uint32_t n_attr;
} maas_onnx_node;

maas_status maas_onnx_no_memory(maas_err *err);
/* Text as a C string in the arena: UTF-8 without zero bytes. `what` is for the message. */
maas_status maas_onnx_text(const maas_pb *r, maas_span s, maas_arena *a, const char *what,
                           const char **out);
/* Data is borrowed from the file where it can be, else in `a`. */
maas_status maas_onnx_read_tensor(maas_onnx_reader *r, const maas_pb *msg, maas_arena *a,
                                  maas_tensor *out, const char **out_name);
bool maas_onnx_borrowed(const maas_onnx_reader *r, const maas_tensor *t);

/* A TypeProto: of a tensor, a sequence or an optional; tag MAP for all others, NONE for nothing.
 * Names of dimensions become symbols of g; NULL: they are not kept. */
maas_status maas_onnx_read_type(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg,
                                maas_span type, maas_type *out);
maas_status maas_onnx_read_info(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg,
                                const char *what, const char **out_name, maas_type *out_type);

/* One NodeProto into the graph; Constant nodes only when `constants`, all others when not. */
maas_status maas_onnx_read_node(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg,
                                bool constants);
/* The parts of a node that a function takes over: names, attributes; n_in and n_out are counts. */
maas_status maas_onnx_read_call(maas_onnx_reader *r, const maas_pb *msg, maas_onnx_node *n);
/* out_given false: it refers to an attribute that the call of the function did not give. */
maas_status maas_onnx_read_attr(maas_onnx_reader *r, const maas_pb *msg, maas_attr *out,
                                maas_span *body, bool *out_given);
/* The value of a name in the graph; when nobody has made it yet, one for a later node or an outer
 * graph. MAAS_NO_VALUE for "". */
maas_status maas_onnx_named(maas_onnx_reader *r, maas_graph *g, const char *name, maas_vid *out);

/* ---- functions (onnx_function.c) ---- */
maas_status maas_onnx_read_opsets(maas_onnx_reader *r, const maas_pb *msg, uint32_t field);
maas_status maas_onnx_read_function(maas_onnx_reader *r, const maas_pb *msg);
maas_onnx_function *maas_onnx_function_find(const maas_onnx_reader *r, maas_span domain,
                                            maas_span name, maas_span overload); /* NULL */
/* The node becomes the nodes of the function's body. */
maas_status maas_onnx_call(maas_onnx_reader *r, maas_graph *g, const maas_pb *call,
                           maas_onnx_function *fn);
/* A name as it is in the body that is read becomes the one in the graph; in the scratch arena. */
maas_status maas_onnx_scoped(maas_onnx_reader *r, const char **name);
const maas_attr *maas_onnx_scope_attr(const maas_onnx_scope *s, const char *name); /* NULL */
int *maas_onnx_scope_opset(maas_onnx_reader *r, const maas_onnx_scope *s);
static inline void maas_onnx_enter(maas_onnx_reader *r, const maas_onnx_scope *s)
{
    r->scope = s;
    r->opset = maas_onnx_scope_opset(r, s);
}

/* All elements of a sparse tensor, in `a`. */
maas_status maas_onnx_read_sparse(maas_onnx_reader *r, const maas_pb *msg, maas_arena *a,
                                  maas_tensor *out, const char **out_name);

/* A subgraph is read later: no recursion. */
maas_status maas_onnx_add_job(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg);

/* The form of the operator in the file's opset becomes the one of the internal opset. */
maas_status maas_onnx_upgrade(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n);
/* Operators of com.microsoft that are chains of the standard's become them. */
maas_status maas_onnx_from_microsoft(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n);

/* One change of one operator between opsets (onnx_upgrade.c, onnx_first.c), and what such changes
 * are made of (onnx_form.c). */
typedef struct maas_onnx_form_row {
    const char *domain, *op;
    int from, to; /* opsets of the file for which the row holds, both included */
    maas_status (*fn)(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n);
} maas_onnx_form_row;
extern const maas_onnx_form_row maas_onnx_first_forms[]; /* opsets 1 to 6; they run first */
extern const size_t maas_onnx_n_first_forms;
maas_attr *maas_onnx_attr_find(const maas_onnx_node *n, const char *name); /* NULL */
void maas_onnx_attr_drop(maas_onnx_node *n, const maas_attr *a);
maas_status maas_onnx_attr_add(maas_onnx_reader *r, maas_onnx_node *n, const maas_attr *a);
/* An attribute, where there is one, becomes input `at`: integers as a vector, a number as a scalar
 * of the dtype of input 0, which may not be known yet. */
maas_status maas_onnx_ints_to_input(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n,
                                    const char *name, uint32_t at);
maas_status maas_onnx_float_to_input(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n,
                                     const char *name, uint32_t at);
/* A node of the default domain beside the one that is read. */
maas_status maas_onnx_extra_node(maas_onnx_reader *r, maas_graph *g, const char *op,
                                 const maas_attr *attr, const maas_vid *in, uint32_t n_in,
                                 maas_vid *out);

/* ---- writing ---- */

/* A graph of the file: the model's, then those in attributes. */
typedef struct maas_onnx_level {
    struct maas_onnx_level *next;
    const maas_graph *g;
    const struct maas_onnx_level *outer;
    const maas_node *node; /* that has it in an attribute; NULL for the model's */
    const char **names;    /* [n_values] in the file */
    const char **out;      /* [n_outputs] another name, where one is only passed on; else NULL */
    uint32_t *uses;        /* [n_values] as the file will have them */
} maas_onnx_level;

/* All of a model, outer ones first, in `a`. */
maas_status maas_onnx_levels(const maas_graph *g, maas_arena *a, maas_onnx_level **out,
                             maas_err *err);

/* The lowest opset of its domain that can say the node. */
int maas_onnx_lowest(const maas_graph *g, const maas_node *n);

/* How a node is written in an opset: as it is, except for this. */
typedef struct maas_onnx_form {
    uint32_t n_in;           /* inputs that are written                        */
    const char *drop;        /* attribute that is not; NULL                    */
    const maas_tensor *axes; /* goes into an attribute instead of input 1; NULL */
} maas_onnx_form;
maas_onnx_form maas_onnx_form_of(const maas_graph *g, const maas_node *n, int opset);

#endif
