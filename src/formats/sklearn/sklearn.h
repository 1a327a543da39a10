/*
 * formats/sklearn/sklearn.h - fitted scikit-learn estimators become graphs: one row an estimator.
 *
 *   pickle ──maas_pickle_read──► values ──maas_sk_decode(root)──► graph ──► inputs and outputs
 * named
 *
 * A decoder reads the fitted attributes of one estimator (the names end in "_") and appends nodes
 * that compute what it answers. It never sees a file and never calls anything but what is declared
 * here, in formats/pickle.h and in ops/build.h. Estimators that hold others (Pipeline, Voting...)
 * decode them by maas_sk_decode and combine the outputs.
 *
 * Numbers are F64 throughout, as the maker computes. Values that no output needs are dropped at the
 * end, so a decoder builds all it can say and looks at `need` only where that costs.
 *
 * Errors: reading functions return a status (MAAS_TRY them); graph functions are sticky like the
 * builder they wrap and may be nested. All are prefixed with the place, such as
 * "Pipeline.steps[1] 'scale' (StandardScaler): scale_ has shape [3], expected [4]".
 *
 * Owns: nothing. Borrows: everything a decoder is given lives as long as the graph, arrays of the
 * pickle included: constants are not copied. Threads: one decoding at a time per maas_sk.
 */
#ifndef MAAS_FORMATS_SKLEARN_H
#define MAAS_FORMATS_SKLEARN_H

#include "formats/pickle.h"
#include "ops/build.h"

/* Estimators in estimators: Search(Pipeline(ColumnTransformer(Pipeline(...)))) is 4 deep. */
#define MAAS_SK_MAX_DEPTH 8
/* Estimators of one model that go through maas_sk_decode, shared ones counted each time. */
#define MAAS_SK_MAX_ESTIMATORS 65536

typedef enum maas_sk_role {
    MAAS_SK_CLASSIFIER,  /* label, and probabilities or scores   */
    MAAS_SK_REGRESSOR,   /* value                                */
    MAAS_SK_TRANSFORMER, /* transformed                          */
    MAAS_SK_CLUSTERER,   /* label, distances or probabilities    */
    MAAS_SK_OUTLIER,     /* label (1, -1), scores                */
    MAAS_SK_META         /* the decoder sets out->role           */
} maas_sk_role;

/* What the caller cannot do without. The root is asked for nothing in particular. */
enum {
    MAAS_SK_TRANSFORMED = 1,
    MAAS_SK_LABEL = 2,
    MAAS_SK_PROBABILITIES = 4,
    MAAS_SK_SCORES = 8,
    MAAS_SK_VALUE = 16,
    MAAS_SK_DISTANCES = 32
};

/*
 * Rows that flow between estimators: one matrix, or columns on their own (a DataFrame with text, or
 * what a transformer of text gives). Columns of the model's own input are made when somebody first
 * asks for them: who asks, knows whether it is text. Use the functions below, not the fields.
 */
typedef struct maas_sk_column {
    maas_vid v;   /* [n, 1] F64 or STRING; MAAS_NO_VALUE: column `root` of the model's input */
    int64_t root; /* -1: not one of the model's input */
} maas_sk_column;

typedef struct maas_sk_table {
    maas_vid x;                 /* [n, n_cols] F64; MAAS_NO_VALUE: see cols, else the root input  */
    int64_t n_cols;             /* -1: not known (the model's own input, not said by the file)    */
    const maas_sk_column *cols; /* [n_cols]; NULL: x, or the whole input of the model             */
} maas_sk_table;

typedef struct maas_sk_out {
    maas_sk_role role;
    maas_sk_table transformed;  /* n_cols 0: none                                              */
    maas_vid label;             /* [n] (or [n, outputs]): I64, STRING, or F64 for odd classes  */
    maas_vid probabilities;     /* [n, n_classes] F64, in the order of classes                 */
    maas_vid scores;            /* decision_function: F64 [n, 1] or [n, k]                     */
    maas_vid value;             /* predictions of a regressor: F64 [n] or [n, t]               */
    maas_vid distances;         /* F64 [n, k]: transform() of a clusterer                      */
    const maas_tensor *classes; /* I64, F64 or STRING [n_classes], see maas_sk_classes; or NULL */
} maas_sk_out;

typedef struct maas_sk maas_sk;
struct maas_sk {
    maas_builder b;    /* status and words of the first failure are in here           */
    maas_arena *arena; /* lives as long as the graph: tables, converted arrays        */
    int version;       /* of the estimator being decoded: 10502 is 1.5.2; 0 unknown   */
    /* private to sklearn.c */
    struct maas_sk_root *root;
    struct maas_sk_place *place;
    uint32_t depth, n_estimators;
    bool placed; /* the failure names its place already */
};

