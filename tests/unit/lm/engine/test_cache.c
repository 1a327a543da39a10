/* Keys and values in bytes: nearly what halves say, in half the room; the same bytes in any
 * company, however a prompt was cut, shared or not, put off or not. */
#include "engine_rig.h"

#include "lm/model/model_int.h"

enum { N_TOKENS = 45 };

typedef struct lone { /* one model */
    tiny t;
    maas_lm_source *source;
    maas_lm *model;
    maas_err err;
} lone;

static maas_status lone_open(lone *l, const tiny_arch *arch, maas_lm_cache cache, int threads)
{
    *l = (lone){0};
    const maas_lm_file f = {"model.gguf", tiny_make_of(&l->t, arch, MAAS_Q_Q8_0, 9)};
    const maas_lm_opts o = {.n_threads = threads, .max_rows = 64, .max_seqs = 4, .cache = cache};
    EXPECT_EQ(maas_lm_source_open(&f, 1, NULL, &l->source, &l->err), MAAS_OK);
    return maas_lm_create(l->source, &o, &l->model, &l->err);
}

static void lone_close(lone *l)
{
    maas_lm_destroy(l->model);
    maas_lm_source_close(l->source);
    tiny_reset(&l->t);
}

/* Logits of every token, `cut` at a time, beside another sequence or alone. */
static void all_logits(lone *l, int cut, bool company, float out[N_TOKENS][TINY_VOCAB])
{
    int32_t both[2 * N_TOKENS], rows[N_TOKENS];
    const int32_t blocks[] = {5, 2, 9}, others[] = {1, 7, 3};
    const float *logits;
    for (int past = 0; past < N_TOKENS; past += cut) {
        const int n = past + cut < N_TOKENS ? cut : N_TOKENS - past;
        const int more = company && n <= 19 ? 13 : 0;
        const maas_lm_seq seqs[] = {{more, 0, others, 0, 0}, {n, past, blocks, 0, 0}};
        for (int i = 0; i < more; i++)
            both[i] = (i * 37 + 22) % TINY_VOCAB;
        for (int i = 0; i < n; i++) {
            both[more + i] = ((past + i) * 37 + 11) % TINY_VOCAB;
            rows[i] = more + i;
        }
        const maas_lm_batch b = {both, more ? seqs : seqs + 1, rows, more ? 2 : 1, n};
        EXPECT_EQ(maas_lm_step(l->model, &b, &logits, &l->err), MAAS_OK);
        EXPECT_STR(l->err.msg, "");
        if (l->err.code)
            return;
        memcpy(out[past], logits, (size_t)n * sizeof *out);
    }
}

/* What is lost when tokens are drawn by b instead of a, in nats. */
static double divergence(const float *a, const float *b)
{
    double most_a = -INFINITY, most_b = -INFINITY, all_a = 0, all_b = 0, kl = 0;
    for (int i = 0; i < TINY_VOCAB; i++) {
        most_a = (double)a[i] > most_a ? (double)a[i] : most_a; /* fmax: GCC 12 fails for aarch64 */
        most_b = (double)b[i] > most_b ? (double)b[i] : most_b;
    }
    for (int i = 0; i < TINY_VOCAB; i++) {
        all_a += exp((double)a[i] - most_a);
        all_b += exp((double)b[i] - most_b);
    }
    for (int i = 0; i < TINY_VOCAB; i++) {
        const double p = (double)a[i] - most_a - log(all_a), q = (double)b[i] - most_b - log(all_b);
        kl += exp(p) * (p - q);
    }
    return kl;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The logits of these models, of chance, are far from each other, and a router that hardly prefers
 * one expert may prefer another: so it is the token in the middle that says how much is lost. */
static void one_architecture(const tiny_arch *arch)
{
    static float halves[N_TOKENS][TINY_VOCAB], want[N_TOKENS][TINY_VOCAB],
        got[N_TOKENS][TINY_VOCAB];
    static const struct {
        int cut, threads;
        bool company;
    } rows[] = {{N_TOKENS, 1, false}, {7, 1, true}, {19, 2, true}};
    double lost[N_TOKENS], spread = 0;
    lone l;
    EXPECT_EQ(lone_open(&l, arch, MAAS_LM_CACHE_F16, 1), MAAS_OK);
    if (l.model)
        all_logits(&l, N_TOKENS, false, halves);
    lone_close(&l);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        EXPECT_EQ(lone_open(&l, arch, MAAS_LM_CACHE_Q8, rows[k].threads), MAAS_OK);
        EXPECT_STR(l.err.msg, "");
        if (l.model)
            all_logits(&l, rows[k].cut, rows[k].company, k ? got : want);
        lone_close(&l);
        EXPECT_MSG(!k || memcmp(got, want, sizeof got) == 0, "%s, %d at a time, %d threads",
                   arch->name, rows[k].cut, rows[k].threads);
    }
    for (int i = 0; i < N_TOKENS; i++) {
        lost[i] = divergence(halves[i], want[i]);
        spread = fmax(spread, divergence(halves[i], halves[(i + 1) % N_TOKENS]));
    }
    qsort(lost, N_TOKENS, sizeof *lost, by_size);
    EXPECT_MSG(lost[N_TOKENS - 1] > 0 && lost[N_TOKENS / 2] < 0.001 * spread, "%s: %g nats of %g",
               arch->name, lost[N_TOKENS / 2], spread);
}

