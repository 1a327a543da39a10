#include "formats/sklearn/prep.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/ban.h"

maas_vid sk_op1(maas_sk *s, const char *op, maas_vid x)
{
    return maas_b_op1(&s->b, op, x);
}

maas_vid sk_op2(maas_sk *s, const char *op, maas_vid x, maas_vid y)
{
    return maas_b_op2(&s->b, op, x, y);
}

maas_vid sk_op3(maas_sk *s, const char *op, maas_vid x, maas_vid y, maas_vid z)
{
    return maas_b_op3(&s->b, op, x, y, z);
}

maas_vid sk_call_it(maas_sk *s, maas_vid v, const char *fmt, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (s->b.status != MAAS_OK)
        return MAAS_NO_VALUE;
    /* with a number: names of nodes must differ */
    const char *name = maas_arena_printf(&s->b.g->arena, "%s (node %d)", text, (int)s->b.last);
    if (!name) {
        maas_sk_fail(s, MAAS_E_NOMEM, "the name of a node");
        return MAAS_NO_VALUE;
    }
    s->b.g->nodes[s->b.last].name = name;
    return v;
}

maas_vid sk_f64_matrix(maas_sk *s, const double *v, int64_t rows, int64_t cols)
{
    const maas_tensor t = maas_tensor_of(MAAS_F64, 2, (const int64_t[]){rows, cols}, (void *)v);
    return maas_b_const(&s->b, NULL, &t);
}

maas_vid sk_i64s(maas_sk *s, const int64_t *v, int64_t n)
{
    const maas_tensor t = maas_tensor_of(MAAS_I64, 1, &n, (void *)v);
    return maas_b_const(&s->b, NULL, &t);
}

maas_vid sk_range(maas_sk *s, int64_t n)
{
    int64_t *v = maas_sk_alloc(s, (size_t)n, sizeof *v);
    if (!v)
        return MAAS_NO_VALUE;
    for (int64_t i = 0; i < n; i++)
        v[i] = i;
    return sk_i64s(s, v, n);
}

maas_vid sk_number(maas_sk *s, maas_vid truth)
{
    return maas_sk_cast(s, truth, MAAS_F64);
}

const char *const sk_norms[] = {"l1", "l2", "max", NULL};

maas_vid sk_unit_rows(maas_sk *s, maas_vid x, int norm)
{
    static const char *const ops[] = {"ReduceL1", "ReduceL2", "ReduceMax"};
    maas_vid size = maas_sk_reduce(s, ops[norm], norm == SK_NORM_MAX ? sk_op1(s, "Abs", x) : x,
                                   true);
    maas_vid none = sk_op2(s, "Equal", size, maas_sk_f64(s, 0));
    return sk_op2(s, "Div", x, sk_op3(s, "Where", none, maas_sk_f64(s, 1), size));
}

maas_status sk_give(maas_sk *s, maas_sk_out *out, maas_vid x, int64_t n_cols)
{
    out->transformed = maas_sk_table_of(x, n_cols);
    return s->b.status;
}

maas_status sk_give_columns(maas_sk *s, maas_sk_out *out, const maas_vid *v, int64_t n)
{
    MAAS_TRY(maas_sk_table_columns(s, v, n, &out->transformed));
    return s->b.status;
}

maas_status sk_n_features(maas_sk *s, const maas_pk *est, const maas_sk_table *in, int64_t *out)
{
    MAAS_TRY(maas_sk_int_or(s, est, "n_features_in_", in->n_cols, out));
    if (*out < 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "n_features_in_ is missing or not positive");
    if (in->n_cols >= 0 && *out != in->n_cols)
        return maas_sk_fail(s, MAAS_E_FORMAT, "n_features_in_ is %lld, there are %lld columns",
                            (long long)*out, (long long)in->n_cols);
    return MAAS_OK;
}

const char *sk_column_text(maas_sk *s, const maas_pk *est, int64_t i)
{
    const maas_pk *names = maas_pk_attr(est, "feature_names_in_");
    maas_str name;
    const char *text;
    if (sk_item_str(names, i, &name))
        text = maas_arena_printf(s->arena, "column '%.*s'", (int)(name.n < 100 ? name.n : 100),
                                 name.p);
    else
        text = maas_arena_printf(s->arena, "column %lld", (long long)i);
    return text ? text : "a column";
}

/* ---- items ---- */

int64_t sk_n_items(const maas_pk *list)
{
    const maas_tensor *t = maas_pk_array(list);
    if (t)
        return t->rank == 1 ? t->dims[0] : -1;
    const maas_pk_kind kind = maas_pk_kind_of(list);
    return kind == MAAS_PK_LIST || kind == MAAS_PK_TUPLE || kind == MAAS_PK_SET ||
                   kind == MAAS_PK_ARRAY
               ? maas_pk_count(list)
               : -1;
}

bool sk_item_double(const maas_pk *list, int64_t i, double *out)
{
    const maas_tensor *t = maas_pk_array(list);
    if (!t)
        return maas_pk_to_double(maas_pk_at(list, i), out);
    if (t->dtype == MAAS_STRING || i < 0 || i >= maas_n_elems(t))
        return false;
    *out = maas_tensor_get(t, i);
    return true;
}

