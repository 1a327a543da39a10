#include "kernels/block_pack.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/shared_packs.h"
#include "base/ban.h"

#define INLINE static inline __attribute__((always_inline))

/* Values, zero point and unit of types that are made of parts come from their table
 * (tensor/quant.h), if codes are looked up. */
static const struct {
    uint32_t type;
    uint8_t low, high, zero;
    maas_block_scales scales;
} forms[] = {
    {MAAS_Q_Q4_0, 4, 0, 8, MAAS_BLOCK_D},     {MAAS_Q_Q4_1, 4, 0, 0, MAAS_BLOCK_DM},
    {MAAS_Q_Q5_0, 4, 1, 16, MAAS_BLOCK_D},    {MAAS_Q_Q5_1, 4, 1, 0, MAAS_BLOCK_DM},
    {MAAS_Q_Q8_0, 8, 0, 128, MAAS_BLOCK_D},   {MAAS_Q_Q2_K, 2, 0, 0, MAAS_BLOCK_K2},
    {MAAS_Q_Q3_K, 2, 1, 4, MAAS_BLOCK_K6},    {MAAS_Q_Q4_K, 4, 0, 0, MAAS_BLOCK_K4},
    {MAAS_Q_Q5_K, 4, 1, 0, MAAS_BLOCK_K4},    {MAAS_Q_Q6_K, 4, 2, 32, MAAS_BLOCK_K6},
    {MAAS_Q_IQ1_S, 2, 1, 0, MAAS_BLOCK_K6},   {MAAS_Q_IQ1_M, 2, 1, 0, MAAS_BLOCK_K6},
    {MAAS_Q_IQ2_XXS, 2, 1, 0, MAAS_BLOCK_K6}, {MAAS_Q_IQ2_XS, 2, 1, 0, MAAS_BLOCK_K6},
    {MAAS_Q_IQ2_S, 2, 1, 0, MAAS_BLOCK_K6},   {MAAS_Q_IQ3_XXS, 4, 0, 0, MAAS_BLOCK_K6},
    {MAAS_Q_IQ3_S, 4, 0, 0, MAAS_BLOCK_K6},   {MAAS_Q_IQ4_NL, 4, 0, 0, MAAS_BLOCK_D},
    {MAAS_Q_IQ4_XS, 4, 0, 0, MAAS_BLOCK_K6},  {MAAS_Q_TQ1_0, 2, 0, 1, MAAS_BLOCK_D},
    {MAAS_Q_TQ2_0, 2, 0, 1, MAAS_BLOCK_D},    {MAAS_Q_MXFP4, 4, 0, 0, MAAS_BLOCK_E8},
};

static void look_up(const maas_quant_parts *p, maas_block_form *f)
{
    const int n = 1 << (f->low + f->high);
    int least = 0, most = 0;
    for (int i = 0; i < n; i++) {
        least = p->values[i] < least ? p->values[i] : least;
        most = p->values[i] > most ? p->values[i] : most;
    }
    f->values = p->values;
    f->zero = (uint8_t)-least;
    f->top = (uint8_t)(most - least);
}

bool maas_block_form_of(uint32_t type, maas_block_form *out)
{
    const maas_quant_parts *parts = maas_quant_parts_of(type);
    for (size_t i = 0; i < MAAS_COUNT(forms); i++)
        if (forms[i].type == type) {
            *out = (maas_block_form){.type = type,
                                     .low = forms[i].low,
                                     .high = forms[i].high,
                                     .zero = forms[i].zero,
                                     .scales = forms[i].scales,
                                     .top = (uint8_t)((1 << (forms[i].low + forms[i].high)) - 1),
                                     .unit = parts ? parts->unit : 1};
            if (parts && parts->values)
                look_up(parts, out);
            return true;
        }
    return false;
}

/* ---- codes of 32 columns of a row ---- */

enum { WORDS = MAAS_BLOCK_COLS / 4 };

/* Codes are taken apart and put together four at a time: word t has those of columns 4t to 4t + 3,
 * a byte each. Shifts go over the bytes' ends; what comes in from a neighbour is masked away. */
