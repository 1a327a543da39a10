#include "ops/shap_int.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

/* ---- looking at the forest ---- */

/* One walk over all trees: depth, features on one way, targets of each tree, expected sums. */
typedef struct survey {
    maas_shap *s;
    maas_shap_frame *frames; /* [MAAS_SHAP_MAX_DEPTH + 2] */
    int32_t *count;          /* [n_features] edges of the way that ask for it */
    int32_t *spoken;         /* [n_targets] by which tree, from 1 */
    uint32_t n_speak;
} survey;

static void survey_leaf(survey *v, uint32_t tree, const maas_tree_node *leaf)
{
    maas_shap *s = v->s;
    const float of = s->f->nodes[s->f->roots[tree]].cover;
    for (uint32_t i = leaf->first; i < leaf->first + leaf->count; i++) {
        const maas_leaf_weight *w = &s->f->weights[i];
        if (v->spoken[w->target] != (int32_t)tree + 1) {
            v->spoken[w->target] = (int32_t)tree + 1;
            s->speak[v->n_speak++] = w->target; /* at most as many as weights */
        }
        if (s->covers)
            s->expected[w->target] += w->weight * leaf->cover / of;
    }
}

/* ceil(d / 2) points are exact for d features on a way. */
static int32_t points_for(int32_t unique)
{
    return unique > 2 ? (unique + 1) / 2 : 1;
}

static maas_status survey_tree(survey *v, uint32_t tree, maas_err *err)
{
    maas_shap *s = v->s;
    int32_t at = 0, unique = 0, most = 0;
    v->frames[0] = (maas_shap_frame){.node = s->f->roots[tree]};
    while (at >= 0) {
        maas_shap_frame *top = &v->frames[at];
        const maas_tree_node *n = &s->f->nodes[top->node];
        const bool leaf = n->mode == MAAS_SPLIT_LEAF;
        if (leaf)
            survey_leaf(v, tree, n);
        if (leaf || top->next == 2) {
            if (!leaf)
                unique -= --v->count[n->feature] == 0;
            at--;
            continue;
        }
        if (top->next == 0)
            unique += v->count[n->feature]++ == 0;
        if (at == MAAS_SHAP_MAX_DEPTH)
            return maas_fail(err, MAAS_E_UNSUPPORTED,
                             "tree %u is deeper than %d: explanations stop there", tree,
                             MAAS_SHAP_MAX_DEPTH);
        v->frames[++at] = (maas_shap_frame){.node = top->next++ ? n->no : n->yes};
        s->depth = at > s->depth ? at : s->depth;
        most = unique > most ? unique : most;
    }
    s->unique = most > s->unique ? most : s->unique;
    s->tree_points[tree] = points_for(most);
    return MAAS_OK;
}

static maas_status survey_all(maas_shap *s, maas_err *err)
{
    const maas_forest *f = s->f;
    AUTO_FREE maas_shap_frame *frames = maas_calloc(MAAS_SHAP_MAX_DEPTH + 2, sizeof *frames);
    AUTO_FREE int32_t *count = maas_calloc((size_t)f->n_features + 1, sizeof *count);
    AUTO_FREE int32_t *spoken = maas_calloc((size_t)f->n_targets, sizeof *spoken);
    if (!frames || !count || !spoken)
        return maas_fail(err, MAAS_E_NOMEM, "explaining trees");
    survey v = {s, frames, count, spoken, 0};
    for (uint32_t t = 0; t < f->n_trees; t++) {
        s->speak_first[t] = v.n_speak;
        MAAS_TRY(survey_tree(&v, t, err));
        const int32_t n = (int32_t)(v.n_speak - s->speak_first[t]);
        s->n_speak = n > s->n_speak ? n : s->n_speak;
    }
    s->speak_first[f->n_trees] = v.n_speak;
    for (int32_t t = 0; t < f->n_targets; t++) {
        if (f->aggregate == MAAS_FOREST_AVERAGE && f->n_trees)
            s->expected[t] /= f->n_trees;
        s->expected[t] += f->base ? f->base[t] : 0;
    }
    return MAAS_OK;
}

/* ---- tables ---- */

/* Legendre's polynomial of degree n and its derivative, by the recurrence of three terms. */
static double legendre(int32_t n, double x, double *slope)
{
    double before = 1, p = x;
    for (int32_t k = 2; k <= n; k++) {
        const double next = ((2 * k - 1) * x * p - (k - 1) * before) / k;
        before = p;
        p = next;
    }
    *slope = n * (x * p - before) / (x * x - 1);
    return p;
}

