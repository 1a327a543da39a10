#include "maas_test.h"

#include <inttypes.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/sys.h"
#include "tensor/json.h"
#include "tensor/small.h"

/* Decodes a whole document; what `data` points to lives in `a`. */
static maas_status decode(maas_arena *a, maas_dtype dtype, maas_span text, maas_json_tensor *t,
                          maas_err *err)
{
    maas_json_scan s;
    maas_json_scan_init(&s, text);
    *t = (maas_json_tensor){.dtype = dtype, .arena = a, .max = 1 << 20};
    if (!maas_json_at_value(&s))
        return maas_fail(err, MAAS_E_INVALID, "no value");
    MAAS_TRY(maas_json_decode_tensor(&s, t, err));
    if (maas_json_next(&s) != MAAS_JSON_END)
        return maas_fail(err, s.err.code, "%s", s.err.msg);
    return MAAS_OK;
}

static maas_status decode_str(maas_arena *a, maas_dtype dtype, const char *text,
                              maas_json_tensor *t, maas_err *err)
{
    return decode(a, dtype, maas_span_str(text), t, err);
}

static void nesting_shows_the_shape(void)
{
    static const struct {
        const char *text, *shape;
        int n;
    } rows[] = {
        {"[]", "[0]", 0},
        {"[1]", "[1]", 1},
        {" [ 1 , 2 ,\n3 ] ", "[3]", 3},
        {"[[1,2],[3,4],[5,6]]", "[3,2]", 6},
        {"[[],[]]", "[2,0]", 0},
        {"[[[]]]", "[1,1,0]", 0},
        {"[ [ [ 1 ] , [ 2 ] ] ]", "[1,2,1]", 2},
        {"[[[[[[[[7]]]]]]]]", "[1,1,1,1,1,1,1,1]", 1},
        {"5", "[]", 1},
        {" -5.5e1\n", "[]", 1},
    };
    maas_arena a;
    maas_arena_init(&a, NULL);
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        maas_json_tensor t;
        maas_err err = {0};
        char shape[MAAS_SHAPE_TEXT];
        EXPECT_MSG(decode_str(&a, MAAS_F32, rows[i].text, &t, &err) == MAAS_OK, "%s: %s",
                   rows[i].text, err.msg);
        EXPECT_STR(maas_shape_text(t.dims, t.rank, shape), rows[i].shape);
        EXPECT_EQ(t.n, rows[i].n);
    }
    maas_arena_reset(&a);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void what_is_wrong_is_named_with_its_place(void)
{
    static const struct {
        maas_dtype dtype;
        const char *text, *words;
    } rows[] = {
        {MAAS_U8, "[1,300]", "value 1 at byte 3: '300' is outside of UINT8 (0 to 255)"},
        {MAAS_U8, "[-1]", "value 0 at byte 1: '-1' is outside of UINT8 (0 to 255)"},
        {MAAS_I8, "[127,-128,-129]", "value 2 at byte 10: '-129' is outside of INT8 (-128 to 127)"},
        {MAAS_I16, "[32768]", "value 0 at byte 1: '32768' is outside of INT16 (-32768 to 32767)"},
        {MAAS_I32, "[2147483648]",
         "value 0 at byte 1: '2147483648' is outside of INT32 (-2147483648 to 2147483647)"},
        {MAAS_I64, "[9223372036854775808]",
         "value 0 at byte 1: '9223372036854775808' is outside of INT64 (-9223372036854775808 to "
         "9223372036854775807)"},
        {MAAS_U64, "[18446744073709551616]",
         "value 0 at byte 1: '18446744073709551616' is no UINT64"},
        {MAAS_U64, "[-1]",
         "value 0 at byte 1: '-1' is outside of UINT64 (0 to 18446744073709551615)"},
        {MAAS_I32, "[1.5]", "value 0 at byte 1: '1.5' is no INT32"},
        {MAAS_I32, "[1e20]", "value 0 at byte 1: '1e20' is no INT32"},
        {MAAS_I32, "[01]", "value 0 at byte 1: '01' is no INT32"},
        {MAAS_I32, "[NaN]", "value 0 at byte 1: 'NaN' is no INT32"},
        {MAAS_I32, "[null]", "value 0 at byte 1: 'null' is no INT32"},
        {MAAS_I32, "[\"1\"]", "value 0 at byte 1: expected INT32, found a string"},
        {MAAS_F32, "[1,\"a\"]", "value 1 at byte 3: expected FP32, found a string"},
        {MAAS_F32, "[1,{\"a\":1}]", "value 1 at byte 3: expected FP32, found an object"},
        {MAAS_F32, "[1,[2]]",
         "value 1 at byte 3: expected FP32, found an array (rows must not mix values and arrays)"},
        {MAAS_F32, "[true]", "value 0 at byte 1: 'true' is no FP32"},
        {MAAS_F32, "[-]", "value 0 at byte 1: '-' is no FP32"},
        {MAAS_F32, "[.5]", "value 0 at byte 1: '.5' is no FP32"},
        {MAAS_F32, "[+5]", "value 0 at byte 1: '+5' is no FP32"},
        {MAAS_F32, "[5.]", "value 0 at byte 1: '5.' is no FP32"},
        {MAAS_F32, "[00]", "value 0 at byte 1: '00' is no FP32"},
        {MAAS_F32, "[1 2]", "value 1 at byte 3: expected ',' or ']'"},
        {MAAS_F32, "[1,]", "value 1 at byte 3: expected FP32, found ']'"},
        {MAAS_F32, "[,1]", "value 0 at byte 1: expected FP32, found something else"},
        {MAAS_F32, "[1", "value 1 at byte 2: the end of the text inside an array"},
        {MAAS_F32, "[1,", "value 1 at byte 3: expected FP32, found the end of the text"},
        {MAAS_F32, "[", "value 0 at byte 1: the end of the text inside an array"},
        {MAAS_F32, "[[1],[2]", "value 2 at byte 8: the end of the text inside an array"},
        {MAAS_F32, "[[1],2]",
         "ragged array: the rows before value 1 at byte 5 differ in length or depth"},
        {MAAS_F32, "[[1,2],[3]]",
         "ragged array: the rows before value 3 at byte 9 differ in length or depth"},
        {MAAS_F32, "[[1],[]]",
         "ragged array: the rows before value 1 at byte 6 differ in length or depth"},
        {MAAS_F32, "[[],[1]]",
         "ragged array: the rows before value 1 at byte 6 differ in length or depth"},
        {MAAS_F32, "[[[1]],[2]]",
         "ragged array: the rows before value 1 at byte 8 differ in length or depth"},
        {MAAS_F32, "[[],[[]]]",
         "ragged array: the rows before value 0 at byte 5 differ in length or depth"},
        {MAAS_F32, "[[[[[[[[[1]]]]]]]]]", "value 0 at byte 8: the array has too many dimensions"},
        {MAAS_F32, "[1}", "value 1 at byte 2: expected ',' or ']'"},
        {MAAS_F32, "[1]]", "malformed JSON: more text after the end at byte 3"},
        {MAAS_BOOL, "[2]", "value 0 at byte 1: '2' is no BOOL"},
        {MAAS_BOOL, "[10]", "value 0 at byte 1: '10' is no BOOL"},
        {MAAS_BOOL, "[\"true\"]", "value 0 at byte 1: expected BOOL, found a string"},
        {MAAS_STRING, "[1]", "value 0 at byte 1: '1' is no BYTES"},
        {MAAS_STRING, "[\"a]",
         "value 0 at byte 1: a string that is not closed, not UTF-8 or has a bad escape"},
        {MAAS_STRING, "[\"\\ud800\"]",
         "value 0 at byte 1: a string that is not closed, not UTF-8 or has a bad escape"},
        {MAAS_STRING, "[{\"b64\":\"!\"}]",
         "value 0 at byte 1: expected a string or {\"b64\": \"...\"}"},
        {MAAS_STRING, "[{\"b65\":\"aaaa\"}]",
         "value 0 at byte 1: expected a string or {\"b64\": \"...\"}"},
    };
    maas_arena a;
    maas_arena_init(&a, NULL);
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        maas_json_tensor t;
        maas_err err = {0};
        EXPECT_MSG(decode_str(&a, rows[i].dtype, rows[i].text, &t, &err) == MAAS_E_INVALID, "%s",
                   rows[i].text);
        EXPECT_STR(err.msg, rows[i].words);
    }
    maas_arena_reset(&a);
}

