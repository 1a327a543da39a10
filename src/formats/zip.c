/*
 * formats/zip.c - see zip.h.
 *
 *   local header  50 4b 03 04, ..., name length at 26, extra length at 28, name, extra, data
 *   ...           one a member
 *   directory     50 4b 01 02, ... one entry a member: method at 10, CRC at 16, sizes at 20 and 24
 *   end           50 4b 05 06, entries at 10, directory bytes at 12, offset at 16, comment at 20
 *   of a large one, before the end: 50 4b 06 06, entries at 32, directory bytes at 40, offset at
 * 48; 50 4b 06 07, offset of that at 8
 */
#include "formats/zip.h"

#include "base/ban.h"

#define END_BYTES        22
#define ENTRY_BYTES      46
#define LOCAL_BYTES      30
#define MAX_COMMENT      65535
#define END_64_BYTES     56
#define LOCATOR_64_BYTES 20
#define IN_EXTRA         0xffffffffu /* the 64-bit size is in the extra field */

static uint16_t u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static const uint8_t *find_end(maas_span file)
{
    size_t most = END_BYTES + MAX_COMMENT;
    size_t stop = file.n > most ? file.n - most : 0;
    for (size_t at = file.n < END_BYTES ? 0 : file.n - END_BYTES + 1; at > stop; at--)
        if (!memcmp(file.p + at - 1, "PK\5\6", 4))
            return file.p + at - 1;
    return NULL;
}

/* Of a large archive: a record before the end, which another one, right before it, finds. */
static bool end_64(maas_span file, const uint8_t *end, uint64_t *bytes, uint64_t *at, uint64_t *n)
{
    uint64_t where;
    if (end - file.p < LOCATOR_64_BYTES || memcmp(end - LOCATOR_64_BYTES, "PK\6\7", 4) != 0)
        return false;
    maas_span s = maas_span_of(end - LOCATOR_64_BYTES + 8, 8);
    maas_span_u64le(&s, &where);
    const uint64_t before = (uint64_t)(end - file.p) - LOCATOR_64_BYTES;
    if (where > before || before - where < END_64_BYTES || memcmp(file.p + where, "PK\6\6", 4) != 0)
        return false;
    s = maas_span_of(file.p + where + 32, 24);
    return maas_span_u64le(&s, n) && maas_span_u64le(&s, bytes) && maas_span_u64le(&s, at);
}

maas_status maas_zip_open(maas_zip *z, maas_span file, uint64_t most, maas_err *err)
{
    const uint8_t *end = find_end(file);
    if (!end)
        return maas_fail(err, MAAS_E_FORMAT,
                         "zip: no end of the directory in the last 64 KiB; is the file cut short?");
    const uint64_t end_at = (uint64_t)(end - file.p);
    uint64_t bytes = u32(end + 12), at = u32(end + 16), n = u16(end + 10);
    const bool large = n == 0xffff || bytes == IN_EXTRA || at == IN_EXTRA;
    if ((large && !end_64(file, end, &bytes, &at, &n)) || at > end_at || bytes > end_at - at)
        return maas_fail(err, MAAS_E_FORMAT, "zip: byte %zu: the directory is outside the file",
                         (size_t)end_at);
    if (n > most)
        return maas_fail(err, MAAS_E_TOO_LARGE, "zip: %llu members, at most %llu",
                         (unsigned long long)n, (unsigned long long)most);
    *z = (maas_zip){.file = file,
                    .rest = maas_span_of(file.p + at, (size_t)bytes),
                    .n_left = n,
                    .directory = (size_t)at};
    return MAAS_OK;
}

/* Sizes that do not fit 32 bits follow in the extra field with id 1, in this order. */
static bool sizes_64(maas_span extra, uint64_t *size, uint64_t *packed, uint64_t *at)
{
    uint64_t *const wanted[] = {size, packed, at};
    uint16_t id, n;
    maas_span field;
    while (maas_span_u16le(&extra, &id) && maas_span_u16le(&extra, &n) &&
           maas_span_take(&extra, n, &field)) {
        if (id != 1)
            continue;
        for (int i = 0; i < 3; i++)
            if (*wanted[i] == IN_EXTRA && !maas_span_u64le(&field, wanted[i]))
                return false;
        return true;
    }
    return *size != IN_EXTRA && *packed != IN_EXTRA && *at != IN_EXTRA;
}

static maas_status member_data(maas_zip *z, uint64_t at, uint64_t packed, maas_span *out,
                               size_t entry_at, maas_err *err)
{
    bool inside = at <= z->directory && z->directory - at >= LOCAL_BYTES &&
                  !memcmp(z->file.p + at, "PK\3\4", 4);
    uint64_t start = 0;
    if (inside) {
        const uint8_t *local = z->file.p + at;
        start = at + LOCAL_BYTES + u16(local + 26) + u16(local + 28);
        inside = start <= z->directory && z->directory - start >= packed;
    }
    if (!inside)
        return maas_fail(err, MAAS_E_FORMAT,
                         "zip: byte %zu: the member is not where the directory says", entry_at);
    /* Members that share bytes are how a small file becomes endless. */
    z->packed += packed;
    if (z->packed > z->directory)
        return maas_fail(err, MAAS_E_FORMAT, "zip: byte %zu: members overlap", entry_at);
    *out = maas_span_of(z->file.p + start, (size_t)packed);
    return MAAS_OK;
}

maas_status maas_zip_next(maas_zip *z, maas_zip_member *out, bool *more, maas_err *err)
{
    maas_span entry, extra, comment;
    size_t entry_at = (size_t)(z->rest.p - z->file.p);
    *more = z->n_left > 0;
    if (!*more)
        return MAAS_OK;
    z->n_left--;
    if (!maas_span_take(&z->rest, ENTRY_BYTES, &entry) || memcmp(entry.p, "PK\1\2", 4) != 0 ||
        !maas_span_take(&z->rest, u16(entry.p + 28), &out->name) ||
        !maas_span_take(&z->rest, u16(entry.p + 30), &extra) ||
        !maas_span_take(&z->rest, u16(entry.p + 32), &comment))
        return maas_fail(err, MAAS_E_FORMAT, "zip: byte %zu: expected an entry of the directory",
                         entry_at);
    uint16_t flags = u16(entry.p + 8), method = u16(entry.p + 10);
    if ((flags & 1) || (method != 0 && method != 8))
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "zip: byte %zu: the member is %s; stored or deflated is possible",
                         entry_at, flags & 1 ? "encrypted" : "compressed in another way");
    uint64_t packed = u32(entry.p + 20), at = u32(entry.p + 42);
    out->size = u32(entry.p + 24);
    out->crc = u32(entry.p + 16);
    out->deflated = method == 8;
    if (!sizes_64(extra, &out->size, &packed, &at) || (!out->deflated && packed != out->size))
        return maas_fail(err, MAAS_E_FORMAT, "zip: byte %zu: the sizes of the member are wrong",
                         entry_at);
    return member_data(z, at, packed, &out->data, entry_at, err);
}
