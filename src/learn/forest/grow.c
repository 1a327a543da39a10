/* learn/forest/grow.c - a tree from the root down: depth first, or the best cut first. */
#include "learn/forest/scan.h"

#include <math.h>

#include "base/mem.h"

#include "base/ban.h"

#define HIST_MAX   (1 << 20) /* numbers in a histogram */
#define POLL_EVERY (1 << 21) /* rows looked at between two questions whether to go on */
#define DEEPEST    64        /* of the stack: the larger child waits, so each level halves */

static maas_status make_cells(maas_grower *g, maas_err *err)
{
    const maas_grow_data *d = g->d;
    size_t n_codes;
    if (!d->is_class || d->isolate || d->entropy || d->random_cuts ||
        d->n_stats > MAAS_CELL_CLASSES ||
        __builtin_mul_overflow((size_t)d->bins->n_rows, (size_t)d->bins->n_cols, &n_codes) ||
        n_codes > UINT32_MAX)
        return MAAS_OK;
    g->n_lanes = maas_cells_lanes(d->n_stats);
    const size_t lanes = (size_t)g->n_lanes;
    const size_t n_bins = MAAS_CELL_COLUMNS * MAAS_NARROW;
    g->cells = maas_arena_array(&g->arena, n_bins * lanes, sizeof *g->cells);
    g->tally = maas_arena_array(&g->arena, n_bins, sizeof *g->tally);
    g->all = maas_arena_array(&g->arena, 2 * lanes, sizeof *g->all);
    g->left16 = g->all + lanes;
    g->brief = maas_arena_array(&g->arena, (size_t)g->cap, sizeof *g->brief);
    return g->cells && g->tally && g->all && g->brief
               ? MAAS_OK
               : maas_fail(err, MAAS_E_NOMEM, "growing a tree of %lld rows", (long long)g->cap);
}

maas_status maas_grower_init(maas_grower *g, const maas_grow_data *d, int64_t cap, maas_err *err)
{
    *g = (maas_grower){.d = d, .cap = cap};
    maas_arena_init(&g->arena, d->budget);
    const size_t n = (size_t)cap, k = (size_t)d->n_stats + 1;
    g->n_hist = 2 * cap < HIST_MAX ? 2 * cap : HIST_MAX;
    g->samples = maas_arena_array(&g->arena, n, sizeof *g->samples);
    g->spare = maas_arena_array(&g->arena, n, sizeof *g->spare);
    g->codes = maas_arena_array(&g->arena, n, sizeof *g->codes);
    g->keys = maas_arena_array(&g->arena, n, sizeof *g->keys);
    g->keys2 = maas_arena_array(&g->arena, n, sizeof *g->keys2);
    g->hist = maas_arena_array(&g->arena, (size_t)g->n_hist, sizeof *g->hist);
    double *sums = maas_arena_array(&g->arena, 3 * k, sizeof *sums);
    g->near = maas_arena_array(&g->arena, MAAS_NEAR, sizeof *g->near);
    g->logs = maas_arena_array(&g->arena, MAAS_N_LOGS, sizeof *g->logs);
    g->features = maas_arena_array(&g->arena, (size_t)d->bins->n_cols, sizeof *g->features);
    if (!g->samples || !g->spare || !g->codes || !g->keys || !g->keys2 || !g->hist || !sums ||
        !g->near || !g->logs || !g->features)
        return maas_fail(err, MAAS_E_NOMEM, "growing a tree of %lld rows", (long long)cap);
    MAAS_TRY(make_cells(g, err));
    g->left = sums;
    g->gaps = sums + k;
    g->stats.s = sums + 2 * k;
    for (int i = 1; i < MAAS_N_LOGS; i++)
        g->logs[i] = i * log2(i);
    return MAAS_OK;
}

void maas_grower_reset(maas_grower *g)
{
    maas_arena_reset(&g->arena);
    *g = (maas_grower){0};
}

void maas_grown_reset(maas_grown *t)
{
    maas_free(t->nodes);
    maas_free(t->values);
    maas_free(t->importances);
    if (t->budget)
        maas_budget_give(t->budget, t->charged);
    *t = (maas_grown){0};
}

