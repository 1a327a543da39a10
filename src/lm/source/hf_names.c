/* How classes of the transformers library name their weights. */
#include "lm/source/hf_int.h"

#include "base/ban.h"

#define AS_IS      MAAS_HF_AS_IS
#define SHIFTED    MAAS_HF_SHIFTED
#define TRANSPOSED MAAS_HF_TRANSPOSED
#define GROUPED    MAAS_HF_GROUPED
#define EXPERT     MAAS_HF_EXPERT
#define DECAY      MAAS_HF_DECAY

const maas_hf_weight maas_hf_decoder[] = {
    {"model.embed_tokens", "token_embd", AS_IS},
    {"model.norm", "output_norm", AS_IS},
    {"lm_head", "output", AS_IS},
    {"model.layers.%.input_layernorm", "blk.%.attn_norm", AS_IS},
    {"model.layers.%.self_attn.q_proj", "blk.%.attn_q", AS_IS},
    {"model.layers.%.self_attn.k_proj", "blk.%.attn_k", AS_IS},
    {"model.layers.%.self_attn.v_proj", "blk.%.attn_v", AS_IS},
    {"model.layers.%.self_attn.o_proj", "blk.%.attn_output", AS_IS},
    {"model.layers.%.mlp.gate_proj", "blk.%.ffn_gate", AS_IS},
    {"model.layers.%.mlp.up_proj", "blk.%.ffn_up", AS_IS},
    {"model.layers.%.mlp.down_proj", "blk.%.ffn_down", AS_IS},
    {NULL, NULL, AS_IS},
};

/* The norm between attention and feed-forward, of those that have two a layer. */
const maas_hf_weight maas_hf_two_norms[] = {
    {"model.layers.%.post_attention_layernorm", "blk.%.ffn_norm", AS_IS},
    {"model.layers.%.self_attn.q_norm", "blk.%.attn_q_norm", AS_IS},
    {"model.layers.%.self_attn.k_norm", "blk.%.attn_k_norm", AS_IS},
    {NULL, NULL, AS_IS},
};

const maas_hf_weight maas_hf_four_norms[] = {
    {"model.layers.%.post_attention_layernorm", "blk.%.post_attention_norm", AS_IS},
    {"model.layers.%.pre_feedforward_layernorm", "blk.%.ffn_norm", AS_IS},
    {"model.layers.%.post_feedforward_layernorm", "blk.%.post_ffw_norm", AS_IS},
    {"model.layers.%.self_attn.q_norm", "blk.%.attn_q_norm", AS_IS},
    {"model.layers.%.self_attn.k_norm", "blk.%.attn_k_norm", AS_IS},
    {NULL, NULL, AS_IS},
};

/* Norms after attention and feed-forward, none before. */
const maas_hf_weight maas_hf_late_norms[] = {
    {"model.layers.%.post_attention_layernorm", "blk.%.post_attention_norm", AS_IS},
    {"model.layers.%.post_feedforward_layernorm", "blk.%.post_ffw_norm", AS_IS},
    {"model.layers.%.self_attn.q_norm", "blk.%.attn_q_norm", AS_IS},
    {"model.layers.%.self_attn.k_norm", "blk.%.attn_k_norm", AS_IS},
    {NULL, NULL, AS_IS},
};

/* Matrices of one input as one. */
const maas_hf_weight maas_hf_fused[] = {
    {"model.layers.%.self_attn.qkv_proj", "blk.%.attn_qkv", AS_IS},
    {"model.layers.%.mlp.gate_up_proj", "blk.%.ffn_up", AS_IS},
    {NULL, NULL, AS_IS},
};

const maas_hf_weight maas_hf_glm4[] = {
    {"model.layers.%.post_self_attn_layernorm", "blk.%.post_attention_norm", AS_IS},
    {"model.layers.%.post_attention_layernorm", "blk.%.ffn_norm", AS_IS},
    {"model.layers.%.post_mlp_layernorm", "blk.%.post_ffw_norm", AS_IS},
    {"model.layers.%.mlp.gate_up_proj", "blk.%.ffn_up", AS_IS},
    {NULL, NULL, AS_IS},
};

