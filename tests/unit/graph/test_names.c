#include "maas_test.h"

#include "base/mem.h"
#include "base/sys.h"
#include "graph/graph_int.h"

/* Against an array as reference: thousands of random additions and removals in a small key space.
 */
static void a_table_agrees_with_an_array(void)
{
    enum { KEYS = 300 };
    static char key[KEYS][8];
    uint32_t want[KEYS];
    maas_names t = {0};
    maas_arena a;
    maas_rng rng;
    maas_arena_init(&a, NULL);
    maas_rng_seed(&rng, 4);
    for (int i = 0; i < KEYS; i++) {
        snprintf(key[i], sizeof key[i], "k%d", i);
        want[i] = MAAS_NAME_NONE;
    }
    for (uint32_t step = 0; step < 20000; step++) {
        uint64_t k = maas_rng_below(&rng, KEYS);
        if (want[k] == MAAS_NAME_NONE) {
            EXPECT(maas_names_add(&t, &a, key[k], step));
            want[k] = step;
        } else {
            maas_names_remove(&t, key[k]);
            want[k] = MAAS_NAME_NONE;
        }
        uint64_t probe = maas_rng_below(&rng, KEYS);
        EXPECT_EQ(maas_names_find(&t, key[probe]), want[probe]);
    }
    for (int i = 0; i < KEYS; i++)
        EXPECT_EQ(maas_names_find(&t, key[i]), want[i]);
    maas_arena_reset(&a);
}

static void an_empty_table_finds_nothing(void)
{
    maas_names t = {0};
    EXPECT_EQ(maas_names_find(&t, "x"), MAAS_NAME_NONE);
    maas_names_remove(&t, "x");
    EXPECT_EQ(t.n, 0);
}

static void removing_what_is_absent_changes_nothing(void)
{
    maas_names t = {0};
    maas_arena a;
    maas_arena_init(&a, NULL);
    EXPECT(maas_names_add(&t, &a, "x", 1));
    maas_names_remove(&t, "y");
    EXPECT_EQ(maas_names_find(&t, "x"), 1);
    EXPECT_EQ(t.n, 1);
    maas_arena_reset(&a);
}

static const mt_case cases[] = {
    MT_CASE(a_table_agrees_with_an_array),
    MT_CASE(an_empty_table_finds_nothing),
    MT_CASE(removing_what_is_absent_changes_nothing),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
