/* What the tests of grammars share: a vocabulary of single bytes (and an end), or of some texts. */
#ifndef TEST_GRAMMAR_RIG_H
#define TEST_GRAMMAR_RIG_H

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "lm/grammar.h"
#include "ops/noise.h"

typedef struct rig {
    char bytes[256];
    maas_str pieces[1024];
    bool ends[1024];
    int32_t n, end;
    maas_vocab *vocab;
} rig;

static inline void rig_add(rig *r, const char *p, size_t n, bool ends)
{
    r->pieces[r->n] = (maas_str){p, n};
    r->ends[r->n++] = ends;
}

/* Bytes 0..255, the texts, an end. */
static inline bool rig_open(rig *r, const char *const *texts)
{
    maas_err err = {0};
    *r = (rig){0};
    for (int i = 0; i < 256; i++) {
        r->bytes[i] = (char)i;
        rig_add(r, r->bytes + i, 1, false);
    }
    for (; texts && *texts; texts++)
        rig_add(r, *texts, strlen(*texts), false);
    r->end = r->n;
    rig_add(r, "", 0, true);
    return maas_vocab_of_pieces(r->pieces, r->ends, r->n, NULL, &r->vocab, &err) == MAAS_OK;
}

static inline maas_status rig_make(const rig *r, maas_grammar_kind kind, maas_str text,
                                   maas_grammar **out, maas_err *err)
{
    maas_grammar_part p = {.kind = kind, .text = text};
    const maas_grammar_spec s = {.parts = &p, .n_parts = 1};
    json_t *j = kind == MAAS_GRAMMAR_SCHEMA ? json_loadb(text.p, text.n, JSON_DECODE_ANY, NULL)
                                            : NULL;
    if (kind == MAAS_GRAMMAR_SCHEMA && !j)
        return maas_fail(err, MAAS_E_INVALID, "this is no JSON: %.200s", text.p);
    p.json = j;
    maas_status st = maas_grammar_create(&s, r->vocab, NULL, out, err);
    json_decref(j);
    return st;
}

/* Is text all that the grammar allows? -1: it has no answer. */
static inline int rig_fits(maas_grammar *g, maas_str text)
{
    maas_err err = {0};
    maas_matcher *m;
    size_t n = 0;
    if (maas_matcher_create(g, &m, &err) != MAAS_OK)
        return -1;
    maas_status st = maas_matcher_accept_text(m, text, &n, &err);
    const int ok = st != MAAS_OK ? -1 : n == text.n && maas_matcher_may_end(m);
    maas_matcher_destroy(m);
    return ok;
}

static inline bool rig_allowed(const uint32_t *bits, int32_t i)
{
    return bits[i >> 5] >> (i & 31) & 1;
}

/* Writes what masks allow, by chance, up to n tokens; what closes things comes more often. True: it
 * came to an end. False with err: it got stuck. */
static inline bool rig_walk(const rig *r, maas_grammar *g, uint64_t seed, uint32_t n, maas_buf *out,
                            maas_err *err)
{
    maas_matcher *m;
    bool ended = false;
    if (maas_matcher_create(g, &m, err) != MAAS_OK)
        return false;
    for (uint32_t step = 0; step < n && !ended && err->code == MAAS_OK; step++) {
        const uint32_t *bits;
        uint32_t n_allowed;
        double total = 0, u;
        int32_t token = -1;
        if (maas_matcher_mask(m, &bits, &n_allowed, err) != MAAS_OK)
            break;
        for (int pass = 0; pass < 2; pass++) {
            u = pass ? total * maas_noise_unit(maas_noise_mix(seed), step) : 0;
            for (int32_t i = 0; i < r->n && token < 0; i++) {
                if (!rig_allowed(bits, i))
                    continue;
                const bool closes = i == r->end || (i < 256 && strchr("\"]}", i) && i);
                total += pass ? 0 : closes ? 40 : 1;
                u -= closes ? 40 : 1;
                token = pass && u < 0 ? i : -1;
            }
        }
        if (token < 0)
            maas_fail(err, MAAS_E_INTERNAL, "stuck after '%.*s' (%u allowed)", (int)out->n,
                      out->p ? out->p : "", n_allowed);
        else if (token == r->end)
            ended = true;
        else if (maas_matcher_accept(m, token, err) == MAAS_OK)
            maas_buf_add(out, r->pieces[token].p, r->pieces[token].n);
    }
    maas_matcher_destroy(m);
    return ended;
}

static inline void rig_close(rig *r)
{
    maas_vocab_unref(r->vocab);
}

#endif
