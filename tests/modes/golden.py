#!/usr/bin/env python3
"""Losses and gradients of chains of probabilities in 80-digit arithmetic, as tests/modes/golden.txt has them.

AND: P(buy) = s(a) s(b).  ESM2: P(buy) = s(a) (s(w) s(p) + (1 - s(w)) s(q)).  A line for each label y of bce:
KIND LOGITS... | y | loss | gradients by the logits
"""
from decimal import Decimal, getcontext

getcontext().prec = 80
AND = ["0 0", "-2 1", "-5 -5", "-20 -20", "-40 -40", "20 20", "40 40", "20 -20", "-3 -40", "100 100"]
ESM2 = ["0 0 0 0", "-3 -2 -1 -4", "-4 -2.5 1 -6", "-20 -20 -20 -20", "20 20 20 -20", "20 -20 20 -20", "40 40 40 40", "-5 3 -30 -30.5"]


def s(z):
    return 1 / (1 + (-z).exp())


def probability(z):
    """p, 1 - p without cancellation, and dp by each logit."""
    a = z[0]
    if len(z) == 2:
        return s(a) * s(z[1]), s(-a) + s(a) * s(-z[1]), [s(a) * s(-a) * s(z[1]), s(a) * s(z[1]) * s(-z[1])]
    w, p, q = z[1:]
    c = s(w) * s(p) + s(-w) * s(q)
    no = s(w) * s(-p) + s(-w) * s(-q)
    return s(a) * c, s(-a) + s(a) * no, [s(a) * s(-a) * c, s(a) * s(w) * s(-w) * (s(p) - s(q)),
                                         s(a) * s(w) * s(p) * s(-p), s(a) * s(-w) * s(q) * s(-q)]


for kind, rows in ("and", AND), ("esm2", ESM2):
    for row in rows:
        p, no, d = probability([Decimal(x) for x in row.split()])
        for y, loss, g in (1, -p.ln(), [-x / p for x in d]), (0, -no.ln(), [x / no for x in d]):
            print(kind, row, "|", y, "|", f"{loss:.17e}", "|", *(f"{x:.17e}" for x in g))
