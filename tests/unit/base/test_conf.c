#include "maas_test.h"

#include <fcntl.h>

#include "base/conf.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "base/sys.h"

#define W(word)                                                                                    \
    (char[])                                                                                       \
    {                                                                                              \
        word                                                                                       \
    } /* argv is writable */

typedef struct settings {
    int64_t port, body;
    bool quiet, color;
    char *data, *key;
    double rate;
} settings;

#define AT(f) offsetof(settings, f)
static const maas_conf_desc table[] = {
    {"port", MAAS_CONF_INT, AT(port), 1, 65535, "8000", false, 'p', "PORT", "Listening port."},
    {"max-body", MAAS_CONF_SIZE, AT(body), 1024, 1 << 30, "64MiB", true, 0, "BYTES",
     "Longest request body."},
    {"quiet", MAAS_CONF_BOOL, AT(quiet), 0, 0, "false", true, 'q', NULL, "Say less."},
    {"color", MAAS_CONF_BOOL, AT(color), 0, 0, "true", true, 0, NULL, "Use colors."},
    {"data", MAAS_CONF_STR, AT(data), 0, 0, "./data", false, 'd', "DIR",
     "Where everything is kept."},
    {"key", MAAS_CONF_STR, AT(key), 0, 0, NULL, false, 0, "KEY", "API key."},
    {"rate", MAAS_CONF_REAL, AT(rate), 0, 10, "0.5", true, 0, "R", "Requests per second."},
};

static maas_conf conf_of(settings *s)
{
    *s = (settings){0};
    maas_conf c = {table, MAAS_COUNT(table), s};
    EXPECT_EQ(maas_conf_preset(&c, NULL), MAAS_OK);
    return c;
}

static void presets_are_values_like_any(void)
{
    settings s;
    maas_conf c = conf_of(&s);
    EXPECT_EQ(s.port, 8000);
    EXPECT_EQ(s.body, 64 << 20);
    EXPECT(!s.quiet && s.color && s.rate == 0.5 && !s.key);
    EXPECT_STR(s.data, "./data");
    EXPECT_EQ(maas_conf_preset(&c, NULL), MAAS_OK); /* again: nothing leaks */
    maas_conf_reset(&c);
    EXPECT(!s.data);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void bad_values_name_the_setting_and_the_range(void)
{
    static const struct {
        const char *name, *value, *words;
    } rows[] = {
        {"port", "0", "port must be an integer from 1 to 65535, not '0'"},
        {"port", "65536", "port must be an integer from 1 to 65535, not '65536'"},
        {"port", "80x", "port must be an integer from 1 to 65535, not '80x'"},
        {"port", "", "port must be an integer from 1 to 65535, not ''"},
        {"max-body", "1k ", "max-body: '1k ' is no size: write 1048576, 512k, 64MiB or 2G"},
        {"max-body", "10", "max-body must be from 1024 to 1073741824 bytes, not '10'"},
        {"max-body", "9999999999G",
         "max-body: '9999999999G' is no size: write 1048576, 512k, 64MiB or 2G"},
        {"quiet", "maybe", "quiet must be true or false, not 'maybe'"},
        {"rate", "11", "rate must be a number from 0 to 10, not '11'"},
        {"rate", "1e999", "rate must be a number from 0 to 10, not '1e999'"},
        {"rate", "x", "rate must be a number from 0 to 10, not 'x'"},
        {"prot", "1", "unknown setting 'prot', did you mean 'port'?"},
        {"max_body", "1", "unknown setting 'max_body', did you mean 'max-body'?"},
        {"something", "1", "unknown setting 'something'"},
    };
    settings s;
    maas_conf c = conf_of(&s);
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        maas_err err = {0};
        EXPECT_EQ(maas_conf_set(&c, rows[i].name, rows[i].value, &err), MAAS_E_INVALID);
        EXPECT_STR(err.msg, rows[i].words);
    }
    EXPECT(s.port == 8000 && s.body == 64 << 20 && !s.quiet && s.rate == 0.5);
    maas_conf_reset(&c);
}

static void sizes_are_powers_of_1024(void)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } rows[] = {{"0", 0},
                {"1", 1},
                {"7B", 7},
                {"1k", 1024},
                {"1K", 1024},
                {"1kB", 1024},
                {"1KiB", 1024},
                {"64MiB", 64 << 20},
                {"2G", 2ll << 30},
                {"3TiB", 3ll << 40},
                {"8388607T", 8388607ll << 40},
                {"9223372036854775807", INT64_MAX}};
    static const char *const bad[] = {"",  "-1",       "x",    "1x",  "1ki",  "1kiBB", "1 k",
                                      "k", "8388608T", "1.5G", "1e3", "0x10", "1iB",   "1Ki"};
    int64_t v;
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        EXPECT_MSG(maas_size_parse(rows[i].text, &v, NULL) == MAAS_OK && v == rows[i].bytes, "%s",
                   rows[i].text);
    for (size_t i = 0; i < MAAS_COUNT(bad); i++)
        EXPECT_MSG(maas_size_parse(bad[i], &v, NULL) == MAAS_E_INVALID, "%s", bad[i]);
}

