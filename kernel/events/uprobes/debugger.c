// SPDX-License-Identifier: GPL-2.0
/*
 * What does a debugger see at a site, and what becomes of what it writes there?
 *
 * It sees and writes the program as it is without uprobes. ptrace's PEEK and
 * POKE and /proc/PID/mem all come through __access_remote_vm() (mm/memory.c),
 * which calls uprobe_peek() and uprobe_poke() with mmap_lock held for reading.
 * So no site comes or goes meanwhile, whoever registers or leaves; debuggers
 * among themselves are kept apart by tree_lock.
 *
 * As long as there is a site, a breakpoint stands in memory, whatever is
 * written there. What is written goes to uprobe_site::byte, which is what is
 * read, and what comes into memory when the site goes:
 *
 *	the instruction's byte		as before: TEXT_INTACT
 *	a breakpoint			the debugger's, too: TEXT_TRAPPED
 *	anything else, or over the	the program's text is another one:
 *	rest of the instruction		TEXT_CHANGED
 *
 * A hit of an altered site goes to task context. Where the debugger has a
 * breakpoint, the consumers get the hit, since the thread has arrived, and then
 * the debugger gets the SIGTRAP that it would get without them
 * (uprobe_trap()). It must be in this order: the debugger need not execute the
 * instruction where it stands. gdb, as a rule, executes a copy elsewhere and
 * leaves its breakpoint alone. If it does come back to the instruction, that
 * one has had its hit (uprobe_back_from_trap()).
 *
 * Changed text is dealt with by uprobe_sync() before its thread, or whoever
 * traps there, goes on: the site is decoded anew, or goes.
 *
 * Not hidden are breakpoints from those who read pages themselves:
 * process_vm_readv(), which reads what the program would read, and core dumps.
 * process_vm_writev() can't write to text.
 */

#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <asm/cacheflush.h>

#include "internal.h"

/* The first site whose instruction may reach @addr. tree_lock is held. */
static struct uprobe_site *first_before(struct uprobe_space *space,
					unsigned long addr)
{
	return uprobe_site_first(space, addr - min(addr, UPROBE_MAX_INSN - 1UL));
}

#define for_each_site(site, space, from, end)				\
	for (site = (from); site && site->vaddr < (end);		\
	     site = uprobe_site_first(space, site->vaddr + 1))

/* ---- reading ------------------------------------------------------------ */

/**
 * uprobe_peek - a debugger has read memory
 * @vma: the mapping
 * @addr: where
 * @buf: what has been read
 * @len: how many bytes, in one page
 *
 * Context: mmap_lock held.
 */
void uprobe_peek(struct vm_area_struct *vma, unsigned long addr, void *buf,
		 size_t len)
{
	struct uprobe_space *space = vma->vm_mm->uprobes_state.space;
	struct uprobe_site *site;
	u8 *byte;

	if (!space || !is_cow_mapping(vma->vm_flags))
		return;
	spin_lock(&space->tree_lock);
	for_each_site(site, space, uprobe_site_first(space, addr), addr + len) {
		byte = (u8 *)buf + (site->vaddr - addr);
		/* the page may have been dropped, and uprobe_sync() be due */
		if (*byte == UPROBE_BREAKPOINT && uprobe_site_matches(site, vma))
			*byte = site->byte;
	}
	spin_unlock(&space->tree_lock);
	uprobe_hide_trampoline(space, addr, buf, len);
}

/* ---- writing ------------------------------------------------------------ */

/**
 * struct poke - a debugger writes
 * @vma: the mapping
 * @addr: where
 * @from: what
 * @len: how many bytes, in one page
 */
struct poke {
	struct vm_area_struct	*vma;
	unsigned long		addr;
	const u8		*from;
	size_t			len;
};

static bool covers(const struct poke *poke, unsigned long vaddr)
{
	return vaddr >= poke->addr && vaddr - poke->addr < poke->len;
}

static u8 byte_at(const struct poke *poke, unsigned long vaddr)
{
	return poke->from[vaddr - poke->addr];
}

static bool changes_rest(const struct uprobe_site *site,
			 const struct poke *poke)
{
	unsigned int i;

	for (i = 1; i < site->arch.len; i++) {
		if (covers(poke, site->vaddr + i) &&
		    byte_at(poke, site->vaddr + i) != site->arch.insn[i])
			return true;
	}
	return false;
}

/* What has changed stays so until uprobe_sync() has looked at all of it. */
static void write_site(struct uprobe_site *site, const struct poke *poke)
{
	if (covers(poke, site->vaddr))
		site->byte = byte_at(poke, site->vaddr);
	if (site->text == TEXT_CHANGED || changes_rest(site, poke))
		WRITE_ONCE(site->text, TEXT_CHANGED);
	else
		WRITE_ONCE(site->text, uprobe_text_of(site));
}

/* All but the breakpoints. */
static void copy_around(struct uprobe_space *space, const struct poke *poke,
			struct page *page, u8 *to)
{
	unsigned long end = poke->addr + poke->len, at = poke->addr;
	struct uprobe_site *site;

