/* Low-rank adapters: what one adds is what merging it into the weights gives; rows of any of them
 * stand beside each other without being seen; and what is no adapter of this model is refused. */
#include "maas_test.h"

#include <math.h>

#include "base/mem.h"
#include "lm/model.h"
#include "lm/tiny_adapter.h"

enum { N_TOKENS = 37, MOST = 4 };

typedef struct rig {
    tiny t;
    tiny_adapter a[MOST];
    maas_lm_source *source;
    maas_lm *model;
    maas_err err;
} rig;

static const struct {
    maas_quant_id type;
    float alpha;
    int each;
} kinds[MOST] = {{MAAS_Q_F32, 4, 1}, {MAAS_Q_F16, 0, 2}, {MAAS_Q_BF16, 3, 3}, {MAAS_Q_F32, 8, 5}};

/* n adapters; `merged` (from 1) is in the weights instead. */
static void rig_open(rig *r, const char *arch, maas_quant_id type, int n, int merged,
                     double strength, int threads)
{
    static const char *const paths[] = {"adapters/a.gguf", "adapters/b.gguf", "adapters/c-1.gguf",
                                        "adapters/D_2.x.gguf"};
    maas_lm_file f[1 + MOST];
    const maas_lm_opts o = {.n_threads = threads, .max_rows = 128, .max_seqs = 8};
    *r = (rig){0};
    const maas_span file = tiny_make_of(&r->t, tiny_arch_of(arch), type, 9);
    for (int i = 0; i < MOST; i++)
        f[i] = (maas_lm_file){paths[i], tiny_adapter_make(&r->a[i], file, arch, kinds[i].type,
                                                          kinds[i].alpha, kinds[i].each,
                                                          100 + (uint64_t)i)};
    if (merged)
        EXPECT(tiny_merge(file, f[merged - 1].bytes, (double)kinds[merged - 1].alpha, strength) > 0);
    f[n] = (maas_lm_file){"model.gguf", file};
    EXPECT_EQ(maas_lm_source_open(f, 1 + (uint32_t)n, NULL, &r->source, &r->err), MAAS_OK);
    EXPECT_EQ(maas_lm_create(r->source, &o, &r->model, &r->err), MAAS_OK);
    EXPECT_STR(r->err.msg, "");
}

static void rig_close(rig *r)
{
    maas_lm_destroy(r->model);
    maas_lm_source_close(r->source);
    for (int i = 0; i < MOST; i++)
        tiny_adapter_reset(&r->a[i]);
    tiny_reset(&r->t);
}

typedef struct who { /* a sequence with an adapter */
    int32_t adapter;
    float strength;
} who;

/* The last logits of n sequences of the same tokens, in one step of each `cut` tokens. */
static void run(rig *r, const who *w, int n, int cut, float (*out)[TINY_VOCAB])
{
    int32_t tokens[8 * N_TOKENS], blocks[8][4], rows[8];
    maas_lm_seq seqs[8];
    const float *logits = NULL;
    for (int past = 0; past < N_TOKENS; past += cut) {
        const int k = past + cut < N_TOKENS ? cut : N_TOKENS - past;
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < 4; j++)
                blocks[i][j] = i * 4 + j;
            for (int j = 0; j < k; j++)
                tokens[i * k + j] = ((past + j) * 37 + 11) % TINY_VOCAB;
            seqs[i] = (maas_lm_seq){k, past, blocks[i], w[i].adapter, w[i].strength};
            rows[i] = (i + 1) * k - 1;
        }
        const maas_lm_batch b = {tokens, seqs, rows, n, n};
        EXPECT_EQ(maas_lm_step(r->model, &b, &logits, &r->err), MAAS_OK);
    }
    EXPECT_STR(r->err.msg, "");
    memcpy(out, logits, (size_t)n * sizeof *out);
}

/* Relative to the largest of them. Sums in another order differ by 1e-6; but keys and values are
 * kept in F16, where the last bit of one is 5e-4 of it: hence 1e-3. */
static double apart(const float *a, const float *b)
{
    double most = 0, d = 0;
    for (int i = 0; i < TINY_VOCAB; i++) {
        most = fmax(most, fabs((double)b[i]));
        d = fmax(d, fabs((double)a[i] - (double)b[i]));
    }
    return d / most;
}

static const char *const archs[] = {"llama", "gpt2", "phi3", "deepseek2", "qwen2moe", "command-r"};

static void an_adapter_is_its_merged_weights(void)
{
    static float got[1][TINY_VOCAB], want[1][TINY_VOCAB], plain[1][TINY_VOCAB];
    for (size_t k = 0; k < sizeof archs / sizeof *archs; k++)
        for (int i = 1; i <= MOST; i++) {
            const who with = {i, i == 2 ? 0.5f : 1}, none = {0};
            rig r;
            /* deepseek2, qwen2moe: matrices that adapters do not change are rank 3 */
            rig_open(&r, archs[k], MAAS_Q_F32, MOST, 0, 0, 1);
            if (!r.model) {
                rig_close(&r);
                continue;
            }
            run(&r, &with, 1, N_TOKENS, got);
            run(&r, &none, 1, N_TOKENS, plain);
            rig_close(&r);
            rig_open(&r, archs[k], MAAS_Q_F32, 0, i, (double)with.strength, 1);
            run(&r, &none, 1, N_TOKENS, want);
            rig_close(&r);
            EXPECT_MSG(apart(got[0], want[0]) < 1e-3, "%s, adapter %d: %g apart", archs[k], i,
                       apart(got[0], want[0]));
            EXPECT_MSG(apart(plain[0], want[0]) > 1e-2, "%s, adapter %d does nothing", archs[k], i);
        }
    EXPECT_EQ(maas_mem_live(), 0);
}

/* Every row the same bytes: alone, among others, cut, by two threads; those without one the bytes
 * of a model that has none. */
static void adapters_do_not_see_each_other(void)
{
    static const who all[8] = {{0, 0}, {1, 1}, {2, 1}, {0, 0}, {3, 1}, {4, 1}, {1, -0.5f}, {1, 1}};
    static float alone[8][TINY_VOCAB], got[8][TINY_VOCAB];
    for (size_t k = 0; k < 3; k++) {
        rig r;
        rig_open(&r, archs[k], MAAS_Q_Q8_0, MOST, 0, 0, 1);
        for (int i = 0; i < 8; i++)
            run(&r, &all[i], 1, 7, alone + i);
        EXPECT(apart(alone[1], alone[0]) > 1e-2 && apart(alone[6], alone[1]) > 1e-2);
        run(&r, all, 8, 11, got);
        EXPECT(memcmp(got, alone, sizeof got) == 0);
        rig_close(&r);
        rig_open(&r, archs[k], MAAS_Q_Q8_0, MOST, 0, 0, 2);
        run(&r, all, 8, 1, got);
        EXPECT(memcmp(got, alone, sizeof got) == 0);
        run(&r, all + 5, 1, 1, got);
        EXPECT(memcmp(got, alone + 5, sizeof *got) == 0);
        rig_close(&r);
        rig_open(&r, archs[k], MAAS_Q_Q8_0, 0, 0, 0, 1);
        run(&r, all, 1, 16, got);
        EXPECT(memcmp(got, alone, sizeof *got) == 0);
        rig_close(&r);
    }
    EXPECT_EQ(maas_mem_live(), 0);
}

static const mt_case cases[] = {
    MT_CASE(an_adapter_is_its_merged_weights),
    MT_CASE(adapters_do_not_see_each_other),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
