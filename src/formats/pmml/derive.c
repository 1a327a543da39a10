/*
 * Derived fields: expressions become columns. An expression is walked in post order with a stack of
 * operands; constants stay scalars until a column is needed. Truth is 1 or 0, and NaN when it is
 * not known.
 */
#include <math.h>
#include <string.h>

#include "formats/pmml/pmml_int.h"
#include "base/ban.h"

typedef maas_status expression_fn(pm *p, const maas_xml *e, pm_field *out);

/* ---- leaves ---- */

static maas_status field_ref(pm *p, const maas_xml *e, pm_field *out)
{
    pm_field *f;
    double v;
    MAAS_TRY(pm_field_find(p, e, "field", &f));
    *out = *f;
    if (!maas_xml_get(e, "mapMissingTo"))
        return MAAS_OK;
    if (f->text) {
        const char *word = maas_xml_get(e, "mapMissingTo");
        out->v = pm_where(p, pm_is_missing(p, f), pm_words(p, &word, 1), f->v);
        return p->b.status;
    }
    MAAS_TRY(pm_number(p, e, "mapMissingTo", &v));
    out->v = pm_where(p, pm_is_missing(p, f), pm_const(p, v), f->v);
    return p->b.status;
}

static maas_status constant(pm *p, const maas_xml *e, pm_field *out)
{
    const char *type = maas_xml_get(e, "dataType"), *missing = maas_xml_get(e, "missing");
    double v = NAN;
    const bool number = pm_parse(e->text, &v);
    out->text = type ? strcmp(type, "string") == 0 : !number;
    if (!out->text && !number && strcmp(e->text, "true") != 0 && strcmp(e->text, "false") != 0)
        return pm_fail(p, MAAS_E_FORMAT, e, "'%.40s' is no number", e->text);
    if (!out->text && !number)
        v = strcmp(e->text, "true") == 0;
    v = missing && strcmp(missing, "true") == 0 ? NAN : v;
    out->v = out->text ? pm_words(p, &e->text, 1) : pm_const(p, v);
    return p->b.status;
}

/* A missing value of `f` becomes mapMissingTo, if the element says so. */
static maas_status map_missing(pm *p, const maas_xml *e, const pm_field *f, pm_field *out)
{
    const char *to = maas_xml_get(e, "mapMissingTo");
    double v;
    if (!to)
        return p->b.status;
    if (!out->text)
        MAAS_TRY(pm_number(p, e, "mapMissingTo", &v));
    out->v = pm_where(p, pm_is_missing(p, f), out->text ? pm_words(p, &to, 1) : pm_const(p, v),
                      out->v);
    return p->b.status;
}

static maas_status norm_discrete(pm *p, const maas_xml *e, pm_field *out)
{
    const char *value = maas_xml_get(e, "value");
    pm_field *f;
    double v = 0;
    MAAS_TRY(pm_field_find(p, e, "field", &f));
    if (!value)
        return pm_missing(p, e, "value");
    if (!f->text)
        MAAS_TRY(pm_number(p, e, "value", &v));
    maas_vid is = PM_OP2(p, "Equal", f->v, f->text ? pm_words(p, &value, 1) : pm_const(p, v));
    *out = (pm_field){
        .v = pm_where(p, pm_is_missing(p, f), pm_const(p, NAN), pm_cast(p, is, MAAS_F64))};
    return map_missing(p, e, f, out);
}

typedef struct point {
    double x, y;
} point;

/* The line through two points; a flat one when they stand above each other. */
static maas_vid line(pm *p, maas_vid x, const point *a, const point *b)
{
    const double slope = b->x > a->x ? (b->y - a->y) / (b->x - a->x) : 0;
    maas_vid from = PM_OP2(p, "Sub", x, pm_const(p, a->x));
    return PM_OP2(p, "Add", PM_OP2(p, "Mul", from, pm_const(p, slope)), pm_const(p, a->y));
}

