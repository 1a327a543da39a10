/* Resumable uploads. */
#include <fcntl.h>
#include <sys/file.h>

#include "reg_test.h"
#include "base/ban.h"

static const char HELLO[] = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
static const char EMPTY[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static void expect_at(maas_registry *r, const char *hex, uint64_t n, bool complete)
{
    uint64_t n_there = 99;
    bool is_complete = !complete;
    MUST(maas_blob_partial_size(r, hex, &n_there, &is_complete, err));
    EXPECT_EQ(n_there, n);
    EXPECT_EQ(is_complete, complete);
}

static bool append(maas_registry *r, const char *hex, uint64_t at, const char *text, uint64_t total)
{
    bool complete = false;
    MUST(maas_blob_partial_append(r, hex, at, text, strlen(text), total, &complete, err));
    return complete;
}

static void an_upload_goes_on_where_it_stopped(void)
{
    maas_registry *r = open_dir(make_dir());
    expect_at(r, HELLO, 0, false);
    EXPECT(!append(r, HELLO, 0, "he", 5));
    expect_at(r, HELLO, 2, false);
    maas_registry_close(r);
    r = open_dir(test_dir); /* a restart in between */
    expect_at(r, HELLO, 2, false);
    EXPECT(append(r, HELLO, 2, "llo", 5));
    expect_at(r, HELLO, 5, true);
    EXPECT(blob_is(r, HELLO, "hello"));
    EXPECT(append(r, HELLO, 0, "h", 5)); /* all there: asking again is harmless */
    maas_registry_close(r);
}

static void an_empty_blob_is_complete_at_once(void)
{
    maas_registry *r = open_dir(make_dir());
    EXPECT(append(r, EMPTY, 0, "", 0));
    EXPECT(blob_is(r, EMPTY, ""));
    maas_registry_close(r);
}

static void gaps_overlaps_and_overruns_are_refused(void)
{
    maas_registry *r = open_dir(make_dir());
    bool complete = false;
    append(r, HELLO, 0, "he", 5);
    FAILS(maas_blob_partial_append(r, HELLO, 3, "lo", 2, 5, &complete, err), MAAS_E_CONFLICT,
          "at byte 2, not 3");
    FAILS(maas_blob_partial_append(r, HELLO, 0, "he", 2, 5, &complete, err), MAAS_E_CONFLICT,
          "at byte 2, not 0");
    FAILS(maas_blob_partial_append(r, HELLO, 2, "llo!", 4, 5, &complete, err), MAAS_E_INVALID,
          "past the total");
    FAILS(maas_blob_partial_append(r, HELLO, UINT64_MAX, "x", 1, 5, &complete, err), MAAS_E_INVALID,
          "past the total");
    expect_at(r, HELLO, 2, false);
    FAILS(maas_blob_partial_append(r, HELLO, 0, "h", 1, 1, &complete, err), MAAS_E_CONFLICT,
          "start again");
    expect_at(r, HELLO, 0, false);
    EXPECT(append(r, HELLO, 0, "hello", 5));
    maas_registry_close(r);
}

static void wrong_content_is_dropped(void)
{
    maas_registry *r = open_dir(make_dir());
    bool complete = false;
    append(r, HELLO, 0, "HE", 5);
    FAILS(maas_blob_partial_append(r, HELLO, 2, "llo", 3, 5, &complete, err), MAAS_E_INVALID,
          "the content has digest");
    EXPECT(!complete);
    expect_at(r, HELLO, 0, false);
    EXPECT(append(r, HELLO, 0, "hello", 5));
    maas_registry_close(r);
}

static void two_uploads_of_one_blob_do_not_mix(void)
{
    maas_registry *r = open_dir(make_dir());
    char path[160];
    bool complete;
    append(r, HELLO, 0, "he", 5);
    snprintf(path, sizeof path, "%s/tmp/%s", test_dir, HELLO);
    int fd = open(path, O_RDWR); /* the other one, in the middle of its append */
    EXPECT_EQ(flock(fd, LOCK_EX), 0);
    FAILS(maas_blob_partial_append(r, HELLO, 2, "llo", 3, 5, &complete, err), MAAS_E_BUSY,
          "by another request");
    close(fd);
    EXPECT(append(r, HELLO, 2, "llo", 5));
    maas_registry_close(r);
}

static void stale_and_foreign_files_go_at_start(void)
{
    maas_registry *r = open_dir(make_dir());
    char stale[160], foreign[160];
    append(r, HELLO, 0, "he", 5);
    append(r, EMPTY, 0, "x", 5);
    maas_registry_close(r);
    snprintf(stale, sizeof stale, "%s/tmp/%s", test_dir, EMPTY);
    snprintf(foreign, sizeof foreign, "%s/tmp/rubbish", test_dir);
    struct timespec t[2] = {{.tv_sec = time(NULL) - 8 * 86400}, {.tv_sec = time(NULL) - 8 * 86400}};
    EXPECT_EQ(utimensat(AT_FDCWD, stale, t, 0), 0);
    close(open(foreign, O_CREAT | O_WRONLY, 0600));
    r = open_dir(test_dir);
    expect_at(r, HELLO, 2, false);
    expect_at(r, EMPTY, 0, false);
    EXPECT_EQ(access(foreign, F_OK), -1);
    maas_registry_close(r);
}

int main(int argc, char **argv)
{
    static const mt_case cases[] = {
        MT_CASE(an_upload_goes_on_where_it_stopped),
        MT_CASE(an_empty_blob_is_complete_at_once),
        MT_CASE(gaps_overlaps_and_overruns_are_refused),
        MT_CASE(wrong_content_is_dropped),
        MT_CASE(two_uploads_of_one_blob_do_not_mix),
        MT_CASE(stale_and_foreign_files_go_at_start),
    };
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
