#include "maas_test.h"

#include <limits.h>
#include <pthread.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/sys.h"

static int pipe_fds[2];

static void open_log(maas_level level)
{
    EXPECT_EQ(pipe(pipe_fds), 0);
    maas_log_open(pipe_fds[1], level);
}

/* The line of one message, behind its time. */
static const char *logged(char *line, size_t size)
{
    ssize_t n = read(pipe_fds[0], line, size - 1);
    EXPECT(n > 0);
    line[n > 0 ? n : 0] = '\0';
    EXPECT(strncmp(line, "time=20", 7) == 0 && line[29] == ' ');
    return line + 30;
}

static void a_line_is_key_value_pairs(void)
{
    char line[PIPE_BUF + 100];
    open_log(MAAS_LOG_INFO);
    MAAS_LOG(MAAS_LOG_WARN, "req=%d msg=\"%s\"", 7, "hello");
    EXPECT_STR(logged(line, sizeof line), "level=warn req=7 msg=\"hello\"\n");
}

static void no_value_can_begin_a_line(void)
{
    char line[PIPE_BUF + 100];
    open_log(MAAS_LOG_DEBUG);
    MAAS_LOG(MAAS_LOG_DEBUG, "msg=\"%s\"", "a\nlevel=error\r\t\x1b[31m\x7f\xc3\xa9");
    EXPECT_STR(logged(line, sizeof line),
               "level=debug msg=\"a\\x0alevel=error\\x0d\\x09\\x1b[31m\\x7f\xc3\xa9\"\n");
}

static int n_evaluated;
static int evaluate(void)
{
    return ++n_evaluated;
}

static void arguments_below_the_level_are_not_evaluated(void)
{
    char line[PIPE_BUF + 100];
    open_log(MAAS_LOG_WARN);
    MAAS_LOG(MAAS_LOG_INFO, "n=%d", evaluate());
    EXPECT_EQ(n_evaluated, 0);
    maas_log_level = MAAS_LOG_INFO;
    MAAS_LOG(MAAS_LOG_INFO, "n=%d", evaluate());
    EXPECT_STR(logged(line, sizeof line), "level=info n=1\n");
}

static void long_lines_are_cut_to_one_atomic_write(void)
{
    char line[PIPE_BUF + 100];
    open_log(MAAS_LOG_INFO);
    for (size_t n = PIPE_BUF - 100; n < PIPE_BUF + 50; n++) {
        for (int control = 0; control < 2; control++) {
            char *text = maas_alloc(n + 1);
            memset(text, control ? '\n' : 'x', n);
            text[n] = '\0';
            MAAS_LOG(MAAS_LOG_INFO, "m=%s", text);
            maas_free(text);
            const char *rest = logged(line, sizeof line);
            size_t len = strlen(line);
            EXPECT(len <= PIPE_BUF && line[len - 1] == '\n' &&
                   strchr(line, '\n') == line + len - 1);
            EXPECT(strncmp(rest, "level=info m=", 13) == 0);
            if (n > PIPE_BUF || control)
                EXPECT(strcmp(line + len - 4, "...\n") == 0);
        }
    }
}

static void *log_many(void *arg)
{
    for (int i = 0; i < 200; i++)
        MAAS_LOG(MAAS_LOG_INFO, "thread=%s i=%d end", (const char *)arg, i);
    return NULL;
}

static void lines_of_threads_do_not_mix(void)
{
    pthread_t a, b;
    static char all[64 << 10];
    size_t n = 0;
    open_log(MAAS_LOG_INFO);
    pthread_create(&a, NULL, log_many, (char[]){"a"});
    pthread_create(&b, NULL, log_many, (char[]){"b"});
    int lines = 0;
    while (lines < 400) {
        ssize_t got = read(pipe_fds[0], all + n, sizeof all - 1 - n);
        EXPECT(got > 0);
        for (ssize_t i = 0; i < got; i++)
            lines += all[n + (size_t)i] == '\n';
        n += (size_t)got;
    }
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    for (char *line = all, *end; (end = memchr(line, '\n', n - (size_t)(line - all)));
         line = end + 1)
        EXPECT(strncmp(line, "time=", 5) == 0 && memcmp(end - 4, " end", 4) == 0);
}

static void levels_have_names(void)
{
    maas_level lv;
    EXPECT(maas_level_parse("error", &lv) && lv == MAAS_LOG_ERROR);
    EXPECT(maas_level_parse("debug", &lv) && lv == MAAS_LOG_DEBUG);
    EXPECT(!maas_level_parse("", &lv) && !maas_level_parse("Debug", &lv) && lv == MAAS_LOG_DEBUG);
}

static const mt_case cases[] = {
    MT_CASE(a_line_is_key_value_pairs),
    MT_CASE(no_value_can_begin_a_line),
    MT_CASE(arguments_below_the_level_are_not_evaluated),
    MT_CASE(long_lines_are_cut_to_one_atomic_write),
    MT_CASE(lines_of_threads_do_not_mix),
    MT_CASE(levels_have_names),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
