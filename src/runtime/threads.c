#include "runtime/threads.h"

#ifdef MAAS_OPENMP
#include <omp.h>
#endif
#include "base/ban.h"

void maas_threads_limit(int n)
{
#ifdef MAAS_OPENMP
    omp_set_num_threads(n > 0 ? n : 1);
#else
    (void)n;
#endif
}

void maas_threads_loop(int n_threads, int64_t n, maas_loop_fn *fn, void *arg)
{
    if (n_threads <= 1 || n <= 1) {
        for (int64_t i = 0; i < n; i++)
            fn(arg, i, 0);
        return;
    }
#ifdef MAAS_OPENMP
#pragma omp parallel for num_threads(n_threads) schedule(dynamic, 1)
    for (int64_t i = 0; i < n; i++)
        fn(arg, i, omp_get_thread_num());
#else
    for (int64_t i = 0; i < n; i++)
        fn(arg, i, 0);
#endif
}
