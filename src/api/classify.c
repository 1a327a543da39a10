#include "api/classify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/ban.h"

void maas_labels_of(const maas_instance *m, maas_labels *out)
{
    const char *text = maas_instance_meta(m, "maas.classes");
    *out = (maas_labels){0};
    if (text && maas_json_parse(maas_span_str(text), &out->list, NULL) == MAAS_OK)
        out->n = (int64_t)json_array_size(out->list);
}

void maas_labels_reset(maas_labels *l)
{
    json_decref(l->list);
    *l = (maas_labels){0};
}

const char *maas_label_text(const maas_labels *l, int64_t i, char buf[32])
{
    const json_t *j = i < l->n ? json_array_get(l->list, (size_t)i) : NULL;
    buf[0] = '\0';
    if (json_is_integer(j))
        snprintf(buf, 32, "%lld", (long long)json_integer_value(j));
    return json_is_string(j) ? json_string_value(j) : buf;
}

static int by_score(const void *a, const void *b)
{
    const maas_ranked *x = a, *y = b;
    return x->score > y->score ? -1 : x->score < y->score ? 1 : x->index < y->index ? -1 : 1;
}

maas_status maas_rank(maas_arena *a, const maas_tensor *t, bool whole, int64_t *k, int64_t *rows,
                      maas_ranked **out, maas_err *err)
{
    const int64_t n = whole && t->rank ? maas_dims_product(t->dims, 1, t->rank)
                      : t->rank        ? t->dims[t->rank - 1]
                                       : 1;
    *rows = n ? maas_n_elems(t) / n : 0;
    *k = *k < n ? *k : n;
    maas_ranked *best = maas_arena_array(a, (size_t)(*rows * *k) + 1, sizeof *best);
    maas_ranked *order = maas_arena_array(a, (size_t)n + 1, sizeof *order);
    if (!best || !order)
        return maas_fail(err, MAAS_E_NOMEM, "memory for the answer");
    for (int64_t r = 0; r < *rows; r++) {
        for (int64_t i = 0; i < n; i++)
            order[i] = (maas_ranked){maas_tensor_get(t, r * n + i), i};
        qsort(order, (size_t)n, sizeof *order, by_score);
        memcpy(best + r * *k, order, (size_t)*k * sizeof *order);
    }
    *out = best;
    return MAAS_OK;
}

maas_status maas_rank_texts(maas_arena *a, const maas_ranked *ranked, int64_t rows, int64_t k,
                            const maas_labels *l, maas_tensor *out, maas_err *err)
{
    const int64_t dims[2] = {rows, k};
    char buf[32];
    maas_str *text = maas_arena_array(a, (size_t)(rows * k) + 1, sizeof *text);
    for (int64_t i = 0; text && i < rows * k; i++) {
        const char *label = maas_label_text(l, ranked[i].index, buf);
        char *s = maas_arena_printf(a, "%f:%lld%s%s", ranked[i].score, (long long)ranked[i].index,
                                    *label ? ":" : "", label);
        if (!s)
            return maas_fail(err, MAAS_E_NOMEM, "memory for the answer");
        text[i] = (maas_str){s, strlen(s)};
    }
    *out = maas_tensor_of(MAAS_STRING, 2, dims, text);
    return text ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "memory for the answer");
}
