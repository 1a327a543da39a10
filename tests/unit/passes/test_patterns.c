/* Chains that exporters write become one operator, which says the same numbers; what is almost such
 * a chain stays as it is. */
#include "../ops/interp.h"

#include "ops/ops_int.h"
#include "passes/pass.h"

static const int64_t dims[] = {2, 3, 8}, row[] = {8};

typedef struct rig {
    maas_graph *g;
    maas_builder b;
    maas_err err;
    maas_vid x, scale, bias;
} rig;

static maas_vid num(rig *r, double v)
{
    return maas_b_scalar(&r->b, MAAS_F32, v);
}

static maas_vid mean(rig *r, maas_vid v)
{
    const int64_t last = -1;
    return maas_b_op2(&r->b, "ReduceMean", v, maas_b_i64s(&r->b, &last, 1));
}

#define OP1(op, x)    maas_b_op1(&r->b, op, x)
#define OP2(op, x, y) maas_b_op2(&r->b, op, x, y)

/* ---- normalizations ---- */

static maas_vid layer_norm(rig *r)
{
    maas_vid d = OP2("Sub", r->x, mean(r, r->x));
    maas_vid s = OP1("Sqrt", OP2("Add", mean(r, OP2("Pow", d, num(r, 2))), num(r, 1e-5)));
    return OP2("Add", r->bias, OP2("Mul", OP2("Div", d, s), r->scale));
}

static maas_vid layer_norm_of_squares(rig *r)
{
    maas_vid d = OP2("Sub", r->x, mean(r, r->x));
    maas_vid s = OP1("Sqrt", OP2("Add", num(r, 1e-5), mean(r, OP2("Mul", d, d))));
    return OP2("Add", OP2("Mul", r->scale, OP2("Div", d, s)), r->bias);
}

static maas_vid layer_norm_of_two_differences(rig *r)
{
    maas_vid m = mean(r, r->x);
    maas_vid d = OP2("Sub", r->x, m), again = OP2("Sub", r->x, m);
    maas_vid s = OP1("Sqrt", OP2("Add", mean(r, OP2("Pow", again, num(r, 2))), num(r, 1e-5)));
    return OP2("Add", OP2("Mul", OP2("Div", d, s), r->scale), r->bias);
}

static maas_vid root_of_squares(rig *r)
{
    maas_vid m = mean(r, OP2("Pow", r->x, num(r, 2)));
    return OP1("Sqrt", OP2("Add", m, num(r, 1e-5)));
}

static maas_vid rms_norm(rig *r)
{
    return OP2("Mul", r->scale, OP2("Div", r->x, root_of_squares(r)));
}

static maas_vid rms_norm_by_reciprocal(rig *r)
{
    return OP2("Mul", r->scale, OP2("Mul", r->x, OP1("Reciprocal", root_of_squares(r))));
}

static maas_vid rms_norm_by_quotient(rig *r)
{
    return OP2("Mul", r->scale, OP2("Mul", r->x, OP2("Div", num(r, 1), root_of_squares(r))));
}

static maas_vid rms_norm_of_products(rig *r)
{
    maas_vid m = OP2("Add", mean(r, OP2("Mul", r->x, r->x)), num(r, 1e-5));
    return OP2("Mul", OP2("Mul", r->x, OP1("Reciprocal", OP1("Sqrt", m))), r->scale);
}

/* ---- Gelu ---- */

static maas_vid one_and_erf(rig *r, bool product)
{
    maas_vid u = product ? OP2("Mul", r->x, num(r, 0.70710678))
                         : OP2("Div", r->x, num(r, 1.41421356));
    return OP2("Add", OP1("Erf", u), num(r, 1));
}

static maas_vid gelu(rig *r)
{
    return OP2("Mul", OP2("Mul", r->x, one_and_erf(r, false)), num(r, 0.5));
}

static maas_vid gelu_half_first(rig *r)
{
    return OP2("Mul", OP2("Mul", num(r, 0.5), r->x), one_and_erf(r, false));
}

static maas_vid gelu_half_inside(rig *r)
{
    return OP2("Mul", r->x, OP2("Mul", num(r, 0.5), one_and_erf(r, false)));
}

static maas_vid gelu_by_product(rig *r)
{
    return OP2("Mul", OP2("Mul", r->x, one_and_erf(r, true)), num(r, 0.5));
}

static maas_vid gelu_by_product_half_first(rig *r)
{
    return OP2("Mul", OP2("Mul", r->x, num(r, 0.5)), one_and_erf(r, true));
}

