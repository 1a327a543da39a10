/*
 * LinearAttention: for every head of keys a state S [d_k][d_v] that a step changes and reads.
 *
 *   linear       S = S + k v^T              o = scale q^T S
 *   gated        S = e^g S + k v^T
 *   delta        S = S + beta k (v - S^T k)^T
 *   gated_delta  S = e^g S + beta k (v - e^g S^T k)^T
 *
 * Heads lie next to each other in [B][T][heads * d]; heads of queries share those of keys.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

enum { Q, K, V, PAST, DECAY, BETA };

typedef struct linear {
    int64_t batch, steps, heads, kv_heads, d_k, d_v;
    bool gated, delta;
    double scale;
} linear;

static maas_status read_rule(const maas_node *n, linear *a, maas_err *err)
{
    static const struct {
        const char *word;
        bool gated, delta;
    } rules[] = {{"gated_delta", true, true},
                 {"gated", true, false},
                 {"delta", false, true},
                 {"linear", false, false}};
    const maas_str s = maas_attr_s(n, "update_rule", "gated_delta");
    a->heads = maas_attr_i(n, "q_num_heads", 0);
    a->kv_heads = maas_attr_i(n, "kv_num_heads", 0);
    if (a->heads < 1 || a->kv_heads < 1 || a->heads > INT32_MAX || a->heads % a->kv_heads)
        return maas_fail(err, MAAS_E_INVALID, "%lld heads cannot share %lld heads of keys",
                         (long long)a->heads, (long long)a->kv_heads);
    for (size_t i = 0; i < MAAS_COUNT(rules); i++)
        if (s.n == strlen(rules[i].word) && memcmp(s.p, rules[i].word, s.n) == 0) {
            a->gated = rules[i].gated;
            a->delta = rules[i].delta;
            return MAAS_OK;
        }
    return maas_fail(err, MAAS_E_INVALID,
                     "attribute 'update_rule' must be linear, gated, delta or gated_delta");
}

/* [B][T][heads * d]: learns d. */
static maas_status read_packed(const maas_infer *q, int i, int64_t heads, int64_t *batch,
                               int64_t *steps, int64_t *d, maas_err *err)
{
    const maas_type *t = &q->in[i];
    const char *name = q->node->op->in[i].name;
    if (t->rank < 0)
        return MAAS_OK;
    if (t->rank != 3)
        return maas_fail(err, MAAS_E_INVALID, "'%s' has rank %d, must be 3", name, t->rank);
    MAAS_TRY(maas_dim_same(*batch, t->dims[0], batch, name, err));
    MAAS_TRY(maas_dim_same(*steps, t->dims[1], steps, name, err));
    if (t->dims[2] >= 0 && t->dims[2] % heads)
        return maas_fail(err, MAAS_E_INVALID, "'%s': %lld numbers are not %lld heads", name,
                         (long long)t->dims[2], (long long)heads);
    return maas_dim_same(*d, t->dims[2] >= 0 ? t->dims[2] / heads : MAAS_DIM_UNKNOWN, d, name, err);
}

static maas_status check_gates(const maas_infer *q, const linear *a, maas_err *err)
{
    const bool has[2] = {maas_q_has(q, DECAY), maas_q_has(q, BETA)}, want[2] = {a->gated, a->delta};
    for (int i = 0; i < 2; i++) {
        const maas_type *t = &q->in[DECAY + i];
        int64_t batch = a->batch, steps = a->steps;
        if (has[i] != want[i])
            return maas_fail(err, MAAS_E_INVALID, "input '%s' and the update rule do not agree",
                             q->node->op->in[DECAY + i].name);
        if (!has[i] || t->rank < 0)
            continue;
        if (t->rank != 3)
            return maas_fail(err, MAAS_E_INVALID, "a gate has rank %d, must be 3", t->rank);
        MAAS_TRY(maas_dim_same(batch, t->dims[0], &batch, "batch of a gate", err));
        MAAS_TRY(maas_dim_same(steps, t->dims[1], &steps, "steps of a gate", err));
        const int64_t n = t->dims[2], other = i ? 1 : a->d_k < 0 ? -1 : a->kv_heads * a->d_k;
        if (n >= 0 && n != a->kv_heads && n != other && other >= 0)
            return maas_fail(err, MAAS_E_INVALID, "%lld gates for %lld heads", (long long)n,
                             (long long)a->kv_heads);
    }
    return MAAS_OK;
}

