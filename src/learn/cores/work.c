/* learn/cores/work.c - cancelling, progress, memory and shares of the numerical cores. */
#include "learn/cores/work.h"

#include "base/sys.h"

#include "base/ban.h"

#define PROGRESS_NS 100000000ull

maas_status maas_work_go_on(maas_work *w, double fraction, const char *note, maas_err *err)
{
    const maas_train_hooks *h = w->hooks;
    if (!h)
        return MAAS_OK;
    if (h->cancelled && h->cancelled(h->user))
        return maas_fail(err, MAAS_E_CANCELLED, "cancelled: %s", note);
    const uint64_t now = maas_now_ns();
    if (!h->progress || now - w->told_ns < PROGRESS_NS)
        return MAAS_OK;
    w->told_ns = now;
    h->progress(h->user, fraction < 1 ? fraction : 1, NULL, note);
    return MAAS_OK;
}

void *maas_work_array(maas_work *w, int64_t n, int64_t m, size_t size, const char *what,
                      maas_err *err)
{
    size_t items;
    void *p = NULL;
    if (n >= 0 && m >= 0 && !__builtin_mul_overflow((size_t)n, (size_t)m, &items))
        p = maas_arena_array(w->arena, items ? items : 1, size);
    if (!p)
        maas_fail(err, MAAS_E_NOMEM, "%s: %lld x %lld numbers are past the job's memory", what,
                  (long long)n, (long long)m);
    return p;
}

void maas_work_share(const maas_work *w, int64_t n, int64_t grain, maas_share_fn fn, void *user)
{
    const int64_t pieces = (n + grain - 1) / grain;
#ifdef MAAS_OPENMP
    if (w->n_threads > 1 && pieces > 1) {
#pragma omp parallel for schedule(dynamic) num_threads(w->n_threads)
        for (int64_t i = 0; i < pieces; i++)
            fn(user, i * grain, (i + 1) * grain < n ? (i + 1) * grain : n);
        return;
    }
#endif
    for (int64_t i = 0; i < pieces; i++)
        fn(user, i * grain, (i + 1) * grain < n ? (i + 1) * grain : n);
}
