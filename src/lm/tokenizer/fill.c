/* What is missing between two texts ("fill in the middle"): the tokens that stand around them, from
 * keys of the file or by their names. */
#include <string.h>

#include "lm/tokenizer/tokenizer_int.h"
#include "base/ban.h"

enum { PREFIX, SUFFIX, MIDDLE };

static const struct {
    const char *keys[2]; /* of llama.cpp, now and before */
    const char *names[7];
} marks[MAAS_FILL_MARKS] = {
    [PREFIX] = {{"tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"},
                {"<|fim_prefix|>", "<fim_prefix>", "<fim-prefix>", "<|code_prefix|>",
                 "\xe2\x96\x81<PRE>",
                 "<\xef\xbd\x9c"
                 "fim\xe2\x96\x81"
                 "begin\xef\xbd\x9c>",
                 "[PREFIX]"}},
    [SUFFIX] = {{"tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"},
                {"<|fim_suffix|>", "<fim_suffix>", "<fim-suffix>", "<|code_suffix|>",
                 "\xe2\x96\x81<SUF>",
                 "<\xef\xbd\x9c"
                 "fim\xe2\x96\x81"
                 "hole\xef\xbd\x9c>",
                 "[SUFFIX]"}},
    [MIDDLE] = {{"tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"},
                {"<|fim_middle|>", "<fim_middle>", "<fim-middle>", "<|code_middle|>",
                 "\xe2\x96\x81<MID>",
                 "<\xef\xbd\x9c"
                 "fim\xe2\x96\x81"
                 "end\xef\xbd\x9c>",
                 "[MIDDLE]"}},
};

static int32_t mark_of(const maas_tokenizer *t, const maas_lm_source *s, int which)
{
    uint64_t id;
    for (size_t i = 0; i < MAAS_COUNT(marks[which].keys); i++)
        if (maas_lm_u64(s, marks[which].keys[i], &id) && id < (uint64_t)t->n)
            return (int32_t)id;
    for (size_t i = 0; i < MAAS_COUNT(marks[which].names); i++) {
        const char *name = marks[which].names[i];
        const int32_t found = maas_tokenizer_find(t, (maas_str){name, strlen(name)});
        if (found >= 0 && t->types[found] != MAAS_TOKEN_NORMAL)
            return found;
    }
    return -1;
}

void maas_tokenizer_read_fill(maas_tokenizer *t, const maas_lm_source *s)
{
    for (int i = 0; i < MAAS_FILL_MARKS; i++)
        t->fill[i] = mark_of(t, s, i);
}

maas_status maas_tokenizer_encode_fill(const maas_tokenizer *t, maas_str prefix, maas_str suffix,
                                       maas_buf *out, maas_err *err)
{
    for (int i = 0; i < MAAS_FILL_MARKS; i++)
        if (t->fill[i] < 0)
            return maas_fail(err, MAAS_E_INVALID,
                             "the model was not made to fill in what is between two texts: its "
                             "vocabulary has no tokens for it");
    if (t->begin && t->bos >= 0)
        maas_buf_add(out, &t->bos, sizeof t->bos);
    maas_buf_add(out, &t->fill[PREFIX], sizeof *t->fill);
    MAAS_TRY(maas_tokenizer_encode(t, prefix, 0, out, err));
    maas_buf_add(out, &t->fill[SUFFIX], sizeof *t->fill);
    MAAS_TRY(maas_tokenizer_encode(t, suffix, 0, out, err));
    maas_buf_add(out, &t->fill[MIDDLE], sizeof *t->fill);
    return out->failed ? maas_fail(err, MAAS_E_TOO_LARGE, "the texts are too long") : MAAS_OK;
}
