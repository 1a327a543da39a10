/* Data sets at rest: what was written is read back, and nothing tampered with is opened. */
#include "maas_test.h"

#include <sys/resource.h>

#include "blob_store.h"
#include "formats/npy.h"
#include "base/ban.h"

static const char table[] = "id,weight,name\n"
                            "1,2.5,ann\n"
                            "2,,\"bo \"\"b\"\"\"\n"
                            "3,-1,\n"
                            "4,1e3,\"\"\n"
                            "5,0,ann\n";

static json_t *write_csv(blob_store *s, const char *text)
{
    maas_blob_io io = store_io(s);
    maas_err err = {0};
    json_t *manifest = NULL;
    maas_status st = store_table(&io, text, strlen(text), NULL, &manifest, &err);
    EXPECT_MSG(st == MAAS_OK, "%s", err.msg);
    return manifest;
}

static void columns_come_back_as_written(void)
{
    blob_store s = {0};
    maas_blob_io io = store_io(&s);
    json_t *manifest = write_csv(&s, table);
    maas_dataset *d = NULL;
    maas_err err = {0};
    EXPECT_EQ(maas_dataset_open(manifest, &io, &d, &err), MAAS_OK);
    if (!d) {
        fprintf(stderr, "%s\n", err.msg);
        return;
    }
    EXPECT_EQ(d->n_rows, 5);
    EXPECT_EQ(d->n_cols, 3);
    const maas_ds_column *id = maas_dataset_column(d, "id"),
                         *weight = maas_dataset_column(d, "weight"),
                         *name = maas_dataset_column(d, "name");
    EXPECT(!maas_dataset_column(d, "nope"));
    EXPECT_EQ(id->desc.dtype, MAAS_I64);
    EXPECT_EQ(((const int64_t *)id->data)[4], 5);
    EXPECT_EQ(weight->desc.dtype, MAAS_F64);
    EXPECT(isnan(((const double *)weight->data)[1]));
    EXPECT_NEAR(((const double *)weight->data)[3], 1000, 0);
    EXPECT_EQ(name->desc.dtype, MAAS_STRING);
    EXPECT_EQ(name->offsets[5], 3 + 6 + 0 + 0 + 3);
    EXPECT(!memcmp(name->bytes, "annbo \"b\"ann", 12));
    EXPECT(name->missing != NULL);
    EXPECT_EQ(name->missing[0], 1 << 2); /* row 3 is missing, row 4 is the empty string */
    EXPECT_EQ((uintptr_t)id->data % 64, 0);
    EXPECT_EQ(json_integer_value(json_object_get(name->stats, "missing")), 1);
    maas_dataset_close(d);
    json_decref(manifest);
    store_reset(&s);
}

/* The header as NumPy's documentation gives it, compared byte for byte. */
static void numbers_are_npy_files(void)
{
    blob_store s = {0};
    json_t *manifest = write_csv(&s, table);
    maas_map m;
    EXPECT_EQ(maas_sys_map(s.blobs[0].fd, &m, NULL), MAAS_OK);
    static const char dict[] = "{'descr': '<i8', 'fortran_order': False, 'shape': (5,), }";
    EXPECT_EQ(m.n, 128 + 5 * 8);
    EXPECT(!memcmp(m.p, "\x93NUMPY\1\0\x76\0", 10));
    EXPECT(!memcmp(m.p + 10, dict, sizeof dict - 1));
    EXPECT_EQ(m.p[127], '\n');
    for (size_t i = 10 + sizeof dict - 1; i < 127; i++)
        EXPECT_EQ(m.p[i], ' ');
    maas_sys_unmap(&m);
    json_decref(manifest);
    store_reset(&s);
}

