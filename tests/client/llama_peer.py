"""llama.cpp as a library: the logits of every token of a sequence. From llama-cpp-python or xllamacpp, whichever is
installed; both carry the same functions."""
import ctypes
import glob
import importlib.util
import os
import numpy as np


class Options(ctypes.Structure):
    """Options go by value, and their fields are of one version: room for any, and fields found by what they hold."""
    _fields_ = [("word", ctypes.c_int32 * 128)]


class Batch(ctypes.Structure):
    _fields_ = [("n_tokens", ctypes.c_int32), ("token", ctypes.POINTER(ctypes.c_int32)), ("embd", ctypes.c_void_p),
                ("pos", ctypes.POINTER(ctypes.c_int32)), ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
                ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))), ("logits", ctypes.POINTER(ctypes.c_int8))]


def library():
    """Its functions, or None."""
    for package, names in (("llama_cpp", "lib/libllama.so*"), ("xllamacpp", "xllamacpp*.so")):
        spec = importlib.util.find_spec(package)
        found = spec and glob.glob(os.path.join(os.path.dirname(spec.origin), names))
        if found:
            return ctypes.CDLL(found[0])
    return None


def function(lib, name, result, *arguments):
    f = getattr(lib, name)
    f.restype, f.argtypes = result, arguments
    return f


def context_options(lib, context):
    o = function(lib, "llama_context_default_params", Options)()
    unset = next(i for i in range(120) if all(o.word[i + k] == -1 for k in range(4)))
    o.word[0] = context
    o.word[1] = o.word[2] = 512  # rows of a step
    o.word[unset + 3] = 0  # scores in one piece, not the fused attention in half precision
    kinds = next(i for i in range(unset + 4, 120) if o.word[i] == o.word[i + 1] == 1)
    o.word[kinds] = o.word[kinds + 1] = 0  # keys and values as floats
    return o


def opened(lib, path):
    """A model; raises with what llama.cpp said."""
    quiet = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
    said = []
    listen = quiet(lambda level, text, user: said.append(text.decode(errors="replace")))
    function(lib, "llama_log_set", None, quiet, ctypes.c_void_p)(listen, None)
    lib.listen = listen  # as long as it may be called
    function(lib, "llama_backend_init", None)()
    options = function(lib, "llama_model_default_params", Options)()
    model = function(lib, "llama_model_load_from_file", ctypes.c_void_p, ctypes.c_char_p, Options)(path.encode(), options)
    if not model:
        raise ValueError("llama.cpp does not open it: " + "".join(said[-3:]).strip())
    return model


def tokens(lib, path, texts):
    model = opened(lib, path)
    vocab = function(lib, "llama_model_get_vocab", ctypes.c_void_p, ctypes.c_void_p)(model)
    cut = function(lib, "llama_tokenize", ctypes.c_int32, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32,
                   ctypes.POINTER(ctypes.c_int32), ctypes.c_int32, ctypes.c_bool, ctypes.c_bool)
    room, out = (ctypes.c_int32 * 65536)(), []
    for text in texts:
        raw = text.encode()
        out.append(room[:cut(vocab, raw, len(raw), room, len(room), False, False)])
    return out


def add_adapter(lib, model, ctx, path):
    adapter = function(lib, "llama_adapter_lora_init", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(model, path.encode())
    if not adapter:
        raise ValueError("llama.cpp does not take the adapter")
    use = function(lib, "llama_set_adapters_lora", ctypes.c_int32, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p), ctypes.c_size_t,
                   ctypes.POINTER(ctypes.c_float))
    if use(ctx, (ctypes.c_void_p * 1)(adapter), 1, (ctypes.c_float * 1)(1)) != 0:
        raise ValueError("llama.cpp does not use the adapter")


def logits(lib, path, tokens, context, adapter=None):
    model = opened(lib, path)
    ctx = function(lib, "llama_init_from_model", ctypes.c_void_p, ctypes.c_void_p, Options)(model, context_options(lib, context))
    if adapter:
        add_adapter(lib, model, ctx, adapter)
    b = function(lib, "llama_batch_init", Batch, ctypes.c_int32, ctypes.c_int32, ctypes.c_int32)(len(tokens), 0, 1)
    b.n_tokens = len(tokens)
    for i, token in enumerate(tokens):
        b.token[i], b.pos[i], b.n_seq_id[i], b.logits[i] = int(token), i, 1, 1
        b.seq_id[i][0] = 0
    if function(lib, "llama_decode", ctypes.c_int32, ctypes.c_void_p, Batch)(ctx, b) != 0:
        raise ValueError("llama_decode failed")
    vocab = function(lib, "llama_model_get_vocab", ctypes.c_void_p, ctypes.c_void_p)(model)
    width = function(lib, "llama_vocab_n_tokens", ctypes.c_int32, ctypes.c_void_p)(vocab)
    get = function(lib, "llama_get_logits", ctypes.POINTER(ctypes.c_float), ctypes.c_void_p)
    out = np.ctypeslib.as_array(get(ctx), (len(tokens), width)).copy()
    function(lib, "llama_batch_free", None, Batch)(b)
    function(lib, "llama_free", None, ctypes.c_void_p)(ctx)
    function(lib, "llama_model_free", None, ctypes.c_void_p)(model)
    return out
