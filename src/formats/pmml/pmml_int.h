/*
 * formats/pmml/pmml_int.h - what is shared in this directory; nobody outside includes it.
 *
 *   xml.c ──► pmml.c (fields) ──► mining.c (models in models) ──► tree.c, regression.c, scorecard.c
 *                                       │                                │
 *                       schema.c, derive.c, finish.c        predicate.c ─┴─ grove.c (a forest)
 *
 * A field in the graph is a column [n, 1]: F64 with NaN for missing, or STRING with "" for it. The
 * graph is written while the file is walked; errors of the builder are sticky and looked at when a
 * model is done.
 */
#ifndef MAAS_FORMATS_PMML_INT_H
#define MAAS_FORMATS_PMML_INT_H

#include "formats/pmml/pmml.h"
#include "formats/xml.h"
#include "ops/forest.h"

enum {
    PM_MAX_FIELDS = 1 << 16,
    PM_MAX_MODELS_DEEP = 8, /* models in models */
    PM_MAX_EXPRESSION = 256 /* operands that wait in an expression or predicate */
};

/* A field as the data dictionary declares it, or a derived one. */
typedef struct pm_field {
    const char *name;
    const maas_xml *declared; /* DataField; NULL for others */
    maas_vid v;               /* MAAS_NO_VALUE: not in scope */
    bool text, single;        /* STRING; numbers that the maker rounds to f32 */
} pm_field;

typedef struct pm_undo {
    uint32_t field;
    pm_field was;
} pm_undo;

typedef struct pm {
    maas_arena *arena;
    maas_err *err;
    maas_builder b;
    const maas_xml *root, *dictionary;
    pm_field *fields;
    uint32_t n_fields, n_undo;
    size_t fields_cap, undo_cap, slots_cap;
    uint32_t *slots; /* hash of names: number + 1 */
    uint64_t seed;
    pm_undo *undo;  /* what fields were before the model that is open */
    maas_vid shape; /* of a column, for constants that must be one */
    maas_vid valid; /* BOOL [n, 1]: no field is invalid; MAAS_NO_VALUE: none can be */
} pm;

/* What a model answers. */
typedef struct pm_classes {
    const char **name;
    size_t n, cap;
} pm_classes;
typedef struct pm_result {
    bool classes;
    maas_vid value;    /* regression: [n, 1], NaN: no answer */
    maas_vid code;     /* classes: number of the label as F64 [n, 1], NaN: no answer */
    maas_vid p;        /* classes: [n, k] */
    pm_classes labels; /* in the order of p */
} pm_result;

/* ---- pmml.c ---- */
__attribute__((format(printf, 4, 5))) maas_status pm_fail(pm *p, maas_status st, const maas_xml *at,
                                                          const char *fmt, ...);
maas_status pm_unsupported(pm *p, const maas_xml *e); /* names the element */
maas_status pm_missing(pm *p, const maas_xml *e, const char *attr);
/* The attribute as a number; E_FORMAT when absent or none. */
maas_status pm_number(pm *p, const maas_xml *e, const char *attr, double *out);
maas_status pm_number_or(pm *p, const maas_xml *e, const char *attr, double otherwise, double *out);
/* The attribute among words[] (NULL at the end); absent: `otherwise`. Not one of them: unsupported.
 */
maas_status pm_word(pm *p, const maas_xml *e, const char *attr, const char *const *words,
                    int otherwise, int *out);
/* Numbers of text; NaN and infinities are words of PMML too. */
bool pm_parse(const char *text, double *out);
void *pm_alloc(pm *p, size_t n, size_t size); /* NULL and E_NOMEM said */
maas_status pm_no_memory(pm *p);

/* ---- fields.c ---- */
maas_status pm_fields_init(pm *p);
void pm_fields_reset(pm *p);
/* The number of a name; made when it is new. */
maas_status pm_field_intern(pm *p, const char *name, uint32_t *out);
/* A field in scope, by the attribute of e that names it. */
maas_status pm_field_find(pm *p, const maas_xml *e, const char *attr, pm_field **out);
maas_status pm_field_set(pm *p, const char *name, const pm_field *now); /* undone by pm_leave */
uint32_t pm_enter(pm *p);
void pm_leave(pm *p, uint32_t mark);
maas_status pm_class_of(pm *p, pm_classes *c, const char *name, uint32_t *out); /* made when new */

