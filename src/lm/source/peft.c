/*
 * lm/source/peft.c - an adapter as PEFT saves it: adapter_config.json says what it is,
 * adapter_model.safetensors has "base_model.model.<module>.lora_A.weight" and lora_B of each linear
 * layer that it changes. Modules are named as the class of transformers has them, so the tables of
 * hf_arch.c say which weight is meant.
 *
 * What would add something else than (alpha / r) B A, or alpha / sqrt(r), is refused by name.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "formats/safetensors.h"
#include "lm/source/adapter.h"
#include "lm/source/hf_int.h"
#include "base/ban.h"

#define PREFIX "base_model.model."

typedef struct peft {
    const maas_adapter_base *base;
    maas_arena *a;
    maas_err *err;
    const json_t *config;
    double r, alpha;
    bool root; /* alpha / sqrt(r) */
} peft;

/* ---- adapter_config.json ---- */

/* What the others say changes nothing of what an adapter adds, or is read below. */
static const char *const harmless[] = {
    "alpha_pattern",
    "auto_mapping",
    "base_model_name_or_path",
    "bias",
    "corda_config",
    "eva_config",
    "exclude_modules",
    "fan_in_fan_out",
    "inference_mode",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "loftq_config",
    "lora_alpha",
    "lora_dropout",
    "lora_ga_config",
    "megatron_config",
    "megatron_core",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "r",
    "rank_pattern",
    "revision",
    "runtime_config",
    "target_modules",
    "task_type",
    "use_rslora",
};

static bool is_empty(const json_t *v)
{
    return !v || json_is_null(v) || json_is_false(v) || (json_is_array(v) && !json_array_size(v)) ||
           (json_is_object(v) && !json_object_size(v)) ||
           (json_is_string(v) && !json_string_length(v));
}

static bool is_listed(const char *word, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(word, list[i]) == 0)
            return true;
    return false;
}

static bool says(const peft *p, const char *key, const char *want)
{
    const char *s = json_string_value(json_object_get(p->config, key));
    return s && strcmp(s, want) == 0;
}

/* Some ways to begin take something out of the model's own weights. */
static bool begins_beside(const json_t *v)
{
    static const char *const words[] = {"gaussian", "eva", "orthogonal"};
    return !json_is_string(v) || is_listed(json_string_value(v), words, MAAS_COUNT(words));
}

static maas_status read_number(const peft *p, const char *key, double least, double *out)
{
    const json_t *v = json_object_get(p->config, key);
    *out = json_number_value(v);
    return json_is_number(v) && isfinite(*out) && *out >= least
               ? MAAS_OK
               : maas_fail(p->err, MAAS_E_FORMAT, "'%s' must be a number", key);
}

static maas_status read_config(peft *p)
{
    const char *key;
    json_t *v;
    if (!says(p, "peft_type", "LORA"))
        return maas_fail(p->err, MAAS_E_UNSUPPORTED, "'peft_type' is not LORA");
    json_object_foreach(
        (json_t *)(uintptr_t)p->config, key,
        v) if (!is_listed(key, harmless, MAAS_COUNT(harmless)) &&
               !is_empty(v)) return maas_fail(p->err, MAAS_E_UNSUPPORTED,
                                              "'%.60s' is not known: adapters that add products of "
                                              "two matrices to "
                                              "linear layers, and nothing else, are read",
                                              key);
    if (json_object_get(p->config, "bias") && !says(p, "bias", "none"))
        return maas_fail(p->err, MAAS_E_UNSUPPORTED, "'bias' is not none");
    if (!begins_beside(json_object_get(p->config, "init_lora_weights")))
        return maas_fail(p->err, MAAS_E_UNSUPPORTED,
                         "'init_lora_weights' is '%.40s', which changes the model's own weights: "
                         "convert the adapter to plain LoRA when it is saved",
                         json_string_value(json_object_get(p->config, "init_lora_weights")));
    p->root = json_is_true(json_object_get(p->config, "use_rslora"));
    MAAS_TRY(read_number(p, "r", 1, &p->r));
    return read_number(p, "lora_alpha", -1e6, &p->alpha);
}

/* ---- r and alpha of a module ---- */

/* The key is the module, or its last names; PEFT takes patterns, too. */
static maas_status is_meant(const peft *p, const char *field, const char *key, maas_str module,
                            bool *out)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    const bool whole = *key == '^';
    const size_t n = strlen(key + whole);
    if (!n || strspn(key + whole, letters) != n)
        return maas_fail(p->err, MAAS_E_UNSUPPORTED,
                         "'%s' has the pattern '%.60s': names of modules alone are read", field,
                         key);
    *out = n <= module.n && memcmp(module.p + module.n - n, key + whole, n) == 0 &&
           (n == module.n || (!whole && module.p[module.n - n - 1] == '.'));
    return MAAS_OK;
}

enum { MAX_PATTERNS = 4096 };

