/* learn/features_build.c - inputs of a graph, and the nodes that fill gaps, scale and encode. */
#include "learn/features.h"

#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "learn/columns.h"
#include "learn/encoders.h"
#include "learn/graph_edges.h"

#include "base/ban.h"

static maas_vid cast(maas_builder *b, maas_vid x, maas_dtype to)
{
    maas_attr attr = MAAS_A_INT("to", to);
    maas_vid out = MAAS_NO_VALUE;
    return maas_b_node(b, "Cast", &attr, 1, &x, 1, &out, 1);
}

static maas_vid constants(const maas_features *fs, maas_builder *b, const char *name, float *data)
{
    maas_tensor t = maas_tensor_of(MAAS_F32, 1, &fs->n_consts, data);
    return maas_b_const(b, name, &t);
}

/* Numbers as they came -> no gaps, scaled. The constants have fixed names: an update reads them. */
static maas_vid prepare(const maas_features *fs, maas_builder *b, maas_vid x)
{
    if (fs->has_fill)
        x = maas_b_op3(b, "Where", maas_b_op1(b, "IsNaN", x),
                       constants(fs, b, "input.fill", fs->fill), x);
    if (fs->has_shift)
        x = maas_b_op2(b, "Sub", x, constants(fs, b, "input.shift", fs->shift));
    if (fs->has_scale)
        x = maas_b_op2(b, "Mul", x, constants(fs, b, "input.scale", fs->scale));
    return x;
}

/* [batch,1] category numbers -> [batch,k] zeros and ones; -1 (unknown, missing) gives all zeros. */
static maas_vid one_hot(maas_builder *b, maas_vid codes, int64_t k)
{
    AUTO_FREE int64_t *numbers = maas_calloc((size_t)k, sizeof *numbers);
    if (!numbers) {
        if (b->status == MAAS_OK)
            b->status = maas_fail(b->err, MAAS_E_NOMEM, "%lld categories", (long long)k);
        return MAAS_NO_VALUE;
    }
    for (int64_t i = 0; i < k; i++)
        numbers[i] = i;
    maas_tensor t = maas_tensor_of(MAAS_I64, 1, &k, numbers);
    return cast(b, maas_b_op2(b, "Equal", codes, maas_b_const(b, NULL, &t)), MAAS_F32);
}

static maas_vid concat(maas_builder *b, const maas_vid *in, uint32_t n)
{
    if (n == 1)
        return in[0];
    maas_attr axis = MAAS_A_INT("axis", 1);
    maas_vid out = MAAS_NO_VALUE;
    return maas_b_node(b, "Concat", &axis, 1, in, n, &out, 1);
}

static void fail(maas_builder *b, const maas_column *c, maas_status st, const char *why)
{
    if (b->status == MAAS_OK)
        b->status = maas_fail(b->err, st, "column '%s' %s", c->name, why);
}

/* One of the raw inputs, in their order; of the nodes of a graph it is a constant. */
static maas_vid raw_input(maas_net *net, uint32_t k, const char *name, maas_dtype t, int rank,
                          const int64_t *dims)
{
    if (!net->edges)
        return maas_b_input(&net->b, name, t, rank, dims);
    int64_t all[MAAS_MAX_RANK];
    memcpy(all, dims, (size_t)rank * sizeof *all);
    all[0] = net->edges->n_nodes;
    const maas_tensor cells = maas_tensor_of(t, rank, all, net->edges->cells[k]);
    return maas_b_const(&net->b, NULL, &cells);
}

/* Form of the numbers; 0: refused. */
static int block_dims(const maas_features *fs, maas_builder *b, int64_t batch, int64_t *dims)
{
    dims[0] = batch;
    dims[1] = fs->n_numbers;
    if (fs->layout != MAAS_LAYOUT_TENSOR)
        return 2;
    const maas_column *c = &fs->f[0].col->desc;
    if (c->rank + 1 > MAAS_MAX_RANK) {
        fail(b, c, MAAS_E_UNSUPPORTED, "has too many dimensions a row");
        return 0;
    }
    memcpy(dims + 1, c->dims, (size_t)c->rank * sizeof *dims);
    return c->rank + 1;
}

