/*
 * Dictionaries of ai.onnx.ml: LabelEncoder (keys -> values of any two dtypes; a NaN key matches
 * NaN), CategoryMapper (strings <-> int64) and OneHotEncoder (a category -> a row with a one).
 */
#include "ops/dictionary.h"

#include "ops/ml_int.h"
#include "base/ban.h"

static maas_status dictionary_infer(maas_infer *q, maas_err *err)
{
    maas_dictionary d;
    MAAS_TRY(maas_dictionary_of(q->node, (maas_dtype)q->in[0].dtype, &d, err));
    q->out[0] = q->in[0];
    q->out[0].dtype = d.values.dtype;
    return MAAS_OK;
}

static maas_status dictionary_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    const size_t elem = maas_dtype_size((maas_dtype)y->dtype);
    maas_dictionary d;
    MAAS_TRY(maas_dictionary_of(c->node, (maas_dtype)x->dtype, &d, err));
    for (int64_t i = 0, n = maas_n_elems(x); i < n; i++) {
        const int64_t k = maas_dictionary_search(&d, x, i);
        const char *from = k < 0 ? d.otherwise.data : (char *)d.values.data + (size_t)k * elem;
        memcpy((char *)y->data + (size_t)i * elem, from, elem);
    }
    return MAAS_OK;
}

/* ---- OneHotEncoder ---- */

static maas_status one_hot_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    maas_dictionary d;
    MAAS_TRY(maas_dictionary_of(q->node, (maas_dtype)x->dtype, &d, err));
    maas_q_unranked(q, 0, MAAS_F32);
    if (x->rank < 0)
        return MAAS_OK;
    if (x->rank == MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "an input of rank %d", x->rank);
    q->out[0] = *x;
    q->out[0].dtype = MAAS_F32;
    q->out[0].dims[q->out[0].rank++] = d.keys.dims[0];
    return MAAS_OK;
}

static maas_status one_hot_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    float *y = c->out[0].data;
    maas_dictionary d;
    MAAS_TRY(maas_dictionary_of(c->node, (maas_dtype)x->dtype, &d, err));
    const int64_t n_keys = d.keys.dims[0];
    for (int64_t i = 0, n = maas_n_elems(x); i < n; i++, y += n_keys) {
        const int64_t k = maas_dictionary_search(&d, x, i);
        if (k < 0 && !d.otherwise.data)
            return maas_fail(err, MAAS_E_INVALID, "element %lld is none of the categories",
                             (long long)i);
        for (int64_t j = 0; j < n_keys; j++)
            y[j] = j == k;
    }
    return MAAS_OK;
}

/* ---- examples and rows ---- */

static const maas_str words[] = {{"a", 1}, {"bc", 2}, {"", 0}};
static const int64_t ints[] = {0, 2, -1};
static const float floats[] = {1, -2, 3};
#define WORDS(key)                                                                                 \
    ((maas_attr){.name = (key), .type = MAAS_ATTR_STRINGS, .n = 3, .u.strings = words})

/* Lists for nine variants, tensors of other dtypes for the last three. */
static void encoder_example(maas_example *e)
{
    static const maas_dtype types[] = {MAAS_STRING, MAAS_I64, MAAS_F32};
    static double doubles[] = {1, -2, 3};
    static int16_t shorts[] = {0, 2, -1};
    static int32_t longs[] = {4, 5, 6};
    const maas_tensor t[] = {maas_tensor_of(MAAS_F64, 1, (const int64_t[]){3}, doubles),
                             maas_tensor_of(MAAS_I16, 1, (const int64_t[]){3}, shorts),
                             maas_tensor_of(MAAS_I32, 1, (const int64_t[]){3}, longs),
                             maas_tensor_of(MAAS_F64, 0, NULL, doubles)};
    if (e->variant >= 9) {
        const int k = e->variant - 9, v = (k + 1) % 3;
        const maas_attr attr[] = {
            {.name = "keys_tensor", .type = MAAS_ATTR_TENSOR, .u.tensor = &t[k]},
            {.name = "values_tensor", .type = MAAS_ATTR_TENSOR, .u.tensor = &t[v]},
            {.name = "default_tensor", .type = MAAS_ATTR_TENSOR, .u.tensor = &t[3]}};
        maas_vid x = maas_ex_in(e, (maas_dtype)t[k].dtype, -2, 7, MAAS_DIMS(2, 5));
        maas_b_node(e->b, "LabelEncoder", attr, v ? 2 : 3, &x, 1, NULL, 1);
        return;
    }
    const maas_attr keys[] = {
        WORDS("keys_strings"),
        MAAS_A_INTS("keys_int64s", ints, 3),
        {.name = "keys_floats", .type = MAAS_ATTR_FLOATS, .n = 3, .u.floats = floats}};
    const maas_attr values[] = {
        WORDS("values_strings"),
        MAAS_A_INTS("values_int64s", ints, 3),
        {.name = "values_floats", .type = MAAS_ATTR_FLOATS, .n = 3, .u.floats = floats}};
    const int k = e->variant / 3, v = e->variant % 3;
    const maas_attr attr[] = {keys[k], values[v]};
    maas_vid x = maas_ex_in(e, types[k], -2, 4, MAAS_DIMS(2, 5));
    maas_b_node(e->b, "LabelEncoder", attr, 2, &x, 1, NULL, 1);
}

