/* Every operator of the table: complete, consistent, and right about its own shapes. */
#include "interp.h"

#include <ctype.h>

static void every_descriptor_is_complete(void)
{
    for (size_t i = 0; i < maas_n_ops; i++) {
        const maas_op *op = maas_ops[i];
        const bool written_out = (op->flags & MAAS_OP_WRITTEN_OUT) != 0; /* never runs itself */
        EXPECT_MSG(op->infer && op->reference && op->flops && (written_out || op->example) &&
                       op->domain && op->since,
                   "op '%s' has an empty slot", op->name);
        EXPECT_MSG(op->n_out > 0 && op->out, "op '%s' has no outputs", op->name);
        EXPECT_MSG((op->n_examples > 0) == !written_out, "op '%s' has no examples", op->name);
        EXPECT_MSG(op->tolerance >= 0 && op->tolerance < 1e-2, "op '%s' tolerates too much",
                   op->name);
        EXPECT_MSG(!op->gradient != !op->no_gradient,
                   "op '%s' must have a gradient or say why not, and not both", op->name);
        EXPECT_MSG(!(op->flags & MAAS_OP_ELEMENTWISE) == !op->scalar,
                   "op '%s': ELEMENTWISE and scalar go together", op->name);
        for (size_t j = 0; j < i; j++)
            EXPECT_MSG(strcmp(maas_ops[j]->name, op->name) != 0 ||
                           strcmp(maas_ops[j]->domain, op->domain) != 0 ||
                           maas_ops[j]->since != op->since,
                       "op '%s' is listed twice", op->name);
    }
}

static void check_rows(const maas_op *op, const maas_io_schema *rows, int n, const char *what)
{
    bool optional = false;
    for (int i = 0; i < n; i++) {
        EXPECT_MSG(rows[i].name && rows[i].dtypes, "op '%s': %s %d is empty", op->name, what, i);
        EXPECT_MSG(!rows[i].variadic || i == n - 1, "op '%s': only the last %s is variadic",
                   op->name, what);
        EXPECT_MSG(!optional || rows[i].optional, "op '%s': %s '%s' follows an optional one",
                   op->name, what, rows[i].name);
        optional |= rows[i].optional;
    }
}

static void every_schema_is_well_formed(void)
{
    for (size_t i = 0; i < maas_n_ops; i++) {
        const maas_op *op = maas_ops[i];
        check_rows(op, op->in, op->n_in, "input");
        check_rows(op, op->out, op->n_out, "output");
        for (int k = 0; k < op->n_attr; k++)
            EXPECT_MSG(op->attr[k].name && op->attr[k].type, "op '%s': attribute %d", op->name, k);
    }
}

static void every_row_is_found_by_name(void)
{
    for (size_t i = 0; i < maas_n_ops; i++) {
        const maas_op *op = maas_ops[i];
        EXPECT_MSG(maas_op_find(op->domain, op->name, op->since) == op, "op '%s'", op->name);
        EXPECT_MSG(maas_op_find(op->domain, op->name, op->since - 1) == NULL, "op '%s'", op->name);
        EXPECT_MSG(maas_op_find("some.where", op->name, 99) == NULL, "op '%s'", op->name);
    }
    EXPECT(maas_op_find("ai.onnx", "MatMul", MAAS_OPSET) == maas_op_find("", "MatMul", MAAS_OPSET));
    EXPECT(maas_op_find("", "matmul", MAAS_OPSET) == NULL);
}

/* ---- examples ---- */

