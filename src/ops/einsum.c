/*
 * Einsum: every element of the result is a sum, over all labels that it does not have, of products
 * of one element of each operand. An axis of size 1 broadcasts; a label that comes twice in an
 * operand walks its diagonal.
 *
 * EinsumGrad (ai.maas): (dY, operands..) with the equation and the number of an operand -> the
 * gradient of that operand: the same sum, over all labels that the operand does not have, of dY and
 * the other operands.
 */
#include "ops/einsum.h"

#include "ops/ops_int.h"

#include "base/ban.h"

#define N_LETTERS 52
#define MAX_WORK  (1ll << 44) /* products: hours of plain loops; more is an attack */

/* ---- the equation ---- */

typedef struct scanner {
    const char *p, *end;
    maas_err *err;
} scanner;

static int letter_of(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? 26 + c - 'a' : -1;
}

static void skip_spaces(scanner *s)
{
    while (s->p < s->end && *s->p == ' ')
        s->p++;
}

static bool take(scanner *s, const char *word)
{
    const size_t n = strlen(word);
    skip_spaces(s);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return false;
    s->p += n;
    return true;
}

/* The axes of one term; `dots` is how many the ellipsis stands for, -1: as many as fit the rank. */
static maas_status read_term(scanner *s, maas_einsum *e, int k, int rank, int dots)
{
    uint8_t labels[MAAS_MAX_RANK];
    int n = 0, at = -1; /* where the ellipsis is */
    for (;; n++) {
        if (at < 0 && take(s, "...")) {
            at = n--;
            continue;
        }
        skip_spaces(s);
        const int letter = s->p < s->end ? letter_of(*s->p) : -1;
        if (letter < 0)
            break;
        if (n == MAAS_MAX_RANK)
            return maas_fail(s->err, MAAS_E_UNSUPPORTED, "more than %d labels in a term",
                             MAAS_MAX_RANK);
        labels[n] = (uint8_t)letter;
        s->p++;
    }
    const int hidden = at < 0 ? 0 : dots >= 0 ? dots : rank - n;
    if (hidden < 0 || n + hidden > MAAS_MAX_RANK || (rank >= 0 && n + hidden != rank))
        return maas_fail(s->err, MAAS_E_INVALID,
                         "%d labels in the equation for an operand of rank %d", n, rank);
    e->rank[k] = (int8_t)(n + hidden);
    for (int i = 0, from = 0; i < n + hidden; i++) {
        const bool dot = at >= 0 && i >= at && i < at + hidden;
        e->label[k][i] = dot ? (uint8_t)(N_LETTERS + hidden - 1 - (i - at)) : labels[from++];
    }
    return MAAS_OK;
}

static int count_label(const maas_einsum *e, int from, int to, int label)
{
    int n = 0;
    for (int k = from; k < to; k++)
        for (int i = 0; i < e->rank[k]; i++)
            n += e->label[k][i] == label;
    return n;
}

static int most_dots(const maas_einsum *e)
{
    int n = 0;
    for (int d = 0; d < MAAS_MAX_RANK; d++)
        if (count_label(e, 0, e->n_in, N_LETTERS + d))
            n = d + 1;
    return n;
}

/* Without "->": what an ellipsis stands for, then the letters that come once, in order. */
static maas_status implicit_result(maas_einsum *e, maas_err *err)
{
    const int k = e->n_in;
    int n = 0;
    for (int d = most_dots(e); d > 0; d--)
        e->label[k][n++] = (uint8_t)(N_LETTERS + d - 1);
    for (int letter = 0; letter < N_LETTERS; letter++) {
        if (count_label(e, 0, e->n_in, letter) != 1)
            continue;
        if (n == MAAS_MAX_RANK)
            return maas_fail(err, MAAS_E_UNSUPPORTED, "a result of more than %d axes",
                             MAAS_MAX_RANK);
        e->label[k][n++] = (uint8_t)letter;
    }
    e->rank[k] = (int8_t)n;
    return MAAS_OK;
}

