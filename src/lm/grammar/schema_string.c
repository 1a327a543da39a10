/* lm/grammar/schema_string.c - strings: by length, by pattern, by format. */
#include <string.h>

#include "lm/grammar/schema_int.h"
#include "base/ban.h"

#define YEAR "(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
#define LEAP "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
#define DATE                                                                                       \
    "(?:" YEAR "-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-" \
    "9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|" LEAP "-02-29)"
#define HOUR  "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
#define TIME  HOUR ":[0-5][0-9](?:\\.[0-9]{1,6})?(?:Z|[+-]" HOUR ")"
#define LABEL "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#define OCTET "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define WORD  "[A-Za-z0-9_+-]{1,30}"

static const struct format {
    const char *name, *pattern;
} formats[] = {
    {"date", DATE},
    {"time", TIME},
    {"date-time", DATE "T" TIME},
    {"uuid", "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"},
    {"email", WORD "(?:\\." WORD ")?@" LABEL "(?:\\." LABEL "){1,4}"},
    {"ipv4", OCTET "(?:\\." OCTET "){3}"},
};

static const gram_node *quoted(gram_build *b, const gram_node *inner)
{
    return GRAM_SEQ(b, gram_word(b, "\""), inner, gram_word(b, "\""));
}

static const gram_node *of_format(schema_maker *s, const char *name)
{
    for (size_t i = 0; i < MAAS_COUNT(formats); i++) {
        if (strcmp(name, formats[i].name) != 0)
            continue;
        const char *p = maas_arena_printf(s->b->a, "^(?:%s)$", formats[i].pattern);
        return p ? quoted(s->b, gram_regex(s->b, (maas_str){p, strlen(p)}, true))
                 : schema_fail(s, MAAS_E_NOMEM, "memory for a schema");
    }
    return schema_fail(s, MAAS_E_UNSUPPORTED,
                       "the format '%.40s' is not known: date, time, date-time, uuid, email and "
                       "ipv4 are",
                       name);
}

static const gram_node *of_pattern(schema_maker *s, const json_t *pattern)
{
    const maas_str text = {json_string_value(pattern), json_string_length(pattern)};
    const gram_node *x = gram_regex(s->b, text, true);
    return quoted(s->b, x);
}

static uint32_t count_of(const json_t *flat, const char *key, uint32_t otherwise)
{
    const json_t *v = json_object_get(flat, key);
    const double x = json_number_value(v);
    return !v ? otherwise : x < (double)(UINT32_MAX - 1) ? (uint32_t)x : UINT32_MAX - 1;
}

const gram_node *schema_string(schema_maker *s, const json_t *flat)
{
    const json_t *pattern = json_object_get(flat, "pattern");
    const char *format = json_string_value(json_object_get(flat, "format"));
    const bool by_length = json_object_get(flat, "minLength") || json_object_get(flat, "maxLength");
    if ((pattern != NULL) + (format != NULL) + by_length > 1)
        return schema_fail(s, MAAS_E_UNSUPPORTED,
                           "of 'pattern', 'format' and the lengths only one can be asked for: say "
                           "the length in the pattern, as {m,n}");
    if (pattern)
        return of_pattern(s, pattern);
    if (format)
        return of_format(s, format);
    return gram_json_string(s->b, count_of(flat, "minLength", 0),
                            count_of(flat, "maxLength", GRAM_ENDLESS));
}
