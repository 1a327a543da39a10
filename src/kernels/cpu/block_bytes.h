/*
 * kernels/cpu/block_bytes.h - what products of bytes with packed blocks (kernels/block_pack.h) have
 * in common: rows of X rounded to bytes, vectors of bytes, the scales of a tile.
 *
 * For sets with products of bytes and fused sums of floats (ISA_BYTE_PRODUCTS): block_x86.h and
 * block_neon.h have their instructions.
 */
#ifndef MAAS_KERNELS_CPU_BLOCK_BYTES_H
#define MAAS_KERNELS_CPU_BLOCK_BYTES_H

#include "base/mem.h"
#include "kernels/block_pack.h"
#include "kernels/cpu/isa.h"

#ifndef UNROLL
#define UNROLL _Pragma("GCC unroll 8")
#endif

typedef uint8_t vb __attribute__((vector_size(ISA_BYTES)));
typedef uint16_t vh __attribute__((vector_size(ISA_BYTES)));

INLINE vb b_load(const void *p)
{
    vb v;
    memcpy(&v, p, sizeof v);
    return v;
}

#if defined(MAAS_ISA_NEON)
#include "kernels/cpu/block_neon.h"
#else
#include "kernels/cpu/block_x86.h"
#endif

/* ---- X in bytes ---- */

/* Rows of X, rounded, in groups of 16 (the last one may be smaller): in a group of g rows, all rows
 * of the first 32 columns, then of the next. */
typedef struct bytes {
    int8_t *code;  /* [groups][k / 32][g][32]                          */
    float *d;      /* [groups][k / 32][g]: x = d * code                */
    float *sum;    /* [groups][k / 32][g]: d times the sum of 32       */
    int32_t *half; /* [groups][k / 32][g][2]: the sum of 16            */
    int8_t *room;  /* for a tile of W as bytes (block_amx.h), or NULL  */
    int64_t rows, k;
} bytes;

enum { GROUP = 16 };

static size_t line(size_t n)
{
    return (n + 63) / 64 * 64;
}
/* What lies behind the last group is read as if it had 16 rows (block_amx.h), hence a group more.
 */
static size_t bytes_of(int64_t rows, int64_t k)
{
    return line((size_t)(rows * k)) + 2 * line((size_t)(rows * (k / 32)) * sizeof(float)) +
           line((size_t)(rows * (k / 16)) * sizeof(int32_t)) + GROUP * MAAS_BLOCK_COLS;
}
static bytes bytes_at(char *p, int64_t rows, int64_t k)
{
    bytes b = {.code = (int8_t *)p, .rows = rows, .k = k};
    p += line((size_t)(rows * k));
    b.d = (float *)(void *)p;
    p += line((size_t)(rows * (k / 32)) * sizeof(float));
    b.sum = (float *)(void *)p;
    p += line((size_t)(rows * (k / 32)) * sizeof(float));
    b.half = (int32_t *)(void *)p;
    return b;
}

/* Where row r has its first 32 columns, in rows of 32; the next are `*step` further on. */
INLINE int64_t place_in(const bytes *b, int64_t r, int64_t *step)
{
    const int64_t group = r / GROUP * GROUP;
    *step = b->rows - group < GROUP ? b->rows - group : GROUP;
    return group * (b->k / 32) + r - group;
}

/* The largest magnitude of 32 numbers; NaN where one is not finite. */
INLINE float top_of(const float *x)
{
    vf top = {0};
    vi odd = {0};
    UNROLL for (int i = 0; i < MAAS_BLOCK_COLS; i += VW)
    {
        const vf v = v_load(x + i), none = v - v;
        odd |= none != none;
        top = v_max(top, v_abs(v));
    }
    return v_any(odd) ? NAN : v_greatest(top);
}

/* Every set gives the same bytes and scales. A block in which something is not finite makes what it
 * is multiplied with NaN; one too small for a quotient counts as zeros. */
static void round_row(const float *x, const bytes *b, int64_t r)
{
    int64_t step, at = place_in(b, r, &step);
    for (int64_t c = 0; c < b->k; c += 32, x += 32, at += step) {
        const float top = top_of(x), by = top >= 0x1p-100f ? 127 / top : 0;
        int32_t *half = b->half + 2 * at;
        half[0] = round_16(x, by, b->code + 32 * at);
        half[1] = round_16(x + 16, by, b->code + 32 * at + 16);
        b->d[at] = top / 127;
        b->sum[at] = b->d[at] * (float)(half[0] + half[1]);
    }
}

