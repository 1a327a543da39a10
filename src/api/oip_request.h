/*
 * api/oip_request.h - the body of POST /v2/models/{m}/infer, read as it comes off the socket.
 *
 *   Inference-Header-Content-Length: H
 *   |<---- H bytes of JSON ---->|<- input 0 ->|<- input 1 ->| ...   binary tensors, in order
 *
 * JSON bytes are collected; once they are complete they are parsed, and binary tensor bytes go from
 * the socket's buffer straight to where the model reads them: one copy. JSON tensors are decoded
 * straight into typed arrays: no tree.
 *
 * Owns: nothing; everything is in the request's arena. Fails: E_INVALID naming input and offset.
 */
#ifndef MAAS_API_OIP_REQUEST_H
#define MAAS_API_OIP_REQUEST_H

#include "api/infer.h"

typedef struct maas_oip_input {
    maas_str name;
    maas_tensor tensor; /* BYTES tensors: data is made when the bytes are complete */
    bool has_binary;
    size_t binary_bytes, got; /* binary_data_size, and how many are here */
    uint8_t *binary;          /* [binary_bytes] in the arena */
} maas_oip_input;

typedef struct maas_oip_output {
    maas_str name;
    int binary;             /* 1, 0; -1: as the request says */
    int64_t classification; /* top-k; 0: off */
} maas_oip_output;

typedef struct maas_oip_request {
    maas_arena *arena;
    char *id; /* NULL when not sent */
    maas_oip_input *inputs;
    maas_oip_output *outputs;
    uint32_t n_inputs, n_outputs;
    bool binary_output; /* request parameter binary_data_output */
    bool raw;           /* Inference-Header-Content-Length: 0 */
    uint64_t timeout_us;
    char *sequence_id; /* NULL: of no sequence */
    bool sequence_start, sequence_end;
    struct maas_turn *turn; /* api/sequence.c */
    const bool *hidden; /* [outputs of the model]: not in an answer that names none; NULL: none */
    /* reading state */
    maas_buf json;       /* in the arena */
    uint64_t json_bytes; /* how long the JSON is; UINT64_MAX: the whole body */
    uint64_t
        binary_left;  /* bytes behind the JSON that no input has claimed; more is not believed */
    uint32_t filling; /* the input that gets the next binary byte */
    bool parsed;
} maas_oip_request;

/* At the first piece of the body: header_length is the value of Inference-Header-Content-Length or
 * NULL, total the Content-Length or UINT64_MAX. */
maas_status maas_oip_request_begin(maas_oip_request *q, maas_arena *a, const char *header_length,
                                   uint64_t total, uint64_t max, maas_err *err);
maas_status maas_oip_request_feed(maas_oip_request *q, maas_span piece, maas_err *err);
/* The body is complete: everything is parsed and every byte accounted for. */
maas_status maas_oip_request_end(maas_oip_request *q, maas_err *err);

/* The parsed body of a route that reads with maas_oip_infer_body; NULL and words when it is wrong.
 */
maas_oip_request *maas_oip_request_of(maas_req *r, maas_err *err);
/* own: a maas_oip_request */
extern const maas_codec maas_oip_codec;
/* Answers with these tensors instead of the model's outputs; `parameters`: members of that object,
 * as JSON, or NULL. */
maas_status maas_oip_reply_tensors(maas_prediction *q, const maas_oip_request *o,
                                   const char *const *names, const maas_tensor *t, uint32_t n,
                                   const char *parameters, maas_err *err);

#endif
