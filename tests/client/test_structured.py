"""Structured output with a small real model through the clients of OpenAI, Anthropic and Ollama, unchanged from PyPI:
what comes back always fits the schema, the grammar, the pattern that was asked for; what cannot be had is refused by name."""
import enum
import json
import os
import re
import sys
import threading
import time
from typing import List, Literal, Optional, Union

import anthropic
import jsonschema
import ollama
import openai
from pydantic import BaseModel, Field

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
from harness import Server, case, finish
from structured_schemas import SCHEMAS, post

PERSON = [{"role": "user", "content": "Invent a person. Answer in JSON."}]


class Kind(str, enum.Enum):
    day = "day"
    night = "night"


class Address(BaseModel):
    street: str = Field(max_length=20)
    number: int = Field(ge=1, le=999)


class Person(BaseModel):
    name: str = Field(min_length=1, max_length=20)
    age: int = Field(ge=0, le=130)
    kind: Kind
    tags: List[Literal["a", "b", "c"]] = Field(max_length=3)
    address: Optional[Address]


class Leaf(BaseModel):
    kind: Literal["leaf"]
    value: int = Field(ge=0, le=9)


class Node(BaseModel):
    kind: Literal["node"]
    children: List[Union["Node", Leaf]] = Field(max_length=2)


def client(base):
    return openai.OpenAI(base_url=base + "/v1", api_key="none", max_retries=0)


def answer(c, **more):
    r = c.chat.completions.create(model="smol", messages=PERSON, **{"max_tokens": 300, **more})
    return r.choices[0].message.content, r.choices[0].finish_reason


def streamed(c, **more):
    parts, finish = [], None
    for x in c.chat.completions.create(model="smol", messages=PERSON, stream=True, **{"max_tokens": 300, **more}):
        parts.append(x.choices[0].delta.content or "")
        finish = x.choices[0].finish_reason or finish
    return "".join(parts), finish


def of_schema(schema):
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}}


def test_parse(base):
    c = client(base)
    for seed in range(4):
        r = c.chat.completions.parse(model="smol", messages=PERSON, response_format=Person, seed=seed, max_tokens=400)
        assert r.choices[0].finish_reason == "stop" and isinstance(r.choices[0].message.parsed, Person), r
    r = c.responses.parse(model="smol", input=PERSON[0]["content"], text_format=Person, temperature=0, max_output_tokens=400)
    assert isinstance(r.output_parsed, Person), r
    with c.responses.stream(model="smol", input=PERSON[0]["content"], text_format=Person, temperature=0, max_output_tokens=400) as s:
        assert s.get_final_response().output_parsed == r.output_parsed
    with c.chat.completions.stream(model="smol", messages=PERSON, response_format=Person, temperature=0, max_tokens=400) as s:
        assert isinstance(s.get_final_completion().choices[0].message.parsed, Person)


def test_schemas(base):
    """Every schema of the list, streamed and not, greedily and by chance: what ends, validates."""
    c = client(base)
    ended = 0
    for name, schema in SCHEMAS.items():
        check = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
        greedy, why = answer(c, temperature=0, **of_schema(schema))
        assert streamed(c, temperature=0, **of_schema(schema)) == (greedy, why), name
        for text, finish in [(greedy, why)] + [answer(c, seed=s, temperature=1.5, **of_schema(schema)) for s in range(2)]:
            if finish == "stop":
                ended += 1
                check.validate(json.loads(text))
            else:
                assert finish == "length", (name, finish)
    assert ended > 2 * len(SCHEMAS), ended


def test_recursive(base):
    Node.model_rebuild()
    c = client(base)
    for seed in range(3):
        text, finish = answer(c, seed=seed, max_tokens=400, **of_schema(Node.model_json_schema()))
        if finish == "stop":
            Node.model_validate_json(text)


