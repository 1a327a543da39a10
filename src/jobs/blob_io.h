/* jobs/blob_io.h - the registry's blobs, as the data set room wants to see them. */
#ifndef MAAS_JOBS_BLOB_IO_H
#define MAAS_JOBS_BLOB_IO_H

#include "learn/dataset.h"
#include "registry/registry.h"

/* Borrows `r`, which may be a blob store without a database. */
maas_blob_io maas_blob_io_of(maas_registry *r);

#endif