static maas_status check_result(const maas_einsum *e, maas_err *err)
{
    const int k = e->n_in, dots = most_dots(e);
    for (int i = 0; i < e->rank[k]; i++) {
        const int label = e->label[k][i];
        if (count_label(e, k, k + 1, label) > 1)
            return maas_fail(err, MAAS_E_INVALID, "a label comes twice in the result");
        if (!count_label(e, 0, k, label))
            return maas_fail(err, MAAS_E_INVALID, "a label of the result is in no operand");
    }
    if (dots && !count_label(e, k, k + 1, N_LETTERS))
        return maas_fail(err, MAAS_E_INVALID, "operands have an ellipsis, the result has none");
    return MAAS_OK;
}

maas_status maas_einsum_read(const maas_node *n, const int8_t *ranks, int n_in, maas_einsum *out,
                             maas_err *err)
{
    const maas_str text = maas_attr_s(n, "equation", "");
    scanner s = {text.p, text.p + text.n, err};
    maas_einsum e = {.n_in = n_in};
    if (n_in < 1 || n_in > MAAS_EINSUM_MAX_IN)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "%d operands, at most %d are supported", n_in,
                         MAAS_EINSUM_MAX_IN);
    for (int k = 0; k < n_in; k++) {
        if (k && !take(&s, ","))
            return maas_fail(err, MAAS_E_INVALID, "the equation has %d terms for %d operands", k,
                             n_in);
        MAAS_TRY(read_term(&s, &e, k, ranks[k], -1));
    }
    if (take(&s, "->"))
        MAAS_TRY(read_term(&s, &e, n_in, -1, most_dots(&e)));
    else
        MAAS_TRY(implicit_result(&e, err));
    skip_spaces(&s);
    if (s.p != s.end)
        return maas_fail(err, MAAS_E_INVALID, "the equation cannot be read from byte %d on",
                         (int)(s.p - text.p));
    MAAS_TRY(check_result(&e, err));
    *out = e;
    return MAAS_OK;
}

/* ---- shapes ---- */

static bool meet(int64_t a, int64_t b, int64_t *out)
{
    if (a == b || b == 1)
        *out = a;
    else if (a == 1)
        *out = b;
    else if (a >= 0 && b >= 0)
        return false;
    else
        *out = a >= 0 ? a : b >= 0 ? b : MAAS_DIM_UNKNOWN;
    return true;
}

/* The size of every label; 1 for those that are not used. */
static maas_status sizes_of(const maas_einsum *e, const maas_type *in, int64_t *size, maas_err *err)
{
    int64_t work = 1;
    for (int i = 0; i < MAAS_EINSUM_LABELS; i++)
        size[i] = 1;
    for (int k = 0; k < e->n_in; k++)
        for (int i = 0; i < e->rank[k]; i++) {
            const int label = e->label[k][i];
            if (!meet(size[label], in[k].dims[i], &size[label]))
                return maas_fail(err, MAAS_E_INVALID, "axis %d of operand %d is %lld, not %lld", i,
                                 k, (long long)in[k].dims[i], (long long)size[label]);
        }
    for (int i = 0; i < MAAS_EINSUM_LABELS; i++) {
        if (size[i] > 0 && (__builtin_mul_overflow(work, size[i], &work) || work > MAX_WORK))
            return maas_fail(err, MAAS_E_TOO_LARGE, "more than %lld products", MAX_WORK);
    }
    return MAAS_OK;
}

static maas_status read_types(const maas_infer *q, int first, maas_einsum *e, int64_t *size,
                              bool *known, maas_err *err)
{
    int8_t ranks[MAAS_EINSUM_MAX_IN];
    const int n = q->node->n_in - first;
    *known = true;
    for (int k = 0; k < n && k < MAAS_EINSUM_MAX_IN; k++) {
        ranks[k] = q->in[first + k].rank;
        *known &= ranks[k] >= 0;
    }
    if (!*known)
        return MAAS_OK;
    MAAS_TRY(maas_einsum_read(q->node, ranks, n, e, err));
    return sizes_of(e, q->in + first, size, err);
}

static maas_status einsum_infer(maas_infer *q, maas_err *err)
{
    maas_einsum e;
    int64_t size[MAAS_EINSUM_LABELS], dims[MAAS_MAX_RANK];
    bool known;
    maas_q_unranked(q, 0, (maas_dtype)q->in[0].dtype);
    MAAS_TRY(read_types(q, 0, &e, size, &known, err));
    if (!known)
        return MAAS_OK;
    for (int i = 0; i < e.rank[e.n_in]; i++)
        dims[i] = size[e.label[e.n_in][i]];
    maas_q_out(q, 0, (maas_dtype)q->in[0].dtype, e.rank[e.n_in], dims);
    return MAAS_OK;
}

