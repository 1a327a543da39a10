/*
 * TfIdfVectorizer - how often the n-grams of a pool occur in each row, with gaps between their
 * items if asked for; counted, as 1 or 0 times a weight, or counted times a weight.
 *
 *   pool         the n-grams one after another, those of one item first
 *   ngram_counts where those of 1, 2, ... items begin in the pool
 *   ngram_indexes[i] the column of n-gram i;  weights[i] its weight
 */
#include "ops/ops_int.h"

#include "base/ban.h"

#define MAX_COLUMNS (1 << 24)

enum { MODE_TF, MODE_IDF, MODE_TFIDF };

typedef struct pool {
    const maas_attr *items; /* pool_strings or pool_int64s */
    const int64_t *starts, *columns;
    const float *weights; /* NULL: all 1 */
    uint32_t n_starts, n_grams;
    int64_t shortest, longest, skips, width;
    int mode;
} pool;

static maas_status mode_of(const maas_node *n, int *out, maas_err *err)
{
    static const char *const names[] = {"TF", "IDF", "TFIDF"};
    const maas_str s = maas_attr_s(n, "mode", "");
    for (int i = 0; i < (int)MAAS_COUNT(names); i++)
        if (s.n == strlen(names[i]) && memcmp(s.p, names[i], s.n) == 0) {
            *out = i;
            return MAAS_OK;
        }
    return maas_fail(err, MAAS_E_INVALID, "attribute 'mode' must be TF, IDF or TFIDF");
}

/* Where n-grams of n items begin. */
static int64_t start_of(const pool *p, int64_t n)
{
    return n <= p->n_starts ? p->starts[n - 1] : p->items->n;
}

/* Every length fills its part of the pool; together they are as many as there are columns. */
static maas_status check_pool(const pool *p, maas_err *err)
{
    uint64_t grams = 0;
    for (int64_t n = 1; n <= p->n_starts; n++) {
        const int64_t from = start_of(p, n), to = start_of(p, n + 1);
        if (from < 0 || to < from || to > p->items->n || (to - from) % n || (n == 1 && from))
            return maas_fail(err, MAAS_E_INVALID,
                             "attribute 'ngram_counts' does not divide the pool at %lld",
                             (long long)n);
        grams += (uint64_t)((to - from) / n);
    }
    if (grams != p->n_grams)
        return maas_fail(err, MAAS_E_INVALID, "%llu n-grams for %u numbers in 'ngram_indexes'",
                         (unsigned long long)grams, p->n_grams);
    return MAAS_OK;
}

static maas_status lists_of(const maas_node *n, pool *p, maas_err *err)
{
    const maas_attr *words = maas_node_attr(n, "pool_strings");
    const maas_attr *numbers = maas_node_attr(n, "pool_int64s");
    const maas_attr *weights = maas_node_attr(n, "weights");
    if (!words == !numbers)
        return maas_fail(err, MAAS_E_INVALID, "one of 'pool_strings' and 'pool_int64s' is needed");
    p->items = words ? words : numbers;
    p->starts = maas_attr_ints(n, "ngram_counts", &p->n_starts);
    p->columns = maas_attr_ints(n, "ngram_indexes", &p->n_grams);
    if (weights && weights->n != p->n_grams)
        return maas_fail(err, MAAS_E_INVALID, "%u weights for %u n-grams", weights->n, p->n_grams);
    p->weights = weights ? weights->u.floats : NULL;
    for (uint32_t i = 0; i < p->n_grams; i++) {
        if (p->columns[i] < 0 || p->columns[i] >= MAX_COLUMNS)
            return maas_fail(err, MAAS_E_INVALID, "attribute 'ngram_indexes' has %lld",
                             (long long)p->columns[i]);
        p->width = p->columns[i] >= p->width ? p->columns[i] + 1 : p->width;
    }
    return check_pool(p, err);
}

static maas_status pool_of(const maas_node *n, pool *p, maas_err *err)
{
    *p = (pool){.shortest = maas_attr_i(n, "min_gram_length", 1),
                .longest = maas_attr_i(n, "max_gram_length", 1),
                .skips = maas_attr_i(n, "max_skip_count", 0)};
    MAAS_TRY(mode_of(n, &p->mode, err));
    MAAS_TRY(lists_of(n, p, err));
    if (p->shortest < 1 || p->longest < p->shortest || p->longest > p->n_starts)
        return maas_fail(err, MAAS_E_INVALID, "n-grams of %lld to %lld items: the pool has 1 to %u",
                         (long long)p->shortest, (long long)p->longest, p->n_starts);
    if (p->skips < 0 || p->skips > 1000)
        return maas_fail(err, MAAS_E_INVALID, "attribute 'max_skip_count' must be 0 to 1000");
    return MAAS_OK;
}

static maas_status vectorizer_infer(maas_infer *q, maas_err *err)
{
    pool p;
    MAAS_TRY(pool_of(q->node, &p, err));
    const maas_type *x = &q->in[0];
    if ((x->dtype == MAAS_STRING) != (p.items->type == MAAS_ATTR_STRINGS))
        return maas_fail(err, MAAS_E_INVALID, "the pool is of another type than X");
    if (x->rank > 2 || x->rank == 0)
        return maas_fail(err, MAAS_E_INVALID, "X must be [C] or [N, C]");
    maas_q_unranked(q, 0, MAAS_F32);
    if (x->rank < 0)
        return MAAS_OK;
    const int64_t dims[] = {x->dims[0], p.width};
    maas_q_out(q, 0, MAAS_F32, x->rank, x->rank == 1 ? dims + 1 : dims);
    return MAAS_OK;
}

