/* ArgMax, ArgMin and TopK: where the largest are along an axis. A NaN counts as the largest. */
#include "ops/ops_int.h"

#include <stdlib.h>

#include "base/ban.h"

static int axis_of(const maas_node *n, int rank, int64_t otherwise)
{
    int64_t a = maas_attr_i(n, "axis", otherwise);
    return (int)(a < 0 ? a + rank : a);
}

/* Is element i above element j? */
static bool above(const maas_tensor *x, int64_t i, int64_t j)
{
    if (maas_is_float(x->dtype)) {
        double a = maas_ld(x, i), b = maas_ld(x, j);
        return a > b || (a != a && b == b);
    }
    if (x->dtype == MAAS_U64)
        return (uint64_t)maas_tensor_get_i64(x, i) > (uint64_t)maas_tensor_get_i64(x, j);
    return maas_tensor_get_i64(x, i) > maas_tensor_get_i64(x, j);
}

/* ---- ArgMax, ArgMin ---- */

static maas_status arg_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    const bool keep = maas_attr_i(q->node, "keepdims", 1) != 0;
    int64_t dims[MAAS_MAX_RANK];
    int axis, rank = 0;
    maas_q_unranked(q, 0, MAAS_I64);
    if (x->rank < 0)
        return MAAS_OK;
    MAAS_TRY(maas_axis(maas_attr_i(q->node, "axis", 0), x->rank, &axis, err));
    if (x->dims[axis] == 0)
        return maas_fail(err, MAAS_E_INVALID, "axis %d is empty: it has no extreme", axis);
    for (int i = 0; i < x->rank; i++)
        if (i != axis || keep)
            dims[rank++] = i == axis ? 1 : x->dims[i];
    maas_q_out(q, 0, MAAS_I64, rank, dims);
    return MAAS_OK;
}

static void arg(const maas_call *c, bool largest)
{
    const maas_tensor *x = &c->in[0];
    const bool last = maas_attr_i(c->node, "select_last_index", 0) != 0;
    const maas_split3 s = maas_around(x, axis_of(c->node, x->rank, 0));
    for (int64_t o = 0; o < s.outer; o++)
        for (int64_t i = 0; i < s.inner; i++) {
            const int64_t at = o * s.n * s.inner + i;
            int64_t best = 0;
            for (int64_t k = 1; k < s.n; k++) {
                int64_t a = at + k * s.inner, b = at + best * s.inner;
                bool better = largest ? above(x, a, b) : above(x, b, a);
                bool worse = largest ? above(x, b, a) : above(x, a, b);
                if (better || (last && !worse))
                    best = k;
            }
            ((int64_t *)c->out[0].data)[o * s.inner + i] = best;
        }
}

static maas_status arg_max_reference(const maas_call *c, maas_err *err)
{
    arg(c, true);
    return MAAS_OK;
}

static maas_status arg_min_reference(const maas_call *c, maas_err *err)
{
    arg(c, false);
    return MAAS_OK;
}

static int64_t scan_flops(const maas_call *c)
{
    return maas_n_elems(&c->in[0]);
}

static void arg_example(maas_example *e, const char *op)
{
    static const int axes[] = {1, 0, -1, 1};
    maas_dtype t = e->variant == 2 ? MAAS_I32 : maas_ex_float(e);
    const maas_attr attr[] = {MAAS_A_INT("axis", axes[e->variant]),
                              MAAS_A_INT("keepdims", e->variant != 1),
                              MAAS_A_INT("select_last_index", e->variant == 2)};
    maas_vid x = maas_ex_in(e, t, -3, 3, MAAS_DIMS(4, 7));
    maas_b_node(e->b, op, attr, 3, &x, 1, NULL, 1);
}

static void arg_max_example(maas_example *e)
{
    arg_example(e, "ArgMax");
}

static void arg_min_example(maas_example *e)
{
    arg_example(e, "ArgMin");
}

/* ---- TopK: the k largest (or smallest), sorted, equal ones by index ---- */

