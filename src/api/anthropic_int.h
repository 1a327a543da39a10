/* api/anthropic_int.h - bodies of Anthropic's API in OpenAI's words. */
#ifndef MAAS_API_ANTHROPIC_INT_H
#define MAAS_API_ANTHROPIC_INT_H

#include "base/json.h"

/* `tools`; *out is a new reference, or NULL where there are none. */
maas_status maas_anthropic_tools(json_t *tools, json_t **out, maas_err *err);
/* `system` and `messages` are appended to `all`. */
maas_status maas_anthropic_conversation(const json_t *body, json_t *all, maas_err *err);

#endif
