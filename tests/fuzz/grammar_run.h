/* What the fuzz targets of grammars share: what compiles is walked a little by its masks, and never
 * gets stuck. */
#ifndef FUZZ_GRAMMAR_RUN_H
#define FUZZ_GRAMMAR_RUN_H

#include <stdlib.h>

#include "base/json.h"
#include "lm/grammar.h"

static inline void grammar_run(const maas_grammar_part *part, uint32_t chance)
{
    static char bytes[128];
    static maas_str pieces[131];
    static bool ends[131];
    maas_budget budget = {.limit = (size_t)256 << 20};
    maas_vocab *v = NULL;
    maas_grammar *g = NULL;
    maas_matcher *m = NULL;
    maas_err err = {0};
    const maas_grammar_spec s = {.parts = part, .n_parts = 1};
    for (int i = 0; i < 128; i++) {
        bytes[i] = (char)(i < 120 ? i : 0x80 + (i - 120) * 16);
        pieces[i] = (maas_str){bytes + i, 1};
    }
    pieces[128] = (maas_str){"\": ", 3};
    pieces[129] = (maas_str){"\xc3\xa9", 2};
    pieces[130] = (maas_str){"", 0};
    ends[130] = true;
    if (maas_vocab_of_pieces(pieces, ends, 131, &budget, &v, &err) == MAAS_OK &&
        maas_grammar_create(&s, v, &budget, &g, &err) == MAAS_OK &&
        maas_matcher_create(g, &m, &err) == MAAS_OK)
        for (int step = 0; step < 24; step++) {
            const uint32_t *bits;
            uint32_t n, pick;
            if (maas_matcher_mask(m, &bits, &n, &err) != MAAS_OK || !n)
                break;
            chance = chance * 1664525 + 1013904223;
            pick = (chance >> 8) % n;
            int32_t token = 0;
            for (;; token++)
                if ((bits[token >> 5] >> (token & 31) & 1) && !pick--)
                    break;
            if (token == 130)
                break;
            if (maas_matcher_accept(m, token, &err) == MAAS_E_INVALID)
                abort(); /* the mask allowed it */
        }
    maas_matcher_destroy(m);
    maas_grammar_unref(g);
    maas_vocab_unref(v);
}

#endif
