/*
 * MiningSchema: which fields are inputs, and what happens to values that are missing, invalid or
 * extreme. Invalid values are looked for in the outermost model alone.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "formats/pmml/pmml_int.h"
#include "base/ban.h"

/* ---- inputs ---- */

static bool is_active(const maas_xml *e)
{
    const char *use = maas_xml_get(e, "usageType");
    return !use || strcmp(use, "active") == 0;
}

static maas_status type_of(pm *p, pm_field *f)
{
    static const char *const types[] = {"double", "float", "integer", "string", "boolean", NULL};
    int t;
    MAAS_TRY(pm_word(p, f->declared, "dataType", types, -1, &t));
    f->single = t == 1;
    f->text = t >= 3;
    return MAAS_OK;
}

/* Names of outputs are taken; such an input gets a longer name. */
static const char *input_name(pm *p, const char *name)
{
    static const char *const taken[] = {"label", "probabilities", "value"};
    for (size_t i = 0; i < MAAS_COUNT(taken); i++)
        if (strcmp(name, taken[i]) == 0)
            return maas_arena_printf(p->arena, "%s_input", name);
    return name;
}

static maas_status make_input(pm *p, const maas_xml *e, int64_t batch)
{
    const char *name = maas_xml_get(e, "name");
    const int64_t dims[] = {batch, 1};
    uint32_t i;
    if (!name)
        return pm_missing(p, e, "name");
    MAAS_TRY(pm_field_intern(p, name, &i));
    pm_field *f = &p->fields[i];
    if (!f->declared)
        return pm_fail(p, MAAS_E_FORMAT, e, "field '%.80s' is not in the DataDictionary", name);
    if (f->v != MAAS_NO_VALUE)
        return pm_fail(p, MAAS_E_FORMAT, e, "field '%.80s' comes twice", name);
    MAAS_TRY(type_of(p, f));
    f->v = maas_b_input(&p->b, input_name(p, name), f->text ? MAAS_STRING : MAAS_F64, 2, dims);
    if (p->shape == MAAS_NO_VALUE)
        p->shape = PM_OP1(p, "Shape", f->v);
    if (f->single)
        f->v = pm_cast(p, pm_cast(p, f->v, MAAS_F32), MAAS_F64);
    return p->b.status;
}

maas_status pm_inputs(pm *p, const maas_xml *model)
{
    const maas_xml *schema = maas_xml_child(model, "MiningSchema");
    int64_t batch;
    if (!schema)
        return pm_fail(p, MAAS_E_FORMAT, model, "MiningSchema is missing");
    MAAS_TRY(maas_graph_symbol(p->b.g, "batch", &batch, p->err));
    for (const maas_xml *e = maas_xml_child(schema, "MiningField"); e;
         e = maas_xml_sibling(e, "MiningField"))
        if (is_active(e))
            MAAS_TRY(make_input(p, e, batch));
    return p->shape != MAAS_NO_VALUE ? MAAS_OK
                                     : pm_fail(p, MAAS_E_FORMAT, schema, "no field is active");
}

/* ---- values that the data dictionary lists ---- */

typedef enum kind { VALID, INVALID, MISSING } kind;

static maas_status kind_of(pm *p, const maas_xml *value, int *out)
{
    static const char *const words[] = {"valid", "invalid", "missing", NULL};
    return pm_word(p, value, "property", words, VALID, out);
}

/* BOOL [n, 1]: is the value listed with this property? MAAS_NO_VALUE: nothing is. */
static maas_status is_listed(pm *p, const pm_field *f, kind wanted, maas_vid *out)
{
    pm_classes words = {0};
    uint32_t i;
    int k;
    *out = MAAS_NO_VALUE;
    for (const maas_xml *e = maas_xml_child(f->declared, "Value"); e;
         e = maas_xml_sibling(e, "Value")) {
        const char *text = maas_xml_get(e, "value");
        MAAS_TRY(kind_of(p, e, &k));
        if (!text)
            return pm_missing(p, e, "value");
        if (k == (int)wanted)
            MAAS_TRY(pm_class_of(p, &words, text, &i));
    }
    if (!words.n)
        return MAAS_OK;
    maas_vid list;
    if (f->text) {
        list = pm_words(p, words.name, (int64_t)words.n);
    } else {
        double *v = pm_alloc(p, words.n, sizeof *v);
        for (size_t j = 0; v && j < words.n; j++)
            if (!pm_parse(words.name[j], &v[j]))
                return pm_fail(p, MAAS_E_FORMAT, f->declared, "value '%.40s' is no number",
                               words.name[j]);
        if (!v)
            return MAAS_E_NOMEM;
        list = pm_row(p, v, (int64_t)words.n);
    }
    maas_vid hits = pm_cast(p, PM_OP2(p, "Equal", f->v, list), MAAS_F64);
    *out = PM_OP2(p, "Greater", words.n > 1 ? pm_row_sum(p, hits) : hits, pm_const(p, 0));
    return p->b.status;
}