static void floats_are_what_the_library_reads(void)
{
    maas_rng r;
    maas_rng_seed(&r, 21);
    maas_arena a;
    maas_arena_init(&a, NULL);
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(16 << 20);
    enum { N = 100000 };
    double *want = malloc(N * sizeof *want);
    float *want_f = malloc(N * sizeof *want_f);
    maas_buf_char(&text, '[');
    for (int i = 0; i < N; i++) {
        char number[80];
        int e = (int)maas_rng_below(&r, 80) - 40;
        switch (maas_rng_below(&r, 4)) {
        case 0:
            snprintf(number, sizeof number, "%.*f", (int)maas_rng_below(&r, 20),
                     maas_rng_unit(&r) * 1000 - 500);
            break;
        case 1:
            snprintf(number, sizeof number, "%" PRId64 "e%d", (int64_t)maas_rng_u64(&r), e);
            break;
        case 2:
            snprintf(number, sizeof number, "%.17g", (double)maas_rng_normal(&r));
            break;
        default:
            snprintf(number, sizeof number, "%.25e", maas_rng_unit(&r));
        }
        want[i] = strtod(number, NULL);
        want_f[i] = strtof(number, NULL);
        maas_buf_printf(&text, "%s%s%s", i ? "," : "", maas_rng_below(&r, 9) ? "" : " \n", number);
    }
    maas_buf_char(&text, ']');
    maas_json_tensor t;
    maas_err err = {0};
    EXPECT_EQ(decode(&a, MAAS_F64, maas_buf_span(&text), &t, &err), MAAS_OK);
    EXPECT_EQ(t.n, N);
    EXPECT(memcmp(t.data, want, N * sizeof *want) == 0);
    EXPECT_EQ(decode(&a, MAAS_F32, maas_buf_span(&text), &t, &err), MAAS_OK);
    EXPECT(memcmp(t.data, want_f, N * sizeof *want_f) == 0);
    free(want);
    free(want_f);
    maas_arena_reset(&a);
}