static void flags_are_taken_and_the_rest_moves_forward(void)
{
    settings s;
    maas_conf c = conf_of(&s);
    maas_err err = {0};
    char *argv[] = {W("maas"), W("first"),      W("--port"),     W("9000"), W("-q"),
                    W("-"),    W("--data=x=y"), W("--no-color"), W("-5"),   W("--max-body"),
                    W("1k"),   W("--"),         W("--port"),     W("-z"),   NULL};
    int n = -1;
    EXPECT_EQ(maas_conf_args(&c, (int)MAAS_COUNT(argv) - 1, argv, &n, &err), MAAS_OK);
    EXPECT_STR(err.msg, "");
    EXPECT_EQ(n, 5);
    EXPECT_STR(argv[0], "maas");
    EXPECT_STR(argv[1], "first");
    EXPECT_STR(argv[2], "-");
    EXPECT_STR(argv[3], "-5");
    EXPECT_STR(argv[4], "--port");
    EXPECT_STR(argv[5], "-z");
    EXPECT(s.port == 9000 && s.quiet && !s.color && s.body == 1024);
    EXPECT_STR(s.data, "x=y");
    maas_conf_reset(&c);
    char *none[] = {W("maas"), NULL};
    EXPECT_EQ(maas_conf_args(&c, 1, none, &n, NULL), MAAS_OK);
    EXPECT_EQ(n, 0);
    EXPECT_EQ(maas_conf_args(&c, 0, none + 1, &n, NULL), MAAS_OK);
    EXPECT_EQ(n, 0);
}

static void bad_flags_are_named(void)
{
    static const struct {
        const char *a, *b, *words;
    } rows[] = {
        {"--prot", "1", "unknown setting '--prot', did you mean '--port'?"},
        {"--prot=1", NULL, "unknown setting '--prot', did you mean '--port'?"},
        {"--port", NULL, "--port needs a value"},
        {"-p", NULL, "-p needs a value"},
        {"--data", "--port", "--data needs a value; write --data=--port if that is it"},
        {"--no-port", NULL, "unknown setting '--no-port', did you mean '--port'?"},
        {"-x", NULL, "unknown flag '-x'"},
        {"-px", NULL, "unknown flag '-px'"},
        {"--port=", NULL, "port must be an integer from 1 to 65535, not ''"},
        {"--=5", NULL, "unknown setting '--'"},
    };
    settings s;
    maas_conf c = conf_of(&s);
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        char *argv[] = {W("maas"), (char *)(uintptr_t)rows[i].a, (char *)(uintptr_t)rows[i].b,
                        NULL};
        maas_err err = {0};
        int n = -1;
        EXPECT_EQ(maas_conf_args(&c, rows[i].b ? 3 : 2, argv, &n, &err), MAAS_E_INVALID);
        EXPECT_STR(err.msg, rows[i].words);
        EXPECT_EQ(n, -1);
    }
    maas_conf_reset(&c);
}

static const char *write_file(const char *text)
{
    static char path[] = "/tmp/maas-conf-XXXXXX";
    int fd = mkstemp(path);
    EXPECT(fd >= 0 && maas_sys_write(fd, text, strlen(text), NULL) == MAAS_OK);
    close(fd);
    return path;
}

static void a_file_sets_and_names_its_lines(void)
{
    settings s;
    maas_conf c = conf_of(&s);
    maas_err err = {0};
    const char *path = write_file(
        "# comment\n\n port = 81 \r\n\tdata=a = b # no comment\nquiet=on\nrate = 2.5");
    EXPECT_EQ(maas_conf_file(&c, path, &err), MAAS_OK);
    EXPECT_STR(err.msg, "");
    unlink(path);
    EXPECT(s.port == 81 && s.quiet && s.rate == 2.5);
    EXPECT_STR(s.data, "a = b # no comment");
    maas_conf_reset(&c);
}

static void bad_files_are_refused_by_line(void)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"port = 1\nwhat", "configuration file: line 2: expected 'name = value', not 'what'"},
        {"\n\nport = x\n",
         "configuration file: line 3: port must be an integer from 1 to 65535, not 'x'"},
        {"prt = 1", "configuration file: line 1: unknown setting 'prt', did you mean 'port'?"},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        settings s;
        maas_conf c = conf_of(&s);
        maas_err err = {0};
        char path[64];
        snprintf(path, sizeof path, "/tmp/maas-conf-bad-%d-%zu", (int)getpid(), i);
        int fd = -1;
        EXPECT_EQ(maas_sys_open(path, O_CREAT | O_RDWR | O_TRUNC, &fd, NULL), MAAS_OK);
        EXPECT_EQ(maas_sys_write(fd, rows[i].text, strlen(rows[i].text), NULL), MAAS_OK);
        close(fd);
        EXPECT_EQ(maas_conf_file(&c, path, &err), MAAS_E_INVALID);
        EXPECT_STR(err.msg, rows[i].words);
        unlink(path);
        maas_conf_reset(&c);
    }
    settings s;
    maas_conf c = conf_of(&s);
    maas_err err = {0};
    EXPECT_EQ(maas_conf_file(&c, "/nonexistent/conf", &err), MAAS_E_NOT_FOUND);
    EXPECT_STR(err.msg, "configuration file: cannot open the file: No such file or directory");
    err = (maas_err){0};
    EXPECT_EQ(maas_conf_file(&c, "/dev/zero", &err), MAAS_E_TOO_LARGE);
    EXPECT_EQ(maas_conf_file(&c, "/dev/null", NULL), MAAS_OK);
    maas_conf_reset(&c);
}

