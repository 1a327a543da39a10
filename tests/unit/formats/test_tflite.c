/* TensorFlow Lite: every offset of files damaged in turn, names, layouts, refusals by their words.
 * Numbers are compared with LiteRT's in tests/client/test_tflite.py. */
#include "maas_test.h"

#include "base/mem.h"
#include "formats/model.h"
#include "formats/tflite/tflite.h"
#include "graph/op.h"

typedef struct bytes {
    uint8_t p[8192];
    size_t n;
} bytes;

static bytes load(const char *name)
{
    bytes b = {.n = 0};
    char path[512];
    snprintf(path, sizeof path, "%s/tflite/%s.tflite", CORPUS, name);
    FILE *f = fopen(path, "rb");
    EXPECT_MSG(f != NULL, "%s", path);
    if (f) {
        b.n = fread(b.p, 1, sizeof b.p, f);
        fclose(f);
    }
    return b;
}

static maas_budget budget = {.limit = 16 << 20};

/* In memory of exactly its size, so that a read past the end is seen. */
static maas_status read_exact(const bytes *b, maas_graph **out, uint8_t **copy, maas_err *err)
{
    *copy = malloc(b->n ? b->n : 1);
    memcpy(*copy, b->p, b->n);
    return maas_tflite_read(maas_span_of(*copy, b->n), &budget, out, err);
}

static uint32_t count(const maas_graph *g, const char *op, bool computed)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        n += strcmp(g->nodes[i].op->name, op) == 0 &&
             !(computed && maas_graph_at(g, g->nodes[i].in[0])->flags & MAAS_VALUE_CONST);
    return n;
}

static void a_signature_names_inputs_and_outputs(void)
{
    const bytes b = load("dense");
    const maas_model_format *format = NULL;
    maas_err err = {0};
    maas_graph *g = NULL;
    uint8_t *copy;
    EXPECT_EQ(maas_model_format_find(maas_span_of(b.p, b.n), NULL, &format, &err), MAAS_OK);
    EXPECT(format && strcmp(format->name, "tflite") == 0);
    EXPECT_MSG(read_exact(&b, &g, &copy, &err) == MAAS_OK, "%s", err.msg);
    if (g) {
        EXPECT(maas_graph_find(g, "x") == g->inputs[0] && maas_graph_find(g, "y") == g->outputs[0]);
        const maas_type *x = &maas_graph_at(g, g->inputs[0])->type;
        EXPECT(x->rank == 2 && x->dims[0] < MAAS_DIM_UNKNOWN && x->dims[1] == 4);
        EXPECT(strcmp(maas_graph_meta(g, "maas.source"), "TensorFlow Lite, serving_default") == 0);
    }
    maas_graph_destroy(g);
    free(copy);
}

/* What the file keeps as bytes is not copied. */
static void constants_stay_in_the_file(void)
{
    const bytes b = load("codes");
    maas_err err = {0};
    maas_graph *g = NULL;
    uint8_t *copy;
    uint32_t n_inside = 0;
    EXPECT_MSG(read_exact(&b, &g, &copy, &err) == MAAS_OK, "%s", err.msg);
    for (uint32_t i = 0; g && i < g->n_values; i++) {
        const uint8_t *p = g->values[i].init.data;
        n_inside += p >= copy && p < copy + b.n;
    }
    EXPECT(n_inside >= 1);
    maas_graph_destroy(g);
    free(copy);
}

/* Convolutions, a sum, a pool and a mean: channels are moved once, before the first. */
static void channels_stay_first(void)
{
    const bytes b = load("picture");
    maas_err err = {0};
    maas_graph *g = NULL;
    uint8_t *copy;
    EXPECT_MSG(read_exact(&b, &g, &copy, &err) == MAAS_OK, "%s", err.msg);
    if (g) {
        EXPECT_EQ(count(g, "Conv", false), 2);
        EXPECT_EQ(count(g, "Transpose", true), 1);
    }
    maas_graph_destroy(g);
    free(copy);
}

/* Every place that may be an offset, a length or a field, with what leads astray. */
static void every_offset_is_checked(void)
{
    static const char *const names[] = {"dense", "codes", "shapes", "lstm", "sparse"};
    uint32_t n_refused = 0, n_read = 0;
    for (size_t k = 0; k < MAAS_COUNT(names); k++) {
        const bytes whole = load(names[k]);
        const uint32_t n = (uint32_t)whole.n;
        const uint32_t odd[] = {0, 1, n - 4, n, 0x7fffffff, 0x80000000, 0xffffffff, 0x00010000};
        for (size_t at = 0; at + 4 <= whole.n; at += 2)
            for (size_t i = 0; i < MAAS_COUNT(odd); i++) {
                bytes b = whole;
                maas_err err = {0};
                maas_graph *g = NULL;
                uint8_t *copy;
                memcpy(b.p + at, &odd[i], sizeof odd[i]);
                const maas_status st = read_exact(&b, &g, &copy, &err);
                EXPECT(st == MAAS_OK || err.msg[0]);
                n_refused += st != MAAS_OK;
                n_read += st == MAAS_OK;
                maas_graph_destroy(g);
                free(copy);
            }
    }
    EXPECT(n_refused > 1000 && n_read > 1000);
}

static void every_refusal_has_its_words(void)
{
    static const struct {
        size_t at;
        uint32_t value;
        maas_status st;
        const char *words;
    } rows[] = {
        {0, 0xffffff00, MAAS_E_FORMAT, "byte 0: an offset leads outside of the file"},
        {0, 0, MAAS_E_FORMAT, "byte 0: an offset leads outside of the file"},
        {4, 0, MAAS_E_FORMAT, "byte 4: the file's identifier is missing"},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        bytes b = load("dense");
        maas_err err = {0};
        maas_graph *g = NULL;
        uint8_t *copy;
        memcpy(b.p + rows[i].at, &rows[i].value, 4);
        EXPECT_EQ(read_exact(&b, &g, &copy, &err), rows[i].st);
        EXPECT_MSG(strstr(err.msg, rows[i].words), "row %zu: %s", i, err.msg);
        maas_graph_destroy(g);
        free(copy);
    }
}

/* A file that was cut anywhere is refused: buffers and tables are at both of its ends. */
static void cuts_are_refused(void)
{
    const bytes whole = load("picture");
    for (size_t n = 0; n + 64 < whole.n; n += 3) {
        bytes b = whole;
        maas_err err = {0};
        maas_graph *g = NULL;
        uint8_t *copy;
        b.n = n;
        EXPECT(read_exact(&b, &g, &copy, &err) != MAAS_OK && err.msg[0]);
        maas_graph_destroy(g);
        free(copy);
    }
}

static const mt_case cases[] = {MT_CASE(a_signature_names_inputs_and_outputs),
                                MT_CASE(constants_stay_in_the_file),
                                MT_CASE(channels_stay_first),
                                MT_CASE(every_offset_is_checked),
                                MT_CASE(every_refusal_has_its_words),
                                MT_CASE(cuts_are_refused)};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
