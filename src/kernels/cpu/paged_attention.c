/*
 * PagedAttention: the keys of a block of the cache are one vector for each element of a head, 16
 * tokens wide; rows that follow each other in a sequence, and the heads that share keys, go over a
 * block together while it is in the nearest cache, with an online softmax each.
 *
 * Every row and head sums in one order, block after block, whatever else is in the call.
 */
#include "kernels/cpu/isa.h"
#include "ops/paged_attention.h"

#include "base/mem.h"
#include "base/ban.h"

extern const maas_op maas_op_PagedAttention;

enum { PAGE = MAAS_PAGE, NV = PAGE / VW, TILE = 8, MAX_LOOKS = 512, CHAINS = 4 };

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    maas_paged p;
    return maas_paged_of(c, &p, NULL) == MAAS_OK && p.v_size % PAGE == 0 && p.v_size > 0 &&
           p.size > 0 && p.size <= 1024 && p.v_size <= 1024 && p.heads / p.kv_heads <= MAX_LOOKS;
}

/* ---- halves ---- */

INLINE vf half_load(const uint16_t *h)
{
#if defined(MAAS_ISA_AVX512)
    return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)h));
#elif defined(MAAS_ISA_AVX2)
    return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)h));
#elif defined(MAAS_ISA_NEON)
    return (vf)vcvt_f32_f16((float16x4_t)vld1_u16(h));
#else
    vf v;
    for (int i = 0; i < VW; i++)
        v[i] = maas_f16_to_f32(h[i]);
    return v;
#endif
}

INLINE uint16_t half_of(float x)
{
#if defined(MAAS_ISA_AVX512) || defined(MAAS_ISA_AVX2)
    return (uint16_t)_cvtss_sh(x, 0);
#elif defined(MAAS_ISA_NEON)
    const __fp16 half = (__fp16)x;
    uint16_t bits;
    memcpy(&bits, &half, sizeof bits);
    return bits;
#else
    return maas_f32_to_f16(x);
#endif
}

static void widen(const uint16_t *h, float *out, int64_t n) /* n: a multiple of PAGE */
{
    for (int64_t i = 0; i < n; i += VW)
        v_store(out + i, half_load(h + i));
}

/* ---- bytes: as many of a token as it has numbers, and what they are multiplied by ---- */

INLINE vf byte_load(const int8_t *b)
{
#if defined(MAAS_ISA_AVX512)
    return (vf)_mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)b)));
#elif defined(MAAS_ISA_AVX2)
    return (vf)_mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)b)));
#elif defined(MAAS_ISA_NEON)
    uint32_t four;
    memcpy(&four, b, sizeof four);
    const int16x4_t words = vget_low_s16(vmovl_s8((int8x8_t)vdup_n_u32(four)));
    return (vf)vcvtq_f32_s32(vmovl_s16(words));
#else
    vf v;
    for (int i = 0; i < VW; i++)
        v[i] = b[i];
    return v;
#endif
}

/* Tokens side by side: [n][PAGE], then their scales. */
static void widen_keys(const char *from, float *out, int64_t n)
{
    float scales[PAGE];
    memcpy(scales, from + n * PAGE, sizeof scales);
    for (int64_t i = 0; i < n * PAGE; i += PAGE)
        for (int v = 0; v < PAGE; v += VW)
            v_store(out + i + v, byte_load((const int8_t *)from + i + v) * v_load(scales + v));
}

/* [PAGE][n], n a multiple of PAGE, then the scales. */
static void widen_values(const char *from, float *out, int64_t n)
{
    float scales[PAGE];
    memcpy(scales, from + n * PAGE, sizeof scales);
    for (int64_t i = 0; i < n * PAGE; i += VW)
        v_store(out + i, byte_load((const int8_t *)from + i) * scales[i / n]);
}

/* Token t of a head whose bytes are n times PAGE; its numbers are `step` apart. */
static void narrow(char *head, const float *x, int64_t n, int64_t t, int64_t first, int64_t step)
{
    float scale;
    const float by = maas_page_scale(x, n, &scale);
    for (int64_t d = 0; d < n; d++)
        ((int8_t *)head)[first + d * step] = maas_page_byte(x[d], by);
    memcpy(head + n * PAGE + t * MAAS_PAGE_SCALE, &scale, sizeof scale);
}

/* ---- writing the cache ---- */

