/*
 * tests/lm/tiny.h - a small language model as a GGUF file in memory: of any architecture, random
 * weights of a seed, byte tokens and a few special ones, and a chat template. For tests that need a
 * model and no sense.
 *
 * With a script it is a model that says one thing, whatever it is asked: each piece of the script
 * is a token of its own (so no two may be alike), and after a prompt that ends with a line the most
 * likely token is the next piece, by far. Nothing of the rest of the model adds anything.
 */
#ifndef TESTS_LM_TINY_H
#define TESTS_LM_TINY_H

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "formats/gguf.h"

enum {
    TINY_EMBD = 64,
    TINY_FF = 128,
    TINY_HEADS = 4,
    TINY_KV = 2,
    TINY_EXPERT_N = 4,
    TINY_INNER = 128, /* channels of a state, each with so many states */
    TINY_STATES = 16,
    TINY_STEPS = 32, /* the rank of the step */
    TINY_CONTEXT = 256
};
static const char *const tiny_special[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
enum { TINY_N_SPECIAL = 3, TINY_VOCAB = TINY_N_SPECIAL + 256, TINY_MAX_SCRIPT = 64 };

static const char *const
    *tiny_script; /* NULL-ended; a piece with '\1' before it is a control token */
static const char *tiny_chat =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/* What an architecture's file has: a row each, written down from the files of the makers'
 * converter. */
enum {
    TINY_FFN_NORM = 1 << 0,
    TINY_BARE = 1 << 1, /* norms without weights */
    TINY_NO_PRE = 1 << 2,
    TINY_NORM_BIAS = 1 << 3,
    TINY_FUSED = 1 << 4,    /* queries, keys and values in one */
    TINY_QKV_BIAS = 1 << 5, /* of them */
    TINY_BIAS = 1 << 6,     /* of all other matrices of a layer */
    TINY_QK_NORM = 1 << 7,
    TINY_QK_WIDE = 1 << 8,
    TINY_POST = 1 << 9,
    TINY_GATE = 1 << 10,
    TINY_GATE_FUSED = 1 << 11,
    TINY_EXPERTS = 1 << 12,
    TINY_SHARED = 1 << 13,
    TINY_POSITIONS = 1 << 14,
    TINY_WINDOW = 1 << 15,
    TINY_SCALES = 1 << 16,
    TINY_QK_EACH = 1 << 17,
    TINY_LATENT = 1 << 18,
    TINY_POST_FFN = 1 << 19,    /* the norm before feed-forward is called post_attention_norm */
    TINY_OUTPUT_NORM = 1 << 20, /* attn_output_norm */
    TINY_SINKS = 1 << 21,
    TINY_STATE = 1 << 22, /* instead of attention and feed-forward */
    TINY_STATE_HEADS = 1 << 23,
};
typedef struct tiny_arch {
    const char *name;
    uint32_t has;
    int layers;      /* enough for one of each kind */
    const char *key; /* NULL, or one that says something else than it would: */
    uint32_t says;
} tiny_arch;

#define TINY_RMS (TINY_FFN_NORM | TINY_GATE)
#define TINY_OLD (TINY_NORM_BIAS | TINY_QKV_BIAS | TINY_BIAS)
static const tiny_arch tiny_archs[] = {
    {"llama", TINY_RMS, 2},
    {"qwen2", TINY_RMS | TINY_QKV_BIAS, 2},
    {"qwen2moe", TINY_FFN_NORM | TINY_QKV_BIAS | TINY_EXPERTS | TINY_SHARED, 2},
    {"qwen3", TINY_RMS | TINY_QK_NORM, 2},
    {"qwen3moe", TINY_FFN_NORM | TINY_QK_NORM | TINY_EXPERTS, 2},
    {"gemma", TINY_RMS, 2},
    {"gemma2", TINY_RMS | TINY_POST | TINY_WINDOW, 2},
    {"gemma3", TINY_RMS | TINY_POST | TINY_QK_NORM | TINY_WINDOW, 6},
    {"phi2", TINY_OLD, 2},
    {"phi3", TINY_FFN_NORM | TINY_FUSED | TINY_GATE_FUSED | TINY_WINDOW, 2},
    {"gpt2", TINY_OLD | TINY_FFN_NORM | TINY_FUSED | TINY_POSITIONS, 2},
    {"gptneox", TINY_OLD | TINY_FFN_NORM | TINY_FUSED, 2},
    {"falcon", TINY_NORM_BIAS | TINY_FUSED, 2},
    {"stablelm", TINY_NORM_BIAS | TINY_GATE | TINY_QK_EACH, 2},
    {"starcoder2", TINY_OLD | TINY_FFN_NORM, 2},
    {"olmo", TINY_BARE | TINY_GATE, 2},
    {"olmo2", TINY_NO_PRE | TINY_POST | TINY_GATE | TINY_QK_WIDE | TINY_WINDOW, 4},
    {"olmoe", TINY_FFN_NORM | TINY_QK_WIDE | TINY_EXPERTS, 2},
    {"granite", TINY_RMS | TINY_SCALES, 2},
    {"granitemoe", TINY_FFN_NORM | TINY_EXPERTS | TINY_SCALES, 2},
    {"command-r", TINY_GATE | TINY_SCALES, 2},
    {"cohere2", TINY_GATE | TINY_WINDOW | TINY_SCALES, 4},
    {"internlm2", TINY_RMS, 2},
    {"exaone", TINY_RMS, 2},
    {"nemotron", TINY_NORM_BIAS | TINY_FFN_NORM, 2},
    {"smollm3", TINY_RMS, 4},
    {"glm4moe", TINY_QK_NORM | TINY_QKV_BIAS | TINY_EXPERTS | TINY_SHARED | TINY_POST_FFN, 2},
    {"chatglm", TINY_FFN_NORM | TINY_GATE_FUSED | TINY_FUSED | TINY_QKV_BIAS, 2},
    {"exaone4", TINY_NO_PRE | TINY_POST | TINY_GATE | TINY_QK_NORM | TINY_WINDOW, 4},
    {"deepseek", TINY_FFN_NORM | TINY_EXPERTS | TINY_SHARED, 2},
    {"deepseek2", TINY_FFN_NORM | TINY_EXPERTS | TINY_SHARED | TINY_LATENT, 2},
    {"dots1", TINY_FFN_NORM | TINY_QK_NORM | TINY_EXPERTS | TINY_SHARED, 2},
    {"minimax-m2", TINY_FFN_NORM | TINY_QK_WIDE | TINY_EXPERTS, 2},
    {"dbrx", TINY_FUSED | TINY_EXPERTS | TINY_OUTPUT_NORM, 2},
    {"seed_oss", TINY_GATE | TINY_QKV_BIAS | TINY_POST_FFN, 2},
    {"starcoder", TINY_OLD | TINY_FFN_NORM | TINY_FUSED | TINY_POSITIONS, 2},
    {"codeshell", TINY_OLD | TINY_FFN_NORM | TINY_FUSED, 2},
    {"qwen2vl", TINY_RMS | TINY_QKV_BIAS, 2},
    {"qwen3vl", TINY_RMS | TINY_QK_NORM, 2},
    {"qwen3vlmoe", TINY_FFN_NORM | TINY_QK_NORM | TINY_EXPERTS, 2},
    {"ernie4_5-moe", TINY_FFN_NORM | TINY_EXPERTS | TINY_SHARED, 2},
    {"hunyuan-dense", TINY_RMS | TINY_QK_NORM, 2},
    {"hunyuan-moe", TINY_FFN_NORM | TINY_QK_NORM | TINY_EXPERTS | TINY_SHARED, 2},
    {"bailingmoe2", TINY_FFN_NORM | TINY_FUSED | TINY_QK_NORM | TINY_EXPERTS | TINY_SHARED, 2},
    {"gpt-oss", TINY_QKV_BIAS | TINY_EXPERTS | TINY_POST_FFN | TINY_WINDOW | TINY_SINKS, 2},
    {"minicpm", TINY_RMS | TINY_SCALES, 2},
    {"arcee", TINY_FFN_NORM, 2},
    {"ernie4_5", TINY_RMS, 2},
    {"orion", TINY_RMS | TINY_NORM_BIAS, 2},
    {"xverse", TINY_RMS, 2},
    {"mamba", TINY_STATE, 2},
    {"mamba2", TINY_STATE | TINY_STATE_HEADS, 2},
    {"glm4", TINY_FFN_NORM | TINY_GATE_FUSED | TINY_POST | TINY_QKV_BIAS, 2},
};

/* NULL: nobody wrote its row. */
static inline const tiny_arch *tiny_arch_of(const char *name)
{
    for (size_t i = 0; i < sizeof tiny_archs / sizeof *tiny_archs; i++)
        if (strcmp(tiny_archs[i].name, name) == 0)
            return &tiny_archs[i];
    return NULL;
}

typedef struct tiny {
    maas_gguf_writer w;
    maas_buf data, file;
    maas_rng rng;
    const maas_quant *q;
    const tiny_arch *arch;
} tiny;

/* The printable form of a byte, as byte-level vocabularies write it. */
static size_t tiny_byte(int b, char *out)
{
    int n = 256;
    for (int i = 0; i < b; i++)
        n += !((i >= '!' && i <= '~') || (i >= 0xa1 && i <= 0xac) || i >= 0xae);
    const bool plain = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
    const int point = plain ? b : n;
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    out[0] = (char)(0xc0 | point >> 6);
    out[1] = (char)(0x80 | (point & 63));
    return 2;
}

static int tiny_n_script(void)
{
    int n = 0;
    while (tiny_script && tiny_script[n] && n < TINY_MAX_SCRIPT)
        n++;
    return n;
}

/* A piece of the script as the vocabulary writes it; control tokens as they are. */
static maas_str tiny_piece(int i, char *room)
{
    const char *s = tiny_script[i];
    size_t n = 0;
    if (*s == '\1')
        return (maas_str){s + 1, strlen(s + 1)};
    for (; *s; s++)
        n += tiny_byte((uint8_t)*s, room + n);
    return (maas_str){room, n};
}

static void tiny_vocabulary(tiny *t)
{
    static char room[TINY_VOCAB][4], pieces[TINY_MAX_SCRIPT][256];
    maas_str names[TINY_VOCAB + TINY_MAX_SCRIPT];
    int32_t types[TINY_VOCAB + TINY_MAX_SCRIPT];
    const int n = tiny_n_script();
    for (int i = 0; i < TINY_VOCAB; i++) {
        const bool special = i < TINY_N_SPECIAL;
        types[i] = special ? 3 : 1;
        names[i] = special ? (maas_str){tiny_special[i], strlen(tiny_special[i])}
                           : (maas_str){room[i], tiny_byte(i - TINY_N_SPECIAL, room[i])};
    }
    for (int i = 0; i < n; i++) {
        types[TINY_VOCAB + i] = tiny_script[i][0] == '\1' ? 3 : 1;
        names[TINY_VOCAB + i] = tiny_piece(i, pieces[i]);
    }
    /* "h e" makes no token: merges need one; "ĠĠ" neither. The list may be empty of use. */
    const maas_str merges[] = {{"h e", 3}};
    maas_gguf_put_str(&t->w, "tokenizer.ggml.model", (maas_str){"gpt2", 4});
    maas_gguf_put_str(&t->w, "tokenizer.ggml.pre", (maas_str){"gpt-2", 5});
    maas_gguf_put_strs(&t->w, "tokenizer.ggml.tokens", names, (uint32_t)(TINY_VOCAB + n));
    maas_gguf_put_array(&t->w, "tokenizer.ggml.token_type", MAAS_GGUF_I32, types,
                        (uint32_t)(TINY_VOCAB + n));
    maas_gguf_put_strs(&t->w, "tokenizer.ggml.merges", merges, 1);
    maas_gguf_put_u32(&t->w, "tokenizer.ggml.bos_token_id", 0);
    maas_gguf_put_u32(&t->w, "tokenizer.ggml.eos_token_id", 2);
    maas_gguf_put_str(&t->w, "tokenizer.chat_template", (maas_str){tiny_chat, strlen(tiny_chat)});
}

static void tiny_weight_of(tiny *t, const char *name, const maas_quant *q, int rank,
                           const int64_t *dims, float around, float width)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= dims[i];
    float *x = maas_alloc((size_t)n * sizeof *x);
    const size_t bytes = (size_t)(n / q->block) * q->block_bytes;
    uint8_t *blocks = maas_alloc(bytes);
    for (int64_t i = 0; i < n; i++)
        x[i] = around + width * maas_rng_normal(&t->rng);
    q->from_f32(x, blocks, n);
    maas_gguf_put_tensor(&t->w, name, q, rank, dims);
    maas_buf_add(&t->data, blocks, bytes);
    maas_gguf_pad(&t->data);
    maas_free(x);
    maas_free(blocks);
}

