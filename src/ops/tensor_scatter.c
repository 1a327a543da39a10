/*
 * TensorScatter: a cache [batch][..][length][..] with an update written into it along an axis, from
 * a place of each batch row's own; past the end it is refused, or goes on at the beginning
 * (circular).
 */
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status scatter_axis(const maas_node *n, int rank, int *axis, maas_err *err)
{
    MAAS_TRY(maas_axis(maas_attr_i(n, "axis", -2), rank, axis, err));
    return *axis ? MAAS_OK : maas_fail(err, MAAS_E_INVALID, "axis 0 is the batch");
}

static maas_status scatter_mode(const maas_node *n, bool *circular, maas_err *err)
{
    const maas_str s = maas_attr_s(n, "mode", "linear");
    *circular = s.n == 8 && memcmp(s.p, "circular", 8) == 0;
    if (!*circular && (s.n != 6 || memcmp(s.p, "linear", 6) != 0))
        return maas_fail(err, MAAS_E_INVALID, "attribute 'mode' must be linear or circular");
    return MAAS_OK;
}

static maas_status scatter_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0], *u = &q->in[1], *w = &q->in[2];
    bool circular;
    int axis;
    int64_t ignored;
    MAAS_TRY(scatter_mode(q->node, &circular, err));
    q->out[0] = *x;
    if (x->rank < 0 || u->rank < 0)
        return MAAS_OK;
    MAAS_TRY(scatter_axis(q->node, x->rank, &axis, err));
    if (u->rank != x->rank)
        return maas_fail(err, MAAS_E_INVALID, "the update has rank %d, the cache %d", u->rank,
                         x->rank);
    for (int i = 0; i < x->rank; i++)
        if (i != axis)
            MAAS_TRY(maas_dim_same(x->dims[i], u->dims[i], &ignored, "cache and update", err));
    if (x->dims[axis] >= 0 && u->dims[axis] > x->dims[axis])
        return maas_fail(err, MAAS_E_INVALID, "the update is longer than the cache");
    if (!maas_q_has(q, 2) || w->rank < 0)
        return MAAS_OK;
    if (w->rank != 1)
        return maas_fail(err, MAAS_E_INVALID, "write_indices must be a vector");
    return maas_dim_same(w->dims[0], x->dims[0], &ignored, "write_indices", err);
}

/* Where the update of batch row b begins. */
static maas_status place_of(const maas_call *c, int64_t b, int64_t length, int64_t n, bool circular,
                            int64_t *out, maas_err *err)
{
    const maas_tensor *w = maas_c_in(c, 2);
    const int64_t at = w ? maas_tensor_get_i64(w, b) : 0;
    if (at < 0 || (!circular && at > length - n))
        return maas_fail(err, MAAS_E_INVALID, "an update of %lld at %lld does not fit %lld",
                         (long long)n, (long long)at, (long long)length);
    *out = length ? at % (circular ? length : length + 1) : 0;
    return MAAS_OK;
}

static maas_status scatter_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *u = &c->in[1], *y = &c->out[0];
    const size_t elem = maas_dtype_size((maas_dtype)x->dtype);
    bool circular;
    int axis;
    MAAS_TRY(scatter_mode(c->node, &circular, err));
    MAAS_TRY(scatter_axis(c->node, x->rank, &axis, err));
    const maas_split3 s = maas_around(x, axis);
    const int64_t n = u->dims[axis];
    const size_t row = (size_t)s.inner * elem;
    if (y->data != x->data)
        memcpy(y->data, x->data, maas_tensor_bytes(x));
    for (int64_t o = 0; o < s.outer; o++) {
        int64_t at;
        MAAS_TRY(place_of(c, o / (s.outer / x->dims[0]), s.n, n, circular, &at, err));
        for (int64_t i = 0; i < n; i++)
            memcpy((char *)y->data + (size_t)(o * s.n + (at + i) % s.n) * row,
                   (const char *)u->data + (size_t)(o * n + i) * row, row);
    }
    return MAAS_OK;
}

static void scatter_example(maas_example *e)
{
    static const struct {
        int rank, axis;
        int64_t cache[4], update[4];
        const char *mode;
        bool places;
    } cases[] = {{4, -2, {2, 2, 5, 3}, {2, 2, 2, 3}, "linear", true},
                 {3, 1, {2, 4, 3}, {2, 3, 3}, "circular", true},
                 {3, -1, {1, 2, 6}, {1, 2, 6}, "linear", false},
                 {3, 1, {2, 0, 3}, {2, 0, 3}, "circular", true}};
    const int k = e->variant / 2;
    const maas_dtype t = maas_ex_float(e);
    const maas_attr a[] = {MAAS_A_INT("axis", cases[k].axis), MAAS_A_STR("mode", cases[k].mode)};
    const maas_vid in[3] = {maas_ex_in(e, t, -2, 2, cases[k].rank, cases[k].cache),
                            maas_ex_in(e, t, -2, 2, cases[k].rank, cases[k].update),
                            cases[k].places ? maas_ex_in(e, MAAS_I64, 0, 4, 1, cases[k].cache)
                                            : MAAS_NO_VALUE};
    maas_b_node(e->b, "TensorScatter", a, 2, in, 3, NULL, 1);
}

#define SCATTER_DTS (MAAS_DTS_NUMERIC | MAAS_DTS_BOOL)
static const maas_io_schema in[] = {MAAS_REQ("past_cache", "T", SCATTER_DTS),
                                    MAAS_REQ("update", "T", SCATTER_DTS),
                                    MAAS_OPT("write_indices", NULL, MAAS_DTS_I64)};
static const maas_io_schema out[] = {MAAS_REQ("present_cache", "T", SCATTER_DTS)};
static const maas_attr_schema attrs[] = {{"axis", MAAS_ATTR_INT, false},
                                         {"mode", MAAS_ATTR_STRING, false}};

const maas_op maas_op_TensorScatter = {
    .domain = "",
    .name = "TensorScatter",
    .since = 24,
    .flags = MAAS_OP_INPLACE,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 8,
    .infer = scatter_infer,
    .reference = scatter_reference,
    .flops = maas_flops_none,
    .example = scatter_example,
    .no_gradient = "it updates caches, which training has none of",
};
