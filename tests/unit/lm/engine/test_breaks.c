/* Texts are found in bytes that come in pieces, where they end and nowhere else. */
#include "maas_test.h"

#include "base/mem.h"
#include "lm/engine/breaks.h"

static bool ends_here(const char *all, size_t from, size_t to, const maas_str *texts, int n)
{
    for (int i = 0; i < n; i++)
        for (size_t end = from + 1; end <= to; end++)
            if (end >= texts[i].n && memcmp(all + end - texts[i].n, texts[i].p, texts[i].n) == 0)
                return true;
    return false;
}

static void pieces_are_as_good_as_the_whole(void)
{
    static const maas_str texts[] = {{"ab", 2}, {"", 0}, {"bca", 3}, {"c\0c", 3}, {"aaaaab", 6}};
    uint32_t state = 1, found = 0, not_found = 0;
    for (int round = 0; round < 3000; round++) {
        const int n = 1 + round % 5;
        maas_breaks b;
        char all[64];
        size_t have = 0;
        EXPECT(maas_breaks_init(&b, texts, (uint32_t)n));
        while (have < sizeof all) {
            const size_t room = sizeof all - have;
            size_t len = (state = state * 1664525 + 1013904223) >> 29;
            len = len < room ? len : room;
            for (size_t i = 0; i < len; i++)
                all[have + i] = "abc\0"[(state = state * 1664525 + 1013904223) >> 30];
            maas_str kept[5];
            int k = 0;
            for (int i = 0; i < n; i++)
                if (texts[i].n)
                    kept[k++] = texts[i];
            const bool want = ends_here(all, have, have + len, kept, k);
            EXPECT_EQ(maas_breaks_add(&b, (maas_str){all + have, len}), want);
            found += want;
            not_found += !want;
            have += len;
            if (!len)
                have++, all[have - 1] = 'x', maas_breaks_add(&b, (maas_str){"x", 1});
        }
        maas_breaks_reset(&b);
    }
    EXPECT(found > 1000 && not_found > 1000);
    EXPECT_EQ(maas_mem_live(), 0);
}

static const mt_case cases[] = {MT_CASE(pieces_are_as_good_as_the_whole)};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
