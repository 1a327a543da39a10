/* Files of sentence-transformers: what becomes of the tokens' vectors. */
#include <string.h>

#include "base/mem.h"
#include "lm/source/hf_int.h"
#include "base/ban.h"

enum { MEAN = 1, CLS = 2, LAST = 3, RANK = 4 }; /* %s.pooling_type */

static const struct {
    const char *key, *name; /* true under this key, or this word under pooling_mode */
    uint64_t type;
} modes[] = {{"pooling_mode_mean_tokens", "mean", MEAN},
             {"pooling_mode_cls_token", "cls", CLS},
             {"pooling_mode_lasttoken", "lasttoken", LAST}};

/* Answers have length 1 always: Normalize changes nothing. */
static const char *const modules[] = {"Transformer", "Pooling", "Normalize"};

static maas_status check_modules(maas_hf *h, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *type = maas_hf_word(json_array_get(list, i), "type");
        const char *point = strrchr(type, '.'), *name = point ? point + 1 : type;
        bool known = false;
        for (size_t k = 0; k < MAAS_COUNT(modules) && !known; k++)
            known = strcmp(name, modules[k]) == 0;
        if (!known)
            return maas_fail(h->err, MAAS_E_UNSUPPORTED,
                             "modules.json: a module of type '%.60s'; Transformer, Pooling and "
                             "Normalize are read",
                             name);
    }
    return MAAS_OK;
}

/* Exactly one way. */
static maas_status find_mode(maas_hf *h, const json_t *o, uint64_t *type)
{
    static const char prefix[] = "pooling_mode_";
    const char *name = json_string_value(json_object_get(o, "pooling_mode")), *key;
    const json_t *v;
    size_t n = name != NULL;
    json_object_foreach((json_t *)(uintptr_t)o, key, v)
        n += !name && strncmp(key, prefix, sizeof prefix - 1) == 0 && json_is_true(v);
    for (size_t i = 0; i < MAAS_COUNT(modes); i++)
        if (name ? strcmp(name, modes[i].name) == 0
                 : json_is_true(json_object_get(o, modes[i].key)))
            *type = modes[i].type;
    if (n == 1 && *type)
        return MAAS_OK;
    return maas_fail(h->err, MAAS_E_UNSUPPORTED,
                     MAAS_HF_POOLING ": one of pooling_mode_mean_tokens, _cls_token and _lasttoken "
                                     "must be true, and no other");
}

maas_status maas_hf_read_pooling(maas_hf *h)
{
    AUTO(maas_json_unref) json_t *list = NULL, *pooling = NULL;
    uint64_t type = h->arch->flags & MAAS_HF_RANK ? RANK : 0;
    MAAS_TRY(maas_hf_read_json(h, "modules.json", &list));
    MAAS_TRY(check_modules(h, list));
    MAAS_TRY(maas_hf_read_json(h, MAAS_HF_POOLING, &pooling));
    if (type == 0 && pooling)
        MAAS_TRY(find_mode(h, pooling, &type));
    if (type == 0 && h->arch->flags & MAAS_HF_ENCODER)
        type = MEAN;
    return type ? maas_hf_put_u64(h, "%s.pooling_type", type) : MAAS_OK;
}
