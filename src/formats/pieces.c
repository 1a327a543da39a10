/* formats/pieces.c - see pieces.h. */
#include "formats/pieces.h"

#include "base/ban.h"

const maas_type *maas_p_type(maas_builder *b, maas_vid v)
{
    static const maas_type none = {
        .tag = MAAS_TYPE_TENSOR, .dtype = MAAS_F32, .rank = MAAS_RANK_UNKNOWN};
    const maas_type *type = maas_b_type(b, v);
    return type ? type : &none;
}

maas_vid maas_p_op1(maas_builder *b, const char *op, maas_attr a, maas_vid x)
{
    return maas_b_node(b, op, &a, 1, &x, 1, NULL, 1);
}

maas_vid maas_p_op2(maas_builder *b, const char *op, maas_attr a, maas_vid x, maas_vid y)
{
    const maas_vid in[2] = {x, y};
    return maas_b_node(b, op, &a, 1, in, 2, NULL, 1);
}

maas_vid maas_p_cast(maas_builder *b, maas_vid v, maas_dtype to)
{
    return maas_p_type(b, v)->dtype == to ? v : maas_p_op1(b, "Cast", MAAS_A_INT("to", to), v);
}

/* ---- axes and shapes ---- */

maas_vid maas_p_transpose(maas_builder *b, maas_vid x, int rank, const int64_t *order)
{
    return maas_p_op1(b, "Transpose", MAAS_A_INTS("perm", order, rank), x);
}

maas_vid maas_p_to_first(maas_builder *b, maas_vid x)
{
    return maas_p_transpose(b, x, 4, (int64_t[]){0, 3, 1, 2});
}

maas_vid maas_p_to_last(maas_builder *b, maas_vid x)
{
    return maas_p_transpose(b, x, 4, (int64_t[]){0, 2, 3, 1});
}

int maas_p_axis_first(int axis)
{
    static const int to[4] = {0, 2, 3, 1};
    return to[axis & 3];
}

maas_vid maas_p_reshape(maas_builder *b, maas_vid x, const int64_t *dims, int n)
{
    return maas_b_op2(b, "Reshape", x, maas_b_i64s(b, dims, n));
}

maas_vid maas_p_unsqueeze(maas_builder *b, maas_vid x, int64_t axis)
{
    return maas_b_op2(b, "Unsqueeze", x, maas_b_i64s(b, &axis, 1));
}

maas_vid maas_p_squeeze(maas_builder *b, maas_vid x, int64_t axis)
{
    return maas_b_op2(b, "Squeeze", x, maas_b_i64s(b, &axis, 1));
}

maas_vid maas_p_concat(maas_builder *b, const maas_vid *v, uint32_t n, int64_t axis)
{
    const maas_attr a = MAAS_A_INT("axis", axis);
    return maas_b_node(b, "Concat", &a, 1, v, n, NULL, 1);
}

maas_vid maas_p_slice(maas_builder *b, maas_vid x, const int64_t *axes, const int64_t *from,
                      const int64_t *to, const int64_t *step, int n)
{
    const maas_vid in[5] = {x, maas_b_i64s(b, from, n), maas_b_i64s(b, to, n),
                            maas_b_i64s(b, axes, n), maas_b_i64s(b, step, n)};
    return maas_b_node(b, "Slice", NULL, 0, in, 5, NULL, 1);
}

/* ---- numbers ---- */

maas_vid maas_p_clip(maas_builder *b, maas_vid x, double lo, double hi)
{
    return maas_b_op3(b, "Clip", x, maas_p_like(b, x, lo), maas_p_like(b, x, hi));
}

maas_vid maas_p_like(maas_builder *b, maas_vid like, double number)
{
    const maas_vid v = maas_b_f32(b, (float)number);
    return maas_p_cast(b, v, (maas_dtype)maas_p_type(b, like)->dtype);
}

bool maas_p_is_float(maas_builder *b, maas_vid v)
{
    return maas_dtype_in((maas_dtype)maas_p_type(b, v)->dtype, MAAS_DTS_FLOAT);
}

