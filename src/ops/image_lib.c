/*
 * JPEG, PNG and WebP by the libraries that everybody has. They are no dependency of the program:
 * opened by a fixed name that the system's loader resolves, and only when maas_image_open was
 * called. Their own words reach a client only where they are of a fixed list.
 */
#include <dlfcn.h>
#include <pthread.h>

#include "ops/image_int.h"
#include "base/ban.h"

/* As their headers declare them. */
typedef struct png_state { /* png_image, version 1 */
    void *opaque;
    uint32_t version, width, height, format, flags, colormap_entries, warning_or_error;
    char message[64];
} png_state;

static struct library {
    void *(*tjInitDecompress)(void);
    int (*tjDecompressHeader3)(void *h, const unsigned char *p, unsigned long n, int *width,
                               int *height, int *subsampling, int *colours);
    int (*tjDecompress2)(void *h, const unsigned char *p, unsigned long n, unsigned char *out,
                         int width, int pitch, int height, int format, int flags);
    char *(*tjGetErrorStr2)(void *h);
    int (*tjGetErrorCode)(void *h);
    int (*tjDestroy)(void *h);
    int (*png_image_begin_read_from_memory)(png_state *s, const void *p, size_t n);
    int (*png_image_finish_read)(png_state *s, const void *background, void *out, int32_t stride,
                                 void *colormap);
    void (*png_image_free)(png_state *s);
    int (*WebPGetInfo)(const uint8_t *p, size_t n, int *width, int *height);
    uint8_t *(*WebPDecodeRGBInto)(const uint8_t *p, size_t n, uint8_t *out, size_t size,
                                  int stride);
} lib;

#define TJ_RGB         0
#define TJ_CMYK        11
#define TJ_LIMIT_SCANS 32768 /* of a progressive file: no hours for a few bytes */
#define TJ_WARNING     0
#define PNG_VERSION    1
#define PNG_ALPHA      1
#define PNG_COLOUR     2

enum { JPEG, PNG, WEBP, N_LIBRARIES };
static const struct {
    const char *file, *format, *package;
} names[N_LIBRARIES] = {{"libturbojpeg.so.0", "JPEG", "libturbojpeg0"},
                        {"libpng16.so.16", "PNG", "libpng16-16"},
                        {"libwebp.so.7", "WebP", "libwebp7"}};

static const struct {
    int library;
    const char *name;
    size_t offset;
} functions[] = {
#define F(l, f)                                                                                    \
    {                                                                                              \
        l, #f, offsetof(struct library, f)                                                         \
    }
    F(JPEG, tjInitDecompress),
    F(JPEG, tjDecompressHeader3),
    F(JPEG, tjDecompress2),
    F(JPEG, tjGetErrorStr2),
    F(JPEG, tjGetErrorCode),
    F(JPEG, tjDestroy),
    F(PNG, png_image_begin_read_from_memory),
    F(PNG, png_image_finish_read),
    F(PNG, png_image_free),
    F(WEBP, WebPGetInfo),
    F(WEBP, WebPDecodeRGBInto),
#undef F
};
_Static_assert(sizeof(struct library) == MAAS_COUNT(functions) * sizeof(void *),
               "a function of the table is looked up by no name");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of what follows; a leaf */
static bool asked, is_open[N_LIBRARIES];

static void open_one(int k)
{
    void *library = dlopen(names[k].file, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; library && i < MAAS_COUNT(functions); i++) {
        void *f = functions[i].library == k ? dlsym(library, functions[i].name) : NULL;
        if (functions[i].library == k && !f) {
            dlclose(library);
            return;
        }
        if (f)
            memcpy((char *)&lib + functions[i].offset, &f, sizeof f);
    }
    is_open[k] = library != NULL;
}

void maas_image_open(void)
{
    pthread_mutex_lock(&lock);
    for (int k = 0; k < N_LIBRARIES && !asked; k++)
        open_one(k);
    asked = true;
    pthread_mutex_unlock(&lock);
}

static maas_status need(int k, maas_err *err)
{
    pthread_mutex_lock(&lock);
    const bool here = is_open[k], may = asked;
    pthread_mutex_unlock(&lock);
    if (here)
        return MAAS_OK;
    if (!may)
        return maas_fail(err, MAAS_E_UNAVAILABLE,
                         "%s images are not decoded in this process: the server decodes them in a "
                         "sandbox, for versions that have an image recipe",
                         names[k].format);
    return maas_fail(err, MAAS_E_UNAVAILABLE,
                     "reading %s images needs a library that is missing: install the package %s",
                     names[k].format, names[k].package);
}

/* ---- JPEG ---- */

static maas_status jpeg_head(void *h, maas_span f, int *width, int *height, int *colours,
                             maas_err *err)
{
    int subsampling;
    if (!h)
        return maas_fail(err, MAAS_E_NOMEM, "decoding a JPEG image");
    if (lib.tjDecompressHeader3(h, f.p, f.n, width, height, &subsampling, colours) != 0 ||
        *width < 1 || *height < 1)
        return maas_image_damaged("JPEG", "its header cannot be read", err);
    return MAAS_OK;
}

