// Each SDK behind the same few methods: `user`, `past`, `results` make the conversation, `ask` has it answered.
"use strict";

const { createRequire } = require("node:module");
const path = require("node:path");

const load = createRequire(path.join(process.env.WEIR_JS ?? __dirname, "package.json"));
const { z } = load("zod");
const openai = load("openai");
const anthropic = load("@anthropic-ai/sdk");
const { zodResponseFormat, zodTextFormat } = load("openai/helpers/zod");
const { zodOutputFormat } = load("@anthropic-ai/sdk/helpers/zod");

const FORECAST = z.object({
  city: z.string(),
  wet: z.boolean(),
  mood: z.object({ name: z.enum(["calm", "wild"]), strength: z.number() }),
  tags: z.array(z.string()),
});
const WEATHER = {
  type: "object", additionalProperties: false, required: ["city", "days"],
  properties: { city: { type: "string" }, days: { type: "integer" } },
};
const TIME = { type: "object", properties: { zone: { type: "string" } } };
const TOOLS = [["get_weather", "Weather of a city", WEATHER], ["get_time", "The time", TIME]];

const plain = (headers) => Object.fromEntries(headers ? (headers.entries ? headers.entries() : Object.entries(headers)) : []);
const defined = (object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));

function errorsOf(sdk) {
  return {
    RateLimit: sdk.RateLimitError, BadRequest: sdk.BadRequestError, Server: sdk.InternalServerError,
    status: (error) => error.status, headers: (error) => plain(error.headers),
  };
}

function chat(baseURL, apiKey) {
  const client = new openai.OpenAI({ baseURL, apiKey, maxRetries: 0 });
  return {
    name: "openai chat", shows: false, ...errorsOf(openai),
    user: (text, png) => ({ role: "user", content: png ? [{ type: "text", text }, { type: "image_url", image_url: { url: `data:image/png;base64,${png}` } }] : text }),
    past: (said) => [said.native],
    results: (pairs) => pairs.map(([call, content]) => ({ role: "tool", tool_call_id: call.id, content })),
    async ask(model, messages, { stream, tools, form, thinks, signal }) {
      const body = defined({
        model, messages,
        tools: tools && TOOLS.map(([name, description, parameters]) => ({ type: "function", function: { name, description, parameters } })),
        response_format: form && zodResponseFormat(FORECAST, "forecast"), reasoning_effort: thinks && "medium",
      });
      const reply = stream
        ? await client.chat.completions.stream({ ...body, stream_options: { include_usage: true } }, { signal }).finalChatCompletion()
        : await client.chat.completions[form ? "parse" : "create"](body, { signal });
      const { message, finish_reason: finish } = reply.choices[0];
      const calls = (message.tool_calls ?? []).map((call) => ({ id: call.id, name: call.function.name, args: JSON.parse(call.function.arguments) }));
      const kept = { role: "assistant", content: message.content, tool_calls: calls.length ? (message.tool_calls).map((call) => ({
        id: call.id, type: "function", function: { name: call.function.name, arguments: call.function.arguments } })) : undefined };
      return { text: message.content, calls, finish, native: kept, object: message.parsed, input: reply.usage.prompt_tokens, output: reply.usage.completion_tokens };
    },
  };
}

function responses(baseURL, apiKey) {
  const client = new openai.OpenAI({ baseURL, apiKey, maxRetries: 0 });
  return {
    name: "openai responses", shows: true, ...errorsOf(openai),
    user: (text, png) => ({ role: "user", content: png ? [{ type: "input_text", text }, { type: "input_image", detail: "auto", image_url: `data:image/png;base64,${png}` }] : text }),
    past: (said) => said.native,
    results: (pairs) => pairs.map(([call, output]) => ({ type: "function_call_output", call_id: call.id, output })),
    async ask(model, input, { stream, tools, form, thinks, signal }) {
      const body = defined({
        model, input, store: false, text: form && { format: zodTextFormat(FORECAST, "forecast") },
        tools: tools && TOOLS.map(([name, description, parameters]) => ({ type: "function", name, description, parameters, strict: false })),
        reasoning: thinks && { effort: "medium", summary: "auto" }, include: thinks && ["reasoning.encrypted_content"],
      });
      const reply = stream ? await client.responses.stream(body, { signal }).finalResponse() : await client.responses.parse(body, { signal });
      const of = (type) => reply.output.filter((item) => item.type === type);
      return {
        text: reply.output_text, finish: reply.status === "completed" ? "stop" : reply.status, object: reply.output_parsed,
        calls: of("function_call").map((call) => ({ id: call.call_id, name: call.name, args: JSON.parse(call.arguments) })),
        thinking: of("reasoning").flatMap((item) => item.summary.map((part) => part.text)).join(""),
        native: reply.output.map(({ parsed_arguments, ...item }) => item.type === "message" ? { ...item, content: item.content.map(({ parsed, ...part }) => part) } : item),
        input: reply.usage.input_tokens, output: reply.usage.output_tokens,
      };
    },
  };
}