static maas_status linear_infer(maas_infer *q, maas_err *err)
{
    const int64_t none = MAAS_DIM_UNKNOWN;
    const maas_type *past = &q->in[PAST];
    const maas_dtype t = (maas_dtype)q->in[0].dtype;
    linear a = {.batch = none, .steps = none, .d_k = none, .d_v = none};
    MAAS_TRY(read_rule(q->node, &a, err));
    MAAS_TRY(read_packed(q, Q, a.heads, &a.batch, &a.steps, &a.d_k, err));
    MAAS_TRY(read_packed(q, K, a.kv_heads, &a.batch, &a.steps, &a.d_k, err));
    MAAS_TRY(read_packed(q, V, a.kv_heads, &a.batch, &a.steps, &a.d_v, err));
    if (maas_q_has(q, PAST) && past->rank >= 0) {
        if (past->rank != 4)
            return maas_fail(err, MAAS_E_INVALID, "past_state has rank %d, must be 4", past->rank);
        MAAS_TRY(maas_dim_same(a.batch, past->dims[0], &a.batch, "past_state", err));
        MAAS_TRY(maas_dim_same(a.kv_heads, past->dims[1], &a.kv_heads, "past_state", err));
        MAAS_TRY(maas_dim_same(a.d_k, past->dims[2], &a.d_k, "past_state", err));
        MAAS_TRY(maas_dim_same(a.d_v, past->dims[3], &a.d_v, "past_state", err));
    }
    MAAS_TRY(check_gates(q, &a, err));
    const int64_t sizes[2] = {a.heads, a.d_v};
    maas_q_out(
        q, 0, t, 3,
        (const int64_t[]){a.batch, a.steps, a.d_v < 0 ? none : maas_dim_product(sizes, 0, 2)});
    maas_q_out(q, 1, maas_q_has(q, PAST) ? (maas_dtype)past->dtype : t, 4,
               (const int64_t[]){a.batch, a.kv_heads, a.d_k, a.d_v});
    return MAAS_OK;
}

/* One head of one batch row. */
typedef struct head {
    const maas_call *c;
    const linear *a;
    int64_t b, h;
    double *s, *fresh; /* [d_k][d_v], [d_v]: what is written this step */
} head;

static double gate(const head *w, int i, int64_t t, int64_t d)
{
    const maas_tensor *g = &w->c->in[i];
    const int64_t n = g->dims[2], row = (w->b * w->a->steps + t) * n;
    return maas_ld(g, row + (n == 1 ? 0 : n == w->a->kv_heads ? w->h : w->h * w->a->d_k + d));
}

static double key(const head *w, int64_t t, int64_t d)
{
    const linear *a = w->a;
    return maas_ld(&w->c->in[K], ((w->b * a->steps + t) * a->kv_heads + w->h) * a->d_k + d);
}

static void change(const head *w, int64_t t)
{
    const linear *a = w->a;
    for (int64_t d = 0; a->gated && d < a->d_k; d++) {
        const double keep = exp(gate(w, DECAY, t, d));
        for (int64_t m = 0; m < a->d_v; m++)
            w->s[d * a->d_v + m] *= keep;
    }
    for (int64_t m = 0; m < a->d_v; m++) {
        double v = maas_ld(&w->c->in[V], ((w->b * a->steps + t) * a->kv_heads + w->h) * a->d_v + m);
        for (int64_t d = 0; a->delta && d < a->d_k; d++)
            v -= w->s[d * a->d_v + m] * key(w, t, d);
        w->fresh[m] = a->delta ? v * gate(w, BETA, t, 0) : v;
    }
    for (int64_t d = 0; d < a->d_k; d++)
        for (int64_t m = 0; m < a->d_v; m++)
            w->s[d * a->d_v + m] += key(w, t, d) * w->fresh[m];
}

static void read_out(const head *w, int64_t t)
{
    const linear *a = w->a;
    const int64_t group = a->heads / a->kv_heads;
    for (int64_t g = 0; g < group; g++) {
        const int64_t row = (w->b * a->steps + t) * a->heads + w->h * group + g;
        for (int64_t m = 0; m < a->d_v; m++) {
            double sum = 0;
            for (int64_t d = 0; d < a->d_k; d++)
                sum += maas_ld(&w->c->in[Q], row * a->d_k + d) * w->s[d * a->d_v + m];
            maas_st(&w->c->out[0], row * a->d_v + m, sum * a->scale);
        }
    }
}

static linear linear_of(const maas_call *c)
{
    linear a = {0};
    MAAS_CHECK(read_rule(c->node, &a, NULL) == MAAS_OK); /* infer has seen it */
    a.batch = c->in[Q].dims[0];
    a.steps = c->in[Q].dims[1];
    a.d_k = c->in[Q].dims[2] / a.heads;
    a.d_v = c->in[V].dims[2] / a.kv_heads;
    a.scale = maas_attr_f(c->node, "scale", 0);
    if (a.scale == 0)
        a.scale = 1 / sqrt((double)a.d_k);
    return a;
}

