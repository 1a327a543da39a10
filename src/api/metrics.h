/* api/metrics.h - lines of /metrics, in the Prometheus text format (version 0.0.4). */
#ifndef MAAS_API_METRICS_H
#define MAAS_API_METRICS_H

#include "api/app.h"
#include "serve/histogram.h"

void maas_metric_head(maas_buf *b, const char *name, const char *type, const char *help);
void maas_metric_gauge(maas_buf *b, const char *name, const char *help, double v);
/* unit: how many of what is shown a microsecond of the histogram stands for (1e-6: seconds). */
void maas_metric_histogram(maas_buf *b, const char *name, const char *labels,
                           const maas_histogram *h, double unit);

void maas_metrics_lm(const maas_app *app, maas_buf *b); /* lm_metrics.c */

#endif
