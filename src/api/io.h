/*
 * api/io.h - threads that may block: registry, disk, imports.
 *
 * A handler on an I/O thread calls maas_iopool_run; the request is suspended, fn runs on an io
 * thread and must reply; the request is resumed after it. `lane`-bound and streaming answers reply
 * from elsewhere: fn then returns false and somebody else resumes.
 */
#ifndef MAAS_API_IO_H
#define MAAS_API_IO_H

#include "http/http.h"

typedef struct maas_iopool maas_iopool;

maas_status maas_iopool_create(int n_threads, maas_iopool **out, maas_err *err);
void maas_iopool_destroy(maas_iopool *io); /* finishes what was posted */
/* true from fn: replied, resume now. false: another thread will reply and resume. */
typedef bool (*maas_iopool_fn)(maas_req *r);
void maas_iopool_run(maas_iopool *io, maas_req *r, maas_iopool_fn fn);
/* The same for a request that is suspended already; from any thread. */
void maas_iopool_go_on(maas_iopool *io, maas_req *r, maas_iopool_fn fn);
/* Work that belongs to no request. `arg` is fn's to free. */
maas_status maas_iopool_post(maas_iopool *io, void (*fn)(void *arg), void *arg, maas_err *err);

#endif
