#include "ops/fused_conv.h"

#include <inttypes.h>

#include "ops/conv_int.h"
#include "tensor/small.h"

#include "base/ban.h"

/* ---- activations ---- */

const char *const maas_conv_act_names[MAAS_N_CONV_ACTS] = {
    "Relu",      "LeakyRelu",   "Clip",  "Sigmoid", "Tanh",
    "HardSwish", "HardSigmoid", "Swish", "Elu",     "Linear"};

double maas_conv_activate(const maas_conv_act *act, double x)
{
    const double a = act->a, b = act->b;
    switch (act->kind) {
    case MAAS_CONV_RELU:
        return x > 0 ? x : 0;
    case MAAS_CONV_LEAKY_RELU:
        return x > 0 ? x : a * x;
    case MAAS_CONV_CLIP:
        return fmin(fmax(x, a), b);
    case MAAS_CONV_SIGMOID:
        return 1 / (1 + exp(-x));
    case MAAS_CONV_TANH:
        return tanh(x);
    case MAAS_CONV_HARD_SWISH:
        return x * fmin(fmax(x / 6 + 0.5, 0), 1);
    case MAAS_CONV_HARD_SIGMOID:
        return fmin(fmax(a * x + b, 0), 1);
    case MAAS_CONV_SWISH:
        return x / (1 + exp(-a * x));
    case MAAS_CONV_ELU:
        return x > 0 ? x : a * expm1(x);
    default:
        return a * x + b;
    }
}

static maas_status find_act(maas_str name, maas_conv_act_kind *out, maas_err *err)
{
    for (int k = 0; k < MAAS_N_CONV_ACTS; k++)
        if (strlen(maas_conv_act_names[k]) == name.n &&
            memcmp(maas_conv_act_names[k], name.p, name.n) == 0) {
            *out = (maas_conv_act_kind)k;
            return MAAS_OK;
        }
    return maas_fail(err, MAAS_E_INVALID, "activation '%.*s' is not known",
                     (int)(name.n < 20 ? name.n : 20), name.p);
}

maas_status maas_conv_acts_read(const maas_node *node, maas_conv_act *act, int *n, maas_err *err)
{
    const maas_attr *names = maas_node_attr(node, "activations");
    const maas_attr *params = maas_node_attr(node, "params");
    *n = 0;
    if (!names)
        return MAAS_OK;
    if (names->n > MAAS_MAX_CONV_ACTS || !params || params->n != 2 * names->n)
        return maas_fail(err, MAAS_E_INVALID, "%u activations with %u params", names->n,
                         params ? params->n : 0);
    for (uint32_t i = 0; i < names->n; i++) {
        MAAS_TRY(find_act(names->u.strings[i], &act[i].kind, err));
        act[i].a = params->u.floats[2 * i];
        act[i].b = params->u.floats[2 * i + 1];
    }
    *n = (int)names->n;
    return MAAS_OK;
}

/* ---- shapes ---- */

maas_type maas_type_blocked(const maas_type *t, int64_t b)
{
    maas_type r = *t;
    if (t->rank < 0 || t->rank == MAAS_MAX_RANK)
        return r;
    r.dims[1] = t->dims[1] < 0 ? MAAS_DIM_UNKNOWN : t->dims[1] / b + (t->dims[1] % b != 0);
    r.dims[r.rank++] = b;
    return r;
}

maas_type maas_type_unblocked(const maas_type *t, int64_t channels)
{
    maas_type r = *t;
    if (t->rank > 2) {
        r.rank--;
        r.dims[1] = channels;
    }
    return r;
}

maas_status maas_check_blocks(const maas_type *t, int64_t channels, maas_err *err)
{
    const int64_t b = t->dims[t->rank - 1], n = t->dims[1];
    if (b >= 0 && b != 8 && b != 16)
        return maas_fail(err, MAAS_E_INVALID, "blocks of %" PRId64 " channels, must be 8 or 16", b);
    if (b < 0 || n < 0 || channels < 0 || n == channels / b + (channels % b != 0))
        return MAAS_OK;
    return maas_fail(err, MAAS_E_INVALID, "%" PRId64 " blocks do not hold %" PRId64 " channels", n,
                     channels);
}

