# Clients of a scorer that serves, kind and unkind: client.py FOLDER (made by run.sh).
# Prints a line "passed ..." or "failed: ..." for each thing looked at, and "done".
import atexit, csv, http.client, json, os, shutil, signal, socket, subprocess, sys, threading, time

folder = sys.argv[1]
at = lambda name: os.path.join(folder, name)
failures = 0


def verdict(good, what):
    global failures
    failures += not good
    print(("passed " if good else "failed: ") + what, flush=True)


class Server:
    def __init__(self, *options, program="server", listen="127.0.0.1:0"):
        self.process = subprocess.Popen([at(program), "serve", "--listen", listen, *options],
                                        stderr=subprocess.PIPE, text=True)
        first = self.process.stderr.readline()
        self.address = first.rsplit(" ", 1)[-1].strip()
        self.local = listen.startswith("unix:")
        if not self.local:
            host, port = self.address[len("http://"):].rsplit(":", 1)
            self.to = (host, int(port))
        else:
            self.to = listen[len("unix:"):]
        self.said = []
        atexit.register(self.process.kill)  # whatever becomes of this client
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stderr:
            self.said.append(line)

    def socket(self):
        s = socket.socket(socket.AF_UNIX if self.local else socket.AF_INET, socket.SOCK_STREAM)
        s.settimeout(10)
        s.connect(self.to)
        if not self.local:  # head and body are two packets: neither waits for the other's receipt
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def connection(self):
        c = http.client.HTTPConnection("localhost", timeout=10)
        c.sock = self.socket()
        return c

    def ask(self, path, body=None, method=None, connection=None, **headers):
        c = connection or self.connection()
        c.request(method or ("GET" if body is None else "POST"), path, body, headers)
        r = c.getresponse()
        text = r.read()
        if not connection:
            c.close()
        return r.status, text, r

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        code = self.process.wait(60)
        self.reader.join()
        self.process.stderr.close()
        return code

    def memory(self):
        with open("/proc/%d/status" % self.process.pid) as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))

    def metric(self, name):
        lines = self.ask("/metrics")[1].decode().splitlines()
        return sum(float(l.rsplit(" ", 1)[1]) for l in lines if l.startswith(name + " ") or l.startswith(name + "{"))


def raw(server, *pieces, wait=0, half=False):
    """What comes back for bytes as they stand, until the server closes."""
    s = server.socket()
    got = b""
    try:
        for i, p in enumerate(pieces):
            if i:
                time.sleep(wait)
            s.sendall(p)
        if half:
            s.shutdown(socket.SHUT_WR)
    except (ConnectionResetError, BrokenPipeError):
        pass  # what was said before is still there to be read
    try:
        while True:
            more = s.recv(1 << 16)
            if not more:
                break
            got += more
    except (ConnectionResetError, BrokenPipeError):
        pass
    s.close()
    return got


