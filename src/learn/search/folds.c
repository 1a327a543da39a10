/*
 * learn/search/folds.c - every kind of split ends as one array: the fold that measures row i (or,
 * for time series, two limits a fold); the lists of rows are read off it.
 */
#include "learn/search/folds.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "learn/distinct.h"
#include "learn/search/shuffle.h"
#include "base/ban.h"

static const char *const kind_names[] = {"auto", "kfold", "stratified", "group", "time", NULL};
static const char *const cv_keys[] = {"folds", "kind", "shuffle", "seed", "group", NULL};

#define MAX_FOLDS 1000
#define MAX_SEED  4294967295ll

maas_status maas_cv_read(const json_t *j, const char *where, maas_cv *out, maas_err *err)
{
    *out = (maas_cv){.folds = 5};
    if (!j)
        return MAAS_OK;
    if (json_is_integer(j)) {
        out->folds = json_integer_value(j);
    } else {
        const char *kind = NULL;
        if (!json_is_object(j))
            return maas_fail(err, MAAS_E_INVALID, "'%s' must be a number of folds or an object",
                             where);
        MAAS_TRY(maas_json_only(j, where, cv_keys, err));
        MAAS_TRY(maas_json_get_i64(j, where, "folds", 2, MAX_FOLDS, &out->folds, err));
        MAAS_TRY(maas_json_get_str(j, where, "kind", &kind, err));
        MAAS_TRY(maas_json_get_bool(j, where, "shuffle", &out->shuffle, err));
        MAAS_TRY(maas_json_get_i64(j, where, "seed", 0, MAX_SEED, &out->seed, err));
        MAAS_TRY(maas_json_get_str(j, where, "group", &out->group, err));
        while (kind && kind_names[out->kind] && strcmp(kind, kind_names[out->kind]) != 0)
            out->kind++;
        if (!kind_names[out->kind])
            return maas_fail(
                err, MAAS_E_INVALID,
                "'%s.kind' must be auto, kfold, stratified, group or time, not '%.32s'", where,
                kind);
    }
    if (out->folds < 2 || out->folds > MAX_FOLDS)
        return maas_fail(err, MAAS_E_INVALID, "'%s' must be 2..%d folds, not %lld", where,
                         MAX_FOLDS, (long long)out->folds);
    if ((out->kind == MAAS_CV_GROUP) != (out->group != NULL))
        return maas_fail(err, MAAS_E_INVALID,
                         "'%s.group' names a column and goes with kind \"group\"", where);
    if (out->shuffle && (out->kind == MAAS_CV_GROUP || out->kind == MAAS_CV_TIME))
        return maas_fail(err, MAAS_E_INVALID, "'%s.shuffle' does not go with kind \"%s\"", where,
                         kind_names[out->kind]);
    return MAAS_OK;
}

typedef struct splitter {
    const maas_cv *cv;
    const maas_dataset *d;
    int64_t n;
    uint32_t *fold_of; /* [n]: the fold that measures row i */
    maas_arena *arena; /* for scratch, too                  */
    maas_mt19937 rng;
} splitter;

static maas_status no_memory(maas_err *err)
{
    return maas_fail(err, MAAS_E_NOMEM, "memory for the folds");
}

static maas_status split_runs(splitter *s, maas_err *err)
{
    uint32_t *order = maas_arena_array(s->arena, (size_t)s->n, sizeof *order);
    if (!order)
        return no_memory(err);
    for (int64_t i = 0; i < s->n; i++)
        order[i] = (uint32_t)i;
    if (s->cv->shuffle)
        maas_mt19937_shuffle(&s->rng, order, s->n);
    for (int64_t f = 0, at = 0; f < s->cv->folds; f++)
        for (int64_t k = s->n / s->cv->folds + (f < s->n % s->cv->folds); k > 0; k--)
            s->fold_of[order[at++]] = (uint32_t)f;
    return MAAS_OK;
}

/* ---- classes and groups: rows by the number of their value ---- */

static void auto_distinct(maas_distinct *d)
{
    maas_distinct_reset(d);
}

