/*
 * pandas_categorical:[["red", "green"], [1, 5, 7]] - what the codes of a DataFrame's columns of
 * categories stand for, in the order of those columns. The line does not say which columns they
 * are: those whose feature_infos list codes (-1:0:2:1) instead of a range ([0:1]). When the two do
 * not agree in number and size, the model takes codes.
 */
#include <math.h>

#include "formats/lightgbm/lightgbm_int.h"

#include "base/mem.h"
#include "base/num.h"
#include "base/ban.h"

typedef struct lists {
    maas_arena *arena;
    maas_boost_codes *of;     /* [n_features] */
    int32_t n_features, next; /* features from here on have no list yet */
    maas_span infos;
    maas_numbers numbers; /* F32, of one list */
    maas_str *text;
    size_t n_text, cap_text;
} lists;

static maas_status read_item(void *ctx, maas_doc *d, maas_err *err)
{
    lists *l = ctx;
    double v;
    if (*d->json.rest.p != '"') {
        MAAS_TRY(maas_doc_f64(d, &v, err));
        if ((double)(float)v != v)
            return maas_fail(err, MAAS_E_FORMAT, "a category that is no float");
        return maas_numbers_add(&l->numbers, v, err);
    }
    if (l->n_text ==
        l->cap_text) { /* the old ones stay in the arena: as long as the new together */
        size_t cap = l->cap_text ? l->cap_text * 2 : 16;
        maas_str *p = maas_arena_array(l->arena, cap, sizeof *p);
        if (!p)
            return maas_fail(err, MAAS_E_NOMEM, "%zu categories", cap);
        if (l->n_text)
            memcpy(p, l->text, l->n_text * sizeof *p);
        l->text = p;
        l->cap_text = cap;
    }
    return maas_doc_str(d, l->arena, &l->text[l->n_text++], err);
}

/* The largest code in "-1:0:2:1"; -1: this feature has no categories. */
static int64_t largest_code(maas_span info)
{
    int64_t v, most = -1;
    while (maas_num_i64(&info, &v)) {
        most = v > most ? v : most;
        if (!maas_span_skip(&info, 1))
            return most;
    }
    return -1;
}

/* The next feature with categories, and its largest code. */
static bool next_feature(lists *l, int64_t *out_most)
{
    while (l->next < l->n_features && l->infos.n) {
        maas_span info = lgb_take_word(&l->infos);
        l->next++;
        if ((*out_most = largest_code(info)) >= 0)
            return true;
    }
    return false;
}

/* Numbers that are their own codes need none. */
static bool is_identity(const maas_numbers *v)
{
    for (size_t i = 0; i < v->n; i++)
        if (maas_numbers_f32(v)[i] != (float)i)
            return false;
    return true;
}

static maas_status read_list(void *ctx, maas_doc *d, maas_err *err)
{
    lists *l = ctx;
    int64_t most;
    l->numbers.n = l->n_text = l->cap_text = 0;
    l->text = NULL;
    MAAS_TRY(maas_doc_each(d, "category", read_item, l, err));
    const size_t n = l->n_text + l->numbers.n;
    if (!next_feature(l, &most) || most >= (int64_t)n || n > INT32_MAX ||
        (l->n_text && l->numbers.n))
        return maas_fail(err, MAAS_E_FORMAT, "lists that do not go with the features");
    maas_boost_codes *c = &l->of[l->next - 1];
    if (!l->n_text && is_identity(&l->numbers))
        return MAAS_OK;
    c->n = (uint32_t)n;
    c->text = l->text;
    if (!l->n_text && !(c->numbers = maas_arena_dup(l->arena, l->numbers.p, n * sizeof(float))))
        return maas_fail(err, MAAS_E_NOMEM, "%zu categories", n);
    return MAAS_OK;
}

maas_status lgb_set_codes(lgb_model *x, maas_err *err)
{
    const int32_t n = x->m.n_features;
    lists l = {.arena = &x->m.arena, .n_features = n, .infos = x->infos};
    maas_err why = {0};
    maas_doc d;
    int64_t most;
    if (!x->m.categories)
        return MAAS_OK;
    if (!(l.of = maas_arena_array(l.arena, (size_t)n, sizeof *l.of)))
        return maas_fail(err, MAAS_E_NOMEM, "%d features", n);
    maas_numbers_init(&l.numbers, MAAS_F32, x->opts->budget);
    maas_doc_init(&d, x->categories);
    maas_status st = maas_doc_each(&d, "list", read_list, &l, &why);
    maas_numbers_reset(&l.numbers);
    if (st == MAAS_E_NOMEM)
        return maas_fail(err, st, "%s", why.msg);
    if (st == MAAS_OK && !next_feature(&l, &most))
        x->m.codes = l.of;
    return MAAS_OK;
}
