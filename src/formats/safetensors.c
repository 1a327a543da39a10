#include "formats/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/ban.h"

/* The names of the format. Types below a byte fill whole bytes together. */
static const maas_st_dtype dtypes[] = {
    {"F64", 64, MAAS_F64},
    {"F32", 32, MAAS_F32},
    {"F16", 16, MAAS_F16},
    {"BF16", 16, MAAS_BF16},
    {"I64", 64, MAAS_I64},
    {"I32", 32, MAAS_I32},
    {"I16", 16, MAAS_I16},
    {"I8", 8, MAAS_I8},
    {"U64", 64, MAAS_U64},
    {"U32", 32, MAAS_U32},
    {"U16", 16, MAAS_U16},
    {"U8", 8, MAAS_U8},
    {"BOOL", 8, MAAS_BOOL},
    {"F8_E4M3", 8, MAAS_F8E4M3FN},
    {"F8_E5M2", 8, MAAS_F8E5M2},
    {"F8_E8M0", 8, MAAS_F8E8M0},
    {"F8_E4M3FNUZ", 8, MAAS_F8E4M3FNUZ},
    {"F8_E5M2FNUZ", 8, MAAS_F8E5M2FNUZ},
    {"F6_E2M3", 6, MAAS_DT_NONE},
    {"F6_E3M2", 6, MAAS_DT_NONE},
    {"F4", 4, MAAS_DT_NONE},
    {"C64", 64, MAAS_DT_NONE},
};

typedef struct reader {
    maas_json_scan scan;
    maas_arena *a;
    size_t from; /* of the text in the file: places are told as bytes of the file */
    maas_err *err;
} reader;

/* ---- words and numbers of the head ---- */

static maas_status no_memory(maas_err *err)
{
    return maas_fail(err, MAAS_E_NOMEM, "the index of a safetensors file");
}

static maas_status malformed(reader *r, const char *what)
{
    if (r->scan.err.code != MAAS_OK)
        return maas_fail(r->err, MAAS_E_FORMAT, "its head is %s", r->scan.err.msg);
    return maas_fail(r->err, MAAS_E_FORMAT, "%s (at byte %zu)", what,
                     r->from + maas_json_offset(&r->scan));
}

/* The text of the last KEY or STRING. */
static maas_status text_of(reader *r, maas_str *out)
{
    size_t n = r->scan.text.n;
    const char *p = (const char *)r->scan.text.p;
    if (r->scan.escaped && !(p = maas_json_unescape(r->a, r->scan.text, &n)))
        return no_memory(r->err);
    *out = (maas_str){p, n};
    return MAAS_OK;
}

static maas_status name_of(reader *r, maas_str *out)
{
    MAAS_TRY(text_of(r, out));
    if (!out->n || out->n > MAAS_MAX_ST_NAME)
        return malformed(r, out->n ? "a name is too long" : "a name is empty");
    for (size_t i = 0; i < out->n; i++)
        if ((unsigned char)out->p[i] < 0x20 || (unsigned char)out->p[i] == 0x7f)
            return malformed(r, "a name with a control character");
    return MAAS_OK;
}

/* Numbers of an array that has begun, `most` of them at most. */
static maas_status numbers(reader *r, uint64_t *out, int most, int *n, const char *what)
{
    maas_json_kind k;
    *n = 0;
    while ((k = maas_json_next(&r->scan)) != MAAS_JSON_CLOSE) {
        maas_span s = r->scan.text;
        if (k != MAAS_JSON_NUMBER || *n == most || !maas_num_u64(&s, &out[*n]) || s.n)
            return malformed(r, what);
        ++*n;
    }
    return MAAS_OK;
}

/* ---- a tensor ---- */

enum { SEEN_DTYPE = 1, SEEN_SHAPE = 2, SEEN_PLACE = 4, SEEN_ALL = 7 };

static maas_status read_dtype(reader *r, maas_st_tensor *t)
{
    if (maas_json_next(&r->scan) != MAAS_JSON_STRING)
        return malformed(r, "'dtype' must be a text");
    for (size_t i = 0; i < MAAS_COUNT(dtypes); i++)
        if (maas_span_is(r->scan.text, dtypes[i].name))
            t->type = &dtypes[i];
    if (t->type)
        return MAAS_OK;
    return maas_fail(r->err, MAAS_E_UNSUPPORTED, "tensor '%.*s' has the dtype '%.*s'",
                     (int)t->name.n, t->name.p, (int)(r->scan.text.n < 40 ? r->scan.text.n : 40),
                     (const char *)r->scan.text.p);
}

