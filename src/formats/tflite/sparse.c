/*
 * formats/tflite/sparse.c - sparse constants become all of their elements. A tensor is a tree of
 * levels: the axes in some order, then those of the blocks that axes are cut into. A level is dense
 * (all places are there) or compressed (segments say where the children of a node are among its
 * indices). Leaves are the values, in order.
 *
 * Every node is visited once at most: segments may not go back. Levels are few, the walk keeps a
 * list of them.
 */
#include "formats/tflite/tflite_int.h"

#include <string.h>

#include "base/ban.h"

enum { SPARSITY_ORDER, SPARSITY_BLOCKS, SPARSITY_LEVELS };
enum {
    LEVEL_FORMAT,
    LEVEL_SIZE,
    LEVEL_SEGMENTS_TYPE,
    LEVEL_SEGMENTS,
    LEVEL_INDICES_TYPE,
    LEVEL_INDICES
};
enum { MAX_LEVELS = 2 * MAAS_MAX_RANK };

typedef struct list {
    fb_vector v;
    int bytes; /* of an element */
} list;

typedef struct level {
    bool compressed;
    uint32_t size;           /* places */
    int64_t stride;          /* of a place, in elements of the tensor */
    list segments, indices;  /* compressed */
    uint64_t done;           /* segments up to here were visited */
    uint64_t at, end, first; /* of the walk: nodes, and where the first one of the parent is */
} level;

typedef struct sparse {
    level levels[MAX_LEVELS];
    uint32_t n;
    uint64_t n_values;
    size_t element;
    const uint8_t *values;
    uint8_t *out;
} sparse;

static uint32_t item(const list *l, uint64_t i)
{
    uint32_t v = 0;
    memcpy(&v, l->v.p + i * (size_t)l->bytes, (size_t)l->bytes);
    return v;
}

/* A vector of one of three widths, in a table of its own. */
static bool read_list(tl *t, const fb_table *entry, int kind, int field, list *out)
{
    static const int widths[4] = {0, 4, 2, 1};
    const int64_t type = fb_i8(&t->f, entry, kind, 0);
    if (type < 1 || type > 3)
        return false;
    const fb_table at = fb_sub(&t->f, entry, field);
    out->bytes = widths[type];
    out->v = fb_vec(&t->f, &at, 0, (size_t)out->bytes);
    return !t->f.wrong;
}

static bool read_level(tl *t, const fb_table *from, level *l, uint32_t size)
{
    l->size = size;
    l->compressed = fb_i8(&t->f, from, LEVEL_FORMAT, 0) == 1;
    if (l->compressed)
        return read_list(t, from, LEVEL_SEGMENTS_TYPE, LEVEL_SEGMENTS, &l->segments) &&
               read_list(t, from, LEVEL_INDICES_TYPE, LEVEL_INDICES, &l->indices);
    return fb_i32(&t->f, from, LEVEL_SIZE, 0) == size;
}

