"""The benchmark's networks and functions by torch, one thread: microseconds, to set beside those of mtlc.

Of eager, frozen and optimised-for-inference modules the fastest; thread time, the least of many short repeats.
OpenBLAS takes its best kernels only when told: OPENBLAS_CORETYPE=SkylakeX OMP_NUM_THREADS=1.

A line is `net NAME BATCH US`, `step NAME BATCH US` (forward, backward with the input's gradient, Adam) or
`function NAME NS`.
"""
import time

import torch
from torch import nn

torch.set_num_threads(1)


def best_of(run, seconds=0.4):
    for _ in range(3):
        run()
    turns, best, end = 1, 1e9, time.thread_time() + seconds
    while time.thread_time() < end:
        start = time.thread_time()
        for _ in range(turns):
            run()
        t = (time.thread_time() - start) / turns
        best = min(best, t)
        if t * turns < 2e-4:
            turns *= 2
    return best


def mlp(*width):
    layers = []
    for a, b in zip(width, width[1:]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers)


class Esmm(nn.Module):
    def __init__(self):
        super().__init__()
        self.ctr = nn.Sequential(mlp(360, 200, 80), nn.Linear(80, 1))
        self.cvr = nn.Sequential(mlp(360, 200, 80), nn.Linear(80, 1))

    def forward(self, x):
        click, buy = torch.sigmoid(self.ctr(x)), torch.sigmoid(self.cvr(x))
        return torch.cat([click, buy, click * buy], 1)


class Mmoe(nn.Module):
    def __init__(self):
        super().__init__()
        self.expert = nn.ModuleList([mlp(512, 256, 128) for _ in range(8)])
        self.gate = nn.ModuleList([nn.Linear(512, 8) for _ in range(2)])
        self.tower = nn.ModuleList([nn.Sequential(mlp(128, 64), nn.Linear(64, 1)) for _ in range(2)])

    def forward(self, x):
        values = []
        for expert in self.expert:
            values.append(expert(x))
        every = torch.stack(values, 1)
        out = []
        for g, t in zip(self.gate, self.tower):
            share = torch.softmax(g(x), 1).unsqueeze(1)
            out.append(torch.sigmoid(t(torch.bmm(share, every).squeeze(1))))
        return torch.cat(out, 1)


def forms(model):
    yield model
    frozen = torch.jit.freeze(torch.jit.script(model))
    yield frozen
    try:
        yield torch.jit.optimize_for_inference(frozen)
    except RuntimeError:
        pass


for name, model, width in (("esmm360", Esmm().eval(), 360), ("mmoe512", Mmoe().eval(), 512)):
    for batch in (1, 8, 64, 256, 1024):
        x = torch.randn(batch, width)
        with torch.no_grad():
            t = min(best_of(lambda f=f: f(x)) for f in forms(model))
        print(f"net {name} {batch} {t * 1e6:.2f}", flush=True)

model = Esmm()
optimizer = torch.optim.Adam(model.parameters(), 1e-3, foreach=True)
loss = nn.BCELoss()
for batch in (256, 1024, 4096):
    x, y = torch.randn(batch, 360, requires_grad=True), torch.rand(batch, 2).round()

    def step():
        optimizer.zero_grad(set_to_none=True)
        x.grad = None
        p = model(x)
        (loss(p[:, 0], y[:, 0]) + loss(p[:, 2], y[:, 1])).backward()
        optimizer.step()

    print(f"step esmm360 {batch} {best_of(step, 0.6) * 1e6:.1f}", flush=True)

x = torch.randn(4096)
for name, f in (("exp", torch.exp), ("log", torch.log), ("sigmoid", torch.sigmoid), ("tanh", torch.tanh),
                ("softplus", nn.functional.softplus), ("logsigmoid", nn.functional.logsigmoid)):
    y = x.abs() if name == "log" else x
    with torch.no_grad():
        print(f"function {name} {best_of(lambda: f(y)) / 4096 * 1e9:.3f}", flush=True)
