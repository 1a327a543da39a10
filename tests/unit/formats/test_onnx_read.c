#include "maas_test.h"

#include "onnx_make.h"
#include "ops/build.h"
#include "formats/members.h"

/* ---- what must be read, and how ---- */

/* us.scaled(x, w; slope) = LeakyRelu(x + w; alpha = slope), in an opset of its own */
static void m_scaled(maas_pb_writer *w)
{
    maas_pb_begin(w, MODEL_FUNCTION);
    maas_pb_text(w, 1, "scaled");
    maas_pb_text(w, 10, "us");
    maas_pb_text(w, 4, "a");
    maas_pb_text(w, 4, "b");
    maas_pb_text(w, 5, "out");
    maas_pb_text(w, 6, "slope");
    maas_pb_begin(w, 9);
    maas_pb_text(w, OPSET_DOMAIN, "");
    maas_pb_int(w, OPSET_VERSION, 17);
    maas_pb_end(w);
    maas_pb_begin(w, 7);
    maas_pb_text(w, NODE_INPUT, "a");
    maas_pb_text(w, NODE_INPUT, "b");
    maas_pb_text(w, NODE_OUTPUT, "x"); /* the caller has an x, too */
    maas_pb_text(w, NODE_OP, "Add");
    maas_pb_end(w);
    maas_pb_begin(w, 7);
    maas_pb_text(w, NODE_INPUT, "x");
    maas_pb_text(w, NODE_OUTPUT, "out");
    maas_pb_text(w, NODE_OP, "LeakyRelu");
    maas_pb_begin(w, NODE_ATTR);
    maas_pb_text(w, ATTR_NAME, "alpha");
    maas_pb_text(w, ATTR_REF, "slope");
    maas_pb_int(w, ATTR_TYPE, MAAS_ATTR_FLOAT);
    maas_pb_end(w);
    maas_pb_end(w);
    maas_pb_end(w);
}
static void n_slope(maas_pb_writer *w)
{
    maas_pb_begin(w, NODE_ATTR);
    maas_pb_text(w, ATTR_NAME, "slope");
    maas_pb_float(w, ATTR_F, 0.25f);
    maas_pb_int(w, ATTR_TYPE, MAAS_ATTR_FLOAT);
    maas_pb_end(w);
}

static void a_function_is_the_nodes_of_its_body(void)
{
    for (int given = 0; given < 2; given++) {
        const onnx_make make = {
            .domain = "us", .op = "scaled", .model = m_scaled, .node = given ? n_slope : NULL};
        maas_graph *g = NULL;
        maas_err err = {0};
        maas_buf file;
        EXPECT_MSG(onnx_make_read(&make, NULL, &file, &g, &err) == MAAS_OK, "%s", err.msg);
        if (g) {
            EXPECT_EQ(g->n_nodes, 2);
            EXPECT_STR(g->nodes[0].op->name, "Add");
            EXPECT_STR(g->nodes[1].op->name, "LeakyRelu");
            EXPECT_STR(g->values[g->nodes[0].in[0]].name, "x");
            EXPECT_STR(g->values[g->nodes[0].out[0]].name, "scaled#1/x");
            EXPECT_STR(g->values[g->nodes[1].out[0]].name, "y");
            EXPECT_EQ(maas_attr_f(&g->nodes[1], "alpha", -1), given ? 0.25f : -1);
        }
        maas_graph_destroy(g);
        maas_buf_reset(&file);
    }
    EXPECT_EQ(maas_mem_live(), 0);
}

static void data_is_borrowed_when_aligned_and_copied_when_not(void)
{
    static const onnx_make good = {0};
    AUTO(maas_buf_reset) maas_buf made = MAAS_BUF_INIT(1 << 20);
    EXPECT_EQ(onnx_make_file(&good, &made), MAAS_OK);
    int n_borrowed = 0;
    for (size_t shift = 0; shift < 8; shift++) {
        uint8_t *bytes = malloc(made.n + 8);
        memcpy(bytes + shift, made.p, made.n);
        maas_graph *g = NULL;
        EXPECT_EQ(maas_onnx_read(maas_span_of(bytes + shift, made.n), NULL, &g, NULL), MAAS_OK);
        const maas_value *w = maas_graph_at(g, maas_graph_find(g, "w"));
        const uint8_t *p = w->init.data;
        n_borrowed += p >= bytes && p < bytes + made.n + 8;
        EXPECT_EQ((uintptr_t)p % 4, 0);
        EXPECT(memcmp(p, f2, sizeof f2) == 0);
        EXPECT(w->flags == MAAS_VALUE_CONST);
        maas_graph_destroy(g);
        free(bytes);
    }
    EXPECT_EQ(n_borrowed, 2); /* of eight places two are aligned to 4 bytes */
}

