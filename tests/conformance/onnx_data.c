#include "onnx_data.h"

#include <stdio.h>
#include <string.h>

bool onnx_slurp(const char *path, maas_arena *a, maas_span *out)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    fseek(f, 0, SEEK_END);
    const size_t n = (size_t)ftell(f);
    rewind(f);
    uint8_t *p = maas_arena_alloc(a, n + 1);
    const bool ok = p && fread(p, 1, n, f) == n;
    fclose(f);
    *out = maas_span_of(p, n);
    return ok;
}

/* ---- protobuf: one field at a time ---- */

typedef struct field {
    int number, wire;
    uint64_t word;   /* wire types 0, 1 and 5 */
    maas_span bytes; /* wire type 2           */
} field;

static bool varint(maas_span *s, uint64_t *out)
{
    *out = 0;
    for (int shift = 0; shift < 64 && s->n; shift += 7) {
        const uint8_t b = *s->p;
        s->p++;
        s->n--;
        *out |= (uint64_t)(b & 127) << shift;
        if (b < 128)
            return true;
    }
    return false;
}

static bool take(maas_span *s, size_t n, maas_span *out)
{
    if (n > s->n)
        return false;
    *out = maas_span_of(s->p, n);
    s->p += n;
    s->n -= n;
    return true;
}

static bool next_field(maas_span *s, field *f)
{
    uint64_t key, n;
    if (!s->n || !varint(s, &key))
        return false;
    *f = (field){.number = (int)(key >> 3), .wire = (int)(key & 7)};
    if (f->wire == 0)
        return varint(s, &f->word);
    if (f->wire == 2)
        return varint(s, &n) && take(s, (size_t)n, &f->bytes);
    if (f->wire != 1 && f->wire != 5)
        return false;
    if (!take(s, f->wire == 5 ? 4 : 8, &f->bytes))
        return false;
    memcpy(&f->word, f->bytes.p, f->bytes.n);
    return true;
}

/* ---- TensorProto ---- */

enum {
    DIMS = 1,
    DTYPE = 2,
    FLOATS = 4,
    INT32S = 5,
    STRINGS = 6,
    INT64S = 7,
    RAW = 9,
    DOUBLES = 10,
    UINT64S = 11
};

typedef struct reader {
    maas_tensor t;
    size_t n_given, n_elems, size;
    bool raw;
    int bits; /* of an element in the file */
} reader;

static int bits_in_file(int dtype)
{
    static const struct {
        int dtype, bits;
    } packed[] = {{21, 4}, {22, 4}, {23, 4}, {25, 2}, {26, 2}};
    for (size_t i = 0; i < MAAS_COUNT(packed); i++)
        if (packed[i].dtype == dtype)
            return packed[i].bits;
    return maas_dtype_describe((maas_dtype)dtype)->bits;
}

/* Elements below a byte are packed from the lowest bits on; in memory each has a byte. Signed ones
 * keep their sign. */
static uint8_t unpack(int dtype, int bits, const uint8_t *p, size_t i)
{
    const size_t per = 8 / (size_t)bits;
    const int v = p[i / per] >> (i % per * (size_t)bits) & ((1 << bits) - 1);
    const bool is_signed = maas_dtype_describe((maas_dtype)dtype)->kind == MAAS_KIND_INT;
    return (uint8_t)(is_signed && v >> (bits - 1) ? v - (1 << bits) : v);
}

static void store(reader *r, size_t i, uint64_t word, int number)
{
    char *to = (char *)r->t.data + i * r->size;
    if (number == FLOATS && r->t.dtype != MAAS_F32)
        return; /* complex: not supported */
    memcpy(to, &word, r->size < 8 ? r->size : 8);
}

static void put_word(reader *r, int number, uint64_t word)
{
    if (r->bits >= 8) {
        if (r->n_given < r->n_elems)
            store(r, r->n_given++, word, number);
        return;
    }
    const uint8_t byte = (uint8_t)word;
    for (size_t k = 0; k < 8u / (unsigned)r->bits && r->n_given < r->n_elems; k++)
        ((uint8_t *)r->t.data)[r->n_given++] = unpack(r->t.dtype, r->bits, &byte, k);
}

