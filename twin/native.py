"""A tape as machine code: through LLVM, in vectors over the scenarios.

Numbers of one run stand in a table of rows, one for each input, output and whatever one stretch of code hands to the
next; its columns are the scenarios. Code is as exact as Python's own arithmetic, operation by operation: nothing is
reordered, contracted or approximated, so that one scenario and many give the same bits.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np

from twin.tape import CONSTANT, INPUT, RESULT, Rows, Tape

LONGEST = 400
"""Operations in one stretch of code."""
LANES = 8
"""Scenarios in one vector: a cache line, and one or two registers of today's processors."""
OPERATION = {
    "add": "fadd {type} {0}, {1}",
    "sub": "fsub {type} {0}, {1}",
    "mul": "fmul {type} {0}, {1}",
    "div": "fdiv {type} {0}, {1}",
    "neg": "fneg {type} {0}",
    "abs": "call {type} @llvm.fabs.{suffix}({type} {0})",
    "sqrt": "call {type} @llvm.sqrt.{suffix}({type} {0})",
    "exp": "call {type} @llvm.exp.{suffix}({type} {0})",
    "log": "call {type} @llvm.log.{suffix}({type} {0})",
    "pow": "call {type} @llvm.pow.{suffix}({type} {0}, {type} {1})",
    "lt": "fcmp olt {type} {0}, {1}",
    "le": "fcmp ole {type} {0}, {1}",
    "gt": "fcmp ogt {type} {0}, {1}",
    "ge": "fcmp oge {type} {0}, {1}",
    "eq": "fcmp oeq {type} {0}, {1}",
    "ne": "fcmp une {type} {0}, {1}",
    "and": "and {flag} {0}, {1}",
    "or": "or {flag} {0}, {1}",
    "xor": "xor {flag} {0}, {1}",
    "where": "select {flag} {0}, {type} {1}, {type} {2}",
}
"""Of each kind of node but the compound ones, in LLVM's own language."""
COMPOUND = {
    "min": (("lt", 0, 1), ("where", -1, 0, 1)),
    "max": (("gt", 0, 1), ("where", -1, 0, 1)),
}
"""As Python's own `a if a < b else b`: the comparison, and the choice by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Neighbouring rows of the table."""

    first: int
    rows: int

    @property
    def slice(self) -> slice:
        return slice(self.first, self.first + self.rows)


