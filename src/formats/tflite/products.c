/* formats/tflite/products.c - matrix products, normalizations of rows, rows of tables, LSTM. */
#include "formats/tflite/tflite_int.h"

#include <string.h>

#include "base/ban.h"

static maas_vid swap_last(tl *t, maas_vid x)
{
    const int rank = tl_type(t, x)->rank;
    int64_t order[MAAS_MAX_RANK];
    if (rank < 2)
        return tl_fail(t, MAAS_E_FORMAT, "a matrix must have 2 dimensions or more");
    for (int i = 0; i < rank; i++)
        order[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    return tl_transpose(t, x, rank, order);
}

/* Weights are [units, in]. Without keep_num_dims, rows are whatever is left of the input. */
static void fully_connected(tl *t, tl_op *op)
{
    maas_vid x = tl_in(t, op, 0);
    const maas_vid codes = tl_codes(t, op, 1);
    if (tl_ok(t) && tl_type(t, codes)->rank != 2)
        tl_fail(t, MAAS_E_FORMAT, "its weights have %d dimensions", tl_type(t, codes)->rank);
    if (fb_i8(&t->f, &op->options, 1, 0) != 0)
        tl_fail(t, MAAS_E_UNSUPPORTED, "its weights are shuffled for one kernel");
    if (!tl_ok(t))
        return;
    const int64_t width = tl_size(t, codes, 1);
    const bool keep = fb_bool(&t->f, &op->options, 2, false);
    const maas_type *type = tl_type(t, x);
    if (!keep && (type->rank != 2 || type->dims[1] != width))
        x = tl_reshape(t, x, (int64_t[]){-1, width}, 2);
    maas_vid y = maas_b_op2(&t->b, "MatMul", x, tl_weights(t, op, 1, (int64_t[]){1, 0}));
    const maas_vid bias = tl_bias(t, op, 2);
    if (bias != MAAS_NO_VALUE)
        y = maas_b_op2(&t->b, "Add", y, bias);
    tl_give(t, op, 0, tl_activated(t, op, 0, y));
}

static void batch_matmul(tl *t, tl_op *op)
{
    maas_vid x = tl_in(t, op, 0), y = tl_in(t, op, 1);
    if (fb_bool(&t->f, &op->options, 0, false))
        x = swap_last(t, x);
    if (fb_bool(&t->f, &op->options, 1, false))
        y = swap_last(t, y);
    tl_give(t, op, 0, maas_b_op2(&t->b, "MatMul", x, y));
}

/* ---- rows ---- */

static void softmax(tl *t, tl_op *op)
{
    const float beta = fb_f32(&t->f, &op->options, 0);
    maas_vid x = tl_in(t, op, 0);
    if (beta < 1 || beta > 1)
        x = maas_b_op2(&t->b, "Mul", x, maas_b_f32(&t->b, beta));
    tl_give(t, op, 0, tl_op1(t, "Softmax", MAAS_A_INT("axis", -1), x));
}

static void log_softmax(tl *t, tl_op *op)
{
    tl_give(t, op, 0, tl_op1(t, "LogSoftmax", MAAS_A_INT("axis", -1), tl_in(t, op, 0)));
}

static void l2_norm(tl *t, tl_op *op)
{
    const maas_vid x = tl_in(t, op, 0);
    maas_vid n = tl_op2(t, "ReduceL2", MAAS_A_INT("keepdims", 1), x,
                        maas_b_i64s(&t->b, (int64_t[]){-1}, 1));
    n = maas_b_op2(&t->b, "Max", n, maas_b_f32(&t->b, 1e-6f));
    tl_give(t, op, 0, tl_activated(t, op, 0, maas_b_op2(&t->b, "Div", x, n)));
}

static void embedding(tl *t, tl_op *op)
{
    tl_give(t, op, 0, maas_b_op2(&t->b, "Gather", tl_in(t, op, 1), tl_in(t, op, 0)));
}

/* ---- LSTM ---- */

enum {
    LSTM_IN,
    LSTM_W,
    LSTM_R = 5,
    LSTM_PEEP = 9,
    LSTM_BIAS = 12,
    LSTM_PROJECTION = 16,
    LSTM_H = 18,
    LSTM_C,
    LSTM_NORM
};

static bool plain_lstm(tl *t, const tl_op *op)
{
    const struct {
        uint32_t from, to;
        bool wanted;
        const char *what;
    } parts[] = {{LSTM_W, LSTM_R, true, "gates that share weights"},
                 {LSTM_R, LSTM_PEEP, true, "gates that share weights"},
                 {LSTM_PEEP, LSTM_BIAS, false, "peepholes"},
                 {LSTM_BIAS, LSTM_PROJECTION, true, "a gate without bias"},
                 {LSTM_PROJECTION, LSTM_H, false, "a projection"},
                 {LSTM_NORM, LSTM_NORM + 4, false, "normalizations"}};
    for (size_t k = 0; k < MAAS_COUNT(parts); k++)
        for (uint32_t i = parts[k].from; i < parts[k].to && tl_ok(t); i++)
            if (tl_has(op, i) != parts[k].wanted)
                tl_fail(t, MAAS_E_UNSUPPORTED, "%s", parts[k].what);
    if (fb_i8(&t->f, &op->options, 0, 0) != ACT_TANH)
        tl_fail(t, MAAS_E_UNSUPPORTED, "another activation than TANH");
    if (fb_f32(&t->f, &op->options, 1) > 0 || fb_f32(&t->f, &op->options, 2) > 0)
        tl_fail(t, MAAS_E_UNSUPPORTED, "clipped cells");
    for (uint32_t i = LSTM_H; i <= LSTM_C && tl_ok(t); i++)
        if (!tl_has(op, i) || !tl_of(t, op, i)->variable)
            tl_fail(t, MAAS_E_UNSUPPORTED, "a state that is no variable");
    return tl_ok(t);
}

/* The file has gates input, forget, cell, output; ONNX input, output, forget, cell, side by side.
 */
static maas_vid four_gates(tl *t, const tl_op *op, uint32_t first)
{
    static const uint32_t order[4] = {0, 3, 1, 2};
    maas_vid v[4];
    for (int i = 0; i < 4; i++)
        v[i] = tl_in(t, op, first + order[i]);
    return maas_b_op2(&t->b, "Unsqueeze", tl_concat(t, v, 4, 0),
                      maas_b_i64s(&t->b, (int64_t[]){0}, 1));
}

/* Each request starts from zeros: variables are not kept from one to the next. */
static void lstm(tl *t, tl_op *op)
{
    maas_vid x = tl_in(t, op, 0);
    if (!plain_lstm(t, op))
        return;
    const bool time_major = fb_bool(&t->f, &op->options, 3, false);
    if (tl_type(t, x)->rank != 3) {
        tl_fail(t, MAAS_E_FORMAT, "its input has %d dimensions", tl_type(t, x)->rank);
        return;
    }
    if (!time_major)
        x = tl_transpose(t, x, 3, (int64_t[]){1, 0, 2});
    const maas_vid w = four_gates(t, op, LSTM_W), r = four_gates(t, op, LSTM_R),
                   bias = four_gates(t, op, LSTM_BIAS);
    const maas_vid none = maas_b_op2(&t->b, "Mul", bias, maas_b_f32(&t->b, 0));
    const maas_vid in[4] = {x, w, r, tl_concat(t, (maas_vid[]){bias, none}, 2, 1)};
    const maas_attr a = MAAS_A_INT("hidden_size", tl_size(t, r, 2));
    maas_vid y = maas_b_node(&t->b, "LSTM", &a, 1, in, 4, NULL, 1);
    y = maas_b_op2(&t->b, "Squeeze", y, maas_b_i64s(&t->b, (int64_t[]){1}, 1));
    tl_give(t, op, 0, time_major ? y : tl_transpose(t, y, 3, (int64_t[]){1, 0, 2}));
}

const tl_row tl_products[] = {
    {7, "EMBEDDING_LOOKUP", embedding, 2, 2, 0, NULL},
    {9, "FULLY_CONNECTED", fully_connected, 2, 3, 0, NULL},
    {11, "L2_NORMALIZATION", l2_norm, 1, 1, 0, NULL},
    {25, "SOFTMAX", softmax, 1, 1, 0, NULL},
    {44, "UNIDIRECTIONAL_SEQUENCE_LSTM", lstm, 20, 24, TL_OMITS, NULL},
    {50, "LOG_SOFTMAX", log_softmax, 1, 1, 0, NULL},
    {126, "BATCH_MATMUL", batch_matmul, 2, 2, 0, NULL},
    {0},
};
