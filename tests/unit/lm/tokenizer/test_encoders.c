/* WordPiece and unigram on vocabularies made here: what BERT's own rules say, what stands around
 * texts, bytes that are no text, long texts, and maps of characters that lie. Real vocabularies:
 * tests/client/test_encoders.py. */
#include "maas_test.h"

#include "base/mem.h"
#include "base/sys.h"
#include "lm/tokenizer.h"

typedef struct rig {
    maas_gguf_writer w;
    maas_buf file;
    maas_lm_source *source;
    maas_tokenizer *tokenizer;
    maas_buf ids;
} rig;

static const char *const words[] = {"[PAD]",
                                    "[UNK]",
                                    "[CLS]",
                                    "[SEP]",
                                    "\xe2\x96\x81hello",
                                    "\xe2\x96\x81w",
                                    "or",
                                    "ld",
                                    "\xe2\x96\x81,",
                                    "\xe2\x96\x81\xe4\xb8\xad",
                                    "\xe2\x96\x81!",
                                    "s",
                                    "\xe2\x96\x81[unused1]"};
static const char *const pieces[] = {"<unk>", "<s>", "</s>", "\xe2\x96\x81",      "\xe2\x96\x81he",
                                     "llo",   "l",   "o",    "\xe2\x96\x81hello", "he",
                                     "a"};
static const float scores[] = {0, 0, 0, -2, -3, -3.5f, -6, -6, -9, -4, -5};

static maas_status make(rig *r, const char *model, const uint8_t *map, size_t n_map, maas_err *err)
{
    const bool unigram = strcmp(model, "t5") == 0;
    const size_t n = unigram ? sizeof pieces / sizeof *pieces : sizeof words / sizeof *words;
    maas_str names[16];
    int32_t types[16];
    *r = (rig){.file = MAAS_BUF_INIT((size_t)1 << 30), .ids = MAAS_BUF_INIT((size_t)1 << 28)};
    maas_gguf_writer *w = &r->w;
    for (size_t i = 0; i < n; i++) {
        const char *name = unigram ? pieces[i] : words[i];
        names[i] = (maas_str){name, strlen(name)};
        types[i] = i < (unigram ? 3 : 4) ? (unigram && i == 0 ? 2 : 3) : 1;
    }
    maas_gguf_put_str(w, "general.architecture", (maas_str){"bert", 4});
    maas_gguf_put_str(w, "tokenizer.ggml.model", (maas_str){model, strlen(model)});
    maas_gguf_put_strs(w, "tokenizer.ggml.tokens", names, (uint32_t)n);
    maas_gguf_put_array(w, "tokenizer.ggml.token_type", MAAS_GGUF_I32, types, n);
    maas_gguf_put_u32(w, "tokenizer.ggml.unknown_token_id", unigram ? 0 : 1);
    if (unigram) {
        maas_gguf_put_array(w, "tokenizer.ggml.scores", MAAS_GGUF_F32, scores, n);
        maas_gguf_put_u32(w, "tokenizer.ggml.bos_token_id", 1);
        maas_gguf_put_u32(w, "tokenizer.ggml.eos_token_id", 2);
        maas_gguf_put_u32(w, "tokenizer.ggml.seperator_token_id", 2);
    }
    if (map)
        maas_gguf_put_array(w, "tokenizer.ggml.precompiled_charsmap", MAAS_GGUF_U8, map, n_map);
    maas_gguf_finish(w, &r->file);
    const maas_lm_file f = {"model.gguf", maas_buf_span(&r->file)};
    MAAS_TRY(maas_lm_source_open(&f, 1, NULL, &r->source, err));
    return maas_tokenizer_create(r->source, NULL, &r->tokenizer, err);
}

static void close_rig(rig *r)
{
    maas_buf_reset(&r->ids);
    maas_tokenizer_destroy(r->tokenizer);
    maas_lm_source_close(r->source);
    maas_gguf_writer_reset(&r->w);
    maas_buf_reset(&r->file);
}

static void drop(rig *r)
{
    close_rig(r);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void expect(rig *r, const char *text, size_t n, const char *want)
{
    char got[512] = "";
    maas_err err = {0};
    maas_buf_clear(&r->ids);
    EXPECT_EQ(maas_tokenizer_encode(r->tokenizer, (maas_str){text, n}, 0, &r->ids, &err), MAAS_OK);
    for (size_t i = 0; i < r->ids.n / 4 && i < 40; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), i ? " %d" : "%d",
                 ((const int32_t *)(const void *)r->ids.p)[i]);
    EXPECT_STR(got, want);
}

