"""A language model that says one thing, as a GGUF file: each piece of the script is a token of its own (no two alike), and the
most likely token after a piece is the next one. Attention and feed-forward add nothing, so it is the same whatever is asked, as
long as the prompt ends with a line break. A piece that is a pair is a control token."""
import gguf
import numpy as np

CHAT = ("{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
        "{% for c in m.tool_calls or [] %}<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
EMBD, CONTEXT = 64, 2048


def byte_letters():
    """How byte-level vocabularies write bytes."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in plain]
    return {b: chr(b) if b in plain else chr(256 + rest.index(b)) for b in range(256)}


def write(path, script, note):
    """note: what the template says of the family, in a comment."""
    letters = byte_letters()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    names = special + [letters[b] for b in range(256)]
    types = [3] * 3 + [1] * 256
    for piece in script:
        control = isinstance(piece, tuple)
        names.append(piece[0] if control else "".join(letters[b] for b in piece.encode()))
        types.append(3 if control else 1)
    assert len(set(names)) == len(names), "two pieces are alike"
    rng = np.random.default_rng(3)
    words = rng.normal(size=(len(names), EMBD)).astype(np.float32)
    following = np.zeros_like(words)
    order = [3 + ord("\n"), *range(259, len(names)), 2]
    for before, after in zip(order, order[1:]):
        following[after] = 4 * words[before]

    w = gguf.GGUFWriter(path, "llama")
    w.add_name("scripted")
    w.add_context_length(CONTEXT)
    w.add_embedding_length(EMBD)
    w.add_block_count(1)
    w.add_feed_forward_length(EMBD)
    w.add_head_count(4)
    w.add_head_count_kv(2)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(names)
    w.add_token_types(types)
    w.add_token_merges(["h e"])
    w.add_bos_token_id(0)
    w.add_eos_token_id(2)
    w.add_chat_template("{# " + note + " #}" + CHAT)
    w.add_tensor("token_embd.weight", words)
    w.add_tensor("output.weight", following)
    w.add_tensor("output_norm.weight", np.ones(EMBD, np.float32))
    for name, rows in (("attn_q", EMBD), ("attn_k", EMBD // 2), ("attn_v", EMBD // 2), ("attn_output", EMBD), ("ffn_gate", EMBD),
                       ("ffn_up", EMBD), ("ffn_down", EMBD)):
        w.add_tensor(f"blk.0.{name}.weight", np.zeros((rows, EMBD), np.float32))
    for name in ("attn_norm", "ffn_norm"):
        w.add_tensor(f"blk.0.{name}.weight", np.ones(EMBD, np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
