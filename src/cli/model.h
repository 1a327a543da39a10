/* cli/model.h - what is said about models. */
#ifndef MAAS_CLI_MODEL_H
#define MAAS_CLI_MODEL_H

#include "cli/client.h"

/*
 * "name", "name:3" or "name@alias" -> name and version number, as the server resolves them: a bare
 * name is @production, else the newest. *out_model, if asked for, is the answer of
 * GET /api/v1/models/{name}. E_NOT_FOUND names what is not there.
 */
maas_status maas_cli_model_resolve(maas_cli *cli, const char *spec, char name[MAAS_MAX_NAME + 1],
                                   int64_t *out_version, json_t **out_model, maas_err *err);
/* GET /api/v1/models/{name}/versions/{v} */
maas_status maas_cli_model_version(maas_cli *cli, const char *name, int64_t version, json_t **out,
                                   maas_err *err);
/* The page of `maas models show`; model: for its aliases. */
void maas_cli_model_print(const json_t *model, const json_t *version);

/* A folder, or a part of a GGUF file that is split: what is sent file by file. */
bool maas_is_lm_folder(const char *path);
/* adapters: "NAME=FILE,NAME=FILE", or NULL. */
maas_status maas_import_lm(maas_cli *cli, const char *model, const char *path, const char *adapters,
                           json_t **out, maas_err *err);

/* The form that a model is sent in: its file, and those that it says its data is in. */
typedef struct maas_model_parts {
    maas_http_part *list; /* [n] */
    size_t n, cap;
    maas_arena names;
} maas_model_parts;
maas_status maas_model_parts_of(maas_model_parts *p, const char *file, maas_err *err);
/* path NULL: nothing is added. */
maas_status maas_model_parts_add(maas_model_parts *p, const char *name, const char *path,
                                 const char *as, maas_err *err);
void maas_model_parts_reset(maas_model_parts *p);

#endif