static maas_status top_k_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    int64_t k[2 * MAAS_MAX_RANK];
    int axis, n;
    maas_q_unranked(q, 0, (maas_dtype)x->dtype);
    maas_q_unranked(q, 1, MAAS_I64);
    if (x->rank < 0)
        return MAAS_OK;
    MAAS_TRY(maas_axis(maas_attr_i(q->node, "axis", -1), x->rank, &axis, err));
    int64_t size = MAAS_DIM_UNKNOWN;
    if (maas_q_ints(q, 1, k, &n)) {
        if (n != 1 || k[0] < 0 || (x->dims[axis] >= 0 && k[0] > x->dims[axis]))
            return maas_fail(err, MAAS_E_INVALID,
                             "K must be one number from 0 to the size of axis %d", axis);
        size = k[0];
    }
    for (int i = 0; i < 2 && i < q->node->n_out; i++) {
        q->out[i] = *x;
        q->out[i].dims[axis] = size;
    }
    if (q->node->n_out > 1)
        q->out[1].dtype = MAAS_I64;
    return MAAS_OK;
}

/* One line along the axis: element i is at base + i * step. */
typedef struct ranking {
    const maas_tensor *x;
    int64_t base, step;
    bool largest;
} ranking;

static bool goes_before(const ranking *r, int64_t i, int64_t j)
{
    const int64_t a = r->base + i * r->step, b = r->base + j * r->step;
    if (r->largest ? above(r->x, a, b) : above(r->x, b, a))
        return true;
    return i < j && !(r->largest ? above(r->x, b, a) : above(r->x, a, b));
}

/* A heap with the last of all at its root. */
static void sink(const ranking *r, int64_t *heap, int64_t n, int64_t i)
{
    for (;;) {
        int64_t last = i;
        for (int64_t child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++)
            if (goes_before(r, heap[last], heap[child]))
                last = child;
        if (last == i)
            return;
        const int64_t t = heap[i];
        heap[i] = heap[last];
        heap[last] = t;
        i = last;
    }
}

/* The first k of n in order; their heap keeps the work at n log k whatever the data are. */
static void top_k_line(const ranking *r, int64_t n, int64_t *list, int64_t k)
{
    for (int64_t i = 0; i < k; i++)
        list[i] = i;
    for (int64_t i = k / 2 - 1; i >= 0; i--)
        sink(r, list, k, i);
    for (int64_t i = k; i < n && k > 0; i++)
        if (goes_before(r, i, list[0])) {
            list[0] = i;
            sink(r, list, k, 0);
        }
    for (int64_t left = k - 1; left > 0; left--) {
        const int64_t t = list[0];
        list[0] = list[left];
        list[left] = t;
        sink(r, list, left, 0);
    }
}

static maas_status top_k_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *values = maas_c_out(c, 0), *places = maas_c_out(c, 1);
    const int axis = axis_of(c->node, x->rank, -1);
    const bool largest = maas_attr_i(c->node, "largest", 1) != 0;
    const maas_split3 s = maas_around(x, axis);
    const size_t elem = maas_dtype_size((maas_dtype)x->dtype);
    MAAS_TRY(maas_ref_check(c, err));
    const int64_t k = maas_tensor_get_i64(&c->in[1], 0);
    AUTO_FREE int64_t *list = maas_calloc((size_t)k + 1, sizeof *list);
    if (!list)
        return maas_fail(err, MAAS_E_NOMEM, "TopK of %lld", (long long)k);
    for (int64_t o = 0; o < s.outer; o++)
        for (int64_t i = 0; i < s.inner; i++) {
            const int64_t base = o * s.n * s.inner + i;
            const ranking r = {x, base, s.inner, largest};
            top_k_line(&r, s.n, list, k);
            for (int64_t j = 0; j < k; j++) {
                int64_t to = (o * k + j) * s.inner + i;
                if (values)
                    memcpy((char *)values->data + (size_t)to * elem,
                           (const char *)x->data + (size_t)(base + list[j] * s.inner) * elem, elem);
                if (places)
                    ((int64_t *)places->data)[to] = list[j];
            }
        }
    return MAAS_OK;
}

