# Sends signal $2 to the program whose environment has NOMADCTLD_SESSION=$1, and to all processes of its POSIX session.
# Exit codes: 3, the program was not found; 4, it was not permitted, or there is no /proc. Uses only shell builtins: the
# container may have nothing else.

cd /proc 2>/dev/null || exit 4
set -- "$1" "$2" [0-9]*
mark="NOMADCTLD_SESSION=$1" signal=$2
shift 2
set -f

# marked PID: succeeds if the environment has the mark. Its strings end with NUL, which read drops, and may contain
# newlines.
marked() {
	{
		while IFS= read -r line || [ -n "$line" ]; do
			case $line in *"$mark"*) return 0 ;; esac
		done <"$1/environ"
	} 2>/dev/null
	return 1
}

# read_stat PID: sets parent, session and started. The process name in parentheses may contain anything.
read_stat() {
	stat= parent= session= started=
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
	started=$1
}

program=
read_stat $$
if [ "$parent" = 0 ]; then
	# A process that Docker runs in a container has no parent inside it. Skip the container's first process.
	for p; do
		if [ "$p" != 1 ] && [ "$p" != $$ ] && read_stat "$p" && [ "$parent" = 0 ] && marked "$p"; then
			program=$p
			break
		fi
	done
else
	# The container shares the PID namespace of its node: take the first marked process with an unmarked parent.
	first=
	for p; do
		if [ "$p" != $$ ] && read_stat "$p" && marked "$p"; then
			start=$started above=$parent
			if ! marked "$above" && { [ -z "$first" ] || [ "$start" -lt "$first" ]; }; then
				program=$p first=$start
			fi
		fi
	done
fi
[ -n "$program" ] && read_stat "$program" || exit 3
program_session=$session

# If the program is a session leader, all processes of the session belong to it. Daemons that left the session keep
# running.
all=
for p; do
	if read_stat "$p" && [ "$session" = "$program_session" ] &&
		{ [ "$program_session" = "$program" ] || marked "$p"; }; then
		all="$all $p"
	fi
done
set +f
# Signal the program first. If that is not permitted, no process has been signaled, and the caller can retry as another
# user. Also, if its child were killed before it, a shell would run its next command, which could install half an
# upload.
if ! kill -s "$signal" "$program" 2>/dev/null; then
	[ -d "$program" ] && exit 4
	exit 3
fi
for p in $all; do
	[ "$p" = "$program" ] || kill -s "$signal" "$p" 2>/dev/null
done
exit 0
