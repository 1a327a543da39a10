/* MaxPoolLast: the channels of a place lie side by side, so a window is a largest of rows. */
#include "kernels/kernel.h"
#include "ops/window.h"

#include <string.h>

#include "base/ban.h"

extern const maas_op maas_op_MaxPoolLast;

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    return c->in[0].dtype == MAAS_U8 || c->in[0].dtype == MAAS_I8;
}

static void most_u8(uint8_t *restrict y, const uint8_t *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] > y[i] ? x[i] : y[i];
}

static void most_i8(int8_t *restrict y, const int8_t *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] > y[i] ? x[i] : y[i];
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    const int n = x->rank - 2;
    const int64_t channels = x->dims[x->rank - 1];
    const bool is_signed = x->dtype == MAAS_I8;
    maas_window w;
    int64_t narrow[MAAS_WINDOW_AXES], place[MAAS_WINDOW_AXES], first, last;
    MAAS_TRY(maas_window_init(&w, c->node, n, NULL, err));
    MAAS_TRY(maas_window_fit(&w, x->dims + 1, narrow, err));
    const int64_t wide_n = maas_dims_product(x->dims, 1, n + 1),
                  narrow_n = maas_dims_product(y->dims, 1, n + 1);
    maas_share(y->dims[0] * narrow_n, 1, ithr, nthr, &first, &last);
    for (int64_t i = first; i < last; i++) {
        char *to = (char *)y->data + i * channels;
        const char *from = (const char *)x->data + i / narrow_n * wide_n * channels;
        int64_t rest = i % narrow_n;
        for (int a = n - 1; a >= 0; a--) {
            place[a] = rest % narrow[a];
            rest /= narrow[a];
        }
        memset(to, is_signed ? -128 : 0, (size_t)channels);
        maas_taps t;
        for (maas_taps_init(&t, &w, x->dims + 1, place); t.left; maas_taps_step(&t)) {
            const char *row = from + t.at * channels;
            if (is_signed)
                most_i8((int8_t *)to, (const int8_t *)row, channels);
            else
                most_u8((uint8_t *)to, (const uint8_t *)row, channels);
        }
    }
    return MAAS_OK;
}

const maas_kernel maas_kernels_pool_last[] = {
    {.op = &maas_op_MaxPoolLast, .name = "MaxPoolLast.cpu", .fits = fits, .run = run}, {0}};
