#!/usr/bin/env python3
"""Writes models that PyTorch's exporter makes of its layers and of small networks, with inputs, into a folder.

usage: torch_exports.py FOLDER      for each model FOLDER/NAME.onnx and FOLDER/NAME.npz, whose arrays are named as its inputs

Runs under the Python that has torch (Debian: python3-torch); test_exporters.py compares the models.
"""
import io
import os
import sys
import warnings

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
                                  nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))

    def forward(self, x):
        return F.relu(self.body(x) + x)


class SqueezeExcite(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 16, 3, stride=2, padding=1, groups=4)
        self.squeeze = nn.Conv2d(16, 4, 1)
        self.excite = nn.Conv2d(4, 16, 1)

    def forward(self, x):
        x = F.hardswish(self.conv(x))
        return x * F.hardsigmoid(self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True)))))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.inner = nn.Conv2d(8, 8, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.last = nn.Conv2d(7, 2, 1)

    def forward(self, x):
        y = F.leaky_relu(self.down(x))
        y = self.up(F.elu(self.inner(y)))
        return torch.softmax(self.last(torch.cat([x, y], 1)), 1)


class Recurrent(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.net = kind(6, 5, batch_first=True, **options)
        self.out = nn.Linear(5 * (2 if options.get("bidirectional") else 1), 3)

    def forward(self, x):
        y, _ = self.net(x)
        return self.out(y[:, -1])


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(50, 12)
        self.conv = nn.Conv1d(12, 16, 3, padding=1)
        self.out = nn.Linear(16, 4)

    def forward(self, ids):
        x = F.relu(self.conv(self.table(ids).transpose(1, 2)))
        return F.log_softmax(self.out(x.max(2).values), 1)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 16)
        self.norm = nn.LayerNorm(16)
        self.up, self.down = nn.Linear(16, 32), nn.Linear(32, 16)

    def forward(self, x, mask):
        def heads(y):
            return y.view(x.shape[0], x.shape[1], 4, 4).transpose(1, 2)

        scores = heads(self.query(x)) @ heads(self.key(x)).transpose(2, 3) / 2
        scores = scores.masked_fill(~mask[:, None, None, :], -1e9)
        y = (torch.softmax(scores, -1) @ heads(self.value(x))).transpose(1, 2).reshape(x.shape)
        x = self.norm(x + y)
        return x + self.down(F.gelu(self.up(x)))


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x)[0]


class Steps(nn.Module):
    """Control flow that tracing cannot see."""

    def forward(self, x, n: int):
        for i in range(n):
            if bool(x.sum() > 0):
                x = x * 0.5 - 1
            else:
                x = x + 2
        return x


def image(*shape):
    return torch.randn(*shape)


def layer(module, *shape):
    return module, (torch.randn(*shape),)


