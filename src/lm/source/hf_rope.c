/*
 * Rotary positions of config.json: rope_theta and rope_scaling of older files, rope_parameters of
 * newer ones, which may have an object for each kind of layer.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "lm/source/hf_int.h"
#include "base/ban.h"

typedef struct rope {
    const json_t *all, *local; /* of global layers, of local ones; NULL: nothing is said */
    const char *type;
    double base;
    int64_t size; /* of the part of a head that is turned */
} rope;

static const char *type_of(const json_t *o)
{
    const char *name = json_string_value(json_object_get(o, "rope_type"));
    name = name ? name : json_string_value(json_object_get(o, "type"));
    return name ? name : "default";
}

static void find(const maas_hf *h, rope *r)
{
    const json_t *p = json_object_get(h->text, "rope_parameters");
    const json_t *full = json_object_get(p, "full_attention");
    r->all = full ? full : p;
    r->local = json_object_get(p, "sliding_attention");
    if (!json_is_object(r->all))
        r->all = json_object_get(h->text, "rope_scaling");
    r->type = type_of(r->all);
    r->base = maas_hf_number(h->text, "rotary_emb_base",
                             maas_hf_number(h->text, "global_rope_theta", 10000));
    r->base = maas_hf_number(r->all, "rope_theta", maas_hf_number(h->text, "rope_theta", r->base));
}

/* How much of a head is turned. */
static maas_status find_size(maas_hf *h, rope *r)
{
    const double heads = maas_hf_number(h->text, "num_attention_heads",
                                        maas_hf_number(h->text, "n_head", 0));
    const double wide = maas_hf_number(h->text, "hidden_size",
                                       maas_hf_number(h->text, "n_embd", 0));
    const double size = maas_hf_number(h->text, "head_dim", heads > 0 ? floor(wide / heads) : 0);
    double part = maas_hf_number(h->text, "partial_rotary_factor",
                                 maas_hf_number(h->text, "rotary_pct", 1));
    part = maas_hf_number(r->all, "partial_rotary_factor", part);
    if (part != 1 && !(h->arch->flags & MAAS_HF_PARTIAL))
        return maas_fail(h->err, MAAS_E_UNSUPPORTED,
                         "config.json: 'partial_rotary_factor' is not 1");
    if (!(size >= 1 && size <= 8192) || !(part > 0 && part <= 1))
        return maas_fail(h->err, MAAS_E_FORMAT, "config.json: heads of %g, turned by %g", size,
                         part);
    r->size = (int64_t)(size * part);
    return part == 1 ? MAAS_OK : maas_hf_put_u64(h, "%s.rope.dimension_count", (uint64_t)r->size);
}

static maas_status needs(maas_hf *h, const rope *r, const char *key, double *out)
{
    *out = maas_hf_number(r->all, key, 0);
    if (*out > 0)
        return MAAS_OK;
    return maas_fail(h->err, MAAS_E_FORMAT, "config.json: rotary scaling '%.40s' needs '%s'",
                     r->type, key);
}

static maas_status put_linear(maas_hf *h, const rope *r)
{
    double factor;
    MAAS_TRY(needs(h, r, "factor", &factor));
    MAAS_TRY(maas_hf_put_text(h, "%s.rope.scaling.type", "linear"));
    return maas_hf_put_f64(h, "%s.rope.scaling.factor", factor);
}

static maas_status put_factors(maas_hf *h, const char *name, const float *by, int64_t n)
{
    const maas_gguf_tensor t = {.name = {name, strlen(name)},
                                .type = maas_quant_of(MAAS_Q_F32),
                                .rank = 1,
                                .dims = {n},
                                .data = (const uint8_t *)by,
                                .bytes = (size_t)n * sizeof *by};
    return maas_hf_put_tensor(h, &t);
}

/* Slow turns are slowed by `factor`, fast ones stay; in between it goes over smoothly. */
static maas_status put_llama3(maas_hf *h, const rope *r)
{
    double factor, low, high, context;
    const int64_t size = r->size, pairs = size / 2;
    MAAS_TRY(needs(h, r, "factor", &factor));
    MAAS_TRY(needs(h, r, "low_freq_factor", &low));
    MAAS_TRY(needs(h, r, "high_freq_factor", &high));
    MAAS_TRY(needs(h, r, "original_max_position_embeddings", &context));
    if (pairs < 1 || pairs > 4096 || !(high > low))
        return maas_fail(h->err, MAAS_E_FORMAT,
                         "config.json: rotary scaling 'llama3' of heads of "
                         "%lld, factors %g to %g",
                         (long long)size, low, high);
    float *by = maas_arena_array(h->a, (size_t)pairs, sizeof *by);
    if (!by)
        return maas_hf_no_memory(h);
    for (int64_t i = 0; i < pairs; i++) {
        const double wave = 2 * M_PI * pow(r->base, 2.0 * (double)i / (double)size);
        const double smooth = (context / wave - low) / (high - low);
        by[i] = (float)(wave < context / high  ? 1
                        : wave > context / low ? factor
                                               : 1 / ((1 - smooth) / factor + smooth));
    }
    return put_factors(h, "rope_freqs.weight", by, pairs);
}

