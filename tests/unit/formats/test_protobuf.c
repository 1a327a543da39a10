#include "maas_test.h"

#include "base/mem.h"
#include "base/sys.h"
#include "formats/protobuf.h"

/* Exactly as long as its content, so that a sanitizer sees a read past the end. */
static maas_span exact(const void *p, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    if (n)
        memcpy(copy, p, n);
    return maas_span_of(copy, n);
}
static void drop(maas_span s)
{
    free((void *)(uintptr_t)s.p);
}

static maas_status read_all(maas_span s, int *out_n)
{
    maas_pb r = maas_pb_open(s, NULL);
    maas_pb_field f;
    *out_n = 0;
    while (maas_pb_next(&r, &f))
        ++*out_n;
    return r.status;
}

static const uint64_t varints[] = {0,     1,          127,        128,        16383,
                                   16384, UINT32_MAX, 1ull << 35, 1ull << 63, UINT64_MAX};

static void put_varints(maas_pb_writer *w, void *user)
{
    for (size_t i = 0; i < MAAS_COUNT(varints); i++)
        maas_pb_int(w, 3, (int64_t)varints[i]);
}

static void varints_of_all_lengths_come_back(void)
{
    AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(1000);
    EXPECT_EQ(maas_pb_write(put_varints, NULL, &b, NULL), MAAS_OK);
    maas_pb r = maas_pb_open(maas_buf_span(&b), NULL);
    maas_pb_field f;
    for (size_t i = 0; i < MAAS_COUNT(varints); i++) {
        EXPECT(maas_pb_next(&r, &f));
        EXPECT(f.number == 3 && f.wire == MAAS_PB_VARINT && f.value == varints[i]);
    }
    EXPECT(!maas_pb_next(&r, &f));
    EXPECT_EQ(r.status, MAAS_OK);
}

static const struct bad {
    const char *name;
    uint8_t bytes[16];
    size_t n;
    const char *words;
} bads[] = {
    {"varint of 11 bytes",
     {8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1},
     12,
     "past the end"},
    {"varint past 64 bits",
     {8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2},
     11,
     "past the end"},
    {"varint without an end", {8, 255, 255}, 3, "past the end"},
    {"field number 0", {0, 1}, 2, "no field tag"},
    {"tag past 32 bits", {0x88, 0x80, 0x80, 0x80, 0x80, 1, 0}, 7, "no field tag"},
    {"group", {0x0b, 0x0c}, 2, "a group"},
    {"end of a group", {0x0c}, 1, "a group"},
    {"wire type 6", {0x0e, 1}, 2, "unknown wire type"},
    {"wire type 7", {0x0f, 1}, 2, "unknown wire type"},
    {"text past the end", {0x0a, 3, 'a', 'b'}, 4, "past the end"},
    {"text of 2^64-1 bytes",
     {0x0a, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1},
     11,
     "past the end"},
    {"32 bits cut off", {0x0d, 1, 2, 3}, 4, "past the end"},
    {"64 bits cut off", {0x09, 1, 2, 3, 4, 5, 6, 7}, 8, "past the end"},
    {"only a tag", {0x0a}, 1, "past the end"},
};

static void malformed_bytes_are_refused_with_their_offset(void)
{
    for (size_t i = 0; i < MAAS_COUNT(bads); i++) {
        uint8_t bytes[32] = {0x10, 7}; /* a good field before it */
        memcpy(bytes + 2, bads[i].bytes, bads[i].n);
        maas_span s = exact(bytes, bads[i].n + 2);
        maas_err err = {0};
        maas_pb r = maas_pb_open(s, &err);
        maas_pb_field f;
        EXPECT(maas_pb_next(&r, &f));
        EXPECT_MSG(!maas_pb_next(&r, &f), "%s", bads[i].name);
        EXPECT_MSG(r.status == MAAS_E_FORMAT, "%s", bads[i].name);
        EXPECT_MSG(strstr(err.msg, bads[i].words) && strstr(err.msg, "(at byte 2)"), "%s: %s",
                   bads[i].name, err.msg);
        EXPECT(!maas_pb_next(&r, &f)); /* the error stays */
        drop(s);
    }
}

static void put_nested(maas_pb_writer *w, void *user)
{
    const int64_t ints[] = {1, -1, 300};
    const float floats[] = {1.5f, -2};
    maas_pb_text(w, 1, "name");
    for (int i = 0; i < 3; i++) {
        maas_pb_begin(w, 2);
        maas_pb_int(w, 1, i);
        maas_pb_begin(w, 2);
        maas_pb_ints(w, 3, ints, 3);
        maas_pb_end(w);
        for (int k = 0; k < 40 * i; k++)
            maas_pb_text(w, 4, "padding that makes lengths longer than a byte");
        maas_pb_end(w);
    }
    maas_pb_floats(w, 5, floats, 2);
    maas_pb_float(w, 6, 0.25f);
}

