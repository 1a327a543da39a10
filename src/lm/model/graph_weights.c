/* Weights of a file as constants of a graph, and what is done with one or two of them. */
#include "lm/model/graph_int.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

const maas_lm_weight *maas_lmg_find(maas_lm_writer *w, const char *name, bool needed)
{
    char full[80];
    if (w->layer >= 0)
        snprintf(full, sizeof full, "blk.%d.%s", (int)w->layer, name);
    else
        snprintf(full, sizeof full, "%s", name);
    const maas_lm_weight *t = maas_lm_weight_of(w->s, full);
    if (t)
        maas_buf_add(&w->used, &t, sizeof t);
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

/* Numbers from .. from + n - 1 of a vector of `all`. */
static maas_vid floats(maas_lm_writer *w, const char *name, int64_t all, int64_t from, int64_t n,
                       bool needed)
{
    const maas_lm_weight *t = maas_lmg_find(w, name, needed);
    if (!t)
        return MAAS_NO_VALUE;
    if (t->rank != 1 || t->dims[0] != all || t->type->id != MAAS_Q_F32) {
        maas_lmg_wrong_shape(w, name, all, 1);
        return MAAS_NO_VALUE;
    }
    const maas_tensor v = maas_tensor_of(
        MAAS_F32, 1, &n, (void *)(uintptr_t)(t->data + (size_t)from * sizeof(float)));
    return constant(w, &v);
}

maas_vid maas_lmg_vector(maas_lm_writer *w, const char *name, int64_t n, bool needed)
{
    return floats(w, name, n, 0, n, needed);
}

float *maas_lmg_numbers(maas_lm_writer *w, const char *name, int64_t n, bool needed)
{
    const maas_lm_weight *t = maas_lmg_find(w, name, needed);
    int64_t all = 1;
    for (int i = 0; t && i < t->rank; i++)
        if (__builtin_mul_overflow(all, t->dims[i], &all))
            all = -1;
    if (!t || w->b.status != MAAS_OK)
        return NULL;
    if (all != n || t->type->block != 1) {
        maas_lmg_wrong_shape(w, name, n, 1);
        return NULL;
    }
    float *to = maas_alloc((size_t)n * sizeof *to);
    if (to)
        t->type->to_f32(t->data, to, n);
    else
        w->b.status = maas_fail(w->b.err, MAAS_E_NOMEM, "the weight '%s'", name);
    return to;
}

maas_vid maas_lmg_floats2(maas_lm_writer *w, const maas_lm_weight *t)
{
    const maas_tensor v = maas_tensor_of(MAAS_F32, 2, t->dims, (void *)(uintptr_t)t->data);
    return constant(w, &v);
}

/* Rows from .. from + rows - 1 of a matrix of `all`, as rows of blocks. */
static maas_vid part_of(maas_lm_writer *w, const char *name, int64_t all, int64_t from,
                        int64_t rows, int64_t cols, int64_t *type)
{
    const maas_lm_weight *t = maas_lmg_find(w, name, true);
    if (!t)
        return MAAS_NO_VALUE;
    const bool one = all == 1 && t->rank == 1 && t->dims[0] == cols; /* a row is a vector */
    if (!one && (t->rank != 2 || t->dims[0] != all || t->dims[1] != cols)) {
        maas_lmg_wrong_shape(w, name, all, cols);
        return MAAS_NO_VALUE;
    }
    const int64_t bytes = cols / t->type->block * t->type->block_bytes, dims[] = {rows, bytes};
    const maas_tensor v = maas_tensor_of(MAAS_U8, 2, dims,
                                         (void *)(uintptr_t)(t->data + from * bytes));
    *type = t->type->id;
    return constant(w, &v);
}

maas_vid maas_lmg_matrix(maas_lm_writer *w, const char *name, int64_t rows, int64_t cols,
                         int64_t *type)
{
    return part_of(w, name, rows, 0, rows, cols, type);
}

maas_vid maas_lmg_experts(maas_lm_writer *w, const char *name, int64_t n, int64_t rows,
                          int64_t cols, int64_t *type)
{
    const maas_lm_weight *t = maas_lmg_find(w, name, true);
    if (!t)
        return MAAS_NO_VALUE;
    if (t->rank != 3 || t->dims[0] != n || t->dims[1] != rows || t->dims[2] != cols) {
        maas_lmg_wrong_shape(w, name, n * rows, cols);
        return MAAS_NO_VALUE;
    }
    const int64_t dims[] = {n, rows, cols / t->type->block * t->type->block_bytes};
    const maas_tensor v = maas_tensor_of(MAAS_U8, 3, dims, (void *)(uintptr_t)t->data);
    *type = t->type->id;
    return constant(w, &v);
}

/* ---- pieces ---- */

maas_vid maas_lmg_reshape(maas_lm_writer *w, maas_vid x, int rank, const int64_t *dims)
{
    return maas_b_op2(&w->b, "Reshape", x, maas_b_i64s(&w->b, dims, rank));
}

maas_vid maas_lmg_times(maas_lm_writer *w, maas_vid x, double by)
{
    return by == 0 || by == 1 ? x : maas_b_op2(&w->b, "Mul", x, maas_b_f32(&w->b, (float)by));
}

maas_vid maas_lmg_linear_part(maas_lm_writer *w, maas_vid x, const char *name, int64_t all,
                              int64_t from, int64_t rows, int64_t cols)
{
    char full[64];
    int64_t type = 0;
    snprintf(full, sizeof full, "%s.weight", name);
    maas_vid in[3] = {x, part_of(w, full, all, from, rows, cols, &type), MAAS_NO_VALUE};
    snprintf(full, sizeof full, "%s.bias", name);
    in[2] = floats(w, full, all, from, rows, false);
    const maas_attr a = MAAS_A_INT("type", type);
    const maas_vid y = maas_b_node(&w->b, "BlockMatMul", &a, 1, in, 3, NULL, 1);
    snprintf(full, sizeof full, "%s.weight", name);
    return maas_lmg_adapted(w, y, x, full, all, from, rows, cols);
}

maas_vid maas_lmg_linear(maas_lm_writer *w, maas_vid x, const char *name, int64_t rows,
                         int64_t cols)
{
    return maas_lmg_linear_part(w, x, name, rows, 0, rows, cols);
}

static maas_vid ones(maas_lm_writer *w, int64_t n)
{
    AUTO_FREE float *one = maas_alloc((size_t)n * sizeof *one);
    if (!one) {
        if (w->b.status == MAAS_OK)
            w->b.status = maas_fail(w->b.err, MAAS_E_NOMEM, "a vector of ones");
        return MAAS_NO_VALUE;
    }
    for (int64_t i = 0; i < n; i++)
        one[i] = 1;
    const maas_tensor t = maas_tensor_of(MAAS_F32, 1, &n, one);
    return maas_b_const(&w->b, NULL, &t);
}

maas_vid maas_lmg_norm_by(maas_lm_writer *w, maas_vid x, maas_vid scale, maas_vid bias, int64_t n)
{
    const bool layer = w->h->arch->flags & MAAS_ARCH_LAYER_NORM;
    const maas_attr eps = MAAS_A_FLOAT("epsilon", (float)w->h->eps);
    const maas_vid in[3] = {x, scale == MAAS_NO_VALUE ? ones(w, n) : scale, bias};
    return maas_b_node(&w->b, layer ? "LayerNormalization" : "RMSNormalization", &eps, 1, in,
                       layer && bias != MAAS_NO_VALUE ? 3 : 2, NULL, 1);
}

maas_vid maas_lmg_norm(maas_lm_writer *w, maas_vid x, const char *name, int64_t n)
{
    char full[64];
    const uint32_t flags = w->h->arch->flags;
    maas_vid bias = MAAS_NO_VALUE;
    if (flags & MAAS_ARCH_BARE_NORM)
        return maas_lmg_norm_by(w, x, bias, bias, n);
    snprintf(full, sizeof full, "%s.bias", name);
    if (flags & MAAS_ARCH_LAYER_NORM)
        bias = maas_lmg_vector(w, full, n, false);
    snprintf(full, sizeof full, "%s.weight", name);
    return maas_lmg_norm_by(w, x, maas_lmg_vector(w, full, n, true), bias, n);
}
