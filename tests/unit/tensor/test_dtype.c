#include "maas_test.h"

#include "tensor/dtype.h"

static void every_row_is_found_by_its_names(void)
{
    int n = 0;
    for (int t = 0; t < 40; t++) {
        const maas_dtype_info *d = maas_dtype_describe((maas_dtype)t);
        if (!d->bits)
            continue;
        n++;
        EXPECT_EQ(maas_dtype_of_oip(d->oip, strlen(d->oip)),
                  maas_dtype_in((maas_dtype)t, MAAS_DTS_PLAIN) ? t : MAAS_DT_NONE);
        EXPECT_EQ(maas_dtype_of_name(d->onnx), t);
        EXPECT(maas_dtype_widens((maas_dtype)t, (maas_dtype)t));
    }
    EXPECT_EQ(n, 26);
    EXPECT_EQ(maas_dtype_of_oip("FP31", 4), MAAS_DT_NONE);
}

static void every_f16_survives_the_way_through_f32(void)
{
    for (uint32_t h = 0; h < 65536; h++) {
        float f = maas_f16_to_f32((uint16_t)h);
        if (isnan(f))
            EXPECT(isnan(maas_f16_to_f32(maas_f32_to_f16(f))));
        else
            EXPECT_EQ(maas_f32_to_f16(f), h);
    }
    EXPECT_EQ(maas_f32_to_f16(65519.0f), 0x7bff);
    EXPECT_EQ(maas_f32_to_f16(65520.0f), 0x7c00);
    EXPECT_EQ(maas_f32_to_f16(0x1p-25f), 0);   /* a tie: to even */
    EXPECT_EQ(maas_f32_to_f16(0x1.8p-24f), 2); /* a tie: to even */
    EXPECT_EQ(maas_f32_to_f16(-0.0f), 0x8000);
}

static void every_bf16_survives_the_way_through_f32(void)
{
    for (uint32_t h = 0; h < 65536; h++) {
        float f = maas_bf16_to_f32((uint16_t)h);
        if (!isnan(f))
            EXPECT_EQ(maas_f32_to_bf16(f), h);
    }
}

static void widening_is_lossless(void)
{
    EXPECT(maas_dtype_widens(MAAS_I32, MAAS_F64));
    EXPECT(!maas_dtype_widens(MAAS_I32, MAAS_F32));
    EXPECT(maas_dtype_widens(MAAS_U8, MAAS_F16));
    EXPECT(maas_dtype_widens(MAAS_U8, MAAS_I16));
    EXPECT(!maas_dtype_widens(MAAS_U8, MAAS_I8));
    EXPECT(!maas_dtype_widens(MAAS_I8, MAAS_U64));
    EXPECT(!maas_dtype_widens(MAAS_F16, MAAS_BF16));
    EXPECT(!maas_dtype_widens(MAAS_F32, MAAS_I64));
    EXPECT(maas_dtype_widens(MAAS_BOOL, MAAS_F32));
    EXPECT(maas_dtype_widens(MAAS_F8E8M0, MAAS_F32));
    EXPECT(!maas_dtype_widens(MAAS_F8E8M0, MAAS_F16));
    EXPECT(!maas_dtype_widens(MAAS_U8, MAAS_F8E4M3FN));
    EXPECT(maas_dtype_widens(MAAS_U4, MAAS_U8));
    EXPECT(maas_dtype_widens(MAAS_I4, MAAS_I32));
    EXPECT(!maas_dtype_widens(MAAS_U4, MAAS_I4));
}

static const mt_case cases[] = {
    MT_CASE(every_row_is_found_by_its_names),
    MT_CASE(every_f16_survives_the_way_through_f32),
    MT_CASE(every_bf16_survives_the_way_through_f32),
    MT_CASE(widening_is_lossless),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