/* ---- what is kept of a tree ---- */

static bool charge(maas_grown *t, size_t bytes)
{
    if (t->budget && !maas_budget_take(t->budget, bytes))
        return false;
    t->charged += t->budget ? bytes : 0;
    return true;
}

/* As maas_grow, charged. */
static bool more(maas_grown *t, void *p, size_t *cap, size_t n, size_t size)
{
    const size_t had = *cap;
    if (n <= had)
        return true;
    if (!charge(t, (n > 2 * had ? n : 2 * had) * size))
        return false;
    return maas_grow(p, cap, n, size);
}

static maas_status add_node(maas_grown *t, int32_t *out, maas_err *err)
{
    if (t->n_nodes >= INT32_MAX - 1 ||
        !more(t, &t->nodes, &t->cap_nodes, t->n_nodes + 1, sizeof *t->nodes))
        return maas_fail(err, MAAS_E_NOMEM, "a tree of %zu nodes", t->n_nodes);
    *out = (int32_t)t->n_nodes;
    t->nodes[t->n_nodes++] = (maas_grown_node){.feature = -1};
    return MAAS_OK;
}

static maas_status add_value(maas_grown *t, int32_t target, double value, maas_err *err)
{
    if (t->n_values >= UINT32_MAX - 1 ||
        !more(t, &t->values, &t->cap_values, t->n_values + 1, sizeof *t->values))
        return maas_fail(err, MAAS_E_NOMEM, "a tree with %zu values", t->n_values);
    t->values[t->n_values++] = (maas_grown_value){target, value};
    return MAAS_OK;
}

/* ---- statistics of a node ---- */

static void look_at_numbers(const maas_grow_data *d, const maas_sample *s, int64_t n,
                            maas_node_stats *out)
{
    const size_t k_max = (size_t)d->n_stats;
    const double *first = d->y + s->code * k_max;
    for (int64_t i = 0; i < n; i++) {
        const double *y = d->y + s[i].code * k_max, w = s[i].weight;
        out->w += w;
        for (size_t k = 0; k < k_max; k++) {
            out->s[k] += w * y[k];
            out->q += w * y[k] * y[k];
            out->pure &= y[k] == first[k];
        }
    }
}

static void look(maas_grower *g, int64_t from, int64_t to)
{
    const maas_grow_data *d = g->d;
    const maas_sample *s = g->samples + from;
    const int64_t n = to - from;
    maas_node_stats *out = &g->stats;
    *out = (maas_node_stats){.s = out->s, .n = (uint32_t)n, .pure = true};
    g->in_cells = g->n_lanes && g->packed && maas_cells_sum(g, s, n);
    if (g->in_cells)
        return;
    memset(out->s, 0, (size_t)d->n_stats * sizeof *out->s);
    if (d->isolate) {
        out->w = (double)n;
        out->pure = false;
    } else if (d->is_class) {
        for (int64_t i = 0; i < n; i++)
            out->s[s[i].code] += s[i].weight;
    } else {
        look_at_numbers(d, s, n, out);
    }
    int32_t n_present = 0;
    for (int32_t k = 0; k < d->n_stats; k++) {
        out->squares += out->s[k] * out->s[k];
        n_present += out->s[k] > 0;
        out->w += d->is_class ? out->s[k] : 0;
    }
    if (d->is_class)
        out->pure = n_present <= 1;
}

double maas_impurity(const maas_grow_data *d, const maas_node_stats *s)
{
    double sum = 0;
    if (d->is_class && d->entropy) {
        for (int32_t k = 0; k < d->n_stats; k++)
            sum -= s->s[k] > 0 ? s->s[k] / s->w * log2(s->s[k] / s->w) : 0;
        return sum;
    }
    sum = s->squares / (s->w * s->w);
    return d->is_class ? 1 - sum : d->n_stats ? (s->q / s->w - sum) / d->n_stats : 0;
}

/* What the cut takes from the node's impurity, times the node's weight; the gain of the cut says
 * what is left on the two sides. */