typedef struct job {
    const maas_paged *p;
    const int32_t *at, *seq, *table;
    const float *q, *k, *v;
    char *cache_k, *cache_v;
    float *y;
} job;

/* -1: the table has no block for the token. */
static int64_t block_of(const job *j, int64_t row, int64_t token)
{
    const maas_paged *p = j->p;
    const int64_t seq = j->seq[row];
    if (seq >= p->n_seqs || token < 0 || token / PAGE >= p->max_blocks)
        return -1;
    const int64_t block = j->table[seq * p->max_blocks + token / PAGE];
    return block < p->n_blocks ? block : -1;
}

static maas_status write_row(const job *j, int64_t row, maas_err *err)
{
    const maas_paged *p = j->p;
    const int64_t block = block_of(j, row, j->at[row]), t = j->at[row] % PAGE;
    if (block < 0)
        return maas_fail(err, MAAS_E_INVALID, "row %lld: token %d has no block in the table",
                         (long long)row, j->at[row]);
    for (int64_t h = 0; h < p->kv_heads; h++) {
        const float *k = j->k + (row * p->kv_heads + h) * p->size;
        const float *v = j->v + (row * p->kv_heads + h) * p->v_size;
        char *head_k = j->cache_k + (block * p->kv_heads + h) * p->k_bytes;
        char *head_v = j->cache_v + (block * p->kv_heads + h) * p->v_bytes;
        if (p->bytes) {
            narrow(head_k, k, p->size, t, t, PAGE);
            narrow(head_v, v, p->v_size, t, t * p->v_size, 1);
            continue;
        }
        uint16_t *to_k = (uint16_t *)(void *)head_k + t;
        uint16_t *to_v = (uint16_t *)(void *)head_v + t * p->v_size;
        for (int64_t d = 0; d < p->size; d++)
            to_k[d * PAGE] = half_of(k[d]);
        for (int64_t d = 0; d < p->v_size; d++)
            to_v[d] = half_of(v[d]);
    }
    return MAAS_OK;
}

/* ---- looking back: one head of one row ---- */

typedef struct look {
    const float *q;
    float *acc; /* [v_size] */
    float max, sum;
    int64_t first, last; /* tokens that it sees */
    float p[PAGE];
} look;

/* q . keys for CHAINS looks at once; elements in two sums, even and odd. */
INLINE void scores(const float *const *q, const float *keys, int64_t size, float scale,
                   float out[CHAINS][PAGE])
{
    vf sum[CHAINS][2][NV] = {{{{0}}}};
    int64_t d = 0;
    for (; d + 1 < size; d += 2)
        for (int e = 0; e < 2; e++)
            for (int v = 0; v < NV; v++) {
                const vf k = v_load(keys + (d + e) * PAGE + v * VW);
                for (int i = 0; i < CHAINS; i++)
                    sum[i][e][v] += q[i][d + e] * k;
            }
    for (int v = 0; v < NV; v++) {
        const vf k = d < size ? v_load(keys + d * PAGE + v * VW) : v_all(0);
        for (int i = 0; i < CHAINS; i++) {
            if (d < size)
                sum[i][0][v] += q[i][d] * k;
            v_store(out[i] + v * VW, (sum[i][0][v] + sum[i][1][v]) * scale);
        }
    }
}

/* The softmax goes on over 16 tokens more, the first of which is `token`; returns what the sums so
 * far shrink by. */
INLINE float weigh(look *l, int64_t token, float softcap)
{
    float max = l->max;
    for (int v = 0; softcap > 0 && v < NV; v++)
        v_store(l->p + v * VW, softcap * v_tanh(v_load(l->p + v * VW) / softcap));
    for (int t = 0; t < PAGE; t++) {
        if (token + t < l->first || token + t > l->last)
            l->p[t] = -INFINITY;
        max = l->p[t] > max ? l->p[t] : max;
    }
    const float shrink = l->max == max ? 1 : expf(l->max - max);
    vf sum = v_all(0);
    for (int v = 0; v < NV; v++) {
        const vf e = v_exp(v_load(l->p + v * VW) - max);
        v_store(l->p + v * VW, e);
        sum += e;
    }
    l->sum = l->sum * shrink + v_sum(sum);
    l->max = max;
    return shrink;
}

