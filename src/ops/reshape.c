/*
 * Operators that give the same bytes another shape: Identity, Reshape, Flatten, Squeeze, Unsqueeze.
 * The planner aliases them (MAAS_OP_VIEW); reference code copies when it was not aliased.
 */
#include "ops/ops_int.h"

#include <inttypes.h>

#include "base/ban.h"

static maas_status view_reference(const maas_call *c, maas_err *err)
{
    if (maas_n_elems(&c->in[0]) != maas_n_elems(&c->out[0]))
        return maas_fail(err, MAAS_E_INVALID, "%s: %" PRId64 " elements do not fill %" PRId64,
                         c->node->op->name, maas_n_elems(&c->in[0]), maas_n_elems(&c->out[0]));
    MAAS_TRY(maas_ref_check(c, err));
    if (c->out[0].data != c->in[0].data)
        memcpy(c->out[0].data, c->in[0].data, maas_tensor_bytes(&c->in[0]));
    return MAAS_OK;
}

/* Contents stay; only the rank of the small tensor changes. */
static void pass_known(maas_infer *q)
{
    if (q->in_known[0].n < 0 || q->out[0].rank < 0 || q->out[0].rank > 1)
        return;
    q->out_known[0] = q->in_known[0];
    q->out_known[0].rank = q->out[0].rank;
}

static maas_status identity_infer(maas_infer *q, maas_err *err)
{
    q->out[0] = q->in[0];
    pass_known(q);
    return MAAS_OK;
}

/* ---- Reshape ---- */

/* Fills the one -1: what is left of the input after all that is equal on both sides cancels. */
static maas_status fill_free(const maas_type *x, int64_t *dims, int rank, int free_at,
                             maas_err *err)
{
    int64_t have = 1, want = 1;
    bool used[MAAS_MAX_RANK] = {false}, exact = true;
    for (int i = 0; i < rank; i++) {
        if (i == free_at)
            continue;
        if (dims[i] >= 0) {
            if (__builtin_mul_overflow(want, dims[i], &want))
                return maas_fail(err, MAAS_E_TOO_LARGE, "the new shape has too many elements");
            continue;
        }
        bool found = false;
        for (int k = 0; k < x->rank && !found; k++)
            if (!used[k] && x->dims[k] == dims[i] && dims[i] != MAAS_DIM_UNKNOWN)
                used[k] = found = true;
        exact = exact && found;
    }
    int64_t symbol = 0;
    for (int k = 0; k < x->rank; k++) {
        if (used[k])
            continue;
        if (x->dims[k] >= 0) {
            if (__builtin_mul_overflow(have, x->dims[k], &have))
                return maas_fail(err, MAAS_E_TOO_LARGE, "the input has too many elements");
        } else if (symbol == 0) {
            symbol = x->dims[k];
        } else {
            exact = false;
        }
    }
    dims[free_at] = MAAS_DIM_UNKNOWN;
    if (!exact)
        return MAAS_OK;
    if (symbol == 0) {
        if (want == 0 || have % want)
            return maas_fail(err, MAAS_E_INVALID,
                             "%" PRId64 " elements do not divide into blocks of %" PRId64, have,
                             want);
        dims[free_at] = have / want;
    } else if (have == want) {
        dims[free_at] = symbol;
    }
    return MAAS_OK;
}

static maas_status check_total(const maas_type *x, const int64_t *dims, int rank, maas_err *err)
{
    int64_t have = maas_dim_product(x->dims, 0, x->rank), want = maas_dim_product(dims, 0, rank);
    if (have >= 0 && want >= 0 && have != want) {
        char from[MAAS_SHAPE_TEXT], to[MAAS_SHAPE_TEXT];
        return maas_fail(err, MAAS_E_INVALID, "%s cannot be reshaped to %s",
                         maas_shape_text(x->dims, x->rank, from), maas_shape_text(dims, rank, to));
    }
    return MAAS_OK;
}

static maas_status reshape_known(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    const maas_known *k = &q->in_known[1];
    const bool allow_zero = maas_attr_i(q->node, "allowzero", 0) != 0;
    int64_t dims[MAAS_MAX_RANK];
    int free_at = -1;
    if (k->n > MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "rank %d, at most %d is supported", k->n,
                         MAAS_MAX_RANK);
    for (int i = 0; i < k->n; i++) {
        dims[i] = k->v[i];
        if (dims[i] == 0 && !allow_zero) {
            if (x->rank >= 0 && i >= x->rank)
                return maas_fail(err, MAAS_E_INVALID, "the 0 at %d copies a size that is not there",
                                 i);
            dims[i] = x->rank < 0 ? MAAS_DIM_UNKNOWN : x->dims[i];
        } else if (dims[i] < 0 && k->exact) {
            if (dims[i] != -1 || free_at >= 0)
                return maas_fail(err, MAAS_E_INVALID, "shape: only one -1 and no other negatives");
            free_at = i;
        }
    }
    if (free_at >= 0 && x->rank < 0)
        dims[free_at] = MAAS_DIM_UNKNOWN;
    else if (free_at >= 0)
        MAAS_TRY(fill_free(x, dims, k->n, free_at, err));
    if (x->rank >= 0)
        MAAS_TRY(check_total(x, dims, k->n, err));
    maas_q_out(q, 0, (maas_dtype)x->dtype, k->n, dims);
    pass_known(q);
    return MAAS_OK;
}

