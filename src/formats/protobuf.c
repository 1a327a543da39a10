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
