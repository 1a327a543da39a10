#include "formats/image_recipe.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "ops/build.h"
#include "ops/resize.h"
#include "base/ban.h"

#define WHERE      "image_recipe"
#define MAX_LABELS (1 << 20)
#define MAX_META   (64u << 20)

static const char *const fittings[] = {"crop", "stretch", "pad", NULL};
static const char *const modes[] = {"nearest", "linear", "cubic", NULL};
static const char *const colour_names[] = {"RGB", "BGR", "Grayscale", NULL};
static const char *const layouts[] = {"NCHW", "NHWC", NULL};
enum { NCHW, NHWC };

/* Names for recipes: what the zoos of models were trained with. */
static const struct preset {
    const char *name, *recipe;
} presets[] = {
    {"imagenet", "{\"fit\":\"crop\",\"mean\":[0.485,0.456,0.406],\"std\":[0.229,0.224,0.225]}"},
    {"unit", "{\"fit\":\"stretch\"}"},
    {"signed", "{\"fit\":\"stretch\",\"mean\":0.5,\"std\":0.5}"},
};

typedef struct recipe {
    maas_image_fit fit;
    int layout; /* -1: by the model's shape */
    int64_t channels;
    double scale, mean[3], std[3];
    bool softmax;
    const char *input, *output; /* borrowed from the JSON */
    maas_vid in;
    uint32_t input_at;
} recipe;

/* ---- reading ---- */

static maas_status word(const json_t *o, const char *key, const char *const *words, int *out,
                        maas_err *err)
{
    const char *text = NULL;
    MAAS_TRY(maas_json_get_str(o, WHERE, key, &text, err));
    for (int i = 0; text && words[i]; i++)
        if (strcmp(text, words[i]) == 0) {
            *out = i;
            return MAAS_OK;
        }
    return text ? maas_fail(err, MAAS_E_INVALID, WHERE ".%s '%.40s' is not known", key, text)
                : MAAS_OK;
}

/* A number for all channels, or one for each. */
static maas_status per_channel(const json_t *o, const char *key, double v[3], maas_err *err)
{
    const json_t *j = json_object_get(o, key);
    const size_t n = json_is_array(j) ? json_array_size(j) : j ? 1 : 0;
    if (n != 0 && n != 1 && n != 3)
        return maas_fail(err, MAAS_E_INVALID, WHERE ".%s must be one number, or three", key);
    for (size_t i = 0; i < 3 && n; i++) {
        const json_t *e = json_is_array(j) ? json_array_get(j, n == 3 ? i : 0) : j;
        if (!json_is_number(e) || !isfinite(json_number_value(e)))
            return maas_fail(err, MAAS_E_INVALID, WHERE ".%s must be numbers", key);
        v[i] = json_number_value(e);
    }
    return MAAS_OK;
}

static maas_status take_size(const json_t *o, maas_image_fit *f, maas_err *err)
{
    const json_t *j = json_object_get(o, "size");
    const bool pair = json_is_array(j) && json_array_size(j) == 2;
    const json_int_t h = json_integer_value(pair ? json_array_get(j, 0) : j);
    const json_int_t w = json_integer_value(pair ? json_array_get(j, 1) : j);
    if (!j)
        return MAAS_OK;
    if (h < 1 || w < 1 || h > MAAS_MAX_FIT_SIDE || w > MAAS_MAX_FIT_SIDE)
        return maas_fail(err, MAAS_E_INVALID,
                         WHERE ".size must be a number or [height, width], at most %u",
                         MAAS_MAX_FIT_SIDE);
    f->height = (uint32_t)h;
    f->width = (uint32_t)w;
    return MAAS_OK;
}

