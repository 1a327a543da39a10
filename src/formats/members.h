/*
 * formats/members.h - files that come with a model's: by the names they have in the upload.
 *
 * A model says where its data is in words of its own ("model.onnx.data", "./weights/w0"). They are
 * names of members and nothing else: relative to the folder of the model's file, never above the
 * root of the upload, never a path of this machine.
 *
 * Borrows: names and bytes, which outlive whatever was read from them. Threads: one at a time
 * (`used` is written). Fails: E_FORMAT names the file that is asked for.
 */
#ifndef MAAS_FORMATS_MEMBERS_H
#define MAAS_FORMATS_MEMBERS_H

#include "base/buf.h"
#include "base/span.h"
#include "base/status.h"

#define MAAS_MAX_LOCATION 4096u /* bytes of a name */

typedef struct maas_member {
    const char *path; /* in the upload: "model.onnx", "onnx/model.onnx_data" */
    maas_span bytes;
    bool used; /* something was read from it */
} maas_member;

typedef struct maas_members {
    maas_member *list; /* [n]; the first one is the model */
    uint32_t n;
} maas_members;

/* Appends `location` without "." parts; E_FORMAT when it is absolute, has a part "..", or is none.
 */
maas_status maas_location_plain(const char *location, maas_buf *out, maas_err *err);
/* For maas_onnx_opts.external; user: maas_members. */
maas_status maas_members_external(void *user, const char *location, maas_span *out, maas_err *err);
maas_member *maas_members_find(const maas_members *m, const char *path); /* NULL */

#endif
