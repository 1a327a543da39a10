/*
 * The body on its way in: counted, inflated when it is encoded, then kept (BUFFER) or handed on
 * (STREAM). The first failure is kept in r->err; the caller answers it.
 */
#include <strings.h>

#include "base/mem.h"
#include "base/num.h"
#include "http/http_int.h"
#include "base/ban.h"

voidpf http_zip_alloc(voidpf opaque, uInt n, uInt size)
{
    return maas_calloc(n, size);
}

void http_zip_free(voidpf opaque, voidpf p)
{
    maas_free(p);
}

static bool is_decimal(const char *s)
{
    return s[0] && strspn(s, "0123456789") == strlen(s) && strlen(s) < 19;
}

maas_status http_body_length(maas_req *r, maas_err *err)
{
    const char *length = r->known[HDR_CONTENT_LENGTH];
    const char *transfer = r->known[HDR_TRANSFER_ENCODING];
    r->content_length = 0;
    r->has_body = transfer || length;
    r->chunked = transfer != NULL;
    /* Two lengths are how requests are smuggled past a proxy (RFC 9112, 6.1). */
    uint32_t lengths = 1u << HDR_CONTENT_LENGTH | 1u << HDR_TRANSFER_ENCODING;
    if ((r->repeated & lengths) || (transfer && (length || strcasecmp(transfer, "chunked") != 0))) {
        r->reply.close = true;
        return maas_fail(err, MAAS_E_INVALID, "the body's length is stated in more than one way");
    }
    if (transfer) {
        r->content_length = UINT64_MAX;
    } else if (length) {
        int64_t n = 0;
        if (!is_decimal(length) || !maas_parse_i64(length, &n)) {
            r->reply.close = true;
            return maas_fail(err, MAAS_E_INVALID, "Content-Length is not a number");
        }
        r->content_length = (uint64_t)n;
    }
    r->has_body = r->content_length != 0;
    return MAAS_OK;
}

static maas_status read_encoding(maas_req *r, maas_err *err)
{
    const char *e = r->known[HDR_CONTENT_ENCODING];
    if (!e || strcasecmp(e, "identity") == 0)
        return MAAS_OK;
    if (strcasecmp(e, "gzip") != 0 && strcasecmp(e, "x-gzip") != 0 && strcasecmp(e, "deflate") != 0)
        return maas_fail(err, MAAS_E_MEDIA, "Content-Encoding must be gzip, deflate or identity");
    r->inflate = (z_stream){.zalloc = http_zip_alloc, .zfree = http_zip_free};
    if (inflateInit2(&r->inflate, 15 + 32) != Z_OK) /* 32: gzip or zlib, by their first bytes */
        return maas_fail(err, MAAS_E_NOMEM, "no memory to decode the body");
    r->inflating = true;
    return MAAS_OK;
}

/* false: the server's budget for bodies in memory is spent. */
static bool buffer_reserve(maas_req *r, size_t n_more)
{
    size_t want = r->body.n + n_more;
    if (want > r->charged) {
        if (!maas_budget_take(&r->conn->http->buffered, want - r->charged))
            return false;
        r->charged = want;
    }
    return maas_buf_reserve(&r->body, n_more);
}

static maas_status too_large(const maas_req *r, maas_err *err)
{
    if (r->max_body == 0)
        return maas_fail(err, MAAS_E_TOO_LARGE, "this request takes no body");
    return maas_fail(err, MAAS_E_TOO_LARGE, "the body is longer than %llu bytes",
                     (unsigned long long)r->max_body);
}

