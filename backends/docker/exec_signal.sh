# Sends signal $2 to the program whose environment says NOMADCTLD_SESSION=$1, and to all that runs in its session.
# Exit codes: 3, there is none; 4, it cannot be done. Only builtins of the shell are used: there may be nothing else.

cd /proc 2>/dev/null || exit 4
set -- "$1" "$2" [0-9]*
mark="NOMADCTLD_SESSION=$1" signal=$2
shift 2
set -f

# marked PID. The strings of an environment end with NUL, which read drops, and may contain newlines.
marked() {
	{
		while IFS= read -r line || [ -n "$line" ]; do
			case $line in *"$mark"*) return 0 ;; esac
		done <"$1/environ"
	} 2>/dev/null
	return 1
}

# look PID sets parent, session and born. The name comes before, in parentheses, and may hold anything.
look() {
	stat= parent= session= born=
	{
		while IFS= read -r line || [ -n "$line" ]; do
			stat="$stat $line"
		done <"$1/stat"
	} 2>/dev/null
	pid=$1
	set -- ${stat##*)}
	[ $# -ge 20 ] || return 1
	parent=$2 session=$4
	shift 19
	born=$1
}

program=
look $$
if [ "$parent" = 0 ]; then
	# What Docker runs in a container has no parent there. The container's first program is not it.
	for p; do
		if [ "$p" != 1 ] && [ "$p" != $$ ] && look "$p" && [ "$parent" = 0 ] && marked "$p"; then
			program=$p
			break
		fi
	done
else
	# The container shares the processes of its node: the first of those that are marked, whose parent is not.
	first=
	for p; do
		if [ "$p" != $$ ] && look "$p" && marked "$p"; then
			at=$born of=$parent
			if ! marked "$of" && { [ -z "$first" ] || [ "$at" -lt "$first" ]; }; then
				program=$p first=$at
			fi
		fi
	done
fi
[ -n "$program" ] && look "$program" || exit 3
of=$session

# A session that begins with the program holds nothing else. What left it, as daemons do, is meant to stay.
all=
for p; do
	if look "$p" && [ "$session" = "$of" ] && { [ "$of" = "$program" ] || marked "$p"; }; then
		all="$all $p"
	fi
done
set +f
# The program comes first: if it cannot be signalled, nobody has been when another user tries. Each is told once.
if ! kill -s "$signal" "$program" 2>/dev/null; then
	[ -d "$program" ] && exit 4
	exit 3
fi
for p in $all; do
	[ "$p" = "$program" ] || kill -s "$signal" "$p" 2>/dev/null
done
exit 0
