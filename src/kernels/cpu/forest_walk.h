/*
 * kernels/cpu/forest_walk.h - the walk of packed trees for one kind of node; included once for each
 * with NODE, REAL and WALK(name) defined. Rows are blocks of slots (kernels/forest_pack.h).
 *
 * A step has no branch, and LANES walks are under way at once: while one waits for its node, the
 * others go on. That is faster than gathers on the processors we know.
 */

INLINE uint32_t WALK(number)(const NODE *leaf)
{
    REAL split = leaf->split;
    if (sizeof split == sizeof(double))
        return (uint32_t)split;
    uint32_t bits;
    memcpy(&bits, &split, sizeof bits);
    return bits - MAAS_LEAF_BITS;
}

INLINE uint32_t WALK(step)(const maas_pack *p, const NODE *n, const REAL *x, const bool members)
{
    if (members && (n->slot & MAAS_SLOT_MEMBER))
        return n->next + !maas_pack_is_member(p, n->split, x[n->slot & ~MAAS_SLOT_MEMBER]);
    return n->next + !(x[n->slot] <= n->split);
}

/* One walk for as long as it takes. A jump leads on from the slot of leaves, next tells them apart.
 */
INLINE const NODE *WALK(down)(const maas_pack *p, const NODE *n, const REAL *x, const bool members)
{
    while (n->next)
        n += (int32_t)WALK(step)(p, n, x, members);
    return n;
}

/* LANES walks, from lane[i] with the row x + i * stride; lane[i] becomes the leaf. */
INLINE void WALK(lanes)(const maas_pack *p, const NODE *lane[LANES], const REAL *x, size_t stride,
                        uint32_t depth, const bool members)
{
    enum { LOOK = 4 }; /* steps between two looks whether all are there */
    for (uint32_t d = 0; d < depth; d++) {
        if (d && d % LOOK == 0) {
            uint32_t left = 0;
            for (int i = 0; i < LANES; i++)
                left |= lane[i]->next;
            if (!left)
                return;
        }
#pragma GCC unroll 8
        for (int i = 0; i < LANES; i++)
            lane[i] += (int32_t)WALK(step)(p, lane[i], x + (size_t)i * stride, members);
    }
}

/* One row through all trees. */
INLINE void WALK(row)(const maas_pack *p, const REAL *x, double *sums, const bool members)
{
    const NODE *nodes = p->nodes;
    uint32_t t = 0;
    for (; t + LANES <= p->n_trees; t += LANES) {
        const NODE *lane[LANES];
        uint32_t depth = 0;
        for (int i = 0; i < LANES; i++) {
            lane[i] = nodes + p->root[t + (uint32_t)i];
            depth = p->depth[t + (uint32_t)i] > depth ? p->depth[t + (uint32_t)i] : depth;
        }
        WALK(lanes)(p, lane, x, 0, depth, members);
        for (int i = 0; i < LANES; i++)
            add_leaf(p, t + (uint32_t)i, WALK(number)(lane[i]), sums);
    }
    for (; t < p->n_trees; t++)
        add_leaf(p, t, WALK(number)(WALK(down)(p, nodes + p->root[t], x, members)), sums);
}

/* A block of rows through one tree after the other, which stays in the cache meanwhile. */
INLINE void WALK(block)(const maas_pack *p, const REAL *x, size_t stride, int64_t n, double *sums,
                        const bool members)
{
    const size_t n_sums = (size_t)p->f->n_targets;
    for (uint32_t t = 0; t < p->n_trees; t++) {
        const NODE *root = (const NODE *)p->nodes + p->root[t];
        int64_t r = 0;
        for (; r + LANES <= n; r += LANES) {
            const NODE *lane[LANES] = {root, root, root, root, root, root, root, root};
            WALK(lanes)(p, lane, x + (size_t)r * stride, stride, p->depth[t], members);
            for (int i = 0; i < LANES; i++)
                add_leaf(p, t, WALK(number)(lane[i]), sums + (size_t)(r + i) * n_sums);
        }
        for (; r < n; r++)
            add_leaf(p, t, WALK(number)(WALK(down)(p, root, x + (size_t)r * stride, members)),
                     sums + (size_t)r * n_sums);
    }
}

static void WALK(walk)(const maas_pack *p, const void *rows, size_t stride, int64_t n, double *sums)
{
    const REAL *x = rows;
    if (n >= LANES && p->members)
        WALK(block)(p, x, stride, n, sums, true);
    else if (n >= LANES)
        WALK(block)(p, x, stride, n, sums, false);
    for (int64_t r = 0; n < LANES && r < n; r++) {
        double *s = sums + (size_t)r * (size_t)p->f->n_targets;
        if (p->members)
            WALK(row)(p, x + (size_t)r * stride, s, true);
        else
            WALK(row)(p, x + (size_t)r * stride, s, false);
    }
}

/* Slots of n rows; in: [n][n_features] of this REAL. */
static void WALK(fill)(const maas_pack *p, const void *in, int64_t n, void *out, size_t stride)
{
    const size_t n_features = (size_t)p->f->n_features;
    for (int64_t r = 0; r < n; r++) {
        const REAL *x = (const REAL *)in + (size_t)r * n_features;
        REAL *to = (REAL *)out + (size_t)r * stride;
        if (p->identity)
            memcpy(to, x, n_features * sizeof *x);
        for (uint32_t i = 0; !p->identity && i < p->n_slots; i++) {
            const REAL v = x[p->slot_feature[i]];
            to[i] = p->slot_negative[i] ? -v : v;
        }
        to[p->n_slots] = -(REAL)INFINITY;
    }
}

#undef NODE
#undef REAL
#undef WALK
