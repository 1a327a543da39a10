#include "kernels/forest_pack.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/shared_packs.h"
#include "base/ban.h"

/* ---- whose pack it is ---- */

typedef struct entry {
    maas_pack pack; /* first: a pack is its entry */
    maas_arena arena;
    maas_forest *forest;
    const maas_op *op;
    maas_attr *attr; /* [n_attr] as the node has them: payloads are compared by address */
    uint32_t n_attr;
    int64_t n_features;
    int dtype;
} entry;

static bool is_of(const void *pack, const void *key)
{
    const entry *e = pack;
    const maas_call *c = key;
    const maas_tensor *x = &c->in[0];
    bool same = e->op == c->node->op && e->n_attr == c->node->n_attr && e->dtype == x->dtype &&
                e->n_features == x->dims[x->rank - 1];
    for (uint32_t i = 0; same && i < e->n_attr; i++) {
        const maas_attr *a = &e->attr[i], *b = &c->node->attr[i];
        same = a->name == b->name && a->type == b->type && a->n == b->n;
        if (same && a->type == MAAS_ATTR_STRING)
            same = a->u.s.p == b->u.s.p && a->u.s.n == b->u.s.n;
        else if (same && a->type == MAAS_ATTR_FLOAT)
            same = a->u.f == b->u.f;
        else
            same = same && a->u.i == b->u.i; /* an integer, or an address */
    }
    return same;
}

static void destroy(void *pack)
{
    entry *e = pack;
    maas_forest_destroy(e->forest);
    maas_arena_reset(&e->arena);
    maas_free(e);
}

/* ---- building ---- */

typedef struct item { /* a node that has its place and waits to be written */
    enum { PLAIN, SECOND_UP, SECOND_DOWN, JUMP } role;
    int32_t node;
    uint32_t to, depth; /* to: of a JUMP */
} item;

typedef struct packer {
    maas_pack *p;
    const maas_forest *f;
    maas_arena *a;
    item *items; /* [nodes of the largest tree] */
    uint32_t n_items, from, n_leaves, n_sets;
    int32_t *slot; /* [2][n_features] */
    uint32_t bits_used, lists_used;
} packer;

static maas_status no_memory(maas_err *err)
{
    return maas_fail(err, MAAS_E_NOMEM, "packing trees");
}

static bool by_equality(const maas_tree_node *n)
{
    return n->mode == MAAS_SPLIT_EQ || n->mode == MAAS_SPLIT_NEQ;
}

static uint32_t slot_of(packer *k, int32_t feature, bool negative)
{
    int32_t *slot = &k->slot[(size_t)negative * (size_t)k->f->n_features + (size_t)feature];
    if (*slot < 0) {
        *slot = (int32_t)k->p->n_slots++;
        k->p->slot_feature[*slot] = feature;
        k->p->slot_negative[*slot] = negative;
    }
    return (uint32_t)*slot;
}

/* The largest number of the rows' type that is at most s, or below it; NaN: there is none. */
static double at_most(const packer *k, double s, bool below)
{
    double t = s;
    if (k->p->kind == MAAS_PACK_DOUBLE) {
        if (below)
            t = nextafter(s, -INFINITY);
    } else {
        t = (float)s;
        if (t > s || (below && t == s))
            t = nextafterf((float)t, -INFINITY);
    }
    return below && s == -INFINITY ? NAN : t;
}

/* Bytes of a node, and words of 8 bytes of the lanes of a slot. */
static const struct kind {
    size_t node, slot;
} kinds[] = {
    [MAAS_PACK_SMALL] = {sizeof(maas_node_small), MAAS_PACK_LANES * sizeof(float) / 8},
    [MAAS_PACK_WIDE] = {sizeof(maas_node_wide), MAAS_PACK_LANES * sizeof(float) / 8},
    [MAAS_PACK_DOUBLE] = {sizeof(maas_node_double), MAAS_PACK_LANES * sizeof(double) / 8},
};

static void put(const packer *k, uint32_t at, double split, uint32_t slot, uint32_t next)
{
    const uint32_t lanes = slot == UINT32_MAX
                               ? slot
                               : (slot & MAAS_SLOT_MEMBER) |
                                     (slot & ~MAAS_SLOT_MEMBER) * (uint32_t)kinds[k->p->kind].slot;
    if (k->p->kind == MAAS_PACK_SMALL)
        ((maas_node_small *)k->p->nodes)[at] = (maas_node_small){(float)split, (uint16_t)lanes,
                                                                 (uint16_t)next};
    else if (k->p->kind == MAAS_PACK_WIDE)
        ((maas_node_wide *)k->p->nodes)[at] = (maas_node_wide){(float)split, lanes, next, 0};
    else
        ((maas_node_double *)k->p->nodes)[at] = (maas_node_double){split, lanes, next};
}