static maas_status grad_infer(maas_infer *q, maas_err *err)
{
    maas_einsum e;
    int64_t size[MAAS_EINSUM_LABELS], ignored;
    bool known;
    const int64_t k = maas_attr_i(q->node, "operand", 0);
    const maas_type *dy = &q->in[0];
    if (k < 0 || k >= q->node->n_in - 1)
        return maas_fail(err, MAAS_E_INVALID, "there is no operand %lld", (long long)k);
    MAAS_TRY(read_types(q, 1, &e, size, &known, err));
    q->out[0] = q->in[1 + k];
    if (!known || dy->rank < 0)
        return MAAS_OK;
    if (dy->rank != e.rank[e.n_in])
        return maas_fail(err, MAAS_E_INVALID, "dY has rank %d, not %d", dy->rank, e.rank[e.n_in]);
    for (int i = 0; i < dy->rank; i++)
        MAAS_TRY(maas_dim_same(dy->dims[i], size[e.label[e.n_in][i]], &ignored, "dY", err));
    return MAAS_OK;
}

/* ---- the sum ---- */

#define MAX_FACTORS MAAS_EINSUM_MAX_IN /* dY takes the place of an operand */

typedef struct loop {
    int n_outer, n_inner; /* labels that the target has, and those that are summed */
    int64_t size[MAAS_EINSUM_LABELS];
    int64_t step[MAAS_EINSUM_LABELS][MAX_FACTORS + 1]; /* last: the target */
    int64_t idx[MAAS_EINSUM_LABELS];
    int64_t at[MAX_FACTORS + 1];
    int n_factors;
    const maas_tensor *factor[MAX_FACTORS], *target;
} loop;

/* Elements from one value of a label to the next in an operand with these axes. */
static int64_t step_of(const maas_tensor *t, const uint8_t *labels, int label)
{
    int64_t strides[MAAS_MAX_RANK], step = 0;
    maas_strides(t->dims, t->rank, strides);
    for (int i = 0; i < t->rank; i++)
        if (labels[i] == label && t->dims[i] != 1)
            step += strides[i];
    return step;
}

/* Labels in an order: first those that the target has; every one with its steps. */
static void plan_labels(loop *l, const maas_einsum *e, const int *place, int target,
                        const int64_t *size)
{
    for (int pass = 0; pass < 2; pass++)
        for (int label = 0; label < MAAS_EINSUM_LABELS; label++) {
            const int64_t step = step_of(l->target, e->label[target], label);
            const int n = l->n_outer + l->n_inner;
            if (size[label] == 1 || (pass == 0) != (step != 0))
                continue;
            l->size[n] = size[label];
            l->step[n][l->n_factors] = step;
            for (int k = 0; k < l->n_factors; k++)
                l->step[n][k] = step_of(l->factor[k], e->label[place[k]], label);
            *(pass ? &l->n_inner : &l->n_outer) += 1;
        }
}

/* The next combination of labels from..to; false after the last. */
static bool advance(loop *l, int from, int to)
{
    for (int i = to - 1; i >= from; i--) {
        for (int k = 0; k <= l->n_factors; k++)
            l->at[k] += l->step[i][k];
        if (++l->idx[i] < l->size[i])
            return true;
        for (int k = 0; k <= l->n_factors; k++)
            l->at[k] -= l->step[i][k] * l->size[i];
        l->idx[i] = 0;
    }
    return false;
}

static void sum_real(loop *l)
{
    double sum = 0;
    do {
        double p = 1;
        for (int k = 0; k < l->n_factors; k++)
            p *= maas_ld(l->factor[k], l->at[k]);
        sum += p;
    } while (advance(l, l->n_outer, l->n_outer + l->n_inner));
    maas_st(l->target, l->at[l->n_factors], sum);
}

static void sum_whole(loop *l)
{
    uint64_t sum = 0;
    do {
        uint64_t p = 1;
        for (int k = 0; k < l->n_factors; k++)
            p *= (uint64_t)maas_tensor_get_i64(l->factor[k], l->at[k]);
        sum += p;
    } while (advance(l, l->n_outer, l->n_outer + l->n_inner));
    maas_st_i64(l->target, l->at[l->n_factors], (int64_t)sum);
}

