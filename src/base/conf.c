/* Settings: one place turns text into a field, whatever the text came from. */
#include "base/conf.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/nearest.h"
#include "base/num.h"
#include "base/sys.h"
#include "base/ban.h"

enum { MAX_FILE = 1 << 20 }; /* bytes of a configuration file */

static void *field(const maas_conf *c, const maas_conf_desc *d)
{
    return (char *)c->at + d->offset;
}

static const maas_conf_desc *find(const maas_conf *c, const char *name, size_t n)
{
    for (size_t i = 0; i < c->n; i++)
        if (strlen(c->table[i].name) == n && memcmp(c->table[i].name, name, n) == 0)
            return &c->table[i];
    return NULL;
}

static maas_status unknown(const maas_conf *c, const char *dashes, const char *name, size_t n,
                           maas_err *err)
{
    maas_nearest near = maas_nearest_to(name, n);
    int shown = n < 100 ? (int)n : 100;
    for (size_t i = 0; i < c->n; i++)
        maas_nearest_try(&near, c->table[i].name);
    if (near.best)
        return maas_fail(err, MAAS_E_INVALID, "unknown setting '%s%.*s', did you mean '%s%s'?",
                         dashes, shown, name, dashes, near.best);
    return maas_fail(err, MAAS_E_INVALID, "unknown setting '%s%.*s'", dashes, shown, name);
}

/* ---- values ---- */

maas_status maas_size_parse(const char *text, int64_t *out_bytes, maas_err *err)
{
    static const char units[] = "kmgt";
    maas_span s = maas_span_str(text);
    int64_t v;
    if (!maas_num_i64(&s, &v) || v < 0)
        goto bad;
    if (s.n && tolower(*s.p) != 'b') {
        const char *unit = strchr(units, tolower(*s.p));
        if (!unit || __builtin_mul_overflow(v, (int64_t)1 << (10 * (unit - units + 1)), &v))
            goto bad;
        maas_span_skip(&s, 1);
        if (s.n == 2 && *s.p == 'i')
            maas_span_skip(&s, 1);
    }
    if (s.n && !(s.n == 1 && tolower(*s.p) == 'b'))
        goto bad;
    *out_bytes = v;
    return MAAS_OK;
bad:
    return maas_fail(err, MAAS_E_INVALID, "'%.60s' is no size: write 1048576, 512k, 64MiB or 2G",
                     text);
}

static bool has_bounds(const maas_conf_desc *d)
{
    return d->min || d->max;
}

static maas_status set_int(const maas_conf_desc *d, void *at, const char *value, maas_err *err)
{
    int64_t v;
    if (maas_parse_i64(value, &v) && (!has_bounds(d) || (v >= d->min && v <= d->max))) {
        *(int64_t *)at = v;
        return MAAS_OK;
    }
    if (!has_bounds(d))
        return maas_fail(err, MAAS_E_INVALID, "%s must be an integer, not '%.60s'", d->name, value);
    return maas_fail(err, MAAS_E_INVALID,
                     "%s must be an integer from %" PRId64 " to %" PRId64 ", not '%.60s'", d->name,
                     d->min, d->max, value);
}

static maas_status set_size(const maas_conf_desc *d, void *at, const char *value, maas_err *err)
{
    int64_t v;
    maas_status st = maas_size_parse(value, &v, err);
    if (st != MAAS_OK) {
        maas_err_prefix(err, "%s", d->name);
        return st;
    }
    if (has_bounds(d) && (v < d->min || v > d->max))
        return maas_fail(err, MAAS_E_INVALID,
                         "%s must be from %" PRId64 " to %" PRId64 " bytes, not '%.60s'", d->name,
                         d->min, d->max, value);
    *(int64_t *)at = v;
    return MAAS_OK;
}

static maas_status set_bool(const maas_conf_desc *d, void *at, const char *value, maas_err *err)
{
    static const char *const words[] = {"false", "true", "0", "1", "no", "yes", "off", "on"};
    for (size_t i = 0; i < MAAS_COUNT(words); i++) {
        if (strcasecmp(value, words[i]) == 0) {
            *(bool *)at = i % 2;
            return MAAS_OK;
        }
    }
    return maas_fail(err, MAAS_E_INVALID, "%s must be true or false, not '%.60s'", d->name, value);
}

static maas_status set_str(const maas_conf_desc *d, void *at, const char *value, maas_err *err)
{
    char *copy = maas_strdup(value);
    if (!copy)
        return maas_fail(err, MAAS_E_NOMEM, "no memory for %s", d->name);
    maas_free(*(char **)at);
    *(char **)at = copy;
    return MAAS_OK;
}

