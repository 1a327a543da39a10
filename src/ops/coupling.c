/*
 * PairwiseCoupling (ai.maas): r [n, pairs], the probability of i against j for each pair i < j in
 * order, to probabilities [n, classes]; pairs = classes (classes - 1) / 2.
 */
#include "ops/coupling.h"

#include "ops/ops_int.h"
#include "base/ban.h"

static void step(int64_t n, const double *q, double *qp, double *p, double pqp)
{
    for (int64_t i = 0; i < n; i++) {
        const double d = (pqp - qp[i]) / q[i * n + i];
        p[i] += d;
        pqp = (pqp + d * (d * q[i * n + i] + 2 * qp[i])) / (1 + d) / (1 + d);
        for (int64_t j = 0; j < n; j++) {
            qp[j] = (qp[j] + d * q[i * n + j]) / (1 + d);
            p[j] /= 1 + d;
        }
    }
}

void maas_couple(int64_t n, const double *r, double *q, double *qp, double *p)
{
    for (int64_t i = 0; i < n; i++) {
        p[i] = 1.0 / (double)n;
        q[i * n + i] = 0;
        for (int64_t j = 0; j < n; j++)
            if (j != i) {
                q[i * n + i] += r[j * n + i] * r[j * n + i];
                q[i * n + j] = -r[j * n + i] * r[i * n + j];
            }
    }
    for (int64_t round = 0; round < (n > 100 ? n : 100); round++) {
        double pqp = 0, error = 0;
        for (int64_t i = 0; i < n; i++) {
            qp[i] = 0;
            for (int64_t j = 0; j < n; j++)
                qp[i] += q[i * n + j] * p[j];
            pqp += p[i] * qp[i];
        }
        for (int64_t i = 0; i < n; i++)
            error = fmax(error, fabs(qp[i] - pqp));
        if (error < 0.005 / (double)n)
            return;
        step(n, q, qp, p, pqp);
    }
}

/* The number of classes of that many pairs; 0 when there is none. */
static int64_t classes_of(int64_t pairs)
{
    int64_t k = pairs > 0 && pairs < INT32_MAX ? (int64_t)((1 + sqrt(1 + 8.0 * (double)pairs)) / 2)
                                               : 0;
    return k * (k - 1) / 2 == pairs ? k : 0;
}

static maas_status coupling_infer(maas_infer *q, maas_err *err)
{
    const maas_type *r = &q->in[0];
    maas_q_unranked(q, 0, (maas_dtype)r->dtype);
    if (r->rank < 0)
        return MAAS_OK;
    if (r->rank != 2 || (r->dims[1] >= 0 && !classes_of(r->dims[1])))
        return maas_fail(err, MAAS_E_INVALID, "r must be [rows, pairs of classes]");
    const int64_t dims[] = {r->dims[0],
                            r->dims[1] >= 0 ? classes_of(r->dims[1]) : MAAS_DIM_UNKNOWN};
    maas_q_out(q, 0, (maas_dtype)r->dtype, 2, dims);
    return MAAS_OK;
}

static maas_status coupling_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    const int64_t pairs = x->dims[1], k = classes_of(pairs);
    AUTO_FREE double *room = maas_calloc((size_t)(2 * k * k + 2 * k), sizeof *room);
    if (!room)
        return maas_fail(err, MAAS_E_NOMEM, "PairwiseCoupling");
    double *r = room, *q = r + k * k, *qp = q + k * k, *p = qp + k;
    for (int64_t row = 0; row < x->dims[0]; row++) {
        for (int64_t i = 0, at = row * pairs; i < k; i++)
            for (int64_t j = i + 1; j < k; j++, at++) {
                r[i * k + j] = fmin(fmax(maas_ld(x, at), 1e-7), 1 - 1e-7);
                r[j * k + i] = 1 - r[i * k + j];
            }
        maas_couple(k, r, q, qp, p);
        for (int64_t i = 0; i < k; i++)
            maas_st(&c->out[0], row * k + i, p[i]);
    }
    return MAAS_OK;
}

static int64_t coupling_flops(const maas_call *c)
{
    const int64_t k = c->out[0].dims[1];
    return maas_n_elems(&c->out[0]) * k * 40; /* some ten rounds */
}

static void coupling_example(maas_example *e)
{
    const maas_vid x = maas_ex_in(e, maas_ex_float(e), 0.05, 0.95, 2,
                                  (const int64_t[]){5, e->variant < 2 ? 6 : 1});
    maas_b_op1(e->b, "PairwiseCoupling", x);
}

static const maas_io_schema in[] = {MAAS_REQ("r", "T", MAAS_DTS_FULL)};
static const maas_io_schema out[] = {MAAS_REQ("p", "T", MAAS_DTS_FULL)};

const maas_op maas_op_PairwiseCoupling = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "PairwiseCoupling",
    .since = 1,
    MAAS_SCHEMA(in, out),
    .n_examples = 4,
    .tolerance = 1e-6,
    .infer = coupling_infer,
    .reference = coupling_reference,
    .flops = coupling_flops,
    .example = coupling_example,
    .no_gradient = "it stops at a tolerance: a small change may be a round more",
};
