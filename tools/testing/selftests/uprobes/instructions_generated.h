/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which instructions are made up, with operands of every kind?
 *
 * A family is a list of patterns, with semicolons between them, of these words:
 *
 *	41 50-57	a byte, each byte from 50 to 57
 *	66?		this byte or not, by chance
 *	W		no REX prefix, or one with bits by chance; none in 32-bit code
 *	V66.2 VF3.1y	a VEX prefix with what stands for legacy prefix 66 (F2, F3, 00) and for map 2, then letters:
 *			x no 256 bits, y 256 bits, n no third register, w VEX.W by chance
 *	/r /3 /x	a ModRM byte; the register by chance, 3, each of them. A letter says which operands the
 *			instruction is made with: m memory of each kind, R a register, s one kind of memory
 *			by chance, a register and s, v with a vector as index; without one, R and m
 *	*5		the whole pattern five times
 *	@64 @32		only in code of this width
 *
 * Immediate operands are put behind it, by chance.
 */
#ifndef UPROBES_INSTRUCTIONS_GENERATED_H
#define UPROBES_INSTRUCTIONS_GENERATED_H

#include "instructions_found.h"
#include "processor_state.h"

struct family {
	const char *name;
	const char *patterns;
	int error;		/* with which a probe is refused */
};

static const struct family families[] = {
	/* what stock gets wrong, each an instruction by itself: a subtest that has its name */
	{ "vmovdqu %ymm0,(%rdi)", "c5 fe 7f 07" },
	{ "vmovdqu load", "c5 fe 6f 07" },
	{ "vzeroupper", "c5 f8 77" },
	{ "vpcmpeqb", "c5 ed 74 d9" }, { "vpcmpeqw", "c5 ed 75 d9" }, { "vpcmpeqd", "c5 ed 76 d9" },
	{ "vpor", "c5 ed eb d9" }, { "vpsubsb", "c5 ed e8 d9" }, { "vpsubsw", "c5 ed e9 d9" },
	{ "vpxor", "c5 ed ef d9" }, { "vpaddq", "c5 ed d4 d9" }, { "vpsubb", "c5 ed f8 d9" },
	{ "vandps", "c5 ec 54 d9" }, { "vaddps", "c5 ec 58 d9" }, { "vpavgb", "c5 ed e0 d9" },
	{ "xchg %r8,%rax", "@64 49 90" },
	{ "lock incl", "f0 ff 07" }, { "lock xadd", "f0 0f c1 07" }, { "lock cmpxchg", "f0 0f b1 0f" },
	{ "notrack jmp *%rax", "3e ff e0" }, { "notrack jmp *(%rdi)", "3e ff 27" },
	{ "cs nopw of 10 bytes", "66 2e 0f 1f 84 00 00 00 00 00" },
	{ "cs nopw of 11 bytes", "66 66 2e 0f 1f 84 00 00 00 00 00" },

	{ "nops and hints", "90; 66 90; 2e 90; f3 90; f3 0f 1e fa-fb; 66? W 0f 1f /r; 66 2e 0f 1f /0; 0f 18 /xs; 0f 1a-1b /ra;"
	  "0f 1c /0; 0f 1e /0; 0f 0d /xs; 0f 1e c0-c7; f3 0f 1e c8; @64 41 90; @64 48 90; @64 66 41 90; 9b; 66 66 66 90" },
	{ "push and pop of registers", "50-5f; 66 50-5f; @64 41 50-5f; @64 66 41 50-5f; @64 48 50-5f; @64 49 50-5f;"
	  "@64 40 50-5f; @32 06; @32 0e; @32 16; @32 1e; 0f a0; 0f a8; 66 0f a0; f3 50-5f; 2e 50-51" },
	{ "push and pop of memory and constants", "*2 66? W ff /6; *2 66? W 8f /0; *4 6a; *4 68; 66 68; 66 6a;"
	  "@32 60-61; @32 66 60-61" },
	{ "flags", "9c; 9d; 66 9c-9d; @64 48 9c-9d; 9e; 9f; f5; f8; f9; fc; fd" },
	{ "conditional jumps", "70-7f; 0f 80-8f; 3e 70-71; 2e 0f 84-85; f2 74-75; @64 48 0f 86-87" },
	{ "loops", "e0-e3; 67 e0-e3; @64 48 e0-e3; 2e e0-e3; 3e e2" },
	{ "jumps and calls", "eb; e9; e8; f2 e8-e9; f2 eb; 3e e9; @64 48 e8-e9; @64 66 48 e8; @64 66 66 48 e8;"
	  "@64 41 e8-e9; 2e e8" },
	{ "jumps and calls through registers and memory", "*2 W ff /2; *2 W ff /4; 3e W ff /2; 3e W ff /4;"
	  "f2 W ff /2; f2 W ff /4; @64 64 ff /2m; @64 64 ff /4m; 65 ff /4m; 65 ff /2m; 2e ff /4; 67 ff /2; 67 ff /4" },
	{ "returns", "c3; f3 c3; f2 c3; c2 00 00; c2 10 00; c2 08 01; @64 48 c3; 2e c3" },
	{ "leave and enter", "c9; 66 c9; @64 48 c9; c8 00-10 00 00-03; 66 c8 10 00 00-01; @64 48 c8 20 00 01" },
	{ "arithmetic", "66? W 00-03 /r; 66? W 08-0b /r; 66? W 10-13 /r; 66? W 18-1b /r; 66? W 20-23 /r;"
	  "66? W 28-2b /r; 66? W 30-33 /r; 66? W 38-3b /r; 66? W 04-05; 66? W 0c-0d; 66? W 14-15; W 1c-1d; W 24-25;"
	  "W 2c-2d; W 34-35; 66? W 3c-3d; W 80-81 /x; 66? W 83 /x; 66 81 /xa; 66? W 84-85 /r; 66? W a8-a9;"
	  "@32 82 /xa; @32 40-4f; @32 66 40-4f; @32 27; @32 2f; @32 37; @32 3f; *4 @32 d4-d5; @32 d4 00; @32 63 /r" },
	{ "lock", "f0 W 00-01 /rm; f0 W 08-09 /rm; f0 W 10-11 /rm; f0 W 18-19 /rm; f0 W 20-21 /rm; f0 W 28-29 /rm;"
	  "f0 W 30-31 /rm; f0 W 80-81 /xs; f0 66? W 83 /xs; f0 W fe-ff /0m; f0 W fe-ff /1m; f0 W f6-f7 /2m;"
	  "f0 W f6-f7 /3m; f0 W 86-87 /rm; f0 66? W 0f c0-c1 /rm; f0 66? W 0f b0-b1 /rm; *2 f0 W 0f c7 /1m;"
	  "f0 W 0f ab /rm; f0 W 0f b3 /rm; f0 W 0f bb /rm; f0 66? W 0f ba /5m; f0 W 0f ba /6m; f0 W 0f ba /7m;"
	  "f2 f0 01 /rs; f3 f0 29 /rs; f2 87 /rm; f0 01 /rR; f0 90; f0 8b /ra" },
	{ "shifts", "W c0-c1 /xa; 66? W d0-d1 /xa; 66? W d2-d3 /xa; 66 c1 /xa; 66? W 0f a4-a5 /r; 66? W 0f ac-ad /r" },
	{ "multiply and divide", "*2 66? W f6-f7 /4; *2 66? W f6-f7 /5; *3 66? W f6-f7 /6; *3 66? W f6-f7 /7; 66? W 69 /r;"
	  "66? W 6b /r; 66? W 0f af /r" },
	{ "increment, decrement, negate and test", "66? W fe-ff /0; 66? W fe-ff /1; 66? W f6-f7 /0; W f6-f7 /1;"
	  "66? W f6-f7 /2; 66? W f6-f7 /3" },
	{ "moves", "*2 66? W 88-8b /r; W c6 /0; 66? W c7 /0; *2 W b0-bf; 66 b8-bf; *4 W a0-a3; *2 66? W 8d /rm; @64 W 63 /r;"
	  "66? W 0f b6-b7 /r; 66? W 0f be-bf /r; 66? W 86-87 /r; 66? W 90-97; 66? W 98-99; W 0f c8-cf; W 0f c3 /rm;"
	  "66? W 8c /xa" },
	{ "movbe and crc32", "*2 66? W 0f 38 f0-f1 /rm; *2 66? f2 W 0f 38 f0-f1 /r" },
	{ "conditional moves and sets", "W 0f 90-9f /0a; 66? W 0f 40-4f /ra" },
	{ "bits", "66? W 0f a3 /r; 66? W 0f ab /r; 66? W 0f b3 /r; 66? W 0f bb /r; 66? W 0f ba /4; W 0f ba /5; 66? W 0f ba /6;"
	  "W 0f ba /7; 66? W 0f bc-bd /r; 66? f3 W 0f b8 /r; f3 W 0f bc-bd /r" },
	{ "compare and exchange", "66? W 0f b0-b1 /r; *4 W 0f c7 /1m; 66? W 0f c0-c1 /r" },
	{ "BMI and ADX", "*2 V00.2xw f2 /r; *2 V00.2nxw f3 /1; V00.2xw f3 /1; V00.2xw f3 /2; V00.2xw f3 /3; V00.2xw f5 /r;"
	  "VF3.2xw f5 /r; VF2.2xw f5 /r; VF2.2xw f6 /r; V00.2xw f7 /r; V66.2xw f7 /r; VF3.2xw f7 /r; VF2.2xw f7 /r;"
	  "*2 VF2.3nxw f0 /r; 66 W 0f 38 f6 /r; f3 W 0f 38 f6 /r" },
	{ "strings", "*4 66? W a4-a7; *4 66? W aa-af; *4 f3 66? W a4-a7; *4 f3 66? W aa-af; *4 f2 66? W a6-a7; *4 f2 66? W ae-af;"
	  "*2 f3 67 W a4-a7; *2 f3 67 W aa-ab; 67 W a4-a7; 67 aa-af; 2e a4-a7; f3 2e a4-a5; f2 a4-a5; f2 aa-ad" },
	{ "xlat", "d7; 67 d7; 66 d7; @64 48 d7; 2e d7; f3 d7" },
	{ "segment prefixes", "2e W 8b /r; 36 W 89 /rm; 3e W 01 /rm; 26 W 8d /rm; 64 W 8b /rm; 64 W 89 /rm; 65 W 8b /rm;"
	  "65 W 89 /rm; 64 W 0f b6 /rm; 64 66? W 01 /rm; 64 f0 W 01 /rm; 64 W ff /6m; 64 c7 /0m; 65 W 83 /xs;"
	  "64 0f 10-11 /rm; 65 f0 0f c1 /rm; 2e 0f 6f /rm; *4 64 W a0-a3; *4 65 a0-a3; 64 V00.1 28-29 /rm" },
	{ "address size prefix", "67 W 8b /r; 67 W 89 /rm; 67 W 8d /rm; 67 W 01 /rm; 67 f0 01 /rm; 67 0f 10-11 /rm; 67 W 81 /xs;"
	  "67 V66.1 6f /rm; 67 V66.1 7f /rm; 67 W a0-a3; 67 W ff /6m; 67 dd /xs" },
	{ "relative to the instruction pointer and absolute", "@64 *2 66? 8b 05; @64 *2 66? 48 89 0d; @64 48 c7 05; @64 66 c7 05;"
	  "@64 c6 05; @64 c7 05; @64 48 81 05; @64 66 81 3d; @64 83 05; @64 f0 48 83 05; @64 f0 ff 05; @64 48 69 05;"
	  "@64 c1 25; @64 0f a4 05; @64 0f ba 25; @64 48 0f c7 0d; @64 f0 48 0f c7 0d; @64 0f c6 05; @64 66 0f 3a 0f 05;"
	  "@64 67 48 8b 05; @64 67 c7 05; @64 c5 fe 6f 05; @64 c5 fe 7f 05; @64 c4 e3 7d 18 05; @64 c4 e3 fd 00 05;"
	  "@64 c4 e3 75 4a 05; @64 dd 05; @64 db 3d; @64 48 8d 05; @64 67 8d 05; @64 f7 05; @64 66 f7 05; @64 f6 05;"
	  "@64 8f 05; @64 ff 35; 8b 04 25; c7 04 25; ff 34 25; @32 8b 05; @32 c7 05; @32 81 05; @32 f0 ff 05" },
	{ "x87", "*2 d8-df /xs; d8-df c0-ff; 9b d9 3f; 66 d9 /xs; @64 48 df /xs" },
	{ "SSE", "0f 10-17 /ra; 0f 28-2f /ra; 0f 50-5f /ra; 0f 60-6b /ra; 0f 6e-6f /ra; 0f 74-77 /ra; 0f 7e-7f /ra; 0f c2 /ra; 0f c4-c6 /ra;"
	  "0f d1-d5 /ra; 0f d7-df /ra; 0f e0-e5 /ra; 0f e7-ef /ra; 0f f1-fe /ra; 66 W 0f 10-17 /ra; 66 W 0f 28-2f /ra; 66 0f 50-51 /ra; 66 0f 54-5f /ra; 66 W 0f 60-6f /ra;"
	  "66 0f 70 /ra; 66 0f 71-73 /xR; 0f 70 /ra; 0f 71-73 /xR; 66 0f 74-76 /ra; 66 0f 7c-7d /ra; 66 W 0f 7e-7f /ra;"
	  "66 0f c2 /ra; 66 0f c4-c6 /ra; 66 0f d0-df /ra; 66 0f e0-ef /ra; 66 0f f1-fe /ra; f3 W 0f 10-12 /ra; f3 0f 16 /ra;"
	  "f3 W 0f 2a /ra; f3 W 0f 2c-2d /ra; f3 0f 51-53 /ra; f3 0f 58-5f /ra; f3 0f 6f-70 /ra; f3 0f 7e-7f /ra; f3 0f c2 /ra;"
	  "f3 0f d6 /rR; f3 0f e6 /ra; f2 W 0f 10-12 /ra; f2 W 0f 2a /ra; f2 W 0f 2c-2d /ra; f2 0f 51 /ra; f2 0f 58-5a /ra; f2 0f 5c-5f /ra;"
	  "f2 0f 70 /ra; f2 0f 7c-7d /ra; f2 0f c2 /ra; f2 0f d0 /ra; f2 0f d6 /rR; f2 0f e6 /ra; f2 0f f0 /rs; *4 66 0f f7 /rR;"
	  "*2 0f f7 /rR" },
	{ "SSE of other opcode maps", "66 0f 38 00-0b /ra; 66 0f 38 10 /ra; 66 0f 38 14-15 /ra; 66 0f 38 17 /ra; 66 0f 38 1c-1e /ra;"
	  "66 0f 38 20-25 /ra; 66 0f 38 28-2b /ra; 66 0f 38 30-35 /ra; 66 0f 38 37-41 /ra; 66 0f 38 db-df /ra; 0f 38 c8-cd /ra;"
	  "0f 38 00-0b /ra; 66 0f 3a 08-0f /ra; 66 W 0f 3a 14-17 /ra; 66 W 0f 3a 20-22 /ra; 66 0f 3a 40-42 /ra; 66 0f 3a 44 /ra;"
	  "66 0f 3a 60-63 /ra; 66 0f 3a df /ra; 0f 3a 0f /ra; 0f 3a cc /ra" },
	{ "AVX", "V00.1 10-11 /rs; V00.1n 10-11 /ra; V66.1n 10-11 /ra; VF3.1 10-11 /rR; VF3.1n 10-11 /rs; VF2.1 10-11 /rR; VF2.1n 10-11 /rs;"
	  "V00.1 12 /rR; V00.1x 12 /rs; V00.1nx 13 /rs; VF3.1n 12 /ra; VF2.1n 12 /ra; V00.1 14-15 /ra; V66.1 14-15 /ra;"
	  "V00.1x 16 /ra; VF3.1n 16 /ra; V00.1nx 17 /rs; V00.1n 28-29 /ra; V66.1n 28-29 /ra; VF3.1w 2a /ra; VF2.1w 2a /ra;"
	  "V00.1n 2b /rs; VF3.1nw 2c-2d /ra; VF2.1nw 2c-2d /ra; V00.1n 2e-2f /ra; V66.1n 2e-2f /ra; V00.1n 50 /rR; V66.1n 50 /rR;"
	  "V00.1n 51-53 /ra; V66.1n 51 /ra; VF3.1 51-53 /ra; VF2.1 51 /ra; V00.1 54-59 /ra; V66.1 54-59 /ra; VF3.1 58-59 /ra;"
	  "VF2.1 58-59 /ra; V00.1n 5a-5b /ra; V66.1n 5a-5b /ra; VF3.1n 5b /ra; V00.1 5c-5f /ra; V66.1 5c-5f /ra; VF3.1 5c-5f /ra;"
	  "VF2.1 5c-5f /ra; V66.1 60-6d /ra; V66.1nxw 6e /ra; V66.1n 6f /ra; VF3.1n 6f /ra; V66.1n 70 /ra; VF3.1n 70 /ra;"
	  "VF2.1n 70 /ra; V66.1 71-73 /xR; V66.1 74-76 /ra; V00.1n 77; V66.1 7c-7d /ra; VF2.1 7c-7d /ra; V66.1nxw 7e /ra;"
	  "V66.1n 7f /ra; VF3.1n 7f /ra; VF3.1nx 7e /ra; V00.1nx ae /2s; V00.1nx ae /3s; V00.1 c2 /ra; V66.1 c2 /ra; VF3.1 c2 /ra;"
	  "V66.1x c4 /ra; V66.1nx c5 /rR; V00.1 c6 /ra; V66.1 d0-d5 /ra; V66.1nx d6 /ra; V66.1n d7 /rR; V66.1 d8-e5 /ra;"
	  "V66.1n e6 /ra; VF3.1n e6 /ra; V66.1n e7 /rs; V66.1 e8-ef /ra; VF2.1n f0 /rs; V66.1 f1-f6 /ra; *2 V66.1nx f7 /rR;"
	  "V66.1 f8-fe /ra" },
	{ "AVX of other opcode maps", "V66.2 00-0d /ra; V66.2n 0e-0f /ra; V66.2n 13 /ra; V66.2y 16 /ra; V66.2n 17 /ra; V66.2n 18-19 /ra;"
	  "V66.2ny 1a /rs; V66.2n 1c-1e /ra; V66.2n 20-25 /ra; V66.2 28-29 /ra; V66.2n 2a /rs; V66.2 2b /ra; V66.2 2c-2f /rs;"
	  "V66.2n 30-35 /ra; V66.2y 36 /ra; V66.2 37-40 /ra; V66.2nx 41 /ra; V66.2w 45-47 /ra; V66.2n 58-59 /ra; V66.2ny 5a /rs;"
	  "V66.2n 78-79 /ra; V66.2w 8c /rs; V66.2w 8e /rs; *3 @64 V66.2w 90-93 /rv; V66.2w 96-9f /ra; V66.2w a6-af /ra;"
	  "V66.2w b6-bf /ra; V66.2 dc-df /ra; V66.3nyw 00-01 /ra; V66.3 02 /ra; V66.3n 04-05 /ra; V66.3y 06 /ra; V66.3n 08-09 /ra;"
	  "V66.3x 0a-0b /ra; V66.3 0c-0f /ra; V66.3nx 14-17 /ra; V66.3y 18 /ra; V66.3ny 19 /ra; V66.3n 1d /ra; V66.3x 20-22 /ra; V66.3y 38 /ra;"
	  "V66.3ny 39 /ra; V66.3 40-42 /ra; V66.3 44 /ra; V66.3y 46 /ra; V66.3 4a-4c /ra; V66.3nx 60-63 /ra; V66.3nx df /ra" },
	{ "the processor itself", "0f a2; 0f 01 d0; 0f ae e8; 0f ae f0; 0f ae f8; *2 0f ae /0m; 0f ae /1m; *2 0f ae /2m; 0f ae /3m;"
	  "*2 0f ae /4m; 0f ae /5m; *2 0f ae /6m; 0f ae /7m; 66 0f ae /7m; 0f c7 /4m; @64 48 0f ae /0m; @64 48 0f ae /4m; 0f 00 /0a;"
	  "0f 00 /1a; 0f 00 /4a; 0f 00 /5a; 0f 01 /0m; 0f 01 /1m; 0f 01 /4; 0f 02-03 /ra; 0f 01 ee; 0f 77; @64 f3 W 0f ae c0;"
	  "@64 f3 W 0f ae c8; @32 62 /rm; 0f 0e; *2 0f 0f c1 9e; 0f 01 d5" },

	{ "undefined on purpose", "0f 0b; 0f b9 /r; 0f ff /r" },
	{ "FMA4", "V66.3w 5c-5f /ra; V66.3w 68-6f /ra; V66.3w 78-7f /ra" },

	/* refused */
	{ "system calls", "0f 05; 0f 34", EOPNOTSUPP },
	{ "interrupts", "cc; cd; cf; f1; @32 ce; @64 48 cf", EOPNOTSUPP },
	{ "privileged instructions", "f4; fa; fb; 0f 06; 0f 08; 0f 09; 0f 30; 0f 32; 0f 35; 0f 20-23 /rR; 0f 00 /2; 0f 00 /3;"
	  "0f 01 /2m; 0f 01 /3m; 0f 01 /6; 0f 01 /7m; 0f 01 d1; 0f 01 f8; 0f c7 /6m; 0f c7 /3m; 0f 78-79 /r; 0f aa;"
	  "66 0f 38 80-82 /rm; @64 0f 07", EOPNOTSUPP },
	{ "ports", "6c-6f; e4-e7; ec-ef; f3 6c-6f; 66 ed", EOPNOTSUPP },
	{ "far branches", "ca; cb; ff /3m; ff /5m; @32 9a; @32 ea; @64 48 cb; @64 48 ff /5m", EOPNOTSUPP },
	{ "loads of the stack segment", "8e /2; @32 17", EOPNOTSUPP },
	{ "transactions and hypervisors", "c7 f8; 66 c7 f8; 0f 01 c1; 0f 01 d4; 0f 01 d9; 0f 01 d7", EOPNOTSUPP },
	{ "branches with an operand size prefix", "66 e8-e9; 66 eb; 66 70-7f; 66 0f 80-8f; 66 ff /2; 66 ff /4; 66 e0-e3", EOPNOTSUPP },
	{ "no instructions", "f0 e8-e9; f0 eb; f0 70-7f; f0 ff /4R; ff /7; fe /2; 0f 04; 0f 0a; 0f 36; @64 06-07; @64 0e; @64 16-17;"
	  "@64 27; @64 2f; @64 60-61; @64 82 /r; @64 9a; @64 ce; @64 d4; @64 ea", EILSEQ },
};

