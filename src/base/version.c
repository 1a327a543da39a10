#include "maas.h"

#include "base/ban.h"

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

const char *maas_version(void)
{
    return TEXT(MAAS_VERSION_MAJOR) "." TEXT(MAAS_VERSION_MINOR) "." TEXT(MAAS_VERSION_PATCH);
}
