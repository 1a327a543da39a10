#include "ops/ml_int.h"

#include "base/ban.h"

double maas_logistic(double x)
{
    double v = 1 / (1 + exp(-fabs(x)));
    return x < 0 ? 1 - v : v;
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
