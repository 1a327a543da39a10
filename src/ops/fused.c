/*
 * FusedElementwise (ai.maas) - a small program over f32 elements, made by the pass fuse-elementwise
 * so that a chain of operators walks memory once.
 *
 *   ops   ["Mul", "Add", "Relu"]     names of element-wise operators without attributes
 *   args  [0, 2,  3, 1,  4, -1]      two operands each; -1: none
 *   imm   [0.5]                      constants
 *   outs  [5]                        the operands that are outputs, in order
 *
 * Operands are numbered: inputs 0.., then constants, then the results of the instructions. All
 * inputs broadcast to one shape, which every output has. An instruction reads what is before it.
 * An input may be u8 or i32: only "Cast" reads it, and Cast reads nothing else.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

typedef struct program {
    const maas_str *ops;
    const int64_t *args, *outs;
    const float *imm;
    uint32_t n_steps, n_imm, n_args, n_outs;
} program;

static program program_of(const maas_node *n)
{
    program p = {0};
    const maas_attr *ops = maas_node_attr(n, "ops"), *imm = maas_node_attr(n, "imm");
    if (ops) {
        p.ops = ops->u.strings;
        p.n_steps = ops->n;
    }
    if (imm) {
        p.imm = imm->u.floats;
        p.n_imm = imm->n;
    }
    p.args = maas_attr_ints(n, "args", &p.n_args);
    p.outs = maas_attr_ints(n, "outs", &p.n_outs);
    return p;
}

extern const maas_op maas_op_Cast;

static const maas_op *step_op(const program *p, uint32_t i)
{
    char name[32];
    if (p->ops[i].n >= sizeof name)
        return NULL;
    memcpy(name, p->ops[i].p, p->ops[i].n);
    name[p->ops[i].n] = '\0';
    const maas_op *op = maas_op_find("", name, MAAS_OPSET);
    if (!op)
        op = maas_op_find(MAAS_DOMAIN_OWN, name, MAAS_OPSET);
    return op == &maas_op_Cast || (op && op->scalar && (op->flags & MAAS_OP_ELEMENTWISE)) ? op
                                                                                          : NULL;
}

static maas_status check(const maas_node *n, const program *p, maas_err *err)
{
    const int64_t first = (int64_t)n->n_in + p->n_imm;
    if (!p->n_steps || p->n_args != 2 * (uint64_t)p->n_steps || p->n_outs != n->n_out)
        return maas_fail(err, MAAS_E_INVALID, "the program has %u steps, %u arguments, %u outputs",
                         p->n_steps, p->n_args, p->n_outs);
    for (uint32_t i = 0; i < p->n_steps; i++) {
        const maas_op *op = step_op(p, i);
        const int64_t a = p->args[2 * i], b = p->args[2 * i + 1];
        if (!op || op->n_in > 2)
            return maas_fail(err, MAAS_E_INVALID, "step %u cannot be fused", i);
        if (a < 0 || a >= first + i || b >= first + i || (b < 0) != (op->n_in == 1 && b == -1))
            return maas_fail(err, MAAS_E_INVALID, "step %u reads what is not there", i);
    }
    for (uint32_t i = 0; i < p->n_outs; i++)
        if (p->outs[i] < first || p->outs[i] >= first + p->n_steps)
            return maas_fail(err, MAAS_E_INVALID, "output %u is no result", i);
    return MAAS_OK;
}

/* Whole numbers are read by Cast, and Cast reads those. */
static maas_status check_casts(const maas_infer *q, const program *p, maas_err *err)
{
    for (uint32_t i = 0; i < 2 * p->n_steps; i++) {
        const bool cast = step_op(p, i / 2) == &maas_op_Cast;
        const int64_t a = p->args[i];
        const bool whole = a >= 0 && a < q->node->n_in && q->in[a].dtype != MAAS_F32;
        if (a >= 0 && whole != cast)
            return maas_fail(err, MAAS_E_INVALID, "step %u reads another type than it can", i / 2);
    }
    return MAAS_OK;
}

