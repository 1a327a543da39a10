/*
 * cli/run.c - `maas run FILE.onnx --input x.npy`: one run without a server.
 *
 * The model is used through the public header alone, as any program would use libmaas.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/sys.h"
#include "cli/cli.h"
#include "cli/generate.h"
#include "cli/print.h"
#include "cli/run.h"
#include "formats/npy.h"
#include "maas.h"
#include "tensor/json.h"
#include "base/ban.h"

#define MAX_INPUTS  256
#define SHOWN_ELEMS 64 /* of an output, on a terminal page */

static struct {
    char *output;
    char *prompt;
    char *schema, *grammar, *lora;
    double temperature;
    int64_t threads, repeat, max_tokens, seed;
    bool profile, json, raw;
} opts;

/* --input may be there many times, which the options table does not know: read before it. */
static struct {
    const char *texts[MAX_INPUTS];
    uint32_t n;
} given;

#define AT(f) offsetof(__typeof__(opts), f)
/* long: a row for each option */
maas_conf maas_run_settings(void)
{
    static const maas_conf_desc rows[] = {
        {.name = "output",
         .type = MAAS_CONF_STR,
         .offset = AT(output),
         .arg = "DIR",
         .help = "write every output to DIR/NAME.npy instead of printing it"},
        {.name = "threads",
         .type = MAAS_CONF_INT,
         .offset = AT(threads),
         .min = 0,
         .max = 4096,
         .preset = "0",
         .arg = "N",
         .help = "threads of a run; 0: one per core"},
        {.name = "repeat",
         .type = MAAS_CONF_INT,
         .offset = AT(repeat),
         .min = 1,
         .max = 1000000,
         .preset = "1",
         .arg = "N",
         .help = "run so often; prints the fastest and the mean time"},
        {.name = "profile",
         .type = MAAS_CONF_BOOL,
         .offset = AT(profile),
         .help = "print the time of every step"},
        {.name = "prompt",
         .type = MAAS_CONF_STR,
         .offset = AT(prompt),
         .letter = 'p',
         .arg = "TEXT",
         .help = "of a language model: what it is asked"},
        {.name = "max-tokens",
         .type = MAAS_CONF_INT,
         .offset = AT(max_tokens),
         .letter = 'n',
         .min = 0,
         .max = 1 << 30,
         .preset = "256",
         .arg = "N",
         .help = "of a language model: length of the answer; 0: as long as fits"},
        {.name = "temperature",
         .type = MAAS_CONF_REAL,
         .offset = AT(temperature),
         .min = 0,
         .max = 2,
         .preset = "0",
         .arg = "X",
         .help = "of a language model; 0: always the most probable token"},
        {.name = "seed",
         .type = MAAS_CONF_INT,
         .offset = AT(seed),
         .min = -1,
         .max = INT64_MAX,
         .preset = "-1",
         .arg = "N",
         .help = "of a language model: the same one draws the same answer; -1: any"},
        {.name = "schema",
         .type = MAAS_CONF_STR,
         .offset = AT(schema),
         .arg = "FILE",
         .help = "of a language model: the answer is JSON that fits this JSON schema"},
        {.name = "grammar",
         .type = MAAS_CONF_STR,
         .offset = AT(grammar),
         .arg = "FILE",
         .help = "of a language model: the answer fits this grammar (GBNF)"},
        {.name = "lora",
         .type = MAAS_CONF_STR,
         .offset = AT(lora),
         .arg = "FILE",
         .help =
             "of a language model: an adapter (LoRA: GGUF, or PEFT's folder) that is added to it"},
        {.name = "raw",
         .type = MAAS_CONF_BOOL,
         .offset = AT(raw),
         .help = "of a language model: the prompt as it is, without the chat template"},
        {.name = "json",
         .type = MAAS_CONF_BOOL,
         .offset = AT(json),
         .help = "print outputs as JSON, all elements"},
    };
    return (maas_conf){rows, MAAS_COUNT(rows), &opts};
}
#undef AT

/* Takes "--input X" and "--input=X" out of argv. */
static maas_status take_inputs(int *argc, char **argv, maas_err *err)
{
    int n = 0;
    for (int i = 0; i < *argc; i++) {
        bool joined = strncmp(argv[i], "--input=", 8) == 0;
        if (!joined && strcmp(argv[i], "--input") != 0 && strcmp(argv[i], "-i") != 0) {
            argv[n++] = argv[i];
            continue;
        }
        if (!joined && i + 1 == *argc)
            return maas_fail(err, MAAS_E_INVALID, "--input needs a value: [NAME=]FILE");
        if (given.n == MAX_INPUTS)
            return maas_fail(err, MAAS_E_INVALID, "more than %d inputs", MAX_INPUTS);
        given.texts[given.n++] = joined ? argv[i] + 8 : argv[++i];
    }
    *argc = n;
    return MAAS_OK;
}

