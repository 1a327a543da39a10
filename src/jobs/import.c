/* jobs/import.c - the server's side of a sandboxed import. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "jobs/helper_int.h"
#include "jobs/row_stream.h"
#include "base/ban.h"

/* Of an importer: this and so many times its input, and as much again as the machine can spare, to
 * `most` times. Trees of a compact file take eight times its bytes while they become ONNX. */
#define MEMORY_FLOOR (1ull << 30)
#define MEMORY_TIMES 4
#define MEMORY_MOST  16
#define CPU_SECONDS  3600

static uint64_t memory_for(uint64_t in_bytes)
{
    const uint64_t least = MEMORY_FLOOR + MEMORY_TIMES * in_bytes;
    const uint64_t most = MEMORY_FLOOR + MEMORY_MOST * in_bytes;
    const uint64_t spare = maas_sys_memory_bytes() / 2;
    return spare < least ? least : spare < most ? spare : most;
}

static maas_wire_order order_for(maas_child_kind kind, uint64_t in_bytes)
{
    return (maas_wire_order){
        .kind = kind,
        .limits = {.memory_bytes = memory_for(in_bytes),
                   .output_bytes = (1ull << 32) + 2 * in_bytes,
                   .cpu_s = CPU_SECONDS},
    };
}

/* Starts the child: *control is our end of its socket; `out` and the `n` files of `in` are given to
 * it. */
static maas_status start(maas_helper *h, maas_wire_order *o, const json_t *spec, const int *in,
                         uint32_t n, int out, int *control, maas_err *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return maas_fail(err, MAAS_E_IO, "starting an importer: %m");
    AUTO_FD ours = pair[0], theirs = pair[1];
    int fds[MAAS_WIRE_MAX_FDS] = {theirs, out};
    MAAS_CHECK(n <= MAAS_WIRE_MAX_FDS - 2);
    memcpy(fds + 2, in, n * sizeof *in);
    MAAS_TRY(maas_helper_order(h, o, fds, (int)n + 2, NULL, NULL, err));
    maas_status st = maas_wire_put_json(ours, spec, err);
    if (st != MAAS_OK) {
        maas_helper_kill(h, o->id, SIGKILL);
        maas_helper_wait(h, o->id);
        return st;
    }
    *control = STEAL_FD(ours);
    return MAAS_OK;
}

/* The child's answer and its end; whatever went wrong becomes the words of `err`. */
static maas_status finish(maas_helper *h, uint64_t id, int control, int deadline_ms, json_t **out,
                          maas_err *err)
{
    AUTO(maas_json_unref) json_t *answer = NULL;
    maas_err wire = {0};
    const char *words;
    maas_status st = maas_wire_get_json(control, deadline_ms, &answer, &wire);
    if (st == MAAS_E_TIMEOUT)
        maas_helper_kill(h, id, SIGKILL);
    int status = maas_helper_wait(h, id);
    if (st == MAAS_E_TIMEOUT)
        return maas_fail(err, MAAS_E_FORMAT,
                         "parsing the file took more than %d s: it was given up",
                         deadline_ms / 1000);
    if (st != MAAS_OK) {
        if (maas_verdict_of(status, &words) == MAAS_CHILD_CRASHED)
            maas_helper_count_crash(h);
        return maas_fail(err, MAAS_E_FORMAT, "the file cannot be parsed: %s",
                         *words ? words : "its reader stopped early");
    }
    json_int_t code = json_integer_value(json_object_get(answer, "status"));
    const char *message = json_string_value(json_object_get(answer, "message"));
    if (code != MAAS_OK)
        return maas_fail(err, (maas_status)code, "%s", message ? message : "the file was refused");
    *out = json_incref(json_object_get(answer, "result"));
    return MAAS_OK;
}

/* Their names as a list, and the sum of their bytes. */
static maas_status list_files(const char *const *paths, const int *fds, uint32_t n, json_t **list,
                              uint64_t *bytes, maas_err *err)
{
    *list = json_array();
    *bytes = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t one = 0;
        MAAS_TRY(maas_sys_size(fds[i], &one, err));
        *bytes += one;
        if (json_array_append_new(*list, json_string(paths[i])) != 0)
            return maas_fail(err, MAAS_E_INVALID, "the name of a file is no UTF-8");
    }
    return MAAS_OK;
}

