/*
 * jobs/sandbox.h - a process that may compute, read its input and write its output, nothing else.
 *
 * Limits (rlimits), no new privileges, Landlock with no rule (no file system, no TCP), seccomp with
 * a short list of calls: anything else kills the process. Fails closed: without seccomp the caller
 * must not go on.
 */
#ifndef MAAS_JOBS_SANDBOX_H
#define MAAS_JOBS_SANDBOX_H

#include "base/status.h"

typedef struct maas_sandbox_limits {
    uint64_t memory_bytes; /* RLIMIT_AS    */
    uint64_t output_bytes; /* RLIMIT_FSIZE */
    uint32_t cpu_s;        /* RLIMIT_CPU   */
} maas_sandbox_limits;

/* Closes every descriptor but the `n` in keep[], then locks the door. There is no way back. */
maas_status maas_sandbox_enter(const int *keep, int n, const maas_sandbox_limits *l, maas_err *err);
/* Names of the allowed system calls, NULL-ended: the policy, for tests and documentation. */
extern const char *const maas_sandbox_calls[];

#endif