/* codes[n]: number of each row's value in sorted order; *out_k values. Missing text is an error. */
static maas_status codes_of(splitter *s, const char *name, uint32_t **out, int64_t *out_k,
                            maas_err *err)
{
    const maas_ds_column *col = maas_dataset_column(s->d, name);
    AUTO(auto_distinct) maas_distinct d = {0};
    if (!col)
        return maas_fail(err, MAAS_E_INVALID, "the data set has no column '%.128s'", name);
    MAAS_TRY(maas_distinct_build(&d, col, NULL, s->n, err));
    uint32_t *codes = maas_arena_array(s->arena, (size_t)s->n, sizeof *codes);
    if (!codes)
        return no_memory(err);
    for (int64_t i = 0; i < s->n; i++) {
        int32_t k = maas_distinct_find(&d, i);
        if (k < 0)
            return maas_fail(err, MAAS_E_INVALID, "column '%.128s' is empty in row %lld", name,
                             (long long)i + 1);
        codes[i] = (uint32_t)k;
    }
    *out = codes;
    *out_k = d.n;
    return MAAS_OK;
}

/* Class numbers in order of first appearance instead of sorted. */
static maas_status by_appearance(splitter *s, uint32_t *codes, int64_t k, maas_err *err)
{
    uint32_t *number = maas_arena_array(s->arena, (size_t)k, sizeof *number), next = 0;
    if (!number)
        return no_memory(err);
    memset(number, 0xff, (size_t)k * sizeof *number);
    for (int64_t i = 0; i < s->n; i++) {
        if (number[codes[i]] == UINT32_MAX)
            number[codes[i]] = next++;
        codes[i] = number[codes[i]];
    }
    return MAAS_OK;
}

/* counts[f * k + c]: rows of class c that fold f measures. Rows sorted by class are dealt out to
 * the folds in turn. */
static void deal(const int64_t *rows_of, int64_t k, int64_t folds, int64_t *counts)
{
    for (int64_t c = 0, at = 0; c < k; c++)
        for (int64_t r = 0; r < rows_of[c]; r++, at++)
            counts[at % folds * k + c]++;
}

static maas_status split_classes(splitter *s, const char *target, maas_err *err)
{
    const int64_t folds = s->cv->folds;
    uint32_t *codes;
    int64_t k, most = 0;
    MAAS_TRY(codes_of(s, target, &codes, &k, err));
    MAAS_TRY(by_appearance(s, codes, k, err));
    int64_t *rows_of = maas_arena_array(s->arena, (size_t)k, sizeof *rows_of);
    int64_t *counts = maas_arena_array(s->arena, (size_t)(k * folds), sizeof *counts);
    uint32_t *dealt = maas_arena_array(s->arena, (size_t)s->n, sizeof *dealt);
    if (!rows_of || !counts || !dealt)
        return no_memory(err);
    for (int64_t i = 0; i < s->n; i++)
        if (++rows_of[codes[i]] > most)
            most = rows_of[codes[i]];
    if (folds > most)
        return maas_fail(err, MAAS_E_INVALID,
                         "%lld folds, but no class of '%.128s' has more than %lld rows",
                         (long long)folds, target, (long long)most);
    deal(rows_of, k, folds, counts);
    for (int64_t c = 0; c < k; c++) {
        int64_t n = 0;
        for (int64_t f = 0; f < folds; f++)
            for (int64_t r = counts[f * k + c]; r > 0; r--)
                dealt[n++] = (uint32_t)f;
        if (s->cv->shuffle)
            maas_mt19937_shuffle(&s->rng, dealt, n);
        for (int64_t i = 0, at = 0; i < s->n; i++)
            if (codes[i] == c)
                s->fold_of[i] = dealt[at++];
    }
    return MAAS_OK;
}

typedef struct group {
    int64_t rows;
    uint32_t number, fold;
} group;

/* Largest first; of equals the last in sorted order first, as reversing a stable sort gives it. */
static int larger_first(const void *a, const void *b)
{
    const group *x = a, *y = b;
    if (x->rows != y->rows)
        return x->rows < y->rows ? 1 : -1;
    return x->number < y->number ? 1 : -1;
}

