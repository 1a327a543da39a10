/* What becomes of a result: Targets, Output (fields for later models), and the graph's outputs. */
#include <math.h>
#include <string.h>

#include "base/num.h"
#include "formats/pmml/pmml_int.h"
#include "base/ban.h"

/* ---- Targets ---- */

static maas_status cast_integer(pm *p, const maas_xml *e, pm_result *r)
{
    static const char *const words[] = {"round", "ceiling", "floor", NULL};
    int how;
    if (!maas_xml_get(e, "castInteger"))
        return p->b.status;
    MAAS_TRY(pm_word(p, e, "castInteger", words, -1, &how));
    if (how == 0) /* halves go up */
        r->value = PM_OP1(p, "Floor", PM_OP2(p, "Add", r->value, pm_const(p, 0.5)));
    else
        r->value = PM_OP1(p, how == 1 ? "Ceil" : "Floor", r->value);
    return p->b.status;
}

/* What stands in for no answer, if the file has a default for it. */
static maas_status default_value(pm *p, const maas_xml *e, pm_result *r)
{
    const maas_xml *value = maas_xml_child(e, "TargetValue");
    double v;
    if (!value || !maas_xml_get(value, "defaultValue"))
        return p->b.status;
    MAAS_TRY(pm_number(p, value, "defaultValue", &v));
    r->value = pm_where(p, PM_OP1(p, "IsNaN", r->value), pm_const(p, v), r->value);
    return p->b.status;
}

static maas_status target(pm *p, const maas_xml *e, pm_result *r)
{
    double low, high, factor, constant;
    MAAS_TRY(pm_number_or(p, e, "min", -INFINITY, &low));
    MAAS_TRY(pm_number_or(p, e, "max", INFINITY, &high));
    MAAS_TRY(pm_number_or(p, e, "rescaleFactor", 1, &factor));
    MAAS_TRY(pm_number_or(p, e, "rescaleConstant", 0, &constant));
    MAAS_TRY(default_value(p, e, r));
    maas_vid below = PM_OP2(p, "Less", r->value, pm_const(p, low));
    maas_vid above = PM_OP2(p, "Greater", r->value, pm_const(p, high));
    if (low > -INFINITY)
        r->value = pm_where(p, below, pm_const(p, low), r->value);
    if (high < INFINITY)
        r->value = pm_where(p, above, pm_const(p, high), r->value);
    if (factor != 1)
        r->value = PM_OP2(p, "Mul", r->value, pm_const(p, factor));
    if (constant != 0)
        r->value = PM_OP2(p, "Add", r->value, pm_const(p, constant));
    return cast_integer(p, e, r);
}

maas_status pm_targets(pm *p, const maas_xml *model, pm_result *r)
{
    const maas_xml *all = maas_xml_child(model, "Targets");
    for (const maas_xml *e = maas_xml_child(all, "Target"); e && !r->classes;
         e = maas_xml_sibling(e, "Target"))
        MAAS_TRY(target(p, e, r));
    return p->b.status;
}

/* ---- Output ---- */

/* Labels as text [n, 1]; no answer is empty text. */
static maas_vid label_text(pm *p, const pm_result *r)
{
    const size_t k = r->labels.n;
    maas_str *words = pm_alloc(p, k + 1, sizeof *words);
    if (!words) {
        p->b.status = MAAS_E_NOMEM;
        return MAAS_NO_VALUE;
    }
    for (size_t i = 0; i <= k; i++)
        words[i] = i < k ? (maas_str){r->labels.name[i], strlen(r->labels.name[i])}
                         : (maas_str){"", 0};
    const maas_tensor t = maas_tensor_of(MAAS_STRING, 1, (int64_t[]){(int64_t)k + 1}, words);
    maas_vid at = pm_where(p, PM_OP1(p, "IsNaN", r->code), pm_const(p, (double)k), r->code);
    return PM_OP2(p, "Gather", maas_b_const(&p->b, NULL, &t), pm_cast(p, at, MAAS_I64));
}

static maas_status probability_of(pm *p, const maas_xml *e, const pm_result *r, pm_field *out)
{
    const char *value = maas_xml_get(e, "value");
    for (size_t i = 0; value && i < r->labels.n; i++)
        if (strcmp(r->labels.name[i], value) == 0) {
            out->v = pm_columns(p, r->p, (int64_t)i, (int64_t)i + 1);
            return p->b.status;
        }
    return pm_fail(p, MAAS_E_UNSUPPORTED, e, "probability of '%.60s'", value ? value : "");
}

/* The fields that a model further on may read. What this one cannot say is not made: whoever reads
 * it will be told that it is not known. */
static maas_status output_field(pm *p, const maas_xml *e, const pm_result *r, pm_field *out,
                                bool *made)
{
    const char *feature = maas_xml_get(e, "feature");
    feature = feature ? feature : "predictedValue";
    *made = true;
    if (strcmp(feature, "predictedValue") == 0) {
        *out = (pm_field){.text = r->classes};
        out->v = r->classes ? label_text(p, r) : r->value;
        return p->b.status;
    }
    if (strcmp(feature, "probability") == 0 && r->classes)
        return probability_of(p, e, r, out);
    if (strcmp(feature, "transformedValue") == 0)
        return pm_expression(p, e, out);
    *made = false;
    return MAAS_OK;
}

