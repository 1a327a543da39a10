/* passes/fuse_int8_conv.c - convolutions and dense layers of bytes, and the Add behind them. */
#include "passes/fuse_int8.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "ops/fused_conv.h"
#include "ops/quantize.h"
#include "base/ban.h"

/* One product on bytes, as it is read from the file. */
typedef struct product {
    maas_codes x, y;   /* y.dtype F32: floats come out */
    maas_vid w, z;     /* bytes; channels last, or MAAS_NO_VALUE */
    int64_t m;         /* channels that come out */
    const float *step; /* of weights: one, or [m] */
    bool one_step;
    maas_vid scale, bias;     /* constants [m], or MAAS_NO_VALUE */
    const maas_tensor *whole; /* bias in units of the sums; or NULL */
    maas_conv_act act[MAAS_MAX_CONV_ACTS];
    int n_acts;
    float z_scale;
    int32_t z_zero;
} product;

/* ---- reading ---- */

static bool all_zero(const maas_tensor *t)
{
    for (int64_t i = 0; i < maas_n_elems(t); i++)
        if (maas_tensor_get(t, i) != 0)
            return false;
    return true;
}

/* Constant bytes around zero, a scale for each place of `axis` or for all. */
static bool weights_of(const maas_int8 *w, maas_vid v, int axis, product *p)
{
    const maas_node *n = maas_int8_producer(w, v);
    if (!maas_int8_is(n, "DequantizeLinear") || !maas_value_is(w->g, n->in[0], MAAS_VALUE_CONST) ||
        !maas_value_is(w->g, n->in[1], MAAS_VALUE_CONST) || maas_attr_i(n, "block_size", 0))
        return false;
    const maas_tensor *t = &maas_graph_at(w->g, n->in[0])->init,
                      *s = &maas_graph_at(w->g, n->in[1])->init;
    if (n->n_in > 2 && n->in[2] >= 0 &&
        (!maas_value_is(w->g, n->in[2], MAAS_VALUE_CONST) ||
         !all_zero(&maas_graph_at(w->g, n->in[2])->init)))
        return false;
    int64_t at = maas_attr_i(n, "axis", 1);
    at = at < 0 ? at + t->rank : at;
    p->w = n->in[0];
    p->step = s->data;
    p->one_step = maas_n_elems(s) == 1;
    p->m = t->rank > axis ? t->dims[axis] : 0;
    return t->dtype == MAAS_I8 && t->data && s->dtype == MAAS_F32 && s->data && s->rank <= 1 &&
           (p->one_step || (at == axis && maas_n_elems(s) == p->m));
}

static bool is_vector(const maas_int8 *w, maas_vid v, int64_t m)
{
    if (!maas_value_is(w->g, v, MAAS_VALUE_CONST))
        return false;
    const maas_tensor *t = &maas_graph_at(w->g, v)->init;
    return t->dtype == MAAS_F32 && t->rank == 1 && t->dims[0] == m && t->data;
}

/* What is multiplied by a number before it is rounded must not notice. */
static bool scale_acts(product *p)
{
    for (int i = 0; i < p->n_acts; i++) {
        maas_conv_act *a = &p->act[i];
        if (a->kind == MAAS_CONV_CLIP) {
            a->a /= p->y.scale;
            a->b /= p->y.scale;
        } else if (a->kind != MAAS_CONV_RELU && a->kind != MAAS_CONV_LEAKY_RELU) {
            return false;
        }
    }
    return true;
}

/* Groups that oneDNN has code for. */
static bool groups_fit(const maas_node *n, int64_t c, int64_t m)
{
    const int64_t g = maas_attr_i(n, "group", 1);
    return g == 1 || (g == c && g == m) || (g > 1 && c / g % 16 == 0 && m / g % 16 == 0);
}

/* ---- writing ---- */

