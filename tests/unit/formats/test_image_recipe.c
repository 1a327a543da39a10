/* Recipes of images: what they do to a model, what the model's shape decides, what is refused. */
#include "maas_test.h"

#include "formats/image_recipe.h"
#include "base/mem.h"
#include "ops/build.h"

/* x [dims] -> y = x, as output "y"; the dimension -1 is the symbol N. */
static maas_graph *model(maas_dtype t, int rank, const int64_t *dims)
{
    maas_graph *g;
    maas_builder b;
    int64_t d[8];
    MAAS_CHECK(maas_graph_create("m", NULL, &g, NULL) == MAAS_OK);
    maas_builder_init(&b, g, NULL);
    for (int i = 0; i < rank; i++) {
        d[i] = dims[i];
        if (d[i] < 0)
            MAAS_CHECK(maas_graph_symbol(g, i ? "side" : "N", &d[i], NULL) == MAAS_OK);
    }
    maas_vid x = maas_b_input(&b, "x", t, rank, d);
    maas_b_output(&b, "y", maas_b_op1(&b, "Identity", x));
    MAAS_CHECK(b.status == MAAS_OK);
    return g;
}
#define MODEL(t, ...)                                                                              \
    model(t, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})

static maas_status apply(maas_graph *g, const char *recipe, const char *labels, maas_err *err)
{
    AUTO(maas_json_unref) json_t *r = NULL, *l = NULL;
    *err = (maas_err){0};
    /* a text alone is no JSON document of ours: a name stands in a list */
    MAAS_CHECK(maas_json_parse(maas_span_str(recipe), &r, NULL) == MAAS_OK);
    if (labels)
        MAAS_CHECK(maas_json_parse(maas_span_str(labels), &l, NULL) == MAAS_OK);
    return maas_image_recipe_apply(g, json_is_array(r) ? json_array_get(r, 0) : r, l, err);
}

static void the_input_becomes_bytes_of_the_size(void)
{
    maas_err err;
    maas_image_fit f;
    maas_graph *g = MODEL(MAAS_F32, -1, 3, 224, 160);
    EXPECT_MSG(apply(g, "[\"imagenet\"]", "[\"a\",\"b\"]", &err) == MAAS_OK, "%s", err.msg);
    EXPECT_EQ(g->n_inputs, 1);
    const maas_value *v = &g->values[g->inputs[0]];
    EXPECT_STR(v->name, "image");
    EXPECT_EQ(v->type.dtype, MAAS_U8);
    EXPECT(v->type.rank == 4 && v->type.dims[0] < -1 && v->type.dims[1] == 224 &&
           v->type.dims[2] == 160 && v->type.dims[3] == 3);
    EXPECT_STR(maas_graph_meta(g, MAAS_META_CLASSES), "[\"a\",\"b\"]");
    EXPECT(maas_image_recipe_fit(maas_graph_meta(g, MAAS_META_IMAGE), &f, &err) == MAAS_OK);
    EXPECT(f.height == 224 && f.width == 160 && f.shorter == 183 && f.fitting == MAAS_FIT_CROP &&
           f.colours == MAAS_IMAGE_RGB && f.mode == 1);
    EXPECT_STR(g->values[g->outputs[0]].name, "y");
    maas_graph_destroy(g);
}

static void the_shape_decides_what_is_not_said(void)
{
    static const struct {
        int64_t dims[4];
        const char *recipe;
        int dtype, colours, h, w, channels, n_nodes;
    } rows[] = {
        {{1, 28, 28, 1}, "{}", MAAS_F32, MAAS_IMAGE_GREY, 28, 28, 1, 5},
        {{-1, 1, 28, 30}, "{}", MAAS_F32, MAAS_IMAGE_GREY, 28, 30, 1, 6},
        {{-1, 32, 32, 3}, "{}", MAAS_U8, MAAS_IMAGE_RGB, 32, 32, 3, 2},
        {{-1, 3, -1, -1},
         "{\"size\":[64,96],\"colours\":\"BGR\"}",
         MAAS_F16,
         MAAS_IMAGE_BGR,
         64,
         96,
         3,
         7},
        {{-1, -1, 64, 64},
         "{\"layout\":\"NCHW\",\"softmax\":true}",
         MAAS_F32,
         MAAS_IMAGE_RGB,
         64,
         64,
         3,
         7},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        maas_err err;
        maas_image_fit f = {0};
        maas_graph *g = model((maas_dtype)rows[i].dtype, 4, rows[i].dims);
        EXPECT_MSG(apply(g, rows[i].recipe, NULL, &err) == MAAS_OK, "row %zu: %s", i, err.msg);
        const char *meta = maas_graph_meta(g, MAAS_META_IMAGE);
        EXPECT(meta && maas_image_recipe_fit(meta, &f, &err) == MAAS_OK);
        EXPECT_MSG((int)f.height == rows[i].h && (int)f.width == rows[i].w &&
                       f.colours == rows[i].colours &&
                       g->values[g->inputs[0]].type.dims[3] == rows[i].channels,
                   "row %zu: %u x %u, colours %d", i, f.height, f.width, f.colours);
        EXPECT_MSG((int)g->n_nodes == rows[i].n_nodes, "row %zu: %u nodes", i, g->n_nodes);
        maas_graph_destroy(g);
    }
}

