"""Templates of model makers: a conversation with tools is rendered as Jinja2 renders it, and the call that a template writes is read
back by the family that the template shows."""
import glob
import json
import os
import subprocess
import sys

from jinja2.sandbox import ImmutableSandboxedEnvironment

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
from harness import BINARY, check, finish

TOOL = os.path.join(os.path.dirname(BINARY), "tests/unit/lm/chat/chat_render")
# Ways to write calls that no row of said_table.c reads, and what our Jinja refuses by name.
UNREAD = {"Apertus-8B-Instruct", "GigaChat3-10B-A1.8B", "GigaChat3.1-10B-A1.8B", "Kimi-K3", "MiniMax-M2", "MiniMax-M3", "muse-glimmer",
          "NVIDIA-Nemotron-Nano-v2", "deepseek-ai-DeepSeek-V3.2", "deepseek-ai-DeepSeek-V4", "deepseek-ai-DeepSeek-V4-Flash-0731",
          "meetkai-functionary-medium-v3.2", "upstage-Solar-Open-100B"}
REFUSED = {"ByteDance-Seed-OSS", "fireworks-ai-llama-3-firefunction-v2", "tencent-Hy3"}
# Jinja2's own tojson (which writes HTML) or sorted keys are meant there.
OTHER_JSON = {"Kimi-K3", "meetkai-functionary-medium-v3.1"}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "The weather of a place.", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "description": "Where"}, "days": {"type": "integer", "description": "How many"}},
    "required": ["city"]}}}]
ASKED = [{"role": "user", "content": "Weather in Rome?"}]
ARGUMENTS = {"city": "Rome", "days": 2}
CALLED = [*ASKED, {"role": "assistant", "content": None, "tool_calls": [
    {"id": "abc123def", "type": "function", "function": {"name": "get_weather", "arguments": json.dumps(ARGUMENTS)}}]}]


def dumps(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def jinja2_says(text):
    """What Jinja2 makes of it, or None where it does not know a tag that transformers adds."""
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    env.filters["tojson"] = dumps
    env.globals["raise_exception"] = lambda m: (_ for _ in ()).throw(ValueError(m))
    try:
        return env.from_string(text).render(messages=ASKED, tools=TOOLS, add_generation_prompt=True, bos_token="<s>", eos_token="</s>")
    except Exception:
        return None


def said_in(before, after):
    """What the assistant wrote: from where two prompts part, back to the end of a marker or of a line."""
    if after.startswith(before):
        return after[len(before):]
    k = len(os.path.commonprefix([before, after]))
    while k and after[k - 1] not in ">\n]":
        k -= 1
    return after[k:]


def main():
    for path in sorted(glob.glob(os.path.join(sys.argv[1], "*.jinja"))):
        name = os.path.basename(path)[:-6]
        p = subprocess.Popen([TOOL, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        def ask(x):
            try:
                p.stdin.write(json.dumps(x) + "\n")
                p.stdin.flush()
            except BrokenPipeError:
                pass
            return json.loads(p.stdout.readline() or '{"error": "no answer"}')

        asked = ask({"messages": ASKED, "tools": TOOLS})
        called = ask({"messages": CALLED, "tools": TOOLS}) if "error" not in asked else asked
        if name in REFUSED:
            check(name + " is refused with a sentence", len(asked.get("error") or called.get("error", "")) > 10, asked)
        elif "error" in called:
            check(name, False, called)
        else:
            text = open(path, encoding="utf-8").read()
            want = jinja2_says(text) if "strftime_now" not in text and name not in OTHER_JSON else None
            described = "You can call functions." in asked["prompt"]
            if want is not None and not described:
                check(name + " is rendered as Jinja2 does", asked["prompt"] == want, asked["prompt"][:300] + "\n" + want[:300])
            if name not in UNREAD:
                said = said_in(asked["prompt"], called["prompt"])
                heard = ask({"says": said, "tools": TOOLS, "in_thought": asked["in_thought"] and called["prompt"].startswith(asked["prompt"])})
                calls = [c for c in heard["calls"] if c.get("ok") and c["name"] == "get_weather" and json.loads(c["arguments"]) == ARGUMENTS]
                check(f"{name} ({heard['family']}) reads the call it writes", len(calls) == 1 and len(heard["calls"]) == 1, f"{said!r}: {heard}")
        try:
            p.stdin.close()
        except BrokenPipeError:  # one that refused its template has ended, with what was asked unread
            pass
        p.wait()
    finish()


main()