maas_status pm_outputs(pm *p, const maas_xml *model, const pm_result *r)
{
    const maas_xml *all = maas_xml_child(model, "Output");
    if (!maas_xml_is(model->parent, "Segment"))
        return MAAS_OK; /* nobody reads them */
    for (const maas_xml *e = maas_xml_child(all, "OutputField"); e;
         e = maas_xml_sibling(e, "OutputField")) {
        const char *name = maas_xml_get(e, "name"), *type = maas_xml_get(e, "dataType");
        pm_field f = {.v = MAAS_NO_VALUE};
        bool made;
        if (!name)
            return pm_missing(p, e, "name");
        MAAS_TRY(output_field(p, e, r, &f, &made));
        if (!made)
            continue;
        f.single = !f.text && type && strcmp(type, "float") == 0;
        if (f.single)
            f.v = pm_cast(p, pm_cast(p, f.v, MAAS_F32), MAAS_F64);
        MAAS_TRY(pm_field_set(p, name, &f));
    }
    return MAAS_OK;
}

/* ---- the answer ---- */

/* The labels as integers, if the target is one and they all are. */
static maas_status integer_labels(pm *p, const maas_xml *model, const pm_result *r, int64_t **out)
{
    const maas_xml *schema = maas_xml_child(model, "MiningSchema");
    bool whole = false;
    *out = NULL;
    for (const maas_xml *e = maas_xml_child(schema, "MiningField"); e;
         e = maas_xml_sibling(e, "MiningField")) {
        const char *use = maas_xml_get(e, "usageType"), *name = maas_xml_get(e, "name");
        uint32_t i;
        if (!name || !use || (strcmp(use, "target") != 0 && strcmp(use, "predicted") != 0))
            continue;
        MAAS_TRY(pm_field_intern(p, name, &i));
        const char *type = p->fields[i].declared ? maas_xml_get(p->fields[i].declared, "dataType")
                                                 : NULL;
        whole = type && strcmp(type, "integer") == 0;
    }
    int64_t *labels = pm_alloc(p, r->labels.n + 1, sizeof *labels);
    if (!labels)
        return MAAS_E_NOMEM;
    for (size_t i = 0; i < r->labels.n && whole; i++)
        whole = maas_parse_i64(r->labels.name[i], &labels[i]);
    labels[r->labels.n] = -1;
    *out = whole ? labels : NULL;
    return MAAS_OK;
}

static maas_status answer_classes(pm *p, const maas_xml *model, pm_result *r)
{
    const int64_t k = (int64_t)r->labels.n, n = k + 1, flat = -1;
    int64_t *ints;
    maas_vid label;
    MAAS_TRY(integer_labels(p, model, r, &ints));
    if (ints) {
        const maas_tensor t = maas_tensor_of(MAAS_I64, 1, &n, ints);
        maas_vid at = pm_where(p, PM_OP1(p, "IsNaN", r->code), pm_const(p, (double)k), r->code);
        label = PM_OP2(p, "Gather", maas_b_const(&p->b, NULL, &t), pm_cast(p, at, MAAS_I64));
    } else {
        label = label_text(p, r);
    }
    label = PM_OP2(p, "Reshape", label, maas_b_i64s(&p->b, &flat, 1));
    maas_b_output(&p->b, "label", label);
    maas_b_output(&p->b, "probabilities", r->p);
    return p->b.status;
}

static maas_status classes_meta(pm *p, const pm_result *r)
{
    maas_buf text = MAAS_BUF_IN(p->arena, 16 << 20);
    for (size_t i = 0; i < r->labels.n; i++) {
        maas_buf_char(&text, i ? ',' : '[');
        maas_buf_json_str(&text, r->labels.name[i], strlen(r->labels.name[i]));
    }
    maas_buf_char(&text, ']');
    return text.failed ? pm_no_memory(p)
                       : maas_graph_set_meta(p->b.g, "maas.classes", text.p, p->err);
}

maas_status pm_answer(pm *p, const maas_xml *model, const pm_result *result)
{
    const int64_t flat = -1;
    const maas_vid nan = pm_const(p, NAN);
    pm_result r = *result;
    if (p->valid != MAAS_NO_VALUE) {
        if (r.classes) {
            r.code = pm_where(p, p->valid, r.code, nan);
            r.p = pm_where(p, p->valid, r.p, nan);
        } else {
            r.value = pm_where(p, p->valid, r.value, nan);
        }
    }
    MAAS_TRY(p->b.status);
    if (r.classes) {
        MAAS_TRY(answer_classes(p, model, &r));
        return classes_meta(p, &r);
    }
    maas_b_output(&p->b, "value",
                  PM_OP2(p, "Reshape", pm_full(p, r.value), maas_b_i64s(&p->b, &flat, 1)));
    return p->b.status;
}
