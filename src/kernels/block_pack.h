/*
 * kernels/block_pack.h - a matrix in blocks (tensor/quant.h), repacked for products of bytes: 16
 * rows side by side, so that one vector holds four columns of each.
 *
 * A tile is 16 rows; in it, 32 columns after 32:
 *
 *   codes   2 bits: 2 vectors of 64 bytes; bits 2t of byte 4r + j of vector h are, for row r, those
 *           of column 16h + 4t + j. 4 bits: 4 vectors; byte 4r + j of vector g holds column 8g + j
 *           in its low and 8g + 4 + j in its high half. 8 bits: 8 vectors, byte 4r + j of vector g
 *           holds column 4g + j
 *   high    2 more bits: 2 vectors as for 2 bits. 1 more bit: 1 vector; bit t is of column 4t + j
 *   scales  by kind
 *
 * Rows that do not fill a tile are zeros. Packs are shared: every plan of a model that has the same
 * weights gets the same one. A tile is packed when it is read for the first time, by who reads it:
 * so all threads pack, and experts that nobody asks are not packed at all.
 *
 * Owns: its memory, charged to no budget. Borrows: the matrix. Threads: acquire and release any
 * (one lock, a leaf); tiles any. Fails: E_NOMEM.
 */
#ifndef MAAS_KERNELS_BLOCK_PACK_H
#define MAAS_KERNELS_BLOCK_PACK_H

#include <stdatomic.h>

#include "kernels/kernel.h"
#include "ops/block_matmul.h"

enum { MAAS_BLOCK_TILE = 16, MAAS_BLOCK_COLS = 32 };

typedef enum maas_block_scales {
    MAAS_BLOCK_D,  /* f16 d[16] for 32 columns                                              */
    MAAS_BLOCK_DM, /* f16 d[16], f16 m[16]: the number is d * code + m                      */
    MAAS_BLOCK_E8, /* u8 e[16]: 2^(e - 128) * code                                          */
    MAAS_BLOCK_K2, /* u8 s[2][16], u8 m[2][16] for 16 columns each; before 256 columns      */
                   /* f16 d[16], f16 dmin[16]: d * s * code - dmin * m                      */
    MAAS_BLOCK_K4, /* the same with u8 s[16], u8 m[16] for 32 columns                       */
    MAAS_BLOCK_K6  /* i8 s[2][16] for 16 columns each; before 256 columns f16 d[16]         */
} maas_block_scales;

typedef struct maas_block_form {
    uint32_t type;        /* ggml's number                                                   */
    uint8_t low, high;    /* bits of a code                                                  */
    uint8_t zero;         /* what is taken from codes, or makes values unsigned              */
    uint8_t top;          /* the largest unsigned number                                     */
    const int8_t *values; /* 16 numbers that codes stand for; NULL: codes are numbers        */
    float unit;           /* of d of 256 columns                                             */
    maas_block_scales scales;
} maas_block_form;
bool maas_block_form_of(uint32_t type, maas_block_form *out); /* false: it is not packed */

static inline size_t maas_block_part_bytes(const maas_block_form *f) /* of 32 columns of a tile */
{
    static const uint8_t scales[] = {
        [MAAS_BLOCK_D] = 32,  [MAAS_BLOCK_DM] = 64, [MAAS_BLOCK_E8] = 16,
        [MAAS_BLOCK_K2] = 64, [MAAS_BLOCK_K4] = 32, [MAAS_BLOCK_K6] = 32};
    return (size_t)f->low * 64 + (size_t)f->high * 64 + scales[f->scales];
}
static inline size_t maas_block_head_bytes(const maas_block_form *f) /* before 256 columns */
{
    static const uint8_t heads[] = {
        [MAAS_BLOCK_K2] = 64, [MAAS_BLOCK_K4] = 64, [MAAS_BLOCK_K6] = 32};
    return heads[f->scales];
}

typedef struct maas_block_pack {
    maas_block_form form;
    int64_t n, k;
    size_t tile_bytes;
    uint8_t *data;          /* [tiles][tile_bytes] */
    _Atomic uint8_t *state; /* [tiles] */
} maas_block_pack;
enum { MAAS_BLOCK_NEW, MAAS_BLOCK_SEEN, MAAS_BLOCK_BUSY, MAAS_BLOCK_READY }; /* a tile */

maas_status maas_block_pack_acquire(const maas_block_w *w, const void *data,
                                    const maas_block_pack **out, maas_err *err);
void maas_block_pack_release(void *pack); /* NULL is fine */
size_t maas_block_tile_bytes(const maas_block_w *w);
/* A tile that is not kept yet: in `room`, of maas_block_tile_bytes, or kept from now on. */
const uint8_t *maas_block_pack_make(const maas_block_pack *p, int64_t tile, uint8_t *room);
static inline const uint8_t *maas_block_pack_tile(const maas_block_pack *p, int64_t tile,
                                                  uint8_t *room)
{
    if (atomic_load_explicit(&p->state[tile], memory_order_acquire) != MAAS_BLOCK_READY)
        return maas_block_pack_make(p, tile, room);
    return p->data + (size_t)tile * p->tile_bytes;
}

#endif