typedef struct part {
    uint32_t code[WORDS];
    uint16_t d, m; /* halves: of these columns, or of a block of 256 */
    uint8_t scale[2], min[2];
} part;

#define EACH(bits) (0x01010101u * (bits)) /* the same in all four */

INLINE uint32_t four(const uint8_t *p)
{
    uint32_t w;
    memcpy(&w, p, sizeof w);
    return w;
}

INLINE void put_four(uint8_t *p, uint32_t w)
{
    memcpy(p, &w, sizeof w);
}

INLINE void halves(const uint8_t *b, uint32_t *code) /* 16 bytes: low halves first */
{
    for (int t = 0; t < 4; t++) {
        code[t] = four(b + 4 * t) & EACH(15);
        code[t + 4] = four(b + 4 * t) >> 4 & EACH(15);
    }
}

/* Four bits of a byte, from `shift` on, one for each of four codes: bit i goes to byte i. */
INLINE uint32_t spread(uint8_t bits, int shift)
{
    return (bits >> shift & 15u) * 0x00204081u & EACH(1);
}

INLINE void fifths(const uint8_t *b, uint32_t *code)
{
    for (int t = 0; t < WORDS; t++)
        code[t] |= spread(b[t / 2], t % 2 * 4) << 4;
}

INLINE void scales_in_front(const uint8_t *b, bool with_m, part *out)
{
    memcpy(&out->d, b, 2);
    if (with_m)
        memcpy(&out->m, b + 2, 2);
}

INLINE void q4_0(const uint8_t *b, int k, part *out)
{
    scales_in_front(b, false, out);
    halves(b + 2, out->code);
}
INLINE void q4_1(const uint8_t *b, int k, part *out)
{
    scales_in_front(b, true, out);
    halves(b + 4, out->code);
}
INLINE void q5_0(const uint8_t *b, int k, part *out)
{
    scales_in_front(b, false, out);
    halves(b + 6, out->code);
    fifths(b + 2, out->code);
}
INLINE void q5_1(const uint8_t *b, int k, part *out)
{
    scales_in_front(b, true, out);
    halves(b + 8, out->code);
    fifths(b + 4, out->code);
}
INLINE void q8_0(const uint8_t *b, int k, part *out)
{
    scales_in_front(b, false, out);
    for (int t = 0; t < WORDS; t++)
        out->code[t] = four(b + 2 + 4 * t) ^ EACH(128);
}
INLINE void q2_k(const uint8_t *b, int k, part *out)
{
    scales_in_front(b + 80, true, out);
    for (int g = 0; g < 2; g++) {
        out->scale[g] = b[2 * k + g] & 15;
        out->min[g] = b[2 * k + g] >> 4;
    }
    for (int t = 0; t < WORDS; t++)
        out->code[t] = four(b + 16 + k / 4 * 32 + 4 * t) >> k % 4 * 2 & EACH(3);
}
INLINE void q4_k(const uint8_t *b, int k, part *out)
{
    scales_in_front(b, true, out);
    maas_quant_k4(b + 4, k, &out->scale[0], &out->min[0]);
    for (int t = 0; t < WORDS; t++)
        out->code[t] = four(b + 16 + k / 2 * 32 + 4 * t) >> k % 2 * 4 & EACH(15);
}
INLINE void q5_k(const uint8_t *b, int k, part *out)
{
    scales_in_front(b, true, out);
    maas_quant_k4(b + 4, k, &out->scale[0], &out->min[0]);
    for (int t = 0; t < WORDS; t++)
        out->code[t] = (four(b + 48 + k / 2 * 32 + 4 * t) >> k % 2 * 4 & EACH(15)) |
                       (four(b + 16 + 4 * t) >> k & EACH(1)) << 4;
}
INLINE void q6_k(const uint8_t *b, int k, part *out)
{
    const int half = k / 4, j = k % 4;
    scales_in_front(b + 208, false, out);
    memcpy(out->scale, b + 192 + 2 * k, 2);
    for (int t = 0; t < WORDS; t++)
        out->code[t] = (four(b + half * 64 + j % 2 * 32 + 4 * t) >> j / 2 * 4 & EACH(15)) |
                       (four(b + 128 + half * 32 + 4 * t) >> j * 2 & EACH(3)) << 4;
}

