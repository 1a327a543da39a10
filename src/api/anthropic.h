/* api/anthropic.h - the endpoints of Anthropic's API. */
#ifndef MAAS_API_ANTHROPIC_H
#define MAAS_API_ANTHROPIC_H

#include "http/http.h"

void maas_anthropic_messages(maas_req *r);
void maas_anthropic_count(maas_req *r); /* /v1/messages/count_tokens */

#endif