static void run(loop *l, const maas_einsum *e, const int *place, int target, const int64_t *size)
{
    const maas_tensor *t = l->target;
    memset(t->data, 0, maas_tensor_bytes(t)); /* an empty sum; off a diagonal */
    for (int i = 0; i < MAAS_EINSUM_LABELS; i++)
        if (size[i] == 0)
            return;
    plan_labels(l, e, place, target, size);
    do {
        if (maas_is_float(t->dtype))
            sum_real(l);
        else
            sum_whole(l);
    } while (advance(l, 0, l->n_outer));
}

static maas_status read_call(const maas_call *c, int first, maas_einsum *e, int64_t *size,
                             maas_err *err)
{
    int8_t ranks[MAAS_EINSUM_MAX_IN];
    maas_type types[MAAS_EINSUM_MAX_IN];
    for (int k = 0; k < c->n_in - first && k < MAAS_EINSUM_MAX_IN; k++) {
        const maas_tensor *t = &c->in[first + k];
        types[k] = maas_type_of(t);
        ranks[k] = (int8_t)t->rank;
    }
    MAAS_TRY(maas_einsum_read(c->node, ranks, c->n_in - first, e, err));
    return sizes_of(e, types, size, err);
}

static maas_status einsum_reference(const maas_call *c, maas_err *err)
{
    maas_einsum e;
    int64_t size[MAAS_EINSUM_LABELS];
    int place[MAX_FACTORS];
    MAAS_TRY(read_call(c, 0, &e, size, err));
    loop l = {.n_factors = e.n_in, .target = &c->out[0]};
    for (int k = 0; k < e.n_in; k++) {
        l.factor[k] = &c->in[k];
        place[k] = k;
    }
    run(&l, &e, place, e.n_in, size);
    return MAAS_OK;
}

static maas_status grad_reference(const maas_call *c, maas_err *err)
{
    maas_einsum e;
    int64_t size[MAAS_EINSUM_LABELS];
    int place[MAX_FACTORS];
    const int operand = (int)maas_attr_i(c->node, "operand", 0);
    MAAS_TRY(read_call(c, 1, &e, size, err));
    loop l = {.n_factors = e.n_in, .target = &c->out[0]};
    for (int k = 0; k < e.n_in; k++) {
        l.factor[k] = k == operand ? &c->in[0] : &c->in[1 + k];
        place[k] = k == operand ? e.n_in : k;
    }
    run(&l, &e, place, operand, size);
    return MAAS_OK;
}

static int64_t flops_from(const maas_call *c, int first)
{
    maas_einsum e;
    int64_t size[MAAS_EINSUM_LABELS], n = c->n_in;
    if (read_call(c, first, &e, size, NULL) != MAAS_OK)
        return 0;
    for (int i = 0; i < MAAS_EINSUM_LABELS; i++)
        n *= size[i];
    return n;
}

static int64_t einsum_flops(const maas_call *c)
{
    return flops_from(c, 0);
}

static int64_t grad_flops(const maas_call *c)
{
    return flops_from(c, 1);
}

static void einsum_gradient(maas_grad *g)
{
    const maas_node *n = g->node;
    maas_vid in[MAAS_EINSUM_MAX_IN + 1] = {g->dout[0]};
    for (int k = 0; k < n->n_in && k < MAAS_EINSUM_MAX_IN; k++)
        in[1 + k] = n->in[k];
    for (int k = 0; k < n->n_in; k++) {
        const maas_attr a[2] = {
            {.name = "equation", .type = MAAS_ATTR_STRING, .u.s = maas_attr_s(n, "equation", "")},
            MAAS_A_INT("operand", k)};
        if (g->want[k])
            g->din[k] = maas_b_node(g->b, "EinsumGrad", a, 2, in, n->n_in + 1u, NULL, 1);
    }
}

/* ---- examples and rows ---- */

