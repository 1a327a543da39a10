/* formats/csv_look.c - see csv_look.h. */
#include "formats/csv_look.h"

#include "base/mem.h"
#include "formats/cells.h"
#include "formats/csv_split.h"
#include "base/ban.h"

#define N_RECORDS 64

typedef struct verdict {
    int n_alike; /* of records, with as many cells as the first */
    uint32_t n_cells;
} verdict;

/* A malformed record ends the look (the head may be cut inside a quoted cell); having no memory
 * must not end in another delimiter. */
static maas_status try_delimiter(maas_span head, char delimiter, verdict *v, maas_err *err)
{
    maas_source src;
    AUTO(maas_csv_split_reset) maas_csv_split s;
    maas_csv_split_init(&s, &src, delimiter);
    MAAS_TRY(maas_source_open(&src, head, MAAS_PACKING_NONE, NULL, err));
    for (int i = 0; i < N_RECORDS; i++) {
        maas_err why = {0};
        if (maas_csv_next(&s, &why) == MAAS_E_NOMEM)
            return maas_fail(err, MAAS_E_NOMEM, "%s", why.msg);
        if (why.code != MAAS_OK || !s.n_cells)
            break;
        if (!i)
            v->n_cells = s.n_cells;
        v->n_alike += s.n_cells == v->n_cells;
    }
    return MAAS_OK;
}

maas_status maas_csv_delimiter(maas_span head, char *out, maas_err *err)
{
    static const char candidates[] = {',', ';', '\t', '|'};
    verdict best = {0};
    *out = ',';
    for (size_t i = 0; i < sizeof candidates; i++) {
        verdict v = {0};
        MAAS_TRY(try_delimiter(head, candidates[i], &v, err));
        if (v.n_cells > 1 &&
            (v.n_alike > best.n_alike || (v.n_alike == best.n_alike && v.n_cells > best.n_cells))) {
            best = v;
            *out = candidates[i];
        }
    }
    return MAAS_OK;
}

maas_status maas_csv_header(maas_span head, char delimiter, bool *out, maas_err *err)
{
    maas_source src;
    AUTO(maas_csv_split_reset) maas_csv_split s;
    maas_csv_split_init(&s, &src, delimiter);
    *out = false;
    MAAS_TRY(maas_source_open(&src, head, MAAS_PACKING_NONE, NULL, err));
    maas_err why = {0}; /* a malformed record is for the first walk to refuse */
    if (maas_csv_next(&s, &why) == MAAS_E_NOMEM)
        return maas_fail(err, MAAS_E_NOMEM, "%s", why.msg);
    bool any_text = false;
    for (uint32_t i = 0; i < s.n_cells; i++) {
        maas_cell_kind kind = maas_cell_classify(maas_span_of(s.cells[i].p, s.cells[i].n));
        if (kind == MAAS_CELL_INT || kind == MAAS_CELL_REAL)
            return MAAS_OK;
        any_text = any_text || kind == MAAS_CELL_TEXT;
    }
    *out = any_text;
    return MAAS_OK;
}
