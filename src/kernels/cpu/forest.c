/*
 * TreeEnsemble, TreeEnsembleRegressor and TreeEnsembleClassifier over packed trees
 * (kernels/forest_pack.h): rows are cut into blocks whose slots and sums stay in the cache while
 * all trees pass; a few rows go through several trees at once instead. Sums are taken in double, in
 * the order of the trees.
 */
#include "kernels/cpu/isa.h"
#include "kernels/cpu/forest_step.h"
#include "kernels/forest_pack.h"

#include "base/ban.h"

extern const maas_op maas_op_TreeEnsemble, maas_op_TreeEnsembleRegressor,
    maas_op_TreeEnsembleClassifier;

enum { LANES = MAAS_PACK_LANES, GROUPS = 2 };
_Static_assert(LANES == 8, "loops are unrolled 8 times");

/* What a leaf says by its number, added to the sums of a row. */
static void add_by_number(const maas_pack *p, uint32_t tree, uint32_t leaf, double *sums)
{
    if (p->target) {
        sums[p->target[tree]] += p->weights[leaf];
        return;
    }
    const size_t n = (size_t)p->f->n_targets;
    if (p->weights) {
        const double *w = p->weights + leaf * n;
        for (size_t i = 0; i < n; i++)
            sums[i] += w[i];
        return;
    }
    for (uint32_t i = p->list[leaf]; i < p->list[leaf + 1]; i++)
        sums[p->entries[i].target] += p->entries[i].weight;
}

#define NODE       maas_node_small
#define REAL       float
#define WALK(name) small_##name
#ifdef FOREST_STEPS
#define WALK_ROWS FOREST_ROWS_SMALL
#define WALK_ROW  FOREST_ROW_SMALL
#endif
#include "kernels/cpu/forest_walk.h"
#define NODE       maas_node_wide
#define REAL       float
#define WALK(name) wide_##name
#include "kernels/cpu/forest_walk.h"
#define NODE       maas_node_double
#define REAL       double
#define WALK(name) double_##name
#ifdef FOREST_STEPS
#define WALK_ROWS FOREST_ROWS_DOUBLE
#define WALK_ROW  FOREST_ROW_DOUBLE
#endif
#include "kernels/cpu/forest_walk.h"

static const struct walker {
    void (*fill)(const maas_pack *p, const void *in, int64_t n, void *out);
    void (*walk)(const maas_pack *p, const void *rows, int64_t n, double *sums);
    size_t real; /* bytes of a slot */
} walkers[] = {
    [MAAS_PACK_SMALL] = {small_fill, small_walk, sizeof(float)},
    [MAAS_PACK_WIDE] = {wide_fill, wide_walk, sizeof(float)},
    [MAAS_PACK_DOUBLE] = {double_fill, double_walk, sizeof(double)},
};

/* ---- scratch of a thread: slots of a block, its sums, one row of scores ---- */

typedef struct layout {
    int64_t rows;         /* of a block, a multiple of LANES */
    size_t sums_at, x_at; /* bytes; x: a row in double for the forest's own walk */
    size_t scores_at, bytes;
} layout;

static size_t whole_lines(size_t n)
{
    return (n + 63) & ~(size_t)63;
}

static layout layout_of(const maas_pack *p, int64_t n_rows)
{
    enum { SLOT_BYTES = 16 << 10, SUM_BYTES = 16 << 10, MOST = 256 };
    const size_t row = (p->n_slots + 1u) * walkers[p->kind].real;
    const size_t sums = (size_t)p->f->n_targets * sizeof(double);
    int64_t rows = (int64_t)(SLOT_BYTES / row < SUM_BYTES / sums ? SLOT_BYTES / row
                                                                 : SUM_BYTES / sums);
    layout l = {0};
    rows = rows > MOST ? MOST : rows < n_rows ? rows : n_rows;
    l.rows = rows < LANES ? LANES : rows / LANES * LANES;
    l.sums_at = whole_lines((size_t)l.rows * row);
    l.x_at = l.sums_at + whole_lines((size_t)l.rows * sums);
    l.scores_at = l.x_at + (p->plain ? whole_lines((size_t)p->f->n_features * sizeof(double)) : 0);
    const size_t n_scores = p->classifier ? (size_t)p->votes.n_classes : 0;
    l.bytes = l.scores_at + whole_lines(n_scores * sizeof(float));
    return l;
}

static int64_t rows_of(const maas_tensor *x)
{
    return x->rank == 1 ? 1 : x->dims[0];
}

/* ---- after the sums ---- */

