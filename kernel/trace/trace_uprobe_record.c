// SPDX-License-Identifier: GPL-2.0
/*
 * How does a hit become a record?
 *
 * The core calls gather_hit() and then commit_hit() in the thread that hit the
 * probe. Gathering fetches the arguments into the core's buffer, without page
 * faults; the commit copies them from there into the ring buffers of ftrace,
 * here, and of perf, in trace_uprobe_perf.c. BPF programs, which may sleep, are
 * in between. At the end of the file: how a record is printed, and its fields.
 */
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/ptrace.h>
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

/* ---- fetching: what trace_probe_tmpl.h asks for ------------------------- */

static nokprobe_inline int probe_mem_read(void *dest, void *src, size_t size)
{
	return uprobe_read_user(dest, (const void __force __user *)src, size);
}

static nokprobe_inline int probe_mem_read_user(void *dest, void *src,
					       size_t size)
{
	return probe_mem_read(dest, src, size);
}

/* Nobody measures strings: fetch() stores them at once. */
static nokprobe_inline int fetch_store_strlen(unsigned long addr)
{
	return 0;
}

static nokprobe_inline int fetch_store_strlen_user(unsigned long addr)
{
	return fetch_store_strlen(addr);
}

/*
 * For what can't be read a 0 byte is stored, which isn't counted in the length:
 * perf script doesn't look at that, and would print the string that comes next.
 *
 * @loc: where the string may go, with how much room, at least one byte; becomes
 *	where it is
 * @size: with the 0 byte, or -errno
 * Return: bytes used
 */
static int end_string(u32 *loc, void *base, long size)
{
	if (size <= 0)
		*(char *)get_loc_data(loc, base) = '\0';
	*loc = make_data_loc(max(size, 0L), get_loc_offs(*loc));
	return max(size, 1L);
}

static nokprobe_inline int fetch_store_string(unsigned long addr, void *dest,
					      void *base)
{
	char *text = get_loc_data(dest, base);
	int room = get_loc_len(*(u32 *)dest);

	if (!room)
		return -ENOMEM;
	return end_string(dest, base,
			  uprobe_read_user_string(text,
					(const char __user *)addr, room));
}

static nokprobe_inline int fetch_store_string_user(unsigned long addr,
						   void *dest, void *base)
{
	return fetch_store_string(addr, dest, base);
}

/*
 * $comm and \"text": strings of the kernel's. The library lets only the type
 * string follow them, so there is no further step.
 */
