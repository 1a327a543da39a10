/*
 * chat_render TEMPLATE_FILE - for tests/client/test_tool_templates.py. Lines of JSON come in, one
 * each goes out: {"messages", "tools", "more", "says", "in_thought"} gives {"family", "prompt"} or
 * {"error"}, and, of what a model `says`, "content", "reasoning" and "calls".
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "lm/chat.h"

static void hear(void *user, const maas_said_event *ev)
{
    static const char *const names[] = {"content", "reasoning"};
    json_t *out = user;
    json_t *calls = json_object_get(out, "calls");
    json_t *last = json_array_get(calls, json_array_size(calls) - 1);
    if (ev->kind != MAAS_SAID_CALL) {
        const char *before = json_string_value(json_object_get(out, names[ev->kind]));
        if (ev->what == MAAS_SAID_MORE)
            json_object_set_new(
                out, names[ev->kind],
                json_sprintf("%s%.*s", before ? before : "", (int)ev->text.n, ev->text.p));
    } else if (ev->what == MAAS_SAID_BEGIN) {
        json_array_append_new(
            calls, json_pack("{s:s#, s:s}", "name", ev->text.p, ev->text.n, "arguments", ""));
    } else if (ev->what == MAAS_SAID_MORE) {
        const char *before = json_string_value(json_object_get(last, "arguments"));
        json_object_set_new(last, "arguments",
                            json_sprintf("%s%.*s", before, (int)ev->text.n, ev->text.p));
    } else {
        json_object_set_new(last, "ok", json_boolean(ev->ok));
    }
}

static void listen(const maas_chat *c, const json_t *in, json_t *out)
{
    const json_t *says = json_object_get(in, "says");
    const maas_said_opts o = {.style = maas_chat_style(c),
                              .tools = json_object_get(in, "tools"),
                              .in_thought = json_is_true(json_object_get(in, "in_thought")),
                              .on = hear,
                              .user = out};
    maas_said *s = maas_said_create(&o);
    json_object_set_new(out, "calls", json_array());
    maas_said_text(s, (maas_str){json_string_value(says), json_string_length(says)});
    maas_said_finish(s);
    maas_said_destroy(s);
}

static void answer(const maas_chat *c, const json_t *in)
{
    maas_rendered r;
    maas_err err = {0};
    maas_buf text = MAAS_BUF_INIT((size_t)16 << 20);
    AUTO(maas_json_unref)
    json_t *out = json_pack("{s:s}", "family", maas_said_family_name(maas_chat_style(c)));
    if (json_object_get(in, "says")) {
        listen(c, in, out);
    } else if (maas_chat_render(c, json_object_get(in, "messages"), json_object_get(in, "tools"),
                                json_object_get(in, "more"), &r, &err) == MAAS_OK) {
        for (uint32_t i = 0; i < r.n; i++)
            maas_buf_add(&text, r.pieces[i].text.p, r.pieces[i].text.n);
        maas_rendered_reset(&r);
        json_object_set_new(out, "prompt", json_stringn(text.p ? text.p : "", text.n));
        json_object_set_new(
            out, "in_thought",
            json_boolean(maas_said_begins_thought(maas_chat_style(c), (maas_str){text.p, text.n})));
    } else {
        json_object_set_new(out, "error", json_string(err.msg));
    }
    maas_buf_clear(&text);
    maas_json_dump(out, &text);
    printf("%s\n", text.p);
    fflush(stdout);
    maas_buf_reset(&text);
}

int main(int argc, char **argv)
{
    static char text[1 << 18];
    AUTO_FREE char *line = NULL;
    size_t cap = 0;
    maas_chat *c = NULL;
    maas_err err = {0};
    FILE *f = argc == 2 ? fopen(argv[1], "rb") : NULL;
    const size_t n = f ? fread(text, 1, sizeof text, f) : 0;
    if (f)
        fclose(f);
    const maas_str bos = {"<s>", 3}, eos = {"</s>", 4};
    if (maas_chat_of_template((maas_str){text, n}, bos, eos, NULL, NULL, &c, &err) != MAAS_OK) {
        printf("{\"error\":\"%s\"}\n", err.msg);
        return 1;
    }
    while (getline(&line, &cap, stdin) > 0) {
        AUTO(maas_json_unref) json_t *in = json_loads(line, 0, NULL);
        answer(c, in);
    }
    maas_chat_destroy(c);
    return 0;
}