static maas_status read_recipe(const json_t *o, recipe *r, maas_err *err)
{
    static const char *const keys[] = {
        "size", "resize", "fit",  "interpolation", "colours", "layout", "scale",
        "mean", "std",    "fill", "softmax",       "input",   "output", NULL};
    int fitting = MAAS_FIT_STRETCH, mode = MAAS_RESIZE_LINEAR, colours = -1;
    int64_t shorter = 0, fill = 0;
    *r = (recipe){.layout = -1, .scale = 1 / 255.0, .std = {1, 1, 1}};
    if (!json_is_object(o))
        return maas_fail(err, MAAS_E_INVALID, WHERE " must be a JSON object");
    MAAS_TRY(maas_json_only(o, WHERE, keys, err));
    MAAS_TRY(word(o, "fit", fittings, &fitting, err));
    MAAS_TRY(word(o, "interpolation", modes, &mode, err));
    MAAS_TRY(word(o, "colours", colour_names, &colours, err));
    MAAS_TRY(word(o, "layout", layouts, &r->layout, err));
    MAAS_TRY(take_size(o, &r->fit, err));
    MAAS_TRY(maas_json_get_i64(o, WHERE, "resize", 1, MAAS_MAX_FIT_SIDE, &shorter, err));
    MAAS_TRY(maas_json_get_i64(o, WHERE, "fill", 0, 255, &fill, err));
    MAAS_TRY(maas_json_get_f64(o, WHERE, "scale", -1e6, 1e6, &r->scale, err));
    MAAS_TRY(per_channel(o, "mean", r->mean, err));
    MAAS_TRY(per_channel(o, "std", r->std, err));
    MAAS_TRY(maas_json_get_bool(o, WHERE, "softmax", &r->softmax, err));
    MAAS_TRY(maas_json_get_str(o, WHERE, "input", &r->input, err));
    MAAS_TRY(maas_json_get_str(o, WHERE, "output", &r->output, err));
    for (int i = 0; i < 3; i++)
        if (r->std[i] == 0)
            return maas_fail(err, MAAS_E_INVALID, WHERE ".std must not be 0");
    r->fit.fitting = (uint8_t)fitting;
    r->fit.mode = (uint8_t)mode;
    r->fit.fill = (uint8_t)fill;
    r->fit.shorter = (uint32_t)shorter;
    r->fit.colours = (uint8_t)(colours < 0 ? UINT8_MAX : colours); /* by the model's shape */
    return MAAS_OK;
}

/* ---- against the model ---- */

static maas_status find_input(const maas_graph *g, recipe *r, maas_err *err)
{
    if (!r->input && g->n_inputs != 1)
        return maas_fail(err, MAAS_E_INVALID,
                         "the model has %u inputs: " WHERE ".input must say which one the image is",
                         g->n_inputs);
    for (r->input_at = 0; r->input && r->input_at < g->n_inputs; r->input_at++)
        if (strcmp(g->values[g->inputs[r->input_at]].name, r->input) == 0)
            break;
    if (r->input_at >= g->n_inputs)
        return maas_fail(err, MAAS_E_INVALID, "the model has no input '%.64s'", r->input);
    r->in = g->inputs[r->input_at];
    return MAAS_OK;
}

static bool few(int64_t dim)
{
    return dim == 1 || dim == 3;
}

static maas_status same_side(int64_t of_model, uint32_t *side, const char *what, maas_err *err)
{
    if (of_model >= 0 && *side && of_model != *side)
        return maas_fail(err, MAAS_E_INVALID, WHERE ".size has %s %u, the model takes %lld", what,
                         *side, (long long)of_model);
    if (of_model > MAAS_MAX_FIT_SIDE || of_model == 0)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "the model takes images of %s %lld", what,
                         (long long)of_model);
    if (of_model > 0)
        *side = (uint32_t)of_model;
    return *side ? MAAS_OK
                 : maas_fail(err, MAAS_E_INVALID,
                             "the model takes any %s: " WHERE ".size must say one", what);
}

static maas_status match_model(const maas_graph *g, recipe *r, maas_err *err)
{
    const maas_type *t = &g->values[r->in].type;
    maas_image_fit *f = &r->fit;
    if (t->rank != 4)
        return maas_fail(err, MAAS_E_INVALID,
                         "an image needs an input [N, channels, height, width] or [N, height, "
                         "width, channels]; '%.64s' has rank %d",
                         g->values[r->in].name, t->rank);
    if (r->layout < 0)
        r->layout = few(t->dims[1]) ? NCHW : few(t->dims[3]) ? NHWC : -1;
    if (r->layout < 0)
        return maas_fail(err, MAAS_E_INVALID,
                         "the model's shape does not say which axis the colours are: " WHERE
                         ".layout must be NCHW or NHWC");
    const int64_t channels = t->dims[r->layout == NCHW ? 1 : 3];
    if (f->colours == UINT8_MAX)
        f->colours = channels == 1 ? MAAS_IMAGE_GREY : MAAS_IMAGE_RGB;
    r->channels = f->colours == MAAS_IMAGE_GREY ? 1 : 3;
    if (channels >= 0 && channels != r->channels)
        return maas_fail(err, MAAS_E_INVALID, "%s has %lld channels, the model takes %lld",
                         colour_names[f->colours], (long long)r->channels, (long long)channels);
    MAAS_TRY(same_side(t->dims[r->layout == NCHW ? 2 : 1], &f->height, "height", err));
    MAAS_TRY(same_side(t->dims[r->layout == NCHW ? 3 : 2], &f->width, "width", err));
    if (f->fitting == MAAS_FIT_CROP && !f->shorter) {
        const uint32_t least = f->height < f->width ? f->height : f->width;
        f->shorter = (least * 256u + 112) / 224; /* 256 for 224, and so in proportion */
    }
    return maas_image_fit_ok(f) ? MAAS_OK
                                : maas_fail(err, MAAS_E_INVALID, WHERE ": sizes are out of range");
}

