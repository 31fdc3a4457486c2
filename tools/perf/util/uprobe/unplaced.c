// SPDX-License-Identifier: GPL-2.0
/*
 * Why does a definition name no place in its file?
 *
 * Looked at only after resolving has failed, or where its result can't be right.
 * What is claimed is checked in the symbols and the debug information of the file,
 * never guessed from perf's words.
 *
 * Called by failure.c.
 */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <linux/kernel.h>
#include <linux/zalloc.h>

#include "util/debug.h"
#include "util/debuginfo.h"
#include "util/dso.h"
#include "util/map.h"
#include "util/namespaces.h"
#include "util/probe-event.h"
#include "util/probe-finder.h"
#include "util/string2.h"
#include "util/symbol.h"
#include "boundary.h"
#include "target.h"
#include "unplaced.h"

/* What the file's symbols and debug information say about a definition. */
struct facts {
	bool symbol;		/* its function is among the symbols */
	bool other_symbol;	/* what is there of that name is no function */
	bool indirect;		/* and only as one that is chosen at run time */
	u64 size;		/* of the largest such function */
	u64 offset;		/* in the file, of one of them */
	bool debug_info;	/* there is some */
	bool debug_function;	/* it knows the function, perhaps only as inlined */
	bool debug_source;	/* it knows the source file */
	bool from_source;	/* and that the function is from there */
	bool entered;		/* the function has code of its own */
	u64 entry;		/* where that begins in the file */
};

/* --- symbols --- */

/* A version counts only if the definition has one, as where perf resolves it. */
static bool name_matches(const char *name, const char *pattern)
{
	char *plain;
	bool matches;

	if (strchr(pattern, '@'))
		return strglobmatch(name, pattern);
	plain = strndup(name, strcspn(name, "@"));
	matches = plain && strglobmatch(plain, pattern);
	free(plain);
	return matches;
}

static void look_at_symbols(const struct perf_probe_event *pev, struct facts *facts)
{
	struct map *map = get_target_map(pev->target, pev->nsi, true);
	bool direct = false;
	struct symbol *sym;
	struct rb_node *node;

	if (!map)
		return;
	if (map__load(map) < 0)
		goto out;
	map__for_each_symbol(map, sym, node) {
		if (!name_matches(sym->name, pev->point.function))
			continue;
		if (sym->type != STT_FUNC && sym->type != STT_GNU_IFUNC) {
			facts->other_symbol = true;
			continue;
		}
		facts->symbol = true;
		facts->size = max(facts->size, (u64)(sym->end - sym->start));
		facts->offset = map__unmap_ip(map, sym->start);
		direct |= sym->type == STT_FUNC;
	}
	facts->indirect = facts->symbol && !direct;
out:
	map__put(map);
}

/* The function that begins at an offset in the file, as in FUNCTION.constprop.0; to be freed. */
static char *function_at(const struct perf_probe_event *pev, u64 offset)
{
	struct map *map = get_target_map(pev->target, pev->nsi, true);
	struct rb_node *node;
	struct symbol *sym;
	char *name = NULL;

	if (!map)
		return NULL;
	if (map__load(map) < 0)
		goto out;
	map__for_each_symbol(map, sym, node) {
		if (sym->type == STT_FUNC && map__unmap_ip(map, sym->start) == offset) {
			name = strdup(sym->name);
			break;
		}
	}
out:
	map__put(map);
	return name;
}

/* --- debug information --- */

#ifdef HAVE_DWARF_SUPPORT
struct search {
	const struct perf_probe_point *point;
	struct facts *facts;
	Dwarf_Addr entry;	/* of one that has code of its own, else 0 */
};

/* With a source file in the definition, the entry is that of the function from there. */
static int look_at_function(Dwarf_Die *die, void *data)
{
	struct search *search = data;
	const struct perf_probe_point *pp = search->point;
	struct facts *facts = search->facts;
	const char *source;

	if (!die_is_func_def(die) || !die_match_name(die, pp->function))
		return DWARF_CB_OK;
	facts->debug_function = true;
	if (pp->file) {
		source = die_get_decl_file(die);
		if (!source || strtailcmp(source, pp->file))
			return DWARF_CB_OK;
		facts->from_source = true;
	}
	if (!search->entry && die_entrypc(die, &search->entry))
		search->entry = 0;
	return DWARF_CB_OK;
}

