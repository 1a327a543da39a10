#include "ops/ops_int.h"

#include <inttypes.h>

#include "tensor/small.h"

#include "base/ban.h"

void maas_st_i64(const maas_tensor *t, int64_t i, int64_t v)
{
    switch (maas_dtype_size((maas_dtype)t->dtype)) {
    case 1:
        ((uint8_t *)t->data)[i] = t->dtype == MAAS_BOOL
                                      ? v != 0
                                      : maas_small_wrap((maas_dtype)t->dtype, (uint8_t)v);
        break;
    case 2:
        ((uint16_t *)t->data)[i] = (uint16_t)v;
        break;
    case 4:
        ((uint32_t *)t->data)[i] = (uint32_t)v;
        break;
    default:
        ((uint64_t *)t->data)[i] = (uint64_t)v;
    }
}

/* ---- shapes that data decides ---- */

/* Operators whose shape depends on contents have at most this many inputs. */
#define CHECK_IN 12

static void check_question(const maas_call *c, maas_infer *q, maas_type *in, maas_known *known)
{
    for (int i = 0; i < CHECK_IN; i++) {
        in[i] = (maas_type){0};
        known[i].n = -1;
        if (i >= c->n_in || c->in[i].dtype == MAAS_DT_NONE)
            continue;
        in[i] = maas_type_tensor((maas_dtype)c->in[i].dtype, c->in[i].rank, c->in[i].dims);
        maas_known_of(&c->in[i], &known[i]);
    }
    q->node = c->node;
    q->in = in;
    q->in_data = c->in;
    q->in_known = known;
}

maas_status maas_ref_check(const maas_call *c, maas_err *err)
{
    maas_type in[CHECK_IN], out[CHECK_IN] = {{0}};
    maas_known known[CHECK_IN], out_known[CHECK_IN];
    MAAS_CHECK(c->n_in <= CHECK_IN && c->n_out <= CHECK_IN);
    for (int k = 0; k < CHECK_IN; k++)
        out_known[k].n = -1;
    maas_infer q = {.out = out, .out_known = out_known};
    check_question(c, &q, in, known);
    MAAS_TRY(c->node->op->infer(&q, err));
    for (int k = 0; k < c->n_out; k++) {
        const maas_tensor *t = maas_c_out(c, k);
        if (!t)
            continue;
        bool same = out[k].rank == t->rank;
        for (int i = 0; same && i < t->rank; i++)
            same = out[k].dims[i] == t->dims[i];
        if (!same)
            return maas_fail(err, MAAS_E_INVALID,
                             "%s: the contents of its inputs ask for another output shape than the "
                             "one that was planned",
                             c->node->op->name);
    }
    return MAAS_OK;
}

maas_status maas_ref_index(int64_t i, int64_t n, int64_t *out, maas_err *err)
{
    if (i < -n || i >= n)
        return maas_fail(err, MAAS_E_INVALID, "index %" PRId64 " is outside of %" PRId64 " rows", i,
                         n);
    *out = i < 0 ? i + n : i;
    return MAAS_OK;
}

/* ---- outputs that an operator makes itself ---- */

maas_status maas_ref_alloc(const maas_call *c, int k, int rank, const int64_t *dims, maas_err *err)
{
    size_t bytes;
    if (!maas_c_wants(c, k))
        return MAAS_OK;
    const maas_dtype t = (maas_dtype)c->out[k].dtype;
    MAAS_TRY(maas_shape_bytes(t, dims, rank, &bytes, err));
    if (c->out[k].data) {
        maas_tensor now = maas_tensor_of(t, rank, dims, NULL);
        return maas_shape_eq(&now, &c->out[k])
                   ? MAAS_OK
                   : maas_fail(err, MAAS_E_INVALID, "output %d has another shape than planned", k);
    }
    void *data = maas_arena_alloc(c->arena, bytes);
    if (!data)
        return maas_fail(err, MAAS_E_NOMEM, "output %d needs %zu bytes", k, bytes);
    c->out[k] = maas_tensor_of(t, rank, dims, data);
    return MAAS_OK;
}

maas_status maas_ref_share(const maas_call *c, int k, const maas_tensor *t, maas_err *err)
{
    if (!maas_c_wants(c, k))
        return MAAS_OK;
    if (!c->out[k].data) {
        c->out[k] = *t;
        return MAAS_OK;
    }
    MAAS_TRY(maas_ref_alloc(c, k, t->rank, t->dims, err));
    memcpy(c->out[k].data, t->data, maas_tensor_bytes(t));
    return MAAS_OK;
}

static maas_status keep_elements(const maas_call *c, const maas_tensor *t, maas_tensor *out,
                                 maas_err *err)
{
    *out = *t;
    out->data = maas_arena_dup(c->arena, t->data, maas_tensor_bytes(t));
    return out->data ? MAAS_OK
                     : maas_fail(err, MAAS_E_NOMEM, "%zu bytes of an item", maas_tensor_bytes(t));
}

/* Items of a list live as long as the run: only a tensor may be overwritten by a later step. */
maas_status maas_ref_keep(const maas_call *c, const maas_tensor *t, maas_tensor *out, maas_err *err)
{
    if (t->holds == MAAS_ELEMENTS)
        return keep_elements(c, t, out, err);
    *out = *t;
    return MAAS_OK;
}

