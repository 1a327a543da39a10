/*
 * The parallel region. One region runs a whole segment of steps; inside it a spinning barrier
 * separates steps, which costs a fraction of what opening a region costs. Steps too small to share
 * run on the leader alone, with no barrier between two of them. With one thread nothing of OpenMP
 * is touched: I/O threads run plans inline.
 */
#include "runtime/plan_int.h"

#include "base/subnormal.h"
#include "base/sys.h"
#ifdef MAAS_OPENMP
#include <omp.h>
#endif
#include "base/ban.h"

static void report(maas_exec *e, uint32_t step, maas_status st, const maas_err *why)
{
    int none = MAAS_OK;
    if (!atomic_compare_exchange_strong(&e->failed, &none, st))
        return; /* another thread, or step, was first */
    const maas_node *n = e->p->steps[step].node;
    e->why = *why;
    if (!why->msg[0])
        e->why = (maas_err){0}, maas_fail(&e->why, st, "failed");
    maas_err_prefix(&e->why, "%s '%s'", n->op->name, n->name);
}

static void run_step(maas_exec *e, uint32_t i, int ithr, int nthr, maas_err *err)
{
    const maas_step *s = &e->p->steps[i];
    if (atomic_load_explicit(&e->failed, memory_order_relaxed) != MAAS_OK)
        return; /* barriers are still met: only the work is left out */
    maas_status st;
    if (s->late) {
        st = maas_late_run(e, i, err);
    } else if (!s->kernel) {
        st = s->node->op->reference(&e->calls[i], err);
    } else if (nthr > 1 && (s->kernel->flags & MAAS_KERNEL_BARRIER)) {
        maas_team_join(&e->team);
        st = s->kernel->run(&e->calls[i], ithr, nthr, err);
        maas_team_join(NULL);
    } else {
        st = s->kernel->run(&e->calls[i], ithr, nthr, err);
    }
    if (st != MAAS_OK)
        report(e, i, st, err);
}

/* Whether this plan trains: it changes variables. */
static bool flushes(const maas_exec *e)
{
    return e->p->g->n_bindings > 0 && !e->p->reference;
}

static void run_alone(maas_exec *e, uint32_t from, uint32_t to, uint64_t *clock)
{
    maas_err err = {0};
    if (from == 0 && e->feed)
        e->feed(e->feed_user, 0, 1);
    for (uint32_t i = from; i < to; i++) {
        run_step(e, i, 0, 1, &err);
        if (e->profile) {
            uint64_t now = maas_now_ns();
            e->ns[i] = now - *clock;
            *clock = now;
        }
    }
}

#ifdef MAAS_OPENMP
static void run_member(maas_exec *e, uint32_t from, uint32_t to, int ithr, int nthr,
                       uint64_t *clock)
{
    maas_err err = {0};
    if (from == 0 && e->feed) {
        e->feed(e->feed_user, ithr, nthr);
        maas_team_wait(&e->team);
    }
    for (uint32_t i = from; i < to; i++) {
        const maas_step *s = &e->p->steps[i];
        if (s->shared)
            run_step(e, i, ithr, nthr, &err);
        else if (ithr == 0)
            run_step(e, i, 0, 1, &err);
        if (i + 1 < to && (s->shared || s[1].shared))
            maas_team_wait(&e->team);
        if (e->profile && ithr == 0) {
            uint64_t now = maas_now_ns();
            e->ns[i] = now - *clock;
            *clock = now;
        }
    }
}

static void run_team(maas_exec *e, uint32_t from, uint32_t to, uint64_t *clock)
{
    const int asked = e->p->n_threads;
    e->team.n = asked;
#pragma omp parallel num_threads(asked)
    {
        int ithr = omp_get_thread_num(), nthr = omp_get_num_threads();
        if (nthr != asked) { /* a thread limit; every member sees the same numbers */
#pragma omp barrier
            if (ithr == 0)
                e->team.n = nthr;
#pragma omp barrier
        }
        if (ithr > 0 && flushes(e)) { /* the leader's mode is set for the whole run */
            const maas_subnormal before = maas_subnormal_flush();
            run_member(e, from, to, ithr, nthr, clock);
            maas_subnormal_restore(before);
        } else {
            run_member(e, from, to, ithr, nthr, clock);
        }
    }
}
#else
static void run_team(maas_exec *e, uint32_t from, uint32_t to, uint64_t *clock)
{
    run_alone(e, from, to, clock);
}
#endif

maas_status maas_region_run(maas_exec *e, maas_err *err)
{
    const maas_plan *p = e->p;
    uint64_t clock = e->profile ? maas_now_ns() : 0;
    atomic_store_explicit(&e->failed, MAAS_OK, memory_order_relaxed);
    const bool flush = flushes(e);
    const maas_subnormal before = flush ? maas_subnormal_flush() : 0;
    if (p->n_steps == 0 && e->feed)
        e->feed(e->feed_user, 0, 1);
    for (uint32_t i = 0; i < p->n_steps; i = p->steps[i].segment_end)
        (p->steps[i].team ? run_team : run_alone)(e, i, p->steps[i].segment_end, &clock);
    if (flush)
        maas_subnormal_restore(before);
    maas_status st = atomic_load(&e->failed);
    return st == MAAS_OK ? st : maas_fail(err, st, "%s", e->why.msg);
}
