#include "cli/print.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/ban.h"

#define MAX_CELL 4096

void maas_text_table_init(maas_text_table *t, const char *align)
{
    *t = (maas_text_table){.align = align};
    maas_arena_init(&t->arena, NULL);
}

void maas_text_table_reset(maas_text_table *t)
{
    maas_arena_reset(&t->arena);
    maas_free(t->cells);
    t->cells = NULL;
    t->n = t->cap = 0;
}

static void make_harmless(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
}

void maas_text_table_cell(maas_text_table *t, const char *fmt, ...)
{
    char text[MAX_CELL];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    make_harmless(text);
    char *copy = maas_arena_strdup(&t->arena, text);
    if (!copy || !maas_grow(&t->cells, &t->cap, t->n + 1, sizeof *t->cells))
        t->failed = true;
    else
        t->cells[t->n++] = copy;
}

void maas_text_table_str(maas_text_table *t, const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    maas_text_table_cell(t, "%s", s ? s : "-");
}

/* Characters, not bytes. */
static int width_of(const char *s)
{
    int n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

static void put_cell(FILE *to, const char *cell, char align, int width, bool last)
{
    int pad = width - width_of(cell);
    if (align == 'r')
        fprintf(to, "%*s%s", pad, "", cell);
    else
        fprintf(to, "%s%*s", cell, last ? 0 : pad, "");
    fputs(last ? "\n" : "  ", to);
}

void maas_text_table_print(maas_text_table *t, FILE *to)
{
    size_t n_cols = strlen(t->align);
    int *width = maas_arena_array(&t->arena, n_cols, sizeof *width);
    if (t->failed || !width) {
        fputs("(out of memory)\n", to);
        return;
    }
    for (size_t i = 0; i < t->n; i++) {
        int w = width_of(t->cells[i]);
        width[i % n_cols] = w > width[i % n_cols] ? w : width[i % n_cols];
    }
    for (size_t i = 0; i < t->n; i++)
        put_cell(to, t->cells[i], t->align[i % n_cols], width[i % n_cols],
                 i % n_cols == n_cols - 1);
}

void maas_text_table_shape(maas_text_table *t, const json_t *dims)
{
    AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(1024);
    size_t i;
    json_t *d;
    maas_buf_char(&b, '[');
    json_array_foreach((json_t *)dims, i, d)
    {
        maas_buf_str(&b, i ? "," : "");
        if (json_integer_value(d) < 0)
            maas_buf_char(&b, '?');
        else
            maas_buf_printf(&b, "%lld", (long long)json_integer_value(d));
    }
    maas_buf_char(&b, ']');
    maas_text_table_cell(t, "%s", b.p && !b.failed ? b.p : "[...]");
}

/* ---- numbers ---- */

static const char *scaled(uint64_t n, const char *unit, const char *space, char out[32])
{
    static const char letters[] = " kMGTPE";
    double v = (double)n;
    int k = 0;
    for (; v >= 999.95; k++)
        v /= 1000;
    if (k == 0)
        snprintf(out, 32, "%llu%s%s", (unsigned long long)n, *unit ? space : "", unit);
    else
        snprintf(out, 32, "%.1f%s%c%s", v, space, letters[k], unit);
    return out;
}

const char *maas_human_bytes(uint64_t n, char out[32])
{
    return scaled(n, "B", " ", out);
}

const char *maas_human_count(uint64_t n, char out[32])
{
    return scaled(n, "", "", out);
}

const char *maas_human_number(const json_t *j, char out[32])
{
    if (json_is_integer(j))
        snprintf(out, 32, "%lld", (long long)json_integer_value(j));
    else if (json_is_real(j))
        snprintf(out, 32, "%.4g", json_real_value(j));
    else
        snprintf(out, 32, "-");
    return out;
}

/* ---- progress ---- */

static int terminal_columns(void)
{
    struct winsize w;
    return ioctl(2, TIOCGWINSZ, &w) == 0 && w.ws_col > 40 ? w.ws_col : 80;
}

void maas_bar_draw(maas_bar *b, double part, const char *note)
{
    enum { BAR = 24 };
    char line[512];
    uint64_t now = maas_now_ns();
    if (!b->on || (b->drawn && now - b->last_ns < 100000000ull && part < 1))
        return;
    b->last_ns = now;
    b->drawn = true;
    part = part >= 0 && part <= 1 ? part : 0;
    int full = (int)lround(part * BAR), n = terminal_columns() - 1;
    snprintf(line, sizeof line, "%s [%.*s%.*s] %3d%%  %s", b->label, full,
             "########################", BAR - full, "                        ", (int)(part * 100),
             note);
    make_harmless(line);
    fprintf(stderr, "\r%.*s\033[K", n, line);
    fflush(stderr);
}

void maas_bar_clear(maas_bar *b)
{
    if (b->drawn)
        fputs("\r\033[K", stderr);
    b->drawn = false;
}

bool maas_bar_upload(void *user, uint64_t sent, uint64_t to_send, uint64_t got, uint64_t to_get)
{
    maas_bar *b = user;
    char a[32], c[32], note[128];
    (void)got;
    (void)to_get;
    if (!to_send)
        return true;
    bool all = sent >= to_send;
    snprintf(note, sizeof note, "%s of %s%s", maas_human_bytes(sent, a),
             maas_human_bytes(to_send, c), all ? ", the server reads it" : "");
    maas_bar_draw(b, (double)sent / (double)to_send, note);
    return true;
}
