/* BlockMatMul over bytes: X is rounded as the kernel rounds it, and the sums must then be those of
 * double precision, for every packed type, any number of rows, whole and partial tiles. */
#include "maas_test.h"

#include "base/mem.h"
#include "base/sys.h"
#include "kernels/block_pack.h"
#include "ops/build.h"

enum { N = 37, K = 512, MOST = 37 };

/* Where the halves of a block lie: random bits there would be infinite scales. IQ1_M has one in the
 * upper bits of four bytes, MXFP4 a power of two. */
enum { NOWHERE = -1, MACHINES = 5 };
static const struct {
    maas_quant_id id;
    int half[2];
} types[] = {
    {MAAS_Q_Q4_0, {0, 0}},     {MAAS_Q_Q4_1, {0, 2}},
    {MAAS_Q_Q5_0, {0, 0}},     {MAAS_Q_Q5_1, {0, 2}},
    {MAAS_Q_Q8_0, {0, 0}},     {MAAS_Q_Q2_K, {80, 82}},
    {MAAS_Q_Q3_K, {108, 108}}, {MAAS_Q_Q4_K, {0, 2}},
    {MAAS_Q_Q5_K, {0, 2}},     {MAAS_Q_Q6_K, {208, 208}},
    {MAAS_Q_IQ1_S, {0, 0}},    {MAAS_Q_IQ1_M, {NOWHERE, NOWHERE}},
    {MAAS_Q_IQ2_XXS, {0, 0}},  {MAAS_Q_IQ2_XS, {0, 0}},
    {MAAS_Q_IQ2_S, {0, 0}},    {MAAS_Q_IQ3_XXS, {0, 0}},
    {MAAS_Q_IQ3_S, {0, 0}},    {MAAS_Q_IQ4_NL, {0, 0}},
    {MAAS_Q_IQ4_XS, {0, 0}},   {MAAS_Q_TQ1_0, {52, 52}},
    {MAAS_Q_TQ2_0, {64, 64}},  {MAAS_Q_MXFP4, {NOWHERE, NOWHERE}},
};

/* Gives a block scales of the usual size; its codes stay. */
static void put_scales(const maas_quant *q, const int half[2], uint8_t *b, maas_rng *rng)
{
    uint16_t h = 0;
    for (int k = 0; k < 2; k++) {
        h = maas_f32_to_f16(0.01f * maas_rng_normal(rng));
        if (half[k] != NOWHERE)
            memcpy(b + half[k], &h, sizeof h);
    }
    for (int m = 0; q->id == MAAS_Q_IQ1_M && m < 4; m++)
        b[49 + 2 * m] = (uint8_t)((b[49 + 2 * m] & 15) | (h >> 4 * m & 15) << 4);
    if (q->id == MAAS_Q_MXFP4)
        b[0] = (uint8_t)(100 + maas_rng_u64(rng) % 50);
}

static void random_blocks(const maas_quant *q, const int half[2], uint8_t *b, size_t n,
                          maas_rng *rng)
{
    for (size_t i = 0; i < n; i++)
        b[i] = (uint8_t)maas_rng_u64(rng);
    for (size_t at = 0; at < n; at += q->block_bytes)
        put_scales(q, half, b + at, rng);
}

static void round_row(const float *x, double *out)
{
    for (int b = 0; b < K; b += 32) {
        float top = 0;
        for (int i = b; i < b + 32; i++)
            top = fmaxf(top, fabsf(x[i]));
        for (int i = b; i < b + 32; i++)
            out[i] = top >= 0x1p-100f ? (double)(top / 127) * (double)rintf(x[i] * (127 / top)) : 0;
    }
}

typedef struct problem {
    const maas_quant *q;
    int rows;
    int64_t row_bytes;
    float x[MOST * K], bias[N];
    uint8_t blocks[N * K * 2];
    double want[MOST * N], size[MOST * N]; /* sums of rounded numbers; of their magnitudes */
} problem;

