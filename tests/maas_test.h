/*
 * tests/maas_test.h - the whole framework. One executable per module, one process per case, so that
 * a crash or a leak is one red line. argv: [name-substring]. MT_NOFORK=1 keeps everything in this
 * process, for gdb. Prints `N passed, N failed` last.
 */
#ifndef MAAS_TEST_H
#define MAAS_TEST_H
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct mt_case {
    const char *name;
    void (*fn)(void);
} mt_case;
static int mt_failed;

#define MT_CASE(f)                                                                                 \
    {                                                                                              \
#f, f                                                                                      \
    }
#define EXPECT(c)                                                                                  \
    do {                                                                                           \
        if (!(c)) {                                                                                \
            mt_failed++;                                                                           \
            fprintf(stderr, "  %s:%d: EXPECT(%s)\n", __FILE__, __LINE__, #c);                      \
        }                                                                                          \
    } while (0)
/* As EXPECT, with words for loops over tables: which row failed. */
#define EXPECT_MSG(c, ...)                                                                         \
    do {                                                                                           \
        if (!(c)) {                                                                                \
            mt_failed++;                                                                           \
            fprintf(stderr, "  %s:%d: EXPECT(%s): ", __FILE__, __LINE__, #c);                      \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
        }                                                                                          \
    } while (0)
#define EXPECT_EQ(a, b)                                                                            \
    do {                                                                                           \
        long long a_ = (long long)(a), b_ = (long long)(b);                                        \
        if (a_ != b_) {                                                                            \
            mt_failed++;                                                                           \
            fprintf(stderr, "  %s:%d: %s = %lld, expected %s = %lld\n", __FILE__, __LINE__, #a,    \
                    a_, #b, b_);                                                                   \
        }                                                                                          \
    } while (0)
#define EXPECT_NEAR(a, b, tol)                                                                     \
    do {                                                                                           \
        double a_ = (a), b_ = (b);                                                                 \
        if (!(fabs(a_ - b_) <= (tol))) {                                                           \
            mt_failed++;                                                                           \
            fprintf(stderr, "  %s:%d: %s = %.9g, %s = %.9g, |diff| %.3g > %.3g\n", __FILE__,       \
                    __LINE__, #a, a_, #b, b_, fabs(a_ - b_), (double)(tol));                       \
        }                                                                                          \
    } while (0)
#define EXPECT_STR(a, b)                                                                           \
    do {                                                                                           \
        const char *a_ = (a), *b_ = (b);                                                           \
        if (!a_ || strcmp(a_, b_) != 0) {                                                          \
            mt_failed++;                                                                           \
            fprintf(stderr, "  %s:%d: %s = \"%s\", expected \"%s\"\n", __FILE__, __LINE__, #a,     \
                    a_ ? a_ : "(null)", b_);                                                       \
        }                                                                                          \
    } while (0)

/* One case in its own process; the number of seconds bounds a hang. 0: passed. */
static int mt_run(const mt_case *c, unsigned seconds)
{
    fflush(NULL);
    pid_t pid = getenv("MT_NOFORK") ? -1 : fork();
    if (pid == 0) {
        alarm(seconds);
        c->fn();
        fflush(NULL);
        exit(mt_failed ? 1 : 0); /* exit, not _exit: LeakSanitizer reports here */
    }
    if (pid > 0) {
        int st;
        waitpid(pid, &st, 0);
        if (WIFSIGNALED(st))
            fprintf(stderr, "  %s: %s\n", c->name, strsignal(WTERMSIG(st)));
        return st;
    }
    int before = mt_failed;
    c->fn();
    return mt_failed - before;
}

__attribute__((unused)) static int mt_main(int argc, char **argv, const mt_case *cases, size_t n)
{
    int passed = 0, failed = 0;
    for (size_t i = 0; i < n; i++) {
        if (argc > 1 && !strstr(cases[i].name, argv[1]))
            continue;
        int bad = mt_run(&cases[i], 300);
        printf("%s %s\n", bad ? "not ok" : "ok", cases[i].name);
        bad ? failed++ : passed++;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
#endif
