/* Hugging Face folders: what is wrong with one is named, and mutants are refused or safe to run.
 * That what is right computes the right thing: tests/client/test_folders.py. */
#include "maas_test.h"

#include <fcntl.h>

#include "base/mem.h"
#include "base/sys.h"
#include "lm/encoder.h"
#include "lm/folder.h"
#include "lm/model.h"
#include "lm/tokenizer.h"
#include "lm/tiny_use.h"

static void map(const char *name, maas_map *out)
{
    char path[512];
    snprintf(path, sizeof path, CORPUS "/%s", name);
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(maas_sys_map(fd, out, NULL), MAAS_OK);
}

/* All that is done with a folder: it may be refused anywhere, nothing else. */
static maas_status use(const folder *f, maas_err *err)
{
    static const char text[] = "<|im_start|>the house\xff\n 12 e\xcc\x81";
    return tiny_use(f->files, f->n, (maas_str){text, sizeof text - 1}, err);
}

/* ---- what is wrong ---- */

static const struct {
    const char *folder, *file; /* what of its text ... */
    const char *from, *to;     /* ... becomes what; to NULL: the file is not there */
    maas_status status;
    const char *words;
} rows[] = {
    {"llama", "tokenizer.json", "", NULL, MAAS_E_INVALID, "no tokenizer.json"},
    {"llama", "model.safetensors", "", NULL, MAAS_E_INVALID, "no model.safetensors"},
    {"llama", "generation_config.json", "", NULL, MAAS_OK, ""},
    {"llama", "tokenizer_config.json", "", NULL, MAAS_OK, ""},
    {"llama", "config.json", "LlamaFor", "RwkvFor", MAAS_E_UNSUPPORTED, "RwkvForCausalLM"},
    {"llama", "config.json", "\"architectures\"", "\"architecture_\"", MAAS_E_FORMAT,
     "'architectures' must name"},
    {"llama", "config.json", "\"hidden_size\": 8", "\"hidden_size\": \"8\"", MAAS_E_FORMAT,
     "'hidden_size' must be a count"},
    {"llama", "config.json", "\"hidden_size\": 8", "\"hidden_size\": 9", MAAS_E_FORMAT,
     "has another shape"},
    {"llama", "config.json", "\"hidden_size\"", "\"hidden_act\": \"relu\", \"hidden_size\"",
     MAAS_E_UNSUPPORTED, "'hidden_act' is relu, a llama model has silu"},
    {"llama", "config.json", "\"hidden_size\"", "\"quantization_config\": {}, \"hidden_size\"",
     MAAS_E_UNSUPPORTED, "'quantization_config' is not as it must be"},
    {"llama", "config.json", "\"hidden_size\"",
     "\"layer_types\": [\"sliding_attention\"], \"hidden_size\"", MAAS_E_UNSUPPORTED,
     "'layer_types[0]'"},
    {"llama", "config.json", "\"llama3\"", "\"yarn\"", MAAS_OK, ""},
    {"llama", "config.json", "\"llama3\", \"factor\": 8.0", "\"yarn\", \"factor\": -8.0",
     MAAS_E_FORMAT, "'yarn' of 32 by -8"},
    {"llama", "config.json", "\"llama3\",", "\"yarn\", \"truncate\": false,", MAAS_E_UNSUPPORTED,
     "'truncate' false"},
    {"llama", "config.json", "\"llama3\"", "\"longrope\"", MAAS_E_FORMAT,
     "'short_factor' must be a list of 2 numbers"},
    {"llama", "config.json", "\"llama3\",", "\"linear\", \"partial_rotary_factor\": 0.5,",
     MAAS_E_UNSUPPORTED, "'partial_rotary_factor' is not 1"},
    {"llama", "config.json", "LlamaFor", "LlamoFor", MAAS_E_UNSUPPORTED,
     "did you mean LlamaForCausalLM"},
    {"llama", "config.json", "\"hidden_size\"", "\"alibi\": true, \"hidden_size\"",
     MAAS_E_UNSUPPORTED, "'alibi' is not as it must be"},
    {"llama", "config.json", "\"hidden_size\"", "\"num_experts\": 4, \"hidden_size\"",
     MAAS_E_UNSUPPORTED, "'num_experts' is not as it must be"},
    {"llama", "config.json", "\"hidden_size\"", "\"no_rope_layers\": [0], \"hidden_size\"",
     MAAS_E_UNSUPPORTED, "'no_rope_layers[0]' must be 1"},
    {"experts", "config.json", "\"num_experts\": 3", "\"num_experts\": 4", MAAS_E_FORMAT,
     "'ffn_gate_inp.weight' of layer 0 has another shape"},
    {"experts", "model.safetensors", "experts.1.up_proj", "experts.3.up_proj", MAAS_E_FORMAT,
     "'blk.0.ffn_up_exps.weight' of expert 1 is missing"},
    {"bert", "modules.json", "Normalize", "Dense_tan", MAAS_E_UNSUPPORTED, "type 'Dense_tan'"},
    {"bert", "1_Pooling/config.json", "false", "true", MAAS_E_UNSUPPORTED, "and no other"},
    {"bert", "config.json", "\"absolute\"", "\"relative\"", MAAS_E_UNSUPPORTED,
     "'position_embedding_type'"},
    {"bert", "config.json", "\"gelu\"", "\"relu\"", MAAS_E_UNSUPPORTED, "a bert model has gelu"},
    {"bert", "model.safetensors", "attention.self.key", "attention.self.kez", MAAS_E_UNSUPPORTED,
     "'encoder.layer.0.attention.self.kez"},
    {"llama", "config.json", "\"llama3\"", "\"dynamic\"", MAAS_E_UNSUPPORTED, "'dynamic'"},
    {"llama", "config.json", "\"low_freq_factor\": 1.0", "\"low_freq_factor\": 4.0", MAAS_E_FORMAT,
     "rotary scaling 'llama3'"},
    {"llama", "config.json", "\"factor\": 8.0", "\"faktor\": 8.0", MAAS_E_FORMAT, "needs 'factor'"},
    {"llama", "config.json", "{", "{\"a\": 1, \"a\": 1, ", MAAS_E_FORMAT, "config.json"},
    {"llama", "config.json", "{", "[", MAAS_E_FORMAT, "config.json"},
    {"llama", "model.safetensors", "q_proj", "x_proj", MAAS_E_UNSUPPORTED,
     "a LlamaForCausalLM has no weight 'model.layers.0.self_attn.x_proj.weight'"},
    {"llama", "model.safetensors", "lm_head", "lm_hand", MAAS_E_UNSUPPORTED, "'lm_hand.weight'"},
    {"llama", "model.safetensors", "layers.0.mlp.up_proj", "layers.1.mlp.up_proj", MAAS_E_FORMAT,
     "the weight 'blk.0.ffn_up.weight' is missing"},
    {"llama", "model.safetensors", "\"F32\"", "\"I32\"", MAAS_E_UNSUPPORTED, "of the type I32"},
    {"llama", "tokenizer.json", "\"BPE\"", "\"BPF\"", MAAS_E_UNSUPPORTED, "of the type 'BPF'"},
    {"llama", "tokenizer.json", "\"merges\"", "\"merged\"", MAAS_E_FORMAT, "no 'merges'"},
    {"llama", "tokenizer.json", "\"vocab\"", "\"vocap\"", MAAS_E_FORMAT, "no 'vocab'"},
    {"llama", "tokenizer.json", "\"vocab\": {\"<s>\": 0", "\"vocab\": {\"<s>\": 5000000",
     MAAS_E_TOO_LARGE, "id 5000000"},
    {"llama", "tokenizer.json", "\"vocab\": {\"<s>\": 0", "\"vocab\": {\"<s>\": 1", MAAS_E_FORMAT,
     "two tokens have the id"},
    {"llama", "tokenizer.json", "\"vocab\": {\"<s>\": 0", "\"vocab\": {\"<s>\": -1", MAAS_E_FORMAT,
     "is no number"},
    {"llama", "tokenizer.json", "\"NFC\"", "\"NFX\"", MAAS_E_UNSUPPORTED, "'normalizer'"},
    {"llama", "tokenizer.json", "\"Split\"", "\"Splat\"", MAAS_E_UNSUPPORTED, "type 'Splat'"},
    {"llama", "tokenizer.json", "\\\\p{N}", "(((", MAAS_E_UNSUPPORTED, "is not understood"},
    {"llama", "tokenizer.json", "\"Isolated\"", "\"Removed\"", MAAS_E_UNSUPPORTED, "Isolated"},
    {"llama", "tokenizer.json", "\"add_prefix_space\": false", "\"add_prefix_space\": true",
     MAAS_E_UNSUPPORTED, "add_prefix_space"},
    {"gemma", "config.json", "\"Gemma", "\"Llama", MAAS_E_UNSUPPORTED, "gelu_pytorch_tanh"},
    {"gemma", "model-00002-of-00002.safetensors", "", NULL, MAAS_E_INVALID,
     "'model-00002-of-00002.safetensors' is missing"},
    {"gemma", "model.safetensors.index.json", "\"lm_head.weight\"", "\"lm_tail.weight\"",
     MAAS_E_FORMAT, "has 'lm_head.weight' nowhere"},
    {"gemma", "model.safetensors.index.json", "{", "{\"weight_map\": {}, ", MAAS_E_FORMAT, "twice"},
    {"mamba", "config.json", "{", "{", MAAS_OK, ""},
    {"mamba", "config.json", "\"auto\"", "1", MAAS_OK, ""},
    {"mamba", "config.json", "\"auto\"", "2", MAAS_E_FORMAT,
     "'ssm_x.weight' of layer 0 has another"},
    {"mamba", "config.json", "\"auto\"", "\"many\"", MAAS_E_FORMAT,
     "'time_step_rank' must be a count"},
    {"mamba", "config.json", "\"expand\": 2", "\"expand\": -2", MAAS_E_FORMAT,
     "'expand' times 'hidden_size' must be"},
    {"mamba", "config.json", "\"state_size\": 3", "\"state_size\": 0", MAAS_E_FORMAT,
     "'state_size' must be a count"},
    {"mamba", "model.safetensors", "mixer.A_log", "mixer.A_exp", MAAS_E_UNSUPPORTED,
     "mixer.A_exp'"},
    {"mamba", "model.safetensors", "mixer.D", "mixer.B", MAAS_E_UNSUPPORTED, "mixer.B'"},
    {"mamba2", "config.json", "{", "{", MAAS_OK, ""},
    {"mamba2", "config.json", "Infinity", "{\"__float__\": \"Infinity\"}", MAAS_OK, ""},
    {"mamba2", "config.json", "Infinity", "-Infinity", MAAS_E_UNSUPPORTED,
     "'time_step_limit' is not"},
    {"mamba2", "config.json", "Infinity", "NaN", MAAS_E_FORMAT, "NaN or Infinity"},
    {"mamba2", "config.json", "Infinity", "0.1", MAAS_E_UNSUPPORTED, "'time_step_limit' is not"},
    {"mamba2", "config.json", "\"conv_kernel\": 4", "\"conv_kernel\": Infinity", MAAS_E_FORMAT,
     "'conv_kernel' must be a count"},
    {"mamba2", "config.json", "\"n_groups\": 1", "\"n_groups\": 2", MAAS_E_UNSUPPORTED,
     "'n_groups' is not 1"},
    {"mamba2", "config.json", "\"num_heads\": 2", "\"num_heads\": 3", MAAS_E_FORMAT,
     "'num_heads' 3 of 'head_dim' 8 are not the 16 channels"},
    {"mamba2", "config.json", "\"n_groups\"", "\"rms_norm\": false, \"n_groups\"",
     MAAS_E_UNSUPPORTED, "'rms_norm' is not true"},
    {"gemma", "tokenizer.json", "\"Prepend\"", "\"Lowercase\"", MAAS_E_UNSUPPORTED, "Lowercase"},
};

