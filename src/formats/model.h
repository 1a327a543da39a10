/*
 * formats/model.h - files of models: one row a format; and what can be said about a model without
 * running it. One reader per file, chosen by content (or by name), never "try the next".
 */
#ifndef MAAS_FORMATS_MODEL_H
#define MAAS_FORMATS_MODEL_H

#include <jansson.h>

#include "formats/onnx.h"

typedef struct maas_model_format {
    const char *name;             /* "onnx" */
    const char *suffixes;         /* ".onnx" */
    int (*probe)(maas_span head); /* 0: not mine ... 100: certain */
    maas_status (*read)(maas_span file, maas_budget *budget, maas_graph **out, maas_err *err);
    /* A model with parts in other files; NULL: the format has none. */
    maas_status (*read_with)(maas_span file, const maas_onnx_opts *o, maas_graph **out,
                             maas_err *err);
} maas_model_format;

extern const maas_model_format maas_model_formats[];
extern const size_t maas_n_model_formats;

/* name NULL: by content. E_UNSUPPORTED lists what is known; E_INVALID for an unknown name. */
maas_status maas_model_format_find(maas_span file, const char *name, const maas_model_format **out,
                                   maas_err *err);

/* [{"name","datatype","shape"}] of inputs or outputs (OIP datatypes, -1 for any size). */
json_t *maas_model_ports(const maas_graph *g, const maas_vid *ids, uint32_t n);
/* {"layers":[{"op","name","output","shape","parameters","bytes",
 *  "flops_per_row"}],"parameters","bytes","flops_per_row",
 *  "meta":{...}}; NULL when out of memory. Symbolic sizes count as 1. */
json_t *maas_model_info(const maas_graph *g);

#endif
