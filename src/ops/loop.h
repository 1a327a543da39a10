/*
 * ops/loop.h - what Loop and Scan share: values carried from one round to the next, and values that
 * each round adds to. Only for the files of this room.
 */
#ifndef MAAS_OPS_LOOP_H
#define MAAS_OPS_LOOP_H

#include "ops/ops_int.h"

/* What a round returns is piled up: all pieces have one shape. */
typedef struct maas_pile {
    char *data;
    size_t n_bytes, cap;
    int64_t n;         /* pieces */
    maas_tensor piece; /* shape of one */
} maas_pile;

typedef struct maas_rounds {
    const maas_call *c;
    const maas_graph *body;
    int n_lead;     /* inputs of the body before the carried ones: 2 of Loop, 0 of Scan  */
    int n_lead_out; /* outputs before the carried ones: 1 of Loop, 0 of Scan             */
    int n_carried;
    int n_piles;
    maas_tensor *in;     /* of the body: lead, carried, the rest, then what it captures       */
    maas_tensor *out;    /* of the body                                                       */
    maas_pile *piles;    /* [n_piles] */
    maas_arena carry[2]; /* what is carried into this round, and out of it                 */
    int64_t round;
} maas_rounds;

/* n_in: inputs of the body. Reset in any case. */
maas_status maas_rounds_init(maas_rounds *r, const maas_call *c, int n_lead, int n_lead_out,
                             int n_carried, maas_err *err);
void maas_rounds_reset(maas_rounds *r);
/* A value becomes carried value k of the first round. */
maas_status maas_rounds_begin(maas_rounds *r, int k, const maas_tensor *t, maas_err *err);
/* Runs the body on r->in, carries and piles up what it returns. */
maas_status maas_rounds_run(maas_rounds *r, maas_err *err);
/* Shape of pile k without any piece: from what was inferred, 0 where nothing is known. */
void maas_rounds_piece(const maas_rounds *r, int k, maas_tensor *out);

/* Types of the carried values in `carried`, of the whole node in terms of the outer graph: made
 * weaker until a round leaves them as they are. in[]: types of all inputs of the body. */
maas_status maas_rounds_infer(maas_infer *q, maas_graph *body, maas_type *in, int n_in, int n_lead,
                              int n_lead_out, int n_carried, maas_err *err);

#endif
