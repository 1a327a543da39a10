/* Hyperparameters: keys of a file as one struct, checked. */
#include "lm/model/model_int.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/nearest.h"
#include "ops/state_rows.h"
#include "base/ban.h"

typedef struct count_row {
    const char *key;
    size_t at; /* an int64_t of maas_lm_hyper */
    int64_t max;
    int64_t free; /* of flags: architectures with one of them can do without; FREE: all can */
} count_row;
enum { FREE = -1, NEEDED = 0 };

#define AT(f) offsetof(maas_lm_hyper, f)
static const count_row counts[] = {
    {"%s.embedding_length", AT(n_embd), 1 << 20, NEEDED},
    {"%s.block_count", AT(n_layers), MAAS_LM_MAX_LAYERS, NEEDED},
    {"%s.feed_forward_length", AT(n_ff), 1 << 22, MAAS_ARCH_STATE},
    {"%s.attention.head_count", AT(n_heads), 4096, MAAS_ARCH_STATE},
    {"%s.attention.head_count_kv", AT(n_kv_heads), 4096, FREE},
    {"%s.attention.key_length", AT(size), 1024, FREE},
    {"%s.attention.value_length", AT(v_size), 1024, FREE},
    {"%s.rope.dimension_count", AT(rope_size), 1024, FREE},
    {"%s.attention.sliding_window", AT(window), 1 << 30, FREE},
    {"%s.context_length", AT(n_context), 1 << 30, NEEDED},
    {"%s.expert_count", AT(n_experts), 4096, FREE},
    {"%s.expert_used_count", AT(n_used), 4096, FREE},
    {"%s.expert_feed_forward_length", AT(n_expert_ff), 1 << 22, FREE},
    {"%s.expert_gating_func", AT(router), MAAS_ROUTER_CHOSEN, FREE},
    {"%s.expert_group_count", AT(n_groups), 4096, FREE},
    {"%s.expert_group_used_count", AT(n_used_groups), 4096, FREE},
    {"%s.attention.q_lora_rank", AT(q_rank), 1 << 20, FREE},
    {"%s.attention.kv_lora_rank", AT(kv_rank), 1 << 20, FREE},
    {"%s.attention.key_length_mla", AT(latent_size), 1024, FREE},
    {"%s.attention.value_length_mla", AT(latent_v_size), 1024, FREE},
    {"%s.nextn_predict_layers", AT(n_next), MAAS_LM_MAX_LAYERS, FREE},
    {"%s.ssm.inner_size", AT(ssm_inner), 1 << 20, FREE},
    {"%s.ssm.state_size", AT(ssm_states), 1024, FREE},
    {"%s.ssm.conv_kernel", AT(ssm_taps), MAAS_SCONV_MAX_TAPS, FREE},
    {"%s.ssm.time_step_rank", AT(ssm_rank), 1 << 16, FREE},
    {"%s.ssm.group_count", AT(ssm_groups), 4096, FREE},
};

static const struct {
    const char *key;
    size_t at;       /* a double */
    uint32_t needed; /* flags of which the architecture has one; 0: all read it */
} reals[] = {
    {"%s.attention.layer_norm_epsilon", AT(eps), MAAS_ARCH_LAYER_NORM},
    {"%s.attention.layer_norm_rms_epsilon", AT(eps), 0},
    {"%s.attention.clamp_kqv", AT(clamp), 0},
    {"%s.rope.freq_base", AT(rope_base), 0},
    {"%s.rope.freq_base_swa", AT(local_base), 0},
    {"%s.rope.scaling.original_context_length", AT(rope.original), 0},
    {"%s.rope.scaling.attn_factor", AT(rope.size), 0},
    {"%s.rope.scaling.yarn_beta_fast", AT(rope.fast), 0},
    {"%s.rope.scaling.yarn_beta_slow", AT(rope.slow), 0},
    {"%s.attn_logit_softcapping", AT(score_cap), MAAS_ARCH_SOFTCAP},
    {"%s.final_logit_softcapping", AT(logit_cap), MAAS_ARCH_SOFTCAP},
    {"%s.attention.scale", AT(score_scale), MAAS_ARCH_SCALES},
    {"%s.embedding_scale", AT(embed_scale), MAAS_ARCH_SCALES},
    {"%s.residual_scale", AT(residual_scale), MAAS_ARCH_SCALES},
    {"%s.logit_scale", AT(logit_scale), MAAS_ARCH_LOGIT_BY | MAAS_ARCH_LOGIT_TIMES},
    {"%s.expert_weights_scale", AT(expert_scale), 0},
};
#undef AT

