/*
 * GatherBlockQuantized (com.microsoft): Gather of rows of a table in codes, then
 * (code - zero point) * scale. Blocks lie along one axis of the table. Codes are int4, uint4, small
 * floats (without zero points), or bytes that hold `bits` each, packed along the last axis. An
 * index outside of the table gives zeros.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

enum { DATA, INDICES, SCALES, ZEROS };

typedef struct table {
    int rank, gather, blocked;     /* axes                                               */
    int bits;                      /* of a code in a byte; 0: elements are codes         */
    int64_t block;                 /* codes along `blocked` that share; 0: all           */
    int64_t dims[MAAS_MAX_RANK];   /* in codes                                           */
    int64_t blocks[MAAS_MAX_RANK]; /* of the scales, where known from these              */
} table;

static maas_status read_attrs(const maas_node *n, const maas_type *data, table *t, maas_err *err)
{
    const bool is_real = maas_is_float(data->dtype);
    const int64_t bits = maas_attr_i(n, "bits", 4);
    t->block = maas_attr_i(n, "block_size", 128);
    if ((t->block < 16 && !(t->block == 0 && is_real)) || (t->block & (t->block - 1)))
        return maas_fail(err, MAAS_E_INVALID, "block_size %lld is no power of two from 16 on",
                         (long long)t->block);
    if (data->dtype == MAAS_U8 && bits != 2 && bits != 4 && bits != 8)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "codes of %lld bits in bytes", (long long)bits);
    t->bits = data->dtype == MAAS_U8 ? (int)bits : 0;
    t->rank = data->rank;
    if (data->rank < 0)
        return MAAS_OK;
    if (data->rank == 0)
        return maas_fail(err, MAAS_E_INVALID, "the table is a scalar");
    MAAS_TRY(maas_axis(maas_attr_i(n, "gather_axis", 0), data->rank, &t->gather, err));
    MAAS_TRY(maas_axis(maas_attr_i(n, "quantize_axis", 1), data->rank, &t->blocked, err));
    if (t->bits && (t->gather != 0 || (t->bits < 8 && t->blocked == 0)))
        return maas_fail(err, MAAS_E_INVALID,
                         "a table of bytes is gathered along axis 0 and blocked along another");
    return MAAS_OK;
}

static maas_status read_table(const maas_node *n, const maas_type *data, table *t, maas_err *err)
{
    MAAS_TRY(read_attrs(n, data, t, err));
    for (int i = 0; i < data->rank; i++) {
        t->dims[i] = data->dims[i];
        if (i == data->rank - 1 && t->bits && data->dims[i] >= 0 &&
            __builtin_mul_overflow(data->dims[i], 8 / t->bits, &t->dims[i]))
            return maas_fail(err, MAAS_E_TOO_LARGE, "the table has too many columns");
        t->blocks[i] = t->dims[i];
        if (i == t->blocked && t->dims[i] >= 0)
            t->blocks[i] = !t->block ? 1 : t->dims[i] / t->block + (t->dims[i] % t->block != 0);
    }
    return MAAS_OK;
}

/* ---- shapes ---- */

static bool unequal(int64_t a, int64_t b)
{
    return a >= 0 && b >= 0 && a != b;
}

static maas_status check_scales(const maas_infer *q, const table *t, maas_err *err)
{
    const maas_type *s = &q->in[SCALES], *z = &q->in[ZEROS];
    const bool is_real = maas_is_float(q->in[DATA].dtype), has = maas_q_has(q, ZEROS);
    if (has && is_real)
        return maas_fail(err, MAAS_E_INVALID, "a table of floats has no zero points");
    if ((s->rank >= 0 && s->rank != t->rank) || (has && z->rank >= 0 && z->rank != t->rank))
        return maas_fail(err, MAAS_E_INVALID, "scales and zero points must have the table's rank");
    for (int i = 0; i < t->rank; i++) {
        int64_t zero = t->blocks[i];
        if (i == t->rank - 1 && t->bits && zero >= 0)
            zero = (zero * t->bits + 7) / 8;
        const bool spread = is_real && i != t->blocked && s->dims[i] == 1;
        if (s->rank >= 0 && !spread && unequal(s->dims[i], t->blocks[i]))
            return maas_fail(err, MAAS_E_INVALID, "axis %d has %lld scales, not %lld", i,
                             (long long)s->dims[i], (long long)t->blocks[i]);
        if (has && z->rank >= 0 && unequal(z->dims[i], zero))
            return maas_fail(err, MAAS_E_INVALID, "axis %d has %lld zero points, not %lld", i,
                             (long long)z->dims[i], (long long)zero);
    }
    return MAAS_OK;
}

