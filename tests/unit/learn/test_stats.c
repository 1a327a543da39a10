/* Statistics against a plain second computation over all values. */
#include "maas_test.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/sys.h"
#include "learn/counts.h"
#include "learn/sample.h"
#include "learn/stats.h"
#include "base/ban.h"

static json_t *stats_of(maas_dtype t, const void *data, int64_t n, int64_t batch)
{
    maas_stats *s = NULL;
    json_t *out = NULL;
    maas_err err = {0};
    EXPECT_EQ(maas_stats_create(t, 1, &s, &err), MAAS_OK);
    for (int64_t from = 0; from < n; from += batch) {
        int64_t rows = n - from < batch ? n - from : batch;
        void *p = (char *)(uintptr_t)data + (size_t)from * maas_dtype_size(t);
        maas_tensor v = maas_tensor_of(t, 1, &rows, p);
        EXPECT_EQ(maas_stats_add(s, &v, &err), MAAS_OK);
    }
    EXPECT_EQ(maas_stats_json(s, &out, &err), MAAS_OK);
    maas_stats_destroy(s);
    return out;
}

static double real(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static double quantile(const json_t *o, const char *q)
{
    return real(json_object_get(o, "quantiles"), q);
}

static void a_small_column_is_exact(void)
{
    const double v[] = {4, NAN, 1, 3, 2, NAN, 5};
    json_t *o = stats_of(MAAS_F64, v, 7, 3);
    EXPECT_EQ(real(o, "count"), 5);
    EXPECT_EQ(real(o, "missing"), 2);
    EXPECT_NEAR(real(o, "mean"), 3, 0);
    EXPECT_NEAR(real(o, "std"), sqrt(2), 1e-15);
    EXPECT_NEAR(real(o, "min"), 1, 0);
    EXPECT_NEAR(real(o, "max"), 5, 0);
    EXPECT_NEAR(quantile(o, "0.5"), 3, 0);
    EXPECT_NEAR(quantile(o, "0.25"), 2, 0);
    EXPECT_NEAR(quantile(o, "0.01"), 1.04, 1e-12); /* linear between neighbours, as NumPy */
    EXPECT_EQ(real(o, "distinct"), 5);
    EXPECT(!json_object_get(o, "approximate"));
    json_decref(o);
}

static void nothing_is_null(void)
{
    const double v[] = {NAN, NAN};
    json_t *o = stats_of(MAAS_F64, v, 2, 2);
    EXPECT_EQ(real(o, "count"), 0);
    EXPECT_EQ(real(o, "missing"), 2);
    EXPECT(json_is_null(json_object_get(o, "mean")));
    EXPECT(json_is_null(json_object_get(o, "max")));
    json_decref(o);
    o = stats_of(MAAS_U8, "", 0, 1);
    EXPECT_EQ(real(o, "count"), 0);
    json_decref(o);
    const double inf[] = {INFINITY, 1};
    o = stats_of(MAAS_F64, inf, 2, 2);
    EXPECT(json_is_null(json_object_get(o, "max"))); /* JSON has no infinity */
    EXPECT_NEAR(real(o, "min"), 1, 0);
    json_decref(o);
}

static void an_offset_does_not_spoil_the_deviation(void)
{
    enum { N = 100000 };
    double *v = malloc(N * sizeof *v);
    for (int i = 0; i < N; i++)
        v[i] = 1e9 + (i % 2 ? 0.5 : -0.5);
    json_t *o = stats_of(MAAS_F64, v, N, 777);
    EXPECT_NEAR(real(o, "std"), 0.5, 1e-9);
    EXPECT_NEAR(real(o, "mean"), 1e9, 1e-6);
    json_decref(o);
    free(v);
}

static void batches_do_not_matter(void)
{
    enum { N = 200000 };
    float *v = malloc(N * sizeof *v);
    maas_rng r;
    maas_rng_seed(&r, 3);
    for (int i = 0; i < N; i++)
        v[i] = maas_rng_normal(&r);
    json_t *a = stats_of(MAAS_F32, v, N, N), *b = stats_of(MAAS_F32, v, N, 1024 * 7);
    char *x = json_dumps(a, 0), *y = json_dumps(b, 0);
    EXPECT_STR(x, y);
    EXPECT(json_is_true(json_object_get(a, "approximate")));
    free(x);
    free(y);
    json_decref(a);
    json_decref(b);
    free(v);
}

static void quantiles_of_a_large_column_are_close(void)
{
    enum { N = 3000000 };
    double *v = malloc(N * sizeof *v);
    static const char *const q[] = {"0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99"};
    for (int order = 0; order < 3; order++) { /* ascending, descending, scattered */
        for (int i = 0; i < N; i++)
            v[i] = order == 0 ? i : order == 1 ? N - 1 - i : (double)((uint64_t)i * 1000003u % N);
        json_t *o = stats_of(MAAS_F64, v, N, 5000);
        for (size_t i = 0; i < MAAS_COUNT(q); i++)
            EXPECT_NEAR(quantile(o, q[i]) / N, strtod(q[i], NULL), 0.008);
        EXPECT_NEAR(real(o, "distinct") / N, 1, 0.08); /* 5 deviations of the sketch */
        EXPECT(json_is_true(json_object_get(o, "approximate")));
        json_decref(o);
    }
    free(v);
}

static void the_sample_repeats_itself(void)
{
    maas_sample a, b;
    double v[1000];
    maas_sample_init(&a, 64);
    maas_sample_init(&b, 64);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 1000; i++)
            v[i] = round * 1000 + i;
        EXPECT(maas_sample_add(&a, v, 1000));
        for (int i = 0; i < 1000; i++)
            EXPECT(maas_sample_add(&b, v + i, 1));
        EXPECT(a.n < 64 && a.n == b.n && !memcmp(a.kept, b.kept, a.n * sizeof *a.kept));
        /* one value of each group, in order */
        for (size_t i = 0; i < a.n; i++)
            EXPECT_EQ((uint64_t)a.kept[i] >> a.group_log2, i);
    }
    maas_sample_reset(&a);
    maas_sample_reset(&b);
}