static bool adds(const maas_node *n)
{
    return strcmp(n->op->name, "FusedConvAdd") == 0;
}

static maas_status fused_types(const maas_infer *q, int first, maas_type *out, maas_err *err)
{
    const maas_type *w = &q->in[first + 1];
    const int64_t block = maas_attr_i(q->node, "block", 0);
    maas_type x = q->in[first];
    int64_t groups, channels;
    maas_conv_act act[MAAS_MAX_CONV_ACTS];
    int n;
    MAAS_TRY(maas_conv_acts_read(q->node, act, &n, err));
    MAAS_TRY(maas_conv_groups(q->node, &groups, err));
    if (block != 0 && block != 8 && block != 16)
        return maas_fail(err, MAAS_E_INVALID, "block is %" PRId64 ", must be 0, 8 or 16", block);
    if (x.rank >= 0 && w->rank >= 3 && x.rank == w->rank + 1) {
        if (w->dims[1] < 0 || __builtin_mul_overflow(w->dims[1], groups, &channels))
            channels = MAAS_DIM_UNKNOWN;
        MAAS_TRY(maas_check_blocks(&x, channels, err));
        x = maas_type_unblocked(&x, channels);
    }
    const int64_t to = maas_attr_i(q->node, "to", x.dtype);
    if (to < 0 || to >= 32 || !maas_dtype_in((maas_dtype)to, MAAS_DTS_FLOAT))
        return maas_fail(err, MAAS_E_INVALID, "attribute 'to': data type %" PRId64 " is no float",
                         to);
    MAAS_TRY(maas_conv_infer(q, &x, w, (maas_dtype)to, out, err));
    if (block && out->rank == MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "too many axes for blocks");
    if (block)
        *out = maas_type_blocked(out, block);
    for (int i = 2; i < 4; i++)
        MAAS_TRY(maas_conv_vector(q, first + i, w->rank < 0 ? -1 : w->dims[0], err));
    return MAAS_OK;
}

static maas_status fused_infer(maas_infer *q, maas_err *err)
{
    return fused_types(q, 0, &q->out[0], err);
}

static maas_status add_infer(maas_infer *q, maas_err *err)
{
    MAAS_TRY(fused_types(q, 1, &q->out[0], err));
    return maas_conv_added(q, &q->out[0], err);
}

/* ---- running ---- */

static maas_tensor plain(const maas_tensor *t, bool blocked, int64_t channels)
{
    const maas_type type = maas_type_of(t), u = maas_type_unblocked(&type, channels);
    return blocked ? maas_tensor_of((maas_dtype)u.dtype, u.rank, u.dims, NULL) : *t;
}

maas_status maas_fused_conv_init(maas_fused_conv *f, const maas_call *c, maas_err *err)
{
    const int first = adds(c->node);
    *f = (maas_fused_conv){.x = &c->in[first], .w = &c->in[first + 1]};
    f->b = maas_c_in(c, first + 2);
    f->s = maas_c_in(c, first + 3);
    f->z = first ? &c->in[0] : NULL;
    f->half = f->x->dtype == MAAS_BF16 && f->w->dtype == MAAS_F32;
    const bool blocked = f->x->rank > f->w->rank;
    f->x_block = blocked ? f->x->dims[f->x->rank - 1] : 0;
    f->y_block = maas_attr_i(c->node, "block", 0);
    MAAS_TRY(maas_conv_acts_read(c->node, f->act, &f->n_acts, err));
    f->px = plain(f->x, blocked, f->w->dims[1] * maas_attr_i(c->node, "group", 1));
    f->py = plain(&c->out[0], f->y_block != 0, f->w->dims[0]);
    return maas_conv_init(&f->v, c->node, &f->px, f->w, &f->py, err);
}

/* Element of channel c at place p of picture n, in blocks or not. */
static int64_t element(const maas_tensor *t, int64_t block, int64_t channels, int64_t places,
                       int64_t n, int64_t c, int64_t p)
{
    if (!block)
        return (n * channels + c) * places + p;
    return ((n * t->dims[1] + c / block) * places + p) * block + c % block;
}