/* The file's text with the first `from` replaced. */
static void replace(maas_lm_file *f, size_t i, maas_buf *b)
{
    const size_t n = strlen(rows[i].from);
    const uint8_t *at = memmem(f->bytes.p, f->bytes.n, rows[i].from, n);
    EXPECT_MSG(at != NULL, "%s has no %s", f->path, rows[i].from);
    if (!at)
        return;
    const size_t before = (size_t)(at - f->bytes.p);
    maas_buf_clear(b);
    maas_buf_add(b, f->bytes.p, before);
    maas_buf_str(b, rows[i].to);
    maas_buf_add(b, at + n, f->bytes.n - before - n);
    f->bytes = maas_buf_span(b);
}

static void what_is_wrong_is_named(void)
{
    maas_buf b = MAAS_BUF_INIT(1 << 20);
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        maas_map m;
        folder f;
        maas_err err = {0};
        map(rows[i].folder, &m);
        folder_open(&f, maas_span_of(m.p, m.n));
        for (uint32_t k = 0; k < f.n; k++) {
            if (strcmp(f.files[k].path, rows[i].file) != 0)
                continue;
            if (rows[i].to)
                replace(&f.files[k], i, &b);
            else
                f.files[k].path = "README.md";
        }
        const maas_status st = use(&f, &err);
        EXPECT_MSG(st == rows[i].status && strstr(err.msg, rows[i].words), "%s %s: %d %s",
                   rows[i].file, rows[i].to ? rows[i].to : "gone", st, err.msg);
        maas_sys_unmap(&m);
    }
    maas_buf_reset(&b);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* ---- tokenizers of encoders: what their kinds read (lm/tokenizer) ---- */

