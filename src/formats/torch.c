/*
 * formats/torch.c - files of torch.save since PyTorch 1.6: a zip archive.
 *
 *   NAME/data.pkl     a pickle: a dict of names and _rebuild_tensor_v2(storage, offset, shape,
 *                     strides, ...), or that under the key "state_dict"
 *   NAME/byteorder    "little" (since 2.1)
 *   NAME/data/KEY     elements; a storage is the persistent id ("storage", its class, KEY, device,
 *                     how many elements)
 *
 * The pickle is read as data (formats/pickle.h): a checkpoint that needs any other class is refused
 * by its name. Source: torch/serialization.py and torch/_utils.py.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "formats/pickle.h"
#include "formats/weights.h"
#include "formats/zip.h"
#include "base/ban.h"

#define MAX_MEMBERS (1u << 20)
#define REBUILD     "torch._utils._rebuild_tensor_v2"

static const char *const names[] = {
    REBUILD,
    "collections.OrderedDict",
    "torch.BFloat16Storage",
    "torch.BoolStorage",
    "torch.ByteStorage",
    "torch.CharStorage",
    "torch.DoubleStorage",
    "torch.FloatStorage",
    "torch.HalfStorage",
    "torch.IntStorage",
    "torch.LongStorage",
    "torch.ShortStorage",
    NULL,
};

static const struct storage_row {
    const char *name, *type;
    maas_dtype dtype;
} storages[] = {
    {"torch.BFloat16Storage", "bfloat16", MAAS_BF16}, {"torch.BoolStorage", "bool", MAAS_BOOL},
    {"torch.ByteStorage", "uint8", MAAS_U8},          {"torch.CharStorage", "int8", MAAS_I8},
    {"torch.DoubleStorage", "float64", MAAS_F64},     {"torch.FloatStorage", "float32", MAAS_F32},
    {"torch.HalfStorage", "float16", MAAS_F16},       {"torch.IntStorage", "int32", MAAS_I32},
    {"torch.LongStorage", "int64", MAAS_I64},         {"torch.ShortStorage", "int16", MAAS_I16},
};

typedef struct archive {
    maas_zip_member *list; /* [n] by name */
    uint32_t n;
    maas_arena *a;
    maas_span folder; /* "NAME/" */
    maas_err *err;
} archive;

/* ---- members ---- */

