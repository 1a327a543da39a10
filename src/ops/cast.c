/*
 * Cast, CastLike and BitCast between numbers and booleans. Floats to integers go toward zero; what
 * does not fit saturates at 64 bits and then wraps to the width, NaN is 0: never undefined.
 * Integers wrap. Small floats are described in tensor/small.h. Text is read as numbers; CastToText
 * (ai.maas), which Cast to strings becomes when a model is read, writes it: its bytes are new ones.
 */
#include "ops/ops_int.h"

#include "base/num.h"
#include "tensor/small.h"

#include "base/ban.h"

#define CASTABLE (MAAS_DTS_NUMERIC | MAAS_DTS_BOOL | MAAS_DTS_SMALL)

static bool rounding_of(const maas_node *n, maas_e8m0_round *out)
{
    static const char *const words[] = {
        [MAAS_E8M0_UP] = "up", [MAAS_E8M0_DOWN] = "down", [MAAS_E8M0_NEAREST] = "nearest"};
    const maas_str s = maas_attr_s(n, "round_mode", "up");
    for (size_t i = 0; i < MAAS_COUNT(words); i++)
        if (s.n == strlen(words[i]) && memcmp(s.p, words[i], s.n) == 0) {
            *out = (maas_e8m0_round)i;
            return true;
        }
    return false;
}

static maas_status cast_out(maas_infer *q, maas_dtype to, maas_err *err)
{
    maas_e8m0_round round;
    if (!rounding_of(q->node, &round))
        return maas_fail(err, MAAS_E_INVALID, "attribute 'round_mode' must be up, down or nearest");
    q->out[0] = q->in[0];
    q->out[0].dtype = (uint8_t)to;
    const maas_known *k = &q->in_known[0];
    /* Symbols as well: a size that int32 cannot hold is seen when sizes are numbers. */
    bool kept = k->n >= 0 && (to == MAAS_I64 || to == MAAS_I32);
    for (int i = 0; i < k->n && kept && to == MAAS_I32; i++)
        kept = k->v[i] == (int32_t)k->v[i];
    if (kept)
        q->out_known[0] = *k;
    return MAAS_OK;
}

static maas_status cast_infer(maas_infer *q, maas_err *err)
{
    int64_t to = maas_attr_i(q->node, "to", 0);
    if (to < 0 || to >= 32 || !(CASTABLE >> to & 1))
        return maas_fail(err, MAAS_E_UNSUPPORTED, "casting to data type %lld is not supported",
                         (long long)to);
    return cast_out(q, (maas_dtype)to, err);
}

static maas_status cast_like_infer(maas_infer *q, maas_err *err)
{
    return cast_out(q, (maas_dtype)q->in[1].dtype, err);
}

static void cast_small_float(const maas_call *c)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    const maas_dtype to = (maas_dtype)y->dtype;
    const bool saturate = maas_attr_i(c->node, "saturate", 1) != 0;
    maas_e8m0_round round = MAAS_E8M0_UP;
    rounding_of(c->node, &round);
    uint8_t *out = y->data;
    for (int64_t i = 0, n = maas_n_elems(x); i < n; i++)
        out[i] = to == MAAS_F8E8M0 ? maas_e8m0_of(maas_ld(x, i), round, saturate)
                                   : maas_small_of(to, maas_ld(x, i), saturate);
}

/* ---- text ---- */

static bool is_word(maas_span s, const char *word)
{
    size_t n = strlen(word);
    if (s.n != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((s.p[i] & ~0x20) != word[i])
            return false;
    return true;
}

/* A number, or INF, NAN in any case, with or without a sign. */
static bool number_of(maas_str text, double *out)
{
    maas_span s = maas_span_of(text.p, text.n), word = s;
    const bool minus = s.n && s.p[0] == '-';
    if (s.n && (minus || s.p[0] == '+'))
        maas_span_skip(&word, 1);
    if (is_word(word, "INF") || is_word(word, "NAN")) {
        *out = is_word(word, "NAN") ? NAN : minus ? -INFINITY : INFINITY;
        return true;
    }
    if (s.n && s.p[0] == '+')
        s = word;
    return maas_num_f64(&s, out) && !s.n;
}

static maas_status cast_text(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    const bool whole = !maas_is_float(y->dtype);
    for (int64_t i = 0, n = maas_n_elems(x); i < n; i++) {
        const maas_str text = ((const maas_str *)x->data)[i];
        maas_span s = maas_span_of(text.p, text.n);
        int64_t integer;
        double v;
        if (whole && maas_num_i64(&s, &integer) && !s.n)
            maas_st_i64(y, i, integer);
        else if (number_of(text, &v))
            maas_st(y, i, v);
        else
            return maas_fail(err, MAAS_E_INVALID, "element %lld, '%.*s', is no number",
                             (long long)i, text.n < 40 ? (int)text.n : 40, text.p);
    }
    return MAAS_OK;
}

static size_t put_number(const maas_tensor *x, int64_t i, char *out)
{
    const double v = maas_is_float(x->dtype) ? maas_ld(x, i) : 0;
    if (v != v || isinf(v)) {
        const char *word = v != v ? "NaN" : v < 0 ? "-INF" : "INF";
        memcpy(out, word, strlen(word));
        return strlen(word);
    }
    if (x->dtype == MAAS_F64)
        return maas_num_put_f64(out, v);
    if (maas_is_float(x->dtype))
        return maas_num_put_f32(out, (float)v);
    return x->dtype == MAAS_U64 ? maas_num_put_u64(out, (uint64_t)maas_tensor_get_i64(x, i))
                                : maas_num_put_i64(out, maas_tensor_get_i64(x, i));
}

static maas_status to_text_infer(maas_infer *q, maas_err *err)
{
    q->out[0] = q->in[0];
    q->out[0].dtype = MAAS_STRING;
    return MAAS_OK;
}

static maas_status to_text_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    MAAS_TRY(maas_ref_alloc(c, 0, x->rank, x->dims, err));
    maas_str *out = c->out[0].data;
    for (int64_t i = 0, n = maas_n_elems(x); i < n && out; i++) {
        char text[MAAS_NUM_MAX + 1], *copy;
        const size_t size = put_number(x, i, text);
        MAAS_TRY(maas_ref_text(c, size, &copy, err));
        memcpy(copy, text, size);
        out[i] = (maas_str){copy, size};
    }
    return MAAS_OK;
}

