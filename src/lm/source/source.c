#include "lm/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lm/source/adapter.h"
#include "lm/source/hf_int.h"
#include "base/ban.h"

#define MAX_PARTS 1024

struct maas_lm_source {
    maas_arena arena;
    maas_gguf *parts; /* keys are those of parts[0] */
    uint32_t n_parts, n_weights;
    maas_str arch;
    const char *format;
    maas_adapter *adapters;
    uint32_t n_adapters;
};

/* ---- opening ---- */

static int64_t number(const maas_gguf *g, const char *key, int64_t otherwise)
{
    const maas_gguf_value *v = maas_gguf_find(g, key);
    return v && v->type != MAAS_GGUF_ARRAY && v->type != MAAS_GGUF_STRING ? maas_gguf_i64(v, 0)
                                                                          : otherwise;
}

static maas_status open_part(maas_lm_source *s, const maas_lm_file *f, uint32_t n, maas_err *err)
{
    maas_gguf g;
    maas_status st = maas_gguf_open(f->bytes, &s->arena, &g, err);
    if (st != MAAS_OK) {
        maas_err_prefix(err, "%.80s", f->path);
        return st;
    }
    const int64_t count = number(&g, "split.count", 1), no = number(&g, "split.no", 0);
    if (count != n || no < 0 || no >= n)
        return maas_fail(err, MAAS_E_INVALID,
                         "%.80s is part %lld of %lld, and there are %u files: all parts of a "
                         "model belong into one version",
                         f->path, (long long)no + 1, (long long)count, n);
    if (s->parts[no].version)
        return maas_fail(err, MAAS_E_INVALID, "%.80s: part %lld comes twice", f->path,
                         (long long)no + 1);
    s->parts[no] = g;
    s->n_weights += g.n_tensors;
    return MAAS_OK;
}

/* A name may be in one part only. */
static maas_status check_names(const maas_lm_source *s, maas_err *err)
{
    char name[MAAS_MAX_GGUF_NAME + 1];
    for (uint32_t k = 1; k < s->n_parts; k++)
        for (uint32_t i = 0; i < s->parts[k].n_tensors; i++) {
            const maas_str *t = &s->parts[k].tensors[i].name;
            snprintf(name, sizeof name, "%.*s", (int)t->n, t->p);
            for (uint32_t j = 0; j < k; j++)
                if (maas_gguf_tensor_of(&s->parts[j], name))
                    return maas_fail(err, MAAS_E_FORMAT, "tensor '%s' is in two parts", name);
        }
    return MAAS_OK;
}

static maas_status open_model(maas_lm_source *s, const maas_lm_file *files, uint32_t n,
                              maas_err *err)
{
    const maas_gguf_value *arch;
    if (n == 0 || n > MAX_PARTS)
        return maas_fail(err, MAAS_E_INVALID, "a language model of %u files", n);
    s->parts = maas_arena_array(&s->arena, n, sizeof *s->parts);
    if (!s->parts)
        return maas_fail(err, MAAS_E_NOMEM, "the index of a language model");
    s->format = maas_hf_is(files, n) ? "safetensors" : "gguf";
    if (maas_hf_is(files, n)) {
        s->n_parts = 1;
        MAAS_TRY(maas_hf_open(files, n, &s->arena, &s->parts[0], err));
        s->n_weights = s->parts[0].n_tensors;
    } else {
        s->n_parts = n;
        for (uint32_t i = 0; i < n; i++)
            MAAS_TRY(open_part(s, &files[i], n, err));
        MAAS_TRY(check_names(s, err));
    }
    arch = maas_gguf_find(&s->parts[0], "general.architecture");
    if (!arch || arch->type != MAAS_GGUF_STRING || !arch->strings[0].n ||
        arch->strings[0].n > MAAS_MAX_GGUF_NAME / 2)
        return maas_fail(err, MAAS_E_FORMAT, "the key general.architecture is missing");
    s->arch = arch->strings[0];
    return MAAS_OK;
}

static maas_status open_adapters(maas_lm_source *s, const maas_lm_file *files, uint32_t n,
                                 maas_err *err)
{
    const maas_adapter_base base = {s, s->arch, strcmp(s->format, "gguf") != 0};
    s->adapters = n ? maas_arena_array(&s->arena, n, sizeof *s->adapters) : NULL;
    if (n && !s->adapters)
        return maas_fail(err, MAAS_E_NOMEM, "the index of %u adapters", n);
    for (uint32_t i = 0, has; i < n; i += has) {
        maas_adapter *x = &s->adapters[s->n_adapters];
        has = n - i < 2 ? n - i : 2;
        MAAS_TRY(maas_adapter_open(&files[i], &has, &base, &s->arena, x, err));
        if (maas_lm_adapter_of(s, x->name))
            return maas_fail(err, MAAS_E_INVALID, "the adapter '%.*s' comes twice", (int)x->name.n,
                             x->name.p);
        s->n_adapters++;
    }
    return MAAS_OK;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const maas_lm_file *)a)->path, ((const maas_lm_file *)b)->path);
}

