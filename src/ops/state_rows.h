/*
 * ops/state_rows.h - rows of many sequences, each over a state of its own that is kept in a slot:
 * what StateConv and SelectiveScan share.
 *
 *   state [slots][..]  its new content is output 1
 *   at    [rows]       position in the sequence: at 0 it begins, whatever the slot holds
 *   slot  [rows]       where the state of the row's sequence lies; -1: the row is padding
 *
 * Rows of one sequence come in the order of their positions, and each finds what the one before it
 * left: in one call or in several, the same bytes.
 */
#ifndef MAAS_OPS_STATE_ROWS_H
#define MAAS_OPS_STATE_ROWS_H

#include "graph/op.h"

/* E_INVALID: a slot that is not there. */
maas_status maas_state_rows_check(const int32_t *slot, int64_t rows, int64_t slots, maas_err *err);

/* ---- StateConv ---- */
enum {
    MAAS_SCONV_X,     /* [rows][channels]                                     */
    MAAS_SCONV_STATE, /* [slots][taps - 1][channels] the last inputs, the oldest first */
    MAAS_SCONV_W,     /* [taps][channels] the last tap is the row's own        */
    MAAS_SCONV_AT,
    MAAS_SCONV_SLOT,
    MAAS_SCONV_BIAS, /* [channels] optional */
    MAAS_SCONV_N_IN = MAAS_SCONV_BIAS
};
enum { MAAS_SCONV_MAX_TAPS = 16 };
const float *maas_sconv_bias(const maas_call *c); /* NULL: none */

/* ---- SelectiveScan ---- */
enum {
    MAAS_SCAN_X,     /* [rows][heads * width]                                       */
    MAAS_SCAN_STATE, /* [slots][heads][states][width]                               */
    MAAS_SCAN_DT,    /* [rows][heads], or [rows][heads * width]: the step, positive */
    MAAS_SCAN_A,     /* [heads]; with a step for each channel [heads][states][width] */
    MAAS_SCAN_B,     /* [rows][groups * states]                                     */
    MAAS_SCAN_C,     /* [rows][groups * states]                                     */
    MAAS_SCAN_D,     /* as wide as a row of DT                                      */
    MAAS_SCAN_AT,
    MAAS_SCAN_SLOT,
    MAAS_SCAN_N_IN
};

typedef struct maas_scan {
    int64_t rows, slots, heads, width, states, groups;
    bool each; /* a step, a decay and a D for each channel, not for a head */
} maas_scan;
/* dims: of all inputs, all known. */
maas_status maas_scan_of(const maas_call *c, maas_scan *out, maas_err *err);

#endif
