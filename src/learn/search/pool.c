/*
 * learn/search/pool.c - the fits of one round on the threads of the job. Threads take the next fit
 * that is not done; the caller's thread waits, reports and keeps checkpoints, so that hooks are
 * only called there.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/sys.h"
#include "learn/search/search_int.h"
#include "base/ban.h"

enum { MAX_THREADS = 64, LEADERBOARD = 10, LOOK_EVERY_MS = 200 };

typedef struct pool {
    maas_searching *s;
    pthread_cond_t ended;
    size_t next; /* fit: candidate * folds + fold; under trials.lock, as all below */
    int n_running, n_threads_each;
    bool stop;
    maas_status st; /* E_CANCELLED */
} pool;

static bool cancelled(const maas_searching *s)
{
    const maas_train_hooks *h = s->job->hooks;
    return h && h->cancelled && h->cancelled(h->user);
}

/* The next fit of the round. At the deadline whoever has begun goes on, and the first candidate is
 * always finished. */
static bool take(pool *p, size_t *out)
{
    maas_trials *t = &p->s->trials;
    const size_t folds = (size_t)t->folds, n = t->candidates->n * folds;
    for (; p->next < n; p->next++) {
        const maas_trial *at = &t->at[p->next / folds];
        if (at->out || at->failed || at->fits[p->next % folds].done)
            continue;
        const bool late = p->s->deadline_ns && maas_now_ns() > p->s->deadline_ns;
        if (p->stop || (late && p->next >= folds))
            return false;
        *out = p->next++;
        return true;
    }
    return false;
}

static void put(pool *p, size_t fit, const maas_trial_fit *x, maas_status st, const char *scoring,
                const char *words)
{
    maas_trials *t = &p->s->trials;
    maas_trial *at = &t->at[fit / (size_t)t->folds];
    t->n_done++;
    if (st == MAAS_E_CANCELLED) {
        p->st = st;
        p->stop = true;
    } else if (st != MAAS_OK) {
        at->failed = true;
        snprintf(at->error, sizeof at->error, "%.199s", words);
    } else {
        at->fits[fit % (size_t)t->folds] = *x;
        at->round = t->round;
        at->rows = p->s->rows;
        memcpy(t->scoring, scoring, sizeof t->scoring);
    }
}

static void *work(void *arg)
{
    pool *p = arg;
    size_t fit;
    pthread_mutex_t *lock = &p->s->trials.lock;
    pthread_mutex_lock(lock);
    while (take(p, &fit)) {
        pthread_mutex_unlock(lock);
        maas_err err = {0};
        maas_trial_fit x = {0};
        char scoring[64] = "";
        const size_t folds = (size_t)p->s->trials.folds;
        maas_status st = maas_search_fit(p->s, fit / folds, (int64_t)(fit % folds),
                                         p->n_threads_each, &x, scoring, &err);
        pthread_mutex_lock(lock);
        put(p, fit, &x, st, scoring, err.msg);
        pthread_cond_signal(&p->ended);
    }
    p->n_running--;
    pthread_cond_signal(&p->ended);
    pthread_mutex_unlock(lock);
    return NULL;
}

/* ---- the caller's thread ---- */

static json_t *progress_json(const maas_trials *t, size_t n_complete)
{
    json_t *o = json_pack("{s:I, s:I, s:I, s:o}", "fits_done", (json_int_t)t->n_done, "fits_total",
                          (json_int_t)t->n_total, "round", (json_int_t)t->round, "leaderboard",
                          maas_trials_leaderboard(t, LEADERBOARD));
    if (n_complete && t->at[t->order[0]].complete) {
        json_object_set_new(o, "best_score", json_real(t->at[t->order[0]].mean));
        json_object_set(o, "best_params", t->candidates->at[t->order[0]].point);
    }
    return o;
}

/* With the lock held; gives it up while hooks run. */
static void report(pool *p)
{
    maas_trials *t = &p->s->trials;
    const maas_train_hooks *h = p->s->job->hooks;
    if (!h)
        return;
    AUTO(maas_json_unref) json_t *metrics = progress_json(t, maas_trials_rank(t));
    AUTO(maas_json_unref) json_t *state = h->checkpoint ? maas_trials_dump(t) : NULL;
    const double fraction = t->n_total ? 0.95 * (double)t->n_done / (double)t->n_total : 0;
    char note[96];
    snprintf(note, sizeof note, "%lld of %lld fits", (long long)t->n_done, (long long)t->n_total);
    pthread_mutex_unlock(&t->lock);
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(256u << 20);
    if (state)
        maas_json_dump(state, &text);
    if (h->progress)
        h->progress(h->user, fraction, metrics, note);
    if (state && !text.failed)
        h->checkpoint(h->user, maas_buf_span(&text), NULL);
    pthread_mutex_lock(&t->lock);
}

static void wait_a_little(pool *p)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_EVERY_MS * 1000000l;
    until.tv_sec += until.tv_nsec / 1000000000l;
    until.tv_nsec %= 1000000000l;
    pthread_cond_timedwait(&p->ended, &p->s->trials.lock, &until);
}

static void watch(pool *p)
{
    int64_t reported = -1;
    for (bool more = true; more;) {
        more = p->n_running > 0; /* what ended last is reported, too */
        if (more)
            wait_a_little(p);
        if (cancelled(p->s)) {
            p->stop = true;
            p->st = MAAS_E_CANCELLED;
        }
        if (p->s->trials.n_done != reported) {
            reported = p->s->trials.n_done;
            report(p);
        }
    }
}

static int64_t fits_left(const maas_trials *t)
{
    int64_t n = 0;
    for (size_t i = 0; i < t->candidates->n; i++)
        for (int64_t f = 0; f < t->folds && !t->at[i].out && !t->at[i].failed; f++)
            n += !t->at[i].fits[f].done;
    return n;
}

maas_status maas_search_round(maas_searching *s, maas_err *err)
{
    pthread_t threads[MAX_THREADS];
    maas_trials *t = &s->trials;
    const int64_t left = fits_left(t);
    int cores = s->job->n_threads > MAX_THREADS ? MAX_THREADS : s->job->n_threads, n = 0;
    cores = cores < 1 ? 1 : cores;
    const int wanted = left < cores ? (int)left : cores;
    pool p = {.s = s, .n_threads_each = wanted ? cores / wanted : 1};
    pthread_cond_init(&p.ended, NULL);
    pthread_mutex_lock(&t->lock);
    while (n < wanted && pthread_create(&threads[n], NULL, work, &p) == 0) {
        p.n_running++;
        n++;
    }
    watch(&p);
    pthread_mutex_unlock(&t->lock);
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    pthread_cond_destroy(&p.ended);
    if (wanted && !n)
        return maas_fail(err, MAAS_E_NOMEM, "no thread could be started for the search");
    return p.st == MAAS_OK ? MAAS_OK : maas_fail(err, p.st, "the search was cancelled");
}
