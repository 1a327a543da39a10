#include "serve/lm_open.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

/* ---- lists ---- */

typedef struct entry {
    maas_str model, value; /* model.n 0: any */
} entry;

static maas_str trimmed(maas_str s)
{
    for (; s.n && s.p[0] == ' '; s.p++)
        s.n--;
    while (s.n && s.p[s.n - 1] == ' ')
        s.n--;
    return s;
}

/* The next of the list; false: there is none. */
static bool next_entry(const char **list, entry *out)
{
    const char *p = *list;
    if (!p || !*p)
        return false;
    const size_t n = strcspn(p, ",");
    const char *is = memchr(p, '=', n);
    const size_t at = is ? (size_t)(is - p) : 0;
    out->model = trimmed((maas_str){p, at});
    out->value = is ? trimmed((maas_str){is + 1, n - at - 1}) : trimmed((maas_str){p, n});
    *list = p + n + (p[n] == ',');
    return true;
}

static bool copied(maas_str s, char out[MAAS_MAX_NAME + 1])
{
    if (!s.n || s.n > MAAS_MAX_NAME)
        return false;
    memcpy(out, s.p, s.n);
    out[s.n] = 0;
    return true;
}

/* What the list says of a model; false: nothing. */
static bool value_of(const char *list, const char *model, char out[MAAS_MAX_NAME + 1])
{
    bool found = false;
    for (entry e; next_entry(&list, &e);) {
        const bool named = e.model.n == strlen(model) && memcmp(e.model.p, model, e.model.n) == 0;
        if (named || (!e.model.n && !found))
            found = copied(e.value, out);
        if (named)
            break;
    }
    return found;
}

maas_status maas_lm_settings_check(const maas_lm_settings *s, maas_err *err)
{
    const char *cache = s->cache, *draft = s->draft;
    char name[MAAS_MAX_NAME + 1];
    maas_lm_cache kind;
    for (entry e; next_entry(&cache, &e);) {
        if (!copied(e.value, name))
            return maas_fail(err, MAAS_E_INVALID, "lm-cache-type has an entry without a value");
        MAAS_TRY(maas_lm_cache_of(name, &kind, err));
    }
    for (entry e; next_entry(&draft, &e);)
        if (!copied(e.model, name) || !maas_name_valid(name) || !copied(e.value, name))
            return maas_fail(err, MAAS_E_INVALID,
                             "lm-draft must say MODEL=DRAFT, separated by commas: '%.*s' does not",
                             (int)(e.value.n < 64 ? e.value.n : 64), e.value.p);
    return MAAS_OK;
}

static maas_status cache_of(const maas_lm_settings *s, const char *model, maas_lm_cache *out,
                            maas_err *err)
{
    char name[MAAS_MAX_NAME + 1];
    *out = MAAS_LM_CACHE_F16;
    return value_of(s->cache, model, name) ? maas_lm_cache_of(name, out, err) : MAAS_OK;
}

/* ---- opening ---- */

/* The files of a version that a language model is read from: all that its format knows. */
static maas_status open_files(maas_registry *r, maas_tenant t, const char *name,
                              const maas_snap_version *v, maas_lm_files *out, maas_err *err)
{
    AUTO(maas_json_unref) json_t *doc = NULL;
    const char *path;
    json_t *hex;
    MAAS_TRY(maas_registry_version_get(r, t, name, v->version, &doc, err));
    json_object_foreach(json_object_get(doc, "files"), path, hex)
    {
        AUTO_FD fd = -1;
        uint64_t bytes;
        if (!maas_lm_is_member(path, v->format))
            continue;
        MAAS_TRY(maas_blob_open(r, json_string_value(hex), &fd, &bytes, err));
        MAAS_TRY(maas_lm_files_add(out, path, fd, err));
    }
    return MAAS_OK;
}

/* The files of the model that proposes, and how its cache is kept. */
static maas_status open_draft(maas_registry *r, maas_tenant t, const char *draft,
                              const maas_lm_settings *s, maas_lm_files *out, maas_lm_cache *cache,
                              maas_err *err)
{
    const maas_snapshot *snap = maas_registry_snapshot(r);
    const maas_snap_version *v = NULL;
    const char *name = NULL;
    if (!snap)
        return maas_fail(err, MAAS_E_NOMEM, "reading the registry");
    maas_status st = maas_snapshot_resolve(snap, t, draft, NULL, &name, &v, err);
    if (st == MAAS_OK && !maas_lm_is_format(v->format))
        st = maas_fail(err, MAAS_E_INVALID, "'%.64s' is no language model", draft);
    if (st == MAAS_OK)
        st = open_files(r, t, name, v, out, err);
    if (st == MAAS_OK)
        st = cache_of(s, name, cache, err);
    maas_snapshot_unref(snap);
    return st;
}

maas_status maas_lm_open(maas_registry *r, maas_tenant t, const char *name,
                         const maas_snap_version *v, const maas_lm_settings *s,
                         const maas_lm_service_opts *o, maas_lm_service **out, maas_err *err)
{
    AUTO(maas_lm_files_reset) maas_lm_files files = {0};
    AUTO(maas_lm_files_reset) maas_lm_files draft = {0};
    char by[MAAS_MAX_NAME + 1];
    maas_lm_service_opts opts = *o;
    maas_err why = {0};
    MAAS_TRY(cache_of(s, name, &opts.cache, err));
    MAAS_TRY(open_files(r, t, name, v, &files, err));
    if (value_of(s->draft, name, by)) {
        if (open_draft(r, t, by, s, &draft, &opts.draft_cache, &why) != MAAS_OK)
            return maas_fail(err, why.code, "the draft model of '%.64s': %s", name, why.msg);
        opts.draft = &draft;
    }
    return maas_lm_service_create(&files, name, v->version, &opts, out, err);
}