static void nested_lengths_are_right_and_minimal(void)
{
    AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(1 << 20);
    EXPECT_EQ(maas_pb_write(put_nested, NULL, &b, NULL), MAAS_OK);
    maas_pb r = maas_pb_open(maas_buf_span(&b), NULL);
    maas_span bytes, inner, run = {0};
    uint64_t v;
    for (int i = 0; i < 3; i++) {
        EXPECT(maas_pb_each(&r, 2, &bytes));
        maas_pb m = maas_pb_message(&r, bytes), copy = m;
        EXPECT(maas_pb_each_number(&copy, 1, MAAS_PB_VARINT, &run, &v) && v == (uint64_t)i);
        EXPECT(maas_pb_each(&m, 2, &inner));
        m = maas_pb_message(&m, inner);
        const uint64_t want[] = {1, UINT64_MAX, 300};
        for (int k = 0; k < 3; k++)
            EXPECT(maas_pb_each_number(&m, 3, MAAS_PB_VARINT, &run, &v) && v == want[k]);
        EXPECT(!maas_pb_each_number(&m, 3, MAAS_PB_VARINT, &run, &v) && m.status == MAAS_OK);
    }
    EXPECT(!maas_pb_each(&r, 2, &bytes) && r.status == MAAS_OK);
    /* By hand: 6 + (2 + 19) + (3 + 19 + 40 * 47) + (3 + 19 + 80 * 47) + 10 + 5. */
    EXPECT_EQ(b.n, 5726);
}

/* Every prefix either ends between two fields or is refused; none is read past its end. */
static void every_truncation_is_seen(void)
{
    AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(1 << 20);
    maas_pb_write(put_nested, NULL, &b, NULL);
    int n_ok = 0, n;
    for (size_t cut = 0; cut < b.n; cut++) {
        maas_span s = exact(b.p, cut);
        n_ok += read_all(s, &n) == MAAS_OK;
        drop(s);
    }
    EXPECT_EQ(n_ok, 6); /* before each of the six fields */
}

typedef struct sample {
    int64_t i;
    float f;
    maas_span s;
    uint32_t n;
} sample;
static const maas_pb_row rows[] = {{1, MAAS_PB_INT, offsetof(sample, i)},
                                   {2, MAAS_PB_FLOAT, offsetof(sample, f)},
                                   {3, MAAS_PB_SPAN, offsetof(sample, s)},
                                   {4, MAAS_PB_COUNT, offsetof(sample, n)}};

static maas_status decode(const void *p, size_t n, sample *out, maas_err *err)
{
    maas_span s = exact(p, n);
    maas_pb r = maas_pb_open(s, err);
    *out = (sample){0};
    maas_status st = maas_pb_decode(&r, rows, MAAS_COUNT(rows), out);
    if (out->s.p)
        out->s.p = (const uint8_t *)p + (out->s.p - s.p);
    drop(s);
    return st;
}

static void rows_fill_a_struct(void)
{
    const uint8_t good[] = {0x08, 5,    0x15, 0,    0, 0x80, 0x3f, 0x1a, 2,    'h',
                            'i',  0x20, 1,    0x22, 0, 0x7a, 1,    'x',  0x08, 6};
    const uint8_t empty[] = {0x1a, 0}, twice[] = {0x1a, 0, 0x1a, 0}, wire[] = {0x0a, 0};
    sample s;
    maas_err err = {0};
    EXPECT_EQ(decode(good, sizeof good, &s, &err), MAAS_OK);
    EXPECT_EQ(s.i, 6); /* the last one counts */
    EXPECT_NEAR(s.f, 1, 0);
    EXPECT(maas_span_is(s.s, "hi"));
    EXPECT_EQ(s.n, 2);
    EXPECT_EQ(decode(empty, sizeof empty, &s, &err), MAAS_OK);
    EXPECT(s.s.p != NULL && s.s.n == 0); /* empty is not absent */
    EXPECT_EQ(decode(twice, sizeof twice, &s, &err), MAAS_E_FORMAT);
    EXPECT(strstr(err.msg, "comes twice"));
    EXPECT_EQ(decode(wire, sizeof wire, &s, NULL), MAAS_E_FORMAT);
}

