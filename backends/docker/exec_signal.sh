# Sends signal $2 to the program whose environment has NOMADCTLD_SESSION=$1, and to all processes of its session. Exit
# codes: 3, the program was not found; 4, the signal was not permitted. Uses only shell builtins: the container may have
# nothing else.

cd /proc 2>/dev/null || exit 4
set -- "$1" "$2" [0-9]*
mark="NOMADCTLD_SESSION=$1" signal=$2
shift 2
set -f

# marked PID. Environment strings end with NUL, which read drops, and may contain newlines.
marked() {
	{
		while IFS= read -r line || [ -n "$line" ]; do
			case $line in *"$mark"*) return 0 ;; esac
		done <"$1/environ"
	} 2>/dev/null
	return 1
}

# look PID sets parent, session and born. The process name in parentheses may contain anything.
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
		# A process that Docker runs in a container has no parent inside it. Skip the container's first process.
	for p; do
		if [ "$p" != 1 ] && [ "$p" != $$ ] && look "$p" && [ "$parent" = 0 ] && marked "$p"; then
			program=$p
			break
		fi
	done
else
		# The container shares the PID namespace of its node: take the first marked process with an unmarked parent.
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

# If the program is a session leader, all processes of the session belong to it. Daemons that left the session keep
# running.
all=
for p; do
	if look "$p" && [ "$session" = "$of" ] && { [ "$of" = "$program" ] || marked "$p"; }; then
		all="$all $p"
	fi
done
set +f
# Signal the program first: if that is not permitted, no process was signaled and another user may retry.
if ! kill -s "$signal" "$program" 2>/dev/null; then
	[ -d "$program" ] && exit 4
	exit 3
fi
for p in $all; do
	[ "$p" = "$program" ] || kill -s "$signal" "$p" 2>/dev/null
done
exit 0
