/* api/generate.h - language models in the words of the Open Inference Protocol; their tokens, and
 * what is between two texts, in those of llama-server. */
#ifndef MAAS_API_GENERATE_H
#define MAAS_API_GENERATE_H

#include "http/http.h"

void maas_oip_generate(maas_req *r);        /* /v2/models/{m}/generate */
void maas_oip_generate_stream(maas_req *r); /* /v2/models/{m}/generate_stream */
void maas_tokenize(maas_req *r);
void maas_detokenize(maas_req *r);
void maas_infill(maas_req *r); /* infill.c */

#endif
