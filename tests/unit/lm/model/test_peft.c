/* Adapters as PEFT saves them: beside a model in GGUF one is, bit for bit, the same adapter in
 * GGUF; beside a folder its rows are as they are; r, alpha and their patterns; what is not LoRA on
 * linear layers is refused by name. Against PEFT itself: tests/client/test_folders.py. */
#include "maas_test.h"

#include <math.h>

#include "base/mem.h"
#include "base/sys.h"
#include "lm/model.h"
#include "lm/tiny_adapter.h"

#define CONFIG_PATH  "adapters/p/adapter_config.json"
#define WEIGHTS_PATH "adapters/p/adapter_model.safetensors"

/* ---- a safetensors file ---- */

typedef struct st {
    maas_buf head, data, file;
} st;

static void st_add(st *s, const char *name, int64_t rows, int64_t cols, const float *x)
{
    const size_t from = s->data.n;
    if (!s->head.max)
        *s = (st){MAAS_BUF_INIT(1u << 24), MAAS_BUF_INIT(1u << 26), MAAS_BUF_INIT(1u << 26)};
    maas_buf_add(&s->data, x, (size_t)(rows * cols) * sizeof *x);
    maas_buf_printf(&s->head,
                    "%c\"%s\":{\"dtype\":\"F32\",\"shape\":[%lld,%lld],\"data_offsets\":[%zu,%zu]}",
                    s->head.n ? ',' : '{', name, (long long)rows, (long long)cols, from, s->data.n);
}

static maas_span st_file(st *s)
{
    maas_buf_char(&s->head, '}');
    const uint64_t n = s->head.n;
    maas_buf_add(&s->file, &n, sizeof n);
    maas_buf_add(&s->file, s->head.p, s->head.n);
    maas_buf_add(&s->file, s->data.p, s->data.n);
    return maas_buf_span(&s->file);
}

static void st_reset(st *s)
{
    maas_buf_reset(&s->head);
    maas_buf_reset(&s->data);
    maas_buf_reset(&s->file);
}

/* ---- beside a model in GGUF ---- */

typedef struct module {
    const char *name, *weight;
    int heads; /* whose rows are halves here, and neighbours there; 0: no */
} module;
static const struct {
    const char *arch;
    module modules[9];
} models[] = {
    {"llama",
     {{"model.layers.0.self_attn.q_proj", "blk.0.attn_q.weight", TINY_HEADS},
      {"model.layers.1.self_attn.k_proj", "blk.1.attn_k.weight", TINY_KV},
      {"model.layers.1.self_attn.v_proj", "blk.1.attn_v.weight", 0},
      {"model.layers.0.self_attn.o_proj", "blk.0.attn_output.weight", 0},
      {"model.layers.0.mlp.gate_proj", "blk.0.ffn_gate.weight", 0},
      {"model.layers.1.mlp.up_proj", "blk.1.ffn_up.weight", 0},
      {"model.layers.0.mlp.down_proj", "blk.0.ffn_down.weight", 0}}},
    {"qwen2",
     {{"model.layers.0.self_attn.q_proj", "blk.0.attn_q.weight", 0},
      {"model.layers.1.self_attn.k_proj", "blk.1.attn_k.weight", 0}}},
    {"phi3",
     {{"model.layers.0.self_attn.qkv_proj", "blk.0.attn_qkv.weight", 0},
      {"model.layers.1.mlp.gate_up_proj", "blk.1.ffn_up.weight", 0}}},
    {"gpt2",
     {{"transformer.h.0.attn.c_attn", "blk.0.attn_qkv.weight", 0},
      {"transformer.h.1.mlp.c_proj", "blk.1.ffn_down.weight", 0}}},
};
enum { RANK = 3 };

static void put(tiny_adapter *a, const char *weight, const char *tail, int64_t rows, int64_t cols,
                const float *x)
{
    char name[128];
    const int64_t dims[] = {rows, cols};
    snprintf(name, sizeof name, "%s%s", weight, tail);
    maas_gguf_put_tensor(&a->w, name, maas_quant_of(MAAS_Q_F32), 2, dims);
    maas_buf_add(&a->data, x, (size_t)(rows * cols) * sizeof *x);
    maas_gguf_pad(&a->data);
}

