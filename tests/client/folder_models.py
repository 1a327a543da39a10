"""Small random models of every class that Hugging Face folders are read for, saved by transformers with what it computes.

usage: folder_models.py FOLDER      for each model FOLDER/NAME/ and FOLDER/NAME/reference.json:
       [{"text", "ids", "answer", "logprobs"}], and for some FOLDER/NAME.gguf of the same weights; and FOLDER/peft/NAME/, an adapter

Runs under a Python that has torch, transformers, peft, tokenizers and gguf; test_folders.py compares.
"""
import json
import os
import sys

import gguf
import numpy as np
import peft
import torch
import transformers as tf
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

import folder_encoders

OUT = sys.argv[1]
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROMPTS = ["Hello world, this is a test", "The rooms of the house: one 123", "xyz", "a b c d e f g h i j k l m n o p q r s t u v w"]
TEMPLATE = "{% for m in messages %}{{ m.content }}{% endfor %}"
WORDS = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
VOCABULARY = 608  # more rows than there are tokens, as published models have
COMMON = dict(vocab_size=VOCABULARY, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
              num_key_value_heads=2, max_position_embeddings=256, bos_token_id=0, eos_token_id=2, pad_token_id=0)
LLAMA3 = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64)
SMALL_SHARDS = {"qwen2", "gemma3"}
SEEDS = {"qwen3moe": 100}  # with which no router is so undecided that rounding picks another expert
DTYPES = {"llama-bf16": torch.bfloat16, "mamba2-bf16": torch.bfloat16, "mixtral-bf16": torch.bfloat16, "llama-f16": torch.float16}


def rows():
    """name: class and configuration."""
    def llama(**more):
        return tf.LlamaForCausalLM, tf.LlamaConfig(**{**COMMON, **more})

    return {
        "llama": llama(),
        "llama-bf16": llama(),
        "llama-f16": llama(),
        "llama-3": llama(rope_parameters=LLAMA3, attention_bias=True, head_dim=32, tie_word_embeddings=True),
        "llama-linear": llama(rope_parameters=dict(rope_type="linear", factor=4.0, rope_theta=5000.0), mlp_bias=True),
        "mistral": (tf.MistralForCausalLM, tf.MistralConfig(**COMMON, sliding_window=5)),
        "qwen2": (tf.Qwen2ForCausalLM, tf.Qwen2Config(**COMMON)),
        "qwen3": (tf.Qwen3ForCausalLM, tf.Qwen3Config(**COMMON, head_dim=32)),
        "gemma": (tf.GemmaForCausalLM, tf.GemmaConfig(**COMMON, head_dim=32)),
        "gemma2": (tf.Gemma2ForCausalLM, tf.Gemma2Config(**COMMON, head_dim=32, sliding_window=5, query_pre_attn_scalar=20)),
        "gemma3": (tf.Gemma3ForCausalLM, tf.Gemma3TextConfig(**{**COMMON, "num_hidden_layers": 7}, head_dim=32, sliding_window=5,
                                                             query_pre_attn_scalar=20)),
        **more_rows(),
    }