static void parts_become_columns_of_one_set(void)
{
    blob_store s = {0};
    maas_blob_io io = store_io(&s);
    maas_dataset_writer *w = NULL;
    json_t *manifest = NULL;
    maas_err err = {0};
    static const char images[] = "\0\0\x08\3\0\0\0\2\0\0\0\2\0\0\0\2\1\2\3\4\5\6\7\x08";
    static const char labels[] = "\0\0\x08\1\0\0\0\2\x09\7";
    static const char three[] = "\0\0\x08\1\0\0\0\3\1\2\3";
    maas_table_opts x = MAAS_TABLE_OPTS_INIT, y = MAAS_TABLE_OPTS_INIT;
    x.column_name = "features";
    y.column_name = "target";
    EXPECT_EQ(maas_dataset_writer_create(&io, &w, &err), MAAS_OK);
    maas_table_sink sink = maas_dataset_writer_sink(w);
    EXPECT_EQ(maas_table_read(maas_span_of(images, sizeof images - 1), NULL, NULL, &x, &sink, &err),
              MAAS_OK);
    sink = maas_dataset_writer_sink(w);
    EXPECT_EQ(maas_table_read(maas_span_of(labels, sizeof labels - 1), NULL, NULL, &y, &sink, &err),
              MAAS_OK);
    EXPECT_EQ(maas_dataset_writer_finish(w, &manifest, &err), MAAS_OK);
    maas_dataset *d = NULL;
    EXPECT_EQ(maas_dataset_open(manifest, &io, &d, &err), MAAS_OK);
    const maas_ds_column *features = maas_dataset_column(d, "features");
    EXPECT_EQ(features->desc.rank, 2);
    EXPECT_EQ(((const uint8_t *)features->data)[7], 8);
    EXPECT_EQ(((const uint8_t *)maas_dataset_column(d, "target")->data)[0], 9);
    maas_dataset_close(d);
    json_decref(manifest);
    /* a third part with another number of rows, then one with a name that is taken */
    x.column_name = "more";
    EXPECT_EQ(maas_table_read(maas_span_of(three, sizeof three - 1), NULL, NULL, &x, &sink, &err),
              MAAS_OK);
    EXPECT_EQ(maas_dataset_writer_finish(w, &manifest, &err), MAAS_E_INVALID);
    EXPECT_STR(err.msg, "part 1 (column \"features\") has 2 rows, part 3 (column \"more\") has 3");
    err = (maas_err){0};
    EXPECT_EQ(maas_table_read(maas_span_of(labels, sizeof labels - 1), NULL, NULL, &y, &sink, &err),
              MAAS_E_INVALID);
    EXPECT_STR(err.msg, "parts 2 and 4 both have a column \"target\"");
    maas_dataset_writer_destroy(w);
    store_reset(&s);
}

static maas_status drop_commit(void *user, int fd, const char hex[MAAS_SHA256_HEX], maas_err *err)
{
    ++*(int *)user;
    return MAAS_OK;
}

static maas_status drop_create(void *user, int *out_fd, maas_err *err)
{
    *out_fd = memfd_create("blob", MFD_CLOEXEC);
    return *out_fd >= 0 ? MAAS_OK : maas_fail(err, MAAS_E_IO, "memfd_create");
}

static void more_columns_than_open_files(void)
{
    enum { N_COLS = 700 };
    int n_committed = 0;
    maas_blob_io io = {&n_committed, drop_create, drop_commit, NULL};
    AUTO(maas_buf_reset) maas_buf csv = MAAS_BUF_INIT(1 << 20);
    json_t *manifest = NULL;
    maas_err err = {0};
    struct rlimit few = {32, 32};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    for (int row = 0; row < 20; row++)
        for (int i = 0; i < N_COLS; i++)
            maas_buf_printf(&csv, row ? "%d%s" : "c%d%s", i, i + 1 < N_COLS ? "," : "\n");
    EXPECT_EQ(store_table(&io, csv.p, csv.n, NULL, &manifest, &err), MAAS_OK);
    EXPECT_EQ(n_committed, N_COLS);
    json_decref(manifest);
}

