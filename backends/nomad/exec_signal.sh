found=0 failed=0 helpers= children=
signal=$1 top=$2 session=$3 shell_only=$4
# read_stat PID: the fields of /proc/PID/stat after the name
read_stat() {
	stat= line=
	{ while IFS= read -r line; do stat=$stat$line; done; } 2>/dev/null <"/proc/$1/stat" || return 1
	stat=${stat##*) }
	[ -n "$stat" ]
}
# has_session PID/FILE: FILE is cmdline or environ
has_session() {
	match= line=
	{
		while IFS= read -r line || [ -n "$line" ]; do
			case $line in *NOMADCTLD_SESSION="$session"*) match=1 ;; esac
			line=
		done
	} 2>/dev/null <"/proc/$1"
	[ -n "$match" ]
}
send() {
	found=$((found+1))
	kill -s "$signal" "$1" 2>/dev/null || failed=$((failed+1))
}
[ -r /proc/self/stat ] || { echo none; exit 0; }
read_stat "$top" && set -- $stat && sid=$4 && has_session "$top/cmdline" || { echo "0 0"; exit 0; }
if [ -z "$shell_only" ]; then
	{ read -r children; } 2>/dev/null <"/proc/$top/task/$top/children"
	for pid in $children; do
		read_stat "$pid" && set -- $stat && [ "$1 $2" != "Z $top" ] && [ "$2" = "$top" ] && send "$pid"
	done
fi
# The shell's helpers may have children with a lower process ID, so look twice.
again=
[ -z "$shell_only" ] || again=/proc/[0-9]*
for dir in /proc/[0-9]* $again; do
	pid=${dir#/proc/}
	case " $top $children $helpers " in *" $pid "*) continue ;; esac
	read_stat "$pid" || continue
	set -- $stat
	[ "$1" != Z ] || continue
	if [ -n "$shell_only" ]; then
		case " $top$helpers " in *" $2 "*) has_session "$pid/environ" || helpers="$helpers $pid" ;; esac
		continue
	fi
	[ "$2" = "$top" ] || { [ "$4" = "$sid" ] && has_session "$pid/environ"; } || continue
	send "$pid"
done
[ -z "$shell_only" ] || kill -s "$signal" "$top" $helpers 2>/dev/null
echo "$found $failed"
