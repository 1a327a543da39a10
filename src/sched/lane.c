#include "sched/lane.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/ban.h"

typedef struct lane {
    maas_lanes *all;
    pthread_t thread;
    int number;
} lane;

struct maas_lanes {
    int n_lanes, threads_per_lane;
    lane *lanes;
    pthread_mutex_t lock;
    pthread_cond_t work, idle; /* something is listed; a queue has finished a run */
    /* under lock */
    maas_queue *head, **tail; /* queues with work that no lane runs */
    uint32_t n_waiting;
    bool stopping;
};

/* Under lock: puts q at the end of the ring if it has work and nobody runs it. */
static void list_queue(maas_lanes *l, maas_queue *q)
{
    if (q->listed || q->running || !q->head)
        return;
    q->next = NULL;
    q->listed = true;
    *l->tail = q;
    l->tail = &q->next;
    pthread_cond_signal(&l->work);
}

/* Under lock: the next queue and all that waits in it; NULL when stopping. */
static maas_queue *take_queue(maas_lanes *l, maas_work **out_list)
{
    while (!l->head && !l->stopping)
        pthread_cond_wait(&l->work, &l->lock);
    maas_queue *q = l->head;
    if (!q)
        return NULL;
    l->head = q->next;
    if (!l->head)
        l->tail = &l->head;
    q->listed = false;
    q->running = true;
    *out_list = q->head;
    l->n_waiting -= q->n_waiting;
    q->head = NULL;
    q->tail = &q->head;
    q->n_waiting = 0;
    return q;
}

static void *lane_main(void *arg)
{
    lane *self = arg;
    maas_lanes *l = self->all;
    char name[16];
    snprintf(name, sizeof name, "lane-%d", self->number);
    pthread_setname_np(pthread_self(), name);
    pthread_mutex_lock(&l->lock);
    maas_work *list;
    for (maas_queue *q; (q = take_queue(l, &list));) {
        pthread_mutex_unlock(&l->lock);
        void (*hold)(void *, bool) = q->hold;
        void *user = q->user;
        if (hold)
            hold(user, true);
        q->run(user, list, l->threads_per_lane);
        pthread_mutex_lock(&l->lock);
        q->running = false;
        list_queue(l, q);
        pthread_cond_broadcast(&l->idle);
        pthread_mutex_unlock(&l->lock);
        if (hold)
            hold(user, false); /* the queue may be gone from here on */
        pthread_mutex_lock(&l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

maas_status maas_lanes_create(int n_lanes, int threads_per_lane, maas_lanes **out, maas_err *err)
{
    maas_lanes *l = maas_calloc(1, sizeof *l);
    if (!l)
        return maas_fail(err, MAAS_E_NOMEM, "compute lanes");
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->idle, NULL);
    l->tail = &l->head;
    l->threads_per_lane = threads_per_lane;
    l->lanes = maas_calloc((size_t)n_lanes, sizeof *l->lanes);
    for (int i = 0; l->lanes && i < n_lanes; i++) {
        l->lanes[i] = (lane){.all = l, .number = i};
        if (pthread_create(&l->lanes[i].thread, NULL, lane_main, &l->lanes[i]) != 0)
            break;
        l->n_lanes++;
    }
    if (!l->n_lanes) {
        maas_lanes_destroy(l);
        return maas_fail(err, MAAS_E_NOMEM, "cannot start a compute lane");
    }
    *out = l;
    return MAAS_OK;
}

void maas_lanes_destroy(maas_lanes *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->stopping = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    for (int i = 0; i < l->n_lanes; i++)
        pthread_join(l->lanes[i].thread, NULL);
    pthread_cond_destroy(&l->idle);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->lock);
    maas_free(l->lanes);
    maas_free(l);
}

int maas_lanes_threads(const maas_lanes *l)
{
    return l->threads_per_lane;
}

void maas_queue_init(maas_queue *q, void (*run)(void *, maas_work *, int), void *user,
                     uint32_t max_waiting)
{
    *q = (maas_queue){.run = run, .user = user, .max_waiting = max_waiting};
    q->tail = &q->head;
}

maas_status maas_queue_submit(maas_lanes *l, maas_queue *q, maas_work *w, maas_err *err)
{
    maas_status st = MAAS_OK;
    w->next = NULL;
    w->queued_ns = maas_now_ns();
    pthread_mutex_lock(&l->lock);
    if (l->stopping) {
        st = maas_fail(err, MAAS_E_UNAVAILABLE, "the server is shutting down");
    } else if (q->n_waiting >= q->max_waiting) {
        st = maas_fail(err, MAAS_E_BUSY, "%u requests are waiting for this model already",
                       q->n_waiting);
    } else {
        *q->tail = w;
        q->tail = &w->next;
        q->n_waiting++;
        l->n_waiting++;
        list_queue(l, q);
    }
    pthread_mutex_unlock(&l->lock);
    return st;
}

void maas_queue_detach(maas_lanes *l, maas_queue *q)
{
    pthread_mutex_lock(&l->lock);
    while (q->running || q->listed || q->head)
        pthread_cond_wait(&l->idle, &l->lock);
    pthread_mutex_unlock(&l->lock);
}

uint32_t maas_lanes_waiting(maas_lanes *l)
{
    pthread_mutex_lock(&l->lock);
    uint32_t n = l->n_waiting;
    pthread_mutex_unlock(&l->lock);
    return n;
}