static maas_status read_shape(reader *r, maas_st_tensor *t)
{
    uint64_t dims[MAAS_MAX_RANK];
    if (maas_json_next(&r->scan) != MAAS_JSON_ARRAY)
        return malformed(r, "'shape' must be a list");
    MAAS_TRY(numbers(r, dims, MAAS_MAX_RANK, &t->rank, "'shape' must be up to 8 sizes"));
    for (int i = 0; i < t->rank; i++) {
        if (dims[i] > MAAS_MAX_TENSOR_BYTES)
            return malformed(r, "a size of 'shape' is too large");
        t->dims[i] = (int64_t)dims[i];
    }
    return MAAS_OK;
}

static maas_status read_place(reader *r, uint64_t place[2])
{
    int n = 0;
    if (maas_json_next(&r->scan) != MAAS_JSON_ARRAY)
        return malformed(r, "'data_offsets' must be a list");
    MAAS_TRY(numbers(r, place, 2, &n, "'data_offsets' must be two numbers"));
    return n == 2 ? MAAS_OK : malformed(r, "'data_offsets' must be two numbers");
}

static maas_status read_fields(reader *r, maas_st_tensor *t, uint64_t place[2])
{
    unsigned seen = 0;
    maas_json_kind k;
    while ((k = maas_json_next(&r->scan)) == MAAS_JSON_KEY) {
        const maas_span key = r->scan.text;
        const unsigned field = maas_span_is(key, "dtype")          ? SEEN_DTYPE
                               : maas_span_is(key, "shape")        ? SEEN_SHAPE
                               : maas_span_is(key, "data_offsets") ? SEEN_PLACE
                                                                   : 0;
        if (!field || (seen & field))
            return malformed(r, field ? "a field of a tensor comes twice"
                                      : "a field of a tensor that the format does not have");
        seen |= field;
        MAAS_TRY(field == SEEN_DTYPE   ? read_dtype(r, t)
                 : field == SEEN_SHAPE ? read_shape(r, t)
                                       : read_place(r, place));
    }
    if (k != MAAS_JSON_CLOSE || seen != SEEN_ALL)
        return malformed(r, "a tensor needs dtype, shape and data_offsets");
    return MAAS_OK;
}

/* The bytes of its shape are those of its place. */
static maas_status check_size(const reader *r, const maas_st_tensor *t, const uint64_t place[2])
{
    uint64_t bits = t->type->bits;
    bool fits = true;
    for (int i = 0; i < t->rank; i++)
        fits = fits && !__builtin_mul_overflow(bits, (uint64_t)t->dims[i], &bits);
    if (!fits || bits % 8 || bits / 8 > MAAS_MAX_TENSOR_BYTES)
        return maas_fail(r->err, MAAS_E_FORMAT,
                         "tensor '%.*s': its shape is too large, or no whole number of bytes",
                         (int)t->name.n, t->name.p);
    if (place[0] > place[1] || place[1] - place[0] != bits / 8)
        return maas_fail(r->err, MAAS_E_FORMAT,
                         "tensor '%.*s' is at %" PRIu64 " to %" PRIu64 ", its shape has %" PRIu64
                         " bytes",
                         (int)t->name.n, t->name.p, place[0], place[1], bits / 8);
    return MAAS_OK;
}

/* ---- the head ---- */

static maas_status read_notes(reader *r, maas_safetensors *out, size_t *cap)
{
    maas_json_kind k;
    if (out->notes)
        return malformed(r, "__metadata__ comes twice");
    if (maas_json_next(&r->scan) != MAAS_JSON_OBJECT)
        return malformed(r, "__metadata__ must be an object");
    maas_json_scan ahead = r->scan;
    while ((k = maas_json_next(&ahead)) == MAAS_JSON_KEY) {
        if (maas_json_next(&ahead) != MAAS_JSON_STRING) {
            r->scan = ahead;
            return malformed(r, "__metadata__ must be texts");
        }
        ++*cap;
    }
    out->notes = maas_arena_array(r->a, *cap + 1, sizeof *out->notes);
    if (!out->notes)
        return no_memory(r->err);
    while ((k = maas_json_next(&r->scan)) == MAAS_JSON_KEY) {
        maas_st_note *note = &out->notes[out->n_notes++];
        MAAS_TRY(text_of(r, &note->key));
        maas_json_next(&r->scan);
        MAAS_TRY(text_of(r, &note->text));
    }
    return k == MAAS_JSON_CLOSE ? MAAS_OK : malformed(r, "__metadata__ does not end");
}

/* Members of the object that has begun; its values may be anything. False: no JSON. */
static bool count_members(maas_json_scan s, uint64_t *n)
{
    maas_json_kind k;
    for (*n = 0; (k = maas_json_next(&s)) == MAAS_JSON_KEY; ++*n)
        if (!maas_json_skip(&s))
            return false;
    return k == MAAS_JSON_CLOSE;
}

typedef struct entry { /* a tensor while the file is read */
    maas_st_tensor t;
    uint64_t place[2];
} entry;

