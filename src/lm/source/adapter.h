/*
 * lm/source/adapter.h - a low-rank adapter of a language model, as llama.cpp's converter writes it:
 * a GGUF file with "<weight>.lora_a" [rank][in] and "<weight>.lora_b" [out][rank] for each weight
 * that it changes, by (alpha / rank) B A.
 *
 * Only for source.c. Owns: nothing, all is in the caller's arena. Fails: E_FORMAT, E_UNSUPPORTED,
 * E_INVALID name the file and the tensor; E_TOO_LARGE a rank; E_NOMEM.
 */
#ifndef MAAS_LM_SOURCE_ADAPTER_H
#define MAAS_LM_SOURCE_ADAPTER_H

#include "lm/source.h"

typedef struct maas_adapter {
    maas_str name; /* of "adapters/NAME.gguf" */
    maas_gguf file;
    double alpha; /* 0: what is added is not scaled by the rank */
} maas_adapter;

/* arch: of the model. */
maas_status maas_adapter_open(const maas_lm_file *f, maas_str arch, maas_arena *a,
                              maas_adapter *out, maas_err *err);
bool maas_adapter_pair(const maas_adapter *x, const char *weight, maas_lm_pair *out);

#endif
