/* jobs/helper_int.h - shared by helper.c and import.c. */
#ifndef MAAS_JOBS_HELPER_INT_H
#define MAAS_JOBS_HELPER_INT_H

#include "jobs/helper.h"
#include "jobs/wire.h"

/* Sends an order with descriptors; sets o->id. callback NULL: the caller must maas_helper_wait. */
maas_status maas_helper_order(maas_helper *h, maas_wire_order *o, const int *fds, int n_fds,
                              maas_child_ended callback, void *user, maas_err *err);
int maas_helper_wait(maas_helper *h, uint64_t id); /* blocks until it ended: its wait status */
maas_verdict maas_verdict_of(int wait_status, const char **out_words);
void maas_helper_count_crash(maas_helper *h);

#endif
