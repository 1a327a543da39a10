/*
 * bench_lm MODEL.gguf [threads [rounds]] - a language model in this process: from the mapped file
 * to the first token, a prompt of 512 tokens, one sequence that writes, sixteen that write together
 * (64 tokens in, 128 out, all of them counted), and a prompt that the cache knows. Medians of some;
 * logits of every step are complete.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sys.h"
#include "lm/engine.h"

enum {
    PROMPT = 512,
    WRITE = 128,
    USERS = 16,
    USER_IN = 64,
    USER_OUT = 128,
    MAX_ROUNDS = 100,
    SHARED = 2000,
    CONTEXT = 4096 /* tokens that the cache holds, of all sequences: as many as bench/peers/llama.py
                      has */
};

static void die(const maas_err *err)
{
    fprintf(stderr, "bench_lm: %s\n", err->msg);
    exit(1);
}

static double seconds(uint64_t since)
{
    return (double)(maas_now_ns() - since) * 1e-9;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}
static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_size);
    return v[n / 2];
}

typedef struct heard {
    maas_lm_timing timing;
    int left;
} heard;

static void on_event(void *user, const maas_lm_event *ev)
{
    heard *h = user;
    if (ev->kind == MAAS_LM_TOKEN)
        return;
    if (ev->kind == MAAS_LM_FAILED)
        die(ev->error);
    h->timing = ev->timing;
    h->left--;
}

/* n sequences of `in` tokens, which begin with `salt`; ends when all have written `out`. */
static maas_lm_timing run(maas_engine *e, int n_vocab, int n, uint32_t in, uint32_t out, int salt)
{
    static int32_t tokens[1 << 16];
    heard h = {.left = n};
    maas_err err = {0};
    for (int i = 0; i < n; i++) {
        uint64_t id;
        maas_ask a = {.tokens = tokens,
                      .n_tokens = in,
                      .max_tokens = out,
                      .ignore_end = true,
                      .n_logprobs = -1,
                      .sampling = MAAS_SAMPLING_INIT};
        a.sampling.temperature = 0;
        for (uint32_t k = 0; k < in; k++)
            tokens[k] = (int32_t)((k * 7919u + (uint32_t)salt * 31u + (uint32_t)i * 131u) %
                                  (uint32_t)(n_vocab / 2)) +
                        100;
        if (maas_engine_submit(e, &a, on_event, &h, &id, NULL, &err) != MAAS_OK)
            die(&err);
    }
    while (h.left > 0 && maas_engine_step(e))
        ;
    return h.timing;
}

/* What all threads together read from memory, GB/s: the best of some passes over 512 MiB. */
static double read_bandwidth(int n_threads)
{
    const size_t n = ((size_t)512 << 20) / sizeof(uint64_t);
    uint64_t *p = maas_alloc(n * sizeof *p), sum = 0;
    double best = 0;
    if (!p)
        return 0;
    memset(p, 1, n * sizeof *p);
    for (int pass = 0; pass < 5; pass++) {
        const uint64_t began = maas_now_ns();
#pragma omp parallel for simd num_threads(n_threads) reduction(+ : sum)
        for (size_t i = 0; i < n; i++)
            sum += p[i];
        const double gbs = (double)(n * sizeof *p) / seconds(began) * 1e-9;
        best = gbs > best ? gbs : best;
    }
    maas_free(p);
    return sum ? best : 0;
}

/* Of CONTEXT tokens; the file is mapped apart, so that the clock sees it as new. */
static size_t cache_bytes(int fd)
{
    maas_map map = {0};
    maas_err err = {0};
    maas_lm_source *s = NULL;
    maas_lm_info about = {0};
    if (maas_sys_map(fd, &map, &err) != MAAS_OK)
        die(&err);
    const maas_lm_file file = {"model.gguf", maas_span_of(map.p, map.n)};
    if (maas_lm_source_open(&file, 1, NULL, &s, &err) != MAAS_OK ||
        maas_lm_check(s, &about, &err) != MAAS_OK)
        die(&err);
    maas_lm_source_close(s);
    maas_sys_unmap(&map);
    return about.block_bytes * (CONTEXT / MAAS_PAGE) + about.state_bytes * USERS;
}

