/*
 * PNM: P1 to P3 are numbers as text, P4 to P6 bytes; bits, grey values, colours. A header of two or
 * three numbers, comments from # to the end of a line.
 */
#include "ops/image_int.h"

#include "base/ban.h"

typedef struct header {
    int kind; /* 1..6 */
    uint32_t width, height, most;
} header;

static bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_blanks(maas_span *s)
{
    bool comment = false;
    while (s->n && (comment || is_blank(*s->p) || *s->p == '#')) {
        comment = comment ? *s->p != '\n' : *s->p == '#';
        s->p++;
        s->n--;
    }
}

static bool number(maas_span *s, uint32_t *out)
{
    uint64_t v = 0;
    skip_blanks(s);
    const size_t before = s->n;
    while (s->n && *s->p >= '0' && *s->p <= '9' && v <= UINT32_MAX) {
        v = v * 10 + (*s->p - '0');
        s->p++;
        s->n--;
    }
    *out = (uint32_t)v;
    return s->n < before && v <= UINT32_MAX;
}

static maas_status take_header(maas_span *s, header *h, maas_err *err)
{
    *h = (header){.kind = s->p[1] - '0', .most = 1};
    maas_span_skip(s, 2);
    if (!number(s, &h->width) || !number(s, &h->height))
        return maas_image_damaged("PNM", "its header has no sizes", err);
    if (h->kind % 3 != 1 && (!number(s, &h->most) || h->most < 1 || h->most > 65535))
        return maas_image_damaged("PNM", "its largest value must be between 1 and 65535", err);
    if (h->kind > 3 && !maas_span_skip(s, 1)) /* one blank, then bytes */
        return maas_image_damaged("PNM", "it ends early", err);
    return MAAS_OK;
}

maas_status maas_pnm_look(maas_span file, maas_image *out, maas_err *err)
{
    header h;
    MAAS_TRY(take_header(&file, &h, err));
    out->width = h.width;
    out->height = h.height;
    return MAAS_OK;
}

static uint8_t scaled(uint32_t v, const header *h)
{
    v = v < h->most ? v : h->most;
    return (uint8_t)((v * 255u + h->most / 2) / h->most);
}

/* One value of the text kinds; a bit is one digit, blanks or not. */
static bool text_value(maas_span *s, const header *h, uint8_t *out)
{
    uint32_t v;
    uint8_t c = 0;
    if (h->kind != 1) {
        if (!number(s, &v))
            return false;
        *out = scaled(v, h);
        return true;
    }
    skip_blanks(s);
    if (!maas_span_u8(s, &c) || (c != '0' && c != '1'))
        return false;
    *out = c == '1' ? 0 : 255;
    return true;
}

static bool byte_value(maas_span *s, const header *h, uint8_t *out)
{
    uint8_t high = 0, low;
    if (h->most > 255 && !maas_span_u8(s, &high))
        return false;
    if (!maas_span_u8(s, &low))
        return false;
    *out = scaled((uint32_t)high << 8 | low, h);
    return true;
}

static bool bit_row(maas_span *s, uint32_t width, uint8_t *rgb)
{
    maas_span row;
    if (!maas_span_take(s, (width + 7u) / 8u, &row))
        return false;
    for (uint32_t i = 0; i < width; i++)
        memset(rgb + (size_t)i * 3, row.p[i / 8] >> (7 - i % 8) & 1 ? 0 : 255, 3);
    return true;
}

static bool value_row(maas_span *s, const header *h, uint8_t *rgb)
{
    for (uint32_t i = 0; i < h->width * 3; i++) {
        const bool again = h->kind % 3 != 0 && i % 3 != 0; /* grey: one value, three times */
        if (again)
            rgb[i] = rgb[i - 1];
        else if (!(h->kind > 3 ? byte_value : text_value)(s, h, &rgb[i]))
            return false;
    }
    return true;
}

maas_status maas_pnm_decode(maas_span file, const maas_image *is, uint8_t *rgb, maas_err *err)
{
    header h;
    MAAS_TRY(take_header(&file, &h, err));
    MAAS_CHECK(h.width == is->width && h.height == is->height);
    for (uint32_t y = 0; y < h.height; y++, rgb += (size_t)h.width * 3)
        if (!(h.kind == 4 ? bit_row(&file, h.width, rgb) : value_row(&file, &h, rgb)))
            return maas_image_damaged("PNM", "it ends early", err);
    return MAAS_OK;
}
