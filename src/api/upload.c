#include "api/upload.h"

#include <string.h>
#include <unistd.h>

#include "base/ban.h"

#define MAX_PARTS 4096

static void upload_end(void *arg)
{
    maas_upload *u = arg;
    for (maas_upload_part *p = u->parts; p; p = p->next)
        close(p->fd);
    maas_multipart_destroy(u->multipart);
    maas_sha256_reset(&u->hash);
}

static maas_status begin_part(void *user, const char *name, const char *file_name, const char *type,
                              maas_err *err)
{
    (void)type;
    maas_upload *u = user;
    maas_arena *a = maas_req_arena(u->req);
    maas_upload_part *p = maas_arena_alloc(a, sizeof *p);
    int n = 0;
    for (maas_upload_part *q = u->parts; q; q = q->next)
        n++;
    if (n >= MAX_PARTS)
        return maas_fail(err, MAAS_E_TOO_LARGE, "an upload has at most %d parts", MAX_PARTS);
    if (!p)
        return maas_fail(err, MAAS_E_NOMEM, "memory for an upload");
    p->name = maas_arena_strdup(a, name ? name : "");
    p->file_name = file_name ? maas_arena_strdup(a, file_name) : NULL;
    MAAS_TRY(maas_blob_tmp(maas_app_of(u->req)->registry, &p->fd, err));
    *u->tail = p;
    u->tail = &p->next;
    return p->name ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "memory for an upload");
}

static maas_status part_data(void *user, maas_span piece, maas_err *err)
{
    maas_upload *u = user;
    maas_upload_part *p = u->parts;
    while (p->next)
        p = p->next;
    p->bytes += piece.n;
    return maas_sys_write(p->fd, piece.p, piece.n, err);
}

static maas_status part_end(void *user, maas_err *err)
{
    (void)user;
    (void)err;
    return MAAS_OK;
}

static maas_status upload_begin(maas_req *r, maas_upload **out, maas_err *err)
{
    maas_arena *a = maas_req_arena(r);
    maas_upload *u = maas_arena_alloc(a, sizeof *u);
    if (!u)
        return maas_fail(err, MAAS_E_NOMEM, "memory for an upload");
    u->req = r;
    u->tail = &u->parts;
    if (!maas_arena_defer(a, upload_end, u))
        return maas_fail(err, MAAS_E_NOMEM, "memory for an upload");
    if (maas_req_header(r, "Idempotency-Key") && !maas_sha256_init(&u->hash))
        return maas_fail(err, MAAS_E_NOMEM, "memory for an upload");
    const char *type = maas_req_header(r, "Content-Type");
    const maas_part_sink sink = {u, begin_part, part_data, part_end};
    if (type && strncasecmp(type, "multipart/form-data", 19) == 0)
        MAAS_TRY(maas_multipart_create(type, &sink, &u->multipart, err));
    else
        MAAS_TRY(begin_part(u, "", NULL, NULL, err));
    maas_req_set_state(r, u, NULL);
    *out = u;
    return MAAS_OK;
}

maas_status maas_upload_body(maas_req *r, maas_span piece, maas_err *err)
{
    maas_upload *u = maas_req_state(r);
    if (!u)
        MAAS_TRY(upload_begin(r, &u, err));
    u->bytes += piece.n;
    if (u->bytes > (uint64_t)maas_app_of(r)->conf.max_upload)
        return maas_fail(err, MAAS_E_TOO_LARGE, "an upload may have %lld bytes (max-upload)",
                         (long long)maas_app_of(r)->conf.max_upload);
    if (u->hash.ctx)
        maas_sha256_add(&u->hash, piece.p, piece.n);
    return u->multipart ? maas_multipart_feed(u->multipart, piece, err) : part_data(u, piece, err);
}

maas_status maas_upload_finish(maas_req *r, maas_upload **out, maas_err *err)
{
    maas_upload *u = maas_req_state(r);
    if (!u || !u->bytes)
        return maas_fail(err, MAAS_E_INVALID, "the request has no body: send the file as the body");
    if (u->multipart)
        MAAS_TRY(maas_multipart_finish(u->multipart, err));
    if (!u->parts)
        return maas_fail(err, MAAS_E_INVALID, "the form has no parts");
    *out = u;
    return MAAS_OK;
}

const char *maas_upload_digest(maas_upload *u)
{
    uint8_t sum[MAAS_SHA256_BYTES];
    if (!u->hash.ctx)
        return NULL;
    char *hex = maas_arena_alloc(maas_req_arena(u->req), MAAS_SHA256_HEX);
    maas_sha256_done(&u->hash, sum);
    if (hex)
        maas_hex(sum, sizeof sum, hex);
    return hex;
}
