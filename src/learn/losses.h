/*
 * learn/losses.h - what training makes small. Built into the graph over logits (cross entropies) or
 * values, as one scalar.
 *
 * Fails: sticky in the builder. Threads: any.
 */
#ifndef MAAS_LEARN_LOSSES_H
#define MAAS_LEARN_LOSSES_H

#include "learn/net.h"

typedef enum maas_loss_target {                    /* what a loss can be asked to predict */
                                MAAS_LOSS_VALUES,  /* y: [batch,t] F32                        */
                                MAAS_LOSS_CLASSES, /* y: [batch] I64 class numbers            */
                                MAAS_LOSS_CHANCES  /* y: [batch,t] F32 in [0,1]               */
} maas_loss_target;

typedef struct maas_loss {
    maas_variant doc;
    maas_loss_target target;
    int activation; /* that turns the network's last values into predictions; the loss wants them
                       without it. MAAS_ACTIVATION_NONE: predictions are compared as they are     */
    /* weight: of each class [k], or MAAS_NO_VALUE. */
    maas_vid (*build)(maas_builder *b, const maas_loss_spec *s, maas_vid z, maas_vid y,
                      maas_vid weight);
} maas_loss;

enum { /* rows that other code asks for by number */
       MAAS_LOSS_AUTO,
       MAAS_LOSS_CROSS_ENTROPY,
       MAAS_LOSS_BINARY,
       MAAS_LOSS_MSE,
       MAAS_N_LOSSES = 6
};
extern const maas_loss maas_losses[MAAS_N_LOSSES];

#endif
