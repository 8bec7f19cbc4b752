session_id=$1
[ -r /proc/self/stat ] || { echo none; exit 0; }
tops= children=
for dir in /proc/[0-9]*; do
	pid=${dir#/proc/}
	has_session "$pid/cmdline" && read_stat "$pid" && [ "$state" != Z ] || continue
	# A wrapper whose parent is a wrapper is a child process of that one.
	if has_session "$parent/cmdline"; then children="$children $parent:$pid"; else tops="$tops $pid"; fi
done
found=
for top in $tops; do
	n=0 last=0
	for pid in $children; do
		[ "${pid%:*}" = "$top" ] || continue
		n=$((n+1)) pid=${pid#*:}
		[ "$pid" -lt "$last" ] || last=$pid
	done
	if [ $n -gt 1 ]; then found="$found $last.$top"; else found="$found $top.$top"; fi
done
echo "found$found"
