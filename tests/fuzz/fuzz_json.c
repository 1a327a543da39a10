/* The scanner and the tree parser over the same bytes: neither may crash, and they must agree. */
#include <stdlib.h>

#include "base/json.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

/* All tokens; every string must unescape to valid text. */
static bool scan(maas_span text, bool nonfinite, maas_arena *a)
{
    maas_json_scan s;
    size_t before = 0;
    maas_json_scan_init(&s, text);
    s.nonfinite = nonfinite;
    for (;;) {
        maas_json_kind kind = maas_json_next(&s);
        check(maas_json_offset(&s) >= before && maas_json_offset(&s) <= text.n);
        before = maas_json_offset(&s);
        if (kind == MAAS_JSON_END)
            return true;
        if (kind == MAAS_JSON_ERROR) {
            check(s.err.code != MAAS_OK && maas_json_next(&s) == MAAS_JSON_ERROR);
            return false;
        }
        if (kind == MAAS_JSON_KEY || kind == MAAS_JSON_STRING) {
            size_t n;
            char *p = maas_json_unescape(a, s.text, &n);
            check(p && n <= s.text.n && maas_utf8_valid(maas_span_of(p, n)));
            check(s.escaped || maas_span_eq(s.text, maas_span_of(p, n)));
        }
    }
}

/* Skipping the outermost value accepts what token by token is accepted. */
static void check_skip(maas_span text, bool accepted)
{
    maas_json_scan s;
    maas_json_scan_init(&s, text);
    bool skipped = maas_json_skip(&s) && maas_json_next(&s) == MAAS_JSON_END;
    check(skipped == accepted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    maas_span text = maas_span_of(data, size);
    maas_arena a;
    maas_arena_init(&a, NULL);
    bool accepted = scan(text, false, &a);
    check(scan(text, true, &a) || !accepted);
    check_skip(text, accepted);
    maas_arena_reset(&a);

    json_t *j = NULL, *again = NULL;
    maas_err err = {0};
    maas_status st = maas_json_parse(text, &j, &err);
    check(accepted || st == MAAS_E_INVALID);
    if (st == MAAS_OK) {
        maas_buf out = MAAS_BUF_INIT(64 << 20);
        maas_json_dump(j, &out);
        check(!out.failed && maas_json_parse(maas_buf_span(&out), &again, &err) == MAAS_OK);
        check(json_equal(j, again));
        maas_buf_reset(&out);
    }
    maas_json_unref(&j);
    maas_json_unref(&again);
    return 0;
}