/* A batch of rows that a sink further up refuses leaves nothing behind. */
static void a_table_cut_short_makes_no_manifest(void)
{
    blob_store s = {0};
    maas_blob_io io = store_io(&s);
    maas_dataset_writer *w = NULL;
    json_t *manifest = NULL;
    maas_err err = {0};
    static const char bad[] = "a,b\n1,2\n3\n";
    EXPECT_EQ(maas_dataset_writer_create(&io, &w, &err), MAAS_OK);
    EXPECT_EQ(maas_dataset_writer_finish(w, &manifest, &err), MAAS_E_INVALID);
    maas_table_sink sink = maas_dataset_writer_sink(w);
    EXPECT_EQ(maas_table_read(maas_span_of(bad, sizeof bad - 1), "csv", NULL, NULL, &sink, NULL),
              MAAS_E_FORMAT);
    static const char worse[] = "\0\0\x08\1\0\0\0\3\1\2";
    maas_buf text = MAAS_BUF_INIT(1 << 20);
    for (int i = 0; i < 20000; i++)
        maas_buf_str(&text, i == 19999 ? "1 1:x\n" : "1 1:2\n"); /* fails in the second walk */
    EXPECT_EQ(maas_table_read(maas_span_of(text.p, text.n), NULL, NULL, NULL, &sink, NULL),
              MAAS_E_FORMAT);
    err = (maas_err){0};
    EXPECT_EQ(maas_dataset_writer_finish(w, &manifest, &err), MAAS_E_INVALID);
    EXPECT_STR(err.msg, "part 1 was not read to its end");
    EXPECT(!manifest && s.n == 0);
    EXPECT_EQ(maas_table_read(maas_span_of(worse, sizeof worse - 1), NULL, NULL, NULL, &sink, NULL),
              MAAS_E_FORMAT);
    maas_buf_reset(&text);
    maas_dataset_writer_destroy(w);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* ---- tampering ---- */

static void set_column(json_t *manifest, int i, const char *key, json_t *value)
{
    json_object_set_new(json_array_get(json_object_get(manifest, "columns"), (size_t)i), key,
                        value);
}

static void rows_lie(json_t *m)
{
    json_object_set_new(m, "rows", json_integer(6));
}
static void rows_negative(json_t *m)
{
    json_object_set_new(m, "rows", json_integer(-1));
}
static void no_columns(json_t *m)
{
    json_object_set_new(m, "columns", json_array());
}
static void dtype_lies(json_t *m)
{
    set_column(m, 0, "dtype", json_string("double"));
}
static void dtype_unknown(json_t *m)
{
    set_column(m, 0, "dtype", json_string("quaternion"));
}
static void shape_lies(json_t *m)
{
    set_column(m, 1, "shape", json_pack("[i]", 2));
}
static void shape_huge(json_t *m)
{
    set_column(m, 1, "shape", json_pack("[I,I,I]", INT64_MAX, INT64_MAX, INT64_MAX));
}
static void bytes_lie(json_t *m)
{
    set_column(m, 1, "bytes", json_integer(7));
}
static void blob_unknown(json_t *m)
{
    set_column(m, 0, "blob",
               json_string("00000000000000000000000000000000000000000000000000000000000000ff"));
}
static void blob_no_digest(json_t *m)
{
    set_column(m, 0, "blob", json_string("../../etc/passwd"));
}
static void names_twice(json_t *m)
{
    set_column(m, 1, "name", json_string("id"));
}
static void text_as_numbers(json_t *m)
{
    set_column(m, 2, "dtype", json_string("int64"));
}
static void numbers_as_text(json_t *m)
{
    set_column(m, 0, "dtype", json_string("string"));
}

static const struct {
    void (*tamper)(json_t *);
    maas_status st;
    const char *words; /* must be in the message */
} lies[] = {
    {rows_lie, MAAS_E_FORMAT, "column \"id\": the array in the blob has another type or shape"},
    {rows_negative, MAAS_E_FORMAT, "no number of rows"},
    {no_columns, MAAS_E_FORMAT, "0 columns"},
    {dtype_lies, MAAS_E_FORMAT, "column \"id\": the array in the blob has another type"},
    {dtype_unknown, MAAS_E_FORMAT, "column \"id\": the manifest gives no element type"},
    {shape_lies, MAAS_E_FORMAT, "column \"weight\": the array in the blob has another type"},
    {shape_huge, MAAS_E_TOO_LARGE, "column \"weight\""},
    {bytes_lie, MAAS_E_FORMAT, "column \"weight\": the blob has 168 bytes, the manifest says 7"},
    {blob_unknown, MAAS_E_NOT_FOUND, "column \"id\": no blob"},
    {blob_no_digest, MAAS_E_FORMAT, "column \"id\": the manifest names no blob"},
    {names_twice, MAAS_E_FORMAT, "columns 1 and 2 are both called \"id\""},
    {text_as_numbers, MAAS_E_FORMAT, "column \"name\": the array in the blob"},
    {numbers_as_text, MAAS_E_FORMAT, "column \"id\": the array in the blob"},
};

static void a_manifest_that_lies_is_refused_by_name(void)
{
    blob_store s = {0};
    maas_blob_io io = store_io(&s);
    json_t *manifest = write_csv(&s, table);
    for (size_t i = 0; i < MAAS_COUNT(lies); i++) {
        json_t *copy = json_deep_copy(manifest);
        maas_dataset *d = NULL;
        maas_err err = {0};
        lies[i].tamper(copy);
        maas_status st = maas_dataset_open(copy, &io, &d, &err);
        EXPECT_MSG(st == lies[i].st && strstr(err.msg, lies[i].words) && !d,
                   "lie %zu: %d \"%s\", expected \"%s\"", i, (int)st, err.msg, lies[i].words);
        json_decref(copy);
    }
    json_decref(manifest);
    store_reset(&s);
}

/* Every byte of the text column changed in turn: refused, or every cell is readable. */
static void a_blob_with_any_byte_changed_is_refused_or_safe(void)
{
    blob_store s = {0};
    maas_blob_io io = store_io(&s);
    json_t *manifest = write_csv(&s, table);
    uint64_t size;
    int n_refused = 0;
    EXPECT_EQ(maas_sys_size(s.blobs[2].fd, &size, NULL), MAAS_OK);
    for (uint64_t at = 0; at < size; at++) {
        uint8_t byte, changed;
        maas_dataset *d = NULL;
        EXPECT(pread(s.blobs[2].fd, &byte, 1, (off_t)at) == 1);
        changed = byte ^ 0x91;
        EXPECT(pwrite(s.blobs[2].fd, &changed, 1, (off_t)at) == 1);
        if (maas_dataset_open(manifest, &io, &d, NULL) == MAAS_OK) {
            const maas_ds_column *c = maas_dataset_column(d, "name");
            volatile unsigned sum = 0;
            for (int64_t i = 0; i < c->offsets[d->n_rows]; i++)
                sum += (unsigned char)c->bytes[i];
            sum += c->missing ? c->missing[0] : 0u;
            (void)sum; /* the reads are what is tested */
            maas_dataset_close(d);
        } else {
            n_refused++;
        }
        EXPECT(pwrite(s.blobs[2].fd, &byte, 1, (off_t)at) == 1);
    }
    EXPECT(n_refused > 40); /* header and offsets at least */
    json_decref(manifest);
    store_reset(&s);
}

static void every_failed_allocation_is_reported(void)
{
    for (long n = 1;; n++) {
        blob_store s = {0};
        maas_blob_io io = store_io(&s);
        json_t *manifest = NULL;
        maas_dataset *d = NULL;
        maas_err err = {0};
        long live = maas_mem_live();
        maas_mem_fail_at(n);
        maas_status st = store_table(&io, table, sizeof table - 1, NULL, &manifest, &err);
        if (st == MAAS_OK)
            st = maas_dataset_open(manifest, &io, &d, &err);
        maas_mem_fail_at(0);
        bool done = st == MAAS_OK;
        EXPECT_MSG(done || st == MAAS_E_NOMEM, "allocation %ld: %d %s", n, (int)st, err.msg);
        EXPECT(done == (d != NULL));
        maas_dataset_close(d);
        json_decref(manifest);
        EXPECT_MSG(maas_mem_live() == live, "allocation %ld: %ld left", n, maas_mem_live() - live);
        store_reset(&s);
        if (done) {
            EXPECT(n > 10);
            return;
        }
    }
}

static const mt_case cases[] = {
    MT_CASE(columns_come_back_as_written),
    MT_CASE(numbers_are_npy_files),
    MT_CASE(parts_become_columns_of_one_set),
    MT_CASE(more_columns_than_open_files),
    MT_CASE(a_table_cut_short_makes_no_manifest),
    MT_CASE(a_manifest_that_lies_is_refused_by_name),
    MT_CASE(a_blob_with_any_byte_changed_is_refused_or_safe),
    MT_CASE(every_failed_allocation_is_reported),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
