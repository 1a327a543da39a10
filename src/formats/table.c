/* formats/table.c - the readers of tables, and the choice among them. */
#include "formats/table.h"

#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"
#include "formats/readers.h"
#include "base/ban.h"

#define PROBE_BYTES ((size_t)64 << 10)

/* In the order of certainty: the first of equals wins. */
const maas_table_format maas_table_formats[] = {
    {"npy", ".npy", maas_npy_probe, maas_npy_read},
    {"npz", ".npz", maas_npz_probe, maas_npz_read},
    {"idx", ".idx -ubyte .idx1-ubyte .idx3-ubyte", maas_idx_probe, maas_idx_read},
    {"jsonl", ".jsonl .ndjson", maas_jsonl_probe, maas_jsonl_read},
    {"libsvm", ".libsvm .svm .svmlight", maas_libsvm_probe, maas_libsvm_read},
    {"csv", ".csv .tsv .txt .data", maas_csv_probe, maas_csv_read},
};
const size_t maas_n_table_formats = MAAS_COUNT(maas_table_formats);

bool maas_name_has_suffix(const char *file_name, const char *suffixes)
{
    size_t n = file_name ? strlen(file_name) : 0;
    if (n > 3 && !strcasecmp(file_name + n - 3, ".gz"))
        n -= 3;
    while (n && *suffixes) {
        size_t len = strcspn(suffixes, " ");
        if (n > len && !strncasecmp(file_name + n - len, suffixes, len))
            return true;
        suffixes += len;
        suffixes += strspn(suffixes, " ");
    }
    return false;
}

static void put_names(maas_buf *out)
{
    for (size_t i = 0; i < maas_n_table_formats; i++)
        maas_buf_printf(out, "%s%s", i ? ", " : "", maas_table_formats[i].name);
}

static const maas_table_format *by_content(maas_span head, const char *file_name)
{
    const maas_table_format *best = NULL;
    int certainty = 0;
    for (size_t i = 0; i < maas_n_table_formats; i++) {
        int c = maas_table_formats[i].probe(head, file_name);
        if (c > certainty) {
            best = &maas_table_formats[i];
            certainty = c;
        }
    }
    return best;
}

static maas_status choose(maas_source *src, const char *format, const char *file_name,
                          const maas_table_format **out, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf names = MAAS_BUF_INIT(4096);
    maas_span head;
    bool last;
    *out = NULL;
    if (format) {
        for (size_t i = 0; i < maas_n_table_formats; i++)
            if (!strcmp(maas_table_formats[i].name, format))
                *out = &maas_table_formats[i];
        if (*out)
            return MAAS_OK;
        put_names(&names);
        return maas_fail(err, MAAS_E_INVALID, "format \"%.64s\" is not known: expected one of %s",
                         format, names.p ? names.p : "");
    }
    MAAS_TRY(maas_source_window(src, PROBE_BYTES, &head, &last, err));
    if (head.n > PROBE_BYTES)
        head.n = PROBE_BYTES;
    *out = by_content(head, file_name);
    if (*out)
        return MAAS_OK;
    put_names(&names);
    return maas_fail(err, MAAS_E_FORMAT, "the file is %s: expected one of %s, or gzip of one",
                     head.n ? "of no known format" : "empty", names.p ? names.p : "");
}

maas_status maas_table_read(maas_span file, const char *format, const char *file_name,
                            const maas_table_opts *o, const maas_table_sink *sink, maas_err *err)
{
    static const maas_table_opts plain = MAAS_TABLE_OPTS_INIT;
    const maas_table_format *f;
    o = o ? o : &plain;
    AUTO(maas_source_close) maas_source src = {0};
    MAAS_TRY(maas_source_open(&src, file, maas_source_packing(file), o->budget, err));
    MAAS_TRY(choose(&src, format, file_name, &f, err));
    return f->read(&src, o, sink, err);
}
