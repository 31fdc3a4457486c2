/* SPDX-License-Identifier: GPL-2.0 */
/*
 * User-space probes as trace events: what the files share.
 *
 *	trace_uprobe_parse.c	what does a command say?
 *	trace_uprobe_args.c	what does a fetch argument say?
 *	trace_uprobe_scope.c	whose hits does a probe want?
 *	trace_uprobe_event.c	which events are there?
 *	trace_uprobe_files.c	what stands in tracefs?
 *	trace_uprobe_switch.c	which events are on?
 *	trace_uprobe_perf.c	which perf events want an event's hits?
 *	trace_uprobe_rights.c	and may they have them?
 *	trace_uprobe_local.c	how does perf's PMU make events of its own?
 *	trace_uprobe_describe.c	and what do they say of themselves?
 *	trace_uprobe_record.c	how does a hit become a record?
 *	trace_uprobe_fetch.c	how does an argument get into it?
 *
 * trace_probe.c is used as a library: it turns a fetch argument into steps,
 * keeps the names and types of the fields, and writes error_log. What it
 * doesn't know, such as $latency, is rewritten before it is called.
 *
 * Locks: everything but a hit runs under event_mutex. Creation holds
 * dyn_event_ops_mutex outside of it, because the library's error log is one for
 * all, and a write to uprobe_events commands_file::lock outside of both.
 * scopes_lock is innermost.
 */
#ifndef _KERNEL_TRACE_TRACE_UPROBE_H
#define _KERNEL_TRACE_TRACE_UPROBE_H

#include <linux/dcache.h>
#include <linux/path.h>
#include <linux/percpu-defs.h>
#include <linux/perf_event.h>
#include <linux/uprobes.h>

#include "trace_dynevent.h"
#include "trace_probe.h"

#define TRACE_UPROBE_GROUP	"uprobes"

/* What would end a word of a command, or be a comment; 0xa0 is white space to it. */
#define TRACE_UPROBE_ESCAPED	" \t\n\v\f\r\xa0#\\"

/**
 * enum trace_uprobe_kind - which moment an event records
 * @TRACE_UPROBE_ENTRY: a thread arrives at the place; command `p`
 * @TRACE_UPROBE_RETURN: the function that starts there returns; command `r`
 */
enum trace_uprobe_kind {
	TRACE_UPROBE_ENTRY,
	TRACE_UPROBE_RETURN,
};

/**
 * enum trace_uprobe_word - values that the library doesn't know, of 64 bits
 * @TRACE_UPROBE_LATENCY: `$latency`
 * @TRACE_UPROBE_ENTRY_TIME: `$entry_time`
 * @TRACE_UPROBE_CALL: `$call`
 * @TRACE_UPROBE_DEPTH: `$depth`
 */
enum trace_uprobe_word {
	TRACE_UPROBE_LATENCY,
	TRACE_UPROBE_ENTRY_TIME,
	TRACE_UPROBE_CALL,
	TRACE_UPROBE_DEPTH,
};

/*
 * First steps of ours, for which numbers of the library serve that it has no use
 * for in a probe of user space.
 *
 * FETCH_OP_WORD: .param is enum trace_uprobe_word
 * FETCH_OP_SAVED: .param is the number of an argument in trace_uprobe::saved: all of it,
 *	as it was at the entry
 * FETCH_OP_SAVED_WORD: the same, as the number that the other steps start from
 */
#define FETCH_OP_WORD		FETCH_OP_EDATA
#define FETCH_OP_SAVED		FETCH_OP_ST_EDATA
#define FETCH_OP_SAVED_WORD	FETCH_OP_TP_ARG

/* No more is kept of an entry; and no more of a string. */
#define TRACE_UPROBE_SAVED_MAX		4032
#define TRACE_UPROBE_SAVED_STRING	256

/*
 * Mistakes of the user that the library has no text for; the texts are in
 * trace_uprobe_parse.c. Continues the library's TP_ERR_ numbers, which fit
 * into 8 bits.
 */
