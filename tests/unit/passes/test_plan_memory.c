#include "maas_test.h"

#include "base/mem.h"
#include "passes/pass.h"

/* The invariant, checked without knowing how placing works: alive together means apart. */
static void check(const maas_mem_item *m, size_t n, size_t block)
{
    for (size_t i = 0; i < n; i++) {
        EXPECT(m[i].offset % 64 == 0);
        EXPECT(m[i].offset + m[i].bytes <= block);
        for (size_t j = 0; j < i; j++) {
            bool together = m[i].first <= m[j].last && m[j].first <= m[i].last;
            bool apart = m[i].offset + m[i].bytes <= m[j].offset ||
                         m[j].offset + m[j].bytes <= m[i].offset;
            EXPECT_MSG(!together || apart, "items %zu and %zu share bytes", i, j);
        }
    }
}

static uint32_t next(uint64_t *s)
{
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*s >> 33);
}

static size_t random_items(maas_mem_item *m, size_t n, uint32_t n_steps, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) {
        m[i].bytes = next(&seed) % 5 ? next(&seed) % 5000 : 0;
        m[i].first = next(&seed) % n_steps;
        m[i].last = m[i].first + next(&seed) % 12;
    }
    size_t block = 0;
    EXPECT_EQ(maas_plan_memory(m, n, &block, NULL), MAAS_OK);
    return block;
}

static void random_lifetimes_never_collide(void)
{
    maas_mem_item m[300];
    for (uint64_t seed = 1; seed <= 40; seed++) {
        size_t n = 1 + seed * 7;
        check(m, n, random_items(m, n, 60, seed));
        if (mt_failed)
            printf("seed %llu\n", (unsigned long long)seed);
    }
}

static void big_graphs_are_planned_in_linear_time(void)
{
    size_t n = 5000;
    maas_mem_item *m = maas_calloc(n, sizeof *m);
    check(m, n, random_items(m, n, 3000, 5));
    maas_free(m);
    n = 500000;
    m = maas_calloc(n, sizeof *m);
    random_items(m, n, 400000, 6); /* quadratic would run into the time limit of the case */
    maas_free(m);
}

static void a_chain_needs_two_buffers(void)
{
    maas_mem_item m[64];
    for (uint32_t i = 0; i < 64; i++)
        m[i] = (maas_mem_item){.bytes = 4096, .first = i, .last = i + 1};
    size_t block;
    EXPECT_EQ(maas_plan_memory(m, 64, &block, NULL), MAAS_OK);
    EXPECT_EQ(block, 8192);
    check(m, 64, block);
}

static void sizes_that_do_not_fit_are_refused(void)
{
    size_t block = 7;
    maas_mem_item m[2] = {{.bytes = SIZE_MAX / 2 + 1}, {.bytes = SIZE_MAX / 2 + 1}};
    EXPECT_EQ(maas_plan_memory(m, 2, &block, NULL), MAAS_E_TOO_LARGE);
    maas_mem_item one = {.bytes = SIZE_MAX};
    EXPECT_EQ(maas_plan_memory(&one, 1, &block, NULL), MAAS_E_TOO_LARGE);
    EXPECT_EQ(block, 7);
    EXPECT_EQ(maas_plan_memory(NULL, 0, &block, NULL), MAAS_OK);
    EXPECT_EQ(block, 0);
}

static void no_memory_is_a_status(void)
{
    maas_mem_item m = {.bytes = 10};
    size_t block;
    for (long n = 1; n <= 2; n++) {
        maas_mem_fail_at(n);
        EXPECT_EQ(maas_plan_memory(&m, 1, &block, NULL), MAAS_E_NOMEM);
    }
    maas_mem_fail_at(0);
    EXPECT_EQ(maas_mem_live(), 0);
}

static const mt_case cases[] = {
    MT_CASE(random_lifetimes_never_collide), MT_CASE(big_graphs_are_planned_in_linear_time),
    MT_CASE(a_chain_needs_two_buffers),      MT_CASE(sizes_that_do_not_fit_are_refused),
    MT_CASE(no_memory_is_a_status),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