/* "name=file", or "file" for the next input in order. A path may hold '=': only a name counts. */
static maas_status find_input(const maas_model *m, const char *text, uint32_t next, uint32_t *out,
                              const char **path, maas_err *err)
{
    const char *eq = strchr(text, '=');
    maas_io io;
    for (*out = 0; eq && maas_model_input(m, *out, &io) == MAAS_OK; ++*out)
        if (strlen(io.name) == (size_t)(eq - text) &&
            strncmp(io.name, text, strlen(io.name)) == 0) {
            *path = eq + 1;
            return MAAS_OK;
        }
    if (eq && access(text, F_OK) != 0)
        return maas_fail(err, MAAS_E_INVALID, "the model has no input '%.*s'", (int)(eq - text),
                         text);
    *out = next;
    *path = text;
    return next < maas_model_n_inputs(m)
               ? MAAS_OK
               : maas_fail(err, MAAS_E_INVALID, "the model takes %u inputs, not more",
                           maas_model_n_inputs(m));
}

/* The rows of a file are the first dimension, except where the model has a lower rank: one row. */
static maas_status set_input(maas_session *s, const maas_model *m, uint32_t i, maas_run_array *a,
                             maas_err *err)
{
    maas_io io;
    int64_t dims[MAAS_MAX_RANK + 1] = {a->n_rows};
    int rank = a->col.rank + 1;
    maas_model_input(m, i, &io);
    MAAS_TRY(maas_run_array_convert(a, io.dtype, io.name, err));
    memcpy(dims + 1, a->col.dims, (size_t)a->col.rank * sizeof *dims);
    /* NumPy's [n] for a model that takes [n,1]: a column of numbers. */
    if (rank == 1 && io.rank == 2)
        dims[rank++] = 1;
    const int64_t *at = io.rank == rank - 1 && dims[0] == 1 ? dims + 1 : dims;
    maas_status st = maas_session_set_input(s, i, at, at == dims ? rank : rank - 1, a->data,
                                            a->n_bytes);
    return st == MAAS_OK ? st : maas_fail(err, st, "%s", maas_session_error(s));
}

static maas_status read_inputs(maas_session *s, const maas_model *m, maas_run_array *arrays,
                               maas_err *err)
{
    uint32_t next = 0;
    for (uint32_t k = 0; k < given.n; k++) {
        uint32_t i;
        const char *path = NULL;
        maas_io io;
        MAAS_TRY(find_input(m, given.texts[k], next, &i, &path, err));
        next = i + 1;
        maas_model_input(m, i, &io);
        MAAS_TRY(maas_run_array_read(&arrays[k], path, io.name, err));
        MAAS_TRY(set_input(s, m, i, &arrays[k], err));
    }
    return MAAS_OK;
}

/* ---- outputs ---- */

typedef struct output {
    const char *name;
    maas_tensor t; /* STRING: data is an array of const char * */
    size_t n_bytes;
} output;

static maas_status get_output(maas_session *s, const maas_model *m, uint32_t i, output *out,
                              maas_err *err)
{
    maas_io io;
    const int64_t *dims;
    int32_t rank;
    const void *data;
    maas_status st = maas_session_output(s, i, &dims, &rank, &data, &out->n_bytes);
    if (st != MAAS_OK)
        return maas_fail(err, st, "%s", maas_session_error(s));
    maas_model_output(m, i, &io);
    out->name = io.name;
    out->t = maas_tensor_of(io.dtype, rank, dims, (void *)data);
    return MAAS_OK;
}

static void put_elements(const output *o, int64_t n, maas_buf *b)
{
    if (o->t.dtype != MAAS_STRING) {
        maas_json_encode_elements(&o->t, 0, n, b);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const char *text = ((const char *const *)o->t.data)[i];
        maas_buf_str(b, i ? "," : "");
        maas_buf_json_str(b, text, strlen(text));
    }
}

static void put_text(const output *o, maas_buf *b)
{
    char shape[MAAS_SHAPE_TEXT];
    int64_t all = maas_n_elems(&o->t), n = all < SHOWN_ELEMS ? all : SHOWN_ELEMS;
    maas_buf_printf(b, "%s  %s%s  ", o->name, maas_dtype_describe(o->t.dtype)->onnx,
                    maas_shape_text(o->t.dims, o->t.rank, shape));
    put_elements(o, n, b);
    if (n < all)
        maas_buf_printf(b, ",... (%lld more: --output DIR or --json)", (long long)(all - n));
    maas_buf_char(b, '\n');
}

