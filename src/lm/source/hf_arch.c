/* The classes of the transformers library that are known, and how they name their weights. */
#include "lm/source/hf_int.h"

#include "base/ban.h"

enum { PLUS_ONE = MAAS_HF_NORM_PLUS_ONE, HALVES = MAAS_HF_ROPE_HALVES, WINDOW = MAAS_HF_WINDOW };

static const maas_hf_weight decoder[] = {
    {"model.embed_tokens", "token_embd"},
    {"model.norm", "output_norm"},
    {"lm_head", "output"},
    {"model.layers.%.input_layernorm", "blk.%.attn_norm"},
    {"model.layers.%.self_attn.q_proj", "blk.%.attn_q"},
    {"model.layers.%.self_attn.k_proj", "blk.%.attn_k"},
    {"model.layers.%.self_attn.v_proj", "blk.%.attn_v"},
    {"model.layers.%.self_attn.o_proj", "blk.%.attn_output"},
    {"model.layers.%.mlp.gate_proj", "blk.%.ffn_gate"},
    {"model.layers.%.mlp.up_proj", "blk.%.ffn_up"},
    {"model.layers.%.mlp.down_proj", "blk.%.ffn_down"},
    {NULL, NULL},
};

/* The norm between attention and feed-forward, of those that have two a layer. */
static const maas_hf_weight two_norms[] = {
    {"model.layers.%.post_attention_layernorm", "blk.%.ffn_norm"},
    {"model.layers.%.self_attn.q_norm", "blk.%.attn_q_norm"},
    {"model.layers.%.self_attn.k_norm", "blk.%.attn_k_norm"},
    {NULL, NULL},
};

static const maas_hf_weight four_norms[] = {
    {"model.layers.%.post_attention_layernorm", "blk.%.post_attention_norm"},
    {"model.layers.%.pre_feedforward_layernorm", "blk.%.ffn_norm"},
    {"model.layers.%.post_feedforward_layernorm", "blk.%.post_ffw_norm"},
    {"model.layers.%.self_attn.q_norm", "blk.%.attn_q_norm"},
    {"model.layers.%.self_attn.k_norm", "blk.%.attn_k_norm"},
    {NULL, NULL},
};

static const char *const plain[] = {NULL};
static const char *const inside[] = {"language_model.model.", "model.language_model.", NULL};
static const char *const pictures[] = {"vision_tower.", "multi_modal_projector.",
                                       "model.vision_tower.", "model.multi_modal_projector.", NULL};

static const char *const silu[] = {"silu", "swish", NULL};
static const char *const tanh_gelu[] = {"gelu_pytorch_tanh", "gelu_new", NULL};
static const char *const first_gelu[] = {"gelu_pytorch_tanh", "gelu", NULL}; /* Gemma's means it */

#define GEMMA2_DEFAULTS                                                                            \
    "\"vocab_size\":256000,\"hidden_size\":2304,\"intermediate_size\":9216,"                       \
    "\"num_hidden_layers\":26,\"num_attention_heads\":8,\"num_key_value_heads\":4,"                \
    "\"head_dim\":256,\"hidden_activation\":\"gelu_pytorch_tanh\",\"rms_norm_eps\":1e-6,"          \
    "\"tie_word_embeddings\":true,\"query_pre_attn_scalar\":256,\"sliding_window\":4096"
#define GEMMA3_DEFAULTS                                                                            \
    "{" GEMMA2_DEFAULTS ",\"max_position_embeddings\":131072,\"rope_theta\":1e6,"                  \
    "\"rope_local_base_freq\":10000}"

const maas_hf_arch maas_hf_archs[] = {
    {"LlamaForCausalLM",
     "llama",
     "{\"rms_norm_eps\":1e-6,\"rope_theta\":10000,\"max_position_embeddings\":2048}",
     {decoder, two_norms},
     plain,
     NULL,
     silu,
     0,
     HALVES},
    {"MistralForCausalLM",
     "llama",
     "{\"rms_norm_eps\":1e-6,\"rope_theta\":10000,\"max_position_embeddings\":131072,"
     "\"num_key_value_heads\":8,\"sliding_window\":4096}",
     {decoder, two_norms},
     plain,
     NULL,
     silu,
     0,
     HALVES | WINDOW},
    {"Qwen2ForCausalLM",
     "qwen2",
     "{\"rms_norm_eps\":1e-6,\"rope_theta\":10000,\"max_position_embeddings\":32768}",
     {decoder, two_norms},
     plain,
     NULL,
     silu,
     0,
     0},
    {"Qwen3ForCausalLM",
     "qwen3",
     "{\"rms_norm_eps\":1e-6,\"rope_theta\":10000,\"max_position_embeddings\":32768,"
     "\"head_dim\":128}",
     {decoder, two_norms},
     plain,
     NULL,
     silu,
     0,
     0},
    {"GemmaForCausalLM",
     "gemma",
     "{\"rms_norm_eps\":1e-6,\"rope_theta\":10000,\"max_position_embeddings\":8192,"
     "\"head_dim\":256,\"tie_word_embeddings\":true}",
     {decoder, two_norms},
     plain,
     NULL,
     first_gelu,
     0,
     PLUS_ONE},
    {"Gemma2ForCausalLM",
     "gemma2",
     "{" GEMMA2_DEFAULTS ",\"max_position_embeddings\":8192,\"rope_theta\":10000,"
     "\"final_logit_softcapping\":30.0,\"attn_logit_softcapping\":50.0}",
     {decoder, four_norms},
     plain,
     NULL,
     tanh_gelu,
     2,
     PLUS_ONE | WINDOW},
    {"Gemma3ForCausalLM",
     "gemma3",
     GEMMA3_DEFAULTS,
     {decoder, four_norms},
     plain,
     NULL,
     tanh_gelu,
     6,
     PLUS_ONE | WINDOW},
    {"Gemma3ForConditionalGeneration",
     "gemma3",
     GEMMA3_DEFAULTS,
     {decoder, four_norms},
     inside,
     pictures,
     tanh_gelu,
     6,
     PLUS_ONE | WINDOW},
};
const size_t maas_hf_n_archs = sizeof maas_hf_archs / sizeof *maas_hf_archs;
