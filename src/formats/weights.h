/*
 * formats/weights.h - trained values that come without a graph: safetensors, state dicts of
 * PyTorch. They take the place of initializers of the same name in an ONNX graph.
 *
 *   name equal, shape equal; f16, bf16, f32 and f64 become one another (f64 to f16 through f32, as
 *   PyTorch does), other types must be equal
 *
 * Nothing may be left over: an initializer of floating point with more than one element that has
 * no weight, or a weight that no initializer takes, is a mistake by the file's maker or the user's
 * and is refused with names. Whole numbers that nobody takes are counters of layers
 * (num_batches_tracked) and are left out.
 *
 * Owns: the index and converted values. Borrows: the file, which must outlive the graph. Threads:
 * one at a time. Fails: E_FORMAT, E_UNSUPPORTED, E_NOMEM; the tensor is named.
 */
#ifndef MAAS_FORMATS_WEIGHTS_H
#define MAAS_FORMATS_WEIGHTS_H

#include "base/arena.h"
#include "base/span.h"
#include "tensor/tensor.h"

typedef struct maas_weight {
    const char *name;
    const char *type; /* as the file calls it */
    maas_dtype dtype; /* MAAS_DT_NONE: none of ours */
    int rank;
    int64_t dims[MAAS_MAX_RANK];
    int64_t strides[MAAS_MAX_RANK]; /* elements; all of them are within the file */
    const uint8_t *data;            /* of the first element; any alignment */
    bool used;
} maas_weight;

typedef struct maas_weights {
    maas_weight *list; /* [n] by name */
    uint32_t n;
    maas_arena arena;
    /* initializers that got nothing */
    const char *without[3];
    uint32_t n_without;
} maas_weights;

/* Which of the two it is, the content says. */
maas_status maas_weights_open(maas_span file, maas_budget *budget, maas_weights *out,
                              maas_err *err);
/* For maas_onnx_opts.weight; user: maas_weights. */
maas_status maas_weights_give(void *user, const char *name, maas_tensor *t, maas_err *err);
/* After the graph was read: is anything left over? */
maas_status maas_weights_done(const maas_weights *w, maas_err *err);
void maas_weights_reset(maas_weights *w);

/* formats/torch.c: the archive that torch.save writes. *list and names are in `a`. */
maas_status maas_torch_open(maas_span file, maas_arena *a, maas_weight **list, uint32_t *n,
                            maas_err *err);

#endif