/* Those of row r are next to each other in every vector. */
INLINE void put_codes(const maas_block_form *f, const uint32_t *code, int r, uint8_t *to)
{
    uint8_t *high = to + (size_t)f->low * 64 + 4 * r;
    to += 4 * r;
    for (int t = 0; f->low == 2 && t < WORDS; t++)
        put_four(to + 64 * (t / 4), four(to + 64 * (t / 4)) | (code[t] & EACH(3)) << t % 4 * 2);
    for (int t = 0; f->low == 8 && t < WORDS; t++)
        put_four(to + 64 * t, code[t]);
    for (int g = 0; f->low == 4 && g < 4; g++)
        put_four(to + 64 * g, (code[2 * g] & EACH(15)) | (code[2 * g + 1] & EACH(15)) << 4);
    for (int t = 0; f->high == 1 && t < WORDS; t++)
        put_four(high, four(high) | (code[t] >> f->low & EACH(1)) << t);
    for (int t = 0; f->high == 2 && t < WORDS; t++)
        put_four(high + 64 * (t / 4), four(high + 64 * (t / 4)) | (code[t] >> f->low & EACH(3))
                                                                      << t % 4 * 2);
}

INLINE void put_scales(const maas_block_form *f, const part *x, int r, uint8_t *scales)
{
    switch (f->scales) {
    case MAAS_BLOCK_DM:
        memcpy(scales + 32 + 2 * r, &x->m, 2);
        /* fall through */
    case MAAS_BLOCK_D:
        memcpy(scales + 2 * r, &x->d, 2);
        break;
    case MAAS_BLOCK_E8:
        scales[r] = x->scale[0];
        break;
    case MAAS_BLOCK_K4:
        scales[r] = x->scale[0];
        scales[16 + r] = x->min[0];
        break;
    case MAAS_BLOCK_K2:
        scales[32 + r] = x->min[0];
        scales[48 + r] = x->min[1];
        /* fall through */
    case MAAS_BLOCK_K6:
        scales[r] = x->scale[0];
        scales[16 + r] = x->scale[1];
    }
}

INLINE void put_head(const maas_block_form *f, const part *x, int r, uint8_t *head)
{
    if (maas_block_head_bytes(f))
        memcpy(head + 2 * r, &x->d, 2);
    if (maas_block_head_bytes(f) == 64)
        memcpy(head + 32 + 2 * r, &x->m, 2);
}

/* ---- tiles ---- */

typedef struct source { /* how a block of the file comes apart */
    maas_block_form form;
    const maas_quant_parts *parts; /* NULL: a function of its own */
    uint8_t code_of[256];          /* of a signed value of `parts` */
} source;

static void source_of(uint32_t type, source *s)
{
    *s = (source){.parts = maas_quant_parts_of(type)};
    maas_block_form_of(type, &s->form);
    for (int i = -128; i < 128; i++)
        s->code_of[(uint8_t)i] = (uint8_t)(i + s->form.zero);
    const int n_values = 1 << (s->form.low + s->form.high);
    for (int i = n_values - 1; s->form.values && i >= 0; i--)
        s->code_of[(uint8_t)s->form.values[i]] = (uint8_t)i;
}

static void of_parts(const source *s, const uint8_t *b, int k, part *out)
{
    maas_quant_part x;
    s->parts->part(b, k, &x);
    uint8_t code[MAAS_BLOCK_COLS];
    for (int i = 0; i < MAAS_BLOCK_COLS; i++)
        code[i] = s->code_of[(uint8_t)x.value[i]];
    memcpy(out->code, code, sizeof code);
    memcpy(out->scale, x.scale, sizeof out->scale);
    if (s->form.scales == MAAS_BLOCK_E8)
        out->scale[0] = (uint8_t)(ilogbf(x.d) + 128);
    else
        out->d = maas_f32_to_f16(x.d);
}

