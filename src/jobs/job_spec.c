#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "base/mem.h"
#include "base/num.h"
#include "jobs/jobs_int.h"
#include "learn/compress/compress.h"
#include "learn/search/search.h"
#include "learn/train.h"
#include "base/ban.h"

#define DEFAULT_MEMORY (2ll << 30) /* or all there is for jobs */

static const char *const keys[] = {"kind",      "model",    "dataset",     "target", "learner",
                                   "params",    "search",   "importances", "parent", "compress",
                                   "resources", "priority", NULL};
static const char *const resource_keys[] = {"cores", "memory", NULL};

/* "name" or "name:3" -> the data set's document (the newest version for a bare name). */
static maas_status find_dataset(maas_jobs *j, maas_tenant t, const char *key, const char *text,
                                json_t **out, maas_err *err)
{
    const char *colon = strrchr(text, ':');
    int64_t version = 0;
    AUTO_FREE char *name = maas_strndup(text, colon ? (size_t)(colon - text) : strlen(text));
    if (!name)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a job");
    if (colon && (!maas_parse_i64(colon + 1, &version) || version < 1))
        return maas_fail(err, MAAS_E_INVALID,
                         "'%s' must be \"name\" or \"name:version\", not '%.128s'", key, text);
    return maas_registry_dataset_get(j->opts.registry, t, name, version, out, err);
}

static maas_status check_target(const json_t *dataset, const char *target, maas_err *err)
{
    size_t i;
    json_t *column;
    json_array_foreach(json_object_get(dataset, "columns"), i, column)
    {
        const char *name = json_string_value(json_object_get(column, "name"));
        if (name && strcmp(name, target) == 0)
            return MAAS_OK;
    }
    return maas_fail(err, MAAS_E_INVALID, "data set '%s' has no column '%.128s' to be the target",
                     json_string_value(json_object_get(dataset, "name")), target);
}

/* The column to predict: "target" unless said, or none where the learner needs none. */
static maas_status settle_target(const json_t *dataset, const maas_learner *l, const char **target,
                                 maas_err *err)
{
    if (!*target && l && l->no_target)
        return MAAS_OK;
    *target = *target ? *target : "target";
    return check_target(dataset, *target, err);
}

/* params.graph names a second data set, whose rows are edges: it is found as the first one is, and
 * the spec says which version that was. */
static maas_status settle_edges(maas_jobs *j, maas_tenant t, const json_t *request,
                                const char *kind, json_t *spec, maas_err *err)
{
    AUTO(maas_json_unref) json_t *edges = NULL;
    const json_t *graph = json_object_get(json_object_get(request, "params"), "graph");
    const char *name = json_string_value(json_object_get(graph, "edges"));
    if (!name)
        return MAAS_OK;
    if (strcmp(kind, "train") != 0 && strcmp(kind, "update") != 0)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "params.graph goes with kind \"train\" and \"update\", not with \"%s\"",
                         kind);
    if (json_object_get(request, "importances"))
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "'importances': rows of a graph cannot be looked at one by one");
    MAAS_TRY(find_dataset(j, t, "params.graph.edges", name, &edges, err));
    json_object_set_new(spec, "edges",
                        json_pack("{s:O, s:O}", "name", json_object_get(edges, "name"), "version",
                                  json_object_get(edges, "version")));
    return MAAS_OK;
}

/* kind update: "parent" is a model version ("name", "name:2", "name@alias"; the model itself when
 * absent). It becomes "name:2", so that lineage and a resumed job mean the same one. So does the
 * "teacher" of a compression. */
