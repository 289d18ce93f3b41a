# tensor FILE NAME: the numbers of a tensor of a model file, one a line.
tensor() {
	size=$(od -An -t u8 -N 8 "$1" | tr -d ' ')
	place=$(tail -c +9 "$1" | head -c "$size" | sed -n "s/.*\"$2\":{[^}]*\"data_offsets\":\[\([0-9]*\),\([0-9]*\)\].*/\1 \2/p")
	od -An -v -t f4 -w4 -j $((8 + size + ${place% *})) -N $((${place#* } - ${place% *})) "$1"
}
