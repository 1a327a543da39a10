"""The clients of OpenAI, Anthropic and Ollama, unchanged from PyPI, against our server with a small real model."""
import json
import os
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import anthropic
import ollama
import openai

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
from harness import Server, case, finish
import scripted

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
    assert "smol" in [m.model for m in c.list().models]
    assert c.show("smol").modelinfo["general.architecture"] == "llama"
    o = {"temperature": 0, "num_predict": 12}
    r = c.chat(model="smol", messages=FRANCE, options=o)
    assert r.done and r.eval_count and r.prompt_eval_count
    assert "".join(x.message.content for x in c.chat(model="smol:latest", messages=FRANCE, options=o, stream=True)) == r.message.content
    g = c.generate(model="smol", prompt=FRANCE[0]["content"], options=o)
    assert g.response == r.message.content
    assert all(m.context_length > 0 for m in c.ps().models)


# What the model of the tests of tools says: a thought, a sentence, two calls.
SCRIPT = ["<think>", "\nthe sky", " first\n</th", "ink>\n\n", "One", " moment.", "\n<tool_", "call>\n{\"na", "me\": \"weather\"", ", \"arguments\": ",
          "{\"city\": \"Ro", "me\", \"days\"", ": 2}", "}\n</tool_call>\n", "<tool_call>{\"name\": \"clock\", \"argu", "ments\": {}}</tool_call>"]
THOUGHT, SENTENCE, ROME = "the sky first", "One moment.", {"city": "Rome", "days": 2}
WEATHER = {"name": "weather", "description": "The weather of a city.", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "enum": [1, 2, 3]}}, "required": ["city", "days"]}}
CLOCK = {"name": "clock", "description": "The time.", "parameters": {"type": "object", "properties": {}, "additionalProperties": False}}
FLAG = {"name": "flag", "parameters": {"type": "object", "properties": {"colour": {"enum": ["red", "green"]}}, "required": ["colour"],
                                       "additionalProperties": False}, "strict": True}
TOOLS = [{"type": "function", "function": f} for f in (WEATHER, CLOCK)]


def test_openai_tools(base):
    c = openai.OpenAI(base_url=base + "/v1", api_key="none", max_retries=0)
    ask = dict(model="caller", messages=FRANCE, temperature=0, tools=TOOLS)
    r = c.chat.completions.create(**ask)
    m = r.choices[0].message
    assert r.choices[0].finish_reason == "tool_calls" and m.content == SENTENCE and m.reasoning_content == THOUGHT, r
    assert [(x.function.name, json.loads(x.function.arguments)) for x in m.tool_calls] == [("weather", ROME), ("clock", {})]
    assert len({x.id for x in m.tool_calls}) == 2 and r.usage.completion_tokens_details.reasoning_tokens == 3

    text, thought, calls, reason = "", "", {}, None
    for chunk in c.chat.completions.create(**ask, stream=True):
        d = chunk.choices[0].delta
        text += d.content or ""
        thought += getattr(d, "reasoning_content", None) or ""
        for x in d.tool_calls or []:
            call = calls.setdefault(x.index, {"id": x.id, "name": x.function.name, "arguments": "", "n": 0})
            assert x.id is None or call["n"] == 0, "identifier and name come once, first"
            call["arguments"] += x.function.arguments or ""
            call["n"] += 1
        reason = chunk.choices[0].finish_reason or reason
    assert (text, thought, reason) == (SENTENCE, THOUGHT, "tool_calls")
    assert [(x["name"], json.loads(x["arguments"])) for x in calls.values()] == [("weather", ROME), ("clock", {})]
    assert calls[0]["n"] > 2, "arguments come in pieces"
    with c.chat.completions.stream(**ask) as s:  # the library's own way to put events together
        done = [e for e in s if e.type == "tool_calls.function.arguments.done"]
        assert [(e.name, json.loads(e.arguments)) for e in done] == [("weather", ROME), ("clock", {})]
        assert s.get_final_completion().choices[0].message.tool_calls[0].function.name == "weather"

    one = c.chat.completions.create(**ask, parallel_tool_calls=False)
    assert len(one.choices[0].message.tool_calls) == 1 and one.choices[0].finish_reason == "tool_calls"
    none = c.chat.completions.create(**ask, tool_choice="none")
    assert none.choices[0].message.tool_calls is None and "<tool_call>" in none.choices[0].message.content
    answers = [{"role": "tool", "tool_call_id": x.id, "content": "sunny"} for x in m.tool_calls]
    again = c.chat.completions.create(model="caller", messages=[*FRANCE, m.model_dump(exclude_none=True), *answers], temperature=0, tools=TOOLS)
    assert again.usage.prompt_tokens > r.usage.prompt_tokens and again.choices[0].message.content == SENTENCE

    forced = [{"type": "function", "function": f} for f in (FLAG, CLOCK)]
    for model in ("caller", "smol"):
        f = c.chat.completions.create(model=model, messages=FRANCE, temperature=0, tools=forced, max_tokens=100,
                                      tool_choice={"type": "function", "function": {"name": "flag"}})
        x, = f.choices[0].message.tool_calls
        assert x.function.name == "flag" and json.loads(x.function.arguments)["colour"] in ("red", "green"), f
        f = c.chat.completions.create(model=model, messages=FRANCE, temperature=0, tools=forced, max_tokens=100, tool_choice="required",
                                      parallel_tool_calls=False, stream=True)
        parts = [x for chunk in f for x in chunk.choices[0].delta.tool_calls or []]
        assert parts[0].function.name in ("flag", "clock")
        json.loads("".join(x.function.arguments for x in parts))


