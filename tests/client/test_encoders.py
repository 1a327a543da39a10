"""Encoders: real and random ones behind the real clients, against 64-bit references; tokenizers against their makers' packages."""
import concurrent.futures
import http.client
import io
import json
import os
import random
import sys
import tempfile

import numpy as np
import ollama
import openai
import sentencepiece
import tokenizers
from sentencepiece import sentencepiece_model_pb2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
import encoder_files as files
from harness import Server, case, check, finish

FOLDER = sys.argv[1]
TEXTS = int(os.environ.get("MAAS_FUZZ_TEXTS", "3000"))
server = Server()
folder = tempfile.mkdtemp(prefix="maas-encoders-")
client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)
wire = http.client.HTTPConnection(server.url.split("//")[1], timeout=120)


def ask(path, body):
    """Status and JSON."""
    wire.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    r = wire.getresponse()
    return r.status, json.loads(r.read())


def need(path, **body):
    status, answer = ask(path, body)
    assert status == 200, (path, status, answer)
    return answer


def refused(path, word, **body):
    status, answer = ask(path, body)
    assert status == 400, (path, status, answer)
    assert word in json.dumps(answer), (word, answer)


def upload(name, path):
    with open(path, "rb") as f:
        server.need(201, "PUT", f"/api/v1/models/{name}/versions", f.read())
    os.unlink(path)


def tokens(model, text):
    return need("/tokenize", model=model, prompt=text, add_special_tokens=False)["tokens"]


def vectors(model, inputs, **more):
    return np.array([d["embedding"] for d in need("/v1/embeddings", model=model, input=inputs, **more)["data"]])


# ---- a real model ----

shape, weights, vocabulary = files.of_hf_bert(FOLDER)
path = os.path.join(folder, "minilm.gguf")
files.write(path, "bert", shape, weights, vocabulary, 1, "all-MiniLM-L6-v2")
upload("minilm", path)
minilm = files.Reference("bert", shape, weights, 1)
hf = tokenizers.Tokenizer.from_file(FOLDER + "/tokenizer.json")
hf.no_padding()
hf.no_truncation()
SENTENCES = ["Hello world", "The quick brown fox jumps over the lazy dog.", "A man is eating food.", "", "naïve café, Ünïcödé",
             "A cheetah is running behind its prey.", "東京 is Tokyo; 서울 is Seoul", "word " * 200]


@case
def a_real_model_answers_as_its_maker_says():
    got = vectors("minilm", SENTENCES)
    for text, v in zip(SENTENCES, got):
        want = minilm.answer(hf.encode(text).ids)
        assert v @ want > 0.9999999 and np.abs(v - want).max() < 1e-6, (text[:20], v @ want, np.abs(v - want).max())


@case
def the_real_clients_get_the_same():
    plain = client.embeddings.create(model="minilm", input=SENTENCES, encoding_format="float")
    coded = client.embeddings.create(model="minilm", input=SENTENCES)  # base64 on the wire
    assert [d.index for d in plain.data] == list(range(len(SENTENCES)))
    for a, b in zip(plain.data, coded.data):
        assert np.array_equal(np.array(a.embedding, np.float32), np.array(b.embedding, np.float32))
    n = sum(len(hf.encode(t).ids) for t in SENTENCES)
    assert plain.usage.prompt_tokens == plain.usage.total_tokens == n, plain.usage
    one = client.embeddings.create(model="minilm", input=SENTENCES[0])
    assert one.data[0].embedding == coded.data[0].embedding
    o = ollama.Client(host=server.url)
    many = o.embed(model="minilm", input=SENTENCES)
    assert np.array_equal(np.array(many.embeddings, np.float32), np.array([d.embedding for d in plain.data], np.float32))
    assert many.prompt_eval_count == n and o.embed(model="minilm:latest", input="Hello world").embeddings[0] == many.embeddings[0]
    assert list(o.embeddings(model="minilm", prompt="Hello world").embedding) == list(many.embeddings[0])
    assert "embedding" in o.show("minilm").capabilities


