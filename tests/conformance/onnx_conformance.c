/*
 * onnx_conformance [--list FILE] DIR... - runs the ONNX project's backend tests through the whole
 * engine.
 *
 * A DIR holds cases NAME/model.onnx with NAME/test_data_set_K/{input,output}_N.pb, and optionally
 * NAME/tolerance
 * ("relative absolute"; what the project asks for otherwise: 1e-3 and 1e-7). Each case runs twice
 * in a process of its own, as a plan of reference code and as one with all passes and kernels, and
 * both must agree with the data.
 *
 * Prints a line a case: "ok", "not ok", "unsupported" or "listed", name and reason; --quiet leaves
 * out the first kind. FILE names the cases that may be something else than ok ("name reason" a
 * line); one that is listed and passes is an error as well, so that the list stays true. The last
 * line is `N passed, N failed`; a listed case is neither.
 */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "formats/onnx.h"
#include "onnx_data.h"
#include "ops/build.h"
#include "ops/image.h"
#include "runtime/plan.h"

#define CASE_SECONDS 120
#define BF16_REL     0x1p-6 /* two units in the last place, as the project's own runner has it */

typedef struct verdict {
    enum { OK, FAILED, UNSUPPORTED } code;
    char why[400];
} verdict;

typedef struct test {
    const char *dir;
    maas_arena arena;
    maas_graph *g;
    double rel, abs;
    int n_sets;
    char why[400];
} test;

/* ---- comparing ---- */

static bool differs(test *t, int64_t i, const char *what)
{
    snprintf(t->why, sizeof t->why, "element %lld: %s", (long long)i, what);
    return false;
}

static bool same_text(test *t, int64_t i, const maas_tensor *got, const maas_tensor *want)
{
    const maas_str x = ((maas_str *)got->data)[i], y = ((maas_str *)want->data)[i];
    return (x.n == y.n && (x.n == 0 || memcmp(x.p, y.p, x.n) == 0)) ||
           differs(t, i, "another string");
}

static bool same_number(test *t, int64_t i, const maas_tensor *got, const maas_tensor *want)
{
    char text[80];
    if (want->dtype == MAAS_I64 || want->dtype == MAAS_U64) {
        const int64_t x = maas_tensor_get_i64(got, i), y = maas_tensor_get_i64(want, i);
        snprintf(text, sizeof text, "%lld, expected %lld", (long long)x, (long long)y);
        return x == y || differs(t, i, text);
    }
    const double x = maas_tensor_get(got, i), y = maas_tensor_get(want, i);
    snprintf(text, sizeof text, "%.9g, expected %.9g", x, y);
    const double rel = want->dtype == MAAS_BF16 && t->rel < BF16_REL ? BF16_REL : t->rel;
    return x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= t->abs + rel * fabs(y) ||
           differs(t, i, text);
}

static bool same(test *t, const maas_tensor *got, const maas_tensor *want)
{
    if (got->holds || want->holds) {
        bool ok = got->holds == want->holds && got->dims[0] == want->dims[0];
        if (!ok)
            snprintf(t->why, sizeof t->why, "a list of %lld, expected %lld",
                     (long long)got->dims[0], (long long)want->dims[0]);
        for (int64_t i = 0; ok && i < want->dims[0]; i++)
            ok = same(t, maas_list_items(got) + i, maas_list_items(want) + i);
        return ok;
    }
    if (got->dtype != want->dtype || !maas_shape_eq(got, want)) {
        char a[MAAS_SHAPE_TEXT], b[MAAS_SHAPE_TEXT];
        snprintf(t->why, sizeof t->why, "%s%s, expected %s%s",
                 maas_dtype_describe((maas_dtype)got->dtype)->onnx,
                 maas_shape_text(got->dims, got->rank, a),
                 maas_dtype_describe((maas_dtype)want->dtype)->onnx,
                 maas_shape_text(want->dims, want->rank, b));
        return false;
    }
    for (int64_t i = 0; i < maas_n_elems(want); i++)
        if (!(want->dtype == MAAS_STRING ? same_text : same_number)(t, i, got, want))
            return false;
    return true;
}

/* ---- running ---- */

