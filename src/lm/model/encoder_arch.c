/* The architectures of encoders that are known, and their hyperparameters. */
#include <inttypes.h>
#include <string.h>

#include "lm/model/encoder_int.h"
#include "base/ban.h"

/* Distances are a matrix for each head in memory: longer texts are refused. */
enum { MAX_BIASED = 2048 };

static const maas_enc_arch archs[] = {
    {"bert", MAAS_ENC_POSITIONS, 0, "BERT, RoBERTa and XLM-RoBERTa: MiniLM, BGE, E5, GTE"},
    {"nomic-bert", MAAS_ENC_ROTARY | MAAS_ENC_GATED | MAAS_ENC_SILU, 0, "Nomic Embed"},
    {"jina-bert-v2", MAAS_ENC_ALIBI | MAAS_ENC_GATED, 0, "Jina Embeddings 2"},
    {"modern-bert", MAAS_ENC_ROTARY | MAAS_ENC_GATED | MAAS_ENC_PRE_NORM, 3,
     "ModernBERT: two of three layers are local"},
};

const maas_enc_arch *maas_enc_arch_of(maas_str name)
{
    for (size_t i = 0; i < MAAS_COUNT(archs); i++)
        if (strlen(archs[i].name) == name.n && memcmp(archs[i].name, name.p, name.n) == 0)
            return &archs[i];
    return NULL;
}

bool maas_encoder_is(const maas_lm_source *s)
{
    return maas_enc_arch_of(maas_lm_source_arch(s)) || maas_enc_is_causal(s);
}

/* ---- hyperparameters ---- */

#define AT(f) offsetof(maas_enc_hyper, f)
static const struct {
    const char *key;
    size_t at; /* an int64_t */
    int64_t max;
    bool required;
} counts[] = {
    {"%s.embedding_length", AT(n_embd), 1 << 20, true},
    {"%s.block_count", AT(n_layers), 1024, true},
    {"%s.feed_forward_length", AT(n_ff), 1 << 22, true},
    {"%s.attention.head_count", AT(n_heads), 4096, true},
    {"%s.context_length", AT(n_context), 1 << 20, true},
    {"%s.attention.sliding_window", AT(window), 1 << 20, false},
    {"%s.pooling_type", AT(pooling), MAAS_POOL_RANK, false},
};

static const struct {
    const char *key;
    size_t at; /* a double */
} reals[] = {
    {"%s.attention.layer_norm_epsilon", AT(eps)},
    {"%s.rope.freq_base", AT(rope_base)},
    {"%s.rope.freq_base_swa", AT(rope_base_local)},
    {"%s.attention.max_alibi_bias", AT(alibi)},
};
#undef AT

static maas_status read_counts(const maas_lm_source *s, maas_enc_hyper *h, maas_err *err)
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
    for (size_t i = 0; i < MAAS_COUNT(reals); i++) {
        double v;
        if (maas_lm_f64(s, reals[i].key, &v))
            memcpy((char *)h + reals[i].at, &v, sizeof v);
    }
    return MAAS_OK;
}

/* What is asked for and not built is refused, not left out. */
static maas_status refuse(const maas_lm_source *s, const maas_enc_hyper *h, maas_err *err)
{
    maas_str scaling = {"none", 4};
    bool causal = false;
    uint64_t kv_heads = (uint64_t)h->n_heads;
    maas_lm_str(s, "%s.rope.scaling.type", &scaling);
    maas_lm_bool(s, "%s.attention.causal", &causal);
    maas_lm_u64(s, "%s.attention.head_count_kv", &kv_heads);
    if (scaling.n != 4 || memcmp(scaling.p, "none", 4) != 0)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "rotary scaling of type '%.*s'",
                         (int)(scaling.n < 40 ? scaling.n : 40), scaling.p);
    if (causal)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "an encoder whose attention is causal");
    if (kv_heads != (uint64_t)h->n_heads)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "an encoder of %" PRId64 " heads that share %" PRIu64, h->n_heads,
                         kv_heads);
    return MAAS_OK;
}

static maas_status check(const maas_enc_hyper *h, maas_err *err)
{
    if (h->n_embd < 1 || h->n_layers < 1 || h->n_ff < 1 || h->n_heads < 1 || h->n_context < 1 ||
        h->n_vocab < 1)
        return maas_fail(err, MAAS_E_FORMAT, "a hyperparameter of the %s model is zero",
                         h->arch->name);
    if (h->n_embd % h->n_heads || h->n_embd / h->n_heads > 1024)
        return maas_fail(err, MAAS_E_FORMAT, "%" PRId64 " numbers are not %" PRId64 " heads",
                         h->n_embd, h->n_heads);
    if ((h->arch->flags & MAAS_ENC_ROTARY) &&
        ((h->n_embd / h->n_heads) % 2 || !(h->rope_base > 1) || !(h->rope_base_local > 1)))
        return maas_fail(err, MAAS_E_FORMAT, "heads of %" PRId64 " cannot be turned, or base %g",
                         h->n_embd / h->n_heads, h->rope_base);
    if ((h->arch->flags & MAAS_ENC_ALIBI) && !(h->alibi > 0 && h->alibi < 1000))
        return maas_fail(err, MAAS_E_FORMAT, "%%s.attention.max_alibi_bias is %g", h->alibi);
    if (!(h->eps > 0))
        return maas_fail(err, MAAS_E_FORMAT, "epsilon makes no sense");
    return MAAS_OK;
}

maas_status maas_enc_hyper_read(const maas_lm_source *s, maas_enc_hyper *out, maas_err *err)
{
    const maas_str name = maas_lm_source_arch(s);
    const maas_lm_weight *embed = maas_lm_weight_of(s, "token_embd.weight");
    const maas_lm_weight *types = maas_lm_weight_of(s, "token_types.weight");
    const maas_lm_weight *positions = maas_lm_weight_of(s, "position_embd.weight");
    *out = (maas_enc_hyper){.arch = maas_enc_arch_of(name),
                            .rope_base = 10000,
                            .rope_base_local = 10000,
                            .alibi = 8,
                            .eps = 1e-12};
    if (!out->arch)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "architecture '%.*s' is no encoder that is known; bert, nomic-bert, "
                         "jina-bert-v2 and modern-bert are",
                         (int)(name.n < 60 ? name.n : 60), name.p);
    if (!embed || embed->rank != 2)
        return maas_fail(err, MAAS_E_FORMAT, "the weight token_embd.weight is missing");
    out->n_vocab = embed->dims[0];
    out->n_types = !types ? 0 : types->rank == 2 ? types->dims[0] : 1;
    MAAS_TRY(read_counts(s, out, err));
    out->n_positions = positions ? positions->dims[0] : out->n_context;
    if (positions && out->n_positions < out->n_context)
        out->n_context = out->n_positions;
    MAAS_TRY(check(out, err));
    out->size = out->n_embd / out->n_heads;
    if (!out->pooling) /* none, which is an answer for each token, or not said */
        out->pooling = maas_lm_weight_of(s, "cls.output.weight") ? MAAS_POOL_RANK : MAAS_POOL_MEAN;
    if ((out->arch->flags & MAAS_ENC_ALIBI) && out->n_context > MAX_BIASED)
        out->n_context = MAX_BIASED;
    if (!out->arch->global_of)
        out->window = 0;
    return refuse(s, out, err);
}
