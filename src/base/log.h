/*
 * base/log.h - structured lines: `time=... level=... key=value ...`.
 *
 * Only edges log (request handler, scheduler loop, main, worker main); code below them returns a
 * status and words. One process-wide sink, set up before threads start; writing is thread-safe
 * (one write(2) a line). The level is tested before arguments are evaluated.
 */
#ifndef MAAS_BASE_LOG_H
#define MAAS_BASE_LOG_H

#include <stdbool.h>

typedef enum maas_level { MAAS_LOG_ERROR, MAAS_LOG_WARN, MAAS_LOG_INFO, MAAS_LOG_DEBUG } maas_level;

extern maas_level maas_log_level; /* changed at run time by settings */

void maas_log_open(int fd, maas_level level);             /* fd: borrowed, usually 2 */
bool maas_level_parse(const char *text, maas_level *out); /* "error" .. "debug" */
/* `fmt` is key=value pairs; quote text values as \"%s\" (control characters are escaped). */
__attribute__((format(printf, 2, 3))) void maas_log_write(maas_level lv, const char *fmt, ...);
#define MAAS_LOG(lv, ...)                                                                          \
    do {                                                                                           \
        if ((lv) <= maas_log_level)                                                                \
            maas_log_write((lv), __VA_ARGS__);                                                     \
    } while (0)

#endif
