#include "jobs/jobs.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "jobs/jobs_int.h"
#include "base/ban.h"

#define MAX_ATTEMPTS 25 /* a job that takes the server down with it must end some time */
#define CANCEL_NS    10000000000ull /* a worker looks at SIGTERM between batches */

typedef enum mail_kind {
    MAIL_SUBMIT,
    MAIL_ENDED,
    MAIL_CANCEL,
    MAIL_SUBSCRIBE,
    MAIL_STOP
} mail_kind;

typedef struct mail {
    maas_msg msg;
    mail_kind kind;
    maas_job *job; /* SUBMIT: owned */
    maas_tenant tenant;
    char id[32];
    uint64_t child; /* ENDED */
    maas_verdict verdict;
    char words[80];
    maas_subscriber *subscriber; /* SUBSCRIBE: owned */
} mail;

static bool post(maas_jobs *j, const mail *m)
{
    mail *copy = maas_alloc(sizeof *copy);
    if (!copy)
        return false;
    *copy = *m;
    if (maas_mailbox_post(&j->mail, &copy->msg))
        return true;
    maas_free(copy);
    return false;
}

void maas_jobs_post_ended(maas_jobs *j, uint64_t child, maas_verdict v, const char *words)
{
    mail m = {.kind = MAIL_ENDED, .child = child, .verdict = v};
    snprintf(m.words, sizeof m.words, "%s", words);
    if (!post(j, &m))
        MAAS_LOG(MAAS_LOG_ERROR, "event=job_end_lost child=%llu", (unsigned long long)child);
}

/* ---- the queue: jobs thread ---- */

static maas_job *find_job(maas_jobs *j, maas_tenant t, const char *id)
{
    maas_job *job = j->list;
    while (job && (job->tenant != t || strcmp(job->id, id) != 0))
        job = job->next;
    return job;
}

/* The next to start: highest priority, then oldest. */
static maas_job *first_queued(maas_jobs *j)
{
    maas_job *best = NULL;
    for (maas_job *job = j->list; job; job = job->next)
        if (!job->running && !job->ended &&
            (!best || job->priority > best->priority ||
             (job->priority == best->priority && job->seq < best->seq)))
            best = job;
    return best;
}

typedef struct usage {
    int64_t cores;
    uint64_t memory;
} usage;

static usage in_use(const maas_jobs *j)
{
    usage u = {0};
    for (const maas_job *job = j->list; job; job = job->next)
        if (job->running) {
            u.cores += job->n_cores;
            u.memory += job->memory;
        }
    return u;
}

/* Says in every waiting job why it waits. `first` is the one that does not fit. */
static void explain(maas_jobs *j, const maas_job *first, usage u)
{
    pthread_mutex_lock(&j->lock);
    for (maas_job *job = j->list; job; job = job->next) {
        if (job->running || job->ended)
            continue;
        if (job != first)
            snprintf(job->waiting_for, sizeof job->waiting_for, "job %s is before it", first->id);
        else if (u.cores + job->n_cores > j->opts.n_cores)
            snprintf(job->waiting_for, sizeof job->waiting_for, "%lld cores: %lld of %d are free",
                     (long long)job->n_cores, (long long)(j->opts.n_cores - u.cores),
                     j->opts.n_cores);
        else
            snprintf(job->waiting_for, sizeof job->waiting_for,
                     "%llu MiB of memory: %llu of %llu MiB are free",
                     (unsigned long long)(job->memory >> 20),
                     (unsigned long long)((j->opts.memory_bytes - u.memory) >> 20),
                     (unsigned long long)(j->opts.memory_bytes >> 20));
    }
    pthread_mutex_unlock(&j->lock);
}

/* Starts what fits. A job that does not fit holds back those behind it, so that it never starves.
 */
static void schedule(maas_jobs *j)
{
    for (maas_job *job; !j->stop_at_ns && (job = first_queued(j));) {
        usage u = in_use(j);
        if (u.cores + job->n_cores > j->opts.n_cores ||
            u.memory + job->memory > j->opts.memory_bytes) {
            explain(j, job, u);
            return;
        }
        maas_job_start(job);
    }
}

static void remove_job(maas_jobs *j, maas_job *gone)
{
    pthread_mutex_lock(&j->lock);
    maas_job **at = &j->list;
    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    pthread_mutex_unlock(&j->lock);
    maas_job_destroy(gone);
}

static void settle_all(maas_jobs *j)
{
    for (maas_job *job = j->list, *next; job; job = next) {
        next = job->next;
        if (maas_job_settle(job))
            remove_job(j, job);
    }
}

/* ---- mail ---- */