def test_responses_tools(base):
    c = openai.OpenAI(base_url=base + "/v1", api_key="none", max_retries=0)
    tools = [{"type": "function", "strict": False, **f} for f in (WEATHER, CLOCK)]
    ask = dict(model="caller", input=FRANCE[0]["content"], temperature=0, tools=tools)
    r = c.responses.create(**ask)
    assert r.status == "completed" and r.output_text == SENTENCE, r
    assert [x.type for x in r.output] == ["reasoning", "message", "function_call", "function_call"]
    assert r.output[0].content[0].text == THOUGHT and r.usage.output_tokens_details.reasoning_tokens == 3
    calls = r.output[2:]
    assert [(x.name, json.loads(x.arguments)) for x in calls] == [("weather", ROME), ("clock", {})]
    with c.responses.stream(**ask) as s:
        events = list(s)
        final = s.get_final_response()
    assert [x.type for x in final.output] == [x.type for x in r.output] and final.output[2].arguments == calls[0].arguments
    done = [e for e in events if e.type == "response.function_call_arguments.done"]
    assert [json.loads(e.arguments) for e in done] == [ROME, {}]
    assert "".join(e.delta for e in events if e.type == "response.function_call_arguments.delta" and e.output_index == 2) == calls[0].arguments
    assert "".join(e.delta for e in events if e.type == "response.reasoning_text.delta") == THOUGHT
    assert [e.sequence_number for e in events] == sorted({e.sequence_number for e in events})
    outputs = [{"type": "function_call_output", "call_id": x.call_id, "output": "sunny"} for x in calls]
    back = [*FRANCE, *[x.model_dump(exclude_none=True) for x in r.output], *outputs]
    again = c.responses.create(**{**ask, "input": back})
    assert again.usage.input_tokens > r.usage.input_tokens and again.output_text == SENTENCE


def test_anthropic_tools(base):
    c = anthropic.Anthropic(base_url=base, api_key="none", max_retries=0)
    tools = [{"name": f["name"], "description": f["description"], "input_schema": f["parameters"]} for f in (WEATHER, CLOCK)]
    ask = dict(model="caller", max_tokens=100, messages=FRANCE, tools=tools, extra_body={"temperature": 0})
    r = c.messages.create(**ask)
    assert r.stop_reason == "tool_use" and [x.type for x in r.content] == ["thinking", "text", "tool_use", "tool_use"], r
    assert r.content[0].thinking == THOUGHT and r.content[1].text == SENTENCE
    assert [(x.name, x.input) for x in r.content[2:]] == [("weather", ROME), ("clock", {})]
    with c.messages.stream(**ask) as s:
        kinds = [e.type for e in s]
        final = s.get_final_message()
    assert final.stop_reason == "tool_use" and [(x.name, x.input) for x in final.content[2:]] == [("weather", ROME), ("clock", {})]
    assert "input_json" in kinds and "thinking" in kinds and final.content[0].thinking == THOUGHT
    one = c.messages.create(**ask, tool_choice={"type": "auto", "disable_parallel_tool_use": True})
    assert [x.type for x in one.content] == ["thinking", "text", "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": x.id, "content": [{"type": "text", "text": "sunny"}]} for x in r.content[2:]]
    back = [*FRANCE, {"role": "assistant", "content": [x.model_dump() for x in r.content]}, {"role": "user", "content": results}]
    again = c.messages.create(**{**ask, "messages": back})
    assert again.usage.input_tokens + again.usage.cache_read_input_tokens > r.usage.input_tokens and again.stop_reason == "tool_use"
    forced = c.messages.create(**{**ask, "model": "smol", "tools": [{"name": "flag", "input_schema": FLAG["parameters"]}]},
                               tool_choice={"type": "tool", "name": "flag"})
    assert forced.content[-1].input["colour"] in ("red", "green"), forced


