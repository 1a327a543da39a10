/* Who gets proposals in a step, how many, and from whom. */
#include "lm/engine/engine_int.h"

#include "base/ban.h"

static uint32_t padded(uint32_t n)
{
    uint32_t size = 1;
    while (size < n)
        size *= 2;
    return size;
}

static bool by_model(const maas_engine *e, const request *r)
{
    return e->drafter && !maas_drafter_failure(e->drafter) && r->ask.by != MAAS_BY_LOOKUP;
}

/* How many of n, of the draft model: its own steps cost something, too. `rows`: of the step that is
 * made without. */
static uint32_t of_model(const maas_engine *e, const request *r, uint32_t spare, bool alone,
                         uint32_t rows, uint32_t n)
{
    const double ns = maas_drafter_ns(e->drafter);
    const bool asked = r->ask.drafts >= 0;
    if (alone)
        return asked ? n : maas_drafts_alone(&r->guess, &e->pace, n, ns);
    return asked || maas_drafts_pay(&r->guess, &e->pace, rows, e->running.n, ns)
               ? maas_drafts_among(&r->guess, spare, n)
               : 0;
}

static uint32_t of_lookup(const maas_engine *e, const request *r, uint32_t spare, bool alone,
                          uint32_t n)
{
    return !alone              ? maas_drafts_among(&r->guess, spare, n)
           : r->ask.drafts < 0 ? maas_drafts_alone(&r->guess, &e->pace, n, 0)
                               : n; /* as it was asked for */
}

/* How many for r; `spare` rows would cost nothing, or are all that may be (alone). */
static uint32_t how_many(const maas_engine *e, request *r, uint32_t spare, bool alone,
                         uint32_t rows)
{
    uint32_t most = r->ask.drafts < 0 ? e->opts.drafts : (uint32_t)r->ask.drafts;
    most = most < MAAS_MAX_DRAFTS ? most : MAAS_MAX_DRAFTS;
    most = most < spare ? most : spare;
    most = most < r->end - r->n_tokens - 1 ? most : r->end - r->n_tokens - 1;
    const bool model = by_model(e, r);
    const uint32_t n = model || !most ? most : maas_lookup(r->tokens, r->n_tokens, most);
    const uint32_t k = model ? of_model(e, r, spare, alone, rows, n)
                             : of_lookup(e, r, spare, alone, n);
    if (n && !k)
        maas_guess_passed(&r->guess);
    return k;
}

/* A step of the draft model failed: it gives all back, and prompt lookup takes its place. */
static void go_on_without(maas_engine *e)
{
    for (request *r = e->running.head; r; r = r->next)
        maas_drafter_release(e->drafter, &r->draft);
    pthread_mutex_lock(&e->lock);
    e->stats.draft_failures++;
    pthread_mutex_unlock(&e->lock);
    e->draft_failure = maas_drafter_failure(e->drafter);
}

/* r->drafts of those whose proposals are the draft model's: what it has of them. */
static void ask_model(maas_engine *e)
{
    uint32_t n = 0;
    for (request *r = e->running.head; r; r = r->next)
        if (r->drafts && by_model(e, r))
            e->wants[n++] = (maas_draft_want){&r->draft, r->tokens, r->n_tokens,
                                              r->end,    r->drafts, 0};
    if (!n)
        return;
    maas_drafter_propose(e->drafter, e->wants, n);
    n = 0;
    for (request *r = e->running.head; r; r = r->next)
        if (r->drafts && r->ask.by != MAAS_BY_LOOKUP)
            r->drafts = e->wants[n++].n;
    if (maas_drafter_failure(e->drafter))
        go_on_without(e);
}

/* Rows that the model would compute as padding check proposals; who is alone may have more. */
static void share(maas_engine *e)
{
    const bool alone = e->running.n == 1;
    uint32_t rows = 0, outs = 0;
    for (request *r = e->running.head; r; r = r->next) {
        rows += r->rows;
        outs += r->rows && r->pages.past + r->rows == r->n_tokens;
    }
    const uint32_t size = padded(rows) < (uint32_t)e->info->max_rows ? padded(rows)
                                                                     : (uint32_t)e->info->max_rows;
    const uint32_t of_outs = padded(outs) - outs;
    uint32_t spare = size - rows < of_outs ? size - rows : of_outs;
    spare = alone ? (uint32_t)e->info->max_rows - rows : spare;
    for (request *r = e->running.head; r && spare; r = r->next) {
        if (r->rows != 1 || r->pages.past + 1 != r->n_tokens)
            continue;
        r->drafts = how_many(e, r, spare, alone, rows);
        spare -= r->drafts;
    }
}

void maas_engine_propose(maas_engine *e)
{
    if (e->info->n_states) /* a proposal that is wrong cannot be taken out of a state again */
        return;
    share(e);
    if (e->drafter)
        ask_model(e);
    for (request *r = e->running.head; r; r = r->next) {
        if (!r->drafts)
            continue;
        if (!maas_pages_reserve(&r->pages, e->blocks, r->pages.past + 1 + r->drafts)) {
            r->drafts = 0; /* nobody gives way for a guess */
            maas_pages_trim(&r->pages, e->blocks);
        }
        r->rows += r->drafts;
    }
}
