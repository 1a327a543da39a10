/*
 * TIFF as every reader must take it: the first picture of the file, in strips, plain or PackBits, 1
 * or 8 bits, grey, colours or a palette. Numbers in the byte order that the file names.
 */
#include "ops/image_int.h"

#include "base/ban.h"

enum { PLAIN = 1, PACKBITS = 32773 };
enum { WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE };
#define MAX_SAMPLES 16 /* of a pixel; those after the colours are dropped */

typedef struct field { /* n values from byte `at` on */
    uint32_t type, n;
    size_t at;
} field;

/* In the order of `tags`. */
typedef struct fields {
    field width, height, bits, packing, meaning, offsets, samples, rows, counts, planar, palette;
    field tiles;
} fields;
static const uint16_t tags[] = {256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 320, 322};
_Static_assert(sizeof(fields) == MAAS_COUNT(tags) * sizeof(field), "a tag without a field");

typedef struct picture {
    maas_span f;
    bool swapped; /* big-endian */
    fields at;
    uint32_t width, height, bits, packing, meaning, samples, rows;
} picture;

/* ---- numbers ---- */

static bool u16_at(const picture *p, size_t at, uint32_t *out)
{
    uint16_t v;
    maas_span s = p->f;
    if (!maas_span_skip(&s, at) || !maas_span_u16le(&s, &v))
        return false;
    *out = p->swapped ? __builtin_bswap16(v) : v;
    return true;
}

static bool u32_at(const picture *p, size_t at, uint32_t *out)
{
    maas_span s = p->f;
    if (!maas_span_skip(&s, at) || !maas_span_u32le(&s, out))
        return false;
    *out = p->swapped ? __builtin_bswap32(*out) : *out;
    return true;
}

static size_t size_of(uint32_t type) /* 0: not a type that is looked at */
{
    return type == 1 ? 1 : type == 3 ? 2 : type == 4 ? 4 : 0;
}

/* Value i of a field; `otherwise` when the file has no such field. */
static bool value(const picture *p, const field *f, uint32_t i, uint32_t otherwise, uint32_t *out)
{
    const size_t size = size_of(f->type);
    *out = otherwise;
    if (!f->n)
        return true;
    if (i >= f->n || !size)
        return false;
    if (size == 1) {
        if (f->at + i >= p->f.n)
            return false;
        *out = p->f.p[f->at + i];
        return true;
    }
    return (size == 2 ? u16_at : u32_at)(p, f->at + i * size, out);
}

/* ---- the directory ---- */

static bool take_entry(picture *p, size_t at)
{
    uint32_t tag, far;
    field f;
    if (!u16_at(p, at, &tag) || !u16_at(p, at + 2, &f.type) || !u32_at(p, at + 4, &f.n) ||
        !u32_at(p, at + 8, &far))
        return false;
    const uint64_t bytes = (uint64_t)f.n * size_of(f.type);
    f.at = bytes > 4 ? far : at + 8;
    for (size_t i = 0; i < MAAS_COUNT(tags); i++)
        if (tags[i] == tag)
            memcpy((char *)&p->at + i * sizeof f, &f, sizeof f);
    return true;
}

static bool take_directory(picture *p)
{
    uint32_t at, n;
    if (!u32_at(p, 4, &at) || !u16_at(p, at, &n))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!take_entry(p, (size_t)at + 2 + 12 * (size_t)i))
            return false;
    const fields *f = &p->at;
    return f->width.n && f->height.n && f->offsets.n && f->counts.n &&
           value(p, &f->width, 0, 0, &p->width) && value(p, &f->height, 0, 0, &p->height) &&
           value(p, &f->bits, 0, 1, &p->bits) && value(p, &f->packing, 0, PLAIN, &p->packing) &&
           value(p, &f->meaning, 0, BLACK_IS_ZERO, &p->meaning) &&
           value(p, &f->samples, 0, 1, &p->samples) &&
           value(p, &f->rows, 0, UINT32_MAX, &p->rows) && p->rows;
}