static bool same_item(const pool *p, int64_t k, const maas_tensor *x, int64_t i)
{
    if (x->dtype != MAAS_STRING)
        return p->items->u.ints[k] == maas_tensor_get_i64(x, i);
    const maas_str a = p->items->u.strings[k], b = ((const maas_str *)x->data)[i];
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Counts the n-gram at x[i], x[i + step], ... in its column; the first of the pool that matches. */
static void count_gram(const pool *p, const maas_tensor *x, int64_t i, int64_t n, int64_t step,
                       int64_t first_gram, float *y)
{
    const int64_t from = start_of(p, n), to = start_of(p, n + 1);
    for (int64_t g = 0; from + g * n < to; g++) {
        int64_t k = 0;
        while (k < n && same_item(p, from + g * n + k, x, i + k * step))
            k++;
        if (k < n)
            continue;
        const float w = p->weights && p->mode != MODE_TF ? p->weights[first_gram + g] : 1;
        float *column = &y[p->columns[first_gram + g]];
        *column = p->mode == MODE_IDF ? w : *column + w;
        return;
    }
}

/* One row: items of one are counted once, longer ones for every distance between items. */
static void count_row(const pool *p, const maas_tensor *x, int64_t at, int64_t items, float *y)
{
    int64_t first_gram = 0;
    for (int64_t n = 1; n <= p->longest; n++) {
        const int64_t distances = n == 1 ? 1 : p->skips + 1;
        for (int64_t step = 1; n >= p->shortest && step <= distances; step++)
            for (int64_t i = 0; i + (n - 1) * step < items; i++)
                count_gram(p, x, at + i, n, step, first_gram, y);
        first_gram += (start_of(p, n + 1) - start_of(p, n)) / n;
    }
}

static maas_status vectorizer_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    pool p;
    MAAS_TRY(pool_of(c->node, &p, err));
    const int64_t items = x->dims[x->rank - 1], rows = x->rank == 2 ? x->dims[0] : 1;
    memset(c->out[0].data, 0, maas_tensor_bytes(&c->out[0]));
    for (int64_t r = 0; r < rows; r++)
        count_row(&p, x, r * items, items, (float *)c->out[0].data + r * p.width);
    return MAAS_OK;
}

static int64_t vectorizer_flops(const maas_call *c)
{
    const maas_attr *columns = maas_node_attr(c->node, "ngram_indexes");
    const double n = (double)maas_n_elems(&c->in[0]) * (columns ? columns->n : 1) *
                     (double)(maas_attr_i(c->node, "max_skip_count", 0) + 1);
    return n < 1e18 ? (int64_t)n : (int64_t)1e18;
}

static void vectorizer_example(maas_example *e)
{
    static const char *const modes[] = {"TF", "IDF", "TFIDF"};
    static const int64_t starts[] = {0, 2}, columns[] = {1, 0, 3, 2};
    static const int64_t numbers[] = {1, 3, 1, 2, 2, 2};
    static const maas_str words[] = {{"a", 1}, {"b", 1}, {"a", 1}, {"b", 1}, {"a", 1}, {"a", 1}};
    static const float weights[] = {2, 0.5f, -1, 3};
    const bool text = e->variant % 2;
    const maas_attr attr[] = {
        MAAS_A_STR("mode", modes[e->variant % 3]),
        MAAS_A_INT("min_gram_length", 1),
        MAAS_A_INT("max_gram_length", 2),
        MAAS_A_INT("max_skip_count", e->variant % 4),
        MAAS_A_INTS("ngram_counts", starts, 2),
        MAAS_A_INTS("ngram_indexes", columns, 4),
        text ? (maas_attr){.name = "pool_strings",
                           .type = MAAS_ATTR_STRINGS,
                           .n = 6,
                           .u.strings = words}
             : MAAS_A_INTS("pool_int64s", numbers, 6),
        {.name = "weights", .type = MAAS_ATTR_FLOATS, .n = 4, .u.floats = weights}};
    const maas_dtype t = text ? MAAS_STRING : e->variant % 4 ? MAAS_I32 : MAAS_I64;
    maas_vid x = e->variant < 3 ? maas_ex_in(e, t, 0, 4, MAAS_DIMS(3, 6))
                                : maas_ex_in(e, t, 0, 4, MAAS_DIMS(7));
    maas_b_node(e->b, "TfIdfVectorizer", attr, MAAS_COUNT(attr), &x, 1, NULL, 1);
}

#define ITEMS (MAAS_DTS_STR | MAAS_DTS_INDEX)
static const maas_io_schema in[] = {MAAS_REQ("X", NULL, ITEMS)};
static const maas_io_schema out[] = {MAAS_REQ("Y", NULL, MAAS_DT_BIT(MAAS_F32))};
static const maas_attr_schema attrs[] = {
    {"max_gram_length", MAAS_ATTR_INT, true}, {"max_skip_count", MAAS_ATTR_INT, true},
    {"min_gram_length", MAAS_ATTR_INT, true}, {"mode", MAAS_ATTR_STRING, true},
    {"ngram_counts", MAAS_ATTR_INTS, true},   {"ngram_indexes", MAAS_ATTR_INTS, true},
    {"pool_int64s", MAAS_ATTR_INTS, false},   {"pool_strings", MAAS_ATTR_STRINGS, false},
    {"weights", MAAS_ATTR_FLOATS, false}};

const maas_op maas_op_TfIdfVectorizer = {
    .domain = "",
    .name = "TfIdfVectorizer",
    .since = 9,
    .flags = MAAS_OP_STRINGS,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 6,
    .infer = vectorizer_infer,
    .reference = vectorizer_reference,
    .flops = vectorizer_flops,
    .example = vectorizer_example,
    .no_gradient = "it counts items",
};
