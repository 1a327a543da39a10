/* formats/weights.c - see weights.h. */
#include "formats/weights.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "formats/safetensors.h"
#include "base/ban.h"

/* ---- opening ---- */

static maas_status from_safetensors(maas_span file, maas_weights *out, maas_err *err)
{
    maas_safetensors s;
    MAAS_TRY(maas_safetensors_open(file, &out->arena, &s, err));
    out->list = maas_arena_array(&out->arena, (size_t)s.n_tensors + 1, sizeof *out->list);
    if (!out->list)
        return maas_fail(err, MAAS_E_NOMEM, "memory for an index of weights");
    for (uint32_t i = 0; i < s.n_tensors; i++) {
        const maas_st_tensor *t = &s.tensors[i];
        maas_weight *w = &out->list[i];
        if (memchr(t->name.p, 0, t->name.n))
            return maas_fail(err, MAAS_E_FORMAT, "the name of a tensor has a zero byte");
        *w = (maas_weight){.type = t->type->name,
                           .dtype = t->type->dtype,
                           .rank = t->rank,
                           .data = t->data,
                           .name = maas_arena_strndup(&out->arena, t->name.p, t->name.n)};
        if (!w->name)
            return maas_fail(err, MAAS_E_NOMEM, "memory for an index of weights");
        memcpy(w->dims, t->dims, sizeof w->dims);
        int64_t step = 1; /* no overflow: the file has the bytes, or some size is 0 */
        for (int k = t->rank - 1; k >= 0; k--) {
            w->strides[k] = step;
            step *= t->dims[k] ? t->dims[k] : 1;
        }
    }
    out->n = s.n_tensors;
    return MAAS_OK;
}

static int by_name(const void *x, const void *y)
{
    return strcmp(((const maas_weight *)x)->name, ((const maas_weight *)y)->name);
}

static maas_status open_any(maas_span file, maas_weights *out, maas_err *err)
{
    maas_span head = file;
    uint64_t n_head;
    if (file.n >= 4 && memcmp(file.p, "PK\3\4", 4) == 0)
        return maas_torch_open(file, &out->arena, &out->list, &out->n, err);
    if (maas_span_u64le(&head, &n_head) && head.n && n_head <= head.n && *head.p == '{')
        return from_safetensors(file, out, err);
    if (file.n >= 2 && file.p[0] == 0x80 && file.p[1] <= 5)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "a file of torch.save before PyTorch 1.6, or of another pickler: load it "
                         "and save it again, torch.save(torch.load(f, map_location='cpu'), f)");
    return maas_fail(err, MAAS_E_FORMAT, "neither safetensors nor a file of torch.save");
}

maas_status maas_weights_open(maas_span file, maas_budget *budget, maas_weights *out, maas_err *err)
{
    *out = (maas_weights){0};
    maas_arena_init(&out->arena, budget);
    maas_status st = open_any(file, out, err);
    if (st == MAAS_OK && out->n)
        qsort(out->list, out->n, sizeof *out->list, by_name);
    for (uint32_t i = 1; i < out->n && st == MAAS_OK; i++)
        if (by_name(&out->list[i - 1], &out->list[i]) == 0)
            st = maas_fail(err, MAAS_E_FORMAT, "tensor '%.100s' is there twice", out->list[i].name);
    if (st != MAAS_OK)
        maas_weights_reset(out);
    return st;
}

void maas_weights_reset(maas_weights *w)
{
    maas_arena_reset(&w->arena);
    *w = (maas_weights){0};
}

/* ---- giving ---- */

static bool is_float(maas_dtype t)
{
    return t == MAAS_F16 || t == MAAS_BF16 || t == MAAS_F32 || t == MAAS_F64;
}

static bool is_plain(const maas_weight *w)
{
    int64_t step = 1;
    for (int k = w->rank - 1; k >= 0; k--) {
        if (w->dims[k] != 1 && w->strides[k] != step)
            return false;
        step *= w->dims[k];
    }
    return true;
}

/* Element `from` of the bytes becomes element `to` of the tensor. */
static void copy_element(const maas_weight *w, int64_t from, const maas_tensor *t, int64_t to)
{
    const size_t size = maas_dtype_size(w->dtype);
    uint64_t bits = 0;
    memcpy(&bits, w->data + (size_t)from * size, size);
    if (w->dtype == t->dtype) {
        memcpy((uint8_t *)t->data + (size_t)to * size, &bits, size);
        return;
    }
    const int64_t one[] = {1};
    const maas_tensor x = maas_tensor_of(w->dtype, 1, one, &bits);
    maas_tensor_set(t, to, maas_tensor_get(&x, 0));
}

