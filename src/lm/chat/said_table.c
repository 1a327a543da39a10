/*
 * lm/chat/said_table.c - how families of models write calls and reasoning. The first row whose
 * signs are all in a chat template is the family's: a template shows a model how calls look, so it
 * has their markers. A family more is a row here (docs/howto/add-a-dialect.md).
 */
#include "lm/chat/said_int.h"

#include <string.h>

#include "base/status.h"
#include "base/ban.h"

static const maas_said_family families[] = {
    {.name = "gpt-oss",
     .signs = {"<|channel|>analysis", "<|message|>"},
     .form = maas_said_named,
     .quiet = {"<|channel|>"},
     .apart = "<|constrain|>",
     .over = "<|call|>",
     .head = "<|start|>",
     .body = "<|message|>",
     .tail = {"<|end|>", "<|return|>"},
     .frame = "<|channel|>commentary to=functions.\1 <|constrain|>json<|message|>\2",
     .trigger = "<|channel|>commentary to=functions.",
     .final = "<|channel|>final"},
    {.name = "gemma-4",
     .signs = {"<|tool_call>call:"},
     .form = maas_said_braced,
     .open = "<|tool_call>",
     .close = "<tool_call|>",
     .apart = "<|\"|>",
     .over = "<|tool_response>"},
    {.name = "lfm2",
     .signs = {"<|tool_call_start|>"},
     .form = maas_said_python,
     .open = "<|tool_call_start|>",
     .close = "<|tool_call_end|>"},
    {.name = "functiongemma",
     .signs = {"<start_function_call>"},
     .form = maas_said_braced,
     .open = "<start_function_call>",
     .close = "<end_function_call>",
     .apart = "<escape>",
     .over = "<start_function_response>"},
    {.name = "qwen3-coder",
     .signs = {"<tool_call>", "<function="},
     .form = maas_said_tagged,
     .open = "<function=",
     .close = "</function>",
     .quiet = {"<tool_call>", "</tool_call>"},
     .name_end = ">",
     .key_open = "<parameter=",
     .key_close = ">",
     .value_open = "",
     .value_close = "</parameter>"},
    {.name = "glm",
     .signs = {"<tool_call>", "<arg_key>"},
     .form = maas_said_tagged,
     .open = "<tool_call>",
     .close = "</tool_call>",
     .over = "<|observation|>",
     .name_end = "\n",
     .key_open = "<arg_key>",
     .key_close = "</arg_key>",
     .value_open = "<arg_value>",
     .value_close = "</arg_value>"},
    {.name = "deepseek",
     .signs = {"<｜tool▁call▁begin｜>"},
     .form = maas_said_named,
     .open = "<｜tool▁call▁begin｜>",
     .close = "<｜tool▁call▁end｜>",
     .quiet = {"<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"},
     .apart = "<｜tool▁sep｜>",
     .frame = "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>\1\n```json\n"
              "\2\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>"},
    {.name = "kimi",
     .signs = {"<|tool_call_argument_begin|>"},
     .form = maas_said_named,
     .open = "<|tool_call_begin|>",
     .close = "<|tool_call_end|>",
     .quiet = {"<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"},
     .apart = "<|tool_call_argument_begin|>",
     .numbered = true,
     .frame = "<|tool_calls_section_begin|><|tool_call_begin|>functions.\1:0"
              "<|tool_call_argument_begin|>\2<|tool_call_end|><|tool_calls_section_end|>"},
    {.name = "phi-4",
     .signs = {"<|tool_call|>", "<|/tool_call|>"},
     .form = maas_said_json,
     .open = "<|tool_call|>",
     .close = "<|/tool_call|>",
     .frame = "<|tool_call|>[{\"name\": \"\1\", \"arguments\": \2}]<|/tool_call|>"},
    {.name = "granite",
     .signs = {"<|tool_call|>"},
     .form = maas_said_json,
     .open = "<|tool_call|>",
     .frame = "<|tool_call|>[{\"name\": \"\1\", \"arguments\": \2}]"},
    {.name = "mistral",
     .signs = {"[TOOL_CALLS]", "[ARGS]"},
     .form = maas_said_named,
     .open = "[TOOL_CALLS]",
     .apart = "[ARGS]",
     .id_length = 9,
     .frame = "[TOOL_CALLS]\1[ARGS]\2"},
    {.name = "mistral",
     .signs = {"[TOOL_CALLS]"},
     .form = maas_said_named,
     .open = "[TOOL_CALLS]",
     .apart = "[ARGS]",
     .id_length = 9,
     .frame = "[TOOL_CALLS][{\"name\": \"\1\", \"arguments\": \2}]"},
    {.name = "command-r",
     .signs = {"<|START_ACTION|>"},
     .form = maas_said_json,
     .open = "<|START_ACTION|>",
     .close = "<|END_ACTION|>",
     .frame = "<|START_ACTION|>[{\"tool_call_id\": \"0\", \"tool_name\": \"\1\", "
              "\"parameters\": \2}]<|END_ACTION|>"},
    {.name = "functionary",
     .signs = {"<function="},
     .form = maas_said_named,
     .open = "<function=",
     .close = "</function>",
     .apart = ">",
     .frame = "<function=\1>\2</function>"},
    {.name = "llama",
     .signs = {"<|python_tag|>"},
     .form = maas_said_json,
     .open = "<|python_tag|>",
     .bare = '{',
     .frame = "{\"name\": \"\1\", \"parameters\": \2}",
     .between = "; "},
    {.name = "llama",
     .signs = {"<|start_header_id|>", "\"parameters\": "},
     .form = maas_said_json,
     .open = "<|python_tag|>",
     .bare = '{',
     .frame = "{\"name\": \"\1\", \"parameters\": \2}",
     .between = "; "},
    {.name = "pythonic",
     .signs = {"[func_name1(params_name1="},
     .form = maas_said_python,
     .open = "<|python_start|>",
     .close = "<|python_end|>",
     .bare = '['},
    {.name = "tool_code",
     .signs = {"```tool_code"},
     .form = maas_said_python,
     .open = "```tool_code",
     .close = "```"},
    {.name = "tool_calls",
     .signs = {"<tool_calls>"},
     .form = maas_said_json,
     .open = "<tool_calls>",
     .close = "</tool_calls>",
     .frame = "<tool_calls>\n{\"name\": \"\1\", \"arguments\": \2}\n</tool_calls>"},
    {.name = "hermes",
     .signs = {"<tool_call>"},
     .form = maas_said_json,
     .open = "<tool_call>",
     .close = "</tool_call>",
     .frame = "<tool_call>\n{\"name\": \"\1\", \"arguments\": \2}\n</tool_call>",
     .between = "\n"},
    {.name = "generic",
     .form = maas_said_json,
     .open = "<tool_call>",
     .close = "</tool_call>",
     .bare = '{',
     .frame = "<tool_call>{\"name\": \"\1\", \"arguments\": \2}</tool_call>",
     .between = "\n"},
};