typedef void take_fn(const uint8_t *b, int k, part *out);

/* `rows` rows of the matrix from `w` on. take NULL: of_parts. Rows take turns, so that what they
 * write stays in the nearest cache. */
INLINE void pack_as(take_fn *take, const maas_block_form *f, const source *s, const maas_block_w *w,
                    const uint8_t *from, int rows, uint8_t *tile)
{
    const int each = (int)(w->q->block / MAAS_BLOCK_COLS); /* 1, or 8 of a block of 256 */
    const size_t head = maas_block_head_bytes(f), bytes = maas_block_part_bytes(f);
    for (int64_t b = 0; b < w->k / w->q->block; b++, from += w->q->block_bytes) {
        uint8_t *const heads = tile;
        tile += head;
        for (int k = 0; k < each; k++, tile += bytes)
            for (int r = 0; r < rows; r++) {
                const uint8_t *block = from + (size_t)r * w->row_bytes;
                part x = {{0}, 0, 0, {0}, {0}};
                if (take)
                    take(block, k, &x);
                else
                    of_parts(s, block, k, &x);
                if (k == 0)
                    put_head(f, &x, r, heads);
                put_codes(f, x.code, r, tile);
                put_scales(f, &x, r, tile + (size_t)(f->low + f->high) * 64);
            }
    }
}

#define PACK(name, low_, high_, scales_)                                                           \
    static void pack_##name(const source *s, const maas_block_w *w, const uint8_t *from, int rows, \
                            uint8_t *tile)                                                         \
    {                                                                                              \
        const maas_block_form f = {.low = low_, .high = high_, .scales = scales_};                 \
        pack_as(name, &f, s, w, from, rows, tile);                                                 \
    }
PACK(q4_0, 4, 0, MAAS_BLOCK_D)
PACK(q4_1, 4, 0, MAAS_BLOCK_DM)
PACK(q5_0, 4, 1, MAAS_BLOCK_D)
PACK(q5_1, 4, 1, MAAS_BLOCK_DM)
PACK(q8_0, 8, 0, MAAS_BLOCK_D)
PACK(q2_k, 2, 0, MAAS_BLOCK_K2)
PACK(q4_k, 4, 0, MAAS_BLOCK_K4)
PACK(q5_k, 4, 1, MAAS_BLOCK_K4)
PACK(q6_k, 4, 2, MAAS_BLOCK_K6)

static void pack_any(const source *s, const maas_block_w *w, const uint8_t *from, int rows,
                     uint8_t *tile)
{
    pack_as(NULL, &s->form, s, w, from, rows, tile);
}

static const struct {
    uint32_t type;
    void (*pack)(const source *s, const maas_block_w *w, const uint8_t *from, int rows,
                 uint8_t *tile);
} ways[] = {{MAAS_Q_Q4_0, pack_q4_0}, {MAAS_Q_Q4_1, pack_q4_1}, {MAAS_Q_Q5_0, pack_q5_0},
            {MAAS_Q_Q5_1, pack_q5_1}, {MAAS_Q_Q8_0, pack_q8_0}, {MAAS_Q_Q2_K, pack_q2_k},
            {MAAS_Q_Q4_K, pack_q4_k}, {MAAS_Q_Q5_K, pack_q5_k}, {MAAS_Q_Q6_K, pack_q6_k}};

/* ---- packs ---- */

typedef struct entry {
    maas_block_pack pack; /* first: a pack is its entry */
    maas_block_w w;
    const uint8_t *data;
    source source;
} entry;

typedef struct block_key {
    const maas_block_w *w;
    const void *data;
} block_key;

static bool is_of(const void *pack, const void *key)
{
    const entry *e = pack;
    const block_key *k = key;
    return e->data == k->data && e->pack.n == k->w->n && e->pack.k == k->w->k &&
           e->pack.form.type == k->w->q->id;
}

