# SPDX-License-Identifier: GPL-2.0
"""What is in a recording of perf? Makes perf.data without a kernel, for tests of the reports.

The layout is that of tools/perf/Documentation/perf.data-file-format.txt and of perf_event_open(2); what
trace events look like is said by the kernel's tracefs format files. Both the seekable file and the stream
that `perf record -o -` writes can be made, in either byte order.
"""

import struct

TRACEPOINT = 2
SAMPLE_TYPE = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 16
SAMPLE_ID_ALL = 18

MMAP2, LOST, COMM, EXIT, FORK, SAMPLE, LOST_SAMPLES = 10, 2, 3, 4, 7, 9, 13
HEADER_ATTR, HEADER_TRACING_DATA, FINISHED_ROUND, HEADER_FEATURE = 64, 66, 68, 80
FEATURE_TRACING_DATA, FEATURE_HOSTNAME, FEATURE_CMDLINE = 1, 3, 11
MISC_USER, MISC_COMM_EXEC = 2, 1 << 13

COMMON_FIELDS = [("unsigned short", "common_type", 2, 0), ("unsigned char", "common_flags", 1, 0),
                 ("unsigned char", "common_preempt_count", 1, 0), ("int", "common_pid", 4, 1)]

HEADER_PAGE = b"""\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;
\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;
\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;
\tfield: char data;\toffset:16;\tsize:4080;\tsigned:1;
"""


def pad(data, size=8):
    """data, filled up with zeros to a multiple of size."""
    return data + bytes(-len(data) % size)


class Event:
    """A trace event: its name as SYSTEM:NAME and its fields as pairs (type, name), all 8 bytes wide."""

    def __init__(self, number, name, fields):
        self.number = number
        self.system, self.name = name.split(":")
        self.fields = fields

    def format(self):
        """The text of the event's format file."""
        lines, offset = [f"name: {self.name}", f"ID: {self.number}", "format:"], 0
        for kind, name, size, signed in COMMON_FIELDS + [(k, n, 8, 0) for k, n in self.fields]:
            lines.append(f"\tfield:{kind} {name};\toffset:{offset};\tsize:{size};\tsigned:{signed};")
            if name == "common_pid":
                lines.append("")
            offset += size
        shown = " ".join(f"{name}=%llu" for _, name in self.fields)
        read = "".join(f", REC->{name}" for _, name in self.fields)
        return "\n".join(lines + ["", f'print fmt: "{shown}"{read}', ""]).encode()