static maas_status set_real(const maas_conf_desc *d, void *at, const char *value, maas_err *err)
{
    double v;
    if (maas_parse_f64(value, &v) && v - v == 0 &&
        (!has_bounds(d) || (v >= (double)d->min && v <= (double)d->max))) {
        *(double *)at = v;
        return MAAS_OK;
    }
    if (!has_bounds(d))
        return maas_fail(err, MAAS_E_INVALID, "%s must be a number, not '%.60s'", d->name, value);
    return maas_fail(err, MAAS_E_INVALID,
                     "%s must be a number from %" PRId64 " to %" PRId64 ", not '%.60s'", d->name,
                     d->min, d->max, value);
}

static void put_int(const void *at, maas_buf *out)
{
    char text[MAAS_NUM_MAX];
    maas_buf_add(out, text, maas_num_put_i64(text, *(const int64_t *)at));
}

static void put_bool(const void *at, maas_buf *out)
{
    maas_buf_str(out, *(const bool *)at ? "true" : "false");
}

static void put_str(const void *at, maas_buf *out)
{
    const char *s = *(char *const *)at;
    if (s)
        maas_buf_json_str(out, s, strlen(s));
    else
        maas_buf_str(out, "null");
}

static void put_real(const void *at, maas_buf *out)
{
    char text[MAAS_NUM_MAX];
    maas_buf_add(out, text, maas_num_put_f64(text, *(const double *)at));
}

static const struct {
    maas_status (*set)(const maas_conf_desc *d, void *at, const char *value, maas_err *err);
    void (*put_json)(const void *at, maas_buf *out);
} types[] = {
    [MAAS_CONF_INT] = {set_int, put_int},    [MAAS_CONF_SIZE] = {set_size, put_int},
    [MAAS_CONF_BOOL] = {set_bool, put_bool}, [MAAS_CONF_STR] = {set_str, put_str},
    [MAAS_CONF_REAL] = {set_real, put_real},
};

static maas_status set(const maas_conf *c, const maas_conf_desc *d, const char *value,
                       maas_err *err)
{
    return types[d->type].set(d, field(c, d), value, err);
}

maas_status maas_conf_set(const maas_conf *c, const char *name, const char *value, maas_err *err)
{
    const maas_conf_desc *d = find(c, name, strlen(name));
    return d ? set(c, d, value, err) : unknown(c, "", name, strlen(name), err);
}

maas_status maas_conf_preset(const maas_conf *c, maas_err *err)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->table[i].preset)
            MAAS_TRY(set(c, &c->table[i], c->table[i].preset, err));
    return MAAS_OK;
}

void maas_conf_reset(const maas_conf *c)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->table[i].type != MAAS_CONF_STR)
            continue;
        char **s = field(c, &c->table[i]);
        maas_free(*s);
        *s = NULL;
    }
}

/* ---- file and environment ---- */

static char *trim(char *s)
{
    while (*s == ' ' || *s == '\t')
        s++;
    size_t n = strlen(s);
    while (n && strchr(" \t\r", s[n - 1]))
        s[--n] = '\0';
    return s;
}

static maas_status set_from_line(const maas_conf *c, char *line, maas_err *err)
{
    char *key = trim(line), *equals = strchr(key, '=');
    if (!*key || *key == '#')
        return MAAS_OK;
    if (!equals)
        return maas_fail(err, MAAS_E_INVALID, "expected 'name = value', not '%.60s'", key);
    *equals = '\0';
    return maas_conf_set(c, trim(key), trim(equals + 1), err);
}

static maas_status set_from_lines(const maas_conf *c, char *text, maas_err *err)
{
    for (size_t line = 1; text; line++) {
        char *end = strchr(text, '\n');
        if (end)
            *end = '\0';
        maas_status st = set_from_line(c, text, err);
        if (st != MAAS_OK) {
            maas_err_prefix(err, "line %zu", line);
            return st;
        }
        text = end ? end + 1 : NULL;
    }
    return MAAS_OK;
}

maas_status maas_conf_file(const maas_conf *c, const char *path, maas_err *err)
{
    AUTO_FD fd = -1;
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(MAX_FILE);
    maas_status st = maas_sys_open(path, O_RDONLY, &fd, err);
    if (st == MAAS_OK)
        st = maas_sys_read_all(fd, &text, err);
    if (st == MAAS_OK && memchr(text.p, '\0', text.n))
        st = maas_fail(err, MAAS_E_INVALID, "not a text file");
    if (st == MAAS_OK)
        st = set_from_lines(c, text.p, err);
    if (st != MAAS_OK)
        maas_err_prefix(err, "configuration file");
    return st;
}

static void env_name(const maas_conf_desc *d, char *out, size_t size)
{
    int n = snprintf(out, size, "MAAS_%s", d->name);
    MAAS_CHECK(n > 0 && (size_t)n < size); /* names of settings are short words of ours */
    for (; *out; out++)
        *out = *out == '-' ? '_' : (char)toupper((unsigned char)*out);
}

