/*
 * formats/sklearn/clusters.c - the nearest centre (KMeans, MiniBatchKMeans, Birch, MeanShift,
 * AffinityPropagation) or the way down a tree of centres (BisectingKMeans), and distances to all.
 */
#include <string.h>

#include "formats/sklearn/distances.h"
#include "formats/sklearn/parts.h"

#include "base/ban.h"

static const maas_sk_metric euclidean = {.kind = MAAS_SK_EUCLIDEAN};

static maas_status read_centers(maas_sk *s, const maas_pk *est, const char *name,
                                const maas_tensor **out)
{
    int64_t dims[2] = {-1, -1};
    MAAS_TRY(maas_sk_int(s, est, "n_features_in_", &dims[1]));
    MAAS_TRY(maas_sk_array(s, est, name, MAAS_F64, 2, dims, out));
    return dims[0] > 0 && dims[1] > 0
               ? MAAS_OK
               : maas_sk_fail(s, MAAS_E_UNSUPPORTED, "%s is empty: there are no clusters", name);
}

static maas_vid distances_to(maas_sk *s, const maas_sk_table *in, const maas_tensor *centers)
{
    return maas_sk_distances(s, maas_sk_matrix(s, in, centers->dims[1]), centers, &euclidean);
}

/* Labels only: transform() is not theirs. */
static maas_status centers_only(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                unsigned need, maas_sk_out *out)
{
    const maas_tensor *centers;
    MAAS_TRY(read_centers(s, est, "cluster_centers_", &centers));
    out->label = maas_sk_nearest(s, distances_to(s, in, centers));
    return s->b.status;
}

static void offer_distances(maas_sk_out *out, maas_vid d, const maas_tensor *centers)
{
    out->distances = d;
    out->transformed = maas_sk_table_of(d, centers->dims[0]);
}

static maas_status k_means(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                           maas_sk_out *out)
{
    const maas_tensor *centers;
    MAAS_TRY(read_centers(s, est, "cluster_centers_", &centers));
    maas_vid d = distances_to(s, in, centers);
    offer_distances(out, d, centers);
    out->label = maas_sk_nearest(s, d);
    return s->b.status;
}

/* Subclusters, each with the label of its cluster. */
static maas_status birch(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                         maas_sk_out *out)
{
    const maas_tensor *centers, *labels;
    MAAS_TRY(read_centers(s, est, "subcluster_centers_", &centers));
    int64_t dims[1] = {centers->dims[0]};
    MAAS_TRY(maas_sk_array(s, est, "subcluster_labels_", MAAS_I64, 1, dims, &labels));
    maas_vid d = distances_to(s, in, centers);
    offer_distances(out, d, centers);
    out->label = maas_b_op2(&s->b, "Gather", maas_sk_const(s, labels), maas_sk_nearest(s, d));
    return s->b.status;
}

/* ---- a tree of centres ---- */

enum { MAX_CLUSTERS = 1024 };

typedef struct branch {
    const maas_pk *node;
    int32_t left, right; /* places in the list; -1: a leaf */
    maas_vid label;
} branch;

typedef struct bisection {
    branch *list; /* parents before their children */
    int32_t n, cap;
    const double *shift; /* [f] added to the centres in the tree; NULL */
    int64_t f;
} bisection;

static maas_status lay_out(maas_sk *s, const maas_pk *root, int64_t n_clusters, bisection *t)
{
    if (n_clusters > MAX_CLUSTERS)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "there are %lld clusters, at most %d are read",
                            (long long)n_clusters, MAX_CLUSTERS);
    t->cap = 2 * (int32_t)n_clusters - 1;
    t->list = maas_sk_alloc(s, (size_t)t->cap, sizeof *t->list);
    if (!t->list)
        return s->b.status;
    t->list[t->n++] = (branch){root, -1, -1, MAAS_NO_VALUE};
    for (int32_t i = 0; i < t->n; i++) {
        const maas_pk *left = maas_pk_attr(t->list[i].node, "left");
        const maas_pk *right = maas_pk_attr(t->list[i].node, "right");
        if (maas_sk_is_word(left, NULL))
            continue;
        if (t->n + 2 > t->cap)
            return maas_sk_fail(s, MAAS_E_FORMAT, "_bisecting_tree has more than %lld clusters",
                                (long long)n_clusters);
        t->list[i].left = t->n;
        t->list[t->n++] = (branch){left, -1, -1, MAAS_NO_VALUE};
        t->list[i].right = t->n;
        t->list[t->n++] = (branch){right, -1, -1, MAAS_NO_VALUE};
    }
    return MAAS_OK;
}

