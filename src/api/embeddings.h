/* api/embeddings.h - the endpoints of encoders: embeddings and reranking. */
#ifndef MAAS_API_EMBEDDINGS_H
#define MAAS_API_EMBEDDINGS_H

#include "http/http.h"

void maas_openai_embeddings(maas_req *r);
void maas_ollama_embed(maas_req *r);
void maas_ollama_embeddings(maas_req *r); /* the older one, of one text */
void maas_rerank(maas_req *r);            /* as Jina and Cohere have it */

#endif
