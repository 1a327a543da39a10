#include "api/io.h"

#include <pthread.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/ban.h"

typedef struct task {
    struct task *next;
    maas_req *req; /* NULL: plain work */
    maas_iopool_fn fn;
    void (*plain)(void *);
    void *arg;
} task;

struct maas_iopool {
    int n_threads;
    pthread_t *threads;
    pthread_mutex_t lock;
    pthread_cond_t work;
    task *head, **tail; /* under lock */
    bool stopping;      /* under lock */
};

static task *take(maas_iopool *io)
{
    pthread_mutex_lock(&io->lock);
    while (!io->head && !io->stopping)
        pthread_cond_wait(&io->work, &io->lock);
    task *t = io->head;
    if (t && !(io->head = t->next))
        io->tail = &io->head;
    pthread_mutex_unlock(&io->lock);
    return t;
}

static void *io_main(void *arg)
{
    pthread_setname_np(pthread_self(), "io");
    for (task *t; (t = take(arg));) {
        /* A request's task lives in its arena: it is gone once the request was resumed. */
        if (t->req) {
            maas_req *r = t->req;
            if (t->fn(r))
                maas_req_resume(r);
        } else {
            t->plain(t->arg);
            maas_free(t);
        }
    }
    return NULL;
}

maas_status maas_iopool_create(int n_threads, maas_iopool **out, maas_err *err)
{
    maas_iopool *io = maas_calloc(1, sizeof *io);
    if (!io)
        return maas_fail(err, MAAS_E_NOMEM, "io threads");
    pthread_mutex_init(&io->lock, NULL);
    pthread_cond_init(&io->work, NULL);
    io->tail = &io->head;
    io->threads = maas_calloc((size_t)n_threads, sizeof *io->threads);
    while (io->threads && io->n_threads < n_threads &&
           pthread_create(&io->threads[io->n_threads], NULL, io_main, io) == 0)
        io->n_threads++;
    if (!io->n_threads) {
        maas_iopool_destroy(io);
        return maas_fail(err, MAAS_E_NOMEM, "cannot start an io thread");
    }
    *out = io;
    return MAAS_OK;
}

void maas_iopool_destroy(maas_iopool *io)
{
    if (!io)
        return;
    pthread_mutex_lock(&io->lock);
    io->stopping = true;
    pthread_cond_broadcast(&io->work);
    pthread_mutex_unlock(&io->lock);
    for (int i = 0; i < io->n_threads; i++)
        pthread_join(io->threads[i], NULL);
    pthread_cond_destroy(&io->work);
    pthread_mutex_destroy(&io->lock);
    maas_free(io->threads);
    maas_free(io);
}

static void post(maas_iopool *io, task *t)
{
    pthread_mutex_lock(&io->lock);
    t->next = NULL;
    *io->tail = t;
    io->tail = &t->next;
    pthread_cond_signal(&io->work);
    pthread_mutex_unlock(&io->lock);
}

static void run(maas_iopool *io, maas_req *r, maas_iopool_fn fn, bool suspended)
{
    task *t = maas_arena_alloc(maas_req_arena(r), sizeof *t);
    if (!t) {
        maas_err err = {0};
        maas_fail(&err, MAAS_E_NOMEM, "memory for one request");
        maas_req_fail(r, &err);
        if (suspended)
            maas_req_resume(r);
        return;
    }
    *t = (task){.req = r, .fn = fn};
    if (!suspended)
        maas_req_suspend(r);
    post(io, t);
}

void maas_iopool_run(maas_iopool *io, maas_req *r, maas_iopool_fn fn)
{
    run(io, r, fn, false);
}

void maas_iopool_go_on(maas_iopool *io, maas_req *r, maas_iopool_fn fn)
{
    run(io, r, fn, true);
}

maas_status maas_iopool_post(maas_iopool *io, void (*fn)(void *arg), void *arg, maas_err *err)
{
    task *t = maas_calloc(1, sizeof *t);
    if (!t)
        return maas_fail(err, MAAS_E_NOMEM, "background work");
    *t = (task){.plain = fn, .arg = arg};
    post(io, t);
    return MAAS_OK;
}
