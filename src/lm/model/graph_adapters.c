/* Low-rank adapters in the graph of a step: beside each product with a weight that some of them
 * change, one LoraAdd for all of them. */
#include "lm/model/graph_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

typedef struct stack { /* of one weight */
    float *a, *b;      /* [ranks][cols], [ranks][rows] */
    int32_t *from;     /* [adapters + 1] */
    int64_t ranks, at;
} stack;

static void stack_reset(stack *s)
{
    maas_free(s->a);
    maas_free(s->b);
    maas_free(s->from);
}

static void refuse(maas_lm_writer *w, uint32_t i, const maas_lm_weight *t, const char *what)
{
    const maas_str name = maas_lm_adapter_name(w->s, i);
    if (w->b.status == MAAS_OK)
        w->b.status = maas_fail(w->b.err, MAAS_E_INVALID, "the adapter '%.*s': tensor '%.*s' %s",
                                (int)name.n, name.p, (int)(t->name.n < 80 ? t->name.n : 80),
                                t->name.p, what);
}

/* How many ranks, and whether all of them are of this weight. */
static int64_t count(maas_lm_writer *w, const char *full, int64_t all, int64_t cols)
{
    int64_t ranks = 0;
    maas_lm_pair p;
    for (uint32_t i = 1; i <= maas_lm_n_adapters(w->s); i++) {
        if (!maas_lm_adapter_pair(w->s, i, full, &p))
            continue;
        maas_buf_add(&w->used, &p.a, sizeof p.a);
        maas_buf_add(&w->used, &p.b, sizeof p.b);
        if (p.a->dims[1] != cols)
            refuse(w, i, p.a, "has another width than the weight");
        if (p.b->dims[0] != all)
            refuse(w, i, p.b, "has not as many rows as the weight");
        ranks += p.a->dims[0];
    }
    return ranks;
}

/* Rows from .. from + rows - 1 of b lie transposed, times the adapter's scale. */
static void add_pair(stack *s, const maas_lm_pair *p, int64_t from, int64_t rows, int64_t cols,
                     float *row)
{
    const int64_t rank = p->a->dims[0];
    const size_t b_bytes = (size_t)(rank / p->b->type->block) * p->b->type->block_bytes;
    p->a->type->to_f32(p->a->data, s->a + s->at * cols, rank * cols);
    for (int64_t i = 0; i < rows; i++) {
        p->b->type->to_f32(p->b->data + (size_t)(from + i) * b_bytes, row, rank);
        for (int64_t j = 0; j < rank; j++)
            s->b[(s->at + j) * rows + i] = (float)((double)row[j] * p->scale);
    }
    s->at += rank;
}

static bool fill(maas_lm_writer *w, stack *s, const char *full, int64_t from, int64_t rows,
                 int64_t cols)
{
    const uint32_t n = maas_lm_n_adapters(w->s);
    AUTO_FREE float *row = maas_alloc((size_t)s->ranks * sizeof *row);
    s->a = maas_alloc((size_t)(s->ranks * cols) * sizeof *s->a);
    s->b = maas_alloc((size_t)(s->ranks * rows) * sizeof *s->b);
    s->from = maas_alloc(((size_t)n + 1) * sizeof *s->from);
    if (!row || !s->a || !s->b || !s->from)
        return false;
    for (uint32_t i = 1; i <= n; i++) {
        maas_lm_pair p;
        s->from[i - 1] = (int32_t)s->at;
        if (maas_lm_adapter_pair(w->s, i, full, &p))
            add_pair(s, &p, from, rows, cols, row);
    }
    s->from[n] = (int32_t)s->at;
    return true;
}

maas_vid maas_lmg_adapted(maas_lm_writer *w, maas_vid y, maas_vid x, const char *name, int64_t all,
                          int64_t from, int64_t rows, int64_t cols)
{
    char full[80];
    AUTO(stack_reset) stack s = {0};
    if (w->adapter == MAAS_NO_VALUE || strcmp(name, "token_embd.weight") == 0)
        return y; /* a table that is the output, too, would have to change in both places */
    if (w->layer >= 0)
        snprintf(full, sizeof full, "blk.%d.%s", (int)w->layer, name);
    else
        snprintf(full, sizeof full, "%s", name);
    s.ranks = count(w, full, all, cols);
    if (!s.ranks || w->b.status != MAAS_OK)
        return y;
    if (!fill(w, &s, full, from, rows, cols)) {
        w->b.status = maas_fail(w->b.err, MAAS_E_NOMEM, "the adapters of '%s'", full);
        return y;
    }
    const int64_t a[] = {s.ranks, cols}, b[] = {s.ranks, rows};
    const int64_t n = (int64_t)maas_lm_n_adapters(w->s) + 1;
    const maas_tensor ta = maas_tensor_of(MAAS_F32, 2, a, s.a);
    const maas_tensor tb = maas_tensor_of(MAAS_F32, 2, b, s.b);
    const maas_tensor tf = maas_tensor_of(MAAS_I32, 1, &n, s.from);
    const maas_vid in[] = {y,
                           x,
                           maas_b_const(&w->b, NULL, &ta),
                           maas_b_const(&w->b, NULL, &tb),
                           maas_b_const(&w->b, NULL, &tf),
                           w->adapter,
                           w->strength};
    return maas_b_node(&w->b, "LoraAdd", NULL, 0, in, MAAS_COUNT(in), NULL, 1);
}

void maas_lmg_refuse_adapters(maas_lm_writer *w)
{
    const size_t n = w->used.n / sizeof(void *);
    for (uint32_t i = 1; i <= maas_lm_n_adapters(w->s) && w->b.status == MAAS_OK; i++) {
        const maas_lm_weight *t;
        for (uint32_t k = 0; (t = maas_lm_adapter_tensor(w->s, i, k)); k++)
            if (!n || !bsearch(&t, w->used.p, n, sizeof(void *), maas_lmg_by_address))
                refuse(w, i, t,
                       "is for no matrix of the model that adapters can change: those of "
                       "attention, feed-forward (without experts) and output");
    }
}
