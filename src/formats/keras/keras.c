/* formats/keras/keras.c - the two kinds of files: a zip around HDF5, and HDF5 alone. */
#include "formats/keras/keras.h"

#include <string.h>
#include <zlib.h>

#include "base/mem.h"
#include "formats/keras/keras_int.h"
#include "formats/source.h"
#include "formats/zip.h"
#include "base/ban.h"

static const uint8_t h5_magic[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};

static bool is_h5(maas_span file)
{
    return file.n >= sizeof h5_magic && memcmp(file.p, h5_magic, sizeof h5_magic) == 0;
}

/* ---- `.keras` ---- */

enum { CONFIG, METADATA, WEIGHTS, N_PARTS };
enum { MAX_MEMBERS = 64 }; /* a file has four; pictures and vocabularies of layers are more */
static const char *const part_names[N_PARTS] = {"config.json", "metadata.json", "model.weights.h5"};

typedef struct archive {
    maas_source source[N_PARTS]; /* holds what was inflated */
    maas_span part[N_PARTS];
    bool has[N_PARTS];
} archive;

static void archive_reset(archive *z)
{
    for (int i = 0; i < N_PARTS; i++)
        if (z->has[i])
            maas_source_close(&z->source[i]);
}

static maas_status unpack(archive *z, int i, const maas_zip_member *m, maas_budget *budget,
                          maas_err *err)
{
    bool last;
    if (z->has[i])
        return maas_fail(err, MAAS_E_FORMAT, "%s is twice in the archive", part_names[i]);
    MAAS_TRY(maas_source_open(&z->source[i], m->data,
                              m->deflated ? MAAS_PACKING_DEFLATE : MAAS_PACKING_NONE, budget, err));
    z->has[i] = true;
    /* One byte more than it says, to see that it ends there. */
    MAAS_TRY(
        maas_source_window(&z->source[i], (size_t)m->size + m->deflated, &z->part[i], &last, err));
    if (z->part[i].n != m->size)
        return maas_fail(err, MAAS_E_FORMAT, "%s: %zu bytes, the archive says %llu", part_names[i],
                         z->part[i].n, (unsigned long long)m->size);
    if (crc32_z(0, z->part[i].p, z->part[i].n) != m->crc)
        return maas_fail(err, MAAS_E_FORMAT, "%s: the check sum is wrong", part_names[i]);
    return MAAS_OK;
}

static maas_status archive_open(archive *z, maas_span file, maas_budget *budget, maas_err *err)
{
    maas_zip zip;
    maas_zip_member m;
    bool more;
    MAAS_TRY(maas_zip_open(&zip, file, MAX_MEMBERS, err));
    for (;;) {
        MAAS_TRY(maas_zip_next(&zip, &m, &more, err));
        if (!more)
            break;
        for (int i = 0; i < N_PARTS; i++)
            if (maas_span_is(m.name, part_names[i]))
                MAAS_TRY(unpack(z, i, &m, budget, err));
    }
    for (int i = 0; i < N_PARTS; i++)
        if (!z->has[i])
            return maas_fail(err, MAAS_E_FORMAT, "%s is not in the archive", part_names[i]);
    return MAAS_OK;
}

static maas_status read_archive(maas_span file, maas_arena *a, maas_budget *budget,
                                maas_graph **out, maas_err *err)
{
    AUTO(archive_reset) archive z = {0};
    AUTO(maas_json_unref) json_t *about = NULL;
    kr_h5 *h;
    MAAS_TRY(archive_open(&z, file, budget, err));
    if (maas_json_parse(z.part[METADATA], &about, err) != MAAS_OK) {
        maas_err_prefix(err, "metadata.json");
        return err->code = MAAS_E_FORMAT;
    }
    if (!is_h5(z.part[WEIGHTS]))
        return maas_fail(err, MAAS_E_FORMAT, "model.weights.h5 is no HDF5");
    MAAS_TRY(kr_h5_open(z.part[WEIGHTS], a, &h, err));
    const maas_keras_weights w = kr_h5_weights(h, false, "");
    const char *version = json_string_value(json_object_get(about, "keras_version"));
    maas_status st = maas_keras_graph(z.part[CONFIG], version, &w, budget, out, err);
    kr_h5_close(h);
    return st;
}

/* ---- `.h5` ---- */

static maas_status read_h5(maas_span file, maas_arena *a, maas_budget *budget, maas_graph **out,
                           maas_err *err)
{
    kr_h5 *h;
    char *config, *version;
    MAAS_TRY(kr_h5_open(file, a, &h, err));
    MAAS_TRY(kr_h5_text(h, "model_config", a, &config, err));
    MAAS_TRY(kr_h5_text(h, "keras_version", a, &version, err));
    if (!config)
        return maas_fail(err, MAAS_E_FORMAT,
                         "the HDF5 file has no attribute model_config: these are weights alone, or "
                         "no model of Keras; save it with model.save()");
    const maas_keras_weights w = kr_h5_weights(h, true, "model_weights");
    return maas_keras_graph(maas_span_str(config), version, &w, budget, out, err);
}

maas_status maas_keras_read(maas_span file, maas_budget *budget, maas_graph **out, maas_err *err)
{
    maas_err own = {0};
    maas_arena a;
    err = err ? err : &own;
    maas_arena_init(&a, budget);
    maas_status st = is_h5(file) ? read_h5(file, &a, budget, out, err)
                                 : read_archive(file, &a, budget, out, err);
    maas_arena_reset(&a);
    return st;
}

/* HDF5 is of many makers: which one is said when it is read. */
int maas_keras_probe(maas_span head)
{
    maas_zip zip;
    maas_zip_member m;
    bool more = true;
    if (is_h5(head))
        return 90;
    if (head.n < 4 || memcmp(head.p, "PK\3\4", 4) != 0 ||
        maas_zip_open(&zip, head, MAX_MEMBERS, NULL) != MAAS_OK)
        return 0;
    while (maas_zip_next(&zip, &m, &more, NULL) == MAAS_OK && more)
        if (maas_span_is(m.name, part_names[WEIGHTS]))
            return 95;
    return 0;
}
