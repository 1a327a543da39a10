/*
 * jobs/import_child.c - inside the sandbox: foreign bytes in, canonical artifact or rows out.
 * Everything it needs is opened before the door is locked; its verdict goes through `control`.
 */
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sys.h"
#include "formats/image_recipe.h"
#include "formats/members.h"
#include "formats/model.h"
#include "formats/onnx.h"
#include "formats/weights.h"
#include "jobs/helper_proc.h"
#include "jobs/row_stream.h"
#include "lm/encoder.h"
#include "lm/tokenizer.h"
#include "base/ban.h"

typedef struct import {
    const json_t *spec;
    maas_lm_files files;
    maas_members members; /* the same, of what is no language model */
    maas_span first;
    maas_weights weights;
    int out;
    maas_budget budget;
} import;

static const char *spec_text(const import *m, const char *key)
{
    return json_string_value(json_object_get(m->spec, key));
}

/* What is told of a language model: what goes in and out, and its numbers. */
static json_t *told(const maas_encoder_info *e, bool encodes, const char *format, maas_str name)
{
    const maas_lm_info *i = &e->lm;
    const bool ranks = encodes && e->pooling == MAAS_POOL_RANK;
    json_t *meta = json_pack("{s:s, s:s%, s:s, s:i, s:i, s:i, s:i, s:i}", "architecture", i->arch,
                             "name", name.p, name.n < 200 ? name.n : (size_t)200, "kind",
                             ranks     ? "reranker"
                             : encodes ? "encoder"
                                       : "language model",
                             "layers", i->n_layers, "context", i->n_context_train, "vocabulary",
                             i->n_vocab, "heads", i->n_heads, "embedding", i->n_embd);
    if (encodes)
        json_object_set_new(meta, "pooling", json_string(maas_pooling_name(e->pooling)));
    return json_pack("{s:s, s:s, s:[{s:s, s:s, s:[i]}], s:[{s:s, s:s, s:[i]}], s:{s:[], s:I, s:I, "
                     "s:o}}",
                     "format", format, "source", format, "inputs", "name", "text_input", "datatype",
                     "BYTES", "shape", 1, "outputs", "name",
                     ranks     ? "score"
                     : encodes ? "embedding"
                               : "text_output",
                     "datatype", encodes ? "FP32" : "BYTES", "shape", encodes ? e->n_out : 1,
                     "info", "layers", "parameters", (json_int_t)i->n_params, "bytes",
                     (json_int_t)i->weight_bytes, "meta", meta);
}

/* A language model stays as it is: everything in it is looked at here, and again where it is
 * loaded. */
static maas_status check_language_model(import *m, json_t **result, maas_err *err)
{
    maas_lm_source *s = NULL;
    maas_tokenizer *t = NULL;
    maas_encoder_info i = {0};
    maas_str name = {"", 0};
    const uint32_t n = json_object_get(m->spec, "paths") ? m->files.n : 1;
    MAAS_TRY(maas_lm_source_open(m->files.list, n, &m->budget, &s, err));
    const bool encodes = maas_encoder_is(s);
    maas_status st = encodes ? maas_encoder_check(s, &i, err) : maas_lm_check(s, &i.lm, err);
    if (st == MAAS_OK)
        st = maas_tokenizer_create(s, &m->budget, &t, err);
    if (st == MAAS_OK && maas_tokenizer_n(t) > i.lm.n_vocab)
        st = maas_fail(err, MAAS_E_FORMAT, "%d tokens have names, the model knows %d",
                       maas_tokenizer_n(t), i.lm.n_vocab);
    if (st == MAAS_OK) {
        maas_lm_str(s, "general.name", &name);
        *result = told(&i, encodes, maas_lm_source_format(s), name);
        if (!*result)
            st = maas_fail(err, MAAS_E_FORMAT, "its name is no UTF-8");
    }
    maas_tokenizer_destroy(t);
    maas_lm_source_close(s);
    return st;
}

/* The files of the upload, by name. */
static maas_status list_members(import *m, maas_err *err)
{
    const json_t *names = json_object_get(m->spec, "members");
    maas_members *out = &m->members;
    out->n = m->files.n;
    out->list = maas_calloc(out->n + 1, sizeof *out->list);
    if (!out->list)
        return maas_fail(err, MAAS_E_NOMEM, "memory for an import");
    for (uint32_t i = 0; i < out->n; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        out->list[i] = (maas_member){name ? name : "", m->files.list[i].bytes, false};
    }
    return MAAS_OK;
}

/* Constants of the graph point into the files and into m->weights, which therefore stay. */
static maas_status read_graph(import *m, const maas_model_format *format, maas_graph **out,
                              maas_err *err)
{
    maas_onnx_opts o = {
        .budget = &m->budget, .external = maas_members_external, .user = &m->members};
    const char *weights = spec_text(m, "weights");
    MAAS_TRY(list_members(m, err));
    if (weights && !format->read_with)
        return maas_fail(err, MAAS_E_INVALID, "weights go with an ONNX model, this is one of %s",
                         format->name);
    if (!format->read_with)
        return format->read(m->first, &m->budget, out, err);
    maas_member *file = weights ? maas_members_find(&m->members, weights) : NULL;
    maas_status st = MAAS_OK;
    if (file) {
        file->used = true;
        o.weight = maas_weights_give;
        o.weights = &m->weights;
        st = maas_weights_open(file->bytes, &m->budget, &m->weights, err);
    }
    if (file && st != MAAS_OK)
        maas_err_prefix(err, "weights '%.80s'", weights);
    if (st == MAAS_OK)
        st = format->read_with(m->first, &o, out, err);
    return file && st == MAAS_OK ? maas_weights_done(&m->weights, err) : st;
}

