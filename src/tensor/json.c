/*
 * JSON arrays into typed memory.
 *
 * The innermost rows take nearly all the time: each dtype has its own row loop, made from one
 * inlined body, that parses and stores element after element with no call in between. What is
 * around the rows (nesting, shape) is shared and slow-path only.
 */
#include "tensor/json_int.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/num_dec.h"
#include "tensor/small.h"
#include "base/ban.h"

/* Reads an element at p into out; where it ends, or NULL with the reason in d->err. */
typedef const uint8_t *element_fn(maas_json_decoder *d, const uint8_t *p, void *out);

__attribute__((cold, noinline)) static const uint8_t *fail_shape(maas_json_decoder *d,
                                                                 const uint8_t *p)
{
    maas_fail(d->err, MAAS_E_INVALID,
              "ragged array: the rows before value %" PRId64
              " at byte %zu differ in length or depth",
              d->n, (size_t)(p - d->start));
    return NULL;
}

/* ---- floats ---- */

static bool word_at(const maas_json_decoder *d, const uint8_t *p, const char *word)
{
    size_t n = strlen(word);
    return (size_t)(d->end - p) >= n && memcmp(p, word, n) == 0;
}

/* What a float may be instead of a number. */
__attribute__((cold, noinline)) static const uint8_t *nonfinite(maas_json_decoder *d,
                                                                const uint8_t *p, float *out)
{
    static const struct {
        const char *word;
        float value;
    } words[] = {{"NaN", NAN}, {"null", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};
    for (size_t i = 0; i < MAAS_COUNT(words); i++) {
        if (word_at(d, p, words[i].word)) {
            *out = words[i].value;
            return p + strlen(words[i].word);
        }
    }
    return maas_json_fail_type(d, p);
}

static inline const uint8_t *element_f32(maas_json_decoder *d, const uint8_t *p, void *out)
{
    maas_dec dec;
    float v;
    const uint8_t *end = maas_dec_scan(p, d->end, true, &dec);
    if (__builtin_expect(end != NULL, 1))
        v = maas_dec_f32(&dec, maas_span_of(p, (size_t)(end - p)));
    else if (!(end = nonfinite(d, p, &v)))
        return NULL;
    memcpy(out, &v, sizeof v);
    return end;
}

static inline const uint8_t *element_f64(maas_json_decoder *d, const uint8_t *p, void *out)
{
    maas_dec dec;
    float word;
    double v;
    const uint8_t *end = maas_dec_scan(p, d->end, true, &dec);
    if (__builtin_expect(end != NULL, 1))
        v = maas_dec_f64(&dec, maas_span_of(p, (size_t)(end - p)));
    else if ((end = nonfinite(d, p, &word)))
        v = (double)word;
    else
        return NULL;
    memcpy(out, &v, sizeof v);
    return end;
}

static const maas_float_shape f16_shape = {11, -14, -27, 4, 0x7c00};
static const maas_float_shape bf16_shape = {8, -126, -64, 38, 0x7f80};

/* To a float, toward zero, with the last bit set when that cut something off: what rounds it on to
 * a half sees on which side of a tie the double was. */
static float narrow_to_odd(double v)
{
    uint32_t bits;
    float f = (float)v;
    if ((double)f == v)
        return f;
    memcpy(&bits, &f, sizeof bits);
    bits = (bits - (fabs((double)f) > fabs(v))) | 1;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* Rounded once, too. What is undecided is tiny or next to a tie, and goes by way of a double. */
static const uint8_t *element_half(maas_json_decoder *d, const uint8_t *p, void *out,
                                   const maas_float_shape *shape, uint16_t (*narrow)(float))
{
    maas_dec dec;
    float word;
    uint64_t bits;
    uint16_t half;
    const uint8_t *end = maas_dec_scan(p, d->end, true, &dec);
    if (!end) {
        if (!(end = nonfinite(d, p, &word)))
            return NULL;
        half = narrow(word);
    } else if (maas_dec_bits(&dec, shape, &bits)) {
        half = (uint16_t)(bits | (uint64_t)dec.negative << 15);
    } else {
        half = narrow(narrow_to_odd(maas_dec_exact_f64(maas_span_of(p, (size_t)(end - p)))));
    }
    memcpy(out, &half, sizeof half);
    return end;
}

static const uint8_t *element_f16(maas_json_decoder *d, const uint8_t *p, void *out)
{
    return element_half(d, p, out, &f16_shape, maas_f32_to_f16);
}

static const uint8_t *element_bf16(maas_json_decoder *d, const uint8_t *p, void *out)
{
    return element_half(d, p, out, &bf16_shape, maas_f32_to_bf16);
}

/* Rounded by way of the float that it was written as. */
static const uint8_t *element_small(maas_json_decoder *d, const uint8_t *p, void *out)
{
    float v;
    const uint8_t *end = element_f32(d, p, &v);
    if (end)
        *(uint8_t *)out = maas_small_of(d->t->dtype, v, true);
    return end;
}

/* ---- integers ---- */

/* w * 10^q as an integer; false when it has a fraction or is too large. */
static bool decimal_to_int(maas_dec d, uint64_t *out)
{
    while (d.w && d.q < 0 && d.w % 10 == 0) {
        d.w /= 10;
        d.q++;
    }
    for (; d.w && d.q > 0; d.q--)
        if (__builtin_mul_overflow(d.w, 10, &d.w))
            return false;
    *out = d.w;
    return !d.w || (d.q == 0 && !d.truncated);
}

/* Twenty digits, a fraction or an exponent: still an integer if the value is one. */
__attribute__((cold, noinline)) static const uint8_t *
unusual_int(maas_json_decoder *d, const uint8_t *p, bool *out_negative, uint64_t *out)
{
    maas_dec dec;
    maas_span s = maas_span_of(p, (size_t)(d->end - p));
    if (*p == '-')
        maas_span_skip(&s, 1);
    const uint8_t *end = maas_dec_scan(p, d->end, true, &dec);
    if (!end)
        return maas_json_fail_type(d, p);
    *out_negative = dec.negative;
    return maas_num_u64(&s, out) || decimal_to_int(dec, out) ? end : maas_json_fail_type(d, p);
}

__attribute__((cold, noinline)) static const uint8_t *
fail_range(maas_json_decoder *d, const uint8_t *p, uint64_t below, uint64_t max)
{
    char what[160];
    snprintf(what, sizeof what, "'%.*s' is outside of %s (%s%" PRIu64 " to %" PRIu64 ")",
             maas_json_token_len(d, p), (const char *)p, d->info->oip, below ? "-" : "", below,
             max);
    return maas_json_fail_value(d, p, what);
}

/* `below` and `max` are constants of the callers: -below .. max is the range. */
static inline const uint8_t *element_int(maas_json_decoder *d, const uint8_t *p, uint64_t below,
                                         uint64_t max, uint64_t *out)
{
    const uint8_t *at = p;
    uint64_t v = 0;
    bool negative = at != d->end && *at == '-';
    at += negative;
    const uint8_t *digits = at;
    for (; at != d->end && maas_is_digit(*at); at++)
        v = v * 10 + (uint64_t)(*at - '0');
    bool usual = at != digits && at - digits < 20 && (*digits != '0' || at - digits == 1) &&
                 (at == d->end || (*at != '.' && (*at | 0x20) != 'e'));
    if (__builtin_expect(!usual, 0) && (p == d->end || !(at = unusual_int(d, p, &negative, &v))))
        return p == d->end ? maas_json_fail_type(d, p) : NULL;
    if (__builtin_expect(v > (negative ? below : max), 0))
        return fail_range(d, p, below, max);
    *out = negative ? 0 - v : v;
    return at;
}

#define INT_ELEMENT(name, type, below, max)                                                        \
    static inline const uint8_t *element_##name(maas_json_decoder *d, const uint8_t *p, void *out) \
    {                                                                                              \
        uint64_t v = 0;                                                                            \
        const uint8_t *end = element_int(d, p, below, max, &v);                                    \
        type narrow = (type)v;                                                                     \
        memcpy(out, &narrow, sizeof narrow);                                                       \
        return end;                                                                                \
    }
INT_ELEMENT(i8, uint8_t, 128, INT8_MAX)
INT_ELEMENT(i16, uint16_t, 32768, INT16_MAX)
INT_ELEMENT(i32, uint32_t, 2147483648u, INT32_MAX)
INT_ELEMENT(i64, uint64_t, 9223372036854775808u, INT64_MAX)
INT_ELEMENT(u8, uint8_t, 0, UINT8_MAX)
INT_ELEMENT(u16, uint16_t, 0, UINT16_MAX)
INT_ELEMENT(u32, uint32_t, 0, UINT32_MAX)
INT_ELEMENT(u64, uint64_t, 0, UINT64_MAX)
INT_ELEMENT(i4, uint8_t, 8, 7)
INT_ELEMENT(u4, uint8_t, 0, 15)
INT_ELEMENT(i2, uint8_t, 2, 1)
INT_ELEMENT(u2, uint8_t, 0, 3)

static const uint8_t *element_bool(maas_json_decoder *d, const uint8_t *p, void *out)
{
    static const char *const words[] = {"false", "true", "0", "1"};
    for (uint8_t i = 0; i < MAAS_COUNT(words); i++) {
        const uint8_t *after = p + strlen(words[i]);
        if (!word_at(d, p, words[i]) ||
            (after != d->end && (maas_is_digit(*after) || *after == '.')))
            continue;
        *(uint8_t *)out = i % 2;
        return after;
    }
    return maas_json_fail_type(d, p);
}

/* ---- rows ---- */

static inline const uint8_t *skip_space(const uint8_t *p, const uint8_t *end)
{
    while (p != end && *p <= ' ' && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* Room for one more element: doubles in the arena up to the maximum. */
__attribute__((cold, noinline)) static bool grow(maas_json_decoder *d)
{
    enum { FIRST = 64 };
    size_t size = d->info->bits / 8u;
    if (d->n >= d->t->max) {
        maas_fail(d->err, d->t->data ? MAAS_E_INVALID : MAAS_E_TOO_LARGE,
                  "more than the %" PRId64 " values expected here", d->t->max);
        return false;
    }
    int64_t cap = d->cap ? d->cap : FIRST / 2;
    cap = cap > d->t->max / 2 ? d->t->max : cap * 2;
    char *bigger = maas_arena_array(d->t->arena, (size_t)cap, size);
    if (!bigger) {
        maas_fail(d->err, MAAS_E_NOMEM, "no memory for %" PRId64 " values", cap);
        return false;
    }
    if (d->n)
        memcpy(bigger, d->out, (size_t)d->n * size);
    d->out = bigger;
    d->cap = cap;
    return true;
}

/* Elements and commas up to the closing bracket, which p then points to; NULL: failed. */
__attribute__((always_inline)) static inline const uint8_t *
row(maas_json_decoder *d, const uint8_t *p, element_fn *element, size_t size)
{
    for (;;) {
        if (__builtin_expect(d->n == d->cap, 0) && !grow(d))
            return NULL;
        p = element(d, skip_space(p, d->end), d->out + (size_t)d->n * size);
        if (__builtin_expect(!p, 0))
            return NULL;
        d->n++;
        p = skip_space(p, d->end);
        if (__builtin_expect(p == d->end, 0))
            return maas_json_fail_value(d, p, "the end of the text inside an array");
        if (*p != ',')
            return *p == ']' ? p : maas_json_fail_value(d, p, "expected ',' or ']'");
        p++;
    }
}

#define element_string maas_json_element_string /* json_str.c */
#define ROW(name, size)                                                                            \
    static const uint8_t *row_##name(maas_json_decoder *d, const uint8_t *p)                       \
    {                                                                                              \
        return row(d, p, element_##name, size);                                                    \
    }
ROW(f32, 4)
ROW(f64, 8)
ROW(f16, 2)
ROW(bf16, 2)
ROW(i8, 1)
ROW(i16, 2)
ROW(i32, 4)
ROW(i64, 8)
ROW(u8, 1)
ROW(u16, 2)
ROW(u32, 4)
ROW(u64, 8)
ROW(bool, 1)
ROW(i4, 1)
ROW(u4, 1)
ROW(i2, 1)
ROW(u2, 1)
ROW(small, 1)
ROW(string, sizeof(maas_str))

static const struct {
    const uint8_t *(*row)(maas_json_decoder *d, const uint8_t *p);
    element_fn *element;
} codecs[] = {
#define CODEC(id, name) [MAAS_##id] = {row_##name, element_##name}
    CODEC(F32, f32),        CODEC(F64, f64),
    CODEC(F16, f16),        CODEC(BF16, bf16),
    CODEC(I8, i8),          CODEC(I16, i16),
    CODEC(I32, i32),        CODEC(I64, i64),
    CODEC(U8, u8),          CODEC(U16, u16),
    CODEC(U32, u32),        CODEC(U64, u64),
    CODEC(BOOL, bool),      CODEC(STRING, string),
    CODEC(I4, i4),          CODEC(U4, u4),
    CODEC(I2, i2),          CODEC(U2, u2),
    CODEC(F8E4M3FN, small), CODEC(F8E4M3FNUZ, small),
    CODEC(F8E5M2, small),   CODEC(F8E5M2FNUZ, small),
    CODEC(F8E8M0, small),   CODEC(F6E2M3, small),
    CODEC(F6E3M2, small),   CODEC(F4E2M1, small),
#undef CODEC
};

/* ---- nesting ---- */

/* An array closes with count[depth-1] members: all of a level must have as many. */
static bool close_level(maas_json_decoder *d)
{
    int64_t *dim = &d->dims[--d->depth];
    if (*dim < 0)
        *dim = d->count[d->depth];
    return *dim == d->count[d->depth];
}

/* At '[': opens arrays down to the row, which must be as deep as every other. */
static const uint8_t *open_levels(maas_json_decoder *d, const uint8_t *p)
{
    while (p != d->end && *p == '[') {
        if (d->depth == MAAS_MAX_RANK)
            return maas_json_fail_value(d, p, "the array has too many dimensions");
        if (d->depth == d->rank)
            return fail_shape(d, p);
        d->count[d->depth++] = 0;
        p = skip_space(p + 1, d->end);
    }
    if (d->rank < 0)
        d->rank = d->depth;
    return d->depth == d->rank ? p : fail_shape(d, p);
}

/* After a value of the level: past the brackets that close; at depth 0 the array is complete. */
static const uint8_t *close_levels(maas_json_decoder *d, const uint8_t *p)
{
    while (p != d->end && *p == ']') {
        if (!close_level(d))
            return fail_shape(d, p);
        p++;
        if (!d->depth)
            return p;
        d->count[d->depth - 1]++;
        p = skip_space(p, d->end);
    }
    if (p == d->end)
        return maas_json_fail_value(d, p, "the end of the text inside an array");
    if (*p != ',')
        return maas_json_fail_value(d, p, "expected ',' or ']'");
    return skip_space(p + 1, d->end);
}

static const uint8_t *decode_array(maas_json_decoder *d, const uint8_t *p)
{
    do {
        if (!(p = open_levels(d, p)))
            return NULL;
        int64_t before = d->n;
        if (p != d->end && *p != ']' && !(p = codecs[d->t->dtype].row(d, p)))
            return NULL;
        d->count[d->depth - 1] = d->n - before;
        if (!(p = close_levels(d, p)))
            return NULL;
    } while (d->depth);
    return p;
}

static const uint8_t *decode_scalar(maas_json_decoder *d, const uint8_t *p)
{
    if (d->n == d->cap && !grow(d))
        return NULL;
    d->rank = 0;
    p = codecs[d->t->dtype].element(d, p, d->out);
    d->n += p != NULL;
    return p;
}

maas_status maas_json_decode_tensor(maas_json_scan *s, maas_json_tensor *t, maas_err *err)
{
    maas_err why = {0};
    MAAS_CHECK(t->dtype < MAAS_COUNT(codecs) && codecs[t->dtype].row);
    maas_json_decoder d = {.start = s->start,
                           .end = s->rest.p + s->rest.n,
                           .t = t,
                           .info = maas_dtype_describe(t->dtype),
                           .out = t->data,
                           .cap = t->data ? t->max : 0,
                           .rank = -1,
                           .err = &why};
    for (int i = 0; i < MAAS_MAX_RANK; i++)
        d.dims[i] = -1;
    const uint8_t *p = s->rest.n && *s->rest.p == '[' ? decode_array(&d, s->rest.p)
                                                      : decode_scalar(&d, s->rest.p);
    if (!p)
        return maas_fail(err, why.code, "%s", why.msg);
    t->data = d.out;
    t->n = d.n;
    t->rank = d.rank;
    for (int i = 0; i < d.rank; i++)
        t->dims[i] = d.dims[i] < 0 ? 0 : d.dims[i];
    maas_json_took(s, maas_span_of(p, (size_t)(d.end - p)));
    return MAAS_OK;
}
