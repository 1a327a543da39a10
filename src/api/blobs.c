/*
 * api/blobs.c - PUT /api/v1/blobs/{sha256}: resumable upload of a file whose digest is known.
 *
 * Whole: PUT with the body. In pieces: PUT with `Content-Range: bytes FIRST-LAST/TOTAL`; GET says
 * how many bytes are here, so a client goes on where it was cut off. The answer never says whether
 * somebody else had the blob before: an upload is always read whole and answered the same way.
 */
#include <stdio.h>
#include <string.h>

#include "api/manage.h"
#include "api/reply.h"
#include "api/upload.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/ban.h"

typedef struct range {
    uint64_t first, total;
} range;

/* "bytes 0-99/1000" */
static bool read_range(const char *text, uint64_t bytes, range *out)
{
    maas_span s = maas_span_str(text), word;
    uint64_t last;
    if (!maas_span_take(&s, 6, &word) || !maas_span_is(word, "bytes ") ||
        !maas_num_u64(&s, &out->first) || !maas_span_take(&s, 1, &word) || *word.p != '-' ||
        !maas_num_u64(&s, &last) || !maas_span_take(&s, 1, &word) || *word.p != '/' ||
        !maas_num_u64(&s, &out->total) || s.n)
        return false;
    return last >= out->first && last < out->total && last - out->first + 1 == bytes;
}

static maas_status append(maas_req *r, const maas_upload *u, bool *complete, range *at,
                          maas_err *err)
{
    const char *header = maas_req_header(r, "Content-Range");
    maas_map map;
    *at = (range){0, u->bytes};
    if (header && !read_range(header, u->bytes, at))
        return maas_fail(err, MAAS_E_INVALID,
                         "Content-Range must be 'bytes FIRST-LAST/TOTAL' and match the body");
    MAAS_TRY(maas_sys_map(u->parts->fd, &map, err));
    maas_status st = maas_blob_partial_append(maas_app_of(r)->registry, maas_req_param(r, 0),
                                              at->first, map.p, map.n, at->total, complete, err);
    maas_sys_unmap(&map);
    return st;
}

static bool put_on_io(maas_req *r)
{
    maas_err err = {0};
    bool complete = false;
    range at;
    maas_upload *u = maas_req_state(r);
    if (append(r, u, &complete, &at, &err) == MAAS_OK)
        maas_reply_tree(r, complete ? 201 : 202,
                        json_pack("{s:s, s:I, s:b}", "sha256", maas_req_param(r, 0), "bytes",
                                  (json_int_t)(at.first + u->bytes), "complete", complete));
    else
        maas_req_fail(r, &err);
    return true;
}

maas_status maas_blobs_body(maas_req *r, maas_span piece, maas_err *err)
{
    return maas_upload_body(r, piece, err);
}

void maas_blobs_put(maas_req *r)
{
    maas_upload *u;
    maas_err err = {0};
    maas_status st = maas_upload_finish(r, &u, &err);
    if (st == MAAS_OK && u->multipart)
        st = maas_fail(&err, MAAS_E_MEDIA, "a blob is the plain body, not a form");
    if (st != MAAS_OK)
        maas_req_fail(r, &err);
    else
        maas_iopool_run(maas_app_of(r)->io, r, put_on_io);
}

static bool get_on_io(maas_req *r)
{
    maas_err err = {0};
    uint64_t bytes;
    bool complete;
    if (maas_blob_partial_size(maas_app_of(r)->registry, maas_req_param(r, 0), &bytes, &complete,
                               &err) == MAAS_OK)
        maas_reply_tree(r, 200,
                        json_pack("{s:s, s:I, s:b}", "sha256", maas_req_param(r, 0), "bytes",
                                  (json_int_t)bytes, "complete", complete));
    else
        maas_req_fail(r, &err);
    return true;
}

void maas_blobs_get(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, get_on_io);
}