@case
def dimensions_are_cut_and_normalized_again():
    whole, cut = vectors("minilm", SENTENCES), vectors("minilm", SENTENCES, dimensions=64)
    want = whole[:, :64] / np.linalg.norm(whole[:, :64], axis=1, keepdims=True)
    assert cut.shape == (len(SENTENCES), 64) and np.abs(cut - want).max() < 1e-6


@case
def tokens_are_texts():
    ids = [hf.encode(t).ids for t in SENTENCES]
    assert np.array_equal(vectors("minilm", SENTENCES), vectors("minilm", ids))
    assert np.array_equal(vectors("minilm", SENTENCES[0]), vectors("minilm", ids[0]))


@case
def tokenize_shows_what_is_encoded():
    got = need("/tokenize", model="minilm", prompt=SENTENCES[1])
    assert got["tokens"] == hf.encode(SENTENCES[1]).ids and got["max_model_len"] == 512
    assert need("/detokenize", model="minilm", tokens=got["tokens"][1:-1])["prompt"].strip() == SENTENCES[1].lower().replace(".", " .")


@case
def company_changes_no_bit():
    rng = random.Random(1)
    words = "the of and to in is that was for on are with as his they at be this have from".split()
    texts = [" ".join(rng.choice(words) for _ in range(rng.choice([1, 3, 8, 20, 60, 150]))) for _ in range(40)]
    together = vectors("minilm", texts)
    alone = np.array([vectors("minilm", t)[0] for t in texts])
    assert np.array_equal(together, alone)

    def one(t):
        return client.embeddings.create(model="minilm", input=t, encoding_format="float").data[0].embedding
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        assert np.array_equal(together, np.array(list(pool.map(one, texts))))


@case
def what_is_wrong_is_named():
    long = "word " * 600
    refused("/v1/embeddings", "input[1]' has 602 tokens", model="minilm", input=["a", long])
    refused("/api/embed", "602 tokens", model="minilm", input=long, truncate=False)
    cut = need("/api/embed", model="minilm", input=long)
    assert cut["prompt_eval_count"] == 512
    refused("/v1/embeddings", "'input' is missing", model="minilm")
    refused("/v1/embeddings", "'input' has 0 entries", model="minilm", input=[])
    refused("/v1/embeddings", "'input' has 2049 entries", model="minilm", input=["a"] * 2049)
    refused("/v1/embeddings", "input[1][0]", model="minilm", input=[[1], ["a"]])
    refused("/v1/embeddings", "'input[1]' is not a token", model="minilm", input=[1, 1 << 20])
    refused("/v1/embeddings", "'input[1]' must be a text or a list of tokens", model="minilm", input=["a", 2])
    refused("/v1/embeddings", "encoding_format", model="minilm", input="a", encoding_format="hex")
    for d in (0, 385, 1.5, "x"):
        refused("/v1/embeddings", "dimensions", model="minilm", input="a", dimensions=d)
    for p in ("/v1/chat/completions", "/api/chat"):
        refused(p, "/v1/embeddings", model="minilm", messages=[{"role": "user", "content": "x"}])
    refused("/v1/completions", "/v1/embeddings", model="minilm", prompt="x")
    refused("/v1/rerank", "/v1/embeddings", model="minilm", query="x", documents=["y"])
    refused("/v2/models/minilm/infer", "/v1/embeddings", inputs=[])


# ---- random models of each architecture ----

SHAPE = {"context": 160, "embd": 48, "layers": 4, "ff": 80, "heads": 4, "eps": 1e-12, "rope_base": 1000.0}
SIX = dict(SHAPE, heads=6)
LOCAL = dict(SHAPE, rope_base=160000.0, rope_base_local=10000.0, window=32)
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [chr(c) for c in range(97, 123)] + ["##" + chr(c) for c in range(97, 123)]
FRAME = [WORDS.index("[CLS]")], [WORDS.index("[SEP]")]


