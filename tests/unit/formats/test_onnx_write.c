#include "maas_test.h"

#include "formats/onnx_int.h"
#include "base/mem.h"
#include "ops/build.h"
#include "base/sys.h"
#include "tensor/small.h"

typedef struct built {
    maas_builder b;
    maas_err err;
    maas_vid x, w, y;
} built;

static void begin(built *u)
{
    float data[] = {1, 2, 3};
    const int64_t d3[] = {3};
    const maas_tensor t = maas_tensor_of(MAAS_F32, 1, d3, data);
    int64_t dims[] = {0, 3};
    maas_graph *g;
    *u = (built){0};
    MAAS_CHECK(maas_graph_create("written", NULL, &g, NULL) == MAAS_OK);
    maas_builder_init(&u->b, g, &u->err);
    MAAS_CHECK(maas_graph_symbol(g, "batch", &dims[0], NULL) == MAAS_OK);
    u->x = maas_b_input(&u->b, "x", MAAS_F32, 2, dims);
    MAAS_CHECK(maas_graph_variable(g, "w", &t, true, &u->w, NULL) == MAAS_OK);
}

static void end(built *u, maas_vid y)
{
    u->y = y;
    maas_b_output(&u->b, "y", y);
    EXPECT_MSG(u->b.status == MAAS_OK, "%s", u->err.msg);
}

/* Written and read again; the bytes stay in `file`, which the graph borrows from. */
static maas_graph *again(const maas_graph *g, maas_buf *file)
{
    maas_graph *copy = NULL;
    maas_err err = {0};
    *file = (maas_buf)MAAS_BUF_INIT(1 << 20);
    EXPECT_MSG(maas_onnx_write(g, NULL, NULL, file, &err) == MAAS_OK, "%s", err.msg);
    EXPECT_MSG(maas_onnx_read(maas_buf_span(file), NULL, &copy, &err) == MAAS_OK, "%s", err.msg);
    return copy;
}

/* An older form makes up a constant while it is read, a name in the file looks as if made up. */
static void names_made_up_meet_none_of_the_file(void)
{
    built u;
    maas_buf file;
    const int64_t one = 1;
    const maas_tensor axes = maas_tensor_of(MAAS_I64, 1, (const int64_t[]){1}, (void *)&one);
    begin(&u);
    maas_vid m = maas_b_op2(&u.b, "ReduceMean", u.x, maas_b_const(&u.b, "axes", &axes));
    maas_vid n = maas_b_op1(&u.b, "Neg", m);
    MAAS_CHECK(maas_graph_rename(u.b.g, m, "m", NULL) == MAAS_OK);
    MAAS_CHECK(maas_graph_find(u.b.g, "_0") == MAAS_NO_VALUE &&
               maas_graph_rename(u.b.g, n, "_0", NULL) == MAAS_OK);
    end(&u, maas_b_op1(&u.b, "Neg", n));
    maas_graph *copy = again(u.b.g, &file);
    EXPECT(copy && maas_graph_find(copy, "_0") != MAAS_NO_VALUE);
    maas_graph_destroy(copy);
    maas_graph_destroy(u.b.g);
    maas_buf_reset(&file);
}

/* The opset that the file imports for a domain; 0 when none. */
static int64_t opset_of(const maas_buf *file, const char *domain)
{
    maas_pb r = maas_pb_open(maas_buf_span(file), NULL);
    maas_span bytes, name, run = {0};
    while (maas_pb_each(&r, MODEL_OPSET, &bytes)) {
        maas_pb m = maas_pb_message(&r, bytes), copy = m;
        uint64_t version = 0;
        if (maas_pb_each(&m, OPSET_DOMAIN, &name) && maas_span_is(name, domain) &&
            maas_pb_each_number(&copy, OPSET_VERSION, MAAS_PB_VARINT, &run, &version))
            return (int64_t)version;
    }
    return 0;
}

static void dump(const maas_graph *g, maas_buf *out)
{
    *out = (maas_buf)MAAS_BUF_INIT(1 << 20);
    maas_graph_dump(g, out);
}