maas_status maas_helper_import_model(maas_helper *h, const maas_import_in *in, int out_fd,
                                     int deadline_ms, json_t **out_info, maas_err *err)
{
    uint64_t bytes;
    AUTO_FD control = -1;
    AUTO(maas_json_unref) json_t *list = NULL, *spec = NULL;
    if (in->n < 1 || in->n > MAAS_MAX_LM_FILES)
        return maas_fail(err, MAAS_E_TOO_LARGE,
                         "a model of %u files, at most %d are read: save its data in one file",
                         in->n, MAAS_MAX_LM_FILES);
    MAAS_TRY(list_files(in->paths, in->fds, in->n, &list, &bytes, err));
    maas_wire_order o = order_for(MAAS_CHILD_IMPORT_MODEL, bytes);
    spec = json_pack("{s:O, s:s*, s:s*, s:O*, s:O*}", "members", list, "format", in->format,
                     "weights", in->weights, "image_recipe", (json_t *)in->image_recipe, "labels",
                     (json_t *)in->labels);
    if (!spec)
        return maas_fail(err, MAAS_E_NOMEM, "starting an importer");
    MAAS_TRY(start(h, &o, spec, in->fds, in->n, out_fd, &control, err));
    return finish(h, o.id, control, deadline_ms, out_info, err);
}

maas_status maas_helper_check_language_model(maas_helper *h, const char *const *paths,
                                             const int *fds, uint32_t n, int deadline_ms,
                                             json_t **out_info, maas_err *err)
{
    uint64_t bytes;
    AUTO_FD control = -1;
    AUTO(maas_json_unref) json_t *list = NULL, *spec = NULL;
    if (n < 1 || n > MAAS_MAX_LM_FILES)
        return maas_fail(err, MAAS_E_TOO_LARGE, "a language model of %u files, at most %d are read",
                         n, MAAS_MAX_LM_FILES);
    MAAS_TRY(list_files(paths, fds, n, &list, &bytes, err));
    maas_wire_order o = order_for(MAAS_CHILD_IMPORT_MODEL, bytes);
    spec = json_pack("{s:O}", "paths", list);
    if (!spec)
        return maas_fail(err, MAAS_E_NOMEM, "starting an importer");
    /* It writes nothing: what it reads stays as it is. */
    MAAS_TRY(start(h, &o, spec, fds, n, fds[0], &control, err));
    return finish(h, o.id, control, deadline_ms, out_info, err);
}

maas_status maas_helper_import_table(maas_helper *h, int in_fd, const char *format,
                                     const char *file_name, const char *column_name,
                                     const json_t *options, int cpu_s, const maas_table_sink *sink,
                                     maas_err *err)
{
    uint64_t bytes;
    int pair[2];
    MAAS_TRY(maas_sys_size(in_fd, &bytes, err));
    maas_wire_order o = order_for(MAAS_CHILD_IMPORT_TABLE, 0); /* it holds a batch, not the file */
    o.limits.memory_bytes += bytes;                            /* the mapping counts */
    o.limits.output_bytes = UINT64_MAX;
    o.limits.cpu_s = (uint32_t)cpu_s;
    if (pipe2(pair, O_CLOEXEC) != 0)
        return maas_fail(err, MAAS_E_IO, "starting an importer: %m");
    AUTO_FD rows = pair[0], rows_in = pair[1];
    AUTO_FD control = -1;
    AUTO(maas_json_unref)
    json_t *spec = json_pack("{s:s*, s:s*, s:s*, s:O*}", "format", format, "file_name", file_name,
                             "column_name", column_name, "options", (json_t *)options);
    AUTO(maas_json_unref) json_t *result = NULL;
    if (!spec)
        return maas_fail(err, MAAS_E_NOMEM, "starting an importer");
    MAAS_TRY(start(h, &o, spec, &in_fd, 1, rows_in, &control, err));
    close(STEAL_FD(rows_in)); /* so that the child's death ends the stream */
    maas_err cut = {0};
    maas_status st = maas_row_stream_read(rows, sink, &cut);
    if (st != MAAS_OK && st != MAAS_E_UNAVAILABLE)
        maas_helper_kill(h, o.id, SIGKILL); /* it was us who refused: disk full, bad counts */
    close(STEAL_FD(rows));
    maas_status ended = finish(h, o.id, control, 10000, &result, err);
    if (st != MAAS_OK && st != MAAS_E_UNAVAILABLE) {
        *err = cut; /* the first cause */
        return st;
    }
    return ended != MAAS_OK ? ended : st == MAAS_OK ? st : maas_fail(err, cut.code, "%s", cut.msg);
}
