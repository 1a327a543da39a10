/*
 * api/routes.h - the routes table: the only way to a handler. Router, /openapi.json, docs/api.md
 * and the tests of authorisation are loops over it.
 */
#ifndef MAAS_API_ROUTES_H
#define MAAS_API_ROUTES_H

#include "http/http.h"

extern const maas_route maas_routes[]; /* ends with method NULL */
extern const size_t maas_n_routes;

/* OpenAPI 3.1 of the table. */
void maas_openapi_write(maas_buf *out);
/* docs/api.md: the same as Markdown. */
void maas_api_markdown(maas_buf *out);

#endif
