/* formats/keras/core.c - dense layers, embeddings, and what does nothing when a model is used. */
#include <string.h>

#include "formats/keras/keras_int.h"
#include "base/ban.h"

maas_vid kr_dense(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    const int rank = kr_type(k, in[0])->rank;
    const int64_t units = kr_need_int(k, l, "units", 1, KR_MAX_UNITS);
    if (rank < 2)
        return kr_fail(k, l, MAAS_E_UNSUPPORTED, "its input needs two dimensions or more");
    const int64_t f = kr_size(k, l, in[0], rank - 1);
    maas_vid y = maas_b_op2(&k->b, "MatMul", in[0],
                            kr_weight(k, l, "", 0, 2, (int64_t[]){f, units}));
    if (kr_bool(k, l, "use_bias", true))
        y = maas_b_op2(&k->b, "Add", y, kr_weight(k, l, "", 1, 1, &units));
    return kr_activate(k, l, "activation", y);
}

static maas_vid embedding(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    const int64_t rows = kr_need_int(k, l, "input_dim", 1, INT32_MAX);
    const int64_t width = kr_need_int(k, l, "output_dim", 1, KR_MAX_UNITS);
    if (kr_bool(k, l, "mask_zero", false))
        return kr_fail(k, l, MAAS_E_UNSUPPORTED,
                       "mask_zero hides positions from later layers; masks are not supported");
    const maas_vid w = kr_weight(k, l, "", 0, 2, (int64_t[]){rows, width});
    return maas_b_op2(&k->b, "Gather", w, kr_cast(k, in[0], MAAS_I64));
}

static maas_vid identity(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    return in[0];
}

const kr_row kr_core[] = {
    {"Dense", kr_dense, "units activation use_bias", 0, 1, 1, 0},
    {"Embedding", embedding, "input_dim output_dim input_length mask_zero", 0, 1, 1, KR_ANY_TYPE},
    {"Dropout", identity, "rate", 0, 1, 1, KR_ANY_TYPE},
    {"SpatialDropout1D", identity, "rate", 0, 1, 1, KR_ANY_TYPE},
    {"SpatialDropout2D", identity, "rate data_format", 0, 1, 1, KR_ANY_TYPE},
    {"SpatialDropout3D", identity, "rate data_format", 0, 1, 1, KR_ANY_TYPE},
    {"AlphaDropout", identity, "rate", 0, 1, 1, KR_ANY_TYPE},
    {"GaussianDropout", identity, "rate", 0, 1, 1, KR_ANY_TYPE},
    {"GaussianNoise", identity, "stddev", 0, 1, 1, KR_ANY_TYPE},
    {"ActivityRegularization", identity, "l1 l2", 0, 1, 1, KR_ANY_TYPE},
    {"Identity", identity, "", 0, 1, 1, KR_ANY_TYPE},
    {0},
};
