/* The post_processor of tokenizer.json: which tokens stand around a text. */
#include <string.h>

#include "lm/source/hf_int.h"
#include "base/ban.h"

static maas_status keep(maas_hf_steps *s, const char *name, maas_str *to)
{
    to->p = maas_arena_strdup(s->h->a, name);
    to->n = to->p ? strlen(name) : 0;
    return to->p ? MAAS_OK : maas_hf_no_memory(s->h);
}

/* The name of the special token at place i of a template; NULL: a text is there. */
static const char *token_at(const json_t *template, size_t i)
{
    const json_t *item = json_object_get(json_array_get(template, i), "SpecialToken");
    return json_string_value(json_object_get(item, "id"));
}

/* "<s> $A </s>": one token before and one after. "<s> $A </s> </s> $B </s>" parts two texts by one
 * more. */
static maas_status take_template(maas_hf_steps *s, const json_t *step)
{
    const json_t *single = json_object_get(step, "single"), *pair = json_object_get(step, "pair");
    bool after = false;
    size_t between = 0;
    for (size_t i = 0; i < json_array_size(single); i++) {
        const char *name = token_at(single, i);
        maas_str *to = after ? &s->p->eos : &s->p->bos;
        if (name && to->n)
            return maas_hf_refuse(s, "TemplateProcessing", "more than one token on a side");
        if (name)
            MAAS_TRY(keep(s, name, to));
        after |= !name;
    }
    for (size_t i = 0, texts = 0; i < json_array_size(pair); i++) {
        texts += token_at(pair, i) == NULL;
        between += texts == 1 && token_at(pair, i);
    }
    s->p->parts = between > 1;
    return MAAS_OK;
}

/* {"sep": ["[SEP]", 102], "cls": ["[CLS]", 101]} */
static maas_status take_ends(maas_hf_steps *s, const json_t *step)
{
    const char *sep = json_string_value(json_array_get(json_object_get(step, "sep"), 0));
    const char *cls = json_string_value(json_array_get(json_object_get(step, "cls"), 0));
    s->p->parts = strcmp(maas_hf_word(step, "type"), "RobertaProcessing") == 0;
    if (!sep || !cls)
        return maas_hf_refuse(s, maas_hf_word(step, "type"), "it has no 'sep' or no 'cls'");
    MAAS_TRY(keep(s, cls, &s->p->bos));
    return keep(s, sep, &s->p->eos);
}

static const maas_hf_step rows[] = {{"TemplateProcessing", take_template},
                                    {"BertProcessing", take_ends},
                                    {"RobertaProcessing", take_ends},
                                    {"ByteLevel", NULL}};

maas_status maas_hf_read_frame(maas_hf_steps *s)
{
    MAAS_TRY(maas_hf_run(s, "post_processor", s->p->post_processor, "processors", rows,
                         MAAS_COUNT(rows)));
    MAAS_TRY(maas_hf_put_bool(s->h, "tokenizer.ggml.add_bos_token", s->p->bos.n > 0));
    return maas_hf_put_bool(s->h, "tokenizer.ggml.add_eos_token", s->p->eos.n > 0);
}
