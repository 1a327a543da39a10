/*
 * Channels in blocks (see fused_conv.h), in ai.maas: ToBlocks [N][C][d..] -> [N][ceil(C /
 * b)][d..][b], FromBlocks the other way, BlockedPool pools what lies between, BlockedRepeat gives
 * each place as often along each spatial axis as `times` says (Resize to the nearest by whole
 * numbers).
 */
#include "ops/fused_conv.h"

#include <inttypes.h>

#include "ops/ops_int.h"
#include "ops/pool_int.h"

#include "base/ban.h"

/* ---- to and from ---- */

static maas_status to_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    const int64_t b = maas_attr_i(q->node, "block", 16);
    if (b != 8 && b != 16)
        return maas_fail(err, MAAS_E_INVALID, "block is %" PRId64 ", must be 8 or 16", b);
    if (x->rank >= 0 && (x->rank < 3 || x->rank == MAAS_MAX_RANK))
        return maas_fail(err, MAAS_E_INVALID, "X has rank %d, must be [N,C,..]", x->rank);
    q->out[0] = maas_type_blocked(x, b);
    return MAAS_OK;
}

static maas_status from_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    const int64_t c = maas_attr_i(q->node, "channels", 0);
    if (x->rank >= 0 && x->rank < 4)
        return maas_fail(err, MAAS_E_INVALID, "X has rank %d, must be in blocks", x->rank);
    if (c < 0)
        return maas_fail(err, MAAS_E_INVALID, "channels is %" PRId64, c);
    q->out[0] = maas_type_unblocked(x, c);
    return x->rank < 0 ? MAAS_OK : maas_check_blocks(x, c, err);
}

/* Element (n, c, p) of both, for all channels that there are. */
static void move(const maas_tensor *plain, const maas_tensor *blocked, bool to)
{
    const int64_t c = plain->dims[1], b = blocked->dims[blocked->rank - 1], nb = blocked->dims[1];
    const int64_t places = maas_dims_product(plain->dims, 2, plain->rank);
    const int64_t n = plain->dims[0] * c * places;
    for (int64_t i = 0; i < n; i++) {
        const int64_t ch = i / places % c,
                      at = (i / places / c * nb + ch / b) * places + i % places;
        const maas_tensor *from = to ? plain : blocked, *into = to ? blocked : plain;
        const int64_t k = at * b + ch % b;
        maas_st(into, to ? k : i, maas_ld(from, to ? i : k));
    }
}

static maas_status to_reference(const maas_call *c, maas_err *err)
{
    memset(c->out[0].data, 0, maas_tensor_bytes(&c->out[0]));
    move(&c->in[0], &c->out[0], true);
    return MAAS_OK;
}

static maas_status from_reference(const maas_call *c, maas_err *err)
{
    move(&c->out[0], &c->in[0], false);
    return MAAS_OK;
}

/* ---- pooling ---- */

static bool is_max(const maas_node *n)
{
    const maas_str s = maas_attr_s(n, "kind", "Max");
    return s.n == 3 && memcmp(s.p, "Max", 3) == 0;
}

static maas_status check_kind(const maas_node *n, maas_err *err)
{
    const maas_str s = maas_attr_s(n, "kind", "Max");
    return is_max(n) || (s.n == 7 && memcmp(s.p, "Average", 7) == 0)
               ? MAAS_OK
               : maas_fail(err, MAAS_E_INVALID, "kind must be Max or Average");
}

static maas_status pool_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    MAAS_TRY(check_kind(q->node, err));
    q->out[0] = *x;
    if (x->rank < 0)
        return MAAS_OK;
    if (x->rank < 4)
        return maas_fail(err, MAAS_E_INVALID, "X has rank %d, must be in blocks", x->rank);
    const maas_type plain = maas_type_unblocked(x, x->dims[1]);
    maas_type y;
    MAAS_TRY(maas_pool_type(q, &plain, (maas_dtype)x->dtype, &y, err));
    memcpy(q->out[0].dims + 2, y.dims + 2, (size_t)(y.rank - 2) * sizeof *y.dims);
    return MAAS_OK;
}