static maas_status reshape_infer(maas_infer *q, maas_err *err)
{
    const maas_type *shape = &q->in[1];
    if (shape->rank > 1)
        return maas_fail(err, MAAS_E_INVALID, "shape must be a vector");
    if (q->in_known[1].n >= 0)
        return reshape_known(q, err);
    if (shape->rank == 1 && shape->dims[0] >= 0) {
        int64_t dims[MAAS_MAX_RANK];
        if (shape->dims[0] > MAAS_MAX_RANK)
            return maas_fail(err, MAAS_E_INVALID, "rank %" PRId64 ", at most %d is supported",
                             shape->dims[0], MAAS_MAX_RANK);
        for (int i = 0; i < MAAS_MAX_RANK; i++)
            dims[i] = MAAS_DIM_UNKNOWN;
        maas_q_out(q, 0, (maas_dtype)q->in[0].dtype, (int)shape->dims[0], dims);
    } else {
        maas_q_unranked(q, 0, (maas_dtype)q->in[0].dtype);
    }
    return MAAS_OK;
}

/* ---- Flatten, Squeeze, Unsqueeze ---- */

static maas_status flatten_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    int64_t axis = maas_attr_i(q->node, "axis", 1);
    int64_t dims[2] = {MAAS_DIM_UNKNOWN, MAAS_DIM_UNKNOWN};
    if (x->rank >= 0) {
        if (axis < -x->rank || axis > x->rank)
            return maas_fail(err, MAAS_E_INVALID, "axis %" PRId64 " is outside of rank %d", axis,
                             x->rank);
        int at = (int)(axis < 0 ? axis + x->rank : axis);
        dims[0] = maas_dim_product(x->dims, 0, at);
        dims[1] = maas_dim_product(x->dims, at, x->rank);
    }
    maas_q_out(q, 0, (maas_dtype)x->dtype, 2, dims);
    return MAAS_OK;
}

static maas_status squeeze_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    int64_t axes[2 * MAAS_MAX_RANK], dims[MAAS_MAX_RANK];
    int n = 0, rank = 0;
    uint32_t mask = 0;
    bool given = maas_q_has(q, 1);
    if (x->rank < 0 || (given && !maas_q_ints(q, 1, axes, &n))) {
        maas_q_unranked(q, 0, (maas_dtype)x->dtype);
        return MAAS_OK;
    }
    MAAS_TRY(maas_axes(axes, n, x->rank, &mask, err));
    for (int i = 0; i < x->rank; i++) {
        if (!given && x->dims[i] < 0) { /* it may be 1 or not: the rank is not known */
            maas_q_unranked(q, 0, (maas_dtype)x->dtype);
            return MAAS_OK;
        }
        bool drop = given ? mask >> i & 1 : x->dims[i] == 1;
        if (drop && x->dims[i] >= 0 && x->dims[i] != 1)
            return maas_fail(err, MAAS_E_INVALID, "axis %d has size %" PRId64 ", not 1", i,
                             x->dims[i]);
        if (!drop)
            dims[rank++] = x->dims[i];
    }
    maas_q_out(q, 0, (maas_dtype)x->dtype, rank, dims);
    pass_known(q);
    return MAAS_OK;
}

static maas_status unsqueeze_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    int64_t axes[2 * MAAS_MAX_RANK], dims[MAAS_MAX_RANK];
    int n, from = 0;
    uint32_t mask;
    if (x->rank < 0 || !maas_q_ints(q, 1, axes, &n)) {
        maas_q_unranked(q, 0, (maas_dtype)x->dtype);
        return MAAS_OK;
    }
    if (x->rank + n > MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "rank %d, at most %d is supported", x->rank + n,
                         MAAS_MAX_RANK);
    MAAS_TRY(maas_axes(axes, n, x->rank + n, &mask, err));
    for (int i = 0; i < x->rank + n; i++)
        dims[i] = mask >> i & 1 ? 1 : x->dims[from++];
    maas_q_out(q, 0, (maas_dtype)x->dtype, x->rank + n, dims);
    pass_known(q);
    return MAAS_OK;
}

/* ---- gradients and examples ---- */

static void identity_gradient(maas_grad *g)
{
    g->din[0] = g->dout[0];
}

static void identity_example(maas_example *e)
{
    static const maas_dtype types[] = {MAAS_F32, MAAS_F64, MAAS_I64, MAAS_BOOL, MAAS_STRING};
    maas_dtype t = types[e->variant];
    maas_b_op1(e->b, "Identity", maas_ex_in(e, t, -3, 3, MAAS_DIMS(2, 3)));
}

