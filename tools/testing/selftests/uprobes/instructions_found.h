/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which instructions do real programs consist of?
 *
 * Goes through the functions of an ELF file and hands over the first instruction of each form: the same prefixes,
 * opcode, operation in its group, and kind of operands. The functions are those of .eh_frame_hdr, a sorted
 * table of pairs: function, and its entry in .eh_frame, where its length stands behind its address.
 */
#ifndef UPROBES_INSTRUCTIONS_FOUND_H
#define UPROBES_INSTRUCTIONS_FOUND_H

#include <elf.h>
#include <link.h>

#include "x86_kernel.h"

#include "probes.h"

struct frame_header {
	u8	version;
	u8	frame_encoding;
	u8	count_encoding;
	u8	table_encoding;
	s32	frame;
	u32	count;
	struct {
		s32	function;	/* relative to the header, and so is the next */
		s32	entry;
	} table[];
};

#define FRAME_TABLE	0x3b		/* DW_EH_PE_datarel | DW_EH_PE_sdata4 */
#define FRAME_COUNT	0x03		/* DW_EH_PE_udata4 */
#define FRAME_LENGTH	12		/* where it stands in an entry, with DW_EH_PE_pcrel | DW_EH_PE_sdata4 */

struct elf_file {
	const u8	*bytes;
	size_t		len;
	const ElfW(Phdr) *segments;
	unsigned int	nr_segments;
};

static bool open_elf(struct elf_file *file, const char *path)
{
	const ElfW(Ehdr) *header;

	file->bytes = (u8 *)read_file(path, &file->len);
	if (!file->bytes)
		return false;
	header = (void *)file->bytes;
	if (file->len < sizeof(*header) || memcmp(header->e_ident, ELFMAG, SELFMAG) ||
	    header->e_ident[EI_CLASS] != (sizeof(long) == 8 ? ELFCLASS64 : ELFCLASS32)) {
		free((void *)file->bytes);
		return false;
	}
	file->segments = (void *)(file->bytes + header->e_phoff);
	file->nr_segments = header->e_phnum;
	return true;
}

/* NULL if the file doesn't have @len bytes for that address. */
static const u8 *at_address(const struct elf_file *file, unsigned long address, size_t len)
{
	const ElfW(Phdr) *s;

	for (s = file->segments; s < file->segments + file->nr_segments; s++)
		if (s->p_type == PT_LOAD && address >= s->p_vaddr && address + len <= s->p_vaddr + s->p_filesz)
			return file->bytes + s->p_offset + (address - s->p_vaddr);
	return NULL;
}

static bool find_frames(const struct elf_file *file, const struct frame_header **frames, unsigned long *address)
{
	const ElfW(Phdr) *s;

	for (s = file->segments; s < file->segments + file->nr_segments; s++) {
		if (s->p_type != PT_GNU_EH_FRAME)
			continue;
		*frames = (void *)(file->bytes + s->p_offset);
		*address = s->p_vaddr;
		return (*frames)->table_encoding == FRAME_TABLE && (*frames)->count_encoding == FRAME_COUNT;
	}
	return false;
}

/* ---- forms -------------------------------------------------------------- */

static bool is_group(struct insn *insn)
{
	static const u8 one[] = { 0x80, 0x81, 0x83, 0x8f, 0xc0, 0xc1, 0xc6, 0xc7, 0xd0, 0xd1, 0xd2, 0xd3, 0xf6,
				  0xf7, 0xfe, 0xff };
	static const u8 two[] = { 0x00, 0x01, 0x0d, 0x18, 0x1e, 0x71, 0x72, 0x73, 0xae, 0xba, 0xc7 };
	u8 opcode = uprobe_insn_opcode(insn);

	if (map_of(insn) == MAP_ONE_BYTE)
		return memchr(one, opcode, sizeof(one)) || (opcode >= 0xd8 && opcode <= 0xdf);
	if (map_of(insn) == MAP_0F || (insn_is_avx(insn) && insn_vex_m_bits(insn) == 1))
		return memchr(two, opcode, sizeof(two));
	return insn_is_avx(insn) && insn_vex_m_bits(insn) == 2 && opcode == 0xf3;
}

/* Register, which kind of address, and whether the base is one of those that are encoded differently. */
static u64 operand_form(struct insn *insn)
{
	u8 modrm = insn->modrm.bytes[0], sib = insn->sib.bytes[0], mod = X86_MODRM_MOD(modrm);
	u64 form = 1 + mod;

	if (!insn->modrm.nbytes)
		return 0;
	if (mod == 3)
		return form;
	if (X86_MODRM_RM(modrm) == 5)
		form |= 0x10;
	if (insn->sib.nbytes)
		form |= 0x20 | (X86_SIB_INDEX(sib) == 4 ? 0x40 : 0) | (X86_SIB_BASE(sib) == 5 ? 0x80 : 0) |
			(X86_SIB_BASE(sib) == 4 ? 0x100 : 0);
	return form;
}