static void bytes_are_counted_exactly(void)
{
    enum { N = 1000003 };
    uint8_t *v = malloc(N);
    double sum = 0, squares = 0;
    int64_t counts[256] = {0};
    for (int i = 0; i < N; i++) {
        v[i] = (uint8_t)((i * 7 + i / 1000) % 199);
        sum += v[i];
        squares += (double)v[i] * v[i];
        counts[v[i]]++;
    }
    json_t *o = stats_of(MAAS_U8, v, N, 4096 * 5);
    EXPECT_NEAR(real(o, "mean"), sum / N, 1e-9);
    EXPECT_NEAR(real(o, "std"), sqrt(squares / N - sum / N * (sum / N)), 1e-6);
    EXPECT_EQ(real(o, "distinct"), 199);
    EXPECT(!json_object_get(o, "approximate"));
    const json_t *first = json_array_get(json_object_get(o, "top"), 0);
    EXPECT_EQ(real(first, "count"), counts[(int)real(first, "value")]);
    json_decref(o);
    const int8_t signed_bytes[] = {-128, -1, -1, 127};
    o = stats_of(MAAS_I8, signed_bytes, 4, 4);
    EXPECT_EQ(real(o, "min"), -128);
    EXPECT_EQ(real(o, "max"), 127);
    EXPECT_NEAR(quantile(o, "0.5"), -1, 0);
    EXPECT_EQ(real(json_array_get(json_object_get(o, "top"), 0), "value"), -1);
    json_decref(o);
    free(v);
}

static void wide_integers_keep_their_digits(void)
{
    const int64_t v[] = {INT64_MAX, INT64_MIN, INT64_MAX, 7};
    json_t *o = stats_of(MAAS_I64, v, 4, 4);
    const json_t *top = json_array_get(json_object_get(o, "top"), 0);
    EXPECT_EQ(json_integer_value(json_object_get(top, "value")), INT64_MAX);
    EXPECT_EQ(json_integer_value(json_object_get(top, "count")), 2);
    EXPECT_EQ(real(o, "distinct"), 3);
    json_decref(o);
}

