/* Trees that lie in the order in which they are walked are verified and written by a short way. It
 * must take nothing that the long way refuses, and write the same. */
#include <float.h>

#include "forest_make.h"
#include "ops/forest_int.h"

static maas_rng rng;

static maas_forest *levels(int n_nodes, bool many, bool members, bool chain)
{
    const forest_wish w = {.n_features = 3,
                           .n_targets = 2,
                           .n_trees = 5,
                           .n_nodes = n_nodes,
                           .many = many,
                           .members = members,
                           .chain = chain,
                           .how = MAAS_FOREST_SUM};
    return forest_make(&w, &rng);
}

/* Appends the tree below `at` of `from`: a node, all below its `yes`, all below its `no`. */
static int32_t append(const maas_forest *from, int32_t at, maas_forest *to)
{
    maas_tree_node n = from->nodes[at];
    int32_t here = 0;
    if (n.mode == MAAS_SPLIT_LEAF) {
        n.first = to->n_weights;
        for (uint32_t i = 0; i < n.count; i++) {
            const maas_leaf_weight *w = &from->weights[from->nodes[at].first + i];
            MAAS_CHECK(maas_forest_add_weight(to, w->target, w->weight, NULL, NULL) == MAAS_OK);
        }
    }
    MAAS_CHECK(maas_forest_add_node(to, &n, &here, NULL) == MAAS_OK);
    if (n.mode == MAAS_SPLIT_LEAF)
        return here;
    const int32_t yes = append(from, n.yes, to), no = append(from, n.no, to);
    to->nodes[here].yes = yes;
    to->nodes[here].no = no;
    return here;
}

static maas_forest *in_order(const maas_forest *from)
{
    maas_forest *f = NULL;
    MAAS_CHECK(maas_forest_create(from->n_features, from->n_targets, from->aggregate, NULL, &f,
                                  NULL) == MAAS_OK);
    for (uint32_t i = 0; i < from->n_members; i++)
        MAAS_CHECK(maas_forest_add_member(f, from->members[i], NULL, NULL) == MAAS_OK);
    for (uint32_t t = 0; t < from->n_trees; t++)
        MAAS_CHECK(maas_forest_add_tree(f, append(from, from->roots[t], f), NULL) == MAAS_OK);
    return f;
}

static bool all_in_order(const maas_forest *f)
{
    int32_t *wait = maas_alloc((f->n_nodes + 1) * sizeof *wait);
    bool all = f->n_trees > 0;
    for (uint32_t t = 0; t < f->n_trees; t++)
        all = all && maas_forest_tree_in_order(f, t, wait);
    maas_free(wait);
    return all;
}

/* By other means: is every node of the forest reached, and once? */
static bool reached_once(const maas_forest *f)
{
    uint32_t *times = maas_calloc(f->n_nodes, sizeof *times);
    bool once = true;
    for (uint32_t t = 0; t < f->n_trees; t++)
        if (f->roots[t] >= 0 && (uint32_t)f->roots[t] < f->n_nodes)
            times[f->roots[t]]++;
    for (uint32_t i = 0; i < f->n_nodes; i++) {
        const maas_tree_node *n = &f->nodes[i];
        if (n->mode == MAAS_SPLIT_LEAF)
            continue;
        const int32_t to[2] = {n->yes, n->no};
        for (int side = 0; side < 2; side++) { /* in order, they come later */
            if (to[side] > (int32_t)i && to[side] < (int32_t)f->n_nodes)
                times[to[side]]++;
            else
                once = false;
        }
    }
    for (uint32_t i = 0; i < f->n_nodes; i++)
        once = once && times[i] == 1;
    maas_free(times);
    return once;
}

/* ---- what is taken ---- */

static void order_is_seen(void)
{
    maas_rng_seed(&rng, 1);
    for (int k = 0; k < 8; k++) {
        maas_forest *f = levels(15, k & 1, k & 2, k & 4), *g = in_order(f);
        EXPECT(!all_in_order(f) || k & 4); /* a chain to the right lies in order */
        EXPECT(all_in_order(g));
        EXPECT_EQ(maas_forest_verify(f, NULL), MAAS_OK);
        EXPECT_EQ(maas_forest_verify(g, NULL), MAAS_OK);
        maas_forest_destroy(g);
        maas_forest_destroy(f);
    }
}

