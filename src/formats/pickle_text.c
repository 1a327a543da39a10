/* formats/pickle_text.c - opcodes whose arguments are lines of text (protocol 0), and Python's ways
 * to write bytes and characters in them. */
#include <math.h>

#include "base/num.h"
#include "base/utf8.h"
#include "formats/pickle_int.h"
#include "base/ban.h"

#define MAX_NUMBER_LINE 4096 /* digits of an integer or float; names are shorter anyway */

/* The rest of the line, without its end. */
static maas_status line(pk_vm *vm, maas_span *out)
{
    const uint8_t *end = vm->frame_end ? vm->frame_end : vm->end;
    const uint8_t *nl = memchr(vm->at, '\n', (size_t)(end - vm->at));
    if (!nl)
        return pk_fail(vm, MAAS_E_FORMAT, "a line without an end");
    MAAS_TRY(pk_take(vm, (uint64_t)(nl - vm->at), out));
    vm->at++;
    if (out->n && out->p[out->n - 1] == '\r')
        out->n--;
    return MAAS_OK;
}

static maas_status number_line(pk_vm *vm, maas_span *out)
{
    MAAS_TRY(line(vm, out));
    return out->n <= MAX_NUMBER_LINE
               ? MAAS_OK
               : pk_fail(vm, MAAS_E_FORMAT, "a number of %zu characters", out->n);
}

static maas_status push_number(pk_vm *vm, maas_pk_kind kind, int64_t i, double f)
{
    maas_pk *v;
    MAAS_TRY(pk_new(vm, kind, &v));
    if (kind == MAAS_PK_FLOAT)
        v->u.f = f;
    else if (kind == MAAS_PK_INT)
        v->u.i = i;
    return pk_push(vm, v);
}

/* Digits, also more than an int64 has: such a value is known to be there, but not what it is. */
static maas_status push_decimal(pk_vm *vm, maas_span s)
{
    int64_t i;
    maas_span rest = s;
    if (maas_num_i64(&rest, &i) && !rest.n)
        return push_number(vm, MAAS_PK_INT, i, 0);
    size_t at = s.n && s.p[0] == '-' ? 1 : 0;
    bool digits = at < s.n;
    for (; at < s.n; at++)
        digits = digits && s.p[at] >= '0' && s.p[at] <= '9';
    if (!digits)
        return pk_fail(vm, MAAS_E_FORMAT, "an integer is expected");
    return push_number(vm, MAAS_PK_BIG, 0, 0);
}

maas_status pk_op_int(pk_vm *vm)
{
    maas_span s;
    MAAS_TRY(number_line(vm, &s));
    if (s.n == 2 && s.p[0] == '0' && (s.p[1] == '0' || s.p[1] == '1'))
        return pk_push(vm, vm->fixed + (s.p[1] == '1' ? PK_TRUE : PK_FALSE));
    return push_decimal(vm, s);
}

maas_status pk_op_long(pk_vm *vm)
{
    maas_span s;
    MAAS_TRY(number_line(vm, &s));
    if (s.n && s.p[s.n - 1] == 'L')
        s.n--;
    return push_decimal(vm, s);
}

maas_status pk_op_float(pk_vm *vm)
{
    static const struct {
        const char *word;
        double value;
    } words[] = {{"nan", NAN}, {"-nan", NAN}, {"inf", INFINITY}, {"-inf", -INFINITY}};
    maas_span s;
    double f;
    MAAS_TRY(number_line(vm, &s));
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (maas_span_is(s, words[i].word))
            return push_number(vm, MAAS_PK_FLOAT, 0, words[i].value);
    if (!maas_num_f64(&s, &f) || s.n)
        return pk_fail(vm, MAAS_E_FORMAT, "a number is expected");
    return push_number(vm, MAAS_PK_FLOAT, 0, f);
}

static maas_status memo_line(pk_vm *vm, uint64_t *out)
{
    maas_span s;
    MAAS_TRY(number_line(vm, &s));
    if (!maas_num_u64(&s, out) || s.n)
        return pk_fail(vm, MAAS_E_FORMAT, "the number of a memo entry is expected");
    return MAAS_OK;
}

maas_status pk_op_get(pk_vm *vm)
{
    uint64_t n;
    MAAS_TRY(memo_line(vm, &n));
    return pk_memo_get(vm, n);
}

maas_status pk_op_put(pk_vm *vm)
{
    uint64_t n;
    MAAS_TRY(memo_line(vm, &n));
    return pk_memo_put(vm, n);
}

/* ---- names ---- */

static maas_status name_lines(pk_vm *vm, maas_pk **out)
{
    maas_span module, name;
    MAAS_TRY(line(vm, &module));
    MAAS_TRY(line(vm, &name));
    return pk_global(vm, module, name, out);
}

maas_status pk_op_global(pk_vm *vm)
{
    maas_pk *v;
    MAAS_TRY(name_lines(vm, &v));
    return pk_push(vm, v);
}

