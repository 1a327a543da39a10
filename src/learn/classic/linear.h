/*
 * learn/classic/linear.h - the exact ways of linear_regression and logistic_regression, whose other
 * way is gradient descent (learn/network.c).
 */
#ifndef MAAS_LEARN_CLASSIC_LINEAR_H
#define MAAS_LEARN_CLASSIC_LINEAR_H

#include "learn/train.h"

/* The recipe is a maas_recipe with its `exact` part. */
maas_status maas_train_least_squares(const maas_train_job *job, maas_train_result *out,
                                     maas_err *err);
maas_status maas_train_logistic(const maas_train_job *job, maas_train_result *out, maas_err *err);

#endif
