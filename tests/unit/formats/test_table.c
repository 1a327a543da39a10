/* The choice of a reader, gzip around all of them, memory that stays bounded, and hostile bytes. */
#include "maas_test.h"

#include <stdint.h>
#include <sys/mman.h>
#include <zlib.h>

#include "table_dump.h"
#include "base/sys.h"
#include "base/ban.h"

static maas_buf gzip(const void *p, size_t n)
{
    maas_buf out = MAAS_BUF_INIT((size_t)64 << 20);
    z_stream z = {0};
    maas_buf_reserve(&out, compressBound(n) + 64);
    deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    z.next_in = (Bytef *)(uintptr_t)p;
    z.avail_in = (uInt)n;
    z.next_out = (Bytef *)out.p;
    z.avail_out = (uInt)out.cap;
    EXPECT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
    out.n = z.total_out;
    deflateEnd(&z);
    return out;
}

#define BYTES(s) s, sizeof s - 1
static const struct {
    const char *name, *bytes;
    size_t n;
    const char *file_name, *out; /* the start of it */
} choices[] = {
    {"csv", BYTES("a,b\n1,2\n"), NULL, "a:int64 b:int64 | 1 2"},
    {"csv of one column", BYTES("a\n1\n"), NULL, "a:int64 | 1"},
    {"idx", BYTES("\0\0\x08\1\0\0\0\2\1\2"), NULL, "x:uint8 | 1 | 2"},
    {"jsonl", BYTES("{\"a\":1}\n{\"a\":2}"), NULL, "a:int64 | 1 | 2"},
    {"libsvm", BYTES("1 1:2 2:3\n"), NULL, "x:float[2] target:int64 | [2.0,3.0] 1"},
    {"content beats the name", BYTES("\0\0\x08\1\0\0\0\2\1\2"), "a.csv", "x:uint8 | 1 | 2"},
    {"the name decides", BYTES("{a\n1\n"), "b.CSV", "{a:int64 | 1"},
    {"libsvm of labels alone", BYTES("1\n2 1:1\n"), "a.svm", "x:float[1] target:int64"},
    {"empty", "", 0, NULL,
     "E_FORMAT: the file is empty: expected one of npy, npz, idx, jsonl, libsvm,"},
    {"binary", BYTES("\1\0\2\3"), "a.csv",
     "E_FORMAT: the file is of no known format: expected one"},
};

static void the_reader_is_chosen_by_content_then_name(void)
{
    for (size_t i = 0; i < MAAS_COUNT(choices); i++) {
        for (int packed = 0; packed < 2; packed++) {
            AUTO(maas_buf_reset) maas_buf z = gzip(choices[i].bytes, choices[i].n);
            char *got = packed ? dump_table(z.p, z.n, NULL, choices[i].file_name, NULL)
                               : dump_table(choices[i].bytes, choices[i].n, NULL,
                                            choices[i].file_name, NULL);
            EXPECT_MSG(got && !strncmp(got, choices[i].out, strlen(choices[i].out)),
                       "%s, packed %d:\n    got %s", choices[i].name, packed, got);
            maas_free(got);
        }
    }
    char *got = dump_table("a", 1, "parquet", NULL, NULL);
    EXPECT_STR(got, "E_INVALID: format \"parquet\" is not known: expected one of npy, npz, idx, "
                    "jsonl, libsvm, csv");
    maas_free(got);
}

/* The same table, plain and packed, must be the same at every place where a window may end. */
static void long_files_cross_windows(void)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT((size_t)64 << 20);
    maas_rng r;
    maas_rng_seed(&r, 11);
    maas_buf_str(&text, "id,quoted,plain,value\r\n");
    for (int i = 0; i < 60000; i++) {
        maas_buf_printf(&text, "%d,\"", i);
        for (uint64_t k = maas_rng_below(&r, 20); k; k--)
            maas_buf_str(&text, maas_rng_below(&r, 4) ? "x" : "\"\"");
        maas_buf_printf(&text, "\n,\",t%d,%d.%d%s", i % 7, i, i % 10, i % 2 ? "\r\n" : "\n");
    }
    AUTO(maas_buf_reset) maas_buf z = gzip(text.p, text.n);
    char *plain = dump_table(text.p, text.n, NULL, NULL, NULL);
    char *packed = dump_table(z.p, z.n, NULL, NULL, NULL);
    EXPECT(plain && packed && !strcmp(plain, packed));
    EXPECT_MSG(strlen(plain) > text.n, "%.200s", plain);
    maas_free(plain);
    maas_free(packed);
}

