// SPDX-License-Identifier: GPL-2.0
/*
 * What stands in tracefs about uprobe events?
 *
 *	uprobe_events	the commands; may be written, and fed back
 *	uprobe_profile	event, hits and missed, in the columns of kprobe_profile
 *	uprobe_missed	the same in full: what was missed by cause; a line of
 *			names in front
 *
 * All three have a line for each probe, in the same order, and list under event_mutex.
 * For a return event a hit is a return.
 */
#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/security.h>
#include <linux/seq_buf.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "trace_uprobe.h"

static const char *const count_names[] = {
	[UPROBE_INHERITED]		= "inherited",
	[UPROBE_MISSED_DEPTH]		= "depth",
	[UPROBE_MISSED_MEMORY]		= "memory",
	[UPROBE_MISSED_FAULT]		= "fault",
	[UPROBE_MISSED_UNWOUND]		= "unwound",
	[UPROBE_MISSED_DECLINED]	= "declined",
	[UPROBE_MISSED_INSTALL]		= "install",
	[UPROBE_MISSED_EXIT]		= "exit",
	[UPROBE_MISSED_EXEC]		= "exec",
	[UPROBE_MISSED_UNREGISTERED]	= "unregistered",
	[UPROBE_MISSED_SHED]		= "shed",
	[UPROBE_MISSED_NO_SITE]		= "no-site",
};

static_assert(ARRAY_SIZE(count_names) == UPROBE_NR_COUNTS);

/**
 * trace_uprobe_unbalanced - how many calls have begun, and neither returned nor been missed?
 * @tu: a probe
 * @sum: its counts
 *
 * Return: how many; exact if its targets are at rest; 0 for entries.
 */
unsigned long trace_uprobe_unbalanced(const struct trace_uprobe *tu,
				      const struct trace_uprobe_counts *sum)
{
	long open = sum->entries + sum->other[UPROBE_INHERITED] - sum->returns;
	int i;

	if (tu->kind != TRACE_UPROBE_RETURN)
		return 0;
	for (i = 0; i < UPROBE_NR_COUNTS; i++) {
		if (i != UPROBE_INHERITED && i != UPROBE_MISSED_INSTALL &&
		    i != UPROBE_MISSED_SHED)
			open -= sum->other[i];
	}
	/* the processors are read one after the other */
	return max(open, 0L);
}

/**
 * trace_uprobe_sum_counts - add the CPUs' counters up
 * @tu: a probe
 * @sum: filled in
 */
void trace_uprobe_sum_counts(const struct trace_uprobe *tu,
			     struct trace_uprobe_counts *sum)
{
	const struct trace_uprobe_counts *c;
	int cpu, i;

	memset(sum, 0, sizeof(*sum));
	for_each_possible_cpu(cpu) {
		c = per_cpu_ptr(tu->counts, cpu);
		sum->entries += READ_ONCE(c->entries);
		sum->returns += READ_ONCE(c->returns);
		for (i = 0; i < UPROBE_NR_COUNTS; i++)
			sum->other[i] += READ_ONCE(c->other[i]);
	}
}

/* ---- a list, shown in one of three ways --------------------------------- */

/**
 * struct listing - what a file shows
 * @names: writes a line before the first probe, or NULL
 * @show: writes one probe; 0 or -errno
 * @has_counts: which are complete only when nobody is about to count
 */
struct listing {
	void (*names)(struct seq_file *m);
	int (*show)(struct seq_file *m, struct trace_uprobe *tu);
	bool has_counts;
};

/* With the head of the list, which stands for a line of names. */
static void *list_start(struct seq_file *m, loff_t *pos)
{
	const struct listing *listing = m->private;

	mutex_lock(&event_mutex);
	if (listing->has_counts)
		trace_uprobe_settle_all();
	return seq_list_start_head(&dyn_event_list, *pos);
}

static void list_stop(struct seq_file *m, void *v)
{
	mutex_unlock(&event_mutex);
}

static int list_show(struct seq_file *m, void *v)
{
	const struct listing *listing = m->private;
	struct trace_uprobe *tu;

	if (v == &dyn_event_list) {
		if (listing->names)
			listing->names(m);
		return 0;
	}
	tu = trace_uprobe_of_devent(list_entry(v, struct dyn_event, list));
	return tu ? listing->show(m, tu) : 0;
}

static const struct seq_operations list_ops = {
	.start	= list_start,
	.next	= dyn_event_seq_next,
	.stop	= list_stop,
	.show	= list_show,
};

static int open_listing(struct file *file, const struct listing *listing)
{
	int ret;

	ret = security_locked_down(LOCKDOWN_TRACEFS) ?:
	      seq_open(file, &list_ops);
	if (!ret)
		((struct seq_file *)file->private_data)->private =
			(void *)listing;
	return ret;
}

