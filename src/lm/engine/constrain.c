#include "lm/engine/constrain.h"

#include <math.h>
#include <string.h>

#include "base/ban.h"

maas_status maas_constrain(maas_matcher *m, const maas_tokenizer *t, bool no_end,
                           const float *logits, int32_t n, float *out, uint32_t *out_n,
                           maas_err *err)
{
    const uint32_t *bits;
    uint32_t left;
    MAAS_TRY(maas_matcher_mask(m, &bits, &left, err));
    for (int32_t i = 0; i < n; i++)
        out[i] = bits[i >> 5] >> (i & 31) & 1 ? logits[i] : -INFINITY;
    for (int32_t i = 0; no_end && maas_matcher_may_end(m) && i < maas_tokenizer_n(t); i++)
        if (maas_tokenizer_is_end(t, i) && (bits[i >> 5] >> (i & 31) & 1)) {
            out[i] = -INFINITY;
            left--;
        }
    *out_n = left;
    return MAAS_OK;
}
