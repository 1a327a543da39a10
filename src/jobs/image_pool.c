#include "jobs/image_pool.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "jobs/helper_int.h"
#include "jobs/image_int.h"
#include "base/ban.h"

#define MAX_DECODERS 64
#define MAX_PICTURES 512          /* of one decoder: what leaks, or was changed, does not stay */
#define DEADLINE_MS  20000        /* for one picture                                           */
#define MEMORY       (1ull << 30) /* the largest picture twice over, its file, the libraries   */
#define CPU_SECONDS  600          /* of one decoder                                            */

typedef struct decoder {
    int control; /* -1: not running */
    uint64_t id;
    int n_pictures;
    bool busy;
} decoder;

struct maas_image_pool {
    maas_helper *helper;
    int n;
    pthread_mutex_t lock; /* of `busy`; a leaf */
    pthread_cond_t freed;
    decoder list[MAX_DECODERS];
};

maas_status maas_image_pool_create(maas_helper *h, int n_decoders, maas_image_pool **out,
                                   maas_err *err)
{
    maas_image_pool *p = maas_calloc(1, sizeof *p);
    if (!p)
        return maas_fail(err, MAAS_E_NOMEM, "starting image decoders");
    p->helper = h;
    p->n = n_decoders < 1 ? 1 : n_decoders > MAX_DECODERS ? MAX_DECODERS : n_decoders;
    for (int i = 0; i < p->n; i++)
        p->list[i].control = -1;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->freed, NULL);
    *out = p;
    return MAAS_OK;
}

/* Closes the connection, which ends a decoder that is well; the wait status says how it ended. */
static int stop(maas_image_pool *p, decoder *d, bool by_force)
{
    if (d->control < 0)
        return 0;
    if (by_force)
        maas_helper_kill(p->helper, d->id, SIGKILL);
    close(STEAL_FD(d->control));
    d->n_pictures = 0;
    return maas_helper_wait(p->helper, d->id);
}

void maas_image_pool_destroy(maas_image_pool *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->n; i++)
        stop(p, &p->list[i], true);
    pthread_cond_destroy(&p->freed);
    pthread_mutex_destroy(&p->lock);
    maas_free(p);
}

static decoder *take(maas_image_pool *p)
{
    decoder *d = NULL;
    pthread_mutex_lock(&p->lock);
    while (!d) {
        for (int i = 0; i < p->n; i++) /* a running one if there is one */
            if (!p->list[i].busy && (!d || (d->control < 0 && p->list[i].control >= 0)))
                d = &p->list[i];
        if (!d)
            pthread_cond_wait(&p->freed, &p->lock);
    }
    d->busy = true;
    pthread_mutex_unlock(&p->lock);
    return d;
}

static void give_back(maas_image_pool *p, decoder *d)
{
    pthread_mutex_lock(&p->lock);
    d->busy = false;
    pthread_cond_signal(&p->freed);
    pthread_mutex_unlock(&p->lock);
}

static maas_status start(maas_image_pool *p, decoder *d, maas_err *err)
{
    int pair[2];
    if (d->control >= 0)
        return MAAS_OK;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return maas_fail(err, MAAS_E_IO, "starting an image decoder: %m");
    AUTO_FD ours = pair[0], theirs = pair[1];
    maas_wire_order o = {
        .kind = MAAS_CHILD_IMAGES,
        .limits = {.memory_bytes = MEMORY, .output_bytes = UINT64_MAX, .cpu_s = CPU_SECONDS}};
    MAAS_TRY(maas_helper_order(p->helper, &o, &theirs, 1, NULL, NULL, err));
    d->id = o.id;
    d->control = STEAL_FD(ours);
    return MAAS_OK;
}

/* A picture's words and pixels are all that is believed. */
static maas_status refused(int control, const maas_image_answer *a, maas_err *wire, maas_err *err)
{
    char words[sizeof err->msg] = "";
    if (a->bytes >= sizeof words || a->status <= MAAS_OK || a->status > MAAS_E_MEDIA)
        return maas_fail(wire, MAAS_E_UNAVAILABLE, "the decoder speaks in riddles");
    MAAS_TRY(maas_wire_get_bytes(control, DEADLINE_MS, words, a->bytes, wire));
    maas_fail(err, a->status, "%s", words);
    return MAAS_OK;
}

static maas_status send_picture(int control, maas_span file, const maas_image_fit *fit,
                                maas_err *wire)
{
    maas_image_order o;
    memset(&o, 0, sizeof o); /* padding goes through a pipe, too */
    o.fit = *fit;
    o.bytes = file.n;
    MAAS_TRY(maas_sys_write(control, &o, sizeof o, wire));
    return maas_sys_write(control, file.p, file.n, wire);
}

/* `wire`: what went wrong with the decoder; `err`: with the picture. */
static maas_status receive(int control, const maas_image_fit *fit, uint8_t *out, maas_err *wire,
                           maas_err *err)
{
    maas_image_answer a;
    MAAS_TRY(maas_wire_get_bytes(control, DEADLINE_MS, &a, sizeof a, wire));
    if (a.status != MAAS_OK)
        return refused(control, &a, wire, err);
    if (a.bytes != maas_image_fit_bytes(fit))
        return maas_fail(wire, MAAS_E_UNAVAILABLE, "the decoder speaks in riddles");
    return maas_wire_get_bytes(control, DEADLINE_MS, out, a.bytes, wire);
}

static maas_status died(maas_image_pool *p, decoder *d, const maas_err *wire, maas_err *err)
{
    const bool late = wire->code == MAAS_E_TIMEOUT;
    const char *words = "";
    const maas_verdict v = maas_verdict_of(stop(p, d, late), &words);
    if (v == MAAS_CHILD_CRASHED)
        maas_helper_count_crash(p->helper);
    if (late || v == MAAS_CHILD_TIMEOUT)
        return maas_fail(err, MAAS_E_FORMAT, "decoding the image took too long: it was given up");
    return maas_fail(err, MAAS_E_FORMAT, "the image cannot be decoded: %s",
                     *words ? words : "its decoder stopped early");
}

/* A decoder that takes the picture: one that died while nobody looked is replaced, once. */
static maas_status hand_over(maas_image_pool *p, decoder *d, maas_span file,
                             const maas_image_fit *fit, maas_err *err)
{
    maas_err wire = {0};
    MAAS_TRY(start(p, d, err));
    if (send_picture(d->control, file, fit, &wire) == MAAS_OK)
        return MAAS_OK;
    stop(p, d, true);
    MAAS_TRY(start(p, d, err));
    wire = (maas_err){0};
    return send_picture(d->control, file, fit, &wire) == MAAS_OK ? MAAS_OK : died(p, d, &wire, err);
}

maas_status maas_image_pool_decode(maas_image_pool *p, maas_span file, const maas_image_fit *fit,
                                   uint8_t *out, maas_err *err)
{
    maas_err wire = {0}, why = {0};
    decoder *d = take(p);
    if (hand_over(p, d, file, fit, &why) == MAAS_OK) {
        if (receive(d->control, fit, out, &wire, &why) != MAAS_OK)
            died(p, d, &wire, &why);
        else if (++d->n_pictures >= MAX_PICTURES)
            stop(p, d, false);
    }
    give_back(p, d);
    return why.code == MAAS_OK ? MAAS_OK : maas_fail(err, why.code, "%s", why.msg);
}
