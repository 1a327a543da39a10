/*
 * Predicates as columns: 1 true, 0 false, NaN not known. Nodes of trees test simple ones by
 * themselves (grove.c); compound ones are worked out here, in post order with a stack.
 */
#include <math.h>
#include <string.h>

#include "formats/pmml/pmml_int.h"
#include "base/ban.h"

bool pm_is_predicate(const maas_xml *e)
{
    static const char *const names[] = {"True", "False", "SimplePredicate", "SimpleSetPredicate",
                                        "CompoundPredicate"};
    for (size_t i = 0; i < MAAS_COUNT(names); i++)
        if (maas_xml_is(e, names[i]))
            return true;
    return false;
}

static const maas_xml *next_predicate(const maas_xml *e)
{
    while (e && !pm_is_predicate(e))
        e = e->next;
    return e;
}

maas_xml *pm_predicate_of(const maas_xml *e)
{
    return (maas_xml *)(uintptr_t)next_predicate(e->child);
}

/* ---- leaves ---- */

static maas_vid known_only(pm *p, const pm_field *f, maas_vid mask)
{
    return pm_where(p, pm_is_missing(p, f), pm_const(p, NAN), pm_cast(p, mask, MAAS_F64));
}

static maas_status simple_value(pm *p, const maas_xml *e, maas_vid *out)
{
    enum { EQUAL, NOT_EQUAL, IS_MISSING, IS_NOT_MISSING };
    static const char *const words[] = {"equal",        "notEqual",       "isMissing",
                                        "isNotMissing", "lessThan",       "lessOrEqual",
                                        "greaterThan",  "greaterOrEqual", NULL};
    static const char *const ops[] = {"Equal", "Equal",       NULL,      NULL,
                                      "Less",  "LessOrEqual", "Greater", "GreaterOrEqual"};
    const char *text = maas_xml_get(e, "value");
    pm_field *f;
    double v = 0;
    int op;
    MAAS_TRY(pm_field_find(p, e, "field", &f));
    MAAS_TRY(pm_word(p, e, "operator", words, -1, &op));
    if (op == IS_MISSING || op == IS_NOT_MISSING) {
        maas_vid m = pm_is_missing(p, f);
        *out = pm_cast(p, op == IS_MISSING ? m : pm_not(p, m), MAAS_F64);
        return p->b.status;
    }
    if (!text)
        return pm_missing(p, e, "value");
    if (f->text && op > IS_NOT_MISSING)
        return pm_fail(p, MAAS_E_UNSUPPORTED, e, "order of text");
    if (!f->text)
        MAAS_TRY(pm_number(p, e, "value", &v));
    v = f->single ? (double)(float)v : v;
    maas_vid mask = PM_OP2(p, ops[op], f->v, f->text ? pm_words(p, &text, 1) : pm_const(p, v));
    *out = known_only(p, f, op == NOT_EQUAL ? pm_not(p, mask) : mask);
    return p->b.status;
}

static maas_status set_value(pm *p, const maas_xml *e, maas_vid *out)
{
    static const char *const words[] = {"isIn", "isNotIn", NULL};
    pm_field *f;
    pm_classes set = {0};
    int op;
    MAAS_TRY(pm_field_find(p, e, "field", &f));
    MAAS_TRY(pm_word(p, e, "booleanOperator", words, -1, &op));
    MAAS_TRY(pm_set_of(p, e, &set));
    maas_vid list;
    if (f->text) {
        list = pm_words(p, set.name, (int64_t)set.n);
    } else {
        double *v = pm_alloc(p, set.n, sizeof *v);
        if (!v)
            return MAAS_E_NOMEM;
        for (size_t i = 0; i < set.n; i++)
            if (!pm_parse(set.name[i], &v[i]))
                return pm_fail(p, MAAS_E_FORMAT, e, "'%.40s' is no number", set.name[i]);
        list = pm_row(p, v, (int64_t)set.n);
    }
    maas_vid hits = pm_cast(p, PM_OP2(p, "Equal", f->v, list), MAAS_F64);
    maas_vid in = PM_OP2(p, "Greater", set.n > 1 ? pm_row_sum(p, hits) : hits, pm_const(p, 0));
    *out = known_only(p, f, op ? pm_not(p, in) : in);
    return p->b.status;
}

static maas_status leaf_value(pm *p, const maas_xml *e, maas_vid *out)
{
    if (maas_xml_is(e, "SimplePredicate"))
        return simple_value(p, e, out);
    if (maas_xml_is(e, "SimpleSetPredicate"))
        return set_value(p, e, out);
    *out = pm_const(p, maas_xml_is(e, "True"));
    return p->b.status;
}