static maas_status find_version(maas_jobs *j, maas_tenant t, const char *key, const char *text,
                                json_t *spec, maas_err *err)
{
    const maas_snapshot *snap = maas_registry_snapshot(j->opts.registry);
    const maas_snap_version *v;
    const char *name;
    maas_status st = snap ? maas_snapshot_resolve(snap, t, text, NULL, &name, &v, err)
                          : maas_fail(err, MAAS_E_NOMEM, "memory for a job");
    if (st == MAAS_OK)
        json_object_set_new(
            spec, key, json_pack("{s:s, s:I}", "model", name, "version", (json_int_t)v->version));
    maas_snapshot_unref(snap);
    return st;
}

static maas_status check_resources(maas_jobs *j, const json_t *request, json_t *spec, maas_err *err)
{
    const json_t *r = json_object_get(request, "resources"), *memory = json_object_get(r, "memory");
    int64_t cores = 0, priority = 0;
    int64_t bytes = j->opts.memory_bytes < DEFAULT_MEMORY ? (int64_t)j->opts.memory_bytes
                                                          : DEFAULT_MEMORY;
    AUTO(maas_json_unref) json_t *none = json_object();
    r = r ? r : none;
    if (!json_is_object(r))
        return maas_fail(err, MAAS_E_INVALID, "'resources' must be an object");
    MAAS_TRY(maas_json_only(r, "resources", resource_keys, err));
    MAAS_TRY(maas_json_get_i64(r, "resources", "cores", 0, j->opts.n_cores, &cores, err));
    MAAS_TRY(maas_json_get_i64(request, "", "priority", -1000, 1000, &priority, err));
    if (json_is_string(memory))
        MAAS_TRY(maas_size_parse(json_string_value(memory), &bytes, err));
    else
        MAAS_TRY(maas_json_get_i64(r, "resources", "memory", 1 << 20, INT64_MAX, &bytes, err));
    if ((uint64_t)bytes > j->opts.memory_bytes)
        return maas_fail(
            err, MAAS_E_INVALID, "'resources.memory' is %lld MiB; all jobs together have %llu MiB",
            (long long)(bytes >> 20), (unsigned long long)(j->opts.memory_bytes >> 20));
    json_object_set_new(
        spec, "resources",
        json_pack("{s:I, s:I}", "cores", (json_int_t)cores, "memory", (json_int_t)bytes));
    json_object_set_new(spec, "priority", json_integer(priority));
    return MAAS_OK;
}

static maas_status need(const char *value, const char *key, maas_err *err)
{
    return value && *value ? MAAS_OK : maas_fail(err, MAAS_E_INVALID, "'%s' is missing", key);
}

/* What each kind of job must say, and how that is checked before it is queued. */
typedef struct job_kind {
    const char *name;
    maas_status (*check)(maas_jobs *j, maas_tenant t, const json_t *request, json_t *spec,
                         maas_err *err);
} job_kind;

static const char *text_of(const json_t *request, const char *key)
{
    return json_string_value(json_object_get(request, key));
}

static maas_status check_train(maas_jobs *j, maas_tenant t, const json_t *request, json_t *spec,
                               maas_err *err)
{
    (void)j;
    (void)t;
    (void)spec;
    MAAS_TRY(need(text_of(request, "learner"), "learner", err));
    const maas_learner *l = maas_learner_find(text_of(request, "learner"));
    if (l && l->any_parent)
        return maas_fail(err, MAAS_E_INVALID,
                         "learner '%s' goes on from a version: 'kind' must be \"update\"", l->name);
    return maas_train_check(text_of(request, "learner"), json_object_get(request, "params"), err);
}

static maas_status check_update(maas_jobs *j, maas_tenant t, const json_t *request, json_t *spec,
                                maas_err *err)
{
    const char *parent = text_of(request, "parent"), *learner = text_of(request, "learner");
    const maas_learner *l = maas_learner_find(learner);
    if (l && l->any_parent) /* others have the rest of their parameters from the parent */
        MAAS_TRY(maas_train_check(learner, json_object_get(request, "params"), err));
    return find_version(j, t, "parent", parent ? parent : text_of(request, "model"), spec, err);
}

