// The scenarios through `openai`, over both of its APIs.

import OpenAI from "openai";

import * as scenarios from "./scenarios.mjs";
import { given, CALLS, INSTRUCTIONS, PICTURE_URL, PNG, REPORT, WEATHER } from "./scenarios.mjs";

const client = new OpenAI({ apiKey: given.key, baseURL: `${given.baseUrl}/v1`, maxRetries: 0 });
const picture = `data:image/png;base64,${PNG}`;

// ---------------------------------------------------------------------- Chat Completions

const system = { role: "system", content: INSTRUCTIONS };
const user = (content) => ({ role: "user", content });
const chatTools = [
  {
    type: "function",
    function: {
      name: WEATHER.name,
      description: WEATHER.description,
      parameters: WEATHER.schema,
      strict: true,
    },
  },
];

const completion = (request) => client.chat.completions.create(request);
const streamedCompletion = (request) =>
  client.chat.completions
    .stream({ ...request, stream_options: { include_usage: true } })
    .finalChatCompletion();

const chatText = (make) => async (model, mark) => {
  const answer = await make({ model, messages: [system, user(`${mark} hello THINK`)] });
  return { text: answer.choices[0].message.content, usages: [answer.usage] };
};

const chatTools2 = (make) => async (model, mark) => {
  const messages = [system, user(`${mark}\n${CALLS}`)];
  const first = await make({ model, messages, tools: chatTools, parallel_tool_calls: true });
  const said = first.choices[0].message;
  const calls = said.tool_calls.map(({ function: called }) => ({
    name: called.name,
    arguments: JSON.parse(called.arguments),
  }));
  messages.push(said);
  for (const [index, call] of said.tool_calls.entries())
    messages.push({
      role: "tool",
      tool_call_id: call.id,
      content: scenarios.weatherOf(calls[index].arguments),
    });
  const second = await make({ model, messages, tools: chatTools });
  const text = second.choices[0].message.content;
  const stop = first.choices[0].finish_reason;
  return { said: said.content, calls, stop, text, usages: [first.usage, second.usage] };
};

async function chatPictures(model, mark) {
  const content = [
    { type: "text", text: mark },
    { type: "image_url", image_url: { url: picture } },
    { type: "image_url", image_url: { url: PICTURE_URL } },
  ];
  const answer = await completion({ model, messages: [user(content)] });
  return { text: answer.choices[0].message.content, usages: [answer.usage] };
}

async function chatStructured(model, mark) {
  const answer = await client.chat.completions.parse({
    model,
    messages: [user(mark)],
    response_format: {
      type: "json_schema",
      json_schema: { name: "report", schema: REPORT, strict: true },
    },
  });
  const { content } = answer.choices[0].message;
  return { structured: JSON.parse(content), usages: [answer.usage] };
}

// ---------------------------------------------------------------------- Responses

const responsesTools = [
  {
    type: "function",
    name: WEATHER.name,
    description: WEATHER.description,
    parameters: WEATHER.schema,
    strict: true,
  },
];

const response = (request) => client.responses.create(request);
const streamedResponse = (request) => client.responses.stream(request).finalResponse();

const responsesText = (make) => async (model, mark) => {
  const answer = await make({ model, instructions: INSTRUCTIONS, input: `${mark} hello THINK` });
  return { text: answer.output_text, usages: [answer.usage] };
};

const responsesTools2 = (make) => async (model, mark) => {
  const input = [user(`${mark}\n${CALLS}`)];
  const request = {
    model,
    input,
    instructions: INSTRUCTIONS,
    tools: responsesTools,
    store: false,
    include: ["reasoning.encrypted_content"],
    reasoning: { effort: "low", summary: "auto" },
  };
  const first = await make(request);
  input.push(...first.output);
  const called = first.output.filter(({ type }) => type === "function_call");
  const calls = called.map((call) => ({ name: call.name, arguments: JSON.parse(call.arguments) }));
  for (const [index, call] of called.entries())
    input.push({
      type: "function_call_output",
      call_id: call.call_id,
      output: scenarios.weatherOf(calls[index].arguments),
    });
  const second = await make(request);
  return {
    said: first.output_text,
    calls,
    text: second.output_text,
    usages: [first.usage, second.usage],
  };
};

async function responsesPictures(model, mark) {
  const content = [
    { type: "input_text", text: mark },
    { type: "input_image", image_url: picture, detail: "auto" },
    { type: "input_image", image_url: PICTURE_URL, detail: "auto" },
  ];
  const answer = await response({ model, input: [user(content)] });
  return { text: answer.output_text, usages: [answer.usage] };
}

async function responsesStructured(model, mark) {
  const format = { type: "json_schema", name: "report", schema: REPORT, strict: true };
  const answer = await client.responses.parse({ model, input: mark, text: { format } });
  return { structured: JSON.parse(answer.output_text), usages: [answer.usage] };
}

await scenarios.run({
  chat_text: chatText(completion),
  chat_stream: chatText(streamedCompletion),
  chat_tools: chatTools2(completion),
  chat_tools_stream: chatTools2(streamedCompletion),
  chat_pictures: chatPictures,
  chat_structured: chatStructured,
  responses_text: responsesText(response),
  responses_stream: responsesText(streamedResponse),
  responses_tools: responsesTools2(response),
  responses_tools_stream: responsesTools2(streamedResponse),
  responses_pictures: responsesPictures,
  responses_structured: responsesStructured,
});
