/* api/responses.h - OpenAI's Responses API; nothing is stored between requests. */
#ifndef MAAS_API_RESPONSES_H
#define MAAS_API_RESPONSES_H

#include "http/http.h"

void maas_openai_responses(maas_req *r);

#endif
