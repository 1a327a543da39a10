/* learn/classic/dense_build.c - nodes that several learners write. */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "learn/classic/dense.h"

#include "base/ban.h"

static void no_memory(maas_builder *b, const char *what)
{
    if (b->status == MAAS_OK)
        b->status = maas_fail(b->err, MAAS_E_NOMEM, "%s of the model", what);
}

maas_vid maas_dense_named(maas_builder *b, const char *name, const maas_tensor *t)
{
    char full[64];
    snprintf(full, sizeof full, "layers.0.%s", name ? name : "");
    return maas_b_const(b, name ? strncmp(name, "input.", 6) == 0 ? name : full : NULL, t);
}

maas_vid maas_dense_const(maas_builder *b, const char *name, int rank, const int64_t *dims,
                          const double *data)
{
    maas_tensor t = maas_tensor_of(MAAS_F32, rank, dims, NULL);
    const int64_t n = maas_n_elems(&t);
    AUTO_FREE float *values = maas_calloc((size_t)n + 1, sizeof *values);
    if (!values) {
        no_memory(b, name ? name : "constants");
        return MAAS_NO_VALUE;
    }
    for (int64_t i = 0; i < n; i++) {
        values[i] = (float)data[i];
        if (!isfinite(values[i]) && b->status == MAAS_OK)
            b->status = maas_fail(b->err, MAAS_E_INVALID,
                                  "%s of the model would be %g, which 32 bits cannot hold: scale "
                                  "the inputs or the target",
                                  name ? name : "a constant", data[i]);
    }
    t.data = values;
    return maas_dense_named(b, name, &t);
}

maas_vid maas_dense_times(maas_builder *b, maas_vid x, const char *name, const double *data,
                          int64_t d, int64_t m)
{
    return maas_b_op2(b, "MatMul", x, maas_dense_const(b, name, 2, (int64_t[]){d, m}, data));
}

maas_vid maas_dense_times_rows(maas_builder *b, maas_vid x, const char *name, const double *data,
                               int64_t m, int64_t d)
{
    AUTO_FREE double *t = maas_calloc((size_t)(m * d) + 1, sizeof *t);
    if (!t) {
        no_memory(b, name);
        return MAAS_NO_VALUE;
    }
    for (int64_t i = 0; i < m; i++)
        for (int64_t k = 0; k < d; k++)
            t[k * m + i] = data[i * d + k];
    return maas_dense_times(b, x, name, t, d, m);
}

maas_vid maas_dense_flat(maas_builder *b, maas_vid v)
{
    return maas_b_op2(b, "Reshape", v, maas_b_i64s(b, (int64_t[]){-1}, 1));
}

maas_vid maas_dense_reduce(maas_builder *b, const char *op, maas_vid x, int64_t axis, bool keep)
{
    maas_attr attr = MAAS_A_INT("keepdims", keep);
    maas_vid in[2] = {x, maas_b_i64s(b, &axis, 1)}, out = MAAS_NO_VALUE;
    return maas_b_node(b, op, &attr, 1, in, 2, &out, 1);
}

maas_vid maas_dense_arg(maas_builder *b, const char *op, maas_vid x)
{
    maas_attr attr[2] = {MAAS_A_INT("axis", 1), MAAS_A_INT("keepdims", 0)};
    maas_vid out = MAAS_NO_VALUE;
    return maas_b_node(b, op, attr, 2, &x, 1, &out, 1);
}

maas_vid maas_dense_cast(maas_builder *b, maas_vid x, maas_dtype to)
{
    maas_attr attr = MAAS_A_INT("to", to);
    maas_vid out = MAAS_NO_VALUE;
    return maas_b_node(b, "Cast", &attr, 1, &x, 1, &out, 1);
}

maas_vid maas_dense_softmax(maas_builder *b, maas_vid z)
{
    maas_attr axis = MAAS_A_INT("axis", 1);
    maas_vid out = MAAS_NO_VALUE;
    return maas_b_node(b, "Softmax", &axis, 1, &z, 1, &out, 1);
}

maas_vid maas_dense_concat(maas_builder *b, const maas_vid *in, uint32_t n)
{
    maas_attr axis = MAAS_A_INT("axis", 1);
    maas_vid out = MAAS_NO_VALUE;
    return n == 1 ? in[0] : maas_b_node(b, "Concat", &axis, 1, in, n, &out, 1);
}

void maas_dense_chances(const maas_dense *s, maas_builder *b, maas_vid p)
{
    maas_b_output(b, "label", maas_matrix_label(&s->target, b, p));
    maas_b_output(b, "probabilities", p);
}

void maas_dense_logits(const maas_dense *s, maas_builder *b, maas_vid z)
{
    if (s->target.n_classes > 2) {
        maas_dense_chances(s, b, maas_dense_softmax(b, z));
        return;
    }
    maas_vid p = maas_b_op1(b, "Sigmoid", z);
    maas_dense_chances(
        s, b, maas_dense_concat(b, (maas_vid[]){maas_b_op2(b, "Sub", maas_b_f32(b, 1), p), p}, 2));
}

