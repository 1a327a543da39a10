#include "maas_test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/sys.h"

static char dir_path[64];

/* A directory of its own for each case; the process ends with the case, so the path is enough. */
static int temporary_dir(void)
{
    int fd = -1;
    maas_err err = {0};
    snprintf(dir_path, sizeof dir_path, "/tmp/maas-test-XXXXXX");
    EXPECT(mkdtemp(dir_path) != NULL);
    EXPECT_EQ(maas_sys_open_dir(dir_path, false, &fd, &err), MAAS_OK);
    return fd;
}

static void remove_dir(int fd)
{
    char command[128];
    close(fd);
    snprintf(command, sizeof command, "rm -rf '%s'", dir_path);
    EXPECT_EQ(system(command), 0);
}

static void put_file(int dir, const char *name, const char *text)
{
    maas_err err = {0};
    int fd = -1;
    EXPECT_EQ(maas_sys_tmpfile(dir, &fd, &err), MAAS_OK);
    EXPECT_EQ(maas_sys_write(fd, text, strlen(text), &err), MAAS_OK);
    maas_sys_fsync(fd);
    EXPECT_EQ(maas_sys_link(fd, dir, name, &err), MAAS_OK);
    EXPECT_STR(err.msg, "");
    close(fd);
}

static void an_unnamed_file_gets_its_name_once(void)
{
    int dir = temporary_dir(), fd = -1;
    maas_err err = {0};
    put_file(dir, "a", "hello");
    EXPECT_EQ(maas_sys_tmpfile(dir, &fd, &err), MAAS_OK);
    EXPECT_EQ(maas_sys_link(fd, dir, "a", &err), MAAS_E_CONFLICT);
    close(fd);
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(5);
    EXPECT_EQ(maas_sys_openat(dir, "a", O_RDONLY, "the file", &fd, NULL), MAAS_OK);
    EXPECT_EQ(maas_sys_read_all(fd, &text, NULL), MAAS_OK);
    EXPECT_STR(text.p, "hello");
    uint64_t size;
    EXPECT_EQ(maas_sys_size(fd, &size, NULL), MAAS_OK);
    EXPECT_EQ(size, 5);
    struct stat sb;
    EXPECT(fstat(fd, &sb) == 0 && (sb.st_mode & 0777) == 0600);
    EXPECT(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    remove_dir(dir);
}

static void what_is_longer_than_the_buffer_is_refused(void)
{
    int dir = temporary_dir(), fd = -1;
    put_file(dir, "a", "hello");
    for (size_t max = 0; max < 5; max++) {
        AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(max);
        EXPECT_EQ(maas_sys_openat(dir, "a", O_RDONLY, "the file", &fd, NULL), MAAS_OK);
        EXPECT_EQ(maas_sys_read_all(fd, &text, NULL), MAAS_E_TOO_LARGE);
        close(fd);
    }
    remove_dir(dir);
}

/* Links, "..", absolute paths: none leads out, none is followed. */
static void nothing_leads_out_of_a_directory(void)
{
    int dir = temporary_dir(), fd = -1;
    put_file(dir, "inside", "x");
    EXPECT_EQ(maas_sys_mkdirat(dir, "sub", NULL), MAAS_OK);
    EXPECT_EQ(maas_sys_mkdirat(dir, "sub", NULL), MAAS_OK);
    EXPECT_EQ(symlinkat("inside", dir, "link"), 0);
    EXPECT_EQ(symlinkat("/etc", dir, "etc"), 0);
    static const char *const refused[] = {"../etc/passwd", "/etc/passwd", "link",
                                          "etc/passwd",    "sub/../../x", ".."};
    for (size_t i = 0; i < MAAS_COUNT(refused); i++) {
        maas_err err = {0};
        EXPECT_MSG(maas_sys_openat(dir, refused[i], O_RDONLY, "the model", &fd, &err) ==
                       MAAS_E_FORBIDDEN,
                   "%s: %s", refused[i], err.msg);
        EXPECT(strstr(err.msg, "the model") && !strchr(err.msg, '/'));
    }
    maas_err err = {0};
    EXPECT_EQ(maas_sys_openat(dir, "missing", O_RDONLY, "the model", &fd, &err), MAAS_E_NOT_FOUND);
    EXPECT_STR(err.msg, "cannot open the model: No such file or directory");
    EXPECT_EQ(maas_sys_openat(dir, "sub/../inside", O_RDONLY, "it", &fd, NULL), MAAS_OK);
    close(fd);
    EXPECT_EQ(maas_sys_openat(dir, "inside", O_RDWR | O_CREAT | O_EXCL, "it", &fd, NULL),
              MAAS_E_CONFLICT);
    EXPECT_EQ(maas_sys_openat(dir, "new", O_RDWR | O_CREAT | O_EXCL, "it", &fd, NULL), MAAS_OK);
    close(fd);
    remove_dir(dir);
}

static void names_move_and_go(void)
{
    int dir = temporary_dir(), fd = -1;
    put_file(dir, "a", "new");
    put_file(dir, "b", "old");
    EXPECT_EQ(maas_sys_rename(dir, "a", "b", NULL), MAAS_OK);
    EXPECT_EQ(maas_sys_rename(dir, "a", "b", NULL), MAAS_E_NOT_FOUND);
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(100);
    EXPECT_EQ(maas_sys_openat(dir, "b", O_RDONLY, "b", &fd, NULL), MAAS_OK);
    EXPECT_EQ(maas_sys_read_all(fd, &text, NULL), MAAS_OK);
    EXPECT_STR(text.p, "new");
    close(fd);
    EXPECT_EQ(maas_sys_unlinkat(dir, "b", NULL), MAAS_OK);
    EXPECT_EQ(maas_sys_unlinkat(dir, "b", NULL), MAAS_E_NOT_FOUND);
    EXPECT_EQ(maas_sys_mkdirat(dir, "sub", NULL), MAAS_OK);
    put_file(dir, "sub/c", "below");
    remove_dir(dir);
}

static void a_missing_path_is_made_when_asked(void)
{
    int dir = temporary_dir(), fd = -1;
    char path[128];
    maas_err err = {0};
    snprintf(path, sizeof path, "%s/a/b/c/", dir_path);
    EXPECT_EQ(maas_sys_open_dir(path, false, &fd, &err), MAAS_E_NOT_FOUND);
    EXPECT(!strstr(err.msg, dir_path));
    EXPECT_EQ(maas_sys_open_dir(path, true, &fd, NULL), MAAS_OK);
    close(fd);
    EXPECT_EQ(maas_sys_open_dir(path, true, &fd, NULL), MAAS_OK);
    close(fd);
    put_file(dir, "file", "x");
    snprintf(path, sizeof path, "%s/file/sub", dir_path);
    EXPECT(maas_sys_open_dir(path, true, &fd, NULL) != MAAS_OK);
    EXPECT(maas_sys_open_dir("", true, &fd, NULL) != MAAS_OK);
    remove_dir(dir);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void a_mapping_shows_the_bytes(void)
{
    int dir = temporary_dir(), fd = -1;
    maas_map m;
    put_file(dir, "a", "mapped");
    put_file(dir, "empty", "");
    EXPECT_EQ(maas_sys_openat(dir, "a", O_RDONLY, "a", &fd, NULL), MAAS_OK);
    EXPECT_EQ(maas_sys_map(fd, &m, NULL), MAAS_OK);
    close(fd);
    EXPECT(m.n == 6 && memcmp(m.p, "mapped", 6) == 0);
    maas_sys_unmap(&m);
    EXPECT(!m.p && !m.n);
    maas_sys_unmap(&m);
    EXPECT_EQ(maas_sys_openat(dir, "empty", O_RDONLY, "a", &fd, NULL), MAAS_OK);
    EXPECT_EQ(maas_sys_map(fd, &m, NULL), MAAS_OK);
    EXPECT(!m.p && !m.n);
    close(fd);
    maas_err err = {0};
    EXPECT_EQ(maas_sys_map(dir, &m, &err), MAAS_E_INVALID);
    EXPECT_STR(err.msg, "not a regular file");
    remove_dir(dir);
}

static void writing_at_an_offset_leaves_the_rest(void)
{
    int dir = temporary_dir(), fd = -1;
    char text[8] = "";
    size_t n;
    EXPECT_EQ(maas_sys_tmpfile(dir, &fd, NULL), MAAS_OK);
    EXPECT_EQ(maas_sys_pwrite(fd, "abcdef", 6, 0, NULL), MAAS_OK);
    EXPECT_EQ(maas_sys_pwrite(fd, "XY", 2, 2, NULL), MAAS_OK);
    EXPECT_EQ(maas_sys_read(fd, text, sizeof text, &n, NULL), MAAS_OK);
    EXPECT_EQ(n, 6);
    EXPECT_STR(text, "abXYef");
    EXPECT_EQ(maas_sys_pwrite(fd, "x", 1, UINT64_MAX, NULL), MAAS_E_TOO_LARGE);
    EXPECT_EQ(maas_sys_pwrite(fd, "x", 1, INT64_MAX, NULL), MAAS_E_TOO_LARGE);
    uint64_t free_bytes;
    EXPECT_EQ(maas_sys_free_bytes(fd, &free_bytes), MAAS_OK);
    EXPECT(free_bytes > 0);
    close(fd);
    EXPECT(maas_sys_free_bytes(-1, &free_bytes) != MAAS_OK);
    remove_dir(dir);
}

/* A full device is a status of its own. /dev/full answers every write with ENOSPC. */
static void a_full_disk_says_so(void)
{
    int fd;
    maas_err err = {0};
    EXPECT_EQ(maas_sys_open("/dev/full", O_WRONLY, &fd, &err), MAAS_OK);
    EXPECT_EQ(maas_sys_write(fd, "x", 1, &err), MAAS_E_NO_SPACE);
    EXPECT_STR(err.msg, "cannot write: No space left on device");
    close(fd);
}

static int exit_of(void (*fn)(void))
{
    int st;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(2);
        fn();
        _exit(0);
    }
    waitpid(pid, &st, 0);
    return st;
}

#ifdef MAAS_FAULTS
static void every_call_can_be_made_to_fail(void)
{
    int dir = temporary_dir(), fd = -1;
    maas_map m;
    char c;
    size_t n;
    put_file(dir, "a", "x");
    maas_sys_fail_at(MAAS_SYS_OPEN, 2, EMFILE);
    EXPECT_EQ(maas_sys_openat(dir, "a", O_RDWR, "a", &fd, NULL), MAAS_OK);
    int other;
    EXPECT_EQ(maas_sys_openat(dir, "a", O_RDWR, "a", &other, NULL), MAAS_E_IO);
    maas_sys_fail_at(MAAS_SYS_WRITE, 1, ENOSPC);
    EXPECT_EQ(maas_sys_write(fd, "y", 1, NULL), MAAS_E_NO_SPACE);
    maas_sys_fail_at(MAAS_SYS_WRITE, 1, EINTR); /* is no failure */
    EXPECT_EQ(maas_sys_write(fd, "y", 1, NULL), MAAS_OK);
    maas_sys_fail_at(MAAS_SYS_WRITE, 1, EIO);
    EXPECT_EQ(maas_sys_pwrite(fd, "y", 1, 0, NULL), MAAS_E_IO);
    maas_sys_fail_at(MAAS_SYS_READ, 1, EIO);
    EXPECT_EQ(maas_sys_read(fd, &c, 1, &n, NULL), MAAS_E_IO);
    maas_sys_fail_at(MAAS_SYS_MMAP, 1, ENOMEM);
    EXPECT_EQ(maas_sys_map(fd, &m, NULL), MAAS_E_NOMEM);
    maas_sys_fail_at(MAAS_SYS_LINK, 1, EIO);
    EXPECT_EQ(maas_sys_rename(dir, "a", "b", NULL), MAAS_E_IO);
    close(fd);
    EXPECT_EQ(maas_sys_tmpfile(dir, &fd, NULL), MAAS_OK);
    maas_sys_fail_at(MAAS_SYS_LINK, 1, ENOSPC);
    EXPECT_EQ(maas_sys_link(fd, dir, "b", NULL), MAAS_E_NO_SPACE);
    EXPECT_EQ(maas_sys_link(fd, dir, "b", NULL), MAAS_OK);
    close(fd);
    remove_dir(dir);
}

static void fsync_with_a_failure(void)
{
    maas_sys_fail_at(MAAS_SYS_FSYNC, 1, EIO);
    maas_sys_fsync(1);
}

static void crash_at_the_second_pass(void)
{
    setenv("MAAS_CRASH", "here:2", 1);
    MAAS_CRASH_POINT("there");
    MAAS_CRASH_POINT("here");
    MAAS_CRASH_POINT("her");
    if (write(1, "", 0) == 0)
        MAAS_CRASH_POINT("here");
}

static void no_crash_elsewhere(void)
{
    setenv("MAAS_CRASH", "here", 1);
    MAAS_CRASH_POINT("there");
    MAAS_CRASH_POINT("her");
    MAAS_CRASH_POINT("heres");
}

static void crash_points_kill_by_name_and_count(void)
{
    int st = exit_of(crash_at_the_second_pass);
    EXPECT(WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL);
    EXPECT_EQ(exit_of(no_crash_elsewhere), 0);
}
#else
static void fsync_with_a_failure(void)
{
    maas_sys_fsync(-1);
}
#endif

static void a_failed_fsync_ends_the_process(void)
{
    int st = exit_of(fsync_with_a_failure);
    EXPECT(WIFSIGNALED(st) && WTERMSIG(st) == SIGABRT);
}

static void time_prints_as_rfc3339(void)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {951782400001, "2000-02-29T00:00:00.001Z"},
        {1767323045678, "2026-01-02T03:04:05.678Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
        {UINT64_MAX, "9999-12-31T23:59:59.999Z"},
    };
    char text[32];
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        maas_time_rfc3339(rows[i].ms, text);
        EXPECT_STR(text, rows[i].text);
    }
    uint64_t before = maas_now_ns();
    maas_sleep_ms(3);
    EXPECT(maas_now_ns() - before >= 3000000);
    EXPECT(maas_wall_ms() > 1700000000000);
}

