/* api/datasets.c - /api/v1/datasets. */
#include <string.h>
#include <strings.h>

#include "api/idem.h"
#include "api/manage.h"
#include "api/reply.h"
#include "api/upload.h"
#include "base/mem.h"
#include "jobs/blob_io.h"
#include "base/num.h"
#include "base/ban.h"

/* ---- PUT ---- */

/* Reading options come as query parameters:
 * ?format=csv&header=false&delimiter=;&types={"c":"string"} */
static maas_status options_of(maas_req *r, json_t **out, maas_err *err)
{
    const char *header = maas_req_query(r, "header"), *types = maas_req_query(r, "types");
    const char *delimiter = maas_req_query(r, "delimiter");
    AUTO(maas_json_unref) json_t *o = json_object(), *t = NULL;
    if (types) {
        MAAS_TRY(maas_json_parse(maas_span_str(types), &t, err));
        if (!json_is_object(t))
            return maas_fail(err, MAAS_E_INVALID, "'types' must be an object of column: type");
        json_object_set(o, "types", t);
    }
    if (header && strcasecmp(header, "true") != 0 && strcasecmp(header, "false") != 0)
        return maas_fail(err, MAAS_E_INVALID, "'header' must be true or false");
    if (header)
        json_object_set_new(o, "header", json_boolean(strcasecmp(header, "true") == 0));
    if (delimiter && strlen(delimiter) != 1)
        return maas_fail(err, MAAS_E_INVALID, "'delimiter' must be one character");
    if (delimiter)
        json_object_set_new(o, "delimiter", json_string(delimiter));
    *out = STEAL(o);
    return MAAS_OK;
}

static maas_status import_parts(maas_req *r, const maas_upload *u, maas_dataset_writer *w,
                                const json_t *options, maas_err *err)
{
    for (const maas_upload_part *p = u->parts; p; p = p->next) {
        maas_table_sink sink = maas_dataset_writer_sink(w);
        maas_status st = maas_helper_import_table(
            maas_app_of(r)->helper, p->fd, maas_req_query(r, "format"), p->file_name,
            *p->name ? p->name : NULL, options, (int)maas_app_of(r)->conf.import_timeout, &sink,
            err);
        if (st != MAAS_OK && *p->name)
            maas_err_prefix(err, "part '%.64s'", p->name);
        MAAS_TRY(st);
    }
    return MAAS_OK;
}

/* What PUT answers: the schema without the digests of its blobs. */
static json_t *public_view(json_t *d)
{
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(d, "columns"), i, c)
    {
        json_object_del(c, "blob");
    }
    return d;
}

static maas_status put_dataset(maas_req *r, maas_upload *u, json_t **out, bool *created,
                               maas_err *err)
{
    maas_app *app = maas_app_of(r);
    const char *name = maas_req_param(r, 0);
    const maas_blob_io io = maas_blob_io_of(app->registry);
    AUTO(maas_json_unref) json_t *options = NULL, *manifest = NULL;
    maas_dataset_writer *w = NULL;
    int64_t version = 0;
    if (!maas_name_valid(name))
        return maas_fail(err, MAAS_E_INVALID, "'%.128s' is no name for a data set", name);
    MAAS_TRY(options_of(r, &options, err));
    MAAS_TRY(maas_dataset_writer_create(&io, &w, err));
    maas_status st = import_parts(r, u, w, options, err);
    if (st == MAAS_OK)
        st = maas_dataset_writer_finish(w, &manifest, err);
    maas_dataset_writer_destroy(w);
    MAAS_TRY(st);
    MAAS_TRY(maas_registry_dataset_put(app->registry, maas_caller(r)->tenant, name, manifest,
                                       &version, created, err));
    return maas_registry_dataset_get(app->registry, maas_caller(r)->tenant, name, version, out,
                                     err);
}

static bool put_on_io(maas_req *r)
{
    maas_upload *u = maas_req_state(r);
    maas_idem idem;
    maas_err err = {0};
    json_t *body = NULL;
    bool created = false;
    if (maas_idem_begin(&idem, r, maas_upload_digest(u)))
        return true;
    if (put_dataset(r, u, &body, &created, &err) == MAAS_OK)
        maas_idem_reply(&idem, created ? 201 : 200, public_view(body));
    else
        maas_idem_fail(&idem, &err);
    return true;
}

void maas_datasets_put(maas_req *r)
{
    maas_upload *u;
    maas_err err = {0};
    if (maas_upload_finish(r, &u, &err) != MAAS_OK)
        maas_req_fail(r, &err);
    else
        maas_iopool_run(maas_app_of(r)->io, r, put_on_io);
}

/* ---- GET, DELETE ---- */

static bool list_on_io(maas_req *r)
{
    maas_err err = {0};
    json_t *list = NULL;
    if (maas_registry_dataset_list(maas_app_of(r)->registry, maas_caller(r)->tenant, &list, &err) ==
        MAAS_OK)
        maas_reply_tree(r, 200, json_pack("{s:o}", "datasets", list));
    else
        maas_req_fail(r, &err);
    return true;
}

void maas_datasets_list(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, list_on_io);
}

/* "name" or "name:3" of the path. */
static maas_status split_name(maas_req *r, char name[MAAS_MAX_NAME + 1], int64_t *version,
                              maas_err *err)
{
    const char *text = maas_req_param(r, 0), *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : strlen(text);
    *version = 0;
    if (n > MAAS_MAX_NAME || (colon && (!maas_parse_i64(colon + 1, version) || *version < 1)))
        return maas_fail(err, MAAS_E_NOT_FOUND, "there is no data set '%.128s'", text);
    memcpy(name, text, n);
    name[n] = '\0';
    return MAAS_OK;
}

static bool get_on_io(maas_req *r)
{
    maas_err err = {0};
    json_t *d = NULL;
    char name[MAAS_MAX_NAME + 1];
    int64_t version;
    maas_status st = split_name(r, name, &version, &err);
    if (st == MAAS_OK)
        st = maas_registry_dataset_get(maas_app_of(r)->registry, maas_caller(r)->tenant, name,
                                       version, &d, &err);
    if (st == MAAS_OK)
        maas_reply_tree(r, 200, public_view(d));
    else
        maas_req_fail(r, &err);
    return true;
}

void maas_datasets_get(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, get_on_io);
}

static bool delete_on_io(maas_req *r)
{
    maas_err err = {0};
    maas_reply_status(r,
                      maas_registry_dataset_delete(maas_app_of(r)->registry, maas_caller(r)->tenant,
                                                   maas_req_param(r, 0), &err),
                      &err);
    return true;
}

void maas_datasets_delete(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, delete_on_io);
}
