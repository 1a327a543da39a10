/*
 * ops/dictionary.h - the lists of keys and values that LabelEncoder, CategoryMapper and
 * OneHotEncoder (ai.onnx.ml) carry in their attributes, and a hashed index over keys for kernels.
 *
 * Owns: an index owns its table alone; keys, and what they point to, are borrowed. Threads: a
 * finished index is read-only. Fails: E_NOMEM; E_INVALID for lists that do not fit together.
 */
#ifndef MAAS_OPS_DICTIONARY_H
#define MAAS_OPS_DICTIONARY_H

#include "graph/op.h"

typedef struct maas_dictionary {
    maas_tensor keys, values; /* [n] each; values.data NULL: the answer is the place of the key */
    maas_tensor otherwise;    /* one value; data NULL: what is not a key is an error */
    bool last;                /* of equal keys the last one counts, else the first */
} maas_dictionary;

/* The dictionary of a node for inputs of this dtype. Views into its attributes. */
maas_status maas_dictionary_of(const maas_node *n, maas_dtype x, maas_dictionary *out,
                               maas_err *err);

/* Whether key k is element i of x. Floats are equal to themselves even when NaN. */
bool maas_key_is(const maas_tensor *keys, int64_t k, const maas_tensor *x, int64_t i);
/* The place of element i of x among the keys, by looking at all; -1 when it is none. */
int64_t maas_dictionary_search(const maas_dictionary *d, const maas_tensor *x, int64_t i);

typedef struct maas_key_index {
    maas_dictionary d;
    uint64_t seed, mask;
    uint32_t slots[]; /* place + 1; 0: free */
} maas_key_index;
maas_status maas_key_index_create(const maas_dictionary *d, maas_key_index **out, maas_err *err);
int64_t maas_key_index_find(const maas_key_index *t, const maas_tensor *x, int64_t i);

#endif
