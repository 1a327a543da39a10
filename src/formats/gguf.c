#include "formats/gguf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "base/ban.h"

enum { MAGIC = 0x46554747, DEFAULT_ALIGNMENT = 32, MAX_ALIGNMENT = 4096 };

/* Bytes of a number; 0 of what has no fixed size. */
static const uint8_t widths[MAAS_GGUF_N_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

typedef struct reader {
    maas_span all, left;
    maas_arena *a;
    maas_err *err;
} reader;

static size_t at(const reader *r)
{
    return r->all.n - r->left.n;
}

static maas_status cut(const reader *r, const char *what)
{
    return maas_fail(r->err, MAAS_E_FORMAT, "the file ends within %s (at byte %zu)", what, at(r));
}

static maas_status no_memory(const reader *r)
{
    return maas_fail(r->err, MAAS_E_NOMEM, "the index of a GGUF file");
}

static maas_status read_u32(reader *r, const char *what, uint32_t *out)
{
    return maas_span_u32le(&r->left, out) ? MAAS_OK : cut(r, what);
}

static maas_status read_u64(reader *r, const char *what, uint64_t *out)
{
    return maas_span_u64le(&r->left, out) ? MAAS_OK : cut(r, what);
}

static maas_status read_text(reader *r, const char *what, uint64_t max, maas_str *out)
{
    uint64_t n = 0;
    maas_span s;
    MAAS_TRY(read_u64(r, what, &n));
    if (n > max)
        return maas_fail(r->err, MAAS_E_TOO_LARGE, "%s has %" PRIu64 " bytes (at byte %zu)", what,
                         n, at(r));
    if (n > r->left.n || !maas_span_take(&r->left, (size_t)n, &s))
        return cut(r, what);
    *out = (maas_str){(const char *)s.p, s.n};
    return MAAS_OK;
}

/* A name: not empty, without bytes that a message or a C string cannot have. */
static maas_status read_name(reader *r, const char *what, maas_str *out)
{
    MAAS_TRY(read_text(r, what, MAAS_MAX_GGUF_NAME, out));
    for (size_t i = 0; i < out->n; i++)
        if ((unsigned char)out->p[i] < 0x20 || (unsigned char)out->p[i] == 0x7f)
            return maas_fail(r->err, MAAS_E_FORMAT, "%s with a control character (at byte %zu)",
                             what, at(r));
    if (!out->n || !maas_utf8_valid(maas_span_of(out->p, out->n)))
        return maas_fail(r->err, MAAS_E_FORMAT, "%s is empty or no UTF-8 (at byte %zu)", what,
                         at(r));
    return MAAS_OK;
}

/* ---- keys and values ---- */

static maas_status read_strings(reader *r, maas_gguf_value *v)
{
    maas_str *s = maas_arena_array(r->a, (size_t)v->n, sizeof *s);
    if (!s && v->n)
        return no_memory(r);
    for (uint64_t i = 0; i < v->n; i++)
        MAAS_TRY(read_text(r, "a text", MAAS_MAX_GGUF_STRING, &s[i]));
    v->strings = s;
    return MAAS_OK;
}

static maas_status read_elements(reader *r, maas_gguf_value *v)
{
    const size_t least = v->of == MAAS_GGUF_STRING ? sizeof(uint64_t) : widths[v->of];
    maas_span s;
    if (v->n > r->left.n / least)
        return maas_fail(r->err, MAAS_E_FORMAT,
                         "'%.*s' says it has %" PRIu64 " elements, more than the file (at byte "
                         "%zu)",
                         (int)v->key.n, v->key.p, v->n, at(r));
    if (v->of == MAAS_GGUF_STRING)
        return read_strings(r, v);
    if (!maas_span_take(&r->left, (size_t)v->n * least, &s))
        return cut(r, "an array");
    v->data = s.p;
    for (uint64_t i = 0; v->of == MAAS_GGUF_BOOL && i < v->n; i++)
        if (s.p[i] > 1)
            return maas_fail(r->err, MAAS_E_FORMAT, "'%.*s' is a truth value of %u", (int)v->key.n,
                             v->key.p, s.p[i]);
    return MAAS_OK;
}

static maas_status read_value(reader *r, maas_gguf_value *v)
{
    uint32_t type = 0, of;
    MAAS_TRY(read_name(r, "a key", &v->key));
    MAAS_TRY(read_u32(r, "the type of a value", &type));
    of = type;
    v->n = 1;
    if (type == MAAS_GGUF_ARRAY) {
        MAAS_TRY(read_u32(r, "the type of an array", &of));
        MAAS_TRY(read_u64(r, "the length of an array", &v->n));
    }
    if (type >= MAAS_GGUF_N_TYPES || of >= MAAS_GGUF_N_TYPES || of == MAAS_GGUF_ARRAY)
        return maas_fail(r->err, MAAS_E_FORMAT,
                         "'%.*s' has type %u of %u, which is none (at byte "
                         "%zu)",
                         (int)v->key.n, v->key.p, type, of, at(r));
    v->type = (uint8_t)type;
    v->of = (uint8_t)of;
    return read_elements(r, v);
}

/* ---- tensors ---- */

static maas_status read_shape(reader *r, maas_gguf_tensor *t)
{
    uint32_t rank = 0;
    MAAS_TRY(read_u32(r, "the rank of a tensor", &rank));
    if (rank > 4)
        return maas_fail(r->err, MAAS_E_FORMAT, "tensor '%.*s' has rank %u, at most 4 is possible",
                         (int)t->name.n, t->name.p, rank);
    t->rank = (int)rank;
    for (uint32_t i = 0; i < rank; i++) {
        uint64_t n = 0;
        MAAS_TRY(read_u64(r, "the shape of a tensor", &n));
        if (n > MAAS_MAX_TENSOR_BYTES)
            return maas_fail(r->err, MAAS_E_TOO_LARGE, "tensor '%.*s' has a size of %" PRIu64,
                             (int)t->name.n, t->name.p, n);
        t->dims[rank - 1 - i] = (int64_t)n;
    }
    return MAAS_OK;
}

static maas_status size_of(const reader *r, maas_gguf_tensor *t)
{
    int64_t rows = 1;
    for (int i = 0; i < t->rank - 1; i++)
        if (__builtin_mul_overflow(rows, t->dims[i], &rows))
            return maas_fail(r->err, MAAS_E_TOO_LARGE, "the shape of tensor '%.*s'", (int)t->name.n,
                             t->name.p);
    maas_status st = maas_quant_bytes(t->type, rows, t->rank ? t->dims[t->rank - 1] : 1, &t->bytes,
                                      r->err);
    if (st != MAAS_OK)
        maas_err_prefix(r->err, "tensor '%.*s'", (int)t->name.n, t->name.p);
    return st;
}

/* The offset is kept in `data` until it is known where tensors begin. */
static maas_status read_tensor(reader *r, maas_gguf_tensor *t, uint64_t *offset)
{
    uint32_t type = 0;
    MAAS_TRY(read_name(r, "the name of a tensor", &t->name));
    MAAS_TRY(read_shape(r, t));
    MAAS_TRY(read_u32(r, "the type of a tensor", &type));
    MAAS_TRY(read_u64(r, "the place of a tensor", offset));
    t->type = maas_quant_of(type);
    if (!t->type)
        return maas_fail(r->err, MAAS_E_UNSUPPORTED,
                         "tensor '%.*s' has the type %u of ggml, which is not supported",
                         (int)t->name.n, t->name.p, type);
    return size_of(r, t);
}

static maas_status place(reader *r, maas_gguf *g, maas_gguf_tensor *t, uint64_t offset,
                         maas_span data)
{
    if (offset % g->alignment)
        return maas_fail(r->err, MAAS_E_FORMAT,
                         "tensor '%.*s' is at %" PRIu64 ", which is no multiple of %u",
                         (int)t->name.n, t->name.p, offset, g->alignment);
    if (offset > data.n || t->bytes > data.n - offset)
        return maas_fail(r->err, MAAS_E_FORMAT,
                         "tensor '%.*s' ends %" PRIu64 " bytes after the start of %zu bytes of "
                         "data: the file is cut",
                         (int)t->name.n, t->name.p, offset + t->bytes, data.n);
    t->data = data.p + offset;
    return MAAS_OK;
}

/* ---- indexes ---- */

static int compare(maas_str a, maas_str b)
{
    const int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return c ? c : a.n < b.n ? -1 : a.n > b.n;
}
static int by_key(const void *a, const void *b, void *values)
{
    const maas_gguf_value *v = values;
    return compare(v[*(const uint32_t *)a].key, v[*(const uint32_t *)b].key);
}
static int by_name(const void *a, const void *b, void *tensors)
{
    const maas_gguf_tensor *t = tensors;
    return compare(t[*(const uint32_t *)a].name, t[*(const uint32_t *)b].name);
}
static int by_place(const void *a, const void *b, void *tensors)
{
    const maas_gguf_tensor *t = tensors;
    const uint8_t *p = t[*(const uint32_t *)a].data, *q = t[*(const uint32_t *)b].data;
    return p < q ? -1 : p > q;
}

static uint32_t *sorted(reader *r, uint32_t n, int (*cmp)(const void *, const void *, void *),
                        void *rows)
{
    uint32_t *order = maas_arena_array(r->a, n + 1u, sizeof *order);
    for (uint32_t i = 0; order && i < n; i++)
        order[i] = i;
    if (order)
        qsort_r(order, n, sizeof *order, cmp, rows);
    return order;
}

static maas_status index_values(reader *r, maas_gguf *g)
{
    g->value_order = sorted(r, g->n_values, by_key, g->values);
    if (!g->value_order)
        return no_memory(r);
    for (uint32_t i = 1; i < g->n_values; i++)
        if (by_key(&g->value_order[i - 1], &g->value_order[i], g->values) == 0)
            return maas_fail(r->err, MAAS_E_FORMAT, "key '%.*s' comes twice",
                             (int)g->values[g->value_order[i]].key.n,
                             g->values[g->value_order[i]].key.p);
    return MAAS_OK;
}

static maas_status index_names(reader *r, maas_gguf *g)
{
    g->tensor_order = sorted(r, g->n_tensors, by_name, g->tensors);
    if (!g->tensor_order)
        return no_memory(r);
    for (uint32_t i = 1; i < g->n_tensors; i++)
        if (by_name(&g->tensor_order[i - 1], &g->tensor_order[i], g->tensors) == 0)
            return maas_fail(r->err, MAAS_E_FORMAT, "tensor '%.*s' comes twice",
                             (int)g->tensors[g->tensor_order[i]].name.n,
                             g->tensors[g->tensor_order[i]].name.p);
    return MAAS_OK;
}

static maas_status check_overlap(reader *r, const maas_gguf *g)
{
    const uint32_t *places = sorted(r, g->n_tensors, by_place, g->tensors);
    if (!places)
        return no_memory(r);
    for (uint32_t i = 1; i < g->n_tensors; i++) {
        const maas_gguf_tensor *a = &g->tensors[places[i - 1]], *b = &g->tensors[places[i]];
        if (a->bytes > (size_t)(b->data - a->data) && b->bytes)
            return maas_fail(r->err, MAAS_E_FORMAT, "tensors '%.*s' and '%.*s' overlap",
                             (int)a->name.n, a->name.p, (int)b->name.n, b->name.p);
    }
    return MAAS_OK;
}

maas_status maas_gguf_index(maas_gguf *g, maas_arena *a, maas_err *err)
{
    reader r = {.a = a, .err = err};
    MAAS_TRY(index_values(&r, g));
    return index_names(&r, g);
}

/* ---- the file ---- */

static maas_status check_count(const reader *r, const char *of, uint64_t n, uint64_t most,
                               size_t least_bytes)
{
    if (n > most)
        return maas_fail(r->err, MAAS_E_TOO_LARGE,
                         "the head says %" PRIu64 " %s, more than %" PRIu64 " are not read", n, of,
                         most);
    if (n > r->left.n / least_bytes)
        return maas_fail(r->err, MAAS_E_FORMAT,
                         "the head says %" PRIu64 " %s, which %zu bytes cannot hold: the file is "
                         "cut",
                         n, of, r->left.n);
    return MAAS_OK;
}

static maas_status read_head(reader *r, maas_gguf *g)
{
    uint32_t magic = 0;
    uint64_t n_tensors = 0, n_values = 0;
    MAAS_TRY(read_u32(r, "its head", &magic));
    MAAS_TRY(read_u32(r, "its head", &g->version));
    if (magic != MAGIC)
        return maas_fail(r->err, MAAS_E_FORMAT, "this is no GGUF file");
    if (g->version != 2 && g->version != 3)
        return maas_fail(r->err, MAAS_E_UNSUPPORTED, "GGUF version %u%s, versions 2 and 3 are read",
                         g->version, (g->version & 0xffff) == 0 ? " (a big-endian file)" : "");
    MAAS_TRY(read_u64(r, "its head", &n_tensors));
    MAAS_TRY(read_u64(r, "its head", &n_values));
    /* a value takes 13 bytes at least, a tensor 25 */
    MAAS_TRY(check_count(r, "keys", n_values, MAAS_MAX_GGUF_KEYS, 13));
    MAAS_TRY(check_count(r, "tensors", n_tensors, MAAS_MAX_GGUF_TENSORS, 25));
    g->n_values = (uint32_t)n_values;
    g->n_tensors = (uint32_t)n_tensors;
    g->values = maas_arena_array(r->a, g->n_values + 1u, sizeof *g->values);
    g->tensors = maas_arena_array(r->a, g->n_tensors + 1u, sizeof *g->tensors);
    return g->values && g->tensors ? MAAS_OK : no_memory(r);
}

static maas_status read_alignment(const reader *r, maas_gguf *g)
{
    const maas_gguf_value *v = maas_gguf_find(g, "general.alignment");
    g->alignment = DEFAULT_ALIGNMENT;
    if (!v)
        return MAAS_OK;
    const int64_t n = v->type == MAAS_GGUF_U32 ? maas_gguf_i64(v, 0) : 0;
    if (n <= 0 || n > MAX_ALIGNMENT || (n & (n - 1)))
        return maas_fail(r->err, MAAS_E_FORMAT,
                         "general.alignment must be a power of two up to %d, as u32",
                         MAX_ALIGNMENT);
    g->alignment = (uint32_t)n;
    return MAAS_OK;
}

static maas_status read_tensors(reader *r, maas_gguf *g)
{
    AUTO_FREE uint64_t *offsets = maas_calloc(g->n_tensors + 1u, sizeof *offsets);
    if (!offsets)
        return no_memory(r);
    for (uint32_t i = 0; i < g->n_tensors; i++)
        MAAS_TRY(read_tensor(r, &g->tensors[i], &offsets[i]));
    const size_t pad = (g->alignment - at(r) % g->alignment) % g->alignment;
    if (g->n_tensors && !maas_span_skip(&r->left, pad))
        return cut(r, "the padding before its tensors");
    for (uint32_t i = 0; i < g->n_tensors; i++)
        MAAS_TRY(place(r, g, &g->tensors[i], offsets[i], r->left));
    MAAS_TRY(index_names(r, g));
    return check_overlap(r, g);
}

maas_status maas_gguf_open(maas_span file, maas_arena *a, maas_gguf *out, maas_err *err)
{
    reader r = {.all = file, .left = file, .a = a, .err = err};
    *out = (maas_gguf){0};
    MAAS_TRY(read_head(&r, out));
    for (uint32_t i = 0; i < out->n_values; i++)
        MAAS_TRY(read_value(&r, &out->values[i]));
    MAAS_TRY(index_values(&r, out));
    MAAS_TRY(read_alignment(&r, out));
    return read_tensors(&r, out);
}

bool maas_gguf_is(maas_span head)
{
    return head.n >= 4 && memcmp(head.p, "GGUF", 4) == 0;
}

/* ---- looking up ---- */

const maas_gguf_value *maas_gguf_find(const maas_gguf *g, const char *key)
{
    const maas_str want = {key, strlen(key)};
    uint32_t from = 0, to = g->n_values;
    while (from < to) {
        const uint32_t mid = from + (to - from) / 2;
        const maas_gguf_value *v = &g->values[g->value_order[mid]];
        const int c = compare(want, v->key);
        if (c == 0)
            return v;
        from = c > 0 ? mid + 1 : from;
        to = c > 0 ? to : mid;
    }
    return NULL;
}

const maas_gguf_tensor *maas_gguf_tensor_of(const maas_gguf *g, const char *name)
{
    const maas_str want = {name, strlen(name)};
    uint32_t from = 0, to = g->n_tensors;
    while (from < to) {
        const uint32_t mid = from + (to - from) / 2;
        const maas_gguf_tensor *t = &g->tensors[g->tensor_order[mid]];
        const int c = compare(want, t->name);
        if (c == 0)
            return t;
        from = c > 0 ? mid + 1 : from;
        to = c > 0 ? to : mid;
    }
    return NULL;
}

#define NUMBER(type)                                                                               \
    ({                                                                                             \
        type x_;                                                                                   \
        memcpy(&x_, v->data + i * sizeof x_, sizeof x_);                                           \
        x_;                                                                                        \
    })

int64_t maas_gguf_i64(const maas_gguf_value *v, uint64_t i)
{
    switch ((maas_gguf_type)v->of) {
    case MAAS_GGUF_U8:
    case MAAS_GGUF_BOOL:
        return NUMBER(uint8_t);
    case MAAS_GGUF_I8:
        return NUMBER(int8_t);
    case MAAS_GGUF_U16:
        return NUMBER(uint16_t);
    case MAAS_GGUF_I16:
        return NUMBER(int16_t);
    case MAAS_GGUF_U32:
        return NUMBER(uint32_t);
    case MAAS_GGUF_I32:
        return NUMBER(int32_t);
    case MAAS_GGUF_U64:
    case MAAS_GGUF_I64:
        return NUMBER(int64_t);
    default: {
        const double d = maas_gguf_f64(v, i);
        return d > -0x1p62 && d < 0x1p62 ? (int64_t)d : 0;
    }
    }
}

double maas_gguf_f64(const maas_gguf_value *v, uint64_t i)
{
    if (v->of == MAAS_GGUF_F32)
        return (double)NUMBER(float);
    if (v->of == MAAS_GGUF_F64)
        return NUMBER(double);
    if (v->of == MAAS_GGUF_U64)
        return (double)NUMBER(uint64_t);
    return v->of == MAAS_GGUF_STRING ? 0 : (double)maas_gguf_i64(v, i);
}