/* The model's own files, and then those of its adapters, by name: requests may number them. */
static maas_status open_all(maas_lm_source *s, const maas_lm_file *files, uint32_t n, maas_err *err)
{
    uint32_t n_model = 0, n_adapters = 0;
    maas_lm_file *list = maas_arena_array(&s->arena, n ? n : 1, sizeof *list);
    if (!list)
        return maas_fail(err, MAAS_E_NOMEM, "a list of %u files", n);
    for (uint32_t i = 0; i < n; i++)
        if (!maas_lm_is_adapter(files[i].path))
            list[n_model++] = files[i];
    for (uint32_t i = 0; i < n; i++)
        if (maas_lm_is_adapter(files[i].path))
            list[n_model + n_adapters++] = files[i];
    if (n_adapters)
        qsort(list + n_model, n_adapters, sizeof *list, by_path);
    MAAS_TRY(open_model(s, list, n_model, err));
    return open_adapters(s, list + n_model, n_adapters, err);
}

maas_status maas_lm_source_open(const maas_lm_file *files, uint32_t n, maas_budget *budget,
                                maas_lm_source **out, maas_err *err)
{
    maas_lm_source *s = maas_calloc(1, sizeof *s);
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "a language model");
    maas_arena_init(&s->arena, budget);
    maas_status st = open_all(s, files, n, err);
    if (st == MAAS_OK)
        *out = s;
    else
        maas_lm_source_close(s);
    return st;
}

void maas_lm_source_close(maas_lm_source *s)
{
    if (!s)
        return;
    maas_arena_reset(&s->arena);
    maas_free(s);
}

/* ---- keys ---- */

const char *maas_lm_source_format(const maas_lm_source *s)
{
    return s->format;
}

maas_str maas_lm_source_arch(const maas_lm_source *s)
{
    return s->arch;
}

static const maas_gguf_value *find(const maas_lm_source *s, const char *key)
{
    char name[MAAS_MAX_GGUF_NAME + 1];
    if (strncmp(key, "%s.", 3) != 0)
        return maas_gguf_find(&s->parts[0], key);
    snprintf(name, sizeof name, "%.*s%s", (int)s->arch.n, s->arch.p, key + 2);
    return maas_gguf_find(&s->parts[0], name);
}

static const maas_gguf_value *find_number(const maas_lm_source *s, const char *key)
{
    const maas_gguf_value *v = find(s, key);
    return v && v->type != MAAS_GGUF_STRING && v->type != MAAS_GGUF_ARRAY ? v : NULL;
}

bool maas_lm_u64(const maas_lm_source *s, const char *key, uint64_t *out)
{
    const maas_gguf_value *v = find_number(s, key);
    const int64_t n = v ? maas_gguf_i64(v, 0) : -1;
    if (n < 0)
        return false;
    *out = (uint64_t)n;
    return true;
}

bool maas_lm_f64(const maas_lm_source *s, const char *key, double *out)
{
    const maas_gguf_value *v = find_number(s, key);
    if (v)
        *out = maas_gguf_f64(v, 0);
    return v != NULL;
}

bool maas_lm_bool(const maas_lm_source *s, const char *key, bool *out)
{
    const maas_gguf_value *v = find(s, key);
    if (!v || v->type != MAAS_GGUF_BOOL)
        return false;
    *out = maas_gguf_i64(v, 0) != 0;
    return true;
}

bool maas_lm_str(const maas_lm_source *s, const char *key, maas_str *out)
{
    const maas_gguf_value *v = find(s, key);
    if (!v || v->type != MAAS_GGUF_STRING)
        return false;
    *out = v->strings[0];
    return true;
}

const maas_lm_array *maas_lm_array_of(const maas_lm_source *s, const char *key)
{
    const maas_gguf_value *v = find(s, key);
    return v && v->type == MAAS_GGUF_ARRAY ? v : NULL;
}

/* ---- weights ---- */

uint32_t maas_lm_n_weights(const maas_lm_source *s)
{
    return s->n_weights;
}

const maas_lm_weight *maas_lm_weight_at(const maas_lm_source *s, uint32_t i)
{
    for (uint32_t k = 0; k < s->n_parts; k++) {
        if (i < s->parts[k].n_tensors)
            return &s->parts[k].tensors[i];
        i -= s->parts[k].n_tensors;
    }
    return NULL;
}

const maas_lm_weight *maas_lm_weight_of(const maas_lm_source *s, const char *name)
{
    for (uint32_t k = 0; k < s->n_parts; k++) {
        const maas_gguf_tensor *t = maas_gguf_tensor_of(&s->parts[k], name);
        if (t)
            return t;
    }
    return NULL;
}

/* ---- adapters ---- */

uint32_t maas_lm_n_adapters(const maas_lm_source *s)
{
    return s->n_adapters;
}

maas_str maas_lm_adapter_name(const maas_lm_source *s, uint32_t i)
{
    return s->adapters[i - 1].name;
}

uint32_t maas_lm_adapter_of(const maas_lm_source *s, maas_str name)
{
    for (uint32_t i = 0; i < s->n_adapters; i++)
        if (s->adapters[i].name.n == name.n && memcmp(s->adapters[i].name.p, name.p, name.n) == 0)
            return i + 1;
    return 0;
}

bool maas_lm_adapter_pair(const maas_lm_source *s, uint32_t i, const char *weight,
                          maas_lm_pair *out)
{
    return maas_adapter_pair(&s->adapters[i - 1], weight, out);
}

const maas_lm_weight *maas_lm_adapter_tensor(const maas_lm_source *s, uint32_t i, uint32_t k)
{
    const maas_gguf *g = &s->adapters[i - 1].file;
    return k < g->n_tensors ? &g->tensors[k] : NULL;
}
