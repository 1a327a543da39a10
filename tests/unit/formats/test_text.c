/* JSON lines and LIBSVM: text in, table out. */
#include "maas_test.h"

#include "table_dump.h"
#include "base/ban.h"

typedef struct text_case {
    const char *name, *in, *out, *types;
} text_case;

static const text_case jsonl[] = {
    {"types",
     "{\"a\":1,\"b\":2.5,\"c\":\"x\",\"d\":true}\n{\"a\":-2,\"b\":1,\"c\":\"y\",\"d\":false}",
     "a:int64 b:double c:string d:bool | 1 2.5 'x' 1 | -2 1.0 'y' 0"},
    {"keys in any order, some missing",
     "{\"a\":1,\"b\":1}\r\n{\"b\":2}\r\n\r\n{\"b\":3,\"c\":\"z\",\"a\":3}",
     "a:double b:int64 c:string | 1.0 1 ~ | NaN 2 ~ | 3.0 3 'z'"},
    {"null is missing", "{\"a\":null,\"b\":\"x\",\"c\":true}\n{\"a\":1,\"b\":null,\"c\":null}",
     "a:double b:string c:double | NaN 'x' 1.0 | 1.0 ~ NaN"},
    {"NaN and Infinity as Python writes them", "{\"a\":NaN}\n{\"a\":-Infinity}",
     "a:double | NaN | -Infinity"},
    {"escapes", "{\"a\":\"\\u00e4\\n\\\"\",\"\\u0062\":1}", "a:string b:int64 | '\xc3\xa4\n\"' 1"},
    {"nested arrays", "{\"x\":[[1,2,3],[4,5,6]]}\n{\"x\":[[0,0,0],[1,1,1]]}",
     "x:int64[2,3] | [1,2,3,4,5,6] | [0,0,0,1,1,1]"},
    {"an array with a hole", "{\"x\":[1,null]}\n{\"x\":null}",
     "x:double[2] | [1.0,NaN] | [NaN,NaN]"},
    {"types given", "{\"a\":1,\"b\":2,\"x\":[1,2]}", "a:float b:string x:uint8[2] | 1.0 '2' [1,2]",
     "{\"a\":\"float\",\"b\":\"string\",\"x\":\"uint8\"}"},
    {"only nulls", "{\"a\":null}", "a:double | NaN"},

    {"shapes differ", "{\"x\":[1,2]}\n{\"x\":[1,2,3]}",
     "E_FORMAT: jsonl: row 2, column \"x\" (byte 24): expected shape [2], got [3]"},
    {"ragged", "{\"x\":[[1,2],[3]]}",
     "E_FORMAT: jsonl: row 1, column \"x\" (byte 15): arrays of different lengths in one value"},
    {"uneven", "{\"x\":[1,[2]]}",
     "E_FORMAT: jsonl: row 1, column \"x\" (byte 9): arrays are nested unevenly, or more than 7 "
     "deep"},
    {"uneven the other way", "{\"x\":[[1],2]}",
     "E_FORMAT: jsonl: row 1, column \"x\" (byte 11): arrays are nested unevenly"},
    {"empty array", "{\"x\":[]}",
     "E_FORMAT: jsonl: row 1, column \"x\" (byte 7): an array is empty"},
    {"text in an array", "{\"x\":[\"a\"]}",
     "E_FORMAT: jsonl: row 1, column \"x\" (byte 9): expected numbers in the array"},
    {"an object inside", "{\"x\":{}}",
     "E_FORMAT: jsonl: row 1, column \"x\" (byte 6): expected a number, text or array, got an "
     "object"},
    {"mixed", "{\"x\":1}\n{\"x\":\"a\"}",
     "E_FORMAT: jsonl: row 2, column \"x\" (byte 16): text, numbers and booleans are mixed in the "
     "column; say which in types"},
    {"a key twice", "{\"x\":1,\"x\":2}",
     "E_FORMAT: jsonl: row 1, column \"x\" (byte 11): the key is there twice"},
    {"no object", "{\"x\":1}\n3",
     "E_FORMAT: jsonl: row 2 (byte 9): expected an object: "
     "{\"column\": value, ...}"},
    {"two objects", "{\"x\":1} {\"x\":2}",
     "E_FORMAT: jsonl: row 1 (byte 8): expected the end of the line after the object"},
    {"too big for the type", "{\"x\":300}",
     "E_FORMAT: jsonl: row 1, column \"x\" (byte 8): expected uint8", "{\"x\":\"uint8\"}"},
    {"a hole where none can be", "{\"x\":null}",
     "E_INVALID: types: column \"x\" has missing values, which int64 cannot say: choose double",
     "{\"x\":\"int64\"}"},
    {"no keys", "{}\n{}", "E_FORMAT: jsonl: the file has no keys"},
};

