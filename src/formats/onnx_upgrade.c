/*
 * From the form an operator has in the file's opset to the form of the internal opset. A row is one
 * change of one operator; operators without a row did not change their form between the oldest
 * opset that is read and the newest (new element types, or attributes whose default is what was
 * before, need no row).
 */
#include "formats/onnx_int.h"

#include "ops/build.h"
#include "base/ban.h"

static maas_attr *find_attr(const maas_onnx_node *n, const char *name)
{
    for (uint32_t i = 0; i < n->n_attr; i++)
        if (strcmp(n->attr[i].name, name) == 0)
            return &n->attr[i];
    return NULL;
}

static void drop_attr(maas_onnx_node *n, const maas_attr *a)
{
    uint32_t at = (uint32_t)(a - n->attr);
    n->n_attr--;
    memmove(&n->attr[at], &n->attr[at + 1], (n->n_attr - at) * sizeof *n->attr);
    memmove(&n->body[at], &n->body[at + 1], (n->n_attr - at) * sizeof *n->body);
}

static maas_status add_attr(maas_onnx_reader *r, maas_onnx_node *n, const maas_attr *a)
{
    maas_attr *attr = maas_arena_array(&r->scratch, n->n_attr + 1u, sizeof *attr);
    maas_span *body = maas_arena_array(&r->scratch, n->n_attr + 1u, sizeof *body);
    if (!attr || !body)
        return maas_onnx_no_memory(r->err);
    if (n->n_attr) {
        memcpy(attr, n->attr, n->n_attr * sizeof *attr);
        memcpy(body, n->body, n->n_attr * sizeof *body);
    }
    attr[n->n_attr] = *a;
    n->attr = attr;
    n->body = body;
    n->n_attr++;
    return MAAS_OK;
}

/* Reduce* before 18 had the axes in an attribute. */
static maas_status axes_to_input(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    const maas_attr *axes = find_attr(n, "axes");
    if (!axes)
        return MAAS_OK;
    if (axes->type != MAAS_ATTR_INTS || n->n_in != 1)
        return maas_fail(r->err, MAAS_E_FORMAT, "axes must be a list of integers");
    const int64_t dims[] = {axes->n};
    maas_tensor t = maas_tensor_of(MAAS_I64, 1, dims, (void *)(uintptr_t)axes->u.ints);
    MAAS_TRY(maas_graph_const(g, NULL, &t, true, &n->in[1], r->err));
    n->n_in = 2;
    drop_attr(n, axes);
    return MAAS_OK;
}

/* Split before 18 made as many equal parts as it had outputs. */
static maas_status split_says_outputs(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    const maas_attr a = MAAS_A_INT("num_outputs", n->n_out);
    bool has_sizes = n->n_in > 1 && n->in[1] != MAAS_NO_VALUE;
    return has_sizes || find_attr(n, "num_outputs") ? MAAS_OK : add_attr(r, n, &a);
}

/* BatchNormalization before 14 was in training mode when it had more than one output. */
static maas_status refuse_old_training(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    return n->n_out <= 1 ? MAAS_OK
                         : maas_fail(r->err, MAAS_E_UNSUPPORTED,
                                     "training outputs of opset %d; export for inference or with "
                                     "opset 14",
                                     n->opset);
}

/* Only element types that are not supported make a difference with these attributes. */
static maas_status drop_saturate(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    static const char *const names[] = {"saturate", "round_mode"};
    for (size_t i = 0; i < MAAS_COUNT(names); i++) {
        const maas_attr *a = find_attr(n, names[i]);
        if (a)
            drop_attr(n, a);
    }
    return MAAS_OK;
}

static maas_status refuse_version(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    return maas_fail(r->err, MAAS_E_UNSUPPORTED,
                     "the form of opset %d is not supported; export "
                     "with a newer one",
                     n->opset);
}

static const struct upgrade {
    const char *domain, *op;
    int from, to; /* opsets of the file for which the row holds, both included */
    maas_status (*fn)(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n);
} upgrades[] = {
    {"", "ReduceL1", 13, 17, axes_to_input},
    {"", "ReduceL2", 13, 17, axes_to_input},
    {"", "ReduceLogSum", 13, 17, axes_to_input},
    {"", "ReduceLogSumExp", 13, 17, axes_to_input},
    {"", "ReduceMax", 13, 17, axes_to_input},
    {"", "ReduceMean", 13, 17, axes_to_input},
    {"", "ReduceMin", 13, 17, axes_to_input},
    {"", "ReduceProd", 13, 17, axes_to_input},
    {"", "ReduceSumSquare", 13, 17, axes_to_input},
    {"", "Split", 13, 17, split_says_outputs},
    {"", "BatchNormalization", 13, 13, refuse_old_training},
    {"", "Cast", 19, MAAS_ONNX_NEWEST, drop_saturate},
    {"", "CastLike", 19, MAAS_ONNX_NEWEST, drop_saturate},
    {MAAS_DOMAIN_ML, "LabelEncoder", 1, 1, refuse_version},
};

maas_status maas_onnx_upgrade(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    for (size_t i = 0; i < MAAS_COUNT(upgrades); i++) {
        const struct upgrade *u = &upgrades[i];
        if (n->opset >= u->from && n->opset <= u->to && strcmp(n->op, u->op) == 0 &&
            strcmp(n->domain, u->domain) == 0)
            MAAS_TRY(u->fn(r, g, n));
    }
    return MAAS_OK;
}