MODELS = {
    "linear": layer(nn.Linear(7, 3), 4, 7),
    "linear_rank3": layer(nn.Linear(7, 3), 2, 5, 7),
    "conv1d": layer(nn.Conv1d(4, 6, 5, stride=2, padding=2, dilation=2), 2, 4, 30),
    "conv2d": layer(nn.Conv2d(3, 8, (3, 5), stride=(2, 1), padding=(1, 2)), 2, 3, 20, 17),
    "conv2d_depthwise": layer(nn.Conv2d(16, 16, 3, padding=1, groups=16), 2, 16, 14, 14),
    "conv2d_reflect": layer(nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), 1, 3, 9, 9),
    "conv2d_circular": layer(nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), 1, 3, 9, 9),
    "conv3d": layer(nn.Conv3d(2, 4, 3, padding=1), 1, 2, 6, 7, 8),
    "conv_transpose2d": layer(nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1), 2, 4, 7, 8),
    "conv_transpose1d": layer(nn.ConvTranspose1d(4, 6, 4, stride=2, groups=2), 2, 4, 9),
    "max_pool": layer(nn.MaxPool2d(3, 2, 1, ceil_mode=True), 2, 3, 15, 16),
    "max_pool_dilated": layer(nn.MaxPool2d(2, 1, dilation=2), 2, 3, 9, 9),
    "avg_pool": layer(nn.AvgPool2d(3, 2, 1), 2, 3, 15, 16),
    "avg_pool_inside": layer(nn.AvgPool2d(3, 2, 1, count_include_pad=False), 2, 3, 15, 16),
    "lp_pool": layer(nn.LPPool2d(2, 2), 2, 3, 8, 8),
    "adaptive_avg": layer(nn.AdaptiveAvgPool2d(1), 2, 5, 9, 7),
    "adaptive_max": layer(nn.AdaptiveMaxPool2d(1), 2, 5, 9, 7),
    "batch_norm1d": layer(nn.BatchNorm1d(6), 5, 6),
    "batch_norm2d": layer(nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU6()), 2, 3, 8, 8),
    "instance_norm": layer(nn.InstanceNorm2d(4, affine=True), 2, 4, 6, 6),
    "group_norm": layer(nn.GroupNorm(2, 8), 2, 8, 5, 5),
    "layer_norm": layer(nn.LayerNorm([4, 6]), 3, 4, 6),
    "local_response_norm": layer(nn.LocalResponseNorm(3), 2, 7, 4, 4),
    "prelu": layer(nn.PReLU(4), 2, 4, 3, 3),
    "pixel_shuffle": layer(nn.PixelShuffle(2), 2, 8, 3, 4),
    "upsample_nearest": layer(nn.Upsample(scale_factor=2, mode="nearest"), 1, 3, 5, 6),
    "upsample_bilinear": layer(nn.Upsample(scale_factor=1.7, mode="bilinear", align_corners=False), 1, 3, 5, 6),
    "upsample_corners": layer(nn.Upsample(size=(11, 9), mode="bilinear", align_corners=True), 1, 3, 5, 6),
    "upsample_bicubic": layer(nn.Upsample(scale_factor=2, mode="bicubic"), 1, 3, 5, 6),
    "rnn": (Recurrent(nn.RNN), (torch.randn(3, 8, 6),)),
    "lstm": (Recurrent(nn.LSTM, num_layers=2), (torch.randn(3, 8, 6),)),
    "lstm_both_ways": (Recurrent(nn.LSTM, bidirectional=True), (torch.randn(3, 8, 6),)),
    "gru": (Recurrent(nn.GRU), (torch.randn(3, 8, 6),)),
    "words": (Words(), (torch.randint(0, 50, (4, 12)),)),
    "embedding_bag": (nn.EmbeddingBag(20, 6, mode="mean"), (torch.randint(0, 20, (3, 5)),)),
    "encoder": (Encoder(), (torch.randn(2, 9, 16), torch.rand(2, 9) > 0.2)),
    "multi_head": (SelfAttention(), (torch.randn(2, 7, 16),)),
    "transformer_layer": (nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), (torch.randn(2, 7, 16),)),
    "residual": (Residual(), (image(2, 8, 12, 12),)),
    "squeeze_excite": (SqueezeExcite(), (image(2, 8, 13, 13),)),
    "unet": (UNet(), (image(1, 3, 16, 16),)),
    "steps": (torch.jit.script(Steps()), (torch.randn(4), torch.tensor(5))),
    "einsum": (Call(lambda a, b: torch.einsum("bij,bjk->bik", a, b)), (torch.randn(2, 3, 4), torch.randn(2, 4, 5))),
    "gather": (Call(lambda x, i: torch.gather(x, 1, i)), (torch.randn(3, 6), torch.randint(0, 6, (3, 4)))),
    "index_select": (Call(lambda x, i: x.index_select(0, i)), (torch.randn(6, 3), torch.tensor([4, 0, 4]))),
    "scatter_add": (Call(lambda x, i, u: x.scatter_add(1, i, u)),
                    (torch.randn(3, 6), torch.randint(0, 6, (3, 4)), torch.randn(3, 4))),
    "top_k": (Call(lambda x: torch.topk(x, 3)[0]), (torch.randn(4, 9),)),
    "sort": (Call(lambda x: torch.sort(x, 1, descending=True)[0]), (torch.randn(4, 9),)),
    "cumsum": (Call(lambda x: torch.cumsum(x, 1)), (torch.randn(4, 9),)),
    "where": (Call(lambda x, y: torch.where(x > y, x, y * 2)), (torch.randn(4, 9), torch.randn(4, 9))),
    "nonzero": (Call(lambda x: torch.nonzero(x > 0)), (torch.randn(4, 9),)),
    "norms": (Call(lambda x: torch.cat([x.norm(dim=1), x.norm(1, 1), x.std(1), x.var(1)])), (torch.randn(4, 9),)),
    "strides": (Call(lambda x: x[:, 1:-1:2, ::3].flip(1)), (torch.randn(2, 9, 10),)),
    "split_and_stack": (Call(lambda x: torch.stack(torch.split(x, 3, 1), 2)), (torch.randn(2, 9),)),
    "pads": (Call(lambda x: F.pad(F.pad(x, (1, 2, 0, 1), value=3.0), (2, 1, 1, 1), mode="replicate")),
             (torch.randn(1, 2, 5, 6),)),
    "unfold": (nn.Unfold(3, padding=1), (torch.randn(1, 2, 6, 6),)),
    "activations": (Call(lambda x: torch.cat([f(x) for f in (
        torch.sigmoid, torch.tanh, F.softplus, F.softsign, F.selu, F.celu, F.mish, F.silu, F.hardtanh, F.logsigmoid,
        F.hardshrink, F.softshrink, torch.erf, torch.exp, torch.abs, torch.sign, torch.floor, torch.ceil, torch.round)])),
        (torch.randn(3, 5),)),
    "trigonometry": (Call(lambda x: torch.cat([f(x) for f in (
        torch.sin, torch.cos, torch.tan, torch.asin, torch.acos, torch.atan)])),
        (torch.rand(3, 5) - 0.5,)),
    "integers": (Call(lambda a, b: torch.stack([a + b, a * b])),
                 (torch.randint(1, 9, (5,)), torch.randint(1, 9, (5,)))),
    "logic": (Call(lambda a, b: torch.logical_xor(a > 0, b > 0) | ((a < b) & ~(a == b))),
              (torch.randn(3, 5), torch.randn(3, 5))),
    "losses": (Call(lambda x, y: torch.stack([((x - y) ** 2).mean(), (x - y).abs().sum(), (x * y).prod()])),
               (torch.randn(3, 5), torch.randn(3, 5))),
    "cosine": (nn.CosineSimilarity(), (torch.randn(4, 9), torch.randn(4, 9))),
    "expand": (Call(lambda x: x.expand(3, 4, 5) + x.repeat(3, 2, 1)[:, :4]), (torch.randn(4, 5),)),
    "roll": (Call(lambda x: torch.roll(x, (1, 2), (0, 1))), (torch.randn(4, 5),)),
    "triangle": (Call(lambda x: torch.tril(x) + torch.triu(x, 1)), (torch.randn(5, 5),)),
    "glu": (nn.GLU(1), (torch.randn(3, 8),)),
    "bmm_double": (Call(lambda a, b: torch.bmm(a, b)), (torch.randn(2, 3, 4).double(), torch.randn(2, 4, 5).double())),
    "one_hot": (Call(lambda i: F.one_hot(i, 7)), (torch.randint(0, 7, (4,)),)),
    "interpolate_down": (Call(lambda x: F.interpolate(x, scale_factor=0.5, mode="nearest")), (torch.randn(1, 2, 8, 10),)),
}
OPSETS = (9, 11, 13, 16)


def export(name, opset, folder):
    module, inputs = MODELS[name]
    module.eval()
    target = io.BytesIO()
    names = [f"x{i}" for i in range(len(inputs))]
    torch.onnx.export(module, inputs, target, opset_version=opset, input_names=names, do_constant_folding=opset % 2 == 1)
    file = os.path.join(folder, f"{name}.{opset}")
    with open(file + ".onnx", "wb") as out:
        out.write(target.getvalue())
    np.savez(file + ".npz", **{n: x.numpy() for n, x in zip(names, inputs)})


def main():
    warnings.simplefilter("ignore")
    torch.manual_seed(3)
    for name in MODELS:
        for opset in OPSETS:
            try:
                export(name, opset, sys.argv[1])
            except Exception as why:  # what the exporter itself cannot say in this opset
                print(f"# {name}, opset {opset}: not exported: {str(why).splitlines()[0][:100]}")


if __name__ == "__main__":
    main()