static maas_vid vector(maas_int8 *w, const product *p, bool bias)
{
    AUTO_FREE float *v = maas_calloc((size_t)p->m, sizeof *v);
    const float *scale = p->scale >= 0 ? maas_graph_at(w->g, p->scale)->init.data : NULL;
    const float *b = p->bias >= 0 ? maas_graph_at(w->g, p->bias)->init.data : NULL;
    if (!v) {
        w->b.status = maas_fail(w->b.err, MAAS_E_NOMEM, "scales of bytes");
        return MAAS_NO_VALUE;
    }
    for (int64_t m = 0; m < p->m; m++) {
        const float unit = p->x.scale * p->step[p->one_step ? 0 : m] * (scale ? scale[m] : 1);
        v[m] = !bias ? unit / p->y.scale : b ? b[m] / unit : (float)maas_tensor_get(p->whole, m);
    }
    const maas_tensor t = maas_tensor_of(MAAS_F32, 1, &p->m, v);
    return maas_b_const(&w->b, NULL, &t);
}

/* A channel that is 0 times its sum has no room for a bias in units of the sum. */
static bool units_fit(const maas_int8 *w, const product *p)
{
    const float *scale = p->scale >= 0 ? maas_graph_at(w->g, p->scale)->init.data : NULL;
    for (int64_t m = 0; m < p->m; m++) {
        const float unit = p->x.scale * p->step[p->one_step ? 0 : m] * (scale ? scale[m] : 1);
        if (!(fabsf(unit) > 1e-30f) || !isfinite(unit / p->y.scale))
            return false;
    }
    return p->m > 0;
}

enum { OWN_ATTRS = 9, MOST_ATTRS = 24 };

static bool is_own(const char *name)
{
    static const char *const own[] = {"activations", "params",  "block",  "to",    "x_zero",
                                      "y_zero",      "z_scale", "z_zero", "middle"};
    for (size_t i = 0; i < MAAS_COUNT(own); i++)
        if (strcmp(own[i], name) == 0)
            return true;
    return false;
}

/* in: Z, X, W, S, B; Z and B may be MAAS_NO_VALUE. n: whose windows these are, or NULL. */
static maas_vid emit(maas_int8 *w, const product *p, const maas_node *n, const maas_vid *in,
                     const float *middle)
{
    maas_attr a[MOST_ATTRS + OWN_ATTRS];
    maas_str names[MAAS_MAX_CONV_ACTS];
    float params[2 * MAAS_MAX_CONV_ACTS];
    uint32_t k = 0;
    for (int i = 0; n && i < n->n_attr && k < MOST_ATTRS; i++)
        if (!is_own(n->attr[i].name))
            a[k++] = n->attr[i];
    for (int i = 0; i < p->n_acts; i++) {
        const char *name = maas_conv_act_names[p->act[i].kind];
        names[i] = (maas_str){name, strlen(name)};
        params[2 * i] = p->act[i].a;
        params[2 * i + 1] = p->act[i].b;
    }
    const uint32_t n_acts = (uint32_t)p->n_acts;
    const maas_attr
        acts = {.name = "activations", .type = MAAS_ATTR_STRINGS, .n = n_acts, .u.strings = names},
        numbers = {.name = "params", .type = MAAS_ATTR_FLOATS, .n = 2 * n_acts, .u.floats = params},
        between = {.name = "middle", .type = MAAS_ATTR_FLOATS, .n = 3, .u.floats = middle};
    a[k++] = MAAS_A_INT("to", p->y.dtype);
    a[k++] = MAAS_A_INT("x_zero", p->x.zero);
    a[k++] = MAAS_A_INT("y_zero", p->y.zero);
    if (n_acts) {
        a[k++] = acts;
        a[k++] = numbers;
    }
    const bool add = in[0] >= 0;
    if (add) {
        a[k++] = MAAS_A_FLOAT("z_scale", p->z_scale);
        a[k++] = MAAS_A_INT("z_zero", p->z_zero);
    }
    if (middle)
        a[k++] = between;
    return maas_b_node(&w->b, add ? "FusedQLinearConvAdd" : "FusedQLinearConv", a, k, in + !add,
                       (in[4] >= 0 ? 4 : 3) + (uint32_t)add, NULL, 1);
}

static maas_vid product_of(maas_int8 *w, const product *p, const maas_node *n, maas_vid x,
                           maas_vid wt)
{
    const bool bias = p->bias >= 0 || p->whole;
    const maas_vid in[] = {p->z, x, wt, vector(w, p, false),
                           bias ? vector(w, p, true) : MAAS_NO_VALUE};
    return emit(w, p, n, in, NULL);
}

/* ---- Conv, FusedConv, FusedConvAdd ---- */

