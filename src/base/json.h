/*
 * base/json.h - JSON of the control plane (jansson behind typed getters), and a pull scanner for
 * bodies whose big parts (tensors) must not become a tree.
 *
 * The scanner walks bytes it borrows; nothing is copied or allocated, depth is bounded by
 * MAAS_MAX_JSON_DEPTH without recursion, and errors name the byte offset.
 */
#ifndef MAAS_BASE_JSON_H
#define MAAS_BASE_JSON_H

#include <jansson.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/status.h"

/* ---- trees: small control-plane documents ---- */
/* Duplicate keys, depth over the limit and trailing bytes are refused; *out is a new reference. */
maas_status maas_json_parse(maas_span text, json_t **out, maas_err *err);
void maas_json_unref(json_t **j);                    /* for AUTO(maas_json_unref) json_t *j */
void maas_json_dump(const json_t *j, maas_buf *out); /* compact, keys in order of insertion */

/* Typed getters for request objects. Missing: the default stays and MAAS_OK; a wrong type or a
 * value outside the bounds is E_INVALID naming `key`. `where` names the object
 * ("params.optimizer"). */
maas_status maas_json_get_str(const json_t *o, const char *where, const char *key, const char **out,
                              maas_err *err);
maas_status maas_json_get_i64(const json_t *o, const char *where, const char *key, int64_t min,
                              int64_t max, int64_t *out, maas_err *err);
maas_status maas_json_get_f64(const json_t *o, const char *where, const char *key, double min,
                              double max, double *out, maas_err *err);
maas_status maas_json_get_bool(const json_t *o, const char *where, const char *key, bool *out,
                               maas_err *err);
/* E_INVALID naming the first key of `o` that is not in the NULL-ended list, with the nearest one.
 */
maas_status maas_json_only(const json_t *o, const char *where, const char *const *keys,
                           maas_err *err);

/* ---- scanner ---- */
typedef enum maas_json_kind {
    MAAS_JSON_END,    /* end of the text, document complete          */
    MAAS_JSON_OBJECT, /* '{': members follow, then MAAS_JSON_CLOSE   */
    MAAS_JSON_ARRAY,  /* '['                                         */
    MAAS_JSON_CLOSE,  /* the matching '}' or ']'                     */
    MAAS_JSON_KEY,    /* text: raw between the quotes                */
    MAAS_JSON_STRING, /* text: raw between the quotes, escapes as is */
    MAAS_JSON_NUMBER, /* text: the number                            */
    MAAS_JSON_TRUE,
    MAAS_JSON_FALSE,
    MAAS_JSON_NULL,
    MAAS_JSON_NONFINITE, /* NaN, Infinity, -Infinity (only with `nonfinite` set) */
    MAAS_JSON_ERROR
} maas_json_kind;

typedef struct maas_json_scan {
    maas_span rest; /* not yet read; a tensor decoder may consume an array itself: see take  */
    const uint8_t *start; /* for offsets */
    maas_span text;       /* of the last token */
    bool escaped;         /* the last KEY or STRING has a backslash in it */
    bool nonfinite;       /* accept NaN and Infinity tokens */
    uint8_t depth, state; /* private */
    uint64_t is_object;   /* private: a bit a level */
    maas_err err;         /* why MAAS_JSON_ERROR: words and byte offset */
} maas_json_scan;

void maas_json_scan_init(maas_json_scan *s, maas_span text);
maas_json_kind maas_json_next(maas_json_scan *s);
/* After OBJECT or ARRAY: past its end. After KEY, and where maas_json_at_value holds: past the
 * value. False on a syntax error. */
bool maas_json_skip(maas_json_scan *s);
/* A value is next: after KEY, at the start of the document, or in an array, whose comma it moves
 * over (so `while (maas_json_at_value(s))` walks an array; false at its end). Hands `rest`, at the
 * first byte of the value, to a decoder of the caller; call maas_json_took with where that stopped,
 * just past the value. */
bool maas_json_at_value(maas_json_scan *s);
bool maas_json_at_array(maas_json_scan *s); /* as above, and the value begins with '[' */
void maas_json_took(maas_json_scan *s, maas_span rest);
/* Text of a KEY or STRING with escapes resolved (\uD83D\uDE00 pairs too); NULL on no memory, or on
 * bad escapes in text that no scanner has checked. NUL-terminated; *out_n counts bytes. */
char *maas_json_unescape(maas_arena *a, maas_span raw, size_t *out_n);
size_t maas_json_offset(const maas_json_scan *s);

#endif
