/*
 * lib/session.c - maas_session_* of the public header.
 *
 * A plan belongs to the shapes of all inputs; a session keeps the last few and their executors, so
 * that a program that alternates between batch sizes compiles each once.
 */
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "lib/lib_int.h"
#include "base/ban.h"

#define MAX_PLANS 8

typedef struct session_plan {
    maas_plan *plan;
    maas_exec *exec;
    void **own; /* [n_inputs] the executor's own buffers */
    maas_type *types;
    uint64_t used; /* when: larger is later; 0: the slot is empty */
} session_plan;

typedef struct session_input {
    const void *data; /* borrowed, or `strings` */
    maas_type type;
    bool is_set;
    maas_str *strings; /* of a string input */
} session_input;

struct maas_session {
    maas_model *model;
    session_input *inputs; /* [n_inputs] */
    session_plan plans[MAX_PLANS];
    uint64_t clock;
    session_plan *last;      /* of the last run that succeeded; NULL: its outputs are gone */
    maas_arena texts;        /* strings of the outputs, as C strings */
    const char ***out_texts; /* [n_outputs], of the last run */
    bool profile;
    maas_err err;
};

/* A new attempt: what failed before no longer matters. */
static void begin(maas_session *s)
{
    s->err = (maas_err){0};
}

static void plan_reset(session_plan *p)
{
    maas_exec_destroy(p->exec);
    maas_plan_destroy(p->plan);
    maas_free(p->own);
    maas_free(p->types);
    *p = (session_plan){0};
}

maas_status maas_session_create(maas_model *model, maas_session **out)
{
    size_t n_in = model->graph->n_inputs, n_out = model->graph->n_outputs;
    maas_session *s = maas_calloc(1, sizeof *s);
    if (!s)
        return MAAS_E_NOMEM;
    maas_model_ref(model);
    s->model = model;
    maas_arena_init(&s->texts, &model->budget);
    s->inputs = maas_calloc(n_in + 1, sizeof *s->inputs);
    s->out_texts = maas_calloc(n_out + 1, sizeof *s->out_texts);
    if (!s->inputs || !s->out_texts) {
        maas_session_free(s);
        return MAAS_E_NOMEM;
    }
    *out = s;
    return MAAS_OK;
}

void maas_session_free(maas_session *s)
{
    if (!s)
        return;
    for (int i = 0; i < MAX_PLANS; i++)
        plan_reset(&s->plans[i]);
    for (uint32_t i = 0; s->inputs && i < s->model->graph->n_inputs; i++)
        maas_free(s->inputs[i].strings);
    maas_free(s->inputs);
    maas_free(s->out_texts);
    maas_arena_reset(&s->texts);
    maas_model_free(s->model);
    maas_free(s);
}

const char *maas_session_error(const maas_session *s)
{
    return s->err.msg;
}

/* ---- inputs ---- */

static maas_status check_shape(maas_session *s, const maas_io *io, const int64_t *dims,
                               int32_t rank)
{
    char want[MAAS_SHAPE_TEXT], got[MAAS_SHAPE_TEXT];
    bool fits = io->rank < 0 || rank == io->rank;
    for (int32_t d = 0; fits && io->rank >= 0 && d < rank; d++)
        fits = io->dims[d] < 0 || io->dims[d] == dims[d];
    if (fits)
        return MAAS_OK;
    return maas_fail(&s->err, MAAS_E_INVALID, "input '%s' takes shape %s, not %s", io->name,
                     maas_shape_text(io->dims, io->rank, want), maas_shape_text(dims, rank, got));
}

