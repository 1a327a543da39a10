/*
 * FusedElementwise: every instruction over one block of BLOCK elements before the next block, so
 * that what is between instructions stays in L1. Results nobody needs any more give their buffer
 * to later ones; some steps are taken together (fused_join.h).
 */
#include "kernels/cpu/fused_join.h"
#include "kernels/cpu/row_fn.h"

#include "base/mem.h"
#include "kernels/rows.h"
#include "ops/build.h"
#include "base/ban.h"

extern const maas_op maas_op_FusedElementwise;

#define BLOCK MAAS_TILE /* elements: 2 KiB a buffer */

/* Where an operand is found: slot 0..n_in-1 inputs, then constants, outputs, buffers. */
typedef struct instr {
    row_fn *run;
    joined_fn *joined; /* instead of run, when not NULL */
    uint16_t at[JOINED_MAX_ARGS], y;
    uint8_t step[JOINED_MAX_ARGS];
} instr;

typedef struct state {
    maas_rows rows;
    int n_in, n_imm, n_out, n_buffers, n_steps, n_code, n_tiles;
    uint8_t in_size[MAAS_FUSED_MAX_IN]; /* bytes of an element */
    int delayed[MAAS_FUSED_MAX_OUT];    /* slot of the buffer that is copied out last, or -1 */
    float imm[2 * MAAS_FUSED_MAX_STEPS];
    instr code[MAAS_FUSED_MAX_STEPS];
} state;

typedef struct compiler {
    state *s;
    const int64_t *args, *outs;
    step steps[MAAS_FUSED_MAX_STEPS];
    int first;                           /* operand number of the first result */
    int slot_of[MAAS_FUSED_MAX_STEPS];   /* of each result */
    int last_read[MAAS_FUSED_MAX_STEPS]; /* step that reads each result last */
    int free_buffers[MAAS_FUSED_MAX_STEPS], n_free;
} compiler;

static const maas_op *op_named(maas_str name)
{
    char text[32];
    if (name.n >= sizeof text)
        return NULL;
    memcpy(text, name.p, name.n);
    text[name.n] = '\0';
    const maas_op *op = maas_op_find("", text, MAAS_OPSET);
    return op ? op : maas_op_find(MAAS_DOMAIN_OWN, text, MAAS_OPSET);
}

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    const maas_attr *ops = maas_node_attr(c->node, "ops"), *imm = maas_node_attr(c->node, "imm");
    if (c->n_in > MAAS_FUSED_MAX_IN || c->n_out > MAAS_FUSED_MAX_OUT || !ops ||
        ops->n > MAAS_FUSED_MAX_STEPS || (imm && imm->n > 2 * MAAS_FUSED_MAX_STEPS))
        return false;
    for (uint32_t i = 0; i < ops->n; i++) {
        const maas_op *op = op_named(ops->u.strings[i]);
        if (!op || !ISA(maas_row_fn_of)(op))
            return false;
    }
    return true;
}

/* Within a block, does input k walk along? A tile does, in a buffer. */
static int walks(const state *s, int k)
{
    return s->rows.step[k] || s->rows.tiled[k];
}

static int slot_of(const compiler *k, int64_t operand)
{
    return operand < k->first ? (int)operand : k->slot_of[operand - k->first];
}

/* Input k may be overwritten by output k: is it read after step i? */
static bool read_later(const compiler *k, int input, int i)
{
    for (int j = i + 1; j < k->s->n_steps; j++)
        for (int a = 0; a < JOINED_MAX_ARGS && !k->steps[j].gone; a++)
            if (k->steps[j].arg[a] == input)
                return true;
    return false;
}

static int take_buffer(compiler *k)
{
    state *s = k->s;
    const int buffers_at = s->n_in + s->n_imm + s->n_out;
    return k->n_free ? k->free_buffers[--k->n_free] : buffers_at + s->n_buffers++;
}

/* Where step i puts its result: an output's memory, or a buffer. */
static int place_result(compiler *k, int i)
{
    state *s = k->s;
    for (int o = 0; o < s->n_out; o++) {
        if (k->outs[o] != k->first + i)
            continue;
        if (!(o < s->n_in && read_later(k, o, i)))
            return s->n_in + s->n_imm + o;
        k->last_read[i] = s->n_steps; /* keep the buffer to the end of the block */
    }
    return take_buffer(k);
}

