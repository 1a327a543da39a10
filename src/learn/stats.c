/* learn/stats.c - see stats.h. Bytes are counted in a histogram that says everything exactly. */
#include "learn/stats.h"

#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "learn/counts.h"
#include "learn/sample.h"
#include "base/ban.h"

#define CHUNK       1024 /* elements converted at once */
#define N_TOP       10
#define ALL_SAMPLES ((size_t)1 << 22) /* shared by the columns of a table */
#define ALL_COUNTS  ((size_t)1 << 19)

typedef struct moments {
    int64_t n;
    double mean, m2, min, max; /* m2: sum of squared distances from the mean */
} moments;

struct maas_stats {
    maas_dtype dtype;
    int64_t missing;
    moments all;
    maas_sample sample;
    maas_counts counts;
    int64_t bytes[256]; /* histogram of 8-bit columns */
};

static size_t share(size_t all, uint32_t n_cols, size_t least, size_t most)
{
    size_t n = most;
    while (n > least && n > all / (n_cols ? n_cols : 1))
        n /= 2;
    return n;
}

maas_status maas_stats_create(maas_dtype t, uint32_t n_cols, maas_stats **out, maas_err *err)
{
    maas_stats *s = maas_calloc(1, sizeof *s);
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "no memory left for statistics");
    s->dtype = t;
    maas_sample_init(&s->sample, share(ALL_SAMPLES, n_cols, 256, 65536));
    maas_counts_init(&s->counts, share(ALL_COUNTS, n_cols, 256, 4096), t == MAAS_STRING);
    *out = s;
    return MAAS_OK;
}

void maas_stats_destroy(maas_stats *s)
{
    if (!s)
        return;
    maas_sample_reset(&s->sample);
    maas_counts_reset(&s->counts);
    maas_free(s);
}

/* ---- elements as doubles ---- */

#define CONVERT(name, type, expr)                                                                  \
    static void name(const void *from, size_t n, double *to)                                       \
    {                                                                                              \
        const type *p = from;                                                                      \
        for (size_t i = 0; i < n; i++)                                                             \
            to[i] = (double)(expr);                                                                \
    }
CONVERT(from_f32, float, p[i])
CONVERT(from_f64, double, p[i])
CONVERT(from_f16, uint16_t, maas_f16_to_f32(p[i]))
CONVERT(from_i16, int16_t, p[i])
CONVERT(from_u16, uint16_t, p[i])
CONVERT(from_i32, int32_t, p[i])
CONVERT(from_u32, uint32_t, p[i])
CONVERT(from_i64, int64_t, p[i])
CONVERT(from_u64, uint64_t, p[i])
static void (*const converters[])(const void *, size_t, double *) = {
    [MAAS_F32] = from_f32, [MAAS_F64] = from_f64, [MAAS_F16] = from_f16,
    [MAAS_I16] = from_i16, [MAAS_U16] = from_u16, [MAAS_I32] = from_i32,
    [MAAS_U32] = from_u32, [MAAS_I64] = from_i64, [MAAS_U64] = from_u64,
};

static size_t drop_nan(double *v, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        v[kept] = v[i];
        kept += !isnan(v[i]);
    }
    return kept;
}

/* Four sums at once, in a fixed order: vector code, and the same result everywhere. */
static moments moments_of(const double *v, size_t n)
{
    double sum[4] = {0}, m2[4] = {0};
    moments m = {.n = (int64_t)n, .min = INFINITY, .max = -INFINITY};
    for (size_t i = 0; i < n; i++) {
        sum[i & 3] += v[i];
        m.min = v[i] < m.min ? v[i] : m.min;
        m.max = v[i] > m.max ? v[i] : m.max;
    }
    m.mean = (sum[0] + sum[1] + sum[2] + sum[3]) / (double)n;
    for (size_t i = 0; i < n; i++)
        m2[i & 3] += (v[i] - m.mean) * (v[i] - m.mean);
    m.m2 = m2[0] + m2[1] + m2[2] + m2[3];
    return m;
}

static void moments_merge(moments *a, const moments *b)
{
    if (!a->n) {
        *a = *b;
        return;
    }
    double n = (double)(a->n + b->n), delta = b->mean - a->mean;
    a->mean += delta * ((double)b->n / n);
    a->m2 += b->m2 + delta * delta * ((double)a->n * (double)b->n / n);
    a->min = b->min < a->min ? b->min : a->min;
    a->max = b->max > a->max ? b->max : a->max;
    a->n += b->n;
}