/* BOOL [n, 1]: within an Interval of the field; MAAS_NO_VALUE: it has none. */
static maas_status is_within(pm *p, const pm_field *f, maas_vid *out)
{
    static const char *const closures[] = {"openOpen", "openClosed", "closedOpen", "closedClosed",
                                           NULL};
    *out = MAAS_NO_VALUE;
    for (const maas_xml *e = maas_xml_child(f->declared, "Interval"); e;
         e = maas_xml_sibling(e, "Interval")) {
        double left, right;
        int closure;
        MAAS_TRY(pm_word(p, e, "closure", closures, -1, &closure));
        MAAS_TRY(pm_number_or(p, e, "leftMargin", -INFINITY, &left));
        MAAS_TRY(pm_number_or(p, e, "rightMargin", INFINITY, &right));
        maas_vid above = PM_OP2(p, closure >= 2 ? "GreaterOrEqual" : "Greater", f->v,
                                pm_const(p, left));
        maas_vid below = PM_OP2(p, closure & 1 ? "LessOrEqual" : "Less", f->v, pm_const(p, right));
        *out = pm_or(p, *out, PM_OP2(p, "And", above, below));
    }
    return p->b.status;
}

/* BOOL [n, 1]: neither missing nor valid. MAAS_NO_VALUE: it cannot be. */
static maas_status is_invalid(pm *p, const pm_field *f, maas_vid *out)
{
    maas_vid listed, within = MAAS_NO_VALUE, bad;
    const char *optype = maas_xml_get(f->declared, "optype");
    *out = MAAS_NO_VALUE;
    MAAS_TRY(is_listed(p, f, VALID, &listed));
    MAAS_TRY(is_listed(p, f, INVALID, &bad));
    if (!f->text && (!optype || strcmp(optype, "continuous") == 0))
        MAAS_TRY(is_within(p, f, &within));
    const maas_vid good = pm_or(p, listed, within);
    if (good != MAAS_NO_VALUE)
        bad = pm_or(p, bad, pm_not(p, good));
    if (bad != MAAS_NO_VALUE)
        *out = PM_OP2(p, "And", bad, pm_not(p, pm_is_missing(p, f)));
    return p->b.status;
}

/* ---- treatments ---- */

/* A constant of the kind of the field. */
static maas_status constant_for(pm *p, const maas_xml *e, const pm_field *f, const char *attr,
                                maas_vid *out)
{
    const char *text = maas_xml_get(e, attr);
    double v;
    if (!text)
        return pm_missing(p, e, attr);
    if (f->text) {
        *out = pm_words(p, &text, 1);
        return p->b.status;
    }
    MAAS_TRY(pm_number(p, e, attr, &v));
    *out = pm_const(p, f->single ? (double)(float)v : v);
    return MAAS_OK;
}

static maas_vid nothing(pm *p, const pm_field *f)
{
    static const char *const empty[] = {""};
    return f->text ? pm_words(p, empty, 1) : pm_const(p, NAN);
}