/*
 * There are no gathers in 32-bit code and no scalars with VEX.L: QEMU 7.2 doesn't come out of the former and aborts at
 * some of the latter, probed or not.
 */

/* What a library may have that is refused; everything else there can be probed. */
static bool may_be_refused(const u8 *bytes, size_t len)
{
	static const struct {
		u8 len;
		u8 bytes[2];
	} refused[] = {
		{ 2, { 0x0f, 0x05 } }, { 1, { 0xf4 } }, { 1, { 0xcd } },
		{ 2, { 0xc7, 0xf8 } }, { 2, { 0x0f, 0x34 } },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(refused); i++)
		if (len >= refused[i].len && !memcmp(bytes, refused[i].bytes, refused[i].len))
			return true;
	return false;
}

/* ---- patterns ----------------------------------------------------------- */

struct maker {
	found_fn	found;
	unsigned int	source;
	u8		bytes[32];
};

static void expand(struct maker *m, const char *at, unsigned int len);

static const char *next_word(const char *at)
{
	while (*at && *at != ' ' && *at != ';')
		at++;
	return at;
}

static void expand_vex(struct maker *m, const char *at, unsigned int len)
{
	static const char *const names[] = { "00", "66", "F3", "F2" };
	u8 *vex = m->bytes + len, pp = 0, more = 0;
	const char *end = next_word(at), *letter;

	while (strncmp(at + 1, names[pp], 2))
		pp++;
	vex[0] = 0xc4;
	vex[1] = (at[4] - '0') | (sizeof(long) == 8 ? draw() & 0xe0 : 0xe0);
	vex[2] = pp | (draw() & 0x7c);
	if (sizeof(long) == 4)
		vex[2] |= 0x40;
	for (letter = at + 5; letter < end; letter++) {
		if (*letter == 'x')
			vex[2] &= ~0x04;
		else if (*letter == 'y')
			vex[2] |= 0x04;
		else if (*letter == 'n')
			vex[2] |= 0x78;
		else if (*letter == 'w')
			more = draw() & 0x80;
	}
	vex[2] |= more;
	expand(m, end, len + 3);
}

