/*
 * RegressionModel: sums of terms, one a table, and what normalizationMethod makes of them. A
 * missing number leaves no answer; a missing category adds nothing.
 */
#include <math.h>
#include <string.h>

#include "formats/pmml/pmml_int.h"
#include "base/ban.h"

/* ---- sums ---- */

static maas_vid plus(pm *p, maas_vid sum, maas_vid term)
{
    return sum == MAAS_NO_VALUE ? term : PM_OP2(p, "Add", sum, term);
}

static maas_status numeric_term(pm *p, const maas_xml *e, maas_vid *sum)
{
    double exponent, c;
    pm_field *f;
    MAAS_TRY(pm_field_find(p, e, "name", &f));
    MAAS_TRY(pm_number_or(p, e, "exponent", 1, &exponent));
    MAAS_TRY(pm_number(p, e, "coefficient", &c));
    if (f->text)
        return pm_fail(p, MAAS_E_FORMAT, e, "field '%.80s' is no number", f->name);
    maas_vid v = exponent == 1 ? f->v : PM_OP2(p, "Pow", f->v, pm_const(p, exponent));
    *sum = plus(p, *sum, PM_OP2(p, "Mul", v, pm_const(p, c)));
    return p->b.status;
}

static maas_status category_term(pm *p, const maas_xml *e, maas_vid *sum)
{
    const char *value = maas_xml_get(e, "value");
    double c, v = 0;
    pm_field *f;
    MAAS_TRY(pm_field_find(p, e, "name", &f));
    MAAS_TRY(pm_number(p, e, "coefficient", &c));
    if (!value)
        return pm_missing(p, e, "value");
    if (!f->text)
        MAAS_TRY(pm_number(p, e, "value", &v));
    maas_vid is = PM_OP2(p, "Equal", f->v, f->text ? pm_words(p, &value, 1) : pm_const(p, v));
    *sum = plus(p, *sum, PM_OP2(p, "Mul", pm_cast(p, is, MAAS_F64), pm_const(p, c)));
    return p->b.status;
}

/* A product of fields. */
static maas_status product_term(pm *p, const maas_xml *e, maas_vid *sum)
{
    double c;
    MAAS_TRY(pm_number(p, e, "coefficient", &c));
    maas_vid v = pm_const(p, c);
    for (const maas_xml *r = maas_xml_child(e, "FieldRef"); r;
         r = maas_xml_sibling(r, "FieldRef")) {
        pm_field *f;
        MAAS_TRY(pm_field_find(p, r, "field", &f));
        if (f->text)
            return pm_fail(p, MAAS_E_FORMAT, r, "field '%.80s' is no number", f->name);
        v = PM_OP2(p, "Mul", v, f->v);
    }
    *sum = plus(p, *sum, v);
    return p->b.status;
}

static const struct term {
    const char *name;
    maas_status (*add)(pm *p, const maas_xml *e, maas_vid *sum);
} terms[] = {{"CategoricalPredictor", category_term}, {"PredictorTerm", product_term}};

/* Plain numbers with exponent 1 are one product of a matrix: most tables are nothing else. */
static bool is_plain(const maas_xml *e)
{
    const char *exponent = maas_xml_get(e, "exponent");
    return maas_xml_is(e, "NumericPredictor") &&
           (!exponent || strcmp(exponent, "1") == 0 || strcmp(exponent, "1.0") == 0);
}

static maas_status plain_terms(pm *p, const maas_xml *table, maas_vid *sum)
{
    size_t n = 0, i = 0;
    for (const maas_xml *e = table->child; e; e = e->next)
        n += is_plain(e);
    maas_vid *columns = pm_alloc(p, n + 1, sizeof *columns);
    double *c = pm_alloc(p, n + 1, sizeof *c);
    if (!columns || !c)
        return MAAS_E_NOMEM;
    for (const maas_xml *e = table->child; e; e = e->next) {
        pm_field *f;
        if (!is_plain(e))
            continue;
        MAAS_TRY(pm_field_find(p, e, "name", &f));
        MAAS_TRY(pm_number(p, e, "coefficient", &c[i]));
        if (f->text)
            return pm_fail(p, MAAS_E_FORMAT, e, "field '%.80s' is no number", f->name);
        columns[i++] = f->v;
    }
    if (!n)
        return MAAS_OK;
    const int64_t dims[] = {(int64_t)n, 1};
    maas_tensor t = maas_tensor_of(MAAS_F64, 2, dims, c);
    *sum = PM_OP2(p, "MatMul", pm_concat(p, columns, n), maas_b_const(&p->b, NULL, &t));
    return p->b.status;
}

