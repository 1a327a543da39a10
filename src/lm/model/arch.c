/* The architectures that are known, and their hyperparameters. */
#include "lm/model/model_int.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/ban.h"

enum {
    HALVES = MAAS_ARCH_ROPE_HALVES,
    QK = MAAS_ARCH_QK_NORM,
    POST = MAAS_ARCH_POST_NORM,
    GELU = MAAS_ARCH_GELU,
    SCALED = MAAS_ARCH_EMBED_SCALE,
    CAPPED = MAAS_ARCH_SOFTCAP
};

const maas_lm_arch maas_lm_archs[] = {
    {"llama", 0, 1, 0, "Llama, Mistral, SmolLM and all that follow them"},
    {"qwen2", HALVES, 0, 0, "Qwen 2 and 2.5: biases on queries, keys and values"},
    {"qwen3", HALVES | QK, 0, 0, "Qwen 3"},
    {"gemma", HALVES | GELU | SCALED, 0, 0, "Gemma"},
    {"gemma2", HALVES | GELU | SCALED | POST | CAPPED, 2, 0, "Gemma 2: every other layer is local"},
    {"gemma3", HALVES | GELU | SCALED | POST | QK, 6, 10000,
     "Gemma 3: five of six layers are local"},
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

/* ---- hyperparameters ---- */

typedef struct count_row {
    const char *key;
    size_t at; /* an int64_t of maas_lm_hyper */
    int64_t max;
    bool required;
} count_row;

#define AT(f) offsetof(maas_lm_hyper, f)
static const count_row counts[] = {
    {"%s.embedding_length", AT(n_embd), 1 << 20, true},
    {"%s.block_count", AT(n_layers), 1024, true},
    {"%s.feed_forward_length", AT(n_ff), 1 << 22, true},
    {"%s.attention.head_count", AT(n_heads), 4096, true},
    {"%s.attention.head_count_kv", AT(n_kv_heads), 4096, false},
    {"%s.attention.key_length", AT(size), 1024, false},
    {"%s.attention.value_length", AT(v_size), 1024, false},
    {"%s.rope.dimension_count", AT(rope_size), 1024, false},
    {"%s.attention.sliding_window", AT(window), 1 << 30, false},
    {"%s.context_length", AT(n_context), 1 << 30, true},
};

static const struct {
    const char *key;
    size_t at; /* a double */
} reals[] = {
    {"%s.attention.layer_norm_rms_epsilon", AT(eps)},
    {"%s.rope.freq_base", AT(rope_base)},
    {"%s.attn_logit_softcapping", AT(score_cap)},
    {"%s.final_logit_softcapping", AT(logit_cap)},
};
#undef AT

static maas_status read_counts(const maas_lm_source *s, maas_lm_hyper *h, maas_err *err)
{
    for (size_t i = 0; i < MAAS_COUNT(counts); i++) {
        uint64_t v = 0;
        if (!maas_lm_u64(s, counts[i].key, &v)) {
            if (counts[i].required || maas_lm_array_of(s, counts[i].key))
                return maas_fail(err, MAAS_E_UNSUPPORTED, "the key '%s' (of %s) must be one number",
                                 counts[i].key, h->arch->name);
            continue;
        }
        if (v > (uint64_t)counts[i].max)
            return maas_fail(err, MAAS_E_TOO_LARGE, "%s is %" PRIu64 ", at most %" PRId64,
                             counts[i].key, v, counts[i].max);
        memcpy((char *)h + counts[i].at, &v, sizeof v);
    }
    return MAAS_OK;
}

/* Positions are divided by `factor` where the file asks for it: that is all that is known of linear
 * scaling; factors of each frequency come as a weight (rope_freqs). */
static maas_status read_scaling(const maas_lm_source *s, maas_lm_hyper *h, maas_err *err)
{
    maas_str type = {"none", 4};
    double factor = 1;
    h->rope_scale = 1;
    maas_lm_str(s, "%s.rope.scaling.type", &type);
    if (type.n == 4 && memcmp(type.p, "none", 4) == 0)
        return MAAS_OK;
    if (type.n != 6 || memcmp(type.p, "linear", 6) != 0)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "rotary scaling of type '%.*s'",
                         (int)(type.n < 40 ? type.n : 40), type.p);
    if (maas_lm_f64(s, "%s.rope.scaling.factor", &factor) && factor > 0)
        h->rope_scale = 1 / factor;
    return MAAS_OK;
}

static maas_status check(const maas_lm_hyper *h, maas_err *err)
{
    if (h->n_embd < 1 || h->n_layers < 1 || h->n_ff < 1 || h->n_heads < 1 || h->n_kv_heads < 1 ||
        h->n_context < 1 || h->n_vocab < 1)
        return maas_fail(err, MAAS_E_FORMAT, "a hyperparameter of the %s model is zero",
                         h->arch->name);
    if (h->n_heads % h->n_kv_heads)
        return maas_fail(err, MAAS_E_FORMAT, "%" PRId64 " heads cannot share %" PRId64, h->n_heads,
                         h->n_kv_heads);
    if (h->size < 2 || h->size > 1024 || h->v_size < 1 || h->v_size > 1024 ||
        h->rope_size > h->size || h->rope_size % 2 || h->rope_size < 2)
        return maas_fail(err, MAAS_E_FORMAT,
                         "heads of %" PRId64 " (%" PRId64 " turned) and %" PRId64 " numbers",
                         h->size, h->rope_size, h->v_size);
    if (!(h->eps > 0) || !(h->rope_base > 1) || !(h->rope_scale > 0))
        return maas_fail(err, MAAS_E_FORMAT, "epsilon, rotary base or scale make no sense");
    return MAAS_OK;
}

maas_status maas_lm_hyper_read(const maas_lm_source *s, maas_lm_hyper *out, maas_err *err)
{
    const maas_str name = maas_lm_source_arch(s);
    const maas_lm_weight *embed = maas_lm_weight_of(s, "token_embd.weight");
    *out = (maas_lm_hyper){.arch = maas_lm_arch_of(name), .rope_base = 10000, .eps = 1e-5};
    if (!out->arch)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "architecture '%.*s' is not known; llama, qwen2, qwen3, gemma, gemma2 and "
                         "gemma3 are",
                         (int)(name.n < 60 ? name.n : 60), name.p);
    if (!embed || embed->rank != 2)
        return maas_fail(err, MAAS_E_FORMAT, "the weight token_embd.weight is missing");
    out->n_vocab = embed->dims[0];
    MAAS_TRY(read_counts(s, out, err));
    for (size_t i = 0; i < MAAS_COUNT(reals); i++) {
        double v;
        if (maas_lm_f64(s, reals[i].key, &v))
            memcpy((char *)out + reals[i].at, &v, sizeof v);
    }
    out->n_kv_heads = out->n_kv_heads ? out->n_kv_heads : out->n_heads;
    out->size = out->size ? out->size : out->n_heads ? out->n_embd / out->n_heads : 0;
    out->v_size = out->v_size ? out->v_size : out->size;
    out->rope_size = out->rope_size ? out->rope_size : out->size;
    if (!(out->arch->flags & CAPPED))
        out->score_cap = out->logit_cap = 0;
    if (out->arch->local_of == 0)
        out->window = 0;
    out->halves = (out->arch->flags & HALVES) != 0;
    maas_lm_bool(s, "maas.rope_halves", &out->halves); /* files of Hugging Face always have them */
    double scale;
    if (maas_lm_f64(s, "maas.attention.scale", &scale) && scale > 0)
        out->score_scale = (float)scale;
    MAAS_TRY(read_scaling(s, out, err));
    return check(out, err);
}
