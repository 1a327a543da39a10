/*
 * learn/graph_edges.h - params.graph: rows of a data set as nodes, and a second data set whose rows
 * are the edges between them.
 *
 *   "graph": {"edges": "cites", "source": "citing", "target": "cited", "id": "paper"}
 *
 * All layers run over all nodes; the loss sees the nodes of a batch. So the cells of all nodes and
 * the lists of edges are constants of the three graphs. What is served asks for nodes of that graph
 * by name (serve "nodes"), or brings rows and edges of its own (serve "graph").
 *
 * Owns: nothing, all is in the arena. Borrows: both data sets. Threads: read-only once fitted.
 * Fails: E_INVALID naming data set, column and row.
 */
#ifndef MAAS_LEARN_GRAPH_EDGES_H
#define MAAS_LEARN_GRAPH_EDGES_H

#include "base/arena.h"
#include "learn/features.h"
#include "learn/split.h"

typedef struct maas_edges {
    int64_t n_nodes, n;       /* edges in the direction in which layers read them */
    int64_t *from, *to;       /* [n] rows of nodes, by `to`, then by `from` */
    float *weight;            /* [n]; NULL: each counts 1 */
    const maas_ds_column *id; /* what edges call a node; NULL: its row, from 0 */
    void **cells;             /* raw inputs of all nodes, in the order of features.h */
    maas_arena *arena;
} maas_edges;

/* Form of params.graph, and whether layers and graph go together. */
maas_status maas_graph_spec_check(const maas_recipe *r, maas_err *err);
maas_status maas_edges_fit(maas_edges *e, const maas_dataset *nodes, const maas_dataset *edges,
                           const maas_graph_spec *s, maas_arena *arena, maas_err *err);
/* The cells of all nodes, once features are fitted. */
maas_status maas_edges_gather(maas_edges *e, const maas_features *fs, maas_err *err);
/* Whose target is learned from and measured on: rows that have one, dealt as `split` says or by
 * params.validation. */
maas_status maas_graph_rows(maas_split *out, const maas_dataset *nodes, const char *target,
                            const maas_recipe *r, maas_rng *rng, maas_budget *budget,
                            maas_err *err);

/* What edges call the node of this row. */
void maas_edges_name(const maas_edges *e, int64_t row, maas_str *text, int64_t *number);

/* ---- graphs: the two lists and the weights as values ---- */

/* y[i] = sum of weight * x[from] over edges to i. */
maas_vid maas_edges_sum(maas_net *net, maas_edge_kind kind, maas_vid x);
/* Inputs of a model that answers about nodes of the stored graph: from a list of names to the rows
 * of `z` that are theirs. */
maas_vid maas_edges_nodes_input(maas_net *net);
maas_vid maas_edges_pick(maas_net *net, maas_vid names, maas_vid z);
/* Inputs of a model that is given edges: "edges" [2, -1], and "edge_weight" when it learned with
 * weights. */
void maas_edges_inputs(maas_net *net);
/* "maas.graph"; NULL: no memory. */
json_t *maas_edges_json(const maas_edges *e, const maas_graph_spec *s);

#endif