static bool unit_has_source(Dwarf_Die *unit, const char *source)
{
	Dwarf_Files *files;
	size_t i, count;

	if (dwarf_getsrcfiles(unit, &files, &count))
		return false;
	for (i = 0; i < count; i++) {
		const char *path = dwarf_filesrc(files, i, NULL, NULL);

		if (path && !strtailcmp(path, source))
			return true;
	}
	return false;
}

static void look_at_debug_info(const struct perf_probe_event *pev, struct facts *facts)
{
	const struct perf_probe_point *pp = &pev->point;
	struct search search = { .point = pp, .facts = facts };
	Dwarf_Off unit = 0, next;
	struct debuginfo *info;
	struct nscookie cookie;
	size_t header;
	Dwarf_Die die;

	nsinfo__mountns_enter(pev->nsi, &cookie);
	info = debuginfo__new(pev->target);
	nsinfo__mountns_exit(&cookie);
	if (!info)
		return;
	facts->debug_info = true;
	while (!dwarf_nextcu(info->dbg, unit, &next, &header, NULL, NULL, NULL)) {
		if (dwarf_offdie(info->dbg, unit + header, &die)) {
			if (pp->function)
				dwarf_getfuncs(&die, look_at_function, &search, 0);
			if (pp->file && !facts->debug_source)
				facts->debug_source = unit_has_source(&die, pp->file);
		}
		unit = next;
	}
	debuginfo__delete(info);
	facts->entered = search.entry &&
			 uprobe_target__offset(pev->target, pev->nsi, search.entry, &facts->entry);
}
#else
static void look_at_debug_info(const struct perf_probe_event *pev __maybe_unused,
			       struct facts *facts __maybe_unused)
{
}
#endif

/* --- sentences --- */

static char *sentence(const char *format, ...) __printf(1, 2);

static char *sentence(const char *format, ...)
{
	char *text;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	return text;
}

static bool is_offset_in_file(const struct perf_probe_point *pp)
{
	return pp->function && !strncmp(pp->function, "0x", 2);
}

static char *why_not_in_source(const struct perf_probe_event *pev, const struct facts *facts)
{
	const struct perf_probe_point *pp = &pev->point;

	if (!facts->debug_source)
		return sentence("'%s' is not a source file of %s: 'perf probe -x %s -L FUNCTION' shows where a function is from",
				pp->file, pev->target, pev->target);
	if (pp->function)
		return sentence("no function '%s' of %s comes from %s: 'perf probe -x %s -L %s' shows where it is from",
				pp->function, pev->target, pp->file, pev->target, pp->function);
	if (pp->lazy_line)
		return sentence("no line of %s with code in %s matches '%s': 'perf probe -x %s -L %s' shows those that have some",
				pp->file, pev->target, pp->lazy_line, pev->target, pp->file);
	return sentence("no code in %s comes from %s:%d: 'perf probe -x %s -L %s' numbers the lines that have some",
			pev->target, pp->file, pp->line, pev->target, pp->file);
}

static char *why_not_a_line(const struct perf_probe_event *pev)
{
	const struct perf_probe_point *pp = &pev->point;

	if (pp->lazy_line)
		return sentence("no line of %s with code in %s matches '%s': 'perf probe -x %s -L %s' shows those that have some",
				pp->function, pev->target, pp->lazy_line, pev->target, pp->function);
	return sentence("no code in %s comes from line %d of %s: 'perf probe -x %s -L %s' numbers the lines that have some",
			pev->target, pp->line, pp->function, pev->target, pp->function);
}

static char *past_the_function(const struct perf_probe_event *pev, u64 size)
{
	const struct perf_probe_point *pp = &pev->point;

	return sentence("%s+%#lx is past the end of %s (%#" PRIx64 " bytes) in %s: give an offset below %#" PRIx64,
			pp->function, pp->offset, pp->function, size, pev->target, size);
}

static char *past_the_file(const struct perf_probe_event *pev)
{
	struct nscookie cookie;
	struct stat st;
	int error;

	nsinfo__mountns_enter(pev->nsi, &cookie);
	error = stat(pev->target, &st);
	nsinfo__mountns_exit(&cookie);
	if (error || pev->point.abs_address < (u64)st.st_size)
		return NULL;
	return sentence("%s: offset %#" PRIx64 " is past the end of the file (%#" PRIx64 " bytes): count from the start of the file, not of its memory",
			pev->target, pev->point.abs_address, (u64)st.st_size);
}

