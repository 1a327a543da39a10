/*
 * learn/cores/cluster.h - groups of rows: k-means, DBSCAN, mixtures of Gaussians.
 *
 * Owns: nothing; results are the caller's arrays, scratch is in the arena of the work. Rows are
 * finite. The same seed gives the same groups, whatever the number of threads.
 * Fails: E_INVALID (more groups than rows), E_NOMEM, E_CANCELLED.
 */
#ifndef MAAS_LEARN_CORES_CLUSTER_H
#define MAAS_LEARN_CORES_CLUSTER_H

#include "base/sys.h"
#include "learn/cores/work.h"

typedef struct maas_points {
    const double *x; /* [n][d] */
    int64_t n, d;
} maas_points;

/* ---- the nearest of k centres ---- */
/* label[i] and (if asked) d2[i] for rows from..to of x; centres [k][d]. Ties: the lowest number. */
typedef struct maas_nearest {
    maas_points p;
    const double *centres;
    int64_t k, stride;      /* stride: k rounded up to whole vectors */
    double *across, *norms; /* [d][stride] and [k], made by maas_nearest_init */
    double *scores;         /* [outer][stride]: of a block of rows */
    int64_t outer;
} maas_nearest;
maas_status maas_nearest_init(maas_work *w, const maas_points *p, int64_t k, maas_nearest *out,
                              maas_err *err);
void maas_nearest_set(maas_nearest *s, const double *centres);
/* All rows; returns the sum of the squared distances. */
double maas_nearest_all(maas_work *w, const maas_nearest *s, int32_t *label, double *d2);

/* ---- k-means ---- */
typedef struct maas_kmeans_opts {
    int64_t k, n_init, max_iter, batch; /* batch 0: all rows each step */
    double tol; /* squared shift of centres, in units of the mean variance */
    uint64_t seed;
    bool random_start; /* else k-means++ */
} maas_kmeans_opts;

typedef struct maas_kmeans_fit {
    double *centres; /* [k][d] */
    int32_t *label;  /* [n] */
    double inertia;
    int64_t n_iter;
} maas_kmeans_fit;
maas_status maas_kmeans_run(maas_work *w, const maas_points *p, const maas_kmeans_opts *o,
                            maas_kmeans_fit *out, maas_err *err);

/* Starts (kmeans_start.c): centres [k][d]. */
maas_status maas_kmeans_plus_plus(maas_work *w, const maas_points *p, int64_t k, maas_rng *rng,
                                  double *centres, maas_err *err);
void maas_kmeans_random(const maas_points *p, int64_t k, maas_rng *rng, int64_t *scratch,
                        double *centres);

/* ---- DBSCAN ---- */
/* label[i]: number of its group, -1 noise; core[i]: has min_samples rows (itself counted) within
 * eps. Groups are numbered by their first core row; a border row belongs to the lowest number. */
maas_status maas_dbscan_run(maas_work *w, const maas_points *p, double eps, int64_t min_samples,
                            int32_t *label, bool *core, int32_t *out_n_groups, maas_err *err);

/* ---- mixtures of Gaussians ---- */
typedef enum maas_covariance {
    MAAS_COVARIANCE_FULL,
    MAAS_COVARIANCE_TIED,
    MAAS_COVARIANCE_DIAG,
    MAAS_COVARIANCE_SPHERICAL
} maas_covariance;

typedef struct maas_mixture_opts {
    int64_t k, n_init, max_iter;
    int covariance;    /* maas_covariance */
    double tol, floor; /* of the mean log-likelihood; added to variances */
    uint64_t seed;
} maas_mixture_opts;

/* Precisions as factors: log p(x) = log_norm[c] - |(x - mean[c]) factor[c]|^2 / 2, where factor is
 * an upper triangle [d][d] (FULL: k of them, TIED: 1), or numbers [k][d] (DIAG, SPHERICAL). */
typedef struct maas_mixture_fit {
    double *weights, *means; /* [k], [k][d] */
    double *factors;         /* maas_mixture_factors() numbers */
    double *log_norm;        /* [k] log weight + log of the density's constant */
    double mean_log_likelihood;
    int64_t n_iter;
    bool converged;
} maas_mixture_fit;
int64_t maas_mixture_factors(int covariance, int64_t k, int64_t d);
maas_status maas_mixture_run(maas_work *w, const maas_points *p, const maas_mixture_opts *o,
                             maas_mixture_fit *out, maas_err *err);
/* scores[i][c] = log_norm[c] - |...|^2/2 for all rows. */
maas_status maas_mixture_scores(maas_work *w, const maas_points *p, int covariance, int64_t k,
                                const maas_mixture_fit *fit, double *scores, maas_err *err);

/* ---- how good ---- */
/* Mean silhouette of the rows picked (NULL: all), E_INVALID never; NaN with fewer than 2 groups. */
maas_status maas_silhouette(maas_work *w, const maas_points *p, const int32_t *label, int32_t k,
                            double *out, maas_err *err);

#endif
