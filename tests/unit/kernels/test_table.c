/*
 * Every kernel of every table against the reference code of its operator, on what the operator says
 * are good examples: with computed and with constant operands, with 1 to 3 threads, in place where
 * the operator allows it, and with guard bytes behind what it may write. A kernel that no example
 * fits is reported by name: nothing would test it.
 */
#include "maas_test.h"

#include <pthread.h>

#include "base/mem.h"
#include "kernels/kernel.h"
#include "ops/build.h"

#define GUARD      64
#define GUARD_BYTE 0xa5

typedef struct fixture {
    maas_graph *g;
    maas_arena arena;
    const maas_node *node;
    maas_call c;
    maas_tensor in[16], out[16], want[16];
    bool is_const[16];
} fixture;

static bool concrete(const maas_type *t)
{
    bool ok = t->tag == MAAS_TYPE_TENSOR && t->rank >= 0;
    for (int i = 0; ok && i < t->rank; i++)
        ok = t->dims[i] >= 0;
    return ok;
}

static void *guarded(fixture *f, size_t n)
{
    unsigned char *p = maas_arena_alloc(&f->arena, n + GUARD + 64);
    memset(p, GUARD_BYTE, n + GUARD + 64);
    return p;
}

static bool guard_holds(const maas_tensor *t)
{
    const unsigned char *p = (const unsigned char *)t->data + maas_tensor_bytes(t);
    for (int i = 0; i < GUARD; i++)
        if (p[i] != GUARD_BYTE)
            return false;
    return true;
}

static maas_tensor tensor_of(fixture *f, const maas_type *t)
{
    maas_tensor x = maas_tensor_of((maas_dtype)t->dtype, t->rank, t->dims, NULL);
    x.data = guarded(f, maas_tensor_bytes(&x));
    return x;
}

static void fill(maas_rng *rng, maas_tensor *t, double lo, double hi)
{
    static const maas_str words[] = {{"a", 1}, {"bc", 2}, {"", 0}, {"none", 4}};
    bool real = maas_dtype_describe((maas_dtype)t->dtype)->kind == MAAS_KIND_FLOAT;
    for (int64_t i = 0; i < maas_n_elems(t); i++) {
        double v = lo + (hi - lo) * maas_rng_unit(rng);
        if (t->dtype == MAAS_STRING) {
            ((maas_str *)t->data)[i] = words[(int64_t)(4 * maas_rng_unit(rng))];
            continue;
        }
        maas_tensor_set(t, i, real ? v : floor(v));
    }
}

/* False: the example has no concrete shapes. */
static bool setup(fixture *f, const maas_op *op, int variant, uint64_t seed)
{
    maas_builder b;
    maas_rng rng;
    *f = (fixture){0};
    maas_arena_init(&f->arena, NULL);
    EXPECT_EQ(maas_graph_create("t", NULL, &f->g, NULL), MAAS_OK);
    maas_builder_init(&b, f->g, NULL);
    maas_rng_seed(&rng, seed);
    maas_example e = {.b = &b, .rng = &rng, .variant = variant};
    op->example(&e);
    EXPECT_MSG(b.status == MAAS_OK, "%s example %d", op->name, variant);
    f->node = &f->g->nodes[f->g->n_nodes - 1];
    if (b.status != MAAS_OK || f->node->op != op || f->node->n_in > 16 || f->node->n_out > 16)
        return false;
    for (int i = 0; i < f->node->n_in; i++) {
        if (f->node->in[i] < 0)
            continue;
        const maas_value *v = maas_graph_at(f->g, f->node->in[i]);
        if (!concrete(&v->type))
            return false;
        f->in[i] = tensor_of(f, &v->type);
        f->is_const[i] = (v->flags & MAAS_VALUE_CONST) != 0;
        for (uint32_t k = 0; k < f->g->n_inputs && k < 8; k++)
            if (f->g->inputs[k] == f->node->in[i])
                fill(&rng, &f->in[i], e.lo[k], e.hi[k]);
        if (f->is_const[i])
            memcpy(f->in[i].data, v->init.data, maas_tensor_bytes(&f->in[i]));
    }
    for (int i = 0; i < f->node->n_out; i++) {
        if (f->node->out[i] < 0)
            continue;
        const maas_type *t = &maas_graph_at(f->g, f->node->out[i])->type;
        if (!concrete(t))
            return false;
        f->out[i] = tensor_of(f, t);
        f->want[i] = tensor_of(f, t);
    }
    f->c = (maas_call){f->node, f->in, f->want, f->node->n_in, f->node->n_out, NULL, NULL, 0, 1};
    return op->reference(&f->c, NULL) == MAAS_OK;
}

static void reset(fixture *f)
{
    maas_graph_destroy(f->g);
    maas_arena_reset(&f->arena);
}

