#include "api/idem.h"

#include <string.h>

#include "api/reply.h"
#include "base/ban.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* a leaf */
static maas_idem *under_way; /* under lock; each on its io thread's stack */

/* False: another request works under the same key. */
static bool claim(maas_idem *i)
{
    maas_tenant t = maas_caller(i->req)->tenant;
    pthread_mutex_lock(&lock);
    const maas_idem *other = under_way;
    while (other && (maas_caller(other->req)->tenant != t || strcmp(other->key, i->key) != 0))
        other = other->next;
    if (!other) {
        i->next = under_way;
        under_way = i;
    }
    pthread_mutex_unlock(&lock);
    return !other;
}

static bool digest(maas_idem *i, const char *body_hex)
{
    maas_sha256 h;
    uint8_t sum[MAAS_SHA256_BYTES];
    maas_span body = body_hex ? maas_span_str(body_hex) : maas_req_body(i->req);
    if (!maas_sha256_init(&h))
        return false;
    const maas_route *route = maas_req_route(i->req);
    maas_sha256_add(&h, route->method, strlen(route->method) + 1);
    maas_sha256_add(&h, route->path, strlen(route->path) + 1);
    for (int p = 0; p < MAAS_MAX_PATH_PARAMS && maas_req_param(i->req, p); p++)
        maas_sha256_add(&h, maas_req_param(i->req, p), strlen(maas_req_param(i->req, p)) + 1);
    maas_sha256_add(&h, body.p, body.n);
    maas_sha256_done(&h, sum);
    maas_hex(sum, sizeof sum, i->request_hex);
    return true;
}

/* Before the reply: the other thread's client may ask again at once. */
static void end(maas_idem *i)
{
    pthread_mutex_lock(&lock);
    maas_idem **at = &under_way;
    while (*at && *at != i)
        at = &(*at)->next;
    if (*at)
        *at = i->next;
    pthread_mutex_unlock(&lock);
}

bool maas_idem_begin(maas_idem *i, maas_req *r, const char *body_hex)
{
    maas_err err = {0};
    int status = 0;
    json_t *body = NULL;
    *i = (maas_idem){.req = r, .key = maas_req_header(r, "Idempotency-Key")};
    if (!i->key)
        return false;
    maas_status st = MAAS_OK;
    if (!*i->key || strlen(i->key) > 255)
        st = maas_fail(&err, MAAS_E_INVALID, "Idempotency-Key must have 1 to 255 characters");
    else if (!digest(i, body_hex))
        st = maas_fail(&err, MAAS_E_NOMEM, "memory for one request");
    else if (!claim(i))
        st = maas_fail(&err, MAAS_E_CONFLICT,
                       "a request with this Idempotency-Key is under way: ask again");
    if (st == MAAS_OK)
        st = maas_registry_idem_get(maas_app_of(r)->registry, maas_caller(r)->tenant, i->key,
                                    i->request_hex, &status, &body, &err);
    if (st == MAAS_OK && !status)
        return false;
    end(i);
    if (st == MAAS_OK)
        maas_reply_tree(r, status, body);
    else
        maas_req_fail(r, &err);
    return true;
}

void maas_idem_reply(maas_idem *i, int http_status, json_t *body)
{
    maas_err err = {0};
    if (i->key && body &&
        maas_registry_idem_put(maas_app_of(i->req)->registry, maas_caller(i->req)->tenant, i->key,
                               i->request_hex, http_status, body, &err) != MAAS_OK) {
        /* The work is done and will be found by its name; only the memory of the key is not. */
        maas_req_set_header(i->req, "x-idempotency", "not-stored");
    }
    end(i);
    maas_reply_tree(i->req, http_status, body);
}

void maas_idem_fail(maas_idem *i, const maas_err *err)
{
    end(i);
    maas_req_fail(i->req, err);
}
