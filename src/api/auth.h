/*
 * api/auth.h - may this request go on? For maas_http_opts.authorize (I/O threads; no disk).
 *
 * Until the first key exists a loopback server is open. From then on every route that is not public
 * wants a key: `Authorization: Bearer mk_...` or `x-api-key: mk_...`. On loopback the Host header
 * must name loopback (a web page that rebinds its name must not reach us), and a request with an
 * Origin of another host is refused.
 */
#ifndef MAAS_API_AUTH_H
#define MAAS_API_AUTH_H

#include "api/app.h"

maas_status maas_authorize(maas_req *r, const maas_route *route, maas_err *err);
/* May the caller use this model (its key's glob)? E_NOT_FOUND, as for a model that is not there. */
maas_status maas_may_use_model(const maas_req *r, const char *model, maas_err *err);
/* Refuses to listen beyond loopback without keys and TLS: E_FORBIDDEN (exit 78). */
maas_status maas_check_exposure(const char *listen, bool has_tls, bool has_keys, maas_err *err);
bool maas_is_loopback(const char *host_port);

#endif
