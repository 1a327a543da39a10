/*
 * Accepted means safe to run, for pickles: thousands of damaged files of scikit-learn, each of
 * which is refused with words, or decoded, planned and run without a report of the sanitizers.
 * Compressed files are damaged as they are; what is inside is reached through the plain ones.
 */
#include "maas_test.h"

#include <dirent.h>

#include "base/sys.h"
#include "formats/sklearn/sklearn.h"
#include "../../fuzz/onnx_run.h"

enum { MAX_SEEDS = 256, MAX_BYTES = 9000, N_MUTANTS = 6000, SECONDS = 6 };

typedef struct seed {
    uint8_t bytes[MAX_BYTES];
    size_t n;
    char name[64];
} seed;

static seed seeds[MAX_SEEDS];
static size_t n_seeds;

static void load_corpus(void)
{
    DIR *dir = opendir(PICKLE_CORPUS);
    for (struct dirent *d; dir && n_seeds < MAX_SEEDS && (d = readdir(dir));) {
        char path[1024];
        seed *s = &seeds[n_seeds];
        snprintf(path, sizeof path, "%s/%s", PICKLE_CORPUS, d->d_name);
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
static onnx_run run_exact(const seed *s)
{
    uint8_t *copy = malloc(s->n ? s->n : 1);
    memcpy(copy, s->bytes, s->n);
    onnx_run r = model_run_bytes(maas_span_of(copy, s->n), maas_sk_read);
    free(copy);
    return r;
}

/* ---- ways to damage ---- */

static size_t place(maas_rng *rng, const seed *s)
{
    return (size_t)maas_rng_below(rng, s->n);
}

static void flip_bit(seed *s, maas_rng *rng)
{
    s->bytes[place(rng, s)] ^= (uint8_t)(1u << maas_rng_below(rng, 8));
}

/* Opcodes, and bytes that make counts large or negative. */
static void set_byte(seed *s, maas_rng *rng)
{
    static const uint8_t likely[] = {0,    1,    0x7f, 0x80, 0xff, '(',  ')',  '.',  'N',  'K',
                                     'h',  'R',  'b',  'u',  'e',  '0',  '2',  0x81, 0x85, 0x86,
                                     0x87, 0x88, 0x89, 0x94, 0x95, 0x93, 0x8c, ']',  '}',  't'};
    s->bytes[place(rng, s)] = likely[maas_rng_below(rng, sizeof likely)];
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

static void overwrite(seed *s, maas_rng *rng)
{
    const seed *from = &seeds[maas_rng_below(rng, n_seeds)];
    size_t start = place(rng, from), n = (size_t)maas_rng_below(rng, 32), at = place(rng, s);
    if (start + n <= from->n && at + n <= s->n)
        memmove(s->bytes + at, from->bytes + start, n);
}

static void splice(seed *s, maas_rng *rng)
{
    const seed *from = &seeds[maas_rng_below(rng, n_seeds)];
    size_t start = place(rng, from), n = (size_t)maas_rng_below(rng, 64), at = place(rng, s);
    if (start + n > from->n || s->n + n > MAX_BYTES)
        return;
    memmove(s->bytes + at + n, s->bytes + at, s->n - at);
    memcpy(s->bytes + at, from->bytes + start, n);
    s->n += n;
}

/* A small number after BININT1 becomes another: sizes, counts, indices. */
static void change_number(seed *s, maas_rng *rng)
{
    size_t at = place(rng, s);
    for (size_t i = 0; i + 1 < s->n; i++, at = (at + 1) % (s->n - 1))
        if (s->bytes[at] == 'K') {
            s->bytes[at + 1] = (uint8_t)maas_rng_below(rng, 256);
            return;
        }
}

/* A memo entry is replaced by another: values of the wrong kind in every place, and cycles. */
static void change_reference(seed *s, maas_rng *rng)
{
    size_t at = place(rng, s);
    for (size_t i = 0; i + 1 < s->n; i++, at = (at + 1) % (s->n - 1))
        if (s->bytes[at] == 'h') {
            s->bytes[at + 1] = (uint8_t)maas_rng_below(rng, 80);
            return;
        }
}

static void (*const damages[])(seed *s, maas_rng *rng) = {
    flip_bit, set_byte, nudge,         cut_end,       cut_middle,       overwrite,
    splice,   nudge,    change_number, change_number, change_reference, change_reference};

/* ---- cases ---- */

static void every_seed_is_accepted_and_runs(void)
{
    load_corpus();
    EXPECT(n_seeds >= 28);
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
    for (; n_seeds && n < N_MUTANTS && maas_now_ns() < end; n++) {
        maas_rng rng;
        maas_rng_seed(&rng, first_seed + n); /* a crash is repeated by its number alone */
        seed s = seeds[maas_rng_below(&rng, n_seeds)];
        for (uint64_t k = 1 + maas_rng_below(&rng, rounds); k && s.n; k--)
            damages[maas_rng_below(&rng, MAAS_COUNT(damages))](&s, &rng);
        if (getenv("MUTANT_TRACE"))
            fprintf(stderr, "mutant %u\n", first_seed + n);
        onnx_run r = run_exact(&s);
        n_accepted += r.accepted;
        n_ran += r.ran;
    }
    printf("seeds %u..%u: %u accepted, %u ran\n", first_seed, first_seed + n, n_accepted, n_ran);
    EXPECT(n >= 500);
    EXPECT(n_accepted > n / 50 && n_ran > n / 100);
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

/* Every length of a short file, some 300 of a long one. */
static void cuts_of_every_seed_are_refused(void)
{
    load_corpus();
    for (size_t i = 0; i < n_seeds; i++)
        for (seed s = seeds[i]; s.n > 0;) {
            s.n -= 1 + s.n / 300;
            onnx_run r = run_exact(&s);
            EXPECT_MSG(!r.accepted && r.err.msg[0], "%s cut to %zu bytes", s.name, s.n);
        }
}

/* Every allocation of a reading fails once: words, no leak. */
static void memory_runs_out_anywhere(void)
{
    load_corpus();
    for (size_t i = 0; i < n_seeds; i += 5)
        for (long k = 1, done = 0; !done && k < 4000; k += 1 + k / 16) {
            maas_budget budget = {0};
            maas_graph *g = NULL;
            maas_err err = {0};
            const long live = maas_mem_live();
            maas_mem_fail_at(k);
            maas_status st = maas_sk_read(maas_span_of(seeds[i].bytes, seeds[i].n), &budget, &g,
                                          &err);
            maas_mem_fail_at(0);
            EXPECT_MSG(st == MAAS_OK || err.msg[0], "%s, allocation %ld", seeds[i].name, k);
            done = st == MAAS_OK;
            maas_graph_destroy(g);
            EXPECT_EQ(maas_mem_live(), live);
            EXPECT_EQ(budget.used, 0);
        }
}

static const mt_case cases[] = {
    MT_CASE(every_seed_is_accepted_and_runs), MT_CASE(one_damage_at_a_time),
    MT_CASE(several_damages_at_once),         MT_CASE(cuts_of_every_seed_are_refused),
    MT_CASE(memory_runs_out_anywhere),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