static void tiny_weight(tiny *t, const char *name, const maas_quant *q, int rank, int64_t rows,
                        int64_t cols, float around, float width)
{
    tiny_weight_of(t, name, q, rank, (const int64_t[]){rank == 1 ? cols : rows, cols}, around,
                   width);
}

static void tiny_matrix(tiny *t, const char *prefix, const char *name, int64_t rows, int64_t cols,
                        bool bias)
{
    const bool mute = tiny_n_script() &&
                      (strcmp(name, "attn_output") == 0 || strcmp(name, "ffn_down") == 0 ||
                       strcmp(name, "ssm_out") == 0);
    char full[64];
    snprintf(full, sizeof full, "%s%s.weight", prefix, name);
    tiny_weight(t, full, t->q, 2, rows, cols, 0, mute ? 0 : 0.2f);
    snprintf(full, sizeof full, "%s%s.bias", prefix, name);
    if (bias)
        tiny_weight(t, full, maas_quant_of(MAAS_Q_F32), 1, 0, rows, 0, 0.1f);
}

static void tiny_norm(tiny *t, const char *prefix, const char *name, int64_t n)
{
    char full[64];
    if (t->arch->has & TINY_BARE)
        return;
    snprintf(full, sizeof full, "%s%s.weight", prefix, name);
    tiny_weight(t, full, maas_quant_of(MAAS_Q_F32), 1, 0, n, 1, 0.1f);
    snprintf(full, sizeof full, "%s%s.bias", prefix, name);
    if (t->arch->has & TINY_NORM_BIAS && n == TINY_EMBD)
        tiny_weight(t, full, maas_quant_of(MAAS_Q_F32), 1, 0, n, 0, 0.1f);
}

