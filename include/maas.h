/*
 * maas.h - everything a program may use of libmaas. Nothing else is exported.
 *
 * Every function returns a maas_status unless it cannot fail. Out parameters are written only on
 * MAAS_OK. Handles are opaque; a handle is freed by the function named after it, and every free
 * accepts NULL. Strings in are copied; a `const char *` out lives as long as its handle, a
 * `char **` out is yours: maas_string_free(). Unless a comment says otherwise a handle may be used
 * by one thread at a time, and different handles by different threads at once.
 */
#ifndef MAAS_H
#define MAAS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MAAS_API __attribute__((visibility("default")))

#define MAAS_VERSION_MAJOR 0
#define MAAS_VERSION_MINOR 1
#define MAAS_VERSION_PATCH 0
MAAS_API const char *maas_version(void); /* of the library in memory, not of this header */

typedef int32_t maas_status; /* fixed width; numbers never change, new ones go last */
enum {
    MAAS_OK = 0,
    MAAS_E_INVALID = 1,
    MAAS_E_NOT_FOUND = 2,
    MAAS_E_NOMEM = 3,
    MAAS_E_BUSY = 4,
    MAAS_E_FORMAT = 5,
    MAAS_E_IO = 6,
    MAAS_E_UNSUPPORTED = 7,
    MAAS_E_CONFLICT = 8,
    MAAS_E_UNAUTHENTICATED = 9,
    MAAS_E_FORBIDDEN = 10,
    MAAS_E_TOO_LARGE = 11,
    MAAS_E_METHOD = 12,
    MAAS_E_UNAVAILABLE = 13,
    MAAS_E_TIMEOUT = 14,
    MAAS_E_CANCELLED = 15,
    MAAS_E_INTERNAL = 16,
    MAAS_E_NO_SPACE = 17,
    MAAS_E_MEDIA = 18
};
MAAS_API const char *maas_status_text(maas_status st);

/* Element types, numbered as ONNX TensorProto.DataType numbers them. */
typedef enum maas_dtype {
    MAAS_DT_NONE = 0,
    MAAS_F32 = 1,
    MAAS_U8 = 2,
    MAAS_I8 = 3,
    MAAS_U16 = 4,
    MAAS_I16 = 5,
    MAAS_I32 = 6,
    MAAS_I64 = 7,
    MAAS_STRING = 8,
    MAAS_BOOL = 9,
    MAAS_F16 = 10,
    MAAS_F64 = 11,
    MAAS_U32 = 12,
    MAAS_U64 = 13,
    MAAS_BF16 = 16,
    /* Small types take a byte an element; integers are sign-extended, floats in the low bits. */
    MAAS_F8E4M3FN = 17,
    MAAS_F8E4M3FNUZ = 18,
    MAAS_F8E5M2 = 19,
    MAAS_F8E5M2FNUZ = 20,
    MAAS_U4 = 21,
    MAAS_I4 = 22,
    MAAS_F4E2M1 = 23,
    MAAS_F8E8M0 = 24,
    MAAS_U2 = 25,
    MAAS_I2 = 26,
    MAAS_F6E2M3 = 27,
    MAAS_F6E3M2 = 28
} maas_dtype;

typedef struct maas_model maas_model;     /* immutable; share one among threads */
typedef struct maas_session maas_session; /* one thread at a time              */

/* One input or output of a model. `dims` holds -1 where any size is accepted. */
typedef struct maas_io {
    const char *name;
    maas_dtype dtype;
    int32_t rank;
    const int64_t *dims;
} maas_io;

/* Options: set .size, leave the rest zero for the default. New fields go at the end. */
typedef struct maas_load_opts {
    size_t size;
    uint32_t n_threads;    /* 0: one per core     */
    uint64_t memory_limit; /* bytes; 0: unlimited */
} maas_load_opts;
#define MAAS_LOAD_OPTS_INIT                                                                        \
    {                                                                                              \
        sizeof(maas_load_opts), 0, 0                                                               \
    }

/* Opens a model file (ONNX). On failure *out_error, if asked for, is one sentence. */
MAAS_API maas_status maas_model_load(const char *path, const maas_load_opts *opts,
                                     maas_model **out_model, char **out_error);
MAAS_API void maas_model_free(maas_model *model);
MAAS_API void maas_string_free(char *s);

MAAS_API uint32_t maas_model_n_inputs(const maas_model *model);
MAAS_API uint32_t maas_model_n_outputs(const maas_model *model);
MAAS_API maas_status maas_model_input(const maas_model *model, uint32_t i, maas_io *out_io);
MAAS_API maas_status maas_model_output(const maas_model *model, uint32_t i, maas_io *out_io);

MAAS_API maas_status maas_session_create(maas_model *model, maas_session **out_session);
MAAS_API void maas_session_free(maas_session *s);

/*
 * Gives input `i` its value: `rank` dimensions and `n_bytes` bytes at `data`, row-major. The
 * bytes are borrowed until the next maas_session_set_input() of that input or free. Strings: `data`
 * is an array of `const char *`, n_bytes counts the array.
 */
MAAS_API maas_status maas_session_set_input(maas_session *s, uint32_t i, const int64_t *dims,
                                            int32_t rank, const void *data, size_t n_bytes);
MAAS_API maas_status maas_session_run(maas_session *s);
/* Valid until the next run. Strings come back as an array of `const char *`. */
MAAS_API maas_status maas_session_output(maas_session *s, uint32_t i, const int64_t **out_dims,
                                         int32_t *out_rank, const void **out_data,
                                         size_t *out_n_bytes);
MAAS_API const char *maas_session_error(const maas_session *s); /* "" when nothing failed */

/*
 * Where the time goes: with `on` other than 0 every later run measures its steps, and
 * maas_session_profile gives the last run as JSON: [{"step","op","node","kernel","ns"},...].
 */
MAAS_API maas_status maas_session_set_profile(maas_session *s, int on);
MAAS_API maas_status maas_session_profile(const maas_session *s, char **out_json);

#ifdef __cplusplus
}
#endif
#endif
