/*
 * formats/sklearn/distances.h - distances between rows and points of the file.
 *
 * Up to MAAS_SK_DIRECT features are taken one by one, differences first: nothing cancels, and a row
 * that is one of the points is at distance 0, as in the maker's trees. Beyond that, Euclidean
 * distances are |x|^2 - 2 x.y + |y|^2, as the maker's brute force has them.
 */
#ifndef MAAS_FORMATS_SKLEARN_DISTANCES_H
#define MAAS_FORMATS_SKLEARN_DISTANCES_H

#include "formats/sklearn/sklearn.h"

enum { MAAS_SK_DIRECT = 32, MAAS_SK_MAX_DIRECT = 4096 };

typedef enum maas_sk_metric_kind {
    MAAS_SK_EUCLIDEAN,
    MAAS_SK_SQEUCLIDEAN,
    MAAS_SK_MANHATTAN,
    MAAS_SK_CHEBYSHEV,
    MAAS_SK_MINKOWSKI,
    MAAS_SK_COSINE
} maas_sk_metric_kind;

typedef struct maas_sk_metric {
    maas_sk_metric_kind kind;
    double p; /* MINKOWSKI */
} maas_sk_metric;

/* A metric by its name in attribute `name`, with p (and nothing else) from dict `params`, which may
 * be absent. E_UNSUPPORTED names others. */
maas_status maas_sk_metric_of(maas_sk *s, const maas_pk *est, const char *name, const char *params,
                              maas_sk_metric *out);
/* x [n, f] to points [m, f]: [n, m]. */
maas_vid maas_sk_distances(maas_sk *s, maas_vid x, const maas_tensor *points,
                           const maas_sk_metric *metric);
/* The number of the nearest point, the first of equals: I64 [n]. */
maas_vid maas_sk_nearest(maas_sk *s, maas_vid distances);

/* The k nearest of the points in order; equal distances in order of the points. distance and index
 * are [n, k]. */
typedef struct maas_sk_near {
    maas_vid distance, index;
} maas_sk_near;
maas_sk_near maas_sk_neighbours(maas_sk *s, maas_vid x, const maas_tensor *points,
                                const maas_sk_metric *metric, int64_t k);

#endif
