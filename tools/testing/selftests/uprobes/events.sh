# shellcheck shell=bash
# How does a shell test define events of one program, switch them, and read what they recorded? Sourced by the tests
# beside it, after tap.sh. They set `program`, whose functions are probed; the group of events is theirs to choose.

tracing=/sys/kernel/tracing

# Where a function of the program is, as a command wants it.
at() {
	local offset
	# shellcheck disable=SC2154 # whoever sources this sets it
	offset=$(nm "$program" | awk -v name="$1" '$3 == name { print $1 }')
	echo "$program:0x${offset#"${offset%%[!0]*}"}"
}

define() {
	echo "$*" >>"$tracing/uprobe_events"
}

# VALUE GROUP[/EVENT]
switch() {
	echo "$1" >"$tracing/events/$2/enable"
}

forget() {
	: >"$tracing/trace"
}

# EVENT [INSTANCE]: how many records of it are in the trace
records() {
	grep -c " $1: " "$tracing/${2:+instances/$2/}trace"
}

# NAME EVENT [INSTANCE]: what a field was, a line for each record
values() {
	sed -n "s/.* $2: .*\\<$1=\\([^ ]*\\).*/\\1/p" "$tracing/${3:+instances/$3/}trace"
}
