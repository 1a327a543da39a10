/* lm/grammar/vocab.c - the bytes of all tokens as a tree, in the order of a walk. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lm/grammar/grammar_int.h"
#include "base/ban.h"

enum { MAX_PIECE = 1 << 12 }; /* bytes of a token; longer ones are never allowed */

uint32_t gram_vocab_kind(uint8_t byte)
{
    if (byte >= 0x80)
        return byte < 0xc0 ? 62 : 63;
    if (byte < 0x20 || byte == 0x7f)
        return 0;
    if (byte >= '0' && byte <= '9')
        return 1;
    if (byte >= 'a' && byte <= 'z')
        return byte <= 'f' ? 2 : 3;
    if (byte >= 'A' && byte <= 'Z')
        return byte <= 'F' ? 4 : 5;
    /* 33 others: a kind each */
    return byte < '0'   ? 6u + (byte - 0x20u)
           : byte < 'A' ? 22u + (byte - ':')
           : byte < 'a' ? 29u + (byte - '[')
                        : 35u + (byte - '{');
}

bool gram_vocab_is_control(const maas_vocab *v, int32_t token)
{
    return !v->pieces[token].n && v->tokenizer && token < maas_tokenizer_n(v->tokenizer) &&
           maas_tokenizer_is_special(v->tokenizer, token);
}

static int by_bytes(const void *a, const void *b, void *pieces)
{
    const maas_str *all = pieces, x = all[*(const int32_t *)a], y = all[*(const int32_t *)b];
    const int d = memcmp(x.p, y.p, x.n < y.n ? x.n : y.n);
    return d ? d : x.n < y.n ? -1 : x.n > y.n;
}

static size_t alike(maas_str a, maas_str b)
{
    size_t n = 0;
    while (n < a.n && n < b.n && a.p[n] == b.p[n])
        n++;
    return n;
}

static void list_tokens(maas_vocab *v)
{
    for (uint32_t i = 0; i < v->n; i++)
        if (v->ends[i])
            v->end_list[v->n_ends++] = (int32_t)i;
        else if (v->pieces[i].n && v->pieces[i].n <= MAX_PIECE)
            v->order[v->n_order++] = (int32_t)i;
        else if (gram_vocab_is_control(v, (int32_t)i))
            v->control_list[v->n_control++] = (int32_t)i;
    qsort_r(v->order, v->n_order, sizeof *v->order, by_bytes, (void *)(uintptr_t)v->pieces);
}

static size_t count_nodes(maas_vocab *v)
{
    maas_str last = {"", 0};
    size_t n = 0;
    for (uint32_t i = 0; i < v->n_order; i++) {
        const maas_str p = v->pieces[v->order[i]];
        n += p.n - alike(last, p);
        v->depth = p.n > v->depth ? (uint32_t)p.n : v->depth;
        last = p;
    }
    return n;
}

/* The nodes that end when a path becomes n long. */
static void close_path(maas_vocab *v, uint32_t *path, size_t from, size_t n)
{
    for (size_t d = from; d > n; d--) {
        vocab_node *x = &v->nodes[path[d]];
        vocab_node *above = d > 1 ? &v->nodes[path[d - 1]] : NULL;
        x->next = v->n_nodes;
        if (above)
            above->below |= x->below;
        if (above && above->height <= x->height)
            above->height = (uint16_t)(x->height + 1);
    }
}

static void make_nodes(maas_vocab *v, uint32_t *path)
{
    maas_str last = {"", 0};
    for (uint32_t i = 0; i < v->n_order; i++) {
        const maas_str p = v->pieces[v->order[i]];
        const size_t same = alike(last, p);
        close_path(v, path, last.n, same);
        for (size_t d = same; d < p.n; d++) {
            path[d + 1] = v->n_nodes;
            v->nodes[v->n_nodes++] = (vocab_node){.tokens = i,
                                                  .depth = (uint16_t)(d + 1),
                                                  .height = 1,
                                                  .byte = (uint8_t)p.p[d],
                                                  .below = (uint64_t)1
                                                           << gram_vocab_kind((uint8_t)p.p[d])};
        }
        last = p;
    }
    close_path(v, path, last.n, 0);
    v->nodes[v->n_nodes].tokens = v->n_order;
}

