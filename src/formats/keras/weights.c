/* formats/keras/weights.c - weights by place in the file, checked against what a layer expects. */
#include <string.h>

#include "formats/keras/keras_int.h"
#include "base/ban.h"

/* Where it is: `.h5` lists them, in `.keras` the path says what it is. */
static const char *path_of(kr *k, kr_layer *l, const char *sub, int index)
{
    if (l->is_listed)
        return l->next < l->n_listed ? l->listed[l->next++] : NULL;
    return maas_arena_printf(k->arena, "%s%s%s/vars/%d", l->path, *sub ? "/" : "", sub, index);
}

static bool fits(const maas_tensor *t, int rank, const int64_t *dims)
{
    for (int i = 0; i < rank && t->rank == rank; i++)
        if (dims[i] >= 0 ? t->dims[i] != dims[i] : t->dims[i] < 1)
            return false;
    return t->rank == rank;
}

bool kr_take(kr *k, kr_layer *l, const char *sub, int index, int rank, const int64_t *dims,
             maas_tensor *out)
{
    char have[MAAS_SHAPE_TEXT], want[MAAS_SHAPE_TEXT];
    if (!kr_ok(k))
        return false;
    const char *path = path_of(k, l, sub, index);
    if (!path) {
        kr_fail(k, l, MAAS_E_FORMAT, "the file has %zu weights of it, more are needed",
                l->n_listed);
        return false;
    }
    k->b.status = k->w->get(k->w->ctx, path, &k->b.g->arena, rank, dims, out, k->err);
    if (!kr_ok(k)) {
        maas_err_prefix(k->err, "layer '%.60s' (%.40s)", l->name, l->class_name);
        return false;
    }
    if (fits(out, rank, dims))
        return true;
    kr_fail(k, l, MAAS_E_FORMAT, "weight '%.60s' is %s, expected %s", path,
            maas_shape_text(out->dims, out->rank, have), maas_shape_text(dims, rank, want));
    return false;
}

maas_vid kr_const(kr *k, const maas_tensor *t)
{
    maas_vid v = MAAS_NO_VALUE;
    if (kr_ok(k))
        k->b.status = maas_graph_const(k->b.g, NULL, t, false, &v, k->err);
    return kr_ok(k) ? v : MAAS_NO_VALUE;
}

maas_vid kr_weight(kr *k, kr_layer *l, const char *sub, int index, int rank, const int64_t *dims)
{
    maas_tensor t;
    return kr_take(k, l, sub, index, rank, dims, &t) ? kr_const(k, &t) : MAAS_NO_VALUE;
}

bool kr_tensor(kr *k, int rank, const int64_t *dims, maas_tensor *out)
{
    size_t bytes;
    if (!kr_ok(k))
        return false;
    k->b.status = maas_shape_bytes(MAAS_F32, dims, rank, &bytes, k->err);
    if (!kr_ok(k))
        return false;
    *out = maas_tensor_of(MAAS_F32, rank, dims, maas_arena_alloc(&k->b.g->arena, bytes));
    if (!out->data)
        k->b.status = maas_fail(k->err, MAAS_E_NOMEM, "no memory left for weights of %zu bytes",
                                bytes);
    return kr_ok(k);
}

bool kr_permuted(kr *k, const maas_tensor *t, const int *order, maas_tensor *out)
{
    int64_t dims[MAAS_MAX_RANK], stride[MAAS_MAX_RANK], at[MAAS_MAX_RANK] = {0};
    for (int i = 0; i < t->rank; i++) {
        dims[i] = t->dims[order[i]];
        stride[i] = maas_dims_product(t->dims, order[i] + 1, t->rank);
    }
    if (!kr_tensor(k, t->rank, dims, out))
        return false;
    const float *from = t->data;
    float *to = out->data;
    for (int64_t i = 0, n = maas_n_elems(t), where = 0; i < n; i++) {
        to[i] = from[where];
        for (int d = t->rank - 1; d >= 0; d--) {
            where += stride[d];
            if (++at[d] < dims[d])
                break;
            where -= stride[d] * dims[d];
            at[d] = 0;
        }
    }
    return true;
}
