#include "api/sequence.h"

#include <stdio.h>
#include <string.h>

#include "api/auth.h"
#include "base/num.h"
#include "base/ban.h"

typedef struct maas_turn { /* a request that has its sequence, or waits for it */
    maas_oip_request *o;
    maas_req *req;
    maas_sequence_wait wait;
    maas_sequence *sequence;
    const char *version; /* as the client said it; NULL */
    char pinned[MAAS_NUM_MAX + 1];
} maas_turn;

static maas_turn *turn_of(const maas_prediction *q)
{
    return ((const maas_oip_request *)q->own)->turn;
}

/* ---- a run with its states ---- */

static maas_status fill_states(maas_prediction *q, maas_err *err)
{
    uint32_t n;
    const maas_state *s = maas_instance_states(q->model, &n);
    for (uint32_t i = 0; !n && i < maas_instance_n_inputs(q->model); i++)
        if (q->run.in[i].dtype == MAAS_DT_NONE)
            return maas_fail(err, MAAS_E_INVALID,
                             "input '%s' is missing, and model '%s' keeps no state: none of its "
                             "outputs looks like one of its inputs; the metadata maas.states "
                             "(input=output,...) of the ONNX file says so where names do not",
                             maas_instance_inputs(q->model)[i].name, maas_instance_name(q->model));
    for (uint32_t i = 0; i < n; i++) {
        const maas_tensor *t = maas_sequence_state(turn_of(q)->sequence, i);
        if (q->run.in[s[i].in].dtype != MAAS_DT_NONE)
            continue; /* the client knows better */
        if (t)
            q->run.in[s[i].in] = *t;
        else
            MAAS_TRY(maas_run_first_state(&q->run, &s[i], err));
    }
    return MAAS_OK;
}

static maas_status hide_states(maas_prediction *q, maas_err *err)
{
    uint32_t n;
    const maas_state *s = maas_instance_states(q->model, &n);
    bool *hidden = maas_arena_array(q->arena, maas_instance_n_outputs(q->model), sizeof *hidden);
    if (!hidden)
        return maas_fail(err, MAAS_E_NOMEM, "memory for one request");
    for (uint32_t i = 0; i < n; i++)
        hidden[s[i].out] = true;
    ((maas_oip_request *)q->own)->hidden = hidden;
    return MAAS_OK;
}

static maas_status decode(maas_prediction *q, maas_err *err)
{
    MAAS_TRY(maas_oip_codec.decode(q, err));
    MAAS_TRY(fill_states(q, err));
    maas_sequence_set_version(turn_of(q)->sequence, maas_instance_version(q->model));
    return hide_states(q, err);
}

static maas_status encode(maas_prediction *q, maas_err *err)
{
    uint32_t n;
    const maas_state *s = maas_instance_states(q->model, &n);
    for (uint32_t i = 0; i < n && !turn_of(q)->o->sequence_end; i++)
        MAAS_TRY(maas_sequence_stage(turn_of(q)->sequence, i, n, &q->run.out[s[i].out], err));
    return maas_oip_codec.encode(q, err);
}

static void end(maas_prediction *q, bool ok)
{
    const maas_turn *t = turn_of(q);
    maas_sequence_leave(maas_app_of(q->req)->sequences, t->sequence,
                        !ok                  ? MAAS_SEQUENCE_FAILED
                        : t->o->sequence_end ? MAAS_SEQUENCE_OVER
                                             : MAAS_SEQUENCE_KEEP);
}

static const maas_codec codec = {"oip", decode, encode, NULL, end};

/* ---- whose turn it is ---- */

/* The version that answers: the one the sequence began with. */
static maas_status pin(maas_turn *t, maas_err *err)
{
    int64_t asked;
    const int64_t began = maas_sequence_version(t->sequence);
    MAAS_TRY(maas_sequence_begin(t->sequence, t->o->sequence_start, err));
    if (t->o->sequence_start || !began)
        return MAAS_OK;
    if (t->version && (!maas_parse_i64(t->version, &asked) || asked != began))
        return maas_fail(err, MAAS_E_INVALID,
                         "sequence '%.64s' began with version %lld of the model, not %.32s",
                         t->o->sequence_id, (long long)began, t->version);
    snprintf(t->pinned, sizeof t->pinned, "%lld", (long long)began);
    t->version = t->pinned;
    return MAAS_OK;
}

static bool take_turn(maas_turn *t, maas_err *err)
{
    if (pin(t, err) == MAAS_OK)
        return true;
    maas_sequence_leave(maas_app_of(t->req)->sequences, t->sequence, MAAS_SEQUENCE_FAILED);
    maas_req_fail(t->req, err);
    return false;
}

static bool late_on_io(maas_req *r)
{
    maas_turn *t = maas_req_state(r);
    maas_err err = {0};
    t->sequence = t->wait.sequence;
    return !take_turn(t, &err) ||
           maas_infer_start_late(r, maas_req_param(r, 0), t->version, &codec, t->o);
}

static void on_turn(maas_sequence_wait *w)
{
    maas_req *r = w->user;
    maas_iopool_go_on(maas_app_of(r)->io, r, late_on_io);
}

/* Another request has the sequence. */
static void wait_for_turn(maas_req *r, maas_turn *t, const maas_sequence_name *name)
{
    maas_err err = {0};
    t->wait = (maas_sequence_wait){.go = on_turn, .user = r};
    maas_req_set_state(r, t, NULL);
    maas_req_suspend(r);
    if (maas_sequence_enter(maas_app_of(r)->sequences, name, &t->wait, &t->sequence, &err) !=
        MAAS_OK) {
        maas_req_fail(r, &err);
        maas_req_resume(r);
    } else if (t->sequence) { /* given back meanwhile */
        t->wait.sequence = t->sequence;
        maas_iopool_go_on(maas_app_of(r)->io, r, late_on_io);
    }
}

void maas_sequence_infer(maas_req *r, maas_oip_request *o)
{
    maas_err err = {0};
    const maas_sequence_name name = {(uint32_t)maas_caller(r)->tenant,
                                     maas_req_param(r, 0),
                                     {o->sequence_id, strlen(o->sequence_id)}};
    maas_turn *t = maas_arena_alloc(maas_req_arena(r), sizeof *t);
    maas_status st = t ? maas_may_use_model(r, name.model, &err)
                       : maas_fail(&err, MAAS_E_NOMEM, "memory for one request");
    if (st == MAAS_OK) {
        *t = (maas_turn){.o = o, .req = r, .version = maas_req_param(r, 1)};
        o->turn = t;
        st = maas_sequence_enter(maas_app_of(r)->sequences, &name, NULL, &t->sequence, &err);
    }
    if (st != MAAS_OK)
        maas_req_fail(r, &err);
    else if (!t->sequence)
        wait_for_turn(r, t, &name);
    else if (take_turn(t, &err))
        maas_infer_start(r, name.model, t->version, &codec, o);
}
