#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ban.h"

#define X(name, no, http, retry, text)                                                             \
    _Static_assert(MAAS_##name == (no), "maas.h disagrees on " #name);
#include "status.def"
#undef X

const maas_status_info *maas_status_describe(maas_status st)
{
    static const maas_status_info table[] = {
#define X(name, no, http, retry, text) [no] = {#name, text, http, retry},
#include "status.def"
#undef X
    };
    return &table[st >= 0 && (size_t)st < MAAS_COUNT(table) ? st : MAAS_E_INTERNAL];
}

const char *maas_status_text(maas_status st)
{
    return maas_status_describe(st)->text;
}

maas_status maas_fail(maas_err *err, maas_status code, const char *fmt, ...)
{
    if (err && err->code == MAAS_OK) { /* the first cause wins */
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(err->msg, sizeof err->msg, fmt, ap);
        va_end(ap);
        err->code = code;
    }
    return code;
}

void maas_err_prefix(maas_err *err, const char *fmt, ...)
{
    if (!err)
        return;
    char text[2 * sizeof err->msg];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof err->msg, fmt, ap);
    va_end(ap);
    size_t at = n < 0 ? 0 : (size_t)n < sizeof err->msg ? (size_t)n : sizeof err->msg - 1;
    snprintf(text + at, sizeof text - at, ": %s", err->msg);
    text[sizeof err->msg - 1] = '\0';
    memcpy(err->msg, text, sizeof err->msg);
}

maas_status maas_status_of_errno(int err_no)
{
    switch (err_no) {
    case ENOSPC:
    case EDQUOT:
        return MAAS_E_NO_SPACE;
    case ENOENT:
        return MAAS_E_NOT_FOUND;
    case ENOMEM:
        return MAAS_E_NOMEM;
    case EFBIG:
        return MAAS_E_TOO_LARGE;
    default:
        return MAAS_E_IO;
    }
}

_Noreturn void maas_panic(const char *file, int line, const char *expr)
{
    fprintf(stderr, "panic: %s:%d: %s\n", file, line, expr);
    abort();
}
