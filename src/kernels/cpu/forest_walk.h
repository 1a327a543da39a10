/*
 * kernels/cpu/forest_walk.h - the walk of packed trees for one kind of node; included once for each
 * with NODE, REAL and WALK(name) defined, and where there are steps in assembler (forest_step.h)
 * with WALK_ROWS and WALK_ROW. A place is the number of a node.
 *
 * A step has no branch, and LANES walks are under way at once: while one waits for its node, the
 * others go on. That is faster than gathers on the processors we know.
 */

INLINE const NODE *WALK(at)(const void *nodes, uint64_t place)
{
    return (const NODE *)nodes + place;
}

/* What the leaf at that place says, added to the sums of a row. */
INLINE void WALK(add)(const maas_pack *p, uint32_t tree, uint64_t place, double *sums,
                      const bool in_leaf)
{
    const REAL split = WALK(at)(p->nodes, place)->split;
    uint32_t bits = 0;
    if (in_leaf) {
        sums[p->target[tree]] += (double)split;
        return;
    }
    if (sizeof split == sizeof bits)
        memcpy(&bits, &split, sizeof bits);
    add_by_number(p, tree, sizeof split == sizeof bits ? bits - MAAS_LEAF_BITS : (uint32_t)split,
                  sums);
}

/* x: a group of LANES rows, at the lane that is asked for. */
INLINE uint32_t WALK(step)(const maas_pack *p, const NODE *n, const REAL *x, const bool members)
{
    if (members && (n->slot & MAAS_SLOT_MEMBER)) {
        const size_t slot = n->slot & ~MAAS_SLOT_MEMBER;
        const REAL v = *(const REAL *)(const void *)((const char *)x + slot * 8);
        return n->next + !maas_pack_is_member(p, n->split, v);
    }
    const REAL v = *(const REAL *)(const void *)((const char *)x + (size_t)n->slot * 8);
    return n->next + !(v <= n->split);
}

/* One step of every lane; lane i asks the row at x + i * by, by is 0 or 1. Sums of places wrap at
 * 32 bits: an equality leads back. */
INLINE void WALK(steps)(const maas_pack *p, uint64_t place[LANES], const REAL *x, const int by,
                        const bool members)
{
    const void *nodes = p->nodes;
#ifdef WALK_ROWS
    if (!members && by)
        WALK_ROWS(place, nodes, x);
    else if (!members)
        WALK_ROW(place, nodes, x);
    if (!members)
        return;
#endif
#pragma GCC unroll 8
    for (int i = 0; i < LANES; i++)
        place[i] = (uint32_t)(place[i] +
                              WALK(step)(p, WALK(at)(nodes, place[i]), x + i * by, members));
}

/* Is a walk still on its way? Asked after the first steps only, and not after each. */
INLINE bool WALK(goes_on)(const maas_pack *p, const uint64_t place[LANES], uint32_t d)
{
    enum { SHORT = 6 };
    uint32_t left = 0;
    if (d <= SHORT || d % 2)
        return true;
#pragma GCC unroll 8
    for (int i = 0; i < LANES; i++)
        left |= WALK(at)(p->nodes, place[i])->next;
    return left;
}

/* The n trees from t on and one row: more walks than for a block, because the nodes come from
 * farther away. Walks that are left over take the first of these trees again, for nobody. */
INLINE void WALK(trees)(const maas_pack *p, uint32_t t, uint32_t n, const REAL *x, double *sums,
                        const bool members, const bool in_leaf)
{
    uint64_t place[GROUPS][LANES];
    uint32_t depth = 0;
    bool on[GROUPS] = {true, n > LANES};
    for (uint32_t i = 0; i < GROUPS * LANES; i++) {
        const uint32_t tree = i < n ? t + i : t;
        place[i / LANES][i % LANES] = p->root[tree];
        depth = p->depth[tree] > depth ? p->depth[tree] : depth;
    }
    for (uint32_t d = 0; d < depth && (on[0] || on[1]); d++)
#pragma GCC unroll 2
        for (int g = 0; g < GROUPS; g++)
            if (on[g] && (on[g] = WALK(goes_on)(p, place[g], d)))
                WALK(steps)(p, place[g], x, 0, members);
    for (uint32_t i = 0; i < n; i++)
        WALK(add)(p, t + i, place[i / LANES][i % LANES], sums, in_leaf);
}