static bool read_conv(const maas_int8 *w, const maas_node *n, product *p)
{
    const bool add = maas_int8_is(n, "FusedConvAdd");
    if (!add && !maas_int8_is(n, "Conv") && !maas_int8_is(n, "FusedConv"))
        return false;
    *p = (product){.scale = MAAS_NO_VALUE, .bias = MAAS_NO_VALUE, .z = MAAS_NO_VALUE};
    if (n->n_in > add + 2)
        p->bias = n->in[add + 2];
    if (n->n_in > add + 3)
        p->scale = n->in[add + 3];
    return n->n_attr <= MOST_ATTRS && maas_int8_is_picture(w, n->in[add]) &&
           maas_int8_is_picture(w, n->out[0]) && maas_codes_of(w, n->in[add], &p->x) &&
           (uint32_t)p->x.q < w->n_values && weights_of(w, n->in[add + 1], 0, p) &&
           (p->bias < 0 || is_vector(w, p->bias, p->m)) &&
           (p->scale < 0 || is_vector(w, p->scale, p->m)) &&
           groups_fit(n, maas_graph_at(w->g, n->in[add])->type.dims[1], p->m) &&
           maas_conv_acts_read(n, p->act, &p->n_acts, NULL) == MAAS_OK;
}

/* What is added, of the type that comes out. */
static bool read_addend(maas_int8 *w, maas_vid z, product *p)
{
    maas_codes c;
    const bool codes = maas_codes_of(w, z, &c) && (uint32_t)c.q < w->n_values;
    p->z_scale = 1;
    p->z_zero = 0;
    if (p->y.dtype != MAAS_F32) {
        if (!codes || c.dtype != p->y.dtype)
            return false;
        p->z = maas_int8_last(w, c.q);
        p->z_scale = c.scale / p->y.scale;
        p->z_zero = c.zero;
        return true;
    }
    if (codes && w->twin[c.q] >= 0 && w->twin[z] < 0) {
        const maas_node *n = maas_int8_producer(w, z);
        w->twin[z] = maas_b_op3(&w->b, "DequantizeLinear", w->twin[c.q], n->in[1],
                                n->n_in > 2 ? n->in[2] : MAAS_NO_VALUE);
    }
    p->z = maas_int8_last(w, z);
    return true;
}

bool maas_int8_conv(maas_int8 *w, maas_nid i)
{
    const maas_node n = w->g->nodes[i];
    const bool add = maas_int8_is(&n, "FusedConvAdd");
    const maas_codes floats = {n.out[0], MAAS_F32, 1, 0};
    maas_nid quant = MAAS_NO_NODE;
    product p, bytes;
    if (!read_conv(w, &n, &p))
        return false;
    bytes = p;
    if (maas_codes_next(w, n.out[0], &bytes.y, &quant) && scale_acts(&bytes) &&
        units_fit(w, &bytes) && (!add || read_addend(w, n.in[0], &bytes))) {
        p = bytes;
    } else {
        quant = MAAS_NO_NODE;
        p.y = floats;
        if (!units_fit(w, &p) || (add && !read_addend(w, n.in[0], &p)))
            return false;
    }
    const maas_vid twin = product_of(w, &p, &n, maas_int8_last(w, p.x.q), p.w);
    if (quant >= 0)
        w->g->nodes[i].dead = true;
    maas_int8_give(w, p.y.q, twin);
    return true;
}

/* ---- QLinearConv ---- */

