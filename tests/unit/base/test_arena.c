#include "maas_test.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"

static void allocations_are_zeroed_and_aligned(void)
{
    maas_arena a;
    maas_arena_init(&a, NULL);
    for (size_t n = 0; n < 3000; n += 7) {
        char *p = maas_arena_alloc(&a, n);
        EXPECT((uintptr_t)p % (n >= 64 ? 64 : 16) == 0);
        for (size_t i = 0; i < n; i++)
            EXPECT(p[i] == 0);
        memset(p, 0xff, n);
    }
    maas_arena_reset(&a);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void a_budget_bounds_an_arena(void)
{
    maas_budget b = {.limit = 100000};
    maas_arena a;
    maas_arena_init(&a, &b);
    size_t n = 0;
    while (maas_arena_alloc(&a, 1000))
        n++;
    EXPECT(n > 10 && n < 100);
    EXPECT(b.used <= b.limit);
    maas_arena_reset(&a);
    EXPECT_EQ(b.used, 0);
    EXPECT(maas_arena_alloc(&a, SIZE_MAX - 3) == NULL);
    EXPECT(maas_arena_array(&a, SIZE_MAX / 2, 4) == NULL);
}

static int order[3], n_order;
static void note(void *arg)
{
    order[n_order++] = *(int *)arg;
}

static void hooks_run_newest_first(void)
{
    maas_arena a;
    maas_arena_init(&a, NULL);
    static int one = 1, two = 2;
    EXPECT(maas_arena_defer(&a, note, &one) && maas_arena_defer(&a, note, &two));
    maas_arena_reset(&a);
    EXPECT_EQ(n_order, 2);
    EXPECT_EQ(order[0], 2);
    EXPECT_EQ(order[1], 1);
}

static void a_rewound_arena_does_not_allocate_again(void)
{
    maas_arena a;
    maas_arena_init(&a, NULL);
    maas_arena_alloc(&a, 1000);
    maas_arena_rewind(&a);
    long before = maas_mem_n_allocs();
    for (int i = 0; i < 100; i++) {
        maas_arena_alloc(&a, 1000);
        maas_arena_rewind(&a);
    }
    EXPECT_EQ(maas_mem_n_allocs(), before);
    maas_arena_reset(&a);
}

static void a_failed_allocation_is_null_everywhere(void)
{
    maas_arena a;
    maas_arena_init(&a, NULL);
    maas_mem_fail_at(1);
    EXPECT(maas_arena_alloc(&a, 10) == NULL);
    maas_buf b = MAAS_BUF_INIT(100);
    maas_mem_fail_at(1);
    maas_buf_str(&b, "x");
    EXPECT(b.failed);
    maas_mem_fail_at(1);
    EXPECT(maas_strdup("x") == NULL);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void a_buffer_stops_at_its_maximum(void)
{
    maas_buf b = MAAS_BUF_INIT(10);
    maas_buf_str(&b, "12345");
    maas_buf_printf(&b, "%d", 67890);
    EXPECT(!b.failed);
    EXPECT_STR(b.p, "1234567890");
    maas_buf_char(&b, 'x');
    EXPECT(b.failed);
    EXPECT_EQ(b.n, 10);
    maas_buf_reset(&b);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void json_strings_escape_what_json_and_utf8_demand(void)
{
    maas_buf b = MAAS_BUF_INIT(1000);
    const char in[] = "a\"\\\n\t\r\x01 \xc3\xa9 \xff \xed\xa0\x80";
    maas_buf_json_str(&b, in, sizeof in - 1);
    EXPECT_STR(b.p, "\"a\\\"\\\\\\n\\t\\r\\u0001 \xc3\xa9 \xef\xbf\xbd "
                    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    maas_buf_reset(&b);
}

static const mt_case cases[] = {
    MT_CASE(allocations_are_zeroed_and_aligned),
    MT_CASE(a_budget_bounds_an_arena),
    MT_CASE(hooks_run_newest_first),
    MT_CASE(a_rewound_arena_does_not_allocate_again),
    MT_CASE(a_failed_allocation_is_null_everywhere),
    MT_CASE(a_buffer_stops_at_its_maximum),
    MT_CASE(json_strings_escape_what_json_and_utf8_demand),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
