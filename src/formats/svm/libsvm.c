/*
 * libsvm's model files:
 *
 *   svm_type c_svc                 header, in any order, up to SV
 *   kernel_type rbf
 *   gamma 0.25
 *   nr_class 2
 *   total_sv 3
 *   rho 0.1                        one a pair of classes
 *   label 1 -1
 *   probA -2.1                     one a pair; only with -b 1
 *   probB 0.05
 *   nr_sv 2 1
 *   SV
 *   0.5 1:0.2 4:-1                 coefficients (classes - 1), then index:value, rising
 */
#include <string.h>

#include "base/num.h"
#include "formats/svm/svm_int.h"
#include "base/ban.h"

typedef struct reader {
    svm_text t;
    svm_machine m;
    uint32_t seen; /* bits of header_rows */
} reader;

/* ---- the header ---- */

static maas_status take_type(reader *r)
{
    static const char *const names[] = {"c_svc", "nu_svc", "one_class", "epsilon_svr", "nu_svr"};
    return svm_choice(&r->t, "svm_type", names, MAAS_COUNT(names), &r->m.type);
}

static maas_status take_kernel(reader *r)
{
    static const char *const names[] = {"linear", "polynomial", "rbf", "sigmoid", "precomputed"};
    MAAS_TRY(svm_choice(&r->t, "kernel_type", names, MAAS_COUNT(names), &r->m.kernel));
    if (r->m.kernel == SVM_PRECOMPUTED)
        return svm_fail(&r->t, MAAS_E_UNSUPPORTED,
                        "a precomputed kernel needs the training data; train with another kernel");
    return MAAS_OK;
}

static maas_status take_degree(reader *r)
{
    return svm_f64(&r->t, "degree", &r->m.degree);
}
static maas_status take_gamma(reader *r)
{
    return svm_f64(&r->t, "gamma", &r->m.gamma);
}
static maas_status take_coef0(reader *r)
{
    return svm_f64(&r->t, "coef0", &r->m.coef0);
}
static maas_status take_classes(reader *r)
{
    MAAS_TRY(svm_i64(&r->t, "nr_class", 2, SVM_MAX_CLASSES, &r->m.k));
    r->m.pairs = r->m.k * (r->m.k - 1) / 2;
    return MAAS_OK;
}
static maas_status take_total(reader *r)
{
    return svm_i64(&r->t, "total_sv", 1, SVM_MAX_VECTORS, &r->m.v);
}
static maas_status take_rho(reader *r)
{
    return svm_f64s(&r->t, "rho", r->m.pairs, &r->m.rho);
}
static maas_status take_labels(reader *r)
{
    return svm_i64s(&r->t, "label", r->m.k, INT32_MIN, INT32_MAX, &r->m.labels);
}

static bool is_classifier(const svm_machine *m)
{
    return m->type == SVM_C_SVC || m->type == SVM_NU_SVC;
}

/* Regression has a probA alone, the width of its noise: predictions do not use it. */
static maas_status take_prob_a(reader *r)
{
    return is_classifier(&r->m) ? svm_f64s(&r->t, "probA", r->m.pairs, &r->m.prob_a) : MAAS_OK;
}
static maas_status take_prob_b(reader *r)
{
    return is_classifier(&r->m) ? svm_f64s(&r->t, "probB", r->m.pairs, &r->m.prob_b) : MAAS_OK;
}
static maas_status take_counts(reader *r)
{
    return svm_i64s(&r->t, "nr_sv", r->m.k, 0, SVM_MAX_VECTORS, &r->m.n_of);
}
static maas_status take_marks(reader *r)
{
    return MAAS_OK; /* of one class: for a probability that only the tool prints */
}

static const struct header_row {
    const char *name;
    maas_status (*take)(reader *r);
    bool after_classes; /* its length is that of nr_class */
} header_rows[] = {
    {"svm_type", take_type, false},
    {"kernel_type", take_kernel, false},
    {"nr_class", take_classes, false},
    {"total_sv", take_total, false},
    {"rho", take_rho, true},
    {"label", take_labels, true},
    {"nr_sv", take_counts, true},
    {"degree", take_degree, false},
    {"gamma", take_gamma, false},
    {"coef0", take_coef0, false},
    {"probA", take_prob_a, true},
    {"probB", take_prob_b, true},
    {"prob_density_marks", take_marks, false},
};
enum { TYPE = 1, KERNEL = 2, CLASSES = 4, TOTAL = 8, RHO = 16, LABELS = 32, COUNTS = 64 };

static maas_status read_line(reader *r, maas_span key)
{
    for (size_t i = 0; i < MAAS_COUNT(header_rows); i++) {
        const struct header_row *row = &header_rows[i];
        if (!maas_span_is(key, row->name))
            continue;
        if (r->seen >> i & 1)
            return svm_fail(&r->t, MAAS_E_FORMAT, "%s comes twice", row->name);
        if (row->after_classes && !(r->seen & CLASSES))
            return svm_fail(&r->t, MAAS_E_FORMAT, "%s comes before nr_class", row->name);
        if (row->after_classes && !(r->seen & TYPE))
            return svm_fail(&r->t, MAAS_E_FORMAT, "%s comes before svm_type", row->name);
        r->seen |= 1u << i;
        return row->take(r);
    }
    return svm_fail(&r->t, MAAS_E_FORMAT, "'%.*s' is no word of a model's header",
                    (int)(key.n < 40 ? key.n : 40), (const char *)key.p);
}

