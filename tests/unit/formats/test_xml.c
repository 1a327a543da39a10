/* The XML reader: what is kept of a document, and every refusal by its words. */
#include "maas_test.h"

#include "formats/xml.h"

static maas_status read_text(const char *text, maas_arena *a, maas_xml **out, maas_err *err)
{
    maas_arena_init(a, NULL);
    return maas_xml_read(maas_span_str(text), a, out, err);
}

static void elements_attributes_and_text_are_kept(void)
{
    static const char text[] =
        "\xef\xbb\xbf<?xml version='1.0' encoding=\"UTF-8\"?>\n<!-- a < b -->\n"
        "<p:a xmlns:p='u' x = \"1 &lt; 2\"><?skip me?> one &amp; <![CDATA[two & <three>]]>\n"
        "<b/>lost<b y='&#x20ac;&#65;'>in</b></p:a>\n";
    maas_arena a;
    maas_xml *e;
    maas_err err = {0};
    EXPECT_EQ(read_text(text, &a, &e, &err), MAAS_OK);
    EXPECT(maas_xml_is(e, "a"));
    EXPECT(strcmp(maas_xml_get(e, "x"), "1 < 2") == 0);
    EXPECT(!maas_xml_get(e, "y"));
    EXPECT(strcmp(e->text, "one &") == 0);
    const maas_xml *first = maas_xml_child(e, "b"), *second = maas_xml_sibling(first, "b");
    EXPECT(!first->text[0] && strcmp(second->text, "in") == 0);
    EXPECT(strcmp(maas_xml_get(second, "y"), "\xe2\x82\xac"
                                             "A") == 0);
    EXPECT(second->parent == e && !maas_xml_sibling(second, "b"));
    EXPECT_EQ(second->line, 4);
    EXPECT(maas_xml_after(e, e) == first && maas_xml_after(first, e) == second);
    EXPECT(!maas_xml_after(second, e));
    maas_arena_reset(&a);
}

static void latin1_becomes_utf8(void)
{
    maas_arena a;
    maas_xml *e;
    maas_err err = {0};
    EXPECT_EQ(read_text("<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>", &a, &e, &err),
              MAAS_OK);
    EXPECT(strcmp(e->text, "\xc3\xa9") == 0);
    maas_arena_reset(&a);
}

static void every_refusal_has_its_words(void)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "no element"},
        {"<a>", "'a' of line 1 is not closed"},
        {"<a>\n</b>", "line 2: 'b' is closed"},
        {"<a></a></a>", "'a' is closed, which is not open"},
        {"<a/><b/>", "a second root"},
        {"words", "outside of the root"},
        {"<a>&nbsp;</a>", "entity"},
        {"<a>&#0;</a>", "entity"},
        {"<a>&#xd800;</a>", "entity"},
        {"<a>&amp</a>", "entity"},
        {"<a b></a>", "'b' has no value"},
        {"<a b=1></a>", "'b' is not quoted"},
        {"<a b='<'></a>", "'<' in the value"},
        {"<a b='", "ends before '''"},
        {"<!DOCTYPE a><a/>", "DOCTYPE"},
        {"<!ENTITY a 'b'><a/>", "DOCTYPE"},
        {"<a><!-- </a>", "ends before '-->'"},
        {"<a><![CDATA[ </a>", "ends before ']]>'"},
        {"<a>\xff</a>", "not UTF-8"},
        {"<?xml version='1.0' encoding='UTF-16'?><a/>", "an encoding"},
        {"< a/>", "a name is expected"},
        {"<a", "is not closed by '>'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        maas_arena a;
        maas_xml *e;
        maas_err err = {0};
        EXPECT_MSG(read_text(cases[i].text, &a, &e, &err) != MAAS_OK, "%s", cases[i].text);
        EXPECT_MSG(strstr(err.msg, cases[i].words), "%s: %s", cases[i].text, err.msg);
        maas_arena_reset(&a);
    }
}

static void depth_and_attributes_are_bounded(void)
{
    enum { DEEP = MAAS_XML_MAX_DEPTH + 1 };
    static char text[DEEP * 3 + 1];
    maas_arena a;
    maas_xml *e;
    maas_err err = {0};
    for (int i = 0; i < DEEP; i++)
        memcpy(text + 3 * i, "<a>", 3);
    EXPECT_EQ(read_text(text, &a, &e, &err), MAAS_E_TOO_LARGE);
    maas_arena_reset(&a);
    char wide[16 * (MAAS_XML_MAX_ATTRS + 2)] = "<a";
    for (int i = 0; i <= MAAS_XML_MAX_ATTRS; i++)
        snprintf(wide + strlen(wide), 16, " a%d=''", i);
    err = (maas_err){0};
    EXPECT_EQ(read_text(wide, &a, &e, &err), MAAS_E_TOO_LARGE);
    maas_arena_reset(&a);
}

static const mt_case cases[] = {MT_CASE(elements_attributes_and_text_are_kept),
                                MT_CASE(latin1_becomes_utf8), MT_CASE(every_refusal_has_its_words),
                                MT_CASE(depth_and_attributes_are_bounded)};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
