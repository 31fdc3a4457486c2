// SPDX-License-Identifier: GPL-2.0
/*
 * Is a place in a file the start of an instruction?
 *
 * A breakpoint inside of one changes what the program computes. Where instructions begin can only be
 * told from where a function begins, one after the other: the symbol tables say where that is, and
 * the decoder that perf shares with the kernel how long each one is.
 */
#include <elf.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../../arch/x86/include/asm/insn.h"
#include "boundary.h"

/* Longer functions aren't decoded: 1 MiB takes 10 ms. */
#define MAX_SIZE	(16UL << 20)

struct function {
	char	*name;
	u64	offset;
	u64	size;
};

/* The address that a place in the file has in its code. */
static bool find_address(Elf *elf, u64 offset, u64 *address)
{
	GElf_Phdr phdr;
	size_t count, i;

	if (elf_getphdrnum(elf, &count))
		return false;
	for (i = 0; i < count; i++) {
		if (!gelf_getphdr(elf, i, &phdr) || phdr.p_type != PT_LOAD || !(phdr.p_flags & PF_X) ||
		    offset - phdr.p_offset >= phdr.p_filesz)
			continue;
		*address = offset - phdr.p_offset + phdr.p_vaddr;
		return true;
	}
	return false;
}

/*
 * Of the functions that cover @address, which is at @offset, the one that begins last. Where a function or a label
 * begins, there begins an instruction.
 */
static bool look_into_table(Elf *elf, Elf_Scn *section, u64 address, u64 offset, struct function *function)
{
	Elf_Data *data = elf_getdata(section, NULL);
	const char *name;
	GElf_Shdr shdr;
	GElf_Sym sym;
	int i, type;

	if (!data || !gelf_getshdr(section, &shdr))
		return true;
	for (i = 0; gelf_getsym(data, i, &sym); i++) {
		type = GELF_ST_TYPE(sym.st_info);
		if (sym.st_shndx == SHN_UNDEF || (type != STT_FUNC && type != STT_NOTYPE))
			continue;
		if (sym.st_value == address)
			return false;
		if (type != STT_FUNC || address - sym.st_value >= sym.st_size ||
		    (function->name && offset - (address - sym.st_value) <= function->offset))
			continue;
		free(function->name);
		name = elf_strptr(elf, shdr.sh_link, sym.st_name);
		function->name = strdup(name ?: "");
		function->offset = offset - (address - sym.st_value);
		function->size = sym.st_size;
	}
	return true;
}

/* Return: false if there is none, or if something begins at @offset. */
static bool find_function(Elf *elf, u64 offset, struct function *function)
{
	bool seen[2] = {}, *it;
	Elf_Scn *section = NULL;
	GElf_Shdr shdr;
	u64 address;

	if (!find_address(elf, offset, &address))
		return false;
	while ((section = elf_nextscn(elf, section))) {
		if (!gelf_getshdr(section, &shdr) ||
		    (shdr.sh_type != SHT_SYMTAB && shdr.sh_type != SHT_DYNSYM))
			continue;
		/* of each kind a file has one */
		it = &seen[shdr.sh_type == SHT_DYNSYM];
		if (*it)
			continue;
		*it = true;
		if (!look_into_table(elf, section, address, offset, function))
			return false;
	}
	return function->name;
}

/* Return: false if @place is the start of an instruction, or if it can't be said. */
static bool lies_inside(const unsigned char *code, u64 size, u64 place, bool is_64bit,
			struct uprobe_boundary *boundary)
{
	struct insn insn;
	u64 at = 0;

	while (at < place) {
		if (insn_decode(&insn, code + at, size - at, is_64bit ? INSN_MODE_64 : INSN_MODE_32))
			return false;
		boundary->before = at;
		at += insn.length;
		boundary->after = at;
	}
	return at != place;
}

static bool look_into(int fd, Elf *elf, u64 offset, struct uprobe_boundary *boundary)
{
	struct function function = {};
	bool is_inside = false;
	unsigned char *code;
	GElf_Ehdr header;

	if (!gelf_getehdr(elf, &header) ||
	    (header.e_machine != EM_X86_64 && header.e_machine != EM_386))
		return false;
	if (!find_function(elf, offset, &function)) {
		free(function.name);
		return false;
	}
	code = function.size <= MAX_SIZE ? malloc(function.size) : NULL;
	if (code && pread(fd, code, function.size, function.offset) == (ssize_t)function.size)
		is_inside = lies_inside(code, function.size, offset - function.offset,
					header.e_machine == EM_X86_64, boundary);
	free(code);
	if (is_inside)
		boundary->function = function.name;
	else
		free(function.name);
	return is_inside;
}

/**
 * uprobe_boundary__is_inside - does a place in a file lie inside of an instruction?
 * @fd: of the file
 * @offset: in bytes from its start
 * @boundary: set if so
 *
 * Data inside of a function, which only the assembler puts there, are taken for instructions. Behind them
 * the answer may be wrong, in both directions; those who know better have --force.
 *
 * Return: false also if no symbol says where a function begins, or if what lies between can't be decoded.
 */
bool uprobe_boundary__is_inside(int fd, u64 offset, struct uprobe_boundary *boundary)
{
	bool is_inside;
	Elf *elf;

	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	is_inside = elf && look_into(fd, elf, offset, boundary);
	elf_end(elf);
	return is_inside;
}
