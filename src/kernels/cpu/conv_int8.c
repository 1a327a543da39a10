/*
 * ConvInteger and QLinearConv: the weights [M][C k..] of a group times a panel of what lies under
 * the windows of some places, which is made as it is needed: one thread, one panel.
 */
#include "kernels/cpu/int8_product.h"
#include "ops/window.h"

#include "base/mem.h"
#include "base/ban.h"

extern const maas_op maas_op_ConvInteger, maas_op_QLinearConv;

typedef struct conv {
    maas_conv v;
    product p;
} conv;

static const maas_tensor *input(const maas_call *c, int i)
{
    return i < c->n_in && c->in[i].dtype != MAAS_DT_NONE ? &c->in[i] : NULL;
}

static bool conv_of(const maas_call *c, conv *k)
{
    product *p = &k->p;
    if (c->node->op == &maas_op_ConvInteger)
        *p = (product){
            .a = &c->in[1], .b = &c->in[0], .a_zero = input(c, 3), .b_zero = input(c, 2)};
    else
        *p = (product){.a = &c->in[3],
                       .a_scale = &c->in[4],
                       .a_zero = &c->in[5],
                       .b = &c->in[0],
                       .b_scale = &c->in[1],
                       .b_zero = &c->in[2],
                       .scale = &c->in[6],
                       .zero = &c->in[7],
                       .bias = input(c, 8)};
    if (!is_byte(p->a) || !is_byte(p->b) ||
        maas_conv_init(&k->v, c->node, p->b, p->a, &c->out[0], NULL) != MAAS_OK)
        return false;
    const maas_conv *v = &k->v;
    p->a_mats = v->groups;
    p->batch = v->batch * v->groups;
    p->m = v->narrow_c;
    p->k = v->wide_c * v->kernel_n;
    p->n = v->narrow_n;
    return p->batch > 0 && p->m > 0 && p->n > 0 && p->k > 0 && p->k < 1 << 24;
}

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    conv k;
    return conv_of(c, &k);
}

/* ---- a panel: windows of places, element by element of the kernel ---- */

enum { KNOWN = 512 };

typedef struct segment { /* places next to each other on the last axis */
    int at, n;
    int64_t place[MAAS_WINDOW_AXES];
} segment;

static int segments_of(const maas_conv *v, int64_t j0, int w, segment *out)
{
    const int last = v->w.n - 1;
    int n = 0;
    for (int j = 0; j < w; n++) {
        segment *s = &out[n];
        int64_t rest = j0 + j;
        for (int a = last; a >= 0; a--) {
            s->place[a] = rest % v->narrow[a];
            rest /= v->narrow[a];
        }
        const int64_t left = v->narrow[last] - s->place[last];
        s->at = j;
        s->n = (int)(left < w - j ? left : w - j);
        j += s->n;
    }
    return n;
}

/* Where the places of a segment begin and end to have something under the element. */
static void inside_of(int64_t first, int64_t step, int64_t size, int n, int64_t *from, int64_t *to)
{
    *from = first >= 0 ? 0 : (-first + step - 1) / step;
    *to = first >= size ? 0 : (size - first + step - 1) / step;
    *from = *from < n ? *from : n;
    *to = *to < n ? *to : n;
}

/* One element of the kernel under the places of a segment: which of them have something there, and
 * where the first place would have it. */
typedef struct under {
    int64_t first, from, to;
} under;

static under look(const maas_conv *v, const segment *s, const int64_t *tap)
{
    const maas_window *w = &v->w;
    const int last = w->n - 1;
    int64_t base = 0;
    under u = {0, 0, 0};
    for (int a = 0; a < last; a++) {
        const int64_t at = s->place[a] * w->stride[a] - w->before[a] + tap[a] * w->dilation[a];
        if (at < 0 || at >= v->wide[a])
            return u;
        base = (base + at) * v->wide[a + 1];
    }
    const int64_t first = s->place[last] * w->stride[last] - w->before[last] +
                          tap[last] * w->dilation[last];
    inside_of(first, w->stride[last], v->wide[last], s->n, &u.from, &u.to);
    u.first = base + first;
    return u.to > u.from ? u : (under){0, 0, 0};
}

