/* api/responses_int.h - bodies of the Responses API in the chat API's words. */
#ifndef MAAS_API_RESPONSES_INT_H
#define MAAS_API_RESPONSES_INT_H

#include "base/json.h"

/* `tools`; *out is a new reference, or NULL where there are none. */
maas_status maas_responses_tools(json_t *tools, json_t **out, maas_err *err);
/* `instructions` and `input` are appended to `all`. */
maas_status maas_responses_conversation(const json_t *body, json_t *all, maas_err *err);

#endif