static void part_of_the_table(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (!(maas_lm_archs[i].flags & (MAAS_ARCH_LATENT | MAAS_ARCH_STATE)))
            one_architecture(tiny_arch_of(maas_lm_archs[i].name));
    EXPECT_EQ(maas_mem_live(), 0);
}
static void bytes_say_nearly_what_halves_do(void)
{
    part_of_the_table(0, maas_lm_n_archs / 2);
}
static void in_the_other_architectures_too(void)
{
    part_of_the_table(maas_lm_n_archs / 2, maas_lm_n_archs);
}

static void latent_attention_is_refused(void)
{
    lone l;
    EXPECT_EQ(lone_open(&l, tiny_arch_of("deepseek2"), MAAS_LM_CACHE_Q8, 1), MAAS_E_UNSUPPORTED);
    EXPECT_MSG(strstr(l.err.msg, "can be f16 only"), "%s", l.err.msg);
    lone_close(&l);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void names_are_known(void)
{
    maas_lm_cache c = MAAS_LM_CACHE_F16;
    maas_err err = {0};
    EXPECT_EQ(maas_lm_cache_of("q8", &c, &err), MAAS_OK);
    EXPECT_EQ(c, MAAS_LM_CACHE_Q8);
    EXPECT_EQ(maas_lm_cache_of("f16", &c, &err), MAAS_OK);
    EXPECT_EQ(c, MAAS_LM_CACHE_F16);
    EXPECT_EQ(maas_lm_cache_of("q4_0", &c, &err), MAAS_E_INVALID);
    EXPECT_MSG(strstr(err.msg, "'q4_0' is neither"), "%s", err.msg);
}

/* A page is as small as it is said to be, and the budget counts what is there. */
static void the_budget_counts_bytes(void)
{
    size_t used[2];
    int32_t blocks[2];
    for (int c = 0; c < 2; c++) {
        maas_budget budget = {.limit = (size_t)1 << 30};
        const maas_lm_opts o = {.n_threads = 1,
                                .budget = &budget,
                                .cache_bytes = 64 << 10,
                                .max_seqs = 64,
                                .max_rows = 8,
                                .cache = (maas_lm_cache)c};
        rig r;
        rig_open_as(&r, &o, 0);
        const maas_lm_info *i = maas_lm_about(r.model);
        const size_t token = (size_t)(i->n_layers * i->n_kv_heads) * 2;
        const size_t numbers = (size_t)(i->n_embd / i->n_heads);
        EXPECT_EQ(i->block_bytes, 16 * token * (c ? numbers + 4 : 2 * numbers));
        blocks[c] = i->n_blocks;
        used[c] = budget.used;
        EXPECT((size_t)blocks[c] * i->block_bytes <= 64 << 10);
        EXPECT(used[c] >= (size_t)blocks[c] * i->block_bytes);
        rig_close(&r);
        EXPECT_EQ(budget.used, 0);
    }
    EXPECT_MSG(blocks[1] > blocks[0], "%d, %d blocks", blocks[0], blocks[1]);
    EXPECT_MSG(used[1] < used[0] + (4 << 10), "%zu, %zu bytes", used[0], used[1]);
}

/* Alone, in a crowd that shares beginnings, again over what is cached, and put off. */
static void company_changes_nothing(void)
{
    static heard single[N], many[N];
    static const size_t caches[] = {1 << 22, 16 * 16 * 512};
    const maas_lm_opts alone_opts = {.n_threads = 1,
                                     .cache_bytes = 1 << 22,
                                     .max_seqs = 8,
                                     .max_rows = 64,
                                     .cache = MAAS_LM_CACHE_Q8};
    for (int i = 0; i < N; i++) {
        rig r;
        rig_open_as(&r, &alone_opts, 0);
        EXPECT_EQ(ask(&r, i, LENGTH, i % 2 ? 0.8f : 0, &single[i]), MAAS_OK);
        run_all(&r);
        rig_close(&r);
    }
    for (size_t c = 0; c < MAAS_COUNT(caches); c++) {
        maas_lm_opts o = alone_opts;
        maas_engine_stats s;
        rig r;
        o.cache_bytes = caches[c] / (c + 1);
        rig_open_as(&r, &o, 0);
        for (int round = 0; round < 2; round++) {
            for (int i = 0; i < N; i++)
                EXPECT_EQ(ask(&r, i, LENGTH, i % 2 ? 0.8f : 0, &many[i]), MAAS_OK);
            run_all(&r);
            for (int i = 0; i < N; i++)
                expect_same(&many[i], &single[i], i);
        }
        maas_engine_stats_of(r.engine, &s);
        EXPECT(s.cached_tokens > 0);
        EXPECT_EQ(s.preemptions > 0, c == 1);
        EXPECT_EQ(s.blocks, s.blocks_free);
        rig_close(&r);
    }
}

static const mt_case cases[] = {
    MT_CASE(bytes_say_nearly_what_halves_do), MT_CASE(in_the_other_architectures_too),
    MT_CASE(latent_attention_is_refused),     MT_CASE(names_are_known),
    MT_CASE(the_budget_counts_bytes),         MT_CASE(company_changes_nothing),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
