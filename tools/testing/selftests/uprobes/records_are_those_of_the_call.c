// SPDX-License-Identifier: GPL-2.0
/*
 * Are string, number, return value and latency in the record of a return all of the same call, with recursion and threads?
 *
 * usage: records_are_those_of_the_call [RECORDS]
 *
 * Each thread writes down what it does, and compares that with the records in its own perf buffer. Those that found no room
 * there are counted by perf.
 */
#define _GNU_SOURCE
#include <linux/perf_event.h>
#include <pthread.h>

#include "probes.h"

#define THREADS		4
#define MAX_DEPTH	20
#define PAGE		4096
#define PAGES		64

/* ---- the target, and its diary ------------------------------------------ */

struct entry {
	uint32_t number, value;
	char text[24];
};

struct worker {
	pthread_t thread;
	unsigned int seed, written, read;
	int fd;
	struct entry diary[MAX_DEPTH + 1];
	struct perf_event_mmap_page *page;
	unsigned long calls, lost, wrong, compared, skipped;
	uint64_t last_call;
};

PROBED uint32_t work(struct worker *w, const char *text, uint32_t number)
{
	struct entry *e;
	char inner[24];
	uint32_t value = number;

	if (number % 32) {
		snprintf(inner, sizeof(inner), "%.10s/%u", text, number * 2654435761u);
		value += work(w, inner, number - 1);
		/* at the return it isn't what it was at the entry any more */
		memset(inner, '#', sizeof(inner));
	}
	e = &w->diary[w->written++];
	*e = (struct entry){ number, value, "" };
	strncpy(e->text, text, sizeof(e->text) - 1);
	return value;
}

/* ---- records ------------------------------------------------------------ */

/* Where the fields are. */
static struct {
	int n, s, v, lat, call;
} at;

static int offset_of_field(const char *format, const char *field)
{
	char wanted[32];
	const char *line;
	int offset;

	snprintf(wanted, sizeof(wanted), " %s;", field);
	line = strstr(format, wanted);
	must(line && sscanf(strstr(line, "offset:"), "offset:%d", &offset) == 1);
	return offset;
}

static void find_fields(void)
{
	char *format = read_file(TRACING "events/t/work/format", NULL);

	must(format);
	at.n = offset_of_field(format, "n");
	at.s = offset_of_field(format, "s");
	at.v = offset_of_field(format, "v");
	at.lat = offset_of_field(format, "lat");
	at.call = offset_of_field(format, "call");
	free(format);
}

static void open_buffer(struct worker *w)
{
	char *id = read_file(TRACING "events/t/work/id", NULL);
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .config = atoi(id), .sample_type = PERF_SAMPLE_RAW,
		.sample_period = 1,
	};

	w->fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	free(id);
	must(w->fd >= 0);
	w->page = mmap(NULL, (1 + PAGES) * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, w->fd, 0);
	must(w->page != MAP_FAILED);
}

static void copy_out(const struct worker *w, uint64_t from, void *to, size_t len)
{
	const char *data = (const char *)w->page + PAGE;
	size_t i;

	for (i = 0; i < len; i++)
		((char *)to)[i] = data[(from + i) % (PAGES * PAGE)];
}

static bool is_wrong(struct worker *w, const char *raw, uint64_t *inner_latency)
{
	const struct entry *e = &w->diary[w->read++];
	uint32_t number, value, loc;
	uint64_t latency, call;

	memcpy(&number, raw + at.n, 4);
	memcpy(&value, raw + at.v, 4);
	memcpy(&loc, raw + at.s, 4);
	memcpy(&latency, raw + at.lat, 8);
	memcpy(&call, raw + at.call, 8);
	/* who calls takes longer than who is called, and has called before it */
	if (number != e->number || value != e->value || strcmp(raw + (loc & 0xffff), e->text) || latency < *inner_latency ||
	    (*inner_latency && call >= w->last_call))
		return true;
	*inner_latency = latency;
	w->last_call = call;
	return false;
}

/* The returns of one outermost call, the innermost first. */
static void compare(struct worker *w)
{
	uint64_t head = __atomic_load_n(&w->page->data_head, __ATOMIC_ACQUIRE), tail = w->page->data_tail, latency = 0;
	struct perf_event_header header;
	char record[512];

	w->read = 0;
	for (; tail < head; tail += header.size) {
		copy_out(w, tail, &header, sizeof(header));
		must(header.size <= sizeof(record));
		copy_out(w, tail, record, header.size);
		if (header.type == PERF_RECORD_LOST) {
			/* which ones: nobody knows */
			w->lost += ((uint64_t *)(record + sizeof(header)))[1];
			w->read = w->written;
		} else if (header.type == PERF_RECORD_SAMPLE && w->read == w->written) {
			w->skipped++;
		} else if (header.type == PERF_RECORD_SAMPLE) {
			w->compared++;
			w->wrong += is_wrong(w, record + sizeof(header) + sizeof(uint32_t), &latency);
		}
	}
	__atomic_store_n(&w->page->data_tail, head, __ATOMIC_RELEASE);
}

/* ---- threads ------------------------------------------------------------ */

static unsigned long wanted = 20000;

static void *run(void *arg)
{
	struct worker *w = arg;

	open_buffer(w);
	while (w->calls < wanted / THREADS) {
		w->written = 0;
		work(w, "outermost", 32 * (w->calls + 1) + rand_r(&w->seed) % MAX_DEPTH);
		w->calls += w->written;
		compare(w);
	}
	munmap(w->page, (1 + PAGES) * PAGE);
	close(w->fd);
	return NULL;
}

int main(int argc, char **argv)
{
	static struct worker workers[THREADS];
	unsigned long calls = 0, lost = 0, wrong = 0, compared = 0, skipped = 0;
	int i;

	if (argc > 1)
		wanted = strtoul(argv[1], NULL, 0);
	define('r', "work", (const void *)work, "n=$arg3:u32 s=entry(+0($arg2)):string v=$retval:u32 lat=$latency $call");
	find_fields();
	for (i = 0; i < THREADS; i++) {
		workers[i].seed = i;
		must(!pthread_create(&workers[i].thread, NULL, run, &workers[i]));
	}
	for (i = 0; i < THREADS; i++) {
		must(!pthread_join(workers[i].thread, NULL));
		calls += workers[i].calls;
		lost += workers[i].lost;
		wrong += workers[i].wrong;
		compared += workers[i].compared;
		skipped += workers[i].skipped;
	}
	note("%lu calls, %lu records compared, %lu behind lost ones, %lu lost", calls, compared, skipped, lost);
	check(calls >= wanted, "calls_are_made");
	equal(wrong, 0, "records_are_those_of_the_call");
	check(compared > calls / 2, "most_records_are_compared");
	equal(compared + skipped + lost, calls, "every_return_is_recorded_or_lost");
	equal(count("work", "returns"), calls, "every_return_is_counted");
	remove_all();
	return finish();
}
