#include "lm/source/adapter.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/ban.h"

#define FOLDER  "adapters/"
#define TAIL    ".gguf"
#define CONFIG  "/adapter_config.json"
#define WEIGHTS "/adapter_model.safetensors"
enum { MAX_RANK = 512, MAX_NAME = 64 };

/* ---- names ---- */

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

/* What is between "adapters/" and the tail; n 0: it is none, or not a name. */
static maas_str name_before(const char *path, const char *tail)
{
    const size_t n = strlen(path), head = sizeof FOLDER - 1, end = strlen(tail);
    if (n <= head + end || strncmp(path, FOLDER, head) != 0 || strcmp(path + n - end, tail) != 0)
        return (maas_str){0};
    maas_str name = {path + head, n - head - end};
    for (size_t i = 0; i < name.n; i++)
        if (!is_plain(name.p[i]))
            return (maas_str){0};
    return name.n > MAX_NAME ? (maas_str){0} : name;
}

static bool is_single(const char *path)
{
    const size_t n = strlen(path), tail = sizeof TAIL - 1;
    return strncmp(path, FOLDER, sizeof FOLDER - 1) == 0 && n > tail &&
           strcmp(path + n - tail, TAIL) == 0;
}

bool maas_lm_is_adapter(const char *path)
{
    return is_single(path) || name_before(path, CONFIG).n || name_before(path, WEIGHTS).n;
}

maas_str maas_lm_adapter_of_path(const char *path)
{
    const maas_str name = name_before(path, TAIL);
    return name.n ? name : name_before(path, CONFIG);
}

/* ---- pairs ---- */

static const maas_gguf_tensor *half_of(const maas_gguf *g, maas_str weight, char which)
{
    char name[MAAS_MAX_GGUF_NAME + 1];
    if (weight.n + 8 > sizeof name)
        return NULL;
    snprintf(name, sizeof name, "%.*s.lora_%c", (int)weight.n, weight.p, which);
    return maas_gguf_tensor_of(g, name);
}

bool maas_adapter_pair(const maas_adapter *x, const char *weight, maas_lm_pair *out)
{
    const maas_str name = {weight, strlen(weight)};
    out->a = half_of(&x->file, name, 'a');
    out->b = half_of(&x->file, name, 'b');
    if (!out->a || !out->b)
        return false;
    out->scale = x->scales       ? x->scales[out->b - x->file.tensors]
                 : x->alpha != 0 ? x->alpha / (double)out->a->dims[0]
                                 : 1;
    return true;
}

static bool is_float(const maas_gguf_tensor *t)
{
    return t->type->id == MAAS_Q_F32 || t->type->id == MAAS_Q_F16 || t->type->id == MAAS_Q_BF16;
}

/* A tensor is half of a pair, and both have one rank. */
static maas_status check_half(const maas_gguf *g, const maas_gguf_tensor *t, maas_err *err)
{
    const int n = (int)(t->name.n < 80 ? t->name.n : 80);
    const size_t stem = t->name.n > 7 ? t->name.n - 7 : 0;
    const bool is_a = stem && memcmp(t->name.p + stem, ".lora_a", 7) == 0;
    const bool is_b = stem && memcmp(t->name.p + stem, ".lora_b", 7) == 0;
    if (!is_a && !is_b)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "tensor '%.*s' is no .lora_a or .lora_b: adapters that do more than add "
                         "products of these are not known",
                         n, t->name.p);
    if (t->rank != 2 || !is_float(t))
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "tensor '%.*s' has rank %d and type %s: adapters are matrices of F32, F16 "
                         "or BF16",
                         n, t->name.p, t->rank, t->type->name);
    const maas_gguf_tensor *other = half_of(g, (maas_str){t->name.p, stem}, is_a ? 'b' : 'a');
    if (!other)
        return maas_fail(err, MAAS_E_FORMAT, "tensor '%.*s' comes without its other half", n,
                         t->name.p);
    const int64_t rank = t->dims[is_a ? 0 : 1];
    if (rank < 1 || rank > MAX_RANK)
        return maas_fail(err, MAAS_E_TOO_LARGE,
                         "tensor '%.*s' has rank %lld, at most %d is "
                         "possible",
                         n, t->name.p, (long long)rank, MAX_RANK);
    if (other->rank != 2 || other->dims[is_a ? 1 : 0] != rank)
        return maas_fail(err, MAAS_E_FORMAT, "tensor '%.*s' and its other half have not one rank",
                         n, t->name.p);
    return MAAS_OK;
}