static void what_is_written_reads_back_the_same(void)
{
    built u;
    maas_buf file, a, b;
    begin(&u);
    maas_graph_set_meta(u.b.g, "labels", "[\"a\",\"b\"]", NULL);
    float c[] = {0.5f};
    const int64_t d1[] = {1};
    const maas_tensor t = maas_tensor_of(MAAS_F32, 1, d1, c);
    maas_vid sum = maas_b_op2(&u.b, "Add", u.x, maas_b_const(&u.b, "c", &t));
    const maas_attr axis = MAAS_A_INT("axis", -1);
    maas_vid soft = maas_b_node(&u.b, "Softmax", &axis, 1, &sum, 1, NULL, 1);
    end(&u, maas_b_op1(&u.b, "Relu", soft));
    maas_buf first;
    maas_graph *learned = again(u.b.g, &first), *copy = again(learned, &file);
    EXPECT_EQ(opset_of(&file, ""), 13);
    EXPECT_EQ(opset_of(&file, MAAS_DOMAIN_OWN), 0);
    EXPECT_STR(maas_graph_meta(copy, "labels"), "[\"a\",\"b\"]");
    /* Nobody reads w: a variable stays for an update, a constant does not. */
    EXPECT(maas_graph_find(learned, "w") != MAAS_NO_VALUE);
    EXPECT_EQ(maas_graph_find(copy, "w"), MAAS_NO_VALUE);
    maas_graph_destroy(learned);
    maas_buf_reset(&first);
    /* Once more: the same bytes. */
    maas_buf second = MAAS_BUF_INIT(1 << 20);
    EXPECT_EQ(maas_onnx_write(copy, NULL, NULL, &second, NULL), MAAS_OK);
    EXPECT(second.n == file.n && memcmp(second.p, file.p, file.n) == 0);
    dump(copy, &a);
    maas_graph *third = again(copy, &b);
    maas_buf text;
    dump(third, &text);
    EXPECT_STR(text.p, a.p);
    maas_graph_destroy(third);
    maas_graph_destroy(copy);
    maas_graph_destroy(u.b.g);
    maas_buf_reset(&file);
    maas_buf_reset(&second);
    maas_buf_reset(&a);
    maas_buf_reset(&b);
    maas_buf_reset(&text);
}

static const maas_tensor *now(void *user, const char *name)
{
    return strcmp(name, "w") == 0 ? user : NULL;
}

static void variables_are_written_with_their_current_value(void)
{
    built u;
    float v[] = {7, 8, 9};
    const int64_t d3[] = {3}, d4[] = {4};
    maas_tensor current = maas_tensor_of(MAAS_F32, 1, d3, v);
    maas_tensor longer = maas_tensor_of(MAAS_F32, 1, d4, v);
    maas_buf file = MAAS_BUF_INIT(1 << 20);
    maas_graph *copy = NULL;
    maas_err err = {0};
    begin(&u);
    end(&u, maas_b_op2(&u.b, "Mul", u.x, u.w));
    EXPECT_EQ(maas_onnx_write(u.b.g, now, &current, &file, &err), MAAS_OK);
    EXPECT_EQ(maas_onnx_read(maas_buf_span(&file), NULL, &copy, &err), MAAS_OK);
    const maas_value *w = maas_graph_at(copy, maas_graph_find(copy, "w"));
    EXPECT(w->flags & MAAS_VALUE_CONST && memcmp(w->init.data, v, sizeof v) == 0);
    maas_graph_destroy(copy);
    maas_buf_clear(&file);
    EXPECT_EQ(maas_onnx_write(u.b.g, now, &longer, &file, &err), MAAS_E_INVALID);
    EXPECT(strstr(err.msg, "'w'") && file.n == 0);
    maas_graph_destroy(u.b.g);
    maas_buf_reset(&file);
}

/* What the lowest opset is depends on what the node says. */
static void the_lowest_opset_is_found(void)
{
    const maas_attr noop = MAAS_A_INT("noop_with_empty_axes", 1), keep = MAAS_A_INT("keepdims", 0);
    for (int k = 0; k < 4; k++) {
        built u;
        maas_buf file;
        begin(&u);
        maas_vid axes = k == 2 ? MAAS_NO_VALUE : maas_b_i64s(&u.b, (const int64_t[]){1}, k != 3);
        maas_vid in[] = {u.x, axes}, y = MAAS_NO_VALUE;
        const maas_attr attr[] = {keep, noop};
        /* 0: axes; 1: axes and a needless noop; 2: none; 3: empty axes that mean "do nothing" */
        y = maas_b_node(&u.b, "ReduceMean", attr, k == 1 || k == 3 ? 2 : 1, in, k == 2 ? 1 : 2,
                        NULL, 1);
        end(&u, y);
        maas_graph *copy = again(u.b.g, &file);
        EXPECT_MSG(opset_of(&file, "") == (k == 3 ? 18 : 13), "case %d: opset %lld", k,
                   (long long)opset_of(&file, ""));
        const maas_type *a = &maas_graph_at(copy, copy->outputs[0])->type;
        const maas_type *b = &maas_graph_at(u.b.g, u.y)->type;
        EXPECT(a->rank == b->rank);
        maas_graph_destroy(copy);
        maas_graph_destroy(u.b.g);
        maas_buf_reset(&file);
    }
}