/* Toward zero, with the last bit set when that cut something off: rounding again is then right. */
static float to_odd(long double v)
{
    uint32_t u;
    float f = (float)v;
    if ((long double)f == v)
        return f;
    if (fabsl((long double)f) > fabsl(v))
        f = nextafterf(f, 0);
    memcpy(&u, &f, sizeof u);
    u |= 1;
    memcpy(&f, &u, sizeof f);
    return f;
}

static void halves_are_rounded_once(void)
{
    maas_rng r;
    maas_rng_seed(&r, 22);
    maas_arena a;
    maas_arena_init(&a, NULL);
    for (int i = 0; i < 60000; i++) {
        char text[80];
        double v = (double)maas_rng_normal(&r) * pow(10, (double)maas_rng_below(&r, 16) - 9);
        if (i % 2) { /* next to a tie of two neighbours */
            uint16_t h = (uint16_t)(maas_rng_u64(&r) & 0x7bff);
            v = ((double)maas_f16_to_f32(h) + (double)maas_f16_to_f32((uint16_t)(h + 1))) / 2;
            if (!isfinite(v))
                continue;
        }
        snprintf(text, sizeof text, "%.*g", 5 + (int)maas_rng_below(&r, 12), v);
        float f = to_odd(strtold(text, NULL));
        maas_json_tensor t;
        maas_err err = {0};
        EXPECT_EQ(decode_str(&a, MAAS_F16, text, &t, &err), MAAS_OK);
        EXPECT_MSG(*(uint16_t *)t.data == maas_f32_to_f16(f), "%s -> %04x, expected %04x", text,
                   *(uint16_t *)t.data, maas_f32_to_f16(f));
        EXPECT_EQ(decode_str(&a, MAAS_BF16, text, &t, &err), MAAS_OK);
        EXPECT_MSG(*(uint16_t *)t.data == maas_f32_to_bf16(f), "%s -> %04x, expected %04x", text,
                   *(uint16_t *)t.data, maas_f32_to_bf16(f));
        maas_arena_rewind(&a);
    }
    maas_arena_reset(&a);
}