bool maas_int8_qlinear_conv(maas_int8 *w, maas_nid i)
{
    enum { X, X_SCALE, X_ZERO, W, W_SCALE, W_ZERO, Y_SCALE, Y_ZERO, BIAS };
    const maas_node n = w->g->nodes[i];
    const maas_dtypes f32 = MAAS_DT_BIT(MAAS_F32), bytes = MAAS_DTS_QUANT8;
    double xs, xz, ys, yz;
    product p = {.scale = MAAS_NO_VALUE, .bias = MAAS_NO_VALUE, .z = MAAS_NO_VALUE};
    if (!maas_int8_is(&n, "QLinearConv") || n.n_attr > MOST_ATTRS ||
        !maas_int8_is_picture(w, n.in[X]) || !maas_int8_is_picture(w, n.out[0]) ||
        !maas_int8_number(w, n.in[X_SCALE], f32, &xs) ||
        !maas_int8_number(w, n.in[X_ZERO], bytes, &xz) ||
        !maas_int8_number(w, n.in[Y_SCALE], f32, &ys) ||
        !maas_int8_number(w, n.in[Y_ZERO], bytes, &yz))
        return false;
    for (int k = W; k <= W_ZERO; k++)
        if (!maas_value_is(w->g, n.in[k], MAAS_VALUE_CONST))
            return false;
    if (n.n_in > BIAS && n.in[BIAS] >= 0) {
        if (!maas_value_is(w->g, n.in[BIAS], MAAS_VALUE_CONST))
            return false;
        p.whole = &maas_graph_at(w->g, n.in[BIAS])->init;
    }
    const maas_tensor *wt = &maas_graph_at(w->g, n.in[W])->init,
                      *s = &maas_graph_at(w->g, n.in[W_SCALE])->init;
    p.x = (maas_codes){n.in[X], MAAS_U8, (float)xs, (int32_t)xz};
    p.y = (maas_codes){n.out[0], (maas_dtype)maas_graph_at(w->g, n.out[0])->type.dtype, (float)ys,
                       (int32_t)yz};
    p.w = n.in[W];
    p.m = wt->dims[0];
    p.step = s->data;
    p.one_step = maas_n_elems(s) == 1;
    if (wt->dtype != MAAS_I8 || !all_zero(&maas_graph_at(w->g, n.in[W_ZERO])->init) || !(ys > 0) ||
        !groups_fit(&n, maas_graph_at(w->g, n.in[X])->type.dims[1], p.m) || !units_fit(w, &p))
        return false;
    maas_int8_give(w, n.out[0], product_of(w, &p, &n, maas_int8_last(w, p.x.q), p.w));
    return true;
}

/* ---- Gemm: a convolution of one place ---- */

/* [m][k][1] of [k][m] or [m][k]. */
static maas_vid as_kernel(maas_int8 *w, maas_vid v, bool transposed, int64_t m, int64_t k)
{
    const int8_t *from = maas_graph_at(w->g, v)->init.data;
    AUTO_FREE int8_t *to = maas_alloc((size_t)(m * k) + 1);
    if (!to) {
        w->b.status = maas_fail(w->b.err, MAAS_E_NOMEM, "weights of bytes");
        return MAAS_NO_VALUE;
    }
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < k; j++)
            to[i * k + j] = transposed ? from[i * k + j] : from[j * m + i];
    const maas_tensor t = maas_tensor_of(MAAS_I8, 3, (const int64_t[]){m, k, 1}, to);
    return maas_b_const(&w->b, NULL, &t);
}

bool maas_int8_gemm(maas_int8 *w, maas_nid i)
{
    const maas_node n = w->g->nodes[i];
    const bool gemm = maas_int8_is(&n, "Gemm");
    const bool transposed = gemm && maas_attr_i(&n, "transB", 0) != 0;
    product p = {.scale = MAAS_NO_VALUE, .bias = MAAS_NO_VALUE, .z = MAAS_NO_VALUE};
    if ((!gemm && !maas_int8_is(&n, "MatMul")) || maas_attr_i(&n, "transA", 0) ||
        maas_attr_f(&n, "alpha", 1) != 1 || maas_attr_f(&n, "beta", 1) != 1 ||
        !maas_codes_of(w, n.in[0], &p.x) || !weights_of(w, n.in[1], transposed ? 0 : 1, &p))
        return false;
    const maas_type x = maas_graph_at(w->g, n.in[0])->type, y = maas_graph_at(w->g, n.out[0])->type;
    if (x.rank != 2 || y.rank != 2 || x.dims[0] < 1 || x.dims[1] < 1 || y.dims[1] != p.m ||
        maas_graph_at(w->g, p.w)->init.rank != 2)
        return false;
    p.bias = gemm && n.n_in > 2 ? n.in[2] : MAAS_NO_VALUE;
    if (p.bias >= 0 && !is_vector(w, p.bias, p.m))
        return false;
    maas_nid quant = MAAS_NO_NODE;
    if (!maas_codes_next(w, n.out[0], &p.y, &quant))
        p.y = (maas_codes){n.out[0], MAAS_F32, 1, 0};
    if (!units_fit(w, &p))
        return false;
    const maas_vid wide = maas_b_i64s(&w->b, (const int64_t[]){x.dims[0], 1, x.dims[1]}, 3),
                   flat = maas_b_i64s(&w->b, (const int64_t[]){x.dims[0], p.m}, 2);
    const maas_vid rows = maas_b_op2(&w->b, "Reshape", p.x.q, wide);
    const maas_vid out = product_of(w, &p, NULL, rows,
                                    as_kernel(w, p.w, transposed, p.m, x.dims[1]));
    if (w->b.status != MAAS_OK)
        return false;
    const maas_vid in[] = {out, flat};
    maas_vid result = p.y.q;
    maas_nid nid;
    w->g->nodes[i].dead = true;
    if (quant >= 0)
        w->g->nodes[quant].dead = true;
    maas_graph_at(w->g, result)->producer = MAAS_NO_NODE;
    w->b.status = maas_graph_node(w->g, maas_op_find("", "Reshape", MAAS_OPSET), "", in, 2, &result,
                                  1, &nid, w->b.err);
    return true;
}

