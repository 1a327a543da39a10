/*
 * Accepted => runs. Thousands of damaged models: flipped bits, cuts, pieces of other models,
 * blown-up lengths. What the reader still accepts must plan and run without a sanitizer report;
 * what it refuses must come with words, in the budget, without a leak.
 */
#include "maas_test.h"

#include <dirent.h>

#include "base/sys.h"
#include "../../fuzz/onnx_run.h"

enum { MAX_SEEDS = 64, MAX_BYTES = 8192, N_MUTANTS = 6000, SECONDS = 5 };

typedef struct model {
    char name[64];
    uint8_t bytes[MAX_BYTES];
    size_t n;
} model;

static model seeds[MAX_SEEDS];
static size_t n_seeds;

static void load_corpus(void)
{
    DIR *dir = opendir(ONNX_CORPUS);
    for (struct dirent *d; dir && n_seeds < MAX_SEEDS && (d = readdir(dir));) {
        char path[1024];
        model *m = &seeds[n_seeds];
        if (d->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", ONNX_CORPUS, d->d_name);
        FILE *f = fopen(path, "rb");
        if (!f)
            continue;
        snprintf(m->name, sizeof m->name, "%.63s", d->d_name);
        m->n = fread(m->bytes, 1, sizeof m->bytes, f);
        fclose(f);
        n_seeds++;
    }
    if (dir)
        closedir(dir);
}

/* In memory of exactly its size, so that a read past the end is seen. */
static onnx_run run_exact(const model *m)
{
    uint8_t *copy = malloc(m->n ? m->n : 1);
    memcpy(copy, m->bytes, m->n);
    onnx_run r = onnx_run_bytes(maas_span_of(copy, m->n));
    free(copy);
    return r;
}

/* ---- ways to damage ---- */

static size_t place(maas_rng *rng, const model *m)
{
    return m->n ? (size_t)maas_rng_below(rng, m->n) : 0;
}

static void flip_bits(model *m, maas_rng *rng)
{
    for (uint64_t k = 1 + maas_rng_below(rng, 4); k && m->n; k--)
        m->bytes[place(rng, m)] ^= (uint8_t)(1u << maas_rng_below(rng, 8));
}

static void set_byte(model *m, maas_rng *rng)
{
    static const uint8_t likely[] = {0, 1, 2, 7, 8, 0x7f, 0x80, 0xff};
    if (m->n)
        m->bytes[place(rng, m)] = likely[maas_rng_below(rng, sizeof likely)];
}

static void cut_end(model *m, maas_rng *rng)
{
    m->n = place(rng, m);
}

static void cut_middle(model *m, maas_rng *rng)
{
    size_t at = place(rng, m), n = (size_t)maas_rng_below(rng, 12);
    if (at + n >= m->n)
        return;
    memmove(m->bytes + at, m->bytes + at + n, m->n - at - n);
    m->n -= n;
}

/* Room for n bytes at `at`; false when the model would be too long. */
static bool open_gap(model *m, size_t at, size_t n)
{
    if (m->n + n > MAX_BYTES)
        return false;
    memmove(m->bytes + at + n, m->bytes + at, m->n - at);
    m->n += n;
    return true;
}

static void splice(model *m, maas_rng *rng)
{
    const model *from = &seeds[maas_rng_below(rng, n_seeds)];
    size_t start = place(rng, from), n = (size_t)maas_rng_below(rng, 64), at = place(rng, m);
    if (start + n <= from->n && open_gap(m, at, n))
        memcpy(m->bytes + at, from->bytes + start, n);
}

static void overwrite(model *m, maas_rng *rng)
{
    const model *from = &seeds[maas_rng_below(rng, n_seeds)];
    size_t start = place(rng, from), n = (size_t)maas_rng_below(rng, 24), at = place(rng, m);
    if (start + n <= from->n && at + n <= m->n)
        memcpy(m->bytes + at, from->bytes + start, n);
}

static void blow_up_varint(model *m, maas_rng *rng)
{
    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    size_t at = place(rng, m), n = (size_t)maas_rng_below(rng, sizeof huge);
    if (m->n && open_gap(m, at, n + 1)) {
        memcpy(m->bytes + at, huge, n);
        m->bytes[at + n] = (uint8_t)maas_rng_below(rng, 128);
    }
}

static void repeat(model *m, maas_rng *rng)
{
    size_t at = place(rng, m), n = 1 + (size_t)maas_rng_below(rng, 40);
    if (at + n <= m->n && open_gap(m, at, n))
        memcpy(m->bytes + at, m->bytes + at + n, n);
}

/* A field one message deep changes its value but not its length: mutants of this kind often pass.
 */
static void nudge(model *m, maas_rng *rng)
{
    if (m->n)
        m->bytes[place(rng, m)] += maas_rng_below(rng, 2) ? 1 : 255;
}

static void (*const damages[])(model *m, maas_rng *rng) = {
    flip_bits, set_byte, cut_end, cut_middle, splice, overwrite, blow_up_varint, repeat, nudge};

/* ---- cases ---- */

static void every_seed_is_accepted_and_runs(void)
{
    load_corpus();
    EXPECT(n_seeds >= 12);
    for (size_t i = 0; i < n_seeds; i++) {
        onnx_run r = run_exact(&seeds[i]);
        EXPECT_MSG(r.accepted && r.ran, "%s: %s", seeds[i].name, r.err.msg);
    }
}

static void mutants_run(unsigned first_seed, uint32_t rounds)
{
    uint32_t n_accepted = 0, n_ran = 0, n = 0;
    uint64_t end = maas_now_ns() + SECONDS * 1000000000ull;
    load_corpus();
    EXPECT(n_seeds > 0);
    for (; n_seeds && n < N_MUTANTS && maas_now_ns() < end; n++) {
        maas_rng rng;
        maas_rng_seed(&rng, first_seed + n); /* a crash is repeated by its number alone */
        model m = seeds[maas_rng_below(&rng, n_seeds)];
        for (uint64_t k = 1 + maas_rng_below(&rng, rounds); k; k--)
            damages[maas_rng_below(&rng, MAAS_COUNT(damages))](&m, &rng);
        if (getenv("ONNX_MUTANT_TRACE"))
            fprintf(stderr, "mutant %u\n", first_seed + n);
        onnx_run r = run_exact(&m);
        n_accepted += r.accepted;
        n_ran += r.ran;
    }
    printf("seeds %u..%u: %u accepted, %u ran\n", first_seed, first_seed + n, n_accepted, n_ran);
    EXPECT(n >= 500);
    EXPECT(n_accepted > n / 100 && n_ran > n / 200);
    EXPECT(n_accepted < n);
}

static void one_damage_at_a_time(void)
{
    mutants_run(1, 1);
}

static void several_damages_at_once(void)
{
    mutants_run(1000000, 4);
}

static void every_cut_of_every_seed(void)
{
    load_corpus();
    for (size_t i = 0; i < n_seeds; i++)
        for (model m = seeds[i]; m.n > 0;) {
            m.n--;
            onnx_run r = run_exact(&m);
            EXPECT(r.accepted || r.err.msg[0]);
        }
}

static const mt_case cases[] = {
    MT_CASE(every_seed_is_accepted_and_runs),
    MT_CASE(one_damage_at_a_time),
    MT_CASE(several_damages_at_once),
    MT_CASE(every_cut_of_every_seed),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