typedef maas_status maas_sk_decode_fn(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                      unsigned need, maas_sk_out *out);

typedef struct maas_sk_row {
    const char *name;    /* "LinearRegression"                                             */
    const char *modules; /* where it lived over the versions: "sklearn.linear_model._base
                            sklearn.linear_model.base", separated by blanks                */
    maas_sk_role role;
    maas_sk_decode_fn *decode;
} maas_sk_row;

/* Families: sklearn/<family>.c defines `const maas_sk_row maas_sk_<family>[]`, ended by {0}, and
 * has a line in sklearn/families.def. */
#define MAAS_SK_FAMILY(name) extern const maas_sk_row maas_sk_##name[];
#include "formats/sklearn/families.def"
#undef MAAS_SK_FAMILY

const maas_sk_row *maas_sk_find(const maas_pk *est); /* NULL: no row for its class */
/* Is this value an object of that class, whichever module it lived in? ("LabelBinarizer") */
bool maas_sk_is(const maas_pk *est, const char *name);

/* ---- estimators in estimators ---- */
/* Decodes `est` on `in`; E_UNSUPPORTED when it has no row, or when it does not give all of `need`.
 * fmt names the place within its parent: "steps[%d] '%s'". `out` is zeroed to "nothing" first. */
__attribute__((format(printf, 6, 7))) maas_status maas_sk_decode(maas_sk *s, const maas_pk *est,
                                                                 const maas_sk_table *in,
                                                                 unsigned need, maas_sk_out *out,
                                                                 const char *fmt, ...);
/* None, "passthrough" or "drop" in place of an estimator. */
bool maas_sk_is_word(const maas_pk *est, const char *word); /* word NULL: None or absent */

/* ---- failing: both return the status, so that `return maas_sk_fail(...)` reads well ---- */
__attribute__((format(printf, 3, 4))) maas_status maas_sk_fail(maas_sk *s, maas_status st,
                                                               const char *fmt, ...);

/* ---- attributes ---- */
/* Required. E_FORMAT names estimator, attribute and what was found. */
maas_status maas_sk_int(maas_sk *s, const maas_pk *est, const char *name, int64_t *out);
maas_status maas_sk_double(maas_sk *s, const maas_pk *est, const char *name, double *out);
maas_status maas_sk_bool(maas_sk *s, const maas_pk *est, const char *name, bool *out);
maas_status maas_sk_str(maas_sk *s, const maas_pk *est, const char *name, maas_str *out);
/* Optional: absent or None gives `otherwise`; a value of another type is still an error. */
maas_status maas_sk_int_or(maas_sk *s, const maas_pk *est, const char *name, int64_t otherwise,
                           int64_t *out);
maas_status maas_sk_double_or(maas_sk *s, const maas_pk *est, const char *name, double otherwise,
                              double *out);
maas_status maas_sk_bool_or(maas_sk *s, const maas_pk *est, const char *name, bool otherwise,
                            bool *out);
bool maas_sk_has(const maas_pk *est, const char *name); /* there, and not None */
/* A text attribute as the number of its place in `words` ("ovr", "ovo", NULL); E_UNSUPPORTED names
 * a word that is not listed. Absent or None: `otherwise`. */
maas_status maas_sk_word(maas_sk *s, const maas_pk *est, const char *name, const char *const *words,
                         int otherwise, int *out);
/* An array of `rank` dimensions as F64 or I64 (converted when it is stored otherwise). dims[rank]:
 * sizes expected, -1 for any; filled in with those found. A number counts as rank 0; a sparse
 * matrix of scipy is made dense. Elements must be finite unless allow_nan. dims may be NULL: any.
 */
maas_status maas_sk_array(maas_sk *s, const maas_pk *est, const char *name, maas_dtype dtype,
                          int rank, int64_t *dims, const maas_tensor **out);
maas_status maas_sk_array_nan(maas_sk *s, const maas_pk *est, const char *name, maas_dtype dtype,
                              int rank, int64_t *dims, const maas_tensor **out);
/* The same for a value that is no attribute (an item of a list); `what` is for messages. */
maas_status maas_sk_array_of(maas_sk *s, const maas_pk *v, const char *what, maas_dtype dtype,
                             int rank, int64_t *dims, bool allow_nan, const maas_tensor **out);
/* classes_ (or any array of labels) as a 1-D tensor: whole numbers and bools become I64, text
 * STRING, numbers with a fraction F64. n: number expected, or -1. */
maas_status maas_sk_classes(maas_sk *s, const maas_pk *est, const char *name, int64_t n,
                            const maas_tensor **out);
maas_status maas_sk_classes_of(maas_sk *s, const maas_pk *v, const char *what, int64_t n,
                               const maas_tensor **out);
void *maas_sk_alloc(maas_sk *s, size_t n, size_t size); /* NULL: failed, said in s->b */