static maas_status check_search(maas_jobs *j, maas_tenant t, const json_t *request, json_t *spec,
                                maas_err *err)
{
    const char *learner = text_of(request, "learner");
    const maas_learner *l = maas_learner_find(learner);
    json_t *search = json_object_get(request, "search");
    (void)j;
    (void)t;
    MAAS_TRY(need(learner, "learner", err));
    if (!search)
        return maas_fail(err, MAAS_E_INVALID, "'search' is missing: what to try");
    if (l && l->any_parent)
        return maas_fail(err, MAAS_E_INVALID,
                         "learner '%s' goes on from a version; a search trains from scratch",
                         l->name);
    if (l && l->no_target)
        return maas_fail(err, MAAS_E_INVALID,
                         "learner '%s' has no target, so its candidates cannot be scored", l->name);
    MAAS_TRY(maas_search_check(learner, json_object_get(request, "params"), search, err));
    return json_object_set(spec, "search", search) == 0
               ? MAAS_OK
               : maas_fail(err, MAAS_E_NOMEM, "memory for a job");
}

/* What an update of a version is asked, and the steps in place of a recipe. */
static maas_status check_compress(maas_jobs *j, maas_tenant t, const json_t *request, json_t *spec,
                                  maas_err *err)
{
    static const char *const foreign[] = {"learner", "params", NULL};
    json_t *compress = json_object_get(request, "compress");
    for (int i = 0; foreign[i]; i++)
        if (json_object_get(request, foreign[i]))
            return maas_fail(err, MAAS_E_INVALID,
                             "'%s' goes with training; what a compression does is in 'compress'",
                             foreign[i]);
    if (!compress)
        return maas_fail(err, MAAS_E_INVALID, "'compress' is missing: {\"steps\"} or {\"target\"}");
    MAAS_TRY(maas_compress_check(compress, err));
    MAAS_TRY(check_update(j, t, request, spec, err));
    if (text_of(compress, "teacher"))
        MAAS_TRY(find_version(j, t, "teacher", text_of(compress, "teacher"), spec, err));
    return json_object_set(spec, "compress", compress) == 0
               ? MAAS_OK
               : maas_fail(err, MAAS_E_NOMEM, "memory for a job");
}

static const job_kind kinds[] = {
    {"train", check_train},
    {"update", check_update},
    {"search", check_search},
    {"compress", check_compress},
};

static maas_status find_kind(const char *name, const job_kind **out, maas_err *err)
{
    for (size_t i = 0; i < MAAS_COUNT(kinds); i++)
        if (strcmp(kinds[i].name, name) == 0) {
            *out = &kinds[i];
            return MAAS_OK;
        }
    return maas_fail(err, MAAS_E_INVALID,
                     "'kind' must be \"train\", \"update\", \"search\" or \"compress\", not "
                     "'%.32s'",
                     name);
}

/* "importances": true, or {"repeats","rows"}: weigh the columns of the version when it is trained.
 */
static maas_status check_importances(const json_t *request, const char *target, json_t *spec,
                                     maas_err *err)
{
    static const char *const known[] = {"repeats", "rows", NULL};
    const json_t *i = json_object_get(request, "importances");
    int64_t repeats = 5, rows = 2000;
    if (!i || json_is_false(i))
        return MAAS_OK;
    if (!json_is_true(i) && !json_is_object(i))
        return maas_fail(err, MAAS_E_INVALID, "'importances' must be true or an object");
    if (!target)
        return maas_fail(err, MAAS_E_INVALID,
                         "'importances' are losses of a score, and that needs a target");
    if (json_is_object(i)) {
        MAAS_TRY(maas_json_only(i, "importances", known, err));
        MAAS_TRY(maas_json_get_i64(i, "importances", "repeats", 1, 1000, &repeats, err));
        MAAS_TRY(maas_json_get_i64(i, "importances", "rows", 10, 1 << 30, &rows, err));
    }
    json_object_set_new(
        spec, "importances",
        json_pack("{s:I, s:I}", "repeats", (json_int_t)repeats, "rows", (json_int_t)rows));
    return MAAS_OK;
}

