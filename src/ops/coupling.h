/*
 * ops/coupling.h - probabilities of n classes from those of their pairs (Wu, Lin and Weng 2004, the
 * second method), with libsvm's steps: it stops early, so the answer depends on them.
 */
#ifndef MAAS_OPS_COUPLING_H
#define MAAS_OPS_COUPLING_H

#include <stdint.h>

/* r[i * n + j]: probability of i when it is i or j, never 0 or 1. q [n][n] and qp [n] are room. */
void maas_couple(int64_t n, const double *r, double *q, double *qp, double *p);

#endif