/* What a weight is multiplied with before it counts, and what it counts then. */
static double weight(const maas_fused_conv *f, int64_t m, int64_t i)
{
    const double w = maas_ld(f->w, i);
    if (!f->half)
        return w;
    const float product = (float)w * (f->s ? (float)maas_ld(f->s, m) : 1);
    return (double)maas_bf16_to_f32(maas_f32_to_bf16(product));
}

static double one_sum(const maas_fused_conv *f, int64_t n, int64_t m, const int64_t *place)
{
    const maas_conv *v = &f->v;
    const int64_t g = m / v->narrow_c, channels = v->groups * v->wide_c;
    double sum = 0;
    maas_taps t;
    for (maas_taps_init(&t, &v->w, v->wide, place); t.left; maas_taps_step(&t))
        for (int64_t c = 0; c < v->wide_c; c++)
            sum += maas_ld(f->x, element(f->x, f->x_block, channels, v->wide_n, n,
                                         g * v->wide_c + c, t.at)) *
                   weight(f, m, (m * v->wide_c + c) * v->kernel_n + t.k);
    return sum;
}

static void one_channel(const maas_fused_conv *f, const maas_tensor *y, int64_t n, int64_t m)
{
    const maas_conv *v = &f->v;
    const int64_t channels = v->groups * v->narrow_c;
    int64_t place[MAAS_WINDOW_AXES] = {0};
    for (int64_t o = 0; o < v->narrow_n; o++, maas_place_next(place, v->narrow, v->w.n)) {
        const int64_t at = element(y, f->y_block, channels, v->narrow_n, n, m, o);
        double r = 0;
        if (m < channels) {
            r = one_sum(f, n, m, place) * (f->s && !f->half ? maas_ld(f->s, m) : 1) +
                (f->b ? maas_ld(f->b, m) : 0) + (f->z ? maas_ld(f->z, at) : 0);
            for (int i = 0; i < f->n_acts; i++)
                r = maas_conv_activate(&f->act[i], r);
        }
        maas_st(y, at, r);
    }
}

static maas_status fused_reference(const maas_call *c, maas_err *err)
{
    maas_fused_conv f;
    MAAS_TRY(maas_fused_conv_init(&f, c, err));
    const maas_tensor *y = &c->out[0];
    const int64_t lanes = f.y_block ? y->dims[1] * f.y_block : y->dims[1];
    for (int64_t n = 0; n < f.v.batch; n++)
        for (int64_t m = 0; m < lanes; m++)
            one_channel(&f, y, n, m);
    return MAAS_OK;
}

static int64_t fused_flops(const maas_call *c)
{
    maas_fused_conv f;
    return maas_fused_conv_init(&f, c, NULL) == MAAS_OK ? maas_conv_flops(&f.v) : 0;
}

/* ---- examples and rows ---- */

