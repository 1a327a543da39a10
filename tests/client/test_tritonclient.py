"""tritonclient.http as it comes from PyPI against our server: JSON and binary tensors both ways, every
datatype, sync and async, the repository, statistics, classification, compression, errors."""
import asyncio
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
import ml_dtypes
import numpy as np
import tritonclient.http as http
import tritonclient.http.aio as aio
from tritonclient.utils import InferenceServerException

import models
from harness import Server, case, check, finish

server = Server()
for d in models.DTYPES:
    server.need(201, "PUT", f"/api/v1/models/id-{d}/versions", models.identity(d))
mlp_file, mlp = models.mlp()
server.need(201, "PUT", "/api/v1/models/mlp/versions", mlp_file)
server.need(201, "PUT", "/api/v1/models/two/versions", models.two_inputs())
server.need(201, "PUT", "/api/v1/models/encode/versions", models.label_encoder())
server.need(201, "PUT", "/api/v1/models/decode/versions", models.label_decoder())
server.need(201, "PUT", "/api/v1/models/mix/versions", models.column_softmax())
client = http.InferenceServerClient(server.address, concurrency=4)


def sample(dtype):
    np_type = models.DTYPES[dtype][1]
    if dtype == "BYTES":
        return np.array([["a", "", "ä€"], ["b\x00c", '"quoted"\\', "d" * 300]], dtype=object)
    if dtype == "BOOL":
        return np.array([[True, False, True], [False, False, True]])
    if dtype == "BF16":  # values that a bfloat16 holds
        return np.array([[1.5, -2, 0], [0.25, 3, 1024]], dtype=ml_dtypes.bfloat16)
    if np.issubdtype(np_type, np.floating):
        m = np.finfo(np_type)
        return np.array([[0.1, -2.5, m.max], [m.tiny, -0.0, 1 / 3]], dtype=np_type)
    m = np.iinfo(np_type)
    return np.array([[m.min, m.max, 0], [1, 2, 3]], dtype=np_type)


def infer_input(name, x, dtype, binary):
    i = http.InferInput(name, list(x.shape), dtype)
    i.set_data_from_numpy(x, binary_data=binary)
    return i


def same(got, want):
    if want.dtype == object:
        as_bytes = [w.encode() if isinstance(w, str) else w for w in want.flatten()]
        text = [g.encode() if isinstance(g, str) else g for g in got.flatten()]
        return got.shape == want.shape and text == as_bytes
    return got.shape == want.shape and np.array_equal(got, want)


def round_trip(dtype, binary_in, binary_out):
    x = sample(dtype)
    r = client.infer(f"id-{dtype}", [infer_input("x", x, dtype, binary_in)],
                     outputs=[http.InferRequestedOutput("y", binary_data=binary_out)])
    got = r.as_numpy("y")
    check(f"{dtype} in {'binary' if binary_in else 'JSON'}, out {'binary' if binary_out else 'JSON'}",
          same(got, x), f"{got} {x}")


for d in models.DTYPES:
    for b_in in (True, False):
        for b_out in (True, False):
            if d in ("FP16", "BF16") and not (b_in and b_out):
                continue  # these have no JSON form
            try:
                round_trip(d, b_in, b_out)
            except Exception as e:
                check(f"{d} in binary={b_in} out binary={b_out}", False, repr(e))


