/*
 * A picture to the size of a model's input: resized with every pixel that is covered taking part,
 * as image libraries do, and cut or padded to the middle. Only what is seen is computed: rows of
 * the picture are put together first, then columns.
 */
#include "ops/image.h"

#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "ops/resize.h"
#include "base/ban.h"

/* One side: pixels [from, to) of the model's are pixels [from + at, ..) of the resized picture. */
typedef struct side {
    int64_t in, resized, at;
    uint32_t from, to;
    int taps;
    int32_t *first; /* [to - from] */
    float *weight;  /* [to - from][taps] */
} side;

bool maas_image_fit_ok(const maas_image_fit *f)
{
    return f->width >= 1 && f->height >= 1 && f->width <= MAAS_MAX_FIT_SIDE &&
           f->height <= MAAS_MAX_FIT_SIDE && f->shorter <= MAAS_MAX_FIT_SIDE &&
           (f->shorter || f->fitting != MAAS_FIT_CROP) && f->fitting <= MAAS_FIT_PAD &&
           f->colours <= MAAS_IMAGE_GREY && f->mode <= MAAS_RESIZE_CUBIC;
}

static int64_t at_least_one(double v)
{
    return v < 1 ? 1 : (int64_t)v;
}

/* What the picture is resized to, before anything is cut or added. */
static void resized_sides(const maas_image *is, const maas_image_fit *f, int64_t *h, int64_t *w)
{
    const double height = is->height, width = is->width;
    *h = f->height;
    *w = f->width;
    if (f->fitting == MAAS_FIT_CROP) {
        const double shorter = height < width ? height : width;
        *h = height == shorter ? f->shorter : at_least_one(f->shorter * height / shorter);
        *w = width == shorter ? f->shorter : at_least_one(f->shorter * width / shorter);
    } else if (f->fitting == MAAS_FIT_PAD) {
        const double scale = fmin(f->height / height, f->width / width);
        *h = at_least_one(floor(height * scale + 0.5));
        *w = at_least_one(floor(width * scale + 0.5));
    }
}

static side side_of(int64_t in, int64_t resized, uint32_t wanted)
{
    side s = {.in = in, .resized = resized, .to = wanted};
    const int64_t spare = resized - wanted;
    /* half to even, as the libraries that models were trained with round it */
    s.at = spare >= 0 ? (int64_t)nearbyint((double)spare / 2) : -((-spare) / 2);
    if (s.at < 0) {
        s.from = (uint32_t)-s.at;
        s.to = s.from + (uint32_t)resized;
    }
    return s;
}

static maas_status weights_of(const maas_resize *r, int axis, side *s, maas_err *err)
{
    const size_t n = s->to - s->from;
    s->taps = r->axis[axis].taps;
    s->first = maas_calloc(n, sizeof *s->first);
    s->weight = maas_calloc(n, (size_t)s->taps * sizeof *s->weight);
    if (!s->first || !s->weight)
        return maas_fail(err, MAAS_E_NOMEM, "resizing a picture");
    for (size_t i = 0; i < n; i++) {
        const maas_resize_at at = maas_resize_look(r, axis, (int64_t)(s->from + i) + s->at);
        s->first[i] = (int32_t)at.first;
        for (int k = 0; k < at.n; k++)
            s->weight[i * (size_t)s->taps + (size_t)k] = (float)maas_resize_weight(r, axis, &at, k);
    }
    return MAAS_OK;
}

static void side_reset(side *s)
{
    maas_free(s->first);
    maas_free(s->weight);
}

static size_t inside(const side *s, int64_t i)
{
    return (size_t)(i < 0 ? 0 : i >= s->in ? s->in - 1 : i);
}

/* One row of the result, all columns of the picture: sum [width][3]. */
static void put_rows(const uint8_t *rgb, const side *rows, size_t i, size_t width, float *sum)
{
    memset(sum, 0, width * 3 * sizeof *sum);
    for (int k = 0; k < rows->taps; k++) {
        const float w = rows->weight[i * (size_t)rows->taps + (size_t)k];
        const uint8_t *row = rgb + inside(rows, rows->first[i] + k) * width * 3;
        if (w == 0)
            continue;
        for (size_t j = 0; j < width * 3; j++)
            sum[j] += w * row[j];
    }
}

static uint8_t to_byte(float v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : lrintf(v));
}

static void put_columns(const float *sum, const side *cols, uint8_t *out)
{
    for (size_t j = 0; j < cols->to - cols->from; j++) {
        float rgb[3] = {0};
        for (int k = 0; k < cols->taps; k++) {
            const float w = cols->weight[j * (size_t)cols->taps + (size_t)k];
            const float *p = sum + 3 * inside(cols, cols->first[j] + k);
            for (int c = 0; c < 3; c++)
                rgb[c] += w * p[c];
        }
        for (size_t c = 0; c < 3; c++)
            out[3 * j + c] = to_byte(rgb[c]);
    }
}

/* A row of RGB as the model wants its colours. */
static void put_colours(const uint8_t *rgb, size_t n, int colours, uint8_t *out)
{
    for (size_t i = 0; i < n; i++, rgb += 3) {
        if (colours == MAAS_IMAGE_GREY)
            out[i] = maas_image_grey(rgb);
        else
            for (size_t c = 0; c < 3; c++)
                out[3 * i + c] = rgb[colours == MAAS_IMAGE_BGR ? 2 - c : c];
    }
}

static void fit_rows(const uint8_t *rgb, const maas_image *is, const maas_image_fit *f,
                     const side *rows, const side *cols, float *sum, uint8_t *row, uint8_t *out)
{
    const size_t each = f->colours == MAAS_IMAGE_GREY ? 1 : 3;
    memset(out, f->fill, maas_image_fit_bytes(f));
    for (size_t i = 0; i < rows->to - rows->from; i++) {
        put_rows(rgb, rows, i, is->width, sum);
        put_columns(sum, cols, row);
        put_colours(row, cols->to - cols->from, f->colours,
                    out + ((rows->from + i) * f->width + cols->from) * each);
    }
}

maas_status maas_image_fit_into(const uint8_t *rgb, const maas_image *is, const maas_image_fit *f,
                                uint8_t *out, maas_err *err)
{
    int64_t h, w;
    maas_resize r;
    MAAS_CHECK(maas_image_fit_ok(f));
    resized_sides(is, f, &h, &w);
    AUTO(side_reset) side rows = side_of(is->height, h, f->height);
    AUTO(side_reset) side cols = side_of(is->width, w, f->width);
    const int64_t in[] = {is->height, is->width}, to[] = {h, w};
    MAAS_TRY(maas_resize_picture((maas_resize_mode)f->mode, in, to, &r, err));
    MAAS_TRY(weights_of(&r, 0, &rows, err));
    MAAS_TRY(weights_of(&r, 1, &cols, err));
    AUTO_FREE float *sum = maas_calloc((size_t)is->width * 3, sizeof *sum);
    AUTO_FREE uint8_t *row = maas_calloc(f->width, 3);
    if (!sum || !row)
        return maas_fail(err, MAAS_E_NOMEM, "resizing a picture");
    fit_rows(rgb, is, f, &rows, &cols, sum, row, out);
    return MAAS_OK;
}
