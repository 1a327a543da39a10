/*
 * Attention without a matrix of all scores.
 *
 *            queries (lanes) ->              Work is cut by batch row, head of keys, and block of
 *          +-----------------+               as many queries as a tile of the product has columns;
 *   keys   |  scores of a    |  KEYS rows    heads that share keys are queries of one block. The
 *    |     |  tile, then     |               queries are packed once, scaled. Then keys come by
 *    v     |  exp of them    |               tiles: scores, running maximum and sum of each query,
 *          +-----------------+               and values added up below. As queries lie along lanes,
 *   values |  sums of values |  v_size rows  nothing is ever summed across lanes, and neither keys
 *          +-----------------+               nor values are packed: products read them in place.
 */
#include "kernels/cpu/gemm_tile.h"

#include "ops/attention.h"
#include "base/ban.h"

extern const maas_op maas_op_Attention;

#define KEYS 128 /* of a tile: scores of 64 queries are 32 KiB */

typedef struct block {
    const maas_call *c;
    const maas_attn *a;
    int64_t b, kv_head, row, n; /* rows [row, row + n) of group heads x queries */
    int64_t nv, width;          /* vectors and lanes */
    float *q, *s, *bias, *sum;  /* [size][width], [KEYS][width] twice, [v_size][width] */
    float *max, *total, *fix;   /* [width] each */
    int32_t *from, *to;         /* [width]: the keys that a query may see */
    int64_t least, least_to, most_from, most; /* of all of them */
    bool begun;
} block;

/* ---- queries ---- */

static void place(const block *w, int64_t lane, int64_t *head, int64_t *i)
{
    const int64_t r = w->row + lane;
    *head = w->kv_head * (w->a->heads / w->a->kv_heads) + r / w->a->q_len;
    *i = r % w->a->q_len;
}

/* Rows become columns. */
INLINE void transpose(vf r[VW])
{
#if ISA_BYTES == 64
    const vi lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif ISA_BYTES == 32
    const vi lane = {0, 1, 2, 3, 4, 5, 6, 7};
#else
    const vi lane = {0, 1, 2, 3};
#endif
    UNROLL for (int w = 1; w < VW; w *= 2)
    {
        const vi odd = (lane & w) != 0;
        const vi low = (odd & (VW + lane - w)) | (~odd & lane);
        const vi high = (odd & (VW + lane)) | (~odd & (lane + w));
        UNROLL for (int i = 0; i < VW; i++)
        {
            if (i & w)
                continue;
            const vf a = r[i], b = r[i + w];
            r[i] = v_shuffle(a, b, low);
            r[i + w] = v_shuffle(a, b, high);
        }
    }
}

static void pack_queries(block *w)
{
    const maas_attn *a = w->a;
    const float scale = (float)a->scale, *from[TILE_N];
    for (int64_t lane = 0; lane < w->n; lane++) {
        int64_t head, i;
        place(w, lane, &head, &i);
        from[lane] = (const float *)w->c->in[MAAS_ATTN_Q].data + w->b * a->q.batch +
                     head * a->q.head + i * a->q.step;
    }
    for (int64_t at = 0; at < w->width; at += VW)
        for (int64_t d = 0; d < a->size; d += VW) {
            const int64_t left = a->size - d;
            vf r[VW];
            for (int k = 0; k < VW; k++)
                r[k] = at + k >= w->n ? (vf){0}
                       : left >= VW   ? v_load(from[at + k] + d)
                                      : v_load_part(from[at + k] + d, left, 0);
            transpose(r);
            for (int k = 0; k < VW && k < left; k++)
                v_store(w->q + (d + k) * w->width + at, r[k] * scale);
        }
}

static void find_ranges(block *w)
{
    w->least = w->least_to = INT32_MAX;
    w->most = w->most_from = 0;
    for (int64_t lane = 0; lane < w->width; lane++) {
        int64_t head, i, from = 0, to = 0;
        if (lane < w->n) {
            place(w, lane, &head, &i);
            maas_attn_range(w->a, w->b, i, &from, &to);
        }
        to = to < from ? from : to;
        w->from[lane] = (int32_t)from;
        w->to[lane] = (int32_t)to;
        if (lane >= w->n)
            continue;
        w->least = from < w->least ? from : w->least;
        w->most_from = from > w->most_from ? from : w->most_from;
        w->most = to > w->most ? to : w->most;
        w->least_to = to < w->least_to ? to : w->least_to;
    }
}

