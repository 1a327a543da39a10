/* The public header against closed forms: what it computes, what it refuses, what it leaves. */
#include "../../maas_test.h"

#include <fcntl.h>
#include <pthread.h>

#include "base/mem.h"
#include "base/sys.h"
#include "formats/onnx.h"
#include "maas.h"
#include "ops/build.h"

static char path[64];

static void remove_file(void)
{
    unlink(path);
}

/* Writes the graph of the builder to a file that goes with the process. */
static void save(maas_builder *b)
{
    maas_buf file = MAAS_BUF_INIT(1u << 24);
    maas_err err = {0};
    if (b->status != MAAS_OK || maas_onnx_write(b->g, NULL, NULL, &file, &err) != MAAS_OK) {
        fprintf(stderr, "cannot write the model: %s\n", err.msg);
        abort();
    }
    snprintf(path, sizeof path, "/tmp/maas-lib-%d.onnx", (int)getpid());
    atexit(remove_file);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, file.p, file.n) != (ssize_t)file.n)
        abort();
    close(fd);
    maas_buf_reset(&file);
    maas_graph_destroy(b->g);
}

static maas_builder begin(void)
{
    static maas_err err;
    maas_graph *g = NULL;
    maas_builder b;
    if (maas_graph_create("g", NULL, &g, &err) != MAAS_OK)
        abort();
    maas_builder_init(&b, g, &err);
    return b;
}

/* y [n,2] = x [n,3] W + c */
static const float W[6] = {1, 2, 3, 4, 5, 6}, C[2] = {0.5f, -0.5f};
static void save_linear(void)
{
    maas_builder b = begin();
    int64_t batch;
    maas_graph_symbol(b.g, "batch", &batch, NULL);
    maas_vid x = maas_b_input(&b, "x", MAAS_F32, 2, (int64_t[]){batch, 3});
    maas_tensor w = maas_tensor_of(MAAS_F32, 2, (int64_t[]){3, 2}, (void *)W);
    maas_tensor c = maas_tensor_of(MAAS_F32, 1, (int64_t[]){2}, (void *)C);
    maas_vid y = maas_b_op2(&b, "MatMul", x, maas_b_const(&b, "W", &w));
    maas_b_output(&b, "y", maas_b_op2(&b, "Add", y, maas_b_const(&b, "c", &c)));
    save(&b);
}

static float expected(const float *x, int64_t row, int col)
{
    float sum = C[col];
    for (int k = 0; k < 3; k++)
        sum += x[row * 3 + k] * W[k * 2 + col];
    return sum;
}

static maas_model *load(const maas_load_opts *opts)
{
    maas_model *m = NULL;
    char *words = NULL;
    maas_status st = maas_model_load(path, opts, &m, &words);
    if (st != MAAS_OK)
        fprintf(stderr, "load: %s\n", words);
    EXPECT_EQ(st, MAAS_OK);
    return m;
}

static void check_rows(maas_session *s, int64_t n, const float *x)
{
    const int64_t dims[2] = {n, 3}, *out_dims;
    int32_t rank;
    const void *data;
    size_t bytes;
    EXPECT_EQ(maas_session_set_input(s, 0, dims, 2, x, (size_t)n * 12), MAAS_OK);
    EXPECT_EQ(maas_session_run(s), MAAS_OK);
    EXPECT_EQ(maas_session_output(s, 0, &out_dims, &rank, &data, &bytes), MAAS_OK);
    EXPECT_EQ(rank, 2);
    EXPECT_EQ(out_dims[0], n);
    EXPECT_EQ(out_dims[1], 2);
    EXPECT_EQ(bytes, (size_t)n * 8);
    for (int64_t i = 0; i < n * 2; i++)
        EXPECT_NEAR(((const float *)data)[i], expected(x, i / 2, (int)(i % 2)), 1e-4);
}

