"""JSON schemas against the jsonschema package: what our grammar lets be written validates, and what validates, in our order and
spacing, may be written. Schemas and documents are made by chance; argv: [seed], [how many]."""
import json
import os
import random
import re
import subprocess
import sys

import jsonschema

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
from harness import BINARY, case, finish
from structured_schemas import SCHEMAS, obj

SEED = int(sys.argv[1]) if len(sys.argv) > 1 else 1
MANY = int(sys.argv[2]) if len(sys.argv) > 2 else 400
TRY = os.path.join(os.path.dirname(BINARY), "tests/unit/lm/grammar/grammar_try")
rng = random.Random(SEED)
child = subprocess.Popen([TRY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(**what):
    child.stdin.write(json.dumps(what) + "\n")
    child.stdin.flush()
    return json.loads(child.stdout.readline())


# ---- schemas by chance, and values that are meant to fit or not ----

NAMES = ["a", "b", "ab", "na/me", "é", "x y", "q\"", "id"]
PATTERNS = ["^[a-c]{1,3}$", "^(ab|cd)+$", "^\\d{2}-\\w?$", "^x", "y$", "ab", "^[^a-z]*$", "^\\s?\\S+$", "^a.b$", "^\"\\\\$", "^(a|b|)c{2,}$", "^[\\u00e0-\\u00ff]+$", "^$", "^a|b$"]
TEXTS = ["", "a", "ab", "abc", "abab", "abcd", "12-x", "12-", "x", "xyz", "zy", "cab", "A9", " z", "azb", "\"\\", "cc", "acc", "éà", "b", "ba", "a\nb", "\t", "日本語", "😀x", "/"]


def number(r):
    return r.choice([0, 1, -1, 2, 3, 7, 10, 11, 99, 100, 101, -10, 1234, 0.5, -0.5, 1.25, 2.75, 9.99, -3.125, 100.01, 0.001])


def schema(r, depth=0):
    kinds = ["string", "length", "pattern", "format", "integer", "range", "number", "reals", "boolean", "null", "enum", "const", "types"]
    kinds += [] if depth > 2 else ["object", "object", "array", "tuple", "any_of", "all_of", "map", "one_of"]
    k = r.choice(kinds)
    if k == "length":
        a = r.randrange(4)
        return {"type": "string", "minLength": a, "maxLength": a + r.randrange(4)}
    if k == "pattern":
        return {"type": "string", "pattern": r.choice(PATTERNS)}
    if k == "format":
        return {"type": "string", "format": r.choice(["date", "time", "date-time", "uuid", "email", "ipv4"])}
    if k in ("range", "reals"):
        s = {"type": "integer" if k == "range" else "number"}
        a, b = sorted([number(r), number(r)])
        if r.random() < 0.8:
            s[r.choice(["minimum", "exclusiveMinimum"])] = a
        if r.random() < 0.8:
            s[r.choice(["maximum", "exclusiveMaximum"])] = b + 1
        return s
    if k == "enum":
        return {"enum": r.sample([1, "a", None, True, [1, 2], {"k": "v"}, 2.5, "é\n"], r.randrange(1, 4))}
    if k == "const":
        return {"const": r.choice([0, "x", False, [None], {"a": {"b": []}}])}
    if k == "types":
        return {"type": r.sample(["string", "integer", "boolean", "null", "number"], 2)}
    if k == "object":
        names = r.sample(NAMES, r.randrange(0, 4))
        s = {"type": "object", "properties": {n: schema(r, depth + 1) for n in names}, "required": [n for n in names if r.random() < 0.5]}
        s["additionalProperties"] = r.choice([False, False, True, schema(r, depth + 1)])
        return s
    if k == "map":
        return {"type": "object", "additionalProperties": schema(r, depth + 1)}
    if k == "array":
        s = {"type": "array", "items": schema(r, depth + 1)}
        if r.random() < 0.7:
            s["minItems"] = r.randrange(3)
            s["maxItems"] = s["minItems"] + r.randrange(3)
        return s
    if k == "tuple":
        return {"type": "array", "prefixItems": [schema(r, depth + 1) for _ in range(r.randrange(1, 4))], "items": r.choice([False, schema(r, depth + 1)]),
                **({"minItems": r.randrange(4)} if r.random() < 0.5 else {}), **({"maxItems": r.randrange(1, 5)} if r.random() < 0.5 else {})}
    if k == "any_of":
        return {"anyOf": [schema(r, depth + 1) for _ in range(r.randrange(1, 4))]}
    if k == "one_of":
        return {"oneOf": [obj(kind={"const": i}, v=schema(r, depth + 1)) for i in range(2)] + [{"type": "null"}]}
    if k == "all_of":
        return r.choice([{"allOf": [{"type": "integer", "minimum": number(r)}, {"maximum": number(r) + 50}]},
                         {"allOf": [{"type": "object", "properties": {"a": schema(r, depth + 1)}, "required": ["a"]}, {"properties": {"b": schema(r, depth + 1)}}]},
                         {"type": ["integer", "string"], "anyOf": [{"minimum": 3, "type": "integer"}, {"maxLength": 2, "type": "string"}]},
                         {"$ref": "#/$defs/d", "maximum": 50}])
    return {"type": k}


def value(r, s, depth=0):
    """Something that may fit s, in its order."""
    if s is True or s == {}:
        return r.choice([1, "a", None, [1, {"z": 2}], {"y": [True]}])
    if s is False:
        return 1
    if r.random() < 0.06:
        return r.choice([None, 1, "a", [], {}, 2.5, True, -7, "abc", [1]])
    if "const" in s:
        return s["const"]
    if "enum" in s:
        return r.choice(s["enum"])
    if "$ref" in s:
        return r.randrange(-5, 60)
    for k in ("anyOf", "oneOf"):
        if k in s:
            return value(r, r.choice(s[k]), depth)
    if "allOf" in s:
        if "minimum" in s["allOf"][0]:
            return r.randrange(-20, 160)
        x = {"a": value(r, s["allOf"][0]["properties"]["a"])}
        return {**x, "b": value(r, s["allOf"][1]["properties"]["b"])} if r.random() < 0.5 else x
    t = s.get("type", "integer")
    t = r.choice(t) if isinstance(t, list) else t
    if t == "string":
        if "format" in s:
            return r.choice(["2024-02-29", "2023-02-29", "1999-12-31", "2020-04-31", "12:30:00Z", "23:59:59.25+01:00", "24:00:00Z", "12:30:00", "2024-01-01T00:00:00Z",
                             "2024-13-01T00:00:00Z", "123e4567-e89b-12d3-a456-426614174000", "123e4567", "a@b.co", "a.b@c-d.example.org", "a", "1.2.3.4", "1.2.3.256", "0.0.0.0"])
        return r.choice(TEXTS)
    if t == "integer":
        return r.choice([r.randrange(-12, 130), r.randrange(-2000, 3000)])
    if t == "number":
        x = r.choice([r.randrange(-20, 120), round(r.uniform(-5, 12), r.randrange(4)), number(r)])
        return int(x) if x == int(x) else x  # a whole number is written without a point
    if t in ("boolean", "null"):
        return None if t == "null" else r.random() < 0.5
    if t == "array":
        first = s.get("prefixItems", [])
        n = r.randrange(0, 5)
        return [value(r, first[i] if i < len(first) else s.get("items", True), depth + 1) for i in range(n)]
    out = {}
    for name, sub in s.get("properties", {}).items():
        if name in s.get("required", []) or r.random() < 0.5:
            out[name] = value(r, sub, depth + 1)
    if r.random() < 0.3:
        more = s.get("additionalProperties", True)
        out[r.choice(["zz", "abc", "aa", "n", "é2", "q"])] = value(r, more if isinstance(more, dict) else True, depth + 1)
    return out


DEFS = {"$defs": {"d": {"type": "integer", "minimum": 3}}}




def compare(s, seed):
    """What is checked of one schema; how many documents were compared, valid ones among them."""
    check = jsonschema.Draft202012Validator(s, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    r = random.Random(seed)
    values = [value(r, s) for _ in range(30)]
    texts = [json.dumps(v, ensure_ascii=False, indent=r.choice([None, None, 2])) for v in values]
    out = ask(kind="schema", schema=s, texts=texts, walks=6, seed=seed)
    if "error" in out:
        return out["error"], 0, 0
    assert "stuck" not in out, (s, out)
    valid = 0
    for v, text, fits in zip(values, texts, out["fits"]):
        is_valid = check.is_valid(v)
        valid += is_valid
        assert fits == is_valid, (json.dumps(s), text, "we say", fits)
    for text in out["walks"]:
        assert text is None or check.is_valid(json.loads(text)), (json.dumps(s), text)
    return None, len(values), valid


def test_by_chance():
    refused, documents, valid = [], 0, 0
    for i in range(MANY):
        s = schema(rng)
        s = {**s, **DEFS} if isinstance(s, dict) else s
        why, n, ok = compare(json.loads(json.dumps(s)), SEED * 100000 + i)
        refused += [why] if why else []
        documents += n
        valid += ok
    print(f"{MANY} schemas, {len(refused)} refused, {documents} documents, {valid} of them valid")
    allowed = re.compile("fits: there is no text|asked for twice|is required, and additionalProperties")
    assert all(allowed.search(w) for w in refused), [w for w in refused if not allowed.search(w)]
    assert len(refused) < MANY / 8 and valid > documents / 5


def test_named():
    for name, s in SCHEMAS.items():
        why, _, _ = compare(s, 7)
        assert not why, (name, why)
        out = ask(kind="schema", schema=s, walks=40, seed=11)
        for text in out["walks"]:
            assert text is not None, name
            jsonschema.Draft202012Validator(s, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER).validate(json.loads(text))


def test_ranges():
    """Whole numbers between bounds: each one around them, by digits."""
    for _ in range(150):
        a, b = sorted(rng.choice([rng.randrange(-30, 30), rng.randrange(-2000, 2000), rng.randrange(-10 ** 9, 10 ** 9)]) for _ in range(2))
        near = sorted({x + d for x in (a, b, 0, 10, 100, -10, -100, 999, 1000, -1000) for d in (-11, -10, -2, -1, 0, 1, 2, 9, 10)})
        out = ask(kind="schema", schema={"type": "integer", "minimum": a, "maximum": b}, texts=[str(x) for x in near])
        assert out["fits"] == [a <= x <= b for x in near], (a, b, [x for x, f in zip(near, out["fits"]) if f != (a <= x <= b)])
        lo, hi = a / 8, b / 8 + 0.125
        values = [x / 16 for x in range(int(lo * 16) - 40, int(lo * 16) + 40)] + [x / 16 for x in range(int(hi * 16) - 40, int(hi * 16) + 40)]
        texts = [repr(v) if v != int(v) else str(int(v)) for v in values]
        out = ask(kind="schema", schema={"type": "number", "minimum": lo, "exclusiveMaximum": hi}, texts=texts)
        assert out["fits"] == [lo <= v < hi for v in values], (lo, hi, [x for x, f, v in zip(texts, out["fits"], values) if f != (lo <= v < hi)])


def test_patterns():
    """Patterns against Python's re, over all the texts."""
    for p in PATTERNS + ["a|^b", "(a|b)*c", "[\\]a-]", "\\x41+", "(?:ab){2}", "(?<n>a)b?", "a{2}", "[.]", "\\.", "\\/"]:
        mine = re.sub(r"\(\?<n>", "(?P<n>", p)
        out = ask(kind="schema", schema={"type": "string", "pattern": p}, texts=[json.dumps(t, ensure_ascii=False) for t in TEXTS + ["A", "AA", "]", "-", "aa", "."]])
        assert out.get("fits") == [bool(re.search(mine, t)) for t in TEXTS + ["A", "AA", "]", "-", "aa", "."]], (p, out)
        raw = ask(kind="regex", text=p, texts=TEXTS)
        assert raw["fits"] == [bool(re.fullmatch(mine, t)) for t in TEXTS], (p, raw)


def test_any_json():
    out = ask(kind="json", walks=60, seed=SEED, texts=['{"a": [1, -2.5e+10, "\\ud83d\\ude00", null]}', "[]", '{"a": 01}', '{"a": "\\ud83d"}', '{"a" : 1}', '{"a": 1,}'])
    assert out["fits"] == [True, False, False, False, False, False], out
    done = [json.loads(t) for t in out["walks"] if t is not None]
    assert len(done) > 20 and all(isinstance(x, dict) for x in done)


for test in (test_named, test_ranges, test_patterns, test_any_json, test_by_chance):
    case(test)
child.stdin.close()
child.wait()
finish()
