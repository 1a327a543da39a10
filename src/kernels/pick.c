#include "kernels/kernel.h"

#include "base/ban.h"

const maas_kernel *maas_kernel_pick(const maas_call *c, const maas_cpu *cpu)
{
    for (size_t t = 0; maas_kernel_tables[t]; t++)
        if (maas_kernel_table_usable(t, cpu))
            for (const maas_kernel *k = maas_kernel_tables[t]; k->op; k++)
                if (k->op == c->node->op && k->fits(c, cpu))
                    return k;
    return NULL;
}