static double taken(const maas_grow_data *d, const maas_node_stats *s, double gain)
{
    const double had = s->w * maas_impurity(d, s);
    if (d->is_class)
        return d->entropy ? had + gain : had - (s->w - gain);
    return d->n_stats ? had - (s->q - gain) / d->n_stats : 0;
}

/* ---- a tree ---- */

typedef struct frontier { /* a node that is not done yet */
    int64_t from, to, depth;
    int32_t node;
    double taken; /* by its cut */
    maas_cut cut; /* feature < 0: it is a leaf */
} frontier;

/* Statistics of the node, and the cut it will have. */
static maas_status evaluate(maas_grower *g, maas_grown *t, double total, frontier *f, maas_err *err)
{
    const maas_grow_data *d = g->d;
    const int64_t n = f->to - f->from;
    if (d->stop) {
        g->n_since_poll += n;
        if (g->polls && d->poll && g->n_since_poll > POLL_EVERY) {
            g->n_since_poll = 0;
            if (d->poll(d->poll_user))
                atomic_store(d->stop, true);
        }
        if (atomic_load_explicit(d->stop, memory_order_relaxed))
            return maas_fail(err, MAAS_E_CANCELLED, "cancelled");
    }
    look(g, f->from, f->to);
    const maas_node_stats *s = &g->stats;
    t->nodes[f->node].cover = (float)s->w;
    t->nodes[f->node].rows = s->n;
    f->cut.feature = -1;
    if (f->depth >= d->max_depth || n < d->min_split || n < 2 * d->min_leaf ||
        s->w < 2 * d->min_leaf_weight || s->pure)
        return MAAS_OK;
    f->cut = maas_cut_find(g, f->from, f->to);
    if (f->cut.feature < 0)
        return MAAS_OK;
    f->taken = taken(d, s, f->cut.gain);
    if (f->taken / total + 2.3e-16 < d->min_gain)
        f->cut.feature = -1;
    return MAAS_OK;
}

/* The rows that go left come first; both sides keep their order. Gives where the right begins. */
static int64_t part(maas_grower *g, const frontier *f)
{
    const maas_bins *b = g->d->bins;
    const uint16_t *codes = g->codes_of + f->cut.feature;
    maas_sample *s = g->samples;
    int64_t left = f->from, right = 0;
    for (int64_t i = f->from; i < f->to; i++) {
        const maas_sample x = s[i];
        const uint32_t c = codes[x.row * (size_t)b->n_cols];
        const bool goes_left = c == MAAS_BIN_MISSING ? f->cut.missing_left : c <= f->cut.code;
        s[left] = x;
        g->spare[right] = x;
        left += goes_left;
        right += !goes_left;
    }
    memcpy(s + left, g->spare, (size_t)right * sizeof *s);
    return left;
}

static maas_status divide(maas_grower *g, maas_grown *t, const frontier *f, frontier *left,
                          frontier *right, maas_err *err)
{
    const int64_t middle = part(g, f);
    *left = (frontier){.from = f->from, .to = middle, .depth = f->depth + 1};
    *right = (frontier){.from = middle, .to = f->to, .depth = f->depth + 1};
    MAAS_TRY(add_node(t, &left->node, err));
    MAAS_TRY(add_node(t, &right->node, err));
    maas_grown_node *n = &t->nodes[f->node];
    n->feature = f->cut.feature;
    n->code = f->cut.code;
    n->split = f->cut.split;
    n->missing_left = f->cut.missing_left;
    n->left = left->node;
    n->right = right->node;
    t->importances[f->cut.feature] += f->taken;
    return MAAS_OK;
}

/* A leaf says the shares of the classes that came to it, or the mean of its numbers. */
static maas_status finish_leaf(maas_grower *g, maas_grown *t, const frontier *f, maas_err *err)
{
    const maas_grow_data *d = g->d;
    const maas_node_stats *s = &g->stats; /* of this node: it was looked at last */
    maas_grown_node *n = &t->nodes[f->node];
    n->first = (uint32_t)t->n_values;
    if (d->isolate)
        return add_value(t, 0, (double)f->depth, err);
    for (int32_t k = 0; k < d->n_stats; k++)
        if (!d->is_class)
            MAAS_TRY(add_value(t, k, s->s[k] / s->w + d->means[k], err));
        else if (s->s[k] > 0)
            MAAS_TRY(add_value(t, k, s->s[k] / s->w, err));
    return MAAS_OK;
}

