/* Blobs: content addressing, ownership of the directory, sweeping, damage. */
#include <fcntl.h>

#include "reg_test.h"
#include "base/ban.h"

static const char HELLO[] = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
static const char EMPTY[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static void path_of(const char *hex, char out[160])
{
    snprintf(out, 160, "%s/blobs/%.2s/%s", test_dir, hex, hex + 2);
}

static void age(const char *hex, int seconds)
{
    char path[160];
    struct timespec t[2] = {{.tv_sec = time(NULL) - seconds}, {.tv_sec = time(NULL) - seconds}};
    path_of(hex, path);
    EXPECT_EQ(utimensat(AT_FDCWD, path, t, 0), 0);
}

static void content_has_the_name_of_its_digest(void)
{
    maas_registry *r = open_dir(make_dir());
    char hex[MAAS_SHA256_HEX], path[160];
    put_blob(r, "hello", hex);
    EXPECT_STR(hex, HELLO); /* of sha256sum(1) */
    EXPECT(blob_is(r, HELLO, "hello"));
    put_blob(r, "", hex);
    EXPECT_STR(hex, EMPTY);
    EXPECT(blob_is(r, EMPTY, ""));
    path_of(HELLO, path);
    EXPECT_EQ(access(path, R_OK), 0);
    maas_registry_close(r);
    r = open_dir(test_dir);
    EXPECT(blob_is(r, HELLO, "hello"));
    maas_registry_close(r);
}

static void pieces_of_any_size_give_the_same_blob(void)
{
    maas_registry *r = open_dir(make_dir());
    char text[1000], hex[2][MAAS_SHA256_HEX];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 26);
    for (size_t piece = 1; piece <= 1000; piece = piece * 3 + 1) {
        maas_blob_writer *w = NULL;
        MUST(maas_blob_begin(r, &w, err));
        for (size_t at = 0; at < sizeof text; at += piece) {
            size_t n = sizeof text - at < piece ? sizeof text - at : piece;
            MUST(maas_blob_write(w, text + at, n, err));
            EXPECT_EQ(maas_blob_size(w), at + n);
        }
        MUST(maas_blob_commit(w, hex[piece > 1], err));
        EXPECT_STR(hex[piece > 1], hex[0]);
    }
    maas_registry_close(r);
}

static void an_aborted_blob_leaves_nothing(void)
{
    maas_registry *r = open_dir(make_dir());
    maas_blob_writer *w = NULL;
    int fd;
    uint64_t n;
    MUST(maas_blob_begin(r, &w, err));
    MUST(maas_blob_write(w, "hello", 5, err));
    maas_blob_abort(w);
    maas_blob_abort(NULL);
    FAILS(maas_blob_open(r, HELLO, &fd, &n, err), MAAS_E_NOT_FOUND, "does not exist");
    maas_registry_close(r);
}

static void names_that_are_no_digests_are_refused(void)
{
    static const char *const bad[] = {
        "",
        "ab",
        "../../../../etc/passwd",
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b982",
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b98244",
        "../24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b982",
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b982g",
    };
    maas_registry *r = open_dir(make_dir());
    bool complete;
    uint64_t n;
    int fd;
    for (size_t i = 0; i < MAAS_COUNT(bad); i++) {
        FAILS(maas_blob_open(r, bad[i], &fd, &n, err), MAAS_E_INVALID, "not a SHA-256");
        FAILS(maas_blob_partial_size(r, bad[i], &n, &complete, err), MAAS_E_INVALID, "SHA-256");
        FAILS(maas_blob_partial_append(r, bad[i], 0, "x", 1, 1, &complete, err), MAAS_E_INVALID,
              "SHA-256");
    }
    FAILS(maas_blob_open(r, NULL, &fd, &n, err), MAAS_E_INVALID, "SHA-256");
    maas_registry_close(r);
}

static void two_servers_cannot_own_one_directory(void)
{
    maas_registry *r = open_dir(make_dir()), *second;
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    FAILS(maas_registry_open(test_dir, &second, err), MAAS_E_CONFLICT, pid);
    maas_registry_close(r);
    maas_registry_close(open_dir(test_dir));
}

static void workers_use_the_store_of_a_running_server(void)
{
    maas_registry *r = open_dir(make_dir()), *store = NULL;
    char hex[MAAS_SHA256_HEX];
    MUST(maas_blobstore_open(test_dir, &store, err));
    put_blob(store, "hello", hex);
    EXPECT(blob_is(r, HELLO, "hello"));
    AUTO_FD fd = -1;
    MUST(maas_blob_tmp(store, &fd, err));
    MUST(maas_sys_write(fd, "", 0, err));
    MUST(maas_blob_link(store, fd, EMPTY, err));
    EXPECT(blob_is(r, EMPTY, ""));
    maas_registry_close(store);
    maas_registry_close(r);
    char nowhere[80];
    snprintf(nowhere, sizeof nowhere, "%s/nowhere", test_dir);
    FAILS(maas_blobstore_open(nowhere, &store, err), MAAS_E_NOT_FOUND, "");
    EXPECT_EQ(access(nowhere, F_OK), -1); /* looking for it did not make it */
}

