/* cli/help.c - words of the command line: loops over the table of commands. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "base/ban.h"

int maas_cli_fail(const maas_err *err)
{
    static const struct {
        maas_status status;
        int code;
    } codes[] = {
        {MAAS_E_NOT_FOUND, MAAS_EXIT_NOT_FOUND},     {MAAS_E_INVALID, MAAS_EXIT_INVALID},
        {MAAS_E_FORMAT, MAAS_EXIT_INVALID},          {MAAS_E_UNSUPPORTED, MAAS_EXIT_INVALID},
        {MAAS_E_TOO_LARGE, MAAS_EXIT_INVALID},       {MAAS_E_MEDIA, MAAS_EXIT_INVALID},
        {MAAS_E_UNAVAILABLE, MAAS_EXIT_UNREACHABLE}, {MAAS_E_CANCELLED, MAAS_EXIT_INTERRUPTED},
    };
    fprintf(stderr, "maas: %s\n", err->msg[0] ? err->msg : maas_status_text(err->code));
    for (size_t i = 0; i < MAAS_COUNT(codes); i++)
        if (codes[i].status == err->code)
            return codes[i].code;
    return MAAS_EXIT_FAILED;
}

const maas_command *maas_command_find(const maas_command *rows, const char *name)
{
    for (const maas_command *c = rows; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

static void list_commands(const maas_command *rows, maas_buf *out)
{
    for (const maas_command *c = rows; c->name; c++)
        maas_buf_printf(out, "  %-12s %s\n", c->name, c->summary);
}

void maas_cli_help(const maas_command *family, const maas_command *c, maas_buf *out)
{
    maas_buf_printf(out, "usage: maas %s%s%s %s\n\n%s\n", family ? family->name : "",
                    family ? " " : "", c->name, c->usage, c->summary);
    if (c->subs) {
        maas_buf_char(out, '\n');
        list_commands(c->subs, out);
    }
    if (c->settings) {
        maas_conf settings = c->settings();
        maas_buf_str(out, "\noptions:\n");
        maas_conf_help(&settings, out);
    }
    if (c->more)
        maas_buf_printf(out, "\n%s\n", c->more);
}

void maas_cli_usage(maas_buf *out)
{
    maas_buf_str(out, "usage: maas COMMAND [options]\n\n");
    list_commands(maas_commands, out);
    maas_buf_str(out, "\n`maas COMMAND --help` says more. MAAS_URL and MAAS_KEY tell the client "
                      "commands where to go.\n");
}
