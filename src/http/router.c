/*
 * The routes table compiled into a trie of path segments.
 *
 *   /v2/models            /v2/models/{m}/infer          /v1/models/{m}:predict
 *
 *   root - v2 - models* - {m} - infer*
 *        \ v1 - models  - {m}:predict*                  * routes end here
 *
 * Siblings are ordered: literals, then parameters with a tail (longest first), then plain ones, so
 * the first match is the best; when its subtree has no end for the path, the walk goes back to the
 * next sibling. The walk keeps one node a level (no recursion); how often it goes back depends on
 * the table alone, never on the request.
 *
 * INVARIANT: a node is reached only by segments that match it, so params are cut at the end.
 */
#include <stdio.h>

#include "base/mem.h"
#include "http/http_int.h"
#include "base/ban.h"

#define MAX_SEGMENTS 16
#define NO_NODE      UINT32_MAX

typedef struct route_link {
    const maas_route *route;
    uint32_t method; /* bit of `methods` */
    uint32_t next;   /* index of the next route with the same path, or NO_NODE */
} route_link;

typedef struct path_node {
    maas_span text; /* the literal, or the tail of a parameter; borrowed from the table */
    bool is_param;
    uint8_t dialect; /* of the first route that goes through here */
    uint32_t child, sibling;
    uint32_t routes; /* index into links */
} path_node;

struct maas_router {
    path_node *nodes; /* nodes[0] is the root */
    route_link *links;
    size_t n_nodes, cap_nodes, n_links, cap_links;
    uint8_t dialect; /* of a path that begins like no route */
};

static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"};
enum { METHOD_GET = 1, METHOD_HEAD = 2, METHOD_OPTIONS = 64 };

/* 0: a method that no route can have. */
static uint32_t method_bit(const char *name)
{
    for (size_t i = 0; i < MAAS_COUNT(methods); i++)
        if (strcmp(methods[i], name) == 0)
            return 1u << i;
    return 0;
}

/* ---- building ---- */

/* "{m}:tail" is a parameter; braces anywhere else are a mistake of the table. */
static bool parse_segment(maas_span seg, path_node *out)
{
    *out = (path_node){.text = seg, .child = NO_NODE, .sibling = NO_NODE, .routes = NO_NODE};
    if (seg.n && seg.p[0] == '{') {
        const uint8_t *end = memchr(seg.p, '}', seg.n);
        if (!end || end == seg.p + 1)
            return false;
        out->is_param = true;
        out->text = maas_span_of(end + 1, seg.n - (size_t)(end + 1 - seg.p));
    }
    return !out->text.n ||
           (!memchr(out->text.p, '{', out->text.n) && !memchr(out->text.p, '}', out->text.n) &&
            !memchr(out->text.p, '%', out->text.n));
}

/* Does `a` come before `b` among siblings? */
static bool goes_first(const path_node *a, const path_node *b)
{
    if (a->is_param != b->is_param)
        return !a->is_param;
    return a->is_param && a->text.n > b->text.n;
}

static maas_status child_of(maas_router *rt, uint32_t parent, path_node want, uint32_t *out,
                            maas_err *err)
{
    uint32_t *link = &rt->nodes[parent].child;
    for (uint32_t i = *link; i != NO_NODE; i = rt->nodes[i].sibling) {
        const path_node *n = &rt->nodes[i];
        if (n->is_param == want.is_param && maas_span_eq(n->text, want.text)) {
            *out = i;
            return MAAS_OK;
        }
    }
    if (!maas_grow(&rt->nodes, &rt->cap_nodes, rt->n_nodes + 1, sizeof *rt->nodes))
        return maas_fail(err, MAAS_E_NOMEM, "routes table");
    link = &rt->nodes[parent].child;
    while (*link != NO_NODE && !goes_first(&want, &rt->nodes[*link]))
        link = &rt->nodes[*link].sibling;
    want.sibling = *link;
    *link = *out = (uint32_t)rt->n_nodes;
    rt->nodes[rt->n_nodes++] = want;
    return MAAS_OK;
}

static maas_status add_link(maas_router *rt, uint32_t node, const maas_route *route, maas_err *err)
{
    uint32_t bit = method_bit(route->method);
    if (!bit)
        return maas_fail(err, MAAS_E_INVALID, "route %s %s: unknown method", route->method,
                         route->path);
    for (uint32_t i = rt->nodes[node].routes; i != NO_NODE; i = rt->links[i].next)
        if (rt->links[i].method == bit)
            return maas_fail(err, MAAS_E_CONFLICT, "route %s %s is listed twice", route->method,
                             route->path);
    if (!maas_grow(&rt->links, &rt->cap_links, rt->n_links + 1, sizeof *rt->links))
        return maas_fail(err, MAAS_E_NOMEM, "routes table");
    rt->links[rt->n_links] = (route_link){route, bit, rt->nodes[node].routes};
    rt->nodes[node].routes = (uint32_t)rt->n_links++;
    return MAAS_OK;
}

