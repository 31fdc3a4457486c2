// SPDX-License-Identifier: GPL-2.0
/*
 * How much of real programs can be probed?
 *
 * usage: classify_sweep [--verbose] [FILE…]      without files: those of default_files
 *
 * Goes through every instruction of every function that .eh_frame describes, classifies it and looks at its
 * slot. A file passes if at most one instruction in 10,000 is refused or invalid, system calls apart, every slot
 * is right, and no function begins with an instruction that has to be stepped. Fails for instance if popf is what functions begin with, or with one of classify.c's nops refused.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <gelf.h>
#include <glob.h>
#include <unistd.h>

#include "x86_kernel.h"

#define MAX_REASONS	32

struct tally {
	unsigned long	instructions;
	unsigned long	of_class[UPROBE_REFUSED + 1];
	unsigned long	entries;
	unsigned long	entries_of_class[UPROBE_REFUSED + 1];
	unsigned long	wrong_slots;
	unsigned int	nr_reasons;
	struct {
		const char	*text;
		unsigned long	count;
	} reasons[MAX_REASONS];
};

static bool verbose;

static const char *const default_files[] = {
	"/lib/x86_64-linux-gnu/libc.so.6",
	"/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
	"/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
	"/lib/x86_64-linux-gnu/libm.so.6",
	"/bin/bash",
	"/usr/bin/git",
	"/usr/lib/gcc/x86_64-linux-gnu/*/cc1",
};

static void count_reason(struct tally *tally, const char *text)
{
	unsigned int i;

	for (i = 0; i < tally->nr_reasons; i++) {
		if (tally->reasons[i].text == text)
			break;
	}
	if (i == MAX_REASONS)
		return;
	if (i == tally->nr_reasons)
		tally->reasons[tally->nr_reasons++].text = text;
	tally->reasons[i].count++;
}

static void show(const char *what, const u8 *bytes, size_t len, unsigned long addr)
{
	size_t i;

	printf("# %lx:", addr);
	for (i = 0; i < len && i < 15; i++)
		printf(" %02x", bytes[i]);
	printf(": %s\n", what);
}

/* Returns how far it is to the next instruction. */
static size_t classify_one(struct tally *tally, const u8 *bytes, size_t len, unsigned long addr, bool is_64bit,
			   bool is_entry)
{
	struct arch_uprobe au;
	const char *reason;
	struct insn insn;
	size_t step;
	int err;

	if (len > UPROBE_MAX_INSN)
		len = UPROBE_MAX_INSN;
	err = arch_uprobe_analyze(&au, bytes, len, is_64bit, &reason);
	step = decode(&insn, &au, len) ? 1 : insn.length;
	tally->instructions++;
	if (err) {
		count_reason(tally, reason);
		if (verbose)
			show(reason, bytes, step, addr);
	} else if (!slot_is_right(&au, (addr & ~0xfffUL) - 0x10000000, addr) &&
		   !slot_is_right(&au, (addr & ~0xfffUL) + 0x10000000, addr)) {
		tally->wrong_slots++;
		show("wrong slot", bytes, step, addr);
	}
	tally->of_class[au.class]++;
	tally->entries += is_entry;
	tally->entries_of_class[au.class] += is_entry;
	return step;
}

static Elf_Scn *section_at(Elf *elf, unsigned long addr, GElf_Shdr *header)
{
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(elf, section))) {
		if (gelf_getshdr(section, header) && (header->sh_flags & SHF_EXECINSTR) &&
		    addr >= header->sh_addr && addr < header->sh_addr + header->sh_size)
			return section;
	}
	return NULL;
}

static void classify_range(struct tally *tally, Elf *elf, unsigned long start, unsigned long len)
{
	bool is_64bit = gelf_getclass(elf) == ELFCLASS64;
	GElf_Shdr header;
	Elf_Scn *section = section_at(elf, start, &header);
	Elf_Data *data = section ? elf_rawdata(section, NULL) : NULL;
	unsigned long at = start;

	if (!data || start + len > header.sh_addr + header.sh_size)
		return;
	while (at < start + len)
		at += classify_one(tally, (u8 *)data->d_buf + (at - header.sh_addr),
				   header.sh_addr + header.sh_size - at, at, is_64bit, at == start);
}