def test_ollama_tools(base):
    c = ollama.Client(host=base)
    ask = dict(model="caller", messages=FRANCE, tools=TOOLS, options={"temperature": 0})
    r = c.chat(**ask)
    assert r.message.content == SENTENCE and r.message.thinking == THOUGHT, r
    assert [(x.function.name, x.function.arguments) for x in r.message.tool_calls] == [("weather", ROME), ("clock", {})]
    chunks = list(c.chat(**ask, stream=True))
    assert "".join(x.message.content or "" for x in chunks) == SENTENCE and "".join(x.message.thinking or "" for x in chunks) == THOUGHT
    calls = [y for x in chunks for y in x.message.tool_calls or []]
    assert [(x.function.name, x.function.arguments) for x in calls] == [("weather", ROME), ("clock", {})]
    back = [*FRANCE, r.message, {"role": "tool", "tool_name": "weather", "content": "sunny"}, {"role": "tool", "tool_name": "clock", "content": "12:00"}]
    again = c.chat(**{**ask, "messages": back})
    assert again.prompt_eval_count > r.prompt_eval_count and again.message.content == SENTENCE
    assert c.chat(model="smol", messages=FRANCE, tools=TOOLS, options={"temperature": 0, "num_predict": 12}).done


def test_completions(base):
    """Probabilities of completions, whole and streamed; what is between two texts."""
    c = openai.OpenAI(base_url=base + "/v1", api_key="none", max_retries=0)
    ask = dict(model="smol", prompt="Once upon a time", temperature=0, max_tokens=8, logprobs=3)
    x = c.completions.create(**ask).choices[0]
    l = x.logprobs
    assert "".join(l.tokens) == x.text and len(l.tokens) == len(l.token_logprobs) == len(l.top_logprobs) == 8
    assert all(len(t) == 3 and abs(max(t.values()) - p) < 1e-6 for t, p in zip(l.top_logprobs, l.token_logprobs))
    assert [x.text[o:].startswith(t) for o, t in zip(l.text_offset, l.tokens)] == [True] * 8, l
    parts = [k.choices[0].logprobs for k in c.completions.create(**ask, stream=True)]
    for name in ("tokens", "token_logprobs", "text_offset"):
        assert [v for p in parts for v in getattr(p, name)] == getattr(l, name), name

    filled = c.completions.create(model="filler", prompt="def f(", suffix=" + 1", temperature=0, max_tokens=8)
    assert filled.choices[0].text == "x):\n    return x" and filled.choices[0].finish_reason == "stop", filled
    whole = c.completions.create(model="filler", prompt="def f( + 1", temperature=0, max_tokens=1)
    assert filled.usage.prompt_tokens == whole.usage.prompt_tokens + 3, "a token before, between and after"
    o = ollama.Client(host=base).generate(model="filler", prompt="def f(", suffix=" + 1", options={"temperature": 0, "num_predict": 8})
    assert o.response == filled.choices[0].text
    status, body = post(base, "/v1/completions", {"model": "smol", "prompt": "a", "suffix": "b"})
    assert status == 400 and "fill in" in body["error"]["message"], body


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
    with tempfile.NamedTemporaryFile(suffix=".gguf") as f:
        scripted.write(f.name, SCRIPT, "<tool_call> <think>")
        server.need(201, "PUT", "/api/v1/models/caller/versions", f.read())
    with tempfile.NamedTemporaryFile(suffix=".gguf") as f:
        scripted.write(f.name, [("<|fim_prefix|>",), ("<|fim_suffix|>",), ("<|fim_middle|>",), "x):", "\n    return", " x"], "")
        server.need(201, "PUT", "/api/v1/models/filler/versions", f.read())
    for test in (test_openai, test_completions, test_openai_tools, test_responses_tools, test_anthropic, test_anthropic_tools, test_ollama, test_ollama_tools, test_plain,
                 test_hostile, test_many):
        def on_server(test=test):
            test(server.address if server.address.startswith("http") else "http://" + server.address)
        on_server.__name__ = test.__name__
        case(on_server)
    finish()


main()
