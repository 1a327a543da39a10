/* learn/schedules.c - the learning rate over time. One more: a factor function, a line in the
 * table. */
#include "learn/optimizers.h"

#include <math.h>

#include "base/ban.h"

#define AT(f) offsetof(maas_schedule_spec, f)

static double constant(const maas_schedule_spec *s, int64_t done, int64_t total, int64_t per_epoch)
{
    return 1;
}

static double step(const maas_schedule_spec *s, int64_t done, int64_t total, int64_t per_epoch)
{
    return pow(s->factor, (double)(done / (per_epoch * s->every)));
}

static double exponential(const maas_schedule_spec *s, int64_t done, int64_t total,
                          int64_t per_epoch)
{
    return pow(s->factor, (double)done / (double)per_epoch);
}

static double share(int64_t done, int64_t total)
{
    return total > 0 ? fmin(1, (double)done / (double)total) : 1;
}

static double cosine(const maas_schedule_spec *s, int64_t done, int64_t total, int64_t per_epoch)
{
    return s->final + (1 - s->final) * 0.5 * (1 + cos(M_PI * share(done, total)));
}

static double linear(const maas_schedule_spec *s, int64_t done, int64_t total, int64_t per_epoch)
{
    return 1 + (s->final - 1) * share(done, total);
}

#define WARMUP(preset)                                                                             \
    {                                                                                              \
        "warmup", MAAS_PARAM_INT, AT(warmup), 0, 1e9, preset,                                      \
            .help = "steps in which the rate climbs to its full value"                             \
    }
#define FACTOR(preset, text)                                                                       \
    {                                                                                              \
        "factor", MAAS_PARAM_NUM, AT(factor), 1e-6, 10, preset, .help = text                       \
    }
#define FINAL                                                                                      \
    {                                                                                              \
        "final", MAAS_PARAM_NUM, AT(final), 0, 1, 0, .help = "share of the rate left at the end"   \
    }

static const maas_param constant_rows[] = {WARMUP(0)};
static const maas_param warmup_rows[] = {WARMUP(1000)};
static const maas_param step_rows[] = {
    {"every", MAAS_PARAM_INT, AT(every), 1, 1e6, 10, .help = "epochs between two steps"},
    FACTOR(0.1, "multiplies the rate at each step"),
    WARMUP(0)};
static const maas_param exponential_rows[] = {FACTOR(0.95, "multiplies the rate each epoch"),
                                              WARMUP(0)};
static const maas_param final_rows[] = {FINAL, WARMUP(0)};

#define ROWS(r) .rows = r, .n_rows = MAAS_COUNT(r)
const maas_schedule maas_schedules[MAAS_N_SCHEDULES] = {
    [MAAS_SCHEDULE_CONSTANT] = {{"constant", "the same rate all the time", ROWS(constant_rows)},
                                constant},
    [MAAS_SCHEDULE_COSINE] = {{"cosine", "half a cosine down", ROWS(final_rows)}, cosine},
    {{"linear", "a straight line down", ROWS(final_rows)}, linear},
    {{"step", "drops every few epochs", ROWS(step_rows)}, step},
    {{"exponential", "shrinks by a factor each epoch", ROWS(exponential_rows)}, exponential},
    {{"warmup", "climbs, then stays", ROWS(warmup_rows)}, constant},
};

double maas_schedule_factor(const maas_schedule_spec *s, int64_t done, int64_t total,
                            int64_t per_epoch)
{
    double f = maas_schedules[s->type].factor(s, done, total, per_epoch);
    return done < s->warmup ? f * (double)(done + 1) / (double)s->warmup : f;
}
