/* What is missing between two texts ("fill in the middle"): the tokens that stand around them, and
 * around other files of theirs, from keys of the file or by their names. The order is that of
 * llama.cpp's server, as are the words that stand for names nobody gave. */
#include <string.h>

#include "lm/tokenizer/tokenizer_int.h"
#include "base/ban.h"

enum { PREFIX, SUFFIX, MIDDLE, N_NEEDED, REPOSITORY = N_NEEDED, NEXT_FILE };

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
    [REPOSITORY] = {{"tokenizer.ggml.fim_rep_token_id"},
                    {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<reponame>"}},
    [NEXT_FILE] = {{"tokenizer.ggml.fim_sep_token_id"}, {"<|file_sep|>"}},
};

static int32_t mark_of(const maas_tokenizer *t, const maas_lm_source *s, int which)
{
    uint64_t id;
    for (size_t i = 0; i < MAAS_COUNT(marks[which].keys); i++)
        if (marks[which].keys[i] && maas_lm_u64(s, marks[which].keys[i], &id) &&
            id < (uint64_t)t->n)
            return (int32_t)id;
    for (size_t i = 0; i < MAAS_COUNT(marks[which].names) && marks[which].names[i]; i++) {
        const char *name = marks[which].names[i];
        const int32_t found = maas_tokenizer_find(t, (maas_str){name, strlen(name)});
        if (found >= 0 && t->types[found] != MAAS_TOKEN_NORMAL)
            return found;
    }
    return -1;
}

void maas_tokenizer_read_fill(maas_tokenizer *t, const maas_lm_source *s)
{
    for (int i = 0; i < MAAS_FILL_MARKS; i++) {
        t->fill[i] = mark_of(t, s, i);
        if (i >= N_NEEDED && t->fill[i] >= 0)
            t->ends[t->fill[i]] = 1; /* what begins another file ends this one */
    }
}

static void add_mark(const maas_tokenizer *t, int which, maas_buf *out)
{
    maas_buf_add(out, &t->fill[which], sizeof *t->fill);
}

static maas_status add_name(const maas_tokenizer *t, maas_str name, maas_buf *out, maas_err *err)
{
    maas_buf line = MAAS_BUF_INIT(name.n + 2);
    maas_buf_add(&line, name.p, name.n);
    maas_buf_char(&line, '\n');
    const maas_status st = line.failed
                               ? maas_fail(err, MAAS_E_NOMEM, "memory for the name of a file")
                               : maas_tokenizer_encode(t, (maas_str){line.p, line.n}, 0, out, err);
    maas_buf_reset(&line);
    return st;
}

static maas_status add_file(const maas_tokenizer *t, const maas_fill_file *f, maas_buf *out,
                            maas_err *err)
{
    static const char apart[] = "\n\n--- snippet ---\n\n";
    if (t->fill[NEXT_FILE] >= 0) {
        add_mark(t, NEXT_FILE, out);
        MAAS_TRY(add_name(t, f->name.n ? f->name : (maas_str){"tmp", 3}, out, err));
    } else {
        MAAS_TRY(maas_tokenizer_encode(t, (maas_str){apart, sizeof apart - 1}, 0, out, err));
    }
    return maas_tokenizer_encode(t, f->text, 0, out, err);
}

/* What a model that knows repositories has seen before a file: the others, and that it begins. */
static maas_status add_repository(const maas_tokenizer *t, const maas_fill *f, maas_buf *out,
                                  maas_err *err)
{
    if (t->fill[REPOSITORY] >= 0) {
        add_mark(t, REPOSITORY, out);
        MAAS_TRY(add_name(t, (maas_str){"myproject", 9}, out, err));
    }
    for (uint32_t i = 0; i < f->n_files; i++)
        MAAS_TRY(add_file(t, &f->files[i], out, err));
    if (t->fill[NEXT_FILE] < 0)
        return MAAS_OK;
    add_mark(t, NEXT_FILE, out);
    return add_name(t, (maas_str){"filename", 8}, out, err);
}

maas_status maas_tokenizer_encode_fill(const maas_tokenizer *t, const maas_fill *f, maas_buf *out,
                                       maas_err *err)
{
    for (int i = 0; i < N_NEEDED; i++)
        if (t->fill[i] < 0)
            return maas_fail(err, MAAS_E_INVALID,
                             "the model was not made to fill in what is between two texts: its "
                             "vocabulary has no tokens for it");
    if (f->in_repository)
        MAAS_TRY(add_repository(t, f, out, err));
    if (t->begin && t->bos >= 0)
        maas_buf_add(out, &t->bos, sizeof t->bos);
    add_mark(t, PREFIX, out);
    MAAS_TRY(maas_tokenizer_encode(t, f->prefix, 0, out, err));
    MAAS_TRY(maas_tokenizer_encode(t, f->begun, 0, out, err));
    add_mark(t, SUFFIX, out);
    MAAS_TRY(maas_tokenizer_encode(t, f->suffix, 0, out, err));
    add_mark(t, MIDDLE, out);
    return out->failed ? maas_fail(err, MAAS_E_TOO_LARGE, "the texts are too long") : MAAS_OK;
}