/* MARK arg arg ... INST module name */
maas_status pk_op_inst(pk_vm *vm)
{
    maas_pk *cls, *args, *v, **items;
    uint32_t n;
    MAAS_TRY(name_lines(vm, &cls));
    MAAS_TRY(pk_pop_mark(vm, &items, &n));
    MAAS_TRY(pk_new_list(vm, MAAS_PK_TUPLE, items, n, &args));
    MAAS_TRY(pk_new_object(vm, cls, args, &v));
    return pk_push(vm, v);
}

/* ---- characters ---- */

maas_status pk_push_str(pk_vm *vm, maas_span text)
{
    maas_pk *v;
    if (!maas_utf8_valid(text))
        return pk_fail(vm, MAAS_E_FORMAT, "text that is not UTF-8");
    MAAS_TRY(pk_new_text(vm, MAAS_PK_STR, text, &v));
    return pk_push(vm, v);
}

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* n hexadecimal digits at the start of *s. */
static bool hex(maas_span *s, int n, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < n; i++) {
        uint8_t c;
        if (!maas_span_u8(s, &c) || hex_digit(c) < 0)
            return false;
        *out = *out << 4 | (uint32_t)hex_digit(c);
    }
    return true;
}

size_t pk_put_utf8(uint8_t *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    const size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)(lead[n] | c);
    return n;
}

/* One character of raw-unicode-escape: \uXXXX, \UXXXXXXXX, or a byte that is its own number. */
static bool raw_unicode(maas_span *s, uint32_t *out)
{
    uint8_t c;
    maas_span_u8(s, &c);
    *out = c;
    if (c != '\\' || !s->n || (s->p[0] != 'u' && s->p[0] != 'U'))
        return true;
    const int n = s->p[0] == 'u' ? 4 : 8;
    maas_span_skip(s, 1);
    return hex(s, n, out) && *out <= 0x10ffff && (*out < 0xd800 || *out > 0xdfff);
}

maas_status pk_op_unicode(pk_vm *vm)
{
    maas_span s;
    MAAS_TRY(line(vm, &s));
    uint8_t *out = pk_alloc(vm, s.n * 2 + 1); /* a byte becomes two at most, an escape shrinks */
    size_t n = 0;
    if (!out)
        return pk_fail_memory(vm);
    while (s.n) {
        uint32_t c;
        if (!raw_unicode(&s, &c))
            return pk_fail(vm, MAAS_E_FORMAT, "a broken escape in text");
        n += pk_put_utf8(out + n, c);
    }
    maas_pk *v;
    MAAS_TRY(pk_new_text(vm, MAAS_PK_STR, maas_span_of(out, n), &v));
    return pk_push(vm, v);
}

/* One byte of a Python string literal. */
static bool escaped_byte(maas_span *s, uint8_t *out)
{
    static const char from[] = "abfnrtv\\'\"", to[] = "\a\b\f\n\r\t\v\\'\"";
    uint8_t c;
    uint32_t value;
    if (!maas_span_u8(s, &c))
        return false;
    *out = c;
    if (c != '\\')
        return true;
    if (!maas_span_u8(s, &c))
        return false;
    if (c == 'x') {
        if (!hex(s, 2, &value))
            return false;
        *out = (uint8_t)value;
        return true;
    }
    const char *at = c ? memchr(from, c, sizeof from - 1) : NULL;
    if (at)
        *out = (uint8_t)to[at - from];
    return at != NULL;
}

/* STRING: a quoted literal of Python 2: bytes or text, nobody knows. */
maas_status pk_op_string(pk_vm *vm)
{
    maas_span s;
    MAAS_TRY(line(vm, &s));
    if (s.n < 2 || (s.p[0] != '\'' && s.p[0] != '"') || s.p[s.n - 1] != s.p[0])
        return pk_fail(vm, MAAS_E_FORMAT, "a quoted string is expected");
    s = maas_span_of(s.p + 1, s.n - 2);
    uint8_t *out = pk_alloc(vm, s.n + 1);
    size_t n = 0;
    if (!out)
        return pk_fail_memory(vm);
    while (s.n)
        if (!escaped_byte(&s, out + n++))
            return pk_fail(vm, MAAS_E_FORMAT, "a broken escape in a string");
    maas_pk *v;
    MAAS_TRY(pk_new_text(vm, MAAS_PK_BYTES, maas_span_of(out, n), &v));
    return pk_push(vm, v);
}

/* Bytes that were written as characters U+0000 to U+00FF (protocols 0 to 2). */
maas_status pk_latin1(pk_vm *vm, maas_span utf8, maas_span *out)
{
    uint8_t *bytes = pk_alloc(vm, utf8.n + 1);
    size_t n = 0;
    if (!bytes)
        return pk_fail_memory(vm);
    for (size_t i = 0; i < utf8.n; i++) {
        uint8_t c = utf8.p[i];
        if (c >= 0x80) {
            if (c > 0xc3 || i + 1 == utf8.n)
                return pk_fail(vm, MAAS_E_FORMAT, "a character above U+00FF in bytes");
            c = (uint8_t)(c << 6 | (utf8.p[++i] & 0x3f));
        }
        bytes[n++] = c;
    }
    *out = maas_span_of(bytes, n);
    return MAAS_OK;
}