/* By the first key that fits. */
static maas_status number_of(const peft *p, const char *field, maas_str module, double *out)
{
    const json_t *all = json_object_get(p->config, field);
    const char *key;
    json_t *v;
    if (all && !json_is_null(all) && !json_is_object(all))
        return maas_fail(p->err, MAAS_E_FORMAT, "'%s' must be an object", field);
    if (json_object_size(all) > MAX_PATTERNS) /* each is tried for each weight */
        return maas_fail(p->err, MAAS_E_TOO_LARGE, "'%s' has %zu entries, %d at most", field,
                         json_object_size(all), MAX_PATTERNS);
    json_object_foreach((json_t *)(uintptr_t)all, key, v)
    {
        bool meant = false;
        MAAS_TRY(is_meant(p, field, key, module, &meant));
        if (!meant)
            continue;
        *out = json_number_value(v);
        return json_is_number(v) && isfinite(*out)
                   ? MAAS_OK
                   : maas_fail(p->err, MAAS_E_FORMAT, "'%s.%.60s' must be a number", field, key);
    }
    return MAAS_OK;
}

static maas_status scale_of(const peft *p, maas_str module, int64_t rank, double *out)
{
    double r = p->r, alpha = p->alpha;
    MAAS_TRY(number_of(p, "rank_pattern", module, &r));
    MAAS_TRY(number_of(p, "alpha_pattern", module, &alpha));
    if (r != (double)rank)
        return maas_fail(p->err, MAAS_E_FORMAT,
                         "the module '%.*s' has rank %lld, and adapter_config.json says %g",
                         (int)(module.n < 120 ? module.n : 120), module.p, (long long)rank, r);
    *out = alpha / (p->root ? sqrt(r) : r);
    return MAAS_OK;
}

/* ---- adapter_model.safetensors ---- */

static bool ends(maas_str s, const char *tail)
{
    const size_t n = strlen(tail);
    return s.n > n && memcmp(s.p + s.n - n, tail, n) == 0;
}

/* The module of a tensor, and which half it is; 0: neither. */
static char half_of(maas_str name, maas_str *module)
{
    static const char a[] = ".lora_A.weight", b[] = ".lora_B.weight";
    const size_t head = sizeof PREFIX - 1, tail = sizeof a - 1;
    const char which = ends(name, a) ? 'a' : ends(name, b) ? 'b' : 0;
    if (!which || name.n <= head + tail || memcmp(name.p, PREFIX, head) != 0)
        return 0;
    *module = (maas_str){name.p + head, name.n - head - tail};
    return which;
}

/* Of the classes that the architecture stands for, the first that has the weight. */
static maas_status weight_of(const peft *p, maas_str module, maas_str *out, uint32_t *flags)
{
    const int n = (int)(module.n < 120 ? module.n : 120);
    const maas_hf_weight *row = NULL;
    const char *full = maas_arena_printf(p->a, "%.*s.weight", (int)module.n, module.p);
    if (!full)
        return maas_fail(p->err, MAAS_E_NOMEM, "the index of an adapter");
    for (size_t i = 0; i < maas_hf_n_archs && !row; i++) {
        maas_hf h = {.a = p->a, .err = p->err, .arch = &maas_hf_archs[i]};
        if (strlen(h.arch->gguf) != p->base->arch.n ||
            memcmp(h.arch->gguf, p->base->arch.p, p->base->arch.n) != 0)
            continue;
        MAAS_TRY(maas_hf_rename(&h, (maas_str){full, strlen(full)}, out, &row));
        *flags = h.arch->flags;
    }
    if (!row || !row->to)
        return maas_fail(p->err, MAAS_E_UNSUPPORTED,
                         "the module '%.*s' is none that a class of the architecture '%.*s' has", n,
                         module.p, (int)p->base->arch.n, p->base->arch.p);
    if (row->how != MAAS_HF_AS_IS && row->how != MAAS_HF_TRANSPOSED)
        return maas_fail(p->err, MAAS_E_UNSUPPORTED,
                         "the module '%.*s': adapters do not change matrices of experts, nor those "
                         "that have queries, keys and values by groups",
                         n, module.p);
    return MAAS_OK;
}

/* Rotary pairs are halves of a head in transformers, and neighbours in GGUF. */
static maas_status permute(const peft *p, maas_gguf_tensor *t, const char *heads_key)
{
    static const char plain[] = "%s.attention.head_count";
    const maas_lm_source *m = p->base->source;
    uint64_t heads = 0;
    if (maas_lm_array_of(m, heads_key) || maas_lm_array_of(m, plain) ||
        (!maas_lm_u64(m, heads_key, &heads) && !maas_lm_u64(m, plain, &heads)))
        return maas_fail(p->err, MAAS_E_UNSUPPORTED,
                         "tensor '%.*s': the model's layers do not have one number of heads",
                         (int)t->name.n, t->name.p);
    const int64_t rows = t->dims[0], each = heads ? rows / (int64_t)heads : 0;
    const size_t bytes = rows ? t->bytes / (size_t)rows : 0;
    if (!each || each % 2 || each * (int64_t)heads != rows)
        return maas_fail(p->err, MAAS_E_FORMAT, "tensor '%.*s' has %lld rows, of %llu heads",
                         (int)t->name.n, t->name.p, (long long)rows, (unsigned long long)heads);
    uint8_t *to = maas_arena_alloc(p->a, t->bytes);
    if (!to)
        return maas_fail(p->err, MAAS_E_NOMEM, "the rows of an adapter");
    for (int64_t i = 0; i < rows; i++) {
        const int64_t at = i % each, half = at / (each / 2);
        memcpy(to + (size_t)(i - at + 2 * (at % (each / 2)) + half) * bytes,
               t->data + (size_t)i * bytes, bytes);
    }
    t->data = to;
    return MAAS_OK;
}

