/* learn/teach.c - answers in the order of the network's outputs, and their part of the loss. */
#include "learn/teach.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

/* ---- rows ---- */

static bool is_label(const maas_target *t, int64_t k, const json_t *label)
{
    const maas_key *c = &t->classes[k];
    if (!t->is_text)
        return json_is_integer(label) && json_integer_value(label) == c->number;
    return json_is_string(label) && json_string_length(label) == c->text.n &&
           memcmp(json_string_value(label), c->text.p, c->text.n) == 0;
}

/* For each class of the target, which of the teacher's it is. */
static maas_status match_classes(const maas_teaching *from, const maas_target *t, int32_t *out,
                                 maas_err *err)
{
    for (int64_t k = 0; k < t->n_classes; k++) {
        size_t i;
        json_t *label;
        out[k] = -1;
        json_array_foreach((json_t *)from->labels, i, label)
        {
            if (is_label(t, k, label))
                out[k] = (int32_t)i;
        }
        if (out[k] < 0)
            return maas_fail(err, MAAS_E_INVALID,
                             "the teacher does not know class %lld of target '%s'",
                             (long long)k + 1, t->col->desc.name);
    }
    return MAAS_OK;
}

/* Chances p[k] at the temperature, in the order of the target, into out[n_classes]. */
static void soften(const float *p, const int32_t *at, int64_t n, double temperature, double *out)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) {
        out[k] = pow(fmax((double)p[at[k]], 1e-12), 1 / temperature);
        sum += out[k];
    }
    for (int64_t k = 0; k < n; k++)
        out[k] /= sum;
}

static maas_status soften_all(maas_soft *s, const maas_teaching *from, const maas_target *t,
                              maas_err *err)
{
    AUTO_FREE int32_t *at = maas_calloc((size_t)t->n_classes + 1, sizeof *at);
    AUTO_FREE double *p = maas_calloc((size_t)t->n_classes + 1, sizeof *p);
    if (!at || !p)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a teacher's answers");
    MAAS_TRY(match_classes(from, t, at, err));
    for (int64_t i = 0; i < s->n_rows; i++) {
        soften(from->values + i * from->width, at, t->n_classes, s->temperature, p);
        for (int64_t k = 0; k < s->width; k++) /* one output: the chance of the second class */
            s->rows[i * s->width + k] = (float)p[t->loss == MAAS_LOSS_BINARY ? 1 : k];
    }
    return MAAS_OK;
}

static void scale_all(maas_soft *s, const maas_teaching *from, const maas_target *t)
{
    for (int64_t i = 0, n = s->n_rows * s->width; i < n; i++) {
        const int64_t k = i % s->width;
        const float x = from->values[i];
        s->rows[i] = t->scaled ? (x - t->shift[k]) / t->scale[k] : x;
    }
}

maas_status maas_soft_init(maas_soft *s, const maas_teaching *from, const maas_target *t,
                           maas_budget *budget, maas_err *err)
{
    *s = (maas_soft){.budget = budget};
    if (!from)
        return MAAS_OK;
    const bool classes = from->labels != NULL;
    if (classes != t->is_class || (!classes && from->width != t->width))
        return maas_fail(err, MAAS_E_INVALID, "the teacher answers %s, target '%s' is %s",
                         classes ? "classes" : "numbers", t->col->desc.name,
                         t->is_class ? "classes" : "numbers, or of another width");
    s->n_rows = t->n_rows;
    s->width = maas_target_n_outputs(t, 0);
    s->temperature = classes ? from->temperature : 1;
    s->weight = from->weight;
    s->charged = (size_t)(s->n_rows * s->width) * sizeof *s->rows;
    if (budget && !maas_budget_take(budget, s->charged)) {
        s->charged = 0;
        return maas_fail(err, MAAS_E_NOMEM, "memory for a teacher's answers");
    }
    s->rows = maas_calloc((size_t)(s->n_rows * s->width) + 1, sizeof *s->rows);
    if (!s->rows)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a teacher's answers");
    if (classes)
        return soften_all(s, from, t, err);
    scale_all(s, from, t);
    return MAAS_OK;
}

void maas_soft_reset(maas_soft *s)
{
    maas_free(s->rows);
    if (s->budget && s->charged)
        maas_budget_give(s->budget, s->charged);
    *s = (maas_soft){0};
}

void maas_soft_gather(const maas_soft *s, const uint32_t *rows, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++)
        memcpy(out + i * s->width, s->rows + rows[i] * s->width, (size_t)s->width * sizeof *out);
}

/* ---- graph ---- */

maas_vid maas_soft_input(const maas_soft *s, maas_net *net)
{
    return maas_b_input(&net->b, "answers", MAAS_F32, 2, (int64_t[]){net->batch, s->width});
}

/* - mean over rows of sum over classes of p log softmax(z) */
static maas_vid soft_cross_entropy(maas_builder *b, maas_vid z, maas_vid p)
{
    const maas_attr axis = MAAS_A_INT("axis", 1), keep = MAAS_A_INT("keepdims", 0);
    maas_vid log = MAAS_NO_VALUE, sum = MAAS_NO_VALUE, mean = MAAS_NO_VALUE;
    maas_b_node(b, "LogSoftmax", &axis, 1, &z, 1, &log, 1);
    const maas_vid in[2] = {maas_b_op2(b, "Mul", p, log), maas_b_i64s(b, (int64_t[]){1}, 1)};
    maas_b_node(b, "ReduceSum", &keep, 1, in, 2, &sum, 1);
    maas_b_node(b, "ReduceMean", &keep, 1, &sum, 1, &mean, 1);
    return maas_b_op1(b, "Neg", mean);
}

maas_vid maas_soft_loss(const maas_soft *s, const maas_target *t, maas_net *net, maas_vid z,
                        maas_vid answers, maas_vid loss)
{
    maas_builder *b = &net->b;
    const double heat = s->temperature * s->temperature;
    if (b->status != MAAS_OK)
        return MAAS_NO_VALUE;
    if (heat != 1)
        z = maas_b_op2(b, "Mul", z, maas_b_f32(b, (float)(1 / s->temperature)));
    const maas_vid soft = t->is_class && t->loss != MAAS_LOSS_BINARY
                              ? soft_cross_entropy(b, z, answers)
                              : maas_losses[t->loss].build(b, &net->recipe->loss, z, answers,
                                                           MAAS_NO_VALUE);
    return maas_b_op2(b, "Add", maas_b_op2(b, "Mul", loss, maas_b_f32(b, (float)(1 - s->weight))),
                      maas_b_op2(b, "Mul", soft, maas_b_f32(b, (float)(s->weight * heat))));
}
