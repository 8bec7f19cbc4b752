signal=$1 top=$2 session_id=$3 shell_only=$4
found=0 failed=0 helpers= children=
send() {
	found=$((found+1))
	kill -s "$signal" "$1" 2>/dev/null || failed=$((failed+1))
}
[ -r /proc/self/stat ] || { echo none; exit 0; }
read_stat "$top" && has_session "$top/cmdline" || { echo "0 0"; exit 0; }
top_session=$session
if [ -z "$shell_only" ]; then
	{ read -r children; } 2>/dev/null <"/proc/$top/task/$top/children"
	for pid in $children; do
		read_stat "$pid" && [ "$state" != Z ] && [ "$parent" = "$top" ] && send "$pid"
	done
fi
# The wrapper's stdin reader and its children may have lower process IDs than their parents, so look twice.
again=
[ -z "$shell_only" ] || again=/proc/[0-9]*
for dir in /proc/[0-9]* $again; do
	pid=${dir#/proc/}
	case " $top $children $helpers " in *" $pid "*) continue ;; esac
	read_stat "$pid" && [ "$state" != Z ] || continue
	if [ -n "$shell_only" ]; then
		case " $top$helpers " in *" $parent "*) has_session "$pid/environ" || helpers="$helpers $pid" ;; esac
		continue
	fi
	[ "$parent" = "$top" ] || { [ "$session" = "$top_session" ] && has_session "$pid/environ"; } || continue
	send "$pid"
done
[ -z "$shell_only" ] || kill -s "$signal" "$top" $helpers 2>/dev/null
echo "$found $failed"
