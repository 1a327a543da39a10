/*
 * Sums and extremes over any axes. Neighbours that go, and neighbours that stay, are one axis each;
 * then the input is read once, front to back: a last axis that goes becomes one number that is
 * combined into its result, one that stays is combined into a row of results. Threads share the
 * longest axis that stays.
 */
#include "kernels/cpu/isa.h"

#include "base/mem.h"
#include "base/ban.h"

extern const maas_op maas_op_ReduceSum, maas_op_ReduceMean, maas_op_ReduceL1, maas_op_ReduceL2,
    maas_op_ReduceSumSquare, maas_op_ReduceMax, maas_op_ReduceMin;

#define T_PLAIN(x)   (x)
#define T_ABS(x)     v_abs(x)
#define T_SQUARE(x)  ((x) * (x))
#define C_SUM(a, b)  ((a) + (b))
#define C_MAX(a, b)  v_pick(((b) > (a)) | ((b) != (b)), b, a)
#define C_MIN(a, b)  v_pick(((b) < (a)) | ((b) != (b)), b, a)
#define C_SUM1(a, b) ((a) + (b))
#define C_MAX1(a, b) ((b) > (a) || (b) != (b) ? (b) : (a))
#define C_MIN1(a, b) ((b) < (a) || (b) != (b) ? (b) : (a))

/* A row to a number, and a row into a row of results (`first`: they begin with it). `none` changes
 * no result. */
#define KIND(name, term, combine, combine1, none)                                                  \
    static real number_##name(const real *x, int64_t n)                                            \
    {                                                                                              \
        vf acc[4] = {v_all(none), v_all(none), v_all(none), v_all(none)};                          \
        int64_t i = 0;                                                                             \
        for (; i + 4 * VW <= n; i += 4 * VW)                                                       \
            for (int j = 0; j < 4; j++) {                                                          \
                const vf v = term(v_load(x + i + j * VW));                                         \
                acc[j] = combine(acc[j], v);                                                       \
            }                                                                                      \
        for (; i + VW <= n; i += VW) {                                                             \
            const vf v = term(v_load(x + i));                                                      \
            acc[0] = combine(acc[0], v);                                                           \
        }                                                                                          \
        acc[0] = combine(acc[0], acc[1]);                                                          \
        acc[2] = combine(acc[2], acc[3]);                                                          \
        acc[0] = combine(acc[0], acc[2]);                                                          \
        real part[VW];                                                                             \
        memcpy(part, &acc[0], sizeof part);                                                        \
        for (int w = VW / 2; w; w /= 2)                                                            \
            for (int j = 0; j < w; j++)                                                            \
                part[j] = combine1(part[j], part[j + w]);                                          \
        real r = part[0];                                                                          \
        if (i < n) {                                                                               \
            const vf v = term(v_load_part(x + i, n - i, 0));                                       \
            for (int j = 0; j < (int)(n - i); j++)                                                 \
                r = combine1(r, v[j]);                                                             \
        }                                                                                          \
        return r;                                                                                  \
    }                                                                                              \
    static void row_##name(real *y, const real *x, int64_t n, bool first)                          \
    {                                                                                              \
        int64_t i = 0;                                                                             \
        for (; i + VW <= n && first; i += VW)                                                      \
            v_store(y + i, term(v_load(x + i)));                                                   \
        for (; i + VW <= n; i += VW) {                                                             \
            const vf a = v_load(y + i), b = term(v_load(x + i));                                   \
            v_store(y + i, combine(a, b));                                                         \
        }                                                                                          \
        if (i == n)                                                                                \
            return;                                                                                \
        const vf b = term(v_load_part(x + i, n - i, 0)), a = v_load_part(y + i, n - i, 0);         \
        v_store_part(y + i, first ? b : combine(a, b), n - i);                                     \
    }                                                                                              \
    static real two_##name(real a, real b)                                                         \
    {                                                                                              \
        return combine1(a, b);                                                                     \
    }
KIND(sum, T_PLAIN, C_SUM, C_SUM1, 0)
KIND(abs, T_ABS, C_SUM, C_SUM1, 0)
KIND(square, T_SQUARE, C_SUM, C_SUM1, 0)
KIND(max, T_PLAIN, C_MAX, C_MAX1, (real)-INFINITY)
KIND(min, T_PLAIN, C_MIN, C_MIN1, (real)INFINITY)

typedef struct reducer {
    const maas_op *op;
    real (*number)(const real *x, int64_t n);
    void (*row)(real *y, const real *x, int64_t n, bool first);
    real (*two)(real a, real b);
    bool mean, root;
} reducer;

static const reducer reducers[] = {
    {&maas_op_ReduceSum, number_sum, row_sum, two_sum, false, false},
    {&maas_op_ReduceMean, number_sum, row_sum, two_sum, true, false},
    {&maas_op_ReduceL1, number_abs, row_abs, two_abs, false, false},
    {&maas_op_ReduceL2, number_square, row_square, two_square, false, true},
    {&maas_op_ReduceSumSquare, number_square, row_square, two_square, false, false},
    {&maas_op_ReduceMax, number_max, row_max, two_max, false, false},
    {&maas_op_ReduceMin, number_min, row_min, two_min, false, false},
};

typedef struct state {
    const reducer *r;
    int rank, split; /* split: the axis that threads share, or -1 */
    int64_t dims[MAAS_MAX_RANK];
    int64_t x[MAAS_MAX_RANK], y[MAAS_MAX_RANK]; /* strides; of what goes, 0 in y */
    bool stays[MAAS_MAX_RANK];
    int64_t n; /* elements of one result */
} state;

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    const bool given = c->n_in > 1 && c->in[1].dtype != MAAS_DT_NONE;
    return c->in[0].dtype == REAL_DTYPE && (!given || c->in[1].data) && maas_n_elems(&c->in[0]) > 0;
}

