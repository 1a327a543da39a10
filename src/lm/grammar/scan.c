/* lm/grammar/scan.c - anything up to the first of some texts, as states over bytes: how much of a
 * text the last bytes are (Aho and Corasick's automaton). */
#include <string.h>

#include "lm/grammar/grammar_int.h"
#include "base/ban.h"

enum { MAX_TEXT = 256, NONE = UINT32_MAX >> 1 };

const gram_node *gram_scan_of(gram_build *b, const gram_scan *s)
{
    gram_node *x = maas_arena_alloc(b->a, sizeof *x);
    gram_scan *copy = maas_arena_alloc(b->a, sizeof *copy);
    gram_exit *exits = maas_arena_array(b->a, s->n + 1u, sizeof *exits);
    if (!x || !copy || !exits) {
        gram_fail(b, MAAS_E_NOMEM, "memory for a grammar");
        return gram_never(b);
    }
    for (uint32_t i = 0; i < s->n; i++) {
        const maas_str t = s->exits[i].text;
        char *text = maas_arena_alloc(b->a, t.n + 1);
        if (!t.n || t.n > MAX_TEXT || (s->exits[i].at_start && t.n > 1))
            gram_fail(b, MAAS_E_TOO_LARGE,
                      "a text that begins something has %zu bytes, not 1 to %d", t.n,
                      s->exits[i].at_start ? 1 : MAX_TEXT);
        if (!text)
            gram_fail(b, MAAS_E_NOMEM, "memory for a grammar");
        if (b->status != MAAS_OK)
            return gram_never(b);
        memcpy(text, t.p, t.n);
        exits[i] = s->exits[i];
        exits[i].text.p = text;
    }
    *copy = *s;
    copy->exits = exits;
    *x = (gram_node){.kind = GRAM_SCAN, .u.scan = copy};
    return x;
}

static void open_row(gram_scan_row *rows, uint32_t at)
{
    for (uint32_t i = 0; i < 256; i++)
        rows[at][i] = NONE;
}

/* The bytes of text i as a path from state 0. Where one text begins another, the short one is whole
 * first. */
static void add_path(gram_scan_row *rows, uint32_t *n, maas_str text, uint32_t i)
{
    uint32_t at = 0;
    for (size_t k = 0; k < text.n; k++) {
        uint32_t *to = &rows[at][(uint8_t)text.p[k]];
        if (*to & GRAM_EXIT)
            return;
        if (k + 1 == text.n) {
            *to = GRAM_EXIT | i;
            return;
        }
        if (*to == NONE) {
            *to = *n;
            open_row(rows, (*n)++);
        }
        at = *to;
    }
}

/* A byte that leads no further leads where it would from the longest end that begins a text, too:
 * back[q], which is nearer to the beginning and done before. */
static void lead_back(gram_scan_row *rows, uint32_t *back, uint32_t *queue)
{
    uint32_t head = 0, tail = 0;
    queue[tail++] = 0;
    while (head < tail) {
        const uint32_t q = queue[head++];
        for (uint32_t byte = 0; byte < 256; byte++) {
            const uint32_t other = q ? rows[back[q]][byte] : 0, to = rows[q][byte];
            if (to & GRAM_EXIT)
                continue;
            if (to == NONE || (other & GRAM_EXIT)) {
                rows[q][byte] = other;
                continue;
            }
            back[to] = other;
            queue[tail++] = to;
        }
    }
}

/* As state 0, but that blanks, and what stands between calls, leave it where it is, and letters
 * trigger. */
static void make_start(gram_scan_row *rows, uint32_t start, const gram_scan *s)
{
    static const char blanks[] = " \n\r\t;,";
    memcpy(rows[start], rows[0], sizeof *rows);
    for (const char *p = blanks; *p; p++)
        if (rows[start][(uint8_t)*p] == 0)
            rows[start][(uint8_t)*p] = start;
    for (uint32_t i = 0; i < s->n; i++)
        if (s->exits[i].at_start)
            rows[start][(uint8_t)s->exits[i].text.p[0]] = GRAM_EXIT | i;
}

gram_scan_row *gram_scan_rows(gram_build *b, const gram_scan *s, uint32_t *n, uint32_t *start)
{
    size_t most = 2;
    bool at_start = false;
    for (uint32_t i = 0; i < s->n; i++) {
        most += s->exits[i].text.n;
        at_start |= s->exits[i].at_start;
    }
    gram_scan_row *rows = maas_arena_array(b->a, most, sizeof *rows);
    uint32_t *back = maas_arena_array(b->a, most, sizeof *back);
    uint32_t *queue = maas_arena_array(b->a, most, sizeof *queue);
    if (!rows || !back || !queue)
        return NULL;
    *n = 1;
    open_row(rows, 0);
    for (uint32_t i = 0; i < s->n; i++)
        if (!s->exits[i].at_start)
            add_path(rows, n, s->exits[i].text, i);
    lead_back(rows, back, queue);
    for (uint32_t q = 0; q < *n; q++) /* behind a text that is whole before: nobody gets there */
        for (uint32_t byte = 0; byte < 256; byte++)
            rows[q][byte] = rows[q][byte] == NONE ? 0 : rows[q][byte];
    *start = at_start ? (*n)++ : 0;
    if (at_start)
        make_start(rows, *start, s);
    return rows;
}