/* token_embd, and output: the row of a token is what stands for the one before it. */
static void tiny_words(tiny *t)
{
    const maas_quant *f32 = maas_quant_of(MAAS_Q_F32);
    const int n = tiny_n_script(), vocab = TINY_VOCAB + n, end = 2;
    const int64_t dims[] = {vocab, TINY_EMBD};
    float *x = maas_calloc((size_t)2 * (size_t)vocab * TINY_EMBD, sizeof *x);
    float *next = x + (size_t)vocab * TINY_EMBD;
    for (int i = 0; i < vocab * TINY_EMBD; i++)
        x[i] = maas_rng_normal(&t->rng);
    for (int i = 0; i <= n; i++) {
        const int from = i ? TINY_VOCAB + i - 1 : TINY_N_SPECIAL + '\n';
        const int to = i < n ? TINY_VOCAB + i : end;
        for (int k = 0; k < TINY_EMBD; k++)
            next[to * TINY_EMBD + k] = 4 * x[from * TINY_EMBD + k];
    }
    for (int i = 0; i < 2; i++) {
        maas_gguf_put_tensor(&t->w, i ? "output.weight" : "token_embd.weight", f32, 2, dims);
        maas_buf_add(&t->data, i ? next : x, (size_t)vocab * TINY_EMBD * sizeof *x);
        maas_gguf_pad(&t->data);
    }
    maas_free(x);
}

