/* formats/savedmodel/products.c - matrix products, sums over labels, rows. */
#include "formats/savedmodel/sm_int.h"

#include <string.h>

#include "base/utf8.h"
#include "base/ban.h"

static maas_vid swap_last(sm *s, maas_vid x)
{
    const int rank = sm_rank(s, x);
    int64_t order[MAAS_MAX_RANK];
    if (rank < 2)
        return sm_fail(s, MAAS_E_FORMAT, "a matrix must have 2 dimensions or more");
    for (int i = 0; i < rank; i++)
        order[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    return maas_p_transpose(s->b, x, rank, order);
}

/* arg: which attributes say that the last two axes are swapped */
static void matmul(sm *s, sm_op *op)
{
    const char *const *swapped = op->arg;
    maas_vid x = sm_in(s, op, 0), y = sm_in(s, op, 1);
    if (sm_attr_i(s, op, swapped[0], 0))
        x = swap_last(s, x);
    if (sm_attr_i(s, op, swapped[1], 0))
        y = swap_last(s, y);
    sm_give(s, op, 0, maas_b_op2(s->b, "MatMul", x, y));
}

static const char *const of_matrix[] = {"transpose_a", "transpose_b"}, *const of_batch[] = {
                                                                           "adj_x", "adj_y"};

static void einsum(sm *s, sm_op *op)
{
    const char *equation = sm_text(s, sm_attr_s(s, op->node, "equation"));
    maas_vid *in = sm_array(s, op->node->n_in, sizeof *in);
    for (uint32_t i = 0; in && i < op->node->n_in; i++)
        in[i] = sm_in(s, op, i);
    const maas_attr a = MAAS_A_STR("equation", equation);
    if (sm_ok(s))
        sm_give(s, op, 0, maas_b_node(s->b, "Einsum", &a, 1, in, op->node->n_in, NULL, 1));
}

/* arg: the name of an operator of ONNX */
static void softmax(sm *s, sm_op *op)
{
    sm_give(s, op, 0, maas_p_op1(s->b, op->arg, MAAS_A_INT("axis", -1), sm_in(s, op, 0)));
}

static void l2_loss(sm *s, sm_op *op)
{
    const maas_vid x = sm_in(s, op, 0);
    const maas_vid sum = maas_p_op1(s->b, "ReduceSumSquare", MAAS_A_INT("keepdims", 0), x);
    sm_give(s, op, 0, maas_b_op2(s->b, "Mul", sum, maas_p_like(s->b, x, 0.5)));
}

/* x less its last axes' band: upper or lower -1 keeps all of that side. */
static void band_part(sm *s, sm_op *op)
{
    const maas_vid x = sm_in(s, op, 0);
    const int64_t lower = sm_int(s, op, 1), upper = sm_int(s, op, 2);
    maas_vid y = x;
    if (lower >= 0) {
        const maas_vid in[2] = {y, maas_b_i64(s->b, -lower)};
        y = maas_b_node(s->b, "Trilu", &MAAS_A_INT("upper", 1), 1, in, 2, NULL, 1);
    }
    if (upper >= 0) {
        const maas_vid in[2] = {y, maas_b_i64(s->b, upper)};
        y = maas_b_node(s->b, "Trilu", &MAAS_A_INT("upper", 0), 1, in, 2, NULL, 1);
    }
    sm_give(s, op, 0, y);
}

const sm_row sm_products[] = {
    {"BatchMatMul", matmul, 2, 2, 0, of_batch, NULL},
    {"BatchMatMulV2", matmul, 2, 2, 0, of_batch, NULL},
    {"BatchMatMulV3", matmul, 2, 2, 0, of_batch, NULL},
    {"Einsum", einsum, 1, 255, 0, NULL, NULL},
    {"L2Loss", l2_loss, 1, 1, 0, NULL, NULL},
    {"LogSoftmax", softmax, 1, 1, 0, "LogSoftmax", NULL},
    {"MatMul", matmul, 2, 2, 0, of_matrix, NULL},
    {"MatrixBandPart", band_part, 3, 3, 0, NULL, NULL},
    {"Softmax", softmax, 1, 1, 0, "Softmax", NULL},
    {0},
};
