/*
 * Every gradient against central differences in double: loss = sum of random weights * outputs.
 * |analytic - numeric| <= 2e-5 (1 + |numeric|), with a step of 1e-5. Of an input of many elements
 * some are looked at, spread over it, others in each example.
 */
#include "interp.h"

#define STEP      1e-5
#define TOLERANCE 2e-5
#define MOST      48 /* elements of an input */

typedef struct probe {
    sample s;
    maas_vid weight[8]; /* inputs of the graph that weigh the outputs */
    maas_vid out[8];
    maas_vid din[8];
    int n_out, n_in;
} probe;

static bool is_double(const maas_graph *g, maas_vid v)
{
    return v >= 0 && maas_graph_at(g, v)->type.dtype == MAAS_F64;
}

/* Running statistics are state: the operator refuses a gradient that comes in through them. */
static bool only_first_output(const maas_op *op)
{
    return strcmp(op->name, "BatchNormalization") == 0;
}

/* The weights are graph inputs: they are the gradient that comes into each output. */
static bool probe_open(probe *p, const maas_op *op, int variant)
{
    memset(p, 0, sizeof *p);
    if (!sample_open(&p->s, op, variant))
        return false;
    maas_builder *b = &p->s.b;
    const maas_node node = *sample_node(&p->s);
    maas_vid dout[8];
    bool want[8], any = false;
    MAAS_CHECK(node.n_out <= 8 && node.n_in <= 8);
    for (int k = 0; k < node.n_out; k++) {
        p->out[k] = node.out[k];
        dout[k] = p->weight[k] = MAAS_NO_VALUE;
        if (!is_double(p->s.g, node.out[k]) || (k > 0 && only_first_output(op)))
            continue;
        const maas_type t = maas_graph_at(p->s.g, node.out[k])->type;
        dout[k] = p->weight[k] = maas_b_input(b, NULL, MAAS_F64, t.rank, t.dims);
    }
    p->n_out = node.n_out;
    p->n_in = node.n_in;
    for (int k = 0; k < node.n_in; k++) {
        p->din[k] = MAAS_NO_VALUE;
        want[k] = is_double(p->s.g, node.in[k]) &&
                  (maas_graph_at(p->s.g, node.in[k])->flags & MAAS_VALUE_INPUT);
        any |= want[k];
    }
    for (int k = 0; k < node.n_out && any; k++)
        any = k > 0 || dout[k] >= 0;
    if (!any)
        return false;
    maas_grad q = {.b = b, .node = &node, .dout = dout, .want = want, .din = p->din};
    op->gradient(&q);
    EXPECT_MSG(b->status == MAAS_OK, "%s variant %d: %s", op->name, variant, p->s.err.msg);
    for (int k = 0; k < node.n_in; k++)
        if (!want[k])
            p->din[k] = MAAS_NO_VALUE;
    return b->status == MAAS_OK;
}

/* sum of weight * output after running the one node again */
static double loss_of(interp *p, const probe *q)
{
    maas_err err = {0};
    double sum = 0;
    EXPECT_MSG(interp_node(p, sample_node(&q->s), &err) == MAAS_OK, "%s", err.msg);
    for (int k = 0; k < q->n_out; k++) {
        if (q->weight[k] < 0)
            continue;
        const double *w = p->v[q->weight[k]].data, *y = p->v[q->out[k]].data;
        for (int64_t i = 0, n = maas_n_elems(&p->v[q->out[k]]); i < n; i++)
            sum += w[i] * y[i];
    }
    return sum;
}

static void compare(interp *p, const probe *q, const char *name, int variant)
{
    for (int k = 0; k < q->n_in; k++) {
        if (q->din[k] < 0)
            continue;
        const maas_node *n = sample_node(&q->s);
        const maas_tensor *x = &p->v[n->in[k]], *dx = &p->v[q->din[k]];
        EXPECT_MSG(maas_shape_eq(x, dx), "%s variant %d: gradient %d has another shape", name,
                   variant, k);
        const int64_t len = maas_n_elems(x), step = (len + MOST - 1) / MOST;
        for (int64_t i = step ? variant % step : 0; i < len && maas_shape_eq(x, dx); i += step) {
            double *at = (double *)x->data + i, keep = *at, analytic = ((double *)dx->data)[i];
            *at = keep + STEP;
            double up = loss_of(p, q);
            *at = keep - STEP;
            double numeric = (up - loss_of(p, q)) / (2 * STEP);
            *at = keep;
            if (fabs(analytic - numeric) <= TOLERANCE * (1 + fabs(numeric)))
                continue;
            EXPECT_MSG(fabs(analytic - numeric) <= TOLERANCE * (1 + fabs(numeric)),
                       "%s variant %d, input %d element %lld: %.9g, numerically %.9g", name,
                       variant, k, (long long)i, analytic, numeric);
        }
    }
}

/* True when something was compared. */
static bool check(const maas_op *op, int variant)
{
    probe q;
    interp p = {0};
    bool done = false;
    if (probe_open(&q, op, variant)) {
        EXPECT_MSG(maas_graph_infer(q.s.g, &q.s.err) == MAAS_OK, "%s variant %d: %s", op->name,
                   variant, q.s.err.msg);
        if (interp_open(&p, q.s.g)) {
            for (uint32_t i = 0; i < q.s.g->n_inputs; i++)
                interp_fill(&p.v[q.s.g->inputs[i]],
                            i < 8 && q.s.e.hi[i] > q.s.e.lo[i] ? q.s.e.lo[i] : -1,
                            i < 8 && q.s.e.hi[i] > q.s.e.lo[i] ? q.s.e.hi[i] : 1, &q.s.rng);
            maas_status st = interp_run(&p, &q.s.err);
            EXPECT_MSG(st == MAAS_OK, "%s variant %d: %s", op->name, variant, q.s.err.msg);
            if (st == MAAS_OK)
                compare(&p, &q, op->name, variant);
            done = st == MAAS_OK;
        }
    }
    interp_close(&p);
    sample_close(&q.s);
    return done;
}

static void every_gradient_agrees_with_differences(void)
{
    int n_ops = 0, n_checks = 0;
    for (size_t i = 0; i < maas_n_ops; i++) {
        int n = 0;
        for (int v = 0; v < maas_ops[i]->n_examples && maas_ops[i]->gradient; v++)
            n += check(maas_ops[i], v);
        EXPECT_MSG(n > 0 || !maas_ops[i]->gradient,
                   "op '%s' has no example in double to check its gradient", maas_ops[i]->name);
        n_ops += n > 0;
        n_checks += n;
    }
    printf("# %d operators, %d examples\n", n_ops, n_checks);
}

static const mt_case cases[] = {MT_CASE(every_gradient_agrees_with_differences)};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
