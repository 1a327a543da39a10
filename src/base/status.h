/*
 * base/status.h - what can go wrong, in one table, and the words for it.
 *
 * Statuses are numbers of the public header; status.def says name, HTTP code, retry and text of
 * each. The words travel in a caller-owned maas_err on the stack; the first cause wins.
 */
#ifndef MAAS_BASE_STATUS_H
#define MAAS_BASE_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maas.h"

typedef struct maas_status_info {
    const char *name; /* "E_INVALID": stable, part of the API */
    const char *text;
    uint16_t http;
    bool retry; /* may the client try the same request again? */
} maas_status_info;

/* Never NULL: an unknown number is described as E_INTERNAL. */
const maas_status_info *maas_status_describe(maas_status st);

/* Where it failed, in words. Lives on the caller's stack; never allocated. {0} is "no error". */
typedef struct maas_err {
    maas_status code;
    char msg[360];
} maas_err;

/* Records the first cause and returns `code`. `err` may be NULL. */
__attribute__((format(printf, 3, 4))) maas_status maas_fail(maas_err *err, maas_status code,
                                                            const char *fmt, ...);
/* Puts "what: " before the words that are there (outer context of an inner cause). */
__attribute__((format(printf, 2, 3))) void maas_err_prefix(maas_err *err, const char *fmt, ...);
/* E_NO_SPACE, E_NOT_FOUND, E_NOMEM or E_IO for an errno value. */
maas_status maas_status_of_errno(int err_no);

#define MAAS_TRY(expr)                                                                             \
    do {                                                                                           \
        maas_status st_ = (expr);                                                                  \
        if (st_ != MAAS_OK)                                                                        \
            return st_;                                                                            \
    } while (0)

/* Our own mistake, on a cold path or at a memory-safety boundary: checked in every build. */
#define MAAS_CHECK(c)                                                                              \
    do {                                                                                           \
        if (__builtin_expect(!(c), 0))                                                             \
            maas_panic(__FILE__, __LINE__, #c);                                                    \
    } while (0)
/* Our own mistake, in a hot loop: checked in debug and sanitizer builds. */
#ifdef NDEBUG
#define MAAS_ASSERT(c) ((void)sizeof(c))
#else
#define MAAS_ASSERT(c) MAAS_CHECK(c)
#endif
_Noreturn void maas_panic(const char *file, int line, const char *expr);

#define MAAS_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
