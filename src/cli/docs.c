/*
 * cli/docs.c - `maas docs DIR`: the reference pages, from the tables that the program runs on.
 * Writes DIR/api.md, DIR/cli.md, DIR/settings.md, DIR/operators.md, DIR/architectures.md,
 * DIR/compression.md and DIR/man/maas.1.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "api/routes.h"
#include "base/mem.h"
#include "base/sys.h"
#include "cli/cli.h"
#include "lm/model.h"
#include "ops/build.h"
#include "base/ban.h"

#define MAX_PAGE (16u << 20)

/* ---- docs/cli.md ---- */

static void put_command_md(const maas_command *family, const maas_command *c, maas_buf *b)
{
    maas_buf_printf(b, "\n### maas %s%s%s\n\n```\n", family ? family->name : "", family ? " " : "",
                    c->name);
    maas_cli_help(family, c, b);
    maas_buf_str(b, "```\n");
}

static void put_cli(maas_buf *b)
{
    maas_buf_str(b, "# Command line\n\nGenerated from the tables of the program (`maas docs`).\n\n"
                    "```\n");
    maas_cli_usage(b);
    maas_buf_str(
        b, "```\n\n## Exit codes\n\n| code | meaning |\n|---|---|\n| 0 | done |\n| 1 | failed |\n"
           "| 2 | wrong usage |\n| 3 | not found |\n| 4 | invalid input |\n| 5 | no server, or it "
           "takes no requests |\n| 6 | the job failed or was cancelled |\n"
           "| 78 | refused to start insecurely |\n| 130 | interrupted |\n\n## Commands\n");
    for (const maas_command *c = maas_commands; c->name; c++) {
        put_command_md(NULL, c, b);
        for (const maas_command *s = c->subs; s && s->name; s++)
            put_command_md(c, s, b);
    }
}

/* ---- docs/settings.md ---- */

static void put_setting_md(const maas_conf_desc *d, maas_buf *b)
{
    maas_buf_printf(b, "| `--%s` | `MAAS_", d->name);
    for (const char *s = d->name; *s; s++)
        maas_buf_char(b, *s == '-' ? '_' : *s >= 'a' && *s <= 'z' ? (char)(*s - 'a' + 'A') : *s);
    maas_buf_printf(b, "` | `%s` | %s | %s |\n", d->preset ? d->preset : "", d->live ? "yes" : "",
                    d->help);
}