/* Points and weights on [0, 1]: Newton from the known near-roots; degree n >= 1. */
static void quadrature(int32_t n, double *at, double *weight)
{
    for (int32_t i = 0; i < n; i++) {
        double x = cos(M_PI * (i + 0.75) / (n + 0.5)), slope;
        for (int round = 0; round < 8; round++)
            x -= legendre(n, x, &slope) / slope;
        legendre(n, x, &slope);
        at[i] = (1 - x) / 2;
        weight[i] = 1 / ((1 - x * x) * slope * slope);
    }
}

/* Where the quadrature of n points begins. */
static size_t first_point(int32_t n)
{
    return (size_t)n * (size_t)(n - 1) / 2;
}

/* share[p][q] = p! q! / (p + q + 1)!, row by row from its neighbours. */
static void fill_shares(maas_shap *s)
{
    const int32_t n = s->unique + 1;
    for (int32_t p = 0; p < n; p++)
        for (int32_t q = 0; q < n; q++)
            s->share[p * n + q] = q   ? s->share[p * n + q - 1] * q / (p + q + 1)
                                  : p ? s->share[(p - 1) * n] * p / (p + 1)
                                      : 1;
}

static bool take(maas_shap *s, void *out, size_t n, size_t size)
{
    const size_t bytes = n * size + 1;
    if (size && n > SIZE_MAX / 2 / size)
        return false;
    if (!maas_budget_take(s->budget, bytes))
        return false;
    void *p = maas_calloc(bytes, 1);
    if (!p) {
        maas_budget_give(s->budget, bytes);
        return false;
    }
    s->charged += bytes;
    memcpy(out, &p, sizeof p);
    return true;
}

static maas_status build(maas_shap *s, maas_err *err)
{
    const maas_forest *f = s->f;
    const maas_status no_memory = MAAS_E_NOMEM;
    s->covers = true;
    for (uint32_t i = 0; i < f->n_nodes; i++)
        s->covers = s->covers && f->nodes[i].cover > 0;
    if (!take(s, &s->expected, (size_t)f->n_targets, sizeof *s->expected) ||
        !take(s, &s->speak_first, f->n_trees + 1u, sizeof *s->speak_first) ||
        !take(s, &s->speak, f->n_weights, sizeof *s->speak) ||
        !take(s, &s->tree_points, f->n_trees, sizeof *s->tree_points))
        return maas_fail(err, no_memory, "explaining trees");
    MAAS_TRY(survey_all(s, err));
    s->n_points = points_for(s->unique);
    const size_t n = (size_t)s->unique + 1, all = first_point(s->n_points + 1);
    if (!take(s, &s->at, all, sizeof *s->at) || !take(s, &s->weight, all, sizeof *s->weight) ||
        !take(s, &s->share, n * n, sizeof *s->share))
        return maas_fail(err, no_memory, "explaining trees");
    s->at[0] = 0.5;
    s->weight[0] = 1;
    for (int32_t k = 2; k <= s->n_points; k++)
        quadrature(k, s->at + first_point(k), s->weight + first_point(k));
    fill_shares(s);
    return MAAS_OK;
}

maas_status maas_shap_create(const maas_forest *f, maas_budget *budget, maas_shap **out,
                             maas_err *err)
{
    if (f->aggregate > MAAS_FOREST_SUM)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "only sums and averages of trees can be explained");
    maas_shap *s = maas_calloc(1, sizeof *s);
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "explaining trees");
    s->f = f;
    s->budget = budget;
    const maas_status st = build(s, err);
    if (st != MAAS_OK) {
        maas_shap_destroy(s);
        return st;
    }
    *out = s;
    return MAAS_OK;
}

void maas_shap_destroy(maas_shap *s)
{
    if (!s)
        return;
    maas_budget_give(s->budget, s->charged);
    maas_free(s->at);
    maas_free(s->weight);
    maas_free(s->share);
    maas_free(s->expected);
    maas_free(s->speak_first);
    maas_free(s->speak);
    maas_free(s->tree_points);
    maas_free(s);
}

bool maas_shap_has_covers(const maas_shap *s)
{
    return s->covers;
}

void maas_shap_expected(const maas_shap *s, double *out)
{
    memcpy(out, s->expected, (size_t)s->f->n_targets * sizeof *out);
}

/* ---- scratch ---- */

static size_t up(size_t n)
{
    return (n + 63) & ~(size_t)63;
}

/* Doubles of a frame: products at the points, one over the factor of its feature there, and sums of
 * the products for each target of a tree, all for each lane. Against rows: two sums for each
 * target. */
