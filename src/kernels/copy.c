#include "kernels/copy.h"

#include <string.h>

#include "base/ban.h"

#define BAND 16 /* rows of the source that a band of squares reads side by side */

/* ---- planning ---- */

static void drop_dim(maas_copy *c, int i)
{
    c->rank--;
    memmove(&c->dims[i], &c->dims[i + 1], (size_t)(c->rank - i) * sizeof *c->dims);
    memmove(&c->to[i], &c->to[i + 1], (size_t)(c->rank - i) * sizeof *c->to);
    memmove(&c->from[i], &c->from[i + 1], (size_t)(c->rank - i) * sizeof *c->from);
}

static void swap_dims(maas_copy *c, int i, int j)
{
    const int64_t d = c->dims[i], t = c->to[i], f = c->from[i];
    c->dims[i] = c->dims[j];
    c->to[i] = c->to[j];
    c->from[i] = c->from[j];
    c->dims[j] = d;
    c->to[j] = t;
    c->from[j] = f;
}

static void simplify(maas_copy *c)
{
    for (int i = c->rank - 1; i >= 0; i--)
        if (c->dims[i] == 1)
            drop_dim(c, i);
    for (int i = c->rank - 2; i >= 0; i--)
        if (c->to[i] == c->to[i + 1] * c->dims[i + 1] &&
            c->from[i] == c->from[i + 1] * c->dims[i + 1]) {
            c->dims[i + 1] *= c->dims[i];
            drop_dim(c, i);
        }
    if (c->rank == 0) {
        c->rank = 1;
        c->dims[0] = 1;
        c->to[0] = c->from[0] = (int64_t)c->elem;
    }
}

/* The dimension that is dense in the source comes second to last: squares of it and the last one.
 */
static bool find_squares(maas_copy *c)
{
    const int last = c->rank - 1;
    if (c->to[last] != (int64_t)c->elem || c->dims[last] < 4)
        return false;
    for (int i = 0; i < last; i++)
        if (c->from[i] == (int64_t)c->elem && c->dims[i] >= 4) {
            for (; i + 1 < last; i++)
                swap_dims(c, i, i + 1);
            return true;
        }
    return false;
}

void maas_copy_plan(maas_copy *c)
{
    int64_t n = 1;
    for (int i = 0; i < c->rank; i++) {
        n *= c->dims[i];
        c->to[i] *= (int64_t)c->elem;
        c->from[i] *= (int64_t)c->elem;
    }
    c->to_at *= (int64_t)c->elem;
    c->from_at *= (int64_t)c->elem;
    c->kind = MAAS_COPY_NOTHING;
    if (n == 0)
        return;
    simplify(c);
    const int last = c->rank - 1;
    const bool dense = c->to[last] == (int64_t)c->elem;
    c->kind = dense && c->from[last] == c->to[last] ? MAAS_COPY_ROWS
              : dense && c->from[last] == 0         ? MAAS_COPY_FILL
              : find_squares(c)                     ? MAAS_COPY_SQUARES
                                                    : MAAS_COPY_STEPS;
    const bool squares = c->kind == MAAS_COPY_SQUARES;
    c->n_rows = 1;
    for (int i = 0; i < last - squares; i++)
        c->n_rows *= c->dims[i];
    if (squares)
        c->n_rows *= (c->dims[last - 1] + BAND - 1) / BAND;
}

/* ---- one row ---- */

/* y[i * to] = x[i * from], for the sizes that elements have; strides that are numbers make better
 * loops: one value, every second one. */
#define LOOP(type, a, b)                                                                           \
    for (int64_t i = 0; i < n; i++)                                                                \
    ((type *)y)[i * (a)] = ((const type *)x)[i * (b)]
#define STEPS(type)                                                                                \
    do {                                                                                           \
        const int64_t size = (int64_t)sizeof(type), t = to / size, f = from / size;                \
        if (t == 1 && f == 0) {                                                                    \
            const type v = *(const type *)x;                                                       \
            for (int64_t i = 0; i < n; i++)                                                        \
                ((type *)y)[i] = v;                                                                \
        } else if (t == 1 && f == 2) {                                                             \
            LOOP(type, 1, 2);                                                                      \
        } else if (t == 1) {                                                                       \
            LOOP(type, 1, f);                                                                      \
        } else {                                                                                   \
            LOOP(type, t, f);                                                                      \
        }                                                                                          \
    } while (0)

static void steps(char *restrict y, const char *restrict x, int64_t n, int64_t to, int64_t from,
                  size_t elem)
{
    switch (elem) {
    case 1:
        STEPS(uint8_t);
        break;
    case 2:
        STEPS(uint16_t);
        break;
    case 4:
        STEPS(uint32_t);
        break;
    case 8:
        STEPS(uint64_t);
        break;
    default:
        for (int64_t i = 0; i < n; i++)
            memcpy(y + i * to, x + i * from, elem);
    }
}

/* ---- squares: y[k][l] = x[l][k], k < rows, l < n; both dense in their last index ---- */

typedef int32_t quad __attribute__((vector_size(16), aligned(4), may_alias));

