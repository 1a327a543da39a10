/*
 * Attention as exporters write it, of f32:
 *
 *   x -> Reshape [B,S,N,D] -> Transpose 0213 -> q --\
 *   x -> Reshape [B,S,N,D] -> Transpose 0231 -> kT -> MatMul -> Div -> Add(mask) -> Softmax --\
 *   x -> Reshape [B,S,N,D] -> Transpose 0213 -> v --------------------------------------> MatMul
 *                                             -> Transpose 0213 -> Reshape [B,S,N * D] -> y
 *
 * With all of it the operator reads and writes [B,S,N * D] and nothing is transposed; without what
 * is around the products it takes [B,N,S,D].
 */
#include "passes/fuse_patterns.h"

#include <string.h>

#include "ops/build.h"
#include "base/ban.h"

#define MAX_DROPPED 24

typedef struct found {
    const maas_fuse *f;
    maas_vid q, k, v, mask; /* [B][N][S][D] each; k as [B][N][D][S] until it is turned */
    double scale;
    int64_t heads;
    maas_node *dropped[MAX_DROPPED];
    int n_dropped;
} found;

static const maas_type *type_of(const found *w, maas_vid v)
{
    return &maas_graph_at(w->f->g, v)->type;
}

static maas_node *take(found *w, maas_vid v, const char *op)
{
    maas_node *n = maas_fuse_maker(w->f, v, op);
    if (n && w->n_dropped < MAX_DROPPED)
        w->dropped[w->n_dropped++] = n;
    return n;
}

static bool has_perm(const maas_node *n, const int64_t want[4])
{
    uint32_t count;
    const int64_t *perm = maas_attr_ints(n, "perm", &count);
    return perm && count == 4 && memcmp(perm, want, 4 * sizeof *want) == 0;
}

static const int64_t heads_first[4] = {0, 2, 1, 3}, keys_last[4] = {0, 2, 3, 1},
                     swap_last[4] = {0, 1, 3, 2};

/* v times or over a number: what it was before. */
static maas_vid unscaled(found *w, maas_vid v)
{
    double number;
    maas_node *n = maas_fuse_maker(w->f, v, "Div");
    if (n && maas_fuse_number(w->f->g, n->in[1], &number) && number != 0) {
        w->scale /= number;
        return take(w, v, "Div")->in[0];
    }
    n = maas_fuse_maker(w->f, v, "Mul");
    for (int k = 0; n && k < 2; k++)
        if (maas_fuse_number(w->f->g, n->in[k], &number)) {
            w->scale *= number;
            return take(w, v, "Mul")->in[1 - k];
        }
    return v;
}

/* The product below the scores; a scale before it, too. */
static bool read_scores(found *w, maas_vid v)
{
    v = unscaled(w, v);
    const maas_node *m = take(w, v, "MatMul");
    if (!m)
        return false;
    w->q = unscaled(w, m->in[0]);
    w->k = unscaled(w, m->in[1]);
    return true;
}

static bool is_mask_of(const found *w, maas_vid mask, const maas_type *scores)
{
    const maas_type *m = type_of(w, mask);
    if (m->dtype != MAAS_F32 || m->rank < 1 || m->rank > 4 ||
        m->dims[m->rank - 1] != scores->dims[3])
        return false;
    for (int i = 0; i < m->rank; i++)
        if (m->dims[i] != 1 && m->dims[i] != scores->dims[4 - m->rank + i])
            return false;
    return true;
}

static bool read_softmax(found *w, maas_vid p)
{
    const maas_node *s = take(w, p, "Softmax");
    if (!s)
        return false;
    const int64_t axis = maas_attr_i(s, "axis", -1);
    const maas_type *t = type_of(w, p);
    if (t->rank != 4 || t->dims[3] < 1 || (axis != -1 && axis != 3))
        return false;
    const maas_node *add = maas_fuse_maker(w->f, s->in[0], "Add");
    if (!add)
        return read_scores(w, s->in[0]);
    take(w, s->in[0], "Add");
    for (int k = 0; k < 2; k++) {
        const found before = *w;
        if (is_mask_of(w, add->in[1 - k], t) && read_scores(w, add->in[k])) {
            w->mask = add->in[1 - k];
            return true;
        }
        *w = before;
    }
    return false;
}

/* [B][N][S][D] made of [B][S][N * D]: the latter. `turned` is the node that made the former. */
static maas_vid before_heads(found *w, const maas_node *turned, int64_t *heads)
{
    const maas_node *r = take(w, turned->in[0], "Reshape");
    if (!r)
        return MAAS_NO_VALUE;
    const maas_type *x = type_of(w, r->in[0]), *y = type_of(w, turned->in[0]);
    if (x->rank != 3 || y->rank != 4 || y->dims[2] < 1 || y->dims[3] < 1 ||
        x->dims[0] != y->dims[0] || x->dims[1] != y->dims[1] ||
        x->dims[2] != y->dims[2] * y->dims[3] || (*heads && *heads != y->dims[2]))
        return MAAS_NO_VALUE;
    *heads = y->dims[2];
    return r->in[0];
}

