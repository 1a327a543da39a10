/* Typed memory into JSON arrays. */
#include "tensor/json.h"

#include <string.h>

#include "base/num.h"
#include "tensor/small.h"
#include "base/ban.h"

/* Writes element i at out (at most MAAS_NUM_MAX bytes) and returns how many. */
typedef size_t put_fn(const void *data, int64_t i, char *out);

#define PUT(name, type, put)                                                                       \
    static size_t put_##name(const void *data, int64_t i, char *out)                               \
    {                                                                                              \
        return put(out, ((const type *)data)[i]);                                                  \
    }
PUT(f32, float, maas_num_put_f32)
PUT(f64, double, maas_num_put_f64)
PUT(i8, int8_t, maas_num_put_i64)
PUT(i16, int16_t, maas_num_put_i64)
PUT(i32, int32_t, maas_num_put_i64)
PUT(i64, int64_t, maas_num_put_i64)
PUT(u8, uint8_t, maas_num_put_u64)
PUT(u16, uint16_t, maas_num_put_u64)
PUT(u32, uint32_t, maas_num_put_u64)
PUT(u64, uint64_t, maas_num_put_u64)

static size_t put_f16(const void *data, int64_t i, char *out)
{
    return maas_num_put_f32(out, maas_f16_to_f32(((const uint16_t *)data)[i]));
}

static size_t put_bf16(const void *data, int64_t i, char *out)
{
    return maas_num_put_f32(out, maas_bf16_to_f32(((const uint16_t *)data)[i]));
}

static size_t put_bool(const void *data, int64_t i, char *out)
{
    bool v = ((const uint8_t *)data)[i];
    memcpy(out, v ? "true" : "false", v ? 4 : 5);
    return v ? 4 : 5;
}

#define PUT_SMALL(name, id)                                                                        \
    static size_t put_##name(const void *data, int64_t i, char *out)                               \
    {                                                                                              \
        return maas_num_put_f32(out, maas_small_float(MAAS_##id, ((const uint8_t *)data)[i]));     \
    }
PUT_SMALL(f8e4m3fn, F8E4M3FN)
PUT_SMALL(f8e4m3fnuz, F8E4M3FNUZ)
PUT_SMALL(f8e5m2, F8E5M2)
PUT_SMALL(f8e5m2fnuz, F8E5M2FNUZ)
PUT_SMALL(f8e8m0, F8E8M0)
PUT_SMALL(f6e2m3, F6E2M3)
PUT_SMALL(f6e3m2, F6E3M2)
PUT_SMALL(f4e2m1, F4E2M1)

static put_fn *const puts_of[] = {
    [MAAS_F32] = put_f32,
    [MAAS_F64] = put_f64,
    [MAAS_F16] = put_f16,
    [MAAS_BF16] = put_bf16,
    [MAAS_I8] = put_i8,
    [MAAS_I16] = put_i16,
    [MAAS_I32] = put_i32,
    [MAAS_I64] = put_i64,
    [MAAS_U8] = put_u8,
    [MAAS_U16] = put_u16,
    [MAAS_U32] = put_u32,
    [MAAS_U64] = put_u64,
    [MAAS_BOOL] = put_bool,
    [MAAS_STRING] = NULL,
    [MAAS_I4] = put_i8,
    [MAAS_I2] = put_i8,
    [MAAS_U4] = put_u8,
    [MAAS_U2] = put_u8,
    [MAAS_F8E4M3FN] = put_f8e4m3fn,
    [MAAS_F8E4M3FNUZ] = put_f8e4m3fnuz,
    [MAAS_F8E5M2] = put_f8e5m2,
    [MAAS_F8E5M2FNUZ] = put_f8e5m2fnuz,
    [MAAS_F8E8M0] = put_f8e8m0,
    [MAAS_F6E2M3] = put_f6e2m3,
    [MAAS_F6E3M2] = put_f6e3m2,
    [MAAS_F4E2M1] = put_f4e2m1,
};

static void encode_strings(const maas_str *s, int64_t from, int64_t to, maas_buf *out)
{
    for (int64_t i = from; i < to && !out->failed; i++) {
        if (i > from)
            maas_buf_char(out, ',');
        maas_buf_json_str(out, s[i].p, s[i].n);
    }
}

/* In blocks of text on the stack: the worst case of a number is three times the usual one, and
 * neither memory nor the maximum of the buffer should be measured by it. */
void maas_json_encode_elements(const maas_tensor *t, int64_t from, int64_t to, maas_buf *out)
{
    enum { BLOCK = 64 };
    char text[BLOCK * (MAAS_NUM_MAX + 1)];
    MAAS_CHECK(t->dtype < MAAS_COUNT(puts_of) && (puts_of[t->dtype] || t->dtype == MAAS_STRING));
    put_fn *put = puts_of[t->dtype];
    if (!put) {
        encode_strings(t->data, from, to, out);
        return;
    }
    for (int64_t i = from; i < to && !out->failed;) {
        size_t n = 0;
        int64_t end = to - i < BLOCK ? to : i + BLOCK;
        for (; i < end; i++) {
            if (i > from)
                text[n++] = ',';
            n += put(t->data, i, text + n);
        }
        maas_buf_add(out, text, n);
    }
}

void maas_json_encode_tensor(const maas_tensor *t, maas_buf *out)
{
    maas_buf_char(out, '[');
    if (t->data)
        maas_json_encode_elements(t, 0, maas_n_elems(t), out);
    maas_buf_char(out, ']');
}
