/*
 * From the form an operator has in the file's opset to the form of the internal opset. A row is one
 * change of one operator; operators without a row did not change their form between the oldest
 * opset that is read and the newest (new element types, or attributes whose default is what was
 * before, need no row).
 */
#include "formats/onnx_int.h"

#include <inttypes.h>

#include "ops/build.h"
#include "base/ban.h"

#define MAX_CLASSES_TEXT (1 << 20) /* bytes of the labels of a classifier as JSON */

/* ---- rows: default domain ---- */

/* Reduce* before 18 (ReduceSum, Squeeze and Unsqueeze before 13) had the axes in an attribute. */
static maas_status axes_to_input(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    return maas_onnx_ints_to_input(r, g, n, "axes", 1);
}

/* Split before 18 made as many equal parts as it had outputs. */
static maas_status split_says_outputs(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    const maas_attr a = MAAS_A_INT("num_outputs", n->n_out);
    MAAS_TRY(maas_onnx_ints_to_input(r, g, n, "split", 1));
    bool has_sizes = n->n_in > 1 && n->in[1] != MAAS_NO_VALUE;
    return has_sizes || maas_onnx_attr_find(n, "num_outputs") ? MAAS_OK
                                                              : maas_onnx_attr_add(r, n, &a);
}

static maas_status slice_to_inputs(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    MAAS_TRY(maas_onnx_ints_to_input(r, g, n, "starts", 1));
    MAAS_TRY(maas_onnx_ints_to_input(r, g, n, "ends", 2));
    return maas_onnx_ints_to_input(r, g, n, "axes", 3);
}

static maas_status pad_to_inputs(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    MAAS_TRY(maas_onnx_ints_to_input(r, g, n, "pads", 1));
    return maas_onnx_float_to_input(r, g, n, "value", 2);
}

/* What ScatterElements was called in opset 9 and 10; from 11 on the name is only deprecated. */
static maas_status scatter_by_new_name(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    n->op = "ScatterElements";
    return MAAS_OK;
}

/* DFT before 20 had its axis, 1 unless given, in an attribute. */
static maas_status dft_axis_to_input(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    const maas_attr axis = MAAS_A_INT("axis", 1);
    if (!maas_onnx_attr_find(n, "axis"))
        MAAS_TRY(maas_onnx_attr_add(r, n, &axis));
    return maas_onnx_ints_to_input(r, g, n, "axis", 2);
}

static maas_status clip_to_inputs(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    MAAS_TRY(maas_onnx_float_to_input(r, g, n, "min", 1));
    return maas_onnx_float_to_input(r, g, n, "max", 2);
}

static maas_status k_to_input(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    return maas_onnx_ints_to_input(r, g, n, "k", 1);
}

/* Dropout before 12 was the identity outside of training; before 10 its mask had the type of X. */
static maas_status drop_ratio(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    const maas_attr *a = maas_onnx_attr_find(n, "ratio");
    if (a)
        maas_onnx_attr_drop(n, a);
    if (n->opset >= 10 || n->n_out < 2 || n->out[1] == MAAS_NO_VALUE || n->n_in != 1)
        return MAAS_OK;
    maas_vid mask = n->out[1];
    MAAS_TRY(maas_graph_value(g, NULL, NULL, &n->out[1], r->err));
    return maas_onnx_extra_node(r, g, "CastLike", NULL, (const maas_vid[]){n->out[1], n->in[0]}, 2,
                                &mask);
}

/* Softmax before 13 ran over all axes from `axis` (1, unless given) on, as over one. */
static maas_status softmax_over_rest(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    const maas_attr *a = maas_onnx_attr_find(n, "axis");
    const maas_attr axis = MAAS_A_INT("axis", a && a->type == MAAS_ATTR_INT ? a->u.i : 1);
    const maas_attr last = MAAS_A_INT("axis", -1);
    maas_vid flat = MAAS_NO_VALUE, sizes = MAAS_NO_VALUE, y = n->n_out ? n->out[0] : MAAS_NO_VALUE;
    if (axis.u.i == -1 || n->n_in != 1 || n->in[0] == MAAS_NO_VALUE || y == MAAS_NO_VALUE)
        return MAAS_OK;
    if (a)
        maas_onnx_attr_drop(n, a);
    MAAS_TRY(maas_onnx_extra_node(r, g, "Shape", NULL, n->in, 1, &sizes));
    MAAS_TRY(maas_onnx_extra_node(r, g, "Flatten", &axis, n->in, 1, &flat));
    n->in[0] = flat;
    MAAS_TRY(maas_graph_value(g, NULL, NULL, &n->out[0], r->err));
    MAAS_TRY(
        maas_onnx_extra_node(r, g, "Reshape", NULL, (const maas_vid[]){n->out[0], sizes}, 2, &y));
    return maas_onnx_attr_add(r, n, &last);
}