#define N_CASES 17
static const struct {
    int group, x_block, block, bias, scale, n_acts;
    const char *act[2];
    float params[4];
    int64_t x[4], w[4];
    int64_t stride, dilation, pad;
} cases[N_CASES] = {
    {1, 0, 0, 1, 0, 1, {"Relu"}, {0}, {2, 3, 5, 6}, {4, 3, 3, 3}, 1, 1, 1},
    {1, 0, 16, 1, 1, 1, {"Clip"}, {0, 6}, {1, 3, 9, 9}, {24, 3, 3, 3}, 2, 1, 1},
    {1, 16, 16, 1, 1, 1, {"HardSwish"}, {0}, {2, 24, 5, 4}, {40, 24, 1, 1}, 1, 1, 0},
    {32, 16, 16, 1, 0, 1, {"Relu"}, {0}, {1, 32, 6, 6}, {32, 1, 3, 3}, 1, 1, 1},
    {24, 16, 16, 1, 1, 1, {"Swish"}, {1}, {1, 24, 7, 7}, {24, 1, 5, 5}, 2, 1, 2},
    {1, 16, 0, 0, 1, 1, {"LeakyRelu"}, {0.1f}, {1, 32, 4, 4}, {16, 32, 3, 3}, 1, 2, 2},
    {1,
     8,
     8,
     1,
     0,
     2,
     {"HardSigmoid", "Linear"},
     {0.2f, 0.5f, 2, 1},
     {1, 16, 5, 5},
     {24, 16, 3, 3},
     1,
     1,
     1},
    {1, 0, 8, 0, 0, 1, {"Sigmoid"}, {0}, {1, 3, 6, 6}, {8, 3, 3, 3}, 1, 1, 1},
    {16, 8, 8, 1, 1, 1, {"Tanh"}, {0}, {1, 16, 5, 5}, {16, 1, 3, 3}, 1, 1, 1},
    {1, 0, 0, 0, 1, 1, {"Elu"}, {0.5f}, {1, 2, 4, 4}, {3, 2, 2, 2}, 1, 1, 0},
    {2, 0, 0, 1, 1, 0, {NULL}, {0}, {2, 4, 4, 5}, {6, 2, 3, 3}, 1, 1, 1},
    {1, 16, 16, 1, 1, 0, {NULL}, {0}, {2, 16, 6, 5}, {16, 16, 3, 3}, 1, 1, 1},
    {1,
     16,
     16,
     0,
     0,
     2,
     {"Relu", "Linear"},
     {0, 0, 0.5f, 0.25f},
     {0, 16, 6, 5},
     {16, 16, 3, 3},
     1,
     1,
     1},
    {2, 16, 16, 1, 0, 1, {"Relu"}, {0}, {1, 64, 4, 4}, {32, 32, 3, 3}, 1, 1, 1},
    {1, 16, 16, 1, 1, 1, {"Relu"}, {0}, {1, 64, 7, 7}, {64, 64, 3, 3}, 2, 1, 1},
    {1, 8, 8, 1, 1, 1, {"Relu"}, {0}, {2, 20, 4, 3}, {12, 20, 1, 1}, 1, 1, 0},
    {1, 16, 16, 1, 1, 1, {"Relu"}, {0}, {1, 64, 10, 11}, {32, 64, 3, 3}, 1, 1, 1},
};

static maas_vid vector(maas_example *e, maas_dtype t, double lo, double hi, int64_t n)
{
    double v[64];
    for (int64_t i = 0; i < n; i++)
        v[i] = lo + (hi - lo) * maas_rng_unit(e->rng);
    return maas_b_vector(e->b, t, v, (int)n);
}

static maas_vid operand(maas_example *e, const maas_type *t, int64_t block)
{
    const maas_type x = block ? maas_type_blocked(t, block) : *t;
    return maas_ex_in(e, (maas_dtype)t->dtype, -1, 1, x.rank, x.dims);
}

/* Z with zeros behind its channels: what comes out there must be zero, too. */
static maas_vid addend(maas_example *e, const maas_type *t, int64_t block)
{
    double v[2048] = {0};
    const maas_type z = block ? maas_type_blocked(t, block) : *t;
    maas_tensor data = maas_tensor_of((maas_dtype)t->dtype, z.rank, z.dims, v);
    if (!block || t->dims[1] % block == 0)
        return operand(e, t, block);
    const int64_t places = t->dims[2] * t->dims[3], n = t->dims[0] * t->dims[1] * places;
    if (maas_n_elems(&data) > (int64_t)MAAS_COUNT(v))
        return MAAS_NO_VALUE;
    for (int64_t i = 0; i < n; i++)
        maas_st(&data,
                element(&data, block, t->dims[1], places, i / places / t->dims[1],
                        i / places % t->dims[1], i % places),
                maas_rng_unit(e->rng));
    return maas_b_const(e->b, NULL, &data);
}

