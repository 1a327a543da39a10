/* formats/sklearn/dummy.c - estimators that do not look at their input: constants, one a row. */
#include <string.h>

#include "formats/sklearn/sklearn.h"
#include "base/ban.h"

/* The only class index that gets probability 1: the most frequent, or the constant. */
static maas_vid certain(maas_sk *s, const maas_sk_table *in, int64_t best, int64_t k)
{
    double *p = maas_sk_alloc(s, (size_t)k, sizeof *p);
    if (!p)
        return MAAS_NO_VALUE;
    p[best] = 1;
    const maas_tensor row = maas_tensor_of(MAAS_F64, 2, (int64_t[]){1, k}, p);
    return maas_sk_repeat(s, in, &row);
}

static maas_vid label_of(maas_sk *s, const maas_sk_table *in, const maas_tensor *classes,
                         int64_t best)
{
    maas_tensor one = *classes;
    one.dims[0] = 1;
    one.data = (char *)classes->data + (size_t)best * maas_dtype_size((maas_dtype)classes->dtype);
    return maas_sk_repeat(s, in, &one);
}

/* constant: the class itself, as it stood in the data */
static maas_status constant_class(maas_sk *s, const maas_pk *est, const maas_tensor *classes,
                                  int64_t *out)
{
    const maas_pk *v = maas_pk_attr(est, "constant");
    maas_str text;
    double number;
    const bool is_text = maas_pk_to_str(v, &text);
    if (!is_text && !maas_pk_to_double(v, &number))
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "constant is %s", maas_pk_kind_text(v));
    for (int64_t i = 0; i < classes->dims[0]; i++) {
        const maas_str *word = (const maas_str *)classes->data + i;
        *out = i;
        if (classes->dtype == MAAS_STRING ? is_text && maas_span_eq(maas_span_of(word->p, word->n),
                                                                    maas_span_of(text.p, text.n))
                                          : !is_text && maas_tensor_get(classes, i) == number)
            return MAAS_OK;
    }
    return maas_sk_fail(s, MAAS_E_FORMAT, "constant is none of the classes");
}

static maas_status dummy_classifier(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                    unsigned need, maas_sk_out *out)
{
    enum { PRIOR, MOST_FREQUENT, CONSTANT };
    static const char *const strategies[] = {"prior", "most_frequent", "constant", NULL};
    const maas_tensor *prior;
    int strategy;
    int64_t best = 0;
    const char *name = maas_sk_has(est, "_strategy") ? "_strategy" : "strategy";
    MAAS_TRY(maas_sk_word(s, est, name, strategies, PRIOR, &strategy)); /* others are random */
    MAAS_TRY(maas_sk_classes(s, est, "classes_", -1, &out->classes));
    int64_t k = out->classes->dims[0];
    MAAS_TRY(maas_sk_array(s, est, "class_prior_", MAAS_F64, 1, &k, &prior));
    const double *p = prior->data;
    for (int64_t i = 1; i < k; i++)
        best = p[i] > p[best] ? i : best;
    if (strategy == CONSTANT)
        MAAS_TRY(constant_class(s, est, out->classes, &best));
    out->label = label_of(s, in, out->classes, best);
    const maas_tensor row = maas_tensor_of(MAAS_F64, 2, (int64_t[]){1, k}, prior->data);
    out->probabilities = strategy == PRIOR ? maas_sk_repeat(s, in, &row) : certain(s, in, best, k);
    return s->b.status;
}

/* constant_ is [1, outputs]; one output answers [n] */
static maas_status dummy_regressor(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                   unsigned need, maas_sk_out *out)
{
    const maas_tensor *value;
    MAAS_TRY(maas_sk_array(s, est, "constant_", MAAS_F64, 2, (int64_t[]){1, -1}, &value));
    out->value = maas_sk_repeat(s, in, value);
    if (value->dims[1] == 1)
        out->value = maas_sk_flat(s, out->value);
    return s->b.status;
}

const maas_sk_row maas_sk_dummy[] = {
    {"DummyClassifier", "sklearn.dummy", MAAS_SK_CLASSIFIER, dummy_classifier},
    {"DummyRegressor", "sklearn.dummy", MAAS_SK_REGRESSOR, dummy_regressor},
    {0},
};
