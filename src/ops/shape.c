/* Operators about sizes: Shape, Size, ConstantOfShape, Range, EyeLike. */
#include "ops/ops_int.h"

#include "base/ban.h"

/* ---- Shape, Size ---- */

static void shape_bounds(const maas_node *n, int rank, int *from, int *to)
{
    int64_t start = maas_attr_i(n, "start", 0), end = maas_attr_i(n, "end", rank);
    start = start < 0 ? start + rank : start;
    end = end < 0 ? end + rank : end;
    *from = (int)(start < 0 ? 0 : start > rank ? rank : start);
    *to = (int)(end < 0 ? 0 : end > rank ? rank : end);
    if (*to < *from)
        *to = *from;
}

static maas_status shape_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    int64_t n = MAAS_DIM_UNKNOWN;
    if (x->rank >= 0) {
        maas_known *k = &q->out_known[0];
        int from, to;
        shape_bounds(q->node, x->rank, &from, &to);
        n = to - from;
        *k = (maas_known){.n = (int)n, .rank = 1, .exact = true};
        for (int i = from; i < to; i++) {
            k->v[i - from] = x->dims[i];
            k->exact = k->exact && x->dims[i] >= 0;
        }
    }
    maas_q_out(q, 0, MAAS_I64, 1, &n);
    return MAAS_OK;
}

static maas_status shape_reference(const maas_call *c, maas_err *err)
{
    int from, to;
    shape_bounds(c->node, c->in[0].rank, &from, &to);
    for (int i = from; i < to; i++)
        maas_st_i64(&c->out[0], i - from, c->in[0].dims[i]);
    return MAAS_OK;
}

static void shape_example(maas_example *e)
{
    static const int bounds[][2] = {{0, 9}, {1, 3}, {-2, -1}, {2, 1}};
    const maas_attr attr[] = {MAAS_A_INT("start", bounds[e->variant][0]),
                              MAAS_A_INT("end", bounds[e->variant][1])};
    maas_vid x = maas_ex_in(e, MAAS_F32, 0, 1, MAAS_DIMS(2, 3, 4));
    maas_b_node(e->b, "Shape", attr, 2, &x, 1, NULL, 1);
}

static maas_status size_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    int64_t n = x->rank < 0 ? MAAS_DIM_UNKNOWN : maas_dim_product(x->dims, 0, x->rank);
    maas_q_out(q, 0, MAAS_I64, 0, NULL);
    if (n != MAAS_DIM_UNKNOWN)
        q->out_known[0] = (maas_known){.n = 1, .v = {n}, .exact = n >= 0};
    return MAAS_OK;
}

static maas_status size_reference(const maas_call *c, maas_err *err)
{
    maas_st_i64(&c->out[0], 0, maas_n_elems(&c->in[0]));
    return MAAS_OK;
}

static void size_example(maas_example *e)
{
    maas_b_op1(e->b, "Size", maas_ex_in(e, MAAS_F32, 0, 1, MAAS_DIMS(2, 3, 4)));
}

/* ---- ConstantOfShape ---- */

static const maas_tensor *fill_value(const maas_node *n)
{
    const maas_attr *a = maas_node_attr(n, "value");
    return a ? a->u.tensor : NULL;
}

/* The shape that the content of input i describes. */
static maas_status dims_of_known(const maas_known *k, int64_t *dims, maas_err *err)
{
    if (k->n > MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "rank %d, at most %d is supported", k->n,
                         MAAS_MAX_RANK);
    for (int i = 0; i < k->n; i++) {
        if (k->exact && k->v[i] < 0)
            return maas_fail(err, MAAS_E_INVALID, "size %lld is negative", (long long)k->v[i]);
        dims[i] = k->v[i];
    }
    return MAAS_OK;
}

static maas_status constant_of_shape_infer(maas_infer *q, maas_err *err)
{
    const maas_tensor *fill = fill_value(q->node);
    const maas_known *k = &q->in_known[0];
    int64_t dims[MAAS_MAX_RANK];
    if (fill && maas_n_elems(fill) != 1)
        return maas_fail(err, MAAS_E_INVALID, "attribute 'value' must hold one element");
    maas_dtype t = fill ? (maas_dtype)fill->dtype : MAAS_F32;
    if (k->n < 0) {
        maas_q_unranked(q, 0, t);
        return MAAS_OK;
    }
    MAAS_TRY(dims_of_known(k, dims, err));
    maas_q_out(q, 0, t, k->n, dims);
    if (t == MAAS_I64 && k->n == 1 && k->exact && k->v[0] <= 2 * MAAS_MAX_RANK) {
        maas_known *r = &q->out_known[0];
        *r = (maas_known){.n = (int)k->v[0], .rank = 1, .exact = true};
        for (int i = 0; i < r->n; i++)
            r->v[i] = maas_tensor_get_i64(fill, 0);
    }
    return MAAS_OK;
}