/* What may be wrong with a node, a tree or the forest, in the middle of trees that lie in order. */
static void damage(maas_forest *f)
{
    const int32_t at = (int32_t)maas_rng_below(&rng, f->n_nodes);
    const int32_t other = (int32_t)maas_rng_below(&rng, f->n_nodes + 2u) - 1;
    maas_tree_node *n = &f->nodes[at];
    const uint64_t what = maas_rng_below(&rng, 15);
    const uint64_t tree = maas_rng_below(&rng, f->n_trees);
    switch (what) {
    case 0:
        n->yes = other;
        break;
    case 1:
        n->no = other;
        break;
    case 2:
        n->mode = (uint8_t)maas_rng_below(&rng, 10);
        break;
    case 3:
        n->feature = (int32_t)maas_rng_below(&rng, 5) - 1;
        break;
    case 4:
        n->split = NAN;
        break;
    case 5:
        n->cover = maas_rng_below(&rng, 2) ? NAN : -1;
        break;
    case 6:
        n->cover = INFINITY;
        break;
    case 7:
        n->first = (uint32_t)maas_rng_u64(&rng);
        break;
    case 8:
        n->count = (uint32_t)maas_rng_u64(&rng);
        break;
    case 9:
        f->roots[tree] = other;
        break;
    case 10:
        f->n_trees = (uint32_t)tree + 1;
        break;
    case 11:
        f->weights[maas_rng_below(&rng, f->n_weights)].target = 2;
        break;
    case 12:
        f->weights[maas_rng_below(&rng, f->n_weights)].weight = NAN;
        break;
    case 13:
        f->n_nodes -= 1 + (uint32_t)maas_rng_below(&rng, 3); /* the last tree is cut short */
        break;
    default:
        n->no = n->yes;
        break;
    }
}

static bool contents_are_fine(const maas_forest *f)
{
    for (uint32_t i = 0; i < f->n_nodes; i++) {
        const maas_tree_node *n = &f->nodes[i];
        const bool leaf = n->mode == MAAS_SPLIT_LEAF, list = leaf || n->mode == MAAS_SPLIT_MEMBER;
        if (!(n->cover >= 0 && n->cover <= FLT_MAX) || n->mode > MAAS_SPLIT_LEAF)
            return false;
        if (list && (uint64_t)n->first + n->count > (leaf ? f->n_weights : f->n_members))
            return false;
        if (!leaf && (n->feature < 0 || n->feature >= f->n_features || (!list && isnan(n->split))))
            return false;
        for (uint32_t k = n->first; leaf && k < n->first + n->count; k++)
            if (f->weights[k].target < 0 || f->weights[k].target >= f->n_targets ||
                !isfinite(f->weights[k].weight))
                return false;
    }
    return true;
}

static void nothing_wrong_is_taken_for_order(void)
{
    int refused = 0, taken = 0;
    maas_rng_seed(&rng, 2);
    for (int k = 0; k < 20000; k++) {
        maas_forest *f = levels(15, k & 1, k & 2, k & 4), *g = in_order(f);
        damage(g);
        const bool short_way = all_in_order(g), fine = maas_forest_verify(g, NULL) == MAAS_OK;
        if (short_way)
            EXPECT(reached_once(g) && contents_are_fine(g));
        EXPECT_EQ(fine, fine && contents_are_fine(g));
        EXPECT(!short_way || fine);
        refused += !fine;
        taken += short_way;
        maas_forest_destroy(g);
        maas_forest_destroy(f);
    }
    EXPECT_MSG(refused > 5000 && taken > 100, "%d refused, %d taken", refused, taken);
}

/* ---- what is written ---- */

static int n_loops;

/* Threads finish in any order: from the last tree to the first. */
static void backwards(int n_threads, int64_t n, void (*fn)(void *arg, int64_t i, int ithr),
                      void *arg)
{
    n_loops++;
    while (n--)
        fn(arg, n, (int)n % n_threads);
}

static maas_graph *written(const maas_forest *f, bool loop, maas_dtype dtype)
{
    maas_graph *g;
    maas_builder b;
    maas_err err = {0};
    MAAS_CHECK(maas_graph_create("order", NULL, &g, NULL) == MAAS_OK);
    maas_builder_init(&b, g, &err);
    if (loop) {
        b.loop = backwards;
        b.n_threads = 3;
    }
    maas_b_forest(&b, f, maas_b_input(&b, "x", dtype, 2, (const int64_t[]){1, 3}), false);
    EXPECT_MSG(b.status == MAAS_OK, "%s", err.msg);
    return g;
}

/* As long as n numbers of an attribute are. */
static size_t bytes_of(const maas_attr *a)
{
    return a->n * (a->type == MAAS_ATTR_FLOATS ? sizeof(float) : sizeof(int64_t));
}