/* n matrices, one after the other. */
static void tiny_many(tiny *t, const char *prefix, const char *name, int64_t n, int64_t rows,
                      int64_t cols)
{
    char full[64];
    const int64_t dims[] = {n, rows, cols};
    snprintf(full, sizeof full, "%s%s.weight", prefix, name);
    tiny_weight_of(t, full, t->q, 3, dims, 0, 0.2f);
}

/* Heads of 32 numbers and 8 that are turned; the cache keeps 32 and 8, of one head. */
static void tiny_latent(tiny *t, const char *p)
{
    tiny_matrix(t, p, "attn_q", TINY_HEADS * 40, TINY_EMBD, false);
    tiny_matrix(t, p, "attn_kv_a_mqa", 40, TINY_EMBD, false);
    tiny_norm(t, p, "attn_kv_a_norm", 32);
    tiny_many(t, p, "attn_k_b", TINY_HEADS, 32, 32);
    tiny_many(t, p, "attn_v_b", TINY_HEADS, 24, 32);
    tiny_matrix(t, p, "attn_output", TINY_EMBD, TINY_HEADS * 24, false);
}

static void tiny_attention(tiny *t, const char *p)
{
    const uint32_t has = t->arch->has;
    const int64_t q = TINY_EMBD, size = TINY_EMBD / TINY_HEADS, k = TINY_KV * size;
    const bool bias = has & TINY_QKV_BIAS;
    char name[64];
    if (has & TINY_LATENT) {
        tiny_latent(t, p);
        return;
    }
    if (has & TINY_FUSED)
        tiny_matrix(t, p, "attn_qkv", q + 2 * k, TINY_EMBD, bias);
    else {
        tiny_matrix(t, p, "attn_q", q, TINY_EMBD, bias);
        tiny_matrix(t, p, "attn_k", k, TINY_EMBD, bias);
        tiny_matrix(t, p, "attn_v", k, TINY_EMBD, bias);
    }
    if (has & (TINY_QK_NORM | TINY_QK_WIDE)) {
        tiny_norm(t, p, "attn_q_norm", has & TINY_QK_WIDE ? q : size);
        tiny_norm(t, p, "attn_k_norm", has & TINY_QK_WIDE ? k : size);
    }
    if (has & TINY_QK_EACH)
        for (int i = 0; i < 2; i++) {
            snprintf(name, sizeof name, "%sattn_%c_norm.weight", p, "qk"[i]);
            tiny_weight(t, name, maas_quant_of(MAAS_Q_F32), 2, i ? TINY_KV : TINY_HEADS, size, 1,
                        0.1f);
        }
    tiny_matrix(t, p, "attn_output", TINY_EMBD, q, has & TINY_BIAS);
    snprintf(name, sizeof name, "%sattn_sinks.weight", p);
    if (has & TINY_SINKS)
        tiny_weight(t, name, maas_quant_of(MAAS_Q_F32), 1, 0, TINY_HEADS, 0, 1);
}

