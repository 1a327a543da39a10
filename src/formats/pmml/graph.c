/* Pieces of graphs over columns [n, 1]. */
#include <math.h>
#include <string.h>

#include "formats/pmml/pmml_int.h"
#include "base/ban.h"

maas_vid pm_const(pm *p, double v)
{
    maas_tensor t = maas_tensor_of(MAAS_F64, 0, NULL, &v);
    return maas_b_const(&p->b, NULL, &t);
}

maas_vid pm_row(pm *p, const double *v, int64_t n)
{
    const int64_t dims[] = {1, n};
    maas_tensor t = maas_tensor_of(MAAS_F64, 2, dims, (void *)(uintptr_t)v);
    return maas_b_const(&p->b, NULL, &t);
}

maas_vid pm_words(pm *p, const char *const *words, int64_t n)
{
    const int64_t dims[] = {1, n};
    maas_str *s = pm_alloc(p, (size_t)n, sizeof *s);
    if (!s) {
        p->b.status = MAAS_E_NOMEM;
        return MAAS_NO_VALUE;
    }
    for (int64_t i = 0; i < n; i++)
        s[i] = (maas_str){words[i], strlen(words[i])};
    maas_tensor t = maas_tensor_of(MAAS_STRING, n == 1 ? 0 : 2, dims, s);
    return maas_b_const(&p->b, NULL, &t);
}

maas_vid pm_full(pm *p, maas_vid scalar)
{
    const maas_type *t = p->b.status == MAAS_OK ? maas_b_type(&p->b, scalar) : NULL;
    return t && t->rank == 0 ? PM_OP2(p, "Expand", scalar, p->shape) : scalar;
}

maas_vid pm_cast(pm *p, maas_vid v, maas_dtype t)
{
    const maas_attr to = MAAS_A_INT("to", t);
    return maas_b_node(&p->b, "Cast", &to, 1, &v, 1, NULL, 1);
}

maas_vid pm_where(pm *p, maas_vid mask, maas_vid yes, maas_vid no)
{
    return maas_b_op3(&p->b, "Where", mask, yes, no);
}

maas_vid pm_is_missing(pm *p, const pm_field *f)
{
    static const char *const empty[] = {""};
    return f->text ? PM_OP2(p, "Equal", f->v, pm_words(p, empty, 1)) : PM_OP1(p, "IsNaN", f->v);
}

/* A node has a limited number of inputs: many columns are joined in groups. */
maas_vid pm_concat(pm *p, const maas_vid *v, size_t n)
{
    enum { GROUP = 1024 };
    const maas_attr axis = MAAS_A_INT("axis", 1);
    maas_vid groups[PM_MAX_FIELDS / GROUP + 2];
    uint32_t n_groups = 0;
    if (n == 1)
        return v[0];
    for (size_t i = 0; i < n && n_groups < MAAS_COUNT(groups); i += GROUP)
        groups[n_groups++] = maas_b_node(&p->b, "Concat", &axis, 1, v + i,
                                         (uint32_t)(n - i < GROUP ? n - i : GROUP), NULL, 1);
    return n_groups == 1 ? groups[0]
                         : maas_b_node(&p->b, "Concat", &axis, 1, groups, n_groups, NULL, 1);
}

maas_vid pm_columns(pm *p, maas_vid v, int64_t from, int64_t to)
{
    const int64_t axis = 1;
    const maas_vid in[4] = {v, maas_b_i64s(&p->b, &from, 1), maas_b_i64s(&p->b, &to, 1),
                            maas_b_i64s(&p->b, &axis, 1)};
    return maas_b_node(&p->b, "Slice", NULL, 0, in, 4, NULL, 1);
}

maas_vid pm_row_sum(pm *p, maas_vid v)
{
    const int64_t axis = 1;
    return PM_OP2(p, "ReduceSum", v, maas_b_i64s(&p->b, &axis, 1));
}

maas_vid pm_argmax(pm *p, maas_vid v)
{
    const maas_attr a[2] = {MAAS_A_INT("axis", 1), MAAS_A_INT("keepdims", 1)};
    return pm_cast(p, maas_b_node(&p->b, "ArgMax", a, 2, &v, 1, NULL, 1), MAAS_F64);
}

maas_vid pm_not(pm *p, maas_vid mask)
{
    return PM_OP1(p, "Not", mask);
}

maas_vid pm_or(pm *p, maas_vid a, maas_vid b)
{
    return a == MAAS_NO_VALUE ? b : b == MAAS_NO_VALUE ? a : PM_OP2(p, "Or", a, b);
}
