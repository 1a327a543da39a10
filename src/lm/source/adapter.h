/*
 * lm/source/adapter.h - a low-rank adapter of a language model: "<weight>.lora_a" [rank][in] and
 * "<weight>.lora_b" [out][rank] for each weight that it changes, by (alpha / rank) B A.
 *
 * As llama.cpp's converter writes it, a GGUF file; or as PEFT's save_pretrained leaves it, a folder
 * whose modules are named as the classes of transformers have them.
 *
 * Only for source.c. Owns: nothing, all is in the caller's arena. Fails: E_FORMAT, E_UNSUPPORTED,
 * E_INVALID name the file and the tensor; E_TOO_LARGE a rank; E_NOMEM.
 */
#ifndef MAAS_LM_SOURCE_ADAPTER_H
#define MAAS_LM_SOURCE_ADAPTER_H

#include "lm/source.h"

typedef struct maas_adapter {
    maas_str name;
    maas_gguf file;
    double alpha;   /* 0: what is added is not scaled by the rank */
    double *scales; /* of PEFT [file.n_tensors], of each tensor's pair, instead; NULL */
} maas_adapter;

typedef struct maas_adapter_base { /* the model that it belongs to */
    const maas_lm_source *source;
    maas_str arch;
    bool folder; /* of safetensors: rows lie as transformers has them */
} maas_adapter_base;

/* f[0], or for a folder f[0] and f[1]: *n how many of the files (1 or 2 are given) it has. */
maas_status maas_adapter_open(const maas_lm_file *f, uint32_t *n, const maas_adapter_base *base,
                              maas_arena *a, maas_adapter *out, maas_err *err);
/* peft.c: config and weights of a folder, to out->file and out->scales. */
maas_status maas_peft_open(const maas_lm_file *config, const maas_lm_file *weights,
                           const maas_adapter_base *base, maas_arena *a, maas_adapter *out,
                           maas_err *err);
bool maas_adapter_pair(const maas_adapter *x, const char *weight, maas_lm_pair *out);

#endif
