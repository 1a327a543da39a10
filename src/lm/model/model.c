#include "lm/model.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "lm/model/model_int.h"
#include "lm/model/shapes.h"
#include "runtime/plan.h"
#include "base/ban.h"

enum { DEFAULT_ROWS = 512, DEFAULT_SEQS = 64, MAX_ROWS = 4096, MAX_SEQS = 1024 };
#define DEFAULT_CACHE ((size_t)256 << 20)

struct maas_lm {
    maas_lm_info info;
    maas_lm_hyper hyper;
    maas_lm_opts opts;
    maas_graph *graph;
    maas_vars *vars;
    maas_lm_shapes shapes;
    int32_t *table;     /* [max_seqs][max_blocks] */
    int64_t max_blocks; /* of a sequence */
};

/* ---- what it is ---- */

static void weigh(const maas_lm_source *s, maas_lm_info *info)
{
    for (uint32_t i = 0; i < maas_lm_n_weights(s); i++) {
        const maas_lm_weight *w = maas_lm_weight_at(s, i);
        uint64_t n = 1;
        for (int k = 0; k < w->rank; k++)
            n *= (uint64_t)w->dims[k];
        info->n_params += n;
        info->weight_bytes += w->bytes;
    }
}

static void describe(const maas_lm_source *s, const maas_lm_hyper *h, maas_lm_info *out)
{
    *out = (maas_lm_info){.n_vocab = (int32_t)h->n_vocab,
                          .n_embd = (int32_t)h->n_embd,
                          .n_layers = (int32_t)h->n_layers,
                          .n_heads = (int32_t)h->n_heads,
                          .n_kv_heads = (int32_t)h->n_kv_heads,
                          .n_context = (int32_t)h->n_context,
                          .n_context_train = (int32_t)h->n_context,
                          .n_adapters = (int32_t)maas_lm_n_adapters(s)};
    snprintf(out->arch, sizeof out->arch, "%s", h->arch->name);
    const int64_t token = h->bytes ? h->size + h->v_size + 2 * MAAS_PAGE_SCALE
                                   : 2 * (h->size + h->v_size);
    out->block_bytes = (size_t)(h->n_layers * h->n_kv_heads * MAAS_PAGE * token);
    if (h->arch->flags & MAAS_ARCH_STATE)
        out->state_bytes = sizeof(float) *
                           (size_t)(h->n_layers * (h->ssm_inner * h->ssm_states +
                                                   (h->ssm_taps - 1) * maas_lm_conv_channels(h)));
    weigh(s, out);
}

maas_status maas_lm_check(const maas_lm_source *s, maas_lm_info *out, maas_err *err)
{
    maas_lm_hyper h;
    maas_graph *g = NULL;
    MAAS_TRY(maas_lm_hyper_read(s, &h, err));
    describe(s, &h, out);
    MAAS_TRY(maas_lm_graph(s, &h, 1, 1, 1, NULL, &g, err));
    maas_graph_destroy(g);
    return MAAS_OK;
}

/* ---- opening ---- */

maas_status maas_lm_cache_of(const char *name, maas_lm_cache *out, maas_err *err)
{
    static const char *const names[] = {[MAAS_LM_CACHE_F16] = "f16", [MAAS_LM_CACHE_Q8] = "q8"};
    for (size_t i = 0; i < MAAS_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (maas_lm_cache)i;
            return MAAS_OK;
        }
    return maas_fail(err, MAAS_E_INVALID,
                     "keys and values can be kept as f16 or q8, '%.32s' is neither", name);
}

static maas_status choose_cache(maas_lm *m, maas_err *err)
{
    m->hyper.bytes = m->opts.cache == MAAS_LM_CACHE_Q8;
    if (m->hyper.bytes && m->hyper.arch->flags & MAAS_ARCH_STATE)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "%s keeps a state of floats, not keys and values: its cache can be f16 "
                         "only (which says nothing), not q8",
                         m->hyper.arch->name);
    return m->hyper.bytes && m->hyper.arch->flags & MAAS_ARCH_LATENT
               ? maas_fail(err, MAAS_E_UNSUPPORTED,
                           "%s keeps one vector for keys and values, partly normed and partly "
                           "not: one scale does not fit both, so its cache can be f16 only, not q8",
                           m->hyper.arch->name)
               : MAAS_OK;
}