static maas_lm_source *open_with_tokenizer(const char *json, folder *f, maas_map *m)
{
    maas_lm_source *s = NULL;
    maas_err err = {0};
    map("llama", m);
    folder_open(f, maas_span_of(m->p, m->n));
    for (uint32_t k = 0; k < f->n; k++)
        if (strcmp(f->files[k].path, "tokenizer.json") == 0)
            f->files[k].bytes = maas_span_str(json);
    EXPECT_MSG(maas_lm_source_open(f->files, f->n, NULL, &s, &err) == MAAS_OK, "%s", err.msg);
    return s;
}

static bool is_text(maas_str s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static uint64_t id(const maas_lm_source *s, const char *key)
{
    uint64_t v = UINT64_MAX;
    maas_lm_u64(s, key, &v);
    return v;
}

static void wordpiece_has_the_words_of_gguf(void)
{
    static const char json[] =
        "{\"added_tokens\":[{\"id\":0,\"content\":\"[UNK]\",\"special\":true},{\"id\":3,"
        "\"content\":\"[CLS]\",\"special\":true},{\"id\":4,\"content\":\"[SEP]\",\"special\":"
        "true}],\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,"
        "\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":false},"
        "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"post_processor\":{\"type\":"
        "\"BertProcessing\",\"sep\":[\"[SEP]\",4],\"cls\":[\"[CLS]\",3]},\"model\":{\"type\":"
        "\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\",\"vocab\":{"
        "\"[UNK]\":0,\"a\":1,\"##b\":2,\"[CLS]\":3,\"[SEP]\":4}}}";
    folder f;
    maas_map m;
    maas_str model = {"", 0};
    bool lower = true;
    maas_lm_source *s = open_with_tokenizer(json, &f, &m);
    const maas_lm_array *names = s ? maas_lm_array_of(s, "tokenizer.ggml.tokens") : NULL;
    if (!names)
        return;
    EXPECT(maas_lm_str(s, "tokenizer.ggml.model", &model) && is_text(model, "bert"));
    EXPECT(is_text(names->strings[0], "[UNK]") &&
           is_text(names->strings[1], "\xe2\x96\x81"
                                      "a") &&
           is_text(names->strings[2], "b") && is_text(names->strings[3], "[CLS]"));
    EXPECT(maas_lm_bool(s, "tokenizer.ggml.normalizer.lowercase", &lower) && !lower);
    EXPECT_EQ(id(s, "tokenizer.ggml.cls_token_id"), 3);
    EXPECT_EQ(id(s, "tokenizer.ggml.seperator_token_id"), 4);
    EXPECT_EQ(id(s, "tokenizer.ggml.unknown_token_id"), 0);
    maas_lm_source_close(s);
    maas_sys_unmap(&m);
}