static maas_status take_points(pm *p, const maas_xml *e, point **out, size_t *n)
{
    *n = 0;
    for (const maas_xml *c = maas_xml_child(e, "LinearNorm"); c;
         c = maas_xml_sibling(c, "LinearNorm"))
        ++*n;
    if (*n < 2)
        return pm_fail(p, MAAS_E_FORMAT, e, "two LinearNorm are needed at least");
    if (!(*out = pm_alloc(p, *n, sizeof **out)))
        return MAAS_E_NOMEM;
    size_t i = 0;
    for (const maas_xml *c = maas_xml_child(e, "LinearNorm"); c;
         c = maas_xml_sibling(c, "LinearNorm"), i++) {
        MAAS_TRY(pm_number(p, c, "orig", &(*out)[i].x));
        MAAS_TRY(pm_number(p, c, "norm", &(*out)[i].y));
        if (i && !((*out)[i].x >= (*out)[i - 1].x))
            return pm_fail(p, MAAS_E_FORMAT, c, "orig does not rise");
    }
    return MAAS_OK;
}

static maas_status norm_continuous(pm *p, const maas_xml *e, pm_field *out)
{
    enum { AS_IS, AS_MISSING, AS_EXTREME };
    static const char *const words[] = {"asIs", "asMissingValues", "asExtremeValues", NULL};
    pm_field *f;
    point *at = NULL;
    size_t n = 0;
    int outliers;
    MAAS_TRY(pm_field_find(p, e, "field", &f));
    if (f->text)
        return pm_fail(p, MAAS_E_FORMAT, e, "field '%.80s' is no number", f->name);
    MAAS_TRY(pm_word(p, e, "outliers", words, AS_IS, &outliers));
    MAAS_TRY(take_points(p, e, &at, &n));
    maas_vid x = f->v, y = line(p, x, &at[n - 2], &at[n - 1]);
    for (size_t i = n - 2; i > 0; i--)
        y = pm_where(p, PM_OP2(p, "Less", x, pm_const(p, at[i].x)), line(p, x, &at[i - 1], &at[i]),
                     y);
    if (outliers != AS_IS) {
        const bool cut = outliers == AS_EXTREME;
        y = pm_where(p, PM_OP2(p, "Less", x, pm_const(p, at[0].x)),
                     pm_const(p, cut ? at[0].y : NAN), y);
        y = pm_where(p, PM_OP2(p, "Greater", x, pm_const(p, at[n - 1].x)),
                     pm_const(p, cut ? at[n - 1].y : NAN), y);
    }
    *out = (pm_field){.v = y};
    return map_missing(p, e, f, out);
}

/* ---- Discretize and MapValues: to numbers or to text, as dataType says ---- */

static bool gives_text(const maas_xml *e)
{
    const char *type = maas_xml_get(e, "dataType");
    if (!type && e->parent)
        type = maas_xml_get(e->parent, "dataType");
    return !type || strcmp(type, "string") == 0;
}

static maas_status made_value(pm *p, const maas_xml *e, const char *text, bool as_text,
                              maas_vid *out)
{
    double v = NAN;
    if (!as_text && text[0] && !pm_parse(text, &v))
        return pm_fail(p, MAAS_E_FORMAT, e, "'%.40s' is no number", text);
    *out = as_text ? pm_words(p, &text, 1) : pm_const(p, v);
    return p->b.status;
}

static maas_status within(pm *p, const maas_xml *bin, maas_vid x, maas_vid *out)
{
    static const char *const closures[] = {"openOpen", "openClosed", "closedOpen", "closedClosed",
                                           NULL};
    const maas_xml *e = maas_xml_child(bin, "Interval");
    double left, right;
    int closure;
    if (!e)
        return pm_fail(p, MAAS_E_FORMAT, bin, "Interval is missing");
    MAAS_TRY(pm_word(p, e, "closure", closures, -1, &closure));
    MAAS_TRY(pm_number_or(p, e, "leftMargin", -INFINITY, &left));
    MAAS_TRY(pm_number_or(p, e, "rightMargin", INFINITY, &right));
    *out = PM_OP2(p, "And",
                  PM_OP2(p, closure >= 2 ? "GreaterOrEqual" : "Greater", x, pm_const(p, left)),
                  PM_OP2(p, closure & 1 ? "LessOrEqual" : "Less", x, pm_const(p, right)));
    return p->b.status;
}

