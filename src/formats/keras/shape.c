/* formats/keras/shape.c - layers that move values and compute nothing. */
#include <string.h>

#include "formats/keras/keras_int.h"
#include "base/ban.h"

enum { MAX_SPATIAL = 3, MAX_STEP = 1 << 16 };

/* Rows as they come out of Keras: channels last, unless the layer says otherwise. */
static maas_vid flatten(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    maas_vid x = in[0];
    const int rank = kr_type(k, x)->rank;
    if (rank > 2 && kr_channels_first(k, l)) /* its rows are those of channels_last */
        x = kr_channels_out(k, x, false);
    return rank == 1 ? kr_reshape(k, x, (const int64_t[]){-1, 1}, 2)
                     : kr_op1(k, "Flatten", MAAS_A_INT("axis", 1), x);
}

static maas_vid reshape(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    const json_t *v = kr_arg(l, "target_shape");
    int64_t dims[MAAS_MAX_RANK], made[MAAS_MAX_RANK] = {0};
    const int rank = (int)json_array_size(v);
    const maas_type *t = kr_type(k, in[0]);
    int64_t all = 1, known = 1;
    int unknown = -1;
    if (!json_is_array(v) || rank + 1 > MAAS_MAX_RANK)
        return kr_fail(k, l, MAAS_E_FORMAT, "target_shape is no shape of %d dimensions at most",
                       MAAS_MAX_RANK - 1);
    kr_ints(k, l, "target_shape", rank, -1, INT32_MAX, 1, dims);
    for (int i = 0; i < rank; i++) {
        made[i + 1] = dims[i];
        if (dims[i] < 0 && unknown >= 0)
            return kr_fail(k, l, MAAS_E_FORMAT, "target_shape has two sizes of -1");
        if (dims[i] < 0)
            unknown = i + 1;
        else if (__builtin_mul_overflow(known, dims[i], &known))
            return kr_fail(k, l, MAAS_E_TOO_LARGE, "target_shape is too large");
    }
    made[0] = unknown < 0 ? -1 : 0;
    for (int i = 1; i < t->rank && unknown >= 0; i++)
        if (t->dims[i] < 1 || __builtin_mul_overflow(all, t->dims[i], &all))
            all = 0;
    if (unknown >= 0 && all > 0 && known > 0 && all % known == 0) {
        made[unknown] = all / known; /* both sizes said: the batch is what is left */
        made[0] = -1;
    }
    return kr_reshape(k, in[0], made, rank + 1);
}

static maas_vid permute(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    const int rank = kr_type(k, in[0])->rank;
    int64_t order[MAAS_MAX_RANK] = {0};
    unsigned seen = 1;
    if (rank < 2 || !json_is_array(kr_arg(l, "dims")))
        return kr_fail(k, l, MAAS_E_FORMAT, "dims does not fit its input");
    kr_ints(k, l, "dims", rank - 1, 1, rank - 1, 1, order + 1);
    for (int i = 1; i < rank; i++)
        seen |= 1u << order[i];
    if (seen != (1u << rank) - 1)
        return kr_fail(k, l, MAAS_E_FORMAT, "dims is no order of the dimensions");
    return kr_transpose(k, in[0], rank, order);
}

static maas_vid repeat_vector(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    const int64_t times = kr_need_int(k, l, "n", 1, MAX_STEP), axis = 1;
    const int64_t repeats[3] = {1, times, 1};
    const maas_vid x = maas_b_op2(&k->b, "Unsqueeze", in[0], maas_b_i64s(&k->b, &axis, 1));
    return maas_b_op2(&k->b, "Tile", x, maas_b_i64s(&k->b, repeats, 3));
}

/* ---- borders: one number, one a dimension, or a pair a dimension ---- */

static bool read_borders(kr *k, const kr_layer *l, const char *key, int n, int64_t otherwise,
                         int64_t (*out)[2])
{
    const json_t *v = kr_arg(l, key);
    /* of one dimension the pair stands alone: [1, 2] */
    const bool alone = n == 1 && json_array_size(v) == 2;
    for (int i = 0; i < n; i++) {
        const json_t *d = alone || !json_is_array(v) ? v : json_array_get(v, (size_t)i);
        for (size_t side = 0; side < 2; side++) {
            const json_t *x = json_is_array(d) ? json_array_get(d, side) : d;
            out[i][side] = x ? json_integer_value(x) : otherwise;
            if ((x && !json_is_integer(x)) || (v && !x) || out[i][side] < 0 ||
                out[i][side] > MAX_STEP) {
                kr_fail(k, l, MAAS_E_FORMAT, "%s is no size of borders", key);
                return false;
            }
        }
    }
    return kr_ok(k);
}

