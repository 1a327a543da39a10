/*
 * formats/source.h - the bytes of a file from front to back: as they are, or inflated on the way.
 *
 * A reader asks for a window at the current position and moves on; how much of an inflated file is
 * in memory is what the readers ask for at once, never the whole. A plain file is its own window,
 * so nothing is copied and pointers into it stay valid (`plain`).
 *
 * Owns: the inflate buffer, charged to the budget. Borrows: the file's bytes.
 * Fails: E_FORMAT on damaged compression, E_TOO_LARGE on a bomb (total or ratio), E_NOMEM.
 */
#ifndef MAAS_FORMATS_SOURCE_H
#define MAAS_FORMATS_SOURCE_H

#include "base/arena.h"
#include "base/span.h"
#include "base/status.h"

/* What a compressed file may become: the smaller of a total, and a floor plus a ratio (deflate
 * itself reaches 1032; images of digits and clothes stay below 20). */
#define MAAS_MAX_UNPACKED (1ull << 38)
#define MAAS_UNPACK_FLOOR (256ull << 20)
#define MAAS_UNPACK_RATIO 256ull
/* The most of an inflated file that is in memory at once: also the longest line or record. */
#define MAAS_MAX_WINDOW ((size_t)256 << 20)

typedef enum maas_packing {
    MAAS_PACKING_NONE,
    MAAS_PACKING_GZIP,
    MAAS_PACKING_DEFLATE /* a member of a zip file */
} maas_packing;

typedef struct maas_source {
    maas_span file;  /* packed or plain                        */
    bool plain;      /* windows point into `file`, for its life */
    uint64_t offset; /* of the current position, in plain bytes */
    uint32_t crc;    /* CRC-32 of what was inflated (DEFLATE only) */

    /* private */
    maas_budget *budget;
    maas_packing packing;
    void *inflater; /* z_stream */
    uint8_t *buf;   /* [start, fill) is the window */
    size_t cap, start, fill;
    uint64_t made; /* plain bytes so far */
    bool ended;
} maas_source;

maas_status maas_source_open(maas_source *s, maas_span file, maas_packing packing,
                             maas_budget *budget, maas_err *err);
/* GZIP when the file starts with its magic number, else NONE. */
maas_packing maas_source_packing(maas_span file);
void maas_source_close(maas_source *s);
/* At least `want` bytes at the current position; fewer only when the data ends (*last: nothing
 * follows the window). Borrowed until the next call. */
maas_status maas_source_window(maas_source *s, size_t want, maas_span *out, bool *last,
                               maas_err *err);
void maas_source_advance(maas_source *s, size_t n); /* n <= the last window */
maas_status maas_source_rewind(maas_source *s, maas_err *err);
/* Plain bytes seen since the start or the last rewind: after a walk, the size of the file. */
static inline uint64_t maas_source_bytes(const maas_source *s)
{
    return s->plain ? s->file.n : s->made;
}

#endif