static maas_status discretize(pm *p, const maas_xml *e, pm_field *out)
{
    const char *otherwise = maas_xml_get(e, "defaultValue");
    pm_field *f;
    maas_vid v = MAAS_NO_VALUE, in = MAAS_NO_VALUE, bin = MAAS_NO_VALUE;
    MAAS_TRY(pm_field_find(p, e, "field", &f));
    if (f->text)
        return pm_fail(p, MAAS_E_FORMAT, e, "field '%.80s' is no number", f->name);
    const bool text = gives_text(e);
    MAAS_TRY(made_value(p, e, otherwise ? otherwise : "", text, &v));
    for (const maas_xml *c = maas_xml_child(e, "DiscretizeBin"); c;
         c = maas_xml_sibling(c, "DiscretizeBin")) {
        const char *value = maas_xml_get(c, "binValue");
        if (!value)
            return pm_missing(p, c, "binValue");
        MAAS_TRY(within(p, c, f->v, &in));
        MAAS_TRY(made_value(p, c, value, text, &bin));
        v = pm_where(p, in, bin, v);
    }
    pm_field none = {.text = text};
    MAAS_TRY(made_value(p, e, "", text, &none.v));
    *out = (pm_field){.v = pm_where(p, pm_is_missing(p, f), none.v, v), .text = text};
    return map_missing(p, e, f, out);
}

/* The text of the cell of a row that is in this column. */
static const char *cell_of(const maas_xml *row, const char *column)
{
    const char *colon = strrchr(column, ':'); /* the prefix went from names of elements */
    const maas_xml *e = maas_xml_child(row, colon ? colon + 1 : column);
    return e ? e->text : NULL;
}

static maas_status map_values(pm *p, const maas_xml *e, pm_field *out)
{
    const maas_xml *pair = maas_xml_child(e, "FieldColumnPair");
    const maas_xml *table = maas_xml_child(e, "InlineTable");
    const char *to = maas_xml_get(e, "outputColumn"), *otherwise = maas_xml_get(e, "defaultValue");
    const char *from = pair ? maas_xml_get(pair, "column") : NULL;
    pm_field *f;
    maas_vid v = MAAS_NO_VALUE, key = MAAS_NO_VALUE, value = MAAS_NO_VALUE;
    if (!pair || !table || !to || !from || maas_xml_sibling(pair, "FieldColumnPair"))
        return pm_fail(p, MAAS_E_UNSUPPORTED, e,
                       "one FieldColumnPair and an InlineTable are "
                       "supported");
    MAAS_TRY(pm_field_find(p, pair, "field", &f));
    const bool text = gives_text(e);
    MAAS_TRY(made_value(p, e, otherwise ? otherwise : "", text, &v));
    for (const maas_xml *row = maas_xml_child(table, "row"); row;
         row = maas_xml_sibling(row, "row")) {
        const char *a = cell_of(row, from), *b = cell_of(row, to);
        if (!a || !b)
            return pm_fail(p, MAAS_E_FORMAT, row, "a cell is missing");
        MAAS_TRY(made_value(p, row, a, f->text, &key));
        MAAS_TRY(made_value(p, row, b, text, &value));
        v = pm_where(p, PM_OP2(p, "Equal", f->v, key), value, v);
    }
    *out = (pm_field){.v = v, .text = text};
    return map_missing(p, e, f, out);
}

/* ---- Apply ---- */

static maas_vid truth(pm *p, const char *op, maas_vid a, maas_vid b)
{
    maas_vid is = pm_cast(p, PM_OP2(p, op, a, b), MAAS_F64);
    maas_vid unknown = PM_OP1(p, "IsNaN", PM_OP2(p, "Add", a, b));
    return pm_where(p, unknown, pm_const(p, NAN), is);
}

/* Operators of ONNX: one or two arguments, or comparisons that give truth. */
static const struct function {
    const char *name, *op;
    int n_args;
    bool compares;
} functions[] = {
    {"+", "Add", 2, false},
    {"-", "Sub", 2, false},
    {"*", "Mul", 2, false},
    {"/", "Div", 2, false},
    {"pow", "Pow", 2, false},
    {"min", "Min", 2, false},
    {"max", "Max", 2, false},
    {"exp", "Exp", 1, false},
    {"ln", "Log", 1, false},
    {"sqrt", "Sqrt", 1, false},
    {"abs", "Abs", 1, false},
    {"floor", "Floor", 1, false},
    {"ceil", "Ceil", 1, false},
    {"sin", "Sin", 1, false},
    {"cos", "Cos", 1, false},
    {"tanh", "Tanh", 1, false},
    {"equal", "Equal", 2, true},
    {"lessThan", "Less", 2, true},
    {"lessOrEqual", "LessOrEqual", 2, true},
    {"greaterThan", "Greater", 2, true},
    {"greaterOrEqual", "GreaterOrEqual", 2, true},
};

