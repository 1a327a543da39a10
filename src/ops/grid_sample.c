/*
 * GridSample - y[n][c][out..] = x[n][c] looked up at the place grid[n][out..] names, -1 and 1 being
 * the edges of the input; the last coordinate of the grid belongs to the first spatial axis.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

enum { NEAREST, LINEAR, CUBIC };
enum { ZEROS, BORDER, REFLECTION };
#define MAX_SPATIAL (MAAS_MAX_RANK - 2)

typedef struct settings {
    int mode, padding;
    bool align;
} settings;

static bool is_word(maas_str s, const char *word)
{
    return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

static maas_status read_settings(const maas_node *n, settings *out, maas_err *err)
{
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    const maas_str mode = maas_attr_s(n, "mode", "linear");
    const maas_str padding = maas_attr_s(n, "padding_mode", "zeros");
    *out = (settings){-1, -1, maas_attr_i(n, "align_corners", 0) != 0};
    for (int i = 0; i < 3; i++) {
        out->mode = is_word(mode, modes[i]) ? i : out->mode;
        out->padding = is_word(padding, paddings[i]) ? i : out->padding;
    }
    if (out->mode < 0)
        return maas_fail(err, MAAS_E_INVALID, "mode '%.*s' is not known",
                         (int)(mode.n < 40 ? mode.n : 40), mode.p);
    if (out->padding < 0)
        return maas_fail(err, MAAS_E_INVALID, "padding_mode '%.*s' is not known",
                         (int)(padding.n < 40 ? padding.n : 40), padding.p);
    return MAAS_OK;
}

static maas_status grid_sample_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0], *grid = &q->in[1];
    settings s;
    int64_t dims[MAAS_MAX_RANK] = {0}, ignored;
    MAAS_TRY(read_settings(q->node, &s, err));
    maas_q_unranked(q, 0, (maas_dtype)x->dtype);
    if (x->rank < 0 || grid->rank < 0)
        return MAAS_OK;
    if (x->rank < 3 || grid->rank != x->rank)
        return maas_fail(err, MAAS_E_INVALID,
                         "X has rank %d and the grid %d; both must have the "
                         "same, of at least 3",
                         x->rank, grid->rank);
    MAAS_TRY(maas_dim_same(grid->dims[grid->rank - 1], x->rank - 2, &ignored,
                           "coordinates of the grid and spatial axes of X", err));
    MAAS_TRY(maas_dim_same(x->dims[0], grid->dims[0], &dims[0], "batches of X and grid", err));
    dims[1] = x->dims[1];
    for (int i = 2; i < x->rank; i++)
        dims[i] = grid->dims[i - 1];
    maas_q_out(q, 0, (maas_dtype)x->dtype, x->rank, dims);
    return MAAS_OK;
}

/* ---- places ---- */

/* Back and forth between lo and hi. */
static double reflect(double x, double lo, double hi)
{
    const double range = hi - lo;
    if (range <= 0)
        return lo;
    const double far = fmod(fabs(x - lo), 2 * range);
    return far <= range ? lo + far : hi - (far - range);
}

static double held(double x, double hi)
{
    return x < 0 ? 0 : x > hi ? hi : x;
}

/* A coordinate of the grid in elements of an axis of n. What is not a number is far outside. */
static double place_of(const settings *s, double g, int64_t n)
{
    const double size = (double)n, lo = s->align ? 0 : -0.5, hi = s->align ? size - 1 : size - 0.5;
    double x = s->align ? (g + 1) / 2 * (size - 1) : ((g + 1) * size - 1) / 2;
    if (!(fabs(x) < 0x1p50))
        x = x > 0 ? 0x1p50 : -0x1p50;
    if (s->mode == NEAREST)
        x = rint(x);
    if (s->padding == BORDER)
        return held(x, size - 1);
    return s->padding == REFLECTION && (x < lo || x > hi) ? reflect(x, lo, hi) : x;
}

/* The element at a whole place; -1: outside, a zero. */
static int64_t element_at(const settings *s, double x, int64_t n)
{
    const double size = (double)n;
    if (s->padding == ZEROS)
        return x >= 0 && x < size ? (int64_t)x : -1;
    if (s->padding == REFLECTION)
        x = s->align ? reflect(x, 0, size - 1) : reflect(x, -0.5, size - 0.5);
    return (int64_t)held(x, size - 1);
}

