/*
 * tests/client/onnx_forests.c - DIR COUNT SEED: random forests as ONNX files, with rows and what
 * they must answer, for test_onnx_forests.py. Model k is k.onnx, its rows k.x (raw floats or
 * doubles, [rows][features]), the answers k.y (raw doubles: sums; or the number of the label and
 * the scores). Every model is read again here: same answers by the reference code, same covers.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/sys.h"
#include "formats/onnx.h"
#include "ops/forest.h"
#include "ops/forest_post.h"
#include "../unit/ops/interp.h"

/* The first features are categories: ONNX Runtime looks at the integer part of them only. */
enum { ROWS = 64, FEATURES = 5, CATEGORIES = 2, MAX_CLASSES = 5 };

typedef struct wish {
    bool doubles, exact, members, many, covers, classifier, positive;
    int32_t n_targets;
    uint32_t n_classes;
    maas_forest_aggregate how;
    const char *post;
} wish;

static maas_rng rng;

static bool coin(int of)
{
    return maas_rng_below(&rng, (uint64_t)of) == 0;
}

static double some_split(void)
{
    static const double values[] = {0, -0.0, 0.1, 1.5, -2, 1e-50, 1e300, -1e300, 16777217, 3};
    return coin(4) ? values[maas_rng_below(&rng, MAAS_COUNT(values))] : 6 * maas_rng_unit(&rng) - 3;
}

static void leaf(maas_forest *f, const wish *w, int tree, maas_tree_node *n)
{
    *n = (maas_tree_node){.mode = MAAS_SPLIT_LEAF, .first = f->n_weights, .cover = n->cover};
    for (int32_t t = 0; t < f->n_targets; t++) {
        if (!w->many && t != tree % f->n_targets)
            continue;
        if (w->many && coin(5))
            continue;
        const double weight = maas_rng_unit(&rng) - (w->positive ? 0 : 0.5);
        MAAS_CHECK(maas_forest_add_weight(f, t, weight, NULL, NULL) == MAAS_OK);
        n->count++;
    }
}

static void inner(maas_forest *f, const wish *w, maas_tree_node *n)
{
    n->feature = (int32_t)maas_rng_below(&rng, FEATURES);
    n->mode = (uint8_t)(coin(2) ? 0 : maas_rng_below(&rng, MAAS_SPLIT_MEMBER));
    n->split = some_split();
    n->missing_yes = coin(2);
    if (!w->members || coin(2))
        return;
    n->mode = MAAS_SPLIT_MEMBER;
    n->feature %= CATEGORIES;
    n->first = f->n_members;
    n->count = 1 + (uint32_t)maas_rng_below(&rng, 6);
    const uint64_t wide = coin(2) ? 2 : 30; /* ONNX Runtime has two ways to keep a set */
    for (double i = 0, m = 0; i < n->count; i++) {
        m += 1 + (double)maas_rng_below(&rng, wide);
        MAAS_CHECK(maas_forest_add_member(f, m - 1, NULL, NULL) == MAAS_OK);
    }
}

/* Nodes are filled level by level: children are appended and wait for their turn. */
static void grow(maas_forest *f, const wish *w, int tree)
{
    const uint32_t most = f->n_nodes + 1 + (uint32_t)maas_rng_below(&rng, 20);
    const maas_tree_node first = {.cover = w->covers ? 64 : 0};
    MAAS_CHECK(maas_forest_add_tree(f, (int32_t)f->n_nodes, NULL) == MAAS_OK);
    MAAS_CHECK(maas_forest_add_node(f, &first, NULL, NULL) == MAAS_OK);
    for (uint32_t i = f->n_nodes - 1; i < f->n_nodes; i++) {
        maas_tree_node n = f->nodes[i];
        if (f->n_nodes + 2 > most) {
            leaf(f, w, tree, &n);
        } else {
            inner(f, w, &n);
            const float part = n.cover * (float)(0.25 + 0.5 * maas_rng_unit(&rng));
            const maas_tree_node yes = {.cover = part}, no = {.cover = n.cover - part};
            const maas_tree_node *a = coin(2) ? &yes : &no, *b = a == &yes ? &no : &yes;
            int32_t to[2];
            MAAS_CHECK(maas_forest_add_node(f, a, &to[0], NULL) == MAAS_OK);
            MAAS_CHECK(maas_forest_add_node(f, b, &to[1], NULL) == MAAS_OK);
            n.yes = to[a != &yes];
            n.no = to[a == &yes];
        }
        f->nodes[i] = n;
    }
}

