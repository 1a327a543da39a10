/* formats/source.c - see source.h. zlib does the inflating, in pieces of at least 256 KiB. */
#include "formats/source.h"

#include <limits.h>
#include <zlib.h>

#include "base/mem.h"
#include "base/ban.h"

#define FIRST_BUFFER   ((size_t)256 << 10)
#define INFLATER_BYTES ((size_t)48 << 10) /* zlib's window and tables, rounded up */

static void *z_alloc(void *user, unsigned n, unsigned size)
{
    (void)user;
    return maas_calloc(n, size);
}

static void z_free(void *user, void *p)
{
    (void)user;
    maas_free(p);
}

maas_packing maas_source_packing(maas_span file)
{
    return file.n >= 2 && file.p[0] == 0x1f && file.p[1] == 0x8b ? MAAS_PACKING_GZIP
                                                                 : MAAS_PACKING_NONE;
}

static maas_status inflater_open(maas_source *s, maas_err *err)
{
    if (!maas_budget_take(s->budget, INFLATER_BYTES))
        return maas_fail(err, MAAS_E_NOMEM, "no memory left to unpack the file");
    z_stream *z = maas_calloc(1, sizeof *z);
    if (z) {
        z->zalloc = z_alloc;
        z->zfree = z_free;
        /* 16 asks zlib for the gzip wrapper, a negative size for none at all. */
        int bits = s->packing == MAAS_PACKING_GZIP ? 16 + MAX_WBITS : -MAX_WBITS;
        if (inflateInit2(z, bits) == Z_OK) {
            s->inflater = z;
            return MAAS_OK;
        }
    }
    maas_free(z);
    maas_budget_give(s->budget, INFLATER_BYTES);
    return maas_fail(err, MAAS_E_NOMEM, "no memory left to unpack the file");
}

maas_status maas_source_open(maas_source *s, maas_span file, maas_packing packing,
                             maas_budget *budget, maas_err *err)
{
    *s = (maas_source){
        .file = file, .packing = packing, .plain = packing == MAAS_PACKING_NONE, .budget = budget};
    return s->plain ? MAAS_OK : inflater_open(s, err);
}

void maas_source_close(maas_source *s)
{
    if (s->inflater) {
        inflateEnd(s->inflater);
        maas_free(s->inflater);
        maas_budget_give(s->budget, INFLATER_BYTES);
    }
    if (s->buf)
        maas_budget_give(s->budget, s->cap);
    maas_free(s->buf);
    *s = (maas_source){0};
}

maas_status maas_source_rewind(maas_source *s, maas_err *err)
{
    s->offset = 0;
    if (s->plain)
        return MAAS_OK;
    z_stream *z = s->inflater;
    if (inflateReset(z) != Z_OK)
        return maas_fail(err, MAAS_E_INTERNAL, "the unpacker could not start again");
    z->next_in = NULL;
    z->avail_in = 0;
    s->start = s->fill = 0;
    s->made = 0;
    s->crc = 0;
    s->ended = false;
    return MAAS_OK;
}

/* Room for `want` bytes from the start of the window, moved to the front of the buffer. */
static maas_status make_room(maas_source *s, size_t want, maas_err *err)
{
    if (s->start) {
        memmove(s->buf, s->buf + s->start, s->fill - s->start);
        s->fill -= s->start;
        s->start = 0;
    }
    if (want > MAAS_MAX_WINDOW)
        return maas_fail(err, MAAS_E_TOO_LARGE,
                         "%zu bytes of a compressed file are needed at once, at most %zu: send it "
                         "uncompressed",
                         want, MAAS_MAX_WINDOW);
    size_t cap = s->cap ? s->cap : FIRST_BUFFER;
    while (cap < want)
        cap *= 2;
    if (cap == s->cap)
        return MAAS_OK;
    if (!maas_budget_take(s->budget, cap - s->cap))
        return maas_fail(err, MAAS_E_NOMEM, "no memory left to unpack the file");
    uint8_t *p = maas_realloc(s->buf, cap);
    if (!p) {
        maas_budget_give(s->budget, cap - s->cap);
        return maas_fail(err, MAAS_E_NOMEM, "no memory left to unpack the file");
    }
    s->buf = p;
    s->cap = cap;
    return MAAS_OK;
}

