/* BMP: 1, 4 and 8 bits with a palette, 16, 24 and 32 bits; not the packed (RLE) kinds. */
#include "ops/image_int.h"

#include <stdlib.h>

#include "base/ban.h"

#define FILE_HEADER 14
enum { PLAIN = 0, MASKS = 3, MASKS_ALPHA = 6 };

typedef struct header {
    uint32_t width, height, bits, packing, colours, pixels_at;
    bool from_top;
    uint32_t mask[3]; /* red, green, blue */
    maas_span palette;
    uint32_t entry; /* bytes of a colour of the palette */
} header;

static uint32_t u16_at(maas_span s, size_t at)
{
    return s.p[at] | (uint32_t)s.p[at + 1] << 8;
}

static uint32_t u32_at(maas_span s, size_t at)
{
    return u16_at(s, at) | u16_at(s, at + 2) << 16;
}

static maas_status take_sizes(maas_span f, uint32_t size, header *h, maas_err *err)
{
    h->entry = size == 12 ? 3 : 4;
    if (size == 12) {
        h->width = u16_at(f, 18);
        h->height = u16_at(f, 20);
        h->bits = u16_at(f, 24);
        return MAAS_OK;
    }
    const int32_t width = (int32_t)u32_at(f, 18), height = (int32_t)u32_at(f, 22);
    if (width < 1 || height == INT32_MIN)
        return maas_image_damaged("BMP", "its sizes are out of range", err);
    h->width = (uint32_t)width;
    h->height = (uint32_t)abs(height);
    h->from_top = height < 0;
    h->bits = u16_at(f, 28);
    h->packing = u32_at(f, 30);
    h->colours = u32_at(f, 46);
    return MAAS_OK;
}

static maas_status take_masks(maas_span f, header *h, maas_err *err)
{
    static const uint32_t of16[] = {0x7c00, 0x3e0, 0x1f}, of32[] = {0xff0000, 0xff00, 0xff};
    for (size_t i = 0; i < 3 && h->bits >= 16; i++)
        h->mask[i] = h->bits == 16 ? of16[i] : of32[i];
    if (h->packing == PLAIN)
        return MAAS_OK;
    if (f.n < FILE_HEADER + 40 + 12 || (h->bits != 16 && h->bits != 32))
        return maas_image_damaged("BMP", "its masks are missing", err);
    for (size_t i = 0; i < 3; i++) {
        h->mask[i] = u32_at(f, FILE_HEADER + 40 + 4 * i);
        if (!h->mask[i])
            return maas_image_damaged("BMP", "a mask is empty", err);
    }
    return MAAS_OK;
}

static maas_status take_palette(maas_span f, uint32_t size, header *h, maas_err *err)
{
    if (h->bits > 8)
        return MAAS_OK;
    const uint32_t all = 1u << h->bits, n = h->colours && h->colours < all ? h->colours : all;
    maas_span rest = f;
    if (!maas_span_skip(&rest, (size_t)FILE_HEADER + size) ||
        !maas_span_take(&rest, (size_t)n * h->entry, &h->palette))
        return maas_image_damaged("BMP", "its palette is cut off", err);
    h->colours = n;
    return MAAS_OK;
}

static maas_status take_header(maas_span f, header *h, maas_err *err)
{
    *h = (header){0};
    const uint32_t size = f.n >= FILE_HEADER + 4 ? u32_at(f, FILE_HEADER) : 0;
    if ((size != 12 && size < 40) || size > 1024 || f.n < FILE_HEADER + (size_t)size)
        return maas_image_damaged("BMP", "its header is cut off", err);
    h->pixels_at = u32_at(f, 10);
    MAAS_TRY(take_sizes(f, size, h, err));
    if (h->packing != PLAIN && h->packing != MASKS && h->packing != MASKS_ALPHA)
        return maas_fail(err, MAAS_E_MEDIA,
                         "packed BMP images (RLE, JPEG or PNG inside) are not "
                         "read");
    if (h->bits != 1 && h->bits != 4 && h->bits != 8 && h->bits != 16 && h->bits != 24 &&
        h->bits != 32)
        return maas_image_damaged("BMP", "its bits of a pixel are unknown", err);
    MAAS_TRY(take_masks(f, h, err));
    return take_palette(f, size, h, err);
}

maas_status maas_bmp_look(maas_span file, maas_image *out, maas_err *err)
{
    header h;
    MAAS_TRY(take_header(file, &h, err));
    out->width = h.width;
    out->height = h.height;
    return MAAS_OK;
}

static uint8_t masked(uint32_t v, uint32_t mask)
{
    const int shift = __builtin_ctz(mask);
    const uint64_t most = mask >> shift;
    return (uint8_t)(((uint64_t)(v & mask) >> shift) * 255 / most);
}

static bool palette_row(const header *h, const uint8_t *row, uint8_t *rgb)
{
    const uint32_t each = 8 / h->bits, low = (1u << h->bits) - 1;
    for (uint32_t i = 0; i < h->width; i++) {
        const uint32_t k = row[i / each] >> (8 - h->bits - i % each * h->bits) & low;
        if (k >= h->colours)
            return false;
        const uint8_t *c = h->palette.p + (size_t)k * h->entry;
        rgb[3 * i] = c[2];
        rgb[3 * i + 1] = c[1];
        rgb[3 * i + 2] = c[0];
    }
    return true;
}

static void colour_row(const header *h, const uint8_t *row, uint8_t *rgb)
{
    const uint32_t step = h->bits / 8;
    for (uint32_t i = 0; i < h->width; i++) {
        const uint8_t *p = row + (size_t)i * step;
        if (h->bits == 24) {
            rgb[3 * i] = p[2];
            rgb[3 * i + 1] = p[1];
            rgb[3 * i + 2] = p[0];
            continue;
        }
        const uint32_t v = p[0] | (uint32_t)p[1] << 8 |
                           (step == 4 ? (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24 : 0);
        for (int k = 0; k < 3; k++)
            rgb[3 * i + (uint32_t)k] = masked(v, h->mask[k]);
    }
}

maas_status maas_bmp_decode(maas_span file, const maas_image *is, uint8_t *rgb, maas_err *err)
{
    header h;
    maas_span row;
    MAAS_TRY(take_header(file, &h, err));
    MAAS_CHECK(h.width == is->width && h.height == is->height);
    const size_t bytes = ((size_t)h.width * h.bits + 31) / 32 * 4;
    if (!maas_span_skip(&file, h.pixels_at))
        return maas_image_damaged("BMP", "it ends early", err);
    for (uint32_t y = 0; y < h.height; y++) {
        uint8_t *to = rgb + (size_t)(h.from_top ? y : h.height - 1 - y) * h.width * 3;
        if (!maas_span_take(&file, bytes, &row))
            return maas_image_damaged("BMP", "it ends early", err);
        if (h.bits > 8)
            colour_row(&h, row.p, to);
        else if (!palette_row(&h, row.p, to))
            return maas_image_damaged("BMP", "a colour is outside of its palette", err);
    }
    return MAAS_OK;
}
