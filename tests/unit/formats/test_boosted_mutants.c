/*
 * Accepted means safe to run, for the readers of other makers' models: thousands of damaged files,
 * each of which is refused with words or planned and run without a report of the sanitizers.
 */
#include "maas_test.h"

#include <dirent.h>

#include "base/sys.h"
#include "formats/boosted.h"
#include "formats/pmml/pmml.h"
#include "formats/svm/svm.h"
#include "formats/tflite/tflite.h"
#include "../../fuzz/keras_fake.h"
#include "../../fuzz/onnx_run.h"

enum { MAX_SEEDS = 32, MAX_BYTES = 8192, N_MUTANTS = 4000, SECONDS = 5 };

typedef struct seed {
    uint8_t bytes[MAX_BYTES];
    size_t n;
    char name[64];
} seed;

typedef struct format {
    const char *name;
    model_reader *read;
} format;

static seed seeds[MAX_SEEDS];
static size_t n_seeds;

static void load_corpus(const format *f)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s/%s", CORPUS, f->name);
    DIR *dir = opendir(folder);
    for (struct dirent *d; dir && n_seeds < MAX_SEEDS && (d = readdir(dir));) {
        char path[1024];
        seed *s = &seeds[n_seeds];
        snprintf(path, sizeof path, "%s/%s", folder, d->d_name);
        FILE *file = d->d_name[0] == '.' ? NULL : fopen(path, "rb");
        if (!file)
            continue;
        snprintf(s->name, sizeof s->name, "%.63s", d->d_name);
        s->n = fread(s->bytes, 1, sizeof s->bytes, file);
        n_seeds += s->n > 0;
        fclose(file);
    }
    if (dir)
        closedir(dir);
}

/* In memory of exactly its size, so that a read past the end is seen. */
static onnx_run run_exact(const format *f, const seed *s)
{
    uint8_t *copy = malloc(s->n ? s->n : 1);
    memcpy(copy, s->bytes, s->n);
    onnx_run r = model_run_bytes(maas_span_of(copy, s->n), f->read);
    free(copy);
    return r;
}

/* ---- ways to damage ---- */

static size_t place(maas_rng *rng, const seed *s)
{
    return s->n ? (size_t)maas_rng_below(rng, s->n) : 0;
}

static void flip_bit(seed *s, maas_rng *rng)
{
    s->bytes[place(rng, s)] ^= (uint8_t)(1u << maas_rng_below(rng, 8));
}

static void set_byte(seed *s, maas_rng *rng)
{
    static const uint8_t likely[] = {0, 1, 0x7f, 0x80, 0xff, '-', ',', '[', '{', '"', ' ', '\n'};
    s->bytes[place(rng, s)] = likely[maas_rng_below(rng, sizeof likely)];
}

/* In text, another number; in binary, another byte. Mutants of this kind often pass. */
static void change_digit(seed *s, maas_rng *rng)
{
    size_t at = place(rng, s);
    for (size_t i = 0; i < s->n; i++, at = (at + 1) % s->n)
        if (s->bytes[at] >= '0' && s->bytes[at] <= '9') {
            s->bytes[at] = (uint8_t)('0' + maas_rng_below(rng, 10));
            return;
        }
}

static void nudge(seed *s, maas_rng *rng)
{
    s->bytes[place(rng, s)] += maas_rng_below(rng, 2) ? 1 : 255;
}

static void cut_end(seed *s, maas_rng *rng)
{
    s->n = place(rng, s);
}

static void cut_middle(seed *s, maas_rng *rng)
{
    size_t at = place(rng, s), n = (size_t)maas_rng_below(rng, 24);
    if (at + n >= s->n)
        return;
    memmove(s->bytes + at, s->bytes + at + n, s->n - at - n);
    s->n -= n;
}

static void insert(seed *s, size_t at, const uint8_t *bytes, size_t n)
{
    if (s->n + n > MAX_BYTES)
        return;
    memmove(s->bytes + at + n, s->bytes + at, s->n - at);
    memcpy(s->bytes + at, bytes, n);
    s->n += n;
}

static void splice(seed *s, maas_rng *rng)
{
    const seed *from = &seeds[maas_rng_below(rng, n_seeds)];
    uint8_t piece[64];
    size_t start = place(rng, from), n = (size_t)maas_rng_below(rng, sizeof piece);
    if (start + n > from->n)
        return;
    memcpy(piece, from->bytes + start, n);
    insert(s, place(rng, s), piece, n);
}

static void insert_number(seed *s, maas_rng *rng)
{
    static const char *const numbers[] = {"0",   "-1",   "1 ",     "9", "2147483647", "4294967295",
                                          "1e9", "-2 ",  "inf",    ",", "1e308",      "0,",
                                          "NaN", "\n\n", "99999 ", "1,"};
    const char *text = numbers[maas_rng_below(rng, MAAS_COUNT(numbers))];
    insert(s, place(rng, s), (const uint8_t *)text, strlen(text));
}

