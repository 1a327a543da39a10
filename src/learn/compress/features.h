/*
 * learn/compress/features.h - hidden values of a teacher over all rows, for step distil. Only for
 * the files of this folder.
 *
 * Owns: the values and copies of names (maas_lesson_features_reset). Threads: one at a time.
 * Fails: E_INVALID naming the feature.
 */
#ifndef MAAS_LEARN_COMPRESS_FEATURES_H
#define MAAS_LEARN_COMPRESS_FEATURES_H

#include "learn/apply.h"
#include "learn/hints.h"
#include "learn/compress/step.h"

typedef struct maas_lesson_features {
    maas_graph *teacher; /* with them as outputs; NULL: there are none */
    maas_applied applied;
    maas_hint *hints;
    size_t n;
} maas_lesson_features;

/* "features" of the step: a list of names, or of {"teacher","student"}. */
maas_status maas_features_list_check(const json_t *features, maas_err *err);
maas_status maas_lesson_features_see(const maas_step_call *c, const maas_graph *teacher,
                                     maas_lesson_features *out, maas_err *err);
void maas_lesson_features_reset(maas_lesson_features *f);

#endif