enum trace_uprobe_error {
	TRACE_UPROBE_ERR_FIRST = 256,
	TRACE_UPROBE_ERR_COMMAND = TRACE_UPROBE_ERR_FIRST,
	TRACE_UPROBE_ERR_VERB,
	TRACE_UPROBE_ERR_MANY_ARGS,
	TRACE_UPROBE_ERR_PAST_END,
	TRACE_UPROBE_ERR_RETURN_ONLY,
	TRACE_UPROBE_ERR_WORD_TYPE,
	TRACE_UPROBE_ERR_INNER,
	TRACE_UPROBE_ERR_REMOVAL,
	TRACE_UPROBE_ERR_NO_EVENT,
	TRACE_UPROBE_ERR_BUSY,
	TRACE_UPROBE_ERR_NUL,
	TRACE_UPROBE_ERR_LINE_TOO_LONG,
	TRACE_UPROBE_ERR_NO_END,
	TRACE_UPROBE_ERR_SCOPE_KEY,
	TRACE_UPROBE_ERR_SCOPE_TWICE,
	TRACE_UPROBE_ERR_SCOPE_TGID,
	TRACE_UPROBE_ERR_SCOPE_UID,
	TRACE_UPROBE_ERR_SCOPE_CGROUP,
	TRACE_UPROBE_ERR_END,
};

/**
 * struct trace_uprobe_place - PATH:OFFSET[%return][(REF)], cut up
 * @filename: PATH; owned, freed by trace_uprobe_free_place()
 * @offset: where in the file, in bytes
 * @ref_ctr_offset: where in the file the semaphore is, 0 for none
 * @is_return: %return was there
 * @offset_column: where OFFSET begins in the text
 * @error_column: when parsing failed: which character is wrong
 * @error: and why, TP_ERR_*
 */
struct trace_uprobe_place {
	char		*filename;
	unsigned long	offset;
	unsigned long	ref_ctr_offset;
	bool		is_return;
	int		offset_column;
	int		error_column;
	int		error;
};

/**
 * struct trace_uprobe_scope - whose hits probes want: of who meets all of it
 * @core: what the core sees of it
 * @list: of those that probes have. scopes_lock.
 * @users: how many probes have it; 0 while it belongs to a command. scopes_lock.
 * @rcu: frees it
 * @has_tgid: a certain process
 * @tgid: which; or NULL: nobody
 * @has_uid: tasks of a certain real user
 * @uid: which
 * @cgroup: tasks in this cgroup of version 2, or below it; or NULL
 *
 * Numbers and names were looked up for the writer, and stand for the same ever after.
 */
struct trace_uprobe_scope {
	struct uprobe_scope	core;
	struct list_head	list;
	unsigned int		users;
	struct rcu_head		rcu;
	bool			has_tgid;
	struct pid		*tgid;
	bool			has_uid;
	kuid_t			uid;
	struct cgroup		*cgroup;
};

/**
 * struct trace_uprobe_command - one line that makes an event
 * @is_private: it is somebody's own, and nothing for error_log
 * @argc: number of words
 * @argv: the words as the user typed them: verb and name, place, arguments.
 *	Borrowed from the caller.
 * @kind: entry or return
 * @place: the second word
 * @scope: what stands behind `@` in the first; or NULL. Owned, until the probe takes it.
 * @group: group of the event; in @argv, @group_buf or constant
 * @event: name of the event; in @argv or @event_buf
 * @group_buf: room for @group
 * @event_buf: room for @event
 */
struct trace_uprobe_command {
	bool				is_private;
	int				argc;
	const char			**argv;
	enum trace_uprobe_kind		kind;
	struct trace_uprobe_place	place;
	struct trace_uprobe_scope	*scope;
	const char			*group;
	const char			*event;
	char				group_buf[MAX_EVENT_NAME_LEN];
	char				event_buf[MAX_EVENT_NAME_LEN];
};

/**
 * struct trace_uprobe_counts - what happened to one probe, on one CPU
 * @entries: hits of the place that were wanted
 * @returns: returns that were handled; stays 0 in an entry event
 * @other: by enum uprobe_event_count: inherited, and missed by cause
 *
 * Written by this_cpu operations without a lock, so that a hit shares no
 * cache line; a sum over the CPUs is exact when the targets are at rest.
 */
