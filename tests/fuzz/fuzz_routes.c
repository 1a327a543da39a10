/*
 * Any method and path, against a table with every kind of template. Whatever matched must be
 * explained by the route: as many parameters as it names, none empty.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "http/http.h"

static void handle(maas_req *r)
{
}

#define ROW(m, p)                                                                                  \
    {                                                                                              \
        .method = (m), .path = (p), .handle = handle, .scope = MAAS_SCOPE_PUBLIC                   \
    }
static const maas_route table[] = {
    ROW("GET", "/"),
    ROW("GET", "/v1/models"),
    ROW("GET", "/v1/models/{m}"),
    ROW("POST", "/v1/models/{m}:predict"),
    ROW("POST", "/v1/models/{m}:classify"),
    ROW("GET", "/v1/models/latest/{x}/y"),
    ROW("DELETE", "/v1/models/{m}/versions/{v}"),
    ROW("GET", "/{a}/{b}/{c}/{d}"),
    {0},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static maas_router *rt;
    static const char *const methods[] = {"GET", "POST", "DELETE", "HEAD", "OPTIONS", "X"};
    if (!rt && maas_router_create(table, &rt, NULL) != MAAS_OK)
        abort();
    if (!size)
        return 0;
    maas_arena a;
    maas_arena_init(&a, NULL);
    char *path = maas_strndup((const char *)data + 1, size - 1);
    maas_match m;
    maas_status st = maas_router_match(rt, methods[data[0] % MAAS_COUNT(methods)], path, &a, &m,
                                       NULL);
    if (st == MAAS_OK && m.route) {
        int braces = 0;
        for (const char *p = m.route->path; *p; p++)
            braces += *p == '{';
        if (braces != m.n_params || !m.path_known)
            abort();
        for (int i = 0; i < m.n_params; i++)
            if (!m.params[i][0])
                abort();
    }
    if (st == MAAS_OK && !m.route && m.path_known != (m.allow[0] != 0))
        abort();
    maas_arena_reset(&a);
    maas_free(path);
    return 0;
}
