#include "base/arena.h"
#include "http_test.h"

static void handle(maas_req *r)
{
}

static maas_status on_body(maas_req *r, maas_span piece, maas_err *err)
{
    return MAAS_OK;
}

static const maas_route table[] = {
    {ROW("GET", "/", handle), .dialect = 1},
    {ROW("GET", "/v2/models/{m}/infer", handle), .dialect = 2},
    {ROW("POST", "/v2/models/{m}/infer", handle), .dialect = 2},
    {ROW("GET", "/v2/models/stats", handle), .dialect = 2},
    {ROW("POST", "/v2/models/{m}", handle), .dialect = 2},
    {ROW("POST", "/v1/models/{m}:predict", handle), .dialect = 3},
    {ROW("GET", "/v1/models/{m}", handle), .dialect = 3},
    {ROW("GET", "/v1/models/{m}:predict/{v}", handle), .dialect = 3},
    {0},
};

static const maas_route *find(const char *method, const char *path, maas_match *m, maas_arena *a)
{
    static maas_router *rt;
    maas_err err = {0};
    if (!rt && maas_router_create(table, &rt, &err) != MAAS_OK) {
        fprintf(stderr, "  %s\n", err.msg);
        exit(1);
    }
    return maas_router_match(rt, method, path, a, m, &err) == MAAS_OK ? m->route : NULL;
}

static void paths_find_their_row(void)
{
    static const struct {
        const char *method, *path;
        int row; /* -1: none */
        const char *p0, *p1;
    } rows[] = {
        {"GET", "/", 0, NULL, NULL},
        {"HEAD", "/", 0, NULL, NULL},
        {"GET", "/v2/models/a/infer", 1, "a", NULL},
        {"POST", "/v2/models/a/infer", 2, "a", NULL},
        {"GET", "/v2/models/stats", 3, NULL, NULL},
        {"POST", "/v2/models/stats", 4, "stats", NULL}, /* the literal has no POST: go back */
        {"GET", "/v2/models/stats/infer", 1, "stats", NULL},
        {"POST", "/v1/models/a:predict", 5, "a", NULL},
        {"POST", "/v1/models/a:b:predict", 5, "a:b", NULL},
        {"POST", "/v1/models/a%3Apredict", 5, "a", NULL},
        {"GET", "/v1/models/a:predict", 6, "a:predict", NULL},
        {"GET", "/v1/models/:predict", 6, ":predict", NULL}, /* an empty name is no name */
        {"GET", "/v1/models/a:predict/7", 7, "a", "7"},
        {"GET", "/v1/models/a%2Fb", 6, "a/b", NULL},
        {"GET", "/v1/models/%2e%2e", 6, "..", NULL},
        {"GET", "/v1/m%6fdels/a", 6, "a", NULL},
        {"GET", "http://host:1/v1/models/a", 6, "a", NULL},
        {"GET", "http://host", 0, NULL, NULL},
        {"GET", "/v1/models/", -1, NULL, NULL},
        {"GET", "/v1/models//", -1, NULL, NULL},
        {"GET", "//v1/models/a", -1, NULL, NULL},
        {"GET", "/v1/models/a/", -1, NULL, NULL},
        {"GET", "/V1/models/a", -1, NULL, NULL},
        {"GET", "*", -1, NULL, NULL},
        {"GET", "", -1, NULL, NULL},
        {"BREW", "/v1/models/a", -1, NULL, NULL},
        {"GET", "/v1/models/a%00b", -1, NULL, NULL},
        {"GET", "/v1/models/%zz", -1, NULL, NULL},
        {"GET", "/v1/models/a%2", -1, NULL, NULL},
        {"GET", "/v1/models/a%", -1, NULL, NULL},
        {"GET", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18", -1, NULL, NULL},
    };
    maas_arena a;
    maas_arena_init(&a, NULL);
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        maas_match m;
        const maas_route *r = find(rows[i].method, rows[i].path, &m, &a);
        EXPECT_MSG(r == (rows[i].row < 0 ? NULL : &table[rows[i].row]), "%s %s gave %s",
                   rows[i].method, rows[i].path, r ? r->path : "none");
        if (!r)
            continue;
        EXPECT_EQ(m.n_params, (rows[i].p0 != NULL) + (rows[i].p1 != NULL));
        if (rows[i].p0)
            EXPECT_STR(m.params[0], rows[i].p0);
        if (rows[i].p1)
            EXPECT_STR(m.params[1], rows[i].p1);
    }
    maas_arena_reset(&a);
}

static void misses_say_what_is_allowed_and_whose_error_it_is(void)
{
    static const struct {
        const char *method, *path, *allow;
        uint8_t dialect;
    } rows[] = {
        {"PUT", "/v2/models/a/infer", "GET, HEAD, POST, OPTIONS", 2},
        {"DELETE", "/v2/models/stats", "GET, HEAD, POST, OPTIONS", 2}, /* both rows count */
        {"OPTIONS", "/v1/models/a:predict", "GET, HEAD, POST, OPTIONS", 3},
        {"GET", "/v1/nothing", "", 3},
        {"GET", "/v2/models/a/infer/more", "", 2},
        {"GET", "/elsewhere", "", 1},
        {"GET", "/v1/models/%00", "", 3},
    };
    maas_arena a;
    maas_arena_init(&a, NULL);
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        maas_match m;
        EXPECT(!find(rows[i].method, rows[i].path, &m, &a));
        EXPECT_STR(m.allow, rows[i].allow);
        EXPECT_EQ(m.path_known, rows[i].allow[0] != 0);
        EXPECT_MSG(m.dialect == rows[i].dialect, "%s: %d", rows[i].path, m.dialect);
    }
    maas_arena_reset(&a);
}

