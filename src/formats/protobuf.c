#include "formats/protobuf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/ban.h"

/* ---- reading ---- */

maas_pb maas_pb_open(maas_span file, maas_err *err)
{
    return (maas_pb){.rest = file, .file = file.p, .err = err};
}

maas_pb maas_pb_message(const maas_pb *r, maas_span bytes)
{
    maas_pb child = {.rest = bytes, .file = r->file, .depth = r->depth + 1, .err = r->err};
    if (child.depth > MAAS_PB_MAX_DEPTH)
        child.status = maas_pb_fail(&child, MAAS_E_FORMAT, "messages are nested deeper than %d",
                                    MAAS_PB_MAX_DEPTH);
    return child;
}

size_t maas_pb_offset(const maas_pb *r)
{
    return (size_t)(r->rest.p - r->file);
}

maas_status maas_pb_fail(const maas_pb *r, maas_status code, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return maas_fail(r->err, code, "%s (at byte %zu)", text, maas_pb_offset(r));
}

/* Up to 10 bytes of 7 bits; the last one may hold only the top bit of 64. */
static bool get_varint(maas_span *s, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s->n && i < 10; i++) {
        uint8_t byte = s->p[i];
        if (i == 9 && byte > 1)
            return false;
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte & 0x80)
            continue;
        *out = v;
        return maas_span_skip(s, i + 1);
    }
    return false;
}

static bool get_fixed32(maas_span *s, uint64_t *out)
{
    uint32_t v;
    if (!maas_span_u32le(s, &v))
        return false;
    *out = v;
    return true;
}

static bool get_number(maas_span *s, uint32_t wire, uint64_t *out)
{
    switch (wire) {
    case MAAS_PB_VARINT:
        return get_varint(s, out);
    case MAAS_PB_FIXED64:
        return maas_span_u64le(s, out);
    default:
        return get_fixed32(s, out);
    }
}

static bool get_bytes(maas_span *s, maas_span *out)
{
    uint64_t n;
    return get_varint(s, &n) && n <= s->n && maas_span_take(s, (size_t)n, out);
}

bool maas_pb_next(maas_pb *r, maas_pb_field *out)
{
    uint64_t tag;
    if (r->status != MAAS_OK || !r->rest.n)
        return false;
    *out = (maas_pb_field){.offset = maas_pb_offset(r)};
    maas_span s = r->rest;
    const char *wrong = NULL;
    if (!get_varint(&s, &tag) || tag > UINT32_MAX || tag < 8)
        wrong = "no field tag";
    else if ((tag & 7) == 3 || (tag & 7) == 4)
        wrong = "a group, which no model file has";
    else if ((tag & 7) > MAAS_PB_FIXED32)
        wrong = "an unknown wire type";
    else if ((tag & 7) == MAAS_PB_BYTES ? !get_bytes(&s, &out->bytes)
                                        : !get_number(&s, (uint32_t)tag & 7, &out->value))
        wrong = "a field that goes past the end of its message";
    if (wrong) {
        r->status = maas_pb_fail(r, MAAS_E_FORMAT, "%s", wrong);
        return false;
    }
    out->number = (uint32_t)(tag >> 3);
    out->wire = (uint32_t)tag & 7;
    r->rest = s;
    return true;
}

/* A field of a known number came with another wire type than its own. */
static bool refuse_wire(maas_pb *r, const maas_pb_field *f)
{
    r->status = maas_fail(r->err, MAAS_E_FORMAT, "field %u has wire type %u (at byte %zu)",
                          f->number, f->wire, f->offset);
    return false;
}

bool maas_pb_each(maas_pb *r, uint32_t number, maas_span *out)
{
    maas_pb_field f;
    while (maas_pb_next(r, &f)) {
        if (f.number != number)
            continue;
        *out = f.bytes;
        return f.wire == MAAS_PB_BYTES || refuse_wire(r, &f);
    }
    return false;
}

bool maas_pb_each_number(maas_pb *r, uint32_t number, uint32_t wire, maas_span *run, uint64_t *out)
{
    maas_pb_field f;
    while (!run->n) {
        if (!maas_pb_next(r, &f))
            return false;
        if (f.number != number)
            continue;
        if (f.wire == wire) {
            *out = f.value;
            return true;
        }
        if (f.wire != MAAS_PB_BYTES)
            return refuse_wire(r, &f);
        *run = f.bytes;
    }
    if (get_number(run, wire, out))
        return true;
    r->status = maas_fail(r->err, MAAS_E_FORMAT, "a packed list is cut off (at byte %zu)",
                          (size_t)(run->p - r->file));
    return false;
}

static const maas_pb_row *row_of(const maas_pb_row *rows, size_t n_rows, uint32_t number)
{
    for (size_t i = 0; i < n_rows; i++)
        if (rows[i].number == number)
            return &rows[i];
    return NULL;
}

