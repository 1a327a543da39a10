#include "lm/engine/answer.h"

#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "base/ban.h"

#define MAX_ANSWER ((size_t)1 << 30)

bool maas_answer_init(maas_answer *a, const maas_str *stops, uint32_t n)
{
    *a = (maas_answer){
        .held = MAAS_BUF_INIT(MAX_ANSWER), .told = MAAS_BUF_INIT(MAX_ANSWER), .stop = -1};
    a->stops = n ? maas_calloc(n, sizeof *a->stops) : NULL;
    for (uint32_t i = 0; i < n && a->stops; i++) {
        char *copy = maas_alloc(stops[i].n + 1);
        if (!copy)
            return false;
        memcpy(copy, stops[i].p, stops[i].n);
        a->stops[a->n_stops++] = (maas_str){copy, stops[i].n};
    }
    return !n || a->stops;
}

void maas_answer_reset(maas_answer *a)
{
    for (uint32_t i = 0; i < a->n_stops; i++)
        maas_free((void *)(uintptr_t)a->stops[i].p);
    maas_free(a->stops);
    maas_buf_reset(&a->held);
    maas_buf_reset(&a->told);
    *a = (maas_answer){0};
}

/* The first n held bytes are told. */
static void tell(maas_answer *a, size_t n)
{
    maas_span s = maas_span_of(a->held.p, n);
    while (s.n) {
        const size_t len = maas_utf8_len(s);
        maas_buf_add(&a->told, len ? (const void *)s.p : "\xef\xbf\xbd", len ? len : 3);
        maas_span_skip(&s, len ? len : 1);
    }
    memmove(a->held.p, a->held.p + n, a->held.n - n);
    a->held.n -= n;
}

/* Where the first stop text begins; held.n: there is none. The longest of those that begin there.
 */
static size_t find_stop(maas_answer *a)
{
    size_t first = a->held.n;
    for (uint32_t i = 0; i < a->n_stops; i++) {
        const char *p = a->stops[i].n ? memmem(a->held.p, a->held.n, a->stops[i].p, a->stops[i].n)
                                      : NULL;
        const size_t at = p ? (size_t)(p - a->held.p) : a->held.n;
        if (!p || at > first || (at == first && a->stops[i].n <= a->stops[a->stop].n))
            continue;
        first = at;
        a->stop = (int32_t)i;
    }
    return first;
}

/* How many bytes at the end may be the beginning of a stop text. */
static size_t maybe_stop(const maas_answer *a)
{
    size_t most = 0;
    for (uint32_t i = 0; i < a->n_stops; i++)
        for (size_t n = a->stops[i].n ? a->stops[i].n - 1 : 0; n > most; n--)
            if (n <= a->held.n && memcmp(a->held.p + a->held.n - n, a->stops[i].p, n) == 0)
                most = n;
    return most;
}

/* How many of the first n bytes are whole characters, or can never become one. */
static size_t whole(const maas_answer *a, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        const uint8_t c = (uint8_t)a->held.p[n - back];
        if ((c & 0xc0) == 0x80)
            continue;
        const size_t want = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
        return want > back ? n - back : n;
    }
    return n;
}

bool maas_answer_add(maas_answer *a, maas_str bytes)
{
    maas_buf_clear(&a->told);
    maas_buf_add(&a->held, bytes.p, bytes.n);
    if (!a->held.n)
        return false;
    const size_t stop = find_stop(a);
    if (stop < a->held.n) {
        tell(a, stop);
        a->held.n = 0;
        return true;
    }
    const size_t n = whole(a, a->held.n - maybe_stop(a));
    tell(a, n);
    return false;
}

void maas_answer_finish(maas_answer *a)
{
    maas_buf_clear(&a->told);
    if (a->held.n)
        tell(a, a->held.n);
}
