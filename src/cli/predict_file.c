/* cli/predict_file.c - a file of any length, batch by batch, through a model on the server. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "cli/predict.h"
#include "cli/print.h"
#include "base/ban.h"

#define MAX_REQUEST ((size_t)32 << 20)

typedef struct stream {
    maas_cli *cli;
    const maas_predict_file *o;
    maas_row_plan plan;
    maas_truth truth;
    maas_cli_score score;
    maas_buf path, request;
    maas_http_response answer;
    maas_arena arena; /* of one answer */
    maas_bar bar;
    int64_t at, n_rows; /* rows done; of the file, -1: not known */
    uint32_t truth_col; /* of the file; UINT32_MAX: none */
} stream;

static maas_status begin(void *user, const maas_column *cols, uint32_t n_cols, int64_t n_rows,
                         maas_err *err)
{
    stream *s = user;
    s->n_rows = n_rows;
    for (uint32_t i = 0; s->o->target && i < n_cols; i++)
        if (strcmp(cols[i].name, s->o->target) == 0)
            s->truth_col = i;
    return maas_row_plan_bind(&s->plan, cols, n_cols, s->o->target, err);
}

static maas_status ask(stream *s, const maas_tensor *cols, int64_t from, int64_t n, maas_err *err)
{
    char length[64];
    const char *const headers[] = {"Content-Type: application/octet-stream", length, NULL};
    size_t json_bytes;
    MAAS_TRY(maas_row_plan_encode(&s->plan, cols, from, n, &s->request, &json_bytes, err));
    snprintf(length, sizeof length, "Inference-Header-Content-Length: %zu", json_bytes);
    const maas_http_call call = {.method = "POST",
                                 .path = s->path.p,
                                 .headers = headers,
                                 .body = maas_buf_span(&s->request)};
    return maas_cli_send(s->cli, &call, &s->answer, err);
}

static maas_status slice(stream *s, const maas_tensor *cols, int64_t from, int64_t n, maas_err *err)
{
    maas_outputs out;
    bool score = s->o->expect || s->o->target;
    maas_arena_rewind(&s->arena);
    MAAS_TRY(ask(s, cols, from, n, err));
    MAAS_TRY(maas_outputs_read(&s->answer, n, &s->arena, &out, err));
    if (score)
        MAAS_TRY(maas_cli_score_add(&s->score, &out, &s->truth, s->at, n, err));
    else
        maas_outputs_print(&out, n, s->cli->opts->json, s->at == 0);
    s->at += n;
    if (score && s->n_rows > 0)
        maas_bar_draw(&s->bar, (double)s->at / (double)s->n_rows, "");
    return MAAS_OK;
}

static maas_status rows(void *user, int64_t n, const maas_tensor *cols, maas_err *err)
{
    stream *s = user;
    if (s->truth_col != UINT32_MAX)
        MAAS_TRY(maas_truth_add(&s->truth, n, &cols[s->truth_col], err));
    for (int64_t from = 0; from < n; from += s->o->batch) {
        int64_t count = n - from < s->o->batch ? n - from : s->o->batch;
        MAAS_TRY(slice(s, cols, from, count, err));
    }
    return MAAS_OK;
}

static maas_status end(void *user, maas_err *err)
{
    stream *s = user;
    if ((s->o->expect || s->o->target) && s->at != s->truth.n)
        return maas_fail(err, MAAS_E_INVALID, "the file has %lld rows, the truth has %lld",
                         (long long)s->at, (long long)s->truth.n);
    return MAAS_OK;
}

static maas_status read_table(const char *path, const maas_table_sink *sink, maas_err *err)
{
    AUTO_FD fd = -1;
    maas_map map = {0};
    const maas_table_opts o = MAAS_TABLE_OPTS_INIT;
    const char *slash = strrchr(path, '/');
    maas_status st = maas_sys_open(path, O_RDONLY, &fd, err);
    if (st == MAAS_OK)
        st = maas_sys_map(fd, &map, err);
    if (st == MAAS_OK)
        st = maas_table_read(maas_span_of(map.p, map.n), NULL, slash ? slash + 1 : path, &o, sink,
                             err);
    maas_sys_unmap(&map);
    return st;
}

/* The file's name belongs before what is wrong with it, but not before what the server says. */
static maas_status read_truth(stream *s, maas_err *err)
{
    const maas_table_sink sink = maas_truth_sink(&s->truth);
    maas_status st = s->o->expect ? read_table(s->o->expect, &sink, err) : MAAS_OK;
    if (st != MAAS_OK)
        maas_err_prefix(err, "%s", s->o->expect);
    return st;
}

static maas_status run(stream *s, const json_t *version, maas_err *err)
{
    const maas_table_sink sink = {s, begin, rows, end};
    MAAS_TRY(maas_row_plan_read(&s->plan, version, err));
    maas_buf_str(&s->path, "/v2/models/");
    maas_url_segment(&s->path, s->o->model);
    maas_buf_printf(&s->path, "/versions/%lld/infer", (long long)s->o->version);
    MAAS_TRY(read_truth(s, err));
    MAAS_TRY(read_table(s->o->file, &sink, err));
    maas_bar_clear(&s->bar);
    if (s->o->expect || s->o->target)
        maas_cli_score_print(&s->score, s->cli->opts->json);
    return MAAS_OK;
}

maas_status maas_predict_stream(maas_cli *cli, const maas_predict_file *o, const json_t *version,
                                maas_err *err)
{
    stream s = {.cli = cli,
                .o = o,
                .path = MAAS_BUF_INIT(4096),
                .request = MAAS_BUF_INIT(MAX_REQUEST),
                .answer = MAAS_HTTP_RESPONSE_INIT,
                .bar = {.on = cli->bars, .label = "predict"},
                .truth_col = UINT32_MAX};
    maas_status st = run(&s, version, err);
    maas_bar_clear(&s.bar);
    maas_row_plan_reset(&s.plan);
    maas_truth_reset(&s.truth);
    maas_buf_reset(&s.path);
    maas_buf_reset(&s.request);
    maas_http_response_reset(&s.answer);
    maas_arena_reset(&s.arena);
    return st;
}
