/*
 * Every call into the kernel, and every allocation, fails once: a clean error with clean words,
 * nothing half done, and the registry goes on working afterwards.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "reg_test.h"
#include "base/ban.h"

/* ---- what is tried; each call is new work ---- */

typedef maas_status (*op_fn)(maas_registry *r, int i, maas_err *err);

static maas_status op_version(maas_registry *r, int i, maas_err *err)
{
    char content[32];
    int64_t version;
    bool created;
    snprintf(content, sizeof content, "content %d", i);
    return try_version(r, TENANT, "m", content, &version, &created, err);
}

static maas_status op_alias(maas_registry *r, int i, maas_err *err)
{
    char alias[32];
    snprintf(alias, sizeof alias, "alias-%d", i);
    return maas_registry_alias_set(r, TENANT, "m", alias, 1, err);
}

static maas_status op_upload(maas_registry *r, int i, maas_err *err)
{
    char content[32], hex[MAAS_SHA256_HEX];
    uint8_t digest[MAAS_SHA256_BYTES];
    maas_sha256 sha;
    uint64_t at;
    bool complete = false;
    snprintf(content, sizeof content, "upload %d", i);
    size_t n = strlen(content);
    if (!maas_sha256_init(&sha))
        return maas_fail(err, MAAS_E_NOMEM, "test");
    maas_sha256_add(&sha, content, n);
    maas_sha256_done(&sha, digest);
    maas_hex(digest, sizeof digest, hex);
    MAAS_TRY(maas_blob_partial_size(r, hex, &at, &complete, err)); /* goes on after a failure */
    if (at < 4 && !complete) {
        MAAS_TRY(
            maas_blob_partial_append(r, hex, at, content + at, 4 - (size_t)at, n, &complete, err));
        at = 4;
    }
    MAAS_TRY(maas_blob_partial_append(r, hex, complete ? 0 : at, content + at, n - (size_t)at, n,
                                      &complete, err));
    return complete && blob_is(r, hex, content) ? MAAS_OK
                                                : maas_fail(err, MAAS_E_IO, "cannot read it back");
}

static maas_status op_dataset(maas_registry *r, int i, maas_err *err)
{
    char hex[MAAS_SHA256_HEX], content[32];
    int64_t version;
    bool created;
    snprintf(content, sizeof content, "column %d", i);
    MAAS_TRY(try_blob(r, content, strlen(content), hex, err));
    AUTO(maas_json_unref)
    json_t *m = json_pack("{s:i,s:[{s:s}]}", "rows", 1, "columns", "blob", hex);
    if (!m)
        return maas_fail(err, MAAS_E_NOMEM, "test");
    return maas_registry_dataset_put(r, TENANT, "d", m, &version, &created, err);
}

static maas_status op_key(maas_registry *r, int i, maas_err *err)
{
    (void)i;
    AUTO(maas_json_unref) json_t *scopes = json_pack("[s]", "admin"), *out = NULL;
    if (!scopes)
        return maas_fail(err, MAAS_E_NOMEM, "test");
    return maas_registry_key_create(r, TENANT, "k", scopes, NULL, 0, &out, err);
}

