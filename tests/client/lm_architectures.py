"""Tiny language models of every architecture, with random weights, as the GGUF files that the makers' converter writes.

A model is a row of MODELS: what its definition says, in words of this file; write() makes the file of it, and
lm_reference.py computes its logits. Neither knows anything of the program under test.
"""
import numpy as np

EMBD, FF, LAYERS, HEADS, KV, SIZE, VOCAB, CONTEXT = 64, 96, 4, 4, 2, 16, 640, 256

# What a row does not say. norm: rms, layer. qkv: split, fused. qk_norm: head (one for all), each (of every head its
# own), wide. rope: pairs, halves. parallel: shared (one norm for both), own. gate: split, fused (gate and up in one
# matrix), none. act: silu, gelu (exact), tanh (gelu's tanh form), relu2, clamped.
DEFAULT = dict(norm="rms", norm_bias=False, eps=1e-5, qkv="split", qkv_bias=False, out_bias=False, qk_norm=None, qk_late=False,
               rope="pairs", turned=SIZE, base=10000.0, freqs=None, factors=None, scaling=None, pre_norm=True,
               post_norm=False, parallel=None, gate="split", act="silu", ffn_bias=False, experts=None, positions=False,
               embed_scale=1.0, residual_scale=1.0, score_scale=None, logit_scale=1.0, score_cap=0.0, logit_cap=0.0, bare=False, ffn_norm="ffn_norm", latent=None, state=None, sinks=False,
               window=0, local=lambda i: False, local_base=None, local_plain=False, unturned=lambda i: False,
               tied=False, output_bias=False, heads=HEADS, kv=KV, size=SIZE, keys={}, peer=True, original=None, clamp=0.0)


def model(arch, **more):
    return {**DEFAULT, "arch": arch, **more}


def all_but(n):
    return lambda i: (i + 1) % n != 0


def each(n):
    return lambda i: (i + 1) % n == 0


def yarn(factor, original):
    return dict(scaling=dict(type="yarn", factor=factor, original=original),
                keys={"rope.scaling.type": "yarn", "rope.scaling.factor": factor,
                      "rope.scaling.original_context_length": original})


def longrope(original):
    return dict(rope="halves", factors=1.19, original=original,
                keys={"rope.scaling.original_context_length": original, "rope.scaling.attn_factor": 1.19})


OLD = dict(norm="layer", norm_bias=True, qkv_bias=True, out_bias=True, gate="none", ffn_bias=True)
GRANITE = dict(embed_scale=8.0, residual_scale=0.3, logit_scale=0.25, score_scale=0.1,
               keys={"embedding_scale": 8.0, "residual_scale": 0.3, "logit_scale": 4.0, "attention.scale": 0.1})



