/*
 * learn/target.h - the column to predict: classes, or numbers.
 *
 *   text, whole numbers      classes in sorted order (unless the loss wants numbers)
 *   float, tensor            numbers: `t` a row, scaled to mean 0 and deviation 1 while training
 *
 * Owns: its arrays (maas_target_reset). Borrows: the data set or the parent's metadata.
 * Threads: read-only once fitted. Fails: E_INVALID naming column and row; E_CONFLICT for a class
 * that the parent version of an update does not know.
 */
#ifndef MAAS_LEARN_TARGET_H
#define MAAS_LEARN_TARGET_H

#include "learn/distinct.h"
#include "learn/features.h"
#include "learn/losses.h"

typedef struct maas_target { /* the tag is named in features.h */
    const maas_ds_column *col;
    bool is_class, is_text;
    int loss; /* after "auto" */
    int64_t n_classes;
    maas_key *classes;    /* sorted; text borrowed */
    int32_t *codes;       /* [rows] class numbers  */
    int64_t width;        /* t: numbers in a row   */
    float *values;        /* [rows][t], scaled     */
    float *shift, *scale; /* [t]: value = z * scale + shift */
    bool scaled;
    float *weights; /* [n_classes] of class_weight, or NULL */
    int64_t n_rows;
    json_t *parent; /* owner of inherited text */
    maas_budget *budget;
    size_t charged;
} maas_target;

maas_status maas_target_fit(maas_target *t, const maas_dataset *data, const char *name,
                            const maas_recipe *r, const maas_rows *train, const maas_graph *parent,
                            maas_budget *budget, maas_err *err);
void maas_target_reset(maas_target *t);
/* Outputs that the network must have. */
int64_t maas_target_n_outputs(const maas_target *t, int64_t n_have);
/* The target as an input of the graph, in the form its loss wants. */
maas_vid maas_target_input(const maas_target *t, maas_net *net);
/* Rows [0, n) of `s`; a made-up pair is class 0. */
void maas_target_gather(const maas_target *t, const maas_samples *s, int64_t n, void *out);
static inline int32_t maas_target_code(const maas_target *t, const maas_samples *s, int64_t i)
{
    return s->candidates && s->candidates[i] != s->rows[i] ? 0 : t->codes[s->rows[i]];
}
/* From the last values of the network (logits or numbers) to the named outputs of the model. */
void maas_target_outputs(const maas_target *t, maas_net *net, maas_vid z);
/* All labels as a constant [n_classes]. */
maas_vid maas_target_labels(const maas_target *t, maas_builder *b);
/* The labels as texts, in the order of the classes; empty for numbers. NULL: no memory or not
 * UTF-8. */
json_t *maas_target_texts(const maas_target *t);
/* "maas.target": {"name","dtype","shape","labels"}; NULL: no memory or not UTF-8. */
json_t *maas_target_json(const maas_target *t);

#endif