static maas_vid block_input(const maas_features *fs, maas_builder *b, int64_t batch, maas_dtype t)
{
    int64_t dims[MAAS_MAX_RANK + 1];
    const int rank = block_dims(fs, b, batch, dims);
    return rank ? maas_b_input(b, "x", t, rank, dims) : MAAS_NO_VALUE;
}

maas_vid maas_features_build_raw(const maas_features *fs, maas_net *net)
{
    maas_builder *b = &net->b;
    AUTO_FREE maas_vid *parts = maas_calloc(fs->n + 1, sizeof *parts);
    if (!parts) {
        maas_net_fail(net, MAAS_E_NOMEM, "%u columns", fs->n);
        return MAAS_NO_VALUE;
    }
    uint32_t n = 0, k = 0;
    if (fs->n_numbers) {
        int64_t dims[MAAS_MAX_RANK + 1];
        const int rank = block_dims(fs, b, net->batch, dims);
        if (!rank)
            return MAAS_NO_VALUE;
        maas_vid x = raw_input(net, k++, "x", fs->raw, rank, dims);
        parts[n++] = prepare(fs, b, fs->raw == MAAS_F32 ? x : cast(b, x, MAAS_F32));
    }
    for (uint32_t i = 0; i < fs->n; i++) {
        if (!fs->f[i].is_text)
            continue;
        if (fs->f[i].encoder) { /* its cells come ready */
            parts[n++] = raw_input(net, k++, NULL, MAAS_F32, 2,
                                   (int64_t[]){net->batch, fs->f[i].width});
            continue;
        }
        maas_vid codes = raw_input(net, k++, NULL, MAAS_I64, 2, (int64_t[]){net->batch, 1});
        parts[n++] = one_hot(b, codes, fs->f[i].n_categories);
    }
    return concat(b, parts, n);
}

/* A category -> its number or bucket, -1 unknown: [batch, 1]. */
static maas_vid category_code(const maas_feature *f, maas_builder *b, maas_vid in)
{
    const int64_t n = f->n_categories;
    if (f->hashed && f->is_whole)
        return maas_b_op2(b, "Mod", in, maas_b_i64(b, n));
    if (f->hashed) {
        const maas_attr buckets = MAAS_A_INT("n_buckets", n);
        return maas_b_node(b, "TextBucket", &buckets, 1, &in, 1, NULL, 1);
    }
    AUTO_FREE int64_t *codes = maas_calloc((size_t)n, sizeof *codes);
    if (!codes) {
        fail(b, &f->col->desc, MAAS_E_NOMEM, "and its categories");
        return MAAS_NO_VALUE;
    }
    for (int64_t i = 0; i < n; i++)
        codes[i] = i;
    const maas_attr attr[3] = {
        f->is_whole ? MAAS_A_INTS("keys_int64s", f->numbers, n)
                    : (maas_attr){.name = "keys_strings",
                                  .type = MAAS_ATTR_STRINGS,
                                  .n = (uint32_t)n,
                                  .u.strings = f->categories},
        MAAS_A_INTS("values_int64s", codes, n),
        MAAS_A_INT("default_int64", -1),
    };
    return maas_b_node(b, "LabelEncoder", attr, 3, &in, 1, NULL, 1);
}

/* Numbers of some of the columns. */
static maas_vid some_numbers(maas_builder *b, maas_vid all, const int64_t *at, int64_t n)
{
    const maas_attr axis = MAAS_A_INT("axis", 1);
    const maas_vid in[2] = {all, maas_b_i64s(b, at, (int)n)};
    return maas_b_node(b, "Gather", &axis, 1, in, 2, NULL, 1);
}

/* Codes side by side, each moved to the rows of its table: behind the tables before it, and behind
 * its own row for what is unknown. A tower has its own tables. */