static maas_status fused_infer(maas_infer *q, maas_err *err)
{
    const program p = program_of(q->node);
    MAAS_TRY(check(q->node, &p, err));
    MAAS_TRY(check_casts(q, &p, err));
    MAAS_TRY(maas_infer_broadcast(q, err));
    q->out[0].dtype = MAAS_F32;
    for (int i = 1; i < q->node->n_out; i++)
        q->out[i] = q->out[0];
    return MAAS_OK;
}

/* Row-major position of element `at` of `y` in a tensor that broadcasts to it. */
static int64_t broadcast_at(const maas_tensor *y, const maas_tensor *x, int64_t at)
{
    int64_t pos = 0, stride = 1;
    for (int i = y->rank - 1, k = x->rank - 1; k >= 0; i--, k--) {
        const int64_t d = at % y->dims[i];
        at /= y->dims[i];
        pos += x->dims[k] == 1 ? 0 : d * stride;
        stride *= x->dims[k];
    }
    return pos;
}

static maas_status fused_reference(const maas_call *c, maas_err *err)
{
    const program p = program_of(c->node);
    const uint32_t first = (uint32_t)c->n_in + p.n_imm;
    AUTO_FREE float *v = maas_calloc((size_t)first + p.n_steps, sizeof *v);
    AUTO_FREE const maas_op **ops = maas_calloc(p.n_steps, sizeof *ops);
    if (!v || !ops)
        return maas_fail(err, MAAS_E_NOMEM, "a fused program");
    for (uint32_t s = 0; s < p.n_steps; s++)
        ops[s] = step_op(&p, s);
    for (uint32_t i = 0; i < p.n_imm; i++)
        v[c->n_in + (int)i] = p.imm[i];
    for (int64_t at = 0, n = maas_n_elems(&c->out[0]); at < n; at++) {
        for (int i = 0; i < c->n_in; i++)
            v[i] = (float)maas_ld(&c->in[i], broadcast_at(&c->out[0], &c->in[i], at));
        for (uint32_t s = 0; s < p.n_steps; s++) {
            const int64_t b = p.args[2 * s + 1];
            const float in[2] = {v[p.args[2 * s]], b < 0 ? 0 : v[b]};
            v[first + s] = ops[s]->scalar ? ops[s]->scalar(c->node, in, ops[s]->n_in) : in[0];
        }
        for (uint32_t i = 0; i < p.n_outs; i++)
            maas_st(&c->out[i], at, v[p.outs[i]]);
    }
    return MAAS_OK;
}

static int64_t fused_flops(const maas_call *c)
{
    return maas_n_elems(&c->out[0]) * program_of(c->node).n_steps;
}

/* Programs of examples. 0: a chain; 1: Adam, with m, v, w written over their inputs; 4: the same as
 * learners write it, where v may be zero. */
static const struct {
    const char *ops[13];
    int64_t args[26], outs[3];
    float imm[4];
    uint32_t n_steps, n_imm, n_in, n_outs;
} samples[] = {
    {{"Mul", "Add", "Relu"}, {0, 2, 3, 1, 4, -1}, {5}, {0.5f}, 3, 1, 2, 1},
    /* inputs w m v g; imm 0.9 0.1 0.01 1e-3 */
    {{"Mul", "Mul", "Add", "Mul", "Mul", "Mul", "Add", "Abs", "Sqrt", "Add", "Div", "Sub"},
     {1, 4, 3, 5, 8, 9, 3, 3, 11, 6, 2, 4, 12, 13, 14, -1, 15, -1, 16, 7, 10, 17, 0, 18},
     {19, 10, 14},
     {0.9f, 0.1f, 0.01f, 1e-3f},
     12,
     4,
     4,
     3},
    /* outputs that later steps, or their own inputs, are still read after */
    {{"Exp", "Add", "Tanh", "Mul"}, {0, -1, 2, 1, 3, -1, 0, 4}, {2, 5}, {0}, 4, 0, 2, 2},
    /* bytes to scaled floats */
    {{"Cast", "Mul", "Sub"}, {0, -1, 3, 2, 4, 1}, {5}, {1 / 255.0f}, 3, 1, 2, 1},
    {{"Mul", "Mul", "Add", "Mul", "Mul", "Mul", "Add", "Relu", "Sqrt", "Add", "Div", "Mul", "Sub"},
     {1, 4, 3, 5, 8, 9, 2, 4, 3, 3, 12, 6, 11, 13, 14, -1, 15, -1, 16, 7, 10, 17, 18, 5, 0, 19},
     {20, 10, 14},
     {0.9f, 0.1f, 0.01f, 1e-3f},
     13,
     4,
     4,
     3},
};