static void tiny_feed_forward(tiny *t, const char *p)
{
    const uint32_t has = t->arch->has;
    const bool bias = has & TINY_BIAS;
    char name[64];
    if (has & TINY_EXPERTS) {
        tiny_matrix(t, p, "ffn_gate_inp", TINY_EXPERT_N, TINY_EMBD, false);
        tiny_many(t, p, "ffn_gate_exps", TINY_EXPERT_N, TINY_FF, TINY_EMBD);
        tiny_many(t, p, "ffn_up_exps", TINY_EXPERT_N, TINY_FF, TINY_EMBD);
        tiny_many(t, p, "ffn_down_exps", TINY_EXPERT_N, TINY_EMBD, TINY_FF);
    } else {
        if (has & TINY_GATE)
            tiny_matrix(t, p, "ffn_gate", TINY_FF, TINY_EMBD, bias);
        tiny_matrix(t, p, "ffn_up", has & TINY_GATE_FUSED ? 2 * TINY_FF : TINY_FF, TINY_EMBD, bias);
        tiny_matrix(t, p, "ffn_down", TINY_EMBD, TINY_FF, bias);
    }
    if (has & TINY_SHARED) {
        tiny_matrix(t, p, "ffn_gate_shexp", TINY_FF, TINY_EMBD, false);
        tiny_matrix(t, p, "ffn_up_shexp", TINY_FF, TINY_EMBD, false);
        tiny_matrix(t, p, "ffn_down_shexp", TINY_EMBD, TINY_FF, false);
        snprintf(name, sizeof name, "%sffn_gate_inp_shexp.weight", p);
        tiny_weight(t, name, maas_quant_of(MAAS_Q_F32), 1, 0, TINY_EMBD, 0, 0.2f);
    }
}

