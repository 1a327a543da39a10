/* api/reply.h - the last line of most handlers. */
#ifndef MAAS_API_REPLY_H
#define MAAS_API_REPLY_H

#include "base/json.h"
#include "http/http.h"

/* The bytes of an arena buffer; a buffer that overflowed is E_NOMEM. */
void maas_reply_json(maas_req *r, int http_status, maas_buf *in_arena);
/* A tree; takes the reference. NULL is E_NOMEM. */
void maas_reply_tree(maas_req *r, int http_status, json_t *tree);
/* 204, or the error. For deletes and the like. */
void maas_reply_status(maas_req *r, maas_status st, const maas_err *err);
/* The JSON object of the body; a new reference. E_INVALID when it is none. */
maas_status maas_body_object(maas_req *r, json_t **out, maas_err *err);

#endif
