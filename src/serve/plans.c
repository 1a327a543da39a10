#include "serve/plans.h"

#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

#define MAX_PLANS 48 /* per instance: 13 buckets x a few row shapes x thread counts */

struct maas_plan_entry {
    maas_plan_entry *next;
    maas_plan *plan;
    int n_threads;
    uint32_t refs; /* the list, and each lease */
    bool listed;
    maas_lease *idle;
    uint32_t n_execs;
    maas_type in[]; /* the signature */
};

void maas_plans_init(maas_plans *p, const maas_graph *g, maas_budget *budget)
{
    *p = (maas_plans){.graph = g, .budget = budget};
    pthread_mutex_init(&p->lock, NULL);
}

static void lease_destroy(maas_lease *l)
{
    maas_exec_destroy(l->exec);
    maas_free(l);
}

/* Under lock, or when nobody else is left. */
static void entry_unref(maas_plan_entry *e)
{
    if (--e->refs)
        return;
    for (maas_lease *l = e->idle, *next; l; l = next) {
        next = l->next;
        lease_destroy(l);
    }
    maas_plan_destroy(e->plan);
    maas_free(e);
}

void maas_plans_reset(maas_plans *p)
{
    for (maas_plan_entry *e = p->newest, *next; e; e = next) {
        next = e->next;
        e->listed = false;
        entry_unref(e);
    }
    pthread_mutex_destroy(&p->lock);
}

static bool same_type(const maas_type *a, const maas_type *b)
{
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

/* Under lock: the entry, moved to the front; NULL when there is none. */
static maas_plan_entry *entry_find(maas_plans *p, const maas_type *in, int n_threads)
{
    for (maas_plan_entry **at = &p->newest; *at; at = &(*at)->next) {
        maas_plan_entry *e = *at;
        bool same = e->n_threads == n_threads;
        for (uint32_t i = 0; same && i < p->graph->n_inputs; i++)
            same = same_type(&e->in[i], &in[i]);
        if (!same)
            continue;
        *at = e->next;
        e->next = p->newest;
        p->newest = e;
        return e;
    }
    return NULL;
}

/* Under lock. */
static void drop_oldest(maas_plans *p)
{
    maas_plan_entry **at = &p->newest;
    while ((*at)->next)
        at = &(*at)->next;
    maas_plan_entry *e = *at;
    *at = NULL;
    p->n--;
    e->listed = false;
    entry_unref(e);
}

static maas_status compile(maas_plans *p, const maas_type *in, int n_threads, maas_plan_entry **out,
                           maas_err *err)
{
    size_t n_in = p->graph->n_inputs;
    AUTO_FREE maas_plan_entry *e = maas_calloc(1, sizeof *e + n_in * sizeof *e->in);
    if (!e)
        return maas_fail(err, MAAS_E_NOMEM, "compiling a plan");
    maas_plan_opts o = MAAS_PLAN_OPTS_INIT;
    o.n_threads = n_threads;
    o.budget = p->budget;
    MAAS_TRY(maas_plan_create(p->graph, in, &o, &e->plan, err));
    if (n_in)
        memcpy(e->in, in, n_in * sizeof *in);
    e->n_threads = n_threads;
    *out = STEAL(e);
    return MAAS_OK;
}

/* A referenced entry. */
static maas_status entry_get(maas_plans *p, const maas_type *in, int n_threads, bool may_compile,
                             maas_plan_entry **out, maas_err *err)
{
    pthread_mutex_lock(&p->lock);
    maas_plan_entry *e = entry_find(p, in, n_threads);
    if (e)
        e->refs++;
    pthread_mutex_unlock(&p->lock);
    if (!e) {
        maas_plan_entry *fresh = NULL;
        if (!may_compile)
            return maas_fail(err, MAAS_E_UNAVAILABLE, "no plan for these shapes yet");
        MAAS_TRY(compile(p, in, n_threads, &fresh, err));
        pthread_mutex_lock(&p->lock);
        e = entry_find(p, in, n_threads);
        if (!e) {
            e = STEAL(fresh);
            e->listed = true;
            e->refs = 1;
            e->next = p->newest;
            p->newest = e;
            if (++p->n > MAX_PLANS)
                drop_oldest(p);
        }
        e->refs++;
        pthread_mutex_unlock(&p->lock);
        if (fresh) { /* another thread was faster */
            maas_plan_destroy(fresh->plan);
            maas_free(fresh);
        }
    }
    *out = e;
    return MAAS_OK;
}

static maas_status lease_create(maas_plans *p, maas_plan_entry *e, maas_lease **out, maas_err *err)
{
    size_t n_in = p->graph->n_inputs;
    AUTO_FREE maas_lease *l = maas_calloc(1, sizeof *l + n_in * sizeof *l->own);
    if (!l)
        return maas_fail(err, MAAS_E_NOMEM, "making an executor");
    MAAS_TRY(maas_exec_create(e->plan, NULL, &l->exec, err));
    for (uint32_t i = 0; i < n_in; i++)
        l->own[i] = maas_exec_input(l->exec, i)->data;
    l->entry = e;
    *out = STEAL(l);
    return MAAS_OK;
}

maas_status maas_plans_lease(maas_plans *p, const maas_type *in, int n_threads, bool may_compile,
                             maas_lease **out, maas_err *err)
{
    maas_plan_entry *e;
    MAAS_TRY(entry_get(p, in, n_threads, may_compile, &e, err));
    pthread_mutex_lock(&p->lock);
    maas_lease *l = e->idle;
    if (l)
        e->idle = l->next;
    else
        e->n_execs++;
    pthread_mutex_unlock(&p->lock);
    if (!l) {
        maas_status st = lease_create(p, e, &l, err);
        if (st != MAAS_OK) {
            pthread_mutex_lock(&p->lock);
            e->n_execs--;
            entry_unref(e);
            pthread_mutex_unlock(&p->lock);
            return st;
        }
    }
    *out = l;
    return MAAS_OK;
}

void maas_plans_return(maas_plans *p, maas_lease *l)
{
    maas_plan_entry *e = l->entry;
    for (uint32_t i = 0; i < p->graph->n_inputs; i++)
        maas_exec_input(l->exec, i)->data = l->own[i];
    pthread_mutex_lock(&p->lock);
    l->next = e->idle;
    e->idle = l;
    entry_unref(e);
    pthread_mutex_unlock(&p->lock);
}

double maas_plans_cost_us(maas_plans *p, const maas_type *in, int n_threads)
{
    pthread_mutex_lock(&p->lock);
    maas_plan_entry *e = entry_find(p, in, n_threads);
    double us = e ? maas_plan_cost_us(e->plan) : -1;
    pthread_mutex_unlock(&p->lock);
    return us;
}

size_t maas_plans_bytes(maas_plans *p)
{
    size_t n = 0;
    pthread_mutex_lock(&p->lock);
    for (maas_plan_entry *e = p->newest; e; e = e->next)
        n += maas_plan_bytes(e->plan) + e->n_execs * maas_plan_exec_bytes(e->plan);
    pthread_mutex_unlock(&p->lock);
    return n;
}

const maas_plan *maas_lease_plan(const maas_lease *l)
{
    return l->entry->plan;
}