/* ---- rows ---- */
/* The whole as a matrix [n, n_features] F64; n_features -1: whatever it is. Text cannot be. */
maas_vid maas_sk_matrix(maas_sk *s, const maas_sk_table *in, int64_t n_features);
/* Column i as [n, 1] F64, or as text [n, 1] STRING. */
maas_vid maas_sk_number_column(maas_sk *s, const maas_sk_table *in, int64_t i);
maas_vid maas_sk_text_column(maas_sk *s, const maas_sk_table *in, int64_t i);
/* Is column i certain to be text? (The model's own columns are not, until asked for as text.) */
bool maas_sk_is_text(maas_sk *s, const maas_sk_table *in, int64_t i);
/* One text a row, as CountVectorizer takes it: STRING [n]. */
maas_vid maas_sk_texts(maas_sk *s, const maas_sk_table *in);
/* Some of the columns, in that order (ColumnTransformer, feature selection). */
maas_status maas_sk_take(maas_sk *s, const maas_sk_table *in, const int64_t *which, int64_t n,
                         maas_sk_table *out);
/* Side by side: a matrix when all parts are matrices, columns else. */
maas_status maas_sk_side_by_side(maas_sk *s, const maas_sk_table *parts, int64_t n,
                                 maas_sk_table *out);
maas_sk_table maas_sk_table_of(maas_vid x, int64_t n_cols); /* a matrix [n, n_cols] F64 */
maas_status maas_sk_table_columns(maas_sk *s, const maas_vid *v, int64_t n, maas_sk_table *out);
/* Number of a column by name among feature_names_in_ of `est`; -1. */
int64_t maas_sk_column_number(const maas_pk *est, maas_str name);

/* ---- graphs, in F64 unless said otherwise; sticky ---- */
maas_vid maas_sk_const(maas_sk *s,
                       const maas_tensor *t); /* borrowed: must live as the graph does */
maas_vid maas_sk_f64(maas_sk *s, double v);   /* scalar */
maas_vid maas_sk_f64s(maas_sk *s, const double *v, int64_t n); /* [n], copied */
/* x [n, f] times coef [k, f] transposed, plus intercept [k] (NULL: none): [n, k]. */
maas_vid maas_sk_linear(maas_sk *s, maas_vid x, const maas_tensor *coef,
                        const maas_tensor *intercept);
/* x [n, f] times w [f, k], plus bias [k] (NULL: none). */
maas_vid maas_sk_affine(maas_sk *s, maas_vid x, const maas_tensor *w, const maas_tensor *bias);
maas_vid maas_sk_cast(maas_sk *s, maas_vid x, maas_dtype t);
maas_vid maas_sk_narrow(maas_sk *s, maas_vid x); /* rounded to F32 and back: what trees compare */
maas_vid maas_sk_concat(maas_sk *s, const maas_vid *v, uint32_t n, int axis);
maas_vid maas_sk_flat(maas_sk *s, maas_vid x);    /* [n, 1] -> [n] */
maas_vid maas_sk_upright(maas_sk *s, maas_vid x); /* [n] -> [n, 1] */
maas_vid maas_sk_gather(maas_sk *s, maas_vid x, const int64_t *which, int64_t n, int axis);
maas_vid maas_sk_reduce(maas_sk *s, const char *op, maas_vid x, bool keep); /* over the last axis */
maas_vid maas_sk_argmax(maas_sk *s, maas_vid x);  /* [n, k] -> [n] I64, first of equals */
maas_vid maas_sk_softmax(maas_sk *s, maas_vid x); /* over the last axis */
/* 1 / (1 + exp(-x)): ONNX Runtime's Sigmoid of doubles gives NaN for large ones. */
maas_vid maas_sk_sigmoid(maas_sk *s, maas_vid x);
maas_vid maas_sk_normalize(maas_sk *s, maas_vid x); /* rows divided by their sum */
maas_vid maas_sk_both(maas_sk *s, maas_vid p);      /* [n, 1] -> [n, 2]: 1 - p, p */
/* index [n] I64 (or BOOL: 0, 1) -> label [n] of classes. */
maas_vid maas_sk_label(maas_sk *s, maas_vid index, const maas_tensor *classes);

/* A constant [1, k] or [1], once for each row of `in`: [n, k] or [n]. Copied. */
maas_vid maas_sk_repeat(maas_sk *s, const maas_sk_table *in, const maas_tensor *row);
/* Of an outlier detector: 1 where scores [n, 1] are above `at` (or equal to it), else -1: I64 [n].
 */
maas_vid maas_sk_inlier(maas_sk *s, maas_vid scores, double at, bool or_equal);

/* ---- the model format ---- */
int maas_sk_probe(maas_span head);
maas_status maas_sk_read(maas_span file, maas_budget *budget, maas_graph **out, maas_err *err);

#endif
