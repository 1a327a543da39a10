/*
 * The process dies, at every named point and at random times; the directory is opened again. What
 * was acknowledged is there, byte for byte; what was not is absent or complete; no row dangles.
 *
 * Everything that touches the registry runs in a child: crash points read their setting once.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sqlite3.h>

#include "reg_test.h"
#include "base/ban.h"

enum { MAX_ACKS = 64 << 10 };

typedef struct acks { /* lines as the child wrote them: a letter, a space, a word */
    char text[MAX_ACKS];
    size_t n;
} acks;

static int ack_fd;

__attribute__((format(printf, 1, 2))) static void ack(const char *fmt, ...)
{
    char line[128];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    MUST(maas_sys_write(ack_fd, line, (size_t)n, err));
}

/* Runs fn in a child; returns its wait status. `crash`: name[:count] or NULL. */
static int in_child(void (*fn)(acks *), const char *crash, acks *a)
{
    int pipe_fd[2], st = 0;
    EXPECT_EQ(pipe(pipe_fd), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(pipe_fd[0]);
        ack_fd = pipe_fd[1];
        if (crash)
            setenv("MAAS_CRASH", crash, 1);
        mt_failed = 0;
        fn(a);
        fflush(NULL);
        _exit(mt_failed ? 1 : 0);
    }
    close(pipe_fd[1]);
    for (;;) {
        ssize_t n = read(pipe_fd[0], a->text + a->n, sizeof a->text - 1 - a->n);
        if (n <= 0)
            break;
        a->n += (size_t)n;
    }
    a->text[a->n] = '\0';
    close(pipe_fd[0]);
    waitpid(pid, &st, 0);
    return st;
}

/* ---- what is done ---- */

static void publish(maas_registry *r, int i)
{
    char content[32];
    snprintf(content, sizeof content, "content %d", i);
    ack("V %lld\n", (long long)put_version(r, TENANT, "m", content));
}

static void a_bit_of_everything(acks *ignored)
{
    (void)ignored;
    maas_registry *r = open_dir(test_dir);
    char hex[MAAS_SHA256_HEX], id[32];
    for (int i = 1; i <= 3; i++)
        publish(r, i);
    MUST(maas_registry_alias_set(r, TENANT, "m", "production", 2, err));
    ack("A 2\n");
    put_blob(r, "a column", hex);
    AUTO(maas_json_unref)
    json_t *manifest = json_pack("{s:i,s:[{s:s}]}", "rows", 1, "columns", "blob", hex);
    int64_t version = 0;
    bool created, complete = false;
    MUST(maas_registry_dataset_put(r, TENANT, "d", manifest, &version, &created, err));
    ack("D %lld\n", (long long)version);
    AUTO(maas_json_unref) json_t *scopes = json_pack("[s]", "admin"), *key = NULL;
    MUST(maas_registry_key_create(r, TENANT, "k", scopes, NULL, 0, &key, err));
    ack("K %s\n", str_at(key, "key"));
    AUTO(maas_json_unref) json_t *spec = json_pack("{s:s}", "kind", "train");
    MUST(maas_registry_job_create(r, TENANT, spec, id, err));
    ack("J %s\n", id);
    const char *const hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    MUST(maas_blob_partial_append(r, hello, 0, "he", 2, 5, &complete, err));
    MUST(maas_blob_partial_append(r, hello, 2, "llo", 3, 5, &complete, err));
    ack("U %s\n", hello);
    uint32_t n;
    put_blob(r, "nobody names this", hex);
    MUST(maas_registry_version_delete(r, TENANT, "m", 1, err));
    ack("X 1\n");
    char path[160];
    struct timespec past[2] = {{.tv_sec = time(NULL) - 7200}, {.tv_sec = time(NULL) - 7200}};
    snprintf(path, sizeof path, "%s/blobs/%.2s/%s", test_dir, hex, hex + 2);
    EXPECT_EQ(utimensat(AT_FDCWD, path, past, 0), 0);
    MUST(maas_registry_gc(r, 3600 * 1000, &n, err));
    EXPECT_EQ(n, 1);
    maas_registry_close(r);
}

/* ---- what must hold ---- */

static bool is_gone(const acks *a, int64_t version)
{
    char line[32];
    snprintf(line, sizeof line, "X %lld\n", (long long)version);
    return strstr(a->text, line);
}