static void what_does_not_fit_is_named(void)
{
    static const struct {
        int64_t dims[4];
        const char *recipe, *words;
    } rows[] = {
        {{1, 3, 8, 8}, "[\"squeeze\"]", "is not known"},
        {{1, 3, 8, 8}, "[3]", "must be a JSON object"},
        {{1, 3, 8, 8}, "{\"sizes\":8}", "sizes"},
        {{1, 3, 8, 8}, "{\"size\":9}", "the model takes 8"},
        {{1, 3, 8, 8}, "{\"size\":[8]}", "must be a number or"},
        {{1, 3, 8, 8}, "{\"size\":100000}", "at most 8192"},
        {{1, 3, 8, 8}, "{\"std\":[1,0,1]}", "must not be 0"},
        {{1, 3, 8, 8}, "{\"mean\":[1,2]}", "one number, or three"},
        {{1, 3, 8, 8}, "{\"mean\":\"grey\"}", "must be numbers"},
        {{1, 3, 8, 8}, "{\"colours\":\"Grayscale\"}", "1 channels, the model takes 3"},
        {{1, 3, 8, 8}, "{\"fit\":\"squash\"}", "'squash' is not known"},
        {{1, 3, 8, 8}, "{\"input\":\"z\"}", "no input 'z'"},
        {{1, 3, 8, 8}, "{\"softmax\":true,\"output\":\"z\"}", "no output 'z'"},
        {{1, 5, 8, 7}, "{}", "which axis the colours are"},
        {{1, 3, -1, -1}, "{}", "size must say one"},
        {{1, 3, 8, 9000}, "{}", "width 9000"},
    };
    maas_err err;
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        maas_graph *g = model(MAAS_F32, 4, rows[i].dims);
        const maas_status st = apply(g, rows[i].recipe, NULL, &err);
        EXPECT_MSG(st != MAAS_OK && strstr(err.msg, rows[i].words), "%s: status %d, '%s'",
                   rows[i].recipe, st, err.msg);
        maas_graph_destroy(g);
    }
    maas_graph *g = MODEL(MAAS_F32, 1, 3);
    EXPECT(apply(g, "{}", NULL, &err) != MAAS_OK && strstr(err.msg, "has rank 2"));
    EXPECT(apply(g, "{}", "{}", &err) != MAAS_OK && strstr(err.msg, "must be a list"));
    EXPECT(apply(g, "{}", "[1]", &err) != MAAS_OK && strstr(err.msg, "is no text"));
    maas_graph_destroy(g);
}

static void metadata_of_others_is_refused(void)
{
    static const char *const bad[] = {"", "[]", "{}", "{\"size\":[8,8],\"fit\":\"crop\"}",
                                      "{\"size\":[8,8],\"colours\":\"mauve\"}"};
    maas_image_fit f;
    for (size_t i = 0; i < MAAS_COUNT(bad); i++) {
        maas_err err = {0};
        EXPECT_MSG(maas_image_recipe_fit(bad[i], &f, &err) == MAAS_E_FORMAT, "'%s': %d", bad[i],
                   err.code);
    }
}

static const mt_case cases[] = {
    MT_CASE(the_input_becomes_bytes_of_the_size), MT_CASE(the_shape_decides_what_is_not_said),
    MT_CASE(what_does_not_fit_is_named), MT_CASE(metadata_of_others_is_refused)};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
