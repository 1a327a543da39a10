/* Weights of a file as constants of a graph, and what is done with one or two of them. */
#include "lm/model/graph_int.h"

#include <stdio.h>
#include <string.h>

#include "base/ban.h"

const maas_lm_weight *maas_lmg_find(maas_lm_writer *w, const char *name, bool needed)
{
    char full[80];
    if (w->layer >= 0)
        snprintf(full, sizeof full, "blk.%d.%s", (int)w->layer, name);
    else
        snprintf(full, sizeof full, "%s", name);
    const maas_lm_weight *t = maas_lm_weight_of(w->s, full);
    if (!t && needed && w->b.status == MAAS_OK)
        w->b.status = maas_fail(w->b.err, MAAS_E_FORMAT, "the weight '%s' is missing", full);
    return t;
}

void maas_lmg_wrong_shape(maas_lm_writer *w, const char *name, int64_t rows, int64_t cols)
{
    if (w->b.status == MAAS_OK)
        w->b.status = maas_fail(w->b.err, MAAS_E_FORMAT,
                                "the weight '%s' of layer %lld has another shape or type than "
                                "%lld x %lld",
                                name, (long long)w->layer, (long long)rows, (long long)cols);
}

static maas_vid constant(maas_lm_writer *w, const maas_tensor *t)
{
    maas_vid v = MAAS_NO_VALUE;
    if (w->b.status == MAAS_OK)
        w->b.status = maas_graph_const(w->b.g, NULL, t, false, &v, w->b.err);
    return v;
}

/* A vector of floats, borrowed from the file; MAAS_NO_VALUE when it is not there and not needed. */
maas_vid maas_lmg_vector(maas_lm_writer *w, const char *name, int64_t n, bool needed)
{
    const maas_lm_weight *t = maas_lmg_find(w, name, needed);
    if (!t)
        return MAAS_NO_VALUE;
    if (t->rank != 1 || t->dims[0] != n || t->type->id != MAAS_Q_F32) {
        maas_lmg_wrong_shape(w, name, n, 1);
        return MAAS_NO_VALUE;
    }
    const maas_tensor v = maas_tensor_of(MAAS_F32, 1, &n, (void *)(uintptr_t)t->data);
    return constant(w, &v);
}

/* A matrix as rows of blocks; *type: ggml's number. */
maas_vid maas_lmg_matrix(maas_lm_writer *w, const char *name, int64_t rows, int64_t cols,
                         int64_t *type)
{
    const maas_lm_weight *t = maas_lmg_find(w, name, true);
    if (!t)
        return MAAS_NO_VALUE;
    if (t->rank != 2 || t->dims[0] != rows || t->dims[1] != cols) {
        maas_lmg_wrong_shape(w, name, rows, cols);
        return MAAS_NO_VALUE;
    }
    const int64_t dims[] = {rows, cols / t->type->block * t->type->block_bytes};
    const maas_tensor v = maas_tensor_of(MAAS_U8, 2, dims, (void *)(uintptr_t)t->data);
    *type = t->type->id;
    return constant(w, &v);
}

/* ---- pieces ---- */

maas_vid maas_lmg_reshape(maas_lm_writer *w, maas_vid x, int rank, const int64_t *dims)
{
    return maas_b_op2(&w->b, "Reshape", x, maas_b_i64s(&w->b, dims, rank));
}

/* x W^T (+ bias), with `name`.weight and `name`.bias if there is one. */
maas_vid maas_lmg_linear(maas_lm_writer *w, maas_vid x, const char *name, int64_t rows,
                         int64_t cols)
{
    char full[64];
    int64_t type = 0;
    snprintf(full, sizeof full, "%s.weight", name);
    maas_vid in[3] = {x, maas_lmg_matrix(w, full, rows, cols, &type), MAAS_NO_VALUE};
    snprintf(full, sizeof full, "%s.bias", name);
    in[2] = maas_lmg_vector(w, full, rows, false);
    const maas_attr a = MAAS_A_INT("type", type);
    return maas_b_node(&w->b, "BlockMatMul", &a, 1, in, 3, NULL, 1);
}

maas_vid maas_lmg_norm(maas_lm_writer *w, maas_vid x, const char *name, int64_t n)
{
    const maas_attr eps = MAAS_A_FLOAT("epsilon", (float)w->h->eps);
    const maas_vid in[2] = {x, maas_lmg_vector(w, name, n, true)};
    return maas_b_node(&w->b, "RMSNormalization", &eps, 1, in, 2, NULL, 1);
}