static size_t frame_doubles(const maas_shap *s)
{
    const size_t by_covers = (size_t)s->n_points * (2 + (size_t)s->n_speak) * MAAS_SHAP_LANES;
    const size_t against = 2 * (size_t)s->n_speak;
    return by_covers > against ? by_covers : against;
}

size_t maas_shap_scratch(const maas_shap *s)
{
    const size_t frames = (size_t)s->depth + 1;
    return up(frames * sizeof(maas_shap_frame)) +
           up((size_t)s->f->n_features * sizeof(int32_t) + 1) +
           up((size_t)s->f->n_targets * sizeof(int32_t)) +
           up(frames * frame_doubles(s) * sizeof(double)) +
           up((size_t)s->n_points * sizeof(maas_shap_lanes));
}

maas_shap_scratch_view maas_shap_open(const maas_shap *s, void *scratch)
{
    char *p = scratch;
    maas_shap_scratch_view v = {.frames = (maas_shap_frame *)(void *)p};
    p += up(((size_t)s->depth + 1) * sizeof(maas_shap_frame));
    v.last = (int32_t *)(void *)p;
    p += up((size_t)s->f->n_features * sizeof(int32_t) + 1);
    v.slot = (int32_t *)(void *)p;
    p += up((size_t)s->f->n_targets * sizeof(int32_t));
    v.doubles = (double *)(void *)p;
    for (int32_t i = 0; i < s->f->n_features; i++)
        v.last[i] = -1;
    return v;
}

/* ---- by covers ---- */

typedef maas_shap_lanes lanes;

typedef struct covers_walk {
    const maas_shap *s;
    maas_shap_scratch_view v;
    const double *x[MAAS_SHAP_LANES];
    double *phi[MAAS_SHAP_LANES]; /* NULL: a lane that only keeps the others company */
    uint32_t tree;
    int32_t n_speak, n_points; /* of this tree */
    const double *at, *weight; /* its quadrature */
    size_t stride;             /* lanes of a frame: products, inverses, sums */
} covers_walk;

static lanes *products(const covers_walk *w, int32_t frame)
{
    return (lanes *)(void *)w->v.doubles + (size_t)frame * w->stride;
}

static lanes *inverses(const covers_walk *w, int32_t frame)
{
    return products(w, frame) + w->n_points;
}

static lanes *sums(const covers_walk *w, int32_t frame)
{
    return products(w, frame) + 2 * w->n_points;
}

/* Which rows would go to the child that is entered. */
static void goers(const covers_walk *w, const maas_tree_node *n, bool second, lanes *out)
{
    for (int i = 0; i < MAAS_SHAP_LANES; i++)
        (*out)[i] = maas_forest_decides(w->s->f, n, w->x[i][n->feature]) != second;
}

/* The frame of a child: the factor of its edge takes the place of an older one of that feature. */
static void enter(covers_walk *w, int32_t at, int32_t child, bool second)
{
    const maas_shap *s = w->s;
    const maas_tree_node *n = &s->f->nodes[w->v.frames[at].node];
    const int32_t before = w->v.last[n->feature];
    maas_shap_frame *f = &w->v.frames[at + 1];
    *f = (maas_shap_frame){.node = child,
                           .feature = n->feature,
                           .before = before,
                           .z = (double)s->f->nodes[child].cover / n->cover};
    goers(w, n, second, &f->goes);
    const lanes *from = products(w, at), *older = NULL;
    lanes *to = products(w, at + 1), *over = inverses(w, at + 1), *sum = sums(w, at + 1);
    if (before >= 0) {
        f->z *= w->v.frames[before].z;
        f->goes *= w->v.frames[before].goes;
        older = inverses(w, before);
    }
    const lanes step = f->goes - f->z;
    for (int32_t q = 0; q < w->n_points; q++) {
        const lanes factor = f->z + w->at[q] * step;
        over[q] = 1 / factor;
        to[q] = older ? from[q] * older[q] * factor : from[q] * factor;
    }
    for (int32_t i = 0; i < w->n_speak * w->n_points; i++)
        sum[i] = (lanes){0};
    w->v.last[n->feature] = at + 1;
}