	for_each_site(site, space, uprobe_site_first(space, at), end) {
		if (!uprobe_site_matches(site, poke->vma))
			continue;
		copy_to_user_page(poke->vma, page, at, to + (at - poke->addr),
				  poke->from + (at - poke->addr),
				  site->vaddr - at);
		/* it isn't there if the page was dropped */
		WRITE_ONCE(to[site->vaddr - poke->addr], UPROBE_BREAKPOINT);
		at = site->vaddr + 1;
	}
	copy_to_user_page(poke->vma, page, at, to + (at - poke->addr),
			  poke->from + (at - poke->addr), end - at);
}

/* Return: does uprobe_sync() have to look at it? */
static bool write_sites(struct uprobe_space *space, const struct poke *poke,
			struct page *page, u8 *to)
{
	struct uprobe_site *site;
	bool changed = false;

	spin_lock(&space->tree_lock);
	for_each_site(site, space, first_before(space, poke->addr),
		      poke->addr + poke->len) {
		if (!uprobe_site_matches(site, poke->vma))
			continue;
		write_site(site, poke);
		changed |= site->text == TEXT_CHANGED;
	}
	copy_around(space, poke, page, to);
	spin_unlock(&space->tree_lock);
	return changed;
}

/*
 * Is there a place without a site in what was written? What kept the site away
 * may be gone now.
 */
static bool has_vacant_place(const struct poke *poke, unsigned long start,
			     unsigned long end)
{
	struct vm_area_struct *vma = poke->vma;
	struct uprobe *uprobe;
	struct uprobe_site *site;
	loff_t from, to;

	if (!uprobe_vma_is_text(vma))
		return false;
	from = uprobe_offset_of(vma, max(start, vma->vm_start));
	to = uprobe_offset_of(vma, min(end, vma->vm_end));
	while ((uprobe = uprobe_registry_next(file_inode(vma->vm_file), from,
					      to, false))) {
		from = uprobe->offset + 1;
		site = uprobe_site_get(vma->vm_mm,
				       uprobe_vaddr_of(vma, uprobe->offset));
		uprobe_put(uprobe);
		if (!site)
			return true;
		uprobe_site_put(site);
	}
	return false;
}

/**
 * uprobe_poke - a debugger writes to memory
 * @vma: the mapping
 * @page: the page of the process
 * @addr: where
 * @to: the same, in the kernel's mapping of @page
 * @from: what
 * @len: how many bytes, in one page
 *
 * Context: mmap_lock held. Doesn't sleep.
 */
void uprobe_poke(struct vm_area_struct *vma, struct page *page,
		 unsigned long addr, void *to, const void *from, size_t len)
{
	struct uprobe_space *space = vma->vm_mm->uprobes_state.space;
	struct poke poke = { vma, addr, from, len };
	unsigned long reach = min(addr, UPROBE_MAX_INSN - 1UL);

	/* what is shared isn't text: it has come over a site just now */
	if (!space || !is_cow_mapping(vma->vm_flags)) {
		copy_to_user_page(vma, page, addr, to, from, len);
		return;
	}
	if (write_sites(space, &poke, page, to) ||
	    has_vacant_place(&poke, addr - reach, addr + len))
		uprobe_mark(vma->vm_mm, addr - reach, addr + len);
}

/* ---- the debugger's trap ------------------------------------------------ */

/**
 * uprobe_trap - a thread has arrived at a debugger's breakpoint
 * @ut: the current thread
 * @vaddr: where; the consumers of the site have been told
 * @regs: at the breakpoint; afterwards behind it
 *
 * Context: task context before the return to user mode.
 */
void uprobe_trap(struct uprobe_thread *ut, unsigned long vaddr,
		 struct pt_regs *regs)
{
	ut->trap = TRAP_SENT;
	ut->trap_vaddr = vaddr;
	ut->trap_sp = user_stack_pointer(regs);
	instruction_pointer_set(regs, vaddr + UPROBE_BREAKPOINT_SIZE);
	arch_uprobe_send_trap(regs);
}

/**
 * uprobe_back_from_trap - what has the debugger done with its breakpoint?
 * @ut: the current thread, in TRAP_SEEN
 * @regs: what it is about to return to user mode with
 *
 * If it has put the thread back to the instruction, that one is gone on with,
 * without another hit. A handler of the program's own may do so by
 * sigreturn. A debugger that does neither has executed the instruction
 * elsewhere.
 *
 * Context: task context before the return to user mode, before signals.
 * Return: true if it has.
 */
bool uprobe_back_from_trap(struct uprobe_thread *ut, struct pt_regs *regs)
{
	ut->trap = TRAP_NONE;
	if (instruction_pointer(regs) == ut->trap_vaddr &&
	    user_stack_pointer(regs) == ut->trap_sp) {
		uprobe_go_on(ut, ut->trap_vaddr, regs);
		return true;
	}
	if (!current->ptrace)
		uprobe_remember(ut, ut->trap_vaddr, ut->trap_sp);
	return false;
}
