/*
 * api/upload.h - bodies too large for memory: they go to unnamed files as they arrive.
 *
 * A plain body is one part; multipart/form-data has one part a field. Owned by the request: its
 * files vanish with it unless a digest was linked.
 */
#ifndef MAAS_API_UPLOAD_H
#define MAAS_API_UPLOAD_H

#include "api/app.h"

typedef struct maas_upload_part {
    struct maas_upload_part *next;
    const char *name;      /* field; "" for a plain body */
    const char *file_name; /* NULL when not sent */
    int fd;
    uint64_t bytes;
} maas_upload_part;

typedef struct maas_upload {
    maas_req *req;
    maas_upload_part *parts, **tail;
    maas_multipart *multipart; /* NULL: plain */
    maas_sha256 hash;          /* of the whole body, when an Idempotency-Key was sent */
    uint64_t bytes;
} maas_upload;

/* For routes: maas_route.on_body. */
maas_status maas_upload_body(maas_req *r, maas_span piece, maas_err *err);
/* In the handler: the complete upload. E_INVALID for an empty or broken body. */
maas_status maas_upload_finish(maas_req *r, maas_upload **out, maas_err *err);
/* Hex digest of the body for Idempotency-Key; NULL when none was asked for. In the arena. */
const char *maas_upload_digest(maas_upload *u);

#endif
