/*
 * Col2Im - columns of blocks summed back into an image: x [N, C * block, places] gives
 * [N, C, image..]; an element of the image is the sum over all blocks that cover it.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

#define MAX_SPATIAL (MAAS_MAX_RANK - 2)

typedef struct axis {
    int64_t image, block, places, dilation, stride, pad;
} axis;

typedef struct plan {
    int n;
    axis a[MAX_SPATIAL];
    int64_t block, places; /* products */
} plan;

/* An attribute with one entry for each axis (two for pads); otherwise `value`. */
static maas_status entry(const maas_node *n, const char *name, int i, int of, int64_t least,
                         int64_t value, int64_t *out, maas_err *err)
{
    uint32_t count;
    const int64_t *v = maas_attr_ints(n, name, &count);
    *out = v ? 0 : value;
    if (!v)
        return MAAS_OK;
    if (count != (uint32_t)of)
        return maas_fail(err, MAAS_E_INVALID, "%s must have %d entries", name, of);
    *out = v[i];
    if (v[i] < least || v[i] > INT32_MAX)
        return maas_fail(err, MAAS_E_INVALID, "%s: %lld is out of range", name, (long long)v[i]);
    return MAAS_OK;
}

static maas_status axis_of(const maas_node *n, int i, int of, int64_t image, int64_t block, axis *a,
                           maas_err *err)
{
    int64_t end;
    if (image < 1 || block < 1 || image > 1ll << 40 || block > INT32_MAX)
        return maas_fail(err, MAAS_E_INVALID, "image_shape and block_shape must be positive");
    *a = (axis){.image = image, .block = block};
    MAAS_TRY(entry(n, "dilations", i, of, 1, 1, &a->dilation, err));
    MAAS_TRY(entry(n, "strides", i, of, 1, 1, &a->stride, err));
    MAAS_TRY(entry(n, "pads", i, 2 * of, 0, 0, &a->pad, err));
    MAAS_TRY(entry(n, "pads", i + of, 2 * of, 0, 0, &end, err));
    const int64_t room = image + a->pad + end - (a->dilation * (block - 1) + 1);
    if (room < 0)
        return maas_fail(err, MAAS_E_INVALID, "a block does not fit axis %d of the image", i);
    a->places = room / a->stride + 1;
    return MAAS_OK;
}

static maas_status plan_of(const maas_node *node, const int64_t *image, int n, const int64_t *block,
                           int n_block, plan *p, maas_err *err)
{
    if (n < 1 || n > MAX_SPATIAL || n != n_block)
        return maas_fail(err, MAAS_E_INVALID, "image_shape and block_shape have %d and %d entries",
                         n, n_block);
    *p = (plan){.n = n, .block = 1, .places = 1};
    for (int i = 0; i < n; i++) {
        MAAS_TRY(axis_of(node, i, n, image[i], block[i], &p->a[i], err));
        if (__builtin_mul_overflow(p->block, block[i], &p->block) ||
            __builtin_mul_overflow(p->places, p->a[i].places, &p->places))
            return maas_fail(err, MAAS_E_INVALID, "the blocks have too many elements");
    }
    return MAAS_OK;
}

static maas_status col2im_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    int64_t image[2 * MAAS_MAX_RANK], block[2 * MAAS_MAX_RANK], ignored;
    int n, n_block;
    plan p;
    maas_q_unranked(q, 0, (maas_dtype)x->dtype);
    if (x->rank >= 0 && x->rank != 3)
        return maas_fail(err, MAAS_E_INVALID, "the input has rank %d, not 3", x->rank);
    if (!maas_q_ints(q, 1, image, &n) || !maas_q_ints(q, 2, block, &n_block))
        return MAAS_OK;
    MAAS_TRY(plan_of(q->node, image, n, block, n_block, &p, err));
    int64_t dims[MAAS_MAX_RANK] = {MAAS_DIM_UNKNOWN, MAAS_DIM_UNKNOWN};
    for (int i = 0; i < n; i++)
        dims[i + 2] = image[i];
    if (x->rank == 3) {
        dims[0] = x->dims[0];
        MAAS_TRY(maas_dim_same(x->dims[2], p.places, &ignored, "columns and places", err));
        if (x->dims[1] >= 0 && x->dims[1] % p.block)
            return maas_fail(err, MAAS_E_INVALID, "%lld rows are no whole number of blocks of %lld",
                             (long long)x->dims[1], (long long)p.block);
        dims[1] = x->dims[1] >= 0 ? x->dims[1] / p.block : MAAS_DIM_UNKNOWN;
    }
    maas_q_out(q, 0, (maas_dtype)x->dtype, n + 2, dims);
    return MAAS_OK;
}

/* ---- reference code ---- */

/* Along one axis element `at` is covered by some pairs of place and offset in the block: the
 * shorter of both is tried one by one, the other follows. */
static int64_t n_tries(const axis *a)
{
    return a->block < a->places ? a->block : a->places;
}