def more_rows():
    def row(cls, config, **more):
        return getattr(tf, cls), getattr(tf, config)(**{**COMMON, **more})

    moe = dict(num_experts=5, num_experts_per_tok=2, moe_intermediate_size=48)
    parts = dict(partial_rotary_factor=0.25, rope_theta=10000.0, rope_type="default")
    yarn = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=64)
    longer = dict(rope_type="longrope", rope_theta=10000.0, factor=2.0, short_factor=[1.0 + 0.05 * i for i in range(8)],
                  long_factor=[1.0 + 0.7 * i for i in range(8)])
    ends = dict(bos_token_id=0, eos_token_id=2, vocab_size=VOCABULARY)
    plain = dict(ends, hidden_size=64, num_hidden_layers=3, num_attention_heads=4)
    state = dict(ends, hidden_size=64, num_hidden_layers=3)
    heads = dict(state, num_heads=8, head_dim=16, state_size=32, n_groups=1, chunk_size=8)
    return {
        "llama-yarn": row("LlamaForCausalLM", "LlamaConfig", rope_parameters=yarn),
        "qwen3-yarn": row("Qwen3ForCausalLM", "Qwen3Config", head_dim=32, rope_parameters=dict(
            yarn, beta_fast=16.0, beta_slow=2.0, attention_factor=1.1)),
        "qwen2-yarn": row("Qwen2ForCausalLM", "Qwen2Config", rope_parameters=dict(yarn, mscale=1.0, mscale_all_dim=0.5)),
        "qwen3moe": row("Qwen3MoeForCausalLM", "Qwen3MoeConfig", **moe, head_dim=32, norm_topk_prob=True),
        "qwen3moe-dense": row("Qwen3MoeForCausalLM", "Qwen3MoeConfig", **moe, head_dim=32, mlp_only_layers=[1]),
        "qwen2moe": row("Qwen2MoeForCausalLM", "Qwen2MoeConfig", **moe, shared_expert_intermediate_size=80),
        "mixtral": row("MixtralForCausalLM", "MixtralConfig", num_local_experts=5, num_experts_per_tok=2),
        "mixtral-bf16": row("MixtralForCausalLM", "MixtralConfig", num_local_experts=3, num_experts_per_tok=2),
        "phi3": row("Phi3ForCausalLM", "Phi3Config", sliding_window=5),
        "phi3-part": row("Phi3ForCausalLM", "Phi3Config", rope_parameters=dict(parts, partial_rotary_factor=0.75)),
        "phi3-longrope": row("Phi3ForCausalLM", "Phi3Config", original_max_position_embeddings=2,
                             rope_parameters=longer),
        "phi3-shortrope": row("Phi3ForCausalLM", "Phi3Config", original_max_position_embeddings=256, rope_parameters=longer),
        "granite": row("GraniteForCausalLM", "GraniteConfig", embedding_multiplier=3.0, logits_scaling=2.0,
                       residual_multiplier=0.7, attention_multiplier=0.3),
        "olmo2": row("Olmo2ForCausalLM", "Olmo2Config"),
        "smollm3": row("SmolLM3ForCausalLM", "SmolLM3Config", num_hidden_layers=5),
        "stablelm": row("StableLmForCausalLM", "StableLmConfig", use_qkv_bias=True, rope_parameters=parts),
        "stablelm-parallel": row("StableLmForCausalLM", "StableLmConfig", use_parallel_residual=True, rope_parameters=parts),
        "starcoder2": row("Starcoder2ForCausalLM", "Starcoder2Config", sliding_window=5),
        "cohere": row("CohereForCausalLM", "CohereConfig", logit_scale=0.25),
        "cohere-qk": row("CohereForCausalLM", "CohereConfig", use_qk_norm=True),
        "glm4": row("Glm4ForCausalLM", "Glm4Config", head_dim=32, rope_parameters=dict(parts, partial_rotary_factor=0.5)),
        "gpt2": (tf.GPT2LMHeadModel, tf.GPT2Config(**ends, n_embd=64, n_layer=3, n_head=4, n_positions=256)),
        "gptneox": (tf.GPTNeoXForCausalLM, tf.GPTNeoXConfig(**plain, intermediate_size=96, rope_parameters=parts)),
        "gptneox-after": (tf.GPTNeoXForCausalLM, tf.GPTNeoXConfig(**plain, intermediate_size=96, use_parallel_residual=False)),
        "mamba": (tf.MambaForCausalLM, tf.MambaConfig(**state)),
        "mamba-bias": (tf.MambaForCausalLM, tf.MambaConfig(**state, use_bias=True, use_conv_bias=False, time_step_rank=7,
                                                           expand=3, conv_kernel=3, tie_word_embeddings=False)),
        "mamba2": (tf.Mamba2ForCausalLM, tf.Mamba2Config(**heads)),
        "mamba2-bias": (tf.Mamba2ForCausalLM, tf.Mamba2Config(**heads, use_bias=True, use_conv_bias=False, tie_word_embeddings=True)),
        "mamba2-bf16": (tf.Mamba2ForCausalLM, tf.Mamba2Config(**heads)),
        "falcon": (tf.FalconForCausalLM, tf.FalconConfig(**plain)),
        "falcon-groups": (tf.FalconForCausalLM, tf.FalconConfig(**plain, new_decoder_architecture=True, num_kv_heads=2,
                                                                ffn_hidden_size=96)),
        "falcon-heads": (tf.FalconForCausalLM, tf.FalconConfig(**plain, multi_query=False, bias=True)),
    }