static void example_of(maas_example *e, const char *op)
{
    const int k = e->variant / 2, first = strcmp(op, "FusedConvAdd") == 0;
    const maas_dtype t = maas_ex_float(e);
    const maas_str names[2] = {{cases[k].act[0], cases[k].act[0] ? strlen(cases[k].act[0]) : 0},
                               {cases[k].act[1], cases[k].act[1] ? strlen(cases[k].act[1]) : 0}};
    const int64_t s = cases[k].stride, d = cases[k].dilation, p = cases[k].pad;
    const uint32_t n = (uint32_t)cases[k].n_acts;
    const maas_attr a[] = {
        MAAS_A_INTS("strides", ((const int64_t[]){s, s}), 2),
        MAAS_A_INTS("dilations", ((const int64_t[]){d, d}), 2),
        MAAS_A_INTS("pads", ((const int64_t[]){p, p, p, p}), 4),
        MAAS_A_INT("group", cases[k].group),
        MAAS_A_INT("block", cases[k].block),
        {.name = "activations", .type = MAAS_ATTR_STRINGS, .n = n, .u.strings = names},
        {.name = "params", .type = MAAS_ATTR_FLOATS, .n = 2 * n, .u.floats = cases[k].params}};
    const maas_type x = maas_type_tensor(t, 4, cases[k].x), w = maas_type_tensor(t, 4, cases[k].w);
    const maas_node node = {.attr = (maas_attr *)(uintptr_t)a, .n_attr = 4};
    const maas_infer q = {.node = &node};
    maas_type y;
    maas_conv_infer(&q, &x, &w, t, &y, NULL);
    maas_vid in[5];
    in[first] = operand(e, &x, cases[k].x_block);
    in[first + 1] = maas_ex_in(e, t, -0.5, 0.5, 4, cases[k].w);
    in[first + 2] = cases[k].bias ? vector(e, t, -1, 1, w.dims[0]) : MAAS_NO_VALUE;
    in[first + 3] = cases[k].scale ? vector(e, t, 0.5, 2, w.dims[0]) : MAAS_NO_VALUE;
    if (first)
        in[0] = addend(e, &y, cases[k].block);
    const uint32_t n_in = cases[k].scale ? 4 : cases[k].bias ? 3 : 2;
    maas_b_node(e->b, op, a, MAAS_COUNT(a), in, n_in + (uint32_t)first, NULL, 1);
}

static void fused_example(maas_example *e)
{
    example_of(e, "FusedConv");
}

static void add_example(maas_example *e)
{
    example_of(e, "FusedConvAdd");
}

static const maas_io_schema fused_in[] = {
    MAAS_REQ("X", NULL, MAAS_DTS_FLOAT), MAAS_REQ("W", "T", MAAS_DTS_FLOAT),
    MAAS_OPT("B", "T", MAAS_DTS_FLOAT), MAAS_OPT("S", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema add_in[] = {
    MAAS_REQ("Z", NULL, MAAS_DTS_FLOAT), MAAS_REQ("X", NULL, MAAS_DTS_FLOAT),
    MAAS_REQ("W", "T", MAAS_DTS_FLOAT), MAAS_OPT("B", "T", MAAS_DTS_FLOAT),
    MAAS_OPT("S", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema out[] = {MAAS_REQ("Y", NULL, MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {
    {"auto_pad", MAAS_ATTR_STRING, false},     {"dilations", MAAS_ATTR_INTS, false},
    {"group", MAAS_ATTR_INT, false},           {"kernel_shape", MAAS_ATTR_INTS, false},
    {"pads", MAAS_ATTR_INTS, false},           {"strides", MAAS_ATTR_INTS, false},
    {"activations", MAAS_ATTR_STRINGS, false}, {"params", MAAS_ATTR_FLOATS, false},
    {"block", MAAS_ATTR_INT, false},           {"to", MAAS_ATTR_INT, false}};

const maas_op maas_op_FusedConv = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "FusedConv",
    .since = 1,
    MAAS_SCHEMA(fused_in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 2 * N_CASES,
    .tolerance = 1e-4,
    .infer = fused_infer,
    .reference = fused_reference,
    .flops = fused_flops,
    .example = fused_example,
    .no_gradient = "it is made after differentiation",
};

const maas_op maas_op_FusedConvAdd = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "FusedConvAdd",
    .since = 1,
    .flags = MAAS_OP_INPLACE,
    MAAS_SCHEMA(add_in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 2 * N_CASES,
    .tolerance = 1e-4,
    .infer = add_infer,
    .reference = fused_reference,
    .flops = fused_flops,
    .example = add_example,
    .no_gradient = "it is made after differentiation",
};
