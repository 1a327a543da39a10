/*
 * formats/keras/keras.h - models that Keras saved, as a row of formats/model.c: `.keras` (zip of
 * config.json and model.weights.h5) and `.h5` (HDF5 with the attribute model_config).
 *
 * Inputs and outputs have the names of the model's input and output layers, the first dimension
 * is the batch. Layers stay channels_last where the file says so. Everything is float32: mixed
 * precision is computed in float32, as its weights are stored.
 *
 * Fails: E_FORMAT for damaged files; E_UNSUPPORTED naming layer, class and argument; E_NOMEM past
 * the budget. HDF5 is read by libhdf5, which is not made for hostile files: foreign bytes come
 * here in the importer's sandbox alone.
 */
#ifndef MAAS_FORMATS_KERAS_KERAS_H
#define MAAS_FORMATS_KERAS_KERAS_H

#include "graph/graph.h"

int maas_keras_probe(maas_span head);
maas_status maas_keras_read(maas_span file, maas_budget *budget, maas_graph **out, maas_err *err);

/* Where a model's weights come from. */
typedef struct maas_keras_weights {
    void *ctx;
    /* A float32 tensor in the arena. dims[rank] is what the caller expects, -1 for any: a hint, the
     * caller checks what comes. */
    maas_status (*get)(void *ctx, const char *path, maas_arena *a, int rank, const int64_t *dims,
                       maas_tensor *out, maas_err *err);
    /* `.h5` alone, else NULL: paths of the weights of a layer, in order. */
    maas_status (*list)(void *ctx, const char *layer, maas_arena *a, char ***paths, size_t *n,
                        maas_err *err);
} maas_keras_weights;

/* The model of a config (text of config.json, or of the attribute model_config). `version`: of the
 * Keras that wrote it. For the reader of files, and for fuzzing without HDF5. */
maas_status maas_keras_graph(maas_span config, const char *version, const maas_keras_weights *w,
                             maas_budget *budget, maas_graph **out, maas_err *err);

#endif
