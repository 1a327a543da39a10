#include "passes/pass_int.h"

#include "base/ban.h"

bool maas_type_eq(const maas_type *a, const maas_type *b)
{
    if (a->tag != b->tag || a->dtype != b->dtype || a->rank != b->rank || a->rank < 0)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i] || a->dims[i] == MAAS_DIM_UNKNOWN)
            return false;
    return true;
}