static void words_for_what_json_lacks(void)
{
    maas_arena a;
    maas_arena_init(&a, NULL);
    static const maas_dtype floats[] = {MAAS_F32, MAAS_F64, MAAS_F16, MAAS_BF16};
    for (size_t i = 0; i < MAAS_COUNT(floats); i++) {
        maas_json_tensor t;
        maas_err err = {0};
        EXPECT_EQ(
            decode_str(&a, floats[i], "[NaN, Infinity,-Infinity,null,1e999,-1e999,-0]", &t, &err),
            MAAS_OK);
        maas_tensor x = maas_tensor_of(floats[i], t.rank, t.dims, t.data);
        EXPECT(isnan(maas_tensor_get(&x, 0)) && isnan(maas_tensor_get(&x, 3)));
        EXPECT(maas_tensor_get(&x, 1) == INFINITY && maas_tensor_get(&x, 2) == -INFINITY);
        EXPECT(maas_tensor_get(&x, 4) == INFINITY && maas_tensor_get(&x, 5) == -INFINITY);
        EXPECT(maas_tensor_get(&x, 6) == 0 && signbit(maas_tensor_get(&x, 6)));
        AUTO(maas_buf_reset) maas_buf out = MAAS_BUF_INIT(1000);
        maas_json_encode_tensor(&x, &out);
        EXPECT_STR(out.p, "[NaN,Infinity,-Infinity,NaN,Infinity,-Infinity,-0.0]");
    }
    maas_arena_reset(&a);
}

static void integers_may_be_written_as_floats(void)
{
    maas_arena a;
    maas_arena_init(&a, NULL);
    maas_json_tensor t;
    maas_err err = {0};
    EXPECT_EQ(
        decode_str(
            &a, MAAS_I64,
            "[3.0,3e0,30e-1,-0,-0.0,1e18,9223372036854775807,-9223372036854775808,0e99999999]", &t,
            &err),
        MAAS_OK);
    static const int64_t want[] = {3, 3, 3, 0, 0, 1000000000000000000, INT64_MAX, INT64_MIN, 0};
    EXPECT_EQ(t.n, MAAS_COUNT(want));
    EXPECT(memcmp(t.data, want, sizeof want) == 0);
    EXPECT_EQ(decode_str(&a, MAAS_U64, "[18446744073709551615,18e18]", &t, &err), MAAS_OK);
    EXPECT(((uint64_t *)t.data)[0] == UINT64_MAX &&
           ((uint64_t *)t.data)[1] == 18000000000000000000u);
    maas_arena_reset(&a);
}

