# client.py SERVER LOG.csv: what a server of ranker.mtl answers, a JSON line for each row of the log; each group is a request,
# every second one as whole rows.
import csv, http.client, itertools, json, subprocess, sys

server = subprocess.Popen([sys.argv[1], "serve", "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True)
try:
    host, port = server.stderr.readline().rsplit(" ", 1)[-1].strip()[len("http://"):].rsplit(":", 1)
    with open(sys.argv[2], newline="") as f:
        groups = [list(rows) for _, rows in itertools.groupby(csv.DictReader(f), lambda r: r["q"])]
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    pick = lambda row, names: {k: row[k] for k in names}
    request, candidate = ["user_id", "liked"], ["item_id", "words", "price"]
    for i, rows in enumerate(groups):
        body = {"candidates": [pick(r, request + candidate) for r in rows]} if i % 2 else {
            "context": pick(rows[0], request), "candidates": [pick(r, candidate) for r in rows]}
        connection.request("POST", "/v2/models/ranker/score", json.dumps(body))
        text = connection.getresponse().read().decode()
        # The scores as they stand: their digits are what is compared.
        inner = text[text.index('"scores":[') + len('"scores":['):text.rindex("]")].strip()
        print(inner.replace("},\n", "}\n").replace("},{", "}\n{").replace("\n ", "\n"))
finally:
    server.kill()
    server.wait()