static maas_status read_members(reader *r, maas_safetensors *out, entry *e)
{
    maas_json_kind k;
    size_t n_notes = 0;
    while ((k = maas_json_next(&r->scan)) == MAAS_JSON_KEY) {
        if (maas_span_is(r->scan.text, "__metadata__")) {
            MAAS_TRY(read_notes(r, out, &n_notes));
            continue;
        }
        entry *to = &e[out->n_tensors++];
        MAAS_TRY(name_of(r, &to->t.name));
        if (maas_json_next(&r->scan) != MAAS_JSON_OBJECT)
            return malformed(r, "a tensor must be an object");
        MAAS_TRY(read_fields(r, &to->t, to->place));
        MAAS_TRY(check_size(r, &to->t, to->place));
    }
    if (k != MAAS_JSON_CLOSE || maas_json_next(&r->scan) != MAAS_JSON_END)
        return malformed(r, "the head does not end where it should");
    return MAAS_OK;
}

static int compare(maas_str a, maas_str b)
{
    const int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return c ? c : a.n < b.n ? -1 : a.n > b.n;
}
static int by_place(const void *a, const void *b)
{
    const uint64_t *p = ((const entry *)a)->place, *q = ((const entry *)b)->place;
    return p[0] != q[0] ? (p[0] < q[0] ? -1 : 1) : p[1] < q[1] ? -1 : p[1] > q[1];
}
static int by_name(const void *a, const void *b)
{
    return compare(((const maas_st_tensor *)a)->name, ((const maas_st_tensor *)b)->name);
}

/* One after the other, from the first byte after the head to the last of the file. */
static maas_status place_all(entry *e, uint32_t n, maas_span data, maas_err *err)
{
    uint64_t at = 0;
    qsort(e, n, sizeof *e, by_place);
    for (uint32_t i = 0; i < n; i++) {
        const maas_str name = e[i].t.name;
        if (e[i].place[0] != at)
            return maas_fail(err, MAAS_E_FORMAT,
                             "tensor '%.*s' begins at %" PRIu64 ", and the one before it ends at "
                             "%" PRIu64 ": tensors may not overlap nor have gaps",
                             (int)name.n, name.p, e[i].place[0], at);
        at = e[i].place[1];
        if (at > data.n)
            return maas_fail(err, MAAS_E_FORMAT,
                             "tensor '%.*s' ends at %" PRIu64 " of %zu bytes: the file is cut",
                             (int)name.n, name.p, at, data.n);
        e[i].t.data = data.p + e[i].place[0];
        e[i].t.bytes = (size_t)(e[i].place[1] - e[i].place[0]);
    }
    if (at != data.n)
        return maas_fail(err, MAAS_E_FORMAT, "%zu bytes after the last tensor",
                         data.n - (size_t)at);
    return MAAS_OK;
}

static maas_status finish(entry *e, maas_span data, maas_arena *a, maas_safetensors *out,
                          maas_err *err)
{
    MAAS_TRY(place_all(e, out->n_tensors, data, err));
    out->tensors = maas_arena_array(a, out->n_tensors + 1u, sizeof *out->tensors);
    if (!out->tensors)
        return no_memory(err);
    for (uint32_t i = 0; i < out->n_tensors; i++)
        out->tensors[i] = e[i].t;
    qsort(out->tensors, out->n_tensors, sizeof *out->tensors, by_name);
    for (uint32_t i = 1; i < out->n_tensors; i++)
        if (by_name(&out->tensors[i - 1], &out->tensors[i]) == 0)
            return maas_fail(err, MAAS_E_FORMAT, "tensor '%.*s' comes twice",
                             (int)out->tensors[i].name.n, out->tensors[i].name.p);
    return MAAS_OK;
}

static maas_status take_head(maas_span *file, maas_span *head, maas_err *err)
{
    uint64_t n = 0;
    if (!maas_span_u64le(file, &n))
        return maas_fail(err, MAAS_E_FORMAT, "this is no safetensors file: it has %zu bytes",
                         file->n);
    if (n > MAAS_MAX_ST_HEAD)
        return maas_fail(err, MAAS_E_TOO_LARGE,
                         "the head says it has %" PRIu64 " bytes, at most %u are read", n,
                         MAAS_MAX_ST_HEAD);
    if (!maas_span_take(file, (size_t)n, head))
        return maas_fail(err, MAAS_E_FORMAT,
                         "the head says it has %" PRIu64 " bytes, the file has %zu: it is cut", n,
                         file->n);
    if (!head->n || head->p[0] != '{')
        return maas_fail(err, MAAS_E_FORMAT, "this is no safetensors file: no { at byte 8");
    return MAAS_OK;
}

