/* formats/npy.c - see npy.h. The dictionary is read by a scanner of exactly that much Python. */
#include "formats/npy.h"

#include "base/num.h"
#include "formats/readers.h"
#include "base/ban.h"

#define MAGIC_BYTES 6
static const char magic[] = "\x93NUMPY";
#define MAX_TEXT_WIDTH ((int64_t)1 << 20) /* bytes of one string element */

static maas_status bad(maas_span whole, maas_span at, const char *expected, maas_err *err)
{
    return maas_fail(err, MAAS_E_FORMAT, "npy: byte %zu of the header: expected %s",
                     (size_t)(at.p - whole.p), expected);
}

static void skip_blanks(maas_span *s)
{
    while (s->n && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r'))
        maas_span_skip(s, 1);
}

static bool take_char(maas_span *s, char c)
{
    skip_blanks(s);
    return s->n && *s->p == (uint8_t)c && maas_span_skip(s, 1);
}

static bool take_word(maas_span *s, const char *word)
{
    skip_blanks(s);
    size_t n = strlen(word);
    return s->n >= n && !memcmp(s->p, word, n) && maas_span_skip(s, n);
}

/* 'text' or "text" without escapes. */
static bool take_quoted(maas_span *s, maas_span *out)
{
    skip_blanks(s);
    if (!s->n || (*s->p != '\'' && *s->p != '"'))
        return false;
    const uint8_t *end = memchr(s->p + 1, *s->p, s->n - 1);
    if (!end)
        return false;
    *out = maas_span_of(s->p + 1, (size_t)(end - s->p) - 1);
    return maas_span_skip(s, out->n + 2);
}

static bool take_shape(maas_span *s, maas_npy *h)
{
    if (!take_char(s, '('))
        return false;
    h->rank = 0;
    while (!take_char(s, ')')) {
        int64_t dim;
        if (h->rank == MAAS_MAX_RANK || !maas_num_i64(s, &dim) || dim < 0)
            return false;
        take_word(s, "L"); /* Python 2 wrote long integers so */
        h->dims[h->rank++] = dim;
        if (!take_char(s, ',')) {
            if (!take_char(s, ')'))
                return false;
            break;
        }
    }
    return true;
}

static maas_status text_descr(maas_span d, maas_npy *h, maas_err *err)
{
    maas_span digits = maas_span_of(d.p + 2, d.n - 2);
    int64_t width;
    if (!maas_num_i64(&digits, &width) || digits.n || width < 1 || width > MAX_TEXT_WIDTH / 4)
        return maas_fail(err, MAAS_E_FORMAT, "npy: '%.*s' is no width of text",
                         (int)(d.n < 32 ? d.n : 32), (const char *)d.p);
    h->dtype = MAAS_STRING;
    h->text = d.p[1] == 'U' ? MAAS_TEXT_UCS4 : MAAS_TEXT_BYTES;
    h->item = (size_t)width * (d.p[1] == 'U' ? 4 : 1);
    return MAAS_OK;
}

/* '<f4' and the like: byte order, kind, bytes. '=' cannot be in a file; numpy writes < or >. */
static maas_status set_descr(maas_span d, maas_npy *h, maas_err *err)
{
    int show = (int)(d.n < 32 ? d.n : 32);
    if (d.n >= 2 && (d.p[1] == 'O' || d.p[1] == 'V'))
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "npy: elements of type '%.*s' are Python objects or records; save a plain "
                         "array of numbers or text",
                         show, (const char *)d.p);
    if (d.n < 3 || !strchr("<>|", d.p[0]))
        return maas_fail(err, MAAS_E_FORMAT, "npy: '%.*s' is no element type", show,
                         (const char *)d.p);
    h->swap = d.p[0] == '>';
    if (d.p[1] == 'S' || d.p[1] == 'U')
        return text_descr(d, h, err);
    for (int t = 1; t < 32; t++) {
        const char *name = maas_dtype_describe((maas_dtype)t)->numpy;
        if (name && maas_span_is(maas_span_of(d.p + 1, d.n - 1), name + 1)) {
            h->dtype = (maas_dtype)t;
            h->item = maas_dtype_size(h->dtype);
            return MAAS_OK;
        }
    }
    return maas_fail(err, MAAS_E_UNSUPPORTED,
                     "npy: elements of type '%.*s': expected bool, int, uint, float or text", show,
                     (const char *)d.p);
}

enum { HAS_DESCR = 1, HAS_ORDER = 2, HAS_SHAPE = 4, HAS_ALL = 7 };

/* One `key: value` of the dictionary. */
static maas_status take_entry(maas_span whole, maas_span *s, maas_npy *h, int *has, maas_err *err)
{
    maas_span key, descr;
    if (!take_quoted(s, &key) || !take_char(s, ':'))
        return bad(whole, *s, "a quoted key and a colon", err);
    int bit = maas_span_is(key, "descr")           ? HAS_DESCR
              : maas_span_is(key, "fortran_order") ? HAS_ORDER
              : maas_span_is(key, "shape")         ? HAS_SHAPE
                                                   : 0;
    if (!bit || (*has & bit))
        return bad(whole, *s, "each of descr, fortran_order and shape once", err);
    *has |= bit;
    if (bit == HAS_SHAPE)
        return take_shape(s, h) ? MAAS_OK : bad(whole, *s, "a shape of at most 8 dimensions", err);
    if (bit == HAS_DESCR) {
        if (take_char(s, '['))
            return maas_fail(err, MAAS_E_UNSUPPORTED,
                             "npy: records are not supported; save one plain array a column");
        return take_quoted(s, &descr) ? set_descr(descr, h, err)
                                      : bad(whole, *s, "an element type", err);
    }
    h->fortran = take_word(s, "True");
    return h->fortran || take_word(s, "False") ? MAAS_OK : bad(whole, *s, "True or False", err);
}