maas_status maas_jpeg_look(maas_span file, maas_image *out, maas_err *err)
{
    int width = 0, height = 0, colours = 0;
    MAAS_TRY(need(JPEG, err));
    void *h = lib.tjInitDecompress();
    const maas_status st = jpeg_head(h, file, &width, &height, &colours, err);
    if (h)
        lib.tjDestroy(h);
    out->width = (uint32_t)width;
    out->height = (uint32_t)height;
    return st;
}

/* A file that ends early or whose codes are broken gives pixels all the same: grey ones. Bytes that
 * nobody needs are the one thing that does not matter. */
static bool decoded(void *h, int result)
{
    return result == 0 ||
           (lib.tjGetErrorCode(h) == TJ_WARNING && strstr(lib.tjGetErrorStr2(h), "extraneous"));
}

static maas_status jpeg_rgb(void *h, maas_span f, const maas_image *is, uint8_t *rgb, maas_err *err)
{
    const int result = lib.tjDecompress2(h, f.p, f.n, rgb, (int)is->width, 0, (int)is->height,
                                         TJ_RGB, TJ_LIMIT_SCANS);
    return decoded(h, result)
               ? MAAS_OK
               : maas_image_damaged("JPEG", "it ends early, or its codes are broken", err);
}

/* Four inks, stored as what they leave of the light, as Adobe's programs do. */
static maas_status jpeg_cmyk(void *h, maas_span f, const maas_image *is, uint8_t *rgb,
                             maas_err *err)
{
    const size_t n = (size_t)is->width * is->height;
    AUTO_FREE uint8_t *inks = maas_alloc(n * 4);
    if (!inks)
        return maas_fail(err, MAAS_E_NOMEM, "decoding a JPEG image");
    const int result = lib.tjDecompress2(h, f.p, f.n, inks, (int)is->width, 0, (int)is->height,
                                         TJ_CMYK, TJ_LIMIT_SCANS);
    if (!decoded(h, result))
        return maas_image_damaged("JPEG", "it ends early, or its codes are broken", err);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 3; k++)
            rgb[3 * i + k] = (uint8_t)((inks[4 * i + k] * inks[4 * i + 3] + 127) / 255);
    return MAAS_OK;
}

maas_status maas_jpeg_decode(maas_span file, const maas_image *is, uint8_t *rgb, maas_err *err)
{
    int width = 0, height = 0, colours = 0;
    MAAS_TRY(need(JPEG, err));
    void *h = lib.tjInitDecompress();
    maas_status st = jpeg_head(h, file, &width, &height, &colours, err);
    if (st == MAAS_OK)
        st = (colours >= 3 ? jpeg_cmyk : jpeg_rgb)(h, file, is, rgb, err);
    if (h)
        lib.tjDestroy(h);
    return st;
}

/* ---- PNG ---- */

static maas_status png_head(maas_span f, png_state *s, maas_err *err)
{
    *s = (png_state){.version = PNG_VERSION};
    MAAS_TRY(need(PNG, err));
    if (!lib.png_image_begin_read_from_memory(s, f.p, f.n)) {
        lib.png_image_free(s);
        return maas_image_damaged("PNG", "its header cannot be read", err);
    }
    return MAAS_OK;
}

maas_status maas_png_look(maas_span file, maas_image *out, maas_err *err)
{
    png_state s;
    MAAS_TRY(png_head(file, &s, err));
    out->width = s.width;
    out->height = s.height;
    lib.png_image_free(&s);
    return MAAS_OK;
}

maas_status maas_png_decode(maas_span file, const maas_image *is, uint8_t *rgb, maas_err *err)
{
    const size_t n = (size_t)is->width * is->height;
    AUTO_FREE uint8_t *four = NULL;
    png_state s;
    MAAS_TRY(png_head(file, &s, err));
    const bool alpha = s.format & PNG_ALPHA;
    if (alpha && !(four = maas_alloc(n * 4))) {
        lib.png_image_free(&s);
        return maas_fail(err, MAAS_E_NOMEM, "decoding a PNG image");
    }
    s.format = alpha ? PNG_COLOUR | PNG_ALPHA : PNG_COLOUR;
    const int ok = lib.png_image_finish_read(&s, NULL, alpha ? four : rgb, 0, NULL);
    lib.png_image_free(&s);
    if (!ok)
        return maas_image_damaged("PNG", "it ends early, or its pixels cannot be unpacked", err);
    for (size_t i = 0; alpha && i < n; i++)
        memcpy(rgb + 3 * i, four + 4 * i, 3);
    return MAAS_OK;
}

/* ---- WebP ---- */

maas_status maas_webp_look(maas_span file, maas_image *out, maas_err *err)
{
    int width = 0, height = 0;
    MAAS_TRY(need(WEBP, err));
    if (!lib.WebPGetInfo(file.p, file.n, &width, &height) || width < 1 || height < 1)
        return maas_image_damaged("WebP", "its header cannot be read", err);
    out->width = (uint32_t)width;
    out->height = (uint32_t)height;
    return MAAS_OK;
}

maas_status maas_webp_decode(maas_span file, const maas_image *is, uint8_t *rgb, maas_err *err)
{
    const size_t row = (size_t)is->width * 3;
    MAAS_TRY(need(WEBP, err));
    if (!lib.WebPDecodeRGBInto(file.p, file.n, rgb, row * is->height, (int)row))
        return maas_image_damaged("WebP", "it ends early, is broken, or moves", err);
    return MAAS_OK;
}
