/*
 * Rotary positions of config.json: rope_theta and rope_scaling of older files, rope_parameters of
 * newer ones, which may have an object for each kind of layer.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "lm/source/hf_int.h"
#include "base/ban.h"

#define LOCAL_BASE 10000 /* of Gemma's local layers; lm/model/arch.c knows no other */

typedef struct rope {
    const json_t *all, *local; /* of global layers, of local ones; NULL: nothing is said */
    const char *type;
    double base;
} rope;

static double number(const json_t *o, const char *key, double otherwise)
{
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : otherwise;
}

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
    r->base = number(r->all, "rope_theta", number(h->text, "rope_theta", 10000));
}

static maas_status needs(maas_hf *h, const rope *r, const char *key, double *out)
{
    *out = number(r->all, key, 0);
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

/* Slow turns are slowed by `factor`, fast ones stay; in between it goes over smoothly. */
static maas_status put_llama3(maas_hf *h, const rope *r)
{
    double factor, low, high, context;
    const int64_t heads = (int64_t)number(h->text, "num_attention_heads", 0);
    const int64_t size = (int64_t)number(
        h->text, "head_dim", heads > 0 ? number(h->text, "hidden_size", 0) / (double)heads : 0);
    const int64_t pairs = size / 2;
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
    const maas_gguf_tensor t = {.name = {"rope_freqs.weight", 17},
                                .type = maas_quant_of(MAAS_Q_F32),
                                .rank = 1,
                                .dims = {pairs},
                                .data = (const uint8_t *)by,
                                .bytes = (size_t)pairs * sizeof *by};
    return maas_hf_put_tensor(h, &t);
}

/* Kinds of scaling; others are refused by name. */
static const struct {
    const char *name;
    maas_status (*put)(maas_hf *h, const rope *r); /* NULL: there is nothing to say */
} scalings[] = {{"default", NULL}, {"linear", put_linear}, {"llama3", put_llama3}};

static maas_status check_local(maas_hf *h, const rope *r)
{
    const double base = number(r->local, "rope_theta",
                               number(h->text, "rope_local_base_freq", LOCAL_BASE));
    if (base != LOCAL_BASE && h->arch->local_of)
        return maas_fail(h->err, MAAS_E_UNSUPPORTED,
                         "config.json: the rotary base of local layers is %g, and must be %d", base,
                         LOCAL_BASE);
    if (r->local && strcmp(type_of(r->local), "default") != 0)
        return maas_fail(h->err, MAAS_E_UNSUPPORTED,
                         "config.json: rotary scaling '%.40s' of local layers", type_of(r->local));
    return MAAS_OK;
}

maas_status maas_hf_read_rope(maas_hf *h)
{
    rope r;
    find(h, &r);
    MAAS_TRY(check_local(h, &r));
    if (number(r.all, "partial_rotary_factor", 1) != 1)
        return maas_fail(h->err, MAAS_E_UNSUPPORTED,
                         "config.json: 'partial_rotary_factor' is not 1");
    MAAS_TRY(maas_hf_put_f64(h, "%s.rope.freq_base", r.base));
    for (size_t i = 0; i < MAAS_COUNT(scalings); i++)
        if (strcmp(scalings[i].name, r.type) == 0)
            return scalings[i].put ? scalings[i].put(h, &r) : MAAS_OK;
    return maas_fail(h->err, MAAS_E_UNSUPPORTED,
                     "config.json: rotary scaling '%.40s' is not known; default, linear and llama3 "
                     "are",
                     r.type);
}