static void exact_of(problem *p)
{
    static double xr[MOST * K];
    static float w[K];
    for (int r = 0; r < p->rows; r++)
        round_row(p->x + r * K, xr + r * K);
    for (int n = 0; n < N; n++) {
        p->q->to_f32(p->blocks + n * p->row_bytes, w, K);
        for (int r = 0; r < p->rows; r++) {
            double sum = (double)p->bias[n], size = fabs(sum);
            for (int i = 0; i < K; i++) {
                sum += xr[r * K + i] * (double)w[i];
                size += fabs(xr[r * K + i] * (double)w[i]);
            }
            p->want[r * N + n] = sum;
            p->size[r * N + n] = size;
        }
    }
}

static void problem_of(size_t which, int rows, maas_rng *rng, problem *p)
{
    p->q = maas_quant_of(types[which].id);
    p->rows = rows;
    p->row_bytes = K / p->q->block * p->q->block_bytes;
    random_blocks(p->q, types[which].half, p->blocks, (size_t)(N * p->row_bytes), rng);
    for (int i = 0; i < rows * K; i++)
        p->x[i] = i / 32 % 7 == 3 ? 0 : maas_rng_normal(rng); /* some blocks are zeros */
    for (int n = 0; n < N; n++)
        p->bias[n] = maas_rng_normal(rng);
    exact_of(p);
}

/* A node of `op` with these inputs by one kernel, on one thread. */
static void run_op(const maas_kernel *k, const maas_cpu *cpu, const char *op, const maas_quant *q,
                   const maas_tensor in[3], maas_tensor out)
{
    maas_graph *g = NULL;
    maas_builder b;
    maas_err err = {0};
    EXPECT_EQ(maas_graph_create("t", NULL, &g, &err), MAAS_OK);
    maas_builder_init(&b, g, &err);
    const maas_attr type = MAAS_A_INT("type", q->id);
    maas_vid v[3];
    for (int i = 0; i < 3; i++)
        v[i] = maas_b_const(&b, NULL, &in[i]);
    maas_b_node(&b, op, &type, 1, v, 3, NULL, 1);
    maas_call c = {
        .node = &g->nodes[0], .in = in, .out = &out, .n_in = 3, .n_out = 1, .n_threads = 1};
    EXPECT_MSG(k->fits(&c, cpu), "%s does not take %s", k->name, q->name);
    EXPECT_EQ(k->prepare(&c, cpu, &err), MAAS_OK);
    c.scratch = maas_aligned(64, c.scratch_bytes);
    EXPECT_EQ(k->run(&c, 0, 1, &err), MAAS_OK);
    k->release(c.state);
    maas_free(c.scratch);
    maas_graph_destroy(g);
}

/* `rows` rows of X from `first` on by one kernel. */
static void run_kernel(const maas_kernel *k, const maas_cpu *cpu, problem *p, int first, int rows,
                       float *y)
{
    const maas_tensor in[] = {
        maas_tensor_of(MAAS_F32, 2, (const int64_t[]){rows, K}, p->x + first * K),
        maas_tensor_of(MAAS_U8, 2, (const int64_t[]){N, p->row_bytes}, p->blocks),
        maas_tensor_of(MAAS_F32, 1, (const int64_t[]){N}, p->bias)};
    run_op(k, cpu, "BlockMatMul", p->q, in,
           maas_tensor_of(MAAS_F32, 2, (const int64_t[]){rows, N}, y));
}

static void near_exact(const char *name, const problem *p, const float *y)
{
    for (int i = 0; i < p->rows * N; i++)
        EXPECT_MSG(fabs(p->want[i] - (double)y[i]) <= 2e-6 * p->size[i],
                   "%s, %s, %d rows: [%d][%d] is %.9g, expected %.9g", name, p->q->name, p->rows,
                   i / N, i % N, (double)y[i], p->want[i]);
}

/* What machines there are, of which this one can play those with less: the same bits on all. */
static size_t machines(maas_cpu out[MACHINES])
{
    size_t n = 0;
    const maas_cpu *here = maas_cpu_get();
    for (int i = 0; i < MACHINES; i++) {
        maas_cpu c = *here;
        c.amx_int8 &= i < 1;
        c.avx512_vnni &= i < 2;
        c.avx512 &= i < 3;
        c.avx_vnni &= i < 4;
        c.i8mm &= i < 1;
        c.dotprod &= i < 2;
        out[n] = c;
        n += i == 0 || (i == 1 && here->amx_int8) || (i == 2 && here->avx512_vnni) ||
             (i == 3 && here->avx512) || (i == 4 && here->avx_vnni) || (i == 1 && here->i8mm) ||
             (i == 2 && here->dotprod);
    }
    return n;
}

