/*
 * learn/hints.h - hidden layers of a teacher, as what those of a network are trained towards beside
 * its answers (hints: Romero et al. 2015, arXiv 1412.6550).
 *
 *   loss += weight * sum over hints of mean((P h - t)^2) / mean(t^2)
 *
 * h: the network's hidden values, t: the teacher's, both averaged over places (of pictures) or
 * steps (of sequences); P: a matrix that is trained along and thrown away, where they differ in
 * width.
 *
 * A hidden value is named by itself, by the node that makes it, or by the weight (or its layer,
 * "layers.2") that it is a product with: the only name that a network has both while it is trained
 * and when it is served.
 *
 * Owns: nothing. Threads: read-only. Fails: E_INVALID naming what a graph does not have.
 */
#ifndef MAAS_LEARN_HINTS_H
#define MAAS_LEARN_HINTS_H

#include "learn/net.h"
#include "learn/train.h"

typedef struct maas_hint {
    const char *name;    /* in the network that is trained */
    const float *values; /* [rows][width], divided by the root of their mean square */
    int64_t width;
    float scale; /* that root */
} maas_hint;

/* MAAS_NO_VALUE: there is none of that name. */
maas_vid maas_hint_find(const maas_graph *g, const char *name);
/* [rows, width] of it, in the same graph. */
maas_vid maas_hint_pooled(maas_builder *b, maas_vid v);
/* The values of each hint become inputs of the graph, one after the other; the loss with them. */
maas_vid maas_hints_loss(const maas_teaching *t, maas_net *net, maas_vid loss);
void maas_hint_gather(const maas_hint *h, const uint32_t *rows, int64_t n, float *out);

#endif