static bool decode_field(maas_pb *r, const maas_pb_row *row, const maas_pb_field *f, void *out)
{
    static const uint32_t wires[] = {[MAAS_PB_INT] = MAAS_PB_VARINT,
                                     [MAAS_PB_FLOAT] = MAAS_PB_FIXED32,
                                     [MAAS_PB_SPAN] = MAAS_PB_BYTES};
    void *at = (char *)out + row->offset;
    if (row->type == MAAS_PB_COUNT) {
        ++*(uint32_t *)at;
        return true;
    }
    if (f->wire != wires[row->type])
        return refuse_wire(r, f);
    if (row->type == MAAS_PB_SPAN) {
        maas_span *span = at;
        if (span->p) {
            r->status = maas_fail(r->err, MAAS_E_FORMAT, "field %u comes twice (at byte %zu)",
                                  f->number, f->offset);
            return false;
        }
        *span = f->bytes;
    } else if (row->type == MAAS_PB_FLOAT) {
        uint32_t bits = (uint32_t)f->value;
        memcpy(at, &bits, sizeof bits);
    } else {
        memcpy(at, &f->value, sizeof f->value);
    }
    return true;
}

maas_status maas_pb_decode(const maas_pb *r, const maas_pb_row *rows, size_t n_rows, void *out)
{
    maas_pb copy = *r;
    maas_pb_field f;
    while (maas_pb_next(&copy, &f)) {
        const maas_pb_row *row = row_of(rows, n_rows, f.number);
        if (row && !decode_field(&copy, row, &f, out))
            break;
    }
    return copy.status;
}

/* ---- writing ---- */

static size_t varint_size(uint64_t v)
{
    size_t n = 1;
    while (v >>= 7)
        n++;
    return n;
}

static void put(maas_pb_writer *w, const void *p, size_t n)
{
    w->n += n;
    if (w->out)
        maas_buf_add(w->out, p, n);
}

enum { MAX_VARINT = 10 };

static size_t varint_to(uint8_t *bytes, uint64_t v)
{
    size_t n = 0;
    do {
        bytes[n++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        v >>= 7;
    } while (v);
    return n;
}

static void put_varint(maas_pb_writer *w, uint64_t v)
{
    uint8_t bytes[MAX_VARINT];
    put(w, bytes, varint_to(bytes, v));
}

static void put_tag(maas_pb_writer *w, uint32_t number, uint32_t wire)
{
    put_varint(w, (uint64_t)number << 3 | wire);
}

void maas_pb_int(maas_pb_writer *w, uint32_t number, int64_t v)
{
    put_tag(w, number, MAAS_PB_VARINT);
    put_varint(w, (uint64_t)v);
}

void maas_pb_float(maas_pb_writer *w, uint32_t number, float v)
{
    put_tag(w, number, MAAS_PB_FIXED32);
    put(w, &v, sizeof v);
}

void maas_pb_bytes(maas_pb_writer *w, uint32_t number, const void *p, size_t n)
{
    put_tag(w, number, MAAS_PB_BYTES);
    put_varint(w, n);
    put(w, p, n);
}

void maas_pb_text(maas_pb_writer *w, uint32_t number, const char *s)
{
    maas_pb_bytes(w, number, s, strlen(s));
}

void maas_pb_floats(maas_pb_writer *w, uint32_t number, const float *v, size_t n)
{
    maas_pb_bytes(w, number, v, n * sizeof *v);
}

void maas_pb_ints(maas_pb_writer *w, uint32_t number, const int64_t *v, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += varint_size((uint64_t)v[i]);
    put_tag(w, number, MAAS_PB_BYTES);
    put_varint(w, bytes);
    if (!w->out) {
        w->n += bytes;
        return;
    }
    uint8_t block[512];
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (used > sizeof block - MAX_VARINT) {
            put(w, block, used);
            used = 0;
        }
        used += varint_to(block + used, (uint64_t)v[i]);
    }
    put(w, block, used);
}

void maas_pb_raw(maas_pb_writer *w, const void *p, size_t n)
{
    put(w, p, n);
}

void maas_pb_begin(maas_pb_writer *w, uint32_t number)
{
    MAAS_CHECK(w->depth < MAAS_PB_MAX_DEPTH);
    put_tag(w, number, MAAS_PB_BYTES);
    size_t index = w->n_len++;
    if (w->out) {
        put_varint(w, w->failed ? 0 : w->len[index]);
    } else if (!w->failed && !maas_grow(&w->len, &w->cap_len, w->n_len, sizeof *w->len)) {
        w->failed = true;
    }
    w->open[w->depth++] = (maas_pb_open_message){index, w->n};
}

void maas_pb_end(maas_pb_writer *w)
{
    MAAS_CHECK(w->depth > 0);
    const maas_pb_open_message *m = &w->open[--w->depth];
    size_t len = w->n - m->start;
    if (w->failed)
        return;
    if (w->out) {
        MAAS_CHECK(len == w->len[m->index]); /* both rounds wrote the same */
        return;
    }
    w->len[m->index] = len;
    w->n += varint_size(len);
}

maas_status maas_pb_write(void (*fn)(maas_pb_writer *w, void *user), void *user, maas_buf *out,
                          maas_err *err)
{
    maas_pb_writer w = {0};
    fn(&w, user);
    if (!w.failed && maas_buf_reserve(out, w.n)) {
        size_t measured = w.n;
        w.out = out;
        w.n = w.n_len = 0;
        fn(&w, user);
        MAAS_CHECK(w.n == measured);
    } else {
        w.failed = true;
    }
    maas_free(w.len);
    return w.failed || out->failed ? maas_fail(err, MAAS_E_NOMEM, "the file does not fit in memory")
                                   : MAAS_OK;
}