static bool same_attr(const maas_attr *a, const maas_attr *b)
{
    if (strcmp(a->name, b->name) != 0 || a->type != b->type || a->n != b->n)
        return false;
    if (a->type == MAAS_ATTR_FLOATS || a->type == MAAS_ATTR_INTS)
        return memcmp(a->u.ints, b->u.ints, bytes_of(a)) == 0;
    if (a->type == MAAS_ATTR_TENSOR) {
        const maas_tensor *x = a->u.tensor, *y = b->u.tensor;
        const size_t n = (size_t)maas_n_elems(x);
        return x->dtype == y->dtype && n == (size_t)maas_n_elems(y) &&
               memcmp(x->data, y->data, n * maas_dtype_size((maas_dtype)x->dtype)) == 0;
    }
    for (uint32_t i = 0; a->type == MAAS_ATTR_STRINGS && i < a->n; i++)
        if (a->u.strings[i].n != b->u.strings[i].n ||
            memcmp(a->u.strings[i].p, b->u.strings[i].p, a->u.strings[i].n) != 0)
            return false;
    return true;
}

static uint32_t same_nodes(const maas_graph *g, const maas_graph *h)
{
    uint32_t lists = 0;
    EXPECT_EQ(g->n_nodes, h->n_nodes);
    for (uint32_t i = 0; i < g->n_nodes && i < h->n_nodes; i++) {
        const maas_node *a = &g->nodes[i], *b = &h->nodes[i];
        EXPECT(a->op == b->op && a->n_attr == b->n_attr);
        for (uint32_t k = 0; k < a->n_attr && k < b->n_attr; k++) {
            EXPECT_MSG(same_attr(&a->attr[k], &b->attr[k]), "%s", a->attr[k].name);
            lists += a->attr[k].n > 20 || a->attr[k].type == MAAS_ATTR_TENSOR;
        }
    }
    return lists;
}

/* Lists of a forest in any order, alone or by threads, are those of the forest in order; short ones
 * are copied into the graph, long ones stay where they were made. */
static void written_the_same_whatever_the_way(void)
{
    n_loops = 0;
    for (int k = 0; k < 32; k++) {
        maas_rng_seed(&rng, 30 + (uint64_t)k);
        const int n_nodes = k & 16 ? 1500 : 15; /* five trees */
        maas_forest *f = levels(n_nodes, k & 1, k & 2, k & 4), *g = in_order(f);
        maas_graph *ways[4];
        for (int i = 0; i < 4; i++)
            ways[i] = written(i & 1 ? g : f, i & 2, k & 8 ? MAAS_F64 : MAAS_F32);
        for (int i = 1; i < 4; i++)
            EXPECT(same_nodes(ways[0], ways[i]) >= 8);
        for (int i = 0; i < 4; i++)
            maas_graph_destroy(ways[i]);
        maas_forest_destroy(g);
        maas_forest_destroy(f);
    }
    EXPECT(n_loops > 0);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* ---- room for all at once ---- */

static void room_is_charged_once(void)
{
    maas_budget budget = {.limit = 1 << 20};
    maas_err err = {0};
    for (size_t limit = 1; limit < 4096; limit += 61) {
        maas_forest *f = NULL;
        budget.limit = 1 << 20;
        MAAS_CHECK(maas_forest_create(3, 1, MAAS_FOREST_SUM, &budget, &f, &err) == MAAS_OK);
        const size_t before = budget.used;
        budget.limit = before + limit;
        const size_t want = 20 * sizeof *f->nodes + 10 * sizeof *f->weights + 2 * sizeof *f->roots;
        const maas_status st = maas_forest_reserve(f, 20, 10, 2, NULL);
        EXPECT_EQ(st, limit >= want ? MAAS_OK : MAAS_E_NOMEM);
        if (st == MAAS_OK)
            EXPECT_EQ(budget.used, before + want);
        maas_forest_destroy(f);
        EXPECT_EQ(budget.used, 0);
    }
    maas_forest *f = NULL;
    MAAS_CHECK(maas_forest_create(3, 1, MAAS_FOREST_SUM, NULL, &f, &err) == MAAS_OK);
    EXPECT_EQ(maas_forest_reserve(f, (uint64_t)INT32_MAX + 1, 0, 1, &err), MAAS_E_TOO_LARGE);
    EXPECT_EQ(f->n_nodes, 0);
    EXPECT_EQ(maas_forest_reserve(f, 0, 0, 0, NULL), MAAS_OK); /* and then one by one */
    EXPECT_EQ(maas_forest_add_tree(f, 0, NULL), MAAS_OK);
    maas_forest_destroy(f);
}

static const mt_case cases[] = {
    MT_CASE(order_is_seen),
    MT_CASE(nothing_wrong_is_taken_for_order),
    MT_CASE(written_the_same_whatever_the_way),
    MT_CASE(room_is_charged_once),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