/* How many sequences have a state: what the cache may take, half of it where there are blocks, too;
 * and a step has no more sequences than that, so that whoever is in one has its own. */
static size_t size_states(maas_lm_info *i, size_t bytes)
{
    if (!i->state_bytes)
        return 0;
    const size_t n = (i->block_bytes ? bytes / 2 : bytes) / i->state_bytes;
    if (n < (size_t)i->max_seqs)
        i->max_seqs = n ? (int32_t)n : 1;
    i->n_states = i->max_seqs;
    return (size_t)i->n_states * i->state_bytes;
}

/* How many blocks: what the cache may take, but no more than all sequences could fill. */
static void size_cache(maas_lm *m)
{
    maas_lm_info *i = &m->info;
    size_t bytes = m->opts.cache_bytes ? m->opts.cache_bytes : DEFAULT_CACHE;
    const size_t states = size_states(i, bytes);
    if (!i->block_bytes) { /* a table that nothing reads */
        m->max_blocks = 1;
        return;
    }
    bytes -= states < bytes ? states : bytes;
    const size_t most = (size_t)m->max_blocks * (size_t)i->max_seqs;
    size_t n = bytes / i->block_bytes;
    n = n > most ? most : n;
    n = n < 2 ? 2 : n > INT32_MAX ? INT32_MAX : n;
    i->n_blocks = (int32_t)n;
    if (m->max_blocks > i->n_blocks) /* one sequence can have all there is */
        m->max_blocks = i->n_blocks;
    if ((int64_t)i->n_context > m->max_blocks * MAAS_PAGE)
        i->n_context = (int32_t)(m->max_blocks * MAAS_PAGE);
}

static maas_status open_all(maas_lm *m, const maas_lm_source *s, maas_err *err)
{
    maas_lm_info *i = &m->info;
    MAAS_TRY(maas_lm_hyper_read(s, &m->hyper, err));
    m->hyper.hidden = m->opts.hidden;
    MAAS_TRY(choose_cache(m, err));
    describe(s, &m->hyper, i);
    i->max_rows = m->opts.max_rows > 0 ? m->opts.max_rows : DEFAULT_ROWS;
    i->max_seqs = m->opts.max_seqs > 0 ? m->opts.max_seqs : DEFAULT_SEQS;
    if (i->max_rows > MAX_ROWS || i->max_seqs > MAX_SEQS)
        return maas_fail(err, MAAS_E_TOO_LARGE, "steps of %d rows and %d sequences", i->max_rows,
                         i->max_seqs);
    if (m->opts.max_context && m->opts.max_context < (uint32_t)i->n_context)
        i->n_context = (int32_t)m->opts.max_context;
    m->max_blocks = ((int64_t)i->n_context + MAAS_PAGE - 1) / MAAS_PAGE;
    size_cache(m);
    m->table = maas_calloc((size_t)i->max_seqs * (size_t)m->max_blocks, sizeof *m->table);
    if (!m->table)
        return maas_fail(err, MAAS_E_NOMEM, "the table of cache blocks");
    m->hyper.n_rows = i->n_context;
    MAAS_TRY(maas_lm_graph(s, &m->hyper, i->n_blocks, i->max_seqs, m->max_blocks, m->opts.budget,
                           &m->graph, err));
    return maas_vars_create(m->graph, m->opts.budget, &m->vars, err);
}

maas_status maas_lm_create(const maas_lm_source *s, const maas_lm_opts *o, maas_lm **out,
                           maas_err *err)
{
    maas_lm *m = maas_calloc(1, sizeof *m);
    if (!m)
        return maas_fail(err, MAAS_E_NOMEM, "a language model");
    m->opts = *o;
    maas_status st = open_all(m, s, err);
    if (st == MAAS_OK)
        *out = m;
    else
        maas_lm_destroy(m);
    return st;
}

