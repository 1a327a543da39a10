/* learn/encode_table.c - a category is looked up in a table of numbers; the last row of it is for
 * the unknown. */
#include <math.h>

#include "base/mem.h"
#include "learn/encoders.h"
#include "learn/target.h"

#include "base/ban.h"

#define FOLDS 5

static maas_status new_table(const maas_encoding *e, int64_t width, float **out, maas_err *err)
{
    maas_feature *f = e->f;
    f->width = width;
    *out = maas_arena_array(&e->fs->arena, (size_t)((f->n_categories + 1) * width), sizeof **out);
    if (!*out)
        return maas_fail(err, MAAS_E_NOMEM, "categories of column '%s'", f->col->desc.name);
    f->state = *out;
    return MAAS_OK;
}

static maas_vid build(const maas_feature *f, maas_builder *b, maas_vid text)
{
    const int64_t n = f->n_categories, dims[] = {n + 1, f->width};
    AUTO_FREE int64_t *numbers = maas_calloc((size_t)n, sizeof *numbers);
    if (!numbers) {
        b->status = maas_fail(b->err, MAAS_E_NOMEM, "categories of column '%s'", f->col->desc.name);
        return MAAS_NO_VALUE;
    }
    for (int64_t i = 0; i < n; i++)
        numbers[i] = i;
    const maas_attr attr[3] = {{.name = "keys_strings",
                                .type = MAAS_ATTR_STRINGS,
                                .n = (uint32_t)n,
                                .u.strings = f->categories},
                               MAAS_A_INTS("values_int64s", numbers, n),
                               MAAS_A_INT("default_int64", n)};
    maas_vid codes = MAAS_NO_VALUE;
    codes = maas_b_node(b, "LabelEncoder", attr, 3, &text, 1, &codes, 1);
    const maas_tensor t = maas_tensor_of(MAAS_F32, 2, dims, f->state);
    maas_vid x = maas_b_op2(b, "Gather", maas_b_const(b, NULL, &t), codes); /* [batch, 1, width] */
    return maas_b_op2(b, "Reshape", x, maas_b_i64s(b, (int64_t[]){-1, f->width}, 2));
}

/* ---- ordinal ---- */

static maas_status fit_ordinal(const maas_encoding *e, maas_err *err)
{
    float *table;
    MAAS_TRY(new_table(e, 1, &table, err));
    for (int64_t i = 0; i < e->f->n_categories; i++)
        table[i] = (float)i;
    table[e->f->n_categories] = -1;
    return MAAS_OK;
}

const maas_encoder maas_encoder_ordinal = {
    .name = "ordinal", .categories = true, .scaled = true, .fit = fit_ordinal, .build = build};

/* ---- target ---- */

/* Number k of what row i has as its target: the chance of a class, or a value. */
static double target_at(const maas_target *t, int64_t i, int64_t k)
{
    if (!t->is_class)
        return maas_cells_of(t->col->desc.dtype)->get(t->col->data, i * t->width + k);
    return t->codes[i] == (t->n_classes == 2 ? 1 : k);
}

static int64_t target_width(const maas_target *t)
{
    return !t->is_class ? t->width : t->n_classes == 2 ? 1 : t->n_classes;
}

/* table = smoothed means of number k over the training rows that are not in fold `without` (-1:
 * over all); counts [n_categories + 1] is scratch. */
static void means(const maas_encoding *e, int64_t k, int without, double *sums, double *counts,
                  float *table)
{
    const maas_feature *f = e->f;
    const int64_t n = f->n_categories;
    double all = 0, rows = 0;
    memset(sums, 0, (size_t)(n + 1) * sizeof *sums);
    memset(counts, 0, (size_t)(n + 1) * sizeof *counts);
    for (int64_t i = 0; i < e->train->n; i++) {
        if (i % FOLDS == without)
            continue;
        const int32_t code = f->codes[e->train->at[i]];
        const double y = target_at(e->o->target, e->train->at[i], k);
        all += y;
        rows++;
        sums[code < 0 ? n : code] += y;
        counts[code < 0 ? n : code]++;
    }
    const double mean = rows > 0 ? all / rows : 0, smooth = e->o->preparation->smooth;
    for (int64_t c = 0; c <= n; c++)
        table[c * f->width + k] = (float)(c < n && counts[c] + smooth > 0
                                              ? (sums[c] + smooth * mean) / (counts[c] + smooth)
                                              : mean);
}

static maas_status scratch_of(const maas_encoding *e, double **out, maas_err *err)
{
    *out = maas_arena_array(&e->fs->arena, (size_t)(e->f->n_categories + 1), 2 * sizeof **out);
    return *out ? MAAS_OK
                : maas_fail(err, MAAS_E_NOMEM, "categories of column '%s'", e->f->col->desc.name);
}

static maas_status fit_target(const maas_encoding *e, maas_err *err)
{
    float *table;
    double *scratch;
    if (!e->o->target)
        return maas_fail(err, MAAS_E_INVALID,
                         "column '%s': encoding by target needs a learner that has one",
                         e->f->col->desc.name);
    MAAS_TRY(new_table(e, target_width(e->o->target), &table, err));
    MAAS_TRY(scratch_of(e, &scratch, err));
    for (int64_t k = 0; k < e->f->width; k++)
        means(e, k, -1, scratch, scratch + e->f->n_categories + 1, table);
    return MAAS_OK;
}

/* Training rows see the other folds only. */
static maas_status refine_target(const maas_encoding *e, maas_err *err)
{
    const maas_feature *f = e->f;
    const size_t n = (size_t)((f->n_categories + 1) * f->width);
    double *scratch;
    float *table = maas_arena_array(&e->fs->arena, n, sizeof *table);
    if (!table)
        return maas_fail(err, MAAS_E_NOMEM, "categories of column '%s'", f->col->desc.name);
    MAAS_TRY(scratch_of(e, &scratch, err));
    for (int fold = 0; fold < FOLDS && e->train->n >= 2 * FOLDS; fold++) {
        for (int64_t k = 0; k < f->width; k++)
            means(e, k, fold, scratch, scratch + f->n_categories + 1, table);
        for (int64_t i = fold; i < e->train->n; i += FOLDS) {
            const int64_t row = e->train->at[i];
            const int64_t code = f->codes[row] < 0 ? f->n_categories : f->codes[row];
            memcpy(f->values + row * f->width, table + code * f->width,
                   (size_t)f->width * sizeof *table);
        }
    }
    return MAAS_OK;
}

const maas_encoder maas_encoder_target = {.name = "target",
                                          .categories = true,
                                          .scaled = true,
                                          .fit = fit_target,
                                          .build = build,
                                          .refine = refine_target};
