/* NonZero: where the elements are that are not zero. Only data can tell how many. */
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status nonzero_infer(maas_infer *q, maas_err *err)
{
    /* a scalar is one element along no axis: the answer has no rows */
    const int64_t dims[] = {q->in[0].rank < 0 ? MAAS_DIM_UNKNOWN : q->in[0].rank, MAAS_DIM_UNKNOWN};
    maas_q_out(q, 0, MAAS_I64, 2, dims);
    return MAAS_OK;
}

static bool is_zero(const maas_tensor *x, int64_t i)
{
    return maas_is_float(x->dtype) ? maas_ld(x, i) == 0 : maas_tensor_get_i64(x, i) == 0;
}

static maas_status nonzero_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    int64_t dims[] = {x->rank, 0}, at = 0;
    maas_walk w;
    for (int64_t i = 0, n = maas_n_elems(x); i < n; i++)
        dims[1] += !is_zero(x, i);
    MAAS_TRY(maas_ref_alloc(c, 0, 2, dims, err));
    int64_t *y = c->out[0].data;
    for (maas_walk_init(&w, x->dims, x->rank, ~0u, 0); w.left; maas_walk_step(&w)) {
        if (is_zero(x, w.at))
            continue;
        for (int a = 0; a < x->rank; a++)
            y[a * dims[1] + at] = w.idx[a];
        at++;
    }
    return MAAS_OK;
}

static void nonzero_example(maas_example *e)
{
    static const struct {
        maas_dtype t;
        int rank;
        int64_t dims[3];
    } cases[] = {{MAAS_F32, 2, {3, 4}},
                 {MAAS_F64, 1, {7}},
                 {MAAS_I64, 3, {2, 3, 2}},
                 {MAAS_BOOL, 0, {0}},
                 {MAAS_I32, 2, {0, 3}}};
    static const double some[] = {0, -1, 0, 2.5, NAN, -0.0};
    const int k = e->variant;
    /* inputs of floats are hardly ever zero */
    maas_vid x = k < 2 ? maas_b_vector(e->b, cases[k].t, some, MAAS_COUNT(some))
                       : maas_ex_in(e, cases[k].t, 0, 2, cases[k].rank, cases[k].dims);
    maas_b_op1(e->b, "NonZero", x);
}

static const maas_io_schema nonzero_in[] = {MAAS_REQ("X", NULL, MAAS_DTS_NUMERIC | MAAS_DTS_BOOL)};
static const maas_io_schema nonzero_out[] = {MAAS_REQ("Y", NULL, MAAS_DTS_I64)};

const maas_op maas_op_NonZero = {
    .domain = "",
    .name = "NonZero",
    .since = 9,
    .flags = MAAS_OP_DYNAMIC,
    MAAS_SCHEMA(nonzero_in, nonzero_out),
    .n_examples = 5,
    .infer = nonzero_infer,
    .reference = nonzero_reference,
    .flops = maas_flops_none,
    .example = nonzero_example,
    .no_gradient = "places are no function of values that could be followed",
};
