"""Models that remember: what one request leaves is what the next of the same sequence finds."""
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
import numpy as np
import onnx
import onnxruntime
import tritonclient.http as http
from onnx import TensorProto, helper, numpy_helper

from harness import Server, case, check, finish


def value(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def model(nodes, inputs, outputs, constants=(), states=None):
    g = helper.make_graph(nodes, "g", inputs, outputs, [numpy_helper.from_array(c, n) for n, c in constants])
    m = helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if states:
        helper.set_model_props(m, {"maas.states": states})
    return m.SerializeToString()


SUM = model([helper.make_node("Add", ["x", "total_in"], ["total_out"]), helper.make_node("Identity", ["total_out"], ["y"])],
            [value("x", ["b", 3]), value("total_in", ["b", 3])], [value("y", ["b", 3]), value("total_out", ["b", 3])])
GROWS = model([helper.make_node("Concat", ["past.0.key", "x"], ["present.0.key"], axis=1),
               helper.make_node("ReduceSum", ["present.0.key", "axes"], ["y"], keepdims=0)],
              [value("x", ["b", "now", 2]), value("past.0.key", ["b", "before", 2])],
              [value("y", ["b", 2]), value("present.0.key", ["b", "after", 2])], [("axes", np.array([1], np.int64))])
NAMED = model([helper.make_node("Add", ["x", "left"], ["right"])], [value("x", [1, 2]), value("left", [1, 2])], [value("right", [1, 2])],
              states="left=right")
PLAIN = model([helper.make_node("Relu", ["x"], ["y"])], [value("x", ["b", 3])], [value("y", ["b", 3])])
rng = np.random.default_rng(1)
LSTM = model([helper.make_node("LSTM", ["x", "w", "r", "", "", "h0", "c0"], ["y", "hn", "cn"], hidden_size=4)],
             [value("x", ["t", "b", 3]), value("h0", [1, "b", 4]), value("c0", [1, "b", 4])],
             [value("y", ["t", 1, "b", 4]), value("hn", [1, "b", 4]), value("cn", [1, "b", 4])],
             [("w", rng.normal(size=(1, 16, 3)).astype(np.float32)), ("r", rng.normal(size=(1, 16, 4)).astype(np.float32))])

server = Server("--sequence-idle", "2")
for name, file in (("sum", SUM), ("grows", GROWS), ("named", NAMED), ("plain", PLAIN), ("lstm", LSTM)):
    server.need(201, "PUT", f"/api/v1/models/{name}/versions", file)
client = http.InferenceServerClient(server.address, concurrency=8)


def ask(name, x, to=None, **more):
    i = http.InferInput("x", list(x.shape), "FP32")
    i.set_data_from_numpy(x.astype(np.float32))
    return (to or client).infer(name, [i], **more)


def refused(words, fn):
    try:
        fn()
    except http.InferenceServerException as e:
        return check(words, words in e.message(), e.message())
    return check(words, False, "it was answered")


@case
def a_sum_goes_on_and_ends():
    one = np.ones((1, 3))
    got = [ask("sum", one * k, sequence_id=7, sequence_start=k == 1, sequence_end=k == 4).as_numpy("y")[0, 0] for k in range(1, 5)]
    check("sums", got == [1, 3, 6, 10], got)
    refused("has no sequence '7'", lambda: ask("sum", one, sequence_id=7))
    check("states are not in the answer", ask("sum", one, sequence_id="a", sequence_start=True).get_output("total_out") is None)
    out = [http.InferRequestedOutput("total_out")]
    check("but for who asks", ask("sum", one, sequence_id="a", outputs=out).as_numpy("total_out")[0, 0] == 2)
    check("a start begins anew", ask("sum", one, sequence_id="a", sequence_start=True).as_numpy("y")[0, 0] == 1)
    refused("input 'total_in' is missing", lambda: ask("sum", one))


@case
def a_state_that_grows_begins_with_nothing():
    total = np.zeros((1, 2))
    for k in range(4):
        x = rng.normal(size=(1, k + 1, 2))
        total = total + x.sum(1)
        got = ask("grows", x, sequence_id=3, sequence_start=k == 0).as_numpy("y")
        check(f"after {k}", np.allclose(got, total, atol=1e-5), got)


@case
def metadata_says_which():
    one = np.ones((1, 2))
    got = [ask("named", one, sequence_id=1, sequence_start=k == 0, outputs=[http.InferRequestedOutput("right")]).as_numpy("right")[0, 0] for k in range(3)]
    check("sums", got == [1, 2, 3], got)
    check("a model without a state takes it", ask("plain", np.ones((1, 3)), sequence_id=1, sequence_start=True).as_numpy("y") is not None)
    unseen = model([helper.make_node("Add", ["x", "left"], ["right"])], [value("x", [1, 2]), value("left", [1, 2])], [value("right", [1, 2])])
    server.need(201, "PUT", "/api/v1/models/unseen/versions", unseen)
    refused("keeps no state", lambda: ask("unseen", one, sequence_id=1, sequence_start=True))
    bad = model([helper.make_node("Add", ["x", "left"], ["right"])], [value("x", [1, 2]), value("left", [1, 2])], [value("right", [1, 2])],
                states="left=wrong")
    server.need(201, "PUT", "/api/v1/models/bad/versions", bad)
    refused("'left=wrong' is no input=output", lambda: ask("bad", one, sequence_id=1, sequence_start=True))


@case
def an_lstm_is_onnxruntimes():
    session = onnxruntime.InferenceSession(LSTM)
    h = c = np.zeros((1, 2, 4), np.float32)
    for k in range(5):
        x = rng.normal(size=(3, 2, 3)).astype(np.float32)
        y, h, c = session.run(None, {"x": x, "h0": h, "c0": c})
        got = ask("lstm", x, sequence_id=9, sequence_start=k == 0).as_numpy("y")
        check(f"step {k}", np.allclose(got, y, atol=1e-5), np.abs(got - y).max())


@case
def many_sequences_at_once():
    wrong = []

    def one(n):
        mine = http.InferenceServerClient(server.address)
        for k in range(1, 30):
            got = ask("sum", np.full((1, 3), n), mine, sequence_id=f"s{n}", sequence_start=k == 1).as_numpy("y")[0, 0]
            if got != n * k:
                wrong.append((n, k, got))
        mine.close()

    threads = [threading.Thread(target=one, args=(n,)) for n in range(16)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    check("each its own", not wrong, wrong[:3])


@case
def requests_of_one_sequence_wait_for_each_other():
    one = np.ones((1, 3))
    ask("sum", one * 0, sequence_id="busy", sequence_start=True)
    results = []

    def add():
        mine = http.InferenceServerClient(server.address)
        for _ in range(20):
            results.append(ask("sum", one, mine, sequence_id="busy").as_numpy("y")[0, 0])
        mine.close()

    threads = [threading.Thread(target=add) for _ in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    check("each sum once", sorted(results) == list(range(1, 161)), sorted(results)[:5])


@case
def a_failed_request_changes_nothing():
    ask("sum", np.ones((1, 3)), sequence_id="f", sequence_start=True)
    refused("shape", lambda: ask("sum", np.ones((1, 4)), sequence_id="f"))
    check("goes on", ask("sum", np.ones((1, 3)), sequence_id="f").as_numpy("y")[0, 0] == 2)
    refused("shape", lambda: ask("sum", np.ones((1, 4)), sequence_id="g", sequence_start=True))
    refused("has no sequence 'g'", lambda: ask("sum", np.ones((1, 3)), sequence_id="g"))


@case
def a_sequence_stays_with_its_version():
    ask("named", np.ones((1, 2)), sequence_id="v", sequence_start=True)
    twice = model([helper.make_node("Add", ["x", "left"], ["s"]), helper.make_node("Add", ["s", "s"], ["right"])],
                  [value("x", [1, 2]), value("left", [1, 2])], [value("right", [1, 2])], states="left=right")
    v = server.need(201, "PUT", "/api/v1/models/named/versions", twice)["version"]
    out = [http.InferRequestedOutput("right")]
    r = ask("named", np.ones((1, 2)), sequence_id="v", outputs=out)
    check("the old one answers", r.as_numpy("right")[0, 0] == 2 and r.get_response()["model_version"] == str(v - 1))
    refused(f"began with version {v - 1}", lambda: ask("named", np.ones((1, 2)), sequence_id="v", model_version=str(v)))
    check("a new one", ask("named", np.ones((1, 2)), sequence_id="w", sequence_start=True, outputs=out).as_numpy("right")[0, 0] == 2)


@case
def an_idle_sequence_is_forgotten():
    ask("sum", np.ones((1, 3)), sequence_id="idle", sequence_start=True)
    time.sleep(2.2)
    refused("was idle for too long", lambda: ask("sum", np.ones((1, 3)), sequence_id="idle"))


@case
def wrong_parameters_are_named():
    for parameters in ({"sequence_id": -1}, {"sequence_id": [1]}, {"sequence_id": 1.5}, {"sequence_id": "x" * 300}, {"sequence_id": "a\0b"}):
        body = {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}], "parameters": parameters}
        r = server.request("POST", "/v2/models/sum/infer", body)
        check(str(parameters)[:40], r.status == 400 and b"sequence_id" in r.body, r)
    state = client.get_model_config("grows")["sequence_batching"]["state"]
    check("the configuration", state == [{"input_name": "past.0.key", "output_name": "present.0.key", "data_type": "TYPE_FP32"}], state)
    check("the extension is told", "sequence" in server.get("/v2").json()["extensions"])
    check("the metric", b"\nmaas_sequences " in server.get("/metrics").body)


finish()
