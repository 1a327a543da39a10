#include "lm/engine/draft.h"

#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/ban.h"

struct maas_drafter {
    maas_lm *m;
    const maas_lm_info *info;
    maas_blocks *blocks;
    int32_t n_vocab;
    uint32_t chunk, n_steps;
    double ns;       /* of a step of one row, lately; 0: not known */
    maas_err failed; /* of a step */
    /* of the step that is made */
    maas_lm_seq *seqs;          /* [max_seqs] */
    int32_t *tokens, *out_rows; /* [max_rows], [max_seqs] */
};

maas_status maas_drafter_create(maas_lm *m, int32_t n_vocab, uint32_t chunk, maas_drafter **out,
                                maas_err *err)
{
    maas_drafter *d = maas_calloc(1, sizeof *d);
    if (!d)
        return maas_fail(err, MAAS_E_NOMEM, "a draft model");
    const maas_lm_info *i = maas_lm_about(m);
    if (i->n_states) {
        maas_free(d);
        return maas_fail(
            err, MAAS_E_UNSUPPORTED,
            "%s cannot be a draft model: proposals that were wrong cannot be taken out "
            "of its state",
            i->arch);
    }
    *d = (maas_drafter){
        .m = m, .info = i, .chunk = chunk, .n_vocab = n_vocab < i->n_vocab ? n_vocab : i->n_vocab};
    d->seqs = maas_calloc((size_t)i->max_seqs, sizeof *d->seqs);
    d->out_rows = maas_calloc((size_t)i->max_seqs, sizeof *d->out_rows);
    d->tokens = maas_calloc((size_t)i->max_rows, sizeof *d->tokens);
    maas_status st = maas_blocks_create(i->n_blocks, &d->blocks, err);
    if (st == MAAS_OK && (!d->seqs || !d->out_rows || !d->tokens))
        st = maas_fail(err, MAAS_E_NOMEM, "a draft model");
    if (st == MAAS_OK)
        *out = d;
    else
        maas_drafter_destroy(d);
    return st;
}

void maas_drafter_destroy(maas_drafter *d)
{
    if (!d)
        return;
    maas_blocks_destroy(d->blocks);
    maas_free(d->seqs);
    maas_free(d->out_rows);
    maas_free(d->tokens);
    maas_free(d);
}

/* ---- what is in the cache ---- */

void maas_drafter_release(maas_drafter *d, maas_draft *x)
{
    maas_pages_release(&x->pages, d->blocks);
    x->n_fed = 0;
}

/* Proposals of the last step that were drawn are tokens like others; the rest is overwritten. The
 * last token is always read again: what comes after it is asked. */
static void settle(maas_drafter *d, const maas_draft_want *w)
{
    maas_draft *x = w->draft;
    uint32_t n = 0;
    while (n < x->n_fed && x->pages.past + n + 1 < w->n_tokens &&
           x->fed[n] == w->tokens[x->pages.past + n])
        n++;
    maas_pages_advance(&x->pages, d->blocks, 0, w->tokens, n);
    maas_pages_trim(&x->pages, d->blocks);
    x->n_fed = 0;
}

/* Tokens without a name may be known to the larger model only. */
static bool knows(const maas_drafter *d, const maas_draft_want *w)
{
    for (uint32_t i = w->draft->pages.past; i < w->n_tokens; i++)
        if (w->tokens[i] >= d->info->n_vocab)
            return false;
    return true;
}

/* The model can go on from here, and has blocks for it. */
static bool begin(maas_drafter *d, maas_draft_want *w)
{
    maas_draft *x = w->draft;
    if (w->n_tokens + w->n > (uint32_t)d->info->n_context)
        return false;
    if (!x->pages.blocks)
        x->pages.blocks = maas_alloc(((size_t)w->room / MAAS_PAGE + 1) * sizeof *x->pages.blocks);
    if (!x->pages.blocks)
        return false;
    settle(d, w);
    if (!x->pages.n_blocks)
        maas_pages_adopt(&x->pages, d->blocks, 0, w->tokens, w->n_tokens);
    if (knows(d, w) && maas_pages_reserve(&x->pages, d->blocks, w->n_tokens + w->n))
        return true;
    maas_drafter_release(d, x);
    return false;
}

/* ---- steps ---- */

