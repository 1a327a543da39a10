/*
 * Dropout - the identity, except in training: there each element is dropped with chance `ratio` and
 * the others grow by 1 / (1 - ratio). With the attribute `seed` the plain operator draws the
 * numbers of NumPy's generator, as the standard's tests do; without one every run is another. The
 * noise of SeededDropout (ai.maas) is a function of (seed, step, element), with nothing hidden, so
 * that training repeats bit for bit. DropoutGrad applies the same mask.
 */
#include "ops/mt19937.h"
#include "ops/noise.h"
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status check_scalar(const maas_infer *q, int i, const char *what, maas_err *err)
{
    for (int k = 0; maas_q_has(q, i) && k < q->in[i].rank; k++)
        if (q->in[i].dims[k] >= 0 && q->in[i].dims[k] != 1)
            return maas_fail(err, MAAS_E_INVALID, "%s must be a scalar", what);
    return MAAS_OK;
}

static maas_status dropout_infer(maas_infer *q, maas_err *err)
{
    MAAS_TRY(check_scalar(q, 1, "ratio", err));
    MAAS_TRY(check_scalar(q, 2, "training_mode or step", err));
    q->out[0] = q->in[0];
    if (q->node->n_out > 1) {
        q->out[1] = q->in[0];
        q->out[1].dtype = MAAS_BOOL;
    }
    return MAAS_OK;
}

static maas_status ratio_of(const maas_call *c, double *out, maas_err *err)
{
    const maas_tensor *t = maas_c_in(c, 1);
    *out = t && maas_n_elems(t) ? maas_ld(t, 0) : 0.5;
    if (!(*out >= 0 && *out < 1))
        return maas_fail(err, MAAS_E_INVALID, "Dropout: ratio %g is outside of [0, 1)", *out);
    return MAAS_OK;
}

static void apply_one(const maas_call *c, int64_t i, double noise, double ratio)
{
    const maas_tensor *mask = maas_c_out(c, 1);
    const bool keep = noise >= ratio;
    maas_st(&c->out[0], i, keep ? maas_ld(&c->in[0], i) / (1 - ratio) : 0);
    if (mask)
        ((uint8_t *)mask->data)[i] = keep;
}

static void apply(const maas_call *c, uint64_t stream, double ratio)
{
    for (int64_t i = 0, n = maas_n_elems(&c->in[0]); i < n; i++)
        apply_one(c, i, maas_noise_unit(stream, i), ratio);
}

static void apply_numpy(const maas_call *c, uint32_t seed, double ratio)
{
    maas_mt19937 m;
    maas_mt19937_init(&m, seed);
    for (int64_t i = 0, n = maas_n_elems(&c->in[0]); i < n; i++)
        apply_one(c, i, maas_mt19937_unit(&m), ratio);
}

static maas_status dropout_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *training = maas_c_in(c, 2), *mask = maas_c_out(c, 1);
    double ratio = 0;
    if (training && maas_n_elems(training) && *(const uint8_t *)training->data) {
        MAAS_TRY(ratio_of(c, &ratio, err));
        if (maas_node_attr(c->node, "seed"))
            apply_numpy(c, (uint32_t)maas_attr_i(c->node, "seed", 0), ratio);
        else
            apply(c, maas_noise_stream(c->node), ratio);
        return MAAS_OK;
    }
    if (c->out[0].data != c->in[0].data)
        memcpy(c->out[0].data, c->in[0].data, maas_tensor_bytes(&c->in[0]));
    if (mask)
        memset(mask->data, 1, maas_tensor_bytes(mask));
    return MAAS_OK;
}

static maas_status seeded_reference(const maas_call *c, maas_err *err)
{
    double ratio;
    MAAS_TRY(ratio_of(c, &ratio, err));
    if (maas_n_elems(&c->in[2]) != 1)
        return maas_fail(err, MAAS_E_INVALID, "SeededDropout: step must be one number");
    uint64_t seed = maas_noise_mix((uint64_t)maas_attr_i(c->node, "seed", 0));
    apply(c, maas_noise_mix(seed ^ (uint64_t)maas_tensor_get_i64(&c->in[2], 0)), ratio);
    return MAAS_OK;
}

/* ---- gradient: the mask says what was kept; it is all true outside of training, where nothing
 * grew, so the scale has to follow training_mode as well ---- */

static maas_status grad_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *dy = &c->in[0], *training = maas_c_in(c, 3);
    const uint8_t *mask = c->in[2].data;
    double ratio = 0;
    if (!training || (maas_n_elems(training) && *(const uint8_t *)training->data))
        MAAS_TRY(ratio_of(c, &ratio, err));
    for (int64_t i = 0, n = maas_n_elems(dy); i < n; i++)
        maas_st(&c->out[0], i, mask[i] ? maas_ld(dy, i) / (1 - ratio) : 0);
    return MAAS_OK;
}

static maas_status grad_infer(maas_infer *q, maas_err *err)
{
    const maas_type *dy = &q->in[0], *mask = &q->in[2];
    int64_t ignored;
    MAAS_TRY(check_scalar(q, 1, "ratio", err));
    MAAS_TRY(check_scalar(q, 3, "training_mode", err));
    q->out[0] = *dy;
    if (dy->rank < 0 || mask->rank < 0)
        return MAAS_OK;
    if (dy->rank != mask->rank)
        return maas_fail(err, MAAS_E_INVALID, "dY has rank %d, mask %d", dy->rank, mask->rank);
    for (int i = 0; i < dy->rank; i++)
        MAAS_TRY(maas_dim_same(dy->dims[i], mask->dims[i], &ignored, "dY and mask", err));
    return MAAS_OK;
}

