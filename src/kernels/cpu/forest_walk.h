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

/* One walk for as long as it takes. Sums of places wrap at 32 bits: an equality leads back. */
INLINE uint64_t WALK(down)(const maas_pack *p, const void *nodes, uint64_t place, const REAL *x,
                           const bool members)
{
    while (WALK(at)(nodes, place)->next)
        place = (uint32_t)(place + WALK(step)(p, WALK(at)(nodes, place), x, members));
    return place;
}

/* One step of every lane; lane i asks the row at x + i * by, by is 0 or 1. */
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

/* LANES walks at once. */
INLINE void WALK(lanes)(const maas_pack *p, uint64_t place[LANES], const REAL *x, const int by,
                        uint32_t depth, const bool members)
{
    enum { SHORT = 6 }; /* walks as short as this are not looked at */
    for (uint32_t d = 0; d < depth; d++) {
        if (d > SHORT && d % 2 == 0) {
            uint32_t left = 0;
#pragma GCC unroll 8
            for (int i = 0; i < LANES; i++)
                left |= WALK(at)(p->nodes, place[i])->next;
            if (!left)
                return;
        }
        WALK(steps)(p, place, x, by, members);
    }
}

/* One row through all trees. */
INLINE void WALK(row)(const maas_pack *p, const REAL *x, double *sums, const bool members,
                      const bool in_leaf)
{
    uint32_t t = 0;
    for (; t + LANES <= p->n_trees; t += LANES) {
        uint64_t place[LANES];
        uint32_t depth = 0;
#pragma GCC unroll 8
        for (uint32_t i = 0; i < LANES; i++) {
            place[i] = p->root[t + i];
            depth = p->depth[t + i] > depth ? p->depth[t + i] : depth;
        }
        WALK(lanes)(p, place, x, 0, depth, members);
#pragma GCC unroll 8
        for (uint32_t i = 0; i < LANES; i++)
            WALK(add)(p, t + i, place[i], sums, in_leaf);
    }
    for (; t < p->n_trees; t++) {
        const uint64_t place = WALK(down)(p, p->nodes, p->root[t], x, members);
        WALK(add)(p, t, place, sums, in_leaf);
    }
}

/* A block of rows through one tree after the other, which stays in the cache meanwhile. */
INLINE void WALK(block)(const maas_pack *p, const REAL *x, int64_t n, double *sums,
                        const bool members, const bool in_leaf)
{
    const size_t n_sums = (size_t)p->f->n_targets, group = (size_t)(p->n_slots + 1) * LANES;
    for (uint32_t t = 0; t < p->n_trees; t++) {
        const uint32_t root = p->root[t], depth = p->depth[t];
        const REAL *at = x;
        double *s = sums;
        int64_t r = 0;
        for (; r + LANES <= n; r += LANES, at += group, s += LANES * n_sums) {
            uint64_t place[LANES] = {root, root, root, root, root, root, root, root};
            WALK(lanes)(p, place, at, 1, depth, members);
#pragma GCC unroll 8
            for (uint32_t i = 0; i < LANES; i++)
                WALK(add)(p, t, place[i], s + i * n_sums, in_leaf);
        }
        for (int i = 0; r < n; r++, i++) {
            const uint64_t place = WALK(down)(p, p->nodes, root, at + i, members);
            WALK(add)(p, t, place, s + (size_t)i * n_sums, in_leaf);
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

/* Slots of n rows, in groups of LANES: [group][slot][lane]. in: [n][n_features] of this REAL. */
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
        to[p->n_slots * LANES] = -(REAL)INFINITY;
    }
}

#undef NODE
#undef WALK_ROWS
#undef WALK_ROW
#undef REAL
#undef WALK
