#include "learn/augment.h"

#include <math.h>

#include "base/sys.h"
#include "learn/columns.h"
#include "base/ban.h"

#define AT(f) offsetof(maas_augment_spec, f)
static const char *const flips[] = {"none", "horizontal", "vertical", "both", NULL};
static const char *const channels[] = {"auto", "first", "last", NULL};
const maas_param maas_augment_rows[MAAS_N_AUGMENT_ROWS] = {
    {"flip", MAAS_PARAM_CHOICE, AT(flip), .preset = MAAS_FLIP_NONE, .choices = flips,
     .help = "mirror every other picture"},
    {"crop", MAAS_PARAM_INT, AT(crop), 0, 4096, 0,
     .help = "shift pictures by up to so many places, each way"},
    {"brightness", MAAS_PARAM_NUM, AT(brightness), 0, 1, 0,
     .help = "multiply values by 1 - brightness to 1 + brightness"},
    {"contrast", MAAS_PARAM_NUM, AT(contrast), 0, 1, 0,
     .help = "the same for their distance from the picture's mean"},
    {"cutout", MAAS_PARAM_INT, AT(cutout), 0, 4096, 0,
     .help = "side of a square that is put out, anywhere"},
    {"channels", MAAS_PARAM_CHOICE, AT(channels), .preset = MAAS_CHANNELS_AUTO, .choices = channels,
     .help = "where the channels of [a, b, c] are; auto: where there are fewer, first if in doubt"},
};
#undef AT

maas_status maas_augment_init(maas_augment *a, const maas_augment_spec *spec,
                              const maas_features *fs, maas_err *err)
{
    *a = (maas_augment){.spec = spec};
    if (!spec->on)
        return MAAS_OK;
    const maas_ds_column *c = fs->n == 1 ? fs->f[0].col : NULL;
    const maas_column *d = c ? &c->desc : NULL;
    if (!d || (d->rank != 2 && d->rank != 3))
        return maas_fail(err, MAAS_E_INVALID,
                         "params.augment is for one column of pictures: [height, width] or with "
                         "channels, first or last");
    if (d->dtype != MAAS_U8 && d->dtype != MAAS_F32)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.augment: column '%.100s' must be of bytes or of 32-bit floats",
                         d->name);
    const bool last = d->rank == 3 &&
                      (spec->channels == MAAS_CHANNELS_LAST ||
                       (spec->channels == MAAS_CHANNELS_AUTO && d->dims[2] < d->dims[0]));
    const bool first = d->rank == 3 && !last;
    a->column = c;
    a->planes = first ? d->dims[0] : 1;
    a->each = last ? d->dims[2] : 1;
    a->height = d->dims[first];
    a->width = d->dims[first + 1];
    a->from = d->dtype;
    a->to = fs->layout == MAAS_LAYOUT_TENSOR ? fs->raw : MAAS_F32;
    return MAAS_OK;
}

/* ---- what one picture gets ---- */

typedef struct change {
    bool mirror_x, mirror_y, tones;
    int64_t dx, dy;         /* where a place comes from, before it is mirrored */
    int64_t x0, x1, y0, y1; /* put out */
    float a, b;             /* tones: a v + b */
    uint8_t byte[256];      /* the same of bytes */
} change;

static int64_t within(maas_rng *r, int64_t most)
{
    return most ? (int64_t)maas_rng_below(r, 2 * (uint64_t)most + 1) - most : 0;
}

static float factor(maas_rng *r, double by)
{
    return by > 0 ? (float)(1 + by * (2 * maas_rng_unit(r) - 1)) : 1;
}

static int64_t clamped(int64_t v, int64_t most)
{
    return v < 0 ? 0 : v > most ? most : v;
}

static float mean_of(const maas_augment *a, const void *picture)
{
    const int64_t n = a->planes * a->height * a->width * a->each;
    double sum = 0;
    uint64_t bytes = 0;
    for (int64_t i = 0; a->from == MAAS_U8 && i < n; i++)
        bytes += ((const uint8_t *)picture)[i];
    for (int64_t i = 0; a->from == MAAS_F32 && i < n; i++)
        sum += (double)((const float *)picture)[i];
    return n ? (float)((sum + (double)bytes) / (double)n) : 0;
}

static void draw_tones(const maas_augment *a, maas_rng *r, const void *picture, change *c)
{
    const float bright = factor(r, a->spec->brightness), contrast = factor(r, a->spec->contrast);
    c->tones = a->spec->brightness > 0 || a->spec->contrast > 0;
    c->a = bright * contrast;
    c->b = a->spec->contrast > 0 ? bright * (1 - contrast) * mean_of(a, picture) : 0;
    for (int v = 0; v < 256 && a->from == MAAS_U8; v++) {
        const float y = c->tones ? c->a * (float)v + c->b : (float)v;
        c->byte[v] = (uint8_t)(fminf(fmaxf(y, 0), 255) + 0.5f);
    }
}

