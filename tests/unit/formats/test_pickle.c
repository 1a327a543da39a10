/* The pickle machine: every opcode by its value, every refusal by its words. */
#include "maas_test.h"

#include "pickle_text.h"

/* ---- what is accepted ---- */

static const struct {
    bytes in;
    const char *text;
} accepted[] = {
    {B("\x80\x02N."), "None"},
    {B("\x80\x02\x88."), "True"},
    {B("\x80\x02I01\n."), "True"},
    {B("\x80\x02I00\n."), "False"},
    {B("\x80\x02I-42\n."), "-42"},
    {B("\x80\x02L12345678901L\n."), "12345678901"},
    {B("\x80\x02L123456789012345678901234567890L\n."), "int"},
    {B("\x80\x02K\xff."), "255"},
    {B("\x80\x02M\x01\x02."), "513"},
    {B("\x80\x02J\xfe\xff\xff\xff."), "-2"},
    {B("\x80\x02\x8a\x00."), "0"},
    {B("\x80\x02\x8a\x02\x00\x80."), "-32768"},
    {B("\x80\x02\x8a\x09\x01\x00\x00\x00\x00\x00\x00\x00\x01."), "int"},
    {B("\x80\x02\x8b\x01\x00\x00\x00\x7f."), "127"},
    {B("\x80\x02G?\xf8\x00\x00\x00\x00\x00\x00."), "1.5"},
    {B("\x80\x02"
       "F-2.5e3\n."),
     "-2500"},
    {B("\x80\x02"
       "Finf\n."),
     "inf"},
    {B("\x80\x02S'a\\n\\x41\\\\'\n."), "bytes"},
    {B("\x80\x02V\\u00e9\xe9\\U0001F600\n."), "'\xc3\xa9\xc3\xa9\xf0\x9f\x98\x80'"},
    {B("\x80\x02X\x02\x00\x00\x00\xc3\xa9."), "'\xc3\xa9'"},
    {B("\x80\x04\x8c\x03"
       "abc."),
     "'abc'"},
    {B("\x80\x04\x8d\x01\x00\x00\x00\x00\x00\x00\x00z."), "'z'"},
    {B("\x80\x03"
       "C\x02\x00\x01."),
     "bytes"},
    {B("\x80\x05\x96\x01\x00\x00\x00\x00\x00\x00\x00z."), "bytes"},
    {B("\x80\x02)."), "()"},
    {B("\x80\x02(K\x01K\x02t."), "(1, 2)"},
    {B("\x80\x02K\x01\x85."), "(1)"},
    {B("\x80\x02K\x01K\x02K\x03\x87."), "(1, 2, 3)"},
    {B("\x80\x02(K\x01l."), "[1]"},
    {B("\x80\x02]K\x01"
       "aK\x02"
       "a(K\x03K\x04K\x05"
       "e."),
     "[1, 2, 3, 4, 5]"},
    {B("\x80\x02(K\x01K\x02"
       "d."),
     "{1: 2}"},
    {B("\x80\x02}K\x01Ns(K\x02NK\x03"
       "]u."),
     "{1: None, 2: None, 3: []}"},
    {B("\x80\x04\x8f(K\x01K\x02\x90."), "<1, 2>"},
    {B("\x80\x04(K\x07\x91."), "<7>"},
    {B("\x80\x02K\x01K\x02"
       "0."),
     "1"},
    {B("\x80\x02K\x01(K\x02K\x03"
       "1."),
     "1"},
    {B("\x80\x02K\x01(0."), "1"},
    {B("\x80\x02K\x01"
       "2\x86."),
     "(1, 1)"},
    {B("\x80\x02]q\x00h\x00\x86."), "([], [])"},
    {B("\x80\x02]r\x00\x00\x00\x00j\x00\x00\x00\x00\x86."), "([], [])"},
    {B("\x80\x04]\x94K\x09"
       "ah\x00\x86."),
     "([9], [9])"},
    {B("\x80\x02]p0\ng0\n\x86."), "([], [])"},
    {B("\x80\x02]q\x00h\x00"
       "a."),
     "[[[[[[[...]]]]]]]"}, /* itself */
    {B("\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00K\x01."), "1"},
    {B("\x80\x04\x95\x03\x00\x00\x00\x00\x00\x00\x00K\x01."), "1"},
    {B("\x80\x02"
       "ccollections\nOrderedDict\n)RK\x01K\x02s."),
     "{1: 2}"},
    {B("\x80\x02"
       "ccollections\nOrderedDict\n](K\x01K\x02"
       "ea]a\x85R."),
     "! "},
    {B("\x80\x02"
       "c__builtin__\nset\n](K\x01K\x02"
       "e\x85R."),
     "<1, 2>"},
    {B("\x80\x02"
       "c_codecs\nencode\nX\x02\x00\x00\x00\xc3\xbfX\x06\x00\x00\x00latin1\x86R."),
     "bytes"},
    {B("csklearn.svm\nSVC\n."), "sklearn.svm.SVC"},
    {B("\x80\x02"
       "csklearn.svm\nSVC\n)\x81}X\x01\x00\x00\x00"
       "CK\x01sb."),
     "sklearn.svm.SVC()|{'C': 1}"},
    {B("\x80\x04\x8c\x0bsklearn.svm\x8c\x03SVC\x93)}\x92."), "sklearn.svm.SVC()"},
    {B("\x80\x02(csklearn.svm\nSVC\nK\x01o."), "sklearn.svm.SVC(1)"},
    {B("\x80\x02(K\x01isklearn.svm\nSVC\n."), "sklearn.svm.SVC(1)"},
    {B("\x80\x02"
       "ccopy_reg\n_reconstructor\ncsklearn.svm\nSVC\nc__builtin__\nobject\nN\x87R."),
     "sklearn.svm.SVC()"},
    {B("\x80\x02"
       "ccopyreg\n__newobj__\ncsklearn.svm\nSVC\n\x85R."),
     "sklearn.svm.SVC()"},
    {B("\x80\x02"
       "csklearn.utils\nBunch\n)\x81K\x01K\x02s."),
     "sklearn.utils.Bunch()+1: 2"},
};