static void square4(char *y, int64_t to, const char *x, int64_t from)
{
    const quad a = *(const quad *)x, b = *(const quad *)(x + from);
    const quad c = *(const quad *)(x + 2 * from), d = *(const quad *)(x + 3 * from);
    const quad ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
    const quad ab2 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const quad cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    const quad cd2 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    *(quad *)y = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
    *(quad *)(y + to) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    *(quad *)(y + 2 * to) = __builtin_shufflevector(ab2, cd2, 0, 1, 4, 5);
    *(quad *)(y + 3 * to) = __builtin_shufflevector(ab2, cd2, 2, 3, 6, 7);
}

static void square(char *y, int64_t to, const char *x, int64_t from, int64_t rows, int64_t n,
                   size_t elem)
{
    for (int64_t k = 0; k < rows; k++)
        steps(y + k * to, x + k * (int64_t)elem, n, (int64_t)elem, from, elem);
}

/* A band of `rows` rows of y, all n long. */
static void band(char *y, int64_t to, const char *x, int64_t from, int64_t rows, int64_t n,
                 size_t elem)
{
    const int64_t fours = elem == 4 ? rows / 4 * 4 : 0;
    for (int64_t l = 0; l < n; l += BAND) {
        const int64_t width = n - l < BAND ? n - l : BAND, whole = width / 4 * 4;
        char *yl = y + l * (int64_t)elem;
        const char *xl = x + l * from;
        for (int64_t k = 0; k < fours; k += 4) {
            for (int64_t i = 0; i < whole; i += 4)
                square4(yl + k * to + i * 4, to, xl + i * from + k * 4, from);
            square(yl + k * to + whole * 4, to, xl + whole * from + k * 4, from, 4, width - whole,
                   4);
        }
        square(yl + fours * to, to, xl + fours * (int64_t)elem, from, rows - fours, width, elem);
    }
}

/* ---- all rows of a share ---- */

typedef struct place {
    const maas_copy *c;
    int outer; /* dimensions that are walked */
    int64_t idx[MAAS_COPY_RANK], to, from;
} place;

static void place_at(place *p, const maas_copy *c, int outer, int64_t row)
{
    *p = (place){.c = c, .outer = outer, .to = c->to_at, .from = c->from_at};
    for (int i = outer - 1; i >= 0; i--) {
        p->idx[i] = row % c->dims[i];
        row /= c->dims[i];
        p->to += p->idx[i] * c->to[i];
        p->from += p->idx[i] * c->from[i];
    }
}

static void place_step(place *p)
{
    const maas_copy *c = p->c;
    for (int i = p->outer - 1; i >= 0; i--) {
        p->to += c->to[i];
        p->from += c->from[i];
        if (++p->idx[i] < c->dims[i])
            return;
        p->to -= c->to[i] * c->dims[i];
        p->from -= c->from[i] * c->dims[i];
        p->idx[i] = 0;
    }
}

static void run_squares(const maas_copy *c, char *y, const char *x, int64_t first, int64_t end)
{
    const int last = c->rank - 1, side = last - 1;
    const int64_t bands = (c->dims[side] + BAND - 1) / BAND;
    place p;
    place_at(&p, c, side, first / bands);
    for (int64_t r = first; r < end; r++) {
        const int64_t k = r % bands * BAND;
        const int64_t rows = c->dims[side] - k < BAND ? c->dims[side] - k : BAND;
        band(y + p.to + k * c->to[side], c->to[side], x + p.from + k * c->from[side], c->from[last],
             rows, c->dims[last], c->elem);
        if (r % bands == bands - 1)
            place_step(&p);
    }
}

/* A share of one long row: threads take parts of it. */
static void run_one(const maas_copy *c, char *y, const char *x, int ithr, int nthr)
{
    int64_t first, end;
    maas_share(c->dims[0], 4096, ithr, nthr, &first, &end);
    y += c->to_at + first * c->to[0];
    x += c->from_at + first * c->from[0];
    if (first >= end)
        return;
    if (c->kind == MAAS_COPY_ROWS)
        memcpy(y, x, (size_t)(end - first) * c->elem);
    else if (c->kind == MAAS_COPY_FILL)
        steps(y, x, end - first, (int64_t)c->elem, 0, c->elem);
    else
        steps(y, x, end - first, c->to[0], c->from[0], c->elem);
}

void maas_copy_run(const maas_copy *c, void *to, const void *from, int ithr, int nthr)
{
    const int last = c->rank - 1;
    int64_t first, end;
    place p;
    if (c->kind == MAAS_COPY_NOTHING)
        return;
    if (c->rank == 1) {
        run_one(c, to, from, ithr, nthr);
        return;
    }
    maas_share(c->n_rows, 1, ithr, nthr, &first, &end);
    if (first >= end)
        return;
    if (c->kind == MAAS_COPY_SQUARES) {
        run_squares(c, to, from, first, end);
        return;
    }
    place_at(&p, c, last, first);
    for (int64_t r = first; r < end; r++, place_step(&p)) {
        char *y = (char *)to + p.to;
        const char *x = (const char *)from + p.from;
        if (c->kind == MAAS_COPY_ROWS)
            memcpy(y, x, (size_t)c->dims[last] * c->elem);
        else if (c->kind == MAAS_COPY_FILL)
            steps(y, x, c->dims[last], (int64_t)c->elem, 0, c->elem);
        else
            steps(y, x, c->dims[last], c->to[last], c->from[last], c->elem);
    }
}
