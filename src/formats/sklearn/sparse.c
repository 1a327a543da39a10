/*
 * formats/sklearn/sparse.c - matrices that scipy keeps by rows (csr) or by columns (csc), as dense
 * ones: coefficients after sparsify(), support vectors of a machine fitted on sparse rows.
 *
 *   indptr [lines + 1]      line i has the entries indptr[i] .. indptr[i + 1]
 *   indices, data [entries] place within the line, and value
 */
#include "formats/sklearn/sklearn_int.h"
#include "base/ban.h"

#define MAX_DENSE ((int64_t)1 << 25) /* numbers: a few entries may claim any shape */

typedef struct sparse {
    bool by_rows;
    int64_t rows, cols, lines, width;
    const maas_tensor *start, *place, *value;
} sparse;

bool maas_sk_is_sparse(const maas_pk *v)
{
    const char *name = maas_sk_short_name(v);
    return maas_pk_kind_of(v) == MAAS_PK_OBJECT &&
           (strncmp(name, "csr_", 4) == 0 || strncmp(name, "csc_", 4) == 0);
}

static maas_status read_parts(maas_sk *s, const maas_pk *v, const char *what, sparse *m)
{
    const maas_pk *shape = maas_pk_attr(v, "_shape");
    int64_t n = -1;
    m->by_rows = maas_sk_short_name(v)[2] == 'r';
    if (!maas_pk_to_int(maas_pk_at(shape, 0), &m->rows) ||
        !maas_pk_to_int(maas_pk_at(shape, 1), &m->cols) || m->rows < 0 || m->cols < 0)
        return maas_sk_fail(s, MAAS_E_FORMAT, "%s has no shape", what);
    if (m->rows > MAX_DENSE || m->cols > MAX_DENSE || m->rows * m->cols > MAX_DENSE)
        return maas_sk_fail(s, MAAS_E_TOO_LARGE, "%s of %lld x %lld is too large when it is dense",
                            what, (long long)m->rows, (long long)m->cols);
    m->lines = m->by_rows ? m->rows : m->cols;
    m->width = m->by_rows ? m->cols : m->rows;
    int64_t n_start = m->lines + 1;
    MAAS_TRY(maas_sk_array(s, v, "indptr", MAAS_I64, 1, &n_start, &m->start));
    MAAS_TRY(maas_sk_array(s, v, "indices", MAAS_I64, 1, &n, &m->place));
    return maas_sk_array(s, v, "data", MAAS_F64, 1, &n, &m->value);
}

/* Entries of one line; several in one place add up, as scipy has it. */
static maas_status fill_line(maas_sk *s, const sparse *m, const char *what, int64_t line,
                             double *dense)
{
    const int64_t *start = m->start->data, *place = m->place->data;
    const int64_t n = m->value->dims[0];
    if (start[line] < 0 || start[line] > start[line + 1] || start[line + 1] > n)
        return maas_sk_fail(s, MAAS_E_FORMAT, "%s: indptr[%lld] is out of range", what,
                            (long long)line);
    for (int64_t i = start[line]; i < start[line + 1]; i++) {
        if (place[i] < 0 || place[i] >= m->width)
            return maas_sk_fail(s, MAAS_E_FORMAT, "%s: indices[%lld] is out of range", what,
                                (long long)i);
        dense[m->by_rows ? line * m->cols + place[i] : place[i] * m->cols + line] +=
            ((const double *)m->value->data)[i];
    }
    return MAAS_OK;
}

maas_status maas_sk_dense(maas_sk *s, const maas_pk *v, const char *what, const maas_tensor **out)
{
    sparse m;
    MAAS_TRY(read_parts(s, v, what, &m));
    maas_tensor *t = maas_sk_alloc(s, 1, sizeof *t);
    double *dense = maas_sk_alloc(s, (size_t)(m.rows * m.cols), sizeof *dense);
    if (!t || !dense)
        return s->b.status;
    for (int64_t i = 0; i < m.lines; i++)
        MAAS_TRY(fill_line(s, &m, what, i, dense));
    *t = maas_tensor_of(MAAS_F64, 2, (int64_t[]){m.rows, m.cols}, dense);
    *out = t;
    return MAAS_OK;
}
