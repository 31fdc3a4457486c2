// SPDX-License-Identifier: GPL-2.0
/*
 * What does a local event say of itself?
 *
 * Events of tracefs have a file "format" there, and a line in uprobe_missed. What a perf event
 * of the PMU "uprobe" has made for itself (trace_uprobe_local.c) has no file, and whoever
 * opened it may not look into tracefs: the same texts are read from its descriptor. The
 * format goes into perf.data from there; its fields are those that trace_uprobe_record.c and
 * trace_probe.c fill.
 *
 * kernel/events/core.c calls in here for the ioctls of <uapi/linux/uprobes.h>.
 */
#include <linux/perf_event.h>
#include <linux/seq_buf.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <uapi/linux/uprobes.h>

#include "trace_uprobe.h"

/* The fields in front, and what a line is at the most: name, type and numbers. */
#define FRONT_ROOM	1024
#define LINE_ROOM	(MAX_ARG_NAME_LEN + 160)

static void put_field(struct seq_buf *text, const char *type, const char *name,
		      int offset, int size, bool is_signed)
{
	const char *array = strchr(type, '[');

	/* as in C, unless the record holds where the data are */
	if (!array || str_has_prefix(type, "__data_loc"))
		array = type + strlen(type);
	seq_buf_printf(text, "\tfield:%.*s %s%s;\toffset:%d;\tsize:%d;\tsigned:%d;\n",
		       (int)(array - type), type, name, array, offset, size,
		       is_signed);
}

#define PUT_MEMBER(text, type, record, member, name)			\
	put_field(text, type, name, offsetof(struct record, member),	\
		  sizeof_field(struct record, member),			\
		  is_signed_type(typeof_member(struct record, member)))

static void put_head(struct seq_buf *text, enum trace_uprobe_kind kind)
{
	PUT_MEMBER(text, "unsigned short", trace_entry, type, "common_type");
	PUT_MEMBER(text, "unsigned char", trace_entry, flags, "common_flags");
	PUT_MEMBER(text, "unsigned char", trace_entry, preempt_count,
		   "common_preempt_count");
	PUT_MEMBER(text, "int", trace_entry, pid, "common_pid");
	seq_buf_putc(text, '\n');
	if (kind == TRACE_UPROBE_RETURN) {
		PUT_MEMBER(text, "unsigned long", trace_uprobe_return_record,
			   func, FIELD_STRING_FUNC);
		PUT_MEMBER(text, "unsigned long", trace_uprobe_return_record,
			   ret_ip, FIELD_STRING_RETIP);
	} else {
		PUT_MEMBER(text, "unsigned long", trace_uprobe_entry_record,
			   ip, FIELD_STRING_IP);
	}
}

static void put_arg(struct seq_buf *text, const struct probe_arg *arg, int head)
{
	put_field(text, arg->fmt ?: arg->type->fmttype, arg->name,
		  head + arg->offset, arg->type->size * (arg->count ?: 1),
		  arg->type->is_signed);
}

static void put_format(struct seq_buf *text, struct trace_uprobe *tu)
{
	const struct trace_event_call *call = trace_uprobe_call(tu);
	int i;

	seq_buf_printf(text, "name: %s\nID: %d\nformat:\n",
		       trace_probe_name(&tu->tp), call->event.type);
	put_head(text, tu->kind);
	for (i = 0; i < tu->tp.nr_args; i++)
		put_arg(text, &tu->tp.args[i], trace_uprobe_head_size(tu->kind));
	seq_buf_printf(text, "\nprint fmt: %s\n", call->print_fmt);
}

static size_t room_of_format(struct trace_uprobe *tu)
{
	return FRONT_ROOM + tu->tp.nr_args * LINE_ROOM +
	       strlen(trace_uprobe_call(tu)->print_fmt);
}

/*
 * What isn't balanced waits for its return. To look for it in all threads, as for uprobe_missed, is
 * for the administrator.
 */
static void put_missed(struct seq_buf *text, struct trace_uprobe *tu)
{
	struct trace_uprobe_counts sum;

	trace_uprobe_sum_counts(tu, &sum);
	trace_uprobe_put_missed_names(text);
	trace_uprobe_put_missed(text, tu, &sum,
				trace_uprobe_unbalanced(tu, &sum));
}

static int copy_text(struct trace_uprobe *tu, unsigned int cmd,
		     const struct perf_uprobe_text *to)
{
	bool is_format = cmd == PERF_EVENT_IOC_UPROBE_FORMAT;
	size_t room = is_format ? room_of_format(tu) : 2 * TRACE_UPROBE_MISSED_ROOM;
	char *buffer = kvmalloc(room, GFP_KERNEL_ACCOUNT);
	struct seq_buf text;
	int size;

	if (!buffer)
		return -ENOMEM;
	seq_buf_init(&text, buffer, room);
	if (is_format)
		put_format(&text, tu);
	else
		put_missed(&text, tu);
	seq_buf_str(&text);
	size = seq_buf_used(&text) + 1;
	if (WARN_ON_ONCE(seq_buf_has_overflowed(&text)))
		size = -E2BIG;
	else if (size <= to->size &&
		 copy_to_user(u64_to_user_ptr(to->text), buffer, size))
		size = -EFAULT;
	kvfree(buffer);
	return size;
}

/**
 * trace_uprobe_describe - PERF_EVENT_IOC_UPROBE_FORMAT and _MISSED
 * @event: a perf event that was opened, not inherited
 * @cmd: which of them
 * @arg: a struct perf_uprobe_text
 *
 * Context: task context; the event's context is locked, so that it isn't closed.
 * Return: 0, or -errno: -EINVAL if it isn't one of the PMU, or @arg is wrong; -ENOSPC if
 * there is too little room, the size is set then; -E2BIG if it is longer than any size
 * says; -EFAULT or -ENOMEM.
 */
int trace_uprobe_describe(struct perf_event *event, unsigned int cmd,
			  void __user *arg)
{
	struct perf_uprobe_text __user *user = arg;
	struct perf_uprobe_text to;
	struct trace_uprobe *tu;
	int size;

	/* others' probes come and go under event_mutex; a local event keeps its only one */
	if (event->attr.type == PERF_TYPE_TRACEPOINT || !event->tp_event ||
	    !(event->tp_event->flags & TRACE_EVENT_FL_UPROBE))
		return -EINVAL;
	tu = trace_uprobe_of_call(event->tp_event);
	if (!tu)
		return -EINVAL;
	if (copy_from_user(&to, arg, sizeof(to)))
		return -EFAULT;
	if (to.reserved)
		return -EINVAL;
	size = copy_text(tu, cmd, &to);
	if (size < 0)
		return size;
	if (put_user((u32)size, &user->size))
		return -EFAULT;
	return size <= to.size ? 0 : -ENOSPC;
}