static bool is_whole(maas_dtype t)
{
    uint8_t kind = maas_dtype_describe(t)->kind;
    return kind == MAAS_KIND_INT || kind == MAAS_KIND_UINT || kind == MAAS_KIND_BOOL;
}

/* Keys of whole numbers are their value, of others the bits of the double. */
static bool count_chunk(maas_stats *s, const maas_tensor *t, size_t from, size_t n, const double *v)
{
    bool whole = is_whole(s->dtype), wide = maas_dtype_size(s->dtype) == 8;
    for (size_t i = 0; i < n; i++) {
        uint64_t key;
        double d = v[i] == 0 ? 0 : v[i]; /* one zero */
        memcpy(&key, &d, sizeof key);
        if (whole)
            key = wide ? ((const uint64_t *)t->data)[from + i] : (uint64_t)(int64_t)d;
        if (!maas_counts_add(&s->counts, key, 1))
            return false;
    }
    return true;
}

static bool add_numbers(maas_stats *s, const maas_tensor *t)
{
    double chunk[CHUNK];
    size_t total = (size_t)maas_n_elems(t), size = maas_dtype_size(s->dtype);
    for (size_t from = 0; from < total; from += CHUNK) {
        size_t n = total - from < CHUNK ? total - from : CHUNK;
        converters[s->dtype]((const char *)t->data + from * size, n, chunk);
        size_t kept = drop_nan(chunk, n);
        s->missing += (int64_t)(n - kept);
        if (!kept)
            continue;
        moments m = moments_of(chunk, kept);
        moments_merge(&s->all, &m);
        if (!maas_sample_add(&s->sample, chunk, kept) || !count_chunk(s, t, from, kept, chunk))
            return false;
    }
    return true;
}

/* Four tables, so that equal neighbours do not wait for each other's store. */
static void add_bytes(maas_stats *s, const uint8_t *p, size_t n)
{
    uint32_t h[4][256] = {{0}};
    while (n) {
        size_t part = n < UINT32_MAX / 2 ? n : UINT32_MAX / 2, i = 0;
        for (; i + 4 <= part; i += 4) {
            h[0][p[i]]++;
            h[1][p[i + 1]]++;
            h[2][p[i + 2]]++;
            h[3][p[i + 3]]++;
        }
        for (; i < part; i++)
            h[0][p[i]]++;
        for (int v = 0; v < 256; v++)
            s->bytes[v] += (int64_t)h[0][v] + h[1][v] + h[2][v] + h[3][v];
        memset(h, 0, sizeof h);
        p += part;
        n -= part;
    }
}

static bool add_texts(maas_stats *s, const maas_str *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        s->missing += !v[i].p;
        s->all.n += v[i].p != NULL;
        if (v[i].p && !maas_counts_add_text(&s->counts, v[i]))
            return false;
    }
    return true;
}

maas_status maas_stats_add(maas_stats *s, const maas_tensor *t, maas_err *err)
{
    MAAS_CHECK(t->dtype == s->dtype);
    size_t n = (size_t)maas_n_elems(t);
    bool ok = true;
    if (s->dtype == MAAS_STRING)
        ok = add_texts(s, t->data, n);
    else if (maas_dtype_size(s->dtype) == 1)
        add_bytes(s, t->data, n);
    else
        ok = add_numbers(s, t);
    return ok ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "no memory left for statistics");
}

/* ---- as JSON ---- */

/* The histogram becomes what the other columns have: moments, counts and a sorted sample (which
 * repeats values in proportion only for quantiles, so those are answered apart). */
static bool finish_bytes(maas_stats *s)
{
    s->all = (moments){0};
    maas_counts_reset(&s->counts);
    for (int i = 0; i < 256; i++) {
        double v = s->dtype == MAAS_I8 ? (int8_t)i : i;
        if (!s->bytes[i])
            continue;
        moments m = {s->bytes[i], v, 0, v, v};
        moments_merge(&s->all, &m);
        if (!maas_counts_add(&s->counts, (uint64_t)(int64_t)v, s->bytes[i]))
            return false;
    }
    return true;
}

