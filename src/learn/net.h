/*
 * learn/net.h - a network being built: the same layers written into a training, an evaluation or an
 * export graph.
 *
 *   training    dropout masks are inputs, batch norm uses the batch, weights are trainable
 *   otherwise   no dropout, batch norm uses what it has learned
 *
 * Weights are graph variables with stable names ("layers.0.weight"), so that graphs built from
 * the same recipe share one set of maas_vars, and an update finds them in the parent's file.
 *
 * Owns: its arrays (maas_net_reset). Borrows: graph, recipe, parent. Fails: sticky in `b`.
 */
#ifndef MAAS_LEARN_NET_H
#define MAAS_LEARN_NET_H

#include "base/sys.h"
#include "learn/recipe.h"
#include "ops/build.h"

typedef struct maas_net_weight {
    maas_vid id;
    bool decay; /* matrices: weight decay applies */
} maas_net_weight;

typedef struct maas_net_mask { /* dropout: 0 or 1/(1-rate), drawn by the trainer for each batch */
    uint32_t input;
    double rate;
} maas_net_mask;

/* The columns of a row as fields (layers_fields.c). A table of field j has its categories' rows
 * and, first, one for what is unknown or missing; tables lie one after another. */
typedef struct maas_net_fields {
    maas_vid ids;     /* I64 [batch, n_ids] rows of the tables put together; or MAAS_NO_VALUE */
    maas_vid numbers; /* F32 [batch, n_numbers] prepared; or MAAS_NO_VALUE */
    int64_t n_ids, n_numbers;
    int64_t n_rows; /* of all tables */
} maas_net_fields;

/* Whose columns a layer of fields reads (params.towers; towers.h). */
typedef enum maas_tower {
    MAAS_TOWER_ALL,
    MAAS_TOWER_QUERY,
    MAAS_TOWER_CANDIDATE,
    MAAS_N_TOWERS
} maas_tower;

/* How a layer weighs its edges (graph_edges.h). */
typedef enum maas_edge_kind {
    MAAS_EDGES_GCN,  /* D^-1/2 (A + I) D^-1/2, D the row sums of A + I: Kipf and Welling (2017) */
    MAAS_EDGES_MEAN, /* D^-1 A: the mean of the neighbours, a row without one is zeros */
    MAAS_EDGES_SUM,  /* A */
    MAAS_N_EDGE_KINDS
} maas_edge_kind;

typedef struct maas_net_edges {
    maas_vid from, to, weight; /* I64 [e], I64 [e], F32 [e] */
} maas_net_edges;

typedef struct maas_net {
    maas_builder b;
    maas_net_fields fields[MAAS_N_TOWERS]; /* empty where no layer reads them */
    maas_vid vectors[2]; /* what the last layer of similarity compared; or MAAS_NO_VALUE */
    const struct maas_edges *edges; /* graph_edges.h: rows are nodes; NULL: of no graph */
    maas_net_edges lists[MAAS_N_EDGE_KINDS], given;
    bool has_lists[MAAS_N_EDGE_KINDS], is_given; /* given: edges are an input */
    maas_vid nodes;                              /* I64 [batch] rows of the nodes of a step */
    bool standard;   /* sums along edges are written with operators of the standard */
    maas_vid lens;   /* I64 [batch]: steps of every row before its padding; or MAAS_NO_VALUE */
    int64_t n_steps; /* of rows that `lens` is about */
    const maas_recipe *recipe;
    const maas_graph *parent; /* first values by name; NULL: fresh ones */
    maas_rng *rng;            /* draws fresh values; NULL: zeros        */
    const char *prefix;       /* of the names of layers: "layers" */
    bool training;
    bool logits;              /* leave out the last activation: the loss wants logits */
    int64_t batch;            /* symbol of the first dimension */
    maas_net_weight *weights; /* trainable, in order of making */
    size_t n_weights, cap_weights;
    maas_net_mask *masks;
    size_t n_masks, cap_masks;
} maas_net;

typedef enum maas_init {                 /* names: maas_init_names */
                         MAAS_INIT_AUTO, /* he_normal before relu-like activations, else
                                            glorot_uniform */
                         MAAS_INIT_HE_NORMAL,
                         MAAS_INIT_HE_UNIFORM,
                         MAAS_INIT_GLOROT_NORMAL,
                         MAAS_INIT_GLOROT_UNIFORM,
                         MAAS_INIT_LECUN_NORMAL,
                         MAAS_INIT_NORMAL, /* deviation 0.05 */
                         MAAS_INIT_ZEROS,
                         MAAS_INIT_ONES
} maas_init;
extern const char *const maas_init_names[];

