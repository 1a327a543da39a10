/*
 * formats/onnx.h - ONNX ModelProto, both ways, through our own bounded protobuf codec.
 *
 * Reading: bytes in, graph of the internal opset out. Tensor data in raw_data is borrowed from the
 * bytes (zero copy; misaligned data is copied), so they must outlive the graph. Opset 1
 * to the newest of onnx.proto; older operator forms are converted by rows of a table. External data
 * is resolved only through the callback (formats/members.h: files of the upload).
 * What was accepted is safe to run: every index, shape and reference was checked.
 *
 * Writing: the lowest opset that can say the graph; constants in raw_data; variables as
 * initializers with their current value.
 *
 * Fails: E_FORMAT with the byte offset, E_UNSUPPORTED naming operator and opset, E_NOMEM past the
 * budget. Threads: any.
 */
#ifndef MAAS_FORMATS_ONNX_H
#define MAAS_FORMATS_ONNX_H

#include "graph/graph.h"

typedef struct maas_onnx_opts {
    maas_budget *budget; /* of the graph; may be NULL */
    /* Bytes of a member of the manifest; NULL: external data is refused. */
    maas_status (*external)(void *user, const char *location, maas_span *out, maas_err *err);
    /* Told of bytes of the file or of a member, a megabyte or more, that the graph has copied (they
     * lie as no processor reads them well): whoever mapped them may give their pages back. NULL:
     * nobody. */
    void (*copied)(void *user, maas_span bytes);
    void *user;
    /* Asked about each initializer of the model's graph (not of its subgraphs): may give it other
     * data of the same shape and type, which must outlive the graph. NULL: they stay. */
    maas_status (*weight)(void *weights, const char *name, maas_tensor *t, maas_err *err);
    void *weights;
} maas_onnx_opts;

maas_status maas_onnx_read(maas_span file, const maas_onnx_opts *opts, maas_graph **out,
                           maas_err *err);
/* Calls fn with each file that tensors of the model are in, as often as it is named, without
 * reading the rest; names are NUL-terminated and live for the call. */
maas_status maas_onnx_externals(maas_span file,
                                maas_status (*fn)(void *user, const char *location, maas_err *err),
                                void *user, maas_err *err);
int maas_onnx_probe(maas_span head); /* 0: not ONNX ... 100: certain */
/* Appends the file to `out` (its max bounds it). vars: current value of a variable or NULL. */
maas_status maas_onnx_write(const maas_graph *g,
                            const maas_tensor *(*vars)(void *user, const char *name), void *user,
                            maas_buf *out, maas_err *err);
/* How many bytes the file of g has: as maas_onnx_write says it, with nothing written. */
maas_status maas_onnx_size(const maas_graph *g, uint64_t *out, maas_err *err);

#endif
