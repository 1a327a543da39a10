/*
 * tests/lm/tiny.h - a small language model as a GGUF file in memory: Llama's architecture, random
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
    TINY_LAYERS = 2,
    TINY_HEADS = 4,
    TINY_KV = 2,
    TINY_CONTEXT = 256
};
static const char *const tiny_special[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
enum { TINY_N_SPECIAL = 3, TINY_VOCAB = TINY_N_SPECIAL + 256, TINY_MAX_SCRIPT = 64 };

static const char *const
    *tiny_script; /* NULL-ended; a piece with '\1' before it is a control token */
static const char *tiny_chat =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

typedef struct tiny {
    maas_gguf_writer w;
    maas_buf data, file;
    maas_rng rng;
    const maas_quant *q;
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

static void tiny_weight(tiny *t, const char *name, const maas_quant *q, int rank, int64_t rows,
                        int64_t cols, float around, float width)
{
    const int64_t dims[] = {rank == 1 ? cols : rows, cols};
    const int64_t n = (rank == 1 ? 1 : rows) * cols;
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

static void tiny_layer(tiny *t, int i)
{
    const bool mute = tiny_n_script() > 0;
    static const struct {
        const char *name;
        int64_t rows, cols; /* rows 0: a vector */
    } rows[] = {{"attn_norm", 0, TINY_EMBD},           {"attn_q", TINY_EMBD, TINY_EMBD},
                {"attn_k", TINY_EMBD / 2, TINY_EMBD},  {"attn_v", TINY_EMBD / 2, TINY_EMBD},
                {"attn_output", TINY_EMBD, TINY_EMBD}, {"ffn_norm", 0, TINY_EMBD},
                {"ffn_gate", TINY_FF, TINY_EMBD},      {"ffn_up", TINY_FF, TINY_EMBD},
                {"ffn_down", TINY_EMBD, TINY_FF}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%d.%s.weight", i, rows[k].name);
        if (rows[k].rows)
            tiny_weight(t, name, t->q, 2, rows[k].rows, rows[k].cols, 0,
                        mute && (k == 4 || k == 8) ? 0 : 0.2f);
        else
            tiny_weight(t, name, maas_quant_of(MAAS_Q_F32), 1, 0, rows[k].cols, 1, 0.1f);
    }
}

/* type: of the matrices, one that can be written. The bytes are t->file's; tiny_reset frees them.
 */
static maas_span tiny_make(tiny *t, maas_quant_id type, uint64_t seed)
{
    *t = (tiny){.data = MAAS_BUF_INIT((size_t)1 << 30), .file = MAAS_BUF_INIT((size_t)1 << 30)};
    t->q = maas_quant_of(type);
    maas_rng_seed(&t->rng, seed);
    maas_gguf_put_str(&t->w, "general.architecture", (maas_str){"llama", 5});
    maas_gguf_put_str(&t->w, "general.name", (maas_str){"tiny", 4});
    maas_gguf_put_u32(&t->w, "llama.context_length",
                      tiny_n_script() ? 4 * TINY_CONTEXT : TINY_CONTEXT);
    maas_gguf_put_u32(&t->w, "llama.embedding_length", TINY_EMBD);
    maas_gguf_put_u32(&t->w, "llama.block_count", TINY_LAYERS);
    maas_gguf_put_u32(&t->w, "llama.feed_forward_length", TINY_FF);
    maas_gguf_put_u32(&t->w, "llama.attention.head_count", TINY_HEADS);
    maas_gguf_put_u32(&t->w, "llama.attention.head_count_kv", TINY_KV);
    maas_gguf_put_f32(&t->w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    tiny_vocabulary(t);
    if (tiny_n_script())
        tiny_words(t);
    else
        tiny_weight(t, "token_embd.weight", t->q, 2, TINY_VOCAB, TINY_EMBD, 0, 1);
    for (int i = 0; i < TINY_LAYERS; i++)
        tiny_layer(t, i);
    tiny_weight(t, "output_norm.weight", maas_quant_of(MAAS_Q_F32), 1, 0, TINY_EMBD, 1, 0.1f);
    maas_gguf_finish(&t->w, &t->file);
    maas_buf_add(&t->file, t->data.p, t->data.n);
    return maas_buf_span(&t->file);
}

static void tiny_reset(tiny *t)
{
    maas_gguf_writer_reset(&t->w);
    maas_buf_reset(&t->data);
    maas_buf_reset(&t->file);
}

#endif
