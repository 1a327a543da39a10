/*
 * Kernel values of SVMClassifier and SVMRegressor: a lane is a support vector, so that sums over
 * features stay in their lane. Vectors are laid out for that at plan time:
 *
 *   packed[block][feature][lane] = vectors[block * VW + lane][feature]
 *
 * Rows are cut into f32 first, as the operators say. Decisions are ops/svm.c's.
 */
#include "kernels/cpu/isa.h"

#include "base/mem.h"
#include "ops/svm.h"
#include "base/ban.h"

extern const maas_op maas_op_SVMClassifier, maas_op_SVMRegressor;

typedef struct state {
    maas_svm m;
    int64_t n_block;
    maas_post post;
    float *packed; /* NULL: the linear form, which has no vectors */
} state;

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    maas_svm m;
    const bool classifier = c->node->op == &maas_op_SVMClassifier;
    return (c->in[0].dtype == MAAS_F32 || c->in[0].dtype == MAAS_F64) &&
           maas_svm_of(c->node, classifier, &m, NULL) == MAAS_OK;
}

static void release(void *p)
{
    state *s = p;
    maas_free(s->packed);
    maas_free(s);
}

static void pack(state *s)
{
    const int64_t n = s->m.n_feature;
    for (int64_t v = 0; v < s->n_block * VW; v++)
        for (int64_t f = 0; f < n; f++)
            s->packed[(v / VW * n + f) * VW + v % VW] = v < s->m.n_vector ? s->m.vectors[v * n + f]
                                                                          : 0;
}

/* Scratch of a thread: a row, its kernel values, and the room of the decision behind them. */
static size_t row_floats(const state *s)
{
    return ((size_t)s->m.n_feature + 15) / 16 * 16;
}
static size_t value_floats(const state *s)
{
    return ((size_t)(s->n_block * VW) + 15) / 16 * 16;
}
static size_t scratch_of(const state *s)
{
    const size_t bytes = (row_floats(s) + value_floats(s)) * sizeof(float) +
                         (maas_svm_room(&s->m) + 1) * sizeof(double);
    return (bytes + 63) / 64 * 64;
}

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    state *s = maas_calloc(1, sizeof *s);
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "preparing %s", c->node->op->name);
    maas_svm_of(c->node, c->node->op == &maas_op_SVMClassifier, &s->m, NULL);
    s->n_block = (s->m.n_vector + VW - 1) / VW;
    s->post = maas_post_of(c->node);
    if (s->m.n_vector) {
        s->packed = maas_aligned(64, (size_t)(s->n_block * VW * s->m.n_feature) * sizeof(float));
        if (!s->packed) {
            release(s);
            return maas_fail(err, MAAS_E_NOMEM, "packing support vectors");
        }
        pack(s);
    }
    c->scratch_bytes = scratch_of(s) * (size_t)c->n_threads;
    c->state = s;
    return MAAS_OK;
}

INLINE vf block_sum(const float *x, const float *v, int64_t n, const bool distance)
{
    vf sum[2] = {{0}};
    int64_t f = 0;
    for (; f + 2 <= n; f += 2)
        for (int j = 0; j < 2; j++) {
            const vf a = v_all(x[f + j]), b = v_load(v + (f + j) * VW), d = a - b;
            sum[j] += distance ? d * d : a * b;
        }
    if (f < n) {
        const vf a = v_all(x[f]), b = v_load(v + f * VW), d = a - b;
        sum[0] += distance ? d * d : a * b;
    }
    return sum[0] + sum[1];
}

static vf power(vf x, float degree)
{
    if (degree == 2)
        return x * x;
    if (degree == 3)
        return x * x * x;
    for (int i = 0; i < VW; i++)
        x[i] = (float)pow((double)x[i], (double)degree);
    return x;
}

static void kernel_values(const state *s, const float *x, float *k)
{
    const maas_svm *m = &s->m;
    const int64_t n = m->n_feature;
    for (int64_t b = 0; b < s->n_block; b++) {
        const float *v = s->packed + b * n * VW;
        vf y;
        if (m->kernel == MAAS_SVM_RBF)
            y = v_exp(-m->gamma * block_sum(x, v, n, true));
        else
            y = block_sum(x, v, n, false);
        if (m->kernel == MAAS_SVM_POLY)
            y = power(m->gamma * y + m->coef0, m->degree);
        else if (m->kernel == MAAS_SVM_SIGMOID)
            y = v_tanh(m->gamma * y + m->coef0);
        v_store(k + b * VW, y);
    }
}

/* Row r as floats; the caller's own where they are. */
static const float *row_of(const maas_tensor *x, int64_t r, int64_t n, float *room)
{
    if (x->dtype == MAAS_F32)
        return (const float *)x->data + r * n;
    for (int64_t i = 0; i < n; i++)
        room[i] = (float)((const double *)x->data)[r * n + i];
    return room;
}

static void answer(const maas_call *c, const state *s, int64_t r, double *room)
{
    const maas_svm *m = &s->m;
    if (c->node->op == &maas_op_SVMRegressor) {
        ((float *)c->out[0].data)[r] = (float)(!m->one_class ? room[0] : room[0] > 0 ? 1 : -1);
        return;
    }
    const maas_tensor *labels = &c->out[0];
    float *y = c->n_out > 1 && c->out[1].dtype != MAAS_DT_NONE ? c->out[1].data : NULL;
    const int64_t best = maas_svm_finish(m, s->post, room, y ? y + r * m->n_score : NULL);
    if (labels->dtype == MAAS_STRING)
        ((maas_str *)labels->data)[r] = m->words->u.strings[best];
    else if (labels->dtype == MAAS_I64)
        ((int64_t *)labels->data)[r] = m->ints->u.ints[best];
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const state *s = c->state;
    const maas_tensor *x = &c->in[0];
    float *row = (float *)((char *)c->scratch + scratch_of(s) * (size_t)ithr);
    float *k = row + row_floats(s);
    double *room = (double *)(k + value_floats(s));
    int64_t from, to;
    maas_share(x->rank == 1 ? 1 : x->dims[0], 16, ithr, nthr, &from, &to);
    for (int64_t r = from; r < to; r++) {
        const float *xr = row_of(x, r, s->m.n_feature, row);
        if (s->packed)
            kernel_values(s, xr, k);
        maas_svm_decide(&s->m, s->packed ? k : xr, room);
        answer(c, s, r, room);
    }
    return MAAS_OK;
}

#define ROW(Name)                                                                                  \
    {                                                                                              \
        .op = &maas_op_##Name, .name = #Name "." ISA_TEXT, .fits = fits, .prepare = prepare,       \
        .release = release, .run = run                                                             \
    }
const maas_kernel ISA(maas_kernels_svm)[] = {ROW(SVMClassifier), ROW(SVMRegressor), {0}};
