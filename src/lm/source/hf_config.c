/* config.json as hyperparameters. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/nearest.h"
#include "lm/source/hf_int.h"
#include "base/ban.h"

/* A number of config.json and the key it becomes; one that is absent or null gives none. */
static const struct {
    const char *from, *key;
    bool is_real;
} rows[] = {
    {"hidden_size", "%s.embedding_length", false},
    {"num_hidden_layers", "%s.block_count", false},
    {"intermediate_size", "%s.feed_forward_length", false},
    {"num_attention_heads", "%s.attention.head_count", false},
    {"num_key_value_heads", "%s.attention.head_count_kv", false},
    {"head_dim", "%s.attention.key_length", false},
    {"head_dim", "%s.attention.value_length", false},
    {"n_embd", "%s.embedding_length", false},
    {"n_layer", "%s.block_count", false},
    {"n_head", "%s.attention.head_count", false},
    {"n_inner", "%s.feed_forward_length", false},
    {"n_positions", "%s.context_length", false},
    {"ffn_hidden_size", "%s.feed_forward_length", false},
    {"num_experts", "%s.expert_count", false},
    {"num_local_experts", "%s.expert_count", false},
    {"num_experts_per_tok", "%s.expert_used_count", false},
    {"moe_intermediate_size", "%s.expert_feed_forward_length", false},
    {"max_position_embeddings", "%s.context_length", false},
    {"vocab_size", "%s.vocab_size", false},
    {"rms_norm_eps", "%s.attention.layer_norm_rms_epsilon", true},
    {"layer_norm_eps", "%s.attention.layer_norm_epsilon", true},
    {"layer_norm_epsilon", "%s.attention.layer_norm_epsilon", true},
    {"norm_eps", "%s.attention.layer_norm_epsilon", true},
    {"norm_epsilon", "%s.attention.layer_norm_epsilon", true},
    {"logit_scale", "%s.logit_scale", true},
    {"logits_scaling", "%s.logit_scale", true},
    {"embedding_multiplier", "%s.embedding_scale", true},
    {"residual_multiplier", "%s.residual_scale", true},
    {"attention_multiplier", "%s.attention.scale", true},
    {"attn_logit_softcapping", "%s.attn_logit_softcapping", true},
    {"final_logit_softcapping", "%s.final_logit_softcapping", true},
};

static const struct {
    const char *from, *key;
} bools[] = {{"norm_topk_prob", "%s.expert_weights_norm"},
             {"use_parallel_residual", "%s.use_parallel_residual"}};

/* What would change what a model computes, and is not heeded: must be absent, null or as here. */
static const struct {
    const char *key;
    double value;          /* 0 and 1 stand for false and true, too */
    const char *text;      /* or this one */
    uint32_t unless, only; /* with these flags it is heeded; means something */
} must_be[] = {
    {"quantization_config", 0, NULL, 0, 0},
    {"use_sliding_window", 0, NULL, 0, 0},
    {"use_bidirectional_attention", 0, NULL, 0, 0},
    {"pretraining_tp", 1, NULL, 0, 0},
    {"partial_rotary_factor", 1, NULL, MAAS_HF_PARTIAL, 0},
    {"num_experts", 0, NULL, MAAS_HF_EXPERTS, 0},
    {"num_local_experts", 0, NULL, MAAS_HF_EXPERTS, 0},
    {"position_embedding_type", 0, "absolute", 0, 0},
    {"is_decoder", 0, NULL, 0, 0},
    {"add_cross_attention", 0, NULL, 0, 0},
    {"alibi", 0, NULL, 0, 0},
    {"apply_residual_connection_post_layernorm", 0, NULL, 0, 0},
    {"parallel_attn", 1, NULL, 0, 0},
    {"scale_attn_weights", 1, NULL, 0, 0},
    {"scale_attn_by_inverse_layer_idx", 0, NULL, 0, 0},
    {"qk_layernorm", 0, NULL, 0, 0},
    {"no_rope_layer_interval", 4, NULL, 0, 0},
    {"global_attn_every_n_layers", 3, NULL, 0, 0},
    {"classifier_pooling", 0, "mean", 0, MAAS_HF_RANK},
    {"classifier_activation", 0, "gelu", 0, MAAS_HF_RANK},
};

/* Words for the activation. */
static const char *const act_keys[] = {"hidden_activation", "hidden_act", "activation_function",
                                       "activation"};