class Recording:
    """Everything that one perf record wrote. Records are kept in the order in which they are added."""

    def __init__(self, command=None, big_endian=False):
        self.order = ">" if big_endian else "<"
        self.command = command
        self.period = 1
        self.events = []
        self.records = []

    def pack(self, layout, *values):
        """struct.pack in the byte order of the recording."""
        return struct.pack(self.order + layout, *values)

    def record(self, kind, misc, body):
        """One record with its header."""
        return self.pack("IHH", kind, misc, 8 + len(body)) + body

    def add(self, kind, misc, body):
        """Appends a record."""
        self.records.append(self.record(kind, misc, body))

    def identity(self, pid, tid, time, event=None):
        """What sample_id_all adds to records that aren't samples."""
        return self.pack("IIQIIQ", pid, tid, time, 0, 0, (event or self.events[0]).number)

    # --- what may be recorded ---

    def event(self, name, *fields):
        """A new trace event."""
        self.events.append(Event(1000 + len(self.events), name, list(fields)))
        return self.events[-1]

    def return_event(self, name, latency=("u64", "lat")):
        """A new return event of a uprobe with a latency field."""
        return self.event(name, ("unsigned long", "__probe_func"), ("unsigned long", "__probe_ret_ip"), latency)

    def exec(self, pid, comm, time):
        """The process starts to run a program."""
        self.add(COMM, MISC_COMM_EXEC, self.pack("II16s", pid, pid, comm.encode()) + self.identity(pid, pid, time))

    def mmap(self, pid, path, address, length, time, offset=0):
        """The process maps a file for execution."""
        body = self.pack("IIQQQIIQQII", pid, pid, address, length, offset, 0, 0, 0, 0, 5, 2)
        self.add(MMAP2, MISC_USER, body + pad(path.encode() + b"\0") + self.identity(pid, pid, time))

    def fork(self, parent, pid, tid, time):
        """A new process, or a new thread if pid is the parent's."""
        self.add(FORK, 0, self.pack("IIIIQ", pid, parent, tid, parent, time) + self.identity(pid, tid, time))

    def exit(self, pid, time):
        """The process ends."""
        self.add(EXIT, 0, self.pack("IIIIQ", pid, pid, pid, pid, time) + self.identity(pid, pid, time))

    def sample(self, event, pid, tid, time, *values):
        """A trace event with the values of its fields."""
        raw = self.pack("HBBi", event.number, 0, 0, tid)
        raw += b"".join(self.pack("Q", value) for value in values)
        self.raw_sample(event, pid, tid, time, raw)

    def raw_sample(self, event, pid, tid, time, raw):
        """A trace event with any bytes for its fields."""
        raw = raw + bytes(-(len(raw) + 4) % 8)
        self.add(SAMPLE, MISC_USER, self.pack("QQIIQIIQI", event.number, 0x1000, pid, tid, time, 0, 0, 1, len(raw))
                 + raw)

    def lost(self, count, time):
        """The kernel found no room in a buffer, whatever the event."""
        self.add(LOST, 0, self.pack("QQ", 0, count) + self.identity(0, 0, time))

    def lost_samples(self, event, count):
        """perf record has read the counter of lost records of one event."""
        self.add(LOST_SAMPLES, 0, self.pack("Q", count) + self.identity(0, 0, 0, event))

    def finished_round(self):
        """Everything recorded later is not older than what came before the round."""
        self.add(FINISHED_ROUND, 0, b"")

    # --- how it is written ---

    def attribute(self, event):
        """struct perf_event_attr."""
        flags = 1 << (SAMPLE_ID_ALL if self.order == "<" else 63 - SAMPLE_ID_ALL)
        head = self.pack("IIQQQQQ", TRACEPOINT, 136, event.number, self.period, SAMPLE_TYPE, 0, flags)
        return head + bytes(136 - len(head))

    def tracing_data(self):
        """What trace-cmd's format says of the events: version 0.6."""
        data = b"\x17\x08\x44tracing0.6\0" + (b"\0" if self.order == "<" else b"\1") + b"\x08" + self.pack("I", 4096)
        for name, text in ((b"header_page\0", HEADER_PAGE), (b"header_event\0", b"")):
            data += name + self.pack("Q", len(text)) + text
        systems = sorted({event.system for event in self.events})
        data += self.pack("II", 0, len(systems))
        for system in systems:
            members = [event.format() for event in self.events if event.system == system]
            data += system.encode() + b"\0" + self.pack("I", len(members))
            data += b"".join(self.pack("Q", len(text)) + text for text in members)
        return data + self.pack("IIQ", 0, 0, 0)

    def string(self, text):
        """A string of a feature."""
        padded = pad(text.encode() + b"\0", 64)
        return self.pack("I", len(padded)) + padded

    def command_line(self):
        """The feature that holds the command line."""
        return self.pack("I", len(self.command)) + b"".join(self.string(word) for word in self.command)

    def stream(self):
        """As perf record -o - writes it."""
        parts = [self.pack("QQ", 0x32454c4946524550, 16)]
        for event in self.events:
            parts.append(self.record(HEADER_ATTR, 0, self.attribute(event) + self.pack("Q", event.number)))
        if self.command:
            body = pad(self.pack("Q", FEATURE_CMDLINE) + self.command_line())
            parts.append(self.record(HEADER_FEATURE, 0, body))
        tracing_data = pad(self.tracing_data())
        parts.append(self.record(HEADER_TRACING_DATA, 0, self.pack("II", len(tracing_data), 0)) + tracing_data)
        return b"".join(parts + self.records)

    def file(self):
        """As perf record writes it to a file."""
        ids_at, attrs_at = 104, 104 + 8 * len(self.events)
        data_at = attrs_at + (136 + 16) * len(self.events)
        ids = attrs = b""
        for number, event in enumerate(self.events):
            ids += self.pack("Q", event.number)
            attrs += self.attribute(event) + self.pack("QQ", ids_at + 8 * number, 8)
        data = b"".join(self.records)
        # Without a host name perf takes the other byte order for an old layout.
        features = {FEATURE_TRACING_DATA: self.tracing_data(), FEATURE_HOSTNAME: self.string("host")}
        if self.command:
            features[FEATURE_CMDLINE] = self.command_line()
        header = self.pack("QQQ", 0x32454c4946524550, 104, 136 + 16)
        header += self.pack("QQQQQQ", attrs_at, len(attrs), data_at, len(data), 0, 0)
        header += self.pack("QQQQ", sum(1 << number for number in features), 0, 0, 0)
        return header + ids + attrs + data + self.sections(data_at + len(data), features)

    def sections(self, start, features):
        """The table of features and the features."""
        table, texts, at = b"", b"", start + 16 * len(features)
        for number in sorted(features):
            table += self.pack("QQ", at, len(features[number]))
            texts += features[number]
            at += len(features[number])
        return table + texts
