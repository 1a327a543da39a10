#include "base/buf.h"
#include "http_test.h"

/* Writes what it is told into a buffer: [name|file|type:data] a part. */
static maas_status on_begin(void *user, const char *name, const char *file, const char *type,
                            maas_err *err)
{
    maas_buf_printf(user, "[%s|%s|%s:", name, file ? file : "-", type ? type : "-");
    return strcmp(name, "refuse") == 0 ? maas_fail(err, MAAS_E_CONFLICT, "refused") : MAAS_OK;
}

static maas_status on_data(void *user, maas_span piece, maas_err *err)
{
    maas_buf_add(user, piece.p, piece.n);
    return MAAS_OK;
}

static maas_status on_end(void *user, maas_err *err)
{
    maas_buf_char(user, ']');
    return MAAS_OK;
}

#define FORM "multipart/form-data; boundary="

static maas_status parse(const char *type, const char *text, size_t n, size_t step, maas_buf *out,
                         maas_err *err)
{
    maas_part_sink sink = {out, on_begin, on_data, on_end};
    maas_multipart *m = NULL;
    maas_status st = maas_multipart_create(type, &sink, &m, err);
    for (size_t at = 0; st == MAAS_OK && at < n; at += step)
        st = maas_multipart_feed(m, maas_span_of(text + at, step < n - at ? step : n - at), err);
    if (st == MAAS_OK)
        st = maas_multipart_finish(m, err);
    maas_multipart_destroy(m);
    return st;
}

#define PART(head, data) "--B\r\n" head "\r\n\r\n" data "\r\n"
#define CD               "Content-Disposition: form-data; "
#define GOOD                                                                                       \
    "preamble\r\n" PART(CD "name=\"a\"", "hello") PART(                                            \
        CD "name=file; filename=\"x\\\"y.csv\"\r\nContent-Type: text/csv", "1,2\r\n3\r\r\n--\r\n") \
        PART("x-other: y\r\ncontent-disposition:form-data;name=\"empty\"", "") "--B--\r\ntail --B"
#define PARSED "[a|-|-:hello][file|x\"y.csv|text/csv:1,2\r\n3\r\r\n--\r\n][empty|-|-:]"

static void every_split_gives_the_same_parts(void)
{
    static const char text[] = GOOD;
    for (size_t step = 1; step <= sizeof text; step++) {
        AUTO(maas_buf_reset) maas_buf out = MAAS_BUF_INIT(4096);
        maas_err err = {0};
        EXPECT_MSG(parse(FORM "B", text, sizeof text - 1, step, &out, &err) == MAAS_OK,
                   "step %zu: %s", step, err.msg);
        EXPECT_STR(out.p, PARSED);
    }
}

static void random_parts_come_back_at_random_splits(void)
{
    maas_rng rng;
    maas_rng_seed(&rng, 11);
    for (int round = 0; round < 2000; round++) {
        AUTO(maas_buf_reset)
        maas_buf text = MAAS_BUF_INIT(1 << 16), want = MAAS_BUF_INIT(1 << 16),
                 got = MAAS_BUF_INIT(1 << 16);
        for (uint64_t p = maas_rng_below(&rng, 4); p > 0; p--) {
            char data[64];
            size_t n = maas_rng_below(&rng, sizeof data);
            for (size_t i = 0; i < n; i++) /* the alphabet of the delimiter, to come close to it */
                data[i] = "\r\n-Bb"[maas_rng_below(&rng, 5)];
            if (memmem(data, n, "\r\n--B", 5) || (n >= 3 && memcmp(data, "--B", 3) == 0))
                n = 0;
            maas_buf_printf(&text, "--B\r\n" CD "name=n%d\r\n\r\n", round);
            maas_buf_add(&text, data, n);
            maas_buf_str(&text, "\r\n");
            maas_buf_printf(&want, "[n%d|-|-:", round);
            maas_buf_add(&want, data, n);
            maas_buf_char(&want, ']');
        }
        maas_buf_str(&text, "--B--");
        maas_err err = {0};
        maas_status st = parse(FORM "B", text.p, text.n, 1 + maas_rng_below(&rng, text.n), &got,
                               &err);
        EXPECT_MSG(st == MAAS_OK && maas_span_eq(maas_buf_span(&got), maas_buf_span(&want)),
                   "seed 11, round %d: %s", round, err.msg);
    }
}