static maas_status gather_infer(maas_infer *q, maas_err *err)
{
    const maas_type *data = &q->in[DATA], *at = &q->in[INDICES];
    int64_t dims[MAAS_MAX_RANK];
    int n = 0;
    table t = {0};
    MAAS_TRY(read_table(q->node, data, &t, err));
    maas_q_unranked(q, 0, (maas_dtype)q->in[SCALES].dtype);
    if (data->rank < 0)
        return MAAS_OK;
    MAAS_TRY(check_scales(q, &t, err));
    if (at->rank < 0)
        return MAAS_OK;
    if (t.rank - 1 + at->rank > MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "the result has rank %d, at most %d is supported",
                         t.rank - 1 + at->rank, MAAS_MAX_RANK);
    for (int i = 0; i < t.gather; i++)
        dims[n++] = t.dims[i];
    for (int i = 0; i < at->rank; i++)
        dims[n++] = at->dims[i];
    for (int i = t.gather + 1; i < t.rank; i++)
        dims[n++] = t.dims[i];
    maas_q_out(q, 0, (maas_dtype)q->in[SCALES].dtype, n, dims);
    return MAAS_OK;
}

/* ---- running ---- */

/* Element `at` of rows of `n` codes, packed or not. */
static double code(const maas_tensor *x, const table *t, int64_t row, int64_t n, int64_t column)
{
    if (!t->bits)
        return maas_ld(x, row * n + column);
    const int64_t bytes = (n * t->bits + 7) / 8, bit = column * t->bits;
    const uint8_t byte = ((const uint8_t *)x->data)[row * bytes + bit / 8];
    return byte >> bit % 8 & ((1u << t->bits) - 1);
}

static double value(const maas_call *c, const table *t, int64_t at)
{
    const maas_tensor *scales = &c->in[SCALES], *zeros = maas_c_in(c, ZEROS);
    const int last = t->rank - 1;
    const int64_t n = t->dims[last];
    int64_t rest = at, step = 1, s = 0, z_row = 0, z_column = 0, z_step = 1;
    for (int i = last; i >= 0; i--) {
        const int64_t here = rest % t->dims[i];
        const int64_t block = i == t->blocked ? (t->block ? here / t->block : 0) : here;
        rest /= t->dims[i];
        s += (scales->dims[i] == 1 ? 0 : block) * step;
        step *= scales->dims[i];
        if (i == last) {
            z_column = block;
        } else {
            z_row += block * z_step;
            z_step *= t->blocks[i];
        }
    }
    const double zero = zeros     ? code(zeros, t, z_row, t->blocks[last], z_column)
                        : t->bits ? 1 << (t->bits - 1)
                                  : 0;
    return (code(&c->in[DATA], t, at / n, n, at % n) - zero) * maas_ld(scales, s);
}

static maas_status gather_reference(const maas_call *c, maas_err *err)
{
    const maas_type data = maas_type_of(&c->in[DATA]);
    table t = {0};
    MAAS_TRY(maas_ref_check(c, err));
    MAAS_TRY(read_table(c->node, &data, &t, err));
    const int64_t rows = t.dims[t.gather], n = maas_n_elems(&c->in[INDICES]);
    const int64_t outer = maas_dims_product(t.dims, 0, t.gather);
    const int64_t inner = maas_dims_product(t.dims, t.gather + 1, t.rank);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < n; i++) {
            int64_t row = maas_tensor_get_i64(&c->in[INDICES], i);
            row = row < 0 ? row + rows : row;
            for (int64_t k = 0; k < inner; k++)
                maas_st(&c->out[0], (o * n + i) * inner + k,
                        row < 0 || row >= rows ? 0 : value(c, &t, (o * rows + row) * inner + k));
        }
    return MAAS_OK;
}

/* ---- examples and rows ---- */