const maas_hf_weight maas_hf_qwen_experts[] = {
    {"model.layers.%.mlp.gate", "blk.%.ffn_gate_inp", AS_IS},
    {"model.layers.%.mlp.experts.%.gate_proj", "blk.%.ffn_gate_exps", EXPERT},
    {"model.layers.%.mlp.experts.%.up_proj", "blk.%.ffn_up_exps", EXPERT},
    {"model.layers.%.mlp.experts.%.down_proj", "blk.%.ffn_down_exps", EXPERT},
    {"model.layers.%.mlp.shared_expert.gate_proj", "blk.%.ffn_gate_shexp", AS_IS},
    {"model.layers.%.mlp.shared_expert.up_proj", "blk.%.ffn_up_shexp", AS_IS},
    {"model.layers.%.mlp.shared_expert.down_proj", "blk.%.ffn_down_shexp", AS_IS},
    {"model.layers.%.mlp.shared_expert_gate", "blk.%.ffn_gate_inp_shexp", AS_IS},
    {NULL, NULL, AS_IS},
};

const maas_hf_weight maas_hf_mixtral_experts[] = {
    {"model.layers.%.block_sparse_moe.gate", "blk.%.ffn_gate_inp", AS_IS},
    {"model.layers.%.block_sparse_moe.experts.%.w1", "blk.%.ffn_gate_exps", EXPERT},
    {"model.layers.%.block_sparse_moe.experts.%.w2", "blk.%.ffn_down_exps", EXPERT},
    {"model.layers.%.block_sparse_moe.experts.%.w3", "blk.%.ffn_up_exps", EXPERT},
    {NULL, NULL, AS_IS},
};

const maas_hf_weight maas_hf_starcoder2[] = {
    {"model.layers.%.mlp.c_fc", "blk.%.ffn_up", AS_IS},
    {"model.layers.%.mlp.c_proj", "blk.%.ffn_down", AS_IS},
    {NULL, NULL, AS_IS},
};

/* Mamba and Mamba 2 */
const maas_hf_weight maas_hf_mamba[] = {
    {"model.embeddings", "token_embd", AS_IS},
    {"model.norm_f", "output_norm", AS_IS},
    {"lm_head", "output", AS_IS},
    {"model.layers.%.norm", "blk.%.attn_norm", AS_IS},
    {"model.layers.%.mixer.in_proj", "blk.%.ssm_in", AS_IS},
    {"model.layers.%.mixer.conv1d", "blk.%.ssm_conv1d", AS_IS},
    {"model.layers.%.mixer.x_proj", "blk.%.ssm_x", AS_IS},
    {"model.layers.%.mixer.dt_proj", "blk.%.ssm_dt", AS_IS},
    {"model.layers.%.mixer.dt_bias", "blk.%.ssm_dt.bias", AS_IS},
    {"model.layers.%.mixer.A_log", "blk.%.ssm_a", DECAY},
    {"model.layers.%.mixer.D", "blk.%.ssm_d", AS_IS},
    {"model.layers.%.mixer.norm", "blk.%.ssm_norm", AS_IS},
    {"model.layers.%.mixer.out_proj", "blk.%.ssm_out", AS_IS},
    {NULL, NULL, AS_IS},
};

const maas_hf_weight maas_hf_gpt2[] = {
    {"model.wte", "token_embd", AS_IS},
    {"model.wpe", "position_embd", AS_IS},
    {"model.ln_f", "output_norm", AS_IS},
    {"lm_head", "output", AS_IS},
    {"model.h.%.ln_1", "blk.%.attn_norm", AS_IS},
    {"model.h.%.attn.c_attn", "blk.%.attn_qkv", TRANSPOSED},
    {"model.h.%.attn.c_proj", "blk.%.attn_output", TRANSPOSED},
    {"model.h.%.ln_2", "blk.%.ffn_norm", AS_IS},
    {"model.h.%.mlp.c_fc", "blk.%.ffn_up", TRANSPOSED},
    {"model.h.%.mlp.c_proj", "blk.%.ffn_down", TRANSPOSED},
    {"model.h.%.attn.bias", NULL, AS_IS},
    {"model.h.%.attn.masked_bias", NULL, AS_IS},
    {NULL, NULL, AS_IS},
};

const maas_hf_weight maas_hf_gptneox[] = {
    {"model.embed_in", "token_embd", AS_IS},
    {"model.final_layer_norm", "output_norm", AS_IS},
    {"embed_out", "output", AS_IS},
    {"model.layers.%.input_layernorm", "blk.%.attn_norm", AS_IS},
    {"model.layers.%.attention.query_key_value", "blk.%.attn_qkv", GROUPED},
    {"model.layers.%.attention.dense", "blk.%.attn_output", AS_IS},
    {"model.layers.%.post_attention_layernorm", "blk.%.ffn_norm", AS_IS},
    {"model.layers.%.mlp.dense_h_to_4h", "blk.%.ffn_up", AS_IS},
    {"model.layers.%.mlp.dense_4h_to_h", "blk.%.ffn_down", AS_IS},
    {"model.layers.%.attention.bias", NULL, AS_IS},
    {"model.layers.%.attention.masked_bias", NULL, AS_IS},
    {NULL, NULL, AS_IS},
};

