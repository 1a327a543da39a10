/* learn/fake_bytes.c - the nodes in front of products. */
#include "learn/fake_bytes.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/ban.h"

typedef struct placing {
    const maas_fake_bytes *f;
    maas_net *net;
    maas_vid *rounded; /* [n_ranges][2]: a value, and what it is behind FakeQuantize */
    maas_vid *ends;    /* [n_ranges][2]; MAAS_NO_VALUE: not made */
    bool *found;       /* [f->n] */
} placing;

void maas_fake_range_name(uint32_t input, bool high, char out[40])
{
    snprintf(out, 40, "codes.%u.%s", input, high ? "high" : "low");
}

/* The place of the channels in the weight of the node; -1: the node is no product. */
static int axis_of(const maas_graph *g, const maas_node *n)
{
    if (n->dead || *n->op->domain || n->n_in < 2 || n->in[0] < 0 || n->in[1] < 0)
        return -1;
    if (strcmp(n->op->name, "Conv") == 0)
        return 0;
    if (strcmp(n->op->name, "Gemm") == 0)
        return maas_attr_i(n, "transB", 0) ? 0 : 1;
    return strcmp(n->op->name, "MatMul") == 0 && maas_graph_at(g, n->in[1])->type.rank == 2 ? 1
                                                                                            : -1;
}

/* The number of the product with this weight; f->n: there is none. */
static size_t product_of(const maas_fake_bytes *f, const char *weight)
{
    size_t i = 0;
    while (i < f->n && strcmp(f->at[i].weight, weight) != 0)
        i++;
    return i;
}

static maas_vid end_of(placing *p, uint32_t input, bool high)
{
    maas_vid *v = &p->ends[2 * input + high];
    const maas_fake_range *r = &p->f->ranges[input];
    char name[40];
    float at = high ? r->high : r->low;
    maas_builder *b = &p->net->b;
    if (*v != MAAS_NO_VALUE || b->status != MAAS_OK)
        return *v;
    if (!p->f->learned)
        return *v = maas_b_f32(b, at);
    maas_fake_range_name(input, high, name);
    const maas_tensor first = maas_tensor_of(MAAS_F32, 0, NULL, &at);
    b->status = maas_graph_variable(b->g, name, &first, true, v, b->err);
    if (b->status == MAAS_OK && !maas_net_weight_known(p->net, *v, false))
        maas_net_fail(p->net, MAAS_E_NOMEM, "no memory for ranges");
    return *v;
}

static maas_vid rounded_input(placing *p, uint32_t input, maas_vid x)
{
    maas_vid *known = &p->rounded[2 * input];
    if (known[0] == x)
        return known[1];
    const maas_vid low = end_of(p, input, false), high = end_of(p, input, true);
    known[0] = x;
    return known[1] = maas_b_op3(&p->net->b, "FakeQuantize", x, low, high);
}

static maas_vid rounded_weight(placing *p, int axis, maas_vid w)
{
    const maas_attr attr[] = {MAAS_A_INT("limit", p->f->limit), MAAS_A_INT("axis", axis)};
    return maas_b_node(&p->net->b, "FakeQuantizeWeights", attr, p->f->per_channel ? 2 : 1, &w, 1,
                       NULL, 1);
}

static void place(placing *p)
{
    maas_builder *b = &p->net->b;
    maas_graph *g = b->g;
    for (uint32_t i = 0, n = g->n_nodes; i < n && b->status == MAAS_OK; i++) {
        const int axis = axis_of(g, &g->nodes[i]);
        if (axis < 0)
            continue;
        const maas_vid x = g->nodes[i].in[0], w = g->nodes[i].in[1];
        const size_t k = product_of(p->f, maas_graph_at(g, w)->name);
        if (k == p->f->n)
            continue;
        const maas_vid from = rounded_input(p, p->f->at[k].input, x),
                       weight = rounded_weight(p, axis, w);
        p->found[k] = true;
        if (b->status != MAAS_OK)
            return;
        g->nodes[i].in[0] = from; /* the array may have moved */
        g->nodes[i].in[1] = weight;
    }
}

static void check_found(const placing *p)
{
    for (size_t i = 0; i < p->f->n; i++)
        if (!p->found[i])
            maas_net_fail(p->net, MAAS_E_UNSUPPORTED,
                          "weight '%.100s' is not multiplied in training as it is when served",
                          p->f->at[i].weight);
}

void maas_fake_bytes_insert(const maas_fake_bytes *f, maas_net *net)
{
    uint32_t n = 0;
    if (!f || net->b.status != MAAS_OK)
        return;
    for (size_t i = 0; i < f->n; i++)
        n = f->at[i].input >= n ? f->at[i].input + 1 : n;
    AUTO_FREE maas_vid *rounded = maas_alloc(((size_t)n * 2 + 1) * sizeof *rounded);
    AUTO_FREE maas_vid *ends = maas_alloc(((size_t)n * 2 + 1) * sizeof *ends);
    AUTO_FREE bool *found = maas_calloc(f->n + 1, sizeof *found);
    if (!rounded || !ends || !found) {
        maas_net_fail(net, MAAS_E_NOMEM, "no memory for ranges");
        return;
    }
    for (uint32_t i = 0; i < 2 * n; i++)
        rounded[i] = ends[i] = MAAS_NO_VALUE;
    placing p = {f, net, rounded, ends, found};
    place(&p);
    check_found(&p);
    if (net->b.status == MAAS_OK)
        net->b.status = maas_graph_compact(net->b.g, net->b.err);
}