/* ---- Add ---- */

/* A convolution of ours whose bytes nobody but the Add reads, by the zero point they were written
 * with. */
static const maas_node *conv_behind(const maas_int8 *w, maas_vid v, const maas_codes *c)
{
    if ((uint32_t)c->q >= w->n_values || w->twin[c->q] < 0 || w->uses[c->q] != 1 || w->uses[v] != 1)
        return NULL;
    const maas_node *n = maas_int8_producer(w, w->twin[c->q]);
    const bool is_plain = maas_int8_is(n, "FusedQLinearConv") && !maas_node_attr(n, "activations");
    return is_plain && maas_attr_i(n, "y_zero", 0) == c->zero ? n : NULL;
}

/* conv + z -> y, `mine` being what the convolution rounds to. */
static void join(maas_int8 *w, maas_node conv, const maas_codes *mine, const maas_codes *z,
                 product *p)
{
    double lo, hi;
    maas_quant_range(mine->dtype, &lo, &hi);
    const float middle[] = {(float)(lo - mine->zero), (float)(hi - mine->zero),
                            mine->scale / p->y.scale};
    p->x.zero = (int32_t)maas_attr_i(&conv, "x_zero", 0);
    p->z_scale = z->scale / p->y.scale;
    p->z_zero = z->zero;
    const maas_vid in[] = {maas_int8_last(w, z->q), conv.in[0], conv.in[1], conv.in[2],
                           conv.n_in > 3 ? conv.in[3] : MAAS_NO_VALUE};
    maas_int8_give(w, p->y.q, emit(w, p, &conv, in, middle));
}

bool maas_int8_add(maas_int8 *w, maas_nid i)
{
    const maas_node n = w->g->nodes[i];
    product p = {.scale = MAAS_NO_VALUE, .bias = MAAS_NO_VALUE, .z = MAAS_NO_VALUE};
    maas_codes c[2];
    maas_nid relu = MAAS_NO_NODE, quant = MAAS_NO_NODE;
    if (!maas_int8_is(&n, "Add") || n.in[0] == n.in[1] || !maas_int8_is_picture(w, n.out[0]))
        return false;
    for (int k = 0; k < 2; k++)
        if (!maas_codes_of(w, n.in[k], &c[k]) || (uint32_t)c[k].q >= w->n_values ||
            !maas_type_eq(&maas_graph_at(w->g, n.in[k])->type,
                          &maas_graph_at(w->g, n.out[0])->type))
            return false;
    relu = maas_int8_only_reader(w, n.out[0]);
    if (relu >= 0 && maas_int8_is(&w->g->nodes[relu], "Relu"))
        p.act[p.n_acts++] = (maas_conv_act){.kind = MAAS_CONV_RELU};
    else
        relu = MAAS_NO_NODE;
    if (!maas_codes_next(w, relu >= 0 ? w->g->nodes[relu].out[0] : n.out[0], &p.y, &quant))
        return false;
    for (int k = 0; k < 2; k++) {
        const maas_node *conv = conv_behind(w, n.in[k], &c[k]);
        if (!conv || c[!k].dtype != p.y.dtype)
            continue;
        join(w, *conv, &c[k], &c[!k], &p);
        w->g->nodes[i].dead = true;
        if (relu >= 0)
            w->g->nodes[relu].dead = true;
        return true;
    }
    return false;
}
