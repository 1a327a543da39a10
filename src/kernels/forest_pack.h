/*
 * kernels/forest_pack.h - a forest as the walkers want it: compact, in the order it is walked, with
 * one kind of question.
 *
 * Rows are copied before they are walked, and only what is asked: one slot for each feature, and
 * one more with the sign changed where a node needs it. Then every question is
 *
 *   slot <= split ? child pair : child pair + 1         (a missing value: + 1)
 *
 * because x > s is -x <= the number below -s, and a missing value that goes to `yes` is a question
 * turned around. The last slot holds minus infinity: a leaf asks for it, says yes, and is its own
 * child, so that trees of one group may be walked for as many steps as the deepest needs. Only
 * members of sets and equality need more, in forests that have them.
 *
 * Rows lie in groups of MAAS_PACK_LANES, [slot][lane]; `slot` of a node counts words of 8 bytes
 * from the group to the lanes of its slot, `next` nodes from it to the pair of its children.
 *
 * Packs are shared: every plan of a model that has the same attributes gets the same one.
 *
 * Owns: its arena, charged to no budget but counted by the plan's. Threads: acquire and release
 * any (one lock, a leaf); a pack is read-only. Fails: E_NOMEM, E_TOO_LARGE.
 */
#ifndef MAAS_KERNELS_FOREST_PACK_H
#define MAAS_KERNELS_FOREST_PACK_H

#include "kernels/kernel.h"
#include "ops/forest.h"
#include "ops/forest_post.h"

#define MAAS_PACK_LANES 8

typedef struct maas_node_small { /* rows of floats, trees of at most 65535 nodes */
    float split;
    uint16_t slot, next;
} maas_node_small;
typedef struct maas_node_wide {
    float split;
    uint32_t slot, next; /* next wraps around: an equality leads back */
    uint32_t spare;
} maas_node_wide;
typedef struct maas_node_double {
    double split;
    uint32_t slot, next;
} maas_node_double;
/* In slot of wide and double nodes: split is the number of a set. */
#define MAAS_SLOT_MEMBER 0x80000000u
/* A leaf has next 0, and its number as split: in doubles as such, in floats as bits above these, so
 * that none is NaN or subnormal. */
#define MAAS_LEAF_BITS 0x00800000u

typedef enum maas_pack_kind { MAAS_PACK_SMALL, MAAS_PACK_WIDE, MAAS_PACK_DOUBLE } maas_pack_kind;

typedef struct maas_pack_set { /* members of a set */
    double first;              /* of the bits */
    uint32_t n_bits, at;       /* bits in bits[at...]; n_bits 0: a list */
    uint32_t n_list, list;     /* in lists[list...] */
    bool missing;              /* a missing value is a member */
} maas_pack_set;

typedef struct maas_pack {
    maas_pack_kind kind;
    bool members;              /* some nodes ask for members */
    uint32_t n_slots, n_trees; /* slots without the last one */
    int32_t *slot_feature;     /* [n_slots] */
    uint8_t *slot_negative;    /* [n_slots] */
    void *nodes;               /* of `kind`, tree by tree, level by level */
    uint32_t *root;            /* [n_trees] the first node of a tree */
    uint32_t *depth;           /* [n_trees] steps to its deepest leaf */

    /* leaves: one weight each, all of a tree of one target; or rows of weights; or lists */
    int32_t *target; /* [n_trees]; NULL: not one weight each */
    bool in_leaf;    /* the split of a leaf is its weight, not its number */
    double *weights; /* [n_leaves], or [n_leaves][n_targets]; NULL: lists */
    uint32_t *list;  /* [n_leaves + 1] into f->weights in the order of leaves */
    maas_leaf_weight *entries;

    maas_pack_set *sets;
    uint64_t *bits;
    double *lists;

    const maas_forest *f; /* what was packed: targets, base, aggregate, its own walk */
    bool plain;           /* only its own walk will do: MIN, MAX, classes without a vote */
    maas_post post;
    bool classifier;
    maas_votes votes; /* of a classifier */
} maas_pack;

/* The pack of a tree node for rows of this shape; counted. */
maas_status maas_pack_acquire(const maas_call *c, const maas_pack **out, maas_err *err);
void maas_pack_release(void *pack);
bool maas_pack_is_member(const maas_pack *p, double set, double x);

#endif
