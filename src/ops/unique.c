/*
 * Unique: the different elements, or slices along an axis, in ascending order or in that of their
 * first occurrence; where each was first, which one each item is, and how many there are of each. A
 * NaN is above every number and equal to any other.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

/* ---- the order of items ---- */

typedef struct items {
    const maas_tensor *x;
    maas_split3 s; /* item i: elements [outer][i][inner] */
} items;

static int order_of_text(const maas_str *a, const maas_str *b)
{
    const size_t n = a->n < b->n ? a->n : b->n;
    const int o = n ? memcmp(a->p, b->p, n) : 0;
    return o ? o : a->n < b->n ? -1 : a->n > b->n;
}

static int order_of_elements(const maas_tensor *x, int64_t i, int64_t j)
{
    if (x->dtype == MAAS_STRING)
        return order_of_text((const maas_str *)x->data + i, (const maas_str *)x->data + j);
    if (maas_is_float(x->dtype)) {
        const double a = maas_ld(x, i), b = maas_ld(x, j);
        return a < b ? -1 : a > b ? 1 : (a != a) - (b != b);
    }
    const int64_t a = maas_tensor_get_i64(x, i), b = maas_tensor_get_i64(x, j);
    if (x->dtype == MAAS_U64)
        return (uint64_t)a < (uint64_t)b ? -1 : (uint64_t)a > (uint64_t)b;
    return a < b ? -1 : a > b;
}

static int order_of(const items *it, int64_t a, int64_t b)
{
    const maas_split3 *s = &it->s;
    for (int64_t o = 0; o < s->outer; o++)
        for (int64_t i = 0; i < s->inner; i++) {
            const int c = order_of_elements(it->x, (o * s->n + a) * s->inner + i,
                                            (o * s->n + b) * s->inner + i);
            if (c)
                return c;
        }
    return 0;
}

/* Merges from[lo..mid) and from[mid..hi) into to; what is equal keeps its order. */
static void merge(const items *it, const int64_t *from, int64_t *to, int64_t lo, int64_t mid,
                  int64_t hi)
{
    int64_t a = lo, b = mid;
    for (int64_t k = lo; k < hi; k++)
        to[k] = b >= hi || (a < mid && order_of(it, from[a], from[b]) <= 0) ? from[a++] : from[b++];
}

/* Sorts items by numbers; returns list or spare, whichever holds the result. */
static int64_t *sorted(const items *it, int64_t *list, int64_t *spare)
{
    const int64_t n = it->s.n;
    for (int64_t i = 0; i < n; i++)
        list[i] = i;
    for (int64_t width = 1; width < n; width *= 2) {
        for (int64_t lo = 0; lo < n; lo += 2 * width) {
            const int64_t mid = lo + width < n ? lo + width : n;
            merge(it, list, spare, lo, mid, mid + width < n ? mid + width : n);
        }
        int64_t *t = list;
        list = spare;
        spare = t;
    }
    return list;
}

/* ---- groups of equal items ---- */

typedef struct groups {
    int64_t n;      /* how many */
    int64_t *of;    /* [items] number of the group of each */
    int64_t *first; /* [n] first item of each */
} groups;

/* Groups in the order of `list`; `first` may be the other array of the sort. */
static void group(const items *it, const int64_t *list, groups *g)
{
    g->n = 0;
    for (int64_t i = 0; i < it->s.n; i++) {
        if (i == 0 || order_of(it, list[i - 1], list[i]) != 0)
            g->first[g->n++] = list[i];
        g->of[list[i]] = g->n - 1;
    }
}

/* Numbers the groups by their first items. map: as many as groups. */
static void number_by_first(groups *g, int64_t n_items, int64_t *map)
{
    int64_t next = 0;
    for (int64_t i = 0; i < n_items; i++)
        if (g->first[g->of[i]] == i)
            map[g->of[i]] = next++;
    for (int64_t i = 0; i < n_items; i++)
        g->of[i] = map[g->of[i]];
    next = 0;
    for (int64_t i = 0; i < n_items; i++)
        if (g->of[i] == next)
            g->first[next++] = i;
}

/* ---- the operator ---- */

static maas_status infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    const int64_t any = MAAS_DIM_UNKNOWN;
    int64_t n = MAAS_DIM_UNKNOWN;
    int axis;
    if (!maas_node_attr(q->node, "axis")) {
        maas_q_out(q, 0, (maas_dtype)x->dtype, 1, &any);
        if (x->rank >= 0)
            n = maas_dim_product(x->dims, 0, x->rank);
    } else {
        q->out[0] = *x;
        if (x->rank >= 0) {
            MAAS_TRY(maas_axis(maas_attr_i(q->node, "axis", 0), x->rank, &axis, err));
            n = x->dims[axis];
            q->out[0].dims[axis] = MAAS_DIM_UNKNOWN;
        }
    }
    maas_q_out(q, 1, MAAS_I64, 1, &any);
    maas_q_out(q, 2, MAAS_I64, 1, &n);
    maas_q_out(q, 3, MAAS_I64, 1, &any);
    return MAAS_OK;
}

