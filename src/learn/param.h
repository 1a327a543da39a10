/*
 * learn/param.h - the parameters of a learner as a table.
 *
 * A parameter is a row: name, kind, range, default, help, and where its value goes in a plain
 * struct. Reading a request, writing the recipe that a model file carries, and the documentation
 * are loops over the same rows, so they cannot disagree.
 *
 *   INT      int64_t            NUM   double            BOOL  bool
 *   CHOICE   int: index into `choices`
 *   VARIANT  struct that begins with `int type`: {"type":"adam","lr":0.01}, or just "adam"
 *   GROUP    struct that begins with `bool on`: an object; absent, null or false is off
 *   LIST     maas_param_list of variants: [{"type":"dense",...}, ...], or the name of a known one
 *   JSON     const json_t *: kept as it came (borrowed), checked by the code that uses it
 *
 * Fails: E_INVALID naming the field ("params.layers[2].units"), E_NOMEM. Threads: any.
 */
#ifndef MAAS_LEARN_PARAM_H
#define MAAS_LEARN_PARAM_H

#include "base/json.h"

typedef enum maas_param_kind {
    MAAS_PARAM_INT,
    MAAS_PARAM_NUM,
    MAAS_PARAM_BOOL,
    MAAS_PARAM_CHOICE,
    MAAS_PARAM_VARIANT,
    MAAS_PARAM_GROUP,
    MAAS_PARAM_LIST,
    MAAS_PARAM_JSON
} maas_param_kind;

typedef struct maas_param maas_param;

/* Descriptors of losses, optimizers, layers... begin with one of these. */
typedef struct maas_variant {
    const char *name, *help;
    const maas_param *rows; /* offsets count from the start of the variant's struct */
    size_t n_rows;
} maas_variant;

struct maas_param {
    const char *name;
    maas_param_kind kind;
    size_t offset;
    double min, max; /* INT, NUM; LIST: how many */
    double preset;   /* INT, NUM, BOOL; CHOICE and VARIANT: an index; NaN for a NUM: not set */
    const char *const *choices; /* CHOICE: NULL-ended */
    const void *variants;       /* VARIANT, LIST: descriptors that begin with a maas_variant */
    size_t n_variants, stride;  /* how many, and the size of one descriptor                  */
    size_t item_size;           /* LIST: of the struct an item is read into                  */
    /* LIST: a list that a name stands for, kept for as long as the process lives; NULL: none has
     * that name. `names` writes which there are. */
    const json_t *(*named)(const char *name);
    void (*names)(maas_buf *out);
    const maas_param *rows; /* GROUP */
    size_t n_rows;
    const char *help;
};

typedef struct maas_param_list {
    void *items; /* in the arena */
    size_t n;
} maas_param_list;

/* Fills `out` (zeroed by the caller) from `o`; NULL is an empty object: all defaults. Lists go into
 * the arena, JSON rows stay borrowed from `o`. `where` is the name of `o` in messages. */
maas_status maas_params_read(const maas_param *rows, size_t n, const char *where, const json_t *o,
                             maas_arena *a, void *out, maas_err *err);
/* Every parameter with the value it has: reading it back gives the same struct. NULL: no memory. */
json_t *maas_params_dump(const maas_param *rows, size_t n, const void *in);
/* The table itself, for documentation: [{"name","type","min","max","default","help",...}]. */
json_t *maas_params_describe(const maas_param *rows, size_t n);

#endif
