/* An encoder: plans for numbers of texts and lengths, and what becomes of the tokens' vectors. */
#include "lm/encoder.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "lm/model/encoder_int.h"
#include "runtime/plan.h"
#include "base/ban.h"

enum { DEFAULT_ROWS = 2048, MAX_ROWS = 1 << 20, MAX_SHAPES = 24, MIN_LENGTH = 8 };

typedef struct shape { /* a plan for so many texts of a length, and what runs it */
    struct shape *next;
    int64_t texts, length;
    maas_plan *plan;
    maas_exec *exec;
} shape;

struct maas_encoder {
    maas_encoder_info info;
    maas_enc_hyper hyper;
    maas_encoder_opts opts;
    maas_enc_causal *causal; /* instead of what follows */
    maas_graph *graph;
    maas_vars *vars;
    double *sum;   /* [n_out] */
    shape *shapes; /* the last used first; at most MAX_SHAPES */
};

/* ---- what it is ---- */

const char *maas_pooling_name(maas_pooling p)
{
    static const char *const names[] = {"", "mean", "cls", "last", "rank"};
    return names[p];
}

static void describe(const maas_lm_source *s, const maas_enc_hyper *h, maas_encoder_info *out)
{
    *out = (maas_encoder_info){.lm = {.n_vocab = (int32_t)h->n_vocab,
                                      .n_embd = (int32_t)h->n_embd,
                                      .n_layers = (int32_t)h->n_layers,
                                      .n_heads = (int32_t)h->n_heads,
                                      .n_kv_heads = (int32_t)h->n_heads,
                                      .n_context = (int32_t)h->n_context,
                                      .n_context_train = (int32_t)h->n_context},
                               .pooling = (maas_pooling)h->pooling};
    out->n_out = h->pooling == MAAS_POOL_RANK ? 1 : (int32_t)h->n_embd;
    snprintf(out->lm.arch, sizeof out->lm.arch, "%s", h->arch->name);
    for (uint32_t i = 0; i < maas_lm_n_weights(s); i++) {
        const maas_lm_weight *w = maas_lm_weight_at(s, i);
        uint64_t n = 1;
        for (int k = 0; k < w->rank; k++)
            n *= (uint64_t)w->dims[k];
        out->lm.n_params += n;
        out->lm.weight_bytes += w->bytes;
    }
}

static maas_status no_adapters(const maas_lm_source *s, maas_err *err)
{
    return maas_lm_n_adapters(s) ? maas_fail(err, MAAS_E_UNSUPPORTED,
                                             "adapters are for models that write, and this one is "
                                             "an encoder")
                                 : MAAS_OK;
}

maas_status maas_encoder_check(const maas_lm_source *s, maas_encoder_info *out, maas_err *err)
{
    maas_enc_hyper h;
    maas_graph *g = NULL;
    MAAS_TRY(no_adapters(s, err));
    if (maas_enc_is_causal(s))
        return maas_enc_causal_check(s, out, err);
    MAAS_TRY(maas_enc_hyper_read(s, &h, err));
    describe(s, &h, out);
    MAAS_TRY(maas_enc_graph(s, &h, NULL, &g, err));
    maas_graph_destroy(g);
    return MAAS_OK;
}

/* ---- life ---- */

static maas_status open_all(maas_encoder *e, const maas_lm_source *s, maas_err *err)
{
    MAAS_TRY(no_adapters(s, err));
    if (maas_enc_is_causal(s))
        return maas_enc_causal_create(s, &e->opts, &e->causal, &e->info, err);
    MAAS_TRY(maas_enc_hyper_read(s, &e->hyper, err));
    describe(s, &e->hyper, &e->info);
    e->info.lm.max_rows = e->opts.max_rows > 0 ? e->opts.max_rows : DEFAULT_ROWS;
    if (e->info.lm.max_rows > MAX_ROWS)
        return maas_fail(err, MAAS_E_TOO_LARGE, "runs of %d tokens", e->info.lm.max_rows);
    e->sum = maas_calloc((size_t)e->info.n_out, sizeof *e->sum);
    if (!e->sum)
        return maas_fail(err, MAAS_E_NOMEM, "an encoder");
    MAAS_TRY(maas_enc_graph(s, &e->hyper, e->opts.budget, &e->graph, err));
    return maas_vars_create(e->graph, e->opts.budget, &e->vars, err);
}

