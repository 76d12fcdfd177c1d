"""Real Modbus traffic from captures, decoded by our client's parts, against the log that CISA publishes with it.

Every frame goes through the framer and the decoder that our links use, registers through the codec of register maps.
The reads and writes that a link makes must come out as in the log of `icsnpp-modbus`, value for value; captures with
faulty and foreign traffic, from Zeek's tests, must end in an orderly refusal and in nothing else.

    .venv/bin/python benchmarks/modbus_captures.py
"""

from __future__ import annotations

import csv
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dpkt
import repository_root  # noqa: F401
from measured_data import measured
from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU

from twin.telemetry.map_codec import decode
from twin.telemetry.map_schema import Field

logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
FOLDER = "integrators/modbus_pcap"
WITH_LOG = "icsnpp_modbus_example"
FOREIGN = ("zeek_modbus-and-non-modbus-p502", "zeek_modbus-eit", "zeek_modbusSmall")
OURS = {
    "READ_COILS": 1,
    "READ_DISCRETE_INPUTS": 2,
    "READ_HOLDING_REGISTERS": 3,
    "READ_INPUT_REGISTERS": 4,
    "WRITE_SINGLE_COIL": 5,
    "WRITE_SINGLE_REGISTER": 6,
    "WRITE_MULTIPLE_COILS": 15,
    "WRITE_MULTIPLE_REGISTERS": 16,
}
"""The functions that a link uses, as the log names them."""
ILLEGAL_ADDRESS = 2


@dataclass(frozen=True)
class Segment:
    """What one TCP segment carried, and whether to a server."""

    line: tuple[Any, ...]
    to_server: bool
    data: bytes


@dataclass
class Tally:
    """How many frames came out how."""

    decoded: int = 0
    refused: int = 0
    left_over_bytes: int = 0
    crashes: int = 0


def segments(path: Path) -> Iterator[Segment]:
    with path.open("rb") as file:
        for _, packet in dpkt.pcap.Reader(file):
            network = dpkt.ethernet.Ethernet(packet).data
            if not isinstance(network, dpkt.ip.IP) or not isinstance(network.data, dpkt.tcp.TCP):
                continue
            tcp = network.data
            if tcp.data:
                ends = sorted(((network.src, tcp.sport), (network.dst, tcp.dport)))
                yield Segment((ends[0], ends[1]), tcp.dport == 502, bytes(tcp.data))


def frames(path: Path, tally: Tally) -> Iterator[tuple[tuple[Any, ...], bool, ModbusPDU]]:
    """Every frame of a capture that our decoder takes."""
    framers = {side: FramerSocket(DecodePDU(side)) for side in (True, False)}
    for segment in segments(path):
        rest = segment.data
        while rest:
            try:
                used, pdu = framers[segment.to_server].handleFrame(rest, 0, 0)
            except ModbusException:
                tally.refused += 1
                break
            except Exception as error:
                print(f"{path.name}: {error!r} at {rest.hex()}")
                tally.crashes += 1
                break
            if not used:
                tally.left_over_bytes += len(rest)
                break
            rest = rest[used:]
            if pdu is not None:
                tally.decoded += 1
                yield segment.line, segment.to_server, pdu


def told(path: Path) -> dict[tuple[str, int], dict[str, str]]:
    """(client's port, transaction) → what the log says of the exchanges that a link makes."""
    lines = path.read_text(encoding="utf-8").splitlines()
    names = next(line for line in lines if line.startswith("#fields")).split("\t")[1:]
    rows = csv.DictReader((line for line in lines if not line.startswith("#")), names, delimiter="\t")
    return {(row["id.orig_p"], int(row["tid"])): row for row in rows if row["func"] in OURS}


def words(registers: list[int]) -> list[int]:
    """The content of registers through the codec of register maps."""
    field = Field(table="holding", address=0, type="uint16")
    return [int(decode(field, [register]) or 0) for register in registers]


def values(pdu: ModbusPDU, quantity: int) -> list[int]:
    return words(pdu.registers) if pdu.registers else [int(bit) for bit in pdu.bits[:quantity]]


def differences(request: ModbusPDU, reply: ModbusPDU, row: dict[str, str]) -> list[str]:
    """Where one exchange is not as the log has it."""
    quantity = int(row["quantity"])
    expected = {
        "function": (request.function_code, OURS[row["func"]]),
        "unit": (request.dev_id, int(row["unit"])),
        "address": (request.address, int(row["address"])),
        "quantity": (request.count or 1, quantity),
    }
    if row["exception_code"] == "ILLEGAL_DATA_ADDRESS":
        code = reply.exception_code if isinstance(reply, ExceptionResponse) else None
        expected["exception"] = (code, ILLEGAL_ADDRESS)
    for side, pdu in (("request", request), ("response", reply)):
        text = row[f"{side}_values"]
        if text != "-":
            expected[f"{side} values"] = (values(pdu, quantity), [int(value) for value in text.split(",")])  # type: ignore[assignment]
    return [f"{name}: {ours}, not {theirs}" for name, (ours, theirs) in expected.items() if ours != theirs]


def compared(tally: Tally) -> tuple[int, list[str]]:
    """How many exchanges of the log were compared, and what differs."""
    log = told(measured(f"{FOLDER}/{WITH_LOG}.expected_detailed.log"))
    asked: dict[tuple[Any, int], ModbusPDU] = {}
    wrong: list[str] = []
    seen: set[tuple[str, int]] = set()
    for line, to_server, pdu in frames(measured(f"{FOLDER}/{WITH_LOG}.pcap"), tally):
        if to_server:
            asked[line, pdu.transaction_id] = pdu
            continue
        request = asked.get((line, pdu.transaction_id))
        port = next(str(end[1]) for end in line if end[1] != 502)
        row = log.get((port, pdu.transaction_id))
        if request is not None and row is not None:
            seen.add((port, pdu.transaction_id))
            wrong += [f"{row['func']} {pdu.transaction_id}: {text}" for text in differences(request, pdu, row)]
    wrong += [f"{log[key]['func']} {key[1]}: not found in the capture" for key in log.keys() - seen]
    return len(seen), wrong


def main() -> None:
    tally = Tally()
    count, wrong = compared(tally)
    print("| capture | frames decoded | refused in order | left over, bytes | crashes |\n|---|---|---|---|---|")
    crashes = tally.crashes
    print(f"| {WITH_LOG} | {tally.decoded} | {tally.refused} | {tally.left_over_bytes} | {tally.crashes} |")
    for name in FOREIGN:
        own = Tally()
        list(frames(measured(f"{FOLDER}/{name}.pcap"), own))
        crashes += own.crashes
        print(f"| {name} | {own.decoded} | {own.refused} | {own.left_over_bytes} | {own.crashes} |")
    print(f"\n{count} exchanges compared with the published log, {len(wrong)} differences")
    for text in wrong:
        print(f"  {text}")
    sys.exit(1 if wrong or crashes or not count else 0)


if __name__ == "__main__":
    main()