static void every_opcode_makes_its_value(void)
{
    maas_buf out = MAAS_BUF_INIT(1 << 20);
    for (size_t i = 0; i < MAAS_COUNT(accepted); i++) {
        read_as_text(accepted[i].in, &out);
        const size_t n = strlen(accepted[i].text);
        EXPECT_MSG(accepted[i].text[0] == '!' ? strncmp(out.p, accepted[i].text, n) == 0
                                              : strcmp(out.p, accepted[i].text) == 0,
                   "row %zu: %s, wanted %s", i, out.p, accepted[i].text);
    }
    maas_buf_reset(&out);
}

/* ---- what is refused ---- */

static const struct {
    bytes in;
    const char *words;
} refused[] = {
    {B(""), "no pickle"},
    {B("hello world, this is text"), "no pickle"},
    {B("ZF0x0000000000000010"), "joblib 0.9 or older"},
    {B("\x80\x06N."), "no pickle"},
    {B("\x80\x02N"), "ends in the middle"},
    {B("\x80\x02N.N"), "1 bytes follow"},
    {B("\x80\x02NN."), "2 values and 0 marks"},
    {B("\x80\x02(N."), "1 values and 1 marks"},
    {B("\x80\x02."), "0 values"},
    {B("\x80\x02\xf0."), "0xf0 is no opcode"},
    {B("\x80\x02\x82\x01."), "EXT1 (0x82) is refused"},
    {B("\x80\x02\x83\x01\x00."), "EXT2 (0x83) is refused"},
    {B("\x80\x02\x84\x01\x00\x00\x00."), "EXT4 (0x84) is refused"},
    {B("\x80\x02Pabc\n."), "PERSID (0x50) is refused"},
    {B("\x80\x02NQ."), "BINPERSID (0x51) is refused"},
    {B("\x80\x05\x97."), "NEXT_BUFFER (0x97) is refused"},
    {B("\x80\x05\x98."), "READONLY_BUFFER (0x98) is refused"},
    {B("\x80\x02h\x00."), "memo entry 0 is read before it is set"},
    {B("\x80\x02Nq\x05."), "memo entry 5 is set, the next one is 0"},
    {B("\x80\x02q\x00."), "the stack is empty"},
    {B("\x80\x02(q\x00."), "the stack is empty"},
    {B("\x80\x02t."), "a mark is needed"},
    {B("\x80\x02N(K\x01"
       "s."),
     "the stack is empty"},
    {B("\x80\x02NK\x01"
       "a."),
     "items are added to a None"},
    {B("\x80\x02)K\x01"
       "a."),
     "items are added to a tuple"},
    {B("\x80\x02](K\x01u."), "a key without a value"},
    {B("\x80\x02](K\x01K\x02u."), "items are added to a list"},
    {B("\x80\x02(K\x01"
       "d."),
     "a key without a value"},
    {B("\x80\x02N}b."), "a None is given a state"},
    {B("\x80\x02"
       "csklearn.svm\nSVC\n)\x81}b}b."),
     "a second state"},
    {B("\x80\x02"
       "csklearn.svm\nSVC\n)\x81K\x01"
       "aK\x01K\x01s."),
     "both list and dict"},
    {B("\x80\x02K\x01)R."), "an object of a int, which is no class"},
    {B("\x80\x02"
       "csklearn.svm\nSVC\nK\x01R."),
     "are no tuple"},
    {B("\x80\x02N)\x81."), "which is no class"},
    {B("\x80\x02(o."), "without a class"},
    {B("\x80\x04K\x01K\x02\x93."), "a name is no text"},
    {B("\x80\x04\x95\xff\x00\x00\x00\x00\x00\x00\x00N."), "a frame of 255 bytes, the file has 2"},
    {B("\x80\x04\x95\x0a\x00\x00\x00\x00\x00\x00\x00\x95\x01\x00\x00\x00\x00\x00\x00\x00N."),
     "a frame within a frame"},
    {B("\x80\x04\x95\x03\x00\x00\x00\x00\x00\x00\x00N.N"), "inside a frame"},
    {B("\x80\x02X\xff\xff\xff\xff"
       "a."),
     "4294967295 bytes are announced"},
    {B("\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xff"
       "a."),
     "bytes are announced"},
    {B("\x80\x02\x8b\xff\xff\xff\xff"
       "a."),
     "bytes are announced"},
    {B("\x80\x02X\x01\x00\x00\x00\xff."), "not UTF-8"},
    {B("\x80\x02V\\ud800\n."), "a broken escape"},
    {B("\x80\x02S'a\n."), "a quoted string"},
    {B("\x80\x02S'\\q'\n."), "a broken escape"},
    {B("\x80\x02Ix\n."), "an integer is expected"},
    {B("\x80\x02"
       "Fx\n."),
     "a number is expected"},
    {B("\x80\x02"
       "I1"),
     "a line without an end"},
    {B("\x80\x02"
       "c_codecs\nencode\nX\x01\x00\x00\x00"
       "aX\x04\x00\x00\x00zlib\x86R."),
     "are not what it takes"},
    {B("\x80\x02"
       "cjoblib.numpy_pickle\nNDArrayWrapper\n."),
     "joblib 0.9 or older"},
};