/* The encoding of addresses, which CIE's augmentation names with the letter R. */
static u8 pointer_encoding(const Dwarf_CIE *cie)
{
	const u8 *data = cie->augmentation_data;
	const char *letter;

	for (letter = cie->augmentation; *letter; letter++) {
		if (*letter == 'R')
			return *data;
		if (*letter == 'P')
			data += 1 + ((*data & 0x0f) == DW_EH_PE_sdata8 ? 8 : 4);
		else if (*letter == 'L')
			data++;
	}
	return DW_EH_PE_absptr;
}

static void classify_frames(struct tally *tally, Elf *elf, Elf_Scn *section, const GElf_Shdr *header)
{
	Elf_Data *data = elf_rawdata(section, NULL);
	const unsigned char *ident = (void *)elf_getident(elf, NULL);
	Dwarf_Off offset = 0, next;
	Dwarf_CFI_Entry entry, cie;

	while (data && dwarf_next_cfi(ident, data, true, offset, &next, &entry) == 0) {
		Dwarf_Off ignored;
		int start;
		unsigned int len;

		offset = next;
		if (dwarf_cfi_cie_p(&entry) ||
		    dwarf_next_cfi(ident, data, true, entry.fde.CIE_pointer, &ignored, &cie))
			continue;
		if (pointer_encoding(&cie.cie) != (DW_EH_PE_pcrel | DW_EH_PE_sdata4))
			continue;
		memcpy(&start, entry.fde.start, sizeof(start));
		memcpy(&len, entry.fde.start + sizeof(start), sizeof(len));
		classify_range(tally, elf,
			       header->sh_addr + (entry.fde.start - (u8 *)data->d_buf) + start, len);
	}
}

static bool classify_file(struct tally *tally, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf *elf = fd < 0 ? NULL : elf_begin(fd, ELF_C_READ_MMAP, NULL);
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	size_t names;

	if (elf && !elf_getshdrstrndx(elf, &names)) {
		while ((section = elf_nextscn(elf, section))) {
			if (gelf_getshdr(section, &header) &&
			    !strcmp(elf_strptr(elf, names, header.sh_name) ?: "", ".eh_frame"))
				classify_frames(tally, elf, section, &header);
		}
	}
	elf_end(elf);
	if (fd >= 0)
		close(fd);
	return tally->instructions;
}

static bool is_expected(const char *reason)
{
	return reason == reasons[VERDICT_SYSCALL];
}

static bool report(const struct tally *tally, const char *path)
{
	static const char *const names[] = { "emulated", "relocated", "stepped", "refused" };
	unsigned long unexpected = 0;
	unsigned int i;

	note("%s: %lu instructions", path, tally->instructions);
	for (i = 0; i <= UPROBE_REFUSED; i++)
		note("  %-10s %9lu  %8.4f %%, of %lu entries %lu", names[i], tally->of_class[i],
		     100.0 * tally->of_class[i] / tally->instructions, tally->entries, tally->entries_of_class[i]);
	for (i = 0; i < tally->nr_reasons; i++) {
		note("    %6lu %s", tally->reasons[i].count, tally->reasons[i].text);
		if (!is_expected(tally->reasons[i].text))
			unexpected += tally->reasons[i].count;
	}
	return unexpected * 10000 <= tally->instructions && !tally->wrong_slots &&
	       tally->entries && !tally->entries_of_class[UPROBE_STEPPED];
}

/* A pattern that fits nothing is a file that isn't there. */
static void check_files(const char *pattern)
{
	glob_t found;
	size_t i;

	if (glob(pattern, GLOB_NOCHECK, NULL, &found))
		return;
	for (i = 0; i < found.gl_pathc; i++) {
		struct tally tally = {};

		check(classify_file(&tally, found.gl_pathv[i]) && report(&tally, found.gl_pathv[i]),
		      "nearly everything in %s can be probed", found.gl_pathv[i]);
	}
	globfree(&found);
}

int main(int argc, char **argv)
{
	const char *const *files = default_files;
	size_t i, nr = ARRAY_SIZE(default_files);

	elf_version(EV_CURRENT);
	verbose = argc > 1 && !strcmp(argv[1], "--verbose");
	if (argc > 1 + verbose) {
		files = (const char *const *)argv + 1 + verbose;
		nr = argc - 1 - verbose;
	}
	for (i = 0; i < nr; i++)
		check_files(files[i]);
	return finish();
}