/* What a file says as the engine has it. */
static maas_tensor value_of(test *t, const onnx_value *v, maas_dtype dtype)
{
    if (v->kind == ONNX_TENSOR) {
        maas_tensor tensor = v->tensor;
        /* Older packages wrote bfloat16 as the integers of its bits: NumPy had no name for it. */
        if (dtype == MAAS_BF16 && tensor.dtype == MAAS_U16)
            tensor.dtype = MAAS_BF16;
        return tensor;
    }
    maas_tensor *items = maas_arena_array(&t->arena, v->n_items, sizeof *items);
    for (size_t i = 0; i < v->n_items; i++)
        items[i] = value_of(t, &v->item[i], dtype);
    return maas_list_of(v->kind == ONNX_SEQUENCE ? MAAS_SEQUENCE : MAAS_OPTIONAL, dtype, items,
                        (int64_t)v->n_items);
}

static bool read_value(test *t, int set, const char *what, uint32_t i, const maas_type *type,
                       maas_tensor *out)
{
    char path[4096];
    onnx_value v;
    maas_span file;
    const onnx_kind kind = type->tag == MAAS_TYPE_SEQUENCE   ? ONNX_SEQUENCE
                           : type->tag == MAAS_TYPE_OPTIONAL ? ONNX_OPTIONAL
                                                             : ONNX_TENSOR;
    snprintf(path, sizeof path, "%s/test_data_set_%d/%s_%u.pb", t->dir, set, what, i);
    if (onnx_slurp(path, &t->arena, &file) && onnx_value_read(file, kind, &t->arena, &v)) {
        *out = value_of(t, &v, (maas_dtype)type->dtype);
        return true;
    }
    snprintf(t->why, sizeof t->why, "%s %u cannot be read", what, i);
    return false;
}

static maas_status run_plan(test *t, const maas_plan *p, int set, maas_exec *e, maas_err *err)
{
    maas_tensor v;
    MAAS_TRY(maas_exec_run(e, err));
    for (uint32_t i = 0; i < t->g->n_outputs; i++) {
        if (!read_value(t, set, "output", i, &maas_graph_at(t->g, t->g->outputs[i])->type, &v))
            return maas_fail(err, MAAS_E_INVALID, "%s", t->why);
        if (!same(t, maas_exec_output(e, i), &v))
            return maas_fail(err, MAAS_E_INVALID, "output %u: %s", i, t->why);
    }
    return MAAS_OK;
}

static maas_status run_set(test *t, int set, bool reference, maas_err *err)
{
    maas_plan_opts o = MAAS_PLAN_OPTS_INIT;
    maas_type *types = maas_arena_array(&t->arena, t->g->n_inputs + 1u, sizeof *types);
    maas_tensor *in = maas_arena_array(&t->arena, t->g->n_inputs + 1u, sizeof *in);
    maas_plan *p = NULL;
    maas_exec *e = NULL;
    o.check = true;
    o.reference = reference;
    o.level = reference ? 0 : 2;
    for (uint32_t i = 0; i < t->g->n_inputs; i++) {
        if (!read_value(t, set, "input", i, &maas_graph_at(t->g, t->g->inputs[i])->type, &in[i]))
            return maas_fail(err, MAAS_E_INVALID, "%s", t->why);
        types[i] = in[i].holds ? maas_graph_at(t->g, t->g->inputs[i])->type : maas_type_of(&in[i]);
    }
    maas_status st = maas_plan_create(t->g, types, &o, &p, err);
    if (st == MAAS_OK)
        st = maas_exec_create(p, NULL, &e, err);
    for (uint32_t i = 0; st == MAAS_OK && i < t->g->n_inputs; i++)
        *maas_exec_input(e, i) = in[i];
    if (st == MAAS_OK)
        st = run_plan(t, p, set, e, err);
    maas_exec_destroy(e);
    maas_plan_destroy(p);
    return st;
}

static maas_status run_sets(test *t, maas_err *err)
{
    for (int reference = 1; reference >= 0; reference--)
        for (int set = 0; set < t->n_sets; set++) {
            maas_status st = run_set(t, set, reference, err);
            if (st != MAAS_OK) {
                maas_err_prefix(err, reference ? "reference" : "kernels");
                return st;
            }
        }
    return t->n_sets ? MAAS_OK : maas_fail(err, MAAS_E_NOT_FOUND, "no test_data_set_0");
}

