#include "serve/sequences.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/ban.h"

enum { FIRST_CHAINS = 64, MAX_IN_LINE = 256 };

typedef struct states {
    maas_tensor *t; /* [n]; dtype NONE: not there */
    uint32_t n;
    size_t bytes;
} states;

struct maas_sequence {
    struct maas_sequence *next; /* in its chain */
    uint64_t hash;
    maas_sequence_name name; /* its texts follow the struct */
    /* under the lock */
    bool taken;
    uint64_t left_ns;
    maas_sequence_wait *line, **line_tail;
    uint32_t n_line;
    /* who has it */
    bool live, fresh; /* fresh: began with the request at hand */
    int64_t version;
    states now, staged;
    maas_budget *budget;
};

struct maas_sequences {
    maas_sequences_opts opts;
    pthread_mutex_t lock;
    /* under the lock */
    maas_sequence **chains; /* [n_chains], a power of two */
    size_t n_chains, n;
};

maas_status maas_sequences_create(const maas_sequences_opts *o, maas_sequences **out, maas_err *err)
{
    maas_sequences *s = maas_calloc(1, sizeof *s);
    if (s)
        s->chains = maas_calloc(FIRST_CHAINS, sizeof *s->chains);
    if (!s || !s->chains) {
        maas_free(s);
        return maas_fail(err, MAAS_E_NOMEM, "a table of sequences");
    }
    s->opts = *o;
    s->n_chains = FIRST_CHAINS;
    pthread_mutex_init(&s->lock, NULL);
    *out = s;
    return MAAS_OK;
}

/* ---- states ---- */

static void give(maas_sequence *q, states *x)
{
    for (uint32_t i = 0; i < x->n; i++)
        maas_free(x->t[i].data);
    maas_free(x->t);
    maas_budget_give(q->budget, x->bytes);
    *x = (states){0};
}

maas_status maas_sequence_stage(maas_sequence *q, uint32_t i, uint32_t n_states,
                                const maas_tensor *t, maas_err *err)
{
    states *x = &q->staged;
    const size_t bytes = maas_tensor_bytes(t);
    if (!x->t) {
        x->t = maas_calloc(n_states, sizeof *x->t);
        x->n = x->t ? n_states : 0;
    }
    if (i >= x->n || !maas_budget_take(q->budget, bytes))
        return maas_fail(err, MAAS_E_NOMEM, "the state of a sequence takes %zu bytes", bytes);
    x->bytes += bytes;
    x->t[i] = *t;
    x->t[i].data = maas_alloc(bytes ? bytes : 1);
    if (!x->t[i].data)
        return maas_fail(err, MAAS_E_NOMEM, "the state of a sequence takes %zu bytes", bytes);
    memcpy(x->t[i].data, t->data, bytes);
    return MAAS_OK;
}

const maas_tensor *maas_sequence_state(const maas_sequence *q, uint32_t i)
{
    return i < q->now.n && q->now.t[i].dtype != MAAS_DT_NONE ? &q->now.t[i] : NULL;
}

/* ---- the table ---- */

static void destroy(maas_sequence *q)
{
    give(q, &q->now);
    give(q, &q->staged);
    maas_free(q);
}

void maas_sequences_destroy(maas_sequences *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_chains; i++)
        for (maas_sequence *q = s->chains[i], *next; q; q = next) {
            next = q->next;
            destroy(q);
        }
    pthread_mutex_destroy(&s->lock);
    maas_free(s->chains);
    maas_free(s);
}

static uint64_t mix(uint64_t h, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)p[i]) * 0x100000001b3u; /* FNV-1a */
    return (h ^ n) * 0x100000001b3u;
}

static uint64_t hash_of(const maas_sequence_name *n)
{
    const uint64_t h = mix(0xcbf29ce484222325u ^ n->tenant, n->model, strlen(n->model));
    return mix(h, n->id.p, n->id.n);
}

static maas_sequence **place(maas_sequences *s, const maas_sequence_name *n, uint64_t hash)
{
    maas_sequence **p = &s->chains[hash & (s->n_chains - 1)];
    for (; *p; p = &(*p)->next)
        if ((*p)->hash == hash && (*p)->name.tenant == n->tenant && (*p)->name.id.n == n->id.n &&
            strcmp((*p)->name.model, n->model) == 0 &&
            memcmp((*p)->name.id.p, n->id.p, n->id.n) == 0)
            break;
    return p;
}

static void grow(maas_sequences *s)
{
    maas_sequence **more = maas_calloc(2 * s->n_chains, sizeof(maas_sequence *));
    if (!more)
        return; /* longer chains, then */
    for (size_t i = 0; i < s->n_chains; i++)
        for (maas_sequence *q = s->chains[i], *next; q; q = next) {
            maas_sequence **p = &more[q->hash & (2 * s->n_chains - 1)];
            next = q->next;
            q->next = *p;
            *p = q;
        }
    maas_free(s->chains);
    s->chains = more;
    s->n_chains *= 2;
}