static void put_settings(maas_buf *b)
{
    const maas_conf c = maas_serve_settings();
    maas_buf_str(b,
                 "# Settings of `maas serve`\n\nGenerated from the settings table (`maas docs`). "
                 "A flag wins over the environment, the environment over the file that "
                 "`MAAS_CONFIG` names (`name = value` lines), the file over the default.\n\n"
                 "| flag | variable | default | live | what |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < c.n; i++)
        put_setting_md(&c.table[i], b);
}

/* ---- docs/architectures.md ---- */

static void put_architectures(maas_buf *b)
{
    const char *name, *what;
    maas_buf_str(b,
                 "# Architectures of language models\n\nGenerated from the table of architectures "
                 "(`maas docs`); the key `general.architecture` of a file names one of them. One "
                 "more: [add an architecture](howto/add-an-architecture.md).\n\n"
                 "| name | models |\n|---|---|\n");
    for (size_t i = 0; maas_lm_known(i, &name, &what); i++)
        maas_buf_printf(b, "| `%s` | %s |\n", name, what);
}

/* ---- docs/operators.md ---- */

static void put_operator(const maas_op *op, maas_buf *b)
{
    maas_buf_printf(b, "| %s | %s | %u |", op->name, *op->domain ? op->domain : "ai.onnx",
                    op->since);
    for (int i = 0; i < op->n_in; i++)
        maas_buf_printf(b, "%s%s%s%s", i ? ", " : " ", op->in[i].name,
                        op->in[i].variadic ? "..." : "", op->in[i].optional ? "?" : "");
    maas_buf_str(b, " |");
    for (int i = 0; i < op->n_attr; i++)
        maas_buf_printf(b, "%s%s%s", i ? ", " : " ", op->attr[i].name,
                        op->attr[i].required ? "" : "?");
    maas_buf_printf(b, " | %s |\n", op->gradient ? "yes" : op->no_gradient ? op->no_gradient : "");
}

static void put_operators(maas_buf *b)
{
    maas_buf_printf(
        b,
        "# Operators\n\nGenerated from the operator table (`maas docs`): %zu operators, "
        "as ONNX defines them; `?` is optional, `...` one or more.\n\n"
        "| operator | domain | since | inputs | attributes | gradient |\n"
        "|---|---|---|---|---|---|\n",
        maas_n_ops);
    for (size_t i = 0; i < maas_n_ops; i++)
        put_operator(maas_ops[i], b);
}

/* ---- man/maas.1 ---- */

/* Text of a page: a leading dot or quote and backslashes mean something to troff. */
static void put_roff(const char *s, maas_buf *b)
{
    for (bool first = true; *s; s++) {
        if (first && (*s == '.' || *s == '\''))
            maas_buf_str(b, "\\&");
        if (*s == '\\' || *s == '-')
            maas_buf_char(b, '\\');
        maas_buf_char(b, *s);
        first = *s == '\n';
    }
}

static void put_command_man(const maas_command *family, const maas_command *c, maas_buf *b)
{
    maas_buf_printf(b, ".SS maas %s%s%s ", family ? family->name : "", family ? " " : "", c->name);
    put_roff(c->usage, b);
    maas_buf_str(b, "\n");
    put_roff(c->summary, b);
    maas_buf_str(b, ".\n");
    const maas_conf s = c->settings ? c->settings() : (maas_conf){0};
    for (size_t i = 0; i < s.n; i++) {
        maas_buf_str(b, ".TP\n.B \\-\\-");
        put_roff(s.table[i].name, b);
        maas_buf_printf(b, " %s\n", s.table[i].arg ? s.table[i].arg : "");
        put_roff(s.table[i].help, b);
        maas_buf_char(b, '\n');
    }
    if (c->more) {
        maas_buf_str(b, ".PP\n.nf\n");
        put_roff(c->more, b);
        maas_buf_str(b, "\n.fi\n");
    }
}

static void put_man(maas_buf *b)
{
    maas_buf_printf(b,
                    ".TH MAAS 1 \"\" \"maas %s\"\n.SH NAME\nmaas \\- models as a service\n"
                    ".SH SYNOPSIS\n.B maas\nCOMMAND [options]\n.SH COMMANDS\n",
                    maas_version());
    for (const maas_command *c = maas_commands; c->name; c++) {
        put_command_man(NULL, c, b);
        for (const maas_command *s = c->subs; s && s->name; s++)
            put_command_man(c, s, b);
    }
    maas_buf_str(b, ".SH ENVIRONMENT\n.TP\n.B MAAS_URL\nwhere the server is\n.TP\n.B MAAS_KEY\n"
                    "API key of the client commands\n.SH EXIT STATUS\n"
                    "0 done, 1 failed, 2 wrong usage, 3 not found, 4 invalid input, 5 no server, "
                    "6 the job failed or was cancelled, 78 refused to start insecurely, "
                    "130 interrupted\n");
}

/* ---- writing ---- */

static maas_status write_page(int dir, const char *name, void (*put)(maas_buf *b), maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(MAX_PAGE);
    AUTO_FD fd = -1;
    put(&b);
    if (b.failed)
        return maas_fail(err, MAAS_E_NOMEM, "memory for %s", name);
    MAAS_TRY(maas_sys_openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, name, &fd, err));
    return maas_sys_write(fd, b.p, b.n, err);
}

static maas_status write_pages(const char *path, maas_err *err)
{
    static const struct {
        const char *name;
        void (*put)(maas_buf *b);
    } pages[] = {{"api.md", maas_api_markdown},
                 {"cli.md", put_cli},
                 {"settings.md", put_settings},
                 {"operators.md", put_operators},
                 {"architectures.md", put_architectures},
                 {"compression.md", maas_docs_compression},
                 {"man/maas.1", put_man}};
    AUTO_FD dir = -1;
    MAAS_TRY(maas_sys_open_dir(path, true, &dir, err));
    MAAS_TRY(maas_sys_mkdirat(dir, "man", err));
    for (size_t i = 0; i < MAAS_COUNT(pages); i++)
        MAAS_TRY(write_page(dir, pages[i].name, pages[i].put, err));
    return MAAS_OK;
}

int maas_cmd_docs(int argc, char **argv)
{
    maas_err err = {0};
    if (argc != 2) {
        fputs("usage: maas docs DIR\n", stderr);
        return MAAS_EXIT_USAGE;
    }
    return write_pages(argv[1], &err) == MAAS_OK ? MAAS_EXIT_OK : maas_cli_fail(&err);
}
