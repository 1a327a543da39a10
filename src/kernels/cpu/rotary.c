/*
 * RotaryEmbedding. Products of floats are exact in doubles, so that what is rounded is one sum: the
 * same bits as the operator's own code, on every processor.
 */
#include "kernels/cpu/isa.h"
#include "ops/rotary.h"

#include "base/ban.h"

extern const maas_op maas_op_RotaryEmbedding;

enum { X, COS, SIN, POSITION };

static bool has_positions(const maas_call *c)
{
    return c->n_in > POSITION && c->in[POSITION].dtype != MAAS_DT_NONE;
}

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    maas_rotary r;
    return c->in[X].dtype == MAAS_F32 && c->in[COS].dtype == MAAS_F32 &&
           c->in[SIN].dtype == MAAS_F32 &&
           maas_rotary_of(c->node, c->in[X].dims, c->in[X].rank, &r, NULL) == MAAS_OK;
}

/* Pair k is x[k * step] and x[k * step + apart]. */
INLINE void turn(const float *restrict x, const float *cosine, const float *sine, int64_t pairs,
                 int step, int64_t apart, float *restrict y)
{
    for (int64_t k = 0; k < pairs; k++) {
        const double a = (double)x[k * step], b = (double)x[k * step + apart];
        const double c = (double)cosine[k], s = (double)sine[k];
        y[k * step] = (float)(c * a - s * b);
        y[k * step + apart] = (float)(s * a + c * b);
    }
}

/* Row i's place in the tables. */
static maas_status place_of(const maas_call *c, int64_t i, int64_t *out, maas_err *err)
{
    *out = i;
    if (!has_positions(c))
        return MAAS_OK;
    const int64_t n = c->in[COS].dims[0], at = ((const int64_t *)c->in[POSITION].data)[i];
    if (at < -n || at >= n)
        return maas_fail(err, MAAS_E_INVALID, "position %lld of row %lld is outside %lld",
                         (long long)at, (long long)i, (long long)n);
    *out = at < 0 ? at + n : at;
    return MAAS_OK;
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    maas_rotary r;
    int64_t from, to;
    MAAS_TRY(maas_rotary_of(c->node, c->in[X].dims, c->in[X].rank, &r, err));
    maas_share(r.batch * r.len * r.heads, 1 + 256 / (r.size + 1), ithr, nthr, &from, &to);
    for (int64_t u = from; u < to; u++) {
        const int64_t i = u / r.heads, at = maas_rotary_at(&r, i, u % r.heads);
        const float *x = (const float *)c->in[X].data + at;
        float *y = (float *)c->out[0].data + at;
        int64_t row;
        MAAS_TRY(place_of(c, i, &row, err));
        const float *cosine = (const float *)c->in[COS].data + row * r.pairs;
        const float *sine = (const float *)c->in[SIN].data + row * r.pairs;
        if (r.interleaved)
            turn(x, cosine, sine, r.pairs, 2, 1, y);
        else
            turn(x, cosine, sine, r.pairs, 1, r.pairs, y);
        for (int64_t k = 2 * r.pairs; k < r.size; k++)
            y[k] = x[k];
    }
    return MAAS_OK;
}

const maas_kernel ISA(maas_kernels_rotary)[] = {
    {.op = &maas_op_RotaryEmbedding, .name = "RotaryEmbedding." ISA_TEXT, .fits = fits, .run = run},
    {0}};
