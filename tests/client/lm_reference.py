"""Logits of a model of lm_architectures.py in NumPy, in double precision, one whole sequence at a time."""
import numpy as np
from math import erf

ERF = np.vectorize(erf)
ACTS = {
    "silu": lambda x: x / (1 + np.exp(-x)),
    "gelu": lambda x: 0.5 * x * (1 + ERF(x / np.sqrt(2))),
    "tanh": lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "relu2": lambda x: np.maximum(x, 0) ** 2,
}


class Reference:
    def __init__(self, m, t, context=None, half_cache=True):
        self.m, self.t, self.half_cache = m, {k: v.astype(np.float64) for k, v in t.items()}, half_cache
        self.long = bool(m["original"]) and (context or 256) > m["original"]

    def get(self, name):
        return self.t.get(self.at + name)

    def linear(self, x, name):
        y, b = x @ self.get(name + ".weight").T, self.get(name + ".bias")
        return y if b is None else y + b

    def norm(self, x, name):
        if self.m["norm"] == "layer":
            x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + self.m["eps"])
        if self.m["bare"]:
            return x
        b = self.get(name + ".bias")
        return x * self.get(name + ".weight") + (0 if b is None else b)

    def angles(self, n, local):
        """Cosines and sines [n][turned / 2] of positions 0 .. n - 1."""
        m, d = self.m, self.m["turned"]
        base = m["local_base"] if local and m["local_base"] else m["base"]
        turn = base ** (-np.arange(0, d, 2) / d)
        size, s = 1.0, m["scaling"]
        if m["freqs"]:
            turn = turn / self.t["rope_freqs.weight"]
        if m["factors"]:
            turn = turn / self.t["rope_factors_long.weight" if self.long else "rope_factors_short.weight"]
            size = m["factors"]
        if s and not (local and (m["local_base"] or m["local_plain"])):
            slow = turn / s["factor"]
            if s["type"] == "linear":
                turn = slow
            else:  # YaRN (arXiv 2309.00071): fast turns stay, slow ones are stretched, a ramp between
                def where(turns):
                    return d * np.log(s["original"] / (turns * 2 * np.pi)) / (2 * np.log(m["base"]))
                low, high = max(0, np.floor(where(32))), min(d - 1, np.ceil(where(1)))
                keep = 1 - np.clip((np.arange(d // 2) - low) / max(0.001, high - low), 0, 1)
                turn = slow * (1 - keep) + turn * keep
                size = s.get("size", 1 + 0.1 * np.log(s["factor"]))
        a = np.arange(n)[:, None] * turn
        return np.cos(a) * size, np.sin(a) * size

    def turned(self, x, local):
        d, (c, s) = self.m["turned"], self.angles(len(x), local)
        c, s, y = c[:, None], s[:, None], x.copy()
        one, two = (slice(0, d // 2), slice(d // 2, d)) if self.m["rope"] == "halves" else (slice(0, d, 2), slice(1, d, 2))
        y[..., one], y[..., two] = x[..., one] * c - x[..., two] * s, x[..., one] * s + x[..., two] * c
        return y

    def normed_heads(self, x, name, heads):
        apart, kind = (len(x), heads, -1), self.m["qk_norm"]
        if kind == "wide":
            return self.norm(x, name).reshape(apart)
        return self.norm(x.reshape(apart), name) if kind else x.reshape(apart)

    def placed(self, x, name, heads, local, i):
        turn = (lambda y: self.turned(y, local)) if self.m["rope"] and not self.m["unturned"](i) else (lambda y: y)
        if self.m["qk_late"]:
            return self.normed_heads(turn(x.reshape(len(x), heads, -1)), name, heads)
        return turn(self.normed_heads(x, name, heads))

    def attention(self, x, i):
        m, n = self.m, len(x)
        if m["latent"]:
            return self.latent(x, i)
        h, kv, size = m["heads"], m["kv"], m["size"]
        if m["qkv"] == "fused":
            q, k, v = np.split(self.linear(x, "attn_qkv"), [h * size, (h + kv) * size], axis=-1)
        else:
            q, k, v = (self.linear(x, f"attn_{c}") for c in "qkv")
        if m["clamp"]:
            q, k, v = (np.clip(c, -m["clamp"], m["clamp"]) for c in (q, k, v))
        local = m["local"](i)
        q, k = self.placed(q, "attn_q_norm", h, local, i), self.placed(k, "attn_k_norm", kv, local, i)
        v = v.reshape(n, kv, size)
        k, v = self.kept(k), self.kept(v)
        k, v = (np.repeat(c, h // kv, axis=1) for c in (k, v))
        return self.look_back(q, k, v, m["window"] if local else 0)

    def kept(self, x):
        return x.astype(np.float16).astype(np.float64) if self.half_cache else x

    def look_back(self, q, k, v, window):
        m, n = self.m, len(q)
        s = np.einsum("qhd,khd->hqk", q, k) * (m["score_scale"] or 1 / np.sqrt(q.shape[-1]))
        if m["score_cap"]:
            s = m["score_cap"] * np.tanh(s / m["score_cap"])
        back = np.arange(n)[:, None] - np.arange(n)[None]
        s = np.where((back >= 0) & ((back < window) if window else True), s, -np.inf)
        sink = self.get("attn_sinks.weight")
        if sink is not None:  # a score more in every row, whose part nobody gets
            s = np.concatenate([s, np.broadcast_to(sink[:, None, None], (len(sink), n, 1))], axis=-1)
        p = np.exp(s - s.max(-1, keepdims=True))
        p = p / p.sum(-1, keepdims=True)
        y = np.einsum("hqk,khd->qhd", p[..., :n], v)
        return self.linear(y.reshape(n, -1), "attn_output")

    def latent(self, x, i):
        """DeepSeek V2 (arXiv 2405.04434), with keys and values of every head written out."""
        c, h, turned, n = self.m["latent"], self.m["heads"], self.m["turned"], len(x)
        q = (self.linear(self.norm(self.linear(x, "attn_q_a"), "attn_q_a_norm"), "attn_q_b") if c.get("q_rank")
             else self.linear(x, "attn_q")).reshape(n, h, -1)
        kv = self.linear(x, "attn_kv_a_mqa")
        short, k_turned = self.norm(kv[:, :c["kv_rank"]], "attn_kv_a_norm"), self.turned(kv[:, None, c["kv_rank"]:], False)
        q = np.concatenate([q[..., :c["plain"]], self.turned(q[..., c["plain"]:], False)], axis=-1)
        if c.get("together"):
            both = self.linear(short, "attn_kv_b").reshape(n, h, -1)
            k, v = self.kept(both[..., :c["plain"]]), self.kept(both[..., c["plain"]:])
        else:
            short = self.kept(short)
            k = np.einsum("nc,hcp->nhp", short, self.get("attn_k_b.weight"))
            v = np.einsum("nc,hvc->nhv", short, self.get("attn_v_b.weight"))
        k = np.concatenate([k, np.repeat(self.kept(k_turned), h, axis=1)], axis=-1)
        return self.look_back(q, k, v, 0)

    def mixer(self, x):
        """Mamba (arXiv 2312.00752) and with heads Mamba 2 (arXiv 2405.21060), one token after the other."""
        s, n = self.m["state"], len(x)
        inner, states, rank, groups, taps = s["inner"], s["states"], s["rank"], s.get("groups"), s["taps"]
        silu = ACTS["silu"]
        y = self.linear(x, "ssm_in")
        z, u = (y[:, :inner], y[:, inner:len(y[0]) - rank]) if groups else (y[:, inner:], y[:, :inner])
        before = np.concatenate([np.zeros((taps - 1, u.shape[1])), u])
        w = self.get("ssm_conv1d.weight")
        u = silu(sum(before[k:k + n] * w[:, k] for k in range(taps)) + self.get("ssm_conv1d.bias"))
        a, d = self.get("ssm_a"), self.get("ssm_d").reshape(-1)
        if groups:
            dt = y[:, -rank:] + self.get("ssm_dt.bias")
            u, b, c = np.split(u, [inner, inner + groups * states], axis=1)
            b, c = (np.repeat(v.reshape(n, groups, states), inner // groups, axis=1) for v in (b, c))
            dt, a, d = (np.repeat(v, inner // rank, axis=-1) for v in (dt, a.reshape(-1), d))
            a = a[:, None]
        else:
            dt, b, c = np.split(self.linear(u, "ssm_x"), [rank, rank + states], axis=1)
            if s.get("norms"):
                dt, b, c = (v / np.sqrt((v * v).mean(-1, keepdims=True) + self.m["eps"]) for v in (dt, b, c))
            dt = self.linear(dt, "ssm_dt")
            b, c = b[:, None], c[:, None]
        dt, h, y = np.log1p(np.exp(dt)), np.zeros((inner, states)), np.zeros((n, inner))
        for t in range(n):
            h = np.exp(dt[t][:, None] * a) * h + (dt[t] * u[t])[:, None] * b[t]
            y[t] = (h * c[t]).sum(-1) + d * u[t]
        y = y * silu(z)
        if groups:
            y = y.reshape(n, groups, -1)
            y = y / np.sqrt((y * y).mean(-1, keepdims=True) + self.m["eps"]) * self.get("ssm_norm.weight")
        return self.linear(y.reshape(n, -1), "ssm_out")

    def gated(self, x, end=""):
        return self.linear(self.gate(self.linear(x, "ffn_gate" + end), self.linear(x, "ffn_up" + end)), "ffn_down" + end)

    def gate(self, g, u):
        if self.m["act"] == "clamped":  # GPT-OSS
            g, u = np.minimum(g, 7), np.clip(u, -7, 7)
            return g / (1 + np.exp(-1.702 * g)) * (u + 1)
        return ACTS[self.m["act"]](g) * u

    def experts(self, x):
        e, y = self.m["experts"], np.zeros_like(x)
        s = self.linear(x, "ffn_gate_inp")
        p = 1 / (1 + np.exp(-s)) if e.get("sigmoid") else np.exp(s) / np.exp(s).sum(-1, keepdims=True)
        rank = p + (self.get("exp_probs_b.bias") if e.get("bias") else 0)
        if e.get("groups"):  # the best two of each group, and of those the best groups
            n, used = e["groups"]
            each = np.sort(rank.reshape(len(x), n, -1), axis=-1)[..., -2:].sum(-1)
            worst = np.sort(each, axis=-1)[:, -used][:, None]
            rank = np.where(np.repeat(each >= worst, e["n"] // n, axis=1), rank, -np.inf)
        gate, up, down = (self.get(f"ffn_{n}_exps.weight") for n in ("gate", "up", "down"))
        biases = [self.get(f"ffn_{n}_exps.bias") if e.get("biases") else np.zeros(e["n"]) for n in ("gate", "up", "down")]
        for row in range(len(x)):
            chosen = np.argsort(-rank[row], kind="stable")[:e["used"]]
            if e.get("chosen"):  # the softmax is over those
                p[row, chosen] = np.exp(s[row, chosen]) / np.exp(s[row, chosen]).sum()
            by = p[row, chosen] / (p[row, chosen].sum() if e["sum_to_one"] else 1) * e.get("scale", 1)
            for c, w in zip(chosen, by):
                g, u = gate[c] @ x[row] + biases[0][c], up[c] @ x[row] + biases[1][c]
                y[row] += w * (down[c] @ self.gate(g, u) + biases[2][c])
        if e.get("shared"):
            more = self.gated(x, "_shexp")
            if e.get("shared_gate"):
                more = more / (1 + np.exp(-(x @ self.get("ffn_gate_inp_shexp.weight"))))[:, None]
            y += more
        return y

    def feed_forward(self, x):
        if self.m["experts"] and self.get("ffn_gate_inp.weight") is not None:
            return self.experts(x)
        if self.m["gate"] == "split":
            return self.gated(x)
        act, y = ACTS[self.m["act"]], self.linear(x, "ffn_up")
        if self.m["gate"] == "fused":
            half = y.shape[-1] // 2
            return self.linear(act(y[:, :half]) * y[:, half:], "ffn_down")
        return self.linear(act(y), "ffn_down")

    def layer(self, x, i):
        m, self.at = self.m, f"blk.{i}."
        r = m["residual_scale"]
        inner = self.norm(x, "attn_norm") if m["pre_norm"] else x
        if m["state"]:
            return x + self.mixer(inner)
        a = self.attention(self.norm(x, "attn_norm_2") if m["parallel"] == "two" else inner, i)
        a = self.norm(a, "post_attention_norm") if m["post_norm"] else a
        if m["parallel"]:
            f = self.feed_forward(self.norm(x, "ffn_norm") if m["parallel"] == "own" else inner)
            return x + r * a + r * f
        x = x + r * a
        f = self.feed_forward(self.norm(x, m["ffn_norm"]) if m["pre_norm"] else x)
        return x + r * (self.norm(f, "post_ffw_norm") if m["post_norm"] else f)

    def logits(self, tokens):
        m = self.m
        x = self.t["token_embd.weight"][tokens] * m["embed_scale"]
        if m["positions"]:
            x = x + self.t["position_embd.weight"][:len(tokens)]
        for i in range(m.get("layers", 4)):
            x = self.layer(x, i)
        self.at = ""
        y = self.linear(self.norm(x, "output_norm"), "token_embd" if m["tied"] else "output") * m["logit_scale"]
        return m["logit_cap"] * np.tanh(y / m["logit_cap"]) if m["logit_cap"] else y