static json_t *used_of(const maas_members *m)
{
    json_t *list = json_array();
    for (uint32_t i = 1; i < m->n; i++)
        if (m->list[i].used)
            json_array_append_new(list, json_string(m->list[i].path));
    return list;
}

static maas_status import_model(import *m, json_t **result, maas_err *err)
{
    const maas_model_format *format;
    maas_graph *g = NULL;
    const maas_span file = m->first;
    AUTO(maas_buf_reset) maas_buf artifact = MAAS_BUF_INIT(m->budget.limit);
    const char *name = spec_text(m, "format");
    if (json_object_get(m->spec, "paths") ||
        (name ? strcmp(name, "gguf") == 0 : maas_gguf_is(file)))
        return check_language_model(m, result, err);
    MAAS_TRY(maas_model_format_find(file, spec_text(m, "format"), &format, err));
    maas_status st = read_graph(m, format, &g, err);
    if (st == MAAS_OK)
        st = g->n_outputs && g->n_inputs
                 ? maas_image_recipe_apply(g, json_object_get(m->spec, "image_recipe"),
                                           json_object_get(m->spec, "labels"), err)
                 : maas_fail(err, MAAS_E_FORMAT, "the model has no inputs or no outputs");
    if (st == MAAS_OK)
        st = maas_onnx_write(g, NULL, NULL, &artifact, err);
    if (st == MAAS_OK && artifact.failed)
        st = maas_fail(err, MAAS_E_NOMEM, "the model does not fit the memory of the importer");
    if (st == MAAS_OK)
        st = maas_sys_write(m->out, artifact.p, artifact.n, err);
    if (st == MAAS_OK)
        *result = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "format", "onnx", "source",
                            format->name, "inputs", maas_model_ports(g, g->inputs, g->n_inputs),
                            "outputs", maas_model_ports(g, g->outputs, g->n_outputs), "info",
                            maas_model_info(g), "used", used_of(&m->members));
    maas_graph_destroy(g);
    return st;
}

static maas_status import_table(import *m, json_t **result, maas_err *err)
{
    maas_table_opts o = MAAS_TABLE_OPTS_INIT;
    const json_t *options = json_object_get(m->spec, "options");
    const json_t *header = json_object_get(options, "header");
    const char *delimiter = json_string_value(json_object_get(options, "delimiter"));
    o.column_name = spec_text(m, "column_name");
    o.types = json_object_get(options, "types");
    o.header = header ? json_is_true(header) : -1;
    o.delimiter = delimiter ? delimiter[0] : 0;
    o.budget = &m->budget;
    maas_row_writer w;
    maas_row_writer_init(&w, m->out);
    maas_table_sink sink = maas_row_writer_sink(&w);
    maas_status st = maas_table_read(m->first, spec_text(m, "format"), spec_text(m, "file_name"),
                                     &o, &sink, err);
    maas_row_writer_reset(&w);
    *result = json_object();
    return st;
}

typedef maas_status (*import_fn)(import *m, json_t **result, maas_err *err);
static const import_fn importers[] = {
    [MAAS_CHILD_IMPORT_MODEL] = import_model,
    [MAAS_CHILD_IMPORT_TABLE] = import_table,
};

/* Mapped before the door is locked: what stays open are its three descriptors. */
static maas_status map_files(import *m, const int *in, int n, maas_err *err)
{
    const json_t *paths = json_object_get(m->spec, "paths");
    if (paths && json_array_size(paths) != (size_t)n)
        return maas_fail(err, MAAS_E_INTERNAL, "an import of %d files with other names", n);
    for (int i = 0; i < n; i++) {
        const char *path = json_string_value(json_array_get(paths, (size_t)i));
        MAAS_TRY(maas_lm_files_add(&m->files, path ? path : "model.gguf", in[i], err));
    }
    m->first = m->files.list[0].bytes;
    return MAAS_OK;
}

void maas_import_child(const maas_wire_order *o, int control, int out, const int *in, int n)
{
    maas_err err = {0};
    json_t *spec = NULL, *result = NULL, *answer = NULL;
    const int keep[] = {control, out, 2};
import m = {.out = out, .budget.limit = o->limits.memory_bytes / 2 };
    maas_status st = o->kind < MAAS_COUNT(importers)
                         ? maas_wire_get_json(control, -1, &spec, &err)
                         : maas_fail(&err, MAAS_E_INTERNAL, "an unknown kind of import");
    if (st == MAAS_OK)
        m.spec = spec, st = map_files(&m, in, n, &err);
    if (st == MAAS_OK)
        st = maas_sandbox_enter(keep, (int)MAAS_COUNT(keep), &o->limits, &err);
    if (st == MAAS_OK)
        st = importers[o->kind](&m, &result, &err);
    answer = st == MAAS_OK ? json_pack("{s:i, s:o}", "status", 0, "result", result)
                           : json_pack("{s:i, s:s}", "status", (int)st, "message", err.msg);
    if (answer)
        maas_wire_put_json(control, answer, NULL);
    json_decref(answer);
    json_decref(spec);
    maas_weights_reset(&m.weights);
    maas_free(m.members.list);
    maas_lm_files_reset(&m.files);
}
