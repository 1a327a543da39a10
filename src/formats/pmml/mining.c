/*
 * Models in models. A MiningModel waits in a frame while its segments are worked out one after the
 * other; what a segment outputs is a field for the segments after it.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "formats/pmml/pmml_int.h"
#include "base/ban.h"

typedef struct member {
    pm_result r;
    maas_vid mask; /* BOOL [n, 1]: the segment takes part; MAAS_NO_VALUE: always */
    double weight;
} member;

typedef struct frame {
    const maas_xml *model, *segment; /* segment: the one that is open */
    uint32_t mark;
    member *members;
    size_t n, cap;
} frame;

bool pm_is_classification(const maas_xml *model)
{
    const char *name = maas_xml_get(model, "functionName");
    return name && strcmp(name, "classification") == 0;
}

maas_status pm_target_labels(pm *p, const maas_xml *model, pm_classes *out)
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
        for (const maas_xml *v = f ? maas_xml_child(f, "Value") : NULL; v;
             v = maas_xml_sibling(v, "Value")) {
            uint32_t k;
            if (maas_xml_get(v, "value") && !maas_xml_get(v, "property"))
                MAAS_TRY(pm_class_of(p, out, maas_xml_get(v, "value"), &k));
        }
    }
    return MAAS_OK;
}

/* ---- what segments say together ---- */

static maas_vid taken(pm *p, const member *m, maas_vid v, maas_vid otherwise)
{
    return m->mask == MAAS_NO_VALUE ? v : pm_where(p, m->mask, v, otherwise);
}

/* Probabilities [n, k] in the order of `all`, which gets the labels of the member. */
static maas_status align(pm *p, const pm_result *r, const pm_classes *all, maas_vid *out)
{
    maas_vid *columns = pm_alloc(p, all->n, sizeof *columns);
    if (!columns)
        return MAAS_E_NOMEM;
    for (size_t i = 0; i < all->n; i++)
        columns[i] = MAAS_NO_VALUE;
    for (size_t i = 0; i < r->labels.n; i++)
        for (size_t k = 0; k < all->n; k++)
            if (strcmp(all->name[k], r->labels.name[i]) == 0)
                columns[k] = pm_columns(p, r->p, (int64_t)i, (int64_t)i + 1);
    for (size_t i = 0; i < all->n; i++)
        if (columns[i] == MAAS_NO_VALUE)
            columns[i] = pm_full(p, pm_const(p, 0));
    *out = pm_concat(p, columns, all->n);
    return p->b.status;
}

/* 1 in the column of the member's label, [n, k]; rows of zeros where it has none. */
static maas_status votes_of(pm *p, const pm_result *r, const pm_classes *all, maas_vid *out)
{
    double *codes = pm_alloc(p, all->n, sizeof *codes);
    if (!codes)
        return MAAS_E_NOMEM;
    for (size_t k = 0; k < all->n; k++) {
        codes[k] = -1;
        for (size_t i = 0; i < r->labels.n; i++)
            codes[k] = strcmp(all->name[k], r->labels.name[i]) == 0 ? (double)i : codes[k];
    }
    *out = pm_cast(p, PM_OP2(p, "Equal", r->code, pm_row(p, codes, (int64_t)all->n)), MAAS_F64);
    return p->b.status;
}

static maas_vid plus(pm *p, maas_vid sum, maas_vid v)
{
    return sum == MAAS_NO_VALUE ? v : PM_OP2(p, "Add", sum, v);
}

static maas_status all_labels(pm *p, const frame *f, pm_classes *out)
{
    uint32_t k;
    MAAS_TRY(pm_target_labels(p, f->model, out));
    for (size_t i = 0; i < f->n; i++)
        for (size_t j = 0; j < f->members[i].r.labels.n; j++)
            MAAS_TRY(pm_class_of(p, out, f->members[i].r.labels.name[j], &k));
    return MAAS_OK;
}

/* Sums, and means of them, over what takes part. */
static maas_status add_up(pm *p, const frame *f, bool mean, bool votes, pm_result *out)
{
    maas_vid sum = MAAS_NO_VALUE, weights = MAAS_NO_VALUE, zero = pm_const(p, 0);
    if (out->classes)
        MAAS_TRY(all_labels(p, f, &out->labels));
    for (size_t i = 0; i < f->n; i++) {
        const member *m = &f->members[i];
        maas_vid v = m->r.value;
        if (out->classes)
            MAAS_TRY(votes ? votes_of(p, &m->r, &out->labels, &v)
                           : align(p, &m->r, &out->labels, &v));
        v = PM_OP2(p, "Mul", v, pm_const(p, m->weight));
        sum = plus(p, sum, taken(p, m, v, zero));
        weights = plus(p, weights, pm_full(p, taken(p, m, pm_const(p, m->weight), zero)));
    }
    sum = mean || votes ? PM_OP2(p, "Div", sum, weights) : sum;
    if (!out->classes) {
        out->value = pm_where(p, PM_OP2(p, "Greater", weights, zero), sum, pm_const(p, NAN));
        return p->b.status;
    }
    out->p = sum;
    maas_vid none = PM_OP1(p, "IsNaN", pm_row_sum(p, sum));
    out->code = pm_where(p, none, pm_const(p, NAN), pm_argmax(p, sum));
    return p->b.status;
}

