/* formats/keras/h5.c - the part of HDF5 that Keras writes, through libhdf5, out of memory. */
#include <hdf5.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "formats/keras/keras_int.h"
#include "base/ban.h"

enum { MAX_NAMES = 1 << 16, MAX_TEXT = 256 << 20 };

struct kr_h5 {
    hid_t file;
    hid_t root; /* the group in which weights are */
    maas_span image;
    maas_arena *arena;
};

/* ---- a driver of our own: the library's, for images, looks whether a file of that name exists,
 * which the sandbox does not allow ---- */

typedef struct image_file {
    H5FD_t pub; /* first: the library's part */
    maas_span image;
    haddr_t eoa; /* end of what the library has addressed */
} image_file;

static H5FD_t *image_open(const char *name, unsigned flags, hid_t access, haddr_t maxaddr)
{
    const maas_span *image = H5Pget_driver_info(access);
    image_file *f = image && !(flags & H5F_ACC_RDWR) ? maas_calloc(1, sizeof *f) : NULL;
    if (f)
        f->image = *image;
    return (H5FD_t *)f;
}

static herr_t image_close(H5FD_t *f)
{
    maas_free(f);
    return 0;
}

static int image_cmp(const H5FD_t *a, const H5FD_t *b)
{
    return (a > b) - (a < b);
}

static herr_t image_query(const H5FD_t *f, unsigned long *flags)
{
    *flags = H5FD_FEAT_DATA_SIEVE;
    return 0;
}

static haddr_t image_get_eoa(const H5FD_t *f, H5FD_mem_t type)
{
    return ((const image_file *)f)->eoa;
}

static herr_t image_set_eoa(H5FD_t *f, H5FD_mem_t type, haddr_t addr)
{
    ((image_file *)f)->eoa = addr;
    return 0;
}

static haddr_t image_get_eof(const H5FD_t *f, H5FD_mem_t type)
{
    return ((const image_file *)f)->image.n;
}

/* What is past the end is refused: a file that was cut is no file of zeros. */
static herr_t image_read(H5FD_t *f, H5FD_mem_t type, hid_t transfer, haddr_t addr, size_t size,
                         void *to)
{
    maas_span at = ((image_file *)f)->image;
    if (addr > at.n || size > at.n - addr)
        return -1;
    if (size)
        memcpy(to, at.p + addr, size);
    return 0;
}

static herr_t image_write(H5FD_t *f, H5FD_mem_t type, hid_t transfer, haddr_t addr, size_t size,
                          const void *from)
{
    return -1;
}

