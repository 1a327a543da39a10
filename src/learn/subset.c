/* learn/subset.c - rows of columns copied. */
#include "learn/subset.h"

#include <string.h>

#include "learn/columns.h"
#include "base/ban.h"

static maas_status no_memory(const maas_ds_column *c, maas_err *err)
{
    return maas_fail(err, MAAS_E_NOMEM, "the memory of the job does not hold a copy of column '%s'",
                     c->desc.name);
}

static maas_status copy_numbers(const maas_ds_column *c, const uint32_t *rows, int64_t n,
                                maas_arena *a, maas_ds_column *out, maas_err *err)
{
    const size_t row = (size_t)maas_column_width(c) * maas_dtype_size(c->desc.dtype);
    char *data = maas_arena_array(a, (size_t)n, row);
    if (!data)
        return no_memory(c, err);
    for (int64_t i = 0; i < n; i++)
        memcpy(data + (size_t)i * row, (const char *)c->data + rows[i] * row, row);
    out->data = data;
    return MAAS_OK;
}

static maas_status copy_texts(const maas_ds_column *c, const uint32_t *rows, int64_t n,
                              maas_arena *a, maas_ds_column *out, maas_err *err)
{
    int64_t *offsets = maas_arena_array(a, (size_t)n + 1, sizeof *offsets);
    uint8_t *missing = maas_arena_alloc(a, (size_t)n / 8 + 1);
    if (!offsets || !missing)
        return no_memory(c, err);
    for (int64_t i = 0; i < n; i++)
        offsets[i + 1] = offsets[i] + (int64_t)maas_column_text(c, rows[i]).n;
    char *bytes = maas_arena_alloc(a, (size_t)offsets[n] + 1);
    if (!bytes)
        return no_memory(c, err);
    for (int64_t i = 0; i < n; i++) {
        const maas_str t = maas_column_text(c, rows[i]);
        if (t.p)
            memcpy(bytes + offsets[i], t.p, t.n);
        else
            missing[i / 8] |= (uint8_t)(1u << (i % 8));
    }
    *out = (maas_ds_column){.desc = c->desc,
                            .offsets = offsets,
                            .bytes = bytes,
                            .missing = c->missing ? missing : NULL};
    return MAAS_OK;
}

maas_status maas_subset_make(const maas_dataset *d, const uint32_t *rows, int64_t n,
                             maas_budget *budget, maas_subset *out, maas_err *err)
{
    *out = (maas_subset){.data = {.n_rows = n, .n_cols = d->n_cols, .manifest = d->manifest}};
    maas_arena_init(&out->arena, budget);
    out->data.cols = maas_arena_array(&out->arena, d->n_cols, sizeof *out->data.cols);
    if (!out->data.cols)
        return maas_fail(err, MAAS_E_NOMEM, "memory for %u columns", d->n_cols);
    for (uint32_t k = 0; k < d->n_cols; k++) {
        const maas_ds_column *c = &d->cols[k];
        maas_ds_column *to = &out->data.cols[k];
        to->desc = c->desc;
        MAAS_TRY(c->desc.dtype == MAAS_STRING ? copy_texts(c, rows, n, &out->arena, to, err)
                                              : copy_numbers(c, rows, n, &out->arena, to, err));
    }
    return MAAS_OK;
}

void maas_subset_reset(maas_subset *s)
{
    maas_arena_reset(&s->arena);
    *s = (maas_subset){0};
}