static void the_generator_repeats_and_is_fair(void)
{
    maas_rng a, b;
    maas_rng_seed(&a, 7);
    maas_rng_seed(&b, 7);
    long count[7] = {0};
    double sum = 0, squares = 0, unit = 0;
    enum { N = 700000 };
    for (int i = 0; i < N; i++)
        count[maas_rng_below(&a, 7)]++;
    for (int i = 0; i < 7; i++)
        EXPECT_NEAR(count[i], N / 7.0, 1500); /* five deviations */
    for (int i = 0; i < N; i++) {
        double v = (double)maas_rng_normal(&a), u = maas_rng_unit(&a);
        EXPECT(u >= 0 && u < 1);
        sum += v;
        squares += v * v;
        unit += u;
    }
    EXPECT_NEAR(sum / N, 0, 0.006);
    EXPECT_NEAR(squares / N, 1, 0.009);
    EXPECT_NEAR(unit / N, 0.5, 0.002);
    for (int i = 0; i < 100; i++)
        maas_rng_seed(&a, 9), maas_rng_seed(&b, 9);
    for (int i = 0; i < 1000; i++)
        EXPECT(maas_rng_u64(&a) == maas_rng_u64(&b));
    EXPECT_EQ(maas_rng_below(&a, 1), 0);
    uint64_t huge = (1ull << 63) + 1;
    for (int i = 0; i < 1000; i++)
        EXPECT(maas_rng_below(&a, huge) < huge);
}

