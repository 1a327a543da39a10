/*
 * learn/encode_words.c - texts by their words: hashed, or counted in a vocabulary and weighted by
 * how rare a word is (tf-idf), and dates.
 *
 * Words are those of scikit-learn's CountVectorizer: two letters or more, in lower case. The
 * vocabulary has the words that most training rows have, first by number of rows, then by bytes.
 */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "learn/columns.h"
#include "learn/encoders.h"
#include "ops/text.h"

#include "base/ban.h"

#define PATTERN   "\\b\\w\\w+\\b"
#define MAX_WORDS (1 << 22) /* different ones while counting */

/* ---- a vocabulary ---- */

typedef struct word {
    maas_str text;
    int64_t rows, last; /* rows that have it; the last of them, so that one counts once */
} word;

typedef struct vocabulary {
    maas_arena *arena;
    word *words;
    uint32_t *slots; /* number of a word + 1 */
    size_t n, cap, n_slots;
    int64_t row;
    maas_buf joined; /* pieces of an n-gram with blanks between */
    bool failed;
} vocabulary;

static uint64_t hash_text(maas_str s)
{
    uint64_t h = 1469598103934665603ull;
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (uint8_t)s.p[i]) * 1099511628211ull;
    return h ^ h >> 29;
}

static size_t slot_of(const vocabulary *v, maas_str s)
{
    size_t i = hash_text(s) & (v->n_slots - 1);
    while (v->slots[i] && maas_text_compare(v->words[v->slots[i] - 1].text, s) != 0)
        i = (i + 1) & (v->n_slots - 1);
    return i;
}

/* Both arrays double; the old ones stay in the arena, which is at most as much again. */
static bool grow(vocabulary *v)
{
    const size_t cap = v->cap ? 2 * v->cap : 256;
    word *words = maas_arena_array(v->arena, cap, sizeof *words);
    uint32_t *slots = maas_arena_array(v->arena, 4 * cap, sizeof *slots);
    if (!words || !slots)
        return false;
    if (v->n)
        memcpy(words, v->words, v->n * sizeof *words);
    v->words = words;
    v->slots = slots;
    v->cap = cap;
    v->n_slots = 4 * cap;
    for (size_t i = 0; i < v->n; i++)
        v->slots[slot_of(v, v->words[i].text)] = (uint32_t)i + 1;
    return true;
}

static maas_str join(vocabulary *v, const maas_str *pieces, int n)
{
    v->joined.n = 0;
    for (int i = 0; i < n; i++) {
        maas_buf_add(&v->joined, " ", i > 0);
        maas_buf_add(&v->joined, pieces[i].p, pieces[i].n);
    }
    return (maas_str){v->joined.p ? v->joined.p : "", v->joined.n};
}

static void see_word(void *user, const maas_str *pieces, int n)
{
    vocabulary *v = user;
    const maas_str s = join(v, pieces, n);
    if (v->failed || v->joined.failed || (v->n == v->cap && (v->n >= MAX_WORDS || !grow(v)))) {
        v->failed = true;
        return;
    }
    const size_t at = slot_of(v, s);
    if (!v->slots[at]) {
        char *copy = maas_arena_strndup(v->arena, s.p, s.n);
        v->failed |= !copy;
        if (!copy)
            return;
        v->words[v->n] = (word){.text = {copy, s.n}, .last = -1};
        v->slots[at] = (uint32_t)++v->n;
    }
    word *w = &v->words[v->slots[at] - 1];
    w->rows += w->last != v->row;
    w->last = v->row;
}

static int by_rows(const void *pa, const void *pb)
{
    const word *a = pa, *b = pb;
    return a->rows != b->rows ? (a->rows > b->rows ? -1 : 1) : maas_text_compare(a->text, b->text);
}

static int by_text(const void *pa, const void *pb)
{
    return maas_text_compare(((const word *)pa)->text, ((const word *)pb)->text);
}

static maas_status read_words(const maas_encoding *e, vocabulary *v, maas_err *err)
{
    maas_text how = {.lower = true, .min_n = 1, .max_n = (int)e->o->preparation->ngrams};
    maas_text_work work;
    maas_status st = maas_text_pattern_compile((maas_str){PATTERN, strlen(PATTERN)}, &how.pattern,
                                               err);
    maas_text_work_init(&work);
    v->joined = (maas_buf)MAAS_BUF_INIT(1 << 20);
    if (st == MAAS_OK && !grow(v))
        st = maas_fail(err, MAAS_E_NOMEM, "words of column '%s'", e->f->col->desc.name);
    for (int64_t i = 0; st == MAAS_OK && i < e->train->n; i++) {
        const maas_str s = maas_column_text(e->f->col, e->train->at[i]);
        v->row = i;
        if (s.p)
            st = maas_text_ngrams(&how, s, &work, see_word, v, err);
        if (st != MAAS_OK)
            maas_err_prefix(err, "column '%s', row %u", e->f->col->desc.name, e->train->at[i] + 1);
        else if (v->failed)
            st = maas_fail(err, MAAS_E_NOMEM,
                           "column '%s' has too many different words: hashing "
                           "takes any number",
                           e->f->col->desc.name);
    }
    maas_text_work_reset(&work);
    maas_buf_reset(&v->joined);
    return st;
}

/* ---- tf-idf ---- */

typedef struct tfidf {
    maas_str *words; /* [width] sorted */
    float *idf;      /* [width] */
    int64_t ngrams;
} tfidf;

