#include "kernels/kernel.h"

#include <sched.h>
#include <stdatomic.h>

#include "base/ban.h"

#define SPINS_BEFORE_YIELD 1024 /* about 20 us: longer than the imbalance of a well cut step */

static _Thread_local maas_team *team_mine;

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void maas_team_join(maas_team *t)
{
    team_mine = t;
}

void maas_team_wait(maas_team *t)
{
    if (!t || t->n <= 1)
        return;
    uint32_t round = atomic_load_explicit(&t->round, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&t->arrived, 1, memory_order_acq_rel) + 1 == (uint32_t)t->n) {
        atomic_store_explicit(&t->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&t->round, round + 1, memory_order_release);
        return;
    }
    for (int spins = 0; atomic_load_explicit(&t->round, memory_order_acquire) == round; spins++)
        if (spins < SPINS_BEFORE_YIELD)
            relax();
        else
            sched_yield();
}

void maas_call_barrier(void)
{
    maas_team_wait(team_mine);
}