static void a_model_is_described(void)
{
    save_linear();
    maas_model *m = load(NULL);
    maas_io io;
    EXPECT_EQ(maas_model_n_inputs(m), 1);
    EXPECT_EQ(maas_model_n_outputs(m), 1);
    EXPECT_EQ(maas_model_input(m, 0, &io), MAAS_OK);
    EXPECT_STR(io.name, "x");
    EXPECT_EQ(io.dtype, MAAS_F32);
    EXPECT_EQ(io.rank, 2);
    EXPECT_EQ(io.dims[0], -1);
    EXPECT_EQ(io.dims[1], 3);
    EXPECT_EQ(maas_model_output(m, 0, &io), MAAS_OK);
    EXPECT_STR(io.name, "y");
    EXPECT_EQ(maas_model_input(m, 1, &io), MAAS_E_NOT_FOUND);
    EXPECT_EQ(maas_model_output(m, 1, &io), MAAS_E_NOT_FOUND);
    maas_model_free(m);
    maas_model_free(NULL);
    maas_session_free(NULL);
    maas_string_free(NULL);
}

static void every_batch_size_runs(void)
{
    /* More shapes than a session keeps plans, each again after the others. */
    save_linear();
    maas_model *m = load(NULL);
    maas_session *s = NULL;
    float x[40 * 3];
    for (int i = 0; i < 120; i++)
        x[i] = (float)(i % 11) - 5;
    EXPECT_EQ(maas_session_create(m, &s), MAAS_OK);
    for (int round = 0; round < 2; round++)
        for (int64_t n = 0; n <= 40; n += n < 12 ? 1 : 7)
            check_rows(s, n, x);
    maas_session_free(s);
    maas_model_free(m);
}

static void the_same_shape_compiles_nothing(void)
{
    save_linear();
    const maas_load_opts one = {sizeof one, 1, 0};
    maas_model *m = load(&one);
    maas_session *s = NULL;
    const float x[6] = {1, 2, 3, 4, 5, 6};
    EXPECT_EQ(maas_session_create(m, &s), MAAS_OK);
    check_rows(s, 2, x);
    check_rows(s, 1, x);
    check_rows(s, 2, x);
    long before = maas_mem_n_allocs();
    check_rows(s, 1, x);
    check_rows(s, 2, x);
    EXPECT_EQ(maas_mem_n_allocs(), before);
    maas_session_free(s);
    maas_model_free(m);
}

static void odd_addresses_are_fine(void)
{
    save_linear();
    maas_model *m = load(NULL);
    maas_session *s = NULL;
    char bytes[64];
    const float x[6] = {1, -2, 3, 4, 5, -6};
    EXPECT_EQ(maas_session_create(m, &s), MAAS_OK);
    check_rows(s, 2, x);
    for (int shift = 1; shift < 8; shift++) {
        const int64_t dims[2] = {2, 3}, *out_dims;
        int32_t rank;
        const void *data;
        size_t n;
        memcpy(bytes + shift, x, sizeof x);
        EXPECT_EQ(maas_session_set_input(s, 0, dims, 2, bytes + shift, sizeof x), MAAS_OK);
        EXPECT_EQ(maas_session_run(s), MAAS_OK);
        EXPECT_EQ(maas_session_output(s, 0, &out_dims, &rank, &data, &n), MAAS_OK);
        EXPECT_NEAR(((const float *)data)[3], expected(x, 1, 1), 1e-5);
    }
    maas_session_free(s);
    maas_model_free(m);
}