static void put_leaf(packer *k, uint32_t at)
{
    const uint32_t number = k->n_leaves++;
    double split = k->p->in_leaf ? k->p->weights[number] : number;
    if (!k->p->in_leaf && k->p->kind != MAAS_PACK_DOUBLE) {
        const uint32_t bits = number + MAAS_LEAF_BITS;
        float as;
        memcpy(&as, &bits, sizeof as);
        split = as;
    }
    put(k, at, split, UINT32_MAX, 0); /* the slot is known when all are: patch_leaves */
}

static uint32_t append(packer *k, item it, uint32_t depth)
{
    it.depth = depth + 1;
    k->items[k->n_items] = it;
    return k->n_items++;
}

/* x <= s and its relatives: the test, and who comes first of the pair. */
static void put_ordered(packer *k, uint32_t i, const maas_tree_node *n)
{
    static const uint8_t opposite[] = {MAAS_SPLIT_GT, MAAS_SPLIT_GTE, MAAS_SPLIT_LT,
                                       MAAS_SPLIT_LEQ};
    const uint8_t mode = n->missing_yes ? opposite[n->mode] : n->mode;
    const bool negative = mode == MAAS_SPLIT_GT || mode == MAAS_SPLIT_GTE;
    const bool below = mode == MAAS_SPLIT_GT || mode == MAAS_SPLIT_LT;
    const item yes = {PLAIN, n->yes, 0, 0}, no = {PLAIN, n->no, 0, 0};
    const uint32_t depth = k->items[i].depth;
    const uint32_t pair = append(k, n->missing_yes ? no : yes, depth);
    append(k, n->missing_yes ? yes : no, depth);
    put(k, k->from + i, at_most(k, negative ? -n->split : n->split, below),
        slot_of(k, n->feature, negative), pair - i);
}

/* x == s in two steps, of which the second leads back to the pair of the first. */
static void put_equal(packer *k, uint32_t i, int32_t node)
{
    const maas_tree_node *n = &k->f->nodes[node];
    const bool equal_is_yes = n->mode == MAAS_SPLIT_EQ;
    const bool missing_is_equal = n->missing_yes == equal_is_yes;
    const item other = {PLAIN, equal_is_yes ? n->no : n->yes, 0, 0};
    const item second = {missing_is_equal ? SECOND_DOWN : SECOND_UP, node, 0, 0};
    const uint32_t depth = k->items[i].depth;
    const uint32_t far = depth + 2; /* of the other one, when it is reached by the jump */
    const uint32_t pair = append(k, missing_is_equal ? other : second,
                                 missing_is_equal ? far : depth);
    append(k, missing_is_equal ? second : other, missing_is_equal ? depth : far);
    k->items[missing_is_equal ? pair + 1 : pair].to = missing_is_equal ? pair : pair + 1;
    if (missing_is_equal) /* x > s goes to the other one */
        put(k, k->from + i, at_most(k, -n->split, true), slot_of(k, n->feature, true), pair - i);
    else
        put(k, k->from + i, at_most(k, n->split, false), slot_of(k, n->feature, false), pair - i);
}

static void put_second(packer *k, uint32_t i, const item *it)
{
    const maas_tree_node *n = &k->f->nodes[it->node];
    const item equal = {PLAIN, n->mode == MAAS_SPLIT_EQ ? n->yes : n->no, 0, 0};
    const item back = {JUMP, it->node, it->to, 0};
    const bool up = it->role == SECOND_UP; /* x >= s is equal; else x < s is not */
    const uint32_t pair = append(k, up ? equal : back, it->depth);
    append(k, up ? back : equal, it->depth);
    put(k, k->from + i, at_most(k, up ? -n->split : n->split, !up), slot_of(k, n->feature, up),
        pair - i);
}

