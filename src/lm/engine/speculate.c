#include "lm/engine/speculate.h"

#include "base/status.h"
#include "base/ban.h"

enum { FAR = 1 << 16, SHORTEST = 2, LONGEST = 8 };
static const double at_first = 0.6, least_hope = 0.25;

/* ---- what may follow ---- */

/* How many tokens before position a are those before b, up to LONGEST; a < b. */
static uint32_t alike(const int32_t *tokens, uint32_t a, uint32_t b)
{
    uint32_t n = 0;
    while (n < a && n < LONGEST && tokens[a - 1 - n] == tokens[b - 1 - n])
        n++;
    return n;
}

uint32_t maas_lookup(int32_t *tokens, uint32_t n, uint32_t most)
{
    uint32_t best = SHORTEST - 1, at = 0;
    const uint32_t first = n > FAR ? n - FAR : 0;
    for (uint32_t i = n; i-- > first + 1 && best < LONGEST;) {
        const uint32_t len = tokens[i - 1] == tokens[n - 1] ? alike(tokens, i, n) : 0;
        if (len > best) { /* the latest of the longest */
            best = len;
            at = i;
        }
    }
    if (!at)
        return 0;
    for (uint32_t i = 0; i < most; i++) /* what repeats goes on repeating */
        tokens[n + i] = tokens[at + i];
    return most;
}

/* ---- whether it is worth it ---- */

static double hope(const maas_guess *g)
{
    return g->begun ? g->hit : at_first;
}

void maas_guess_checked(maas_guess *g, bool right)
{
    g->hit = hope(g) + 0.1 * ((right ? 1 : 0) - hope(g));
    g->begun = true;
    g->accepted += right;
}

void maas_guess_passed(maas_guess *g)
{
    if (g->begun)
        g->hit += 0.01 * (at_first - g->hit);
}

static uint32_t place_of(uint32_t rows)
{
    uint32_t i = 0;
    while (1u << i < rows)
        i++;
    return i;
}

/* The first step of a size makes its plan, and says nothing. Now and then all is forgotten: the
 * machine may have something else to do by now. */
void maas_pace_add(maas_pace *p, uint32_t rows, uint64_t ns)
{
    const uint32_t i = place_of(rows);
    if (i >= MAAS_COUNT(p->of))
        return;
    if (++p->n_steps % 2048 == 0)
        for (uint32_t k = 0; k < MAAS_COUNT(p->of); k++)
            p->of[k].ns = 0;
    if (p->of[i].n++)
        p->of[i].ns = p->of[i].ns > 0 ? 0.9 * p->of[i].ns + 0.1 * (double)ns : (double)ns;
}

/* Sizes that were never tried are believed to cost as the size below: so they are tried. None
 * before it is known what a plain step costs. */
uint32_t maas_drafts_alone(const maas_guess *g, const maas_pace *p, uint32_t n, double each_ns)
{
    double best = 0, cost = p->of[0].ns, tokens = 0, chance = 1;
    uint32_t drafts = 0, k = 0;
    for (uint32_t i = 0; cost > 0 && i < MAAS_COUNT(p->of) && (k <= n || !k); i++) {
        for (; k < 1u << i && k <= n; k++) { /* rows 0 to k: k proposals */
            tokens += chance;
            chance *= hope(g);
        }
        cost = p->of[i].ns > 0 ? p->of[i].ns : cost;
        const double all = cost + (k - 1) * each_ns;
        if (tokens / all > best) {
            best = tokens / all;
            drafts = k - 1;
        }
    }
    return drafts;
}

bool maas_drafts_pay(const maas_guess *g, const maas_pace *p, uint32_t rows, uint32_t n,
                     double each_ns)
{
    const uint32_t i = place_of(rows);
    return i < MAAS_COUNT(p->of) && each_ns * n < hope(g) * p->of[i].ns;
}

uint32_t maas_drafts_among(const maas_guess *g, uint32_t spare, uint32_t n)
{
    uint32_t k = 0;
    n = n < spare ? n : spare;
    for (double chance = hope(g); k < n && chance >= least_hope; k++)
        chance *= hope(g);
    return k;
}