def letters(rng, n):
    return "".join(rng.choice("abcdefghij") for _ in range(n))


def ids_of(text):
    return [i for w in text.split() for i in [WORDS.index(w[0])] + [WORDS.index("##" + c) for c in w[1:]]]


def random_model(name, arch, shape, pooling, seed, fused=False):
    w = files.random_weights(arch, shape, len(WORDS), seed, rank=pooling == 4, fused=fused)
    path = os.path.join(folder, name + ".gguf")
    files.write(path, arch, shape, w, files.wordpiece(WORDS), pooling)
    upload(name, path)
    return files.Reference(arch, shape, w, pooling)


@case
def each_architecture_and_pooling():
    rng = random.Random(2)
    texts = [letters(rng, n) for n in (1, 5, 6, 7, 14, 30, 61, 90)] + ["ab cd ef", ""]
    n = 0
    for arch, shape, fused in (("bert", SHAPE, False), ("nomic-bert", SHAPE, False), ("nomic-bert", SHAPE, True), ("modern-bert", LOCAL, True),
                               ("jina-bert-v2", SHAPE, False), ("jina-bert-v2", SIX, True)):
        for pooling in (1, 2, 3):
            n += 1
            ref = random_model(f"random-{n}", arch, shape, pooling, n, fused)
            narrow, ours, rounding = ref.narrow(), 0, 0
            for text, v in zip(texts, vectors(f"random-{n}", texts)):
                ids = FRAME[0] + ids_of(text) + FRAME[1]
                want = ref.answer(ids)
                ours = max(ours, np.abs(v - want).max())
                rounding = max(rounding, np.abs(narrow.answer(ids) - want).max())
            check(f"{arch}, pooling {pooling}: no further away than NumPy in 32 bits", ours < 2 * rounding, (ours, rounding))


@case
def positions_need_not_be_as_many_as_the_context():
    ids = FRAME[0] + ids_of("abcde fg") + FRAME[1]
    for rows, most in ((200, 160), (100, 100)):
        w = files.random_weights("bert", dict(SHAPE, context=rows), len(WORDS), 7)
        path = os.path.join(folder, "positions.gguf")
        files.write(path, "bert", SHAPE, w, files.wordpiece(WORDS), 1)
        upload(f"positions-{rows}", path)
        assert np.abs(vectors(f"positions-{rows}", "abcde fg")[0] - files.Reference("bert", SHAPE, w, 1).answer(ids)).max() < 1e-6
        refused("/v1/embeddings", f"the model takes {most}", model=f"positions-{rows}", input="a " * 180)


@case
def rerankers_rank():
    rng = random.Random(3)
    documents = [letters(rng, n) for n in (3, 9, 40, 1, 12, 22)]
    query = "abc de"
    for i, (arch, shape) in enumerate((("bert", SHAPE), ("nomic-bert", SHAPE), ("modern-bert", LOCAL))):
        name = f"rank-{i}"
        ref = random_model(name, arch, shape, 4, 50 + i, arch == "modern-bert")
        first = FRAME[0] + ids_of(query) + FRAME[1]
        pairs = [first + ids_of(d) + FRAME[1] for d in documents]
        logits = [ref.answer(p, len(first)) for p in pairs]
        rounding = max(abs(ref.narrow().answer(p, len(first)) - want) for p, want in zip(pairs, logits))
        order = sorted(range(len(documents)), key=lambda k: -logits[k])
        for route in ("/v1/rerank", "/v2/rerank", "/rerank"):
            got = need(route, model=name, query=query, documents=documents, raw_scores=True)
            assert [r["index"] for r in got["results"]] == order, (arch, got, logits)
            for r in got["results"]:
                assert abs(r["relevance_score"] - logits[r["index"]]) < 3 * rounding, (arch, r, logits, rounding)
        got = need("/v1/rerank", model=name, query=query, documents=[{"text": d} for d in documents], top_n=2, return_documents=True)
        assert [r["index"] for r in got["results"]] == order[:2]
        for r in got["results"]:
            assert r["document"]["text"] == documents[r["index"]]
            assert abs(r["relevance_score"] - 1 / (1 + np.exp(-logits[r["index"]]))) < 3 * rounding
        n = sum(len(first) + len(ids_of(d)) + 1 for d in documents)
        assert got["usage"]["total_tokens"] == n
    refused("/v1/embeddings", "/v1/rerank", model="rank-0", input="x")
    refused("/v1/rerank", "documents[1]' has ", model="rank-0", query="a", documents=["b", "c " * 200])
    refused("/v1/rerank", "documents[0]", model="rank-0", query="a", documents=[1])
    refused("/v1/rerank", "'query'", model="rank-0", documents=["a"])
    refused("/v1/rerank", "'top_n'", model="rank-0", query="a", documents=["a"], top_n=0)
    refused("/v1/rerank", "'truncate'", model="rank-0", query="a", documents=["a"], truncate=1)
    cut = need("/v1/rerank", model="rank-0", query="a", documents=["b", "c " * 200], truncate=True)
    assert cut["usage"]["total_tokens"] == 5 + 160
    few = need("/v1/rerank", model="rank-0", query="a", documents=["b", "c " * 200], max_tokens_per_doc=4)
    assert few["usage"]["total_tokens"] == 5 + 8


