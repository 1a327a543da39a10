/*
 * lm/engine/speculate.h - tokens that are likely to come, so that one step can check several of
 * them: what followed the last time the sequence said the same (prompt lookup), and how many of it,
 * or of a draft model's (draft.h), are worth their rows.
 *
 * A proposal changes when a token is computed, never which one: it is taken only where the draw
 * from the model's own logits says the same.
 *
 * Threads: the stepping one.
 */
#ifndef MAAS_LM_ENGINE_SPECULATE_H
#define MAAS_LM_ENGINE_SPECULATE_H

#include <stdbool.h>
#include <stdint.h>

enum { MAAS_MAX_DRAFTS = 64 };

/* Writes what may follow the n tokens behind them, at most `most`; returns how many. Work is linear
 * in n, which is looked at as far as the last 2^16. */
uint32_t maas_lookup(int32_t *tokens, uint32_t n, uint32_t most);

/* How the proposals of one request fare. All zero at first. */
typedef struct maas_guess {
    uint32_t drafted, accepted;
    bool begun;
    double hit; /* the share of proposals that were right, lately */
} maas_guess;
void maas_guess_checked(maas_guess *g, bool right);

/* What steps cost by their rows: a power of two each, as the model pads them. */
typedef struct maas_pace {
    struct {
        double ns; /* 0: not known */
        uint32_t n;
    } of[8];
    uint32_t n_steps;
} maas_pace;
void maas_pace_add(maas_pace *p, uint32_t rows, uint64_t ns);

/* How many of n proposals to check when a request is alone: those that make an answer faster.
 * each_ns: what making one costs. */
uint32_t maas_drafts_alone(const maas_guess *g, const maas_pace *p, uint32_t n, double each_ns);
/* With others, whose step has `spare` rows that cost nothing. */
uint32_t maas_drafts_among(const maas_guess *g, uint32_t spare, uint32_t n);
/* Is one that costs each_ns worth it in a step of so many rows, by n requests that get a token
 * each?
 */
bool maas_drafts_pay(const maas_guess *g, const maas_pace *p, uint32_t rows, uint32_t n,
                     double each_ns);
/* None was checked though there were some: what is believed of them fades. */
void maas_guess_passed(maas_guess *g);

#endif
