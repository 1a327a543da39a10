#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/nearest.h"
#include "base/sys.h"
#include "cli/cli.h"
#include "base/ban.h"

static int usage(FILE *to)
{
    AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(1u << 16);
    maas_cli_usage(&b);
    fputs(b.p ? b.p : "", to);
    return to == stdout ? MAAS_EXIT_OK : MAAS_EXIT_USAGE;
}

static int help(const maas_command *family, const maas_command *c, FILE *to)
{
    AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(1u << 20);
    maas_cli_help(family, c, &b);
    fputs(b.p ? b.p : "", to);
    return to == stdout ? MAAS_EXIT_OK : MAAS_EXIT_USAGE;
}

static int unknown(const maas_command *rows, const char *of, const char *name)
{
    maas_nearest near = maas_nearest_to(name, strlen(name));
    for (const maas_command *c = rows; c->name; c++)
        maas_nearest_try(&near, c->name);
    fprintf(stderr, "maas: there is no command '%s%s%s'", of, *of ? " " : "", name);
    if (near.best)
        fprintf(stderr, "; did you mean '%s'?\n", near.best);
    else
        fprintf(stderr, "; `maas %s%s--help` lists what there is\n", of, *of ? " " : "");
    return MAAS_EXIT_USAGE;
}

/*
 * libgomp's threads spin for milliseconds after every parallel region unless told otherwise, and it
 * reads that only when it is loaded: so the program sets it and starts itself once more.
 */
static void set_spin_count(char **argv)
{
    if (maas_sys_env("GOMP_SPINCOUNT") || maas_sys_env("OMP_WAIT_POLICY"))
        return;
    setenv("GOMP_SPINCOUNT", "2000", 1);
    execv(maas_sys_self_exe(), argv); /* when it fails we go on: only idle time suffers */
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

/* argv[0] is the name of the command. */
static int dispatch(const maas_command *family, const maas_command *c, int argc, char **argv,
                    char **all)
{
    if (wants_help(argc, argv))
        return help(family, c, stdout);
    if (c->compute)
        set_spin_count(all);
    return c->act ? maas_cli_act(family, c, argc, argv) : c->run(argc, argv);
}

/* The subcommand is the first word; options may not come before it. */
static int dispatch_family(const maas_command *family, int argc, char **argv, char **all)
{
    const char *word = argc > 1 ? argv[1] : NULL;
    if (word && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0))
        return help(NULL, family, stdout);
    if (!word || word[0] == '-') {
        if (!family->otherwise)
            return help(NULL, family, stderr);
        return dispatch(family, maas_command_find(family->subs, family->otherwise), argc, argv,
                        all);
    }
    const maas_command *c = maas_command_find(family->subs, word);
    return c ? dispatch(family, c, argc - 1, argv + 1, all)
             : unknown(family->subs, family->name, word);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return usage(stderr);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return usage(stdout);
    if (strcmp(argv[1], "help") == 0 && argc == 2)
        return usage(stdout);
    if (strcmp(argv[1], "--version") == 0)
        return maas_cmd_version(1, argv);
    const char *name = strcmp(argv[1], "help") == 0 ? argv[2] : argv[1];
    const maas_command *c = maas_command_find(maas_commands, name);
    if (!c)
        return unknown(maas_commands, "", name);
    if (name != argv[1])
        return help(NULL, c, stdout);
    return c->subs ? dispatch_family(c, argc - 1, argv + 1, argv)
                   : dispatch(NULL, c, argc - 1, argv + 1, argv);
}
