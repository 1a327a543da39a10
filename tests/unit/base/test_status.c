#include "maas_test.h"

#include <errno.h>

#include "base/span.h"
#include "base/status.h"
#include "base/sys.h"
#include "base/utf8.h"

static void every_status_is_described_once(void)
{
    for (maas_status st = MAAS_OK; st <= MAAS_E_MEDIA; st++) {
        const maas_status_info *info = maas_status_describe(st);
        EXPECT_MSG(info->name && info->text && info->http >= 200 && info->http < 600, "status %d",
                   st);
        EXPECT_STR(maas_status_text(st), info->text);
        for (maas_status other = MAAS_OK; other < st; other++)
            EXPECT_MSG(strcmp(info->name, maas_status_describe(other)->name) != 0,
                       "status %d and %d", st, other);
        /* trying again can only help when the request itself was right */
        EXPECT(!info->retry || info->http == 429 || info->http >= 500);
    }
    static const maas_status unknown[] = {-1, MAAS_E_MEDIA + 1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < MAAS_COUNT(unknown); i++)
        EXPECT_STR(maas_status_describe(unknown[i])->name, "E_INTERNAL");
}

static void the_first_cause_wins(void)
{
    maas_err err = {0};
    EXPECT_EQ(maas_fail(&err, MAAS_E_IO, "disk %d", 1), MAAS_E_IO);
    EXPECT_EQ(maas_fail(&err, MAAS_E_NOMEM, "later"), MAAS_E_NOMEM);
    EXPECT_EQ(err.code, MAAS_E_IO);
    EXPECT_STR(err.msg, "disk 1");
    maas_err_prefix(&err, "model '%s'", "m");
    EXPECT_STR(err.msg, "model 'm': disk 1");
    EXPECT_EQ(maas_fail(NULL, MAAS_E_IO, "x"), MAAS_E_IO);
    maas_err_prefix(NULL, "x");
}

static void words_are_cut_at_their_room(void)
{
    char text[2000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    maas_err err = {0};
    maas_fail(&err, MAAS_E_IO, "%s", text);
    EXPECT_EQ(strlen(err.msg), sizeof err.msg - 1);
    maas_err_prefix(&err, "first");
    EXPECT_EQ(strlen(err.msg), sizeof err.msg - 1);
    EXPECT(strncmp(err.msg, "first: xxx", 10) == 0);
    maas_err_prefix(&err, "%s", text);
    EXPECT_EQ(strlen(err.msg), sizeof err.msg - 1);
}

static void errno_values_have_a_status(void)
{
    EXPECT_EQ(maas_status_of_errno(ENOSPC), MAAS_E_NO_SPACE);
    EXPECT_EQ(maas_status_of_errno(EDQUOT), MAAS_E_NO_SPACE);
    EXPECT_EQ(maas_status_of_errno(ENOENT), MAAS_E_NOT_FOUND);
    EXPECT_EQ(maas_status_of_errno(EACCES), MAAS_E_IO);
}

/* The reference: what a code point encodes to by the bit patterns of RFC 3629. */
static size_t encode(uint32_t c, uint8_t out[4])
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)((0xf00u >> n & 0xff) | c);
    return n;
}

static void every_code_point_is_utf8_and_its_prefixes_are_not(void)
{
    for (uint32_t c = 0; c < 0x110000; c++) {
        uint8_t bytes[4];
        size_t n = encode(c, bytes);
        bool surrogate = c >= 0xd800 && c <= 0xdfff;
        EXPECT_EQ(maas_utf8_len(maas_span_of(bytes, n)), surrogate ? 0 : n);
        for (size_t k = 0; k < n; k++)
            EXPECT_EQ(maas_utf8_len(maas_span_of(bytes, k)), 0);
    }
}

/* Any bytes: valid exactly when some code point encodes to them. */
static void other_bytes_are_refused(void)
{
    maas_rng r;
    maas_rng_seed(&r, 41);
    for (int i = 0; i < 2000000; i++) {
        uint8_t in[4], again[4];
        uint64_t u = maas_rng_u64(&r);
        memcpy(in, &u, 4);
        in[0] |= 0x80;
        for (int k = 1; k < 4 && i % 4; k++)
            in[k] = (uint8_t)(0x80 | (in[k] & 0x3f)); /* else hardly any would be valid */
        size_t n = in[0] >= 0xf0 ? 4 : in[0] >= 0xe0 ? 3 : 2;
        uint32_t c = in[0] & (0xffu >> (n + 1));
        for (size_t k = 1; k < n; k++)
            c = c << 6 | (in[k] & 0x3f);
        bool valid = c >= 0x80 && c < 0x110000 && !(c >= 0xd800 && c <= 0xdfff) &&
                     encode(c, again) == n && memcmp(in, again, n) == 0;
        EXPECT_MSG(maas_utf8_len(maas_span_of(in, 4)) == (valid ? n : 0), "%02x %02x %02x %02x",
                   in[0], in[1], in[2], in[3]);
    }
}

static void spans_never_read_past_their_end(void)
{
    uint8_t *bytes = malloc(7); /* on the heap, so that ASan sees a byte too many */
    for (uint8_t i = 0; i < 7; i++)
        bytes[i] = i;
    for (size_t n = 0; n <= 7; n++) {
        maas_span s = maas_span_of(bytes + 7 - n, n), out, before = s;
        uint8_t b;
        uint16_t h;
        uint32_t w;
        uint64_t d;
        EXPECT(!maas_span_u64le(&s, &d) && s.n == n);
        EXPECT(maas_span_u32le(&s, &w) == (n >= 4) && s.n == (n >= 4 ? n - 4 : n));
        s = before;
        EXPECT(maas_span_u32be(&s, &w) == (n >= 4));
        EXPECT(n != 7 || w == 0x00010203);
        s = before;
        EXPECT(maas_span_u16le(&s, &h) == (n >= 2));
        EXPECT(n != 7 || h == 0x0100);
        s = before;
        EXPECT(maas_span_u8(&s, &b) == (n >= 1));
        s = before;
        EXPECT(!maas_span_take(&s, n + 1, &out) && !maas_span_skip(&s, SIZE_MAX) && s.n == n);
        EXPECT(maas_span_take(&s, n, &out) && !s.n && maas_span_eq(out, before));
    }
    free(bytes);
    EXPECT(maas_span_is(maas_span_of(NULL, 0), "") && !maas_span_is(maas_span_str("a"), "ab"));
}

static const mt_case cases[] = {
    MT_CASE(every_status_is_described_once),
    MT_CASE(the_first_cause_wins),
    MT_CASE(words_are_cut_at_their_room),
    MT_CASE(errno_values_have_a_status),
    MT_CASE(every_code_point_is_utf8_and_its_prefixes_are_not),
    MT_CASE(other_bytes_are_refused),
    MT_CASE(spans_never_read_past_their_end),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
