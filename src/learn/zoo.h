/*
 * learn/zoo.h - well-known networks by name: "layers": "resnet18" stands for the list in
 * zoo/resnet18.json. One more: a file there, and its name in meson.build.
 *
 * Threads: any. The lists are parsed once and live as long as the process.
 */
#ifndef MAAS_LEARN_ZOO_H
#define MAAS_LEARN_ZOO_H

#include "base/buf.h"
#include "base/json.h"

/* The list of layers, borrowed; NULL when there is no such network. */
const json_t *maas_zoo_layers(const char *name);
/* "lenet, mlp, ...": for messages. */
void maas_zoo_names(maas_buf *out);
/* What network `i` is, in a line; false past the last one. For documentation. */
bool maas_zoo_at(size_t i, const char **out_name, const char **out_help);

#endif
