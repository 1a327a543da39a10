/* Rotary angles of the rows of a step: once for all layers. */
#include "lm/model/graph_int.h"

#include <math.h>
#include <string.h>

#include "base/ban.h"

enum { MAX_PAIRS = 512 };

/* Factors that every pair's turn is divided by: the file's, or those of long or short contexts,
 * whichever this model is opened for. false: they have another shape. */
static bool factors(maas_lm_writer *w, int64_t pairs, float *out)
{
    const bool longer = (double)w->h->n_rows > w->h->rope.original;
    const char *names[] = {"rope_freqs.weight",
                           longer ? "rope_factors_long.weight" : "rope_factors_short.weight"};
    for (int64_t i = 0; i < pairs; i++)
        out[i] = 1;
    for (size_t k = 0; k < MAAS_COUNT(names); k++) {
        const maas_lm_weight *f = maas_lm_weight_of(w->s, names[k]);
        if (!f)
            continue;
        if (f->rank != 1 || f->dims[0] != pairs || f->type->id != MAAS_Q_F32) {
            maas_lmg_wrong_shape(w, names[k], pairs, 1);
            return false;
        }
        memcpy(out, f->data, (size_t)pairs * sizeof *out);
        return true;
    }
    return true;
}

/* The pair (not always a whole one) that turns so many times within the original context. */
static double pair_of(const maas_lm_hyper *h, double turns)
{
    return (double)h->rope_size * log(h->rope.original / (turns * 2 * M_PI)) /
           (2 * log(h->rope_base));
}

/* How much of a pair's turn is left as it is (1) or slowed down (0): all of those that turn often,
 * none of those that do not get around once, a ramp between. */
static double kept(const maas_lm_hyper *h, int64_t pair)
{
    const double low = fmax(0, floor(pair_of(h, h->rope.fast)));
    const double high = fmin((double)h->rope_size - 1, ceil(pair_of(h, h->rope.slow)));
    const double at = ((double)pair - low) / fmax(0.001, high - low);
    return 1 - fmin(1, fmax(0, at));
}

/* Angles of one base: position * base^(-2i / rope_size) / factor[i], slowed down by `scale`. */
static void angles(maas_lm_writer *w, maas_vid position, double base, bool scaled, int local)
{
    const maas_lm_hyper *h = w->h;
    const int64_t pairs = h->rope_size / 2, dims[] = {1, pairs}, out[] = {1, -1, pairs};
    float by[MAX_PAIRS];
    if (!factors(w, pairs, by))
        return;
    for (int64_t i = 0; i < pairs; i++) {
        const double turn = pow(base, -2.0 * (double)i / (double)h->rope_size) / (double)by[i];
        const double keep = h->rope.yarn ? kept(h, i) : 0;
        by[i] = (float)(scaled ? turn * (keep + (1 - keep) * h->rope.scale) : turn);
    }
    const maas_tensor t = maas_tensor_of(MAAS_F32, 2, dims, by);
    const maas_vid angle = maas_b_op2(&w->b, "Mul", position, maas_b_const(&w->b, NULL, &t));
    const maas_vid c = maas_lmg_reshape(w, maas_b_op1(&w->b, "Cos", angle), 3, out);
    const maas_vid s = maas_lmg_reshape(w, maas_b_op1(&w->b, "Sin", angle), 3, out);
    w->turn[local].cosine = maas_lmg_times(w, c, scaled ? h->rope.size : 1);
    w->turn[local].sine = maas_lmg_times(w, s, scaled ? h->rope.size : 1);
}

void maas_lmg_positions(maas_lm_writer *w)
{
    static const int64_t column[] = {-1, 1};
    const maas_lm_hyper *h = w->h;
    const maas_attr to = MAAS_A_INT("to", MAAS_F32);
    if (h->unturned || h->arch->flags & MAAS_ARCH_POSITIONS)
        return;
    const maas_vid f = maas_b_node(&w->b, "Cast", &to, 1, &w->at, 1, NULL, 1);
    const maas_vid position = maas_lmg_reshape(w, f, 2, column);
    angles(w, position, h->rope_base, true, 0);
    if (maas_lm_local_turn(h))
        angles(w, position, h->local_base > 0 ? h->local_base : h->rope_base, false, 1);
}
