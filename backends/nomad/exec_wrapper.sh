nomadctld_m=$1 nomadctld_t=$2 nomadctld_d=$3 nomadctld_i=$7
exec 3>&2 2>/dev/null
nomadctld_pairs() {
	while [ $# -gt 1 ]; do stty "$1" "$2"; shift 2; done
}
if [ -n "$4$5$6" ] && ! stty $4 $5 $6; then
	[ -z "$4" ] || stty $4
	for nomadctld_x in $6; do stty "$nomadctld_x"; done
	nomadctld_pairs $5
fi
shift 7
nomadctld_say() {
	printf '\001%s:%s\002' "$nomadctld_m" "$1"
	[ "$nomadctld_t" = 1 ] || printf '\001%s:%s\002' "$nomadctld_m" "$1" >&3
}
nomadctld_find() {
	case $1 in
		*/*) nomadctld_f=$1; [ -e "$1" ] || return 127; [ ! -d "$1" ] && [ -x "$1" ] || return 126; return 0 ;;
	esac
	nomadctld_r=127
	set -f
	IFS=:
	for nomadctld_f in $PATH; do
		nomadctld_f=${nomadctld_f:-.}/$1
		[ -f "$nomadctld_f" ] || continue
		[ -x "$nomadctld_f" ] && return 0
		nomadctld_r=126
	done
	return $nomadctld_r
}
nomadctld_run() {
	trap : INT QUIT TERM USR1 USR2 ALRM PIPE
	[ "$nomadctld_t" = 1 ] || trap : HUP
	(
		if [ -n "$nomadctld_d" ]; then
			CDPATH= cd "$nomadctld_d" >/dev/null || { nomadctld_say "D$nomadctld_p"; exit 125; }
		fi
		while [ "$1" != -- ]; do export "$1"; shift; done
		shift
		(nomadctld_find "$1")
		case $? in
			0) ;;
			126) nomadctld_say "X$nomadctld_p"; exit 126 ;;
			*) nomadctld_say "N$nomadctld_p"; exit 127 ;;
		esac
		nomadctld_say "R$nomadctld_p"
		exec "$@" 2>&3 3>&-
	)
	nomadctld_c=$?
	nomadctld_say "E$nomadctld_c"
}
nomadctld_feed() {
	trap '' INT QUIT TERM USR1 USR2 ALRM HUP
	while read -r nomadctld_n && [ "$nomadctld_n" -gt 0 ]; do
		dd bs="$nomadctld_n" count=1 iflag=fullblock || exec >/dev/null
	done
}
if [ -n "$nomadctld_i" ] && [ "$(printf ab | dd bs=2 count=1 iflag=fullblock)" = ab ]; then
	trap : HUP INT QUIT TERM USR1 USR2 ALRM PIPE
	nomadctld_feed 3>&- | {
		read -r nomadctld_p nomadctld_x </proc/self/stat
		nomadctld_p=$nomadctld_p.$$
		nomadctld_run "$@"
	}
	exit 0
fi
nomadctld_p=$$
nomadctld_run "$@"
[ "$nomadctld_t" = 1 ] || cat >/dev/null || while read -r nomadctld_x; do :; done
exit 0