static void strings_come_out_as_bytes(void)
{
    maas_arena a;
    maas_arena_init(&a, NULL);
    maas_json_tensor t;
    maas_err err = {0};
    EXPECT_EQ(
        decode_str(&a, MAAS_STRING,
                   "[\"\", \"plain\", \"a\\n\\\"\\u00e9\\ud83d\\ude00\\/\", {\"b64\":\"AAEC\"},"
                   "{\"b64\":\"\\/w==\"},{\"b64\":\"_-8\"},{\"b64\":\"\"},\"\\u0000\"]",
                   &t, &err),
        MAAS_OK);
    static const struct {
        const char *p;
        size_t n;
    } want[] = {{"", 0},       {"plain", 5}, {"a\n\"\xc3\xa9\xf0\x9f\x98\x80/", 10},
                {"\0\1\2", 3}, {"\xff", 1},  {"\xff\xef", 2},
                {"", 0},       {"\0", 1}};
    EXPECT_EQ(t.n, MAAS_COUNT(want));
    for (int64_t i = 0; i < t.n; i++) {
        maas_str s = ((maas_str *)t.data)[i];
        EXPECT_MSG(s.n == want[i].n && memcmp(s.p, want[i].p, s.n) == 0, "string %d", (int)i);
    }
    maas_tensor x = maas_tensor_of(MAAS_STRING, 1, t.dims, t.data);
    AUTO(maas_buf_reset) maas_buf out = MAAS_BUF_INIT(1000);
    maas_json_encode_tensor(&x, &out);
    EXPECT_STR(out.p, "[\"\",\"plain\",\"a\\n\\\"\xc3\xa9\xf0\x9f\x98\x80/"
                      "\",\"\\u0000\\u0001\\u0002\",\"\xef\xbf\xbd\","
                      "\"\xef\xbf\xbd\xef\xbf\xbd\",\"\",\"\\u0000\"]");
    maas_arena_reset(&a);
}

static void memory_of_the_caller_is_filled_and_never_overrun(void)
{
    float room[4] = {0, 0, 0, 42};
    for (int max = 0; max <= 3; max++) {
        maas_json_scan s;
        maas_err err = {0};
        maas_json_scan_init(&s, maas_span_str("[[1],[2],[3]]"));
        EXPECT(maas_json_at_array(&s));
        maas_json_tensor t = {.dtype = MAAS_F32, .data = room, .max = max};
        maas_status st = maas_json_decode_tensor(&s, &t, &err);
        EXPECT_EQ(st, max < 3 ? MAAS_E_INVALID : MAAS_OK);
        EXPECT(max == 3 || room[max] == 0 || room[max] == 42);
    }
    EXPECT(room[0] == 1 && room[1] == 2 && room[2] == 3 && room[3] == 42);
    maas_arena a;
    maas_arena_init(&a, NULL);
    maas_json_scan s;
    maas_err err = {0};
    maas_json_scan_init(&s, maas_span_str("[1,2,3]"));
    EXPECT(maas_json_at_array(&s));
    maas_json_tensor t = {.dtype = MAAS_F32, .arena = &a, .max = 2};
    EXPECT_EQ(maas_json_decode_tensor(&s, &t, &err), MAAS_E_TOO_LARGE);
    EXPECT_STR(err.msg, "more than the 2 values expected here");
    EXPECT(maas_json_at_array(&s)); /* a failed decode has not moved */
    maas_arena_reset(&a);
}

static void a_scanner_goes_on_behind_the_tensor(void)
{
    maas_json_scan s;
    maas_err err = {0};
    maas_arena a;
    maas_arena_init(&a, NULL);
    maas_json_scan_init(&s, maas_span_str("{\"x\": [1,2] , \"rows\":[[1],2, [3,4]],\"y\":7}"));
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_OBJECT);
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_KEY);
    EXPECT(maas_json_at_array(&s));
    maas_json_tensor t = {.dtype = MAAS_I32, .arena = &a, .max = 100};
    EXPECT_EQ(maas_json_decode_tensor(&s, &t, &err), MAAS_OK);
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_KEY);
    EXPECT(maas_span_is(s.text, "rows"));
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_ARRAY);
    int64_t n[3] = {0}, rows = 0;
    while (maas_json_at_value(&s)) { /* rows that are not alike, one by one */
        t.data = NULL;
        EXPECT_EQ(maas_json_decode_tensor(&s, &t, &err), MAAS_OK);
        n[rows++] = t.n;
    }
    EXPECT(rows == 3 && n[0] == 1 && n[1] == 1 && n[2] == 2);
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_CLOSE);
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_KEY);
    EXPECT(!maas_json_at_array(&s));
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_NUMBER);
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_CLOSE);
    EXPECT_EQ(maas_json_next(&s), MAAS_JSON_END);
    maas_arena_reset(&a);
}