static maas_vid one_and_tanh(rig *r)
{
    maas_vid cube = OP2("Mul", num(r, 0.044715), OP2("Pow", r->x, num(r, 3)));
    maas_vid u = OP2("Mul", num(r, 0.7978845608), OP2("Add", r->x, cube));
    return OP2("Add", num(r, 1), OP1("Tanh", u));
}

static maas_vid gelu_tanh(rig *r)
{
    return OP2("Mul", OP2("Mul", num(r, 0.5), r->x), one_and_tanh(r));
}

static maas_vid gelu_tanh_half_last(rig *r)
{
    return OP2("Mul", OP2("Mul", r->x, one_and_tanh(r)), num(r, 0.5));
}

/* ---- attention: x is [2][3][2 heads x 4] ---- */

static maas_vid turn(rig *r, maas_vid v, const int64_t *perm)
{
    return maas_b_attr1(&r->b, "Transpose", MAAS_A_INTS("perm", perm, 4), v, MAAS_NO_VALUE);
}

static const int64_t heads_first[] = {0, 2, 1, 3}, keys_last[] = {0, 2, 3, 1},
                     swapped[] = {0, 1, 3, 2};

static maas_vid cut(rig *r, maas_vid v)
{
    const int64_t shape[] = {0, 0, 2, 4};
    return OP2("Reshape", v, maas_b_i64s(&r->b, shape, 4));
}

static maas_vid join(rig *r, maas_vid v)
{
    const int64_t shape[] = {0, 0, 8};
    return OP2("Reshape", turn(r, v, heads_first), maas_b_i64s(&r->b, shape, 3));
}

static maas_vid mask(rig *r)
{
    float v[6] = {0, 0, -10000, 0, -10000, 0};
    const int64_t d[] = {2, 1, 1, 3};
    const maas_tensor t = maas_tensor_of(MAAS_F32, 4, d, v);
    return maas_b_const(&r->b, NULL, &t);
}

static maas_vid attention(rig *r)
{
    maas_vid q = turn(r, cut(r, OP1("Neg", r->x)), heads_first);
    maas_vid k = turn(r, cut(r, OP1("Abs", r->x)), keys_last);
    maas_vid v = turn(r, cut(r, OP1("Exp", r->x)), heads_first);
    maas_vid s = OP2("Add", OP2("Div", OP2("MatMul", q, k), num(r, 2)), mask(r));
    return join(r, OP2("MatMul", OP1("Softmax", s), v));
}

static maas_vid attention_scaled_before(rig *r)
{
    maas_vid q = OP2("Mul", turn(r, cut(r, OP1("Neg", r->x)), heads_first), num(r, 0.7));
    maas_vid k = turn(r, turn(r, cut(r, OP1("Abs", r->x)), heads_first), swapped);
    maas_vid v = turn(r, cut(r, OP1("Exp", r->x)), heads_first);
    k = OP2("Mul", k, num(r, 0.7));
    return join(r, OP2("MatMul", OP1("Softmax", OP2("MatMul", q, k)), v));
}

static maas_vid attention_of_heads(rig *r)
{
    maas_vid h = turn(r, cut(r, r->x), heads_first);
    maas_vid k = turn(r, OP1("Abs", h), swapped);
    maas_vid s = OP2("Mul", OP2("MatMul", OP1("Neg", h), k), num(r, 0.5));
    return OP1("Neg", OP2("MatMul", OP1("Softmax", s), OP1("Exp", h)));
}

static maas_vid attention_of_turned_keys(rig *r)
{
    maas_vid c = cut(r, r->x), k = turn(r, OP1("Abs", c), keys_last);
    maas_vid q = turn(r, OP1("Neg", c), heads_first), v = turn(r, OP1("Exp", c), heads_first);
    return OP1("Neg", OP2("MatMul", OP1("Softmax", OP2("MatMul", q, k)), v));
}

static maas_vid turn3(rig *r, maas_vid v)
{
    static const int64_t perm[] = {0, 2, 1};
    return maas_b_attr1(&r->b, "Transpose", MAAS_A_INTS("perm", perm, 3), v, MAAS_NO_VALUE);
}

static maas_vid num1(rig *r)
{
    const double v[] = {2, 3};
    return maas_b_vector(&r->b, MAAS_F32, v, 2);
}

/* ---- Einsum: x is [2][3][8] ---- */

static maas_vid einsum_of(rig *r, const char *equation, maas_vid a, maas_vid b)
{
    return maas_b_attr1(&r->b, "Einsum", MAAS_A_STR("equation", equation), a, b);
}

