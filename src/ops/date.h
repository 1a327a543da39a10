/*
 * ops/date.h - calendar dates as people and machines write them to each other: ISO 8601, with or
 * without a time.
 *
 *   2024-02-29   2024-02-29T17:45   2024-02-29 17:45:30.25   2024-02-29T17:45:30Z   ...+01:00
 *
 * An offset is read and not applied: the parts are those of the wall clock it was written by.
 */
#ifndef MAAS_OPS_DATE_H
#define MAAS_OPS_DATE_H

#include "tensor/tensor.h"

typedef struct maas_date {
    int year, month, day, hour, minute;
    double second;
} maas_date;

/* False for anything else, and for days that no calendar has. */
bool maas_date_parse(maas_str s, maas_date *out);
/* Days since 1970-01-01 in the Gregorian calendar. */
int64_t maas_date_days(const maas_date *d);

#endif
