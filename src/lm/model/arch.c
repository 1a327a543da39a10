/* The architectures that are known. */
#include "lm/model/model_int.h"

#include <string.h>

#include "base/ban.h"

enum {
    HALVES = MAAS_ARCH_ROPE_HALVES,
    QK = MAAS_ARCH_QK_NORM,
    LATE = MAAS_ARCH_QK_NORM_LATE,
    QK_MAY = MAAS_ARCH_QK_NORM_MAY,
    POST = MAAS_ARCH_POST_NORM,
    NO_PRE = MAAS_ARCH_NO_PRE_NORM,
    LAYER = MAAS_ARCH_LAYER_NORM,
    BARE = MAAS_ARCH_BARE_NORM,
    PLAIN = MAAS_ARCH_PLAIN,
    PARALLEL = MAAS_ARCH_PARALLEL,
    SCALED = MAAS_ARCH_EMBED_SCALE,
    CAPPED = MAAS_ARCH_SOFTCAP,
    SUM = MAAS_ARCH_ROUTER_SUM,
    SIGMOID = MAAS_ARCH_ROUTER_SIGMOID,
    STATE = MAAS_ARCH_STATE,
    GRANITE = MAAS_ARCH_SCALES | MAAS_ARCH_LOGIT_BY,
    SILU = MAAS_ACT_SILU,
    GELU = MAAS_ACT_GELU,
    TANH = MAAS_ACT_GELU_TANH,
    RELU2 = MAAS_ACT_RELU2,
    CLAMPED = MAAS_ACT_CLAMPED
};

