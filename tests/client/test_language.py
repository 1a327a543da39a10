"""A real language model behind the real client, and what its file holds against the makers' packages."""
import datetime
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
import gguf
import jinja2
import numpy as np
import openai
from jinja2.sandbox import ImmutableSandboxedEnvironment

from harness import Server, case, check, finish

MODEL = sys.argv[1]
BUILD = os.environ.get("MAAS_BUILD", "build")
server = Server()
with open(MODEL, "rb") as f:
    server.need(201, "PUT", "/api/v1/models/smol/versions", f.read())
client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)

TEMPLATES = [
    "{%- for m in messages %}\n  {%- if m.role == 'user' %}[U] {{ m.content | trim }}{% else %}\n{{ m['role'] | upper }}: {{ m.content }}\n{% endif %}\n{%- endfor %}",
    "{% set ns = namespace(last='', n=0) %}{% for m in messages if m.role != 'system' %}{% set ns.n = ns.n + loop.index %}"
    "{% set ns.last = m.content %}{% endfor %}{{ ns.n }}{{ ns.last }}",
    "{{ d | tojson }}{{ d | tojson(indent=4) }}{{ d.a | length }}{% for k, v in d.items() %}{{ k }}{{ v is mapping }}{% endfor %}",
    "{{ messages[1:] | length }}{{ messages[-1].content[:3] }}{{ messages | map(attribute='role') | join(', ') }}",
    "{% for i in range(n) %}{{ i ** 2 % 5 // 2 }}{{ loop.revindex }}{{ '' if loop.last else ',' }}{% endfor %}{{ 7 / 2 }}{{ -7 // 2 }}",
    "{% if tools is none and not missing is defined %}a{% elif true %}b{% endif %}{{ missing | default('d') }}{{ strftime_now('%d %b %Y') }}",
    "{% for m in messages %}{% if loop.index0 == 1 %}{% continue %}{% endif %}{{ loop.first }}{{ m.content.split(' ')[0].replace('l', 'L') }}{% endfor %}",
]


def chat(text, **more):
    return client.chat.completions.create(model="smol", messages=[{"role": "user", "content": text}], temperature=0, **more)


@case
def a_chat_answers_and_counts():
    r = chat("What is two plus two?", max_tokens=12)
    check("an answer", r.choices[0].message.role == "assistant" and len(r.choices[0].message.content) > 0)
    check("its usage", r.usage.completion_tokens <= 12 and r.usage.prompt_tokens + r.usage.completion_tokens == r.usage.total_tokens)
    check("why it ended", r.choices[0].finish_reason in ("stop", "length"))
    again = chat("What is two plus two?", max_tokens=12)
    check("the same again", again.choices[0].message.content == r.choices[0].message.content)
    check("from the cache", again.usage.prompt_tokens_details.cached_tokens > 0)


@case
def a_stream_says_the_same():
    whole = chat("Name a color.", max_tokens=20)
    text, usage, ids, reason = "", None, set(), None
    for c in chat("Name a color.", max_tokens=20, stream=True, stream_options={"include_usage": True}):
        ids.add(c.id)
        if c.choices:
            text += c.choices[0].delta.content or ""
            reason = c.choices[0].finish_reason or reason
        else:
            usage = c.usage
    check("text", text == whole.choices[0].message.content, f"{text!r}")
    check("one id", len(ids) == 1)
    check("usage", usage and usage.completion_tokens == whole.usage.completion_tokens)
    check("reason", reason == whole.choices[0].finish_reason)


@case
def many_at_once_change_nothing():
    import concurrent.futures
    prompts = [f"Write {i} words about the sea." for i in range(16)]
    alone = [chat(p, max_tokens=16).choices[0].message.content for p in prompts]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        together = list(pool.map(lambda p: chat(p, max_tokens=16).choices[0].message.content, prompts))
    check("answers", alone == together)


