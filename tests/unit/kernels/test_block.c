/* BlockMatMul over bytes: X is rounded as the kernel rounds it, and the sums must then be those of
 * double precision, for every packed type, any number of rows, whole and partial tiles. */
#include "maas_test.h"

#include "base/mem.h"
#include "base/sys.h"
#include "kernels/block_pack.h"
#include "ops/build.h"

enum { N = 37, K = 512, MOST = 17 };

/* Where the halves of a block lie: random bits there would be infinite scales. */
static const struct {
    maas_quant_id id;
    int half[2];
} types[] = {{MAAS_Q_Q4_0, {0, 0}}, {MAAS_Q_Q4_1, {0, 2}},    {MAAS_Q_Q5_0, {0, 0}},
             {MAAS_Q_Q5_1, {0, 2}}, {MAAS_Q_Q8_0, {0, 0}},    {MAAS_Q_Q4_K, {0, 2}},
             {MAAS_Q_Q5_K, {0, 2}}, {MAAS_Q_Q6_K, {208, 208}}};

static void random_blocks(const maas_quant *q, const int half[2], uint8_t *b, size_t n,
                          maas_rng *rng)
{
    for (size_t i = 0; i < n; i++)
        b[i] = (uint8_t)maas_rng_u64(rng);
    for (size_t at = 0; at < n; at += q->block_bytes)
        for (int k = 0; k < 2; k++) {
            const uint16_t h = maas_f32_to_f16(0.01f * maas_rng_normal(rng));
            memcpy(b + at + half[k], &h, sizeof h);
        }
}

static void round_row(const float *x, double *out)
{
    for (int b = 0; b < K; b += 32) {
        float top = 0;
        for (int i = b; i < b + 32; i++)
            top = fmaxf(top, fabsf(x[i]));
        for (int i = b; i < b + 32; i++)
            out[i] = top > 0 ? (double)(top / 127) * (double)rintf(x[i] * (127 / top)) : 0;
    }
}

static const maas_kernel *bytes_kernel(const maas_call *c)
{
    const maas_kernel *k = maas_kernel_pick(c, maas_cpu_get());
    return k && strcmp(k->name, "BlockMatMul.vnni") == 0 ? k : NULL;
}

static void one_type(size_t which, int rows, maas_rng *rng)
{
    static float x[MOST * K], y[MOST * N], w[K], bias[N];
    static double xr[MOST * K];
    static uint8_t blocks[N * K * 2];
    const maas_quant *q = maas_quant_of(types[which].id);
    const int64_t row_bytes = K / q->block * q->block_bytes;
    random_blocks(q, types[which].half, blocks, (size_t)(N * row_bytes), rng);
    for (int i = 0; i < rows * K; i++)
        x[i] = i / 32 % 7 == 3 ? 0 : maas_rng_normal(rng); /* some blocks are zeros */
    for (int i = 0; i < N; i++)
        bias[i] = maas_rng_normal(rng);

    maas_graph *g = NULL;
    maas_builder b;
    maas_err err = {0};
    EXPECT_EQ(maas_graph_create("t", NULL, &g, &err), MAAS_OK);
    maas_builder_init(&b, g, &err);
    const maas_attr type = MAAS_A_INT("type", types[which].id);
    const maas_tensor in[] = {maas_tensor_of(MAAS_F32, 2, (const int64_t[]){rows, K}, x),
                              maas_tensor_of(MAAS_U8, 2, (const int64_t[]){N, row_bytes}, blocks),
                              maas_tensor_of(MAAS_F32, 1, (const int64_t[]){N}, bias)};
    maas_tensor out = maas_tensor_of(MAAS_F32, 2, (const int64_t[]){rows, N}, y);
    maas_vid v[3];
    for (int i = 0; i < 3; i++)
        v[i] = maas_b_const(&b, NULL, &in[i]);
    maas_b_node(&b, "BlockMatMul", &type, 1, v, 3, NULL, 1);
    maas_call c = {
        .node = &g->nodes[0], .in = in, .out = &out, .n_in = 3, .n_out = 1, .n_threads = 1};
    const maas_kernel *k = bytes_kernel(&c);
    if (k) {
        EXPECT_EQ(k->prepare(&c, maas_cpu_get(), &err), MAAS_OK);
        c.scratch = maas_aligned(64, c.scratch_bytes);
        EXPECT_EQ(k->run(&c, 0, 1, &err), MAAS_OK);
        for (int r = 0; r < rows; r++)
            round_row(x + r * K, xr + r * K);
        for (int n = 0; n < N; n++) {
            q->to_f32(blocks + n * row_bytes, w, K);
            for (int r = 0; r < rows; r++) {
                double sum = (double)bias[n], size = fabs(sum);
                for (int i = 0; i < K; i++) {
                    sum += xr[r * K + i] * (double)w[i];
                    size += fabs(xr[r * K + i] * (double)w[i]);
                }
                EXPECT_MSG(fabs(sum - (double)y[r * N + n]) <= 2e-6 * size,
                           "%s, %d rows: [%d][%d] is %.9g, expected %.9g", q->name, rows, r, n,
                           (double)y[r * N + n], sum);
            }
        }
        k->release(c.state);
        maas_free(c.scratch);
    }
    maas_graph_destroy(g);
}

static void sums_of_bytes_are_exact(void)
{
    static const int rows[] = {1, 2, 3, 8, MOST};
    maas_rng rng;
    maas_rng_seed(&rng, 4);
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        EXPECT(maas_block_form_of(types[t].id) != NULL);
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
            one_type(t, rows[r], &rng);
    }
    if (!maas_cpu_get()->avx512_vnni)
        printf("# this processor has no VNNI: products of bytes were not looked at\n");
    EXPECT_EQ(maas_mem_live(), 0);
}

static const mt_case cases[] = {MT_CASE(sums_of_bytes_are_exact)};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