static void wrong_use_is_refused_in_words(void)
{
    static const struct {
        int64_t dims[3];
        int32_t rank;
        size_t bytes;
        const char *words;
    } rows[] = {
        {{2, 4}, 2, 32, "input 'x' takes shape [?,3], not [2,4]"},
        {{2, 3, 1}, 3, 24, "input 'x' takes shape [?,3], not [2,3,1]"},
        {{6}, 1, 24, "input 'x' takes shape [?,3], not [6]"},
        {{2, 3}, 2, 23, "input 'x' of that shape takes 24 bytes, not 23"},
        {{-1, 3}, 2, 24, NULL},
        {{2, 3}, -1, 24, NULL},
        {{2, 3}, 99, 24, NULL},
        {{INT64_MAX, 3}, 2, 24, NULL},
    };
    save_linear();
    maas_model *m = load(NULL);
    maas_session *s = NULL;
    const float x[6] = {0};
    const int64_t *dims;
    int32_t rank;
    const void *data;
    size_t n;
    EXPECT_EQ(maas_session_create(m, &s), MAAS_OK);
    EXPECT_STR(maas_session_error(s), "");
    EXPECT_EQ(maas_session_output(s, 0, &dims, &rank, &data, &n), MAAS_E_CONFLICT);
    EXPECT_EQ(maas_session_run(s), MAAS_E_INVALID);
    EXPECT_STR(maas_session_error(s), "input 'x' is not set");
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        maas_status st = maas_session_set_input(s, 0, rows[i].dims, rows[i].rank, x, rows[i].bytes);
        EXPECT_MSG(st == MAAS_E_INVALID || st == MAAS_E_TOO_LARGE, "row %zu: %d", i, st);
        EXPECT(maas_session_error(s)[0] != '\0');
        if (rows[i].words)
            EXPECT_STR(maas_session_error(s), rows[i].words);
    }
    EXPECT_EQ(maas_session_set_input(s, 1, rows[0].dims, 2, x, 24), MAAS_E_NOT_FOUND);
    EXPECT_EQ(maas_session_set_input(s, 0, (int64_t[]){2, 3}, 2, NULL, 24), MAAS_E_INVALID);
    /* What was refused left nothing behind. */
    EXPECT_EQ(maas_session_run(s), MAAS_E_INVALID);
    check_rows(s, 2, x);
    EXPECT_STR(maas_session_error(s), "");
    EXPECT_EQ(maas_session_output(s, 1, &dims, &rank, &data, &n), MAAS_E_NOT_FOUND);
    maas_session_free(s);
    maas_model_free(m);
}

static void handles_may_be_freed_in_any_order(void)
{
    save_linear();
    maas_model *m = load(NULL);
    maas_session *s = NULL, *t = NULL;
    const float x[3] = {1, 2, 3};
    EXPECT_EQ(maas_session_create(m, &s), MAAS_OK);
    EXPECT_EQ(maas_session_create(m, &t), MAAS_OK);
    maas_model_free(m);
    check_rows(s, 1, x);
    maas_session_free(s);
    check_rows(t, 1, x);
    maas_session_free(t);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void *run_many(void *user)
{
    maas_session *s = NULL;
    float x[15 * 3];
    for (int i = 0; i < 45; i++)
        x[i] = (float)(i % 7);
    EXPECT_EQ(maas_session_create(user, &s), MAAS_OK);
    for (int i = 0; i < 200; i++)
        check_rows(s, i % 16, x);
    maas_session_free(s);
    return NULL;
}

static void sessions_of_one_model_run_at_once(void)
{
    save_linear();
    const maas_load_opts one = {sizeof one, 1, 0};
    maas_model *m = load(&one);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, run_many, m);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    maas_model_free(m);
}

/* label [n] (strings) from kind [n] (strings) */
static void save_texts(void)
{
    static const maas_str keys[] = {{"cat", 3}, {"dog", 3}}, values[] = {{"meow", 4}, {"wow", 3}};
    maas_builder b = begin();
    int64_t batch;
    maas_graph_symbol(b.g, "batch", &batch, NULL);
    maas_vid x = maas_b_input(&b, "kind", MAAS_STRING, 1, &batch), y = MAAS_NO_VALUE;
    const maas_attr attr[] = {
        {.name = "keys_strings", .type = MAAS_ATTR_STRINGS, .n = 2, .u.strings = keys},
        {.name = "values_strings", .type = MAAS_ATTR_STRINGS, .n = 2, .u.strings = values},
        {.name = "default_string", .type = MAAS_ATTR_STRING, .u.s = {"?", 1}},
    };
    maas_b_node(&b, "LabelEncoder", attr, 3, &x, 1, &y, 1);
    maas_b_output(&b, "says", y);
    save(&b);
}

