#include "formats/sklearn/training.h"

#include "formats/sklearn/parts.h"

#include "base/ban.h"

maas_status maas_sk_training_read(maas_sk *s, const maas_pk *est, const char *k_name,
                                  maas_sk_training *out)
{
    int64_t dims[2] = {-1, -1};
    *out = (maas_sk_training){0};
    MAAS_TRY(maas_sk_int(s, est, "n_features_in_", &out->n_features));
    dims[1] = out->n_features;
    MAAS_TRY(maas_sk_array(s, est, "_fit_X", MAAS_F64, 2, dims, &out->rows));
    out->m = out->k = dims[0];
    if (out->m < 1 || out->n_features < 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "_fit_X is empty");
    if (k_name)
        MAAS_TRY(maas_sk_int(s, est, k_name, &out->k));
    if (out->k < 1 || out->k > out->m)
        return maas_sk_fail(s, MAAS_E_FORMAT, "%s is %lld, there are %lld training rows", k_name,
                            (long long)out->k, (long long)out->m);
    return maas_sk_metric_of(s, est, "effective_metric_", "effective_metric_params_", &out->metric);
}

maas_status maas_sk_by_distance(maas_sk *s, const maas_pk *est, bool *out)
{
    static const char *const words[] = {"uniform", "distance", NULL};
    int way;
    if (maas_sk_has(est, "weights") && maas_pk_kind_of(maas_pk_attr(est, "weights")) != MAAS_PK_STR)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED,
                            "weights is %s; 'uniform' and 'distance' are known",
                            maas_pk_kind_text(maas_pk_attr(est, "weights")));
    MAAS_TRY(maas_sk_word(s, est, "weights", words, 0, &way));
    *out = way == 1;
    return MAAS_OK;
}

maas_status maas_sk_class_numbers(maas_sk *s, const maas_pk *est, int64_t m, int64_t n_classes,
                                  const maas_tensor **out)
{
    MAAS_TRY(maas_sk_array(s, est, "_y", MAAS_I64, 1, &m, out));
    const int64_t *y = (*out)->data;
    for (int64_t i = 0; i < m; i++)
        if (y[i] < 0 || y[i] >= n_classes)
            return maas_sk_fail(s, MAAS_E_FORMAT, "_y[%lld] is %lld, there are %lld classes",
                                (long long)i, (long long)y[i], (long long)n_classes);
    return MAAS_OK;
}

maas_vid maas_sk_inverse(maas_sk *s, maas_vid distance)
{
    maas_builder *b = &s->b;
    maas_vid same = maas_b_op2(b, "Equal", distance, maas_sk_f64(s, 0));
    maas_vid ones = maas_sk_cast(s, same, MAAS_F64);
    maas_vid any = maas_b_op2(b, "Greater", maas_sk_reduce(s, "ReduceMax", ones, true),
                              maas_sk_f64(s, 0));
    maas_vid safe = maas_b_op3(b, "Where", same, maas_sk_f64(s, 1), distance);
    return maas_b_op3(b, "Where", any, ones, maas_b_op1(b, "Reciprocal", safe));
}