/* Rows from .. to of x [rows][k], each at its place in b. */
static void round_rows(const float *x, const bytes *b, int64_t from, int64_t to)
{
    for (int64_t r = from; r < to; r++)
        round_row(x + r * b->k, b, r);
}

/* ---- tiles ---- */

enum {
    TILE_VECS = MAAS_BLOCK_TILE / VW,  /* vectors across a tile            */
    MOST_ROWS = TILE_VECS == 2 ? 4 : 8 /* of X, that registers have room for */
};

/* What a loop over a tile knows when it is compiled: a form without its numbers. */
typedef struct shape {
    uint8_t low, high;
    bool values;
    uint8_t top; /* the largest number that is multiplied, its zero point included */
    maas_block_scales scales;
} shape;

typedef struct x_rows { /* some rows of a group of X at one block of 32 columns */
    const int8_t *code;
    const float *d, *sum;
    const int32_t *half;
    int64_t step; /* rows of the group */
} x_rows;

INLINE x_rows x_rows_at(const bytes *b, int64_t r)
{
    x_rows x;
    const int64_t at = place_in(b, r, &x.step);
    x.code = b->code + 32 * at;
    x.d = b->d + at;
    x.sum = b->sum + at;
    x.half = b->half + 2 * at;
    return x;
}
INLINE void next_block(x_rows *x)
{
    x->code += 32 * x->step;
    x->d += x->step;
    x->sum += x->step;
    x->half += 2 * x->step;
}

typedef struct target { /* columns of Y that a tile makes */
    float *y;
    const float *bias; /* NULL: none */
    int64_t row;       /* floats from a row of Y to the next */
    int64_t n;         /* 1 .. 16 */
} target;

/* All rows of b. */
typedef void tile_fn(const maas_block_form *f, const uint8_t *p, const bytes *b, target to);

/* Room that a thread needs: for a tile of W as bytes, where processors have use for it, and for a
 * packed one. */
INLINE size_t tile_bytes(int64_t k)
{
    return (size_t)k * MAAS_BLOCK_TILE;
}
INLINE size_t tile_room(int64_t k, size_t packed_bytes)
{
    return tile_bytes(k) + line(packed_bytes);
}

/* The loop for a type's tiles (block_matmul.c); NULL: it is not packed. */
tile_fn *ISA(maas_block_tile_of)(uint32_t type, const maas_cpu *cpu);

/* What a call of packed weights keeps: its maas_call.state. */
typedef struct packed {
    const maas_block_pack *pack;
    tile_fn *fn;
} packed;

static void packed_release(void *p) /* NULL is fine */
{
    packed *s = p;
    if (s)
        maas_block_pack_release((void *)(uintptr_t)s->pack);
    maas_free(s);
}

static maas_status packed_make(maas_call *c, const maas_block_w *w, const void *data,
                               const maas_cpu *cpu, maas_err *err)
{
    AUTO_FREE packed *s = maas_calloc(1, sizeof *s);
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "a product with blocks");
    MAAS_TRY(maas_block_pack_acquire(w, data, &s->pack, err));
    s->fn = ISA(maas_block_tile_of)(w->q->id, cpu);
    c->state = STEAL(s);
    return MAAS_OK;
}

INLINE vf floats(vi x)
{
    return __builtin_convertvector(x, vf);
}

/* A shift of bytes by n bits toward the top, or the bottom; what crosses bytes is masked away. */
INLINE vb shifted(vb x, const int n, const uint8_t mask)
{
    return (vb)(n >= 0 ? (vh)x << (n >= 0 ? n : 0) : (vh)x >> (n < 0 ? -n : 0)) & mask;
}

/* Codes of columns 4t .. 4t + 3 of rows from a vector's place in the tile on. */
INLINE vb codes(const shape f, const uint8_t *p, const int t)
{
    if (f.low == 8)
        return b_load(p + 64 * t);
    vb c = f.low == 4 ? shifted(b_load(p + 64 * (t / 2)), t % 2 ? -4 : 0, 15)
                      : shifted(b_load(p + 64 * (t / 4)), -2 * (t % 4), 3);
    const uint8_t *high = p + 64 * f.low;
    if (f.high == 1)
        c |= shifted(b_load(high), f.low - t, (uint8_t)(1 << f.low));
    if (f.high == 2)
        c |= shifted(b_load(high + 64 * (t / 4)), f.low - 2 * (t % 4), (uint8_t)(3 << f.low));
    return c;
}

#endif
