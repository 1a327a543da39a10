"""test_words.py LM_TOKENS [--peer] - how text is cut into words before BPE, by every name that a file may give: against
the pipelines that makers published, run by the tokenizers library; with --peer against llama.cpp.

The vocabulary is made of merges that go across all kinds of words, so that every cut shows in the tokens.
"""
import json
import os
import random
import subprocess
import sys
import tempfile
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers as pre, trainers
from lm_architectures import MODELS, VOCAB, tensors, write

LETTERS = ("abcde fghij XYZ KLM é Ü ß ñ Ж д ق ش ह ि 漢 字 仮 かな カナ 한 글 ไ ท ʼ ƻ ǀ ʔ Ա ւ ᾀ ῼ K Ω ﬀ Ａ ａ 𐐀 😀 👩‍🚀 ① Ⅷ ½ ² "
           "0 1 2 34 567 ٣ ４ , . ! ? ; : ' \" ` ~ @ # $ % ^ & * ( ) [ ] { } < > | \\ / + - = _ … 、 。 “ ” ¿ ₤ 's 'T 'll 'RE 'd "
           "\u0301 \u200d \u00a0 \u3000 \t \n \r \r\n").split(" ") + [" ", "  ", "   "]
FIXED = ["Hello World, it's 12345 o'clock!", "  leading and trailing  ", "\n\n\nfoo();\n\tbar = 3.14;\r\n", "I'LL don'T WE'RE",
         "HTTPServer camelCase snake_case XMLHttpRequest2", "1 22 333 4444 55555 a1b22c333", "（全角）１２３、テスト。", "\u3000 \u3000x",
         "e\u0301e\u0301 A\u0308B", "🤖🤖 ok 👨‍👩‍👧", "''''''```````\"\"\"\"......!!!!!!??????", " ", "\t\t\tx", "a\n b\n\n  c", "ÀÉÎ straße ΑΒΓ"]