static void to_text_example(maas_example *e)
{
    static const maas_dtype types[] = {MAAS_F32, MAAS_F64, MAAS_I64, MAAS_U8};
    const maas_dtype t = types[e->variant];
    maas_b_op1(e->b, "CastToText", maas_ex_in(e, t, t == MAAS_U8 ? 0 : -100, 100, MAAS_DIMS(2, 3)));
}

static maas_status cast_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    const int64_t n = maas_n_elems(x);
    if (x->dtype == MAAS_STRING)
        return cast_text(c, err);
    if (x->dtype == y->dtype) {
        if (x->data != y->data)
            memcpy(y->data, x->data, maas_tensor_bytes(x));
        return MAAS_OK;
    }
    if (maas_dtype_in((maas_dtype)y->dtype, MAAS_DTS_SMALL_FLOAT)) {
        cast_small_float(c);
        return MAAS_OK;
    }
    bool whole = !maas_is_float(x->dtype) && !maas_is_float(y->dtype);
    for (int64_t i = 0; i < n; i++)
        if (whole)
            maas_st_i64(y, i, maas_tensor_get_i64(x, i));
        else
            maas_st(y, i, maas_ld(x, i));
    return MAAS_OK;
}

static void cast_gradient(maas_grad *g)
{
    g->din[0] = maas_b_op2(g->b, "CastLike", g->dout[0], g->node->in[0]);
}

/* ---- BitCast: between types of as many bits ---- */

static unsigned bits_of(maas_dtype t)
{
    return maas_dtype_describe(t)->file_bits;
}

static maas_status bitcast_infer(maas_infer *q, maas_err *err)
{
    const int64_t to = maas_attr_i(q->node, "to", 0);
    if (to < 0 || to >= 32 || !(CASTABLE >> to & 1))
        return maas_fail(err, MAAS_E_UNSUPPORTED, "data type %lld is not supported", (long long)to);
    if (bits_of((maas_dtype)to) != bits_of((maas_dtype)q->in[0].dtype))
        return maas_fail(err, MAAS_E_INVALID, "%s and %s have not as many bits",
                         maas_dtype_describe((maas_dtype)q->in[0].dtype)->onnx,
                         maas_dtype_describe((maas_dtype)to)->onnx);
    q->out[0] = q->in[0];
    q->out[0].dtype = (uint8_t)to;
    return MAAS_OK;
}

/* Elements below a byte are kept sign-extended or not, and booleans are 0 and 1. */
static maas_status bitcast_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    const maas_dtype to = (maas_dtype)y->dtype;
    if (x->data != y->data)
        memcpy(y->data, x->data, maas_tensor_bytes(x));
    uint8_t *out = y->data;
    const bool small = bits_of(to) < 8;
    for (int64_t i = 0, n = small || to == MAAS_BOOL ? maas_n_elems(y) : 0; i < n; i++)
        out[i] = small ? maas_small_wrap(to, out[i]) : out[i] != 0;
    return MAAS_OK;
}

static void bitcast_example(maas_example *e)
{
    static const maas_dtype types[][2] = {
        {MAAS_F32, MAAS_I32}, {MAAS_F64, MAAS_U64}, {MAAS_F16, MAAS_I16}, {MAAS_I8, MAAS_U8},
        {MAAS_I32, MAAS_F32}, {MAAS_I64, MAAS_F64}, {MAAS_U8, MAAS_BOOL}};
    const maas_dtype t = types[e->variant][0];
    const bool sizes = e->variant & 1;
    maas_vid x = maas_ex_in(e, t, t == MAAS_U8 ? 0 : -100, 100, sizes ? 3 : 1,
                            sizes ? (const int64_t[]){2, 3, 4} : (const int64_t[]){5});
    maas_b_attr1(e->b, "BitCast", MAAS_A_INT("to", types[e->variant][1]), x, MAAS_NO_VALUE);
}