/* What the leaves below a frame say, into the feature of its edge and into the frame above. */
static void leave(covers_walk *w, int32_t at)
{
    const maas_shap *s = w->s;
    const maas_shap_frame *f = &w->v.frames[at];
    const lanes *from = sums(w, at), *over = inverses(w, at);
    lanes *to = sums(w, at - 1);
    lanes *slope = (lanes *)(void *)w->v.doubles + ((size_t)s->depth + 1) * w->stride;
    const lanes step = f->goes - f->z;
    for (int32_t q = 0; q < w->n_points; q++)
        slope[q] = w->weight[q] * step * over[q];
    if (f->before >= 0) {
        const maas_shap_frame *b = &w->v.frames[f->before];
        const lanes old = b->goes - b->z, *older = inverses(w, f->before);
        for (int32_t q = 0; q < w->n_points; q++)
            slope[q] -= w->weight[q] * old * older[q];
    }
    for (int32_t k = 0; k < w->n_speak; k++, from += w->n_points, to += w->n_points) {
        lanes sum = {0};
        for (int32_t q = 0; q < w->n_points; q++) {
            sum += slope[q] * from[q];
            to[q] += from[q];
        }
        const int32_t target = s->speak[s->speak_first[w->tree] + (uint32_t)k];
        const size_t cell = (size_t)target * (size_t)s->f->n_features + (size_t)f->feature;
        for (int i = 0; i < MAAS_SHAP_LANES; i++)
            if (w->phi[i])
                w->phi[i][cell] += sum[i];
    }
    w->v.last[f->feature] = f->before;
}

static void covers_leaf(covers_walk *w, int32_t at, const maas_tree_node *leaf)
{
    const lanes *p = products(w, at);
    for (uint32_t i = leaf->first; i < leaf->first + leaf->count; i++) {
        const maas_leaf_weight *l = &w->s->f->weights[i];
        lanes *to = sums(w, at) + (size_t)w->v.slot[l->target] * (size_t)w->n_points;
        for (int32_t q = 0; q < w->n_points; q++)
            to[q] += l->weight * p[q];
    }
}

static void covers_tree(covers_walk *w)
{
    const maas_forest *f = w->s->f;
    maas_shap_frame *frames = w->v.frames;
    int32_t at = 0;
    frames[0] = (maas_shap_frame){.node = f->roots[w->tree]};
    for (int32_t q = 0; q < w->n_points; q++)
        products(w, 0)[q] = (lanes){0} + 1;
    memset(sums(w, 0), 0, (size_t)w->n_speak * (size_t)w->n_points * sizeof(lanes));
    while (at >= 0) {
        maas_shap_frame *top = &frames[at];
        const maas_tree_node *n = &f->nodes[top->node];
        const bool leaf = n->mode == MAAS_SPLIT_LEAF;
        if (leaf)
            covers_leaf(w, at, n);
        if (leaf || top->next == 2) {
            if (at > 0)
                leave(w, at);
            at--;
            continue;
        }
        const bool second = top->next++;
        enter(w, at, second ? n->no : n->yes, second);
        at++;
    }
}

static void set_tree(covers_walk *w, uint32_t tree)
{
    const maas_shap *s = w->s;
    const uint32_t first = s->speak_first[tree];
    w->tree = tree;
    w->n_speak = (int32_t)(s->speak_first[tree + 1] - first);
    w->n_points = s->tree_points[tree];
    w->at = s->at + first_point(w->n_points);
    w->weight = s->weight + first_point(w->n_points);
    for (int32_t k = 0; k < w->n_speak; k++)
        w->v.slot[s->speak[first + (uint32_t)k]] = k;
}

/* At most MAAS_SHAP_LANES rows. */
static void some_rows(const maas_shap *s, const double *x, int64_t n, double *phi, void *scratch)
{
    const size_t size = (size_t)s->f->n_targets * (size_t)s->f->n_features;
    covers_walk w = {
        .s = s, .v = maas_shap_open(s, scratch), .stride = frame_doubles(s) / MAAS_SHAP_LANES};
    for (int i = 0; i < MAAS_SHAP_LANES; i++) {
        w.x[i] = x + (i < n ? i : 0) * (int64_t)s->f->n_features;
        w.phi[i] = i < n ? phi + (size_t)i * size : NULL;
    }
    memset(phi, 0, (size_t)n * size * sizeof *phi);
    for (uint32_t t = 0; t < s->f->n_trees; t++) {
        set_tree(&w, t);
        covers_tree(&w);
    }
    for (size_t i = 0; s->f->aggregate == MAAS_FOREST_AVERAGE && i < (size_t)n * size; i++)
        phi[i] /= s->f->n_trees;
}

void maas_shap_by_covers(const maas_shap *s, const double *x, int64_t n_rows, double *phi,
                         void *scratch)
{
    const int64_t size = (int64_t)s->f->n_targets * s->f->n_features;
    MAAS_CHECK(s->covers);
    for (int64_t r = 0; r < n_rows; r += MAAS_SHAP_LANES) {
        const int64_t left = n_rows - r;
        some_rows(s, x + r * s->f->n_features, left < MAAS_SHAP_LANES ? left : MAAS_SHAP_LANES,
                  phi + r * size, scratch);
    }
}