/* BatchNormalization before 14 was in training mode when it had more than one output. */
static maas_status refuse_old_training(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    const maas_attr *spatial = maas_onnx_attr_find(n, "spatial");
    if (spatial && (spatial->type != MAAS_ATTR_INT || spatial->u.i != 1))
        return maas_fail(r->err, MAAS_E_UNSUPPORTED, "statistics for each place (spatial 0)");
    if (spatial)
        maas_onnx_attr_drop(n, spatial);
    return n->n_out <= 1 ? MAAS_OK
                         : maas_fail(r->err, MAAS_E_UNSUPPORTED,
                                     "training outputs of opset %d; export for inference or with "
                                     "opset 14",
                                     n->opset);
}

/* A vector of one number for each group, each repeated for the channels of the group: it becomes
 * [groups][1], broadcast to [groups][channels / groups], flat. */
static maas_status repeat_for_channels(maas_onnx_reader *r, maas_graph *g, maas_vid *v,
                                       maas_vid sizes)
{
    int64_t one = 1, all = -1;
    const int64_t dims[] = {1};
    maas_vid last, flat, column = MAAS_NO_VALUE, wide = MAAS_NO_VALUE, out = MAAS_NO_VALUE;
    const maas_tensor axis = maas_tensor_of(MAAS_I64, 1, dims, &one);
    const maas_tensor to = maas_tensor_of(MAAS_I64, 1, dims, &all);
    MAAS_TRY(maas_graph_const(g, NULL, &axis, true, &last, r->err));
    MAAS_TRY(maas_graph_const(g, NULL, &to, true, &flat, r->err));
    MAAS_TRY(
        maas_onnx_extra_node(r, g, "Unsqueeze", NULL, (const maas_vid[]){*v, last}, 2, &column));
    MAAS_TRY(
        maas_onnx_extra_node(r, g, "Expand", NULL, (const maas_vid[]){column, sizes}, 2, &wide));
    MAAS_TRY(maas_onnx_extra_node(r, g, "Reshape", NULL, (const maas_vid[]){wide, flat}, 2, &out));
    *v = out;
    return MAAS_OK;
}

/* GroupNormalization before 21 had scale and bias of each group. [groups][channels / groups] is the
 * shape of the second axis of the data, reshaped to [N, groups, -1, ..]: here as Shape, Div,
 * Concat.
 */
static maas_status groups_to_channels(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    const maas_attr *a = maas_onnx_attr_find(n, "num_groups"), axis = MAAS_A_INT("axis", 0);
    if (!a || a->type != MAAS_ATTR_INT || n->n_in != 3)
        return maas_fail(r->err, MAAS_E_FORMAT, "num_groups or an input is missing");
    int64_t groups = a->u.i, ends[2] = {1, 2};
    const int64_t dims[] = {1};
    const maas_tensor t = maas_tensor_of(MAAS_I64, 1, dims, &groups);
    maas_vid count, from, to, shape = MAAS_NO_VALUE, channels = MAAS_NO_VALUE;
    maas_vid each = MAAS_NO_VALUE, sizes = MAAS_NO_VALUE;
    const maas_tensor t1 = maas_tensor_of(MAAS_I64, 1, dims, &ends[0]);
    const maas_tensor t2 = maas_tensor_of(MAAS_I64, 1, dims, &ends[1]);
    MAAS_TRY(maas_graph_const(g, NULL, &t, true, &count, r->err));
    MAAS_TRY(maas_graph_const(g, NULL, &t1, true, &from, r->err));
    MAAS_TRY(maas_graph_const(g, NULL, &t2, true, &to, r->err));
    MAAS_TRY(maas_onnx_extra_node(r, g, "Shape", NULL, n->in, 1, &shape));
    MAAS_TRY(maas_onnx_extra_node(r, g, "Slice", NULL, (const maas_vid[]){shape, from, to}, 3,
                                  &channels));
    MAAS_TRY(
        maas_onnx_extra_node(r, g, "Div", NULL, (const maas_vid[]){channels, count}, 2, &each));
    MAAS_TRY(
        maas_onnx_extra_node(r, g, "Concat", &axis, (const maas_vid[]){count, each}, 2, &sizes));
    MAAS_TRY(repeat_for_channels(r, g, &n->in[1], sizes));
    return repeat_for_channels(r, g, &n->in[2], sizes);
}