maas_status maas_net_init(maas_net *net, maas_graph *g, const maas_recipe *r, maas_err *err);
void maas_net_reset(maas_net *net);
__attribute__((format(printf, 3, 4))) void maas_net_fail(maas_net *net, maas_status st,
                                                         const char *fmt, ...);
/* A weight "layers.<layer>.<name>"; fans scale the initial values. */
maas_vid maas_net_weight_add(maas_net *net, int layer, const char *name, int rank,
                             const int64_t *dims, maas_init init, int64_t fan_in, int64_t fan_out);
/* "layers.<layer>.<what>" */
void maas_net_name(const maas_net *net, int layer, const char *what, char out[64]);
/* A variable of the graph that is trained, too; an input that is a mask. False: no memory. */
bool maas_net_weight_known(maas_net *net, maas_vid v, bool decay);
bool maas_net_mask_add(maas_net *net, uint32_t input, double rate);
/* A value that is learned but not by gradients (running statistics), or optimizer state. */
maas_vid maas_net_state(maas_net *net, const char *name, int rank, const int64_t *dims, float fill);
/* Sizes of one row: product of the dimensions after the first. */
int64_t maas_net_row(const maas_net *net, maas_vid v);
/* All layers of the recipe over x. */
maas_vid maas_net_layers(maas_net *net, maas_vid x);

/* ---- tables ---- */
typedef struct maas_activation {
    const char *name, *op;                            /* op NULL: composed, or nothing at all */
    maas_vid (*compose)(maas_builder *b, maas_vid x); /* of several nodes; NULL: op            */
    bool relu_like; /* He initialisation fits                         */
    bool has_alpha, has_beta;
    double alpha, beta; /* defaults */
} maas_activation;
extern const maas_activation maas_activations[];
extern const size_t maas_n_activations;
extern const char *const maas_activation_names[]; /* NULL-ended, same order */
enum {
    MAAS_ACTIVATION_NONE,
    MAAS_ACTIVATION_RELU,
    MAAS_ACTIVATION_SOFTMAX,
    MAAS_ACTIVATION_SIGMOID
};
/* alpha, beta NaN: the default of the function. */
maas_vid maas_activation_build(maas_builder *b, int which, double alpha, double beta, maas_vid x);

typedef struct maas_layer_kind {
    maas_variant doc;
    maas_status (*check)(const maas_layer_spec *s, const char *where, maas_err *err); /* or NULL */
    /* One of the two: a layer reads one value, or joins several. */
    maas_vid (*build)(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);
    maas_vid (*join)(maas_net *net, const maas_layer_spec *s, int index, const maas_vid *x, int n);
} maas_layer_kind;
enum {
    MAAS_LAYER_DENSE,
    MAAS_LAYER_ACTIVATION,
    MAAS_LAYER_EMBEDDING,
    MAAS_LAYER_FIELDS,
    MAAS_LAYER_SIMILARITY,
    MAAS_LAYER_GCN_CONV,
    MAAS_LAYER_SAGE_CONV,
    MAAS_N_LAYER_KINDS = 31
};
extern const maas_layer_kind maas_layer_kinds[MAAS_N_LAYER_KINDS];
/* The activation that ends the network: MAAS_ACTIVATION_NONE when the last layer has none. */
int maas_layers_last_activation(const maas_recipe *r);
maas_layer_spec *maas_layers_last_dense(const maas_recipe *r); /* the last with units, or NULL */
bool maas_layers_have_fields(const maas_recipe *r);
/* Kinds that sum along edges: they need params.graph. */
bool maas_layer_reads_edges(int type);
/* Kinds with `units`, which the last of them may leave to the target. */
bool maas_layer_has_units(int type);
/* Whether a layer of fields reads these columns. */
bool maas_layers_read_tower(const maas_recipe *r, int tower);
/* One number ends the network, however many the target could use. */
bool maas_layers_end_in_one(const maas_recipe *r);
/* Names are unique, and what a layer reads comes before it. */
maas_status maas_layers_check_wires(const maas_recipe *r, maas_err *err);

#endif