/* The first f->width words, which lie in another arena, and their weights. */
static maas_status keep_words(const maas_encoding *e, const word *words, maas_err *err)
{
    maas_feature *f = e->f;
    maas_arena *a = &e->fs->arena;
    tfidf *t = maas_arena_alloc(a, sizeof *t);
    maas_str *text = maas_arena_array(a, (size_t)f->width, sizeof *text);
    float *idf = maas_arena_array(a, (size_t)f->width, sizeof *idf);
    if (!t || !text || !idf)
        return maas_fail(err, MAAS_E_NOMEM, "words of column '%s'", f->col->desc.name);
    for (int64_t i = 0; i < f->width; i++) {
        text[i] = (maas_str){maas_arena_strndup(a, words[i].text.p, words[i].text.n),
                             words[i].text.n};
        if (!text[i].p)
            return maas_fail(err, MAAS_E_NOMEM, "words of column '%s'", f->col->desc.name);
        idf[i] = (float)(log((1 + (double)e->train->n) / (1 + (double)words[i].rows)) + 1);
    }
    *t = (tfidf){text, idf, e->o->preparation->ngrams};
    f->state = t;
    return MAAS_OK;
}

static maas_status fit_tfidf(const maas_encoding *e, maas_err *err)
{
    const int64_t most = e->o->preparation->max_words;
    maas_arena scratch;
    maas_arena_init(&scratch, e->fs->budget);
    vocabulary v = {.arena = &scratch};
    maas_status st = read_words(e, &v, err);
    if (st == MAAS_OK && v.n == 0)
        st = maas_fail(err, MAAS_E_INVALID, "column '%s' has no words of two letters or more",
                       e->f->col->desc.name);
    if (st == MAAS_OK) {
        qsort(v.words, v.n, sizeof *v.words, by_rows);
        e->f->width = (int64_t)v.n < most ? (int64_t)v.n : most;
        qsort(v.words, (size_t)e->f->width, sizeof *v.words, by_text);
        st = keep_words(e, v.words, err);
    }
    maas_arena_reset(&scratch);
    return st;
}

static maas_vid counts(maas_builder *b, maas_vid text, const maas_attr *more, uint32_t n_more,
                       int64_t width, int64_t ngrams)
{
    maas_attr attr[8] = {MAAS_A_STR("pattern", PATTERN), MAAS_A_INT("n_columns", width),
                         MAAS_A_INT("ngram_max", ngrams)};
    uint32_t n = 3;
    for (uint32_t i = 0; i < n_more; i++)
        attr[n++] = more[i];
    maas_vid x = MAAS_NO_VALUE;
    x = maas_b_node(b, "TextCounts", attr, n, &text, 1, &x, 1);
    maas_attr to = MAAS_A_INT("to", MAAS_F32);
    maas_vid out = MAAS_NO_VALUE;
    return maas_b_node(b, "Cast", &to, 1, &x, 1, &out, 1);
}

/* Rows of length 1; one without words stays 0. */
static maas_vid unit_rows(maas_builder *b, maas_vid x)
{
    maas_attr keep = MAAS_A_INT("keepdims", 1);
    maas_vid in[2] = {x, maas_b_i64s(b, (int64_t[]){1}, 1)}, length = MAAS_NO_VALUE;
    length = maas_b_node(b, "ReduceL2", &keep, 1, in, 2, &length, 1);
    return maas_b_op2(b, "Div", x, maas_b_op2(b, "Max", length, maas_b_f32(b, 1e-30f)));
}

static maas_vid build_tfidf(const maas_feature *f, maas_builder *b, maas_vid text)
{
    const tfidf *t = f->state;
    const maas_attr words = {.name = "vocabulary",
                             .type = MAAS_ATTR_STRINGS,
                             .n = (uint32_t)f->width,
                             .u.strings = t->words};
    const maas_tensor idf = maas_tensor_of(MAAS_F32, 1, &f->width, t->idf);
    maas_vid x = counts(b, text, &words, 1, f->width, t->ngrams);
    return unit_rows(b, maas_b_op2(b, "Mul", x, maas_b_const(b, NULL, &idf)));
}

const maas_encoder maas_encoder_tfidf = {.name = "tfidf", .fit = fit_tfidf, .build = build_tfidf};

/* ---- hashing ---- */

static maas_status fit_hashing(const maas_encoding *e, maas_err *err)
{
    int64_t *ngrams = maas_arena_alloc(&e->fs->arena, sizeof *ngrams);
    if (!ngrams)
        return maas_fail(err, MAAS_E_NOMEM, "column '%s'", e->f->col->desc.name);
    *ngrams = e->o->preparation->ngrams;
    e->f->width = e->o->preparation->hash_columns;
    e->f->state = ngrams;
    return MAAS_OK;
}

static maas_vid build_hashing(const maas_feature *f, maas_builder *b, maas_vid text)
{
    const maas_attr sign = MAAS_A_INT("alternate_sign", 1);
    return unit_rows(b, counts(b, text, &sign, 1, f->width, *(const int64_t *)f->state));
}

const maas_encoder maas_encoder_hashing = {
    .name = "hashing", .fit = fit_hashing, .build = build_hashing};

/* ---- dates ---- */

static maas_status fit_date(const maas_encoding *e, maas_err *err)
{
    (void)err;
    e->f->width = 6;
    return MAAS_OK;
}

static maas_vid build_date(const maas_feature *f, maas_builder *b, maas_vid text)
{
    (void)f;
    maas_attr to = MAAS_A_INT("to", MAAS_F32);
    maas_vid parts = maas_b_op1(b, "DateParts", text), out = MAAS_NO_VALUE;
    return maas_b_node(b, "Cast", &to, 1, &parts, 1, &out, 1);
}

const maas_encoder maas_encoder_date = {
    .name = "date", .scaled = true, .fit = fit_date, .build = build_date};