/* The words of the Array of a set: divided by blanks, or quoted with \" inside. */
maas_status pm_set_of(pm *p, const maas_xml *e, pm_classes *out)
{
    const maas_xml *array = maas_xml_child(e, "Array");
    uint32_t i;
    if (!array)
        return pm_fail(p, MAAS_E_FORMAT, e, "Array is missing");
    const char *s = array->text;
    char *room = pm_alloc(p, strlen(s) + 1, 1);
    if (!room)
        return MAAS_E_NOMEM;
    for (;;) {
        while (*s == ' ' || *s == '\n' || *s == '\t' || *s == '\r')
            s++;
        if (!*s)
            break;
        char *to = room;
        const bool quoted = *s == '"';
        for (s += quoted; *s && (quoted ? *s != '"' : !strchr(" \n\t\r", *s)); s++) {
            s += quoted && s[0] == '\\' && s[1] == '"';
            *to++ = *s;
        }
        if (quoted && *s != '"')
            return pm_fail(p, MAAS_E_FORMAT, array, "a quote is not closed");
        s += quoted;
        const char *word = maas_arena_strndup(p->arena, room, (size_t)(to - room));
        if (!word)
            return pm_no_memory(p);
        MAAS_TRY(pm_class_of(p, out, word, &i));
    }
    return out->n ? MAAS_OK : pm_fail(p, MAAS_E_FORMAT, array, "the set is empty");
}

/* ---- CompoundPredicate ---- */

static maas_vid both(pm *p, maas_vid a, maas_vid b)
{
    maas_vid zero = pm_const(p, 0);
    maas_vid no = PM_OP2(p, "Or", PM_OP2(p, "Equal", a, zero), PM_OP2(p, "Equal", b, zero));
    return pm_where(p, no, zero, PM_OP2(p, "Mul", a, b));
}

static maas_vid either(pm *p, maas_vid a, maas_vid b)
{
    maas_vid one = pm_const(p, 1);
    maas_vid yes = PM_OP2(p, "Or", PM_OP2(p, "Equal", a, one), PM_OP2(p, "Equal", b, one));
    return pm_where(p, yes, one, PM_OP2(p, "Add", a, b));
}

static maas_vid one_of(pm *p, maas_vid a, maas_vid b)
{
    return PM_OP1(p, "Abs", PM_OP2(p, "Sub", a, b));
}

/* The first that is known. */
static maas_vid surrogate(pm *p, maas_vid a, maas_vid b)
{
    return pm_where(p, PM_OP1(p, "IsNaN", a), b, a);
}

static maas_status combine(pm *p, const maas_xml *e, const maas_vid *v, int n, maas_vid *out)
{
    static const char *const words[] = {"and", "or", "xor", "surrogate", NULL};
    static maas_vid (*const fns[])(pm * p, maas_vid a, maas_vid b) = {both, either, one_of,
                                                                      surrogate};
    int op;
    MAAS_TRY(pm_word(p, e, "booleanOperator", words, -1, &op));
    if (n < 1)
        return pm_fail(p, MAAS_E_FORMAT, e, "it has no predicates");
    *out = v[0];
    for (int i = 1; i < n; i++)
        *out = fns[op](p, *out, v[i]);
    return p->b.status;
}

static const maas_xml *deepest(const maas_xml *e)
{
    while (maas_xml_is(e, "CompoundPredicate") && next_predicate(e->child))
        e = next_predicate(e->child);
    return e;
}

static int n_parts(const maas_xml *e)
{
    int n = 0;
    for (const maas_xml *c = next_predicate(e->child); c; c = next_predicate(c->next))
        n++;
    return n;
}

maas_status pm_predicate_value(pm *p, const maas_xml *top, maas_vid *out)
{
    maas_vid stack[PM_MAX_EXPRESSION];
    int n = 0;
    for (const maas_xml *e = deepest(top);; e = deepest(next_predicate(e->next))) {
        for (;;) {
            maas_vid v = MAAS_NO_VALUE;
            const bool compound = maas_xml_is(e, "CompoundPredicate");
            const int used = compound ? n_parts(e) : 0;
            if (n == PM_MAX_EXPRESSION)
                return pm_fail(p, MAAS_E_TOO_LARGE, e, "the predicate is too deep");
            MAAS_TRY(compound ? combine(p, e, stack + n - used, used, &v) : leaf_value(p, e, &v));
            n -= used;
            stack[n++] = v;
            if (e == top) {
                *out = pm_full(p, stack[0]);
                return p->b.status;
            }
            if (next_predicate(e->next))
                break;
            e = e->parent;
        }
    }
}
