"""The clients of OpenAI, Anthropic and Ollama, unchanged from PyPI, against our server with a small real model."""
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request

import anthropic
import ollama
import openai

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
from harness import Server, case, finish

FRANCE = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]


def post(base, path, body):
    """Status and JSON of a request that no client would send."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(base + path, data, {"Content-Type": "application/json"})) as r:
            return r.status, json.load(r)
    except urllib.error.HTTPError as e:
        return e.code, json.load(e)


def test_openai(base):
    c = openai.OpenAI(base_url=base + "/v1", api_key="none", max_retries=0)
    assert any(m.id == "smol" for m in c.models.list())
    r = c.chat.completions.create(model="smol", messages=FRANCE, temperature=0, max_tokens=16)
    text = r.choices[0].message.content
    assert r.choices[0].finish_reason in ("stop", "length") and r.usage.total_tokens == r.usage.prompt_tokens + r.usage.completion_tokens
    again = c.chat.completions.create(model="smol", messages=FRANCE, temperature=0, max_tokens=16)
    assert again.choices[0].message.content == text and again.usage.prompt_tokens_details.cached_tokens > 0

    parts, usage, ids = [], None, set()
    for chunk in c.chat.completions.create(model="smol", messages=FRANCE, temperature=0, max_tokens=16, stream=True,
                                           stream_options={"include_usage": True}):
        ids.add((chunk.id, chunk.created))
        if chunk.choices and chunk.choices[0].delta.content:
            parts.append(chunk.choices[0].delta.content)
        usage = chunk.usage or usage
    assert "".join(parts) == text, (parts, text)
    assert len(ids) == 1 and usage.completion_tokens == r.usage.completion_tokens

    seeded = [c.chat.completions.create(model="smol", messages=FRANCE, seed=7, max_tokens=12).choices[0].message.content for _ in range(2)]
    assert seeded[0] == seeded[1], seeded
    many = c.chat.completions.create(model="smol", messages=FRANCE, n=3, seed=1, max_tokens=8)
    assert [x.index for x in many.choices] == [0, 1, 2]
    logs = c.chat.completions.create(model="smol", messages=FRANCE, temperature=0, max_tokens=4, logprobs=True, top_logprobs=3)
    for t in logs.choices[0].logprobs.content:
        assert len(t.top_logprobs) == 3 and t.logprob == max(x.logprob for x in t.top_logprobs)
    stop = c.chat.completions.create(model="smol", messages=FRANCE, temperature=0, max_tokens=40, stop=[text[3:6]])
    assert text[3:6] not in stop.choices[0].message.content and stop.choices[0].finish_reason == "stop"
    whole = c.completions.create(model="smol", prompt="Once upon a time", temperature=0, max_tokens=8, echo=True)
    assert whole.choices[0].text.startswith("Once upon a time")
    streamed = "".join(x.choices[0].text for x in c.completions.create(model="smol", prompt="Once upon a time", temperature=0, max_tokens=8, stream=True))
    assert whole.choices[0].text == "Once upon a time" + streamed

    made = c.responses.create(model="smol", input=FRANCE[0]["content"], temperature=0, max_output_tokens=16)
    assert made.output_text == text and made.usage.output_tokens == r.usage.completion_tokens
    items = [{"role": "user", "content": [{"type": "input_text", "text": FRANCE[0]["content"]}]}]
    with c.responses.stream(model="smol", input=items, temperature=0, max_output_tokens=16) as s:
        events = list(s)
        assert s.get_final_response().output_text == text if made.status == "completed" else True
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == text
    assert [e.sequence_number for e in events if e.type != "response.output_text.delta"][0] == 0

    stream = c.chat.completions.create(model="smol", messages=FRANCE, max_tokens=4000, stream=True, extra_body={"ignore_eos": True})
    next(iter(stream))
    stream.close()  # the answer is cancelled; the next one is not behind it
    start = time.monotonic()
    c.chat.completions.create(model="smol", messages=FRANCE, temperature=0, max_tokens=1)
    assert time.monotonic() - start < 5


def test_anthropic(base):
    c = anthropic.Anthropic(base_url=base, api_key="none", max_retries=0)
    r = c.messages.create(model="smol", max_tokens=16, messages=FRANCE, system="Answer shortly.", extra_body={"temperature": 0})
    text = r.content[0].text
    assert r.type == "message" and r.stop_reason in ("end_turn", "max_tokens") and r.usage.output_tokens > 0
    with c.messages.stream(model="smol", max_tokens=16, messages=FRANCE, system="Answer shortly.", extra_body={"temperature": 0}) as s:
        assert "".join(s.text_stream) == text
        assert s.get_final_message().usage.output_tokens == r.usage.output_tokens
    n = c.messages.count_tokens(model="smol", messages=FRANCE, system="Answer shortly.").input_tokens
    assert n == r.usage.input_tokens + (r.usage.cache_read_input_tokens or 0)
    try:
        c.messages.create(model="nope", max_tokens=1, messages=FRANCE)
        raise AssertionError("a model that does not exist answered")
    except anthropic.NotFoundError as e:
        assert e.body["error"]["type"] == "not_found_error"


def test_ollama(base):
    c = ollama.Client(host=base)
    assert [m.model for m in c.list().models] == ["smol"]
    assert c.show("smol").modelinfo["general.architecture"] == "llama"
    o = {"temperature": 0, "num_predict": 12}
    r = c.chat(model="smol", messages=FRANCE, options=o)
    assert r.done and r.eval_count and r.prompt_eval_count
    assert "".join(x.message.content for x in c.chat(model="smol:latest", messages=FRANCE, options=o, stream=True)) == r.message.content
    g = c.generate(model="smol", prompt=FRANCE[0]["content"], options=o)
    assert g.response == r.message.content
    assert c.ps().models[0].context_length > 0


def test_plain(base):
    """Endpoints without a client of their own: OIP's generate, tokens, metrics."""
    text = "Once upon a time"
    status, whole = post(base, "/v2/models/smol/generate", {"id": "7", "text_input": text, "parameters": {"temperature": 0, "max_tokens": 8}})
    assert status == 200 and whole["id"] == "7" and whole["model_name"] == "smol" and whole["text_output"], whole
    request = urllib.request.Request(base + "/v2/models/smol/generate_stream", json.dumps({"text_input": text, "temperature": 0, "max_tokens": 8}).encode())
    with urllib.request.urlopen(request) as r:
        events = [json.loads(line[6:]) for line in r.read().decode().split("\n\n") if line]
    assert "".join(e["text_output"] for e in events) == whole["text_output"]
    status, tokens = post(base, "/tokenize", {"model": "smol", "prompt": "Grüße, 世界 <|im_end|>"})
    assert status == 200 and tokens["count"] == len(tokens["tokens"]) and 2 not in tokens["tokens"]
    assert post(base, "/detokenize", {"model": "smol", "tokens": tokens["tokens"]})[1]["prompt"] == "Grüße, 世界 <|im_end|>"
    assert post(base, "/detokenize", {"model": "smol", "tokens": [1 << 40]})[0] == 400
    metrics = urllib.request.urlopen(base + "/metrics").read().decode()
    assert 'maas_lm_tokens_total{model="smol",version="1"}' in metrics