static void count_copied(void *user, maas_span bytes)
{
    size_t *sums = user;
    sums[0]++;
    sums[1] += bytes.n;
}

/* Only what is copied, and is large: the rest shares pages with what is still read. */
static void who_mapped_the_file_is_told_what_was_copied(void)
{
    const int64_t large = (1 << 20) / 4 + 3, small = 1000, two = 2;
    AUTO(maas_buf_reset) maas_buf made = MAAS_BUF_INIT(1 << 23);
    float *data = calloc((size_t)large, sizeof *data);
    maas_graph *g;
    maas_builder b;
    maas_err err = {0};
    EXPECT_EQ(maas_graph_create("large", NULL, &g, &err), MAAS_OK);
    maas_builder_init(&b, g, &err);
    const maas_tensor l = maas_tensor_of(MAAS_F32, 1, &large, data),
                      s = maas_tensor_of(MAAS_F32, 1, &small, data);
    maas_vid x = maas_b_input(&b, "x", MAAS_F32, 1, &two);
    maas_b_output(&b, "y", maas_b_op1(&b, "Relu", x));
    maas_b_output(&b, "l2", maas_b_op1(&b, "Relu", maas_b_const(&b, "l", &l)));
    maas_b_output(&b, "s2", maas_b_op1(&b, "Relu", maas_b_const(&b, "s", &s)));
    EXPECT_EQ(maas_onnx_write(g, NULL, NULL, &made, NULL), MAAS_OK);
    maas_graph_destroy(g);
    int n_told = 0;
    for (size_t shift = 0; shift < 4; shift++) {
        size_t sums[2] = {0};
        const maas_onnx_opts o = {.copied = count_copied, .user = sums};
        uint8_t *bytes = malloc(made.n + 8);
        memcpy(bytes + shift, made.p, made.n);
        EXPECT_EQ(maas_onnx_read(maas_span_of(bytes + shift, made.n), &o, &g, NULL), MAAS_OK);
        EXPECT_EQ(sums[1], sums[0] * (size_t)large * sizeof *data);
        n_told += (int)sums[0];
        maas_graph_destroy(g);
        free(bytes);
    }
    EXPECT_EQ(n_told, 3);
    free(data);
}

static void symbols_and_types_are_those_of_the_file(void)
{
    static const onnx_make good = {.opset = 28};
    maas_buf file, text = MAAS_BUF_INIT(1000);
    maas_graph *g = NULL;
    EXPECT_EQ(onnx_make_read(&good, NULL, &file, &g, NULL), MAAS_OK);
    EXPECT(maas_onnx_probe(maas_buf_span(&file)) > 50);
    EXPECT_EQ(maas_onnx_probe(maas_span_str("x,y\n1,2\n")), 0);
    EXPECT_EQ(maas_onnx_probe(maas_span_str("")), 0);
    maas_graph_dump(g, &text);
    EXPECT_STR(text.p, "graph \"g\" (x: float[batch,2]) -> (y: float[batch,2])\n"
                       "  const w: float[2] = {1,2}\n"
                       "  n0 Add(x, w) -> y: float[batch,2]\n");
    maas_graph_destroy(g);
    maas_buf_reset(&file);
    maas_buf_reset(&text);
}

static const float member[] = {9, 1, 2};
static maas_status lend(void *user, const char *location, maas_span *out, maas_err *err)
{
    if (strcmp(location, "weights.bin") != 0)
        return maas_fail(err, MAAS_E_NOT_FOUND, "no such member");
    *out = maas_span_of(member, *(const size_t *)user);
    return MAAS_OK;
}

static void external_data_comes_from_the_callback_alone(void)
{
    static const onnx_make make = {.tensor = t_external};
    size_t n = sizeof member;
    maas_onnx_opts opts = {.external = lend, .user = &n};
    maas_buf file;
    maas_graph *g = NULL;
    maas_err why = {0};
    EXPECT_MSG(onnx_make_read(&make, &opts, &file, &g, &why) == MAAS_OK, "%s", why.msg);
    EXPECT(maas_graph_at(g, maas_graph_find(g, "w"))->init.data == &member[1]);
    maas_graph_destroy(g);
    maas_buf_reset(&file);
    for (n = 0; n < sizeof member; n++) {
        maas_err err = {0};
        EXPECT_EQ(onnx_make_read(&make, &opts, &file, &g, &err), MAAS_E_FORMAT);
        EXPECT(strstr(err.msg, "of 'weights.bin', which has"));
        maas_buf_reset(&file);
    }
}

