/*
 * LabelEncoder (ai.onnx.ml) - a dictionary: keys_K[i] -> values_V[i], for K and V among strings,
 * int64s and floats; default_V for what is not a key. A NaN key matches NaN.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

/* The three kinds of lists, in the same order everywhere. */
static const struct {
    const char *keys, *values;
    maas_dtype dtype;
} kinds[] = {
    {"keys_strings", "values_strings", MAAS_STRING},
    {"keys_int64s", "values_int64s", MAAS_I64},
    {"keys_floats", "values_floats", MAAS_F32},
};

typedef struct dictionary {
    const maas_attr *keys, *values;
    int key, value; /* rows of kinds */
} dictionary;

/* Exactly one list of keys and one of values, of the same length. */
static maas_status dictionary_of(const maas_node *n, dictionary *d, maas_err *err)
{
    *d = (dictionary){0};
    for (int i = 0; i < (int)MAAS_COUNT(kinds); i++) {
        const maas_attr *keys = maas_node_attr(n, kinds[i].keys);
        const maas_attr *values = maas_node_attr(n, kinds[i].values);
        if ((keys && d->keys) || (values && d->values))
            return maas_fail(err, MAAS_E_INVALID, "more than one list of keys or of values");
        if (keys) {
            d->keys = keys;
            d->key = i;
        }
        if (values) {
            d->values = values;
            d->value = i;
        }
    }
    if (!d->keys || !d->values)
        return maas_fail(err, MAAS_E_INVALID, "a list of keys and one of values are needed");
    if (d->keys->n != d->values->n)
        return maas_fail(err, MAAS_E_INVALID, "%u keys for %u values", d->keys->n, d->values->n);
    return MAAS_OK;
}

static maas_status encoder_infer(maas_infer *q, maas_err *err)
{
    dictionary d;
    MAAS_TRY(dictionary_of(q->node, &d, err));
    if (q->in[0].dtype != kinds[d.key].dtype)
        return maas_fail(err, MAAS_E_INVALID, "the input is %s, the keys are %s",
                         maas_dtype_describe((maas_dtype)q->in[0].dtype)->onnx,
                         maas_dtype_describe(kinds[d.key].dtype)->onnx);
    q->out[0] = q->in[0];
    q->out[0].dtype = (uint8_t)kinds[d.value].dtype;
    return MAAS_OK;
}

static bool is_key(const dictionary *d, uint32_t k, const maas_tensor *x, int64_t i)
{
    if (x->dtype == MAAS_STRING) {
        const maas_str a = ((const maas_str *)x->data)[i], b = d->keys->u.strings[k];
        return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
    }
    if (x->dtype == MAAS_I64)
        return ((const int64_t *)x->data)[i] == d->keys->u.ints[k];
    float a = ((const float *)x->data)[i], b = d->keys->u.floats[k];
    return a == b || (a != a && b != b);
}

/* Value k of the dictionary, or the default for k = n. */
static void put(const maas_node *n, const dictionary *d, uint32_t k, const maas_tensor *y,
                int64_t i)
{
    const bool found = k < d->keys->n;
    if (y->dtype == MAAS_STRING)
        ((maas_str *)y->data)[i] = found ? d->values->u.strings[k]
                                         : maas_attr_s(n, "default_string", "_Unused");
    else if (y->dtype == MAAS_I64)
        ((int64_t *)y->data)[i] = found ? d->values->u.ints[k]
                                        : maas_attr_i(n, "default_int64", -1);
    else
        ((float *)y->data)[i] = found ? d->values->u.floats[k]
                                      : maas_attr_f(n, "default_float", -0.0f);
}

static maas_status encoder_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    dictionary d;
    MAAS_TRY(dictionary_of(c->node, &d, err));
    for (int64_t i = 0, n = maas_n_elems(x); i < n; i++) {
        uint32_t k = 0;
        while (k < d.keys->n && !is_key(&d, k, x, i))
            k++;
        put(c->node, &d, k, &c->out[0], i);
    }
    return MAAS_OK;
}

static void encoder_example(maas_example *e)
{
    static const maas_str words[] = {{"a", 1}, {"bc", 2}, {"", 0}};
    static const int64_t ints[] = {0, 2, -1};
    static const float floats[] = {1, -2, 3};
    const maas_attr keys[] = {
        {.name = "keys_strings", .type = MAAS_ATTR_STRINGS, .n = 3, .u.strings = words},
        {.name = "keys_int64s", .type = MAAS_ATTR_INTS, .n = 3, .u.ints = ints},
        {.name = "keys_floats", .type = MAAS_ATTR_FLOATS, .n = 3, .u.floats = floats}};
    const maas_attr values[] = {
        {.name = "values_strings", .type = MAAS_ATTR_STRINGS, .n = 3, .u.strings = words},
        {.name = "values_int64s", .type = MAAS_ATTR_INTS, .n = 3, .u.ints = ints},
        {.name = "values_floats", .type = MAAS_ATTR_FLOATS, .n = 3, .u.floats = floats}};
    const int k = e->variant / 3, v = e->variant % 3;
    const maas_attr attr[] = {keys[k], values[v]};
    maas_vid x = maas_ex_in(e, kinds[k].dtype, -2, 4, MAAS_DIMS(2, 5));
    maas_b_node(e->b, "LabelEncoder", attr, 2, &x, 1, NULL, 1);
}

#define CODES (MAAS_DTS_STR | MAAS_DTS_I64 | MAAS_DT_BIT(MAAS_F32))
static const maas_io_schema in[] = {MAAS_REQ("X", NULL, CODES)};
static const maas_io_schema out[] = {MAAS_REQ("Y", NULL, CODES)};
static const maas_attr_schema attrs[] = {
    {"keys_strings", MAAS_ATTR_STRINGS, false},  {"keys_int64s", MAAS_ATTR_INTS, false},
    {"keys_floats", MAAS_ATTR_FLOATS, false},    {"values_strings", MAAS_ATTR_STRINGS, false},
    {"values_int64s", MAAS_ATTR_INTS, false},    {"values_floats", MAAS_ATTR_FLOATS, false},
    {"default_string", MAAS_ATTR_STRING, false}, {"default_int64", MAAS_ATTR_INT, false},
    {"default_float", MAAS_ATTR_FLOAT, false}};

const maas_op maas_op_LabelEncoder = {
    .domain = MAAS_DOMAIN_ML,
    .name = "LabelEncoder",
    .since = 2,
    .flags = MAAS_OP_STRINGS,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 9,
    .infer = encoder_infer,
    .reference = encoder_reference,
    .flops = maas_flops_out,
    .example = encoder_example,
    .no_gradient = "it looks up labels",
};
