/* formats/model.c - the table of model formats, and which one a file is of. */
#include "formats/model.h"

#include <stdio.h>
#include <string.h>

#include "formats/boosted.h"
#include "formats/keras/keras.h"
#include "formats/pmml/pmml.h"
#include "formats/savedmodel/savedmodel.h"
#include "formats/sklearn/sklearn.h"
#include "formats/svm/svm.h"
#include "formats/tflite/tflite.h"
#include "base/ban.h"

static maas_status read_onnx(maas_span file, maas_budget *budget, maas_graph **out, maas_err *err)
{
    const maas_onnx_opts o = {.budget = budget};
    return maas_onnx_read(file, &o, out, err);
}

const maas_model_format maas_model_formats[] = {
    {"catboost", ".json", maas_catboost_probe, maas_catboost_read, NULL},
    {"keras", ".keras .h5 .hdf5", maas_keras_probe, maas_keras_read, NULL},
    {"liblinear", ".model", maas_liblinear_probe, maas_liblinear_read, NULL},
    {"libsvm", ".model", maas_libsvm_model_probe, maas_libsvm_model_read, NULL},
    {"lightgbm", ".txt .bst .lgb", maas_lightgbm_probe, maas_lightgbm_read, NULL},
    {"onnx", ".onnx", maas_onnx_probe, read_onnx, maas_onnx_read},
    {"pmml", ".pmml .xml", maas_pmml_probe, maas_pmml_read, NULL},
    {"savedmodel", ".pb", maas_savedmodel_probe, maas_savedmodel_read, maas_savedmodel_read_with},
    {"sklearn", ".pkl .pickle .joblib", maas_sk_probe, maas_sk_read, NULL},
    {"tflite", ".tflite", maas_tflite_probe, maas_tflite_read, NULL},
    {"xgboost", ".json .ubj .bst .model", maas_xgboost_probe, maas_xgboost_read, NULL},
};
const size_t maas_n_model_formats = MAAS_COUNT(maas_model_formats);

/* "catboost, liblinear, ..." */
static const char *known_names(char *to, size_t size)
{
    size_t n = 0;
    to[0] = '\0';
    for (size_t i = 0; i < maas_n_model_formats && n < size; i++)
        n += (size_t)snprintf(to + n, size - n, i ? ", %s" : "%s", maas_model_formats[i].name);
    return to;
}

maas_status maas_model_format_find(maas_span file, const char *name, const maas_model_format **out,
                                   maas_err *err)
{
    const maas_model_format *best = NULL;
    int best_score = 0;
    for (size_t i = 0; i < maas_n_model_formats; i++) {
        const maas_model_format *f = &maas_model_formats[i];
        int score = name ? (strcmp(name, f->name) == 0 ? 100 : 0) : f->probe(file);
        if (score > best_score) {
            best = f;
            best_score = score;
        }
    }
    if (best) {
        *out = best;
        return MAAS_OK;
    }
    char known[256];
    known_names(known, sizeof known);
    if (name)
        return maas_fail(err, MAAS_E_INVALID, "there is no model format '%.32s'; known: %s", name,
                         known);
    return maas_fail(err, MAAS_E_FORMAT, "this is no model file of a known format (known: %s)",
                     known);
}
