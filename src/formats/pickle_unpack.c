/*
 * formats/pickle_unpack.c - compressed joblib files: one row a method, chosen by the first bytes.
 *
 * Each method is a pump: it moves what it can from `in` to `out` and says when the stream ended.
 * The caller grows the buffer, up to a ratio of the file, under the budget. One level, one stream.
 */
#include <bzlib.h>
#include <lz4frame.h>
#include <lzma.h>
#include <zlib.h>

#include "base/mem.h"
#include "formats/pickle_int.h"
#include "base/ban.h"

#define FIRST_BUFFER  ((size_t)1 << 20)
#define DECODER_BYTES ((size_t)64 << 20) /* largest dictionary of xz -6 is 8 MiB; 9 has 64 */

typedef struct pump {
    const uint8_t *in;
    size_t n_in;
    uint8_t *out;
    size_t n_out; /* room */
    bool ended;
    union {
        z_stream z;
        bz_stream bz;
        lzma_stream xz;
        LZ4F_dctx *lz4;
    } u;
} pump;

typedef struct method {
    const char *name;
    uint8_t magic[6];
    uint8_t n_magic;
    bool (*open)(pump *p);
    bool (*run)(pump *p); /* false: the stream is broken */
    void (*close)(pump *p);
} method;

static unsigned part(size_t n)
{
    return n < (1u << 30) ? (unsigned)n : 1u << 30;
}

/* ---- zlib, gzip ---- */

static void *z_alloc(void *user, unsigned n, unsigned size)
{
    return maas_calloc(n, size);
}

static void z_free(void *user, void *p)
{
    maas_free(p);
}

static bool zlib_open(pump *p)
{
    p->u.z = (z_stream){.zalloc = z_alloc, .zfree = z_free};
    return inflateInit2(&p->u.z, 32 + MAX_WBITS) == Z_OK; /* 32: zlib or gzip, it looks */
}

static bool zlib_run(pump *p)
{
    z_stream *z = &p->u.z;
    z->next_in = (uint8_t *)(uintptr_t)p->in;
    z->avail_in = part(p->n_in);
    z->next_out = p->out;
    z->avail_out = part(p->n_out);
    const int st = inflate(z, Z_NO_FLUSH);
    p->n_in -= (size_t)(z->next_in - p->in);
    p->n_out -= (size_t)(z->next_out - p->out);
    p->in = z->next_in;
    p->out = z->next_out;
    p->ended = st == Z_STREAM_END;
    return st == Z_OK || st == Z_STREAM_END;
}

static void zlib_close(pump *p)
{
    inflateEnd(&p->u.z);
}

/* ---- bzip2 ---- */

static void *bz_alloc(void *user, int n, int size)
{
    return maas_calloc((size_t)n, (size_t)size);
}

static bool bz_open(pump *p)
{
    p->u.bz = (bz_stream){.bzalloc = bz_alloc, .bzfree = z_free};
    return BZ2_bzDecompressInit(&p->u.bz, 0, 0) == BZ_OK;
}

static bool bz_run(pump *p)
{
    bz_stream *z = &p->u.bz;
    z->next_in = (char *)(uintptr_t)p->in;
    z->avail_in = part(p->n_in);
    z->next_out = (char *)p->out;
    z->avail_out = part(p->n_out);
    const int st = BZ2_bzDecompress(z);
    const uint8_t *in = (const uint8_t *)z->next_in, *out = (const uint8_t *)z->next_out;
    p->n_in -= (size_t)(in - p->in);
    p->n_out -= (size_t)(out - p->out);
    p->in = in;
    p->out += out - p->out;
    p->ended = st == BZ_STREAM_END;
    return st == BZ_OK || st == BZ_STREAM_END;
}

static void bz_close(pump *p)
{
    BZ2_bzDecompressEnd(&p->u.bz);
}

/* ---- xz, lzma ---- */

static void *xz_alloc(void *user, size_t n, size_t size)
{
    return maas_calloc(n, size);
}

static const lzma_allocator xz_memory = {xz_alloc, z_free, NULL};

static bool xz_open(pump *p)
{
    p->u.xz = (lzma_stream)LZMA_STREAM_INIT;
    p->u.xz.allocator = &xz_memory;
    return lzma_auto_decoder(&p->u.xz, DECODER_BYTES, 0) == LZMA_OK;
}

static bool xz_run(pump *p)
{
    lzma_stream *z = &p->u.xz;
    z->next_in = p->in;
    z->avail_in = p->n_in;
    z->next_out = p->out;
    z->avail_out = p->n_out;
    const lzma_ret st = lzma_code(z, LZMA_RUN);
    p->in = z->next_in;
    p->n_in = z->avail_in;
    p->out = z->next_out;
    p->n_out = z->avail_out;
    p->ended = st == LZMA_STREAM_END;
    return st == LZMA_OK || st == LZMA_STREAM_END;
}

static void xz_close(pump *p)
{
    lzma_end(&p->u.xz);
}

/* ---- lz4 ---- */

static bool lz4_open(pump *p)
{
    return !LZ4F_isError(LZ4F_createDecompressionContext(&p->u.lz4, LZ4F_VERSION));
}

