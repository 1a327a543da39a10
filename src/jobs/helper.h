/*
 * jobs/helper.h - the single-threaded helper process that forks all children.
 *
 * main starts it before any thread exists; the server talks to it over a socketpair. It forks
 * sandboxed importers (fork, no exec: rlimits, no network, no file system beyond two descriptors,
 * Landlock, seccomp) and job workers (fork + exec of `maas worker`), reaps them, and says how they
 * ended. When the server dies, it and all children die (PR_SET_PDEATHSIG and closed socket).
 *
 * Threads: one of the server's owns the socket (the jobs thread); maas_helper_import may be called
 * from any thread that may block (io threads): calls are multiplexed.
 */
#ifndef MAAS_JOBS_HELPER_H
#define MAAS_JOBS_HELPER_H

#include "base/json.h"
#include "base/sys.h"
#include "formats/table.h"

typedef struct maas_helper maas_helper;

/* Before any thread. Forks the helper. */
maas_status maas_helper_start(maas_helper **out, maas_err *err);
void maas_helper_stop(maas_helper *h); /* ends all children */

typedef enum maas_verdict { /* how a child ended */
                            MAAS_CHILD_OK,
                            MAAS_CHILD_REJECTED, /* it said why: status and words */
                            MAAS_CHILD_CRASHED,  /* a signal: the words name it; counted in
                                                    maas_sandbox_crash_total */
                            MAAS_CHILD_TIMEOUT,
                            MAAS_CHILD_MEMORY
} maas_verdict;
uint64_t maas_helper_n_crashes(const maas_helper *h);

/*
 * Parses an uploaded model in a sandboxed child, with the files that belong to it: fds[0] is the
 * model, the others are data it refers to by name (formats/members.h) and a file of weights. All
 * read-only, positioned anywhere (the child maps them). Writes the canonical artifact, which has
 * everything in it, to out_fd (an unnamed file) and gives {"format":"onnx","inputs":[...],
 * "outputs":[...],"info":{layers, parameters, bytes, flops,...},"used":["model.onnx.data",...]}.
 * Blocks, at most `deadline_ms`. Fails as the reader said, E_TOO_LARGE for too many files, or
 * E_FORMAT for a crash or a time-out.
 */
typedef struct maas_import_in {
    const int *fds;
    const char *const *paths; /* [n] names in the upload */
    uint32_t n;
    const char *format;  /* NULL: by content */
    const char *weights; /* one of paths: replaces initializers by name; NULL: none */
    const json_t *image_recipe, *labels; /* formats/image_recipe.h: change the model; NULL: none */
} maas_import_in;
maas_status maas_helper_import_model(maas_helper *h, const maas_import_in *in, int out_fd,
                                     int deadline_ms, json_t **out_info, maas_err *err);
/* Looks at the files of a language model (lm/files.h), which stay as they are, in a sandboxed
 * child: the rest as above. */
maas_status maas_helper_check_language_model(maas_helper *h, const char *const *paths,
                                             const int *fds, uint32_t n, int deadline_ms,
                                             json_t **out_info, maas_err *err);
/* Parses a table in a sandboxed child; rows come back through a pipe into `sink`, in the calling
 * thread. options: {"header":..,"delimiter":..,"types":{..}} or NULL. The child may compute for
 * cpu_s seconds (it cannot wait for anything else than us). */
maas_status maas_helper_import_table(maas_helper *h, int in_fd, const char *format,
                                     const char *file_name, const char *column_name,
                                     const json_t *options, int cpu_s, const maas_table_sink *sink,
                                     maas_err *err);

/*
 * Starts `maas worker` with `spec` (sent over the socketpair); limits are rlimits and niceness.
 * *out_fd: our end of the socketpair (events, one JSON object a line; non-blocking). The id names
 * the child in maas_helper_kill and in the end callback, which runs on the helper's reader thread.
 */
typedef struct maas_worker_limits {
    uint64_t memory_bytes; /* RLIMIT_DATA-like; 0: none */
    int n_cores;           /* threads it may use        */
    int nice;
} maas_worker_limits;
typedef void (*maas_child_ended)(void *user, uint64_t id, maas_verdict v, const char *words);
maas_status maas_helper_worker(maas_helper *h, const json_t *spec, const maas_worker_limits *limits,
                               maas_child_ended ended, void *user, uint64_t *out_id, int *out_fd,
                               maas_err *err);
void maas_helper_kill(maas_helper *h, uint64_t id, int signal);

#endif