/* ---- examples and rows ---- */

static const maas_dtype from[] = {MAAS_F32, MAAS_F64, MAAS_I32, MAAS_I64, MAAS_BOOL,
                                  MAAS_F32, MAAS_U8,  MAAS_F64, MAAS_F16, MAAS_F32,
                                  MAAS_F64, MAAS_F32, MAAS_I32, MAAS_F32, MAAS_F16};
static const maas_dtype to[] = {MAAS_F64,      MAAS_F64, MAAS_F32, MAAS_I8,     MAAS_F32,
                                MAAS_I64,      MAAS_F32, MAAS_F32, MAAS_BF16,   MAAS_BOOL,
                                MAAS_F8E4M3FN, MAAS_I4,  MAAS_U2,  MAAS_F8E8M0, MAAS_F4E2M1};

static const char *const words[] = {"1", "-2.5", "+INF", "1e3", "nan", "007"};

static void cast_example(maas_example *e)
{
    if (e->variant == MAAS_COUNT(from)) {
        maas_b_attr1(e->b, "Cast", MAAS_A_INT("to", MAAS_F32), maas_b_strings(e->b, words, 6),
                     MAAS_NO_VALUE);
        return;
    }
    maas_vid x = maas_ex_in(e, from[e->variant], from[e->variant] == MAAS_U8 ? 0 : -100, 100,
                            MAAS_DIMS(3, 4));
    maas_b_attr1(e->b, "Cast", MAAS_A_INT("to", to[e->variant]), x, MAAS_NO_VALUE);
}

static void cast_like_example(maas_example *e)
{
    maas_vid x = maas_ex_in(e, from[e->variant], from[e->variant] == MAAS_U8 ? 0 : -100, 100,
                            MAAS_DIMS(3, 4));
    maas_b_op2(e->b, "CastLike", x, maas_b_scalar(e->b, to[e->variant], 0));
}

static const maas_io_schema in[] = {MAAS_REQ("input", NULL, CASTABLE)};
static const maas_io_schema text_in[] = {MAAS_REQ("input", NULL, CASTABLE | MAAS_DTS_STR)};
static const maas_io_schema text_out[] = {MAAS_REQ("output", NULL, MAAS_DTS_STR)};
static const maas_io_schema like_in[] = {MAAS_REQ("input", NULL, CASTABLE | MAAS_DTS_STR),
                                         MAAS_REQ("target_type", "T2", CASTABLE)};
static const maas_io_schema out[] = {MAAS_REQ("output", NULL, CASTABLE)};
static const maas_io_schema like_out[] = {MAAS_REQ("output", "T2", CASTABLE)};
static const maas_attr_schema attrs[] = {{"to", MAAS_ATTR_INT, true},
                                         {"saturate", MAAS_ATTR_INT, false},
                                         {"round_mode", MAAS_ATTR_STRING, false}};

const maas_op maas_op_Cast = {
    .domain = "",
    .name = "Cast",
    .since = 13,
    .flags = MAAS_OP_STRINGS,
    MAAS_SCHEMA(text_in, out),
    MAAS_ATTRS(attrs),
    .n_examples = MAAS_COUNT(from) + 1,
    .tolerance = 1e-6,
    .infer = cast_infer,
    .reference = cast_reference,
    .flops = maas_flops_out,
    .example = cast_example,
    .gradient = cast_gradient,
};

const maas_op maas_op_CastLike = {
    .domain = "",
    .name = "CastLike",
    .since = 15,
    .flags = MAAS_OP_STRINGS,
    MAAS_SCHEMA(like_in, like_out),
    .attr = attrs + 1,
    .n_attr = 2,
    .n_examples = MAAS_COUNT(from),
    .tolerance = 1e-6,
    .infer = cast_like_infer,
    .reference = cast_reference,
    .flops = maas_flops_out,
    .example = cast_like_example,
    .gradient = cast_gradient,
};

const maas_op maas_op_BitCast = {
    .domain = "",
    .name = "BitCast",
    .since = 26,
    .flags = MAAS_OP_INPLACE,
    MAAS_SCHEMA(in, out),
    .attr = attrs,
    .n_attr = 1,
    .n_examples = 7,
    .infer = bitcast_infer,
    .reference = bitcast_reference,
    .flops = maas_flops_none,
    .example = bitcast_example,
    .no_gradient = "bits are no numbers",
};

const maas_op maas_op_CastToText = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "CastToText",
    .since = 1,
    .flags = MAAS_OP_DYNAMIC | MAAS_OP_STRINGS,
    MAAS_SCHEMA(in, text_out),
    .n_examples = 4,
    .infer = to_text_infer,
    .reference = to_text_reference,
    .flops = maas_flops_out,
    .example = to_text_example,
    .no_gradient = "text is no number",
};
