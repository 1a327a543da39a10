/*
 * The forms of opsets 1 to 6, which the first exporters wrote, to those of opset 7. Attributes that
 * only said how to optimise go; broadcasting by an axis becomes a shape that broadcasts as NumPy
 * has it.
 */
#include "formats/onnx_int.h"

#include <inttypes.h>

#include "ops/build.h"
#include "base/ban.h"

/* Nodes looked at while asking for ranks, over the whole model: each question infers what was read
 * so far. */
#define MAX_LOOKED_AT (1u << 24)

/* What a node said beside its meaning; `is_test` is always so here. */
static maas_status drop_hints(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    static const char *const names[] = {"consumed_inputs", "is_test", "output_sequence"};
    for (size_t i = 0; i < MAAS_COUNT(names); i++) {
        const maas_attr *a = maas_onnx_attr_find(n, names[i]);
        if (a)
            maas_onnx_attr_drop(n, a);
    }
    return MAAS_OK;
}

static maas_status rank_of(maas_onnx_reader *r, maas_graph *g, maas_vid v, int *out)
{
    if (v < 0)
        return maas_fail(r->err, MAAS_E_FORMAT, "an input is missing");
    if (maas_graph_at(g, v)->type.rank < 0 || maas_graph_at(g, v)->type.tag != MAAS_TYPE_TENSOR) {
        r->looked_at += g->n_nodes;
        if (r->looked_at > MAX_LOOKED_AT)
            return maas_fail(r->err, MAAS_E_TOO_LARGE, "too many nodes broadcast by an axis");
        MAAS_TRY(maas_graph_infer(g, r->err));
    }
    *out = maas_graph_at(g, v)->type.tag == MAAS_TYPE_TENSOR ? maas_graph_at(g, v)->type.rank : -1;
    return *out >= 0 ? MAAS_OK
                     : maas_fail(r->err, MAAS_E_UNSUPPORTED,
                                 "the number of dimensions of '%.100s' must be known in opsets "
                                 "before 7",
                                 maas_graph_at(g, v)->name);
}

/* Ones behind the shape of input `k`, so that it ends at axis `from + its rank` of `rank`. */
static maas_status put_at_axis(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n, uint32_t k,
                               int64_t from, int rank)
{
    int own = 0;
    int64_t axes[MAAS_MAX_RANK];
    MAAS_TRY(rank_of(r, g, n->in[k], &own));
    const int64_t behind = rank - from - own;
    if (behind <= 0)
        return MAAS_OK;
    for (int64_t i = 0; i < behind; i++)
        axes[i] = own + i;
    const maas_tensor t = maas_tensor_of(MAAS_I64, 1, &behind, axes);
    maas_vid in[2] = {n->in[k], MAAS_NO_VALUE}, out = MAAS_NO_VALUE;
    MAAS_TRY(maas_graph_const(g, NULL, &t, true, &in[1], r->err));
    MAAS_TRY(maas_onnx_extra_node(r, g, "Unsqueeze", NULL, in, 2, &out));
    n->in[k] = out;
    return MAAS_OK;
}

/* Input 1 lies along the axes from `axis` on of input 0; without the attribute, along the last
 * ones. */
static maas_status broadcast_by_axis(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    const maas_attr *a = maas_onnx_attr_find(n, "broadcast");
    const bool on = a && a->type == MAAS_ATTR_INT && a->u.i != 0;
    if (a)
        maas_onnx_attr_drop(n, a);
    a = maas_onnx_attr_find(n, "axis");
    if (!a)
        return MAAS_OK;
    int64_t axis = a->type == MAAS_ATTR_INT ? a->u.i : 0;
    int rank = 0;
    maas_onnx_attr_drop(n, a);
    if (!on || n->n_in != 2)
        return MAAS_OK;
    MAAS_TRY(rank_of(r, g, n->in[0], &rank));
    axis += axis < 0 ? rank : 0;
    if (axis < 0 || axis > rank)
        return maas_fail(r->err, MAAS_E_FORMAT, "attribute 'axis' is outside of %d dimensions",
                         rank);
    return put_at_axis(r, g, n, 1, axis, rank);
}

