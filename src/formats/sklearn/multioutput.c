/*
 * formats/sklearn/multioutput.c - several targets: an estimator each, or a chain in which each sees
 * the answers of those before it.
 */
#include <string.h>

#include "formats/sklearn/sklearn.h"
#include "base/ban.h"

/* Answers [n] side by side: [n, t]. */
static maas_vid side_by_side(maas_sk *s, maas_vid *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        v[i] = maas_sk_upright(s, v[i]);
    return maas_sk_concat(s, v, (uint32_t)n, 1);
}

static maas_status each(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned bit,
                        maas_vid *out)
{
    const maas_pk *list = maas_pk_attr(est, "estimators_");
    const int64_t n = maas_pk_count(list);
    maas_vid *v = maas_sk_alloc(s, (size_t)n, sizeof *v);
    if (n == 0)
        return maas_sk_fail(s, MAAS_E_FORMAT, "estimators_ is empty");
    for (int64_t i = 0; v && i < n; i++) {
        maas_sk_out one;
        MAAS_TRY(maas_sk_decode(s, maas_pk_at(list, i), in, bit, &one, "estimators_[%lld]",
                                (long long)i));
        v[i] = bit == MAAS_SK_LABEL ? one.label : one.value;
        const maas_type *first = maas_b_type(&s->b, v[0]), *type = maas_b_type(&s->b, v[i]);
        if (first && type && first->dtype != type->dtype)
            return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "some targets are text and some are not");
    }
    MAAS_TRY(s->b.status);
    *out = side_by_side(s, v, n);
    return s->b.status;
}

static maas_status each_value(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                              unsigned need, maas_sk_out *out)
{
    return each(s, est, in, MAAS_SK_VALUE, &out->value);
}

static maas_status each_label(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                              unsigned need, maas_sk_out *out)
{
    return each(s, est, in, MAAS_SK_LABEL, &out->label);
}

/* ---- chains ---- */

typedef struct chain {
    const maas_pk *list;
    int64_t n;
    int64_t *place; /* of each target in the chain */
} chain;

static maas_status read_chain(maas_sk *s, const maas_pk *est, chain *c)
{
    const maas_tensor *order;
    c->list = maas_pk_attr(est, "estimators_");
    c->n = maas_pk_count(c->list);
    if (c->n == 0)
        return maas_sk_fail(s, MAAS_E_FORMAT, "estimators_ is empty");
    MAAS_TRY(maas_sk_array(s, est, "order_", MAAS_I64, 1, &c->n, &order));
    if (!(c->place = maas_sk_alloc(s, (size_t)c->n, sizeof *c->place)))
        return s->b.status;
    for (int64_t i = 0; i < c->n; i++)
        c->place[i] = -1;
    for (int64_t i = 0; i < c->n; i++) {
        const int64_t at = ((const int64_t *)order->data)[i];
        if (at < 0 || at >= c->n || c->place[at] >= 0)
            return maas_sk_fail(s, MAAS_E_FORMAT, "order_ is no order of %lld targets",
                                (long long)c->n);
        c->place[at] = i;
    }
    return MAAS_OK;
}

/* What the next estimator of a chain sees of this one: label or value, or the method asked for. */
static maas_vid chained(maas_sk *s, const maas_sk_out *o, const maas_pk *method)
{
    if (maas_sk_is_word(method, "predict_proba") && o->probabilities != MAAS_NO_VALUE)
        return maas_sk_gather(s, o->probabilities, (int64_t[]){1}, 1, 1);
    if (maas_sk_is_word(method, "decision_function") && o->scores != MAAS_NO_VALUE)
        return maas_sk_upright(s, o->scores);
    maas_vid v = o->value != MAAS_NO_VALUE ? o->value : maas_sk_cast(s, o->label, MAAS_F64);
    return maas_sk_upright(s, v);
}

static maas_status run_chain(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned bit,
                             chain *c, maas_sk_out *all)
{
    const maas_pk *method = maas_pk_attr(est, "chain_method_");
    maas_sk_table rows = *in;
    for (int64_t i = 0; i < c->n; i++) {
        MAAS_TRY(maas_sk_decode(s, maas_pk_at(c->list, i), &rows, bit, &all[i], "estimators_[%lld]",
                                (long long)i));
        const maas_vid next[2] = {maas_sk_matrix(s, &rows, -1), chained(s, &all[i], method)};
        const maas_type *t = maas_b_type(&s->b, next[0]);
        if (t)
            rows = maas_sk_table_of(maas_sk_concat(s, next, 2, 1), t->dims[1] + 1);
    }
    return s->b.status;
}

static maas_status regressor_chain(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                   unsigned need, maas_sk_out *out)
{
    chain c;
    MAAS_TRY(read_chain(s, est, &c));
    maas_sk_out *all = maas_sk_alloc(s, (size_t)c.n, sizeof *all);
    maas_vid *v = maas_sk_alloc(s, (size_t)c.n, sizeof *v);
    if (!all || !v)
        return s->b.status;
    MAAS_TRY(run_chain(s, est, in, MAAS_SK_VALUE, &c, all));
    for (int64_t i = 0; i < c.n; i++)
        v[i] = all[c.place[i]].value;
    out->value = side_by_side(s, v, c.n);
    return s->b.status;
}

/* probabilities: of the second class of each target */
static maas_status classifier_chain(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                    unsigned need, maas_sk_out *out)
{
    chain c;
    MAAS_TRY(read_chain(s, est, &c));
    maas_sk_out *all = maas_sk_alloc(s, (size_t)c.n, sizeof *all);
    maas_vid *label = maas_sk_alloc(s, (size_t)c.n, sizeof *label);
    maas_vid *p = maas_sk_alloc(s, (size_t)c.n, sizeof *p);
    bool chances = true;
    if (!all || !label || !p)
        return s->b.status;
    MAAS_TRY(run_chain(s, est, in, MAAS_SK_LABEL, &c, all));
    for (int64_t i = 0; i < c.n; i++) {
        const maas_sk_out *o = &all[c.place[i]];
        label[i] = o->label;
        chances = chances && o->probabilities != MAAS_NO_VALUE;
        p[i] = chances ? maas_sk_gather(s, o->probabilities, (int64_t[]){1}, 1, 1) : MAAS_NO_VALUE;
    }
    out->label = side_by_side(s, label, c.n);
    if (chances)
        out->probabilities = maas_sk_concat(s, p, (uint32_t)c.n, 1);
    return s->b.status;
}

const maas_sk_row maas_sk_multioutput[] = {
    {"ClassifierChain", "sklearn.multioutput", MAAS_SK_CLASSIFIER, classifier_chain},
    {"MultiOutputClassifier", "sklearn.multioutput", MAAS_SK_CLASSIFIER, each_label},
    {"MultiOutputRegressor", "sklearn.multioutput", MAAS_SK_REGRESSOR, each_value},
    {"RegressorChain", "sklearn.multioutput", MAAS_SK_REGRESSOR, regressor_chain},
    {0},
};
