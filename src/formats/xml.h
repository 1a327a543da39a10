/*
 * formats/xml.h - an XML file as a tree of elements, for formats that are XML (PMML).
 *
 * Read are UTF-8 files (and ISO-8859-1 ones that say so): elements, attributes, text, CDATA, the
 * five entities and numeric ones. Comments and processing instructions are passed over. A DOCTYPE
 * is refused: it could define entities. Names lose their prefix ("x:Node" is "Node").
 *
 * Owns: nothing; everything lives in the arena. Fails: E_FORMAT naming the line; E_TOO_LARGE past
 * MAAS_XML_MAX_DEPTH; E_NOMEM past the budget. No recursion: elements know their parent.
 */
#ifndef MAAS_FORMATS_XML_H
#define MAAS_FORMATS_XML_H

#include "base/arena.h"
#include "base/span.h"
#include "base/status.h"

enum { MAAS_XML_MAX_DEPTH = 4096, MAAS_XML_MAX_ATTRS = 64 };

typedef struct maas_xml_attr {
    const char *name, *value; /* NUL-terminated */
} maas_xml_attr;

typedef struct maas_xml {
    const char *name;
    const char *text; /* character data in front of the first child, blanks at the ends cut; never
                         NULL */
    struct maas_xml *parent, *child, *next; /* child: the first one */
    maas_xml_attr *attr;
    uint32_t n_attr, line;
} maas_xml;

maas_status maas_xml_read(maas_span file, maas_arena *a, maas_xml **out, maas_err *err);
const char *maas_xml_get(const maas_xml *e, const char *name);   /* NULL when absent */
bool maas_xml_is(const maas_xml *e, const char *name);           /* false for NULL */
maas_xml *maas_xml_child(const maas_xml *e, const char *name);   /* the first of that name */
maas_xml *maas_xml_sibling(const maas_xml *e, const char *name); /* the next of that name */
/* The element after e in the order of the file, within `top`; NULL at the end. */
maas_xml *maas_xml_after(const maas_xml *e, const maas_xml *top);

#endif