static maas_status call(pm *p, const maas_xml *e, const struct function *f, const pm_field *arg,
                        int n, pm_field *out)
{
    const bool many = strcmp(f->name, "min") == 0 || strcmp(f->name, "max") == 0;
    if (n != f->n_args && !(many && n > 0))
        return pm_fail(p, MAAS_E_FORMAT, e, "%s takes %d arguments", f->name, f->n_args);
    for (int i = 0; i < n; i++)
        if (arg[i].text)
            return pm_fail(p, MAAS_E_UNSUPPORTED, e, "%s of text", f->name);
    *out = (pm_field){.v = arg[0].v};
    if (n == 1 && !many)
        out->v = PM_OP1(p, f->op, arg[0].v);
    for (int i = 1; i < n; i++)
        out->v = f->compares ? truth(p, f->op, out->v, arg[i].v)
                             : PM_OP2(p, f->op, out->v, arg[i].v);
    return p->b.status;
}

/* if(condition, then, else): without an else, or without an answer to the condition: missing. */
static maas_status call_if(pm *p, const maas_xml *e, const pm_field *arg, int n, pm_field *out)
{
    if (n < 2 || n > 3 || arg[0].text || (n == 3 && arg[1].text != arg[2].text))
        return pm_fail(p, MAAS_E_FORMAT, e, "if takes a condition and two values of a kind");
    static const char *const empty[] = {""};
    const maas_vid none = arg[1].text ? pm_words(p, empty, 1) : pm_const(p, NAN);
    maas_vid yes = PM_OP2(p, "Equal", arg[0].v, pm_const(p, 1));
    maas_vid no = PM_OP2(p, "Equal", arg[0].v, pm_const(p, 0));
    maas_vid otherwise = n == 3 ? pm_where(p, no, arg[2].v, none) : none;
    *out = (pm_field){.v = pm_where(p, yes, arg[1].v, otherwise), .text = arg[1].text};
    return p->b.status;
}

static maas_status call_missing(pm *p, const maas_xml *e, const pm_field *arg, int n, bool is,
                                pm_field *out)
{
    if (n != 1)
        return pm_fail(p, MAAS_E_FORMAT, e, "one argument is expected");
    maas_vid m = pm_is_missing(p, &arg[0]);
    *out = (pm_field){.v = pm_cast(p, is ? m : pm_not(p, m), MAAS_F64)};
    return p->b.status;
}

/* threshold(x, y): 1 if x > y else 0 */
static maas_status apply_function(pm *p, const maas_xml *e, const pm_field *arg, int n,
                                  pm_field *out)
{
    const char *name = maas_xml_get(e, "function");
    if (!name)
        return pm_missing(p, e, "function");
    for (size_t i = 0; i < MAAS_COUNT(functions); i++)
        if (strcmp(functions[i].name, name) == 0)
            return call(p, e, &functions[i], arg, n, out);
    if (strcmp(name, "if") == 0)
        return call_if(p, e, arg, n, out);
    if (strcmp(name, "isMissing") == 0 || strcmp(name, "isNotMissing") == 0)
        return call_missing(p, e, arg, n, name[2] == 'M', out);
    return pm_fail(p, MAAS_E_UNSUPPORTED, e, "function '%.60s' is not supported", name);
}

static maas_status apply(pm *p, const maas_xml *e, const pm_field *arg, int n, pm_field *out)
{
    double v;
    MAAS_TRY(apply_function(p, e, arg, n, out));
    if (!maas_xml_get(e, "mapMissingTo") || out->text)
        return p->b.status;
    MAAS_TRY(pm_number(p, e, "mapMissingTo", &v));
    for (int i = 0; i < n; i++)
        out->v = pm_where(p, pm_is_missing(p, &arg[i]), pm_const(p, v), out->v);
    return p->b.status;
}