@case
def metadata():
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("mlp")
    assert client.is_model_ready("mlp", "1") and not client.is_model_ready("nobody")
    assert not client.is_model_ready("mlp", "9")
    m = client.get_server_metadata()
    assert m["name"] and m["version"] and "binary_tensor_data" in m["extensions"]
    m = client.get_model_metadata("mlp")
    assert m["name"] == "mlp" and m["versions"] == ["1"]
    assert m["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}], m
    assert m["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}], m


@case
def config():
    c = client.get_model_config("mlp")
    assert c["name"] == "mlp" and c["max_batch_size"] > 0
    assert c["input"] == [{"name": "x", "data_type": "TYPE_FP32", "dims": [4]}], c
    c = client.get_model_config("encode")
    assert c["input"][0]["data_type"] == "TYPE_STRING"
    c = client.get_model_config("mix")  # its rows influence each other
    assert c["max_batch_size"] == 0 and c["input"][0]["dims"] == [-1, 2], c


@case
def statistics_count_rows():
    x = np.zeros((3, 4), np.float32)
    before = client.get_inference_statistics("mlp")["model_stats"]
    n = before[0]["inference_count"] if before else 0
    client.infer("mlp", [infer_input("x", x, "FP32", True)])
    s = client.get_inference_statistics("mlp")["model_stats"][0]
    assert s["inference_count"] == n + 3 and s["name"] == "mlp" and s["version"] == "1", s
    for leaf in ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output"):
        assert set(s["inference_stats"][leaf]) == {"count", "ns"}
    assert len(client.get_inference_statistics()["model_stats"]) >= 2
    client.get_inference_statistics("mlp", "1")


@case
def repository():
    index = {(m["name"], m["version"]): m["state"] for m in client.get_model_repository_index()}
    assert index[("mlp", "1")] == "READY", index
    client.load_model("mlp")
    client.unload_model("mlp")
    assert not client.is_model_ready("mlp")
    index = {m["name"]: m for m in client.get_model_repository_index()}
    assert index["mlp"]["state"] == "UNAVAILABLE" and index["mlp"]["reason"], index["mlp"]
    try:
        client.infer("mlp", [infer_input("x", np.zeros((1, 4), np.float32), "FP32", True)])
        raise AssertionError("an unloaded model answered")
    except InferenceServerException as e:
        assert e.status() in ("503", "400"), e.status()
    client.load_model("mlp")
    assert client.is_model_ready("mlp")
    for call in (client.load_model, client.unload_model):
        try:
            call("nobody")
            raise AssertionError("accepted")
        except InferenceServerException as e:
            assert "nobody" in e.message()


@case
def network_agrees_with_numpy():
    x = np.random.default_rng(1).normal(size=(37, 4)).astype(np.float32)
    for b in (True, False):
        got = client.infer("mlp", [infer_input("x", x, "FP32", b)]).as_numpy("probabilities")
        assert got.shape == (37, 3) and np.abs(got - mlp(x)).max() < 1e-5


@case
def large_batches_are_cut_and_put_together():
    x = np.random.default_rng(2).normal(size=(20000, 4)).astype(np.float32)
    got = client.infer("mlp", [infer_input("x", x, "FP32", True)]).as_numpy("probabilities")
    assert got.shape == (20000, 3) and np.abs(got - mlp(x)).max() < 1e-5
    got = client.infer("mlp", [infer_input("x", x[:0], "FP32", True)]).as_numpy("probabilities")
    assert got.shape == (0, 3)


@case
def rows_that_mix_are_not_batched():
    x = np.random.default_rng(3).normal(size=(5, 2)).astype(np.float32)
    e = np.exp(x)
    want = e / e.sum(axis=0)
    calls = [client.async_infer("mix", [infer_input("x", x, "FP32", True)]) for _ in range(16)]
    for c in calls:
        assert np.abs(c.get_result().as_numpy("y") - want).max() < 1e-5


@case
def several_inputs_and_outputs():
    a = np.arange(32, dtype=np.int32).reshape(2, 16)
    b = np.full((2, 16), 7, np.int32)
    r = client.infer("two", [infer_input("b", b, "INT32", True), infer_input("a", a, "INT32", False)],
                     outputs=[http.InferRequestedOutput("difference", binary_data=True),
                              http.InferRequestedOutput("sum", binary_data=False)])
    assert np.array_equal(r.as_numpy("sum"), a + b) and np.array_equal(r.as_numpy("difference"), a - b)
    assert [o["name"] for o in r.get_response()["outputs"]] == ["difference", "sum"]
    r = client.infer("two", [infer_input("a", a, "INT32", True), infer_input("b", b, "INT32", True)],
                     outputs=[http.InferRequestedOutput("sum")])
    assert r.as_numpy("difference") is None


@case
def texts_and_labels():
    x = np.array([["dog"], ["cat"], ["fish"], ["bird"]], dtype=object)
    for b in (True, False):
        assert client.infer("encode", [infer_input("x", x, "BYTES", b)]).as_numpy("y").tolist() == [[20], [10], [-1], [30]]
        r = client.infer("decode", [infer_input("x", np.array([2, 0, 9]), "INT64", b)],
                         outputs=[http.InferRequestedOutput("y", binary_data=b)])
        assert [t if isinstance(t, str) else t.decode() for t in r.as_numpy("y")] == ["two", "zero", "?"]


@case
def request_id_version_and_timeout():
    x = infer_input("x", np.zeros((1, 4), np.float32), "FP32", True)
    r = client.infer("mlp", [x], model_version="1", request_id="call-7 \"ü\"", timeout=10_000_000, priority=1)
    assert r.get_response()["id"] == 'call-7 "ü"' and r.get_response()["model_version"] == "1"
    assert "id" not in client.infer("mlp", [x]).get_response()
    client.infer("mlp", [x], sequence_id=5, sequence_start=True, parameters={"mine": 1})


@case
def narrow_integers_are_widened():
    r = client.infer("id-FP64", [infer_input("x", np.float32([[1, 2, 3]]), "FP32", True)])
    assert r.as_numpy("y").dtype == np.float64 and r.as_numpy("y").tolist() == [[1, 2, 3]]
    r = client.infer("id-INT64", [infer_input("x", np.uint8([[1, 2, 255]]), "UINT8", False)])
    assert r.as_numpy("y").tolist() == [[1, 2, 255]]


@case
def classification():
    x = np.random.default_rng(4).normal(size=(2, 4)).astype(np.float32)
    for b in (True, False):
        r = client.infer("mlp", [infer_input("x", x, "FP32", True)],
                         outputs=[http.InferRequestedOutput("probabilities", binary_data=b, class_count=2)])
        top = r.as_numpy("probabilities")
        assert top.shape == (2, 2), top
        for row, p in zip(top, mlp(x)):
            text = row[0] if isinstance(row[0], str) else row[0].decode()
            score, index = text.split(":")[:2]
            assert int(index) == int(p.argmax()) and abs(float(score) - p.max()) < 1e-4


@case
def compression():
    x = np.zeros((500, 4), np.float32)
    for request in (None, "gzip", "deflate"):
        for response in (None, "gzip", "deflate"):
            for b in (True, False):
                r = client.infer("mlp", [infer_input("x", x, "FP32", b)],
                                 outputs=[http.InferRequestedOutput("probabilities", binary_data=b)],
                                 request_compression_algorithm=request, response_compression_algorithm=response)
                assert np.abs(r.as_numpy("probabilities") - mlp(x)).max() < 1e-5, (request, response, b)


def refused(name, words, fn, statuses=("400",)):
    try:
        fn()
        check("refused: " + name, False, "it was accepted")
    except InferenceServerException as e:
        check("refused: " + name, e.status() in statuses and all(w in e.message() for w in words),
              f"{e.status()} {e.message()}")


f4 = np.zeros((1, 4), np.float32)
refused("unknown model", ["nobody"], lambda: client.infer("nobody", [infer_input("x", f4, "FP32", True)]), ("404",))
refused("unknown version", ["9"], lambda: client.infer("mlp", [infer_input("x", f4, "FP32", True)], model_version="9"), ("404",))
refused("unknown input", ["'y'"], lambda: client.infer("mlp", [infer_input("y", f4, "FP32", True)]))
refused("missing input", ["'b'", "missing"], lambda: client.infer("two", [infer_input("a", np.zeros((1, 16), np.int32), "INT32", True)]))
refused("input twice", ["'x'", "twice"], lambda: client.infer("mlp", [infer_input("x", f4, "FP32", True)] * 2))
refused("unknown output", ["'z'"], lambda: client.infer("mlp", [infer_input("x", f4, "FP32", True)],
                                                      outputs=[http.InferRequestedOutput("z")]))
refused("wrong shape", ["'x'", "[1,5]", "[?,4]"], lambda: client.infer("mlp", [infer_input("x", np.zeros((1, 5), np.float32), "FP32", True)]))
refused("wrong rank", ["'x'", "[4]"], lambda: client.infer("mlp", [infer_input("x", np.zeros(4, np.float32), "FP32", False)]))
refused("wrong datatype", ["'x'", "INT64", "FP32"], lambda: client.infer("mlp", [infer_input("x", np.zeros((1, 4), np.int64), "INT64", True)]))
refused("unlike batches", ["'b'", "rows"], lambda: client.infer("two", [
    infer_input("a", np.zeros((1, 16), np.int32), "INT32", True), infer_input("b", np.zeros((2, 16), np.int32), "INT32", True)]))
refused("FP16 as JSON", ["FP16", "binary"], lambda: client.infer("id-FP16", [infer_input("x", np.zeros((1, 3), np.float16), "FP16", True)],
                                                               outputs=[http.InferRequestedOutput("y", binary_data=False)]))


@case
def asynchronous_with_threads():
    r = np.random.default_rng(5)
    xs = [r.normal(size=(n % 5 + 1, 4)).astype(np.float32) for n in range(200)]
    calls = [client.async_infer("mlp", [infer_input("x", x, "FP32", i % 2 == 0)]) for i, x in enumerate(xs)]
    for x, c in zip(xs, calls):
        assert np.abs(c.get_result().as_numpy("probabilities") - mlp(x)).max() < 1e-5


@case
def asynchronous_with_asyncio():
    async def one(c, x, binary):
        i = aio.InferInput("x", list(x.shape), "FP32")
        i.set_data_from_numpy(x, binary_data=binary)
        r = await c.infer("mlp", [i], request_id="a")
        return np.abs(r.as_numpy("probabilities") - mlp(x)).max()

    async def run():
        r = np.random.default_rng(6)
        async with aio.InferenceServerClient(server.address) as c:
            assert await c.is_server_ready() and (await c.get_model_metadata("mlp"))["name"] == "mlp"
            worst = await asyncio.gather(*[one(c, r.normal(size=(3, 4)).astype(np.float32), n % 2 == 0) for n in range(100)])
            assert max(worst) < 1e-5
            try:
                await c.get_model_metadata("nobody")
                raise AssertionError("accepted")
            except InferenceServerException as e:
                assert "nobody" in e.message()
            await c.unload_model("two")
            await c.load_model("two")
            assert (await c.get_inference_statistics("mlp"))["model_stats"]

    asyncio.run(run())


@case
def raw_request():
    x = np.random.default_rng(8).normal(size=(1, 4)).astype(np.float32)
    r = server.post("/v2/models/mlp/infer", x.tobytes(), headers={"Inference-Header-Content-Length": "0",
                                                                 "Content-Type": "application/octet-stream"})
    assert r.status == 200, r
    n = int(r.headers["Inference-Header-Content-Length"])
    assert np.abs(np.frombuffer(r.body[n:], np.float32) - mlp(x)[0]).max() < 1e-5


client.close()
check("SIGTERM ends the server with 0", server.stop() == 0)
finish()
