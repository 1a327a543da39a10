#include "ops/window.h"

#include <inttypes.h>

#include "ops/ops_int.h"

#include "base/ban.h"

/* ---- attributes ---- */

static maas_status read_list(const maas_node *node, const char *name, int n, int64_t least,
                             int64_t *out, maas_err *err)
{
    uint32_t given;
    const int64_t *v = maas_attr_ints(node, name, &given);
    if (!v)
        return MAAS_OK;
    if (given != (uint32_t)n)
        return maas_fail(err, MAAS_E_INVALID, "%s has %u numbers, must have %d", name, given, n);
    for (int i = 0; i < n; i++) {
        if (v[i] < least || v[i] > MAAS_WINDOW_MAX)
            return maas_fail(err, MAAS_E_INVALID, "%s: %" PRId64 " is not possible", name, v[i]);
        out[i] = v[i];
    }
    return MAAS_OK;
}

static maas_status read_auto_pad(const maas_node *node, maas_auto_pad *out, maas_err *err)
{
    static const char *const names[] = {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"};
    const maas_str s = maas_attr_s(node, "auto_pad", "NOTSET");
    for (size_t i = 0; i < MAAS_COUNT(names); i++)
        if (s.n == strlen(names[i]) && memcmp(s.p, names[i], s.n) == 0) {
            *out = (maas_auto_pad)i;
            return MAAS_OK;
        }
    return maas_fail(err, MAAS_E_INVALID, "auto_pad '%.*s' is not known",
                     (int)(s.n < 20 ? s.n : 20), s.p);
}

static maas_status read_kernel(maas_window *w, const maas_node *node, const int64_t *kernel,
                               maas_err *err)
{
    const bool said = maas_node_attr(node, "kernel_shape") != NULL;
    if (!kernel && !said)
        return maas_fail(err, MAAS_E_INVALID, "kernel_shape is missing");
    MAAS_TRY(read_list(node, "kernel_shape", w->n, 1, w->kernel, err));
    for (int a = 0; a < w->n && kernel; a++) {
        int64_t k = kernel[a];
        if (k == 0 || k > MAAS_WINDOW_MAX)
            return maas_fail(err, MAAS_E_INVALID,
                             "the weights have %" PRId64 " elements on an axis", k);
        if (said)
            MAAS_TRY(maas_dim_same(k, w->kernel[a], &k, "kernel_shape and the weights", err));
        w->kernel[a] = k < 0 ? MAAS_DIM_UNKNOWN : k;
    }
    return MAAS_OK;
}

maas_status maas_window_init(maas_window *w, const maas_node *node, int n, const int64_t *kernel,
                             maas_err *err)
{
    int64_t pads[2 * MAAS_WINDOW_AXES] = {0};
    *w = (maas_window){.n = n, .ceil = maas_attr_i(node, "ceil_mode", 0) != 0};
    if (n < 1 || n > MAAS_WINDOW_AXES)
        return maas_fail(err, MAAS_E_INVALID, "%d spatial axes, must be 1 to %d", n,
                         MAAS_WINDOW_AXES);
    for (int a = 0; a < n; a++)
        w->stride[a] = w->dilation[a] = 1;
    MAAS_TRY(read_auto_pad(node, &w->auto_pad, err));
    MAAS_TRY(read_kernel(w, node, kernel, err));
    MAAS_TRY(read_list(node, "strides", n, 1, w->stride, err));
    MAAS_TRY(read_list(node, "dilations", n, 1, w->dilation, err));
    MAAS_TRY(read_list(node, "pads", 2 * n, 0, pads, err));
    for (int a = 0; a < n && w->auto_pad == MAAS_PAD_GIVEN; a++) {
        w->before[a] = pads[a];
        w->after[a] = pads[n + a];
    }
    return MAAS_OK;
}

/* ---- sizes ---- */

static void fit_same(maas_window *w, int a, int64_t wide, int64_t *narrow)
{
    const int64_t s = w->stride[a];
    *narrow = wide / s + (wide % s != 0);
    const int64_t need = wide ? (*narrow - 1) * s - wide : 0;
    const int64_t total = need > -maas_window_extent(w, a) ? need + maas_window_extent(w, a) : 0;
    const int64_t less = total / 2, more = total - less;
    w->before[a] = w->auto_pad == MAAS_PAD_SAME_UPPER ? less : more;
    w->after[a] = total - w->before[a];
}

static maas_status fit_given(const maas_window *w, int a, int64_t wide, int64_t *narrow,
                             maas_err *err)
{
    const int64_t s = w->stride[a];
    int64_t room;
    if (__builtin_add_overflow(wide, w->before[a] + w->after[a], &room))
        return maas_fail(err, MAAS_E_TOO_LARGE, "spatial axis %d has too many elements", a);
    room -= maas_window_extent(w, a);
    if (room < 0)
        return maas_fail(err, MAAS_E_INVALID,
                         "spatial axis %d: a window of %" PRId64 " does not fit %" PRId64
                         " elements with their pads",
                         a, maas_window_extent(w, a), wide);
    *narrow = room / s + 1;
    /* a window that would begin behind the data is left out */
    if (w->ceil && room % s != 0 && *narrow * s < wide + w->before[a])
        ++*narrow;
    return MAAS_OK;
}

static bool stays(const maas_window *w, int a)
{
    const bool same = w->auto_pad == MAAS_PAD_SAME_UPPER || w->auto_pad == MAAS_PAD_SAME_LOWER;
    return w->stride[a] == 1 && (same || (w->kernel[a] > 0 && maas_window_extent(w, a) ==
                                                                  w->before[a] + w->after[a] + 1));
}

maas_status maas_window_fit(maas_window *w, const int64_t *wide, int64_t *narrow, maas_err *err)
{
    for (int a = 0; a < w->n; a++) {
        if (wide[a] < 0 || w->kernel[a] < 0)
            narrow[a] = stays(w, a) ? wide[a] : MAAS_DIM_UNKNOWN;
        else if (w->auto_pad == MAAS_PAD_SAME_UPPER || w->auto_pad == MAAS_PAD_SAME_LOWER)
            fit_same(w, a, wide[a], &narrow[a]);
        else
            MAAS_TRY(fit_given(w, a, wide[a], &narrow[a], err));
    }
    return MAAS_OK;
}

/* ---- taps ---- */

/* Computes the place; false: between the elements of a dilated kernel. */
static bool locate(maas_taps *t)
{
    const maas_window *w = t->w;
    uint64_t at = 0, k = 0; /* k of a kernel that is only a shape may wrap */
    for (int a = 0; a < w->n; a++) {
        int64_t element = t->idx[a], place = t->idx[a];
        if (t->covering) {
            element = t->base[a] - place * w->stride[a];
            if (element % w->dilation[a] != 0)
                return false;
            element /= w->dilation[a];
        } else {
            place = t->base[a] + element * w->dilation[a];
        }
        at = at * (uint64_t)t->size[a] + (uint64_t)place;
        k = k * (uint64_t)w->kernel[a] + (uint64_t)element;
    }
    t->at = (int64_t)at;
    t->k = (int64_t)k;
    return true;
}

static void advance(maas_taps *t)
{
    t->left--;
    for (int a = t->w->n - 1; a >= 0 && ++t->idx[a] >= t->to[a]; a--)
        t->idx[a] = t->from[a];
}

static void start(maas_taps *t)
{
    t->left = 1;
    for (int a = 0; a < t->w->n; a++) {
        t->idx[a] = t->from[a];
        t->left *= t->to[a] > t->from[a] ? t->to[a] - t->from[a] : 0;
    }
    while (t->left && !locate(t))
        advance(t);
}

void maas_taps_step(maas_taps *t)
{
    do
        advance(t);
    while (t->left && !locate(t));
}

static int64_t up(int64_t a, int64_t b) /* a / b rounded up, at least 0 */
{
    return a > 0 ? a / b + (a % b != 0) : 0;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void maas_taps_init(maas_taps *t, const maas_window *w, const int64_t *wide, const int64_t *place)
{
    *t = (maas_taps){.w = w, .size = wide};
    for (int a = 0; a < w->n; a++) {
        t->base[a] = place[a] * w->stride[a] - w->before[a];
        t->from[a] = up(-t->base[a], w->dilation[a]);
        t->to[a] = least(w->kernel[a], up(wide[a] - t->base[a], w->dilation[a]));
    }
    start(t);
}

void maas_taps_init_covering(maas_taps *t, const maas_window *w, const int64_t *narrow,
                             const int64_t *place)
{
    *t = (maas_taps){.w = w, .size = narrow, .covering = true};
    for (int a = 0; a < w->n; a++) {
        t->base[a] = place[a] + w->before[a];
        t->from[a] = up(t->base[a] - maas_window_extent(w, a) + 1, w->stride[a]);
        t->to[a] = least(narrow[a], t->base[a] / w->stride[a] + 1);
    }
    start(t);
}