static maas_status check_texts(const json_t *request, maas_err *err)
{
    static const char *const texts[] = {"kind", "model", "dataset", "target", "learner", "parent"};
    const char *ignored;
    for (size_t i = 0; i < MAAS_COUNT(texts); i++)
        MAAS_TRY(maas_json_get_str(request, "", texts[i], &ignored, err));
    json_t *params = json_object_get(request, "params");
    if (params && !json_is_object(params))
        return maas_fail(err, MAAS_E_INVALID, "'params' must be an object");
    MAAS_TRY(need(text_of(request, "model"), "model", err));
    return need(text_of(request, "dataset"), "dataset", err);
}

static maas_status fill_spec(maas_jobs *j, maas_tenant t, const json_t *request, json_t *spec,
                             maas_err *err)
{
    AUTO(maas_json_unref) json_t *data = NULL;
    const job_kind *kind;
    MAAS_TRY(maas_json_only(request, "", keys, err));
    MAAS_TRY(check_texts(request, err));
    const char *model = text_of(request, "model"), *learner = text_of(request, "learner");
    const char *name = text_of(request, "kind"), *target = text_of(request, "target");
    MAAS_TRY(find_kind(name ? name : "train", &kind, err));
    if (!maas_name_valid(model) || strcmp(model, "stats") == 0)
        return maas_fail(err, MAAS_E_INVALID, "'%.128s' is no name for a model", model);
    if (json_object_get(request, "search") && kind->check != check_search)
        return maas_fail(err, MAAS_E_INVALID, "'search' goes with kind \"search\"");
    if (json_object_get(request, "compress") && kind->check != check_compress)
        return maas_fail(err, MAAS_E_INVALID, "'compress' goes with kind \"compress\"");
    MAAS_TRY(find_dataset(j, t, "dataset", text_of(request, "dataset"), &data, err));
    const bool update = kind->check == check_update || kind->check == check_compress;
    MAAS_TRY(settle_target(data, update ? NULL : maas_learner_find(learner), &target, err));
    MAAS_TRY(kind->check(j, t, request, spec, err));
    MAAS_TRY(check_importances(request, target, spec, err));
    MAAS_TRY(settle_edges(j, t, request, kind->name, spec, err));
    AUTO(maas_json_unref)
    json_t *said = json_pack("{s:s, s:s, s:s*, s:s*, s:O*}", "kind", kind->name, "model", model,
                             "target", target, "learner", learner, "params",
                             json_object_get(request, "params"));
    if (!said || json_object_update(spec, said) != 0)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a job");
    json_object_set_new(spec, "dataset",
                        json_pack("{s:O, s:O}", "name", json_object_get(data, "name"), "version",
                                  json_object_get(data, "version")));
    return check_resources(j, request, spec, err);
}

maas_status maas_job_spec_check(maas_jobs *j, maas_tenant t, const json_t *request,
                                json_t **out_spec, maas_err *err)
{
    AUTO(maas_json_unref) json_t *spec = json_object();
    if (!spec)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a job");
    MAAS_TRY(fill_spec(j, t, request, spec, err));
    *out_spec = STEAL(spec);
    return MAAS_OK;
}

maas_status maas_job_from_spec(maas_jobs *j, maas_tenant t, const char *id, const json_t *spec,
                               maas_job **out, maas_err *err)
{
    const json_t *r = json_object_get(spec, "resources");
    maas_job *job = maas_calloc(1, sizeof *job);
    if (!job)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a job");
    int64_t cores = json_integer_value(json_object_get(r, "cores"));
    *job = (maas_job){.all = j, .tenant = t, .fd = -1, .in = MAAS_BUF_INIT(64u << 20)};
    snprintf(job->id, sizeof job->id, "%s", id);
    job->spec = json_incref((json_t *)spec);
    job->priority = json_integer_value(json_object_get(spec, "priority"));
    job->all_cores = cores == 0;
    job->n_cores = cores && cores < j->opts.n_cores ? cores : j->opts.n_cores;
    job->memory = (uint64_t)json_integer_value(json_object_get(r, "memory"));
    *out = job;
    return MAAS_OK;
}