static void destroy(void *pack)
{
    entry *e = pack;
    maas_free(e->pack.data);
    maas_free(e->pack.state);
    maas_free(e);
}

size_t maas_block_tile_bytes(const maas_block_w *w)
{
    maas_block_form f;
    if (!maas_block_form_of(w->q->id, &f))
        return 0;
    return (size_t)(w->k / w->q->block) *
           (maas_block_head_bytes(&f) + w->q->block / MAAS_BLOCK_COLS * maas_block_part_bytes(&f));
}

static maas_status make(entry *e, maas_err *err)
{
    maas_block_pack *p = &e->pack;
    const maas_block_w *w = &e->w;
    const int64_t tiles = (w->n + MAAS_BLOCK_TILE - 1) / MAAS_BLOCK_TILE;
    source_of(w->q->id, &e->source);
    p->form = e->source.form;
    p->n = w->n;
    p->k = w->k;
    p->tile_bytes = maas_block_tile_bytes(w);
    p->state = maas_calloc((size_t)tiles, sizeof *p->state);
    p->data = maas_alloc_huge((size_t)tiles * p->tile_bytes + 64);
    if (!p->data || !p->state)
        return maas_fail(err, MAAS_E_NOMEM, "packing %lld x %lld weights", (long long)w->n,
                         (long long)w->k);
    return MAAS_OK;
}

static maas_status create(const void *key, void **pack, maas_err *err)
{
    const block_key *k = key;
    entry *e = maas_calloc(1, sizeof *e);
    if (!e)
        return maas_fail(err, MAAS_E_NOMEM, "packing weights");
    e->data = k->data;
    e->w = *k->w;
    const maas_status st = make(e, err);
    if (st == MAAS_OK)
        *pack = e;
    else
        destroy(e);
    return st;
}

static const uint8_t *pack_tile(const entry *e, int64_t tile, uint8_t *to)
{
    const int64_t row = tile * MAAS_BLOCK_TILE, left = e->w.n - row;
    size_t way = 0;
    while (way < MAAS_COUNT(ways) && ways[way].type != e->w.q->id)
        way++;
    memset(to, 0, e->pack.tile_bytes);
    (way < MAAS_COUNT(ways) ? ways[way].pack
                            : pack_any)(&e->source, &e->w, e->data + (size_t)row * e->w.row_bytes,
                                        (int)(left < MAAS_BLOCK_TILE ? left : MAAS_BLOCK_TILE), to);
    return to;
}

static bool goes(_Atomic uint8_t *state, uint8_t from, uint8_t to)
{
    return atomic_compare_exchange_strong_explicit(state, &from, to, memory_order_relaxed,
                                                   memory_order_relaxed);
}

/* Who finds a tile busy does not wait. */
const uint8_t *maas_block_pack_make(const maas_block_pack *p, int64_t tile, uint8_t *room)
{
    const entry *e = (const entry *)p;
    _Atomic uint8_t *state = &p->state[tile];
    if (goes(state, MAAS_BLOCK_NEW, MAAS_BLOCK_SEEN) ||
        !goes(state, MAAS_BLOCK_SEEN, MAAS_BLOCK_BUSY))
        return pack_tile(e, tile, room);
    const uint8_t *kept = pack_tile(e, tile, p->data + (size_t)tile * p->tile_bytes);
    atomic_store_explicit(state, MAAS_BLOCK_READY, memory_order_release);
    return kept;
}

static maas_shared_packs packs = {is_of, create, destroy, PTHREAD_MUTEX_INITIALIZER, NULL};

maas_status maas_block_pack_acquire(const maas_block_w *w, const void *data,
                                    const maas_block_pack **out, maas_err *err)
{
    void *pack = NULL;
    MAAS_TRY(maas_shared_packs_acquire(&packs, &(block_key){w, data}, &pack, err));
    *out = pack;
    return MAAS_OK;
}

void maas_block_pack_release(void *pack)
{
    maas_shared_packs_release(&packs, pack);
}
