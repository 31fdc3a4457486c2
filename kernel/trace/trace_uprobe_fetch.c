// SPDX-License-Identifier: GPL-2.0
/*
 * How does an argument get into a record?
 *
 * The library has made steps of each (trace_uprobe_args.c); its template
 * trace_probe_tmpl.h goes through them, and asks here for what lies in registers, in
 * the program's memory and in the call. All of it is read without page faults, while
 * the core gathers: trace_uprobe_record.c calls. What a return event keeps of the entry
 * is fetched there in the same way, in the format of a record without a head.
 */
#include <linux/init.h>
#include <linux/ptrace.h>
#include <linux/random.h>
#include <linux/siphash.h>
#include <linux/uaccess.h>
#include <asm/uprobes_stack.h>

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
static_assert(MAX_PROBE_EVENT_SIZE <= TRACE_UPROBE_SAVED_MAX);

/* ---- what trace_probe_tmpl.h asks for ----------------------------------- */

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

/*
 * Threads take blocks of numbers from one counter, whose pace would tell a user what others
 * are traced for. So he gets other numbers, different ones for different calls: a Feistel
 * network (Luby and Rackoff, 1988) of four rounds.
 */
static siphash_key_t disguise_key __ro_after_init;

static u64 disguise(u64 id)
{
	u32 left = id >> 32, right = id, former, round;

	for (round = 0; round < 4; round++) {
		former = right;
		right = left ^ siphash_2u32(right, round, &disguise_key);
		left = former;
	}
	return (u64)left << 32 | right;
}

static __init int make_key(void)
{
	get_random_bytes(&disguise_key, sizeof(disguise_key));
	return 0;
}
late_initcall(make_key);

/*
 * At an entry the call is known when it is opened: trace_uprobe_name_call().
 */
static u64 word_of(const struct trace_uprobe *tu, enum trace_uprobe_word word,
		   const struct uprobe_call *call)
{
	if (!call)
		return 0;
	switch (word) {
	case TRACE_UPROBE_LATENCY:
		return call->latency;
	case TRACE_UPROBE_ENTRY_TIME:
		return call->entry_time;
	case TRACE_UPROBE_CALL:
		return tu->consumer.payer ? disguise(call->id) : call->id;
	case TRACE_UPROBE_DEPTH:
		return uprobe_call_depth(call);
	}
	return 0;
}

/* 64 bits wide, whatever the width of a long. */
static int store_word(u64 word, void *dest)
{
	memcpy(dest, &word, sizeof(word));
	return 0;
}

/* $argN; 0 if it can't be read */
static unsigned long argument(struct pt_regs *regs, unsigned int n)
{
	unsigned long value = 0, at;
	size_t size = arch_uprobe_argument(regs, n, &value, &at);

	if (size && uprobe_read_user(&value, (void __user *)at, size))
		value = 0;
	return value;
}

/* $stackN, as wide as the process has it; 0 if it can't be read */
static unsigned long stack_word(struct pt_regs *regs, unsigned int n)
{
	size_t size = arch_uprobe_word_size(regs);
	unsigned long sp = user_stack_pointer(regs), word = 0;

	return uprobe_read_user(&word, (void __user *)(sp + n * size), size) ?
	       0 : word;
}

/* ---- what was kept at the entry ------------------------------------------ */

static unsigned long saved_word(const struct trace_uprobe_hit *hit,
				unsigned int i)
{
	unsigned long word = 0;

	if (hit->pouch)
		memcpy(&word, hit->pouch + hit->tu->saved->args[i].offset,
		       sizeof(word));
	return word;
}

/*
 * @from: where in the pouch strings are, of which one that couldn't be read has no
 *	length
 * @loc: as for end_string(), of the first one
 */
static int store_saved_strings(const struct trace_uprobe_hit *hit,
			       const u32 *from, unsigned int count, u32 *loc,
			       void *base)
{
	unsigned int i;
	int used = 0;

	for (i = 0; i < count && get_loc_len(loc[i]); i++) {
		int len = min(get_loc_len(from[i]), get_loc_len(loc[i]));
		char *text = get_loc_data(loc + i, base);
		u32 here = loc[i];

		memcpy(text, hit->pouch + get_loc_offs(from[i]), len);
		if (len)
			text[len - 1] = '\0';
		len = end_string(loc + i, base, len ?: -EFAULT);
		if (i + 1 < count)
			loc[i + 1] = update_data_loc(here, len);
		used += len;
	}
	while (++i < count)
		loc[i] = loc[i - 1];
	return used;
}

static int store_saved(const struct trace_uprobe_hit *hit, unsigned int i,
		       void *dest, void *base)
{
	const struct probe_arg *arg = &hit->tu->saved->args[i];
	unsigned int count = max(arg->count, 1U);

	if (!hit->pouch)
		return -EFAULT;
	if (arg->dynamic)
		return store_saved_strings(hit, hit->pouch + arg->offset, count,
					   dest, base);
	memcpy(dest, hit->pouch + arg->offset, arg->type->size * count);
	return 0;
}

