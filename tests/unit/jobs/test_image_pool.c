/* Decoders in their sandbox: pixels come back, bad pictures are refused with words, and a decoder
 * that is killed costs nobody anything. */
#include <signal.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/sys.h"
#include "jobs/image_pool.h"
#include "maas_test.h"

static maas_helper *helper;
static maas_image_pool *pool;

/* A case is a process of its own: so is its helper. */
static void begin(void)
{
    maas_err err = {0};
    signal(SIGPIPE, SIG_IGN);
    if (maas_helper_start(&helper, &err) != MAAS_OK ||
        maas_image_pool_create(helper, 1, &pool, &err) != MAAS_OK) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
}

static void end(void)
{
    maas_image_pool_destroy(pool);
    maas_helper_stop(helper);
}

static const maas_image_fit two_by_two = {.width = 2, .height = 2, .fitting = MAAS_FIT_STRETCH};

static maas_status ask(const char *file, size_t n, uint8_t *out, maas_err *err)
{
    *err = (maas_err){0};
    return maas_image_pool_decode(pool, maas_span_of(file, n), &two_by_two, out, err);
}
#define ASK(file, out, err) ask(file, sizeof(file) - 1, out, err)

static const char picture[] = "P3 2 2 255 1 2 3 4 5 6 7 8 9 10 11 12";

static void pixels_come_back(void)
{
    uint8_t out[12];
    maas_err err;
    begin();
    EXPECT_MSG(ASK(picture, out, &err) == MAAS_OK, "%s", err.msg);
    for (int i = 0; i < 12; i++)
        EXPECT_EQ(out[i], i + 1);
    end();
}

static void bad_pictures_are_refused_with_words(void)
{
    uint8_t out[12];
    maas_err err;
    begin();
    EXPECT_EQ(ASK("hello", out, &err), MAAS_E_MEDIA);
    EXPECT_EQ(ASK("P6 9 9 255\nabc", out, &err), MAAS_E_FORMAT);
    EXPECT_MSG(strstr(err.msg, "ends early"), "%s", err.msg);
    EXPECT_EQ(ASK("P5 8000 8000 255\n", out, &err), MAAS_E_TOO_LARGE);
    EXPECT_EQ(ASK("", out, &err), MAAS_E_MEDIA);
    EXPECT_MSG(ASK(picture, out, &err) == MAAS_OK, "and the next one is read: %s", err.msg);
    end();
}

/* Children of the helper: /proc/PID/task/PID/children of our own child. */
static int children_of(pid_t pid, pid_t *out, int most)
{
    char path[64];
    int n = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *f = fopen(path, "r");
    while (f && n < most && fscanf(f, "%d", &out[n]) == 1)
        n++;
    if (f)
        fclose(f);
    return n;
}

static void a_decoder_that_died_is_replaced(void)
{
    pid_t helpers[8], decoders[8];
    uint8_t out[12];
    maas_err err;
    begin();
    EXPECT_EQ(ASK(picture, out, &err), MAAS_OK);
    const int n = children_of(getpid(), helpers, 8);
    int killed = 0;
    for (int i = 0; i < n; i++)
        for (int k = children_of(helpers[i], decoders, 8); k-- > 0; killed++)
            kill(decoders[k], SIGKILL);
    EXPECT_MSG(killed == 1, "%d decoders", killed);
    usleep(100000);
    EXPECT_MSG(ASK(picture, out, &err) == MAAS_OK, "%s", err.msg);
    end();
}

static void a_decoder_ends_after_some_hundred_pictures(void)
{
    pid_t helpers[8], before[8] = {0}, after[8] = {0};
    uint8_t out[12];
    maas_err err;
    begin();
    EXPECT_EQ(ASK(picture, out, &err), MAAS_OK);
    children_of(getpid(), helpers, 8);
    children_of(helpers[0], before, 8);
    for (int i = 0; i < 600; i++)
        EXPECT_MSG(ASK(picture, out, &err) == MAAS_OK, "picture %d: %s", i, err.msg);
    EXPECT_EQ(children_of(helpers[0], after, 8), 1);
    EXPECT_MSG(before[0] != after[0], "still the same process");
    end();
}

static const mt_case cases[] = {
    MT_CASE(pixels_come_back), MT_CASE(bad_pictures_are_refused_with_words),
    MT_CASE(a_decoder_that_died_is_replaced), MT_CASE(a_decoder_ends_after_some_hundred_pictures)};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
