#include "serve/lm_grammars.h"

#include <pthread.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/sys.h"
#include "base/ban.h"

enum { KEPT = 16 };

typedef struct kept {
    uint8_t key[MAAS_SHA256_BYTES];
    maas_grammar *grammar; /* NULL: free */
    uint64_t used;
} kept;

struct maas_lm_grammars {
    const maas_tokenizer *tokenizer;
    int32_t n_logits;
    maas_budget *budget;
    pthread_mutex_t lock; /* of what follows */
    maas_vocab *vocab;
    kept kept[KEPT];
    uint64_t clock;
};

maas_status maas_lm_grammars_create(const maas_tokenizer *t, int32_t n_logits, maas_budget *budget,
                                    maas_lm_grammars **out, maas_err *err)
{
    maas_lm_grammars *g = maas_calloc(1, sizeof *g);
    if (!g)
        return maas_fail(err, MAAS_E_NOMEM, "memory for grammars");
    g->tokenizer = t;
    g->n_logits = n_logits;
    g->budget = budget;
    pthread_mutex_init(&g->lock, NULL);
    *out = g;
    return MAAS_OK;
}

void maas_lm_grammars_destroy(maas_lm_grammars *g)
{
    if (!g)
        return;
    for (int i = 0; i < KEPT; i++)
        maas_grammar_unref(g->kept[i].grammar);
    maas_vocab_unref(g->vocab);
    pthread_mutex_destroy(&g->lock);
    maas_free(g);
}

/* ---- what a grammar is known by ---- */

static void add_text(maas_sha256 *h, const void *p, size_t n)
{
    maas_sha256_add(h, &n, sizeof n); /* so that texts side by side stay apart */
    if (n)
        maas_sha256_add(h, p, n);
}

static void add_parts(maas_sha256 *h, const maas_grammar_part *parts, uint32_t n, maas_buf *text)
{
    add_text(h, &n, sizeof n);
    for (uint32_t i = 0; i < n && !text->failed; i++) {
        const maas_grammar_part *p = &parts[i];
        maas_buf_clear(text);
        if (p->json)
            maas_json_dump(p->json, text);
        add_text(h, &p->kind, sizeof p->kind);
        add_text(h, p->text.p, p->text.n);
        add_text(h, p->until.p, p->until.n);
        add_text(h, text->p, text->n);
    }
}

static bool key_of(const maas_grammar_spec *s, uint8_t out[MAAS_SHA256_BYTES])
{
    maas_sha256 h;
    maas_buf text = MAAS_BUF_INIT(MAAS_MAX_CONTROL_BODY);
    if (!maas_sha256_init(&h))
        return false;
    add_parts(&h, s->lead, s->n_lead, &text);
    add_parts(&h, s->parts, s->n_parts, &text);
    for (uint32_t i = 0; i < s->n_triggers; i++) {
        const maas_grammar_trigger *t = &s->triggers[i];
        add_text(&h, t->text.p, t->text.n);
        add_text(&h, &t->at_start, sizeof t->at_start);
        add_parts(&h, t->parts, t->n_parts, &text);
    }
    add_text(&h, &s->max_times, sizeof s->max_times);
    add_text(&h, s->between.p, s->between.n);
    maas_sha256_done(&h, out);
    const bool ok = !text.failed;
    maas_buf_reset(&text);
    return ok;
}

/* ---- those that are kept ---- */

static maas_grammar *find(maas_lm_grammars *g, const uint8_t key[MAAS_SHA256_BYTES])
{
    for (int i = 0; i < KEPT; i++)
        if (g->kept[i].grammar && memcmp(g->kept[i].key, key, MAAS_SHA256_BYTES) == 0) {
            g->kept[i].used = ++g->clock;
            return maas_grammar_ref(g->kept[i].grammar);
        }
    return NULL;
}

static void keep(maas_lm_grammars *g, const uint8_t key[MAAS_SHA256_BYTES], maas_grammar *x)
{
    kept *oldest = &g->kept[0];
    for (int i = 1; i < KEPT; i++)
        if (g->kept[i].used < oldest->used)
            oldest = &g->kept[i];
    maas_grammar_unref(oldest->grammar);
    memcpy(oldest->key, key, MAAS_SHA256_BYTES);
    oldest->grammar = maas_grammar_ref(x);
    oldest->used = ++g->clock;
}

static maas_status vocab_of(maas_lm_grammars *g, maas_vocab **out, maas_err *err)
{
    maas_status st = MAAS_OK;
    pthread_mutex_lock(&g->lock);
    if (!g->vocab)
        st = maas_vocab_create(g->tokenizer, g->n_logits, g->budget, &g->vocab, err);
    if (st == MAAS_OK)
        *out = maas_vocab_ref(g->vocab);
    pthread_mutex_unlock(&g->lock);
    return st;
}

maas_status maas_lm_grammars_get(maas_lm_grammars *g, const maas_grammar_spec *spec,
                                 maas_grammar **out, maas_err *err)
{
    uint8_t key[MAAS_SHA256_BYTES];
    maas_vocab *v;
    if (!key_of(spec, key))
        return maas_fail(err, MAAS_E_TOO_LARGE, "the grammar is too large");
    pthread_mutex_lock(&g->lock);
    maas_grammar *x = find(g, key);
    pthread_mutex_unlock(&g->lock);
    if (!x) {
        MAAS_TRY(vocab_of(g, &v, err));
        maas_status st = maas_grammar_create(spec, v, g->budget, &x, err);
        maas_vocab_unref(v);
        MAAS_TRY(st);
        pthread_mutex_lock(&g->lock);
        keep(g, key, x);
        pthread_mutex_unlock(&g->lock);
    }
    *out = x;
    return MAAS_OK;
}