#define WIDTH 4 /* vectors of values at once */
INLINE void add_part(look *l, const float *values, int64_t v_size, float shrink, const int n)
{
    vf acc[WIDTH];
    for (int w = 0; w < n; w++)
        acc[w] = v_load(l->acc + w * VW) * shrink;
    for (int t = 0; t < PAGE; t++)
        for (int w = 0; w < n; w++)
            acc[w] += l->p[t] * v_load(values + t * v_size + w * VW);
    for (int w = 0; w < n; w++)
        v_store(l->acc + w * VW, acc[w]);
}

static void add_values(look *l, const float *values, int64_t v_size, float shrink)
{
    float *acc = l->acc;
    int64_t d = 0;
    for (; d + WIDTH * VW <= v_size; d += WIDTH * VW, l->acc += WIDTH * VW)
        add_part(l, values + d, v_size, shrink, WIDTH);
    for (; d < v_size; d += VW, l->acc += VW)
        add_part(l, values + d, v_size, shrink, 1);
    l->acc = acc;
}

/* ---- a tile: rows that follow each other in a sequence, the heads that share a head of keys ----
 */

typedef struct tile {
    int64_t row, n; /* of the call */
    int64_t head;   /* of keys */
    look looks[MAX_LOOKS];
    int n_looks;
    float *keys, *values; /* of a block, widened */
} tile;

static void begin(const job *j, tile *t, float *acc)
{
    const maas_paged *p = j->p;
    const int64_t group = p->heads / p->kv_heads;
    t->n_looks = 0;
    for (int64_t r = t->row; r < t->row + t->n; r++)
        for (int64_t g = 0; g < group; g++, acc += p->v_size) {
            const int64_t at = j->at[r], head = t->head * group + g;
            t->looks[t->n_looks++] = (look){
                .q = j->q + (r * p->heads + head) * p->size,
                .acc = acc,
                .max = p->sink ? p->sink[head] : -INFINITY,
                .sum = p->sink ? 1 : 0,
                .first = p->window && at >= p->window ? at - p->window + 1 : 0,
                .last = at};
            memset(acc, 0, (size_t)p->v_size * sizeof *acc);
        }
}

static void one_block(const job *j, tile *t, int64_t token)
{
    const maas_paged *p = j->p;
    look *seen[MAX_LOOKS + CHAINS];
    float s[CHAINS][PAGE];
    int n = 0;
    for (int i = 0; i < t->n_looks; i++)
        if (t->looks[i].first < token + PAGE && t->looks[i].last >= token)
            seen[n++] = &t->looks[i];
    for (int i = 0; i < n; i += CHAINS) {
        const float *q[CHAINS];
        for (int k = 0; k < CHAINS; k++)
            q[k] = seen[i + k < n ? i + k : i]->q;
        scores(q, t->keys, p->size, p->scale, s);
        for (int k = 0; k < CHAINS && i + k < n; k++) {
            look *l = seen[i + k];
            memcpy(l->p, s[k], sizeof l->p);
            add_values(l, t->values, p->v_size, weigh(l, token, p->softcap));
        }
    }
}

static maas_status run_tile(const job *j, tile *t, float *acc, maas_err *err)
{
    const maas_paged *p = j->p;
    const int64_t last = j->at[t->row + t->n - 1];
    begin(j, t, acc);
    for (int64_t token = t->looks[0].first / PAGE * PAGE; token <= last; token += PAGE) {
        const int64_t block = block_of(j, t->row, token);
        if (block < 0)
            return maas_fail(err, MAAS_E_INVALID, "row %lld: token %lld has no block in the table",
                             (long long)t->row, (long long)token);
        const char *k = j->cache_k + (block * p->kv_heads + t->head) * p->k_bytes;
        const char *v = j->cache_v + (block * p->kv_heads + t->head) * p->v_bytes;
        if (p->bytes) {
            widen_keys(k, t->keys, p->size);
            widen_values(v, t->values, p->v_size);
        } else {
            widen((const uint16_t *)(const void *)k, t->keys, p->size * PAGE);
            widen((const uint16_t *)(const void *)v, t->values, p->v_size * PAGE);
        }
        one_block(j, t, token);
    }
    const int64_t group = p->heads / p->kv_heads;
    for (int i = 0; i < t->n_looks; i++) {
        const look *l = &t->looks[i];
        const int64_t r = t->row + i / group, h = t->head * group + i % group;
        float *y = j->y + (r * p->heads + h) * p->v_size;
        for (int64_t d = 0; d < p->v_size; d += VW)
            v_store(y + d, v_load(l->acc + d) / l->sum);
    }
    return MAAS_OK;
}

