#include "ops/loop.h"

#include "base/ban.h"

/* ---- types ---- */

/* Graphs this deep are not asked twice: the work would double with each level. */
#define DEEP 1

static maas_type shapeless(maas_type t)
{
    t.rank = MAAS_RANK_UNKNOWN;
    return t;
}

static bool same_type(const maas_type *a, const maas_type *b)
{
    return a->tag == b->tag && a->of == b->of && a->rank == b->rank &&
           (a->rank <= 0 || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0);
}

/* An optional that comes in may go out as what it holds, and the other way round. */
static maas_status join_carried(const maas_type *in, const maas_type *out, maas_type *joined,
                                maas_err *err)
{
    maas_type a = *in, b = *out;
    if (a.tag != b.tag && a.tag == MAAS_TYPE_OPTIONAL && b.tag == a.of)
        b = maas_type_optional(&b);
    else if (a.tag != b.tag && b.tag == MAAS_TYPE_OPTIONAL && a.tag == b.of)
        a = maas_type_optional(&a);
    return maas_type_join(&a, &b, joined, err);
}

static maas_status join_all(maas_infer *q, const maas_graph *body, maas_type *in, int n_lead,
                            int n_lead_out, int n_carried, bool *out_same, maas_err *err)
{
    *out_same = true;
    for (int k = 0; k < n_carried; k++) {
        maas_type *t = &in[n_lead + k], now;
        const maas_type out = maas_body_out(q, body, (uint32_t)(n_lead_out + k));
        maas_status st = join_carried(t, &out, &now, err);
        if (st != MAAS_OK) {
            maas_err_prefix(err, "carried value %d", k);
            return st;
        }
        *out_same = *out_same && same_type(t, &now);
        *t = now;
    }
    return MAAS_OK;
}

maas_status maas_rounds_infer(maas_infer *q, maas_graph *body, maas_type *in, int n_in, int n_lead,
                              int n_lead_out, int n_carried, maas_err *err)
{
    const int tries = maas_graph_depth(body) > DEEP ? 1 : 3;
    bool same = false;
    for (int i = 0; i < tries && !same; i++) {
        if (i == tries - 1)
            for (int k = 0; k < n_carried; k++)
                in[n_lead + k] = shapeless(in[n_lead + k]);
        MAAS_TRY(maas_body_infer(q, body, in, n_in, err));
        MAAS_TRY(join_all(q, body, in, n_lead, n_lead_out, n_carried, &same, err));
    }
    return MAAS_OK;
}

/* ---- rounds ---- */

maas_status maas_rounds_init(maas_rounds *r, const maas_call *c, int n_lead, int n_lead_out,
                             int n_carried, maas_err *err)
{
    const maas_graph *body = maas_body_of(c->node, "body");
    const size_t n_in = body->n_inputs, n_captured = c->node->n_captured;
    *r = (maas_rounds){.c = c,
                       .body = body,
                       .n_lead = n_lead,
                       .n_lead_out = n_lead_out,
                       .n_carried = n_carried,
                       .n_piles = (int)body->n_outputs - n_lead_out - n_carried};
    maas_arena_init(&r->carry[0], c->arena->budget);
    maas_arena_init(&r->carry[1], c->arena->budget);
    r->in = maas_arena_array(c->arena, n_in + n_captured, sizeof *r->in);
    r->out = maas_arena_array(c->arena, body->n_outputs, sizeof *r->out);
    r->piles = maas_arena_array(c->arena, (size_t)r->n_piles, sizeof *r->piles);
    if (!r->in || !r->out || !r->piles)
        return maas_fail(err, MAAS_E_NOMEM, "operands of a graph");
    memcpy(r->in + n_in, c->in + maas_n_own_in(c->node), n_captured * sizeof *r->in);
    return MAAS_OK;
}

void maas_rounds_reset(maas_rounds *r)
{
    maas_arena_reset(&r->carry[0]);
    maas_arena_reset(&r->carry[1]);
}

