/*
 * api/dialect.h - whose language a route speaks: the shape of its errors.
 * A dialect is a row of dialect.c.
 */
#ifndef MAAS_API_DIALECT_H
#define MAAS_API_DIALECT_H

#include "http/http.h"

typedef enum maas_dialect {
    MAAS_DIALECT_MAAS,      /* {"error":{"code":"E_...","message":"..."}}        */
    MAAS_DIALECT_OIP,       /* {"error":"..."}; 422 and 4xx of ours become Triton's */
    MAAS_DIALECT_TFS,       /* {"error":"..."}                                   */
    MAAS_DIALECT_MLFLOW,    /* {"error_code":"...","message":"..."}              */
    MAAS_DIALECT_OPENAI,    /* {"error":{"message","type","param","code"}}            */
    MAAS_DIALECT_ANTHROPIC, /* {"type":"error","error":{"type","message"}} */
    MAAS_N_DIALECTS
} maas_dialect;

/* For maas_http_opts.write_error. */
int maas_dialect_write_error(uint8_t dialect, const maas_err *err, maas_buf *out);

#endif
