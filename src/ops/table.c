#include "ops/build.h"

#include <string.h>

#include "base/ban.h"

#define OP(name) extern const maas_op maas_op_##name;
#include "ops/ops.def"
#undef OP

const maas_op *const maas_ops[] = {
#define OP(name) &maas_op_##name,
#include "ops/ops.def"
#undef OP
};
const size_t maas_n_ops = MAAS_COUNT(maas_ops);

const maas_op *maas_op_find(const char *domain, const char *name, int version)
{
    const maas_op *best = NULL;
    if (strcmp(domain, "ai.onnx") == 0)
        domain = "";
    for (size_t i = 0; i < maas_n_ops; i++) {
        const maas_op *op = maas_ops[i];
        if (op->since > version || strcmp(op->name, name) != 0 || strcmp(op->domain, domain) != 0)
            continue;
        if (!best || op->since > best->since)
            best = op;
    }
    return best;
}
