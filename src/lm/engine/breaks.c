#include "lm/engine/breaks.h"

#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

#define MAX_TAIL ((size_t)1 << 24)

bool maas_breaks_init(maas_breaks *b, const maas_str *texts, uint32_t n)
{
    *b = (maas_breaks){.tail = MAAS_BUF_INIT(MAX_TAIL)};
    b->texts = n ? maas_calloc(n, sizeof *b->texts) : NULL;
    for (uint32_t i = 0; i < n && b->texts; i++) {
        char *copy = texts[i].n ? maas_strndup(texts[i].p, texts[i].n) : NULL;
        if (texts[i].n && !copy)
            return false;
        if (copy)
            b->texts[b->n_texts++] = (maas_str){copy, texts[i].n};
        b->longest = texts[i].n > b->longest ? texts[i].n : b->longest;
    }
    return !n || b->texts;
}

void maas_breaks_reset(maas_breaks *b)
{
    for (uint32_t i = 0; i < b->n_texts; i++)
        maas_free((void *)(uintptr_t)b->texts[i].p);
    maas_free(b->texts);
    maas_buf_reset(&b->tail);
    *b = (maas_breaks){0};
}

/* Whether the text ends among the last n bytes. */
static bool ends_in(const maas_buf *all, size_t n, maas_str text)
{
    const size_t look = n + text.n - 1 < all->n ? n + text.n - 1 : all->n;
    return memmem(all->p + (all->n - look), look, text.p, text.n) != NULL;
}

bool maas_breaks_add(maas_breaks *b, maas_str piece)
{
    bool found = false;
    b->n_tokens++;
    if (!b->n_texts || !piece.n)
        return false;
    maas_buf_add(&b->tail, piece.p, piece.n);
    if (b->tail.failed) {
        maas_buf_reset(&b->tail);
        return false;
    }
    for (uint32_t i = 0; i < b->n_texts && !found; i++)
        found = ends_in(&b->tail, piece.n, b->texts[i]);
    const size_t keep = b->longest - 1 < b->tail.n ? b->longest - 1 : b->tail.n;
    memmove(b->tail.p, b->tail.p + (b->tail.n - keep), keep);
    b->tail.n = keep;
    return found;
}