static maas_vid zero_padding(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    const int rank = kr_type(k, in[0])->rank, first = kr_channels_first(k, l) ? 2 : 1;
    int64_t border[MAX_SPATIAL][2], pads[2 * MAAS_MAX_RANK] = {0};
    if (!read_borders(k, l, "padding", rank - 2, 1, border))
        return MAAS_NO_VALUE;
    for (int i = 0; i < rank - 2; i++) {
        pads[first + i] = border[i][0];
        pads[rank + first + i] = border[i][1];
    }
    return maas_b_op2(&k->b, "Pad", in[0], maas_b_i64s(&k->b, pads, 2 * rank));
}

static maas_vid cropping(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    const int rank = kr_type(k, in[0])->rank, first = kr_channels_first(k, l) ? 2 : 1;
    int64_t border[MAX_SPATIAL][2];
    maas_vid x = in[0];
    if (!read_borders(k, l, "cropping", rank - 2, rank == 3 ? 1 : 0, border))
        return MAAS_NO_VALUE;
    for (int i = 0; i < rank - 2; i++)
        if (border[i][0] || border[i][1])
            x = kr_slice(k, x, first + i, border[i][0], border[i][1] ? -border[i][1] : INT64_MAX,
                         1);
    return x;
}

static maas_vid up_sampling(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    static const char *const ways[] = {"nearest", "bilinear", NULL};
    const int rank = kr_type(k, in[0])->rank;
    const bool first = kr_channels_first(k, l), linear = kr_word(k, l, "interpolation", ways, 0);
    int64_t size[MAX_SPATIAL];
    float scales[2 + MAX_SPATIAL] = {1, 1};
    const int64_t n_scales = rank;
    kr_ints(k, l, "size", rank - 2, 1, MAX_STEP, 2, size);
    for (int i = 0; i < rank - 2; i++)
        scales[2 + i] = (float)size[i];
    const maas_tensor t = maas_tensor_of(MAAS_F32, 1, &n_scales, scales);
    const maas_attr a[] = {
        MAAS_A_STR("mode", linear ? "linear" : "nearest"),
        MAAS_A_STR("coordinate_transformation_mode", linear ? "half_pixel" : "asymmetric"),
        MAAS_A_STR("nearest_mode", "floor"),
    };
    const maas_vid of[3] = {kr_channels_in(k, in[0], first), MAAS_NO_VALUE,
                            maas_b_const(&k->b, NULL, &t)};
    return kr_channels_out(k, maas_b_node(&k->b, "Resize", a, linear ? 2 : 3, of, 3, NULL, 1),
                           first);
}

const kr_row kr_shapes[] = {
    {"Flatten", flatten, "data_format", 0, 1, 1, KR_ANY_TYPE},
    {"Reshape", reshape, "target_shape", 0, 1, 1, KR_ANY_TYPE},
    {"Permute", permute, "dims", 0, 1, 1, KR_ANY_TYPE},
    {"RepeatVector", repeat_vector, "n", 2, 1, 1, KR_ANY_TYPE},
    {"ZeroPadding1D", zero_padding, "padding data_format", 3, 1, 1, 0},
    {"ZeroPadding2D", zero_padding, "padding data_format", 4, 1, 1, 0},
    {"ZeroPadding3D", zero_padding, "padding data_format", 5, 1, 1, 0},
    {"Cropping1D", cropping, "cropping data_format", 3, 1, 1, KR_ANY_TYPE},
    {"Cropping2D", cropping, "cropping data_format", 4, 1, 1, KR_ANY_TYPE},
    {"Cropping3D", cropping, "cropping data_format", 5, 1, 1, KR_ANY_TYPE},
    {"UpSampling1D", up_sampling, "size", 3, 1, 1, 0},
    {"UpSampling2D", up_sampling, "size data_format interpolation", 4, 1, 1, 0},
    {"UpSampling3D", up_sampling, "size data_format", 5, 1, 1, 0},
    {0},
};
