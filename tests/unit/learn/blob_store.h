/* tests/unit/learn/blob_store.h - a maas_blob_io over memory files, that checks digests as a
 * suspicious store would. */
#ifndef BLOB_STORE_H
#define BLOB_STORE_H

#include <sys/mman.h>

#include "base/mem.h"
#include "base/sys.h"
#include "learn/dataset.h"

typedef struct blob_store {
    struct {
        char hex[MAAS_SHA256_HEX];
        int fd;
    } blobs[64];
    int n, n_created;
} blob_store;

static maas_status store_create(void *user, int *out_fd, maas_err *err)
{
    ((blob_store *)user)->n_created++;
    *out_fd = memfd_create("blob", MFD_CLOEXEC);
    return *out_fd >= 0 ? MAAS_OK : maas_fail(err, MAAS_E_IO, "memfd_create");
}

static void store_digest(int fd, char hex[MAAS_SHA256_HEX])
{
    uint8_t digest[MAAS_SHA256_BYTES];
    maas_sha256 h;
    maas_map m = {0};
    if (maas_sys_map(fd, &m, NULL) != MAAS_OK || !maas_sha256_init(&h))
        abort();
    maas_sha256_add(&h, m.p, m.n);
    maas_sha256_done(&h, digest);
    maas_hex(digest, sizeof digest, hex);
    maas_sys_unmap(&m);
}

static maas_status store_commit(void *user, int fd, const char hex[MAAS_SHA256_HEX], maas_err *err)
{
    blob_store *s = user;
    char real[MAAS_SHA256_HEX];
    store_digest(fd, real);
    if (strcmp(real, hex) != 0)
        return maas_fail(err, MAAS_E_INVALID, "the writer gave a wrong digest");
    if (s->n == 64)
        return maas_fail(err, MAAS_E_NO_SPACE, "the test store is full");
    memcpy(s->blobs[s->n].hex, hex, MAAS_SHA256_HEX);
    s->blobs[s->n++].fd = dup(fd);
    return MAAS_OK;
}

static maas_status store_open(void *user, const char *hex, int *out_fd, maas_err *err)
{
    blob_store *s = user;
    for (int i = 0; i < s->n; i++)
        if (!strcmp(s->blobs[i].hex, hex)) {
            *out_fd = dup(s->blobs[i].fd);
            return MAAS_OK;
        }
    return maas_fail(err, MAAS_E_NOT_FOUND, "no blob of that digest");
}

__attribute__((unused)) static void store_reset(blob_store *s)
{
    for (int i = 0; i < s->n; i++)
        close(s->blobs[i].fd);
    *s = (blob_store){0};
}

static maas_blob_io store_io(blob_store *s)
{
    return (maas_blob_io){s, store_create, store_commit, store_open};
}

/* Bytes of one or two files to a manifest. */
__attribute__((unused)) static maas_status store_table(const maas_blob_io *io, const void *p,
                                                       size_t n, const maas_table_opts *o,
                                                       json_t **manifest, maas_err *err)
{
    maas_dataset_writer *w = NULL;
    MAAS_TRY(maas_dataset_writer_create(io, &w, err));
    maas_table_sink sink = maas_dataset_writer_sink(w);
    maas_status st = maas_table_read(maas_span_of(p, n), NULL, NULL, o, &sink, err);
    if (st == MAAS_OK)
        st = maas_dataset_writer_finish(w, manifest, err);
    maas_dataset_writer_destroy(w);
    return st;
}

#endif