def head(body, path="/v2/models/kinds/score", length=None):
    n = len(body) if length is None else length
    return ("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path, n)).encode()


# ---- the log as bodies ----
request = ["user", "city", "day", "age", "income", "seen", "a b"]
candidate = ["item", "shelf", "price", "score", "similar", "place"]
lists = ["seen", "shelf", "similar"]
numbers = ["age", "income", "price", "score", "place"]
with open(at("kinds.csv"), newline="") as f:
    log = list(csv.DictReader(f))


def cell(name, text, turn):
    """A cell in one of the ways JSON can say it."""
    if not text and turn % 2:
        return None
    if name in lists and turn % 3:
        return text.split("|") if text else []
    if text and name in numbers and turn % 3:
        return float(text) if "." in text or turn % 2 else int(text)
    return text


def row(r, names, turn=0):
    return {k: cell(k, r[k], turn + i) for i, k in enumerate(names)}


def command_line(model="server", rows=log):
    with open(at("rows.csv"), "w", newline="") as f:
        w = csv.DictWriter(f, request + candidate, extrasaction="ignore")
        w.writeheader()
        w.writerows(rows)
    out = subprocess.run([at(model), at("rows.csv"), "--format", "jsonl"], capture_output=True, text=True, check=True)
    return out.stdout.splitlines()


def runs(rows):
    """Consecutive rows of one request."""
    got = []
    for r in rows:
        if got and all(got[-1][0][k] == r[k] for k in request):
            got[-1].append(r)
        else:
            got.append([r])
    return got


def scores_of(text):
    """The rows of an answer as they stand in it."""
    inside = text.decode().split('"scores":[', 1)[1].rsplit("]}", 1)[0]
    return [x if x.startswith("{") else "{" + x for x in (y + "}" for y in inside.split("},") if y)] if inside else []


def lines_of(text):
    got = scores_of(text)
    if got:
        got[-1] = got[-1].rstrip("}") + "}"
    return got


def tensor(name, values, side, turn):
    flat = lambda v: "" if v is None else v
    if name in lists and turn % 2:
        items = [(v.split("|") if v else []) for v in values]
        width = max(max(map(len, items)), 1)
        data = [[*i, *[""] * (width - len(i))] for i in items]
        if turn % 4 == 1:
            data = [x for d in data for x in d]
        return {"name": name, "shape": [len(values), width], "datatype": "BYTES", "data": data}
    if name in numbers:
        return {"name": name, "shape": [len(values), 1] if turn % 2 else [len(values)], "datatype": "FP64",
                "data": [float(v) if v else None for v in values]}
    return {"name": name, "shape": [len(values)], "datatype": "BYTES", "data": [flat(v) for v in values]}


def from_tensors(text):
    outputs = json.loads(text, parse_float=str, parse_int=str)["outputs"]
    return ["{" + ",".join('"%s":%s' % (o["name"], v) for o, v in zip(outputs, values)) + "}"
            for values in zip(*(o["data"] for o in outputs))]


def same_scores(server, what):
    expected = command_line()
    flat, split, tensors, cut = [], [], [], []
    c = server.connection()
    for from_ in range(0, len(log), 500):
        some = log[from_:from_ + 500]
        body = json.dumps({"candidates": [row(r, request + candidate, i) for i, r in enumerate(some)]})
        flat += lines_of(server.ask("/v2/models/kinds/score", body, connection=c)[1])
        body = json.dumps({"inputs": [tensor(k, [r[k] for r in some], 0, i) for i, k in enumerate(request + candidate)]})
        tensors += from_tensors(server.ask("/v2/models/kinds/infer", body, connection=c)[1])
    for i, some in enumerate(runs(log)):
        body = json.dumps({"context": row(some[0], request, i), "candidates": [row(r, candidate, j) for j, r in enumerate(some)]})
        split += lines_of(server.ask("/v2/models/kinds/score", body, connection=c)[1])
        body = json.dumps({"inputs": [tensor(k, [some[0][k]], 0, i + j) for j, k in enumerate(request)] +
                                     [tensor(k, [r[k] for r in some], 0, i + j) for j, k in enumerate(candidate)]})
        cut += from_tensors(server.ask("/v2/models/kinds/infer", body, connection=c)[1])
    c.close()
    for name, got in ("flat rows", flat), ("context and candidates", split), ("tensors", tensors), ("tensors, one request", cut):
        wrong = next((i for i, (a, b) in enumerate(zip(got, expected)) if a != b), None)
        verdict(got == expected, "%s, %s: %d rows as the command line's%s" % (
            what, name, len(got), "" if wrong is None else "; row %d: %s for %s" % (wrong, got[wrong], expected[wrong])))


# ---- what is asked for properly ----
server = Server("--threads", "2", "--timeout", "30")
same_scores(server, "tcp")
unix = Server("--threads", "1", listen="unix:" + at("socket"), program="dynamic")
same_scores(unix, "unix socket")
again = subprocess.run([at("server"), "serve", "--listen", "unix:" + at("socket")], capture_output=True, text=True)
verdict(again.returncode == 6, "a socket in use is not taken away: exit %d" % again.returncode)
verdict(unix.stop(signal.SIGINT) == 0 and not os.path.exists(at("socket")), "the socket is gone with its server")
unix = Server("--threads", "1", listen="unix:" + at("socket"))
unix.process.kill()
unix.process.wait()
unix = Server("--threads", "1", listen="unix:" + at("socket"))
verdict(unix.ask("/v2/health/live")[0] == 200, "a socket left by a dead server is replaced")
unix.stop()

# A sequence: its steps as lists and as texts, in the rows and in the context.
steps = Server("--threads", "1", program="steps")
with open(at("steps.csv"), newline="") as f:
    walks = list(csv.DictReader(f))
expected = subprocess.run([at("steps"), at("steps.csv"), "--format", "jsonl", "--on-bad-row", "null"], capture_output=True, text=True).stdout.splitlines()
got = []
for i, r in enumerate(walks):
    cells = {k: r[k].split("|") if r[k] and i % 2 else r[k] for k in ("what", "when")}
    body = {"context": cells, "candidates": [{"item": r["item"]}]} if i % 3 else {"candidates": [{**cells, "item": r["item"]}]}
    status, text, _ = steps.ask("/v2/models/steps/score", json.dumps(body))
    got += lines_of(text) if status == 200 else ['{"p":null}']  # one step in one column, none in the other
verdict(got == expected and len(set(got)) > 50, "steps: %d rows as the command line's" % len(got))
status, text, _ = steps.ask("/v2/models/steps/score", json.dumps({"candidates": [{"what": "a|b", "when": "1", "item": "x"}]}))
verdict(status == 400 and b"D0118" in text, "steps of unequal number: %d %s" % (status, text.decode().strip()))
steps.stop()

some = runs(log)[0][:3]
good = json.dumps({"context": row(some[0], request), "candidates": [row(r, candidate) for r in some], "id": "a \"b\"\u00e9"})
status, text, _ = server.ask("/v2/models/kinds/score", good)
answer = json.loads(text)
verdict(status == 200 and answer["id"] == "a \"b\"\u00e9" and answer["model_name"] == "kinds", "the id comes back")
version = answer["model_version"]
about = json.loads(server.ask("/v2/models/kinds")[1])
verdict(about["versions"] == [version] and [i["name"] for i in about["inputs"]] == request + candidate and
        [o["name"] for o in about["outputs"]] == ["p", "z"], "the model is described")
verdict(json.loads(server.ask("/v2")[1])["name"] == "mtlc", "the server is described")
for path, code in (("/v2/health/live", 200), ("/v2/health/ready", 200), ("/v2/models/kinds/ready", 200), ("/v2/models/kinds/", 200),
                   ("/v2/models/kinds/versions/%s" % version, 200), ("/v2/models/kinds/versions/0", 404), ("/v2/models/kind", 404),
                   ("/v2/models/kindsx", 404), ("/", 404), ("/v2/models/kinds/score", 405), ("/v2/models/kinds/versions/" + "9" * 99, 404)):
    got = server.ask(path)[0]
    verdict(got == code, "GET %.60s: %d, expected %d" % (path, got, code))
for path, code in (("/v2/health/live", 405), ("/v2/models/kinds/versions/%s/score" % version, 200),
                   ("/v2/models/kinds/versions/0/score", 404), ("/v2/models/other/score", 404)):
    got = server.ask(path, good)[0]
    verdict(got == code, "POST %s: %d, expected %d" % (path, got, code))
verdict(server.ask("/v2/models/kinds/score", good, "DELETE")[0] == 405, "DELETE: 405")
r = server.ask("/v2/health/live", method="HEAD")
verdict(r[0] == 200 and r[1] == b"", "HEAD")
empty = json.dumps({"candidates": []})
verdict(json.loads(server.ask("/v2/models/kinds/score", empty)[1])["scores"] == [], "no candidates, no scores")
chosen = {"inputs": [tensor(k, [some[0][k]], 0, 0) for k in request + candidate], "outputs": [{"name": "z"}]}
outputs = json.loads(server.ask("/v2/models/kinds/infer", json.dumps(chosen))[1])["outputs"]
verdict([o["name"] for o in outputs] == ["z"], "one output where one is asked for")
by_curl = subprocess.run(["curl", "-sS", "--fail", server.address + "/v2/models/kinds/score", "-d", "@-"], input=good,
                         capture_output=True, text=True)
verdict(by_curl.stdout.encode() == text, "curl gets the same bytes: %s" % by_curl.stderr)


# ---- bodies that are wrong: 400, and why ----
def change(f, **kw):
    body = json.loads(good)
    f(body)
    return json.dumps(body)


def wrong(name, body, say, path="/v2/models/kinds/score", code=400):
    status, text, _ = server.ask(path, body)
    try:
        why = json.loads(text)["error"]
    except (ValueError, KeyError):
        why = text.decode(errors="replace")
    verdict(status == code and say in why, "%s: %d %s" % (name, status, why))


wrong("nothing", "", "empty")
wrong("no JSON", "{\"candidates\": [", "not JSON")
wrong("garbage", bytes(range(256)), "not JSON")
wrong("half a character", b'{"candidates": ["\xc3"]}', "not JSON")
wrong("more behind it", good + "x", "not JSON")
wrong("an array", "[]", "not a JSON object")
wrong("a key twice", '{"candidates": [], "candidates": []}', "duplicate")
wrong("a NUL", '{"candidates": [], "id": "\\u0000"}', "not JSON")
wrong("a deep one", "[" * 100000, "within each other")
wrong("deep and closed", '{"candidates": ' + "[" * 9 + "]" * 9 + "}", "within each other")
wrong("more arrays than anybody needs", "[" + "[]," * 1300000 + "[]]", "can need")
wrong("brackets in a text are no depth", '{"candidates": [], "id": "' + "[" * 99 + '\\"["}', "[]", code=200)
wrong("an unknown key", '{"candidate": []}', "\"candidates\" meant")
wrong("no candidates", '{"context": {}}', "candidates")
wrong("a candidate that is none", '{"candidates": [1]}', "candidate 0")
wrong("a column too few", change(lambda b: b["context"].pop("income")), "income")
wrong("a column by a near name", change(lambda b: b["context"].update(incom=b["context"].pop("income"))), "\"incom\"")
wrong("a column twice", change(lambda b: b["candidates"][0].update(user="x")), "context and in a candidate")
wrong("no number", change(lambda b: b["candidates"][1].update(place="12,5")), "row 1: error[D0107]")
wrong("no number in the context", change(lambda b: b["context"].update(age="old")), "context: error[D0107]")
wrong("missing where it must not be", change(lambda b: b["candidates"][2].update(place=None)), "D0108")
wrong("out of range", change(lambda b: b["context"].update(income=-5)), "D0111")
wrong("a number too large", change(lambda b: b["candidates"][0].update(place=1e300)), "D0111")
wrong("a list for a value", change(lambda b: b["candidates"][0].update(item=["a"])), "one value")
wrong("an object for a value", change(lambda b: b["candidates"][0].update(item={})), "one value")
wrong("a list of lists", change(lambda b: b["candidates"][0].update(shelf=[["1"]])), "plain values")
wrong("a list too long", change(lambda b: b["context"].update(seen=["s"] * 5000)), "5000 items", code=413)


def tensors(f):
    body = {"inputs": [tensor(k, [r[k] for r in some], 0, 0) for k in request + candidate]}
    f(body)
    return json.dumps(body)


def infer(name, f, say):
    wrong("tensors: " + name, tensors(f), say, "/v2/models/kinds/infer")


infer("none", lambda b: b.pop("inputs"), "inputs")
infer("one missing", lambda b: b["inputs"].pop(), "place is missing")
infer("one twice", lambda b: b["inputs"].__setitem__(0, b["inputs"][1]), "twice")
infer("one too many", lambda b: b["inputs"].append(b["inputs"][0]), "14 inputs")
infer("an unknown name", lambda b: b["inputs"][0].update(name="usr"), "no such input")
infer("other numbers of rows", lambda b: b["inputs"][1].update(shape=[2], data=["a", "b"]), "rows")
infer("data and shape", lambda b: b["inputs"][1].update(shape=[4]), "rows")
infer("data and width", lambda b: b["inputs"][5].update(shape=[3, 2]), "shape")
infer("a huge shape", lambda b: b["inputs"][5].update(shape=[3, 2**62 + 1]), "shape")
infer("huge in both", lambda b: b["inputs"][5].update(shape=[2**62, 2**62]), "rows")
infer("a negative shape", lambda b: b["inputs"][1].update(shape=[-3]), "size")
infer("three dimensions", lambda b: b["inputs"][1].update(shape=[3, 1, 1]), "dimensions")
infer("two columns for one value", lambda b: b["inputs"][0].update(shape=[3, 2], data=["a"] * 6), "one value")
infer("a datatype of its own", lambda b: b["inputs"][0].update(datatype="TEXT"), "datatype")
infer("another datatype", lambda b: b["inputs"][0].update(datatype="INT64"), "not INT64")
infer("binary data", lambda b: b["inputs"][0].update(parameters={"binary_data_size": 3}), "binary")
infer("no such output", lambda b: b.update(outputs=[{"name": "q"}]), "no output")
infer("nested in part", lambda b: b["inputs"][5].update(shape=[3, 1], data=[["a"], "b", ["c"]]), "nested")

# ---- too large: 413 ----
many = json.dumps({"candidates": [{}] * 10001})
wrong("too many rows", many, "D0131", code=413)
small = Server("--max-body", "100000", "--threads", "1")
got = subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", small.address + "/v2/models/kinds/score", "--data-binary", "@-"],
                     input="x" * 3000000, capture_output=True, text=True)