static maas_status parse_dict(maas_span whole, maas_span s, maas_npy *h, maas_err *err)
{
    int has = 0;
    if (!take_char(&s, '{'))
        return bad(whole, s, "'{'", err);
    while (!take_char(&s, '}')) {
        MAAS_TRY(take_entry(whole, &s, h, &has, err));
        if (!take_char(&s, ',')) {
            if (!take_char(&s, '}'))
                return bad(whole, s, "',' or '}'", err);
            break;
        }
    }
    skip_blanks(&s);
    if (s.n || has != HAS_ALL)
        return bad(whole, s, "descr, fortran_order and shape, and nothing after them", err);
    return MAAS_OK;
}

maas_status maas_npy_header(maas_span head, maas_npy *out, maas_err *err)
{
    maas_span s = head, text;
    uint8_t major, minor;
    uint16_t short_len = 0;
    uint32_t len = 0;
    *out = (maas_npy){0};
    if (s.n < MAGIC_BYTES || memcmp(s.p, magic, MAGIC_BYTES) != 0)
        return maas_fail(err, MAAS_E_FORMAT, "npy: byte 0: expected \\x93NUMPY");
    maas_span_skip(&s, MAGIC_BYTES);
    if (!maas_span_u8(&s, &major) || !maas_span_u8(&s, &minor) || major < 1 || major > 3 || minor)
        return maas_fail(err, MAAS_E_FORMAT, "npy: byte 6: expected version 1.0, 2.0 or 3.0");
    bool read = major == 1 ? maas_span_u16le(&s, &short_len) : maas_span_u32le(&s, &len);
    if (major == 1)
        len = short_len;
    if (!read || len > MAAS_MAX_NPY_HEADER || !maas_span_take(&s, len, &text))
        return maas_fail(err, MAAS_E_FORMAT,
                         "npy: byte 8: the header of %u bytes is longer than the file or than %d",
                         len, MAAS_MAX_NPY_HEADER);
    out->header_bytes = (size_t)(s.p - head.p);
    return parse_dict(head, text, out, err);
}

maas_status maas_npy_put_header(maas_buf *out, maas_dtype t, int rank, const int64_t *dims,
                                maas_err *err)
{
    const maas_dtype_info *info = maas_dtype_describe(t);
    if (!info->numpy)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "npy: there is no NumPy type for %s", info->onnx);
    size_t start = out->n;
    maas_buf_add(out, magic, MAGIC_BYTES);
    maas_buf_add(out, "\1\0\0\0", 4);
    maas_buf_printf(out, "{'descr': '%s', 'fortran_order': False, 'shape': (", info->numpy);
    for (int i = 0; i < rank; i++)
        maas_buf_printf(out, i ? " %lld," : "%lld,", (long long)dims[i]);
    maas_buf_str(out, "), }");
    while ((out->n - start + 1) % 64 && !out->failed)
        maas_buf_char(out, ' ');
    maas_buf_char(out, '\n');
    if (out->failed)
        return maas_fail(err, MAAS_E_NOMEM, "no memory left for an array header");
    size_t len = out->n - start - MAGIC_BYTES - 4;
    out->p[start + 8] = (char)(len & 0xff);
    out->p[start + 9] = (char)(len >> 8);
    return MAAS_OK;
}

maas_status maas_npy_open(maas_source *src, maas_array *a, maas_err *err)
{
    maas_span w;
    bool last;
    maas_npy h;
    MAAS_TRY(maas_source_window(src, MAAS_MAX_NPY_HEADER + 12, &w, &last, err));
    MAAS_TRY(maas_npy_header(w, &h, err));
    if (!h.rank) /* a number alone is one row */
        h.dims[h.rank++] = 1;
    for (int i = 1; i < h.rank; i++)
        if (!h.dims[i])
            return maas_fail(err, MAAS_E_FORMAT, "npy: dimension %d is 0", i + 1);
    a->col.dtype = h.dtype;
    a->col.rank = h.rank - 1;
    memcpy(a->col.dims, h.dims + 1, sizeof a->col.dims - sizeof a->col.dims[0]);
    a->n_rows = h.dims[0];
    a->item = h.item;
    a->swap = h.swap && h.item > 1;
    a->fortran = h.fortran && h.rank > 1;
    a->text = h.text;
    if (a->fortran && a->text)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "npy: text in Fortran order is not supported");
    maas_source_advance(src, h.header_bytes);
    return MAAS_OK;
}

int maas_npy_probe(maas_span head, const char *file_name)
{
    (void)file_name;
    return head.n >= MAGIC_BYTES && !memcmp(head.p, magic, MAGIC_BYTES) ? 100 : 0;
}

maas_status maas_npy_read(maas_source *src, const maas_table_opts *o, const maas_table_sink *sink,
                          maas_err *err)
{
    maas_array a = {.col.name = o->column_name ? o->column_name : "x"};
    MAAS_TRY(maas_npy_open(src, &a, err));
    return maas_array_read_one(&a, src, o, sink, err);
}
