/* Integers from text and back. */
#include "base/num.h"

#include "base/ban.h"

/* An unsigned decimal; false when there is none, on overflow, or when it goes on as a fraction,
 * an exponent or digits after a leading zero. */
static bool magnitude(maas_span *s, uint64_t *out)
{
    uint64_t v = 0;
    size_t i = 0;
    for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, s->p[i] - '0', &v))
            return false;
    if (!i || (s->p[0] == '0' && i > 1))
        return false;
    if (i < s->n && (s->p[i] == '.' || s->p[i] == 'e' || s->p[i] == 'E'))
        return false;
    *out = v;
    return maas_span_skip(s, i);
}

bool maas_num_u64(maas_span *s, uint64_t *out)
{
    maas_span rest = *s;
    if (rest.n && *rest.p == '+')
        maas_span_skip(&rest, 1);
    if (!magnitude(&rest, out))
        return false;
    *s = rest;
    return true;
}

bool maas_num_i64(maas_span *s, int64_t *out)
{
    maas_span rest = *s;
    bool negative = rest.n && *rest.p == '-';
    uint64_t v;
    if (rest.n && (*rest.p == '+' || negative))
        maas_span_skip(&rest, 1);
    if (!magnitude(&rest, &v) || v > (uint64_t)INT64_MAX + negative)
        return false;
    *out = (int64_t)(negative ? 0 - v : v);
    *s = rest;
    return true;
}

bool maas_parse_i64(const char *text, int64_t *out)
{
    maas_span s = maas_span_str(text);
    int64_t v;
    if (!maas_num_i64(&s, &v) || s.n)
        return false;
    *out = v;
    return true;
}

static const uint64_t powers[] = {0, /* so that 0 has one digit */
                                  10u,
                                  100u,
                                  1000u,
                                  10000u,
                                  100000u,
                                  1000000u,
                                  10000000u,
                                  100000000u,
                                  1000000000u,
                                  10000000000u,
                                  100000000000u,
                                  1000000000000u,
                                  10000000000000u,
                                  100000000000000u,
                                  1000000000000000u,
                                  10000000000000000u,
                                  100000000000000000u,
                                  1000000000000000000u,
                                  10000000000000000000u};

/* The logarithm by 1233/4096 of the bits is never too high and at most one too low. */
static size_t n_digits(uint64_t v)
{
    size_t low = (size_t)(64 - __builtin_clzll(v | 1)) * 1233 >> 12;
    return low + (v >= powers[low]);
}

/* From the end, two digits a division. */
size_t maas_num_put_u64(char *out, uint64_t v)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233"
        "34353637383940414243444546474849505152535455565758596061626364656667"
        "6869707172737475767778798081828384858687888990919293949596979899";
    size_t n = n_digits(v), at = n;
    for (; at >= 2; v /= 100) {
        at -= 2;
        memcpy(out + at, pairs + 2 * (v % 100), 2);
    }
    if (at)
        *out = (char)('0' + v);
    return n;
}

size_t maas_num_put_i64(char *out, int64_t v)
{
    if (v >= 0)
        return maas_num_put_u64(out, (uint64_t)v);
    *out = '-';
    return 1 + maas_num_put_u64(out + 1, 0 - (uint64_t)v);
}