/* A row that would not be safe to serve does not start the server. */
static maas_status check_row(const maas_route *r, maas_err *err)
{
    if (!r->path || r->path[0] != '/' || !r->handle)
        return maas_fail(err, MAAS_E_INVALID, "route %s %s: needs a path from '/' and a handler",
                         r->method, r->path ? r->path : "(none)");
    if (!r->scope)
        return maas_fail(err, MAAS_E_INVALID, "route %s %s has no scope", r->method, r->path);
    if ((r->body == MAAS_BODY_STREAM) != (r->on_body != NULL))
        return maas_fail(err, MAAS_E_INVALID,
                         "route %s %s: on_body and the stream mode go together", r->method,
                         r->path);
    if ((r->body == MAAS_BODY_NONE) != (r->max_body == 0))
        return maas_fail(err, MAAS_E_INVALID, "route %s %s: body mode and max_body disagree",
                         r->method, r->path);
    return MAAS_OK;
}

static maas_status add_route(maas_router *rt, const maas_route *route, maas_err *err)
{
    MAAS_TRY(check_row(route, err));
    uint32_t at = 0;
    int n_params = 0, n_segments = 0;
    for (const char *p = route->path; p; n_segments++) {
        const char *begin = p + 1, *end = strchr(begin, '/');
        size_t n = end ? (size_t)(end - begin) : strlen(begin);
        path_node want;
        if (!parse_segment(maas_span_of(begin, n), &want) || n_segments == MAX_SEGMENTS)
            return maas_fail(err, MAAS_E_INVALID, "route %s %s: bad path template", route->method,
                             route->path);
        n_params += want.is_param;
        want.dialect = route->dialect;
        MAAS_TRY(child_of(rt, at, want, &at, err));
        p = end;
    }
    if (n_params > MAAS_MAX_PATH_PARAMS)
        return maas_fail(err, MAAS_E_INVALID, "route %s %s has %d parameters, %d allowed",
                         route->method, route->path, n_params, MAAS_MAX_PATH_PARAMS);
    return add_link(rt, at, route, err);
}

maas_status maas_router_create(const maas_route *routes, maas_router **out, maas_err *err)
{
    AUTO_FREE maas_router *rt = maas_calloc(1, sizeof *rt);
    if (!rt || !maas_grow(&rt->nodes, &rt->cap_nodes, 1, sizeof *rt->nodes))
        return maas_fail(err, MAAS_E_NOMEM, "routes table");
    rt->nodes[rt->n_nodes++] = (path_node){.child = NO_NODE, .sibling = NO_NODE, .routes = NO_NODE};
    rt->dialect = routes->method ? routes->dialect : 0;
    for (const maas_route *r = routes; r->method; r++) {
        maas_status st = add_route(rt, r, err);
        if (st != MAAS_OK) {
            maas_router_destroy(STEAL(rt));
            return st;
        }
    }
    *out = STEAL(rt);
    return MAAS_OK;
}

void maas_router_destroy(maas_router *rt)
{
    if (!rt)
        return;
    maas_free(rt->nodes);
    maas_free(rt->links);
    maas_free(rt);
}

/* ---- matching ---- */

typedef struct segments {
    struct {
        char *p; /* decoded, NUL-terminated, in the arena */
        size_t n;
    } at[MAX_SEGMENTS];
    size_t n;
    bool too_many, bad_escape;
} segments;

/* In place. false: a bad escape, or one that hides a NUL. */
static bool decode(char *s, size_t n, size_t *out_n)
{
    size_t to = 0;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (c == '%') {
            int hi = i + 2 < n ? http_hex_digit(s[i + 1]) : -1;
            int lo = hi >= 0 ? http_hex_digit(s[i + 2]) : -1;
            if (lo < 0 || (c = (char)(hi * 16 + lo)) == 0)
                return false;
            i += 2;
        }
        s[to++] = c;
    }
    s[to] = 0;
    *out_n = to;
    return true;
}

/* `path` (a copy, NUL-terminated) is cut at '/' and each piece decoded on its own, so that an
 * escaped slash stays inside its segment. */