/* ---- walking ---- */

static const struct leaf {
    const char *name;
    expression_fn *fn;
} leaves[] = {{"FieldRef", field_ref},         {"Constant", constant},
              {"NormDiscrete", norm_discrete}, {"NormContinuous", norm_continuous},
              {"Discretize", discretize},      {"MapValues", map_values}};

static const maas_xml *skip_extensions(const maas_xml *e)
{
    while (maas_xml_is(e, "Extension"))
        e = e->next;
    return e;
}

/* The first leaf below e: Apply has arguments, others have none. */
static const maas_xml *deepest(const maas_xml *e)
{
    while (maas_xml_is(e, "Apply") && skip_extensions(e->child))
        e = skip_extensions(e->child);
    return e;
}

static int n_args(const maas_xml *e)
{
    int n = 0;
    for (const maas_xml *c = skip_extensions(e->child); c; c = skip_extensions(c->next))
        n++;
    return n;
}

static maas_status leaf_value(pm *p, const maas_xml *e, pm_field *out)
{
    for (size_t i = 0; i < MAAS_COUNT(leaves); i++)
        if (maas_xml_is(e, leaves[i].name))
            return leaves[i].fn(p, e, out);
    return pm_unsupported(p, e);
}

static maas_status evaluate(pm *p, const maas_xml *top, pm_field *out)
{
    pm_field stack[PM_MAX_EXPRESSION];
    int n = 0;
    for (const maas_xml *e = deepest(top);; e = deepest(skip_extensions(e->next))) {
        for (;;) { /* e is done below: its value, and that of every Apply it was the last of */
            pm_field v = {0};
            const int used = maas_xml_is(e, "Apply") ? n_args(e) : 0;
            if (n == PM_MAX_EXPRESSION)
                return pm_fail(p, MAAS_E_TOO_LARGE, e, "the expression is too deep");
            MAAS_TRY(maas_xml_is(e, "Apply") ? apply(p, e, stack + n - used, used, &v)
                                             : leaf_value(p, e, &v));
            n -= used;
            stack[n++] = v;
            if (e == top) {
                *out = stack[0];
                return p->b.status;
            }
            if (skip_extensions(e->next))
                break;
            e = e->parent;
        }
    }
}

static bool is_expression(const maas_xml *e)
{
    bool is = maas_xml_is(e, "Apply");
    for (size_t i = 0; i < MAAS_COUNT(leaves); i++)
        is |= maas_xml_is(e, leaves[i].name);
    return is;
}

maas_status pm_expression(pm *p, const maas_xml *e, pm_field *out)
{
    const maas_xml *c = e->child;
    while (c && !is_expression(c)) {
        static const char *const known[] = {"Extension", "Value", "Interval"};
        bool passed = false;
        for (size_t i = 0; i < MAAS_COUNT(known); i++)
            passed |= maas_xml_is(c, known[i]);
        if (!passed)
            return pm_unsupported(p, c);
        c = c->next;
    }
    if (!c)
        return pm_fail(p, MAAS_E_FORMAT, e, "there is no expression");
    MAAS_TRY(evaluate(p, c, out));
    out->v = pm_full(p, out->v);
    return p->b.status;
}

maas_status pm_derive_all(pm *p, const maas_xml *parent)
{
    for (const maas_xml *e = parent ? parent->child : NULL; e; e = e->next) {
        pm_field f = {0};
        const char *name = maas_xml_get(e, "name"), *type = maas_xml_get(e, "dataType");
        if (maas_xml_is(e, "Extension"))
            continue;
        if (!maas_xml_is(e, "DerivedField"))
            return pm_unsupported(p, e);
        if (!name)
            return pm_missing(p, e, "name");
        MAAS_TRY(pm_expression(p, e, &f));
        f.single = !f.text && type && strcmp(type, "float") == 0;
        if (f.single)
            f.v = pm_cast(p, pm_cast(p, f.v, MAAS_F32), MAAS_F64);
        MAAS_TRY(pm_field_set(p, name, &f));
    }
    return MAAS_OK;
}
