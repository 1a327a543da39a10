/*
 * LoraAdd: the few products of a row with A, then that many rows of B. Threads have rows, or, when
 * there are fewer rows than threads, columns; the products with A are made by each of them then.
 *
 * A row is summed in the same order in any company and for any cut: LANES sums that are added at
 * the end, ranks in their order.
 */
#include "kernels/cpu/isa.h"
#include "ops/lora_add.h"

#include "base/mem.h"
#include "base/ban.h"

extern const maas_op maas_op_LoraAdd;

enum { LANES = 16, COLS = 64 };

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    return c->in[MAAS_LORA_A].dims[0] < 1 << 24;
}

/* Scratch: the products of one row, for each thread. */
static size_t room(const maas_call *c)
{
    return ((size_t)c->in[MAAS_LORA_A].dims[0] * sizeof(float) + 63) / 64 * 64;
}

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    c->scratch_bytes = room(c) * (size_t)c->n_threads;
    return MAAS_OK;
}

static float dot(const float *x, const float *a, int64_t k)
{
    float sum[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= k; i += LANES)
        for (int l = 0; l < LANES; l++)
            sum[l] += x[i + l] * a[i + l];
    for (int l = 0; i < k; i++, l++)
        sum[l] += x[i] * a[i];
    for (int half = LANES / 2; half; half /= 2)
        for (int l = 0; l < half; l++)
            sum[l] += sum[l + half];
    return sum[0];
}

/* Columns from .. from + cols - 1 (at most COLS) of the sum over ranks. */
static void columns(const float *t, int64_t ranks, const float *b, int64_t n, int cols, float *sum)
{
    memset(sum, 0, COLS * sizeof *sum);
    for (int64_t j = 0; j < ranks; j++, b += n) {
        if (cols == COLS)
            for (int i = 0; i < COLS; i++)
                sum[i] += t[j] * b[i];
        else
            for (int i = 0; i < cols; i++)
                sum[i] += t[j] * b[i];
    }
}

static void one_row(const maas_call *c, int64_t row, maas_lora_span s, float *t, int64_t from,
                    int64_t to)
{
    const int64_t n = c->in[MAAS_LORA_Y].dims[1], k = c->in[MAAS_LORA_X].dims[1];
    const float *x = (const float *)c->in[MAAS_LORA_X].data + row * k;
    const float *a = (const float *)c->in[MAAS_LORA_A].data + s.from * k;
    const float *b = (const float *)c->in[MAAS_LORA_B].data + s.from * n;
    const float *y = (const float *)c->in[MAAS_LORA_Y].data + row * n;
    float *out = (float *)c->out[0].data + row * n, sum[COLS];
    const float strength = ((const float *)c->in[MAAS_LORA_STRENGTH].data)[row];
    if (s.from == s.to) {
        memcpy(out + from, y + from, (size_t)(to - from) * sizeof *out);
        return;
    }
    for (int64_t j = 0; j < s.to - s.from; j++)
        t[j] = strength * dot(x, a + j * k, k);
    for (int64_t at = from; at < to; at += COLS) {
        const int cols = (int)(to - at < COLS ? to - at : COLS);
        columns(t, s.to - s.from, b + at, n, cols, sum);
        for (int i = 0; i < cols; i++)
            out[at + i] = y[at + i] + sum[i];
    }
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const int64_t rows = c->in[MAAS_LORA_Y].dims[0], n = c->in[MAAS_LORA_Y].dims[1];
    int64_t from = 0, to = n, first = 0, last = rows;
    if (rows < nthr)
        maas_share(n, COLS, ithr, nthr, &from, &to);
    else
        maas_share(rows, 1, ithr, nthr, &first, &last);
    float *t = (float *)(void *)((char *)c->scratch + room(c) * (size_t)ithr);
    for (int64_t r = first; r < last && from < to; r++) {
        maas_lora_span s;
        MAAS_TRY(maas_lora_of(c, r, &s, err));
        one_row(c, r, s, t, from, to);
    }
    return MAAS_OK;
}

const maas_kernel ISA(maas_kernels_lora_add)[] = {{.op = &maas_op_LoraAdd,
                                                   .name = "LoraAdd." ISA_TEXT,
                                                   .fits = fits,
                                                   .prepare = prepare,
                                                   .release = maas_free,
                                                   .run = run},
                                                  {0}};
