"""ONNX Runtime behind FastAPI and uvloop: uvicorn serve_fastapi:app. MODEL names the file."""
import os

import numpy as np
import onnxruntime
import orjson
from fastapi import FastAPI, Request, Response

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options)
names = [o.name for o in session.get_outputs()]
feed = session.get_inputs()[0].name
app = FastAPI()


@app.post("/predict")
async def predict(request: Request):
    rows = orjson.loads(await request.body())["instances"]
    out = session.run(names, {feed: np.array(rows, np.float32)})
    return Response(orjson.dumps({n: v.tolist() for n, v in zip(names, out)}),
                    media_type="application/json")