/* ---- arguments ---------------------------------------------------------- */

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
	case FETCH_OP_ARG:
		val = argument(regs, code->param);
		break;
	case FETCH_OP_SAVED_WORD:
		val = saved_word(hit, code->param);
		break;
	case FETCH_OP_SAVED:
		return store_saved(hit, code->param, dest, base);
	case FETCH_OP_WORD:
		return store_word(word_of(hit->tu, code->param, hit->call), dest);
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
 * @tp: whose arguments
 * @head: bytes in front of @buf, from which strings are counted
 * @limit: no more bytes than that in any case
 * @string_max: nor for a string
 * Return: bytes used, or -E2BIG.
 */
static int fetch(struct trace_uprobe_hit *hit, struct trace_probe *tp,
		 int head, int limit, int string_max, void *buf, size_t room)
{
	int size = tp->size, most = min_t(size_t, limit, room), left;
	void *base = buf - head;
	struct probe_arg *arg;

	if (size > room)
		return -E2BIG;
	memset(buf, 0, size);
	for (arg = tp->args; arg < tp->args + tp->nr_args; arg++) {
		left = min_t(int, most - size,
			     string_max * max(arg->count, 1U));
		/* for want of room: empty, like the end of the one before */
		if (unlikely(arg->dynamic))
			size += fetch_strings(hit, arg,
					      make_data_loc(left, head + size -
							    !left),
					      buf + arg->offset, base);
		else
			process_fetch_insn(arg->code, hit->regs, hit,
					   buf + arg->offset, base);
	}
	/* perhaps something was cut that a larger buffer has room for */
	return size == room && room < limit ? -E2BIG : size;
}

/**
 * trace_uprobe_fetch - fetch the arguments of a record
 * @hit: the hit
 * @buf: where to
 * @room: for so many bytes
 *
 * Context: gather() of the core.
 * Return: bytes used, or -E2BIG.
 */
int trace_uprobe_fetch(struct trace_uprobe_hit *hit, void *buf, size_t room)
{
	int head = trace_uprobe_head_size(hit->tu->kind);

	return fetch(hit, &hit->tu->tp, head, RECORD_MAX - head, RECORD_MAX,
		     buf, room);
}

/*
 * Nothing but registers, constants and what the kernel keeps itself. $argN is one of
 * these in 64-bit code, as far as it is in registers.
 */
static bool is_certain(const struct probe_arg *arg)
{
	switch (arg->code[0].op) {
	case FETCH_OP_WORD:
	case FETCH_OP_SAVED:
		return !arg->dynamic;
	case FETCH_OP_REG:
	case FETCH_OP_STACKP:
	case FETCH_OP_RETVAL:
	case FETCH_OP_IMM:
	case FETCH_OP_SAVED_WORD:
		return arg->code[1].op == FETCH_OP_ST_RAW;
	case FETCH_OP_ARG:
		return arg->code[0].param < UPROBE_REGISTER_ARGUMENTS &&
		       arg->code[1].op == FETCH_OP_ST_RAW;
	default:
		return false;
	}
}

/**
 * trace_uprobe_fetch_is_certain - can the arguments be fetched at any time?
 * @tp: whose arguments
 *
 * Return: true if the size is known and no memory of the program's is read, in a
 * 64-bit process.
 */
bool trace_uprobe_fetch_is_certain(const struct trace_probe *tp)
{
	int i;

	for (i = 0; i < tp->nr_args; i++)
		if (!is_certain(&tp->args[i]))
			return false;
	return true;
}

/**
 * trace_uprobe_fetch_certain - fetch them into the record itself
 * @hit: the hit, of a probe with certain arguments
 * @buf: where to; trace_probe::size bytes
 *
 * Context: commit() of the core.
 */
void trace_uprobe_fetch_certain(struct trace_uprobe_hit *hit, void *buf)
{
	struct trace_probe *tp = &hit->tu->tp;

	fetch(hit, tp, 0, tp->size, 0, buf, tp->size);
}

/**
 * trace_uprobe_fetch_saved - fetch at the entry what a return event keeps of it
 * @hit: an entry
 * @buf: where to
 * @room: for so many bytes
 *
 * Context: gather() of the core.
 * Return: bytes used, uprobe_consumer::pouch_size at the most; or -E2BIG.
 */
int trace_uprobe_fetch_saved(struct trace_uprobe_hit *hit, void *buf,
			     size_t room)
{
	return fetch(hit, hit->tu->saved, 0, hit->tu->consumer.pouch_size,
		     TRACE_UPROBE_SAVED_STRING, buf, room);
}

/**
 * trace_uprobe_name_call - say in an entry's record which call has been opened
 * @tu: whose
 * @call: the call
 * @args: of the record
 *
 * Context: commit() of the core.
 */
void trace_uprobe_name_call(const struct trace_uprobe *tu,
			    const struct uprobe_call *call, void *args)
{
	const struct probe_arg *arg;

	for (arg = tu->tp.args; arg < tu->tp.args + tu->tp.nr_args; arg++)
		if (arg->code[0].op == FETCH_OP_WORD)
			store_word(word_of(tu, arg->code[0].param, call),
				   args + arg->offset);
}
