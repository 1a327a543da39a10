/* tests/unit/learn/test_metrics.c - metrics against other formulas for the same thing. */
#include "../../maas_test.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/sys.h"
#include "learn/metrics.h"
#include "learn/optimizers.h"

/* Pairs: how often a positive is above a negative. */
static double auc_by_pairs(const float *score, const int32_t *truth, int n)
{
    double won = 0, pairs = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            if (truth[i] == 1 && truth[j] != 1) {
                pairs++;
                won += score[i] > score[j] ? 1 : score[i] == score[j] ? 0.5 : 0;
            }
    return pairs ? won / pairs : NAN;
}

static void auc_counts_pairs(void)
{
    maas_rng rng;
    maas_rng_seed(&rng, 11);
    for (int round = 0; round < 200; round++) {
        float score[40];
        int32_t truth[40];
        uint32_t order[40];
        int n = 1 + (int)maas_rng_below(&rng, 40);
        for (int i = 0; i < n; i++) {
            score[i] = (float)maas_rng_below(&rng, 8); /* many ties */
            truth[i] = (int32_t)maas_rng_below(&rng, 2);
        }
        double want = auc_by_pairs(score, truth, n), got = maas_auc(score, 1, truth, 1, n, order);
        EXPECT_MSG(isnan(want) ? isnan(got) : fabs(want - got) < 1e-12, "round %d: %g, expected %g",
                   round, got, want);
    }
}

static void f1_is_the_harmonic_mean(void)
{
    maas_rng rng;
    maas_rng_seed(&rng, 12);
    for (int round = 0; round < 100; round++) {
        int32_t truth[50], guess[50];
        int64_t scratch[15];
        int k = 2 + (int)maas_rng_below(&rng, 4);
        for (int i = 0; i < 50; i++) {
            truth[i] = (int32_t)maas_rng_below(&rng, (uint64_t)k);
            guess[i] = (int32_t)maas_rng_below(&rng, (uint64_t)k);
        }
        double sum = 0;
        for (int c = k == 2 ? 1 : 0; c < k; c++) {
            double tp = 0, fp = 0, fn = 0;
            for (int i = 0; i < 50; i++) {
                tp += truth[i] == c && guess[i] == c;
                fp += truth[i] != c && guess[i] == c;
                fn += truth[i] == c && guess[i] != c;
            }
            double p = tp + fp > 0 ? tp / (tp + fp) : 0, r = tp + fn > 0 ? tp / (tp + fn) : 0;
            sum += p + r > 0 ? 2 * p * r / (p + r) : 0;
        }
        EXPECT_NEAR(maas_f1(truth, guess, 50, k, scratch), k == 2 ? sum : sum / k, 1e-12);
    }
}

static double got(const json_t *o, const char *name)
{
    return json_number_value(json_object_get(o, name));
}

static void value_metrics_by_two_passes(void)
{
    enum { N = 30 };
    float truth[N], z[N], scale = 2.5f, shift = -7;
    uint32_t rows[N];
    maas_rng rng;
    maas_rng_seed(&rng, 13);
    double sq = 0, abs_err = 0, mean = 0, var = 0;
    for (int i = 0; i < N; i++) {
        truth[i] = (float)maas_rng_normal(&rng);
        z[i] = truth[i] + 0.3f * (float)maas_rng_normal(&rng);
        rows[i] = (uint32_t)i;
        mean += (truth[i] * (double)scale + shift) / N;
        sq += pow((z[i] - (double)truth[i]) * scale, 2);
        abs_err += fabs((z[i] - (double)truth[i]) * scale);
    }
    for (int i = 0; i < N; i++)
        var += pow(truth[i] * (double)scale + shift - mean, 2);
    maas_target t = {.loss = MAAS_LOSS_MSE,
                     .width = 1,
                     .values = truth,
                     .shift = &shift,
                     .scale = &scale,
                     .scaled = true};
    maas_score s;
    maas_err err = {0};
    EXPECT_EQ(maas_score_init(&s, &t, N, NULL, &err), MAAS_OK);
    maas_score_add(&s, z, rows, 11, 0.5); /* in two batches */
    maas_score_add(&s, z + 11, rows + 11, N - 11, 0.25);
    json_t *o = json_object();
    EXPECT(maas_score_json(&s, "val_", o));
    EXPECT_NEAR(got(o, "val_loss"), (11 * 0.5 + 19 * 0.25) / N, 1e-12);
    EXPECT_NEAR(got(o, "val_rmse"), sqrt(sq / N), 1e-5);
    EXPECT_NEAR(got(o, "val_mae"), abs_err / N, 1e-5);
    EXPECT_NEAR(got(o, "val_r2"), 1 - sq / var, 1e-5);
    json_decref(o);
    maas_score_reset(&s);
}

