#include "lm/chat.h"

#include <string.h>

#include "lm/chat/messages.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/sys.h"
#include "base/ban.h"

struct maas_chat {
    maas_jinja *program;
    maas_str bos, eos;
    maas_said_style style;
    maas_chat_ways ways;
};

/* Families by a token of theirs, for files that came without a template. */
static const struct {
    const char *token, *text;
} families[] = {
    {"<|im_start|>",
     "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
     "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"},
    {"<start_of_turn>",
     "{{ bos_token }}{% set ns = namespace(system='') %}{% for m in messages %}"
     "{% if m.role == 'system' or m.role == 'developer' %}{% set ns.system = m.content ~ '\n\n' %}"
     "{% else %}<start_of_turn>{{ 'model' if m.role == 'assistant' else 'user' }}\n"
     "{% if m.role != 'assistant' %}{{ ns.system }}{% set ns.system = '' %}{% endif %}"
     "{{ m.content | trim }}<end_of_turn>\n{% endif %}{% endfor %}"
     "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"},
    {"<|start_header_id|>",
     "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
     "{{ m.content | trim }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}"
     "<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"},
};

static maas_status template_of(const maas_lm_source *s, const maas_tokenizer *t, maas_str *out,
                               maas_err *err)
{
    if (maas_lm_str(s, "tokenizer.chat_template", out))
        return MAAS_OK;
    for (size_t i = 0; i < MAAS_COUNT(families); i++)
        if (maas_tokenizer_find(t, (maas_str){families[i].token, strlen(families[i].token)}) >= 0) {
            *out = (maas_str){families[i].text, strlen(families[i].text)};
            return MAAS_OK;
        }
    return maas_fail(err, MAAS_E_UNSUPPORTED,
                     "the model has no chat template: it completes text (/v1/completions)");
}

static maas_status variables(const maas_chat *c, const json_t *messages, const json_t *tools,
                             const json_t *more, json_t *vars, maas_err *err)
{
    json_t *list = json_array();
    json_object_set_new(vars, "messages", list);
    MAAS_TRY(maas_chat_messages(&c->ways, messages, tools, list, err));
    json_object_set_new(vars, "tools",
                        tools && c->ways.tools ? json_incref((json_t *)(uintptr_t)tools)
                                               : json_null());
    json_object_set_new(vars, "add_generation_prompt", json_true());
    json_object_set_new(vars, "bos_token", json_stringn(c->bos.p, c->bos.n));
    json_object_set_new(vars, "eos_token", json_stringn(c->eos.p, c->eos.n));
    if (json_is_object(more))
        json_object_update_missing(vars, (json_t *)(uintptr_t)more);
    return MAAS_OK;
}

maas_status maas_chat_render(const maas_chat *c, const json_t *messages, const json_t *tools,
                             const json_t *more, maas_rendered *out, maas_err *err)
{
    static const char *const trusted[] = {"bos_token", "eos_token", NULL};
    AUTO(maas_json_unref) json_t *vars = json_object();
    if (!json_is_array(messages) || !json_array_size(messages))
        return maas_fail(err, MAAS_E_INVALID, "'messages' must be a list of at least one message");
    MAAS_TRY(variables(c, messages, tools, more, vars, err));
    return maas_jinja_render(c->program, vars, trusted, (int64_t)(maas_wall_ms() / 1000), out, err);
}

/* ---- what a template wants, found by trying it ---- */

