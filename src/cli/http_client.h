/*
 * cli/http_client.h - requests to a maas server, through libcurl opened at run time.
 *
 * The library is found by name ("libcurl.so.4") when the first client command needs it, so a
 * server, a worker or `maas run` neither loads nor needs it.
 *
 * Owns: one connection, kept alive between calls. Threads: one at a time.
 * Fails: E_UNAVAILABLE when no server answers; an HTTP error is no failure here: see `status`.
 */
#ifndef MAAS_CLI_HTTP_CLIENT_H
#define MAAS_CLI_HTTP_CLIENT_H

#include "base/buf.h"
#include "base/status.h"

typedef struct maas_http_client maas_http_client;

typedef struct maas_http_part { /* of a multipart/form-data body */
    const char *name;
    const char *file; /* path of the bytes, streamed */
    const char *as;   /* the name that is sent for it; NULL: the last part of the path */
} maas_http_part;

typedef struct maas_http_call {
    const char *method, *path;   /* path: encoded, with the query */
    const char *const *headers;  /* "Name: value", NULL-ended; may be NULL */
    maas_span body;              /* p NULL: none */
    const char *file;            /* or: the body is this file, streamed */
    const maas_http_part *parts; /* or: a form */
    size_t n_parts;
    void *user;
    /* Receives the body of a 2xx answer instead of response.body; false ends the call quietly. */
    bool (*sink)(void *user, maas_span piece);
    /* About once a second and whenever bytes move; false ends the call with E_CANCELLED. */
    bool (*progress)(void *user, uint64_t sent, uint64_t to_send, uint64_t got, uint64_t to_get);
} maas_http_call;

typedef struct maas_http_response { /* init with MAAS_HTTP_RESPONSE_INIT, free with reset */
    int status;
    maas_buf body;
    uint64_t header_bytes; /* Inference-Header-Content-Length; 0: all of it is JSON */
} maas_http_response;
#define MAAS_HTTP_RESPONSE_INIT                                                                    \
    {                                                                                              \
        .body = MAAS_BUF_INIT(1ull << 32)                                                          \
    }

/* url: "http://host:port"; key and ca_file may be NULL. */
maas_status maas_http_client_create(const char *url, const char *key, const char *ca_file,
                                    maas_http_client **out, maas_err *err);
void maas_http_client_destroy(maas_http_client *c);
maas_status maas_http_client_run(maas_http_client *c, const maas_http_call *call,
                                 maas_http_response *out, maas_err *err);
static inline void maas_http_response_reset(maas_http_response *r)
{
    maas_buf_reset(&r->body);
    r->status = 0;
    r->header_bytes = 0;
}
/* Appends one path segment, percent-encoded. */
void maas_url_segment(maas_buf *b, const char *text);

#endif
