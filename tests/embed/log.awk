# A log for kinds.mtl: awk -v rows=N -f log.awk.  Users come in runs of changing length; cells are odd on purpose:
# missing, unknown, cut, weighted, negative, far away.
function pick(n) { seed = (seed * 1103515245 + 12345) % 2147483648; return int(seed / 65536) % n }
function list(prefix, n, limit, weighted,  i, s, w) {
	s = ""
	for (i = 0; i < n; i++) s = s (i ? "|" : "") prefix pick(limit) (weighted && pick(2) ? ":" pick(40) / 8 : "")
	return s
}
BEGIN {
	seed = 7
	print "clk,user,city,day,age,income,seen,a b,item,shelf,price,score,similar,place,spare,later"
	split("rome oslo lima paris", town, " ")
	for (row = 0; row < rows; row++) {
		if (left-- <= 0) {
			# The first request has more candidates, and each a longer list, than go through at once.
			left = row == 0 ? 300 : pick(5) ? pick(9) : 200 + pick(200)
			user = pick(8) ? "u" pick(90) : ""
			request = user "," (pick(6) ? town[1 + pick(4)] : "") "," (pick(6) ? pick(9) - 1 : "") "," \
				(pick(5) ? 10 + pick(60) / 2 : "") "," (pick(4) ? pick(100000) / 7 - 0.5 : "") "," \
				list("s", row > 0 && pick(7) ? pick(12) : 90, 60, pick(2)) "," (pick(5) ? "w" pick(25) : "")
		}
		print (pick(4) == 0) "," request "," (pick(9) ? "i" pick(100) : "") "," list("", pick(6), 11, pick(3) == 0) "," \
			(pick(5) ? pick(1000) / 9 : "") "," (pick(5) ? pick(2000) / 100 - 10 : "") "," list("i", pick(5), 100, pick(2)) "," \
			pick(7) - 3 ".25,x" pick(5) ",y" pick(5)
	}
}
