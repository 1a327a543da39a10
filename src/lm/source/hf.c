/* A Hugging Face folder as keys and weights: the files, and the list of what came out of them. */
#include <string.h>

#include "base/mem.h"
#include "lm/source/hf_int.h"
#include "base/ban.h"

static const char *const wanted[] = {
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "chat_template.json",
    "model.safetensors.index.json",
    "modules.json",
    MAAS_HF_POOLING,
};

bool maas_lm_is_wanted(const char *path)
{
    static const char end[] = ".safetensors";
    const size_t n = strlen(path), k = sizeof end - 1;
    for (size_t i = 0; i < MAAS_COUNT(wanted); i++)
        if (strcmp(path, wanted[i]) == 0)
            return true;
    return n > k && strcmp(path + n - k, end) == 0 && !strchr(path, '/');
}

const maas_lm_file *maas_hf_file(const maas_hf *h, const char *path)
{
    for (uint32_t i = 0; i < h->n_files; i++)
        if (strcmp(h->files[i].path, path) == 0)
            return &h->files[i];
    return NULL;
}

bool maas_hf_is(const maas_lm_file *files, uint32_t n)
{
    const maas_hf h = {.files = files, .n_files = n};
    return maas_hf_file(&h, "config.json") != NULL;
}

maas_status maas_hf_no_memory(const maas_hf *h)
{
    return maas_fail(h->err, MAAS_E_NOMEM, "the index of a language model");
}

/* ---- keys ---- */

void *maas_hf_grown(maas_hf *h, void *rows, size_t *cap, size_t n, size_t size)
{
    if (n < *cap)
        return rows;
    const size_t more = *cap ? 2 * *cap : 64;
    void *to = maas_arena_array(h->a, more, size);
    if (!to)
        return NULL;
    if (n)
        memcpy(to, rows, n * size);
    *cap = more;
    return to;
}

static maas_status put(maas_hf *h, const char *key, maas_gguf_value v)
{
    maas_gguf_value *to = maas_hf_grown(h, h->out->values, &h->cap_values, h->out->n_values,
                                        sizeof *to);
    const char *name = strncmp(key, "%s.", 3) == 0
                           ? maas_arena_printf(h->a, "%s%s", h->arch->gguf, key + 2)
                           : maas_arena_strdup(h->a, key);
    if (!to || !name)
        return maas_hf_no_memory(h);
    v.key = (maas_str){name, strlen(name)};
    h->out->values = to;
    to[h->out->n_values++] = v;
    return MAAS_OK;
}

static maas_status put_number(maas_hf *h, const char *key, maas_gguf_type type, const void *v,
                              size_t n)
{
    const uint8_t *data = maas_arena_dup(h->a, v, n);
    if (!data)
        return maas_hf_no_memory(h);
    return put(h, key,
               (maas_gguf_value){.type = (uint8_t)type, .of = (uint8_t)type, .n = 1, .data = data});
}

maas_status maas_hf_put_u64(maas_hf *h, const char *key, uint64_t v)
{
    return put_number(h, key, MAAS_GGUF_U64, &v, sizeof v);
}

maas_status maas_hf_put_f64(maas_hf *h, const char *key, double v)
{
    return put_number(h, key, MAAS_GGUF_F64, &v, sizeof v);
}

maas_status maas_hf_put_bool(maas_hf *h, const char *key, bool v)
{
    const uint8_t byte = v;
    return put_number(h, key, MAAS_GGUF_BOOL, &byte, sizeof byte);
}

maas_status maas_hf_put_strs(maas_hf *h, const char *key, const maas_str *v, uint64_t n)
{
    return put(
        h, key,
        (maas_gguf_value){.type = MAAS_GGUF_ARRAY, .of = MAAS_GGUF_STRING, .n = n, .strings = v});
}

maas_status maas_hf_put_str(maas_hf *h, const char *key, maas_str v)
{
    const maas_str *copy = maas_arena_dup(h->a, &v, sizeof v);
    if (!copy)
        return maas_hf_no_memory(h);
    return put(h, key,
               (maas_gguf_value){
                   .type = MAAS_GGUF_STRING, .of = MAAS_GGUF_STRING, .n = 1, .strings = copy});
}

maas_status maas_hf_put_text(maas_hf *h, const char *key, const char *v)
{
    const char *copy = maas_arena_strdup(h->a, v);
    return copy ? maas_hf_put_str(h, key, (maas_str){copy, strlen(copy)}) : maas_hf_no_memory(h);
}