static const text_case libsvm[] = {
    {"from one", "1 1:0.5 3:2\n-1 2:1 # two\n\n# nothing\n+1\n",
     "x:float[3] target:int64 | [0.5,0.0,2.0] 1 | [0.0,1.0,0.0] -1 | [0.0,0.0,0.0] 1"},
    {"from zero", "1 0:0.5 2:2\n0 1:1\r\n",
     "x:float[3] target:int64 | [0.5,0.0,2.0] 1 | [0.0,1.0,0.0] 0"},
    {"real targets", "1.5 1:1\n2 1:2\n", "x:float[1] target:double | [1.0] 1.5 | [2.0] 2.0"},
    {"label given", "1 1:1\n", "x:float[1] target:float | [1.0] 1.0", "{\"target\":\"float\"}"},
    {"no label", "1:2 2:3\n", "E_FORMAT: libsvm: row 1 (byte 0): expected a number as the label"},
    {"descending", "1 1:1\n1 3:1 2:1\n",
     "E_FORMAT: libsvm: row 2 (byte 12): expected a larger index than before it"},
    {"no colon", "1 1:1 7\n",
     "E_FORMAT: libsvm: row 1 (byte 6): expected index:value, with an index of 0 or more"},
    {"qid", "1 qid:1 1:2\n",
     "E_FORMAT: libsvm: row 1 (byte 2): expected index:value, with an index of 0 or more"},
    {"no value", "1 1:\n1 1:x\n",
     "E_FORMAT: libsvm: row 2 (byte 9): expected a number after the colon"},
    {"too wide", "1 65537:1\n",
     "E_TOO_LARGE: libsvm: row 1: index 65537, at most 65536 features are possible"},
    {"no features", "1\n2\n", "E_FORMAT: libsvm: the file has no index:value pair"},
};

static void run(const char *format, const text_case *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        maas_table_opts o = MAAS_TABLE_OPTS_INIT;
        json_t *types = c[i].types ? json_loads(c[i].types, 0, NULL) : NULL;
        o.types = types;
        char *got = dump_table(c[i].in, strlen(c[i].in), format, NULL, &o);
        EXPECT_MSG(got && !strcmp(got, c[i].out), "%s:\n    got      %s\n    expected %s",
                   c[i].name, got ? got : "NULL", c[i].out);
        maas_free(got);
        json_decref(types);
    }
}

static void json_lines_read_as_written(void)
{
    run("jsonl", jsonl, MAAS_COUNT(jsonl));
}

static void libsvm_reads_as_written(void)
{
    run("libsvm", libsvm, MAAS_COUNT(libsvm));
}

/* A few bytes a line must not become gigabytes of zeros. */
static void sparse_tables_are_refused_when_dense_is_absurd(void)
{
    AUTO(maas_buf_reset) maas_buf svm = MAAS_BUF_INIT(1 << 20), json = MAAS_BUF_INIT(1 << 20);
    for (int i = 0; i < 8000; i++) {
        maas_buf_str(&svm, "1 65536:1\n");
        maas_buf_printf(&json, "{\"k%d\":1}\n", i);
    }
    char *got = dump_table(svm.p, svm.n, NULL, NULL, NULL);
    EXPECT_STR(got,
               "E_TOO_LARGE: 8000 rows of 262152 bytes are more than 256 times the size of the "
               "file: the table is too sparse to be stored");
    maas_free(got);
    got = dump_table(json.p, json.n, NULL, NULL, NULL);
    EXPECT(got && strstr(got, "E_TOO_LARGE: 8000 rows of 64000 bytes"));
    maas_free(got);
}

static const mt_case cases[] = {
    MT_CASE(json_lines_read_as_written),
    MT_CASE(libsvm_reads_as_written),
    MT_CASE(sparse_tables_are_refused_when_dense_is_absurd),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