static void on_submit(maas_jobs *j, mail *m)
{
    pthread_mutex_lock(&j->lock);
    m->job->seq = j->next_seq++;
    m->job->next = j->list;
    j->list = m->job;
    pthread_mutex_unlock(&j->lock);
}

static void on_ended(maas_jobs *j, mail *m)
{
    for (maas_job *job = j->list; job; job = job->next)
        if (job->child == m->child) {
            maas_job_read(job); /* its last words are in the socket */
            job->ended = true;
            job->verdict = m->verdict;
            memcpy(job->words, m->words, sizeof job->words);
            if (job->fd >= 0)
                close(STEAL_FD(job->fd));
        }
}

static void on_cancel(maas_jobs *j, mail *m)
{
    maas_job *job = find_job(j, m->tenant, m->id);
    if (!job)
        return; /* it has ended meanwhile */
    pthread_mutex_lock(&j->lock);
    job->cancelling = true;
    bool running = job->running;
    if (!running)
        j->counts.cancelled++;
    pthread_mutex_unlock(&j->lock);
    if (running) {
        job->kill_at_ns = maas_now_ns() + CANCEL_NS;
        maas_helper_kill(j->opts.helper, job->child, SIGTERM);
        return;
    }
    maas_job_row(job, json_pack("{s:s}", "state", "cancelled"));
    maas_job_notify(job, true);
    remove_job(j, job);
}

/* A job that is not in the list has ended: its row is the only and last event. */
static void on_subscribe(maas_jobs *j, mail *m)
{
    maas_job *job = find_job(j, m->tenant, m->id);
    AUTO(maas_json_unref) json_t *row = NULL;
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(64u << 20);
    maas_subscriber *s = m->subscriber;
    if (maas_registry_job_get(j->opts.registry, m->tenant, m->id, &row, NULL) == MAAS_OK)
        maas_json_dump(job ? maas_job_view(job, row) : row, &text);
    bool last = !job || j->stop_at_ns;
    if (!s->fn(s->user, text.p ? text.p : "{}", text.n, last) || last) {
        maas_free(s);
        return;
    }
    s->next = job->subscribers;
    job->subscribers = s;
}

static void on_stop(maas_jobs *j, mail *m)
{
    (void)m;
    j->stop_at_ns = maas_now_ns() + (uint64_t)j->stop_ms * 1000000;
    for (maas_job *job = j->list; job; job = job->next) {
        maas_job_notify(job, true); /* event streams must not hold the server open */
        if (job->running)
            maas_helper_kill(j->opts.helper, job->child, SIGTERM);
    }
}

static void (*const on_mail[])(maas_jobs *, mail *) = {
    [MAIL_SUBMIT] = on_submit,       [MAIL_ENDED] = on_ended, [MAIL_CANCEL] = on_cancel,
    [MAIL_SUBSCRIBE] = on_subscribe, [MAIL_STOP] = on_stop,
};

static void read_mail(maas_jobs *j)
{
    for (maas_msg *m = maas_mailbox_take_all(&j->mail), *next; m; m = next) {
        next = m->next;
        on_mail[((mail *)m)->kind](j, (mail *)m);
        maas_free(m);
    }
}

/* Waits for mail or for an event of a worker. False: nothing can be waited for. */
static bool wait_for_news(maas_jobs *j, struct pollfd **fds, size_t *cap)
{
    size_t n = 1;
    int wait_ms = j->stop_at_ns ? 50 : -1;
    for (maas_job *job = j->list; job; job = job->next) {
        n += job->fd >= 0;
        if (job->kill_at_ns && wait_ms < 0)
            wait_ms = 1000;
    }
    if (!maas_grow(fds, cap, n, sizeof **fds))
        return false;
    (*fds)[0] = (struct pollfd){.fd = j->mail.wake_fd, .events = POLLIN};
    n = 1;
    for (maas_job *job = j->list; job; job = job->next)
        if (job->fd >= 0)
            (*fds)[n++] = (struct pollfd){.fd = job->fd, .events = POLLIN};
    poll(*fds, n, wait_ms);
    return true;
}

static void kill_overdue(maas_jobs *j)
{
    for (maas_job *job = j->list; job; job = job->next)
        if (job->kill_at_ns && maas_now_ns() > job->kill_at_ns) {
            maas_helper_kill(j->opts.helper, job->child, SIGKILL);
            job->kill_at_ns = 0;
        }
}

static bool stopping_is_over(maas_jobs *j)
{
    if (!j->stop_at_ns)
        return false;
    bool any = false;
    for (maas_job *job = j->list; job; job = job->next) {
        any |= job->running;
        if (job->running && maas_now_ns() > j->stop_at_ns)
            maas_helper_kill(j->opts.helper, job->child, SIGKILL);
    }
    return !any;
}

