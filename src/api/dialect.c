#include "api/dialect.h"

#include <string.h>

#include "base/ban.h"

typedef struct dialect_row {
    const char *name;
    void (*write)(const maas_status_info *info, const maas_err *err, maas_buf *out);
    bool triton_codes; /* malformed requests are 400, whatever was malformed about them */
} dialect_row;

static void write_object(const maas_status_info *info, const maas_err *err, maas_buf *out)
{
    maas_buf_printf(out, "{\"error\":{\"code\":\"%s\",\"message\":", info->name);
    maas_buf_json_str(out, err->msg, strlen(err->msg));
    maas_buf_str(out, "}}");
}

static void write_text(const maas_status_info *info, const maas_err *err, maas_buf *out)
{
    (void)info;
    maas_buf_str(out, "{\"error\":");
    maas_buf_json_str(out, err->msg, strlen(err->msg));
    maas_buf_char(out, '}');
}

static void write_mlflow(const maas_status_info *info, const maas_err *err, maas_buf *out)
{
    const char *code = info->http == 400   ? "BAD_REQUEST"
                       : info->http == 404 ? "RESOURCE_DOES_NOT_EXIST"
                       : info->http < 500  ? "INVALID_PARAMETER_VALUE"
                                           : "INTERNAL_ERROR";
    maas_buf_printf(out, "{\"error_code\":\"%s\",\"message\":", code);
    maas_buf_json_str(out, err->msg, strlen(err->msg));
    maas_buf_char(out, '}');
}

static void write_openai(const maas_status_info *info, const maas_err *err, maas_buf *out)
{
    const char *type = info->http == 401                       ? "authentication_error"
                       : info->http == 403                     ? "permission_error"
                       : info->http == 404                     ? "not_found_error"
                       : info->http == 429                     ? "rate_limit_error"
                       : info->http == 503                     ? "unavailable_error"
                       : info->http < 500 || info->http == 501 ? "invalid_request_error"
                                                               : "api_error";
    static const char too_long[] = "context_length_exceeded";
    maas_buf_str(out, "{\"error\":{\"message\":");
    maas_buf_json_str(out, err->msg, strlen(err->msg));
    maas_buf_printf(out, ",\"type\":\"%s\",\"param\":null,\"code\":", type);
    if (strncmp(err->msg, too_long, sizeof too_long - 1) == 0)
        maas_buf_printf(out, "\"%s\"}}", too_long);
    else
        maas_buf_str(out, "null}}");
}

static void write_anthropic(const maas_status_info *info, const maas_err *err, maas_buf *out)
{
    const char *type = info->http == 401   ? "authentication_error"
                       : info->http == 403 ? "permission_error"
                       : info->http == 404 ? "not_found_error"
                       : info->http == 413 ? "request_too_large"
                       : info->http == 429 ? "rate_limit_error"
                       : info->http == 503 ? "overloaded_error"
                       : info->http < 500  ? "invalid_request_error"
                                           : "api_error";
    maas_buf_printf(out, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", type);
    maas_buf_json_str(out, err->msg, strlen(err->msg));
    maas_buf_str(out, "}}");
}

static const dialect_row rows[MAAS_N_DIALECTS] = {
    [MAAS_DIALECT_MAAS] = {"maas", write_object, false},
    [MAAS_DIALECT_OIP] = {"oip", write_text, true},
    [MAAS_DIALECT_TFS] = {"tfserving", write_text, true},
    [MAAS_DIALECT_MLFLOW] = {"mlflow", write_mlflow, true},
    [MAAS_DIALECT_OPENAI] = {"openai", write_openai, true},
    [MAAS_DIALECT_ANTHROPIC] = {"anthropic", write_anthropic, true},
};

int maas_dialect_write_error(uint8_t dialect, const maas_err *err, maas_buf *out)
{
    const dialect_row *row = &rows[dialect < MAAS_N_DIALECTS ? dialect : MAAS_DIALECT_MAAS];
    const maas_status_info *info = maas_status_describe(err->code);
    row->write(info, err, out);
    const bool plain = dialect == MAAS_DIALECT_OPENAI && (info->http == 413 || info->http == 501);
    return plain || (row->triton_codes && (info->http == 409 || info->http == 422)) ? 400
                                                                                    : info->http;
}
