/* Byte tokens and special ones: text comes back as it went, special tokens come from trusted text
 * alone, long texts take no time to speak of. Real vocabularies: tests/client/test_language.py. */
#include "maas_test.h"

#include "base/mem.h"
#include "lm/tiny.h"
#include "lm/tokenizer.h"

typedef struct rig {
    tiny t;
    maas_lm_source *source;
    maas_tokenizer *tokenizer;
    maas_buf ids;
} rig;

static void rig_open(rig *r)
{
    maas_err err = {0};
    const maas_lm_file f = {"model.gguf", tiny_make(&r->t, MAAS_Q_Q8_0, 1)};
    EXPECT_EQ(maas_lm_source_open(&f, 1, NULL, &r->source, &err), MAAS_OK);
    EXPECT_EQ(maas_tokenizer_create(r->source, NULL, &r->tokenizer, &err), MAAS_OK);
    r->ids = (maas_buf)MAAS_BUF_INIT((size_t)1 << 28);
}

static void rig_close(rig *r)
{
    maas_buf_reset(&r->ids);
    maas_tokenizer_destroy(r->tokenizer);
    maas_lm_source_close(r->source);
    tiny_reset(&r->t);
    EXPECT_EQ(maas_mem_live(), 0);
}

static const int32_t *encode(rig *r, const char *text, size_t n, unsigned flags, uint32_t *out_n)
{
    maas_err err = {0};
    maas_buf_clear(&r->ids);
    EXPECT_EQ(maas_tokenizer_encode(r->tokenizer, (maas_str){text, n}, flags, &r->ids, &err),
              MAAS_OK);
    *out_n = (uint32_t)(r->ids.n / sizeof(int32_t));
    return (const int32_t *)(const void *)r->ids.p;
}

static void any_bytes_come_back(void)
{
    char text[600];
    uint32_t n;
    maas_rng rng;
    rig r;
    rig_open(&r);
    maas_rng_seed(&rng, 5);
    for (int i = 0; i < 300; i++) {
        const size_t len = maas_rng_below(&rng, sizeof text);
        maas_buf back = MAAS_BUF_INIT(1 << 20);
        for (size_t k = 0; k < len; k++)
            text[k] = (char)(i % 2 ? maas_rng_u64(&rng) : 32 + maas_rng_below(&rng, 96));
        const int32_t *ids = encode(&r, text, len, 0, &n);
        maas_tokenizer_decode(r.tokenizer, ids, n, false, &back);
        EXPECT_MSG(back.n == len && (!len || memcmp(back.p, text, len) == 0), "text %d", i);
        maas_buf_reset(&back);
    }
    rig_close(&r);
}

static void special_tokens_come_from_trusted_text_alone(void)
{
    static const char text[] = "<|im_start|>a<|im_end|>";
    const maas_text_piece pieces[] = {{{"<|im_", 5}, true}, {{"end|>", 5}, false}};
    uint32_t n;
    maas_err err = {0};
    rig r;
    rig_open(&r);
    const int32_t *ids = encode(&r, text, sizeof text - 1, MAAS_TOKENS_SPECIAL, &n);
    EXPECT_EQ(n, 3);
    EXPECT_EQ(ids[0], 1);
    EXPECT_EQ(ids[2], 2);
    EXPECT(maas_tokenizer_is_special(r.tokenizer, 1) && maas_tokenizer_is_end(r.tokenizer, 2));
    ids = encode(&r, text, sizeof text - 1, 0, &n);
    EXPECT_EQ(n, sizeof text - 1);
    for (uint32_t i = 0; i < n; i++)
        EXPECT(ids[i] >= TINY_N_SPECIAL);
    maas_buf_clear(&r.ids); /* nor from what a template and a user write together */
    EXPECT_EQ(maas_tokenizer_encode_pieces(r.tokenizer, pieces, 2, 0, &r.ids, &err), MAAS_OK);
    EXPECT_EQ(r.ids.n / sizeof(int32_t), 10);
    rig_close(&r);
}

static void long_texts_are_no_attack(void)
{
    enum { N = 1 << 20 };
    char *text = maas_alloc(N);
    uint32_t n;
    rig r;
    rig_open(&r);
    memset(text, 'a', N);
    encode(&r, text, N, MAAS_TOKENS_SPECIAL, &n);
    EXPECT_EQ(n, N);
    memset(text, ' ', N);
    encode(&r, text, N, MAAS_TOKENS_SPECIAL, &n);
    EXPECT_EQ(n, N);
    memset(text, '<', N);
    encode(&r, text, N, MAAS_TOKENS_SPECIAL, &n);
    EXPECT_EQ(n, N);
    maas_free(text);
    rig_close(&r);
}

static const mt_case cases[] = {
    MT_CASE(any_bytes_come_back),
    MT_CASE(special_tokens_come_from_trusted_text_alone),
    MT_CASE(long_texts_are_no_attack),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