static const struct {
    const char *equation;
    int n_in;
    struct {
        int rank;
        int64_t dims[4];
    } in[3], out;
} cases[] = {
    {"ij,jk->ik", 2, {{2, {3, 4}}, {2, {4, 5}}}, {2, {3, 5}}},
    {"bhqd, bhkd -> bhqk", 2, {{4, {2, 2, 3, 4}}, {4, {2, 2, 5, 4}}}, {4, {2, 2, 3, 5}}},
    {"...ii->...i", 1, {{3, {2, 3, 3}}}, {2, {2, 3}}},
    {"ij,kj,l", 3, {{2, {2, 3}}, {2, {4, 3}}, {1, {2}}}, {3, {2, 4, 2}}},
    {"a...b,b...->a...", 2, {{4, {2, 3, 1, 4}}, {2, {4, 5}}}, {3, {2, 3, 5}}},
    {"ij->", 1, {{2, {3, 4}}}, {0, {0}}},
    {"ij,jk->ki", 2, {{2, {0, 4}}, {2, {4, 5}}}, {2, {5, 0}}},
    {"ij,j->i", 2, {{2, {3, 0}}, {1, {0}}}, {1, {3}}},
    {"bqhd,bkhd->bhqk", 2, {{4, {1, 7, 2, 9}}, {4, {1, 6, 2, 9}}}, {4, {1, 2, 7, 6}}},
    {"bhqk,bkhd->bqhd", 2, {{4, {1, 2, 7, 6}}, {4, {1, 6, 2, 9}}}, {4, {1, 7, 2, 9}}},
};

static void einsum_example(maas_example *e)
{
    const int i = e->variant / 2 % (int)MAAS_COUNT(cases);
    const maas_dtype t = e->variant == 2 * MAAS_COUNT(cases) ? MAAS_I64 : maas_ex_float(e);
    const maas_attr a = MAAS_A_STR("equation", cases[i].equation);
    maas_vid in[3];
    for (int k = 0; k < cases[i].n_in; k++)
        in[k] = maas_ex_in(e, t, -2, 2, cases[i].in[k].rank, cases[i].in[k].dims);
    maas_b_node(e->b, "Einsum", &a, 1, in, (uint32_t)cases[i].n_in, NULL, 1);
}

static void grad_example(maas_example *e)
{
    const int i = e->variant / 2;
    const maas_dtype t = maas_ex_float(e);
    const maas_attr a[2] = {MAAS_A_STR("equation", cases[i].equation),
                            MAAS_A_INT("operand", cases[i].n_in - 1)};
    maas_vid in[4] = {maas_ex_in(e, t, -2, 2, cases[i].out.rank, cases[i].out.dims)};
    for (int k = 0; k < cases[i].n_in; k++)
        in[1 + k] = maas_ex_in(e, t, -2, 2, cases[i].in[k].rank, cases[i].in[k].dims);
    maas_b_node(e->b, "EinsumGrad", a, 2, in, (uint32_t)cases[i].n_in + 1, NULL, 1);
}

static const maas_io_schema einsum_in[] = {MAAS_VARIADIC("Inputs", "T", MAAS_DTS_NUMERIC)};
static const maas_io_schema einsum_out[] = {MAAS_REQ("Output", "T", MAAS_DTS_NUMERIC)};
static const maas_io_schema grad_in[] = {MAAS_REQ("dY", "T", MAAS_DTS_FLOAT),
                                         MAAS_VARIADIC("Inputs", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema grad_out[] = {MAAS_REQ("dX", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"equation", MAAS_ATTR_STRING, true},
                                         {"operand", MAAS_ATTR_INT, true}};

const maas_op maas_op_Einsum = {
    .domain = "",
    .name = "Einsum",
    .since = 12,
    MAAS_SCHEMA(einsum_in, einsum_out),
    .attr = attrs,
    .n_attr = 1,
    .n_examples = 2 * MAAS_COUNT(cases) + 1,
    .tolerance = 1e-4,
    .infer = einsum_infer,
    .reference = einsum_reference,
    .flops = einsum_flops,
    .example = einsum_example,
    .gradient = einsum_gradient,
};

const maas_op maas_op_EinsumGrad = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "EinsumGrad",
    .since = 1,
    MAAS_SCHEMA(grad_in, grad_out),
    MAAS_ATTRS(attrs),
    .n_examples = 2 * MAAS_COUNT(cases),
    .tolerance = 1e-4,
    .infer = grad_infer,
    .reference = grad_reference,
    .flops = grad_flops,
    .example = grad_example,
    .no_gradient = MAAS_SECOND_ORDER,
};
