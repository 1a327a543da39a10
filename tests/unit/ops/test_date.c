/* tests/unit/ops/test_date.c - dates: what is one, what is none, and days against the C library. */
#include "../../maas_test.h"

#include <time.h>

#include "ops/date.h"

static bool parse(const char *s, maas_date *d)
{
    return maas_date_parse((maas_str){s, strlen(s)}, d);
}

static void dates_are_read(void)
{
    maas_date d;
    EXPECT(parse("2024-02-29", &d) && d.year == 2024 && d.month == 2 && d.day == 29);
    EXPECT(parse("2024-02-29T17:45", &d) && d.hour == 17 && d.minute == 45 && d.second == 0);
    EXPECT(parse("1999-12-31 23:59:59.25", &d) && d.second == 59.25);
    EXPECT(parse(" 2024-02-29T17:45:30Z ", &d) && d.hour == 17);
    EXPECT(parse("2024-02-29T17:45:30+01:00", &d) && d.hour == 17);
    EXPECT(parse("2024-02-29T17:45:30-0130", &d) && parse("2024-02-29T17:45:30+01", &d));
    EXPECT(parse("0001-01-01", &d) && parse("9999-12-31", &d) && parse("2000-02-29", &d));
}

static void what_is_no_date_is_none(void)
{
    static const char *const bad[] = {"",
                                      " ",
                                      "2024",
                                      "2024-02",
                                      "2024-2-3",
                                      "2024-13-01",
                                      "2024-00-10",
                                      "2024-01-00",
                                      "2023-02-29",
                                      "1900-02-29",
                                      "2024-04-31",
                                      "2024/01/01",
                                      "01-01-2024",
                                      "2024-01-01x",
                                      "2024-01-01T",
                                      "2024-01-01T24:00",
                                      "2024-01-01T10",
                                      "hello",
                                      "2024-01-01T10:60",
                                      "2024-01-01T10:00:61",
                                      "2024-01-01T10:00+1",
                                      "2024-01-01T10:00Zx"};
    maas_date d;
    for (size_t i = 0; i < MAAS_COUNT(bad); i++)
        EXPECT_MSG(!parse(bad[i], &d), "'%s'", bad[i]);
    const char cut[] = "2024-02-29T17:45:30";
    for (size_t n = 0; n < sizeof cut - 1; n++) /* no byte past the end is looked at */
        EXPECT_EQ(maas_date_parse((maas_str){cut, n}, &d), n == 10 || n == 16);
}

static void days_are_those_of_the_calendar(void)
{
    for (long t = -86400L * 365 * 400; t < 86400L * 365 * 400; t += 86400L * 13) {
        struct tm tm;
        const time_t at = t;
        gmtime_r(&at, &tm);
        const maas_date d = {.year = tm.tm_year + 1900, .month = tm.tm_mon + 1, .day = tm.tm_mday};
        EXPECT_EQ(maas_date_days(&d), t / 86400);
    }
    const maas_date first = {.year = 1, .month = 1, .day = 1}, zero = {.month = 2, .day = 1};
    EXPECT_EQ(maas_date_days(&first), -719162);
    EXPECT_EQ(maas_date_days(&zero), -719162 - 366 + 31);
}

static const mt_case cases[] = {MT_CASE(dates_are_read), MT_CASE(what_is_no_date_is_none),
                                MT_CASE(days_are_those_of_the_calendar)};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
