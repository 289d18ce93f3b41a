"""How long torch takes for a model that mtlc wrote as ONNX: the calls of `SCORER bench`, timed the same way.

    torch_peer.py MODEL.onnx INPUTS    INPUTS: what inputs.py says of the file

The graph becomes a module node by node, a layer one `linear`; it is traced for each size, frozen and optimised for
inference, and called in inference mode with one thread.  The line `torch empty` is the time of such a module that
returns its first input: what Python and the calling cost.
"""
import sys
import time
import warnings

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch.nn import functional as F

ITEMS, SAMPLES, FEWEST = 4, 1 << 15, 100
TYPES = {1: torch.float32, 7: torch.int64, 9: torch.bool, 11: torch.float64}


class Net(torch.nn.Module):
    def __init__(self, graph, names):
        super().__init__()
        self.names, self.outputs = names, [o.name for o in graph.output]
        self.given = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
        for t in self.given.values():
            if t.dtype == torch.float32 and t.dim() == 2:
                t.requires_grad_(False)
        self.nodes = [(n.op_type, list(n.input), n.output[0], {a.name: onnx.helper.get_attribute_value(a) for a in n.attribute})
                      for n in graph.node]
        # A layer's weights as `linear` wants them, once.
        self.turned = {n[1][1]: self.given[n[1][1]].t().contiguous() for n in self.nodes
                       if n[0] in ("Gemm", "MatMul") and n[1][1] in self.given}

    def forward(self, *inputs):
        v = dict(self.given)
        v.update(zip(self.names, inputs))
        for op, names, out, attr in self.nodes:
            x = [v[n] if n else None for n in names]
            v[out] = self.node(op, x, attr, self.turned.get(names[1]) if len(names) > 1 else None)
        return tuple(v[o] for o in self.outputs)

    def node(self, op, x, attr, turned):
        plain = {"Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": torch.div, "Exp": torch.exp, "Log": torch.log,
                 "Abs": torch.abs, "Neg": torch.neg, "Max": torch.maximum, "Min": torch.minimum, "Relu": torch.relu, "Less": torch.lt,
                 "GreaterOrEqual": torch.ge, "IsNaN": torch.isnan, "Not": torch.logical_not, "Sigmoid": torch.sigmoid,
                 "Where": torch.where, "Sqrt": torch.sqrt, "Tanh": torch.tanh, "Softplus": F.softplus}
        if op in plain:
            return plain[op](*x)
        if op in ("Gemm", "MatMul"):
            bias = x[2].reshape(-1) if len(x) > 2 else None
            return F.linear(x[0], turned, bias) if turned is not None else torch.matmul(x[0], x[1])
        if op == "Gather":
            return F.embedding(x[1], x[0])
        if op == "Concat":
            return torch.cat(x, attr["axis"])
        if op == "Cast":
            return x[0].to(TYPES[attr["to"]])
        if op == "Softmax":
            return torch.softmax(x[0], attr["axis"])
        if op == "Shape":
            return torch.tensor(x[0].shape)
        if op == "ReduceSum":
            return torch.sum(x[0], tuple(x[1].tolist()), bool(attr.get("keepdims", 1)))
        if op == "Reshape":
            return x[0].reshape([x[0].shape[i] if d == 0 else d for i, d in enumerate(x[1].tolist())])
        if op == "Expand":
            return x[0] + torch.zeros(x[1].tolist(), dtype=x[0].dtype)
        if op == "Unsqueeze":
            for axis in x[1].tolist():
                x[0] = x[0].unsqueeze(axis)
            return x[0]
        if op == "Slice":
            at = [slice(None)] * x[0].dim()
            for begin, end, axis in zip(x[1].tolist(), x[2].tolist(), x[3].tolist()):
                at[axis] = slice(begin, min(end, x[0].shape[axis]))
            return x[0][tuple(at)]
        raise NotImplementedError(op)


class Empty(torch.nn.Module):
    def forward(self, *inputs):
        return inputs[0] + 0


class Draw:
    """The same rows as ort.c's."""
    state = 1

    def __call__(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return self.state >> 33 & 0xFFFFFFFF


def values(draw, of, n, request):
    name, kind, wide, high, side = of
    wide = ITEMS if wide == "1" else 1
    x = np.empty((n, wide), {"int64": np.int64, "float": np.float32, "double": np.float64}[kind])
    flat = x.reshape(-1)
    for i in range(n * wide):
        row, real = draw() % int(high) if int(high) > 0 else -int(high), (draw() % 2000) / 1000
        flat[i] = row if kind == "int64" else real if kind == "double" else 1
    if request and side == "request":
        x[:] = x[0]
    return torch.from_numpy(x if wide > 1 else flat)


def bench(net, what, inputs):
    module = torch.jit.trace(net.eval(), inputs, check_trace=False)
    module = torch.jit.optimize_for_inference(torch.jit.freeze(module))
    out = net(*inputs)
    now = time.perf_counter
    t = now()
    end = t + 0.2
    while t < end:
        module(*inputs)
        t = now()
    end, sample = t + 0.5, []
    while len(sample) < SAMPLES and (t < end or len(sample) < FEWEST):
        begin = t
        module(*inputs)
        t = now()
        sample.append(t - begin)
    sample.sort()
    n = len(sample)
    check = float(out[0].double().sum()) if isinstance(out, tuple) else 0
    print("torch", what, *("%.3f" % (1e6 * s) for s in (sample[n // 2], sample[n - 1 - n // 100])), "%.6g" % check, flush=True)


def main():
    warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # sizes are constants: each has a trace
    torch.set_num_threads(1)
    graph = onnx.load(sys.argv[1]).graph
    with open(sys.argv[2]) as f:
        ins = [line.split() for line in f]
    net, draw = Net(graph, [i[0] for i in ins]), Draw()
    print("torch", torch.__version__, file=sys.stderr)
    with torch.inference_mode():
        for what, sizes in ("batch", (1, 64, 256, 1024, 4096)), ("request", (1, 150, 1000)):
            for n in sizes:
                bench(net, "%s %d" % (what, n), tuple(values(draw, i, n, what == "request") for i in ins))
        bench(Empty(), "empty 0", tuple(values(draw, i, 1, False) for i in ins))


main()
