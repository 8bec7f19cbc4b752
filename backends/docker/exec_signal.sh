# Sends signal $2 to the program whose environment has NOMADCTLD_SESSION=$1, and to all processes of its POSIX session.
# Exit codes: 3, the program was not found; 4, it was not permitted, or there is no /proc.

cd /proc 2>/dev/null || exit 4
session_id=$1 signal=$2
set -- [0-9]*
set -f

program=
read_stat $$
if [ "$parent" = 0 ]; then
	# A process that Docker runs in a container has no parent inside it. Skip the container's first process.
	for p; do
		if [ "$p" != 1 ] && [ "$p" != $$ ] && read_stat "$p" && [ "$parent" = 0 ] && has_session "$p/environ"; then
			program=$p
			break
		fi
	done
else
	# The container shares the PID namespace of its node: take the first process with this NOMADCTLD_SESSION whose parent
	# does not have it.
	first=
	for p; do
		if [ "$p" != $$ ] && read_stat "$p" && has_session "$p/environ"; then
			start=$started above=$parent
			if ! has_session "$above/environ" && { [ -z "$first" ] || [ "$start" -lt "$first" ]; }; then
				program=$p first=$start
			fi
		fi
	done
fi
[ -n "$program" ] && read_stat "$program" || exit 3
program_session=$session

# If the program leads its POSIX session, all processes of that POSIX session belong to it. Daemons that left it keep
# running.
all=
for p; do
	if read_stat "$p" && [ "$session" = "$program_session" ] &&
		{ [ "$program_session" = "$program" ] || has_session "$p/environ"; }; then
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
