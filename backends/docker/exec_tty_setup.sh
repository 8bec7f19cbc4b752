# Sets the size and modes of the terminal, then execs the program. Parameters: the marker; a size, control characters
# and flags for stty, each may be empty; the program and its arguments. Prints the marker and a digit: 0 before the
# program starts, 6 if it is not executable, 7 if it was not found.
nomadctld_pairs() {
	while [ $# -gt 1 ]; do
		stty "$1" "$2"
		shift 2
	done
}
if ! stty $2 $3 $4; then # stty is missing or does not know some of the modes
	[ -z "$2" ] || stty $2
	for nomadctld_w in $4; do stty "$nomadctld_w"; done
	nomadctld_pairs $3
fi >/dev/null 2>&1
nomadctld_find() {
	case $1 in
	*/*)
		[ -e "$1" ] || return 7
		[ ! -d "$1" ] && [ -x "$1" ] || return 6
		return 0
		;;
	esac
	nomadctld_r=7
	set -f
	IFS=:
	for nomadctld_w in $PATH; do
		nomadctld_w=${nomadctld_w:-.}/$1
		[ -f "$nomadctld_w" ] || continue
		[ -x "$nomadctld_w" ] && return 0
		nomadctld_r=6
	done
	return $nomadctld_r
}
nomadctld_m=$1
shift 4
(nomadctld_find "$1")
nomadctld_r=$?
# Without the marker the program must not start. mksh and oksh have print instead of printf.
printf '\001%s%s\002' "$nomadctld_m" "$nomadctld_r" || print -n "\0001$nomadctld_m$nomadctld_r\0002" || exit 1
[ "$nomadctld_r" = 0 ] || exit 1
exec "$@"
