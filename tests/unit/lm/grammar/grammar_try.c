/* Grammars over standard input, for tests in other languages. A line {kind, text | schema, texts,
 * walks, seed} of JSON becomes a line {error} or {fits: [bool or null], walks: [texts that masks
 * led to; null: it did not end]}. */
#include <stdio.h>
#include <stdlib.h>

#include "rig.h"

static maas_grammar_kind kind_of(const char *name)
{
    static const struct {
        const char *name;
        maas_grammar_kind kind;
    } kinds[] = {
        {"gbnf", MAAS_GRAMMAR_GBNF}, {"regex", MAAS_GRAMMAR_REGEX}, {"json", MAAS_GRAMMAR_JSON}};
    for (size_t i = 0; i < MAAS_COUNT(kinds); i++)
        if (name && strcmp(name, kinds[i].name) == 0)
            return kinds[i].kind;
    return MAAS_GRAMMAR_SCHEMA;
}

static json_t *try_texts(maas_grammar *g, const json_t *texts)
{
    json_t *all = json_array(), *v;
    size_t i;
    json_array_foreach(texts, i, v)
    {
        const int fits = rig_fits(g, (maas_str){json_string_value(v), json_string_length(v)});
        json_array_append_new(all, fits < 0 ? json_null() : json_boolean(fits));
    }
    return all;
}

static json_t *try_walks(const rig *r, maas_grammar *g, json_int_t n, uint64_t seed, maas_err *err)
{
    json_t *all = json_array();
    for (json_int_t i = 0; i < n && err->code == MAAS_OK; i++) {
        maas_buf b = MAAS_BUF_INIT((size_t)1 << 20);
        const bool ended = rig_walk(r, g, seed + (uint64_t)i, 4000, &b, err);
        json_t *text = ended ? json_stringn(b.p ? b.p : "", b.n) : json_null();
        if (!text && err->code == MAAS_OK)
            maas_fail(err, MAAS_E_INTERNAL, "what was written is no UTF-8");
        json_array_append_new(all, text ? text : json_null());
        maas_buf_reset(&b);
    }
    return all;
}

static json_t *answer(const rig *r, const json_t *ask)
{
    maas_err err = {0};
    maas_grammar *g;
    const json_t *text = json_object_get(ask, "text");
    maas_grammar_part p = {.kind = kind_of(json_string_value(json_object_get(ask, "kind"))),
                           .text = {json_string_value(text), json_string_length(text)},
                           .json = json_object_get(ask, "schema")};
    const maas_grammar_spec s = {.parts = &p, .n_parts = 1};
    if (maas_grammar_create(&s, r->vocab, NULL, &g, &err) != MAAS_OK)
        return json_pack("{s:s}", "error", err.msg);
    json_t *fits = try_texts(g, json_object_get(ask, "texts"));
    json_t *walks = try_walks(r, g, json_integer_value(json_object_get(ask, "walks")),
                              (uint64_t)json_integer_value(json_object_get(ask, "seed")), &err);
    json_t *out = err.code ? json_pack("{s:s}", "stuck", err.msg)
                           : json_pack("{s:O, s:O}", "fits", fits, "walks", walks);
    json_decref(fits);
    json_decref(walks);
    maas_grammar_unref(g);
    return out;
}

int main(void)
{
    rig r;
    char *line = NULL;
    size_t cap = 0;
    if (!rig_open(&r, NULL))
        return 1;
    for (ssize_t n; (n = getline(&line, &cap, stdin)) > 0;) {
        json_t *ask = json_loadb(line, (size_t)n, 0, NULL), *out = answer(&r, ask);
        json_dumpf(out, stdout, JSON_COMPACT);
        puts("");
        fflush(stdout);
        json_decref(out);
        json_decref(ask);
    }
    free(line);
    rig_close(&r);
    return 0;
}