maas_vid maas_p_floor_mod(maas_builder *b, maas_vid x, maas_vid y)
{
    if (!maas_p_is_float(b, x))
        return maas_b_op2(b, "Mod", x, y);
    const maas_vid zero = maas_p_like(b, x, 0),
                   r = maas_p_op2(b, "Mod", MAAS_A_INT("fmod", 1), x, y);
    const maas_vid other = maas_b_op2(b, "Less", maas_b_op2(b, "Mul", r, y), zero);
    return maas_b_op3(b, "Where", other, maas_b_op2(b, "Add", r, y), r);
}

maas_vid maas_p_floor_div(maas_builder *b, maas_vid x, maas_vid y)
{
    if (maas_p_is_float(b, x))
        return maas_b_op1(b, "Floor", maas_b_op2(b, "Div", x, y));
    /* without a remainder, division does not round */
    return maas_b_op2(b, "Div", maas_b_op2(b, "Sub", x, maas_p_floor_mod(b, x, y)), y);
}

/* ---- borders ---- */

maas_vid maas_p_mirrored(maas_builder *b, maas_vid x, int64_t axis, int64_t before, int64_t after)
{
    maas_vid v[3];
    uint32_t n = 0;
    const int64_t back = -1;
    if (before)
        v[n++] = maas_p_slice(b, x, &axis, &(int64_t){before - 1}, &(int64_t){INT64_MIN}, &back, 1);
    v[n++] = x;
    if (after)
        v[n++] = maas_p_slice(b, x, &axis, &(int64_t){-1}, &(int64_t){-1 - after}, &back, 1);
    return n == 1 ? x : maas_p_concat(b, v, n, axis);
}

/* ONNX has all that come before, then all that come after. */
maas_vid maas_p_padded(maas_builder *b, maas_vid x, const int64_t *pads, int rank, bool first,
                       const char *mode, maas_vid with)
{
    int64_t order[2 * MAAS_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        const int axis = first ? maas_p_axis_first(i) : i;
        order[axis] = pads[2 * i];
        order[rank + axis] = pads[2 * i + 1];
    }
    const maas_vid in[3] = {x, maas_b_i64s(b, order, 2 * rank), with};
    const maas_attr a = MAAS_A_STR("mode", mode);
    return maas_b_node(b, "Pad", &a, 1, in, with == MAAS_NO_VALUE ? 2 : 3, NULL, 1);
}

/* ---- pieces of pictures as rows of the batch ---- */

static maas_vid refuse(maas_builder *b, maas_err *err, maas_status st, const char *why)
{
    if (b->status == MAAS_OK)
        b->status = maas_fail(err, st, "%s", why);
    return MAAS_NO_VALUE;
}

/* [c, h, w] of a picture. */
static bool sizes_of(maas_builder *b, maas_vid x, int64_t size[3], maas_err *err)
{
    const maas_type *t = maas_p_type(b, x);
    for (int i = 0; i < 3; i++) {
        size[i] = t->rank == 4 ? t->dims[i + 1] : -1;
        if (size[i] < 1 || size[i] > INT32_MAX)
            refuse(b, err, MAAS_E_UNSUPPORTED, "the picture must have known sizes");
    }
    return b->status == MAAS_OK;
}

maas_vid maas_p_space_to_batch(maas_builder *b, maas_vid x, const int64_t block[2],
                               const int64_t pads[4], maas_err *err)
{
    const int64_t all[8] = {0, 0, pads[0], pads[1], pads[2], pads[3], 0, 0};
    int64_t size[3];
    x = maas_p_padded(b, x, all, 4, true, "constant", MAAS_NO_VALUE);
    if (!sizes_of(b, x, size, err))
        return MAAS_NO_VALUE;
    const int64_t c = size[0], h = size[1], w = size[2];
    if (h % block[0] || w % block[1])
        return refuse(b, err, MAAS_E_FORMAT, "blocks do not divide the picture");
    x = maas_p_reshape(b, x, (int64_t[]){-1, c, h / block[0], block[0], w / block[1], block[1]}, 6);
    x = maas_p_transpose(b, x, 6, (int64_t[]){3, 5, 0, 1, 2, 4});
    return maas_p_reshape(b, x, (int64_t[]){-1, c, h / block[0], w / block[1]}, 4);
}