/* Strings are made, not moved: an operator of ours. */
static maas_status cast_to_text(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    const maas_attr *to = maas_onnx_attr_find(n, "to");
    if (!to || to->type != MAAS_ATTR_INT || to->u.i != MAAS_STRING)
        return MAAS_OK;
    n->op = "CastToText";
    n->domain = MAAS_DOMAIN_OWN;
    n->n_attr = 0;
    return MAAS_OK;
}

/* They say something of small floats only. */
static maas_status drop_saturate(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    const maas_attr *to = maas_onnx_attr_find(n, "to");
    if (!to || to->type != MAAS_ATTR_INT || to->u.i < 0 || to->u.i > UINT8_MAX ||
        maas_dtype_in((maas_dtype)to->u.i, MAAS_DTS_SMALL_FLOAT))
        return MAAS_OK;
    static const char *const names[] = {"saturate", "round_mode"};
    for (size_t i = 0; i < MAAS_COUNT(names); i++) {
        const maas_attr *a = maas_onnx_attr_find(n, names[i]);
        if (a)
            maas_onnx_attr_drop(n, a);
    }
    return MAAS_OK;
}

/* ---- rows: images ---- */

/* The direction in which constant scales go; 0: both ways. Scales that are computed enlarge. */
static int direction(const maas_graph *g, maas_vid scales)
{
    const maas_tensor *t = &maas_graph_at(g, scales)->init;
    bool up = false, down = false;
    if (!t->data || t->dtype != MAAS_F32 || maas_n_elems(t) > MAAS_MAX_RANK)
        return 1;
    for (int64_t i = 0; i < maas_n_elems(t); i++) {
        up = up || maas_tensor_get(t, i) > 1;
        down = down || maas_tensor_get(t, i) < 1;
    }
    return up && down ? 0 : down ? -1 : 1;
}

/* Resize 10 and Upsample took the element below a place when enlarging, above when shrinking. */
static maas_status resize_from_corner(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    if (n->n_in != 2 || n->in_cap < 3 || n->in[1] == MAAS_NO_VALUE)
        return maas_fail(r->err, MAAS_E_FORMAT, "it needs X and scales");
    const int way = direction(g, n->in[1]);
    if (way == 0)
        return maas_fail(r->err, MAAS_E_UNSUPPORTED,
                         "scales of opset %d that enlarge and shrink at once", n->opset);
    const maas_attr place = MAAS_A_STR("coordinate_transformation_mode", "asymmetric");
    const maas_attr nearest = MAAS_A_STR("nearest_mode", way < 0 ? "ceil" : "floor");
    n->in[2] = n->in[1];
    n->in[1] = MAAS_NO_VALUE;
    n->n_in = 3;
    MAAS_TRY(maas_onnx_attr_add(r, n, &place));
    return maas_onnx_attr_add(r, n, &nearest);
}

static maas_status upsample_to_resize(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    const maas_attr *a = maas_onnx_attr_find(n, "scales");
    if (a && n->n_in == 1 && n->in_cap > 1) {
        const int64_t dims[] = {a->n};
        if (a->type != MAAS_ATTR_FLOATS)
            return maas_fail(r->err, MAAS_E_FORMAT, "attribute 'scales' must be numbers");
        const maas_tensor t = maas_tensor_of(MAAS_F32, 1, dims, (void *)(uintptr_t)a->u.floats);
        MAAS_TRY(maas_graph_const(g, NULL, &t, true, &n->in[1], r->err));
        n->n_in = 2;
        maas_onnx_attr_drop(n, a);
    }
    n->op = "Resize";
    return resize_from_corner(r, g, n);
}