static void *jobs_main(void *arg)
{
    maas_jobs *j = arg;
    struct pollfd *fds = NULL;
    size_t cap = 0;
    pthread_setname_np(pthread_self(), "jobs");
    while (!stopping_is_over(j)) {
        if (!wait_for_news(j, &fds, &cap))
            maas_sleep_ms(50);
        read_mail(j);
        for (maas_job *job = j->list; job; job = job->next)
            maas_job_read(job);
        kill_overdue(j);
        settle_all(j);
        schedule(j);
        settle_all(j); /* those that could not start */
    }
    maas_free(fds);
    return NULL;
}

/* ---- start and stop ---- */

/* Jobs of the time before: queued ones wait again, running ones go on from their checkpoint. */
static void take_up(maas_jobs *j, const json_t *row)
{
    maas_err err = {0};
    maas_job *job;
    const char *hex = json_string_value(json_object_get(row, "checkpoint"));
    if (maas_job_from_spec(j, (maas_tenant)json_integer_value(json_object_get(row, "tenant")),
                           json_string_value(json_object_get(row, "id")),
                           json_object_get(row, "spec"), &job, &err) != MAAS_OK)
        return;
    job->attempts = json_integer_value(json_object_get(row, "attempts"));
    snprintf(job->checkpoint, sizeof job->checkpoint, "%s", hex ? hex : "");
    if (job->attempts >= MAX_ATTEMPTS) {
        maas_job_fail(job, MAAS_E_INTERNAL, "the server died again and again while this job ran");
        maas_job_destroy(job);
        return;
    }
    maas_job_row(job, json_pack("{s:s}", "state", "queued"));
    on_submit(j, &(mail){.job = job});
}

static maas_status take_up_all(maas_jobs *j, maas_err *err)
{
    AUTO(maas_json_unref) json_t *rows = NULL;
    MAAS_TRY(maas_registry_job_open(j->opts.registry, &rows, err));
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) take_up(j, row);
    return MAAS_OK;
}

maas_status maas_jobs_create(const maas_jobs_opts *o, maas_jobs **out, maas_err *err)
{
    maas_jobs *j = maas_calloc(1, sizeof *j);
    if (!j)
        return maas_fail(err, MAAS_E_NOMEM, "the job queue");
    j->opts = *o;
    if (!j->opts.n_cores)
        j->opts.n_cores = maas_sys_n_cores();
    if (!j->opts.memory_bytes)
        j->opts.memory_bytes = maas_sys_memory_bytes() / 2;
    pthread_mutex_init(&j->lock, NULL);
    maas_status st = maas_mailbox_init(&j->mail, err);
    if (st != MAAS_OK) {
        maas_free(j);
        return st;
    }
    st = take_up_all(j, err);
    if (st == MAAS_OK && pthread_create(&j->thread, NULL, jobs_main, j) != 0)
        st = maas_fail(err, MAAS_E_NOMEM, "starting the jobs thread");
    if (st != MAAS_OK) {
        maas_mailbox_reset(&j->mail);
        maas_free(j);
        return st;
    }
    /* Something to read wakes the thread, which then starts what was taken up. */
    post(j, &(mail){.kind = MAIL_CANCEL, .tenant = 0});
    *out = j;
    return MAAS_OK;
}

void maas_jobs_stop(maas_jobs *j, int deadline_ms)
{
    if (!j || j->stopped)
        return;
    j->stopped = true;
    j->stop_ms = deadline_ms; /* read by the jobs thread after the mail below */
    while (!post(j, &(mail){.kind = MAIL_STOP}))
        maas_sleep_ms(10);
    pthread_join(j->thread, NULL);
    maas_mailbox_close(&j->mail);
    for (maas_msg *m = maas_mailbox_take_all(&j->mail), *next; m; m = next) {
        mail *late = (mail *)m;
        next = m->next;
        maas_job_destroy(late->kind == MAIL_SUBMIT ? late->job : NULL);
        if (late->subscriber)
            late->subscriber->fn(late->subscriber->user, "{}", 2, true);
        maas_free(late->subscriber);
        maas_free(m);
    }
}

void maas_jobs_destroy(maas_jobs *j)
{
    if (!j)
        return;
    maas_jobs_stop(j, 0);
    for (maas_job *job = j->list, *next; job; job = next) {
        next = job->next;
        maas_job_destroy(job);
    }
    maas_mailbox_reset(&j->mail);
    pthread_mutex_destroy(&j->lock);
    maas_free(j);
}

