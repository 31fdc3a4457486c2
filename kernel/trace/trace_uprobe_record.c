// SPDX-License-Identifier: GPL-2.0
/*
 * How does a hit become a record?
 *
 * The core calls handle_entry() and handle_exit() in the thread that hit the
 * probe. Arguments are fetched once, into a scratch buffer, with page faults
 * allowed; from there they are copied into the ring buffers of ftrace, here,
 * and of perf, in trace_uprobe_perf.c. At the end of the file: how a record
 * is printed, and its fields.
 */
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/ptrace.h>
#include <linux/slab.h>
#include <linux/trace_seq.h>
#include <linux/uaccess.h>

#include "trace_uprobe.h"
#include "trace_probe_tmpl.h"

/*
 * No record is longer: what doesn't fit is cut, strings last. It has to fit
 * into a page of the ring buffer with the headers of page (16 bytes) and
 * event (8, with an absolute time 16), else it would be dropped; and a
 * __data_loc has 16 bits each for length and offset.
 */
#define RECORD_MAX	4032

static_assert(PAGE_SIZE >= RECORD_MAX + 32);
static_assert(RECORD_MAX <= PERF_MAX_TRACE_SIZE);
static_assert(RECORD_MAX <= U16_MAX);
static_assert(MAX_PROBE_EVENT_SIZE +
	      sizeof(struct trace_uprobe_return_record) <= RECORD_MAX);

/* ---- scratch ------------------------------------------------------------ */

/*
 * At most one spare buffer of RECORD_MAX bytes for each CPU. A handler takes
 * it away for as long as it needs it, so that it may sleep and end on
 * another CPU; whoever finds none allocates one. In steady state nothing is
 * allocated, and there is no lock.
 */
static DEFINE_PER_CPU(void *, scratch);

static void *get_scratch(void)
{
	void *buf = this_cpu_xchg(scratch, NULL);

	return buf ?: kmalloc(RECORD_MAX, GFP_KERNEL);
}

static void put_scratch(void *buf)
{
	if (this_cpu_cmpxchg(scratch, NULL, buf))
		kfree(buf);
}

/**
 * trace_uprobe_drop_scratch - free the spare buffers
 *
 * Context: event_mutex held, no event is on and no handler runs.
 */
void trace_uprobe_drop_scratch(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		kfree(xchg(per_cpu_ptr(&scratch, cpu), NULL));
}

/* ---- fetching: what trace_probe_tmpl.h asks for ------------------------- */

static nokprobe_inline int probe_mem_read(void *dest, void *src, size_t size)
{
	const void __user *from = (const void __force __user *)src;

	return copy_from_user(dest, from, size) ? -EFAULT : 0;
}

static nokprobe_inline int probe_mem_read_user(void *dest, void *src,
					       size_t size)
{
	return probe_mem_read(dest, src, size);
}

/* The length with its final 0 byte; 0: unreadable. */
static nokprobe_inline int fetch_store_strlen(unsigned long addr)
{
	return min_t(long, MAX_STRING_SIZE,
		     strnlen_user((const char __user *)addr, MAX_STRING_SIZE));
}

static nokprobe_inline int fetch_store_strlen_user(unsigned long addr)
{
	return fetch_store_strlen(addr);
}

/*
 * @loc: where the string may go, with how much room; becomes where it is.
 * @len: as strncpy_from_user() and strscpy() tell it, without the 0 byte.
 * Return: bytes used, or -errno.
 */
static int end_string(u32 *loc, char *text, long len)
{
	int room = get_loc_len(*loc);

	if (len == -E2BIG || len == room) {
		len = room - 1;
		text[len] = '\0';
	}
	*loc = make_data_loc(len < 0 ? 0 : len + 1, get_loc_offs(*loc));
	return len < 0 ? len : len + 1;
}

static nokprobe_inline int fetch_store_string(unsigned long addr, void *dest,
					      void *base)
{
	char *text = get_loc_data(dest, base);
	int room = get_loc_len(*(u32 *)dest);

	if (!room)
		return -ENOMEM;
	return end_string(dest, text,
			  strncpy_from_user(text, (const char __user *)addr,
					    room));
}

static nokprobe_inline int fetch_store_string_user(unsigned long addr,
						   void *dest, void *base)
{
	return fetch_store_string(addr, dest, base);
}

/*
 * $comm and \"text": strings of the kernel's. The library lets only the type
 * string follow them, so there is no further step. @dest NULL: the length.
 */
static int store_text(const char *text, void *dest, void *base)
{
	char *to;
	int room;

	if (!dest)
		return strnlen(text, MAX_STRING_SIZE) + 1;
	room = get_loc_len(*(u32 *)dest);
	if (!room)
		return -ENOMEM;
	to = get_loc_data(dest, base);
	return end_string(dest, to, strscpy(to, text, room));
}

/* A word of ours, 64 bits wide whatever the width of a long. */
static int store_word(const struct trace_uprobe_hit *hit,
		      enum trace_uprobe_word word, u64 *dest)
{
	switch (word) {
	case TRACE_UPROBE_LATENCY:
		*dest = hit->call->latency;
		return 0;
	}
	return -EINVAL;
}