static const H5FD_class_t image_driver = {
    .name = "maas_image",
    .maxaddr = (haddr_t)INT64_MAX,
    .fc_degree = H5F_CLOSE_STRONG,
    .fapl_size = sizeof(maas_span),
    .open = image_open,
    .close = image_close,
    .cmp = image_cmp,
    .query = image_query,
    .get_eoa = image_get_eoa,
    .set_eoa = image_set_eoa,
    .get_eof = image_get_eof,
    .read = image_read,
    .write = image_write,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

/* The name is absolute, or the library asks for the working directory. */
static hid_t open_image(const kr_h5 *h)
{
    hid_t file = -1, driver = H5FDregister(&image_driver), access = H5Pcreate(H5P_FILE_ACCESS);
    if (driver >= 0 && access >= 0 && H5Pset_driver(access, driver, &h->image) >= 0)
        file = H5Fopen("/image.h5", H5F_ACC_RDONLY, access);
    if (access >= 0)
        H5Pclose(access);
    if (driver >= 0)
        H5FDunregister(driver);
    return file;
}

static void close_files(void *h)
{
    kr_h5_close(h);
}

maas_status kr_h5_open(maas_span image, maas_arena *a, kr_h5 **out, maas_err *err)
{
    kr_h5 *h = maas_arena_alloc(a, sizeof *h);
    if (!h || !maas_arena_defer(a, close_files, h))
        return maas_fail(err, MAAS_E_NOMEM, "no memory left to open the HDF5 file");
    H5dont_atexit();
    if (H5open() < 0)
        return maas_fail(err, MAAS_E_INTERNAL, "libhdf5 does not start");
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5PLset_loading_state(0); /* filters come from no file */
    *h = (kr_h5){.file = -1, .root = -1, .image = image, .arena = a};
    h->file = open_image(h);
    if (h->file < 0)
        return maas_fail(err, MAAS_E_FORMAT, "the HDF5 file is damaged or not complete");
    *out = h;
    return MAAS_OK;
}

void kr_h5_close(kr_h5 *h)
{
    if (!h)
        return;
    if (h->root >= 0)
        H5Gclose(h->root);
    if (h->file >= 0)
        H5Fclose(h->file);
    h->root = h->file = -1;
}

/* ---- paths: names and groups one by one; only links within the file ---- */

/* The object at `path` below `from`, opened; negative when there is none, or through a link that
 * leads elsewhere. */
static hid_t open_path(hid_t from, const char *path)
{
    char name[512];
    hid_t at = H5Oopen(from, ".", H5P_DEFAULT);
    while (at >= 0 && *path) {
        const size_t n = strcspn(path, "/");
        H5L_info_t info;
        hid_t next = -1;
        if (n && n < sizeof name && !(n == 1 && *path == '.')) {
            memcpy(name, path, n);
            name[n] = '\0';
            if (H5Iget_type(at) == H5I_GROUP && H5Lexists(at, name, H5P_DEFAULT) > 0 &&
                H5Lget_info(at, name, &info, H5P_DEFAULT) >= 0 && info.type == H5L_TYPE_HARD)
                next = H5Oopen(at, name, H5P_DEFAULT);
        }
        H5Oclose(at);
        at = next;
        path += n;
        path += *path == '/';
    }
    return at;
}

/* ---- attributes ---- */

/* Texts of an attribute of strings, fixed or of any length. */
static maas_status texts_of(hid_t attr, hid_t type, size_t n, maas_arena *a, char **out)
{
    const size_t size = H5Tget_size(type);
    if (H5Tis_variable_str(type) > 0) {
        hid_t space = H5Aget_space(attr), mem = H5Tcopy(H5T_C_S1);
        char **texts = maas_arena_array(a, n, sizeof *texts);
        maas_status st = texts ? MAAS_E_FORMAT : MAAS_E_NOMEM;
        H5Tset_size(mem, H5T_VARIABLE);
        H5Tset_cset(mem, H5Tget_cset(type));
        if (texts && H5Aread(attr, mem, texts) >= 0) {
            st = MAAS_OK;
            for (size_t i = 0; i < n && st == MAAS_OK; i++)
                if (!(out[i] = maas_arena_strdup(a, texts[i] ? texts[i] : "")))
                    st = MAAS_E_NOMEM;
            H5Dvlen_reclaim(mem, space, H5P_DEFAULT, texts);
        }
        H5Tclose(mem);
        H5Sclose(space);
        return st;
    }
    if (size == 0 || n > MAX_TEXT / size)
        return MAAS_E_FORMAT;
    char *all = maas_arena_alloc(a, n * size + 1);
    if (!all)
        return MAAS_E_NOMEM;
    if (H5Aread(attr, type, all) < 0)
        return MAAS_E_FORMAT;
    for (size_t i = 0; i < n; i++)
        if (!(out[i] = maas_arena_strndup(a, all + i * size, strnlen(all + i * size, size))))
            return MAAS_E_NOMEM;
    return MAAS_OK;
}

/* All texts of an attribute; *n is 0 when it is empty, and *out NULL when there is none. */
static maas_status read_texts(hid_t object, const char *name, maas_arena *a, char ***out, size_t *n,
                              maas_err *err)
{
    *out = NULL;
    *n = 0;
    if (H5Aexists(object, name) <= 0)
        return MAAS_OK;
    hid_t attr = H5Aopen(object, name, H5P_DEFAULT);
    hid_t type = attr >= 0 ? H5Aget_type(attr) : -1;
    hid_t space = attr >= 0 ? H5Aget_space(attr) : -1;
    const hssize_t count = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    maas_status st = MAAS_E_FORMAT;
    /* An empty list of names is one of numbers: nobody knew its type. */
    if (count == 0) {
        st = (*out = maas_arena_array(a, 1, sizeof **out)) ? MAAS_OK : MAAS_E_NOMEM;
    } else if (count > 0 && count <= MAX_NAMES && type >= 0 && H5Tget_class(type) == H5T_STRING) {
        *out = maas_arena_array(a, (size_t)count, sizeof **out);
        st = *out ? texts_of(attr, type, (size_t)count, a, *out) : MAAS_E_NOMEM;
        *n = (size_t)count;
    }
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    if (attr >= 0)
        H5Aclose(attr);
    return st == MAAS_OK ? st
                         : maas_fail(err, st, "HDF5: the attribute %.60s cannot be read", name);
}

maas_status kr_h5_text(kr_h5 *h, const char *name, maas_arena *a, char **out, maas_err *err)
{
    char **texts;
    size_t n;
    MAAS_TRY(read_texts(h->file, name, a, &texts, &n, err));
    *out = n == 1 ? texts[0] : NULL;
    return MAAS_OK;
}

/* ---- datasets ---- */

/* Why the stored bytes of a dataset are none that we read; NULL when they are. */
static const char *layout_problem(hid_t set, hid_t how, size_t bytes)
{
    const hsize_t stored = H5Dget_storage_size(set);
    const H5D_layout_t layout = H5Pget_layout(how);
    if (layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED && layout != H5D_COMPACT)
        return "its data is not in the file";
    if (layout == H5D_CONTIGUOUS && H5Pget_external_count(how) != 0)
        return "its data is in another file";
    if (layout != H5D_CHUNKED)
        return stored < bytes ? "it is larger than its data" : NULL;
    for (int i = 0, n = H5Pget_nfilters(how); i < n; i++) {
        unsigned flags, config;
        size_t n_values = 0;
        char name[32];
        H5Z_filter_t f = H5Pget_filter2(how, (unsigned)i, &flags, &n_values, NULL, sizeof name,
                                        name, &config);
        if (f != H5Z_FILTER_DEFLATE && f != H5Z_FILTER_SHUFFLE && f != H5Z_FILTER_FLETCHER32)
            return "its compression is not gzip";
    }
    return bytes / 1100 > stored ? "it is larger than its data can be" : NULL;
}

static maas_status read_set(kr_h5 *h, hid_t set, const char *path, maas_arena *a, maas_tensor *out,
                            maas_err *err)
{
    hid_t type = H5Dget_type(set), space = H5Dget_space(set), how = H5Dget_create_plist(set);
    const int rank = space >= 0 ? H5Sget_simple_extent_ndims(space) : -1;
    const H5T_class_t class = type >= 0 ? H5Tget_class(type) : H5T_NO_CLASS;
    const size_t size = type >= 0 ? H5Tget_size(type) : 0;
    const char *problem = NULL;
    size_t bytes = 0;
    hsize_t dims[MAAS_MAX_RANK];
    maas_status st = MAAS_E_UNSUPPORTED;
    *out = (maas_tensor){.dtype = MAAS_F32};
    if (how < 0 || rank < 0 || rank > MAAS_MAX_RANK ||
        (rank && H5Sget_simple_extent_dims(space, dims, NULL) != rank))
        problem = "its shape cannot be read";
    else if ((class != H5T_FLOAT && class != H5T_INTEGER) || size < 1 || size > 8)
        problem = "its elements are no numbers";
    for (int i = 0; i < rank && !problem; i++) {
        if (dims[i] > INT64_MAX)
            problem = "its shape is too large";
        out->dims[i] = (int64_t)dims[i];
    }
    if (!problem && maas_shape_bytes(MAAS_F32, out->dims, rank, &bytes, NULL) != MAAS_OK)
        problem = "its shape is too large";
    out->rank = (uint8_t)(problem ? 0 : rank);
    if (!problem)
        problem = layout_problem(set, how, bytes / 4 * size);
    if (!problem && !(out->data = maas_arena_alloc(a, bytes)))
        st = MAAS_E_NOMEM, problem = "there is no memory left for it";
    if (!problem && bytes &&
        H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, out->data) < 0)
        st = MAAS_E_FORMAT, problem = "its data is damaged";
    if (how >= 0)
        H5Pclose(how);
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    return problem ? maas_fail(err, st, "weight '%.100s': %s", path, problem) : MAAS_OK;
}

