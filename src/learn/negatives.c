/* learn/negatives.c - which pairs are known, and drawing others. */
#include "learn/negatives.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "learn/columns.h"

#include "base/ban.h"

#define DRAWS 32 /* of one pair, before a known one must do */

static void *charged(maas_negatives *g, int64_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow((size_t)n, size, &bytes) ||
        (g->budget && !maas_budget_take(g->budget, bytes)))
        return NULL;
    g->charged += bytes;
    return maas_calloc(bytes ? bytes : 1, 1);
}

void maas_negatives_reset(maas_negatives *g)
{
    maas_free(g->query);
    maas_free(g->candidate);
    if (g->different.at != g->pool.at)
        maas_free(g->different.at);
    maas_free(g->pool.at);
    maas_free(g->known[0]);
    maas_free(g->known[1]);
    if (g->budget)
        maas_budget_give(g->budget, g->charged);
    *g = (maas_negatives){0};
}

void maas_samples_free(maas_samples *s)
{
    maas_free(s->rows);
    maas_free(s->candidates);
    *s = (maas_samples){0};
}

/* ---- which query, which candidate ---- */

typedef struct row_key {
    uint64_t key;
    uint32_t row;
} row_key;

static int by_key(const void *pa, const void *pb)
{
    const row_key *a = pa, *b = pb;
    return a->key != b->key ? (a->key > b->key) - (a->key < b->key)
                            : (a->row > b->row) - (a->row < b->row);
}

static uint64_t add_value(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9ddfea08eb382d69ull;
    h ^= h >> 29;
    h *= 0xc2b2ae3d27d4eb4full;
    return h ^ (h >> 32);
}

static void add_column(const maas_feature *f, int64_t n_rows, row_key *keys)
{
    const maas_cells *cells = f->is_text ? NULL : maas_cells_of(f->col->desc.dtype);
    for (int64_t i = 0; i < n_rows; i++) {
        uint64_t bits = f->is_text ? (uint64_t)(int64_t)f->codes[i] : 0;
        if (cells) {
            const double x = cells->get(f->col->data, i), v = isnan(x) ? NAN : x + 0.0;
            memcpy(&bits, &v, sizeof bits);
        }
        keys[i].key = add_value(keys[i].key, bits);
    }
}

/* Numbers rows by the columns of a side; those that agree in all of them get the same number. */
static maas_status number_rows(maas_negatives *g, const maas_features *fs, int tower,
                               uint32_t **out, maas_err *err)
{
    const int64_t n = fs->n_rows;
    AUTO_FREE row_key *keys = maas_calloc((size_t)n + 1, sizeof *keys);
    *out = charged(g, n, sizeof **out);
    if (!keys || !*out)
        return maas_fail(err, MAAS_E_NOMEM, "pairs of %lld rows", (long long)n);
    for (int64_t i = 0; i < n; i++)
        keys[i].row = (uint32_t)i;
    for (uint32_t c = 0; c < fs->n; c++)
        if (fs->f[c].tower == tower)
            add_column(&fs->f[c], n, keys);
    qsort(keys, (size_t)n, sizeof *keys, by_key);
    uint32_t number = 0;
    for (int64_t i = 0; i < n; i++) {
        number += i > 0 && keys[i].key != keys[i - 1].key;
        (*out)[keys[i].row] = number;
    }
    return MAAS_OK;
}

/* ---- known pairs ---- */

static bool is_positive(const maas_negatives *g, uint32_t row)
{
    return g->target->codes[row] == 1;
}

static int by_pair(const void *pa, const void *pb)
{
    const uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;
    return (a > b) - (a < b);
}

static uint64_t pair_of(const maas_negatives *g, uint32_t row, uint32_t candidate)
{
    return (uint64_t)g->query[row] << 32 | g->candidate[candidate];
}

static bool is_known(const maas_negatives *g, uint32_t row, uint32_t candidate, int known)
{
    const uint64_t pair = pair_of(g, row, candidate);
    for (int i = 0; i < known; i++)
        if (g->n_known[i] &&
            bsearch(&pair, g->known[i], (size_t)g->n_known[i], sizeof pair, by_pair))
            return true;
    return false;
}

bool maas_negatives_knows(const maas_negatives *g, uint32_t row, uint32_t candidate)
{
    return is_known(g, row, candidate, MAAS_KNOWN_ALL);
}