static void damaged_gzip_is_refused(void)
{
    static const char text[] = "a,b\n1,2\n3,4\n";
    AUTO(maas_buf_reset) maas_buf z = gzip(text, sizeof text - 1), two = MAAS_BUF_INIT(4096);
    for (size_t n = 2; n < z.n; n++) {
        char *got = dump_table(z.p, n, "csv", NULL, NULL);
        EXPECT_MSG(got && !strncmp(got, "E_FORMAT: the compressed data ends early", 40),
                   "cut to %zu: %s", n, got);
        maas_free(got);
    }
    /* two members are one file; zeros may follow, nothing else */
    maas_buf_add(&two, z.p, z.n);
    AUTO(maas_buf_reset) maas_buf more = gzip("5,6\n", 4);
    maas_buf_add(&two, more.p, more.n);
    maas_buf_add(&two, "\0\0\0", 3);
    char *got = dump_table(two.p, two.n, NULL, NULL, NULL);
    EXPECT_STR(got, "a:int64 b:int64 | 1 2 | 3 4 | 5 6");
    maas_free(got);
    maas_buf_add(&two, "x", 1);
    got = dump_table(two.p, two.n, NULL, NULL, NULL);
    EXPECT(got && strstr(got, "expected the end of the file"));
    maas_free(got);
    z.p[z.n - 6] ^= 1; /* the check sum */
    got = dump_table(z.p, z.n, "csv", NULL, NULL);
    EXPECT(got && strstr(got, "damaged compressed data"));
    maas_free(got);
}

/* ---- failing allocations ---- */

static const struct {
    const char *format, *bytes;
    size_t n;
} samples[] = {
    {"csv", BYTES("a,\"b\"\"c\",t\n1,2.5,x\n3,,\"y\"\"z\"\n")},
    {"jsonl", BYTES("{\"a\":1,\"b\":[1,2]}\n{\"a\":2,\"b\":[3,4]}\n")},
    {"libsvm", BYTES("1 1:2\n2 2:1\n")},
    {"idx", BYTES("\0\0\x0b\1\0\0\0\2\1\2\3\4")},
};

static void every_failed_allocation_is_reported(void)
{
    for (size_t i = 0; i < MAAS_COUNT(samples) * 2; i++) {
        size_t k = i / 2;
        AUTO(maas_buf_reset) maas_buf z = gzip(samples[k].bytes, samples[k].n);
        const void *p = i & 1 ? (const void *)z.p : samples[k].bytes;
        size_t n = i & 1 ? z.n : samples[k].n;
        bool done = false;
        for (long at = 1; !done; at++) {
            maas_budget budget = {.limit = (size_t)1 << 30};
            maas_table_opts o = MAAS_TABLE_OPTS_INIT;
            o.budget = &budget;
            static table_dump d;
            d = (table_dump){.text = MAAS_BUF_INIT(1 << 20)};
            maas_buf_reserve(&d.text, 4096);
            maas_table_sink sink = {&d, dump_begin, dump_rows, dump_end};
            maas_err err = {0};
            long live = maas_mem_live();
            maas_mem_fail_at(at);
            maas_status st = maas_table_read(maas_span_of(p, n), samples[k].format, NULL, &o, &sink,
                                             &err);
            maas_mem_fail_at(0);
            done = st == MAAS_OK;
            EXPECT_MSG(done || st == MAAS_E_NOMEM, "%s, allocation %ld: %s", samples[k].format, at,
                       err.msg);
            EXPECT_MSG(maas_mem_live() == live, "%s, allocation %ld leaks", samples[k].format, at);
            EXPECT_EQ(budget.used, 0);
            maas_buf_reset(&d.text);
            if (done)
                EXPECT_MSG(at > 2, "%s: %ld", samples[k].format, at);
        }
    }
}

static void a_small_budget_is_no_memory_not_a_crash(void)
{
    for (size_t limit = 1; limit < 1u << 20; limit = limit * 3 / 2 + 1)
        for (size_t i = 0; i < MAAS_COUNT(samples); i++) {
            maas_budget budget = {.limit = limit};
            maas_table_opts o = MAAS_TABLE_OPTS_INIT;
            o.budget = &budget;
            char *got = dump_table(samples[i].bytes, samples[i].n, samples[i].format, NULL, &o);
            EXPECT_MSG(got && (!strncmp(got, "E_NOMEM", 7) || strncmp(got, "E_", 2)), "%s: %s",
                       samples[i].format, got);
            EXPECT_EQ(budget.used, 0);
            maas_free(got);
        }
}

/* ---- mutations ---- */

static void mutated_files_are_refused_or_read_to_the_end(void)
{
    uint64_t seed = 20;
    maas_rng r;
    maas_rng_seed(&r, seed);
    int n_accepted = 0;
    for (int round = 0; round < 20000; round++) {
        size_t k = (size_t)round % MAAS_COUNT(samples), n = samples[k].n;
        uint8_t *copy = malloc(n + 1);
        memcpy(copy, samples[k].bytes, n);
        for (uint64_t m = 1 + maas_rng_below(&r, 3); m; m--) {
            static const char spice[] = ",;\"\n\r{}[]:.-e0 \0\xff\x80";
            copy[maas_rng_below(&r, n)] = maas_rng_below(&r, 2)
                                              ? (uint8_t)maas_rng_u64(&r)
                                              : (uint8_t)spice[maas_rng_below(&r, sizeof spice)];
        }
        uint8_t *exact = malloc(n);
        memcpy(exact, copy, n);
        char *got = dump_table(exact, n, maas_rng_below(&r, 2) ? NULL : samples[k].format, NULL,
                               NULL);
        n_accepted += got && strncmp(got, "E_", 2) != 0;
        EXPECT_MSG(got && !strstr(got, "do not agree") && !strstr(got, "E_INTERNAL") &&
                       !strstr(got, "E_IO") && !strstr(got, "another code"),
                   "seed %llu round %d: %s", (unsigned long long)seed, round, got);
        maas_free(got);
        free(exact);
        free(copy);
    }
    EXPECT_MSG(n_accepted > 1000 && n_accepted < 19000, "%d accepted", n_accepted);
}