int main(int argc, char **argv)
{
    maas_map map = {0};
    maas_err err = {0};
    maas_lm_source *s = NULL;
    maas_tokenizer *t = NULL;
    maas_lm *m = NULL;
    maas_engine *e = NULL;
    maas_lm_opts o = {.n_threads = argc > 2 ? atoi(argv[2]) : 0, .max_context = CONTEXT};
    const maas_engine_opts eo = {0};
    double prompt[MAX_ROUNDS], write[MAX_ROUNDS], users[MAX_ROUNDS], first[MAX_ROUNDS];
    const int wanted = argc > 3 ? atoi(argv[3]) : 5;
    const int rounds = wanted < 1 ? 1 : wanted < MAX_ROUNDS ? wanted : MAX_ROUNDS;
    const int fd = argc > 1 ? open(argv[1], O_RDONLY) : -1;
    if (fd < 0 || maas_sys_map(fd, &map, &err) != MAAS_OK) {
        fprintf(stderr, "usage: bench_lm MODEL.gguf [threads [rounds]]\n");
        return 2;
    }
    const maas_lm_file file = {"model.gguf", maas_span_of(map.p, map.n)};
    o.cache_bytes = cache_bytes(fd);
    const uint64_t start = maas_now_ns();
    if (maas_lm_source_open(&file, 1, NULL, &s, &err) != MAAS_OK ||
        maas_tokenizer_create(s, NULL, &t, &err) != MAAS_OK ||
        maas_lm_create(s, &o, &m, &err) != MAAS_OK ||
        maas_engine_create(m, t, &eo, &e, &err) != MAAS_OK)
        die(&err);
    const int n_vocab = maas_lm_about(m)->n_vocab;
    run(e, n_vocab, 1, 8, 1, 1);
    const double load = seconds(start);
    run(e, n_vocab, 1, PROMPT, 2, 2); /* plans that will be used */
    run(e, n_vocab, USERS, USER_IN, 16, 3);
    maas_sys_map_rest(&map); /* as the server does */
    for (int i = 0; i < rounds; i++) {
        maas_lm_timing x = run(e, n_vocab, 1, PROMPT, 2, 1000 + i);
        prompt[i] = PROMPT / ((double)x.prompt_ns * 1e-9);
        x = run(e, n_vocab, 1, 4, WRITE, 2000 + i);
        write[i] = (x.tokens - 1) / ((double)x.decode_ns * 1e-9);
        const uint64_t began = maas_now_ns();
        run(e, n_vocab, USERS, USER_IN, USER_OUT, 3000 + i);
        users[i] = USERS * (USER_IN + USER_OUT) / seconds(began);
    }
    for (int i = 0; i < rounds; i++) {
        const maas_lm_timing a = run(e, n_vocab, 1, SHARED, 1, 4000 + i);
        const maas_lm_timing b = run(e, n_vocab, 1, SHARED, 1, 4000 + i);
        first[i] = (double)b.prompt_ns / (double)a.prompt_ns;
    }
    printf("load_ms %.1f prompt %.1f write %.1f users %.1f shared %.4f bytes %zu rss_mib %.0f "
           "read_gbs %.1f\n",
           load * 1e3, median(prompt, rounds), median(write, rounds), median(users, rounds),
           median(first, rounds), maas_lm_about(m)->weight_bytes,
           (double)maas_sys_rss_bytes() / (1 << 20), read_bandwidth(o.n_threads ? o.n_threads : 1));
    maas_engine_destroy(e);
    maas_lm_destroy(m);
    maas_tokenizer_destroy(t);
    maas_lm_source_close(s);
    maas_sys_unmap(&map);
    close(fd);
    return 0;
}
