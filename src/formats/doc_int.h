/* formats/doc_int.h - what doc.c and doc_ubj.c share; nobody else includes it. */
#ifndef MAAS_FORMATS_DOC_INT_H
#define MAAS_FORMATS_DOC_INT_H

#include "formats/doc.h"

maas_json_kind maas_ubj_next(maas_doc *d); /* text, number, whole, is_whole are of the token */

/* In a typed array: the next number, as maas_ubj_next gives it; false: another kind of container,
 * its end, or an error, for maas_ubj_next to say. */
bool maas_ubj_typed(maas_doc *d);

#endif