/* One row through all trees. */
INLINE void WALK(row)(const maas_pack *p, const REAL *x, double *sums, const bool members,
                      const bool in_leaf)
{
    enum { ALL = GROUPS * LANES };
    uint32_t t = 0;
    for (; t + ALL <= p->n_trees; t += ALL)
        WALK(trees)(p, t, ALL, x, sums, members, in_leaf);
    if (t < p->n_trees)
        WALK(trees)(p, t, p->n_trees - t, x, sums, members, in_leaf);
}

/* A block of rows through one tree after the other, which stays in the cache meanwhile. Lanes
 * behind the last row walk as well, for nobody. */
INLINE void WALK(block)(const maas_pack *p, const REAL *x, int64_t n, double *sums,
                        const bool members, const bool in_leaf)
{
    const size_t n_sums = (size_t)p->f->n_targets, group = (size_t)(p->n_slots + 1) * LANES;
    for (uint32_t t = 0; t < p->n_trees; t++) {
        const uint32_t root = p->root[t], depth = p->depth[t];
        const REAL *at = x;
        double *s = sums;
        for (int64_t r = 0; r < n; r += LANES, at += group, s += LANES * n_sums) {
            const uint32_t lanes = n - r < LANES ? (uint32_t)(n - r) : LANES;
            uint64_t place[LANES] = {root, root, root, root, root, root, root, root};
            for (uint32_t d = 0; d < depth && WALK(goes_on)(p, place, d); d++)
                WALK(steps)(p, place, at, 1, members);
            for (uint32_t i = 0; i < lanes; i++)
                WALK(add)(p, t, place[i], s + i * n_sums, in_leaf);
        }
    }
}

INLINE void WALK(rows)(const maas_pack *p, const REAL *x, int64_t n, double *sums,
                       const bool members, const bool in_leaf)
{
    if (n >= LANES)
        WALK(block)(p, x, n, sums, members, in_leaf);
    for (int64_t r = 0; n < LANES && r < n; r++)
        WALK(row)(p, x + r, sums + r * p->f->n_targets, members, in_leaf);
}

static void WALK(walk)(const maas_pack *p, const void *rows, int64_t n, double *sums)
{
    if (p->members)
        WALK(rows)(p, rows, n, sums, true, false);
    else if (p->in_leaf)
        WALK(rows)(p, rows, n, sums, false, true);
    else
        WALK(rows)(p, rows, n, sums, false, false);
}

/* Slots of n rows, in groups of LANES: [group][slot][lane]. in: [n][n_features] of this REAL. Lanes
 * behind the last row hold anything, but for the slot of leaves: that keeps walks inside their
 * tree. */
static void WALK(fill)(const maas_pack *p, const void *in, int64_t n, void *out)
{
    const size_t n_features = (size_t)p->f->n_features, group = (size_t)(p->n_slots + 1) * LANES;
    for (int64_t r = 0; r < n; r++) {
        const REAL *x = (const REAL *)in + (size_t)r * n_features;
        REAL *to = (REAL *)out + (size_t)(r / LANES) * group + r % LANES;
        for (uint32_t i = 0; i < p->n_slots; i++) {
            const REAL v = x[p->slot_feature[i]];
            to[i * LANES] = p->slot_negative[i] ? -v : v;
        }
        for (int i = 0; r % LANES == 0 && i < LANES; i++)
            to[p->n_slots * LANES + (size_t)i] = -(REAL)INFINITY;
    }
}

#undef NODE
#undef WALK_ROWS
#undef WALK_ROW
#undef REAL
#undef WALK
