# shellcheck shell=bash
# How does a shell test say what it found? Sourced by the tests beside it.
#
#	check NAME COMMAND…     one subtest, passed if the command succeeds
#	refute NAME COMMAND…    one subtest, passed if it fails
#	skip REASON             ends the test: it can't say anything here
#	finish                  last line of a test: plan and exit status

tap_count=0
tap_failed=0

tap_result() {
	tap_count=$((tap_count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $tap_count - $2"
	else
		tap_failed=$((tap_failed + 1))
		echo "not ok $tap_count - $2"
	fi
}

note() {
	printf '%s\n' "$@" | sed 's/^/# /'
}

check() {
	local tap_name=$1 tap_status=0
	shift
	"$@" || tap_status=$?
	[ "$tap_status" = 0 ] || note "status $tap_status of: $*"
	tap_result "$tap_status" "$tap_name"
}

refute() {
	local tap_name=$1 tap_status=0
	shift
	if "$@"; then
		note "should have failed: $*"
		tap_status=1
	fi
	tap_result "$tap_status" "$tap_name"
}

equals() {
	[ "$1" = "$2" ] && return
	note "expected: $2" "got:      $1"
	return 1
}

skip() {
	echo "1..0 # SKIP $1"
	exit 4
}

finish() {
	echo "1..$tap_count"
	[ "$tap_failed" = 0 ] && [ "$tap_count" -gt 0 ]
	exit
}
