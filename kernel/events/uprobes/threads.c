// SPDX-License-Identifier: GPL-2.0
/*
 * Where do the threads of an address space stand in user mode?
 *
 * For slots.c, which may use a slot again only when no thread is in it, for
 * strand.c, if slots go with threads in them, and for foreign.c. A thread that doesn't run has its
 * registers saved; one that runs is asked by an interrupt on its CPU.
 */

#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/smp.h>
#include <linux/wait.h>

#include "internal.h"

/* A thread that moves from CPU to CPU is asked so often, then given up. */
#define MAX_TRIES	100

/**
 * struct look - the question to one thread
 * @task: the thread
 * @visit: who wants to know
 * @data: for @visit
 * @cpu: where it runs, or -1
 * @visited: @visit has been told
 */
struct look {
	struct task_struct	*task;
	uprobe_visitor		visit;
	void			*data;
	int			cpu;
	bool			visited;
};

/* In kernel mode the user registers are saved, too. */
static void visit(struct look *look)
{
	look->visit(look->data, look->task,
		    instruction_pointer(task_pt_regs(look->task)));
	look->visited = true;
}

/* The task can neither begin nor cease to run meanwhile. */
static int look_at(struct task_struct *task, void *data)
{
	struct look *look = data;

	look->cpu = -1;
	if (task_curr(task)) {
		look->cpu = task_cpu(task);
		return 0;
	}
	visit(look);
	return 0;
}

/* On the thread's CPU. */
static void look_here(void *data)
{
	struct look *look = data;

	if (current == look->task)
		visit(look);
}

/* Return: false if it couldn't be found out. */
static bool ask(struct look *look, struct mm_struct *mm)
{
	int tries;

	for (tries = 0; tries < MAX_TRIES && !look->visited; tries++) {
		/* who has left the address space doesn't come back */
		if (READ_ONCE(look->task->mm) != mm)
			return true;
		task_call_func(look->task, look_at, look);
		if (!look->visited && look->cpu >= 0)
			smp_call_function_single(look->cpu, look_here, look, 1);
	}
	return look->visited;
}

/**
 * uprobe_visit_thread - visit the user-mode address of a thread
 * @task: the thread; stays meanwhile
 * @mm: its address space; who has left that isn't visited
 * @visit: called with its instruction pointer. The thread stays there meanwhile: it
 *	doesn't run, or @visit interrupts it. Must not sleep.
 * @data: for @visit
 *
 * Context: task context, interrupts on, maybe in an RCU section.
 * Return: false if it couldn't be asked.
 */
bool uprobe_visit_thread(struct task_struct *task, struct mm_struct *mm,
			 uprobe_visitor visit, void *data)
{
	struct look look = { task, visit, data };
	bool asked;

	/* the saved registers are on the stack, which goes before the task does */
	if (!try_get_task_stack(task))
		return true;
	asked = ask(&look, mm);
	put_task_stack(task);
	return asked;
}

/**
 * uprobe_visit_threads - visit the user-mode addresses of all threads
 * @mm: the address space
 * @visit: as for uprobe_visit_thread(), for each thread
 * @data: for @visit
 *
 * The answers aren't of one moment. A thread that comes into being meanwhile
 * may be missed: it begins behind a system call, and those aren't in slots.
 *
 * Context: task context, interrupts on.
 * Return: false if a thread couldn't be asked.
 */
bool uprobe_visit_threads(struct mm_struct *mm, uprobe_visitor visit,
			  void *data)
{
	struct task_struct *p, *t;
	bool all = true;

	rcu_read_lock();
	for_each_process_thread(p, t) {
		if (READ_ONCE(t->mm) == mm && !(t->flags & PF_KTHREAD))
			all &= uprobe_visit_thread(t, mm, visit, data);
	}
	rcu_read_unlock();
	return all;
}
