"""How long torch takes for a step of whole training, rows of table ids in memory: a peer of `PROG bench`.

    torch_training.py MODEL BATCH [SECONDS]    MODEL: esmm360, mmoe (examples/mmoe), fwfm30, tables

The fastest way found for each part.  All tables of a model are one array of rows, so that a step has one gather; the rows
touched are found by one sort, their gradients added by index_add, and rows and moments read and written back once: half the
time of torch.unique, a third of sparse gradients with torch.optim.  Experts are stacked: one product for all first layers.
Dense parameters are stepped by Adam, foreach.  `tables` is torch's own sparse Adagrad on one table of width 16, for
twenty ids a row: BATCH is the number of its rows.  Prints the median and the least step, microseconds.
"""
import sys
import time

import torch
from torch.nn import functional as F

torch.manual_seed(1)
THREADS = torch.get_num_threads()


def linear(i, o, bias=True):
    w = torch.empty(i, o).uniform_(-(6 / (i + o)) ** 0.5, (6 / (i + o)) ** 0.5).requires_grad_()
    return [w] + ([torch.zeros(o, requires_grad=True)] if bias else [])


class Tables:
    """Rows of all tables; gathered as a leaf, stepped where touched.  moments: 1 Adagrad, 2 Adam."""

    def __init__(self, sizes, width, moments, lr):
        self.first = torch.tensor([0] + sizes[:-1]).cumsum(0)
        self.w = torch.randn(sum(sizes), width) * 0.01
        self.m = [torch.zeros(sum(sizes), width) for _ in range(moments)]
        self.sizes, self.lr, self.t = sizes, lr, 0

    def draw(self, batch):
        return torch.stack([torch.randint(0, n, (batch,)) for n in self.sizes], 1)

    def gather(self, ids):
        self.flat = (ids + self.first).reshape(-1)
        self.x = self.w.index_select(0, self.flat).requires_grad_()
        return self.x

    def step(self):
        key, order = torch.sort(self.flat)
        fresh = torch.ones_like(key, dtype=torch.bool)
        torch.ne(key[1:], key[:-1], out=fresh[1:])
        rows = key[fresh]
        place = torch.empty_like(order)
        place[order] = fresh.cumsum(0).sub_(1)
        g = torch.zeros(len(rows), self.w.shape[1]).index_add_(0, place, self.x.grad)
        w = self.w.index_select(0, rows)
        self.t += 1
        if len(self.m) == 1:
            a = self.m[0].index_select(0, rows).addcmul_(g, g)
            self.m[0].index_copy_(0, rows, a)
            w.addcdiv_(g, a.sqrt_().add_(1e-8), value=-self.lr)
        else:
            m = self.m[0].index_select(0, rows).mul_(0.9).add_(g, alpha=0.1)
            v = self.m[1].index_select(0, rows).mul_(0.999).addcmul_(g, g, value=0.001)
            self.m[0].index_copy_(0, rows, m)
            self.m[1].index_copy_(0, rows, v)
            c1, c2 = 1 - 0.9 ** self.t, 1 - 0.999 ** self.t
            w.addcdiv_(m, v.div_(c2).sqrt_().add_(1e-8), value=-self.lr / c1)
        self.w.index_copy_(0, rows, w)


class Esmm:
    """Two towers 360-200-80-1; their first layers side by side."""

    def __init__(self):
        self.tables = Tables([100_000] * 20, 18, 1, 0.05)
        self.first = linear(360, 400)
        self.towers = [linear(200, 80) + linear(80, 1) for _ in range(2)]
        self.parameters = self.first + sum(self.towers, [])

    def loss(self, x, y):
        h = torch.relu(torch.addmm(self.first[1], x.view(-1, 360), self.first[0]))
        z = [torch.addmm(t[3], torch.relu(torch.addmm(t[1], u, t[0])), t[2])[:, 0] for u, t in zip(h.split(200, 1), self.towers)]
        # P(buy) = P(click) P(buy | click), as logits of log probabilities: no clamp.
        both = F.logsigmoid(z[0]) + F.logsigmoid(z[1])
        miss = torch.log(-torch.expm1(both))
        return F.binary_cross_entropy_with_logits(z[0], y[0]) - (y[1] * both + (1 - y[1]) * miss).mean()