static char *not_in_code(const struct perf_probe_event *pev)
{
	char *code = uprobe_target__code(pev->target, pev->nsi, pev->point.abs_address);
	char *line = NULL;

	if (code)
		line = sentence("%s: offset %#" PRIx64 " is in no code, which is at %s: count from the start of the file, not of its memory",
				pev->target, pev->point.abs_address, code);
	free(code);
	return line;
}

/* Where data lie in a function, only the user knows what begins where. */
static char *inside_an_instruction(const struct perf_probe_event *pev, u64 offset)
{
	struct uprobe_boundary boundary = {};
	const char *advice = probe_conf.force_add ? "" :
			     " (unless data lie in the function: 'perf probe --force' adds it all the same)";
	char *line;

	if (!uprobe_target__boundary(pev->target, pev->nsi, offset, &boundary))
		return NULL;
	line = sentence("%s: offset %#" PRIx64 " is inside of an instruction, where a breakpoint changes what the program does%s: the nearest ones begin at %s+%#" PRIx64 " and %s+%#" PRIx64,
			pev->target, offset, advice, boundary.function, boundary.before,
			boundary.function, boundary.after);
	free(boundary.function);
	if (line && probe_conf.force_add) {
		pr_warning("Warning: %s\n", line);
		zfree(&line);
	}
	return line;
}

/* What perf would leave out without a word stands in the way of a wrong place. */
static char *misplaced_offset(const struct perf_probe_event *pev)
{
	const struct perf_probe_point *pp = &pev->point;
	char *line;

	if (pp->offset)
		return sentence("%s: %s+%#lx is an offset and another one: add the two numbers, %#" PRIx64,
				pev->target, pp->function, pp->offset, pp->abs_address + pp->offset);
	line = past_the_file(pev);
	line = line ?: not_in_code(pev);
	return line ?: inside_an_instruction(pev, pp->abs_address);
}

static char *why_no_return(const struct perf_probe_event *pev, const struct facts *facts)
{
	const char *function = pev->point.function;
	char *name = facts->entered ? function_at(pev, facts->entry) : NULL;
	char *line;

	if (pev->point.file && !facts->from_source)
		line = why_not_in_source(pev, facts);
	else if (name)
		line = sentence("'%s' is a function of %s by the name of '%s': probe that",
				function, pev->target, name);
	else if (facts->entered)
		line = sentence("'%s' of %s has no symbol, which a return probe takes: probe it by its offset, %#" PRIx64 "%%return",
				function, pev->target, facts->entry);
	else
		line = sentence("'%s' is only inlined in %s and has no return: probe its entry, or the return of a function that calls it",
				function, pev->target);
	free(name);
	return line;
}

/* perf looks for the places of return probes among the symbols, which know no source file. */
static char *misplaced_return(const struct perf_probe_event *pev)
{
	const struct perf_probe_point *pp = &pev->point;
	struct facts facts = {};

	look_at_debug_info(pev, &facts);
	if (!facts.debug_info)
		return sentence("%s has no debug information, which tells what is from %s: name the function alone",
				pev->target, pp->file);
	if (!facts.entered)
		return why_no_return(pev, &facts);
	if (pev->ntevs == 1 && pev->tevs[0].point.address == facts.entry)
		return NULL;
	return sentence("'%s@%s%%return' could be any function of that name in %s: probe it by its offset, %#" PRIx64 "%%return",
			pp->function, pp->file, pev->target, facts.entry);
}