static const char trial_tools[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"trial_tool\",\"description\":\"trial_words\","
    "\"parameters\":{\"type\":\"object\",\"properties\":{\"trial_key\":{\"type\":\"string\","
    "\"description\":\"\"}},\"required\":[]}}}]";
static const char trial_calls[] =
    "[{\"role\":\"user\",\"content\":\"a\"},"
    "{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"trial0000\",\"type\":\"function\","
    "\"function\":{\"name\":\"trial_tool\",\"arguments\":{\"trial_key\":\"trial_value\"}}}]},"
    "{\"role\":\"tool\",\"tool_call_id\":\"trial0000\",\"content\":\"trial_answer\"}]";
static const char trial_system[] = "[{\"role\":\"system\",\"content\":\"trial_system\"},"
                                   "{\"role\":\"user\",\"content\":\"a\"}]";

/* The rendered text; false when it cannot be. */
static bool try_render(const maas_chat *c, const json_t *messages, const json_t *tools,
                       maas_buf *out)
{
    maas_rendered r;
    maas_err ignored = {0};
    maas_buf_clear(out);
    if (maas_chat_render(c, messages, tools, NULL, &r, &ignored) != MAAS_OK)
        return false;
    for (uint32_t i = 0; i < r.n; i++)
        maas_buf_add(out, r.pieces[i].text.p, r.pieces[i].text.n);
    maas_rendered_reset(&r);
    return out->p && !out->failed;
}

/* Arguments that are written as Python writes objects, or as a text within a text, are not what the
 * model learned; nor is a content that is None. */
static bool looks_right(const maas_buf *text)
{
    return strstr(text->p, "trial_value") && strstr(text->p, "trial_answer") &&
           !strstr(text->p, "'trial_key'") && !strstr(text->p, "\\\"trial_key") &&
           !strstr(text->p, "None");
}

static void try_ways(maas_chat *c)
{
    AUTO(maas_json_unref) json_t *tools = json_loads(trial_tools, 0, NULL);
    AUTO(maas_json_unref) json_t *calls = json_loads(trial_calls, 0, NULL);
    AUTO(maas_json_unref) json_t *system = json_loads(trial_system, 0, NULL);
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT((size_t)1 << 20);
    maas_chat_ways w = {.tools = true,
                        .calls = true,
                        .frame = "",
                        .between = "",
                        .id_length = maas_said_id_length(&c->style)};
    bool right = false;
    for (int i = 0; i < 4 && !right; i++) {
        w.text_arguments = i & 2;
        w.empty_content = i & 1;
        c->ways = w;
        right = try_render(c, calls, tools, &text) && looks_right(&text);
    }
    if (!right) {
        c->ways.text_arguments = false;
        c->ways.empty_content = true;
    }
    /* one of the two conversations may not be to its liking */
    const bool shown = (try_render(c, system, tools, &text) && strstr(text.p, "trial_words")) ||
                       (right && try_render(c, calls, tools, &text) &&
                        strstr(text.p, "trial_words"));
    c->ways.tools = shown;
    c->ways.calls = right && shown;
    c->ways.text_arguments &= shown;
    c->ways.system = try_render(c, system, NULL, &text) && strstr(text.p, "trial_system");
}

maas_status maas_chat_of_template(maas_str text, maas_str bos, maas_str eos,
                                  const maas_tokenizer *t, maas_budget *budget, maas_chat **out,
                                  maas_err *err)
{
    maas_chat *c = maas_calloc(1, sizeof *c);
    if (!c)
        return maas_fail(err, MAAS_E_NOMEM, "a chat template");
    c->bos = bos;
    c->eos = eos;
    maas_said_style_of(text, t, &c->style);
    maas_status st = maas_jinja_compile(text, budget, &c->program, err);
    if (st == MAAS_OK) {
        try_ways(c);
        maas_said_style plain = c->style;
        maas_said_style_plain(t, &plain);
        if (!c->ways.tools) /* the text that describes them says how calls look */
            c->style = plain;
        c->ways.frame = maas_said_frame(&c->style, &c->ways.between);
        if (!c->ways.frame)
            c->ways.frame = maas_said_frame(&plain, &c->ways.between);
        *out = c;
    } else {
        maas_chat_destroy(c);
    }
    return st;
}

maas_status maas_chat_create(const maas_lm_source *s, const maas_tokenizer *t, maas_budget *budget,
                             maas_chat **out, maas_err *err)
{
    maas_str text;
    MAAS_TRY(template_of(s, t, &text, err));
    return maas_chat_of_template(text, maas_tokenizer_name(t, maas_tokenizer_bos(t)),
                                 maas_tokenizer_name(t, maas_tokenizer_eos(t)), t, budget, out,
                                 err);
}

void maas_chat_destroy(maas_chat *c)
{
    if (!c)
        return;
    maas_jinja_destroy(c->program);
    maas_free(c);
}

const maas_said_style *maas_chat_style(const maas_chat *c)
{
    return &c->style;
}