static void expect_version(maas_registry *r, int64_t version)
{
    char content[32];
    AUTO(maas_json_unref) json_t *doc = NULL;
    snprintf(content, sizeof content, "content %lld", (long long)version);
    MUST(maas_registry_version_get(r, TENANT, "m", version, &doc, err));
    EXPECT_MSG(blob_is(r, str_at(json_object_get(doc, "files"), "model.onnx"), content),
               "version %lld", (long long)version);
}

static void expect_ack(maas_registry *r, const maas_snapshot *s, const acks *a, char kind,
                       const char *word)
{
    AUTO(maas_json_unref) json_t *doc = NULL;
    const maas_snap_version *v = NULL;
    maas_principal who;
    int64_t number = strtoll(word, NULL, 10);
    switch (kind) {
    case 'V':
        if (!is_gone(a, number) && number != 1) /* 1 may be gone without an acknowledgement */
            expect_version(r, number);
        break;
    case 'A':
        MUST(maas_snapshot_resolve(s, TENANT, "m@production", NULL, NULL, &v, err));
        EXPECT_EQ(v->version, number);
        break;
    case 'D':
        MUST(maas_registry_dataset_get(r, TENANT, "d", number, &doc, err));
        break;
    case 'K':
        MUST(maas_snapshot_authenticate(s, word, &who, err));
        break;
    case 'J':
        MUST(maas_registry_job_get(r, TENANT, word, &doc, err));
        break;
    case 'U':
        EXPECT(blob_is(r, word, "hello"));
        break;
    case 'X':
        EXPECT_EQ(maas_registry_version_get(r, TENANT, "m", number, &doc, NULL), MAAS_E_NOT_FOUND);
        break;
    default:
        EXPECT_MSG(false, "'%c'", kind);
    }
}

static void expect_sound_tables(void)
{
    static const char *const checks[] = {
        "SELECT count(*) FROM pragma_quick_check WHERE quick_check != 'ok'",
        "SELECT count(*) FROM pragma_foreign_key_check",
        "SELECT count(*) FROM versions WHERE uid NOT IN (SELECT uid FROM version_files)",
        "SELECT count(*) FROM version_files WHERE uid NOT IN (SELECT uid FROM versions)",
    };
    char path[96];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/maas.db", test_dir);
    EXPECT_EQ(sqlite3_open(path, &db), SQLITE_OK);
    for (size_t i = 0; i < MAAS_COUNT(checks); i++) {
        sqlite3_stmt *q = NULL;
        EXPECT_EQ(sqlite3_prepare_v2(db, checks[i], -1, &q, NULL), SQLITE_OK);
        EXPECT_EQ(sqlite3_step(q), SQLITE_ROW);
        EXPECT_MSG(sqlite3_column_int64(q, 0) == 0, "%s", checks[i]);
        sqlite3_finalize(q);
    }
    sqlite3_close(db);
}

/* Every version that can be seen is complete, acknowledged or not. */
static void expect_whole_versions(maas_registry *r, const maas_snapshot *s)
{
    for (uint32_t i = 0; i < maas_snapshot_n_models(s, TENANT); i++) {
        const maas_snap_version *v;
        uint32_t n;
        maas_snapshot_model(s, TENANT, i, &v, &n);
        for (uint32_t k = 0; k < n; k++)
            expect_version(r, v[k].version);
    }
}

static void verify(acks *a)
{
    maas_registry *r = open_dir(test_dir);
    const maas_snapshot *s = maas_registry_snapshot(r);
    char kind, word[100];
    int used, last = 0;
    for (const char *at = a->text; *at; at += used) {
        used = (int)strcspn(at, "\n") + 1;
        kind = at[0];
        snprintf(word, sizeof word, "%.*s", used - 3, at + 2);
        expect_ack(r, s, a, kind, word);
        last = kind == 'V' ? (int)strtol(word, NULL, 10) : last;
    }
    expect_whole_versions(r, s);
    maas_snapshot_unref(s);
    expect_sound_tables();
    EXPECT(put_version(r, TENANT, "m", "life goes on") > last);
    maas_registry_close(r);
}

static const char *const points[] = {
    "blob.before_fsync",      "blob.after_fsync",      "blob.after_link",
    "registry.before_commit", "registry.after_commit", "registry.migrate",
    "partial.after_write",    "pepper.before_link",    "gc.after_unlink",
};

