/*
 * learn/boost/xgb.h - XGBoost's library, opened when a job needs it.
 *
 * It is no dependency of the program: only the worker of a boosting job opens it, by a fixed name
 * that the system's loader resolves. What it makes is read back by formats/xgboost/, so nothing of
 * it serves predictions. Its own words never reach a client: they may name files.
 *
 * Owns: nothing; the library stays open for the life of the process. Threads: any may open it; a
 * handle one at a time.
 * Fails: E_UNAVAILABLE naming the package; E_INTERNAL naming the step that the library refused.
 */
#ifndef MAAS_LEARN_BOOST_XGB_H
#define MAAS_LEARN_BOOST_XGB_H

#include <stdint.h>

#include "base/status.h"

typedef void *maas_xgb_handle; /* of a table, or of a booster */

/* As xgboost/c_api.h declares them: 0 is success. */
typedef struct maas_xgb {
    int (*XGDMatrixCreateFromMat_omp)(const float *data, uint64_t n_rows, uint64_t n_cols,
                                      float missing, maas_xgb_handle *out, int n_threads);
    int (*XGDMatrixSetStrFeatureInfo)(maas_xgb_handle d, const char *field, const char **values,
                                      uint64_t n);
    int (*XGDMatrixSetFloatInfo)(maas_xgb_handle d, const char *field, const float *v, uint64_t n);
    int (*XGDMatrixSetUIntInfo)(maas_xgb_handle d, const char *field, const unsigned *v,
                                uint64_t n);
    int (*XGDMatrixFree)(maas_xgb_handle d);
    int (*XGBoosterCreate)(const maas_xgb_handle *tables, uint64_t n, maas_xgb_handle *out);
    int (*XGBoosterFree)(maas_xgb_handle b);
    int (*XGBoosterSetParam)(maas_xgb_handle b, const char *name, const char *value);
    int (*XGBoosterUpdateOneIter)(maas_xgb_handle b, int round, maas_xgb_handle train);
    int (*XGBoosterEvalOneIter)(maas_xgb_handle b, int round, maas_xgb_handle *tables,
                                const char **names, uint64_t n, const char **out);
    int (*XGBoosterSlice)(maas_xgb_handle b, int from, int to, int step, maas_xgb_handle *out);
    int (*XGBoosterPredictFromDMatrix)(maas_xgb_handle b, maas_xgb_handle d, const char *config,
                                       const uint64_t **shape, uint64_t *n_dims, const float **out);
    int (*XGBoosterSaveModelToBuffer)(maas_xgb_handle b, const char *config, uint64_t *n,
                                      const char **out);
    int (*XGBoosterFeatureScore)(maas_xgb_handle b, const char *config, uint64_t *n_features,
                                 const char ***features, uint64_t *n_dims, const uint64_t **shape,
                                 const float **scores);
} maas_xgb;

maas_status maas_xgb_open(const maas_xgb **out, maas_err *err);

/* MAAS_TRY(maas_xgb_did(x->XGBoosterFree(b), "closing", err)) */
maas_status maas_xgb_did(int result, const char *step, maas_err *err);

#endif
