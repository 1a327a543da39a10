/* Categories: arrays of numbers or texts, with at most one value that says "missing". */
#include "formats/sklearn/prep.h"

#include "base/ban.h"

static maas_status read_text(maas_sk *s, const maas_pk *v, int64_t i, maas_str *out, bool *missing,
                             bool *is_nan)
{
    double number;
    *missing = false;
    if (sk_item_str(v, i, out))
        return MAAS_OK;
    const maas_pk *item = maas_pk_at(v, i);
    *is_nan = maas_pk_to_double(item, &number) && number != number;
    *missing = *is_nan || maas_pk_kind_of(item) == MAAS_PK_NONE;
    *out = (maas_str){"", 0};
    return *missing ? MAAS_OK
                    : maas_sk_fail(s, MAAS_E_UNSUPPORTED, "texts and numbers in one column");
}

static maas_status texts_of(maas_sk *s, const maas_pk *v, const char *what, sk_categories *c)
{
    maas_str *texts = maas_sk_alloc(s, (size_t)c->n, sizeof *texts);
    if (!texts)
        return s->b.status;
    bool empty = false;
    for (int64_t i = 0; i < c->n; i++) {
        bool missing, is_nan = false;
        MAAS_TRY(read_text(s, v, i, &texts[i], &missing, &is_nan));
        if (missing && c->missing >= 0)
            return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "%s has both None and NaN", what);
        if (missing) {
            c->missing = i;
            c->missing_is_nan = is_nan;
        }
        empty |= !missing && texts[i].n == 0;
    }
    if (empty && c->missing >= 0)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED,
                            "%s has the empty text and a missing value: a request cannot tell them "
                            "apart",
                            what);
    c->texts = texts;
    return MAAS_OK;
}

static maas_status numbers_of(maas_sk *s, const maas_pk *v, const char *what, sk_categories *c)
{
    double *numbers = maas_sk_alloc(s, (size_t)c->n, sizeof *numbers);
    if (!numbers)
        return s->b.status;
    for (int64_t i = 0; i < c->n; i++) {
        const maas_pk *item = maas_pk_at(v, i);
        const bool none = item && maas_pk_kind_of(item) == MAAS_PK_NONE;
        if (none)
            numbers[i] = NAN;
        else if (!sk_item_double(v, i, &numbers[i]))
            return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "%s holds %s", what,
                                maas_pk_kind_text(item));
        if (numbers[i] == numbers[i])
            continue;
        if (c->missing >= 0)
            return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "%s has two missing values", what);
        c->missing = i;
        c->missing_is_nan = !none;
    }
    c->numbers = numbers;
    return MAAS_OK;
}

maas_status sk_categories_of(maas_sk *s, const maas_pk *v, const char *what, sk_categories *out)
{
    maas_str first;
    *out = (sk_categories){.n = sk_n_items(v), .missing = -1};
    if (out->n < 0)
        return maas_sk_fail(s, MAAS_E_FORMAT, "%s is %s, expected an array", what,
                            maas_pk_kind_text(v));
    for (int64_t i = 0; i < out->n && !out->text; i++)
        out->text = sk_item_str(v, i, &first);
    return out->text ? texts_of(s, v, what, out) : numbers_of(s, v, what, out);
}

/* ---- looking up ---- */

/* The place of x among the categories, n for what is none: LabelEncoder, where NaN is itself. */
static maas_vid place_of(maas_sk *s, maas_vid x, const sk_categories *c)
{
    int64_t *places = maas_sk_alloc(s, (size_t)c->n, sizeof *places), none = c->n;
    if (!places)
        return MAAS_NO_VALUE;
    for (int64_t i = 0; i < c->n; i++)
        places[i] = i;
    if (c->text) {
        const maas_attr attr[] = {{.name = "keys_strings",
                                   .type = MAAS_ATTR_STRINGS,
                                   .n = (uint32_t)c->n,
                                   .u.strings = c->texts},
                                  MAAS_A_INTS("values_int64s", places, c->n),
                                  MAAS_A_INT("default_int64", c->n)};
        return maas_b_node(&s->b, "LabelEncoder", attr, 3, &x, 1, NULL, 1);
    }
    const maas_tensor keys = maas_tensor_of(MAAS_F64, 1, &c->n, (void *)c->numbers);
    const maas_tensor values = maas_tensor_of(MAAS_I64, 1, &c->n, places);
    const maas_tensor other = maas_tensor_of(MAAS_I64, 1, (const int64_t[]){1}, &none);
    const maas_attr attr[] = {
        {.name = "keys_tensor", .type = MAAS_ATTR_TENSOR, .u.tensor = &keys},
        {.name = "values_tensor", .type = MAAS_ATTR_TENSOR, .u.tensor = &values},
        {.name = "default_tensor", .type = MAAS_ATTR_TENSOR, .u.tensor = &other}};
    return maas_b_node(&s->b, "LabelEncoder", attr, 3, &x, 1, NULL, 1);
}

maas_vid sk_category(maas_sk *s, const maas_sk_table *in, int64_t col, const sk_categories *c)
{
    if (c->n == 0) {
        maas_sk_fail(s, MAAS_E_UNSUPPORTED, "a column without categories");
        return MAAS_NO_VALUE;
    }
    return place_of(
        s, c->text ? maas_sk_text_column(s, in, col) : maas_sk_number_column(s, in, col), c);
}

maas_vid sk_by_category(maas_sk *s, maas_vid place, maas_vid values, const char *column)
{
    return sk_call_it(s, sk_op2(s, "Gather", values, place),
                      "a value of %s that is not among the categories the model knows", column);
}