static void split(char *path, segments *out)
{
    out->n = 0;
    out->too_many = out->bad_escape = false;
    for (char *p = path + 1; p;) {
        if (out->n == MAX_SEGMENTS) {
            out->too_many = true;
            return;
        }
        char *end = strchr(p, '/');
        size_t n = end ? (size_t)(end - p) : strlen(p);
        p[n] = 0;
        if (!memchr(p, '%', n))
            out->at[out->n].n = n;
        else if (!decode(p, n, &out->at[out->n].n)) {
            out->bad_escape = true;
            return;
        }
        out->at[out->n++].p = p;
        p = end ? end + 1 : NULL;
    }
}

static bool node_matches(const path_node *n, const char *p, size_t len)
{
    if (!n->is_param)
        return n->text.n == len && memcmp(n->text.p, p, len) == 0;
    return len > n->text.n && memcmp(p + len - n->text.n, n->text.p, n->text.n) == 0;
}

/* The route of `node` for a method; adds what the node allows to *allow. */
static const maas_route *route_of(const maas_router *rt, uint32_t node, uint32_t method,
                                  uint32_t *allow)
{
    const maas_route *get = NULL;
    for (uint32_t i = rt->nodes[node].routes; i != NO_NODE; i = rt->links[i].next) {
        const route_link *l = &rt->links[i];
        *allow |= l->method;
        if (l->method == method)
            return l->route;
        if (l->method == METHOD_GET)
            get = l->route;
    }
    return method == METHOD_HEAD ? get : NULL;
}

/* Walks the trie; true when a route was found, and path[] then names the nodes. */
static bool walk(const maas_router *rt, const segments *segs, uint32_t method, uint32_t *path,
                 maas_match *out, uint32_t *allow)
{
    size_t depth = 0, deepest = 0;
    uint32_t at = rt->nodes[0].child;
    while (segs->n) {
        while (at != NO_NODE && !node_matches(&rt->nodes[at], segs->at[depth].p, segs->at[depth].n))
            at = rt->nodes[at].sibling;
        if (at == NO_NODE) {
            if (depth == 0)
                break;
            at = rt->nodes[path[--depth]].sibling;
            continue;
        }
        path[depth] = at;
        if (depth >= deepest) {
            deepest = depth + 1;
            out->dialect = rt->nodes[at].dialect;
        }
        if (depth + 1 < segs->n) {
            depth++;
            at = rt->nodes[at].child;
            continue;
        }
        if (!segs->too_many && !segs->bad_escape &&
            (out->route = route_of(rt, at, method, allow)) != NULL)
            return true;
        at = rt->nodes[at].sibling;
    }
    return false;
}

static void cut_params(const maas_router *rt, const segments *segs, const uint32_t *path,
                       maas_match *out)
{
    for (size_t i = 0; i < segs->n; i++) {
        const path_node *n = &rt->nodes[path[i]];
        if (!n->is_param)
            continue;
        segs->at[i].p[segs->at[i].n - n->text.n] = 0;
        out->params[out->n_params++] = segs->at[i].p;
    }
}

static void write_allow(uint32_t allow, char *out, size_t size)
{
    allow |= METHOD_OPTIONS | (allow & METHOD_GET ? METHOD_HEAD : 0);
    size_t at = 0;
    for (size_t i = 0; i < MAAS_COUNT(methods); i++)
        if (allow & 1u << i)
            at += (size_t)snprintf(out + at, size - at, "%s%s", at ? ", " : "", methods[i]);
}

/* RFC 9112, 3.2.2: a server accepts the absolute form, whose authority is then ignored. */
static const char *skip_authority(const char *path)
{
    const char *rest = strncmp(path, "http://", 7) == 0    ? path + 7
                       : strncmp(path, "https://", 8) == 0 ? path + 8
                                                           : NULL;
    if (!rest)
        return path;
    const char *slash = strchr(rest, '/');
    return slash ? slash : "/";
}

maas_status maas_router_match(const maas_router *rt, const char *method, const char *raw_path,
                              maas_arena *a, maas_match *out, maas_err *err)
{
    *out = (maas_match){.dialect = rt->dialect};
    raw_path = skip_authority(raw_path);
    if (raw_path[0] != '/')
        return MAAS_OK;
    char *copy = maas_arena_strdup(a, raw_path);
    if (!copy)
        return maas_fail(err, MAAS_E_NOMEM, "request path");
    segments segs;
    uint32_t path[MAX_SEGMENTS], allow = 0;
    split(copy, &segs);
    if (walk(rt, &segs, method_bit(method), path, out, &allow)) {
        out->dialect = out->route->dialect;
        out->path_known = true;
        cut_params(rt, &segs, path, out);
    } else if (allow) {
        out->path_known = true;
        write_allow(allow, out->allow, sizeof out->allow);
    }
    if (segs.bad_escape)
        return maas_fail(err, MAAS_E_INVALID, "the path has a bad %%-escape");
    return MAAS_OK;
}
