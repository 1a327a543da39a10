/* learn/forest/bins.c - sorts each column once, and numbers its different values. */
#include "learn/forest/bins.h"

#include <float.h>
#include <math.h>

#include "base/mem.h"
#include "runtime/threads.h"

#include "base/ban.h"

typedef struct keyed {
    uint32_t key; /* of the value: order of keys is order of values */
    uint32_t row;
} keyed;

/* Floats as unsigned numbers of the same order; both zeros are one value. */
static uint32_t key_of(float x)
{
    uint32_t u;
    x = x == 0 ? 0 : x;
    memcpy(&u, &x, sizeof u);
    return u & 0x80000000u ? ~u : u | 0x80000000u;
}

static float value_of(uint32_t key)
{
    float x;
    key = key & 0x80000000u ? key & 0x7fffffffu : ~key;
    memcpy(&x, &key, sizeof x);
    return x;
}

/* Stable radix sort by key, 11 bits a pass, into `a`. A pass whose bits are the same in all keys,
 * as the lower ones of whole numbers are, moves nothing and is left out. */
static void sort_keyed(keyed *a, keyed *b, int64_t n)
{
    enum { BITS = 11, SIZE = 1 << BITS };
    keyed *from = a, *to = b;
    for (int pass = 0; pass < 3 && n; pass++) {
        uint32_t at[SIZE] = {0}, sum = 0;
        const int shift = pass * BITS;
        for (int64_t i = 0; i < n; i++)
            at[from[i].key >> shift & (SIZE - 1)]++;
        if (at[from[0].key >> shift & (SIZE - 1)] == n)
            continue;
        for (int i = 0; i < SIZE; i++) {
            const uint32_t count = at[i];
            at[i] = sum;
            sum += count;
        }
        for (int64_t i = 0; i < n; i++)
            to[at[from[i].key >> shift & (SIZE - 1)]++] = from[i];
        keyed *swap = from;
        from = to;
        to = swap;
    }
    if (from != a)
        memcpy(a, from, (size_t)n * sizeof *a);
}

typedef struct binning {
    maas_bins *bins;
    const maas_matrix *m;
    const maas_rows *train;
    keyed **scratch; /* [threads] two arrays of n_rows each */
    float **edges;   /* [threads] low and high of MAAS_MAX_BINS bins */
    maas_bin_column *found;
    _Atomic int failed;
} binning;

/* Numbers the sorted values; a bin ends where the value changes and it has its share of the rows.
 */
static uint32_t number(const keyed *s, int64_t n, int64_t n_different, float *low, float *high,
                       uint16_t *codes, int32_t stride)
{
    const int64_t most = n_different <= (int64_t)MAAS_MAX_BINS ? 0 : n / (MAAS_MAX_BINS - 1) + 1;
    uint32_t bin = 0;
    int64_t in_bin = 0;
    for (int64_t i = 0; i < n; i++) {
        if (i > 0 && s[i].key != s[i - 1].key && in_bin >= most) {
            bin++;
            in_bin = 0;
        }
        if (in_bin++ == 0)
            low[bin] = value_of(s[i].key);
        high[bin] = value_of(s[i].key);
        codes[(int64_t)s[i].row * stride] = (uint16_t)bin;
    }
    return n ? bin + 1 : 0;
}

static void bin_column(void *arg, int64_t col, int ithr)
{
    binning *w = arg;
    maas_bins *b = w->bins;
    keyed *s = w->scratch[ithr];
    const float *x = w->m->x + col * w->m->n_rows;
    uint16_t *codes = b->codes + col;
    int64_t n = 0, n_different = 0;
    for (int64_t i = 0; i < b->n_rows; i++) {
        const float v = x[w->train->at[i]];
        if (isnan(v))
            codes[i * b->n_cols] = MAAS_BIN_MISSING;
        else
            s[n++] = (keyed){key_of(v), (uint32_t)i};
    }
    sort_keyed(s, s + b->n_rows, n);
    for (int64_t i = 0; i < n; i++)
        n_different += i == 0 || s[i].key != s[i - 1].key;
    float *low = w->edges[ithr], *high = low + MAAS_MAX_BINS;
    maas_bin_column c = {.has_missing = n < b->n_rows};
    c.n = number(s, n, n_different, low, high, codes, b->n_cols);
    c.low = maas_alloc(2 * (c.n + 1) * sizeof(float)); /* moved to the arena by the caller */
    if (!c.low) {
        w->failed = 1;
        return;
    }
    memcpy(c.low, low, c.n * sizeof *low);
    memcpy(c.low + c.n, high, c.n * sizeof *high);
    w->found[col] = c;
}

