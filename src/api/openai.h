/* api/openai.h - the endpoints of OpenAI's API. */
#ifndef MAAS_API_OPENAI_H
#define MAAS_API_OPENAI_H

#include "http/http.h"

void maas_openai_chat(maas_req *r);
void maas_openai_complete(maas_req *r);

#endif
