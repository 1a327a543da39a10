/* api/language.h - publishing a language model of several files. */
#ifndef MAAS_API_LANGUAGE_H
#define MAAS_API_LANGUAGE_H

#include "api/app.h"

/* Are the files of a manifest those of a Hugging Face folder, or parts of a split GGUF file? */
bool maas_is_language_manifest(const json_t *files);
/* Blobs as they are become a version, once the sandboxed importer has looked at them. Blocks: io
 * thread. */
maas_status maas_language_publish(maas_req *r, json_t *files, json_t **out, bool *created,
                                  maas_err *err);

#endif
