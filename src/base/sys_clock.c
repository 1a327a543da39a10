#include "base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/ban.h"

uint64_t maas_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t maas_wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

void maas_time_rfc3339(uint64_t wall_ms, char out[32])
{
    const uint64_t last = 253402300799999u; /* 9999-12-31T23:59:59.999Z: RFC 3339 has four digits */
    if (wall_ms > last)
        wall_ms = last;
    time_t seconds = (time_t)(wall_ms / 1000u);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    snprintf(out, 32, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (tm.tm_year + 1900) % 10000,
             (tm.tm_mon + 1) % 100, tm.tm_mday % 100, tm.tm_hour % 100, tm.tm_min % 100,
             tm.tm_sec % 100, (int)(wall_ms % 1000u));
}

/* Sleeps until a point in time, so that signals do not lengthen it. */
void maas_sleep_ms(uint32_t ms)
{
    uint64_t until = maas_now_ns() + (uint64_t)ms * 1000000u;
    struct timespec t = {.tv_sec = (time_t)(until / 1000000000u),
                         .tv_nsec = (long)(until % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}