/* ---- memory ---- */

typedef struct counter {
    int64_t n, n_batches;
    size_t most_kib;
} counter;

/* Heap and anonymous pages; pages of the mapped file are the kernel's to drop. */
static size_t anonymous_kib(void)
{
    char line[256];
    size_t kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "RssAnon:", 8))
            kib = strtoul(line + 8, NULL, 10);
    if (f)
        fclose(f);
    return kib;
}

static maas_status count_begin(void *user, const maas_column *cols, uint32_t n, int64_t n_rows,
                               maas_err *err)
{
    return MAAS_OK;
}

static maas_status count_rows(void *user, int64_t n, const maas_tensor *cols, maas_err *err)
{
    counter *c = user;
    c->n += n;
    if (c->n_batches++ % 16 == 0) {
        size_t kib = anonymous_kib();
        c->most_kib = kib > c->most_kib ? kib : c->most_kib;
    }
    return MAAS_OK;
}

static maas_status count_end(void *user, maas_err *err)
{
    return MAAS_OK;
}

static void a_large_file_streams_in_bounded_memory(void)
{
    enum { N_ROWS = 3000000 };
    int fd = memfd_create("csv", MFD_CLOEXEC);
    FILE *f = fdopen(dup(fd), "w");
    fputs("id,a,b,name\n", f);
    for (int i = 0; i < N_ROWS; i++)
        fprintf(f, "%d,%d.%d,%d,n%d\n", i, i & 1023, i & 7, -i, i & 127);
    fclose(f);
    maas_map m;
    EXPECT_EQ(maas_sys_map(fd, &m, NULL), MAAS_OK);
    EXPECT(m.n > (size_t)50 << 20);
    counter c = {0};
    maas_budget budget = {.limit = (size_t)32 << 20};
    maas_table_opts o = MAAS_TABLE_OPTS_INIT;
    o.budget = &budget;
    maas_table_sink sink = {&c, count_begin, count_rows, count_end};
    maas_err err = {0};
    size_t before = anonymous_kib();
    maas_status st = maas_table_read(maas_span_of(m.p, m.n), NULL, NULL, &o, &sink, &err);
    EXPECT_MSG(st == MAAS_OK, "%s", err.msg);
    EXPECT_EQ(c.n, N_ROWS);
    EXPECT_MSG(c.most_kib && c.most_kib < before + 65536, "%zu KiB more", c.most_kib - before);
    maas_sys_unmap(&m);
    close(fd);
}

/* An honest header, and 600 MiB of zeros behind it in 600 KiB. */
static void a_bomb_is_refused_before_it_is_large(void)
{
    enum { N = 600 << 20 };
    static uint8_t zeros[1 << 16];
    uint8_t head[] = {0, 0, 8, 1, N >> 24, N >> 16 & 255, 0, 0};
    z_stream z = {.next_in = head, .avail_in = sizeof head};
    AUTO(maas_buf_reset) maas_buf out = MAAS_BUF_INIT((size_t)8 << 20);
    maas_buf_reserve(&out, (size_t)4 << 20);
    deflateInit2(&z, 4, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY);
    z.next_out = (Bytef *)out.p;
    z.avail_out = (uInt)out.cap;
    deflate(&z, Z_NO_FLUSH);
    for (size_t i = 0; i < N; i += sizeof zeros) {
        z.next_in = zeros;
        z.avail_in = sizeof zeros;
        deflate(&z, i + sizeof zeros >= N ? Z_FINISH : Z_NO_FLUSH);
    }
    out.n = z.total_out;
    deflateEnd(&z);
    counter c = {0};
    maas_table_sink sink = {&c, count_begin, count_rows, count_end};
    maas_err err = {0};
    size_t before = anonymous_kib();
    EXPECT_EQ(maas_table_read(maas_span_of(out.p, out.n), NULL, NULL, NULL, &sink, &err),
              MAAS_E_TOO_LARGE);
    EXPECT_MSG(strstr(err.msg, "more than 256 times its size"), "%s", err.msg);
    EXPECT(c.n > 0 && c.n < N && c.most_kib < before + 65536);
}

static const mt_case cases[] = {
    MT_CASE(the_reader_is_chosen_by_content_then_name),
    MT_CASE(long_files_cross_windows),
    MT_CASE(damaged_gzip_is_refused),
    MT_CASE(every_failed_allocation_is_reported),
    MT_CASE(a_small_budget_is_no_memory_not_a_crash),
    MT_CASE(mutated_files_are_refused_or_read_to_the_end),
    MT_CASE(a_large_file_streams_in_bounded_memory),
    MT_CASE(a_bomb_is_refused_before_it_is_large),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