/* Counts of the header against each other. */
static maas_status check_header(reader *r)
{
    svm_machine *m = &r->m;
    const uint32_t needed = TYPE | KERNEL | CLASSES | TOTAL | RHO |
                            (is_classifier(m) ? LABELS | COUNTS : 0);
    for (size_t i = 0; i < MAAS_COUNT(header_rows); i++)
        if ((needed & ~r->seen) >> i & 1)
            return svm_fail(&r->t, MAAS_E_FORMAT, "%s is missing before SV", header_rows[i].name);
    if (!m->prob_a != !m->prob_b)
        return svm_fail(&r->t, MAAS_E_FORMAT, "probA and probB go together");
    if (!is_classifier(m))
        return m->k == 2 ? MAAS_OK : svm_fail(&r->t, MAAS_E_FORMAT, "nr_class must be 2");
    int64_t sum = 0;
    for (int64_t i = 0; i < m->k; i++)
        sum += m->n_of[i];
    return sum == m->v ? MAAS_OK
                       : svm_fail(&r->t, MAAS_E_FORMAT, "nr_sv says %lld vectors, total_sv %lld",
                                  (long long)sum, (long long)m->v);
}

static maas_status read_header(reader *r)
{
    maas_span key;
    while (svm_next_line(&r->t)) {
        svm_word(&r->t, &key);
        if (maas_span_is(key, "SV"))
            return check_header(r);
        MAAS_TRY(read_line(r, key));
    }
    return svm_fail(&r->t, MAAS_E_FORMAT, "the file ends before SV");
}

/* ---- support vectors: read twice, first for the number of features ---- */

/* index:value; false at the end of the line. */
static maas_status take_pair(reader *r, int64_t *index, double *value, bool *more)
{
    maas_span w;
    *more = svm_word(&r->t, &w);
    if (!*more)
        return MAAS_OK;
    if (!maas_num_i64(&w, index) || !w.n || *w.p != ':' || *index < 0 || *index > SVM_MAX_FEATURES)
        return svm_fail(&r->t, MAAS_E_FORMAT, "index:value is expected, index 0 to %d",
                        SVM_MAX_FEATURES);
    maas_span_skip(&w, 1);
    return maas_num_f64(&w, value) && !w.n && *value - *value == 0
               ? MAAS_OK
               : svm_fail(&r->t, MAAS_E_FORMAT, "the value of index %lld is no finite number",
                          (long long)*index);
}

/* One line; with `store` its numbers go to vector i, else its indices are looked at. */
static maas_status read_vector(reader *r, int64_t i, int64_t *last, bool store)
{
    svm_machine *m = &r->m;
    int64_t before = -1, index;
    double value;
    bool more;
    for (int64_t c = 0; c < m->k - 1; c++) {
        MAAS_TRY(svm_f64(&r->t, "a coefficient", &value));
        if (store)
            m->coef[c * m->v + i] = value;
    }
    for (;;) {
        MAAS_TRY(take_pair(r, &index, &value, &more));
        if (!more)
            return MAAS_OK;
        if (index <= before)
            return svm_fail(&r->t, MAAS_E_FORMAT, "index %lld does not rise", (long long)index);
        before = index;
        if (store)
            m->vectors[i * m->f + index - m->first] = value;
        m->first = index == 0 ? 0 : m->first;
        *last = index > *last ? index : *last;
    }
}

static maas_status read_vectors(reader *r, bool store)
{
    int64_t last = 0;
    for (int64_t i = 0; i < r->m.v; i++) {
        if (!svm_next_line(&r->t))
            return svm_fail(&r->t, MAAS_E_FORMAT, "the file ends after %lld of %lld vectors",
                            (long long)i, (long long)r->m.v);
        MAAS_TRY(read_vector(r, i, &last, store));
    }
    if (!store)
        r->m.f = last - r->m.first + 1;
    return MAAS_OK;
}

static maas_status read_all(reader *r)
{
    svm_machine *m = &r->m;
    int64_t n_coef, n_vectors;
    m->first = 1;
    MAAS_TRY(read_header(r));
    const svm_text here = r->t;
    MAAS_TRY(read_vectors(r, false));
    if (m->f < 1)
        return svm_fail(&r->t, MAAS_E_FORMAT, "the vectors have no features");
    if (svm_next_line(&r->t))
        return svm_fail(&r->t, MAAS_E_FORMAT, "more lines than total_sv says");
    if (__builtin_mul_overflow(m->k - 1, m->v, &n_coef) ||
        __builtin_mul_overflow(m->v, m->f, &n_vectors))
        return svm_fail(&r->t, MAAS_E_TOO_LARGE, "%lld vectors of %lld features", (long long)m->v,
                        (long long)m->f);
    m->coef = svm_alloc(&r->t, n_coef, sizeof *m->coef);
    m->vectors = svm_alloc(&r->t, n_vectors, sizeof *m->vectors);
    if (!m->coef || !m->vectors)
        return MAAS_E_NOMEM;
    r->t = here;
    return read_vectors(r, true);
}

maas_status maas_libsvm_model_read(maas_span file, maas_budget *budget, maas_graph **out,
                                   maas_err *err)
{
    maas_arena arena;
    maas_arena_init(&arena, budget);
    reader r = {.t = {.rest = file, .arena = &arena, .err = err}};
    maas_status st = read_all(&r);
    if (st == MAAS_OK)
        st = svm_machine_graph(&r.m, &r.t, out);
    maas_arena_reset(&arena);
    return st;
}

int maas_libsvm_model_probe(maas_span head)
{
    return head.n > 9 && memcmp(head.p, "svm_type ", 9) == 0 ? 95 : 0;
}