/* ---- uprobe_events ------------------------------------------------------ */

/* A path of PATH_MAX fits, also with each character escaped; and columns into u16. */
#define COMMAND_MAX	(SZ_64K - 1)

/* Who copies a listing, or buffers, writes at least so many bytes, and cuts anywhere. */
#define CUT_MIN		4096

/**
 * struct commands_file - uprobe_events, opened
 * @listing: what a reader sees; first, for it is what struct seq_file points to
 * @lock: for the rest
 * @text: COMMAND_MAX + 1 bytes, in which a line waits for its end; or NULL
 * @len: bytes in @text
 * @writer: whose line that is; only compared
 */
struct commands_file {
	struct listing	listing;
	struct mutex	lock;
	char		*text;
	size_t		len;
	fl_owner_t	writer;
};

static struct commands_file *commands_of(struct file *file)
{
	struct seq_file *m = file->private_data;

	return container_of((const struct listing *)m->private,
			    struct commands_file, listing);
}

/* To open it for writing with truncation removes all events. */
static int events_open(struct inode *inode, struct file *file)
{
	struct commands_file *commands;
	int ret = security_locked_down(LOCKDOWN_TRACEFS);

	if (!ret && (file->f_mode & FMODE_WRITE) && (file->f_flags & O_TRUNC))
		ret = trace_uprobe_remove_all();
	if (ret)
		return ret;
	commands = kzalloc(sizeof(*commands), GFP_KERNEL);
	if (!commands)
		return -ENOMEM;
	commands->listing.show = trace_uprobe_show;
	mutex_init(&commands->lock);
	ret = open_listing(file, &commands->listing);
	if (ret)
		kfree(commands);
	return ret;
}

static int events_release(struct inode *inode, struct file *file)
{
	struct commands_file *commands = commands_of(file);

	/* its writer shares files with others no longer, or has handed it on */
	if (commands->len) {
		commands->text[commands->len] = '\0';
		trace_uprobe_complain_line(commands->text, commands->len,
					   TRACE_UPROBE_ERR_NO_END);
	}
	kvfree(commands->text);
	kfree(commands);
	return seq_release(inode, file);
}

/* @text: one line, without its end. A '#' and what follows is a comment. */
static int run_line(char *text)
{
	*strchrnul(text, '#') = '\0';
	return trace_uprobe_command_line(text);
}

/* The last line, if it has no end, too, or it is kept. After an error nothing is. */
static int run_lines(struct commands_file *commands, bool is_all)
{
	char *line = commands->text, *stop = line + commands->len, *end;
	int ret;

	*stop = '\0';
	commands->len = 0;
	for (; line < stop; line = end + 1) {
		end = strchrnul(line, '\n');
		if (!*end && end < stop) {
			trace_uprobe_complain_line(line, end - line,
						   TRACE_UPROBE_ERR_NUL);
			return -EINVAL;
		}
		if (!*end && !is_all) {
			commands->len = stop - line;
			memmove(commands->text, line, commands->len);
			return 0;
		}
		*end = '\0';
		ret = run_line(line);
		if (ret)
			return ret;
	}
	return 0;
}

/* Return: bytes taken, or -errno. */
static ssize_t take_text(struct commands_file *commands,
			 const char __user *text, size_t len)
{
	if (!commands->text)
		commands->text = kvmalloc(COMMAND_MAX + 1, GFP_KERNEL_ACCOUNT);
	if (!commands->text)
		return -ENOMEM;
	if (commands->len == COMMAND_MAX) {
		trace_uprobe_complain_line("", 0,
					   TRACE_UPROBE_ERR_LINE_TOO_LONG);
		return -E2BIG;
	}
	len = min(len, COMMAND_MAX - commands->len);
	if (copy_from_user(commands->text + commands->len, text, len))
		return -EFAULT;
	commands->len += len;
	return len;
}

static void free_text_if_done(struct commands_file *commands)
{
	if (commands->len)
		return;
	kvfree(commands->text);
	commands->text = NULL;
}

/* A line without an end is complete, unless the write looks as if it had been cut. */
static ssize_t take_and_run(struct commands_file *commands,
			    const char __user *text, size_t len)
{
	size_t done = 0;
	ssize_t ret;

	while (done < len) {
		ret = take_text(commands, text + done, len - done);
		if (ret > 0) {
			done += ret;
			ret = run_lines(commands, done == len && len < CUT_MIN);
		}
		if (ret < 0) {
			commands->len = 0;
			return ret;
		}
	}
	return len;
}

static ssize_t events_write(struct file *file, const char __user *text,
			    size_t len, loff_t *pos)
{
	struct commands_file *commands = commands_of(file);
	ssize_t ret;

	guard(mutex)(&commands->lock);
	ret = take_and_run(commands, text, len);
	commands->writer = current->files;
	free_text_if_done(commands);
	return ret;
}

