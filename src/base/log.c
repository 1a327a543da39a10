#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/ban.h"

maas_level maas_log_level = MAAS_LOG_INFO;
static int log_fd = STDERR_FILENO;
static const char *const level_names[] = {"error", "warn", "info", "debug"};

void maas_log_open(int fd, maas_level level)
{
    log_fd = fd;
    maas_log_level = level;
}

bool maas_level_parse(const char *text, maas_level *out)
{
    for (size_t i = 0; i < MAAS_COUNT(level_names); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *out = (maas_level)i;
            return true;
        }
    }
    return false;
}

/* Appends `text` with control characters as \xNN, so that no value can begin a line of its own. */
static size_t add_escaped(char *line, size_t at, size_t cap, const char *text)
{
    for (; *text; text++) {
        uint8_t c = (uint8_t)*text;
        bool plain = c >= 0x20 && c != 0x7f;
        if (cap - at < (plain ? 1 : 4))
            break;
        if (plain) {
            line[at++] = *text;
        } else {
            memcpy(line + at, "\\x", 2);
            line[at + 2] = "0123456789abcdef"[c >> 4];
            line[at + 3] = "0123456789abcdef"[c & 15];
            at += 4;
        }
    }
    return at;
}

/* A line is at most PIPE_BUF bytes: writes of that size to a pipe never mix with those of other
 * processes. What is longer ends in "...". */
void maas_log_write(maas_level lv, const char *fmt, ...)
{
    char text[PIPE_BUF], line[PIPE_BUF], time[32];
    int saved_errno = errno;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    maas_time_rfc3339(maas_wall_ms(), time);
    size_t at = (size_t)snprintf(line, 64, "time=%s level=%s ", time, level_names[lv]);
    size_t end = add_escaped(line, at, sizeof line - 4, text);
    if ((size_t)n >= sizeof text || end >= sizeof line - 8) {
        memcpy(line + end, "...", 3);
        end += 3;
    }
    line[end++] = '\n';
    maas_sys_write(log_fd, line, end, NULL); /* a full disk must not stop the server */
    errno = saved_errno;
}
