#include "kernels/gemm_args.h"

#include <string.h>

#include "base/ban.h"

static const struct {
    const char *name;
    maas_gemm_act act;
} acts[] = {
    {"", MAAS_GEMM_NONE},     {"Relu", MAAS_GEMM_RELU},          {"Sigmoid", MAAS_GEMM_SIGMOID},
    {"Tanh", MAAS_GEMM_TANH}, {"ReluGrad", MAAS_GEMM_RELU_GRAD},
};

static bool act_of(const maas_node *n, maas_gemm_act *out)
{
    maas_str s = maas_attr_s(n, "activation", "");
    for (size_t i = 0; i < MAAS_COUNT(acts); i++)
        if (s.n == strlen(acts[i].name) && memcmp(s.p, acts[i].name, s.n) == 0) {
            *out = acts[i].act;
            return true;
        }
    return false;
}

static bool given(const maas_call *c, int i)
{
    return i < c->n_in && c->in[i].dtype != MAAS_DT_NONE;
}

static bool all_of(const maas_call *c, maas_dtype t)
{
    for (int i = 0; i < c->n_in; i++)
        if (given(c, i) && c->in[i].dtype != t)
            return false;
    return c->n_out == 1 && c->out[0].dtype == t;
}

/* Stacks of matrices: B is one matrix for all rows of A, or both have the same batch dimensions. */
static bool matmul_args(const maas_call *c, maas_gemm_args *g)
{
    const maas_tensor *a = &c->in[0], *b = &c->in[1];
    if (a->rank < 2 || b->rank < 2)
        return false;
    g->k = a->dims[a->rank - 1];
    g->n = b->dims[b->rank - 1];
    g->n_batch = 1;
    if (b->rank == 2) {
        g->m = maas_dims_product(a->dims, 0, a->rank - 1);
    } else {
        if (a->rank != b->rank)
            return false;
        for (int i = 0; i < a->rank - 2; i++)
            if (a->dims[i] != b->dims[i])
                return false;
        g->m = a->dims[a->rank - 2];
        g->n_batch = maas_dims_product(a->dims, 0, a->rank - 2);
    }
    g->a_row = g->k;
    g->b_row = g->n;
    g->a_col = g->b_col = 1;
    g->act = MAAS_GEMM_NONE;
    g->alpha = g->beta = 1;
    return true;
}

static void addend(const maas_tensor *t, maas_gemm_args *g)
{
    int64_t cols = t->rank ? t->dims[t->rank - 1] : 1, rows = t->rank == 2 ? t->dims[0] : 1;
    g->c_col = cols == 1 ? 0 : 1;
    g->c_row = rows == 1 ? 0 : cols;
}

static bool gemm_args(const maas_call *c, maas_gemm_args *g)
{
    const maas_tensor *a = &c->in[0], *b = &c->in[1];
    bool ta = maas_attr_i(c->node, "transA", 0) != 0, tb = maas_attr_i(c->node, "transB", 0) != 0;
    if (a->rank != 2 || b->rank != 2 || !act_of(c->node, &g->act))
        return false;
    g->n_batch = 1;
    g->m = a->dims[ta];
    g->k = a->dims[!ta];
    g->n = b->dims[!tb];
    g->a_row = ta ? 1 : g->k;
    g->a_col = ta ? g->m : 1;
    g->b_row = tb ? 1 : g->n;
    g->b_col = tb ? g->k : 1;
    g->alpha = maas_attr_f(c->node, "alpha", 1);
    g->beta = maas_attr_f(c->node, "beta", 1);
    if (given(c, 2) && c->in[2].rank <= 2)
        addend(&c->in[2], g);
    else if (given(c, 2))
        return false;
    g->has_c = given(c, 2) && g->beta != 0;
    g->has_v = given(c, 3);
    return true;
}

void maas_gemm_args_point(const maas_call *c, maas_gemm_args *g)
{
    g->a = c->in[0].data;
    g->b = c->in[1].data;
    g->c = g->has_c ? c->in[2].data : NULL;
    g->v = g->has_v ? c->in[3].data : NULL;
    g->y = c->out[0].data;
}

bool maas_gemm_args_of(const maas_call *c, maas_dtype t, maas_gemm_args *g)
{
    *g = (maas_gemm_args){0};
    if (!all_of(c, t))
        return false;
    if (!(c->node->op == &maas_op_MatMul ? matmul_args(c, g) : gemm_args(c, g)))
        return false;
    maas_gemm_args_point(c, g);
    return true;
}