static maas_status other_terms(pm *p, const maas_xml *table, maas_vid *sum)
{
    for (const maas_xml *e = table->child; e; e = e->next) {
        bool done = is_plain(e) || maas_xml_is(e, "Extension");
        if (maas_xml_is(e, "NumericPredictor") && !done) {
            MAAS_TRY(numeric_term(p, e, sum));
            done = true;
        }
        for (size_t i = 0; i < MAAS_COUNT(terms) && !done; i++)
            if (maas_xml_is(e, terms[i].name)) {
                MAAS_TRY(terms[i].add(p, e, sum));
                done = true;
            }
        if (!done)
            return pm_unsupported(p, e);
    }
    return MAAS_OK;
}

static maas_status table_sum(pm *p, const maas_xml *table, maas_vid *out)
{
    double intercept;
    maas_vid sum = MAAS_NO_VALUE;
    MAAS_TRY(pm_number_or(p, table, "intercept", 0, &intercept));
    MAAS_TRY(plain_terms(p, table, &sum));
    MAAS_TRY(other_terms(p, table, &sum));
    *out = pm_full(p, plus(p, sum, pm_const(p, intercept)));
    return p->b.status;
}

/* ---- links ---- */

enum { IDENTITY, SIMPLEMAX, SOFTMAX, LOGIT, PROBIT, CLOGLOG, EXPONENT, LOGLOG };
static const char *const links[] = {"none",    "simplemax", "softmax", "logit", "probit",
                                    "cloglog", "exp",       "loglog",  NULL};

static maas_vid inverse(pm *p, int link, maas_vid y)
{
    const maas_vid one = pm_const(p, 1);
    switch (link) {
    case LOGIT:
        return PM_OP1(p, "Sigmoid", y);
    case PROBIT: /* (1 + erf(y / sqrt 2)) / 2 */
        y = PM_OP1(p, "Erf", PM_OP2(p, "Mul", y, pm_const(p, M_SQRT1_2)));
        return PM_OP2(p, "Mul", PM_OP2(p, "Add", y, one), pm_const(p, 0.5));
    case CLOGLOG: /* 1 - exp(-exp(y)) */
        y = PM_OP1(p, "Exp", PM_OP1(p, "Neg", PM_OP1(p, "Exp", y)));
        return PM_OP2(p, "Sub", one, y);
    case EXPONENT:
        return PM_OP1(p, "Exp", y);
    case LOGLOG: /* exp(-exp(-y)) */
        y = PM_OP1(p, "Exp", PM_OP1(p, "Neg", y));
        return PM_OP1(p, "Exp", PM_OP1(p, "Neg", y));
    default:
        return y;
    }
}

/* Probabilities [n, k] from the sums of k tables. */
static maas_vid probabilities(pm *p, int link, const maas_vid *sums, size_t k)
{
    const maas_attr axis = MAAS_A_INT("axis", 1);
    maas_vid all = pm_concat(p, sums, k);
    if (link == SOFTMAX)
        return maas_b_node(&p->b, "Softmax", &axis, 1, &all, 1, NULL, 1);
    if (link == SIMPLEMAX)
        return PM_OP2(p, "Div", all, pm_row_sum(p, all));
    if (k == 2) { /* the second is what is left */
        maas_vid first = inverse(p, link, sums[0]);
        const maas_vid both[2] = {first, PM_OP2(p, "Sub", pm_const(p, 1), first)};
        return pm_concat(p, both, 2);
    }
    if (link == IDENTITY) { /* so is the last of more */
        maas_vid head = pm_concat(p, sums, k - 1);
        const maas_vid both[2] = {head, PM_OP2(p, "Sub", pm_const(p, 1), pm_row_sum(p, head))};
        return pm_concat(p, both, 2);
    }
    return inverse(p, link, all);
}