static void unigrams_have_the_words_of_gguf(void)
{
    static const char json[] =
        "{\"added_tokens\":[{\"id\":0,\"content\":\"<s>\",\"special\":true},{\"id\":1,"
        "\"content\":\"</s>\",\"special\":true}],\"normalizer\":{\"type\":\"Sequence\","
        "\"normalizers\":[{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AQL/AA==\"},{"
        "\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \"}]},"
        "\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\","
        "\"prepend_scheme\":\"always\",\"split\":true},\"post_processor\":{\"type\":"
        "\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\"}},{\"Sequence\":{"
        "\"id\":\"A\"}},{\"SpecialToken\":{\"id\":\"</s>\"}}],\"pair\":[{\"SpecialToken\":{"
        "\"id\":\"<s>\"}},{\"Sequence\":{\"id\":\"A\"}},{\"SpecialToken\":{\"id\":\"</s>\"}},{"
        "\"SpecialToken\":{\"id\":\"</s>\"}},{\"Sequence\":{\"id\":\"B\"}},{\"SpecialToken\":{"
        "\"id\":\"</s>\"}}]},\"model\":{\"type\":\"Unigram\",\"unk_id\":2,\"vocab\":[[\"<s>\",0],"
        "[\"</s>\",0.0],[\"<unk>\",0.0],[\"a\",-1.5]]}}";
    static const uint8_t bytes[] = {1, 2, 255, 0};
    folder f;
    maas_map m;
    maas_str model = {"", 0};
    bool trims = false, begins = false, ends = false, blank = false;
    maas_lm_source *s = open_with_tokenizer(json, &f, &m);
    const maas_lm_array *scores = s ? maas_lm_array_of(s, "tokenizer.ggml.scores") : NULL;
    const maas_lm_array *chars = s ? maas_lm_array_of(s, "tokenizer.ggml.precompiled_charsmap")
                                   : NULL;
    EXPECT(scores && chars);
    if (!scores || !chars)
        return;
    EXPECT(maas_lm_str(s, "tokenizer.ggml.model", &model) && is_text(model, "t5"));
    EXPECT(scores->n == 4 && maas_gguf_f64(scores, 3) < -1.4 && maas_gguf_f64(scores, 3) > -1.6);
    EXPECT(chars->n == sizeof bytes && memcmp(chars->data, bytes, sizeof bytes) == 0);
    EXPECT(maas_lm_bool(s, "tokenizer.ggml.remove_extra_whitespaces", &trims) && trims);
    EXPECT(maas_lm_bool(s, "tokenizer.ggml.add_space_prefix", &blank) && blank);
    EXPECT(maas_lm_bool(s, "tokenizer.ggml.add_bos_token", &begins) && begins);
    EXPECT(maas_lm_bool(s, "tokenizer.ggml.add_eos_token", &ends) && ends);
    EXPECT_EQ(id(s, "tokenizer.ggml.bos_token_id"), 0);
    EXPECT_EQ(id(s, "tokenizer.ggml.eos_token_id"), 1);
    EXPECT_EQ(id(s, "tokenizer.ggml.unknown_token_id"), 2);
    EXPECT_EQ(id(s, "tokenizer.ggml.seperator_token_id"), 1);
    maas_lm_source_close(s);
    maas_sys_unmap(&m);
}

