/* The classes of the transformers library that are known. */
#include <string.h>

#include "lm/source/hf_int.h"

#include "base/ban.h"

enum {
    PLUS_ONE = MAAS_HF_NORM_PLUS_ONE,
    HALVES = MAAS_HF_ROPE_HALVES,
    WINDOW = MAAS_HF_WINDOW,
    PARTIAL = MAAS_HF_PARTIAL,
    EXPERTS = MAAS_HF_EXPERTS,
    ENCODER = MAAS_HF_ENCODER,
    RANK = MAAS_HF_RANK
};

static const char *const plain[] = {NULL};
static const char *const inside[] = {"language_model.model.", "model.language_model.", NULL};
static const char *const pictures[] = {"vision_tower.", "multi_modal_projector.",
                                       "model.vision_tower.", "model.multi_modal_projector.", NULL};

static const char *const silu[] = {"silu", "swish", NULL};
static const char *const with_model[] = {"model.", "", NULL};
static const char *const transformer[] = {"transformer.", "", NULL};
static const char *const gpt_neox[] = {"gpt_neox.", NULL};
static const char *const bert[] = {"bert.", "roberta.", "", NULL};
static const char *const bert_heads[] = {"cls.",    "lm_head.", "bert.pooler.", "roberta.pooler.",
                                         "pooler.", NULL};
static const char *const modern_heads[] = {"head.", "decoder.", NULL};

static const char *const gelu[] = {"gelu", NULL};
static const char *const tanh_gelu[] = {"gelu_pytorch_tanh", "gelu_new", NULL};
static const char *const first_gelu[] = {"gelu_pytorch_tanh", "gelu", NULL}; /* Gemma's means it */

/* GPT-2 leaves the size of its feed-forward part open. */
static maas_status four_times(maas_hf *h)
{
    static const char *const names[] = {"n_inner", "ffn_hidden_size"};
    const json_t *n = json_object_get(h->text, "n_embd");
    n = n ? n : json_object_get(h->text, "hidden_size");
    const json_int_t wide = json_integer_value(n);
    for (size_t i = 0; i < MAAS_COUNT(names); i++)
        if (json_is_integer(json_object_get(h->text, names[i])))
            return MAAS_OK;
    if (wide < 1 || wide > 1 << 20)
        return maas_fail(h->err, MAAS_E_FORMAT, "config.json: '%s' is missing", names[0]);
    return json_object_set_new(h->text, "intermediate_size", json_integer(4 * wide)) == 0
               ? MAAS_OK
               : maas_hf_no_memory(h);
}

