/* tests/fuzz/keras_fake.h - bytes as the config of a Keras model, with weights that are there
 * whatever is asked for: the reader without HDF5. */
#ifndef MAAS_TEST_KERAS_FAKE_H
#define MAAS_TEST_KERAS_FAKE_H

#include "formats/keras/keras.h"

static maas_status keras_fake_get(void *ctx, const char *path, maas_arena *a, int rank,
                                  const int64_t *dims, maas_tensor *out, maas_err *err)
{
    int64_t all[MAAS_MAX_RANK];
    size_t bytes;
    for (int i = 0; i < rank; i++)
        all[i] = dims[i] < 0 ? 2 : dims[i];
    MAAS_TRY(maas_shape_bytes(MAAS_F32, all, rank, &bytes, err));
    if (bytes > 1 << 20)
        return maas_fail(err, MAAS_E_TOO_LARGE, "weight '%.60s' of %zu bytes", path, bytes);
    *out = maas_tensor_of(MAAS_F32, rank, all, maas_arena_alloc(a, bytes));
    if (!out->data)
        return maas_fail(err, MAAS_E_NOMEM, "no memory left for a weight");
    for (size_t i = 0; i < bytes / sizeof(float); i++)
        ((float *)out->data)[i] = 0.25f + (float)(i % 7) / 8;
    return MAAS_OK;
}

/* version: of Keras, as files say it; NULL: they do not. */
static inline maas_status keras_fake_read_of(maas_span file, const char *version,
                                             maas_budget *budget, maas_graph **out, maas_err *err)
{
    const maas_keras_weights w = {NULL, keras_fake_get, NULL};
    return maas_keras_graph(file, version, &w, budget, out, err);
}

static inline maas_status keras_fake_read(maas_span file, maas_budget *budget, maas_graph **out,
                                          maas_err *err)
{
    return keras_fake_read_of(file, "3.0", budget, out, err);
}

#endif