static const maas_kernel *kernel_named(const char *name, const maas_cpu *cpu)
{
    for (size_t t = 0; maas_kernel_tables[t]; t++)
        for (const maas_kernel *k = maas_kernel_tables[t];
             maas_kernel_table_usable(t, cpu) && k->op; k++)
            if (strncmp(k->name, name, strlen(name)) == 0)
                return k;
    return NULL;
}

static const maas_kernel *bytes_kernel(const maas_cpu *cpu)
{
    return kernel_named("BlockMatMul.bytes.", cpu);
}

static void one_type(size_t which, int rows, maas_rng *rng)
{
    static problem p;
    static float first[MOST * N], y[MOST * N];
    maas_cpu cpus[MACHINES];
    const size_t n = machines(cpus);
    problem_of(which, rows, rng, &p);
    for (size_t i = 0; i < n; i++) {
        const maas_kernel *k = bytes_kernel(&cpus[i]);
        if (!k)
            continue;
        run_kernel(k, &cpus[i], &p, 0, rows, y);
        if (i == 0) {
            near_exact(k->name, &p, y);
            memcpy(first, y, sizeof first);
        }
        EXPECT_MSG(memcmp(first, y, (size_t)(rows * N) * sizeof *y) == 0,
                   "%s, %s, %d rows: machine %zu gives other bits", k->name, p.q->name, rows, i);
        for (int r = 0; r < rows; r++) { /* a row alone is what it is in company */
            run_kernel(k, &cpus[i], &p, r, 1, y);
            EXPECT_MSG(memcmp(first + r * N, y, N * sizeof *y) == 0, "%s, %s: row %d of %d",
                       k->name, p.q->name, r, rows);
        }
    }
}

static void sums_of_bytes_are_exact(void)
{
    static const int rows[] = {1, 2, 3, 8, 13, 16, MOST};
    maas_rng rng;
    maas_rng_seed(&rng, 4);
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        maas_block_form form;
        EXPECT(maas_block_form_of(types[t].id, &form));
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
            one_type(t, rows[r], &rng);
    }
    if (!bytes_kernel(maas_cpu_get()))
        printf(
            "# this processor has neither AVX2 nor NEON: products of bytes were not looked at\n");
    EXPECT_EQ(maas_mem_live(), 0);
}

/* A type is tested above, or is floats. */
static void every_type_of_codes_is_packed(void)
{
    size_t n = 0;
    maas_block_form form;
    for (size_t i = 0; i < maas_n_quants; i++) {
        n += maas_quants[i].block == 1;
        EXPECT_MSG(maas_quants[i].block == 1 || maas_block_form_of(maas_quants[i].id, &form), "%s",
                   maas_quants[i].name);
    }
    EXPECT_EQ(n + sizeof types / sizeof *types, maas_n_quants);
}

/* Codes, scales and X at the ends of their ranges: nothing may saturate on the way. */
static void ends_of_ranges_are_exact(void)
{
    static problem p;
    static float y[MOST * N];
    maas_cpu cpus[MACHINES];
    const size_t n = machines(cpus);
    maas_rng rng;
    maas_rng_seed(&rng, 5);
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        for (int fill = 0; fill < 256; fill += 17)
            for (int sign = -1; sign <= 1; sign += 2) {
                problem_of(t, 4, &rng, &p);
                memset(p.blocks, fill == 136 ? 128 : fill, (size_t)(N * p.row_bytes));
                for (int64_t at = 0; at < N * p.row_bytes; at += p.q->block_bytes)
                    put_scales(p.q, types[t].half, p.blocks + at, &rng);
                for (int i = 0; i < 4 * K; i++)
                    p.x[i] = (float)sign * (i % 2 && i / K ? -1.0f : 1.0f);
                exact_of(&p);
                for (size_t i = 0; i < n; i++) {
                    const maas_kernel *k = bytes_kernel(&cpus[i]);
                    if (!k)
                        continue;
                    run_kernel(k, &cpus[i], &p, 0, 4, y);
                    near_exact(k->name, &p, y);
                }
            }
}

