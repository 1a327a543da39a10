/*
 * formats/sklearn/multiclass.c - several classes by estimators of two: one against the rest, one
 * against one, and codes.
 *
 * The confidence of an estimator of two classes is its decision value, or the probability of the
 * second when it has none (a regressor: its value); the threshold goes with it.
 */
#include <string.h>

#include "formats/sklearn/linear.h"
#include "base/ban.h"

typedef struct binary {
    maas_sk_out out;
    maas_vid confidence; /* [n, 1] */
    double threshold;
} binary;

static maas_status decode_binary(maas_sk *s, const maas_pk *list, int64_t i,
                                 const maas_sk_table *in, binary *b)
{
    MAAS_TRY(
        maas_sk_decode(s, maas_pk_at(list, i), in, 0, &b->out, "estimators_[%lld]", (long long)i));
    b->threshold = 0.5;
    if (b->out.role == MAAS_SK_REGRESSOR) {
        b->confidence = maas_sk_upright(s, b->out.value);
    } else if (b->out.scores != MAAS_NO_VALUE) {
        b->confidence = maas_sk_upright(s, b->out.scores);
        b->threshold = 0;
    } else if (b->out.probabilities != MAAS_NO_VALUE) {
        b->confidence = maas_sk_gather(s, b->out.probabilities, (int64_t[]){1}, 1, 1);
    } else {
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "estimators_[%lld] has no decision values",
                            (long long)i);
    }
    return s->b.status;
}

/* All of them, side by side [n, m]. */
static maas_status decode_all(maas_sk *s, const maas_pk *list, const maas_sk_table *in,
                              binary **out, maas_vid *confidences)
{
    const int64_t n = maas_pk_count(list);
    if (n == 0)
        return maas_sk_fail(s, MAAS_E_FORMAT, "estimators_ is empty");
    *out = maas_sk_alloc(s, (size_t)n, sizeof **out);
    maas_vid *v = maas_sk_alloc(s, (size_t)n, sizeof *v);
    for (int64_t i = 0; *out && v && i < n; i++) {
        MAAS_TRY(decode_binary(s, list, i, in, &(*out)[i]));
        v[i] = (*out)[i].confidence;
    }
    MAAS_TRY(s->b.status);
    *confidences = maas_sk_concat(s, v, (uint32_t)n, 1);
    return s->b.status;
}

/* ---- one against the rest ---- */

/* Probabilities of the second class of each, [n, m]; MAAS_NO_VALUE when one has none. */
static maas_vid second_probabilities(maas_sk *s, const binary *all, int64_t n)
{
    maas_vid *v = maas_sk_alloc(s, (size_t)n, sizeof *v);
    for (int64_t i = 0; v && i < n; i++) {
        if (all[i].out.probabilities == MAAS_NO_VALUE)
            return MAAS_NO_VALUE;
        v[i] = maas_sk_gather(s, all[i].out.probabilities, (int64_t[]){1}, 1, 1);
    }
    return v ? maas_sk_concat(s, v, (uint32_t)n, 1) : MAAS_NO_VALUE;
}

/* Rows divided by their sum; a sum of 0 leaves zeros. */
static maas_vid normalize_nonzero(maas_sk *s, maas_vid p)
{
    maas_builder *b = &s->b;
    maas_vid sum = maas_sk_reduce(s, "ReduceSum", p, true);
    maas_vid none = maas_b_op2(b, "Equal", sum, maas_sk_f64(s, 0));
    return maas_b_op2(b, "Div", p, maas_b_op3(b, "Where", none, maas_sk_f64(s, 1), sum));
}

/* Each estimator is a label of its own. */
static maas_status several_labels(maas_sk *s, const binary *all, int64_t n, maas_vid confidences,
                                  maas_sk_out *out)
{
    maas_vid is = maas_b_op2(&s->b, "Greater", confidences, maas_sk_f64(s, all[0].threshold));
    out->label = maas_sk_cast(s, is, MAAS_I64);
    out->probabilities = second_probabilities(s, all, n);
    out->scores = all[0].threshold == 0 ? confidences : MAAS_NO_VALUE;
    return s->b.status;
}