/* All elements in the order of the tensor; the index counts like a clock, last dimension first. */
static void copy_elements(const maas_weight *w, const maas_tensor *t)
{
    const int64_t n = maas_n_elems(t);
    int64_t at[MAAS_MAX_RANK] = {0}, from = 0;
    for (int64_t i = 0; i < n; i++) {
        copy_element(w, from, t, i);
        for (int k = w->rank - 1; k >= 0; k--) {
            from += w->strides[k];
            if (++at[k] < w->dims[k])
                break;
            from -= at[k] * w->strides[k];
            at[k] = 0;
        }
    }
}

static maas_status check_fit(const maas_weight *w, const maas_tensor *t, maas_err *err)
{
    char have[MAAS_SHAPE_TEXT], want[MAAS_SHAPE_TEXT];
    if (w->rank != t->rank || memcmp(w->dims, t->dims, (size_t)w->rank * sizeof *w->dims) != 0)
        return maas_fail(err, MAAS_E_FORMAT, "weight '%.120s' is %s, the graph's is %s", w->name,
                         maas_shape_text(w->dims, w->rank, have),
                         maas_shape_text(t->dims, t->rank, want));
    if (w->dtype != t->dtype && !(is_float(w->dtype) && is_float((maas_dtype)t->dtype)))
        return maas_fail(err, MAAS_E_FORMAT, "weight '%.120s' is %s, the graph's is %s", w->name,
                         w->type, maas_dtype_describe((maas_dtype)t->dtype)->onnx);
    return MAAS_OK;
}

static maas_status no_weight(maas_weights *w, const char *name, const maas_tensor *t, maas_err *err)
{
    if (!is_float((maas_dtype)t->dtype) || maas_n_elems(t) <= 1)
        return MAAS_OK;
    if (w->n_without < MAAS_COUNT(w->without) &&
        !(w->without[w->n_without] = maas_arena_strdup(&w->arena, name)))
        return maas_fail(err, MAAS_E_NOMEM, "memory for an index of weights");
    w->n_without++;
    return MAAS_OK;
}

maas_status maas_weights_give(void *user, const char *name, maas_tensor *t, maas_err *err)
{
    maas_weights *w = user;
    const maas_weight wanted = {.name = name};
    maas_weight *found = w->n ? bsearch(&wanted, w->list, w->n, sizeof wanted, by_name) : NULL;
    if (!found)
        return no_weight(w, name, t, err);
    MAAS_TRY(check_fit(found, t, err));
    found->used = true;
    const size_t bytes = maas_tensor_bytes(t), size = maas_dtype_size(found->dtype);
    if (!bytes)
        return MAAS_OK;
    if (found->dtype == t->dtype && t->dtype != MAAS_BOOL && is_plain(found) &&
        (uintptr_t)found->data % size == 0) {
        t->data = (void *)(uintptr_t)found->data; /* constants are never written */
        return MAAS_OK;
    }
    if (!(t->data = maas_arena_alloc(&w->arena, bytes)))
        return maas_fail(err, MAAS_E_NOMEM, "memory for weight '%.120s'", name);
    copy_elements(found, t);
    for (size_t i = 0; t->dtype == MAAS_BOOL && i < bytes; i++)
        ((uint8_t *)t->data)[i] = ((uint8_t *)t->data)[i] != 0;
    return MAAS_OK;
}

/* ---- what is left over ---- */

static void put_name(maas_buf *b, uint32_t i, const char *name)
{
    if (i < 3)
        maas_buf_printf(b, "%s'%.48s'", i ? ", " : "", name);
}

static void put_more(maas_buf *b, uint32_t n)
{
    if (n > 3)
        maas_buf_printf(b, " and %u more", n - 3);
}

maas_status maas_weights_done(const maas_weights *w, maas_err *err)
{
    maas_buf b = MAAS_BUF_INIT(1024);
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->n; i++)
        if (!w->list[i].used && (is_float(w->list[i].dtype) || w->list[i].dtype == MAAS_DT_NONE)) {
            maas_buf_str(&b, n ? "" : "no initializer of the graph is called ");
            put_name(&b, n++, w->list[i].name);
        }
    put_more(&b, n);
    for (uint32_t i = 0; i < w->n_without && i < MAAS_COUNT(w->without); i++) {
        if (!i)
            maas_buf_printf(&b, "%sthe weights have nothing for ", n ? "; " : "");
        put_name(&b, i, w->without[i]);
    }
    put_more(&b, w->n_without);
    const bool left = n || w->n_without;
    if (left)
        maas_fail(err, MAAS_E_FORMAT, "%s: names must be equal", b.p ? b.p : "names differ");
    maas_buf_reset(&b);
    return left ? MAAS_E_FORMAT : MAAS_OK;
}
