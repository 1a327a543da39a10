/*
 * kernels/dnnl/conv_pack.h - constant weights in the order a primitive wants them, with the scale
 * of each output channel multiplied in.
 *
 * Packs are shared: every plan of a model that has the same weights, scales and order gets the same
 * one; batch sizes mostly agree on the order.
 *
 * Owns: its memory, charged to no budget. Threads: acquire and release any (one lock, a leaf); a
 * pack is read-only. Fails: E_NOMEM, E_INTERNAL when oneDNN refuses.
 */
#ifndef MAAS_KERNELS_DNNL_CONV_PACK_H
#define MAAS_KERNELS_DNNL_CONV_PACK_H

#include "kernels/dnnl/step.h"

typedef struct maas_conv_pack {
    void *data;
} maas_conv_pack;

/* `w` must outlive the pack; `s`, of one number for each w->dims[0], may be NULL and is copied. */
maas_status maas_conv_pack_acquire(const maas_tensor *w, const maas_tensor *s,
                                   const dnnl_memory_desc_t *user, const dnnl_memory_desc_t *inner,
                                   const maas_conv_pack **out, maas_err *err);
void maas_conv_pack_release(const maas_conv_pack *p); /* NULL is fine */

#endif
