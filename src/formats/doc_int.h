/* formats/doc_int.h - what doc.c and doc_ubj.c share; nobody else includes it. */
#ifndef MAAS_FORMATS_DOC_INT_H
#define MAAS_FORMATS_DOC_INT_H

#include "formats/doc.h"

maas_json_kind maas_ubj_next(maas_doc *d); /* text, number, whole, is_whole are of the token */

#endif
