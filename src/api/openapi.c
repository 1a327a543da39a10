/* api/openapi.c - /openapi.json (OpenAPI 3.1) and docs/api.md out of the routes table. */
#include <string.h>

#include "api/manage.h"
#include "api/reply.h"
#include "api/routes.h"
#include "registry/registry.h"
#include "base/ban.h"

/* Named schemas: what a route's request or response refers to. */
static const struct {
    const char *name, *schema;
} schemas[] = {
    {"Error", "{\"type\":\"object\",\"properties\":{\"error\":{}}}"},
    {"ServerMetadata",
     "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"version\":{\"type\":"
     "\"string\"},\"extensions\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}}}"},
    {"Tensor", "{\"type\":\"object\",\"required\":[\"name\",\"datatype\",\"shape\"],\"properties\":"
               "{\"name\":{\"type\":\"string\"},\"datatype\":{\"type\":\"string\"},\"shape\":{"
               "\"type\":\"array\",\"items\":{\"type\":\"integer\"}},\"parameters\":{\"type\":"
               "\"object\"},\"data\":{\"type\":\"array\"}}}"},
    {"ModelMetadata",
     "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"versions\":{\"type\":"
     "\"array\",\"items\":{\"type\":\"string\"}},\"platform\":{\"type\":\"string\"},\"inputs\":{"
     "\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/"
     "Tensor\"}},\"outputs\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/"
     "Tensor\"}}}}"},
    {"ModelConfig", "{\"type\":\"object\"}"},
    {"Statistics", "{\"type\":\"object\",\"properties\":{\"model_stats\":{\"type\":\"array\"}}}"},
    {"InferRequest",
     "{\"type\":\"object\",\"required\":[\"inputs\"],\"properties\":{\"id\":{\"type\":\"string\"},"
     "\"parameters\":{\"type\":\"object\"},\"inputs\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/"
     "components/schemas/Tensor\"}},\"outputs\":{\"type\":\"array\"}}}"},
    {"InferResponse",
     "{\"type\":\"object\",\"properties\":{\"model_name\":{\"type\":\"string\"},\"model_version\":{"
     "\"type\":\"string\"},\"id\":{\"type\":\"string\"},\"outputs\":{\"type\":\"array\",\"items\":{"
     "\"$ref\":\"#/components/schemas/Tensor\"}}}}"},
    {"PredictRequest",
     "{\"type\":\"object\",\"properties\":{\"instances\":{\"type\":\"array\"},\"inputs\":{}}}"},
    {"PredictResponse",
     "{\"type\":\"object\",\"properties\":{\"predictions\":{\"type\":\"array\"},\"outputs\":{}}}"},
    {"Invocation",
     "{\"type\":\"object\",\"properties\":{\"dataframe_split\":{\"type\":\"object\"},\"dataframe_"
     "records\":{\"type\":\"array\"},\"instances\":{\"type\":\"array\"},\"inputs\":{}}}"},
    {"Dataset",
     "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"version\":{\"type\":"
     "\"integer\"},\"rows\":{\"type\":\"integer\"},\"columns\":{\"type\":\"array\"}}}"},
    {"Version", "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"version\":{"
                "\"type\":\"integer\"},\"format\":{\"type\":\"string\"},\"inputs\":{\"type\":"
                "\"array\"},\"outputs\":{\"type\":\"array\"},\"metrics\":{},\"lineage\":{}}}"},
    {"VersionFiles",
     "{\"type\":\"object\",\"required\":[\"files\"],\"properties\":{\"files\":{\"type\":\"object\","
     "\"additionalProperties\":{\"type\":\"string\"}},\"format\":{\"type\":\"string\"}}}"},
    {"Alias", "{\"type\":\"object\",\"required\":[\"version\"],\"properties\":{\"version\":{"
              "\"type\":\"integer\"}}}"},
    {"Blob", "{\"type\":\"object\",\"properties\":{\"sha256\":{\"type\":\"string\"},\"bytes\":{"
             "\"type\":\"integer\"},\"complete\":{\"type\":\"boolean\"}}}"},
    {"Job",
     "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"kind\":{\"enum\":["
     "\"train\",\"update\",\"search\",\"compress\"]},\"search\":{\"type\":\"object\"},"
     "\"compress\":{\"type\":\"object\"},\"model\":{\"type\":\"string\"},\"dataset\":{\"type\":"
     "\"string\"},\"target\":{\"type\":\"string\"},\"learner\":{\"type\":\"string\"},"
     "\"params\":{\"type\":\"object\"},\"parent\":{\"type\":\"string\"},\"resources\":{"
     "\"type\":\"object\"},\"priority\":{\"type\":\"integer\"},\"state\":{\"enum\":["
     "\"queued\",\"running\",\"succeeded\",\"failed\",\"cancelled\"]},\"progress\":{"
     "\"type\":\"number\"},\"metrics\":{\"type\":\"object\"},\"result\":{},\"error\":{}}}"},
    {"Key",
     "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"scopes\":{\"type\":"
     "\"array\",\"items\":{\"enum\":[\"infer\",\"read\",\"write\",\"train\",\"ops\",\"admin\"]}},"
     "\"models\":{\"type\":\"string\"},\"ttl\":{\"type\":\"integer\"}}}"},
};