static maas_status wrong(const maas_hf *h, const char *key, const char *what)
{
    return maas_fail(h->err, MAAS_E_FORMAT, "config.json: '%s' %s", key, what);
}

static bool is_there(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return v && !json_is_null(v);
}

/* ---- which it is ---- */

static maas_status find_arch(maas_hf *h)
{
    const json_t *list = json_object_get(h->config, "architectures");
    const char *name = json_string_value(json_array_get(list, 0));
    if (!name)
        return wrong(h, "architectures", "must name the class of the model");
    for (size_t i = 0; i < maas_hf_n_archs && !h->arch; i++)
        if (strcmp(maas_hf_archs[i].name, name) == 0)
            h->arch = &maas_hf_archs[i];
    if (h->arch)
        return MAAS_OK;
    maas_nearest near = maas_nearest_to(name, strlen(name));
    for (size_t i = 0; i < maas_hf_n_archs; i++)
        maas_nearest_try(&near, maas_hf_archs[i].name);
    return maas_fail(h->err, MAAS_E_UNSUPPORTED,
                     "config.json: models of %.64s are not known%s%s%s; "
                     "docs/howto/serve-a-language-model.md lists the %zu that are",
                     name, near.best ? ", did you mean " : "", near.best ? near.best : "",
                     near.best ? "?" : "", maas_hf_n_archs);
}

/* A model of pictures and text has the text's numbers in an object of their own. */
static maas_status find_text(maas_hf *h)
{
    json_error_t why;
    json_t *text = json_object_get(h->config, "text_config");
    AUTO(maas_json_unref) json_t *defaults = json_loads(h->arch->defaults, 0, &why);
    text = json_is_object(text) ? text : h->config;
    if (!defaults || json_object_update_missing(text, defaults) != 0)
        return maas_hf_no_memory(h);
    h->text = text;
    return MAAS_OK;
}

/* ---- other words ---- */

/* GPT-2 leaves the size of its feed-forward part open. */
maas_status maas_hf_four_times(maas_hf *h)
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
maas_status maas_hf_falcon_heads(maas_hf *h)
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
    return maas_hf_four_times(h);
}

/* ---- checks ---- */

static maas_status check_act(maas_hf *h)
{
    const char *key = act_keys[0];
    for (size_t i = 0; i < MAAS_COUNT(act_keys) && !is_there(h->text, key); i++)
        key = act_keys[i];
    const json_t *v = json_object_get(h->text, key);
    const char *name = json_string_value(v);
    if (!v)
        return MAAS_OK;
    for (const char *const *a = h->arch->acts; name && *a; a++)
        if (strcmp(*a, name) == 0)
            return MAAS_OK;
    return maas_fail(h->err, MAAS_E_UNSUPPORTED, "config.json: '%s' is %.40s, a %s model has %s",
                     key, name ? name : "no text", h->arch->gguf, h->arch->acts[0]);
}

static maas_status check_rest(maas_hf *h)
{
    for (size_t i = 0; i < MAAS_COUNT(must_be); i++) {
        const json_t *v = json_object_get(h->text, must_be[i].key);
        v = v ? v : json_object_get(h->config, must_be[i].key);
        const double is = json_is_number(v) ? json_number_value(v) : json_is_true(v);
        const char *text = json_string_value(v);
        if (!v || json_is_null(v) || h->arch->flags & must_be[i].unless ||
            (must_be[i].only && !(h->arch->flags & must_be[i].only)) ||
            (must_be[i].text ? text && strcmp(text, must_be[i].text) == 0
                             : (json_is_number(v) || json_is_boolean(v)) && is == must_be[i].value))
            continue;
        return maas_fail(h->err, MAAS_E_UNSUPPORTED,
                         "config.json: '%s' is not as it must be: such models are not read",
                         must_be[i].key);
    }
    return MAAS_OK;
}