maas_status maas_conf_env(const maas_conf *c, maas_err *err)
{
    for (size_t i = 0; i < c->n; i++) {
        char name[128];
        env_name(&c->table[i], name, sizeof name);
        const char *value = maas_sys_env(name);
        if (!value || !*value) /* set but empty is how scripts say "not set" */
            continue;
        maas_status st = set(c, &c->table[i], value, err);
        if (st != MAAS_OK) {
            maas_err_prefix(err, "environment variable %s", name);
            return st;
        }
    }
    return MAAS_OK;
}

/* ---- command line ---- */

typedef struct args {
    const maas_conf *conf;
    int argc, at; /* at: the argument being read */
    char **argv;
} args;

/* The value of a flag: after '=', else true for a bool, else the next argument. */
static maas_status set_flag(args *a, const maas_conf_desc *d, const char *flag, const char *value,
                            maas_err *err)
{
    if (!value && d->type == MAAS_CONF_BOOL)
        value = "true";
    if (!value) {
        if (a->at + 1 >= a->argc)
            return maas_fail(err, MAAS_E_INVALID, "%s needs a value", flag);
        value = a->argv[++a->at];
        if (strncmp(value, "--", 2) == 0)
            return maas_fail(err, MAAS_E_INVALID,
                             "%s needs a value; write --%s=%.60s if that is it", flag, d->name,
                             value);
    }
    return set(a->conf, d, value, err);
}

static maas_status read_long(args *a, maas_err *err)
{
    const char *flag = a->argv[a->at], *name = flag + 2, *equals = strchr(name, '=');
    size_t n = equals ? (size_t)(equals - name) : strlen(name);
    const maas_conf_desc *d = find(a->conf, name, n);
    if (d)
        return set_flag(a, d, flag, equals ? equals + 1 : NULL, err);
    if (!equals && n > 3 && memcmp(name, "no-", 3) == 0) {
        d = find(a->conf, name + 3, n - 3);
        if (d && d->type == MAAS_CONF_BOOL)
            return set(a->conf, d, "false", err);
    }
    return unknown(a->conf, "--", name, n, err);
}

static maas_status read_letter(args *a, maas_err *err)
{
    const char *flag = a->argv[a->at];
    for (size_t i = 0; i < a->conf->n; i++) {
        const maas_conf_desc *d = &a->conf->table[i];
        if (d->letter && d->letter == flag[1] && !flag[2])
            return set_flag(a, d, flag, NULL, err);
    }
    return maas_fail(err, MAAS_E_INVALID, "unknown flag '%.60s'", flag);
}

/* "-" is standard input and "-5" a number. */
static bool is_flag(const char *arg)
{
    return arg[0] == '-' && arg[1] && !isdigit((unsigned char)arg[1]) && arg[1] != '.';
}

maas_status maas_conf_args(const maas_conf *c, int argc, char **argv, int *out_n, maas_err *err)
{
    args a = {.conf = c, .argc = argc, .at = 1, .argv = argv};
    int n = 0;
    bool flags = true;
    for (; a.at < argc; a.at++) {
        char *arg = argv[a.at];
        if (!flags || !is_flag(arg))
            argv[1 + n++] = arg;
        else if (strcmp(arg, "--") == 0)
            flags = false;
        else if (arg[1] == '-')
            MAAS_TRY(read_long(&a, err));
        else
            MAAS_TRY(read_letter(&a, err));
    }
    *out_n = n;
    return MAAS_OK;
}

/* ---- for people and programs ---- */

static int flag_text(const maas_conf_desc *d, char *out, size_t size)
{
    char letter[8] = "    ";
    if (d->letter)
        snprintf(letter, sizeof letter, "-%c, ", d->letter);
    return snprintf(out, size, "%s--%s%s%s", letter, d->name, d->arg ? " " : "",
                    d->arg ? d->arg : "");
}

void maas_conf_help(const maas_conf *c, maas_buf *out)
{
    int width = 0;
    for (size_t i = 0; i < c->n; i++) {
        int n = flag_text(&c->table[i], NULL, 0);
        width = n > width ? n : width;
    }
    for (size_t i = 0; i < c->n; i++) {
        const maas_conf_desc *d = &c->table[i];
        char flag[160];
        flag_text(d, flag, sizeof flag);
        maas_buf_printf(out, "  %-*s  %s", width, flag, d->help);
        if (d->preset && *d->preset &&
            !(d->type == MAAS_CONF_BOOL && strcmp(d->preset, "false") == 0))
            maas_buf_printf(out, " (default: %s)", d->preset);
        maas_buf_char(out, '\n');
    }
}

void maas_conf_json(const maas_conf *c, maas_buf *out)
{
    maas_buf_char(out, '{');
    for (size_t i = 0; i < c->n; i++) {
        const maas_conf_desc *d = &c->table[i];
        if (i)
            maas_buf_char(out, ',');
        maas_buf_json_str(out, d->name, strlen(d->name));
        maas_buf_char(out, ':');
        types[d->type].put_json(field(c, d), out);
    }
    maas_buf_char(out, '}');
}