static void give_back(compiler *k, int64_t operand, int i)
{
    const int result = (int)operand - k->first, buffers_at = k->s->n_in + k->s->n_imm + k->s->n_out;
    if (operand < k->first || k->last_read[result] != i || k->slot_of[result] < buffers_at)
        return;
    k->last_read[result] = -1; /* once, also when both operands are the same */
    k->free_buffers[k->n_free++] = k->slot_of[result];
}

static void join(compiler *k)
{
    const state *s = k->s;
    uint8_t in_step[MAAS_FUSED_MAX_IN + 2 * MAAS_FUSED_MAX_STEPS] = {0};
    joiner j = {.steps = k->steps, .n_steps = s->n_steps, .first = k->first, .in_step = in_step};
    for (int i = 0; i < s->n_in; i++)
        in_step[i] = (uint8_t)walks(s, i);
    for (int i = 0; i < s->n_steps; i++)
        for (int a = 0; a < 2; a++)
            if (k->steps[i].arg[a] >= k->first)
                j.reads[k->steps[i].arg[a] - k->first]++;
    for (int o = 0; o < s->n_out; o++)
        j.reads[k->outs[o] - k->first] += 2;
    join_steps(&j);
}

static void read_steps(compiler *k, const maas_attr *ops)
{
    for (int i = 0; i < k->s->n_steps; i++)
        k->steps[i] = (step){.op = op_named(ops->u.strings[i]),
                             .arg = {k->args[2 * i], k->args[2 * i + 1], -1, -1, -1}};
    join(k);
    for (int i = 0; i < k->s->n_steps; i++)
        for (int a = 0; a < JOINED_MAX_ARGS && !k->steps[i].gone; a++)
            if (k->steps[i].arg[a] >= k->first)
                k->last_read[k->steps[i].arg[a] - k->first] = i;
}

static void compile(compiler *k, const maas_attr *ops)
{
    state *s = k->s;
    read_steps(k, ops);
    for (int i = 0; i < s->n_steps; i++) {
        const step *from = &k->steps[i];
        if (from->gone)
            continue;
        instr *in = &s->code[s->n_code++];
        in->run = ISA(maas_row_fn_of)(from->op);
        if (from->op == &maas_op_Cast)
            in->run = ISA(maas_row_cast_of)(s->in_size[from->arg[0]] == 1 ? MAAS_U8 : MAAS_I32);
        in->joined = from->joined;
        for (int a = 0; a < JOINED_MAX_ARGS; a++) {
            const int64_t arg = from->arg[a] < 0 ? from->arg[0] : from->arg[a];
            in->at[a] = (uint16_t)slot_of(k, arg);
            in->step[a] = arg < s->n_in ? (uint8_t)walks(s, (int)arg) : arg >= k->first;
        }
        k->slot_of[i] = place_result(k, i);
        in->y = (uint16_t)k->slot_of[i];
        for (int a = 0; a < JOINED_MAX_ARGS; a++)
            give_back(k, from->arg[a], i);
    }
    /* outputs that are not where their result is: the same result twice, or a delayed one */
    for (int o = 0; o < s->n_out; o++) {
        const int at = k->slot_of[k->outs[o] - k->first];
        s->delayed[o] = at == s->n_in + s->n_imm + o ? -1 : at;
    }
}