/* Element types and meanings that came later ask for the opset they came with. */
static void later_types_need_later_opsets(void)
{
    static const struct {
        const char *op;
        maas_dtype type;
        int64_t fmod, opset;
    } cases[] = {{"Identity", MAAS_F8E5M2, -1, 19}, {"Transpose", MAAS_F8E5M2, -1, 21},
                 {"Identity", MAAS_I4, -1, 21},     {"Identity", MAAS_F4E2M1, -1, 23},
                 {"Identity", MAAS_F8E8M0, -1, 24}, {"Identity", MAAS_U2, -1, 25},
                 {"Identity", MAAS_F6E2M3, -1, 28}, {"Sin", MAAS_F32, -1, 13},
                 {"Sin", MAAS_BF16, -1, 22},        {"Mod", MAAS_F32, 1, 13},
                 {"Mod", MAAS_I32, 0, 13},          {"Mod", MAAS_F64, 0, 28},
                 {"Mod", MAAS_BF16, 0, 28}};
    for (size_t k = 0; k < MAAS_COUNT(cases); k++) {
        built u;
        maas_buf file;
        begin(&u);
        const maas_attr to = MAAS_A_INT("to", cases[k].type);
        const maas_attr fmod = MAAS_A_INT("fmod", cases[k].fmod);
        maas_vid x = maas_b_node(&u.b, "Cast", &to, 1, &u.x, 1, NULL, 1), in[] = {x, x};
        const bool two = cases[k].fmod >= 0;
        end(&u, maas_b_node(&u.b, cases[k].op, &fmod, two, in, two ? 2 : 1, NULL, 1));
        maas_graph *copy = again(u.b.g, &file);
        EXPECT_MSG(opset_of(&file, "") == cases[k].opset, "case %zu: opset %lld", k,
                   (long long)opset_of(&file, ""));
        maas_graph_destroy(copy);
        maas_graph_destroy(u.b.g);
        maas_buf_reset(&file);
    }
}

/* Elements below a byte are packed in files and come back as they were. */
static void small_elements_are_packed(void)
{
    enum { N = 9001 };
    for (int type = MAAS_F8E4M3FN; type <= MAAS_F6E3M2; type++) {
        built u;
        maas_buf file;
        maas_rng r;
        uint8_t bytes[N];
        const int64_t dims[] = {N};
        const size_t bits = maas_dtype_describe((maas_dtype)type)->file_bits;
        maas_rng_seed(&r, (uint64_t)type);
        for (size_t i = 0; i < N; i++)
            bytes[i] = maas_small_wrap((maas_dtype)type, (uint8_t)maas_rng_u64(&r));
        begin(&u);
        const maas_tensor t = maas_tensor_of((maas_dtype)type, 1, dims, bytes);
        const maas_attr to = MAAS_A_INT("to", MAAS_F32);
        maas_vid c = maas_b_const(&u.b, "c", &t);
        end(&u, maas_b_node(&u.b, "Cast", &to, 1, &c, 1, NULL, 1));
        maas_graph *copy = again(u.b.g, &file);
        const maas_tensor *got = &maas_graph_at(copy, maas_graph_find(copy, "c"))->init;
        EXPECT(got->dtype == type && maas_n_elems(got) == N && memcmp(got->data, bytes, N) == 0);
        EXPECT_MSG(file.n > N * bits / 8 && file.n < N * bits / 8 + 400, "%zu bytes of %zu bits",
                   file.n, bits);
        maas_graph_destroy(copy);
        maas_graph_destroy(u.b.g);
        maas_buf_reset(&file);
    }
}

static void own_operators_import_their_domain(void)
{
    built u;
    maas_buf file;
    begin(&u);
    maas_vid y = maas_b_op1(&u.b, "Relu", u.x);
    end(&u, maas_b_op2(&u.b, "ReluGrad", u.x, y));
    maas_graph *copy = again(u.b.g, &file);
    EXPECT_EQ(opset_of(&file, MAAS_DOMAIN_OWN), 1);
    maas_graph_destroy(copy);
    maas_graph_destroy(u.b.g);
    maas_buf_reset(&file);
}