/* Bits for integers that are close together, else a list. */
static void put_set(packer *k, const maas_tree_node *n)
{
    maas_pack_set *s = &k->p->sets[k->n_sets++];
    const double *m = k->f->members + n->first;
    double low = INFINITY, high = -INFINITY;
    bool whole = n->count > 0;
    for (uint32_t i = 0; i < n->count; i++) {
        whole = whole && m[i] == floor(m[i]) && fabs(m[i]) < 1e9;
        low = fmin(low, m[i]);
        high = fmax(high, m[i]);
    }
    *s = (maas_pack_set){.missing = n->missing_yes};
    if (!whole || high - low >= 64.0 * n->count) {
        s->n_list = n->count;
        s->list = k->lists_used;
        if (n->count)
            memcpy(k->p->lists + k->lists_used, m, n->count * sizeof *m);
        k->lists_used += n->count;
        return;
    }
    s->first = low;
    s->n_bits = (uint32_t)(high - low) + 1;
    s->at = k->bits_used;
    for (uint32_t i = 0; i < n->count; i++) {
        const uint32_t bit = s->at * 64 + (uint32_t)(m[i] - low);
        k->p->bits[bit / 64] |= (uint64_t)1 << bit % 64;
    }
    k->bits_used += (s->n_bits + 63) / 64;
}

bool maas_pack_is_member(const maas_pack *p, double set, double x)
{
    const maas_pack_set *s = &p->sets[(uint32_t)set];
    if (isnan(x))
        return s->missing;
    const double at = x - s->first;
    if (at >= 0 && at < s->n_bits && at == floor(at)) {
        const uint32_t bit = s->at * 64 + (uint32_t)at;
        return p->bits[bit / 64] >> bit % 64 & 1;
    }
    for (uint32_t i = 0; i < s->n_list; i++)
        if (p->lists[s->list + i] == x)
            return true;
    return false;
}

static void put_member(packer *k, uint32_t i, const maas_tree_node *n)
{
    const uint32_t depth = k->items[i].depth;
    const uint32_t pair = append(k, (item){PLAIN, n->yes, 0, 0}, depth);
    append(k, (item){PLAIN, n->no, 0, 0}, depth);
    put(k, k->from + i, k->n_sets, slot_of(k, n->feature, false) | MAAS_SLOT_MEMBER, pair - i);
    put_set(k, n);
}

/* Weights of a leaf go to the number it gets. */
static void take_weights(packer *k, uint32_t tree, const maas_tree_node *n)
{
    maas_pack *p = k->p;
    const uint32_t leaf = k->n_leaves;
    const size_t n_targets = (size_t)k->f->n_targets;
    for (uint32_t i = n->first; i < n->first + n->count; i++) {
        const maas_leaf_weight *w = &k->f->weights[i];
        if (p->target) {
            p->target[tree] = w->target;
            p->weights[leaf] = w->weight;
        } else if (p->weights) {
            p->weights[leaf * n_targets + (size_t)w->target] += w->weight;
        } else {
            p->entries[p->list[leaf + 1]++] = *w; /* list[leaf + 1] is where the leaf ends so far */
        }
    }
    if (p->list)
        p->list[leaf + 2] = p->list[leaf + 1];
}

static void put_item(packer *k, uint32_t tree, uint32_t i)
{
    const item it = k->items[i];
    const maas_tree_node *n = &k->f->nodes[it.node];
    if (it.role == JUMP) {
        put(k, k->from + i, 0, UINT32_MAX, it.to - i);
    } else if (it.role != PLAIN) {
        put_second(k, i, &it);
    } else if (n->mode == MAAS_SPLIT_LEAF) {
        take_weights(k, tree, n);
        put_leaf(k, k->from + i);
    } else if (n->mode == MAAS_SPLIT_MEMBER) {
        put_member(k, i, n);
    } else if (by_equality(n)) {
        put_equal(k, i, it.node);
    } else {
        put_ordered(k, i, n);
    }
}

static void put_tree(packer *k, uint32_t tree)
{
    k->n_items = 0;
    k->items[k->n_items++] = (item){PLAIN, k->f->roots[tree], 0, 0};
    k->p->root[tree] = k->from;
    for (uint32_t i = 0; i < k->n_items; i++) {
        put_item(k, tree, i);
        if (k->items[i].depth > k->p->depth[tree])
            k->p->depth[tree] = k->items[i].depth;
    }
    k->from += k->n_items;
}

