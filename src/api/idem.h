/*
 * api/idem.h - Idempotency-Key: the same request twice has one effect and one answer.
 *
 * On the io thread: maas_idem_begin before the work; when it replies (true) there is nothing left
 * to do. maas_idem_reply answers and remembers the answer under the key. A second request whose key
 * is still being worked on is E_CONFLICT at once (it would hold a thread): the client asks again.
 */
#ifndef MAAS_API_IDEM_H
#define MAAS_API_IDEM_H

#include "api/app.h"

typedef struct maas_idem {
    struct maas_idem *next; /* of those under way; private */
    maas_req *req;
    const char *key; /* NULL: the client sent none */
    char request_hex[MAAS_SHA256_HEX];
} maas_idem;

/* `body_hex`: digest of the body (streamed uploads), or NULL for a buffered one. */
bool maas_idem_begin(maas_idem *i, maas_req *r, const char *body_hex);
void maas_idem_reply(maas_idem *i, int http_status, json_t *body); /* takes body */
void maas_idem_fail(maas_idem *i, const maas_err *err);            /* errors are not remembered */

#endif
