/* Rows through a pipe: what goes in comes out, and a sender that lies is refused at every byte. */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "base/sys.h"
#include "jobs/row_stream.h"
#include "maas_test.h"

/* A sink that writes down everything it sees. */
typedef struct seen {
    maas_buf text;
    maas_column cols[4];
    uint32_t n_cols;
    int n_ends;
} seen;

static maas_status see_begin(void *user, const maas_column *cols, uint32_t n_cols, int64_t n_rows,
                             maas_err *err)
{
    seen *s = user;
    s->n_cols = n_cols;
    maas_buf_printf(&s->text, "begin %u %lld\n", n_cols, (long long)n_rows);
    for (uint32_t i = 0; i < n_cols; i++) {
        maas_buf_printf(&s->text, "%s %d", cols[i].name, (int)cols[i].dtype);
        for (int d = 0; d < cols[i].rank; d++)
            maas_buf_printf(&s->text, " %lld", (long long)cols[i].dims[d]);
        maas_buf_char(&s->text, '\n');
    }
    return MAAS_OK;
}

static maas_status see_rows(void *user, int64_t n, const maas_tensor *cols, maas_err *err)
{
    seen *s = user;
    maas_buf_printf(&s->text, "rows %lld\n", (long long)n);
    for (uint32_t c = 0; c < s->n_cols; c++)
        for (int64_t i = 0; i < maas_n_elems(&cols[c]); i++) {
            const maas_str *t = (const maas_str *)cols[c].data + i;
            if (cols[c].dtype != MAAS_STRING)
                maas_buf_printf(&s->text, "%.17g ", maas_tensor_get(&cols[c], i));
            else if (t->p)
                maas_buf_printf(&s->text, "<%.*s>", (int)t->n, t->p);
            else
                maas_buf_str(&s->text, "<missing>");
        }
    maas_buf_char(&s->text, '\n');
    return MAAS_OK;
}

static maas_status see_end(void *user, maas_err *err)
{
    seen *s = user;
    s->n_ends++;
    maas_buf_str(&s->text, "end\n");
    return MAAS_OK;
}

static maas_table_sink sink_of(seen *s)
{
    *s = (seen){.text = MAAS_BUF_INIT(1u << 28)};
    return (maas_table_sink){s, see_begin, see_rows, see_end};
}

static const maas_column columns[] = {
    {.name = "a", .dtype = MAAS_F32, .rank = 0},
    {.name = "image", .dtype = MAAS_U8, .rank = 2, .dims = {2, 2}},
    {.name = "text", .dtype = MAAS_STRING, .rank = 0},
};

static void send_table(const maas_table_sink *to, int64_t batches)
{
    maas_err err = {0};
    EXPECT_EQ(to->begin(to->user, columns, 3, -1, &err), MAAS_OK);
    for (int64_t b = 0; b < batches; b++) {
        float a[3] = {1.5f, (float)b, -0.0f};
        uint8_t image[12] = {0, 255, 7, 8, 9, 10, 11, 12, 1, 2, 3, (uint8_t)b};
        maas_str text[3] = {{"hello", 5}, {NULL, 0}, {"", 0}};
        const int64_t n[1] = {3}, image_dims[3] = {3, 2, 2};
        const maas_tensor cols[3] = {maas_tensor_of(MAAS_F32, 1, n, a),
                                     maas_tensor_of(MAAS_U8, 3, image_dims, image),
                                     maas_tensor_of(MAAS_STRING, 1, n, text)};
        EXPECT_EQ(to->rows(to->user, 3, cols, &err), MAAS_OK);
    }
    EXPECT_EQ(to->end(to->user, &err), MAAS_OK);
}

/* The bytes of a table of `batches` batches. */
static maas_map stream_of(int64_t batches)
{
    int fd = memfd_create("rows", 0);
    maas_row_writer w;
    maas_err err = {0};
    maas_map map;
    maas_row_writer_init(&w, fd);
    const maas_table_sink to = maas_row_writer_sink(&w);
    send_table(&to, batches);
    maas_row_writer_reset(&w);
    EXPECT_EQ(maas_sys_map(fd, &map, &err), MAAS_OK);
    close(fd);
    return map;
}

static maas_status read_bytes(const void *p, size_t n, seen *s, maas_err *err)
{
    const maas_table_sink sink = sink_of(s);
    int fd = memfd_create("rows", 0);
    EXPECT_EQ(maas_sys_write(fd, p, n, err), MAAS_OK);
    lseek(fd, 0, SEEK_SET);
    maas_status st = maas_row_stream_read(fd, &sink, err);
    close(fd);
    return st;
}

static void *feed_pipe(void *arg)
{
    maas_row_writer w;
    maas_row_writer_init(&w, *(int *)arg);
    const maas_table_sink to = maas_row_writer_sink(&w);
    send_table(&to, 30000);
    maas_row_writer_reset(&w);
    close(*(int *)arg);
    return NULL;
}