/* Leaves and jumps ask for the slot behind all others. */
static void patch_leaves(const maas_pack *p, uint32_t n_nodes)
{
    const uint32_t last = p->n_slots * (uint32_t)kinds[p->kind].slot;
    for (uint32_t i = 0; i < n_nodes; i++) {
        if (p->kind == MAAS_PACK_SMALL) {
            maas_node_small *n = (maas_node_small *)p->nodes + i;
            n->slot = n->slot == UINT16_MAX ? (uint16_t)last : n->slot;
        } else if (p->kind == MAAS_PACK_WIDE) {
            maas_node_wide *n = (maas_node_wide *)p->nodes + i;
            n->slot = n->slot == UINT32_MAX ? last : n->slot;
        } else {
            maas_node_double *n = (maas_node_double *)p->nodes + i;
            n->slot = n->slot == UINT32_MAX ? last : n->slot;
        }
    }
}

/* ---- what the forest is like ---- */

typedef struct likeness {
    uint32_t n_leaves, n_equal, n_sets, most_nodes; /* of a tree, equalities counted thrice */
    bool one_weight, all_weights; /* leaves: one each of one target a tree; one of each target */
    bool every_target;            /* with one weight: each has a tree */
} likeness;

static void look_at_leaf(const maas_forest *f, const maas_tree_node *n, int32_t *target,
                         likeness *l)
{
    l->n_leaves++;
    l->all_weights = l->all_weights && n->count == (uint32_t)f->n_targets;
    for (uint32_t i = 0; l->all_weights && i < n->count; i++)
        l->all_weights = f->weights[n->first + i].target == (int32_t)i;
    if (n->count != 1) {
        l->one_weight = false;
        return;
    }
    const int32_t t = f->weights[n->first].target;
    l->one_weight = l->one_weight && (*target < 0 || *target == t);
    *target = t;
}

/* `wait` and `heard` are scratch: [n_nodes], [n_targets]. */
static likeness look(const maas_forest *f, int32_t *wait, bool *heard)
{
    likeness l = {.one_weight = true, .all_weights = true, .every_target = true};
    for (uint32_t t = 0; t < f->n_trees; t++) {
        uint32_t n_wait = 0, n_nodes = 0;
        int32_t target = -1;
        wait[n_wait++] = f->roots[t];
        while (n_wait) {
            const maas_tree_node *n = &f->nodes[wait[--n_wait]];
            n_nodes += by_equality(n) ? 3 : 1;
            l.n_equal += by_equality(n);
            l.n_sets += n->mode == MAAS_SPLIT_MEMBER;
            if (n->mode == MAAS_SPLIT_LEAF) {
                look_at_leaf(f, n, &target, &l);
                continue;
            }
            wait[n_wait++] = n->yes;
            wait[n_wait++] = n->no;
        }
        l.most_nodes = n_nodes > l.most_nodes ? n_nodes : l.most_nodes;
        if (target >= 0)
            heard[target] = true;
    }
    for (int32_t t = 0; t < f->n_targets; t++)
        l.every_target = l.every_target && heard[t];
    return l;
}

static bool few_slots(const maas_forest *f)
{
    return f->n_features < UINT16_MAX / 2 / (int)kinds[MAAS_PACK_SMALL].slot;
}

static bool make_room(packer *k, const likeness *l)
{
    maas_pack *p = k->p;
    const maas_forest *f = k->f;
    const size_t n_nodes = f->n_nodes + 2 * (size_t)l->n_equal;
    const size_t size = kinds[p->kind].node;
    const size_t n_slots = 2 * (size_t)f->n_features + 1, n_targets = (size_t)f->n_targets;
    const bool rows = !l->one_weight && (n_targets <= 16 || l->all_weights);
    bool ok = n_nodes < INT32_MAX / 2;
    ok = ok && (k->items = maas_arena_array(k->a, l->most_nodes + 1u, sizeof *k->items));
    ok = ok && (k->slot = maas_arena_array(k->a, n_slots, sizeof *k->slot));
    ok = ok && (p->slot_feature = maas_arena_array(k->a, n_slots, sizeof *p->slot_feature));
    ok = ok && (p->slot_negative = maas_arena_array(k->a, n_slots, 1));
    ok = ok && (p->nodes = maas_arena_array(k->a, n_nodes + 1, size));
    ok = ok && (p->root = maas_arena_array(k->a, f->n_trees + 1u, sizeof *p->root));
    ok = ok && (p->depth = maas_arena_array(k->a, f->n_trees + 1u, sizeof *p->depth));
    if (l->one_weight)
        ok = ok && (p->target = maas_arena_array(k->a, f->n_trees + 1u, sizeof *p->target));
    if (l->one_weight || rows)
        ok = ok && (p->weights = maas_arena_array(k->a, l->n_leaves * (rows ? n_targets : 1) + 1,
                                                  sizeof *p->weights));
    if (!l->one_weight && !rows) {
        ok = ok && (p->list = maas_arena_array(k->a, l->n_leaves + 2u, sizeof *p->list));
        ok = ok && (p->entries = maas_arena_array(k->a, f->n_weights + 1u, sizeof *p->entries));
    }
    ok = ok && (p->sets = maas_arena_array(k->a, l->n_sets + 1u, sizeof *p->sets));
    /* a set of n members has at most 64 n bits, plus a part of a word */
    ok = ok && (p->bits = maas_arena_array(k->a, f->n_members + l->n_sets + 1u, sizeof *p->bits));
    return ok && (p->lists = maas_arena_array(k->a, f->n_members + 1u, sizeof *p->lists));
}