static void every_dtype_survives_text(void)
{
    maas_rng r;
    maas_rng_seed(&r, 23);
    maas_arena a;
    maas_arena_init(&a, NULL);
    for (int dtype = 1; dtype <= MAAS_F6E3M2; dtype++) {
        const maas_dtype_info *info = maas_dtype_describe((maas_dtype)dtype);
        if (!info->bits || info->kind == MAAS_KIND_TEXT)
            continue;
        for (int rep = 0; rep < 50; rep++) {
            uint8_t bytes[8 * 200];
            const int64_t dims[] = {(int64_t)maas_rng_below(&r, 200)};
            for (size_t i = 0; i < sizeof bytes; i++)
                bytes[i] = (uint8_t)(maas_rng_u64(&r) >> 60 << 4 | (maas_rng_u64(&r) & 15));
            maas_tensor x = maas_tensor_of((maas_dtype)dtype, 1, dims, bytes);
            for (size_t i = 0; info->file_bits < 8 && i < sizeof bytes; i++)
                bytes[i] = maas_small_wrap((maas_dtype)dtype, bytes[i]);
            for (int64_t i = 0; i < dims[0]; i++) /* one NaN and one true are enough */
                if (info->kind == MAAS_KIND_BOOL || !isfinite(maas_tensor_get(&x, i)))
                    maas_tensor_set(&x, i, (double)(i % 2));
            AUTO(maas_buf_reset) maas_buf out = MAAS_BUF_INIT(1 << 20);
            maas_json_encode_tensor(&x, &out);
            EXPECT(!out.failed);
            maas_json_tensor t;
            maas_err err = {0};
            EXPECT_MSG(decode(&a, (maas_dtype)dtype, maas_buf_span(&out), &t, &err) == MAAS_OK,
                       "%s: %s", info->name, err.msg);
            EXPECT_EQ(t.n, dims[0]);
            EXPECT_MSG(t.n == 0 || memcmp(t.data, bytes, maas_tensor_bytes(&x)) == 0, "%s",
                       info->name);
            maas_arena_rewind(&a);
        }
    }
    maas_arena_reset(&a);
}

static void encoding_respects_the_maximum_and_any_range(void)
{
    float v[300];
    for (int i = 0; i < 300; i++)
        v[i] = (float)i;
    const int64_t dims[] = {300};
    maas_tensor x = maas_tensor_of(MAAS_F32, 1, dims, v);
    maas_buf small = MAAS_BUF_INIT(500);
    maas_json_encode_tensor(&x, &small);
    EXPECT(small.failed && small.n <= 500);
    maas_buf_reset(&small);
    maas_buf out = MAAS_BUF_INIT(10000);
    maas_json_encode_elements(&x, 62, 66, &out);
    EXPECT_STR(out.p, "62.0,63.0,64.0,65.0");
    maas_buf_clear(&out);
    maas_json_encode_elements(&x, 5, 5, &out);
    EXPECT_EQ(out.n, 0);
    for (int64_t from = 0; from < 300; from += 37) {
        maas_buf_clear(&out);
        maas_json_encode_elements(&x, from, 300, &out);
        char last[16];
        snprintf(last, sizeof last, "%s", out.p + out.n - 5);
        EXPECT_STR(last, "299.0");
    }
    maas_buf_reset(&out);
}

