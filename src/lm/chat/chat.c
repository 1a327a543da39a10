#include "lm/chat.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/sys.h"
#include "base/ban.h"

struct maas_chat {
    maas_jinja *program;
    maas_str bos, eos;
    maas_said_style style;
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

maas_status maas_chat_create(const maas_lm_source *s, const maas_tokenizer *t, maas_budget *budget,
                             maas_chat **out, maas_err *err)
{
    maas_str text;
    MAAS_TRY(template_of(s, t, &text, err));
    maas_chat *c = maas_calloc(1, sizeof *c);
    if (!c)
        return maas_fail(err, MAAS_E_NOMEM, "a chat template");
    c->bos = maas_tokenizer_name(t, maas_tokenizer_bos(t));
    c->eos = maas_tokenizer_name(t, maas_tokenizer_eos(t));
    maas_said_style_of(text, t, &c->style);
    maas_status st = maas_jinja_compile(text, budget, &c->program, err);
    if (st == MAAS_OK)
        *out = c;
    else
        maas_chat_destroy(c);
    return st;
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

/* Parts of a content, as one text. */
static maas_status joined(const json_t *parts, json_t **out, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT((size_t)64 << 20);
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *p = json_array_get(parts, i), *t = json_object_get(p, "text");
        const char *type = json_string_value(json_object_get(p, "type"));
        if (!type || strcmp(type, "text") != 0 || !json_is_string(t))
            return maas_fail(err, MAAS_E_UNSUPPORTED,
                             "a part of a message is of type '%.40s'; this model reads text",
                             type ? type : "?");
        maas_buf_add(&text, json_string_value(t), json_string_length(t));
    }
    *out = text.failed ? NULL : json_stringn(text.p ? text.p : "", text.n);
    return *out ? MAAS_OK : maas_fail(err, MAAS_E_INVALID, "the text of a message is no UTF-8");
}

static maas_status plain_message(const json_t *message, json_t **out, maas_err *err)
{
    const json_t *content = json_object_get(message, "content");
    json_t *text;
    if (!json_is_object(message) || !json_is_string(json_object_get(message, "role")))
        return maas_fail(err, MAAS_E_INVALID, "a message needs a 'role'");
    if (content && !json_is_string(content) && !json_is_null(content) && !json_is_array(content))
        return maas_fail(err, MAAS_E_INVALID, "'content' of a message must be text or parts");
    json_t *m = json_copy((json_t *)(uintptr_t)message);
    if (!m)
        return maas_fail(err, MAAS_E_NOMEM, "a message");
    *out = m;
    if (json_is_array(content)) {
        MAAS_TRY(joined(content, &text, err));
        json_object_set_new(m, "content", text);
    } else if (!content || json_is_null(content)) {
        json_object_set_new(m, "content", json_string(""));
    }
    return MAAS_OK;
}

static maas_status variables(const maas_chat *c, const json_t *messages, const json_t *tools,
                             const json_t *more, json_t *vars, maas_err *err)
{
    json_t *list = json_array();
    json_object_set_new(vars, "messages", list);
    for (size_t i = 0; i < json_array_size(messages); i++) {
        json_t *m = NULL;
        maas_status st = plain_message(json_array_get(messages, i), &m, err);
        if (m)
            json_array_append_new(list, m);
        if (st != MAAS_OK) {
            maas_err_prefix(err, "messages[%zu]", i);
            return st;
        }
    }
    json_object_set_new(vars, "tools",
                        tools ? json_incref((json_t *)(uintptr_t)tools) : json_null());
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
