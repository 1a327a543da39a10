/* learn/search/auto.h - what learner "auto" tries, as a table that tests walk. */
#ifndef MAAS_LEARN_SEARCH_AUTO_H
#define MAAS_LEARN_SEARCH_AUTO_H

#include <stddef.h>
#include <stdint.h>

typedef struct maas_auto_row {
    const char *learner, *params; /* params: JSON */
    int tasks;                    /* 1: classes, 2: numbers, 3: both */
    int64_t max_rows;
} maas_auto_row;
extern const maas_auto_row maas_auto_rows[];
extern const size_t maas_n_auto_rows;

#endif
