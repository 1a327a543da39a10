/* Files that are not right: named by what is wrong, or safe to run. */
#include "maas_test.h"

#include "base/mem.h"
#include "lm/model.h"
#include "lm/tiny.h"
#include "lm/tiny_use.h"
#include "lm/tokenizer.h"

/* All that is done with a file: it may be refused anywhere, nothing else. */
static maas_status use(maas_span file, maas_err *err)
{
    const maas_lm_file f = {"model.gguf", file};
    return tiny_use(&f, 1, (maas_str){"<|im_start|>he llo\xff\n 12", 23}, err);
}

static void mutate(const char *arch, int seeds)
{
    tiny t;
    maas_rng rng;
    int accepted = 0;
    const maas_span file = tiny_make_of(&t, tiny_arch_of(arch), MAAS_Q_Q4_0, 1);
    maas_err err = {0};
    EXPECT_EQ(use(file, &err), MAAS_OK);
    EXPECT_STR(err.msg, "");
    uint8_t *copy = maas_alloc(file.n);
    maas_rng_seed(&rng, 77);
    for (int i = 0; i < seeds; i++) {
        memcpy(copy, file.p, file.n);
        const size_t head = 9000 < file.n ? 9000 : file.n; /* keys, names, shapes */
        const int n = 1 + (int)maas_rng_below(&rng, 3);
        for (int k = 0; k < n; k++) {
            const size_t at = maas_rng_below(&rng, maas_rng_below(&rng, 4) ? head : file.n);
            copy[at] = (uint8_t)(maas_rng_below(&rng, 2)
                                     ? maas_rng_u64(&rng)
                                     : copy[at] ^ 1u << maas_rng_below(&rng, 8));
        }
        err = (maas_err){0};
        const size_t size = maas_rng_below(&rng, 5) ? file.n : maas_rng_below(&rng, file.n + 1);
        const maas_status st = use(maas_span_of(copy, size), &err);
        accepted += st == MAAS_OK;
        EXPECT(st == MAAS_OK || st == MAAS_E_TOO_LARGE || err.msg[0]);
    }
    EXPECT(accepted > seeds / 20);
    maas_free(copy);
    tiny_reset(&t);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void mutants_are_refused_or_run(void)
{
    mutate("llama", 1500);
}
/* Weights of more kinds, keys of more meanings. */
static void mutants_of_others_are_refused_or_run(void)
{
    mutate("deepseek2", 400);
    mutate("qwen2moe", 300);
    mutate("gpt2", 300);
    mutate("mamba", 200);
    mutate("mamba2", 200);
    mutate("olmo2", 300);
}

/* ---- by hand ---- */

static void put(maas_buf *b, uint64_t v, int n)
{
    maas_buf_add(b, &v, (size_t)n);
}
static void text(maas_buf *b, const char *s)
{
    put(b, strlen(s), 8);
    maas_buf_str(b, s);
}
static void head(maas_buf *b, uint32_t version, uint64_t n_tensors, uint64_t n_keys)
{
    maas_buf_str(b, "GGUF");
    put(b, version, 4);
    put(b, n_tensors, 8);
    put(b, n_keys, 8);
}
static void key(maas_buf *b, const char *name, uint32_t type)
{
    text(b, name);
    put(b, type, 4);
}
static void tensor(maas_buf *b, const char *name, uint32_t rank, uint64_t n, uint32_t type,
                   uint64_t at)
{
    text(b, name);
    put(b, rank, 4);
    for (uint32_t i = 0; i < rank; i++)
        put(b, i ? 1 : n, 8);
    put(b, type, 4);
    put(b, at, 8);
}

static void expect_refusal(maas_buf *b, maas_status want, const char *words)
{
    maas_budget budget = {.limit = 1 << 20};
    maas_arena a;
    maas_gguf g;
    maas_err err = {0};
    for (int i = 0; i < 256; i++) /* enough that counts are not what is wrong */
        maas_buf_char(b, 0);
    maas_arena_init(&a, &budget);
    EXPECT_EQ(maas_gguf_open(maas_buf_span(b), &a, &g, &err), want);
    EXPECT_MSG(strstr(err.msg, words), "'%s' is not in '%s'", words, err.msg);
    maas_arena_reset(&a);
    maas_buf_reset(b);
}

static void what_is_wrong_is_named(void)
{
    maas_buf b = MAAS_BUF_INIT(1 << 20);
    head(&b, 1, 0, 0);
    expect_refusal(&b, MAAS_E_UNSUPPORTED, "version 1");
    head(&b, 0x03000000, 0, 0);
    expect_refusal(&b, MAAS_E_UNSUPPORTED, "big-endian");
    maas_buf_str(&b, "GGML");
    expect_refusal(&b, MAAS_E_FORMAT, "no GGUF");
    head(&b, 3, UINT64_MAX, 0);
    expect_refusal(&b, MAAS_E_TOO_LARGE, "tensors");
    head(&b, 3, 0, 1ull << 40);
    expect_refusal(&b, MAAS_E_TOO_LARGE, "keys");
    head(&b, 3, 0, 33);
    expect_refusal(&b, MAAS_E_FORMAT, "256 bytes cannot hold: the file is cut");
    head(&b, 3, 0, 1);
    key(&b, "", 4);
    expect_refusal(&b, MAAS_E_FORMAT, "empty");
    head(&b, 3, 0, 1);
    key(&b, "a", 77);
    expect_refusal(&b, MAAS_E_FORMAT, "type 77");
    head(&b, 3, 0, 1);
    key(&b, "a", 9);
    put(&b, 9, 4);
    expect_refusal(&b, MAAS_E_FORMAT, "of 9");
    head(&b, 3, 0, 1);
    key(&b, "a", 9);
    put(&b, 8, 4);
    put(&b, 1ull << 60, 8);
    expect_refusal(&b, MAAS_E_FORMAT, "more than the file");
    head(&b, 3, 0, 1);
    key(&b, "a", 7);
    put(&b, 5, 1);
    expect_refusal(&b, MAAS_E_FORMAT, "truth value");
    head(&b, 3, 0, 2);
    for (int i = 0; i < 2; i++) {
        key(&b, "same", 4);
        put(&b, 1, 4);
    }
    expect_refusal(&b, MAAS_E_FORMAT, "comes twice");
    head(&b, 3, 0, 1);
    key(&b, "general.alignment", 4);
    put(&b, 24, 4);
    expect_refusal(&b, MAAS_E_FORMAT, "power of two");
}

static void tensors_that_are_wrong_are_named(void)
{
    maas_buf b = MAAS_BUF_INIT(1 << 20);
    head(&b, 3, 1, 0);
    tensor(&b, "w", 5, 4, 0, 0);
    expect_refusal(&b, MAAS_E_FORMAT, "rank 5");
    head(&b, 3, 1, 0);
    tensor(&b, "w", 1, 4, 99, 0);
    expect_refusal(&b, MAAS_E_UNSUPPORTED, "type 99");
    head(&b, 3, 1, 0);
    tensor(&b, "w", 1, 33, 2, 0);
    expect_refusal(&b, MAAS_E_INVALID, "no blocks of Q4_0");
    head(&b, 3, 1, 0);
    tensor(&b, "w", 1, 1ull << 62, 0, 0);
    expect_refusal(&b, MAAS_E_TOO_LARGE, "size");
    head(&b, 3, 1, 0);
    tensor(&b, "w", 1, 4, 0, 7);
    expect_refusal(&b, MAAS_E_FORMAT, "no multiple");
    head(&b, 3, 1, 0);
    tensor(&b, "w", 1, 4, 0, 1 << 20);
    expect_refusal(&b, MAAS_E_FORMAT, "the file is cut");
    head(&b, 3, 2, 0);
    tensor(&b, "a", 1, 16, 0, 0);
    tensor(&b, "b", 1, 16, 0, 32);
    expect_refusal(&b, MAAS_E_FORMAT, "overlap");
    head(&b, 3, 2, 0);
    tensor(&b, "a", 1, 4, 0, 0);
    tensor(&b, "a", 1, 4, 0, 32);
    expect_refusal(&b, MAAS_E_FORMAT, "comes twice");
}

static const mt_case cases[] = {
    MT_CASE(mutants_are_refused_or_run),
    MT_CASE(mutants_of_others_are_refused_or_run),
    MT_CASE(what_is_wrong_is_named),
    MT_CASE(tensors_that_are_wrong_are_named),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