static void a_broken_file_under_a_name_is_replaced(void)
{
    maas_registry *r = open_dir(make_dir());
    char hex[MAAS_SHA256_HEX], path[160];
    put_blob(r, "hello", hex);
    path_of(HELLO, path);
    EXPECT_EQ(truncate(path, 3), 0);
    put_blob(r, "hello", hex);
    EXPECT(blob_is(r, HELLO, "hello"));
    snprintf(path, sizeof path, "%s/damaged/%s", test_dir, HELLO);
    EXPECT_EQ(access(path, F_OK), 0);
    maas_registry_close(r);
}

static void gc_takes_only_what_is_old_and_unnamed(void)
{
    maas_registry *r = open_dir(make_dir());
    char used[MAAS_SHA256_HEX], old[MAAS_SHA256_HEX], fresh[MAAS_SHA256_HEX], job[MAAS_SHA256_HEX];
    uint32_t n = 99;
    put_version(r, TENANT, "m", "used");
    put_blob(r, "used", used);
    put_blob(r, "old", old);
    put_blob(r, "fresh", fresh);
    put_blob(r, "job", job);
    AUTO(maas_json_unref)
    json_t *spec = json_pack("{s:s,s:[{s:s}]}", "kind", "train", "x", "y", job);
    char id[32];
    MUST(maas_registry_job_create(r, TENANT, spec, id, err));
    age(used, 7200), age(old, 7200), age(job, 7200);
    MUST(maas_registry_gc(r, 3600 * 1000, &n, err));
    EXPECT_EQ(n, 1);
    EXPECT(blob_is(r, used, "used") && blob_is(r, fresh, "fresh") && blob_is(r, job, "job"));
    EXPECT(!blob_is(r, old, "old"));
    MUST(maas_registry_gc(r, 0, &n, err));
    EXPECT_EQ(n, 1); /* fresh */
    MUST(maas_registry_version_delete(r, TENANT, "m", 1, err));
    MUST(maas_registry_gc(r, 0, &n, err));
    EXPECT_EQ(n, 1); /* used */
    maas_registry_close(r);
}

static void an_old_blob_that_is_stored_again_counts_as_new(void)
{
    maas_registry *r = open_dir(make_dir());
    char hex[MAAS_SHA256_HEX];
    uint32_t n = 99;
    put_blob(r, "hello", hex);
    age(hex, 7200);
    put_blob(r, "hello", hex); /* its row follows in a moment */
    MUST(maas_registry_gc(r, 3600 * 1000, &n, err));
    EXPECT_EQ(n, 0);
    EXPECT(blob_is(r, HELLO, "hello"));
    maas_registry_close(r);
}

static void flip_byte(const char *hex, off_t at)
{
    char path[160], byte;
    path_of(hex, path);
    int fd = open(path, O_RDWR);
    EXPECT_EQ(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    EXPECT_EQ(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void scrub_goes_round_and_finds_every_flipped_byte(void)
{
    enum { N = 300, BAD = 7 };
    maas_registry *r = open_dir(make_dir());
    char hex[N][MAAS_SHA256_HEX], text[32];
    for (int i = 0; i < N; i++) {
        snprintf(text, sizeof text, "blob number %d", i);
        put_blob(r, text, hex[i]);
    }
    uint32_t bad, total = 0;
    MUST(maas_registry_scrub(r, N, &bad, err));
    EXPECT_EQ(bad, 0);
    for (int i = 0; i < BAD; i++)
        flip_byte(hex[i * 40], i);
    for (int i = 0; i < N / 20; i++) { /* every blob exactly once */
        MUST(maas_registry_scrub(r, 20, &bad, err));
        total += bad;
    }
    EXPECT_EQ(total, BAD);
    for (int i = 0; i < BAD; i++) { /* nobody is served from them; they can be stored again */
        snprintf(text, sizeof text, "blob number %d", i * 40);
        int fd;
        uint64_t n;
        FAILS(maas_blob_open(r, hex[i * 40], &fd, &n, err), MAAS_E_NOT_FOUND, "does not exist");
        put_blob(r, text, hex[i * 40]);
        EXPECT(blob_is(r, hex[i * 40], text));
    }
    maas_registry_close(r);
}

int main(int argc, char **argv)
{
    static const mt_case cases[] = {
        MT_CASE(content_has_the_name_of_its_digest),
        MT_CASE(pieces_of_any_size_give_the_same_blob),
        MT_CASE(an_aborted_blob_leaves_nothing),
        MT_CASE(names_that_are_no_digests_are_refused),
        MT_CASE(two_servers_cannot_own_one_directory),
        MT_CASE(workers_use_the_store_of_a_running_server),
        MT_CASE(a_broken_file_under_a_name_is_replaced),
        MT_CASE(gc_takes_only_what_is_old_and_unnamed),
        MT_CASE(an_old_blob_that_is_stored_again_counts_as_new),
        MT_CASE(scrub_goes_round_and_finds_every_flipped_byte),
    };
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