def sorted_out(n, used, sum_to_one=False, lead=1, ff=48, **more):
    """Experts as newer models have them: dense layers first, and keys for everything."""
    keys = {"expert_feed_forward_length": ff, "leading_dense_block_count": lead, "expert_shared_count":
            more.get("shared", 0) // ff, "expert_weights_norm": sum_to_one}
    if "scale" in more:
        keys["expert_weights_scale"] = more["scale"]
    if "sigmoid" in more:
        keys["expert_gating_func"] = 2 if more["sigmoid"] else 1
    return dict(experts=dict(n=n, used=used, ff=ff, sum_to_one=sum_to_one, lead=lead, **more), keys=keys)


def state(inner, states, rank, taps=4, **more):
    """rank: of the step, or with `groups` the number of heads."""
    keys = {"ssm.inner_size": inner, "ssm.state_size": states, "ssm.time_step_rank": rank, "ssm.conv_kernel": taps}
    if "groups" in more:
        keys["ssm.group_count"] = more["groups"]
    if more.get("norms"):
        keys["ssm.dt_b_c_rms"] = True
    return dict(heads=0, kv=0, rope=None, state=dict(inner=inner, states=states, rank=rank, taps=taps, **more), keys=keys)


def with_keys(row, keys):
    return {**row, "keys": {**row["keys"], **keys}}


MODELS = {
    "llama": model("llama"),
    "llama-bias-freqs": model("llama", qkv_bias=True, out_bias=True, freqs=True, tied=True),
    "qwen2": model("qwen2", rope="halves", qkv_bias=True, base=1e6),
    "qwen3": model("qwen3", rope="halves", qk_norm="head", base=1e6, size=32, turned=32),
    "gemma": model("gemma", rope="halves", act="tanh", embed_scale=8.0, tied=True),
    "gemma2": model("gemma2", rope="halves", act="tanh", embed_scale=8.0, tied=True, post_norm=True, score_cap=50.0,
                    logit_cap=30.0, window=13, local=all_but(2)),
    "gemma3": model("gemma3", rope="halves", act="tanh", embed_scale=8.0, tied=True, post_norm=True, qk_norm="head",
                    window=13, local=all_but(6), local_base=10000.0, base=1e6, layers=7),
    # The largest ones scale scores by the width of the model, not of a head.
    "gemma2-27b": model("gemma2", rope="halves", act="tanh", embed_scale=8.0, tied=True, post_norm=True, score_cap=50.0,
                        logit_cap=30.0, window=13, local=all_but(2), size=32, turned=32, layers=46, score_scale=0.25),
    "gemma3-27b": model("gemma3", rope="halves", act="tanh", embed_scale=8.0, tied=True, post_norm=True, qk_norm="head",
                        window=13, local=all_but(6), local_base=10000.0, base=1e6, size=32, turned=32, layers=62,
                        score_scale=0.25),
    "llama-linear": model("llama", scaling=dict(type="linear", factor=4.0),
                          keys={"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}),
    "llama-yarn": model("llama", **yarn(4.0, 64)),
    "qwen2-yarn": model("qwen2", rope="halves", qkv_bias=True, base=1e6, **yarn(8.0, 32)),
    "llama-experts": model("llama", experts=dict(n=6, used=2, ff=FF, sum_to_one=True)),
    "qwen2moe": model("qwen2moe", rope="halves", qkv_bias=True,
                      experts=dict(n=6, used=3, ff=48, sum_to_one=False, shared=80, shared_gate=True),
                      keys={"expert_feed_forward_length": 48, "expert_shared_feed_forward_length": 80}),
    "qwen3moe": model("qwen3moe", rope="halves", qk_norm="head", size=32, turned=32,
                      experts=dict(n=8, used=2, ff=48, sum_to_one=True), keys={"expert_feed_forward_length": 48}),
    # llama.cpp rounds what goes into products with halves to halves, too.
    "qwen3moe-half": model("qwen3moe", rope="halves", qk_norm="head", size=32, turned=32, half=True, peer=False,
                           experts=dict(n=8, used=2, ff=48, sum_to_one=True), keys={"expert_feed_forward_length": 48}),
    "deepseek2-half": model("deepseek2", turned=8, half=True, latent=dict(q_rank=48, kv_rank=32, plain=16, v=24), kv=1,
                            peer=False, **sorted_out(6, 2, shared=96, scale=1.0, sigmoid=False)),
    "phi3-half": model("phi3", rope="halves", qkv="fused", gate="fused", half=True, peer=False),
    "phi2": model("phi2", **OLD, rope="halves", turned=8, parallel="shared", act="tanh", output_bias=True),
    "phi2-fused": model("phi2", **OLD, rope="halves", turned=8, parallel="shared", act="tanh", output_bias=True,
                        qkv="fused"),
    "phi3": model("phi3", rope="halves", qkv="fused", gate="fused"),
    # llama.cpp leaves the window out, which Phi 3 was trained with.
    "phi3-window": model("phi3", rope="halves", qkv="fused", gate="fused", window=13, local=lambda i: True, peer=False),
    "phi3-long": model("phi3", **longrope(128), qkv="fused", gate="fused"),
    "phi3-short": model("phi3", **longrope(256), qkv="fused", gate="fused"),
    "phi3-shortened": model("phi3", **longrope(128), qkv="fused", gate="fused", context=128, peer=False),
    "gpt2": model("gpt2", **OLD, rope=None, qkv="fused", positions=True, act="tanh", kv=HEADS),
    # llama.cpp takes gelu's tanh form for the exact one here, and in Falcon.
    "gptneox": model("gptneox", **OLD, rope="halves", turned=4, qkv="fused", kv=HEADS, parallel="own", act="gelu",
                     keys={"use_parallel_residual": True}),
    "gptneox-serial": model("gptneox", **OLD, rope="halves", turned=4, qkv="fused", kv=HEADS, act="gelu",
                            keys={"use_parallel_residual": False}),
    "falcon": model("falcon", norm="layer", norm_bias=True, gate="none", rope="halves", qkv="fused", kv=1,
                    parallel="shared", act="gelu"),
    "falcon-40b": model("falcon", norm="layer", norm_bias=True, gate="none", rope="halves", qkv="fused",
                        parallel="two", act="gelu"),
    "stablelm": model("stablelm", norm="layer", norm_bias=True, rope="halves", turned=4, qkv_bias=True),
    "stablelm-12b": model("stablelm", norm="layer", norm_bias=True, rope="halves", turned=4, parallel="shared",
                          qk_norm="each"),
    "starcoder2": model("starcoder2", **OLD, rope="halves", act="tanh"),
    "olmo": model("olmo", norm="layer", bare=True, kv=HEADS),
    "olmo-clamped": model("olmo", norm="layer", bare=True, kv=HEADS, clamp=1.5, keys={"attention.clamp_kqv": 1.5}),
    "olmo2": model("olmo2", rope="halves", pre_norm=False, post_norm=True, qk_norm="wide", kv=HEADS),
    "olmo3": model("olmo2", rope="halves", pre_norm=False, post_norm=True, qk_norm="wide", window=13,
                   local=all_but(4), local_plain=True, layers=5, **yarn(4.0, 64)),
    "olmo3-counted": model("olmo2", rope="halves", pre_norm=False, post_norm=True, qk_norm="wide", window=13,
                           local=all_but(2), local_plain=True, keys={"attention.sliding_window_pattern": 2}),
    "olmo3-each": model("olmo2", rope="halves", pre_norm=False, post_norm=True, qk_norm="wide", window=13,
                        local=lambda i: i in (0, 3), local_plain=True, peer=False,
                        keys={"attention.sliding_window_pattern": [True, False, False, True]}),
    "olmoe": model("olmoe", rope="halves", qk_norm="wide", kv=HEADS, experts=dict(n=6, used=3, ff=FF, sum_to_one=False)),
    "granite": model("granite", **GRANITE),
    "granitemoe": model("granitemoe", **GRANITE, experts=dict(n=6, used=2, ff=FF, sum_to_one=True)),
    "granitemoe-shared": model("granitemoe", **{**GRANITE, "keys": {**GRANITE["keys"], "expert_shared_feed_forward_length": 80}},
                               experts=dict(n=6, used=2, ff=FF, sum_to_one=True, shared=80)),
    "command-r": model("command-r", norm="layer", parallel="shared", tied=True, logit_scale=0.25,
                       keys={"logit_scale": 0.25}),
    # llama.cpp norms queries and keys where there are 64 layers.
    "command-r-plus": model("command-r", norm="layer", parallel="shared", tied=True, logit_scale=0.25, qk_norm="each",
                            keys={"logit_scale": 0.25}, layers=64),
    "cohere2": model("cohere2", norm="layer", parallel="shared", tied=True, logit_scale=0.25, window=13,
                     local=all_but(4), unturned=each(4), keys={"logit_scale": 0.25}, layers=5),
    "internlm2": model("internlm2"),
    "exaone": model("exaone", rope="halves"),
    "nemotron": model("nemotron", norm="layer", norm_bias=True, rope="halves", turned=8, gate="none", act="relu2"),
    "smollm3": model("smollm3", unturned=each(4), tied=True, layers=5),
    "glm4moe": model("glm4moe", rope="halves", turned=8, qkv_bias=True, ffn_norm="post_attention_norm", qk_norm="head",
                     **sorted_out(6, 2, sum_to_one=True, sigmoid=True, bias=True, scale=1.5, shared=48)),
    "chatglm": model("chatglm", turned=8, qkv="fused", qkv_bias=True, gate="fused"),
    "exaone4": model("exaone4", rope="halves", pre_norm=False, post_norm=True, qk_norm="head", layers=5),
    "exaone4-window": model("exaone4", rope="halves", pre_norm=False, post_norm=True, qk_norm="head", window=13,
                            local=all_but(4), unturned=each(4), layers=64),
    "deepseek": model("deepseek", **sorted_out(6, 2, shared=96, scale=1.0)),
    "dots1": model("dots1", rope="halves", qk_norm="head", kv=HEADS,
                   **sorted_out(6, 2, sum_to_one=True, sigmoid=True, bias=True, scale=2.5, shared=96)),
    "minimax-m2": model("minimax-m2", rope="halves", qk_norm="wide", turned=8,
                        **sorted_out(6, 2, sum_to_one=True, sigmoid=True, bias=True, lead=0, ff=FF)),
    "dbrx": model("dbrx", norm="layer", rope="halves", qkv="fused", ffn_norm="attn_output_norm", clamp=1.5,
                  experts=dict(n=6, used=2, ff=FF, sum_to_one=True), keys={"attention.clamp_kqv": 1.5}),
    "seed_oss": model("seed_oss", rope="halves", qkv_bias=True, ffn_norm="post_attention_norm"),
    "starcoder": model("starcoder", **OLD, rope=None, qkv="fused", positions=True, act="tanh", kv=1),
    "codeshell": model("codeshell", **OLD, rope="halves", qkv="fused", act="tanh"),
    "qwen2vl": model("qwen2vl", rope="halves", qkv_bias=True, sections=(3, 3, 2, 0)),
    "qwen3vl": model("qwen3vl", rope="halves", qk_norm="head", size=32, turned=32, sections=(6, 5, 5, 0)),
    "qwen3vlmoe": model("qwen3vlmoe", rope="halves", qk_norm="head", size=32, turned=32, sections=(6, 5, 5, 0),
                        experts=dict(n=8, used=2, ff=48, sum_to_one=True), keys={"expert_feed_forward_length": 48}),
    "ernie4_5-moe": model("ernie4_5-moe", **with_keys(
        sorted_out(6, 2, sum_to_one=True, bias=True, shared=48),
        {"interleave_moe_layer_step": 1, "expert_shared_feed_forward_length": 48})),
    "hunyuan-dense": model("hunyuan-dense", rope="halves", qk_norm="head", qk_late=True),
    "hunyuan-moe": model("hunyuan-moe", rope="halves", qk_norm="head", qk_late=True, **with_keys(
        sorted_out(6, 2, sum_to_one=True, shared=80, lead=0, ff=FF), {"expert_shared_feed_forward_length": 80})),
    "bailingmoe2": model("bailingmoe2", rope="halves", turned=8, qkv="fused", qk_norm="head", **with_keys(
        sorted_out(12, 3, sum_to_one=True, sigmoid=True, bias=True, scale=2.5, shared=48, groups=(4, 2)),
        {"expert_group_count": 4, "expert_group_used_count": 2, "expert_shared_feed_forward_length": 48})),
    "minicpm": model("minicpm", **{**GRANITE, "score_scale": None,
                                   "keys": {k: v for k, v in GRANITE["keys"].items() if k != "attention.scale"}}),
    "gpt-oss": model("gpt-oss", rope="halves", qkv_bias=True, out_bias=True, ffn_norm="post_attention_norm", act="clamped",
                     sinks=True, window=13, local=all_but(2), **{**yarn(4.0, 64), "keys": {
                         **yarn(4.0, 64)["keys"], "expert_feed_forward_length": FF}},
                     experts=dict(n=6, used=2, ff=FF, chosen=True, sum_to_one=False, biases=True)),
    # More heads than fit a tile of the kernel share one head of keys.
    "deepseek2-many": model("deepseek2", turned=8, heads=72, latent=dict(q_rank=48, kv_rank=32, plain=16, v=24), kv=1,
                            **sorted_out(6, 2, shared=96, scale=1.0, sigmoid=False)),
    "arcee": model("arcee", gate="none", act="relu2"),
    "ernie4_5": model("ernie4_5"),
    "orion": model("orion", rope="halves", norm="layer", norm_bias=True),
    "xverse": model("xverse"),
    "mamba": model("mamba", **state(128, 16, 4), tied=True),
    # Channels that no vector divides; llama.cpp has fixed numbers of states only.
    "mamba-odd": model("mamba", **state(72, 16, 3, taps=3), peer=False),
    "falcon-mamba": model("mamba", **state(128, 16, 4, norms=True)),
    "mamba2": model("mamba2", **state(128, 128, 2, groups=1), tied=True),
    "mamba2-groups": model("mamba2", **state(256, 128, 4, groups=2)),
    "mamba2-narrow": model("mamba2", **state(60, 24, 12, groups=3, taps=2), peer=False),
    # DeepSeek V2 Lite, V2 and V3, as files had it once and have it now.
    "deepseek2-lite": model("deepseek2", turned=8, latent=dict(kv_rank=32, plain=16, v=24),
                            kv=1, layers=27, **sorted_out(6, 2, shared=96, scale=1.0, sigmoid=False)),
    "deepseek2-old": model("deepseek2", turned=8, latent=dict(q_rank=48, kv_rank=32, plain=16, v=24, together=True),
                           kv=HEADS, **sorted_out(6, 2, shared=96, scale=1.0, sigmoid=False)),
    "deepseek2-yarn": model("deepseek2", turned=8, latent=dict(q_rank=48, kv_rank=32, plain=16, v=24), kv=1,
                            **with_keys(sorted_out(6, 2, sum_to_one=True, sigmoid=True, bias=True, scale=2.5, shared=96),
                                        {**yarn(4.0, 64)["keys"], "rope.scaling.yarn_log_multiplier": 0.1}),
                            scaling=dict(type="yarn", factor=4.0, original=64, size=1.0),
                            score_scale=(1 + 0.1 * np.log(4.0)) ** 2 / np.sqrt(24)),
    "deepseek2-groups": model("deepseek2", turned=8, latent=dict(q_rank=48, kv_rank=32, plain=16, v=24), kv=1,
                              **with_keys(sorted_out(12, 3, sum_to_one=True, sigmoid=True, bias=True, scale=2.5, shared=96,
                                                     groups=(4, 2)),
                                          {"expert_group_count": 4, "expert_group_used_count": 2})),
    "glm4": model("glm4", turned=8, qkv_bias=True, gate="fused", post_norm=True),
}


def layer_tensors(m, rng, i):
    """Names below blk.N. and arrays of one layer."""
    t, q, k = {}, m["heads"] * m["size"], m["kv"] * m["size"]

    def matrix(name, *shape):
        t[name + ".weight"] = rng.normal(0, 1 / np.sqrt(shape[-1]), shape)

    def bias(name, n):
        t[name + ".bias"] = rng.normal(0, 0.2, n)

    def norm(name, *shape, with_bias=m["norm_bias"]):
        if m["bare"]:
            return
        t[name + ".weight"] = rng.normal(1, 0.2, shape)
        if with_bias:
            t[name + ".bias"] = rng.normal(0, 0.2, shape)

    def linear(name, rows, columns, with_bias):
        matrix(name, rows, columns)
        if with_bias:
            bias(name, rows)

    if m["pre_norm"]:
        norm("attn_norm", EMBD)
    if m["state"]:
        state_tensors(t, m["state"], rng, matrix, bias)
        return t
    if m["parallel"] == "two":  # attention has a norm of its own, attn_norm is the feed-forward's
        norm("attn_norm_2", EMBD)
    if m["latent"]:
        c, h, turned = m["latent"], m["heads"], m["turned"]
        if c.get("q_rank"):
            matrix("attn_q_a", c["q_rank"], EMBD)
            norm("attn_q_a_norm", c["q_rank"])
            matrix("attn_q_b", h * (c["plain"] + turned), c["q_rank"])
        else:
            matrix("attn_q", h * (c["plain"] + turned), EMBD)
        matrix("attn_kv_a_mqa", c["kv_rank"] + turned, EMBD)
        norm("attn_kv_a_norm", c["kv_rank"])
        if c.get("together"):
            matrix("attn_kv_b", h * (c["plain"] + c["v"]), c["kv_rank"])
        else:
            matrix("attn_k_b", h, c["kv_rank"], c["plain"])
            matrix("attn_v_b", h, c["v"], c["kv_rank"])
        q = h * c["v"]
    elif m["qkv"] == "fused":
        linear("attn_qkv", q + 2 * k, EMBD, m["qkv_bias"])
    else:
        for name, rows in (("attn_q", q), ("attn_k", k), ("attn_v", k)):
            linear(name, rows, EMBD, m["qkv_bias"])
    for name, heads in (("attn_q_norm", m["heads"]), ("attn_k_norm", m["kv"])):
        if m["qk_norm"]:
            norm(name, *{"head": (m["size"],), "wide": (heads * m["size"],), "each": (heads, m["size"])}[m["qk_norm"]],
                 with_bias=False)
    linear("attn_output", EMBD, q, m["out_bias"])
    if m["sinks"]:
        t["attn_sinks.weight"] = rng.normal(0, 1, m["heads"])
    if m["post_norm"]:
        norm("post_attention_norm", EMBD)
        norm("post_ffw_norm", EMBD)
    if m["pre_norm"] and m["parallel"] in (None, "own"):
        norm(m["ffn_norm"], EMBD)
    if m["experts"] and i >= m["experts"].get("lead", 0):
        e = m["experts"]
        matrix("ffn_gate_inp", e["n"], EMBD)
        t["ffn_gate_inp.weight"] *= 4
        if e.get("biases"):
            bias("ffn_gate_inp", e["n"])
        for name, rows, columns in (("gate", e["ff"], EMBD), ("up", e["ff"], EMBD), ("down", EMBD, e["ff"])):
            matrix(f"ffn_{name}_exps", e["n"], rows, columns)
            if e.get("biases"):
                t[f"ffn_{name}_exps.bias"] = rng.normal(0, 0.2, (e["n"], rows))
            if e.get("shared"):
                s = e["shared"]
                matrix(f"ffn_{name}_shexp", *((EMBD, s) if name == "down" else (s, EMBD)))
        if e.get("shared_gate"):
            matrix("ffn_gate_inp_shexp", EMBD)
        if e.get("bias"):
            t["exp_probs_b.bias"] = rng.normal(0, 0.1, e["n"])
    else:
        if m["gate"] == "split":
            linear("ffn_gate", FF, EMBD, m["ffn_bias"])
        linear("ffn_up", FF * (2 if m["gate"] == "fused" else 1), EMBD, m["ffn_bias"])
        linear("ffn_down", EMBD, FF, m["ffn_bias"])
    return t


def state_tensors(t, s, rng, matrix, bias):
    inner, states, rank, groups = s["inner"], s["states"], s["rank"], s.get("groups")
    conv = inner + (2 * groups * states if groups else 0)
    matrix("ssm_in", inner + conv + rank if groups else 2 * inner, EMBD)
    t["ssm_conv1d.weight"] = rng.normal(0, 0.5, (conv, s["taps"]))
    bias("ssm_conv1d", conv)
    if groups:
        t["ssm_dt.bias"] = rng.normal(-1, 1, rank)
        t["ssm_a"] = -np.exp(rng.normal(0, 1, (rank, 1)))
        t["ssm_d"] = rng.normal(1, 0.2, (rank, 1))
        t["ssm_norm.weight"] = rng.normal(1, 0.2, (groups, inner // groups))
    else:
        matrix("ssm_x", rank + 2 * states, inner)
        matrix("ssm_dt", inner, rank)
        bias("ssm_dt", inner)
        t["ssm_a"] = -np.exp(rng.normal(0, 1, (inner, states)))
        t["ssm_d"] = rng.normal(1, 0.2, inner)
    matrix("ssm_out", EMBD, inner)


def latent_keys(c, turned):
    keys = {"kv_lora_rank": c["kv_rank"]}
    if c.get("q_rank"):
        keys["q_lora_rank"] = c["q_rank"]
    if c.get("together"):
        return {**keys, "key_length": c["plain"] + turned, "value_length": c["v"]}
    return {**keys, "key_length": c["kv_rank"] + turned, "value_length": c["kv_rank"],
            "key_length_mla": c["plain"] + turned, "value_length_mla": c["v"]}


def tensors(m, seed=7):
    rng = np.random.default_rng(seed)
    t = {"token_embd.weight": rng.normal(0, 1, (VOCAB, EMBD)) / m["embed_scale"] * (1 if m["embed_scale"] == 1 else 2)}
    if m["positions"]:
        t["position_embd.weight"] = rng.normal(0, 0.5, (CONTEXT, EMBD))
    for i in range(m.get("layers", LAYERS)):
        t.update({f"blk.{i}.{name}": x for name, x in layer_tensors(m, rng, i).items()})
    if not m["bare"]:
        t["output_norm.weight"] = rng.normal(1, 0.2, EMBD)
    if m["norm_bias"]:
        t["output_norm.bias"] = rng.normal(0, 0.2, EMBD)
    if not m["tied"]:
        t["output.weight"] = rng.normal(0, 0.2, (VOCAB, EMBD))
    if m["output_bias"]:
        t["output.bias"] = rng.normal(0, 0.2, VOCAB)
    if m["freqs"]:
        t["rope_freqs.weight"] = np.exp(rng.uniform(0, 1, m["turned"] // 2))
    if m["factors"]:
        t["rope_factors_short.weight"] = np.exp(rng.uniform(0, 0.5, m["turned"] // 2))
        t["rope_factors_long.weight"] = np.exp(rng.uniform(1, 2, m["turned"] // 2))
    half = lambda name: m.get("half") and "norm" not in name and name.endswith(".weight")
    return {name: x.astype(np.float16 if x.ndim > 1 and half(name) else np.float32) for name, x in t.items()}


def write(path, m, t, tokenizer=None):
    """tokenizer: what writes the keys of one into the gguf writer; none if there is none."""
    import gguf

    w = gguf.GGUFWriter(path, m["arch"])
    w.add_context_length(CONTEXT)
    w.add_embedding_length(EMBD)
    w.add_block_count(m.get("layers", LAYERS))
    w.add_feed_forward_length(0 if m["state"] else FF)
    w.add_head_count(m["heads"])
    w.add_head_count_kv(m["kv"])
    if m["latent"]:
        for key, value in latent_keys(m["latent"], m["turned"]).items():
            w.add_uint32(f"{m['arch']}.attention.{key}", value)
    elif m["state"]:
        pass
    elif m["size"] != EMBD // m["heads"] or m["arch"].startswith("gemma"):
        w.add_key_length(m["size"])
        w.add_value_length(m["size"])
    w.add_layer_norm_rms_eps(m["eps"]) if m["norm"] == "rms" else w.add_layer_norm_eps(m["eps"])
    if m["rope"]:
        w.add_rope_dimension_count(m["turned"])
        w.add_rope_freq_base(m["base"])
    if m.get("sections"):
        w.add_rope_dimension_sections(m["sections"])
    if m["window"]:
        w.add_sliding_window(m["window"])
    if m["score_cap"]:
        w.add_attn_logit_softcapping(m["score_cap"])
        w.add_final_logit_softcapping(m["logit_cap"])
    if m["experts"]:
        w.add_expert_count(m["experts"]["n"])
        w.add_expert_used_count(m["experts"]["used"])
    for key, value in m["keys"].items():
        add = {bool: w.add_bool, int: w.add_uint32, float: w.add_float32, str: w.add_string, list: w.add_array}[type(value)]
        add(f"{m['arch']}.{key}", value)
    w.add_vocab_size(VOCAB)
    tokenizer(w) if tokenizer else w.add_tokenizer_model("no_vocab")
    for name, x in t.items():
        w.add_tensor(name, x)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