static maas_status drop_broadcast(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    const maas_attr *a = maas_onnx_attr_find(n, "broadcast");
    if (a)
        maas_onnx_attr_drop(n, a);
    return MAAS_OK;
}

/* One slope a channel, or one in all. */
static maas_status slope_of_channels(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    int rank = 0;
    if (n->n_in != 2)
        return MAAS_OK;
    MAAS_TRY(rank_of(r, g, n->in[0], &rank));
    return put_at_axis(r, g, n, 1, 1, rank);
}

static maas_status shape_to_input(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    return maas_onnx_ints_to_input(r, g, n, "shape", 1);
}

static maas_status rename_paddings(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    maas_attr *a = maas_onnx_attr_find(n, "paddings");
    if (a)
        a->name = "pads";
    return MAAS_OK;
}

/* Opset 1 allowed to leave the axis out. */
static maas_status concat_along_one(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    const maas_attr axis = MAAS_A_INT("axis", 1);
    return maas_onnx_attr_find(n, "axis") ? MAAS_OK : maas_onnx_attr_add(r, n, &axis);
}

/* Opset 1 named the element type. */
static maas_status cast_to_number(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    char name[16] = {0};
    maas_attr *a = maas_onnx_attr_find(n, "to");
    if (!a || a->type != MAAS_ATTR_STRING)
        return MAAS_OK;
    for (size_t i = 0; i < a->u.s.n && i + 1 < sizeof name; i++)
        name[i] = (char)(a->u.s.p[i] | 0x20); /* "FLOAT", "INT64": letters and digits */
    const maas_dtype t = maas_dtype_of_name(name);
    if (t == MAAS_DT_NONE)
        return maas_fail(r->err, MAAS_E_UNSUPPORTED, "casting to '%s'", name);
    *a = MAAS_A_INT("to", t);
    return MAAS_OK;
}

static maas_status refuse_first(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    return maas_fail(r->err, MAAS_E_UNSUPPORTED,
                     "its form of opset %d; convert the model to opset 7", n->opset);
}

#define HINTS(op)                                                                                  \
    {                                                                                              \
        "", op, 1, 6, drop_hints                                                                   \
    }
#define BY_AXIS(op)                                                                                \
    HINTS(op),                                                                                     \
    {                                                                                              \
        "", op, 1, 6, broadcast_by_axis                                                            \
    }
const maas_onnx_form_row maas_onnx_first_forms[] = {
    BY_AXIS("Add"),
    BY_AXIS("Sub"),
    BY_AXIS("Mul"),
    BY_AXIS("Div"),
    BY_AXIS("Pow"),
    BY_AXIS("And"),
    BY_AXIS("Or"),
    BY_AXIS("Xor"),
    BY_AXIS("Equal"),
    BY_AXIS("Less"),
    BY_AXIS("Greater"),
    HINTS("Abs"),
    HINTS("Ceil"),
    HINTS("Clip"),
    HINTS("Elu"),
    HINTS("Exp"),
    HINTS("Floor"),
    HINTS("HardSigmoid"),
    HINTS("LeakyRelu"),
    HINTS("Log"),
    HINTS("Max"),
    HINTS("Mean"),
    HINTS("Min"),
    HINTS("Neg"),
    HINTS("Reciprocal"),
    HINTS("Relu"),
    HINTS("Selu"),
    HINTS("Sigmoid"),
    HINTS("Sqrt"),
    HINTS("Sum"),
    HINTS("Tanh"),
    HINTS("BatchNormalization"),
    HINTS("InstanceNormalization"),
    HINTS("Dropout"),
    HINTS("PRelu"),
    HINTS("Reshape"),
    HINTS("RNN"),
    HINTS("GRU"),
    HINTS("LSTM"),
    {"", "Gemm", 1, 6, drop_broadcast},
    {"", "PRelu", 1, 6, slope_of_channels},
    {"", "Reshape", 1, 4, shape_to_input},
    {"", "Pad", 1, 1, rename_paddings},
    {"", "Concat", 1, 3, concat_along_one},
    {"", "Cast", 1, 5, cast_to_number},
    {"", "Tile", 1, 5, refuse_first},
    {"", "Upsample", 1, 6, refuse_first},
};
const size_t maas_onnx_n_first_forms = MAAS_COUNT(maas_onnx_first_forms);