struct trace_uprobe_counts {
	unsigned long	entries;
	unsigned long	returns;
	unsigned long	other[UPROBE_NR_COUNTS];
};

/**
 * struct trace_uprobe_name - the path of a probe's file
 * @former: of a probe that has left the event, see hand_on_name(); or NULL.
 *	event_mutex.
 * @text: as it was typed
 */
struct trace_uprobe_name {
	struct trace_uprobe_name	*former;
	char				text[];
};

/**
 * struct trace_uprobe - one probe of an event: what one command made
 * @devent: in the list of dynamic events. event_mutex. Not in the list if perf
 *	events have it that gave a place or a definition (local event).
 * @consumer: what the core calls; registered while @uprobe is set
 * @kind: entry or return; the same for all probes of an event
 * @path: the file; holds it for the whole life
 * @name: its path, for listings and bpf_get_uprobe_info(), and the paths of probes
 *	that were there before. Owned.
 * @offset: where in the file
 * @ref_ctr_offset: semaphore in the file, 0 for none
 * @uprobe: the core's object while the event is on, else NULL. event_mutex.
 * @counts: what happened so far
 * @saved: arguments of a return event that are fetched at the entry, into the call's
 *	pouch; or NULL. Has no event, and no names that anybody sees.
 * @scope: whose hits it wants; or NULL: everybody's. One of its users.
 * @names_calls: its records say which call it is, or how deep that is
 * @is_certain: its arguments are fetched into the record itself, as that is written
 * @unsettled: in a list since it was switched off, until
 *	trace_uprobe_settle_all(). event_mutex.
 * @is_picked: the command that is about to remove it names its place, else it
 *	means the event. event_mutex.
 * @share: a local event that several perf events have; or NULL
 * @is_charged: it is counted as a probe of its payer
 * @rcu: frees a local event
 * @tp: the library's part: fields, and the event, which may have several
 *	probes. Ends in a flexible array.
 *
 * Lives from its command to `-:`, and handlers may use it until
 * trace_uprobe_settle() has returned; a local event as long as the last perf event
 * that has it, and until no handler uses it, without anybody waiting for that.
 */
struct trace_uprobe {
	struct dyn_event			devent;
	struct uprobe_consumer			consumer;
	enum trace_uprobe_kind			kind;
	struct path				path;
	struct trace_uprobe_name		*name;
	unsigned long				offset;
	unsigned long				ref_ctr_offset;
	struct uprobe				*uprobe;
	struct trace_uprobe_counts __percpu	*counts;
	struct trace_probe			*saved;
	struct trace_uprobe_scope		*scope;
	bool					names_calls;
	bool					is_certain;
	struct list_head			unsettled;
	bool					is_picked;
	struct trace_uprobe_share		*share;
	bool					is_charged;
	struct rcu_head				rcu;
	struct trace_probe			tp;
};

/**
 * struct trace_uprobe_hit - an entry or a return on its way to the buffers
 * @tu: whose
 * @regs: the thread's registers
 * @func: address of the probed instruction in this process
 * @call: the call that returns; NULL at entry
 * @opens: the call that is opened; or NULL
 * @pouch: what was kept for this return at the entry; or NULL
 * @args: fetched arguments, in a commit; in front of them is room for the
 *	head of a record and TRACE_UPROBE_FRONT bytes, behind them for
 *	TRACE_UPROBE_TAIL bytes
 * @is_late: they haven't been fetched yet
 * @size: bytes in @args
 *
 * On the stack of a callback, for one hit.
 */
struct trace_uprobe_hit {
	struct trace_uprobe		*tu;
	struct pt_regs			*regs;
	unsigned long			func;
	const struct uprobe_call	*call;
	const struct uprobe_call	*opens;
	const void			*pouch;
	void				*args;
	int				size;
	bool				is_late;
};

/* perf's header, nine fields of a sample, and the size of the record */
#define TRACE_UPROBE_FRONT	(8 + 9 * 8 + 4)
/* perf pads records, with a u32 in front, to a multiple of this */
#define TRACE_UPROBE_TAIL	8