/* ---- keys ---- */

static bool says(const maas_gguf *g, const char *key, const char *want, size_t n)
{
    const maas_gguf_value *v = maas_gguf_find(g, key);
    return v && v->type == MAAS_GGUF_STRING && v->strings[0].n == n &&
           memcmp(v->strings[0].p, want, n) == 0;
}

static maas_status read_keys(maas_adapter *x, maas_str arch, maas_err *err)
{
    const maas_gguf *g = &x->file;
    const maas_gguf_value *alpha = maas_gguf_find(g, "adapter.lora.alpha");
    if (!says(g, "general.type", "adapter", 7))
        return maas_fail(err, MAAS_E_INVALID, "the key general.type is not 'adapter'");
    if (!says(g, "adapter.type", "lora", 4))
        return maas_fail(err, MAAS_E_UNSUPPORTED, "the key adapter.type is not 'lora'");
    if (!says(g, "general.architecture", arch.p, arch.n))
        return maas_fail(err, MAAS_E_INVALID,
                         "the key general.architecture is not that of the model, '%.*s'",
                         (int)arch.n, arch.p);
    if (maas_gguf_find(g, "adapter.alora.invocation_tokens"))
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "adapters that begin at a token (adapter.alora.invocation_tokens) are not "
                         "known");
    if (!alpha || alpha->type == MAAS_GGUF_STRING || alpha->type == MAAS_GGUF_ARRAY)
        return maas_fail(err, MAAS_E_FORMAT, "the key adapter.lora.alpha is missing");
    x->alpha = maas_gguf_f64(alpha, 0);
    return isfinite(x->alpha) ? MAAS_OK
                              : maas_fail(err, MAAS_E_FORMAT, "adapter.lora.alpha is no number");
}

static maas_status open_single(const maas_lm_file *f, const maas_adapter_base *base, maas_arena *a,
                               maas_adapter *out, maas_err *err)
{
    if (base->folder) /* its rows are in the order of GGUF's matrices */
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "an adapter in GGUF is for a model in GGUF, and this one is a folder of "
                         "safetensors: give PEFT's folder");
    out->name = name_before(f->path, TAIL);
    if (!out->name.n)
        return maas_fail(err, MAAS_E_INVALID,
                         "an adapter is adapters/NAME.gguf, and NAME at most %d letters, digits, "
                         "'-', '_' and '.'",
                         MAX_NAME);
    MAAS_TRY(maas_gguf_open(f->bytes, a, &out->file, err));
    return read_keys(out, base->arch, err);
}

static maas_status open_any(const maas_lm_file *f, uint32_t *n, const maas_adapter_base *base,
                            maas_arena *a, maas_adapter *out, maas_err *err)
{
    const maas_str config = name_before(f[0].path, CONFIG);
    const maas_str weights = *n > 1 ? name_before(f[1].path, WEIGHTS) : (maas_str){0};
    if (is_single(f[0].path)) {
        *n = 1;
        return open_single(f, base, a, out, err);
    }
    const bool both = config.n && config.n == weights.n &&
                      memcmp(config.p, weights.p, config.n) == 0;
    *n = both ? 2 : 1;
    if (!both)
        return maas_fail(err, MAAS_E_INVALID,
                         "adapter_config.json and adapter_model.safetensors belong together, and "
                         "one of them is missing");
    out->name = config;
    return maas_peft_open(&f[0], &f[1], base, a, out, err);
}

maas_status maas_adapter_open(const maas_lm_file *f, uint32_t *n, const maas_adapter_base *base,
                              maas_arena *a, maas_adapter *out, maas_err *err)
{
    *out = (maas_adapter){0};
    maas_status st = open_any(f, n, base, a, out, err);
    for (uint32_t i = 0; st == MAAS_OK && i < out->file.n_tensors; i++)
        st = check_half(&out->file, &out->file.tensors[i], err);
    if (st == MAAS_OK && out->file.n_tensors == 0)
        st = maas_fail(err, MAAS_E_FORMAT, "it changes nothing: there are no tensors");
    if (st != MAAS_OK && *n == 2)
        maas_err_prefix(err, FOLDER "%.*s", (int)out->name.n, out->name.p);
    else if (st != MAAS_OK)
        maas_err_prefix(err, "%.80s", f->path);
    return st;
}