maas_status maas_encoder_create(const maas_lm_source *s, const maas_encoder_opts *o,
                                maas_encoder **out, maas_err *err)
{
    maas_encoder *e = maas_calloc(1, sizeof *e);
    if (!e)
        return maas_fail(err, MAAS_E_NOMEM, "an encoder");
    e->opts = *o;
    maas_status st = open_all(e, s, err);
    if (st == MAAS_OK)
        *out = e;
    else
        maas_encoder_destroy(e);
    return st;
}

static void free_shape(shape *s)
{
    maas_exec_destroy(s->exec);
    maas_plan_destroy(s->plan);
    maas_free(s);
}

void maas_encoder_destroy(maas_encoder *e)
{
    if (!e)
        return;
    while (e->shapes) {
        shape *s = e->shapes;
        e->shapes = s->next;
        free_shape(s);
    }
    maas_enc_causal_destroy(e->causal);
    maas_vars_destroy(e->vars);
    maas_graph_destroy(e->graph);
    maas_free(e->sum);
    maas_free(e);
}

const maas_encoder_info *maas_encoder_about(const maas_encoder *e)
{
    return &e->info;
}

/* ---- plans ---- */

/* Powers of two and what lies halfway between them: a third is padding at most. */
int32_t maas_encoder_length(const maas_encoder *e, int32_t n)
{
    int32_t b = MIN_LENGTH;
    while (b < n)
        b = b & (b - 1) ? b / 3 * 4 : b / 2 * 3;
    return b < e->info.lm.n_context ? b : e->info.lm.n_context;
}

int32_t maas_encoder_room(const maas_encoder *e, int32_t length)
{
    const int32_t n = e->info.lm.max_rows / length;
    if (e->causal)
        return maas_enc_causal_room(e->causal, length);
    return n > 1 ? n : 1;
}

static maas_status make_plan(maas_encoder *e, shape *s, maas_err *err)
{
    const int64_t dims[] = {s->texts, s->length};
    maas_plan_opts o = MAAS_PLAN_OPTS_INIT;
    maas_type in[MAAS_ENC_N_IN];
    o.n_threads = e->opts.n_threads;
    o.budget = e->opts.budget;
    in[MAAS_ENC_TOKENS] = in[MAAS_ENC_TYPES] = maas_type_tensor(MAAS_I32, 2, dims);
    in[MAAS_ENC_AT] = maas_type_tensor(MAAS_I64, 2, dims);
    in[MAAS_ENC_VALID] = in[MAAS_ENC_ROWS] = maas_type_tensor(MAAS_I64, 1, dims);
    MAAS_TRY(maas_plan_create(e->graph, in, &o, &s->plan, err));
    return maas_exec_create(s->plan, e->vars, &s->exec, err);
}

/* Plans hold memory for what is computed: those not used for long are let go. */
static void forget_oldest(maas_encoder *e)
{
    shape **at = &e->shapes;
    for (int n = 1; *at && n < MAX_SHAPES; n++)
        at = &(*at)->next;
    while (*at) {
        shape *gone = *at;
        *at = gone->next;
        free_shape(gone);
    }
}

static maas_status shape_for(maas_encoder *e, int64_t texts, int64_t length, shape **out,
                             maas_err *err)
{
    for (shape **at = &e->shapes, *s; (s = *at); at = &s->next)
        if (s->texts == texts && s->length == length) {
            *at = s->next;
            s->next = e->shapes;
            *out = e->shapes = s;
            return MAAS_OK;
        }
    forget_oldest(e);
    shape *s = maas_calloc(1, sizeof *s);
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "a plan");
    s->texts = texts;
    s->length = length;
    maas_status st = make_plan(e, s, err);
    if (st != MAAS_OK) {
        free_shape(s);
        return st;
    }
    s->next = e->shapes;
    *out = e->shapes = s;
    return MAAS_OK;
}

/* ---- a run ---- */