/* By the first that the template or the vocabulary has. */
static const struct {
    const char *open, *close;
} thoughts[] = {
    {"<think>", "</think>"},
    {"[THINK]", "[/THINK]"},
    {"<|START_THINKING|>", "<|END_THINKING|>"},
    {"<seed:think>", "</seed:think>"},
    {"<|channel>thought", "<channel|>"},
};

static maas_str str_of(const char *s)
{
    return (maas_str){s ? s : "", s ? strlen(s) : 0};
}

static bool has(maas_str text, const char *part)
{
    return text.n && memmem(text.p, text.n, part, strlen(part));
}

static const maas_said_family *family_of(maas_str text)
{
    for (size_t i = 0; i + 1 < MAAS_COUNT(families); i++) {
        const maas_said_family *f = &families[i];
        if (has(text, f->signs[0]) && (!f->signs[1] || has(text, f->signs[1])))
            return f;
    }
    return &families[MAAS_COUNT(families) - 1];
}

static void add_marker(maas_said_style *y, const char *text, maas_said_role role,
                       const maas_tokenizer *t)
{
    if (!text)
        return;
    const maas_str s = str_of(text);
    const int32_t id = t ? maas_tokenizer_find(t, s) : -1;
    y->markers[y->n++] = (maas_said_marker){s, role, id >= 0 && maas_tokenizer_is_special(t, id)};
}

