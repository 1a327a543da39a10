/*
 * learn/classic/linear.h - the exact ways of linear_regression and logistic_regression, whose other
 * way is gradient descent (learn/network.c).
 */
#ifndef MAAS_LEARN_CLASSIC_LINEAR_H
#define MAAS_LEARN_CLASSIC_LINEAR_H

#include "learn/train.h"

/* Whether the exact ways have the memory for the job's table: about 24 bytes a cell, and a square
 * of the columns. */
bool maas_exact_fits(const maas_train_job *job, int64_t max_categories);
/* The recipe is a maas_recipe with its `exact` part. */
maas_status maas_train_least_squares(const maas_train_job *job, maas_train_result *out,
                                     maas_err *err);
maas_status maas_train_logistic(const maas_train_job *job, maas_train_result *out, maas_err *err);

#endif