static maas_status one_vs_rest(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                               unsigned need, maas_sk_out *out)
{
    const maas_pk *list = maas_pk_attr(est, "estimators_");
    const maas_pk *binarizer = maas_pk_attr(est, "label_binarizer_");
    const int64_t n = maas_pk_count(list);
    binary *all;
    maas_vid z;
    MAAS_TRY(decode_all(s, list, in, &all, &z));
    if (maas_sk_is_word(maas_pk_attr(binarizer, "y_type_"), "multilabel-indicator"))
        return several_labels(s, all, n, z, out);
    MAAS_TRY(maas_sk_classes(s, binarizer, "classes_", n == 1 ? 2 : n, &out->classes));
    maas_vid best = n == 1 ? maas_b_op2(&s->b, "Greater", maas_sk_flat(s, z),
                                        maas_sk_f64(s, all[0].threshold))
                           : maas_sk_argmax(s, z);
    out->label = maas_sk_label(s, best, out->classes);
    out->scores = all[0].out.scores == MAAS_NO_VALUE ? MAAS_NO_VALUE : z;
    maas_vid p = second_probabilities(s, all, n);
    if (p != MAAS_NO_VALUE)
        out->probabilities = normalize_nonzero(s, n == 1 ? maas_sk_both(s, p) : p);
    return s->b.status;
}

/* What fit puts in place of an estimator when a class is everywhere, or nowhere: y_ [1]. */
static maas_status constant(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                            maas_sk_out *out)
{
    const maas_tensor *y;
    MAAS_TRY(maas_sk_array(s, est, "y_", MAAS_F64, 1, (int64_t[]){1}, &y));
    const double v = *(const double *)y->data;
    const int64_t label = v != 0;
    double *both = maas_sk_alloc(s, 2, sizeof *both);
    if (!both)
        return s->b.status;
    both[0] = 1 - v;
    both[1] = v;
    const maas_tensor one = maas_tensor_of(MAAS_I64, 1, (int64_t[]){1}, (void *)(uintptr_t)&label);
    const maas_tensor p = maas_tensor_of(MAAS_F64, 2, (int64_t[]){1, 2}, both);
    const maas_tensor score = maas_tensor_of(MAAS_F64, 2, (int64_t[]){1, 1}, both + 1);
    out->label = maas_sk_repeat(s, in, &one);
    out->probabilities = maas_sk_repeat(s, in, &p);
    out->scores = maas_sk_repeat(s, in, &score);
    return s->b.status;
}

/* ---- one against one ---- */

maas_vid maas_sk_ovr_decision(maas_sk *s, maas_vid second_wins, maas_vid confidences, int64_t k)
{
    maas_builder *b = &s->b;
    const int64_t pairs = k * (k - 1) / 2;
    double *sign = maas_sk_alloc(s, (size_t)(pairs * k), sizeof *sign);
    double *base = maas_sk_alloc(s, (size_t)k, sizeof *base);
    int64_t p = 0;
    if (!sign || !base)
        return MAAS_NO_VALUE;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = i + 1; j < k; j++, p++) {
            sign[p * k + i] = -1;
            sign[p * k + j] = 1;
            base[i] += 1; /* a vote for i, unless the second wins */
        }
    const maas_tensor w = maas_tensor_of(MAAS_F64, 2, (int64_t[]){pairs, k}, sign);
    const maas_tensor votes = maas_tensor_of(MAAS_F64, 1, &k, base);
    maas_vid vote = maas_sk_affine(s, second_wins, &w, &votes);
    if (confidences == MAAS_NO_VALUE)
        return vote;
    maas_vid sum = maas_sk_affine(s, confidences, &w, NULL);
    maas_vid size = maas_b_op2(b, "Add", maas_b_op1(b, "Abs", sum), maas_sk_f64(s, 1));
    size = maas_b_op2(b, "Mul", size, maas_sk_f64(s, 3));
    return maas_b_op2(b, "Add", vote, maas_b_op2(b, "Div", sum, size));
}

