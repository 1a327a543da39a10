/*
 * formats/savedmodel/bundle.c - checkpoints: variables.index, a sorted table of LevelDB's format
 * (github.com/google/leveldb, doc/table_format.md), and the shards that its entries point into
 * (tensorflow/core/protobuf/tensor_bundle.proto). Blocks and tensors carry a masked CRC-32C.
 */
#include "formats/savedmodel/sm_int.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/ban.h"

#define TABLE_MAGIC 0xdb4775248b80fb57ull
enum { FOOTER = 48, TRAILER = 5, MAX_KEYS = 1 << 20 };

/* ---- CRC-32C, polynomial 0x1EDC6F41, eight bytes a step ---- */

static uint32_t crc_table[8][256];

static void make_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = c >> 1 ^ (c & 1 ? 0x82f63b78u : 0);
        crc_table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++)
            crc_table[k][i] = crc_table[k - 1][i] >> 8 ^ crc_table[0][crc_table[k - 1][i] & 255];
}

uint32_t sm_crc(maas_span bytes)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    uint32_t c = ~0u;
    uint64_t v;
    uint8_t one;
    pthread_once(&once, make_table);
    while (maas_span_u64le(&bytes, &v)) {
        v ^= c;
        c = 0;
        for (int k = 0; k < 8; k++)
            c ^= crc_table[7 - k][v >> 8 * k & 255];
    }
    while (maas_span_u8(&bytes, &one))
        c = c >> 8 ^ crc_table[0][(c ^ one) & 255];
    c = ~c;
    return (c >> 15 | c << 17) + 0xa282ead8u;
}

/* ---- blocks ---- */

static bool varint(maas_span *b, uint64_t *out)
{
    uint8_t one;
    *out = 0;
    for (int shift = 0; shift < 64 && maas_span_u8(b, &one); shift += 7) {
        *out |= (uint64_t)(one & 0x7f) << shift;
        if (!(one & 0x80))
            return true;
    }
    return false;
}

static maas_status damaged(sm *s, const char *what)
{
    return maas_fail(s->err, MAAS_E_FORMAT, "variables.index: %s", what);
}

/* The entries of the block at a handle, without its list of restarts. Blocks begin at *from or
 * later, which moves to the end: no byte is summed for two of them. */
static maas_status block_at(sm *s, maas_span file, maas_span *handle, size_t *from, maas_span *out)
{
    uint64_t at, n;
    uint32_t n_restarts, crc;
    if (!varint(handle, &at) || !varint(handle, &n) || at > file.n || n > file.n - at ||
        file.n - at - n < TRAILER)
        return damaged(s, "a block lies outside of the file");
    if (at < *from)
        return damaged(s, "a block overlaps the one before it");
    *from = (size_t)(at + n) + TRAILER;
    maas_span block = {file.p + at, (size_t)n}, tail = {file.p + at + n + 1, 4};
    const uint8_t type = file.p[at + n];
    if (type != 0)
        return maas_fail(s->err, MAAS_E_UNSUPPORTED,
                         "variables.index: block at byte %llu is compressed (type %u)",
                         (unsigned long long)at, type);
    maas_span_u32le(&tail, &crc);
    if (sm_crc(maas_span_of(block.p, block.n + 1)) != crc)
        return maas_fail(s->err, MAAS_E_FORMAT,
                         "variables.index: block at byte %llu has another checksum",
                         (unsigned long long)at);
    maas_span last = {block.p + (block.n < 4 ? 0 : block.n - 4), 4};
    if (block.n < 4 || !maas_span_u32le(&last, &n_restarts) || n_restarts > (block.n - 4) / 4)
        return damaged(s, "the restarts of a block lie outside of it");
    *out = maas_span_of(block.p, block.n - 4 - 4 * (size_t)n_restarts);
    return MAAS_OK;
}

/* The next entry: a key begins with what it shares with the one before it. */
static maas_status next_entry(sm *s, maas_span *block, maas_span *key, maas_span *value)
{
    uint64_t shared, rest, n;
    maas_span more;
    if (!varint(block, &shared) || !varint(block, &rest) || !varint(block, &n) || shared > key->n ||
        rest > block->n || n > block->n - rest)
        return damaged(s, "an entry goes past the end of its block");
    maas_span_take(block, (size_t)rest, &more);
    maas_span_take(block, (size_t)n, value);
    if (shared == 0) { /* most keys of the index block, all restarts */
        *key = more;
        return MAAS_OK;
    }
    uint8_t *own = maas_arena_alloc(s->arena, (size_t)(shared + rest));
    if (!own)
        return maas_fail(s->err, MAAS_E_NOMEM, "no memory left for names of variables");
    memcpy(own, key->p, (size_t)shared);
    memcpy(own + shared, more.p, more.n);
    *key = maas_span_of(own, (size_t)(shared + rest));
    return MAAS_OK;
}

