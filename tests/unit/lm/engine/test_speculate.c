/* What is proposed is what followed the longest, latest match; how many depends on what steps cost
 * and how proposals fared. */
#include "maas_test.h"

#include "lm/engine/speculate.h"

/* By its definition: all positions, the longest match of at most 8, of those the latest. */
static uint32_t naive(const int32_t *t, uint32_t n, uint32_t most, int32_t *out)
{
    uint32_t best = 1, at = 0;
    for (uint32_t i = 1; i < n; i++) {
        uint32_t len = 0;
        while (len < i && len < 8 && t[i - 1 - len] == t[n - 1 - len])
            len++;
        if (len >= best && len > 1) {
            best = len;
            at = i;
        }
    }
    for (uint32_t i = 0; at && i < most; i++)
        out[i] = at + i < n ? t[at + i] : out[at + i - n];
    return at ? most : 0;
}

static void what_followed_is_proposed(void)
{
    uint32_t state = 5, found = 0;
    for (int round = 0; round < 5000; round++) {
        int32_t t[80], want[16];
        const uint32_t n = 1 + (uint32_t)round % 60, words = 1 + (uint32_t)round / 60 % 6;
        for (uint32_t i = 0; i < n; i++)
            t[i] = (int32_t)((state = state * 1664525 + 1013904223) >> 20) % (int32_t)words;
        const uint32_t k = naive(t, n, 16, want);
        EXPECT_EQ(maas_lookup(t, n, 16), k);
        EXPECT(memcmp(t + n, want, k * sizeof *want) == 0);
        found += k > 0;
    }
    EXPECT(found > 3000);
}

static void as_many_as_are_worth_it(void)
{
    maas_guess good = {0}, bad = {0};
    maas_pace flat = {0}, steep = {0};
    EXPECT_EQ(maas_drafts_alone(&good, &flat, 7, 0), 0); /* nothing is known of a step */
    for (uint32_t rows = 1; rows <= 8; rows *= 2)
        for (int i = 0; i < 3; i++) { /* the first of each size made a plan */
            maas_pace_add(&flat, rows, i ? 1000 + rows : 1000000);
            maas_pace_add(&steep, rows, i ? 1000 * rows : 1);
        }
    for (int i = 0; i < 100; i++) {
        maas_guess_checked(&good, true);
        maas_guess_checked(&bad, false);
    }
    EXPECT_EQ(good.accepted, 100);
    EXPECT_EQ(bad.accepted, 0);
    EXPECT_EQ(maas_drafts_alone(&good, &flat, 7, 0), 7);
    EXPECT_EQ(maas_drafts_alone(&good, &flat, 2, 0), 2);
    EXPECT_EQ(maas_drafts_alone(&good, &flat, 0, 0), 0);
    EXPECT_EQ(maas_drafts_alone(&good, &steep, 7, 0), 0); /* four rows cost as four steps */
    EXPECT_EQ(maas_drafts_alone(&bad, &flat, 7, 0), 0);
    EXPECT_EQ(maas_drafts_alone(&good, &flat, 7, 100), 7); /* a draft model's: cheap, and dear */
    EXPECT_EQ(maas_drafts_alone(&good, &flat, 7, 1100), 0);
    EXPECT(maas_drafts_pay(&good, &flat, 4, 3, 300));
    EXPECT(!maas_drafts_pay(&good, &flat, 4, 3, 400));
    EXPECT(!maas_drafts_pay(&bad, &flat, 4, 3, 300));
    EXPECT(!maas_drafts_pay(&good, &flat, 16, 3, 0)); /* nothing is known of such a step */
    EXPECT_EQ(maas_drafts_among(&good, 3, 7), 3);
    EXPECT_EQ(maas_drafts_among(&good, 0, 7), 0);
    EXPECT_EQ(maas_drafts_among(&bad, 3, 7), 0);
    for (int i = 0; i < 1000; i++)
        maas_guess_passed(&bad); /* it is tried again, some time */
    EXPECT(maas_drafts_among(&bad, 3, 7) > 0);
}

static const mt_case cases[] = {MT_CASE(what_followed_is_proposed),
                                MT_CASE(as_many_as_are_worth_it)};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
