/*
 * NonMaxSuppression: of every batch and class the boxes with the best scores, without those that
 * overlap a better one by more than a threshold. Equal scores: the first box.
 */
#include <stdlib.h>

#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status check_number(const maas_infer *q, int i, const char *what, maas_err *err)
{
    for (int k = 0; maas_q_has(q, i) && k < q->in[i].rank; k++)
        if (q->in[i].dims[k] >= 0 && q->in[i].dims[k] != 1)
            return maas_fail(err, MAAS_E_INVALID, "%s must be one number", what);
    return MAAS_OK;
}

static maas_status infer(maas_infer *q, maas_err *err)
{
    const maas_type *boxes = &q->in[0], *scores = &q->in[1];
    const int64_t dims[] = {MAAS_DIM_UNKNOWN, 3},
                  center = maas_attr_i(q->node, "center_point_box", 0);
    int64_t ignored;
    if (center != 0 && center != 1)
        return maas_fail(err, MAAS_E_INVALID, "attribute 'center_point_box' must be 0 or 1");
    if ((boxes->rank >= 0 && boxes->rank != 3) || (scores->rank >= 0 && scores->rank != 3))
        return maas_fail(err, MAAS_E_INVALID, "boxes and scores must have rank 3");
    if (boxes->rank == 3 && boxes->dims[2] >= 0 && boxes->dims[2] != 4)
        return maas_fail(err, MAAS_E_INVALID, "a box must have 4 numbers");
    if (boxes->rank == 3 && scores->rank == 3) {
        MAAS_TRY(maas_dim_same(boxes->dims[0], scores->dims[0], &ignored, "batches", err));
        MAAS_TRY(maas_dim_same(boxes->dims[1], scores->dims[2], &ignored, "boxes", err));
    }
    MAAS_TRY(check_number(q, 2, "max_output_boxes_per_class", err));
    MAAS_TRY(check_number(q, 3, "iou_threshold", err));
    MAAS_TRY(check_number(q, 4, "score_threshold", err));
    maas_q_out(q, 0, MAAS_I64, 2, dims);
    return MAAS_OK;
}

typedef struct box {
    double y1, x1, y2, x2;
} box;

/* Corners in any order, or a center and sizes. */
static box box_of(const float *b, bool center)
{
    const double p = (double)b[0], q = (double)b[1], r = (double)b[2], s = (double)b[3];
    if (center)
        return (box){q - s / 2, p - r / 2, q + s / 2, p + r / 2};
    return (box){p < r ? p : r, q < s ? q : s, p < r ? r : p, q < s ? s : q};
}

static double area(const box *b)
{
    return b->y2 > b->y1 && b->x2 > b->x1 ? (b->y2 - b->y1) * (b->x2 - b->x1) : 0;
}

static bool overlaps(const box *a, const box *b, double threshold)
{
    const box common = {a->y1 > b->y1 ? a->y1 : b->y1, a->x1 > b->x1 ? a->x1 : b->x1,
                        a->y2 < b->y2 ? a->y2 : b->y2, a->x2 < b->x2 ? a->x2 : b->x2};
    const double both = area(&common), either = area(a) + area(b) - both;
    return area(a) > 0 && area(b) > 0 && either > 0 && both / either > threshold;
}

typedef struct candidate {
    float score;
    int64_t at;
} candidate;

static int best_first(const void *a, const void *b)
{
    const candidate *p = a, *q = b;
    if (p->score != q->score)
        return p->score > q->score ? -1 : 1;
    return p->at < q->at ? -1 : p->at > q->at;
}

/* What does not depend on the class; found grows by doubling, three numbers a box. */
typedef struct job {
    bool center, has_least;
    int64_t most, n;
    double iou;
    float least;
    candidate *list; /* [n] */
    box *kept;       /* [n] */
    int64_t *found;
    size_t n_found, cap;
} job;

static maas_status select_class(job *j, const float *boxes, const float *scores, int64_t batch,
                                int64_t class, maas_err *err)
{
    int64_t n = 0, n_kept = 0;
    for (int64_t i = 0; i < j->n; i++)
        if (scores[i] == scores[i] && (!j->has_least || scores[i] > j->least))
            j->list[n++] = (candidate){scores[i], i};
    qsort(j->list, (size_t)n, sizeof *j->list, best_first);
    for (int64_t i = 0; i < n && n_kept < j->most; i++) {
        const box b = box_of(boxes + 4 * j->list[i].at, j->center);
        bool gone = false;
        for (int64_t k = 0; k < n_kept && !gone; k++)
            gone = overlaps(&b, &j->kept[k], j->iou);
        if (gone)
            continue;
        if (!maas_grow(&j->found, &j->cap, j->n_found + 3, sizeof *j->found))
            return maas_fail(err, MAAS_E_NOMEM, "NonMaxSuppression");
        j->kept[n_kept++] = b;
        j->found[j->n_found++] = batch;
        j->found[j->n_found++] = class;
        j->found[j->n_found++] = j->list[i].at;
    }
    return MAAS_OK;
}

