/* learn/cores/descent.c - L-BFGS and OWL-QN: two-loop recursion over the last steps, backtracking.
 */
#include "learn/cores/descent.h"

#include <math.h>

#include "learn/cores/linalg.h"

#include "base/ban.h"

#define MEMORY     20    /* steps kept */
#define HALVINGS   50    /* of a step before it is given up */
#define ROUNDING   1e-14 /* of f */
#define SUFFICIENT 1e-4  /* share of the predicted decrease that a step must bring */

typedef struct path {
    const maas_slope *s;
    int64_t n;
    double *x, *g, *pseudo, *dir, *free, *next_x, *next_g; /* free: 0 or 1 */
    double *steps, *turns; /* [MEMORY][n] x and gradient differences, a ring */
    int64_t n_kept, at;
    double f; /* with the l1 part */
} path;

static double l1_part(const path *p, const double *x)
{
    double sum = 0;
    for (int64_t i = 0; p->s->l1 > 0 && i < p->s->n_l1; i++)
        sum += fabs(x[i]);
    return p->s->l1 * sum;
}

static maas_status look(path *p, const double *x, double *f, double *g, maas_err *err)
{
    MAAS_TRY(p->s->at(p->s->user, x, f, g, err));
    *f += l1_part(p, x);
    return MAAS_OK;
}

/* The gradient where there is one; at a kink the side that goes down, or 0. */
static double most_downhill(const path *p, int64_t i)
{
    const double g = p->g[i], l1 = i < p->s->n_l1 ? p->s->l1 : 0;
    if (l1 == 0)
        return g;
    if (p->x[i] != 0)
        return g + copysign(l1, p->x[i]);
    return g + l1 < 0 ? g + l1 : g - l1 > 0 ? g - l1 : 0;
}

static double refresh_pseudo(path *p)
{
    double most = 0;
    for (int64_t i = 0; i < p->n; i++) {
        p->pseudo[i] = most_downhill(p, i);
        p->free[i] = !(p->s->l1 > 0 && i < p->s->n_l1 && p->x[i] == 0 && p->pseudo[i] == 0);
        most = fmax(most, fabs(p->pseudo[i]));
    }
    return most;
}

static double dot_free(const path *p, const double *a, const double *b)
{
    double sum = 0;
    for (int64_t i = 0; i < p->n; i++)
        sum += p->free[i] * a[i] * b[i];
    return sum;
}

static void add_free(path *p, double by, const double *v)
{
    for (int64_t i = 0; i < p->n; i++)
        p->dir[i] += by * p->free[i] * v[i];
}

/* dir = -H pseudo, where H is made of the parts of steps and turns that are free to move: a
 * coordinate that rests at its kink has no say in how the others go together. */
static void direction(path *p)
{
    const int64_t n = p->n;
    double a[MEMORY], rho[MEMORY], scale = 1;
    for (int64_t i = 0; i < n; i++)
        p->dir[i] = -p->pseudo[i];
    for (int64_t k = p->n_kept; k-- > 0;) { /* newest last: its scale stays */
        const int64_t r = (p->at - 1 - k + 2 * MEMORY) % MEMORY;
        const double *y = p->turns + r * n, sy = dot_free(p, p->steps + r * n, y);
        double yhy = 0;
        for (int64_t i = 0; i < n; i++)
            yhy += p->free[i] * y[i] * y[i] / p->s->curvature[i];
        rho[r] = sy > 1e-14 * yhy ? 1 / sy : 0; /* 0: nothing learned here */
        scale = rho[r] > 0 ? sy / yhy : scale;
    }
    for (int64_t k = 0; k < p->n_kept; k++) {
        const int64_t r = (p->at - 1 - k + 2 * MEMORY) % MEMORY;
        a[r] = rho[r] * dot_free(p, p->steps + r * n, p->dir);
        add_free(p, -a[r], p->turns + r * n);
    }
    for (int64_t i = 0; i < n; i++)
        p->dir[i] *= scale / p->s->curvature[i];
    for (int64_t k = p->n_kept; k-- > 0;) {
        const int64_t r = (p->at - 1 - k + 2 * MEMORY) % MEMORY;
        add_free(p, a[r] - rho[r] * dot_free(p, p->turns + r * n, p->dir), p->steps + r * n);
    }
    for (int64_t i = 0; p->s->l1 > 0 && i < p->s->n_l1; i++)
        if (p->x[i] == 0 && p->dir[i] * p->pseudo[i] >= 0) /* from a kink only downhill */
            p->dir[i] = 0;
}

