/*
 * Models that were trained on a table with columns of categories: an input a column, in which
 * categories stand as they stood in the table, and the codes that the trees know are made here.
 *
 *   "age"    [n, 1] FP64  ─────────────────────────────┐
 *   "colour" [n, 1] BYTES ─ LabelEncoder: red is 2 ... ─┴─ Concat ─► x [n, n_features]
 */
#include <math.h>

#include "formats/boosted_int.h"

#include "base/mem.h"
#include "base/ban.h"

bool boosted_has_columns(const maas_boosted *m)
{
    bool any = false;
    for (int32_t i = 0; m->codes && i < m->n_features; i++)
        any |= m->codes[i].n > 0;
    return any && m->feature_names && m->n_features <= (int32_t)MAAS_MAX_NODE_IO;
}

/* Codes as floats: exact up to 2^24, beyond which no maker goes. */
static maas_vid encode(maas_builder *b, const maas_boost_codes *c, maas_vid v, float *values)
{
    const maas_attr numbers = {
        .name = "keys_floats", .type = MAAS_ATTR_FLOATS, .n = c->n, .u.floats = c->numbers};
    const maas_attr text = {
        .name = "keys_strings", .type = MAAS_ATTR_STRINGS, .n = c->n, .u.strings = c->text};
    const maas_attr attrs[] = {
        c->text ? text : numbers,
        {.name = "values_floats", .type = MAAS_ATTR_FLOATS, .n = c->n, .u.floats = values},
        MAAS_A_FLOAT("default_float", NAN)};
    for (uint32_t i = 0; i < c->n; i++)
        values[i] = (float)i;
    return maas_b_node(b, "LabelEncoder", attrs, 3, &v, 1, NULL, 1);
}

static maas_vid column(const maas_boosted *m, maas_builder *b, int32_t i, const int64_t *dims,
                       float *values)
{
    const maas_boost_codes *c = &m->codes[i];
    const maas_str name = m->feature_names[i];
    char *text = maas_arena_strndup(&b->g->arena, name.p, name.n);
    if (!text && b->status == MAAS_OK)
        b->status = maas_fail(b->err, MAAS_E_NOMEM, "names of columns");
    maas_vid v = maas_b_input(b, text, c->n && c->text ? MAAS_STRING : MAAS_F64, 2, dims);
    if (c->n)
        v = encode(b, c, c->text ? v : boosted_cast(b, v, MAAS_F32), values);
    return boosted_cast(b, v, m->dtype);
}

maas_vid boosted_columns(const maas_boosted *m, maas_builder *b, int64_t batch)
{
    const int64_t dims[2] = {batch, 1};
    const maas_attr axis = MAAS_A_INT("axis", 1);
    uint32_t most = 1;
    for (int32_t i = 0; i < m->n_features; i++)
        most = m->codes[i].n > most ? m->codes[i].n : most;
    maas_arena a;
    maas_arena_init(&a, b->g->arena.budget);
    maas_vid *in = maas_arena_array(&a, (size_t)m->n_features, sizeof *in), x = MAAS_NO_VALUE;
    float *values = maas_arena_array(&a, most, sizeof *values);
    if (in && values) {
        for (int32_t i = 0; i < m->n_features; i++)
            in[i] = column(m, b, i, dims, values);
        x = maas_b_node(b, "Concat", &axis, 1, in, (uint32_t)m->n_features, NULL, 1);
    } else if (b->status == MAAS_OK) {
        b->status = maas_fail(b->err, MAAS_E_NOMEM, "columns");
    }
    maas_arena_reset(&a);
    return x;
}