/* ---- a tile of scores ---- */

static void products(const block *w, const float *k, int64_t step, int64_t n)
{
    for (int64_t j = 0; j < n; j += TILE_M) {
        const int64_t rows = n - j < TILE_M ? n - j : TILE_M;
        tiles[w->nv - 1][rows - 1](w->a->size, k + j * step, step, 1, w->q, w->width,
                                   w->s + j * w->width, w->width, true);
    }
}

static float mask_at(const maas_tensor *m, int64_t at)
{
    if (m->dtype == MAAS_F32)
        return ((const float *)m->data)[at];
    return ((const uint8_t *)m->data)[at] ? 0 : -INFINITY;
}

/* One row of the bias: the same for all queries, or each its own. */
static bool mask_is_shared(const maas_attn *a)
{
    return a->mask_step[1] == 0 && a->mask_step[2] == 0;
}

static void read_mask(const block *w, int64_t j0, int64_t n)
{
    const maas_attn *a = w->a;
    for (int64_t lane = 0; lane < w->n; lane++) {
        int64_t head, i;
        place(w, lane, &head, &i);
        const int64_t at = w->b * a->mask_step[0] + head * a->mask_step[1] + i * a->mask_step[2] +
                           j0 * a->mask_step[3];
        for (int64_t j = 0; j < n; j++)
            w->bias[j * w->width + lane] = mask_at(a->mask, at + j * a->mask_step[3]);
    }
}

INLINE vf masked(vf s, vf bias)
{
    return v_pick(bias == -INFINITY, bias, s + bias);
}

/* What comes between products and softmax, for one row of scores: cap, mask, range. */
INLINE vf adjust(const block *w, vf s, int64_t j, int64_t j0, int64_t at, bool edge)
{
    const maas_attn *a = w->a;
    if (a->softcap > 0)
        s = (float)a->softcap * v_tanh(s * (float)(1 / a->softcap));
    if (a->mask && mask_is_shared(a))
        s = masked(s, v_all(mask_at(a->mask, w->b * a->mask_step[0] + j * a->mask_step[3])));
    else if (a->mask)
        s = masked(s, v_load(w->bias + (j - j0) * w->width + at));
    if (edge) {
        const vi from = *(const vi_any *)(w->from + at), to = *(const vi_any *)(w->to + at);
        s = v_pick((from <= (int32_t)j) & (to > (int32_t)j), s, v_all(-INFINITY));
    }
    return s;
}

/* Scores become exponentials; the maximum and the sum of each query go on. */
static void exponentials(block *w, int64_t j0, int64_t n, bool plain, bool edge)
{
    for (int64_t at = 0; at < w->width; at += VW) {
        float *s = w->s + at;
        vf max = v_load(w->max + at);
        const vf before = max;
        for (int64_t j = 0; j < n; j++) {
            vf v = v_load(s + j * w->width);
            if (!plain) {
                v = adjust(w, v, j0 + j, j0, at, edge);
                v_store(s + j * w->width, v);
            }
            max = v_max(v, max);
        }
        const vf shift = v_pick(max == -INFINITY, (vf){0}, max);
        const vf fix = v_exp(before - shift);
        vf sum = {0};
        for (int64_t j = 0; j < n; j++) {
            const vf e = v_exp(v_load(s + j * w->width) - shift);
            v_store(s + j * w->width, e);
            sum += e;
        }
        v_store(w->max + at, max);
        v_store(w->fix + at, fix);
        v_store(w->total + at, v_load(w->total + at) * fix + sum);
    }
}

