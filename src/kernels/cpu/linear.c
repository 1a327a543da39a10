/* LinearClassifier, LinearRegressor and Scaler of ai.onnx.ml over rows of f32. */
#include "ops/linear.h"

#include "base/mem.h"
#include "kernels/cpu/isa.h"
#include "base/ban.h"

extern const maas_op maas_op_LinearClassifier, maas_op_LinearRegressor, maas_op_Scaler;

static int64_t n_rows(const maas_tensor *x)
{
    return x->rank == 1 ? 1 : x->dims[0];
}

/* ---- products ---- */

static bool linear_fits(const maas_call *c, const maas_cpu *cpu)
{
    const maas_tensor *x = &c->in[0];
    maas_linear l;
    return x->dtype == MAAS_F32 &&
           maas_linear_of(c->node, x->dims[x->rank - 1], c->node->op == &maas_op_LinearClassifier,
                          &l, NULL) == MAAS_OK;
}

static maas_status linear_prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    maas_linear *l = maas_calloc(1, sizeof *l);
    if (!l)
        return maas_fail(err, MAAS_E_NOMEM, "preparing %s", c->node->op->name);
    maas_linear_of(c->node, x->dims[x->rank - 1], c->node->op == &maas_op_LinearClassifier, l,
                   NULL);
    c->scratch_bytes = (((size_t)l->n_label * sizeof(double) + 63) & ~(size_t)63) *
                       (size_t)c->n_threads;
    c->state = l;
    return MAAS_OK;
}

/* Long rows are summed in parts, whose sums are added in double. */
static double dot(const float *a, const float *b, int64_t n)
{
    double total = 0;
    for (int64_t from = 0; from < n; from += 512) {
        const int64_t end = n - from < 512 ? n : from + 512;
        vf sum = {0};
        int64_t i = from;
        for (; i + VW <= end; i += VW)
            sum += v_load(a + i) * v_load(b + i);
        if (i < end)
            sum += v_load_part(a + i, end - i, 0) * v_load_part(b + i, end - i, 0);
        total += (double)v_sum(sum);
    }
    return total;
}

static void put(const maas_call *c, const maas_linear *l, int64_t r, double *s)
{
    const int64_t best = maas_linear_finish(l, s);
    const bool classifier = c->node->op == &maas_op_LinearClassifier;
    const maas_tensor *y = classifier ? c->n_out > 1 ? &c->out[1] : NULL : &c->out[0];
    for (int64_t t = 0; y && y->dtype == MAAS_F32 && t < l->n_label; t++)
        ((float *)y->data)[r * l->n_label + t] = (float)s[t];
    if (!classifier)
        return;
    if (c->out[0].dtype == MAAS_STRING)
        ((maas_str *)c->out[0].data)[r] = l->words->u.strings[best];
    else if (c->out[0].dtype == MAAS_I64)
        ((int64_t *)c->out[0].data)[r] = l->ints->u.ints[best];
}

static maas_status linear_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_linear *l = c->state;
    const size_t each = ((size_t)l->n_label * sizeof(double) + 63) & ~(size_t)63;
    double *s = (double *)((char *)c->scratch + each * (size_t)ithr);
    int64_t from, to;
    maas_share(n_rows(&c->in[0]), 16, ithr, nthr, &from, &to);
    for (int64_t r = from; r < to; r++) {
        const float *x = (const float *)c->in[0].data + r * l->n_feature;
        for (int64_t t = 0; t < l->n_target; t++)
            s[t] = dot(x, l->w + t * l->n_feature, l->n_feature) +
                   (l->bias ? (double)l->bias[t] : 0);
        put(c, l, r, s);
    }
    return MAAS_OK;
}

/* ---- Scaler: (x - offset) * scale, a number for all or one for each feature ---- */

static bool scaler_fits(const maas_call *c, const maas_cpu *cpu)
{
    return c->in[0].dtype == MAAS_F32 && c->in[0].rank > 0;
}

INLINE vf number(const maas_attr *a, int64_t i, int64_t n, float otherwise)
{
    if (!a || a->n <= 1)
        return v_all(a && a->n ? a->u.floats[0] : otherwise);
    return n >= VW ? v_load(a->u.floats + i) : v_load_part(a->u.floats + i, n, otherwise);
}

static maas_status scaler_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    const maas_attr *offset = maas_node_attr(c->node, "offset");
    const maas_attr *scale = maas_node_attr(c->node, "scale");
    const int64_t n = x->dims[x->rank - 1], rows = maas_dims_product(x->dims, 0, x->rank - 1);
    int64_t from, to;
    maas_share(rows, 16, ithr, nthr, &from, &to);
    for (int64_t r = from; r < to; r++) {
        const float *xr = (const float *)x->data + r * n;
        float *y = (float *)c->out[0].data + r * n;
        for (int64_t i = 0; i < n; i += VW) {
            const int64_t left = n - i;
            const vf v = left >= VW ? v_load(xr + i) : v_load_part(xr + i, left, 0);
            const vf out = (v - number(offset, i, left, 0)) * number(scale, i, left, 1);
            if (left >= VW)
                v_store(y + i, out);
            else
                v_store_part(y + i, out, left);
        }
    }
    return MAAS_OK;
}

#define LINEAR(Name)                                                                               \
    {                                                                                              \
        .op = &maas_op_##Name, .name = #Name "." ISA_TEXT, .fits = linear_fits,                    \
        .prepare = linear_prepare, .release = maas_free, .run = linear_run                         \
    }
const maas_kernel ISA(maas_kernels_linear)[] = {
    LINEAR(LinearClassifier),
    LINEAR(LinearRegressor),
    {.op = &maas_op_Scaler, .name = "Scaler." ISA_TEXT, .fits = scaler_fits, .run = scaler_run},
    {0}};
