/*
 * learn/compress/cluster.c - step cluster: a tensor becomes a list of at most 2^bits numbers and,
 * for each weight, which of them it is. The numbers are the means of k-means in one dimension, from
 * centres that stand at equal shares of the sorted weights.
 *
 * In the file: Gather(codebook, Cast(indices)); indices of four bits are packed two to a byte.
 */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "learn/compress/step.h"
#include "learn/compress/weights.h"
#include "base/ban.h"

enum { MAX_CENTRES = 256, ROUNDS = 50 };

const maas_param maas_step_cluster_rows[2] = {
    {"bits", MAAS_PARAM_INT, MAAS_STEP_AT(bits), 1, 8, 4,
     .help = "of an index: 2^bits different weights a tensor"},
    {"min_elements", MAAS_PARAM_INT, MAAS_STEP_AT(min_elements), 1, 1e9, 1024,
     .help = "smaller tensors stay as they are"},
};

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* First of v[n] (sorted) that is nearer to the next centre. */
static int64_t border(const float *v, int64_t n, double limit)
{
    int64_t lo = 0, hi = n;
    while (lo < hi) {
        const int64_t mid = lo + (hi - lo) / 2;
        if ((double)v[mid] < limit)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Means of what is nearest to each centre; false when nothing moved. */
static bool move_centres(const float *v, const double *sums, int64_t n, double *centre, int k)
{
    int64_t from = 0;
    bool moved = false;
    for (int i = 0; i < k; i++) {
        const int64_t to = i + 1 < k ? border(v, n, (centre[i] + centre[i + 1]) / 2) : n;
        if (to > from) {
            const double mean = (sums[to] - sums[from]) / (double)(to - from);
            moved |= mean != centre[i];
            centre[i] = mean;
        }
        from = to > from ? to : from;
    }
    return moved;
}

/* Centres of w, ascending; returns how many (fewer where there are fewer values). */
static maas_status find_centres(const float *w, int64_t n, int k, double *centre, int *out_k,
                                maas_err *err)
{
    AUTO_FREE float *v = maas_alloc((size_t)n * sizeof *v);
    AUTO_FREE double *sums = maas_alloc((size_t)(n + 1) * sizeof *sums);
    if (!v || !sums)
        return maas_fail(err, MAAS_E_NOMEM, "memory for %lld weights", (long long)n);
    memcpy(v, w, (size_t)n * sizeof *v);
    qsort(v, (size_t)n, sizeof *v, by_value);
    sums[0] = 0;
    for (int64_t i = 0; i < n; i++)
        sums[i + 1] = sums[i] + (double)v[i];
    int made = 0;
    for (int i = 0; i < k; i++) {
        const double at = (double)v[(2 * i + 1) * n / (2 * k)];
        if (!made || at > centre[made - 1])
            centre[made++] = at;
    }
    for (int round = 0; round < ROUNDS && move_centres(v, sums, n, centre, made); round++)
        ;
    *out_k = made;
    return MAAS_OK;
}

static int nearest(const double *centre, int k, double v)
{
    int lo = 0, hi = k - 1;
    while (lo < hi) {
        const int mid = (lo + hi) / 2;
        if (v < (centre[mid] + centre[mid + 1]) / 2)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

static maas_status cluster(maas_step_call *c, maas_builder *b, maas_vid v)
{
    const maas_tensor *t = &maas_graph_at(c->g, v)->init;
    const float *w = t->data;
    const int64_t n = maas_n_elems(t);
    double centre[MAX_CENTRES];
    int k = 0;
    MAAS_TRY(find_centres(w, n, 1 << c->spec->bits, centre, &k, b->err));
    maas_tensor index = maas_tensor_of(c->spec->bits <= 4 ? MAAS_U4 : MAAS_U8, t->rank, t->dims,
                                       NULL);
    maas_tensor book = maas_tensor_of(MAAS_F32, 1, &(int64_t){k}, NULL);
    MAAS_TRY(maas_weight_room(c->g, &index, b->err));
    MAAS_TRY(maas_weight_room(c->g, &book, b->err));
    for (int64_t i = 0; i < n; i++)
        ((uint8_t *)index.data)[i] = (uint8_t)nearest(centre, k, (double)w[i]);
    for (int i = 0; i < k; i++)
        ((float *)book.data)[i] = (float)centre[i];
    const maas_attr to = MAAS_A_INT("to", MAAS_I32);
    maas_vid at = maas_weight_const(b, v, "index", &index), wide = MAAS_NO_VALUE;
    const maas_vid list = maas_weight_const(b, v, "codebook", &book);
    maas_b_node(b, "Cast", &to, 1, &at, 1, &wide, 1);
    const maas_vid out = maas_b_op2(b, "Gather", list, wide);
    return b->status == MAAS_OK ? maas_graph_replace(c->g, v, out, b->err) : b->status;
}

maas_status maas_step_cluster(maas_step_call *c, maas_err *err)
{
    maas_arena a;
    maas_weight_list list;
    maas_builder b;
    maas_arena_init(&a, c->job->budget);
    maas_builder_init(&b, c->g, err);
    maas_status st = maas_weights_find(c->g, c->spec->min_elements, &a, &list, err);
    for (size_t i = 0; st == MAAS_OK && i < list.n; i++)
        st = cluster(c, &b, list.at[i].v);
    if (st == MAAS_OK)
        st = maas_graph_compact(c->g, err);
    json_object_set_new(c->said, "tensors", json_integer((json_int_t)list.n));
    json_object_set_new(c->said, "elements", json_integer(list.n_elems));
    maas_arena_reset(&a);
    return st;
}