/**
 * struct trace_uprobe_entry_record - head of an entry event's record
 * @ent: common fields
 * @ip: address of the hit instruction
 */
struct trace_uprobe_entry_record {
	struct trace_entry	ent;
	unsigned long		ip;
};

/**
 * struct trace_uprobe_return_record - head of a return event's record
 * @ent: common fields
 * @func: address of the function
 * @ret_ip: where it returned to
 */
struct trace_uprobe_return_record {
	struct trace_entry	ent;
	unsigned long		func;
	unsigned long		ret_ip;
};

/*
 * What a record says of interrupts and preemption, as tracing_gen_ctx(): it is
 * about user code, not about the trap, or the task context after it, in which the
 * record is written.
 */
#define TRACE_UPROBE_USER_CTX						\
	(IS_ENABLED(CONFIG_TRACE_IRQFLAGS_SUPPORT) ?			\
	 0 : TRACE_FLAG_IRQS_NOSUPPORT << 16)

static inline int trace_uprobe_head_size(enum trace_uprobe_kind kind)
{
	return kind == TRACE_UPROBE_RETURN ?
	       sizeof(struct trace_uprobe_return_record) :
	       sizeof(struct trace_uprobe_entry_record);
}

static inline struct trace_uprobe *trace_uprobe_of(struct trace_probe *tp)
{
	return container_of(tp, struct trace_uprobe, tp);
}

static inline struct trace_event_call *
trace_uprobe_call(struct trace_uprobe *tu)
{
	return &tu->tp.event->call;
}

/* overlayfs: probes belong to the inode that is mapped, not to its cover */
static inline struct inode *trace_uprobe_inode(const struct trace_uprobe *tu)
{
	return d_real_inode(tu->path.dentry);
}

/* The probe that speaks for an event: the oldest. */
static inline struct trace_uprobe *
trace_uprobe_of_call(struct trace_event_call *call)
{
	struct trace_probe *tp = trace_probe_primary_from_call(call);

	return WARN_ON_ONCE(!tp) ? NULL : trace_uprobe_of(tp);
}

/* Is a BPF program attached to the event? */
static inline bool trace_uprobe_has_bpf(struct trace_uprobe *tu)
{
#ifdef CONFIG_BPF_EVENTS
	return bpf_prog_array_valid(trace_uprobe_call(tu));
#else
	return false;
#endif
}

/* Does the event belong to perf events that gave a place or a definition? */
static inline bool trace_uprobe_is_local(const struct trace_uprobe *tu)
{
	return list_empty(&tu->devent.list);
}

/*
 * The perf events that are active on this CPU, which are those of the
 * current task and of the CPU; NULL if there are none. Preemption is off:
 * perf_trace_event_unreg() frees the lists after TRACE_REG_PERF_UNREGISTER
 * has cleared the flag and synchronize_rcu() has waited, also when ftrace
 * keeps the event on and handlers come here as before.
 */
static inline struct hlist_head *trace_uprobe_listeners(struct trace_uprobe *tu)
{
	struct hlist_head *head;

	if (!trace_probe_test_flag(&tu->tp, TP_FLAG_PROFILE))
		return NULL;
	head = this_cpu_ptr(trace_uprobe_call(tu)->perf_events);
	return hlist_empty(head) ? NULL : head;
}

/* Does it want more of a hit than to count it? */
static inline bool trace_uprobe_needs_record(struct perf_event *event)
{
	const struct perf_event *owner = event->parent ?: event;

	return is_sampling_event(event) || owner->filter;
}

static inline void trace_uprobe_count_event(struct perf_event *event)
{
	if (likely(!(event->hw.state & PERF_HES_STOPPED)))
		local64_add(1, &event->count);
}

/*
 * Beside TP_FLAG_TRACE and TP_FLAG_PROFILE: somebody has opened the event without privilege, and
 * of each hit is asked whether he may have it.
 */
#define TRACE_UPROBE_FLAG_GUARDED	4

#define for_each_probe_of(tu, tp_) \
	list_for_each_entry(tu, trace_probe_probe_list(tp_), tp.list)

/* trace_dynevent.c; held while trace_probe.c parses */
extern struct mutex dyn_event_ops_mutex;