static maas_status check(const maas_encoder *e, const maas_encoder_text *texts, int32_t n,
                         maas_err *err)
{
    const maas_lm_info *i = &e->info.lm;
    const int32_t length = n > 0 ? maas_encoder_length(e, texts[0].n) : 1;
    if (n < 1 || n > maas_encoder_room(e, length))
        return maas_fail(err, MAAS_E_INVALID, "a run of %d texts", n);
    for (int32_t k = 0; k < n; k++) {
        const maas_encoder_text *t = &texts[k];
        if (t->n < 1 || t->n > i->n_context || maas_encoder_length(e, t->n) != length)
            return maas_fail(err, MAAS_E_INVALID, "text %d has %d tokens", k, t->n);
        for (int32_t j = 0; j < t->n; j++)
            if (t->tokens[j] < 0 || t->tokens[j] >= i->n_vocab)
                return maas_fail(err, MAAS_E_INVALID, "token %d of %d", t->tokens[j], i->n_vocab);
    }
    return MAAS_OK;
}

static void feed(const maas_encoder *e, const shape *s, const maas_encoder_text *texts, int32_t n)
{
    int32_t *tokens = maas_exec_input(s->exec, MAAS_ENC_TOKENS)->data;
    int32_t *types = maas_exec_input(s->exec, MAAS_ENC_TYPES)->data;
    int64_t *at = maas_exec_input(s->exec, MAAS_ENC_AT)->data;
    int64_t *valid = maas_exec_input(s->exec, MAAS_ENC_VALID)->data;
    int64_t *rows = maas_exec_input(s->exec, MAAS_ENC_ROWS)->data;
    for (int64_t k = 0; k < s->texts; k++) {
        const maas_encoder_text *t = k < n ? &texts[k] : NULL; /* NULL: padding */
        const int64_t len = t ? t->n : 1;
        valid[k] = len;
        rows[k] = k * s->length + (e->hyper.pooling == MAAS_POOL_LAST ? len - 1 : 0);
        for (int64_t j = 0; j < s->length; j++) {
            const int64_t to = k * s->length + j;
            tokens[to] = t && j < len ? t->tokens[j] : 0;
            types[to] = t && j < len && j >= t->second && e->hyper.n_types > 1;
            at[to] = j;
        }
    }
}

void maas_enc_settle(const double *sum, int64_t rows, int64_t n, bool unit, float *out)
{
    double length = 0;
    for (int64_t i = 0; i < n; i++)
        length += sum[i] * sum[i];
    const double by = unit && length > 0 ? sqrt(length) : (double)rows;
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)(sum[i] / by);
}

/* answer: of text k, its tokens' vectors where the mean is asked for, else one vector. */
static void take(maas_encoder *e, const shape *s, const float *answer, const maas_encoder_text *t,
                 int64_t k)
{
    const int64_t n = e->info.n_out, rows = e->hyper.pooling == MAAS_POOL_MEAN ? t->n : 1;
    const float *from = answer + k * (e->hyper.pooling == MAAS_POOL_MEAN ? s->length : 1) * n;
    memset(e->sum, 0, (size_t)n * sizeof *e->sum);
    for (int64_t j = 0; j < rows; j++)
        for (int64_t i = 0; i < n; i++)
            e->sum[i] += (double)from[j * n + i];
    maas_enc_settle(e->sum, rows, n, e->hyper.pooling != MAAS_POOL_RANK, t->out);
}

maas_status maas_encoder_run(maas_encoder *e, const maas_encoder_text *texts, int32_t n,
                             maas_err *err)
{
    shape *s = NULL;
    MAAS_TRY(check(e, texts, n, err));
    if (e->causal)
        return maas_enc_causal_run(e->causal, texts, n, err);
    const int32_t length = maas_encoder_length(e, texts[0].n), room = maas_encoder_room(e, length);
    int32_t b = 1;
    while (b < n)
        b *= 2;
    MAAS_TRY(shape_for(e, b < room ? b : room, length, &s, err));
    feed(e, s, texts, n);
    MAAS_TRY(maas_exec_run(s->exec, err));
    for (int32_t k = 0; k < n; k++)
        take(e, s, maas_exec_output(s->exec, 0)->data, &texts[k], k);
    return MAAS_OK;
}
