/* api/keys.c - /api/v1/keys. The first key closes the server: from then on every request needs one.
 */
#include "api/idem.h"
#include "api/manage.h"
#include "api/reply.h"
#include "base/mem.h"
#include "base/ban.h"

static maas_status create(maas_req *r, json_t **out, maas_err *err)
{
    static const char *const keys[] = {"name", "scopes", "models", "ttl", NULL};
    AUTO(maas_json_unref) json_t *body = NULL;
    const char *name = "default", *models = "*";
    int64_t ttl = 0;
    MAAS_TRY(maas_body_object(r, &body, err));
    MAAS_TRY(maas_json_only(body, "", keys, err));
    MAAS_TRY(maas_json_get_str(body, "", "name", &name, err));
    MAAS_TRY(maas_json_get_str(body, "", "models", &models, err));
    MAAS_TRY(maas_json_get_i64(body, "", "ttl", 0, 100ll * 366 * 86400, &ttl, err));
    return maas_registry_key_create(maas_app_of(r)->registry, maas_caller(r)->tenant, name,
                                    json_object_get(body, "scopes"), models, ttl, out, err);
}

/* The answer holds the secret, so an Idempotency-Key must not store it: a repeated request with the
 * same name makes another key, which the client sees and can delete. */
static bool post_on_io(maas_req *r)
{
    maas_err err = {0};
    json_t *key = NULL;
    if (create(r, &key, &err) == MAAS_OK)
        maas_reply_tree(r, 201, key);
    else
        maas_req_fail(r, &err);
    return true;
}

void maas_keys_post(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, post_on_io);
}

static bool list_on_io(maas_req *r)
{
    maas_err err = {0};
    json_t *list = NULL;
    if (maas_registry_key_list(maas_app_of(r)->registry, maas_caller(r)->tenant, &list, &err) ==
        MAAS_OK)
        maas_reply_tree(r, 200, json_pack("{s:o}", "keys", list));
    else
        maas_req_fail(r, &err);
    return true;
}

void maas_keys_list(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, list_on_io);
}

static bool delete_on_io(maas_req *r)
{
    maas_err err = {0};
    maas_reply_status(r,
                      maas_registry_key_delete(maas_app_of(r)->registry, maas_caller(r)->tenant,
                                               maas_req_param(r, 0), &err),
                      &err);
    return true;
}

void maas_keys_delete(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, delete_on_io);
}
