/*
 * formats/sklearn/radius.c - RadiusNeighborsClassifier, RadiusNeighborsRegressor: all training rows
 * within a radius, alike or weighed by their distance.
 *
 * A row without neighbours: the regressor answers NaN; the classifier answers outlier_label_, and
 * is refused when it has none, because scikit-learn then fails for the whole request.
 */
#include <math.h>

#include "formats/sklearn/parts.h"
#include "formats/sklearn/training.h"

#include "base/ban.h"

/* [n, m]: what each training row counts for each row. */
static maas_status counts(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                          const maas_sk_training *o, maas_vid *out)
{
    double radius;
    bool by_distance;
    MAAS_TRY(maas_sk_double(s, est, "radius", &radius));
    MAAS_TRY(maas_sk_by_distance(s, est, &by_distance));
    maas_vid d = maas_sk_distances(s, maas_sk_matrix(s, in, o->n_features), o->rows, &o->metric);
    maas_vid near = maas_b_op2(&s->b, "LessOrEqual", d, maas_sk_f64(s, radius));
    *out = maas_sk_cast(s, near, MAAS_F64);
    if (by_distance)
        *out = MAAS_SK_MUL(s, *out, maas_sk_inverse(s, d));
    return s->b.status;
}

/* ---- classes ---- */

/* Text or a whole number as a list of one class. */
static maas_status one_label(maas_sk *s, const maas_pk *v, const maas_tensor **out)
{
    static const int64_t one = 1;
    maas_tensor *t = maas_sk_alloc(s, 1, sizeof *t);
    maas_str *text = maas_sk_alloc(s, 1, sizeof *text);
    int64_t *number = maas_sk_alloc(s, 1, sizeof *number);
    if (!t || !text || !number)
        return s->b.status;
    if (maas_pk_to_str(v, text))
        *t = maas_tensor_of(MAAS_STRING, 1, &one, text);
    else if (maas_pk_to_int(v, number))
        *t = maas_tensor_of(MAAS_I64, 1, &one, number);
    else
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED,
                            "outlier_label_ is %s, expected text or a whole number",
                            maas_pk_kind_text(v));
    *out = t;
    return MAAS_OK;
}

/* The label of rows without neighbours, as a class (its number), or as itself outside of classes
 * (-1). */
static maas_status outlier_label(maas_sk *s, const maas_pk *est, const maas_tensor *classes,
                                 const maas_tensor **label, int64_t *number)
{
    const maas_pk *list = maas_pk_attr(est, "outlier_label_");
    if (maas_pk_count(list) != 1 || maas_sk_is_word(maas_pk_at(list, 0), NULL))
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED,
                            "outlier_label is None: rows without neighbours have no answer; fit it "
                            "with a label for them");
    MAAS_TRY(one_label(s, maas_pk_at(list, 0), label));
    *number = -1;
    if ((*label)->dtype != classes->dtype)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED,
                            "outlier_label_ is of another kind than classes_");
    for (int64_t k = 0; k < classes->dims[0] && *number < 0; k++) {
        maas_tensor one = *classes;
        one.dims[0] = 1;
        one.data = (char *)classes->data + (size_t)k * maas_dtype_size((maas_dtype)classes->dtype);
        if (maas_sk_same_classes(&one, *label))
            *number = k;
    }
    return MAAS_OK;
}

/* [m, n_classes]: 1 at the class of each training row */
static maas_status one_hot(maas_sk *s, const maas_pk *est, const maas_sk_training *o,
                           int64_t n_classes, const maas_tensor **out)
{
    const maas_tensor *y;
    MAAS_TRY(maas_sk_class_numbers(s, est, o->m, n_classes, &y));
    maas_tensor *t = maas_sk_new_array(s, o->m, n_classes);
    if (!t)
        return s->b.status;
    for (int64_t i = 0; i < o->m; i++)
        maas_sk_f64_of(t)[i * n_classes + ((const int64_t *)y->data)[i]] = 1;
    *out = t;
    return MAAS_OK;
}

static maas_status classifier(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                              unsigned need, maas_sk_out *out)
{
    maas_sk_training o;
    bool several;
    int64_t other;
    const maas_tensor *hot, *label;
    maas_vid weights = MAAS_NO_VALUE;
    maas_builder *b = &s->b;
    MAAS_TRY(maas_sk_bool_or(s, est, "outputs_2d_", false, &several));
    if (several)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED,
                            "outputs_2d_: classifiers of several targets "
                            "are not read, fit one a target");
    MAAS_TRY(maas_sk_classes(s, est, "classes_", -1, &out->classes));
    const int64_t n_classes = out->classes->dims[0];
    MAAS_TRY(maas_sk_training_read(s, est, NULL, &o));
    MAAS_TRY(outlier_label(s, est, out->classes, &label, &other));
    MAAS_TRY(one_hot(s, est, &o, n_classes, &hot));
    MAAS_TRY(counts(s, est, in, &o, &weights));
    maas_vid votes = maas_sk_affine(s, weights, hot, NULL);
    maas_vid sum = maas_sk_reduce(s, "ReduceSum", votes, true);
    maas_vid alone = maas_b_op2(b, "Equal", sum, maas_sk_f64(s, 0));
    maas_tensor *row = maas_sk_new_array(s, n_classes, 0);
    if (!row)
        return b->status;
    if (other >= 0)
        maas_sk_f64_of(row)[other] = 1;
    maas_vid safe = maas_b_op3(b, "Where", alone, maas_sk_f64(s, 1), sum);
    out->probabilities = maas_b_op3(b, "Where", alone, maas_sk_const(s, row),
                                    MAAS_SK_DIV(s, votes, safe));
    out->label = maas_sk_label(s, maas_sk_argmax(s, out->probabilities), out->classes);
    if (other < 0)
        out->label = maas_b_op3(b, "Where", maas_sk_flat(s, alone), maas_sk_const(s, label),
                                out->label);
    return b->status;
}

/* ---- values ---- */

static maas_status regressor(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                             maas_sk_out *out)
{
    maas_sk_training o;
    maas_vid weights = MAAS_NO_VALUE;
    const maas_tensor *y, *given = maas_pk_array(maas_pk_attr(est, "_y"));
    MAAS_TRY(maas_sk_training_read(s, est, NULL, &o));
    const bool flat = !given || given->rank != 2;
    int64_t dims[2] = {o.m, -1};
    MAAS_TRY(maas_sk_array(s, est, "_y", MAAS_F64, flat ? 1 : 2, dims, &y));
    MAAS_TRY(counts(s, est, in, &o, &weights));
    maas_tensor *columns = maas_sk_alloc(s, 1, sizeof *columns);
    if (!columns)
        return s->b.status;
    const int64_t shape[2] = {o.m, flat ? 1 : dims[1]};
    *columns = maas_tensor_of(MAAS_F64, 2, shape, y->data);
    out->value = MAAS_SK_DIV(s, maas_sk_affine(s, weights, columns, NULL),
                             maas_sk_reduce(s, "ReduceSum", weights, true));
    if (flat)
        out->value = maas_sk_flat(s, out->value);
    return s->b.status;
}

const maas_sk_row maas_sk_radius[] = {
    {"RadiusNeighborsClassifier",
     "sklearn.neighbors._classification sklearn.neighbors.classification", MAAS_SK_CLASSIFIER,
     classifier},
    {"RadiusNeighborsRegressor", "sklearn.neighbors._regression sklearn.neighbors.regression",
     MAAS_SK_REGRESSOR, regressor},
    {0},
};