static double byte_at_rank(const maas_stats *s, int64_t rank)
{
    int first = s->dtype == MAAS_I8 ? -128 : 0;
    for (int v = first; v < first + 256; v++) {
        rank -= s->bytes[v & 255];
        if (rank < 0)
            return v;
    }
    return NAN;
}

static double quantile(const maas_stats *s, double q)
{
    if (maas_dtype_size(s->dtype) != 1)
        return maas_sample_quantile(&s->sample, q);
    double at = q * (double)(s->all.n - 1), low = floor(at);
    double a = byte_at_rank(s, (int64_t)low);
    return at == low ? a : a + (byte_at_rank(s, (int64_t)low + 1) - a) * (at - low);
}

/* JSON has no infinity: such a number is null. Whole numbers of whole columns print as such. */
static json_t *number(double v, bool whole)
{
    if (!isfinite(v))
        return json_null();
    return whole && fabs(v) <= 0x1p53 ? json_integer((json_int_t)v) : json_real(v);
}

static json_t *quantiles_json(const maas_stats *s)
{
    static const char *const names[] = {"0.01", "0.05", "0.1",  "0.25", "0.5",
                                        "0.75", "0.9",  "0.95", "0.99"};
    static const double at[] = {0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99};
    json_t *o = json_object();
    for (size_t i = 0; o && i < MAAS_COUNT(at); i++)
        json_object_set_new(o, names[i], number(quantile(s, at[i]), false));
    return o;
}

/* Text that was cut may end inside a character. */
static json_t *text_json(const maas_count *c)
{
    size_t n = c->n_text;
    for (int cut = 0; cut < 4 && n && !maas_utf8_valid(maas_span_of(c->text, n)); cut++)
        n--;
    json_t *j = json_stringn(c->text, n);
    return j ? j : json_null();
}

static json_t *key_json(const maas_stats *s, const maas_count *c)
{
    if (c->text)
        return text_json(c);
    if (s->dtype == MAAS_BOOL)
        return json_boolean(c->key);
    return s->dtype == MAAS_U64 && c->key > INT64_MAX ? json_real((double)c->key)
                                                      : json_integer((json_int_t)c->key);
}

static json_t *top_json(const maas_stats *s)
{
    const maas_count *top[N_TOP];
    size_t n = maas_counts_top(&s->counts, top, N_TOP);
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++)
        json_array_append_new(list, json_pack("{s:o,s:I}", "value", key_json(s, top[i]), "count",
                                              (json_int_t)top[i]->count));
    return list;
}

static void numbers_json(maas_stats *s, json_t *o)
{
    bool whole = is_whole(s->dtype), some = s->all.n > 0;
    double n = (double)s->all.n;
    maas_sample_sort(&s->sample);
    json_object_set_new(o, "mean", some ? number(s->all.mean, false) : json_null());
    json_object_set_new(o, "std", some ? number(sqrt(s->all.m2 / n), false) : json_null());
    json_object_set_new(o, "min", some ? number(s->all.min, whole) : json_null());
    json_object_set_new(o, "max", some ? number(s->all.max, whole) : json_null());
    if (some)
        json_object_set_new(o, "quantiles", quantiles_json(s));
}

maas_status maas_stats_json(maas_stats *s, json_t **out, maas_err *err)
{
    bool text = s->dtype == MAAS_STRING;
    if (!text && maas_dtype_size(s->dtype) == 1 && !finish_bytes(s))
        return maas_fail(err, MAAS_E_NOMEM, "no memory left for statistics");
    json_t *o = json_pack("{s:I,s:I}", "count", (json_int_t)s->all.n, "missing",
                          (json_int_t)s->missing);
    if (!o)
        return maas_fail(err, MAAS_E_NOMEM, "no memory left for statistics");
    if (!text)
        numbers_json(s, o);
    bool exact = maas_counts_exact(&s->counts);
    json_object_set_new(o, "distinct", json_integer(maas_counts_distinct(&s->counts)));
    if (text || (is_whole(s->dtype) && exact))
        json_object_set_new(o, "top", top_json(s));
    if (!exact || !maas_sample_exact(&s->sample))
        json_object_set_new(o, "approximate", json_true());
    *out = o;
    return MAAS_OK;
}