static maas_status op_job(maas_registry *r, int i, maas_err *err)
{
    char id[32];
    AUTO(maas_json_unref)
    json_t *spec = json_pack("{s:i,s:s}", "n", i, "x",
                             "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    if (!spec)
        return maas_fail(err, MAAS_E_NOMEM, "test");
    MAAS_TRY(maas_registry_job_create(r, TENANT, spec, id, err));
    AUTO(maas_json_unref) json_t *fields = json_pack("{s:s}", "state", "running"), *doc = NULL;
    if (!fields)
        return maas_fail(err, MAAS_E_NOMEM, "test");
    MAAS_TRY(maas_registry_job_update(r, TENANT, id, fields, err));
    return maas_registry_job_get(r, TENANT, id, &doc, err);
}

static maas_status op_read(maas_registry *r, int i, maas_err *err)
{
    (void)i;
    AUTO(maas_json_unref) json_t *a = NULL, *b = NULL, *c = NULL, *d = NULL;
    MAAS_TRY(maas_registry_version_get(r, TENANT, "m", 1, &a, err));
    MAAS_TRY(maas_registry_model_get(r, TENANT, "m", &b, err));
    MAAS_TRY(maas_registry_model_list(r, TENANT, &c, err));
    return maas_registry_key_list(r, TENANT, &d, err);
}

static maas_status op_reopen(maas_registry *r, int i, maas_err *err)
{
    (void)r, (void)i;
    char other[80];
    maas_registry *second = NULL;
    snprintf(other, sizeof other, "%s/other", test_dir);
    MAAS_TRY(maas_registry_open(other, &second, err));
    maas_registry_close(second);
    return MAAS_OK;
}

static const struct {
    const char *name;
    op_fn fn;
    int stride; /* of allocations: opening makes thousands */
} ops[] = {
    {"version", op_version, 1}, {"alias", op_alias, 1},    {"upload", op_upload, 1},
    {"dataset", op_dataset, 1}, {"key", op_key, 1},        {"job", op_job, 1},
    {"read", op_read, 1},       {"reopen", op_reopen, 37},
};

static int serial;

/* After a failure: it was a clean one, and the same thing works now. */
static void expect_recovery(maas_registry *r, size_t op, maas_status st, const maas_err *err,
                            const char *what, long n)
{
    const maas_status fine[] = {MAAS_E_NO_SPACE, MAAS_E_IO, MAAS_E_NOMEM};
    bool known = false;
    for (size_t i = 0; i < MAAS_COUNT(fine); i++)
        known |= st == fine[i];
    EXPECT_MSG(known, "%s, %s %ld: status %d: %s", ops[op].name, what, n, st, err->msg);
    EXPECT_MSG(err->code == st && err->msg[0], "%s, %s %ld: no words", ops[op].name, what, n);
    expect_clean_words(err->msg);
    maas_err again = {0};
    EXPECT_MSG(ops[op].fn(r, serial, &again) == MAAS_OK, "%s, %s %ld: not usable after '%s': %s",
               ops[op].name, what, n, err->msg, again.msg);
}

/* ---- calls of ours ---- */

static long fail_calls(maas_registry *r, size_t op, maas_sys_call call, int err_no)
{
    for (long n = 1;; n++) {
        maas_err err = {0};
        serial++;
        maas_sys_fail_at(call, n, err_no);
        maas_status st = ops[op].fn(r, serial, &err);
        maas_sys_fail_at(call, 0, 0);
        if (st == MAAS_OK)
            return n - 1;
        char what[32];
        snprintf(what, sizeof what, "call kind %d", (int)call);
        expect_recovery(r, op, st, &err, what, n);
    }
}

static void every_call_of_ours_fails_once(void)
{
    static const maas_sys_call calls[] = {MAAS_SYS_WRITE, MAAS_SYS_READ, MAAS_SYS_OPEN,
                                          MAAS_SYS_LINK};
    maas_registry *r = open_dir(make_dir());
    long total = 0;
    MUST(op_version(r, 0, err));
    for (size_t op = 0; op < MAAS_COUNT(ops); op++)
        for (size_t c = 0; c < MAAS_COUNT(calls); c++)
            total += fail_calls(r, op, calls[c], ENOSPC) + fail_calls(r, op, calls[c], EIO);
    printf("%ld failures\n", total);
    EXPECT(total > 60);
    maas_registry_close(r);
}

/* ---- calls of the database ---- */

static _Atomic long db_countdown;
static int db_errno;
static long n_db_calls;

static bool db_fails(void)
{
    n_db_calls++;
    if (db_countdown <= 0 || db_countdown-- != 1)
        return false;
    errno = db_errno;
    return true;
}

static ssize_t bad_pwrite(int fd, const void *p, size_t n, off_t at)
{
    return db_fails() ? -1 : pwrite(fd, p, n, at);
}
static ssize_t bad_write(int fd, const void *p, size_t n)
{
    return db_fails() ? -1 : write(fd, p, n);
}
static ssize_t bad_pread(int fd, void *p, size_t n, off_t at)
{
    return db_fails() ? -1 : pread(fd, p, n, at);
}
static int bad_open(const char *path, int flags, int mode)
{
    return db_fails() ? -1 : open(path, flags, mode);
}
static int bad_ftruncate(int fd, off_t n)
{
    return db_fails() ? -1 : ftruncate(fd, n);
}
static void *bad_mmap(void *p, size_t n, int prot, int flags, int fd, off_t at)
{
    return db_fails() ? MAP_FAILED : mmap(p, n, prot, flags, fd, at);
}

static void take_over_database_calls(void)
{
    static const struct {
        const char *name;
        sqlite3_syscall_ptr fn;
    } rows[] = {
        {"pwrite", (sqlite3_syscall_ptr)bad_pwrite},
        {"pwrite64", (sqlite3_syscall_ptr)bad_pwrite},
        {"write", (sqlite3_syscall_ptr)bad_write},
        {"pread", (sqlite3_syscall_ptr)bad_pread},
        {"pread64", (sqlite3_syscall_ptr)bad_pread},
        {"open", (sqlite3_syscall_ptr)bad_open},
        {"ftruncate", (sqlite3_syscall_ptr)bad_ftruncate},
        {"mmap", (sqlite3_syscall_ptr)bad_mmap},
    };
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        vfs->xSetSystemCall(vfs, rows[i].name, rows[i].fn);
}

static long fail_db_calls(maas_registry *r, size_t op, int err_no)
{
    long n_failed = 0;
    for (long n = 1;; n++) {
        maas_err err = {0};
        serial++;
        db_errno = err_no;
        n_db_calls = 0;
        db_countdown = n;
        maas_status st = ops[op].fn(r, serial, &err);
        bool reached = n_db_calls >= n;
        db_countdown = 0;
        if (st == MAAS_OK && !reached)
            return n_failed;
        n_failed++;
        if (st != MAAS_OK) /* a checkpoint may fail and be done later: that is no failure */
            expect_recovery(r, op, st, &err, "database call", n);
    }
}

static void every_call_of_the_database_fails_once(void)
{
    take_over_database_calls();
    maas_registry *r = open_dir(make_dir());
    long total = 0;
    MUST(op_version(r, 0, err));
    for (size_t op = 0; op < MAAS_COUNT(ops); op++)
        total += fail_db_calls(r, op, ENOSPC) + fail_db_calls(r, op, EIO);
    printf("%ld failures\n", total);
    EXPECT(total > 60);
    maas_registry_close(r);
    maas_registry_close(open_dir(test_dir));
}

/* ---- fsync: the one failure that nobody survives ---- */

static bool fdatasync_fails;
static int n_fdatasync;

__attribute__((visibility("default"))) int fdatasync(int fd); /* the database's call comes here */
int fdatasync(int fd)
{
    n_fdatasync++;
    if (fdatasync_fails) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static void expect_abort(bool of_database)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        maas_registry *r = open_dir(test_dir);
        close(STDERR_FILENO);
        if (of_database)
            fdatasync_fails = true;
        else
            maas_sys_fail_at(MAAS_SYS_FSYNC, 1, EIO);
        op_version(r, ++serial, NULL);
        _exit(0); /* must not come here */
    }
    int st;
    waitpid(pid, &st, 0);
    EXPECT_MSG(WIFSIGNALED(st) && WTERMSIG(st) == SIGABRT, "wait status %d", st);
}