/* Names of the upload are found, and nothing that could be a path of this machine. */
static void members_are_found_by_name_alone(void)
{
    static const struct {
        const char *model, *location, *words; /* words NULL: found */
    } rows[] = {
        {"model.onnx", "w", NULL},
        {"", "./w", NULL},
        {"onnx/model.onnx", "w", "'w', which is not in the upload"},
        {"a/model.onnx", "b//c", NULL},
        {"model.onnx", "a/b/c", NULL},
        {"model.onnx", "W", "not in the upload"},
        {"model.onnx", "/w", "absolute"},
        {"model.onnx", "../w", "outside"},
        {"a/model.onnx", "../w", "outside"},
        {"model.onnx", "a/..", "outside"},
        {"model.onnx", "..w", "not in the upload"},
        {"model.onnx", "", "no name"},
        {"model.onnx", "././", "no name"},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        maas_member list[] = {{rows[i].model, {0}, false},
                              {"w", maas_span_str("12"), false},
                              {"a/b/c", maas_span_str("12"), false}};
        maas_members m = {list, 3};
        maas_span found = {0};
        maas_err err = {0};
        const maas_status st = maas_members_external(&m, rows[i].location, &found, &err);
        EXPECT_MSG((st == MAAS_OK) == !rows[i].words, "%s: %s", rows[i].location, err.msg);
        EXPECT_EQ(found.n, rows[i].words ? 0 : 2);
        EXPECT_EQ(list[1].used || list[2].used, !rows[i].words);
        EXPECT_MSG(!rows[i].words || strstr(err.msg, rows[i].words), "%s", err.msg);
    }
}

static maas_status count_name(void *user, const char *location, maas_err *err)
{
    (void)err;
    *(int *)user += strcmp(location, "weights.bin") == 0;
    return MAAS_OK;
}

static void names_of_files_are_told_without_reading(void)
{
    static const onnx_make make = {.tensor = t_external};
    maas_buf file;
    maas_graph *g = NULL;
    maas_err err = {0};
    int n = 0;
    EXPECT(onnx_make_read(&make, NULL, &file, &g, &err) != MAAS_OK);
    err = (maas_err){0};
    EXPECT_EQ(maas_onnx_externals(maas_buf_span(&file), count_name, &n, &err), MAAS_OK);
    EXPECT_EQ(n, 1);
    maas_buf_reset(&file);
}

/* Typed lists against the numbers they must give. */
static void t_i8(maas_pb_writer *w)
{
    const int64_t v[] = {-128, 127};
    tensor_head(w, MAAS_I8, d2, 1);
    maas_pb_ints(w, TENSOR_INT32S, v, 2);
}
static void t_f16(maas_pb_writer *w)
{
    const int64_t v[] = {0x3c00, 0xc000}; /* 1, -2 */
    tensor_head(w, MAAS_F16, d2, 1);
    maas_pb_ints(w, TENSOR_INT32S, v, 2);
}
static void t_u32(maas_pb_writer *w)
{
    const int64_t v[] = {0, UINT32_MAX};
    tensor_head(w, MAAS_U32, d2, 1);
    maas_pb_ints(w, TENSOR_UINT64S, v, 2);
}
static void t_i64(maas_pb_writer *w)
{
    const int64_t v[] = {-5, 1ll << 40};
    tensor_head(w, MAAS_I64, d2, 1);
    maas_pb_ints(w, TENSOR_INT64S, v, 2);
}
static void t_f64(maas_pb_writer *w)
{
    const double v[] = {0.1, -2e300};
    tensor_head(w, MAAS_F64, d2, 1);
    maas_pb_bytes(w, TENSOR_DOUBLES, v, sizeof v);
}
static void t_bools(maas_pb_writer *w)
{
    tensor_head(w, MAAS_BOOL, d2, 1);
    maas_pb_int(w, TENSOR_INT32S, 1); /* not packed */
    maas_pb_int(w, TENSOR_INT32S, 0);
}

static void typed_lists_give_their_numbers(void)
{
    static const struct {
        void (*tensor)(maas_pb_writer *w);
        maas_dtype dtype;
        double v[2];
    } rows[] = {
        {t_i8, MAAS_I8, {-128, 127}},       {t_f16, MAAS_F16, {1, -2}},
        {t_u32, MAAS_U32, {0, UINT32_MAX}}, {t_i64, MAAS_I64, {-5, 1ll << 40}},
        {t_f64, MAAS_F64, {0.1, -2e300}},   {t_bools, MAAS_BOOL, {1, 0}},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        /* The node reads x twice, so that any type of w is legal. */
        const onnx_make make = {.tensor = rows[i].tensor, .in2 = "x"};
        maas_buf file;
        maas_graph *g = NULL;
        maas_err err = {0};
        EXPECT_MSG(onnx_make_read(&make, NULL, &file, &g, &err) == MAAS_OK, "%s", err.msg);
        const maas_tensor *t = &maas_graph_at(g, maas_graph_find(g, "w"))->init;
        EXPECT_EQ(t->dtype, rows[i].dtype);
        for (int k = 0; k < 2; k++)
            EXPECT_NEAR(maas_tensor_get(t, k), rows[i].v[k], 0);
        maas_graph_destroy(g);
        maas_buf_reset(&file);
    }
}