static void (*const damages[])(seed *s, maas_rng *rng) = {
    flip_bit, set_byte,   change_digit, change_digit,  change_digit, nudge,
    cut_end,  cut_middle, splice,       insert_number, insert_number};

/* ---- cases ---- */

static void seeds_run(const format *f)
{
    load_corpus(f);
    EXPECT(n_seeds >= 8);
    for (size_t i = 0; i < n_seeds; i++) {
        onnx_run r = run_exact(f, &seeds[i]);
        EXPECT_MSG(r.accepted && r.ran, "%s: %s", seeds[i].name, r.err.msg);
    }
}

static void mutants_run(const format *f, unsigned first_seed, uint32_t rounds)
{
    uint32_t n_accepted = 0, n_ran = 0, n = 0;
    uint64_t end = maas_now_ns() + SECONDS * 1000000000ull;
    for (; n_seeds && n < N_MUTANTS && maas_now_ns() < end; n++) {
        maas_rng rng;
        maas_rng_seed(&rng, first_seed + n); /* a crash is repeated by its number alone */
        seed s = seeds[maas_rng_below(&rng, n_seeds)];
        for (uint64_t k = 1 + maas_rng_below(&rng, rounds); k && s.n; k--)
            damages[maas_rng_below(&rng, MAAS_COUNT(damages))](&s, &rng);
        if (getenv("MUTANT_TRACE"))
            fprintf(stderr, "mutant %u\n", first_seed + n);
        onnx_run r = run_exact(f, &s);
        n_accepted += r.accepted;
        n_ran += r.ran;
    }
    printf("%s, seeds %u..%u: %u accepted, %u ran\n", f->name, first_seed, first_seed + n,
           n_accepted, n_ran);
    EXPECT(n >= 500);
    EXPECT(n_accepted > n / 50 && n_ran > n / 100);
    EXPECT(n_accepted < n);
}

static void cuts_run(const format *f)
{
    for (size_t i = 0; i < n_seeds; i++)
        for (seed s = seeds[i]; s.n > 0;) {
            s.n -= s.n > 64 ? 7 : 1;
            onnx_run r = run_exact(f, &s);
            EXPECT(r.accepted || r.err.msg[0]);
        }
}

static void attack(const format *f)
{
    seeds_run(f);
    cuts_run(f);
    mutants_run(f, 1, 1);
    mutants_run(f, 1000000, 4);
}

static void xgboost(void)
{
    attack(&(format){"xgboost", maas_xgboost_read});
}
static void lightgbm(void)
{
    attack(&(format){"lightgbm", maas_lightgbm_read});
}
static void catboost(void)
{
    attack(&(format){"catboost", maas_catboost_read});
}

static void libsvm(void)
{
    attack(&(format){"libsvm_model", maas_libsvm_model_read});
}
static void pmml(void)
{
    attack(&(format){"pmml", maas_pmml_read});
}
static void keras(void)
{
    attack(&(format){"keras", keras_fake_read});
}
static void tflite(void)
{
    attack(&(format){"tflite", maas_tflite_read});
}
static void liblinear(void)
{
    attack(&(format){"liblinear", maas_liblinear_read});
}

/* Every failing allocation is a status and leaves nothing behind. */
static void failing_allocations(void)
{
    static const format formats[] = {{"libsvm_model", maas_libsvm_model_read},
                                     {"liblinear", maas_liblinear_read},
                                     {"pmml", maas_pmml_read},
                                     {"keras", keras_fake_read},
                                     {"tflite", maas_tflite_read},
                                     {"xgboost", maas_xgboost_read},
                                     {"lightgbm", maas_lightgbm_read},
                                     {"catboost", maas_catboost_read}};
    for (size_t k = 0; k < MAAS_COUNT(formats); k++) {
        n_seeds = 0;
        load_corpus(&formats[k]);
        for (size_t i = 0; i < n_seeds; i += 3) {
            maas_status st = MAAS_E_NOMEM;
            for (long n = 1; st != MAAS_OK && n < 3000; n++) {
                const long live = maas_mem_live();
                maas_err err = {0};
                maas_graph *g = NULL;
                maas_mem_fail_at(n);
                st = formats[k].read(maas_span_of(seeds[i].bytes, seeds[i].n), NULL, &g, &err);
                maas_mem_fail_at(0);
                EXPECT_MSG(st == MAAS_OK || st == MAAS_E_NOMEM, "%s: %s", seeds[i].name, err.msg);
                maas_graph_destroy(g);
                EXPECT_EQ(maas_mem_live(), live);
            }
            EXPECT_EQ(st, MAAS_OK);
        }
    }
}

static const mt_case cases[] = {
    MT_CASE(libsvm),   MT_CASE(liblinear), MT_CASE(pmml),
    MT_CASE(keras),    MT_CASE(xgboost),   MT_CASE(lightgbm),
    MT_CASE(catboost), MT_CASE(tflite),    MT_CASE(failing_allocations)};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
