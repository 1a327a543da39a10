/*
 * base/conf.h - a setting is a row.
 *
 * A table of maas_conf_desc describes the fields of a plain struct. File keys, --flags, MAAS_*
 * variables, --help, the settings endpoint and the docs page are loops over the table; there is
 * no getenv or strtol elsewhere. Each subcommand has its own table and struct.
 *
 * Order of precedence: preset < configuration file (key = value lines, # comments) < environment
 * < command line; the caller calls them in that order, later calls win. The struct starts zeroed.
 * Strings in it are heap copies; maas_conf_reset frees them.
 */
#ifndef MAAS_BASE_CONF_H
#define MAAS_BASE_CONF_H

#include "base/buf.h"
#include "base/status.h"

typedef enum maas_conf_type {
    MAAS_CONF_INT,  /* int64_t                                                     */
    MAAS_CONF_SIZE, /* int64_t bytes; "64MiB", "2G", "512k" (all x1024) or a number */
    MAAS_CONF_BOOL, /* bool; "true/false/1/0/yes/no/on/off"; a bare flag means true */
    MAAS_CONF_STR,  /* char *; NULL when preset is NULL                            */
    MAAS_CONF_REAL  /* double                                                      */
} maas_conf_type;

typedef struct maas_conf_desc {
    const char *name; /* "max-body": --max-body, MAAS_MAX_BODY, max-body = in the file */
    maas_conf_type type;
    size_t offset;      /* of the field in the struct                     */
    int64_t min, max;   /* INT, SIZE (bytes), REAL; both 0: no bounds     */
    const char *preset; /* text of the default, parsed like any value     */
    bool live;          /* may change while the server runs               */
    char letter;        /* one-letter flag, or 0                          */
    const char *arg;    /* word for the value in --help: "BYTES", "DIR"   */
    const char *help;   /* one sentence                                   */
} maas_conf_desc;

typedef struct maas_conf {
    const maas_conf_desc *table;
    size_t n;
    void *at; /* the struct, borrowed */
} maas_conf;

maas_status maas_conf_preset(const maas_conf *c, maas_err *err);
maas_status maas_conf_set(const maas_conf *c, const char *name, const char *value, maas_err *err);
maas_status maas_conf_file(const maas_conf *c, const char *path,
                           maas_err *err); /* names the line */
maas_status maas_conf_env(const maas_conf *c,
                          maas_err *err); /* MAAS_<NAME>; empty: as if not set */
/*
 * Reads argv[1..] in place: `--name value`, `--name=value`, `--no-name` (bool), `-x value`; what is
 * not a flag moves to argv[1..*out_n]. `--` ends the flags; "-" and "-5" are no flags.
 * An unknown flag is E_INVALID with the nearest name as a hint.
 */
maas_status maas_conf_args(const maas_conf *c, int argc, char **argv, int *out_n, maas_err *err);
void maas_conf_help(const maas_conf *c, maas_buf *out); /* one aligned line a setting */
void maas_conf_json(const maas_conf *c, maas_buf *out); /* {"name":value,...}          */
void maas_conf_reset(const maas_conf *c);

maas_status maas_size_parse(const char *text, int64_t *out_bytes, maas_err *err); /* "2GiB" */

#endif
