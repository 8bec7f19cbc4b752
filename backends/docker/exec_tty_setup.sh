# Gives the terminal its size and modes, and becomes the program. Parameters: the mark; a size, control characters and
# switches as stty takes them, each may be empty; the program and its arguments. The terminal gets the mark, with 0 when the
# program is about to run, 6 if it cannot be executed and 7 if it is not there.
nomadctld_pairs() {
	while [ $# -gt 1 ]; do
		stty "$1" "$2"
		shift 2
	done
}
if ! stty $2 $3 $4; then # there is none, or it does not know some of the modes
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
# Without the mark the program must not start. mksh and oksh have print, but no printf.
printf '\001%s%s\002' "$nomadctld_m" "$nomadctld_r" || print -n "\0001$nomadctld_m$nomadctld_r\0002" || exit 1
[ "$nomadctld_r" = 0 ] || exit 1
exec "$@"
