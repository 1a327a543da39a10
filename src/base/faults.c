/*
 * Fault injection of test builds (-Dfaults=true): the n-th system call of a kind fails, and the
 * process dies by SIGKILL at a named point, as if the power had gone.
 */
#include "base/sys_int.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "base/ban.h"

#ifdef MAAS_FAULTS

static _Atomic long countdown[MAAS_SYS_N_CALLS];
static _Atomic int error_of[MAAS_SYS_N_CALLS];

void maas_sys_fail_at(maas_sys_call call, long n, int err_no)
{
    atomic_store(&error_of[call], err_no);
    atomic_store(&countdown[call], n);
}

bool maas_sys_fault(maas_sys_call call)
{
    if (atomic_load_explicit(&countdown[call], memory_order_relaxed) <= 0 ||
        atomic_fetch_sub(&countdown[call], 1) != 1)
        return false;
    errno = atomic_load(&error_of[call]);
    return true;
}

static pthread_once_t crash_once = PTHREAD_ONCE_INIT;
static const char *crash_name; /* up to crash_name_n bytes; NULL: no crash is wanted */
static size_t crash_name_n;
static _Atomic int64_t crash_countdown = 1;

static void crash_read_env(void)
{
    crash_name = maas_sys_env("MAAS_CRASH");
    if (!crash_name)
        return;
    const char *colon = strchr(crash_name, ':');
    crash_name_n = colon ? (size_t)(colon - crash_name) : strlen(crash_name);
    int64_t count;
    if (colon && maas_parse_i64(colon + 1, &count))
        atomic_store(&crash_countdown, count);
}

void maas_crash_point(const char *name)
{
    pthread_once(&crash_once, crash_read_env);
    if (!crash_name || strlen(name) != crash_name_n || memcmp(name, crash_name, crash_name_n) != 0)
        return;
    if (atomic_fetch_sub(&crash_countdown, 1) == 1)
        kill(getpid(), SIGKILL);
}

#else

void maas_sys_fail_at(maas_sys_call call, long n, int err_no)
{
    (void)call, (void)n, (void)err_no;
}

#endif