/* ---- the model ---- */

static size_t n_tables(const maas_xml *model)
{
    size_t n = 0;
    for (const maas_xml *t = maas_xml_child(model, "RegressionTable"); t;
         t = maas_xml_sibling(t, "RegressionTable"))
        n++;
    return n;
}

static maas_status classes(pm *p, const maas_xml *model, int link, pm_result *out)
{
    const size_t k = n_tables(model);
    maas_vid *sums = pm_alloc(p, k, sizeof *sums);
    size_t i = 0;
    if (!sums)
        return MAAS_E_NOMEM;
    if (k < 2 || link == EXPONENT)
        return pm_fail(p, MAAS_E_UNSUPPORTED, model, "classes of %zu tables with this method", k);
    for (const maas_xml *t = maas_xml_child(model, "RegressionTable"); t;
         t = maas_xml_sibling(t, "RegressionTable"), i++) {
        const char *label = maas_xml_get(t, "targetCategory");
        uint32_t at;
        if (!label)
            return pm_missing(p, t, "targetCategory");
        MAAS_TRY(pm_class_of(p, &out->labels, label, &at));
        if (at != i)
            return pm_fail(p, MAAS_E_FORMAT, t, "targetCategory '%.80s' comes twice", label);
        MAAS_TRY(table_sum(p, t, &sums[i]));
    }
    out->p = probabilities(p, link, sums, k);
    maas_vid none = PM_OP1(p, "IsNaN", pm_row_sum(p, out->p));
    out->code = pm_where(p, none, pm_const(p, NAN), pm_argmax(p, out->p));
    return p->b.status;
}

/* Ordered classes of more than two have sums of their own meaning. */
static maas_status refuse_ordinal(pm *p, const maas_xml *model)
{
    const maas_xml *schema = maas_xml_child(model, "MiningSchema");
    for (const maas_xml *e = maas_xml_child(schema, "MiningField"); e;
         e = maas_xml_sibling(e, "MiningField")) {
        const char *use = maas_xml_get(e, "usageType"), *name = maas_xml_get(e, "name");
        uint32_t i;
        if (!name || !use || (strcmp(use, "target") != 0 && strcmp(use, "predicted") != 0))
            continue;
        MAAS_TRY(pm_field_intern(p, name, &i));
        const maas_xml *f = p->fields[i].declared;
        const char *optype = f ? maas_xml_get(f, "optype") : NULL;
        if (optype && strcmp(optype, "ordinal") == 0 && n_tables(model) > 2)
            return pm_fail(p, MAAS_E_UNSUPPORTED, model, "regression of ordered classes");
    }
    return MAAS_OK;
}

maas_status pm_regression_model(pm *p, const maas_xml *model, pm_result *out)
{
    const maas_xml *table = maas_xml_child(model, "RegressionTable");
    int link;
    *out = (pm_result){.classes = pm_is_classification(model),
                       .value = MAAS_NO_VALUE,
                       .code = MAAS_NO_VALUE,
                       .p = MAAS_NO_VALUE};
    MAAS_TRY(pm_word(p, model, "normalizationMethod", links, IDENTITY, &link));
    if (!table)
        return pm_fail(p, MAAS_E_FORMAT, model, "it has no RegressionTable");
    if (out->classes) {
        MAAS_TRY(refuse_ordinal(p, model));
        return classes(p, model, link, out);
    }
    if (maas_xml_sibling(table, "RegressionTable") || link == SIMPLEMAX)
        return pm_fail(p, MAAS_E_FORMAT, model, "regression has one table and no simplemax");
    MAAS_TRY(table_sum(p, table, &out->value));
    out->value = inverse(p, link == SOFTMAX ? LOGIT : link, out->value);
    return p->b.status;
}