static wish wish_of(int k)
{
    static const char *const posts[] = {"NONE", "SOFTMAX", "LOGISTIC"};
    wish w = {.doubles = k & 1,
              .exact = k & 2,
              .members = coin(3),
              .many = coin(2),
              .covers = coin(2),
              .positive = coin(2),
              .classifier = coin(2),
              .n_targets = 1,
              .how = coin(2) ? MAAS_FOREST_SUM : MAAS_FOREST_AVERAGE,
              .post = "NONE"};
    if (coin(2))
        w.n_targets = 2 + (int32_t)maas_rng_below(&rng, 3);
    w.many = w.many && w.n_targets > 1;
    if (!w.classifier && !w.many && coin(3))
        w.how = coin(2) ? MAAS_FOREST_MIN : MAAS_FOREST_MAX;
    if (w.classifier) {
        w.n_classes = w.n_targets == 1 ? 2 : (uint32_t)w.n_targets;
        w.post = posts[maas_rng_below(&rng, 3)];
        if (w.n_targets == 1 && w.post[0] == 'S')
            w.post = "NONE";
    }
    return w;
}

static void rows(double *x, const wish *w)
{
    for (int i = 0; i < ROWS * FEATURES; i++) {
        x[i] = coin(9)                                ? NAN
               : i % FEATURES < CATEGORIES || coin(3) ? floor(8 * maas_rng_unit(&rng))
                                                      : some_split();
        if (!w->doubles)
            x[i] = (float)x[i];
    }
}

/* What a row must answer, from the forest that was asked to be written. */
static int answer(const maas_forest *f, const wish *w, const double *x, double *y)
{
    double s[MAX_CLASSES];
    maas_forest_row(f, x, s);
    if (!w->classifier) {
        memcpy(y, s, (size_t)f->n_targets * sizeof *y);
        return f->n_targets;
    }
    const bool logistic = strcmp(w->post, "LOGISTIC") == 0;
    if (f->n_targets == 1) {
        y[0] = s[0] > (logistic ? 0 : 0.5);
        y[1] = logistic ? 1 / (1 + exp(s[0])) : 1 - s[0];
        y[2] = logistic ? 1 / (1 + exp(-s[0])) : s[0];
        return 3;
    }
    y[0] = 0;
    for (int32_t t = 1; t < f->n_targets; t++)
        if (s[t] > s[(int)y[0]])
            y[0] = t;
    maas_post_apply(s, f->n_targets,
                    logistic          ? MAAS_POST_LOGISTIC
                    : *w->post == 'S' ? MAAS_POST_SOFTMAX
                                      : MAAS_POST_NONE);
    memcpy(y + 1, s, (size_t)f->n_targets * sizeof *y);
    return f->n_targets + 1;
}

static void save(const char *dir, int k, const char *what, const void *p, size_t n)
{
    char path[512];
    maas_err err = {0};
    snprintf(path, sizeof path, "%s/%d.%s", dir, k, what);
    AUTO_FD fd = -1;
    if (maas_sys_open(path, O_WRONLY | O_CREAT | O_TRUNC, &fd, &err) != MAAS_OK ||
        maas_sys_write(fd, p, n, &err) != MAAS_OK) {
        fprintf(stderr, "%s\n", err.msg);
        exit(2);
    }
}

static double cover_of_roots(const maas_forest *f)
{
    double sum = 0;
    for (uint32_t i = 0; i < f->n_nodes; i++)
        sum += f->nodes[i].cover;
    return sum;
}