static void run_example(const maas_op *op, int variant)
{
    sample s;
    interp p = {0};
    if (sample_open(&s, op, variant)) {
        maas_status st = maas_graph_infer(s.g, &s.err);
        EXPECT_MSG(st == MAAS_OK, "%s variant %d infers: %s", op->name, variant, s.err.msg);
        st = maas_graph_verify(s.g, &s.err);
        EXPECT_MSG(st == MAAS_OK, "%s variant %d verifies: %s", op->name, variant, s.err.msg);
        if (interp_open(&p, s.g)) {
            for (uint32_t i = 0; i < s.g->n_inputs; i++)
                interp_fill(&p.v[s.g->inputs[i]], s.e.lo[i], s.e.hi[i], &s.rng);
            st = interp_run(&p, &s.err);
            EXPECT_MSG(st == MAAS_OK, "%s variant %d runs: %s", op->name, variant, s.err.msg);
        }
        interp_close(&p);
    }
    sample_close(&s);
}

static void every_example_infers_verifies_and_runs(void)
{
    for (size_t i = 0; i < maas_n_ops; i++)
        for (int v = 0; v < maas_ops[i]->n_examples; v++)
            run_example(maas_ops[i], v);
}

/* ---- symbols: what is inferred without sizes must hold with them ---- */

static void forget_sizes(maas_graph *g)
{
    for (uint32_t i = 0; i < g->n_values; i++) {
        maas_value *v = &g->values[i];
        if (v->flags & MAAS_VALUE_CONST)
            continue;
        for (int k = 0; k < v->type.rank && (v->flags & MAAS_VALUE_INPUT); k++)
            v->type.dims[k] = MAAS_DIM_UNKNOWN;
        if (v->producer != MAAS_NO_NODE)
            v->type = (maas_type){0};
    }
}

/* Symbols that stand for what only data can tell may have other numbers. */
static bool same_sizes(const maas_type *a, const maas_type *b)
{
    bool same = a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++)
        same = a->dims[i] == b->dims[i] || (a->dims[i] < 0 && b->dims[i] < 0);
    return same;
}

static void symbols_of(const maas_op *op, int variant)
{
    sample s;
    if (!sample_open(&s, op, variant)) {
        sample_close(&s);
        return;
    }
    maas_graph *g = s.g;
    maas_type *before = calloc(g->n_values + 1, sizeof *before);
    for (uint32_t i = 0; i < g->n_values; i++)
        before[i] = g->values[i].type;
    forget_sizes(g);
    maas_status st = maas_graph_infer(g, &s.err);
    EXPECT_MSG(st == MAAS_OK, "%s variant %d with symbols: %s", op->name, variant, s.err.msg);
    for (uint32_t i = 0; i < g->n_values; i++) { /* what it claims is true */
        const maas_type *t = &g->values[i].type;
        EXPECT_MSG(t->dtype == before[i].dtype, "%s variant %d: dtype", op->name, variant);
        EXPECT_MSG(t->rank < 0 || t->rank == before[i].rank, "%s variant %d: rank", op->name,
                   variant);
        for (int k = 0; k < t->rank && t->rank == before[i].rank; k++)
            EXPECT_MSG(t->dims[k] < 0 || t->dims[k] == before[i].dims[k],
                       "%s variant %d: value %u axis %d", op->name, variant, i, k);
    }
    for (uint32_t i = 0; i < g->n_inputs; i++)
        g->values[g->inputs[i]].type = before[g->inputs[i]];
    st = maas_graph_infer(g, &s.err);
    EXPECT_MSG(st == MAAS_OK, "%s variant %d made concrete: %s", op->name, variant, s.err.msg);
    for (uint32_t i = 0; i < g->n_values; i++)
        EXPECT_MSG(same_sizes(&g->values[i].type, &before[i]),
                   "%s variant %d: value %u differs after concretizing", op->name, variant, i);
    free(before);
    sample_close(&s);
}

static void every_example_agrees_with_its_symbols(void)
{
    for (size_t i = 0; i < maas_n_ops; i++)
        for (int v = 0; v < maas_ops[i]->n_examples; v++)
            symbols_of(maas_ops[i], v);
}

/* ---- flags tell the truth ---- */