/* An array of C strings -> the strings of ours, which point to the caller's bytes. */
static maas_status take_strings(maas_session *s, session_input *in, const char *const *texts,
                                size_t n, const char *name)
{
    maas_str *strings = maas_calloc(n + 1, sizeof *strings);
    if (!strings)
        return maas_fail(&s->err, MAAS_E_NOMEM, "memory for input '%s'", name);
    for (size_t i = 0; i < n; i++) {
        if (!texts[i]) {
            maas_free(strings);
            return maas_fail(&s->err, MAAS_E_INVALID, "string %zu of input '%s' is NULL", i, name);
        }
        strings[i] = (maas_str){texts[i], strlen(texts[i])};
    }
    maas_free(in->strings);
    in->data = in->strings = strings;
    return MAAS_OK;
}

maas_status maas_session_set_input(maas_session *s, uint32_t i, const int64_t *dims, int32_t rank,
                                   const void *data, size_t n_bytes)
{
    size_t want;
    begin(s);
    if (i >= s->model->graph->n_inputs)
        return maas_fail(&s->err, MAAS_E_NOT_FOUND, "the model has %u inputs",
                         s->model->graph->n_inputs);
    const maas_io *io = &s->model->inputs[i];
    session_input *in = &s->inputs[i];
    bool text = io->dtype == MAAS_STRING;
    MAAS_TRY(maas_shape_bytes(io->dtype, dims, rank, &want, &s->err));
    MAAS_TRY(check_shape(s, io, dims, rank));
    if (text)
        want = want / sizeof(maas_str) * sizeof(const char *);
    if (n_bytes != want || (!data && want))
        return maas_fail(&s->err, MAAS_E_INVALID,
                         "input '%s' of that shape takes %zu bytes, not %zu", io->name, want,
                         data ? n_bytes : 0);
    if (text)
        MAAS_TRY(take_strings(s, in, data, n_bytes / sizeof(const char *), io->name));
    else
        in->data = data;
    in->type = maas_type_tensor(io->dtype, rank, dims);
    in->is_set = true;
    return MAAS_OK;
}

/* ---- plans ---- */

static bool same_shapes(const maas_session *s, const session_plan *p)
{
    for (uint32_t i = 0; i < s->model->graph->n_inputs; i++) {
        const maas_type *a = &p->types[i], *b = &s->inputs[i].type;
        if (a->rank != b->rank || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) != 0)
            return false;
    }
    return true;
}

static maas_status compile(maas_session *s, session_plan *p)
{
    const maas_graph *g = s->model->graph;
    maas_plan_opts o = MAAS_PLAN_OPTS_INIT;
    o.n_threads = s->model->n_threads;
    o.budget = &s->model->budget;
    p->types = maas_calloc(g->n_inputs + 1, sizeof *p->types);
    p->own = maas_calloc(g->n_inputs + 1, sizeof *p->own);
    if (!p->types || !p->own)
        return maas_fail(&s->err, MAAS_E_NOMEM, "memory for a plan");
    for (uint32_t i = 0; i < g->n_inputs; i++)
        p->types[i] = s->inputs[i].type;
    MAAS_TRY(maas_plan_create(g, p->types, &o, &p->plan, &s->err));
    MAAS_TRY(maas_exec_create(p->plan, NULL, &p->exec, &s->err));
    for (uint32_t i = 0; i < g->n_inputs; i++)
        p->own[i] = maas_exec_input(p->exec, i)->data;
    return MAAS_OK;
}

/* The plan for these shapes; else the slot that was not used for the longest time gets it. */
static maas_status find_plan(maas_session *s, session_plan **out)
{
    session_plan *oldest = &s->plans[0];
    for (int i = 0; i < MAX_PLANS; i++) {
        session_plan *p = &s->plans[i];
        if (p->used && same_shapes(s, p)) {
            *out = p;
            return MAAS_OK;
        }
        oldest = p->used < oldest->used ? p : oldest;
    }
    plan_reset(oldest);
    maas_status st = compile(s, oldest);
    if (st != MAAS_OK) {
        plan_reset(oldest);
        return st;
    }
    *out = oldest;
    return MAAS_OK;
}

/* ---- running ---- */