bool sk_item_str(const maas_pk *list, int64_t i, maas_str *out)
{
    const maas_tensor *t = maas_pk_array(list);
    if (!t)
        return maas_pk_to_str(maas_pk_at(list, i), out);
    if (t->dtype != MAAS_STRING || i < 0 || i >= maas_n_elems(t))
        return false;
    *out = ((const maas_str *)t->data)[i];
    return true;
}

maas_status sk_double_nan(maas_sk *s, const maas_pk *est, const char *name, double otherwise,
                          double *out)
{
    const maas_pk *v = maas_pk_attr(est, name);
    *out = otherwise;
    if (maas_pk_kind_of(v) == MAAS_PK_NONE || maas_pk_to_double(v, out))
        return MAAS_OK;
    return maas_sk_fail(s, MAAS_E_FORMAT, "%s is %s, expected a number", name,
                        maas_pk_kind_text(v));
}

/* ---- sorting ---- */

/* Merges [a, middle) and [middle, end) of `from` into `to`. */
static void merge(char *to, const char *from, int64_t a, int64_t middle, int64_t end, size_t size,
                  int (*order)(const void *a, const void *b))
{
    int64_t b = middle;
    for (int64_t i = a, k = a; k < end; k++) {
        const bool left = i < middle && (b >= end || order(from + (size_t)i * size,
                                                           from + (size_t)b * size) <= 0);
        const int64_t which = left ? i++ : b++;
        memcpy(to + (size_t)k * size, from + (size_t)which * size, size);
    }
}

void sk_sort(maas_sk *s, void *items, int64_t n, size_t size,
             int (*order)(const void *a, const void *b))
{
    char *from = items, *to = maas_sk_alloc(s, (size_t)n, size);
    if (!to)
        return;
    for (int64_t run = 1; run < n; run *= 2) {
        for (int64_t a = 0; a < n; a += 2 * run) {
            const int64_t middle = a + run < n ? a + run : n;
            merge(to, from, a, middle, a + 2 * run < n ? a + 2 * run : n, size, order);
        }
        char *swap = from;
        from = to;
        to = swap;
    }
    if (from != items)
        memcpy(items, from, (size_t)n * size);
}

/* ---- functions by name ---- */

/* What a function is in operators: op2 applied to (op1 applied to x) and a number, each optional.
 */
typedef struct function {
    const char *name;
    const char *before; /* of two operands: x and `number` */
    double number;
    const char *op;
    const char *after;
    double last;
} function;

static const function functions[] = {
    {.name = "log", .op = "Log"},
    {.name = "log1p", .before = "Add", .number = 1, .op = "Log"},
    {.name = "log2", .op = "Log", .after = "Div", .last = 0.69314718055994530942},
    {.name = "log10", .op = "Log", .after = "Div", .last = 2.30258509299404568402},
    {.name = "exp", .op = "Exp"},
    {.name = "expm1", .op = "Exp", .after = "Sub", .last = 1},
    {.name = "exp2", .before = "Mul", .number = 0.69314718055994530942, .op = "Exp"},
    {.name = "sqrt", .op = "Sqrt"},
    {.name = "square", .before = "Pow", .number = 2},
    {.name = "reciprocal", .op = "Reciprocal"},
    {.name = "absolute", .op = "Abs"},
    {.name = "fabs", .op = "Abs"},
    {.name = "negative", .op = "Neg"},
    {.name = "sign", .op = "Sign"},
    {.name = "sin", .op = "Sin"},
    {.name = "cos", .op = "Cos"},
    {.name = "tanh", .op = "Tanh"},
    {.name = "floor", .op = "Floor"},
    {.name = "ceil", .op = "Ceil"},
    {.name = "rint", .op = "Round"},
    {.name = "expit", .op = "Sigmoid"},
};

static const function *function_of(const maas_pk *fn)
{
    const char *name = maas_pk_class(fn);
    const char *last = strrchr(name, '.');
    if (maas_pk_kind_of(fn) != MAAS_PK_GLOBAL || !last ||
        (strncmp(name, "numpy.", 6) != 0 && strncmp(name, "scipy.special.", 14) != 0))
        return NULL;
    for (size_t i = 0; i < MAAS_COUNT(functions); i++)
        if (strcmp(functions[i].name, last + 1) == 0)
            return &functions[i];
    return NULL;
}

maas_status sk_apply_function(maas_sk *s, const maas_pk *fn, const char *what, maas_vid x,
                              maas_vid *out)
{
    *out = x;
    if (maas_pk_kind_of(fn) == MAAS_PK_NONE)
        return MAAS_OK;
    const function *f = function_of(fn);
    if (!f)
        return maas_sk_fail(
            s, MAAS_E_UNSUPPORTED,
            "%s is %s: only functions of numpy such as log1p, exp or sqrt are known", what,
            maas_pk_kind_text(fn));
    x = f->before ? sk_op2(s, f->before, x, maas_sk_f64(s, f->number)) : x;
    x = f->op ? sk_op1(s, f->op, x) : x;
    *out = f->after ? sk_op2(s, f->after, x, maas_sk_f64(s, f->last)) : x;
    return s->b.status;
}