/* The context that a model was first trained for, and how many times longer it is made. */
static maas_status find_stretch(maas_hf *h, const rope *r, double *context, double *factor)
{
    static const char key[] = "original_max_position_embeddings";
    const double whole = maas_hf_number(h->text, "max_position_embeddings", 0);
    *context = maas_hf_number(r->all, key, maas_hf_number(h->text, key, whole));
    *factor = maas_hf_number(r->all, "factor", *context > 0 ? whole / *context : 0);
    if (!(*context > 1) || !(*factor > 0))
        return maas_fail(h->err, MAAS_E_FORMAT, "config.json: rotary scaling '%.40s' of %g by %g",
                         r->type, *context, *factor);
    return maas_hf_put_f64(h, "%s.rope.scaling.original_context_length", *context);
}

static double mscale(double factor, double by)
{
    return factor > 1 ? 1 + 0.1 * by * log(factor) : 1;
}

static maas_status put_yarn(maas_hf *h, const rope *r)
{
    double context, factor;
    const double one = maas_hf_number(r->all, "mscale", 0),
                 all = maas_hf_number(r->all, "mscale_all_dim", 0);
    const double fast = maas_hf_number(r->all, "beta_fast", 0),
                 slow = maas_hf_number(r->all, "beta_slow", 0);
    if (json_is_false(json_object_get(r->all, "truncate")))
        return maas_fail(h->err, MAAS_E_UNSUPPORTED,
                         "config.json: rotary scaling 'yarn' with 'truncate' false");
    MAAS_TRY(find_stretch(h, r, &context, &factor));
    const double own = one != 0 && all != 0 ? mscale(factor, one) / mscale(factor, all)
                                            : mscale(factor, 1);
    const double size = maas_hf_number(r->all, "attention_factor", own);
    MAAS_TRY(maas_hf_put_text(h, "%s.rope.scaling.type", "yarn"));
    MAAS_TRY(maas_hf_put_f64(h, "%s.rope.scaling.factor", factor));
    /* The graph has mscale(factor, 1) by itself. */
    MAAS_TRY(maas_hf_put_f64(h, "%s.rope.scaling.yarn_attn_factor", size / mscale(factor, 1)));
    if (slow != 0)
        MAAS_TRY(maas_hf_put_f64(h, "%s.rope.scaling.yarn_beta_slow", slow));
    return fast != 0 ? maas_hf_put_f64(h, "%s.rope.scaling.yarn_beta_fast", fast) : MAAS_OK;
}

/* A list of config.json, a number for each pair. */
static maas_status put_list(maas_hf *h, const rope *r, const char *key, const char *weight)
{
    const json_t *list = json_object_get(r->all, key);
    const size_t n = (size_t)r->size / 2;
    float *by = maas_arena_array(h->a, n + 1, sizeof *by);
    if (!by)
        return maas_hf_no_memory(h);
    for (size_t i = 0; i < n; i++)
        by[i] = (float)json_number_value(json_array_get(list, i));
    for (size_t i = 0; i < n; i++)
        if (json_array_size(list) != n || !(by[i] > 0))
            return maas_fail(h->err, MAAS_E_FORMAT,
                             "config.json: '%s' must be a list of %zu numbers over 0", key, n);
    return put_factors(h, weight, by, (int64_t)n);
}

static maas_status put_longrope(maas_hf *h, const rope *r)
{
    double context, factor;
    MAAS_TRY(find_stretch(h, r, &context, &factor));
    MAAS_TRY(put_list(h, r, "short_factor", "rope_factors_short.weight"));
    MAAS_TRY(put_list(h, r, "long_factor", "rope_factors_long.weight"));
    const double own = factor > 1 ? sqrt(1 + log(factor) / log(context)) : 1;
    MAAS_TRY(maas_hf_put_text(h, "%s.rope.scaling.type", "longrope"));
    return maas_hf_put_f64(h, "%s.rope.scaling.attn_factor",
                           maas_hf_number(r->all, "attention_factor", own));
}

/* Kinds of scaling; others are refused by name. */
static const struct {
    const char *name;
    maas_status (*put)(maas_hf *h, const rope *r); /* NULL: there is nothing to say */
} scalings[] = {{"default", NULL},  {"linear", put_linear},     {"llama3", put_llama3},
                {"yarn", put_yarn}, {"longrope", put_longrope}, {"su", put_longrope}};

static maas_status put_local(maas_hf *h, const rope *r)
{
    double base = maas_hf_number(h->text, "local_rope_theta", 0);
    base = maas_hf_number(r->local, "rope_theta",
                          maas_hf_number(h->text, "rope_local_base_freq", base));
    if (base != 0 && h->arch->local_of)
        MAAS_TRY(maas_hf_put_f64(h, "%s.rope.freq_base_swa", base));
    if (r->local && strcmp(type_of(r->local), "default") != 0)
        return maas_fail(h->err, MAAS_E_UNSUPPORTED,
                         "config.json: rotary scaling '%.40s' of local layers", type_of(r->local));
    return MAAS_OK;
}

maas_status maas_hf_read_rope(maas_hf *h)
{
    rope r;
    find(h, &r);
    MAAS_TRY(put_local(h, &r));
    MAAS_TRY(find_size(h, &r));
    MAAS_TRY(maas_hf_put_f64(h, "%s.rope.freq_base", r.base));
    for (size_t i = 0; i < MAAS_COUNT(scalings); i++)
        if (strcmp(scalings[i].name, r.type) == 0)
            return scalings[i].put ? scalings[i].put(h, &r) : MAAS_OK;
    return maas_fail(h->err, MAAS_E_UNSUPPORTED,
                     "config.json: rotary scaling '%.40s' is not known; default, linear, llama3, "
                     "yarn and longrope are",
                     r.type);
}