void maas_job_destroy(maas_job *job)
{
    if (!job)
        return;
    for (maas_subscriber *s = job->subscribers, *next; s; s = next) {
        next = s->next;
        maas_free(s);
    }
    if (job->fd >= 0)
        close(job->fd);
    json_decref(job->spec);
    json_decref(job->metrics);
    json_decref(job->done);
    json_decref(job->failed);
    maas_buf_reset(&job->in);
    maas_free(job);
}

/* Digests of the parent version, or of the teacher: its model file and, when kept, its optimizer
 * state. */
static maas_status files_of(maas_job *job, const char *key, json_t **out, maas_err *err)
{
    const json_t *p = json_object_get(job->spec, key);
    AUTO(maas_json_unref) json_t *v = NULL;
    if (!p)
        return MAAS_OK;
    MAAS_TRY(maas_registry_version_get(job->all->opts.registry, job->tenant,
                                       json_string_value(json_object_get(p, "model")),
                                       json_integer_value(json_object_get(p, "version")), &v, err));
    json_t *files = json_object_get(v, "files");
    if (!json_object_get(files, "model.onnx"))
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "version %lld of '%.128s' has no graph: jobs work on those alone",
                         (long long)json_integer_value(json_object_get(p, "version")),
                         json_string_value(json_object_get(p, "model")));
    *out = json_pack("{s:O*, s:O*}", "artifact", json_object_get(files, "model.onnx"), "state",
                     json_object_get(files, "optimizer.state"));
    return *out ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "memory for a job");
}

/* Of a data set that the spec names by version; NULL: it names none. */
static maas_status manifest_of(maas_job *job, const json_t *named, json_t **out, maas_err *err)
{
    return !named ? MAAS_OK
                  : maas_registry_dataset_get(job->all->opts.registry, job->tenant,
                                              json_string_value(json_object_get(named, "name")),
                                              json_integer_value(json_object_get(named, "version")),
                                              out, err);
}

maas_status maas_job_worker_spec(maas_job *job, json_t **out, maas_err *err)
{
    AUTO(maas_json_unref) json_t *data = NULL, *parent = NULL, *teacher = NULL, *edges = NULL;
    MAAS_TRY(manifest_of(job, json_object_get(job->spec, "dataset"), &data, err));
    MAAS_TRY(manifest_of(job, json_object_get(job->spec, "edges"), &edges, err));
    MAAS_TRY(files_of(job, "parent", &parent, err));
    MAAS_TRY(files_of(job, "teacher", &teacher, err));
    *out = json_pack(
        "{s:O, s:O*, s:O*, s:O*, s:O*, s:s, s:O, s:O*, s:O*, s:O*, s:O*, s:I, s:I, s:O*, s:s*}",
        "kind", json_object_get(job->spec, "kind"), "compress",
        json_object_get(job->spec, "compress"), "teacher", teacher, "search",
        json_object_get(job->spec, "search"), "importances",
        json_object_get(job->spec, "importances"), "data_dir", job->all->opts.data_dir, "dataset",
        data, "edges", edges, "learner", json_object_get(job->spec, "learner"), "params",
        json_object_get(job->spec, "params"), "target", json_object_get(job->spec, "target"),
        "n_cores", (json_int_t)job->n_cores, "memory", (json_int_t)job->memory, "parent", parent,
        "resume", job->checkpoint[0] ? job->checkpoint : NULL);
    return *out ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "memory for a job");
}