/* What is carried is as the body's input says: an optional, where it wants one. */
static maas_status as_input(maas_rounds *r, int k, const maas_tensor *t, maas_arena *a,
                            maas_err *err)
{
    const maas_vid v = r->body->inputs[r->n_lead + k];
    const maas_type *want = &maas_graph_at(r->body, v)->type;
    maas_tensor *in = &r->in[r->n_lead + k];
    if (want->tag != MAAS_TYPE_OPTIONAL || t->holds == MAAS_OPTIONAL) {
        *in = *t;
        return MAAS_OK;
    }
    maas_tensor *one = maas_arena_dup(a, t, sizeof *t);
    if (!one)
        return maas_fail(err, MAAS_E_NOMEM, "an optional");
    *in = maas_list_of(MAAS_OPTIONAL, (maas_dtype)t->dtype, one, 1);
    return MAAS_OK;
}

maas_status maas_rounds_begin(maas_rounds *r, int k, const maas_tensor *t, maas_err *err)
{
    return as_input(r, k, t, &r->carry[0], err);
}

static maas_status carry(maas_rounds *r, maas_err *err)
{
    maas_arena *to = &r->carry[(r->round + 1) & 1];
    maas_arena_rewind(to);
    for (int k = 0; k < r->n_carried; k++) {
        maas_tensor own;
        MAAS_TRY(maas_value_copy(to, &r->out[r->n_lead_out + k], &own, err));
        MAAS_TRY(as_input(r, k, &own, to, err));
    }
    return MAAS_OK;
}

static maas_status grow(maas_rounds *r, maas_pile *p, size_t more, maas_err *err)
{
    if (p->data && p->cap - p->n_bytes >= more)
        return MAAS_OK;
    const size_t cap = p->cap * 2 > p->n_bytes + more ? p->cap * 2 : p->n_bytes + more;
    char *data = maas_arena_alloc(r->c->arena, cap);
    if (!data)
        return maas_fail(err, MAAS_E_NOMEM, "%zu bytes of what a graph returned", cap);
    if (p->n_bytes)
        memcpy(data, p->data, p->n_bytes);
    p->data = data;
    p->cap = cap;
    return MAAS_OK;
}

static maas_status pile_up(maas_rounds *r, maas_pile *p, const maas_tensor *t, maas_err *err)
{
    maas_tensor own = *t;
    if (p->n && !maas_shape_eq(&p->piece, t)) {
        char a[MAAS_SHAPE_TEXT], b[MAAS_SHAPE_TEXT];
        return maas_fail(err, MAAS_E_INVALID, "round %lld returns shape %s, those before %s",
                         (long long)r->round, maas_shape_text(t->dims, t->rank, a),
                         maas_shape_text(p->piece.dims, p->piece.rank, b));
    }
    if (t->dtype == MAAS_STRING) /* with its text */
        MAAS_TRY(maas_value_copy(r->c->arena, t, &own, err));
    MAAS_TRY(grow(r, p, maas_tensor_bytes(t), err));
    memcpy(p->data + p->n_bytes, own.data, maas_tensor_bytes(t));
    p->n_bytes += maas_tensor_bytes(t);
    p->piece = *t;
    p->n++;
    return MAAS_OK;
}

maas_status maas_rounds_run(maas_rounds *r, maas_err *err)
{
    const maas_call *c = r->c;
    MAAS_TRY(c->bodies->run(c->bodies, r->body, r->in, r->out, err));
    for (int k = 0; k < r->n_piles; k++)
        MAAS_TRY(pile_up(r, &r->piles[k], &r->out[r->n_lead_out + r->n_carried + k], err));
    MAAS_TRY(carry(r, err));
    r->round++;
    return MAAS_OK;
}

void maas_rounds_piece(const maas_rounds *r, int k, maas_tensor *out)
{
    const maas_vid v = r->body->outputs[r->n_lead_out + r->n_carried + k];
    const maas_type *t = &maas_graph_at(r->body, v)->type;
    *out = r->piles[k].piece;
    if (r->piles[k].n)
        return;
    *out = maas_tensor_of((maas_dtype)t->dtype, t->rank < 0 ? 0 : t->rank, t->dims, NULL);
    for (int i = 0; i < out->rank; i++)
        if (out->dims[i] < 0)
            out->dims[i] = 0;
}
