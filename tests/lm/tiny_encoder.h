/*
 * tests/lm/tiny_encoder.h - a small encoder as a GGUF file in memory: random weights of a seed and
 * a WordPiece vocabulary of letters. For tests that need a model and no sense.
 */
#ifndef TESTS_LM_TINY_ENCODER_H
#define TESTS_LM_TINY_ENCODER_H

#include "lm/tiny.h"

enum {
    ENC_EMBD = 64,
    ENC_FF = 96,
    ENC_LAYERS = 4,
    ENC_HEADS = 4,
    ENC_CONTEXT = 96,
    ENC_SPECIAL = 4
};
enum { ENC_VOCAB = ENC_SPECIAL + 2 * 26 };

typedef struct tiny_weight_row {
    const char *name;   /* %d: the layer */
    int64_t rows, cols; /* rows 0: a vector of cols */
} tiny_weight_row;

static const tiny_weight_row tiny_bert[] = {
    {"blk.%d.attn_q", ENC_EMBD, ENC_EMBD},    {"blk.%d.attn_k", ENC_EMBD, ENC_EMBD},
    {"blk.%d.attn_v", ENC_EMBD, ENC_EMBD},    {"blk.%d.attn_output", ENC_EMBD, ENC_EMBD},
    {"blk.%d.attn_output_norm", 0, ENC_EMBD}, {"blk.%d.ffn_up", ENC_FF, ENC_EMBD},
    {"blk.%d.ffn_down", ENC_EMBD, ENC_FF},    {"blk.%d.layer_output_norm", 0, ENC_EMBD},
};
static const tiny_weight_row tiny_nomic[] = {
    {"blk.%d.attn_qkv", 3 * ENC_EMBD, ENC_EMBD}, {"blk.%d.attn_output", ENC_EMBD, ENC_EMBD},
    {"blk.%d.attn_output_norm", 0, ENC_EMBD},    {"blk.%d.ffn_gate", ENC_FF, ENC_EMBD},
    {"blk.%d.ffn_up", ENC_FF, ENC_EMBD},         {"blk.%d.ffn_down", ENC_EMBD, ENC_FF},
    {"blk.%d.layer_output_norm", 0, ENC_EMBD},
};
static const tiny_weight_row tiny_modern[] = {
    {"blk.%d.attn_norm", 0, ENC_EMBD},          {"blk.%d.attn_qkv", 3 * ENC_EMBD, ENC_EMBD},
    {"blk.%d.attn_output", ENC_EMBD, ENC_EMBD}, {"blk.%d.ffn_norm", 0, ENC_EMBD},
    {"blk.%d.ffn_up", 2 * ENC_FF, ENC_EMBD},    {"blk.%d.ffn_down", ENC_EMBD, ENC_FF},
};
static const tiny_weight_row tiny_jina[] = {
    {"blk.%d.attn_q", ENC_EMBD, ENC_EMBD},    {"blk.%d.attn_k", ENC_EMBD, ENC_EMBD},
    {"blk.%d.attn_v", ENC_EMBD, ENC_EMBD},    {"blk.%d.attn_output", ENC_EMBD, ENC_EMBD},
    {"blk.%d.attn_output_norm", 0, ENC_EMBD}, {"blk.%d.ffn_up", 2 * ENC_FF, ENC_EMBD},
    {"blk.%d.ffn_down", ENC_EMBD, ENC_FF},    {"blk.%d.layer_output_norm", 0, ENC_EMBD},
};
static const struct tiny_encoder_row {
    const char *arch;
    const tiny_weight_row *rows;
    size_t n;
    bool types, positions, last_norm;
} tiny_encoders[] = {
    {"bert", tiny_bert, sizeof tiny_bert / sizeof *tiny_bert, true, true, false},
    {"nomic-bert", tiny_nomic, sizeof tiny_nomic / sizeof *tiny_nomic, true, false, false},
    {"jina-bert-v2", tiny_jina, sizeof tiny_jina / sizeof *tiny_jina, true, false, false},
    {"modern-bert", tiny_modern, sizeof tiny_modern / sizeof *tiny_modern, false, false, true},
};
enum { TINY_N_ENCODERS = 4 };

