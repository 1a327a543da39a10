/*
 * BlockedRepeat; and ToBlocks and FromBlocks in f32: [C][places] against [C / b][places][b].
 * Memory-bound: tiles of b channels by b places go through registers or L1, each line of memory is
 * touched once.
 */
#include "kernels/kernel.h"

#include <string.h>

#include "base/ban.h"

extern const maas_op maas_op_ToBlocks, maas_op_FromBlocks, maas_op_BlockedRepeat,
    maas_op_DepthToSpace;

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    return c->in[0].dtype == MAAS_F32;
}

typedef struct job { /* one group of b channels of one picture */
    const float *from;
    float *to;
    int64_t n, b, places; /* n: channels that there are */
} job;

static void to_blocks(const job *j)
{
    for (int64_t p = 0; p < j->places; p += 16) {
        const int64_t end = p + 16 < j->places ? p + 16 : j->places;
        for (int64_t c = 0; c < j->b; c++)
            for (int64_t i = p; i < end; i++)
                j->to[i * j->b + c] = c < j->n ? j->from[c * j->places + i] : 0;
    }
}

static void from_blocks(const job *j)
{
    for (int64_t p = 0; p < j->places; p += 16) {
        const int64_t end = p + 16 < j->places ? p + 16 : j->places;
        for (int64_t c = 0; c < j->n; c++)
            for (int64_t i = p; i < end; i++)
                j->to[c * j->places + i] = j->from[i * j->b + c];
    }
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const bool to = c->node->op == &maas_op_ToBlocks;
    const maas_tensor *plain = to ? &c->in[0] : &c->out[0], *blocked = to ? &c->out[0] : &c->in[0];
    const int64_t b = blocked->dims[blocked->rank - 1], nb = blocked->dims[1], ch = plain->dims[1];
    const int64_t places = maas_dims_product(plain->dims, 2, plain->rank);
    const float *from = c->in[0].data;
    float *into = c->out[0].data;
    int64_t first, last;
    maas_share(plain->dims[0] * nb, 1, ithr, nthr, &first, &last);
    for (int64_t i = first; i < last; i++) {
        const int64_t k = i % nb * b, flat = (i / nb * ch + k) * places, at = i * places * b;
        const job j = {from + (to ? flat : at), into + (to ? at : flat), ch - k < b ? ch - k : b, b,
                       places};
        (to ? to_blocks : from_blocks)(&j);
    }
    return MAAS_OK;
}

/* ---- repeating: rows of places, each of `lanes` floats ---- */

static bool repeat_fits(const maas_call *c, const maas_cpu *cpu)
{
    return c->in[0].dtype == MAAS_F32 && c->in[0].rank == 5;
}

static void repeat_row(float *to, const float *from, int64_t n, int64_t times, int64_t lanes)
{
    for (int64_t i = 0; i < n; i++, from += lanes)
        for (int64_t k = 0; k < times; k++, to += lanes)
            memcpy(to, from, (size_t)lanes * sizeof *to);
}

static maas_status repeat_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    const int64_t *times = maas_attr_ints(c->node, "times", &(uint32_t){0}), lanes = x->dims[4];
    const int64_t from = x->dims[3] * lanes, to = y->dims[3] * lanes;
    int64_t first, last;
    maas_share(x->dims[0] * x->dims[1] * x->dims[2], 1, ithr, nthr, &first, &last);
    for (int64_t i = first; i < last; i++) {
        float *row = (float *)y->data + i * times[0] * to;
        repeat_row(row, (const float *)x->data + i * from, x->dims[3], times[1], lanes);
        for (int64_t k = 1; k < times[0]; k++)
            memcpy(row + k * to, row, (size_t)to * sizeof *row);
    }
    return MAAS_OK;
}

/* ---- DepthToSpace ---- */

static bool depth_fits(const maas_call *c, const maas_cpu *cpu)
{
    return c->in[0].dtype == MAAS_F32 && c->in[0].rank == 4;
}

/* Row h of output channel m is made of k rows of the input, one for each column of a square. */
static maas_status depth_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    const int64_t k = maas_attr_i(c->node, "blocksize", 1), m = y->dims[1], w = x->dims[3];
    const maas_str mode = maas_attr_s(c->node, "mode", "DCR");
    const bool crd = mode.n == 3 && mode.p[0] == 'C';
    const int64_t plane = x->dims[2] * w, rows = y->dims[0] * m * y->dims[2];
    int64_t first, last;
    maas_share(rows, 1, ithr, nthr, &first, &last);
    for (int64_t i = first; i < last; i++) {
        const int64_t h = i % y->dims[2], ch = i / y->dims[2] % m, n = i / y->dims[2] / m;
        float *to = (float *)y->data + i * y->dims[3];
        for (int64_t j = 0; j < k; j++) {
            const int64_t part = h % k * k + j, from = crd ? ch * k * k + part : part * m + ch;
            const float *at = (const float *)x->data + (n * x->dims[1] + from) * plane + h / k * w;
            for (int64_t p = 0; p < w; p++)
                to[p * k + j] = at[p];
        }
    }
    return MAAS_OK;
}

const maas_kernel maas_kernels_blocks[] = {
    {.op = &maas_op_ToBlocks, .name = "ToBlocks.cpu", .fits = fits, .run = run},
    {.op = &maas_op_FromBlocks, .name = "FromBlocks.cpu", .fits = fits, .run = run},
    {.op = &maas_op_BlockedRepeat,
     .name = "BlockedRepeat.cpu",
     .fits = repeat_fits,
     .run = repeat_run},
    {.op = &maas_op_DepthToSpace, .name = "DepthToSpace.cpu", .fits = depth_fits, .run = depth_run},
    {0}};
