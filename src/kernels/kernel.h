/*
 * kernels/kernel.h - one fast way to run an operator, and when it may be used.
 *
 * Kernels are rows, best first; the first that fits at plan time runs, else the operator's
 * reference code does: slow, never wrong. A kernel works on its share (ithr of nthr), so threading
 * is the runtime's business; only WHOLE kernels (oneDNN) bring their own parallel region.
 * The chosen name shows in dumps, traces and benches.
 */
#ifndef MAAS_KERNELS_KERNEL_H
#define MAAS_KERNELS_KERNEL_H

#include "graph/op.h"

typedef struct maas_cpu { /* what this machine (or MAAS_CPU) offers */
    bool avx2, fma, f16c;
    bool avx_vnni; /* vpdpbusd of 32 bytes, without AVX-512 */
    bool avx512;   /* F, BW, VL, DQ */
    bool avx512_vnni, avx512_bf16;
    bool amx_int8; /* and the system lets this process use it */
    bool neon;     /* every aarch64 has it */
    bool dotprod;  /* sdot */
    bool i8mm;     /* smmla */
    bool sve_512;  /* vectors of 64 bytes, which oneDNN uses */
    int n_cores;
    size_t l1_bytes, l2_bytes;
} maas_cpu;
const maas_cpu *maas_cpu_get(void); /* detected once; thread-safe */

enum {                         /* maas_kernel.flags */
       MAAS_KERNEL_WHOLE = 1,  /* runs on all threads by itself: ithr 0, nthr 1 */
       MAAS_KERNEL_SERIAL = 2, /* one thread only; tiny work                    */
       MAAS_KERNEL_BARRIER = 4 /* its threads meet: call maas_call_barrier()    */
};

typedef struct maas_kernel {
    const maas_op *op;
    const char *name; /* "MatMul.dnnl" */
    uint32_t flags;
    /* At plan time: shapes are concrete, data of constants is there, other data is NULL. */
    bool (*fits)(const maas_call *c, const maas_cpu *cpu);
    /* Optional: packs constant weights, makes primitives. Sets c->state, may set scratch_bytes. */
    maas_status (*prepare)(maas_call *c, const maas_cpu *cpu, maas_err *err);
    void (*release)(void *state);
    /* One thread's share. Fails only for what data says (an index out of range). No allocation. */
    maas_status (*run)(const maas_call *c, int ithr, int nthr, maas_err *err);
} maas_kernel;

extern const maas_kernel *const maas_kernel_tables[]; /* NULL-ended list of tables, best first */
/* Nothing of a table that is not usable may be called: its code may not run on this machine. */
bool maas_kernel_table_usable(size_t table, const maas_cpu *cpu);
const maas_kernel *maas_kernel_pick(const maas_call *c, const maas_cpu *cpu); /* NULL: reference */

/* How many channels the fast convolutions of this machine want side by side; 0: they do not care.
 */
int64_t maas_kernel_block(const maas_cpu *cpu);

/* Are there fast convolutions of bytes with channels last? */
bool maas_kernel_int8(const maas_cpu *cpu);

/* For MAAS_KERNEL_BARRIER kernels: returns when every thread of the running call got here. */
void maas_call_barrier(void);

/* The threads of one parallel region. A round ends when all have arrived; waiting spins, and yields
 * the core when it takes long, because cores may be shared. */
typedef struct maas_team {
    int n;
    _Alignas(64) _Atomic uint32_t arrived;
    _Alignas(64) _Atomic uint32_t round;
} maas_team;
void maas_team_wait(maas_team *t); /* t NULL or one thread: returns at once */
void maas_team_join(
    maas_team *t); /* what maas_call_barrier waits on in this thread; NULL: nothing */

/* The share of ithr among nthr of n items, in multiples of `grain` (the last one may be short). */
static inline void maas_share(int64_t n, int64_t grain, int ithr, int nthr, int64_t *from,
                              int64_t *to)
{
    int64_t chunks = (n + grain - 1) / grain;
    int64_t a = chunks * ithr / nthr * grain, b = chunks * (ithr + 1) / nthr * grain;
    *from = a < n ? a : n;
    *to = b < n ? b : n;
}

#endif