static void same(const char *kernel, const maas_op *op, int variant, int nthr, const char *how,
                 const maas_tensor *got, const maas_tensor *want)
{
    const bool text = want->dtype == MAAS_STRING;
    const double tolerance = want->dtype == MAAS_F64 ? fmin(op->tolerance, 1e-12) : op->tolerance;
    for (int64_t i = 0; i < maas_n_elems(want); i++) {
        double a = text ? 0 : maas_tensor_get(got, i), b = text ? 0 : maas_tensor_get(want, i);
        bool ok = a == b || (a != a && b != b) || fabs(a - b) <= tolerance * (1 + fabs(b));
        if (text) {
            const maas_str s = ((maas_str *)got->data)[i], t = ((maas_str *)want->data)[i];
            ok = s.n == t.n && (!s.n || memcmp(s.p, t.p, s.n) == 0);
        }
        EXPECT_MSG(ok, "%s, example %d, %d threads, %s: element %lld is %.9g, reference %.9g",
                   kernel, variant, nthr, how, (long long)i, a, b);
        if (!ok)
            return;
    }
    EXPECT_MSG(guard_holds(got), "%s, example %d: wrote past the end", kernel, variant);
}

typedef struct member {
    const maas_kernel *k;
    const maas_call *c;
    maas_team *team;
    int ithr, nthr;
    maas_status st;
} member;

static void *run_member(void *p)
{
    member *m = p;
    maas_team_join(m->team);
    m->st = m->k->run(m->c, m->ithr, m->nthr, NULL);
    maas_team_join(NULL);
    return NULL;
}

static void run_threads(const maas_kernel *k, const maas_call *c, int nthr)
{
    maas_team team = {.n = nthr};
    pthread_t id[4];
    member m[4] = {{0}};
    for (int i = 0; i < nthr; i++) {
        m[i] = (member){k, c, &team, i, nthr, MAAS_OK};
        if (i)
            EXPECT_EQ(pthread_create(&id[i], NULL, run_member, &m[i]), 0);
    }
    run_member(&m[0]);
    for (int i = 1; i < nthr; i++)
        pthread_join(id[i], NULL);
    for (int i = 0; i < nthr; i++)
        EXPECT_EQ(m[i].st, MAAS_OK);
}

static bool overwritable(const maas_op *op, const fixture *f)
{
    return (op->flags & MAAS_OP_INPLACE) && f->in[0].dtype == f->out[0].dtype &&
           maas_n_elems(&f->in[0]) == maas_n_elems(&f->out[0]);
}

/* One way to run it: all operands known at plan time or only the constants; in place or not. */
static bool try_kernel(const maas_kernel *k, fixture *f, int variant, int nthr, bool all_const,
                       bool in_place)
{
    const maas_op *op = f->node->op;
    maas_tensor in[16], out[16];
    memcpy(in, f->in, sizeof in);
    memcpy(out, f->out, sizeof out);
    for (int i = 0; i < f->c.n_in; i++)
        if (!all_const && !f->is_const[i])
            in[i].data = NULL;
    for (int i = 0; i < f->c.n_out; i++)
        out[i].data = NULL;
    maas_call c = {f->node, in, out, f->c.n_in, f->c.n_out, NULL, NULL, 0, nthr};
    if (!k->fits(&c, maas_cpu_get()))
        return false;
    EXPECT_EQ(k->prepare ? k->prepare(&c, maas_cpu_get(), NULL) : MAAS_OK, MAAS_OK);
    memcpy(in, f->in, sizeof in);
    memcpy(out, f->out, sizeof out);
    c.scratch = maas_aligned(64, c.scratch_bytes + 64);
    if (in_place) {
        memcpy(out[0].data, in[0].data, maas_tensor_bytes(&in[0]));
        in[0].data = out[0].data;
    }
    run_threads(k, &c, k->flags & (MAAS_KERNEL_SERIAL | MAAS_KERNEL_WHOLE) ? 1 : nthr);
    for (int i = 0; i < c.n_out; i++)
        if (out[i].dtype != MAAS_DT_NONE)
            same(k->name, op, variant, nthr,
                 in_place    ? "in place"
                 : all_const ? "constants"
                             : "computed",
                 &out[i], &f->want[i]);
    for (int i = 0; i < c.n_in; i++)
        if (in[i].data && !(in_place && i == 0))
            EXPECT_MSG(guard_holds(&in[i]), "%s wrote past an input", k->name);
    if (k->release && c.state)
        k->release(c.state);
    maas_free(c.scratch);
    return true;
}

static void every_kernel_agrees_with_its_reference(void)
{
    for (size_t t = 0; maas_kernel_tables[t]; t++) {
        if (!maas_kernel_table_usable(t, maas_cpu_get()))
            continue;
        for (const maas_kernel *k = maas_kernel_tables[t]; k->op; k++) {
            int n_fit = 0;
            for (int v = 0; v < k->op->n_examples; v++) {
                fixture f;
                if (setup(&f, k->op, v, 1000 + (uint64_t)v))
                    for (int nthr = 1; nthr <= 3; nthr++) {
                        n_fit += try_kernel(k, &f, v, nthr, false, false);
                        try_kernel(k, &f, v, nthr, true, false);
                        if (overwritable(k->op, &f))
                            try_kernel(k, &f, v, nthr, false, true);
                    }
                reset(&f);
            }
            EXPECT_MSG(n_fit > 0, "no example of %s fits kernel %s: nothing tests it", k->op->name,
                       k->name);
        }
    }
    EXPECT_EQ(maas_mem_live(), 0);
}

