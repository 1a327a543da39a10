/* CSV: the torture set as a table of text in, table out. */
#include "maas_test.h"

#include <sys/mman.h>

#include "table_dump.h"
#include "base/sys.h"
#include "base/ban.h"

typedef struct csv_case {
    const char *name, *in, *out;
    int header; /* 0: look; 1: yes; 2: no */
    char delimiter;
    const char *types;
} csv_case;

static const csv_case torture[] = {
    {"types", "a,b,c\n1,2.5,x\n-3,4,y\n", "a:int64 b:double c:string | 1 2.5 'x' | -3 4.0 'y'"},
    {"no line feed at the end", "a\n1\n2", "a:int64 | 1 | 2"},
    {"CRLF", "a,b\r\n1,x\r\n2,y\r\n", "a:int64 b:string | 1 'x' | 2 'y'"},
    {"CRLF, the last one only CR", "a,b\r\n1,x\r", "a:int64 b:string | 1 'x'"},
    {"a line end in quotes", "a,b\n1,\"x\ny\"\n2,\"p\r\nq\"\n",
     "a:int64 b:string | 1 'x\ny' | 2 'p\r\nq'"},
    {"doubled quotes", "a,b\n1,\"say \"\"hi\"\"\"\n2,\"\"\"\"\n3,\"\"\"\"\"\"\n",
     "a:int64 b:string | 1 'say \"hi\"' | 2 '\"' | 3 '\"\"'"},
    {"a quote inside a bare cell is text", "a,b\n1,5\" pipe\n2,x\"y\"\n",
     "a:int64 b:string | 1 '5\" pipe' | 2 'x\"y\"'"},
    {"a delimiter in quotes", "a,b\n1,\"x,y\"\n", "a:int64 b:string | 1 'x,y'"},
    {"quoted numbers are numbers", "a,b\n\"1\",\"2.5\"\n", "a:int64 b:double | 1 2.5"},
    {"quoted header", "\"the \"\"a\"\"\",\"b,c\"\n1,2\n", "the \"a\":int64 b,c:int64 | 1 2"},
    {"integers with missing cells are double", "a,b\n1,1\n,2\n3,3\n",
     "a:double b:int64 | 1.0 1 | NaN 2 | 3.0 3"},
    {"words for missing", "a,b\n1,x\nNA,NA\nNaN,\nnull,?\nNone,n/a\n2,y\n",
     "a:double b:string | 1.0 'x' | NaN ~ | NaN ~ | NaN ~ | NaN ~ | 2.0 'y'"},
    {"quoted NA in a text column is text", "a,b\nx,1\n\"NA\",2\n\"\",3\n,4\n",
     "a:string b:int64 | 'x' 1 | 'NA' 2 | '' 3 | ~ 4"},
    {"nothing at all is double", "a,b\n,1\n,2\n", "a:double b:int64 | NaN 1 | NaN 2"},
    {"int64 limits", "a,b\n9223372036854775807,9223372036854775808\n-9223372036854775808,1\n",
     "a:int64 b:double | 9223372036854775807 9.223372036854776e18 | -9223372036854775808 1.0"},
    {"leading zeros and signs", "a,b\n007,+1.5\n-01,.5\n+0,5.\n",
     "a:int64 b:double | 7 1.5 | -1 0.5 | 0 5.0"},
    {"exponents and infinity", "a,b\n1e3,inf\n-2.5E-2,-Infinity\n",
     "a:double b:double | 1000.0 Infinity | -0.025 -Infinity"},
    {"long decimals round correctly",
     "a\n0.1000000000000000055511151231257827\n"
     "123456789012345678901234567890\n",
     "a:double | 0.1 | 1.2345678901234568e29"},
    {"almost numbers are text", "a,b\n1.2.3,1e\n1-2,0x10\n",
     "a:string b:string | '1.2.3' '1e' | '1-2' '0x10'", 1},
    {"true and false are text", "a\ntrue\nfalse\n", "a:string | 'true' | 'false'"},
    {"blanks around numbers, not around text", "a , b\n 1 , x \n\t2,y\n",
     "a:int64 b:string | 1 ' x ' | 2 'y'"},
    {"empty lines are no rows", "\n\na,b\n\n1,2\n\r\n\n3,4\n\n", "a:int64 b:int64 | 1 2 | 3 4"},
    {"semicolons", "a;b\n1,5;2\n2,5;3\n", "a:string b:int64 | '1,5' 2 | '2,5' 3"},
    {"tabs", "a\tb\n1\tx y\n", "a:int64 b:string | 1 'x y'"},
    {"bars", "a|b\n1|x,y\n", "a:int64 b:string | 1 'x,y'"},
    {"a delimiter of one's own", "a:b\n1:2\n", "a:int64 b:int64 | 1 2", 0, ':'},
    {"no header: numbers first", "1,2\n3,4\n", "column_1:int64 column_2:int64 | 1 2 | 3 4"},
    {"no header, told", "a,b\nc,d\n", "column_1:string column_2:string | 'a' 'b' | 'c' 'd'", 2},
    {"a header of numbers, told", "1,2\n3,4\n", "1:int64 2:int64 | 3 4", 1},
    {"a name left out", ",b\n1,2\n", "column_1:int64 b:int64 | 1 2"},
    {"only a header", "a,b\n", "a:double b:double"},
    {"byte order mark",
     "\xef\xbb\xbf"
     "a,b\n1,2\n",
     "a:int64 b:int64 | 1 2"},
    {"UTF-8", "n\xc3\xa4me,b\nx\xe2\x82\xac,1\n", "n\xc3\xa4me:string b:int64 | 'x\xe2\x82\xac' 1"},
    {"empty last cell", "a,b\n1,\n2,x\n", "a:int64 b:string | 1 ~ | 2 'x'"},
    {"one column of quoted empties", "a\n\"\"\n\"\"\n", "a:double | NaN | NaN"},
    {"types given", "a,b,c,d\n1,2,3,true\n4,,5,0\n",
     "a:float b:double c:string d:bool | 1.0 2.0 '3' 1 | 4.0 NaN '5' 0", 0, 0,
     "{\"a\":\"float\",\"c\":\"string\",\"d\":\"bool\"}"},
    {"small integers given", "a,b,c\n-128,255,18446744073709551615\n127,0,0\n",
     "a:int8 b:uint8 c:uint64 | -128 255 18446744073709551615 | 127 0 0", 0, 0,
     "{\"a\":\"int8\",\"b\":\"uint8\",\"c\":\"uint64\"}"},

    /* what must be refused, and how */
    {"too few cells", "a,b\n1,2\n3\n", "E_FORMAT: csv: row 2 (byte 8): 1 cells, expected 2"},
    {"too many cells", "a,b\n1,2,3\n", "E_FORMAT: csv: row 1 (byte 4): 3 cells, expected 2"},
    {"an open quote", "a,b\n1,\"x\n2,3\n",
     "E_FORMAT: csv: row 1, column 2 (byte 6): the quote is never closed"},
    {"text after a quote", "a,b\n1,\"x\"y\n",
     "E_FORMAT: csv: row 1, column 2 (byte 9): expected a delimiter or the end of the line after "
     "the closing quote"},
    {"not a number", "a,b\n1,2\n3,abc\n",
     "E_FORMAT: csv: row 2, column \"b\" (byte 10): expected int64, got \"abc\"", 0, 0,
     "{\"b\":\"int64\"}"},
    {"out of range", "a\n1\n256\n",
     "E_FORMAT: csv: row 2, column \"a\" (byte 4): expected uint8, got \"256\"", 0, 0,
     "{\"a\":\"uint8\"}"},
    {"missing where it cannot be", "a,b\n1,2\n,3\n",
     "E_FORMAT: csv: row 2, column \"a\" (byte 8): expected int64, got a missing cell (double has "
     "missing values): \"\"",
     0, 0, "{\"a\":\"int64\"}"},
    {"not UTF-8", "a,b\n1,2\n2,\xff\xfe\n",
     "E_FORMAT: csv: row 2, column \"b\" (byte 10): expected string, got text that is not UTF-8: "
     "\"..\""},
    {"UTF-16",
     "\xff\xfe"
     "a",
     "E_FORMAT: csv: the file is UTF-16: save it as UTF-8"},
    {"two columns of a name", "a,a\n1,2\n",
     "E_FORMAT: csv: columns 1 and 2 are both called \"a\" (the first line was taken for a header; "
     "header=0 says it is not)"},
    {"a type for no column", "a\n1\n", "E_INVALID: types: the file has no column \"z\"", 0, 0,
     "{\"z\":\"float\"}"},
    {"a type that is none", "a\n1\n",
     "E_INVALID: types: column \"a\": expected one of float, double, bool, string, int8 to int64, "
     "uint8 to uint64, got complex",
     0, 0, "{\"a\":\"complex\"}"},
    {"a quote as delimiter", "a\n1\n",
     "E_INVALID: csv: a quote or line end cannot be the delimiter", 0, '"'},
    {"only line ends", "\n\r\n\n", "E_FORMAT: csv: the file is empty"},
};

static char *run(const csv_case *c, const void *p, size_t n)
{
    maas_table_opts o = MAAS_TABLE_OPTS_INIT;
    o.header = c->header == 0 ? -1 : c->header == 1;
    o.delimiter = c->delimiter;
    json_t *types = c->types ? json_loads(c->types, 0, NULL) : NULL;
    o.types = types;
    char *got = dump_table(p, n, "csv", NULL, &o);
    json_decref(types);
    return got;
}

static void torture_set_reads_as_written(void)
{
    for (size_t i = 0; i < MAAS_COUNT(torture); i++) {
        const csv_case *c = &torture[i];
        char *got = run(c, c->in, strlen(c->in));
        EXPECT_MSG(got && !strcmp(got, c->out), "%s:\n    got      %s\n    expected %s", c->name,
                   got ? got : "NULL", c->out);
        maas_free(got);
    }
}

static const mt_case cases[] = {
    MT_CASE(torture_set_reads_as_written),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
