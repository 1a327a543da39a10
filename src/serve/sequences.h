/*
 * serve/sequences.h - what a model remembers between the requests of one client (sequence_id of
 * OIP): the outputs of a request that are inputs of the next.
 *
 * One request has a sequence at a time; those that come meanwhile have it after, in the order they
 * came. A sequence stays with the version of the model it began with.
 *
 * Owns: the states, charged to the budget. Borrows: the waits of requests. Threads: any; the lock
 * is a leaf. Fails: E_INVALID for a sequence nobody began, E_BUSY when there are too many, E_NOMEM.
 */
#ifndef MAAS_SERVE_SEQUENCES_H
#define MAAS_SERVE_SEQUENCES_H

#include "base/arena.h"
#include "base/span.h"
#include "tensor/tensor.h"

typedef struct maas_sequences maas_sequences;
typedef struct maas_sequence maas_sequence;

typedef struct maas_sequences_opts {
    uint64_t idle_ns;    /* forgotten after that long without a request */
    uint32_t max;        /* sequences at a time */
    maas_budget *budget; /* of the states; may be NULL */
} maas_sequences_opts;

maas_status maas_sequences_create(const maas_sequences_opts *o, maas_sequences **out,
                                  maas_err *err);
void maas_sequences_destroy(maas_sequences *s); /* nobody has one any more; NULL is fine */
void maas_sequences_sweep(maas_sequences *s);   /* forgets those that are idle */
uint32_t maas_sequences_n(maas_sequences *s);

typedef struct maas_sequence_name {
    uint32_t tenant;
    const char *model;
    maas_str id;
} maas_sequence_name;

/* The place of a request in line; zeroed but for go and user, lives until go was called. */
typedef struct maas_sequence_wait {
    struct maas_sequence_wait *next;
    maas_sequence *sequence; /* the caller's once go is called, on the thread that gave it back */
    void (*go)(struct maas_sequence_wait *w);
    void *user;
} maas_sequence_wait;

/*
 * Has the sequence of that name, or makes one. When another request has it: with a wait, that one
 * is called later, and *out is NULL; without, *out is NULL and nothing happens.
 */
maas_status maas_sequence_enter(maas_sequences *s, const maas_sequence_name *name,
                                maas_sequence_wait *wait, maas_sequence **out, maas_err *err);
/* What follows is for who has it. `start`: forgets what there was; else it must have begun. */
maas_status maas_sequence_begin(maas_sequence *q, bool start, maas_err *err);
int64_t maas_sequence_version(const maas_sequence *q); /* of the model; 0: not known yet */
void maas_sequence_set_version(maas_sequence *q, int64_t version);
/* State i, borrowed until leave; NULL: none yet. */
const maas_tensor *maas_sequence_state(const maas_sequence *q, uint32_t i);
/* Copies what the next request finds; it counts only if leave keeps it. */
maas_status maas_sequence_stage(maas_sequence *q, uint32_t i, uint32_t n_states,
                                const maas_tensor *t, maas_err *err);
typedef enum maas_sequence_end {
    MAAS_SEQUENCE_KEEP,   /* what was staged is the state */
    MAAS_SEQUENCE_FAILED, /* the request failed: the state is as it was, or was never there */
    MAAS_SEQUENCE_OVER    /* sequence_end */
} maas_sequence_end;
void maas_sequence_leave(maas_sequences *s, maas_sequence *q, maas_sequence_end how);

#endif
