/* formats/readers.h - the readers of tables, for the list in table.c alone. See table.h. */
#ifndef MAAS_FORMATS_READERS_H
#define MAAS_FORMATS_READERS_H

#include "formats/table.h"

#define MAAS_TABLE_READER(name)                                                                    \
    int maas_##name##_probe(maas_span head, const char *file_name);                                \
    maas_status maas_##name##_read(maas_source *src, const maas_table_opts *o,                     \
                                   const maas_table_sink *sink, maas_err *err);
MAAS_TABLE_READER(csv)
MAAS_TABLE_READER(idx)
MAAS_TABLE_READER(jsonl)
MAAS_TABLE_READER(libsvm)
MAAS_TABLE_READER(npy)
MAAS_TABLE_READER(npz)
#undef MAAS_TABLE_READER

/* The name ends in one of the space-separated suffixes, in any case. NULL has none. */
bool maas_name_has_suffix(const char *file_name, const char *suffixes);

#endif