static const char *scope_name(uint32_t scope)
{
    static const char *const names[] = {"infer", "read", "write", "train", "ops", "admin"};
    for (size_t i = 0; i < MAAS_COUNT(names); i++)
        if (scope == 1u << i)
            return names[i];
    return "none";
}

/* An OpenAPI path has no ":predict" trouble, so the template is used as it is. */
static void put_parameters(maas_buf *b, const char *path)
{
    bool any = false;
    maas_buf_str(b, "\"parameters\":[");
    for (const char *p = strchr(path, '{'); p; p = strchr(p + 1, '{')) {
        maas_buf_printf(
            b,
            "%s{\"name\":\"%.*s\",\"in\":\"path\",\"required\":true,\"schema\":{\"type\":"
            "\"string\"}}",
            any ? "," : "", (int)strcspn(p + 1, "}"), p + 1);
        any = true;
    }
    maas_buf_str(b, "],");
}

static void put_operation(maas_buf *b, const maas_route *r)
{
    maas_buf_char(b, '"');
    for (const char *m = r->method; *m; m++)
        maas_buf_char(b, (char)(*m | 0x20));
    maas_buf_str(b, "\":{\"summary\":");
    maas_buf_json_str(b, r->summary, strlen(r->summary));
    maas_buf_char(b, ',');
    put_parameters(b, r->path);
    if (r->request)
        maas_buf_printf(b,
                        "\"requestBody\":{\"content\":{\"application/json\":{\"schema\":{\"$ref\":"
                        "\"#/components/schemas/%s\"}}}},",
                        r->request);
    else if (r->body == MAAS_BODY_STREAM)
        maas_buf_str(b, "\"requestBody\":{\"content\":{\"application/octet-stream\":{},"
                        "\"multipart/form-data\":{}}},");
    if (!(r->scope & MAAS_SCOPE_PUBLIC))
        maas_buf_printf(b, "\"security\":[{\"key\":[\"%s\"]}],", scope_name(r->scope));
    maas_buf_str(b, "\"responses\":{\"2XX\":{\"description\":\"success\"");
    if (r->response)
        maas_buf_printf(b,
                        ",\"content\":{\"application/json\":{\"schema\":{\"$ref\":\"#/components/"
                        "schemas/%s\"}}}",
                        r->response);
    maas_buf_str(b, "},\"default\":{\"description\":\"error\",\"content\":{\"application/json\":{"
                    "\"schema\":{\"$ref\":\"#/components/schemas/Error\"}}}}}}");
}

static bool path_seen(size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(maas_routes[k].path, maas_routes[i].path) == 0)
            return true;
    return false;
}

void maas_openapi_write(maas_buf *b)
{
    maas_buf_printf(
        b, "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"maas\",\"version\":\"%s\"},\"paths\":{",
        maas_version());
    for (size_t i = 0; i < maas_n_routes; i++) {
        if (path_seen(i))
            continue;
        maas_buf_str(b, i ? "," : "");
        maas_buf_json_str(b, maas_routes[i].path, strlen(maas_routes[i].path));
        maas_buf_str(b, ":{");
        bool any = false;
        for (size_t k = i; k < maas_n_routes; k++) {
            if (strcmp(maas_routes[k].path, maas_routes[i].path) != 0)
                continue;
            if (any)
                maas_buf_char(b, ',');
            put_operation(b, &maas_routes[k]);
            any = true;
        }
        maas_buf_char(b, '}');
    }
    maas_buf_str(b, "},\"components\":{\"securitySchemes\":{\"key\":{\"type\":\"http\",\"scheme\":"
                    "\"bearer\"}},\"schemas\":{");
    for (size_t i = 0; i < MAAS_COUNT(schemas); i++)
        maas_buf_printf(b, "%s\"%s\":%s", i ? "," : "", schemas[i].name, schemas[i].schema);
    maas_buf_str(b, "}}}");
}

void maas_openapi(maas_req *r)
{
    maas_buf b = MAAS_BUF_IN(maas_req_arena(r), 4u << 20);
    maas_openapi_write(&b);
    maas_reply_json(r, 200, &b);
}

void maas_api_markdown(maas_buf *b)
{
    maas_buf_str(
        b, "# REST reference\n\nGenerated from the routes table (`maas docs`); the same as "
           "OpenAPI at `/openapi.json`.\n\n| method | path | scope | what |\n|---|---|---|---|\n");
    for (size_t i = 0; i < maas_n_routes; i++) {
        const maas_route *r = &maas_routes[i];
        maas_buf_printf(b, "| %s | `%s` | %s | %s |\n", r->method, r->path,
                        r->scope & MAAS_SCOPE_PUBLIC ? "public" : scope_name(r->scope), r->summary);
    }
}