static void tiny_letters(tiny *t)
{
    static const char *const special[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]"};
    static char room[ENC_VOCAB][4];
    maas_str names[ENC_VOCAB];
    int32_t types[ENC_VOCAB];
    for (int i = 0; i < ENC_VOCAB; i++) {
        const int k = i - ENC_SPECIAL, begins = k < 26;
        types[i] = k < 0 ? 3 : 1;
        snprintf(room[i], sizeof room[i], "%s", begins ? "\xe2\x96\x81" : "");
        room[i][begins ? 3 : 0] = (char)('a' + (k < 0 ? 0 : k % 26));
        names[i] = k < 0 ? (maas_str){special[i], strlen(special[i])}
                         : (maas_str){room[i], begins ? 4 : 1};
    }
    maas_gguf_put_str(&t->w, "tokenizer.ggml.model", (maas_str){"bert", 4});
    maas_gguf_put_strs(&t->w, "tokenizer.ggml.tokens", names, ENC_VOCAB);
    maas_gguf_put_array(&t->w, "tokenizer.ggml.token_type", MAAS_GGUF_I32, types, ENC_VOCAB);
    maas_gguf_put_u32(&t->w, "tokenizer.ggml.unknown_token_id", 1);
    maas_gguf_put_u32(&t->w, "tokenizer.ggml.cls_token_id", 2);
    maas_gguf_put_u32(&t->w, "tokenizer.ggml.seperator_token_id", 3);
}

static void tiny_named(tiny *t, const char *name, int64_t rows, int64_t cols, const char *leave_out)
{
    char full[96];
    snprintf(full, sizeof full, "%.64s.weight", name);
    if (leave_out && strcmp(leave_out, full) == 0)
        return;
    if (rows)
        tiny_weight(t, full, t->q, 2, rows, cols, 0, 0.2f);
    else
        tiny_weight(t, full, maas_quant_of(MAAS_Q_F32), 1, 0, cols, 1, 0.1f);
}

static void tiny_encoder_keys(tiny *t, const char *arch, uint32_t pooling)
{
    static const struct {
        const char *key;
        uint32_t value;
    } numbers[] = {{"context_length", ENC_CONTEXT},     {"embedding_length", ENC_EMBD},
                   {"block_count", ENC_LAYERS},         {"feed_forward_length", ENC_FF},
                   {"attention.head_count", ENC_HEADS}, {"attention.sliding_window", 24}};
    char key[80];
    maas_gguf_put_str(&t->w, "general.architecture", (maas_str){arch, strlen(arch)});
    maas_gguf_put_str(&t->w, "general.name", (maas_str){"tiny", 4});
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        snprintf(key, sizeof key, "%s.%s", arch, numbers[i].key);
        maas_gguf_put_u32(&t->w, key, numbers[i].value);
    }
    snprintf(key, sizeof key, "%s.pooling_type", arch);
    maas_gguf_put_u32(&t->w, key, pooling);
    snprintf(key, sizeof key, "%s.attention.layer_norm_epsilon", arch);
    maas_gguf_put_f32(&t->w, key, 1e-6f);
}

/* A language model (tiny.h) whose file says how it is pooled. */
static maas_span tiny_causal_make(tiny *t, maas_quant_id type, uint32_t pooling, uint64_t seed)
{
    return tiny_make_pooled(t, tiny_archs, type, pooling, seed);
}

/* row: of tiny_encoders; pooling 4: with a head that ranks; leave_out: a weight, or NULL. */
static maas_span tiny_encoder_make(tiny *t, int row, maas_quant_id type, uint32_t pooling,
                                   uint64_t seed, const char *leave_out)
{
    const struct tiny_encoder_row *e = &tiny_encoders[row];
    *t = (tiny){.data = MAAS_BUF_INIT((size_t)1 << 30), .file = MAAS_BUF_INIT((size_t)1 << 30)};
    t->q = maas_quant_of(type);
    maas_rng_seed(&t->rng, seed);
    (void)tiny_make; /* the other kind of model */
    (void)tiny_causal_make;
    tiny_encoder_keys(t, e->arch, pooling);
    tiny_letters(t);
    tiny_named(t, "token_embd", ENC_VOCAB, ENC_EMBD, leave_out);
    if (e->types)
        tiny_named(t, "token_types", 2, ENC_EMBD, leave_out);
    if (e->positions)
        tiny_named(t, "position_embd", ENC_CONTEXT, ENC_EMBD, leave_out);
    tiny_named(t, "token_embd_norm", 0, ENC_EMBD, leave_out);
    for (int i = 0; i < ENC_LAYERS; i++)
        for (size_t k = 0; k < e->n; k++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%d.%s", i, e->rows[k].name + strlen("blk.%d."));
            tiny_named(t, name, e->rows[k].rows, e->rows[k].cols, leave_out);
        }
    if (e->last_norm)
        tiny_named(t, "output_norm", 0, ENC_EMBD, leave_out);
    if (pooling == 4) {
        tiny_named(t, "cls", ENC_EMBD, ENC_EMBD, leave_out);
        tiny_named(t, "cls.output", 1, ENC_EMBD, leave_out);
    }
    maas_gguf_finish(&t->w, &t->file);
    maas_buf_add(&t->file, t->data.p, t->data.n);
    return maas_buf_span(&t->file);
}

#endif
