// SPDX-License-Identifier: GPL-2.0
/*
 * How does a hit become a record?
 *
 * The core calls gather_hit() and then commit_hit() in the thread that hit the
 * probe. Gathering fetches the arguments into the core's buffer, without page
 * faults; the commit copies them from there into the ring buffers of ftrace,
 * here, and of perf, in trace_uprobe_perf.c. Arguments for which nothing can be
 * missing, and whose size is known, are fetched by the commit, into the ring
 * buffer itself; of the others a record must not be begun before all consumers
 * have what they need. BPF programs, which may sleep, are in between. At the end
 * of the file: how a record is printed, and its fields.
 */
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/trace_seq.h>
#include <asm/uprobes_stack.h>

#include "trace_uprobe.h"

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

static void put_args(struct trace_uprobe_hit *hit, void *to)
{
	if (!hit->is_late) {
		memcpy(to, hit->args, hit->size);
		return;
	}
	trace_uprobe_fetch_certain(hit, to);
	if (hit->tu->names_calls && hit->opens)
		trace_uprobe_name_call(hit->tu, hit->opens, to);
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
	put_args(hit, record + head);
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
		.opens	= hit->opens,
		.pouch	= hit->pouch,
	};
}

static bool wants_mm(struct uprobe_consumer *self, struct mm_struct *mm)
{
	struct trace_uprobe *tu = consumer_of(self);

	return trace_uprobe_wants_all(&tu->tp) ||
	       trace_uprobe_perf_wants(tu, mm);
}

/**
 * struct gathered - what a gather hands to the commit of a record
 * @users: who wants the hit; they may change until then
 * @is_late: the commit is to fetch @args
 * @front: room for what perf puts in front of a record
 * @head: room for the head of a record, which ends where @args begin
 * @args: the arguments, as in a record, and TRACE_UPROBE_TAIL bytes more
 */
struct gathered {
	unsigned int	users;
	bool		is_late;
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
		trace_uprobe_perf_wants_hit(tu));
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
	    trace_uprobe_perf_wants_hit(tu))
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
		return -ESRCH;
	if (wish == UPROBE_WISH_TALLY)
		return 0;
	if (room < sizeof(*gathered) + TRACE_UPROBE_TAIL)
		return -E2BIG;
	gathered->users = trace_probe_load_flag(&tu->tp);
	gathered->is_late = false;
	if (!tu->tp.nr_args)
		return sizeof(*gathered) + TRACE_UPROBE_TAIL;
	room -= sizeof(*gathered) + TRACE_UPROBE_TAIL;
	size = tu->tp.size;
	/* in 32-bit code all arguments of a function are in memory */
	gathered->is_late = tu->is_certain && size <= room &&
			    arch_uprobe_word_size(core_hit->regs) == sizeof(long);
	if (!gathered->is_late) {
		hit = hit_of(self, core_hit);
		size = trace_uprobe_fetch(&hit, gathered->args, room);
	}
	return size < 0 ? size : sizeof(*gathered) + size + TRACE_UPROBE_TAIL;
}

static void record(struct uprobe_consumer *self,
		   const struct uprobe_hit *core_hit,
		   struct gathered *gathered, size_t size)
{
	struct trace_uprobe_hit hit = hit_of(self, core_hit);

	hit.args = gathered->args;
	hit.size = size - sizeof(*gathered) - TRACE_UPROBE_TAIL;
	hit.is_late = gathered->is_late;
	if (!hit.is_late && hit.tu->names_calls && hit.opens)
		trace_uprobe_name_call(hit.tu, hit.opens, hit.args);
	/* perhaps a long way, but only once: not with preemption off */
	if (hit.is_late && self->asks_depth && (hit.call || hit.opens))
		uprobe_call_depth(hit.call ?: hit.opens);
	if (gathered->users & TP_FLAG_TRACE)
		record_in_files(&hit);
	if (!(gathered->users & TP_FLAG_PROFILE) ||
	    (core_hit->verdict & UPROBE_HANDLER_IGNORE))
		return;
	/* perf copies it, with what it puts in front, in one */
	if (hit.is_late)
		put_args(&hit, hit.args);
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

/* ---- return events that keep something of the entry ---------------------- */

/* That is more than to count it, if anybody may want the return. */
static enum uprobe_wish wish_saving(struct uprobe_consumer *self,
				    const struct uprobe_call *call)
{
	enum uprobe_wish answer = wish(self, call);

	return !call && answer ? UPROBE_WISH_RECORD : answer;
}

static int gather_saving(struct uprobe_consumer *self,
			 const struct uprobe_hit *core_hit, void *buf,
			 size_t room)
{
	struct trace_uprobe_hit hit = hit_of(self, core_hit);

	if (core_hit->wish < UPROBE_WISH_RECORD)
		return gather_hit(self, core_hit, buf, room);
	if (core_hit->call)
		return gather_hit(self, core_hit, buf, room);
	/* in the trap the call is there: if this fails, it is undone */
	if (core_hit->pouch)
		return min(trace_uprobe_fetch_saved(&hit, core_hit->pouch,
						    self->pouch_size), 0);
	return trace_uprobe_fetch_saved(&hit, buf, room);
}

static int commit_saving(struct uprobe_consumer *self,
			 const struct uprobe_hit *hit, void *buf, size_t size)
{
	if (hit->call)
		return commit_hit(self, hit, buf, size);
	if (hit->pouch && size)
		memcpy(hit->pouch, buf, size);
	return commit_hit(self, hit, buf, 0);
}

/**
 * trace_uprobe_set_saving - what the core shall call for a probe with saved arguments
 * @tu: a new probe, with all its arguments
 */
void trace_uprobe_set_saving(struct trace_uprobe *tu)
{
	tu->consumer.gather = gather_saving;
	tu->consumer.commit = commit_saving;
	tu->consumer.wish = wish_saving;
	/* as wish */
	tu->consumer.tally = NULL;
}

/* ---- probes with a scope -------------------------------------------------- */

/*
 * Whoever was in scope at the entry has his return told, whatever user he is by then.
 * Who shares a bit with others may be asked of a return in another process that has
 * the same memory.
 */
static enum uprobe_wish wish_in_scope(struct uprobe_consumer *self,
				      const struct uprobe_call *call)
{
	struct trace_uprobe *tu = consumer_of(self);

	if (call ? !trace_uprobe_scope_has_process(tu->scope, current) :
		   !trace_uprobe_scope_has(tu->scope, current))
		return UPROBE_WISH_NONE;
	return tu->saved ? wish_saving(self, call) : wish(self, call);
}

/**
 * trace_uprobe_set_scope - tell the core of nobody else's hits
 * @tu: a new probe, with all its arguments
 * @scope: whose hits it wants; trace_uprobe_free() gives it back
 */
void trace_uprobe_set_scope(struct trace_uprobe *tu,
			    struct trace_uprobe_scope *scope)
{
	tu->scope = scope;
	tu->consumer.scope = &scope->core;
	tu->consumer.wish = wish_in_scope;
	/* as wish */
	tu->consumer.tally = NULL;
}

/* ---- what isn't a hit ---------------------------------------------------- */

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

/**
 * trace_uprobe_shed - a perf event may have the hits of the current task no more
 * @call: the event that it is on
 */
void trace_uprobe_shed(struct trace_event_call *call)
{
	struct trace_uprobe *tu = trace_uprobe_of_call(call);

	if (tu)
		count(&tu->consumer, UPROBE_MISSED_SHED);
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