maas_status maas_safetensors_open(maas_span file, maas_arena *a, maas_safetensors *out,
                                  maas_err *err)
{
    maas_span head;
    uint64_t n = 0;
    reader r = {.a = a, .from = 8, .err = err};
    *out = (maas_safetensors){0};
    MAAS_TRY(take_head(&file, &head, err));
    maas_json_scan_init(&r.scan, head);
    if (maas_json_next(&r.scan) != MAAS_JSON_OBJECT)
        return malformed(&r, "the head must be an object");
    if (count_members(r.scan, &n) && n > MAAS_MAX_ST_TENSORS)
        return maas_fail(err, MAAS_E_TOO_LARGE, "%" PRIu64 " tensors, at most %u are read", n,
                         MAAS_MAX_ST_TENSORS);
    /* What is no JSON is found where it is read: there are no more members before it than here. */
    AUTO_FREE entry *e = maas_calloc((size_t)n + 1, sizeof *e);
    if (!e)
        return no_memory(err);
    MAAS_TRY(read_members(&r, out, e));
    return finish(e, file, a, out, err);
}

/* ---- looking up ---- */

/* The index of `name` in n rows of `size` bytes that begin with a maas_str; -1. */
static int64_t search(const void *rows, uint32_t n, size_t size, maas_str name)
{
    uint32_t from = 0, to = n;
    while (from < to) {
        const uint32_t mid = from + (to - from) / 2;
        maas_str have;
        memcpy(&have, (const char *)rows + mid * size, sizeof have);
        const int c = compare(name, have);
        if (c == 0)
            return mid;
        from = c > 0 ? mid + 1 : from;
        to = c > 0 ? to : mid;
    }
    return -1;
}

const maas_st_tensor *maas_safetensors_find(const maas_safetensors *s, maas_str name)
{
    const int64_t i = search(s->tensors, s->n_tensors, sizeof *s->tensors, name);
    return i < 0 ? NULL : &s->tensors[i];
}

/* ---- the index of several files ---- */

static int place_by_name(const void *a, const void *b)
{
    return compare(((const maas_st_place *)a)->name, ((const maas_st_place *)b)->name);
}

static maas_status read_places(reader *r, maas_st_index *out)
{
    uint64_t n = 0;
    if (out->places)
        return malformed(r, "weight_map comes twice");
    if (maas_json_next(&r->scan) != MAAS_JSON_OBJECT)
        return malformed(r, "weight_map must be an object");
    if (!count_members(r->scan, &n) || n > MAAS_MAX_ST_TENSORS)
        return malformed(r, "weight_map has too many members, or is no JSON");
    out->places = maas_arena_array(r->a, (size_t)n + 1, sizeof *out->places);
    if (!out->places)
        return no_memory(r->err);
    while (maas_json_next(&r->scan) == MAAS_JSON_KEY) {
        maas_st_place *p = &out->places[out->n++];
        MAAS_TRY(name_of(r, &p->name));
        if (maas_json_next(&r->scan) != MAAS_JSON_STRING)
            return malformed(r, "weight_map must be texts");
        MAAS_TRY(name_of(r, &p->file));
    }
    qsort(out->places, out->n, sizeof *out->places, place_by_name);
    for (uint32_t i = 1; i < out->n; i++)
        if (place_by_name(&out->places[i - 1], &out->places[i]) == 0)
            return maas_fail(r->err, MAAS_E_FORMAT, "weight_map has '%.*s' twice",
                             (int)out->places[i].name.n, out->places[i].name.p);
    return MAAS_OK;
}

maas_status maas_st_index_read(maas_span text, maas_arena *a, maas_st_index *out, maas_err *err)
{
    reader r = {.a = a, .err = err};
    maas_json_kind k;
    *out = (maas_st_index){0};
    if (text.n > MAAS_MAX_ST_HEAD)
        return maas_fail(err, MAAS_E_TOO_LARGE, "an index of %zu bytes", text.n);
    maas_json_scan_init(&r.scan, text);
    if (maas_json_next(&r.scan) != MAAS_JSON_OBJECT)
        return malformed(&r, "the index must be an object");
    while ((k = maas_json_next(&r.scan)) == MAAS_JSON_KEY)
        if (maas_span_is(r.scan.text, "weight_map"))
            MAAS_TRY(read_places(&r, out));
        else if (!maas_json_skip(&r.scan))
            return malformed(&r, "the index is no JSON");
    if (k != MAAS_JSON_CLOSE || maas_json_next(&r.scan) != MAAS_JSON_END)
        return malformed(&r, "the index does not end where it should");
    return out->places ? MAAS_OK : malformed(&r, "the index has no weight_map");
}

const maas_str *maas_st_index_file(const maas_st_index *x, maas_str name)
{
    const int64_t i = search(x->places, x->n, sizeof *x->places, name);
    return i < 0 ? NULL : &x->places[i].file;
}
