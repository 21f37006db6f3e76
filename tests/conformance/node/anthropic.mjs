// The scenarios through `@anthropic-ai/sdk`.

import Anthropic from "@anthropic-ai/sdk";

import * as scenarios from "./scenarios.mjs";
import { given, CALLS, INSTRUCTIONS, PICTURE_URL, PNG, REPORT, WEATHER } from "./scenarios.mjs";

const client = new Anthropic({ apiKey: given.key, baseURL: given.baseUrl, maxRetries: 0 });
const tools = [
  { name: WEATHER.name, description: WEATHER.description, input_schema: WEATHER.schema },
];
const user = (content) => ({ role: "user", content });

const message = (request) => client.messages.create({ max_tokens: 2000, ...request });
const streamedMessage = (request) =>
  client.messages.stream({ max_tokens: 2000, ...request }).finalMessage();

const textOf = ({ content }) =>
  content
    .filter(({ type }) => type === "text")
    .map(({ text }) => text)
    .join("");

const text = (make) => async (model, mark) => {
  const answer = await make({
    model,
    system: INSTRUCTIONS,
    messages: [user(`${mark} hello THINK`)],
  });
  return { text: textOf(answer), usages: [answer.usage] };
};

const toolsTwice = (make) => async (model, mark) => {
  const messages = [user(`${mark}\n${CALLS}`)];
  const request = {
    model,
    messages,
    tools,
    system: INSTRUCTIONS,
    thinking: { type: "enabled", budget_tokens: 1024 },
  };
  const first = await make(request);
  const called = first.content.filter(({ type }) => type === "tool_use");
  const results = called.map((call) => ({
    type: "tool_result",
    tool_use_id: call.id,
    content: scenarios.weatherOf(call.input),
  }));
  messages.push({ role: "assistant", content: first.content }, user(results));
  const second = await make(request);
  return {
    said: textOf(first),
    thoughts: first.content
      .filter(({ type }) => type === "thinking")
      .map(({ thinking }) => thinking),
    calls: called.map((call) => ({ name: call.name, arguments: call.input })),
    stop: first.stop_reason,
    text: textOf(second),
    usages: [first.usage, second.usage],
  };
};

async function pictures(model, mark) {
  const content = [
    { type: "text", text: mark },
    { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } },
    { type: "image", source: { type: "url", url: PICTURE_URL } },
  ];
  const answer = await message({ model, messages: [user(content)] });
  return { text: textOf(answer), usages: [answer.usage] };
}

async function structured(model, mark) {
  const answer = await client.messages.parse({
    model,
    max_tokens: 2000,
    messages: [user(mark)],
    output_config: { format: { type: "json_schema", schema: REPORT } },
  });
  return { structured: JSON.parse(textOf(answer)), usages: [answer.usage] };
}

await scenarios.run({
  text: text(message),
  stream: text(streamedMessage),
  tools: toolsTwice(message),
  tools_stream: toolsTwice(streamedMessage),
  pictures,
  structured,
});
