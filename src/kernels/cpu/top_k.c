/*
 * TopK along the last axis: the k best so far are kept sorted; once there are k, whole vectors that
 * hold nothing better than the worst of them are passed over. A NaN counts as the largest. Data in
 * the wrong order cost k moves an element, so a large k is left to the heap of the reference code.
 */
#include "kernels/cpu/isa.h"

#include "base/ban.h"

extern const maas_op maas_op_TopK;

#define MAX_K 1024

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    const maas_tensor *x = &c->in[0], *k = &c->in[1];
    const int64_t axis = maas_attr_i(c->node, "axis", -1);
    return x->dtype == REAL_DTYPE && x->rank > 0 && (axis == -1 || axis == x->rank - 1) &&
           k->data && maas_tensor_get_i64(k, 0) > 0 && maas_tensor_get_i64(k, 0) <= MAX_K &&
           c->n_out > 1 && c->out[0].dtype != MAAS_DT_NONE && c->out[1].dtype != MAAS_DT_NONE;
}

/* `a` goes before `b` */
INLINE bool better(real a, real b, const bool largest)
{
    return largest ? a > b || (a != a && b == b) : a < b || (a == a && b != b);
}

/* Is none of the next 4 vectors better than `worst`? */
INLINE bool none_better(const real *x, real worst, const bool largest)
{
    vi any = {0};
    if (worst != worst) /* the worst of the largest: nothing is better; of the smallest: look */
        return largest;
    for (int j = 0; j < 4; j++) {
        const vf v = v_load(x + j * VW);
        any |= largest ? ~(v <= worst) : v < worst;
    }
    return !v_any(any);
}

INLINE void insert(const real *x, int64_t at, real *values, int64_t *places, int64_t n,
                   const bool largest)
{
    int64_t i = n;
    for (; i > 0 && better(x[at], values[i - 1], largest); i--) {
        values[i] = values[i - 1];
        places[i] = places[i - 1];
    }
    values[i] = x[at];
    places[i] = at;
}

INLINE void row(const real *x, int64_t n, real *values, int64_t *places, int64_t k,
                const bool largest)
{
    int64_t i = 0;
    for (; i < k; i++)
        insert(x, i, values, places, i, largest);
    while (i < n) {
        if (n - i >= 4 * VW && none_better(x + i, values[k - 1], largest)) {
            i += 4 * VW;
            continue;
        }
        const int64_t end = n - i >= 4 * VW ? i + 4 * VW : n;
        for (; i < end; i++)
            if (better(x[i], values[k - 1], largest))
                insert(x, i, values, places, k - 1, largest);
    }
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    const int64_t n = x->dims[x->rank - 1], rows = maas_dims_product(x->dims, 0, x->rank - 1);
    const int64_t k = c->out[0].dims[x->rank - 1];
    const bool largest = maas_attr_i(c->node, "largest", 1) != 0;
    int64_t from, to;
    maas_share(rows, 1 + 16 / k, ithr, nthr, &from, &to);
    for (int64_t r = from; r < to; r++) {
        const real *xr = (const real *)x->data + r * n;
        real *values = (real *)c->out[0].data + r * k;
        int64_t *places = (int64_t *)c->out[1].data + r * k;
        if (largest)
            row(xr, n, values, places, k, true);
        else
            row(xr, n, values, places, k, false);
    }
    return MAAS_OK;
}

const maas_kernel ISA(maas_kernels_top_k)[] = {
    {.op = &maas_op_TopK, .name = "TopK." ISA_TEXT, .fits = fits, .run = run}, {0}};