static maas_status build(maas_vocab *v, maas_err *err)
{
    v->order = maas_arena_array(&v->arena, v->n + 1u, sizeof *v->order);
    v->end_list = maas_arena_array(&v->arena, v->n + 1u, sizeof *v->end_list);
    v->control_list = maas_arena_array(&v->arena, v->n + 1u, sizeof *v->control_list);
    if (!v->order || !v->end_list || !v->control_list)
        return maas_fail(err, MAAS_E_NOMEM, "the bytes of %u tokens", v->n);
    list_tokens(v);
    const size_t n = count_nodes(v);
    v->nodes = n < UINT32_MAX ? maas_arena_array(&v->arena, n + 1, sizeof *v->nodes) : NULL;
    uint32_t *path = maas_calloc((size_t)v->depth + 2, sizeof *path);
    if (v->nodes && path)
        make_nodes(v, path);
    const bool ok = v->nodes && path;
    maas_free(path);
    return ok ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "the bytes of %u tokens", v->n);
}

static maas_vocab *new_vocab(int32_t n, maas_budget *budget, maas_str **pieces)
{
    maas_vocab *v = maas_calloc(1, sizeof *v);
    if (!v)
        return NULL;
    v->refs = 1;
    v->n = (uint32_t)n;
    maas_arena_init(&v->arena, budget);
    *pieces = maas_arena_array(&v->arena, v->n + 1u, sizeof **pieces);
    v->ends = maas_arena_array(&v->arena, v->n + 1u, 1);
    v->pieces = *pieces;
    if (*pieces && v->ends)
        return v;
    maas_vocab_unref(v);
    return NULL;
}

static maas_status finish(maas_vocab *v, maas_vocab **out, maas_err *err)
{
    maas_status st = build(v, err);
    if (st == MAAS_OK)
        *out = v;
    else
        maas_vocab_unref(v);
    return st;
}

maas_status maas_vocab_of_pieces(const maas_str *pieces, const bool *ends, int32_t n,
                                 maas_budget *budget, maas_vocab **out, maas_err *err)
{
    maas_str *own;
    maas_vocab *v = new_vocab(n, budget, &own);
    if (!v)
        return maas_fail(err, MAAS_E_NOMEM, "the bytes of %d tokens", n);
    for (int32_t i = 0; i < n; i++) {
        own[i] = pieces[i];
        v->ends[i] = ends[i];
    }
    return finish(v, out, err);
}

maas_status maas_vocab_create(const maas_tokenizer *t, int32_t n_logits, maas_budget *budget,
                              maas_vocab **out, maas_err *err)
{
    maas_str *own;
    maas_vocab *v = new_vocab(n_logits, budget, &own);
    if (!v)
        return maas_fail(err, MAAS_E_NOMEM, "the bytes of %d tokens", n_logits);
    v->tokenizer = t;
    for (int32_t i = 0; i < n_logits && i < maas_tokenizer_n(t); i++) {
        const maas_str p = maas_tokenizer_piece(t, i);
        if (!p.n || !memchr(p.p, MAAS_GRAMMAR_CONTROL[0], p.n)) /* it would be taken for the mark */
            own[i] = p;
        v->ends[i] = maas_tokenizer_is_end(t, i);
    }
    return finish(v, out, err);
}

maas_vocab *maas_vocab_ref(maas_vocab *v)
{
    atomic_fetch_add(&v->refs, 1);
    return v;
}

void maas_vocab_unref(maas_vocab *v)
{
    if (!v || atomic_fetch_sub(&v->refs, 1) != 1)
        return;
    maas_arena_reset(&v->arena);
    maas_free(v);
}