static void put_json(const output *o, bool first, maas_buf *b)
{
    maas_buf_str(b, first ? "" : ",");
    maas_buf_str(b, "{\"name\":");
    maas_buf_json_str(b, o->name, strlen(o->name));
    maas_buf_printf(b, ",\"datatype\":\"%s\",\"shape\":[", maas_dtype_describe(o->t.dtype)->oip);
    for (int d = 0; d < o->t.rank; d++)
        maas_buf_printf(b, "%s%lld", d ? "," : "", (long long)o->t.dims[d]);
    maas_buf_str(b, "],\"data\":[");
    put_elements(o, maas_n_elems(&o->t), b);
    maas_buf_str(b, "]}");
}

/* Names of outputs come from the model file: what cannot be a file name becomes '_'. */
static void put_file_name(const char *name, maas_buf *b)
{
    for (const char *s = name; *s; s++) {
        bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
                     (*s >= '0' && *s <= '9') || *s == '_' || *s == '-' || (*s == '.' && s > name);
        maas_buf_char(b, plain ? *s : '_');
    }
    maas_buf_str(b, ".npy");
}

static maas_status put_npy(const output *o, maas_buf *b, maas_err *err)
{
    if (o->t.dtype != MAAS_STRING) {
        MAAS_TRY(maas_npy_put_header(b, o->t.dtype, o->t.rank, o->t.dims, err));
        maas_buf_add(b, o->t.data, o->n_bytes);
        return MAAS_OK;
    }
    return maas_fail(err, MAAS_E_UNSUPPORTED,
                     "output '%s' is text, which .npy files of ours do not hold: use --json",
                     o->name);
}

static maas_status write_output(int dir_fd, const output *o, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf name = MAAS_BUF_INIT(255), b = MAAS_BUF_INIT(1ull << 40);
    AUTO_FD fd = -1;
    put_file_name(o->name, &name);
    if (name.failed)
        return maas_fail(err, MAAS_E_INVALID, "the name of output '%.64s' is too long", o->name);
    MAAS_TRY(put_npy(o, &b, err));
    if (b.failed)
        return maas_fail(err, MAAS_E_NOMEM, "memory for output '%s'", o->name);
    MAAS_TRY(maas_sys_openat(dir_fd, name.p, O_WRONLY | O_CREAT | O_TRUNC, "an output", &fd, err));
    MAAS_TRY(maas_sys_write(fd, b.p, b.n, err));
    fprintf(stderr, "%s/%s\n", opts.output, name.p);
    return MAAS_OK;
}

static maas_status show_outputs(maas_session *s, const maas_model *m, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(1ull << 40);
    AUTO_FD dir = -1;
    output o;
    if (opts.output)
        MAAS_TRY(maas_sys_open_dir(opts.output, true, &dir, err));
    maas_buf_str(&b, opts.json ? "{\"outputs\":[" : "");
    for (uint32_t i = 0; i < maas_model_n_outputs(m); i++) {
        MAAS_TRY(get_output(s, m, i, &o, err));
        if (opts.output)
            MAAS_TRY(write_output(dir, &o, err));
        else if (opts.json)
            put_json(&o, i == 0, &b);
        else
            put_text(&o, &b);
    }
    maas_buf_str(&b, opts.json ? "]}\n" : "");
    if (b.failed)
        return maas_fail(err, MAAS_E_NOMEM, "memory for the outputs");
    fwrite(b.p, 1, b.n, stdout);
    return MAAS_OK;
}

static maas_status show_profile(maas_session *s, maas_err *err)
{
    char *text = NULL;
    AUTO(maas_json_unref) json_t *steps = NULL;
    maas_text_table t;
    size_t i;
    json_t *step;
    maas_status st = maas_session_profile(s, &text);
    if (st == MAAS_OK)
        st = maas_json_parse(maas_span_str(text), &steps, err);
    maas_string_free(text);
    if (st != MAAS_OK)
        return maas_fail(err, st, "no profile");
    maas_text_table_init(&t, "rrrlll");
    for (const char *const *h =
             (const char *const[]){"us", "GFLOP/s", "MiB", "operator", "kernel", "node", NULL};
         *h; h++)
        maas_text_table_cell(&t, "%s", *h);
    json_array_foreach(steps, i, step)
    {
        const double ns = json_number_value(json_object_get(step, "ns"));
        const double flops = json_number_value(json_object_get(step, "flops"));
        maas_text_table_cell(&t, "%.1f", ns / 1e3);
        if (flops > 0 && ns > 0)
            maas_text_table_cell(&t, "%.1f", flops / ns);
        else
            maas_text_table_cell(&t, "%s", "");
        maas_text_table_cell(&t, "%.2f",
                             json_number_value(json_object_get(step, "bytes")) / (1 << 20));
        maas_text_table_str(&t, step, "op");
        maas_text_table_str(&t, step, "kernel");
        maas_text_table_str(&t, step, "node");
    }
    maas_text_table_print(&t, stderr);
    maas_text_table_reset(&t);
    return MAAS_OK;
}

