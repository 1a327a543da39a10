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
