/*
 * The binary form that XGBoost wrote until 2.0, little-endian and without a magic number (files
 * of `save_model` may begin with "binf"):
 *
 *   learner     base_score f32, num_feature u32, num_class i32, has_attributes i32, has_metrics
 * i32, version u32 u32, num_target u32, 26 words objective   text               text = length u64,
 * bytes booster     text gbtree      num_trees i32, num_parallel i32, 2 words, num_pbuffer i64, 34
 * words trees     roots, num_nodes, num_deleted, depth, num_feature, size_leaf_vector: i32; 31
 * words nodes: parent i32, left i32, right i32, feature u32 (bit 31: default left), value f32
 *               stats: gain f32, hessian f32, weight f32, leaf children i32
 *     tree_info i32 each
 *   dart        gbtree, then weights of trees: count u64, f32 each
 *   gblinear    34 words, then weights: count u64, f32 each
 *   attributes  count u64, then two texts each
 *
 * What a pickle of 1.x holds is "CONFIG-offset:", the length of all this (i64), then this.
 */
#include "formats/xgboost/xgboost_int.h"

#include "base/num.h"
#include "base/ban.h"

enum {
    LEARNER_BYTES = 136,
    GBTREE_BYTES = 160,
    TREE_BYTES = 148,
    NODE_BYTES = 20,
    STAT_BYTES = 16
};
static const char pickle_mark[] = "CONFIG-offset:";

typedef struct binary {
    maas_span rest;
    const uint8_t *start;
} binary;

static maas_status cut_off(const binary *b, const char *what, maas_err *err)
{
    return maas_fail(err, MAAS_E_FORMAT, "XGBoost: the file ends inside %s, at byte %zu", what,
                     (size_t)(b->rest.p - b->start));
}

/* Word i of 32 bits of a block; the caller knows that it is inside. */
static int32_t word(maas_span block, size_t i)
{
    int32_t v;
    memcpy(&v, block.p + 4 * i, sizeof v);
    return v;
}
static float real(maas_span block, size_t i)
{
    float v;
    memcpy(&v, block.p + 4 * i, sizeof v);
    return v;
}

/* `count` items of `size` bytes. */
static maas_status take(binary *b, int64_t count, size_t size, const char *what, maas_span *out,
                        maas_err *err)
{
    if (count < 0 || (uint64_t)count > b->rest.n / size)
        return cut_off(b, what, err);
    maas_span_take(&b->rest, (size_t)count * size, out);
    return MAAS_OK;
}

static maas_status take_text(binary *b, maas_span *out, maas_err *err)
{
    uint64_t n;
    if (!maas_span_u64le(&b->rest, &n) || !maas_span_take(&b->rest, n, out))
        return cut_off(b, "a text", err);
    return MAAS_OK;
}

static maas_status take_name(binary *b, char *to, size_t size, const char *what, maas_err *err)
{
    maas_span s = {0};
    MAAS_TRY(take_text(b, &s, err));
    if (s.n >= size || memchr(s.p, 0, s.n))
        return maas_fail(err, MAAS_E_FORMAT, "XGBoost: a name of %zu bytes for the %s", s.n, what);
    memcpy(to, s.p, s.n);
    to[s.n] = '\0';
    return MAAS_OK;
}

static maas_status take_floats(binary *b, maas_numbers *to, const char *what, maas_err *err)
{
    uint64_t n;
    maas_span raw = {0};
    if (!maas_span_u64le(&b->rest, &n) || n > INT64_MAX)
        return cut_off(b, what, err);
    MAAS_TRY(take(b, (int64_t)n, 4, what, &raw, err));
    MAAS_TRY(maas_numbers_resize(to, n, err));
    if (n)
        memcpy(to->p, raw.p, raw.n);
    return MAAS_OK;
}

/* ---- trees ---- */

static maas_status read_tree(xgb_model *x, binary *b, maas_err *err)
{
    maas_span head = {0}, nodes = {0}, stats = {0};
    xgb_tree *t = &x->tree;
    MAAS_TRY(take(b, 1, TREE_BYTES, "a tree", &head, err));
    const int32_t n = word(head, 1);
    MAAS_TRY(take(b, n, NODE_BYTES, "the nodes of a tree", &nodes, err));
    MAAS_TRY(take(b, n, STAT_BYTES, "the statistics of a tree", &stats, err));
    if (word(head, 5) > 1)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "XGBoost: leaves of %d values in a binary file",
                         word(head, 5));
    maas_numbers *const fields[] = {&t->left,         &t->right, &t->feature,
                                    &t->default_left, &t->split, &t->cover};
    for (size_t i = 0; i < MAAS_COUNT(fields); i++)
        MAAS_TRY(maas_numbers_resize(fields[i], (size_t)n, err));
    for (size_t i = 0; i < (size_t)n; i++) {
        const uint32_t feature = (uint32_t)word(nodes, 5 * i + 3);
        ((int32_t *)t->left.p)[i] = word(nodes, 5 * i + 1);
        ((int32_t *)t->right.p)[i] = word(nodes, 5 * i + 2);
        ((int32_t *)t->feature.p)[i] = (int32_t)(feature & INT32_MAX);
        ((int32_t *)t->default_left.p)[i] = (int32_t)(feature >> 31);
        ((float *)t->split.p)[i] = real(nodes, 5 * i + 4);
        ((float *)t->cover.p)[i] = real(stats, 4 * i + 1);
    }
    return xgb_add_tree(x, err);
}