static u64 hash_more(u64 hash, u64 value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15;
	return hash ^ hash >> 29;
}

static u64 form_of(struct insn *insn)
{
	static const u8 prefixes[] = { 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65 };
	u64 form = hash_more(map_of(insn), uprobe_insn_opcode(insn)), set = 0;
	size_t i;

	for (i = 0; i < sizeof(prefixes); i++)
		set |= (u64)uprobe_insn_has_prefix(insn, prefixes[i]) << i;
	form = hash_more(form, set | (u64)insn->prefixes.nbytes << 16);
	form = hash_more(form, insn->rex_prefix.bytes[0] & 8 ? 2 : insn->rex_prefix.nbytes);
	if (insn_is_avx(insn))
		form = hash_more(form, insn->vex_prefix.nbytes << 16 | insn_vex_m_bits(insn) << 8 |
				 insn_vex_p_bits(insn) << 4 | !!insn_vex_w_bit(insn) << 3 |
				 !!X86_VEX_L(insn->vex_prefix.bytes[insn->vex_prefix.nbytes - 1]));
	form = hash_more(form, operand_form(insn));
	return hash_more(form, is_group(insn) ? 1 + modrm_reg(insn) : 0);
}

/* ---- a set of numbers --------------------------------------------------- */

#define SET_SIZE	(1 << 16)

static u64 numbers[SET_SIZE];

/* false if it's there already */
static bool add_number(u64 number)
{
	size_t at = number >> 40 & (SET_SIZE - 1), i;

	number |= !number;
	for (i = 0; i < SET_SIZE; i++, at = (at + 1) & (SET_SIZE - 1)) {
		if (numbers[at] == number)
			return false;
		if (!numbers[at]) {
			numbers[at] = number;
			return true;
		}
	}
	return false;
}

/* ---- files -------------------------------------------------------------- */

typedef void (*found_fn)(const u8 *bytes, size_t len, unsigned int source);

/* Tables of hand-written code lie inside of functions, too. What shows that one was run into is no code. */
static bool is_code(struct insn *insn)
{
	u8 opcode = uprobe_insn_opcode(insn);

	if (map_of(insn) != MAP_ONE_BYTE)
		return true;
	if (opcode == 0xfe || opcode == 0xff)
		return modrm_reg(insn) < (opcode == 0xfe ? 2 : 7);
	return (opcode & 0xfc) != 0x6c && (opcode & 0xf4) != 0xe4;
}

/* With the classifier's decoder, which knows XOP as well. */
static bool decode_bytes(struct insn *insn, const u8 *bytes, size_t len)
{
	struct arch_uprobe au = { .is_64bit = sizeof(long) == 8 };

	if (len > MAX_INSN_SIZE)
		len = MAX_INSN_SIZE;
	memcpy(au.insn, bytes, len);
	return !decode(insn, &au, len);
}

static unsigned long look_at_function(const u8 *bytes, size_t len, found_fn found, unsigned int source)
{
	unsigned long count = 0;
	struct insn insn;
	size_t at;

	for (at = 0; at < len && decode_bytes(&insn, bytes + at, len - at); at += insn.length) {
		if (!is_code(&insn))
			break;
		count++;
		if (add_number(form_of(&insn)))
			found(bytes + at, insn.length, source);
	}
	return count;
}

/* Returns how many instructions the file has, which are looked at in every @step-th function; 0: no such file. */
static unsigned long look_at_file(const char *path, unsigned int step, found_fn found, unsigned int source)
{
	const struct frame_header *frames;
	unsigned long address, count = 0;
	struct elf_file file;
	u32 i, len;

	if (!open_elf(&file, path))
		return 0;
	if (find_frames(&file, &frames, &address)) {
		for (i = 0; i < frames->count; i += step) {
			const u8 *entry = at_address(&file, address + frames->table[i].entry, FRAME_LENGTH + 4), *function;

			if (!entry)
				continue;
			memcpy(&len, entry + FRAME_LENGTH, sizeof(len));
			function = at_address(&file, address + frames->table[i].function, len);
			if (function)
				count += look_at_function(function, len, found, source);
		}
	}
	free((void *)file.bytes);
	return count;
}

#endif /* UPROBES_INSTRUCTIONS_FOUND_H */
