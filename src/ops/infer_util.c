#include "ops/ops_int.h"

#include <inttypes.h>

#include "base/ban.h"

bool maas_q_ints(const maas_infer *q, int i, int64_t *v, int *n)
{
    if (!maas_q_has(q, i) || q->in_known[i].n < 0 || !q->in_known[i].exact)
        return false;
    *n = q->in_known[i].n;
    memcpy(v, q->in_known[i].v, (size_t)*n * sizeof *v);
    return true;
}

void maas_q_out(maas_infer *q, int k, maas_dtype t, int rank, const int64_t *dims)
{
    if (k < q->node->n_out)
        q->out[k] = maas_type_tensor(t, rank, dims);
}

void maas_q_unranked(maas_infer *q, int k, maas_dtype t)
{
    if (k < q->node->n_out)
        q->out[k] = (maas_type){
            .tag = MAAS_TYPE_TENSOR, .dtype = (uint8_t)t, .rank = MAAS_RANK_UNKNOWN};
}

maas_status maas_dim_same(int64_t a, int64_t b, int64_t *out, const char *what, maas_err *err)
{
    if (a >= 0 && b >= 0 && a != b)
        return maas_fail(err, MAAS_E_INVALID, "%s: sizes %" PRId64 " and %" PRId64 " differ", what,
                         a, b);
    *out = a >= 0 ? a : b >= 0 ? b : a <= -2 ? a : b;
    return MAAS_OK;
}

/* A symbol beside a number above 1 can only be that number (or 1, which gives it too). */
static bool broadcast_dim(int64_t a, int64_t b, int64_t *out)
{
    if (a == b || b == 1)
        *out = a;
    else if (a == 1)
        *out = b;
    else if (a >= 0 && b >= 0)
        return false;
    else
        *out = a >= 0 ? a : b >= 0 ? b : MAAS_DIM_UNKNOWN;
    return true;
}

maas_status maas_type_broadcast(const maas_type *a, const maas_type *b, maas_type *out,
                                maas_err *err)
{
    maas_type r = *a;
    if (a->rank < 0 || b->rank < 0) {
        r.rank = MAAS_RANK_UNKNOWN;
        *out = r;
        return MAAS_OK;
    }
    r.rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 0; i < r.rank; i++) {
        int ia = i - (r.rank - a->rank), ib = i - (r.rank - b->rank);
        if (!broadcast_dim(ia < 0 ? 1 : a->dims[ia], ib < 0 ? 1 : b->dims[ib], &r.dims[i])) {
            char ta[MAAS_SHAPE_TEXT], tb[MAAS_SHAPE_TEXT];
            return maas_fail(err, MAAS_E_INVALID, "shapes %s and %s do not broadcast",
                             maas_shape_text(a->dims, a->rank, ta),
                             maas_shape_text(b->dims, b->rank, tb));
        }
    }
    *out = r;
    return MAAS_OK;
}

maas_status maas_axis(int64_t axis, int rank, int *out, maas_err *err)
{
    if (axis < -rank || axis >= rank)
        return maas_fail(err, MAAS_E_INVALID, "axis %" PRId64 " is outside of rank %d", axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return MAAS_OK;
}

maas_status maas_axes(const int64_t *axes, int n, int rank, uint32_t *out_mask, maas_err *err)
{
    uint32_t mask = 0;
    for (int i = 0; i < n; i++) {
        int axis = 0;
        MAAS_TRY(maas_axis(axes[i], rank, &axis, err));
        if (mask & 1u << axis)
            return maas_fail(err, MAAS_E_INVALID, "axis %d is given twice", axis);
        mask |= 1u << axis;
    }
    *out_mask = mask;
    return MAAS_OK;
}

int64_t maas_dim_product(const int64_t *dims, int from, int to)
{
    int64_t n = 1;
    int symbols = 0;
    int64_t symbol = MAAS_DIM_UNKNOWN;
    for (int i = from; i < to; i++) {
        if (dims[i] < 0) {
            symbols++;
            symbol = dims[i];
        } else if (__builtin_mul_overflow(n, dims[i], &n)) {
            return MAAS_DIM_UNKNOWN; /* the size check of the whole shape refuses it */
        }
    }
    if (n == 0 || symbols == 0)
        return n;
    return symbols == 1 && n == 1 ? symbol : MAAS_DIM_UNKNOWN;
}

maas_status maas_infer_like(maas_infer *q, maas_err *err)
{
    q->out[0] = q->in[0];
    return MAAS_OK;
}

maas_status maas_infer_broadcast(maas_infer *q, maas_err *err)
{
    maas_type r = q->in[0];
    for (int i = 1; i < q->node->n_in; i++)
        if (maas_q_has(q, i))
            MAAS_TRY(maas_type_broadcast(&r, &q->in[i], &r, err));
    r.dtype = q->in[0].dtype;
    q->out[0] = r;
    return MAAS_OK;
}

void maas_known_of(const maas_tensor *t, maas_known *out)
{
    out->n = -1;
    if (!t->data || t->holds || t->rank > 1 || (t->dtype != MAAS_I32 && t->dtype != MAAS_I64))
        return;
    int64_t n = maas_n_elems(t);
    if (n > 2 * MAAS_MAX_RANK)
        return;
    for (int64_t i = 0; i < n; i++)
        out->v[i] = maas_tensor_get_i64(t, i);
    out->n = (int)n;
    out->rank = t->rank;
    out->exact = true;
}

bool maas_is_symbolic(const maas_known *k)
{
    return k->n >= 0 && !k->exact;
}