class Machine:
    """One recording, ready to be run again and again on `table`."""

    def __init__(self, tape: Tape, outputs: Sequence[Any], scenarios: int) -> None:
        """`outputs` are symbols or plain numbers; after each run they stand in the rows of `outputs`."""
        lanes = 1 if scenarios == 1 else LANES
        columns = -(-scenarios // lanes) * lanes
        program = _Program(tape, [tape.number(value) for value in outputs])
        self.inputs, self.outputs = program.inputs, program.outputs
        self._padded: Rows = np.zeros((program.rows, columns))
        self.table = self._padded[:, :scenarios]
        """``(rows, scenarios)``."""
        self._library = _Library(_text(program, columns, lanes))
        address = ctypes.c_void_p(self._padded.ctypes.data)
        self.parts = tuple(self._part_after_part(program, address))
        """Stretches of machine code, with the calls between them."""

    def _part_after_part(self, program: _Program, address: ctypes.c_void_p) -> Iterator[Callable[[], None]]:
        for number, stretch in enumerate(program.stretches):
            yield partial(self._library.function(f"part_{number}"), address)
            if stretch.then_call is not None:
                called = stretch.then_call
                given, made = self.table[program.given[called].slice], self.table[program.made[called].slice]
                yield partial(program.tape.calls[called].function, given, made)

    def run(self) -> None:
        """From the rows of `inputs` to those of `outputs`."""
        for part in self.parts:
            part()


@dataclass(slots=True, kw_only=True)
class _Stretch:
    """Nodes that are worked out without a call between them, and what is stored where."""

    work: list[int]
    stores: list[tuple[int, int]] = field(default_factory=list)
    then_call: int | None = None


class _Program:
    """What of a tape is needed, in which stretches, and where its numbers stand."""

    def __init__(self, tape: Tape, outputs: Sequence[int]) -> None:
        self.tape, self.output_nodes = tape, outputs
        self.needed = needed_by(tape, outputs)
        self.rows = 0
        self.inputs, self.outputs = self._block(tape.inputs), self._block(len(outputs))
        self.given = [self._block(len(call.inputs)) for call in tape.calls]
        self.made = [self._block(call.outputs) for call in tape.calls]
        self.row_of = {node: self._row(node) for node in self.needed if self._stands_in_table(node)}
        self.stretches = list(self._cut())
        self._hand_on()

    def _block(self, rows: int) -> Block:
        block = Block(first=self.rows, rows=rows)
        self.rows += rows
        return block

    def _stands_in_table(self, node: int) -> bool:
        return self.tape.nodes[node].op in {INPUT, RESULT}

    def _row(self, node: int) -> int:
        op, operands = self.tape.nodes[node].op, self.tape.nodes[node].operands
        return self.inputs.first + operands[0] if op == INPUT else self.made[operands[0]].first + operands[1]

    def _cut(self) -> Iterator[_Stretch]:
        """A stretch ends at a call, and where it has become long: compilers take the square of it."""
        work: list[list[int]] = [[] for _ in range(len(self.tape.calls) + 1)]
        for node in sorted(self.needed):
            if not self._stands_in_table(node) and self.tape.nodes[node].op != CONSTANT:
                work[self.tape.stages[node]].append(node)
        for stage, nodes in enumerate(work):
            pieces = [nodes[first : first + LONGEST] for first in range(0, len(nodes), LONGEST)] or [[]]
            yield from (_Stretch(work=piece) for piece in pieces[:-1])
            called = stage if stage < len(self.tape.calls) else None
            block, stored = self._given_or_outputs(called)
            stores = [(node, block.first + place) for place, node in enumerate(stored)]
            yield _Stretch(work=pieces[-1], stores=stores, then_call=called)

    def _given_or_outputs(self, called: int | None) -> tuple[Block, Sequence[int]]:
        if called is None:
            return self.outputs, self.output_nodes
        return self.given[called], self.tape.calls[called].inputs

    def _hand_on(self) -> None:
        """What one stretch makes and a later one uses gets a row of its own."""
        made_in = {node: stretch for stretch in self.stretches for node in stretch.work}
        for stretch in self.stretches:
            operands = [operand for node in stretch.work for operand in self.tape.nodes[node].operands]
            for node in (*operands, *(node for node, _ in stretch.stores)):
                maker = made_in.get(node)
                if maker is not None and maker is not stretch and node not in self.row_of:
                    self.row_of[node] = self._block(1).first
                    maker.stores.append((node, self.row_of[node]))


def needed_by(tape: Tape, outputs: Sequence[int]) -> set[int]:
    """Everything that the outputs and the calls follow from."""
    needed, open_nodes = set[int](), [*outputs, *(node for call in tape.calls for node in call.inputs)]
    while open_nodes:
        node = open_nodes.pop()
        if node not in needed:
            needed.add(node)
            if tape.nodes[node].op not in {INPUT, RESULT}:
                open_nodes.extend(tape.nodes[node].operands)
    return needed


def _text(program: _Program, columns: int, lanes: int) -> str:
    kinds = "double" if lanes == 1 else f"<{lanes} x double>", "i1" if lanes == 1 else f"<{lanes} x i1>"
    suffix = "f64" if lanes == 1 else f"v{lanes}f64"
    head = [
        f"declare {kinds[0]} @llvm.{name}.{suffix}({', '.join([kinds[0]] * count)})"
        for name, count in (("fabs", 1), ("sqrt", 1), ("exp", 1), ("log", 1), ("pow", 2))
    ]
    parts = [_Part(program, number, columns, kinds, suffix).text(lanes) for number in range(len(program.stretches))]
    return "\n".join([*head, *parts])


class _Part:
    """One stretch of code, in LLVM's own language: a loop over the scenarios, some at a time."""

    def __init__(self, program: _Program, number: int, columns: int, kinds: tuple[str, str], suffix: str) -> None:
        self._program, self._tape, self._number, self._columns = program, program.tape, number, columns
        self._type, self._flag = kinds
        self._suffix = suffix
        self._lines: list[str] = []
        self._known: dict[int, str] = {}

    def text(self, lanes: int) -> str:
        stretch = self._program.stretches[self._number]
        for node in stretch.work:
            self._known[node] = self._work_out(node)
        for node, row in stretch.stores:
            self._store(node, row)
        body = "\n  ".join(self._lines)
        return (
            f"define void @part_{self._number}(ptr %table) {{\nentry:\n  br label %loop\nloop:\n"
            f"  %k = phi i64 [0, %entry], [%next, %loop]\n  {body}\n"
            f"  %next = add i64 %k, {lanes}\n  %more = icmp ult i64 %next, {self._columns}\n"
            "  br i1 %more, label %loop, label %done\ndone:\n  ret void\n}\n"
        )

    def _name(self, text: str) -> str:
        name = f"%v{len(self._lines)}"
        self._lines.append(f"{name} = {text}")
        return name

    def _work_out(self, node: int) -> str:
        op = self._tape.nodes[node].op
        operands = [self._operand(each) for each in self._tape.nodes[node].operands]
        if op == "where" and not self._tape.is_flag(self._tape.nodes[node].operands[0]):
            raise TypeError("where: its condition is a number")
        if op == "not":
            return self._name(f"xor {self._flag} {operands[0]}, {'true' if self._flag == 'i1' else 'splat (i1 true)'}")
        if op == "finite":
            # Less than infinite, whatever its sign: nan is not, either.
            size = self._format("abs", operands)
            return self._name(f"fcmp olt {self._type} {size}, {self._constant(float('inf'))}")
        made: list[str] = []
        for name, *places in COMPOUND.get(op, ((op, *range(len(operands))),)):
            made.append(self._format(name, [made[-1] if place < 0 else operands[place] for place in places]))
        return made[-1]

    def _format(self, op: str, operands: Sequence[str]) -> str:
        return self._name(OPERATION[op].format(*operands, type=self._type, flag=self._flag, suffix=self._suffix))

    def _operand(self, node: int) -> str:
        """Its name in this stretch: worked out here, a constant, or read from the table."""
        known = self._known.get(node)
        if known is None:
            if self._tape.nodes[node].op == CONSTANT:
                return self._constant(self._tape.nodes[node].value)
            known = self._load(self._program.row_of[node])
            if self._tape.is_flag(node):
                known = self._name(f"fcmp une {self._type} {known}, {self._constant(0.0)}")
            self._known[node] = known
        return known

    def _constant(self, value: float) -> str:
        bits = f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
        return bits if self._type == "double" else f"splat (double {bits})"

    def _place(self, row: int) -> str:
        place = self._name(f"add i64 %k, {row * self._columns}")
        return self._name(f"getelementptr inbounds double, ptr %table, i64 {place}")

    def _load(self, row: int) -> str:
        return self._name(f"load {self._type}, ptr {self._place(row)}, align 8")

    def _store(self, node: int, row: int) -> None:
        value = self._operand(node)
        if self._tape.is_flag(node):
            value = self._name(f"uitofp {self._flag} {value} to {self._type}")
        self._lines.append(f"store {self._type} {value}, ptr {self._place(row)}, align 8")


class _Library:
    """Compiled code. It lives as long as this object."""

    def __init__(self, text: str) -> None:
        from llvmlite import binding as llvm

        target = _target()
        module = llvm.parse_assembly(text)
        builder = llvm.create_pass_builder(target, llvm.create_pipeline_tuning_options(speed_level=1))
        builder.getModulePassManager().run(module, builder)
        self._engine = llvm.create_mcjit_compiler(module, target)
        self._engine.finalize_object()

    def function(self, name: str) -> Callable[[ctypes.c_void_p], None]:
        prototype = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
        function: Callable[[ctypes.c_void_p], None] = prototype(self._engine.get_function_address(name))
        return function


@cache
def _started() -> None:
    from llvmlite import binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _target() -> Any:
    from llvmlite import binding as llvm

    _started()
    features = llvm.get_host_cpu_features().flatten()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=1, jit=True
    )
