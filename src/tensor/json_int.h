/* tensor/json_int.h - private to json*.c: the state of one decode, and how it fails. */
#ifndef MAAS_TENSOR_JSON_INT_H
#define MAAS_TENSOR_JSON_INT_H

#include "tensor/json.h"

typedef struct maas_json_decoder {
    const uint8_t *end; /* of the text */
    const uint8_t *start;
    maas_json_tensor *t;
    const maas_dtype_info *info;
    char *out;                    /* the elements, t->dtype */
    int64_t cap;                  /* elements that `out` has room for */
    int64_t n;                    /* elements decoded */
    int depth;                    /* arrays open */
    int rank;                     /* depth of the rows; -1: none seen yet */
    int64_t count[MAAS_MAX_RANK]; /* members so far, a level */
    int64_t dims[MAAS_MAX_RANK];  /* members of the first closed array, a level; -1: none closed */
    maas_err *err;
} maas_json_decoder;

/* Say why in d->err and return NULL; the second: p is no element of d->info. */
__attribute__((cold)) const uint8_t *maas_json_fail_value(maas_json_decoder *d, const uint8_t *p,
                                                          const char *what);
__attribute__((cold)) const uint8_t *maas_json_fail_type(maas_json_decoder *d, const uint8_t *p);
/* The text of the value, for the words: as far as it looks like a number or word. */
int maas_json_token_len(const maas_json_decoder *d, const uint8_t *p);

/* Reads a string, or an object that holds one in base64, at p; where it ends, or NULL. */
const uint8_t *maas_json_element_string(maas_json_decoder *d, const uint8_t *p, void *out);

#endif