/* trace_uprobe_parse.c */
int trace_uprobe_parse_place(const char *text,
			     struct trace_uprobe_place *place);
void trace_uprobe_free_place(struct trace_uprobe_place *place);
int trace_uprobe_parse_command(int argc, const char **argv,
			       struct trace_uprobe_command *cmd);
int trace_uprobe_parse_private(int argc, const char **argv,
			       struct trace_uprobe_command *cmd);
void trace_uprobe_complain(const struct trace_uprobe_command *cmd, int word,
			   int column, int error);
void trace_uprobe_complain_line(const char *line, int column, int error);
void trace_uprobe_complain_place(const char *line, int column,
				 const char *why);

char *trace_uprobe_escape(const char *text, const char *which);
void trace_uprobe_unescape(char *text);
void trace_uprobe_free_command(struct trace_uprobe_command *cmd);

/* trace_uprobe_scope.c */
int trace_uprobe_parse_scope(struct trace_uprobe_command *cmd, int column,
			     size_t len);
void trace_uprobe_free_scope(struct trace_uprobe_scope *scope);
char *trace_uprobe_scope_text(const struct trace_uprobe_scope *scope);
struct trace_uprobe_scope *
trace_uprobe_share_scope(struct trace_uprobe_scope *scope);
bool trace_uprobe_scope_has_process(const struct trace_uprobe_scope *scope,
				    struct task_struct *task);
bool trace_uprobe_scope_has(const struct trace_uprobe_scope *scope,
			    struct task_struct *task);

/* trace_uprobe_args.c */
int trace_uprobe_parse_args(const struct trace_uprobe_command *cmd,
			    struct trace_uprobe *tu);

/* trace_uprobe_event.c */
struct trace_uprobe *trace_uprobe_of_devent(struct dyn_event *ev);
struct trace_uprobe *trace_uprobe_make(const char *group, const char *event,
				       int nr_args,
				       enum trace_uprobe_kind kind);
int trace_uprobe_open_file(struct trace_uprobe *tu, const char *filename,
			   unsigned long offset, int *error);
int trace_uprobe_init_call(struct trace_uprobe *tu);
void trace_uprobe_free(struct trace_uprobe *tu);
int trace_uprobe_show(struct seq_file *m, struct trace_uprobe *tu);
int trace_uprobe_command_line(const char *line);
int trace_uprobe_remove_all(void);

/* trace_uprobe_files.c */
/* a line of uprobe_missed: two names of 64, and numbers of up to 20 digits */
#define TRACE_UPROBE_MISSED_ROOM	512

void trace_uprobe_sum_counts(const struct trace_uprobe *tu,
			     struct trace_uprobe_counts *sum);
void trace_uprobe_put_missed_names(struct seq_buf *text);
void trace_uprobe_put_missed(struct seq_buf *text, struct trace_uprobe *tu,
			     const struct trace_uprobe_counts *sum,
			     unsigned long pending);
unsigned long trace_uprobe_unbalanced(const struct trace_uprobe *tu,
				      const struct trace_uprobe_counts *sum);

/* trace_uprobe_switch.c */
int trace_uprobe_install(struct trace_uprobe *tu);
void trace_uprobe_uninstall(struct trace_uprobe *tu);
void trace_uprobe_settle_all(void);
void trace_uprobe_settle(struct trace_uprobe *tu);
bool trace_uprobe_wants_all(struct trace_probe *tp);
int trace_uprobe_ask_again(struct trace_probe *tp, bool add);
int trace_uprobe_ask_about(struct trace_probe *tp,
			   const struct task_struct *task);
int trace_uprobe_reg(struct trace_event_call *call, enum trace_reg type,
		     void *data);

