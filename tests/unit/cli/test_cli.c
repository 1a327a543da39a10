/* The table of commands is complete; rows of files become requests; answers of a hostile server. */
#include "../../maas_test.h"

#include "base/mem.h"
#include "base/sys.h"
#include "cli/client.h"
#include "cli/predict.h"
#include "cli/print.h"

static void check_row(const maas_command *c, const char *family)
{
    int kinds = (c->run != NULL) + (c->act != NULL) + (c->subs != NULL);
    EXPECT_MSG(kinds == 1, "%s %s is %d things", family, c->name, kinds);
    EXPECT_MSG(c->summary && *c->summary && c->usage, "%s %s has no words", family, c->name);
    EXPECT_MSG(c->min_args <= c->max_args, "%s %s", family, c->name);
    if (!c->settings)
        return;
    maas_conf s = c->settings();
    for (size_t i = 0; i < s.n; i++) {
        EXPECT_MSG(s.table[i].help && *s.table[i].help, "--%s of %s", s.table[i].name, c->name);
        for (size_t k = 0; k < i; k++)
            EXPECT_MSG(strcmp(s.table[i].name, s.table[k].name) != 0, "--%s of %s is there twice",
                       s.table[i].name, c->name);
    }
    maas_conf shared = maas_client_settings();
    for (size_t i = 0; c->act && i < shared.n; i++)
        EXPECT_MSG(strcmp(s.table[s.n - shared.n + i].name, shared.table[i].name) == 0,
                   "options of %s end with those of all clients", c->name);
}

static void every_command_is_complete(void)
{
    for (const maas_command *c = maas_commands; c->name; c++) {
        check_row(c, "");
        for (const maas_command *s = c->subs; s && s->name; s++)
            check_row(s, c->name);
        EXPECT(!c->otherwise || maas_command_find(c->subs, c->otherwise));
        EXPECT(maas_command_find(maas_commands, c->name) == c);
    }
    EXPECT(maas_command_find(maas_commands, "nope") == NULL);
}

static void names_in_paths_are_encoded(void)
{
    static const struct {
        const char *name, *path;
    } rows[] = {{"iris", "/api/v1/models/iris"},
                {"a/b", "/api/v1/models/a%2Fb"},
                {"x:3", "/api/v1/models/x%3A3"},
                {"\xc3\xa4?#%", "/api/v1/models/%C3%A4%3F%23%25"},
                {"..", NULL},
                {".", NULL},
                {"", NULL}};
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(4096);
        maas_err err = {0};
        maas_status st = maas_cli_path(&b, &err, "models", rows[i].name, NULL);
        EXPECT_EQ(st, rows[i].path ? MAAS_OK : MAAS_E_INVALID);
        if (rows[i].path)
            EXPECT_STR(b.p, rows[i].path);
    }
}

static void sizes_are_readable(void)
{
    static const struct {
        uint64_t n;
        const char *bytes, *count;
    } rows[] = {{0, "0 B", "0"},
                {999, "999 B", "999"},
                {1000, "1.0 kB", "1.0k"},
                {999949, "999.9 kB", "999.9k"},
                {999950, "1.0 MB", "1.0M"},
                {26421880, "26.4 MB", "26.4M"},
                {UINT64_MAX, "18.4 EB", "18.4E"}};
    char text[32];
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        EXPECT_STR(maas_human_bytes(rows[i].n, text), rows[i].bytes);
        EXPECT_STR(maas_human_count(rows[i].n, text), rows[i].count);
    }
}

