/* formats/lines.c - see lines.h. */
#include "formats/lines.h"

#include "base/limits.h"
#include "base/ban.h"

#define WINDOW ((size_t)128 << 10)

void maas_lines_init(maas_lines *l, maas_source *src, const char *format)
{
    *l = (maas_lines){.src = src, .format = format};
}

static maas_status refill(maas_lines *l, size_t want, maas_err *err)
{
    if (l->start)
        maas_source_advance(l->src, (size_t)(l->rest.p - l->start));
    MAAS_TRY(maas_source_window(l->src, want, &l->rest, &l->last, err));
    l->start = l->rest.p;
    return MAAS_OK;
}

maas_status maas_lines_next(maas_lines *l, bool *more, maas_err *err)
{
    const uint8_t *lf = NULL;
    size_t want = WINDOW;
    *more = false;
    for (;;) {
        lf = l->rest.n ? memchr(l->rest.p, '\n', l->rest.n) : NULL;
        if (lf || (l->start && l->last))
            break;
        if (l->rest.n > MAAS_MAX_CSV_LINE)
            break;
        want = l->rest.n > want / 2 ? l->rest.n * 2 : want;
        MAAS_TRY(refill(l, want, err));
        if (!l->start)
            return MAAS_OK; /* an empty file has no window */
    }
    size_t n = lf ? (size_t)(lf - l->rest.p) : l->rest.n;
    l->offset = l->src->offset + (uint64_t)(l->rest.p - l->start);
    if (n > MAAS_MAX_CSV_LINE)
        return maas_fail(err, MAAS_E_TOO_LARGE, "%s: byte %llu: the line has more than %u bytes",
                         l->format, (unsigned long long)l->offset, MAAS_MAX_CSV_LINE);
    if (!n && !lf)
        return MAAS_OK;
    l->line = maas_span_of(l->rest.p, n);
    if (n && l->line.p[n - 1] == '\r')
        l->line.n--;
    maas_span_skip(&l->rest, n + (lf != NULL));
    *more = true;
    return MAAS_OK;
}