static maas_status get(void *ctx, const char *path, maas_arena *a, int rank, const int64_t *dims,
                       maas_tensor *out, maas_err *err)
{
    kr_h5 *h = ctx;
    hid_t set = open_path(h->root >= 0 ? h->root : h->file, path);
    if (set < 0 || H5Iget_type(set) != H5I_DATASET) {
        if (set >= 0)
            H5Oclose(set);
        return maas_fail(err, MAAS_E_FORMAT, "weight '%.100s' is not in the file", path);
    }
    maas_status st = read_set(h, set, path, a, out, err);
    H5Oclose(set);
    return st;
}

/* weight_names, or weight_names0, weight_names1...: an attribute has 64 KiB at most. */
static maas_status list(void *ctx, const char *layer, maas_arena *a, char ***paths, size_t *n,
                        maas_err *err)
{
    kr_h5 *h = ctx;
    hid_t group = open_path(h->root, layer);
    char name[32];
    size_t more = 0;
    char **part;
    if (group < 0)
        return maas_fail(err, MAAS_E_FORMAT, "the file has no weights for it");
    maas_status st = read_texts(group, "weight_names", a, paths, n, err);
    for (unsigned i = 0; st == MAAS_OK && (i == 0 ? !*paths : part != NULL); i++) {
        snprintf(name, sizeof name, "weight_names%u", i);
        st = read_texts(group, name, a, &part, &more, err);
        if (st != MAAS_OK || !part)
            break;
        char **all = maas_arena_array(a, *n + more + 1, sizeof *all);
        if (!all) {
            st = maas_fail(err, MAAS_E_NOMEM, "no memory left for the names of weights");
            break;
        }
        if (*n)
            memcpy(all, *paths, *n * sizeof *all);
        if (more)
            memcpy(all + *n, part, more * sizeof *all);
        *paths = all;
        *n += more;
    }
    H5Oclose(group);
    for (size_t i = 0; st == MAAS_OK && i < *n; i++)
        if (!((*paths)[i] = maas_arena_printf(a, "%s/%s", layer, (*paths)[i])))
            st = maas_fail(err, MAAS_E_NOMEM, "no memory left for the names of weights");
    return st;
}

maas_keras_weights kr_h5_weights(kr_h5 *h, bool listed, const char *group)
{
    h->root = open_path(h->file, group);
    return (maas_keras_weights){h, get, listed ? list : NULL};
}