/* Axes that go, as bits: those given, else all, or none if the node says so. */
static uint32_t axes_of(const maas_call *c)
{
    const maas_tensor *list = c->n_in > 1 && c->in[1].dtype != MAAS_DT_NONE ? &c->in[1] : NULL;
    const int rank = c->in[0].rank;
    uint32_t mask = 0;
    for (int64_t i = 0; list && i < maas_n_elems(list); i++) {
        const int64_t axis = maas_tensor_get_i64(list, i);
        mask |= 1u << (axis < 0 ? axis + rank : axis);
    }
    return mask || maas_attr_i(c->node, "noop_with_empty_axes", 0) ? mask : (1u << rank) - 1;
}

/* Axes of one element are dropped, neighbours of one kind merged. */
static void group(state *s, const maas_tensor *x, uint32_t mask)
{
    for (int i = 0; i < x->rank; i++) {
        const bool stays = !(mask >> i & 1);
        if (x->dims[i] == 1)
            continue;
        if (s->rank && s->stays[s->rank - 1] == stays) {
            s->dims[s->rank - 1] *= x->dims[i];
            continue;
        }
        s->stays[s->rank] = stays;
        s->dims[s->rank++] = x->dims[i];
    }
    if (!s->rank) {
        s->stays[0] = true;
        s->dims[s->rank++] = 1;
    }
    int64_t in = 1, out = 1;
    s->split = -1;
    s->n = 1;
    for (int i = s->rank - 1; i >= 0; i--) {
        s->x[i] = in;
        s->y[i] = s->stays[i] ? out : 0;
        in *= s->dims[i];
        out *= s->stays[i] ? s->dims[i] : 1;
        s->n *= s->stays[i] ? 1 : s->dims[i];
        if (s->stays[i] && (s->split < 0 || s->dims[i] > s->dims[s->split]))
            s->split = i;
    }
}

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    state *s = maas_calloc(1, sizeof *s);
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "preparing %s", c->node->op->name);
    s->r = reducers;
    while (s->r->op != c->node->op)
        s->r++;
    group(s, &c->in[0], axes_of(c));
    c->state = s;
    return MAAS_OK;
}

static void combine(const state *s, const int64_t *dims, real *y, const real *x)
{
    const int last = s->rank - 1;
    int64_t idx[MAAS_MAX_RANK] = {0}, rows = 1, at = 0, to = 0;
    int again = 0; /* how many of the axes that go are not at their beginning */
    for (int i = 0; i < last; i++)
        rows *= dims[i];
    for (int64_t row = 0; row < rows; row++) {
        if (s->stays[last]) {
            s->r->row(y + to, x + at, dims[last], again == 0);
        } else {
            const real v = s->r->number(x + at, dims[last]);
            y[to] = again ? s->r->two(y[to], v) : v;
        }
        for (int i = last - 1; i >= 0; i--) {
            again += !s->stays[i] && idx[i] == 0 && dims[i] > 1;
            at += s->x[i];
            to += s->y[i];
            if (++idx[i] < dims[i])
                break;
            again -= !s->stays[i] && dims[i] > 1;
            at -= s->x[i] * dims[i];
            to -= s->y[i] * dims[i];
            idx[i] = 0;
        }
    }
}

/* The last step of Mean and L2, for each result. */
static void finish(const state *s, const int64_t *dims, real *y)
{
    int64_t idx[MAAS_MAX_RANK] = {0}, n = 1, to = 0;
    for (int i = 0; i < s->rank; i++)
        n *= s->stays[i] ? dims[i] : 1;
    for (int64_t k = 0; k < n; k++) {
        y[to] = s->r->mean ? y[to] / (real)s->n : (real)sqrt((double)y[to]);
        for (int i = s->rank - 1; i >= 0; i--) {
            if (!s->stays[i])
                continue;
            to += s->y[i];
            if (++idx[i] < dims[i])
                break;
            to -= s->y[i] * dims[i];
            idx[i] = 0;
        }
    }
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const state *s = c->state;
    const real *x = c->in[0].data;
    real *y = c->out[0].data;
    int64_t dims[MAAS_MAX_RANK], from = 0, to = ithr == 0;
    memcpy(dims, s->dims, sizeof dims);
    if (s->split >= 0) {
        /* results side by side are shared by whole cache lines */
        maas_share(dims[s->split], s->y[s->split] == 1 ? 16 : 1, ithr, nthr, &from, &to);
        dims[s->split] = to - from;
        x += from * s->x[s->split];
        y += from * s->y[s->split];
    }
    if (from >= to)
        return MAAS_OK;
    combine(s, dims, y, x);
    if (s->r->mean || s->r->root)
        finish(s, dims, y);
    return MAAS_OK;
}

#define KERNEL(Name)                                                                               \
    {.op = &maas_op_##Name,                                                                        \
     .name = #Name ".any." ISA_TEXT,                                                               \
     .fits = fits,                                                                                 \
     .prepare = prepare,                                                                           \
     .release = maas_free,                                                                         \
     .run = run},
const maas_kernel ISA(maas_kernels_reduce_any)[] = {
    KERNEL(ReduceSum) KERNEL(ReduceMean) KERNEL(ReduceL1) KERNEL(ReduceL2) KERNEL(ReduceSumSquare)
        KERNEL(ReduceMax) KERNEL(ReduceMin){0}};
