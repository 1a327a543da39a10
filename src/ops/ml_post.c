#include "ops/ml_int.h"

#include "base/ban.h"

maas_post maas_post_of(const maas_node *n)
{
    static const char *const names[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
    maas_str s = maas_attr_s(n, "post_transform", "NONE");
    for (int i = 0; i < (int)MAAS_COUNT(names); i++)
        if (s.n == strlen(names[i]) && memcmp(s.p, names[i], s.n) == 0)
            return (maas_post)i;
    return MAAS_POST_BAD;
}

double maas_logistic(double x)
{
    double v = 1 / (1 + exp(-fabs(x)));
    return x < 0 ? 1 - v : v;
}

/* Winitzki's approximation of the inverse error function, with the constants of ONNX Runtime. */
static double probit(double p)
{
    const double x = 2 * p - 1, l = log((1 - x) * (1 + x));
    const double v = 2 / (3.14159 * 0.147) + 0.5 * l;
    return 1.41421356 * (x < 0 ? -1 : 1) * sqrt(sqrt(v * v - l / 0.147) - v);
}

static void softmax(float *y, int64_t n, bool keep_zero)
{
    double max = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++)
        max = fmax(max, y[i]);
    for (int64_t i = 0; i < n; i++) {
        bool zero = keep_zero && fabsf(y[i]) < 1e-7f;
        y[i] = zero ? 0 : (float)exp(y[i] - max);
        sum += y[i];
    }
    for (int64_t i = 0; i < n && sum > 0; i++)
        y[i] = (float)(y[i] / sum);
}

void maas_post_apply(float *y, int64_t n, maas_post how)
{
    if (how == MAAS_POST_SOFTMAX || how == MAAS_POST_SOFTMAX_ZERO)
        softmax(y, n, how == MAAS_POST_SOFTMAX_ZERO);
    for (int64_t i = 0; i < n && how == MAAS_POST_LOGISTIC; i++)
        y[i] = (float)maas_logistic(y[i]);
    for (int64_t i = 0; i < n && how == MAAS_POST_PROBIT; i++)
        y[i] = (float)probit(y[i]);
}

maas_status maas_table_shape(const maas_type *x, int64_t *rows, int64_t *features, maas_err *err)
{
    *rows = *features = MAAS_DIM_UNKNOWN;
    if (x->rank < 0)
        return MAAS_OK;
    if (x->rank != 1 && x->rank != 2)
        return maas_fail(err, MAAS_E_INVALID, "X has rank %d, must be [rows, features]", x->rank);
    *rows = x->rank == 1 ? 1 : x->dims[0];
    *features = x->dims[x->rank - 1];
    return MAAS_OK;
}
