/*
 * formats/idx.c - IDX, the format of MNIST and its relatives.
 *
 *   byte 0, 1   0
 *   byte 2      element type: 08 uint8, 09 int8, 0B int16, 0C int32, 0D float, 0E double
 *   byte 3      number of dimensions
 *   4 bytes each, big-endian: the dimensions; the first one counts rows
 *   elements, big-endian, last index fastest
 */
#include "formats/readers.h"

#include "formats/array.h"
#include "base/ban.h"

static const uint8_t idx_dtypes[] = {[0x08] = MAAS_U8,  [0x09] = MAAS_I8,  [0x0b] = MAAS_I16,
                                     [0x0c] = MAAS_I32, [0x0d] = MAAS_F32, [0x0e] = MAAS_F64};

static bool idx_start(maas_span *s, maas_dtype *out_dtype, uint8_t *out_rank)
{
    uint8_t b[4];
    for (int i = 0; i < 4; i++)
        if (!maas_span_u8(s, &b[i]))
            return false;
    if (b[0] || b[1] || b[2] >= sizeof idx_dtypes || !idx_dtypes[b[2]])
        return false;
    *out_dtype = (maas_dtype)idx_dtypes[b[2]];
    *out_rank = b[3];
    return true;
}

int maas_idx_probe(maas_span head, const char *file_name)
{
    maas_dtype dtype;
    uint8_t rank;
    (void)file_name;
    return idx_start(&head, &dtype, &rank) && rank >= 1 ? 90 : 0;
}

static maas_status idx_header(maas_source *src, maas_array *a, maas_err *err)
{
    maas_span w;
    bool last;
    uint8_t rank;
    MAAS_TRY(maas_source_window(src, 4 + 4 * 255, &w, &last, err));
    maas_span s = w;
    if (!idx_start(&s, &a->col.dtype, &rank))
        return maas_fail(err, MAAS_E_FORMAT,
                         "idx: byte 0: expected 00 00, an element type and a number of dimensions");
    if (!rank || rank > MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_FORMAT, "idx: byte 3: %u dimensions, 1 to %d are possible",
                         rank, MAAS_MAX_RANK);
    for (int i = 0; i < rank; i++) {
        uint32_t dim;
        if (!maas_span_u32be(&s, &dim))
            return maas_fail(err, MAAS_E_FORMAT, "idx: the file ends in the header, at byte %zu",
                             w.n);
        if (i == 0)
            a->n_rows = dim;
        else
            a->col.dims[i - 1] = dim;
        if (i && !dim)
            return maas_fail(err, MAAS_E_FORMAT, "idx: byte %d: dimension %d is 0", 4 + 4 * i,
                             i + 1);
    }
    a->col.rank = rank - 1;
    a->item = maas_dtype_size(a->col.dtype);
    a->swap = true;
    maas_source_advance(src, 4 + 4 * (size_t)rank);
    return MAAS_OK;
}

maas_status maas_idx_read(maas_source *src, const maas_table_opts *o, const maas_table_sink *sink,
                          maas_err *err)
{
    maas_array a = {.col.name = o->column_name ? o->column_name : "x"};
    MAAS_TRY(idx_header(src, &a, err));
    return maas_array_read_one(&a, src, o, sink, err);
}