/* Is the weight of every leaf a number that a split can hold? */
static bool fits_in_leaf(const maas_forest *f, maas_pack_kind kind)
{
    bool fits = true;
    for (uint32_t i = 0; fits && i < f->n_weights; i++)
        fits = kind == MAAS_PACK_DOUBLE ||
               (double)(float)f->weights[i].weight == f->weights[i].weight;
    return fits;
}

static maas_status build(entry *e, const maas_call *c, maas_err *err)
{
    maas_pack *p = &e->pack;
    MAAS_TRY(maas_forest_of_node(c->node, e->n_features, NULL, &e->forest, err));
    const maas_forest *f = p->f = e->forest;
    AUTO_FREE int32_t *wait = maas_calloc(f->n_nodes + 1u, sizeof *wait);
    AUTO_FREE bool *heard = maas_calloc((size_t)f->n_targets, sizeof *heard);
    if (!wait || !heard)
        return no_memory(err);
    const likeness l = look(f, wait, heard);
    packer k = {.p = p, .f = f, .a = &e->arena};
    p->n_trees = f->n_trees;
    p->members = l.n_sets > 0;
    p->kind = c->in[0].dtype == MAAS_F64 ? MAAS_PACK_DOUBLE
              : l.n_sets || l.n_equal || l.most_nodes > UINT16_MAX || !few_slots(f)
                  ? MAAS_PACK_WIDE
                  : MAAS_PACK_SMALL;
    p->in_leaf = l.one_weight && !l.n_sets && fits_in_leaf(f, p->kind);
    p->post = maas_post_of(c->node);
    p->classifier = c->n_out == 2;
    if (p->classifier)
        MAAS_TRY(maas_votes_of(c->node, &p->votes, err));
    const bool heard_all = l.all_weights || (l.one_weight && l.every_target);
    p->plain = f->aggregate > MAAS_FOREST_SUM ||
               (p->classifier && !p->votes.single && !f->base && !heard_all);
    if (!make_room(&k, &l))
        return no_memory(err);
    for (int32_t i = 0; i < 2 * f->n_features; i++)
        k.slot[i] = -1;
    for (uint32_t t = 0; t < f->n_trees; t++)
        put_tree(&k, t);
    patch_leaves(p, k.from);
    return MAAS_OK;
}

static maas_status create(const void *key, void **pack, maas_err *err)
{
    const maas_call *c = key;
    const maas_tensor *x = &c->in[0];
    entry *e = maas_calloc(1, sizeof *e);
    if (!e)
        return no_memory(err);
    maas_arena_init(&e->arena, NULL);
    e->op = c->node->op;
    e->dtype = x->dtype;
    e->n_features = x->dims[x->rank - 1];
    e->n_attr = c->node->n_attr;
    e->attr = maas_arena_dup(&e->arena, c->node->attr, e->n_attr * sizeof *e->attr);
    const maas_status st = e->attr ? build(e, c, err) : no_memory(err);
    if (st != MAAS_OK) {
        destroy(e);
        return st;
    }
    *pack = e;
    return MAAS_OK;
}

static maas_shared_packs packs = {is_of, create, destroy, PTHREAD_MUTEX_INITIALIZER, NULL};

maas_status maas_pack_acquire(const maas_call *c, const maas_pack **out, maas_err *err)
{
    void *pack = NULL;
    MAAS_TRY(maas_shared_packs_acquire(&packs, c, &pack, err));
    *out = pack;
    return MAAS_OK;
}

void maas_pack_release(void *pack)
{
    maas_shared_packs_release(&packs, pack);
}