static maas_vid einsum_product(rig *r)
{
    return OP1("Neg", einsum_of(r, "bid,bjd->bij", r->x, OP1("Abs", r->x)));
}

static maas_vid einsum_turned(rig *r)
{
    return OP1("Neg", einsum_of(r, "bqhd,bkhd->hkbq", cut(r, r->x), cut(r, OP1("Abs", r->x))));
}

static maas_vid einsum_of_vector(rig *r)
{
    return OP1("Neg", einsum_of(r, "...d,d->...", r->x, r->bias));
}

static maas_vid einsum_outer(rig *r)
{
    return OP1("Neg", einsum_of(r, "i,j->ji", r->scale, r->bias));
}

static maas_vid einsum_to_a_number(rig *r)
{
    return OP1("Neg", einsum_of(r, "i,i->", r->scale, r->bias));
}

static maas_vid einsum_of_diagonal(rig *r)
{
    maas_vid square = OP2("MatMul", OP1("Abs", r->x), turn3(r, r->x));
    return OP1("Neg", einsum_of(r, "bii,b->bi", square, num1(r)));
}

static const struct pattern_case {
    const char *name, *op;
    maas_vid (*build)(rig *r);
} patterns[] = {
    {"layer norm", "LayerNormalization", layer_norm},
    {"layer norm, squares by Mul", "LayerNormalization", layer_norm_of_squares},
    {"layer norm, two differences", "LayerNormalization", layer_norm_of_two_differences},
    {"rms norm", "RMSNormalization", rms_norm},
    {"rms norm, Reciprocal", "RMSNormalization", rms_norm_by_reciprocal},
    {"rms norm, 1 / x", "RMSNormalization", rms_norm_by_quotient},
    {"rms norm, squares by Mul", "RMSNormalization", rms_norm_of_products},
    {"gelu", "Gelu", gelu},
    {"gelu, half first", "Gelu", gelu_half_first},
    {"gelu, half inside", "Gelu", gelu_half_inside},
    {"gelu, by product", "Gelu", gelu_by_product},
    {"gelu, by product, half first", "Gelu", gelu_by_product_half_first},
    {"gelu, tanh", "Gelu", gelu_tanh},
    {"gelu, tanh, half last", "Gelu", gelu_tanh_half_last},
    {"attention", "Attention", attention},
    {"attention, scaled before", "Attention", attention_scaled_before},
    {"attention, heads apart", "Attention", attention_of_heads},
    {"attention, turned keys", "Attention", attention_of_turned_keys},
    {"einsum, a product", "MatMul", einsum_product},
    {"einsum, turned", "MatMul", einsum_turned},
    {"einsum, of a vector", "MatMul", einsum_of_vector},
    {"einsum, outer product", "MatMul", einsum_outer},
    {"einsum, to a number", "MatMul", einsum_to_a_number},
};

/* ---- running ---- */

static void rig_init(rig *r)
{
    *r = (rig){0};
    EXPECT_EQ(maas_graph_create("t", NULL, &r->g, &r->err), MAAS_OK);
    maas_builder_init(&r->b, r->g, &r->err);
    r->x = maas_b_input(&r->b, "x", MAAS_F32, 3, dims);
    r->scale = maas_b_input(&r->b, "scale", MAAS_F32, 1, row);
    r->bias = maas_b_input(&r->b, "bias", MAAS_F32, 1, row);
}

static int n_of(const rig *r, const char *op)
{
    int n = 0;
    for (uint32_t i = 0; i < r->g->n_nodes; i++)
        n += strcmp(r->g->nodes[i].op->name, op) == 0;
    return n;
}

/* The output of the graph for the same inputs every time. */
static int64_t answers(rig *r, float *out)
{
    interp p;
    maas_rng rng;
    maas_rng_seed(&rng, 11);
    EXPECT(interp_open(&p, r->g));
    for (uint32_t i = 0; i < r->g->n_inputs; i++)
        interp_fill(&p.v[r->g->inputs[i]], -2, 2, &rng);
    EXPECT_MSG(interp_run(&p, &r->err) == MAAS_OK, "%s", r->err.msg);
    const maas_tensor *y = &p.v[r->g->outputs[0]];
    const int64_t n = maas_n_elems(y);
    memcpy(out, y->data, (size_t)n * sizeof *out);
    interp_close(&p);
    return n;
}

static void optimize(rig *r)
{
    const maas_pass_opts o = {.level = 2, .check = true};
    EXPECT_MSG(maas_graph_optimize(r->g, &o, &r->err) == MAAS_OK, "%s", r->err.msg);
}