/* Sizes and strides of levels: an axis that has a block counts blocks. */
static bool read_levels(tl *t, const fb_table *from, const tl_tensor *x, sparse *s)
{
    const fb_vector order = fb_vec(&t->f, from, SPARSITY_ORDER, 4),
                    blocks = fb_vec(&t->f, from, SPARSITY_BLOCKS, 4),
                    all = fb_vec(&t->f, from, SPARSITY_LEVELS, 4);
    int64_t block[MAAS_MAX_RANK], stride[MAAS_MAX_RANK];
    uint32_t seen = 0;
    const uint32_t rank = (uint32_t)x->rank;
    s->n = order.n;
    if (blocks.n > rank || all.n != order.n || order.n != rank + blocks.n)
        return false;
    for (uint32_t i = 0; i < rank; i++) {
        block[i] = 1;
        stride[i] = maas_dims_product(x->dims, (int)i + 1, x->rank);
    }
    for (uint32_t i = rank; i < s->n; i++) {
        const int32_t axis = fb_i32_at(&blocks, i - rank);
        const fb_table entry = fb_table_at(&t->f, &all, i);
        const int64_t size = fb_i32(&t->f, &entry, LEVEL_SIZE, 0);
        if (axis < 0 || (uint32_t)axis >= rank || block[axis] != 1 || size < 1 ||
            x->dims[axis] % size || fb_i32_at(&order, i) != (int32_t)i ||
            !read_level(t, &entry, &s->levels[i], (uint32_t)size))
            return false;
        block[axis] = size;
        s->levels[i].stride = stride[axis];
    }
    for (uint32_t i = 0; i < rank; i++) {
        const int32_t axis = fb_i32_at(&order, i);
        const fb_table entry = fb_table_at(&t->f, &all, i);
        if (axis < 0 || (uint32_t)axis >= rank || seen >> axis & 1 ||
            !read_level(t, &entry, &s->levels[i], (uint32_t)(x->dims[axis] / block[axis])))
            return false;
        seen |= 1u << axis;
        s->levels[i].stride = stride[axis] * block[axis];
    }
    return true;
}

/* The children of node `parent` of the level before. */
static bool enter(level *l, uint64_t parent)
{
    if (!l->compressed) {
        l->first = parent * l->size;
        l->at = l->first;
        l->end = l->first + l->size;
        return true;
    }
    if (parent + 1 >= l->segments.v.n)
        return false;
    l->at = item(&l->segments, parent);
    l->end = item(&l->segments, parent + 1);
    if (l->at < l->done || l->end < l->at || l->end > l->indices.v.n)
        return false;
    l->done = l->end;
    return true;
}

static bool fill(sparse *s)
{
    int64_t where[MAX_LEVELS + 1] = {0};
    uint32_t k = 0;
    if (!enter(&s->levels[0], 0))
        return false;
    for (;;) {
        level *l = &s->levels[k];
        if (l->at == l->end) {
            if (k-- == 0)
                return true;
            continue;
        }
        const uint64_t node = l->at++;
        const uint64_t place = l->compressed ? item(&l->indices, node) : node - l->first;
        if (place >= l->size)
            return false;
        where[k + 1] = where[k] + (int64_t)place * l->stride;
        if (k + 1 < s->n) {
            if (!enter(&s->levels[++k], node))
                return false;
            continue;
        }
        if (node >= s->n_values)
            return false;
        memcpy(s->out + (size_t)where[k + 1] * s->element, s->values + node * s->element,
               s->element);
    }
}

maas_status tl_sparse_read(tl *t, const fb_table *from, const tl_tensor *x, maas_span data,
                           size_t bytes, const void **out)
{
    sparse s = {.element = maas_dtype_size((maas_dtype)x->dtype), .values = data.p};
    s.n_values = data.n / s.element;
    if (!bytes)
        return maas_fail(t->err, MAAS_E_FORMAT, "it is sparse and has no elements");
    if (bytes > MAAS_MIN_UNPACK_LIMIT && bytes / MAAS_MAX_UNPACK_RATIO > data.n)
        return maas_fail(t->err, MAAS_E_TOO_LARGE, "%zu bytes for %zu in the file", bytes, data.n);
    if (x->rank < 1 || !read_levels(t, from, x, &s)) {
        MAAS_TRY(fb_check(&t->f, t->err));
        return maas_fail(t->err, MAAS_E_FORMAT, "its sparsity is not one of its shape");
    }
    MAAS_TRY(fb_check(&t->f, t->err));
    s.out = maas_arena_alloc(&t->b.g->arena, bytes);
    if (!s.out)
        return maas_fail(t->err, MAAS_E_NOMEM, "no memory left for %zu bytes of it", bytes);
    if (!fill(&s))
        return maas_fail(t->err, MAAS_E_FORMAT, "an index of its sparse elements is out of place");
    *out = s.out;
    return MAAS_OK;
}