static maas_status run(maas_session *s, maas_err *err)
{
    uint64_t best = UINT64_MAX, sum = 0;
    for (int64_t i = 0; i < opts.repeat; i++) {
        uint64_t start = maas_now_ns();
        maas_status st = maas_session_run(s);
        if (st != MAAS_OK)
            return maas_fail(err, st, "%s", maas_session_error(s));
        uint64_t ns = maas_now_ns() - start;
        best = ns < best ? ns : best;
        sum += ns;
    }
    if (opts.repeat > 1)
        fprintf(stderr, "fastest %.1f us, mean %.1f us of %lld runs\n", (double)best / 1e3,
                (double)sum / 1e3 / (double)opts.repeat, (long long)opts.repeat);
    return MAAS_OK;
}

static maas_status run_model(const maas_model *m, maas_session *s, maas_err *err)
{
    maas_run_array *arrays = maas_calloc(given.n + 1, sizeof *arrays);
    if (!arrays)
        return maas_fail(err, MAAS_E_NOMEM, "memory for inputs");
    maas_session_set_profile(s, opts.profile);
    maas_status st = read_inputs(s, m, arrays, err);
    if (st == MAAS_OK)
        st = run(s, err);
    if (st == MAAS_OK)
        st = show_outputs(s, m, err);
    if (st == MAAS_OK && opts.profile)
        st = show_profile(s, err);
    for (uint32_t i = 0; i < given.n; i++)
        maas_run_array_reset(&arrays[i]);
    maas_free(arrays);
    return st;
}

static maas_status open_and_run(const char *path, maas_err *err)
{
    maas_load_opts o = MAAS_LOAD_OPTS_INIT;
    maas_model *m = NULL;
    maas_session *s = NULL;
    char *words = NULL;
    o.n_threads = (uint32_t)opts.threads;
    maas_status st = maas_model_load(path, &o, &m, &words);
    if (st != MAAS_OK)
        maas_fail(err, st, "%s: %s", path, words ? words : maas_status_text(st));
    maas_string_free(words);
    if (st == MAAS_OK && (st = maas_session_create(m, &s)) != MAAS_OK)
        maas_fail(err, st, "%s", maas_status_text(st));
    if (st == MAAS_OK)
        st = run_model(m, s, err);
    maas_session_free(s);
    maas_model_free(m);
    return st;
}

static maas_status generate(const char *path, maas_err *err)
{
    const maas_generate_opts o = {.prompt = opts.prompt,
                                  .max_tokens = opts.max_tokens,
                                  .threads = opts.threads,
                                  .seed = opts.seed,
                                  .temperature = opts.temperature,
                                  .schema = opts.schema,
                                  .grammar = opts.grammar,
                                  .lora = opts.lora,
                                  .raw = opts.raw};
    return opts.prompt ? maas_generate(path, &o, err)
                       : maas_fail(err, MAAS_E_INVALID, "a language model needs --prompt TEXT");
}

int maas_cmd_run(int argc, char **argv)
{
    maas_err err = {0};
    maas_conf c = maas_run_settings();
    int n = 0;
    maas_status st = maas_conf_preset(&c, &err);
    if (st == MAAS_OK)
        st = take_inputs(&argc, argv, &err);
    if (st == MAAS_OK)
        st = maas_conf_args(&c, argc, argv, &n, &err);
    int code = MAAS_EXIT_USAGE;
    if (st != MAAS_OK || n != 1)
        fprintf(stderr,
                "maas: %s\nusage: maas run FILE.onnx --input [NAME=]FILE ... [options]\n"
                "       maas run FILE.gguf|FOLDER --prompt TEXT [options]\n",
                err.msg[0] ? err.msg : "give one model file");
    else if ((st = maas_is_language_model(argv[1]) ? generate(argv[1], &err)
                                                   : open_and_run(argv[1], &err)) == MAAS_OK)
        code = MAAS_EXIT_OK;
    else
        code = maas_cli_fail(&err);
    maas_conf_reset(&c);
    return code;
}
