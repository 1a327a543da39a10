#include "maas_test.h"

#include "tensor/tensor.h"

static void declared_shapes_cannot_overflow(void)
{
    size_t n;
    maas_err err = {0};
    const int64_t big[] = {INT64_MAX, INT64_MAX, 0}, neg[] = {-1}, ok[] = {2, 0, 3};
    EXPECT_EQ(maas_shape_bytes(MAAS_F32, big, 3, &n, &err), MAAS_E_TOO_LARGE);
    EXPECT_EQ(maas_shape_bytes(MAAS_F32, neg, 1, &n, NULL), MAAS_E_INVALID);
    EXPECT_EQ(maas_shape_bytes(MAAS_F32, ok, 9, &n, NULL), MAAS_E_INVALID);
    EXPECT_EQ(maas_shape_bytes(MAAS_F32, ok, 3, &n, NULL), MAAS_OK);
    EXPECT_EQ(n, 0);
}

static void broadcasting_follows_numpy(void)
{
    const int64_t a[] = {8, 1, 6, 1}, b[] = {7, 1, 5}, want[] = {8, 7, 6, 5}, c[] = {2}, d[] = {3};
    int64_t out[MAAS_MAX_RANK];
    int rank;
    EXPECT(maas_broadcast(a, 4, b, 3, out, &rank));
    EXPECT_EQ(rank, 4);
    EXPECT(memcmp(out, want, sizeof want) == 0);
    EXPECT(!maas_broadcast(c, 1, d, 1, out, &rank));
}

static void elements_round_trip(void)
{
    for (int t = 1; t <= MAAS_F6E3M2; t++) {
        const maas_dtype_info *info = maas_dtype_describe((maas_dtype)t);
        if (!info->bits || info->kind == MAAS_KIND_TEXT)
            continue;
        uint64_t cell = 0;
        const int64_t dims[] = {1};
        maas_tensor x = maas_tensor_of((maas_dtype)t, 1, dims, &cell);
        maas_tensor_set(&x, 0, 1.0);
        EXPECT_NEAR(maas_tensor_get(&x, 0), 1.0, 0);
        EXPECT_EQ(maas_tensor_get_i64(&x, 0), 1);
    }
}

static void shapes_print(void)
{
    char text[MAAS_SHAPE_TEXT];
    const int64_t dims[] = {-1, 784, INT64_MAX};
    EXPECT_STR(maas_shape_text(dims, 3, text), "[?,784,9223372036854775807]");
    EXPECT_STR(maas_shape_text(dims, 0, text), "[]");
}

static const mt_case cases[] = {
    MT_CASE(declared_shapes_cannot_overflow),
    MT_CASE(broadcasting_follows_numpy),
    MT_CASE(elements_round_trip),
    MT_CASE(shapes_print),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
