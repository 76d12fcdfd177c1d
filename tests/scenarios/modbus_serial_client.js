// A client of npm's modbus-serial: node modbus_serial_client.js PORT [SETPOINT_HUNDREDTHS_KW]
// Prints the battery's input registers 100..105 and, after a write of the setpoint, its registers 40..41 as JSON.
const ModbusRTU = require("modbus-serial");

async function main(port, setpoint) {
  const client = new ModbusRTU();
  await client.connectTCP("127.0.0.1", { port });
  client.setID(1);
  client.setTimeout(20000);
  const inputs = (await client.readInputRegisters(100, 6)).data;
  if (setpoint !== undefined) {
    await client.writeRegisters(40, [setpoint & 0xffff, (setpoint >> 16) & 0xffff]);
  }
  const holding = (await client.readHoldingRegisters(40, 2)).data;
  console.log(JSON.stringify({ inputs, holding }));
  client.close(() => {});
}

main(Number(process.argv[2]), process.argv[3] === undefined ? undefined : Number(process.argv[3]));