void maas_lm_destroy(maas_lm *m)
{
    if (!m)
        return;
    maas_lm_shapes_reset(&m->shapes);
    maas_vars_destroy(m->vars);
    maas_graph_destroy(m->graph);
    maas_free(m->table);
    maas_free(m);
}

const maas_lm_info *maas_lm_about(const maas_lm *m)
{
    return &m->info;
}

/* ---- plans ---- */

static int64_t bucket(int64_t n, int64_t most)
{
    int64_t b = 1;
    while (b < n)
        b *= 2;
    return b < most ? b : most;
}

static maas_status plan_for(const maas_lm *m, int64_t rows, int64_t outs, maas_plan **out,
                            maas_err *err)
{
    maas_plan_opts o = MAAS_PLAN_OPTS_INIT;
    maas_type in[MAAS_LM_N_IN_ADAPTED];
    o.n_threads = m->opts.n_threads;
    o.budget = m->opts.budget;
    in[MAAS_LM_TOKENS] = in[MAAS_LM_AT] = in[MAAS_LM_SEQ] = maas_type_tensor(MAAS_I32, 1, &rows);
    in[MAAS_LM_STATE] = in[MAAS_LM_TOKENS];
    in[MAAS_LM_TABLE] = maas_type_tensor(MAAS_I32, 2,
                                         (const int64_t[]){m->info.max_seqs, m->max_blocks});
    in[MAAS_LM_OUT_ROWS] = maas_type_tensor(MAAS_I64, 1, &outs);
    in[MAAS_LM_ADAPTER] = in[MAAS_LM_TOKENS];
    in[MAAS_LM_STRENGTH] = maas_type_tensor(MAAS_F32, 1, &rows);
    return maas_plan_create(m->graph, in, &o, out, err);
}

static maas_status shape_for(maas_lm *m, int64_t rows, int64_t outs, maas_lm_shape **out,
                             maas_err *err)
{
    maas_plan *plan = NULL;
    if ((*out = maas_lm_shape_find(&m->shapes, rows, outs)))
        return MAAS_OK;
    MAAS_TRY(plan_for(m, rows, outs, &plan, err));
    MAAS_TRY(maas_lm_shape_add(&m->shapes, rows, outs, plan, m->vars, m->opts.budget, out, err));
    return MAAS_OK;
}

/* ---- a step ---- */

/* Of sequence i: it is there, and nobody else's. */
static maas_status check_state(const maas_lm *m, const maas_lm_batch *b, int32_t i, maas_err *err)
{
    const int32_t state = b->seqs[i].state;
    if (state < 0 || state >= m->info.n_states)
        return maas_fail(err, MAAS_E_INVALID, "sequence %d: state %d of %d", i, state,
                         m->info.n_states);
    for (int32_t k = 0; k < i; k++)
        if (b->seqs[k].state == state)
            return maas_fail(err, MAAS_E_INVALID, "sequences %d and %d have one state, %d", k, i,
                             state);
    return MAAS_OK;
}

static maas_status check_batch(const maas_lm *m, const maas_lm_batch *b, int64_t *out_rows,
                               maas_err *err)
{
    int64_t rows = 0;
    if (b->n_seqs < 1 || b->n_seqs > m->info.max_seqs || b->n_out < 0)
        return maas_fail(err, MAAS_E_INVALID, "a step of %d sequences", b->n_seqs);
    for (int32_t i = 0; i < b->n_seqs; i++) {
        const maas_lm_seq *s = &b->seqs[i];
        if (s->n < 1 || s->past < 0 || s->past > m->info.n_context - s->n)
            return maas_fail(err, MAAS_E_INVALID,
                             "sequence %d: %d tokens after %d, the context "
                             "has %d",
                             i, s->n, s->past, m->info.n_context);
        if (s->adapter < 0 || s->adapter > m->info.n_adapters)
            return maas_fail(err, MAAS_E_INVALID, "sequence %d: adapter %d of %d", i, s->adapter,
                             m->info.n_adapters);
        rows += s->n;
        if (rows > m->info.max_rows)
            return maas_fail(err, MAAS_E_INVALID, "a step of more than %d rows", m->info.max_rows);
        if (m->info.n_states)
            MAAS_TRY(check_state(m, b, i, err));
        if (!m->info.n_blocks)
            continue;
        for (int32_t k = 0; k < (s->past + s->n + MAAS_PAGE - 1) / MAAS_PAGE; k++)
            if (s->blocks[k] < 0 || s->blocks[k] >= m->info.n_blocks)
                return maas_fail(err, MAAS_E_INVALID, "sequence %d: block %d of %d", i,
                                 s->blocks[k], m->info.n_blocks);
    }
    for (int32_t i = 0; i < b->n_out; i++)
        if (b->out_rows[i] < 0 || b->out_rows[i] >= rows)
            return maas_fail(err, MAAS_E_INVALID, "logits of row %d of %d", b->out_rows[i],
                             (int)rows);
    for (int64_t i = 0; i < rows; i++)
        if (b->tokens[i] < 0 || b->tokens[i] >= m->info.n_vocab)
            return maas_fail(err, MAAS_E_INVALID, "token %d of %d", b->tokens[i], m->info.n_vocab);
    *out_rows = rows;
    return MAAS_OK;
}

