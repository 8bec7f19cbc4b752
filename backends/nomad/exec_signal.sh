f=0 e=0 own= kids=
sig=$1 top=$2 ses=$3 only=$4
stat() {
	x= l=
	{ while IFS= read -r l; do x=$x$l; done; } 2>/dev/null <"/proc/$1/stat" || return 1
	x=${x##*) }
	[ -n "$x" ]
}
holds() {
	m= l=
	{ while IFS= read -r l || [ -n "$l" ]; do case $l in *NOMADCTLD_SESSION="$ses"*) m=1 ;; esac; l=; done; } 2>/dev/null <"/proc/$1"
	[ -n "$m" ]
}
tell() {
	f=$((f+1))
	kill -s "$sig" "$1" 2>/dev/null || e=$((e+1))
}
[ -r /proc/self/stat ] || { echo none; exit 0; }
stat "$top" && set -- $x && s=$4 && holds "$top/cmdline" || { echo "0 0"; exit 0; }
if [ -z "$only" ]; then
	{ read -r kids; } 2>/dev/null <"/proc/$top/task/$top/children"
	for p in $kids; do
		stat "$p" && set -- $x && [ "$1 $2" != "Z $top" ] && [ "$2" = "$top" ] && tell "$p"
	done
fi
again=
[ -z "$only" ] || again=/proc/[0-9]*
for d in /proc/[0-9]* $again; do
	p=${d#/proc/}
	case " $top $kids $own " in *" $p "*) continue ;; esac
	stat "$p" || continue
	set -- $x
	[ "$1" != Z ] || continue
	if [ -n "$only" ]; then
		case " $top$own " in *" $2 "*) holds "$p/environ" || own="$own $p" ;; esac
		continue
	fi
	[ "$2" = "$top" ] || { [ "$4" = "$s" ] && holds "$p/environ"; } || continue
	tell "$p"
done
[ -z "$only" ] || kill -s "$sig" "$top" $own 2>/dev/null
echo "$f $e"
