/*
 * The lowest opset that can say a node. An operator is written in the form it has since op->since;
 * a row here says that an older opset has the same form, or one that says the same, under a
 * condition. The reverse of onnx_upgrade.c.
 */
#include "formats/onnx_int.h"

#include "base/ban.h"

typedef bool (*condition)(const maas_graph *g, const maas_node *n);

static bool always(const maas_graph *g, const maas_node *n)
{
    return true;
}

/* Small integers came later than these in the sets of element types. */
static bool of_floats(const maas_graph *g, const maas_node *n)
{
    uint8_t t = n->n_in && n->in[0] != MAAS_NO_VALUE ? g->values[n->in[0]].type.dtype : 0;
    return t == MAAS_F32 || t == MAAS_F64 || t == MAAS_F16;
}

static bool of_full_floats(const maas_graph *g, const maas_node *n)
{
    return of_floats(g, n) && g->values[n->in[0]].type.dtype != MAAS_F16;
}

static bool not_text(const maas_graph *g, const maas_node *n)
{
    uint8_t t = n->n_in && n->in[0] != MAAS_NO_VALUE ? g->values[n->in[0]].type.dtype : 0;
    return t && t != MAAS_STRING;
}

static bool says(const maas_node *n, const char *attr, const char *word)
{
    maas_str s = maas_attr_s(n, attr, "");
    return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

static bool pads_all_axes(const maas_graph *g, const maas_node *n)
{
    return n->n_in < 4 && !says(n, "mode", "wrap");
}

static bool overwrites(const maas_graph *g, const maas_node *n)
{
    return !maas_node_attr(n, "reduction") || says(n, "reduction", "none");
}

static bool for_inference(const maas_graph *g, const maas_node *n)
{
    return of_floats(g, n) && n->n_out == 1 && maas_attr_i(n, "training_mode", 0) == 0;
}

static bool no_zero_sizes(const maas_graph *g, const maas_node *n)
{
    return maas_attr_i(n, "allowzero", 0) == 0;
}

static bool no_attributes(const maas_graph *g, const maas_node *n)
{
    return n->n_attr == 0;
}

/* An attribute cannot depend on data, and has no way to say "no axes at all". */
static bool fixed_axes(const maas_graph *g, const maas_node *n)
{
    bool noop = maas_attr_i(n, "noop_with_empty_axes", 0) != 0;
    if (!of_floats(g, n))
        return false;
    if (n->n_in < 2 || n->in[1] == MAAS_NO_VALUE)
        return !noop;
    const maas_value *axes = &g->values[n->in[1]];
    return (axes->flags & MAAS_VALUE_CONST) && (!noop || maas_n_elems(&axes->init) > 0);
}

/* Sizes as an input, or equal parts: the older form cannot say a smaller last part. */
static bool equal_parts(const maas_graph *g, const maas_node *n)
{
    if (n->n_in > 1 && n->in[1] != MAAS_NO_VALUE)
        return true;
    const maas_type *t = &g->values[n->in[0]].type;
    int64_t axis = maas_attr_i(n, "axis", 0);
    if (axis < 0)
        axis += t->rank;
    return axis >= 0 && axis < t->rank && t->dims[axis] > 0 && t->dims[axis] % n->n_out == 0;
}

static bool truncates_or_whole(const maas_graph *g, const maas_node *n)
{
    return maas_attr_i(n, "fmod", 0) == 1 ||
           !(MAAS_DTS_FLOAT & MAAS_DT_BIT(g->values[n->in[0]].type.dtype));
}

static bool scale_is_like_data(const maas_graph *g, const maas_node *n)
{
    return g->values[n->in[0]].type.dtype == g->values[n->in[1]].type.dtype;
}

static const struct lowering {
    const char *op; /* default domain */
    int since;
    condition holds;
    const char *drop; /* attribute that the older form does not have */
    bool axes;        /* input 1 becomes the attribute "axes" */
} lowerings[] = {
    {"Add", 7, of_floats, NULL, false},
    {"Sub", 7, of_floats, NULL, false},
    {"Mul", 7, of_floats, NULL, false},
    {"Div", 7, of_floats, NULL, false},
    {"Relu", 6, of_floats, NULL, false},
    {"LeakyRelu", 6, of_floats, NULL, false},
    {"PRelu", 9, of_floats, NULL, false},
    {"Where", 9, always, NULL, false},
    {"GreaterOrEqual", 12, of_floats, NULL, false},
    {"LessOrEqual", 12, of_floats, NULL, false},
    {"Pow", 13, of_floats, NULL, false},
    {"CumSum", 11, of_full_floats, NULL, false},
    {"Equal", 13, not_text, NULL, false},
    {"Pad", 13, pads_all_axes, NULL, false},
    {"ScatterElements", 13, overwrites, "reduction", false},
    {"ScatterND", 13, overwrites, "reduction", false},
    {"BatchNormalization", 9, for_inference, "training_mode", false},
    {"Reshape", 5, no_zero_sizes, "allowzero", false},
    {"Mod", 13, truncates_or_whole, NULL, false},
    {"QuantizeLinear", 13, scale_is_like_data, NULL, false},
    {"Shape", 13, no_attributes, NULL, false},
    {"Split", 13, equal_parts, "num_outputs", false},
    {"ReduceL1", 13, fixed_axes, "noop_with_empty_axes", true},
    {"ReduceL2", 13, fixed_axes, "noop_with_empty_axes", true},
    {"ReduceLogSum", 13, fixed_axes, "noop_with_empty_axes", true},
    {"ReduceLogSumExp", 13, fixed_axes, "noop_with_empty_axes", true},
    {"ReduceMax", 13, fixed_axes, "noop_with_empty_axes", true},
    {"ReduceMean", 13, fixed_axes, "noop_with_empty_axes", true},
    {"ReduceMin", 13, fixed_axes, "noop_with_empty_axes", true},
    {"ReduceProd", 13, fixed_axes, "noop_with_empty_axes", true},
    {"ReduceSumSquare", 13, fixed_axes, "noop_with_empty_axes", true},
};

static const struct lowering *row_of(const maas_graph *g, const maas_node *n)
{
    for (size_t i = 0; !*n->op->domain && i < MAAS_COUNT(lowerings); i++)
        if (strcmp(lowerings[i].op, n->op->name) == 0)
            return lowerings[i].holds(g, n) ? &lowerings[i] : NULL;
    return NULL;
}

/* Element types that came after the form of op->since, of any input or output. */
static const struct widening {
    const char *op; /* default domain; NULL: every operator of it */
    maas_dtypes types;
    int since;
} widenings[] = {
    {NULL, MAAS_DTS_F8, 19},
    {NULL, MAAS_DTS_INT4, 21},
    {NULL, MAAS_DT_BIT(MAAS_F4E2M1), 23},
    {NULL, MAAS_DT_BIT(MAAS_F8E8M0), 24},
    {NULL, MAAS_DTS_INT2, 25},
    {NULL, MAAS_DTS_F6, 28},
    {"Flatten", MAAS_DTS_F8, 21},
    {"Pad", MAAS_DTS_F8, 21},
    {"Squeeze", MAAS_DTS_F8, 21},
    {"Unsqueeze", MAAS_DTS_F8, 21},
    {"Transpose", MAAS_DTS_F8, 21},
    {"ConstantOfShape", MAAS_DTS_F8, 20},
    {"IsNaN", MAAS_DTS_F8, 20},
    {"IsInf", MAAS_DTS_F8, 20},
    {"Dropout", MAAS_DTS_F8, 22},
    {"QuantizeLinear", MAAS_DT_BIT(MAAS_F16) | MAAS_DT_BIT(MAAS_BF16), 19},
    {"QuantizeLinear", MAAS_DT_BIT(MAAS_I16) | MAAS_DT_BIT(MAAS_U16), 21},
    {"DequantizeLinear", MAAS_DT_BIT(MAAS_F16) | MAAS_DT_BIT(MAAS_BF16), 19},
    {"DequantizeLinear", MAAS_DT_BIT(MAAS_I16) | MAAS_DT_BIT(MAAS_U16), 21},
    {"QLinearMatMul", MAAS_DT_BIT(MAAS_F16) | MAAS_DT_BIT(MAAS_BF16) | MAAS_DTS_F8, 21},
    {"Sin", MAAS_DT_BIT(MAAS_BF16), 22},
    {"Cos", MAAS_DT_BIT(MAAS_BF16), 22},
    {"Round", MAAS_DT_BIT(MAAS_BF16), 22},
    {"Elu", MAAS_DT_BIT(MAAS_BF16), 22},
    {"Selu", MAAS_DT_BIT(MAAS_BF16), 22},
    {"Softplus", MAAS_DT_BIT(MAAS_BF16), 22},
    {"Softsign", MAAS_DT_BIT(MAAS_BF16), 22},
    {"HardSigmoid", MAAS_DT_BIT(MAAS_BF16), 22},
    {"HardSwish", MAAS_DT_BIT(MAAS_BF16), 22},
    {"ThresholdedRelu", MAAS_DT_BIT(MAAS_BF16), 22},
    {"NegativeLogLikelihoodLoss", MAAS_DT_BIT(MAAS_BF16), 22},
    {"IsInf", MAAS_DT_BIT(MAAS_F16) | MAAS_DT_BIT(MAAS_BF16), 20},
    {"ConstantOfShape", MAAS_DT_BIT(MAAS_BF16), 20},
    {"EyeLike", MAAS_DT_BIT(MAAS_BF16), 22},
    {"GridSample", MAAS_DT_BIT(MAAS_BF16), 22},
    {"RoiAlign", MAAS_DT_BIT(MAAS_BF16), 22},
    {"MaxRoiPool", MAAS_DT_BIT(MAAS_BF16), 22},
    {"DeformConv", MAAS_DT_BIT(MAAS_BF16), 22},
    {"Tan", MAAS_DT_BIT(MAAS_BF16), 22},
    {"Acos", MAAS_DT_BIT(MAAS_BF16), 22},
    {"Asin", MAAS_DT_BIT(MAAS_BF16), 22},
    {"Atan", MAAS_DT_BIT(MAAS_BF16), 22},
    {"Sinh", MAAS_DT_BIT(MAAS_BF16), 22},
    {"Cosh", MAAS_DT_BIT(MAAS_BF16), 22},
    {"Asinh", MAAS_DT_BIT(MAAS_BF16), 22},
    {"Acosh", MAAS_DT_BIT(MAAS_BF16), 22},
    {"Atanh", MAAS_DT_BIT(MAAS_BF16), 22},
    {"Det", MAAS_DT_BIT(MAAS_BF16), 22},
    {"Mish", MAAS_DT_BIT(MAAS_BF16), 22},
    {"RandomNormal", MAAS_DT_BIT(MAAS_BF16), 22},
    {"RandomUniform", MAAS_DT_BIT(MAAS_BF16), 22},
    {"RandomNormalLike", MAAS_DT_BIT(MAAS_BF16), 22},
    {"RandomUniformLike", MAAS_DT_BIT(MAAS_BF16), 22},
    {"Bernoulli", MAAS_DT_BIT(MAAS_BF16), 22},
    {"Multinomial", MAAS_DT_BIT(MAAS_BF16), 22},
    {"Celu", MAAS_DT_BIT(MAAS_BF16) | MAAS_DT_BIT(MAAS_F16) | MAAS_DT_BIT(MAAS_F64), 28},
    {"BitShift", MAAS_DTS_INT, 28},
    {"ReverseSequence", MAAS_DT_BIT(MAAS_BF16), 28},
    {"Unique", MAAS_DT_BIT(MAAS_BF16), 28},
    {"TopK", MAAS_DT_BIT(MAAS_BF16), 24},
    {"OneHot", MAAS_DT_BIT(MAAS_BF16), 28},
    {"Range", MAAS_DT_BIT(MAAS_F16) | MAAS_DT_BIT(MAAS_BF16), 27},
};

static maas_dtypes types_of(const maas_graph *g, const maas_vid *v, uint32_t n)
{
    maas_dtypes types = 0;
    for (uint32_t i = 0; i < n; i++)
        if (v[i] != MAAS_NO_VALUE)
            types |= MAAS_DT_BIT(g->values[v[i]].type.dtype);
    return types;
}

static int widened(const maas_graph *g, const maas_node *n)
{
    const maas_dtypes types = types_of(g, n->in, n->n_in) | types_of(g, n->out, n->n_out);
    int since = 0;
    for (size_t i = 0; !*n->op->domain && i < MAAS_COUNT(widenings); i++)
        if ((types & widenings[i].types) && since < widenings[i].since &&
            (!widenings[i].op || strcmp(widenings[i].op, n->op->name) == 0))
            since = widenings[i].since;
    return since;
}

/* Attributes that came after the form of op->since. */
static const struct later {
    const char *domain, *op, *attr;
    int since;
    const char *value; /* text that came later than the attribute; NULL: the attribute itself */
} laters[] = {
    {"", "Pad", "mode", 19, "wrap"},
    {"", "SpaceToDepth", "mode", 28},
    {"", "Cast", "saturate", 19},
    {"", "Cast", "round_mode", 24},
    {"", "CastLike", "saturate", 19},
    {"", "CastLike", "round_mode", 24},
    {"", "Range", "stash_type", 27},
    {"", "QuantizeLinear", "saturate", 19},
    {"", "QuantizeLinear", "block_size", 21},
    {"", "QuantizeLinear", "output_dtype", 21},
    {"", "QuantizeLinear", "precision", 23},
    {"", "DequantizeLinear", "block_size", 21},
    {"", "DequantizeLinear", "output_dtype", 23},
    {MAAS_DOMAIN_ML, "LabelEncoder", "keys_tensor", 4},
    {MAAS_DOMAIN_ML, "LabelEncoder", "values_tensor", 4},
    {MAAS_DOMAIN_ML, "LabelEncoder", "default_tensor", 4},
};

static bool needs(const maas_node *n, const struct later *l)
{
    return l->value ? says(n, l->attr, l->value) : maas_node_attr(n, l->attr) != NULL;
}

static int with_attributes(const maas_node *n)
{
    int since = 0;
    for (size_t i = 0; i < MAAS_COUNT(laters); i++)
        if (since < laters[i].since && strcmp(laters[i].op, n->op->name) == 0 &&
            strcmp(laters[i].domain, n->op->domain) == 0 && needs(n, &laters[i]))
            since = laters[i].since;
    return since;
}

int maas_onnx_lowest(const maas_graph *g, const maas_node *n)
{
    const struct lowering *row = row_of(g, n);
    int form = row && row->since < n->op->since ? row->since : n->op->since;
    const int attributes = with_attributes(n);
    form = form > attributes ? form : attributes;
    const int types = widened(g, n);
    return form > types ? form : types;
}

maas_onnx_form maas_onnx_form_of(const maas_graph *g, const maas_node *n, int opset)
{
    maas_onnx_form form = {.n_in = (uint32_t)(n->n_in - n->n_captured)};
    const struct lowering *row = opset < n->op->since ? row_of(g, n) : NULL;
    if (!row)
        return form;
    form.drop = row->drop;
    if (row->axes && opset < 18) { /* ReduceMax of 18 and 19 has the input, too */
        form.n_in = 1;
        if (n->n_in > 1 && n->in[1] != MAAS_NO_VALUE)
            form.axes = &g->values[n->in[1]].init;
    }
    return form;
}