static maas_status constant_of_shape_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *fill = fill_value(c->node), *y = &c->out[0];
    const size_t elem = maas_dtype_size((maas_dtype)y->dtype);
    MAAS_TRY(maas_ref_check(c, err));
    if (!fill) {
        memset(y->data, 0, maas_tensor_bytes(y));
        return MAAS_OK;
    }
    for (int64_t i = 0, n = maas_n_elems(y); i < n; i++)
        memcpy((char *)y->data + (size_t)i * elem, fill->data, elem);
    return MAAS_OK;
}

static void constant_of_shape_example(maas_example *e)
{
    static const int64_t dims[] = {2, 3};
    int64_t seven = 7;
    maas_tensor t = maas_tensor_of(MAAS_I64, 1, (const int64_t[]){1}, &seven);
    const maas_attr attr = {.name = "value", .type = MAAS_ATTR_TENSOR, .u.tensor = &t};
    maas_vid shape = maas_b_i64s(e->b, dims, e->variant == 2 ? 0 : 2);
    maas_b_node(e->b, "ConstantOfShape", &attr, e->variant != 0, &shape, 1, NULL, 1);
}

/* ---- Range: start, start + delta, ... before limit ---- */

static maas_status range_count(const maas_tensor *in, int64_t *out, maas_err *err)
{
    double start = maas_ld(&in[0], 0), limit = maas_ld(&in[1], 0), delta = maas_ld(&in[2], 0);
    double n = ceil((limit - start) / delta);
    if (delta == 0 || n != n || n > 0x1p40)
        return maas_fail(err, MAAS_E_INVALID, "Range from %g to %g by %g has no sensible length",
                         start, limit, delta);
    *out = n > 0 ? (int64_t)n : 0;
    return MAAS_OK;
}

static maas_status range_infer(maas_infer *q, maas_err *err)
{
    int64_t n = MAAS_DIM_UNKNOWN;
    bool have = true;
    for (int i = 0; i < 3; i++) {
        if (q->in[i].rank > 1 ||
            (q->in[i].rank == 1 && q->in[i].dims[0] >= 0 && q->in[i].dims[0] != 1))
            return maas_fail(err, MAAS_E_INVALID, "start, limit and delta must be scalars");
        have = have && q->in_data[i].data;
    }
    const maas_known *k = q->in_known;
    if (have)
        MAAS_TRY(range_count(q->in_data, &n, err));
    else if (k[0].n == 1 && k[1].n == 1 && k[2].n == 1 && k[0].exact && k[2].exact) {
        int64_t v[3] = {k[0].v[0], k[1].v[0], k[2].v[0]};
        maas_tensor t[3];
        for (int i = 0; i < 3; i++)
            t[i] = maas_tensor_of(MAAS_I64, 0, NULL, &v[i]);
        if (k[1].exact)
            MAAS_TRY(range_count(t, &n, err));
        else if (v[0] == 0 && v[2] == 1)
            n = v[1]; /* a symbol: Range(0, batch, 1) */
    }
    maas_q_out(q, 0, (maas_dtype)q->in[0].dtype, 1, &n);
    return MAAS_OK;
}

static maas_status range_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *y = &c->out[0];
    int64_t n;
    MAAS_TRY(range_count(c->in, &n, err));
    if (n != maas_n_elems(y))
        return maas_fail(err, MAAS_E_INVALID,
                         "Range: its inputs ask for another length than the "
                         "one that was planned");
    for (int64_t i = 0; i < n; i++)
        if (maas_is_float(y->dtype))
            maas_st(y, i, maas_ld(&c->in[0], 0) + (double)i * maas_ld(&c->in[2], 0));
        else
            maas_st_i64(y, i,
                        (int64_t)((uint64_t)maas_tensor_get_i64(&c->in[0], 0) +
                                  (uint64_t)i * (uint64_t)maas_tensor_get_i64(&c->in[2], 0)));
    return MAAS_OK;
}

static void range_example(maas_example *e)
{
    static const struct {
        maas_dtype t;
        double start, limit, delta;
    } cases[] = {
        {MAAS_F32, 1, 5, .5}, {MAAS_I64, 10, 0, -3}, {MAAS_I32, 3, 3, 1}, {MAAS_BF16, -1, 1, .25}};
    maas_vid in[3] = {maas_b_scalar(e->b, cases[e->variant].t, cases[e->variant].start),
                      maas_b_scalar(e->b, cases[e->variant].t, cases[e->variant].limit),
                      maas_b_scalar(e->b, cases[e->variant].t, cases[e->variant].delta)};
    maas_b_node(e->b, "Range", NULL, 0, in, 3, NULL, 1);
}

