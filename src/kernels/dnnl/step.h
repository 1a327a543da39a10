/*
 * kernels/dnnl/step.h - one oneDNN primitive with the arrays around it: what the primitive wants in
 * another order than it is given is moved through scratch.
 *
 *   maas_dnnl_step_open(&s, desc, attr, hint)   the primitive descriptor
 *   maas_dnnl_step_arg(&s, ...) for each array  in the order of the pointers given to run
 *   maas_dnnl_step_close(&s, &why)              the primitive; says whether all went well
 *
 * Errors are sticky: after the first one every call does nothing. API of oneDNN 2.
 *
 * Threads: a step is read-only once closed; run any. It uses the OpenMP threads that it was opened
 * with, see maas_dnnl_threads. Memory objects live for one run, because a step is shared.
 */
#ifndef MAAS_KERNELS_DNNL_STEP_H
#define MAAS_KERNELS_DNNL_STEP_H

#include <oneapi/dnnl/dnnl.h>

#include "kernels/kernel.h"

#define MAAS_DNNL_ARGS 5

typedef struct maas_dnnl_arg {
    int id;                         /* DNNL_ARG_SRC, ...                          */
    dnnl_memory_desc_t user, inner; /* as it lies, as the primitive wants it      */
    dnnl_primitive_t to, from;      /* between the two; NULL: they are the same   */
    size_t at;                      /* place in scratch                           */
} maas_dnnl_arg;

typedef struct maas_dnnl_step {
    bool failed;
    dnnl_primitive_desc_t pd; /* NULL once closed */
    dnnl_primitive_t primitive;
    dnnl_memory_desc_t scratchpad;
    maas_dnnl_arg arg[MAAS_DNNL_ARGS];
    int n;
    size_t scratch_bytes; /* of the primitive and of what is moved */
} maas_dnnl_step;

/* Of this thread: what primitives are made for and run with. */
void maas_dnnl_threads(int n);
/* [N][C][d..] in blocks of `block` channels, 0: not. False: no such order. */
bool maas_dnnl_md(dnnl_memory_desc_t *md, int rank, const int64_t *dims, int64_t block);
bool maas_dnnl_md_of(dnnl_memory_desc_t *md, dnnl_data_type_t t, int rank, const int64_t *dims,
                     int64_t block);
bool maas_dnnl_md_any(dnnl_memory_desc_t *md, const dnnl_memory_desc_t *like);
bool maas_dnnl_small(const maas_tensor *t); /* f32, not empty, sizes that fit its counters */
/* Is the code made for this primitive, and not the one that takes everything? */
bool maas_dnnl_is_fast(const_dnnl_primitive_desc_t pd);

void maas_dnnl_step_open(maas_dnnl_step *s, const_dnnl_op_desc_t desc,
                         const_dnnl_primitive_attr_t a, const_dnnl_primitive_desc_t hint);
/* What DST and the DIFF_ of inputs name is written; `add`: to what is there. */
void maas_dnnl_step_arg(maas_dnnl_step *s, int id, const dnnl_memory_desc_t *user, bool add);
/* Inputs of argument `i` come in the order of the primitive already. */
void maas_dnnl_step_packed(maas_dnnl_step *s, int i);
bool maas_dnnl_step_close(maas_dnnl_step *s);
void maas_dnnl_step_reset(maas_dnnl_step *s);
maas_status maas_dnnl_step_run(const maas_dnnl_step *s, void *const *data, void *scratch,
                               maas_err *err);
/* One array in another order, now. */
bool maas_dnnl_move(const dnnl_memory_desc_t *from, const void *src, const dnnl_memory_desc_t *to,
                    void *dst);

#endif