@case
def files_that_cannot_be_are_refused():
    w = files.random_weights("bert", SHAPE, len(WORDS), 9)
    bad = {"token_embd_norm.weight": w["token_embd_norm.weight"][:-1], "blk.2.ffn_down.weight": w["blk.2.ffn_down.weight"][:, 1:],
           "blk.3.attn_q.bias": None, "position_embd.weight": None, "blk.0.attn_v.weight": None}
    for name, t in bad.items():
        if t is None and name.endswith("bias"):
            continue  # biases may be absent
        path = os.path.join(folder, "bad.gguf")
        files.write(path, "bert", SHAPE, {k: v for k, v in {**w, name: t}.items() if v is not None}, files.wordpiece(WORDS), 1)
        with open(path, "rb") as f:
            r = server.request("PUT", "/api/v1/models/bad/versions", f.read())
        check("refused: " + name, r.status == 422 and name.split(".")[-2].encode() in r.body, r)


# ---- tokenizers ----

POOLS = ["abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", " \t\n\r\u00a0\u2003\u3000", "0123456789", "!\"#$%&'()*+,-./:;<=>?@\\^_`{|}~[]",
         "éèêëàâäôöûüçñßøåæœÉÈÀÖÜÇÑİıſ", "\u0300\u0301\u0308\u0323\u0327\u0345\u3099\u05b0", "ΑΒΓΔΣσςαβγЖЦшщъыь", "中文日本語漢字々〇ひらがなカタカナｶﾞ", "한국어각힣ㄱㅏ가",
         "ﬁﬀ²½①Ⅳ㎏ℌ™…‐—“”„«»¿¡·", "\u200b\u200d\u200c\u00ad\ufeff\u0007\u0085", "😀👍🏽👨‍👩‍👧🇩🇪", "हिन्दीবাংলাதமிழ்ไทย", "אבגשׁعربيةپچ"]


def fuzzed(rng):
    out = []
    for _ in range(rng.randint(0, 14)):
        kind = rng.random()
        if kind < 0.35:
            out.append("".join(rng.choice(POOLS[0]) for _ in range(rng.randint(1, 9))))
        elif kind < 0.9:
            pool = rng.choice(POOLS)
            out.append("".join(rng.choice(pool) for _ in range(rng.randint(1, 5))))
        else:
            c = rng.choice([rng.randint(1, 0x2fff), rng.randint(1, 0xffff), rng.randint(0x10000, 0x1ffff), rng.randint(1, 0x10ffff)])
            out.append("" if 0xD800 <= c < 0xE000 else chr(c))
        if rng.random() < 0.4:
            out.append(" ")
    return "".join(out)