static void every_pattern_becomes_its_operator(void)
{
    for (size_t i = 0; i < MAAS_COUNT(patterns); i++) {
        rig r;
        float before[128], after[128];
        rig_init(&r);
        maas_b_output(&r.b, "y", patterns[i].build(&r));
        EXPECT_MSG(r.b.status == MAAS_OK, "%s: %s", patterns[i].name, r.err.msg);
        const int64_t n = answers(&r, before);
        optimize(&r);
        EXPECT_MSG(n_of(&r, patterns[i].op) == 1, "%s", patterns[i].name);
        EXPECT_MSG(n_of(&r, "Softmax") + n_of(&r, "ReduceMean") + n_of(&r, "Erf") +
                           n_of(&r, "Einsum") ==
                       0,
                   "%s", patterns[i].name);
        EXPECT_EQ(answers(&r, after), n);
        for (int64_t k = 0; k < n; k++)
            EXPECT_MSG(fabsf(before[k] - after[k]) <= 2e-6f * (1 + fabsf(before[k])),
                       "%s: element %d is %g, was %g", patterns[i].name, (int)k, (double)after[k],
                       (double)before[k]);
        maas_graph_destroy(r.g);
        EXPECT_EQ(maas_mem_live(), 0);
    }
}

/* Each is a pattern with one thing that is not as it must be. */
static maas_vid erf_is_read_by_others(rig *r)
{
    maas_vid e = one_and_erf(r, false);
    return OP2("Add", e, OP2("Mul", OP2("Mul", r->x, e), num(r, 0.5)));
}

static maas_vid another_number(rig *r)
{
    return OP2("Mul", OP2("Mul", r->x, one_and_erf(r, false)), num(r, 0.6));
}

static maas_vid mean_over_another_axis(rig *r)
{
    const int64_t axis = 1;
    maas_vid m = OP2("ReduceMean", OP2("Pow", r->x, num(r, 2)), maas_b_i64s(&r->b, &axis, 1));
    return OP2("Mul", r->scale, OP2("Div", r->x, OP1("Sqrt", OP2("Add", m, num(r, 1e-5)))));
}

static maas_vid mask_that_is_one_for_all_keys(rig *r)
{
    const int64_t d[] = {2, 1, 3, 1};
    maas_vid h = turn(r, cut(r, r->x), heads_first), m = maas_b_input(&r->b, "m", MAAS_F32, 4, d);
    maas_vid s = OP2("Add", OP2("MatMul", h, turn(r, OP1("Abs", h), swapped)), m);
    return OP2("MatMul", OP1("Softmax", s), OP1("Exp", h));
}

static maas_vid probabilities_are_read_by_others(rig *r)
{
    maas_vid h = turn(r, cut(r, r->x), heads_first);
    maas_vid p = OP1("Softmax", OP2("MatMul", h, turn(r, OP1("Abs", h), swapped)));
    maas_b_output(&r->b, "p", p);
    return OP2("MatMul", p, OP1("Exp", h));
}

static const struct pattern_case others[] = {
    {"erf is read by others", "Gelu", erf_is_read_by_others},
    {"another number", "Gelu", another_number},
    {"mean over another axis", "RMSNormalization", mean_over_another_axis},
    {"mask of one number", "Attention", mask_that_is_one_for_all_keys},
    {"probabilities are read", "Attention", probabilities_are_read_by_others},
};

static void what_is_almost_a_pattern_stays(void)
{
    for (size_t i = 0; i < MAAS_COUNT(others); i++) {
        rig r;
        rig_init(&r);
        maas_vid y = others[i].build(&r);
        maas_b_output(&r.b, "y", y);
        EXPECT_MSG(r.b.status == MAAS_OK, "%s: %s", others[i].name, r.err.msg);
        optimize(&r);
        EXPECT_MSG(n_of(&r, others[i].op) == 0, "%s", others[i].name);
        maas_graph_destroy(r.g);
    }
}

static void a_diagonal_stays_an_einsum(void)
{
    rig r;
    rig_init(&r);
    maas_b_output(&r.b, "y", einsum_of_diagonal(&r));
    EXPECT_MSG(r.b.status == MAAS_OK, "%s", r.err.msg);
    optimize(&r);
    EXPECT_EQ(n_of(&r, "Einsum"), 1);
    maas_graph_destroy(r.g);
}

static const mt_case cases[] = {
    MT_CASE(every_pattern_becomes_its_operator),
    MT_CASE(what_is_almost_a_pattern_stays),
    MT_CASE(a_diagonal_stays_an_einsum),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
