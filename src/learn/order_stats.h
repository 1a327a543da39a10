/*
 * learn/order_stats.h - median, quartiles and most frequent value of a number column, exactly.
 *
 * Owns: nothing; the sorted copy is charged to the budget while it lives. Fails: E_NOMEM.
 */
#ifndef MAAS_LEARN_ORDER_STATS_H
#define MAAS_LEARN_ORDER_STATS_H

#include "learn/columns.h"
#include "learn/split.h"

typedef struct maas_order_stats {
    double lower, median, upper; /* quartiles, between two values linearly */
    double mode;                 /* the least of the most frequent */
} maas_order_stats;

/* Number k of a row, or all of them together (k < 0); NaN is left out. Zeros when nothing is left.
 */
maas_status maas_order_stats_of(const maas_ds_column *c, const maas_rows *rows, int64_t k,
                                maas_budget *budget, maas_order_stats *out, maas_err *err);

#endif
