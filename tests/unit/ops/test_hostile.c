/*
 * Every example of every operator, damaged at random: sizes, dtypes, attributes, constants, omitted
 * inputs. Inference refuses it with words, or the reference code runs it to a status; memory
 * safety is what the sanitizer builds of this test look at. OPS_SEED repeats a run.
 */
#include "interp.h"

#define ROUNDS 30 /* damaged copies of each example */

static const int64_t numbers[] = {
    0,  1,  -1,   2,         -2,        3,         5,         8,
    -9, 64, 1000, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, INT64_MAX / 2,
    -3};
static const double reals[] = {0, -1, 0.5, 1, 1e30, -1e30, NAN, INFINITY, -INFINITY};

static int64_t any_number(maas_rng *r)
{
    return numbers[maas_rng_below(r, MAAS_COUNT(numbers))];
}

static void damage_type(maas_type *t, maas_rng *r)
{
    const int k = t->rank > 0 ? (int)maas_rng_below(r, (uint64_t)t->rank) : 0;
    switch (maas_rng_below(r, 4)) {
    case 0:
        t->dtype = (uint8_t)(1 + maas_rng_below(r, 16));
        break;
    case 1:
        t->rank = (int8_t)maas_rng_below(r, MAAS_MAX_RANK + 1);
        for (int i = 0; i < t->rank; i++)
            t->dims[i] = (int64_t)maas_rng_below(r, 4);
        break;
    default:
        if (t->rank > 0)
            t->dims[k] = (int64_t)maas_rng_below(r, 9);
    }
}

/* Attributes and constants were copied into the arena of the graph: they may be written. */
static void damage_attr(maas_node *n, maas_rng *r)
{
    if (n->n_attr == 0)
        return;
    n->checked = 0; /* nobody else writes them behind the node's back */
    maas_attr *a = &n->attr[maas_rng_below(r, n->n_attr)];
    const uint32_t k = a->n ? (uint32_t)maas_rng_below(r, a->n) : 0;
    if (maas_rng_below(r, 8) == 0)
        n->n_attr--;
    else if (a->type == MAAS_ATTR_INT)
        a->u.i = any_number(r);
    else if (a->type == MAAS_ATTR_FLOAT)
        a->u.f = (float)reals[maas_rng_below(r, MAAS_COUNT(reals))];
    else if (a->type == MAAS_ATTR_STRING)
        a->u.s.n = maas_rng_below(r, a->u.s.n + 1);
    else if (a->n && maas_rng_below(r, 3) == 0)
        a->n = k; /* a shorter list */
    else if (a->type == MAAS_ATTR_INTS && a->n)
        ((int64_t *)(uintptr_t)a->u.ints)[k] = any_number(r);
}

static void damage_const(maas_value *v, maas_rng *r)
{
    const int64_t n = maas_n_elems(&v->init);
    if (n == 0 || v->init.dtype == MAAS_STRING)
        return;
    const int64_t i = (int64_t)maas_rng_below(r, (uint64_t)n);
    if (v->init.dtype == MAAS_I64)
        ((int64_t *)v->init.data)[i] = any_number(r);
    else
        maas_tensor_set(&v->init, i, reals[maas_rng_below(r, MAAS_COUNT(reals))]);
}

static void damage(maas_graph *g, maas_node *n, maas_rng *r)
{
    if (maas_rng_below(r, 3) == 0 || n->n_in == 0) {
        damage_attr(n, r);
        return;
    }
    const int k = (int)maas_rng_below(r, n->n_in);
    if (n->in[k] < 0)
        return;
    maas_value *v = &g->values[n->in[k]];
    if (maas_rng_below(r, 12) == 0)
        n->in[k] = MAAS_NO_VALUE;
    else if (maas_rng_below(r, 12) == 0)
        n->n_in = (uint16_t)k;
    else if (v->flags & MAAS_VALUE_CONST)
        damage_const(v, r);
    else
        damage_type(&v->type, r);
}

static bool small_enough(const maas_graph *g)
{
    size_t total = 0, bytes;
    for (uint32_t i = 0; i < g->n_values; i++) {
        const maas_type *t = &g->values[i].type;
        if (interp_makes_own(g, &g->values[i]) || t->tag != MAAS_TYPE_TENSOR)
            continue;
        if (t->rank < 0 ||
            maas_shape_bytes((maas_dtype)t->dtype, t->dims, t->rank, &bytes, NULL) != MAAS_OK ||
            bytes > 1 << 16 || (total += bytes) > 1 << 18)
            return false;
    }
    return true;
}

static void run_damaged(sample *s, maas_rng *r, const char *name)
{
    interp p;
    if (!small_enough(s->g) || !interp_open(&p, s->g))
        return;
    const double wide = maas_rng_below(r, 2) ? 4 : 100;
    for (uint32_t i = 0; i < s->g->n_inputs; i++)
        if (maas_dtype_size((maas_dtype)p.v[s->g->inputs[i]].dtype)) /* else: no longer read */
            interp_fill(&p.v[s->g->inputs[i]], -wide, wide, r);
    maas_err err = {0};
    maas_status st = interp_run(&p, &err);
    EXPECT_MSG(st == MAAS_OK || st == MAAS_E_INVALID || st == MAAS_E_UNSUPPORTED,
               "%s: status %d %s", name, st, err.msg);
    EXPECT_MSG(st == MAAS_OK || err.msg[0], "%s fails without words", name);
    interp_close(&p);
}

static int one_round(const maas_op *op, int variant, maas_rng *r)
{
    sample s;
    int ran = 0;
    if (sample_open(&s, op, variant)) {
        maas_graph *g = s.g;
        maas_node *n = &g->nodes[s.node];
        for (uint64_t k = 1 + maas_rng_below(r, 3); k > 0; k--)
            damage(g, n, r);
        for (int k = 0; k < n->n_out; k++)
            g->values[n->out[k]].type = (maas_type){0};
        maas_err err = {0};
        maas_status st = maas_graph_infer(g, &err);
        EXPECT_MSG(st == MAAS_OK || st == MAAS_E_INVALID || st == MAAS_E_TOO_LARGE ||
                       st == MAAS_E_UNSUPPORTED,
                   "%s: status %d", op->name, st);
        EXPECT_MSG(st == MAAS_OK || strstr(err.msg, op->name), "%s: %s", op->name, err.msg);
        if (st == MAAS_OK)
            run_damaged(&s, r, op->name);
        ran = st == MAAS_OK;
    }
    sample_close(&s);
    return ran;
}

static void damaged_nodes_end_in_a_status(void)
{
    const char *text = getenv("OPS_SEED");
    const uint64_t seed = text ? strtoull(text, NULL, 10) : 20240607;
    maas_rng r;
    int n = 0, ran = 0;
    printf("# OPS_SEED=%llu\n", (unsigned long long)seed);
    maas_rng_seed(&r, seed);
    for (size_t i = 0; i < maas_n_ops; i++)
        for (int v = 0; v < maas_ops[i]->n_examples; v++)
            for (int k = 0; k < ROUNDS; k++, n++)
                ran += one_round(maas_ops[i], v, &r);
    printf("# %d damaged nodes, %d of them accepted\n", n, ran);
    EXPECT(ran > n / 20 && ran < n);
}

static const mt_case cases[] = {MT_CASE(damaged_nodes_end_in_a_status)};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