/* The written file again: its tree node has the covers, its reference code the answers. */
static void read_again(const maas_buf *file, const maas_forest *f, const wish *w, const double *x,
                       const double *y, int width, int k)
{
    maas_graph *g = NULL;
    maas_err err = {0};
    interp p = {0};
    EXPECT_MSG(maas_onnx_read(maas_buf_span(file), NULL, &g, &err) == MAAS_OK, "%d: %s", k,
               err.msg);
    if (!g)
        return;
    maas_graph_at(g, g->inputs[0])->type.dims[0] = ROWS;
    EXPECT_MSG(maas_graph_infer(g, &err) == MAAS_OK && interp_open(&p, g), "%d: %s", k, err.msg);
    for (int i = 0; i < ROWS * FEATURES; i++)
        maas_tensor_set(&p.v[g->inputs[0]], i, x[i]);
    EXPECT_MSG(interp_run(&p, &err) == MAAS_OK, "%d: %s", k, err.msg);
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < width; c++) {
            const int label = w->classifier && c == 0;
            const maas_tensor *out = &p.v[g->outputs[w->classifier && c > 0]];
            const double got = maas_tensor_get(
                out, label ? r : r * (width - w->classifier) + c - w->classifier);
            const double want = y[r * width + c];
            EXPECT_MSG(fabs(got - want) <= (label ? 0 : 2e-6 * (1 + fabs(want))),
                       "%d: row %d, column %d: %.9g, not %.9g", k, r, c, got, want);
        }
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (strncmp(g->nodes[i].op->name, "TreeEnsemble", 12) == 0 && w->covers) {
            maas_forest *again = NULL;
            EXPECT(maas_forest_of_node(&g->nodes[i], FEATURES, NULL, &again, &err) == MAAS_OK);
            if (again && !(w->many && (w->members || (w->doubles && (w->exact || w->classifier)))))
                EXPECT_MSG(fabs(cover_of_roots(again) - cover_of_roots(f)) < 2, "%d: covers %g %g",
                           k, cover_of_roots(again), cover_of_roots(f));
            maas_forest_destroy(again);
        }
    interp_close(&p);
    maas_graph_destroy(g);
}

static void one(const char *dir, int k)
{
    static const int64_t labels[] = {0, 1, 2, 3, 4};
    const wish w = wish_of(k);
    maas_graph *g;
    maas_builder b;
    maas_err err = {0};
    maas_forest *f = NULL;
    double x[ROWS * FEATURES], y[ROWS * (MAX_CLASSES + 1)];
    float narrow[ROWS * FEATURES];
    int width = 0;
    MAAS_CHECK(maas_forest_create(FEATURES, w.n_targets, w.how, NULL, &f, NULL) == MAAS_OK);
    for (int t = 0; t < 6; t++)
        grow(f, &w, t);
    if (coin(2))
        MAAS_CHECK(maas_forest_set_base(f, (const double[]){.3, -.2, .1, .4}, NULL) == MAAS_OK);
    MAAS_CHECK(maas_graph_create("forest", NULL, &g, NULL) == MAAS_OK);
    maas_builder_init(&b, g, &err);
    int64_t dims[] = {0, FEATURES};
    MAAS_CHECK(maas_graph_symbol(g, "batch", &dims[0], NULL) == MAAS_OK);
    const maas_vid in = maas_b_input(&b, "x", w.doubles ? MAAS_F64 : MAAS_F32, 2, dims);
    if (w.classifier) {
        maas_vid out[2];
        maas_b_forest_classifier(&b, f, in, labels, NULL, w.n_classes, w.post, out);
        maas_b_output(&b, "label", out[0]);
        maas_b_output(&b, "scores", out[1]);
    } else {
        maas_b_output(&b, "value", maas_b_forest(&b, f, in, w.exact));
    }
    AUTO(maas_buf_reset) maas_buf file = MAAS_BUF_INIT(16u << 20);
    EXPECT_MSG(b.status == MAAS_OK && maas_onnx_write(g, NULL, NULL, &file, &err) == MAAS_OK,
               "%d: %s", k, err.msg);
    rows(x, &w);
    for (int r = 0; r < ROWS; r++)
        width = answer(f, &w, x + r * FEATURES, y + r * width);
    for (int i = 0; i < ROWS * FEATURES; i++)
        narrow[i] = (float)x[i];
    read_again(&file, f, &w, x, y, width, k);
    save(dir, k, "onnx", file.p, file.n);
    save(dir, k, "x", w.doubles ? (void *)x : narrow, w.doubles ? sizeof x : sizeof narrow);
    save(dir, k, "y", y, (size_t)(ROWS * width) * sizeof *y);
    maas_graph_destroy(g);
    maas_forest_destroy(f);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    maas_rng_seed(&rng, strtoull(argv[3], NULL, 10));
    for (int k = 0; k < (int)strtol(argv[2], NULL, 10); k++)
        one(argv[1], k);
    return mt_failed != 0;
}
