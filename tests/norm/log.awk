# A log for deep.mtl: awk -v rows=N -v seed=S -f log.awk
BEGIN {
	srand(seed)
	print "user_id,age,past,item_id,price,clk,pay"
	for (r = 0; r < rows; r++) {
		past = ""
		for (k = int(rand() * 5); k > 0; k--) past = past (past == "" ? "" : " ") int(rand() * 60)
		age = 18 + int(rand() * 60); price = int(rand() * 1000) / 10; item = int(rand() * 150)
		p = 1 / (1 + exp((age - 45) / 15 + (item % 5) - 2))
		clk = rand() < p
		print "u" int(rand() * 200) "," age "," past "," "i" item "," price "," clk "," (clk && rand() < price / 100)
	}
}