static maas_status rename_modes(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    maas_attr *a = maas_onnx_attr_find(n, "mode");
    const maas_attr named = MAAS_A_STR("mode", "linear");
    if (!a || a->type != MAAS_ATTR_STRING)
        return MAAS_OK;
    if (a->u.s.n == 8 && memcmp(a->u.s.p, "bilinear", 8) == 0)
        a->u.s = named.u.s;
    else if (a->u.s.n == 7 && memcmp(a->u.s.p, "bicubic", 7) == 0)
        a->u.s = (maas_str){"cubic", 5};
    return MAAS_OK;
}

/* RoiAlign before 16 did not know that an element's center is half an element away. */
static maas_status no_half_pixel(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    const maas_attr a = MAAS_A_STR("coordinate_transformation_mode", "output_half_pixel");
    return maas_onnx_attr_add(r, n, &a);
}

/* ---- rows: ai.onnx.preview ---- */

/* Without graphs of its own it is Attention. */
static maas_status flex_is_attention(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    if (maas_onnx_attr_find(n, "score_mod") || maas_onnx_attr_find(n, "prob_mod"))
        return MAAS_OK;
    n->op = "Attention";
    n->domain = "";
    return MAAS_OK;
}

/* ---- rows: ai.onnx.ml ---- */

/* LabelEncoder 1: a class is its place in the list, both ways; so says CategoryMapper. */
static maas_status classes_to_mapper(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    maas_attr *a = maas_onnx_attr_find(n, "classes_strings");
    if (!a || a->type != MAAS_ATTR_STRINGS)
        return maas_fail(r->err, MAAS_E_FORMAT, "classes_strings is missing");
    int64_t *places = maas_arena_array(&r->scratch, a->n, sizeof *places);
    if (!places)
        return maas_onnx_no_memory(r->err);
    for (uint32_t i = 0; i < a->n; i++)
        places[i] = i;
    const maas_attr ints = MAAS_A_INTS("cats_int64s", places, a->n);
    a->name = "cats_strings";
    n->op = "CategoryMapper";
    return maas_onnx_attr_add(r, n, &ints);
}

/* The labels of a classifier as JSON: ["a","b"] or [0,1]. */
static maas_status classes_meta(maas_onnx_reader *r, maas_graph *g, const maas_attr *a)
{
    maas_buf text = MAAS_BUF_IN(&r->scratch, MAX_CLASSES_TEXT);
    for (uint32_t i = 0; i < a->n; i++) {
        maas_buf_char(&text, i ? ',' : '[');
        if (a->type == MAAS_ATTR_INTS)
            maas_buf_printf(&text, "%" PRId64, a->u.ints[i]);
        else
            maas_buf_json_str(&text, a->u.strings[i].p, a->u.strings[i].n);
    }
    maas_buf_char(&text, ']');
    if (text.failed)
        return maas_fail(r->err, MAAS_E_TOO_LARGE, "the labels do not fit %d bytes",
                         MAX_CLASSES_TEXT);
    return maas_graph_set_meta(g, "maas.classes", text.p, r->err);
}

/* ZipMap makes a list of maps from rows of probabilities. Here the rows are the answer, and the
 * keys are said once: in the metadata. */
static maas_status zip_map_to_rows(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    static const char *const names[] = {"classlabels_strings", "classlabels_int64s"};
    for (size_t i = 0; i < MAAS_COUNT(names); i++) {
        maas_attr *a = maas_onnx_attr_find(n, names[i]);
        if (!a)
            continue;
        if (a->type != (i ? MAAS_ATTR_INTS : MAAS_ATTR_STRINGS))
            return maas_fail(r->err, MAAS_E_FORMAT, "attribute '%s' must be a list", names[i]);
        if (a->n)
            MAAS_TRY(classes_meta(r, g, a));
        maas_onnx_attr_drop(n, a);
    }
    n->op = "Identity";
    n->domain = "";
    if (n->n_out == 1 && n->out[0] != MAAS_NO_VALUE)
        maas_graph_at(g, n->out[0])->type = (maas_type){
            .tag = MAAS_TYPE_TENSOR, .dtype = MAAS_F32, .rank = MAAS_RANK_UNKNOWN};
    return MAAS_OK;
}

static maas_status refuse_maps(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    return maas_fail(r->err, MAAS_E_UNSUPPORTED,
                     "it takes maps, and clients send tables: export the model with one column for "
                     "each key, without this operator");
}