/* trace_uprobe_perf.c */
void trace_uprobe_init_filter(struct trace_uprobe_filter *users);
int trace_uprobe_perf_open(struct trace_probe *tp, struct perf_event *event);
int trace_uprobe_perf_close(struct trace_probe *tp, struct perf_event *event);
bool trace_uprobe_perf_wants(struct trace_uprobe *tu, struct mm_struct *mm);
bool trace_uprobe_perf_wants_hit(struct trace_uprobe *tu);
enum uprobe_wish trace_uprobe_perf_wish(struct trace_uprobe *tu);
void trace_uprobe_perf_count(struct trace_uprobe *tu);
void trace_uprobe_perf_lose(struct trace_uprobe *tu);
void trace_uprobe_perf_record(struct trace_uprobe_hit *hit);
void trace_uprobe_visit_target(struct perf_event *event);
/**
 * struct trace_uprobe_leave - what a perf event without privilege leaves when it is closed
 * @uprobe: its place, held; NULL: it had privilege
 * @mm: where its sites are, with a user; or NULL
 */
struct trace_uprobe_leave {
	struct uprobe		*uprobe;
	struct mm_struct	*mm;
};

struct trace_uprobe_leave trace_uprobe_begin_leave(struct perf_event *event);
void trace_uprobe_end_leave(struct perf_event *event,
			    struct trace_uprobe_leave leave);
#ifdef CONFIG_BPF_EVENTS
int trace_uprobe_run_bpf(struct trace_uprobe *tu, unsigned long func,
			 struct pt_regs *regs);
#else
static inline int trace_uprobe_run_bpf(struct trace_uprobe *tu,
				       unsigned long func, struct pt_regs *regs)
{
	return 0;
}
#endif

/* trace_uprobe_rights.c */
/**
 * struct trace_uprobe_look - who uses an address space, as far as rights are concerned
 * @mm: the address space
 * @is_done: the rest is known
 * @is_odd: nobody without privilege may have it: more than one process uses it, or its threads
 *	differ too much
 * @nr: how many kinds of credentials its users have
 * @creds: one of each kind; valid under RCU
 * @labels: what security modules call their tasks
 * @group: the process that uses it
 */
struct trace_uprobe_look {
	struct mm_struct	*mm;
	bool			is_done;
	bool			is_odd;
	int			nr;
	const struct cred	*creds[4];
	u32			labels[4];
	const struct signal_struct *group;
};

bool trace_uprobe_may_probe(struct perf_event *event, void *look);
bool trace_uprobe_may_hear(struct perf_event *event, void *unused);
bool trace_uprobe_is_privileged(struct perf_event *event);
int trace_uprobe_check_opener(struct perf_event *event);
int trace_uprobe_may_open(struct trace_event_call *call,
			  struct perf_event *event);
int trace_uprobe_grant(struct perf_event *event);
void trace_uprobe_revoke(struct perf_event *event);
bool trace_uprobe_charge_event(struct perf_event *event);
void trace_uprobe_uncharge_event(struct perf_event *event);

/* trace_uprobe_local.c */
int trace_uprobe_lock_target(struct perf_event *event);
void trace_uprobe_unlock_target(struct perf_event *event);
bool trace_uprobe_share_goes_on(struct trace_uprobe *tu);
bool trace_uprobe_keeps_perf_lists(struct trace_event_call *event_call);

/* trace_uprobe_fetch.c */
int trace_uprobe_fetch(struct trace_uprobe_hit *hit, void *buf, size_t room);
bool trace_uprobe_fetch_is_certain(const struct trace_probe *tp);
void trace_uprobe_fetch_certain(struct trace_uprobe_hit *hit, void *buf);
int trace_uprobe_fetch_saved(struct trace_uprobe_hit *hit, void *buf,
			     size_t room);
void trace_uprobe_name_call(const struct trace_uprobe *tu,
			    const struct uprobe_call *call, void *args);

/* trace_uprobe_record.c */
void trace_uprobe_set_handlers(struct trace_uprobe *tu);
void trace_uprobe_set_saving(struct trace_uprobe *tu);
void trace_uprobe_set_scope(struct trace_uprobe *tu,
			    struct trace_uprobe_scope *scope);
void trace_uprobe_shed(struct trace_event_call *call);
void trace_uprobe_fill_head(const struct trace_uprobe_hit *hit, void *record);
extern struct trace_event_functions trace_uprobe_print_functions;
extern struct trace_event_fields trace_uprobe_fields[];

#endif /* _KERNEL_TRACE_TRACE_UPROBE_H */
