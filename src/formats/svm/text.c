#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "formats/svm/svm_int.h"
#include "base/ban.h"

maas_status svm_fail(svm_text *t, maas_status st, const char *fmt, ...)
{
    char words[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    return maas_fail(t->err, st, "line %lld: %s", (long long)t->number, words);
}

void *svm_alloc(svm_text *t, int64_t n, size_t size)
{
    void *p = n < 0 ? NULL : maas_arena_array(t->arena, (size_t)n, size);
    if (!p)
        maas_fail(t->err, MAAS_E_NOMEM, "the model does not fit its memory budget");
    return p;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void skip_blanks(maas_span *s)
{
    while (s->n && is_blank(*s->p))
        maas_span_skip(s, 1);
}

bool svm_next_line(svm_text *t)
{
    while (t->rest.n) {
        const uint8_t *lf = memchr(t->rest.p, '\n', t->rest.n);
        maas_span_take(&t->rest, lf ? (size_t)(lf - t->rest.p) : t->rest.n, &t->line);
        maas_span_skip(&t->rest, lf != NULL);
        t->number++;
        skip_blanks(&t->line);
        if (t->line.n)
            return true;
    }
    return false;
}

bool svm_word(svm_text *t, maas_span *out)
{
    size_t n = 0;
    skip_blanks(&t->line);
    while (n < t->line.n && !is_blank(t->line.p[n]))
        n++;
    return n && maas_span_take(&t->line, n, out);
}

maas_status svm_end_of_line(svm_text *t)
{
    skip_blanks(&t->line);
    return t->line.n ? svm_fail(t, MAAS_E_FORMAT, "more on the line than belongs there") : MAAS_OK;
}

maas_status svm_f64(svm_text *t, const char *what, double *out)
{
    maas_span w;
    if (!svm_word(t, &w))
        return svm_fail(t, MAAS_E_FORMAT, "%s: a number is missing", what);
    if (!maas_num_f64(&w, out) || w.n || !isfinite(*out))
        return svm_fail(t, MAAS_E_FORMAT, "%s: a finite number is expected", what);
    return MAAS_OK;
}

maas_status svm_i64(svm_text *t, const char *what, int64_t least, int64_t most, int64_t *out)
{
    maas_span w;
    if (!svm_word(t, &w))
        return svm_fail(t, MAAS_E_FORMAT, "%s: a number is missing", what);
    if (!maas_num_i64(&w, out) || w.n || *out < least || *out > most)
        return svm_fail(t, MAAS_E_FORMAT, "%s: an integer from %lld to %lld is expected", what,
                        (long long)least, (long long)most);
    return MAAS_OK;
}

/* Two bytes of text at least for each number: what cannot be there is not allocated. */
static maas_status room_for(svm_text *t, const char *what, int64_t n)
{
    if (n < 0 || (uint64_t)n > t->line.n / 2 + 1)
        return svm_fail(t, MAAS_E_FORMAT, "%s: %lld numbers are expected", what, (long long)n);
    return MAAS_OK;
}

maas_status svm_f64s(svm_text *t, const char *what, int64_t n, double **out)
{
    MAAS_TRY(room_for(t, what, n));
    if (!(*out = svm_alloc(t, n, sizeof **out)))
        return MAAS_E_NOMEM;
    for (int64_t i = 0; i < n; i++)
        MAAS_TRY(svm_f64(t, what, &(*out)[i]));
    return svm_end_of_line(t);
}

maas_status svm_i64s(svm_text *t, const char *what, int64_t n, int64_t least, int64_t most,
                     int64_t **out)
{
    MAAS_TRY(room_for(t, what, n));
    if (!(*out = svm_alloc(t, n, sizeof **out)))
        return MAAS_E_NOMEM;
    for (int64_t i = 0; i < n; i++)
        MAAS_TRY(svm_i64(t, what, least, most, &(*out)[i]));
    return svm_end_of_line(t);
}

maas_status svm_choice(svm_text *t, const char *what, const char *const *names, int n, int *out)
{
    maas_span w = {0};
    svm_word(t, &w);
    for (int i = 0; i < n; i++)
        if (maas_span_is(w, names[i])) {
            *out = i;
            return svm_end_of_line(t);
        }
    return svm_fail(t, MAAS_E_FORMAT, "%s '%.*s' is not known", what, (int)(w.n < 40 ? w.n : 40),
                    w.n ? (const char *)w.p : "");
}
