/*
 * Steps whose shapes depend on data: inferred again when the data is there, over memory that lasts
 * until the next run. They run on the leader and may allocate; all other steps may not.
 */
#include "runtime/plan_int.h"

#include "base/ban.h"

/* What shape inference may know of a small integer tensor that has data now. */
static void learn_content(const maas_tensor *t, maas_known *k)
{
    k->n = -1;
    if (!t->data || t->holds || t->rank > 1 || (t->dtype != MAAS_I64 && t->dtype != MAAS_I32))
        return;
    int64_t n = maas_n_elems(t);
    if (n > (int64_t)MAAS_COUNT(k->v))
        return;
    k->n = (int)n;
    k->rank = t->rank;
    k->exact = true;
    for (int64_t i = 0; i < n; i++)
        k->v[i] = maas_tensor_get_i64(t, i);
}

static maas_status place_output(maas_exec *e, maas_vid v, const maas_type *t, bool makes_own,
                                maas_tensor *operand, maas_err *err)
{
    if (v < 0)
        return MAAS_OK;
    const maas_value *value = maas_graph_at(e->p->g, v);
    if (makes_own && !operand->data) {
        *operand = (maas_tensor){.dtype = t->dtype};
        return MAAS_OK;
    }
    if (!maas_type_is_concrete(t))
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "the shape of '%s' cannot be told from its inputs", value->name);
    if (operand->data) { /* a buffer of the plan: its shape was promised */
        maas_tensor now = maas_tensor_of_type(t, NULL);
        if (!maas_shape_eq(&now, operand) || now.dtype != operand->dtype)
            return maas_fail(err, MAAS_E_INVALID, "'%s' came out with another shape than planned",
                             value->name);
        return MAAS_OK;
    }
    size_t bytes;
    MAAS_TRY(maas_shape_bytes((maas_dtype)t->dtype, t->dims, t->rank, &bytes, err));
    void *data = maas_arena_alloc(&e->late, bytes);
    if (!data)
        return maas_fail(err, MAAS_E_NOMEM, "'%s' needs %zu bytes", value->name, bytes);
    *operand = e->values[v] = maas_tensor_of_type(t, data);
    return MAAS_OK;
}

/* What the operator itself made, against what inference says about it. */
static maas_status take_output(maas_exec *e, maas_vid v, const maas_type *t,
                               const maas_tensor *made, maas_err *err)
{
    if (v < 0)
        return MAAS_OK;
    bool tensor = t->tag == MAAS_TYPE_TENSOR;
    bool ok = made->data && made->dtype == t->dtype && tensor == (made->holds == MAAS_ELEMENTS) &&
              (t->rank < 0 || !tensor || t->rank == made->rank);
    for (int i = 0; ok && tensor && i < t->rank; i++)
        ok = t->dims[i] < 0 || t->dims[i] == made->dims[i];
    if (!ok)
        return maas_fail(err, MAAS_E_INTERNAL, "'%s' came out with another type than inferred",
                         maas_graph_at(e->p->g, v)->name);
    e->values[v] = *made;
    return MAAS_OK;
}

static maas_status infer_now(maas_exec *e, const maas_node *n, maas_tensor *in, maas_tensor *out,
                             const maas_type **out_found, maas_err *err)
{
    maas_type *in_types = maas_arena_array(&e->late, n->n_in, sizeof *in_types);
    maas_type *out_types = maas_arena_array(&e->late, n->n_out, sizeof *out_types);
    maas_known *in_known = maas_arena_array(&e->late, n->n_in, sizeof *in_known);
    maas_known *out_known = maas_arena_array(&e->late, n->n_out, sizeof *out_known);
    if (!in_types || !out_types || !in_known || !out_known)
        return maas_fail(err, MAAS_E_NOMEM, "shapes of a late step");
    for (int i = 0; i < n->n_in; i++) {
        if (in[i].dtype != MAAS_DT_NONE)
            in_types[i] = maas_type_of(&in[i]);
        learn_content(&in[i], &in_known[i]);
    }
    for (int i = 0; i < n->n_out; i++)
        out_known[i].n = -1;
    maas_infer q = {e->late_graph, n, in_types, in, in_known, out_types, out_known};
    MAAS_TRY(n->op->infer(&q, err));
    for (int i = 0; i < n->n_out; i++)
        MAAS_TRY(place_output(e, n->out[i], &out_types[i], n->op->flags & MAAS_OP_DYNAMIC, &out[i],
                              err));
    *out_found = out_types;
    return MAAS_OK;
}

/* Types were found when the plan was made: the graphs are asked about shapes as they run. */
static maas_status run_control(maas_exec *e, uint32_t step, maas_err *err)
{
    const maas_node *n = e->p->steps[step].node;
    maas_call *c = &e->calls[step];
    MAAS_TRY(maas_flow_of(e, step, &c->bodies, err));
    c->arena = &e->late;
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] >= 0)
            MAAS_TRY(place_output(e, n->out[i], &maas_graph_at(e->p->g, n->out[i])->type, true,
                                  &c->out[i], err));
    MAAS_TRY(n->op->reference(c, err));
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] >= 0)
            MAAS_TRY(take_output(e, n->out[i], &maas_graph_at(e->p->g, n->out[i])->type, &c->out[i],
                                 err));
    return MAAS_OK;
}

static maas_tensor late_value(const maas_exec *e, maas_vid v)
{
    const maas_place *at = &e->p->places[v];
    return at->where == MAAS_AT_INPUT ? e->inputs[at->index] : e->values[v];
}

maas_status maas_late_run(maas_exec *e, uint32_t step, maas_err *err)
{
    const maas_step *s = &e->p->steps[step];
    const maas_node *n = s->node;
    maas_call *c = &e->calls[step];
    maas_tensor *in = e->operands + s->operand;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] >= 0 && maas_value_is_late(e->p->g, n->in[i]))
            in[i] = late_value(e, n->in[i]);
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] >= 0 && e->p->places[n->out[i]].where == MAAS_AT_LATE)
            c->out[i].data = NULL;
    if (n->op->flags & MAAS_OP_CONTROL)
        return run_control(e, step, err);
    if ((n->op->flags & MAAS_OP_VIEW) && in[0].holds) { /* nobody ever writes into a list */
        c->out[0] = e->values[n->out[0]] = in[0];
        return MAAS_OK;
    }
    const maas_type *found;
    MAAS_TRY(infer_now(e, n, in, c->out, &found, err));
    if (n->op->flags & MAAS_OP_DYNAMIC) {
        c->arena = &e->late;
        MAAS_TRY(n->op->reference(c, err));
        for (int i = 0; i < n->n_out; i++)
            MAAS_TRY(take_output(e, n->out[i], &found[i], &c->out[i], err));
        return MAAS_OK;
    }
    /* kernels that prepare hold memory for longer than a run: not here */
    const maas_kernel *k = e->p->reference ? NULL : maas_kernel_pick(c, e->p->cpu);
    return k && !k->prepare ? k->run(c, 0, 1, err) : n->op->reference(c, err);
}
