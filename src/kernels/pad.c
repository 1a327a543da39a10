/*
 * Pad by rows of the last axis. Where each place of an axis comes from is worked out once; within a
 * row the part that was there before is one copy.
 */
#include "ops/pad.h"

#include <string.h>

#include "base/mem.h"
#include "kernels/kernel.h"
#include "base/ban.h"

extern const maas_op maas_op_Pad;

typedef struct state {
    size_t elem;
    int rank; /* 1 at least */
    int64_t n_rows, dims[MAAS_MAX_RANK];
    const int64_t *places[MAAS_MAX_RANK]; /* [dims[i]] bytes in the data; below 0: the constant */
    int64_t first, n_inner;               /* of a row: where it is a copy, and how long         */
} state;

enum {
    MOST_PLACES = 1 << 22
}; /* of all axes: 32 MiB. Beyond, reference code works them out anew */

static int64_t n_places(const maas_tensor *y)
{
    int64_t n = 0;
    for (int i = 0; i < y->rank; i++)
        n += y->dims[i] < MOST_PLACES ? y->dims[i] : MOST_PLACES + 1;
    return n;
}

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    const bool axes = c->n_in > 3 && c->in[3].dtype != MAAS_DT_NONE;
    return c->in[0].rank > 0 && n_places(&c->out[0]) <= MOST_PLACES && c->in[1].data &&
           (!axes || c->in[3].data) && maas_n_elems(&c->out[0]) > 0;
}

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    const bool axes = c->n_in > 3 && c->in[3].dtype != MAAS_DT_NONE;
    maas_pad_map m;
    MAAS_TRY(maas_pad_map_of(&m, c->node, &c->in[1], axes ? &c->in[3] : NULL, x, y, err));
    state *s = maas_calloc(1, sizeof *s + (size_t)n_places(y) * sizeof(int64_t));
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "preparing Pad");
    int64_t *place = (int64_t *)(s + 1);
    s->elem = maas_dtype_size((maas_dtype)x->dtype);
    s->rank = y->rank;
    s->n_rows = maas_dims_product(y->dims, 0, y->rank - 1);
    for (int i = 0; i < y->rank; i++) {
        s->dims[i] = y->dims[i];
        s->places[i] = place;
        for (int64_t k = 0; k < y->dims[i]; k++) {
            const int64_t at = maas_pad_place(m.mode, &m.axis[i], k);
            *place++ = at < 0 ? -1 : at * (int64_t)s->elem;
        }
    }
    const maas_pad_axis *last = &m.axis[y->rank - 1];
    const int64_t size = y->dims[y->rank - 1], end = last->before + last->n;
    s->first = last->before < size ? last->before : size;
    s->n_inner = (end < size ? end : size) - s->first;
    c->state = s;
    return MAAS_OK;
}

/* Places [from, to) of a row, one by one. */
static void singles(const state *s, char *y, const char *x, const void *fill, int64_t from,
                    int64_t to)
{
    const int64_t *places = s->places[s->rank - 1];
    for (int64_t i = from; i < to; i++) {
        const void *v = places[i] < 0 ? fill : x + places[i];
        if (s->elem == 4)
            memcpy(y + i * 4, v, 4);
        else
            memcpy(y + (size_t)i * s->elem, v, s->elem);
    }
}

static void pad_row(const state *s, char *y, const char *x, const void *fill)
{
    const int64_t size = s->dims[s->rank - 1];
    if (s->n_inner <= 0) {
        singles(s, y, x, fill, 0, size);
        return;
    }
    singles(s, y, x, fill, 0, s->first);
    memcpy(y + (size_t)s->first * s->elem, x + s->places[s->rank - 1][s->first],
           (size_t)s->n_inner * s->elem);
    singles(s, y, x, fill, s->first + s->n_inner, size);
}

static void fill_row(const state *s, char *y, const void *fill)
{
    const int64_t size = s->dims[s->rank - 1];
    for (int64_t i = 0; i < size; i++)
        if (s->elem == 4)
            memcpy(y + i * 4, fill, 4);
        else
            memcpy(y + (size_t)i * s->elem, fill, s->elem);
}

/* Where the data of a row begins; below 0: all of it is the constant. */
static int64_t row_start(const state *s, int64_t row)
{
    int64_t at = 0;
    for (int i = s->rank - 2; i >= 0; i--) {
        const int64_t place = s->places[i][row % s->dims[i]];
        row /= s->dims[i];
        at = place < 0 || at < 0 ? -1 : at + place;
    }
    return at;
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    static const char zeros[sizeof(maas_str)];
    const state *s = c->state;
    const maas_tensor *value = c->n_in > 2 && c->in[2].dtype != MAAS_DT_NONE ? &c->in[2] : NULL;
    const size_t bytes = (size_t)s->dims[s->rank - 1] * s->elem;
    int64_t from, to;
    if (value && maas_n_elems(value) != 1)
        return maas_fail(err, MAAS_E_INVALID, "Pad: constant_value must be one element");
    maas_share(s->n_rows, 1, ithr, nthr, &from, &to);
    for (int64_t row = from; row < to; row++) {
        const int64_t at = row_start(s, row);
        char *y = (char *)c->out[0].data + (size_t)row * bytes;
        if (at < 0)
            fill_row(s, y, value ? value->data : zeros);
        else
            pad_row(s, y, (const char *)c->in[0].data + at, value ? value->data : zeros);
    }
    return MAAS_OK;
}

const maas_kernel maas_kernels_pad[] = {{.op = &maas_op_Pad,
                                         .name = "Pad.rows",
                                         .fits = fits,
                                         .prepare = prepare,
                                         .release = maas_free,
                                         .run = run},
                                        {0}};
