/* formats/sklearn/importance.h - importances of the features of a fitted estimator. */
#ifndef MAAS_FORMATS_SKLEARN_IMPORTANCE_H
#define MAAS_FORMATS_SKLEARN_IMPORTANCE_H

#include "formats/sklearn/sklearn.h"

/* out[n]: norms (of this order, over the classes) of coef_, or what trees say. E_UNSUPPORTED for
 * estimators that have neither. */
maas_status sk_importances(maas_sk *s, const maas_pk *est, double order, int64_t n, double *out);

#endif