static void fill(const segment *s, const under *u, int64_t step, const uint8_t *x, uint8_t pad,
                 uint8_t *out)
{
    if (u->from > 0 || u->to < s->n)
        memset(out, pad, (size_t)s->n);
    if (step == 1)
        memcpy(out + u->from, x + u->first + u->from, (size_t)(u->to - u->from));
    else
        for (int64_t i = u->from; i < u->to; i++)
            out[i] = x[u->first + i * step];
}

/* Four rows of bytes, or two of 16 bits, as words; adds to the sums of columns. */
static void join(const product *p, uint8_t (*row)[PANEL], uint8_t flip, uint8_t *out, int32_t *sums)
{
    uint32_t words[PANEL];
    if (p->quad)
        for (int j = 0; j < PANEL; j++) {
            const uint8_t a = row[0][j] ^ flip, b = row[1][j] ^ flip, c = row[2][j] ^ flip,
                          d = row[3][j] ^ flip;
            words[j] = a | (uint32_t)b << 8 | (uint32_t)c << 16 | (uint32_t)d << 24;
            sums[j] += (int8_t)a + (int8_t)b + (int8_t)c + (int8_t)d;
        }
    else if (p->b->dtype == MAAS_I8)
        for (int j = 0; j < PANEL; j++) {
            const int a = (int8_t)row[0][j], b = (int8_t)row[1][j];
            words[j] = (uint16_t)a | (uint32_t)b << 16;
            sums[j] += a + b;
        }
    else
        for (int j = 0; j < PANEL; j++) {
            words[j] = row[0][j] | (uint32_t)row[1][j] << 16;
            sums[j] += row[0][j] + row[1][j];
        }
    memcpy(out, words, sizeof words);
}

static void pack(const conv *k, int64_t panel, uint8_t *out, int32_t *sums)
{
    const maas_conv *v = &k->v;
    const product *p = &k->p;
    const int64_t j0 = panel % panels_of(p) * PANEL;
    const int w = (int)(p->n - j0 < PANEL ? p->n - j0 : PANEL), each = p->quad ? 4 : 2;
    const uint8_t flip = p->quad && p->b->dtype == MAAS_U8 ? 0x80 : 0;
    const uint8_t pad = p->b_zero ? ((const uint8_t *)p->b_zero->data)[0] : 0;
    const uint8_t *x = (const uint8_t *)p->b->data + panel / panels_of(p) * v->wide_c * v->wide_n;
    int64_t tap[MAAS_WINDOW_AXES] = {0}, element = 0, channel = 0;
    uint8_t row[4][PANEL];
    segment seg[PANEL];
    under known[KNOWN]; /* the same for all channels */
    const int n = segments_of(v, j0, w, seg);
    const int64_t step = v->w.stride[v->w.n - 1];
    const bool keep = v->kernel_n <= KNOWN / n;
    memset(sums, 0, PANEL * sizeof *sums);
    memset(row, flip, sizeof row); /* so that it counts as 0 */
    for (int64_t i = 0; i < p->k; i++, maas_place_next(tap, v->w.kernel, v->w.n)) {
        const int t = (int)(i % each);
        if (t == 0 && p->k - i < each)
            memset(row, flip, sizeof row);
        for (int s = 0; s < n; s++) {
            under *u = &known[keep ? element * n + s : s];
            if (!keep || channel == 0)
                *u = look(v, &seg[s], tap);
            fill(&seg[s], u, step, x, pad, row[t] + seg[s].at);
        }
        if (++element == v->kernel_n) {
            element = 0;
            channel++;
            x += v->wide_n;
        }
        if (t == each - 1 || i == p->k - 1) {
            join(p, row, flip, out, sums);
            out += PANEL * WORD;
        }
    }
    const int64_t left = groups_of(p) - (p->k + each - 1) / each;
    memset(out, 0, (size_t)(left * PANEL * WORD));
}

