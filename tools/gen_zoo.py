#!/usr/bin/env python3
"""Writes src/learn/zoo/*.json: the layers of well-known networks whose blocks repeat too often to be written by hand.

usage: tools/gen_zoo.py      (from the root of the repository; the files are committed)
"""
import json
import os


def conv(filters, kernel, stride=1, padding="same", **more):
    layer = {"type": "conv2d", "filters": filters, "kernel_size": kernel, "stride": stride, "padding": padding, "bias": False}
    return {**layer, **more}


NORM = {"type": "batch_norm"}
RELU = {"type": "activation", "function": "relu"}
RELU6 = {"type": "activation", "function": "relu6"}


def join(layers, block, shortcut, activation):
    """Ends a residual block: what the last layer made plus the shortcut."""
    layers[-1] = {**layers[-1], "name": f"{block}.out"}
    layers.append({"type": "add", "inputs": [f"{block}.out", shortcut], "activation": activation, "name": block})


def basic_block(layers, block, source, filters, stride, project):
    """He et al., Deep Residual Learning for Image Recognition (2015), figure 5 left."""
    shortcut = source
    if project:
        layers.append({**conv(filters, 1, stride, 0), "inputs": [source]})
        layers.append({**NORM, "name": f"{block}.shortcut"})
        shortcut = f"{block}.shortcut"
    layers.append({**conv(filters, 3, stride, 1), "inputs": [source]})
    layers += [NORM, RELU, conv(filters, 3, 1, 1), NORM]
    join(layers, block, shortcut, "relu")


def bottleneck(layers, block, source, filters, stride, project):
    """The same paper, figure 5 right; the stride is in the 3x3 convolution, as everybody trains it today."""
    shortcut = source
    if project:
        layers.append({**conv(4 * filters, 1, stride, 0), "inputs": [source]})
        layers.append({**NORM, "name": f"{block}.shortcut"})
        shortcut = f"{block}.shortcut"
    layers.append({**conv(filters, 1, 1, 0), "inputs": [source]})
    layers += [NORM, RELU, conv(filters, 3, stride, 1), NORM, RELU, conv(4 * filters, 1, 1, 0), NORM]
    join(layers, block, shortcut, "relu")


def resnet(block_of, counts, small=False):
    if small:
        layers = [conv(64, 3, 1, 1), NORM, {**RELU, "name": "stem"}]
    else:
        layers = [conv(64, 7, 2, 3), NORM, RELU]
        layers.append({"type": "max_pool", "kernel_size": 3, "stride": 2, "padding": 1, "name": "stem"})
    source = "stem"
    for stage, count in enumerate(counts):
        for i in range(count):
            block = f"stage{stage + 1}.{i + 1}"
            project = i == 0 and (stage > 0 or block_of is bottleneck)
            block_of(layers, block, source, 64 << stage, 2 if i == 0 and stage > 0 else 1, project)
            source = block
    return layers + [{"type": "global_avg_pool"}, {"type": "dense"}]


def mobilenet_v2():
    """Sandler et al., MobileNetV2 (2018), table 2."""
    layers = [conv(32, 3, 2, 1), NORM, {**RELU6, "name": "stem"}]
    source, channels, number = "stem", 32, 0
    for expand, filters, count, stride in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ):
        for i in range(count):
            number += 1
            block, step = f"block{number}", stride if i == 0 else 1
            if expand > 1:
                layers += [conv(expand * channels, 1, 1, 0), NORM, RELU6]
            layers += [conv(0, 3, step, 1, groups=0), NORM, RELU6, conv(filters, 1, 1, 0), NORM]
            if step == 1 and channels == filters:
                join(layers, block, source, "none")
            else:
                layers[-1] = {**layers[-1], "name": block}
            source, channels = block, filters
    layers += [conv(1280, 1, 1, 0), NORM, RELU6, {"type": "global_avg_pool"}]
    return layers + [{"type": "dropout", "rate": 0.2}, {"type": "dense"}]


ZOO = {
    "resnet18": ("residual network of 18 layers over images [channels, height, width]", resnet(basic_block, (2, 2, 2, 2))),
    "resnet34": ("residual network of 34 layers over images", resnet(basic_block, (3, 4, 6, 3))),
    "resnet50": ("residual network of 50 layers over images", resnet(bottleneck, (3, 4, 6, 3))),
    "resnet18_small": ("resnet18 for small images: 3x3 at the start, no pool", resnet(basic_block, (2, 2, 2, 2), small=True)),
    "mobilenet_v2": ("depthwise convolutions: few weights, for small machines", mobilenet_v2()),
}


def main():
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "src", "learn", "zoo")
    for name, (text, layers) in ZOO.items():
        rows = ",\n".join("    " + json.dumps(layer) for layer in layers)
        with open(os.path.join(folder, name + ".json"), "w", encoding="ascii") as file:
            file.write(f'{{\n  "help": {json.dumps(text)},\n  "layers": [\n{rows}\n  ]\n}}\n')


if __name__ == "__main__":
    main()