static bool put_packed(reader *r, int number, maas_span s)
{
    const size_t size = number == FLOATS ? 4 : number == DOUBLES ? 8 : 0;
    while (s.n) {
        uint64_t word = 0;
        maas_span part;
        if (size) {
            if (!take(&s, size, &part))
                return false;
            memcpy(&word, part.p, size);
        } else if (!varint(&s, &word)) {
            return false;
        }
        put_word(r, number, word);
    }
    return true;
}

static bool put_raw(reader *r, maas_span s)
{
    if (r->bits >= 8) {
        if (s.n != r->n_elems * r->size)
            return false;
        if (s.n)
            memcpy(r->t.data, s.p, s.n);
    } else {
        const size_t per = 8u / (unsigned)r->bits;
        if (s.n != (r->n_elems + per - 1) / per)
            return false;
        for (size_t i = 0; i < r->n_elems; i++)
            ((uint8_t *)r->t.data)[i] = unpack(r->t.dtype, r->bits, s.p, i);
    }
    r->n_given = r->n_elems;
    return true;
}

static bool put(reader *r, const field *f)
{
    switch (f->number) {
    case STRINGS:
        if (r->n_given < r->n_elems && r->t.dtype == MAAS_STRING)
            ((maas_str *)r->t.data)[r->n_given++] = (maas_str){(const char *)f->bytes.p,
                                                               f->bytes.n};
        return true;
    case RAW:
        return put_raw(r, f->bytes);
    case FLOATS:
    case DOUBLES:
    case INT32S:
    case INT64S:
    case UINT64S:
        if (f->wire == 2)
            return put_packed(r, f->number, f->bytes);
        put_word(r, f->number, f->word);
        return true;
    default:
        return true;
    }
}

static bool add_dims(maas_tensor *t, const field *f)
{
    maas_span s = f->bytes;
    uint64_t d = f->word;
    if (f->wire == 2) {
        while (s.n) {
            if (!varint(&s, &d) || t->rank == MAAS_MAX_RANK)
                return false;
            t->dims[t->rank++] = (int64_t)d;
        }
        return true;
    }
    if (t->rank == MAAS_MAX_RANK)
        return false;
    t->dims[t->rank++] = (int64_t)d;
    return true;
}

static bool read_tensor(maas_span file, maas_arena *a, maas_tensor *out)
{
    reader r = {0};
    field f;
    for (maas_span s = file; next_field(&s, &f);) {
        if (f.number == DIMS && !add_dims(&r.t, &f))
            return false;
        if (f.number == DTYPE)
            r.t.dtype = (uint8_t)f.word;
    }
    r.size = maas_dtype_size((maas_dtype)r.t.dtype);
    r.bits = r.t.dtype == MAAS_STRING ? 8 : bits_in_file(r.t.dtype);
    if (!r.size || maas_n_elems(&r.t) < 0)
        return false;
    r.n_elems = (size_t)maas_n_elems(&r.t);
    r.t.data = maas_arena_alloc(a, r.n_elems * r.size + 1);
    if (!r.t.data)
        return false;
    for (maas_span s = file; next_field(&s, &f);)
        if (!put(&r, &f))
            return false;
    *out = r.t;
    return r.n_given == r.n_elems;
}

/* ---- SequenceProto, OptionalProto ---- */

/* What a field of the message holds; the numbers are the same in both messages. */
static bool item_kind(int number, onnx_kind *out)
{
    *out = number == 3 ? ONNX_TENSOR : number == 5 ? ONNX_SEQUENCE : ONNX_OPTIONAL;
    return number == 3 || number == 5 || number == 7;
}

bool onnx_value_read(maas_span file, onnx_kind kind, maas_arena *a, onnx_value *out)
{
    *out = (onnx_value){.kind = kind};
    if (kind == ONNX_TENSOR)
        return read_tensor(file, a, &out->tensor);
    field f;
    onnx_kind item;
    for (maas_span s = file; next_field(&s, &f);)
        out->n_items += f.wire == 2 && item_kind(f.number, &item);
    out->item = maas_arena_array(a, out->n_items + 1, sizeof *out->item);
    size_t n = 0;
    for (maas_span s = file; out->item && next_field(&s, &f);)
        if (f.wire == 2 && item_kind(f.number, &item) &&
            !onnx_value_read(f.bytes, item, a, &out->item[n++]))
            return false;
    return out->item != NULL;
}