/* Which layers look back over a window only is a fact of the architecture. */
static maas_status check_pattern(maas_hf *h)
{
    const json_t *types = json_object_get(h->text, "layer_types"), *each;
    each = json_object_get(h->text, "sliding_window_pattern");
    if (h->arch->local_of && is_there(h->text, "sliding_window_pattern") &&
        json_integer_value(each) != h->arch->local_of)
        return maas_fail(h->err, MAAS_E_UNSUPPORTED,
                         "config.json: 'sliding_window_pattern' must be %d", h->arch->local_of);
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *name = json_string_value(json_array_get(types, i));
        const bool first = h->arch->flags & MAAS_HF_GLOBAL_FIRST;
        const bool local = h->arch->local_of && (i + !first) % (size_t)h->arch->local_of;
        if (!name || strcmp(name, local ? "sliding_attention" : "full_attention") != 0)
            return maas_fail(h->err, MAAS_E_UNSUPPORTED,
                             "config.json: 'layer_types[%zu]' is %.40s, a %s model has another "
                             "there",
                             i, name ? name : "no text", h->arch->gguf);
    }
    return MAAS_OK;
}

/* SmolLM 3: each fourth layer knows no positions. */
static maas_status check_turned(maas_hf *h)
{
    const json_t *list = json_object_get(h->text, "no_rope_layers");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_integer_value(json_array_get(list, i)) != ((i + 1) % 4 != 0))
            return maas_fail(h->err, MAAS_E_UNSUPPORTED,
                             "config.json: 'no_rope_layers[%zu]' must be %d", i, (i + 1) % 4 != 0);
    return MAAS_OK;
}

/* ---- keys ---- */

static maas_status put_row(maas_hf *h, size_t i)
{
    const json_t *v = json_object_get(h->text, rows[i].from);
    if (!v || json_is_null(v))
        return MAAS_OK;
    if (!json_is_number(v) || (!rows[i].is_real && !json_is_integer(v)) || json_number_value(v) < 0)
        return wrong(h, rows[i].from, rows[i].is_real ? "must be a number" : "must be a count");
    return rows[i].is_real ? maas_hf_put_f64(h, rows[i].key, json_number_value(v))
                           : maas_hf_put_u64(h, rows[i].key, (uint64_t)json_integer_value(v));
}

static maas_status put_bools(maas_hf *h)
{
    for (size_t i = 0; i < MAAS_COUNT(bools); i++) {
        const json_t *v = json_object_get(h->text, bools[i].from);
        if (json_is_boolean(v))
            MAAS_TRY(maas_hf_put_bool(h, bools[i].key, json_is_true(v)));
    }
    return MAAS_OK;
}

static maas_status put_window(maas_hf *h)
{
    const json_t *v = json_object_get(h->text, "sliding_window");
    const json_t *both = json_object_get(h->text, "local_attention"); /* in both directions */
    v = both ? both : v;
    if (!(h->arch->flags & MAAS_HF_WINDOW) || !v || json_is_null(v))
        return MAAS_OK;
    if (!json_is_integer(v) || json_integer_value(v) < 1)
        return wrong(h, "sliding_window", "must be a count");
    if (!h->arch->local_of)
        MAAS_TRY(maas_hf_put_bool(h, "maas.attention.all_local", true));
    return maas_hf_put_u64(h, "%s.attention.sliding_window", (uint64_t)json_integer_value(v));
}

/* Scores are divided by the square root of this number, not of the size of a head. */
static maas_status put_score_scale(maas_hf *h)
{
    const json_t *v = json_object_get(h->text, "query_pre_attn_scalar");
    if (!v || json_is_null(v))
        return MAAS_OK;
    if (!(json_number_value(v) > 0))
        return wrong(h, "query_pre_attn_scalar", "must be a number over 0");
    return maas_hf_put_f64(h, "maas.attention.scale", 1 / sqrt(json_number_value(v)));
}

maas_status maas_hf_read_config(maas_hf *h)
{
    MAAS_TRY(find_arch(h));
    MAAS_TRY(find_text(h));
    if (h->arch->complete)
        MAAS_TRY(h->arch->complete(h));
    MAAS_TRY(check_act(h));
    MAAS_TRY(check_rest(h));
    MAAS_TRY(check_pattern(h));
    MAAS_TRY(check_turned(h));
    MAAS_TRY(maas_hf_put_text(h, "general.architecture", h->arch->gguf));
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        MAAS_TRY(put_row(h, i));
    MAAS_TRY(put_bools(h));
    MAAS_TRY(put_window(h));
    MAAS_TRY(put_score_scale(h));
    if (h->arch->flags & MAAS_HF_ROPE_HALVES)
        MAAS_TRY(maas_hf_put_bool(h, "maas.rope_halves", true));
    return h->arch->flags & MAAS_HF_STATE ? MAAS_OK : maas_hf_read_rope(h);
}