static const struct example {
    maas_dtype t, out;
    int rank, gather, blocked, bits;
    int64_t dims[3], scales[3], zeros[3], block;
    bool has_zeros;
} examples[] = {
    {MAAS_U8, MAAS_F32, 2, 0, 1, 4, {5, 24}, {5, 3}, {5, 2}, 16, true},
    {MAAS_U8, MAAS_F32, 2, 0, 1, 8, {4, 40}, {4, 3}, {4, 3}, 16, false},
    {MAAS_U8, MAAS_F16, 3, 0, 1, 2, {3, 20, 2}, {3, 2, 8}, {3, 2, 2}, 16, true},
    {MAAS_I4, MAAS_F32, 2, 1, 1, 4, {3, 40}, {3, 2}, {3, 2}, 32, true},
    {MAAS_U4, MAAS_F32, 3, 2, 0, 4, {17, 2, 3}, {2, 2, 3}, {2, 2, 3}, 16, true},
    {MAAS_I4, MAAS_BF16, 2, 0, 1, 4, {3, 16}, {3, 1}, {3, 1}, 16, false},
    {MAAS_F8E4M3FN, MAAS_F32, 2, 0, 1, 0, {6, 33}, {1, 1}, {0}, 0, false},
    {MAAS_F4E2M1, MAAS_F32, 2, 0, 1, 0, {6, 33}, {6, 3}, {0}, 16, false},
};

static maas_vid constant(maas_example *e, maas_dtype t, int rank, const int64_t *dims, double lo,
                         double hi)
{
    uint64_t cells[256];
    maas_tensor x = maas_tensor_of(t, rank, dims, cells);
    MAAS_CHECK(maas_tensor_bytes(&x) <= sizeof cells);
    for (int64_t i = 0, n = maas_n_elems(&x); i < n; i++)
        maas_tensor_set(&x, i, lo + (hi - lo) * maas_rng_unit(e->rng));
    return maas_b_const(e->b, NULL, &x);
}

static void gather_example(maas_example *e)
{
    const struct example *x = &examples[e->variant];
    const double lo = x->t == MAAS_I4 ? -8 : x->t == MAAS_U8 || x->t == MAAS_U4 ? 0 : -5;
    const double hi = x->t == MAAS_U8 ? 256 : x->t == MAAS_U4 ? 16 : x->t == MAAS_I4 ? 8 : 5;
    const double n = (double)x->dims[x->gather];
    const maas_attr attr[] = {MAAS_A_INT("gather_axis", x->gather),
                              MAAS_A_INT("quantize_axis", x->blocked),
                              MAAS_A_INT("block_size", x->block), MAAS_A_INT("bits", x->bits)};
    maas_vid in[4];
    in[DATA] = constant(e, x->t, x->rank, x->dims, lo, hi);
    in[INDICES] = maas_ex_in(e, e->variant & 1 ? MAAS_I32 : MAAS_I64, -n, n + 1, MAAS_DIMS(2, 3));
    in[SCALES] = constant(e, x->out, x->rank, x->scales, 0.01, 0.1);
    if (x->has_zeros)
        in[ZEROS] = constant(e, x->t, x->rank, x->zeros, lo, hi);
    maas_b_node(e->b, "GatherBlockQuantized", attr, x->bits ? 4 : 3, in, x->has_zeros ? 4 : 3, NULL,
                1);
}

#define CODES (MAAS_DT_BIT(MAAS_U8) | MAAS_DTS_INT4 | MAAS_DTS_F8 | MAAS_DT_BIT(MAAS_F4E2M1))
#define REALS (MAAS_DT_BIT(MAAS_F32) | MAAS_DT_BIT(MAAS_F16) | MAAS_DT_BIT(MAAS_BF16))
static const maas_io_schema in[] = {
    MAAS_REQ("data", "T1", CODES), MAAS_REQ("indices", NULL, MAAS_DTS_INDEX),
    MAAS_REQ("scales", "T2", REALS), MAAS_OPT("zero_points", "T1", CODES)};
static const maas_io_schema out[] = {MAAS_REQ("output", "T2", REALS)};
static const maas_attr_schema attrs[] = {{"gather_axis", MAAS_ATTR_INT, false},
                                         {"quantize_axis", MAAS_ATTR_INT, false},
                                         {"block_size", MAAS_ATTR_INT, false},
                                         {"bits", MAAS_ATTR_INT, false}};

const maas_op maas_op_GatherBlockQuantized = {
    .domain = MAAS_DOMAIN_MS,
    .name = "GatherBlockQuantized",
    .since = 1,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = MAAS_COUNT(examples),
    .tolerance = 1e-6,
    .infer = gather_infer,
    .reference = gather_reference,
    .flops = maas_flops_out,
    .example = gather_example,
    .no_gradient = "its table is codes",
};