/* Falcon: groups of heads share a key and value, or all do, or none. */
static maas_status falcon_heads(maas_hf *h)
{
    const bool groups = json_is_true(json_object_get(h->text, "new_decoder_architecture"));
    json_t *all = json_object_get(h->text, "num_attention_heads");
    json_t *some = json_object_get(h->text, "num_kv_heads");
    const bool one = json_is_true(json_object_get(h->text, "multi_query"));
    json_t *n = groups ? json_is_integer(some) ? json_incref(some) : json_incref(all)
                : one ? json_integer(1)
                       : json_incref(all);
    if (json_object_set_new(h->text, "num_key_value_heads", n) != 0)
        return maas_hf_no_memory(h);
    return four_times(h);
}

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
     {maas_hf_decoder, maas_hf_two_norms},
     plain,
     NULL,
     silu,
     0,
     HALVES,
     NULL},
    {"MistralForCausalLM",
     "llama",
     "{\"rms_norm_eps\":1e-6,\"rope_theta\":10000,\"max_position_embeddings\":131072,"
     "\"num_key_value_heads\":8,\"sliding_window\":4096}",
     {maas_hf_decoder, maas_hf_two_norms},
     plain,
     NULL,
     silu,
     0,
     HALVES | WINDOW,
     NULL},
    {"Qwen2ForCausalLM",
     "qwen2",
     "{\"rms_norm_eps\":1e-6,\"rope_theta\":10000,\"max_position_embeddings\":32768}",
     {maas_hf_decoder, maas_hf_two_norms},
     plain,
     NULL,
     silu,
     0,
     0,
     NULL},
    {"Qwen3ForCausalLM",
     "qwen3",
     "{\"rms_norm_eps\":1e-6,\"rope_theta\":10000,\"max_position_embeddings\":32768,"
     "\"head_dim\":128}",
     {maas_hf_decoder, maas_hf_two_norms},
     plain,
     NULL,
     silu,
     0,
     0,
     NULL},
    {"GemmaForCausalLM",
     "gemma",
     "{\"rms_norm_eps\":1e-6,\"rope_theta\":10000,\"max_position_embeddings\":8192,"
     "\"head_dim\":256,\"tie_word_embeddings\":true}",
     {maas_hf_decoder, maas_hf_two_norms},
     plain,
     NULL,
     first_gelu,
     0,
     PLUS_ONE,
     NULL},
    {"Gemma2ForCausalLM",
     "gemma2",
     "{" GEMMA2_DEFAULTS ",\"max_position_embeddings\":8192,\"rope_theta\":10000,"
     "\"final_logit_softcapping\":30.0,\"attn_logit_softcapping\":50.0}",
     {maas_hf_decoder, maas_hf_four_norms},
     plain,
     NULL,
     tanh_gelu,
     2,
     PLUS_ONE | WINDOW,
     NULL},
    {"Gemma3ForCausalLM",
     "gemma3",
     GEMMA3_DEFAULTS,
     {maas_hf_decoder, maas_hf_four_norms},
     plain,
     NULL,
     tanh_gelu,
     6,
     PLUS_ONE | WINDOW,
     NULL},
    {"Gemma3ForConditionalGeneration",
     "gemma3",
     GEMMA3_DEFAULTS,
     {maas_hf_decoder, maas_hf_four_norms},
     inside,
     pictures,
     tanh_gelu,
     6,
     PLUS_ONE | WINDOW,
     NULL},
    {"Qwen3MoeForCausalLM",
     "qwen3moe",
     "{\"rms_norm_eps\":1e-6,\"rope_theta\":10000,\"max_position_embeddings\":32768,"
     "\"head_dim\":128,\"num_experts_per_tok\":8,\"norm_topk_prob\":false,"
     "\"moe_intermediate_size\":768}",
     {maas_hf_decoder, maas_hf_two_norms, maas_hf_qwen_experts},
     plain,
     NULL,
     silu,
     0,
     EXPERTS,
     NULL},
    {"Qwen2MoeForCausalLM",
     "qwen2moe",
     "{\"rms_norm_eps\":1e-6,\"rope_theta\":10000,\"max_position_embeddings\":32768,"
     "\"num_experts_per_tok\":4,\"norm_topk_prob\":false,"
     "\"moe_intermediate_size\":1408}",
     {maas_hf_decoder, maas_hf_two_norms, maas_hf_qwen_experts},
     plain,
     NULL,
     silu,
     0,
     EXPERTS,
     NULL},
    {"MixtralForCausalLM",
     "llama",
     "{\"rms_norm_eps\":1e-5,\"rope_theta\":1e6,\"max_position_embeddings\":131072,"
     "\"num_key_value_heads\":8,\"num_experts_per_tok\":2,\"num_local_experts\":8}",
     {maas_hf_decoder, maas_hf_two_norms, maas_hf_mixtral_experts},
     plain,
     NULL,
     silu,
     0,
     HALVES | WINDOW | EXPERTS,
     NULL},
    {"Phi3ForCausalLM",
     "phi3",
     "{\"rms_norm_eps\":1e-5,\"rope_theta\":10000,\"max_position_embeddings\":4096}",
     {maas_hf_decoder, maas_hf_two_norms, maas_hf_fused},
     plain,
     NULL,
     silu,
     0,
     WINDOW | PARTIAL,
     NULL},
    {"GraniteForCausalLM",
     "granite",
     "{\"rms_norm_eps\":1e-6,\"rope_theta\":10000,\"max_position_embeddings\":2048,"
     "\"embedding_multiplier\":1,\"logits_scaling\":1,\"residual_multiplier\":1,"
     "\"attention_multiplier\":1}",
     {maas_hf_decoder, maas_hf_two_norms},
     plain,
     NULL,
     silu,
     0,
     HALVES,
     NULL},
    {"Olmo2ForCausalLM",
     "olmo2",
     "{\"rms_norm_eps\":1e-5,\"rope_theta\":10000,\"max_position_embeddings\":2048}",
     {maas_hf_decoder, maas_hf_late_norms},
     plain,
     NULL,
     silu,
     0,
     0,
     NULL},
    {"SmolLM3ForCausalLM",
     "smollm3",
     "{\"rms_norm_eps\":1e-6,\"rope_theta\":2000000,"
     "\"max_position_embeddings\":32768,\"num_key_value_heads\":4,"
     "\"tie_word_embeddings\":true}",
     {maas_hf_decoder, maas_hf_two_norms},
     plain,
     NULL,
     silu,
     0,
     HALVES,
     NULL},
    {"StableLmForCausalLM",
     "stablelm",
     "{\"layer_norm_eps\":1e-5,\"rope_theta\":10000,\"max_position_embeddings\":4096,"
     "\"partial_rotary_factor\":0.25}",
     {maas_hf_decoder, maas_hf_two_norms},
     plain,
     NULL,
     silu,
     0,
     PARTIAL,
     NULL},
    {"Starcoder2ForCausalLM",
     "starcoder2",
     "{\"norm_epsilon\":1e-5,\"rope_theta\":10000,\"max_position_embeddings\":4096,"
     "\"num_key_value_heads\":2,\"tie_word_embeddings\":true}",
     {maas_hf_decoder, maas_hf_two_norms, maas_hf_starcoder2},
     plain,
     NULL,
     tanh_gelu,
     0,
     WINDOW,
     NULL},
    {"CohereForCausalLM",
     "command-r",
     "{\"layer_norm_eps\":1e-5,\"rope_theta\":500000,"
     "\"max_position_embeddings\":8192,\"logit_scale\":0.0625,"
     "\"tie_word_embeddings\":true}",
     {maas_hf_decoder, maas_hf_two_norms},
     plain,
     NULL,
     silu,
     0,
     0,
     NULL},
    {"Glm4ForCausalLM",
     "glm4",
     "{\"rms_norm_eps\":1.5625e-07,\"rope_theta\":10000,"
     "\"max_position_embeddings\":131072,\"head_dim\":128,"
     "\"partial_rotary_factor\":0.5}",
     {maas_hf_decoder, maas_hf_glm4},
     plain,
     NULL,
     silu,
     0,
     PARTIAL,
     NULL},
    {"GPT2LMHeadModel",
     "gpt2",
     "{\"layer_norm_epsilon\":1e-5,\"n_positions\":1024,\"tie_word_embeddings\":true}",
     {maas_hf_gpt2},
     transformer,
     NULL,
     tanh_gelu,
     0,
     0,
     four_times},
    {"GPTNeoXForCausalLM",
     "gptneox",
     "{\"layer_norm_eps\":1e-5,\"rotary_emb_base\":10000,"
     "\"max_position_embeddings\":2048,\"rotary_pct\":0.25,"
     "\"use_parallel_residual\":true}",
     {maas_hf_gptneox},
     gpt_neox,
     NULL,
     gelu,
     0,
     PARTIAL,
     NULL},
    {"FalconForCausalLM",
     "falcon",
     "{\"layer_norm_epsilon\":1e-5,\"rope_theta\":10000,"
     "\"max_position_embeddings\":2048,\"multi_query\":true,"
     "\"tie_word_embeddings\":true}",
     {maas_hf_falcon},
     transformer,
     NULL,
     gelu,
     0,
     0,
     falcon_heads},
    {"BertModel",
     "bert",
     "{\"layer_norm_eps\":1e-12,\"max_position_embeddings\":512}",
     {maas_hf_bert, maas_hf_bert_places},
     bert,
     bert_heads,
     gelu,
     0,
     ENCODER,
     NULL},
    {"BertForMaskedLM",
     "bert",
     "{\"layer_norm_eps\":1e-12,\"max_position_embeddings\":512}",
     {maas_hf_bert, maas_hf_bert_places},
     bert,
     bert_heads,
     gelu,
     0,
     ENCODER,
     NULL},
    {"RobertaModel",
     "bert",
     "{\"layer_norm_eps\":1e-12,\"max_position_embeddings\":512,\"pad_token_id\":1}",
     {maas_hf_bert, maas_hf_roberta_places},
     bert,
     bert_heads,
     gelu,
     0,
     ENCODER,
     NULL},
    {"RobertaForMaskedLM",
     "bert",
     "{\"layer_norm_eps\":1e-12,\"max_position_embeddings\":512,\"pad_token_id\":1}",
     {maas_hf_bert, maas_hf_roberta_places},
     bert,
     bert_heads,
     gelu,
     0,
     ENCODER,
     NULL},
    {"XLMRobertaModel",
     "bert",
     "{\"layer_norm_eps\":1e-12,\"max_position_embeddings\":512,\"pad_token_id\":1}",
     {maas_hf_bert, maas_hf_roberta_places},
     bert,
     bert_heads,
     gelu,
     0,
     ENCODER,
     NULL},
    {"XLMRobertaForMaskedLM",
     "bert",
     "{\"layer_norm_eps\":1e-12,\"max_position_embeddings\":512,\"pad_token_id\":1}",
     {maas_hf_bert, maas_hf_roberta_places},
     bert,
     bert_heads,
     gelu,
     0,
     ENCODER,
     NULL},
    {"BertForSequenceClassification",
     "bert",
     "{\"layer_norm_eps\":1e-12,\"max_position_embeddings\":512}",
     {maas_hf_bert, maas_hf_bert_head},
     bert,
     NULL,
     gelu,
     0,
     ENCODER | RANK,
     NULL},
    {"RobertaForSequenceClassification",
     "bert",
     "{\"layer_norm_eps\":1e-12,\"max_position_embeddings\":512,\"pad_token_id\":1}",
     {maas_hf_bert, maas_hf_roberta_head},
     bert,
     NULL,
     gelu,
     0,
     ENCODER | RANK,
     NULL},
    {"XLMRobertaForSequenceClassification",
     "bert",
     "{\"layer_norm_eps\":1e-12,\"max_position_embeddings\":512,\"pad_token_id\":1}",
     {maas_hf_bert, maas_hf_roberta_head},
     bert,
     NULL,
     gelu,
     0,
     ENCODER | RANK,
     NULL},
    {"ModernBertModel",
     "modern-bert",
     "{\"norm_eps\":1e-5,\"max_position_embeddings\":8192,\"local_attention\":128,"
     "\"global_rope_theta\":160000,\"local_rope_theta\":10000,"
     "\"global_attn_every_n_layers\":3}",
     {maas_hf_modern_bert},
     with_model,
     modern_heads,
     gelu,
     3,
     ENCODER | WINDOW | MAAS_HF_GLOBAL_FIRST,
     NULL},
    {"ModernBertForMaskedLM",
     "modern-bert",
     "{\"norm_eps\":1e-5,\"max_position_embeddings\":8192,\"local_attention\":128,"
     "\"global_rope_theta\":160000,\"local_rope_theta\":10000,"
     "\"global_attn_every_n_layers\":3}",
     {maas_hf_modern_bert},
     with_model,
     modern_heads,
     gelu,
     3,
     ENCODER | WINDOW | MAAS_HF_GLOBAL_FIRST,
     NULL},
    {"ModernBertForSequenceClassification",
     "modern-bert",
     "{\"norm_eps\":1e-5,\"max_position_embeddings\":8192,\"local_attention\":128,"
     "\"global_rope_theta\":160000,\"local_rope_theta\":10000,"
     "\"global_attn_every_n_layers\":3,\"classifier_pooling\":\"cls\"}",
     {maas_hf_modern_bert, maas_hf_modern_head},
     with_model,
     NULL,
     gelu,
     3,
     ENCODER | RANK | WINDOW | MAAS_HF_GLOBAL_FIRST,
     NULL},
};
const size_t maas_hf_n_archs = sizeof maas_hf_archs / sizeof *maas_hf_archs;