/* ---- the interface ---- */

static uint32_t n_queued(maas_jobs *j)
{
    uint32_t n = 0;
    pthread_mutex_lock(&j->lock);
    for (maas_job *job = j->list; job; job = job->next)
        n += !job->running;
    pthread_mutex_unlock(&j->lock);
    return n;
}

maas_status maas_jobs_submit(maas_jobs *j, maas_tenant t, const json_t *request, json_t **out,
                             maas_err *err)
{
    AUTO(maas_json_unref) json_t *spec = NULL;
    char id[32];
    maas_job *job;
    if (n_queued(j) >= (uint32_t)j->opts.max_queued)
        return maas_fail(err, MAAS_E_BUSY, "%d jobs are waiting already", j->opts.max_queued);
    MAAS_TRY(maas_job_spec_check(j, t, request, &spec, err));
    MAAS_TRY(maas_registry_job_create(j->opts.registry, t, spec, id, err));
    /* From here on the job is acknowledged by its row: without memory it waits for a restart. */
    MAAS_TRY(maas_registry_job_get(j->opts.registry, t, id, out, err));
    if (maas_job_from_spec(j, t, id, spec, &job, err) == MAAS_OK &&
        !post(j, &(mail){.kind = MAIL_SUBMIT, .job = job}))
        maas_job_destroy(job);
    return MAAS_OK;
}

maas_status maas_jobs_get(maas_jobs *j, maas_tenant t, const char *id, json_t **out, maas_err *err)
{
    MAAS_TRY(maas_registry_job_get(j->opts.registry, t, id, out, err));
    pthread_mutex_lock(&j->lock);
    const maas_job *job = find_job(j, t, id);
    json_t *live = job ? json_pack("{s:f, s:O*, s:s*, s:s*}", "progress", job->progress, "metrics",
                                   job->running ? job->metrics : NULL, "note",
                                   job->running && job->note[0] ? job->note : NULL, "waiting_for",
                                   !job->running && job->waiting_for[0] ? job->waiting_for : NULL)
                       : NULL;
    pthread_mutex_unlock(&j->lock);
    const char *state = json_string_value(json_object_get(*out, "state"));
    if (live && (strcmp(state, "running") == 0 || strcmp(state, "queued") == 0))
        json_object_update(*out, live);
    json_decref(live);
    return MAAS_OK;
}

maas_status maas_jobs_list(maas_jobs *j, maas_tenant t, const char *state, json_t **out,
                           maas_err *err)
{
    return maas_registry_job_list(j->opts.registry, t, state, out, err);
}

maas_status maas_jobs_cancel(maas_jobs *j, maas_tenant t, const char *id, json_t **out,
                             maas_err *err)
{
    AUTO(maas_json_unref) json_t *row = NULL;
    mail m = {.kind = MAIL_CANCEL, .tenant = t};
    MAAS_TRY(maas_registry_job_get(j->opts.registry, t, id, &row, err));
    const char *state = json_string_value(json_object_get(row, "state"));
    if (strcmp(state, "queued") != 0 && strcmp(state, "running") != 0)
        return maas_fail(err, MAAS_E_CONFLICT, "the job has ended already: it is %s", state);
    snprintf(m.id, sizeof m.id, "%s", id);
    if (!post(j, &m))
        return maas_fail(err, MAAS_E_UNAVAILABLE, "the server is shutting down");
    *out = STEAL(row);
    return MAAS_OK;
}

maas_status maas_jobs_subscribe(maas_jobs *j, maas_tenant t, const char *id, maas_job_event fn,
                                void *user, maas_err *err)
{
    AUTO(maas_json_unref) json_t *row = NULL;
    mail m = {.kind = MAIL_SUBSCRIBE, .tenant = t};
    MAAS_TRY(maas_registry_job_get(j->opts.registry, t, id, &row, err));
    snprintf(m.id, sizeof m.id, "%s", id);
    m.subscriber = maas_calloc(1, sizeof *m.subscriber);
    if (!m.subscriber)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a subscription");
    *m.subscriber = (maas_subscriber){.fn = fn, .user = user};
    if (post(j, &m))
        return MAAS_OK;
    maas_free(m.subscriber);
    return maas_fail(err, MAAS_E_UNAVAILABLE, "the server is shutting down");
}

maas_jobs_counts maas_jobs_count(maas_jobs *j)
{
    pthread_mutex_lock(&j->lock);
    maas_jobs_counts c = j->counts;
    c.queued = c.running = 0;
    for (maas_job *job = j->list; job; job = job->next)
        job->running ? c.running++ : c.queued++;
    pthread_mutex_unlock(&j->lock);
    return c;
}
