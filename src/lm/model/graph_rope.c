/* Rotary angles of the rows of a step: once for all layers. */
#include "lm/model/graph_int.h"

#include <math.h>
#include <string.h>

#include "base/ban.h"

/* Angles of one base: position * scale * base^(-2i / rope_size) / factor[i]. */
static void angles(maas_lm_writer *w, maas_vid position, double base, double scale, int local)
{
    const maas_lm_hyper *h = w->h;
    const int64_t pairs = h->rope_size / 2, dims[] = {1, pairs}, out[] = {1, -1, pairs};
    const maas_lm_weight *f = maas_lm_weight_of(w->s, "rope_freqs.weight");
    float by[512];
    if (f && (f->rank != 1 || f->dims[0] != pairs || f->type->id != MAAS_Q_F32)) {
        maas_lmg_wrong_shape(w, "rope_freqs.weight", pairs, 1);
        return;
    }
    for (int64_t i = 0; i < pairs; i++) {
        float factor = 1;
        if (f)
            memcpy(&factor, f->data + (size_t)i * sizeof factor, sizeof factor);
        by[i] = (float)(scale * pow(base, -2.0 * (double)i / (double)h->rope_size) / factor);
    }
    const maas_tensor t = maas_tensor_of(MAAS_F32, 2, dims, by);
    const maas_vid angle = maas_b_op2(&w->b, "Mul", position, maas_b_const(&w->b, NULL, &t));
    w->turn[local].cosine = maas_lmg_reshape(w, maas_b_op1(&w->b, "Cos", angle), 3, out);
    w->turn[local].sine = maas_lmg_reshape(w, maas_b_op1(&w->b, "Sin", angle), 3, out);
}

void maas_lmg_positions(maas_lm_writer *w)
{
    static const int64_t column[] = {-1, 1};
    const maas_attr to = MAAS_A_INT("to", MAAS_F32);
    const maas_vid f = maas_b_node(&w->b, "Cast", &to, 1, &w->at, 1, NULL, 1);
    const maas_vid position = maas_lmg_reshape(w, f, 2, column);
    angles(w, position, w->h->rope_base, w->h->rope_scale, 0);
    if (w->h->window && w->h->arch->local_base > 0)
        angles(w, position, w->h->arch->local_base, 1, 1);
}
