"""784-128-128-10, or with `lenet` as last argument the zoo's LeNet, with Adam in PyTorch: batches are rows of one
tensor, no loader."""
import sys

import fashion

directory, batch, epochs, threads = fashion.parse_args()

import torch
from torch import nn

torch.set_num_threads(threads)
torch.manual_seed(7)
x, y = (torch.from_numpy(a) for a in fashion.images(directory, "train"))
y = y.long()
if sys.argv[-1] == "lenet":
    net = nn.Sequential(nn.Unflatten(1, (1, 28, 28)), nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
                        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(),
                        nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))
else:
    net = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))
loss_of = nn.CrossEntropyLoss()
try:  # one call for all parameters, where this version has it for CPUs
    adam = torch.optim.Adam(net.parameters(), lr=0.001, fused=True)
except (RuntimeError, TypeError):
    adam = torch.optim.Adam(net.parameters(), lr=0.001)


def train_epoch():
    order = torch.randperm(len(x))
    for at in range(0, len(x), batch):
        rows = order[at:at + batch]
        loss = loss_of(net(x[rows]), y[rows])
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()


def accuracy():
    tx, ty = (torch.from_numpy(a) for a in fashion.images(directory, "t10k"))
    with torch.no_grad():
        return (net(tx).argmax(1) == ty).float().mean().item()


fashion.run(len(x), epochs, train_epoch, accuracy, threads, f"torch-{torch.__version__}")
