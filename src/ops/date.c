/*
 * DateParts (ai.maas) - a date as numbers that a model can learn from. No operator of ONNX takes a
 * text apart by place, so a graph with this one runs only here.
 *
 *   X [n] or [n, 1] text -> Y [n, 6] double: year, month, day, hour (with its minutes and seconds),
 *   weekday (Monday is 0), days since 1970-01-01; NaN six times for what is no date
 */
#include "ops/date.h"

#include <math.h>

#include "ops/ops_int.h"

#include "base/ban.h"

/* Exactly n digits. */
static bool digits(maas_str *s, int n, int *out)
{
    int v = 0;
    if (s->n < (size_t)n)
        return false;
    for (int i = 0; i < n; i++) {
        if (s->p[i] < '0' || s->p[i] > '9')
            return false;
        v = v * 10 + (s->p[i] - '0');
    }
    *s = (maas_str){s->p + n, s->n - (size_t)n};
    *out = v;
    return true;
}

static bool one_of(maas_str *s, const char *set)
{
    if (s->n == 0 || !s->p[0] || !strchr(set, s->p[0]))
        return false;
    *s = (maas_str){s->p + 1, s->n - 1};
    return true;
}

static int days_of(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* hh:mm, then maybe :ss and a fraction, then maybe Z or an offset. */
static bool parse_time(maas_str *s, maas_date *d)
{
    int whole = 0, offset;
    if (!digits(s, 2, &d->hour) || d->hour > 23 || !one_of(s, ":") || !digits(s, 2, &d->minute) ||
        d->minute > 59)
        return false;
    if (one_of(s, ":")) {
        if (!digits(s, 2, &whole) || whole > 60)
            return false;
        d->second = whole;
        double unit = 0.1;
        if (one_of(s, ".,"))
            for (int v; digits(s, 1, &v); unit /= 10)
                d->second += v * unit;
    }
    if (one_of(s, "Zz") || !one_of(s, "+-"))
        return true;
    if (!digits(s, 2, &offset))
        return false;
    one_of(s, ":");
    return s->n == 0 || digits(s, 2, &offset);
}

bool maas_date_parse(maas_str s, maas_date *out)
{
    maas_date d = {0};
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = (maas_str){s.p + 1, s.n - 1};
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    if (!digits(&s, 4, &d.year) || !one_of(&s, "-") || !digits(&s, 2, &d.month) ||
        !one_of(&s, "-") || !digits(&s, 2, &d.day) || d.month < 1 || d.month > 12 || d.day < 1 ||
        d.day > days_of(d.year, d.month))
        return false;
    if (s.n && (!one_of(&s, "Tt ") || !parse_time(&s, &d) || s.n))
        return false;
    *out = d;
    return true;
}

/* Years begin in March here, so that the odd day is the last of them. */
int64_t maas_date_days(const maas_date *d)
{
    const int64_t year = d->year - (d->month <= 2), month = (d->month + 9) % 12;
    const int64_t before = year * 365 + (year >= 0 ? year / 4 - year / 100 + year / 400 : -1);
    return before + (month * 153 + 2) / 5 + d->day - 1 - 719468;
}

/* ---- the operator ---- */

enum { PARTS = 6 };

static maas_status date_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    if (x->rank > 2 || x->rank == 0 || (x->rank == 2 && x->dims[1] >= 0 && x->dims[1] != 1))
        return maas_fail(err, MAAS_E_INVALID, "X must be one text a row: [n] or [n, 1]");
    const int64_t dims[] = {x->rank > 0 ? x->dims[0] : MAAS_DIM_UNKNOWN, PARTS};
    maas_q_out(q, 0, MAAS_F64, 2, dims);
    return MAAS_OK;
}

static void put_parts(const maas_date *d, double *y)
{
    const int64_t days = maas_date_days(d);
    y[0] = d->year;
    y[1] = d->month;
    y[2] = d->day;
    y[3] = d->hour + d->minute / 60.0 + d->second / 3600;
    y[4] = (double)((days % 7 + 10) % 7); /* 1970-01-01 was a Thursday */
    y[5] = (double)days;
}

static maas_status date_reference(const maas_call *call, maas_err *err)
{
    (void)err;
    const maas_str *x = call->in[0].data;
    double *y = call->out[0].data;
    for (int64_t r = 0; r < call->out[0].dims[0]; r++, y += PARTS) {
        maas_date d;
        if (maas_date_parse(x[r], &d))
            put_parts(&d, y);
        else
            for (int k = 0; k < PARTS; k++)
                y[k] = NAN;
    }
    return MAAS_OK;
}

static int64_t date_flops(const maas_call *call)
{
    return maas_n_elems(&call->out[0]) * 10;
}

static void date_example(maas_example *e)
{
    maas_vid x = maas_ex_in(e, MAAS_STRING, 0, 9, e->variant & 1 ? 2 : 1, (const int64_t[]){4, 1});
    maas_b_node(e->b, "DateParts", NULL, 0, &x, 1, NULL, 1);
}

static const maas_io_schema in[] = {MAAS_REQ("X", NULL, MAAS_DTS_STR)};
static const maas_io_schema out[] = {MAAS_REQ("Y", NULL, MAAS_DT_BIT(MAAS_F64))};

const maas_op maas_op_DateParts = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "DateParts",
    .since = 1,
    .flags = MAAS_OP_STRINGS,
    MAAS_SCHEMA(in, out),
    .n_examples = 2,
    .infer = date_infer,
    .reference = date_reference,
    .flops = date_flops,
    .example = date_example,
    .no_gradient = "it reads text",
};