static maas_status linear_reference(const maas_call *c, maas_err *err)
{
    const linear a = linear_of(c);
    const maas_tensor *past = maas_c_in(c, PAST), *present = maas_c_out(c, 1);
    const int64_t n = a.d_k * a.d_v;
    AUTO_FREE double *room = maas_calloc((size_t)(n + a.d_v) + 1, sizeof *room);
    if (!room)
        return maas_fail(err, MAAS_E_NOMEM, "the state of LinearAttention");
    for (int64_t k = 0; k < a.batch * a.kv_heads; k++) {
        const head w = {c, &a, k / a.kv_heads, k % a.kv_heads, room, room + n};
        for (int64_t i = 0; i < n; i++)
            room[i] = past ? maas_ld(past, k * n + i) : 0;
        for (int64_t t = 0; t < a.steps; t++) {
            change(&w, t);
            read_out(&w, t);
        }
        for (int64_t i = 0; present && i < n; i++)
            maas_st(present, k * n + i, room[i]);
    }
    return MAAS_OK;
}

static int64_t linear_flops(const maas_call *c)
{
    const linear a = linear_of(c);
    return 2 * a.batch * a.steps * a.d_k * a.d_v * (a.heads + 3 * a.kv_heads);
}

static void linear_example(maas_example *e)
{
    static const struct {
        const char *rule;
        int heads, kv_heads, steps, past, decay, beta; /* decay, beta: last sizes; 0: none */
    } cases[] = {{"linear", 2, 2, 3, 0, 0, 0},
                 {"gated", 2, 1, 2, 1, 3, 0},
                 {"delta", 2, 2, 3, 1, 0, 2},
                 {"gated_delta", 4, 2, 3, 0, 2, 1},
                 {"linear", 1, 1, 0, 1, 0, 0}};
    const int k = e->variant / 2;
    const int64_t n = cases[k].kv_heads, t = cases[k].steps;
    const maas_dtype f = maas_ex_float(e);
    const maas_attr a[] = {MAAS_A_INT("q_num_heads", cases[k].heads), MAAS_A_INT("kv_num_heads", n),
                           MAAS_A_STR("update_rule", cases[k].rule)};
    maas_vid out[2], in[6] = {maas_ex_in(e, f, -1, 1, MAAS_DIMS(2, t, cases[k].heads * 3)),
                              maas_ex_in(e, f, -1, 1, MAAS_DIMS(2, t, n * 3)),
                              maas_ex_in(e, f, -1, 1, MAAS_DIMS(2, t, n * 4))};
    in[PAST] = cases[k].past ? maas_ex_in(e, f, -1, 1, MAAS_DIMS(2, n, 3, 4)) : MAAS_NO_VALUE;
    in[DECAY] = cases[k].decay ? maas_ex_in(e, f, -1, 0, MAAS_DIMS(2, t, cases[k].decay))
                               : MAAS_NO_VALUE;
    in[BETA] = cases[k].beta ? maas_ex_in(e, f, 0, 1, MAAS_DIMS(2, t, cases[k].beta))
                             : MAAS_NO_VALUE;
    maas_b_node(e->b, "LinearAttention", a, 3, in, 6, out, 2);
}

static const maas_io_schema in[] = {
    MAAS_REQ("query", "T", MAAS_DTS_FLOAT), MAAS_REQ("key", "T", MAAS_DTS_FLOAT),
    MAAS_REQ("value", "T", MAAS_DTS_FLOAT), MAAS_OPT("past_state", "S", MAAS_DTS_FLOAT),
    MAAS_OPT("decay", "T", MAAS_DTS_FLOAT), MAAS_OPT("beta", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema out[] = {MAAS_REQ("output", "T", MAAS_DTS_FLOAT),
                                     MAAS_REQ("present_state", "S", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"q_num_heads", MAAS_ATTR_INT, true},
                                         {"kv_num_heads", MAAS_ATTR_INT, true},
                                         {"update_rule", MAAS_ATTR_STRING, false},
                                         {"scale", MAAS_ATTR_FLOAT, false},
                                         {"chunk_size", MAAS_ATTR_INT, false}};

const maas_op maas_op_LinearAttention = {
    .domain = "",
    .name = "LinearAttention",
    .since = 27,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 10,
    .tolerance = 1e-5,
    .infer = linear_infer,
    .reference = linear_reference,
    .flops = linear_flops,
    .example = linear_example,
    .no_gradient = "steps back through its state are not written",
};
