# Plays ClickHouse and Spark to a scorer: play.py FOLDER (made by run.sh).
import csv, importlib.util, json, os, subprocess, sys, xml.etree.ElementTree

folder = sys.argv[1]
scorer = os.path.join(folder, "scorer")
failures = 0


def verdict(good, what):
    global failures
    failures += not good
    print(("passed " if good else "failed: ") + what, flush=True)


names = ["user_id", "gender", "age", "item_id", "category", "tags", "price"]
with open(os.path.join(folder, "funnel.csv"), newline="") as f:
    log = list(csv.DictReader(f))


def line(r):
    row = {k: r[k] or None for k in names}
    row["age"] = float(r["age"]) if r["age"] else None
    row["tags"] = r["tags"].split("|") if r["tags"] else []
    row["price"] = float(r["price"]) if r["price"] else None
    return json.dumps(row) + "\n"


rows = [line(r) for r in log]
expected = subprocess.run([scorer, os.path.join(folder, "funnel.csv"), "--format", "jsonl"], capture_output=True, text=True,
                          check=True).stdout.splitlines(True)
null = '{"pctr":null,"pcvr":null,"pctcvr":null}\n'
bad = ["\n", "not JSON\n", "[1]\n", line(log[0]).replace('"age": ', '"age": "x", "was": '), "\n"]

# ---- ClickHouse: a process that stays; a block is written, its answers are read, then the next ----
function = xml.etree.ElementTree.parse("examples/pipe/clickhouse_function.xml").find("function")
verdict([a.findtext("name") for a in function.findall("argument")] == names and function.findtext("return_name") == "pctcvr",
        "the function's arguments are the model's columns")
command = [scorer] + function.findtext("command").split()[1:]


def play(blocks, answers, what):
    p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    good = True
    for block, answer in zip(blocks, answers):
        p.stdin.write("".join(block))
        p.stdin.flush()
        good &= [p.stdout.readline() for _ in block] == answer  # before the input ends, or this waits for ever
    p.stdin.close()
    left = p.stdout.read()
    good &= left == "" and p.wait() == 0
    verdict(good, what)


cuts = [0, 1, 2, 10, 100, 1100, 1101, 3000]
play([rows[a:b] for a, b in zip(cuts, cuts[1:])], [expected[a:b] for a, b in zip(cuts, cuts[1:])], "blocks of every size, answered one by one")
play([rows[:3], bad, rows[3:5], ["\n"], [rows[5], bad[1], rows[6]]],
     [expected[:3], [null] * 5, expected[3:5], [null], [expected[5], null, expected[6]]], "bad rows among good ones: a null each")
play([["\n"], ["no JSON\n", "\n"], rows[:2]], [[null], [null] * 2, expected[:2]], "a bad row first")
play([bad], [[null] * 5], "nothing but bad rows")

# ---- Spark: a process for each partition ----
spec = importlib.util.spec_from_file_location("spark", "examples/pipe/spark.py")
spark = importlib.util.module_from_spec(spec)
spec.loader.exec_module(spark)
command = spark.command(scorer, ["user_id", "item_id"])


def partition(lines):
    p = subprocess.run(command, input="".join(lines), capture_output=True, text=True)
    return p.returncode, [json.loads(l) for l in p.stdout.splitlines()], p.stderr


code, got, said = partition(rows[:700])
verdict(code == 0 and [(g.pop("user_id"), g.pop("item_id")) for g in got] == [(r["user_id"], r["item_id"]) for r in log[:700]] and
        got == [json.loads(e) for e in expected[:700]], "a partition: the rows' names and scores: " + said)
code, got, said = partition([])
verdict(code == 0 and got == [], "an empty partition: %d %s" % (code, said))
code, got, said = partition(rows[:2] + [bad[3]] + bad[1:2] + rows[2:4])
verdict(code == 0 and len(got) == 6 and got[2]["user_id"] == log[0]["user_id"] and got[2]["pctr"] is None and got[3]["user_id"] == "",
        "bad rows keep what of their names can be read: " + said)
code, got, said = partition([r.replace('"item_id"', '"item"') for r in rows[:5]])
verdict(code == 4 and "item_id" in said, "columns of another table: %d %s" % (code, said))
print("done")
sys.exit(1 if failures else 0)