static void what_is_wrong_is_said(void)
{
    maas_buf out = MAAS_BUF_INIT(1 << 20);
    for (size_t i = 0; i < MAAS_COUNT(refused); i++) {
        read_as_text(refused[i].in, &out);
        EXPECT_MSG(out.p[0] == '!' && strstr(out.p, refused[i].words), "row %zu: %s, wanted %s", i,
                   out.p, refused[i].words);
    }
    maas_buf_reset(&out);
}

/* ---- numpy ---- */

#define RECONSTRUCT                                                                                \
    "cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85"                             \
    "C\x01"                                                                                        \
    "b\x87R"
#define DTYPE(code, order)                                                                         \
    "cnumpy\ndtype\nX\x02\x00\x00\x00" code "K\x00K\x01\x87R(K\x03X\x01\x00\x00\x00" order         \
    "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"

static const struct {
    bytes in;
    const char *text;
} arrays[] = {
    {B("\x80\x03" RECONSTRUCT
       "(K\x01K\x02K\x02\x86" DTYPE("i2", "<") "\x89"
                                               "C\x08\x01\x00\x02\x00\x03\x00\x04\x00tb."),
     "I16[2,2] 1 2 3 4"},
    {B("\x80\x03" RECONSTRUCT
       "(K\x01K\x02K\x02\x86" DTYPE("i2", "<") "\x88"
                                               "C\x08\x01\x00\x02\x00\x03\x00\x04\x00tb."),
     "I16[2,2] 1 3 2 4"},
    {B("\x80\x03" RECONSTRUCT
       "(K\x01K\x02K\x02\x86" DTYPE("i2", ">") "\x88"
                                               "C\x08\x00\x01\x00\x02\x00\x03\x00\x04tb."),
     "I16[2,2] 1 3 2 4"},
    {B("\x80\x03" RECONSTRUCT "(K\x01K\x02\x85" DTYPE("b1", "|") "\x89"
                                                                 "C\x02\x01\x00tb."),
     "BOOL[2] 1 0"},
    {B("\x80\x03" RECONSTRUCT "(K\x01K\x02\x85" DTYPE("b1", "|") "\x89"
                                                                 "C\x02\x01\x02tb."),
     "! "},
    {B("\x80\x03" RECONSTRUCT "(K\x01K\x03\x85" DTYPE("i2", "<") "\x89"
                                                                 "C\x02\x01\x02tb."),
     "! pickle, byte"},
    {B("\x80\x03" RECONSTRUCT "(K\x01J\xff\xff\xff\xff\x85" DTYPE("i2", "<") "\x89"
                                                                             "C\x00tb."),
     "! "},
    {B("\x80\x03" RECONSTRUCT
       "(K\x01(J\xff\xff\xff\x7fJ\xff\xff\xff\x7fJ\xff\xff\xff\x7fK\x00t" DTYPE("i2",
                                                                                "<") "\x89"
                                                                                     "C\x00tb."),
     "! "},
    {B("\x80\x03" RECONSTRUCT "(K\x01K\x00\x85" DTYPE("f8", "<") "\x89"
                                                                 "C\x00tb."),
     "F64[0]"},
    {B("\x80\x03" RECONSTRUCT "(K\x01K\x02\x85" DTYPE("O8", "|") "\x89](X\x01\x00\x00\x00"
                                                                 "aX\x01\x00\x00\x00"
                                                                 "betb."),
     "STRING[2] a b"},
    {B("\x80\x03" RECONSTRUCT
       "(K\x01K\x02\x85" DTYPE("O8", "|") "\x89](K\x01G?\xf8\x00\x00\x00\x00\x00\x00"
                                          "etb."),
     "F64[2] 1 1.5"},
    {B("\x80\x03" RECONSTRUCT "(K\x01K\x02\x85" DTYPE("O8", "|") "\x89](X\x01\x00\x00\x00"
                                                                 "aNetb."),
     "array?"},
    {B("\x80\x03" RECONSTRUCT "(K\x01K\x03\x85" DTYPE("O8", "|") "\x89](X\x01\x00\x00\x00"
                                                                 "aNetb."),
     "! "},
    {B("\x80\x03"
       "cnumpy._core.multiarray\nscalar\n" DTYPE("i4", "<") "C\x04\x07\x00\x00\x00\x86R."),
     "I32[] 7"},
    {B("\x80\x05"
       "cnumpy._core.numeric\n_frombuffer\n(\x96\x02\x00\x00\x00\x00\x00\x00\x00\x05\x06" DTYPE(
           "u1", "|") "K\x02\x85\x8c\x01"
                      "CtR."),
     "U8[2] 5 6"},
    {B("\x80\x03" RECONSTRUCT "(K\x01K\x01\x85"
       "cnumpy\ndtype\nX\x02\x00\x00\x00U2K\x00K\x01\x87R(K\x03X\x01\x00\x00\x00<"
       "NNNK\x08K\x04K\x08tb"
       "\x89"
       "C\x08\xe9\x00\x00\x00\x00\x00\x00\x00tb."),
     "STRING[1] \xc3\xa9"},
    {B("\x80\x03" RECONSTRUCT "(K\x01K\x01\x85"
       "cnumpy\ndtype\nX\x02\x00\x00\x00U1K\x00K\x01\x87R(K\x03X\x01\x00\x00\x00<"
       "NNNK\x04K\x04K\x08tb"
       "\x89"
       "C\x04\x00\xd8\x00\x00tb."),
     "! "},
};

