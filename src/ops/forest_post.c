#include "ops/forest_post.h"

#include <math.h>
#include <string.h>

#include "ops/forest_int.h"
#include "base/ban.h"

maas_post maas_post_of(const maas_node *n)
{
    static const char *const names[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
    const maas_attr *a = maas_node_attr(n, "post_transform");
    if (!a)
        return MAAS_POST_NONE;
    if (a->type == MAAS_ATTR_INT)
        return a->u.i >= 0 && a->u.i < MAAS_POST_BAD ? (maas_post)a->u.i : MAAS_POST_BAD;
    for (int i = 0; i < MAAS_POST_BAD; i++)
        if (a->u.s.n == strlen(names[i]) && memcmp(a->u.s.p, names[i], a->u.s.n) == 0)
            return (maas_post)i;
    return MAAS_POST_BAD;
}

/* exp(-|x|) never overflows; both halves of the sign are as exact as the other. */
static double logistic(double x)
{
    const double e = exp(-fabs(x));
    return x < 0 ? e / (1 + e) : 1 / (1 + e);
}

/* The inverse of the normal distribution by Winitzki's approximation of erf, with the digits that
 * ONNX Runtime has. */
static double probit(double p)
{
    const float pi = 3.14159f, a = 0.147f;
    const float y = 2 * (float)p - 1, sign = y < 0 ? -1.0f : 1.0f;
    const float l = logf((1 - y) * (1 + y));
    const float v = 2 / (pi * a) + 0.5f * l;
    return 1.41421356f * (sign * sqrtf(sqrtf(v * v - l / a) - v));
}

/* With `zero`, what is zero is not a vote: it stays (next to) zero. */
static void softmax(double *s, int64_t n, bool zero)
{
    double max = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++)
        max = fmax(max, s[i]);
    for (int64_t i = 0; i < n; i++) {
        if (zero && fabs(s[i]) <= 1e-7) {
            s[i] *= exp(-max);
            continue;
        }
        s[i] = exp(s[i] - max);
        sum += s[i];
    }
    for (int64_t i = 0; i < n && sum > 0; i++)
        s[i] /= sum;
}

void maas_post_apply(double *s, int64_t n, maas_post how)
{
    if (how == MAAS_POST_PROBIT)
        for (int64_t i = 0; i < n; i++)
            s[i] = probit(s[i]);
    if (n < 2)
        return;
    if (how == MAAS_POST_LOGISTIC)
        for (int64_t i = 0; i < n; i++)
            s[i] = logistic(s[i]);
    if (how == MAAS_POST_SOFTMAX || how == MAAS_POST_SOFTMAX_ZERO)
        softmax(s, n, how == MAAS_POST_SOFTMAX_ZERO);
}

/* ---- labels ---- */

/* What the weights of two classes look like: whose they are, and whether one is below zero. */
static maas_status look_at_weights(const maas_node *n, maas_votes *v, maas_err *err)
{
    maas_numbers w;
    bool has[2] = {false, false};
    uint32_t n_ids;
    const int64_t *ids = maas_attr_ints(n, "class_ids", &n_ids);
    MAAS_TRY(maas_numbers_of(n, "class_weights", "class_weights_as_tensor", &w, err));
    v->positive = true;
    for (uint32_t i = 0; i < w.n && i < n_ids; i++) {
        v->positive &= maas_number(&w, i) >= 0;
        has[ids[i] != 0] = true;
    }
    maas_numbers base;
    MAAS_TRY(maas_numbers_of(n, "base_values", "base_values_as_tensor", &base, err));
    v->single = v->n_classes == 2 && has[0] && !has[1] && base.n < 2;
    v->second = v->n_classes == 2 && !has[0] && has[1] && base.n == 0;
    return MAAS_OK;
}

maas_status maas_votes_of(const maas_node *n, maas_votes *out, maas_err *err)
{
    *out = (maas_votes){.post = maas_post_of(n),
                        .ints = maas_node_attr(n, "classlabels_int64s"),
                        .strings = maas_node_attr(n, "classlabels_strings")};
    if (out->ints && out->ints->n == 0)
        out->ints = NULL;
    if (out->strings && out->strings->n == 0)
        out->strings = NULL;
    if (!out->ints == !out->strings)
        return maas_fail(err, MAAS_E_INVALID,
                         "one of classlabels_int64s and classlabels_strings is needed");
    out->n_classes = out->ints ? out->ints->n : out->strings->n;
    if (out->post == MAAS_POST_BAD)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "this post_transform is not supported");
    MAAS_TRY(look_at_weights(n, out, err));
    if (out->single && out->post == MAAS_POST_PROBIT)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "PROBIT of a single score for two classes");
    return MAAS_OK;
}

/* The score of the second class decides, and says the other one. */
static int64_t count_single(const maas_votes *v, double s, float *scores)
{
    const bool logit = v->post == MAAS_POST_LOGISTIC;
    scores[0] = (float)(logit ? logistic(-s) : v->positive ? 1 - s : -s);
    scores[1] = (float)(logit ? logistic(s) : s);
    return s > (v->positive ? 0.5 : 0);
}

int64_t maas_votes_count(const maas_votes *v, double *s, float *scores)
{
    int64_t best = -1;
    if (v->single)
        return count_single(v, isnan(s[0]) ? 0 : s[0], scores);
    for (int64_t k = 0; k < v->n_classes; k++) {
        if (!isnan(s[k]) && (best < 0 || s[k] > s[best]))
            best = k;
        s[k] = isnan(s[k]) ? 0 : s[k];
    }
    if (v->second)
        best = s[1] > (v->positive ? 0.5 : 0);
    maas_post_apply(s, v->n_classes, v->post);
    for (int64_t k = 0; k < v->n_classes; k++)
        scores[k] = (float)s[k];
    return best < 0 ? 0 : best;
}
