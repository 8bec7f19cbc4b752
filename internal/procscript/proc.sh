# Functions for scripts that look for processes in /proc. They use only shell builtins, because the task may have
# nothing else. The caller sets session_id to the value of NOMADCTLD_SESSION to look for.

# read_stat PID: sets state, parent, session and started. The process name, in parentheses, may contain anything.
read_stat() {
	stat= line=
	{
		while IFS= read -r line || [ -n "$line" ]; do
			stat="$stat $line" line=
		done <"/proc/$1/stat"
	} 2>/dev/null
	set -- ${stat##*)}
	[ $# -ge 20 ] || return 1
	state=$1 parent=$2 session=$4
	shift 19
	started=$1
}

# has_session PID/FILE: succeeds if the file, cmdline or environ, contains the session. Its strings end with NUL, which
# read drops, and may contain newlines.
has_session() {
	line=
	{
		while IFS= read -r line || [ -n "$line" ]; do
			case $line in *NOMADCTLD_SESSION="$session_id"*) return 0 ;; esac
			line=
		done <"/proc/$1"
	} 2>/dev/null
	return 1
}