/* $stackN; 0 if it can't be read */
static unsigned long stack_word(struct pt_regs *regs, unsigned int n)
{
	long bytes = (long)n * sizeof(long);
	unsigned long sp = user_stack_pointer(regs), word;

	if (IS_ENABLED(CONFIG_STACK_GROWSUP))
		bytes = -bytes;
	return get_user(word, (unsigned long __user *)(sp + bytes)) ? 0 : word;
}

/*
 * The first step of a fetch argument; the library's template does the rest.
 * @rec: the registers. @edata: the hit.
 */
static int process_fetch_insn(struct fetch_insn *code, void *rec, void *edata,
			      void *dest, void *base)
{
	const struct trace_uprobe_hit *hit = edata;
	struct pt_regs *regs = rec;
	unsigned long val;
	int ret;

	switch (code->op) {
	case FETCH_OP_REG:
		val = regs_get_register(regs, code->param);
		break;
	case FETCH_OP_STACK:
		val = stack_word(regs, code->param);
		break;
	case FETCH_OP_STACKP:
		val = user_stack_pointer(regs);
		break;
	case FETCH_OP_RETVAL:
		val = regs_return_value(regs);
		break;
	case FETCH_OP_FOFFS:
		/* where the file is mapped, as seen from the probe */
		val = hit->func - hit->tu->offset + code->immediate;
		break;
	case FETCH_OP_COMM:
		return store_text(current->comm, dest, base);
	case FETCH_OP_DATA:
		return store_text(code->data, dest, base);
	case FETCH_OP_EDATA:
		return store_word(hit, code->param, dest);
	default:
		ret = process_common_fetch_insn(code, &val);
		if (ret)
			return ret;
	}
	return process_fetch_insn_bottom(code + 1, val, dest, base);
}

/**
 * trace_uprobe_fetch - make sure that a hit has its arguments
 * @hit: the hit; @args and @size are filled in by the first call
 *
 * The lengths of strings are measured first and may have changed when they
 * are copied: the copy never exceeds what was reserved. All bytes are set,
 * none is left from an earlier record, even if a fetch fails.
 *
 * Context: the thread that hit, may sleep.
 * Return: false if there is no memory.
 */
bool trace_uprobe_fetch(struct trace_uprobe_hit *hit)
{
	struct trace_probe *tp = &hit->tu->tp;
	int head = trace_uprobe_head_size(hit->tu->kind);
	void *buf;

	if (hit->args || hit->lost)
		return !hit->lost;
	buf = get_scratch();
	if (!buf) {
		hit->lost = true;
		return false;
	}
	hit->size = tp->size + __get_data_size(tp, hit->regs, hit);
	hit->size = min(hit->size, RECORD_MAX - head);
	hit->args = buf;
	memset(buf, 0, hit->size);
	store_trace_args(buf, tp, hit->regs, hit, head, hit->size - tp->size);
	return true;
}

/**
 * trace_uprobe_fill - write all of a record but the common fields
 * @hit: a hit with arguments
 * @record: trace_uprobe_head_size() and @hit->size bytes
 */
void trace_uprobe_fill(const struct trace_uprobe_hit *hit, void *record)
{
	struct trace_uprobe_return_record *ret = record;
	struct trace_uprobe_entry_record *entry = record;

	if (hit->call) {
		ret->func = hit->func;
		ret->ret_ip = hit->call->ret_addr;
	} else {
		entry->ip = hit->func;
	}
	memcpy(record + trace_uprobe_head_size(hit->tu->kind), hit->args,
	       hit->size);
}

/* ---- ftrace ------------------------------------------------------------- */

static void record_in_file(struct trace_uprobe_hit *hit,
			   struct trace_event_file *file)
{
	struct trace_event_buffer buffer;
	void *record;

	if (trace_trigger_soft_disabled(file))
		return;
	record = trace_event_buffer_reserve(&buffer, file,
			trace_uprobe_head_size(hit->tu->kind) + hit->size);
	if (!record)
		return;
	trace_uprobe_fill(hit, record);
	trace_event_buffer_commit(&buffer);
}

/*
 * Each instance in which the event is on. Preemption is off not only to keep
 * the list: trace_event_buffer_reserve() takes one level off the count that
 * it records, expecting to be called from a tracepoint.
 */
static void record_in_files(struct trace_uprobe_hit *hit)
{
	struct event_file_link *link;

	if (!trace_uprobe_fetch(hit))
		return;
	guard(preempt_notrace)();
	trace_probe_for_each_link_rcu(link, &hit->tu->tp)
		record_in_file(hit, link->file);
}

/* ---- what the core calls ------------------------------------------------ */

static struct trace_uprobe *consumer_of(struct uprobe_consumer *self)
{
	return container_of(self, struct trace_uprobe, consumer);
}

/* Who wants this hit: TP_FLAG_TRACE, TP_FLAG_PROFILE, both, or 0. */
static unsigned int users_of_hit(struct trace_uprobe *tu)
{
	unsigned int users = trace_probe_load_flag(&tu->tp);

	if ((users & TP_FLAG_PROFILE) &&
	    !trace_uprobe_perf_wants(tu, current->mm))
		users &= ~TP_FLAG_PROFILE;
	return users;
}

