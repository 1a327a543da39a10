/* api/ollama.h - the endpoints of Ollama's API. */
#ifndef MAAS_API_OLLAMA_H
#define MAAS_API_OLLAMA_H

#include "http/http.h"

void maas_ollama_root(maas_req *r); /* "Ollama is running" */
void maas_ollama_version(maas_req *r);
void maas_ollama_tags(maas_req *r);
void maas_ollama_ps(maas_req *r);
void maas_ollama_show(maas_req *r);
void maas_ollama_chat(maas_req *r);
void maas_ollama_generate(maas_req *r);

#endif
