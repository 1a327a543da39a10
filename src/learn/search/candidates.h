/*
 * learn/search/candidates.h - which parameters a search tries: every point of a grid in
 * scikit-learn's order (names sorted, the last one changes fastest; a list of grids: one after the
 * other), or points drawn from distributions.
 *
 *   "param_grid":    {"max_depth":[4,8],"optimizer.lr":[0.1,0.01]}   or a list of such objects
 *   "distributions":
 * {"lr":{"loguniform":[1e-4,1]},"depth":{"randint":[2,10]},"c":{"uniform":[0,1]},"f":["a","b"]}
 *
 * A dot in a name goes into an object of the parameters. randint draws low .. high - 1, as scipy
 * does.
 *
 * Owns: the parameters (maas_candidates_reset). Threads: read-only once made.
 * Fails: E_INVALID naming the field.
 */
#ifndef MAAS_LEARN_SEARCH_CANDIDATES_H
#define MAAS_LEARN_SEARCH_CANDIDATES_H

#include "base/json.h"

#define MAAS_MAX_CANDIDATES 10000

typedef struct maas_candidate {
    const char *learner; /* borrowed */
    json_t *params;      /* whole: those of the job with this point's on top */
    json_t *point;       /* only what the search set */
} maas_candidate;

typedef struct maas_candidates {
    maas_candidate *at;
    size_t n, cap;
} maas_candidates;

/* grid or distributions: exactly one is not NULL. base: parameters that all have; may be NULL. */
maas_status maas_candidates_grid(const json_t *grid, const char *learner, const json_t *base,
                                 maas_candidates *out, maas_err *err);
maas_status maas_candidates_draw(const json_t *distributions, int64_t n, uint64_t seed,
                                 const char *learner, const json_t *base, maas_candidates *out,
                                 maas_err *err);
/* One more; takes nothing over. */
maas_status maas_candidates_add(maas_candidates *c, const char *learner, const json_t *base,
                                const json_t *point, maas_err *err);
void maas_candidates_reset(maas_candidates *c);
/* Sets a possibly dotted name in a tree of objects; `v` is copied. */
maas_status maas_params_set(json_t *params, const char *name, const json_t *v, maas_err *err);

#endif