static bool all_floats(const maas_call *c)
{
    for (int i = 0; i < c->n_in; i++)
        if (c->in[i].dtype != MAAS_F32)
            return false;
    return true;
}

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    state *s = maas_calloc(1, sizeof *s);
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "preparing a fused program");
    const maas_attr *ops = maas_node_attr(c->node, "ops"), *imm = maas_node_attr(c->node, "imm");
    uint32_t n;
    s->n_in = c->n_in;
    s->n_out = c->n_out;
    s->n_imm = imm ? (int)imm->n : 0;
    s->n_steps = (int)ops->n;
    for (int i = 0; i < s->n_imm; i++)
        s->imm[i] = imm->u.floats[i];
    for (int o = 0; o < s->n_out; o++)
        s->delayed[o] = -1;
    for (int i = 0; i < s->n_in; i++)
        s->in_size[i] = (uint8_t)maas_dtype_size((maas_dtype)c->in[i].dtype);
    maas_rows_of(&s->rows, &c->out[0], c->in, c->n_in);
    if (all_floats(c))
        maas_rows_tile(&s->rows);
    for (int i = 0; i < s->n_in; i++)
        s->n_tiles += s->rows.tiled[i];
    compiler k = {.s = s,
                  .args = maas_attr_ints(c->node, "args", &n),
                  .outs = maas_attr_ints(c->node, "outs", &n),
                  .first = s->n_in + s->n_imm};
    compile(&k, ops);
    c->state = s;
    c->scratch_bytes = (size_t)(s->n_buffers + s->n_tiles) * BLOCK * sizeof(float) *
                       (size_t)c->n_threads;
    return MAAS_OK;
}

static void run_block(const state *s, float **at, int64_t n)
{
    for (int i = 0; i < s->n_code; i++) {
        const instr *in = &s->code[i];
        const float *a[JOINED_MAX_ARGS];
        for (int k = 0; k < JOINED_MAX_ARGS; k++)
            a[k] = at[in->at[k]];
        if (in->joined)
            in->joined(at[in->y], a, in->step, n);
        else
            in->run(at[in->y], a[0], in->step[0], a[1], in->step[1], n);
    }
    for (int o = 0; o < s->n_out; o++)
        if (s->delayed[o] >= 0)
            memcpy(at[s->n_in + s->n_imm + o], at[s->delayed[o]], (size_t)n * sizeof(float));
}

/* Operands at element i of a part of a row; tiles hold what their operand has for all of it. */
static void point(const maas_call *c, const state *s, const maas_row_walk *w, int64_t i,
                  float *tiles, float **at)
{
    for (int k = 0; k < s->n_in; k++) {
        at[k] = (float *)((char *)c->in[k].data + (w->at[k] + i * s->rows.step[k]) * s->in_size[k]);
        if (!s->rows.tiled[k])
            continue;
        for (int64_t j = 0; i == 0 && j < BLOCK; j += s->rows.tile)
            memcpy(tiles + j, at[k], (size_t)s->rows.tile * sizeof(float));
        at[k] = tiles;
        tiles += BLOCK;
    }
    for (int k = 0; k < s->n_out; k++)
        at[s->n_in + s->n_imm + k] = (float *)c->out[k].data + w->out + i;
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const state *s = c->state;
    float *at[MAAS_FUSED_MAX_IN + 3 * MAAS_FUSED_MAX_STEPS + MAAS_FUSED_MAX_OUT];
    const size_t each = (size_t)(s->n_buffers + s->n_tiles) * BLOCK;
    float *tiles = (float *)c->scratch + (size_t)ithr * each;
    float *buffers = tiles + (size_t)s->n_tiles * BLOCK;
    for (int i = 0; i < s->n_imm; i++)
        at[s->n_in + i] = (float *)&s->imm[i]; /* read only: constants are no results */
    for (int i = 0; i < s->n_buffers; i++)
        at[s->n_in + s->n_imm + s->n_out + i] = buffers + (size_t)i * BLOCK;
    maas_row_walk w;
    for (maas_row_walk_init(&w, &s->rows, BLOCK, ithr, nthr); w.n > 0; maas_row_walk_step(&w))
        for (int64_t i = 0; i < w.n; i += BLOCK) {
            point(c, s, &w, i, tiles, at);
            run_block(s, at, w.n - i < BLOCK ? w.n - i : BLOCK);
        }
    return MAAS_OK;
}

const maas_kernel ISA(maas_kernels_fused)[] = {{.op = &maas_op_FusedElementwise,
                                                .name = "FusedElementwise." ISA_TEXT,
                                                .fits = fits,
                                                .prepare = prepare,
                                                .release = maas_free,
                                                .run = run},
                                               {0}};