/* A vector or floats, called `name` as it is. */
static void tiny_numbers(tiny *t, const char *p, const char *name, int64_t rows, int64_t cols,
                         float around, float width)
{
    char full[64];
    snprintf(full, sizeof full, "%s%s", p, name);
    tiny_weight(t, full, maas_quant_of(MAAS_Q_F32), rows ? 2 : 1, rows, cols, around, width);
}

static void tiny_state(tiny *t, const char *p)
{
    const bool heads = t->arch->has & TINY_STATE_HEADS;
    const int64_t n = TINY_INNER, shared = heads ? 2 * TINY_KV * TINY_STATES : 0;
    tiny_matrix(t, p, "ssm_in", 2 * n + (heads ? shared + TINY_HEADS : 0), TINY_EMBD, false);
    tiny_numbers(t, p, "ssm_conv1d.weight", n + shared, 4, 0, 0.5f);
    tiny_numbers(t, p, "ssm_conv1d.bias", 0, n + shared, 0, 0.1f);
    if (heads) {
        tiny_numbers(t, p, "ssm_dt.bias", 0, TINY_HEADS, -1, 0.5f);
        tiny_numbers(t, p, "ssm_a", TINY_HEADS, 1, -1, 0.3f);
        tiny_numbers(t, p, "ssm_d", TINY_HEADS, 1, 1, 0.3f);
        tiny_numbers(t, p, "ssm_norm.weight", TINY_KV, n / TINY_KV, 1, 0.1f);
    } else {
        tiny_matrix(t, p, "ssm_x", TINY_STEPS + 2 * TINY_STATES, n, false);
        tiny_matrix(t, p, "ssm_dt", n, TINY_STEPS, true);
        tiny_numbers(t, p, "ssm_a", n, TINY_STATES, -1, 0.3f);
        tiny_numbers(t, p, "ssm_d", 0, n, 1, 0.3f);
    }
    tiny_matrix(t, p, "ssm_out", TINY_EMBD, n, false);
}

static void tiny_layer(tiny *t, int i)
{
    const uint32_t has = t->arch->has;
    char p[16];
    snprintf(p, sizeof p, "blk.%d.", i);
    if (!(has & TINY_NO_PRE))
        tiny_norm(t, p, "attn_norm", TINY_EMBD);
    if (has & TINY_STATE) {
        tiny_state(t, p);
        return;
    }
    tiny_attention(t, p);
    if (has & TINY_FFN_NORM)
        tiny_norm(t, p, "ffn_norm", TINY_EMBD);
    if (has & TINY_OUTPUT_NORM)
        tiny_norm(t, p, "attn_output_norm", TINY_EMBD);
    if (has & TINY_POST_FFN)
        tiny_norm(t, p, "post_attention_norm", TINY_EMBD);
    tiny_feed_forward(t, p);
    if (has & TINY_POST) {
        tiny_norm(t, p, "post_attention_norm", TINY_EMBD);
        tiny_norm(t, p, "post_ffw_norm", TINY_EMBD);
    }
}

static void tiny_u32(tiny *t, const char *key, uint32_t v)
{
    char full[80];
    snprintf(full, sizeof full, "%s.%s", t->arch->name, key);
    if (t->arch->key && strcmp(t->arch->key, key) == 0)
        v = t->arch->says;
    maas_gguf_put_u32(&t->w, full, v);
}
static void tiny_f32(tiny *t, const char *key, float v)
{
    char full[80];
    snprintf(full, sizeof full, "%s.%s", t->arch->name, key);
    maas_gguf_put_f32(&t->w, full, v);
}

