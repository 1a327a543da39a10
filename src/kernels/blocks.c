/*
 * ToBlocks and FromBlocks in f32: [C][places] against [C / b][places][b]. Memory-bound: tiles of b
 * channels by b places go through registers or L1, each line of memory is touched once.
 */
#include "kernels/kernel.h"

#include <string.h>

#include "base/ban.h"

extern const maas_op maas_op_ToBlocks, maas_op_FromBlocks;

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

const maas_kernel maas_kernels_blocks[] = {
    {.op = &maas_op_ToBlocks, .name = "ToBlocks.cpu", .fits = fits, .run = run},
    {.op = &maas_op_FromBlocks, .name = "FromBlocks.cpu", .fits = fits, .run = run},
    {0}};