static void a_failed_fsync_ends_the_process(void)
{
    maas_registry *r = open_dir(make_dir());
    n_fdatasync = 0;
    MUST(op_version(r, 0, err));
    EXPECT(n_fdatasync > 0); /* every commit reaches the disk */
    maas_registry_close(r);
    expect_abort(false);
    expect_abort(true);
    r = open_dir(test_dir);
    AUTO(maas_json_unref) json_t *doc = NULL;
    MUST(maas_registry_version_get(r, TENANT, "m", 1, &doc, err));
    maas_registry_close(r);
}

/* ---- memory ---- */

static void *db_malloc(int n)
{
    return maas_alloc((size_t)n);
}
static void *db_realloc(void *p, int n)
{
    return maas_realloc(p, (size_t)n);
}
static int db_size(void *p)
{
    return p ? (int)malloc_usable_size(p) : 0;
}
static int db_roundup(int n)
{
    return (n + 7) & ~7;
}
static int db_init(void *p)
{
    (void)p;
    return SQLITE_OK;
}
static void db_shutdown(void *p)
{
    (void)p;
}

/* Everything that is allocated on the way, by whomever, goes through the door that can fail. */
static void take_over_memory(void)
{
    static const sqlite3_mem_methods methods = {db_malloc,  maas_free, db_realloc,  db_size,
                                                db_roundup, db_init,   db_shutdown, NULL};
    sqlite3_shutdown();
    EXPECT_EQ(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), SQLITE_OK);
    EXPECT_EQ(sqlite3_initialize(), SQLITE_OK);
    json_set_alloc_funcs(maas_alloc, maas_free);
}

static long fail_allocations(maas_registry *r, size_t op)
{
    long n_failed = 0;
    for (long n = 1;; n += ops[op].stride) {
        maas_err err = {0};
        serial++;
        long before = maas_mem_n_allocs();
        maas_mem_fail_at(n);
        maas_status st = ops[op].fn(r, serial, &err);
        bool reached = maas_mem_n_allocs() - before >= n;
        maas_mem_fail_at(0);
        if (st == MAAS_OK && !reached)
            return n_failed;
        n_failed++;
        if (st != MAAS_OK) /* the database can do without some of its caches */
            expect_recovery(r, op, st, &err, "allocation", n);
    }
}

static void every_allocation_fails_once(void)
{
    take_over_memory();
    long live = maas_mem_live();
    maas_registry *r = open_dir(make_dir());
    long total = 0;
    MUST(op_version(r, 0, err));
    for (size_t op = 0; op < MAAS_COUNT(ops); op++) {
        long n = fail_allocations(r, op);
        printf("%s: %ld\n", ops[op].name, n);
        total += n;
    }
    EXPECT(total > 300);
    maas_registry_close(r);
    sqlite3_shutdown();
    EXPECT_EQ(maas_mem_live(), live);
}

int main(int argc, char **argv)
{
    static const mt_case cases[] = {
        MT_CASE(every_call_of_ours_fails_once),
        MT_CASE(every_call_of_the_database_fails_once),
        MT_CASE(a_failed_fsync_ends_the_process),
        MT_CASE(every_allocation_fails_once),
    };
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