/* Return: how it is to be counted. */
static bool record_hit(struct trace_uprobe_hit *hit, unsigned int users)
{
	if (users & TP_FLAG_TRACE)
		record_in_files(hit);
	if (users & TP_FLAG_PROFILE)
		trace_uprobe_perf_record(hit);
	if (hit->args)
		put_scratch(hit->args);
	return !hit->lost;
}

static void count(struct uprobe_consumer *self, enum uprobe_event_count what)
{
	this_cpu_inc(consumer_of(self)->counts->other[what]);
}

static int handle_entry(struct uprobe_consumer *self, struct pt_regs *regs)
{
	struct trace_uprobe_hit hit = {
		.tu = consumer_of(self),
		.regs = regs,
		.func = instruction_pointer(regs),
	};
	unsigned int users = users_of_hit(hit.tu);

	if (!users)
		return UPROBE_HANDLER_REMOVE;
	if (hit.tu->kind == TRACE_UPROBE_ENTRY && !record_hit(&hit, users))
		count(self, UPROBE_MISSED_MEMORY);
	else
		this_cpu_inc(hit.tu->counts->entries);
	return 0;
}

/* Who wanted the entry may have gone: then the return is nobody's. */
static void handle_exit(struct uprobe_consumer *self,
			const struct uprobe_call *call, struct pt_regs *regs)
{
	struct trace_uprobe_hit hit = {
		.tu = consumer_of(self),
		.regs = regs,
		.func = call->func,
		.call = call,
	};
	unsigned int users = users_of_hit(hit.tu);

	if (!users)
		count(self, UPROBE_MISSED_UNREGISTERED);
	else if (!record_hit(&hit, users))
		count(self, UPROBE_MISSED_MEMORY);
	else
		this_cpu_inc(hit.tu->counts->returns);
}

static bool wants_mm(struct uprobe_consumer *self, struct mm_struct *mm)
{
	struct trace_uprobe *tu = consumer_of(self);

	return trace_uprobe_wants_all(&tu->tp) ||
	       trace_uprobe_perf_wants(tu, mm);
}

/**
 * trace_uprobe_set_handlers - what the core shall call for a probe
 * @tu: a new probe
 */
void trace_uprobe_set_handlers(struct trace_uprobe *tu)
{
	tu->consumer.handler = handle_entry;
	if (tu->kind == TRACE_UPROBE_RETURN)
		tu->consumer.exit = handle_exit;
	tu->consumer.filter = wants_mm;
	tu->consumer.count = count;
}

/* ---- reading ------------------------------------------------------------ */

/* Under trace_event_sem, which keeps the oldest probe and its arguments. */
static enum print_line_t print_record(struct trace_iterator *iter, int flags,
				      struct trace_event *event)
{
	struct trace_uprobe_return_record *ret = (void *)iter->ent;
	struct trace_uprobe_entry_record *entry = (void *)iter->ent;
	struct trace_seq *s = &iter->seq;
	struct trace_uprobe *tu;

	tu = trace_uprobe_of_call(container_of(event, struct trace_event_call,
					       event));
	if (!tu)
		return trace_handle_return(s);
	trace_seq_printf(s, "%s: ", trace_probe_name(&tu->tp));
	if (tu->kind == TRACE_UPROBE_RETURN)
		trace_seq_printf(s, "(0x%lx <- 0x%lx)", ret->ret_ip, ret->func);
	else
		trace_seq_printf(s, "(0x%lx)", entry->ip);
	if (!trace_probe_print_args(s, tu->tp.args, tu->tp.nr_args,
				    (void *)iter->ent +
				    trace_uprobe_head_size(tu->kind), iter->ent))
		trace_seq_putc(s, '\n');
	return trace_handle_return(s);
}

struct trace_event_functions trace_uprobe_print_functions = {
	.trace	= print_record,
};

static int define_address(struct trace_event_call *call, const char *name,
			  int offset)
{
	return trace_define_field(call, "unsigned long", name, offset,
				  sizeof(unsigned long), 0, FILTER_OTHER);
}

static int define_fields(struct trace_event_call *call)
{
	struct trace_uprobe *tu = trace_uprobe_of_call(call);
	int ret;

	if (!tu)
		return -ENODEV;
	if (tu->kind == TRACE_UPROBE_RETURN)
		ret = define_address(call, FIELD_STRING_FUNC,
				     offsetof(struct trace_uprobe_return_record,
					      func)) ?:
		      define_address(call, FIELD_STRING_RETIP,
				     offsetof(struct trace_uprobe_return_record,
					      ret_ip));
	else
		ret = define_address(call, FIELD_STRING_IP,
				     offsetof(struct trace_uprobe_entry_record,
					      ip));
	return ret ?: traceprobe_define_arg_fields(call,
				trace_uprobe_head_size(tu->kind), &tu->tp);
}

struct trace_event_fields trace_uprobe_fields[] = {
	{ .type = TRACE_FUNCTION_TYPE, .define_fields = define_fields },
	{}
};
