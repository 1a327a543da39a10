/* api/generate.h - language models in the words of the Open Inference Protocol, and their tokens.
 */
#ifndef MAAS_API_GENERATE_H
#define MAAS_API_GENERATE_H

#include "http/http.h"

void maas_oip_generate(maas_req *r);        /* /v2/models/{m}/generate */
void maas_oip_generate_stream(maas_req *r); /* /v2/models/{m}/generate_stream */
void maas_tokenize(maas_req *r);
void maas_detokenize(maas_req *r);

#endif