static maas_status list_known(maas_negatives *g, const maas_rows *rows, int which, maas_err *err)
{
    g->known[which] = charged(g, rows->n, sizeof *g->known[which]);
    if (!g->known[which])
        return maas_fail(err, MAAS_E_NOMEM, "pairs of %lld rows", (long long)rows->n);
    int64_t *n = &g->n_known[which];
    for (int64_t i = 0; i < rows->n; i++)
        if (is_positive(g, rows->at[i]))
            g->known[which][(*n)++] = pair_of(g, rows->at[i], rows->at[i]);
    qsort(g->known[which], (size_t)*n, sizeof(uint64_t), by_pair);
    return MAAS_OK;
}

/* ---- the pool ---- */

static maas_status fill_pool(maas_negatives *g, const maas_recipe *r, const maas_rows *train,
                             int64_t n_rows, maas_err *err)
{
    AUTO_FREE uint8_t *seen = maas_calloc((size_t)n_rows + 1, 1); /* by number of candidate */
    const bool once = r->negatives_from == MAAS_NEGATIVES_CANDIDATES;
    g->different.at = charged(g, train->n, sizeof(uint32_t));
    g->pool.at = once ? g->different.at : charged(g, train->n, sizeof(uint32_t));
    if (!seen || !g->different.at || !g->pool.at)
        return maas_fail(err, MAAS_E_NOMEM, "candidates of %lld rows", (long long)train->n);
    for (int64_t i = 0; i < train->n; i++) {
        const uint32_t row = train->at[i], c = g->candidate[row];
        if (!is_positive(g, row))
            continue;
        if (!once)
            g->pool.at[g->pool.n++] = row;
        if (!seen[c])
            g->different.at[g->different.n++] = row;
        seen[c] = 1;
    }
    if (once)
        g->pool.n = g->different.n;
    if (g->different.n < 2)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.negatives: training rows of class 1 have %lld different "
                         "candidates, 2 are needed",
                         (long long)g->different.n);
    return MAAS_OK;
}

maas_status maas_negatives_init(maas_negatives *g, const maas_recipe *r, const maas_features *fs,
                                const maas_target *t, const maas_rows *train, const maas_rows *val,
                                maas_budget *budget, maas_err *err)
{
    *g = (maas_negatives){.per_row = r->negatives, .target = t, .budget = budget};
    if (!r->towers)
        return MAAS_OK;
    MAAS_TRY(number_rows(g, fs, MAAS_TOWER_QUERY, &g->query, err));
    if (!g->per_row)
        return MAAS_OK;
    MAAS_TRY(number_rows(g, fs, MAAS_TOWER_CANDIDATE, &g->candidate, err));
    MAAS_TRY(list_known(g, train, 0, err));
    MAAS_TRY(list_known(g, val, 1, err));
    return fill_pool(g, r, train, fs->n_rows, err);
}

/* ---- drawing ---- */

int64_t maas_negatives_count(const maas_negatives *g, const maas_rows *rows)
{
    int64_t n = rows->n;
    for (int64_t i = 0; g->per_row && i < rows->n; i++)
        n += is_positive(g, rows->at[i]) ? g->per_row : 0;
    return n;
}

maas_status maas_negatives_room(maas_negatives *g, const maas_rows *rows, maas_samples *out,
                                maas_err *err)
{
    *out = (maas_samples){.n = maas_negatives_count(g, rows)};
    if (!g->per_row)
        return MAAS_OK;
    out->rows = charged(g, out->n, sizeof *out->rows);
    out->candidates = charged(g, out->n, sizeof *out->candidates);
    return out->rows && out->candidates
               ? MAAS_OK
               : maas_fail(err, MAAS_E_NOMEM, "%lld rows with negatives", (long long)out->n);
}

/* Never the row itself: that would be no made-up pair but the row once more. */
static uint32_t draw(const maas_negatives *g, maas_rng *rng, uint32_t row, int known)
{
    uint32_t at = row;
    for (int i = 0; i < DRAWS; i++) {
        at = g->pool.at[maas_rng_below(rng, (uint64_t)g->pool.n)];
        if (!is_known(g, row, at, known))
            return at;
    }
    return at != row ? at : g->different.at[g->different.at[0] == row];
}

void maas_negatives_draw(const maas_negatives *g, maas_rng *rng, const maas_rows *rows, int known,
                         maas_samples *out)
{
    int64_t n = 0;
    for (int64_t i = 0; i < rows->n; i++) {
        const uint32_t row = rows->at[i];
        out->rows[n] = out->candidates[n] = row;
        n++;
        for (int64_t k = 0; is_positive(g, row) && k < g->per_row; k++) {
            out->rows[n] = row;
            out->candidates[n++] = draw(g, rng, row, known);
        }
    }
}