# Work must grow with the length of a text, not with its square.
LONG = [c * (100_000 // len(c)) + "x" for c in (" ", "A", "a", "1", "\n", "!", "'", " \n", "aA", "\u0301", "字", "\u3000", "é ", "'s")]

GPT2 = [pre.ByteLevel(add_prefix_space=False, use_regex=True)]
END = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"


def split(*patterns):
    return [pre.Split(Regex(p), "isolated") for p in patterns] + [pre.ByteLevel(add_prefix_space=False, use_regex=False)]


def modern(digits):
    return split(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|" + digits +
                 r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def capitals(digits, end):
    return split(r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + end +
                 r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + end +
                 "|" + digits + r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


# Letters that have a case, as the makers of DeepSeek LLM listed them.
CASED = (r"A-Za-z\x{b5}\x{c0}-\x{d6}\x{d8}-\x{f6}\x{f8}-\x{1ba}\x{1bc}-\x{1bf}\x{1c4}-\x{293}\x{295}-\x{2af}"
         r"\x{370}-\x{373}\x{376}\x{377}\x{37b}-\x{37d}\x{37f}\x{386}\x{388}-\x{38a}\x{38c}\x{38e}-\x{3a1}"
         r"\x{3a3}-\x{3f5}\x{3f7}-\x{481}\x{48a}-\x{52f}\x{531}-\x{556}\x{10a0}-\x{10c5}\x{13a0}-\x{13f5}"
         r"\x{13f8}-\x{13fd}\x{1c90}-\x{1cba}\x{1cbd}-\x{1cbf}\x{1d00}-\x{1d2b}\x{1d6b}-\x{1d77}\x{1d79}-"
         r"\x{1d9a}\x{1e00}-\x{1f15}\x{1f18}-\x{1f1d}\x{1f20}-\x{1f45}\x{1f48}-\x{1f4d}\x{1f50}-\x{1f57}"
         r"\x{1f59}\x{1f5b}\x{1f5d}\x{1f5f}-\x{1f7d}\x{1f80}-\x{1fb4}\x{1fb6}-\x{1fbc}\x{1fbe}\x{1fc2}-\x{1fc4}"
         r"\x{1fc6}-\x{1fcc}\x{1fd0}-\x{1fd3}\x{1fd6}-\x{1fdb}\x{1fe0}-\x{1fec}\x{1ff2}-\x{1ff4}\x{1ff6}-"
         r"\x{1ffc}\x{2102}\x{2107}\x{210a}-\x{2113}\x{2115}\x{2119}-\x{211d}\x{2124}\x{2126}\x{2128}\x{212a}-"
         r"\x{212d}\x{212f}-\x{2134}\x{2139}\x{213c}-\x{213f}\x{2145}-\x{2149}\x{214e}\x{2183}\x{2184}\x{2c00}-"
         r"\x{2c7b}\x{2c7e}-\x{2ce4}\x{2ceb}-\x{2cee}\x{2cf2}\x{2cf3}\x{a640}-\x{a66d}\x{a680}-\x{a69b}\x{a722}"
         r"-\x{a76f}\x{a771}-\x{a787}\x{a78b}-\x{a78e}\x{ab70}-\x{abbf}\x{fb00}-\x{fb06}\x{fb13}-\x{fb17}"
         r"\x{ff21}-\x{ff3a}\x{ff41}-\x{ff5a}\x{10400}-\x{1044f}\x{104b0}-\x{104d3}\x{104d8}-\x{104fb}\x{10c80}"
         r"-\x{10cb2}\x{10cc0}-\x{10cf2}\x{118a0}-\x{118df}\x{1e900}-\x{1e943}")


# By name: the maker's pipeline, or None where it cuts once more than files' readers do (no merge of a real vocabulary
# goes across that).
PIPELINES = {
    "gpt-2": GPT2, "phi-2": GPT2, "mpt": GPT2, "olmo": GPT2, "jais": GPT2, "exaone4": GPT2, "trillion": GPT2,
    "starcoder": [pre.Digits(individual_digits=True), *GPT2], "smollm": [pre.Digits(individual_digits=True), *GPT2],
    "refact": [pre.Digits(individual_digits=True), *GPT2], "command-r": [pre.Digits(individual_digits=True), *GPT2],
    "codeshell": [pre.Digits(individual_digits=True), *GPT2], "exaone": [pre.Digits(individual_digits=True), *GPT2],
    "llama-bpe": modern(r"\p{N}{1,3}"), "falcon3": modern(r"\p{N}{1,3}"), "dbrx": modern(r"\p{N}{1,3}"),
    "smaug-bpe": modern(r"\p{N}{1,3}"), "chatglm-bpe": modern(r"\p{N}{1,3}"), "glm4": modern(r"\p{N}{1,3}"),
    "qwen2": modern(r"\p{N}"), "stablelm2": modern(r"\p{N}"), "deepseek-r1-qwen": modern(r"\p{N}"),
    "falcon": None,
    "deepseek-llm": split(r"[\r\n]", r"\s?[" + CASED + "]+", r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", r"[一-龥ࠀ-一가-퟿]+",
                          r"\p{N}+"),
    "deepseek-coder": split(r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[一-龥ࠀ-一가-퟿]+", r"\p{N}"),
    "deepseek-v3": split(r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+",
                         r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
                         r"|\s*[\r\n]+|\s+(?!\S)|\s+"),
    "tekken": capitals(r"\p{N}", ""), "gpt-4o": capitals(r"\p{N}{1,3}", END), "llama4": capitals(r"\p{N}{1,3}", END),
    "bloom": split(r" ?[^(\s|[.,!?…。，、।۔،])]+"), "viking": split(r" ?[^(\s|[.,!?…。，、।۔،])]+", r"\p{N}"),
}
WHOLE = {"llama-bpe", "falcon3", "tekken"}  # a word that is a token is that token, whatever merges say
# llama.cpp writes capitals as "not a-z", and knows no wide spaces in the other two.
NOT_LLAMAS = {"tekken", "gpt-4o", "llama4", "deepseek-llm", "deepseek-coder"}
passed = failed = 0


def check(name, bad, total):
    global passed, failed
    passed, failed = passed + (not bad), failed + bool(bad)
    print(f"{'not ok' if bad else 'ok'} {name}: {total - len(bad)} of {total} texts the same"
          + (f", not {bad[0][0]!r}: {bad[0][1]} is not {bad[0][2]}" if bad else ""), flush=True)


def texts():
    rng = random.Random(5)
    return FIXED + ["".join(rng.choices(LETTERS, k=rng.randint(1, 24))) for _ in range(600)]


def vocabulary():
    """Pairs of whatever follows each other often, spaces and marks and digits alike."""
    rng = random.Random(9)
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre.ByteLevel(add_prefix_space=False, use_regex=False)
    lines = FIXED * 20 + ["".join(rng.choices(LETTERS, k=12)) for _ in range(4000)]
    t.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=VOCAB, initial_alphabet=pre.ByteLevel.alphabet(),
                                                     show_progress=False))
    model = json.loads(t.to_str())["model"]
    return model["vocab"], [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model["merges"]]


def theirs(vocab, merges, name, all_texts):
    t = Tokenizer(models.BPE(vocab, merges, ignore_merges=name in WHOLE))
    t.pre_tokenizer = pre.Sequence(PIPELINES[name])
    return [t.encode(text).ids for text in all_texts]


def peers(path, all_texts):
    import llama_peer
    return llama_peer.tokens(llama_peer.library(), path, all_texts)


def main(program, with_peer):
    vocab, merges = vocabulary()
    all_texts, weights = texts(), tensors(MODELS["llama"])
    with tempfile.TemporaryDirectory() as folder:
        for name in PIPELINES:
            path = os.path.join(folder, name + ".gguf")

            def keys(w):
                w.add_tokenizer_model("gpt2")
                w.add_tokenizer_pre(name)
                w.add_token_list(sorted(vocab, key=vocab.get))
                w.add_token_types([1] * len(vocab))
                w.add_token_merges([" ".join(m) for m in merges])

            write(path, MODELS["llama"], weights, keys)
            r = subprocess.run([program, path], input="\0".join(all_texts).encode() + b"\0", capture_output=True)
            if r.returncode:
                check(name, [("", r.stderr.decode().strip(), "")], 1)
                continue
            ours = [[int(x) for x in line.split()] for line in r.stdout.decode().splitlines()]
            sources = [("", theirs(vocab, merges, name, all_texts))] if PIPELINES[name] else []
            if with_peer and name not in NOT_LLAMAS:
                sources.append((" and llama.cpp", peers(path, all_texts)))
            try:
                r = subprocess.run([program, path], input="\0".join(LONG).encode() + b"\0", capture_output=True, timeout=60)
                check(name + ", long texts", [("", r.stderr.decode(), "")] if r.returncode else [], len(LONG))
            except subprocess.TimeoutExpired:
                check(name + ", long texts", [("", "a minute", "enough")], len(LONG))
            for whose, want in sources:
                check(name + whose, [(t, a, b) for t, a, b in zip(all_texts, ours, want) if a != b], len(all_texts))
    kinds = {str(theirs(vocab, merges, n, all_texts)) for n in ("gpt-2", "starcoder", "qwen2", "llama-bpe", "tekken", "bloom")}
    check("a wrong name shows", [("", len(kinds), 6)] if len(kinds) < 6 else [], 1)
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], "--peer" in sys.argv))
