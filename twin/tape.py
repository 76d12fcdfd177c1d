"""Arithmetic that is written down instead of done: the same objects, recorded once, then run as machine code.

A number in physics, rules, resolver and guard may be a float, an array over scenarios, or a `Symbol`. With symbols
nothing is computed: every operation is noted on a `Tape`. One cycle of the real objects leaves a tape that tells how
each number of the next instant follows from those of this one. `twin.native` turns it into machine code. There is no
second copy of the physics: what runs fast is what was recorded from the one that is read and tested.

What is recorded has to hold for every value, so a symbol cannot decide a branch: its truth value is refused, and
`any_true` of it is yes. What is done where a flag holds nowhere must therefore change nothing; arrays ask the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float64]
Function = Callable[[Rows, Rows], None]
"""Reads ``(inputs, scenarios)`` and fills ``(outputs, scenarios)``."""

FLAGS = frozenset({"lt", "le", "gt", "ge", "eq", "ne", "and", "or", "xor", "not", "finite"})
"""Operations whose result is true or false."""
INPUT, RESULT, CONSTANT = "input", "result", "constant"


@dataclass(frozen=True, slots=True)
class Node:
    """One operation. Equal ones are noted once."""

    op: str
    operands: tuple[int, ...] = ()
    """Numbers of the nodes it works on; of an `input` its position, of a `result` the call and its position."""
    value: float = 0.0
    """Of a `constant`."""


@dataclass(frozen=True, slots=True)
class Call:
    """What is no arithmetic, such as a power flow: done by `function` between two stretches of machine code."""

    function: Function
    inputs: tuple[int, ...]
    outputs: int


class Symbol:
    """A number, or a flag, that is not known yet."""

    __slots__ = ("_tape", "flag", "node")
    __array_ufunc__ = None
    """NumPy's numbers leave the arithmetic to this class."""

    def __init__(self, tape: Tape, node: int, *, flag: bool) -> None:
        self._tape, self.node, self.flag = tape, node, flag

    def __bool__(self) -> bool:
        raise TypeError("what is recorded holds for every value: no branch may depend on one (see twin.tape)")

    def __float__(self) -> float:
        """Not a number: words for people are made while recording, too, and read by nobody."""
        return float("nan")

    def apply(self, op: str, *operands: Any) -> Symbol:
        """The result of `op`, noted down."""
        return self._tape.note(op, *operands)

    def __add__(self, other: Any) -> Any:
        return self.apply("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return self.apply("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return self.apply("sub", self, other)

    def __rsub__(self, other: Any) -> Any:
        return self.apply("sub", other, self)

    def __mul__(self, other: Any) -> Any:
        return self.apply("mul", self, other)

    def __rmul__(self, other: Any) -> Any:
        return self.apply("mul", other, self)

    def __truediv__(self, other: Any) -> Any:
        return self.apply("div", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self.apply("div", other, self)

    def __pow__(self, other: Any) -> Any:
        return self.apply("pow", self, other)

    def __rpow__(self, other: Any) -> Any:
        return self.apply("pow", other, self)

    def __neg__(self) -> Any:
        return self.apply("neg", self)

    def __abs__(self) -> Any:
        return self.apply("abs", self)

    def __lt__(self, other: Any) -> Any:
        return self.apply("lt", self, other)

    def __le__(self, other: Any) -> Any:
        return self.apply("le", self, other)

    def __gt__(self, other: Any) -> Any:
        return self.apply("gt", self, other)

    def __ge__(self, other: Any) -> Any:
        return self.apply("ge", self, other)

    def __eq__(self, other: object) -> Any:
        return self.apply("eq", self, other)

    def __ne__(self, other: object) -> Any:
        return self.apply("ne", self, other)

    def __and__(self, other: Any) -> Any:
        return self._tape.both(self, other)

    __rand__ = __and__

    def __or__(self, other: Any) -> Any:
        return self._tape.either(self, other)

    __ror__ = __or__

    def __xor__(self, other: Any) -> Any:
        return self._tape.differing(self, other)

    __rxor__ = __xor__
    __hash__ = object.__hash__


class Tape:
    """Every operation of a recording, in order, each once."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.stages: list[int] = []
        """Of each node: the number of calls before it."""
        self.calls: list[Call] = []
        self.inputs = 0
        self._known: dict[Node, int] = {}

    def input(self) -> Symbol:
        """A number that is given before each run; counted in the order of asking."""
        self.inputs += 1
        return self._symbol(Node(INPUT, (self.inputs - 1,)))

    def call(self, function: Function, inputs: Sequence[Any], outputs: int) -> list[Symbol]:
        """Have `function` make `outputs` numbers of `inputs`. It runs once in each run, for all scenarios together."""
        number = len(self.calls)
        self.calls.append(Call(function, tuple(self.number(value) for value in inputs), outputs))
        return [self._symbol(Node(RESULT, (number, position))) for position in range(outputs)]

    def note(self, op: str, *operands: Any) -> Symbol:
        """`op` on symbols and plain numbers."""
        return self._symbol(Node(op, tuple(self.number(operand) for operand in operands)))

    def number(self, value: Any) -> int:
        """The node of a symbol, or of a constant."""
        if isinstance(value, Symbol):
            return value.node
        return self._place(Node(CONSTANT, value=float(value)))

    def both(self, one: Any, other: Any) -> Any:
        """One flag and another; a plain one decides it at once, or leaves it to the other."""
        for plain, left in ((one, other), (other, one)):
            if not isinstance(plain, Symbol):
                return left if plain else False
        return self.note("and", one, other)

    def either(self, one: Any, other: Any) -> Any:
        """One flag or another."""
        for plain, left in ((one, other), (other, one)):
            if not isinstance(plain, Symbol):
                return True if plain else left
        return self.note("or", one, other)

    def differing(self, one: Any, other: Any) -> Any:
        """One flag or another, and not both."""
        for plain, left in ((one, other), (other, one)):
            if not isinstance(plain, Symbol):
                return self.note("not", left) if plain else left
        return self.note("xor", one, other)

    def is_flag(self, node: int) -> bool:
        """Whether a node is true or false, and no number."""
        return self.nodes[node].op in FLAGS

    def _symbol(self, node: Node) -> Symbol:
        return Symbol(self, self._place(node), flag=node.op in FLAGS)

    def _place(self, node: Node) -> int:
        place = self._known.get(node)
        if place is None:
            place = self._known[node] = len(self.nodes)
            self.nodes.append(node)
            self.stages.append(len(self.calls))
        return place


def symbolic(*values: object) -> bool:
    """Whether one of them is a symbol, so that arithmetic with it is recorded."""
    return any(isinstance(value, Symbol) for value in values)


def where(condition: Any, yes: Any, no: Any) -> Any:
    """`yes` where `condition` holds, `no` elsewhere."""
    if not isinstance(condition, Symbol):
        return yes if condition else no
    return yes if yes is no else condition.apply("where", condition, yes, no)


def apply(op: str, *operands: Any) -> Any:
    """`op`, noted on the tape of whichever operand is a symbol."""
    return next(item for item in operands if isinstance(item, Symbol)).apply(op, *operands)