static uint64_t n_consumed(const maas_source *s)
{
    const z_stream *z = s->inflater;
    return z->next_in ? (uint64_t)(z->next_in - s->file.p) : 0;
}

static maas_status check_bomb(const maas_source *s, maas_err *err)
{
    uint64_t limit = MAAS_UNPACK_FLOOR + MAAS_UNPACK_RATIO * n_consumed(s);
    if (s->made > limit || s->made > MAAS_MAX_UNPACKED)
        return maas_fail(err, MAAS_E_TOO_LARGE,
                         "the compressed file unpacks to more than %u times its size: send it "
                         "uncompressed",
                         (unsigned)MAAS_UNPACK_RATIO);
    return MAAS_OK;
}

/* After the end of a gzip member: another member, padding of zeros, or the end of the file. */
static maas_status next_member(maas_source *s, maas_err *err)
{
    z_stream *z = s->inflater;
    maas_span rest = maas_span_of(s->file.p + n_consumed(s), s->file.n - n_consumed(s));
    if (maas_source_packing(rest) == MAAS_PACKING_GZIP) {
        if (inflateReset(z) != Z_OK)
            return maas_fail(err, MAAS_E_INTERNAL, "the unpacker could not start again");
        return MAAS_OK;
    }
    for (size_t i = 0; i < rest.n; i++)
        if (rest.p[i])
            return maas_fail(err, MAAS_E_FORMAT,
                             "gzip: byte %llu: expected the end of the file, found other bytes",
                             (unsigned long long)(n_consumed(s) + i));
    s->ended = true;
    return MAAS_OK;
}

/* One call of inflate: appends to the buffer. */
static maas_status inflate_some(maas_source *s, maas_err *err)
{
    z_stream *z = s->inflater;
    if (!z->next_in)
        z->next_in = (Bytef *)(uintptr_t)s->file.p;
    size_t left = s->file.n - n_consumed(s);
    size_t room = s->cap - s->fill;
    z->avail_in = left > UINT_MAX ? UINT_MAX : (unsigned)left;
    z->next_out = s->buf + s->fill;
    z->avail_out = room > UINT_MAX ? UINT_MAX : (unsigned)room;
    unsigned given = z->avail_out;
    int rc = inflate(z, Z_NO_FLUSH);
    size_t n = given - z->avail_out;
    if (s->packing == MAAS_PACKING_DEFLATE)
        s->crc = (uint32_t)crc32_z(s->crc, s->buf + s->fill, n);
    s->fill += n;
    s->made += n;
    if (rc == Z_MEM_ERROR)
        return maas_fail(err, MAAS_E_NOMEM, "no memory left to unpack the file");
    if (rc == Z_BUF_ERROR || (rc == Z_OK && !n && z->avail_in == 0))
        return maas_fail(err, MAAS_E_FORMAT, "the compressed data ends early, at byte %llu",
                         (unsigned long long)n_consumed(s));
    if (rc != Z_OK && rc != Z_STREAM_END)
        return maas_fail(err, MAAS_E_FORMAT, "damaged compressed data near byte %llu",
                         (unsigned long long)n_consumed(s));
    MAAS_TRY(check_bomb(s, err));
    if (rc != Z_STREAM_END)
        return MAAS_OK;
    if (s->packing == MAAS_PACKING_GZIP)
        return next_member(s, err);
    s->ended = true;
    return MAAS_OK;
}

maas_status maas_source_window(maas_source *s, size_t want, maas_span *out, bool *last,
                               maas_err *err)
{
    if (s->plain) {
        *out = s->file;
        maas_span_skip(out, (size_t)s->offset);
        *last = true;
        return MAAS_OK;
    }
    if (s->fill - s->start < want && !s->ended) {
        MAAS_TRY(make_room(s, want, err));
        while (s->fill < s->cap && !s->ended)
            MAAS_TRY(inflate_some(s, err));
    }
    *out = maas_span_of(s->buf + s->start, s->fill - s->start);
    *last = s->ended;
    return MAAS_OK;
}

void maas_source_advance(maas_source *s, size_t n)
{
    MAAS_CHECK(s->plain ? n <= s->file.n - s->offset : n <= s->fill - s->start);
    s->offset += n;
    if (!s->plain)
        s->start += n;
}