static int32_t best_of(const maas_drafter *d, const float *logits)
{
    int32_t best = 0;
    for (int32_t i = 1; i < d->n_vocab; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

/* Tokens of w that go into this step: text that is not read yet, and proposals behind it. */
static void add(maas_drafter *d, const maas_draft_want *w, uint32_t past, bool wanted,
                maas_lm_batch *b, int32_t *row)
{
    memcpy(d->tokens + *row, w->tokens + past, w->rows * sizeof *d->tokens);
    d->seqs[b->n_seqs++] = (maas_lm_seq){
        .n = (int32_t)w->rows, .past = (int32_t)past, .blocks = w->draft->pages.blocks};
    *row += (int32_t)w->rows;
    if (wanted)
        d->out_rows[b->n_out++] = *row - 1;
}

static bool run(maas_drafter *d, const maas_lm_batch *b, int32_t rows, const float **logits)
{
    const uint64_t begin_ns = maas_now_ns();
    if (maas_lm_step(d->m, b, logits, &d->failed) != MAAS_OK)
        return false;
    if (rows == 1 && ++d->n_steps > 1) { /* the first makes the plan */
        const double ns = (double)(maas_now_ns() - begin_ns);
        d->ns = d->ns > 0 ? 0.9 * d->ns + 0.1 * ns : ns;
    }
    return true;
}

/* A step that failed leaves blocks undefined: whoever was in it begins anew. No proposals. */
static void give_up(maas_drafter *d, maas_draft_want *w, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (w[i].n)
            maas_drafter_release(d, w[i].draft);
        w[i].n = 0;
    }
}

/* Reads what is new, as many rows as there may be. Who has read all gets the first proposal. */
static bool read_on(maas_drafter *d, maas_draft_want *w, uint32_t n)
{
    const maas_lm_info *info = d->info;
    maas_lm_batch b = {.tokens = d->tokens, .seqs = d->seqs, .out_rows = d->out_rows};
    uint32_t left = n > 1 && d->chunk < (uint32_t)info->max_rows ? d->chunk
                                                                 : (uint32_t)info->max_rows;
    const float *logits = NULL;
    int32_t row = 0;
    for (uint32_t i = 0; i < n; i++) {
        w[i].rows = 0;
        if (!w[i].n || b.n_seqs == info->max_seqs)
            continue;
        const uint32_t past = w[i].draft->pages.past, need = w[i].n_tokens - past;
        w[i].rows = need < left ? need : left;
        left -= w[i].rows;
        if (w[i].rows)
            add(d, &w[i], past, w[i].rows == need, &b, &row);
    }
    if (!b.n_seqs || !run(d, &b, row, &logits))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        maas_pages *p = &w[i].draft->pages;
        if (w[i].rows)
            maas_pages_advance(p, d->blocks, 0, w[i].tokens, w[i].rows);
        if (!w[i].n || p->past < w[i].n_tokens) {
            w[i].n = 0; /* another time */
            continue;
        }
        w[i].tokens[w[i].n_tokens] = best_of(d, logits);
        logits += info->n_vocab;
    }
    return true;
}

/* Proposal number `at` of those that want so many. False: nobody does, or the step failed. */
static bool one_more(maas_drafter *d, maas_draft_want *w, uint32_t n, uint32_t at)
{
    maas_lm_batch b = {.tokens = d->tokens, .seqs = d->seqs, .out_rows = d->out_rows};
    const float *logits = NULL;
    int32_t row = 0;
    for (uint32_t i = 0; i < n; i++) {
        w[i].rows = w[i].n > at;
        if (!w[i].rows)
            continue;
        w[i].draft->fed[w[i].draft->n_fed++] = w[i].tokens[w[i].n_tokens + at - 1];
        add(d, &w[i], w[i].n_tokens + at - 1, true, &b, &row);
    }
    if (!b.n_seqs)
        return false;
    if (!run(d, &b, row, &logits)) {
        give_up(d, w, n);
        return false;
    }
    for (uint32_t i = 0; i < n; i++)
        if (w[i].rows) {
            w[i].tokens[w[i].n_tokens + at] = best_of(d, logits);
            logits += d->info->n_vocab;
        }
    return true;
}

void maas_drafter_propose(maas_drafter *d, maas_draft_want *w, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (w[i].n && !begin(d, &w[i]))
            w[i].n = 0;
    if (!read_on(d, w, n)) {
        give_up(d, w, n);
        return;
    }
    for (uint32_t at = 1; one_more(d, w, n, at);)
        at++;
}

const maas_err *maas_drafter_failure(const maas_drafter *d)
{
    return d->failed.code ? &d->failed : NULL;
}

double maas_drafter_ns(const maas_drafter *d)
{
    return d->ns;
}
int32_t maas_drafter_n_free(const maas_drafter *d)
{
    return maas_blocks_n_free(d->blocks);
}