verdict(got.stdout == "413", "a body of 3 MB where 100 kB are allowed: %s %s" % (got.stdout, got.stderr))
chunk = b"186a0\r\n" + b"x" * 100000 + b"\r\n"
got = raw(small, b"POST /v2/models/kinds/score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", chunk, chunk, b"0\r\n\r\n")
verdict(got.startswith(b"HTTP/1.1 413"), "the same in chunks: %r" % got[:40])
got = raw(small, head(b"", length=2**63))
verdict(got.startswith((b"HTTP/1.1 413", b"HTTP/1.1 400")), "a length beyond everything: %r" % got[:40])
got = raw(small, b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
verdict(got.startswith((b"HTTP/1.1 414", b"HTTP/1.1 431", b"HTTP/1.1 413")), "an endless line: %r" % got[:40])
verdict(small.ask("/v2/health/live")[0] == 200, "it lives after that")
small.stop()

# ---- too slow: 408; half closed; closed ----
slow = Server("--timeout", "1", "--idle", "1", "--threads", "1")
begin = time.monotonic()
for name, pieces in (("nothing said", []), ("half a line", [b"GET /v2/hea"]), ("half a head", [b"GET / HTTP/1.1\r\nHost:"]),
                     ("half a body", [head(good) + good.encode()[:50]]),
                     ("a body by drops", [head(good)] + [bytes([c]) for c in good.encode()[:60]])):
    got = raw(slow, *pieces, wait=0.05)
    verdict(got.startswith(b"HTTP/1.1 408"), "%s: %r" % (name, got[:40]))
got = raw(slow, b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
verdict(got.startswith(b"HTTP/1.1 200") and b"408" not in got, "an idle connection is closed without a word")
got = raw(slow, head(good) + good.encode(), half=True)
verdict(got.startswith(b"HTTP/1.1 200") and b"scores" in got, "half closed, it still gets its answer: %r" % got[:60])
for i in range(200):
    s = slow.socket()
    s.sendall(head(good) + good.encode()[:len(good) - i % 3])
    s.close()
verdict(slow.ask("/v2/models/kinds/score", good)[1] == text, "clients that leave at once")
got = raw(slow, (head(good) + good.encode()) * 3)
verdict(got.count(b"HTTP/1.1 200") == 3 and got.count(text) == 3, "three requests in one packet")
got = raw(slow, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\r\n\r\n")
verdict(slow.ask("/v2/health/live")[0] == 200, "TLS where none is spoken: %r" % got[:40])
slow.stop()

# ---- too many: 503 ----
few = Server("--max-connections", "3", "--threads", "1")
held = [few.socket() for _ in range(3)]
for s in held:  # they are counted once they have been answered
    s.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
    s.recv(4096)
got = few.ask("/v2/health/live")
verdict(got[0] == 503 and b"connections" in got[1], "one connection too many: %d %r" % got[:2])
held.pop().close()
for _ in range(100):  # until the server has seen it go
    got = few.ask("/v2/health/live")
    if got[0] == 200:
        break
    time.sleep(0.05)
verdict(got[0] == 200, "room again when one has gone")
for s in held:
    s.close()
few.stop()


def crowd(server, n, body):
    """n bodies whose last bytes arrive together."""
    lines = [server.socket() for _ in range(n)]
    for s in lines:
        s.sendall(head(body) + body[:-1])
    for s in lines:
        s.sendall(body[-1:])
    got = []
    for s in lines:
        r = http.client.HTTPResponse(s)
        r.begin()
        got.append((r.status, r.read()))
        s.close()
    return got


heavy = json.dumps({"context": row(log[0], request), "candidates": [row(r, candidate) for r in log] * 5}).encode()
narrow = Server("--threads", "1", "--max-queue", "1", "--timeout", "60", "--deadline", "60000")
whole = narrow.ask("/v2/models/kinds/score", heavy)[1]
got = crowd(narrow, 24, heavy)
full = [t for s, t in got if s == 503]
verdict(len(full) > 0 and all(b"queue is full" in t for t in full), "a full queue: %d of 24 are turned away" % len(full))
verdict(all(t == whole for s, t in got if s == 200) and any(s == 200 for s, _ in got), "the others get all of theirs")
verdict(narrow.metric("mtlc_queue") == 0 and narrow.metric("mtlc_buffered_bytes") == 0, "nothing is left over")
narrow.stop()
late = Server("--threads", "1", "--deadline", "1", "--timeout", "60")
got = crowd(late, 24, heavy)
shed = [t for s, t in got if s == 503]
verdict(any(b"deadline" in t for t in shed), "%d of 24 waited longer than their deadline" % len(shed))
late.stop()
tight = Server("--threads", "1", "--max-buffered", "1000000", "--timeout", "60", "--deadline", "60000")
got = crowd(tight, 12, heavy)
verdict(any(s == 503 and b"held" in t for s, t in got), "more bytes than may be held: %s" % sorted(s for s, _ in got))
tight.stop()

# ---- nothing grows ----
bodies = [("/v2/models/kinds/score", good, 200), ("/v2/models/kinds/score", good[:-9], 400), ("/v2/models/kinds/infer", tensors(lambda b: 0), 200),
          ("/v2/models/kinds/score", many, 413), ("/nothing", "x" * 1000, 404)]


def mixed(n):
    c = server.connection()
    for i in range(n):
        path, body, code = bodies[3 if i % 100 == 0 else i % 3 if i % 7 else 4]
        if server.ask(path, body, connection=c)[0] != code:
            verdict(False, "an answer among thousands")
            return
        if i % 50 == 0 or code == 413:
            c.close()
            c = server.connection()
    c.close()


mixed(1500)
before = server.memory()
mixed(4000)
for body, code in (('{"id": [' + '"",' * 1300000 + '""]}', 400), ("[" + "1," * 2000000 + "1]", 400), (many, 413)):
    verdict(server.ask("/v2/models/kinds/score", body)[0] == code, "a body that is large when parsed")
after = server.memory()
verdict(after - before < 2048, "memory after 1500 requests %d kB, after 5500 %d kB" % (before, after))
verdict(server.metric("mtlc_requests_total") > 5000 and server.metric("mtlc_buffered_bytes") == 0, "they are counted")
verdict(server.stop() == 0, "it ends well")

# ---- another model, in one piece ----
shutil.copy(at("one.model"), at("live.model"))
server = Server("--threads", "2", "--model", at("live.model"), "--deadline", "60000", "--timeout", "60")
body = json.dumps({"context": row(log[0], request), "candidates": [row(log[0], candidate)] * 300})
answers = [server.ask("/v2/models/kinds/score", body)[1]]


def put(name):
    shutil.copy(at(name), at("new.model"))
    os.rename(at("new.model"), at("live.model"))


def load():
    return server.ask("/v2/repository/models/kinds/load", "")


put("two.model")
verdict(load()[0] == 200, "load")
answers.append(server.ask("/v2/models/kinds/score", body)[1])
verdict(answers[0] != answers[1], "two models differ")
stop, seen, odd = threading.Event(), [0, 0], []


def keep_asking():
    c = server.connection()
    while not stop.is_set():
        t = server.ask("/v2/models/kinds/score", body, connection=c)[1]
        if t in answers:
            seen[answers.index(t)] += 1
        else:
            odd.append(t)
    c.close()


threads = [threading.Thread(target=keep_asking) for _ in range(3)]
for t in threads:
    t.start()
for i in range(40):
    put("one.model" if i % 2 == 0 else "two.model")
    if i % 4 < 2:
        before = server.metric("mtlc_reloads_total")
        server.process.send_signal(signal.SIGHUP)
        while server.metric("mtlc_reloads_total") == before:
            time.sleep(0.01)
    else:
        load()
stop.set()
for t in threads:
    t.join()
verdict(not odd and min(seen) > 0, "%d and %d answers of one model each, %d of neither" % (*seen, len(odd)))
verdict(server.ask("/v2/models/kinds/score", body)[1] == answers[1], "the last model stays")

# ---- a file that is not right: the model stays ----
with open(at("one.model"), "rb") as f:
    whole = f.read()
for name, content in (("cut", whole[:-1]), ("one bit", whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:]), ("empty", b""),
                      ("text", b"{}" * 5000), ("of another model", open(at("foreign.model"), "rb").read())):
    with open(at("broken.model"), "wb") as f:
        f.write(content)
    os.rename(at("broken.model"), at("live.model"))
    status, text, _ = load()
    verdict(status == 409 and b"error[F" in text, "a file %s is refused: %d %s" % (name, status, text.decode().strip()))
os.remove(at("live.model"))
verdict(load()[0] == 409, "a file that is not there")
verdict(server.ask("/v2/models/kinds/score", body)[1] == answers[1] and server.metric('mtlc_reloads_total{result="refused"}') == 6,
        "the model is the one before")
put("one.model")
load()
verdict(server.ask("/v2/models/kinds/score", body)[1] == answers[0], "a good file is taken after bad ones")
os.remove(at("live.model"))
server.process.send_signal(signal.SIGHUP)
while server.metric('mtlc_reloads_total{result="refused"}') < 7:
    time.sleep(0.01)
verdict(server.ask("/v2/models/kinds/score", body)[1] == answers[0], "SIGHUP without a file changes nothing")

# ---- the end: what is at work is answered ----
line = server.socket()
line.sendall(head(heavy) + heavy)
while server.metric("mtlc_working") + server.metric("mtlc_queue") == 0 and server.metric("mtlc_answer_seconds_count") < 1:
    pass
server.process.send_signal(signal.SIGTERM)
r = http.client.HTTPResponse(line)
r.begin()
answer = r.read()
verdict(r.status == 200 and len(json.loads(answer)["scores"]) == 5 * len(log), "SIGTERM: the answer at work arrives whole")
verdict(server.process.wait(60) == 0, "and the server ends with 0")
server.reader.join()
verdict(any("still serving the model as it was" in l for l in server.said), "a refused file is said on stderr")
try:
    server.socket()
    verdict(False, "it still listens")
except OSError:
    verdict(True, "nobody listens any more")
print("done")
sys.exit(1 if failures else 0)