static bool try_pair(const axis *a, int64_t at, int64_t k, int64_t *place, int64_t *offset)
{
    const bool by_block = a->block < a->places;
    const int64_t step = by_block ? a->dilation : a->stride;
    const int64_t other = by_block ? a->stride : a->dilation;
    const int64_t rest = at + a->pad - k * step;
    if (rest < 0 || rest % other || rest / other >= (by_block ? a->places : a->block))
        return false;
    *place = by_block ? rest / other : k;
    *offset = by_block ? k : rest / other;
    return true;
}

typedef struct total {
    double real;
    uint64_t whole; /* integers wrap */
} total;

static total sum_at(const plan *p, const maas_tensor *x, int64_t channel, const int64_t *at)
{
    int64_t k[MAX_SPATIAL] = {0};
    total t = {0};
    for (int i = 0; i >= 0;) {
        int64_t place = 0, offset = 0, a, b;
        bool covers = true;
        for (int d = 0; d < p->n && covers; d++) {
            covers = try_pair(&p->a[d], at[d], k[d], &a, &b);
            place = covers ? place * p->a[d].places + a : 0;
            offset = covers ? offset * p->a[d].block + b : 0;
        }
        const int64_t from = (channel * p->block + offset) * p->places + place;
        if (covers && maas_is_float(x->dtype))
            t.real += maas_ld(x, from);
        else if (covers)
            t.whole += (uint64_t)maas_tensor_get_i64(x, from);
        for (i = p->n - 1; i >= 0 && ++k[i] >= n_tries(&p->a[i]); i--)
            k[i] = 0;
    }
    return t;
}

static maas_status col2im_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    const int n = y->rank - 2;
    int64_t image[MAX_SPATIAL], block[MAX_SPATIAL];
    plan p;
    maas_walk w;
    MAAS_TRY(maas_ref_check(c, err));
    for (int i = 0; i < n; i++) {
        image[i] = maas_tensor_get_i64(&c->in[1], i);
        block[i] = maas_tensor_get_i64(&c->in[2], i);
    }
    MAAS_TRY(plan_of(c->node, image, n, block, n, &p, err));
    const int64_t pixels = maas_dims_product(y->dims, 2, y->rank);
    for (int64_t channel = 0; channel < y->dims[0] * y->dims[1]; channel++) {
        maas_walk_init(&w, y->dims, y->rank, ((1u << n) - 1) << 2, channel * pixels);
        for (; w.left > 0; maas_walk_step(&w)) {
            const total t = sum_at(&p, x, channel, w.idx);
            if (maas_is_float(y->dtype))
                maas_st(y, w.at, t.real);
            else
                maas_st_i64(y, w.at, (int64_t)t.whole);
        }
    }
    return MAAS_OK;
}

static int64_t col2im_flops(const maas_call *c)
{
    return maas_n_elems(&c->in[0]);
}

static void col2im_example(maas_example *e)
{
    static const struct {
        int n;
        int64_t image[3], block[3], strides[3], pads[6], dilations[3], places;
        int64_t batch;
    } rows[] = {
        {2, {5, 5}, {1, 5}, {1, 1}, {0}, {1, 1}, 5, 1},
        {2, {5, 6}, {2, 3}, {2, 1}, {1, 0, 1, 2}, {1, 2}, 3 * 4, 2},
        {3, {3, 4, 5}, {1, 2, 5}, {1, 1, 1}, {0}, {1, 1, 1}, 3 * 3, 1},
        {1, {7}, {5}, {3}, {0}, {1}, 1, 2},
        {2, {5, 5}, {1, 5}, {1, 1}, {0}, {1, 1}, 5, 0},
    };
    const int k = e->variant / 2, n = rows[k].n;
    int64_t block = 1;
    for (int i = 0; i < n; i++)
        block *= rows[k].block[i];
    const maas_attr a[] = {MAAS_A_INTS("strides", rows[k].strides, n),
                           MAAS_A_INTS("pads", rows[k].pads, 2 * n),
                           MAAS_A_INTS("dilations", rows[k].dilations, n)};
    const maas_vid in[3] = {
        maas_ex_in(e, maas_ex_float(e), -2, 2, MAAS_DIMS(rows[k].batch, 2 * block, rows[k].places)),
        maas_b_i64s(e->b, rows[k].image, n), maas_b_i64s(e->b, rows[k].block, n)};
    maas_b_node(e->b, "Col2Im", a, 3, in, 3, NULL, 1);
}

static const maas_io_schema in[] = {MAAS_REQ("input", "T", MAAS_DTS_NUMERIC),
                                    MAAS_REQ("image_shape", NULL, MAAS_DTS_I64),
                                    MAAS_REQ("block_shape", NULL, MAAS_DTS_I64)};
static const maas_io_schema out[] = {MAAS_REQ("output", "T", MAAS_DTS_NUMERIC)};
static const maas_attr_schema attrs[] = {{"dilations", MAAS_ATTR_INTS, false},
                                         {"pads", MAAS_ATTR_INTS, false},
                                         {"strides", MAAS_ATTR_INTS, false}};

const maas_op maas_op_Col2Im = {
    .domain = "",
    .name = "Col2Im",
    .since = 18,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 10,
    .tolerance = 1e-5,
    .infer = col2im_infer,
    .reference = col2im_reference,
    .flops = col2im_flops,
    .example = col2im_example,
    .no_gradient = "its inverse, blocks to columns, is no operator",
};