static maas_vid packed(found *w, maas_vid v, int64_t *heads)
{
    const maas_node *t = take(w, v, "Transpose");
    return t && has_perm(t, heads_first) ? before_heads(w, t, heads) : MAAS_NO_VALUE;
}

static maas_vid packed_keys(found *w, int64_t *heads)
{
    const maas_node *t = take(w, w->k, "Transpose");
    if (t && has_perm(t, keys_last))
        return before_heads(w, t, heads);
    return t && has_perm(t, swap_last) ? packed(w, t->in[0], heads) : MAAS_NO_VALUE;
}

/* ---- rewriting ---- */

static maas_status become_attention(const found *w, maas_nid nid, const maas_vid in[3])
{
    const maas_fuse *f = w->f;
    const maas_vid all[4] = {in[0], in[1], in[2], w->mask};
    const maas_attr a[] = {MAAS_A_FLOAT("scale", (float)w->scale),
                           MAAS_A_INT("q_num_heads", w->heads),
                           MAAS_A_INT("kv_num_heads", w->heads)};
    MAAS_TRY(maas_fuse_rewrite(f, nid, "Attention", all, w->mask >= 0 ? 4 : 3));
    for (int i = 0; i < w->n_dropped; i++)
        maas_fuse_drop(f, w->dropped[i]);
    for (int i = 0; i < (w->heads ? 3 : 1); i++)
        MAAS_TRY(maas_node_set(f->g, nid, &a[i], f->err));
    return MAAS_OK;
}

/* y [B][S][N * D] from the products. */
static maas_status fuse_packed(found *w, maas_nid nid, bool *done)
{
    const maas_node *n = &w->f->g->nodes[nid];
    const maas_type *y = type_of(w, n->out[0]);
    const maas_node *t = take(w, n->in[0], "Transpose");
    if (!t || y->rank != 3 || !has_perm(t, heads_first))
        return MAAS_OK;
    const maas_node *m = take(w, t->in[0], "MatMul");
    const maas_type *wide = type_of(w, n->in[0]);
    if (!m || wide->rank != 4 || y->dims[0] != wide->dims[0] || y->dims[1] != wide->dims[1] ||
        !read_softmax(w, m->in[0]))
        return MAAS_OK;
    const maas_vid in[3] = {packed(w, w->q, &w->heads), packed_keys(w, &w->heads),
                            packed(w, m->in[1], &w->heads)};
    if (in[0] < 0 || in[1] < 0 || in[2] < 0 || w->n_dropped == MAX_DROPPED)
        return MAAS_OK;
    *done = true;
    return become_attention(w, nid, in);
}

static bool same_heads(const maas_type *a, const maas_type *b)
{
    return a->rank == 4 && b->rank == 4 && a->dims[0] == b->dims[0] && a->dims[1] == b->dims[1] &&
           a->dims[0] != MAAS_DIM_UNKNOWN && a->dims[1] != MAAS_DIM_UNKNOWN;
}

/* y [B][N][S][D]; the transpose of the keys goes, or becomes the one that puts heads first. */
static maas_status fuse_apart(found *w, maas_nid nid, bool *done)
{
    const maas_fuse *f = w->f;
    const maas_node *m = &f->g->nodes[nid];
    if (m->n_in != 2 || type_of(w, m->out[0])->rank != 4 || !read_softmax(w, m->in[0]))
        return MAAS_OK;
    maas_node *t = maas_fuse_maker(f, w->k, "Transpose");
    const maas_type *q = type_of(w, w->q), *v = type_of(w, m->in[1]), k = *type_of(w, w->k);
    if (!t || !same_heads(q, &k) || !same_heads(v, &k) || w->n_dropped == MAX_DROPPED)
        return MAAS_OK;
    maas_vid in[3] = {w->q, w->k, m->in[1]};
    if (has_perm(t, swap_last)) {
        in[1] = t->in[0];
        take(w, w->k, "Transpose");
    } else if (has_perm(t, keys_last)) {
        const maas_attr perm = MAAS_A_INTS("perm", heads_first, 4);
        maas_type *turned = &maas_graph_at(f->g, w->k)->type;
        turned->dims[2] = k.dims[3];
        turned->dims[3] = k.dims[2];
        MAAS_TRY(maas_node_set(f->g, (maas_nid)(t - f->g->nodes), &perm, f->err));
    } else {
        return MAAS_OK;
    }
    *done = true;
    return become_attention(w, nid, in);
}

maas_status maas_fuse_attention(const maas_fuse *f, maas_nid nid, bool *out_done)
{
    const maas_node *n = &f->g->nodes[nid];
    found w = {.f = f, .mask = MAAS_NO_VALUE, .scale = 1};
    if (*n->op->domain || maas_graph_at(f->g, n->out[0])->type.dtype != MAAS_F32)
        return MAAS_OK;
    if (strcmp(n->op->name, "Reshape") == 0)
        return fuse_packed(&w, nid, out_done);
    return strcmp(n->op->name, "MatMul") == 0 ? fuse_apart(&w, nid, out_done) : MAAS_OK;
}
