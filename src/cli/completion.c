/* cli/completion.c - `maas completion bash|zsh|fish`: loops over the table of commands. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "base/ban.h"

static void put_flags(const maas_command *c, maas_buf *b)
{
    if (c->settings) {
        maas_conf s = c->settings();
        for (size_t i = 0; i < s.n; i++)
            maas_buf_printf(b, " --%s", s.table[i].name);
    }
    maas_buf_str(b, " --help");
}

static void put_names(const maas_command *rows, maas_buf *b)
{
    for (const maas_command *c = rows; c->name; c++)
        maas_buf_printf(b, " %s", c->name);
}

/* One case a command: "dataset add)" with its flags; families offer their words first. */
static void put_bash_cases(maas_buf *b)
{
    for (const maas_command *c = maas_commands; c->name; c++) {
        maas_buf_printf(b, "    '%s ') words=\"", c->name);
        if (c->subs)
            put_names(c->subs, b);
        else
            put_flags(c, b);
        maas_buf_str(b, "\" ;;\n");
        for (const maas_command *s = c->subs; s && s->name; s++) {
            maas_buf_printf(b, "    '%s %s') words=\"", c->name, s->name);
            put_flags(s, b);
            maas_buf_str(b, "\" ;;\n");
        }
    }
}

static void put_families(maas_buf *b)
{
    for (const maas_command *c = maas_commands; c->name; c++)
        if (c->subs)
            maas_buf_printf(b, "|%s", c->name);
}

static void put_bash(maas_buf *b)
{
    maas_buf_str(b, "# bash completion of maas: eval \"$(maas completion bash)\"\n"
                    "_maas() {\n"
                    "    local words current=${COMP_WORDS[COMP_CWORD]} first=${COMP_WORDS[1]} "
                    "second=\n"
                    "    case $first in -none");
    put_families(b);
    maas_buf_str(b, ") [ \"$COMP_CWORD\" -gt 2 ] && second=${COMP_WORDS[2]} ;; esac\n"
                    "    [ \"$COMP_CWORD\" -gt 1 ] || first=\n"
                    "    case \"$first $second\" in\n"
                    "    ' ') words=\"");
    put_names(maas_commands, b);
    maas_buf_str(b, "\" ;;\n");
    put_bash_cases(b);
    maas_buf_str(b, "    esac\n"
                    "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
                    "}\n"
                    "complete -o default -F _maas maas\n");
}

/* zsh runs bash completions. */
static void put_zsh(maas_buf *b)
{
    maas_buf_str(b, "# zsh completion of maas: eval \"$(maas completion zsh)\"\n"
                    "autoload -Uz compinit bashcompinit && compinit && bashcompinit\n");
    put_bash(b);
}

static void put_quoted(maas_buf *b, const char *s)
{
    maas_buf_char(b, '\'');
    for (; *s; s++)
        maas_buf_printf(b, *s == '\'' || *s == '\\' ? "\\%c" : "%c", *s);
    maas_buf_char(b, '\'');
}

static void put_fish_flags(const maas_command *c, const char *condition, maas_buf *b)
{
    if (!c->settings)
        return;
    maas_conf s = c->settings();
    for (size_t i = 0; i < s.n; i++) {
        maas_buf_printf(b, "complete -c maas -n '%s' -l %s -d ", condition, s.table[i].name);
        put_quoted(b, s.table[i].help);
        maas_buf_char(b, '\n');
    }
}

static void put_fish_commands(const maas_command *rows, const char *condition, maas_buf *b)
{
    for (const maas_command *c = rows; c->name; c++) {
        maas_buf_printf(b, "complete -c maas -n '%s' -f -a %s -d ", condition, c->name);
        put_quoted(b, c->summary);
        maas_buf_char(b, '\n');
    }
}

static void put_fish(maas_buf *b)
{
    char condition[256];
    maas_buf_str(b, "# fish completion of maas: maas completion fish | source\n");
    put_fish_commands(maas_commands, "__fish_use_subcommand", b);
    for (const maas_command *c = maas_commands; c->name; c++) {
        snprintf(condition, sizeof condition, "__fish_seen_subcommand_from %s", c->name);
        if (c->subs)
            put_fish_commands(c->subs, condition, b);
        put_fish_flags(c, condition, b);
        for (const maas_command *s = c->subs; s && s->name; s++) {
            snprintf(condition, sizeof condition,
                     "__fish_seen_subcommand_from %s; and __fish_seen_subcommand_from %s", c->name,
                     s->name);
            put_fish_flags(s, condition, b);
        }
    }
}

int maas_cmd_completion(int argc, char **argv)
{
    static const struct {
        const char *shell;
        void (*put)(maas_buf *b);
    } shells[] = {{"bash", put_bash}, {"zsh", put_zsh}, {"fish", put_fish}};
    AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(1u << 20);
    for (size_t i = 0; argc == 2 && i < MAAS_COUNT(shells); i++)
        if (strcmp(argv[1], shells[i].shell) == 0) {
            shells[i].put(&b);
            fputs(b.p ? b.p : "", stdout);
            return b.failed ? MAAS_EXIT_FAILED : MAAS_EXIT_OK;
        }
    fputs("usage: maas completion bash|zsh|fish\n", stderr);
    return MAAS_EXIT_USAGE;
}
