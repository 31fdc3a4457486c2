// SPDX-License-Identifier: GPL-2.0
/*
 * How much may one program take?
 *
 * Protections of the kernel's memory, not presets that honest programs meet: a
 * call takes some hundred bytes, a return site a slot. What would exceed them
 * is missed, and counted (depth, memory, no-site).
 *
 *	kernel.uprobe_max_depth		calls open at once in one thread, and 256 times as many
 *					bytes that consumers keep in them (memory)
 *	kernel.uprobe_max_return_sites	places in one process where calls return, and
 *					as many return words by the trampoline
 *
 * And one that isn't about memory:
 *
 *	kernel.uprobe_trampoline	0: the stack is never touched; what is called
 *					from generated code isn't seen to return
 *
 * What is open, and what there is, stays when a limit is lowered.
 */

#include <linux/init.h>
#include <linux/sysctl.h>

#include "internal.h"

/* 8 MB of stack end before that */
unsigned int uprobe_max_depth __read_mostly = 65536;

/* the largest programs call one function, such as malloc(), from so many places */
unsigned int uprobe_max_return_sites __read_mostly = 65536;

/* as in stock, where it is so for all callers */
unsigned int uprobe_trampoline __read_mostly = 1;

static struct ctl_table uprobe_limits[] = {
	{
		.procname	= "uprobe_max_depth",
		.data		= &uprobe_max_depth,
		.maxlen		= sizeof(unsigned int),
		.mode		= 0644,
		.proc_handler	= proc_douintvec,
	},
	{
		.procname	= "uprobe_max_return_sites",
		.data		= &uprobe_max_return_sites,
		.maxlen		= sizeof(unsigned int),
		.mode		= 0644,
		.proc_handler	= proc_douintvec,
	},
	{
		.procname	= "uprobe_trampoline",
		.data		= &uprobe_trampoline,
		.maxlen		= sizeof(unsigned int),
		.mode		= 0644,
		.proc_handler	= proc_douintvec_minmax,
		.extra1		= SYSCTL_ZERO,
		.extra2		= SYSCTL_ONE,
	},
};

static int __init register_limits(void)
{
	register_sysctl_init("kernel", uprobe_limits);
	return 0;
}
late_initcall(register_limits);