/* Infinities, NaN, zeros, subnormals and the ends of the range of exp: where polynomials go wrong.
 */
static const double odd_values[] = {
    0.0,   -0.0,   INFINITY, -INFINITY, NAN,     1e-40, -1e-40, 1e-30,   88.7,    88.8,     -87.4,
    -95,   -103.9, -110,     3.4e38,    -3.4e38, 0.624, 0.626,  1,       -1,      9.2,      0.499,
    0.501, 709.7,  709.8,    -708.5,    -745.1,  -746,  1e-310, -1e-310, 1.7e308, -1.7e308, 1e-300};

static void check_odd_values(const maas_kernel *k, maas_dtype t, double rtol, double least)
{
    enum { N = MAAS_COUNT(odd_values) };
    double x[N], got[N], want[N];
    maas_tensor in = maas_tensor_of(t, 1, (const int64_t[]){N}, x), y = in, ref = in;
    y.data = got;
    ref.data = want;
    for (int i = 0; i < N; i++)
        maas_tensor_set(&in, i, odd_values[i]);
    const maas_node node = {.op = k->op, .name = "", .n_in = 1, .n_out = 1};
    maas_call c = {.node = &node, .in = &in, .out = &ref, .n_in = 1, .n_out = 1, .n_threads = 1};
    if (!k->fits(&c, maas_cpu_get()))
        return;
    EXPECT_EQ(k->op->reference(&c, NULL), MAAS_OK);
    c.out = &y;
    if (k->prepare)
        EXPECT_EQ(k->prepare(&c, maas_cpu_get(), NULL), MAAS_OK);
    EXPECT_EQ(k->run(&c, 0, 1, NULL), MAAS_OK);
    if (k->release)
        k->release(c.state);
    for (int i = 0; i < N; i++) {
        const double a = maas_tensor_get(&y, i), b = maas_tensor_get(&ref, i);
        EXPECT_MSG(a == b || (a != a && b != b) || fabs(a - b) <= rtol * fabs(b) + least,
                   "%s(%g) is %.17g, reference %.17g", k->name, maas_tensor_get(&in, i), a, b);
    }
}

static void special_values_come_out_as_the_reference_says(void)
{
    for (size_t t = 0; maas_kernel_tables[t]; t++)
        for (const maas_kernel *k = maas_kernel_tables[t];
             maas_kernel_table_usable(t, maas_cpu_get()) && k->op; k++) {
            const maas_op *op = k->op;
            if (!(op->flags & MAAS_OP_ELEMENTWISE) || op->n_in != 1 || !op->scalar)
                continue;
            check_odd_values(k, MAAS_F32, 4e-7, 1.2e-38);
            check_odd_values(k, MAAS_F64, 1e-15, 2.3e-308);
        }
}

/* Rows are complete, and a name says operator and variant. */
static void every_row_is_complete(void)
{
    size_t n = 0;
    for (size_t t = 0; maas_kernel_tables[t]; t++)
        for (const maas_kernel *k = maas_kernel_tables[t]; k->op; k++, n++) {
            size_t len = strlen(k->op->name);
            EXPECT_MSG(k->name && strncmp(k->name, k->op->name, len) == 0 && k->name[len] == '.',
                       "%s", k->name ? k->name : "(no name)");
            EXPECT_MSG(k->fits && k->run, "%s lacks a function", k->name);
            EXPECT_MSG(!k->release == !k->prepare, "%s: prepare and release go together", k->name);
        }
    EXPECT(n > 0);
}

/* An allocation that fails while preparing is a status, and leaves nothing behind. */
static void preparing_survives_lack_of_memory(void)
{
    for (size_t t = 0; maas_kernel_tables[t]; t++) {
        if (!maas_kernel_table_usable(t, maas_cpu_get()))
            continue;
        for (const maas_kernel *k = maas_kernel_tables[t]; k->op; k++) {
            fixture f;
            bool usable = setup(&f, k->op, 0, 1) && k->prepare && k->fits(&f.c, maas_cpu_get());
            long live = maas_mem_live();
            for (long n = 1; usable && n < 50; n++) {
                f.c.state = NULL;
                maas_mem_fail_at(n);
                maas_status st = k->prepare(&f.c, maas_cpu_get(), NULL);
                maas_mem_fail_at(0);
                if (st == MAAS_OK) {
                    if (f.c.state)
                        k->release(f.c.state);
                    EXPECT_EQ(maas_mem_live(), live);
                    break;
                }
                EXPECT_EQ(st, MAAS_E_NOMEM);
                EXPECT_EQ(maas_mem_live(), live);
            }
            reset(&f);
        }
    }
}

static const mt_case cases[] = {
    MT_CASE(every_row_is_complete),
    MT_CASE(every_kernel_agrees_with_its_reference),
    MT_CASE(special_values_come_out_as_the_reference_says),
    MT_CASE(preparing_survives_lack_of_memory),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