const maas_hf_weight maas_hf_falcon[] = {
    {"model.word_embeddings", "token_embd", AS_IS},
    {"model.ln_f", "output_norm", AS_IS},
    {"lm_head", "output", AS_IS},
    {"model.h.%.input_layernorm", "blk.%.attn_norm", AS_IS},
    {"model.h.%.ln_mlp", "blk.%.attn_norm", AS_IS},
    {"model.h.%.ln_attn", "blk.%.attn_norm_2", AS_IS},
    {"model.h.%.self_attention.query_key_value", "blk.%.attn_qkv", GROUPED},
    {"model.h.%.self_attention.dense", "blk.%.attn_output", AS_IS},
    {"model.h.%.mlp.dense_h_to_4h", "blk.%.ffn_up", AS_IS},
    {"model.h.%.mlp.dense_4h_to_h", "blk.%.ffn_down", AS_IS},
    {NULL, NULL, AS_IS},
};

const maas_hf_weight maas_hf_bert[] = {
    {"model.embeddings.word_embeddings", "token_embd", AS_IS},
    {"model.embeddings.token_type_embeddings", "token_types", AS_IS},
    {"model.embeddings.LayerNorm", "token_embd_norm", AS_IS},
    {"model.embeddings.position_ids", NULL, AS_IS},
    {"model.embeddings.token_type_ids", NULL, AS_IS},
    {"model.encoder.layer.%.attention.self.query", "blk.%.attn_q", AS_IS},
    {"model.encoder.layer.%.attention.self.key", "blk.%.attn_k", AS_IS},
    {"model.encoder.layer.%.attention.self.value", "blk.%.attn_v", AS_IS},
    {"model.encoder.layer.%.attention.output.dense", "blk.%.attn_output", AS_IS},
    {"model.encoder.layer.%.attention.output.LayerNorm", "blk.%.attn_output_norm", AS_IS},
    {"model.encoder.layer.%.intermediate.dense", "blk.%.ffn_up", AS_IS},
    {"model.encoder.layer.%.output.dense", "blk.%.ffn_down", AS_IS},
    {"model.encoder.layer.%.output.LayerNorm", "blk.%.layer_output_norm", AS_IS},
    {NULL, NULL, AS_IS},
};

const maas_hf_weight maas_hf_bert_places[] = {
    {"model.embeddings.position_embeddings", "position_embd", AS_IS},
    {NULL, NULL, AS_IS},
};

const maas_hf_weight maas_hf_roberta_places[] = {
    {"model.embeddings.position_embeddings", "position_embd", SHIFTED},
    {NULL, NULL, AS_IS},
};

const maas_hf_weight maas_hf_bert_head[] = {
    {"model.embeddings.position_embeddings", "position_embd", AS_IS},
    {"model.pooler.dense", "cls", AS_IS},
    {"model.classifier", "cls.output", AS_IS},
    {NULL, NULL, AS_IS},
};

const maas_hf_weight maas_hf_roberta_head[] = {
    {"model.embeddings.position_embeddings", "position_embd", SHIFTED},
    {"model.classifier.dense", "cls", AS_IS},
    {"model.classifier.out_proj", "cls.output", AS_IS},
    {NULL, NULL, AS_IS},
};

const maas_hf_weight maas_hf_modern_bert[] = {
    {"model.embeddings.tok_embeddings", "token_embd", AS_IS},
    {"model.embeddings.norm", "token_embd_norm", AS_IS},
    {"model.final_norm", "output_norm", AS_IS},
    {"model.layers.%.attn_norm", "blk.%.attn_norm", AS_IS},
    {"model.layers.%.attn.Wqkv", "blk.%.attn_qkv", AS_IS},
    {"model.layers.%.attn.Wo", "blk.%.attn_output", AS_IS},
    {"model.layers.%.mlp_norm", "blk.%.ffn_norm", AS_IS},
    {"model.layers.%.mlp.Wi", "blk.%.ffn_up", AS_IS},
    {"model.layers.%.mlp.Wo", "blk.%.ffn_down", AS_IS},
    {NULL, NULL, AS_IS},
};

const maas_hf_weight maas_hf_modern_head[] = {
    {"model.head.dense", "cls", AS_IS},
    {"model.head.norm", "cls.norm", AS_IS},
    {"model.classifier", "cls.output", AS_IS},
    {NULL, NULL, AS_IS},
};