def test_other_words(base):
    c = client(base)
    text, finish = answer(c, temperature=0, response_format={"type": "json_object"})
    assert finish == "length" or isinstance(json.loads(text), dict), text
    assert answer(c, temperature=0, response_format={"type": "text"})[0] == answer(c, temperature=0)[0]
    for body, pattern in [({"guided_regex": "[0-9]{3}-[a-f]{2}"}, r"[0-9]{3}-[a-f]{2}"), ({"guided_choice": ["red", "green"]}, "red|green"),
                          ({"grammar": 'root ::= "yes" | "no" "."?'}, r"yes|no\.?"), ({"guided_grammar": 'root ::= [0-9]+ "!"'}, "[0-9]+!"),
                          ({"guided_json": {"type": "integer", "minimum": 10, "maximum": 12}}, "1[0-2]"),
                          ({"json_schema": {"enum": ["x", 7]}}, '"x"|7')]:
        for seed in range(3):
            text, finish = answer(c, seed=seed, extra_body=body)
            assert finish == "length" or re.fullmatch(pattern, text), (body, text)
    r = c.completions.create(model="smol", prompt="Colour: ", max_tokens=10, extra_body={"guided_choice": ["red", "blue"]})
    assert r.choices[0].text in ("red", "blue") and r.choices[0].finish_reason == "stop", r
    cut, finish = answer(c, temperature=0, max_tokens=3, **of_schema(Person.model_json_schema()))
    assert finish == "length" and cut.startswith("{"), cut


def test_ollama(base):
    c = ollama.Client(host=base)
    r = c.chat(model="smol", messages=PERSON, format=Person.model_json_schema(), options={"temperature": 0, "num_predict": 400})
    Person.model_validate_json(r.message.content)
    g = c.generate(model="smol", prompt=PERSON[0]["content"], format=Person.model_json_schema(), options={"temperature": 0, "num_predict": 400})
    assert g.response == r.message.content
    parts = [x.message.content for x in c.chat(model="smol", messages=PERSON, format=Person.model_json_schema(), stream=True,
                                               options={"temperature": 0, "num_predict": 400})]
    assert "".join(parts) == r.message.content
    text = c.chat(model="smol", messages=PERSON, format="json", options={"temperature": 0, "num_predict": 60})
    assert text.done_reason == "length" or json.loads(text.message.content) is not None


def test_anthropic(base):
    c = anthropic.Anthropic(base_url=base, api_key="none", max_retries=0)
    for body in ({"output_format": {"type": "json_schema", "schema": Person.model_json_schema()}},
                 {"output_config": {"format": {"type": "json_schema", "schema": Person.model_json_schema()}}}):
        r = c.messages.create(model="smol", max_tokens=400, messages=PERSON, extra_body={**body, "temperature": 0})
        Person.model_validate_json(r.content[0].text)


