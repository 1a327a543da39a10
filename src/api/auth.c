#include "api/auth.h"

#include <fnmatch.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/ban.h"

static const maas_principal everybody = {.tenant = 1, .scopes = MAAS_SCOPE_ALL, .models = "*"};

/* The host of "host", "host:port" or "[v6]:port". */
static maas_span host_of(const char *host_port)
{
    const char *end = strchr(host_port, ']');
    if (host_port[0] == '[' && end)
        return maas_span_of(host_port + 1, (size_t)(end - host_port) - 1);
    end = strrchr(host_port, ':');
    return maas_span_of(host_port, end ? (size_t)(end - host_port) : strlen(host_port));
}

bool maas_is_loopback(const char *host_port)
{
    maas_span h = host_of(host_port);
    if (h.n == 9 && strncasecmp((const char *)h.p, "localhost", 9) == 0)
        return true;
    return maas_span_is(h, "::1") || (h.n >= 4 && memcmp(h.p, "127.", 4) == 0 &&
                                      strspn((const char *)h.p, "0123456789.") >= h.n);
}

maas_status maas_check_exposure(const char *listen, bool has_tls, bool has_keys, maas_err *err)
{
    if (maas_is_loopback(listen) || (has_tls && has_keys))
        return MAAS_OK;
    if (!strchr(listen, ':'))
        return maas_fail(err, MAAS_E_INVALID, "--listen must be ADDRESS:PORT, not '%s'", listen);
    return maas_fail(err, MAAS_E_FORBIDDEN,
                     "listening on %s needs %s%s%s: make a key with `maas keys create` on a "
                     "loopback server, and give --tls-cert and --tls-key",
                     listen, has_keys ? "" : "an API key", has_keys || has_tls ? "" : " and ",
                     has_tls ? "" : "TLS");
}

/* The host part of an Origin "scheme://host:port". */
static bool origin_is_loopback(const char *origin)
{
    const char *at = strstr(origin, "://");
    return at && maas_is_loopback(at + 3);
}

static maas_status check_browser(const maas_req *r, maas_err *err)
{
    if (!maas_is_loopback(maas_app_of(r)->conf.listen))
        return MAAS_OK;
    const char *host = maas_req_header(r, "Host"), *origin = maas_req_header(r, "Origin");
    if (host && !maas_is_loopback(host))
        return maas_fail(err, MAAS_E_FORBIDDEN, "a loopback server answers only to loopback hosts");
    if (origin && !origin_is_loopback(origin))
        return maas_fail(err, MAAS_E_FORBIDDEN,
                         "requests from web pages of other hosts are refused");
    return MAAS_OK;
}

static const char *presented_key(const maas_req *r)
{
    const char *auth = maas_req_header(r, "Authorization");
    if (auth && strncasecmp(auth, "Bearer ", 7) == 0)
        return auth + 7;
    return maas_req_header(r, "x-api-key");
}

maas_status maas_authorize(maas_req *r, const maas_route *route, maas_err *err)
{
    MAAS_TRY(check_browser(r, err));
    if (route->scope & MAAS_SCOPE_PUBLIC)
        return MAAS_OK;
    const maas_snapshot *snap = maas_registry_snapshot(maas_app_of(r)->registry);
    if (!snap)
        return maas_fail(err, MAAS_E_NOMEM, "reading the keys");
    maas_status st = MAAS_OK;
    if (!maas_snapshot_has_keys(snap)) {
        maas_req_set_principal(r, &everybody);
    } else {
        const char *key = presented_key(r);
        maas_principal *who = maas_arena_alloc(maas_req_arena(r), sizeof *who);
        if (!who)
            st = maas_fail(err, MAAS_E_NOMEM, "memory for one request");
        else
            st = maas_snapshot_authenticate(snap, key ? key : "", who, err);
        if (st == MAAS_OK && (who->scopes & route->scope) != route->scope)
            st = maas_fail(err, MAAS_E_FORBIDDEN, "this key may not do that");
        maas_req_set_principal(r, st == MAAS_OK ? who : NULL);
    }
    maas_snapshot_unref(snap);
    return st;
}

maas_status maas_may_use_model(const maas_req *r, const char *model, maas_err *err)
{
    const maas_principal *who = maas_caller(r);
    size_t n = strcspn(model, ":@"); /* the glob is about names, not versions */
    char name[MAAS_MAX_NAME + 1];
    if (who->models[0] == '*' && !who->models[1])
        return MAAS_OK;
    if (n <= MAAS_MAX_NAME) {
        memcpy(name, model, n);
        name[n] = '\0';
        if (fnmatch(who->models, name, FNM_NOESCAPE) == 0)
            return MAAS_OK;
    }
    return maas_fail(err, MAAS_E_NOT_FOUND, "there is no model called '%.*s'", MAAS_MAX_NAME,
                     model);
}
