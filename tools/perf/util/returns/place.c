// SPDX-License-Identifier: GPL-2.0
/*
 * Which function did a thread return from?
 *
 * Called by report.c with the address that the record holds. Processes map one
 * file at different addresses, so a place is named by file and address in the
 * file; its symbol is looked up once, when the place is met for the first time.
 * The function found here is filled through returns.c.
 */
#include "place.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <linux/err.h>
#include <linux/string.h>

#include "returns.h"
#include "util/addr_location.h"
#include "util/demangle-cxx.h"
#include "util/demangle-rust.h"
#include "util/dso.h"
#include "util/evsel.h"
#include "util/hashmap.h"
#include "util/map.h"
#include "util/symbol.h"
#include "util/thread.h"

/**
 * struct place - one probed place as one event saw it
 * @evsel: the event
 * @dso: the file, a reference; NULL if the thread's maps do not know the address
 * @address: in @dso; 0 without one: each process has its own
 * @function: owned by struct returns
 */
struct place {
	struct evsel		*evsel;
	struct dso		*dso;
	u64			address;
	struct returns_function	*function;
};

static size_t hash_place(long key, void *ctx __maybe_unused)
{
	const struct place *place = (const struct place *)key;

	return place->address ^ (size_t)place->evsel;
}

static bool equal_places(long key1, long key2, void *ctx __maybe_unused)
{
	const struct place *a = (const struct place *)key1;
	const struct place *b = (const struct place *)key2;

	return a->evsel == b->evsel && a->address == b->address &&
	       RC_CHK_EQUAL(a->dso, b->dso);
}

/* With their parameters: overloads are different functions. */
static char *demangled(const char *name)
{
	char *text = cxx_demangle_sym(name, /*params=*/true, /*modifiers=*/true);

	if (text && rust_is_mangled(text))
		rust_demangle_sym(text);
	return text;
}

/* Some demanglers take a C function f for the C++ type float. */
static bool is_mangled(const char *name)
{
	return !strncmp(name, "_Z", 2) || !strncmp(name, "_R", 2);
}

static char *symbol_text(const struct places *places, const struct symbol *symbol, u64 address)
{
	u64 offset = address - symbol->start;
	char *text = NULL, *with_offset;

	if (places->demangle && is_mangled(symbol->name))
		text = demangled(symbol->name);
	if (!text)
		text = strdup(symbol->name);
	if (!text || !offset)
		return text;

	if (asprintf(&with_offset, "%s+%#" PRIx64, text, offset) < 0)
		with_offset = NULL;
	free(text);
	return with_offset;
}

/* What can't be resolved is called by its event. */
static char *event_text(const struct place *place)
{
	const char *event = evsel__name(place->evsel);
	char *text;

	if (!place->dso)
		return strdup(event);
	if (asprintf(&text, "%s %#" PRIx64, event, place->address) < 0)
		return NULL;
	return text;
}

static struct returns_function *add_function(const struct places *places,
					     const struct place *place, struct map *map)
{
	struct symbol *symbol = map ? map__find_symbol(map, place->address) : NULL;
	const char *dso = place->dso ? dso__short_name(place->dso) : "[unknown]";
	struct returns_function *function = NULL;
	char *name;

	if (symbol)
		name = symbol_text(places, symbol, place->address);
	else
		name = event_text(place);

	if (name)
		function = returns__add_function(places->returns, name, dso,
						 evsel__name(place->evsel));
	free(name);
	return function;
}

static void free_place(struct place *place)
{
	dso__put(place->dso);
	free(place);
}

static struct returns_function *add_place(struct places *places, const struct place *key,
					  struct map *map)
{
	struct place *place = memdup(key, sizeof(*key));

	if (!place)
		return NULL;

	place->dso = dso__get(key->dso);
	place->function = add_function(places, place, map);
	if (place->function && !hashmap__add(places->map, place, place))
		return place->function;

	free_place(place);
	return NULL;
}

/**
 * places__find - which function is at an address?
 * @places: the places met so far
 * @evsel: the event that recorded the return
 * @thread: the thread that returned, with its maps at that time
 * @cpumode: PERF_RECORD_MISC_USER or its like, from the record
 * @address: of the probed function in the thread's process
 *
 * Return: the function, or NULL if memory is short.
 */
struct returns_function *places__find(struct places *places, struct evsel *evsel,
				      struct thread *thread, u8 cpumode, u64 address)
{
	struct place *place, key = { .evsel = evsel };
	struct returns_function *function;
	struct addr_location al;

	addr_location__init(&al);
	if (thread__find_map(thread, cpumode, address, &al)) {
		key.dso = map__dso(al.map);
		key.address = al.addr;
	}

	if (hashmap__find(places->map, &key, &place))
		function = place->function;
	else
		function = add_place(places, &key, al.map);

	addr_location__exit(&al);
	return function;
}

/**
 * places__init - start with no places
 * @places: what to set up
 * @returns: where the functions that are found will live
 * @demangle: print C++ and Rust names as their source has them
 *
 * Return: 0 or a negative error.
 */
int places__init(struct places *places, struct returns *returns, bool demangle)
{
	*places = (struct places){
		.map	  = hashmap__new(hash_place, equal_places, NULL),
		.returns  = returns,
		.demangle = demangle,
	};

	return PTR_ERR_OR_ZERO(places->map);
}

/**
 * places__exit - forget all places; their functions stay
 * @places: what places__init() set up, whether it succeeded or not
 */
void places__exit(struct places *places)
{
	struct hashmap_entry *entry;
	size_t bucket;

	if (IS_ERR_OR_NULL(places->map))
		return;

	hashmap__for_each_entry(places->map, entry, bucket)
		free_place(entry->pvalue);
	hashmap__free(places->map);
}
