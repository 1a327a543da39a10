/* What each key asked of a model: sums, and those beyond the table together. */
#include "maas_test.h"

#include <pthread.h>

#include "base/mem.h"
#include "serve/lm_usage.h"

static const maas_lm_event served = {.timing = {.prompt_tokens = 7,
                                                .cached_tokens = 4,
                                                .tokens = 3,
                                                .queue_ns = 10,
                                                .prompt_ns = 20,
                                                .decode_ns = 40}};
static const maas_lm_event gave_up = {.timing = {.prompt_tokens = 5, .queue_ns = 1000}};

static void sums_of_a_key(void)
{
    maas_lm_usage u;
    maas_lm_usage_row r;
    maas_lm_usage_init(&u);
    EXPECT(!maas_lm_usage_at(&u, 0, &r));
    maas_lm_usage_add(&u, "", &served);
    EXPECT(!maas_lm_usage_at(&u, 0, &r));
    maas_lm_usage_add(&u, "a", &served);
    maas_lm_usage_add(&u, "b", &gave_up);
    maas_lm_usage_add(&u, "a", &served);
    maas_lm_usage_add(&u, "a", &gave_up);
    EXPECT(maas_lm_usage_at(&u, 0, &r));
    EXPECT(strcmp(r.key, "a") == 0 && r.requests == 3 && r.prompt_tokens == 19);
    EXPECT(r.cached_tokens == 8 && r.tokens == 6 && r.begun == 2 && r.first_ns == 60);
    EXPECT_EQ(r.decode_ns, 80);
    EXPECT(maas_lm_usage_at(&u, 1, &r));
    EXPECT(strcmp(r.key, "b") == 0 && r.requests == 1 && r.begun == 0 && r.first_ns == 0);
    EXPECT(!maas_lm_usage_at(&u, 2, &r));
    maas_lm_usage_reset(&u);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void *add_many(void *user)
{
    for (int i = 0; i < MAAS_LM_USAGE_KEYS + 10; i++) {
        char key[MAAS_LM_USAGE_ID];
        snprintf(key, sizeof key, "k%d", i);
        maas_lm_usage_add(user, key, &served);
    }
    return NULL;
}

static void the_table_has_an_end(void)
{
    maas_lm_usage u;
    maas_lm_usage_row r;
    pthread_t threads[3];
    uint64_t requests = 0;
    size_t n = 0;
    maas_lm_usage_init(&u);
    for (size_t i = 0; i < MAAS_COUNT(threads); i++)
        EXPECT_EQ(pthread_create(&threads[i], NULL, add_many, &u), 0);
    for (size_t i = 0; i < MAAS_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    for (; maas_lm_usage_at(&u, n, &r); n++)
        requests += r.requests;
    EXPECT_EQ(n, MAAS_LM_USAGE_KEYS + 1);
    EXPECT_EQ(requests, 3 * (MAAS_LM_USAGE_KEYS + 10));
    EXPECT(strcmp(r.key, "other") == 0 && r.requests > 0);
    maas_lm_usage_reset(&u);
    EXPECT_EQ(maas_mem_live(), 0);
}

static const mt_case cases[] = {MT_CASE(sums_of_a_key), MT_CASE(the_table_has_an_end)};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
