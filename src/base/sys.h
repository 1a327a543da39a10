/*
 * base/sys.h - the one door to the operating system: files, clock, randomness, processes.
 *
 * Every call goes through here so that test builds can make the n-th call of a kind fail
 * (maas_sys_fail_at) and crash the process at a named point (MAAS_CRASH_POINT). Calls restart on
 * EINTR and complete short reads and writes. A failed fsync is fatal: the process aborts.
 *
 * Threads: any. Descriptors are CLOEXEC. Fails: E_IO, E_NO_SPACE, E_NOT_FOUND with path-free words
 * (`what` names the thing, because words may reach clients).
 */
#ifndef MAAS_BASE_SYS_H
#define MAAS_BASE_SYS_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/status.h"

/* ---- files ---- */
typedef struct maas_map { /* a read-only mapping */
    const uint8_t *p;
    size_t n;
} maas_map;

maas_status maas_sys_open_dir(const char *path, bool create, int *out_fd, maas_err *err);
/* Opens below `dir_fd` without following links or leaving it; flags as open(2). */
maas_status maas_sys_openat(int dir_fd, const char *name, int flags, const char *what, int *out_fd,
                            maas_err *err);
maas_status maas_sys_open(const char *path, int flags, int *out_fd,
                          maas_err *err);                                  /* user's path */
maas_status maas_sys_mkdirat(int dir_fd, const char *name, maas_err *err); /* existing is fine */
maas_status maas_sys_tmpfile(int dir_fd, int *out_fd, maas_err *err);      /* O_TMPFILE        */
maas_status maas_sys_write(int fd, const void *p, size_t n, maas_err *err);
maas_status maas_sys_pwrite(int fd, const void *p, size_t n, uint64_t at, maas_err *err);
maas_status maas_sys_read(int fd, void *p, size_t n, size_t *out_n, maas_err *err); /* one read */
maas_status maas_sys_read_all(int fd, maas_buf *out, maas_err *err);
maas_status maas_sys_size(int fd, uint64_t *out_bytes, maas_err *err);
maas_status maas_sys_map(int fd, maas_map *out, maas_err *err); /* empty file: p NULL, n 0 */
void maas_sys_unmap(maas_map *m);
/* What was read of the file is no longer counted as this process's memory; it stays in the page
 * cache, and comes back when it is read. */
void maas_sys_map_rest(const maas_map *m);
/* The same for the whole pages of a part of some file's read-only mapping. */
void maas_sys_map_rest_part(maas_span part);
void maas_sys_fsync(int fd); /* aborts on failure */
/* Gives an unnamed file its name below dir_fd and fsyncs the directory; E_CONFLICT if it exists. */
maas_status maas_sys_link(int fd, int dir_fd, const char *name, maas_err *err);
maas_status maas_sys_unlinkat(int dir_fd, const char *name, maas_err *err);
maas_status maas_sys_rename(int dir_fd, const char *from, const char *to, maas_err *err);
maas_status maas_sys_free_bytes(int fd, uint64_t *out_bytes); /* on the file system of fd */

/* ---- clock ---- */
uint64_t maas_now_ns(void);                             /* monotonic */
uint64_t maas_wall_ms(void);                            /* since 1970 */
void maas_time_rfc3339(uint64_t wall_ms, char out[32]); /* 2026-01-02T03:04:05.678Z */
void maas_sleep_ms(uint32_t ms);

/* ---- randomness ---- */
void maas_random_bytes(void *out, size_t n); /* getrandom; aborts if there is none */
/* A small fast generator for everything that must repeat from a seed (xoshiro256**, 2018). */
typedef struct maas_rng {
    uint64_t s[4];
} maas_rng;
void maas_rng_seed(maas_rng *r, uint64_t seed);
uint64_t maas_rng_u64(maas_rng *r);
uint64_t maas_rng_below(maas_rng *r, uint64_t n); /* 0..n-1, unbiased; n > 0 */
double maas_rng_unit(maas_rng *r);                /* [0,1) */
float maas_rng_normal(maas_rng *r);               /* mean 0, deviation 1 (Box-Muller) */

/* ---- processes and machine ---- */
int maas_sys_n_cores(void); /* this process may run on */
size_t maas_sys_rss_bytes(void);
uint64_t maas_sys_memory_bytes(void);       /* physical, or the cgroup limit if lower */
const char *maas_sys_env(const char *name); /* NULL when unset; conf.c is the usual caller */
const char *maas_sys_self_exe(void);        /* path of this program */

/* ---- hashing (libcrypto) ---- */
#define MAAS_SHA256_BYTES 32
#define MAAS_SHA256_HEX   65 /* with the NUL */
typedef struct maas_sha256 {
    void *ctx;
} maas_sha256;
bool maas_sha256_init(maas_sha256 *h);
void maas_sha256_add(maas_sha256 *h, const void *p, size_t n);
void maas_sha256_done(maas_sha256 *h, uint8_t out[MAAS_SHA256_BYTES]); /* and frees */
void maas_sha256_reset(maas_sha256 *h);                                /* frees without result */
void maas_hex(const uint8_t *p, size_t n, char *out);                  /* 2n digits and a NUL */
bool maas_unhex(const char *text, uint8_t *out, size_t n);

/* ---- fault injection (compiled in test builds: -Dfaults=true; no-ops otherwise) ---- */
typedef enum maas_sys_call {
    MAAS_SYS_WRITE,
    MAAS_SYS_READ,
    MAAS_SYS_OPEN,
    MAAS_SYS_FSYNC,
    MAAS_SYS_LINK,
    MAAS_SYS_MMAP,
    MAAS_SYS_N_CALLS
} maas_sys_call;
void maas_sys_fail_at(maas_sys_call call, long n, int err_no); /* n-th call from now; 0: never */
#ifdef MAAS_FAULTS
/* MAAS_CRASH=name[:count] in the environment kills the process at that point. */
void maas_crash_point(const char *name);
#define MAAS_CRASH_POINT(name) maas_crash_point(name)
#else
#define MAAS_CRASH_POINT(name) ((void)0)
#endif

#endif