static void add_values(block *w, const float *v, int64_t step, int64_t n)
{
    const int64_t size = w->a->v_size;
    for (int64_t d = 0; w->begun && d < size; d++)
        for (int64_t at = 0; at < w->width; at += VW) {
            float *sum = w->sum + d * w->width + at;
            v_store(sum, v_load(sum) * v_load(w->fix + at));
        }
    for (int64_t d = 0; d < size; d += TILE_M) {
        const int64_t rows = size - d < TILE_M ? size - d : TILE_M;
        tiles[w->nv - 1][rows - 1](n, v + d, 1, step, w->s, w->width, w->sum + d * w->width,
                                   w->width, !w->begun);
    }
    w->begun = true;
}

/* Keys [j0, j1) of all, which lie one `step` apart. */
static void one_tile(block *w, const float *k, int64_t k_step, const float *v, int64_t v_step,
                     int64_t j0, int64_t j1)
{
    const maas_attn *a = w->a;
    const bool edge = j0 < w->most_from || j1 > w->least_to;
    products(w, k, k_step, j1 - j0);
    if (a->mask && !mask_is_shared(a))
        read_mask(w, j0, j1 - j0);
    exponentials(w, j0, j1 - j0, !edge && !a->mask && a->softcap == 0, edge);
    add_values(w, v, v_step, j1 - j0);
}

static void segment(block *w, const float *k, int64_t k_step, const float *v, int64_t v_step,
                    int64_t first, int64_t end)
{
    const int64_t from = w->least > first ? w->least : first, to = w->most < end ? w->most : end;
    for (int64_t j = from; j < to; j += KEYS) {
        const int64_t stop = j + KEYS < to ? j + KEYS : to;
        one_tile(w, k + (j - first) * k_step, k_step, v + (j - first) * v_step, v_step, j, stop);
    }
}

static const float *head_of(const maas_tensor *t, const maas_attn_view *v, int64_t b, int64_t head)
{
    return (const float *)t->data + b * v->batch + head * v->head;
}

static void write_answers(const block *w)
{
    const maas_attn *a = w->a;
    float *to[TILE_N];
    for (int64_t lane = 0; lane < w->n; lane++) {
        int64_t head, i;
        place(w, lane, &head, &i);
        to[lane] = (float *)w->c->out[0].data + w->b * a->y.batch + head * a->y.head +
                   i * a->y.step;
    }
    for (int64_t at = 0; at < w->width; at += VW) {
        const vf total = v_load(w->total + at);
        const vi none = ~(total > 0); /* keys: nothing was seen */
        for (int64_t d = 0; d < a->v_size; d += VW) {
            const int64_t left = a->v_size - d;
            vf r[VW];
            for (int k = 0; k < VW; k++)
                r[k] = k < left && w->begun ? v_load(w->sum + (d + k) * w->width + at) / total
                                            : (vf){0};
            for (int k = 0; k < VW; k++)
                r[k] = v_pick(none, (vf){0}, r[k]);
            transpose(r);
            for (int k = 0; k < VW && at + k < w->n; k++)
                if (left >= VW)
                    v_store(to[at + k] + d, r[k]);
                else
                    v_store_part(to[at + k] + d, r[k], left);
        }
    }
}

static void run_block(block *w)
{
    const maas_attn *a = w->a;
    const maas_tensor *in = w->c->in;
    w->begun = false;
    for (int64_t lane = 0; lane < w->width; lane++) {
        w->max[lane] = -INFINITY;
        w->total[lane] = 0;
    }
    pack_queries(w);
    find_ranges(w);
    if (a->past) {
        const maas_attn_view k = {a->kv_heads * a->past * a->size, a->past * a->size, a->size};
        const maas_attn_view v = {a->kv_heads * a->past * a->v_size, a->past * a->v_size,
                                  a->v_size};
        segment(w, head_of(&in[MAAS_ATTN_PAST_K], &k, w->b, w->kv_head), k.step,
                head_of(&in[MAAS_ATTN_PAST_V], &v, w->b, w->kv_head), v.step, 0, a->past);
    }
    segment(w, head_of(&in[MAAS_ATTN_K], &a->k, w->b, w->kv_head), a->k.step,
            head_of(&in[MAAS_ATTN_V], &a->v, w->b, w->kv_head), a->v.step, a->past,
            a->past + a->kv_len);
    write_answers(w);
}

/* ---- the kernel ---- */

