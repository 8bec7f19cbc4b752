session=NOMADCTLD_SESSION=$1
# read_stat PID: the fields of /proc/PID/stat after the name
read_stat() {
	stat= line=
	{ while IFS= read -r line; do stat=$stat$line; done; } 2>/dev/null <"/proc/$1/stat" || return 1
	stat=${stat##*) }
	[ -n "$stat" ]
}
is_wrapper() {
	match= line=
	{
		while IFS= read -r line || [ -n "$line" ]; do
			case $line in *"$session"*) match=1 ;; esac
			line=
		done
	} 2>/dev/null <"/proc/$1/cmdline"
	[ -n "$match" ]
}
[ -r /proc/self/stat ] || { echo none; exit 0; }
tops= children=
for dir in /proc/[0-9]*; do
	pid=${dir#/proc/}
	is_wrapper "$pid" && read_stat "$pid" && set -- $stat && [ "$1" != Z ] || continue
	if is_wrapper "$2"; then children="$children $2:$pid"; else tops="$tops $pid"; fi
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
