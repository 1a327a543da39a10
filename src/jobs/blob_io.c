#include "jobs/blob_io.h"

#include "base/ban.h"

static maas_status create(void *user, int *out_fd, maas_err *err)
{
    return maas_blob_tmp(user, out_fd, err);
}

static maas_status commit(void *user, int fd, const char hex[MAAS_SHA256_HEX], maas_err *err)
{
    return maas_blob_link(user, fd, hex, err);
}

static maas_status open_blob(void *user, const char *hex, int *out_fd, maas_err *err)
{
    uint64_t bytes;
    return maas_blob_open(user, hex, out_fd, &bytes, err);
}

maas_blob_io maas_blob_io_of(maas_registry *r)
{
    return (maas_blob_io){r, create, commit, open_blob};
}