static void place_tower(const maas_features *fs, maas_net *net, const maas_vid *codes,
                        maas_vid numbers, int tower)
{
    maas_net_fields *to = &net->fields[tower];
    AUTO_FREE int64_t *starts = maas_calloc(fs->n + 1u, sizeof *starts);
    AUTO_FREE int64_t *places = maas_calloc(fs->n + 1u, sizeof *places);
    AUTO_FREE maas_vid *its = maas_calloc(fs->n + 1u, sizeof *its);
    if (!starts || !places || !its) {
        maas_net_fail(net, MAAS_E_NOMEM, "%u columns", fs->n);
        return;
    }
    for (uint32_t i = 0, n_codes = 0, n_numbers = 0; i < fs->n; i++) {
        const maas_feature *f = &fs->f[i];
        const uint32_t at = f->is_text ? n_codes++ : n_numbers++;
        if (tower != MAAS_TOWER_ALL && f->tower != tower)
            continue;
        if (!f->is_text) {
            places[to->n_numbers++] = at;
            continue;
        }
        its[to->n_ids] = codes[at];
        starts[to->n_ids++] = to->n_rows + 1;
        to->n_rows += f->n_categories + 1;
    }
    const maas_tensor t = maas_tensor_of(MAAS_I64, 1, &to->n_ids, starts);
    if (to->n_ids)
        to->ids = maas_b_op2(&net->b, "Add", concat(&net->b, its, (uint32_t)to->n_ids),
                             maas_b_const(&net->b, NULL, &t));
    if (to->n_numbers)
        to->numbers = to->n_numbers == fs->n_numbers
                          ? numbers
                          : some_numbers(&net->b, numbers, places, to->n_numbers);
}

static void place_fields(const maas_features *fs, maas_net *net, const maas_vid *codes,
                         maas_vid numbers)
{
    for (int tower = 0; tower < MAAS_N_TOWERS; tower++) {
        net->fields[tower] = (maas_net_fields){.ids = MAAS_NO_VALUE, .numbers = MAAS_NO_VALUE};
        if (maas_layers_read_tower(net->recipe, tower))
            place_tower(fs, net, codes, numbers, tower);
    }
}

maas_vid maas_features_build_fields(const maas_features *fs, maas_net *net, bool export)
{
    maas_builder *b = &net->b;
    AUTO_FREE maas_vid *numbers = maas_calloc(fs->n + 1, sizeof *numbers);
    AUTO_FREE maas_vid *codes = maas_calloc(fs->n + 1, sizeof *codes);
    if (!numbers || !codes) {
        maas_net_fail(net, MAAS_E_NOMEM, "%u columns", fs->n);
        return MAAS_NO_VALUE;
    }
    const bool block = !export || fs->layout != MAAS_LAYOUT_MIXED; /* numbers come in one input */
    uint32_t n_numbers = 0, n_codes = 0;
    if (block && fs->n_numbers)
        numbers[n_numbers++] = block_input(fs, b, net->batch, fs->raw);
    for (uint32_t i = 0; i < fs->n; i++) {
        const maas_feature *f = &fs->f[i];
        if (!f->is_text && block)
            continue;
        const bool text = export && f->is_text && !f->is_whole;
        maas_vid in = maas_b_input(b, export ? f->input : NULL,
                                   text         ? MAAS_STRING
                                   : f->is_text ? MAAS_I64
                                                : MAAS_F32,
                                   2, (int64_t[]){net->batch, 1});
        *(f->is_text ? &codes[n_codes++] : &numbers[n_numbers++]) = in;
    }
    for (uint32_t i = 0, k = 0; export && i < fs->n; i++)
        if (fs->f[i].is_text) {
            codes[k] = category_code(&fs->f[i], b, codes[k]);
            k++;
        }
    const maas_vid all = n_numbers ? prepare(fs, b, concat(b, numbers, n_numbers)) : MAAS_NO_VALUE;
    place_fields(fs, net, codes, all);
    return all;
}

/* Text -> the number of its category; unknown: -1, or NaN where the learner wants numbers. */
static maas_vid encode_text(const maas_features *fs, const maas_feature *f, maas_builder *b,
                            maas_vid text)
{
    const size_t n = (size_t)f->n_categories;
    AUTO_FREE int64_t *numbers = maas_calloc(n, sizeof *numbers);
    AUTO_FREE float *floats = maas_calloc(n, sizeof *floats);
    if (!numbers || !floats) {
        fail(b, &f->col->desc, MAAS_E_NOMEM, "and its categories");
        return MAAS_NO_VALUE;
    }
    for (size_t i = 0; i < n; i++) {
        numbers[i] = (int64_t)i;
        floats[i] = (float)i;
    }
    maas_attr attr[3] = {
        {.name = "keys_strings",
         .type = MAAS_ATTR_STRINGS,
         .n = (uint32_t)f->n_categories,
         .u.strings = f->categories},
        MAAS_A_INTS("values_int64s", numbers, f->n_categories),
        MAAS_A_INT("default_int64", -1),
    };
    if (fs->opts.codes) {
        attr[1] = (maas_attr){.name = "values_floats",
                              .type = MAAS_ATTR_FLOATS,
                              .n = (uint32_t)f->n_categories,
                              .u.floats = floats};
        attr[2] = MAAS_A_FLOAT("default_float", NAN);
    }
    maas_vid codes = MAAS_NO_VALUE;
    codes = maas_b_node(b, "LabelEncoder", attr, 3, &text, 1, &codes, 1);
    return fs->opts.codes ? codes : one_hot(b, codes, f->n_categories);
}

