/*
 * learn/teach.h - a teacher's answers, as what a network is trained towards beside the truth
 * (distillation: Hinton, Vinyals and Dean 2015).
 *
 *   loss = (1 - weight) * loss(z, y) + weight * T^2 * loss(z / T, answers at temperature T)
 *
 * Classes: chances of the teacher, raised to 1/T and made to sum to one again; the loss is their
 * cross entropy. Numbers: the teacher's values in the place of the target, T is 1.
 *
 * Owns: the rows (maas_soft_reset), charged to the budget. Threads: read-only once made.
 * Fails: E_INVALID when the teacher answers something else than the target is; E_NOMEM.
 */
#ifndef MAAS_LEARN_TEACH_H
#define MAAS_LEARN_TEACH_H

#include "learn/target.h"
#include "learn/train.h"

typedef struct maas_soft {
    float *rows; /* [n_rows][width]; NULL: nobody teaches */
    int64_t n_rows, width;
    double temperature, weight;
    maas_budget *budget;
    size_t charged;
} maas_soft;

/* t: what the network predicts; its classes are found among the teacher's by their labels. */
maas_status maas_soft_init(maas_soft *s, const maas_teaching *from, const maas_target *t,
                           maas_budget *budget, maas_err *err);
void maas_soft_reset(maas_soft *s);
/* The answers as an input of the graph, and the loss with them. */
maas_vid maas_soft_input(const maas_soft *s, maas_net *net);
maas_vid maas_soft_loss(const maas_soft *s, const maas_target *t, maas_net *net, maas_vid z,
                        maas_vid answers, maas_vid loss);
void maas_soft_gather(const maas_soft *s, const uint32_t *rows, int64_t n, float *out);

#endif