static void n_axes(maas_pb_writer *w)
{
    const int64_t axes[] = {1};
    maas_pb_begin(w, NODE_ATTR);
    maas_pb_text(w, ATTR_NAME, "axes");
    maas_pb_ints(w, ATTR_INTS, axes, 1);
    maas_pb_int(w, ATTR_TYPE, MAAS_ATTR_INTS);
    maas_pb_end(w);
}

static void old_reductions_get_their_axes_as_an_input(void)
{
    static const onnx_make old = {.op = "ReduceMax", .in2 = "", .opset = 17, .node = n_axes};
    static const onnx_make wrong = {.op = "ReduceMax", .in2 = "", .opset = 18, .node = n_axes};
    maas_buf file;
    maas_graph *g = NULL;
    maas_err err = {0};
    EXPECT_EQ(onnx_make_read(&old, NULL, &file, &g, &err), MAAS_OK);
    const maas_node *n = &g->nodes[0];
    EXPECT_EQ(n->n_in, 2);
    EXPECT_EQ(n->n_attr, 0);
    EXPECT_EQ(maas_tensor_get_i64(&maas_graph_at(g, n->in[1])->init, 0), 1);
    EXPECT_EQ(maas_graph_at(g, n->out[0])->type.dims[1], 1);
    maas_graph_destroy(g);
    maas_buf_reset(&file);
    EXPECT_EQ(onnx_make_read(&wrong, NULL, &file, &g, &err), MAAS_E_UNSUPPORTED);
    EXPECT(strstr(err.msg, "'axes'"));
    maas_buf_reset(&file);
}

static void survives(const onnx_make *make)
{
    AUTO(maas_buf_reset) maas_buf file = MAAS_BUF_INIT(1 << 20);
    onnx_make_file(make, &file);
    long before = maas_mem_live();
    for (long n = 1; n < 10000; n++) {
        maas_graph *g = NULL;
        maas_err err = {0};
        maas_mem_fail_at(n);
        maas_status st = maas_onnx_read(maas_buf_span(&file), NULL, &g, &err);
        maas_mem_fail_at(0);
        maas_graph_destroy(g);
        EXPECT_EQ(maas_mem_live(), before);
        if (st == MAAS_OK) {
            EXPECT(n > 3);
            return;
        }
        EXPECT_MSG(st == MAAS_E_NOMEM, "allocation %ld: %d %s", n, st, err.msg);
    }
    EXPECT(!"reached");
}

static void g_branches(maas_pb_writer *w)
{
    put_if(w, "x", "w");
}

static void reading_survives_every_failed_allocation(void)
{
    static const onnx_make makes[] = {
        {.op = "ReduceMax", .in2 = "", .opset = 17, .node = n_axes},
        {.op = "scaled", .domain = "us", .model = m_scaled, .node = n_slope},
        {.graph = g_branches},
    };
    for (size_t i = 0; i < MAAS_COUNT(makes); i++)
        survives(&makes[i]);
}

static void a_budget_bounds_reading(void)
{
    static const onnx_make make = {0};
    AUTO(maas_buf_reset) maas_buf file = MAAS_BUF_INIT(1 << 20);
    onnx_make_file(&make, &file);
    for (size_t limit = 1; limit < 300000; limit = limit * 3 / 2 + 1) {
        maas_budget budget = {.limit = limit};
        const maas_onnx_opts opts = {.budget = &budget};
        maas_graph *g = NULL;
        maas_status st = maas_onnx_read(maas_buf_span(&file), &opts, &g, NULL);
        EXPECT(st == MAAS_OK || st == MAAS_E_NOMEM);
        EXPECT(limit > 20000 || st == MAAS_E_NOMEM);
        maas_graph_destroy(g);
        EXPECT_EQ(budget.used, 0);
    }
}

static const mt_case cases[] = {
    MT_CASE(a_function_is_the_nodes_of_its_body),
    MT_CASE(data_is_borrowed_when_aligned_and_copied_when_not),
    MT_CASE(who_mapped_the_file_is_told_what_was_copied),
    MT_CASE(symbols_and_types_are_those_of_the_file),
    MT_CASE(external_data_comes_from_the_callback_alone),
    MT_CASE(members_are_found_by_name_alone),
    MT_CASE(names_of_files_are_told_without_reading),
    MT_CASE(typed_lists_give_their_numbers),
    MT_CASE(old_reductions_get_their_axes_as_an_input),
    MT_CASE(reading_survives_every_failed_allocation),
    MT_CASE(a_budget_bounds_reading),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
