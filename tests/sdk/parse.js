// Reads base64 bodies, one a line; says how JSON.parse reads each: {"value": …} or {"error": …}, one a line.
// Bytes become text the way servers do it: UTF-8, and what is no UTF-8 is replaced.
"use strict";
const lines = require("node:fs").readFileSync(0, "latin1").split("\n").filter((line) => line !== "-");
if (lines[lines.length - 1] === "") lines.pop();
for (const line of lines) {
  let said;
  try {
    said = { value: JSON.parse(Buffer.from(line, "base64").toString("utf8")) };
  } catch (error) {
    said = { error: String(error.name) };
  }
  process.stdout.write(JSON.stringify(said) + "\n");
}