/* x + t dir, held in the orthant that x (or at 0 the way down) is in. */
static void step_to(path *p, double t)
{
    for (int64_t i = 0; i < p->n; i++) {
        p->next_x[i] = p->x[i] + t * p->dir[i];
        if (p->s->l1 > 0 && i < p->s->n_l1) {
            const double side = p->x[i] != 0 ? p->x[i] : -p->pseudo[i];
            if (p->next_x[i] * side <= 0)
                p->next_x[i] = 0;
        }
    }
}

/* Near the end f cannot tell two points apart any more, but its slope can: a step is good when f
 * has not risen by more than rounding and the slope along it has not turned up as steeply as it
 * went down. */
static bool flat_but_good(const path *p, double f, double promised)
{
    if (!(f <= p->f + ROUNDING * fabs(p->f)))
        return false;
    double slope = 0;
    for (int64_t i = 0; i < p->n; i++) {
        const double l1 = i < p->s->n_l1 ? p->s->l1 : 0, step = p->next_x[i] - p->x[i];
        const double side = p->next_x[i] != 0 ? p->next_x[i] : p->x[i];
        slope += step * (p->next_g[i] + (l1 > 0 && side != 0 ? copysign(l1, side) : 0));
    }
    return slope <= -(1 - 2 * SUFFICIENT) * promised;
}

static maas_status backtrack(path *p, double *out_f, bool *out_moved, maas_err *err)
{
    double t = 1;
    *out_moved = false;
    for (int i = 0; i < HALVINGS; i++, t /= 2) {
        double promised = 0;
        step_to(p, t);
        MAAS_TRY(look(p, p->next_x, out_f, p->next_g, err));
        for (int64_t k = 0; k < p->n; k++)
            promised += p->pseudo[k] * (p->next_x[k] - p->x[k]);
        if (promised >= 0)
            return MAAS_OK;
        if (*out_f <= p->f + SUFFICIENT * promised || flat_but_good(p, *out_f, promised)) {
            *out_moved = true;
            return MAAS_OK;
        }
    }
    return MAAS_OK;
}

static void remember(path *p)
{
    double *s = p->steps + p->at * p->n, *y = p->turns + p->at * p->n;
    for (int64_t i = 0; i < p->n; i++) {
        s[i] = p->next_x[i] - p->x[i];
        y[i] = p->next_g[i] - p->g[i];
    }
    const double sy = maas_dot(s, y, p->n), yy = maas_dot(y, y, p->n);
    if (!(sy > 1e-14 * yy) || sy <= 0) /* no curvature to learn from */
        return;
    p->at = (p->at + 1) % MEMORY;
    p->n_kept += p->n_kept < MEMORY;
}

static maas_status walk(maas_work *w, path *p, const maas_descent_opts *o, maas_descent_end *out,
                        maas_err *err)
{
    MAAS_TRY(look(p, p->x, &p->f, p->g, err));
    for (out->n_iter = 0; out->n_iter < o->max_iter; out->n_iter++) {
        const double share = (double)out->n_iter / (double)o->max_iter;
        MAAS_TRY(maas_work_go_on(w, share, "descent", err));
        out->converged = refresh_pseudo(p) <= o->tol;
        if (out->converged)
            break;
        double f;
        bool moved;
        direction(p);
        MAAS_TRY(backtrack(p, &f, &moved, err));
        if (!moved && p->n_kept == 0)
            break; /* rounding is all that is left */
        if (!moved) {
            p->n_kept = 0; /* once more, along the gradient */
            continue;
        }
        remember(p);
        memcpy(p->x, p->next_x, (size_t)p->n * sizeof *p->x);
        memcpy(p->g, p->next_g, (size_t)p->n * sizeof *p->g);
        p->f = f;
    }
    out->f = p->f;
    return MAAS_OK;
}

maas_status maas_descend(maas_work *w, const maas_slope *s, const maas_descent_opts *o, double *x,
                         maas_descent_end *out, maas_err *err)
{
    const int64_t n = s->n;
    double *m = maas_work_doubles(w, 6 + 2 * MEMORY, n, "steps of the descent", err);
    if (!m)
        return MAAS_E_NOMEM;
    path p = {.s = s, .n = n, .x = x, .g = m, .pseudo = m + n, .dir = m + 2 * n};
    p.next_x = m + 3 * n;
    p.next_g = m + 4 * n;
    p.free = m + 5 * n;
    p.steps = m + 6 * n;
    p.turns = p.steps + MEMORY * n;
    *out = (maas_descent_end){0};
    return walk(w, &p, o, out, err);
}
