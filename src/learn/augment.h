/*
 * learn/augment.h - pictures of a batch, changed a little each time they are learned from.
 *
 * A picture is shifted (`crop`: as if cut out of one with an edge of zeros around it), mirrored,
 * given another contrast and brightness, and loses a square (`cutout`, DeVries and Taylor 2017); in
 * this order a value v becomes brightness (contrast v + (1 - contrast) mean), where mean is the
 * picture's; bytes stay in 0..255. What is outside or cut out is 0.
 *
 * Draws depend on the seed of the step and the row's place in the batch, on nothing else: any
 * number of threads gives the same pictures.
 *
 * Owns: nothing. Threads: any, on rows of their own. Fails: E_INVALID names the parameter.
 */
#ifndef MAAS_LEARN_AUGMENT_H
#define MAAS_LEARN_AUGMENT_H

#include "learn/features.h"
#include "learn/recipe.h"

enum { MAAS_N_AUGMENT_ROWS = 6 };
extern const maas_param maas_augment_rows[MAAS_N_AUGMENT_ROWS];

typedef struct maas_augment { /* column NULL: pictures stay as they are */
    const maas_augment_spec *spec;
    const maas_ds_column *column;
    int64_t planes, height, width, each; /* each: values of a place, one beside the other */
    maas_dtype from, to;                 /* of the column, of a batch: U8 or F32 */
} maas_augment;

/* spec->on false: column NULL. */
maas_status maas_augment_init(maas_augment *a, const maas_augment_spec *spec,
                              const maas_features *fs, maas_err *err);
/* Pictures [from, to) of a batch into its first input. */
void maas_augment_gather(const maas_augment *a, uint64_t seed, const maas_samples *s, int64_t from,
                         int64_t to, void *out);

#endif
