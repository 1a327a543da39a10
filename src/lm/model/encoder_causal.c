/*
 * Language models as encoders: what their last norm gives, of the last token, the first, or the
 * mean of all. Texts of a run share steps; one that is longer than a step takes several. Blocks of
 * the cache are handed out anew in each run.
 */
#include <string.h>

#include "base/mem.h"
#include "lm/model/encoder_int.h"
#include "lm/model/model_int.h"
#include "base/ban.h"

enum { MAX_SEQS = 64, MAX_STEP = 4096 };

struct maas_enc_causal {
    maas_lm *model;
    const maas_lm_info *info;
    maas_pooling pooling;
    int32_t *blocks;                 /* [n_blocks]: 0, 1, ... */
    int32_t *tokens, *rows, *owners; /* [max_rows] of a step: wanted rows, and whose they are */
    double *sums;                    /* [MAX_SEQS][n_embd] */
    maas_lm_seq seqs[MAX_SEQS];
};

/* ---- what it is ---- */

bool maas_enc_is_causal(const maas_lm_source *s)
{
    uint64_t pooling = 0;
    return maas_lm_arch_of(maas_lm_source_arch(s)) && maas_lm_u64(s, "%s.pooling_type", &pooling) &&
           pooling > 0;
}

static maas_status pooling_of(const maas_lm_source *s, maas_pooling *out, maas_err *err)
{
    uint64_t pooling = 0;
    bool causal = true;
    maas_lm_u64(s, "%s.pooling_type", &pooling);
    maas_lm_bool(s, "%s.attention.causal", &causal);
    if (pooling > MAAS_POOL_LAST)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "%%s.pooling_type is %llu: language models that rank are not built",
                         (unsigned long long)pooling);
    if (!causal)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "%%s.attention.causal: a language model that looks both ways");
    *out = (maas_pooling)pooling;
    return MAAS_OK;
}

static void describe(const maas_lm_info *lm, maas_pooling pooling, maas_encoder_info *out)
{
    *out = (maas_encoder_info){.lm = *lm, .pooling = pooling, .n_out = lm->n_embd};
}

maas_status maas_enc_causal_check(const maas_lm_source *s, maas_encoder_info *out, maas_err *err)
{
    maas_pooling pooling;
    maas_lm_info lm;
    MAAS_TRY(pooling_of(s, &pooling, err));
    MAAS_TRY(maas_lm_check(s, &lm, err));
    describe(&lm, pooling, out);
    return MAAS_OK;
}

/* ---- life ---- */

static maas_status open_all(maas_enc_causal *c, const maas_lm_source *s, const maas_encoder_opts *o,
                            maas_err *err)
{
    const int32_t rows = o->max_rows > 0 && o->max_rows < MAX_STEP ? o->max_rows : 2048;
    const maas_lm_opts lm = {.n_threads = o->n_threads,
                             .budget = o->budget,
                             .cache_bytes = o->cache_bytes,
                             .max_rows = rows,
                             .max_seqs = MAX_SEQS,
                             .hidden = true};
    MAAS_TRY(pooling_of(s, &c->pooling, err));
    MAAS_TRY(maas_lm_create(s, &lm, &c->model, err));
    c->info = maas_lm_about(c->model);
    c->blocks = maas_calloc((size_t)c->info->n_blocks + 1, sizeof *c->blocks);
    c->tokens = maas_calloc((size_t)rows, sizeof *c->tokens);
    c->rows = maas_calloc((size_t)rows, sizeof *c->rows);
    c->owners = maas_calloc((size_t)rows, sizeof *c->owners);
    c->sums = maas_calloc((size_t)c->info->n_embd * MAX_SEQS, sizeof *c->sums);
    if (!c->blocks || !c->tokens || !c->rows || !c->owners || !c->sums)
        return maas_fail(err, MAAS_E_NOMEM, "an encoder");
    for (int32_t i = 0; i < c->info->n_blocks; i++)
        c->blocks[i] = i;
    return MAAS_OK;
}

