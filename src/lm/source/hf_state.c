/* config.json of models with a state: Mamba and Mamba 2. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "lm/source/hf_int.h"
#include "base/ban.h"

enum { CONTEXT = 1 << 20 }; /* there is no position in them that could end */

static const struct {
    const char *from, *key;
} rows[] = {{"state_size", "%s.ssm.state_size"}, {"conv_kernel", "%s.ssm.conv_kernel"}};

static maas_status put_count(maas_hf *h, const char *from, const char *key)
{
    const json_t *v = json_object_get(h->text, from);
    if (!json_is_integer(v) || json_integer_value(v) < 1)
        return maas_fail(h->err, MAAS_E_FORMAT, "config.json: '%s' must be a count", from);
    return maas_hf_put_u64(h, key, (uint64_t)json_integer_value(v));
}

/* What both have; *inner: channels. */
static maas_status put_common(maas_hf *h, double *inner)
{
    *inner = floor(maas_hf_number(h->text, "expand", 0) *
                   maas_hf_number(h->text, "hidden_size", 0));
    const double hidden = maas_hf_number(h->text, "hidden_size", 0);
    if (!(*inner >= 1 && *inner <= 1 << 30 && hidden >= 1 && hidden <= 1 << 30))
        return maas_fail(h->err, MAAS_E_FORMAT,
                         "config.json: 'expand' times 'hidden_size' must be a count");
    MAAS_TRY(maas_hf_put_u64(h, "%s.ssm.inner_size", (uint64_t)*inner));
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        MAAS_TRY(put_count(h, rows[i].from, rows[i].key));
    MAAS_TRY(maas_hf_put_f64(h, "%s.attention.layer_norm_rms_epsilon",
                             maas_hf_number(h->text, "layer_norm_epsilon", 0)));
    return maas_hf_put_u64(h, "%s.context_length", CONTEXT);
}

/* A number, or "auto": so many hidden ones for each. */
maas_status maas_hf_mamba_keys(maas_hf *h)
{
    const char *word = json_string_value(json_object_get(h->text, "time_step_rank"));
    double inner = 0;
    MAAS_TRY(put_common(h, &inner));
    if (!word || strcmp(word, "auto") != 0)
        return put_count(h, "time_step_rank", "%s.ssm.time_step_rank");
    return maas_hf_put_u64(h, "%s.ssm.time_step_rank",
                           (uint64_t)ceil(maas_hf_number(h->text, "hidden_size", 0) / 16));
}

/* [0, Infinity]: as it is, or as newer versions write it. */
static bool is_unlimited(const json_t *limits)
{
    const json_t *most = json_array_get(limits, 1);
    const char *word = json_string_value(most), *wrapped;
    wrapped = json_string_value(json_object_get(most, "__float__"));
    return !limits ||
           (json_array_size(limits) == 2 && json_number_value(json_array_get(limits, 0)) == 0 &&
            json_is_number(json_array_get(limits, 0)) &&
            ((word && strcmp(word, "inf") == 0) || (wrapped && strcmp(wrapped, "Infinity") == 0)));
}

maas_status maas_hf_mamba2_keys(maas_hf *h)
{
    const double heads = maas_hf_number(h->text, "num_heads", 0);
    const double size = maas_hf_number(h->text, "head_dim", 0);
    double inner = 0;
    MAAS_TRY(put_common(h, &inner));
    if (heads * size != inner)
        return maas_fail(h->err, MAAS_E_FORMAT,
                         "config.json: 'num_heads' %g of 'head_dim' %g are not the %g channels "
                         "that 'expand' and 'hidden_size' make",
                         heads, size, inner);
    if (!is_unlimited(json_object_get(h->text, "time_step_limit")))
        return maas_fail(h->err, MAAS_E_UNSUPPORTED,
                         "config.json: 'time_step_limit' is not [0, Infinity]: such models are not "
                         "read");
    if (!json_is_true(json_object_get(h->text, "rms_norm")))
        return maas_fail(h->err, MAAS_E_UNSUPPORTED,
                         "config.json: 'rms_norm' is not true: such models are not read");
    if (maas_hf_number(h->text, "n_groups", 0) != 1)
        return maas_fail(h->err, MAAS_E_UNSUPPORTED,
                         "config.json: 'n_groups' is not 1: transformers norms all channels at "
                         "once there, the library of the authors each group; a GGUF file is read, "
                         "which means the latter");
    json_object_del(h->text, "head_dim"); /* of no attention */
    MAAS_TRY(put_count(h, "n_groups", "%s.ssm.group_count"));
    return put_count(h, "num_heads", "%s.ssm.time_step_rank");
}