@case
def seeds_choices_stops_and_logprobs():
    ask = dict(model="smol", messages=[{"role": "user", "content": "Tell me a story."}], max_tokens=12, temperature=1.0)
    a, b = [client.chat.completions.create(seed=5, **ask).choices[0].message.content for _ in range(2)]
    check("a seed repeats", a == b)
    r = client.chat.completions.create(seed=5, n=3, **ask)
    check("choices", len({c.message.content for c in r.choices}) > 1 and [c.index for c in r.choices] == [0, 1, 2])
    check("the first is that of the seed", r.choices[0].message.content == a)
    plain = chat("Count: one, two, three.", max_tokens=30).choices[0].message.content
    word = plain.split()[2]
    cut = chat("Count: one, two, three.", max_tokens=30, stop=[word])
    check("stop", cut.choices[0].message.content == plain[:plain.index(word)] and cut.choices[0].finish_reason == "stop")
    l = chat("Hi", max_tokens=3, logprobs=True, top_logprobs=4).choices[0].logprobs.content
    check("logprobs", all(len(t.top_logprobs) == 4 and t.logprob == t.top_logprobs[0].logprob <= 0 for t in l))
    check("their bytes", "".join(bytes(t.bytes).decode() for t in l) == chat("Hi", max_tokens=3).choices[0].message.content)


@case
def completions_take_text_and_tokens():
    r = client.completions.create(model="smol", prompt="The capital of France is", max_tokens=4, temperature=0)
    check("text", "Paris" in r.choices[0].text, r.choices[0].text)
    r2 = client.completions.create(model="smol", prompt=[504, 3575, 282, 4649, 314], max_tokens=4, temperature=0)
    check("tokens", r2.choices[0].text == r.choices[0].text, r2.choices[0].text)
    e = client.completions.create(model="smol", prompt="The capital of France is", max_tokens=4, temperature=0, echo=True)
    check("echo", e.choices[0].text == "The capital of France is" + r.choices[0].text)


@case
def what_is_wrong_is_said():
    def refused(code, words, **kw):
        ask = dict(model="smol", messages=[{"role": "user", "content": "x"}])
        ask.update(kw)
        try:
            client.chat.completions.create(**ask)
            check(words, False, "it was taken")
        except openai.APIStatusError as e:
            check(words, e.status_code == code and words in str(e.body), f"{e.status_code} {e.body}")
    refused(404, "does not exist", model="nobody")
    refused(400, "messages", messages=[])
    refused(400, "role", messages=[{"content": "x"}])
    refused(400, "temperature", temperature=7)
    refused(400, "max_tokens", max_tokens=0)
    refused(400, "'n'", n=1000)
    refused(400, "stop", stop=["x"] * 99)
    refused(400, "logit_bias", logit_bias={"a": 1})
    refused(400, "context_length_exceeded", messages=[{"role": "user", "content": "x " * 9000}])
    refused(400, "json_object", response_format={"type": "poem"})
    refused(400, "image_url", messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}])
    r = server.request("POST", "/v2/models/smol/infer", json.dumps({"inputs": []}).encode())
    check("tensors are for other models", r.status == 400 and "language model" in r.body.decode(), r.body[:200])


@case
def who_leaves_is_forgotten():
    s = chat("Write a long story about the sea and the wind.", stream=True, max_tokens=4000)
    for i, _ in enumerate(s):
        if i == 5:
            break
    s.close()
    start = time.time()
    chat("Hi", max_tokens=2)
    check("others go on", time.time() - start < 20)


@case
def users_cannot_write_special_tokens():
    t = client.chat.completions.create(model="smol", max_tokens=1, temperature=0,
                                       messages=[{"role": "user", "content": "<|im_end|>"}]).usage.prompt_tokens
    u = client.chat.completions.create(model="smol", max_tokens=1, temperature=0,
                                       messages=[{"role": "user", "content": "x"}]).usage.prompt_tokens
    check("their text is text", t > u + 3, f"{t} and {u}")


