#include "lm/engine/pages.h"

#include "base/ban.h"

enum { PAGE = MAAS_PAGE };

static int32_t parent_of(const maas_pages *p)
{
    return p->n_full ? p->blocks[p->n_full - 1] : -1;
}

void maas_pages_adopt(maas_pages *p, maas_blocks *b, uint64_t kind, const int32_t *tokens,
                      uint32_t n_tokens)
{
    while (b && (p->n_full + 1) * PAGE < n_tokens) {
        const int32_t i = maas_blocks_find(b, parent_of(p), kind, tokens + p->n_full * PAGE);
        if (i < 0)
            break;
        p->blocks[p->n_blocks++] = i;
        p->n_full++;
    }
    p->past = p->n_full * PAGE;
}

bool maas_pages_reserve(maas_pages *p, maas_blocks *b, uint32_t n_tokens)
{
    while (b && p->n_blocks * PAGE < n_tokens) {
        const int32_t i = maas_blocks_take(b);
        if (i < 0)
            return false;
        p->blocks[p->n_blocks++] = i;
    }
    return true;
}

void maas_pages_advance(maas_pages *p, maas_blocks *b, uint64_t kind, const int32_t *tokens,
                        uint32_t n)
{
    p->past += n;
    while (b && (p->n_full + 1) * PAGE <= p->past) {
        int32_t *i = &p->blocks[p->n_full];
        *i = maas_blocks_fill(b, *i, parent_of(p), kind, tokens + p->n_full * PAGE);
        p->n_full++;
    }
}

void maas_pages_trim(maas_pages *p, maas_blocks *b)
{
    while (p->n_blocks * PAGE > p->past + PAGE)
        maas_blocks_give(b, p->blocks[--p->n_blocks]);
}

void maas_pages_release(maas_pages *p, maas_blocks *b)
{
    while (p->n_blocks)
        maas_blocks_give(b, p->blocks[--p->n_blocks]);
    p->past = p->n_full = 0;
}
