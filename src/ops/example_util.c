#include "ops/ops_int.h"

#include "base/ban.h"

maas_vid maas_ex_in(maas_example *e, maas_dtype t, double lo, double hi, int rank,
                    const int64_t *dims)
{
    uint32_t k = e->b->g->n_inputs;
    MAAS_CHECK(k < MAAS_COUNT(e->lo));
    e->lo[k] = lo;
    e->hi[k] = hi;
    return maas_b_input(e->b, NULL, t, rank, dims);
}

maas_vid maas_ex_list(maas_example *e, maas_type_tag tag, maas_dtype t, double lo, double hi)
{
    const uint32_t k = e->b->g->n_inputs;
    const maas_type one = maas_type_tensor(t, MAAS_RANK_UNKNOWN, NULL);
    const maas_type type = tag == MAAS_TYPE_SEQUENCE ? maas_type_sequence(t)
                                                     : maas_type_optional(&one);
    maas_vid v = MAAS_NO_VALUE;
    MAAS_CHECK(k < MAAS_COUNT(e->lo));
    e->lo[k] = lo;
    e->hi[k] = hi;
    if (e->b->status == MAAS_OK)
        e->b->status = maas_graph_input(e->b->g, NULL, &type, &v, e->b->err);
    return v;
}

maas_vid maas_b_scalar(maas_builder *b, maas_dtype t, double v)
{
    uint64_t bytes = 0;
    maas_tensor x = maas_tensor_of(t, 0, NULL, &bytes);
    maas_tensor_set(&x, 0, v);
    return maas_b_const(b, NULL, &x);
}

maas_vid maas_b_vector(maas_builder *b, maas_dtype t, const double *v, int n)
{
    uint64_t bytes[64] = {0};
    MAAS_CHECK(n <= (int)MAAS_COUNT(bytes));
    maas_tensor x = maas_tensor_of(t, 1, (const int64_t[]){n}, bytes);
    for (int i = 0; i < n; i++)
        maas_tensor_set(&x, i, v[i]);
    return maas_b_const(b, NULL, &x);
}

maas_vid maas_b_strings(maas_builder *b, const char *const *words, int n)
{
    maas_str s[64];
    MAAS_CHECK(n <= (int)MAAS_COUNT(s));
    for (int i = 0; i < n; i++)
        s[i] = (maas_str){words[i], strlen(words[i])};
    maas_tensor x = maas_tensor_of(MAAS_STRING, 1, (const int64_t[]){n}, s);
    return maas_b_const(b, NULL, &x);
}
