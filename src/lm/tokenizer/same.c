/* Whether two vocabularies are one: a model that proposes tokens to another must mean the same. */
#include <string.h>

#include "lm/tokenizer/tokenizer_int.h"

#include "base/ban.h"

static bool equal(maas_str a, maas_str b)
{
    return a.n == b.n && (!a.n || memcmp(a.p, b.p, a.n) == 0);
}

maas_status maas_tokenizer_same(const maas_tokenizer *a, const maas_tokenizer *b, maas_err *err)
{
    if (a->n != b->n)
        return maas_fail(err, MAAS_E_INVALID, "one vocabulary has %d tokens, the other %d", a->n,
                         b->n);
    for (int32_t i = 0; i < a->n; i++) {
        const maas_str x = maas_tokenizer_name(a, i), y = maas_tokenizer_name(b, i);
        if (!equal(x, y))
            return maas_fail(err, MAAS_E_INVALID, "token %d is '%.*s' in one, '%.*s' in the other",
                             i, (int)(x.n < 40 ? x.n : 40), x.p ? x.p : "",
                             (int)(y.n < 40 ? y.n : 40), y.p ? y.p : "");
        if (!equal(maas_tokenizer_piece(a, i), maas_tokenizer_piece(b, i)) ||
            maas_tokenizer_is_special(a, i) != maas_tokenizer_is_special(b, i))
            return maas_fail(err, MAAS_E_INVALID, "token %d stands for something else in each", i);
    }
    return MAAS_OK;
}
