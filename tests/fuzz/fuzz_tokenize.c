/*
 * Texts, and maps of characters, for the tokenizers of encoders: the first byte says which, the
 * second how much of the rest is a map, then comes the text. WordPiece and unigram take any text; a
 * map is refused or used within its bounds.
 */
#include <string.h>

#include "formats/gguf.h"
#include "lm/tokenizer.h"

static const char *const names[] = {
    "[UNK]",    "[CLS]",         "[SEP]", "\xe2\x96\x81", "\xe2\x96\x81\x61", "b",
    "\xc3\xa9", "\xe2\x96\x81.", "ab"};
enum { N = sizeof names / sizeof *names };

static void make(maas_gguf_writer *w, maas_buf *file, bool unigram, const uint8_t *map, size_t n)
{
    static const float scores[N] = {0, 0, 0, -1, -2, -3, -4, -5, -6};
    maas_str all[N];
    int32_t types[N];
    for (int i = 0; i < N; i++) {
        all[i] = (maas_str){names[i], strlen(names[i])};
        types[i] = i < 3 ? 3 : 1;
    }
    const char *model = unigram ? "t5" : "bert";
    maas_gguf_put_str(w, "general.architecture", (maas_str){"bert", 4});
    maas_gguf_put_str(w, "tokenizer.ggml.model", (maas_str){model, strlen(model)});
    maas_gguf_put_strs(w, "tokenizer.ggml.tokens", all, N);
    maas_gguf_put_array(w, "tokenizer.ggml.token_type", MAAS_GGUF_I32, types, N);
    maas_gguf_put_array(w, "tokenizer.ggml.scores", MAAS_GGUF_F32, scores, N);
    maas_gguf_put_u32(w, "tokenizer.ggml.unknown_token_id", 0);
    if (n)
        maas_gguf_put_array(w, "tokenizer.ggml.precompiled_charsmap", MAAS_GGUF_U8, map, n);
    maas_gguf_finish(w, file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const size_t n_map = data[1] < size - 2 ? data[1] : size - 2;
    maas_gguf_writer w = {0};
    maas_buf file = MAAS_BUF_INIT(1 << 20), ids = MAAS_BUF_INIT(1 << 22);
    maas_lm_source *s = NULL;
    maas_tokenizer *t = NULL;
    maas_err err = {0};
    make(&w, &file, data[0] & 1, data + 2, n_map);
    const maas_lm_file f = {"model.gguf", maas_buf_span(&file)};
    if (maas_lm_source_open(&f, 1, NULL, &s, &err) == MAAS_OK &&
        maas_tokenizer_create(s, NULL, &t, &err) == MAAS_OK)
        maas_tokenizer_encode(t, (maas_str){(const char *)data + 2 + n_map, size - 2 - n_map},
                              MAAS_TOKENS_BEGIN, &ids, &err);
    maas_tokenizer_destroy(t);
    maas_lm_source_close(s);
    maas_gguf_writer_reset(&w);
    maas_buf_reset(&file);
    maas_buf_reset(&ids);
    return 0;
}