/* In place: the same answer when the output takes the memory of an input of the same bytes. */
static void in_place_of(const maas_op *op, int variant)
{
    sample s;
    interp a = {0}, b = {0};
    maas_rng again;
    if (!sample_open(&s, op, variant) || !interp_open(&a, s.g) || !interp_open(&b, s.g)) {
        sample_close(&s);
        return;
    }
    again = s.rng;
    for (uint32_t i = 0; i < s.g->n_inputs; i++) {
        interp_fill(&a.v[s.g->inputs[i]], s.e.lo[i], s.e.hi[i], &s.rng);
        interp_fill(&b.v[s.g->inputs[i]], s.e.lo[i], s.e.hi[i], &again);
    }
    const maas_node *n = sample_node(&s);
    for (int k = 0; k < n->n_out && k < n->n_in; k++) {
        if (n->in[k] < 0 || n->out[k] < 0 || !b.own[n->in[k]])
            continue;
        maas_tensor *in = &b.v[n->in[k]], *out = &b.v[n->out[k]];
        if (maas_tensor_bytes(in) == maas_tensor_bytes(out))
            out->data = in->data;
    }
    EXPECT(interp_run(&a, &s.err) == MAAS_OK);
    EXPECT(interp_run(&b, &s.err) == MAAS_OK);
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] >= 0)
            EXPECT_MSG(memcmp(a.v[n->out[k]].data, b.v[n->out[k]].data,
                              maas_tensor_bytes(&a.v[n->out[k]])) == 0,
                       "%s variant %d: output %d differs in place", op->name, variant, k);
    interp_close(&a);
    interp_close(&b);
    sample_close(&s);
}

static void what_says_in_place_works_in_place(void)
{
    for (size_t i = 0; i < maas_n_ops; i++)
        for (int v = 0; v < maas_ops[i]->n_examples && (maas_ops[i]->flags & MAAS_OP_INPLACE); v++)
            in_place_of(maas_ops[i], v);
}

/* scalar() against reference, element by element, on F32 examples without broadcasting. */
static void scalar_of(const maas_op *op, int variant)
{
    sample s;
    interp p = {0};
    if (!sample_open(&s, op, variant)) {
        sample_close(&s);
        return;
    }
    const maas_node *n = sample_node(&s);
    bool fits = interp_open(&p, s.g) && p.v[n->out[0]].dtype == MAAS_F32;
    for (int k = 0; fits && k < n->n_in; k++)
        fits = p.v[n->in[k]].dtype == MAAS_F32 && maas_shape_eq(&p.v[n->in[k]], &p.v[n->out[0]]);
    for (uint32_t i = 0; i < s.g->n_inputs && fits; i++)
        interp_fill(&p.v[s.g->inputs[i]], s.e.lo[i], s.e.hi[i], &s.rng);
    if (fits && interp_run(&p, &s.err) == MAAS_OK)
        for (int64_t i = 0, len = maas_n_elems(&p.v[n->out[0]]); i < len; i++) {
            float x[8];
            for (int k = 0; k < n->n_in; k++)
                x[k] = ((float *)p.v[n->in[k]].data)[i];
            double want = ((float *)p.v[n->out[0]].data)[i], got = op->scalar(n, x, n->n_in);
            EXPECT_MSG(fabs(got - want) <= op->tolerance * (1 + fabs(want)),
                       "%s variant %d: scalar %g, reference %g", op->name, variant, got, want);
        }
    interp_close(&p);
    sample_close(&s);
}

static void scalar_agrees_with_reference(void)
{
    for (size_t i = 0; i < maas_n_ops; i++)
        for (int v = 0; v < maas_ops[i]->n_examples && maas_ops[i]->scalar; v++)
            scalar_of(maas_ops[i], v);
}

static const mt_case cases[] = {
    MT_CASE(every_descriptor_is_complete),
    MT_CASE(every_schema_is_well_formed),
    MT_CASE(every_row_is_found_by_name),
    MT_CASE(every_example_infers_verifies_and_runs),
    MT_CASE(every_example_agrees_with_its_symbols),
    MT_CASE(what_says_in_place_works_in_place),
    MT_CASE(scalar_agrees_with_reference),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