static void arrays_are_in_our_order(void)
{
    maas_buf out = MAAS_BUF_INIT(1 << 20);
    for (size_t i = 0; i < MAAS_COUNT(arrays); i++) {
        read_as_text(arrays[i].in, &out);
        const size_t n = strlen(arrays[i].text);
        EXPECT_MSG(arrays[i].text[0] == '!' ? strncmp(out.p, arrays[i].text, n) == 0
                                            : strcmp(out.p, arrays[i].text) == 0,
                   "row %zu: %s, wanted %s", i, out.p, arrays[i].text);
    }
    maas_buf_reset(&out);
}

static void every_cut_is_refused(void)
{
    maas_buf out = MAAS_BUF_INIT(1 << 20);
    for (size_t i = 0; i < MAAS_COUNT(arrays); i++)
        for (size_t n = 0; n < arrays[i].in.n; n++) {
            read_as_text((bytes){arrays[i].in.p, n}, &out);
            EXPECT_MSG(out.p[0] == '!', "row %zu cut to %zu bytes: %s", i, n, out.p);
        }
    maas_buf_reset(&out);
}

static const mt_case cases[] = {
    MT_CASE(every_opcode_makes_its_value),
    MT_CASE(what_is_wrong_is_said),
    MT_CASE(arrays_are_in_our_order),
    MT_CASE(every_cut_is_refused),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