/* ---- graph.c: pieces ---- */
maas_vid pm_const(pm *p, double v);                            /* a scalar */
maas_vid pm_words(pm *p, const char *const *words, int64_t n); /* STRING [1, n]; n = 1: a scalar */
maas_vid pm_row(pm *p, const double *v, int64_t n);            /* [1, n] */
maas_vid pm_full(pm *p, maas_vid scalar);                      /* a column of it */
maas_vid pm_cast(pm *p, maas_vid v, maas_dtype t);
maas_vid pm_where(pm *p, maas_vid mask, maas_vid yes, maas_vid no);
maas_vid pm_is_missing(pm *p, const pm_field *f);       /* BOOL [n, 1] */
maas_vid pm_concat(pm *p, const maas_vid *v, size_t n); /* columns side by side */
maas_vid pm_columns(pm *p, maas_vid v, int64_t from, int64_t to);
maas_vid pm_row_sum(pm *p, maas_vid v); /* [n, k] to [n, 1] */
maas_vid pm_argmax(pm *p, maas_vid v);  /* as F64 [n, 1] */
maas_vid pm_not(pm *p, maas_vid mask);
maas_vid pm_or(pm *p, maas_vid a, maas_vid b); /* either may be MAAS_NO_VALUE */
#define PM_OP1(p, op, x)    maas_b_op1(&(p)->b, op, x)
#define PM_OP2(p, op, x, y) maas_b_op2(&(p)->b, op, x, y)

/* ---- schema.c ---- */
maas_status pm_inputs(pm *p, const maas_xml *model); /* of the outermost model */
maas_status pm_schema(pm *p, const maas_xml *model, bool outermost);
bool pm_schema_is_plain(const maas_xml *model);

/* ---- derive.c: TransformationDictionary, LocalTransformations, expressions ---- */
maas_status pm_derive_all(pm *p, const maas_xml *parent);
/* The value of the expression under e (its last child that is one). */
maas_status pm_expression(pm *p, const maas_xml *e, pm_field *out);

/* ---- predicate.c ---- */
bool pm_is_predicate(const maas_xml *e);
maas_xml *pm_predicate_of(const maas_xml *e); /* the child of e that is one; NULL */
/* The words of the Array of a set predicate. */
maas_status pm_set_of(pm *p, const maas_xml *e, pm_classes *out);
/* 1, 0, or NaN where it is not known, [n, 1]. */
maas_status pm_predicate_value(pm *p, const maas_xml *e, maas_vid *out);

/* ---- grove.c: trees of one forest, their columns and targets ---- */
typedef struct pm_column {
    maas_vid v;       /* [n, 1] */
    pm_classes words; /* of text: code i is word i */
    bool text;
} pm_column;
typedef struct pm_grove {
    maas_forest *forest;
    pm_column *column;
    size_t n_column, column_cap;
    int32_t n_target;
} pm_grove;
/* Where an edge of a tree that is being built will lead. */
typedef struct pm_edge {
    int32_t node; /* -1: the root of a new tree; -2: nowhere */
    bool yes;
} pm_edge;
#define PM_ROOT    ((pm_edge){-1, false})
#define PM_NO_EDGE ((pm_edge){-2, false})
maas_status pm_grove_init(pm *p, pm_grove *g);
void pm_grove_reset(pm_grove *g);
/* A test of the predicate at the edge: *yes and *no are where it leads; a predicate that is not
 * known goes to *unknown, which is PM_NO_EDGE where that cannot be. Not for True and False. */
maas_status pm_grove_test(pm *p, pm_grove *g, const maas_xml *predicate, pm_edge at, pm_edge *yes,
                          pm_edge *no, pm_edge *unknown);
/* The same predicate tested so that what is not known goes one of both ways. */
maas_status pm_grove_lean(pm *p, pm_grove *g, const maas_xml *predicate, pm_edge at,
                          bool unknown_yes, pm_edge *yes, pm_edge *no);
typedef struct pm_weight {
    int32_t target;
    double weight;
} pm_weight;
maas_status pm_grove_leaf(pm *p, pm_grove *g, pm_edge at, const pm_weight *w, size_t n);
maas_vid pm_grove_sums(pm *p, pm_grove *g); /* [n, n_target] */

/* ---- models ---- */
maas_status pm_tree_model(pm *p, const maas_xml *model, pm_result *out);
maas_status pm_regression_model(pm *p, const maas_xml *model, pm_result *out);
maas_status pm_scorecard(pm *p, const maas_xml *model, pm_result *out);
maas_status pm_model(pm *p, const maas_xml *model, pm_result *out); /* any, with models in it */
bool pm_is_classification(const maas_xml *model);
/* All of a MiningModel's trees in one forest; *done is false when they do not fit that. */
maas_status pm_forest_model(pm *p, const maas_xml *model, pm_result *out, bool *done);
/* Labels that the target field lists come first. */
maas_status pm_target_labels(pm *p, const maas_xml *model, pm_classes *out);

/* ---- finish.c: Targets and Output ---- */
maas_status pm_targets(pm *p, const maas_xml *model, pm_result *r);
maas_status pm_outputs(pm *p, const maas_xml *model, const pm_result *r); /* fields in scope */
maas_status pm_answer(pm *p, const maas_xml *model, const pm_result *r);  /* of the graph */

#endif
