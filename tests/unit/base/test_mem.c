#include "maas_test.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"

static void sizes_that_overflow_are_refused(void)
{
    void *p = NULL;
    size_t cap = 0;
    EXPECT(!maas_calloc(SIZE_MAX / 2, 3));
    EXPECT(!maas_aligned(64, SIZE_MAX - 10));
    EXPECT(!maas_grow(&p, &cap, SIZE_MAX, 1) && !p && !cap);
    EXPECT(!maas_grow(&p, &cap, SIZE_MAX / 4, 8) && !p && !cap);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void growing_keeps_what_is_there(void)
{
    int *p = NULL;
    size_t cap = 0;
    for (int i = 0; i < 10000; i++) {
        EXPECT(maas_grow(&p, &cap, (size_t)i + 1, sizeof *p));
        p[i] = i;
    }
    for (int i = 0; i < 10000; i++)
        EXPECT_EQ(p[i], i);
    EXPECT(maas_mem_n_allocs() < 20); /* doubling */
    size_t before = cap;
    int *same = p;
    maas_mem_fail_at(1);
    EXPECT(!maas_grow(&p, &cap, before + 1, sizeof *p) && cap == before && p == same);
    maas_free(p);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void the_nth_allocation_fails_once(void)
{
    maas_mem_fail_at(3);
    char *a = maas_alloc(1), *b = maas_strdup("b"), *c = maas_calloc(1, 1),
         *d = maas_aligned(64, 1);
    EXPECT(a && b && !c && d);
    EXPECT_EQ((uintptr_t)d % 64, 0);
    EXPECT_EQ(maas_mem_live(), 3);
    maas_free(a), maas_free(b), maas_free(c), maas_free(d);
    EXPECT_EQ(maas_mem_live(), 0);
}

static int n_closed;
static void count_close(int *unused)
{
    (void)unused;
    n_closed++;
}

static char *half_built(bool fail)
{
    AUTO_FREE char *text = maas_strdup("text");
    AUTO(count_close) int resource = 0;
    (void)resource;
    return fail ? NULL : STEAL(text);
}

static void cleanup_frees_what_was_not_handed_over(void)
{
    EXPECT(!half_built(true));
    EXPECT_EQ(maas_mem_live(), 0);
    char *text = half_built(false);
    EXPECT_STR(text, "text");
    EXPECT_EQ(n_closed, 2);
    maas_free(text);
}

static void a_buffer_in_an_arena_takes_nothing_from_the_heap(void)
{
    maas_budget budget = {.limit = 64 << 10};
    maas_arena a;
    maas_arena_init(&a, &budget);
    maas_arena_alloc(&a, 1);
    for (int round = 0; round < 50; round++) {
        maas_arena_rewind(&a);
        long before = maas_mem_n_allocs();
        maas_buf b = MAAS_BUF_IN(&a, 4000);
        for (int i = 0; i < 100; i++)
            maas_buf_printf(&b, "%d,", i);
        EXPECT(!b.failed && b.n == 290 && strcmp(b.p + 281, "97,98,99,") == 0);
        maas_buf_reset(&b);
        EXPECT_EQ(maas_mem_n_allocs(), before);
    }
    maas_buf b = MAAS_BUF_IN(&a, 1 << 20);
    for (int i = 0; i < 1 << 18; i++)
        maas_buf_char(&b, 'x');
    EXPECT(b.failed && b.n < 64 << 10); /* the budget, not the maximum */
    maas_arena_reset(&a);
    EXPECT_EQ(maas_mem_live(), 0);
    EXPECT_EQ(budget.used, 0);
}

static void bytes_are_taken_out_of_a_buffer(void)
{
    maas_buf b = MAAS_BUF_INIT(10);
    size_t n;
    char *empty = maas_buf_steal(&b, &n);
    EXPECT_STR(empty, "");
    EXPECT_EQ(n, 0);
    maas_buf_str(&b, "hello");
    char *text = maas_buf_steal(&b, &n);
    EXPECT_STR(text, "hello");
    EXPECT(n == 5 && !b.p && !b.n && b.max == 10);
    maas_buf_str(&b, "more than ten bytes");
    EXPECT(b.failed && !maas_buf_steal(&b, &n));
    maas_buf_reset(&b);
    maas_free(empty);
    maas_free(text);
    EXPECT_EQ(maas_mem_live(), 0);
}

static const mt_case cases[] = {
    MT_CASE(sizes_that_overflow_are_refused),
    MT_CASE(growing_keeps_what_is_there),
    MT_CASE(the_nth_allocation_fails_once),
    MT_CASE(cleanup_frees_what_was_not_handed_over),
    MT_CASE(a_buffer_in_an_arena_takes_nothing_from_the_heap),
    MT_CASE(bytes_are_taken_out_of_a_buffer),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