static void lists_read_the_same_packed_or_not(void)
{
    const uint8_t mixed[] = {0x1a, 3, 1, 0xac, 2, 0x18, 7, 0x1a, 0, 0x1a, 1, 9}; /* 1 300 7 9 */
    const uint8_t cut[] = {0x1a, 2, 1, 0xac};
    const uint64_t want[] = {1, 300, 7, 9};
    maas_span run = {0};
    uint64_t v;
    maas_pb r = maas_pb_open(maas_span_of(mixed, sizeof mixed), NULL);
    for (size_t i = 0; i < MAAS_COUNT(want); i++)
        EXPECT(maas_pb_each_number(&r, 3, MAAS_PB_VARINT, &run, &v) && v == want[i]);
    EXPECT(!maas_pb_each_number(&r, 3, MAAS_PB_VARINT, &run, &v) && r.status == MAAS_OK);
    r = maas_pb_open(maas_span_of(cut, sizeof cut), NULL);
    EXPECT(maas_pb_each_number(&r, 3, MAAS_PB_VARINT, &run, &v));
    EXPECT(!maas_pb_each_number(&r, 3, MAAS_PB_VARINT, &run, &v) && r.status == MAAS_E_FORMAT);
}

/* ---- long lists: the same bytes as one by one ---- */

typedef struct long_list {
    const int64_t *v;
    const maas_str *s;
    size_t n;
} long_list;

static void put_ints(maas_pb_writer *w, void *user)
{
    const long_list *l = user;
    maas_pb_begin(w, 1); /* lengths around it are measured, too */
    maas_pb_ints(w, 8, l->v, l->n);
    maas_pb_end(w);
}

static void put_strings(maas_pb_writer *w, void *user)
{
    const long_list *l = user;
    maas_pb_begin(w, 1);
    maas_pb_strings(w, 100, l->s, l->n);
    maas_pb_end(w);
}

static void put_strings_one_by_one(maas_pb_writer *w, void *user)
{
    const long_list *l = user;
    maas_pb_begin(w, 1);
    for (size_t i = 0; i < l->n; i++)
        maas_pb_bytes(w, 100, l->s[i].p, l->s[i].n);
    maas_pb_end(w);
}

static void check_ints(const long_list *l)
{
    AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(1 << 20);
    uint64_t measured = 0, v;
    maas_span run = {0};
    maas_pb_field f;
    EXPECT_EQ(maas_pb_write(put_ints, (void *)(uintptr_t)l, &b, NULL), MAAS_OK);
    EXPECT_EQ(maas_pb_measure(put_ints, (void *)(uintptr_t)l, &measured, NULL), MAAS_OK);
    EXPECT_EQ(measured, b.n);
    maas_pb r = maas_pb_open(maas_buf_span(&b), NULL);
    EXPECT(maas_pb_next(&r, &f));
    maas_pb in = maas_pb_message(&r, f.bytes);
    for (size_t i = 0; i < l->n; i++)
        EXPECT_MSG(maas_pb_each_number(&in, 8, MAAS_PB_VARINT, &run, &v) && v == (uint64_t)l->v[i],
                   "number %zu of %zu: %lld", i, l->n, (long long)l->v[i]);
    EXPECT(!maas_pb_each_number(&in, 8, MAAS_PB_VARINT, &run, &v) && in.status == MAAS_OK);
    EXPECT(!maas_pb_next(&r, &f) && r.status == MAAS_OK);
}

/* Blocks whose largest is at each border, at each place of the block, and no whole block at all. */
static void lists_of_numbers_come_back(void)
{
    static const int64_t borders[] = {0,         1,         126,       127,       128,    129,
                                      16382,     16383,     16384,     16385,     -1,     INT64_MIN,
                                      INT64_MAX, INT32_MIN, INT32_MAX, 1ll << 35, 1 << 21};
    enum { MOST = 53 };
    int64_t v[MOST];
    maas_rng rng;
    maas_rng_seed(&rng, 7);
    for (size_t k = 0; k < MAAS_COUNT(borders); k++)
        for (size_t at = 0; at < MOST; at++) {
            for (size_t i = 0; i < MOST; i++)
                v[i] = (int64_t)maas_rng_below(&rng, k % 2 ? 128 : 300);
            v[at] = borders[k];
            check_ints(&(long_list){.v = v, .n = maas_rng_below(&rng, MOST + 1)});
            check_ints(&(long_list){.v = v, .n = at + 1});
            memset(v, 0, sizeof v); /* nothing else in the block */
            v[at] = borders[k];
            check_ints(&(long_list){.v = v, .n = MOST});
        }
    int64_t *many = maas_alloc(20000 * sizeof *many); /* more than is gathered before it is put */
    for (size_t i = 0; i < 20000; i++)
        many[i] = borders[maas_rng_below(&rng, i < 10000 ? 10 : MAAS_COUNT(borders))];
    check_ints(&(long_list){.v = many, .n = 20000});
    maas_free(many);
}