static maas_status center_of(maas_sk *s, const bisection *t, int32_t i, double *out)
{
    int64_t dims[1] = {t->f};
    const maas_tensor *c;
    MAAS_TRY(maas_sk_array(s, t->list[i].node, "center", MAAS_F64, 1, dims, &c));
    for (int64_t j = 0; j < t->f; j++)
        out[j] = maas_sk_f64_of(c)[j] + (t->shift ? t->shift[j] : 0);
    return MAAS_OK;
}

/* Labels below a node, for every row; children have theirs already. */
static maas_status label_below(maas_sk *s, bisection *t, int32_t i, maas_vid x, int64_t n_clusters)
{
    branch *at = &t->list[i];
    maas_builder *b = &s->b;
    if (at->left < 0) {
        int64_t label;
        MAAS_TRY(maas_sk_int(s, at->node, "label", &label));
        if (label < 0 || label >= n_clusters)
            return maas_sk_fail(s, MAAS_E_FORMAT,
                                "_bisecting_tree: label %lld, there are %lld "
                                "clusters",
                                (long long)label, (long long)n_clusters);
        at->label = maas_b_i64(b, label);
        return b->status;
    }
    maas_tensor *two = maas_sk_new_array(s, 2, t->f);
    if (!two)
        return b->status;
    MAAS_TRY(center_of(s, t, at->left, maas_sk_f64_of(two)));
    MAAS_TRY(center_of(s, t, at->right, maas_sk_f64_of(two) + t->f));
    maas_vid side = maas_sk_nearest(s, maas_sk_distances(s, x, two, &euclidean));
    maas_vid is_left = maas_b_op2(b, "Equal", side, maas_b_i64(b, 0));
    at->label = maas_b_op3(b, "Where", is_left, t->list[at->left].label, t->list[at->right].label);
    return b->status;
}

static maas_status bisecting(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                             maas_sk_out *out)
{
    const maas_tensor *centers, *shift;
    bisection t = {0};
    MAAS_TRY(read_centers(s, est, "cluster_centers_", &centers));
    t.f = centers->dims[1];
    if (maas_sk_has(est, "_X_mean")) {
        MAAS_TRY(maas_sk_array(s, est, "_X_mean", MAAS_F64, 1, &t.f, &shift));
        t.shift = shift->data;
    }
    MAAS_TRY(lay_out(s, maas_pk_attr(est, "_bisecting_tree"), centers->dims[0], &t));
    maas_vid x = maas_sk_matrix(s, in, t.f);
    for (int32_t i = t.n - 1; i >= 0; i--)
        MAAS_TRY(label_below(s, &t, i, x, centers->dims[0]));
    offer_distances(out, maas_sk_distances(s, x, centers, &euclidean), centers);
    out->label = t.n > 1 ? t.list[0].label : maas_sk_nearest(s, out->distances);
    return s->b.status;
}

#define KMEANS "sklearn.cluster._kmeans sklearn.cluster.k_means_"
const maas_sk_row maas_sk_clusters[] = {
    {"AffinityPropagation",
     "sklearn.cluster._affinity_propagation sklearn.cluster.affinity_propagation_",
     MAAS_SK_CLUSTERER, centers_only},
    {"Birch", "sklearn.cluster._birch sklearn.cluster.birch", MAAS_SK_CLUSTERER, birch},
    {"BisectingKMeans", "sklearn.cluster._bisect_k_means", MAAS_SK_CLUSTERER, bisecting},
    {"KMeans", KMEANS, MAAS_SK_CLUSTERER, k_means},
    {"MeanShift", "sklearn.cluster._mean_shift sklearn.cluster.mean_shift_", MAAS_SK_CLUSTERER,
     centers_only},
    {"MiniBatchKMeans", KMEANS, MAAS_SK_CLUSTERER, k_means},
    {0},
};