def test_refused(base):
    """400 with the keyword and its place, in the time of a lookup."""
    ok = {"model": "smol", "messages": PERSON, "max_tokens": 5}
    deep = {"type": "string"}
    for _ in range(25):
        deep = {"type": "object", "properties": {"a": deep, "b": {"type": "integer"}}, "required": ["a"]}
    wide = {"type": "object", "properties": {f"p{i}": {"type": "string", "maxLength": 50} for i in range(12000)}}
    bombs = [({"type": "object", "properties": {"a": {"not": {}}}}, "'not'", "#/properties/a/not"), ({"type": "strange"}, "'type'", "#/type"),
             ({"type": "array", "uniqueItems": True}, "'uniqueItems'", "#/uniqueItems"), ({"$ref": "#/$defs/x"}, "$ref", "#"),
             ({"$ref": "#"}, "left recursion", ""), ({"$ref": "https://example.com/x"}, "$ref", ""), ({"allOf": [{"$ref": "#"}]}, "circle", ""),
             ({"type": "string", "pattern": "(?=x)"}, "pattern", "#"), ({"type": "string", "pattern": "(a{1,10000}){1,10000000}"}, "10000000", "#"),
             ({"type": "string", "pattern": "(" * 5000 + ")" * 5000}, "groups", ""), ({"type": "string", "maxLength": 10 ** 9}, "repetition", "#"),
             ({"type": "string", "format": "color"}, "'color'", "#"), ({"enum": []}, "'enum'", "#/enum"), ({"multipleOf": 3}, "'multipleOf'", "#/multipleOf"),
             ({"type": "object", "properties": {"n": {"$ref": "#"}}, "required": ["n"]}, "fits", ""),
             ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "oneOf", "#/oneOf/1"), (False, "fits", ""), (5, "schema", "")]
    for schema, word, place in bombs:
        began = time.monotonic()
        status, body = post(base, "/v1/chat/completions", {**ok, **of_schema(schema)})
        took = time.monotonic() - began
        assert status == 400 and word in body["error"]["message"] and place in body["error"]["message"], (schema, status, body)
        assert took < 2, (schema, took)
    for schema in (deep, wide):  # large, and within what is possible: an answer or a sentence, soon
        began = time.monotonic()
        assert post(base, "/v1/chat/completions", {**ok, **of_schema(schema)})[0] in (200, 400, 413)
        assert time.monotonic() - began < 10
    for body, word in [({"grammar": "root ::= root"}, "left recursion"), ({"grammar": "root ::= x"}, "'x'"), ({"grammar": "x ::= \"a\""}, "root"),
                       ({"grammar": "root ::= \"a"}, "line 1"), ({"grammar": 5}, "grammar"), ({"guided_regex": "("}, "pattern"), ({"guided_choice": []}, "guided_choice"),
                       ({"grammar": 'root ::= "a"', "guided_regex": "b"}, "only one"), ({"response_format": {"type": "xml"}}, "xml"),
                       ({"response_format": {"type": "json_schema"}}, "schema"), ({"response_format": "json"}, "type"),
                       ({"grammar": "root ::= " + '("a"{1,100000}){1,100000}' * 40}, "states")]:
        status, reply = post(base, "/v1/chat/completions", {**ok, **body})
        assert status == 400 and word in reply["error"]["message"], (body, status, reply)
    assert post(base, "/api/chat", {"model": "smol", "messages": PERSON, "format": "yaml"})[0] == 400
    assert post(base, "/v1/responses", {"model": "smol", "input": "x", "text": {"format": {"type": "json_schema", "schema": {"not": {}}}}})[0] == 400
    assert post(base, "/v1/messages", {"model": "smol", "max_tokens": 5, "messages": PERSON, "output_format": {"type": "json_schema", "schema": {"not": {}}}})[0] == 400


def test_ambiguous(base):
    """A grammar that can be read in very many ways costs a bounded time, and answers or says so."""
    ok = {"model": "smol", "messages": PERSON, "max_tokens": 40, "temperature": 0}
    for grammar in ('root ::= (("a"{0,300}){0,300}){0,300}', 'root ::= ("a" | "a" "a" | "aa")* "b"', 'root ::= x x x x x x\nx ::= ("a" | "aa" | x2)*\nx2 ::= "a" "a"? root?'):
        began = time.monotonic()
        status, body = post(base, "/v1/chat/completions", {**ok, "grammar": grammar})
        assert status in (200, 400, 413), (grammar, status, body)
        assert time.monotonic() - began < 30, grammar


def test_company(base):
    """The same seed says the same in any company, constrained or not."""
    c = client(base)
    asks = [dict(seed=s, **of_schema(Person.model_json_schema())) for s in range(4)] + [dict(seed=s, max_tokens=30) for s in range(2)]
    alone = [answer(c, **a) for a in asks]
    wrong = []

    def work(i):
        if answer(c, **asks[i]) != alone[i]:
            wrong.append(i)

    threads = [threading.Thread(target=work, args=(i % len(asks),)) for i in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong
    r = c.chat.completions.create(model="smol", messages=PERSON, n=4, seed=1, max_tokens=400, **of_schema(Person.model_json_schema()))
    for x in r.choices:
        if x.finish_reason == "stop":
            Person.model_validate_json(x.message.content)


def main():
    model = sys.argv[1]
    server = Server()
    with open(model, "rb") as f:
        server.need(201, "PUT", "/api/v1/models/smol/versions", f.read())
    for test in (test_parse, test_schemas, test_recursive, test_other_words, test_ollama, test_anthropic, test_refused, test_ambiguous, test_company):
        if len(sys.argv) > 2 and sys.argv[2] not in test.__name__:
            continue

        def on_server(test=test):
            test("http://" + server.address)
        on_server.__name__ = test.__name__
        case(on_server)
    finish()


main()