static maas_status read_gbtree(xgb_model *x, binary *b, maas_err *err)
{
    maas_span head = {0}, info = {0};
    MAAS_TRY(take(b, 1, GBTREE_BYTES, "the parameters of the booster", &head, err));
    const int32_t n = word(head, 0);
    if (n < 0 || word(head, 4) || word(head, 5))
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "XGBoost: %d trees with a prediction buffer: written before 0.6?", n);
    x->n_parallel = word(head, 1);
    for (int32_t i = 0; i < n; i++) {
        maas_status st = read_tree(x, b, err);
        if (st != MAAS_OK) {
            maas_err_prefix(err, "tree %d", i);
            return st;
        }
    }
    MAAS_TRY(take(b, n, 4, "tree_info", &info, err));
    MAAS_TRY(maas_numbers_resize(&x->tree_info, (size_t)n, err));
    if (n)
        memcpy(x->tree_info.p, info.p, info.n);
    return MAAS_OK;
}

/* ---- boosters ---- */

static maas_status read_dart(xgb_model *x, binary *b, maas_err *err)
{
    MAAS_TRY(read_gbtree(x, b, err));
    return x->m.forest->n_trees ? take_floats(b, &x->weight_drop, "the weights of trees", err)
                                : MAAS_OK;
}

static maas_status read_gblinear(xgb_model *x, binary *b, maas_err *err)
{
    maas_span head = {0};
    MAAS_TRY(take(b, 1, LEARNER_BYTES, "the parameters of the booster", &head, err));
    return take_floats(b, &x->linear, "the weights", err);
}

static const struct booster {
    const char *name;
    maas_status (*read)(xgb_model *x, binary *b, maas_err *err);
} boosters[] = {{"gbtree", read_gbtree}, {"dart", read_dart}, {"gblinear", read_gblinear}};

static maas_status read_booster(xgb_model *x, binary *b, maas_err *err)
{
    for (size_t i = 0; i < MAAS_COUNT(boosters); i++)
        if (strcmp(boosters[i].name, x->booster) == 0)
            return boosters[i].read(x, b, err);
    return maas_fail(err, MAAS_E_UNSUPPORTED, "XGBoost: booster '%s'", x->booster);
}

static maas_status read_attributes(xgb_model *x, binary *b, maas_err *err)
{
    uint64_t n;
    if (!maas_span_u64le(&b->rest, &n))
        return cut_off(b, "the attributes", err);
    for (; n; n--) {
        maas_span key = {0}, value = {0};
        MAAS_TRY(take_text(b, &key, err));
        MAAS_TRY(take_text(b, &value, err));
        if (maas_span_is(key, "best_iteration"))
            (void)maas_num_i64(&value, &x->best_iteration);
    }
    return MAAS_OK;
}

/* ---- whole files ---- */

/* Past what may stand before the learner. */
static bool skip_marks(maas_span *s)
{
    const size_t n = sizeof pickle_mark - 1;
    uint64_t size;
    if (s->n > n && memcmp(s->p, pickle_mark, n) == 0) {
        maas_span_skip(s, n);
        if (!maas_span_u64le(s, &size) || size > s->n)
            return false;
        s->n = size;
    }
    if (s->n > 4 && memcmp(s->p, "binf", 4) == 0)
        maas_span_skip(s, 4);
    return true;
}

bool xgb_is_binary(maas_span file)
{
    maas_span s = file, text;
    uint64_t n;
    if (!skip_marks(&s) || !maas_span_skip(&s, LEARNER_BYTES) || !maas_span_u64le(&s, &n) ||
        n > 63 || !maas_span_take(&s, n, &text) || !memchr(text.p, ':', text.n) ||
        !maas_span_u64le(&s, &n) || n > 15 || !maas_span_take(&s, n, &text))
        return false;
    for (size_t i = 0; i < MAAS_COUNT(boosters); i++)
        if (maas_span_is(text, boosters[i].name))
            return true;
    return false;
}

maas_status xgb_read_binary(xgb_model *x, maas_span file, maas_err *err)
{
    binary b = {file, file.p};
    maas_span head = {0};
    if (!skip_marks(&b.rest))
        return cut_off(&b, "the model", err);
    MAAS_TRY(take(&b, 1, LEARNER_BYTES, "the parameters of the learner", &head, err));
    MAAS_TRY(maas_numbers_add(&x->base_score, (double)real(head, 0), err));
    x->n_feature = (uint32_t)word(head, 1);
    x->n_class = word(head, 2);
    x->version[0] = (uint32_t)word(head, 5);
    x->version[1] = (uint32_t)word(head, 6);
    x->n_target = x->version[0] ? (uint32_t)word(head, 7) : 1;
    x->base_is_margin = x->version[0] == 0;
    MAAS_TRY(take_name(&b, x->objective, sizeof x->objective, "objective", err));
    MAAS_TRY(take_name(&b, x->booster, sizeof x->booster, "booster", err));
    MAAS_TRY(read_booster(x, &b, err));
    return word(head, 3) ? read_attributes(x, &b, err) : MAAS_OK;
}
