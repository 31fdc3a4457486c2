# shellcheck shell=bash
# Where is what? Sourced by the scripts beside it, which then find everything from their own location.

# shellcheck disable=SC2034 # each user takes what it needs
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
build=$root/build
package=linux-source-6.12
tested_version=$(cat "$root/ci/base-version")

# The makes that are called here decide for themselves.
unset MAKEFLAGS MFLAGS MAKELEVEL

# What programs print is read here. (LANG is also part of the keys of the compiler's cache.)
export LC_ALL=C.UTF-8 LANG=C.UTF-8

say() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die() {
	say "$@"
	exit "${die_status-1}"
}

# Neither kbuild nor QEMU's command line can have them.
case $root in
*[[:space:],:#]*) die "no blanks, please, nor one of , : # in the path of this folder: $root" ;;
esac

# Only one build at a time in one tree: with_lock NAME COMMAND…
with_lock() {
	local name=$1
	shift
	mkdir -p "$build"
	(
		flock 9
		"$@" 9>&-
	) 9>"$build/.$name.lock"
}

# The kernel's own interface is tested, and measured, by modules. What doesn't compile isn't there.
make_modules() {
	local suite=$root/tools/testing/selftests/uprobes/consumer folder=$build/tests/consumer/$1
	[ "$1" != stock ] || return 0
	mkdir -p "$folder"
	rm -f "$folder/"*.ko
	cp -u "$suite/"* "$folder"
	"$root/ci/kmake" "$1" -s M="$folder" modules
}