static maas_status split_groups(splitter *s, maas_err *err)
{
    uint32_t *codes;
    int64_t k;
    MAAS_TRY(codes_of(s, s->cv->group, &codes, &k, err));
    if (k < s->cv->folds)
        return maas_fail(err, MAAS_E_INVALID, "%lld folds for %lld groups in column '%.128s'",
                         (long long)s->cv->folds, (long long)k, s->cv->group);
    group *g = maas_arena_array(s->arena, (size_t)k, sizeof *g);
    uint32_t *fold = maas_arena_array(s->arena, (size_t)k, sizeof *fold);
    int64_t *weight = maas_arena_array(s->arena, (size_t)s->cv->folds, sizeof *weight);
    if (!g || !fold || !weight)
        return no_memory(err);
    for (int64_t i = 0; i < k; i++)
        g[i].number = (uint32_t)i;
    for (int64_t i = 0; i < s->n; i++)
        g[codes[i]].rows++;
    qsort(g, (size_t)k, sizeof *g, larger_first);
    for (int64_t i = 0; i < k; i++) {
        int64_t light = 0;
        for (int64_t f = 1; f < s->cv->folds; f++)
            if (weight[f] < weight[light])
                light = f;
        weight[light] += g[i].rows;
        fold[g[i].number] = (uint32_t)light;
    }
    for (int64_t i = 0; i < s->n; i++)
        s->fold_of[i] = fold[codes[i]];
    return MAAS_OK;
}

/* ---- lists of rows ---- */

static maas_status lists_of(splitter *s, maas_folds *out, maas_err *err)
{
    for (int64_t f = 0; f < out->n; f++) {
        maas_fold *at = &out->at[f];
        for (int64_t i = 0; i < s->n; i++)
            at->n_test += s->fold_of[i] == f;
        at->train = maas_arena_array(s->arena, (size_t)(s->n - at->n_test), sizeof *at->train);
        at->test = maas_arena_array(s->arena, (size_t)at->n_test, sizeof *at->test);
        if (!at->train || !at->test)
            return no_memory(err);
        for (int64_t i = 0, test = 0; i < s->n; i++)
            if (s->fold_of[i] == f)
                at->test[test++] = (uint32_t)i;
            else
                at->train[at->n_train++] = (uint32_t)i;
    }
    return MAAS_OK;
}

/* Fold f is measured on the f-th of the last `folds` equal pieces and trained on all rows before
 * it. */
static maas_status split_time(splitter *s, maas_folds *out, maas_err *err)
{
    const int64_t piece = s->n / (s->cv->folds + 1);
    uint32_t *rows = maas_arena_array(s->arena, (size_t)s->n, sizeof *rows);
    if (!rows)
        return no_memory(err);
    for (int64_t i = 0; i < s->n; i++)
        rows[i] = (uint32_t)i;
    for (int64_t f = 0; f < out->n; f++) {
        const int64_t from = s->n - (s->cv->folds - f) * piece;
        out->at[f] = (maas_fold){
            .train = rows, .n_train = from, .test = rows + from, .n_test = piece};
    }
    return MAAS_OK;
}

maas_status maas_folds_make(const maas_cv *cv, const maas_dataset *d, const char *target,
                            bool classes, maas_budget *budget, maas_folds *out, maas_err *err)
{
    *out = (maas_folds){.n = cv->folds};
    maas_arena_init(&out->arena, budget);
    splitter s = {.cv = cv, .d = d, .n = d->n_rows, .arena = &out->arena};
    const int kind = cv->kind == MAAS_CV_AUTO ? (classes ? MAAS_CV_STRATIFIED : MAAS_CV_KFOLD)
                                              : cv->kind;
    if (d->n_rows >= UINT32_MAX || d->n_rows < cv->folds + (kind == MAAS_CV_TIME))
        return maas_fail(err, MAAS_E_INVALID, "%lld folds for %lld rows", (long long)cv->folds,
                         (long long)d->n_rows);
    out->at = maas_arena_array(&out->arena, (size_t)cv->folds, sizeof *out->at);
    s.fold_of = maas_arena_array(&out->arena, (size_t)s.n, sizeof *s.fold_of);
    if (!out->at || !s.fold_of)
        return no_memory(err);
    maas_mt19937_seed(&s.rng, (uint32_t)cv->seed);
    if (kind == MAAS_CV_TIME)
        return split_time(&s, out, err);
    MAAS_TRY(kind == MAAS_CV_KFOLD        ? split_runs(&s, err)
             : kind == MAAS_CV_STRATIFIED ? split_classes(&s, target, err)
                                          : split_groups(&s, err));
    return lists_of(&s, out, err);
}

void maas_folds_reset(maas_folds *f)
{
    maas_arena_reset(&f->arena);
    *f = (maas_folds){0};
}