static void unsafe_tables_do_not_start(void)
{
    const maas_route bad[] = {
        {.method = "GET", .path = "/a", .handle = handle}, /* no scope */
        {ROW("GET", "a", handle)},
        {ROW("GET", "/a", NULL)},
        {ROW("BREW", "/a", handle)},
        {ROW("GET", "/{}", handle)},
        {ROW("GET", "/{a", handle)},
        {ROW("GET", "/x{a}", handle)},
        {ROW("GET", "/{a}{b}", handle)},
        {ROW("GET", "/%41", handle)},
        {ROW("GET", "/{a}/{b}/{c}/{d}/{e}", handle)},
        {ROW("GET", "/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7", handle)},
        {ROW("POST", "/a", handle), .body = MAAS_BODY_BUFFER},
        {ROW("POST", "/a", handle), .max_body = 1},
        {ROW("POST", "/a", handle), .body = MAAS_BODY_STREAM, .max_body = 1},
        {ROW("POST", "/a", handle), .body = MAAS_BODY_BUFFER, .max_body = 1, .on_body = on_body},
    };
    for (size_t i = 0; i < MAAS_COUNT(bad); i++) {
        const maas_route routes[] = {bad[i], {0}};
        maas_router *rt = NULL;
        maas_err err = {0};
        EXPECT_MSG(maas_router_create(routes, &rt, &err) == MAAS_E_INVALID && !rt, "row %zu", i);
        EXPECT(strstr(err.msg, bad[i].path) != NULL);
    }
    const maas_route twice[] = {
        {ROW("GET", "/{a}/x", handle)}, {ROW("GET", "/{b}/x", handle)}, {0}};
    maas_router *rt = NULL;
    maas_err err = {0};
    EXPECT_EQ(maas_router_create(twice, &rt, &err), MAAS_E_CONFLICT);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* Against the plainest possible matcher: every row tried in turn, better rows first. */
static bool fits(const maas_route *r, char segs[][8], int n)
{
    const char *p = r->path + 1;
    for (int i = 0; i < n; i++) {
        size_t len = strcspn(p, "/");
        bool last = !p[len];
        if (p[0] != '{' && (strlen(segs[i]) != len || strncmp(p, segs[i], len) != 0))
            return false;
        if (p[0] == '{' && !segs[i][0])
            return false;
        if (last)
            return i == n - 1;
        p += len + 1;
    }
    return false;
}

static void random_paths_agree_with_a_plain_search(void)
{
    /* Ordered so that the first fitting row is the right one: literals before parameters. */
    static const maas_route rows[] = {
        {ROW("GET", "/a/b/c", handle)},   {ROW("GET", "/a/b/{x}", handle)},
        {ROW("GET", "/a/{x}/c", handle)}, {ROW("GET", "/a/{x}/{y}", handle)},
        {ROW("GET", "/{x}/b/c", handle)}, {ROW("GET", "/{x}/{y}/c", handle)},
        {ROW("GET", "/a/b", handle)},     {ROW("GET", "/{x}/b", handle)},
        {ROW("GET", "/{x}", handle)},     {0},
    };
    static const char *const words[] = {"a", "b", "c", "d", ""};
    maas_router *rt = NULL;
    EXPECT_EQ(maas_router_create(rows, &rt, NULL), MAAS_OK);
    maas_rng rng;
    maas_rng_seed(&rng, 7);
    maas_arena a;
    maas_arena_init(&a, NULL);
    for (int i = 0; i < 20000; i++) {
        char segs[4][8], path[64] = "";
        int n = 1 + (int)maas_rng_below(&rng, 4), at = 0;
        for (int s = 0; s < n; s++) {
            snprintf(segs[s], sizeof segs[s], "%s", words[maas_rng_below(&rng, 5)]);
            at += snprintf(path + at, sizeof path - (size_t)at, "/%s", segs[s]);
        }
        const maas_route *want = rows;
        while (want->method && !fits(want, segs, n))
            want++;
        maas_match m;
        EXPECT_EQ(maas_router_match(rt, "GET", path, &a, &m, NULL), MAAS_OK);
        EXPECT_MSG(m.route == (want->method ? want : NULL), "seed 7, %s", path);
        maas_arena_rewind(&a);
    }
    maas_arena_reset(&a);
    maas_router_destroy(rt);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void creation_survives_every_allocation_failure(void)
{
    for (long n = 1; n < 100; n++) {
        maas_router *rt = NULL;
        maas_mem_fail_at(n);
        maas_status st = maas_router_create(table, &rt, NULL);
        maas_mem_fail_at(0);
        maas_router_destroy(rt);
        EXPECT_EQ(maas_mem_live(), 0);
        if (st == MAAS_OK) {
            EXPECT(n > 1);
            return;
        }
        EXPECT_EQ(st, MAAS_E_NOMEM);
    }
    EXPECT(!"never succeeded");
}

static const mt_case cases[] = {
    MT_CASE(paths_find_their_row),
    MT_CASE(misses_say_what_is_allowed_and_whose_error_it_is),
    MT_CASE(unsafe_tables_do_not_start),
    MT_CASE(random_paths_agree_with_a_plain_search),
    MT_CASE(creation_survives_every_allocation_failure),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
