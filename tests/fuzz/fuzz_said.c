/*
 * What a model says, of any family: the first byte chooses the family, the second what was asked;
 * the rest is said once whole and once in pieces that the bytes choose, some of them as control
 * tokens. Both must be told alike unless control tokens were; items begin and end in order, and
 * nothing that is said without markers is lost.
 */
#include "base/json.h"
#include "base/mem.h"
#include "lm/said.h"

static const char *const templates[] = {
    "",
    "<tool_call> <think>",
    "<tool_call> <function= <think>",
    "<tool_call> <arg_key>",
    "<｜tool▁call▁begin｜> <think>",
    "<|tool_call_argument_begin|>",
    "<|tool_call|> <|/tool_call|>",
    "<|tool_call|>",
    "[TOOL_CALLS] [ARGS] [THINK]",
    "<|START_ACTION|> <|START_THINKING|>",
    "<function=",
    "<|python_tag|>",
    "[func_name1(params_name1=",
    "```tool_code",
    "<tool_calls>",
    "<start_function_call>",
    "<|channel|>analysis <|message|>",
    "<|tool_call>call:",
};

typedef struct heard {
    maas_buf text;
    bool open;
    maas_said_kind kind;
} heard;

static void hear(void *user, const maas_said_event *ev)
{
    heard *h = user;
    MAAS_CHECK(h->open == (ev->what != MAAS_SAID_BEGIN));
    MAAS_CHECK(ev->what == MAAS_SAID_BEGIN || ev->kind == h->kind);
    h->open = ev->what != MAAS_SAID_END;
    h->kind = ev->kind;
    if (ev->what == MAAS_SAID_BEGIN)
        maas_buf_printf(&h->text, "\1%d", ev->kind);
    maas_buf_add(&h->text, ev->text.p, ev->text.n);
    if (ev->what == MAAS_SAID_END)
        maas_buf_printf(&h->text, "\2%d", ev->ok);
}

static maas_said *begin(const maas_said_style *y, const json_t *tools, uint8_t how, heard *h)
{
    *h = (heard){.text = MAAS_BUF_INIT(1u << 20)};
    const maas_said_opts o = {.style = y,
                              .tools = how & 1 ? NULL : tools,
                              .in_thought = how & 2,
                              .max_calls = how & 4 ? 1 : 0,
                              .on = hear,
                              .user = h};
    return maas_said_create(&o);
}

static void end(maas_said *s, const heard *h)
{
    MAAS_CHECK(maas_said_finish(s) && !h->open && !h->text.failed);
    maas_said_destroy(s);
}

static bool say_in_pieces(maas_said *s, const maas_said_style *y, const uint8_t *p, size_t n)
{
    bool control = false;
    while (n) {
        const maas_said_marker *m = &y->markers[*p % y->n];
        const size_t want = 1 + (size_t)*p % 13, piece = want < n ? want : n;
        if (m->control && *p >= 0xf0) {
            maas_said_control(s, m->text);
            control = true;
        }
        char *copy = maas_strndup((const char *)p, piece);
        maas_said_text(s, (maas_str){copy, piece});
        maas_free(copy);
        p += piece;
        n -= piece;
    }
    return control;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char tools_text[] = "[{\"type\":\"function\",\"function\":{\"name\":\"add\","
                                     "\"parameters\":{\"properties\":{\"a\":{"
                                     "\"type\":\"number\"},\"t\":{\"type\":\"string\"}}}}}]";
    if (size < 2 || size > 4096)
        return 0;
    const char *text = templates[data[0] % MAAS_COUNT(templates)];
    const maas_str said = {(const char *)data + 2, size - 2};
    json_t *tools = json_loads(tools_text, 0, NULL);
    heard whole, pieces;
    maas_said_style y;
    maas_said_style_of((maas_str){text, strlen(text)}, NULL, &y);
    for (uint32_t i = 0; i < y.n; i++)
        y.markers[i].control = data[1] & 8 && (data[1] >> 4 ^ i) & 1;
    maas_said *s = begin(&y, tools, data[1], &whole);
    maas_said_text(s, said);
    end(s, &whole);
    s = begin(&y, tools, data[1], &pieces);
    const bool control = say_in_pieces(s, &y, data + 2, size - 2);
    end(s, &pieces);
    MAAS_CHECK(control ||
               (whole.text.n == pieces.text.n &&
                (!whole.text.n || memcmp(whole.text.p, pieces.text.p, whole.text.n) == 0)));
    maas_buf_reset(&whole.text);
    maas_buf_reset(&pieces.text);
    json_decref(tools);
    return 0;
}