/* ---- nodes before the model's own ---- */

static maas_vid channel_values(maas_builder *b, const recipe *r, bool offset)
{
    float v[3];
    const int64_t dims[] = {r->channels};
    for (int i = 0; i < 3; i++)
        v[i] = (float)(offset ? -r->mean[i] / r->std[i] : r->scale / r->std[i]);
    const maas_tensor t = maas_tensor_of(MAAS_F32, 1, dims, v);
    return maas_b_const(b, NULL, &t);
}

static maas_vid to_type(maas_builder *b, maas_vid x, int dtype)
{
    const maas_attr to = MAAS_A_INT("to", dtype);
    return maas_b_node(b, "Cast", &to, 1, &x, 1, NULL, 1);
}

static maas_vid front(maas_builder *b, const recipe *r, maas_vid image, int dtype)
{
    static const int64_t channels_first[] = {0, 3, 1, 2};
    const maas_attr perm = MAAS_A_INTS("perm", channels_first, 4);
    maas_vid x = image;
    if (dtype != MAAS_U8) {
        x = maas_b_op2(b, "Mul", to_type(b, x, MAAS_F32), channel_values(b, r, false));
        x = maas_b_op2(b, "Add", x, channel_values(b, r, true));
    }
    if (r->layout == NCHW)
        x = maas_b_node(b, "Transpose", &perm, 1, &x, 1, NULL, 1);
    return dtype == MAAS_U8 || dtype == MAAS_F32 ? x : to_type(b, x, dtype);
}

/* Names that last: those made up by a graph are not for files, whose readers make up their own. */
static maas_status give_name(maas_graph *g, maas_vid v, maas_err *err)
{
    char name[48];
    for (int i = 0; i < 1 << 16; i++) {
        snprintf(name, sizeof name, "image.%d", i);
        if (maas_graph_find(g, name) == MAAS_NO_VALUE)
            return maas_graph_rename(g, v, name, err);
    }
    return maas_fail(err, MAAS_E_INVALID, "the model's names are all taken");
}

/* The model's input becomes what the new nodes make; "image" takes its place. */
static maas_status put_front(maas_graph *g, const recipe *r, maas_err *err)
{
    const maas_type old = g->values[r->in].type;
    const int64_t dims[] = {old.dims[0], r->fit.height, r->fit.width, r->channels};
    const maas_type t = maas_type_tensor(MAAS_U8, 4, dims);
    maas_builder b;
    maas_vid image, made = r->in;
    maas_nid nid;
    const uint32_t before = g->n_values;
    MAAS_TRY(give_name(g, r->in, err));
    MAAS_TRY(maas_graph_input(g, "image", &t, &image, err));
    g->n_inputs--; /* it was appended; it stands where the old one stood */
    g->inputs[r->input_at] = image;
    g->values[r->in].flags &= ~(uint32_t)MAAS_VALUE_INPUT;
    maas_builder_init(&b, g, err);
    const maas_vid x = front(&b, r, image, old.dtype);
    MAAS_TRY(b.status);
    for (uint32_t v = before; v < g->n_values; v++)
        if ((maas_vid)v != image)
            MAAS_TRY(give_name(g, (maas_vid)v, err));
    return maas_graph_node(g, maas_op_find("", "Identity", MAAS_OPSET), "", &x, 1, &made, 1, &nid,
                           err);
}

static maas_status put_softmax(maas_graph *g, const recipe *r, maas_err *err)
{
    maas_builder b;
    uint32_t at = 0;
    while (r->output && at < g->n_outputs && strcmp(g->values[g->outputs[at]].name, r->output) != 0)
        at++;
    if (at >= g->n_outputs)
        return maas_fail(err, MAAS_E_INVALID, "the model has no output '%.64s'",
                         r->output ? r->output : "");
    const maas_vid y = g->outputs[at];
    const char *name = g->values[y].name;
    if (!r->softmax || (g->values[y].flags & MAAS_VALUE_INPUT))
        return MAAS_OK;
    MAAS_TRY(give_name(g, y, err));
    maas_builder_init(&b, g, err);
    const maas_vid z = maas_b_op1(&b, "Softmax", y);
    MAAS_TRY(b.status);
    MAAS_TRY(maas_graph_rename(g, z, name, err));
    g->values[y].flags &= ~(uint32_t)MAAS_VALUE_OUTPUT;
    g->values[z].flags |= MAAS_VALUE_OUTPUT;
    g->outputs[at] = z;
    return MAAS_OK;
}

