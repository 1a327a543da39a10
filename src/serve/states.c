/*
 * Which outputs of a model are its inputs the next time: said by the metadata "maas.states"
 * ("h=hn,c=cn": input=output), or seen from names and types ("h0" and "hn", "past.0.key" and
 * "present.0.key", "state_in" and "state_out").
 */
#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "serve/instance_int.h"
#include "base/ban.h"

enum { STEM = 96 };

/* ---- names ---- */

/* Words that say where in time a state is, not which one. */
static const char *const times[] = {"in",   "input", "past",    "prev",    "previous", "old",
                                    "last", "out",   "output",  "present", "next",     "new",
                                    "cur",  "init",  "initial", "current", "n",        "values"};

static bool says_time(const char *word, size_t n)
{
    for (size_t i = 0; i < MAAS_COUNT(times); i++)
        if (strlen(times[i]) == n && memcmp(times[i], word, n) == 0)
            return true;
    return false;
}

/* Appends a word of the name, if it says which state; false: no room. */
static bool add_word(const char *word, size_t n, char *out, size_t *at)
{
    if (says_time(word, n))
        return true;
    if (n > 1 && (word[n - 1] == '0' || word[n - 1] == 'n'))
        n--; /* h0, hn */
    if (*at + n + 2 > STEM)
        return false;
    memcpy(out + *at, word, n);
    *at += n;
    out[(*at)++] = '.';
    return true;
}

/* What is left of a name without time: "" when nothing is. */
static void stem_of(const char *name, char out[STEM])
{
    char word[STEM];
    size_t n = 0, at = 0;
    if (strncmp(name, "past_key_values", 15) == 0)
        name += 15;
    for (;; name++) {
        if (isalnum((unsigned char)*name) && n < sizeof word) {
            word[n++] = (char)tolower((unsigned char)*name);
            continue;
        }
        if (n && !add_word(word, n, out, &at))
            at = 0;
        n = 0;
        if (!*name)
            break;
    }
    out[at] = '\0';
}

/* ---- pairs ---- */

static bool same_kind(const maas_port *a, const maas_port *b)
{
    bool same = a->dtype == b->dtype && a->rank == b->rank && a->dtype != MAAS_STRING;
    for (int d = 0; same && d < a->rank; d++)
        same = a->dims[d] == b->dims[d] || a->dims[d] < 0 || b->dims[d] < 0;
    return same;
}

/* The one output whose name has that stem; -1: none, or several. */
static int output_of(const maas_instance *m, const maas_port *in, const char *stem)
{
    char other[STEM];
    int found = -1;
    for (uint32_t i = 0; i < m->graph->n_outputs; i++) {
        stem_of(m->out[i].name, other);
        if (strcmp(stem, other) != 0 || !same_kind(in, &m->out[i]))
            continue;
        if (found >= 0)
            return -1;
        found = (int)i;
    }
    return found;
}

static bool is_taken(const maas_instance *m, uint32_t out)
{
    for (uint32_t i = 0; i < m->n_states; i++)
        if (m->states[i].out == out)
            return true;
    return false;
}

static void see_pairs(maas_instance *m)
{
    char stem[STEM];
    for (uint32_t i = 0; i < m->graph->n_inputs; i++) {
        stem_of(m->in[i].name, stem);
        const int out = *stem ? output_of(m, &m->in[i], stem) : -1;
        if (out >= 0 && !is_taken(m, (uint32_t)out))
            m->states[m->n_states++] = (maas_state){i, (uint32_t)out};
    }
}

static maas_status read_pairs(maas_instance *m, const char *text, maas_err *err)
{
    while (*text) {
        const size_t n = strcspn(text, ","), in = strcspn(text, "=,");
        const int i = maas_instance_find_input(m, text, in);
        const int o = in < n ? maas_instance_find_output(m, text + in + 1, n - in - 1) : -1;
        if (i < 0 || o < 0 || !same_kind(&m->in[i], &m->out[o]))
            return maas_fail(err, MAAS_E_INVALID,
                             "maas.states: '%.*s' is no input=output of one type",
                             (int)(n < 120 ? n : 120), text);
        if (m->n_states == m->graph->n_inputs)
            return maas_fail(err, MAAS_E_INVALID, "maas.states: more pairs than inputs");
        m->states[m->n_states++] = (maas_state){(uint32_t)i, (uint32_t)o};
        text += n + (text[n] == ',');
    }
    return MAAS_OK;
}

maas_status maas_instance_find_states(maas_instance *m, maas_err *err)
{
    const char *said = maas_instance_meta(m, "maas.states");
    m->states = maas_arena_array(&m->arena, m->graph->n_inputs, sizeof *m->states);
    if (!m->states)
        return maas_fail(err, MAAS_E_NOMEM, "states of the model");
    if (said)
        return read_pairs(m, said, err);
    see_pairs(m);
    return MAAS_OK;
}

const maas_state *maas_instance_states(const maas_instance *m, uint32_t *n)
{
    *n = m->n_states;
    return m->states;
}

/* ---- before the first run ---- */

/* A size that the request shows in another input; -1: it does not. */
static int64_t seen_size(const maas_run *r, int64_t symbol)
{
    const maas_graph *g = r->model->graph;
    for (uint32_t i = 0; symbol <= MAAS_DIM_SYMBOL(0) && i < g->n_inputs; i++) {
        const maas_type *t = &maas_graph_at(g, g->inputs[i])->type;
        for (int d = 0; r->in[i].dtype != MAAS_DT_NONE && d < t->rank && d < r->in[i].rank; d++)
            if (t->dims[d] == symbol)
                return r->in[i].dims[d];
    }
    return -1;
}

maas_status maas_run_first_state(maas_run *r, const maas_state *s, maas_err *err)
{
    const maas_instance *m = r->model;
    const maas_type *in = &maas_graph_at(m->graph, m->graph->inputs[s->in])->type;
    const maas_type *out = &maas_graph_at(m->graph, m->graph->outputs[s->out])->type;
    maas_tensor t = maas_tensor_of(m->in[s->in].dtype, in->rank, in->dims, NULL);
    size_t bytes;
    for (int d = 0; d < in->rank; d++) {
        if (in->dims[d] >= 0)
            continue;
        const int64_t seen = seen_size(r, in->dims[d]);
        /* What grows from run to run begins with nothing. */
        t.dims[d] = seen >= 0 ? seen : in->dims[d] == out->dims[d];
    }
    MAAS_TRY(maas_shape_bytes(m->in[s->in].dtype, t.dims, t.rank, &bytes, err));
    t.data = maas_arena_alloc(r->arena, bytes ? bytes : 1); /* zeroed */
    if (!t.data)
        return maas_fail(err, MAAS_E_NOMEM, "memory for the state '%s'", m->in[s->in].name);
    r->in[s->in] = t;
    return MAAS_OK;
}