static maas_status open_case(test *t, maas_err *err)
{
    char path[4096];
    maas_span model, text;
    const maas_onnx_opts opts = {0};
    snprintf(path, sizeof path, "%s/tolerance", t->dir);
    if (onnx_slurp(path, &t->arena, &text)) {
        ((char *)(uintptr_t)text.p)[text.n] = '\0';
        sscanf((const char *)text.p, "%lf %lf", &t->rel, &t->abs);
    }
    do
        snprintf(path, sizeof path, "%s/test_data_set_%d", t->dir, t->n_sets);
    while (access(path, R_OK) == 0 && ++t->n_sets < 1000);
    snprintf(path, sizeof path, "%s/model.onnx", t->dir);
    if (!onnx_slurp(path, &t->arena, &model))
        return maas_fail(err, MAAS_E_NOT_FOUND, "no model.onnx");
    return maas_onnx_read(model, &opts, &t->g, err);
}

static void run_here(const char *dir, verdict *out)
{
    test t = {.dir = dir, .rel = 1e-3, .abs = 1e-7};
    maas_err err = {0};
    maas_arena_init(&t.arena, NULL);
    maas_status st = open_case(&t, &err);
    if (st == MAAS_OK)
        st = run_sets(&t, &err);
    maas_graph_destroy(t.g);
    maas_arena_reset(&t.arena);
    out->code = st == MAAS_OK ? OK : st == MAAS_E_UNSUPPORTED ? UNSUPPORTED : FAILED;
    snprintf(out->why, sizeof out->why, "%s", err.msg);
}

/* A crash or a loop costs the case, not the run. */
static void run_apart(const char *dir, verdict *out)
{
    int fd[2], status = 0;
    *out = (verdict){.code = FAILED};
    fflush(NULL);
    if (pipe(fd) != 0)
        return;
    const pid_t pid = fork();
    if (pid == 0) {
        verdict v;
        alarm(CASE_SECONDS);
        close(fd[0]);
        run_here(dir, &v);
        _exit(write(fd[1], &v, sizeof v) != sizeof v);
    }
    close(fd[1]);
    if (read(fd[0], out, sizeof *out) != sizeof *out)
        *out = (verdict){.code = FAILED};
    close(fd[0]);
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status))
        snprintf(out->why, sizeof out->why, "%s", strsignal(WTERMSIG(status)));
}

/* ---- the list of exceptions, the count ---- */

static const char *reason_of(maas_span list, const char *name)
{
    const size_t n = strlen(name);
    for (const char *p = (const char *)list.p, *end = p + list.n; p && p < end;) {
        if ((size_t)(end - p) > n && memcmp(p, name, n) == 0 && p[n] == ' ')
            return p;
        p = memchr(p, '\n', (size_t)(end - p));
        p = p ? p + 1 : NULL;
    }
    return NULL;
}

typedef struct count {
    maas_span list;
    bool quiet;
    int passed, failed, listed;
} count;

static void run_folder(const char *folder, count *c)
{
    static const char *const words[] = {"ok", "not ok", "unsupported"};
    struct dirent **names;
    const int n = scandir(folder, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char dir[2048];
        verdict v;
        const char *name = names[i]->d_name;
        snprintf(dir, sizeof dir, "%s/%s", folder, name);
        if (name[0] == '.')
            continue;
        run_apart(dir, &v);
        const bool named = reason_of(c->list, name) != NULL, wrong = named && v.code == OK;
        if (wrong) {
            v.code = FAILED;
            snprintf(v.why, sizeof v.why, "it passes, yet it is listed");
            c->failed++;
        } else if (named) {
            c->listed++;
        } else if (v.code == OK) {
            c->passed++;
        } else {
            c->failed++;
        }
        if (v.code != OK || !c->quiet)
            printf("%s %s%s%s\n", named && !wrong ? "listed" : words[v.code], name,
                   v.why[0] ? ": " : "", v.why);
    }
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(n >= 0 ? names : NULL);
}

int main(int argc, char **argv)
{
    maas_arena arena;
    count c = {0};
    int at = 1;
    maas_arena_init(&arena, NULL);
    maas_image_open(); /* trusted pictures: decoded here */
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--quiet") == 0)
            c.quiet = true;
        else if (strcmp(argv[at], "--list") != 0 || at + 1 == argc ||
                 !onnx_slurp(argv[++at], &arena, &c.list))
            argc = 0;
    }
    if (at >= argc) {
        fprintf(stderr, "usage: onnx_conformance [--quiet] [--list FILE] DIR...\n");
        return 2;
    }
    for (; at < argc; at++)
        run_folder(argv[at], &c);
    maas_arena_reset(&arena);
    printf("# %d listed\n", c.listed);
    printf("%d passed, %d failed\n", c.passed, c.failed);
    return c.failed != 0 || c.passed == 0;
}