def compare(what, model, texts, want):
    bad = [(t, got, w) for t in texts for got, w in [(tokens(model, t), want(t))] if got != w]
    check(f"{what}: {len(texts)} texts", not bad, [(ascii(t), g, w) for t, g, w in bad[:5]] + [len(bad)])


@case
def wordpiece_is_that_of_its_maker():
    rng = random.Random(4)
    texts = [fuzzed(rng) for _ in range(TEXTS)] + ["x" * n for n in (99, 100, 101, 400)] + ["é" * 100, "é" * 101, "한" * 33, "한" * 34]
    compare("uncased", "minilm", texts, lambda t: hf.encode(t, add_special_tokens=False).ids)
    with open(FOLDER + "/vocab.txt", encoding="utf-8") as f:
        words = f.read().split("\n")[:30522]
    words = words[:20000] + [w.capitalize() for w in words[1996:8000] if w.capitalize() != w] + ["É", "##É", "İ", "Σ"]
    words = list(dict.fromkeys(words))
    path = os.path.join(folder, "cased.gguf")
    files.write(path, "bert", SHAPE, files.random_weights("bert", SHAPE, len(words), 1), files.wordpiece(words), 1)
    upload("cased", path)
    cased = tokenizers.BertWordPieceTokenizer({w: i for i, w in enumerate(words)}, lowercase=False, strip_accents=False)
    compare("cased", "cased", texts, lambda t: cased.encode(t, add_special_tokens=False).ids)


def sentencepiece_model(**more):
    """A unigram model trained on the vocabulary of BERT: its proto."""
    rng = random.Random(5)
    with open(FOLDER + "/vocab.txt", encoding="utf-8") as f:
        words = [w for w in f.read().split("\n") if w and w[0] not in "[#"]
    lines = [" ".join(rng.choice(words) for _ in range(12)) for _ in range(4000)]
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=out, vocab_size=3000, model_type="unigram",
                                             minloglevel=2, character_coverage=0.99, **more)
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(out.getvalue())
    return proto


def unigram_model(name, proto):
    """Uploads it; the sentencepiece package's own of the same scores."""
    pieces = [(p.piece, p.score, p.type) for p in proto.pieces]
    spec = proto.normalizer_spec
    v = files.unigram(pieces, bytes(spec.precompiled_charsmap), spec.remove_extra_whitespaces, spec.add_dummy_prefix)
    path = os.path.join(folder, name + ".gguf")
    files.write(path, "bert", SHAPE, files.random_weights("bert", SHAPE, len(pieces), 1), v, 1)
    upload(name, path)
    return sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())


@case
def unigram_is_that_of_its_maker():
    rng = random.Random(6)
    texts = [fuzzed(rng) for _ in range(TEXTS)]
    for name, more in (("uni-nfkc", {}), ("uni-bytes", {"byte_fallback": True}), ("uni-plain", {"normalization_rule_name": "identity"}),
                       ("uni-cf", {"normalization_rule_name": "nmt_nfkc_cf", "remove_extra_whitespaces": False})):
        sp = unigram_model(name, sentencepiece_model(**more))
        compare(name, name, texts, sp.encode)
        framed = need("/v1/embeddings", model=name, input="hello")["usage"]["prompt_tokens"]
        check(f"{name}: framed", framed == len(sp.encode("hello")) + 2)


@case
def unigram_is_that_of_the_tokenizers_package():
    rng = random.Random(7)
    proto = sentencepiece_model(normalization_rule_name="identity", remove_extra_whitespaces=False)
    unigram_model("uni-hf", proto)
    other = tokenizers.Tokenizer(tokenizers.models.Unigram([(p.piece, p.score) for p in proto.pieces], 0, False))
    other.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    texts = [fuzzed(rng).lstrip(" ") for _ in range(TEXTS)]
    compare("tokenizers", "uni-hf", texts, lambda t: other.encode(t, add_special_tokens=False).ids)


finish()