enum { FORM_REGISTER, FORM_BASE, FORM_BASE_8, FORM_BASE_32, FORM_SIB, FORM_SIB_8, FORM_NO_BASE, FORM_NO_REG, NR_FORMS,
       FORM_VECTOR };

static unsigned int put_modrm(u8 *to, unsigned int form, unsigned int reg)
{
	static const u8 mods[] = { 0xc0, 0x00, 0x40, 0x80, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00 };
	u8 rm = draw() & 7, sib = draw();

	to[0] = mods[form] | reg << 3;
	switch (form) {
	case FORM_BASE:
		if ((rm & 6) == 4)
			rm = 7;
		break;
	case FORM_NO_REG:
		rm = 5;
		break;
	case FORM_SIB:
	case FORM_SIB_8:
	case FORM_VECTOR:
		rm = 4;
		break;
	case FORM_NO_BASE:
		rm = 4;
		sib = (sib & 0xf8) | 5;
		break;
	}
	to[0] |= rm;
	to[1] = sib;
	if (form == FORM_REGISTER || (rm != 4 && form != FORM_SIB))
		return 1;
	return 2;
}

static void expand_form(struct maker *m, const char *at, unsigned int len, unsigned int form, unsigned int reg)
{
	unsigned int n = put_modrm(m->bytes + len, form, reg < 8 ? reg : draw() & 7);

	/* displacements are behind it by chance, as immediates are */
	fill(m->bytes + len + n, 8);
	expand(m, at, len + n);
}