static void mapper_example(maas_example *e)
{
    const maas_attr attr[] = {WORDS("cats_strings"), MAAS_A_INTS("cats_int64s", ints, 3),
                              MAAS_A_INT("default_int64", 77)};
    maas_vid x = maas_ex_in(e, e->variant ? MAAS_STRING : MAAS_I64, -2, 4, MAAS_DIMS(2, 5));
    maas_b_node(e->b, "CategoryMapper", attr, 3, &x, 1, NULL, 1);
}

static void one_hot_example(maas_example *e)
{
    static const maas_dtype types[] = {MAAS_I64, MAAS_STRING, MAAS_F32};
    const maas_attr attr = e->variant == 1 ? WORDS("cats_strings")
                                           : MAAS_A_INTS("cats_int64s", ints, 3);
    maas_vid x = maas_ex_in(e, types[e->variant], -2, 4, MAAS_DIMS(4, 2));
    maas_b_node(e->b, "OneHotEncoder", &attr, 1, &x, 1, NULL, 1);
}

#define CODES (MAAS_DTS_STR | MAAS_DTS_INDEX | MAAS_DTS_FULL | MAAS_DT_BIT(MAAS_I16))
static const maas_io_schema encoder_in[] = {MAAS_REQ("X", NULL, CODES)};
static const maas_io_schema encoder_out[] = {MAAS_REQ("Y", NULL, CODES)};
static const maas_attr_schema encoder_attrs[] = {
    {"keys_strings", MAAS_ATTR_STRINGS, false},   {"keys_int64s", MAAS_ATTR_INTS, false},
    {"keys_floats", MAAS_ATTR_FLOATS, false},     {"keys_tensor", MAAS_ATTR_TENSOR, false},
    {"values_strings", MAAS_ATTR_STRINGS, false}, {"values_int64s", MAAS_ATTR_INTS, false},
    {"values_floats", MAAS_ATTR_FLOATS, false},   {"values_tensor", MAAS_ATTR_TENSOR, false},
    {"default_string", MAAS_ATTR_STRING, false},  {"default_int64", MAAS_ATTR_INT, false},
    {"default_float", MAAS_ATTR_FLOAT, false},    {"default_tensor", MAAS_ATTR_TENSOR, false}};
static const maas_io_schema mapper_in[] = {MAAS_REQ("X", NULL, MAAS_DTS_STR | MAAS_DTS_I64)};
static const maas_io_schema mapper_out[] = {MAAS_REQ("Y", NULL, MAAS_DTS_STR | MAAS_DTS_I64)};
static const maas_attr_schema mapper_attrs[] = {{"cats_strings", MAAS_ATTR_STRINGS, true},
                                                {"cats_int64s", MAAS_ATTR_INTS, true},
                                                {"default_string", MAAS_ATTR_STRING, false},
                                                {"default_int64", MAAS_ATTR_INT, false}};
static const maas_io_schema one_hot_in[] = {MAAS_REQ("X", NULL, MAAS_DTS_STR | MAAS_DTS_FEATURES)};
static const maas_io_schema one_hot_out[] = {MAAS_REQ("Y", NULL, MAAS_DT_BIT(MAAS_F32))};
static const maas_attr_schema one_hot_attrs[] = {{"cats_strings", MAAS_ATTR_STRINGS, false},
                                                 {"cats_int64s", MAAS_ATTR_INTS, false},
                                                 {"zeros", MAAS_ATTR_INT, false}};

#define DICTIONARY(Name, since_, prefix, core, variants)                                           \
    const maas_op maas_op_##Name = {                                                               \
        .domain = MAAS_DOMAIN_ML,                                                                  \
        .name = #Name,                                                                             \
        .since = since_,                                                                           \
        .flags = MAAS_OP_STRINGS,                                                                  \
        MAAS_SCHEMA(prefix##_in, prefix##_out),                                                    \
        MAAS_ATTRS(prefix##_attrs),                                                                \
        .n_examples = variants,                                                                    \
        .infer = core##_infer,                                                                     \
        .reference = core##_reference,                                                             \
        .flops = maas_flops_out,                                                                   \
        .example = prefix##_example,                                                               \
        .no_gradient = "it looks up categories",                                                   \
    };
DICTIONARY(LabelEncoder, 2, encoder, dictionary, 12)
DICTIONARY(CategoryMapper, 1, mapper, dictionary, 2)
DICTIONARY(OneHotEncoder, 1, one_hot, one_hot, 3)