static maas_vid export_mixed(const maas_features *fs, maas_builder *b, int64_t batch, maas_vid *in,
                             maas_vid *parts)
{
    uint32_t n_numbers = 0, n = 0;
    for (uint32_t i = 0; i < fs->n; i++) /* all inputs first, in column order */
        in[i] = maas_b_input(b, fs->f[i].input, fs->f[i].is_text ? MAAS_STRING : MAAS_F32, 2,
                             (int64_t[]){batch, 1});
    for (uint32_t i = 0; i < fs->n; i++)
        if (!fs->f[i].is_text)
            parts[n_numbers++] = in[i];
    if (n_numbers) {
        parts[0] = prepare(fs, b, concat(b, parts, n_numbers));
        n = 1;
    }
    for (uint32_t i = 0; i < fs->n; i++)
        if (fs->f[i].is_text)
            parts[n++] = fs->f[i].encoder ? maas_encoder_build(&fs->f[i], b, in[i])
                                          : encode_text(fs, &fs->f[i], b, in[i]);
    return concat(b, parts, n);
}

maas_vid maas_features_build_export(const maas_features *fs, maas_builder *b, int64_t batch)
{
    if (fs->layout != MAAS_LAYOUT_MIXED)
        return prepare(fs, b, block_input(fs, b, batch, MAAS_F32));
    AUTO_FREE maas_vid *in = maas_calloc(fs->n + 1, sizeof *in);
    AUTO_FREE maas_vid *parts = maas_calloc(fs->n + 1, sizeof *parts);
    if (!in || !parts) {
        fail(b, &fs->f[0].col->desc, MAAS_E_NOMEM, "as an input");
        return MAAS_NO_VALUE;
    }
    return export_mixed(fs, b, batch, in, parts);
}

static json_t *categories_json(const maas_feature *f)
{
    AUTO(maas_json_unref) json_t *list = json_array();
    for (int64_t i = 0; list && i < f->n_categories; i++)
        if (json_array_append_new(list, f->is_whole
                                            ? json_integer(f->numbers[i])
                                            : json_stringn(f->categories[i].p, f->categories[i].n)))
            return NULL;
    return STEAL(list);
}

json_t *maas_features_json(const maas_features *fs)
{
    AUTO(maas_json_unref) json_t *list = json_array();
    for (uint32_t i = 0; list && i < fs->n; i++) {
        const maas_feature *f = &fs->f[i];
        const maas_column *c = &f->col->desc;
        AUTO(maas_json_unref) json_t *shape = json_array();
        for (int k = 0; shape && k < c->rank; k++)
            if (json_array_append_new(shape, json_integer(c->dims[k])))
                return NULL;
        json_t *o = json_pack("{s:s, s:s, s:s, s:O}", "name", c->name, "input",
                              fs->layout == MAAS_LAYOUT_MIXED   ? f->input
                              : fs->layout == MAAS_LAYOUT_NAMED ? c->name
                                                                : "x",
                              "dtype", maas_dtype_describe(c->dtype)->onnx, "shape", shape);
        if (o && f->hashed &&
            json_object_set_new(o, "hash_buckets", json_integer(f->n_categories))) {
            json_decref(o);
            return NULL;
        }
        const bool listed = f->is_text && !f->hashed && (!f->encoder || f->encoder->categories);
        if (o && f->encoder && json_object_set_new(o, "encoding", json_string(f->encoder->name))) {
            json_decref(o);
            return NULL;
        }
        if (o && listed && json_object_set_new(o, "categories", categories_json(f))) {
            json_decref(o);
            return NULL;
        }
        if (json_array_append_new(list, o))
            return NULL;
    }
    return STEAL(list);
}
