#include "ops/dictionary.h"

#include "base/sys.h"
#include "ops/ops_int.h"
#include "base/ban.h"

/* An attribute that holds a list, or one element, of a dtype; MAAS_DT_NONE: the tensor's own. */
typedef struct list_row {
    const char *name;
    maas_dtype dtype;
} list_row;

static const list_row key_rows[] = {{"keys_strings", MAAS_STRING},
                                    {"keys_int64s", MAAS_I64},
                                    {"keys_floats", MAAS_F32},
                                    {"keys_tensor", MAAS_DT_NONE}};
static const list_row value_rows[] = {{"values_strings", MAAS_STRING},
                                      {"values_int64s", MAAS_I64},
                                      {"values_floats", MAAS_F32},
                                      {"values_tensor", MAAS_DT_NONE}};
/* What is given where the node says nothing: the defaults of the standard. */
static const struct default_row {
    maas_dtype dtype;
    const char *name; /* attribute; NULL: this dtype has default_tensor alone */
    const void *otherwise;
} default_rows[] = {{MAAS_STRING, "default_string", &(const maas_str){"_Unused", 7}},
                    {MAAS_I64, "default_int64", &(const int64_t){-1}},
                    {MAAS_F32, "default_float", &(const float){-0.0f}},
                    {MAAS_F64, NULL, &(const double){-0.0}},
                    {MAAS_I32, NULL, &(const int32_t){-1}},
                    {MAAS_I16, NULL, &(const int16_t){-1}}};

static maas_tensor view(const maas_attr *a, maas_dtype dtype)
{
    if (a->type == MAAS_ATTR_TENSOR) {
        const int64_t n[] = {maas_n_elems(a->u.tensor)};
        return maas_tensor_of((maas_dtype)a->u.tensor->dtype, 1, n, a->u.tensor->data);
    }
    const int64_t n[] = {a->n};
    return maas_tensor_of(dtype, 1, n, (void *)(uintptr_t)a->u.ints);
}

/* Exactly one of the rows. */
static maas_status one_list(const maas_node *n, const list_row *rows, size_t n_rows,
                            const char *what, maas_tensor *out, maas_err *err)
{
    bool found = false;
    for (size_t i = 0; i < n_rows; i++) {
        const maas_attr *a = maas_node_attr(n, rows[i].name);
        if (!a)
            continue;
        if (found)
            return maas_fail(err, MAAS_E_INVALID, "more than one list of %s", what);
        found = true;
        *out = view(a, rows[i].dtype);
    }
    return found ? MAAS_OK : maas_fail(err, MAAS_E_INVALID, "a list of %s is needed", what);
}

static maas_status default_of(const maas_node *n, maas_dtype dtype, maas_tensor *out, maas_err *err)
{
    static const int64_t one[] = {1};
    const maas_attr *t = maas_node_attr(n, "default_tensor");
    if (t) {
        *out = view(t, dtype);
        if (out->dtype != dtype || out->dims[0] != 1)
            return maas_fail(err, MAAS_E_INVALID,
                             "attribute 'default_tensor' must be one element of the values' type");
        return MAAS_OK;
    }
    for (size_t i = 0; i < MAAS_COUNT(default_rows); i++) {
        const struct default_row *row = &default_rows[i];
        if (row->dtype != dtype)
            continue;
        const maas_attr *a = row->name ? maas_node_attr(n, row->name) : NULL;
        const void *data = a ? (const void *)&a->u : row->otherwise;
        *out = maas_tensor_of(dtype, 1, one, (void *)(uintptr_t)data);
        return MAAS_OK;
    }
    return maas_fail(err, MAAS_E_UNSUPPORTED, "values of type %s",
                     maas_dtype_describe(dtype)->onnx);
}

static maas_status encoder_lists(const maas_node *n, maas_dictionary *d, maas_err *err)
{
    MAAS_TRY(one_list(n, key_rows, MAAS_COUNT(key_rows), "keys", &d->keys, err));
    MAAS_TRY(one_list(n, value_rows, MAAS_COUNT(value_rows), "values", &d->values, err));
    if (d->keys.dims[0] != d->values.dims[0])
        return maas_fail(err, MAAS_E_INVALID, "%lld keys for %lld values",
                         (long long)d->keys.dims[0], (long long)d->values.dims[0]);
    return default_of(n, (maas_dtype)d->values.dtype, &d->otherwise, err);
}

/* Both lists, in the order that the input asks for. */
static maas_status mapper_lists(const maas_node *n, maas_dtype x, maas_dictionary *d, maas_err *err)
{
    const maas_attr *words = maas_node_attr(n, "cats_strings");
    const maas_attr *ints = maas_node_attr(n, "cats_int64s");
    if (!words || !ints || words->n != ints->n)
        return maas_fail(err, MAAS_E_INVALID,
                         "cats_strings and cats_int64s must have the same number of categories");
    const maas_tensor w = view(words, MAAS_STRING), i = view(ints, MAAS_I64);
    d->keys = x == MAAS_STRING ? w : i;
    d->values = x == MAAS_STRING ? i : w;
    d->last = true;
    return default_of(n, (maas_dtype)d->values.dtype, &d->otherwise, err);
}

static maas_status category_lists(const maas_node *n, maas_dictionary *d, maas_err *err)
{
    static const list_row rows[] = {{"cats_strings", MAAS_STRING}, {"cats_int64s", MAAS_I64}};
    d->last = true;
    /* unknown: a row of zeros, unless that is forbidden */
    d->otherwise.data = maas_attr_i(n, "zeros", 1) ? d : NULL;
    return one_list(n, rows, MAAS_COUNT(rows), "categories", &d->keys, err);
}