maas_status maas_hf_put_numbers(maas_hf *h, const char *key, maas_gguf_type of, const void *v,
                                uint64_t n)
{
    return put(h, key,
               (maas_gguf_value){.type = MAAS_GGUF_ARRAY, .of = (uint8_t)of, .n = n, .data = v});
}

maas_status maas_hf_put_tensor(maas_hf *h, const maas_gguf_tensor *t)
{
    maas_gguf_tensor *to = maas_hf_grown(h, h->out->tensors, &h->cap_tensors, h->out->n_tensors,
                                         sizeof *to);
    if (!to)
        return maas_hf_no_memory(h);
    if (h->out->n_tensors == MAAS_MAX_GGUF_TENSORS)
        return maas_fail(h->err, MAAS_E_TOO_LARGE, "more than %u weights", MAAS_MAX_GGUF_TENSORS);
    h->out->tensors = to;
    to[h->out->n_tensors++] = *t;
    return MAAS_OK;
}

/* ---- files ---- */

static maas_status malformed(const maas_hf *h, const char *path, const maas_json_scan *s)
{
    if (s->err.code != MAAS_OK)
        return maas_fail(h->err, MAAS_E_FORMAT, "%s is %s", path, s->err.msg);
    return maas_fail(h->err, MAAS_E_FORMAT, "%s must be an object whose members come once", path);
}

maas_status maas_hf_find_parts(const maas_hf *h, const char *path, maas_span text,
                               maas_hf_part *parts, size_t n)
{
    maas_json_scan s;
    maas_json_kind k;
    maas_json_scan_init(&s, text);
    if (maas_json_next(&s) != MAAS_JSON_OBJECT)
        return malformed(h, path, &s);
    while ((k = maas_json_next(&s)) == MAAS_JSON_KEY) {
        maas_hf_part *to = NULL;
        for (size_t i = 0; i < n; i++)
            if (maas_span_is(s.text, parts[i].key))
                to = &parts[i];
        maas_json_at_value(&s);
        const maas_span from = s.rest;
        if ((to && to->text.n) || !maas_json_skip(&s))
            return malformed(h, path, &s);
        if (to)
            to->text = maas_span_of(from.p, from.n - s.rest.n);
    }
    if (k != MAAS_JSON_CLOSE || maas_json_next(&s) != MAAS_JSON_END)
        return malformed(h, path, &s);
    return MAAS_OK;
}

/* What is read of tokenizer_config.json, which has numbers in it that are too large for any type.
 */
static maas_status read_tokenizer_config(maas_hf *h)
{
    static const char path[] = "tokenizer_config.json";
    const maas_lm_file *f = maas_hf_file(h, path);
    maas_hf_part parts[] = {
        {"bos_token", {0}}, {"eos_token", {0}}, {"pad_token", {0}}, {"chat_template", {0}}};
    maas_err why = {0};
    if (!f)
        return MAAS_OK;
    if (f->bytes.n > 4 * (size_t)MAAS_MAX_HF_CONFIG)
        return maas_fail(h->err, MAAS_E_TOO_LARGE, "%s has %zu bytes", path, f->bytes.n);
    MAAS_TRY(maas_hf_find_parts(h, path, f->bytes, parts, MAAS_COUNT(parts)));
    h->tokenizer = json_object();
    for (size_t i = 0; i < MAAS_COUNT(parts); i++) {
        json_t *v = NULL;
        if (!parts[i].text.n)
            continue;
        if (maas_json_parse(parts[i].text, &v, &why) != MAAS_OK)
            return maas_fail(h->err, MAAS_E_FORMAT, "%s: '%s': %s", path, parts[i].key, why.msg);
        if (json_object_set_new(h->tokenizer, parts[i].key, v) != 0)
            return maas_hf_no_memory(h);
    }
    return MAAS_OK;
}

/* Python writes Infinity, which is no JSON: "inf" in its place, a number nowhere. */
static maas_status name_infinities(maas_hf *h, maas_span *text)
{
    static const char *const words[][2] = {{"Infinity", "\"inf\"   "},
                                           {"-Infinity", "\"-inf\"   "}};
    const maas_span from = *text;
    maas_json_scan s;
    maas_json_kind k;
    uint8_t *to = NULL;
    maas_json_scan_init(&s, from);
    s.nonfinite = true;
    while ((k = maas_json_next(&s)) != MAAS_JSON_END && k != MAAS_JSON_ERROR)
        for (size_t i = 0; k == MAAS_JSON_NONFINITE && i < MAAS_COUNT(words); i++) {
            if (!maas_span_is(s.text, words[i][0]))
                continue;
            if (!to) {
                to = maas_arena_alloc(h->a, from.n);
                if (!to)
                    return maas_hf_no_memory(h);
                memcpy(to, from.p, from.n);
                *text = maas_span_of(to, from.n);
            }
            memcpy(to + (s.text.p - from.p), words[i][1], s.text.n);
        }
    return MAAS_OK;
}