const maas_lm_arch maas_lm_archs[] = {
    {"llama", SUM, SILU, .what = "Llama, Mistral, Mixtral, SmolLM and all that follow them"},
    {"qwen2", HALVES, SILU, .what = "Qwen 2 and 2.5: biases on queries, keys and values"},
    {"qwen2moe", HALVES, SILU, .what = "Qwen 1.5 and 2, experts and a shared one"},
    {"qwen3", HALVES | QK, SILU, .what = "Qwen 3"},
    {"qwen3moe", HALVES | QK | SUM, SILU, .what = "Qwen 3, experts"},
    {"qwen2vl", HALVES, SILU, .what = "Qwen 2 and 2.5 VL: text alone"},
    {"qwen3vl", HALVES | QK, SILU, .what = "Qwen 3 VL: text alone"},
    {"qwen3vlmoe", HALVES | QK | SUM, SILU, .what = "Qwen 3 VL, experts: text alone"},
    {"gemma", HALVES | SCALED, TANH, .what = "Gemma"},
    {"gemma2", HALVES | SCALED | POST | CAPPED, TANH, .local_of = 2, .wide_layers = 46,
     .what = "Gemma 2: every other layer is local"},
    {"gemma3", HALVES | SCALED | POST | QK, TANH, .local_of = 6, .local_base = 10000,
     .wide_layers = 62, .what = "Gemma 3: five of six layers are local"},
    {"phi2", HALVES | LAYER | PLAIN | PARALLEL, TANH, .what = "Phi 1, 1.5 and 2"},
    {"phi3", HALVES, SILU, .local_of = 1, .what = "Phi 3 and 4: every layer is local"},
    {"gpt2", LAYER | PLAIN | MAAS_ARCH_POSITIONS, TANH, .what = "GPT-2: learned positions"},
    {"gptneox", HALVES | LAYER | PLAIN | MAAS_ARCH_PARALLEL_KEY, GELU, .what = "GPT-NeoX, Pythia"},
    {"falcon", HALVES | LAYER | PLAIN | PARALLEL, GELU, .what = "Falcon"},
    {"stablelm", HALVES | LAYER | QK_MAY | MAAS_ARCH_PARALLEL_MAY, SILU, .what = "StableLM"},
    {"starcoder2", HALVES | LAYER | PLAIN, TANH, .what = "StarCoder 2"},
    {"olmo", LAYER | BARE, SILU, .what = "OLMo: norms without weights"},
    {"olmo2", HALVES | QK | NO_PRE | POST | MAAS_ARCH_LOCAL_UNSCALED, SILU, .local_of = 4,
     .what = "OLMo 2 and 3: norms after, not before"},
    {"olmoe", HALVES | QK, SILU, .what = "OLMoE: experts"},
    {"granite", GRANITE, SILU, .what = "Granite 3: scales at every turn"},
    {"granitemoe", GRANITE | SUM, SILU, .what = "Granite 3, experts"},
    {"command-r", LAYER | PARALLEL | QK_MAY | MAAS_ARCH_LOGIT_TIMES, SILU, .what = "Command R"},
    {"cohere2", LAYER | PARALLEL | MAAS_ARCH_LOGIT_TIMES | MAAS_ARCH_GLOBAL_UNTURNED, SILU,
     .local_of = 4, .what = "Command R7B, A: global layers know no positions"},
    {"internlm2", 0, SILU, .what = "InternLM 2 and 3"},
    {"exaone", HALVES, SILU, .what = "EXAONE 3"},
    {"nemotron", HALVES | LAYER | PLAIN, RELU2, .what = "Nemotron, Minitron"},
    {"smollm3", 0, SILU, .unturned_of = 4,
     .what = "SmolLM 3: each fourth layer knows no positions"},
    {"glm4", POST, SILU, .what = "GLM 4"},
    {"glm4moe", HALVES | QK_MAY | SUM | SIGMOID, SILU, .ffn_norm = "post_attention_norm",
     .what = "GLM 4.5 and 4.6: experts"},
    {"chatglm", 0, SILU, .what = "ChatGLM 2 to 4"},
    {"exaone4", HALVES | QK | NO_PRE | POST | MAAS_ARCH_GLOBAL_UNTURNED, SILU, .local_of = 4,
     .what = "EXAONE 4: norms after, not before"},
    {"deepseek", 0, SILU, .what = "DeepSeek MoE: experts and shared ones"},
    {"deepseek2", MAAS_ARCH_LATENT, SILU, .what = "DeepSeek V2, V3 and R1: latent attention"},
    {"dots1", HALVES | QK, SILU, .what = "dots.llm1: experts"},
    {"minimax-m2", HALVES | QK | SUM | SIGMOID, SILU, .what = "MiniMax M2: experts"},
    {"dbrx", HALVES | LAYER | SUM, SILU, .ffn_norm = "attn_output_norm", .what = "DBRX: experts"},
    {"seed_oss", HALVES, SILU, .ffn_norm = "post_attention_norm", .what = "Seed OSS"},
    {"starcoder", LAYER | PLAIN | MAAS_ARCH_POSITIONS, TANH, .what = "StarCoder, SantaCoder"},
    {"codeshell", HALVES | LAYER | PLAIN, TANH, .what = "CodeShell"},
    {"arcee", PLAIN, RELU2, .what = "Arcee AFM"},
    {"ernie4_5", 0, SILU, .what = "ERNIE 4.5"},
    {"ernie4_5-moe", SUM, SILU, .what = "ERNIE 4.5, experts"},
    {"hunyuan-dense", HALVES | QK | LATE, SILU, .what = "Hunyuan"},
    {"hunyuan-moe", HALVES | QK | LATE | SUM, SILU, .what = "Hunyuan, experts"},
    {"bailingmoe2", HALVES | QK, SILU, .what = "Ling 2 and Ring 2: experts"},
    {"gpt-oss", HALVES | MAAS_ARCH_SINKS | MAAS_ARCH_ROUTER_CHOSEN, CLAMPED, .local_of = 2,
     .ffn_norm = "post_attention_norm", .what = "GPT-OSS: experts, a sink in every head"},
    {"minicpm", GRANITE, SILU, .what = "MiniCPM"},
    {"orion", HALVES | LAYER, SILU, .what = "Orion"},
    {"xverse", 0, SILU, .what = "XVERSE"},
    {"mamba", STATE, SILU, .what = "Mamba: a state, no attention"},
    {"mamba2", STATE | MAAS_ARCH_STATE_HEADS, SILU, .what = "Mamba 2: a state, no attention"},
};
const size_t maas_lm_n_archs = sizeof maas_lm_archs / sizeof *maas_lm_archs;

const maas_lm_arch *maas_lm_arch_of(maas_str name)
{
    for (size_t i = 0; i < maas_lm_n_archs; i++)
        if (strlen(maas_lm_archs[i].name) == name.n &&
            memcmp(maas_lm_archs[i].name, name.p, name.n) == 0)
            return &maas_lm_archs[i];
    return NULL;
}

bool maas_lm_known(size_t i, const char **name, const char **what)
{
    if (i >= maas_lm_n_archs)
        return false;
    *name = maas_lm_archs[i].name;
    *what = maas_lm_archs[i].what;
    return true;
}
