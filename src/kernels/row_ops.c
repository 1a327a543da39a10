#include "kernels/row_ops.h"

#include "base/ban.h"

bool maas_row_op(const maas_op *op)
{
    static const maas_op *const ops[] = {
#define ROW(Name, NAME) &maas_op_##Name,
        MAAS_ROW_OPS(ROW, ROW)
#undef ROW
    };
    for (size_t i = 0; i < MAAS_COUNT(ops); i++)
        if (ops[i] == op)
            return true;
    return false;
}