static maas_status settings(const maas_call *c, job *j, maas_err *err)
{
    const maas_tensor *most = maas_c_in(c, 2), *iou = maas_c_in(c, 3), *least = maas_c_in(c, 4);
    for (int i = 2; i < 5; i++)
        if (maas_c_in(c, i) && maas_n_elems(&c->in[i]) != 1)
            return maas_fail(err, MAAS_E_INVALID, "NonMaxSuppression: thresholds are numbers");
    *j = (job){.center = maas_attr_i(c->node, "center_point_box", 0) != 0,
               .most = most ? maas_tensor_get_i64(most, 0) : 0,
               .iou = iou ? maas_ld(iou, 0) : 0,
               .has_least = least != NULL,
               .least = least ? (float)maas_ld(least, 0) : 0,
               .n = c->in[0].dims[1]};
    if (!(j->iou >= 0 && j->iou <= 1))
        return maas_fail(err, MAAS_E_INVALID,
                         "NonMaxSuppression: iou_threshold %g, must be in [0, 1]", j->iou);
    j->list = maas_calloc((size_t)j->n + 1, sizeof *j->list);
    j->kept = maas_calloc((size_t)j->n + 1, sizeof *j->kept);
    return j->list && j->kept ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "NonMaxSuppression");
}

static maas_status reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *scores = &c->in[1];
    job j = {0};
    maas_status st = settings(c, &j, err);
    for (int64_t b = 0; b < scores->dims[0]; b++)
        for (int64_t k = 0; k < scores->dims[1] && st == MAAS_OK; k++)
            st = select_class(&j, (const float *)c->in[0].data + b * j.n * 4,
                              (const float *)scores->data + (b * scores->dims[1] + k) * j.n, b, k,
                              err);
    const int64_t dims[] = {(int64_t)(j.n_found / 3), 3};
    if (st == MAAS_OK)
        st = maas_ref_alloc(c, 0, 2, dims, err);
    if (st == MAAS_OK && j.n_found)
        memcpy(c->out[0].data, j.found, j.n_found * sizeof *j.found);
    maas_free(j.list);
    maas_free(j.kept);
    maas_free(j.found);
    return st;
}

static int64_t pair_flops(const maas_call *c)
{
    return maas_n_elems(&c->in[1]) * 20;
}

static void example(maas_example *e)
{
    const maas_attr center = MAAS_A_INT("center_point_box", e->variant & 1);
    const int n_in = e->variant == 3 ? 2 : 5;
    const maas_vid in[5] = {
        maas_ex_in(e, MAAS_F32, 0, 10, MAAS_DIMS(2, e->variant == 2 ? 0 : 9, 4)),
        maas_ex_in(e, MAAS_F32, 0, 1, MAAS_DIMS(2, 3, e->variant == 2 ? 0 : 9)),
        maas_b_i64(e->b, 4), maas_b_f32(e->b, 0.3f), maas_b_f32(e->b, 0.2f)};
    maas_b_node(e->b, "NonMaxSuppression", &center, 1, in, (uint32_t)n_in, NULL, 1);
}

#define F32 MAAS_DT_BIT(MAAS_F32)
static const maas_io_schema in[] = {MAAS_REQ("boxes", NULL, F32), MAAS_REQ("scores", NULL, F32),
                                    MAAS_OPT("max_output_boxes_per_class", NULL, MAAS_DTS_I64),
                                    MAAS_OPT("iou_threshold", NULL, F32),
                                    MAAS_OPT("score_threshold", NULL, F32)};
static const maas_io_schema out[] = {MAAS_REQ("selected_indices", NULL, MAAS_DTS_I64)};
static const maas_attr_schema attrs[] = {{"center_point_box", MAAS_ATTR_INT, false}};

const maas_op maas_op_NonMaxSuppression = {
    .domain = "",
    .name = "NonMaxSuppression",
    .since = 10,
    .flags = MAAS_OP_DYNAMIC,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 4,
    .infer = infer,
    .reference = reference,
    .flops = pair_flops,
    .example = example,
    .no_gradient = "its output is an index",
};
