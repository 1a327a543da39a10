"""An MLServer runtime that calls ONNX Runtime; the model's URI is the file."""
import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver.utils import get_model_uri


class OnnxModel(MLModel):
    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(await get_model_uri(self._settings), options)
        self.names = [o.name for o in self.session.get_outputs()]
        self.feed = self.session.get_inputs()[0].name
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        x = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32)
        out = self.session.run(self.names, {self.feed: x})
        return InferenceResponse(model_name=self.name, outputs=[
            NumpyCodec.encode_output(name, np.asarray(v)) for name, v in zip(self.names, out)])