static maas_status leaf(maas_grower *g, maas_grown *t, const frontier *f, maas_err *err)
{
    MAAS_TRY(finish_leaf(g, t, f, err));
    maas_grown_node *n = &t->nodes[f->node];
    n->count = (uint32_t)t->n_values - n->first;
    return MAAS_OK;
}

/* Copies the codes of a small node's rows, which its samples then number from 0: nothing below it
 * needs to know which rows they were. */
static bool gather_rows(maas_grower *g, const frontier *f)
{
    const size_t n_cols = (size_t)g->d->bins->n_cols;
    maas_sample *s = g->samples;
    g->codes_of = g->d->bins->codes;
    if (n_cols > MAAS_NEAR || f->to - f->from > (int64_t)(MAAS_NEAR / n_cols))
        return false;
    for (int64_t i = f->from; i < f->to; i++) {
        const size_t at = (size_t)(i - f->from);
        memcpy(g->near + at * n_cols, g->codes_of + s[i].row * n_cols, n_cols * sizeof *g->near);
        s[i].row = (uint32_t)at;
    }
    g->codes_of = g->near;
    return true;
}

/* The smaller child is next, the larger one waits: so few wait however deep the tree is. */
static maas_status depth_first(maas_grower *g, maas_grown *t, frontier root, double total,
                               maas_err *err)
{
    frontier stack[DEEPEST];
    size_t n = 0, near = DEEPEST; /* the first place of the stack whose rows are near */
    stack[n++] = root;
    while (n) {
        frontier f = stack[--n], left, right;
        if (n < near)
            near = gather_rows(g, &f) ? n : DEEPEST;
        MAAS_TRY(evaluate(g, t, total, &f, err));
        if (f.cut.feature < 0) {
            MAAS_TRY(leaf(g, t, &f, err));
            continue;
        }
        MAAS_TRY(divide(g, t, &f, &left, &right, err));
        const bool left_waits = left.to - left.from > right.to - right.from;
        stack[n++] = left_waits ? left : right;
        stack[n++] = left_waits ? right : left;
    }
    return MAAS_OK;
}

/* ---- best first: a heap of nodes by what their cuts take ---- */

static bool before(const frontier *a, const frontier *b)
{
    return a->taken != b->taken ? a->taken > b->taken : a->node < b->node;
}

static void sift_up(frontier *h, size_t i)
{
    for (; i > 0 && before(&h[i], &h[(i - 1) / 2]); i = (i - 1) / 2) {
        const frontier tmp = h[i];
        h[i] = h[(i - 1) / 2];
        h[(i - 1) / 2] = tmp;
    }
}

static void sift_down(frontier *h, size_t n)
{
    for (size_t i = 0, k; (k = 2 * i + 1) < n; i = k) {
        k += k + 1 < n && before(&h[k + 1], &h[k]);
        if (!before(&h[k], &h[i]))
            return;
        const frontier tmp = h[i];
        h[i] = h[k];
        h[k] = tmp;
    }
}

/* Puts the node on the heap, or makes it a leaf when it has no cut. */
static maas_status add_to_heap(maas_grower *g, maas_grown *t, double total, frontier *f,
                               frontier *heap, size_t *n, maas_err *err)
{
    MAAS_TRY(evaluate(g, t, total, f, err));
    if (f->cut.feature < 0)
        return leaf(g, t, f, err);
    heap[*n] = *f;
    sift_up(heap, (*n)++);
    return MAAS_OK;
}