/* Every allocation of a growing decode fails once: an honest status, nothing leaks. */
static void growing_survives_every_failed_allocation(void)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(1 << 20);
    maas_buf_char(&text, '[');
    for (int i = 0; i < 3000; i++)
        maas_buf_printf(&text, "%s\"x%d\\n\"", i ? "," : "", i);
    maas_buf_char(&text, ']');
    long live = maas_mem_live();
    for (long n = 1;; n++) {
        maas_arena a;
        maas_arena_init(&a, NULL);
        maas_json_tensor t;
        maas_err err = {0};
        maas_mem_fail_at(n);
        maas_status st = decode(&a, MAAS_STRING, maas_buf_span(&text), &t, &err);
        maas_mem_fail_at(0);
        maas_arena_reset(&a);
        EXPECT_EQ(maas_mem_live(), live);
        if (st == MAAS_OK) {
            EXPECT(n > 3);
            break;
        }
        EXPECT_EQ(st, MAAS_E_NOMEM);
    }
}

static void growing_stays_within_its_budget(void)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(4 << 20);
    maas_buf_char(&text, '[');
    for (int i = 0; i < 500000; i++)
        maas_buf_str(&text, i ? ",1" : "1");
    maas_buf_char(&text, ']');
    maas_budget b = {.limit = 1 << 20};
    maas_arena a;
    maas_arena_init(&a, &b);
    maas_json_tensor t;
    maas_err err = {0};
    EXPECT_EQ(decode(&a, MAAS_F64, maas_buf_span(&text), &t, &err), MAAS_E_NOMEM);
    EXPECT(b.used <= b.limit);
    maas_arena_reset(&a);
    EXPECT_EQ(b.used, 0);
}

/* Every prefix and many mutations of a document, in memory that ends with it: ASan watches. */
static void broken_text_is_refused_without_reading_past_it(void)
{
    static const char good[] =
        "[[1.5,-2e-3,NaN],[12345678.87654321,null,-Infinity],[0.000000000000000000001,7,8]]";
    maas_rng r;
    maas_rng_seed(&r, 24);
    maas_arena a;
    maas_arena_init(&a, NULL);
    for (int i = 0; i < 40000; i++) {
        size_t n = i < (int)sizeof good ? (size_t)i : sizeof good - 1;
        uint8_t *text = malloc(n ? n : 1);
        memcpy(text, good, n);
        for (int k = 0; i >= (int)sizeof good && k < 2; k++)
            text[maas_rng_below(&r, n)] =
                (uint8_t) "[]{},:\"0123456789.-+eEnNaI \n\xff"[maas_rng_below(&r, 29)];
        for (int dtype = 1; dtype <= MAAS_F6E3M2; dtype++) {
            maas_json_tensor t;
            maas_err err = {0};
            if (!maas_dtype_describe((maas_dtype)dtype)->bits)
                continue;
            maas_status st = decode(&a, (maas_dtype)dtype, maas_span_of(text, n), &t, &err);
            EXPECT(st == MAAS_OK || (st == MAAS_E_INVALID && *err.msg));
            EXPECT(st != MAAS_OK || n == sizeof good - 1);
        }
        free(text);
        maas_arena_rewind(&a);
    }
    maas_arena_reset(&a);
}

static const mt_case cases[] = {
    MT_CASE(nesting_shows_the_shape),
    MT_CASE(what_is_wrong_is_named_with_its_place),
    MT_CASE(floats_are_what_the_library_reads),
    MT_CASE(halves_are_rounded_once),
    MT_CASE(words_for_what_json_lacks),
    MT_CASE(integers_may_be_written_as_floats),
    MT_CASE(strings_come_out_as_bytes),
    MT_CASE(memory_of_the_caller_is_filled_and_never_overrun),
    MT_CASE(a_scanner_goes_on_behind_the_tensor),
    MT_CASE(every_dtype_survives_text),
    MT_CASE(encoding_respects_the_maximum_and_any_range),
    MT_CASE(growing_survives_every_failed_allocation),
    MT_CASE(growing_stays_within_its_budget),
    MT_CASE(broken_text_is_refused_without_reading_past_it),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