class Mmoe:
    """39 ids of width 8, 8 experts of one layer of 16, two gates, two towers 8-1: all of x's products are one."""

    def __init__(self):
        self.tables = Tables(SIZES, 8, 2, 2e-3)
        self.first = linear(312, 128)
        self.gates = linear(312, 16, False)
        self.hidden = [torch.randn(2, 16, 8).mul_(0.3).requires_grad_(), torch.zeros(2, 1, 8, requires_grad=True)]
        self.last = [torch.randn(2, 8, 1).mul_(0.3).requires_grad_(), torch.zeros(2, 1, 1, requires_grad=True)]
        self.parameters = self.first + self.gates + self.hidden + self.last

    def loss(self, x, y):
        x = x.view(-1, 312)
        e = torch.relu(torch.addmm(self.first[1], x, self.first[0])).view(-1, 8, 16)
        g = torch.softmax(torch.mm(x, self.gates[0]).view(-1, 2, 8), 2)
        f = torch.bmm(g, e).transpose(0, 1)  # [2, n, 16]
        h = torch.relu(torch.baddbmm(self.hidden[1], f, self.hidden[0]))
        z = torch.baddbmm(self.last[1], h, self.last[0])[:, :, 0]
        return F.binary_cross_entropy_with_logits(z, y) * 2


class Fwfm:
    """Thirty fields of width 16: the weighted sum of all pairs by one product with an upper triangle."""

    def __init__(self):
        self.tables = Tables([100_000] * 30, 16, 1, 0.05)
        self.r = torch.ones(435, requires_grad=True)
        self.i, self.j = torch.triu_indices(30, 30, 1)
        self.heads = linear(496, 2)
        self.parameters = [self.r] + self.heads

    def loss(self, x, y):
        v = x.view(-1, 30, 16).transpose(0, 1).reshape(30, -1)  # a quarter faster than a product for each row
        r = torch.zeros(30, 30).index_put((self.i, self.j), self.r)
        second = (v * torch.mm(r, v)).view(30, -1, 16).sum(0)
        z = torch.addmm(self.heads[1], torch.cat([x.view(-1, 480), second], 1), self.heads[0]).t()
        both = F.logsigmoid(z[0]) + F.logsigmoid(z[1])
        miss = torch.log(-torch.expm1(both))
        return F.binary_cross_entropy_with_logits(z[0], y[0]) - (y[1] * both + (1 - y[1]) * miss).mean()


class Sparse:
    """What torch has of its own: nn.Embedding with sparse gradients, and its Adagrad."""

    def __init__(self, rows):
        self.table = torch.nn.Embedding(rows, 16, sparse=True)
        self.adagrad = torch.optim.Adagrad(self.table.parameters(), 0.05)

    def run(self, ids, g):
        self.adagrad.zero_grad(set_to_none=True)
        self.table(ids).backward(g)
        self.adagrad.step()


# Rows of the tables of examples/features/census.mtl.
SIZES = [122] + [10_002] * 4 + [4] + [10_002] * 9 + [5, 4] + [10_002, 102, 102] + [10_002] * 9 + [12, 5, 55] + [10_002] * 7


def trainer(model, batch):
    adam = torch.optim.Adam(model.parameters, 1e-3, foreach=True)
    data = []
    for _ in range(16):
        click = torch.randint(0, 2, (batch,)).float()
        data.append((model.tables.draw(batch), torch.stack([click, click * torch.randint(0, 2, (batch,))])))

    def step(k):
        ids, y = data[k % len(data)]
        adam.zero_grad(set_to_none=True)
        model.loss(model.tables.gather(ids), y).backward()
        adam.step()
        model.tables.step()

    return step


def main():
    name, batch = sys.argv[1], int(sys.argv[2])
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 3
    if name == "tables":
        sparse = Sparse(batch)
        ids = [torch.randint(0, batch, (1024, 20)) for _ in range(16)]
        g = torch.randn(1024, 20, 16)
        step = lambda k: sparse.run(ids[k % len(ids)], g)
    else:
        step = trainer({"esmm360": Esmm, "mmoe": Mmoe, "fwfm30": Fwfm}[name](), batch)
    for k in range(5):
        step(k)
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        step(len(times))
        times.append(time.perf_counter() - start)
    times.sort()
    print(f"torch {name} {batch} {1e6 * times[len(times) // 2]:.1f} {1e6 * times[0]:.1f}")


main()
