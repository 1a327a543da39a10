/* formats/npz.c - NumPy's archive: a zip file of .npy members. Each becomes a column of its name.
 */
#include "formats/readers.h"

#include <zlib.h>

#include "base/mem.h"
#include "formats/npy.h"
#include "formats/zip.h"
#include "base/ban.h"

#define MAX_MEMBERS 1024

typedef struct npz_reader {
    maas_zip zip;
    maas_arena names;
    maas_array *arrays;
    uint32_t n;
    size_t cap;
} npz_reader;

static void npz_reset(npz_reader *r)
{
    maas_arrays_reset(r->arrays, r->n);
    maas_free(r->arrays);
    maas_arena_reset(&r->names);
}

static const char *member_name(npz_reader *r, maas_span name)
{
    if (name.n > 4 && !memcmp(name.p + name.n - 4, ".npy", 4))
        name.n -= 4;
    if (name.n && memchr(name.p, 0, name.n))
        return "\x01"; /* refused as a control character, with the column's number */
    return maas_arena_strndup(&r->names, (const char *)name.p, name.n);
}

static maas_status open_member(npz_reader *r, const maas_zip_member *m, maas_budget *budget,
                               maas_err *err)
{
    if (!maas_grow(&r->arrays, &r->cap, r->n + 1u, sizeof *r->arrays))
        return maas_fail(err, MAAS_E_NOMEM, "npz: no memory left for %u arrays", r->n + 1);
    maas_array *a = &r->arrays[r->n++];
    *a = (maas_array){.col.name = member_name(r, m->name), .crc = m->crc, .check_crc = m->deflated};
    if (!a->col.name)
        return maas_fail(err, MAAS_E_NOMEM, "npz: no memory left for a name");
    MAAS_TRY(maas_source_open(&a->src, m->data,
                              m->deflated ? MAAS_PACKING_DEFLATE : MAAS_PACKING_NONE, budget, err));
    if (!m->deflated && crc32_z(0, m->data.p, m->data.n) != m->crc)
        return maas_fail(err, MAAS_E_FORMAT, "npz: column %u: the check sum of the member is wrong",
                         r->n);
    maas_status st = maas_npy_open(&a->src, a, err);
    if (st != MAAS_OK)
        maas_err_prefix(err, "column %u of the archive", r->n);
    return st;
}

maas_status maas_npz_read(maas_source *src, const maas_table_opts *o, const maas_table_sink *sink,
                          maas_err *err)
{
    AUTO(npz_reset) npz_reader r = {0};
    maas_arena_init(&r.names, o->budget);
    if (!src->plain)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "npz: the archive is inside gzip: send it as it is, it compresses itself");
    MAAS_TRY(maas_zip_open(&r.zip, src->file, MAX_MEMBERS, err));
    for (;;) {
        maas_zip_member m;
        bool more;
        MAAS_TRY(maas_zip_next(&r.zip, &m, &more, err));
        if (!more)
            break;
        MAAS_TRY(open_member(&r, &m, o->budget, err));
    }
    if (!r.n)
        return maas_fail(err, MAAS_E_FORMAT, "npz: the archive has no arrays");
    return maas_arrays_read(r.arrays, r.n, o, sink, err);
}

int maas_npz_probe(maas_span head, const char *file_name)
{
    (void)file_name;
    return head.n >= 4 && (!memcmp(head.p, "PK\3\4", 4) || !memcmp(head.p, "PK\5\6", 4)) ? 100 : 0;
}