static void words_are_pieces(void)
{
    static const struct {
        const char *text, *ids;
    } rows[] = {
        {"hello world", "4 5 6 7"},
        {"HELLO, W\xc3\xb6rlds!", "4 8 5 6 7 11 10"}, /* o with two dots */
        {"  hello\t\n\xc2\xa0"
         "hello ",
         "4 4"},
        {"hel\xe2\x80\x8blo", "4"}, /* a space of no width is taken out */
        {"\xe4\xb8\xadhello\xe4\xb8\xad\xe4\xb8\xad", "9 4 9 9"},
        {"hellow worldx hello", "1 1 4"},
        {"[CLS]", "1 1 1"}, /* what a user writes is no special token */
        {"", ""},
        {" \t ", ""},
        {"\xff\xfehello\xc3", "4"}, /* what is no character is taken out */
        {"hello\0hello", "4"},
    };
    maas_err err = {0};
    rig r;
    EXPECT_EQ(make(&r, "bert", NULL, 0, &err), MAAS_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect(&r, rows[i].text, strlen(rows[i].text), rows[i].ids);
    char long_word[400];
    memset(long_word, 'x', sizeof long_word);
    expect(&r, long_word, sizeof long_word, "1");
    drop(&r);
}

static void texts_are_framed(void)
{
    static const struct {
        const char *model;
        bool pair;
        const char *want;
        uint32_t second;
    } rows[] = {
        {"bert", false, "2 7 8 3", 4},
        {"bert", true, "2 7 8 3 9 3", 4},
        {"t5", false, "7 8 2", 3},
        {"t5", true, "7 8 2 2 9 2", 4},
    };
    const int32_t a[] = {7, 8}, b[] = {9};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char got[100] = "";
        uint32_t second;
        maas_err err = {0};
        rig r;
        EXPECT_EQ(make(&r, rows[i].model, NULL, 0, &err), MAAS_OK);
        maas_tokenizer_frame(r.tokenizer, a, 2, rows[i].pair ? b : NULL, 1, &r.ids, &second);
        for (size_t k = 0; k < r.ids.n / 4; k++)
            snprintf(got + strlen(got), sizeof got - strlen(got), k ? " %d" : "%d",
                     ((const int32_t *)(const void *)r.ids.p)[k]);
        EXPECT_STR(got, rows[i].want);
        EXPECT_EQ(second, rows[i].second);
        EXPECT_EQ(maas_tokenizer_n_frame(r.tokenizer, rows[i].pair),
                  r.ids.n / 4 - (rows[i].pair ? 3 : 2));
        drop(&r);
    }
}

static void the_best_way_is_found(void)
{
    static const struct {
        const char *text, *ids;
    } rows[] = {
        {"hello", "4 5"}, /* -6.5 is more than -9 of the whole */
        {"a", "3 10"},    {"hello hello", "4 5 4 5"},
        {"zzz", "3 0"}, /* unknown ones in a row are one */
        {"\xff", "3 0"},  {"", ""},
        {"<s>", "3 0"}, /* what a user writes is no special token */
    };
    maas_err err = {0};
    rig r;
    EXPECT_EQ(make(&r, "t5", NULL, 0, &err), MAAS_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect(&r, rows[i].text, strlen(rows[i].text), rows[i].ids);
    drop(&r);
}

static void long_texts_take_no_time(void)
{
    static const char *const models[] = {"bert", "t5"};
    const size_t n = (size_t)1 << 21;
    AUTO_FREE char *text = maas_alloc(n);
    for (int k = 0; k < 4; k++) {
        maas_err err = {0};
        rig r;
        for (size_t i = 0; i < n; i++)
            text[i] = k / 2 ? "hello "[i % 6] : 'h';
        EXPECT_EQ(make(&r, models[k % 2], NULL, 0, &err), MAAS_OK);
        const uint64_t began = maas_now_ns();
        EXPECT_EQ(maas_tokenizer_encode(r.tokenizer, (maas_str){text, n}, 0, &r.ids, &err),
                  MAAS_OK);
        EXPECT_MSG(maas_now_ns() - began < 20000000000u, "%s", models[k % 2]);
        close_rig(&r);
    }
}

/* Random maps of characters: refused, or used within their bounds. */
static void maps_that_lie_do_no_harm(void)
{
    static const char text[] = "hello \xef\xac\x81 a\xcc\x80 \xff";
    uint8_t map[260];
    maas_rng rng;
    int n_open = 0;
    maas_rng_seed(&rng, 8);
    for (int i = 0; i < 4000; i++) {
        const size_t n = 4 + maas_rng_below(&rng, sizeof map - 4);
        for (size_t k = 0; k < n; k++)
            map[k] = (uint8_t)(i % 2 ? maas_rng_u64(&rng) : maas_rng_below(&rng, 4));
        if (i % 3) { /* a length that fits */
            map[0] = (uint8_t)((n - 4) & ~3u);
            map[1] = map[2] = map[3] = 0;
        }
        if (i % 5 == 0 && n > 12) /* values everywhere */
            for (size_t k = 4; k + 4 <= n; k += 4)
                map[k + 1] |= 1;
        maas_err err = {0};
        rig r;
        if (make(&r, "t5", map, n, &err) == MAAS_OK) {
            n_open++;
            EXPECT_EQ(maas_tokenizer_encode(r.tokenizer, (maas_str){text, sizeof text - 1}, 0,
                                            &r.ids, &err),
                      MAAS_OK);
        } else {
            EXPECT_MSG(strstr(err.msg, "precompiled_charsmap"), "%s", err.msg);
        }
        drop(&r);
    }
    EXPECT(n_open > 1000);
}

static const mt_case cases[] = {
    MT_CASE(words_are_pieces),         MT_CASE(texts_are_framed),
    MT_CASE(the_best_way_is_found),    MT_CASE(long_texts_take_no_time),
    MT_CASE(maps_that_lie_do_no_harm),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