static void add_family(maas_said_style *y, const maas_said_family *f, const maas_tokenizer *t)
{
    y->family = f;
    add_marker(y, f->open, MAAS_SAID_OPEN, t);
    add_marker(y, f->close, MAAS_SAID_CLOSE, t);
    add_marker(y, f->quiet[0], MAAS_SAID_QUIET, t);
    add_marker(y, f->quiet[1], MAAS_SAID_QUIET, t);
    add_marker(y, f->apart, MAAS_SAID_APART, t);
    add_marker(y, f->over, MAAS_SAID_OVER, t);
    add_marker(y, f->head, MAAS_SAID_HEAD, t);
    add_marker(y, f->body, MAAS_SAID_BODY, t);
    add_marker(y, f->tail[0], MAAS_SAID_TAIL, t);
    add_marker(y, f->tail[1], MAAS_SAID_TAIL, t);
}

void maas_said_style_of(maas_str text, const maas_tokenizer *t, maas_said_style *out)
{
    *out = (maas_said_style){0};
    for (size_t i = 0; i < MAAS_COUNT(thoughts); i++)
        if (has(text, thoughts[i].open) || has(text, thoughts[i].close) ||
            (t && maas_tokenizer_find(t, str_of(thoughts[i].open)) >= 0)) {
            add_marker(out, thoughts[i].open, MAAS_SAID_THINK, t);
            add_marker(out, thoughts[i].close, MAAS_SAID_THOUGHT, t);
            break;
        }
    add_family(out, family_of(text), t);
}

void maas_said_style_plain(const maas_tokenizer *t, maas_said_style *y)
{
    while (y->n && y->markers[y->n - 1].role > MAAS_SAID_THOUGHT)
        y->n--;
    add_family(y, &families[MAAS_COUNT(families) - 1], t);
}

const char *maas_said_frame(const maas_said_style *y, const char **between)
{
    *between = y->family->between ? y->family->between : "";
    return y->family->frame;
}

const char *maas_said_family_name(const maas_said_style *y)
{
    return y->family->name;
}

uint32_t maas_said_id_length(const maas_said_style *y)
{
    return y->family->id_length;
}

const char *maas_said_final(const maas_said_style *y, const char **then)
{
    *then = y->family->body;
    return y->family->final;
}

/* From `from` on to the end of the call: what stands around several is left to the model. */
static maas_str rest_of(const maas_said_family *f, const char *from, bool closed)
{
    const char *arguments = strchr(from, '\2');
    const char *close = f->close ? strstr(arguments, f->close) : NULL;
    if (!close)
        return (maas_str){from, strlen(from)};
    const char *end = closed ? close + strlen(f->close) : close;
    return (maas_str){from, (size_t)(end - from)};
}

bool maas_said_trigger_of(const maas_said_style *y, uint32_t i, maas_said_trigger *out)
{
    const maas_said_family *f = y->family;
    const char *text = f->trigger ? f->trigger : f->open;
    if (!f->frame || i > (text && f->bare))
        return false;
    if (text && i == 0) {
        const char *at = strstr(f->frame, text);
        *out = (maas_said_trigger){str_of(text), false,
                                   rest_of(f, at ? at + strlen(text) : f->frame, true)};
        return true;
    }
    if (!f->bare)
        return false;
    *out = (maas_said_trigger){
        {&f->bare, 1}, true, rest_of(f, strchr(f->frame, f->bare) + 1, false)};
    return true;
}

static bool ends_with(const maas_said_style *y, maas_said_role role, maas_str s)
{
    while (s.n && maas_said_blank(s.p[s.n - 1]))
        s.n--;
    for (uint32_t i = 0; i < y->n; i++) {
        const maas_str m = y->markers[i].text;
        if (y->markers[i].role == role && m.n <= s.n && memcmp(s.p + s.n - m.n, m.p, m.n) == 0)
            return true;
    }
    return false;
}

bool maas_said_begins_thought(const maas_said_style *y, maas_str s)
{
    return ends_with(y, MAAS_SAID_THINK, s);
}

bool maas_said_ends_thought(const maas_said_style *y, maas_str s)
{
    return ends_with(y, MAAS_SAID_THOUGHT, s);
}