static void tables_are_aligned_and_harmless(void)
{
    maas_text_table t;
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    maas_text_table_init(&t, "lr");
    maas_text_table_cell(&t, "%s", "n\x1b[2Jame");
    maas_text_table_cell(&t, "%d", 7);
    maas_text_table_cell(&t, "%s", "\xc3\xa4");
    maas_text_table_cell(&t, "%s", "1234");
    maas_text_table_print(&t, f);
    fclose(f);
    EXPECT_STR(text, "n?[2Jame     7\n\xc3\xa4         1234\n");
    free(text);
    maas_text_table_reset(&t);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* ---- rows to requests ---- */

static json_t *version_of(const char *text)
{
    maas_err err = {0};
    json_t *j = NULL;
    if (maas_json_parse(maas_span_str(text), &j, &err) != MAAS_OK) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    return j;
}

static const char mixed[] =
    "{\"inputs\":[{\"name\":\"n\",\"datatype\":\"FP32\",\"shape\":[-1,1]},"
    "{\"name\":\"t\",\"datatype\":\"BYTES\",\"shape\":[-1,1]}],\"info\":{\"meta\":{\"maas."
    "columns\":"
    "\"[{\\\"name\\\":\\\"n\\\",\\\"input\\\":\\\"n\\\",\\\"shape\\\":[]},"
    "{\\\"name\\\":\\\"t\\\",\\\"input\\\":\\\"t\\\",\\\"shape\\\":[]}]\"}}}";
static const char table[] =
    "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-1,2]}]}";
static const char foreign[] = /* an imported model says nothing about columns or sizes */
    "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT64\",\"shape\":[-1,-1]}]}";

static const maas_column number = {.name = "n", .dtype = MAAS_I64},
                         other = {.name = "b", .dtype = MAAS_F64},
                         text_col = {.name = "t", .dtype = MAAS_STRING},
                         image = {.name = "im", .dtype = MAAS_U8, .rank = 1, .dims = {3}};

static void columns_are_bound_or_refused_by_name(void)
{
    const struct {
        const char *version;
        maas_column cols[3];
        uint32_t n;
        const char *skip, *words; /* NULL: fine */
    } rows[] = {
        {mixed, {text_col, number, other}, 3, NULL, NULL},
        {mixed, {number, other}, 2, NULL, "the file has no column 't', which the model needs"},
        {mixed, {number, text_col}, 2, "y", "the file has no column 'y', which the model needs"},
        {table, {number, other}, 2, NULL, NULL},
        {table, {number, text_col, other}, 3, "t", NULL},
        {table, {number}, 1, NULL, "input 'x' takes 2 values a row, the file gives 1"},
        {table, {number, other, image}, 3, NULL, "the file has more columns than the model takes"},
        {table, {number, text_col}, 2, NULL, "column 't' is text, the model wants numbers"},
        {foreign, {image}, 1, NULL, NULL},
        {foreign, {number, other, number}, 3, NULL, NULL},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        AUTO(maas_json_unref) json_t *version = version_of(rows[i].version);
        maas_row_plan p = {0};
        maas_err err = {0};
        EXPECT_EQ(maas_row_plan_read(&p, version, &err), MAAS_OK);
        maas_status st = maas_row_plan_bind(&p, rows[i].cols, rows[i].n, rows[i].skip, &err);
        EXPECT_MSG((st == MAAS_OK) == !rows[i].words, "row %zu: %s", i, err.msg);
        if (rows[i].words)
            EXPECT_STR(err.msg, rows[i].words);
        maas_row_plan_reset(&p);
    }
}

static void rows_become_binary_tensors(void)
{
    AUTO(maas_json_unref) json_t *version = version_of(mixed);
    maas_row_plan p = {0};
    maas_err err = {0};
    const maas_column cols[] = {text_col, number};
    maas_str texts[] = {{"skip", 4}, {"ab", 2}, {NULL, 0}};
    int64_t numbers[] = {9, -3, 70000}, n = 3;
    const maas_tensor data[] = {maas_tensor_of(MAAS_STRING, 1, &n, texts),
                                maas_tensor_of(MAAS_I64, 1, &n, numbers)};
    static const char json[] = "{\"parameters\":{\"binary_data_output\":true},\"inputs\":["
                               "{\"name\":\"n\",\"datatype\":\"FP32\",\"shape\":[2,1],"
                               "\"parameters\":{\"binary_data_size\":8}},"
                               "{\"name\":\"t\",\"datatype\":\"BYTES\",\"shape\":[2,1],"
                               "\"parameters\":{\"binary_data_size\":"
                               "10}}]}";
    static const char bytes[] = "\x00\x00\x40\xc0\x00\xb8\x88\x47\x02\x00\x00\x00"
                                "ab\x00\x00\x00";
    AUTO(maas_buf_reset) maas_buf out = MAAS_BUF_INIT(4096);
    size_t json_bytes = 0;
    EXPECT_EQ(maas_row_plan_read(&p, version, &err), MAAS_OK);
    EXPECT_EQ(maas_row_plan_bind(&p, cols, 2, NULL, &err), MAAS_OK);
    EXPECT_EQ(maas_row_plan_encode(&p, data, 1, 2, &out, &json_bytes, &err), MAAS_OK);
    EXPECT_EQ(json_bytes, sizeof json - 1);
    EXPECT(out.n == sizeof json - 1 + 18 && memcmp(out.p, json, sizeof json - 1) == 0);
    EXPECT(memcmp(out.p + json_bytes, bytes, 18) == 0);
    maas_buf small = MAAS_BUF_INIT(100);
    EXPECT_EQ(maas_row_plan_encode(&p, data, 0, 3, &small, &json_bytes, &err), MAAS_E_TOO_LARGE);
    maas_buf_reset(&small);
    maas_row_plan_reset(&p);
}

/* ---- answers ---- */

static const char answer_json[] =
    "{\"outputs\":[{\"name\":\"label\",\"datatype\":\"BYTES\",\"shape\":[2],\"parameters\":{"
    "\"binary_data_size\":11}},{\"name\":\"p\",\"datatype\":\"FP32\",\"shape\":[2,2],"
    "\"parameters\":{"
    "\"binary_data_size\":16}}]}";
static const char answer_bytes[] =
    "\x02\x00\x00\x00no\x01\x00\x00\x00y"
    "\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40\x00\x00\x80\x40";

static void make_answer(maas_http_response *r)
{
    maas_buf_clear(&r->body);
    maas_buf_add(&r->body, answer_json, sizeof answer_json - 1);
    maas_buf_add(&r->body, answer_bytes, sizeof answer_bytes - 1);
    r->header_bytes = sizeof answer_json - 1;
}

static void answers_are_scored(void)
{
    AUTO(maas_http_response_reset) maas_http_response r = MAAS_HTTP_RESPONSE_INIT;
    maas_arena a = {0};
    maas_outputs o;
    maas_err err = {0};
    maas_truth truth = {0};
    maas_cli_score s = {0};
    maas_str texts[] = {{"no", 2}, {"x", 1}};
    const int64_t n = 2;
    const maas_tensor column = maas_tensor_of(MAAS_STRING, 1, &n, texts);
    make_answer(&r);
    EXPECT_EQ(maas_outputs_read(&r, 2, &a, &o, &err), MAAS_OK);
    EXPECT_EQ(o.n, 2);
    EXPECT_NEAR(((const float *)o.t[1].data)[3], 4, 0);
    EXPECT_EQ(maas_truth_add(&truth, 2, &column, &err), MAAS_OK);
    EXPECT_EQ(maas_cli_score_add(&s, &o, &truth, 0, 2, &err), MAAS_OK);
    EXPECT_EQ(s.n, 2);
    EXPECT_EQ(s.n_right, 1);
    EXPECT_EQ(maas_cli_score_add(&s, &o, &truth, 1, 2, &err), MAAS_E_INVALID); /* past its end */
    EXPECT_EQ(maas_outputs_read(&r, 3, &a, &o, &err), MAAS_E_UNSUPPORTED);
    maas_truth_reset(&truth);
    maas_arena_reset(&a);
}

/* A server that lies: every byte changed, every length cut; a status, and no byte read outside. */
static void hostile_answers_are_refused(void)
{
    AUTO(maas_http_response_reset) maas_http_response r = MAAS_HTTP_RESPONSE_INIT;
    maas_arena a = {0};
    maas_outputs o;
    maas_rng rng;
    maas_rng_seed(&rng, 3);
    make_answer(&r);
    size_t n = r.body.n;
    for (size_t cut = 0; cut < n; cut++) {
        maas_err err = {0};
        char *exact = maas_alloc(cut + 1);
        memcpy(exact, r.body.p, cut);
        maas_http_response part = {.body = {.p = exact, .n = cut}, .header_bytes = r.header_bytes};
        EXPECT(maas_outputs_read(&part, 2, &a, &o, &err) != MAAS_OK);
        EXPECT(err.msg[0]);
        maas_free(exact);
        maas_arena_rewind(&a);
    }
    for (int i = 0; i < 20000; i++) {
        maas_err err = {0};
        make_answer(&r);
        for (int k = 0; k < 1 + i % 3; k++)
            r.body.p[maas_rng_below(&rng, n)] = (char)maas_rng_u64(&rng);
        if (maas_outputs_read(&r, 2, &a, &o, &err) == MAAS_OK)
            EXPECT(o.n > 0 && o.t[0].dims[0] == 2);
        else
            EXPECT(err.msg[0]);
        maas_arena_rewind(&a);
    }
    maas_arena_reset(&a);
}

int main(int argc, char **argv)
{
    static const mt_case cases[] = {
        MT_CASE(every_command_is_complete),
        MT_CASE(names_in_paths_are_encoded),
        MT_CASE(sizes_are_readable),
        MT_CASE(tables_are_aligned_and_harmless),
        MT_CASE(columns_are_bound_or_refused_by_name),
        MT_CASE(rows_become_binary_tensors),
        MT_CASE(answers_are_scored),
        MT_CASE(hostile_answers_are_refused),
    };
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
