/* The classes of the transformers library that are known. */
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
static const char *const backbone[] = {"backbone.", NULL};
static const char *const gpt_neox[] = {"gpt_neox.", NULL};
static const char *const bert[] = {"bert.", "roberta.", "", NULL};
static const char *const bert_heads[] = {"cls.",    "lm_head.", "bert.pooler.", "roberta.pooler.",
                                         "pooler.", NULL};
static const char *const modern_heads[] = {"head.", "decoder.", NULL};

static const char *const gelu[] = {"gelu", NULL};
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

#define BERT_NUMBERS     "\"layer_norm_eps\":1e-12,\"max_position_embeddings\":512"
#define BERT_DEFAULTS    "{" BERT_NUMBERS "}"
#define ROBERTA_DEFAULTS "{" BERT_NUMBERS ",\"pad_token_id\":1}"
#define MODERN_DEFAULTS                                                                            \
    "{\"norm_eps\":1e-5,\"max_position_embeddings\":8192,\"local_attention\":128,"                 \
    "\"global_rope_theta\":160000,\"local_rope_theta\":10000,\"classifier_pooling\":\"cls\"}"

#define BERT(name, defaults, table, ignored, rank)                                                 \
    {                                                                                              \
        name, "bert", defaults, {maas_hf_bert, table}, bert, ignored, gelu, 0, ENCODER | (rank),   \
            NULL                                                                                   \
    }
#define MODERN(name, table, ignored, rank)                                                         \
    {                                                                                              \
        name, "modern-bert", MODERN_DEFAULTS, {maas_hf_modern_bert, table}, with_model, ignored,   \
            gelu, 3, ENCODER | WINDOW | MAAS_HF_GLOBAL_FIRST | (rank), NULL                        \
    }

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
     maas_hf_four_times},
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
     maas_hf_falcon_heads},
    {"MambaForCausalLM",
     "mamba",
     "{\"layer_norm_epsilon\":1e-5,\"state_size\":16,\"conv_kernel\":4,\"expand\":2,"
     "\"time_step_rank\":\"auto\",\"tie_word_embeddings\":true}",
     {maas_hf_mamba},
     backbone,
     NULL,
     silu,
     0,
     MAAS_HF_STATE,
     maas_hf_mamba_keys},
    {"Mamba2ForCausalLM",
     "mamba2",
     "{\"layer_norm_epsilon\":1e-5,\"state_size\":128,\"conv_kernel\":4,\"expand\":2,"
     "\"num_heads\":128,\"head_dim\":64,\"n_groups\":8,\"rms_norm\":true}",
     {maas_hf_mamba},
     backbone,
     NULL,
     silu,
     0,
     MAAS_HF_STATE,
     maas_hf_mamba2_keys},
    BERT("BertModel", BERT_DEFAULTS, maas_hf_bert_places, bert_heads, 0),
    BERT("BertForMaskedLM", BERT_DEFAULTS, maas_hf_bert_places, bert_heads, 0),
    BERT("BertForSequenceClassification", BERT_DEFAULTS, maas_hf_bert_head, NULL, RANK),
    BERT("RobertaModel", ROBERTA_DEFAULTS, maas_hf_roberta_places, bert_heads, 0),
    BERT("RobertaForMaskedLM", ROBERTA_DEFAULTS, maas_hf_roberta_places, bert_heads, 0),
    BERT("RobertaForSequenceClassification", ROBERTA_DEFAULTS, maas_hf_roberta_head, NULL, RANK),
    BERT("XLMRobertaModel", ROBERTA_DEFAULTS, maas_hf_roberta_places, bert_heads, 0),
    BERT("XLMRobertaForMaskedLM", ROBERTA_DEFAULTS, maas_hf_roberta_places, bert_heads, 0),
    BERT("XLMRobertaForSequenceClassification", ROBERTA_DEFAULTS, maas_hf_roberta_head, NULL, RANK),
    MODERN("ModernBertModel", NULL, modern_heads, 0),
    MODERN("ModernBertForMaskedLM", NULL, modern_heads, 0),
    MODERN("ModernBertForSequenceClassification", maas_hf_modern_head, NULL, RANK),
};
const size_t maas_hf_n_archs = sizeof maas_hf_archs / sizeof *maas_hf_archs;