maas_status maas_enc_causal_create(const maas_lm_source *s, const maas_encoder_opts *o,
                                   maas_enc_causal **out, maas_encoder_info *info, maas_err *err)
{
    maas_enc_causal *c = maas_calloc(1, sizeof *c);
    if (!c)
        return maas_fail(err, MAAS_E_NOMEM, "an encoder");
    maas_status st = open_all(c, s, o, err);
    if (st != MAAS_OK) {
        maas_enc_causal_destroy(c);
        return st;
    }
    describe(c->info, c->pooling, info);
    *out = c;
    return MAAS_OK;
}

void maas_enc_causal_destroy(maas_enc_causal *c)
{
    if (!c)
        return;
    maas_lm_destroy(c->model);
    maas_free(c->blocks);
    maas_free(c->tokens);
    maas_free(c->rows);
    maas_free(c->owners);
    maas_free(c->sums);
    maas_free(c);
}

/* ---- a run ---- */

static int32_t blocks_of(int32_t n)
{
    return (n + MAAS_PAGE - 1) / MAAS_PAGE;
}

int32_t maas_enc_causal_room(const maas_enc_causal *c, int32_t length)
{
    int32_t n = c->info->max_rows / length;
    const int32_t by_cache = c->info->n_blocks ? c->info->n_blocks / blocks_of(length) : n;
    n = n < by_cache ? n : by_cache;
    n = n < c->info->max_seqs ? n : c->info->max_seqs;
    return n > 1 ? n : 1;
}

/* Is the token at `i` part of the answer? */
static bool counts(const maas_enc_causal *c, const maas_encoder_text *t, int32_t i)
{
    return c->pooling == MAAS_POOL_MEAN || i == (c->pooling == MAAS_POOL_LAST ? t->n - 1 : 0);
}

/* The next tokens of every text that has some left, `chunk` of each at most. */
static maas_lm_batch collect(maas_enc_causal *c, const maas_encoder_text *texts, int32_t n,
                             int32_t past, int32_t chunk)
{
    maas_lm_batch b = {.tokens = c->tokens, .seqs = c->seqs, .out_rows = c->rows};
    int32_t row = 0, block = 0;
    for (int32_t i = 0; i < n; block += blocks_of(texts[i].n), i++) {
        const int32_t left = texts[i].n - past, take = left < chunk ? left : chunk;
        if (take <= 0)
            continue;
        c->seqs[b.n_seqs++] = (maas_lm_seq){take, past, .state = i};
        if (c->info->n_blocks)
            c->seqs[b.n_seqs - 1].blocks = c->blocks + block;
        for (int32_t k = 0; k < take; k++, row++) {
            c->tokens[row] = texts[i].tokens[past + k];
            if (counts(c, &texts[i], past + k)) {
                c->owners[b.n_out] = i;
                c->rows[b.n_out++] = row;
            }
        }
    }
    return b;
}

maas_status maas_enc_causal_run(maas_enc_causal *c, const maas_encoder_text *texts, int32_t n,
                                maas_err *err)
{
    const int64_t embd = c->info->n_embd;
    const int32_t chunk = c->info->max_rows / n;
    int32_t most = 0;
    for (int32_t i = 0; i < n; i++)
        most = texts[i].n > most ? texts[i].n : most;
    memset(c->sums, 0, (size_t)(n * embd) * sizeof *c->sums);
    for (int32_t past = 0; past < most; past += chunk) {
        const maas_lm_batch b = collect(c, texts, n, past, chunk);
        const float *hidden;
        MAAS_TRY(maas_lm_step(c->model, &b, &hidden, err));
        for (int32_t k = 0; k < b.n_out; k++)
            for (int64_t d = 0; d < embd; d++)
                c->sums[c->owners[k] * embd + d] += (double)hidden[k * embd + d];
    }
    for (int32_t i = 0; i < n; i++)
        maas_enc_settle(c->sums + i * embd, c->pooling == MAAS_POOL_MEAN ? texts[i].n : 1, embd,
                        true, texts[i].out);
    return MAAS_OK;
}
