/*
 * ImageDecoder - an encoded picture as bytes [height, width, channels]. The standard returns an
 * empty array for what cannot be decoded; here that is an error with words.
 */
#include "ops/image.h"

#include "ops/ops_int.h"

#include "base/ban.h"

enum { RGB, BGR, GREY };

static maas_status format_of(const maas_node *n, int *out, maas_err *err)
{
    static const char *const words[] = {"RGB", "BGR", "Grayscale"};
    const maas_str s = maas_attr_s(n, "pixel_format", "RGB");
    for (int i = 0; i < 3; i++)
        if (s.n == strlen(words[i]) && memcmp(s.p, words[i], s.n) == 0) {
            *out = i;
            return MAAS_OK;
        }
    return maas_fail(err, MAAS_E_INVALID, "pixel_format must be RGB, BGR or Grayscale");
}

static maas_status decoder_infer(maas_infer *q, maas_err *err)
{
    int format;
    MAAS_TRY(format_of(q->node, &format, err));
    if (q->in[0].rank >= 0 && q->in[0].rank != 1)
        return maas_fail(err, MAAS_E_INVALID, "encoded_stream has rank %d, not 1", q->in[0].rank);
    const int64_t dims[] = {MAAS_DIM_UNKNOWN, MAAS_DIM_UNKNOWN, format == GREY ? 1 : 3};
    maas_q_out(q, 0, MAAS_U8, 3, dims);
    return MAAS_OK;
}

static void swap_colours(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint8_t red = p[3 * i];
        p[3 * i] = p[3 * i + 2];
        p[3 * i + 2] = red;
    }
}

static maas_status pixels(const maas_call *c, int format, maas_err *err)
{
    const maas_span file = maas_span_of(c->in[0].data, maas_tensor_bytes(&c->in[0]));
    maas_image is;
    MAAS_TRY(maas_image_look(file, &is, err));
    const size_t n = (size_t)is.width * is.height;
    const int64_t dims[] = {is.height, is.width, format == GREY ? 1 : 3};
    MAAS_TRY(maas_ref_alloc(c, 0, 3, dims, err));
    uint8_t *y = c->out[0].data;
    if (format != GREY) {
        MAAS_TRY(maas_image_decode(file, &is, y, err));
        if (format == BGR)
            swap_colours(y, n);
        return MAAS_OK;
    }
    AUTO_FREE uint8_t *rgb = maas_alloc(n * 3);
    if (!rgb)
        return maas_fail(err, MAAS_E_NOMEM, "%u x %u pixels", is.width, is.height);
    MAAS_TRY(maas_image_decode(file, &is, rgb, err));
    for (size_t i = 0; i < n; i++)
        y[i] = maas_image_grey(rgb + 3 * i);
    return MAAS_OK;
}

/* Of an operator a picture is data: whatever is wrong with it, the data is. */
static maas_status decoder_reference(const maas_call *c, maas_err *err)
{
    maas_err why = {0};
    int format;
    MAAS_TRY(format_of(c->node, &format, err));
    const maas_status st = pixels(c, format, &why);
    const bool data = st == MAAS_E_FORMAT || st == MAAS_E_MEDIA || st == MAAS_E_TOO_LARGE;
    return st == MAAS_OK ? st
                         : maas_fail(err, data ? MAAS_E_INVALID : st, "ImageDecoder: %s", why.msg);
}

static void decoder_example(maas_example *e)
{
    static const char *const formats[] = {"RGB", "BGR", "Grayscale"};
    static const char files[][24] = {"P6 2 1 255\n\1\2\3\4\5\6", "P3 1 2 9 0 1 2 3 4 9",
                                     "P1 3 1 101"};
    static const size_t lengths[] = {17, 20, 10};
    const int k = e->variant;
    const int64_t dims[] = {(int64_t)lengths[k]};
    const maas_tensor t = maas_tensor_of(MAAS_U8, 1, dims,
                                         (void *)(uintptr_t)(const void *)files[k]);
    maas_b_attr1(e->b, "ImageDecoder", MAAS_A_STR("pixel_format", formats[k]),
                 maas_b_const(e->b, NULL, &t), MAAS_NO_VALUE);
}

static const maas_io_schema in[] = {MAAS_REQ("encoded_stream", NULL, MAAS_DT_BIT(MAAS_U8))};
static const maas_io_schema out[] = {MAAS_REQ("image", NULL, MAAS_DT_BIT(MAAS_U8))};
static const maas_attr_schema attrs[] = {{"pixel_format", MAAS_ATTR_STRING, false}};

const maas_op maas_op_ImageDecoder = {
    .domain = "",
    .name = "ImageDecoder",
    .since = 20,
    .flags = MAAS_OP_DYNAMIC,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 3,
    .infer = decoder_infer,
    .reference = decoder_reference,
    .flops = maas_flops_none,
    .example = decoder_example,
    .no_gradient = "a file is no function of values that could be followed",
};