def tokenizer():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(WORDS), "isolated"),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    with open(os.path.join(ROOT, "docs", "architecture.md"), encoding="utf-8") as f:
        t.train_from_iterator(f.readlines(), trainers.BpeTrainer(vocab_size=600, special_tokens=SPECIAL, show_progress=False,
                                                                 initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    fast = tf.PreTrainedTokenizerFast(tokenizer_object=t, bos_token=SPECIAL[0], eos_token=SPECIAL[2])
    fast.chat_template = TEMPLATE
    return fast


def fill(model, seed):
    """Weights of a size that makes answers vary, norms that are not all ones."""
    torch.manual_seed(seed)
    with torch.no_grad():
        ends = 0.12 if model.config.tie_word_embeddings else 0.3  # so that what layers add is heard
        for name, p in model.named_parameters():
            scale = 0.1 if p.dim() == 1 else ends if any(w in name for w in ("embed", "lm_head", "wte")) else 0.15
            p.copy_(torch.randn_like(p) * scale + (p if p.dim() == 1 else 0))


def reference(model, fast):
    out = []
    for text in PROMPTS:
        ids = fast(text, add_special_tokens=False).input_ids
        answer, logprobs = [], []
        for _ in range(12):
            with torch.no_grad():
                p = torch.log_softmax(model(torch.tensor([ids + answer])).logits[0, -1].double(), -1)
            best = p.topk(2)
            answer.append(int(best.indices[0]))
            logprobs.append([float(v) for v in best.values])
        out.append({"text": text, "ids": ids, "answer": answer, "logprobs": logprobs})
    return out


NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
         "post_attention_layernorm": "ffn_norm", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"}


def neighbours(w, heads):
    """Halves of each head to neighbours: how GGUF stores llama's queries and keys."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def write_gguf(path, name, model, fast):
    c, arch = model.config, name.split("-")[0]
    w = gguf.GGUFWriter(path, arch)
    w.add_context_length(c.max_position_embeddings)
    w.add_embedding_length(c.hidden_size)
    w.add_block_count(c.num_hidden_layers)
    w.add_feed_forward_length(c.intermediate_size)
    w.add_head_count(c.num_attention_heads)
    w.add_head_count_kv(c.num_key_value_heads)
    w.add_layer_norm_rms_eps(c.rms_norm_eps)
    w.add_rope_freq_base(c.rope_parameters["rope_theta"])
    size = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    w.add_key_length(size)
    w.add_value_length(size)
    names = sorted(fast.get_vocab(), key=fast.get_vocab().get)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("smaug-bpe")
    w.add_token_list(names)
    w.add_token_types([3 if n in SPECIAL else 1 for n in names])
    w.add_token_merges([" ".join(m) if isinstance(m, list) else m
                        for m in json.loads(fast.backend_tokenizer.to_str())["model"]["merges"]])
    w.add_bos_token_id(0)
    w.add_eos_token_id(2)
    w.add_chat_template(TEMPLATE)
    for n, p in model.state_dict().items():
        a = p.float().numpy().copy()
        if arch.startswith("gemma") and "norm" in n:
            a += 1
        heads = c.num_attention_heads if ".q_proj" in n else c.num_key_value_heads if ".k_proj" in n else 0
        if arch == "llama" and heads:
            a = neighbours(a, heads)
        to = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
              "lm_head.weight": "output.weight"}.get(n)
        if to is None:
            _, _, layer, rest = n.split(".", 3)
            stem, suffix = rest.rsplit(".", 1)
            to = f"blk.{layer}.{NAMES[stem]}.{suffix}"
        elif to == "output.weight" and c.tie_word_embeddings:
            continue
        w.add_tensor(to, np.ascontiguousarray(a))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


# Classes whose linear layers adapters can change, all of them.
ADAPTED = ("llama", "llama-3", "mistral", "qwen2", "qwen3", "gemma", "gemma3", "phi3", "gpt2", "cohere", "starcoder2", "stablelm", "olmo2", "glm4")


def adapt(model, folder, fast, seed):
    """An adapter as PEFT saves it, and what the model says with it."""
    last = "mlp.c_proj" if hasattr(model.config, "n_embd") else "down_proj"
    model = peft.get_peft_model(model, peft.LoraConfig(
        task_type="CAUSAL_LM", r=4, lora_alpha=6, target_modules="all-linear", use_rslora=seed % 2 == 1, rank_pattern={"q_proj": 2},
        alpha_pattern={"1.self_attn.q_proj": 9, last: 3})).eval()
    torch.manual_seed(1000 + seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_" in name:
                p.copy_(torch.randn_like(p) * 0.12)
    model.save_pretrained(folder)
    with open(os.path.join(folder, "reference.json"), "w", encoding="utf-8") as f:
        json.dump(reference(model, fast), f)


def main():
    tf.logging.set_verbosity_error()
    fast = tokenizer()
    for seed, (name, (cls, config)) in enumerate(rows().items()):
        model = cls(config).eval()
        fill(model, SEEDS.get(name, seed))
        folder = os.path.join(OUT, name)
        model = model.to(DTYPES.get(name, torch.float32))
        model.save_pretrained(folder, max_shard_size="100KB" if name in SMALL_SHARDS else "5GB")
        fast.save_pretrained(folder)
        model = model.float()
        with open(os.path.join(folder, "reference.json"), "w", encoding="utf-8") as f:
            json.dump(reference(model, fast), f)
        if name in ("llama", "qwen2", "qwen3", "gemma"):
            write_gguf(os.path.join(OUT, name + ".gguf"), name, model, fast)
        if name in ADAPTED:
            adapt(model, os.path.join(OUT, "peft", name), fast, seed)
    folder_encoders.write_all(os.path.join(OUT, "encoders"), ROOT)


main()