static maas_status largest(pm *p, const frame *f, pm_result *out)
{
    maas_vid low = pm_const(p, -INFINITY);
    out->value = MAAS_NO_VALUE;
    for (size_t i = 0; i < f->n; i++) {
        maas_vid v = pm_full(p, taken(p, &f->members[i], f->members[i].r.value, low));
        out->value = i ? PM_OP2(p, "Max", out->value, v) : v;
    }
    return p->b.status;
}

/* The first that takes part. */
static maas_status first_of(pm *p, const frame *f, pm_result *out)
{
    const maas_vid nan = pm_const(p, NAN), zero = pm_const(p, 0);
    if (out->classes)
        MAAS_TRY(all_labels(p, f, &out->labels));
    out->value = out->code = pm_full(p, nan);
    out->p = MAAS_NO_VALUE;
    for (size_t i = f->n; i-- > 0;) {
        const member *m = &f->members[i];
        maas_vid v, votes, known;
        if (!out->classes) {
            out->value = taken(p, m, m->r.value, out->value);
            continue;
        }
        MAAS_TRY(align(p, &m->r, &out->labels, &v));
        MAAS_TRY(votes_of(p, &m->r, &out->labels, &votes));
        known = pm_where(p, PM_OP1(p, "IsNaN", m->r.code), nan, pm_argmax(p, votes));
        out->code = taken(p, m, known, out->code);
        out->p = out->p == MAAS_NO_VALUE ? taken(p, m, v, PM_OP2(p, "Mul", v, zero))
                                         : taken(p, m, v, out->p);
    }
    return p->b.status;
}

enum { SUM, WEIGHTED_SUM, AVERAGE, WEIGHTED_AVERAGE, VOTE, WEIGHTED_VOTE, MAX, FIRST, CHAIN };
static const char *const methods[] = {"sum",          "weightedSum",
                                      "average",      "weightedAverage",
                                      "majorityVote", "weightedMajorityVote",
                                      "max",          "selectFirst",
                                      "modelChain",   NULL};

static maas_status combine(pm *p, const frame *f, pm_result *out)
{
    const maas_xml *segmentation = maas_xml_child(f->model, "Segmentation");
    int how;
    *out = (pm_result){.classes = pm_is_classification(f->model),
                       .value = MAAS_NO_VALUE,
                       .code = MAAS_NO_VALUE,
                       .p = MAAS_NO_VALUE};
    MAAS_TRY(pm_word(p, segmentation, "multipleModelMethod", methods, -1, &how));
    if (f->n == 0)
        return pm_fail(p, MAAS_E_FORMAT, segmentation, "it has no Segment");
    if (how == CHAIN) {
        *out = f->members[f->n - 1].r;
        return MAAS_OK;
    }
    for (size_t i = 0; i < f->n; i++)
        if (f->members[i].r.classes != out->classes)
            return pm_fail(p, MAAS_E_UNSUPPORTED, segmentation,
                           "segments of another kind than the model");
    const bool only_values = how == SUM || how == WEIGHTED_SUM || how == MAX;
    if (out->classes ? only_values : how == VOTE || how == WEIGHTED_VOTE)
        return pm_fail(p, MAAS_E_UNSUPPORTED, segmentation, "'%s' does not fit functionName",
                       methods[how]);
    if (how == FIRST)
        return first_of(p, f, out);
    if (how == MAX)
        return largest(p, f, out);
    return add_up(p, f, how == AVERAGE || how == WEIGHTED_AVERAGE,
                  how == VOTE || how == WEIGHTED_VOTE, out);
}

/* ---- segments ---- */

static const maas_xml *model_in(const maas_xml *segment)
{
    const maas_xml *e = segment->child;
    while (e &&
           (pm_is_predicate(e) || maas_xml_is(e, "Extension") || maas_xml_is(e, "VariableWeight")))
        e = e->next;
    return e;
}

