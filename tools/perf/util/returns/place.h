/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which function did a thread return from?
 *
 * report.c asks for every return and adds the latency to the answer.
 */
#ifndef __PERF_RETURNS_PLACE_H
#define __PERF_RETURNS_PLACE_H

#include <linux/types.h>
#include <stdbool.h>

struct evsel;
struct hashmap;
struct returns;
struct returns_function;
struct thread;

/**
 * struct places - the probed places that have been met
 * @map: from struct place to itself
 * @returns: where the functions live that belong to the places
 * @demangle: print C++ and Rust names as their source has them
 */
struct places {
	struct hashmap	*map;
	struct returns	*returns;
	bool		demangle;
};

int places__init(struct places *places, struct returns *returns, bool demangle);
struct returns_function *places__find(struct places *places, struct evsel *evsel,
				      struct thread *thread, u8 cpumode, u64 address);
void places__exit(struct places *places);

#endif /* __PERF_RETURNS_PLACE_H */
