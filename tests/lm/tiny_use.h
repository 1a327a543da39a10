/* tests/lm/tiny_use.h - all that is done with the files of a model: each part may refuse them, and
 * nothing else may happen. */
#ifndef TESTS_LM_TINY_USE_H
#define TESTS_LM_TINY_USE_H

#include "maas_test.h"

#include "lm/encoder.h"
#include "lm/model.h"
#include "lm/tokenizer.h"

static inline maas_status tiny_use_encoder(const maas_lm_source *s, maas_budget *budget,
                                           maas_tokenizer **t, maas_err *err)
{
    maas_encoder_info info;
    const maas_status st = maas_encoder_check(s, &info, err);
    return st == MAAS_OK ? maas_tokenizer_create(s, budget, t, err) : st;
}

static inline maas_status tiny_use_writer(const maas_lm_source *s, maas_str text,
                                          maas_budget *budget, maas_tokenizer **t, maas_lm **m,
                                          maas_err *err)
{
    const maas_lm_opts o = {.n_threads = 1, .max_rows = 16, .max_seqs = 2, .cache_bytes = 1 << 20};
    maas_buf ids = MAAS_BUF_INIT(1 << 20);
    maas_lm_info info;
    const float *logits;
    MAAS_TRY(maas_lm_check(s, &info, err));
    if (info.n_embd > 4096 || info.n_context_train > 1 << 20)
        return MAAS_E_TOO_LARGE; /* legal, and too much for a test */
    MAAS_TRY(maas_tokenizer_create(s, budget, t, err));
    maas_tokenizer_encode(*t, text, MAAS_TOKENS_SPECIAL, &ids, NULL);
    maas_buf_reset(&ids);
    MAAS_TRY(maas_lm_create(s, &o, m, err));
    const int32_t tokens[] = {0, 1 % info.n_vocab, 2 % info.n_vocab}, blocks[] = {0}, row = 2;
    const maas_lm_seq q = {3, 0, blocks};
    const maas_lm_batch b = {tokens, &q, &row, 1, 1};
    return maas_lm_step(*m, &b, &logits, err);
}

static inline maas_status tiny_use(const maas_lm_file *files, uint32_t n, maas_str text,
                                   maas_err *err)
{
    maas_budget budget = {.limit = (size_t)64 << 20};
    maas_lm_source *s = NULL;
    maas_tokenizer *t = NULL;
    maas_lm *m = NULL;
    maas_status st = maas_lm_source_open(files, n, &budget, &s, err);
    if (st == MAAS_OK)
        st = maas_encoder_is(s) ? tiny_use_encoder(s, &budget, &t, err)
                                : tiny_use_writer(s, text, &budget, &t, &m, err);
    maas_lm_destroy(m);
    maas_tokenizer_destroy(t);
    maas_lm_source_close(s);
    EXPECT_EQ(budget.used, 0);
    return st;
}

#endif