static maas_status one_vs_one(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                              unsigned need, maas_sk_out *out)
{
    const maas_pk *list = maas_pk_attr(est, "estimators_");
    const int64_t n = maas_pk_count(list);
    binary *all;
    maas_vid z;
    MAAS_TRY(maas_sk_classes(s, est, "classes_", -1, &out->classes));
    const int64_t k = out->classes->dims[0];
    if (maas_sk_has(est, "pairwise_indices_"))
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED,
                            "kernels that were computed before cannot be said");
    if (k < 2 || k > 46340 || n != k * (k - 1) / 2)
        return maas_sk_fail(s, MAAS_E_FORMAT, "%lld estimators for %lld classes", (long long)n,
                            (long long)k);
    MAAS_TRY(decode_all(s, list, in, &all, &z));
    maas_vid *v = maas_sk_alloc(s, (size_t)n, sizeof *v);
    for (int64_t i = 0; v && i < n; i++) {
        if (all[i].out.label == MAAS_NO_VALUE)
            return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "estimators_[%lld] is no classifier",
                                (long long)i);
        v[i] = maas_sk_upright(s, maas_sk_cast(s, all[i].out.label, MAAS_F64));
    }
    MAAS_TRY(s->b.status);
    z = maas_sk_ovr_decision(s, maas_sk_concat(s, v, (uint32_t)n, 1), z, k);
    if (k == 2) {
        z = maas_sk_gather(s, z, (int64_t[]){1}, 1, 1);
        out->label = maas_sk_label(
            s, maas_b_op2(&s->b, "Greater", maas_sk_flat(s, z), maas_sk_f64(s, all[0].threshold)),
            out->classes);
    } else {
        out->label = maas_sk_label(s, maas_sk_argmax(s, z), out->classes);
    }
    out->scores = z;
    return s->b.status;
}

/* ---- codes: the class whose row of the code book is nearest ---- */

static maas_status output_code(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                               unsigned need, maas_sk_out *out)
{
    const maas_pk *list = maas_pk_attr(est, "estimators_");
    const maas_tensor *book;
    binary *all;
    maas_vid z;
    MAAS_TRY(maas_sk_classes(s, est, "classes_", -1, &out->classes));
    const int64_t k = out->classes->dims[0], n = maas_pk_count(list);
    MAAS_TRY(maas_sk_array(s, est, "code_book_", MAAS_F64, 2, (int64_t[]){k, n}, &book));
    MAAS_TRY(decode_all(s, list, in, &all, &z));
    double *half = maas_sk_alloc(s, (size_t)k, sizeof *half); /* nearest: largest z.c - |c|^2 / 2 */
    for (int64_t i = 0; half && i < k * n; i++)
        half[i / n] -= 0.5 * ((const double *)book->data)[i] * ((const double *)book->data)[i];
    const maas_tensor bias = maas_tensor_of(MAAS_F64, 1, &k, half);
    z = half ? maas_sk_linear(s, z, book, &bias) : MAAS_NO_VALUE;
    out->label = maas_sk_label(s, maas_sk_argmax(s, z), out->classes);
    return s->b.status;
}

const maas_sk_row maas_sk_multiclass[] = {
    {"OneVsOneClassifier", "sklearn.multiclass", MAAS_SK_CLASSIFIER, one_vs_one},
    {"OneVsRestClassifier", "sklearn.multiclass", MAAS_SK_CLASSIFIER, one_vs_rest},
    {"OutputCodeClassifier", "sklearn.multiclass", MAAS_SK_CLASSIFIER, output_code},
    {"_ConstantPredictor", "sklearn.multiclass", MAAS_SK_CLASSIFIER, constant},
    {0},
};
