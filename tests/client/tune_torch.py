#!/usr/bin/env python3
"""Writes models that PyTorch exports, rows to train them on, and the weights that PyTorch ends with, into a folder.

usage: tune_torch.py FOLDER     for each model FOLDER/NAME.onnx, FOLDER/NAME.npz (columns, "target", "weight:NAME" after
                                training), FOLDER/NAME.json (the params of the job that does the same)

Runs under the Python that has torch (Debian: python3-torch); test_tune_torch.py trains the same and compares.
"""
import io
import json
import os
import sys
import warnings

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

BATCH, STEPS, LR = 8, 6, 0.05


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 6, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.body = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1))
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm(self.stem(x))), 2)
        x = F.relu(x + self.body(x))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Mobile(nn.Module):
    """Depthwise convolution, squeeze and excitation, hard activations, GroupNorm, a PReLU."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.norm = nn.GroupNorm(2, 8)
        self.squeeze, self.excite = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)
        self.act = nn.PReLU(8)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = self.act(self.norm(self.deep(F.hardswish(self.stem(x)))))
        x = x * F.hardsigmoid(self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True)))))
        return F.log_softmax(self.fc(x.mean((2, 3))), 1)


class Attention(nn.Module):
    """Two heads over embedded tokens with positions, in a block with LayerNorm and GELU."""

    def __init__(self, dim=8):
        super().__init__()
        self.words = nn.Embedding(20, dim)
        self.places = nn.Parameter(torch.randn(1, 6, dim) * 0.1)
        self.before, self.after = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.back = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.wide, self.narrow = nn.Linear(dim, 16), nn.Linear(16, dim)
        self.fc = nn.Linear(dim, 4)

    def forward(self, tokens):
        x = self.words(tokens) + self.places
        n, s, d = x.shape
        q, k, v = self.qkv(self.before(x)).view(n, s, 3, 2, d // 2).permute(2, 0, 3, 1, 4)
        a = torch.softmax(q @ k.transpose(-1, -2) * (d // 2) ** -0.5, -1) @ v
        x = x + self.back(a.transpose(1, 2).reshape(n, s, d))
        x = x + self.narrow(F.gelu(self.wide(self.after(x))))
        return self.fc(x.mean(1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.LSTM(5, 6, batch_first=True)
        self.out = nn.Linear(6, 4)

    def forward(self, x):
        return self.out(self.net(x)[0][:, -1])


class Gated(nn.Module):
    """Two layers of GRUs from both ends; the last states alone are looked at."""

    def __init__(self):
        super().__init__()
        self.net = nn.GRU(5, 6, num_layers=2, bidirectional=True, batch_first=True)
        self.out = nn.Linear(12, 4)

    def forward(self, x):
        last = self.net(x)[1]
        return self.out(torch.cat([last[-2], last[-1]], 1))


class Elman(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.RNN(5, 6, batch_first=True)
        self.out = nn.Linear(6, 4)

    def forward(self, x):
        return self.out(self.net(x)[0].mean(1))


class Enlarge(nn.Module):
    """Down, up by a transposed convolution and by interpolation, joined: pictures to pictures."""

    def __init__(self):
        super().__init__()
        self.down, self.inner = nn.Conv2d(1, 6, 3, stride=2, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.up, self.last = nn.ConvTranspose2d(6, 4, 2, stride=2), nn.Conv2d(11, 1, 1)

    def forward(self, x):
        y = F.leaky_relu(self.down(x))
        z = F.elu(self.inner(y))
        wide = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)
        return self.last(torch.cat([x, self.up(z), wide], 1)).flatten(1)


def export(model, x, path, fixed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        buffer = io.BytesIO()
        torch.onnx.export(model, x, buffer, opset_version=16, input_names=["in"], output_names=["out"],
                          do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE,
                          dynamic_axes=None if fixed else {"in": {0: "n"}, "out": {0: "n"}})
    with open(path, "wb") as f:
        f.write(buffer.getvalue())


def train(model, x, y, loss, frozen):
    # As a frozen layer is trained in Keras and here: its normalization keeps its statistics.
    model.train()
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d) and any(name.startswith(f) for f in frozen):
            module.eval()
    moved = [p for n, p in model.named_parameters() if not any(n.startswith(f) for f in frozen)]
    step = torch.optim.SGD(moved, lr=LR)
    for i in range(0, len(x), BATCH):
        step.zero_grad()
        loss(model(x[i:i + BATCH]), y[i:i + BATCH]).backward()
        step.step()


def main(folder):
    rng = np.random.default_rng(0)
    pictures = torch.tensor(rng.normal(size=(BATCH * STEPS, 1, 8, 8)).astype(np.float32))
    tokens = torch.tensor(rng.integers(0, 20, (BATCH * STEPS, 6)))
    series = torch.tensor(rng.normal(size=(BATCH * STEPS, 7, 5)).astype(np.float32))
    classes = torch.tensor(rng.integers(0, 4, BATCH * STEPS))
    values = torch.tensor(rng.normal(size=(BATCH * STEPS, 64)).astype(np.float32))
    cross, nll, mse = F.cross_entropy, F.nll_loss, F.mse_loss
    # name, model, rows, target, loss, frozen modules, patterns that freeze them, batch of 1
    cases = [("residual", Residual, pictures, classes, cross, [], [], False),
             ("residual_frozen", Residual, pictures, classes, cross, ["stem", "norm"], ["stem.*", "norm.*"], False),
             ("residual_one", Residual, pictures, classes, cross, [], [], True),
             ("mobile", Mobile, pictures, classes, nll, [], [], False),
             ("attention", Attention, tokens, classes, cross, [], [], False),
             ("attention_frozen", Attention, tokens, classes, cross, ["words", "places"], ["words.*", "places"], False),
             ("recurrent", Recurrent, series, classes, cross, ["net"], ["*/LSTM"], False),
             ("recurrent_moved", Recurrent, series, classes, cross, [], [], False),
             ("gated", Gated, series, classes, cross, [], [], False),
             ("elman", Elman, series, classes, cross, [], [], False),
             ("enlarge", Enlarge, pictures, values, mse, [], [], False)]
    for name, make, x, y, loss, frozen, patterns, fixed in cases:
        torch.manual_seed(1)
        model = make().eval()
        for p in model.parameters():  # the exporter makes one of weights that are equal
            p.data += 0.1 * torch.randn_like(p)
        for m in model.modules():  # statistics that say something
            if isinstance(m, nn.BatchNorm2d):
                m.running_mean.uniform_(-0.2, 0.2)
                m.running_var.uniform_(0.6, 1.4)
        export(model, x[:1 if fixed else 2], f"{folder}/{name}.onnx", fixed)
        train(model, x, y, loss, frozen)
        arrays = {f"weight:{k}": v.detach().numpy() for k, v in model.state_dict().items()
                  if not k.endswith(("running_var", "num_batches_tracked"))}  # ours is not corrected for the sample
        np.savez(f"{folder}/{name}.npz", **{"in": x.numpy(), "target": y.numpy()}, **arrays)
        with open(f"{folder}/{name}.json", "w") as f:
            json.dump({"freeze": patterns, "loss": "mse" if loss is mse else "cross_entropy", "epochs": 1,
                       "batch_size": BATCH, "shuffle": False, "schedule": "constant",
                       "optimizer": {"type": "sgd", "lr": LR}}, f)


main(sys.argv[1])