static void class_metrics_from_logits(void)
{
    enum { N = 60, K = 3 };
    float z[N * K];
    int32_t codes[N];
    uint32_t rows[N], order[N];
    maas_rng rng;
    maas_rng_seed(&rng, 14);
    float chance[N];
    int32_t guess[N];
    double right = 0, auc = 0;
    for (int i = 0; i < N; i++) {
        codes[i] = (int32_t)maas_rng_below(&rng, K);
        rows[i] = (uint32_t)i;
        for (int c = 0; c < K; c++)
            z[i * K + c] = (float)maas_rng_normal(&rng) + (c == codes[i]);
        guess[i] = 0;
        for (int c = 1; c < K; c++)
            guess[i] = z[i * K + c] > z[i * K + guess[i]] ? c : guess[i];
        right += guess[i] == codes[i];
    }
    for (int c = 0; c < K; c++) {
        int32_t is[N];
        for (int i = 0; i < N; i++) {
            double sum = 0;
            for (int j = 0; j < K; j++)
                sum += exp(z[i * K + j]);
            chance[i] = (float)(exp(z[i * K + c]) / sum);
            is[i] = codes[i] == c;
        }
        auc += auc_by_pairs(chance, is, N) / K;
    }
    (void)order;
    maas_target t = {.loss = MAAS_LOSS_CROSS_ENTROPY,
                     .is_class = true,
                     .n_classes = K,
                     .codes = codes,
                     .width = 1};
    maas_score s;
    maas_err err = {0};
    EXPECT_EQ(maas_score_init(&s, &t, N, NULL, &err), MAAS_OK);
    maas_score_add(&s, z, rows, N / 2, 1);
    maas_score_add(&s, z + N / 2 * K, rows + N / 2, N / 2, 1);
    json_t *o = json_object();
    EXPECT(maas_score_json(&s, "", o));
    EXPECT_NEAR(got(o, "accuracy"), right / N, 1e-12);
    EXPECT_NEAR(got(o, "auc"), auc, 1e-3); /* float chances may make or break a tie */
    json_decref(o);
    maas_score_reset(&s);
}

/* ---- learning rates ---- */

static void schedules_hit_their_corners(void)
{
    maas_schedule_spec s = {.final = 0.1, .every = 2, .factor = 0.5};
    for (int i = 0; i < MAAS_N_SCHEDULES; i++) {
        s.type = i;
        const char *name = maas_schedules[i].doc.name;
        s.warmup = 0;
        double first = maas_schedule_factor(&s, 0, 100, 10),
               last = maas_schedule_factor(&s, 100, 100, 10);
        EXPECT_MSG(first == 1, "%s starts at %g", name, first);
        if (strcmp(name, "cosine") == 0 || strcmp(name, "linear") == 0)
            EXPECT_NEAR(last, 0.1, 1e-12);
        else if (strcmp(name, "step") == 0)
            EXPECT_NEAR(last, pow(0.5, 5), 1e-12);
        else if (strcmp(name, "exponential") == 0)
            EXPECT_NEAR(last, pow(0.5, 10), 1e-12);
        else
            EXPECT_NEAR(last, 1, 0);
        s.warmup = 10;
        EXPECT_MSG(fabs(maas_schedule_factor(&s, 0, 100, 10) - 0.1) < 1e-12, "%s warms up", name);
    }
    s.type = MAAS_SCHEDULE_COSINE;
    s.warmup = 0;
    EXPECT_NEAR(maas_schedule_factor(&s, 50, 100, 10), 0.55, 1e-12);
}

/* Adam's two scalars against the textbook form, on one weight over ten steps. */
static void adam_scalars_are_the_textbook(void)
{
    maas_optimizer_spec s = {
        .type = MAAS_OPTIMIZER_ADAM, .beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-8};
    double m = 0, v = 0, w = 1, w2 = 1, m2 = 0, v2 = 0;
    for (int t = 1; t <= 10; t++) {
        double g = 0.3 * w - 0.1 * t, g2 = 0.3 * w2 - 0.1 * t, lr = 0.05;
        m = 0.9 * m + 0.1 * g;
        v = 0.99 * v + 0.01 * g * g;
        w -= lr * (m / (1 - pow(0.9, t))) / (sqrt(v / (1 - pow(0.99, t))) + 1e-8);
        float a, c; /* the rate and the epsilon */
        maas_optimizers[MAAS_OPTIMIZER_ADAM].scalars(&s, t, lr, &a, &c);
        m2 = 0.9 * m2 + 0.1 * g2;
        v2 = 0.99 * v2 + 0.01 * g2 * g2;
        w2 -= a * m2 / (sqrt(v2) + c);
        EXPECT_NEAR(w2, w, 1e-6);
    }
}

static const mt_case cases[] = {
    MT_CASE(auc_counts_pairs),
    MT_CASE(f1_is_the_harmonic_mean),
    MT_CASE(value_metrics_by_two_passes),
    MT_CASE(class_metrics_from_logits),
    MT_CASE(schedules_hit_their_corners),
    MT_CASE(adam_scalars_are_the_textbook),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
