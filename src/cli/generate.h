/* cli/generate.h - `maas run FILE.gguf|FOLDER --prompt TEXT`: a language model without a server. */
#ifndef MAAS_CLI_GENERATE_H
#define MAAS_CLI_GENERATE_H

#include "base/status.h"
#include "tensor/tensor.h"

typedef struct maas_generate_opts {
    const char *prompt;
    int64_t max_tokens, threads, seed; /* seed -1: any */
    double temperature;
    const char *schema, *grammar; /* files: what the answer must fit; NULL: anything */
    const char *lora;             /* a file: an adapter that is added; NULL: none */
    bool raw;                     /* the prompt as it is, without the chat template */
} maas_generate_opts;

/* Prints the answer as it comes; what took how long goes to stderr. */
maas_status maas_generate(const char *path, const maas_generate_opts *o, maas_err *err);
/* A folder, or a file by its first bytes; false when it cannot be read. */
bool maas_is_language_model(const char *path);

#endif