static void lists_of_strings_are_fields_like_any(void)
{
    static const size_t lengths[] = {0, 1, 4, 10, 126, 127, 128, 129, 5000};
    enum { MOST = 3000 };
    static char text[5000];
    static maas_str s[MOST];
    maas_rng rng;
    maas_rng_seed(&rng, 8);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)i;
    for (size_t k = 1; k <= MAAS_COUNT(lengths); k++) {
        for (size_t i = 0; i < MOST; i++) {
            const size_t n = lengths[maas_rng_below(&rng, k)];
            s[i] = (maas_str){n ? text + maas_rng_below(&rng, sizeof text - n + 1) : NULL, n};
        }
        for (size_t n = 0; n <= MOST; n = n < 3 ? n + 1 : n * 2) {
            long_list l = {.s = s, .n = n};
            AUTO(maas_buf_reset) maas_buf a = MAAS_BUF_INIT(32 << 20);
            AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(32 << 20);
            uint64_t measured = 0;
            EXPECT_EQ(maas_pb_write(put_strings, &l, &a, NULL), MAAS_OK);
            EXPECT_EQ(maas_pb_write(put_strings_one_by_one, &l, &b, NULL), MAAS_OK);
            EXPECT_EQ(maas_pb_measure(put_strings, &l, &measured, NULL), MAAS_OK);
            EXPECT_EQ(measured, b.n);
            EXPECT_MSG(a.n == b.n && memcmp(a.p, b.p, a.n) == 0, "%zu strings", n);
        }
    }
}

static void measuring_fails_cleanly(void)
{
    const long before = maas_mem_live();
    uint64_t n = 0;
    EXPECT_EQ(maas_pb_measure(put_nested, NULL, &n, NULL), MAAS_OK);
    AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(1 << 20);
    EXPECT_EQ(maas_pb_write(put_nested, NULL, &b, NULL), MAAS_OK);
    EXPECT_EQ(n, b.n);
    maas_mem_fail_at(1);
    EXPECT_EQ(maas_pb_measure(put_nested, NULL, &n, NULL), MAAS_E_NOMEM);
    maas_mem_fail_at(0);
    EXPECT_EQ(n, b.n); /* untouched */
    maas_buf_reset(&b);
    EXPECT_EQ(maas_mem_live(), before);
}

static void nesting_has_a_bottom(void)
{
    maas_pb r = maas_pb_open(maas_span_str("\x08\x01"), NULL);
    maas_pb_field f;
    for (int i = 0; i < MAAS_PB_MAX_DEPTH; i++)
        r = maas_pb_message(&r, r.rest);
    EXPECT(maas_pb_next(&r, &f));
    r = maas_pb_message(&r, maas_span_str("\x08\x01"));
    EXPECT(!maas_pb_next(&r, &f));
    EXPECT_EQ(r.status, MAAS_E_FORMAT);
}

static void random_bytes_never_hurt(void)
{
    maas_rng rng;
    maas_rng_seed(&rng, 99);
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[24];
        size_t n = maas_rng_below(&rng, sizeof bytes + 1);
        for (size_t k = 0; k < n; k++)
            bytes[k] = (uint8_t)(maas_rng_below(&rng, 3) ? maas_rng_below(&rng, 48)
                                                         : maas_rng_u64(&rng));
        maas_span s = exact(bytes, n);
        int fields;
        sample out;
        (void)read_all(s, &fields);
        (void)decode(bytes, n, &out, NULL);
        drop(s);
    }
}

static void writing_fails_cleanly(void)
{
    AUTO(maas_buf_reset) maas_buf small = MAAS_BUF_INIT(100);
    EXPECT_EQ(maas_pb_write(put_nested, NULL, &small, NULL), MAAS_E_NOMEM);
    EXPECT_EQ(small.n, 0);
    long before = maas_mem_live();
    for (long n = 1;; n++) {
        maas_buf b = MAAS_BUF_INIT(1 << 20);
        maas_mem_fail_at(n);
        maas_status st = maas_pb_write(put_nested, NULL, &b, NULL);
        maas_mem_fail_at(0);
        maas_buf_reset(&b);
        EXPECT_EQ(maas_mem_live(), before);
        if (st == MAAS_OK) {
            EXPECT(n > 2);
            break;
        }
        EXPECT_EQ(st, MAAS_E_NOMEM);
        if (n > 1000)
            break;
    }
}

static const mt_case cases[] = {
    MT_CASE(varints_of_all_lengths_come_back),
    MT_CASE(malformed_bytes_are_refused_with_their_offset),
    MT_CASE(nested_lengths_are_right_and_minimal),
    MT_CASE(every_truncation_is_seen),
    MT_CASE(rows_fill_a_struct),
    MT_CASE(lists_read_the_same_packed_or_not),
    MT_CASE(lists_of_numbers_come_back),
    MT_CASE(lists_of_strings_are_fields_like_any),
    MT_CASE(measuring_fails_cleanly),
    MT_CASE(nesting_has_a_bottom),
    MT_CASE(random_bytes_never_hurt),
    MT_CASE(writing_fails_cleanly),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