static void what_goes_in_comes_out(void)
{
    seen direct, through;
    int pair[2];
    pthread_t t;
    maas_err err = {0};
    maas_table_sink to = sink_of(&direct);
    send_table(&to, 30000);
    to = sink_of(&through);
    EXPECT_EQ(pipe(pair), 0);
    pthread_create(&t, NULL, feed_pipe, &pair[1]);
    EXPECT_EQ(maas_row_stream_read(pair[0], &to, &err), MAAS_OK);
    pthread_join(t, NULL);
    close(pair[0]);
    EXPECT_EQ(through.text.n, direct.text.n);
    EXPECT(through.text.n == direct.text.n &&
           memcmp(through.text.p, direct.text.p, direct.text.n) == 0);
    maas_buf_reset(&direct.text);
    maas_buf_reset(&through.text);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void a_stream_cut_off_anywhere_is_refused(void)
{
    maas_map m = stream_of(2);
    for (size_t n = 0; n < m.n; n++) {
        seen s;
        maas_err err = {0};
        EXPECT_MSG(read_bytes(m.p, n, &s, &err) != MAAS_OK && s.n_ends == 0, "%zu of %zu bytes", n,
                   m.n);
        maas_buf_reset(&s.text);
        EXPECT_EQ(maas_mem_live(), 0);
    }
    maas_sys_unmap(&m);
}

/* Every byte, many values: any answer is fine, as long as it is one and nothing is left behind. */
static void changed_bytes_do_no_harm(void)
{
    maas_map m = stream_of(2);
    uint8_t *copy = maas_alloc(m.n);
    for (size_t at = 0; at < m.n; at++) {
        static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff, 'B', 'R', 'E'};
        for (size_t v = 0; v < sizeof values; v++) {
            seen s;
            maas_err err = {0};
            memcpy(copy, m.p, m.n);
            copy[at] = values[v];
            maas_status st = read_bytes(copy, m.n, &s, &err);
            EXPECT_MSG((st == MAAS_OK) == (s.n_ends == 1), "byte %zu", at);
            EXPECT(st == MAAS_OK || err.msg[0]);
            maas_buf_reset(&s.text);
        }
    }
    maas_free(copy);
    maas_sys_unmap(&m);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void lies_about_sizes_are_refused(void)
{
    static const struct {
        const char *what;
        uint8_t bytes[64];
        size_t n;
    } rows[] = {
        {"no columns", {'B', 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}, 13},
        {"four billion columns", {'B', 255, 255, 255, 255, 1, 0, 0, 0, 0, 0, 0, 0}, 13},
        {"fewer than no rows", {'B', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128}, 13},
        {"a name of 4 GiB", {'B', 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255}, 17},
        {"no such type",
         {'B', 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 'a', 99, 0, 0, 0, 0, 0, 0, 0},
         26},
        {"rank 200",
         {'B', 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 'a', 1, 0, 0, 0, 200, 0, 0, 0},
         26},
        {"rows first", {'R', 1, 0, 0, 0}, 5},
        {"an end without a beginning", {'E'}, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        seen s;
        maas_err err = {0};
        EXPECT_MSG(read_bytes(rows[i].bytes, rows[i].n, &s, &err) == MAAS_E_FORMAT, "%s: %s",
                   rows[i].what, err.msg);
        maas_buf_reset(&s.text);
    }
    EXPECT_EQ(maas_mem_live(), 0);
}

static void no_memory_is_said(void)
{
    maas_map m = stream_of(1);
    bool done = false;
    for (long n = 1; n < 200 && !done; n++) {
        seen s;
        maas_err err = {0};
        const maas_table_sink sink = sink_of(&s);
        maas_buf_reserve(&s.text, 1 << 16);
        int fd = memfd_create("rows", 0);
        EXPECT_EQ(maas_sys_write(fd, m.p, m.n, &err), MAAS_OK);
        lseek(fd, 0, SEEK_SET);
        maas_mem_fail_at(n);
        maas_status st = maas_row_stream_read(fd, &sink, &err);
        maas_mem_fail_at(0);
        EXPECT_MSG(st == MAAS_OK || st == MAAS_E_NOMEM, "%s", err.msg);
        done = st == MAAS_OK;
        close(fd);
        maas_buf_reset(&s.text);
        EXPECT_EQ(maas_mem_live(), 0);
    }
    EXPECT(done);
    maas_sys_unmap(&m);
}

static const mt_case cases[] = {
    MT_CASE(what_goes_in_comes_out),   MT_CASE(a_stream_cut_off_anywhere_is_refused),
    MT_CASE(changed_bytes_do_no_harm), MT_CASE(lies_about_sizes_are_refused),
    MT_CASE(no_memory_is_said),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