/* xoshiro256** from the state {1,2,3,4}: the first results of the authors' code. */
static void the_generator_is_the_published_one(void)
{
    maas_rng r = {{1, 2, 3, 4}};
    static const uint64_t want[] = {11520u, 0u, 1509978240u, 1215971899390074240u};
    for (size_t i = 0; i < MAAS_COUNT(want); i++)
        EXPECT(maas_rng_u64(&r) == want[i]);
}

static void random_bytes_differ(void)
{
    uint8_t a[64] = {0}, b[64] = {0};
    maas_random_bytes(a, sizeof a);
    maas_random_bytes(b, sizeof b);
    EXPECT(memcmp(a, b, sizeof a) != 0);
    maas_random_bytes(a, 0);
}

static void the_machine_is_described(void)
{
    EXPECT(maas_sys_n_cores() >= 1);
    EXPECT(maas_sys_rss_bytes() > 100000);
    EXPECT(maas_sys_memory_bytes() >= maas_sys_rss_bytes());
    EXPECT(strstr(maas_sys_self_exe(), "sys") != NULL);
    EXPECT(access(maas_sys_self_exe(), X_OK) == 0);
    EXPECT(maas_sys_env("MAAS_SURELY_NOT_SET") == NULL);
}

static void sha256_matches_the_standard(void)
{
    /* FIPS 180-4 examples: "", "abc", a million times 'a' */
    static const char *const want[] = {
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"};
    for (int i = 0; i < 3; i++) {
        maas_sha256 h;
        uint8_t digest[MAAS_SHA256_BYTES], back[MAAS_SHA256_BYTES];
        char hex[MAAS_SHA256_HEX];
        EXPECT(maas_sha256_init(&h));
        if (i == 1)
            maas_sha256_add(&h, "abc", 3);
        for (int k = 0; i == 2 && k < 100000; k++)
            maas_sha256_add(&h, "aaaaaaaaaa", 10);
        maas_sha256_done(&h, digest);
        maas_hex(digest, sizeof digest, hex);
        EXPECT_STR(hex, want[i]);
        EXPECT(maas_unhex(hex, back, sizeof back) && memcmp(back, digest, sizeof back) == 0);
    }
    uint8_t out[2];
    EXPECT(maas_unhex("aBcD", out, 2) && out[0] == 0xab && out[1] == 0xcd);
    static const char *const bad[] = {"", "a", "ab", "abc", "abcde", "abcg", "ab d", "-bcd"};
    for (size_t i = 0; i < MAAS_COUNT(bad); i++)
        EXPECT_MSG(!maas_unhex(bad[i], out, 2), "'%s'", bad[i]);
    maas_sha256 unused;
    EXPECT(maas_sha256_init(&unused));
    maas_sha256_reset(&unused);
}

static const mt_case cases[] = {
    MT_CASE(an_unnamed_file_gets_its_name_once),
    MT_CASE(what_is_longer_than_the_buffer_is_refused),
    MT_CASE(nothing_leads_out_of_a_directory),
    MT_CASE(names_move_and_go),
    MT_CASE(a_missing_path_is_made_when_asked),
    MT_CASE(a_mapping_shows_the_bytes),
    MT_CASE(writing_at_an_offset_leaves_the_rest),
    MT_CASE(a_full_disk_says_so),
#ifdef MAAS_FAULTS
    MT_CASE(every_call_can_be_made_to_fail),
    MT_CASE(crash_points_kill_by_name_and_count),
#endif
    MT_CASE(a_failed_fsync_ends_the_process),
    MT_CASE(time_prints_as_rfc3339),
    MT_CASE(the_generator_repeats_and_is_fair),
    MT_CASE(the_generator_is_the_published_one),
    MT_CASE(random_bytes_differ),
    MT_CASE(the_machine_is_described),
    MT_CASE(sha256_matches_the_standard),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
