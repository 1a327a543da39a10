/*
 * api/talk_format.h - what an answer shall look like, in the words of every dialect, as a grammar
 * of the ask.
 *
 *   response_format {type: text | json_object | json_schema, json_schema: {schema}}   OpenAI
 *   text.format {type, schema}                                                        Responses
 *   output_format, output_config.format {type: json_schema, schema}                   Anthropic
 *   format: "json", or a schema                                                       Ollama
 *   grammar (GBNF), json_schema                                                       llama.cpp
 *   guided_json, guided_regex, guided_choice, guided_grammar                          vLLM
 *
 * Threads: io thread. Fails: E_INVALID names the parameter, and within a schema the keyword and its
 * place; what is not known is refused, never ignored.
 */
#ifndef MAAS_API_TALK_FORMAT_H
#define MAAS_API_TALK_FORMAT_H

#include "api/talk.h"

/* Reads all of the above from the body to t->format; maas_talk_grammar (talk_int.h) makes it the
 * ask's. */
maas_status maas_talk_format(maas_talk *t, maas_err *err);
/* A grammar of the talk's model; replaces the one that is there. */
maas_status maas_talk_constrain(maas_talk *t, const maas_grammar_spec *spec, maas_err *err);
bool maas_talk_is_constrained(const maas_talk *t);

#endif