/* One pair, to both. */
static void add_pair(const module *m, const maas_gguf_tensor *w, maas_rng *rng, st *s,
                     tiny_adapter *g)
{
    const int64_t rows = w->dims[0], cols = w->dims[1];
    float *a = maas_alloc((size_t)(RANK * cols) * sizeof *a);
    float *b = maas_alloc((size_t)(rows * RANK) * sizeof *b);
    float *there = maas_alloc((size_t)(rows * RANK) * sizeof *there);
    char name[160];
    for (int64_t i = 0; i < RANK * cols; i++)
        a[i] = 0.3f * maas_rng_normal(rng);
    for (int64_t i = 0; i < rows * RANK; i++)
        b[i] = 0.3f * maas_rng_normal(rng);
    const int64_t each = m->heads ? rows / m->heads : 1, half = each / 2;
    for (int64_t to = 0; to < rows; to++) { /* pair k of a head: rows k and half + k */
        const int64_t at = to % each;
        const int64_t from = m->heads ? to - at + at % 2 * half + at / 2 : to;
        memcpy(there + to * RANK, b + from * RANK, RANK * sizeof *b);
    }
    snprintf(name, sizeof name, "base_model.model.%s.lora_A.weight", m->name);
    st_add(s, name, RANK, cols, a);
    snprintf(name, sizeof name, "base_model.model.%s.lora_B.weight", m->name);
    st_add(s, name, rows, RANK, b);
    put(g, m->weight, ".lora_a", RANK, cols, a);
    put(g, m->weight, ".lora_b", rows, RANK, there);
    maas_free(a);
    maas_free(b);
    maas_free(there);
}

static void logits_of(maas_lm *m, int32_t adapter, float *out)
{
    static const int32_t tokens[] = {5, 77, 200, 13, 91, 4, 4, 63}, blocks[] = {0}, row = 7;
    const maas_lm_seq seq = {8, 0, blocks, adapter, 1};
    const maas_lm_batch b = {tokens, &seq, &row, 1, 1};
    const float *logits = NULL;
    maas_err err = {0};
    EXPECT_EQ(maas_lm_step(m, &b, &logits, &err), MAAS_OK);
    memcpy(out, logits, TINY_VOCAB * sizeof *out);
}