static char *why_not_the_function(const struct perf_probe_event *pev, const struct facts *facts,
				  int error)
{
	const struct perf_probe_point *pp = &pev->point;

	if (!facts->symbol && !facts->debug_function && facts->other_symbol)
		return sentence("'%s' is not a function of %s but a variable or a label: 'perf probe -x %s -F' lists what is",
				pp->function, pev->target, pev->target);
	if (!facts->symbol && !facts->debug_function)
		return sentence("'%s' is not a function of %s: 'perf probe -x %s -F' lists them",
				pp->function, pev->target, pev->target);
	if (pp->offset && facts->symbol && pp->offset >= facts->size)
		return past_the_function(pev, facts->size);
	if (pp->retprobe && !facts->symbol)
		return why_no_return(pev, facts);
	if ((pp->line || pp->lazy_line) && (!pp->file || facts->from_source) && error == -ENODEV)
		return why_not_a_line(pev);
	if (pp->file && error == -ENODEV)
		return why_not_in_source(pev, facts);
	if (facts->symbol && !facts->debug_function && !strisglob(pp->function) && error == -ENODEV)
		return sentence("'%s' of %s has no source in the debug information: probe it by its offset, %s=%#" PRIx64,
				pp->function, pev->target, pp->function, facts->offset + pp->offset);
	if (facts->indirect)
		return sentence("'%s' is an indirect function of %s: probe the function that it resolves to when the program starts",
				pp->function, pev->target);
	return NULL;
}

static char *why_not_at_offset(struct perf_probe_event *pev, int error)
{
	const struct perf_probe_point *pp = &pev->point;

	if (error == -E2BIG)
		return NULL;
	if (pp->file || pp->line || pp->lazy_line)
		return sentence("%s: %s is an offset in the file, which goes without a source file or line",
				pev->target, pp->function);
	if (!perf_probe_with_var(pev))
		return NULL;
	return sentence("%s: at %s, an offset in the file, there are no variables to fetch: name registers or memory, or probe a function",
			pev->target, pp->function);
}

/* --- entry points --- */

/**
 * uprobe_unplaced__why - why does a definition name no place in its file?
 * @pev: the definition, of a user-space probe
 * @error: -errno that resolving it ended with
 *
 * Context: between init_probe_symbol_maps() and exit_probe_symbol_maps().
 * Return: a sentence, to be freed, or NULL if the reason isn't in the file.
 */
char *uprobe_unplaced__why(struct perf_probe_event *pev, int error)
{
	struct perf_probe_point *pp = &pev->point;
	struct facts facts = {};

	if (!pev->target || !pev->uprobes)
		return NULL;
	if (pev->sdt && error == -ENOENT)
		return sentence("perf knows no static probe '%s:%s' in %s: 'perf buildid-cache --add %s' looks for them",
				pev->group, pev->event, pev->target, pev->target);
	if (pev->sdt && error == -E2BIG)
		return sentence("static probe '%s:%s' is in more places of %s than --max-probes allows: raise it",
				pev->group, pev->event, pev->target);
	if (pev->sdt)
		return NULL;
	if (is_offset_in_file(pp))
		return why_not_at_offset(pev, error);
	if (pp->function)
		look_at_symbols(pev, &facts);
	look_at_debug_info(pev, &facts);
	if (error == -ENODATA && !facts.debug_info)
		return sentence("%s has no debug information, which a source line or a variable takes: build it with -g, or install its debug symbols",
				pev->target);
	if (pp->function)
		return why_not_the_function(pev, &facts, error);
	if (pp->file && error == -ENODEV)
		return why_not_in_source(pev, &facts);
	return NULL;
}

/**
 * uprobe_unplaced__misplaced - is the place that a definition was resolved to outside of what it names?
 * @pev: the definition, resolved
 *
 * Offsets aren't always compared with the end of the function or with the code of
 * the file when they are resolved, nor return probes with the source file; and nothing asks
 * whether an instruction begins there. That one can't be sure of: with --force it is a warning.
 *
 * Context: between init_probe_symbol_maps() and exit_probe_symbol_maps().
 * Return: a sentence, to be freed, or NULL if all is well.
 */
char *uprobe_unplaced__misplaced(struct perf_probe_event *pev)
{
	struct facts facts = {};
	char *line = NULL;
	int i;

	if (!pev->target || !pev->uprobes || pev->sdt || !pev->point.function)
		return NULL;
	if (is_offset_in_file(&pev->point))
		return misplaced_offset(pev);
	if (pev->point.retprobe && pev->point.file)
		return misplaced_return(pev);
	if (!pev->point.offset)
		return NULL;
	look_at_symbols(pev, &facts);
	if (facts.symbol && pev->point.offset >= facts.size)
		return past_the_function(pev, facts.size);
	for (i = 0; i < pev->ntevs && !line; i++)
		line = inside_an_instruction(pev, pev->tevs[i].point.address);
	return line;
}