static maas_status read_counts(const maas_lm_source *s, maas_lm_hyper *h, maas_err *err)
{
    for (size_t i = 0; i < MAAS_COUNT(counts); i++) {
        uint64_t v = 0;
        if (!maas_lm_u64(s, counts[i].key, &v)) {
            const bool free = counts[i].free == FREE || h->arch->flags & counts[i].free;
            if (!free || maas_lm_array_of(s, counts[i].key))
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

static void read_reals(const maas_lm_source *s, maas_lm_hyper *h)
{
    for (size_t i = 0; i < MAAS_COUNT(reals); i++) {
        double v;
        if ((!reals[i].needed || h->arch->flags & reals[i].needed) &&
            maas_lm_f64(s, reals[i].key, &v))
            memcpy((char *)h + reals[i].at, &v, sizeof v);
    }
}

static bool is(maas_str a, const char *b)
{
    return a.n == strlen(b) && memcmp(a.p, b, a.n) == 0;
}

/* Positions are divided by `factor` (linear), or slow turns are and fast ones are not (YaRN).
 * Factors of each frequency (longrope) come as weights, of any type. */
static maas_status read_scaling(const maas_lm_source *s, maas_lm_hyper *h, maas_err *err)
{
    maas_str type = {"none", 4};
    const bool latent = h->arch->flags & MAAS_ARCH_LATENT;
    double factor = 1, given = 1, ext = 1, more = 0;
    h->rope.scale = 1;
    if (!(h->rope.original > 0))
        h->rope.original = (double)h->n_context;
    maas_lm_str(s, "%s.rope.scaling.type", &type);
    if (is(type, "none") || is(type, "longrope"))
        return MAAS_OK;
    if (!is(type, "linear") && !is(type, "yarn"))
        return maas_fail(err, MAAS_E_UNSUPPORTED, "rotary scaling of type '%.*s'",
                         (int)(type.n < 40 ? type.n : 40), type.p);
    h->rope.yarn = is(type, "yarn");
    if (maas_lm_f64(s, "%s.rope.scaling.factor", &factor) && factor > 0)
        h->rope.scale = 1 / factor;
    if (!h->rope.yarn)
        return MAAS_OK;
    maas_lm_f64(s, "%s.rope.scaling.yarn_ext_factor", &ext);
    maas_lm_f64(s, "%s.rope.scaling.yarn_log_multiplier", &more);
    maas_lm_f64(s, "%s.rope.scaling.yarn_attn_factor", &given);
    if ((ext != 1 && ext != -1) || (more != 0) != latent)
        return maas_fail(
            err, MAAS_E_UNSUPPORTED,
            "rope.scaling.yarn_ext_factor %g with yarn_log_multiplier %g in a %s model", ext, more,
            h->arch->name);
    const double stretched = factor > 1 ? log(factor) : 0;
    if (latent) /* what is longer is not the turned part alone but every score */
        h->score_scale *= (1 + more * stretched) * (1 + more * stretched);
    else
        h->rope.size *= 1 + 0.1 * stretched;
    h->rope.size *= given;
    return MAAS_OK;
}

/* Local layers: each but the local_of-th, unless the file counts otherwise (0: all, 1: none) or
 * says it one by one. */
static maas_status find_local(const maas_lm_source *s, maas_lm_hyper *h, maas_err *err)
{
    const char *key = "%s.attention.sliding_window_pattern";
    const maas_lm_array *each = maas_lm_array_of(s, key);
    const int row = h->arch->local_of;
    uint64_t of = row == 1 ? 0 : (uint64_t)row;
    bool all = false; /* what a folder of Hugging Face says */
    maas_lm_bool(s, "maas.attention.all_local", &all);
    if (row == 0 && !all)
        h->window = 0;
    if (h->window == 0)
        return MAAS_OK;
    if (each && (each->of == MAAS_GGUF_STRING || each->of == MAAS_GGUF_ARRAY ||
                 each->n < (uint64_t)h->n_layers))
        return maas_fail(err, MAAS_E_FORMAT, "%s must say yes or no for each of %" PRId64 " layers",
                         key, h->n_layers);
    maas_lm_u64(s, key, &of);
    for (int64_t i = 0; i < h->n_layers; i++)
        if (each ? maas_gguf_i64(each, (uint64_t)i) != 0 : of == 0 || (uint64_t)(i + 1) % of != 0)
            h->local[i / 64] |= (uint64_t)1 << (i % 64);
    return MAAS_OK;
}

/* ---- what they mean together ---- */

static void complete(const maas_lm_source *s, maas_lm_hyper *h)
{
    const uint32_t flags = h->arch->flags;
    bool turn = true, parallel = true;
    h->n_kv_heads = h->n_kv_heads ? h->n_kv_heads : h->n_heads;
    h->size = h->size ? h->size : h->n_heads ? h->n_embd / h->n_heads : 0;
    h->v_size = h->v_size ? h->v_size : h->size;
    h->rope_size = h->rope_size ? h->rope_size : h->size;
    h->n_rows = h->n_context;
    h->n_expert_ff = h->n_expert_ff ? h->n_expert_ff : h->n_ff;
    if (h->arch->wide_layers && h->n_layers == h->arch->wide_layers && h->n_embd > 0)
        h->score_scale = sqrt((double)h->n_heads / (double)h->n_embd);
    if (flags & MAAS_ARCH_EMBED_SCALE)
        h->embed_scale = sqrt((double)h->n_embd);
    if (flags & MAAS_ARCH_LOGIT_BY && h->logit_scale != 0)
        h->logit_scale = 1 / h->logit_scale;
    maas_lm_bool(s, "%s.use_parallel_residual", &parallel);
    maas_lm_bool(s, "%s.ssm.dt_b_c_rms", &h->ssm_norms);
    if (flags & MAAS_ARCH_STATE) /* files may say how many there would be */
        h->n_heads = h->n_kv_heads = 0;
    h->parallel = flags & MAAS_ARCH_PARALLEL || (flags & MAAS_ARCH_PARALLEL_KEY && parallel) ||
                  (flags & MAAS_ARCH_PARALLEL_MAY &&
                   !maas_lm_weight_of(s, "blk.0.ffn_norm.weight"));
    h->n_layers -= h->n_next < h->n_layers ? h->n_next : 0;
    if (flags & MAAS_ARCH_LATENT) {
        h->latent_size = h->latent_size ? h->latent_size : h->size;
        h->latent_v_size = h->latent_v_size ? h->latent_v_size : h->v_size;
        h->score_scale = h->latent_size > 0 ? 1 / sqrt((double)h->latent_size) : 0;
    }
    if (h->router == 0)
        h->router = flags & MAAS_ARCH_ROUTER_SIGMOID  ? MAAS_ROUTER_SIGMOID
                    : flags & MAAS_ARCH_ROUTER_CHOSEN ? MAAS_ROUTER_CHOSEN
                                                      : MAAS_ROUTER_SOFTMAX;
    h->router_sum = flags & MAAS_ARCH_ROUTER_SUM;
    maas_lm_bool(s, "%s.expert_weights_norm", &h->router_sum);
    if (flags & MAAS_ARCH_SCALES)
        maas_lm_bool(s, "%s.rope.scaling.finetuned", &turn);
    h->unturned = !turn;
    h->halves = flags & MAAS_ARCH_ROPE_HALVES;
    /* What folders of Hugging Face say, where GGUF knows it of the architecture. */
    maas_lm_bool(s, "maas.rope_halves", &h->halves);
    maas_lm_f64(s, "maas.attention.scale", &h->score_scale);
}

/* Of layers with a state: everything is there, and heads and groups divide what they share. */
static maas_status check_states(const maas_lm_hyper *h, maas_err *err)
{
    const bool heads = h->arch->flags & MAAS_ARCH_STATE_HEADS;
    const struct {
        const char *key;
        int64_t is, least;
    } needed[] = {{"inner_size", h->ssm_inner, 1},
                  {"state_size", h->ssm_states, 1},
                  {"conv_kernel", h->ssm_taps, 2},
                  {"time_step_rank", h->ssm_rank, 1},
                  {"group_count", heads ? h->ssm_groups : 1, 1}};
    for (size_t i = 0; i < MAAS_COUNT(needed); i++)
        if (needed[i].is < needed[i].least)
            return maas_fail(err, MAAS_E_FORMAT,
                             "the key %s.ssm.%s is missing, or less than %" PRId64, h->arch->name,
                             needed[i].key, needed[i].least);
    if (heads && h->ssm_inner % h->ssm_rank)
        return maas_fail(err, MAAS_E_FORMAT,
                         "%s.ssm.inner_size: %" PRId64 " channels cannot be shared by %" PRId64
                         " heads (ssm.time_step_rank)",
                         h->arch->name, h->ssm_inner, h->ssm_rank);
    if (heads && h->ssm_rank % h->ssm_groups)
        return maas_fail(err, MAAS_E_FORMAT,
                         "%s.ssm.group_count: %" PRId64 " heads cannot be shared by %" PRId64
                         " groups",
                         h->arch->name, h->ssm_rank, h->ssm_groups);
    return h->eps > 0 ? MAAS_OK : maas_fail(err, MAAS_E_FORMAT, "epsilon makes no sense");
}

static maas_status check(const maas_lm_hyper *h, maas_err *err)
{
    const bool state = h->arch->flags & MAAS_ARCH_STATE;
    if (h->n_embd < 1 || h->n_layers < 1 || h->n_context < 1 || h->n_vocab < 1 ||
        (!state && (h->n_ff < 1 || h->n_heads < 1 || h->n_kv_heads < 1)))
        return maas_fail(err, MAAS_E_FORMAT, "a hyperparameter of the %s model is zero",
                         h->arch->name);
    if (state)
        return check_states(h, err);
    if (h->n_heads % h->n_kv_heads)
        return maas_fail(err, MAAS_E_FORMAT, "%" PRId64 " heads cannot share %" PRId64, h->n_heads,
                         h->n_kv_heads);
    if (h->size < 2 || h->size > 1024 || h->v_size < 1 || h->v_size > 1024 ||
        h->rope_size > h->size || h->rope_size % 2 || h->rope_size < 2)
        return maas_fail(err, MAAS_E_FORMAT,
                         "heads of %" PRId64 " (%" PRId64 " turned) and %" PRId64 " numbers",
                         h->size, h->rope_size, h->v_size);
    if (h->n_experts && (h->n_used < 1 || h->n_used > h->n_experts))
        return maas_fail(err, MAAS_E_FORMAT, "%" PRId64 " of %" PRId64 " experts are used",
                         h->n_used, h->n_experts);
    if (h->n_groups > 1 && (h->n_experts % h->n_groups || h->n_used_groups < 1 ||
                            h->n_used_groups > h->n_groups || h->n_experts / h->n_groups < 2))
        return maas_fail(err, MAAS_E_FORMAT, "%" PRId64 " of %" PRId64 " groups of experts",
                         h->n_used_groups, h->n_groups);
    if (h->arch->flags & MAAS_ARCH_LATENT &&
        (h->kv_rank < 1 || h->latent_size <= h->rope_size || h->latent_v_size < 1))
        return maas_fail(err, MAAS_E_FORMAT,
                         "latent attention of rank %" PRId64 " and heads of %" PRId64 " (%" PRId64
                         " turned)",
                         h->kv_rank, h->latent_size, h->rope_size);
    if (!(h->eps > 0) || !(h->rope_base > 1) || !(h->rope.scale > 0) || !(h->rope.size > 0) ||
        !(h->rope.original > 0) || !(h->rope.slow > 0) || !(h->rope.fast > 0) ||
        !(h->local_base == 0 || h->local_base > 1))
        return maas_fail(err, MAAS_E_FORMAT, "epsilon, rotary base or scale make no sense");
    if (h->arch->flags & (MAAS_ARCH_LOGIT_BY | MAAS_ARCH_LOGIT_TIMES) && h->logit_scale == 0)
        return maas_fail(err, MAAS_E_FORMAT, "the key %s.logit_scale is missing, or 0",
                         h->arch->name);
    if (!isfinite(h->embed_scale) || !isfinite(h->residual_scale) || !isfinite(h->logit_scale) ||
        !isfinite(h->score_scale) || !isfinite(h->expert_scale) || !(h->clamp >= 0))
        return maas_fail(err, MAAS_E_FORMAT, "a scale of the %s model is no number", h->arch->name);
    return MAAS_OK;
}

static maas_status unknown(maas_str name, maas_err *err)
{
    maas_nearest near = maas_nearest_to(name.p, name.n);
    for (size_t i = 0; i < maas_lm_n_archs; i++)
        maas_nearest_try(&near, maas_lm_archs[i].name);
    return maas_fail(err, MAAS_E_UNSUPPORTED,
                     "architecture '%.*s' is not known%s%s%s; docs/architectures.md lists the %zu "
                     "that are",
                     (int)(name.n < 60 ? name.n : 60), name.p, near.best ? ", did you mean '" : "",
                     near.best ? near.best : "", near.best ? "'?" : "", maas_lm_n_archs);
}

maas_status maas_lm_hyper_read(const maas_lm_source *s, maas_lm_hyper *out, maas_err *err)
{
    const maas_str name = maas_lm_source_arch(s);
    const maas_lm_weight *embed = maas_lm_weight_of(s, "token_embd.weight");
    *out = (maas_lm_hyper){.arch = maas_lm_arch_of(name), .rope_base = 10000, .eps = 1e-5};
    if (!out->arch)
        return unknown(name, err);
    if (!embed || embed->rank != 2)
        return maas_fail(err, MAAS_E_FORMAT, "the weight token_embd.weight is missing");
    out->n_vocab = embed->dims[0];
    out->local_base = out->arch->local_base;
    out->rope.size = 1;
    out->rope.fast = 32;
    out->rope.slow = 1;
    MAAS_TRY(read_counts(s, out, err));
    read_reals(s, out);
    complete(s, out);
    MAAS_TRY(read_scaling(s, out, err));
    MAAS_TRY(check(out, err));
    return find_local(s, out, err);
}