maas_status http_body_begin(maas_req *r, maas_err *err)
{
    uint64_t max = r->route->max_body;
    r->max_body = max == MAAS_BODY_SETTING ? r->conn->http->opts.max_body : max;
    r->body.max = r->max_body < SIZE_MAX / 2 ? (size_t)r->max_body + 1 : SIZE_MAX / 2;
    if (!r->has_body)
        return MAAS_OK;
    MAAS_TRY(read_encoding(r, err));
    if (!r->chunked && r->content_length > r->max_body)
        return too_large(r, err);
    if (r->route->body == MAAS_BODY_BUFFER && !r->chunked && !r->inflating &&
        !buffer_reserve(r, (size_t)r->content_length))
        return maas_fail(err, MAAS_E_NOMEM, "no memory for a body of %llu bytes",
                         (unsigned long long)r->content_length);
    return MAAS_OK;
}

uint64_t http_body_patience(const maas_req *r)
{
    if (!r->let_in)
        return HTTP_MAX_DISCARD_STRANGER;
    return r->max_body < UINT64_MAX - HTTP_MAX_DISCARD ? r->max_body + HTTP_MAX_DISCARD
                                                       : UINT64_MAX;
}

static maas_status take(maas_req *r, const void *p, size_t n, maas_err *err)
{
    if (n > r->max_body - r->n_body)
        return too_large(r, err);
    r->n_body += n;
    if (r->route->body == MAAS_BODY_STREAM)
        return r->route->on_body(r, maas_span_of(p, n), err);
    if (!buffer_reserve(r, n))
        return maas_fail(err, MAAS_E_NOMEM, "no memory for the body");
    maas_buf_add(&r->body, p, n);
    return MAAS_OK;
}

static maas_status take_encoded(maas_req *r, const void *p, size_t n, maas_err *err)
{
    z_stream *z = &r->inflate;
    uint8_t out[16384];
    z->next_in = (Bytef *)p;
    z->avail_in = (uInt)n;
    do {
        /* A gzip file may have several members, one after the other (RFC 1952, 2.2). */
        if (r->inflate_done && (!z->avail_in || inflateReset(z) != Z_OK))
            break;
        z->next_out = out;
        z->avail_out = sizeof out;
        int code = inflate(z, Z_NO_FLUSH);
        r->inflate_done = code == Z_STREAM_END;
        if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
            return maas_fail(err, MAAS_E_INVALID, "the encoded body is damaged");
        size_t got = sizeof out - z->avail_out;
        uint64_t wire = atomic_load_explicit(&r->n_wire, memory_order_relaxed);
        if (r->n_body + got > HTTP_FREE_INFLATE &&
            (r->n_body + got) / HTTP_MAX_INFLATE_RATIO > wire)
            return maas_fail(err, MAAS_E_TOO_LARGE,
                             "the body inflates to more than %d times its size",
                             HTTP_MAX_INFLATE_RATIO);
        if (got)
            MAAS_TRY(take(r, out, got, err));
    } while (z->avail_in || z->avail_out == 0);
    return MAAS_OK;
}

void http_body_piece(maas_req *r, const void *p, size_t n)
{
    maas_status st = r->inflating ? take_encoded(r, p, n, &r->err) : take(r, p, n, &r->err);
    if (st != MAAS_OK)
        maas_fail(&r->err, st, "%s", maas_status_describe(st)->text); /* if on_body left no words */
}

maas_status http_body_end(maas_req *r, maas_err *err)
{
    if (r->inflating && r->has_body && !r->inflate_done)
        return maas_fail(err, MAAS_E_INVALID, "the encoded body ends too early");
    return MAAS_OK;
}

void http_body_reset(maas_req *r)
{
    if (r->inflating)
        inflateEnd(&r->inflate);
    if (r->body.cap > HTTP_SMALL_BODY)
        maas_buf_reset(&r->body);
    else
        maas_buf_clear(&r->body);
    maas_budget_give(&r->conn->http->buffered, r->charged);
    r->charged = 0;
    r->n_body = 0;
    atomic_store_explicit(&r->n_wire, 0, memory_order_relaxed);
    r->inflating = r->inflate_done = r->chunked = r->discard = r->has_body = false;
}
