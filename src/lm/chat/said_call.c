/* lm/chat/said_call.c - what the forms of calls have in common: names, what is told, looking ahead.
 */
#include "lm/chat/said_int.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/ban.h"

bool maas_said_set_name(maas_said *s, const char *p, size_t n)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/";
    while (n && maas_said_blank(*p))
        p++, n--;
    while (n && maas_said_blank(p[n - 1]))
        n--;
    if (!n || n > MAAS_SAID_MAX_NAME)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!p[i] || !strchr(letters, p[i]))
            return false;
    memcpy(s->name, p, n);
    s->name[n] = '\0';
    s->has_name = true;
    return true;
}

static const json_t *tool_of(const maas_said *s)
{
    for (size_t i = 0; i < json_array_size(s->o.tools); i++) {
        const json_t *f = json_object_get(json_array_get(s->o.tools, i), "function");
        const char *name = json_string_value(json_object_get(f, "name"));
        if (name && strcmp(name, s->name) == 0)
            return f;
    }
    return NULL;
}

bool maas_said_wants_text(const maas_said *s, const char *key, size_t n)
{
    const json_t *all = json_object_get(json_object_get(tool_of(s), "parameters"), "properties");
    char name[MAAS_SAID_MAX_NAME + 1];
    if (n > MAAS_SAID_MAX_NAME)
        return false;
    memcpy(name, key, n);
    name[n] = '\0';
    const char *type = json_string_value(json_object_get(json_object_get(all, name), "type"));
    return type && strcmp(type, "string") == 0;
}

bool maas_said_announce(maas_said *s)
{
    if (s->n_calls >= s->o.max_calls || (s->bare && !tool_of(s)))
        return false;
    maas_said_end_item(s);
    maas_buf_clear(&s->space);
    maas_buf_clear(&s->args);
    s->kind = MAAS_SAID_CALL;
    s->open = s->announced = true;
    s->n_calls++;
    maas_said_emit(s, MAAS_SAID_BEGIN, s->name, strlen(s->name), true);
    return true;
}

void maas_said_argue(maas_said *s, const char *p, size_t n)
{
    if (!n)
        return;
    maas_buf_add(&s->args, p, n);
    maas_said_emit(s, MAAS_SAID_MORE, p, n, true);
}

void maas_said_called(maas_said *s)
{
    AUTO(maas_json_unref) json_t *tree = NULL;
    maas_err err = {0};
    const bool ok = !s->args.failed &&
                    maas_json_parse(maas_buf_span(&s->args), &tree, &err) == MAAS_OK &&
                    json_is_object(tree);
    maas_said_emit(s, MAAS_SAID_END, s->raw.p + s->start, s->at - s->start, ok);
    s->open = s->announced = s->has_name = s->has_args = false;
    s->start = s->at;
    s->any = true;
    s->over |= s->n_calls >= s->o.max_calls;
}

void maas_said_skip_blanks(maas_said *s)
{
    while (s->at < s->raw.n && maas_said_blank(s->raw.p[s->at]))
        s->at++;
}

int maas_said_looking_at(const maas_said *s, const char *text, bool last)
{
    const size_t left = s->raw.n - s->at, n = strlen(text);
    if (memcmp(s->raw.p + s->at, text, left < n ? left : n) != 0)
        return 0;
    return left >= n ? 1 : last ? 0 : -1;
}

bool maas_said_find(maas_said *s, const char *text, size_t *out)
{
    const size_t n = strlen(text), from = s->seek > s->at ? s->seek : s->at;
    const char *p = memmem(s->raw.p + from, s->raw.n - from, text, n);
    if (p) {
        *out = (size_t)(p - s->raw.p);
        return true;
    }
    s->seek = s->raw.n + 1 > from + n ? s->raw.n + 1 - n : from;
    return false;
}