static void malformed_forms_are_refused(void)
{
    static const struct {
        const char *type, *text;
        maas_status st;
    } rows[] = {
        {"text/plain", "", MAAS_E_MEDIA},
        {"multipart/form-dataX; boundary=B", "", MAAS_E_MEDIA},
        {"multipart/form-data", "", MAAS_E_INVALID},
        {"multipart/form-data; charset=x", "", MAAS_E_INVALID},
        {FORM "", "", MAAS_E_INVALID},
        {FORM "\"B", "", MAAS_E_INVALID},
        {FORM "\"B \"", "", MAAS_E_INVALID},
        {FORM "B; boundary=C", "", MAAS_E_INVALID},
        {FORM "0123456789012345678901234567890123456789012345678901234567890123456789x", "",
         MAAS_E_INVALID},
        {FORM "B", "", MAAS_E_INVALID},
        {FORM "B", "no boundary", MAAS_E_INVALID},
        {FORM "B", PART(CD "name=a", "x"), MAAS_E_INVALID},
        {FORM "B", PART(CD "name=a", "x") "--B-", MAAS_E_INVALID},
        {FORM "B", PART(CD "name=a", "x") "--Bx", MAAS_E_INVALID},
        {FORM "B", PART("X: y", "x") "--B--", MAAS_E_INVALID},
        {FORM "B", PART("Content-Disposition: attachment; name=a", "x") "--B--", MAAS_E_INVALID},
        {FORM "B", PART(CD "filename=a", "x") "--B--", MAAS_E_INVALID},
        {FORM "B", PART(CD "name=a; name=b", "x") "--B--", MAAS_E_INVALID},
        {FORM "B", PART(CD "name=a\r\n" CD "name=b", "x") "--B--", MAAS_E_INVALID},
        {FORM "B", PART(CD "name=\"a", "x") "--B--", MAAS_E_INVALID},
        {FORM "B", PART(CD "name=refuse", "x") "--B--", MAAS_E_CONFLICT},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        for (size_t step = 1; step < 40; step += 13) {
            AUTO(maas_buf_reset) maas_buf out = MAAS_BUF_INIT(4096);
            maas_err err = {0};
            maas_status st = parse(rows[i].type, rows[i].text, strlen(rows[i].text), step, &out,
                                   &err);
            EXPECT_MSG(st == rows[i].st, "row %zu step %zu: %d %s", i, step, st, err.msg);
            EXPECT(err.msg[0] != 0);
        }
}

static void bounds_hold(void)
{
    AUTO(maas_buf_reset) maas_buf out = MAAS_BUF_INIT(1 << 20), text = MAAS_BUF_INIT(1 << 20);
    maas_err err = {0};
    maas_buf_str(&text, "--B\r\n" CD "name=a\r\nX: ");
    for (int i = 0; i < 9000; i++)
        maas_buf_char(&text, 'x');
    EXPECT_EQ(parse(FORM "B", text.p, text.n, 100, &out, &err), MAAS_E_TOO_LARGE);
    maas_buf_clear(&text);
    for (int i = 0; i < 5000; i++)
        maas_buf_str(&text, PART(CD "name=a", "x"));
    err = (maas_err){0};
    EXPECT_EQ(parse(FORM "B", text.p, text.n, 4096, &out, &err), MAAS_E_TOO_LARGE);
    static const char nul[] = "--B\r\n" CD "name=a\0b\r\n\r\nx\r\n--B--";
    err = (maas_err){0};
    EXPECT_EQ(parse(FORM "B", nul, sizeof nul - 1, 7, &out, &err), MAAS_E_INVALID);
}

static void allocation_failures_are_errors(void)
{
    for (long n = 1; n < 20; n++) {
        char room[4096];
        maas_buf out = {.p = room, .cap = sizeof room, .max = sizeof room - 1};
        maas_mem_fail_at(n);
        maas_err err = {0};
        maas_status st = parse(FORM "B", GOOD, sizeof GOOD - 1, 50, &out, &err);
        maas_mem_fail_at(0);
        EXPECT_EQ(maas_mem_live(), 0);
        if (st == MAAS_OK) {
            EXPECT(n > 1);
            return;
        }
        EXPECT(st == MAAS_E_NOMEM || st == MAAS_E_TOO_LARGE);
    }
    EXPECT(!"never succeeded");
}

static const mt_case cases[] = {
    MT_CASE(every_split_gives_the_same_parts), MT_CASE(random_parts_come_back_at_random_splits),
    MT_CASE(malformed_forms_are_refused),      MT_CASE(bounds_hold),
    MT_CASE(allocation_failures_are_errors),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
