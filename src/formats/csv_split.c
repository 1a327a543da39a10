/* formats/csv_split.c - see csv_split.h. */
#include "formats/csv_split.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "base/limits.h"
#include "base/mem.h"
#include "base/ban.h"

#define WINDOW ((size_t)128 << 10)

/* ---- special bytes ---- */

/* Bit i: p[i] is the delimiter, a line feed or a quote. */
#if defined(__SSE2__)
static inline uint64_t special_64(const uint8_t *p, uint8_t delimiter)
{
    const __m128i d = _mm_set1_epi8((char)delimiter), lf = _mm_set1_epi8('\n'),
                  q = _mm_set1_epi8('"');
    uint64_t mask = 0;
    for (int i = 0; i < 4; i++) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
        __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, d), _mm_cmpeq_epi8(v, lf)),
                                   _mm_cmpeq_epi8(v, q));
        mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(hit) << (16 * i);
    }
    return mask;
}
#elif defined(__aarch64__)
static inline uint64_t special_64(const uint8_t *p, uint8_t delimiter)
{
    static const uint8_t bits[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t d = vdupq_n_u8(delimiter), lf = vdupq_n_u8('\n'), q = vdupq_n_u8('"');
    uint8x16_t hit[4];
    for (int i = 0; i < 4; i++) {
        const uint8x16_t v = vld1q_u8(p + 16 * i), line = vorrq_u8(vceqq_u8(v, lf), vceqq_u8(v, q));
        hit[i] = vandq_u8(vorrq_u8(vceqq_u8(v, d), line), vld1q_u8(bits));
    }
    /* each bit is in a byte of its own: three sums of neighbours bring eight of them together */
    const uint8x16_t sums = vpaddq_u8(vpaddq_u8(hit[0], hit[1]), vpaddq_u8(hit[2], hit[3]));
    return vgetq_lane_u64((uint64x2_t)vpaddq_u8(sums, sums), 0);
}
#else
static inline uint64_t special_64(const uint8_t *p, uint8_t delimiter)
{
    uint64_t mask = 0;
    for (int i = 0; i < 64; i++)
        mask |= (uint64_t)(p[i] == delimiter || p[i] == '\n' || p[i] == '"') << i;
    return mask;
}
#endif

static inline const uint8_t *window_end(const maas_csv_split *s)
{
    return s->window.p + s->window.n;
}

static void load_block(maas_csv_split *s, const uint8_t *p)
{
    size_t left = (size_t)(window_end(s) - p);
    s->block = p;
    if (left >= 64) {
        s->mask = special_64(p, s->delimiter);
        return;
    }
    uint8_t tail[64] = {0};
    memcpy(tail, p, left);
    s->mask = special_64(tail, s->delimiter) & ((1ull << left) - 1);
}

/* The next special byte, which is passed; NULL at the end of the window. */
static inline const uint8_t *next_special(maas_csv_split *s)
{
    while (!s->mask) {
        if ((size_t)(window_end(s) - s->block) <= 64)
            return NULL;
        load_block(s, s->block + 64);
    }
    const uint8_t *p = s->block + __builtin_ctzll(s->mask);
    s->mask &= s->mask - 1;
    return p;
}

/* ---- windows ---- */

void maas_csv_split_init(maas_csv_split *s, maas_source *src, char delimiter)
{
    *s = (maas_csv_split){.src = src, .delimiter = (uint8_t)delimiter};
}

void maas_csv_split_reset(maas_csv_split *s)
{
    maas_free(s->cells);
    *s = (maas_csv_split){0};
}

/* A window that starts at the next record and has at least `want` bytes. */
static maas_status refill(maas_csv_split *s, size_t want, maas_err *err)
{
    if (want > MAAS_MAX_CSV_LINE)
        return maas_fail(err, MAAS_E_TOO_LARGE,
                         "csv: row %lld (byte %llu) has more than %u bytes; is a quote not closed?",
                         (long long)s->row + 1, (unsigned long long)s->src->offset,
                         MAAS_MAX_CSV_LINE);
    if (s->at)
        maas_source_advance(s->src, (size_t)(s->at - s->window.p));
    MAAS_TRY(maas_source_window(s->src, want, &s->window, &s->last, err));
    s->at = s->window.p;
    s->mask = 0;
    if (s->window.n)
        load_block(s, s->at);
    return MAAS_OK;
}

/* ---- records ---- */

static maas_status add_cell(maas_csv_split *s, maas_csv_cell c, maas_err *err)
{
    if (s->n_cells >= MAAS_MAX_COLUMNS)
        return maas_fail(err, MAAS_E_TOO_LARGE, "csv: row %lld has more than %d columns",
                         (long long)s->row, MAAS_MAX_COLUMNS);
    if (s->n_cells == s->cap && !maas_grow(&s->cells, &s->cap, s->n_cells + 1u, sizeof *s->cells))
        return maas_fail(err, MAAS_E_NOMEM, "csv: no memory left for the cells of a row");
    s->cells[s->n_cells++] = c;
    return MAAS_OK;
}

static maas_status check_size(const maas_csv_split *s, const uint8_t *p, const uint8_t *end,
                              maas_err *err)
{
    if ((size_t)(end - p) <= MAAS_MAX_CSV_FIELD)
        return MAAS_OK;
    return maas_fail(err, MAAS_E_TOO_LARGE,
                     "csv: row %lld, column %u (byte %llu): the cell has more than %u bytes; is a "
                     "quote not closed?",
                     (long long)s->row, s->n_cells + 1,
                     (unsigned long long)(s->src->offset + (uint64_t)(p - s->window.p)),
                     MAAS_MAX_CSV_FIELD);
}

/* From the opening quote at `start` to the delimiter or line feed after the closing one. *end is
 * NULL when the window ends first. */
static maas_status quoted_cell(maas_csv_split *s, const uint8_t *start, maas_csv_cell *c,
                               const uint8_t **end, maas_err *err)
{
    const uint8_t *q, *stop = window_end(s);
    *c = (maas_csv_cell){.p = start + 1, .quoted = true};
    *end = NULL;
    next_special(s); /* the opening quote */
    for (;;) {
        while ((q = next_special(s)) && *q != '"')
            ;
        if (!q) {
            if (s->last)
                return maas_fail(
                    err, MAAS_E_FORMAT,
                    "csv: row %lld, column %u (byte %llu): the quote is never closed",
                    (long long)s->row, s->n_cells + 1,
                    (unsigned long long)(s->src->offset + (uint64_t)(start - s->window.p)));
            return check_size(s, start, stop, err);
        }
        if (q + 1 == stop || q[1] != '"')
            break;
        next_special(s); /* the second quote of a pair */
        c->escaped = true;
    }
    MAAS_TRY(check_size(s, start, q, err));
    c->n = (uint32_t)(q - c->p);
    const uint8_t *after = q + 1;
    if (after < stop && *after == '\r')
        after++;
    if (after == stop) {
        *end = s->last ? stop : NULL;
        return MAAS_OK;
    }
    if (*after != '\n' && (*after != s->delimiter || after != q + 1))
        return maas_fail(err, MAAS_E_FORMAT,
                         "csv: row %lld, column %u (byte %llu): expected a delimiter or the end of "
                         "the line after the closing quote",
                         (long long)s->row, s->n_cells + 1,
                         (unsigned long long)(s->src->offset + (uint64_t)(q + 1 - s->window.p)));
    *end = next_special(s);
    return MAAS_OK;
}

static maas_status plain_cell(maas_csv_split *s, const uint8_t *start, maas_csv_cell *c,
                              const uint8_t **end, maas_err *err)
{
    const uint8_t *e;
    while ((e = next_special(s)) && *e == '"')
        ;
    *end = e ? e : s->last ? window_end(s) : NULL;
    MAAS_TRY(check_size(s, start, e ? e : window_end(s), err));
    if (!*end)
        return MAAS_OK;
    const uint8_t *stop = *end;
    if (stop > start && stop[-1] == '\r' && (stop == window_end(s) || *stop == '\n'))
        stop--;
    *c = (maas_csv_cell){.p = start, .n = (uint32_t)(stop - start)};
    return MAAS_OK;
}

/* One record from s->at. *complete false: the window ends first, and there is more. */
static maas_status split_record(maas_csv_split *s, bool *complete, maas_err *err)
{
    const uint8_t *p = s->at, *stop = window_end(s);
    *complete = false;
    s->n_cells = 0;
    for (;;) {
        maas_csv_cell c;
        const uint8_t *end;
        bool quoted = p < stop && *p == '"';
        MAAS_TRY(quoted ? quoted_cell(s, p, &c, &end, err) : plain_cell(s, p, &c, &end, err));
        if (!end)
            return MAAS_OK;
        MAAS_TRY(add_cell(s, c, err));
        if (end == stop || *end == '\n') {
            s->at = end == stop ? stop : end + 1;
            *complete = true;
            return MAAS_OK;
        }
        p = end + 1;
    }
}

/* Positions the scan at s->at, where next_special was not called yet. */
static void skip_empty_lines(maas_csv_split *s)
{
    const uint8_t *stop = window_end(s);
    while (s->at < stop) {
        if (*s->at == '\r' && (s->at + 1 == stop ? s->last : s->at[1] == '\n'))
            s->at++;
        if (s->at == stop || *s->at != '\n')
            return;
        next_special(s);
        s->at++;
    }
}

maas_status maas_csv_next(maas_csv_split *s, maas_err *err)
{
    size_t want = WINDOW;
    bool complete = false;
    s->n_cells = 0;
    s->row++;
    do {
        if (!s->window.n || (!complete && want > WINDOW))
            MAAS_TRY(refill(s, want, err));
        skip_empty_lines(s);
        if (s->at == window_end(s)) {
            if (s->last)
                return MAAS_OK;
            MAAS_TRY(refill(s, WINDOW, err));
            continue;
        }
        s->row_offset = s->src->offset + (uint64_t)(s->at - s->window.p);
        MAAS_TRY(split_record(s, &complete, err));
        size_t have = (size_t)(window_end(s) - s->at);
        want = have > WINDOW / 2 ? have * 2 : WINDOW + 1;
    } while (!complete);
    return MAAS_OK;
}
