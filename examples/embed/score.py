#!/usr/bin/env python3
"""One request, three candidates: the probabilities of the ESMM example, from Python with nothing but ctypes.

    mtlc build examples/esmm/esmm.mtl --model esmm.model --emit=shared,header -o esmm
    python3 score.py ./esmm.so
"""
import ctypes as c
import math
import sys


class Text(c.Structure):
    _fields_ = [("p", c.c_char_p), ("n", c.c_size_t)]


class Texts(c.Structure):
    _fields_ = [("item", c.POINTER(Text)), ("weight", c.POINTER(c.c_float)), ("n", c.c_size_t)]


class Error(c.Structure):
    _fields_ = [("status", c.c_int), ("code", c.c_char * 8), ("text", c.c_char * 1000)]


# In the order of esmm_rows in esmm.h.
class Rows(c.Structure):
    _fields_ = [("user_id", c.POINTER(Text)), ("gender", c.POINTER(Text)), ("age", c.POINTER(c.c_double)),
                ("item_id", c.POINTER(Text)), ("category", c.POINTER(Text)), ("tags", c.POINTER(Texts)),
                ("price", c.POINTER(c.c_double))]


def text(s):
    b = s.encode()
    return Text(b, len(b))


def texts(words):
    return Texts((Text * len(words))(*map(text, words)), None, len(words))


class Scorer:
    def __init__(self, library, path=None):
        self.lib = lib = c.CDLL(library)
        lib.esmm_work_bytes.restype = c.c_size_t
        lib.esmm_work_bytes.argtypes = [c.c_void_p, c.c_size_t]
        lib.esmm_output_name.restype = c.c_char_p
        lib.esmm_score.argtypes = [c.c_void_p, c.c_void_p, c.c_void_p, c.c_size_t, c.c_void_p, c.c_void_p]
        lib.esmm_close.argtypes = [c.c_void_p]
        self.error, self.model = Error(), c.c_void_p()
        self.check(lib.esmm_open(path and path.encode(), c.byref(self.model), c.byref(self.error)))
        self.work = c.create_string_buffer(lib.esmm_work_bytes(self.model, 0))
        self.names = []
        while lib.esmm_output_name(len(self.names)):
            self.names.append(lib.esmm_output_name(len(self.names)).decode())

    def check(self, status):
        if status:
            raise RuntimeError(self.error.text.decode())

    def score(self, rows):
        """rows: dicts by column; what is absent is missing.  A list of dicts by output."""
        n, k = len(rows), len(self.names)

        def column(name, kind, convert, missing):
            return (kind * n)(*(convert(r[name]) if name in r else missing for r in rows))

        r = Rows(column("user_id", Text, text, Text()), column("gender", Text, text, Text()),
                 column("age", c.c_double, float, math.nan), column("item_id", Text, text, Text()),
                 column("category", Text, text, Text()), column("tags", Texts, texts, Texts()),
                 column("price", c.c_double, float, math.nan))
        out = (c.c_float * (n * k))()
        self.check(self.lib.esmm_score(self.model, self.work, c.byref(r), n, out, c.byref(self.error)))
        return [dict(zip(self.names, out[i * k:(i + 1) * k])) for i in range(n)]

    def close(self):
        self.lib.esmm_close(self.model)


if __name__ == "__main__":
    scorer = Scorer(*sys.argv[1:])
    user = {"user_id": "u42", "gender": "F", "age": 34}
    items = [{"item_id": "i17", "category": "c3", "tags": ["t1", "t2", "t3"], "price": 19.9},
             {"item_id": "i4711", "category": "c3", "tags": ["t2"], "price": 250},
             {"item_id": "i99999999"}]
    for item, s in zip(items, scorer.score([{**user, **item} for item in items])):
        print(f"{item['item_id']} click {s['pctr']:.9g} buy {s['pctcvr']:.9g}")
    scorer.close()
