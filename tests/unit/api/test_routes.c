/* Authorisation, derived from the table: every route, every kind of caller. A route that is added
 * is tested without a line here. */
#include "api/routes.h"
#include "api_test.h"

#define KEY_TEXT 128

static char answer[1 << 20];

static const char *const scope_names[] = {"infer", "read", "write", "train", "ops", "admin"};

/* The path of a route with something in the place of each parameter. */
static void path_of(const maas_route *route, char *out, size_t size)
{
    size_t n = 0;
    for (const char *p = route->path; *p && n + 4 < size; p++) {
        if (*p != '{') {
            out[n++] = *p;
            continue;
        }
        out[n++] = '1';
        p = strchr(p, '}');
    }
    out[n] = '\0';
}

/* Makes a key of these scopes through the registry and gives its secret. */
static void make_key(api *a, uint32_t scopes, int64_t ttl, char out[KEY_TEXT], char id[KEY_TEXT])
{
    AUTO(maas_json_unref) json_t *names = json_array(), *key = NULL;
    maas_err err = {0};
    for (size_t i = 0; i < MAAS_COUNT(scope_names); i++)
        if (scopes & 1u << i)
            json_array_append_new(names, json_string(scope_names[i]));
    EXPECT_MSG(maas_registry_key_create(a->app.registry, 1, "k", names, "*", ttl, &key, &err) ==
                   MAAS_OK,
               "%s", err.msg);
    snprintf(out, KEY_TEXT, "%s", json_string_value(json_object_get(key, "key")));
    snprintf(id, KEY_TEXT, "%s", json_string_value(json_object_get(key, "id")));
}

static int ask(api *a, const maas_route *route, const char *key)
{
    char path[512], header[KEY_TEXT + 64] = "";
    path_of(route, path, sizeof path);
    if (key)
        snprintf(header, sizeof header, "Authorization: Bearer %s\r\n", key);
    return api_request(a, route->method, path, header, "", answer, sizeof answer);
}

static bool let_in(int status)
{
    return status && status != 401 && status != 403;
}

static void every_route_and_every_caller(void)
{
    api a;
    char single[MAAS_COUNT(scope_names)][KEY_TEXT], all[KEY_TEXT], expired[KEY_TEXT],
        revoked[KEY_TEXT], id[KEY_TEXT], wrong[KEY_TEXT];
    maas_err err = {0};
    api_start(&a);
    make_key(&a, MAAS_SCOPE_ALL, 0, all, id);
    for (size_t i = 0; i < MAAS_COUNT(scope_names); i++)
        make_key(&a, 1u << i, 0, single[i], id);
    make_key(&a, MAAS_SCOPE_ALL, 1, expired, id);
    make_key(&a, MAAS_SCOPE_ALL, 0, revoked, id);
    EXPECT_EQ(maas_registry_key_delete(a.app.registry, 1, id, &err), MAAS_OK);
    snprintf(wrong, sizeof wrong, "%s", all);
    wrong[strlen(wrong) - 1] ^= 1;
    maas_sleep_ms(1100);
    const char *const strangers[] = {NULL, "", "mk_", "nonsense", wrong, expired, revoked};
    for (const maas_route *route = maas_routes; route->method; route++) {
        bool open = route->scope & MAAS_SCOPE_PUBLIC;
        for (size_t i = 0; i < MAAS_COUNT(strangers); i++) {
            int st = ask(&a, route, strangers[i]);
            EXPECT_MSG(open ? let_in(st) : st == 401, "%s %s, stranger %zu: %d", route->method,
                       route->path, i, st);
        }
        for (size_t i = 0; i < MAAS_COUNT(scope_names); i++) {
            bool may = open || route->scope == 1u << i;
            int st = ask(&a, route, single[i]);
            EXPECT_MSG(may ? let_in(st) : st == 403, "%s %s with scope %s: %d", route->method,
                       route->path, scope_names[i], st);
        }
        int st = ask(&a, route, all);
        EXPECT_MSG(let_in(st), "%s %s with all scopes: %d", route->method, route->path, st);
        EXPECT_MSG(st < 500, "%s %s: %d", route->method, route->path, st);
    }
    api_stop(&a);
}

static void the_table_is_well_formed(void)
{
    EXPECT_EQ(maas_routes[maas_n_routes].method == NULL, 1);
    for (size_t i = 0; i < maas_n_routes; i++) {
        const maas_route *r = &maas_routes[i];
        EXPECT_MSG(r->scope && r->handle && r->path[0] == '/' && r->summary && r->summary[0], "%s",
                   r->path);
        EXPECT_MSG((r->body == MAAS_BODY_NONE) == (r->max_body == 0), "%s", r->path);
        EXPECT_MSG((r->body == MAAS_BODY_STREAM) == (r->on_body != NULL), "%s", r->path);
        EXPECT_MSG(!(r->scope & MAAS_SCOPE_PUBLIC) || strcmp(r->method, "GET") == 0, "%s is public",
                   r->path);
        for (size_t k = 0; k < i; k++)
            EXPECT_MSG(strcmp(r->path, maas_routes[k].path) != 0 ||
                           strcmp(r->method, maas_routes[k].method) != 0,
                       "%s %s is there twice", r->method, r->path);
    }
}

/* Without keys a loopback server is open, but not to other hosts' web pages. */
static void before_the_first_key(void)
{
    api a;
    api_start(&a);
    EXPECT_EQ(api_request(&a, "GET", "/v2", "", "", answer, sizeof answer), 200);
    EXPECT_EQ(api_request(&a, "GET", "/api/v1/keys", "", "", answer, sizeof answer), 200);
    EXPECT_EQ(api_request(&a, "GET", "/v2", "Origin: https://evil.example\r\n", "", answer,
                          sizeof answer),
              403);
    api_stop(&a);
}

static void documentation_names_every_route(void)
{
    maas_buf openapi = MAAS_BUF_INIT(1u << 22), text = MAAS_BUF_INIT(1u << 22);
    json_t *doc = NULL;
    maas_err err = {0};
    maas_openapi_write(&openapi);
    maas_api_markdown(&text);
    maas_buf_char(&text, '\0');
    EXPECT_MSG(maas_json_parse(maas_buf_span(&openapi), &doc, &err) == MAAS_OK, "%s", err.msg);
    for (const maas_route *r = maas_routes; r->method; r++) {
        char method[16] = {0};
        for (size_t i = 0; r->method[i] && i < sizeof method - 1; i++)
            method[i] = (char)(r->method[i] | 32);
        EXPECT_MSG(json_object_get(json_object_get(json_object_get(doc, "paths"), r->path), method),
                   "%s %s", r->method, r->path);
        EXPECT_MSG(strstr((const char *)text.p, r->path), "%s", r->path);
    }
    json_decref(doc);
    maas_buf_reset(&openapi);
    maas_buf_reset(&text);
}

static const mt_case cases[] = {
    MT_CASE(the_table_is_well_formed),
    MT_CASE(every_route_and_every_caller),
    MT_CASE(before_the_first_key),
    MT_CASE(documentation_names_every_route),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
