/*
 * lm/source.h - the files of a language model, whatever their format: named weights and
 * hyperparameters, in the words of GGUF ("blk.0.attn_q.weight", "llama.block_count").
 *
 * Owns: its indexes, under the budget. Borrows: the bytes of the files, which are mapped by the
 * caller and must outlive it. Threads: any, once opened. Fails: E_FORMAT, E_UNSUPPORTED, E_INVALID
 * name the file and what is wrong with it; E_NOMEM.
 */
#ifndef MAAS_LM_SOURCE_H
#define MAAS_LM_SOURCE_H

#include "base/arena.h"
#include "base/span.h"
#include "formats/gguf.h"

typedef struct maas_lm_source maas_lm_source;
typedef maas_gguf_tensor maas_lm_weight;
typedef maas_gguf_value maas_lm_array;

typedef struct maas_lm_file {
    const char *path; /* inside the version: "model.gguf" */
    maas_span bytes;
} maas_lm_file;

/* One GGUF file, or the parts of one (split.no, split.count), in any order. Or the files of a
 * Hugging Face folder: config.json, tokenizer.json, *.safetensors and what else maas_lm_is_wanted
 * names; files it does not know are left alone. */
maas_status maas_lm_source_open(const maas_lm_file *files, uint32_t n, maas_budget *budget,
                                maas_lm_source **out, maas_err *err);
/* Is this file of a Hugging Face folder one that a source reads? */
bool maas_lm_is_wanted(const char *path);
/* Is it of a low-rank adapter, "adapters/NAME.gguf", or "adapters/NAME/adapter_config.json" and
 * "../adapter_model.safetensors"? Such files belong to the model beside them. */
bool maas_lm_is_adapter(const char *path);
/* The name, once of each adapter; n 0: the file says none. */
maas_str maas_lm_adapter_of_path(const char *path);
enum { /* bits of the key maas.token_edges, a byte each token: how special tokens are found */
       MAAS_EDGE_LEFT = 1, /* blanks before it belong to it */
       MAAS_EDGE_RIGHT = 2 /* blanks after it */
};
void maas_lm_source_close(maas_lm_source *s); /* NULL is fine */

const char *maas_lm_source_format(const maas_lm_source *s); /* "gguf" or "safetensors" */
maas_str maas_lm_source_arch(const maas_lm_source *s);      /* "llama" */
/* A key may start with "%s.", which stands for the architecture. false: absent, or another kind.
 * Numbers convert. */
bool maas_lm_u64(const maas_lm_source *s, const char *key, uint64_t *out);
bool maas_lm_f64(const maas_lm_source *s, const char *key, double *out);
bool maas_lm_bool(const maas_lm_source *s, const char *key, bool *out);
bool maas_lm_str(const maas_lm_source *s, const char *key, maas_str *out);
const maas_lm_array *maas_lm_array_of(const maas_lm_source *s, const char *key); /* NULL */

uint32_t maas_lm_n_weights(const maas_lm_source *s);
const maas_lm_weight *maas_lm_weight_at(const maas_lm_source *s, uint32_t i);
const maas_lm_weight *maas_lm_weight_of(const maas_lm_source *s, const char *name); /* NULL */

/* Adapters, by their names, numbered from 1. What one adds to a weight, to be multiplied by scale:
 * b a, of a [rank][in] and b [out][rank], floats. */
typedef struct maas_lm_pair {
    const maas_lm_weight *a, *b;
    double scale;
} maas_lm_pair;
uint32_t maas_lm_n_adapters(const maas_lm_source *s);
maas_str maas_lm_adapter_name(const maas_lm_source *s, uint32_t i);
uint32_t maas_lm_adapter_of(const maas_lm_source *s, maas_str name); /* 0: there is none */
bool maas_lm_adapter_pair(const maas_lm_source *s, uint32_t i, const char *weight,
                          maas_lm_pair *out);
/* Its tensors, from 0; NULL behind the last one. */
const maas_lm_weight *maas_lm_adapter_tensor(const maas_lm_source *s, uint32_t i, uint32_t k);

#endif