/* Kernels read elements where they lie; a caller's bytes at an odd address are copied first. */
static void bind_input(session_plan *p, uint32_t i, const session_input *in)
{
    maas_tensor *t = maas_exec_input(p->exec, i);
    size_t item = maas_dtype_size((maas_dtype)t->dtype);
    item = item > sizeof(void *) ? sizeof(void *) : item;
    t->data = p->own[i];
    if (in->data && (uintptr_t)in->data % item == 0)
        t->data = (void *)in->data;
    else if (in->data && maas_tensor_bytes(t))
        memcpy(t->data, in->data, maas_tensor_bytes(t));
}

/* Strings of the outputs become C strings, once a run. */
static maas_status make_texts(maas_session *s, const session_plan *p)
{
    maas_arena_rewind(&s->texts);
    for (uint32_t i = 0; i < s->model->graph->n_outputs; i++) {
        const maas_tensor *t = maas_exec_output(p->exec, i);
        if (t->dtype != MAAS_STRING)
            continue;
        size_t n = (size_t)maas_n_elems(t);
        const char **texts = maas_arena_array(&s->texts, n, sizeof *texts);
        for (size_t k = 0; texts && k < n; k++) {
            const maas_str *str = (const maas_str *)t->data + k;
            if (!(texts[k] = maas_arena_strndup(&s->texts, str->p ? str->p : "", str->n)))
                texts = NULL;
        }
        if (!texts)
            return maas_fail(&s->err, MAAS_E_NOMEM, "memory for the outputs");
        s->out_texts[i] = texts;
    }
    return MAAS_OK;
}

maas_status maas_session_run(maas_session *s)
{
    const maas_graph *g = s->model->graph;
    session_plan *p;
    begin(s);
    s->last = NULL;
    for (uint32_t i = 0; i < g->n_inputs; i++)
        if (!s->inputs[i].is_set)
            return maas_fail(&s->err, MAAS_E_INVALID, "input '%s' is not set",
                             s->model->inputs[i].name);
    MAAS_TRY(find_plan(s, &p));
    p->used = ++s->clock;
    for (uint32_t i = 0; i < g->n_inputs; i++)
        bind_input(p, i, &s->inputs[i]);
    maas_exec_profile(p->exec, s->profile);
    MAAS_TRY(maas_exec_run(p->exec, &s->err));
    MAAS_TRY(make_texts(s, p));
    s->last = p;
    return MAAS_OK;
}

maas_status maas_session_output(maas_session *s, uint32_t i, const int64_t **out_dims,
                                int32_t *out_rank, const void **out_data, size_t *out_n_bytes)
{
    begin(s);
    if (i >= s->model->graph->n_outputs)
        return maas_fail(&s->err, MAAS_E_NOT_FOUND, "the model has %u outputs",
                         s->model->graph->n_outputs);
    if (!s->last)
        return maas_fail(&s->err, MAAS_E_CONFLICT, "there was no run yet, or the last one failed");
    const maas_tensor *t = maas_exec_output(s->last->exec, i);
    bool text = t->dtype == MAAS_STRING;
    *out_dims = t->dims;
    *out_rank = t->rank;
    *out_data = text ? (const void *)s->out_texts[i] : t->data;
    *out_n_bytes = text ? (size_t)maas_n_elems(t) * sizeof(const char *) : maas_tensor_bytes(t);
    return MAAS_OK;
}

maas_status maas_session_set_profile(maas_session *s, int on)
{
    s->profile = on != 0;
    return MAAS_OK;
}

maas_status maas_session_profile(const maas_session *s, char **out_json)
{
    maas_buf b = MAAS_BUF_INIT(64u << 20);
    if (!s->last || !s->profile)
        return MAAS_E_CONFLICT;
    maas_exec_profile_json(s->last->exec, &b);
    char *text = b.failed ? NULL : maas_buf_steal(&b, NULL);
    maas_buf_reset(&b);
    if (!text)
        return MAAS_E_NOMEM;
    *out_json = text;
    return MAAS_OK;
}