static maas_status permute_if(const peft *p, uint32_t flags, maas_str weight, maas_gguf_tensor *t)
{
    if (p->base->folder || !(flags & MAAS_HF_ROPE_HALVES))
        return MAAS_OK;
    if (ends(weight, ".attn_q.weight"))
        return permute(p, t, "%s.attention.head_count");
    if (ends(weight, ".attn_k.weight"))
        return permute(p, t, "%s.attention.head_count_kv");
    return MAAS_OK;
}

static maas_status add_tensor(const peft *p, const maas_st_tensor *s, maas_gguf_tensor *t,
                              double *scale)
{
    const int n = (int)(s->name.n < 160 ? s->name.n : 160);
    maas_str module, weight;
    uint32_t flags = 0;
    const char which = half_of(s->name, &module);
    const maas_quant *type = maas_hf_type(s->type->name);
    if (!which)
        return maas_fail(p->err, MAAS_E_UNSUPPORTED,
                         "tensor '%.*s' is no lora_A.weight or lora_B.weight of a module below "
                         "base_model.model: nothing else is read",
                         n, s->name.p);
    if (!type || s->rank != 2)
        return maas_fail(p->err, MAAS_E_UNSUPPORTED,
                         "tensor '%.*s' has rank %d and type %s: adapters are matrices of F32, F16 "
                         "or BF16",
                         n, s->name.p, s->rank, s->type->name);
    MAAS_TRY(weight_of(p, module, &weight, &flags));
    const char *name = maas_arena_printf(p->a, "%.*s.lora_%c", (int)weight.n, weight.p, which);
    if (!name)
        return maas_fail(p->err, MAAS_E_NOMEM, "the index of an adapter");
    *t = (maas_gguf_tensor){.name = {name, strlen(name)},
                            .type = type,
                            .rank = 2,
                            .dims = {s->dims[0], s->dims[1]},
                            .data = s->data,
                            .bytes = s->bytes};
    MAAS_TRY(scale_of(p, module, s->dims[which == 'b'], scale));
    return which == 'b' ? permute_if(p, flags, weight, t) : MAAS_OK;
}

static maas_status read_weights(const peft *p, const maas_lm_file *f, maas_adapter *out)
{
    maas_safetensors s;
    MAAS_TRY(maas_safetensors_open(f->bytes, p->a, &s, p->err));
    out->file = (maas_gguf){.version = 3, .alignment = 1};
    out->file.tensors = maas_arena_array(p->a, s.n_tensors + 1u, sizeof *out->file.tensors);
    out->scales = maas_arena_array(p->a, s.n_tensors + 1u, sizeof *out->scales);
    if (!out->file.tensors || !out->scales)
        return maas_fail(p->err, MAAS_E_NOMEM, "the index of an adapter");
    for (; out->file.n_tensors < s.n_tensors; out->file.n_tensors++)
        MAAS_TRY(add_tensor(p, &s.tensors[out->file.n_tensors],
                            &out->file.tensors[out->file.n_tensors],
                            &out->scales[out->file.n_tensors]));
    return maas_gguf_index(&out->file, p->a, p->err);
}

static maas_status parse(maas_span text, json_t **out, maas_err *err)
{
    if (text.n > MAAS_MAX_HF_CONFIG)
        return maas_fail(err, MAAS_E_TOO_LARGE, "it has %zu bytes", text.n);
    const maas_status st = maas_json_parse(text, out, err);
    if (st == MAAS_E_INVALID)
        return err->code = MAAS_E_FORMAT;
    if (st == MAAS_OK && !json_is_object(*out))
        return maas_fail(err, MAAS_E_FORMAT, "it must be an object");
    return st;
}

maas_status maas_peft_open(const maas_lm_file *config, const maas_lm_file *weights,
                           const maas_adapter_base *base, maas_arena *a, maas_adapter *out,
                           maas_err *err)
{
    AUTO(maas_json_unref) json_t *tree = NULL;
    peft p = {.base = base, .a = a, .err = err};
    maas_status st = parse(config->bytes, &tree, err);
    p.config = tree;
    st = st == MAAS_OK ? read_config(&p) : st;
    if (st != MAAS_OK) {
        maas_err_prefix(err, "adapter_config.json");
        return st;
    }
    st = read_weights(&p, weights, out);
    if (st != MAAS_OK)
        maas_err_prefix(err, "adapter_model.safetensors");
    return st;
}