static void try_model(const char *arch, const module *modules)
{
    static const char config[] =
        "{\"peft_type\":\"LORA\",\"r\":3,\"lora_alpha\":5,\"use_dora\":false,"
        "\"target_modules\":[\"q_proj\"],\"modules_to_save\":null}";
    static float plain[TINY_VOCAB], ours[TINY_VOCAB], theirs[TINY_VOCAB];
    const maas_lm_opts o = {.n_threads = 1, .max_rows = 16, .max_seqs = 1};
    tiny t = {0};
    tiny_adapter g = {.data = MAAS_BUF_INIT(1u << 26), .file = MAAS_BUF_INIT(1u << 26)};
    st s = {0};
    maas_arena arena;
    maas_gguf model;
    maas_rng rng;
    maas_lm_source *source = NULL;
    maas_lm *m = NULL;
    maas_err err = {0};
    maas_rng_seed(&rng, 4);
    maas_arena_init(&arena, NULL);
    const maas_span file = tiny_make_of(&t, tiny_arch_of(arch), MAAS_Q_F32, 9);
    EXPECT_EQ(maas_gguf_open(file, &arena, &model, &err), MAAS_OK);
    maas_gguf_put_str(&g.w, "general.type", (maas_str){"adapter", 7});
    maas_gguf_put_str(&g.w, "adapter.type", (maas_str){"lora", 4});
    maas_gguf_put_str(&g.w, "general.architecture", (maas_str){arch, strlen(arch)});
    maas_gguf_put_f32(&g.w, "adapter.lora.alpha", 5);
    for (; modules->name; modules++) {
        const maas_gguf_tensor *w = maas_gguf_tensor_of(&model, modules->weight);
        EXPECT_MSG(w, "%s has no %s", arch, modules->weight);
        if (w)
            add_pair(modules, w, &rng, &s, &g);
    }
    maas_gguf_finish(&g.w, &g.file);
    maas_buf_add(&g.file, g.data.p, g.data.n);
    const maas_lm_file f[] = {{WEIGHTS_PATH, st_file(&s)},
                              {"model.gguf", file},
                              {CONFIG_PATH, maas_span_of(config, sizeof config - 1)},
                              {"adapters/g.gguf", maas_buf_span(&g.file)}};
    EXPECT_EQ(maas_lm_source_open(f, 4, NULL, &source, &err), MAAS_OK);
    EXPECT_STR(err.msg, "");
    EXPECT_EQ(maas_lm_create(source, &o, &m, &err), MAAS_OK);
    EXPECT_STR(err.msg, "");
    logits_of(m, 0, plain);
    logits_of(m, (int32_t)maas_lm_adapter_of(source, (maas_str){"p", 1}), ours);
    logits_of(m, (int32_t)maas_lm_adapter_of(source, (maas_str){"g", 1}), theirs);
    EXPECT_MSG(memcmp(ours, theirs, sizeof ours) == 0, "%s: not the same", arch);
    EXPECT_MSG(memcmp(ours, plain, sizeof ours) != 0, "%s: nothing is added", arch);
    maas_lm_destroy(m);
    maas_lm_source_close(source);
    maas_arena_reset(&arena);
    tiny_adapter_reset(&g);
    st_reset(&s);
    tiny_reset(&t);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void it_is_the_same_adapter_in_gguf(void)
{
    for (size_t i = 0; i < MAAS_COUNT(models); i++)
        try_model(models[i].arch, models[i].modules);
}

/* ---- what a configuration says, and what is refused ---- */

static maas_status open_with(const char *config, const char *const *tensors, maas_lm_source **out,
                             tiny *t, st *s, maas_err *err)
{
    static const float zeros[4096];
    *t = (tiny){0};
    *s = (st){0};
    for (; *tensors; tensors++) /* "NAME ROWS COLS" */
    {
        char name[128];
        int rows, cols;
        if (sscanf(*tensors, "%127s %d %d", name, &rows, &cols) == 3)
            st_add(s, name, rows, cols, zeros);
    }
    const maas_lm_file f[] = {{"model.gguf", tiny_make(t, MAAS_Q_F32, 9)},
                              {CONFIG_PATH, maas_span_of(config, strlen(config))},
                              {WEIGHTS_PATH, st_file(s)}};
    return maas_lm_source_open(f, 3, NULL, out, err);
}

#define Q    "base_model.model.model.layers.0.self_attn.q_proj"
#define V    "base_model.model.model.layers.1.self_attn.v_proj"
#define LORA "{\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":6"
static const char *const two[] = {Q ".lora_A.weight 4 64", Q ".lora_B.weight 64 4",
                                  V ".lora_A.weight 4 64", V ".lora_B.weight 32 4", NULL};
static const char *const uneven[] = {Q ".lora_A.weight 4 64", Q ".lora_B.weight 64 4",
                                     V ".lora_A.weight 2 64", V ".lora_B.weight 32 2", NULL};

static const struct {
    const char *config;
    const char *const *tensors;
    double q, v; /* what products are multiplied by */
} scales[] = {
    {LORA "}", two, 1.5, 1.5},
    {LORA ",\"use_rslora\":true}", two, 3, 3},
    {LORA ",\"alpha_pattern\":{\"v_proj\":2}}", two, 1.5, 0.5},
    {LORA ",\"alpha_pattern\":{\"1.self_attn.v_proj\":2,\"v_proj\":9,\"q_pro\":7}}", two, 1.5, 0.5},
    {LORA ",\"alpha_pattern\":{\"^model.layers.0.self_attn.q_proj\":8,\"^v_proj\":1}}", two, 2,
     1.5},
    {LORA ",\"rank_pattern\":{\"v_proj\":2}}", uneven, 1.5, 3},
    {LORA ",\"rank_pattern\":{\"v_proj\":2},\"alpha_pattern\":{\"v_proj\":5},\"use_rslora\":true}",
     uneven, 3, 3.5355339059327378},
};

static void ranks_and_alphas_are_those_of_the_module(void)
{
    for (size_t i = 0; i < MAAS_COUNT(scales); i++) {
        maas_lm_source *source = NULL;
        maas_lm_pair q, v;
        maas_err err = {0};
        tiny t;
        st s;
        EXPECT_EQ(open_with(scales[i].config, scales[i].tensors, &source, &t, &s, &err), MAAS_OK);
        EXPECT_STR(err.msg, "");
        EXPECT(maas_lm_adapter_pair(source, 1, "blk.0.attn_q.weight", &q));
        EXPECT(maas_lm_adapter_pair(source, 1, "blk.1.attn_v.weight", &v));
        EXPECT_MSG(fabs(q.scale - scales[i].q) < 1e-15 && fabs(v.scale - scales[i].v) < 1e-15,
                   "%s: %g and %g", scales[i].config, q.scale, v.scale);
        maas_lm_source_close(source);
        tiny_reset(&t);
        st_reset(&s);
    }
    EXPECT_EQ(maas_mem_live(), 0);
}

#define ONE(name)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        name, NULL                                                                                 \
    }
