// The scenarios through Vercel's `ai`, with its providers of three dialects.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogle } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, isStepCount, jsonSchema, Output, streamText, tool } from "ai";

import * as scenarios from "./scenarios.mjs";
import { given, CALLS, INSTRUCTIONS, PICTURE_URL, PNG, REPORT, WEATHER } from "./scenarios.mjs";

const { key: apiKey, baseUrl } = given;
const providers = {
  openai: createOpenAI({ apiKey, baseURL: `${baseUrl}/v1` }),
  anthropic: createAnthropic({ apiKey, baseURL: `${baseUrl}/v1` }),
  google: createGoogle({ apiKey, baseURL: `${baseUrl}/v1beta` }),
};

const tools = {
  [WEATHER.name]: tool({
    description: WEATHER.description,
    inputSchema: jsonSchema(WEATHER.schema),
    execute: async (input) => scenarios.weatherOf(input),
  }),
};

const whole = (request) => generateText({ maxRetries: 0, ...request });
const streamed = async (request) => {
  const result = streamText({ maxRetries: 0, onError: () => {}, ...request });
  return { text: await result.text, steps: await result.steps };
};

const usagesOf = ({ steps }) => steps.map(({ usage }) => usage);

const text = (make, provider) => async (model, mark) => {
  const prompt = `${mark} hello THINK`;
  const answer = await make({ model: provider(model), instructions: INSTRUCTIONS, prompt });
  return { text: answer.text, usages: usagesOf(answer) };
};

const toolsTwice = (make, provider) => async (model, mark) => {
  const answer = await make({
    model: provider(model),
    instructions: INSTRUCTIONS,
    prompt: `${mark}\n${CALLS}`,
    tools,
    stopWhen: isStepCount(3),
  });
  const [first] = answer.steps;
  return {
    said: first.text,
    calls: first.toolCalls.map((call) => ({ name: call.toolName, arguments: call.input })),
    stop: first.finishReason,
    text: answer.text,
    usages: usagesOf(answer),
  };
};

const pictures = (provider, urls) => async (model, mark) => {
  const shown = [PNG, ...urls].map((data) => ({ type: "file", mediaType: "image/png", data }));
  const content = [{ type: "text", text: mark }, ...shown];
  const answer = await whole({ model: provider(model), messages: [{ role: "user", content }] });
  return { text: answer.text, usages: usagesOf(answer) };
};

const structured = (provider) => async (model, mark) => {
  const output = Output.object({ schema: jsonSchema(REPORT), name: "report" });
  const answer = await whole({ model: provider(model), prompt: mark, output });
  return { structured: answer.output, usages: usagesOf(answer) };
};

const all = {};
for (const [name, provider] of Object.entries(providers)) {
  // Of addresses it hands Google's own alone to Google, and fetches the others by itself.
  const urls = name === "google" ? [] : [new URL(PICTURE_URL)];
  all[`${name}_text`] = text(whole, provider);
  all[`${name}_stream`] = text(streamed, provider);
  all[`${name}_tools`] = toolsTwice(whole, provider);
  all[`${name}_tools_stream`] = toolsTwice(streamed, provider);
  all[`${name}_pictures`] = pictures(provider, urls);
  all[`${name}_structured`] = structured(provider);
}
await scenarios.run(all);
