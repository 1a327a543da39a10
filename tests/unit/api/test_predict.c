/* A model through the whole server: warm predictions allocate nothing of ours, loading and
 * unloading leaves no trace, many threads of clients get their own answers. */
#include <pthread.h>
#include <sys/mman.h>

#include "api_test.h"
#include "formats/onnx.h"
#include "ops/build.h"

static char answer[1 << 16];

/* y = 2x of [n,4], as an ONNX file. */
static maas_buf model_file(void)
{
    maas_buf file = MAAS_BUF_INIT(1u << 20);
    maas_graph *g = NULL;
    maas_builder b;
    maas_err err = {0};
    int64_t dims[2] = {0, 4};
    EXPECT_EQ(maas_graph_create("double", NULL, &g, &err), MAAS_OK);
    EXPECT_EQ(maas_graph_symbol(g, "n", &dims[0], &err), MAAS_OK);
    maas_builder_init(&b, g, &err);
    maas_vid x = maas_b_input(&b, "x", MAAS_F32, 2, dims);
    maas_b_output(&b, "y", maas_b_op2(&b, "Mul", x, maas_b_f32(&b, 2)));
    EXPECT_MSG(b.status == MAAS_OK, "%s", err.msg);
    EXPECT_EQ(maas_onnx_write(g, NULL, NULL, &file, &err), MAAS_OK);
    maas_graph_destroy(g);
    return file;
}

static void publish(api *a)
{
    maas_buf file = model_file(), request = MAAS_BUF_INIT(1u << 20);
    maas_buf_printf(
        &request,
        "PUT /api/v1/models/double/versions HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
        "%zu\r\n\r\n",
        file.n);
    maas_buf_add(&request, file.p, file.n);
    EXPECT_MSG(api_raw(a, request.p, request.n, answer, sizeof answer) == 201, "%s", answer);
    maas_buf_reset(&file);
    maas_buf_reset(&request);
}

static const struct {
    const char *path, *headers, *body, *words;
} dialects[] = {
    {"/v2/models/double/infer", "",
     "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,4],\"datatype\":\"FP32\",\"data\":[1,2,3,4.5]}]}",
     "[2.0,4.0,6.0,9.0]"},
    {"/v1/models/double:predict", "Content-Type: application/json\r\n",
     "{\"instances\":[[1,2,3,4.5]]}", "[[2.0,4.0,6.0,9.0]]"},
    {"/predict?model_name=double&input_data=[1,2,3,4.5]", "", "",
     "{\"output_data\":[[2.0,4.0,6.0,9.0]]}"},
};

static void ask(api *a, size_t i)
{
    int st = api_request(a, "POST", dialects[i].path, dialects[i].headers, dialects[i].body, answer,
                         sizeof answer);
    EXPECT_MSG(st == 200 && strstr(answer, dialects[i].words), "%s: %s", dialects[i].path, answer);
}

static void warm_predictions_allocate_nothing_of_ours(void)
{
    api a;
    api_start(&a);
    publish(&a);
    for (size_t i = 0; i < MAAS_COUNT(dialects); i++) {
        for (int n = 0; n < 50; n++)
            ask(&a, i);
        maas_sleep_ms(100); /* what the upload left to do in the background is done */
        long before = maas_mem_n_allocs();
        for (int n = 0; n < 1000; n++)
            ask(&a, i);
        long made = maas_mem_n_allocs() - before;
        EXPECT_MSG(made == 0, "%s: %ld allocations in 1000 requests", dialects[i].path, made);
    }
    api_stop(&a);
}

/* Each thread's heap finds its size in the first cycles (how many depends on which threads answer);
 * from then on a cycle may leave nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS_MEMORY 0 /* their shadow grows by itself; a few cycles find races and leaks */
enum { SETTLING_CYCLES = 100, COUNTED_CYCLES = 400 };
#else
#define COUNTS_MEMORY 1
enum { SETTLING_CYCLES = 1000, COUNTED_CYCLES = 2000 };
#endif

