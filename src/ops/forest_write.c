/*
 * A forest before it is written: its nodes in the order of the file, and what decides which
 * operator can say it. The lists themselves are made in forest_lists.c.
 */
#include "ops/forest_write.h"

#include <float.h>
#include <math.h>

#include "ops/ops_int.h"
#include "base/ban.h"

/* ---- rows of floats ---- */

/* The next float on that side of a double; the double itself when it is one. */
static float round_to(double v, bool up)
{
    const float f = v > FLT_MAX    ? (isinf(v) || up ? INFINITY : FLT_MAX)
                    : v < -FLT_MAX ? (isinf(v) || !up ? -INFINITY : -FLT_MAX)
                                   : (float)v;
    if (up && (double)f < v)
        return nextafterf(f, INFINITY);
    return !up && (double)f > v ? nextafterf(f, -INFINITY) : f;
}

/* No float is below it: with LT it is never true, missing values aside. */
static const maas_split never = {MAAS_SPLIT_LT, -INFINITY};

static maas_split split_of_floats(const maas_tree_node *n)
{
    const bool up = n->mode == MAAS_SPLIT_LT || n->mode == MAAS_SPLIT_GTE;
    const maas_split s = {n->mode, round_to(n->split, up)};
    if (n->mode == MAAS_SPLIT_EQ && s.split != n->split)
        return never;
    return s;
}

/* ---- order ---- */

void maas_forest_text_reset(maas_forest_text *t)
{
    maas_arena_reset(&t->arena);
}

static void *list(maas_forest_text *t, size_t n, size_t size)
{
    return maas_arena_array(&t->arena, n ? n : 1, size);
}