static void feed_adapters(const maas_lm_shape *s, const maas_lm_batch *b)
{
    int32_t *adapter = maas_exec_input(s->exec, MAAS_LM_ADAPTER)->data;
    float *strength = maas_exec_input(s->exec, MAAS_LM_STRENGTH)->data;
    int64_t row = 0;
    for (int32_t i = 0; i < b->n_seqs; i++)
        for (int32_t k = 0; k < b->seqs[i].n; k++, row++) {
            adapter[row] = b->seqs[i].adapter - 1;
            strength[row] = b->seqs[i].strength;
        }
    for (; row < s->rows; row++) {
        adapter[row] = -1;
        strength[row] = 0;
    }
}

static void feed(maas_lm *m, const maas_lm_shape *s, const maas_lm_batch *b, int64_t rows)
{
    int32_t *tokens = maas_exec_input(s->exec, MAAS_LM_TOKENS)->data;
    int32_t *at = maas_exec_input(s->exec, MAAS_LM_AT)->data;
    int32_t *seq = maas_exec_input(s->exec, MAAS_LM_SEQ)->data;
    int32_t *state = maas_exec_input(s->exec, MAAS_LM_STATE)->data;
    int64_t *outs = maas_exec_input(s->exec, MAAS_LM_OUT_ROWS)->data, row = 0;
    maas_exec_input(s->exec, MAAS_LM_TABLE)->data = m->table;
    memcpy(tokens, b->tokens, (size_t)rows * sizeof *tokens);
    for (int32_t i = 0; i < b->n_seqs; i++) {
        const maas_lm_seq *q = &b->seqs[i];
        const int32_t n_blocks = (q->past + q->n + MAAS_PAGE - 1) / MAAS_PAGE;
        if (m->info.n_blocks)
            memcpy(m->table + (size_t)i * (size_t)m->max_blocks, q->blocks,
                   (size_t)n_blocks * sizeof *m->table);
        for (int32_t k = 0; k < q->n; k++, row++) {
            at[row] = q->past + k;
            seq[row] = i;
            state[row] = q->state;
        }
    }
    for (; row < s->rows; row++) {
        tokens[row] = at[row] = 0;
        seq[row] = state[row] = -1; /* padding */
    }
    for (int64_t i = 0; i < s->outs; i++)
        outs[i] = i < b->n_out ? b->out_rows[i] : 0;
}

maas_status maas_lm_step(maas_lm *m, const maas_lm_batch *b, const float **logits, maas_err *err)
{
    int64_t rows = 0;
    maas_lm_shape *s = NULL;
    MAAS_TRY(check_batch(m, b, &rows, err));
    MAAS_TRY(shape_for(m, bucket(rows, m->info.max_rows),
                       bucket(b->n_out > 0 ? b->n_out : 1, m->info.max_rows), &s, err));
    feed(m, s, b, rows);
    if (m->info.n_adapters)
        feed_adapters(s, b);
    MAAS_TRY(maas_exec_run(s->exec, err));
    *logits = maas_exec_output(s->exec, 0)->data;
    return MAAS_OK;
}