static void loading_and_unloading_leaves_no_trace(void)
{
    api a;
    api_start(&a);
    publish(&a);
    size_t before = 0;
    for (int i = 0; i < SETTLING_CYCLES + COUNTED_CYCLES; i++) {
        if (i == SETTLING_CYCLES)
            before = maas_sys_rss_bytes();
        EXPECT_EQ(api_request(&a, "POST", "/v2/repository/models/double/load", "", "", answer,
                              sizeof answer),
                  200);
        if (i % 100 == 0)
            ask(&a, 0);
        EXPECT_EQ(api_request(&a, "POST", "/v2/repository/models/double/unload", "", "", answer,
                              sizeof answer),
                  200);
    }
    size_t after = maas_sys_rss_bytes();
    EXPECT_MSG(!COUNTS_MEMORY || after < before + COUNTED_CYCLES * 100, "%zu -> %zu bytes", before,
               after);
    api_stop(&a);
}

typedef struct asker {
    api api; /* its own connection */
    uint64_t seed;
} asker;

static void *ask_many(void *arg)
{
    asker *me = arg;
    maas_rng rng;
    char got[1 << 14], body[256], want[64];
    maas_rng_seed(&rng, me->seed);
    for (int i = 0; i < 150; i++) {
        int v = (int)maas_rng_below(&rng, 100000);
        snprintf(body, sizeof body, "{\"instances\":[[%d,0,0,1],[0,%d,0,0]]}", v, v);
        snprintf(want, sizeof want, "{\"predictions\":[[%d.0,0.0,0.0,2.0],[0.0,%d.0,0.0,0.0]]}",
                 2 * v, 2 * v);
        char request[512];
        int n = snprintf(request, sizeof request,
                         "POST /v1/models/double:predict HTTP/1.1\r\nHost: "
                         "localhost\r\nContent-Length: %zu\r\n\r\n%s",
                         strlen(body), body);
        int st = api_raw(&me->api, request, (size_t)n, got, sizeof got);
        /* Another thread loads and unloads the model: an honest 503 is an answer. */
        EXPECT_MSG(st == 503 || (st == 200 && strstr(got, want)), "%d %s", st, got);
    }
    close(me->api.fd);
    return NULL;
}

static void clients_get_their_own_answers_while_the_model_comes_and_goes(void)
{
    enum { N = 4 };
    static asker askers[N];
    pthread_t t[N];
    api a;
    api_start(&a);
    publish(&a);
    for (int i = 0; i < N; i++) {
        askers[i] = (asker){.seed = (uint64_t)i};
        askers[i].api.app.http = a.app.http;
        askers[i].api.fd = -1;
        EXPECT_EQ(pthread_create(&t[i], NULL, ask_many, &askers[i]), 0);
    }
    for (int i = 0; i < 40; i++) {
        api_request(&a, "POST", "/v2/repository/models/double/unload", "", "", answer,
                    sizeof answer);
        api_request(&a, "GET", "/metrics", "", "", answer, sizeof answer);
        api_request(&a, "GET", "/v2/models/stats", "", "", answer, sizeof answer);
        api_request(&a, "POST", "/v2/repository/models/double/load", "", "", answer, sizeof answer);
    }
    for (int i = 0; i < N; i++)
        pthread_join(t[i], NULL);
    api_stop(&a);
}

/* Everything is given back, whatever was going on. */
static void starting_and_stopping_frees_everything(void)
{
    for (int i = 0; i < 3; i++) {
        api a;
        api_start(&a);
        if (i)
            publish(&a);
        if (i)
            ask(&a, 1);
        api_stop(&a);
        EXPECT_EQ(maas_mem_live(), 0);
    }
}

static const mt_case cases[] = {
    MT_CASE(warm_predictions_allocate_nothing_of_ours),
    MT_CASE(loading_and_unloading_leaves_no_trace),
    MT_CASE(clients_get_their_own_answers_while_the_model_comes_and_goes),
    MT_CASE(starting_and_stopping_frees_everything),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