/* ---- the row ---- */

typedef struct state {
    bool quad, amx;
    int32_t *row_sums; /* of constant weights */
} state;

static void release(void *p)
{
    state *st = p;
    maas_free(st->row_sums);
    maas_free(st);
}

static size_t one_scratch(const product *p)
{
    const size_t n = (size_t)panel_bytes(p) + PANEL * sizeof(int32_t);
    return (n + 63) / 64 * 64;
}

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    conv k;
    state *st = maas_calloc(1, sizeof *st);
    if (!st)
        return maas_fail(err, MAAS_E_NOMEM, "preparing %s", c->node->op->name);
    conv_of(c, &k);
#if defined(HAS_QUADS)
    st->quad = k.p.quad = cpu->HAS_QUADS;
#endif
#if defined(MAAS_ISA_AVX512)
    /* a tile register takes 64 products a row, however few there are */
    st->amx = k.p.amx = cpu->amx_int8 && k.p.k >= 32 && k.p.m >= HALF;
#endif
    const int64_t rows = k.p.a_mats * k.p.m;
    if (k.p.a->data && !(st->row_sums = maas_alloc((size_t)rows * sizeof *st->row_sums))) {
        maas_free(st);
        return maas_fail(err, MAAS_E_NOMEM, "preparing %s", c->node->op->name);
    }
    for (int64_t i = 0; st->row_sums && i < rows; i++)
        st->row_sums[i] = (int32_t)sum_of_row(&k.p, i, 0);
    c->state = st;
    c->scratch_bytes = one_scratch(&k.p) * (size_t)c->n_threads;
    return MAAS_OK;
}

/* Some rows of a panel: all of them, unless there are fewer panels than threads. */
static void unit(const maas_call *c, const conv *k, char *scratch, int64_t panel, int64_t from,
                 int64_t to)
{
    const product *p = &k->p;
    int32_t *sums = (int32_t *)(void *)(scratch + panel_bytes(p));
    spot at;
    pack(k, panel, (uint8_t *)scratch, sums);
    place_of(p, sums, panel, &at);
    for (; from < to; from += TALL)
        multiply_rows(c, p, (const uint8_t *)scratch, &at, from,
                      (int)(to - from < TALL ? to - from : TALL));
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const state *st = c->state;
    conv k;
    conv_of(c, &k);
    k.p.quad = st->quad;
    k.p.amx = st->amx;
    k.p.row_sums = st->row_sums;
    const int64_t panels = k.p.batch * panels_of(&k.p);
    const int64_t parts = panels >= nthr ? 1 : (nthr + panels - 1) / panels;
    const int64_t rows = ((k.p.m + parts - 1) / parts + TALL - 1) / TALL * TALL;
    char *scratch = (char *)c->scratch + one_scratch(&k.p) * (size_t)ithr;
    int64_t from, to;
    maas_share(panels * parts, 1, ithr, nthr, &from, &to);
#if defined(MAAS_ISA_AVX512)
    if (k.p.amx)
        tiles_on();
#endif
    for (int64_t i = from; i < to; i++) {
        const int64_t first = i % parts * rows, end = first + rows;
        if (first < k.p.m)
            unit(c, &k, scratch, i / parts, first, end < k.p.m ? end : k.p.m);
    }
#if defined(MAAS_ISA_AVX512)
    if (k.p.amx)
        tiles_off();
#endif
    return MAAS_OK;
}

#define ROW(Name)                                                                                  \
    {                                                                                              \
        .op = &maas_op_##Name, .name = #Name "." ISA_TEXT, .fits = fits, .prepare = prepare,       \
        .release = release, .run = run                                                             \
    }
const maas_kernel ISA(maas_kernels_conv_int8)[] = {ROW(ConvInteger), ROW(QLinearConv), {0}};