static void the_environment_is_read_by_name(void)
{
    settings s;
    maas_conf c = conf_of(&s);
    maas_err err = {0};
    setenv("MAAS_MAX_BODY", "2k", 1);
    setenv("MAAS_PORT", "", 1); /* empty is not set */
    setenv("MAAS_SOMETHING_ELSE", "x", 1);
    EXPECT_EQ(maas_conf_env(&c, &err), MAAS_OK);
    EXPECT(s.body == 2048 && s.port == 8000);
    setenv("MAAS_PORT", "x", 1);
    EXPECT_EQ(maas_conf_env(&c, &err), MAAS_E_INVALID);
    EXPECT_STR(err.msg,
               "environment variable MAAS_PORT: port must be an integer from 1 to 65535, not 'x'");
    maas_conf_reset(&c);
}

static void help_and_json_are_loops_over_the_table(void)
{
    settings s;
    maas_conf c = conf_of(&s);
    AUTO(maas_buf_reset) maas_buf out = MAAS_BUF_INIT(4000);
    maas_conf_help(&c, &out);
    EXPECT_STR(out.p, "  -p, --port PORT       Listening port. (default: 8000)\n"
                      "      --max-body BYTES  Longest request body. (default: 64MiB)\n"
                      "  -q, --quiet           Say less.\n"
                      "      --color           Use colors. (default: true)\n"
                      "  -d, --data DIR        Where everything is kept. (default: ./data)\n"
                      "      --key KEY         API key.\n"
                      "      --rate R          Requests per second. (default: 0.5)\n");
    maas_buf_clear(&out);
    EXPECT_EQ(maas_conf_set(&c, "data", "a\"b", NULL), MAAS_OK);
    maas_conf_json(&c, &out);
    EXPECT_STR(out.p, "{\"port\":8000,\"max-body\":67108864,\"quiet\":false,\"color\":true,"
                      "\"data\":\"a\\\"b\",\"key\":null,\"rate\":0.5}");
    maas_conf_reset(&c);
}

static void every_failed_allocation_is_a_status(void)
{
    long live = maas_mem_live();
    for (long n = 1;; n++) {
        settings s = {0};
        maas_conf c = {table, MAAS_COUNT(table), &s};
        maas_mem_fail_at(n);
        maas_status st = maas_conf_preset(&c, NULL);
        if (st == MAAS_OK)
            st = maas_conf_set(&c, "key", "secret", NULL);
        maas_mem_fail_at(0);
        maas_conf_reset(&c);
        EXPECT_EQ(maas_mem_live(), live);
        if (st == MAAS_OK) {
            EXPECT_EQ(n, 3);
            break;
        }
        EXPECT_EQ(st, MAAS_E_NOMEM);
    }
}

static void distances_count_the_usual_slips(void)
{
    static const struct {
        const char *a, *b;
        size_t d;
    } rows[] = {
        {"", "", 0},        {"a", "", 1},         {"", "abc", 3},           {"port", "prot", 1},
        {"port", "pot", 1}, {"port", "poort", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 1},
        {"abcd", "dcba", 3}};
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        EXPECT_EQ(maas_edit_distance(rows[i].a, strlen(rows[i].a), rows[i].b, strlen(rows[i].b)),
                  rows[i].d);
        EXPECT_EQ(maas_edit_distance(rows[i].b, strlen(rows[i].b), rows[i].a, strlen(rows[i].a)),
                  rows[i].d);
    }
    char hostile[1000];
    memset(hostile, 'a', sizeof hostile);
    EXPECT(maas_edit_distance(hostile, sizeof hostile, "a", 1) == SIZE_MAX);
    maas_nearest near = maas_nearest_to("epoch", 5);
    maas_nearest_try(&near, "loss");
    EXPECT(near.best == NULL);
    maas_nearest_try(&near, "epochs");
    maas_nearest_try(&near, "each");
    EXPECT_STR(near.best, "epochs");
}

static const mt_case cases[] = {
    MT_CASE(presets_are_values_like_any),
    MT_CASE(bad_values_name_the_setting_and_the_range),
    MT_CASE(sizes_are_powers_of_1024),
    MT_CASE(flags_are_taken_and_the_rest_moves_forward),
    MT_CASE(bad_flags_are_named),
    MT_CASE(a_file_sets_and_names_its_lines),
    MT_CASE(bad_files_are_refused_by_line),
    MT_CASE(the_environment_is_read_by_name),
    MT_CASE(help_and_json_are_loops_over_the_table),
    MT_CASE(every_failed_allocation_is_a_status),
    MT_CASE(distances_count_the_usual_slips),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
