/*
 * learn/towers.h - params.towers: which columns describe the query (a user, a question) and which
 * the candidate (an item, a document).
 *
 *   {"query": ["user", "age"], "candidate": ["item", "price"]}
 *
 * Every column is of one side; a side that is left out has all the columns that the other has not.
 * Layers of fields read a side by name, and negatives (negatives.h) put other candidates to a
 * query.
 *
 * Owns: nothing. Threads: any. Fails: E_INVALID naming field and column.
 */
#ifndef MAAS_LEARN_TOWERS_H
#define MAAS_LEARN_TOWERS_H

#include "learn/features.h"

/* Form of params.towers, and that whatever needs it has it. */
maas_status maas_towers_check(const maas_recipe *r, maas_err *err);
/* Sets the tower of every column. */
maas_status maas_towers_assign(maas_features *fs, const json_t *towers, maas_err *err);

#endif
