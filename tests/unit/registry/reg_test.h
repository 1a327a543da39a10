/* What the tests of this room share: a directory that goes away, and short ways to put things. */
#ifndef REG_TEST_H
#define REG_TEST_H

#include <ftw.h>
#include <sys/stat.h>
#include <time.h>

#include "base/mem.h"
#include "maas_test.h"
#include "registry/registry.h"

enum { TENANT = 1, OTHER = 2 };

#define MUST(expr)                                                                                 \
    do {                                                                                           \
        maas_err err_ = {0}, *err = &err_;                                                         \
        maas_status st_ = (expr);                                                                  \
        EXPECT_MSG(st_ == MAAS_OK, "status %d: %s", st_, err->msg);                                \
        if (st_)                                                                                   \
            exit(1); /* nothing after it would mean anything */                                    \
    } while (0)
/* Fails with this status and these words; and the words tell nothing of how we are made. */
#define FAILS(expr, status, words)                                                                 \
    do {                                                                                           \
        maas_err err_ = {0}, *err = &err_;                                                         \
        EXPECT_EQ((expr), (status));                                                               \
        EXPECT_MSG(strstr(err->msg, (words)), "words: %s", err->msg);                              \
        expect_clean_words(err->msg);                                                              \
    } while (0)

static char test_dir[64];

__attribute__((unused)) static void expect_clean_words(const char *msg)
{
    static const char *const leaks[] = {"sqlite", "SQL",   "SELECT", "INSERT", "constraint",
                                        "/tmp",   "/proc", "tmp/",   "blobs/", "tenant_id"};
    for (size_t i = 0; i < MAAS_COUNT(leaks); i++)
        EXPECT_MSG(!strstr(msg, leaks[i]), "'%s' leaks '%s'", msg, leaks[i]);
}

static int remove_one(const char *path, const struct stat *sb, int flag, struct FTW *walk)
{
    (void)sb, (void)flag, (void)walk;
    return remove(path);
}

static pid_t test_dir_owner;

static void remove_dir(void)
{
    if (getpid() == test_dir_owner) /* children of a case leave it alone */
        nftw(test_dir, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

__attribute__((unused)) static const char *make_dir(void)
{
    snprintf(test_dir, sizeof test_dir, "/tmp/maas-registry-XXXXXX");
    EXPECT(mkdtemp(test_dir));
    test_dir_owner = getpid();
    atexit(remove_dir);
    return test_dir;
}

__attribute__((unused)) static maas_registry *open_dir(const char *dir)
{
    maas_registry *r = NULL;
    MUST(maas_registry_open(dir, &r, err));
    return r;
}

__attribute__((unused)) static maas_status try_blob(maas_registry *r, const void *p, size_t n,
                                                    char out_hex[MAAS_SHA256_HEX], maas_err *err)
{
    maas_blob_writer *w;
    MAAS_TRY(maas_blob_begin(r, &w, err));
    maas_status st = maas_blob_write(w, p, n, err);
    if (st) {
        maas_blob_abort(w);
        return st;
    }
    return maas_blob_commit(w, out_hex, err);
}

__attribute__((unused)) static void put_blob(maas_registry *r, const char *text,
                                             char out_hex[MAAS_SHA256_HEX])
{
    MUST(try_blob(r, text, strlen(text), out_hex, err));
}

/* A version whose one file has this content. */
__attribute__((unused)) static maas_status try_version(maas_registry *r, maas_tenant t,
                                                       const char *model, const char *content,
                                                       int64_t *out_version, bool *out_created,
                                                       maas_err *err)
{
    char hex[MAAS_SHA256_HEX];
    MAAS_TRY(try_blob(r, content, strlen(content), hex, err));
    AUTO(maas_json_unref) json_t *files = json_pack("{s:s}", "model.onnx", hex);
    AUTO(maas_json_unref)
    json_t *io = json_pack("[{s:s,s:s,s:[i,i]}]", "name", "x", "datatype", "FP32", "shape", -1, 4);
    AUTO(maas_json_unref) json_t *lineage = json_pack("{s:s,s:i}", "code", "1.0", "seed", 7);
    if (!files || !io || !lineage)
        return maas_fail(err, MAAS_E_NOMEM, "test");
    maas_version_in in = {.files = files,
                          .format = "onnx",
                          .artifact = "model.onnx",
                          .inputs = io,
                          .outputs = io,
                          .lineage = lineage};
    return maas_registry_version_put(r, t, model, &in, out_version, out_created, err);
}

__attribute__((unused)) static int64_t put_version(maas_registry *r, maas_tenant t,
                                                   const char *model, const char *content)
{
    int64_t version = 0;
    bool created;
    MUST(try_version(r, t, model, content, &version, &created, err));
    return version;
}

__attribute__((unused)) static bool blob_is(maas_registry *r, const char *hex, const char *content)
{
    AUTO_FD fd = -1;
    AUTO(maas_buf_reset) maas_buf bytes = MAAS_BUF_INIT(1 << 20);
    uint64_t n;
    return maas_blob_open(r, hex, &fd, &n, NULL) == MAAS_OK &&
           maas_sys_read_all(fd, &bytes, NULL) == MAAS_OK && bytes.n == n && n == strlen(content) &&
           (!n || memcmp(bytes.p, content, n) == 0);
}

__attribute__((unused)) static const char *str_at(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

__attribute__((unused)) static long long int_at(const json_t *o, const char *key)
{
    const json_t *j = json_object_get(o, key);
    return json_is_integer(j) ? json_integer_value(j) : -1;
}

#endif