/* The sum of a target that nobody spoke of is 0 here, and NaN only from the forest's own walk. */
static void finish_row(const maas_pack *p, double *s)
{
    const maas_forest *f = p->f;
    for (int32_t t = 0; t < f->n_targets; t++) {
        if (f->aggregate == MAAS_FOREST_AVERAGE && !p->plain)
            s[t] /= f->n_trees;
        if (isnan(s[t]) && (f->base || !p->classifier))
            s[t] = 0;
        s[t] += f->base ? f->base[t] : 0;
    }
}

static void put_values(const maas_pack *p, const maas_call *c, int64_t row, double *s)
{
    const maas_tensor *y = &c->out[0];
    const int64_t n = p->f->n_targets;
    if (p->post != MAAS_POST_NONE)
        maas_post_apply(s, n, p->post);
    if (y->dtype == MAAS_F64)
        memcpy((double *)y->data + row * n, s, (size_t)n * sizeof *s);
    else
        for (int64_t t = 0; t < n; t++)
            ((float *)y->data)[row * n + t] = (float)s[t];
}

static bool wanted(const maas_tensor *t)
{
    return t->dtype != MAAS_DT_NONE && t->data;
}

static void put_classes(const maas_pack *p, const maas_call *c, int64_t row, double *s,
                        float *spare)
{
    const maas_votes *v = &p->votes;
    const maas_tensor *label = &c->out[0], *scores = &c->out[1];
    float *to = wanted(scores) ? (float *)scores->data + row * v->n_classes : spare;
    const int64_t best = maas_votes_count(v, s, to);
    if (!wanted(label))
        return;
    if (v->strings)
        ((maas_str *)label->data)[row] = v->strings->u.strings[best];
    else
        ((int64_t *)label->data)[row] = v->ints->u.ints[best];
}

/* ---- rows ---- */

static void own_walk(const maas_pack *p, const maas_tensor *in, int64_t from, int64_t n, double *x,
                     double *sums)
{
    const int64_t n_features = p->f->n_features;
    for (int64_t r = 0; r < n; r++) {
        for (int64_t i = 0; i < n_features; i++)
            x[i] = maas_tensor_get(in, (from + r) * n_features + i);
        maas_forest_votes(p->f, x, sums + r * p->f->n_targets);
    }
}

static void run_block(const maas_pack *p, const maas_call *c, const layout *l, char *scratch,
                      int64_t from, int64_t n)
{
    const struct walker *w = &walkers[p->kind];
    const maas_tensor *in = &c->in[0];
    double *sums = (double *)(void *)(scratch + l->sums_at);
    if (p->plain) {
        own_walk(p, in, from, n, (double *)(void *)(scratch + l->x_at), sums);
    } else {
        memset(sums, 0, (size_t)(n * p->f->n_targets) * sizeof *sums);
        w->fill(p, (const char *)in->data + (size_t)(from * p->f->n_features) * w->real, n,
                scratch);
        w->walk(p, scratch, n, sums);
    }
    for (int64_t r = 0; r < n; r++) {
        double *s = sums + r * p->f->n_targets;
        finish_row(p, s);
        if (p->classifier)
            put_classes(p, c, from + r, s, (float *)(void *)(scratch + l->scores_at));
        else
            put_values(p, c, from + r, s);
    }
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_pack *p = c->state;
    const int64_t n = rows_of(&c->in[0]);
    const layout l = layout_of(p, n);
    char *scratch = (char *)c->scratch + (size_t)ithr * l.bytes;
    int64_t from, to;
    maas_share(n, LANES, ithr, nthr, &from, &to);
    for (int64_t r = from; r < to; r += l.rows)
        run_block(p, c, &l, scratch, r, to - r < l.rows ? to - r : l.rows);
    return MAAS_OK;
}

/* ---- rows of the table ---- */

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    const maas_tensor *x = &c->in[0];
    return (x->dtype == MAAS_F32 || x->dtype == MAAS_F64) && (x->rank == 1 || x->rank == 2);
}

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    const maas_pack *p;
    MAAS_TRY(maas_pack_acquire(c, &p, err));
    c->state = (void *)(uintptr_t)p;
    const layout l = layout_of(p, rows_of(&c->in[0]));
    c->scratch_bytes = l.bytes * (size_t)(c->n_threads > 0 ? c->n_threads : 1);
    return MAAS_OK;
}

#define TREES(Name)                                                                                \
    {                                                                                              \
        .op = &maas_op_##Name, .name = #Name "." ISA_TEXT, .fits = fits, .prepare = prepare,       \
        .release = maas_pack_release, .run = run                                                   \
    }
const maas_kernel ISA(maas_kernels_forest)[] = {
    TREES(TreeEnsemble), TREES(TreeEnsembleRegressor), TREES(TreeEnsembleClassifier), {0}};