static int order_of(maas_span a, maas_span b)
{
    const size_t n = a.n < b.n ? a.n : b.n;
    const int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static maas_status keep(sm *s, maas_span key, maas_span value)
{
    sm_bundle *b = &s->bundle;
    if (b->n && order_of(b->entries[b->n - 1].key, key) >= 0)
        return damaged(s, "its keys are not in order");
    if (b->n == MAX_KEYS)
        return maas_fail(s->err, MAAS_E_TOO_LARGE, "variables.index: more than %d keys", MAX_KEYS);
    if (b->n == b->cap) {
        const size_t cap = b->cap ? 2 * b->cap : 64;
        sm_entry *more = maas_arena_array(s->arena, cap, sizeof *more);
        if (!more)
            return maas_fail(s->err, MAAS_E_NOMEM, "no memory left for names of variables");
        if (b->n)
            memcpy(more, b->entries, b->n * sizeof *more);
        b->entries = more;
        b->cap = cap;
    }
    b->entries[b->n++] = (sm_entry){key, value};
    return MAAS_OK;
}

static maas_status read_block(sm *s, maas_span file, maas_span handle, size_t *from)
{
    maas_span block = {0}, key = {0}, value;
    MAAS_TRY(block_at(s, file, &handle, from, &block));
    while (block.n) {
        MAAS_TRY(next_entry(s, &block, &key, &value));
        MAAS_TRY(keep(s, key, value));
    }
    return MAAS_OK;
}

/* BundleHeaderProto, under the empty key. */
static maas_status read_header(sm *s)
{
    static const maas_pb_row rows[] = {{1, MAAS_PB_INT, 0}, {2, MAAS_PB_INT, 8}};
    int64_t header[2] = {0};
    if (!s->bundle.n || s->bundle.entries[0].key.n)
        return damaged(s, "it has no header");
    const maas_pb r = maas_pb_open(s->bundle.entries[0].message, s->err);
    MAAS_TRY(maas_pb_decode(&r, rows, 2, header));
    if (header[1] != 0)
        return maas_fail(s->err, MAAS_E_UNSUPPORTED, "variables of a big-endian machine");
    if (header[0] < 1 || header[0] > 99999)
        return damaged(s, "its number of shards");
    s->bundle.n_shards = header[0];
    return MAAS_OK;
}

maas_status sm_bundle_read(sm *s, maas_span file)
{
    uint64_t magic, ignored;
    if (file.n < FOOTER)
        return damaged(s, "it is too short");
    maas_span footer = {file.p + file.n - FOOTER, FOOTER}, end = {file.p + file.n - 8, 8};
    maas_span index = {0}, key = {0}, handle;
    size_t from = 0, first = 0;
    maas_span_u64le(&end, &magic);
    if (magic != TABLE_MAGIC)
        return damaged(s, "it does not end as a table of LevelDB does");
    if (!varint(&footer, &ignored) || !varint(&footer, &ignored))
        return damaged(s, "its footer");
    MAAS_TRY(block_at(s, file, &footer, &first, &index));
    while (index.n) {
        MAAS_TRY(next_entry(s, &index, &key, &handle));
        MAAS_TRY(read_block(s, file, handle, &from));
    }
    return read_header(s);
}

const sm_entry *sm_bundle_find(const sm_bundle *b, maas_span key)
{
    size_t lo = 0, hi = b->n;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        const int c = order_of(b->entries[mid].key, key);
        if (c == 0)
            return &b->entries[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

/* ---- tensors ---- */

typedef struct entry_msg {
    int64_t type, shard, offset, size;
    maas_span shape;
    uint32_t n_slices;
    uint32_t crc;
} entry_msg;

/* Its numbers, and its bytes in the shard, which are checked. */
static maas_status entry_bytes(sm *s, const sm_entry *e, bool whole, entry_msg *m, maas_span *out)
{
    static const maas_pb_row rows[] = {
        {1, MAAS_PB_INT, offsetof(entry_msg, type)},
        {2, MAAS_PB_SPAN, offsetof(entry_msg, shape)},
        {3, MAAS_PB_INT, offsetof(entry_msg, shard)},
        {4, MAAS_PB_INT, offsetof(entry_msg, offset)},
        {5, MAAS_PB_INT, offsetof(entry_msg, size)},
        {7, MAAS_PB_COUNT, offsetof(entry_msg, n_slices)},
    };
    char name[80];
    maas_span shard;
    maas_pb_field f;
    maas_pb r = maas_pb_open(e->message, s->err);
    MAAS_TRY(maas_pb_decode(&r, rows, MAAS_COUNT(rows), m));
    while (maas_pb_next(&r, &f))
        if (f.number == 6 && f.wire == MAAS_PB_FIXED32)
            m->crc = (uint32_t)f.value;
    if (m->n_slices)
        return maas_fail(s->err, MAAS_E_UNSUPPORTED,
                         "it is stored in slices; save the model without a partitioner");
    if (m->shard < 0 || m->shard >= s->bundle.n_shards)
        return maas_fail(s->err, MAAS_E_FORMAT, "it lies in shard %lld of %lld",
                         (long long)m->shard, (long long)s->bundle.n_shards);
    snprintf(name, sizeof name, "variables/variables.data-%05d-of-%05d", (int)m->shard,
             (int)s->bundle.n_shards);
    MAAS_TRY(s->o->external(s->o->user, name, &shard, s->err));
    if (m->offset < 0 || m->size < 0 || (uint64_t)m->offset > shard.n ||
        (uint64_t)m->size > shard.n - (uint64_t)m->offset)
        return maas_fail(s->err, MAAS_E_FORMAT, "its %lld bytes at %lld are not in %s",
                         (long long)m->size, (long long)m->offset, name);
    *out = maas_span_of(shard.p + m->offset, (size_t)m->size);
    if (whole && sm_crc(*out) != m->crc)
        return maas_fail(s->err, MAAS_E_FORMAT, "its bytes in %s have another checksum", name);
    return MAAS_OK;
}

maas_status sm_bundle_tensor(sm *s, maas_graph *g, const sm_entry *e, maas_tensor *out)
{
    entry_msg m = {0};
    maas_span bytes;
    size_t wanted = 0;
    int64_t dims[MAAS_MAX_RANK];
    MAAS_TRY(entry_bytes(s, e, true, &m, &bytes));
    const maas_pb shape = maas_pb_open(m.shape, s->err);
    const int rank = sm_shape(s, &shape, dims);
    const maas_dtype t = sm_dtype(m.type);
    MAAS_TRY(s->status);
    if (t == MAAS_DT_NONE || t == MAAS_STRING)
        return maas_fail(s->err, MAAS_E_UNSUPPORTED, "its elements are of type %lld",
                         (long long)m.type);
    if (rank < 0)
        return maas_fail(s->err, MAAS_E_FORMAT, "it has no shape");
    MAAS_TRY(maas_shape_bytes(t, dims, rank, &wanted, s->err));
    if (wanted != bytes.n)
        return maas_fail(s->err, MAAS_E_FORMAT, "it has %zu bytes, its shape %zu", bytes.n, wanted);
    MAAS_TRY(sm_check_cells(s, t, bytes));
    const void *data = bytes.p;
    if ((uintptr_t)data % maas_dtype_size(t)) /* texts come before it in the file */
        data = maas_arena_dup(&g->arena, bytes.p, bytes.n);
    if (!data)
        return maas_fail(s->err, MAAS_E_NOMEM, "no memory left for a variable");
    *out = maas_tensor_of(t, rank, dims, (void *)(uintptr_t)data); /* never written */
    return MAAS_OK;
}

/* Strings: their lengths, a checksum of those, their bytes. The checksum of the entry is over more
 * than the bytes. */
maas_status sm_bundle_string(sm *s, const sm_entry *e, maas_span *out)
{
    entry_msg m = {0};
    uint64_t n;
    MAAS_TRY(entry_bytes(s, e, false, &m, out));
    if (sm_dtype(m.type) != MAAS_STRING || !varint(out, &n) || !maas_span_skip(out, 4) ||
        n != out->n)
        return maas_fail(s->err, MAAS_E_FORMAT, "it is not one string");
    return MAAS_OK;
}
