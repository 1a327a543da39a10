/* api/counts.h - what the server counts about its own traffic; lock-free. */
#ifndef MAAS_API_COUNTS_H
#define MAAS_API_COUNTS_H

#include "http/http.h"
#include "serve/histogram.h"

struct maas_http_counts {
    _Atomic uint64_t by_class[6]; /* responses 1xx..5xx; [0]: others */
    maas_histogram latency[4];    /* by cost class of the route      */
};

/* For maas_http_opts.finished: counts, and the access log at debug level. */
void maas_counts_finished(maas_req *r, const maas_route *route, int http_status, uint64_t ns);

#endif