/* Numbers that are not finite come out as no numbers, in their rows alone. */
static void what_is_not_finite_is_seen(void)
{
    static problem p;
    static float y[MOST * N];
    maas_rng rng;
    maas_rng_seed(&rng, 6);
    maas_cpu cpus[MACHINES];
    const size_t n = machines(cpus);
    problem_of(0, 3, &rng, &p);
    p.x[5] = NAN;
    p.x[K + 40] = -INFINITY;
    for (int i = 0; i < 32; i++)
        p.x[2 * K + i] = 1e-39f; /* as good as nothing */
    exact_of(&p);
    for (size_t i = 0; i < n; i++) {
        const maas_kernel *k = bytes_kernel(&cpus[i]);
        if (!k)
            continue;
        run_kernel(k, &cpus[i], &p, 0, 3, y);
        for (int j = 0; j < N; j++) {
            EXPECT(isnan(y[j]) && isnan(y[N + j]));
            EXPECT(fabs(p.want[2 * N + j] - (double)y[2 * N + j]) <= 2e-6 * p.size[2 * N + j]);
        }
    }
}

/* ---- experts ---- */

enum { EXPERTS = 2, EACH = MAAS_BLOCK_TILE, SLOTS = 2 }; /* of the first rows of W */

/* Every slot's row, by the kernel of experts. */
static void run_experts(const maas_kernel *k, const maas_cpu *cpu, problem *p, const int64_t *ids,
                        float *y)
{
    const maas_tensor in[] = {
        maas_tensor_of(MAAS_F32, 3, (const int64_t[]){p->rows, 1, K}, p->x),
        maas_tensor_of(MAAS_U8, 3, (const int64_t[]){EXPERTS, EACH, p->row_bytes}, p->blocks),
        maas_tensor_of(MAAS_I64, 2, (const int64_t[]){p->rows, SLOTS}, (void *)(uintptr_t)ids)};
    run_op(k, cpu, "ExpertMatMul", p->q, in,
           maas_tensor_of(MAAS_F32, 3, (const int64_t[]){p->rows, SLOTS, EACH}, y));
}

static void experts_multiply_as_one_matrix_does(void)
{
    static problem p;
    static float whole[MOST * N], y[MOST * SLOTS * EACH];
    static const int rows[] = {1, 5, MOST};
    maas_cpu cpus[MACHINES];
    maas_rng rng;
    const size_t n_cpus = machines(cpus);
    maas_rng_seed(&rng, 11);
    if (!bytes_kernel(&cpus[0]))
        return; /* the case above says so */
    for (size_t t = 0; t < MAAS_COUNT(types); t++)
        for (size_t i = 0; i < MAAS_COUNT(rows) * n_cpus; i++) {
            const maas_cpu *cpu = &cpus[i % n_cpus];
            int64_t ids[MOST * SLOTS];
            problem_of(t, rows[i / n_cpus], &rng, &p);
            memset(p.bias, 0, sizeof p.bias);
            for (int k = 0; k < p.rows * SLOTS; k++)
                ids[k] = (int64_t)(maas_rng_u64(&rng) % EXPERTS);
            run_kernel(bytes_kernel(cpu), cpu, &p, 0, p.rows, whole);
            run_experts(kernel_named("ExpertMatMul.bytes.", cpu), cpu, &p, ids, y);
            for (int k = 0; k < p.rows * SLOTS; k++)
                EXPECT_MSG(memcmp(y + k * EACH, whole + k / SLOTS * N + ids[k] * EACH,
                                  EACH * sizeof *y) == 0,
                           "%s, %d rows: slot %d", p.q->name, p.rows, k);
        }
}

static const mt_case cases[] = {
    MT_CASE(sums_of_bytes_are_exact),
    MT_CASE(every_type_of_codes_is_packed),
    MT_CASE(ends_of_ranges_are_exact),
    MT_CASE(what_is_not_finite_is_seen),
    MT_CASE(experts_multiply_as_one_matrix_does),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