/* One lane of one window. */
static double one(const maas_pool *p, const maas_tensor *x, int64_t at, int64_t step,
                  const int64_t *place, bool max, double n)
{
    double sum = max ? -INFINITY : 0;
    maas_taps t;
    for (maas_taps_init(&t, &p->w, p->wide, place); t.left; maas_taps_step(&t)) {
        const double v = maas_ld(x, at + t.at * step);
        sum = !max ? sum + v : v > sum || isnan(v) ? v : sum;
    }
    return max ? sum : n > 0 ? sum / n : 0;
}

static maas_status pool_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    const int64_t b = x->dims[x->rank - 1];
    const bool max = is_max(c->node), include = maas_attr_i(c->node, "count_include_pad", 0) != 0;
    maas_pool p;
    maas_tensor wide = *x, narrow = *y;
    wide.rank--;
    narrow.rank--;
    MAAS_TRY(maas_pool_init(&p, c->node, &wide, &narrow, err));
    for (int64_t i = 0; i < p.planes * b; i++) {
        const int64_t plane = i / b, lane = i % b;
        int64_t place[MAAS_WINDOW_AXES] = {0};
        for (int64_t o = 0; o < p.narrow_n; o++, maas_place_next(place, p.narrow, p.w.n))
            maas_st(y, (plane * p.narrow_n + o) * b + lane,
                    one(&p, x, plane * p.wide_n * b + lane, b, place, max,
                        max ? 0 : maas_pool_divisor(&p, place, include)));
    }
    return MAAS_OK;
}

static int64_t pool_flops(const maas_call *c)
{
    return maas_n_elems(&c->out[0]);
}

/* ---- repeating ---- */

static maas_status repeat_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    uint32_t n;
    const int64_t *times = maas_attr_ints(q->node, "times", &n);
    q->out[0] = *x;
    if (x->rank < 0)
        return MAAS_OK;
    if (x->rank < 4 || n != (uint32_t)x->rank - 3)
        return maas_fail(err, MAAS_E_INVALID, "X has rank %d, times %u numbers", x->rank, n);
    for (uint32_t i = 0; i < n; i++) {
        int64_t *d = &q->out[0].dims[i + 2];
        if (times[i] < 1)
            return maas_fail(err, MAAS_E_INVALID, "times: %" PRId64 " is not possible", times[i]);
        if (*d < 0)
            *d = times[i] == 1 ? *d : MAAS_DIM_UNKNOWN;
        else if (__builtin_mul_overflow(*d, times[i], d))
            return maas_fail(err, MAAS_E_TOO_LARGE, "spatial axis %u has too many elements", i);
    }
    return MAAS_OK;
}

static maas_status repeat_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    const size_t lanes = (size_t)x->dims[x->rank - 1] * maas_dtype_size((maas_dtype)x->dtype);
    uint32_t n;
    const int64_t *times = maas_attr_ints(c->node, "times", &n);
    const int64_t places = maas_dims_product(y->dims, 0, y->rank - 1);
    int64_t place[MAAS_MAX_RANK] = {0};
    for (int64_t i = 0; i < places; i++, maas_place_next(place, y->dims, y->rank - 1)) {
        int64_t at = place[0] * x->dims[1] + place[1];
        for (uint32_t k = 0; k < n; k++)
            at = at * x->dims[k + 2] + place[k + 2] / times[k];
        memcpy((char *)y->data + (size_t)i * lanes, (const char *)x->data + (size_t)at * lanes,
               lanes);
    }
    return MAAS_OK;
}

/* ---- examples and rows ---- */

static const struct {
    int rank, block;
    int64_t dims[4];
} shapes[] = {{4, 16, {2, 24, 3, 5}},
              {4, 8, {1, 16, 7, 7}},
              {3, 16, {2, 5, 4}},
              {4, 16, {0, 3, 2, 2}},
              {4, 8, {3, 19, 4, 4}}};

static void to_example(maas_example *e)
{
    const int k = e->variant / 2;
    const maas_vid x = maas_ex_in(e, maas_ex_float(e), -2, 2, shapes[k].rank, shapes[k].dims);
    maas_b_attr1(e->b, "ToBlocks", MAAS_A_INT("block", shapes[k].block), x, MAAS_NO_VALUE);
}

