// The JavaScript SDKs against the gateway: `node main.js [CLIENT…]`. One line a test, `ok` or `not ok`; the exit code says the rest.
// WEIR_URL is the gateway with /v1, WEIR_KEY a key of its, WEIR_PROVIDERS the providers (models are `<provider>-<script>`),
// WEIR_JS the folder whose node_modules has the packages.
"use strict";

const assert = require("node:assert/strict");
const { clients } = require("./clients.js");

const CITY = { city: "Zürich", days: 2 };
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const REASONING = "The user wants to know; so let me see.";

// Each gets a client and the name of a provider. Those of `both` run twice: whole and streamed.
const both = {
  async chat(client, provider, stream) {
    const said = await client.ask(`${provider}-echo`, [client.user("hello")], { stream });
    assert.deepEqual(JSON.parse(said.text).turns, [["user", "hello"]]);
    assert.equal(said.finish, "stop");
    assert.deepEqual([said.input, said.output], [20, 10]);
  },

  async "a tool loop"(client, provider, stream) {
    const [asked, said] = await loop(client, `${provider}-tools`, ["rain"], { stream });
    assert.deepEqual(asked.calls.map((call) => [call.name, call.args]), [["get_weather", CITY]]);
    assert.equal(said.text, "The tools say: get_weather: rain");
  },

  async "parallel tools"(client, provider, stream) {
    const [asked, said] = await loop(client, `${provider}-parallel`, ["sun", "rain", "noon"], { stream });
    const wanted = [["get_weather", CITY], ["get_weather", { city: "Oslo", days: 3 }], ["get_time", { zone: "Europe/Oslo" }]];
    assert.deepEqual(asked.calls.map((call) => [call.name, call.args]), wanted);
    assert.equal(said.text, "The tools say: get_weather: sun; get_weather: rain; get_time: noon");
  },

  async "a call without arguments"(client, provider, stream) {
    const [asked, said] = await loop(client, `${provider}-noargs`, ["noon"], { stream });
    assert.deepEqual(asked.calls.map((call) => [call.name, call.args]), [["get_time", {}]]);
    assert.equal(said.text, "The tools say: get_time: noon");
  },

  async "structured output"(client, provider, stream) {
    const said = await client.ask(`${provider}-json`, [client.user("hello")], { stream, form: true });
    assert.deepEqual(Object.keys(said.object).sort(), ["city", "mood", "tags", "wet"]);
    assert.equal(said.object.mood.name, "calm");
  },

  async "a picture"(client, provider, stream) {
    const said = await client.ask(`${provider}-vision`, [client.user("What is it?", PNG)], { stream });
    assert.equal(said.text, `I see: image/png ${Buffer.from(PNG, "base64").length}`);
  },

  async "a loop with thinking"(client, provider, stream) {
    const [asked, said] = await loop(client, `${provider}-think`, ["rain"], { stream, thinks: true });
    assert.equal(said.text, "The tools say: get_weather: rain");
    if (provider !== "chat" && client.shows) assert.equal(asked.thinking, REASONING);
  },

  async "a limit, a bad request, and a server in trouble"(client, provider, stream) {
    for (const [status, kind] of [[429, client.RateLimit], [400, client.BadRequest], [500, client.Server]]) {
      const error = await caught(() => client.ask(`${provider}-error-${status}`, [client.user("hello")], { stream }));
      assert.ok(error instanceof kind, `${status} became ${error}`);
      if (status < 500) assert.equal(client.status(error), status);
      else assert.ok(client.status(error) >= 500);
      // What is left of the seven seconds, if another client was told of them before.
      if (status === 429) assert.match(client.headers(error)["retry-after"], /^[1-7]$/);
    }
  },

  async cancel(client, provider, stream) {
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 400);
    const began = Date.now();
    await caught(() => client.ask(`${provider}-slow`, [client.user("hello")], { stream, signal: abort.signal }));
    assert.ok(Date.now() - began < 3000, "the client did not stop");
  },
};

const streamed = {
  async "an error in the middle"(client, provider) {
    await caught(() => client.ask(`${provider}-error-mid`, [client.user("hello")], { stream: true }));
  },

  async "a stream that ends too early"(client, provider) {
    await caught(() => client.ask(`${provider}-cut`, [client.user("hello")], { stream: true }));
  },
};

async function loop(client, model, results, options) {
  const talk = [client.user("What is it like?")];
  const asked = await client.ask(model, talk, { ...options, tools: true });
  assert.equal(asked.calls.length, results.length);
  const pairs = asked.calls.map((call, index) => [call, results[index]]);
  const said = await client.ask(model, [...talk, ...client.past(asked), ...client.results(pairs)], { ...options, tools: true });
  return [asked, said];
}

async function caught(method) {
  let said;
  try {
    said = await method();
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: `nothing was thrown, but ${JSON.stringify(said?.text)} was said` });
}

async function main(names) {
  let failed = 0;
  const providers = process.env.WEIR_PROVIDERS.split(",");
  const made = clients(process.env.WEIR_URL, process.env.WEIR_KEY).filter((client) => !names.length || names.includes(client.name));
  const tests = Object.entries(both).flatMap(([title, method]) => [[title, method, false], [`${title}, streamed`, method, true]]);
  for (const [title, method] of Object.entries(streamed)) tests.push([`${title}, streamed`, method, true]);
  for (const client of made) {
    for (const provider of providers) {
      for (const [title, method, stream] of tests) {
        const name = `${client.name}→${provider}: ${title}`;
        try {
          await method(client, provider, stream);
          console.log(`ok ${name}`);
        } catch (error) {
          failed += 1;
          console.log(`not ok ${name}: ${String(error?.stack ?? error).replace(/\s*\n\s*/g, " ").slice(0, 600)}`);
        }
      }
    }
  }
  process.exitCode = failed ? 1 : 0;
}

main(process.argv.slice(2));