static double cubic(double x)
{
    const double a = -0.75;
    x = fabs(x);
    return x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

/* The elements around a place along one axis, and their weights. */
typedef struct around {
    int n;
    int64_t at[4];
    double weight[4];
} around;

static around look(const settings *s, double x, int64_t size)
{
    const double low = floor(x);
    around a = {.n = s->mode == NEAREST ? 1 : s->mode == LINEAR ? 2 : 4};
    for (int k = 0; k < a.n; k++) {
        const double i = low + k - (a.n == 4);
        a.at[k] = element_at(s, i, size);
        a.weight[k] = a.n == 1 ? 1 : a.n == 2 ? 1 - fabs(x - i) : cubic(x - i);
    }
    return a;
}

/* ---- reference code ---- */

typedef struct spot {
    int n; /* spatial axes */
    around a[MAX_SPATIAL];
} spot;

static bool next_corner(const spot *s, int *k)
{
    for (int i = s->n - 1; i >= 0; i--) {
        if (++k[i] < s->a[i].n)
            return true;
        k[i] = 0;
    }
    return false;
}

/* The element of a corner; -1: outside. */
static int64_t corner(const spot *s, const int *k, const int64_t *dims, double *weight)
{
    int64_t at = 0;
    *weight = 1;
    for (int i = 0; i < s->n; i++) {
        if (s->a[i].at[k[i]] < 0)
            return -1;
        at = at * dims[i] + s->a[i].at[k[i]];
        *weight *= s->a[i].weight[k[i]];
    }
    return at;
}

static double sample(const spot *s, const maas_tensor *x, int64_t plane, const int64_t *dims)
{
    int k[MAX_SPATIAL] = {0};
    double sum = 0, w;
    do {
        const int64_t at = corner(s, k, dims, &w);
        sum += at >= 0 && w != 0 ? w * maas_ld(x, plane + at) : 0;
    } while (next_corner(s, k));
    return sum;
}

static void copy_corner(const spot *s, const maas_tensor *x, int64_t plane, const maas_tensor *y,
                        int64_t to, const int64_t *dims)
{
    const int k[MAX_SPATIAL] = {0};
    const size_t elem = maas_dtype_size((maas_dtype)x->dtype);
    double w;
    const int64_t at = corner(s, k, dims, &w);
    char *p = (char *)y->data + (size_t)to * elem;
    if (at >= 0)
        memcpy(p, (const char *)x->data + (size_t)(plane + at) * elem, elem);
    else
        memset(p, 0, elem);
}

static maas_status grid_sample_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *grid = &c->in[1], *y = &c->out[0];
    const int n = x->rank - 2;
    const int64_t channels = x->dims[1], in_plane = maas_dims_product(x->dims, 2, x->rank);
    const int64_t out_plane = maas_dims_product(y->dims, 2, y->rank), rows = y->dims[0] * out_plane;
    settings s;
    spot p = {.n = n};
    MAAS_TRY(read_settings(c->node, &s, err));
    if (maas_n_elems(y) && !in_plane)
        return maas_fail(err, MAAS_E_INVALID, "GridSample: X is empty, the grid is not");
    for (int64_t i = 0; i < rows && channels; i++) {
        for (int d = 0; d < n; d++)
            p.a[d] = look(&s, place_of(&s, maas_ld(grid, i * n + n - 1 - d), x->dims[d + 2]),
                          x->dims[d + 2]);
        for (int64_t k = 0; k < channels; k++) {
            const int64_t plane = i / out_plane * channels + k;
            const int64_t to = plane * out_plane + i % out_plane;
            if (s.mode == NEAREST)
                copy_corner(&p, x, plane * in_plane, y, to, x->dims + 2);
            else
                maas_st(y, to, sample(&p, x, plane * in_plane, x->dims + 2));
        }
    }
    return MAAS_OK;
}

static int64_t grid_sample_flops(const maas_call *c)
{
    return 16 * maas_n_elems(&c->out[0]);
}

static void grid_sample_example(maas_example *e)
{
    static const struct {
        const char *mode, *padding;
        int align, rank;
        int64_t x[5], grid[5];
    } rows[] = {
        {"linear", "zeros", 0, 4, {2, 3, 5, 4}, {2, 6, 3, 2}},
        {"nearest", "border", 0, 4, {1, 2, 4, 7}, {1, 5, 5, 2}},
        {"cubic", "reflection", 0, 4, {1, 2, 5, 4}, {1, 2, 6, 2}},
        {"linear", "reflection", 1, 5, {1, 2, 3, 4, 5}, {1, 2, 3, 3, 3}},
        {"cubic", "zeros", 1, 3, {2, 1, 9}, {2, 5, 1}},
        {"linear", "border", 1, 4, {0, 3, 5, 4}, {0, 6, 3, 2}},
    };
    const int k = e->variant / 2;
    const maas_dtype t = maas_ex_float(e);
    const maas_attr a[3] = {MAAS_A_STR("mode", rows[k].mode),
                            MAAS_A_STR("padding_mode", rows[k].padding),
                            MAAS_A_INT("align_corners", rows[k].align)};
    const maas_vid in[2] = {maas_ex_in(e, t, -2, 2, rows[k].rank, rows[k].x),
                            maas_ex_in(e, t, -1.5, 1.5, rows[k].rank, rows[k].grid)};
    maas_b_node(e->b, "GridSample", a, 3, in, 2, NULL, 1);
}

#define DTS_X (MAAS_DTS_ALL & ~MAAS_DT_BIT(MAAS_STRING))
static const maas_io_schema in[] = {MAAS_REQ("X", "T1", DTS_X),
                                    MAAS_REQ("grid", "T2", MAAS_DTS_FLOAT)};
static const maas_io_schema out[] = {MAAS_REQ("Y", "T1", DTS_X)};
static const maas_attr_schema attrs[] = {{"align_corners", MAAS_ATTR_INT, false},
                                         {"mode", MAAS_ATTR_STRING, false},
                                         {"padding_mode", MAAS_ATTR_STRING, false}};

const maas_op maas_op_GridSample = {
    .domain = "",
    .name = "GridSample",
    .since = 20,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 12,
    .tolerance = 1e-5,
    .infer = grid_sample_infer,
    .reference = grid_sample_reference,
    .flops = grid_sample_flops,
    .example = grid_sample_example,
    .no_gradient = "backward of sampling at computed places is not written",
};