static void death_at_every_point(void)
{
    static acks a;
    int n_deaths = 0;
    for (size_t p = 0; p < MAAS_COUNT(points); p++)
        for (int count = 1;; count++) {
            char crash[64];
            snprintf(crash, sizeof crash, "%s:%d", points[p], count);
            make_dir();
            a.n = 0;
            int st = in_child(a_bit_of_everything, crash, &a);
            bool died = WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL;
            EXPECT_MSG(died || st == 0, "%s: wait status %d", crash, st);
            static acks none;
            none.n = 0;
            EXPECT_MSG(in_child(verify, NULL, died ? &a : &none) == 0 || !died,
                       "%s: acknowledged:\n%s", crash, a.text);
            remove_dir();
            n_deaths += died;
            EXPECT_MSG(died || count > 1, "%s is never reached", points[p]);
            if (!died)
                break;
        }
    printf("%d deaths\n", n_deaths);
    EXPECT(n_deaths >= 30);
}

/* ---- at random times ---- */

static void publish_until_killed(acks *a)
{
    maas_registry *r = open_dir(test_dir);
    (void)a;
    for (;;) {
        char content[32];
        AUTO(maas_json_unref) json_t *doc = NULL;
        int64_t next = 1;
        if (maas_registry_version_get(r, TENANT, "m", 0, &doc, NULL) == MAAS_OK)
            next = int_at(doc, "version") + 1;
        snprintf(content, sizeof content, "content %lld", (long long)next);
        EXPECT_EQ(put_version(r, TENANT, "m", content), next);
        ack("V %lld\n", (long long)next);
    }
}

/* Reads until there are `n_lines`, or the end. */
static void read_acks(int fd, acks *a, int n_lines)
{
    int n_seen = 0;
    while (n_seen < n_lines) {
        ssize_t n = read(fd, a->text + a->n, sizeof a->text - 1 - a->n);
        if (n <= 0)
            break;
        for (ssize_t i = 0; i < n; i++)
            n_seen += a->text[a->n + (size_t)i] == '\n';
        a->n += (size_t)n;
    }
    a->text[a->n] = '\0';
}

/* Lets the child acknowledge a few publications, then kills it `us` microseconds later. Returns the
 * newest number that it acknowledged, or 0. */
static int64_t kill_after(int n_acks, unsigned us)
{
    static acks a;
    int pipe_fd[2], st;
    EXPECT_EQ(pipe(pipe_fd), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(pipe_fd[0]);
        ack_fd = pipe_fd[1];
        publish_until_killed(&a);
        _exit(1);
    }
    close(pipe_fd[1]);
    a.n = 0;
    read_acks(pipe_fd[0], &a, n_acks);
    usleep(us);
    kill(pid, SIGKILL);
    waitpid(pid, &st, 0);
    EXPECT_MSG(WIFSIGNALED(st), "the child ended by itself: %d", st);
    read_acks(pipe_fd[0], &a, INT_MAX);
    close(pipe_fd[0]);
    const char *last = strrchr(a.text, 'V');
    return last ? strtoll(last + 2, NULL, 10) : 0;
}

static void two_hundred_kills_at_random_times(void)
{
    enum { ROUNDS = 200, MAX_ACKS_WAITED = 4, MAX_US = 8000 };
    uint64_t seed = maas_wall_ms();
    maas_rng rng;
    maas_rng_seed(&rng, seed);
    printf("seed %llu\n", (unsigned long long)seed);
    make_dir();
    int64_t acked = 0;
    int n_with_acks = 0;
    for (int i = 0; i < ROUNDS; i++) {
        int n_acks = (int)maas_rng_below(&rng, MAX_ACKS_WAITED);
        int64_t last = kill_after(n_acks, (unsigned)maas_rng_below(&rng, MAX_US));
        n_with_acks += last > 0;
        EXPECT_MSG(!last || last > acked, "%lld was acknowledged after %lld", (long long)last,
                   (long long)acked);
        acked = last > acked ? last : acked;
        maas_registry *r = open_dir(test_dir);
        for (int64_t v = acked > 5 ? acked - 5 : 1; v <= acked; v++)
            expect_version(r, v);
        maas_registry_close(r);
    }
    maas_registry *r = open_dir(test_dir);
    const maas_snapshot *s = maas_registry_snapshot(r);
    for (int64_t v = 1; v <= acked; v++)
        expect_version(r, v);
    expect_whole_versions(r, s);
    maas_snapshot_unref(s);
    maas_registry_close(r);
    expect_sound_tables();
    printf("%d kills, %d after an acknowledgement, %lld versions\n", ROUNDS, n_with_acks,
           (long long)acked);
    EXPECT(n_with_acks >= ROUNDS / 2);
}

int main(int argc, char **argv)
{
    static const mt_case cases[] = {
        MT_CASE(death_at_every_point),
        MT_CASE(two_hundred_kills_at_random_times),
    };
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