/*
 * close() tells its writer what becomes of a line that was still waiting for its end.
 * Others have the same file: a child has copied the descriptor, and closes it as well.
 */
static int events_flush(struct file *file, fl_owner_t owner)
{
	struct commands_file *commands = commands_of(file);
	int ret;

	guard(mutex)(&commands->lock);
	if (!commands->len || commands->writer != owner)
		return 0;
	ret = run_lines(commands, true);
	free_text_if_done(commands);
	return ret;
}

static const struct file_operations events_file = {
	.open		= events_open,
	.flush		= events_flush,
	.release	= events_release,
	.read		= seq_read,
	.write		= events_write,
	.llseek		= seq_lseek,
};

/* ---- uprobe_profile ----------------------------------------------------- */

static int show_profile(struct seq_file *m, struct trace_uprobe *tu)
{
	struct trace_uprobe_counts sum;
	unsigned long missed = 0;
	int i;

	trace_uprobe_sum_counts(tu, &sum);
	for (i = 0; i < UPROBE_NR_COUNTS; i++)
		if (i != UPROBE_INHERITED)
			missed += sum.other[i];
	seq_printf(m, "  %-44s %15lu %15lu\n", trace_probe_name(&tu->tp),
		   tu->kind == TRACE_UPROBE_RETURN ? sum.returns : sum.entries,
		   missed);
	return 0;
}

static const struct listing profile = {
	.show		= show_profile,
	.has_counts	= true,
};

static int open_profile(struct inode *inode, struct file *file)
{
	return open_listing(file, &profile);
}

static const struct file_operations profile_file = {
	.open		= open_profile,
	.release	= seq_release,
	.read		= seq_read,
	.llseek		= seq_lseek,
};

/* ---- uprobe_missed ------------------------------------------------------ */

/**
 * trace_uprobe_put_missed_names - the line of names of uprobe_missed
 * @text: room for TRACE_UPROBE_MISSED_ROOM more
 */
void trace_uprobe_put_missed_names(struct seq_buf *text)
{
	int i;

	seq_buf_puts(text, "# event entries returns pending");
	for (i = 0; i < UPROBE_NR_COUNTS; i++)
		seq_buf_printf(text, " %s", count_names[i]);
	seq_buf_putc(text, '\n');
}

/**
 * trace_uprobe_put_missed - what became of a probe's hits
 * @text: room for TRACE_UPROBE_MISSED_ROOM more
 * @tu: the probe
 * @sum: its counts
 * @pending: how many of its calls wait for their return
 *
 * GRP/EVENT and numbers, one blank between them, in the order of the names.
 */
void trace_uprobe_put_missed(struct seq_buf *text, struct trace_uprobe *tu,
			     const struct trace_uprobe_counts *sum,
			     unsigned long pending)
{
	int i;

	seq_buf_printf(text, "%s/%s %lu %lu %lu", trace_probe_group_name(&tu->tp),
		       trace_probe_name(&tu->tp), sum->entries, sum->returns,
		       pending);
	for (i = 0; i < UPROBE_NR_COUNTS; i++)
		seq_buf_printf(text, " %lu", sum->other[i]);
	seq_buf_putc(text, '\n');
}

static void show_names(struct seq_file *m)
{
	DECLARE_SEQ_BUF(text, TRACE_UPROBE_MISSED_ROOM);

	trace_uprobe_put_missed_names(&text);
	seq_puts(m, seq_buf_str(&text));
}

static int show_missed(struct seq_file *m, struct trace_uprobe *tu)
{
	DECLARE_SEQ_BUF(text, TRACE_UPROBE_MISSED_ROOM);
	struct trace_uprobe_counts sum;

	trace_uprobe_sum_counts(tu, &sum);
	trace_uprobe_put_missed(&text, tu, &sum, tu->uprobe ?
				uprobe_pending(tu->uprobe, &tu->consumer) : 0);
	seq_puts(m, seq_buf_str(&text));
	return 0;
}

static const struct listing missed = {
	.names		= show_names,
	.show		= show_missed,
	.has_counts	= true,
};

static int open_missed(struct inode *inode, struct file *file)
{
	return open_listing(file, &missed);
}

static const struct file_operations missed_file = {
	.open		= open_missed,
	.release	= seq_release,
	.read		= seq_read,
	.llseek		= seq_lseek,
};

static __init int make_files(void)
{
	if (tracing_init_dentry())
		return 0;
	trace_create_file("uprobe_events", TRACE_MODE_WRITE, NULL, NULL,
			  &events_file);
	trace_create_file("uprobe_profile", TRACE_MODE_READ, NULL, NULL,
			  &profile_file);
	trace_create_file("uprobe_missed", TRACE_MODE_READ, NULL, NULL,
			  &missed_file);
	return 0;
}

fs_initcall(make_files);
