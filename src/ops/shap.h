/*
 * ops/shap.h - Shapley values of a row: how much each feature adds to each sum of a forest.
 *
 *   expected[t] + sum over i of phi[t][i] = the sum of target t (maas_forest_row)
 *
 * Two games, both exact:
 *   by covers      what is not known of a row goes both ways, in the shares of the training rows
 *                  (path-dependent: pred_contribs of XGBoost, pred_contrib of LightGBM, the default
 *                  of the shap package). expected: maas_shap_expected.
 *   against rows   what is not known comes from background rows, averaged over them
 *                  (interventional). expected: the mean sum of the background rows.
 *
 * For sums and averages of raw weights, before any post-transform. By covers a leaf with d features
 * above it is a product game, whose Shapley values are integrals of polynomials of degree d - 1:
 *   phi[i] = w (o[i] - z[i]) * integral over t in [0, 1] of the product over j != i of
 *            z[j] + t (o[j] - z[j])        o: does x go there (0, 1), z: share of the rows that do
 * Gauss-Legendre with ceil(d / 2) points is exact, every factor is positive, and all leaves of a
 * tree share their products: a row costs O(nodes * d / 2), without cancellation.
 *
 * Owns: tables. Borrows: the forest, verified, which must outlive it. Threads: read-only after
 * create; each thread brings its own scratch. Fails: E_UNSUPPORTED with words for MIN and MAX,
 * unknown covers, trees deeper than MAAS_SHAP_MAX_DEPTH; E_NOMEM past the budget.
 */
#ifndef MAAS_OPS_SHAP_H
#define MAAS_OPS_SHAP_H

#include "ops/forest.h"

#define MAAS_SHAP_MAX_DEPTH 1024

typedef struct maas_shap maas_shap;

maas_status maas_shap_create(const maas_forest *f, maas_budget *budget, maas_shap **out,
                             maas_err *err);
void maas_shap_destroy(maas_shap *s); /* NULL is fine */
/* Bytes of scratch that a thread needs, aligned to 64; zeroed before its first use. */
size_t maas_shap_scratch(const maas_shap *s);
/* Are there covers, so that by_covers and expected may be asked? (against needs none) */
bool maas_shap_has_covers(const maas_shap *s);

void maas_shap_expected(const maas_shap *s, double *out); /* [n_targets], base included */
/* x[n_rows][n_features]; phi[n_rows][n_targets][n_features] is overwritten. Rows are walked a few
 * at a time: many in one call are faster than one in many. */
void maas_shap_by_covers(const maas_shap *s, const double *x, int64_t n_rows, double *phi,
                         void *scratch);
/* background[n_rows][n_features], one row at least. */
void maas_shap_against(const maas_shap *s, const double *x, const double *background,
                       int64_t n_rows, double *phi, void *scratch);

#endif