/* Scan 8 had a batch in front of everything, and sequence_lens. */
static maas_status scan_of_batches(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    n->op = "BatchedScan";
    n->domain = MAAS_DOMAIN_OWN;
    return MAAS_OK;
}

#define OLDEST MAAS_ONNX_OLDEST
static const maas_onnx_form_row upgrades[] = {
    {"", "ReduceL1", OLDEST, 17, axes_to_input},
    {"", "ReduceL2", OLDEST, 17, axes_to_input},
    {"", "ReduceLogSum", OLDEST, 17, axes_to_input},
    {"", "ReduceLogSumExp", OLDEST, 17, axes_to_input},
    {"", "ReduceMax", OLDEST, 17, axes_to_input},
    {"", "ReduceMean", OLDEST, 17, axes_to_input},
    {"", "ReduceMin", OLDEST, 17, axes_to_input},
    {"", "ReduceProd", OLDEST, 17, axes_to_input},
    {"", "ReduceSumSquare", OLDEST, 17, axes_to_input},
    {"", "ReduceSum", OLDEST, 12, axes_to_input},
    {"", "Squeeze", OLDEST, 12, axes_to_input},
    {"", "Unsqueeze", OLDEST, 12, axes_to_input},
    {"", "Split", OLDEST, 17, split_says_outputs},
    {"", "Slice", OLDEST, 9, slice_to_inputs},
    {"", "Pad", OLDEST, 10, pad_to_inputs},
    {"", "DFT", 17, 19, dft_axis_to_input},
    {"", "Scatter", 9, MAAS_ONNX_NEWEST, scatter_by_new_name},
    {"", "Clip", OLDEST, 10, clip_to_inputs},
    {"", "TopK", OLDEST, 9, k_to_input},
    {"", "Dropout", OLDEST, 11, drop_ratio},
    {"", "Scan", 8, 8, scan_of_batches},
    {"", "Softmax", OLDEST, 12, softmax_over_rest},
    {"", "LogSoftmax", OLDEST, 12, softmax_over_rest},
    {"", "Hardmax", OLDEST, 12, softmax_over_rest},
    {"", "GroupNormalization", 18, 20, groups_to_channels},
    {"", "SimplifiedLayerNormalization", 1, MAAS_ONNX_NEWEST, maas_onnx_from_microsoft},
    {"", "BatchNormalization", OLDEST, 13, refuse_old_training},
    {"", "Cast", 19, MAAS_ONNX_NEWEST, drop_saturate},
    {"", "Cast", 9, MAAS_ONNX_NEWEST, cast_to_text},
    {"", "Resize", OLDEST, 10, resize_from_corner},
    {"", "Upsample", OLDEST, MAAS_ONNX_NEWEST, upsample_to_resize},
    {"", "GridSample", OLDEST, 19, rename_modes},
    {"", "RoiAlign", OLDEST, 15, no_half_pixel},
    {MAAS_DOMAIN_PREVIEW, "FlexAttention", 1, 1, flex_is_attention},
    {MAAS_DOMAIN_ML, "LabelEncoder", 1, 1, classes_to_mapper},
    {MAAS_DOMAIN_ML, "ZipMap", 1, MAAS_ONNX_NEWEST_ML, zip_map_to_rows},
    {MAAS_DOMAIN_ML, "DictVectorizer", 1, MAAS_ONNX_NEWEST_ML, refuse_maps},
    {MAAS_DOMAIN_ML, "CastMap", 1, MAAS_ONNX_NEWEST_ML, refuse_maps},
};

static maas_status run_rows(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n,
                            const maas_onnx_form_row *rows, size_t n_rows)
{
    const char *op = n->op, *domain = n->domain; /* rows may change them */
    for (size_t i = 0; i < n_rows; i++) {
        const maas_onnx_form_row *u = &rows[i];
        if (n->opset >= u->from && n->opset <= u->to && strcmp(op, u->op) == 0 &&
            strcmp(domain, u->domain) == 0)
            MAAS_TRY(u->fn(r, g, n));
    }
    return MAAS_OK;
}

maas_status maas_onnx_upgrade(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    if (strcmp(n->domain, MAAS_DOMAIN_MS) == 0)
        return maas_onnx_from_microsoft(r, g, n);
    MAAS_TRY(run_rows(r, g, n, maas_onnx_first_forms, maas_onnx_n_first_forms));
    return run_rows(r, g, n, upgrades, MAAS_COUNT(upgrades));
}
