"""A server of modbus-tk, run in its own environment: `python modbus_tk_server.py tcp PORT | rtu SERIAL_PORT`.

Unit 1 is a battery as `battery_inverter.yaml` has it: 12.34 kW in, 43.21 % full, no reactive power, no voltage.
"""

import sys

from modbus_tk import defines, modbus_rtu, modbus_tcp

INPUTS = [0xFB2E, 0xFFFF, 0, 0x8000, 4321, 0xFFFF]


def main() -> None:
    kind, where = sys.argv[1:]
    if kind == "tcp":
        server = modbus_tcp.TcpServer(port=int(where), address="127.0.0.1")
    else:
        import serial

        server = modbus_rtu.RtuServer(serial.Serial(where, 19200, parity="N"))
    unit = server.add_slave(1)
    unit.add_block("inputs", defines.ANALOG_INPUTS, 100, len(INPUTS))
    unit.add_block("holding", defines.HOLDING_REGISTERS, 40, 3)
    unit.set_values("inputs", 100, INPUTS)
    server.start()
    for command in sys.stdin:
        assert command.strip() == "holding"
        print(*unit.get_values("holding", 40, 3), flush=True)
    server.stop()


if __name__ == "__main__":
    main()
