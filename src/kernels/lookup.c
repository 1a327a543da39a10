/*
 * LabelEncoder, CategoryMapper and OneHotEncoder: keys are hashed at plan time, a lookup is then a
 * probe or two.
 */
#include "kernels/kernel.h"

#include <string.h>

#include "base/mem.h"
#include "ops/dictionary.h"
#include "base/ban.h"

extern const maas_op maas_op_LabelEncoder, maas_op_CategoryMapper, maas_op_OneHotEncoder;

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    maas_dictionary d;
    return maas_dictionary_of(c->node, (maas_dtype)c->in[0].dtype, &d, NULL) == MAAS_OK;
}

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    maas_dictionary d;
    maas_key_index *t;
    MAAS_TRY(maas_dictionary_of(c->node, (maas_dtype)c->in[0].dtype, &d, err));
    MAAS_TRY(maas_key_index_create(&d, &t, err));
    c->state = t;
    return MAAS_OK;
}

static maas_status encode_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_key_index *t = c->state;
    const maas_tensor *x = &c->in[0];
    const size_t elem = maas_dtype_size((maas_dtype)c->out[0].dtype);
    const char *values = t->d.values.data;
    char *y = c->out[0].data;
    int64_t from, to;
    maas_share(maas_n_elems(x), 64, ithr, nthr, &from, &to);
    for (int64_t i = from; i < to; i++) {
        const int64_t k = maas_key_index_find(t, x, i);
        memcpy(y + (size_t)i * elem, k < 0 ? t->d.otherwise.data : values + (size_t)k * elem, elem);
    }
    return MAAS_OK;
}

static maas_status one_hot_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_key_index *t = c->state;
    const maas_tensor *x = &c->in[0];
    const int64_t n_keys = t->d.keys.dims[0];
    int64_t from, to;
    maas_share(maas_n_elems(x), 16, ithr, nthr, &from, &to);
    float *y = (float *)c->out[0].data + from * n_keys;
    memset(y, 0, (size_t)((to - from) * n_keys) * sizeof *y);
    for (int64_t i = from; i < to; i++, y += n_keys) {
        const int64_t k = maas_key_index_find(t, x, i);
        if (k >= 0)
            y[k] = 1;
        else if (!t->d.otherwise.data)
            return maas_fail(err, MAAS_E_INVALID, "element %lld is none of the categories",
                             (long long)i);
    }
    return MAAS_OK;
}

#define ROW(Name, how)                                                                             \
    {                                                                                              \
        .op = &maas_op_##Name, .name = #Name ".hash", .fits = fits, .prepare = prepare,            \
        .release = maas_free, .run = how                                                           \
    }
const maas_kernel maas_kernels_lookup[] = {ROW(LabelEncoder, encode_run),
                                           ROW(CategoryMapper, encode_run),
                                           ROW(OneHotEncoder, one_hot_run),
                                           {0}};