@case
def blocks_are_those_of_ggml():
    lib = os.path.join(BUILD, "tests/unit/tensor/quant_rows")
    rng = np.random.default_rng(1)
    halves = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
              "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0], "TQ1_0": [52], "TQ2_0": [64],
              "IQ1_S": [0], "IQ2_XXS": [0], "IQ2_XS": [0], "IQ2_S": [0], "IQ3_XXS": [0], "IQ3_S": [0]}
    names = subprocess.run([lib], capture_output=True, text=True, check=True).stdout.split()
    for name in names:
        t = getattr(gguf.GGMLQuantizationType, name)
        block, size = gguf.GGML_QUANT_SIZES[t]
        raw = rng.integers(0, 256, (64, size), dtype=np.uint8)
        for at in halves.get(name, []):
            raw[:, at:at + 2] = rng.normal(size=(64, 1)).astype(np.float16).view(np.uint8)
        if name == "IQ1_M":  # a scale in the upper halves of four bytes
            d = rng.normal(size=64).astype(np.float16).view(np.uint16)
            for i in range(4):
                raw[:, 49 + 2 * i] = raw[:, 49 + 2 * i] & 15 | (d >> 4 * i & 15) << 4
        if name == "MXFP4":
            raw[:, 0] = rng.integers(100, 150, 64)
        if name in ("F32", "F16", "BF16"):
            x = rng.normal(size=64).astype(np.float32)
            raw = {"F32": x, "F16": x.astype(np.float16), "BF16": (x.view(np.uint32) >> 16).astype(np.uint16)}[name].view(np.uint8)
        got = np.frombuffer(subprocess.run([lib, name], input=raw.tobytes(), capture_output=True, check=True).stdout, np.float32)
        want = gguf.quants.dequantize(raw.reshape(1, -1), t).reshape(-1)
        check(name, np.array_equal(got, want))


@case
def templates_are_jinja2s():
    reader = gguf.GGUFReader(MODEL)
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    env.filters["tojson"] = lambda x, indent=None: json.dumps(x, ensure_ascii=False, indent=indent)
    env.globals["strftime_now"] = lambda f: datetime.datetime.fromtimestamp(1700000000, datetime.timezone.utc).strftime(f)
    texts = [reader.fields["tokenizer.chat_template"].contents()] + TEMPLATES
    conversations = [
        [{"role": "user", "content": "Hello  world "}],
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "é\n"}, {"role": "assistant", "content": "Hi"},
         {"role": "user", "content": "{{ x }} <b>"}],
    ]
    tool = os.path.join(BUILD, "tests/unit/lm/chat/jinja_render")
    for i, text in enumerate(texts):
        for k, m in enumerate(conversations):
            v = {"messages": m, "tools": None, "add_generation_prompt": bool(k), "bos_token": "<s>", "eos_token": "</s>", "n": 3,
                 "d": {"a": [1, None, True, "x\"y"], "b": {"c": 1.5}}}
            want = env.from_string(text).render(**v)
            got = subprocess.run([tool, text, json.dumps(v)], capture_output=True, text=True).stdout
            check(f"template {i}, conversation {k}", got == want, f"{got!r}, Jinja2: {want!r}")


@case
def the_inference_protocol_knows_it():
    check("ready", server.get("/v2/models/smol/ready").json() == {"name": "smol", "ready": True})
    meta = server.get("/v2/models/smol").json()
    check("metadata", meta["inputs"] == [{"name": "text_input", "datatype": "BYTES", "shape": [1]}] and meta["outputs"][0]["name"] == "text_output", meta)
    check("configuration", server.get("/v2/models/smol/config").json()["model_transaction_policy"] == {"decoupled": True})
    check("no tensors", "/v1/chat/completions" in server.post("/v2/models/smol/infer", {"inputs": []}).json()["error"])


finish()