static maas_status treat_invalid(pm *p, const maas_xml *e, pm_field *f)
{
    enum { RETURN_INVALID, AS_IS, AS_MISSING, AS_VALUE };
    static const char *const words[] = {"returnInvalid", "asIs", "asMissing", "asValue", NULL};
    maas_vid bad, put, listed;
    int how;
    MAAS_TRY(is_listed(p, f, MISSING, &listed));
    if (listed != MAAS_NO_VALUE)
        f->v = pm_where(p, listed, nothing(p, f), f->v);
    MAAS_TRY(pm_word(p, e, "invalidValueTreatment", words, RETURN_INVALID, &how));
    if (how == AS_IS)
        return p->b.status;
    MAAS_TRY(is_invalid(p, f, &bad));
    if (bad == MAAS_NO_VALUE)
        return p->b.status;
    if (how == RETURN_INVALID) {
        const maas_vid good = pm_not(p, bad);
        p->valid = p->valid == MAAS_NO_VALUE ? good : PM_OP2(p, "And", p->valid, good);
        return p->b.status;
    }
    put = nothing(p, f);
    if (how == AS_VALUE)
        MAAS_TRY(constant_for(p, e, f, "invalidValueReplacement", &put));
    f->v = pm_where(p, bad, put, f->v);
    return p->b.status;
}

static maas_status treat_outliers(pm *p, const maas_xml *e, pm_field *f)
{
    enum { AS_IS, AS_MISSING, AS_EXTREME };
    static const char *const words[] = {"asIs", "asMissingValues", "asExtremeValues", NULL};
    double low, high;
    int how;
    MAAS_TRY(pm_word(p, e, "outliers", words, AS_IS, &how));
    if (how == AS_IS || f->text)
        return MAAS_OK;
    MAAS_TRY(pm_number_or(p, e, "lowValue", -INFINITY, &low));
    MAAS_TRY(pm_number_or(p, e, "highValue", INFINITY, &high));
    maas_vid below = PM_OP2(p, "Less", f->v, pm_const(p, low));
    maas_vid above = PM_OP2(p, "Greater", f->v, pm_const(p, high));
    f->v = pm_where(p, below, pm_const(p, how == AS_EXTREME ? low : NAN), f->v);
    f->v = pm_where(p, above, pm_const(p, how == AS_EXTREME ? high : NAN), f->v);
    return p->b.status;
}

static maas_status treat_missing(pm *p, const maas_xml *e, pm_field *f)
{
    maas_vid put;
    const char *how = maas_xml_get(e, "missingValueTreatment");
    if (how && strcmp(how, "returnInvalid") == 0) {
        const maas_vid here = pm_not(p, pm_is_missing(p, f));
        p->valid = p->valid == MAAS_NO_VALUE ? here : PM_OP2(p, "And", p->valid, here);
        return p->b.status;
    }
    if (!maas_xml_get(e, "missingValueReplacement"))
        return MAAS_OK;
    MAAS_TRY(constant_for(p, e, f, "missingValueReplacement", &put));
    f->v = pm_where(p, pm_is_missing(p, f), put, f->v);
    return p->b.status;
}

maas_status pm_schema(pm *p, const maas_xml *model, bool outermost)
{
    const maas_xml *schema = maas_xml_child(model, "MiningSchema");
    if (!schema)
        return pm_fail(p, MAAS_E_FORMAT, model, "MiningSchema is missing");
    for (const maas_xml *e = maas_xml_child(schema, "MiningField"); e;
         e = maas_xml_sibling(e, "MiningField")) {
        pm_field *found, f;
        if (!is_active(e))
            continue;
        MAAS_TRY(pm_field_find(p, e, "name", &found));
        f = *found;
        if (outermost)
            MAAS_TRY(treat_invalid(p, e, &f));
        MAAS_TRY(treat_outliers(p, e, &f));
        MAAS_TRY(treat_missing(p, e, &f));
        if (f.v != found->v)
            MAAS_TRY(pm_field_set(p, f.name, &f));
    }
    return MAAS_OK;
}

bool pm_schema_is_plain(const maas_xml *model)
{
    static const char *const attrs[] = {"missingValueReplacement", "missingValueTreatment",
                                        "outliers"};
    const maas_xml *schema = maas_xml_child(model, "MiningSchema");
    for (const maas_xml *e = maas_xml_child(schema, "MiningField"); e;
         e = maas_xml_sibling(e, "MiningField"))
        for (size_t i = 0; i < MAAS_COUNT(attrs); i++)
            if (maas_xml_get(e, attrs[i]))
                return false;
    return true;
}