static void fused_example(maas_example *e)
{
    static const struct {
        int rank;
        int64_t dims[4];
    } shapes[][2] = {
        {{2, {7, 33}}, {1, {33}}},        {{2, {64, 128}}, {2, {64, 1}}}, {{1, {1000}}, {0, {0}}},
        {{3, {2, 3, 5}}, {3, {2, 1, 5}}}, {{2, {3, 700}}, {2, {3, 700}}}, {{2, {0, 4}}, {1, {4}}},
    };
    const int s = e->variant / 6, k = e->variant % 6;
    maas_str names[13];
    for (uint32_t i = 0; i < samples[s].n_steps; i++)
        names[i] = (maas_str){samples[s].ops[i], strlen(samples[s].ops[i])};
    const maas_attr attr[] = {
        {"ops", MAAS_ATTR_STRINGS, samples[s].n_steps, {.strings = names}},
        {"args", MAAS_ATTR_INTS, 2 * samples[s].n_steps, {.ints = samples[s].args}},
        {"imm", MAAS_ATTR_FLOATS, samples[s].n_imm, {.floats = samples[s].imm}},
        {"outs", MAAS_ATTR_INTS, samples[s].n_outs, {.ints = samples[s].outs}}};
    maas_vid in[4], out[3] = {MAAS_NO_VALUE, MAAS_NO_VALUE, MAAS_NO_VALUE};
    for (uint32_t i = 0; i < samples[s].n_in; i++) {
        const int small = i > 0 && i + 1 == samples[s].n_in;
        const bool bytes = s == 3 && i == 0;
        in[i] = maas_ex_in(e, bytes ? (k % 2 ? MAAS_I32 : MAAS_U8) : MAAS_F32, bytes ? 0 : -2,
                           bytes ? 256 : 2, shapes[k][small].rank, shapes[k][small].dims);
    }
    maas_b_node(e->b, "FusedElementwise", attr, 4, in, samples[s].n_in, out, samples[s].n_outs);
}

static const maas_io_schema in[] = {
    MAAS_VARIADIC("X", NULL, MAAS_DT_BIT(MAAS_F32) | MAAS_DT_BIT(MAAS_U8) | MAAS_DT_BIT(MAAS_I32))};
static const maas_io_schema out[] = {MAAS_VARIADIC("Y", "T", MAAS_DT_BIT(MAAS_F32))};
static const maas_attr_schema attrs[] = {{"ops", MAAS_ATTR_STRINGS, true},
                                         {"args", MAAS_ATTR_INTS, true},
                                         {"imm", MAAS_ATTR_FLOATS, false},
                                         {"outs", MAAS_ATTR_INTS, true}};

const maas_op maas_op_FusedElementwise = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "FusedElementwise",
    .since = 1,
    .flags = MAAS_OP_INPLACE,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 30,
    .tolerance = 1e-5,
    .infer = fused_infer,
    .reference = fused_reference,
    .flops = fused_flops,
    .example = fused_example,
    .no_gradient = "it is made after differentiation",
};