static maas_status open_segment(pm *p, frame *f, const maas_xml *segment, const maas_xml **model)
{
    const maas_xml *segmentation = segment->parent, *predicate = pm_predicate_of(segment);
    const char *method = maas_xml_get(segmentation, "multipleModelMethod");
    member m = {.mask = MAAS_NO_VALUE, .weight = 1};
    maas_vid truth;
    if (maas_xml_child(segment, "VariableWeight"))
        return pm_unsupported(p, maas_xml_child(segment, "VariableWeight"));
    if (method && strncmp(method, "weighted", 8) == 0)
        MAAS_TRY(pm_number_or(p, segment, "weight", 1, &m.weight));
    if (!predicate || !(*model = model_in(segment)))
        return pm_fail(p, MAAS_E_FORMAT, segment, "a predicate and a model are expected");
    if (!maas_xml_is(predicate, "True")) {
        if (method && strcmp(method, "modelChain") == 0)
            return pm_fail(p, MAAS_E_UNSUPPORTED, segment, "a condition in a modelChain");
        MAAS_TRY(pm_predicate_value(p, predicate, &truth));
        m.mask = PM_OP2(p, "Equal", truth, pm_const(p, 1));
    }
    if (!maas_grow(&f->members, &f->cap, f->n + 1, sizeof *f->members))
        return pm_no_memory(p);
    f->segment = segment;
    f->members[f->n++] = m;
    return p->b.status;
}

/* The segment to be opened next; NULL when all are done. */
static const maas_xml *next_segment(const frame *f)
{
    return f->segment ? maas_xml_sibling(f->segment, "Segment")
                      : maas_xml_child(maas_xml_child(f->model, "Segmentation"), "Segment");
}

/* ---- models ---- */

static const struct kind {
    const char *name;
    maas_status (*build)(pm *p, const maas_xml *model, pm_result *out);
} kinds[] = {{"TreeModel", pm_tree_model},
             {"RegressionModel", pm_regression_model},
             {"Scorecard", pm_scorecard}};

/* A model that has no others in it, or trees that make one forest. */
static maas_status build_whole(pm *p, const maas_xml *model, pm_result *out, bool *done)
{
    *done = true;
    for (size_t i = 0; i < MAAS_COUNT(kinds); i++)
        if (maas_xml_is(model, kinds[i].name))
            return kinds[i].build(p, model, out);
    if (!maas_xml_is(model, "MiningModel") || !maas_xml_child(model, "Segmentation"))
        return pm_unsupported(p, model);
    return pm_forest_model(p, model, out, done);
}

static maas_status enter(pm *p, frame *f, const maas_xml *model, bool outermost)
{
    *f = (frame){.model = model, .mark = pm_enter(p)};
    const char *function = maas_xml_get(model, "functionName");
    if (!function ||
        (strcmp(function, "classification") != 0 && strcmp(function, "regression") != 0))
        return pm_fail(p, MAAS_E_UNSUPPORTED, model, "functionName '%.40s'",
                       function ? function : "");
    MAAS_TRY(pm_schema(p, model, outermost));
    if (outermost)
        MAAS_TRY(pm_derive_all(p, maas_xml_child(p->root, "TransformationDictionary")));
    return pm_derive_all(p, maas_xml_child(model, "LocalTransformations"));
}

/* The model of the frame has its result: its fields go, its outputs come. */
static maas_status leave(pm *p, frame *f, pm_result *r)
{
    MAAS_TRY(pm_targets(p, f->model, r));
    pm_leave(p, f->mark);
    return pm_outputs(p, f->model, r);
}

static maas_status walk(pm *p, frame *frames, int *n, const maas_xml *model, pm_result *out)
{
    bool done;
    MAAS_TRY(enter(p, &frames[(*n)++], model, true));
    MAAS_TRY(build_whole(p, model, out, &done));
    for (;;) {
        frame *f = &frames[*n - 1];
        const maas_xml *segment = done ? NULL : next_segment(f), *inner;
        if (segment) {
            MAAS_TRY(open_segment(p, f, segment, &inner));
            if (*n == PM_MAX_MODELS_DEEP)
                return pm_fail(p, MAAS_E_TOO_LARGE, inner, "models in models deeper than %d",
                               PM_MAX_MODELS_DEEP);
            MAAS_TRY(enter(p, &frames[(*n)++], inner, false));
            MAAS_TRY(build_whole(p, inner, out, &done));
            continue;
        }
        if (!done)
            MAAS_TRY(combine(p, f, out));
        MAAS_TRY(leave(p, f, out));
        if (*n == 1)
            return MAAS_OK;
        maas_free(f->members);
        f->members = NULL;
        --*n;
        frames[*n - 1].members[frames[*n - 1].n - 1].r = *out;
        done = false;
    }
}

maas_status pm_model(pm *p, const maas_xml *model, pm_result *out)
{
    frame frames[PM_MAX_MODELS_DEEP] = {{0}};
    int n = 0;
    maas_status st = walk(p, frames, &n, model, out);
    for (int i = 0; i < n; i++)
        maas_free(frames[i].members);
    return st;
}
