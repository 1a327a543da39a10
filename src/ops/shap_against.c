/*
 * Against background rows: x and a background row b go down each tree together. Where they part at
 * a feature that did not part them before, both ways are walked: the one of x (the feature is taken
 * from x) and the one of b. A leaf that p features of x and q of b lead to is won by every
 * coalition with all of the p and none of the q:
 *   (p - 1)! q! / (p + q)! of its weight for each of the p, minus p! (q - 1)! / (p + q)! for each
 *   of the q.
 */
#include <string.h>

#include "ops/shap_int.h"

#include "base/ban.h"

enum { TOGETHER, OF_X, OF_B }; /* how an edge was taken: maas_shap_frame.before */

typedef struct pair_walk {
    const maas_shap *s;
    maas_shap_scratch_view v;
    const double *x, *b;
    double *phi;
    uint32_t tree;
    int32_t n_speak, p, q;
} pair_walk;

/* What the leaves below say for those of x, and against those of b: [2][n_speak]. */
static double *said(const pair_walk *w, int32_t frame)
{
    return w->v.doubles + (size_t)frame * 2 * (size_t)w->n_speak;
}

static void pair_leaf(const pair_walk *w, int32_t at, const maas_tree_node *leaf)
{
    const maas_shap *s = w->s;
    const int32_t n = s->unique + 1;
    const double of_x = w->p ? s->share[(w->p - 1) * n + w->q] : 0;
    const double of_b = w->q ? s->share[w->p * n + w->q - 1] : 0;
    for (uint32_t i = leaf->first; i < leaf->first + leaf->count; i++) {
        double *to = said(w, at) + w->v.slot[s->f->weights[i].target];
        to[0] += s->f->weights[i].weight * of_x;
        to[w->n_speak] += s->f->weights[i].weight * of_b;
    }
}

/* Down one edge; `how` says who takes it. */
static void pair_enter(pair_walk *w, int32_t at, int32_t child, int32_t feature, int32_t how)
{
    w->v.frames[at + 1] = (maas_shap_frame){.node = child, .feature = feature, .before = how};
    memset(said(w, at + 1), 0, 2 * (size_t)w->n_speak * sizeof(double));
    if (how != TOGETHER)
        w->v.last[feature] = how;
    w->p += how == OF_X;
    w->q += how == OF_B;
}

static void pair_leave(pair_walk *w, int32_t at)
{
    const maas_shap *s = w->s;
    const maas_shap_frame *f = &w->v.frames[at];
    const double *from = said(w, at);
    double *to = said(w, at - 1);
    for (int32_t k = 0; k < 2 * w->n_speak; k++)
        to[k] += from[k];
    if (f->before == TOGETHER)
        return;
    for (int32_t k = 0; k < w->n_speak; k++) {
        const int32_t target = s->speak[s->speak_first[w->tree] + (uint32_t)k];
        double *phi = &w->phi[(size_t)target * (size_t)s->f->n_features + (size_t)f->feature];
        *phi += f->before == OF_X ? from[k] : -from[w->n_speak + k];
    }
    w->v.last[f->feature] = -1;
    w->p -= f->before == OF_X;
    w->q -= f->before == OF_B;
}

/* The next edge to take from a node, or false when all that matter were. */
static bool pair_step(pair_walk *w, int32_t at, const maas_tree_node *n)
{
    maas_shap_frame *top = &w->v.frames[at];
    const bool x = maas_forest_decides(w->s->f, n, w->x[n->feature]);
    const bool b = maas_forest_decides(w->s->f, n, w->b[n->feature]);
    const int32_t owner = w->v.last[n->feature];
    const bool part = x != b && owner == -1; /* asked again, it is as before: see pair_leave */
    if (top->next == (part ? 2 : 1))
        return false;
    const bool second = top->next++;
    const bool yes = part ? (second ? b : x) : owner == OF_B ? b : x;
    pair_enter(w, at, yes ? n->yes : n->no, n->feature, !part ? TOGETHER : second ? OF_B : OF_X);
    return true;
}

static void pair_tree(pair_walk *w)
{
    int32_t at = 0;
    w->v.frames[0] = (maas_shap_frame){.node = w->s->f->roots[w->tree]};
    memset(said(w, 0), 0, 2 * (size_t)w->n_speak * sizeof(double));
    while (at >= 0) {
        const maas_tree_node *n = &w->s->f->nodes[w->v.frames[at].node];
        if (n->mode == MAAS_SPLIT_LEAF)
            pair_leaf(w, at, n);
        else if (pair_step(w, at, n)) {
            at++;
            continue;
        }
        if (at > 0)
            pair_leave(w, at);
        at--;
    }
}

void maas_shap_against(const maas_shap *s, const double *x, const double *background,
                       int64_t n_rows, double *phi, void *scratch)
{
    const size_t n_features = (size_t)s->f->n_features;
    const size_t n = (size_t)s->f->n_targets * n_features;
    pair_walk w = {.s = s, .v = maas_shap_open(s, scratch), .x = x, .phi = phi};
    memset(phi, 0, n * sizeof *phi);
    for (w.tree = 0; w.tree < s->f->n_trees; w.tree++) {
        const uint32_t first = s->speak_first[w.tree];
        w.n_speak = (int32_t)(s->speak_first[w.tree + 1] - first);
        for (int32_t k = 0; k < w.n_speak; k++)
            w.v.slot[s->speak[first + (uint32_t)k]] = k;
        for (int64_t r = 0; r < n_rows; r++) {
            w.b = background + (size_t)r * n_features;
            pair_tree(&w);
        }
    }
    const double of = (double)n_rows * (s->f->aggregate == MAAS_FOREST_AVERAGE ? s->f->n_trees : 1);
    for (size_t i = 0; i < n; i++)
        phi[i] /= of;
}