static void tiny_keys(tiny *t)
{
    const uint32_t has = t->arch->has;
    maas_gguf_put_str(&t->w, "general.architecture",
                      (maas_str){t->arch->name, strlen(t->arch->name)});
    maas_gguf_put_str(&t->w, "general.name", (maas_str){"tiny", 4});
    tiny_u32(t, "context_length", tiny_n_script() ? 4 * TINY_CONTEXT : TINY_CONTEXT);
    tiny_u32(t, "embedding_length", TINY_EMBD);
    tiny_u32(t, "block_count", (uint32_t)t->arch->layers);
    tiny_u32(t, "feed_forward_length", TINY_FF);
    tiny_u32(t, "attention.head_count", TINY_HEADS);
    tiny_u32(t, "attention.head_count_kv", has & TINY_LATENT ? 1 : TINY_KV);
    if (has & TINY_LATENT) {
        tiny_u32(t, "attention.kv_lora_rank", 32);
        tiny_u32(t, "attention.key_length", 40);
        tiny_u32(t, "attention.value_length", 32);
        tiny_u32(t, "attention.key_length_mla", 40);
        tiny_u32(t, "attention.value_length_mla", 24);
        tiny_u32(t, "rope.dimension_count", 8);
    }
    if (has & TINY_STATE) {
        tiny_u32(t, "ssm.inner_size", TINY_INNER);
        tiny_u32(t, "ssm.state_size", TINY_STATES);
        tiny_u32(t, "ssm.conv_kernel", 4);
        tiny_u32(t, "ssm.time_step_rank", has & TINY_STATE_HEADS ? TINY_HEADS : TINY_STEPS);
        if (has & TINY_STATE_HEADS)
            tiny_u32(t, "ssm.group_count", TINY_KV);
    }
    tiny_f32(t, "attention.layer_norm_rms_epsilon", 1e-5f);
    tiny_f32(t, "attention.layer_norm_epsilon", 1e-5f);
    if (has & TINY_WINDOW)
        tiny_u32(t, "attention.sliding_window", 13);
    if (has & TINY_EXPERTS) {
        tiny_u32(t, "expert_count", TINY_EXPERT_N);
        tiny_u32(t, "expert_used_count", 2);
    }
    if (has & TINY_SCALES) {
        tiny_f32(t, "embedding_scale", 2);
        tiny_f32(t, "residual_scale", 0.5f);
        tiny_f32(t, "attention.scale", 0.2f);
        tiny_f32(t, "logit_scale", 3);
    }
}

/* type: of the matrices, one that can be written. The bytes are t->file's; tiny_reset frees them.
 */
static maas_span tiny_make_pooled(tiny *t, const tiny_arch *arch, maas_quant_id type,
                                  uint32_t pooling, uint64_t seed)
{
    *t = (tiny){.data = MAAS_BUF_INIT((size_t)1 << 30), .file = MAAS_BUF_INIT((size_t)1 << 30)};
    t->q = maas_quant_of(type);
    t->arch = arch;
    maas_rng_seed(&t->rng, seed);
    tiny_keys(t);
    if (pooling)
        tiny_u32(t, "pooling_type", pooling);
    tiny_vocabulary(t);
    if (tiny_n_script())
        tiny_words(t);
    else
        tiny_weight(t, "token_embd.weight", t->q, 2, TINY_VOCAB, TINY_EMBD, 0, 1);
    if (arch->has & TINY_POSITIONS)
        tiny_weight(t, "position_embd.weight", t->q, 2, TINY_CONTEXT, TINY_EMBD, 0, 1);
    for (int i = 0; i < arch->layers; i++)
        tiny_layer(t, i);
    tiny_norm(t, "", "output_norm", TINY_EMBD);
    maas_gguf_finish(&t->w, &t->file);
    maas_buf_add(&t->file, t->data.p, t->data.n);
    return maas_buf_span(&t->file);
}

static inline maas_span tiny_make_of(tiny *t, const tiny_arch *arch, maas_quant_id type,
                                     uint64_t seed)
{
    return tiny_make_pooled(t, arch, type, 0, seed);
}

static inline maas_span tiny_make(tiny *t, maas_quant_id type, uint64_t seed)
{
    return tiny_make_of(t, tiny_archs, type, seed);
}

static void tiny_reset(tiny *t)
{
    maas_gguf_writer_reset(&t->w);
    maas_buf_reset(&t->data);
    maas_buf_reset(&t->file);
}

#endif
