/* Keras: both kinds of files through HDF5, and every refusal by its words. */
#include "maas_test.h"

#include "base/sys.h"
#include "formats/model.h"
#include "graph/op.h"
#include "../../fuzz/keras_fake.h"

/* y = x [[1, 2], [3, 4], [5, 6]] + [10, 20], as Keras 3 saved it. */
static void files_of_keras_are_read(const char *name)
{
    static uint8_t bytes[1 << 16];
    char path[512];
    maas_err err = {0};
    maas_graph *g = NULL;
    const maas_model_format *format = NULL;
    snprintf(path, sizeof path, "%s/%s", DATA_DIR, name);
    FILE *f = fopen(path, "rb");
    EXPECT(f != NULL);
    const maas_span file = maas_span_of(bytes, f ? fread(bytes, 1, sizeof bytes, f) : 0);
    if (f)
        fclose(f);
    EXPECT_EQ(maas_model_format_find(file, NULL, &format, &err), MAAS_OK);
    EXPECT(format && strcmp(format->name, "keras") == 0);
    maas_budget budget = {.limit = 16 << 20};
    EXPECT_MSG(maas_keras_read(file, &budget, &g, &err) == MAAS_OK, "%s", err.msg);
    if (!g)
        return;
    EXPECT(maas_graph_find(g, "x") != MAAS_NO_VALUE && maas_graph_find(g, "y") != MAAS_NO_VALUE);
    double sum = 0;
    for (uint32_t i = 0; i < g->n_values; i++)
        for (int64_t j = 0; g->values[i].init.data && j < maas_n_elems(&g->values[i].init); j++)
            sum += maas_tensor_get(&g->values[i].init, j);
    EXPECT_EQ(sum, 51);
    maas_graph_destroy(g);
    EXPECT_EQ(budget.used, 0);
    /* a file that was cut has no weights, or no directory */
    for (size_t n = file.n - 1; n > 100; n -= 997) {
        maas_err why = {0};
        g = NULL;
        EXPECT(maas_keras_read(maas_span_of(bytes, n), &budget, &g, &why) != MAAS_OK);
        EXPECT(why.msg[0] && budget.used == 0);
        if (n < 1100)
            break;
    }
}

static void keras_3(void)
{
    files_of_keras_are_read("dense.keras");
}

static void legacy(void)
{
    files_of_keras_are_read("dense.h5");
}

#define SEQUENTIAL(layer)                                                                          \
    "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"s\",\"layers\":[{\"class_name\":"       \
    "\"InputLayer\",\"config\":{\"name\":\"x\",\"batch_shape\":[null,4]}}," layer "]}}"

static void every_refusal_has_its_words(void)
{
    static const struct {
        const char *config, *words;
    } rows[] = {
        {"{", "the config of the model"},
        {"{}", "no class_name"},
        {"{\"class_name\":\"Mine\",\"config\":{}}", "class 'Mine'"},
        {"{\"class_name\":\"Sequential\",\"config\":{\"layers\":[]}}", "0 layers"},
        {SEQUENTIAL("{\"class_name\":\"Lambda\",\"config\":{\"name\":\"f\"}}"),
         "layer 'f' (Lambda): layers of this class"},
        {SEQUENTIAL("{\"class_name\":\"Dense\",\"config\":{\"name\":\"d\"}}"),
         "layer 'd' (Dense): units is missing"},
        {SEQUENTIAL("{\"class_name\":\"Dense\",\"config\":{\"name\":\"d\",\"units\":0}}"),
         "units must be an integer from 1"},
        {SEQUENTIAL(
             "{\"class_name\":\"Dense\",\"config\":{\"name\":\"d\",\"units\":2,\"lora_rank\":4}}"),
         "argument lora_rank is not supported"},
        {SEQUENTIAL("{\"class_name\":\"Dense\",\"config\":{\"name\":\"d\",\"units\":2,"
                    "\"activation\":\"mine\"}}"),
         "activation 'mine' is not known"},
        {SEQUENTIAL("{\"class_name\":\"Conv2D\",\"config\":{\"name\":\"c\",\"filters\":2}}"),
         "its input has 2 dimensions, expected 4"},
        {SEQUENTIAL("{\"class_name\":\"Dense\",\"config\":{\"name\":\"d\",\"units\":2,"
                    "\"dtype\":\"float64\"}}"),
         "dtype 'float64'"},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        maas_err err = {0};
        maas_graph *g = NULL;
        maas_status st = keras_fake_read(maas_span_str(rows[i].config), NULL, &g, &err);
        EXPECT_MSG(st != MAAS_OK && strstr(err.msg, rows[i].words), "row %zu: %s", i, err.msg);
        maas_graph_destroy(g);
    }
}

static const maas_node *node_of(const maas_graph *g, const char *op)
{
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (strcmp(g->nodes[i].op->name, op) == 0)
            return &g->nodes[i];
    return NULL;
}

/* hard_sigmoid was 0.2 x + 0.5, and GRU applied its reset gate first. */
static void formulas_of_before_keras_3(void)
{
    static const struct {
        const char *version;
        float alpha;
        int64_t reset_after;
    } rows[] = {
        {"3.0", 1.0f / 6, 1}, {"3.15.1", 1.0f / 6, 1}, {"2.15.0", 0.2f, 0}, {NULL, 0.2f, 0}};
    static const char dense[] = SEQUENTIAL(
        "{\"class_name\":\"Dense\",\"config\":{\"name\":\"d\",\"units\":2,"
        "\"activation\":\"hard_sigmoid\"}}");
    static const char gru[] = SEQUENTIAL(
        "{\"class_name\":\"RepeatVector\",\"config\":{\"name\":\"r\",\"n\":3}},"
        "{\"class_name\":\"GRU\",\"config\":{\"name\":\"g\",\"units\":2}}");
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        maas_err err = {0};
        maas_graph *a = NULL, *b = NULL;
        EXPECT_MSG(keras_fake_read_of(maas_span_str(dense), rows[i].version, NULL, &a, &err) ==
                       MAAS_OK,
                   "%s", err.msg);
        EXPECT_MSG(keras_fake_read_of(maas_span_str(gru), rows[i].version, NULL, &b, &err) ==
                       MAAS_OK,
                   "%s", err.msg);
        const maas_node *sigmoid = a ? node_of(a, "HardSigmoid") : NULL;
        const maas_node *cell = b ? node_of(b, "GRU") : NULL;
        EXPECT(sigmoid && cell);
        if (sigmoid && cell) {
            EXPECT_EQ(maas_attr_f(sigmoid, "alpha", 0), rows[i].alpha);
            EXPECT_EQ(maas_attr_i(cell, "linear_before_reset", 0), rows[i].reset_after);
        }
        maas_graph_destroy(a);
        maas_graph_destroy(b);
    }
}

static const mt_case cases[] = {MT_CASE(keras_3), MT_CASE(legacy),
                                MT_CASE(formulas_of_before_keras_3),
                                MT_CASE(every_refusal_has_its_words)};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