/* ---- mutants ---- */

static void mutate(const char *name, int seeds)
{
    maas_map m;
    maas_rng rng;
    int accepted = 0;
    map(name, &m);
    uint8_t *copy = maas_alloc(m.n);
    maas_rng_seed(&rng, 9);
    for (int i = 0; i < seeds; i++) {
        folder f;
        maas_err err = {0};
        memcpy(copy, m.p, m.n);
        folder_open(&f, maas_span_of(copy, m.n));
        for (uint64_t k = 1 + maas_rng_below(&rng, 3); k; k--) {
            const maas_lm_file *to = &f.files[maas_rng_below(&rng, f.n)];
            const size_t head = to->bytes.n < 1500 ? to->bytes.n : 1500;
            uint8_t *p = copy + (to->bytes.p - copy) +
                         maas_rng_below(&rng, maas_rng_below(&rng, 3) ? head : to->bytes.n);
            *p = (uint8_t)(maas_rng_below(&rng, 2) ? ' ' + maas_rng_below(&rng, 95)
                                                   : *p ^ 1u << maas_rng_below(&rng, 8));
        }
        const maas_status st = use(&f, &err);
        accepted += st == MAAS_OK;
        EXPECT(st == MAAS_OK || st == MAAS_E_TOO_LARGE || err.msg[0]);
    }
    EXPECT(accepted > seeds / 50);
    maas_free(copy);
    maas_sys_unmap(&m);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void mutants_are_refused_or_run(void)
{
    mutate("llama", 1200);
    mutate("gemma", 1200);
    mutate("experts", 600);
    mutate("neox", 600);
    mutate("mamba2", 400);
    mutate("bert", 600);
}

/* ---- memory ---- */

static void no_memory_is_an_error(void)
{
    maas_map m;
    folder f;
    map("gemma", &m);
    folder_open(&f, maas_span_of(m.p, m.n));
    long n = maas_mem_n_allocs();
    maas_err err = {0};
    EXPECT_EQ(use(&f, &err), MAAS_OK);
    n = maas_mem_n_allocs() - n;
    for (long i = 1; i <= n; i += 1 + n / 300) {
        maas_err why = {0};
        maas_mem_fail_at(i);
        const maas_status st = use(&f, &why);
        maas_mem_fail_at(0);
        EXPECT_MSG(st == MAAS_OK || st == MAAS_E_NOMEM, "allocation %ld: %d %s", i, st, why.msg);
    }
    maas_sys_unmap(&m);
    EXPECT_EQ(maas_mem_live(), 0);
}

static const mt_case cases[] = {
    MT_CASE(what_is_wrong_is_named),          MT_CASE(wordpiece_has_the_words_of_gguf),
    MT_CASE(unigrams_have_the_words_of_gguf), MT_CASE(mutants_are_refused_or_run),
    MT_CASE(no_memory_is_an_error),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
