/*
 * base/limits.h - every fixed maximum of the program, in one list, with its reason.
 * What an operator of a server may want to change is a setting (base/conf.h, cli tables) instead.
 */
#ifndef MAAS_BASE_LIMITS_H
#define MAAS_BASE_LIMITS_H

/* tensors and graphs */
#define MAAS_MAX_RANK         8            /* dimensions; the ONNX tests reach 7               */
#define MAAS_MAX_TENSOR_BYTES (1ull << 40) /* any size product above is refused as an attack  */
#define MAAS_MAX_NODES        (1u << 20)
#define MAAS_MAX_VALUES       (1u << 22)
#define MAAS_MAX_NODE_IO      (1u << 12)     /* inputs or outputs of one node (Concat of many)   */
#define MAAS_MAX_GRAPH_DEPTH  8              /* subgraphs in subgraphs                           */
#define MAAS_MAX_LOOP_STEPS   (1ull << 26)   /* in all loops of one run: seconds to minutes    */
#define MAAS_MAX_CALL_DEPTH   16             /* functions of a model in functions                */
#define MAAS_MAX_CALLS        (1u << 15)     /* of functions of a model, all together ...        */
#define MAAS_MAX_CALL_BYTES   (256ull << 20) /* ... and what of the file they make us read again */
/* text from outside */
#define MAAS_MAX_NAME         128 /* bytes of a model, data set, alias or column name */
#define MAAS_MAX_JSON_DEPTH   64
#define MAAS_MAX_URL          8192
#define MAAS_MAX_HEADER_BYTES (12u << 10) /* of a request's head: fits libmicrohttpd's pool */
#define MAAS_MAX_CONTROL_BODY (4u << 20)  /* JSON of the control plane, bytes                 */
#define MAAS_MAX_TEXT_BYTES   (64u << 20) /* of one text while it is taken apart to n-grams     */
/* pictures (ops/image.h) */
#define MAAS_MAX_IMAGE_SIDE   32768u
#define MAAS_MAX_IMAGE_PIXELS (1u << 26) /* 200 MB of RGB                                  */
#define MAAS_MAX_IMAGE_RATIO  1024u      /* pixels for one byte of a file ...               */
#define MAAS_MIN_IMAGE_LIMIT  (1u << 22) /* ... with this many for any file                 */
#define MAAS_MAX_FIT_SIDE     8192u      /* of what a model takes                          */
/* data sets */
#define MAAS_MAX_COLUMNS   65536
#define MAAS_MAX_CSV_FIELD (1u << 20) /* bytes of one CSV cell                            */
#define MAAS_MAX_CSV_LINE  (64u << 20)
/* pickles (formats/pickle.h); memory besides: 2x the unpacked file and MAAS_PICKLE_SLACK */
#define MAAS_MAX_PICKLE_OPS    50000000u
#define MAAS_MAX_PICKLE_VALUES 20000000u
#define MAAS_MAX_PICKLE_MEMO   10000000u
#define MAAS_MAX_PICKLE_STACK  (1u << 20)
#define MAAS_PICKLE_SLACK      (64ull << 20)
#define MAAS_MAX_UNPACK_RATIO  256 /* unpacked bytes for one byte of a packed model file ...  */
#define MAAS_MIN_UNPACK_LIMIT  (64ull << 20) /* ... with this much for any file */

#endif
