/*
 * ops/text_bucket.h - a category as one of so many rows of a table, without a list of categories.
 *
 * Threads: any. Fails: never.
 */
#ifndef MAAS_OPS_TEXT_BUCKET_H
#define MAAS_OPS_TEXT_BUCKET_H

#include "tensor/tensor.h"

#define MAAS_TEXT_BUCKETS_MAX (1 << 28)

/* 0..n_buckets-1 by MurmurHash3 of the bytes; -1 for empty text, which is no category. */
int64_t maas_text_bucket(maas_str s, int64_t n_buckets);

#endif