maas_status maas_ref_list(const maas_call *c, int k, maas_holds holds, int64_t n,
                          maas_tensor **out_items, maas_err *err)
{
    maas_tensor *items = maas_arena_array(c->arena, (size_t)n, sizeof *items);
    if (!items)
        return maas_fail(err, MAAS_E_NOMEM, "a list of %lld items", (long long)n);
    c->out[k] = maas_list_of(holds, (maas_dtype)c->out[k].dtype, items, n);
    *out_items = items;
    return MAAS_OK;
}

maas_status maas_ref_text(const maas_call *c, size_t n, char **out, maas_err *err)
{
    *out = maas_arena_alloc(c->arena, n);
    return *out ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "text of %zu bytes", n);
}

/* ---- broadcasting ---- */

void maas_bcast_init(maas_bcast *b, const maas_tensor *out, const maas_tensor *in, int n)
{
    MAAS_CHECK(n <= MAAS_BCAST_MAX);
    memset(b, 0, sizeof *b);
    b->n = n;
    b->rank = out->rank ? out->rank - 1 : 0; /* outer dimensions */
    b->inner = out->rank ? out->dims[out->rank - 1] : 1;
    memcpy(b->dims, out->dims, sizeof b->dims);
    b->n_rows = b->inner ? maas_dims_product(out->dims, 0, b->rank) : 0;
    for (int k = 0; k < n; k++) {
        int64_t stride = 1;
        for (int i = in[k].rank - 1; i >= 0; i--) {
            int axis = i + (out->rank - in[k].rank);
            int64_t s = in[k].dims[i] == 1 ? 0 : stride;
            if (axis == out->rank - 1)
                b->step[k] = s;
            else
                b->stride[k][axis] = s;
            stride *= in[k].dims[i];
        }
    }
}

bool maas_bcast_row(maas_bcast *b)
{
    if (!b->begun) {
        b->begun = true;
        return b->n_rows > 0;
    }
    if (++b->row >= b->n_rows)
        return false;
    for (int i = b->rank - 1; i >= 0; i--) {
        for (int k = 0; k < b->n; k++)
            b->at[k] += b->stride[k][i];
        if (++b->idx[i] < b->dims[i])
            break;
        for (int k = 0; k < b->n; k++)
            b->at[k] -= b->stride[k][i] * b->dims[i];
        b->idx[i] = 0;
    }
    return true;
}

/* ---- strided views ---- */

void maas_strides(const int64_t *dims, int rank, int64_t *out)
{
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        out[i] = stride;
        stride *= dims[i];
    }
}

static void copy_row(char *to, int64_t to_step, const char *from, int64_t from_step, int64_t n,
                     size_t elem)
{
    if (to_step == 1 && from_step == 1) {
        memcpy(to, from, (size_t)n * elem);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        memcpy(to + i * to_step * (int64_t)elem, from + i * from_step * (int64_t)elem, elem);
}

static void view_walk(char *dense, char *strided, const maas_view *v, size_t elem, bool write)
{
    int outer = v->rank ? v->rank - 1 : 0;
    int64_t inner = v->rank ? v->dims[outer] : 1, step = v->rank ? v->stride[outer] : 1;
    int64_t idx[2 * MAAS_MAX_RANK] = {0};
    int64_t n_rows = inner ? maas_dims_product(v->dims, 0, outer) : 0;
    int64_t at = v->offset;
    for (int64_t row = 0; row < n_rows; row++) {
        char *d = dense + row * inner * (int64_t)elem, *s = strided + at * (int64_t)elem;
        if (write)
            copy_row(s, step, d, 1, inner, elem);
        else
            copy_row(d, 1, s, step, inner, elem);
        for (int i = outer - 1; i >= 0; i--) {
            at += v->stride[i];
            if (++idx[i] < v->dims[i])
                break;
            at -= v->stride[i] * v->dims[i];
            idx[i] = 0;
        }
    }
}

void maas_view_read(void *dense, const void *strided, const maas_view *v, size_t elem)
{
    view_walk(dense, (char *)(uintptr_t)strided, v, elem, false);
}

void maas_view_write(void *strided, const void *dense, const maas_view *v, size_t elem)
{
    view_walk((char *)(uintptr_t)dense, strided, v, elem, true);
}

void maas_walk_init(maas_walk *w, const int64_t *dims, int rank, uint32_t mask, int64_t at)
{
    int64_t strides[MAAS_MAX_RANK];
    maas_strides(dims, rank, strides);
    *w = (maas_walk){.at = at, .left = 1};
    for (int i = 0; i < rank; i++) {
        if (!(mask >> i & 1))
            continue;
        w->dims[w->rank] = dims[i];
        w->stride[w->rank++] = strides[i];
        w->left *= dims[i];
    }
}

void maas_walk_step(maas_walk *w)
{
    w->left--;
    for (int i = w->rank - 1; i >= 0; i--) {
        w->at += w->stride[i];
        if (++w->idx[i] < w->dims[i])
            return;
        w->at -= w->stride[i] * w->dims[i];
        w->idx[i] = 0;
    }
}

maas_split3 maas_around(const maas_tensor *t, int axis)
{
    return (maas_split3){maas_dims_product(t->dims, 0, axis), t->dims[axis],
                         maas_dims_product(t->dims, axis + 1, t->rank)};
}

int64_t maas_flops_none(const maas_call *c)
{
    return 0;
}

int64_t maas_flops_out(const maas_call *c)
{
    return maas_n_elems(&c->out[0]);
}