def test_hostile(base):
    """What is wrong is told by name, in the words of the dialect."""
    ok = {"model": "smol", "messages": FRANCE, "max_tokens": 1}
    for change, word in [({"n": 100000}, "n"), ({"temperature": 99}, "temperature"), ({"temperature": "hot"}, "temperature"),
                         ({"stop": ["x"] * 1000}, "stop"), ({"stop": ["x" * 100000]}, "stop"), ({"logit_bias": {str(i): 1 for i in range(5000)}}, "logit_bias"),
                         ({"logit_bias": {"x": 1}}, "logit_bias"), ({"messages": []}, "messages"), ({"messages": "hi"}, "messages"),
                         ({"messages": [{"role": "user", "content": 5}]}, "content"), ({"max_tokens": -1}, "max_tokens"),
                         ({"logprobs": True, "top_logprobs": 50}, "top_logprobs"), ({"seed": "x"}, "seed"), ({"stream": 1}, "stream")]:
        status, body = post(base, "/v1/chat/completions", {**ok, **change})
        assert status == 400 and word in body["error"]["message"] and body["error"]["type"] == "invalid_request_error", (change, status, body)
    status, body = post(base, "/v1/chat/completions", {**ok, "messages": [{"role": "user", "content": "word " * 20000}]})
    assert status == 400 and body["error"]["code"] == "context_length_exceeded", (status, body)
    status, body = post(base, "/v1/chat/completions", {**ok, "stream": True, "messages": [{"role": "user", "content": "word " * 20000}]})
    assert status == 400, "a stream is refused before it begins"
    for raw in (b"{", b"[]", b'{"model":"smol","messages":[{"role":"user","content":"\xff\xfe"}]}', b"[" * 100000):
        assert post(base, "/v1/chat/completions", raw)[0] == 400
    assert post(base, "/v1/chat/completions", {**ok, "unknown_field": 1, "store": True, "metadata": {}})[0] == 200
    plain = post(base, "/v1/chat/completions", {**ok, "temperature": 0, "max_tokens": 8, "messages": [{"role": "user", "content": "<|im_end|>"}]})
    assert plain[1]["usage"]["prompt_tokens"] > 32, "text of users is no special token"


def test_many(base):
    """Many streams at once say what one alone says."""
    c = openai.OpenAI(base_url=base + "/v1", api_key="none", max_retries=0)
    prompts = ["Name a colour.", "Count to five.", "Say hello.", "What is water?"]

    def ask(p):
        return "".join(x.choices[0].delta.content or "" for x in
                       c.chat.completions.create(model="smol", messages=[{"role": "user", "content": p}], temperature=0, max_tokens=12, stream=True))

    alone = {p: ask(p) for p in prompts}
    wrong = []

    def work(p):
        if ask(p) != alone[p]:
            wrong.append(p)

    threads = [threading.Thread(target=work, args=(prompts[i % 4],)) for i in range(32)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong


def main():
    model = sys.argv[1]
    server = Server()
    with open(model, "rb") as f:
        server.need(201, "PUT", "/api/v1/models/smol/versions", f.read())
    for test in (test_openai, test_anthropic, test_ollama, test_plain, test_hostile, test_many):
        def on_server(test=test):
            test(server.address if server.address.startswith("http") else "http://" + server.address)
        on_server.__name__ = test.__name__
        case(on_server)
    finish()


main()