void maas_dense_values(const maas_dense *s, maas_builder *b, maas_vid z)
{
    maas_b_output(b, "value", s->target.col->desc.rank == 0 ? maas_dense_flat(b, z) : z);
}

/* [batch, 1, d] - [1, m, d], squared and summed */
static maas_vid by_differences(maas_builder *b, maas_vid x, const char *name, const double *points,
                               int64_t m, int64_t d)
{
    maas_vid rows = maas_b_op2(b, "Unsqueeze", x, maas_b_i64s(b, (int64_t[]){1}, 1));
    maas_vid all = maas_dense_const(b, name, 3, (int64_t[]){1, m, d}, points);
    return maas_dense_reduce(b, "ReduceSumSquare", maas_b_op2(b, "Sub", rows, all), 2, false);
}

static maas_vid by_product(maas_builder *b, maas_vid x, const char *name, const double *points,
                           int64_t m, int64_t d)
{
    AUTO_FREE double *at = maas_calloc((size_t)(m * d) + 1, sizeof *at);
    AUTO_FREE double *mean = maas_calloc((size_t)d, sizeof *mean);
    AUTO_FREE double *norms = maas_calloc((size_t)m, sizeof *norms);
    if (!at || !mean || !norms) {
        no_memory(b, name);
        return MAAS_NO_VALUE;
    }
    for (int64_t i = 0; i < m * d; i++)
        mean[i % d] += points[i] / (double)m;
    for (int64_t i = 0; i < m * d; i++) {
        at[i] = (float)(points[i] - mean[i % d]);
        norms[i / d] += at[i] * at[i];
    }
    x = maas_b_op2(b, "Sub", x, maas_dense_const(b, NULL, 1, &d, mean));
    maas_vid dots = maas_dense_times_rows(b, x, name, at, m, d);
    maas_vid mine = maas_dense_reduce(b, "ReduceSumSquare", x, 1, true);
    maas_vid theirs = maas_dense_const(b, NULL, 2, (int64_t[]){1, m}, norms);
    maas_vid sum = maas_b_op2(b, "Add", mine, theirs);
    maas_vid d2 = maas_b_op2(b, "Sub", sum, maas_b_op2(b, "Mul", maas_b_f32(b, 2), dots));
    return maas_b_op1(b, "Relu", d2);
}

#define FEW (1 << 14) /* numbers: differences of a batch of 256 rows are 16 MiB */

maas_vid maas_dense_distances(maas_builder *b, maas_vid x, const char *name, const double *points,
                              int64_t m, int64_t d)
{
    return (m * d <= FEW ? by_differences : by_product)(b, x, name, points, m, d);
}

/* The k least along axis 1 in order; values, and their places. */
void maas_dense_least(maas_builder *b, maas_vid v, int64_t k, maas_vid out[2])
{
    maas_attr attr[2] = {MAAS_A_INT("axis", 1), MAAS_A_INT("largest", 0)};
    maas_vid in[2] = {v, maas_b_i64s(b, &k, 1)};
    out[0] = out[1] = MAAS_NO_VALUE;
    maas_b_node(b, "TopK", attr, 2, in, 2, out, 2);
}

static maas_vid gather_elements(maas_builder *b, maas_vid from, maas_vid places)
{
    maas_attr axis = MAAS_A_INT("axis", 1);
    maas_vid in[2] = {from, places}, out = MAAS_NO_VALUE;
    return maas_b_node(b, "GatherElements", &axis, 1, in, 2, &out, 1);
}

#define SPARE 8 /* candidates beyond k: rounding of the product may have hidden one */

void maas_dense_nearest(maas_builder *b, maas_vid x, const double *points, int64_t m, int64_t d,
                        int64_t k, maas_vid *out_d2, maas_vid *out_which)
{
    maas_vid best[2];
    if (m * d <= FEW) {
        maas_dense_least(b, maas_dense_distances(b, x, "points", points, m, d), k, best);
        *out_d2 = best[0];
        *out_which = best[1];
        return;
    }
    const int64_t n = k + SPARE < m ? k + SPARE : m;
    maas_dense_least(b, by_product(b, x, "points.centred", points, m, d), n, best);
    maas_vid all = maas_dense_const(b, "points", 2, (int64_t[]){m, d}, points);
    maas_vid near = maas_b_op2(b, "Gather", all, best[1]); /* [batch, n, d] */
    maas_vid rows = maas_b_op2(b, "Unsqueeze", x, maas_b_i64s(b, (int64_t[]){1}, 1));
    maas_vid exact = maas_dense_reduce(b, "ReduceSumSquare", maas_b_op2(b, "Sub", rows, near), 2,
                                       false);
    maas_vid again[2];
    maas_dense_least(b, exact, k, again);
    *out_d2 = again[0];
    *out_which = gather_elements(b, best[1], again[1]);
}