static void expand_forms(struct maker *m, const char *at, unsigned int len, char kind, unsigned int reg)
{
	unsigned int form;

	if (kind == 'v')
		expand_form(m, at, len, FORM_VECTOR, reg);
	if (kind == 's' || kind == 'a')
		expand_form(m, at, len, FORM_BASE + draw() % (NR_FORMS - FORM_BASE), reg);
	if (kind != 's' && kind != 'v' && kind != 'm')
		expand_form(m, at, len, FORM_REGISTER, reg);
	for (form = FORM_BASE; form < NR_FORMS && (kind == 'm' || kind == ' '); form++)
		expand_form(m, at, len, form, reg);
}

static void expand_modrm(struct maker *m, const char *at, unsigned int len)
{
	const char *end = next_word(at);
	char kind = end > at + 2 ? at[2] : ' ';
	unsigned int reg;

	if (at[1] != 'x')
		return expand_forms(m, end, len, kind, at[1] == 'r' ? 8 : at[1] - '0');
	for (reg = 0; reg < 8; reg++)
		expand_forms(m, end, len, kind, reg);
}

static void expand_rex(struct maker *m, const char *at, unsigned int len)
{
	u64 choice = draw();

	if (sizeof(long) == 8 && choice % 3) {
		m->bytes[len] = (choice % 3 == 1 ? 0x48 : 0x40) | (choice >> 32 & 7);
		len++;
	}
	expand(m, at + 1, len);
}

