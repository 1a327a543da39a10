/*
 * lm/files.h - the files of a language model, mapped: what a source is opened from.
 *
 * Owns: maps and paths. Threads: one at a time while files are added, then any. Lifetime: outlives
 * the source. Fails: E_NOT_FOUND, E_IO, E_NOMEM; E_INVALID says what is no language model;
 * E_TOO_LARGE.
 */
#ifndef MAAS_LM_FILES_H
#define MAAS_LM_FILES_H

#include "base/sys.h"
#include "lm/source.h"

#define MAAS_MAX_LM_FILES 240 /* of one model: what one message to a child process can carry */

typedef struct maas_lm_files {
    maas_lm_file *list; /* [n] */
    maas_map *maps;
    uint32_t n;
    size_t cap_list, cap_maps;
    size_t bytes; /* of all */
} maas_lm_files;

bool maas_lm_is_format(const char *format); /* of a version: "gguf", "safetensors" */
/* Is the file of a version one that the model is read from? */
bool maas_lm_is_member(const char *path, const char *format);

maas_status maas_lm_files_add(maas_lm_files *f, const char *path, int fd, maas_err *err);
/* What is read of an adapter's folder, ends with NULL. */
extern const char *const maas_lm_adapter_files[];
/* A GGUF file, with the other parts when it is one of several, or a Hugging Face folder. Paths in
 * the list are names within the folder. */
maas_status maas_lm_files_open(maas_lm_files *f, const char *path, maas_err *err);
/* The same as a list of names in *folder (both to be freed by maas_lm_names_reset), unopened. */
typedef struct maas_lm_names {
    char *folder, **list; /* sorted */
    size_t n, cap;
} maas_lm_names;
maas_status maas_lm_names_of(const char *path, maas_lm_names *out, maas_err *err);
void maas_lm_names_reset(maas_lm_names *n);
/* Their pages leave this process's memory until they are read again: once weights are packed few
 * are. Threads: any, while they are read. */
void maas_lm_files_rest(const maas_lm_files *f);
void maas_lm_files_reset(maas_lm_files *f);

#endif