static int64_t most_rows(const maas_paged *p)
{
    const int64_t n = MAX_LOOKS / (p->heads / p->kv_heads);
    return n < TILE ? n : TILE;
}

/* Rows from `row` on that are one tile: the next positions of the same sequence. */
static int64_t tile_rows(const job *j, int64_t row)
{
    const int64_t most = most_rows(j->p);
    int64_t n = 1;
    while (n < most && row + n < j->p->rows && j->seq[row + n] == j->seq[row] &&
           j->at[row + n] == j->at[row] + n)
        n++;
    return n;
}

/* ---- the row ---- */

static size_t floats_of(const maas_paged *p) /* scratch of a thread */
{
    const int64_t looks = most_rows(p) * (p->heads / p->kv_heads);
    return (size_t)(PAGE * (p->size + p->v_size) + looks * p->v_size) + 16;
}
static size_t scratch_of(const maas_paged *p)
{
    return (floats_of(p) * sizeof(float) + 63) / 64 * 64 + (sizeof(tile) + 63) / 64 * 64;
}

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    maas_paged p;
    MAAS_TRY(maas_paged_of(c, &p, err));
    c->scratch_bytes = scratch_of(&p) * (size_t)c->n_threads;
    return MAAS_OK;
}

static maas_status write_all(const job *j, int ithr, int nthr, maas_err *err)
{
    for (int64_t r = ithr; r < j->p->rows; r += nthr)
        if (j->seq[r] >= 0)
            MAAS_TRY(write_row(j, r, err));
    return MAAS_OK;
}

static maas_status read_all(const job *j, char *scratch, int ithr, int nthr, maas_err *err)
{
    const maas_paged *p = j->p;
    tile *t = (tile *)(void *)scratch;
    float *acc = (float *)(void *)(scratch + (sizeof *t + 63) / 64 * 64);
    t->keys = acc;
    t->values = t->keys + PAGE * p->size;
    acc = t->values + PAGE * p->v_size;
    int64_t unit = 0;
    for (int64_t r = 0; r < p->rows; r += t->n) {
        t->row = r;
        t->n = 1;
        if (j->seq[r] < 0) {
            if (ithr == 0)
                memset(j->y + r * p->heads * p->v_size, 0,
                       (size_t)(p->heads * p->v_size) * sizeof *j->y);
            continue;
        }
        t->n = tile_rows(j, r);
        for (t->head = 0; t->head < p->kv_heads; t->head++)
            if (unit++ % nthr == ithr)
                MAAS_TRY(run_tile(j, t, acc, err));
    }
    return MAAS_OK;
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    maas_paged p;
    MAAS_TRY(maas_paged_of(c, &p, err));
    const job j = {&p,
                   c->in[MAAS_PAGED_AT].data,
                   c->in[MAAS_PAGED_SEQ].data,
                   c->in[MAAS_PAGED_TABLE].data,
                   c->in[MAAS_PAGED_Q].data,
                   c->in[MAAS_PAGED_K].data,
                   c->in[MAAS_PAGED_V].data,
                   c->out[1].data,
                   c->out[2].data,
                   c->out[0].data};
    for (int k = 1; k <= 2; k++) /* the planner puts them in one place; tests do not */
        if (c->out[k].data != c->in[k].data && ithr == 0)
            memcpy(c->out[k].data, c->in[k].data, maas_tensor_bytes(&c->in[k]));
    if (c->out[1].data != c->in[1].data || c->out[2].data != c->in[2].data)
        maas_call_barrier();
    maas_status st = write_all(&j, ithr, nthr, err);
    maas_call_barrier();
    if (st != MAAS_OK)
        return st;
    return read_all(&j, (char *)c->scratch + scratch_of(&p) * (size_t)ithr, ithr, nthr, err);
}

const maas_kernel ISA(maas_kernels_paged_attention)[] = {{.op = &maas_op_PagedAttention,
                                                          .name = "PagedAttention." ISA_TEXT,
                                                          .flags = MAAS_KERNEL_BARRIER,
                                                          .fits = fits,
                                                          .prepare = prepare,
                                                          .release = maas_free,
                                                          .run = run},
                                                         {0}};