static maas_status write_values(const maas_call *c, const items *it, const groups *g, int axis,
                                maas_err *err)
{
    const maas_split3 *s = &it->s;
    const size_t row = (size_t)s->inner * maas_dtype_size((maas_dtype)it->x->dtype);
    int64_t dims[MAAS_MAX_RANK] = {0};
    if (axis >= 0)
        memcpy(dims, it->x->dims, sizeof dims);
    dims[axis < 0 ? 0 : axis] = g->n;
    MAAS_TRY(maas_ref_alloc(c, 0, axis < 0 ? 1 : it->x->rank, dims, err));
    if (!maas_c_wants(c, 0))
        return MAAS_OK;
    for (int64_t o = 0; o < s->outer; o++)
        for (int64_t k = 0; k < g->n; k++)
            memcpy((char *)c->out[0].data + (size_t)(o * g->n + k) * row,
                   (const char *)it->x->data + (size_t)(o * s->n + g->first[k]) * row, row);
    return MAAS_OK;
}

static maas_status write_places(const maas_call *c, const items *it, const groups *g, maas_err *err)
{
    MAAS_TRY(maas_ref_alloc(c, 1, 1, &g->n, err));
    MAAS_TRY(maas_ref_alloc(c, 2, 1, &it->s.n, err));
    MAAS_TRY(maas_ref_alloc(c, 3, 1, &g->n, err));
    if (maas_c_wants(c, 1) && g->n)
        memcpy(c->out[1].data, g->first, (size_t)g->n * sizeof *g->first);
    if (maas_c_wants(c, 2) && it->s.n)
        memcpy(c->out[2].data, g->of, (size_t)it->s.n * sizeof *g->of);
    if (maas_c_wants(c, 3) && g->n)
        memset(c->out[3].data, 0, (size_t)g->n * sizeof(int64_t));
    for (int64_t i = 0; i < it->s.n && maas_c_wants(c, 3); i++)
        ((int64_t *)c->out[3].data)[g->of[i]]++;
    return MAAS_OK;
}

static maas_status reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    items it = {.x = x, .s = {1, maas_n_elems(x), 1}};
    int axis = -1;
    if (maas_node_attr(c->node, "axis")) {
        MAAS_TRY(maas_axis(maas_attr_i(c->node, "axis", 0), x->rank, &axis, err));
        it.s = maas_around(x, axis);
    }
    const size_t n = (size_t)it.s.n;
    AUTO_FREE int64_t *space = maas_calloc(n + 1, 3 * sizeof *space);
    if (!space)
        return maas_fail(err, MAAS_E_NOMEM, "Unique of %zu items", n);
    groups g = {.of = space + 2 * n};
    int64_t *list = sorted(&it, space, space + n);
    g.first = list == space ? space + n : space;
    group(&it, list, &g);
    if (maas_attr_i(c->node, "sorted", 1) == 0)
        number_by_first(&g, it.s.n, list);
    MAAS_TRY(write_values(c, &it, &g, axis, err));
    return write_places(c, &it, &g, err);
}

static int64_t sort_flops(const maas_call *c)
{
    return maas_n_elems(&c->in[0]) * 20;
}

static void example(maas_example *e)
{
    static const struct {
        maas_dtype t;
        int axis, sorted, rank; /* axis -9: none */
        int64_t dims[3];
    } cases[] = {{MAAS_F32, -9, 1, 1, {6}},    {MAAS_F64, 0, 0, 2, {5, 2}},
                 {MAAS_I32, -9, 0, 2, {4, 5}}, {MAAS_I64, 1, 1, 3, {2, 9, 1}},
                 {MAAS_U8, -1, 0, 2, {2, 9}},  {MAAS_BOOL, -9, 1, 2, {3, 4}},
                 {MAAS_STRING, 0, 1, 1, {5}},  {MAAS_U64, -9, 1, 1, {0}}};
    static const double some[] = {2, NAN, -1, 2, NAN, 0};
    const maas_attr attr[] = {MAAS_A_INT("sorted", cases[e->variant].sorted),
                              MAAS_A_INT("axis", cases[e->variant].axis)};
    const int k = e->variant;
    maas_vid out[4] = {MAAS_NO_VALUE, MAAS_NO_VALUE, MAAS_NO_VALUE, MAAS_NO_VALUE};
    const maas_vid x = k ? maas_ex_in(e, cases[k].t, 0, 3, cases[k].rank, cases[k].dims)
                         : maas_b_vector(e->b, MAAS_F32, some, MAAS_COUNT(some));
    maas_b_node(e->b, "Unique", attr, cases[k].axis == -9 ? 1 : 2, &x, 1, out, 4);
}

static const maas_io_schema in[] = {MAAS_REQ("X", "T", MAAS_DTS_ALL)};
static const maas_io_schema out[] = {
    MAAS_REQ("Y", "T", MAAS_DTS_ALL), MAAS_OPT("indices", NULL, MAAS_DTS_I64),
    MAAS_OPT("inverse_indices", NULL, MAAS_DTS_I64), MAAS_OPT("counts", NULL, MAAS_DTS_I64)};
static const maas_attr_schema attrs[] = {{"axis", MAAS_ATTR_INT, false},
                                         {"sorted", MAAS_ATTR_INT, false}};

const maas_op maas_op_Unique = {
    .domain = "",
    .name = "Unique",
    .since = 11,
    .flags = MAAS_OP_DYNAMIC | MAAS_OP_STRINGS,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 8,
    .infer = infer,
    .reference = reference,
    .flops = sort_flops,
    .example = example,
    .no_gradient = "a plan of training knows all shapes before it runs",
};
