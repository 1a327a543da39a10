/*
 * Trees of the policies Depthwise and Lossguide: objects in objects,
 *
 *   {"left": {...}, "right": {...}, "split": {...}}     or     {"value": 0.5, "weight": 12}
 *
 * read with a stack of the nodes that are open; "right" is where x > border goes. The depth of the
 * document bounds the stack.
 */
#include "formats/catboost/catboost_int.h"

#include "base/ban.h"

enum { LEFT = 1, RIGHT = 2, SPLIT = 4, VALUE = 8, INNER = LEFT | RIGHT | SPLIT };

typedef struct grown {
    cat_model *x;
    size_t depth;
    struct {
        int32_t node;
        unsigned seen;
        double weight; /* of this leaf, or of the leaves below */
    } open[MAAS_MAX_JSON_DEPTH];
} grown;

static maas_status open_node(grown *g, maas_doc *d, int32_t *out, maas_err *err)
{
    const maas_tree_node empty = {.yes = -1, .no = -1, .mode = MAAS_SPLIT_LEAF};
    if (maas_doc_next(d) != MAAS_JSON_OBJECT || g->depth == MAAS_MAX_JSON_DEPTH)
        return maas_doc_fail(d, "a node", err);
    MAAS_TRY(maas_forest_add_node(g->x->m.forest, &empty, out, err));
    memset(&g->open[g->depth], 0, sizeof g->open[g->depth]);
    g->open[g->depth++].node = *out;
    return MAAS_OK;
}

static maas_status read_child(grown *g, maas_doc *d, bool right, maas_err *err)
{
    const int32_t parent = g->open[g->depth - 1].node;
    int32_t child;
    MAAS_TRY(open_node(g, d, &child, err));
    maas_tree_node *n = &g->x->m.forest->nodes[parent];
    *(right ? &n->yes : &n->no) = child;
    return MAAS_OK;
}

static maas_status read_value(grown *g, maas_doc *d, maas_err *err)
{
    cat_model *x = g->x;
    maas_tree_node leaf = {.yes = -1, .no = -1};
    double single;
    if (maas_json_at_array(&d->json)) {
        MAAS_TRY(maas_doc_numbers(d, &x->values, err));
    } else {
        MAAS_TRY(maas_doc_f64(d, &single, err));
        x->values.n = 0;
        MAAS_TRY(maas_numbers_add(&x->values, single, err));
    }
    MAAS_TRY(cat_set_scores(x, (int64_t)x->values.n, err));
    MAAS_TRY(cat_add_leaf(x, 0, &leaf, err));
    x->m.forest->nodes[g->open[g->depth - 1].node] = leaf;
    return MAAS_OK;
}

static maas_status read_split(grown *g, maas_doc *d, maas_err *err)
{
    MAAS_TRY(cat_read_split(g->x, d, err));
    maas_tree_node *n = &g->x->m.forest->nodes[g->open[g->depth - 1].node];
    n->mode = MAAS_SPLIT_GT;
    n->split = g->x->split.border;
    n->feature = (int32_t)g->x->split.feature;
    return MAAS_OK;
}

static maas_status close_node(grown *g, maas_err *err)
{
    __typeof__(&g->open[0]) top = &g->open[--g->depth];
    if (top->seen != INNER && top->seen != VALUE)
        return maas_fail(err, MAAS_E_FORMAT,
                         "a node is neither left, right and split, nor a value");
    g->x->m.forest->nodes[top->node].cover = (float)top->weight;
    if (g->depth)
        g->open[g->depth - 1].weight += top->weight;
    return MAAS_OK;
}

static maas_status read_key(grown *g, maas_doc *d, maas_err *err)
{
    static const struct {
        const char *key;
        unsigned bit;
    } keys[] = {{"left", LEFT}, {"right", RIGHT}, {"split", SPLIT}, {"value", VALUE}};
    unsigned bit = 0;
    for (size_t i = 0; i < MAAS_COUNT(keys); i++)
        if (maas_span_is(d->text, keys[i].key))
            bit = keys[i].bit;
    if (maas_span_is(d->text, "weight"))
        return maas_doc_f64(d, &g->open[g->depth - 1].weight, err);
    if (!bit)
        return maas_doc_skip(d) ? MAAS_OK : maas_doc_fail(d, "a value", err);
    unsigned *seen = &g->open[g->depth - 1].seen;
    if (*seen & bit || (bit == VALUE ? *seen : *seen & VALUE))
        return maas_fail(err, MAAS_E_FORMAT, "a node has a part twice, or parts of two kinds");
    *seen |= bit;
    return bit == SPLIT   ? read_split(g, d, err)
           : bit == VALUE ? read_value(g, d, err)
                          : read_child(g, d, bit == RIGHT, err);
}

maas_status cat_read_grown(void *ctx, maas_doc *d, maas_err *err)
{
    grown g = {.x = ctx};
    int32_t root;
    MAAS_TRY(open_node(&g, d, &root, err));
    MAAS_TRY(maas_forest_add_tree(g.x->m.forest, root, err));
    while (g.depth) {
        maas_json_kind kind = maas_doc_next(d);
        if (kind != MAAS_JSON_KEY && kind != MAAS_JSON_CLOSE)
            return maas_doc_fail(d, "a key of a node", err);
        MAAS_TRY(kind == MAAS_JSON_KEY ? read_key(&g, d, err) : close_node(&g, err));
    }
    return MAAS_OK;
}