static maas_status best_first(maas_grower *g, maas_grown *t, frontier root, double total,
                              maas_err *err)
{
    int64_t most = g->d->max_leaf_nodes, n_rows = root.to - root.from;
    most = most < n_rows ? most : n_rows;
    const size_t bytes = (size_t)(most + 1) * sizeof(frontier);
    maas_budget *budget = g->d->budget;
    AUTO_FREE frontier *heap = !budget || maas_budget_take(budget, bytes) ? maas_alloc(bytes)
                                                                          : NULL;
    if (!heap)
        return maas_fail(err, MAAS_E_NOMEM, "a tree of %lld leaves", (long long)most);
    size_t n = 0;
    int64_t n_leaves = 1;
    maas_status st = add_to_heap(g, t, total, &root, heap, &n, err);
    while (st == MAAS_OK && n && n_leaves < most) {
        frontier f = heap[0], left, right;
        heap[0] = heap[--n];
        sift_down(heap, n);
        st = divide(g, t, &f, &left, &right, err);
        if (st == MAAS_OK)
            st = add_to_heap(g, t, total, &left, heap, &n, err);
        if (st == MAAS_OK)
            st = add_to_heap(g, t, total, &right, heap, &n, err);
        n_leaves++;
    }
    for (size_t i = 0; st == MAAS_OK && i < n; i++) { /* what was not cut any more */
        look(g, heap[i].from, heap[i].to);
        st = leaf(g, t, &heap[i], err);
    }
    if (budget)
        maas_budget_give(budget, bytes);
    return st;
}

maas_status maas_grower_tree(maas_grower *g, int64_t n, maas_grown *out, maas_err *err)
{
    const int32_t n_cols = g->d->bins->n_cols;
    *out = (maas_grown){.budget = g->d->budget};
    if (charge(out, (size_t)n_cols * sizeof(double)))
        out->importances = maas_calloc((size_t)n_cols, sizeof(double));
    if (!out->importances)
        return maas_fail(err, MAAS_E_NOMEM, "importances of %d columns", n_cols);
    for (int32_t i = 0; i < n_cols; i++)
        g->features[i] = i;
    g->codes_of = g->d->bins->codes;
    frontier root = {.from = 0, .to = n};
    MAAS_TRY(add_node(out, &root.node, err));
    double total = 0, sum = 0;
    g->packed = g->d->is_class && g->d->n_stats <= UINT16_MAX;
    g->light = g->packed;
    for (int64_t i = 0; i < n; i++) {
        const float w = g->samples[i].weight;
        total += w;
        g->light &= w <= MAAS_RANK_WEIGHT;
        g->packed &= w <= UINT16_MAX && w == (float)(int32_t)w;
    }
    MAAS_TRY((g->d->max_leaf_nodes ? best_first : depth_first)(g, out, root, total, err));
    for (int32_t i = 0; i < n_cols; i++)
        sum += out->importances[i];
    for (int32_t i = 0; sum > 0 && i < n_cols; i++)
        out->importances[i] /= sum;
    return MAAS_OK;
}

/* ---- looking up ---- */

const maas_grown_node *maas_grown_leaf(const maas_grown *t, const uint16_t *codes)
{
    const maas_grown_node *n = t->nodes;
    while (n->feature >= 0) {
        const uint32_t c = codes[n->feature];
        const bool left = c == MAAS_BIN_MISSING ? n->missing_left : c <= n->code;
        n = &t->nodes[left ? n->left : n->right];
    }
    return n;
}

void maas_grown_leaves(const maas_grown *t, const uint16_t *const codes[MAAS_WALKS],
                       const maas_grown_node *out[MAAS_WALKS])
{
    bool inner = true;
    for (int i = 0; i < MAAS_WALKS; i++)
        out[i] = t->nodes;
    while (inner) {
        inner = false;
        for (int i = 0; i < MAAS_WALKS; i++) {
            const maas_grown_node *n = out[i];
            if (n->feature < 0)
                continue;
            const uint32_t c = codes[i][n->feature];
            const bool left = c == MAAS_BIN_MISSING ? n->missing_left : c <= n->code;
            out[i] = &t->nodes[left ? n->left : n->right];
            inner = true;
        }
    }
}

const maas_grown_node *maas_grown_leaf_of(const maas_grown *t, const float *x, int64_t step)
{
    const maas_grown_node *n = t->nodes;
    while (n->feature >= 0) {
        const float v = x[n->feature * step];
        const bool left = isnan(v) ? n->missing_left : (double)v <= n->split;
        n = &t->nodes[left ? n->left : n->right];
    }
    return n;
}
