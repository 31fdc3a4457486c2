# What can be made here? Every target says so itself; bare `make` prints them.
# The work is in ci/, one script per question.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help deps kernel perf stock debug demo shell test soak faults meter bench check diff manifest clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

deps: ## install the Debian packages that everything here takes
	@ci/deps

kernel: ## our kernel, build/ours/out
	@ci/build kernel ours

perf: ## our perf, build/ours/perf/perf
	@ci/build perf ours

stock: ## kernel and perf with nothing laid over: the yardstick
	@ci/build kernel stock
	@ci/build perf stock

debug: ## our kernel with KASAN, lockdep, kmemleak and the like
	@ci/build kernel debug

demo: kernel perf ## a tour on the real libc, in a virtual machine
	@ci/demo

shell: kernel perf ## an interactive shell in a virtual machine with our kernel
	@ci/vm --terminal --timeout 0 -- bash -i

test: stock kernel debug perf ## all tests: without a virtual machine, on ours and stock; beside them on debug
	@ci/run

soak: kernel ## ten million calls that end in every way, in a virtual machine
	@make -s -C tools/testing/selftests/uprobes OUT=$(CURDIR)/build/tests $(CURDIR)/build/tests/soak
	@ci/vm --cpus 4 --timeout 3600 -- build/tests/soak 10000000

faults: deps ## the tests of who may probe what, on kernels with one rule broken each
	@ci/faults

meter: deps ## the instruction counter that ci/vm --meter loads
	@make -C ci/meter

bench: stock kernel perf meter ## what a hit costs, stock and ours
	@ci/bench

check: ## style and the kernel configurations that must build; no virtual machine
	@ci/check

diff: deps ## what differs from the stock tree, and whether MANIFEST says the same
	@ci/diff

manifest: deps ## write MANIFEST anew from what lies here
	@ci/tree base
	@ci/manifest >build/MANIFEST.new
	@mv build/MANIFEST.new MANIFEST

clean: ## remove build/
	@chmod -R u+w build 2>/dev/null || true
	rm -rf build