static void expand_byte(struct maker *m, const char *at, unsigned int len)
{
	char *end;
	unsigned long first = strtoul(at, &end, 16), last = first, byte;

	if (*end == '?') {
		m->bytes[len] = first;
		return expand(m, end + 1, len + (draw() & 1));
	}
	if (*end == '-')
		last = strtoul(end + 1, &end, 16);
	if (end == at || end != next_word(end) || last < first || last > 255)
		note("bad pattern: %s", at);
	must(end > at && end == next_word(end) && last >= first && last < 256);
	for (byte = first; byte <= last; byte++) {
		m->bytes[len] = byte;
		expand(m, end, len + 1);
	}
}

static void expand(struct maker *m, const char *at, unsigned int len)
{
	unsigned long times;
	char *end;

	while (*at == ' ')
		at++;
	switch (*at) {
	case ';':
	case '\0':
		fill(m->bytes + len, 16);
		return m->found(m->bytes, 15, m->source);
	case '@':
		if (strtoul(at + 1, NULL, 10) == 8 * sizeof(long))
			expand(m, at + 3, len);
		return;
	case '*':
		times = strtoul(at + 1, &end, 10);
		while (times--)
			expand(m, end, len);
		return;
	case '/':
		return expand_modrm(m, at, len);
	case 'V':
		return expand_vex(m, at, len);
	case 'W':
		return expand_rex(m, at, len);
	default:
		return expand_byte(m, at, len);
	}
}

static void make_family(const struct family *family, found_fn found, unsigned int source)
{
	struct maker maker = { .found = found, .source = source };
	const char *at = family->patterns;

	do {
		expand(&maker, at, 0);
		at = strchr(at, ';');
	} while (at && *++at);
}

#endif /* UPROBES_INSTRUCTIONS_GENERATED_H */
