/* tests/unit/learn/numbers.h - a work on the heap, and random matrices, for the numerical cores. */
#ifndef NUMBERS_H
#define NUMBERS_H

#include "../../maas_test.h"

#include "base/sys.h"
#include "learn/cores/work.h"

typedef struct desk {
    maas_arena arena;
    maas_work work;
    maas_rng rng;
    maas_err err;
} desk;

static inline void desk_open(desk *d, uint64_t seed)
{
    *d = (desk){0};
    maas_arena_init(&d->arena, NULL);
    d->work = (maas_work){.arena = &d->arena, .n_threads = 2};
    maas_rng_seed(&d->rng, seed);
}

static inline double *desk_random(desk *d, int64_t n, int64_t m)
{
    double *x = maas_arena_array(&d->arena, (size_t)(n * m), sizeof *x);
    for (int64_t i = 0; i < n * m; i++)
        x[i] = maas_rng_normal(&d->rng);
    return x;
}

static inline double *desk_zeros(desk *d, int64_t n)
{
    return maas_arena_array(&d->arena, (size_t)n, sizeof(double));
}

#define DESK_OK(d, st)                                                                             \
    do {                                                                                           \
        maas_status st_ = (st);                                                                    \
        EXPECT_MSG(st_ == MAAS_OK, "%s", (d).err.msg);                                             \
        if (st_ != MAAS_OK)                                                                        \
            exit(1);                                                                               \
    } while (0)

#endif