static void strings_go_in_and_out(void)
{
    save_texts();
    maas_model *m = load(NULL);
    maas_session *s = NULL;
    const char *in[] = {"dog", "cow", "cat", ""};
    const int64_t n = 4, *dims;
    int32_t rank;
    const void *data;
    size_t bytes;
    EXPECT_EQ(maas_session_create(m, &s), MAAS_OK);
    EXPECT_EQ(maas_session_set_input(s, 0, &n, 1, in, sizeof in), MAAS_OK);
    for (int round = 0; round < 3; round++) {
        EXPECT_EQ(maas_session_run(s), MAAS_OK);
        EXPECT_EQ(maas_session_output(s, 0, &dims, &rank, &data, &bytes), MAAS_OK);
        EXPECT_EQ(bytes, 4 * sizeof(char *));
        const char *const *out = data;
        EXPECT_STR(out[0], "wow");
        EXPECT_STR(out[1], "?");
        EXPECT_STR(out[2], "meow");
        EXPECT_STR(out[3], "?");
    }
    in[2] = NULL;
    EXPECT_EQ(maas_session_set_input(s, 0, &n, 1, in, sizeof in), MAAS_E_INVALID);
    EXPECT_STR(maas_session_error(s), "string 2 of input 'kind' is NULL");
    EXPECT_EQ(maas_session_run(s), MAAS_OK); /* with what was there before */
    maas_session_free(s);
    maas_model_free(m);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void files_that_are_no_models_are_refused(void)
{
    static const struct {
        const char *bytes;
        size_t n;
    } files[] = {{"", 0}, {"hello", 5}, {"\x08\x08\x3a\xff\xff\xff\xff\x0f", 8}};
    maas_model *m = NULL;
    char *words = NULL;
    EXPECT_EQ(maas_model_load("/tmp/maas-no-such-file.onnx", NULL, &m, &words), MAAS_E_NOT_FOUND);
    EXPECT(words && *words);
    maas_string_free(words);
    EXPECT_EQ(maas_model_load("/tmp/maas-no-such-file.onnx", NULL, &m, NULL), MAAS_E_NOT_FOUND);
    EXPECT_EQ(maas_model_load(NULL, NULL, &m, NULL), MAAS_E_INVALID);
    save_linear();
    for (size_t i = 0; i < MAAS_COUNT(files); i++) {
        int fd = open(path, O_WRONLY | O_TRUNC);
        EXPECT_EQ(write(fd, files[i].bytes, files[i].n), (long long)files[i].n);
        close(fd);
        words = NULL;
        EXPECT(maas_model_load(path, NULL, &m, &words) != MAAS_OK);
        EXPECT(words && *words);
        maas_string_free(words);
    }
    EXPECT(m == NULL);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void damaged_files_never_crash(void)
{
    save_linear();
    maas_buf file = MAAS_BUF_INIT(1u << 20);
    int fd = open(path, O_RDONLY);
    EXPECT_EQ(maas_sys_read_all(fd, &file, NULL), MAAS_OK);
    close(fd);
    uint64_t seed = 1;
    maas_rng rng;
    maas_rng_seed(&rng, seed);
    int n_ran = 0;
    for (int i = 0; i < 400; i++) {
        size_t at = maas_rng_below(&rng, file.n);
        char before = file.p[at];
        file.p[at] = (char)maas_rng_u64(&rng);
        fd = open(path, O_WRONLY | O_TRUNC);
        EXPECT_EQ(write(fd, file.p, file.n), (long long)file.n);
        close(fd);
        file.p[at] = before;
        maas_model *m = NULL;
        maas_session *s = NULL;
        const float x[3] = {1, 2, 3};
        if (maas_model_load(path, NULL, &m, NULL) != MAAS_OK)
            continue;
        EXPECT_EQ(maas_session_create(m, &s), MAAS_OK);
        if (maas_session_set_input(s, 0, (int64_t[]){1, 3}, 2, x, sizeof x) == MAAS_OK)
            n_ran += maas_session_run(s) == MAAS_OK;
        maas_session_free(s);
        maas_model_free(m);
    }
    EXPECT_MSG(n_ran > 20, "seed %llu: only %d ran", (unsigned long long)seed, n_ran);
    maas_buf_reset(&file);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void options_bound_memory_and_threads(void)
{
    maas_model *m = NULL;
    maas_load_opts o = MAAS_LOAD_OPTS_INIT;
    save_linear();
    o.memory_limit = 100;
    EXPECT_EQ(maas_model_load(path, &o, &m, NULL), MAAS_E_NOMEM);
    o.memory_limit = 64u << 20;
    m = load(&o);
    maas_model_free(m);
    o.n_threads = 1u << 20;
    EXPECT_EQ(maas_model_load(path, &o, &m, NULL), MAAS_E_INVALID);
    o = (maas_load_opts)MAAS_LOAD_OPTS_INIT;
    o.size = sizeof o + 8; /* a field that this library does not know */
    EXPECT_EQ(maas_model_load(path, &o, &m, NULL), MAAS_E_INVALID);
    o.size = offsetof(maas_load_opts, n_threads); /* a program older than all fields */
    o.n_threads = 1u << 20;
    m = load(&o);
    maas_model_free(m);
}

static void a_profile_names_the_steps(void)
{
    save_linear();
    maas_model *m = load(NULL);
    maas_session *s = NULL;
    char *text = NULL;
    const float x[3] = {1, 2, 3};
    EXPECT_EQ(maas_session_create(m, &s), MAAS_OK);
    check_rows(s, 1, x);
    EXPECT_EQ(maas_session_profile(s, &text), MAAS_E_CONFLICT);
    EXPECT_EQ(maas_session_set_profile(s, 1), MAAS_OK);
    check_rows(s, 1, x);
    EXPECT_EQ(maas_session_profile(s, &text), MAAS_OK);
    EXPECT(text && strstr(text, "\"kernel\":") && strstr(text, "\"ns\":"));
    maas_string_free(text);
    maas_session_free(s);
    maas_model_free(m);
}

/* Every allocation fails once: a status each time, nothing lost, and the next try works. */
static void memory_may_run_out_anywhere(void)
{
    save_linear();
    const maas_load_opts one = {sizeof one, 1, 0};
    const float x[3] = {1, 2, 3};
    const int64_t dims[2] = {1, 3};
    bool done = false;
    for (long n = 1; !done && n < 5000; n++) {
        maas_model *m = NULL;
        maas_session *s = NULL;
        char *words = NULL;
        maas_mem_fail_at(n);
        maas_status st = maas_model_load(path, &one, &m, &words);
        if (st == MAAS_OK)
            st = maas_session_create(m, &s);
        if (st == MAAS_OK)
            st = maas_session_set_input(s, 0, dims, 2, x, sizeof x);
        if (st == MAAS_OK)
            st = maas_session_run(s);
        maas_mem_fail_at(0);
        done = st == MAAS_OK;
        EXPECT_MSG(done || st == MAAS_E_NOMEM, "allocation %ld: status %d %s", n, st,
                   words ? words : "");
        if (s && !done)
            check_rows(s, 1, x);
        maas_string_free(words);
        maas_session_free(s);
        maas_model_free(m);
        EXPECT_MSG(maas_mem_live() == 0, "allocation %ld leaves %ld", n, maas_mem_live());
    }
    EXPECT(done);
}

int main(int argc, char **argv)
{
    static const mt_case cases[] = {
        MT_CASE(a_model_is_described),
        MT_CASE(every_batch_size_runs),
        MT_CASE(the_same_shape_compiles_nothing),
        MT_CASE(odd_addresses_are_fine),
        MT_CASE(wrong_use_is_refused_in_words),
        MT_CASE(handles_may_be_freed_in_any_order),
        MT_CASE(sessions_of_one_model_run_at_once),
        MT_CASE(strings_go_in_and_out),
        MT_CASE(files_that_are_no_models_are_refused),
        MT_CASE(damaged_files_never_crash),
        MT_CASE(options_bound_memory_and_threads),
        MT_CASE(a_profile_names_the_steps),
        MT_CASE(memory_may_run_out_anywhere),
    };
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