static void draw(const maas_augment *a, maas_rng *r, const void *picture, change *c)
{
    const maas_augment_spec *s = a->spec;
    const uint64_t coins = maas_rng_u64(r);
    c->mirror_x = (s->flip & MAAS_FLIP_HORIZONTAL) && (coins & 1);
    c->mirror_y = (s->flip & MAAS_FLIP_VERTICAL) && (coins & 2);
    c->dx = within(r, s->crop);
    c->dy = within(r, s->crop);
    c->x0 = c->x1 = c->y0 = c->y1 = 0;
    if (s->cutout) {
        const int64_t x = (int64_t)maas_rng_below(r, (uint64_t)a->width) - s->cutout / 2,
                      y = (int64_t)maas_rng_below(r, (uint64_t)a->height) - s->cutout / 2;
        c->x0 = clamped(x, a->width);
        c->x1 = clamped(x + s->cutout, a->width);
        c->y0 = clamped(y, a->height);
        c->y1 = clamped(y + s->cutout, a->height);
    }
    draw_tones(a, r, picture, c);
}

/* ---- lines: places of a row, whose neighbours in the column are `step` values apart ---- */

static void bytes_of(const change *c, const uint8_t *from, int64_t step, int64_t n, int64_t each,
                     uint8_t *to)
{
    for (int64_t i = 0; i < n; i++, from += step)
        for (int64_t k = 0; k < each; k++)
            *to++ = c->byte[from[k]];
}

static void floats_of_bytes(const change *c, const uint8_t *from, int64_t step, int64_t n,
                            int64_t each, float *to)
{
    for (int64_t i = 0; i < n; i++, from += step)
        for (int64_t k = 0; k < each; k++)
            *to++ = (float)c->byte[from[k]];
}

static void floats_of(const change *c, const float *from, int64_t step, int64_t n, int64_t each,
                      float *to)
{
    const float a = c->tones ? c->a : 1, b = c->tones ? c->b : 0;
    for (int64_t i = 0; i < n; i++, from += step)
        for (int64_t k = 0; k < each; k++)
            *to++ = a * from[k] + b;
}

/* `at`: the first value of the row in the column. */
static void put_line(const maas_augment *a, const change *c, const char *at, char *out)
{
    const int64_t w = a->width, e = a->each, step = c->mirror_x ? -e : e;
    const size_t out_size = maas_dtype_size(a->to) * (size_t)e;
    /* Places [x0, x1) come from inside: place x from x + dx, or from w - 1 - x + dx. */
    const int64_t x0 = clamped(c->mirror_x ? c->dx : -c->dx, w);
    const int64_t x1 = clamped(c->mirror_x ? w + c->dx : w - c->dx, w);
    memset(out, 0, (size_t)w * out_size);
    if (x1 <= x0)
        return;
    const int64_t first = (c->mirror_x ? w - 1 - x0 + c->dx : x0 + c->dx) * e;
    out += (size_t)x0 * out_size;
    if (a->from == MAAS_F32)
        floats_of(c, (const float *)(const void *)at + first, step, x1 - x0, e,
                  (float *)(void *)out);
    else if (a->to == MAAS_F32)
        floats_of_bytes(c, (const uint8_t *)at + first, step, x1 - x0, e, (float *)(void *)out);
    else
        bytes_of(c, (const uint8_t *)at + first, step, x1 - x0, e, (uint8_t *)out);
}

static void put_picture(const maas_augment *a, const change *c, const char *picture, char *out)
{
    const size_t in_line = maas_dtype_size(a->from) * (size_t)(a->width * a->each);
    const size_t size = maas_dtype_size(a->to) * (size_t)a->each;
    for (int64_t p = 0; p < a->planes; p++, picture += (size_t)a->height * in_line)
        for (int64_t y = 0; y < a->height; y++, out += (size_t)a->width * size) {
            const int64_t sy = (c->mirror_y ? a->height - 1 - y : y) + c->dy;
            if (sy < 0 || sy >= a->height)
                memset(out, 0, (size_t)a->width * size);
            else
                put_line(a, c, picture + (size_t)sy * in_line, out);
            if (y >= c->y0 && y < c->y1)
                memset(out + (size_t)c->x0 * size, 0, (size_t)(c->x1 - c->x0) * size);
        }
}

void maas_augment_gather(const maas_augment *a, uint64_t seed, const maas_samples *s, int64_t from,
                         int64_t to, void *out)
{
    const size_t n = (size_t)(a->planes * a->height * a->width * a->each);
    const size_t in_bytes = n * maas_dtype_size(a->from), out_bytes = n * maas_dtype_size(a->to);
    for (int64_t i = from; i < to; i++) {
        const char *picture = (const char *)a->column->data + s->rows[i] * in_bytes;
        maas_rng r;
        change c;
        maas_rng_seed(&r, seed + (uint64_t)i);
        draw(a, &r, picture, &c);
        put_picture(a, &c, picture, (char *)out + (size_t)i * out_bytes);
    }
}
