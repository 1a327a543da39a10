/*
 * Scorecard: the initial score and, of each characteristic, the partial score of the first
 * attribute whose predicate is true: a tree each. A characteristic without one leaves no answer.
 */
#include <math.h>

#include "formats/pmml/pmml_int.h"
#include "base/ban.h"

enum { VALUE, NONE };

static maas_status partial_score(pm *p, const maas_xml *attribute, pm_weight *out)
{
    const maas_xml *complex = maas_xml_child(attribute, "ComplexPartialScore");
    if (complex)
        return pm_unsupported(p, complex);
    out->target = VALUE;
    MAAS_TRY(pm_number(p, attribute, "partialScore", &out->weight));
    return out->weight - out->weight == 0
               ? MAAS_OK
               : pm_fail(p, MAAS_E_FORMAT, attribute, "partialScore is not finite");
}

static maas_status characteristic(pm *p, pm_grove *g, const maas_xml *c)
{
    const pm_weight none = {NONE, 1};
    pm_edge open = PM_ROOT, yes;
    for (const maas_xml *a = maas_xml_child(c, "Attribute"); a;
         a = maas_xml_sibling(a, "Attribute")) {
        const maas_xml *predicate = pm_predicate_of(a);
        pm_weight w;
        if (!predicate)
            return pm_fail(p, MAAS_E_FORMAT, a, "it has no predicate");
        if (maas_xml_is(predicate, "False"))
            continue;
        MAAS_TRY(partial_score(p, a, &w));
        if (maas_xml_is(predicate, "True"))
            return pm_grove_leaf(p, g, open, &w, 1);
        MAAS_TRY(pm_grove_lean(p, g, predicate, open, false, &yes, &open));
        MAAS_TRY(pm_grove_leaf(p, g, yes, &w, 1));
    }
    return pm_grove_leaf(p, g, open, &none, 1);
}

static maas_status grow(pm *p, pm_grove *g, const maas_xml *model, double initial, pm_result *out)
{
    const maas_xml *all = maas_xml_child(model, "Characteristics");
    if (!maas_xml_child(all, "Characteristic"))
        return pm_fail(p, MAAS_E_FORMAT, model, "it has no Characteristic");
    for (const maas_xml *c = maas_xml_child(all, "Characteristic"); c;
         c = maas_xml_sibling(c, "Characteristic"))
        MAAS_TRY(characteristic(p, g, c));
    const bool can_fail = g->n_target > NONE;
    maas_vid sums = pm_grove_sums(p, g);
    out->value = PM_OP2(p, "Add", pm_columns(p, sums, VALUE, VALUE + 1), pm_const(p, initial));
    if (can_fail) {
        maas_vid none = PM_OP2(p, "Greater", pm_columns(p, sums, NONE, NONE + 1), pm_const(p, 0));
        out->value = pm_where(p, none, pm_const(p, NAN), out->value);
    }
    return p->b.status;
}

maas_status pm_scorecard(pm *p, const maas_xml *model, pm_result *out)
{
    pm_grove g = {0};
    double initial;
    *out = (pm_result){.value = MAAS_NO_VALUE, .code = MAAS_NO_VALUE, .p = MAAS_NO_VALUE};
    MAAS_TRY(pm_number_or(p, model, "initialScore", 0, &initial));
    maas_status st = pm_grove_init(p, &g);
    if (st == MAAS_OK)
        st = grow(p, &g, model, initial, out);
    pm_grove_reset(&g);
    return st;
}
