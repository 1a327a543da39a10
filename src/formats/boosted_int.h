/* formats/boosted_int.h - what boosted.c and boosted_columns.c share; nobody else includes it. */
#ifndef MAAS_FORMATS_BOOSTED_INT_H
#define MAAS_FORMATS_BOOSTED_INT_H

#include "formats/boosted.h"

maas_vid boosted_cast(maas_builder *b, maas_vid x, maas_dtype to); /* x itself if it is one */
bool boosted_has_columns(const maas_boosted *m);
/* Inputs of the graph, a column each; gives the rows [n, n_features] with codes. */
maas_vid boosted_columns(const maas_boosted *m, maas_builder *b, int64_t batch);

#endif
