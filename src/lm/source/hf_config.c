/* config.json as hyperparameters. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
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
    {"max_position_embeddings", "%s.context_length", false},
    {"vocab_size", "%s.vocab_size", false},
    {"rms_norm_eps", "%s.attention.layer_norm_rms_epsilon", true},
    {"attn_logit_softcapping", "%s.attn_logit_softcapping", true},
    {"final_logit_softcapping", "%s.final_logit_softcapping", true},
};

/* What would change what a model computes, and is not heeded: must be absent, null or as here. */
static const struct {
    const char *key;
    double value; /* 0 stands for false, too */
} must_be[] = {
    {"quantization_config", 0}, {"use_sliding_window", 0},    {"use_bidirectional_attention", 0},
    {"pretraining_tp", 1},      {"partial_rotary_factor", 1}, {"num_experts", 0},
    {"num_local_experts", 0},
};

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
    char known[240] = "";
    for (size_t i = 0, n = 0; i < maas_hf_n_archs && n < sizeof known - 1; i++)
        n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "",
                              maas_hf_archs[i].name);
    return maas_fail(h->err, MAAS_E_UNSUPPORTED, "config.json: models of %.64s are not known; %s",
                     name, known);
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

/* ---- checks ---- */

static maas_status check_act(maas_hf *h)
{
    const char *key = is_there(h->text, "hidden_activation") ? "hidden_activation" : "hidden_act";
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
        if (!v || json_is_null(v) || json_is_false(v) ||
            (json_is_number(v) && json_number_value(v) == must_be[i].value))
            continue;
        return maas_fail(h->err, MAAS_E_UNSUPPORTED,
                         "config.json: '%s' is set, and such models are not read", must_be[i].key);
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
        const bool local = h->arch->local_of && (i + 1) % (size_t)h->arch->local_of;
        if (!name || strcmp(name, local ? "sliding_attention" : "full_attention") != 0)
            return maas_fail(h->err, MAAS_E_UNSUPPORTED,
                             "config.json: 'layer_types[%zu]' is %.40s, a %s model has another "
                             "there",
                             i, name ? name : "no text", h->arch->gguf);
    }
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

static maas_status put_window(maas_hf *h)
{
    const json_t *v = json_object_get(h->text, "sliding_window");
    if (!(h->arch->flags & MAAS_HF_WINDOW) || !v || json_is_null(v))
        return MAAS_OK;
    if (!json_is_integer(v) || json_integer_value(v) < 1)
        return wrong(h, "sliding_window", "must be a count");
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
    MAAS_TRY(check_act(h));
    MAAS_TRY(check_rest(h));
    MAAS_TRY(check_pattern(h));
    MAAS_TRY(maas_hf_put_text(h, "general.architecture", h->arch->gguf));
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        MAAS_TRY(put_row(h, i));
    MAAS_TRY(put_window(h));
    MAAS_TRY(put_score_scale(h));
    if (h->arch->flags & MAAS_HF_ROPE_HALVES)
        MAAS_TRY(maas_hf_put_bool(h, "maas.rope_halves", true));
    return maas_hf_read_rope(h);
}
