/* How a model is sampled when a request does not say. */
#include <math.h>
#include <stddef.h>

#include "base/limits.h"
#include "lm/sampler.h"
#include "lm/source.h"
#include "base/ban.h"

/* GGUF's names (generation_config.json comes under them, too: source/hf.c), and what each may be.
 */
typedef struct row {
    const char *key;
    double min, max;
    size_t at; /* in maas_sampling: a float, or an int32_t */
    bool whole;
} row;
#define REAL(k, lo, hi, f)                                                                         \
    {                                                                                              \
        "general.sampling." k, lo, hi, offsetof(maas_sampling, f), false                           \
    }
#define WHOLE(k, lo, hi, f)                                                                        \
    {                                                                                              \
        "general.sampling." k, lo, hi, offsetof(maas_sampling, f), true                            \
    }
static const row rows[] = {
    REAL("temp", 0, 2, temperature),
    REAL("top_p", 0, 1, top_p),
    REAL("min_p", 0, 1, min_p),
    REAL("typical_p", 0, 1, typical_p),
    REAL("xtc_probability", 0, 1, xtc_probability),
    REAL("xtc_threshold", 0, 1, xtc_threshold),
    REAL("penalty_repeat", 0.01, 10, repeat_penalty),
    REAL("mirostat_tau", 0, 100, mirostat_tau),
    REAL("mirostat_eta", 0, 1, mirostat_eta),
    WHOLE("top_k", 0, 1 << 20, top_k),
    WHOLE("penalty_last_n", -1, 1 << 20, repeat_last),
    WHOLE("mirostat", 0, 2, mirostat),
};
#undef REAL
#undef WHOLE

maas_sampling maas_sampling_of(const maas_lm_source *s)
{
    maas_sampling p = MAAS_SAMPLING_INIT;
    bool said = false;
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        const row *r = &rows[i];
        double x;
        if (!maas_lm_f64(s, r->key, &x) || !(x >= r->min && x <= r->max) ||
            (r->whole && x != floor(x)))
            continue;
        char *at = (char *)&p + r->at;
        said = true;
        if (r->whole)
            *(int32_t *)(void *)at = (int32_t)x;
        else
            *(float *)(void *)at = (float)x;
    }
    if (!said) { /* as llama.cpp has it: small models wander off when anything may be drawn */
        p.temperature = 0.8f;
        p.top_k = 40;
        p.top_p = 0.95f;
        p.min_p = 0.05f;
    }
    return p;
}