static const struct {
    const char *config;
    const char *const *tensors;
    maas_status status;
    const char *words;
} refused[] = {
    {"{", two, MAAS_E_FORMAT, "adapter_config.json"},
    {"[]", two, MAAS_E_FORMAT, "must be an object"},
    {"{}", two, MAAS_E_UNSUPPORTED, "'peft_type'"},
    {"{\"peft_type\":\"IA3\",\"r\":4,\"lora_alpha\":6}", two, MAAS_E_UNSUPPORTED, "'peft_type'"},
    {"{\"peft_type\":\"LORA\",\"lora_alpha\":6}", two, MAAS_E_FORMAT, "'r' must be a number"},
    {"{\"peft_type\":\"LORA\",\"r\":4}", two, MAAS_E_FORMAT, "'lora_alpha' must be a number"},
    {LORA ",\"use_dora\":true}", two, MAAS_E_UNSUPPORTED, "'use_dora'"},
    {LORA ",\"modules_to_save\":[\"lm_head\"]}", two, MAAS_E_UNSUPPORTED, "'modules_to_save'"},
    {LORA ",\"lora_bias\":true}", two, MAAS_E_UNSUPPORTED, "'lora_bias'"},
    {LORA ",\"bias\":\"all\"}", two, MAAS_E_UNSUPPORTED, "'bias'"},
    {LORA ",\"target_parameters\":[\"mlp.experts.gate_up_proj\"]}", two, MAAS_E_UNSUPPORTED,
     "'target_parameters'"},
    {LORA ",\"alora_invocation_tokens\":[1]}", two, MAAS_E_UNSUPPORTED,
     "'alora_invocation_tokens'"},
    {LORA ",\"layer_replication\":[[0,1]]}", two, MAAS_E_UNSUPPORTED, "'layer_replication'"},
    {LORA ",\"of_the_future\":1}", two, MAAS_E_UNSUPPORTED, "'of_the_future'"},
    {LORA ",\"init_lora_weights\":\"pissa_niter_4\"}", two, MAAS_E_UNSUPPORTED, "pissa_niter_4"},
    {LORA ",\"alpha_pattern\":{\"layers\\\\.[01].*\":2}}", two, MAAS_E_UNSUPPORTED,
     "'alpha_pattern' has the pattern"},
    {LORA ",\"alpha_pattern\":{\"v_proj\":\"2\"}}", two, MAAS_E_FORMAT, "'alpha_pattern.v_proj'"},
    {LORA ",\"rank_pattern\":[1]}", two, MAAS_E_FORMAT, "'rank_pattern' must be an object"},
    {LORA "}", uneven, MAAS_E_FORMAT, "v_proj' has rank 2, and adapter_config.json says 4"},
    {LORA "}", ONE(Q ".lora_A.weight 4 64"), MAAS_E_FORMAT, "without its other half"},
    {LORA "}", ONE(Q ".lora_magnitude_vector.weight 64 1"), MAAS_E_UNSUPPORTED, "magnitude_vector"},
    {LORA "}", ONE(Q ".lora_B.bias 64 1"), MAAS_E_UNSUPPORTED, "lora_B.bias"},
    {LORA "}", ONE("base_model.model.lm_head.weight 64 64"), MAAS_E_UNSUPPORTED, "lm_head.weight"},
    {LORA "}", ONE("base_model.model.model.embed_tokens.lora_embedding_A 4 64"), MAAS_E_UNSUPPORTED,
     "lora_embedding_A"},
    {LORA "}", ONE("model.layers.0.self_attn.q_proj.lora_A.weight 4 64"), MAAS_E_UNSUPPORTED,
     "base_model.model"},
    {LORA "}", ONE("base_model.model.model.layers.0.self_attn.x_proj.lora_A.weight 4 64"),
     MAAS_E_UNSUPPORTED, "self_attn.x_proj"},
    {LORA "}",
     ONE("base_model.model.model.layers.0.block_sparse_moe.experts.1.w1.lora_A.weight 4 64"),
     MAAS_E_UNSUPPORTED, "experts"},
    {LORA "}", ONE(Q ".lora_B.weight 63 4"), MAAS_E_FORMAT, "has 63 rows, of 4 heads"},
};