static bool lz4_run(pump *p)
{
    size_t n_in = p->n_in, n_out = p->n_out;
    const size_t st = LZ4F_decompress(p->u.lz4, p->out, &n_out, p->in, &n_in, NULL);
    p->in += n_in;
    p->n_in -= n_in;
    p->out += n_out;
    p->n_out -= n_out;
    p->ended = st == 0;
    return !LZ4F_isError(st);
}

static void lz4_close(pump *p)
{
    LZ4F_freeDecompressionContext(p->u.lz4);
}

/* zlib has no magic but its first byte, which begins nothing else we read. */
static const method methods[] = {
    {"gzip", {0x1f, 0x8b}, 2, zlib_open, zlib_run, zlib_close},
    {"bzip2", {'B', 'Z', 'h'}, 3, bz_open, bz_run, bz_close},
    {"xz", {0xfd, '7', 'z', 'X', 'Z', 0}, 6, xz_open, xz_run, xz_close},
    {"lz4", {0x04, 0x22, 0x4d, 0x18}, 4, lz4_open, lz4_run, lz4_close},
    {"lzma", {0x5d, 0x00, 0x00}, 3, xz_open, xz_run, xz_close},
    {"zlib", {0x78}, 1, zlib_open, zlib_run, zlib_close},
};

static const method *method_of(maas_span file)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (file.n > 6 && memcmp(file.p, methods[i].magic, methods[i].n_magic) == 0)
            return &methods[i];
    return NULL;
}

bool pk_is_packed(maas_span file)
{
    return method_of(file) != NULL;
}

/* ---- the buffer ---- */

typedef struct unpacked { /* in the arena; freed with it */
    uint8_t *p;
    size_t cap, n;
    maas_budget *budget;
} unpacked;

static void unpacked_free(void *arg)
{
    unpacked *u = arg;
    maas_free(u->p);
    maas_budget_give(u->budget, u->cap);
}

static bool resize(unpacked *u, size_t cap)
{
    if (cap > u->cap && !maas_budget_take(u->budget, cap - u->cap))
        return false;
    uint8_t *p = maas_realloc(u->p, cap);
    if (!p) {
        if (cap > u->cap)
            maas_budget_give(u->budget, cap - u->cap);
        return false;
    }
    if (cap < u->cap)
        maas_budget_give(u->budget, u->cap - cap);
    u->p = p;
    u->cap = cap;
    return true;
}

static maas_status grow(unpacked *u, size_t limit, const char *name, maas_err *err)
{
    if (u->cap >= limit)
        return maas_fail(err, MAAS_E_TOO_LARGE,
                         "%s: the file grows beyond %zu bytes, %d times its size", name, limit,
                         MAAS_MAX_UNPACK_RATIO);
    const size_t want = u->cap ? (u->cap > limit / 2 ? limit : u->cap * 2) : FIRST_BUFFER;
    return resize(u, want < limit ? want : limit)
               ? MAAS_OK
               : maas_fail(err, MAAS_E_NOMEM, "%s: no memory left to unpack the file", name);
}

static maas_status pump_all(const method *m, pump *p, unpacked *u, size_t limit, maas_err *err)
{
    while (!p->ended) {
        if (u->n == u->cap)
            MAAS_TRY(grow(u, limit, m->name, err));
        const size_t n_in = p->n_in;
        p->out = u->p + u->n;
        p->n_out = u->cap - u->n;
        const bool ok = m->run(p);
        const size_t made = u->cap - u->n - p->n_out;
        u->n += made;
        if (!ok || (!p->ended && !made && p->n_in == n_in))
            return maas_fail(err, MAAS_E_FORMAT, "%s: the file is %s after %zu unpacked bytes",
                             m->name, p->n_in ? "broken" : "cut short", u->n);
    }
    return p->n_in == 0
               ? MAAS_OK
               : maas_fail(err, MAAS_E_FORMAT, "%s: %zu bytes follow the end", m->name, p->n_in);
}

maas_status pk_unpack(maas_span file, maas_arena *arena, maas_span *out, maas_err *err)
{
    const method *m = method_of(file);
    size_t limit;
    if (__builtin_mul_overflow(file.n, (size_t)MAAS_MAX_UNPACK_RATIO, &limit))
        limit = SIZE_MAX;
    limit = limit > MAAS_MIN_UNPACK_LIMIT ? limit : MAAS_MIN_UNPACK_LIMIT;
    unpacked *u = maas_arena_alloc(arena, sizeof *u);
    if (!u || !maas_arena_defer(arena, unpacked_free, u))
        return maas_fail(err, MAAS_E_NOMEM, "%s: no memory left to unpack the file", m->name);
    u->budget = arena->budget;
    pump p = {.in = file.p, .n_in = file.n};
    if (!m->open(&p))
        return maas_fail(err, MAAS_E_NOMEM, "%s: no memory left to unpack the file", m->name);
    maas_status st = pump_all(m, &p, u, limit, err);
    m->close(&p);
    if (st == MAAS_OK && u->n && u->n < u->cap)
        resize(u, u->n); /* what is left over is given back; a failure changes nothing */
    *out = maas_span_of(u->p, u->n);
    return st;
}