/* ---- EyeLike ---- */

static maas_status eye_infer(maas_infer *q, maas_err *err)
{
    int64_t t = maas_attr_i(q->node, "dtype", q->in[0].dtype);
    if (t < 0 || t >= 32 || !((MAAS_DTS_NUMERIC | MAAS_DTS_BOOL) >> t & 1))
        return maas_fail(err, MAAS_E_UNSUPPORTED, "data type %lld is not supported", (long long)t);
    if (q->in[0].rank >= 0 && q->in[0].rank != 2)
        return maas_fail(err, MAAS_E_INVALID, "the input must be a matrix");
    q->out[0] = q->in[0];
    q->out[0].dtype = (uint8_t)t;
    return MAAS_OK;
}

static maas_status eye_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *y = &c->out[0];
    const int64_t k = maas_attr_i(c->node, "k", 0);
    for (int64_t i = 0; i < y->dims[0]; i++)
        for (int64_t j = 0; j < y->dims[1]; j++)
            maas_st(y, i * y->dims[1] + j, j - i == k);
    return MAAS_OK;
}

static void eye_example(maas_example *e)
{
    maas_vid x = maas_ex_in(e, MAAS_F32, 0, 1, MAAS_DIMS(3, 4));
    maas_b_attr1(e->b, "EyeLike", MAAS_A_INT("k", e->variant - 1), x, MAAS_NO_VALUE);
}

/* ---- rows ---- */

#define ONLY_SIZES "only the sizes of its input count"
static const maas_io_schema any_in[] = {MAAS_REQ("data", NULL, MAAS_DTS_ALL)};
static const maas_io_schema eye_in[] = {MAAS_REQ("input", NULL, MAAS_DTS_NUMERIC | MAAS_DTS_BOOL)};
static const maas_io_schema shape_in[] = {MAAS_REQ("input", NULL, MAAS_DTS_I64)};
static const maas_io_schema i64_out[] = {MAAS_REQ("output", NULL, MAAS_DTS_I64)};
static const maas_io_schema any_out[] = {MAAS_REQ("output", NULL, MAAS_DTS_ALL)};
#define RANGE_DTS (MAAS_DTS_FLOAT | MAAS_DTS_INDEX | MAAS_DT_BIT(MAAS_I16))
static const maas_io_schema range_in[] = {MAAS_REQ("start", "T", RANGE_DTS),
                                          MAAS_REQ("limit", "T", RANGE_DTS),
                                          MAAS_REQ("delta", "T", RANGE_DTS)};
static const maas_io_schema range_out[] = {MAAS_REQ("output", "T", RANGE_DTS)};
static const maas_attr_schema shape_attrs[] = {{"start", MAAS_ATTR_INT, false},
                                               {"end", MAAS_ATTR_INT, false}};
static const maas_attr_schema range_attrs[] = {{"stash_type", MAAS_ATTR_INT, false}};
static const maas_attr_schema value_attr[] = {{"value", MAAS_ATTR_TENSOR, false}};
static const maas_attr_schema eye_attrs[] = {{"dtype", MAAS_ATTR_INT, false},
                                             {"k", MAAS_ATTR_INT, false}};

#define SIZES(Name, fn, version, opflags, ins, outs, attrs, count, variants, why_not)              \
    const maas_op maas_op_##Name = {                                                               \
        .domain = "",                                                                              \
        .name = #Name,                                                                             \
        .since = version,                                                                          \
        .flags = opflags,                                                                          \
        MAAS_SCHEMA(ins, outs),                                                                    \
        .attr = attrs,                                                                             \
        .n_attr = count,                                                                           \
        .n_examples = variants,                                                                    \
        .infer = fn##_infer,                                                                       \
        .reference = fn##_reference,                                                               \
        .flops = maas_flops_none,                                                                  \
        .example = fn##_example,                                                                   \
        .no_gradient = why_not,                                                                    \
    };
SIZES(Shape, shape, 15, MAAS_OP_STRINGS, any_in, i64_out, shape_attrs, 2, 4, ONLY_SIZES)
SIZES(Size, size, 13, MAAS_OP_STRINGS, any_in, i64_out, NULL, 0, 1, ONLY_SIZES)
SIZES(ConstantOfShape, constant_of_shape, 9, 0, shape_in, any_out, value_attr, 1, 3,
      "its input is a shape")
SIZES(Range, range, 11, 0, range_in, range_out, range_attrs, 1, 4, "its inputs decide a size")
SIZES(EyeLike, eye, 9, 0, eye_in, any_out, eye_attrs, 2, 3, ONLY_SIZES)