static void from_example(maas_example *e)
{
    const int k = e->variant / 2;
    const maas_type t = maas_type_tensor(maas_ex_float(e), shapes[k].rank, shapes[k].dims),
                    x = maas_type_blocked(&t, shapes[k].block);
    const maas_vid v = maas_ex_in(e, (maas_dtype)x.dtype, -2, 2, x.rank, x.dims);
    maas_b_attr1(e->b, "FromBlocks", MAAS_A_INT("channels", t.dims[1]), v, MAAS_NO_VALUE);
}

static void pool_example(maas_example *e)
{
    const int k = e->variant / 2 % MAAS_N_POOLS, max = e->variant / 2 / MAAS_N_POOLS;
    const maas_pool_case *p = &maas_pool_cases[k];
    const maas_type t = maas_type_tensor(maas_ex_float(e), p->rank, p->x),
                    x = maas_type_blocked(&t, k % 3 ? 16 : 8);
    const maas_vid v = maas_ex_in(e, (maas_dtype)x.dtype, -2, 2, x.rank, x.dims);
    maas_attr a[7];
    maas_pool_attrs(k, a);
    a[5] = MAAS_A_STR("kind", max ? "Max" : "Average");
    a[6] = MAAS_A_INT("count_include_pad", p->include);
    maas_b_node(e->b, "BlockedPool", a, 7, &v, 1, NULL, 1);
}

static void repeat_example(maas_example *e)
{
    static const int64_t times[][2] = {{2, 3}, {1, 2}, {4, 4}, {1, 1}, {8, 1}};
    const int k = e->variant / 2;
    const maas_type t = maas_type_tensor(maas_ex_float(e), shapes[k].rank, shapes[k].dims),
                    x = maas_type_blocked(&t, shapes[k].block);
    const maas_vid v = maas_ex_in(e, (maas_dtype)x.dtype, -2, 2, x.rank, x.dims);
    maas_b_attr1(e->b, "BlockedRepeat", MAAS_A_INTS("times", times[k], t.rank - 2), v,
                 MAAS_NO_VALUE);
}

static const maas_io_schema in[] = {MAAS_REQ("X", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema out[] = {MAAS_REQ("Y", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema to_attrs[] = {{"block", MAAS_ATTR_INT, false}};
static const maas_attr_schema from_attrs[] = {{"channels", MAAS_ATTR_INT, true}};
static const maas_attr_schema repeat_attrs[] = {{"times", MAAS_ATTR_INTS, true}};
static const maas_attr_schema pool_attrs[] = {{"auto_pad", MAAS_ATTR_STRING, false},
                                              {"ceil_mode", MAAS_ATTR_INT, false},
                                              {"count_include_pad", MAAS_ATTR_INT, false},
                                              {"dilations", MAAS_ATTR_INTS, false},
                                              {"kernel_shape", MAAS_ATTR_INTS, true},
                                              {"kind", MAAS_ATTR_STRING, true},
                                              {"pads", MAAS_ATTR_INTS, false},
                                              {"strides", MAAS_ATTR_INTS, false}};
#define AFTER "it is made after differentiation"

const maas_op maas_op_ToBlocks = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "ToBlocks",
    .since = 1,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(to_attrs),
    .n_examples = 2 * MAAS_COUNT(shapes),
    .infer = to_infer,
    .reference = to_reference,
    .flops = maas_flops_none,
    .example = to_example,
    .no_gradient = AFTER,
};

const maas_op maas_op_FromBlocks = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "FromBlocks",
    .since = 1,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(from_attrs),
    .n_examples = 2 * MAAS_COUNT(shapes),
    .infer = from_infer,
    .reference = from_reference,
    .flops = maas_flops_none,
    .example = from_example,
    .no_gradient = AFTER,
};

const maas_op maas_op_BlockedPool = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "BlockedPool",
    .since = 1,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(pool_attrs),
    .n_examples = 4 * MAAS_N_POOLS,
    .tolerance = 1e-5,
    .infer = pool_infer,
    .reference = pool_reference,
    .flops = pool_flops,
    .example = pool_example,
    .no_gradient = AFTER,
};

const maas_op maas_op_BlockedRepeat = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "BlockedRepeat",
    .since = 1,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(repeat_attrs),
    .n_examples = 2 * MAAS_COUNT(shapes),
    .infer = repeat_infer,
    .reference = repeat_reference,
    .flops = maas_flops_none,
    .example = repeat_example,
    .no_gradient = AFTER,
};