static void what_is_no_plain_lora_is_named(void)
{
    for (size_t i = 0; i < MAAS_COUNT(refused); i++) {
        maas_lm_source *source = NULL;
        maas_err err = {0};
        tiny t;
        st s;
        const maas_status is = open_with(refused[i].config, refused[i].tensors, &source, &t, &s,
                                         &err);
        EXPECT_MSG(is == refused[i].status && strstr(err.msg, refused[i].words) &&
                       strstr(err.msg, "adapters/p: "),
                   "row %zu: %d %s", i, is, err.msg);
        maas_lm_source_close(source);
        tiny_reset(&t);
        st_reset(&s);
    }
    EXPECT_EQ(maas_mem_live(), 0);
}

static void files_belong_together(void)
{
    static const char *const wrong[][2] = {{CONFIG_PATH, "adapters/q/adapter_model.safetensors"},
                                           {CONFIG_PATH, NULL},
                                           {WEIGHTS_PATH, NULL},
                                           {WEIGHTS_PATH, "adapters/a.gguf"}};
    tiny t = {0};
    const maas_span file = tiny_make(&t, MAAS_Q_F32, 9);
    for (size_t i = 0; i < MAAS_COUNT(wrong); i++) {
        maas_lm_source *source = NULL;
        maas_err err = {0};
        const maas_lm_file f[] = {
            {"model.gguf", file}, {wrong[i][0], file}, {wrong[i][1] ? wrong[i][1] : "", file}};
        EXPECT(maas_lm_source_open(f, wrong[i][1] ? 3 : 2, NULL, &source, &err) != MAAS_OK);
        EXPECT_MSG(strstr(err.msg, "adapters/"), "%s", err.msg);
        maas_lm_source_close(source);
    }
    tiny_reset(&t);
    EXPECT(maas_lm_is_adapter("adapters/a/adapter_config.json"));
    EXPECT(!maas_lm_is_adapter("adapters/a/b/adapter_config.json"));
    EXPECT(!maas_lm_is_adapter("adapters//adapter_config.json"));
    EXPECT(!maas_lm_is_adapter("adapters/a/README.md"));
    EXPECT_EQ(maas_lm_adapter_of_path(CONFIG_PATH).n, 1);
    EXPECT_EQ(maas_lm_adapter_of_path(WEIGHTS_PATH).n, 0);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* ---- mutants ---- */

static void mutants_are_refused_or_read(void)
{
    static const char config[] = LORA
        ",\"rank_pattern\":{\"v_proj\":4},\"alpha_pattern\":{\"^q\":1},\"use_rslora\":false}";
    maas_rng rng;
    maas_lm_source *source = NULL;
    maas_err err = {0};
    tiny t;
    st s;
    int n_read = 0;
    maas_rng_seed(&rng, 8);
    EXPECT_EQ(open_with(config, two, &source, &t, &s, &err), MAAS_OK);
    maas_lm_source_close(source);
    for (int i = 0; i < 3000; i++) {
        maas_budget budget = {.limit = (size_t)64 << 20};
        char *text = maas_strdup(config);
        const size_t n = s.file.n, head = s.head.n + 8;
        uint8_t *bytes = maas_alloc(n);
        memcpy(bytes, s.file.p, n);
        if (i % 2)
            text[maas_rng_below(&rng, strlen(text))] = (char)maas_rng_below(&rng, 256);
        else
            bytes[maas_rng_below(&rng, head)] = (uint8_t)maas_rng_below(&rng, 256);
        const maas_lm_file f[] = {
            {"model.gguf", maas_buf_span(&t.file)},
            {CONFIG_PATH, maas_span_of(text, sizeof config - 1)},
            {WEIGHTS_PATH, maas_span_of(bytes, i % 5 ? n : maas_rng_below(&rng, n))}};
        source = NULL;
        err = (maas_err){0};
        n_read += maas_lm_source_open(f, 3, &budget, &source, &err) == MAAS_OK;
        EXPECT((source != NULL) == (err.code == MAAS_OK));
        maas_lm_source_close(source);
        EXPECT_EQ(budget.used, 0);
        maas_free(bytes);
        maas_free(text);
    }
    EXPECT_MSG(n_read > 30 && n_read < 1500, "%d were read", n_read);
    tiny_reset(&t);
    st_reset(&s);
    EXPECT_EQ(maas_mem_live(), 0);
}

static const mt_case cases[] = {
    MT_CASE(it_is_the_same_adapter_in_gguf), MT_CASE(ranks_and_alphas_are_those_of_the_module),
    MT_CASE(what_is_no_plain_lora_is_named), MT_CASE(files_belong_together),
    MT_CASE(mutants_are_refused_or_read),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
