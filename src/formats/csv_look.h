/* formats/csv_look.h - what the start of a CSV file says about its delimiter and header. */
#ifndef MAAS_FORMATS_CSV_LOOK_H
#define MAAS_FORMATS_CSV_LOOK_H

#include "base/span.h"
#include "base/status.h"

/*
 * Among , ; TAB | the one that cuts most of the first records into equally many cells, more cells
 * winning, then the order given; a comma when none cuts anything.
 */
maas_status maas_csv_delimiter(maas_span head, char *out, maas_err *err);
/*
 * The first record is a header when none of its cells is a number and at least one is text. (A file
 * of text alone therefore has one; say header=0 where it has not.)
 */
maas_status maas_csv_header(maas_span head, char delimiter, bool *out, maas_err *err);

#endif