static int64_t top_k_flops(const maas_call *c)
{
    return maas_n_elems(&c->in[0]) * 2;
}

static void top_k_gradient(maas_grad *g)
{
    maas_builder *b = g->b;
    const maas_node *n = g->node;
    if (!g->want[0] || g->dout[0] == MAAS_NO_VALUE)
        return;
    const maas_attr attr[] = {MAAS_A_INT("axis", maas_attr_i(n, "axis", -1)),
                              MAAS_A_STR("reduction", "add")};
    maas_vid zeros = maas_b_op2(b, "Expand", maas_b_like(b, n->in[0], 0),
                                maas_b_op1(b, "Shape", n->in[0]));
    const maas_vid in[3] = {zeros, n->out[1], g->dout[0]};
    g->din[0] = maas_b_node(b, "ScatterElements", attr, 2, in, 3, NULL, 1);
}

static void top_k_example(maas_example *e)
{
    static const struct {
        int axis, largest;
        int64_t k;
    } cases[] = {{-1, 1, 3}, {0, 0, 2}, {1, 1, 0}, {-1, 0, 7}};
    const int64_t *k = &cases[e->variant / 2].k;
    const maas_attr attr[] = {MAAS_A_INT("axis", cases[e->variant / 2].axis),
                              MAAS_A_INT("largest", cases[e->variant / 2].largest)};
    maas_vid out[2],
        in[2] = {maas_ex_in(e, maas_ex_float(e), -3, 3, MAAS_DIMS(4, 7)), maas_b_i64s(e->b, k, 1)};
    maas_b_node(e->b, "TopK", attr, 2, in, 2, out, 2);
}

static const maas_io_schema arg_in[] = {MAAS_REQ("data", "T", MAAS_DTS_NUMERIC)};
static const maas_io_schema arg_out[] = {MAAS_REQ("reduced", NULL, MAAS_DTS_I64)};
static const maas_attr_schema arg_attrs[] = {{"axis", MAAS_ATTR_INT, false},
                                             {"keepdims", MAAS_ATTR_INT, false},
                                             {"select_last_index", MAAS_ATTR_INT, false}};
static const maas_io_schema top_in[] = {MAAS_REQ("X", "T", MAAS_DTS_NUMERIC),
                                        MAAS_REQ("K", NULL, MAAS_DTS_I64)};
static const maas_io_schema top_out[] = {MAAS_REQ("Values", "T", MAAS_DTS_NUMERIC),
                                         MAAS_REQ("Indices", NULL, MAAS_DTS_I64)};
static const maas_attr_schema top_attrs[] = {{"axis", MAAS_ATTR_INT, false},
                                             {"largest", MAAS_ATTR_INT, false},
                                             {"sorted", MAAS_ATTR_INT, false}};

#define ARG(Name, fn)                                                                              \
    const maas_op maas_op_##Name = {                                                               \
        .domain = "",                                                                              \
        .name = #Name,                                                                             \
        .since = 13,                                                                               \
        MAAS_SCHEMA(arg_in, arg_out),                                                              \
        MAAS_ATTRS(arg_attrs),                                                                     \
        .n_examples = 4,                                                                           \
        .infer = arg_infer,                                                                        \
        .reference = fn##_reference,                                                               \
        .flops = scan_flops,                                                                       \
        .example = fn##_example,                                                                   \
        .no_gradient = "its output is an index",                                                   \
    };
ARG(ArgMax, arg_max)
ARG(ArgMin, arg_min)

const maas_op maas_op_TopK = {
    .domain = "",
    .name = "TopK",
    .since = 11,
    MAAS_SCHEMA(top_in, top_out),
    MAAS_ATTRS(top_attrs),
    .n_examples = 8,
    .infer = top_k_infer,
    .reference = top_k_reference,
    .flops = top_k_flops,
    .example = top_k_example,
    .gradient = top_k_gradient,
};
