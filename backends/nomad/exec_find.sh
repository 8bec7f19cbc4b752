mark=NOMADCTLD_SESSION=$1
stat() {
	x= l=
	{ while IFS= read -r l; do x=$x$l; done; } 2>/dev/null <"/proc/$1/stat" || return 1
	x=${x##*) }
	[ -n "$x" ]
}
holds() {
	m= l=
	{ while IFS= read -r l || [ -n "$l" ]; do case $l in *"$mark"*) m=1 ;; esac; l=; done; } 2>/dev/null <"/proc/$1/cmdline"
	[ -n "$m" ]
}
[ -r /proc/self/stat ] || { echo none; exit 0; }
tops= parts=
for d in /proc/[0-9]*; do
	p=${d#/proc/}
	holds "$p" && stat "$p" && set -- $x && [ "$1" != Z ] || continue
	if holds "$2"; then parts="$parts $2:$p"; else tops="$tops $p"; fi
done
found=
for t in $tops; do
	n=0 last=0
	for p in $parts; do
		[ "${p%:*}" = "$t" ] || continue
		n=$((n+1)) p=${p#*:}
		[ "$p" -lt "$last" ] || last=$p
	done
	if [ $n -gt 1 ]; then found="$found $last.$t"; else found="$found $t.$t"; fi
done
echo "found$found"