static void text_is_counted(void)
{
    const maas_str v[] = {{"b", 1}, {"a", 1}, {NULL, 0}, {"b", 1}, {"", 0}, {"a", 1}, {"c", 1}};
    json_t *o = stats_of(MAAS_STRING, v, 7, 2);
    char *text = json_dumps(o, JSON_COMPACT);
    EXPECT_STR(text, "{\"count\":6,\"missing\":1,\"distinct\":4,\"top\":["
                     "{\"value\":\"a\",\"count\":2},{\"value\":\"b\",\"count\":2},"
                     "{\"value\":\"\",\"count\":1},{\"value\":\"c\",\"count\":1}]}");
    free(text);
    json_decref(o);
}

/* A text that is cut for the statistics must not be cut inside a character. */
static void long_text_is_cut_between_characters(void)
{
    char buf[2 * MAAS_COUNTS_TEXT];
    for (size_t i = 0; i < sizeof buf; i++)
        buf[i] = i == 0 ? 'x' : i % 2 ? '\xc3' : '\xa4';
    const maas_str v = {buf, sizeof buf - 1};
    json_t *o = stats_of(MAAS_STRING, &v, 1, 1);
    const json_t *value = json_object_get(json_array_get(json_object_get(o, "top"), 0), "value");
    EXPECT_EQ(json_string_length(value), MAAS_COUNTS_TEXT - 1);
    json_decref(o);
}

/* Heavy values among many rare ones survive, with a count that is too low by n / max at most. */
static void frequent_text_survives_many_rare_ones(void)
{
    maas_counts c;
    maas_counts_init(&c, 256, true);
    int n = 0, n_heavy = 0;
    for (int i = 0; i < 100000; i++, n++) {
        char text[32];
        bool heavy = i % 4 == 0;
        int len = heavy ? snprintf(text, sizeof text, "heavy")
                        : snprintf(text, sizeof text, "rare %d", i);
        n_heavy += heavy;
        EXPECT(maas_counts_add_text(&c, (maas_str){text, (size_t)len}));
    }
    const maas_count *top[3];
    EXPECT(maas_counts_top(&c, top, 3) >= 1);
    EXPECT(top[0]->n_text == 5 && !memcmp(top[0]->text, "heavy", 5));
    EXPECT(top[0]->count <= n_heavy && top[0]->count >= n_heavy - n / 256 - 1);
    EXPECT(!maas_counts_exact(&c) && c.n <= 256);
    EXPECT_NEAR((double)maas_counts_distinct(&c) / 75001, 1, 0.08);
    maas_counts_reset(&c);
}

static void every_failed_allocation_is_reported(void)
{
    maas_str v[3000];
    char text[3000][12];
    for (int i = 0; i < 3000; i++)
        v[i] = (maas_str){text[i], (size_t)snprintf(text[i], sizeof text[i], "t%d", i)};
    for (long at = 1;; at = at * 5 / 4 + 1) {
        maas_stats *s = NULL;
        maas_err err = {0};
        int64_t n = 3000;
        maas_tensor t = maas_tensor_of(MAAS_STRING, 1, &n, v);
        maas_mem_fail_at(at);
        maas_status st = maas_stats_create(MAAS_STRING, 2000, &s, &err);
        if (st == MAAS_OK)
            st = maas_stats_add(s, &t, &err);
        maas_mem_fail_at(0);
        maas_stats_destroy(s);
        EXPECT(st == MAAS_OK || st == MAAS_E_NOMEM);
        EXPECT_EQ(maas_mem_live(), 0);
        if (st == MAAS_OK)
            break;
    }
}

static const mt_case cases[] = {
    MT_CASE(a_small_column_is_exact),
    MT_CASE(nothing_is_null),
    MT_CASE(an_offset_does_not_spoil_the_deviation),
    MT_CASE(batches_do_not_matter),
    MT_CASE(quantiles_of_a_large_column_are_close),
    MT_CASE(the_sample_repeats_itself),
    MT_CASE(bytes_are_counted_exactly),
    MT_CASE(wide_integers_keep_their_digits),
    MT_CASE(text_is_counted),
    MT_CASE(long_text_is_cut_between_characters),
    MT_CASE(frequent_text_survives_many_rare_ones),
    MT_CASE(every_failed_allocation_is_reported),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