function messages(baseURL, apiKey) {
  const client = new anthropic.Anthropic({ baseURL: baseURL.replace(/\/v1$/, ""), apiKey, maxRetries: 0 });
  return {
    name: "anthropic", shows: true, ...errorsOf(anthropic),
    user: (text, png) => ({ role: "user", content: png ? [{ type: "image", source: { type: "base64", media_type: "image/png", data: png } }, { type: "text", text }] : text }),
    past: (said) => [{ role: "assistant", content: said.native }],
    results: (pairs) => [{ role: "user", content: pairs.map(([call, content]) => ({ type: "tool_result", tool_use_id: call.id, content })) }],
    async ask(model, talk, { stream, tools, form, thinks, signal }) {
      const body = defined({
        model, messages: talk, max_tokens: 4000, tools: tools && TOOLS.map(([name, description, input_schema]) => ({ name, description, input_schema })),
        thinking: thinks && { type: "enabled", budget_tokens: 2048 }, output_config: form && { format: zodOutputFormat(FORECAST) },
      });
      const reply = stream ? await client.messages.stream(body, { signal }).finalMessage() : await client.messages[form ? "parse" : "create"](body, { signal });
      const of = (type) => reply.content.filter((block) => block.type === type);
      return {
        text: of("text").map((block) => block.text).join(""), finish: reply.stop_reason === "end_turn" ? "stop" : reply.stop_reason, object: reply.parsed_output,
        calls: of("tool_use").map((block) => ({ id: block.id, name: block.name, args: block.input })), thinking: of("thinking").map((block) => block.thinking).join(""),
        native: reply.content, input: reply.usage.input_tokens, output: reply.usage.output_tokens,
      };
    },
  };
}

// Vercel's, over a model of one of its provider packages.
function vercel(name, model, providerOptions, always) {
  const ai = load("ai");
  const tools = Object.fromEntries(TOOLS.map(([tool, description, schema]) => [tool, ai.tool({ description, inputSchema: ai.jsonSchema(schema) })]));
  return {
    name, shows: name !== "ai, openai chat", RateLimit: ai.APICallError, BadRequest: ai.APICallError, Server: ai.APICallError,
    status: (error) => error.statusCode, headers: (error) => plain(error.responseHeaders),
    user: (text, png) => ({ role: "user", content: png ? [{ type: "text", text }, { type: "image", image: png, mediaType: "image/png" }] : text }),
    past: (said) => said.native,
    results: (pairs) => [{ role: "tool", content: pairs.map(([call, value]) => ({ type: "tool-result", toolCallId: call.id, toolName: call.name, output: { type: "text", value } })) }],
    async ask(id, talk, { stream, tools: wanted, form, thinks, signal }) {
      const options = defined({
        model: model(id), messages: talk, maxRetries: 0, abortSignal: signal, tools: wanted && tools, output: form && ai.Output.object({ schema: FORECAST }),
        providerOptions: thinks ? providerOptions : always, maxOutputTokens: thinks ? 6000 : undefined,
      });
      const said = stream ? await drained(ai.streamText({ ...options, onError() {} }), form) : await whole(ai, options, form);
      return { ...said, calls: said.toolCalls.map((call) => ({ id: call.toolCallId, name: call.toolName, args: call.input })) };
    },
  };
}

async function whole(ai, options, form) {
  const said = await ai.generateText(options);
  return { text: said.text, finish: said.finishReason, toolCalls: said.toolCalls, thinking: said.reasoningText ?? "", native: said.response.messages,
    object: form ? said.output : undefined, input: said.usage.inputTokens, output: said.usage.outputTokens };
}

async function drained(said, form) {
  for await (const part of said.fullStream) {
    if (part.type === "error") throw part.error;
    if (part.type === "abort") throw new Error("aborted");
  }
  const usage = await said.usage;
  const finish = await said.finishReason;
  if (finish === "error" || finish === "other" || finish === "unknown") throw new Error(`the stream ended with ${finish}`);
  return { text: await said.text, finish, toolCalls: await said.toolCalls, thinking: (await said.reasoningText) ?? "",
    native: (await said.response).messages, object: form ? await said.output : undefined, input: usage.inputTokens, output: usage.outputTokens };
}

exports.clients = (baseURL, apiKey) => {
  const { createOpenAI } = load("@ai-sdk/openai");
  const { createAnthropic } = load("@ai-sdk/anthropic");
  const one = createOpenAI({ baseURL, apiKey });
  const other = createAnthropic({ baseURL, apiKey });
  const effort = { reasoningEffort: "medium", reasoningSummary: "auto", forceReasoning: true, store: false, include: ["reasoning.encrypted_content"] };
  return [
    chat(baseURL, apiKey), responses(baseURL, apiKey), messages(baseURL, apiKey),
    // With `store` it would send references in place of what was said, which only who keeps it can follow.
    vercel("ai, openai", one.responses, { openai: effort }, { openai: { store: false } }),
    vercel("ai, openai chat", one.chat, { openai: { reasoningEffort: "medium", forceReasoning: true } }),
    vercel("ai, anthropic", other, { anthropic: { thinking: { type: "enabled", budgetTokens: 2048 } } }),
  ];
};