/* A JSON object (or list) of a file; *out NULL: the file is not there. */
maas_status maas_hf_read_json(maas_hf *h, const char *path, json_t **out)
{
    const maas_lm_file *f = maas_hf_file(h, path);
    *out = NULL;
    if (!f)
        return MAAS_OK;
    if (f->bytes.n > MAAS_MAX_HF_CONFIG)
        return maas_fail(h->err, MAAS_E_TOO_LARGE, "%s has %zu bytes, at most %u are read", path,
                         f->bytes.n, MAAS_MAX_HF_CONFIG);
    maas_err why = {0};
    maas_span text = f->bytes;
    MAAS_TRY(name_infinities(h, &text));
    const maas_status st = maas_json_parse(text, out, &why);
    if (st != MAAS_OK)
        return maas_fail(h->err, st == MAAS_E_INVALID ? MAAS_E_FORMAT : st, "%s: %s", path,
                         why.msg);
    if (!json_is_object(*out) && !json_is_array(*out))
        return maas_fail(h->err, MAAS_E_FORMAT, "%s must be an object", path);
    return MAAS_OK;
}

/* The template that answers are made with, when there are several by name. */
static const json_t *default_template(const json_t *list)
{
    const json_t *first = NULL;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *t = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(t, "name"));
        first = first ? first : json_object_get(t, "template");
        if (name && strcmp(name, "default") == 0)
            return json_object_get(t, "template");
    }
    return first;
}

/* chat_template.jinja goes before chat_template.json, and that before tokenizer_config.json. */
static maas_status read_template(maas_hf *h)
{
    static const char key[] = "tokenizer.chat_template";
    const maas_lm_file *f = maas_hf_file(h, "chat_template.jinja");
    AUTO(maas_json_unref) json_t *own = NULL;
    if (f && f->bytes.n > MAAS_MAX_HF_CONFIG)
        return maas_fail(h->err, MAAS_E_TOO_LARGE, "chat_template.jinja has %zu bytes", f->bytes.n);
    if (f)
        return maas_hf_put_str(h, key, (maas_str){(const char *)f->bytes.p, f->bytes.n});
    MAAS_TRY(maas_hf_read_json(h, "chat_template.json", &own));
    const json_t *t = json_object_get(own ? own : h->tokenizer, "chat_template");
    t = json_is_array(t) ? default_template(t) : t;
    return json_is_string(t) ? maas_hf_put_text(h, key, json_string_value(t)) : MAAS_OK;
}

/* What generation_config.json says of sampling, under GGUF's names. */
static maas_status put_sampling(maas_hf *h)
{
    static const struct {
        const char *from, *key;
    } rows[] = {{"temperature", "general.sampling.temp"},
                {"top_k", "general.sampling.top_k"},
                {"top_p", "general.sampling.top_p"},
                {"min_p", "general.sampling.min_p"},
                {"typical_p", "general.sampling.typical_p"},
                {"repetition_penalty", "general.sampling.penalty_repeat"}};
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        const json_t *v = json_object_get(h->generation, rows[i].from);
        if (json_is_number(v))
            MAAS_TRY(maas_hf_put_f64(h, rows[i].key, json_number_value(v)));
    }
    return MAAS_OK;
}

static maas_status open_all(maas_hf *h)
{
    MAAS_TRY(maas_hf_read_json(h, "config.json", &h->config));
    MAAS_TRY(maas_hf_read_json(h, "generation_config.json", &h->generation));
    MAAS_TRY(read_tokenizer_config(h));
    MAAS_TRY(maas_hf_read_config(h));
    MAAS_TRY(maas_hf_read_pooling(h));
    MAAS_TRY(read_template(h));
    MAAS_TRY(put_sampling(h));
    MAAS_TRY(maas_hf_read_weights(h));
    MAAS_TRY(maas_hf_read_tokens(h));
    return maas_gguf_index(h->out, h->a, h->err);
}

maas_status maas_hf_open(const maas_lm_file *files, uint32_t n, maas_arena *a, maas_gguf *out,
                         maas_err *err)
{
    maas_hf h = {.files = files, .n_files = n, .a = a, .err = err, .out = out};
    *out = (maas_gguf){.version = 3, .alignment = 1};
    const maas_status st = open_all(&h);
    json_decref(h.config);
    json_decref(h.generation);
    json_decref(h.tokenizer);
    return st;
}