maas_vid maas_p_batch_to_space(maas_builder *b, maas_vid x, const int64_t block[2],
                               const int64_t crop[4], maas_err *err)
{
    int64_t size[3];
    if (!sizes_of(b, x, size, err))
        return MAAS_NO_VALUE;
    const int64_t c = size[0], h = size[1] * block[0], w = size[2] * block[1];
    if (crop[0] + crop[1] >= h || crop[2] + crop[3] >= w)
        return refuse(b, err, MAAS_E_FORMAT, "nothing is left of the picture");
    x = maas_p_reshape(b, x, (int64_t[]){block[0], block[1], -1, c, size[1], size[2]}, 6);
    x = maas_p_transpose(b, x, 6, (int64_t[]){2, 3, 4, 0, 5, 1});
    x = maas_p_reshape(b, x, (int64_t[]){-1, c, h, w}, 4);
    return maas_p_slice(b, x, (int64_t[]){2, 3}, (int64_t[]){crop[0], crop[2]},
                        (int64_t[]){h - crop[1], w - crop[3]}, (int64_t[]){1, 1}, 2);
}

/* ---- strided slices ---- */

typedef struct strided {
    int64_t axis[MAAS_MAX_RANK], from[MAAS_MAX_RANK], to[MAAS_MAX_RANK], step[MAAS_MAX_RANK];
    int64_t gone[MAAS_MAX_RANK], fresh[MAAS_MAX_RANK];
    int n, n_gone, n_fresh;
} strided;

static void add_axis(strided *s, int axis, int64_t begin, int64_t end, int64_t step, int i,
                     const maas_p_masks *m)
{
    const int k = s->n++;
    const bool back = step < 0;
    s->axis[k] = axis;
    s->step[k] = step;
    s->from[k] = !(m->begin >> i & 1) ? begin : back ? INT64_MAX : 0;
    s->to[k] = !(m->end >> i & 1) ? end : back ? INT64_MIN : INT64_MAX;
    if (m->shrink >> i & 1) {
        s->from[k] = begin;
        s->to[k] = begin == -1 ? INT64_MAX : begin + 1;
        s->step[k] = 1;
        s->gone[s->n_gone++] = axis;
    }
}

static bool is_i32(int64_t v)
{
    return v >= INT32_MIN && v <= INT32_MAX;
}

/* Entry after entry; an ellipsis stands for the axes that no other entry speaks of. */
static maas_status plan_slices(maas_builder *b, int rank, const int64_t *begin, const int64_t *end,
                               const int64_t *step, int n, const maas_p_masks *m, strided *s)
{
    int axis = 0, out = 0, named = 0;
    for (int i = 0; i < n; i++)
        named += !(m->fresh >> i & 1) && !(m->ellipsis >> i & 1);
    for (int i = 0; i < n; i++) {
        if (m->ellipsis >> i & 1) {
            const int skip = rank - named;
            axis += skip > 0 ? skip : 0;
            out += skip > 0 ? skip : 0;
        } else if (m->fresh >> i & 1) {
            s->fresh[s->n_fresh++] = out++;
        } else if (axis >= rank || step[i] == 0 || !is_i32(begin[i]) || !is_i32(end[i]) ||
                   !is_i32(step[i])) {
            return maas_fail(b->err, MAAS_E_FORMAT, "entry %d of the slice", i);
        } else {
            add_axis(s, axis++, begin[i], end[i], step[i], i, m);
            out += !(m->shrink >> i & 1);
        }
    }
    return MAAS_OK;
}

maas_vid maas_p_strided_slice(maas_builder *b, maas_vid x, const int64_t *begin, const int64_t *end,
                              const int64_t *step, int n, const maas_p_masks *m)
{
    strided s = {.n = 0};
    if (b->status == MAAS_OK)
        b->status = plan_slices(b, maas_p_type(b, x)->rank, begin, end, step, n, m, &s);
    if (s.n)
        x = maas_p_slice(b, x, s.axis, s.from, s.to, s.step, s.n);
    if (s.n_gone)
        x = maas_b_op2(b, "Squeeze", x, maas_b_i64s(b, s.gone, s.n_gone));
    if (s.n_fresh)
        x = maas_b_op2(b, "Unsqueeze", x, maas_b_i64s(b, s.fresh, s.n_fresh));
    return x;
}
