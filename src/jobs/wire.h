/*
 * jobs/wire.h - messages between server, helper and children.
 *
 * server <-> helper: fixed records over a SOCK_SEQPACKET pair, descriptors attached (SCM_RIGHTS).
 * server <-> child: JSON documents with a length before them, over a stream socketpair.
 */
#ifndef MAAS_JOBS_WIRE_H
#define MAAS_JOBS_WIRE_H

#include "base/json.h"
#include "jobs/sandbox.h"
#include "lm/files.h"

typedef enum maas_child_kind {
    MAAS_CHILD_IMPORT_MODEL,
    MAAS_CHILD_IMPORT_TABLE,
    MAAS_CHILD_IMAGES,
    MAAS_CHILD_WORKER
} maas_child_kind;

typedef struct maas_wire_order { /* server -> helper */
    uint64_t id;
    uint32_t kill_signal; /* not 0: signal the child `id`; nothing else is read */
    uint32_t kind;        /* maas_child_kind; descriptors: control, output, inputs; */
                          /* of IMAGES and workers control alone     */
    maas_sandbox_limits limits;
    int32_t n_cores, nice;
} maas_wire_order;

typedef struct maas_wire_ended { /* helper -> server */
    uint64_t id;
    int32_t wait_status; /* as waitpid gives it */
} maas_wire_ended;

#define MAAS_WIRE_MAX_FDS (2 + MAAS_MAX_LM_FILES)
/* One record with its descriptors; they stay the caller's. */
maas_status maas_wire_send(int fd, const void *record, size_t n, const int *fds, int n_fds,
                           maas_err *err);
/* *out_n_fds descriptors arrive (CLOEXEC), yours. False: end of the connection, or a bad record. */
bool maas_wire_receive(int fd, void *record, size_t n, int fds[MAAS_WIRE_MAX_FDS], int *out_n_fds);

/* Blocking; all n bytes or E_UNAVAILABLE, E_TIMEOUT after timeout_ms (-1: none). */
maas_status maas_wire_get_bytes(int fd, int timeout_ms, void *p, size_t n, maas_err *err);

#define MAAS_WIRE_MAX_JSON (256u << 20)
/* Blocking; u32 length, then compact JSON. */
maas_status maas_wire_put_json(int fd, const json_t *j, maas_err *err);
/* Waits up to timeout_ms (-1: for ever) for the whole document. E_UNAVAILABLE: the peer closed;
 * E_TIMEOUT. */
maas_status maas_wire_get_json(int fd, int timeout_ms, json_t **out, maas_err *err);

#endif
