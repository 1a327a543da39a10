/*
 * learn/feeds.h - which columns of a data set feed which input of a model: the model's own metadata
 * says
 * ("maas.columns", features.h); a model without it has one input, fed by all columns but the target
 * in their order.
 *
 * Owns: nothing, lists are in the caller's arena. Borrows: graph and data set. Threads: read-only
 * once made. Fails: E_INVALID naming input or column.
 */
#ifndef MAAS_LEARN_FEEDS_H
#define MAAS_LEARN_FEEDS_H

#include "base/arena.h"
#include "graph/graph.h"
#include "learn/dataset.h"

typedef struct maas_feed {
    const maas_ds_column **cols;
    uint32_t n_cols;
    int64_t width; /* cells of one row, all columns together */
} maas_feed;

typedef struct maas_feeds {
    const maas_graph *g;
    const maas_dataset *d;
    const char *target; /* a column that is no feature; NULL: none */
    maas_feed *at;      /* [g->n_inputs] */
} maas_feeds;

maas_status maas_feeds_init(maas_feeds *f, const maas_graph *g, const maas_dataset *d,
                            const char *target, maas_arena *arena, maas_err *err);
/* The type of an input for n rows. */
maas_type maas_feed_type(const maas_feeds *f, uint32_t input, int64_t n);
/* Rows from .. from + n of the data set into a tensor of that type; text is borrowed, missing text
 * is empty. */
void maas_feed_fill(const maas_feeds *f, uint32_t input, int64_t from, int64_t n, maas_tensor *to);

#endif