static void seeded_gradient(maas_grad *g)
{
    const maas_node *n = g->node;
    if (g->want[0])
        g->din[0] = maas_b_op3(g->b, "DropoutGrad", g->dout[0], n->in[1], n->out[1]);
}

/* Without the input training_mode nothing was dropped. */
static void dropout_gradient(maas_grad *g)
{
    const maas_node *n = g->node;
    if (!g->want[0])
        return;
    if (n->n_in < 3 || n->in[2] == MAAS_NO_VALUE) {
        g->din[0] = g->dout[0];
        return;
    }
    if (n->n_out < 2 || n->out[1] == MAAS_NO_VALUE) {
        g->b->status = maas_fail(g->b->err, MAAS_E_UNSUPPORTED,
                                 "the gradient of Dropout needs its output 'mask'");
        return;
    }
    const maas_vid ratio = n->in[1] == MAAS_NO_VALUE ? maas_b_f32(g->b, 0.5f) : n->in[1];
    const maas_vid in[4] = {g->dout[0], ratio, n->out[1], n->in[2]};
    g->din[0] = maas_b_node(g->b, "DropoutGrad", NULL, 0, in, 4, NULL, 1);
}

/* ---- examples and rows ---- */

static void dropout_example(maas_example *e)
{
    const int k = e->variant / 2;
    maas_dtype t = maas_ex_float(e);
    const maas_attr seed = MAAS_A_INT("seed", 7);
    maas_vid out[2], in[3] = {maas_ex_in(e, t, -2, 2, MAAS_DIMS(4, 6))};
    if (k) {
        in[1] = maas_b_scalar(e->b, t, 0.3);
        in[2] = maas_b_scalar(e->b, MAAS_BOOL, k - 1);
    }
    maas_b_node(e->b, "Dropout", &seed, 1, in, k ? 3 : 1, out, 2);
}

static void seeded_example(maas_example *e)
{
    maas_dtype t = maas_ex_float(e);
    const maas_attr seed = MAAS_A_INT("seed", 7);
    maas_vid out[2], in[3] = {maas_ex_in(e, t, -2, 2, MAAS_DIMS(4, 6)), maas_b_scalar(e->b, t, 0.3),
                              maas_ex_in(e, MAAS_I64, 0, 100, 0, NULL)};
    maas_b_node(e->b, "SeededDropout", &seed, 1, in, 3, out, 2);
}

static void grad_example(maas_example *e)
{
    maas_dtype t = maas_ex_float(e);
    maas_vid dy = maas_ex_in(e, t, -2, 2, MAAS_DIMS(4, 6));
    maas_b_op3(e->b, "DropoutGrad", dy, maas_b_scalar(e->b, t, 0.3),
               maas_ex_in(e, MAAS_BOOL, 0, 2, MAAS_DIMS(4, 6)));
}

static const maas_io_schema in[] = {MAAS_REQ("data", "T", MAAS_DTS_FLOAT | MAAS_DTS_F8),
                                    MAAS_OPT("ratio", NULL, MAAS_DTS_FLOAT | MAAS_DTS_F8),
                                    MAAS_OPT("training_mode", NULL, MAAS_DTS_BOOL)};
static const maas_io_schema seeded_in[] = {MAAS_REQ("data", "T", MAAS_DTS_FLOAT),
                                           MAAS_REQ("ratio", NULL, MAAS_DTS_FLOAT),
                                           MAAS_REQ("step", NULL, MAAS_DTS_I64)};
static const maas_io_schema out[] = {MAAS_REQ("output", "T", MAAS_DTS_FLOAT | MAAS_DTS_F8),
                                     MAAS_OPT("mask", NULL, MAAS_DTS_BOOL)};
static const maas_io_schema seeded_out[] = {MAAS_REQ("output", "T", MAAS_DTS_FLOAT),
                                            MAAS_REQ("mask", NULL, MAAS_DTS_BOOL)};
static const maas_io_schema grad_in[] = {
    MAAS_REQ("dY", "T", MAAS_DTS_FLOAT), MAAS_REQ("ratio", NULL, MAAS_DTS_FLOAT),
    MAAS_REQ("mask", NULL, MAAS_DTS_BOOL), MAAS_OPT("training_mode", NULL, MAAS_DTS_BOOL)};
static const maas_io_schema grad_out[] = {MAAS_REQ("dX", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"seed", MAAS_ATTR_INT, false}};

const maas_op maas_op_Dropout = {
    .domain = "",
    .name = "Dropout",
    .since = 13,
    .flags = MAAS_OP_INPLACE | MAAS_OP_RANDOM | MAAS_OP_INFERENCE_IDENTITY,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 6,
    .tolerance = 1e-6,
    .infer = dropout_infer,
    .reference = dropout_reference,
    .flops = maas_flops_out,
    .example = dropout_example,
    .gradient = dropout_gradient,
};

const maas_op maas_op_SeededDropout = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "SeededDropout",
    .since = 1,
    .flags = MAAS_OP_INPLACE | MAAS_OP_RANDOM | MAAS_OP_INFERENCE_IDENTITY,
    MAAS_SCHEMA(seeded_in, seeded_out),
    MAAS_ATTRS(attrs),
    .n_examples = 2,
    .tolerance = 1e-6,
    .infer = dropout_infer,
    .reference = seeded_reference,
    .flops = maas_flops_out,
    .example = seeded_example,
    .gradient = seeded_gradient,
};

const maas_op maas_op_DropoutGrad = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "DropoutGrad",
    .since = 1,
    .flags = MAAS_OP_INPLACE,
    MAAS_SCHEMA(grad_in, grad_out),
    .n_examples = 2,
    .tolerance = 1e-6,
    .infer = grad_infer,
    .reference = grad_reference,
    .flops = maas_flops_out,
    .example = grad_example,
    .no_gradient = MAAS_SECOND_ORDER,
};
