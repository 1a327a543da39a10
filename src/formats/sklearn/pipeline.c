/* formats/sklearn/pipeline.c - Pipeline: transformers one after another, then whatever is last. */
#include <string.h>

#include "formats/sklearn/sklearn.h"
#include "base/ban.h"

/* A step that hands its rows on as they are. */
static bool passes(const maas_pk *step)
{
    return maas_sk_is_word(step, NULL) || maas_sk_is_word(step, "passthrough");
}

static maas_str name_of(const maas_pk *step)
{
    maas_str name = {"", 0};
    maas_pk_to_str(maas_pk_at(step, 0), &name);
    if (name.n > 40)
        name.n = 40;
    return name;
}

static maas_status one_step(maas_sk *s, const maas_pk *steps, int64_t i, const maas_sk_table *in,
                            unsigned need, maas_sk_out *out)
{
    const maas_pk *step = maas_pk_at(steps, i);
    const maas_str name = name_of(step);
    return maas_sk_decode(s, maas_pk_at(step, 1), in, need, out, "steps[%lld] '%.*s'", (long long)i,
                          (int)name.n, name.p);
}

static maas_status pipeline(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                            maas_sk_out *out)
{
    const maas_pk *steps = maas_pk_attr(est, "steps");
    const int64_t n = maas_pk_count(steps);
    maas_sk_table rows = *in;
    maas_sk_out step;
    if (n == 0)
        return maas_sk_fail(s, MAAS_E_FORMAT, "steps is %s, expected a list of (name, estimator)",
                            n || !steps ? "missing" : "empty");
    for (int64_t i = 0; i + 1 < n; i++) {
        if (passes(maas_pk_at(maas_pk_at(steps, i), 1)))
            continue;
        MAAS_TRY(one_step(s, steps, i, &rows, MAAS_SK_TRANSFORMED, &step));
        rows = step.transformed;
    }
    if (!passes(maas_pk_at(maas_pk_at(steps, n - 1), 1)))
        return one_step(s, steps, n - 1, &rows, need, out);
    out->role = MAAS_SK_TRANSFORMER;
    out->transformed = rows;
    return MAAS_OK;
}

const maas_sk_row maas_sk_pipeline[] = {
    {"Pipeline", "sklearn.pipeline", MAAS_SK_META, pipeline},
    {0},
};