static int by_name(const void *x, const void *y)
{
    const maas_span a = ((const maas_zip_member *)x)->name, b = ((const maas_zip_member *)y)->name;
    const size_t n = a.n < b.n ? a.n : b.n;
    const int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

/* "NAME/data.pkl", NAME without a slash. */
static bool is_pickle(maas_span name, maas_span *folder)
{
    const uint8_t *slash = name.n ? memchr(name.p, '/', name.n) : NULL;
    if (!slash)
        return false;
    const size_t n = (size_t)(slash - name.p) + 1;
    *folder = maas_span_of(name.p, n);
    return maas_span_is(maas_span_of(name.p + n, name.n - n), "data.pkl");
}

static maas_status list_members(archive *z, maas_span file)
{
    maas_zip zip;
    bool more = true, found = false;
    MAAS_TRY(maas_zip_open(&zip, file, MAX_MEMBERS, z->err));
    z->list = maas_arena_array(z->a, (size_t)zip.n_left + 1, sizeof *z->list);
    if (!z->list)
        return maas_fail(z->err, MAAS_E_NOMEM, "memory for the members of an archive");
    for (;;) {
        maas_zip_member *m = &z->list[z->n];
        MAAS_TRY(maas_zip_next(&zip, m, &more, z->err));
        if (!more)
            break;
        z->n++;
        found = found || is_pickle(m->name, &z->folder);
    }
    if (!found)
        return maas_fail(z->err, MAAS_E_FORMAT,
                         "a zip archive without data.pkl, which torch.save writes");
    qsort(z->list, z->n, sizeof *z->list, by_name);
    for (uint32_t i = 1; i < z->n; i++)
        if (by_name(&z->list[i - 1], &z->list[i]) == 0)
            return maas_fail(z->err, MAAS_E_FORMAT, "the archive has two members '%.*s'",
                             (int)(z->list[i].name.n < 100 ? z->list[i].name.n : 100),
                             (const char *)z->list[i].name.p);
    return MAAS_OK;
}

/* p NULL: there is none. */
static maas_status member(const archive *z, const char *sub, maas_span key, maas_span *out)
{
    maas_buf name = MAAS_BUF_IN(z->a, 1 << 17);
    maas_buf_add(&name, z->folder.p, z->folder.n);
    maas_buf_str(&name, sub);
    maas_buf_add(&name, key.p, key.n);
    if (name.failed)
        return maas_fail(z->err, MAAS_E_NOMEM, "memory for a name");
    const maas_zip_member wanted = {.name = maas_buf_span(&name)};
    const maas_zip_member *m = bsearch(&wanted, z->list, z->n, sizeof *z->list, by_name);
    *out = m ? m->data : (maas_span){0};
    if (m && m->deflated)
        return maas_fail(z->err, MAAS_E_UNSUPPORTED,
                         "'%.100s' is compressed, torch.save writes it as it is: save it again",
                         name.p);
    return MAAS_OK;
}

static maas_status check_order(const archive *z)
{
    maas_span order;
    MAAS_TRY(member(z, "byteorder", (maas_span){0}, &order));
    if (!order.p || maas_span_is(order, "little"))
        return MAAS_OK;
    return maas_fail(z->err, MAAS_E_UNSUPPORTED,
                     "its byte order is '%.*s', only little-endian is read",
                     (int)(order.n < 16 ? order.n : 16), (const char *)order.p);
}

/* ---- tensors ---- */

static maas_status read_storage(const archive *z, const maas_pk *ref, maas_weight *w,
                                maas_span *bytes, int64_t *n)
{
    const maas_pk *id = maas_pk_args(ref);
    maas_span kind = {0}, key = {0};
    if (!maas_pk_is_class(ref, MAAS_PK_REFERENCE) || maas_pk_count(id) != 5 ||
        !maas_pk_to_bytes(maas_pk_at(id, 0), &kind) || !maas_span_is(kind, "storage") ||
        !maas_pk_to_bytes(maas_pk_at(id, 2), &key) || !maas_pk_to_int(maas_pk_at(id, 4), n))
        return maas_fail(z->err, MAAS_E_FORMAT, "what should be its storage is none");
    const struct storage_row *row = NULL;
    for (size_t i = 0; i < MAAS_COUNT(storages); i++)
        if (maas_pk_is_class(maas_pk_at(id, 1), storages[i].name))
            row = &storages[i];
    if (!row || maas_pk_kind_of(maas_pk_at(id, 1)) != MAAS_PK_GLOBAL)
        return maas_fail(z->err, MAAS_E_FORMAT, "what should be the class of its storage is none");
    w->type = row->type;
    w->dtype = row->dtype;
    MAAS_TRY(member(z, "data/", key, bytes));
    const int key_n = (int)(key.n < 40 ? key.n : 40);
    if (!bytes->p)
        return maas_fail(z->err, MAAS_E_FORMAT, "its storage '%.*s' is not in the archive", key_n,
                         (const char *)key.p);
    const size_t size = maas_dtype_size(row->dtype);
    if (*n < 0 || (uint64_t)*n > bytes->n / size)
        return maas_fail(z->err, MAAS_E_FORMAT, "its storage '%.*s' has %zu bytes, not %lld %s",
                         key_n, (const char *)key.p, bytes->n, (long long)*n, row->type);
    return MAAS_OK;
}

static bool read_sizes(const maas_pk *v, int rank, int64_t *out)
{
    if (maas_pk_kind_of(v) != MAAS_PK_TUPLE || maas_pk_count(v) != rank)
        return false;
    for (int i = 0; i < rank; i++)
        if (maas_pk_kind_of(maas_pk_at(v, i)) != MAAS_PK_INT ||
            !maas_pk_to_int(maas_pk_at(v, i), &out[i]) || out[i] < 0)
            return false;
    return true;
}

/* The elements from `offset` on, at these strides, are among the n of the storage. */
static bool inside(const maas_weight *w, int64_t offset, int64_t n)
{
    int64_t last = offset;
    for (int i = 0; i < w->rank; i++) {
        int64_t far;
        if (w->dims[i] == 0)
            return offset <= n;
        if (__builtin_mul_overflow(w->dims[i] - 1, w->strides[i], &far) ||
            __builtin_add_overflow(last, far, &last))
            return false;
    }
    return last < n;
}

static maas_status read_tensor(const archive *z, const maas_pk *v, maas_weight *w)
{
    const maas_pk *args = maas_pk_args(v);
    const int64_t rank = maas_pk_count(maas_pk_at(args, 2));
    int64_t offset = 0, n = 0;
    size_t bytes;
    maas_span data;
    if (!maas_pk_is_class(v, REBUILD) || !args)
        return maas_fail(z->err, MAAS_E_FORMAT, "is a %.100s, no tensor", maas_pk_kind_text(v));
    if (rank > MAAS_MAX_RANK)
        return maas_fail(z->err, MAAS_E_UNSUPPORTED, "more than %d dimensions", MAAS_MAX_RANK);
    w->rank = (int)rank;
    if (!maas_pk_to_int(maas_pk_at(args, 1), &offset) || offset < 0 ||
        !read_sizes(maas_pk_at(args, 2), w->rank, w->dims) ||
        !read_sizes(maas_pk_at(args, 3), w->rank, w->strides))
        return maas_fail(z->err, MAAS_E_FORMAT, "offset, shape or strides are wrong");
    MAAS_TRY(read_storage(z, maas_pk_at(args, 0), w, &data, &n));
    MAAS_TRY(maas_shape_bytes(w->dtype, w->dims, w->rank, &bytes, z->err));
    if (!inside(w, offset, n))
        return maas_fail(z->err, MAAS_E_FORMAT,
                         "its shape and strides go past the %lld elements of its storage",
                         (long long)n);
    w->data = data.p + (size_t)offset * maas_dtype_size(w->dtype);
    return MAAS_OK;
}

static const maas_pk *state_dict(const maas_pk *root)
{
    const maas_pk *inner = maas_pk_get(root, "state_dict");
    return maas_pk_kind_of(inner) == MAAS_PK_DICT ? inner : root;
}

static maas_status read_dict(const archive *z, const maas_pk *dict, maas_weight **list, uint32_t *n)
{
    const int64_t count = maas_pk_count(dict);
    if (maas_pk_kind_of(dict) != MAAS_PK_DICT)
        return maas_fail(z->err, MAAS_E_FORMAT,
                         "it holds a %.100s, no state dict: save model.state_dict()",
                         maas_pk_kind_text(dict));
    *list = maas_arena_array(z->a, (size_t)count + 1, sizeof **list);
    if (!*list)
        return maas_fail(z->err, MAAS_E_NOMEM, "memory for the index of a state dict");
    for (int64_t i = 0; i < count; i++) {
        maas_weight *w = &(*list)[i];
        maas_str name;
        if (!maas_pk_to_str(maas_pk_key(dict, i), &name) || memchr(name.p, 0, name.n))
            return maas_fail(z->err, MAAS_E_FORMAT, "key %lld of the state dict is no text",
                             (long long)i);
        if (!(w->name = maas_arena_strndup(z->a, name.p, name.n)))
            return maas_fail(z->err, MAAS_E_NOMEM, "memory for the index of a state dict");
        const maas_status st = read_tensor(z, maas_pk_at(dict, i), w);
        if (st != MAAS_OK) {
            maas_err_prefix(z->err, "tensor '%.100s'", w->name);
            return st;
        }
    }
    *n = (uint32_t)count;
    return MAAS_OK;
}

maas_status maas_torch_open(maas_span file, maas_arena *a, maas_weight **list, uint32_t *n,
                            maas_err *err)
{
    archive z = {.a = a, .err = err};
    maas_span text;
    maas_pickle p;
    MAAS_TRY(list_members(&z, file));
    MAAS_TRY(check_order(&z));
    MAAS_TRY(member(&z, "data.pkl", (maas_span){0}, &text));
    maas_status st = maas_pickle_read_as(text, names, a->budget, &p, err);
    if (st != MAAS_OK) {
        maas_err_prefix(err, "data.pkl");
        return st;
    }
    st = read_dict(&z, state_dict(p.root), list, n);
    maas_pickle_reset(&p);
    return st;
}
