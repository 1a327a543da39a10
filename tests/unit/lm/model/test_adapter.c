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
                                        "adapters/d_2.X.gguf"};
    maas_lm_file f[1 + MOST];
    const maas_lm_opts o = {.n_threads = threads, .max_rows = 128, .max_seqs = 8};
    *r = (rig){0};
    const maas_span file = tiny_make_of(&r->t, tiny_arch_of(arch), type, 9);
    for (int i = 0; i < MOST; i++)
        f[i] = (maas_lm_file){paths[i],
                              tiny_adapter_make(&r->a[i], file, arch, kinds[i].type, kinds[i].alpha,
                                                kinds[i].each, 100 + (uint64_t)i)};
    if (merged)
        EXPECT(tiny_merge(file, f[merged - 1].bytes, (double)kinds[merged - 1].alpha, strength) >
               0);
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
        const double size = fabs((double)b[i]), off = fabs((double)a[i] - (double)b[i]);
        most = size > most ? size : most; /* fmax: GCC 12 fails for aarch64 */
        d = off > d ? off : d;
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

/* ---- what is refused ---- */

/* All that is done with an adapter: it may be refused anywhere, nothing else. */
static maas_status use(maas_span model, maas_span adapter, const char *path, maas_err *err)
{
    const maas_lm_file f[] = {{path, adapter}, {"model.gguf", model}};
    const maas_lm_opts o = {.n_threads = 1, .max_rows = 16, .max_seqs = 2, .cache_bytes = 1 << 20};
    maas_budget budget = {.limit = (size_t)64 << 20};
    maas_lm_source *s = NULL;
    maas_lm *m = NULL;
    maas_lm_info info;
    maas_status st = maas_lm_source_open(f, 2, &budget, &s, err);
    if (st == MAAS_OK)
        st = maas_lm_check(s, &info, err);
    if (st == MAAS_OK)
        st = maas_lm_create(s, &o, &m, err);
    if (st == MAAS_OK) {
        const int32_t tokens[] = {0, 1, 2}, blocks[] = {0}, row = 2;
        const maas_lm_seq q = {3, 0, blocks, 1, 1};
        const maas_lm_batch b = {tokens, &q, &row, 1, 1};
        const float *logits;
        st = maas_lm_step(m, &b, &logits, err);
    }
    maas_lm_destroy(m);
    maas_lm_source_close(s);
    EXPECT_EQ(budget.used, 0);
    return st;
}

static void mutants_are_refused_or_run(void)
{
    tiny t;
    tiny_adapter a;
    maas_rng rng;
    maas_err err = {0};
    int accepted = 0;
    enum { SEEDS = 1500 };
    const maas_span model = tiny_make(&t, MAAS_Q_Q8_0, 1);
    const maas_span file = tiny_adapter_make(&a, model, "llama", MAAS_Q_F16, 4, 2, 3);
    EXPECT_EQ(use(model, file, "adapters/x.gguf", &err), MAAS_OK);
    EXPECT_STR(err.msg, "");
    uint8_t *copy = maas_alloc(file.n);
    maas_rng_seed(&rng, 78);
    for (int i = 0; i < SEEDS; i++) {
        memcpy(copy, file.p, file.n);
        const size_t head = 1600 < file.n ? 1600 : file.n;
        const int n = 1 + (int)maas_rng_below(&rng, 3);
        for (int k = 0; k < n; k++) {
            const size_t at = maas_rng_below(&rng, maas_rng_below(&rng, 4) ? head : file.n);
            copy[at] = (uint8_t)(maas_rng_below(&rng, 2)
                                     ? maas_rng_u64(&rng)
                                     : copy[at] ^ 1u << maas_rng_below(&rng, 8));
        }
        err = (maas_err){0};
        const size_t size = maas_rng_below(&rng, 5) ? file.n : maas_rng_below(&rng, file.n + 1);
        const maas_status st = use(model, maas_span_of(copy, size), "adapters/x.gguf", &err);
        accepted += st == MAAS_OK;
        EXPECT(st == MAAS_OK || err.msg[0]);
    }
    EXPECT(accepted > SEEDS / 20);
    maas_free(copy);
    tiny_adapter_reset(&a);
    tiny_reset(&t);
    EXPECT_EQ(maas_mem_live(), 0);
}