static int store_text(const char *text, void *dest, void *base)
{
	int room = get_loc_len(*(u32 *)dest), len;

	if (!room)
		return -ENOMEM;
	len = strscpy(get_loc_data(dest, base), text, room);
	return end_string(dest, base, len < 0 ? room : len + 1);
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
	return uprobe_read_user(&word, (void __user *)(sp + bytes),
				sizeof(word)) ? 0 : word;
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

/*
 * A string, or an array of them, couldn't be reached: a pointer on the way can't be
 * read. The strings of an array that come before it are there; @loc of the next
 * one still says how much room there was, and those after it are 0.
 *
 * Return: bytes used
 */
static int end_early(u32 *loc, unsigned int count, void *base)
{
	u32 *end = loc + max(count, 1U);
	int start = get_loc_offs(*loc), used;

	while (loc + 1 < end && loc[1])
		loc++;
	used = get_loc_offs(*loc) - start;
	if (get_loc_len(*loc))
		used += end_string(loc, base, -EFAULT);
	while (++loc < end)
		*loc = loc[-1];
	return used;
}

/*
 * Instead of the library's store_trace_args(), which doesn't know what it has stored
 * of an argument that fails half-way. @loc: where its strings may go.
 *
 * Return: bytes used by its strings
 */
static int fetch_strings(struct trace_uprobe_hit *hit, struct probe_arg *arg,
			 u32 loc, void *dest, void *base)
{
	int ret;

	*(u32 *)dest = loc;
	ret = process_fetch_insn(arg->code, hit->regs, hit, dest, base);
	return ret < 0 ? end_early(dest, arg->count, base) : ret;
}

/*
 * All bytes are set, none is left from an earlier record, even if a fetch fails.
 * Strings go one behind the other, as far as there is room.
 *
 * Return: bytes used, or -E2BIG.
 */
static int fetch(struct trace_uprobe_hit *hit, void *buf, size_t room)
{
	struct trace_probe *tp = &hit->tu->tp;
	int head = trace_uprobe_head_size(hit->tu->kind);
	int size = tp->size, limit = RECORD_MAX - head;
	void *base = buf - head;
	struct probe_arg *arg;

	if (size > room)
		return -E2BIG;
	limit = min_t(size_t, limit, room);
	memset(buf, 0, size);
	for (arg = tp->args; arg < tp->args + tp->nr_args; arg++) {
		if (unlikely(arg->dynamic))
			size += fetch_strings(hit, arg,
					      make_data_loc(limit - size,
							    head + size),
					      buf + arg->offset, base);
		else
			process_fetch_insn(arg->code, hit->regs, hit,
					   buf + arg->offset, base);
	}
	/* perhaps something was cut that a larger buffer has room for */
	return size == room && room < RECORD_MAX - head ? -E2BIG : size;
}

/**
 * trace_uprobe_fill_head - write what comes in front of the arguments
 * @hit: a hit
 * @record: trace_uprobe_head_size() bytes, of which the common fields are left
 */
void trace_uprobe_fill_head(const struct trace_uprobe_hit *hit, void *record)
{
	struct trace_uprobe_return_record *ret = record;
	struct trace_uprobe_entry_record *entry = record;

	if (hit->call) {
		ret->func = hit->func;
		ret->ret_ip = hit->call->ret_addr;
	} else {
		entry->ip = hit->func;
	}
}

/* ---- ftrace ------------------------------------------------------------- */

/* trace_event_buffer_reserve() has set what is true of the kernel here. */
static void set_context(struct trace_event_buffer *buffer)
{
	struct trace_entry *entry = buffer->entry;

	buffer->trace_ctx = TRACE_UPROBE_USER_CTX;
	entry->flags = TRACE_UPROBE_USER_CTX >> 16;
	entry->preempt_count = 0;
}

static void record_in_file(struct trace_uprobe_hit *hit,
			   struct trace_event_file *file)
{
	struct trace_event_buffer buffer;
	int head = trace_uprobe_head_size(hit->tu->kind);
	void *record;

	if (trace_trigger_soft_disabled(file))
		return;
	record = trace_event_buffer_reserve(&buffer, file, head + hit->size);
	if (!record)
		return;
	set_context(&buffer);
	trace_uprobe_fill_head(hit, record);
	memcpy(record + head, hit->args, hit->size);
	trace_event_buffer_commit(&buffer);
}

/* Each instance in which the event is on. Preemption is off to keep the list. */
static void record_in_files(struct trace_uprobe_hit *hit)
{
	struct event_file_link *link;

	guard(preempt_notrace)();
	trace_probe_for_each_link_rcu(link, &hit->tu->tp)
		record_in_file(hit, link->file);
}

/* ---- what the core calls ------------------------------------------------ */

static struct trace_uprobe *consumer_of(struct uprobe_consumer *self)
{
	return container_of(self, struct trace_uprobe, consumer);
}

static struct trace_uprobe_hit hit_of(struct uprobe_consumer *self,
				      const struct uprobe_hit *hit)
{
	return (struct trace_uprobe_hit){
		.tu	= consumer_of(self),
		.regs	= hit->regs,
		.func	= hit->func,
		.call	= hit->call,
	};
}

/**
 * struct gathered - what a gather hands to the commit of a record
 * @users: who wants the hit; they may change until then
 * @front: room for what perf puts in front of a record
 * @head: room for the head of a record, which ends where @args begin
 * @args: the arguments, as in a record, and TRACE_UPROBE_TAIL bytes more
 */
struct gathered {
	unsigned int	users;
	u8		front[TRACE_UPROBE_FRONT];
	u8		head[sizeof(struct trace_uprobe_return_record)]
			__aligned(8);
	u8		args[] __aligned(8);
};

static_assert(offsetof(struct gathered, args) ==
	      offsetof(struct gathered, head) +
	      sizeof(struct trace_uprobe_return_record));
static_assert(sizeof(struct trace_uprobe_entry_record) <=
	      sizeof(struct trace_uprobe_return_record));

static bool is_tally_only(const struct trace_uprobe *tu,
			  const struct uprobe_call *call)
{
	return !call && tu->kind == TRACE_UPROBE_RETURN;
}

/*
 * Who listens is a matter of this CPU and of the thread's perf events. It may
 * return on another CPU, or with the events of a thread that has inherited the
 * same ones: perf exchanges those when it switches from one to the other.
 */
static bool may_be_heard_later(struct trace_uprobe *tu)
{
	return trace_uprobe_wants_all(&tu->tp) ||
	       (READ_ONCE(current->perf_event_ctxp) &&
		trace_uprobe_perf_wants(tu, current->mm));
}

/*
 * What is wanted of a hit, BPF programs apart. A return event wants its entries
 * counted if anybody may want the return.
 */
static enum uprobe_wish wish_for_buffers(struct trace_uprobe *tu,
					 const struct uprobe_call *call)
{
	bool traced = trace_probe_load_flag(&tu->tp) & TP_FLAG_TRACE;
	enum uprobe_wish wish;

	if (traced && !is_tally_only(tu, call))
		return UPROBE_WISH_RECORD;
	wish = trace_uprobe_perf_wish(tu);
	if (is_tally_only(tu, call))
		return wish || traced || may_be_heard_later(tu) ?
		       UPROBE_WISH_TALLY : UPROBE_WISH_NONE;
	/* who wanted the entry may have gone; its return is counted all the same */
	return call && !wish ? UPROBE_WISH_TALLY : wish;
}

static noinline enum uprobe_wish wish_at_length(struct trace_uprobe *tu,
						const struct uprobe_call *call)
{
	if (trace_uprobe_has_bpf(tu) &&
	    trace_uprobe_perf_wants(tu, current->mm))
		return is_tally_only(tu, call) ? UPROBE_WISH_TALLY :
						 UPROBE_WISH_HANDLER;
	return wish_for_buffers(tu, call);
}

/*
 * The perf event that most hits are for: it is the only one here and now, and
 * nothing else uses the event. NULL if it isn't as simple as that. Preemption is
 * off.
 */
static __always_inline struct perf_event *only_listener(struct trace_uprobe *tu)
{
	struct hlist_node *first;

	if (unlikely(trace_uprobe_has_bpf(tu) ||
		     trace_probe_load_flag(&tu->tp) != TP_FLAG_PROFILE))
		return NULL;
	first = READ_ONCE(this_cpu_ptr(trace_uprobe_call(tu)->perf_events)->first);
	if (unlikely(!first || READ_ONCE(first->next)))
		return NULL;
	return hlist_entry(first, struct perf_event, hlist_entry);
}

static enum uprobe_wish wish(struct uprobe_consumer *self,
			     const struct uprobe_call *call)
{
	struct trace_uprobe *tu = consumer_of(self);
	struct perf_event *event;

	guard(preempt_notrace)();
	event = only_listener(tu);
	if (unlikely(!event))
		return wish_at_length(tu, call);
	return !is_tally_only(tu, call) && trace_uprobe_needs_record(event) ?
	       UPROBE_WISH_RECORD : UPROBE_WISH_TALLY;
}

static void count_hit(struct trace_uprobe *tu, const struct uprobe_call *call)
{
	if (call)
		this_cpu_inc(tu->counts->returns);
	else
		this_cpu_inc(tu->counts->entries);
}

static noinline enum uprobe_wish tally_at_length(struct trace_uprobe *tu,
						 const struct uprobe_call *call)
{
	enum uprobe_wish answer = wish_at_length(tu, call);

	if (answer != UPROBE_WISH_TALLY)
		return answer;
	count_hit(tu, call);
	if (!is_tally_only(tu, call))
		trace_uprobe_perf_count(tu);
	return answer;
}

/* In the trap, where most hits are to be counted by one perf event. */
static enum uprobe_wish tally(struct uprobe_consumer *self,
			      const struct uprobe_call *call)
{
	struct trace_uprobe *tu = consumer_of(self);
	struct perf_event *event = only_listener(tu);

	if (unlikely(!event))
		return tally_at_length(tu, call);
	if (is_tally_only(tu, call)) {
		this_cpu_inc(tu->counts->entries);
		return UPROBE_WISH_TALLY;
	}
	if (trace_uprobe_needs_record(event))
		return UPROBE_WISH_RECORD;
	count_hit(tu, call);
	trace_uprobe_count_event(event);
	return UPROBE_WISH_TALLY;
}

/*
 * What is only counted takes no room in the buffer; nor does what is there for a
 * BPF program alone.
 */
static int gather_hit(struct uprobe_consumer *self,
		      const struct uprobe_hit *core_hit, void *buf, size_t room)
{
	struct trace_uprobe *tu = consumer_of(self);
	enum uprobe_wish wish = core_hit->wish;
	struct gathered *gathered = buf;
	struct trace_uprobe_hit hit;
	int size;

	if (unlikely(wish == UPROBE_WISH_HANDLER))
		wish = wish_for_buffers(tu, core_hit->call) ?:
		       UPROBE_WISH_TALLY;
	if (unlikely(wish == UPROBE_WISH_NONE))
		return trace_uprobe_perf_wants(tu, current->mm) ? -ENOENT :
								  -ESRCH;
	if (wish == UPROBE_WISH_TALLY)
		return 0;
	if (room < sizeof(*gathered) + TRACE_UPROBE_TAIL)
		return -E2BIG;
	gathered->users = trace_probe_load_flag(&tu->tp);
	if (!tu->tp.nr_args)
		return sizeof(*gathered) + TRACE_UPROBE_TAIL;
	hit = hit_of(self, core_hit);
	size = fetch(&hit, gathered->args,
		     room - sizeof(*gathered) - TRACE_UPROBE_TAIL);
	return size < 0 ? size : sizeof(*gathered) + size + TRACE_UPROBE_TAIL;
}

static void record(struct uprobe_consumer *self,
		   const struct uprobe_hit *core_hit,
		   struct gathered *gathered, size_t size)
{
	struct trace_uprobe_hit hit = hit_of(self, core_hit);

	hit.args = gathered->args;
	hit.size = size - sizeof(*gathered) - TRACE_UPROBE_TAIL;
	if (gathered->users & TP_FLAG_TRACE)
		record_in_files(&hit);
	if ((gathered->users & TP_FLAG_PROFILE) &&
	    !(core_hit->verdict & UPROBE_HANDLER_IGNORE))
		trace_uprobe_perf_record(&hit);
}

static int commit_hit(struct uprobe_consumer *self,
		      const struct uprobe_hit *hit, void *buf, size_t size)
{
	struct trace_uprobe *tu = consumer_of(self);

	count_hit(tu, hit->call);
	if (size)
		record(self, hit, buf, size);
	else if (!is_tally_only(tu, hit->call) &&
		 !(hit->verdict & UPROBE_HANDLER_IGNORE))
		trace_uprobe_perf_count(tu);
	return 0;
}

/* Is a hit missed that an event would have got? */
static bool is_lost(enum uprobe_event_count what)
{
	switch (what) {
	case UPROBE_MISSED_DEPTH:
	case UPROBE_MISSED_MEMORY:
	case UPROBE_MISSED_FAULT:
	case UPROBE_MISSED_UNWOUND:
	case UPROBE_MISSED_EXIT:
	case UPROBE_MISSED_EXEC:
	case UPROBE_MISSED_NO_SITE:
		return true;
	default:
		return false;
	}
}

static void count(struct uprobe_consumer *self, enum uprobe_event_count what)
{
	struct trace_uprobe *tu = consumer_of(self);

	this_cpu_inc(tu->counts->other[what]);
	if (is_lost(what))
		trace_uprobe_perf_lose(tu);
}

/* BPF programs may sleep, and may say that perf needs no record. */

static int run_at_entry(struct uprobe_consumer *self, struct pt_regs *regs)
{
	return trace_uprobe_run_bpf(consumer_of(self),
				    instruction_pointer(regs), regs);
}

static int run_at_return(struct uprobe_consumer *self, unsigned long func,
			 struct pt_regs *regs)
{
	return trace_uprobe_run_bpf(consumer_of(self), func, regs);
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
	struct uprobe_consumer *self = &tu->consumer;

	self->gather = gather_hit;
	self->commit = commit_hit;
	self->wish = wish;
	self->tally = tally;
	if (IS_ENABLED(CONFIG_BPF_EVENTS)) {
		if (tu->kind == TRACE_UPROBE_RETURN)
			self->ret_handler = run_at_return;
		else
			self->handler = run_at_entry;
	}
	self->returns = tu->kind == TRACE_UPROBE_RETURN;
	self->filter = wants_mm;
	self->count = count;
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
