/* Blocks: what is written is read back as near as the bits allow; packed scales; sizes. That the
 * formulas are ggml's is checked against its own package in tests/client/test_gguf.py. */
#include "maas_test.h"

#include "tensor/quant.h"

static void writing_is_near(void)
{
    static float x[512], y[512];
    static uint8_t blocks[4096];
    /* half a step of the codes, of numbers up to about 3 */
    static const struct {
        maas_quant_id id;
        double tolerance;
    } rows[] = {{MAAS_Q_F32, 0},     {MAAS_Q_F16, 2e-3},  {MAAS_Q_BF16, 2e-2}, {MAAS_Q_Q4_0, 0.45},
                {MAAS_Q_Q4_1, 0.25}, {MAAS_Q_Q5_0, 0.22}, {MAAS_Q_Q5_1, 0.12}, {MAAS_Q_Q8_0, 0.02}};
    for (int i = 0; i < 512; i++)
        x[i] = 3 * (float)sin(i * 0.37 + i * i * 0.01);
    size_t n_written = 0;
    for (size_t i = 0; i < maas_n_quants; i++)
        n_written += maas_quants[i].from_f32 != NULL;
    EXPECT_EQ(n_written, sizeof rows / sizeof *rows);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const maas_quant *q = maas_quant_of(rows[i].id);
        q->from_f32(x, blocks, 512);
        q->to_f32(blocks, y, 512);
        for (int k = 0; k < 512; k++)
            EXPECT_MSG(fabs((double)(x[k] - y[k])) <= rows[i].tolerance, "%s: %g became %g",
                       q->name, (double)x[k], (double)y[k]);
    }
}

static void names_and_numbers_find_rows(void)
{
    for (size_t i = 0; i < maas_n_quants; i++) {
        EXPECT(maas_quant_of(maas_quants[i].id) == &maas_quants[i]);
        EXPECT(maas_quant_named(maas_quants[i].name) == &maas_quants[i]);
    }
    EXPECT(!maas_quant_of(4711) && !maas_quant_named("Q9"));
}

static void sizes_cannot_overflow(void)
{
    const maas_quant *q = maas_quant_of(MAAS_Q_Q4_K);
    size_t n = 0;
    maas_err err = {0};
    EXPECT_EQ(maas_quant_bytes(q, 3, 512, &n, &err), MAAS_OK);
    EXPECT_EQ(n, 3 * 2 * 144);
    EXPECT_EQ(maas_quant_bytes(q, 3, 500, &n, &err), MAAS_E_INVALID);
    err = (maas_err){0};
    EXPECT_EQ(maas_quant_bytes(q, INT64_MAX, 1 << 20, &n, &err), MAAS_E_TOO_LARGE);
    EXPECT_EQ(maas_quant_bytes(q, -1, 256, &n, &err), MAAS_E_INVALID);
}

static void empty_blocks_are_zeros(void)
{
    static const uint8_t blocks[256];
    float x[256];
    for (size_t i = 0; i < maas_n_quants; i++) {
        maas_quants[i].to_f32(blocks, x, maas_quants[i].block);
        for (uint32_t k = 0; k < maas_quants[i].block; k++)
            EXPECT_MSG(fabs((double)x[k]) < 1e-37, "%s", maas_quants[i].name);
    }
}

/* Any bytes are numbers, and nothing past a block is read; parts say what the floats are, and only
 * numbers that their list has. */
static void one_block(const maas_quant *q, uint8_t *b)
{
    float x[256];
    const maas_quant_parts *p = maas_quant_parts_of(q->id);
    q->to_f32(b, x, q->block);
    for (uint32_t k = 0; p && k < q->block / 32; k++) {
        maas_quant_part part;
        p->part(b, (int)k, &part);
        for (int i = 0; i < 32; i++) {
            const float v = part.d * p->unit * part.scale[i / 16] * part.value[i];
            EXPECT_MSG(v == x[32 * k + i] || v != v, "%s: element %d of part %u", q->name, i, k);
            EXPECT_MSG(!p->values || memchr(p->values, (uint8_t)part.value[i], 16), "%s: %d",
                       q->name, part.value[i]);
        }
    }
}

static void any_bytes_are_numbers(void)
{
    uint32_t seed = 1;
    for (size_t i = 0; i < maas_n_quants; i++) {
        const maas_quant *q = &maas_quants[i];
        uint8_t *b = malloc(q->block_bytes);
        for (int round = 0; round < 300; round++) {
            for (uint32_t k = 0; k < q->block_bytes; k++) {
                seed = seed * 1664525 + 1013904223;
                b[k] = (uint8_t)(round == 0 ? 0 : round == 1 ? 255 : seed >> 24);
            }
            one_block(q, b);
        }
        free(b);
    }
}

static const mt_case cases[] = {
    MT_CASE(any_bytes_are_numbers),       MT_CASE(writing_is_near),
    MT_CASE(names_and_numbers_find_rows), MT_CASE(sizes_cannot_overflow),
    MT_CASE(empty_blocks_are_zeros),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
