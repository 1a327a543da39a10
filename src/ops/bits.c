/*
 * Bits of whole numbers: BitwiseAnd, BitwiseOr, BitwiseXor, BitwiseNot and BitShift. A shift by as
 * many places as the type has bits, by more, or by a negative number leaves the sign alone: -1 for
 * a negative number shifted right, otherwise 0.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

typedef uint64_t (*pair_fn)(uint64_t a, uint64_t b, int bits, bool is_signed);

static uint64_t and_of(uint64_t a, uint64_t b, int bits, bool is_signed)
{
    return a & b;
}
static uint64_t or_of(uint64_t a, uint64_t b, int bits, bool is_signed)
{
    return a | b;
}
static uint64_t xor_of(uint64_t a, uint64_t b, int bits, bool is_signed)
{
    return a ^ b;
}
/* Narrow signed numbers come sign-extended, so a negative shift is a huge one. */
static uint64_t left_of(uint64_t a, uint64_t b, int bits, bool is_signed)
{
    return b < (uint64_t)bits ? a << b : 0;
}
static uint64_t right_of(uint64_t a, uint64_t b, int bits, bool is_signed)
{
    const uint64_t sign = is_signed && (int64_t)a < 0 ? UINT64_MAX : 0;
    if (b >= (uint64_t)bits)
        return sign;
    return b ? a >> b | (sign << (64 - b)) : a;
}

static void run_pair(const maas_call *c, pair_fn fn)
{
    const maas_dtype_info *t = maas_dtype_describe((maas_dtype)c->in[0].dtype);
    const bool is_signed = t->kind == MAAS_KIND_INT;
    maas_bcast b;
    maas_bcast_init(&b, &c->out[0], c->in, 2);
    while (maas_bcast_row(&b))
        for (int64_t i = 0; i < b.inner; i++) {
            const int64_t x = maas_tensor_get_i64(&c->in[0], b.at[0] + i * b.step[0]);
            const int64_t y = maas_tensor_get_i64(&c->in[1], b.at[1] + i * b.step[1]);
            maas_st_i64(&c->out[0], b.row * b.inner + i,
                        (int64_t)fn((uint64_t)x, (uint64_t)y, t->bits, is_signed));
        }
}

static maas_status not_reference(const maas_call *c, maas_err *err)
{
    for (int64_t i = 0, n = maas_n_elems(&c->in[0]); i < n; i++)
        maas_st_i64(&c->out[0], i, ~maas_tensor_get_i64(&c->in[0], i));
    return MAAS_OK;
}

static bool says(const maas_node *n, const char *word)
{
    const maas_str s = maas_attr_s(n, "direction", "");
    return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

static maas_status shift_infer(maas_infer *q, maas_err *err)
{
    if (!says(q->node, "LEFT") && !says(q->node, "RIGHT"))
        return maas_fail(err, MAAS_E_INVALID, "attribute 'direction' must be LEFT or RIGHT");
    return maas_infer_broadcast(q, err);
}

static maas_status shift_reference(const maas_call *c, maas_err *err)
{
    run_pair(c, says(c->node, "LEFT") ? left_of : right_of);
    return MAAS_OK;
}

/* ---- examples and rows ---- */

static const maas_dtype types[] = {MAAS_U8,  MAAS_I8,  MAAS_U16, MAAS_I16,
                                   MAAS_U32, MAAS_I32, MAAS_U64, MAAS_I64};
#define N_TYPES (int)MAAS_COUNT(types)

/* Two inputs, the second one broadcast in every other variant. */
static void inputs_of(maas_example *e, double lo, double hi, maas_vid in[2])
{
    static const int64_t dims[][2] = {{3, 4}, {1, 4}};
    const maas_dtype t = types[e->variant % N_TYPES];
    const bool is_signed = maas_dtype_describe(t)->kind == MAAS_KIND_INT;
    in[0] = maas_ex_in(e, t, is_signed ? -100 : 0, 100, 2, dims[0]);
    in[1] = maas_ex_in(e, t, is_signed ? lo : 0, hi, 2, dims[e->variant & 1]);
}

static void pair_example(maas_example *e, const char *op)
{
    maas_vid in[2];
    inputs_of(e, -100, 100, in);
    maas_b_op2(e->b, op, in[0], in[1]);
}

static void not_example(maas_example *e)
{
    maas_b_op1(e->b, "BitwiseNot", maas_ex_in(e, types[e->variant], 0, 100, MAAS_DIMS(3, 4)));
}

static void shift_example(maas_example *e)
{
    const maas_attr way = MAAS_A_STR("direction", e->variant < N_TYPES ? "LEFT" : "RIGHT");
    maas_vid in[2];
    inputs_of(e, -2, 12, in);
    maas_b_node(e->b, "BitShift", &way, 1, in, 2, NULL, 1);
}

#define WHOLE_DTS (MAAS_DTS_INT | MAAS_DTS_UINT)
static const maas_io_schema in[] = {MAAS_REQ("A", "T", WHOLE_DTS), MAAS_REQ("B", "T", WHOLE_DTS)};
static const maas_io_schema out[] = {MAAS_REQ("C", "T", WHOLE_DTS)};
static const maas_io_schema shift_in[] = {MAAS_REQ("X", "T", WHOLE_DTS),
                                          MAAS_REQ("Y", "T", WHOLE_DTS)};
static const maas_io_schema shift_out[] = {MAAS_REQ("Z", "T", WHOLE_DTS)};
static const maas_io_schema not_in[] = {MAAS_REQ("X", "T", WHOLE_DTS)};
static const maas_io_schema not_out[] = {MAAS_REQ("Y", "T", WHOLE_DTS)};
static const maas_attr_schema direction[] = {{"direction", MAAS_ATTR_STRING, true}};

#define BITS(Name, fn, version, ins, outs, attrs, count, variants, infer_fn)                       \
    const maas_op maas_op_##Name = {                                                               \
        .domain = "",                                                                              \
        .name = #Name,                                                                             \
        .since = version,                                                                          \
        .flags = MAAS_OP_INPLACE,                                                                  \
        MAAS_SCHEMA(ins, outs),                                                                    \
        .attr = attrs,                                                                             \
        .n_attr = count,                                                                           \
        .n_examples = variants,                                                                    \
        .infer = infer_fn,                                                                         \
        .reference = fn##_reference,                                                               \
        .flops = maas_flops_out,                                                                   \
        .example = fn##_example,                                                                   \
        .no_gradient = "its operands are whole numbers",                                           \
    };
#define PAIR(Name, fn)                                                                             \
    static maas_status fn##_reference(const maas_call *c, maas_err *err)                           \
    {                                                                                              \
        run_pair(c, fn##_of);                                                                      \
        return MAAS_OK;                                                                            \
    }                                                                                              \
    static void fn##_example(maas_example *e)                                                      \
    {                                                                                              \
        pair_example(e, #Name);                                                                    \
    }                                                                                              \
    BITS(Name, fn, 18, in, out, NULL, 0, N_TYPES, maas_infer_broadcast)

PAIR(BitwiseAnd, and)
PAIR(BitwiseOr, or)
PAIR(BitwiseXor, xor)
BITS(BitwiseNot, not, 18, not_in, not_out, NULL, 0, N_TYPES, maas_infer_like)
BITS(BitShift, shift, 11, shift_in, shift_out, direction, 1, 2 * N_TYPES, shift_infer)
