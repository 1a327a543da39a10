/* jobs/helper_proc.h - the inside of the helper process and of the children it forks. */
#ifndef MAAS_JOBS_HELPER_PROC_H
#define MAAS_JOBS_HELPER_PROC_H

#include "jobs/wire.h"

/* The helper's whole life; returns when the server closed its end. Single-threaded. */
void maas_helper_loop(int server_fd);
/* In the sandboxed child: reads the spec from `control`, parses the `n` files of `in`, writes
 * `out`, reports. */
void maas_import_child(const maas_wire_order *o, int control, int out, const int *in, int n);

/* The child that decodes pictures: image_child.c. */
void maas_image_child(const maas_wire_order *o, int control);

#endif