maas_status maas_dictionary_of(const maas_node *n, maas_dtype x, maas_dictionary *out,
                               maas_err *err)
{
    maas_dictionary d = {0};
    const bool one_hot = strcmp(n->op->name, "OneHotEncoder") == 0;
    MAAS_TRY(one_hot                                    ? category_lists(n, &d, err)
             : strcmp(n->op->name, "LabelEncoder") == 0 ? encoder_lists(n, &d, err)
                                                        : mapper_lists(n, x, &d, err));
    /* OneHotEncoder cuts numbers to integers */
    if (one_hot ? (x == MAAS_STRING) != (d.keys.dtype == MAAS_STRING) : d.keys.dtype != x)
        return maas_fail(err, MAAS_E_INVALID, "the input is %s, the keys are %s",
                         maas_dtype_describe(x)->onnx,
                         maas_dtype_describe((maas_dtype)d.keys.dtype)->onnx);
    if (d.keys.dims[0] >= UINT32_MAX / 4)
        return maas_fail(err, MAAS_E_TOO_LARGE, "%lld keys", (long long)d.keys.dims[0]);
    *out = d;
    return MAAS_OK;
}

/* ---- equality ---- */

/* A number as an integer key; false when it can be none. */
static bool whole(const maas_tensor *x, int64_t i, int64_t *out)
{
    if (!maas_is_float(x->dtype)) {
        *out = maas_tensor_get_i64(x, i);
        return true;
    }
    const double v = maas_ld(x, i);
    if (!(v > -9.2e18 && v < 9.2e18))
        return false;
    *out = (int64_t)v;
    return true;
}

bool maas_key_is(const maas_tensor *keys, int64_t k, const maas_tensor *x, int64_t i)
{
    if (keys->dtype == MAAS_STRING) {
        const maas_str a = ((const maas_str *)x->data)[i], b = ((const maas_str *)keys->data)[k];
        return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
    }
    if (maas_is_float(keys->dtype)) {
        const double a = maas_ld(x, i), b = maas_ld(keys, k);
        return a == b || (a != a && b != b);
    }
    int64_t v;
    return whole(x, i, &v) && v == maas_tensor_get_i64(keys, k);
}

int64_t maas_dictionary_search(const maas_dictionary *d, const maas_tensor *x, int64_t i)
{
    const int64_t n = d->keys.dims[0];
    for (int64_t k = 0; k < n; k++) {
        const int64_t at = d->last ? n - 1 - k : k;
        if (maas_key_is(&d->keys, at, x, i))
            return at;
    }
    return -1;
}

/* ---- the index: open addressing, at most half full, seeded against chosen keys ---- */

static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 m = (unsigned __int128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint64_t hash_bytes(uint64_t seed, const void *p, size_t n)
{
    uint64_t h = seed ^ fold(n ^ 0xa0761d6478bd642full, seed | 1);
    for (size_t at = 0; at < n; at += 8) {
        uint64_t word = 0;
        memcpy(&word, (const char *)p + at, n - at < 8 ? n - at : 8);
        h = fold(h ^ word ^ 0xe7037ed1a0b428dbull, seed ^ 0x8ebc6af09c88c6e3ull);
    }
    return fold(h, 0x589965cc75374cc3ull);
}

/* The same for keys that maas_key_is calls equal. */
static uint64_t hash_of(const maas_key_index *t, const maas_tensor *x, int64_t i)
{
    if (x->dtype == MAAS_STRING) {
        const maas_str s = ((const maas_str *)x->data)[i];
        return hash_bytes(t->seed, s.p, s.n);
    }
    if (maas_is_float(t->d.keys.dtype)) {
        double v = maas_ld(x, i);
        v = v == 0 ? 0 : v != v ? (double)NAN : v;
        return hash_bytes(t->seed, &v, sizeof v);
    }
    int64_t v = 0;
    whole(x, i, &v);
    return hash_bytes(t->seed, &v, sizeof v);
}

/* The slot of the key, or the free one where it would go. */
static uint64_t probe(const maas_key_index *t, const maas_tensor *x, int64_t i)
{
    uint64_t at = hash_of(t, x, i) & t->mask;
    while (t->slots[at] && !maas_key_is(&t->d.keys, t->slots[at] - 1, x, i))
        at = (at + 1) & t->mask;
    return at;
}

maas_status maas_key_index_create(const maas_dictionary *d, maas_key_index **out, maas_err *err)
{
    const uint64_t n = (uint64_t)d->keys.dims[0];
    uint64_t cap = 8;
    while (cap < 2 * n)
        cap *= 2;
    maas_key_index *t = maas_calloc(1, sizeof *t + cap * sizeof *t->slots);
    if (!t)
        return maas_fail(err, MAAS_E_NOMEM, "an index of %llu keys", (unsigned long long)n);
    t->d = *d;
    t->mask = cap - 1;
    maas_random_bytes(&t->seed, sizeof t->seed);
    for (uint64_t k = 0; k < n; k++) {
        const uint64_t at = probe(t, &t->d.keys, (int64_t)k);
        if (!t->slots[at] || d->last)
            t->slots[at] = (uint32_t)k + 1;
    }
    *out = t;
    return MAAS_OK;
}

int64_t maas_key_index_find(const maas_key_index *t, const maas_tensor *x, int64_t i)
{
    return (int64_t)t->slots[probe(t, x, i)] - 1;
}