static void reshape_example(maas_example *e)
{
    static const struct {
        int rank, n, allow_zero;
        int64_t dims[3], shape[4];
    } cases[] = {
        {2, 1, 0, {2, 6}, {-1}}, {3, 3, 0, {2, 3, 4}, {0, -1, 2}}, {1, 4, 0, {12}, {1, 2, 2, 3}},
        {2, 0, 0, {1, 1}, {0}},  {2, 2, 1, {0, 3}, {3, 0}},
    };
    int k = e->variant / 2;
    maas_vid x = maas_ex_in(e, maas_ex_float(e), -3, 3, cases[k].rank, cases[k].dims);
    maas_b_attr1(e->b, "Reshape", MAAS_A_INT("allowzero", cases[k].allow_zero), x,
                 maas_b_i64s(e->b, cases[k].shape, cases[k].n));
}

static void flatten_example(maas_example *e)
{
    static const int axes[] = {1, 0, -1, 3};
    maas_vid x = maas_ex_in(e, maas_ex_float(e), -3, 3, MAAS_DIMS(2, 3, 4));
    maas_b_attr1(e->b, "Flatten", MAAS_A_INT("axis", axes[e->variant / 2]), x, MAAS_NO_VALUE);
}

static void squeeze_example(maas_example *e)
{
    static const int64_t axes[][2] = {{0, 2}, {-2, 0}};
    maas_vid x = maas_ex_in(e, maas_ex_float(e), -3, 3, MAAS_DIMS(1, 3, 1, 2));
    if (e->variant < 4)
        maas_b_op2(e->b, "Squeeze", x, maas_b_i64s(e->b, axes[e->variant / 2], 2));
    else
        maas_b_op1(e->b, "Squeeze", x);
}

static void unsqueeze_example(maas_example *e)
{
    static const int64_t axes[][2] = {{0, 2}, {-1, 1}};
    maas_vid x = maas_ex_in(e, maas_ex_float(e), -3, 3, MAAS_DIMS(3, 2));
    maas_b_op2(e->b, "Unsqueeze", x, maas_b_i64s(e->b, axes[e->variant / 2], 2));
}

#define VIEW_FLAGS (MAAS_OP_VIEW | MAAS_OP_INPLACE | MAAS_OP_STRINGS)
static const maas_io_schema one_in[] = {MAAS_REQ("data", "T", MAAS_DTS_ALL)};
static const maas_io_schema shape_in[] = {MAAS_REQ("data", "T", MAAS_DTS_ALL),
                                          MAAS_REQ("shape", NULL, MAAS_DTS_I64)};
static const maas_io_schema any_in[] = {
    {.name = "input", .type = "T", .dtypes = MAAS_DTS_ALL, .tags = MAAS_TAGS_ANY}};
static const maas_io_schema any_out[] = {
    {.name = "output", .type = "T", .dtypes = MAAS_DTS_ALL, .tags = MAAS_TAGS_ANY}};
static const maas_io_schema squeeze_in[] = {MAAS_REQ("data", "T", MAAS_DTS_ALL),
                                            MAAS_OPT("axes", NULL, MAAS_DTS_I64)};
static const maas_io_schema unsqueeze_in[] = {MAAS_REQ("data", "T", MAAS_DTS_ALL),
                                              MAAS_REQ("axes", NULL, MAAS_DTS_I64)};
static const maas_io_schema view_out[] = {MAAS_REQ("output", "T", MAAS_DTS_ALL)};
static const maas_attr_schema axis_attr[] = {{"axis", MAAS_ATTR_INT, false}};
static const maas_attr_schema zero_attr[] = {{"allowzero", MAAS_ATTR_INT, false}};

#define VIEW(Name, version, ins, outs, attrs, count, variants, infer_fn, example_fn, gradient_fn)  \
    const maas_op maas_op_##Name = {                                                               \
        .domain = "",                                                                              \
        .name = #Name,                                                                             \
        .since = version,                                                                          \
        .flags = VIEW_FLAGS,                                                                       \
        MAAS_SCHEMA(ins, outs),                                                                    \
        .attr = attrs,                                                                             \
        .n_attr = count,                                                                           \
        .n_examples = variants,                                                                    \
        .infer = infer_fn,                                                                         \
        .reference = view_reference,                                                               \
        .flops = maas_flops_none,                                                                  \
        .example = example_fn,                                                                     \
        .gradient = gradient_fn,                                                                   \
    };

VIEW(Identity, 13, any_in, any_out, NULL, 0, 5, identity_infer, identity_example, identity_gradient)
VIEW(Reshape, 14, shape_in, view_out, zero_attr, 1, 10, reshape_infer, reshape_example,
     maas_grad_reshape)
VIEW(Flatten, 13, one_in, view_out, axis_attr, 1, 8, flatten_infer, flatten_example,
     maas_grad_reshape)
VIEW(Squeeze, 13, squeeze_in, view_out, NULL, 0, 6, squeeze_infer, squeeze_example,
     maas_grad_reshape)
VIEW(Unsqueeze, 13, unsqueeze_in, view_out, NULL, 0, 4, unsqueeze_infer, unsqueeze_example,
     maas_grad_reshape)