/* The new cache of heads of keys, shared by threads like the rest. */
static void put_cache(const maas_call *c, const maas_attn *a, int k, int ithr, int nthr)
{
    const bool value = k == 2;
    const int64_t size = value ? a->v_size : a->size;
    const maas_attn_view *view = value ? &a->v : &a->k;
    const int64_t total = a->past + a->kv_len;
    if (k >= c->n_out || c->out[k].dtype == MAAS_DT_NONE)
        return;
    for (int64_t bh = ithr; bh < a->batch * a->kv_heads; bh += nthr) {
        float *to = (float *)c->out[k].data + bh * total * size;
        if (a->past)
            memcpy(to,
                   (const float *)c->in[value ? MAAS_ATTN_PAST_V : MAAS_ATTN_PAST_K].data +
                       bh * a->past * size,
                   (size_t)(a->past * size) * sizeof *to);
        const float *from = head_of(&c->in[k], view, bh / a->kv_heads, bh % a->kv_heads);
        for (int64_t j = 0; j < a->kv_len; j++)
            memcpy(to + (a->past + j) * size, from + j * view->step, (size_t)size * sizeof *to);
    }
}

static size_t floats_of_thread(const maas_attn *a)
{
    return (size_t)(TILE_N * (a->size + 2 * KEYS + a->v_size + 6)) + 16;
}

static bool attention_fits(const maas_call *c, const maas_cpu *cpu)
{
    const maas_tensor *m = c->n_in > MAAS_ATTN_MASK ? &c->in[MAAS_ATTN_MASK] : NULL;
    if (c->in[0].dtype != MAAS_F32 || c->in[2].dtype != MAAS_F32)
        return false;
    if (c->n_out > 3 && c->out[3].dtype != MAAS_DT_NONE)
        return false;
    const maas_attn a = maas_attn_of(c);
    return a.past + a.kv_len < INT32_MAX / 2 && a.q_len < INT32_MAX / 2 &&
           (!m || m->dtype == MAAS_DT_NONE || m->dtype == MAAS_F32 || m->dtype == MAAS_BOOL);
}

static void attention_release(void *p)
{
}

static maas_status attention_prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    const maas_attn a = maas_attn_of(c);
    c->scratch_bytes = floats_of_thread(&a) * sizeof(float) * (size_t)c->n_threads;
    return MAAS_OK;
}

static block block_of(const maas_call *c, const maas_attn *a, float *room)
{
    block w = {.c = c, .a = a, .q = room};
    w.s = w.q + TILE_N * a->size;
    w.bias = w.s + TILE_N * KEYS;
    w.sum = w.bias + TILE_N * KEYS;
    w.max = w.sum + TILE_N * a->v_size;
    w.total = w.max + TILE_N;
    w.fix = w.total + TILE_N;
    w.from = (int32_t *)(w.fix + TILE_N);
    w.to = w.from + TILE_N;
    return w;
}

static maas_status attention_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_attn a = maas_attn_of(c);
    const int64_t rows = a.heads / a.kv_heads * a.q_len, blocks = (rows + TILE_N - 1) / TILE_N;
    block w = block_of(c, &a, (float *)c->scratch + floats_of_thread(&a) * (size_t)ithr);
    for (int64_t u = ithr; u < a.batch * a.kv_heads * blocks; u += nthr) {
        const int64_t k = u % blocks;
        w.b = u / blocks / a.kv_heads;
        w.kv_head = u / blocks % a.kv_heads;
        w.row = rows * k / blocks;
        w.n = rows * (k + 1) / blocks - w.row;
        w.nv = (w.n + VW - 1) / VW;
        w.width = w.nv * VW;
        run_block(&w);
    }
    put_cache(c, &a, 1, ithr, nthr);
    put_cache(c, &a, 2, ithr, nthr);
    return MAAS_OK;
}

const maas_kernel ISA(maas_kernels_attention)[] = {{.op = &maas_op_Attention,
                                                    .name = "Attention." ISA_TEXT,
                                                    .fits = attention_fits,
                                                    .prepare = attention_prepare,
                                                    .release = attention_release,
                                                    .run = attention_run},
                                                   {0}};
