# Exits with 100 plus the number of zombies that the container's first process has inherited and not reaped, at most
# 200. A first process that reaps may need a moment.
cd /proc 2>/dev/null || exit 4
zombies() {
	found=
	for p in [0-9]*; do
		read_stat "$p" && [ "$state $parent" = "Z 1" ] && found="$found $p"
	done
}
zombies
if [ -n "$found" ]; then
	before=$found
	sleep 0.5
	zombies
	set --
	for p in $found; do
		case "$before " in *" $p "*) set -- "$@" "$p" ;; esac
	done
	exit $(($# < 100 ? $# + 100 : 200))
fi
exit 100