/* ---- metadata ---- */

static maas_status put_meta(maas_graph *g, const char *key, json_t *value, maas_err *err)
{
    AUTO(maas_json_unref) json_t *j = value;
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(MAX_META);
    maas_json_dump(j, &text);
    maas_buf_char(&text, '\0');
    if (!j || text.failed)
        return maas_fail(err, MAAS_E_NOMEM, "the metadata of an image model");
    return maas_graph_set_meta(g, key, text.p, err);
}

static json_t *fit_json(const maas_image_fit *f)
{
    return json_pack("{s:[i,i], s:i, s:s, s:s, s:s, s:i}", "size", (int)f->height, (int)f->width,
                     "resize", (int)f->shorter, "fit", fittings[f->fitting], "interpolation",
                     modes[f->mode], "colours", colour_names[f->colours], "fill", (int)f->fill);
}

static maas_status put_labels(maas_graph *g, const json_t *labels, maas_err *err)
{
    size_t i;
    json_t *label;
    if (!json_is_array(labels) || json_array_size(labels) > MAX_LABELS)
        return maas_fail(err, MAAS_E_INVALID, "labels must be a list of at most %d texts",
                         MAX_LABELS);
    json_array_foreach(labels, i, label)
    {
        if (!json_is_string(label))
            return maas_fail(err, MAAS_E_INVALID, "label %zu is no text", i);
    }
    return put_meta(g, MAAS_META_CLASSES, json_incref((json_t *)labels), err);
}

static maas_status resolve(const json_t *given, json_t **out, maas_err *err)
{
    const char *name = json_string_value(given);
    if (!name) {
        *out = json_incref((json_t *)given);
        return MAAS_OK;
    }
    for (size_t i = 0; i < MAAS_COUNT(presets); i++)
        if (strcmp(presets[i].name, name) == 0)
            return maas_json_parse(maas_span_str(presets[i].recipe), out, err);
    return maas_fail(err, MAAS_E_INVALID, WHERE " '%.40s' is not known: imagenet, unit, signed",
                     name);
}

maas_status maas_image_recipe_apply(maas_graph *g, const json_t *given, const json_t *labels,
                                    maas_err *err)
{
    AUTO(maas_json_unref) json_t *tree = NULL;
    recipe r;
    if (labels)
        MAAS_TRY(put_labels(g, labels, err));
    if (!given)
        return MAAS_OK;
    MAAS_TRY(resolve(given, &tree, err));
    MAAS_TRY(read_recipe(tree, &r, err));
    MAAS_TRY(find_input(g, &r, err));
    MAAS_TRY(match_model(g, &r, err));
    MAAS_TRY(put_front(g, &r, err));
    MAAS_TRY(put_softmax(g, &r, err));
    MAAS_TRY(put_meta(g, MAAS_META_IMAGE, fit_json(&r.fit), err));
    MAAS_TRY(maas_graph_compact(g, err));
    MAAS_TRY(maas_graph_infer(g, err));
    return maas_graph_verify(g, err);
}

maas_status maas_image_recipe_fit(const char *meta, maas_image_fit *out, maas_err *err)
{
    AUTO(maas_json_unref) json_t *tree = NULL;
    recipe r;
    maas_err why = {0};
    maas_status st = maas_json_parse(maas_span_str(meta), &tree, &why);
    json_t *shorter = json_object_get(tree, "resize");
    if (st == MAAS_OK && json_integer_value(shorter) == 0)
        json_object_del(tree, "resize");
    if (st == MAAS_OK)
        st = read_recipe(tree, &r, &why);
    if (st == MAAS_OK && !maas_image_fit_ok(&r.fit))
        st = maas_fail(&why, MAAS_E_FORMAT, "sizes are out of range");
    if (st != MAAS_OK)
        return maas_fail(err, MAAS_E_FORMAT, "the metadata " MAAS_META_IMAGE ": %s", why.msg);
    *out = r.fit;
    return MAAS_OK;
}
