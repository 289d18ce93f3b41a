# awk -v rows=N -v seed=S -f log.awk: a log with a list of 0 to 9 steps a request, which has 1 to 40 rows (every seventh 60).
function draw(n) { state = (state * 69069 + 12345) % 4294967296; return int(state / 65536) % n }
BEGIN {
	state = seed; print "user_id,seen_item,seen_kind,seen_wait,item_id,price,click"
	for (request = 0; rows > 0; request++) {
		user = draw(50); n = draw(10); items = kinds = waits = ""; liked = 0
		for (t = 0; t < n; t++) {
			i = draw(60); k = draw(3); b = t ? " " : ""
			items = items b i; kinds = kinds b (k == 2 ? "" : k ? "b" : "a"); waits = waits b (k == 0 ? "" : draw(90) / 10)
			if (k == 1) liked = i
		}
		if (n == 1 && kinds == "") kinds = "a"
		if (n == 1 && waits == "") waits = "2"
		for (c = request % 7 == 3 ? 60 : 1 + draw(40); c > 0 && rows > 0; c--) {
			i = draw(60); p = (i % 6 == liked % 6 ? 20 : 5) + (n > 4 ? 60 : 5)
			print "u" user "," items "," kinds "," waits "," i "," draw(100) / 10 "," (draw(100) < p); rows--
		}
	}
}