static void an_illegal_graph_is_not_written(void)
{
    built u;
    maas_buf file = MAAS_BUF_INIT(1 << 20);
    begin(&u);
    end(&u, maas_b_op1(&u.b, "Relu", u.x));
    u.b.g->nodes[0].in[0] = 77;
    EXPECT_EQ(maas_onnx_write(u.b.g, NULL, NULL, &file, NULL), MAAS_E_INVALID);
    EXPECT_EQ(file.n, 0);
    maas_graph_destroy(u.b.g);
    maas_buf_reset(&file);
}

/* Each operator's own examples, written and read: the schema tables against both converters. */
static void every_example_of_every_operator_survives(void)
{
    maas_rng rng;
    int n_tried = 0;
    for (size_t i = 0; i < maas_n_ops; i++)
        for (int variant = 0; variant < maas_ops[i]->n_examples; variant++) {
            const maas_op *op = maas_ops[i];
            maas_graph *g;
            maas_err err = {0};
            maas_rng_seed(&rng, (uint64_t)variant + 1);
            MAAS_CHECK(maas_graph_create("example", NULL, &g, NULL) == MAAS_OK);
            maas_builder b;
            maas_builder_init(&b, g, &err);
            maas_example e = {.b = &b, .rng = &rng, .variant = variant};
            op->example(&e);
            EXPECT_MSG(b.status == MAAS_OK, "%s/%d: %s", op->name, variant, err.msg);
            for (uint32_t k = 0; b.status == MAAS_OK && g->n_outputs == 0 && k < g->n_nodes; k++)
                for (uint32_t j = 0; g->nodes[k].op == op && j < g->nodes[k].n_out; j++)
                    if (g->nodes[k].out[j] != MAAS_NO_VALUE)
                        maas_graph_output(g, g->nodes[k].out[j], NULL);
            maas_buf file = MAAS_BUF_INIT(4 << 20);
            maas_graph *copy = NULL;
            maas_status st = maas_onnx_write(g, NULL, NULL, &file, &err);
            EXPECT_MSG(st == MAAS_OK, "%s/%d: %s", op->name, variant, err.msg);
            uint64_t size = 0;
            EXPECT(maas_onnx_size(g, &size, &err) == MAAS_OK);
            EXPECT_MSG(size == file.n, "%s/%d: %llu bytes", op->name, variant,
                       (unsigned long long)size);
            if (st == MAAS_OK)
                st = maas_onnx_read(maas_buf_span(&file), NULL, &copy, &err);
            EXPECT_MSG(st == MAAS_OK, "%s/%d read: %s", op->name, variant, err.msg);
            if (st == MAAS_OK && g->n_outputs) {
                const maas_type *x = &maas_graph_at(g, g->outputs[0])->type;
                const maas_type *y = &maas_graph_at(copy, copy->outputs[0])->type;
                EXPECT_MSG(x->dtype == y->dtype && x->rank == y->rank, "%s/%d", op->name, variant);
            }
            n_tried++;
            maas_graph_destroy(copy);
            maas_buf_reset(&file);
            maas_graph_destroy(g);
        }
    EXPECT(n_tried > 200);
}

static void writing_survives_every_failed_allocation(void)
{
    built u;
    begin(&u);
    end(&u, maas_b_op2(&u.b, "Mul", u.x, u.w));
    long before = maas_mem_live();
    for (long n = 1; n < 1000; n++) {
        maas_buf file = MAAS_BUF_INIT(1 << 20);
        maas_mem_fail_at(n);
        maas_status st = maas_onnx_write(u.b.g, NULL, NULL, &file, NULL);
        maas_mem_fail_at(0);
        maas_buf_reset(&file);
        EXPECT_EQ(maas_mem_live(), before);
        if (st == MAAS_OK) {
            EXPECT(n > 3);
            break;
        }
        EXPECT_EQ(st, MAAS_E_NOMEM);
    }
    maas_graph_destroy(u.b.g);
}

static const mt_case cases[] = {
    MT_CASE(names_made_up_meet_none_of_the_file),
    MT_CASE(what_is_written_reads_back_the_same),
    MT_CASE(variables_are_written_with_their_current_value),
    MT_CASE(the_lowest_opset_is_found),
    MT_CASE(later_types_need_later_opsets),
    MT_CASE(small_elements_are_packed),
    MT_CASE(own_operators_import_their_domain),
    MT_CASE(an_illegal_graph_is_not_written),
    MT_CASE(every_example_of_every_operator_survives),
    MT_CASE(writing_survives_every_failed_allocation),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
