/*
 * api/infer.h - one prediction, whatever the dialect: find the model, decode, run, encode.
 *
 *   I/O thread: find ──► decode ──► check ──► cheap? ──► run ──► encode ──► reply
 *                 │                              └─ no: suspend, queue ──► lane: batch ──► encode
 *                 └─ not in memory: suspend ──► io thread: load, and on from decode
 *
 * A dialect is a codec: bytes to run.in, run.out to bytes. Both may run on any of the threads
 * above.
 */
#ifndef MAAS_API_INFER_H
#define MAAS_API_INFER_H

#include "api/app.h"

typedef struct maas_prediction maas_prediction;

typedef struct maas_codec {
    const char *name;                                         /* for metrics */
    maas_status (*decode)(maas_prediction *q, maas_err *err); /* body -> q->run.in (in the arena) */
    maas_status (*encode)(maas_prediction *q, maas_err *err); /* q->run.out -> a reply            */
    /* Instead of running the model: always on a lane, never together with others. May be NULL. */
    maas_status (*run)(maas_prediction *q, int n_threads, maas_err *err);
    /* The last that is heard of a prediction, answered or failed. May be NULL. */
    void (*end)(maas_prediction *q, bool ok);
} maas_codec;

struct maas_prediction {
    maas_work work; /* first: what waits in the instance's queue */
    maas_req *req;
    maas_arena *arena;    /* of the request */
    maas_instance *model; /* referenced until the reply was made */
    maas_run run;
    const maas_codec *codec;
    void *own;                      /* of the codec */
    const char *name, *version;     /* as the client addressed it */
    uint64_t begin_ns, deadline_ns; /* monotonic; 0: no deadline */
};

/* Replies in the end, now or later. version may be NULL. */
void maas_infer_start(maas_req *r, const char *model, const char *version, const maas_codec *codec,
                      void *own);
/* The same on the io thread, for a request that is suspended. True: replied. */
bool maas_infer_start_late(maas_req *r, const char *model, const char *version,
                           const maas_codec *codec, void *own);
/* io thread, the request suspended and q->model referenced: decodes and runs or queues it. True:
 * replied. */
bool maas_infer_proceed(maas_prediction *q);
/* For maas_instance_opts.run_queue. */
void maas_infer_run_queue(void *user, maas_work *list, int n_threads);
/* The model of a request that names none: ?model=, the setting, the only one there is; else NULL
 * and E_INVALID listing the names. In the arena. */
const char *maas_default_model(maas_req *r, maas_err *err);
/* A tensor of the model's input i from one of `from`'s dtype: itself, or widened into the arena;
 * E_INVALID names both dtypes. */
maas_status maas_infer_widen(maas_prediction *q, uint32_t i, const maas_tensor *from,
                             maas_err *err);

#endif