static maas_sequence *add(maas_sequences *s, const maas_sequence_name *n, uint64_t hash)
{
    const size_t model = strlen(n->model) + 1;
    maas_sequence *q = maas_calloc(1, sizeof *q + model + n->id.n);
    if (!q)
        return NULL;
    char *text = (char *)(q + 1);
    memcpy(text, n->model, model);
    memcpy(text + model, n->id.p, n->id.n);
    q->name = (maas_sequence_name){n->tenant, text, {text + model, n->id.n}};
    q->hash = hash;
    q->line_tail = &q->line;
    q->budget = s->opts.budget;
    if (s->n >= s->n_chains)
        grow(s);
    maas_sequence **p = &s->chains[hash & (s->n_chains - 1)];
    q->next = *p;
    *p = q;
    s->n++;
    return q;
}

/* Takes those out that are idle, or only q; the caller destroys the list. */
static maas_sequence *take_out(maas_sequences *s, const maas_sequence *only)
{
    const uint64_t now = maas_now_ns();
    maas_sequence *list = NULL;
    for (size_t i = 0; i < s->n_chains; i++) {
        if (only && i != (only->hash & (s->n_chains - 1)))
            continue;
        for (maas_sequence **p = &s->chains[i]; *p;) {
            maas_sequence *q = *p;
            if (only ? q != only : q->taken || now - q->left_ns < s->opts.idle_ns) {
                p = &q->next;
                continue;
            }
            *p = q->next;
            q->next = list;
            list = q;
            s->n--;
        }
    }
    return list;
}

static void destroy_list(maas_sequence *list)
{
    for (maas_sequence *next; list; list = next) {
        next = list->next;
        destroy(list);
    }
}

void maas_sequences_sweep(maas_sequences *s)
{
    pthread_mutex_lock(&s->lock);
    maas_sequence *list = take_out(s, NULL);
    pthread_mutex_unlock(&s->lock);
    destroy_list(list);
}

uint32_t maas_sequences_n(maas_sequences *s)
{
    pthread_mutex_lock(&s->lock);
    const uint32_t n = (uint32_t)s->n;
    pthread_mutex_unlock(&s->lock);
    return n;
}

/* ---- who has it ---- */

/* What the request did to it. */
static void settle(maas_sequence *q, maas_sequence_end how)
{
    if (how == MAAS_SEQUENCE_KEEP) {
        give(q, &q->now);
        q->now = q->staged;
        q->staged = (states){0};
    }
    give(q, &q->staged);
    if (how == MAAS_SEQUENCE_OVER || (how == MAAS_SEQUENCE_FAILED && q->fresh)) {
        give(q, &q->now);
        q->live = false;
    }
    q->fresh = false;
}

static maas_status stand_in_line(maas_sequence *q, maas_sequence_wait *wait, maas_err *err)
{
    if (!wait)
        return MAAS_OK;
    if (q->n_line >= MAX_IN_LINE)
        return maas_fail(err, MAAS_E_BUSY, "%d requests of this sequence are waiting", MAX_IN_LINE);
    wait->sequence = q;
    wait->next = NULL;
    *q->line_tail = wait;
    q->line_tail = &wait->next;
    q->n_line++;
    return MAAS_OK;
}

maas_status maas_sequence_enter(maas_sequences *s, const maas_sequence_name *name,
                                maas_sequence_wait *wait, maas_sequence **out, maas_err *err)
{
    const uint64_t hash = hash_of(name);
    maas_status st = MAAS_OK;
    *out = NULL;
    pthread_mutex_lock(&s->lock);
    maas_sequence *q = *place(s, name, hash);
    if (!q && s->n >= s->opts.max)
        st = maas_fail(err, MAAS_E_BUSY, "%u sequences are under way, more than the setting allows",
                       s->opts.max);
    else if (!q && !(q = add(s, name, hash)))
        st = maas_fail(err, MAAS_E_NOMEM, "a sequence");
    if (st == MAAS_OK && q->taken)
        st = stand_in_line(q, wait, err);
    else if (st == MAAS_OK) {
        if (q->left_ns && maas_now_ns() - q->left_ns >= s->opts.idle_ns)
            settle(q, MAAS_SEQUENCE_OVER);
        q->taken = true;
        *out = q;
    }
    pthread_mutex_unlock(&s->lock);
    return st;
}

maas_status maas_sequence_begin(maas_sequence *q, bool start, maas_err *err)
{
    if (!start && !q->live)
        return maas_fail(err, MAAS_E_INVALID,
                         "model '%s' has no sequence '%.*s': it ended, was idle for too long, or "
                         "never began; the first request says sequence_start",
                         q->name.model, (int)(q->name.id.n < 64 ? q->name.id.n : 64), q->name.id.p);
    if (!start)
        return MAAS_OK;
    give(q, &q->now);
    q->version = 0;
    q->live = q->fresh = true;
    return MAAS_OK;
}

int64_t maas_sequence_version(const maas_sequence *q)
{
    return q->version;
}

void maas_sequence_set_version(maas_sequence *q, int64_t version)
{
    q->version = version;
}

void maas_sequence_leave(maas_sequences *s, maas_sequence *q, maas_sequence_end how)
{
    maas_sequence *gone = NULL;
    settle(q, how);
    pthread_mutex_lock(&s->lock);
    maas_sequence_wait *w = q->line;
    q->left_ns = maas_now_ns();
    if (w) { /* it stays taken: by w */
        q->line = w->next;
        q->line_tail = q->line ? q->line_tail : &q->line;
        q->n_line--;
    } else {
        q->taken = false;
        gone = q->live ? NULL : take_out(s, q);
    }
    pthread_mutex_unlock(&s->lock);
    destroy_list(gone);
    if (w)
        w->go(w);
}
