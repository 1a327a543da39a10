/*
 * learn/checkpoint.h - the state of a training run as one string of bytes.
 *
 *   "MAASCKPT"  version u32  kind u32   fingerprint[32]
 *   epoch u64   step u64     rng u64[4]  best f64  best_epoch u64  bad_epochs u64
 *   history     u32 bytes    JSON array of the epochs' metrics
 *   n_sets u32  then for each set: n u32, then n of { name u16 bytes, rank u8, dims u64[], f32[] }
 *   sha256[32]  of everything before it
 *
 * All little-endian. Set 0 holds the variables (weights and optimizer state), set 1 the best
 * weights so far when early stopping watches. The same format keeps optimizer state for an update
 * (kind STATE: one set, no history). The fingerprint is that of recipe, data shape and graph: a
 * checkpoint of another run is refused.
 *
 * Hostile bytes are normal: nothing is allocated from a declared size, every tensor is checked
 * against a variable that exists. Fails: E_FORMAT naming the field, E_CONFLICT for another run.
 */
#ifndef MAAS_LEARN_CHECKPOINT_H
#define MAAS_LEARN_CHECKPOINT_H

#include "base/json.h"
#include "base/sys.h"
#include "runtime/plan.h"

#define MAAS_MAX_HISTORY    (64u << 20) /* bytes of JSON */
#define MAAS_MAX_CHECKPOINT (1ull << 40)

typedef enum maas_checkpoint_kind {
    MAAS_CHECKPOINT_RUN = 1,
    MAAS_CHECKPOINT_STATE = 2
} maas_checkpoint_kind;

/* Which of the variables a set holds; `at` is number i of maas_vars_at. */
typedef struct maas_saved_set {
    maas_vars *vars;
    bool (*takes)(const char *name); /* NULL: all */
    float **copies; /* where the data is, by number of variable; NULL: the variables */
} maas_saved_set;

typedef struct maas_checkpoint {
    maas_checkpoint_kind kind;
    uint8_t fingerprint[MAAS_SHA256_BYTES];
    uint64_t epoch, step, best_epoch, bad_epochs;
    double best;
    maas_rng rng;
    json_t *history; /* array; read: a new reference */
    maas_saved_set sets[2];
    uint32_t n_sets;
} maas_checkpoint;

/* Appends to `out`. */
maas_status maas_checkpoint_write(const maas_checkpoint *c, maas_buf *out, maas_err *err);
/* c->kind, fingerprint and sets say what is expected; the rest is filled in. Nothing of the sets is
 * written unless everything is right. */
maas_status maas_checkpoint_read(maas_span bytes, maas_checkpoint *c, maas_err *err);

#endif
