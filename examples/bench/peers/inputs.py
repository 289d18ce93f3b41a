"""What an ONNX file of mtlc takes, one input a line: name, type, is it a list, table rows, side.

    inputs.py MODEL.onnx SCORER
"""
import json
import mmap
import subprocess
import sys


def inputs_of(path):
    """The metadata "mtlc.inputs": a string field behind the key's."""
    with open(path, "rb") as f:
        data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
    at = data.find(b"mtlc.inputs") + len(b"mtlc.inputs") + 1
    n = shift = 0
    while True:
        byte = data[at]
        at += 1
        n |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return json.loads(data[at:at + n])


def side_of_sequence(all_inputs, side, sequence):
    return next(side[i["feature"]] for i in all_inputs.values() if i.get("sequence") == sequence and "feature" in i)


def inputs(path, scorer):
    info = json.loads(subprocess.run([scorer, "info", "--json"], stdout=subprocess.PIPE, check=True).stdout)
    side = {i["name"]: i["side"] for i in info["inputs"]}
    for name, of in inputs_of(path).items():
        if of["kind"] == "length":  # as many steps as the random lists have items
            yield name, "int64", 0, -4, side_of_sequence(inputs_of(path), side, of["sequence"])
            continue
        if of.get("weights_of"):
            kind = "float"
        elif of["kind"] == "real" or not of.get("code"):
            kind = "double"
        else:
            kind = "int64"
        rows = 2 + (len(of["words"]) if "words" in of else of.get("n", 0))
        yield name, kind, int(of["kind"] == "ids"), rows, side.get(of["feature"], "candidate")


if __name__ == "__main__":
    for line in inputs(sys.argv[1], sys.argv[2]):
        print(*line)