static const struct refusal {
    const char *type, *kind, *arch, *weight, *b_tail;
    int64_t rank, b_rank, in, out;
    maas_quant_id q;
    maas_status want;
    const char *words;
} refusals[] = {
#define OK_KEYS "adapter", "lora", "llama"
#define A_Q     "blk.0.attn_q.weight"
    {OK_KEYS, A_Q, ".lora_b", 4, 4, 64, 64, MAAS_Q_F32, MAAS_OK, ""},
    {"model", "lora", "llama", A_Q, ".lora_b", 4, 4, 64, 64, MAAS_Q_F32, MAAS_E_INVALID,
     "general.type"},
    {"adapter", "dora", "llama", A_Q, ".lora_b", 4, 4, 64, 64, MAAS_Q_F32, MAAS_E_UNSUPPORTED,
     "adapter.type"},
    {"adapter", "lora", "gemma", A_Q, ".lora_b", 4, 4, 64, 64, MAAS_Q_F32, MAAS_E_INVALID,
     "general.architecture is not that of the model, 'llama'"},
    {OK_KEYS, "blk.7.attn_q.weight", ".lora_b", 4, 4, 64, 64, MAAS_Q_F32, MAAS_E_INVALID,
     "'blk.7.attn_q.weight.lora_a' is for no matrix"},
    {OK_KEYS, "token_embd.weight", ".lora_b", 4, 4, 64, 259, MAAS_Q_F32, MAAS_E_INVALID,
     "is for no matrix of the model"},
    {OK_KEYS, A_Q, ".lora_c", 4, 4, 64, 64, MAAS_Q_F32, MAAS_E_FORMAT, "without its other half"},
    {OK_KEYS, A_Q, ".lora_b", 4, 5, 64, 64, MAAS_Q_F32, MAAS_E_FORMAT, "have not one rank"},
    {OK_KEYS, A_Q, ".lora_b", 513, 513, 64, 64, MAAS_Q_F32, MAAS_E_TOO_LARGE, "rank 513"},
    {OK_KEYS, A_Q, ".lora_b", 4, 4, 32, 64, MAAS_Q_F32, MAAS_E_INVALID, "another width"},
    {OK_KEYS, A_Q, ".lora_b", 4, 4, 64, 96, MAAS_Q_F32, MAAS_E_INVALID, "as many rows"},
    {OK_KEYS, A_Q, ".lora_b", 32, 32, 64, 64, MAAS_Q_Q8_0, MAAS_E_UNSUPPORTED, "type Q8_0"},
};

static maas_span one_pair(tiny_adapter *a, const struct refusal *x)
{
    maas_rng rng;
    const maas_str w = {x->weight, strlen(x->weight)};
    *a = (tiny_adapter){.data = MAAS_BUF_INIT((size_t)1 << 30),
                        .file = MAAS_BUF_INIT((size_t)1 << 30)};
    maas_rng_seed(&rng, 1);
    maas_gguf_put_str(&a->w, "general.type", (maas_str){x->type, strlen(x->type)});
    maas_gguf_put_str(&a->w, "adapter.type", (maas_str){x->kind, strlen(x->kind)});
    maas_gguf_put_str(&a->w, "general.architecture", (maas_str){x->arch, strlen(x->arch)});
    maas_gguf_put_f32(&a->w, "adapter.lora.alpha", 1);
    tiny_half(a, &rng, w, ".lora_a", x->q, x->rank, x->in);
    tiny_half(a, &rng, w, x->b_tail, x->q, x->out, x->b_rank);
    maas_gguf_finish(&a->w, &a->file);
    maas_buf_add(&a->file, a->data.p, a->data.n);
    return maas_buf_span(&a->file);
}

static void what_is_no_adapter_is_named(void)
{
    tiny t;
    const maas_span model = tiny_make(&t, MAAS_Q_Q8_0, 1);
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        tiny_adapter a;
        maas_err err = {0};
        const maas_span file = one_pair(&a, &refusals[i]);
        const maas_status st = use(model, file, "adapters/x.gguf", &err);
        EXPECT_MSG(st == refusals[i].want && strstr(err.msg, refusals[i].words), "%zu: %s", i,
                   err.msg);
        if (i == 0) {
            EXPECT_EQ(use(model, file, "adapters/a+b.gguf", &err), MAAS_E_INVALID);
            EXPECT_EQ(use(model, file, "adapters/.gguf", &err), MAAS_E_INVALID);
            EXPECT_EQ(use(file, model, "adapters/x.gguf", &err), MAAS_E_INVALID);
        }
        tiny_adapter_reset(&a);
    }
    tiny_reset(&t);
    EXPECT_EQ(maas_mem_live(), 0);
}

static const mt_case cases[] = {
    MT_CASE(mutants_are_refused_or_run),
    MT_CASE(what_is_no_adapter_is_named),
    MT_CASE(an_adapter_is_its_merged_weights),
    MT_CASE(adapters_do_not_see_each_other),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