static bool take_scratch(binning *w, maas_arena *a, int n_threads)
{
    w->scratch = maas_arena_array(a, (size_t)n_threads, sizeof *w->scratch);
    w->edges = maas_arena_array(a, (size_t)n_threads, sizeof *w->edges);
    w->found = maas_arena_array(a, (size_t)w->bins->n_cols, sizeof *w->found);
    bool ok = w->scratch && w->edges && w->found;
    for (int t = 0; ok && t < n_threads; t++) {
        w->scratch[t] = maas_arena_array(a, (size_t)w->bins->n_rows * 2, sizeof(keyed));
        w->edges[t] = maas_arena_array(a, 2 * MAAS_MAX_BINS, sizeof(float));
        ok = w->scratch[t] && w->edges[t];
    }
    return ok;
}

/* What the threads found goes to the arena, in the order of the columns. */
static bool keep(maas_bins *b, maas_bin_column *found)
{
    bool ok = true;
    for (int32_t c = 0; c < b->n_cols; c++) {
        maas_bin_column *to = &b->cols[c];
        *to = found[c];
        to->low = ok && found[c].low
                      ? maas_arena_dup(&b->arena, found[c].low, 2 * (size_t)to->n * sizeof(float))
                      : NULL;
        to->high = to->low ? to->low + to->n : NULL;
        ok = to->low != NULL;
        maas_free(found[c].low);
    }
    return ok;
}

maas_status maas_bins_init(maas_bins *b, const maas_matrix *m, const maas_rows *train,
                           int n_threads, maas_budget *budget, maas_err *err)
{
    *b = (maas_bins){.n_rows = train->n, .n_cols = (int32_t)m->n_cols};
    maas_arena_init(&b->arena, budget);
    size_t n;
    if (m->n_cols > INT32_MAX / 4 ||
        __builtin_mul_overflow((size_t)train->n, (size_t)m->n_cols, &n))
        return maas_fail(err, MAAS_E_TOO_LARGE, "%lld columns", (long long)m->n_cols);
    b->codes = maas_arena_array(&b->arena, n, sizeof *b->codes);
    b->cols = maas_arena_array(&b->arena, (size_t)m->n_cols, sizeof *b->cols);
    maas_arena scratch;
    maas_arena_init(&scratch, budget);
    binning w = {.bins = b, .m = m, .train = train};
    n_threads = n_threads < 1 ? 1 : n_threads;
    bool ok = b->codes && b->cols && take_scratch(&w, &scratch, n_threads);
    if (ok) {
        maas_threads_loop(n_threads, m->n_cols, bin_column, &w);
        ok = keep(b, w.found) && !w.failed;
    }
    maas_arena_reset(&scratch);
    return ok ? MAAS_OK
              : maas_fail(err, MAAS_E_NOMEM, "sorting %lld rows and %lld columns",
                          (long long)train->n, (long long)m->n_cols);
}

void maas_bins_reset(maas_bins *b)
{
    maas_arena_reset(&b->arena);
    *b = (maas_bins){0};
}

double maas_bins_between(const maas_bins *b, int32_t col, uint32_t code, uint32_t next)
{
    const double a = b->cols[col].high[code], z = b->cols[col].low[next];
    const double middle = a / 2 + z / 2;
    return middle < z ? middle : a; /* neighbouring numbers may have nothing in between */
}