/* What is well-formed, and not of the kinds that are read. */
static maas_status check_kind(const picture *p, maas_err *err)
{
    uint32_t planar, bits;
    const bool colours = p->meaning == RGB;
    bool read = p->meaning <= PALETTE && (p->packing == PLAIN || p->packing == PACKBITS) &&
                !p->at.tiles.n && value(p, &p->at.planar, 0, 1, &planar) &&
                (planar == 1 || p->samples == 1) && p->samples <= MAX_SAMPLES &&
                p->samples >= (colours ? 3u : 1u) &&
                (p->bits == 8 || (p->bits == 1 && p->samples == 1 && p->meaning < RGB));
    for (uint32_t i = 1; read && i < p->samples; i++)
        read = value(p, &p->at.bits, i, 1, &bits) && bits == p->bits;
    if (!read)
        return maas_fail(err, MAAS_E_MEDIA,
                         "TIFF images are read plain or with PackBits, in strips, with 8 bits a "
                         "colour or 1 bit; not this one");
    if (p->meaning == PALETTE && p->at.palette.n < 3 * 256)
        return maas_image_damaged("TIFF", "its palette is too short", err);
    return MAAS_OK;
}

static maas_status open_picture(maas_span file, picture *p, maas_err *err)
{
    *p = (picture){.f = file, .swapped = file.n && *file.p == 'M'};
    if (!take_directory(p))
        return maas_image_damaged("TIFF", "its directory is cut off, or says nonsense", err);
    return check_kind(p, err);
}

maas_status maas_tiff_look(maas_span file, maas_image *out, maas_err *err)
{
    picture p;
    MAAS_TRY(open_picture(file, &p, err));
    out->width = p.width;
    out->height = p.height;
    return MAAS_OK;
}

/* ---- pixels ---- */

/* Runs and literals until the row is full. */
static bool unpack_row(maas_span *s, uint8_t *row, size_t n)
{
    for (size_t at = 0; at < n;) {
        uint8_t head, same;
        maas_span literal;
        if (!maas_span_u8(s, &head))
            return false;
        if (head == 128)
            continue;
        const size_t run = head < 128 ? head + 1u : 257u - head;
        if (run > n - at)
            return false;
        if (head < 128) {
            if (!maas_span_take(s, run, &literal))
                return false;
            memcpy(row + at, literal.p, run);
        } else {
            if (!maas_span_u8(s, &same))
                return false;
            memset(row + at, same, run);
        }
        at += run;
    }
    return true;
}

static bool put_row(const picture *p, const uint8_t *row, uint8_t *rgb)
{
    for (uint32_t i = 0; i < p->width; i++, rgb += 3) {
        const uint8_t *v = row + (size_t)i * p->samples;
        uint8_t grey = p->bits == 1 ? (row[i / 8] >> (7 - i % 8) & 1 ? 255 : 0) : v[0];
        if (p->meaning == RGB) {
            memcpy(rgb, v, 3);
            continue;
        }
        if (p->meaning != PALETTE) {
            memset(rgb, p->meaning == WHITE_IS_ZERO ? 255 - grey : grey, 3);
            continue;
        }
        for (uint32_t c = 0; c < 3; c++) {
            uint32_t colour;
            if (!value(p, &p->at.palette, c * 256 + v[0], 0, &colour))
                return false;
            rgb[c] = (uint8_t)(colour >> 8);
        }
    }
    return true;
}

static bool strip_of(const picture *p, uint32_t k, maas_span *out)
{
    uint32_t at, n;
    maas_span s = p->f;
    return value(p, &p->at.offsets, k, 0, &at) && value(p, &p->at.counts, k, 0, &n) &&
           maas_span_skip(&s, at) && maas_span_take(&s, n, out);
}

maas_status maas_tiff_decode(maas_span file, const maas_image *is, uint8_t *rgb, maas_err *err)
{
    picture p;
    maas_span strip = {0}, row;
    MAAS_TRY(open_picture(file, &p, err));
    MAAS_CHECK(p.width == is->width && p.height == is->height);
    const size_t n = ((size_t)p.width * p.samples * p.bits + 7) / 8;
    AUTO_FREE uint8_t *unpacked = maas_alloc(n);
    if (!unpacked)
        return maas_fail(err, MAAS_E_NOMEM, "decoding a TIFF image");
    for (uint32_t y = 0; y < p.height; y++, rgb += (size_t)p.width * 3) {
        bool ok = y % p.rows || strip_of(&p, y / p.rows, &strip);
        row.p = unpacked;
        ok = ok && (p.packing == PACKBITS ? unpack_row(&strip, unpacked, n)
                                          : maas_span_take(&strip, n, &row));
        if (!ok || !put_row(&p, row.p, rgb))
            return maas_image_damaged("TIFF", "it ends early, or is packed wrongly", err);
    }
    return MAAS_OK;
}