void maas_forest_each_tree(const maas_forest_text *t, void (*fn)(void *arg, int64_t tree, int ithr),
                           void *arg)
{
    const int64_t n = t->f->n_trees;
    if (t->b->loop) {
        t->b->loop(t->b->n_threads, n, fn, arg);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        fn(arg, i, 0);
}

/* Parents before children, tree by tree: node t->order[k] is written as number k. */
static void put_in_order(maas_forest_text *t, int32_t *wait)
{
    const maas_forest *f = t->f;
    uint32_t n_order = 0;
    for (uint32_t k = 0; k < f->n_trees; k++) {
        uint32_t n_wait = 0;
        t->start[k] = n_order;
        wait[n_wait++] = f->roots[k];
        while (n_wait) {
            const int32_t at = wait[--n_wait];
            const maas_tree_node *n = &f->nodes[at];
            t->number[at] = (int32_t)n_order;
            t->tree[n_order] = (int32_t)k;
            t->order[n_order++] = at;
            if (n->mode == MAAS_SPLIT_LEAF)
                continue;
            wait[n_wait++] = n->no;
            wait[n_wait++] = n->yes;
        }
    }
}

/* What is found out about a tree: in its own place, so that threads need not wait for another. */
typedef struct noted {
    bool in_order;
    bool members, many, covers, negative;
    bool fits;    /* as floats, its weights are numbers still */
    int32_t most; /* features that it looks at are below */
    uint32_t n_weights;
} noted;

typedef struct looking {
    maas_forest_text *t;
    noted *of; /* [n_trees] */
} looking;

/* A tree that lies in order already, which those of learners and of most files do. */
static void take_order(void *arg, int64_t tree, int ithr)
{
    const looking *l = arg;
    maas_forest_text *t = l->t;
    const uint32_t from = t->start[tree], to = t->start[tree + 1];
    noted *n = &l->of[tree];
    n->in_order = maas_forest_tree_in_order(t->f, (uint32_t)tree, t->number + from);
    for (uint32_t k = from; n->in_order && k < to; k++) {
        t->number[k] = t->order[k] = (int32_t)k;
        t->tree[k] = (int32_t)tree;
    }
}

static bool all_in_order(maas_forest_text *t, looking *l)
{
    const maas_forest *f = t->f;
    for (uint32_t k = 0; k < f->n_trees; k++) {
        if (f->roots[k] < 0 || (uint32_t)f->roots[k] >= f->n_nodes ||
            (k && f->roots[k] <= f->roots[k - 1]))
            return false;
        t->start[k] = (uint32_t)f->roots[k];
    }
    maas_forest_each_tree(t, take_order, l);
    bool all = true;
    for (uint32_t k = 0; k < f->n_trees; k++)
        all = all && l->of[k].in_order;
    return all;
}

static void look_at_tree(void *arg, int64_t tree, int ithr)
{
    const looking *l = arg;
    const maas_forest_text *t = l->t;
    const maas_forest *f = t->f;
    noted o = {.covers = true, .fits = true};
    for (uint32_t k = t->start[tree]; k < t->start[tree + 1]; k++) {
        const maas_tree_node *n = &f->nodes[t->order[k]];
        o.covers = o.covers && n->cover > 0;
        if (n->mode != MAAS_SPLIT_LEAF) {
            o.members |= n->mode == MAAS_SPLIT_MEMBER;
            o.most = n->feature >= o.most ? n->feature + 1 : o.most;
            continue;
        }
        o.many |= n->count != 1;
        o.n_weights += n->count;
        for (uint32_t i = n->first; i < n->first + n->count; i++) {
            o.negative |= f->weights[i].weight < 0;
            o.fits = o.fits && fabs(f->weights[i].weight) <= FLT_MAX;
        }
    }
    l->of[tree] = o;
}

static void look(maas_forest_text *t, looking *l)
{
    const maas_forest *f = t->f;
    int32_t most = 0;
    bool fits = true;
    maas_forest_each_tree(t, look_at_tree, l);
    t->covers = true;
    for (uint32_t k = 0; k < f->n_trees; k++) {
        const noted *o = &l->of[k];
        t->members |= o->members;
        t->many |= o->many;
        t->negative |= o->negative;
        t->covers = t->covers && o->covers;
        fits = fits && o->fits;
        most = o->most > most ? o->most : most;
        t->weight_start[k + 1] = t->weight_start[k] + o->n_weights;
    }
    for (int32_t i = 0; f->base && i < f->n_targets; i++)
        fits = fits && fabs(f->base[i]) <= FLT_MAX;
    t->checked = fits ? (uint32_t)most + 2 : 0;
}

/* Does every row hear of every target? Then there is a tree for each, all of whose leaves speak of
 * it. */
typedef struct heard {
    uint32_t leaves;      /* of the tree that is looked at: a walk from..to in order */
    uint32_t *by;         /* [n_targets] how many of them speak of it */
    int32_t *tree, *leaf; /* [n_targets] by the leaves of which tree; the last of them; from 1 */
    bool *sure;
    uint32_t n_sure;
} heard;

static void count_leaf(const maas_forest_text *t, heard *h, uint32_t at)
{
    const maas_tree_node *n = &t->f->nodes[t->order[at]];
    if (n->mode != MAAS_SPLIT_LEAF)
        return;
    h->leaves++;
    for (uint32_t i = n->first; i < n->first + n->count; i++) {
        const int32_t k = t->f->weights[i].target, leaf = (int32_t)at + 1;
        if (h->tree[k] != t->tree[at] + 1)
            h->by[k] = 0;
        h->by[k] += h->leaf[k] != leaf;
        h->tree[k] = t->tree[at] + 1;
        h->leaf[k] = leaf;
    }
}

static void note_leaf(const maas_forest_text *t, heard *h, uint32_t at)
{
    const maas_tree_node *n = &t->f->nodes[t->order[at]];
    for (uint32_t i = 0; n->mode == MAAS_SPLIT_LEAF && i < n->count; i++) {
        const int32_t k = t->f->weights[n->first + i].target;
        if (!h->sure[k] && h->by[k] == h->leaves) {
            h->sure[k] = true;
            h->n_sure++;
        }
    }
}

maas_status maas_forest_listen(maas_forest_text *t, bool *out_heard, maas_err *err)
{
    const size_t n = (size_t)t->f->n_targets;
    heard h = {.by = list(t, n, sizeof *h.by),
               .tree = list(t, n, sizeof *h.tree),
               .leaf = list(t, n, sizeof *h.leaf),
               .sure = list(t, n, sizeof *h.sure)};
    if (!h.by || !h.tree || !h.leaf || !h.sure)
        return maas_fail(err, MAAS_E_NOMEM, "writing trees");
    for (uint32_t k = 0; k < t->f->n_trees && h.n_sure < n; k++) {
        h.leaves = 0;
        for (uint32_t at = t->start[k]; at < t->start[k + 1]; at++)
            count_leaf(t, &h, at);
        for (uint32_t at = t->start[k]; at < t->start[k + 1]; at++)
            note_leaf(t, &h, at);
    }
    *out_heard = h.n_sure == n;
    return MAAS_OK;
}

static maas_status open_lists(maas_forest_text *t, looking *l, maas_err *err)
{
    const maas_forest *f = t->f;
    t->order = list(t, f->n_nodes, sizeof *t->order);
    t->number = list(t, f->n_nodes, sizeof *t->number);
    t->tree = list(t, f->n_nodes, sizeof *t->tree);
    t->start = list(t, f->n_trees + (size_t)1, sizeof *t->start);
    t->weight_start = list(t, f->n_trees + (size_t)1, sizeof *t->weight_start);
    *l = (looking){t, list(t, f->n_trees, sizeof *l->of)};
    if (!t->order || !t->number || !t->tree || !t->start || !t->weight_start || !l->of)
        return maas_fail(err, MAAS_E_NOMEM, "writing trees");
    t->start[f->n_trees] = t->n_order = f->n_nodes; /* every node belongs to one tree */
    return MAAS_OK;
}

maas_status maas_forest_text_init(maas_forest_text *t, maas_builder *b, const maas_forest *f,
                                  maas_vid x)
{
    *t = (maas_forest_text){.f = f, .x = x, .b = b};
    maas_arena_init(&t->arena, b->g->arena.budget);
    const maas_type *type = maas_b_type(b, x);
    if (!type)
        return b->status;
    t->doubles = type->dtype == MAAS_F64;
    if (type->tag != MAAS_TYPE_TENSOR || (!t->doubles && type->dtype != MAAS_F32))
        return maas_fail(b->err, MAAS_E_INVALID, "trees look at rows of floats or doubles");
    if (f->n_trees == 0) {
        MAAS_TRY(maas_forest_verify(f, b->err));
        return maas_fail(b->err, MAAS_E_INVALID, "a forest without trees");
    }
    looking l;
    MAAS_TRY(open_lists(t, &l, b->err));
    MAAS_TRY(maas_forest_verify_whole(f, b->err));
    if (!all_in_order(t, &l)) {
        int32_t *wait = list(t, f->n_nodes, sizeof *wait);
        MAAS_TRY(maas_forest_verify(f, b->err));
        if (!wait)
            return maas_fail(b->err, MAAS_E_NOMEM, "writing trees");
        put_in_order(t, wait);
    }
    look(t, &l);
    return MAAS_OK;
}

/* ---- what both forms say about an inner node ---- */

/* NEQ is EQ with its children swapped: there a missing value goes where it should. */
maas_said maas_forest_say(const maas_forest_text *t, const maas_tree_node *n)
{
    maas_said s = {n->yes, n->no, n->missing_yes, {n->mode, n->split}};
    if (n->mode == MAAS_SPLIT_MEMBER)
        return s;
    maas_tree_node as = *n;
    if (n->mode == MAAS_SPLIT_NEQ) {
        as.mode = MAAS_SPLIT_EQ;
        s = (maas_said){n->no, n->yes, !n->missing_yes, {MAAS_SPLIT_EQ, n->split}};
    }
    if (!t->doubles)
        s.split = split_of_floats(&as);
    return s;
}
